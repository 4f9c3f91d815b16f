//! `replay`: a recorded history, written again by the nodes that wrote it.

mod figures;
mod player;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, bail};
use blazedb_relay_client::Client;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use self::figures::{Figures, Summary};
use self::player::Player;
use crate::Outcome;
use crate::args::Replay;
use crate::connect::{block_on, online, options};
use crate::output::{self, BOLD, counted, grouped};
use crate::trace;

/// Runs the command.
pub(crate) fn run(args: &Replay) -> Result<Outcome> {
    if !(0.0..=3_600.0).contains(&args.offline) {
        bail!("--offline {}: seconds from 0 to 3600", args.offline);
    }
    if let Some(folder) = &args.keep {
        std::fs::create_dir_all(folder).with_context(|| format!("--keep {}", folder.display()))?;
    }
    let reading = bar("reading {bytes}/{total_bytes} {wide_bar}");
    let trace = trace::read(&args.trace, &reading)?;
    reading.finish_and_clear();
    let total: usize = trace.iter().map(|(_, ops)| ops.len()).sum();
    let nodes = trace.len();
    output::note(&format!("{} by {}", counted(total as u64, "operation"), counted(nodes as u64, "node")));
    let (summary, seconds) = block_on(async {
        // What cannot work is said before anything is written.
        online(&args.relay, options(&args.relay)?).await?.close().await?;
        let progress = bar("{wide_bar} {human_pos}/{human_len} durable, {per_sec}, {elapsed}");
        progress.set_length(total as u64);
        let figures = Arc::new(Figures::new(progress.clone()));
        let begun = Instant::now();
        let online_at_a_time = Arc::new(Semaphore::new(usize::from(args.clients)));
        let mut playing = JoinSet::new();
        let mut kept = Vec::new();
        for ((node, ops), number) in trace.into_iter().zip(0_u64..) {
            let player = Player::new(args, node, ops, number, &figures)?;
            kept.push(player.clone_without_ops());
            let turn = Arc::clone(&online_at_a_time);
            playing.spawn(async move {
                let _turn = turn.acquire_owned().await?;
                player.play().await
            });
        }
        all(playing).await?;
        let seconds = begun.elapsed().as_secs_f64();
        progress.finish_and_clear();
        if args.keep.is_some() {
            let catching_up = bar("{wide_bar} {pos}/{len} clients have what all others wrote");
            catching_up.set_length(kept.len() as u64);
            let mut playing = JoinSet::new();
            for player in kept {
                let (turn, catching_up) = (Arc::clone(&online_at_a_time), catching_up.clone());
                playing.spawn(async move {
                    let _turn = turn.acquire_owned().await?;
                    player.catch_up().await?;
                    catching_up.inc(1);
                    Ok(())
                });
            }
            all(playing).await?;
            catching_up.finish_and_clear();
        }
        Ok((figures.summary(), seconds))
    })?;
    show(args, total, nodes, seconds, &summary)?;
    Ok(if summary.rejected == 0 { Outcome::Fine } else { Outcome::Bad })
}

/// Waits for all, and for no others when one fails.
async fn all(mut playing: JoinSet<Result<()>>) -> Result<()> {
    while let Some(done) = playing.join_next().await {
        done??;
    }
    Ok(())
}

fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::no_length().with_style(style);
    bar.enable_steady_tick(core::time::Duration::from_millis(200));
    bar
}

#[allow(clippy::cast_precision_loss, reason = "for people")]
fn show(args: &Replay, total: usize, nodes: usize, seconds: f64, summary: &Summary) -> Result<()> {
    let total = total as f64;
    let rate = total / seconds;
    let (sent, received) = (summary.sent as f64 / total, summary.received as f64 / total);
    let mut out = output::stdout();
    if args.json {
        let json = json!({
            "operations": total,
            "nodes": nodes,
            "seconds": seconds,
            "operations_per_second": rate,
            "rejected": summary.rejected,
            "absences": summary.absences,
            "ack_ms": { "p50": summary.acks.p50, "p99": summary.acks.p99 },
            "delivery_ms": { "p50": summary.deliveries.p50, "p99": summary.deliveries.p99 },
            "bytes_sent_per_operation": sent,
            "bytes_received_per_operation": received,
        });
        writeln!(out, "{json}")?;
    } else {
        writeln!(
            out,
            "{BOLD}{} operations in {seconds:.2} s, {} a second{BOLD:#}",
            grouped(total),
            grouped(format!("{rate:.0}"))
        )?;
        writeln!(out, "rejected             {}", grouped(summary.rejected))?;
        writeln!(out, "went offline         {} times", grouped(summary.absences))?;
        writeln!(out, "until durable        p50 {:.1} ms, p99 {:.1} ms", summary.acks.p50, summary.acks.p99)?;
        writeln!(
            out,
            "until another has it p50 {:.1} ms, p99 {:.1} ms (of {})",
            summary.deliveries.p50,
            summary.deliveries.p99,
            counted(summary.deliveries.count, "sample")
        )?;
        writeln!(out, "sent                 {sent:.1} bytes/op")?;
        writeln!(out, "received             {received:.1} bytes/op, by all clients together")?;
    }
    out.flush()?;
    Ok(())
}

/// Counts what a client moved.
fn add_traffic(figures: &Figures, client: &Client) {
    let traffic = client.status().traffic;
    figures.moved(traffic.sent, traffic.received);
}
