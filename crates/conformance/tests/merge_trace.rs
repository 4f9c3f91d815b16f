//! The merge over a real edit history, and over one with conflicts made from it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

#[path = "support/trace.rs"]
mod trace;

use blazedb_relay::merge::{Heard, Path, State};
use blazedb_relay::op::{Op, OpKind, OpRef};
use blazedb_relay::value::{Entries, Fields, Value};
use blazedb_relay::wire::{CollectionName, FieldName, NodeId, Timestamp};
use blazedb_relay_conformance::merge::{Model, contents};
use uuid::Uuid;

const WHOLE: &str = "selfhosted.ndjson.zst";
const SLICE: &str = "selfhosted-20k.ndjson.zst";
const EXPECTED: &str = "selfhosted-state.ndjson.zst";

/// What the trace gives, or nothing and a word about it.
fn there<T>(loaded: Result<T, String>) -> Option<T> {
    loaded.map_err(|reason| eprintln!("skipped: {reason}")).ok()
}

/// Numbers that a seed decides.
struct Random(u64);

impl Random {
    /// SplitMix64.
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for end in (2..=items.len()).rev() {
            items.swap(self.below(end), end - 1);
        }
    }
}

/// The live records in the form of the expected state.
fn lines(state: &State) -> Vec<String> {
    state.records(trace::COLLECTION).map(|(record, fields)| trace::state_line(record, &fields)).collect()
}

//= MRG-4 test
//= MRG-12 test
#[test]
fn the_trace_gives_its_state_in_any_order() {
    let Some(expected) = there(trace::lines(EXPECTED)) else { return };
    let expected: Vec<String> = expected.collect();
    let Some(ops) = there(trace::ops(WHOLE)) else { return };
    // Encoded, since 750 thousand operations take less room so.
    let mut bytes = Vec::new();
    let mut places = Vec::new();
    for op in ops {
        let start = bytes.len();
        op.encode(&mut bytes);
        places.push(start..bytes.len());
    }
    assert_eq!(places.len(), 749_540);
    let mut random = Random(1);
    for order in ["in order", "reversed", "shuffled"] {
        match order {
            "reversed" => places.reverse(),
            "shuffled" => random.shuffle(&mut places),
            _ => {}
        }
        let mut state = State::new();
        for (place, seq) in places.iter().zip(1..) {
            let op = OpRef::decode(&bytes[place.clone()]).unwrap();
            state.apply(&op, Heard::at(seq), &mut ());
        }
        assert_eq!(state.greatest_counter(), 749_436, "{order}");
        let lines = lines(&state);
        assert_eq!(lines.len(), 1_349, "{order}");
        for (line, expected) in lines.iter().zip(&expected) {
            assert_eq!(line, expected, "{order}");
        }
        let entries = state.entries().count();
        state.prune(&mut ());
        assert_eq!(state.entries().count(), entries, "{order}: what this trace hides is dropped at once");
    }
}

/// A device that writes offline and then delivers, and reads what others delivered.
struct Device {
    node: NodeId,
    /// What it merged: its own writes and what it has read of the log.
    state: State,
    read: usize,
    outbox: Vec<Op>,
    /// Steps for which it stays away from the log.
    offline: usize,
    written: u64,
}

impl Device {
    fn new(number: u128) -> Self {
        let node = NodeId::new(Uuid::from_u128(number << 64)).unwrap();
        Self { node, state: State::new(), read: 0, outbox: Vec::new(), offline: 0, written: 0 }
    }

    fn sync(&mut self, log: &mut Vec<Op>) {
        for (op, seq) in log[self.read..].iter().zip(self.read..) {
            self.state.apply_owned(op, Heard::at(seq as u64 + 1), &mut ());
        }
        log.append(&mut self.outbox);
        self.read = log.len();
    }

