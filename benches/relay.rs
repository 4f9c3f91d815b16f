//! What a relay costs: memory for each idle connection, and time for each operation that is pushed and
//! delivered to ten subscribers.
//!
//! `cargo bench --bench relay`. The store answers at once and the transports take everything, so all that is
//! measured is the relay itself. The number of rounds may be given: `cargo bench --bench relay -- 20`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    reason = "a benchmark may stop and talk"
)]

use core::alloc::{GlobalAlloc, Layout};
use core::num::NonZeroU64;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::alloc::System;
use std::sync::Arc;
use std::time::Instant;

use blazedb_relay::block::{BlockBuilder, Blocks, Compression};
use blazedb_relay::codec::{Packet, ids_check};
use blazedb_relay::message::{
    Authentication, Data, DatabaseRef, Extensions, Handshake, LastNodeSeq, List, Mark, Message, ProtocolText,
    Push, PushBlocks, RestoreMode, Subscribe, UpdateAck, VersionRange,
};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::registry::{Capabilities, Capability};
use blazedb_relay::relay::{
    Access, Claim, Config, ConnId, Epoch, Framing, Input, Output, Principal, Relay, Rights,
};
use blazedb_relay::time::Time;
use blazedb_relay::value::{Fields, Value};
use blazedb_relay::wire::{CollectionName, DatabaseName, FieldName, NodeId, NodeKey, Position, Timestamp};
use bytes::Bytes;
use uuid::Uuid;

const ROUNDS: usize = 10;
/// Operations of a push, pushes of a round, and subscribers that get them.
const OPS: u64 = 100;
const PUSHES: u64 = 2_000;
const SUBSCRIBERS: u64 = 10;
/// Idle connections whose memory is measured.
const IDLE: u64 = 10_000;
/// Updates after which a subscriber acknowledges.
const ACK: u64 = 8;

/// Counts the bytes that are allocated.
struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps what GlobalAlloc demands.
        unsafe { System.alloc(layout) }
    }

    #[inline]
    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(place, layout) }
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
    println!("{} bytes for each of {IDLE} idle subscribed connections", idle_bytes());
    let pushes: Vec<_> = (0..PUSHES).map(|n| push(1 + n * OPS)).collect();
    let fastest = core::iter::repeat_with(|| round(&pushes)).take(rounds).min().unwrap_or(Duration::MAX);
    let ops = (PUSHES * OPS) as f64;
    println!(
        "{:.0} operations a second, {:.0} ns each, pushed in blocks of {OPS} and delivered to {SUBSCRIBERS}",
        ops / fastest.as_secs_f64(),
        fastest.as_nanos() as f64 / ops
    );
}

/// A relay whose store answers at once and keeps nothing.
struct World {
    relay: Relay,
    rights: Arc<Rights>,
    head: u64,
    /// For each connection, updates that were sent.
    updates: Vec<u64>,
}

impl World {
    fn new() -> Self {
        Self {
            relay: Relay::new(Config::default()),
            rights: Arc::new(Rights::new(Access::ALL)),
            head: 0,
            updates: Vec::new(),
        }
    }

    /// Gives an input, and all answers to what comes of it.
    fn input(&mut self, input: Input) {
        let mut inputs = vec![input];
        let mut flushed = Vec::new();
        while let Some(input) = inputs.pop() {
            self.relay.handle(Time { monotonic_ms: 0, unix_ms: 1_800_000_000_000 }, input);
            while let Some(output) = self.relay.poll_output() {
                match output {
                    Output::Send { conn, head, blocks } => {
                        let bytes = head.len() + blocks.iter().map(Bytes::len).sum::<usize>();
                        flushed.push((conn, bytes, !blocks.is_empty()));
                    }
                    Output::Authorize { ticket, conn, .. } => inputs.push(Input::Authorized {
                        ticket,
                        principal: Principal::new(&format!("principal {}", conn.0)),
                        rights: self.rights.clone(),
                        valid_until_ms: None,
                    }),
                    Output::OpenDatabase { ticket, .. } => {
                        let epoch = Epoch { id: NonZeroU64::MIN, begins: 0, mode: RestoreMode::Keep };
                        inputs.push(Input::DatabaseOpened { ticket, head: 0, epochs: vec![epoch] });
                    }
                    Output::LoadNode { ticket, .. } => {
                        inputs.push(Input::NodeLoaded { ticket, claim: Claim::Yours(Mark::NONE) });
                    }
                    Output::Append { ticket, nodes, .. } => {
                        let blocks = nodes.iter().flat_map(|node| &node.blocks);
                        inputs.push(Input::Appended { ticket, first_seq: self.head + 1 });
                        self.head += blocks.map(|block| u64::from(block.count)).sum::<u64>();
                    }
                    other => panic!("nobody asked for {other:?}"),
                }
            }
            for (conn, bytes, update) in flushed.drain(..) {
                inputs.push(Input::Flushed { conn, bytes });
                let updates = &mut self.updates[conn.0 as usize];
                *updates += u64::from(update);
                if update && updates.is_multiple_of(ACK) {
                    inputs.push(Input::Received { conn, bytes: update_ack(self.head) });
                }
            }
        }
    }

