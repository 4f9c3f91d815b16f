//! Timers (SPEC.md 10.2). Each connection stands in one map of deadlines, at the earliest of its own or
//! before: what only moves a deadline back, as every byte that comes does, changes nothing there.

use super::Relay;
use super::event::ConnId;
use super::io::{Due, Fault, NEVER};
use super::session::Connection;
use super::state::State;
use crate::message::{Extensions, Message, Ping};
use crate::registry::ErrorCode;

/// Milliseconds for what is left to do at the end.
pub(super) const DRAIN: u64 = 5_000;
/// Milliseconds after the end of credentials in which new ones may come (SES-91).
pub(super) const EXPIRY_GRACE: u64 = 30_000;
/// Heartbeats without a byte after which a peer is gone.
const IDLE: u64 = 3;
/// Deadlines that one input looks at. The rest follow at once, with the next one.
const AT_ONCE: usize = 1_024;

/// When each timer of a connection ends; [`NEVER`] for those that do not run.
struct Ends {
    /// The handshake or drain timer.
    patience: u64,
    heartbeat: u64,
    idle: u64,
    stuck: u64,
    expiry: u64,
    /// That a position moves (SES-87).
    moving: u64,
}

impl Ends {
    //= SES-7
    fn of(connection: &Connection, heartbeat: u64) -> Self {
        let Connection { link, session, patience, .. } = connection;
        let mut ends = Self {
            patience: *patience,
            heartbeat: NEVER,
            idle: NEVER,
            stuck: NEVER,
            expiry: NEVER,
            moving: NEVER,
        };
        if matches!(connection.state(), State::Active | State::Draining) {
            ends.idle = link.heard_at.saturating_add(IDLE * heartbeat);
        }
        if connection.state() == State::Active {
            ends.heartbeat = link.heard_at.max(link.pinged_at).saturating_add(heartbeat);
            if link.is_waiting() {
                ends.stuck = link.flushed_at.saturating_add(IDLE * heartbeat);
            }
            if let Some(session) = session {
                ends.expiry = session.expires_at;
                ends.moving = session.subscriptions.next_move();
            }
        }
        ends
    }

    fn first(&self) -> u64 {
        let Self { patience, heartbeat, idle, stuck, expiry, moving } = *self;
        patience.min(heartbeat).min(idle).min(stuck).min(expiry).min(moving)
    }
}

impl Relay {
    fn heartbeat(&self) -> u64 {
        u64::from(self.io.config.heartbeat.milliseconds())
    }

    /// Sees to it that the connection's timers are looked at when the first of them ends.
    pub(super) fn rearm(&mut self, conn: ConnId) {
        let heartbeat = self.heartbeat();
        if let Some(connection) = self.connections.get_mut(&conn) {
            let first = Ends::of(connection, heartbeat).first();
            connection.link.arm(&mut self.io, first);
        }
    }

    /// Does what is due.
    pub(super) fn timeout(&mut self) {
        for _ in 0..AT_ONCE {
            match self.io.due() {
                Some(Due::Connection(conn)) => self.connection_due(conn),
                Some(Due::Database(database)) => self.database_due(database),
                None => return,
            }
        }
    }

    fn connection_due(&mut self, conn: ConnId) {
        let (now, heartbeat) = (self.io.ms(), self.heartbeat());
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        connection.link.fired();
        let ends = Ends::of(connection, heartbeat);
        if ends.patience <= now {
            return if connection.state() == State::Waiting {
                let text = "no handshake came in time";
                self.close(conn, Fault::new(ErrorCode::HANDSHAKE_TIMEOUT, text));
            } else {
                self.end(conn, self.ending());
            };
        }
        if ends.idle <= now {
            return self.close(conn, Fault::new(ErrorCode::IDLE_TIMEOUT, "nothing was heard for too long"));
        }
        if ends.stuck <= now {
            let text = "nothing was read for too long";
            return self.close(conn, Fault::new(ErrorCode::IDLE_TIMEOUT, text));
        }
        if ends.expiry <= now {
            let text = "the credentials have ended";
            return self.close(conn, Fault::new(ErrorCode::TOKEN_EXPIRED, text));
        }
        if ends.heartbeat <= now {
            connection.link.pinged_at = now;
            let ping = Ping { nonce: now, extensions: Extensions::EMPTY };
            connection.link.send(&mut self.io, 0, &Message::Ping(ping));
        }
        if ends.moving <= now
            && let Some(session) = &connection.session
        {
            for number in session.subscriptions.moving(now) {
                self.deliver(conn, number, None);
            }
        }
        self.rearm(conn);
    }
}
