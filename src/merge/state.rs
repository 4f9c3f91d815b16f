//! The registers and counters of a database.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::{fmt, mem};

use uuid::Uuid;

use super::content;
use super::entry::{Change, Entry, Heard, Observe};
use super::path::PathRef;
use super::record::{Record, Report};
use super::row::Row;
use super::write::{Writes, each_write};
use crate::error::BuildError;
use crate::op::{Op, OpHead, OpKind, OpRef};
use crate::registry::{Capabilities, ErrorCode, Tag};
use crate::value::{Entries, FieldsRef, Value, ValueRef};
use crate::wire::{NodeId, Timestamp};

/// The encoding of `removed`.
const REMOVED: &[u8] = &[Tag::REMOVED.0];

/// The registers and counters of a database.
//= MRG-1
#[derive(Clone, Default)]
pub struct State {
    collections: BTreeMap<Box<str>, BTreeMap<Uuid, Record>>,
    greatest_counter: u64,
    /// Where the paths of an operation are put together; its memory is kept.
    path: Vec<u8>,
}

/// Puts what one operation writes into a record.
struct Writer<'a, O> {
    rows: &'a mut Record,
    report: Report<'a, O>,
    timestamp: Timestamp,
    heard: Heard,
    change: Change,
}

impl<O: Observe> Writes for Writer<'_, O> {
    #[inline]
    fn register(&self, path: &[u8]) -> Timestamp {
        self.rows.register_timestamp(path).unwrap_or(Timestamp::NEVER)
    }

    #[inline]
    fn write(&mut self, path: &[u8], top: Timestamp, value: &[u8]) {
        let row = Row { below: path, timestamp: self.timestamp, heard: self.heard, value };
        self.change = self.change.max(self.rows.put(&row, top, &mut self.report));
    }
}

/// An increment that a node has to refuse (MRG-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct IncrementError;

impl fmt::Display for IncrementError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the sum of this node's increments would not fit in 64 bits (MRG-15)")
    }
}

impl core::error::Error for IncrementError {}

impl State {
    /// The empty state.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    //= MRG-5
    //= MRG-6
    /// Merges an operation that was heard of at `heard`: all of it, which cannot fail.
    pub fn apply(&mut self, op: &OpRef<'_>, heard: Heard, observer: &mut impl Observe) -> Change {
        let OpHead { timestamp, kind, collection, record, .. } = op.head;
        self.write((collection, record), (timestamp, kind, heard), op.fields, observer)
    }

    /// Merges an operation that an application built.
    pub fn apply_owned(&mut self, op: &Op, heard: Heard, observer: &mut impl Observe) -> Change {
        let mut bytes = Vec::new();
        let fields = op.fields().encoded(&mut bytes);
        let place = (op.collection().as_str(), op.record());
        self.write(place, (op.timestamp(), op.kind(), heard), fields, observer)
    }

    //= MRG-4
    #[inline]
    fn write(
        &mut self,
        (collection, record): (&str, Uuid),
        (timestamp, kind, heard): (Timestamp, OpKind, Heard),
        fields: FieldsRef<'_>,
        observer: &mut impl Observe,
    ) -> Change {
        self.greatest_counter = self.greatest_counter.max(timestamp.counter());
        let mut path = mem::take(&mut self.path);
        let change = self.change_record(collection, record, |rows| {
            let report = Report { collection, record, observer };
            let mut writer = Writer { rows, report, timestamp, heard, change: Change::Nothing };
            if kind == OpKind::Delete {
                writer.write(&[], Timestamp::NEVER, REMOVED);
            } else {
                each_write(fields, &mut path, &mut writer);
            }
            writer.change
        });
        self.path = path;
        change
    }

    //= MRG-8
    /// Merges all of another state.
    pub fn merge(&mut self, other: &Self, observer: &mut impl Observe) -> Change {
        self.greatest_counter = self.greatest_counter.max(other.greatest_counter);
        let mut change = Change::Nothing;
        for (collection, record, rows) in other.all() {
            let mut report = Report { collection, record, observer };
            let put_all = |mine: &mut Record| {
                rows.rows().map(|row| mine.put(&row, mine.top_above(row.below), &mut report)).max()
            };
            change = change.max(self.change_record(collection, record, put_all).unwrap_or(change));
        }
        change
    }

