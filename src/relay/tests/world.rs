//! A relay with a small store in memory, and what clients send.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZeroU64;

use bytes::Bytes;
use uuid::Uuid;

use super::show;
use crate::block::{BlockBuilder, BlockRef, Blocks, Compression};
use crate::codec::{Packet, ids_check};
use crate::message::{
    Authentication, CollectionRef, Data, DatabaseRef, Extensions, Handshake, LastNodeSeq, Limit, List, Mark,
    Message, ProtocolText, Push, PushBlocks, RestoreMode, Subscribe, UpdateAck, VersionRange,
};
use crate::op::{Op, OpKind};
use crate::registry::{Capabilities, Capability, ErrorCode};
use crate::relay::{
    Access, Claim, Config, ConnId, DatabaseId, Epoch, Framing, Input, Output, Owner, Principal, Relay,
    Rights, StateCounts, StoredBlock, Ticket,
};
use crate::time::Time;
use crate::value::{Fields, Value};
use crate::wire::{CollectionName, DatabaseName, FieldName, NodeId, NodeKey, Position, Timestamp};

/// 2027-01-15T08:00:00Z.
pub(crate) const UNIX_MS: u64 = 1_800_000_000_000;

pub(crate) struct World {
    pub(crate) relay: Relay,
    pub(crate) ms: u64,
    /// What was asked and has no answer yet.
    pub(crate) asked: VecDeque<Output>,
    /// Bytes sent to each connection that its transport has not taken.
    pub(crate) unsent: BTreeMap<ConnId, usize>,
    /// The rights of everyone.
    pub(crate) rights: Arc<Rights>,
    pub(crate) valid_until_ms: Option<u64>,
    pub(crate) epochs: Vec<Epoch>,
    pub(crate) log: Vec<StoredBlock>,
    pub(crate) nodes: BTreeMap<NodeId, (Owner, Mark)>,
}

