//! Operations that are not known to be accepted or refused (SPEC.md 10.4).

use alloc::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use super::Queued;
use crate::wire::Timestamp;

/// Operations by number.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Outbox {
    ops: BTreeMap<u64, Queued>,
    by_record: BTreeSet<(Uuid, u64)>,
    by_timestamp: BTreeSet<(Timestamp, u64)>,
    restored: usize,
}

impl Outbox {
    pub(super) fn put(&mut self, queued: Queued) {
        let head = queued.op.op().head;
        let (number, record, timestamp) = (head.node_seq, head.record, head.timestamp);
        self.remove(number);
        self.by_record.insert((record, number));
        self.by_timestamp.insert((timestamp, number));
        self.restored += usize::from(queued.restored);
        self.ops.insert(number, queued);
    }

    pub(super) fn remove(&mut self, number: u64) -> Option<Queued> {
        let queued = self.ops.remove(&number)?;
        let head = queued.op.op().head;
        self.by_record.remove(&(head.record, number));
        self.by_timestamp.remove(&(head.timestamp, number));
        self.restored -= usize::from(queued.restored);
        Some(queued)
    }

    pub(super) fn get(&self, number: u64) -> Option<&Queued> {
        self.ops.get(&number)
    }

    /// The operations from `first` to `last`, by number.
    pub(super) fn range(&self, first: u64, last: u64) -> impl DoubleEndedIterator<Item = (u64, &Queued)> {
        let range = if first <= last { Some(self.ops.range(first..=last)) } else { None };
        range.into_iter().flatten().map(|(number, queued)| (*number, queued))
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Queued)> {
        self.ops.iter().map(|(number, queued)| (*number, queued))
    }

    pub(super) fn len(&self) -> usize {
        self.ops.len()
    }

    /// How many of them SES-60 made.
    pub(super) const fn restored(&self) -> usize {
        self.restored
    }

    /// The operations that write to a record, by number.
    pub(super) fn of_record<'a>(
        &'a self,
        collection: &'a str,
        record: Uuid,
    ) -> impl Iterator<Item = &'a Queued> {
        let numbers = self.by_record.range((record, 0)..=(record, u64::MAX));
        numbers
            .filter_map(|(_, number)| self.ops.get(number))
            .filter(move |queued| queued.op.op().head.collection == collection)
    }

    /// The operation with that timestamp; of several the one with the least number.
    pub(super) fn find(&self, timestamp: Timestamp) -> Option<&Queued> {
        let mut found = self.by_timestamp.range((timestamp, 0)..=(timestamp, u64::MAX));
        found.next().and_then(|(_, number)| self.ops.get(number))
    }

    /// The numbers of the transaction that operation `number` is part of: those around it that the
    /// application wrote with it.
    pub(super) fn transaction_of(&self, number: u64) -> (u64, u64) {
        let Some(Queued { transaction: Some(transaction), .. }) = self.ops.get(&number) else {
            return (number, number);
        };
        let same = |(_, queued): &(u64, &Queued)| queued.transaction == Some(*transaction);
        let first = self.range(0, number).rev().take_while(same).last();
        let last = self.range(number, u64::MAX).take_while(same).last();
        (first.map_or(number, |(first, _)| first), last.map_or(number, |(last, _)| last))
    }
}
