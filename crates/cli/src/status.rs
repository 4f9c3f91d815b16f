//! `status`: how a database stands.

use std::io::Write as _;

use anyhow::{Result, bail};
use blazedb_relay_client::{Client, Options, Rejected};
use serde_json::{Value as Json, json};

use crate::Outcome;
use crate::args::Status;
use crate::connect::{block_on, online, options};
use crate::log::kind_name;
use crate::output::{self, BAD, BOLD, GOOD, counted, grouped};

/// Runs the command.
pub(crate) fn run(args: &Status) -> Result<Outcome> {
    block_on(async {
        match &args.file {
            None => relay(args).await,
            Some(path) if path.is_file() => {
                file(args, &Client::open(Options::new(&args.relay.database)?.file(path)).await?)
            }
            Some(path) => bail!("{} is not there; without --file the relay is asked", path.display()),
        }
    })
}

/// What a relay holds.
async fn relay(args: &Status) -> Result<Outcome> {
    let client = online(&args.relay, options(&args.relay)?).await?;
    let state = client.sync_state().await?;
    let head = format!("{:016x}:{}", state.head.epoch(), state.head.seq());
    let mut out = output::stdout();
    if args.json {
        let json = json!({
            "database": args.relay.database,
            "head": head,
            "operations": state.operations,
            "nodes": state.nodes,
            "live_records": state.live_records,
            "collections": state.collections,
        });
        writeln!(out, "{json}")?;
    } else {
        writeln!(out, "{BOLD}{}{BOLD:#} at {}: {GOOD}online{GOOD:#}", args.relay.database, args.relay.url)?;
        writeln!(out, "head          {head}")?;
        for (what, number) in [
            ("operations", state.operations),
            ("nodes", state.nodes),
            ("live records", state.live_records),
            ("collections", state.collections),
        ] {
            writeln!(out, "{what:<13} {}", grouped(number))?;
        }
    }
    out.flush()?;
    Ok(Outcome::Fine)
}

/// What the file of an app holds.
fn file(args: &Status, client: &Client) -> Result<Outcome> {
    let (status, node) = (client.status(), client.node());
    let rejected = client.rejected();
    let mut out = output::stdout();
    if args.json {
        let rejected: Vec<Json> = rejected.iter().map(rejected_json).collect();
        let json = json!({
            "node": node.identity.node.to_string(),
            "collections": client.collections(),
            "queued": status.queued,
            "rejected": rejected,
        });
        writeln!(out, "{json}")?;
    } else {
        writeln!(out, "{BOLD}node{BOLD:#} {}", node.identity.node)?;
        for collection in client.collections() {
            let records = counted(client.records(&collection).len() as u64, "live record");
            writeln!(out, "{records:>24}  in {}", collection.escape_debug())?;
        }
        match status.queued {
            0 => writeln!(
                out,
                "{GOOD}everything written here is on the relay's disk, or was rejected{GOOD:#}"
            )?,
            queued => writeln!(out, "{} not known to be on the relay", counted(queued as u64, "operation"))?,
        }
        for rejected in &rejected {
            let head = rejected.op.op().head;
            writeln!(
                out,
                "{BAD}rejected{BAD:#} {:?}: {} of {} in {}",
                rejected.code,
                kind_name(head.kind),
                head.record,
                head.collection.escape_debug()
            )?;
        }
    }
    out.flush()?;
    Ok(Outcome::Fine)
}

/// A rejected operation, and why.
pub(crate) fn rejected_json(rejected: &Rejected) -> Json {
    let head = rejected.op.op().head;
    json!({
        "code": format!("{:?}", rejected.code),
        "type": kind_name(head.kind),
        "collection": head.collection,
        "record": head.record.to_string(),
    })
}
