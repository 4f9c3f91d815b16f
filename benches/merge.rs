//! What the merge costs: a real edit history into an empty state.
//!
//! `cargo bench --bench merge`. The operations stand ready in blocks of rows; reading the rows is part
//! of what is measured, since nobody can merge without it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a benchmark may stop and talk"
)]

#[path = "../crates/conformance/tests/support/trace.rs"]
mod trace;

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::alloc::System;
use std::time::Instant;

use blazedb_relay::block::{BlockBuilder, BlockRef, Compression};
use blazedb_relay::merge::{Entry, Heard, State};
use blazedb_relay::op::Op;
use blazedb_relay::wire::NodeId;

/// Of which the fastest counts, as for the other benchmarks.
const ROUNDS: usize = 15;
/// As many as a client puts into one push when it catches up.
const OPS_PER_BLOCK: usize = 1_000;

/// Counts the bytes in use, as they were asked for.
struct Counting;

static BYTES: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps what GlobalAlloc demands.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
    }
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--test");
    let (name, rounds) = if quick { ("selfhosted-1k.ndjson", 1) } else { ("selfhosted.ndjson.zst", ROUNDS) };
    match trace::ops(name) {
        Ok(ops) => measure(name, &blocks(ops), rounds),
        Err(reason) => eprintln!("skipped: {reason}"),
    }
}

/// All operations, in blocks.
fn blocks(ops: impl Iterator<Item = Op>) -> Vec<Vec<u8>> {
    let mut blocks = Vec::new();
    let mut builder = BlockBuilder::new(NodeId::new(trace::DELIVERER).unwrap(), 1);
    for (op, number) in ops.zip(1..) {
        builder.push(&op).unwrap();
        if builder.len() == OPS_PER_BLOCK {
            blocks.push(builder.finish(Compression::None).unwrap().to_vec());
            builder.restart(number + 1);
        }
    }
    blocks.extend(builder.finish(Compression::None).map(<[u8]>::to_vec));
    blocks
}

#[allow(clippy::cast_precision_loss, reason = "numbers for people")]
fn measure(name: &str, blocks: &[Vec<u8>], rounds: usize) {
    let mut reading = Duration::MAX;
    let mut merging = Duration::MAX;
    for _ in 0..rounds {
        reading = reading.min(time(|| {
            walk(blocks, |op| {
                black_box(op);
            });
        }));
        merging = merging.min(time(|| drop(black_box(merge(blocks)))));
    }
    let mut ops = 0;
    walk(blocks, |_| ops += 1);

    let before = BYTES.load(Ordering::Relaxed);
    let state = merge(blocks);
    let grown = BYTES.load(Ordering::Relaxed) - before;
    let values: usize = state.entries().map(|entry| value_len(&entry)).sum();
    let live: Vec<_> = state.records(trace::COLLECTION).map(|(_, fields)| fields.len()).collect();
    let fields: usize = live.iter().sum();
    let other = time(|| {
        let mut other = State::new();
        other.merge(&state, &mut ());
        drop(black_box(other));
    });
    let read = time(|| {
        black_box(state.records(trace::COLLECTION).count());
    });

    let rate = |time: Duration| f64::from(ops) / time.as_secs_f64() / 1e6;
    println!("{name}: {ops} operations in {} blocks", blocks.len());
    println!("reading the rows alone  {:>7.2} million operations per second", rate(reading));
    println!("reading and merging     {:>7.2} million operations per second", rate(merging));
    println!("state onto an empty one {:>7.2} ms", other.as_secs_f64() * 1e3);
    println!("contents of all records {:>7.2} ms", read.as_secs_f64() * 1e3);
    println!(
        "{fields} live fields of {} records in {grown} bytes: {:.1} per field, {:.1} of them its value",
        live.len(),
        grown as f64 / fields as f64,
        values as f64 / fields as f64,
    );
}

fn walk(blocks: &[Vec<u8>], mut each: impl FnMut(&blazedb_relay::op::OpRef<'_>)) {
    let mut scratch = Vec::new();
    for block in blocks {
        let block = BlockRef::decode(block).unwrap();
        block.rows(&mut scratch).unwrap().iter().for_each(|op| each(&op));
    }
}

fn merge(blocks: &[Vec<u8>]) -> State {
    let mut state = State::new();
    let mut seq = 0;
    walk(blocks, |op| {
        seq += 1;
        state.apply(op, Heard::at(seq), &mut ());
    });
    state
}

fn time(pass: impl FnOnce()) -> Duration {
    let start = Instant::now();
    pass();
    start.elapsed()
}

const fn value_len(entry: &Entry<'_>) -> usize {
    match entry {
        Entry::Register { value, .. } => value.len(),
        Entry::Counter { .. } => 33,
    }
}
