//! The merge against its model, over operations that tie wherever they can.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]

use blazedb_relay::merge::{Change, Entry, Heard, State};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::value::{Entries, Fields, Value};
use blazedb_relay::wire::{CollectionName, FieldName, NodeId, Timestamp};
use blazedb_relay_conformance::merge::{self, Model, contents, contents_json, state};
use blazedb_relay_conformance::{spec, vectors};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

/// Few enough that most operations meet.
const NODES: [u128; 3] = [1, 2, 0xFF << 120];
const COUNTERS: [u64; 6] = [1, 2, 3, 4, 5, 6];
const KEYS: [&str; 4] = ["a", "b", "", "a\0"];

fn node() -> impl Strategy<Value = NodeId> {
    select(&NODES[..]).prop_map(|node| NodeId::new(Uuid::from_u128(node)).unwrap())
}

fn timestamp() -> impl Strategy<Value = Timestamp> {
    (select(&COUNTERS[..]), node()).prop_map(|(counter, node)| Timestamp::new(counter, node).unwrap())
}

fn entries(value: impl Strategy<Value = Value>, least: usize) -> impl Strategy<Value = Entries> {
    btree_map(select(&KEYS[..]), value, least..4).prop_map(|entries| {
        Entries::new(entries.into_iter().map(|(key, value)| (key.into(), value)).collect()).unwrap()
    })
}

fn int() -> impl Strategy<Value = i64> {
    select(&[0, 1, -1, 42, 255, 256, 300, i64::MAX, i64::MAX - 1, i64::MIN][..])
}

/// A value that is whole.
fn plain() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        4 => int().prop_map(Value::Int),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::Bool),
        1 => select(&["", "a", "sixteen bytes ..."][..]).prop_map(Value::from),
        1 => select(&[0.0, -0.0, f64::NAN][..]).prop_map(Value::from),
        1 => select(&[1, 2][..]).prop_map(|byte| Value::Sealed([byte].into())),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            3 => entries(inner.clone(), 0).prop_map(Value::Dictionary),
            1 => vec(inner, 0..3).prop_map(Value::Array),
        ]
    })
}

/// What an operation with that timestamp may write to a field.
fn written(before: Timestamp) -> impl Strategy<Value = Value> {
    let base = timestamp().prop_map(move |base| if base < before { base } else { Timestamp::NEVER });
    let leaf = prop_oneof![
        4 => plain(),
        2 => Just(Value::Removed),
        3 => (base, int()).prop_map(|(base, total)| Value::Counter { base, total }),
    ];
    leaf.prop_recursive(3, 12, 3, |inner| entries(inner, 1).prop_map(Value::Patch))
}

fn op() -> impl Strategy<Value = Op> {
    let place = (select(&["c", "d"][..]), select(&[1, 1, 1, 2][..]));
    (timestamp(), place, prop::bool::weighted(0.15)).prop_flat_map(
        |(timestamp, (collection, record), delete)| {
            let fields = btree_map(select(&["f", "f", "g"][..]), written(timestamp), 1..3);
            fields.prop_map(move |fields| {
                let named = fields.into_iter().map(|(name, value)| (FieldName::new(name).unwrap(), value));
                let (kind, fields) = if delete {
                    (OpKind::Delete, Fields::default())
                } else {
                    (OpKind::Update, Fields::new(named.collect()).unwrap())
                };
                let place = (CollectionName::new(collection).unwrap(), Uuid::from_u128(record));
                let delivery = (NodeId::new(timestamp.node()).unwrap(), 1);
                Op::new(delivery, timestamp, kind, place, fields).unwrap()
            })
        },
    )
}

/// Operations, and the same ones in another order with some of them again.
fn ops() -> impl Strategy<Value = (Vec<Op>, Vec<Op>)> {
    vec(op(), 1..14).prop_flat_map(|ops| {
        let again = prop::sample::subsequence(ops.clone(), 0..=ops.len());
        let all = ops.clone();
        let shuffled = again.prop_map(move |again| [all.clone(), again].concat()).prop_shuffle();
        (Just(ops), shuffled)
    })
}

/// Everything that may not be dropped.
fn kept(state: &State) -> Model {
    let mut state = state.clone();
    state.prune(&mut ());
    Model::from(&state)
}

