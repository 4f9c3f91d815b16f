//! Reading a relay's log as it stands there, operation by operation. Nothing is kept or merged.

use anyhow::{Context as _, Result, anyhow, bail};
use blazedb_relay::codec::{Context, Packet};
use blazedb_relay::frame::{Phase, peek};
use blazedb_relay::message::{
    Collections, Extensions, List, LogBlocks, Message, Ping, Pong, PullRequest, Subscribe, UpdateAck,
};
use blazedb_relay::op::OpKind;
use blazedb_relay::registry::Capabilities;
use blazedb_relay::value::Fields;
use blazedb_relay::wire::{CollectionName, NodeId, NodeKey, Position, Timestamp};
use blazedb_relay_client::{Bytes, Connect as _, Identity, Outgoing, Transport, WebSocket};
use blazedb_relay_json::show;
use serde_json::{Value as Json, json};
use tokio::time::{Duration, timeout};
use uuid::Uuid;

use crate::args::Relay;
use crate::connect::{handshake, not_there};
use crate::numbers::random;

/// Bytes that the relay may send ahead.
const WINDOW: u64 = 4 << 20;
/// After that without a word, the relay is asked whether it is there; after as long again, it is not.
const SILENCE: Duration = Duration::from_secs(20);
/// The number of the only subscription, and of the only request under way.
const ONLY: u32 = 1;

/// One operation of a log.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its number in the log.
    pub(crate) seq: u64,
    /// Who delivered it.
    pub(crate) deliverer: Uuid,
    pub(crate) id: Uuid,
    pub(crate) timestamp: Timestamp,
    pub(crate) kind: OpKind,
    pub(crate) collection: String,
    pub(crate) record: Uuid,
    pub(crate) fields: Fields,
}

impl Entry {
    /// As a line of a history.
    pub(crate) fn json(&self) -> Json {
        let changes: serde_json::Map<_, _> =
            self.fields.iter().map(|(name, value)| (name.as_str().to_owned(), show(value))).collect();
        json!({
            "seq": self.seq,
            "id": self.id.to_string(),
            "ts": { "counter": self.timestamp.counter(), "node": self.timestamp.node().to_string() },
            "node": self.deliverer.to_string(),
            "type": kind_name(self.kind),
            "collection": self.collection,
            "record": self.record.to_string(),
            "changes": changes,
        })
    }
}

/// The word for a kind of operation.
pub(crate) const fn kind_name(kind: OpKind) -> &'static str {
    match kind {
        OpKind::Insert => "insert",
        OpKind::Update => "update",
        OpKind::Delete => "delete",
    }
}

/// Entries, and the position behind them.
pub(crate) struct Part {
    pub(crate) entries: Vec<Entry>,
    pub(crate) next: Position,
    pub(crate) has_more: bool,
}

/// A connection that reads.
pub(crate) struct Log {
    transport: Transport,
    /// What came: whole frames.
    came: Bytes,
    collections: Vec<CollectionName>,
    /// Where the log ended at the beginning.
    pub(crate) head: Position,
}

impl Log {
    /// Connects as a node that never writes.
    pub(crate) async fn open(relay: &Relay, collections: &[String], from: Position) -> Result<Self> {
        let mut names = collections
            .iter()
            .map(|name| CollectionName::new(name).with_context(|| format!("--collection {name:?}")))
            .collect::<Result<Vec<_>>>()?;
        names.sort();
        names.dedup();
        let socket = WebSocket::new(&relay.url).context("--url")?;
        let transport = socket.connect().await.map_err(|text| not_there(&relay.url, &text))?;
        let mut log = Self { transport, came: Bytes::new(), collections: names, head: Position::START };
        let node = NodeId::new(uuid::Builder::from_random_bytes(random()?).into_uuid())?;
        let seen = [from];
        let seen = if from == Position::START { &[][..] } else { &seen };
        let identity = Identity { node, key: NodeKey(random()?) };
        log.send(handshake(&relay.database, identity, seen, relay.token.as_deref())?)?;
        log.head =
            log.expect(|message| {
                if let Message::Welcome(welcome) = message { Ok(Some(welcome.head)) } else { Ok(None) }
            })
            .await?;
        Ok(log)
    }

    fn send(&self, frame: Vec<u8>) -> Result<()> {
        let sent = self.transport.outgoing.send(Outgoing::Frame(frame.into()));
        sent.map_err(|_| anyhow!("the connection to the relay ended"))
    }

