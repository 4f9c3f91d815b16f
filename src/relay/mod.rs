//! The relay's end of the protocol, for many connections and many databases (SPEC.md 10 and 11).
//!
//! A state machine without sockets, clock, randomness, tasks or files. It is told what happened
//! ([`Input`]) and says what is to be done ([`Output`]):
//!
//! ```text
//! loop {
//!     relay.handle(now, input);                           // one input
//!     while let Some(output) = relay.poll_output() { .. } // then all outputs, in order
//!     timer.set(relay.poll_timeout());                    // then the timer, in monotonic milliseconds
//! }
//! ```
//!
//! The contract:
//! 1. Outputs are drained before the next input.
//! 2. The monotonic time never decreases.
//! 3. The same inputs give the same outputs, byte for byte.
//! 4. No input is an error: what a peer does wrong becomes outputs to that peer; what the caller does wrong
//!    is asserted in debug builds and ignored in others.
//! 5. The work for an input is bounded, at most in proportion to the bytes received or the readers that
//!    something new is for.
//! 6. A ticket gets one answer. Answers to tickets may come in any order, but appends and mints of one
//!    database come one at a time.

mod append;
mod config;
mod database;
mod ending;
mod event;
mod history;
mod io;
mod link;
mod opening;
mod page;
mod push;
mod receive;
mod requests;
mod rights;
mod session;
mod state;
mod subscription;
mod timers;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

pub use config::Config;
pub use event::{
    AppendBlock, Claim, ConnId, Credentials, DatabaseId, Ending, Framing, Input, NodeAppend, Output, Owner,
    Principal, QueryFrame, StateCounts, StoredBlock, Ticket,
};
pub use history::Epoch;
pub use rights::{Access, Rights};
pub use state::{CHANGES, Event, State, TAKEN};

use crate::registry::ErrorCode;
use crate::time::Time;
use crate::wire::DatabaseName;
use database::{Database, Reader, Unopened};
use io::{Asked, Fault, Io};
use page::{LogBlock, log_blocks};
use session::{Active, Connection, Connections};

/// The relay's end of all connections.
#[derive(Debug)]
pub struct Relay {
    io: Io,
    connections: Connections,
    databases: BTreeMap<DatabaseId, Database>,
    unopened: BTreeMap<DatabaseId, Unopened>,
    /// Of those in both.
    names: BTreeMap<DatabaseName, DatabaseId>,
    /// How many databases were opened so far.
    database_ids: u64,
    /// Connections of each principal.
    principals: BTreeMap<Principal, usize>,
    /// Connections before welcome.
    opening: usize,
    shutting_down: bool,
}

