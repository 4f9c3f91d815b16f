//! Bytes and messages from peers.

use bytes::Bytes;

use super::Relay;
use super::event::{ConnId, Ending, Output};
use super::io::{Asked, Fault, Stop};
use super::opening::credentials;
use super::session::Active;
use crate::codec::Packet;
use crate::message::{AuthenticateAck, Authentication, Extensions, Message, Pong, Scope};
use crate::registry::ErrorCode;

impl Relay {
    /// Bytes came: takes every frame that is whole now.
    pub(super) fn received(&mut self, conn: ConnId, mut bytes: Bytes) {
        let now = self.io.ms();
        if let Some(connection) = self.connections.get_mut(&conn).filter(|_| !bytes.is_empty()) {
            connection.link.heard(now, bytes.len());
        }
        while let Some(connection) = self.connections.get_mut(&conn) {
            //= SES-3
            if connection.said_goodbye {
                return;
            }
            match connection.link.next_frame(&mut bytes) {
                Ok(Some(frame)) => self.frame(conn, &frame),
                Ok(None) => break,
                //= ERR-1
                Err(error) => return self.close(conn, error.into()),
            }
        }
        if let Some(connection) = self.connections.get_mut(&conn) {
            //= SES-9
            if let Some(nonce) = connection.link.ping.take() {
                let pong = Pong { nonce, extensions: Extensions::EMPTY };
                connection.link.send(&mut self.io, 0, &Message::Pong(pong));
            }
        }
    }

    /// Takes one frame.
    fn frame(&mut self, conn: ConnId, frame: &Bytes) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        //= ERR-2
        let packet = match Packet::decode(frame, &connection.link.context) {
            Ok(packet) => packet,
            Err(error) => return self.close(conn, error.into()),
        };
        //= EXT-4
        if matches!(packet.message(), Message::Unknown(_)) {
            return;
        }
        //= SES-2
        if !connection.state().takes(packet.message().message_type()) {
            let text = "this message is not for this end, or not now";
            return self.close(conn, Fault::new(ErrorCode::UNEXPECTED_MESSAGE, text));
        }
        self.message(conn, &packet, frame);
    }

    /// Takes one message that may be taken now. `frame` is what it was decoded from.
    fn message(&mut self, conn: ConnId, packet: &Packet<'_>, frame: &Bytes) {
        let id = packet.request_id();
        match packet.message() {
            Message::Handshake(handshake) => self.handshake(conn, handshake),
            Message::Push(push) => self.take(conn, |active| active.push(packet, frame, push)),
            Message::Subscribe(subscribe) => self.take(conn, |active| active.subscribe(id, subscribe)),
            Message::Unsubscribe(it) => self.take(conn, |active| active.unsubscribe(it.subscription)),
            Message::UpdateAck(ack) => self.take(conn, |active| active.update_ack(ack)),
            Message::PullRequest(pull) => self.take(conn, |active| active.pull(id, frame, pull)),
            Message::Query(query) => self.take(conn, |active| active.query(id, frame, query)),
            Message::SyncStateRequest(_) => self.take(conn, |active| active.count_state(id, frame)),
            Message::Authenticate(message) => {
                self.take(conn, |active| active.authenticate(id, &message.authentication));
            }
            Message::Ping(ping) => {
                if let Some(connection) = self.connections.get_mut(&conn) {
                    connection.link.ping = Some(ping.nonce);
                }
            }
            //= SES-10
            Message::Pong(_) => {}
            Message::Error(error) => match error.scope {
                //= SES-5
                Scope::Connection => self.end(conn, Ending::Done),
                // A relay has no requests of its own.
                //= SES-6
                Scope::Request => {}
            },
            Message::Goodbye(_) => self.goodbye_received(conn),
            // No state takes these.
            Message::Welcome(_)
            | Message::SyncState(_)
            | Message::PullResponse(_)
            | Message::PushAck(_)
            | Message::Update(_)
            | Message::QueryResponse(_)
            | Message::AuthenticateAck(_)
            | Message::Unknown(_) => {}
        }
    }

    /// Takes a message in a session, unless that is being ended.
    fn take<F>(&mut self, conn: ConnId, work: F)
    where
        F: FnOnce(&mut Active<'_>) -> Result<(), Stop>,
    {
        if self.connections.get(&conn).is_some_and(|connection| connection.leaving.is_none()) {
            self.with(conn, work);
        }
    }

    /// The transport took bytes: there may be room for more.
    pub(super) fn flushed(&mut self, conn: ConnId, bytes: usize) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        connection.link.flushed(&mut self.io, bytes);
        self.with(conn, |active| {
            if !active.link.has_room(active.io) {
                return Ok(());
            }
            active.serve()?;
            let waiting = active.session.subscriptions.waiting_for_room();
            waiting.into_iter().try_for_each(|number| active.deliver(number, None))
        });
    }
}

impl Active<'_> {
    /// Asks who it is now.
    fn authenticate(&mut self, id: u32, authentication: &Authentication<'_>) -> Result<(), Stop> {
        if !self.begin(id)? {
            return Ok(());
        }
        let (conn, database) = (self.link.conn, self.database.name.clone());
        let credentials = credentials(authentication);
        let asked = Asked::Reauthorize(conn, id);
        self.io.ask(asked, |ticket| Output::Authorize { ticket, conn, database, credentials });
        Ok(())
    }

    /// Tells that new credentials were taken.
    pub(super) fn acknowledge_authentication(&mut self, id: u32, valid_for: u32) {
        self.session.requests.done(id);
        let ack = AuthenticateAck { valid_for, extensions: Extensions::EMPTY };
        self.link.send(self.io, id, &Message::AuthenticateAck(ack));
    }
}