    /// The next frame.
    async fn frame(&mut self) -> Result<Bytes> {
        let mut asked = false;
        while self.came.is_empty() {
            match timeout(SILENCE, self.transport.incoming.recv()).await {
                Ok(Some(bytes)) => self.came = bytes,
                Ok(None) => bail!("the relay ended the connection"),
                Err(_) if asked => bail!("the relay does not answer any more"),
                Err(_) => {
                    asked = true;
                    let ping = Ping { nonce: 0, extensions: Extensions::EMPTY };
                    self.send(Packet::with_id(Message::Ping(ping), ONLY + 1)?.to_bytes())?;
                }
            }
        }
        let len = peek(&self.came, Phase::Session)?.unwrap_or(usize::MAX);
        if len > self.came.len() {
            bail!("the relay sent a part of a frame in a message");
        }
        Ok(self.came.split_to(len))
    }

    /// Waits for a message of which `take` makes something.
    #[allow(clippy::wildcard_enum_match_arm, reason = "other messages are passed over")]
    async fn expect<T>(&mut self, take: impl Fn(&Message<'_>) -> Result<Option<T>>) -> Result<T> {
        loop {
            let frame = self.frame().await?;
            let context = Context::session(Capabilities::ALL);
            let packet = Packet::decode(&frame, &context).context("what the relay sent cannot be read")?;
            match packet.message() {
                Message::Error(error) => {
                    bail!("the relay refuses it: {:?}: {}", error.code, error.text.as_str().escape_debug())
                }
                Message::Goodbye(goodbye) => bail!("the relay said goodbye: {:?}", goodbye.reason),
                Message::Ping(ping) => {
                    let pong = Pong { nonce: ping.nonce, extensions: Extensions::EMPTY };
                    self.send(Packet::with_id(Message::Pong(pong), packet.request_id())?.to_bytes())?;
                }
                message => {
                    if let Some(taken) = take(message)? {
                        return Ok(taken);
                    }
                }
            }
        }
    }

    /// One page behind a position.
    pub(crate) async fn page(&mut self, from: Position, max_operations: u32) -> Result<Part> {
        let request = {
            let names: Vec<_> = self.collections.iter().map(Into::into).collect();
            let collections: Collections<'_> = List::new(&names)?;
            let max_bytes = 0;
            let request =
                PullRequest { from, collections, max_operations, max_bytes, extensions: Extensions::EMPTY };
            Packet::with_id(Message::PullRequest(request), ONLY)?.to_bytes()
        };
        self.send(request)?;
        self.expect(|message| {
            let Message::PullResponse(page) = message else { return Ok(None) };
            Ok(Some(Part { entries: entries(page.blocks)?, next: page.next, has_more: page.has_more }))
        })
        .await
    }

    /// Begins to be told of what is behind a position.
    pub(crate) fn subscribe(&self, from: Position) -> Result<()> {
        let names: Vec<_> = self.collections.iter().map(Into::into).collect();
        let collections = List::new(&names)?;
        let subscribe = Subscribe {
            subscription: ONLY,
            collections,
            from,
            window: WINDOW,
            extensions: Extensions::EMPTY,
        };
        self.send(Packet::with_id(Message::Subscribe(subscribe), ONLY)?.to_bytes())
    }

    /// What happens next.
    pub(crate) async fn update(&mut self) -> Result<Part> {
        let part = self
            .expect(|message| {
                let Message::Update(update) = message else { return Ok(None) };
                Ok(Some(Part { entries: entries(update.blocks)?, next: update.new, has_more: true }))
            })
            .await?;
        let ack = UpdateAck {
            subscription: ONLY,
            position: part.next,
            window: WINDOW,
            extensions: Extensions::EMPTY,
        };
        self.send(Packet::new(Message::UpdateAck(ack))?.to_bytes())?;
        Ok(part)
    }
}

fn entries(blocks: LogBlocks<'_>) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    let mut scratch = Vec::new();
    for (first_seq, block) in blocks.iter() {
        let rows = block.rows(&mut scratch)?;
        rows.validate(Capabilities::ALL)?;
        for op in rows.iter() {
            entries.push(Entry {
                seq: first_seq.get() + op.head.node_seq - block.header().first_node_seq,
                deliverer: op.head.node.uuid(),
                id: op.head.id(),
                timestamp: op.head.timestamp,
                kind: op.head.kind,
                collection: op.head.collection.to_owned(),
                record: op.head.record,
                fields: op.fields.into(),
            });
        }
    }
    Ok(entries)
}
