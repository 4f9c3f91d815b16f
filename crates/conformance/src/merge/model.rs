//! The merge from the text of SPEC.md 12, as plainly as it stands there: slow, recursive, and nothing
//! is left out.

use std::collections::{BTreeMap, BTreeSet};

use blazedb_relay::merge::{Entry, PathRef, State};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::registry::Capabilities;
use blazedb_relay::value::{Entries, Value, ValueRef};
use blazedb_relay::wire::Timestamp;
use uuid::Uuid;

/// Collection, record, then the name of a field, then keys.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    collection: String,
    record: Uuid,
    below: Vec<String>,
}

impl Path {
    fn record(collection: &str, record: Uuid) -> Self {
        Self { collection: collection.into(), record, below: Vec::new() }
    }

    /// p + key
    fn child(&self, key: &str) -> Self {
        let below = self.below.iter().cloned().chain([key.into()]).collect();
        Self { below, ..self.clone() }
    }

    /// The path, then every path above it.
    fn and_above(&self) -> impl Iterator<Item = Self> {
        (0..=self.below.len()).rev().map(|len| Self { below: self.below[..len].to_vec(), ..self.clone() })
    }

    fn begins(&self, other: &Self) -> bool {
        self.collection == other.collection
            && self.record == other.record
            && other.below.starts_with(&self.below)
    }
}

type CounterKey = (Path, Uuid, Timestamp);

/// The two maps of 12.1.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Model {
    registers: BTreeMap<Path, (Timestamp, Value)>,
    counters: BTreeMap<CounterKey, (Timestamp, i64)>,
}

/// Fields of live records, by collection and record.
pub type Content = BTreeMap<String, BTreeMap<Uuid, BTreeMap<String, Value>>>;

fn encode(value: &Value) -> Vec<u8> {
    // What an operation carries can be encoded.
    value.to_bytes().unwrap_or_default()
}

impl Model {
    /// The state of these operations.
    #[must_use]
    pub fn of<'a>(ops: impl IntoIterator<Item = &'a Op>) -> Self {
        let mut model = Self::default();
        for op in ops {
            model.apply(op);
        }
        model
    }

    /// apply(op)
    pub fn apply(&mut self, op: &Op) {
        let record = Path::record(op.collection().as_str(), op.record());
        if op.kind() == OpKind::Delete {
            return self.put(record, op.timestamp(), Value::Removed);
        }
        for (name, value) in op.fields().iter() {
            self.write(record.child(name.as_str()), op.timestamp(), value);
        }
    }

    fn write(&mut self, p: Path, t: Timestamp, v: &Value) {
        if let Value::Patch(entries) = v {
            for (key, w) in entries.iter() {
                self.write(p.child(key), t, w);
            }
        } else if let Value::Counter { base, total } = v {
            self.put_counter((p, t.node(), *base), t, *total);
        } else {
            self.put(p, t, v.clone());
        }
    }

    fn put(&mut self, p: Path, t: Timestamp, v: Value) {
        match self.registers.get(&p) {
            Some((there, value)) if (t, encode(&v)) <= (*there, encode(value)) => {}
            _ => drop(self.registers.insert(p, (t, v))),
        }
    }

    fn put_counter(&mut self, key: CounterKey, t: Timestamp, total: i64) {
        match self.counters.get(&key) {
            Some(there) if (t, total) <= *there => {}
            _ => drop(self.counters.insert(key, (t, total))),
        }
    }

    /// Merges another state into this one.
    pub fn merge(&mut self, other: &Self) {
        for (p, (t, v)) in &other.registers {
            self.put(p.clone(), *t, v.clone());
        }
        for (key, (t, total)) in &other.counters {
            self.put_counter(key.clone(), *t, *total);
        }
    }

    /// Drops of what MRG-17 and MRG-18 allow that which `choose` says.
    pub fn drop_some(&mut self, mut choose: impl FnMut() -> bool) {
        let hidden: Vec<_> = self.registers.keys().filter(|p| !self.is_seen(p)).cloned().collect();
        let smaller = |key: &&CounterKey| key.2 < self.top(&key.0);
        let late: Vec<_> = self.counters.keys().filter(smaller).cloned().collect();
        self.registers.retain(|p, _| !hidden.contains(p) || !choose());
        self.counters.retain(|key, _| !late.contains(key) || !choose());
    }

    fn top(&self, p: &Path) -> Timestamp {
        let timestamps = p.and_above().filter_map(|q| self.registers.get(&q)).map(|(t, _)| *t);
        timestamps.max().unwrap_or(Timestamp::NEVER)
    }

    fn is_seen(&self, p: &Path) -> bool {
        let Some((t, _)) = self.registers.get(p) else { return false };
        p.and_above().skip(1).filter_map(|q| self.registers.get(&q)).all(|(above, _)| t > above)
    }

    /// The totals of the counters at `p` that count.
    fn totals(&self, p: &Path) -> Vec<i64> {
        let top = self.top(p);
        let from = (p.clone(), Uuid::nil(), Timestamp::NEVER);
        let here = self.counters.range(from..).take_while(|((q, ..), _)| q == p);
        here.filter(|((_, _, base), _)| *base == top).map(|(_, (_, total))| *total).collect()
    }

    /// All paths with an entry that are `p` or below it.
    fn paths(&self, p: &Path) -> BTreeSet<Path> {
        let registers = self.registers.range(p.clone()..).map(|(q, _)| q);
        let counters =
            self.counters.range((p.clone(), Uuid::nil(), Timestamp::NEVER)..).map(|((q, ..), _)| q);
        registers.take_while(|q| p.begins(q)).chain(counters.take_while(|q| p.begins(q))).cloned().collect()
    }

    fn is_alive(&self, p: &Path) -> bool {
        self.paths(p).iter().any(|q| self.is_seen(q) || !self.totals(q).is_empty())
    }

    /// The last components of the children of `p` that are alive.
    fn alive_children(&self, p: &Path) -> BTreeSet<String> {
        let components = self.paths(p).into_iter().filter_map(|q| q.below.get(p.below.len()).cloned());
        components.collect::<BTreeSet<_>>().into_iter().filter(|c| self.is_alive(&p.child(c))).collect()
    }

    /// content(p, above), with `None` for NOTHING
    fn content(&self, p: &Path, above: Option<&Value>) -> Option<Value> {
        // Step 1.
        let mut x = match self.registers.get(p) {
            Some((_, Value::Removed)) if self.is_seen(p) => None,
            Some((_, value)) if self.is_seen(p) => Some(value.clone()),
            _ => match (above, p.below.last()) {
                (Some(Value::Dictionary(entries)), Some(key)) => entries.get(key).cloned(),
                _ => None,
            },
        };
        // Step 2.
        let totals = self.totals(p);
        let sum: i128 = totals.iter().map(|total| i128::from(*total)).sum();
        let start = match x {
            None => Some(0),
            Some(Value::Int(value)) => Some(i128::from(value)),
            Some(_) => None,
        };
        if let Some(start) = start.filter(|_| !totals.is_empty()) {
            let s = (start + sum).clamp(i64::MIN.into(), i64::MAX.into());
            x = i64::try_from(s).ok().map(Value::Int);
        }
        // Step 3.
        let mut y = x.clone();
        for c in self.alive_children(p) {
            let z = self.content(&p.child(&c), x.as_ref());
            let mut entries: BTreeMap<Box<str>, Value> = match &y {
                Some(Value::Dictionary(entries)) => {
                    entries.iter().map(|(key, value)| (key.into(), value.clone())).collect()
                }
                _ if z.is_none() => continue,
                _ => BTreeMap::new(),
            };
            match z {
                Some(z) => entries.insert(c.into(), z),
                None => entries.remove(&*c),
            };
            y = Entries::new(entries.into_iter().collect()).ok().map(Value::Dictionary);
        }
        y
    }

    /// fields(collection, record)
    #[must_use]
    pub fn fields(&self, collection: &str, record: Uuid) -> BTreeMap<String, Value> {
        let record = Path::record(collection, record);
        let fields = self.alive_children(&record).into_iter();
        fields.filter_map(|c| self.content(&record.child(&c), None).map(|z| (c, z))).collect()
    }

    /// The fields of all live records.
    #[must_use]
    pub fn contents(&self) -> Content {
        let paths = self.registers.keys().chain(self.counters.keys().map(|(p, ..)| p));
        let records: BTreeSet<_> = paths.map(|p| (&p.collection, p.record)).collect();
        let mut contents = Content::new();
        for (collection, record) in records {
            let fields = self.fields(collection, record);
            if !fields.is_empty() {
                contents.entry(collection.clone()).or_default().insert(record, fields);
            }
        }
        contents
    }
}

