//! One node of a history.

use core::time::Duration;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Result;
use blazedb_relay::op::Op;
use blazedb_relay::wire::{NodeId, NodeKey};
use blazedb_relay_client::{Client, Event, Events, Identity, Options, Origin};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::add_traffic;
use super::figures::Figures;
use crate::args::{Relay, Replay};
use crate::connect::options;
use crate::numbers::{Chance, random};
use crate::trace::TraceOp;

/// Bytes that may be under way to a client. Small, so that a node that comes late, for one operation, is not
/// sent the whole log first.
const WINDOW: u64 = 256 << 10;
/// Operations that are written together.
const BATCH: usize = 200;
/// Operations that wait for their ack before more are written.
const QUEUED: usize = 4_000;
/// Most operations that are written during one absence.
const WRITTEN_OFFLINE: usize = 2_000;
/// Absences of a client, at most.
const ABSENCES: u64 = 3;

/// A node, and what it is to write.
pub(super) struct Player {
    relay: Relay,
    identity: Identity,
    file: Option<PathBuf>,
    ops: Vec<TraceOp>,
    /// Operations before which it goes offline, and for how long. Ascending.
    absences: Vec<(usize, Duration)>,
    figures: Arc<Figures>,
}

impl Player {
    pub(super) fn new(
        args: &Replay,
        node: NodeId,
        ops: Vec<TraceOp>,
        number: u64,
        figures: &Arc<Figures>,
    ) -> Result<Self> {
        let file = args.keep.as_ref().map(|folder| folder.join(format!("{}.blaze", node.uuid())));
        let mut chance = Chance(args.seed ^ number.wrapping_mul(0xD6E8_FEB8_6659_FD93));
        let mut absences = Vec::new();
        if args.offline > 0.0 {
            for _ in 0..=chance.below(ABSENCES) {
                let before = chance.below(ops.len() as u64 + 1);
                let share = f64::from(u32::try_from(chance.below(1_001)).unwrap_or_default()) / 1_000.0;
                absences.push((usize::try_from(before)?, Duration::from_secs_f64(args.offline * share)));
            }
            absences.sort();
        }
        Ok(Self {
            relay: args.relay.clone(),
            identity: Identity { node, key: NodeKey(random()?) },
            file,
            ops,
            absences,
            figures: Arc::clone(figures),
        })
    }

    /// The same client, with nothing to write.
    pub(super) fn clone_without_ops(&self) -> Self {
        Self {
            relay: self.relay.clone(),
            identity: self.identity,
            file: self.file.clone(),
            ops: Vec::new(),
            absences: Vec::new(),
            figures: Arc::clone(&self.figures),
        }
    }

    fn options(&self) -> Result<Options> {
        let options = options(&self.relay)?.subscribe_all().window(WINDOW).identity(self.identity);
        Ok(match &self.file {
            Some(path) => options.file(path),
            None => options,
        })
    }

    /// Writes everything, and stays until it is durable.
    pub(super) async fn play(mut self) -> Result<()> {
        let client = Client::open(self.options()?).await?;
        let listening = listen(client.events(), client.clone(), Arc::clone(&self.figures));
        client.online().await?;
        let mut absences = core::mem::take(&mut self.absences).into_iter().peekable();
        let (mut done, total) = (0, self.ops.len());
        let mut ops = core::mem::take(&mut self.ops).into_iter();
        while done < total {
            let until = absences.peek().map_or(total, |(before, _)| (*before).min(total));
            while done < until {
                let batch = BATCH.min(until - done);
                wait_below(&client, QUEUED).await?;
                done += self.write(&client, ops.by_ref().take(batch)).await?;
            }
            if let Some((_, time)) = absences.next() {
                self.figures.absent();
                client.disconnect().await?;
                let until = (done + WRITTEN_OFFLINE).min(total);
                while done < until {
                    done += self.write(&client, ops.by_ref().take(BATCH.min(until - done))).await?;
                }
                sleep(time).await;
                client.connect();
            }
        }
        client.settled().await?;
        self.figures.rejected(client.rejected().len() as u64);
        add_traffic(&self.figures, &client);
        client.close().await?;
        listening.await?;
        Ok(())
    }

    async fn write(&self, client: &Client, ops: impl Iterator<Item = TraceOp>) -> Result<usize> {
        let node = self.identity.node;
        let ops = ops
            .map(|op| {
                let TraceOp { timestamp, kind, collection, record, fields } = op;
                Op::new((node, 1), timestamp, kind, (collection, record), fields)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let count = ops.len();
        self.figures.written(ops.iter().map(|op| (op.timestamp(), op.record())));
        client.replay(ops).await?;
        Ok(count)
    }

    /// Comes back to read what all others wrote.
    pub(super) async fn catch_up(self) -> Result<()> {
        let client = Client::open(self.options()?).await?;
        client.online().await?;
        client.caught_up().await?;
        Ok(client.close().await?)
    }
}

/// Waits until fewer operations wait for their ack.
async fn wait_below(client: &Client, queued: usize) -> Result<()> {
    let mut changes = client.watch();
    loop {
        changes.mark_unchanged();
        if client.status().queued < queued {
            return Ok(());
        }
        changes.changed().await?;
    }
}

/// Follows what becomes of what was written.
#[allow(clippy::wildcard_enum_match_arm, reason = "what is not counted")]
fn listen(mut events: Events, client: Client, figures: Arc<Figures>) -> JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(event) = events.next().await {
            match event {
                Event::Durable(timestamps) => figures.durable(&timestamps),
                Event::Changed { records, origin: Origin::Remote } => {
                    let records = records.iter().map(|(collection, record)| (collection.to_owned(), record));
                    figures.heard(records, |collection, record| client.version_of(collection, record));
                }
                _ => {}
            }
        }
    })
}
