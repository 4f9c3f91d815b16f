//! What one query may cost, and what it has.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use blazedb_relay::value::Entries;

use crate::Error;

/// What a query may cost (RLY-55).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// From its beginning to its end.
    pub time: Duration,
    /// Records that it looks at, each as often as it does.
    pub rows: u64,
    /// Bytes that it keeps while it runs: groups, joined keys, content too large for the tables.
    pub bytes: u64,
}

impl Default for Budget {
    /// 5 seconds, as long as a state may be waited for; a million rows; 64 MiB.
    fn default() -> Self {
        Self { time: Duration::from_secs(5), rows: 1_000_000, bytes: 64 << 20 }
    }
}

/// Shared by the functions that a statement calls and whoever runs it.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    rows: AtomicU64,
    bytes: AtomicU64,
    exceeded: AtomicBool,
    run: Mutex<Run>,
}

/// What belongs to the query that runs.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub(crate) ends: Option<Instant>,
    /// Content of records that have none in the table.
    pub(crate) large: HashMap<i64, Entries>,
    /// The keys of each `in`.
    pub(crate) lists: Vec<BTreeSet<Vec<u8>>>,
}

impl Meter {
    pub(crate) fn begin(&self, budget: &Budget) {
        self.rows.store(budget.rows, Relaxed);
        self.bytes.store(budget.bytes, Relaxed);
        self.exceeded.store(false, Relaxed);
        *self.run() = Run { ends: Instant::now().checked_add(budget.time), ..Run::default() };
    }

    /// Keeps nothing of the query.
    pub(crate) fn end(&self) {
        *self.run() = Run::default();
    }

    pub(crate) fn run(&self) -> MutexGuard<'_, Run> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more record is looked at.
    pub(crate) fn row(&self) -> Result<(), Error> {
        self.spend(&self.rows, 1)
    }

    /// So many more bytes are kept.
    pub(crate) fn keep(&self, bytes: usize) -> Result<(), Error> {
        self.spend(&self.bytes, bytes as u64)
    }

    fn spend(&self, budget: &AtomicU64, cost: u64) -> Result<(), Error> {
        // Only one thread runs the query.
        match budget.load(Relaxed).checked_sub(cost) {
            Some(left) => {
                budget.store(left, Relaxed);
                Ok(())
            }
            None => {
                self.exceeded.store(true, Relaxed);
                Err(Error::TooExpensive)
            }
        }
    }

    /// Whether the time is over; asked now and then.
    pub(crate) fn is_late(&self) -> bool {
        let late = self.run().ends.is_some_and(|ends| Instant::now() >= ends);
        if late {
            self.exceeded.store(true, Relaxed);
        }
        late
    }

    pub(crate) fn is_exceeded(&self) -> bool {
        self.exceeded.load(Relaxed)
    }
}
