//! What is in doubt comes back (SPEC.md 10.8).

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use uuid::Uuid;

use super::local::Local;
use super::write::queue_restored;
use super::{Change, Replica};
use crate::limits::MAX_OP;
use crate::merge::{Entry, Heard, PathRef, State};
use crate::mutant::Mutant;
use crate::op::{Op, OpKind};
use crate::registry::Capabilities;
use crate::value::{Entries, Fields, Value, ValueRef};
use crate::wire::{CollectionName, FieldName, Timestamp};

/// Most bytes of an operation without fields: the longest collection and the field count.
const LEAST_OP: usize = 82 + 128;
/// Most fields of an operation and most keys of a patch, as their counts are u16.
const MAX_WRITES: usize = u16::MAX as usize;

impl Replica {
    /// True if anything is in doubt.
    pub(super) fn has_doubt(&self) -> bool {
        self.state.in_doubt().next().is_some()
    }

    //= SES-60
    /// Puts what is in doubt into the outbox again, as far as `crdt` is not needed for it or was agreed
    /// on. Gives the changes, and whether that is all of it.
    pub(super) fn restore(&mut self, crdt: bool) -> (Vec<Change>, bool) {
        let mut ops = Vec::new();
        let mut is_all = true;
        let mut entries = self.state.in_doubt().peekable();
        while let Some(first) = entries.peek() {
            let (collection, record) = (first.path().collection(), first.path().record());
            let pending = self.pending(collection, record);
            let mut by_write: BTreeMap<Timestamp, Vec<Entry<'_>>> = BTreeMap::new();
            let of_record = |entry: &Entry<'_>| is_of(entry.path(), collection, record);
            while let Some(entry) = entries.next_if(of_record) {
                //= SES-61
                //= SES-62
                let may_go = crdt || !needs_crdt(&entry);
                is_all &= may_go;
                let known = pending.as_ref().is_some_and(|pending| holds(pending, &entry));
                if !known && may_go {
                    by_write.entry(entry.timestamp()).or_default().push(entry);
                }
            }
            for (mut timestamp, entries) in by_write {
                if Mutant::DoubtWithNewTimestamps.is_on() {
                    let new = self.node.clock + 1 + ops.len() as u64;
                    timestamp = Timestamp::new(new, self.node.identity.node).unwrap_or(timestamp);
                }
                operations((collection, record), timestamp, &entries, &mut ops);
            }
        }
        drop(entries);
        let mut local = Local::begin(self);
        for op in &ops {
            // Its entries came in an operation at least as large, so this one can be built too.
            is_all &= queue_restored(&mut local, op).is_ok();
        }
        (local.commit().0, is_all)
    }

    /// What the operations of SES-60 in the outbox write to a record.
    fn pending(&self, collection: &str, record: Uuid) -> Option<State> {
        let mut restored =
            self.outbox.of_record(collection, record).filter(|queued| queued.restored).peekable();
        restored.peek()?;
        let mut state = State::new();
        for queued in restored {
            state.apply(&queued.op.op(), Heard::IN_DOUBT, &mut ());
        }
        Some(state)
    }
}

fn is_of(path: PathRef<'_>, collection: &str, record: Uuid) -> bool {
    (path.record(), path.collection()) == (record, collection)
}

fn holds(pending: &State, entry: &Entry<'_>) -> bool {
    let path = entry.path();
    pending.entries_of(path.collection(), path.record()).any(|other| other == *entry)
}

fn needs_crdt(entry: &Entry<'_>) -> bool {
    match entry {
        Entry::Counter { .. } => true,
        // A delete is an operation of its own, and needs no value that says so.
        Entry::Register { path, .. } if path.is_record() => false,
        Entry::Register { path, value, .. } => {
            path.components().nth(1).is_some() || decoded(value) == Some(Value::Removed)
        }
    }
}

fn decoded(value: &[u8]) -> Option<Value> {
    ValueRef::decode_field(value, Capabilities::ALL).ok().map(Value::from)
}

