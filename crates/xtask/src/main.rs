//! Repository chores.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a chore that fails says so and stops"
)]
#![allow(unreachable_pub, reason = "one binary; visibility says what its modules offer one another")]

mod fuzz_seed;
mod sim;
mod spec_index;
mod vectors;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(about = "Repository chores: vectors, fuzz seeds, examples of SPEC.md, simulation")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Write the vectors, or compare them with their builders
    GenVectors {
        /// Only compare; fail at the first difference
        #[arg(long)]
        check: bool,
    },
    /// Check the form of the vectors, and that the reference decoder agrees with each
    LintVectors,
    /// Write the hex examples of SPEC.md from the vectors, and its states from the code
    SpecIndex {
        /// Only compare
        #[arg(long)]
        check: bool,
    },
    /// Write the vectors as inputs of the fuzzers
    FuzzSeed {
        /// Where to
        folder: PathBuf,
    },
    /// Simulate devices, a relay and everything that can go wrong
    Sim(sim::Args),
}

fn main() -> anyhow::Result<()> {
    match Args::parse().chore {
        Chore::GenVectors { check } => vectors::generate(check),
        Chore::LintVectors => vectors::lint(),
        Chore::SpecIndex { check } => spec_index::run(check),
        Chore::Sim(args) => sim::run(&args),
        Chore::FuzzSeed { folder } => fuzz_seed::run(&folder),
    }
}
