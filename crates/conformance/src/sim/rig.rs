//! A relay, its store and clients that do only what they are told to, one step at a time: for runs over
//! all orders of a few steps, and for fuzzing.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use blazedb_relay::block::{BlockBuilder, Blocks, Compression};
use blazedb_relay::codec::{Context, Packet, ids_check};
use blazedb_relay::error::BuildError;
use blazedb_relay::message::{
    Authentication, CollectionRef, Data, DatabaseRef, Extensions, Handshake, LastNodeSeq, List, Message,
    ProtocolText, PullRequest, Push, PushBlocks, PushEntry, RestoreMode, Subscribe, TableBuilder,
    Unsubscribe, UpdateAck, VersionRange,
};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::registry::{Capabilities, Capability, ErrorCode};
use blazedb_relay::relay::{
    Access, Config, ConnId, DatabaseId, Framing, Input, Output, Principal, Relay, Rights, StateCounts, Ticket,
};
use blazedb_relay::time::Time;
use blazedb_relay::value::{Fields, Value};
use blazedb_relay::wire::{CollectionName, DatabaseName, FieldName, NodeId, NodeKey, Position, Timestamp};
use bytes::{Bytes, BytesMut};
use uuid::Uuid;

use super::random::Random;
use super::store::Log;
use super::witness::{Witness, Wrong};

const UNIX_MS: u64 = 1_800_000_000_000;
/// Nobody may write here.
pub const FORBIDDEN: &str = "teams";

/// What a client knows of its connection.
#[derive(Debug, Default)]
struct Peer {
    node: u64,
    /// The next number to push; 0 before welcome.
    next: u64,
    /// Pushes without an ack.
    pushes: u64,
    requests: u32,
    /// The highest number of a subscription.
    numbers: u32,
    /// The last position of each subscription.
    subscriptions: BTreeMap<u32, Position>,
    /// Bytes that its transport has not taken.
    unsent: usize,
}

/// The relay and everything around it.
#[derive(Debug)]
pub struct Rig {
    relay: Relay,
    config: Config,
    /// What the store has.
    pub log: Log,
    told: u64,
    random: Random,
    now: u64,
    conns: u64,
    peers: BTreeMap<ConnId, Peer>,
    witnesses: BTreeMap<ConnId, Witness>,
    /// What was asked and has no answer yet, oldest first.
    asked: VecDeque<Output>,
    database: Option<DatabaseId>,
    seen: Vec<Position>,
}

