//! `blazedb-relay`: run a relay; look into, make and check the bytes of its protocol.

mod args;
mod bench;
mod child;
mod connect;
mod decode;
mod dump;
mod encode;
mod export;
mod guess;
mod harness;
mod input;
mod keep;
mod log;
mod numbers;
mod output;
mod pull;
mod push;
mod query;
mod replay;
mod rule;
mod serve;
mod status;
mod trace;
mod vectors;

use std::process::ExitCode;

use args::{Cli, Command};
use clap::Parser;

/// How a command ended that could do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is well.
    Fine,
    /// The input breaks a rule, a vector failed, or a database has a problem; it was said.
    Bad,
    /// Some of it could not be done; it was said.
    Failed,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Serve(args) => serve::run(args),
        Command::Push(args) => push::run(&args),
        Command::Pull(args) => pull::pull(&args),
        Command::Watch(args) => pull::watch(&args),
        Command::Query(args) => query::run(&args),
        Command::Export(args) => export::run(&args),
        Command::Status(args) => status::run(&args),
        Command::Replay(args) => replay::run(&args),
        Command::Backup(args) => keep::backup(&args),
        Command::Restore(args) => keep::restore(&args),
        Command::Verify(args) => keep::verify(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Decode(args) => decode::run(&args),
        Command::Encode(args) => encode::run(&args),
        Command::Vectors(args) => vectors::run(&args),
        Command::Harness(_) => harness::run(),
    };
    match result {
        Ok(Outcome::Fine) => ExitCode::SUCCESS,
        Ok(Outcome::Bad) => ExitCode::FAILURE,
        Ok(Outcome::Failed) => ExitCode::from(2),
        // Whoever read the output has seen enough.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&format!("{error:#}"));
            ExitCode::from(2)
        }
    }
}
