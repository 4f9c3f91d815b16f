//! One connection of a replica (SPEC.md 10).

mod backoff;
mod config;
mod ending;
mod io;
mod opening;
mod pushing;
mod reading;
mod requests;
mod restoring;
mod table;
mod timers;

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

pub use backoff::Backoff;
pub use config::{Config, Credentials, Offer};
pub use io::{Answer, Command, End, Event, Failure, Input, NewNode, Output, Pull, Query, Reconnect};
pub use table::{State, TABLE, TAKES, Trigger};

use self::backoff::Random;
use self::opening::Agreed;
use self::pushing::Pushes;
use self::reading::Subscriptions;
use self::requests::Requests;
use self::restoring::Restoring;
use self::timers::Timers;
use super::{Change, Identity, Replica, WriteState};
use crate::codec::{Context, Packet};
use crate::error::{BuildError, DecodeError};
use crate::frame;
use crate::message::{Message, Scope};
use crate::registry::{ErrorCode, MessageType};
use crate::time::Time;
use crate::wire::{NodeId, Timestamp};

/// One connection of a [`Replica`], from before it is opened until it has ended. For another connection,
/// make another session.
///
/// The replica is lent to each [`Self::handle`]; it must be the same one. See the
/// [module](crate::client) for the loop.
#[derive(Debug)]
pub struct Session {
    config: Config,
    /// What the client becomes if it has to be a new node. That ends the session.
    spare: Identity,
    backoff: Backoff,
    random: Random,
    state: State,
    /// The session has ended, and takes no input any more.
    over: bool,
    outputs: VecDeque<Output>,
    /// What was received and is not a whole frame yet.
    buffer: BytesMut,
    /// Where blocks are decompressed; its memory is kept.
    scratch: Vec<u8>,
    /// The node that handshake named.
    node: Option<NodeId>,
    agreed: Agreed,
    timers: Timers,
    pushes: Pushes,
    requests: Requests,
    subscriptions: Subscriptions,
    restoring: Restoring,
    /// The application wants to end it.
    closing: bool,
    goodbye_sent: bool,
}

impl Session {
    /// A connection that is not open yet. `spare` is a fresh node and key from a secure random source
    /// (SEC-2), used if the client has to become a new node. `backoff` is that of the session before.
    #[must_use]
    pub fn new(config: Config, spare: Identity, backoff: Backoff) -> Self {
        Self {
            random: Random::new(config.seed),
            config,
            spare,
            backoff,
            state: State::Apart,
            over: false,
            outputs: VecDeque::new(),
            buffer: BytesMut::new(),
            scratch: Vec::new(),
            node: None,
            agreed: Agreed::default(),
            timers: Timers::default(),
            pushes: Pushes::default(),
            requests: Requests::default(),
            subscriptions: Subscriptions::default(),
            restoring: Restoring::default(),
            closing: false,
            goodbye_sent: false,
        }
    }

    /// Takes an input. Every output of the one before must have been taken.
    pub fn handle(&mut self, replica: &mut Replica, now: Time, input: Input) {
        debug_assert!(self.outputs.is_empty(), "outputs of the last input were not taken");
        if self.over {
            return;
        }
        let now = now.monotonic_ms;
        if input == Input::Closed {
            return self.transport_ended(now);
        }
        // The application has dropped something from the outbox (SES-104).
        if self.node.is_some_and(|node| node != replica.node().identity.node) {
            return self.end_for_new_node(None);
        }
        match input {
            Input::Opened => self.greet(replica, now),
            Input::Received(bytes) => self.receive(replica, now, &bytes),
            Input::Timeout => self.tick(now),
            Input::Command(command) => self.command(now, command),
            Input::Written | Input::Closed => {}
        }
        self.proceed(replica, now);
    }