impl Rig {
    /// A relay without connections, and an empty store.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self {
            relay: Relay::new(config.clone()),
            config,
            log: Log::default(),
            told: 0,
            random: Random::new(1),
            now: 0,
            conns: 0,
            peers: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            asked: VecDeque::new(),
            database: None,
            seen: Vec::new(),
        }
    }

    /// Gives the relay an input, and looks at all that comes of it.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn feed(&mut self, input: Input) -> Result<(), Wrong> {
        self.relay.handle(Time { monotonic_ms: self.now, unix_ms: UNIX_MS + self.now }, input);
        while let Some(output) = self.relay.poll_output() {
            self.take(output)?;
        }
        if self.relay.connections() != self.peers.len() {
            return Err(format!("{} connections instead of {}", self.relay.connections(), self.peers.len()));
        }
        Ok(())
    }

    fn take(&mut self, output: Output) -> Result<(), Wrong> {
        match output {
            Output::Send { conn, head, blocks } => {
                let mut frame = BytesMut::from(head.as_ref());
                blocks.iter().for_each(|block| frame.extend_from_slice(block));
                let (Some(witness), Some(peer)) = (self.witnesses.get_mut(&conn), self.peers.get_mut(&conn))
                else {
                    return Err(format!("something was sent to {conn:?}, which is not open"));
                };
                peer.unsent += frame.len();
                witness.sent(&frame, &self.log, self.told).map_err(|wrong| format!("{conn:?}: {wrong}"))?;
                peer.hear(&frame, &self.log);
                if peer.unsent > self.config.waiting_bytes.max(1 << 20) * 3 {
                    return Err(format!("{} bytes wait for {conn:?}", peer.unsent));
                }
            }
            Output::Close { conn, .. } => {
                self.witnesses.remove(&conn);
                if self.peers.remove(&conn).is_none() {
                    return Err(format!("{conn:?} was closed twice"));
                }
            }
            Output::PauseReading { .. } | Output::ResumeReading { .. } => {}
            Output::CloseDatabase { database } => {
                if self.database == Some(database) {
                    self.database = None;
                }
            }
            output => {
                let writes =
                    |output: &Output| matches!(output, Output::Append { .. } | Output::MintEpoch { .. });
                if writes(&output) && self.asked.iter().any(writes) {
                    return Err("two writes of a database at a time".into());
                }
                self.asked.push_back(output);
            }
        }
        Ok(())
    }

    /// Connections that are open, oldest first.
    #[must_use]
    pub fn open_conns(&self) -> Vec<ConnId> {
        self.peers.keys().copied().collect()
    }

    /// The newest connection of a client.
    #[must_use]
    pub fn conn_of(&self, node: u64) -> Option<ConnId> {
        self.peers.iter().rfind(|(_, peer)| peer.node == node).map(|(conn, _)| *conn)
    }

    /// Questions that have no answer.
    #[must_use]
    pub fn questions(&self) -> usize {
        self.asked.len()
    }

    /// A client connects, and says hello.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn join(&mut self, node: u64, framing: Framing, key: u8) -> Result<(), Wrong> {
        self.conns += 1;
        let conn = ConnId(self.conns);
        self.peers.insert(conn, Peer { node, ..Peer::default() });
        self.witnesses.insert(conn, Witness::default());
        self.feed(Input::Opened { conn, framing })?;
        match self.hello(node, key) {
            Ok(hello) => self.send(conn, hello),
            Err(_) => Ok(()),
        }
    }

    /// Bytes of a client come.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn send(&mut self, conn: ConnId, bytes: Vec<u8>) -> Result<(), Wrong> {
        if !self.peers.contains_key(&conn) {
            return Ok(());
        }
        if let Some(witness) = self.witnesses.get_mut(&conn) {
            witness.received(&bytes);
        }
        self.feed(Input::Received { conn, bytes: Bytes::from(bytes) })?;
        if let Some(witness) = self.witnesses.get_mut(&conn) {
            witness.taken();
        }
        Ok(())
    }

    /// A transport is gone.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn close(&mut self, conn: ConnId) -> Result<(), Wrong> {
        if self.peers.remove(&conn).is_none() {
            return Ok(());
        }
        self.witnesses.remove(&conn);
        self.feed(Input::Closed { conn })
    }

    /// A transport takes all that was sent.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn flush(&mut self, conn: ConnId) -> Result<(), Wrong> {
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let bytes = core::mem::take(&mut peer.unsent);
        if bytes == 0 { Ok(()) } else { self.feed(Input::Flushed { conn, bytes }) }
    }

    /// Time passes, and the timer fires if it is due.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn pass(&mut self, ms: u64) -> Result<(), Wrong> {
        self.now += ms;
        for _ in 0..100 {
            if self.relay.poll_timeout().is_none_or(|at| at > self.now) {
                return Ok(());
            }
            self.feed(Input::Timeout)?;
        }
        Err("the timer does not move".into())
    }

    /// The store loses sight of an append, with all that was asked of that database.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn lose_log(&mut self, stored: bool) -> Result<(), Wrong> {
        let Some(database) = self.database else { return Ok(()) };
        let under_way = self.asked.iter().position(|output| matches!(output, Output::Append { .. }));
        if let Some(Output::Append { nodes, .. }) = under_way.and_then(|at| self.asked.remove(at))
            && stored
        {
            self.log.append(&nodes)?;
        }
        self.asked.retain(|output| matches!(output, Output::Authorize { .. }));
        self.feed(Input::LogLost { database })
    }

    /// The store answers one of its questions, or says that it can't.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn answer(&mut self, which: usize, fails: bool) -> Result<(), Wrong> {
        let Some(question) = self.asked.remove(which) else { return Ok(()) };
        let ticket = ticket(&question);
        if fails {
            let code = match question {
                Output::Authorize { .. } => ErrorCode::UNAUTHENTICATED,
                Output::RunQuery { .. } => ErrorCode::QUERY_FAILED,
                _ => ErrorCode::STORE_UNAVAILABLE,
            };
            return self.feed(Input::Failed { ticket, code });
        }
        let answer = match question {
            Output::Authorize { .. } => {
                let rights = match CollectionName::new(FORBIDDEN) {
                    Ok(name) => Rights::new(Access::ALL).with(&name, Access::READ),
                    Err(_) => Rights::new(Access::ALL),
                };
                let principal = Principal::new("p");
                Input::Authorized { ticket, principal, rights: Arc::new(rights), valid_until_ms: None }
            }
            Output::OpenDatabase { database, .. } => {
                self.log.mint(&mut self.random, RestoreMode::Keep);
                self.told = self.log.head();
                self.database = Some(database);
                Input::DatabaseOpened { ticket, head: self.told, epochs: self.log.epochs.clone() }
            }
            Output::LoadNode { node, key, principal, .. } => {
                Input::NodeLoaded { ticket, claim: self.log.claim(node, key, &principal) }
            }
            Output::Append { nodes, .. } => {
                let first_seq = self.log.append(&nodes)?;
                self.told = self.log.head();
                Input::Appended { ticket, first_seq }
            }
            Output::Read { after, max_bytes, .. } => {
                Input::BlocksRead { ticket, blocks: self.log.read(after, max_bytes) }
            }
            Output::MintEpoch { .. } => {
                Input::EpochMinted { ticket, epoch: self.log.mint(&mut self.random, RestoreMode::Keep) }
            }
            Output::RunQuery { .. } => match TableBuilder::new(1) {
                Ok(table) => {
                    Input::Rows { ticket, at: self.log.head(), tables: vec![table], cursor: Bytes::new() }
                }
                Err(_) => Input::Failed { ticket, code: ErrorCode::QUERY_FAILED },
            },
            _ => {
                let head = self.log.head();
                let counts = StateCounts {
                    seq: head,
                    operations: head,
                    nodes: self.log.nodes(),
                    live_records: 0,
                    collections: 0,
                };
                Input::StateCounted { ticket, counts }
            }
        };
        self.feed(answer)
    }

    /// The store answers everything, transports take everything, and clients acknowledge what they got,
    /// until nothing happens any more.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn settle(&mut self) -> Result<(), Wrong> {
        for _ in 0..10_000 {
            if self.questions() > 0 {
                self.answer(0, false)?;
                continue;
            }
            let before: usize = self.peers.values().map(|peer| peer.unsent).sum();
            for conn in self.open_conns() {
                self.flush(conn)?;
                self.acknowledge(conn, 1 << 20)?;
            }
            let after: usize = self.peers.values().map(|peer| peer.unsent).sum();
            if before == 0 && after == 0 && self.questions() == 0 {
                return Ok(());
            }
        }
        Err("it does not come to rest".into())
    }

    /// What is wrong when everything has come to rest: every push has its ack, and every reader all of the
    /// log.
    ///
    /// # Errors
    /// What the relay did not do.
    pub fn at_rest(&self) -> Result<(), Wrong> {
        for (conn, peer) in &self.peers {
            // Who was told goodbye settles it on its next connection.
            let Some(witness) = self.witnesses.get(conn).filter(|witness| witness.is_active()) else {
                continue;
            };
            if peer.pushes > 0 {
                return Err(format!("{conn:?} has {} pushes without an ack", peer.pushes));
            }
            witness.has_all(&self.log, self.config.window).map_err(|wrong| format!("{conn:?}: {wrong}"))?;
        }
        Ok(())
    }

    // What clients send.

    fn hello(&self, node: u64, key: u8) -> Result<Vec<u8>, BuildError> {
        let database = DatabaseName::new("app")?;
        let capabilities = [Capability::CRDT, Capability::COMPRESSION, Capability::QUERY];
        let capabilities = if node.is_multiple_of(3) { &capabilities[..1] } else { &capabilities[..] };
        let handshake = Handshake {
            protocol: ProtocolText::V1_0,
            versions: VersionRange::V1_0,
            database: DatabaseRef::from(&database),
            node: id(node)?,
            node_key: NodeKey([key; 16]),
            highest_given_out: LastNodeSeq::NONE,
            seen: List::new(&self.seen)?,
            public_key: Data::EMPTY,
            capabilities: List::new(capabilities)?,
            authentication: Authentication::bearer(Data::new(b"token")?),
            limits: List::new(&[])?,
            extensions: Extensions::EMPTY,
        };
        Ok(Packet::new(Message::Handshake(handshake))?.to_bytes())
    }

    fn request(&mut self, conn: ConnId) -> u32 {
        self.peers.get_mut(&conn).map_or(1, |peer| {
            peer.requests += 1;
            peer.requests
        })
    }

    /// A client pushes its next `count` operations in one block; `skip` numbers ahead of the right one.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn push(&mut self, conn: ConnId, collection: &str, count: u64, skip: u64) -> Result<(), Wrong> {
        let id = self.request(conn);
        let Some(peer) = self.peers.get_mut(&conn) else { return Ok(()) };
        let first = peer.next.max(1) + skip;
        let frame = push(id, peer.node, collection, first, count);
        if peer.next > 0 {
            peer.pushes += 1;
            peer.next = first + count;
        }
        frame.map_or(Ok(()), |frame| self.send(conn, frame))
    }

    /// A client subscribes.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn subscribe(&mut self, conn: ConnId, number: u32, window: u64, names: &[&str]) -> Result<(), Wrong> {
        let id = self.request(conn);
        let names: Vec<_> = names.iter().filter_map(|name| CollectionName::new(name).ok()).collect();
        let names: Vec<_> = names.iter().map(CollectionRef::from).collect();
        let from = Position::START;
        let Ok(collections) = List::new(&names) else { return Ok(()) };
        let extensions = Extensions::EMPTY;
        let subscribe = Subscribe { subscription: number, from, window, collections, extensions };
        self.message(conn, Message::Subscribe(subscribe), id)
    }

    /// A number that no subscription of a connection had.
    pub fn next_subscription(&mut self, conn: ConnId) -> u32 {
        self.peers.get_mut(&conn).map_or(1, |peer| {
            peer.numbers += 1;
            peer.numbers
        })
    }

    /// A second handshake on a connection.
    #[must_use]
    pub fn hello_again(&self, conn: ConnId) -> Vec<u8> {
        let node = self.peers.get(&conn).map_or(1, |peer| peer.node);
        self.hello(node, 7).unwrap_or_default()
    }

    /// A client ends a subscription.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn unsubscribe(&mut self, conn: ConnId, number: u32) -> Result<(), Wrong> {
        if let Some(peer) = self.peers.get_mut(&conn) {
            peer.subscriptions.remove(&number);
        }
        let unsubscribe = Unsubscribe { subscription: number, extensions: Extensions::EMPTY };
        self.message(conn, Message::Unsubscribe(unsubscribe), 0)
    }

    /// A client acknowledges everything that it got.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn acknowledge(&mut self, conn: ConnId, window: u64) -> Result<(), Wrong> {
        let Some(peer) = self.peers.get(&conn) else { return Ok(()) };
        for (subscription, position) in peer.subscriptions.clone() {
            let extensions = Extensions::EMPTY;
            self.message(
                conn,
                Message::UpdateAck(UpdateAck { subscription, position, window, extensions }),
                0,
            )?;
        }
        Ok(())
    }

    /// A client pulls a page from the start.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn pull(&mut self, conn: ConnId, max_bytes: u32) -> Result<(), Wrong> {
        let id = self.request(conn);
        let Ok(collections) = List::new(&[]) else { return Ok(()) };
        let (from, extensions) = (Position::START, Extensions::EMPTY);
        let pull = PullRequest { from, collections, max_operations: 0, max_bytes, extensions };
        self.message(conn, Message::PullRequest(pull), id)
    }

    /// A client sends a message.
    ///
    /// # Errors
    /// What the relay does wrong.
    pub fn message(&mut self, conn: ConnId, message: Message<'_>, id: u32) -> Result<(), Wrong> {
        match Packet::with_id(message, id) {
            Ok(packet) => {
                let bytes = packet.to_bytes();
                self.send(conn, bytes)
            }
            Err(_) => Ok(()),
        }
    }

    /// What the clients have heard of is what the next handshake names.
    pub fn remember(&mut self) {
        let newest = self.peers.values().flat_map(|peer| peer.subscriptions.values()).copied();
        let newest: BTreeSet<_> = newest.map(|it| (it.seq(), it.epoch())).collect();
        let newest = newest.last().and_then(|(seq, epoch)| Position::new(*epoch, *seq).ok());
        self.seen = newest.filter(|it| it.epoch() != 0).into_iter().collect();
    }

    /// The store goes back to what it had, and nobody opens the log anew.
    pub fn go_back(&mut self, log: Log) {
        self.log = log;
    }
}

