//! The simulation, for as many seeds as one likes.

use std::collections::BTreeMap;

use anyhow::bail;
use blazedb_relay_conformance::sim;
use blazedb_relay_conformance::sim::mutants::Fault;
use indicatif::{ProgressBar, ProgressStyle};

#[derive(clap::Args)]
pub struct Args {
    /// How many seeds
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first one
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Run each seed once: twice shows that both runs are the same
    #[arg(long)]
    once: bool,
    /// Print what happens, of the first seed alone
    #[arg(long)]
    trace: bool,
    /// Show instead how soon each fault on purpose is found, in so many seeds
    #[arg(long)]
    mutants: bool,
}

pub fn run(args: &Args) -> anyhow::Result<()> {
    // What panics becomes what is wrong with a seed.
    std::panic::set_hook(Box::new(|_| {}));
    if args.trace {
        let report = sim::run(args.from, true);
        report.lines.iter().for_each(|line| println!("{line}"));
        return match report.wrong {
            Some(wrong) => bail!("seed {}: {wrong}", args.from),
            None => Ok(()),
        };
    }
    if args.mutants {
        return mutants(args.seeds);
    }
    let bar = ProgressBar::new(args.seeds);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} seeds, {per_sec}, {eta} left")?);
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut steps, mut failed) = (0, 0);
    for seed in args.from..args.from + args.seeds {
        let report = if args.once { sim::run(seed, false) } else { sim::run_twice(seed) };
        if let Some(wrong) = report.wrong {
            failed += 1;
            let wrong: String = wrong.chars().take(2_000).collect();
            bar.suspend(|| println!("seed {seed}: {wrong}"));
        }
        steps += report.steps;
        for (what, times) in report.counts {
            *counts.entry(what).or_default() += times;
        }
        bar.inc(1);
    }
    bar.finish();
    println!("for each 1,000 seeds:");
    for (what, times) in counts {
        println!("{:>12} {what}", times * 1_000 / args.seeds.max(1));
    }
    println!("{steps} steps");
    if failed > 0 {
        bail!("{failed} seeds failed; --from SEED --trace shows what happened");
    }
    Ok(())
}

fn mutants(most: u64) -> anyhow::Result<()> {
    let mut missed = Vec::new();
    for fault in Fault::all() {
        match fault.find(most) {
            Some((seed, wrong)) => {
                let line: String = wrong.lines().next().unwrap_or_default().chars().take(110).collect();
                println!("{:<24} {seed:>5}  {line}", fault.name());
            }
            None => missed.push(fault.name()),
        }
    }
    if missed.is_empty() { Ok(()) } else { bail!("not found in {most} seeds: {missed:?}") }
}
