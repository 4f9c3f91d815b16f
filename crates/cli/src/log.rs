//! Reading a relay's log as it stands there, operation by operation. Nothing is kept or merged.

use anyhow::{Context as _, Result, anyhow, bail};
use blazedb_relay::codec::{Context, Packet};
use blazedb_relay::frame::{Phase, peek};
use blazedb_relay::message::{
    Authentication, Collections, Data, DatabaseRef, Extensions, Handshake, LastNodeSeq, LimitList, List,
    LogBlocks, Message, Ping, Pong, ProtocolText, PullRequest, Subscribe, UpdateAck, VersionRange,
};
use blazedb_relay::op::OpKind;
use blazedb_relay::registry::{Capabilities, Capability};
use blazedb_relay::value::Fields;
use blazedb_relay::wire::{CollectionName, DatabaseName, NodeId, NodeKey, Position, Timestamp};
use blazedb_relay_client::{Bytes, Connect as _, Outgoing, Transport, WebSocket};
use blazedb_relay_json::show;
use serde_json::{Value as Json, json};
use tokio::time::{Duration, timeout};
use uuid::Uuid;

use crate::args::Relay;

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
        let transport = socket.connect().await.map_err(|text| {
            anyhow!(
                "the relay at {} cannot be reached: {}. Is it running there? `blazedb-relay serve` starts one",
                relay.url,
                text.escape_debug()
            )
        })?;
        let mut log = Self { transport, came: Bytes::new(), collections: names, head: Position::START };
        log.send(hello(relay, from)?)?;
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

fn hello(relay: &Relay, from: Position) -> Result<Vec<u8>> {
    let database =
        DatabaseName::new(&relay.database).with_context(|| format!("--database {:?}", relay.database))?;
    let seen = [from];
    let seen = if from == Position::START { &[][..] } else { &seen };
    let mut random = [[0; 16]; 2];
    random
        .iter_mut()
        .try_for_each(|bytes| getrandom::fill(bytes))
        .map_err(|error| anyhow!("no randomness: {error}"))?;
    let [node, key] = random;
    let token = relay.token.as_deref().unwrap_or_default();
    let authentication = if token.is_empty() {
        Authentication::None
    } else {
        Authentication::bearer(Data::new(token.as_bytes()).context("--token")?)
    };
    let handshake = Handshake {
        protocol: ProtocolText::V1_0,
        versions: VersionRange::new(0x0100, 0x0100)?,
        database: DatabaseRef::from(&database),
        node: NodeId::new(uuid::Builder::from_random_bytes(node).into_uuid())?,
        node_key: NodeKey(key),
        highest_given_out: LastNodeSeq::NONE,
        seen: List::new(seen)?,
        public_key: Data::EMPTY,
        capabilities: List::new(&[Capability::CRDT, Capability::COMPRESSION])?,
        authentication,
        limits: LimitList::new(&[])?,
        extensions: Extensions::EMPTY,
    };
    Ok(Packet::new(Message::Handshake(handshake))?.to_bytes())
}
