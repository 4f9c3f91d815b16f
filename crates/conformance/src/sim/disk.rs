//! What a client keeps durably, as rows. It checks each change, so that a client that forgets what it may
//! not forget is found at once.

use std::collections::{BTreeMap, BTreeSet};

use blazedb_relay::client::{Change, CollectionSet, Node, Queued, Rejected, RejectedKey, Seen};
use blazedb_relay::merge::{Entry, Heard, Path};
use blazedb_relay::wire::{Position, Timestamp};
use uuid::Uuid;

use crate::merge::Model;

type Register = (Timestamp, Box<[u8]>, Heard);
type CounterKey = (Path, Uuid, Timestamp);

/// The rows of a client. A clone is a backup, or a copied phone.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    node: Option<Node>,
    outbox: BTreeMap<u64, Queued>,
    rejected: BTreeMap<RejectedKey, Rejected>,
    registers: BTreeMap<Path, Register>,
    counters: BTreeMap<CounterKey, (Timestamp, i64, Heard)>,
    positions: BTreeMap<CollectionSet, Position>,
    seen: Option<Seen>,
    /// The writes of the application that it did not take back: kept beside, to ask for later.
    pub written: BTreeSet<Timestamp>,
}

impl Disk {
    /// Does what the changes say, in one transaction.
    ///
    /// # Errors
    /// What a client may not change.
    pub fn commit(&mut self, changes: Vec<Change>) -> Result<(), String> {
        let cleared = changes.iter().any(|change| matches!(change, Change::StateCleared));
        let before = if cleared { None } else { Some((self.outbox.len(), self.node)) };
        for change in changes {
            self.change(change)?;
        }
        if let (Some(node), Some((_, Some(old)))) = (self.node, before) {
            let is_same = node.identity == old.identity;
            if is_same
                && (node.given < old.given || node.acknowledged.node_seq() < old.acknowledged.node_seq())
            {
                return Err(format!("a node went back: {old:?} became {node:?}"));
            }
        }
        Ok(())
    }

    fn change(&mut self, change: Change) -> Result<(), String> {
        match change {
            Change::Node(node) => self.node = Some(node),
            Change::Queued(queued) => drop(self.outbox.insert(queued.number(), queued)),
            Change::Unqueued(number) => {
                if self.outbox.remove(&number).is_none() {
                    return Err(format!("operation {number} left an outbox that it was not in"));
                }
            }
            Change::OutboxCleared => self.outbox.clear(),
            Change::Rejected(rejected) => drop(self.rejected.insert(rejected.key(), rejected)),
            Change::Unrejected(key) => drop(self.rejected.remove(&key)),
            Change::Register { path, timestamp, value, heard } => {
                if let Some((at, known, _)) = self.registers.get(&path)
                    && (*at, known) > (timestamp, &value)
                {
                    return Err(format!("the register at {path:?} went back"));
                }
                self.registers.insert(path, (timestamp, value, heard));
            }
            Change::Counter { path, base, timestamp, total, heard } => {
                let key = (path, timestamp.node(), base);
                if self.counters.get(&key).is_some_and(|(at, known, _)| (*at, *known) > (timestamp, total)) {
                    return Err(format!("the counter at {key:?} went back"));
                }
                self.counters.insert(key, (timestamp, total, heard));
            }
            Change::RegisterDropped(path) => {
                let Some((timestamp, ..)) = self.registers.remove(&path) else { return Ok(()) };
                if path.as_ref().is_record() || self.top_above(&path) < timestamp {
                    return Err(format!("a register that is seen was dropped: {path:?}"));
                }
            }
            Change::CounterDropped { path, node, base } => {
                let top = self.registers.get(&path).map_or(Timestamp::NEVER, |(at, ..)| *at);
                if top.max(self.top_above(&path)) <= base {
                    return Err(format!("a counter that counts was dropped: {path:?}"));
                }
                self.counters.remove(&(path, node, base));
            }
            Change::DoubtAbove(seq) => {
                let doubt = |heard: &mut Heard| {
                    if heard.seq().is_some_and(|heard| heard > seq) {
                        *heard = Heard::IN_DOUBT;
                    }
                };
                self.registers.values_mut().for_each(|(.., heard)| doubt(heard));
                self.counters.values_mut().for_each(|(.., heard)| doubt(heard));
            }
            Change::StateCleared => {
                self.registers.clear();
                self.counters.clear();
            }
            Change::Position(set, position) => drop(self.positions.insert(set, position)),
            Change::Seen(seen) => self.seen = Some(seen),
            other => return Err(format!("a change that the simulator does not know: {other:?}")),
        }
        Ok(())
    }

