//! Making pushes durable: one write of a database at a time, and what arrives meanwhile shares the next
//! (RLY-7).

use alloc::vec::Vec;

use super::Relay;
use super::database::Database;
use super::event::{AppendBlock, ConnId, DatabaseId, NodeAppend, Output, Owner};
use super::history::Epoch;
use super::io::{Asked, Io};
use super::page::LogBlock;
use super::push;
use super::session::Session;
use crate::message::Mark;
use crate::mutant::Mutant;
use crate::registry::GoodbyeReason;
use crate::wire::NodeId;

/// What a database has under way to its store.
#[derive(Debug)]
pub(super) struct Writer {
    under_way: Option<Write>,
    /// For the next append.
    pending: Vec<Group>,
    /// Bytes of blocks in it.
    pending_bytes: usize,
    /// Connections that wait for a new epoch, each with what welcome will tell it.
    minting: Vec<(ConnId, Mark)>,
}

#[derive(Debug)]
enum Write {
    Append(Vec<Group>),
    /// For those connections.
    Mint(Vec<(ConnId, Mark)>),
}

/// What one connection pushed of one append.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) node: NodeId,
    pub(super) conn: ConnId,
    owner: Option<Owner>,
    builds_on: Mark,
    /// The last operation, refused or not.
    pub(super) mark: Mark,
    /// Those to be stored.
    pub(super) blocks: Vec<LogBlock>,
    /// How many pushes it is.
    pub(super) pushes: usize,
    /// Bytes of their blocks.
    pub(super) bytes: usize,
}

impl Writer {
    pub(super) const fn new() -> Self {
        Self { under_way: None, pending: Vec::new(), pending_bytes: 0, minting: Vec::new() }
    }

    pub(super) const fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    pub(super) const fn add_pending(&mut self, bytes: usize) {
        self.pending_bytes += bytes;
    }

    /// The mark that a node will have when what is under way is durable.
    pub(super) fn mark_under_way(&self, node: NodeId) -> Option<Mark> {
        let Some(Write::Append(groups)) = &self.under_way else { return None };
        groups.iter().find(|group| group.node == node).map(|group| group.mark)
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.under_way.is_none()
    }

    /// Has an epoch minted before `conn` is welcomed.
    pub(super) fn mint(&mut self, conn: ConnId, mark: Mark) {
        self.minting.push((conn, mark));
    }
}

impl Database {
    /// What `session` adds to the next append.
    pub(super) fn group(&mut self, conn: ConnId, session: &Session) -> &mut Group {
        let Self { nodes, writer, .. } = self;
        let node = nodes.entry(session.node).or_default();
        let index = *node.pending.get_or_insert_with(|| {
            node.appends += 1;
            writer.pending.push(Group {
                node: session.node,
                conn,
                owner: push::owner(session),
                builds_on: session.pushing.taken(),
                mark: session.pushing.taken(),
                blocks: Vec::new(),
                pushes: 0,
                bytes: 0,
            });
            writer.pending.len() - 1
        });
        &mut writer.pending[index]
    }

    /// Begins the next write if none is under way. What is pending by now is one append. It waits for
    /// nothing that is read.
    //= RLY-7
    //= RLY-52
    pub(super) fn write(&mut self, io: &mut Io) {
        if self.writer.under_way.is_some() {
            return;
        }
        let database = self.id;
        if !self.writer.minting.is_empty() {
            self.writer.under_way = Some(Write::Mint(core::mem::take(&mut self.writer.minting)));
            io.ask(Asked::Write(database), |ticket| Output::MintEpoch { ticket, database });
            return;
        }
        if self.writer.pending.is_empty() {
            return;
        }
        let groups = core::mem::take(&mut self.writer.pending);
        self.writer.pending_bytes = 0;
        for group in &groups {
            if let Some(node) = self.nodes.get_mut(&group.node) {
                node.pending = None;
            }
        }
        let nodes = groups.iter().map(Group::to_append).collect();
        io.ask(Asked::Write(database), |ticket| Output::Append { ticket, database, nodes });
        self.writer.under_way = Some(Write::Append(groups));
    }

    /// An append of `node` has an outcome.
    fn settled(&mut self, node: NodeId) {
        if let Some(node) = self.nodes.get_mut(&node) {
            node.appends -= 1;
        }
    }

