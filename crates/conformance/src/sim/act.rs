//! What applications do.

use blazedb_relay::client::{Command, Input, Pull, Query, Write, Written};
use blazedb_relay::message::{PageLimit, Selection};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::value::{Entries, Fields, Value};
use blazedb_relay::wire::{CollectionName, FieldName, Position, Timestamp};
use uuid::Uuid;

use super::device::{identity, readable, set_of};
use super::plan::{Act, COLLECTIONS};
use super::random::Random;
use super::world::{Event, Stage, World};

const FIELDS: [&str; 4] = ["title", "count", "tags", "x"];
const KEYS: [&str; 3] = ["a", "b", "deep"];

impl World {
    /// The application on a device does something, and goes on after a while.
    pub(super) fn act(&mut self, index: usize) {
        if self.stage == Stage::Calm {
            let subscribe = Command::Subscribe { collections: self.devices[index].set(), window: 1 << 20 };
            return self.feed_device(index, Input::Command(subscribe));
        }
        if !self.is_chaos() || self.devices[index].process.is_none() {
            return;
        }
        let process = self.devices[index].processes;
        if let Some(act) = self.random.weighted(self.plan.acts.iter().copied()) {
            self.do_act(index, Act::ALL[act]);
        }
        if self.random.chance(60) {
            let device = &mut self.devices[index];
            device.backups.push(device.disk.clone());
        }
        // A process that was started meanwhile has a chain of its own.
        if self.devices[index].process.is_some() && self.devices[index].processes == process {
            let wait = self.random.around(self.plan.act_ms);
            self.after(wait, Event::Act(index));
        }
    }

    fn do_act(&mut self, index: usize, act: Act) {
        self.say(|| format!("device {index}: {act:?}"));
        match act {
            Act::Insert
            | Act::Update
            | Act::Patch
            | Act::Increment
            | Act::Delete
            | Act::Sealed
            | Act::Large
            | Act::Forbidden => {
                let burst = if self.random.chance(60) { self.random.within(2..=30) } else { 1 };
                for _ in 0..burst {
                    let Some(write) = self.choose_write(index, act) else { return };
                    if !self.write(index, &[write]) {
                        return;
                    }
                }
            }
            Act::Transaction => {
                let acts = [Act::Insert, Act::Update, Act::Patch, Act::Increment, Act::Delete];
                let count = self.random.within(2..=4);
                let poison = self.random.chance(80);
                let mut writes = Vec::new();
                for at in 0..count {
                    let act = if poison && at == 1 { Act::Forbidden } else { *self.random.pick(&acts) };
                    writes.extend(self.choose_write(index, act));
                }
                self.write(index, &writes);
            }
            Act::FarAhead => self.write_far_ahead(index),
            Act::Pull => {
                let ticket = self.devices[index].ticket();
                let (operations, bytes) = (*self.random.pick(&[0, 1, 10]), *self.random.pick(&[0, 1, 1_000]));
                let collections = self.devices[index].set();
                let pull = Pull { collections, max_operations: operations, max_bytes: bytes };
                self.feed_device(index, Input::Command(Command::Pull { ticket, pull }));
            }
            Act::Query => self.query_something(index),
            Act::SyncState => {
                let ticket = self.devices[index].ticket();
                self.feed_device(index, Input::Command(Command::SyncState { ticket }));
            }
            Act::Authenticate => {
                let ticket = self.devices[index].ticket();
                let credentials = self.devices[index].credentials();
                let authenticate = Command::Authenticate { ticket, credentials };
                self.feed_device(index, Input::Command(authenticate));
            }
            Act::Window => {
                let window = *self.random.pick(&[0, 100, 5_000]);
                let collections = self.devices[index].set();
                let window = Command::Window { collections, window };
                self.feed_device(index, Input::Command(window));
            }
            Act::Resubscribe => self.read_another_set(index),
            Act::Abandon => self.abandon(index),
            Act::Dismiss => {
                let Some(process) = &mut self.devices[index].process else { return };
                let key = process.replica.rejected().next().map(blazedb_relay::client::Rejected::key);
                if let Some(key) = key {
                    let changes = process.replica.dismiss(key);
                    self.trace.count("dismissed", 1);
                    self.dismissed.insert(key.timestamp);
                    self.commit(index, changes);
                }
            }
            Act::Close => self.close(index),
        }
    }