impl World {
    pub(crate) fn new(config: Config) -> Self {
        Self {
            relay: Relay::new(config),
            ms: 0,
            asked: VecDeque::new(),
            unsent: BTreeMap::new(),
            rights: Arc::new(Rights::new(Access::ALL)),
            valid_until_ms: None,
            epochs: Vec::new(),
            log: Vec::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// A relay that has a connection for each of these nodes, numbered as they are, with an open database
    /// `db`, and in it epoch 1.
    pub(crate) fn with(nodes: &[u128]) -> Self {
        let mut world = Self::new(Config::default());
        for node in nodes {
            world.join(*node);
        }
        world
    }

    /// Gives an input, and shows all outputs.
    pub(crate) fn input(&mut self, input: Input) -> Vec<String> {
        self.outputs(input).iter().map(show).collect()
    }

    /// Gives an input, and all outputs.
    pub(crate) fn outputs(&mut self, input: Input) -> Vec<Output> {
        let now = Time { monotonic_ms: self.ms, unix_ms: UNIX_MS + self.ms };
        self.relay.handle(now, input);
        let outputs: Vec<_> = core::iter::from_fn(|| self.relay.poll_output()).collect();
        for output in &outputs {
            match output {
                Output::Send { conn, head, blocks } => {
                    let bytes = head.len() + blocks.iter().map(Bytes::len).sum::<usize>();
                    *self.unsent.entry(*conn).or_default() += bytes;
                }
                Output::Close { conn, .. } => {
                    self.unsent.remove(conn);
                }
                Output::PauseReading { .. } | Output::ResumeReading { .. } | Output::CloseDatabase { .. } => {
                }
                Output::Authorize { .. }
                | Output::OpenDatabase { .. }
                | Output::LoadNode { .. }
                | Output::Append { .. }
                | Output::Read { .. }
                | Output::MintEpoch { .. }
                | Output::RunQuery { .. }
                | Output::CountState { .. } => self.asked.push_back(output.clone()),
            }
        }
        outputs
    }

    pub(crate) fn open(&mut self, conn: u64) -> Vec<String> {
        self.input(Input::Opened { conn: ConnId(conn), framing: Framing::Stream })
    }

    pub(crate) fn send(&mut self, conn: u64, bytes: impl Into<Bytes>) -> Vec<String> {
        self.input(Input::Received { conn: ConnId(conn), bytes: bytes.into() })
    }

    /// The transport of `conn` takes everything.
    pub(crate) fn flush(&mut self, conn: u64) -> Vec<String> {
        let bytes = self.unsent.remove(&ConnId(conn)).unwrap_or(0);
        self.input(Input::Flushed { conn: ConnId(conn), bytes })
    }

    /// Lets time pass without a timer being looked at.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.ms += ms;
    }

    /// Lets time pass, each timer fires when it ends; shows all outputs, each with its time.
    pub(crate) fn pass(&mut self, ms: u64) -> Vec<String> {
        let end = self.ms + ms;
        let mut shown = Vec::new();
        while let Some(at) = self.relay.poll_timeout().filter(|at| *at <= end) {
            self.ms = self.ms.max(at);
            let outputs = self.input(Input::Timeout);
            shown.extend(outputs.iter().map(|output| alloc::format!("{}: {output}", self.ms)));
        }
        self.ms = end;
        shown
    }

    /// Connects a node: connection and node have the same number.
    pub(crate) fn join(&mut self, number: u128) -> Vec<String> {
        let conn = u64::try_from(number).unwrap();
        assert_eq!(self.open(conn), [""; 0]);
        self.send(conn, Hello::new(number).to_bytes());
        self.settle()
    }

    /// Answers all that was asked; shows the outputs of the last answer.
    pub(crate) fn settle(&mut self) -> Vec<String> {
        let mut last = Vec::new();
        while !self.asked.is_empty() {
            last = self.answer();
        }
        last
    }

    /// The first question that has no answer, taken away.
    pub(crate) fn question(&mut self) -> Output {
        self.asked.pop_front().expect("something was asked")
    }

    /// Answers the first question as the store does, and shows all outputs.
    pub(crate) fn answer(&mut self) -> Vec<String> {
        let output = self.question();
        let input = self.truth(&output);
        self.input(input)
    }

    /// Says that what was asked first could not be done.
    pub(crate) fn fail(&mut self, code: ErrorCode) -> Vec<String> {
        let ticket = ticket(&self.question());
        self.input(Input::Failed { ticket, code })
    }

    pub(crate) fn head(&self) -> u64 {
        self.log.last().map_or(0, last_seq)
    }

    /// Mints the next epoch: 1, 2, 3, ...
    pub(crate) fn mint(&mut self, mode: RestoreMode) -> Epoch {
        let id = NonZeroU64::new(self.epochs.len() as u64 + 1).unwrap();
        let epoch = Epoch { id, begins: self.head(), mode };
        self.epochs.push(epoch);
        epoch
    }

    pub(crate) fn truth(&mut self, output: &Output) -> Input {
        let ticket = ticket(output);
        match output {
            Output::Authorize { credentials, .. } => Input::Authorized {
                ticket,
                principal: Principal::new(core::str::from_utf8(&credentials.token).unwrap()),
                rights: self.rights.clone(),
                valid_until_ms: self.valid_until_ms,
            },
            Output::OpenDatabase { .. } => {
                self.mint(RestoreMode::Keep);
                Input::DatabaseOpened { ticket, head: self.head(), epochs: self.epochs.clone() }
            }
            Output::LoadNode { node, key, principal, .. } => {
                let claim = match self.nodes.get(node) {
                    None => Claim::Yours(Mark::NONE),
                    Some((owner, mark)) if owner.key == *key && owner.principal == *principal => {
                        Claim::Yours(*mark)
                    }
                    Some(_) => Claim::NotYours,
                };
                Input::NodeLoaded { ticket, claim }
            }
            Output::Append { nodes, .. } => {
                let first_seq = self.head() + 1;
                for node in nodes {
                    let known = self.nodes.get(&node.node);
                    assert_eq!(known.map_or(Mark::NONE, |(_, mark)| *mark), node.builds_on);
                    let owner = node.owner.clone().or_else(|| known.map(|(owner, _)| owner.clone()));
                    self.nodes.insert(node.node, (owner.unwrap(), node.mark));
                    for block in &node.blocks {
                        let first_seq = self.head() + 1;
                        self.log.push(StoredBlock { first_seq, bytes: block.bytes.clone() });
                    }
                }
                Input::Appended { ticket, first_seq }
            }
            Output::Read { after, max_bytes, .. } => {
                let mut blocks: Vec<StoredBlock> = Vec::new();
                let mut bytes = 0;
                for block in self.log.iter().filter(|block| last_seq(block) > *after) {
                    bytes += block.bytes.len();
                    if bytes > *max_bytes && !blocks.is_empty() {
                        break;
                    }
                    blocks.push(block.clone());
                }
                Input::BlocksRead { ticket, blocks }
            }
            Output::MintEpoch { .. } => Input::EpochMinted { ticket, epoch: self.mint(RestoreMode::Keep) },
            Output::CountState { .. } => {
                let counts = StateCounts {
                    seq: self.head(),
                    operations: self.head(),
                    nodes: self.nodes.len() as u64,
                    live_records: 1,
                    collections: 1,
                };
                Input::StateCounted { ticket, counts }
            }
            Output::RunQuery { .. }
            | Output::Send { .. }
            | Output::Close { .. }
            | Output::PauseReading { .. }
            | Output::ResumeReading { .. }
            | Output::CloseDatabase { .. } => panic!("the store does not answer {output:?}"),
        }
    }

    pub(crate) fn lose_log(&mut self, database: u64) -> Vec<String> {
        self.asked.clear();
        self.input(Input::LogLost { database: DatabaseId(database) })
    }
}

pub(crate) fn last_seq(block: &StoredBlock) -> u64 {
    block.first_seq + u64::from(BlockRef::decode(&block.bytes).unwrap().header().span) - 1
}

pub(crate) fn ticket(output: &Output) -> Ticket {
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
        | Output::CloseDatabase { .. } => panic!("{output:?} has no ticket"),
    }
}

pub(crate) fn node(number: u128) -> NodeId {
    NodeId::new(Uuid::from_u128(number)).unwrap()
}

