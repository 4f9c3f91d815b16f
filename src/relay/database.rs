//! An open database: its log's end, its nodes, and who waits for what.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::append::Writer;
use super::event::{ConnId, DatabaseId, Output};
use super::history::History;
use super::io::{Asked, Due, Io, NEVER};
use super::page::Tail;
use crate::wire::{DatabaseName, NodeId};

/// A database that is being opened.
#[derive(Debug)]
pub(super) struct Unopened {
    pub(super) name: DatabaseName,
    /// Connections that want to use it.
    pub(super) waiting: Vec<ConnId>,
}

#[derive(Debug)]
pub(super) struct Database {
    pub(super) id: DatabaseId,
    pub(super) name: DatabaseName,
    pub(super) history: History,
    pub(super) tail: Tail,
    pub(super) nodes: BTreeMap<NodeId, Node>,
    pub(super) writer: Writer,
    /// Subscriptions that wait for the log to grow.
    pub(super) live: BTreeSet<(ConnId, u32)>,
    /// Who waits for blocks behind which seq: readers at the same place share a read.
    reads: BTreeMap<u64, Vec<Reader>>,
    /// Connections that use it.
    pub(super) users: usize,
    armed: u64,
}

/// What a connection does with blocks that were read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Subscription(ConnId, u32),
    Pull(ConnId),
}

/// A node that is connected, wants to be, or has appends under way.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// Whose it is now.
    pub(super) conn: Option<ConnId>,
    /// Connections whose handshake names it, in their order. The first one is being settled.
    pub(super) opening: Vec<ConnId>,
    /// Whether the store was asked about the first one.
    pub(super) loading: bool,
    /// Appends without an outcome that hold blocks of it.
    pub(super) appends: u8,
    /// Which of the groups that wait for the next append is its.
    pub(super) pending: Option<usize>,
}

impl Node {
    const fn is_idle(&self) -> bool {
        self.conn.is_none() && self.opening.is_empty() && !self.loading && self.appends == 0
    }
}

impl Database {
    pub(super) const fn new(id: DatabaseId, name: DatabaseName, history: History) -> Self {
        Self {
            id,
            name,
            history,
            tail: Tail::new(),
            nodes: BTreeMap::new(),
            writer: Writer::new(),
            live: BTreeSet::new(),
            reads: BTreeMap::new(),
            users: 0,
            armed: NEVER,
        }
    }

    /// Forgets a node if nothing is to be known of it any more.
    pub(super) fn tidy(&mut self, node: NodeId) {
        if self.nodes.get(&node).is_some_and(Node::is_idle) {
            self.nodes.remove(&node);
        }
    }

    /// Reads the blocks behind `after` for `reader`.
    pub(super) fn read(&mut self, io: &mut Io, after: u64, max_bytes: u64, reader: Reader) {
        let database = self.id;
        let readers = self.reads.entry(after).or_insert_with(|| {
            let max_bytes = usize::try_from(max_bytes).unwrap_or(usize::MAX).min(io.config.read_bytes);
            io.ask(Asked::Read(database, after), |ticket| Output::Read {
                ticket,
                database,
                after,
                max_bytes,
            });
            Vec::new()
        });
        readers.push(reader);
    }

    /// Who waited for the blocks behind `after`.
    pub(super) fn readers(&mut self, after: u64) -> Vec<Reader> {
        self.reads.remove(&after).unwrap_or_default()
    }

    /// Whether nobody uses it and nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.users == 0 && self.writer.is_idle()
    }

    /// A connection uses it no more.
    pub(super) fn leave(&mut self, io: &mut Io) {
        self.users = self.users.saturating_sub(1);
        if self.users == 0 {
            self.wait(io);
        }
    }

    /// Looks after a while whether it is idle.
    pub(super) fn wait(&mut self, io: &mut Io) {
        let at = io.ms().saturating_add(io.config.database_idle_ms);
        io.arm(&mut self.armed, at, Due::Database(self.id));
    }

    /// Its deadline was taken.
    pub(super) const fn fired(&mut self) {
        self.armed = NEVER;
    }

    pub(super) fn disarm(&mut self, io: &mut Io) {
        io.disarm(&mut self.armed, Due::Database(self.id));
    }
}