/// The operations that write `entries`, all of one record and timestamp.
fn operations(
    (collection, record): (&str, Uuid),
    timestamp: Timestamp,
    entries: &[Entry<'_>],
    ops: &mut Vec<Op>,
) {
    let Ok(collection) = CollectionName::new(collection) else { return };
    let mut add = |kind, fields| {
        let Some(node) = node_of(timestamp) else { return };
        // The number is given when it is put into the outbox.
        ops.extend(Op::new((node, 1), timestamp, kind, (collection.clone(), record), fields));
    };
    //= SES-63
    let mut tree = Tree::default();
    for entry in entries {
        if entry.path().is_record() {
            add(OpKind::Delete, Fields::default());
            continue;
        }
        let value = match entry {
            Entry::Register { value, .. } => decoded(value),
            Entry::Counter { base, total, .. } => Some(Value::Counter { base: *base, total: *total }),
        };
        let Some(value) = value else { continue };
        let components: Vec<_> = entry.path().components().collect();
        let size = entry_size(entry, &components);
        if let Err(value) = tree.insert(&components, size, value) {
            // Two values at one place, or too much for one operation.
            add(OpKind::Update, core::mem::take(&mut tree).into_fields());
            drop(tree.insert(&components, size, value));
        }
    }
    if tree.count > 0 {
        add(OpKind::Update, tree.into_fields());
    }
}

fn node_of(timestamp: Timestamp) -> Option<crate::wire::NodeId> {
    crate::wire::NodeId::new(timestamp.node()).ok()
}

/// Most bytes that an entry takes in an operation.
fn entry_size<T: AsRef<str>>(entry: &Entry<'_>, components: &[T]) -> usize {
    let value = match entry {
        Entry::Register { value, .. } => value.len(),
        Entry::Counter { .. } => 33,
    };
    // A name is spelled out with three bytes in front; a key has two, and three of its patch.
    value + components.iter().map(|component| 5 + component.as_ref().len()).sum::<usize>()
}

/// Values by field, and by key of the patches in them.
#[derive(Default)]
struct Tree {
    fields: BTreeMap<String, Branch>,
    size: usize,
    count: usize,
}

enum Branch {
    Value(Value),
    Patch(BTreeMap<String, Self>),
}

impl Tree {
    /// Adds a value, or gives it back if it does not fit beside the others.
    fn insert<T: AsRef<str>>(&mut self, path: &[T], size: usize, value: Value) -> Result<(), Value> {
        let full = LEAST_OP + self.size + size > MAX_OP || self.count == MAX_WRITES;
        if full && self.count > 0 {
            return Err(value);
        }
        let Some((last, above)) = path.split_last() else { return Err(value) };
        let mut level = &mut self.fields;
        for component in above {
            let branch = level.entry(component.as_ref().into());
            match branch.or_insert_with(|| Branch::Patch(BTreeMap::new())) {
                Branch::Patch(below) => level = below,
                Branch::Value(_) => return Err(value),
            }
        }
        if level.contains_key(last.as_ref()) {
            return Err(value);
        }
        level.insert(last.as_ref().into(), Branch::Value(value));
        self.size += size;
        self.count += 1;
        Ok(())
    }

    fn into_fields(self) -> Fields {
        let fields = self
            .fields
            .into_iter()
            .filter_map(|(name, branch)| Some((FieldName::new(&name).ok()?, branch.into_value()?)));
        Fields::new(fields.collect()).unwrap_or_default()
    }
}

impl Branch {
    // Recursion ends at the depth that a path has: at most 65 components.
    fn into_value(self) -> Option<Value> {
        match self {
            Self::Value(value) => Some(value),
            Self::Patch(below) => {
                let entries = below
                    .into_iter()
                    .filter_map(|(key, branch)| Some((Box::from(key), branch.into_value()?)));
                Entries::new(entries.collect()).ok().map(Value::Patch)
            }
        }
    }
}
