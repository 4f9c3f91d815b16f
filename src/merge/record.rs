//! The registers and counters of one record.

use alloc::vec::Vec;
use core::cmp::Ordering;

use uuid::Uuid;

use super::entry::{Change, Heard, Observe};
use super::path::{above, is_within};
use super::row::{Row, Rows, Which, replace, resize, set_heard};
use super::tops::Tops;
use crate::mutant::Mutant;
use crate::wire::Timestamp;

/// A run that grows beyond this many bytes is cut in two. Ordinary records have one run; a set with a
/// million keys has many, so that a write to it moves few bytes.
const MAX_RUN: usize = 2_048;
/// A write looks at the rows that it may hide until it met this many that stay. Rows that go were paid
/// for when they came; rows that stay could be met again by every further write.
const MAX_KEPT: usize = 64;

/// Rows ascending by key, in runs.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    first: Vec<u8>,
    /// None of these is empty.
    more: Vec<Vec<u8>>,
}

/// Where a row is or would be inserted.
struct Place {
    run: usize,
    at: usize,
    /// Bytes of the row there, 0 if it is missing.
    len: usize,
}

/// What an observer is told about the rows of a record.
pub(super) struct Report<'a, O> {
    pub(super) collection: &'a str,
    pub(super) record: Uuid,
    pub(super) observer: &'a mut O,
}

impl<O: Observe> Report<'_, O> {
    #[inline]
    fn set(&mut self, row: &Row<'_>) {
        self.observer.set(row.entry(self.collection, self.record));
    }

    fn dropped(&mut self, row: &Row<'_>) {
        self.observer.dropped(row.entry(self.collection, self.record));
    }
}