    /// The next thing to do; `None` when it is time for the next input.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is to be fed, on the monotonic clock, in milliseconds.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        if self.over {
            return None;
        }
        let state = self.timers.next(self.state);
        if self.state != State::Active {
            return state;
        }
        // Who is about to end pushes no more.
        let pushing = self.pushes.deadline().filter(|_| !self.closing);
        let own = [pushing, self.subscriptions.deadline(), self.restoring.deadline()];
        own.into_iter().chain([state]).flatten().min()
    }

    /// Where the connection stands.
    #[must_use]
    pub const fn state(&self) -> State {
        self.state
    }

    /// What the next session begins with.
    #[must_use]
    pub const fn backoff(&self) -> Backoff {
        self.backoff
    }

    /// What has become of a write, this connection included.
    //= SES-39
    #[must_use]
    pub fn write_state(&self, replica: &Replica, timestamp: Timestamp) -> WriteState {
        match replica.write_state(timestamp) {
            WriteState::Queued if self.is_in_flight(replica, timestamp) => WriteState::Sent,
            state @ (WriteState::Queued
            | WriteState::Sent
            | WriteState::Durable
            | WriteState::Rejected(_)) => state,
        }
    }

    /// Finds whole frames in what was received.
    fn receive(&mut self, replica: &mut Replica, now: u64, bytes: &Bytes) {
        if self.state == State::Apart {
            return;
        }
        //= SES-8
        self.timers.hear(now);
        self.buffer.extend_from_slice(bytes);
        while !self.over {
            match frame::peek(&self.buffer, self.context().phase) {
                Ok(Some(len)) if self.buffer.len() >= len => {
                    let frame = self.buffer.split_to(len).freeze();
                    self.take_frame(replica, now, &frame);
                }
                Ok(_) => return,
                Err(error) => return self.fault(now, error.code),
            }
        }
    }

    const fn context(&self) -> Context {
        match self.state {
            State::Apart | State::Greeting => Context::HANDSHAKE,
            State::Settling | State::Active | State::Draining => Context::session(self.agreed.capabilities),
        }
    }

    fn take_frame(&mut self, replica: &mut Replica, now: u64, frame: &Bytes) {
        let context = self.context();
        let mut scratch = core::mem::take(&mut self.scratch);
        let decoded = Packet::decode(frame, &context).and_then(|packet| {
            packet.validate_blocks(frame, context.capabilities, &mut scratch)?;
            Ok(packet)
        });
        self.scratch = scratch;
        match decoded {
            Ok(packet) => self.take_message(replica, now, &packet),
            //= SES-102
            Err(error) if is_upgrade_needed(frame, error) => {
                self.stop_reading(replica);
                self.fault(now, ErrorCode::UPGRADE_NEEDED);
            }
            //= ERR-1
            //= ERR-2
            Err(error) => self.fault(now, error.code),
        }
    }

    //= SES-38
    fn take_message(&mut self, replica: &mut Replica, now: u64, packet: &Packet<'_>) {
        let id = packet.request_id();
        //= SES-2
        if !self.state.takes(packet.message().message_type()) {
            return self.fault(now, ErrorCode::UNEXPECTED_MESSAGE);
        }
        match packet.message() {
            //= SES-106
            Message::Welcome(_) if self.state == State::Draining => {}
            Message::Welcome(welcome) => self.welcome(replica, now, welcome),
            Message::PushAck(ack) => self.push_ack(replica, now, id, ack),
            Message::Update(update) => self.update(replica, now, update),
            Message::PullResponse(response) => self.pull_response(replica, now, id, response),
            Message::QueryResponse(response) => self.query_response(now, id, response),
            Message::SyncState(state) => self.sync_state(now, id, state),
            Message::AuthenticateAck(ack) => self.authenticate_ack(now, id, ack),
            //= SES-9
            Message::Ping(ping) => self.pong(ping.nonce),
            Message::Error(error) => match error.scope {
                Scope::Connection => self.refused(replica, now, error),
                Scope::Request => self.request_failed(replica, now, id, error),
            },
            Message::Goodbye(goodbye) => self.goodbye_received(now, goodbye),
            //= SES-10
            //= EXT-4
            Message::Pong(_) | Message::Unknown(_) => {}
            // Only a relay takes these; the table has refused them.
            Message::Handshake(_)
            | Message::SyncStateRequest(_)
            | Message::PullRequest(_)
            | Message::Push(_)
            | Message::Subscribe(_)
            | Message::Unsubscribe(_)
            | Message::UpdateAck(_)
            | Message::Query(_)
            | Message::Authenticate(_) => {}
        }
    }

    fn command(&mut self, now: u64, command: Command) {
        match command {
            Command::Subscribe { collections, window } => self.subscribe(collections, window),
            Command::Unsubscribe(collections) => self.unsubscribe(&collections),
            Command::Window { collections, window } => self.set_window(&collections, window),
            Command::Close => self.close(now),
            request @ (Command::Pull { .. }
            | Command::Query { .. }
            | Command::SyncState { .. }
            | Command::Authenticate { .. }) => self.requests.wait(request),
        }
    }

    /// What an active connection does by itself, when it can.
    fn proceed(&mut self, replica: &mut Replica, now: u64) {
        if self.state != State::Active {
            return;
        }
        self.send_uncertain_again(replica);
        self.restore(replica, now);
        if self.drop_what_is_forbidden(replica) {
            return;
        }
        self.send_requests(replica);
        self.push(replica, now);
        self.close_when_answered(now);
    }

    fn enter(&mut self, trigger: Trigger) {
        let next = self.state.after(trigger);
        debug_assert!(next.is_some(), "{trigger:?} in {:?}", self.state);
        self.state = next.unwrap_or(self.state);
    }

    fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    fn event(&mut self, event: Event) {
        self.output(Output::Event(event));
    }

    fn commit(&mut self, changes: Vec<Change>) {
        if !changes.is_empty() {
            self.output(Output::Commit(changes));
        }
    }

    /// Sends a message that is neither request nor reply and holds nothing of the application's: it can
    /// always be built.
    fn say(&mut self, message: Message<'_>) {
        drop(self.send(message, 0));
    }

    /// Sends a message that is neither request nor reply, or a request.
    fn send(&mut self, message: Message<'_>, id: u32) -> Result<(), BuildError> {
        let frame = Packet::with_id(message, id)?.to_bytes();
        self.output(Output::Send(frame.into()));
        Ok(())
    }
}

/// Whether a delivered frame was refused for what a later version may write into a block.
//= SES-102
fn is_upgrade_needed(frame: &[u8], error: DecodeError) -> bool {
    let Some(Ok(head)) = frame.get(..frame::HEAD).map(<[u8; frame::HEAD]>::try_from) else { return false };
    let [_, _, kind_high, kind_low, .., f0, f1, f2, f3, _, _, _, _] = head;
    let kind = MessageType(u16::from_be_bytes([kind_high, kind_low]));
    let blocks_at = frame::HEAD + u32::from_be_bytes([f0, f1, f2, f3]) as usize + frame::CHECKSUM;
    // Checksums are checked before what they cover, so those before this fault are right.
    let later = matches!(
        error.code,
        ErrorCode::UNSUPPORTED_VERSION
            | ErrorCode::UNKNOWN_FLAG
            | ErrorCode::UNKNOWN_ENCODING
            | ErrorCode::UNKNOWN_TAG
            | ErrorCode::UNKNOWN_KEY
            | ErrorCode::UNKNOWN_OP_TYPE
    );
    later
        && matches!(kind, MessageType::UPDATE | MessageType::PULL_RESPONSE)
        && error.offset as usize >= blocks_at
}
