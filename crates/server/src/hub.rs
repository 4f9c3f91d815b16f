//! Drives the relay: one task owns its state, and is all that ever touches it.
//!
//! Its loop does, in this order:
//! 1. outputs of what was handled last, at once and all of them;
//! 2. answers of the store, since acks wait for them;
//! 3. what peers sent and what sockets say, up to a budget;
//! 4. the relay's timer.
//!
//! Then it lets the sockets run. What the budget leaves is next, behind new answers.
//!
//! There is one such task for all databases, not one for each. What the relay bounds is common to them:
//! connections, those before welcome, those of a principal, open databases. And a connection says only in its
//! handshake which database it is for, so something in front would have to bound, time and answer those that
//! have none yet, and hand them over. A busy database costs the others the budget of a turn and no more: its
//! commits and reads run on threads of its own. Databases that together need more than a core for this task
//! belong on several relays.

use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use blazedb_relay::registry::{ErrorCode, MessageType};
use blazedb_relay::relay::{Config, ConnId, Credentials, Ending, Framing, Input, Output, Relay};
use blazedb_relay::time::Time;
use blazedb_relay::wire::DatabaseName;
use bytes::Bytes;
use tokio::task::yield_now;
use tokio::time::{Instant as Deadline, sleep_until};

use crate::auth::{Auth, Granted};
use crate::inbox::{Batch, Inbox, Note};
use crate::logins::Logins;
use crate::metrics::Metrics;
use crate::peer::{Frame, Peer};
use crate::store::LogStore;
use crate::stores::Stores;

/// Notes handled before the sockets run. Enough that what comes in one reading shares one commit, few enough
/// that nobody waits for more than some milliseconds.
const NOTES: usize = 128;
/// Frames sent before the sockets run: two rounds to a thousand readers.
const FRAMES: usize = 2_048;

/// The wall clock.
type Clock = Box<dyn Fn() -> SystemTime + Send>;

/// The task that owns the relay.
pub(crate) struct Hub<S: LogStore> {
    relay: Relay,
    inbox: Arc<Inbox>,
    stores: Stores<S>,
    auth: Auth,
    logins: Arc<Logins>,
    metrics: Arc<Metrics>,
    seats: HashMap<ConnId, Seat>,
    /// Answers that were there at once.
    ready: VecDeque<Input>,
    /// Frames sent since the sockets last ran.
    frames: usize,
    started: Instant,
    clock: Clock,
    now: Time,
    shutting_down: bool,
}

/// What the hub knows of a connection.
struct Seat {
    peer: Arc<Peer>,
    /// When each push arrived that has no ack; acks keep the order of the pushes (SES-68).
    pushes: VecDeque<Instant>,
    /// Bytes that its transport has not taken.
    waiting: usize,
}

impl<S: LogStore> Hub<S> {
    pub(crate) fn new(
        config: Config,
        inbox: Arc<Inbox>,
        stores: Stores<S>,
        (auth, logins): (Auth, Arc<Logins>),
        metrics: Arc<Metrics>,
        clock: Clock,
    ) -> Self {
        Self {
            relay: Relay::new(config),
            inbox,
            stores,
            auth,
            logins,
            metrics,
            seats: HashMap::new(),
            ready: VecDeque::new(),
            frames: 0,
            started: Instant::now(),
            clock,
            now: Time { monotonic_ms: 0, unix_ms: 0 },
            shutting_down: false,
        }
    }

    /// Runs until [`Note::Shutdown`] was obeyed: no connection is left, and no database open.
    pub(crate) async fn run(mut self) {
        let mut batch = Batch::default();
        let mut timer = pin!(sleep_until(Deadline::now()));
        let mut armed = None;
        while !self.is_over() {
            let due = self.relay.poll_timeout();
            if due != armed {
                armed = due;
                if let Some(ms) = due {
                    timer.as_mut().reset((self.started + Duration::from_millis(ms)).into());
                }
            }
            poll_fn(|cx| {
                let ready = self.inbox.poll_batch(cx, &mut batch).is_ready();
                if ready || (armed.is_some() && timer.as_mut().poll(cx).is_ready()) {
                    return Poll::Ready(());
                }
                Poll::Pending
            })
            .await;
            // A timer that fired has to be set again even if it is for the same time.
            armed = armed.filter(|_| !timer.is_elapsed());
            let Batch { answers, notes } = &mut batch;
            let mut notes = notes.drain(..);
            loop {
                self.turn(answers, &mut notes);
                yield_now().await;
                if notes.len() == 0 {
                    break;
                }
                self.inbox.take_answers(answers);
            }
        }
        self.stores.close_all().await;
    }

    /// Whether the end has come.
    fn is_over(&self) -> bool {
        self.shutting_down && self.relay.connections() == 0
    }

    /// Handles answers, some notes, and the timer.
    fn turn(&mut self, answers: &mut Vec<Input>, notes: &mut impl Iterator<Item = Note>) {
        self.look_at_clocks();
        self.frames = 0;
        for answer in answers.drain(..) {
            if self.stores.expects(&answer) {
                self.handle(answer);
            }
        }
        let mut bytes = 0;
        for note in notes.take(NOTES) {
            if let Note::Received(_, frame, _) = &note {
                bytes += frame.len();
            }
            self.note(note);
            if self.frames >= FRAMES {
                break;
            }
        }
        self.inbox.handled(bytes);
        if self.relay.poll_timeout().is_some_and(|due| due <= self.now.monotonic_ms) {
            self.handle(Input::Timeout);
        }
    }