    /// The greatest timestamp of the registers above a path.
    fn top_above(&self, path: &Path) -> Timestamp {
        let is_above = |above: &Path| {
            let (above, path) = (above.as_ref(), path.as_ref());
            let is_beginning = above.components().zip(path.components()).all(|(a, b)| a == b);
            let shorter = above.components().count() < path.components().count();
            above.record() == path.record()
                && above.collection() == path.collection()
                && is_beginning
                && shorter
        };
        let above = self.registers.iter().filter(|(other, _)| is_above(other));
        above.map(|(_, (timestamp, ..))| *timestamp).max().unwrap_or(Timestamp::NEVER)
    }

    /// Its rows, to load a replica from.
    #[must_use]
    pub fn rows(&self) -> Vec<Change> {
        let registers = self.registers.iter().map(|(path, (timestamp, value, heard))| Change::Register {
            path: path.clone(),
            timestamp: *timestamp,
            value: value.clone(),
            heard: *heard,
        });
        let counters =
            self.counters.iter().map(|((path, _, base), (timestamp, total, heard))| Change::Counter {
                path: path.clone(),
                base: *base,
                timestamp: *timestamp,
                total: *total,
                heard: *heard,
            });
        let positions = self.positions.iter().map(|(set, position)| Change::Position(set.clone(), *position));
        registers
            .chain(counters)
            .chain(positions)
            .chain(self.outbox.values().cloned().map(Change::Queued))
            .chain(self.rejected.values().cloned().map(Change::Rejected))
            .chain(self.node.map(Change::Node))
            .chain(self.seen.clone().map(Change::Seen))
            .collect()
    }

    /// What the client knows of itself.
    #[must_use]
    pub const fn node(&self) -> Option<&Node> {
        self.node.as_ref()
    }

    /// What it has seen of the relay's log.
    #[must_use]
    pub const fn seen(&self) -> Option<&Seen> {
        self.seen.as_ref()
    }

    /// Whether it has no durable state and has read nothing, as after SES-32 and SES-64.
    #[must_use]
    pub fn is_as_new(&self) -> bool {
        self.registers.is_empty()
            && self.counters.is_empty()
            && self.positions.values().all(|position| *position == Position::START)
            && self.seen.as_ref().is_none_or(|seen| seen.positions().is_empty())
    }

    /// The operations of the outbox.
    pub fn outbox(&self) -> impl Iterator<Item = &Queued> {
        self.outbox.values()
    }

    /// What was refused.
    pub fn rejected(&self) -> impl Iterator<Item = &Rejected> {
        self.rejected.values()
    }

    /// Sees all entries of the durable state.
    pub fn each_entry(&self, mut see: impl FnMut(&Entry<'_>)) {
        for (path, (timestamp, value, heard)) in &self.registers {
            see(&Entry::Register { path: path.as_ref(), timestamp: *timestamp, value, heard: *heard });
        }
        for ((path, _, base), (timestamp, total, heard)) in &self.counters {
            see(&Entry::Counter {
                path: path.as_ref(),
                base: *base,
                timestamp: *timestamp,
                total: *total,
                heard: *heard,
            });
        }
    }

    /// The timestamps of entries in doubt that can be seen.
    #[must_use]
    pub fn in_doubt(&self) -> BTreeSet<Timestamp> {
        let mut model = Model::default();
        self.each_entry(|entry| model.put_entry(entry));
        let mut found = BTreeSet::new();
        self.each_entry(|entry| {
            if entry.heard().is_in_doubt() && !model.hides(entry) {
                found.insert(entry.timestamp());
            }
        });
        found
    }
}