impl Record {
    /// All rows in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.rows_from(0, 0)
    }

    /// The rows at `p` and below it.
    pub(super) fn rows_within<'a>(&'a self, p: &[u8]) -> impl Iterator<Item = Row<'a>> {
        let place = self.find(p, None);
        self.rows_from(place.run, place.at).take_while(move |row| is_within(row.below, p))
    }

    fn rows_from(&self, run: usize, at: usize) -> impl Iterator<Item = Row<'_>> {
        let first = Rows::from(self.run(run), at);
        first.chain(self.more.iter().skip(run).flat_map(|run| Rows::from(run, 0)))
    }

    #[inline]
    fn run(&self, i: usize) -> &[u8] {
        match i.checked_sub(1) {
            None => &self.first,
            Some(i) => self.more.get(i).map_or(&[], Vec::as_slice),
        }
    }

    #[inline]
    fn run_mut(&mut self, i: usize) -> &mut Vec<u8> {
        match i.checked_sub(1).and_then(|i| self.more.get_mut(i)) {
            None => &mut self.first,
            Some(run) => run,
        }
    }

    #[inline]
    fn find(&self, below: &[u8], which: Which) -> Place {
        let run = if self.more.is_empty() { 0 } else { self.find_run(below, which) };
        let mut at = 0;
        for row in Rows::from(self.run(run), 0) {
            match row.cmp_key(below, which) {
                Ordering::Less => at += row.len(),
                Ordering::Equal => return Place { run, at, len: row.len() },
                Ordering::Greater => break,
            }
        }
        Place { run, at, len: 0 }
    }

    #[inline(never)]
    fn find_run(&self, below: &[u8], which: Which) -> usize {
        self.more.partition_point(|run| {
            Row::read(run, 0).is_some_and(|row| row.cmp_key(below, which) != Ordering::Greater)
        })
    }

    /// The register or counter with that key.
    #[inline]
    pub(super) fn get(&self, below: &[u8], which: Which) -> Option<Row<'_>> {
        let place = self.find(below, which);
        if place.len == 0 { None } else { Row::read(self.run(place.run), place.at) }
    }

    /// The greatest timestamp of the registers above `below`.
    #[inline]
    pub(super) fn top_above(&self, below: &[u8]) -> Timestamp {
        above(below).filter_map(|p| self.register_timestamp(p)).max().unwrap_or(Timestamp::NEVER)
    }

    #[inline]
    pub(super) fn register_timestamp(&self, below: &[u8]) -> Option<Timestamp> {
        if below.is_empty() {
            // The first row of all, if it is there.
            let first = Row::read(&self.first, 0).filter(|row| row.below.is_empty());
            return first.map(|row| row.timestamp);
        }
        self.get(below, None).map(|row| row.timestamp)
    }

    //= MRG-10
    /// top of SPEC.md 12.4.
    pub(super) fn top(&self, below: &[u8]) -> Timestamp {
        self.top_above(below).max(self.register_timestamp(below).unwrap_or(Timestamp::NEVER))
    }

    /// put and put_counter of SPEC.md 12.2; `top` is the greatest timestamp above the path of `row`.
    #[inline]
    pub(super) fn put<O: Observe>(
        &mut self,
        row: &Row<'_>,
        top: Timestamp,
        report: &mut Report<'_, O>,
    ) -> Change {
        let which = row.which();
        let beside = if which.is_some() { self.register_timestamp(row.below) } else { None };
        if row.is_hidden(beside.map_or(top, |beside| beside.max(top))) {
            return Change::Nothing;
        }
        let place = self.find(row.below, which);
        if let Some(old) = Row::read(self.run(place.run), place.at).filter(|_| place.len > 0) {
            match row.cmp_write(&old) {
                Ordering::Less if row.timestamp == old.timestamp && Mutant::TieByArrival.is_on() => {}
                Ordering::Less => return Change::Nothing,
                Ordering::Equal if row.heard < old.heard => {
                    //= SES-56
                    //= SES-58
                    set_heard(self.run_mut(place.run), place.at, row.heard);
                    report.set(row);
                    return Change::Heard;
                }
                Ordering::Equal => return Change::Nothing,
                //= SES-57
                Ordering::Greater => {}
            }
        }
        replace(self.run_mut(place.run), place.at, place.len, row);
        report.set(row);
        if which.is_none() {
            self.drop_hidden(&place, row, report);
        }
        if self.run(place.run).len() > MAX_RUN {
            self.cut(place.run);
        }
        Change::Entry
    }

    //= MRG-20
    /// Drops what the register `by`, which was put at `place`, hides: counters beside it, and what stands
    /// below it.
    #[inline]
    fn drop_hidden<O: Observe>(&mut self, place: &Place, by: &Row<'_>, report: &mut Report<'_, O>) {
        let (mut run, mut at, mut kept) = (place.run, place.at + by.len(), 0);
        let mut emptied = false;
        'runs: while run <= self.more.len() {
            let bytes = self.run_mut(run);
            while let Some(row) = Row::read(bytes, at) {
                if !is_within(row.below, by.below) || kept == MAX_KEPT {
                    shrink(bytes);
                    break 'runs;
                }
                let len = row.len();
                if row.is_hidden(by.timestamp) {
                    report.dropped(&row);
                    resize(bytes, at, len, 0);
                } else {
                    kept += 1;
                    at += len;
                }
            }
            shrink(bytes);
            emptied |= bytes.is_empty();
            (run, at) = (run + 1, 0);
        }
        self.drop_empty_runs(emptied);
    }

    #[inline]
    fn drop_empty_runs(&mut self, emptied: bool) {
        if emptied {
            self.more.retain(|run| !run.is_empty());
        }
    }

    /// Cuts a run in two, at a row near its middle.
    #[inline(never)]
    fn cut(&mut self, run: usize) {
        let bytes = self.run_mut(run);
        let half = bytes.len() / 2;
        let mut at = 0;
        for row in Rows::from(bytes, 0) {
            // Neither half is empty, whatever the size of the first row and the last.
            let behind = at + row.len();
            if at > 0 && (behind > half || behind == bytes.len()) {
                break;
            }
            at = behind;
        }
        if at > 0 && at < bytes.len() {
            let second = bytes.split_off(at);
            bytes.shrink_to_fit();
            self.more.insert(run, second);
        }
    }

    //= MRG-19
    //= MRG-20
    /// Drops everything that MRG-17 and MRG-18 allow.
    pub(super) fn prune<O: Observe>(&mut self, report: &mut Report<'_, O>) {
        let mut tops = Tops::default();
        for run in core::iter::once(&mut self.first).chain(&mut self.more) {
            let mut at = 0;
            while let Some(row) = Row::read(run, at) {
                let len = row.len();
                if row.is_hidden(tops.at(row.below)) {
                    report.dropped(&row);
                    resize(run, at, len, 0);
                    continue;
                }
                tops.pass(&row);
                at += len;
            }
            run.shrink_to_fit();
        }
        self.drop_empty_runs(true);
    }

    //= SES-31
    /// Sets everything that was heard of after `seq` to in doubt.
    pub(super) fn doubt_above<O: Observe>(&mut self, seq: u64, report: &mut Report<'_, O>) {
        for run in core::iter::once(&mut self.first).chain(&mut self.more) {
            let mut at = 0;
            while let Some(row) = Row::read(run, at) {
                let len = row.len();
                if row.heard > Heard::at(seq) && !row.heard.is_in_doubt() {
                    report.set(&Row { heard: Heard::IN_DOUBT, ..row });
                    set_heard(run, at, Heard::IN_DOUBT);
                }
                at += len;
            }
        }
    }

    /// The rows that are not hidden by another one.
    pub(super) fn visible_rows(&self) -> impl Iterator<Item = Row<'_>> {
        let mut tops = Tops::default();
        self.rows().filter(move |row| {
            let visible = !row.is_hidden(tops.at(row.below));
            if visible {
                tops.pass(row);
            }
            visible
        })
    }
}

/// Gives memory back that rows had which were dropped.
#[inline]
fn shrink(run: &mut Vec<u8>) {
    if run.capacity() / 2 > run.len() {
        run.shrink_to_fit();
    }
}
