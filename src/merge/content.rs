//! What the registers and counters of a record mean (SPEC.md 12.5), without recursion (B.2).

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::iter::Peekable;

use super::path::{is_within, next_level, text};
use super::row::Row;
use crate::value::{Entries, EntriesIter, Value, ValueRef};
use crate::wire::Timestamp;

//= MRG-11
/// The fields of a record of which `rows` are the registers and counters, ascending; `None` if it has
/// none. If the record's own register is not among the rows, its timestamp is `top`.
pub(super) fn fields<'a>(top: Timestamp, rows: impl Iterator<Item = Row<'a>>) -> Option<Entries> {
    let mut record = Level::new(&[], Cow::Borrowed(""), top);
    let mut levels = Levels::default();
    let mut rows = rows.peekable();
    while let Some(row) = rows.next() {
        if row.below.is_empty() {
            record.top = row.timestamp;
            continue;
        }
        levels.leave_until_above(row.below, &mut record);
        while let Some(path) = levels.next_above(row.below) {
            levels.enter(path, &mut record, None, core::iter::empty());
        }
        let counters = core::iter::from_fn(|| rows.next_if(|next| next.below == row.below));
        levels.enter(row.below, &mut record, Some(row), counters);
    }
    levels.leave_until_above(&[], &mut record);
    if record.done.is_empty() { None } else { Some(Entries::ascending(record.done)) }
}

//= MRG-13
/// The levels from a field down to the path that is looked at. A path has at most 65 components below the
/// record, so there are at most 65 levels.
#[derive(Default)]
struct Levels<'a>(Vec<Level<'a>>);

/// A path at which something stands, or at something below it.
struct Level<'a> {
    /// Its canonical bytes below the record.
    path: &'a [u8],
    /// Its last component.
    key: Cow<'a, str>,
    top: Timestamp,
    /// What steps 1 and 2 gave.
    x: Option<ValueRef<'a>>,
    /// If x is a dictionary, its entries behind those of `done`.
    left: Option<Peekable<EntriesIter<'a>>>,
    /// Entries of y. Children come in the order of their keys.
    done: Vec<(Box<str>, Value)>,
}

impl<'a> Level<'a> {
    const fn new(path: &'a [u8], key: Cow<'a, str>, top: Timestamp) -> Self {
        Self { path, key, top, x: None, left: None, done: Vec::new() }
    }

    /// Takes what x has at `key`, which comes behind all keys that were asked for before.
    fn take(&mut self, key: &str) -> Option<ValueRef<'a>> {
        let left = self.left.as_mut()?;
        while let Some((key, value)) = left.next_if(|(this, _)| *this < key) {
            self.done.push((key.into(), value.into()));
        }
        left.next_if(|(this, _)| *this == key).map(|(_, value)| value)
    }

    /// y, when all children were left.
    fn content(mut self) -> Option<Value> {
        match self.left {
            Some(left) => self.done.extend(left.map(|(key, value)| (key.into(), value.into()))),
            None if self.done.is_empty() => return self.x.map(Value::from),
            None => {}
        }
        Some(Value::Dictionary(Entries::ascending(self.done)))
    }
}

impl<'a> Levels<'a> {
    /// Leaves all levels that `path` is not below.
    fn leave_until_above(&mut self, path: &[u8], record: &mut Level<'a>) {
        while let Some(level) = self.0.pop_if(|level| path.is_empty() || !is_within(path, level.path)) {
            // Of a child that is not alive this is the entry that it was handed.
            let key = Box::from(&*level.key);
            if let Some(content) = level.content() {
                self.0.last_mut().unwrap_or(record).done.push((key, content));
            }
        }
    }

    /// The path one level below the last one and above `path`.
    fn next_above(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        next_level(path, self.0.last().map(|level| level.path))
    }

    /// Enters a child of the last level. `first` is the register at its path or, if there is none, its
    /// first counter; `counters` are the others.
    fn enter(
        &mut self,
        path: &'a [u8],
        record: &mut Level<'a>,
        first: Option<Row<'a>>,
        counters: impl Iterator<Item = Row<'a>>,
    ) {
        let start = self.0.last().map_or(0, |level| level.path.len() + 1);
        let parent = self.0.last_mut().unwrap_or(record);
        let key = text(path.get(start..).unwrap_or_default());
        let above = parent.take(&key);
        let (register, counter) = match first {
            Some(row) if row.which().is_none() => (Some(row), None),
            counter => (None, counter),
        };
        //= MRG-9
        let seen = register.filter(|row| row.timestamp > parent.top);
        let top = seen.map_or(parent.top, |row| row.timestamp);
        let x = match seen {
            Some(row) => row.decoded().filter(|value| *value != ValueRef::Removed),
            None => above,
        };
        let sum = counter.into_iter().chain(counters).filter_map(|row| match row.counter() {
            Some((base, total)) if base == top => Some(i128::from(total)),
            _ => None,
        });
        // Exact: it would take 2^64 counters to overflow.
        let sum = sum.reduce(|a, b| a + b);
        let mut level = Level::new(path, key, top);
        level.x = match (x, sum) {
            (None, Some(sum)) => Some(ValueRef::Int(clamp(sum))),
            (Some(ValueRef::Int(value)), Some(sum)) => Some(ValueRef::Int(clamp(i128::from(value) + sum))),
            (x, _) => x,
        };
        if let Some(ValueRef::Dictionary(entries)) = level.x {
            level.left = Some(entries.iter().peekable());
        }
        self.0.push(level);
    }
}

fn clamp(sum: i128) -> i64 {
    i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX })
}