fn merged(states: &[&State]) -> State {
    let mut all = State::new();
    for state in states {
        all.merge(state, &mut ());
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    //= MRG-4 test
    //= MRG-6 test
    //= MRG-11 test
    //= MRG-12 test
    #[test]
    fn any_order_gives_what_the_model_gives((ops, shuffled) in ops()) {
        let mut model = Model::of(&ops);
        let (one, other) = (state(&ops), state(&shuffled));
        let wanted = model.contents();
        prop_assert_eq!(&contents(&one), &wanted);
        prop_assert_eq!(&contents(&other), &wanted);
        //= MRG-17 test
        //= MRG-18 test
        //= MRG-19 test
        model.drop_some(|| true);
        prop_assert_eq!(&kept(&one), &model);
        prop_assert_eq!(&kept(&other), &model);
        prop_assert_eq!(one.greatest_counter(), other.greatest_counter());
        prop_assert_eq!(one.greatest_counter(), ops.iter().map(|op| op.timestamp().counter()).max().unwrap());
    }

    //= MRG-8 test
    #[test]
    fn states_merge_as_their_operations_do((ops, shuffled) in ops(), cuts in (0usize..15, 0usize..15), prune: [bool; 3]) {
        let (first, second) = (cuts.0.min(cuts.1).min(shuffled.len()), cuts.0.max(cuts.1).min(shuffled.len()));
        let mut parts = [&shuffled[..first], &shuffled[first..second], &shuffled[second..]].map(state);
        for (part, prune) in parts.iter_mut().zip(prune) {
            if prune {
                part.prune(&mut ());
            }
        }
        let [a, b, c] = &parts;
        let wanted = kept(&state(&ops));
        let all = merged(&[a, b, c]);
        prop_assert_eq!(&kept(&all), &wanted);
        prop_assert_eq!(contents(&all), Model::of(&ops).contents());
        // Commutative and associative.
        prop_assert_eq!(&kept(&merged(&[c, a, b])), &wanted);
        prop_assert_eq!(&kept(&merged(&[a, &merged(&[b, c])])), &wanted);
        prop_assert_eq!(&kept(&merged(&[&merged(&[b, a]), c])), &wanted);
        // Idempotent.
        let mut again = all.clone();
        prop_assert_eq!(again.merge(&all, &mut ()), Change::Nothing);
        for part in &parts {
            prop_assert_eq!(again.merge(part, &mut ()), Change::Nothing);
        }
        for op in &ops {
            prop_assert_eq!(again.apply_owned(op, Heard::IN_DOUBT, &mut ()), Change::Nothing);
        }
    }

    //= MRG-20 test
    #[test]
    fn the_model_may_drop_at_any_time((ops, shuffled) in ops(), mut choices in vec(any::<bool>(), 64)) {
        let mut model = Model::default();
        for op in &shuffled {
            model.apply(op);
            choices.rotate_left(7);
            let mut choices = choices.iter();
            model.drop_some(|| choices.next().is_none_or(|choice| *choice));
        }
        prop_assert_eq!(model.contents(), Model::of(&ops).contents());
    }

    //= SES-56 test
    //= SES-58 test
    #[test]
    fn what_is_kept_was_heard_when_it_was_first_written((_, shuffled) in ops()) {
        let all = state(&shuffled);
        for entry in all.entries() {
            // The operation alone, in a state of its own, says what it writes.
            let mut writers = (1..).zip(&shuffled).filter(|(_, op)| {
                state([*op]).entries().any(|written| same(&written, &entry))
            });
            prop_assert_eq!(entry.heard(), Heard::at(writers.next().unwrap().0));
        }
    }

    #[test]
    fn a_store_restores_it((ops, shuffled) in ops()) {
        let all = state(&ops);
        let mut restored = State::new();
        let mut kept: Vec<_> = all.entries().collect();
        let turn = shuffled.len() % kept.len();
        kept.rotate_left(turn);
        for entry in kept {
            restored.put(&entry, &mut ()).unwrap();
        }
        prop_assert!(restored.entries().eq(all.entries()));
        prop_assert_eq!(contents(&restored), contents(&all));
    }
}

#[test]
fn the_merge_passes_every_vector() {
    let tests = vectors::load_merge(&spec::root().join("test-vectors")).unwrap();
    assert!(tests.len() >= 80, "only {} vectors", tests.len());
    for test in tests {
        let id = &test.id;
        assert_eq!(
            contents_json(&Model::of(&merge::ops(&test.ops).unwrap()).contents()),
            test.expect,
            "{id}"
        );
        for json in test.deliveries() {
            let ops = merge::ops(&json).unwrap();
            let mut whole = state(&ops);
            assert_eq!(contents_json(&contents(&whole)), test.expect, "{id}");
            whole.prune(&mut ());
            assert_eq!(contents_json(&contents(&whole)), test.expect, "{id}, pruned");
            let (left, right) = ops.split_at(ops.len() / 3);
            let halves = merged(&[&state(right), &state(left)]);
            assert_eq!(contents_json(&contents(&halves)), test.expect, "{id}, of two states");
        }
    }
}

/// Whether two entries come from the same write; when they were heard does not matter.
fn same(a: &Entry<'_>, b: &Entry<'_>) -> bool {
    let mut heard = State::new();
    heard.put(a, &mut ()).unwrap();
    a.path() == b.path() && heard.put(b, &mut ()).unwrap() <= Change::Heard && a.timestamp() == b.timestamp()
}
