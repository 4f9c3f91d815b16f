//! `bench`: what a relay does on this machine.

mod ops;
mod process;
mod wire;
mod workloads;

use std::io::Write as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use process::Used;
use serde_json::{Value as Json, json};

use crate::Outcome;
use crate::args::{Bench, Workload};
use crate::output::{self, BOLD, FAINT, WORD, grouped};

/// One figure.
struct Row {
    workload: &'static str,
    /// What was measured.
    what: String,
    value: f64,
    unit: &'static str,
    used: Option<Used>,
}

/// What was measured so far; each figure is shown at once.
struct Report {
    json: bool,
    rows: Vec<Row>,
}

impl Report {
    fn add(
        &mut self,
        workload: &'static str,
        what: impl Into<String>,
        value: f64,
        unit: &'static str,
        used: Option<Used>,
    ) -> Result<()> {
        let row = Row { workload, what: what.into(), value, unit, used };
        if !self.json {
            let mut out = output::stdout();
            write_row(&mut out, &row)?;
            out.flush()?;
        }
        self.rows.push(row);
        Ok(())
    }
}

/// Runs the command.
pub(crate) fn run(args: &Bench) -> Result<Outcome> {
    let parent = args.data.clone().unwrap_or_else(std::env::temp_dir);
    let folder = tempfile::Builder::new().prefix("blazedb-bench-").tempdir_in(&parent);
    let folder = folder.with_context(|| {
        format!("no folder can be made in {}; name another one with --data", parent.display())
    })?;
    let all = [
        Workload::Throughput,
        Workload::Latency,
        Workload::FanOut,
        Workload::Idle,
        Workload::CatchUp,
        Workload::Kill,
        Workload::Active,
    ];
    let chosen = if args.workloads.is_empty() { &all[..] } else { &args.workloads };
    let mut report = Report { json: args.json, rows: Vec::new() };
    if !args.json {
        let mut out = output::stdout();
        writeln!(
            out,
            "{FAINT}The relay runs on one core, the load on another; the columns at the right say how much of \
             it each used.{FAINT:#}"
        )?;
        writeln!(out, "{BOLD}{:<89} {:>6} {:>6}{BOLD:#}", "", "relay", "load")?;
        out.flush()?;
    }
    for (number, workload) in chosen.iter().enumerate() {
        let place: PathBuf = folder.path().join(number.to_string());
        std::fs::create_dir(&place)?;
        workloads::run(*workload, args, &place, &mut report)?;
        // Two million operations take their place on the disk.
        std::fs::remove_dir_all(&place)?;
    }
    if args.json {
        let rows: Vec<_> = report.rows.iter().map(row_json).collect();
        let mut out = output::stdout();
        writeln!(out, "{}", serde_json::to_string_pretty(&rows)?)?;
        out.flush()?;
    }
    Ok(Outcome::Fine)
}

fn write_row(out: &mut output::Stdout, row: &Row) -> std::io::Result<()> {
    let Row { workload, what, value, unit, used } = row;
    let value = if value.fract() == 0.0 || *value >= 1_000.0 {
        grouped(format!("{value:.0}"))
    } else {
        format!("{value:.2}")
    };
    write!(out, "{workload:<10} {what:<52} {WORD}{value:>12}{WORD:#} {unit:<12}")?;
    if let Some(used) = used {
        write!(out, " {:>5.0}% {:>5.0}%", share(used.server, used), share(used.load, used))?;
    }
    writeln!(out)
}

/// Processor time as a share of the time that passed, in hundredths.
fn share(processor: f64, used: &Used) -> f64 {
    100.0 * processor / used.seconds
}

fn row_json(row: &Row) -> Json {
    let mut json = json!({
        "workload": row.workload,
        "what": row.what,
        "value": row.value,
        "unit": row.unit,
    });
    if let Some(used) = &row.used {
        json["seconds"] = used.seconds.into();
        json["relay_core_percent"] = share(used.server, used).into();
        json["load_core_percent"] = share(used.load, used).into();
    }
    json
}
