//! What is measured while a history is replayed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use blazedb_relay::wire::Timestamp;
use indicatif::ProgressBar;
use uuid::Uuid;

use crate::numbers::percentile;

/// Of so many operations one is followed to another client.
const FOLLOWED: u64 = 16;

/// Shared by all clients.
pub(super) struct Figures {
    bar: ProgressBar,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// When operations were written that are not durable yet.
    written: HashMap<Timestamp, Instant>,
    /// Those of them that no other client has yet, by the record that they write to.
    followed: HashMap<Uuid, (Timestamp, Instant)>,
    acks: Vec<f64>,
    deliveries: Vec<f64>,
    sent: u64,
    received: u64,
    rejected: u64,
    absences: u64,
}

/// Milliseconds.
pub(super) struct Spread {
    pub(super) count: u64,
    pub(super) p50: f64,
    pub(super) p99: f64,
}

pub(super) struct Summary {
    pub(super) acks: Spread,
    pub(super) deliveries: Spread,
    /// Bytes by all clients.
    pub(super) sent: u64,
    /// Bytes to all clients.
    pub(super) received: u64,
    pub(super) rejected: u64,
    /// How often a client went offline.
    pub(super) absences: u64,
}

impl Figures {
    pub(super) fn new(bar: ProgressBar) -> Self {
        Self { bar, inner: Mutex::default() }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These operations are written now.
    pub(super) fn written(&self, ops: impl Iterator<Item = (Timestamp, Uuid)>) {
        let now = Instant::now();
        let mut inner = self.inner();
        for (timestamp, record) in ops {
            inner.written.insert(timestamp, now);
            if timestamp.counter().is_multiple_of(FOLLOWED) {
                inner.followed.insert(record, (timestamp, now));
            }
        }
    }

    /// These operations are on the relay's disk.
    pub(super) fn durable(&self, timestamps: &[Timestamp]) {
        let now = Instant::now();
        let mut inner = self.inner();
        for timestamp in timestamps {
            if let Some(then) = inner.written.remove(timestamp) {
                let milliseconds = (now - then).as_secs_f64() * 1e3;
                inner.acks.push(milliseconds);
            }
        }
        drop(inner);
        self.bar.inc(timestamps.len() as u64);
    }

    /// A client heard of records that others changed; `version` gives their newest timestamp there.
    pub(super) fn heard(
        &self,
        records: impl Iterator<Item = (String, Uuid)>,
        version: impl Fn(&str, Uuid) -> Option<Timestamp>,
    ) {
        let now = Instant::now();
        let mut inner = self.inner();
        for (collection, record) in records {
            let Some((timestamp, then)) = inner.followed.get(&record).copied() else { continue };
            if version(&collection, record).is_some_and(|version| version >= timestamp) {
                inner.followed.remove(&record);
                inner.deliveries.push((now - then).as_secs_f64() * 1e3);
            }
        }
    }

    /// A client has moved so many bytes.
    pub(super) fn moved(&self, sent: u64, received: u64) {
        let mut inner = self.inner();
        inner.sent += sent;
        inner.received += received;
    }

    /// The relay refused so many operations of a client.
    pub(super) fn rejected(&self, count: u64) {
        self.inner().rejected += count;
    }

    /// A client went offline.
    pub(super) fn absent(&self) {
        self.inner().absences += 1;
    }

    pub(super) fn summary(&self) -> Summary {
        let mut inner = self.inner();
        Summary {
            acks: spread(&mut inner.acks),
            deliveries: spread(&mut inner.deliveries),
            sent: inner.sent,
            received: inner.received,
            rejected: inner.rejected,
            absences: inner.absences,
        }
    }
}

fn spread(times: &mut [f64]) -> Spread {
    times.sort_by(f64::total_cmp);
    let at = |percent| percentile(times, percent).unwrap_or_default();
    Spread { count: times.len() as u64, p50: at(50), p99: at(99) }
}