    /// Writes, all as one. False if the process did not outlive it.
    pub(super) fn write(&mut self, index: usize, writes: &[Write]) -> bool {
        let Some(process) = &mut self.devices[index].process else { return false };
        let written = match process.replica.write(writes) {
            Ok(written) => written,
            Err(error) => {
                self.trace.count("refused writes", 1);
                self.say(|| format!("device {index}: {error}"));
                return true;
            }
        };
        self.trace.count("writes", written.timestamps.len() as u64);
        self.trace.count("transactions", u64::from(writes.len() > 1));
        let before = self.devices[index].disk.written.clone();
        self.devices[index].disk.written.extend(written.timestamps);
        let outbox = self.devices[index].disk.outbox().count();
        if !self.commit(index, written.changes) {
            // Without its rows there was no write.
            if self.devices[index].disk.outbox().count() == outbox {
                self.devices[index].disk.written = before;
            }
            return false;
        }
        self.feed_device(index, Input::Written);
        self.devices[index].process.is_some()
    }

    fn write_far_ahead(&mut self, index: usize) {
        // Some of it a relay takes of which the clock is years ahead.
        let counter = (1 << self.random.within(46..=52)) + self.random.within(0..=1 << 40);
        let record = self.choose_record();
        let Some(process) = &mut self.devices[index].process else { return };
        let node = process.replica.node().identity.node;
        let fields = field(FIELDS[0], Value::from("from the future"));
        let Some((fields, collection)) = fields.zip(CollectionName::new(COLLECTIONS[0]).ok()) else { return };
        let Ok(timestamp) = Timestamp::new(counter, node) else { return };
        let op = Op::new((node, 1), timestamp, OpKind::Update, (collection, record), fields);
        let replayed = op.map_err(drop).and_then(|op| process.replica.replay([&op]).map_err(drop));
        let Ok(Written { changes, .. }) = replayed else {
            return;
        };
        self.trace.count("writes far ahead", 1);
        if self.commit(index, changes) {
            self.devices[index].disk.written.insert(timestamp);
            self.feed_device(index, Input::Written);
        }
    }

    fn query_something(&mut self, index: usize) {
        let ticket = self.devices[index].ticket();
        let Ok(collection) = CollectionName::new(COLLECTIONS[0]) else { return };
        let Some(process) = &self.devices[index].process else { return };
        let position = process.replica.position(&self.devices[index].set()).unwrap_or(Position::START);
        let after = if self.random.chance(500) { position } else { Position::START };
        let query = Query {
            collection,
            after,
            selection: Selection::default(),
            limit: PageLimit::DEFAULT,
            cursor: Box::default(),
        };
        self.feed_device(index, Input::Command(Command::Query { ticket, query: Box::new(query) }));
    }

    fn read_another_set(&mut self, index: usize) {
        let old = self.devices[index].set();
        let principal = self.devices[index].principal;
        let partial = self.plan.partial > 0 && self.random.chance(700);
        let reads = readable(principal, partial, &mut self.random);
        self.devices[index].reads.clone_from(&reads);
        self.trace.count("sets changed", u64::from(set_of(&reads) != old));
        self.feed_device(index, Input::Command(Command::Unsubscribe(old)));
        let subscribe = Command::Subscribe { collections: set_of(&reads), window: 5_000 };
        self.feed_device(index, Input::Command(subscribe));
    }

    fn abandon(&mut self, index: usize) {
        let spare = identity(&mut self.random);
        let Some(process) = &mut self.devices[index].process else { return };
        let queued = process.replica.outbox().last();
        let Some(timestamp) = queued.map(|queued| queued.op.op().head.timestamp) else { return };
        let timestamps = |outbox: &mut dyn Iterator<Item = &blazedb_relay::client::Queued>| {
            outbox.map(|queued| queued.op.op().head.timestamp).collect::<std::collections::BTreeSet<_>>()
        };
        let before = timestamps(&mut process.replica.outbox());
        let changes = process.replica.abandon(timestamp, spare);
        let after = timestamps(&mut process.replica.outbox());
        self.trace.count("abandoned", 1);
        let disk = &mut self.devices[index].disk;
        let (queued, written) = (disk.outbox().count(), disk.written.clone());
        disk.written.retain(|timestamp| after.contains(timestamp) || !before.contains(timestamp));
        let lives_on = self.commit(index, changes);
        let disk = &mut self.devices[index].disk;
        if disk.outbox().count() == queued {
            disk.written = written;
        }
        if lives_on {
            self.feed_device(index, Input::Written);
        }
    }