    /// Merges an entry, as a store kept it or another state gave it.
    ///
    /// # Errors
    /// No state has such an entry: `MISPLACED_VALUE` unless a register has a value that may stand at its
    /// path, `BAD_TIMESTAMP`, `BAD_BASE`, or what is wrong with the value's bytes.
    pub fn put(&mut self, entry: &Entry<'_>, observer: &mut impl Observe) -> Result<Change, BuildError> {
        let path = entry.path();
        let bytes;
        let value = match *entry {
            Entry::Register { value, .. } => {
                check_register(path, value)?;
                value
            }
            Entry::Counter { base, timestamp, total, .. } => {
                if path.is_record() {
                    return Err(BuildError::new(ErrorCode::MISPLACED_VALUE, "value"));
                }
                if base >= timestamp {
                    return Err(BuildError::new(ErrorCode::BAD_BASE, "base"));
                }
                bytes = Value::Counter { base, total }.to_bytes()?;
                &bytes
            }
        };
        let timestamp = entry.timestamp();
        if timestamp.is_never() {
            return Err(BuildError::new(ErrorCode::BAD_TIMESTAMP, "timestamp"));
        }
        self.greatest_counter = self.greatest_counter.max(timestamp.counter());
        let (collection, record) = (path.collection(), path.record());
        let row = Row { below: path.below(), timestamp, heard: entry.heard(), value };
        let mut report = Report { collection, record, observer };
        Ok(self
            .change_record(collection, record, |rows| rows.put(&row, rows.top_above(row.below), &mut report)))
    }

    /// Drops everything that may be dropped (SPEC.md 12.7). No content changes.
    pub fn prune(&mut self, observer: &mut impl Observe) {
        for (collection, records) in &mut self.collections {
            for (record, rows) in records {
                rows.prune(&mut Report { collection, record: *record, observer });
            }
        }
    }

    /// The greatest counter of all timestamps that were ever merged, whether or not what they wrote is
    /// still there (SES-40, SES-42).
    #[must_use]
    pub const fn greatest_counter(&self) -> u64 {
        self.greatest_counter
    }

    /// Raises [`Self::greatest_counter`] to what a store remembers.
    pub fn raise_counter(&mut self, counter: u64) {
        self.greatest_counter = self.greatest_counter.max(counter);
    }

    // Doubt.

    /// Sets everything that was heard of after `seq` to in doubt (SES-31).
    pub fn doubt_above(&mut self, seq: u64, observer: &mut impl Observe) {
        for (collection, records) in &mut self.collections {
            for (record, rows) in records {
                rows.doubt_above(seq, &mut Report { collection, record: *record, observer });
            }
        }
    }

