//! The deterministic simulation: devices, a relay, its store and the links between them, under one clock
//! and from one seed.
//!
//! Each seed chooses what goes wrong and how often ([`plan`]). For a while applications write and read
//! while connections break, processes die, disks fill up, phones are copied and restored, and the relay
//! loses what it had. Then nothing goes wrong any more, everyone who is left connects, and after the waits
//! of SPEC.md 10.8 everything must be equal, and nothing lost that anyone still held. All the while,
//! [`witness`], [`store`] and [`disk`] look at every frame, every append and every local change.
//!
//! It is an ordinary module with the feature `sim`, so that `cargo test` and `cargo xtask sim` run the same.

#![allow(clippy::wildcard_enum_match_arm, reason = "it looks at what matters here, and lets the rest pass")]

mod act;
mod check;
mod device;
pub mod disk;
mod fault;
pub mod link;
pub mod mutants;
pub mod plan;
pub mod random;
pub mod rig;
mod server;
pub mod store;
mod told;
pub mod trace;
mod wires;
pub mod witness;
mod world;

use core::panic::AssertUnwindSafe;
use std::collections::BTreeMap;
use std::panic::catch_unwind;

use plan::Plan;
use random::Random;
pub use world::World;

/// What a seed has shown.
#[derive(Clone, Debug)]
pub struct Report {
    /// What is wrong, if anything.
    pub wrong: Option<String>,
    /// What happened how often.
    pub counts: BTreeMap<&'static str, u64>,
    /// What happened, line by line, if that was wanted.
    pub lines: Vec<String>,
    /// Stands for every byte that was sent.
    pub hash: u64,
    /// Steps that it took.
    pub steps: u64,
}

/// Runs one seed once.
#[must_use]
pub fn run(seed: u64, readable: bool) -> Report {
    let mut random = Random::new(seed);
    let plan = Plan::of(&mut random);
    run_world(World::new(plan, random, readable))
}

/// Runs a short one of what these choices make.
#[must_use]
pub fn run_short(mut random: Random) -> Report {
    let plan = Plan::of(&mut random).short(&mut random);
    run_world(World::new(plan, random, false))
}

fn run_world(mut world: World) -> Report {
    let result = catch_unwind(AssertUnwindSafe(|| world.run()));
    let wrong = match result {
        Ok(Ok(())) => None,
        Ok(Err(wrong)) => Some(wrong),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            Some(format!("panic: {}", text.unwrap_or_default()))
        }
    };
    let steps = world.steps();
    let (hash, counts, lines) = world.into_trace().end();
    Report { wrong, counts, lines, hash, steps }
}

/// Runs one seed twice: both runs must be the same, byte for byte.
#[must_use]
pub fn run_twice(seed: u64) -> Report {
    let mut first = run(seed, false);
    let second = run(seed, false);
    if first.wrong.is_none() && (first.hash, first.steps) != (second.hash, second.steps) {
        first.wrong = Some("two runs of the same seed differ".into());
    }
    first
}
