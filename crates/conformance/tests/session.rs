//! Session vectors: this implementation passes them whatever chance says, and the comparison sees what is
//! missing or too much.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that fails says so")]

use blazedb_relay_conformance::session::{Test, This, run};
use blazedb_relay_conformance::{spec, vectors};
use serde_json::{Value as Json, json};

fn tests() -> Vec<Test> {
    vectors::load_session(&spec::root().join("test-vectors")).unwrap()
}

fn walk(test: &Test, seed: u64) -> Option<String> {
    let Ok(what) = run(&mut This::new(seed), test);
    what
}

#[test]
fn all_pass_whatever_chance_says() {
    let tests = tests();
    assert!(tests.len() > 200);
    for test in &tests {
        for seed in [0, 4, 1_000, u64::MAX] {
            assert_eq!(walk(test, seed), None, "{} with seed {seed}", test.id);
        }
    }
}

/// The vector with one thing changed fails at that step.
fn must_fail(test: &Test, step: usize, what: &str, change: impl Fn(&mut Json)) {
    let mut changed = test.clone();
    change(&mut changed.steps[step]);
    let Some(found) = walk(&changed, 1) else {
        panic!("{}: {what} in step {} is not seen", test.id, step + 1)
    };
    assert!(found.starts_with(&format!("step {}: ", step + 1)), "{}: {what}: {found}", test.id);
}

#[test]
fn an_output_that_is_missing_or_too_much_is_seen() {
    for test in tests() {
        for (at, step) in test.steps.iter().enumerate() {
            if !step["outputs"].as_array().unwrap().is_empty() {
                must_fail(&test, at, "an output too much", |step| {
                    step["outputs"].as_array_mut().unwrap().pop();
                });
            }
            must_fail(&test, at, "an output that is missing", |step| {
                let close = json!({ "close": { "conn": "99", "with": null } });
                step["outputs"].as_array_mut().unwrap().push(close);
            });
        }
    }
}

#[test]
fn another_state_and_an_earlier_timer_are_seen() {
    for test in tests() {
        for (at, step) in test.steps.iter().enumerate() {
            if step["state"]["given"].is_string() {
                must_fail(&test, at, "another given", |step| step["state"]["given"] = json!("77"));
            }
            if step["timer_ms"].as_str().is_some_and(|timer| timer != "0") {
                must_fail(&test, at, "an earlier timer", |step| step["timer_ms"] = json!("0"));
            }
        }
    }
}
