//! Properties over random meanings and damaged vectors, and over the corpus of the fuzzers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]

use std::fs;

use blazedb_relay::block::{BlockBuilder, BlockRef, Compression};
use blazedb_relay::registry::Capabilities;
use blazedb_relay_conformance::meaning::{self, Context, Target};
use blazedb_relay_conformance::{fuzz, generate, spec, vectors};
use proptest::prelude::*;

type Body = fn(&[u8]);

/// A fuzz body and the folder of its corpus.
const BODIES: [(&str, Body); 4] = [
    ("decode", fuzz::decode),
    ("round_trip", fuzz::round_trip),
    ("chunked", fuzz::chunked),
    ("differential", fuzz::differential),
];

#[test]
fn the_corpus_holds() {
    for (name, body) in BODIES {
        let folder = spec::root().join("fuzz/corpus").join(name);
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries {
            body(&fs::read(entry.unwrap().path()).unwrap());
        }
    }
}

#[test]
fn every_vector_holds_as_a_fuzz_input() {
    for file in vectors::load(&spec::root().join("test-vectors")).unwrap() {
        for test in file.tests.iter().filter(|test| test.input.len() < 100_000) {
            let context = Context::from_json(&test.context).unwrap();
            let input = fuzz::input_for(file.target, &context, &test.input);
            for (_, body) in BODIES {
                body(&input);
            }
        }
    }
}

/// Where to damage an input, and how.
#[derive(Clone, Debug)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        (any::<prop::sample::Index>(), 1..=255u8).prop_map(|(at, bits)| Damage::Flip(at, bits)),
        any::<prop::sample::Index>().prop_map(Damage::Cut),
        (any::<prop::sample::Index>(), prop::collection::vec(any::<u8>(), 1..8))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        (any::<prop::sample::Index>(), 1..8usize).prop_map(|(at, len)| Damage::Remove(at, len)),
    ]
}

fn apply(damage: &Damage, input: &mut Vec<u8>) {
    if input.is_empty() {
        return;
    }
    match damage {
        Damage::Flip(at, bits) => {
            let at = at.index(input.len());
            input[at] ^= bits;
        }
        Damage::Cut(at) => input.truncate(at.index(input.len())),
        Damage::Insert(at, bytes) => {
            let at = at.index(input.len());
            input.splice(at..at, bytes.iter().copied());
        }
        Damage::Remove(at, len) => {
            let at = at.index(input.len());
            input.drain(at..input.len().min(at + len));
        }
    }
}

fn random_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..2_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn meanings_round_trip(data in random_bytes()) {
        fuzz::round_trip(&data);
    }

    #[test]
    fn damage_is_judged_alike(data in random_bytes(), target in 0..6usize, damages in prop::collection::vec(damage(), 1..4), repair: bool) {
        let target = Target::ALL[target];
        let mut u = arbitrary::Unstructured::new(&data);
        let json = generate::meaning(target, &mut u).unwrap();
        let mut input = meaning::encode(target, &json, &Context::default()).unwrap();
        for damage in &damages {
            apply(damage, &mut input);
        }
        if repair {
            fuzz::repair_checksums(target, &mut input);
        }
        fuzz::agree(target, &input, &Context::default());
        fuzz::decode(&fuzz::input_for(target, &Context::default(), &input));
    }

    #[test]
    fn compressed_blocks_hold_the_same_operations(data in random_bytes()) {
        let mut u = arbitrary::Unstructured::new(&data);
        let json = generate::meaning(Target::Block, &mut u).unwrap();
        let bytes = meaning::encode(Target::Block, &json, &Context::default()).unwrap();
        let plain = BlockRef::decode(&bytes).unwrap();
        let mut scratch = Vec::new();
        let mut builder = BlockBuilder::part_of(plain.header());
        for op in plain.rows(&mut scratch).unwrap().iter() {
            builder.push_ref(&op).unwrap();
        }
        let packed = builder.finish(Compression::Lz4).unwrap().to_vec();
        let block = BlockRef::decode(&packed).unwrap();
        prop_assert!(packed.len() <= bytes.len());
        let mut other = Vec::new();
        let rows = block.rows(&mut other).unwrap();
        rows.validate(Capabilities::ALL).unwrap();
        let mut scratch = Vec::new();
        prop_assert_eq!(rows.payload(), plain.rows(&mut scratch).unwrap().payload());
    }
}
