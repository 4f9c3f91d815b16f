//! Decoding and validating allocate nothing; encoding allocates its output and nothing else.
//!
//! One test alone in its process, so that nothing else allocates meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]

use core::alloc::{GlobalAlloc, Layout};
use core::hint::black_box;
use core::sync::atomic::{AtomicUsize, Ordering};
use std::alloc::System;

use blazedb_relay::block::{BlockBuilder, BlockRef, Compression};
use blazedb_relay::codec::{self, Packet};
use blazedb_relay::op::{Op, OpRef, Visit};
use blazedb_relay::registry::Capabilities;
use blazedb_relay::value::{RecordRef, ValueRef};
use blazedb_relay_conformance::meaning::Target;
use blazedb_relay_conformance::{spec, vectors};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps GlobalAlloc's contract.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Runs `work` and gives how often it allocated.
fn allocations(work: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    work();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

/// Walks into everything it is shown.
#[derive(Default)]
struct Walk(usize);

impl Visit for Walk {
    fn field(&mut self, name: &str, value: ValueRef<'_>) {
        self.0 += name.len() + walk(value);
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "only containers have something inside")]
fn walk(value: ValueRef<'_>) -> usize {
    match value {
        ValueRef::Array(array) => array.iter().map(walk).sum(),
        ValueRef::Dictionary(entries) | ValueRef::Patch(entries) => {
            entries.iter().map(|(key, value)| key.len() + walk(value)).sum()
        }
        ValueRef::Vector(vector) => vector.len(),
        _ => 1,
    }
}

#[test]
fn decoding_allocates_nothing() {
    // Room for the largest decompressed payload, so that only decoding itself could allocate.
    let mut scratch = Vec::with_capacity(blazedb_relay::limits::MAX_BLOCK);
    let context = codec::Context::session(Capabilities::ALL);
    for file in vectors::load(&spec::root().join("test-vectors")).unwrap() {
        for test in &file.tests {
            let input = test.input.as_slice();
            let count = allocations(|| match file.target {
                Target::Value => {
                    black_box(ValueRef::decode(input).map(walk)).ok();
                }
                Target::Record => {
                    black_box(RecordRef::decode(input).map(|record| record.fields.iter().count())).ok();
                }
                Target::Op => {
                    black_box(OpRef::decode(input).map(|op| op.fields.iter().count())).ok();
                }
                Target::Block => {
                    let rows = BlockRef::decode(input).and_then(|block| block.rows(&mut scratch));
                    black_box(rows.map(|rows| rows.visit(Capabilities::ALL, &mut Walk::default()))).ok();
                }
                Target::Frame | Target::Message => {
                    let packet = Packet::decode(input, &context);
                    black_box(
                        packet.map(|packet| packet.validate_blocks(input, Capabilities::ALL, &mut scratch)),
                    )
                    .ok();
                }
            });
            assert_eq!(count, 0, "{} allocated {count} times", test.id);
        }
    }

    let example = std::fs::read(spec::root().join("test-vectors/examples/bug.op")).unwrap();
    let op = Op::try_from(OpRef::decode(&example).unwrap()).unwrap();
    let mut out = Vec::with_capacity(example.len());
    assert_eq!(allocations(|| op.encode(&mut out)), 0);
    assert_eq!(out, example);

    let mut builder = BlockBuilder::new(op.delivery().0, op.delivery().1);
    builder.push(&op).unwrap();
    builder.finish(Compression::None).unwrap();
    builder.restart(op.delivery().1);
    assert_eq!(allocations(|| builder.push(&op).unwrap()), 0);
}
