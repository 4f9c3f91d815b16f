//! Random operations and blocks of some devices.

use blazedb_relay::block::{BlockBuilder, Compression};
use blazedb_relay::message::{LastNodeSeq, Mark};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::relay::{AppendBlock, NodeAppend, Owner, Principal};
use blazedb_relay::value::{Entries, Fields, Value};
use blazedb_relay::wire::{CollectionName, FieldName, NodeId, NodeKey, Timestamp};
use uuid::Uuid;

/// Numbers that a seed decides.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// SplitMix64.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    pub(crate) fn one_in(&mut self, end: u64) -> bool {
        self.below(end) == 0
    }
}

pub(crate) fn node(number: u64) -> NodeId {
    NodeId::new(Uuid::from_u128(0x04641b7f_985c_44d2_815b_886cb8ed0001 + u128::from(number))).unwrap()
}

/// To whom node `number` belongs.
pub(crate) fn owner(number: u64) -> Owner {
    Owner { principal: Principal::new(&format!("principal {}", number / 2)), key: key(number) }
}

pub(crate) fn key(number: u64) -> NodeKey {
    NodeKey([u8::try_from(number).unwrap(); 16])
}

pub(crate) fn collection(number: u64) -> CollectionName {
    CollectionName::new(["bugs", "people", "wiki"][number as usize % 3]).unwrap()
}

pub(crate) fn record(number: u64) -> Uuid {
    Uuid::from_u128(u128::from(number % 12))
}

fn value(random: &mut Random, counter: u64, deep: bool) -> Value {
    match random.below(if deep { 8 } else { 10 }) {
        0 => Value::Removed,
        1 => Value::Null,
        2 => Value::from(i64::try_from(random.below(1_000)).unwrap()),
        3 => {
            let entries = (0..random.below(3)).map(|i| (format!("k{i}").into(), Value::from(true)));
            Value::Dictionary(Entries::new(entries.collect()).unwrap())
        }
        4 | 5 => {
            let base = match random.below(counter) {
                0 => Timestamp::NEVER,
                base => Timestamp::new(base, node(random.below(6))).unwrap(),
            };
            Value::Counter { base, total: i64::try_from(random.below(100)).unwrap() - 50 }
        }
        // Some do not fit in a page.
        6 if random.one_in(8) => Value::from("x".repeat(9_000).as_str()),
        6 | 7 => Value::from(format!("text {}", random.below(50)).as_str()),
        _ => {
            let entries =
                (0..=random.below(3)).map(|i| (format!("k{i}").into(), value(random, counter, true)));
            Value::Patch(Entries::new(entries.collect()).unwrap())
        }
    }
}

/// Operation `node_seq` of node `number`.
pub(crate) fn op(random: &mut Random, number: u64, node_seq: u64) -> Op {
    let counter = node_seq + random.below(40) + 1;
    let timestamp = Timestamp::new(counter, node(random.below(6))).unwrap();
    let kind = if random.one_in(12) { OpKind::Delete } else { OpKind::Update };
    let names = if kind == OpKind::Delete { 0 } else { 1 + random.below(3) };
    let fields = (0..names).map(|i| {
        let name = ["title", "status", "priority", "x", "y"][(i + random.below(3)) as usize];
        (name, value(random, counter, false))
    });
    let mut fields: Vec<_> = fields.collect();
    fields.sort_by_key(|(name, _)| *name);
    fields.dedup_by_key(|(name, _)| *name);
    let fields = fields.into_iter().map(|(name, value)| (FieldName::new(name).unwrap(), value)).collect();
    let place = (collection(random.below(3)), record(random.below(12)));
    Op::new((node(number), node_seq), timestamp, kind, place, Fields::new(fields).unwrap()).unwrap()
}

/// What node `number` adds behind `builds_on`, and the bytes of the operations that are stored. Some blocks
/// are refused.
pub(crate) fn append(random: &mut Random, number: u64, builds_on: Mark) -> (NodeAppend, Vec<Vec<u8>>) {
    let mut mark = builds_on;
    let mut blocks = Vec::new();
    let mut stored = Vec::new();
    for _ in 0..=random.below(3) {
        let first_node_seq = mark.node_seq().get() + 1;
        let mut builder = BlockBuilder::new(node(number), first_node_seq);
        let count = if random.one_in(10) { 60 } else { 1 + random.below(6) };
        let mut ops = Vec::new();
        for node_seq in first_node_seq..first_node_seq + count {
            let op = op(random, number, node_seq);
            if builder.push(&op).is_ok() {
                ops.push(op.to_bytes());
            }
        }
        let check = u32::from_be_bytes(*ops.last().unwrap().last_chunk().unwrap());
        let last = first_node_seq + ops.len() as u64 - 1;
        mark = Mark::new(LastNodeSeq::new(last).unwrap(), check).unwrap();
        if random.one_in(6) {
            continue;
        }
        let compression = if random.one_in(3) { Compression::Lz4 } else { Compression::None };
        let bytes = builder.finish(compression).unwrap().to_vec();
        blocks.push(AppendBlock { first_node_seq, count: ops.len() as u16, bytes: bytes.into() });
        stored.append(&mut ops);
    }
    (NodeAppend { node: node(number), owner: Some(owner(number)), builds_on, mark, blocks }, stored)
}
