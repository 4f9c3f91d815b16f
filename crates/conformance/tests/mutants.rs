//! The simulator finds what is broken on purpose.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]
#![allow(clippy::print_stdout, reason = "how soon each is found is for people")]

use blazedb_relay_conformance::sim::mutants::Fault;

/// Seeds within which each has to be found.
const SEEDS: u64 = 500;

#[test]
fn every_fault_on_purpose_is_found() {
    // What panics on purpose is not to be printed.
    std::panic::set_hook(Box::new(|_| {}));
    let mut missed = Vec::new();
    for fault in Fault::all() {
        match fault.find(SEEDS) {
            Some((seed, wrong)) => {
                let wrong: String = wrong.lines().next().unwrap_or_default().chars().take(100).collect();
                println!("{:<26} seed {seed:<4} {wrong}", fault.name());
            }
            None => missed.push(fault.name()),
        }
    }
    drop(std::panic::take_hook());
    assert!(missed.is_empty(), "not found within {SEEDS} seeds: {missed:?}");
}
