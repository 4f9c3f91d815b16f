//! Devices, a relay and everything that can go wrong, from many seeds.
//!
//! `SIM_SEED=7 cargo test -p blazedb-relay-conformance --test sim` runs one seed, and prints what happened.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]
#![allow(clippy::print_stdout, reason = "what a seed did is for people")]

use std::collections::BTreeMap;

use blazedb_relay_conformance::sim;

#[test]
fn everything_becomes_equal() {
    if let Ok(seed) = std::env::var("SIM_SEED") {
        let report = sim::run(seed.parse().unwrap(), true);
        report.lines.iter().for_each(|line| println!("{line}"));
        assert_eq!(report.wrong, None);
        return;
    }
    let mut counts = BTreeMap::new();
    for seed in 0..300 {
        let report = sim::run_twice(seed);
        if let Some(wrong) = report.wrong {
            panic!("seed {seed}: {wrong}");
        }
        for (what, times) in report.counts {
            *counts.entry(what).or_insert(0) += times;
        }
    }
    println!("{counts:#?}");
}