impl Relay {
    /// A relay without connections. Choices that would break a rule are raised to the least that does
    /// not.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            io: Io::new(config.legal()),
            connections: BTreeMap::new(),
            databases: BTreeMap::new(),
            unopened: BTreeMap::new(),
            names: BTreeMap::new(),
            database_ids: 0,
            principals: BTreeMap::new(),
            opening: 0,
            shutting_down: false,
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Time, input: Input) {
        debug_assert!(self.io.is_drained(), "outputs are drained before the next input");
        debug_assert!(now.monotonic_ms >= self.io.ms(), "monotonic time never decreases");
        self.io.now = Time { monotonic_ms: now.monotonic_ms.max(self.io.ms()), ..now };
        match input {
            Input::Opened { conn, framing } => self.opened(conn, framing),
            Input::Received { conn, bytes } => self.received(conn, bytes),
            Input::Flushed { conn, bytes } => self.flushed(conn, bytes),
            Input::Closed { conn } => self.forget(conn),
            Input::Timeout => self.timeout(),
            Input::LogLost { database } => self.log_lost(database),
            Input::RightsChanged { conn, rights } => self.rights_changed(conn, rights),
            Input::Shutdown => self.shut_down(),
            Input::Authorized { .. }
            | Input::DatabaseOpened { .. }
            | Input::NodeLoaded { .. }
            | Input::Appended { .. }
            | Input::BlocksRead { .. }
            | Input::EpochMinted { .. }
            | Input::Rows { .. }
            | Input::StateCounted { .. }
            | Input::Failed { .. } => self.answered(input),
        }
        self.io.encoder.clear();
    }

    /// What is to be done next; `None` when that was all.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.io.pop()
    }

    /// When [`Input::Timeout`] is to be given, in monotonic milliseconds. May change with every input.
    /// There may be nothing to do then but to find a later time.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        self.io.next_deadline()
    }

    /// How many connections there are.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    /// True if it knows nothing any more: no connection, no open database, no question without an answer,
    /// no timer.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.connections.is_empty()
            && self.databases.is_empty()
            && self.unopened.is_empty()
            && self.names.is_empty()
            && self.principals.is_empty()
            && self.opening == 0
            && self.io.is_idle()
    }

    fn opened(&mut self, conn: ConnId, framing: Framing) {
        if self.connections.contains_key(&conn) {
            debug_assert!(false, "{conn:?} is open already");
            return;
        }
        //= RLY-51
        let config = &self.io.config;
        let full = self.connections.len() >= config.connections || self.opening >= config.opening;
        if full || self.shutting_down {
            return self.turn_away(conn, framing);
        }
        let now = self.io.ms();
        let patience = now.saturating_add(self.io.config.handshake_ms.into());
        self.connections.insert(conn, Box::new(Connection::new(conn, framing, now, patience)));
        self.opening += 1;
        self.rearm(conn);
    }

    /// The session of an active connection, with all that it works on. Not while it is being closed by an
    /// error, nor if its database was lost.
    fn active(&mut self, conn: ConnId) -> Option<Active<'_>> {
        let Connection { link, session, .. } = &mut **self.connections.get_mut(&conn)?;
        let session = session.as_deref_mut()?;
        let database = self.databases.get_mut(&session.database)?;
        Some(Active { link, session, database, io: &mut self.io })
    }

    /// Does something with a session, and ends the connection if it must.
    fn with<F>(&mut self, conn: ConnId, work: F)
    where
        F: FnOnce(&mut Active<'_>) -> Result<(), io::Stop>,
    {
        if let Some(mut active) = self.active(conn)
            && let Err(stop) = work(&mut active)
        {
            self.stop(conn, stop);
        }
    }

    /// An answer to a ticket came. Whoever waited for it may have gone meanwhile.
    fn answered(&mut self, input: Input) {
        match input {
            Input::Authorized { ticket, principal, rights, valid_until_ms } => {
                let asked = self.io.answered(ticket);
                let grant = self.grant(principal, rights, valid_until_ms);
                match (asked, grant) {
                    (Some(Asked::Authorize(conn)), Some((grant, _))) => self.authorized(conn, grant),
                    (Some(Asked::Reauthorize(conn, id)), Some((grant, seconds))) => {
                        self.reauthorized(conn, id, grant, seconds);
                    }
                    (Some(Asked::Authorize(conn) | Asked::Reauthorize(conn, _)), None) => {
                        let text = "the credentials have ended";
                        self.close(conn, Fault::new(ErrorCode::TOKEN_EXPIRED, text));
                    }
                    (asked, _) => mismatch(asked),
                }
            }
            Input::DatabaseOpened { ticket, head, epochs } => match self.io.answered(ticket) {
                Some(Asked::Open(database)) => self.database_opened(database, head, epochs),
                asked => mismatch(asked),
            },
            Input::NodeLoaded { ticket, claim } => match self.io.answered(ticket) {
                Some(Asked::Node(database, node, conn)) => {
                    self.node_loaded(database, node, conn, Some(claim));
                }
                asked => mismatch(asked),
            },
            Input::Appended { ticket, first_seq } => match self.io.answered(ticket) {
                Some(Asked::Write(database)) => self.appended(database, first_seq),
                asked => mismatch(asked),
            },
            Input::EpochMinted { ticket, epoch } => match self.io.answered(ticket) {
                Some(Asked::Write(database)) => self.minted(database, epoch),
                asked => mismatch(asked),
            },
            Input::BlocksRead { ticket, blocks } => match self.io.answered(ticket) {
                Some(Asked::Read(database, after)) => self.blocks_read(database, after, blocks),
                asked => mismatch(asked),
            },
            Input::Rows { ticket, at, tables, cursor } => match self.io.answered(ticket) {
                Some(Asked::Request(_, conn)) => self.with(conn, |active| active.rows(at, &tables, &cursor)),
                asked => mismatch(asked),
            },
            Input::StateCounted { ticket, counts } => match self.io.answered(ticket) {
                Some(Asked::Request(_, conn)) => self.with(conn, |active| active.counted(counts)),
                asked => mismatch(asked),
            },
            Input::Failed { ticket, code } => self.failed(ticket, code),
            Input::Opened { .. }
            | Input::Received { .. }
            | Input::Flushed { .. }
            | Input::Closed { .. }
            | Input::Timeout
            | Input::LogLost { .. }
            | Input::RightsChanged { .. }
            | Input::Shutdown => {}
        }
    }

    /// What was asked could not be done.
    fn failed(&mut self, ticket: Ticket, code: ErrorCode) {
        match self.io.answered(ticket) {
            Some(Asked::Authorize(conn)) => self.not_authorized(conn, code),
            Some(Asked::Reauthorize(conn, id)) => self.not_reauthorized(conn, id, code),
            Some(Asked::Open(database)) => self.database_failed(database, code),
            Some(Asked::Node(database, node, conn)) => self.node_loaded(database, node, conn, None),
            Some(Asked::Write(database)) => self.write_failed(database),
            Some(Asked::Read(database, after)) => self.read_failed(database, after),
            Some(Asked::Request(_, conn)) => self.with(conn, |active| active.failed(code)),
            None => {}
        }
    }

    /// Sends what is new to those who wait for it.
    fn deliver_live(&mut self, id: DatabaseId) {
        let Some(database) = self.databases.get(&id) else { return };
        let live: Vec<_> = database.live.iter().copied().collect();
        for (conn, number) in live {
            self.deliver(conn, number, None);
        }
    }

    fn deliver(&mut self, conn: ConnId, number: u32, read: Option<&[LogBlock]>) {
        self.with(conn, |active| active.deliver(number, read));
    }

    /// Blocks behind `after` came from the store.
    fn blocks_read(&mut self, id: DatabaseId, after: u64, blocks: Vec<StoredBlock>) {
        let Some(database) = self.databases.get(&id) else { return };
        let Some(blocks) = log_blocks(after, database.history.head(), blocks) else {
            debug_assert!(false, "a read gives the blocks that the log has there");
            return self.read_failed(id, after);
        };
        for reader in self.readers(id, after) {
            match reader {
                Reader::Subscription(conn, number) => self.deliver(conn, number, Some(&blocks)),
                Reader::Pull(conn) => self.with(conn, |active| {
                    active.pulled(&blocks)?;
                    active.serve()
                }),
            }
        }
    }

    fn read_failed(&mut self, id: DatabaseId, after: u64) {
        for reader in self.readers(id, after) {
            let (Reader::Subscription(conn, _) | Reader::Pull(conn)) = reader;
            self.with(conn, |active| active.read_failed(reader));
        }
    }

    fn readers(&mut self, id: DatabaseId, after: u64) -> Vec<Reader> {
        self.databases.get_mut(&id).map(|database| database.readers(after)).unwrap_or_default()
    }
}

/// The answer does not fit the question: the caller's fault.
fn mismatch(asked: Option<Asked>) {
    debug_assert!(asked.is_none(), "this does not answer {asked:?}");
}

#[cfg(test)]
mod tests;
