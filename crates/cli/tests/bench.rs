//! `bench` from outside, small: that it measures what it says. Figures are not judged here.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::process::Command;

use serde_json::Value as Json;

fn bench(args: &[&str]) -> Vec<Json> {
    let out = Command::new(env!("CARGO_BIN_EXE_blazedb-relay")).arg("bench").args(args).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn value(rows: &[Json], what: &str) -> f64 {
    let row = rows.iter().find(|row| row["what"].as_str().unwrap().contains(what)).unwrap();
    row["value"].as_f64().unwrap()
}

#[test]
fn every_acknowledged_operation_is_there_after_a_kill() {
    let rows = bench(&["kill", "--json"]);
    assert!((value(&rows, "kept of 1000") - 1_000.0).abs() < 0.5, "{rows:?}");
}

#[test]
fn each_workload_gives_its_figures() {
    let workloads = ["throughput", "latency", "fan-out", "idle", "active"];
    let small = ["--ops", "2000", "--subscribers", "5", "--connections", "10", "--seconds", "1", "--json"];
    let rows = bench(&[&workloads[..], &small].concat());
    for workload in workloads {
        let mut of = rows.iter().filter(|row| row["workload"] == workload).peekable();
        assert!(of.peek().is_some(), "{workload}: {rows:?}");
        assert!(of.all(|row| row["value"].as_f64().is_some_and(|value| value >= 0.0)), "{rows:?}");
    }
    assert!(value(&rows, "ops by 100") > 0.0 && value(&rows, "connected at once") > 19.0);
}
