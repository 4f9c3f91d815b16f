//! What every part of a relay works with: the time, the choices, outputs, tickets and deadlines.

use alloc::borrow::Cow;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::ToString;

use super::config::Config;
use super::event::{ConnId, DatabaseId, Output, Ticket};
use super::page::Encoder;
use crate::error::DecodeError;
use crate::registry::{ErrorCode, GoodbyeReason};
use crate::time::Time;
use crate::wire::NodeId;

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// With an error: the peer did something wrong, or may not do it.
    Close(Fault),
    /// In order: it is no fault of the peer (SES-95).
    Leave(GoodbyeReason),
}

/// An error of connection scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) code: ErrorCode,
    /// For people: what was wrong, where, what to do.
    pub(super) text: Cow<'static, str>,
}

impl Fault {
    pub(super) const fn new(code: ErrorCode, text: &'static str) -> Self {
        Self { code, text: Cow::Borrowed(text) }
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Self { code: error.code, text: error.to_string().into() }
    }
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Self::Close(fault)
    }
}

/// Closes with `code`.
pub(super) const fn close<T>(code: ErrorCode, text: &'static str) -> Result<T, Stop> {
    Err(Stop::Close(Fault::new(code, text)))
}

/// What a ticket was given for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Who opens this connection?
    Authorize(ConnId),
    /// Who is it now? With the id of the request.
    Reauthorize(ConnId, u32),
    Open(DatabaseId),
    Node(DatabaseId, NodeId, ConnId),
    /// An append or a mint.
    Write(DatabaseId),
    /// Blocks after that seq.
    Read(DatabaseId, u64),
    /// The request that this connection's session is serving.
    Request(DatabaseId, ConnId),
}

/// Whose deadline it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Connection(ConnId),
    Database(DatabaseId),
}

/// A deadline that never comes.
pub(super) const NEVER: u64 = u64::MAX;

#[derive(Debug)]
pub(super) struct Io {
    pub(super) config: Config,
    /// Of the input that is being handled.
    pub(super) now: Time,
    pub(super) encoder: Encoder,
    outputs: VecDeque<Output>,
    asked: BTreeMap<Ticket, Asked>,
    tickets: u64,
    deadlines: BTreeSet<(u64, Due)>,
    /// State of the generator that chooses grease; 0 if none is sent.
    grease: u64,
}

impl Io {
    pub(super) fn new(config: Config) -> Self {
        Self {
            now: Time { monotonic_ms: 0, unix_ms: 0 },
            encoder: Encoder::default(),
            outputs: VecDeque::new(),
            asked: BTreeMap::new(),
            tickets: 0,
            deadlines: BTreeSet::new(),
            // The generator stands still at 0.
            grease: config.grease_seed.map_or(0, |seed| seed.max(1)),
            config,
        }
    }

    /// Milliseconds on the monotonic clock.
    pub(super) const fn ms(&self) -> u64 {
        self.now.monotonic_ms
    }

    pub(super) fn put(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(super) fn pop(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// True if nothing is to be done, waited for or answered.
    pub(super) fn is_idle(&self) -> bool {
        self.outputs.is_empty() && self.asked.is_empty() && self.deadlines.is_empty()
    }

    pub(super) fn is_drained(&self) -> bool {
        self.outputs.is_empty()
    }

    /// Asks something of whoever drives the relay.
    pub(super) fn ask(&mut self, asked: Asked, output: impl FnOnce(Ticket) -> Output) {
        let ticket = Ticket(self.tickets);
        self.tickets += 1;
        self.asked.insert(ticket, asked);
        self.put(output(ticket));
    }

    /// What the ticket of an answer was for. `None` if it is for nothing any more.
    pub(super) fn answered(&mut self, ticket: Ticket) -> Option<Asked> {
        debug_assert!(ticket.0 < self.tickets, "{ticket:?} was never given");
        self.asked.remove(&ticket)
    }

    /// Forgets the tickets of a database: they need no answers.
    pub(super) fn forget_database(&mut self, gone: DatabaseId) {
        self.asked.retain(|_, asked| match asked {
            Asked::Open(database)
            | Asked::Node(database, ..)
            | Asked::Write(database)
            | Asked::Read(database, _)
            | Asked::Request(database, _) => *database != gone,
            Asked::Authorize(_) | Asked::Reauthorize(..) => true,
        });
    }

    /// Sees to it that `due` is looked at when `at` comes. `armed` is when it would be looked at anyway;
    /// it is then that a later deadline is found, so that most changes cost nothing.
    pub(super) fn arm(&mut self, armed: &mut u64, at: u64, due: Due) {
        if at < *armed {
            self.disarm(armed, due);
            *armed = at;
            self.deadlines.insert((at, due));
        }
    }

    pub(super) fn disarm(&mut self, armed: &mut u64, due: Due) {
        if *armed != NEVER {
            self.deadlines.remove(&(*armed, due));
            *armed = NEVER;
        }
    }

    /// Takes the first deadline if it has come.
    pub(super) fn due(&mut self) -> Option<Due> {
        let (at, due) = *self.deadlines.first()?;
        if at > self.ms() {
            return None;
        }
        self.deadlines.pop_first();
        Some(due)
    }

    pub(super) fn next_deadline(&self) -> Option<u64> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// A random code point whose low byte is `5B`, in one of sixteen calls.
    pub(super) const fn grease(&mut self) -> Option<u16> {
        // xorshift64: good enough to choose grease.
        self.grease ^= self.grease << 13;
        self.grease ^= self.grease >> 7;
        self.grease ^= self.grease << 17;
        let [.., high, low] = self.grease.to_be_bytes();
        if self.grease == 0 || low & 15 != 0 { None } else { Some(u16::from_be_bytes([high | 1, 0x5B])) }
    }
}
