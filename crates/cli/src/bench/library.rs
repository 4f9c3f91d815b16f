//! The client library at both ends.

use std::path::Path;

use anyhow::Result;
use blazedb_relay::wire::CollectionName;
use blazedb_relay_client::{Client, CollectionSet, Options, Write};

use super::process::{Server, Stopwatch};
use super::{Report, ops};
use crate::connect::block_on;

/// Operations that are written together.
const BATCH: u64 = 500;
/// Operations that wait for their ack before more are written.
const QUEUED: usize = 8_000;

/// One app writes as fast as it can, until another one has all.
#[allow(clippy::cast_precision_loss, reason = "for people")]
pub(super) fn run(folder: &Path, count: u64, report: &mut Report) -> Result<()> {
    let count = count.next_multiple_of(BATCH).max(BATCH);
    let server = Server::start(folder)?;
    let url = format!("ws://{}/sync", server.address);
    let bugs = CollectionName::new("bugs")?;
    let (durable, delivered) = block_on(async {
        let writer = Client::open(Options::new("app")?.url(&url)?).await?;
        let reader = Client::open(Options::new("app")?.url(&url)?.subscribe_all()).await?;
        writer.online().await?;
        reader.caught_up().await?;
        let watch = Stopwatch::start(&server)?;
        let mut changes = writer.watch();
        for first in (1..=count).step_by(usize::try_from(BATCH)?) {
            while writer.status().queued > QUEUED {
                changes.changed().await?;
            }
            let writes = (first..first + BATCH).map(|seq| {
                let (record, fields) = ops::bug(seq)?;
                Ok(vec![Write::update(bugs.clone(), record, fields)])
            });
            writer.write_many(writes.collect::<Result<_>>()?).await?;
        }
        writer.settled().await?;
        let durable = watch.read(&server)?;
        let mut changes = reader.watch();
        while reader.position(&CollectionSet::ALL).is_none_or(|position| position.seq() < count) {
            changes.changed().await?;
        }
        Ok((durable, watch.read(&server)?))
    })?;
    let what = format!("{count} ops, the client library at both ends");
    report.add("library", what, count as f64 / durable.seconds, "ops/s", Some(durable))?;
    let what = "... until the other app has them all";
    report.add("library", what, count as f64 / delivered.seconds, "ops/s", Some(delivered))?;
    let each = delivered.load * 1e6 / count as f64;
    report.add("library", "... processor time of both apps for each", each, "µs", None)
}