impl Peer {
    fn hear(&mut self, frame: &[u8], log: &Log) {
        let context = Context::session(Capabilities::ALL);
        let Ok(packet) = Packet::decode(frame, &context) else { return };
        match packet.message() {
            Message::Welcome(welcome) => self.next = welcome.mark.node_seq().get() + 1,
            Message::PushAck(ack) => {
                self.pushes = self.pushes.saturating_sub(1);
                let later = ack.entries.iter().any(|entry| matches!(entry, PushEntry::Later { .. }));
                if later && let Ok(node) = id(self.node) {
                    self.next = log.mark(node).node_seq().get() + 1;
                }
            }
            Message::Update(update) => drop(self.subscriptions.insert(update.subscription, update.new)),
            _ => {}
        }
    }
}

fn id(node: u64) -> Result<NodeId, BuildError> {
    NodeId::new(Uuid::from_u128(0x1000 + u128::from(node)))
}

/// A push of one block; `None` if there can be none.
fn push(request: u32, node: u64, collection: &str, first: u64, count: u64) -> Option<Vec<u8>> {
    let node = id(node).ok()?;
    let mut builder = BlockBuilder::new(node, first);
    for number in first..first + count.max(1) {
        let fields = Fields::new(vec![(FieldName::new("f").ok()?, Value::from(7))]).ok()?;
        let timestamp = Timestamp::new(number, node).ok()?;
        let record = (CollectionName::new(collection).ok()?, Uuid::from_u128(5));
        builder.push(&Op::new((node, number), timestamp, OpKind::Update, record, fields).ok()?).ok()?;
    }
    let compression = if first.is_multiple_of(2) { Compression::Lz4 } else { Compression::None };
    let bytes = builder.finish(compression)?.to_vec();
    let blocks = Blocks::decode(&bytes, 1, Capabilities::ALL).ok()?;
    let push = Push {
        ids_check: ids_check(blocks).ok()?,
        blocks: PushBlocks::new(blocks).ok()?,
        extensions: Extensions::EMPTY,
    };
    Some(Packet::with_id(Message::Push(push), request).ok()?.to_bytes())
}

fn ticket(output: &Output) -> Ticket {
    match output {
        Output::Authorize { ticket, .. }
        | Output::OpenDatabase { ticket, .. }
        | Output::LoadNode { ticket, .. }
        | Output::Append { ticket, .. }
        | Output::Read { ticket, .. }
        | Output::MintEpoch { ticket, .. }
        | Output::RunQuery { ticket, .. }
        | Output::CountState { ticket, .. } => *ticket,
        Output::Send { .. }
        | Output::Close { .. }
        | Output::PauseReading { .. }
        | Output::ResumeReading { .. }
        | Output::CloseDatabase { .. } => unreachable!("this asks nothing"),
    }
}