    fn connect(&mut self, conn: u64) {
        self.updates.resize(conn as usize + 1, 0);
        self.input(Input::Opened { conn: ConnId(conn), framing: Framing::Messages });
        self.input(Input::Received { conn: ConnId(conn), bytes: handshake(conn) });
    }

    fn subscribe(&mut self, conn: u64) {
        self.connect(conn);
        self.input(Input::Received { conn: ConnId(conn), bytes: subscribe() });
    }
}

fn idle_bytes() -> usize {
    let mut world = World::new();
    world.subscribe(0);
    world.updates.reserve(IDLE as usize);
    let before = LIVE.load(Ordering::Relaxed);
    (1..=IDLE).for_each(|conn| world.subscribe(conn));
    assert_eq!(world.relay.connections() as u64, IDLE + 1);
    (LIVE.load(Ordering::Relaxed) - before) / IDLE as usize
}

/// Pushes all, and sees everyone get everything.
fn round(pushes: &[Bytes]) -> Duration {
    let mut world = World::new();
    world.connect(0);
    (1..=SUBSCRIBERS).for_each(|conn| world.subscribe(conn));
    let start = Instant::now();
    for bytes in pushes {
        world.input(Input::Received { conn: ConnId(0), bytes: bytes.clone() });
    }
    let took = start.elapsed();
    assert!(world.updates[1..].iter().all(|updates| *updates == PUSHES));
    took
}

fn node(conn: u64) -> NodeId {
    NodeId::new(Uuid::from_u128(1 + u128::from(conn))).unwrap()
}

fn frame(id: u32, message: Message<'_>) -> Bytes {
    Packet::with_id(message, id).unwrap().to_bytes().into()
}

fn handshake(conn: u64) -> Bytes {
    let database = DatabaseName::new("db").unwrap();
    let capabilities = [Capability::CRDT, Capability::COMPRESSION, Capability::QUERY];
    let handshake = Handshake {
        protocol: ProtocolText::V1_0,
        versions: VersionRange::V1_0,
        database: DatabaseRef::from(&database),
        node: node(conn),
        node_key: NodeKey([7; 16]),
        highest_given_out: LastNodeSeq::NONE,
        seen: List::EMPTY,
        public_key: Data::EMPTY,
        capabilities: List::new(&capabilities).unwrap(),
        authentication: Authentication::bearer(Data::new(b"a token").unwrap()),
        limits: List::EMPTY,
        extensions: Extensions::EMPTY,
    };
    frame(0, Message::Handshake(handshake))
}

fn subscribe() -> Bytes {
    let subscribe = Subscribe {
        subscription: 1,
        from: Position::START,
        window: 1 << 20,
        collections: List::EMPTY,
        extensions: Extensions::EMPTY,
    };
    frame(1, Message::Subscribe(subscribe))
}

fn update_ack(seq: u64) -> Bytes {
    let position = Position::new(1, seq).unwrap();
    let ack = UpdateAck { subscription: 1, position, window: 1 << 20, extensions: Extensions::EMPTY };
    frame(0, Message::UpdateAck(ack))
}

/// One block of the operation that SPEC.md 6.1 shows, many times.
fn push(first: u64) -> Bytes {
    let id = node(0);
    let mut builder = BlockBuilder::new(id, first);
    for seq in first..first + OPS {
        let fields = Fields::new(vec![
            (FieldName::new("priority").unwrap(), Value::from(5)),
            (FieldName::new("status").unwrap(), Value::from("open")),
            (FieldName::new("title").unwrap(), Value::from("Fix login bug")),
        ]);
        let place = (CollectionName::new("bugs").unwrap(), Uuid::from_u128(u128::from(seq)));
        let timestamp = Timestamp::new(seq, id).unwrap();
        let op = Op::new((id, seq), timestamp, OpKind::Insert, place, fields.unwrap()).unwrap();
        builder.push(&op).unwrap();
    }
    let bytes = builder.finish(Compression::None).unwrap();
    let blocks = Blocks::decode(bytes, 1, Capabilities::ALL).unwrap();
    let ids_check = ids_check(blocks).unwrap();
    let push = Push { ids_check, blocks: PushBlocks::new(blocks).unwrap(), extensions: Extensions::EMPTY };
    frame(u32::try_from(first).unwrap(), Message::Push(push))
}