    /// What is in doubt, in the order of [`Self::entries`]. What is hidden is left out (SES-57).
    pub fn in_doubt(&self) -> impl Iterator<Item = Entry<'_>> {
        self.all().flat_map(|(collection, record, rows)| {
            let doubtful = rows.visible_rows().filter(|row| row.heard.is_in_doubt());
            doubtful.map(move |row| row.entry(collection, record))
        })
    }

    // Reading.

    /// All registers and counters: ascending by path, at one path the register first, then the counters
    /// by node and base.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.all()
            .flat_map(|(collection, record, rows)| rows.rows().map(move |row| row.entry(collection, record)))
    }

    /// The registers and counters of one record, in the order of [`Self::entries`].
    pub fn entries_of<'a>(&'a self, collection: &'a str, record: Uuid) -> impl Iterator<Item = Entry<'a>> {
        let rows = self.rows(collection, record).into_iter().flat_map(Record::rows);
        rows.map(move |row| row.entry(collection, record))
    }

    /// The collections in which something was written, ascending.
    pub fn collections(&self) -> impl Iterator<Item = &str> {
        self.collections.keys().map(|name| &**name)
    }

    /// The records of a collection to which something was written, live or not, ascending.
    pub fn record_ids(&self, collection: &str) -> impl Iterator<Item = Uuid> {
        self.collections.get(collection).into_iter().flat_map(|records| records.keys().copied())
    }

    /// The live records of a collection with their fields, ascending by record.
    pub fn records(&self, collection: &str) -> impl Iterator<Item = (Uuid, Entries)> {
        let records = self.collections.get(collection).into_iter().flatten();
        records.filter_map(|(record, rows)| Some((*record, content::fields(Timestamp::NEVER, rows.rows())?)))
    }

    //= MRG-12
    /// The fields of a record; `None` if it is not there.
    #[must_use]
    pub fn record(&self, collection: &str, record: Uuid) -> Option<Entries> {
        content::fields(Timestamp::NEVER, self.rows(collection, record)?.rows())
    }

    /// The content of a path; `None` if there is nothing.
    ///
    /// Of the record itself this is a dictionary of its fields.
    #[must_use]
    pub fn content(&self, path: PathRef<'_>) -> Option<Value> {
        let rows = self.rows(path.collection(), path.record())?;
        let Some(field) = path.field() else {
            return content::fields(Timestamp::NEVER, rows.rows()).map(Value::Dictionary);
        };
        let fields = content::fields(rows.top(&[]), rows.rows_within(field))?;
        let mut found = Value::Dictionary(fields);
        for component in path.components() {
            let Value::Dictionary(entries) = found else { return None };
            found = entries.into_value(&component)?;
        }
        Some(found)
    }

    /// top of SPEC.md 12.4: the greatest timestamp of the registers at the path and above it.
    #[must_use]
    pub fn top(&self, path: PathRef<'_>) -> Timestamp {
        let rows = self.rows(path.collection(), path.record());
        rows.map_or(Timestamp::NEVER, |rows| rows.top(path.below()))
    }

    /// The total of the counter of `node` since `base` at a path; 0 if there is none.
    #[must_use]
    pub fn total(&self, path: PathRef<'_>, node: NodeId, base: Timestamp) -> i64 {
        let rows = self.rows(path.collection(), path.record());
        let row = rows.and_then(|rows| rows.get(path.below(), Some((node.uuid(), base))));
        row.and_then(|row| row.counter()).map_or(0, |(_, total)| total)
    }

    //= MRG-14
    /// The counter that `node` writes at a path to add `d` to it, in a state that is its view.
    ///
    /// # Errors
    /// The node's total would not fit in an i64 (MRG-15).
    pub fn increment(&self, path: PathRef<'_>, node: NodeId, d: i64) -> Result<Value, IncrementError> {
        let base = self.top(path);
        //= MRG-15
        let total = self.total(path, node, base).checked_add(d).ok_or(IncrementError)?;
        Ok(Value::Counter { base, total })
    }

    /// Makes a record what it is in another state, whatever it was.
    ///
    /// So a view can be kept for the records alone that an outbox writes to, and made anew when an
    /// operation leaves the outbox (SES-36).
    pub fn copy_record(&mut self, other: &Self, collection: &str, record: Uuid) {
        match other.rows(collection, record) {
            Some(rows) => self.change_record(collection, record, |mine| mine.clone_from(rows)),
            None => self.forget_record(collection, record),
        }
    }

    /// Removes the registers and counters of a record without a trace, as if nothing had ever been
    /// written to it.
    pub fn forget_record(&mut self, collection: &str, record: Uuid) {
        if let Some(records) = self.collections.get_mut(collection) {
            records.remove(&record);
            if records.is_empty() {
                self.collections.remove(collection);
            }
        }
    }

    /// Changes the rows of a record, which is made if it is not there.
    #[inline]
    fn change_record<T>(
        &mut self,
        collection: &str,
        record: Uuid,
        change: impl FnOnce(&mut Record) -> T,
    ) -> T {
        if let Some(records) = self.collections.get_mut(collection) {
            return change(records.entry(record).or_default());
        }
        change(self.collections.entry(collection.into()).or_default().entry(record).or_default())
    }

    pub(super) fn rows(&self, collection: &str, record: Uuid) -> Option<&Record> {
        self.collections.get(collection)?.get(&record)
    }

    fn all(&self) -> impl Iterator<Item = (&str, Uuid, &Record)> {
        self.collections.iter().flat_map(|(collection, records)| {
            records.iter().map(move |(record, rows)| (&**collection, *record, rows))
        })
    }
}

fn check_register(path: PathRef<'_>, value: &[u8]) -> Result<(), BuildError> {
    ValueRef::decode_field(value, Capabilities::ALL).map_err(|error| BuildError::new(error.code, "value"))?;
    let fits = match value {
        [tag, ..] if [Tag::PATCH.0, Tag::COUNTER.0].contains(tag) => false,
        value => value == REMOVED || !path.is_record(),
    };
    if fits { Ok(()) } else { Err(BuildError::new(ErrorCode::MISPLACED_VALUE, "value")) }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries()).finish()
    }
}