    /// Takes what waits for the next append and builds on what certainly failed.
    fn abandon(&mut self, failed: &[Group]) {
        for group in failed {
            self.settled(group.node);
            let Some(node) = self.nodes.get_mut(&group.node) else { continue };
            if node.pending.take().is_some() {
                node.appends -= 1;
            }
        }
        let Self { nodes, writer, .. } = self;
        writer.pending.retain(|group| nodes.get(&group.node).is_some_and(|node| node.pending.is_some()));
        writer.pending_bytes = writer.pending.iter().map(|group| group.bytes).sum();
        for (index, group) in writer.pending.iter().enumerate() {
            if let Some(node) = nodes.get_mut(&group.node) {
                node.pending = Some(index);
            }
        }
    }
}

impl Group {
    /// Mark and blocks together, so that they are one transaction.
    //= RLY-5
    fn to_append(&self) -> NodeAppend {
        let block = |block: &LogBlock| AppendBlock {
            first_node_seq: block.header.first_node_seq,
            count: block.header.count,
            bytes: block.bytes.clone(),
        };
        NodeAppend {
            node: self.node,
            owner: self.owner.clone(),
            //= RLY-6
            builds_on: self.builds_on,
            mark: self.mark,
            blocks: self.blocks.iter().map(block).collect(),
        }
    }
}

impl Relay {
    /// An append is durable: now and not before it is acknowledged and delivered.
    //= RLY-4
    pub(super) fn appended(&mut self, id: DatabaseId, first_seq: u64) {
        let Some(database) = self.databases.get_mut(&id) else { return };
        let groups = match database.writer.under_way.take() {
            Some(Write::Append(groups)) if first_seq == database.history.head() + 1 => groups,
            _ => {
                debug_assert!(false, "an append begins behind the head");
                self.log_lost(id);
                return;
            }
        };
        //= RLY-3
        let mut next = first_seq;
        let mut starts = Vec::with_capacity(groups.len());
        for group in &groups {
            starts.push(next);
            for block in &group.blocks {
                let block = block.at(next);
                next = block.last_seq() + 1;
                database.tail.push(block, self.io.config.tail_bytes);
            }
            database.settled(group.node);
        }
        database.history.grow(next - 1);

        //= RLY-43
        for (group, start) in groups.iter().zip(starts) {
            if let Some(mut active) = self.active(group.conn) {
                active.appended(group, start);
            }
        }
        self.next_write(id);
        self.deliver_live(id);
        self.after_append(id, &groups);
    }

    /// A write certainly had no effect.
    pub(super) fn write_failed(&mut self, id: DatabaseId) {
        let Some(database) = self.databases.get_mut(&id) else { return };
        match database.writer.under_way.take() {
            Some(Write::Append(groups)) => {
                if Mutant::AppendAfterFailure.is_on() {
                    groups.iter().for_each(|group| database.settled(group.node));
                } else {
                    database.abandon(&groups);
                }
                for group in &groups {
                    if let Some(mut active) = self.active(group.conn) {
                        active.append_failed();
                    }
                }
                self.next_write(id);
                self.after_append(id, &groups);
            }
            Some(Write::Mint(waiting)) => {
                for (conn, _) in waiting {
                    self.leave(conn, GoodbyeReason::RESTARTING);
                }
                self.next_write(id);
            }
            None => debug_assert!(false, "no write was under way"),
        }
    }

    /// An epoch was minted.
    pub(super) fn minted(&mut self, id: DatabaseId, epoch: Epoch) {
        let Some(database) = self.databases.get_mut(&id) else { return };
        let waiting = match database.writer.under_way.take() {
            Some(Write::Mint(waiting)) if database.history.mint(epoch) => waiting,
            _ => {
                debug_assert!(false, "a new epoch begins at the head");
                self.log_lost(id);
                return;
            }
        };
        for (conn, mark) in waiting {
            self.welcome(conn, mark);
        }
        self.next_write(id);
    }

    fn next_write(&mut self, id: DatabaseId) {
        if let Some(database) = self.databases.get_mut(&id) {
            database.write(&mut self.io);
        }
    }

    /// Goes on with what waited for the outcome of an append.
    fn after_append(&mut self, id: DatabaseId, groups: &[Group]) {
        for group in groups {
            self.go_on_leaving(group.conn);
            self.settle_node(id, group.node);
        }
        if let Some(database) = self.databases.get_mut(&id)
            && database.is_idle()
        {
            database.wait(&mut self.io);
        }
    }
}