/// What a client says in its handshake.
pub(crate) struct Hello {
    pub(crate) database: &'static str,
    pub(crate) node: u128,
    pub(crate) key: u8,
    pub(crate) token: &'static str,
    pub(crate) versions: (u16, u16),
    pub(crate) seen: Vec<(u64, u64)>,
    pub(crate) capabilities: Vec<Capability>,
    pub(crate) limits: Vec<Limit>,
}

impl Hello {
    pub(crate) fn new(node: u128) -> Self {
        Self {
            database: "db",
            node,
            key: 7,
            token: "ann",
            versions: (0x0100, 0x0100),
            seen: vec![],
            capabilities: vec![Capability::CRDT, Capability::COMPRESSION, Capability::QUERY],
            limits: vec![],
        }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let seen: Vec<_> =
            self.seen.iter().map(|(epoch, seq)| Position::new(*epoch, *seq).unwrap()).collect();
        let database = DatabaseName::new(self.database).unwrap();
        let handshake = Handshake {
            protocol: ProtocolText::V1_0,
            versions: VersionRange::new(self.versions.0, self.versions.1).unwrap(),
            database: DatabaseRef::from(&database),
            node: node(self.node),
            node_key: NodeKey([self.key; 16]),
            highest_given_out: LastNodeSeq::NONE,
            seen: List::new(&seen).unwrap(),
            public_key: Data::EMPTY,
            capabilities: List::new(&self.capabilities).unwrap(),
            authentication: Authentication::bearer(Data::new(self.token.as_bytes()).unwrap()),
            limits: List::new(&self.limits).unwrap(),
            extensions: Extensions::EMPTY,
        };
        Packet::new(Message::Handshake(handshake)).unwrap().to_bytes()
    }
}

/// A block of inserts: for each operation its collection and its counter. The first has that number.
pub(crate) fn block(number: u128, first: u64, ops: &[(&str, u64)]) -> Vec<u8> {
    blocks_of(number, first, ops, "x", Compression::None)
}

/// The same block, compressed.
pub(crate) fn compressed(number: u128, first: u64, ops: &[(&str, u64)]) -> Vec<u8> {
    blocks_of(number, first, ops, "a text that compresses well well well well well", Compression::Lz4)
}

fn blocks_of(number: u128, first: u64, ops: &[(&str, u64)], text: &str, how: Compression) -> Vec<u8> {
    let id = node(number);
    let mut builder = BlockBuilder::new(id, first);
    for (seq, (collection, counter)) in (first..).zip(ops) {
        let fields = Fields::new(vec![(FieldName::new("title").unwrap(), Value::from(text))]).unwrap();
        let place = (CollectionName::new(collection).unwrap(), Uuid::from_u128(1));
        let timestamp = Timestamp::new(*counter, id).unwrap();
        builder.push(&Op::new((id, seq), timestamp, OpKind::Insert, place, fields).unwrap()).unwrap();
    }
    builder.finish(how).unwrap().to_vec()
}

/// A block of one update that removes a field, which needs `crdt`.
pub(crate) fn removal(number: u128, seq: u64) -> Vec<u8> {
    let id = node(number);
    let fields = Fields::new(vec![(FieldName::new("title").unwrap(), Value::Removed)]).unwrap();
    let place = (CollectionName::new("a").unwrap(), Uuid::from_u128(1));
    let op = Op::new((id, seq), Timestamp::new(seq, id).unwrap(), OpKind::Update, place, fields).unwrap();
    let mut builder = BlockBuilder::new(id, seq);
    builder.push(&op).unwrap();
    builder.finish(Compression::None).unwrap().to_vec()
}

/// A push of blocks.
pub(crate) fn push(id: u32, blocks: &[Vec<u8>]) -> Vec<u8> {
    let raw = blocks.concat();
    let all = Blocks::decode(&raw, blocks.len(), Capabilities::ALL).unwrap();
    let ids_check = ids_check(all).unwrap();
    let push = Push { ids_check, blocks: PushBlocks::new(all).unwrap(), extensions: Extensions::EMPTY };
    request(id, Message::Push(push))
}

pub(crate) fn request(id: u32, message: Message<'_>) -> Vec<u8> {
    Packet::with_id(message, id).unwrap().to_bytes()
}

/// A subscription to all collections, or to some; requested with its own number as id.
pub(crate) fn subscribe(number: u32, from: (u64, u64), window: u64, collections: &[&str]) -> Vec<u8> {
    let names: Vec<_> = collections.iter().map(|name| CollectionRef::new(name).unwrap()).collect();
    let subscribe = Subscribe {
        subscription: number,
        from: Position::new(from.0, from.1).unwrap(),
        window,
        collections: List::new(&names).unwrap(),
        extensions: Extensions::EMPTY,
    };
    request(number, Message::Subscribe(subscribe))
}

pub(crate) fn update_ack(number: u32, position: (u64, u64), window: u64) -> Vec<u8> {
    let ack = UpdateAck {
        subscription: number,
        position: Position::new(position.0, position.1).unwrap(),
        window,
        extensions: Extensions::EMPTY,
    };
    request(0, Message::UpdateAck(ack))
}
