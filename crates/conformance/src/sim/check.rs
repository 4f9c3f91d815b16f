//! When nothing goes wrong any more: is everything equal, and is nothing lost?

use std::collections::{BTreeMap, BTreeSet};

use blazedb_relay::client::WriteState;
use blazedb_relay::merge::{Entry, Heard, State};
use blazedb_relay::op::OpRef;
use blazedb_relay::wire::Timestamp;

use super::store::{Log, write_of};
use super::world::{Event, World};
use crate::merge::{Content, Model, contents};

type Write = (Timestamp, Vec<u8>);
type Writes = BTreeSet<Write>;
type Rows = BTreeMap<Write, bytes::Bytes>;

/// What anyone held when things calmed down.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The log's operations.
    log: Vec<bytes::Bytes>,
    /// For each device, its durable state and what its outbox had.
    devices: Vec<(State, Rows)>,
}

impl Held {
    pub(super) fn of(world: &World) -> Self {
        let device = |device: &super::device::Device| {
            let mut state = State::new();
            let mut writes = Rows::new();
            if !device.gone {
                // A state holds what a state held.
                device.disk.each_entry(|entry| drop(state.put(entry, &mut ())));
                let own = device.disk.outbox().filter(|queued| !queued.restored);
                writes.extend(own.map(|queued| (write_of(&queued.op.op()), queued.op.bytes().clone())));
            }
            (state, writes)
        };
        Self { log: world.machine.log.ops.clone(), devices: world.devices.iter().map(device).collect() }
    }
}

impl World {
    /// What is not equal yet, if anything.
    pub(super) fn differs(&self) -> Option<String> {
        let head = self.machine.log.head();
        for (index, device) in self.devices.iter().enumerate().filter(|(_, device)| !device.gone) {
            if !device.is_active() {
                return Some(format!("device {index} is not connected"));
            }
            let Some(process) = &device.process else { continue };
            let position = process.replica.position(&device.set()).map_or(0, |position| position.seq());
            if position != head {
                return Some(format!("device {index} has read up to {position} of {head}"));
            }
            let queued = process.replica.outbox().count();
            if queued > 0 {
                return Some(format!("device {index} has {queued} operations in its outbox"));
            }
            let doubt = process.replica.durable_state().in_doubt().count();
            if doubt > 0 {
                return Some(format!("device {index} has {doubt} entries in doubt"));
            }
        }
        None
    }

    /// Compares everything. Gives what is wrong.
    pub(super) fn compare(&mut self) -> Option<String> {
        let log = &self.machine.log;
        let model = log.model();
        let expected = model.contents();
        if let Some(wrong) = relay_differs(log, &expected) {
            return Some(wrong);
        }
        if !log.ops.starts_with(&self.held.log) {
            return Some("the log lost operations although nothing went wrong".into());
        }
        let writes: Writes = log.ops_after(0).map(|op| write_of(&op)).collect();
        for (index, device) in self.devices.iter().enumerate().filter(|(_, device)| !device.gone) {
            let Some(process) = &device.process else { continue };
            let set = device.set();
            let mine: Content = expected.clone().into_iter().filter(|(name, _)| set.covers(name)).collect();
            let mut found = Content::new();
            for name in expected.keys().map(String::as_str).chain(super::plan::COLLECTIONS) {
                let records = process.replica.records(name).into_iter().map(|(record, fields)| {
                    let fields = fields.iter().map(|(name, value)| (name.to_owned(), value.clone()));
                    (record, fields.collect())
                });
                let records: BTreeMap<_, _> = records.collect();
                if set.covers(name) && !records.is_empty() {
                    found.insert(name.to_owned(), records);
                }
            }
            if found != mine {
                return Some(format!("device {index} sees\n{found:?}\ninstead of\n{mine:?}"));
            }
            if let Some(wrong) = self.lost(index, &model, &writes) {
                return Some(format!("device {index}: {wrong}"));
            }
        }
        if let Some(wrong) = self.counters_went_back() {
            return Some(wrong);
        }
        self.count_outcome(&expected);
        None
    }

    /// What a device held, or was told, that is nowhere any more.
    fn lost(&self, index: usize, model: &Model, writes: &Writes) -> Option<String> {
        let device = &self.devices[index];
        let (state, outbox) = &self.held.devices[index];
        let replica = &device.process.as_ref()?.replica;
        // The right to write may have been gone for a while.
        let was_refused = |entry: &Entry<'_>| device.dropped && device.refused.contains(&entry.timestamp());
        if !device.discarded {
            let is_lost = |entry: &Entry<'_>| !was_refused(entry) && !model.covers(entry);
            if let Some(entry) = state.entries().find(is_lost) {
                return Some(format!("{entry:?} was held, and is lost"));
            }
        }
        let rejected: Writes = replica.rejected().map(|rejected| write_of(&rejected.op.op())).collect();
        let is_lost = |(it, row): &(&(Timestamp, Vec<u8>), &bytes::Bytes)| {
            !writes.contains(it) && !rejected.contains(it) && !device.discarded && !is_covered(row, model)
        };
        if let Some(((timestamp, _), _)) = outbox.iter().find(is_lost) {
            return Some(format!("{timestamp:?} was in the outbox, and is neither in the log nor rejected"));
        }
        for timestamp in &device.disk.written {
            match replica.write_state(*timestamp) {
                WriteState::Durable if !self.was_committed(*timestamp) && !self.was_dismissed(*timestamp) => {
                    return Some(format!("{timestamp:?} is said to be durable, and never was"));
                }
                WriteState::Durable | WriteState::Rejected(_) => {}
                WriteState::Queued | WriteState::Sent => {
                    return Some(format!("{timestamp:?} is not in the outbox, and still queued"));
                }
            }
        }
        None
    }

