//! One table of sizes, times and allocations of ours and of other formats.
//!
//! `cargo bench --bench table`. All contenders take turns in many short rounds, and of each the fastest
//! pass counts, so that what else the machine does falls on all of them alike. The number of rounds
//! may be given: `cargo bench --bench table -- 1000`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark may stop and talk"
)]

mod support;

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::alloc::System;
use std::time::Instant;

use support::{Contender, DATA_SETS, Sample, Unit, Work, contenders};

const ROUNDS: usize = 200;
/// Passes in a turn. The first finds the caches full of what others did.
const PASSES: usize = 4;

/// Counts allocations while it is told to. While it is not, it costs a load and a branch, so that it
/// does not slow those down that allocate.
struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps what GlobalAlloc demands.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline]
    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: as above.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[inline]
fn count() {
    if COUNTS.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    // `cargo test --benches` only wants to see that it runs.
    let rounds = if arguments.iter().any(|argument| argument == "--test") {
        1
    } else {
        arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(ROUNDS)
    };
    for (data, load) in DATA_SETS {
        match load() {
            Ok(samples) => tables(data, &samples, rounds),
            Err(reason) => eprintln!("{data} is skipped: {reason}"),
        }
    }
}

/// What was measured of one contender in one unit; times of one pass, in the order of [`Work::ALL`].
struct Row {
    name: &'static str,
    bytes: usize,
    compressed: usize,
    times: [Duration; 3],
    allocations: [usize; 3],
}

fn tables(data: &str, samples: &[Sample], rounds: usize) {
    let mut contenders = contenders(samples);
    for unit in Unit::ALL {
        let ours: Vec<_> = contenders[0].encoded(unit).into_iter().map(<[u8]>::to_vec).collect();
        let mut rows: Vec<_> = contenders.iter_mut().map(|contender| row(&mut **contender, unit)).collect();
        let mut crc = Duration::MAX;
        for round in 0..rounds {
            crc = crc.min(fastest(|| {
                for bytes in &ours {
                    black_box(crc32fast::hash(bytes));
                }
            }));
            for (index, work) in Work::ALL.into_iter().enumerate() {
                for turn in 0..rows.len() {
                    let who = (turn + round) % rows.len();
                    let took = fastest(|| contenders[who].run(unit, work));
                    rows[who].times[index] = rows[who].times[index].min(took);
                }
            }
        }
        print(data, unit, &rows, crc, samples.len());
    }
}

fn row(contender: &mut dyn Contender, unit: Unit) -> Row {
    let encoded = contender.encoded(unit);
    let bytes = encoded.iter().map(|bytes| bytes.len()).sum();
    let compressed = encoded.iter().map(|bytes| lz4_flex::block::compress(bytes).len()).sum();
    let allocations = Work::ALL.map(|work| {
        // The first pass may grow buffers that are kept.
        contender.run(unit, work);
        ALLOCATIONS.store(0, Ordering::Relaxed);
        COUNTS.store(true, Ordering::Relaxed);
        contender.run(unit, work);
        COUNTS.store(false, Ordering::Relaxed);
        ALLOCATIONS.load(Ordering::Relaxed)
    });
    Row { name: contender.name(), bytes, compressed, times: [Duration::MAX; 3], allocations }
}

/// One turn: the fastest of a few passes.
fn fastest(mut pass: impl FnMut()) -> Duration {
    let time = || {
        let start = Instant::now();
        pass();
        start.elapsed()
    };
    core::iter::repeat_with(time).take(PASSES).min().unwrap_or(Duration::MAX)
}

#[allow(clippy::cast_precision_loss, reason = "numbers for people")]
fn print(data: &str, unit: Unit, rows: &[Row], crc: Duration, ops: usize) {
    let per_op = |count: usize| count as f64 / ops as f64;
    let ns = |time: Duration| time.as_nanos() as f64 / ops as f64;
    let [ours, ..] = rows else { return };

    println!("\n### {data}, per {} ({ops} operations)\n", unit.name());
    println!(
        "Bytes, ns and allocations per operation. A ratio is the other's time divided by ours. \
         Allocations are those of encode / visit / validate.\n"
    );
    print!("| format | bytes | LZ4 |");
    Work::ALL.iter().for_each(|work| print!(" {} ns | ratio |", work.name()));
    println!(" allocations |");
    println!("|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
    for row in rows {
        print!("| {} | {:.1} | {:.1} ", row.name, per_op(row.bytes), per_op(row.compressed));
        for (theirs, ours) in row.times.iter().zip(&ours.times) {
            print!("| {:.1} | {:.2} ", ns(*theirs), theirs.as_secs_f64() / ours.as_secs_f64());
        }
        let [encode, visit, validate] = row.allocations.map(per_op);
        println!("| {encode:.2} / {visit:.2} / {validate:.2} |");
    }
    println!(
        "\nCRC-32 over the same bytes of ours takes {:.1} ns; validating them takes {:.2} times that.",
        ns(crc),
        ours.times[2].as_secs_f64() / crc.as_secs_f64()
    );
}
