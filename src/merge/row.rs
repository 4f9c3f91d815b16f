//! One register or counter as it lies in memory, and runs of them.
//!
//! A record's rows stand one after another in runs of bytes, ascending by key, so that neither a name nor
//! a value costs an allocation of its own, and an operation touches one place.
//!
//! | size | field |
//! |---|---|
//! | 4 | length of the value |
//! | 4 | length of the path below the record |
//! | 8 | when it was heard |
//! | 24 | timestamp |
//! | | canonical bytes of the path below the record |
//! | | encoding of the value; that of a counter for a counter |

use alloc::vec::Vec;
use core::cmp::Ordering;

use uuid::Uuid;

use super::entry::{Entry, Heard};
use super::path::PathRef;
use crate::registry::Tag;
use crate::value::{Context, ValueRef, value};
use crate::wire::Timestamp;

const FIXED: usize = 40;

/// Which of the entries at one path: the register, or the counter of a node since a base. The register
/// comes first.
pub(super) type Which = Option<(Uuid, Timestamp)>;

/// A row, as a view.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) below: &'a [u8],
    pub(super) timestamp: Timestamp,
    pub(super) heard: Heard,
    pub(super) value: &'a [u8],
}

impl<'a> Row<'a> {
    /// The row that begins at `at`; none at the end of the run.
    #[inline]
    pub(super) fn read(run: &'a [u8], at: usize) -> Option<Self> {
        let (fixed, rest) = run.get(at..)?.split_first_chunk::<FIXED>()?;
        let [lengths, heard, counter, high, low] = fixed.as_chunks::<8>().0 else { return None };
        let [lengths, heard, counter, high, low] =
            [lengths, heard, counter, high, low].map(|bytes| u64::from_le_bytes(*bytes));
        let (below, rest) = rest.split_at_checked((lengths >> 32) as usize)?;
        #[allow(clippy::cast_possible_truncation, reason = "the low half is the other length")]
        let value = rest.get(..lengths as u32 as usize)?;
        let timestamp = Timestamp::from_parts(counter, Uuid::from_u64_pair(high, low));
        Some(Self { below, timestamp, heard: Heard::at(heard), value })
    }

    /// Bytes it takes.
    #[inline]
    pub(super) const fn len(&self) -> usize {
        FIXED + self.below.len() + self.value.len()
    }

    /// Overwrites `place`, which has the row's length.
    #[inline]
    fn write(&self, place: &mut [u8]) {
        let (high, low) = self.timestamp.node().as_u64_pair();
        let lengths = (self.below.len() as u64) << 32 | self.value.len() as u64;
        let fixed = [lengths, self.heard.to_u64(), self.timestamp.counter(), high, low];
        let Some((start, rest)) = place.split_first_chunk_mut::<FIXED>() else { return };
        for (place, number) in start.as_chunks_mut::<8>().0.iter_mut().zip(fixed) {
            *place = number.to_le_bytes();
        }
        if let Some((below, value)) = rest.split_at_mut_checked(self.below.len()) {
            below.copy_from_slice(self.below);
            value.copy_from_slice(self.value);
        }
    }

    /// The base and total of a counter.
    #[inline]
    pub(super) fn counter(&self) -> Option<(Timestamp, i64)> {
        if self.value.first() != Some(&Tag::COUNTER.0) {
            return None;
        }
        match self.decoded() {
            Some(ValueRef::Counter(counter)) => Some((counter.base(), counter.total())),
            _ => None,
        }
    }

    /// The value.
    pub(super) fn decoded(&self) -> Option<ValueRef<'a>> {
        value(self.value, &Context::ANY).ok().map(|(_, value)| value)
    }

    #[inline]
    pub(super) fn which(&self) -> Which {
        self.counter().map(|(base, _)| (self.timestamp.node(), base))
    }

    /// How its key compares to another one.
    #[inline]
    pub(super) fn cmp_key(&self, below: &[u8], which: Which) -> Ordering {
        self.below.cmp(below).then_with(|| self.which().cmp(&which))
    }

    /// Which of two rows with one key stays: the greater one.
    #[inline]
    pub(super) fn cmp_write(&self, other: &Self) -> Ordering {
        self.timestamp.cmp(&other.timestamp).then_with(|| match (self.counter(), other.counter()) {
            //= MRG-3
            (Some((_, mine)), Some((_, others))) => mine.cmp(&others),
            //= MRG-2
            _ => self.value.cmp(other.value),
        })
    }

    /// Whether a register at or above its path, for a register above it, with timestamp `top` hides it.
    #[inline]
    pub(super) fn is_hidden(&self, top: Timestamp) -> bool {
        match self.counter() {
            //= MRG-18
            Some((base, _)) => base < top,
            //= MRG-17
            //= MRG-9
            None => self.timestamp <= top,
        }
    }

    pub(super) fn entry(&self, collection: &'a str, record: Uuid) -> Entry<'a> {
        let Self { below, timestamp, heard, value } = *self;
        let path = PathRef::new(collection, record, below);
        match self.counter() {
            Some((base, total)) => Entry::Counter { path, base, timestamp, total, heard },
            None => Entry::Register { path, timestamp, value, heard },
        }
    }
}

/// Walks a run.
#[derive(Clone, Debug)]
pub(super) struct Rows<'a> {
    run: &'a [u8],
    at: usize,
}

impl<'a> Rows<'a> {
    pub(super) const fn from(run: &'a [u8], at: usize) -> Self {
        Self { run, at }
    }
}

impl<'a> Iterator for Rows<'a> {
    type Item = Row<'a>;

    #[inline]
    fn next(&mut self) -> Option<Row<'a>> {
        let row = Row::read(self.run, self.at)?;
        self.at += row.len();
        Some(row)
    }
}

/// Puts `row` where `old` bytes begin at `at`; with 0 it is inserted there.
#[inline]
pub(super) fn replace(run: &mut Vec<u8>, at: usize, old: usize, row: &Row<'_>) {
    let new = row.len();
    if new != old {
        resize(run, at, old, new);
    }
    if let Some(place) = run.get_mut(at..at + new) {
        row.write(place);
    }
}

/// Makes a hole of `old` bytes at `at` one of `new`.
pub(super) fn resize(run: &mut Vec<u8>, at: usize, old: usize, new: usize) {
    let len = run.len();
    if new > old {
        let more = new - old;
        if run.capacity() - len < more {
            // Doubling would waste more than it saves: a run is small, and most writes keep its size.
            run.reserve_exact(more + len / 8);
        }
        run.resize(len + more, 0);
    }
    run.copy_within(at + old..len, at + new);
    run.truncate(len + new - old);
}

/// Overwrites when the row at `at` was heard.
pub(super) fn set_heard(run: &mut [u8], at: usize, heard: Heard) {
    if let Some(place) = run.get_mut(at + 8..at + 16) {
        place.copy_from_slice(&heard.to_u64().to_le_bytes());
    }
}