    /// MRG-16: applications only add, so the totals of a node since a reset grow. Copies do not know of one
    /// another.
    fn counters_went_back(&self) -> Option<String> {
        let mut totals: BTreeMap<_, BTreeMap<Timestamp, i64>> = BTreeMap::new();
        for row in self.machine.committed.values().filter(|_| !self.copied) {
            let mut state = State::new();
            if let Ok(op) = OpRef::decode(row) {
                state.apply(&op, Heard::at(1), &mut ());
            }
            for entry in state.entries() {
                if let Entry::Counter { path, base, timestamp, total, .. } = entry {
                    let key = (path.to_bytes(), timestamp.node(), base);
                    totals.entry(key).or_default().insert(timestamp, total);
                }
            }
        }
        let goes_back = |totals: &BTreeMap<Timestamp, i64>| !totals.values().is_sorted_by(|a, b| a < b);
        let wrong = totals.iter().find(|(_, totals)| goes_back(totals));
        wrong.map(|(key, totals)| format!("MRG-16: the totals of {key:?} are {totals:?}"))
    }

    fn was_committed(&self, timestamp: Timestamp) -> bool {
        let from = (timestamp, Vec::new());
        self.machine.committed.range(from..).next().is_some_and(|((found, _), _)| *found == timestamp)
    }

    /// Who dismisses a rejected write does not want to know of it any more.
    fn was_dismissed(&self, timestamp: Timestamp) -> bool {
        self.dismissed.contains(&timestamp)
    }

    fn count_outcome(&mut self, expected: &Content) {
        self.trace.count("live records in the end", expected.values().map(|it| it.len() as u64).sum());
        self.trace.count("seeds", 1);
        let conflicts = conflicts(&self.machine.log);
        self.trace.count("fields written by several nodes", conflicts);
        self.trace.bytes(9, format!("{expected:?}").as_bytes());
        let rejected = self.devices.iter().map(|device| device.disk.rejected().count() as u64).sum();
        self.trace.count("rejected in the end", rejected);
    }

    /// What is left although every connection has ended, if anything.
    pub(super) fn left_over(&self) -> Option<String> {
        let open = self.devices.iter().position(|device| device.session().is_some());
        if let Some(index) = open {
            return Some(format!("a session of device {index}"));
        }
        if let Some((conn, link)) = self.links.iter().next() {
            return Some(format!("connection {} of device {}", conn.0, link.device));
        }
        if !self.jobs.is_empty() {
            return Some(format!("{:?}", self.jobs));
        }
        let relay = self.relay()?;
        if relay.is_idle() && relay.poll_timeout().is_none() {
            return None;
        }
        // A relay has much to show, and this is asked every second.
        let late = self.now >= self.give_up_at;
        Some(if late { format!("in the relay: {relay:?}") } else { "something in the relay".into() })
    }

    /// What a device does when things calm down.
    pub(super) fn calm_device(&mut self, index: usize) {
        let device = &mut self.devices[index];
        (device.offline_until, device.kill_after, device.disk_full) = (0, None, false);
        (device.discarded, device.dropped) = (false, false);
        let outdated = core::mem::replace(&mut device.lacks_crdt, false);
        if outdated {
            // An upgrade.
            self.kill(index);
        }
        self.after(0, Event::Start(index));
        let device = &self.devices[index];
        let (process, collections) = (device.processes, device.set());
        if device.process.is_some() {
            self.after(0, Event::Connect { device: index, process });
        }
        let subscribe = blazedb_relay::client::Command::Subscribe { collections, window: 1 << 20 };
        self.feed_device(index, blazedb_relay::client::Input::Command(subscribe));
        if self.relay.is_none() {
            self.after(0, Event::RelayStart);
        }
    }
}

/// Whether what an operation writes is there, or was overwritten: it may have come back in pieces (SES-60).
fn is_covered(row: &[u8], model: &Model) -> bool {
    let mut state = State::new();
    if let Ok(op) = OpRef::decode(row) {
        state.apply(&op, Heard::at(1), &mut ());
    }
    state.entries().all(|entry| model.covers(&entry))
}

/// The relay's merged state, in the order of the log, dropping what may be dropped, and in no order.
fn relay_differs(log: &Log, expected: &Content) -> Option<String> {
    let (mut forwards, mut backwards) = (State::new(), State::new());
    let ops: Vec<OpRef<'_>> = log.ops_after(0).collect();
    for (op, seq) in ops.iter().zip(1..) {
        forwards.apply(op, Heard::at(seq), &mut ());
    }
    forwards.prune(&mut ());
    for op in ops.iter().rev() {
        backwards.apply(op, Heard::at(1), &mut ());
    }
    for state in [forwards, backwards] {
        let found = contents(&state);
        if found != *expected {
            return Some(format!("the relay's state is\n{found:?}\ninstead of\n{expected:?}"));
        }
    }
    None
}

/// Fields that more than one node wrote to.
fn conflicts(log: &Log) -> u64 {
    let mut writers: BTreeMap<(String, uuid::Uuid, String), BTreeSet<uuid::Uuid>> = BTreeMap::new();
    for op in log.ops_after(0) {
        for (name, _) in op.fields.iter() {
            let place = (op.head.collection.to_owned(), op.head.record, name.to_owned());
            writers.entry(place).or_default().insert(op.head.timestamp.node());
        }
    }
    writers.values().filter(|nodes| nodes.len() > 1).count() as u64
}