    fn look_at_clocks(&mut self) {
        let since = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        // A clock before 1970 is wrong; the relay's guard has a floor for that.
        let unix = (self.clock)().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now = Time { monotonic_ms: since(self.started.elapsed()), unix_ms: since(unix) };
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Opened(peer) => {
                let conn = peer.conn;
                self.seats.insert(conn, Seat { peer, pushes: VecDeque::new(), waiting: 0 });
                self.handle(Input::Opened { conn, framing: Framing::Messages });
            }
            Note::Received(conn, bytes, at) => {
                let Some(seat) = self.seats.get_mut(&conn) else { return };
                if message_type(&bytes) == Some(MessageType::PUSH) {
                    seat.pushes.push_back(at);
                }
                self.handle(Input::Received { conn, bytes });
            }
            Note::Flushed(peer) => {
                let (conn, bytes) = (peer.conn, peer.take_flushed());
                let Some(seat) = self.seats.get_mut(&conn) else { return };
                seat.waiting = seat.waiting.saturating_sub(bytes);
                self.metrics.outbox_bytes.subtract(bytes);
                self.handle(Input::Flushed { conn, bytes });
            }
            Note::Closed(conn) => {
                if let Some(seat) = self.seats.remove(&conn) {
                    self.metrics.outbox_bytes.subtract(seat.waiting);
                    self.handle(Input::Closed { conn });
                }
            }
            Note::Shutdown => {
                self.shutting_down = true;
                self.handle(Input::Shutdown);
            }
        }
    }

    /// Gives the relay an input and does all that it asks for; then the same with what was answered at once.
    fn handle(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next {
            self.relay.handle(self.now, input);
            while let Some(output) = self.relay.poll_output() {
                if let Some(output) = self.stores.perform(output) {
                    self.perform(output);
                }
            }
            next = self.ready.pop_front();
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { conn, head, blocks } => self.send(conn, Frame { head, blocks }),
            Output::Close { conn, ending } => self.close(conn, ending),
            Output::PauseReading { conn } => self.pause(conn, true),
            Output::ResumeReading { conn } => self.pause(conn, false),
            Output::Authorize { ticket, conn, database, credentials } => {
                let answer = match self.authorize(conn, &database, &credentials) {
                    Ok(grant) => Input::Authorized {
                        ticket,
                        principal: grant.principal,
                        rights: grant.rights,
                        valid_until_ms: grant.valid_until_ms,
                    },
                    Err(code) => Input::Failed { ticket, code },
                };
                self.ready.push_back(answer);
            }
            // The store's.
            Output::OpenDatabase { .. }
            | Output::CloseDatabase { .. }
            | Output::LoadNode { .. }
            | Output::Append { .. }
            | Output::Read { .. }
            | Output::MintEpoch { .. }
            | Output::RunQuery { .. }
            | Output::CountState { .. } => {}
        }
    }

    /// What these credentials allow, unless too many from their address were wrong lately.
    //= SEC-3
    fn authorize(
        &self,
        conn: ConnId,
        database: &DatabaseName,
        credentials: &Credentials,
    ) -> Result<Granted, ErrorCode> {
        let source = self.seats.get(&conn).and_then(|seat| seat.peer.source);
        if self.logins.check(source).is_err() {
            self.metrics.logins_refused.add(1);
            return Err(ErrorCode::RATE_LIMITED);
        }
        let granted = self.auth.authorize(database, credentials, self.now.unix_ms);
        if let Err(code) = &granted {
            self.metrics.authentication_failures.add(1);
            // The others are no guesses: they need a token that the relay knows.
            if *code == ErrorCode::UNAUTHENTICATED {
                self.logins.failed(source);
            }
        }
        granted
    }

    fn send(&mut self, conn: ConnId, frame: Frame) {
        let Some(seat) = self.seats.get_mut(&conn) else { return };
        match message_type(&frame.head) {
            Some(MessageType::WELCOME) => seat.peer.welcome(),
            Some(MessageType::PUSH_ACK) => {
                if let Some(arrived) = seat.pushes.pop_front() {
                    self.metrics.ack_seconds.time(arrived.elapsed());
                }
                if seat.pushes.is_empty() {
                    seat.pushes = VecDeque::new();
                }
            }
            _ => {}
        }
        let operations: u64 = frame.blocks.iter().map(operations).sum();
        self.metrics.operations_out.add(operations);
        let bytes = frame.len();
        seat.waiting += bytes;
        self.metrics.outbox_bytes.plus(bytes);
        self.frames += 1;
        seat.peer.send(frame);
    }

    fn close(&mut self, conn: ConnId, ending: Ending) {
        let Some(seat) = self.seats.remove(&conn) else { return };
        self.metrics.outbox_bytes.subtract(seat.waiting);
        match ending {
            Ending::Error(code) => {
                self.metrics.closed(code);
                let name = code.name().unwrap_or("unknown");
                tracing::info!(conn = conn.0, code = code.0, name, "closed by an error");
            }
            Ending::Done | Ending::GoingDown => tracing::debug!(conn = conn.0, "closed in order"),
        }
        seat.peer.end(ending);
    }

    fn pause(&self, conn: ConnId, paused: bool) {
        if let Some(seat) = self.seats.get(&conn) {
            seat.peer.pause(paused);
        }
    }
}

/// The type of a frame's message, from its head (SPEC.md 5).
fn message_type(frame: &Bytes) -> Option<MessageType> {
    let bytes = frame.get(2..4)?;
    Some(MessageType(u16::from_be_bytes(bytes.try_into().ok()?)))
}

/// How many operations a block says that it holds, from its header (SPEC.md 6.2).
fn operations(block: &Bytes) -> u64 {
    let count = block.get(2..4).and_then(|bytes| bytes.try_into().ok());
    count.map_or(0, |bytes| u64::from(u16::from_be_bytes(bytes)))
}
