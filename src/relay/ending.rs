//! How connections and databases end (SPEC.md 10.11).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Relay;
use super::event::{ConnId, DatabaseId, Ending, Framing, Output};
use super::io::{Fault, Stop};
use super::link::Link;
use super::rights::Rights;
use super::state::{Event, State};
use super::timers::DRAIN;
use crate::message::{Extensions, Goodbye, Message, Scope};
use crate::registry::{ErrorCode, GoodbyeReason};

impl Relay {
    pub(super) fn stop(&mut self, conn: ConnId, stop: Stop) {
        match stop {
            Stop::Close(fault) => self.close(conn, fault),
            Stop::Leave(reason) => self.leave(conn, reason),
        }
    }

    /// Closes a connection with an error.
    pub(super) fn close(&mut self, conn: ConnId, fault: Fault) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let Fault { code, text } = fault;
        //= SES-94
        if !connection.said_goodbye {
            let retry = match code {
                ErrorCode::OVERLOADED => self.io.config.reconnect_after_ms,
                ErrorCode::RATE_LIMITED => self.io.config.rate_limited_ms,
                _ => 0,
            };
            connection.link.error(&mut self.io, 0, Scope::Connection, code, retry, &text);
        }
        self.end(conn, Ending::Error(code));
    }

    /// Turns a transport away that was just opened.
    pub(super) fn turn_away(&mut self, conn: ConnId, framing: Framing) {
        let mut link = Link::new(conn, framing, self.io.ms());
        let ending = if self.shutting_down {
            let goodbye = self.goodbye(GoodbyeReason::RESTARTING);
            link.send(&mut self.io, 0, &goodbye);
            Ending::GoingDown
        } else {
            let retry = self.io.config.reconnect_after_ms;
            let text = "this relay has too many connections";
            link.error(&mut self.io, 0, Scope::Connection, ErrorCode::OVERLOADED, retry, text);
            Ending::Error(ErrorCode::OVERLOADED)
        };
        self.io.put(Output::Close { conn, ending });
    }

    /// Ends a connection in order: nothing more is taken, what was taken is acknowledged, then comes goodbye.
    //= SES-95
    pub(super) fn leave(&mut self, conn: ConnId, reason: GoodbyeReason) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if connection.leaving.is_some() || connection.state() == State::Draining {
            return;
        }
        connection.leaving = Some(reason);
        connection.patience = self.io.ms().saturating_add(DRAIN);
        self.end_reading(conn);
        self.go_on_leaving(conn);
        self.rearm(conn);
    }

    /// The peer said goodbye.
    //= SES-97
    pub(super) fn goodbye_received(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if connection.session.is_none() {
            return self.end(conn, self.ending());
        }
        connection.change(Event::Goodbye);
        connection.leaving = None;
        connection.patience = self.io.ms().saturating_add(DRAIN);
        self.end_reading(conn);
        self.go_on_leaving(conn);
        self.rearm(conn);
    }

    /// Sends nothing more from the log.
    fn end_reading(&mut self, conn: ConnId) {
        let Some(active) = self.active(conn) else { return };
        for number in active.session.subscriptions.end() {
            active.database.live.remove(&(conn, number));
        }
        active.session.requests.end();
    }

    /// Takes the next step of a connection that is being ended, if it is.
    pub(super) fn go_on_leaving(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        if connection.session.as_ref().is_some_and(|session| !session.pushing.is_idle()) {
            return;
        }
        let Some(reason) = connection.leaving.take() else {
            // The peer said goodbye, and has its acks.
            if connection.state() == State::Draining && !connection.said_goodbye {
                self.end(conn, self.ending());
            }
            return;
        };
        let goodbye = self.goodbye(reason);
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        connection.link.send(&mut self.io, 0, &goodbye);
        connection.said_goodbye = true;
        if connection.session.is_none() {
            return self.end(conn, self.ending());
        }
        connection.change(Event::Goodbye);
        connection.patience = self.io.ms().saturating_add(DRAIN);
        self.rearm(conn);
    }

    fn goodbye(&self, reason: GoodbyeReason) -> Message<'static> {
        let (reconnect_after, jitter) = (self.io.config.reconnect_after_ms, self.io.config.jitter_ms);
        Message::Goodbye(Goodbye { reason, reconnect_after, jitter, extensions: Extensions::EMPTY })
    }

    /// How a connection ends that ends in order.
    pub(super) const fn ending(&self) -> Ending {
        if self.shutting_down { Ending::GoingDown } else { Ending::Done }
    }

    /// Closes the transport, and forgets the connection.
    pub(super) fn end(&mut self, conn: ConnId, ending: Ending) {
        self.io.put(Output::Close { conn, ending });
        self.forget(conn);
    }

    /// Forgets a connection. Appends under way go on.
    pub(super) fn forget(&mut self, conn: ConnId) {
        let Some(mut connection) = self.connections.remove(&conn) else { return };
        connection.link.disarm(&mut self.io);
        if connection.session.is_none() {
            self.opening -= 1;
        }
        if let Some(principal) = connection.principal()
            && let Some(connected) = self.principals.get_mut(principal)
        {
            *connected -= 1;
            if *connected == 0 {
                self.principals.remove(principal);
            }
        }
        let Some((id, node)) = connection.place() else { return };
        let Some(database) = self.databases.get_mut(&id) else { return };
        if let Some(session) = &mut connection.session {
            for number in session.subscriptions.end() {
                database.live.remove(&(conn, number));
            }
        }
        if let Some(entry) = database.nodes.get_mut(&node) {
            entry.opening.retain(|other| *other != conn);
            entry.conn = entry.conn.filter(|other| *other != conn);
        }
        database.tidy(node);
        database.leave(&mut self.io);
    }

    /// The rights of a connection are others now.
    pub(super) fn rights_changed(&mut self, conn: ConnId, rights: Arc<Rights>) {
        if let Some(active) = self.active(conn) {
            active.session.rights = rights;
            let session = &*active.session;
            let may_read = |wanted: &_| session.may_read(wanted);
            let readable = |name: &str| session.rights.access(name).read;
            //= SES-92
            if !session.subscriptions.are_allowed(may_read)
                || !session.requests.are_allowed(may_read, readable)
            {
                self.leave(conn, GoodbyeReason::RESTARTING);
            }
        } else if let Some(connection) = self.connections.get_mut(&conn)
            && let Some(grant) = connection.opening.as_mut().and_then(|opening| opening.grant.as_mut())
        {
            grant.rights = rights;
        }
    }

    /// What became of an append is not known: all that was built on it is given up.
    //= RLY-8
    pub(super) fn log_lost(&mut self, id: DatabaseId) {
        let (name, conns) = if let Some(database) = self.databases.get_mut(&id) {
            database.disarm(&mut self.io);
            let nodes = database.nodes.values();
            let conns = nodes.flat_map(|node| node.conn.into_iter().chain(node.opening.iter().copied()));
            (database.name.clone(), conns.collect())
        } else if let Some(unopened) = self.unopened.get(&id) {
            (unopened.name.clone(), unopened.waiting.clone())
        } else {
            return;
        };
        let conns: Vec<ConnId> = conns;
        self.io.forget_database(id);
        for conn in conns {
            self.abandon_pushes(conn);
            self.leave(conn, GoodbyeReason::RESTARTING);
            // One that was ending already has no acks to wait for any more.
            self.go_on_leaving(conn);
        }
        self.databases.remove(&id);
        self.unopened.remove(&id);
        self.names.remove(&name);
        self.io.put(Output::CloseDatabase { database: id });
    }

    /// Gives up pushes whose outcome is not known: they get no ack.
    fn abandon_pushes(&mut self, conn: ConnId) {
        if let Some(active) = self.active(conn) {
            active.session.pushing.end();
        }
    }

    /// Closes a database that nobody uses.
    pub(super) fn database_due(&mut self, id: DatabaseId) {
        let Some(database) = self.databases.get_mut(&id) else { return };
        database.fired();
        if !database.is_idle() {
            return;
        }
        self.names.remove(&database.name);
        self.databases.remove(&id);
        self.io.forget_database(id);
        self.io.put(Output::CloseDatabase { database: id });
    }

    /// Ends all connections in order, and takes no other one.
    pub(super) fn shut_down(&mut self) {
        self.shutting_down = true;
        let conns: Vec<_> = self.connections.keys().copied().collect();
        for conn in conns {
            self.leave(conn, GoodbyeReason::RESTARTING);
        }
    }
}