    // Choosing.

    fn choose_record(&mut self) -> Uuid {
        Uuid::from_u128(
            0x5EED_0000_0000_4000_8000_0000_0000_0000 + self.random.below(self.plan.records) as u128,
        )
    }

    fn choose_collection(&mut self, index: usize, forbidden: bool) -> Option<CollectionName> {
        let principal = self.devices[index].principal;
        let rights = super::plan::rights(principal);
        let fits = |name: &&str| rights.access(name).write != forbidden;
        let all: Vec<&str> = COLLECTIONS.iter().copied().filter(fits).collect();
        if all.is_empty() {
            return None;
        }
        CollectionName::new(self.random.pick::<&str>(&all)).ok()
    }

    fn choose_write(&mut self, index: usize, act: Act) -> Option<Write> {
        let forbidden = act == Act::Forbidden;
        let collection = self.choose_collection(index, forbidden)?;
        if forbidden {
            self.trace.count("forbidden writes", 1);
        }
        let record = self.choose_record();
        let random = &mut self.random;
        let name = FieldName::new(random.pick::<&str>(&FIELDS)).ok()?;
        let write = match act {
            Act::Delete => Write::delete(collection, record),
            Act::Increment => {
                let keys: &[&str] = if random.chance(300) { &["a"] } else { &[] };
                let by = i64::try_from(random.within(1..=9)).ok()?;
                Write::increment(collection, record, (name, keys), by)
            }
            Act::Patch => {
                let depth = random.below(3) + 1;
                let keys: Vec<_> = (0..depth).map(|_| *random.pick(&KEYS)).collect();
                let removed = random.chance(300);
                let value = if removed { Value::Removed } else { value(random) };
                Write::patch(collection, record, (name, &keys), value).ok()?
            }
            Act::Sealed => {
                let bytes: Vec<u8> = (0..20).map(|_| random.any().to_be_bytes()[0]).collect();
                let fields = Fields::new(vec![(name, Value::Sealed(bytes.into()))]).ok()?;
                Write::update(collection, record, fields)
            }
            Act::Large => {
                let words =
                    if random.chance(self.plan.huge) { 20_000 } else { random.below(self.plan.large) };
                let text: String = (0..words).map(|_| format!("{:x}", random.any())).collect();
                Write::update(collection, record, Fields::new(vec![(name, text.as_str().into())]).ok()?)
            }
            Act::Insert => Write::insert(collection, record, some_fields(random)?),
            _ => {
                let write = Write::update(collection.clone(), record, some_fields(random)?);
                let version = self.devices[index].process.as_ref()?;
                match version.replica.version(collection.as_str(), record) {
                    Some(version) if self.random.chance(300) => write.on(version),
                    Some(_) | None => write,
                }
            }
        };
        Some(write)
    }
}

fn field(name: &str, value: Value) -> Option<Fields> {
    Fields::new(vec![(FieldName::new(name).ok()?, value)]).ok()
}

fn some_fields(random: &mut Random) -> Option<Fields> {
    let mut fields = Vec::new();
    for name in FIELDS {
        if random.chance(400) {
            let removed = random.chance(100);
            let value = if removed { Value::Removed } else { value(random) };
            fields.push((FieldName::new(name).ok()?, value));
        }
    }
    if fields.is_empty() {
        return field(FIELDS[0], value(random));
    }
    Fields::new(fields).ok()
}

fn value(random: &mut Random) -> Value {
    match random.below(8) {
        0 => Value::Null,
        1 => Value::Bool(random.chance(500)),
        2..=4 => Value::from(i64::try_from(random.within(0..=5)).unwrap_or(0)),
        5 => Value::from("text"),
        6 => {
            let keys = KEYS.iter().filter(|_| random.chance(500)).copied();
            let entries: Vec<(Box<str>, Value)> = keys.map(|key| (key.into(), Value::from(1))).collect();
            Entries::new(entries).map_or(Value::Null, Value::Dictionary)
        }
        _ => Value::Array(vec![Value::from(2), Value::Null]),
    }
}