    fn write(&mut self, kind: OpKind, record: Uuid, fields: Vec<(FieldName, Value)>) {
        self.written += 1;
        let timestamp = Timestamp::new(self.state.greatest_counter() + 1, self.node).unwrap();
        let place = (CollectionName::new(trace::COLLECTION).unwrap(), record);
        let fields = Fields::new(fields).unwrap();
        let op = Op::new((self.node, self.written), timestamp, kind, place, fields).unwrap();
        self.state.apply_owned(&op, Heard::IN_DOUBT, &mut ());
        self.outbox.push(op);
    }

    /// The value of the trace, now and then as an increment or a patch.
    fn value(&self, random: &mut Random, record: Uuid, name: &FieldName, value: Value) -> Value {
        let field = || Path::field(CollectionName::new(trace::COLLECTION).unwrap(), record, name);
        match (random.below(4), value) {
            (0, _) => Value::Removed,
            (1 | 2, Value::Int(value)) => {
                self.state.increment(field().as_ref(), self.node, value % 100 - 50).unwrap()
            }
            (1 | 2, Value::Dictionary(entries)) => {
                let patched = entries.iter().map(|(key, value)| {
                    let path = field().key(key).unwrap();
                    let value = match random.below(4) {
                        0 => Value::Removed,
                        1 => self.state.increment(path.as_ref(), self.node, 1).unwrap(),
                        _ => value.clone(),
                    };
                    (key.into(), value)
                });
                let patched: Vec<_> = patched.collect();
                if patched.is_empty() { Value::Null } else { Value::Patch(Entries::new(patched).unwrap()) }
            }
            (_, value) => value,
        }
    }
}

/// The operations of the trace, made by 20 devices on 40 records.
fn conflicts(ops: impl Iterator<Item = Op>, seed: u64) -> (Vec<Device>, Vec<Op>) {
    let mut random = Random(seed);
    let mut devices: Vec<_> = (1..=20).map(Device::new).collect();
    let mut log = Vec::new();
    for op in ops {
        let device = &mut devices[random.below(20)];
        if device.offline == 0 {
            device.sync(&mut log);
            // One write in three is made online; the others in stretches of up to 60.
            device.offline = if random.below(3) == 0 { 0 } else { random.below(60) };
        } else {
            device.offline -= 1;
        }
        let record = Uuid::from_u128(op.record().as_u128() % 40);
        let kind = if random.below(200) == 0 { OpKind::Delete } else { OpKind::Update };
        let fields = match (kind, op.kind()) {
            (OpKind::Delete, _) => Vec::new(),
            (_, OpKind::Delete) => continue,
            _ => {
                let fields = op.fields().iter();
                fields
                    .map(|(name, value)| {
                        let value = device.value(&mut random, record, name, value.clone());
                        (name.clone(), value)
                    })
                    .collect()
            }
        };
        device.write(kind, record, fields);
    }
    for _ in 0..2 {
        devices.iter_mut().for_each(|device| device.sync(&mut log));
    }
    (devices, log)
}

//= MRG-14 test
//= MRG-20 test
#[test]
fn devices_that_were_offline_agree_with_the_model() {
    for seed in 1..=3 {
        let Some(ops) = there(trace::ops(SLICE)) else { return };
        let (devices, log) = conflicts(ops.skip(seed * 3_000).take(3_000), seed as u64);
        let model = Model::of(&log);
        let wanted = model.contents();
        assert!(wanted[trace::COLLECTION].len() >= 20, "seed {seed}: hardly anything is left");
        for device in &devices {
            assert_eq!(contents(&device.state), wanted, "seed {seed}, device {}", device.node);
        }
        // A state of the log's halves, the later one first, has what the model keeps.
        let (early, late) = log.split_at(log.len() / 2);
        let mut state = blazedb_relay_conformance::merge::state(late);
        state.merge(&blazedb_relay_conformance::merge::state(early), &mut ());
        state.prune(&mut ());
        let mut kept = model;
        kept.drop_some(|| true);
        assert!(Model::from(&state) == kept, "seed {seed}");
    }
}
