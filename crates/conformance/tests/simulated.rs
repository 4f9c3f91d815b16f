//! What the fuzzers of the state machines and the merge look for, over random inputs and their corpus.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]

use std::fs;
use std::panic::catch_unwind;

use blazedb_relay_conformance::sim::random::Random;
use blazedb_relay_conformance::{fuzz, spec};

type Body = fn(&[u8]);

/// A fuzz body, its name, and how many random inputs of which length it gets here.
const BODIES: [(&str, Body, u64, usize); 4] = [
    ("relay_actions", fuzz::relay_actions, 1_500, 300),
    ("relay_model", fuzz::relay_model, 1_500, 300),
    ("client_relay", fuzz::client_relay, 150, 3_000),
    ("merge_converge", fuzz::merge_converge, 1_500, 400),
];

fn holds(name: &str, body: fn(&[u8]), what: &str, input: &[u8]) {
    if catch_unwind(|| body(input)).is_err() {
        panic!("{name}, {what}: {}", input.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    }
}

#[test]
fn the_corpus_holds() {
    for (name, body, ..) in BODIES {
        let Ok(entries) = fs::read_dir(spec::root().join("fuzz/corpus").join(name)) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            holds(name, body, &path.display().to_string(), &fs::read(&path).unwrap());
        }
    }
}

#[test]
fn random_inputs_hold() {
    for (name, body, inputs, len) in BODIES {
        for seed in 0..inputs {
            let mut random = Random::new(seed);
            let len = random.below(len);
            let input: Vec<u8> = (0..len).map(|_| random.any().to_be_bytes()[0]).collect();
            holds(name, body, &format!("seed {seed}"), &input);
        }
    }
}
