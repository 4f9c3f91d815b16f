//! The log of a database, in memory.

use core::num::NonZeroU64;
use std::collections::BTreeMap;

use blazedb_relay::block::BlockRef;
use blazedb_relay::merge::{Heard, State};
use blazedb_relay::message::{Mark, RestoreMode};
use blazedb_relay::relay::{Claim, Epoch, NodeAppend, StateCounts, StoredBlock};
use blazedb_relay::wire::{NodeId, NodeKey};
use bytes::Bytes;

#[derive(Debug, Default)]
pub(super) struct Log {
    epochs: Vec<Epoch>,
    nodes: BTreeMap<NodeId, (NodeKey, Mark)>,
    /// By first seq.
    blocks: BTreeMap<u64, Bytes>,
    head: u64,
}

impl Log {
    pub(super) const fn head(&self) -> u64 {
        self.head
    }

    pub(super) fn epochs(&self) -> Vec<Epoch> {
        self.epochs.clone()
    }

    /// None if the system has no randomness.
    pub(super) fn mint(&mut self) -> Option<Epoch> {
        loop {
            let id = NonZeroU64::new(getrandom::u64().ok()?);
            let Some(id) = id.filter(|id| self.epochs.iter().all(|epoch| epoch.id != *id)) else { continue };
            let epoch = Epoch { id, begins: self.head, mode: RestoreMode::Keep };
            self.epochs.push(epoch);
            return Some(epoch);
        }
    }

    pub(super) fn claim(&self, node: NodeId, key: NodeKey) -> Claim {
        match self.nodes.get(&node) {
            None => Claim::Yours(Mark::NONE),
            Some((own, mark)) if *own == key => Claim::Yours(*mark),
            Some(_) => Claim::NotYours,
        }
    }

    /// Gives the first seq; none if it does not build on what is there, and then nothing has changed.
    pub(super) fn append(&mut self, nodes: &[NodeAppend]) -> Option<u64> {
        let mut after = Vec::with_capacity(nodes.len());
        for append in nodes {
            let known = self.nodes.get(&append.node).copied();
            let key = known.map(|(key, _)| key).or_else(|| append.owner.as_ref().map(|owner| owner.key))?;
            //= RLY-6
            if known.map_or(Mark::NONE, |(_, mark)| mark) != append.builds_on {
                return None;
            }
            after.push((append.node, (key, append.mark)));
        }
        self.nodes.extend(after);
        let first_seq = self.head + 1;
        for block in nodes.iter().flat_map(|node| &node.blocks) {
            self.blocks.insert(self.head + 1, block.bytes.clone());
            self.head += u64::from(block.count);
        }
        Some(first_seq)
    }

    pub(super) fn read(&self, after: u64, max_bytes: usize) -> Vec<StoredBlock> {
        let first = self.blocks.range(..=after + 1).next_back().map_or(0, |(first_seq, _)| *first_seq);
        let mut blocks: Vec<StoredBlock> = Vec::new();
        let mut left = max_bytes;
        for (first_seq, bytes) in self.blocks.range(first..) {
            if !blocks.is_empty() && bytes.len() > left {
                break;
            }
            left = left.saturating_sub(bytes.len());
            blocks.push(StoredBlock { first_seq: *first_seq, bytes: bytes.clone() });
        }
        blocks
    }

    /// Merges everything, which nothing but this needs.
    pub(super) fn counts(&self) -> StateCounts {
        let (mut state, mut scratch) = (State::new(), Vec::new());
        for (first_seq, bytes) in &self.blocks {
            // The relay has checked them.
            let Ok(rows) = BlockRef::decode(bytes).and_then(|block| block.rows(&mut scratch)) else {
                continue;
            };
            for (op, seq) in rows.iter().zip(*first_seq..) {
                state.apply(&op, Heard::at(seq), &mut ());
            }
        }
        let live: Vec<_> = state.collections().map(|name| state.records(name).count() as u64).collect();
        StateCounts {
            seq: self.head,
            operations: self.head,
            nodes: self.nodes.len() as u64,
            live_records: live.iter().sum(),
            collections: live.iter().filter(|live| **live > 0).count() as u64,
        }
    }
}