impl Model {
    /// Puts an entry of a state.
    pub fn put_entry(&mut self, entry: &Entry<'_>) {
        let (p, t) = (Path::from(entry.path()), entry.timestamp());
        match *entry {
            Entry::Register { value, .. } => {
                // A state holds what decodes.
                if let Ok(value) = ValueRef::decode_field(value, Capabilities::ALL) {
                    self.put(p, t, value.into());
                }
            }
            Entry::Counter { base, total, .. } => self.put_counter((p, t.node(), base), t, total),
        }
    }

    /// Whether putting the entry would change nothing that can ever be seen.
    #[must_use]
    pub fn covers(&self, entry: &Entry<'_>) -> bool {
        let (p, t) = (Path::from(entry.path()), entry.timestamp());
        let known = match *entry {
            Entry::Register { value, .. } => {
                self.registers.get(&p).is_some_and(|(there, known)| (*there, &*encode(known)) >= (t, value))
            }
            Entry::Counter { base, total, .. } => {
                self.counters.get(&(p, t.node(), base)).is_some_and(|known| *known >= (t, total))
            }
        };
        known || self.hides(entry)
    }

    /// Whether the entry may be dropped (12.7): a register that is not seen, or a counter that will never
    /// count again.
    #[must_use]
    pub fn hides(&self, entry: &Entry<'_>) -> bool {
        let p = Path::from(entry.path());
        match *entry {
            Entry::Register { timestamp, .. } => {
                p.and_above().skip(1).filter_map(|q| self.registers.get(&q)).any(|(t, _)| *t >= timestamp)
            }
            Entry::Counter { base, .. } => base < self.top(&p),
        }
    }
}

impl From<PathRef<'_>> for Path {
    fn from(path: PathRef<'_>) -> Self {
        let below = path.components().map(Into::into).collect();
        Self { collection: path.collection().into(), record: path.record(), below }
    }
}

impl From<&State> for Model {
    /// The registers and counters that a state holds.
    fn from(state: &State) -> Self {
        let mut model = Self::default();
        state.entries().for_each(|entry| model.put_entry(&entry));
        model
    }
}
