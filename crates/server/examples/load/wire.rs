//! A client that costs little: blocking sockets, and no more decoding than counting needs.

use core::net::SocketAddr;
use std::io::{Error, Read as _, Result, Write as _};
use std::net::TcpStream;

use blazedb_relay::block::{BlockBuilder, Blocks, Compression};
use blazedb_relay::codec::{Context, Packet, ids_check};
use blazedb_relay::frame::{Phase, peek};
use blazedb_relay::message::{
    Authentication, Data, DatabaseRef, Extensions, Handshake, LastNodeSeq, LimitList, List, Message,
    ProtocolText, Push, PushBlocks, PushEntry, Subscribe, UpdateAck, VersionRange,
};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::registry::{Capabilities, Capability};
use blazedb_relay::value::{Fields, Value};
use blazedb_relay::wire::{CollectionName, DatabaseName, FieldName, NodeId, NodeKey, Position, Timestamp};
use uuid::Uuid;

/// Bytes of one reading.
const READING: usize = 256 * 1_024;

pub(crate) struct Wire {
    stream: TcpStream,
    /// What came and was not used yet.
    buffer: Vec<u8>,
    used: usize,
    /// Left of the WebSocket frame whose payload comes now.
    payload: usize,
    frame: Vec<u8>,
    head: Position,
    /// Bytes since the last update ack.
    unacked: usize,
}

/// What one update brought.
pub(crate) struct Delivered {
    pub(crate) ops: u64,
}

impl Wire {
    /// Connects a node, and is welcomed.
    pub(crate) fn open(address: SocketAddr, number: u128) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let mut wire = Self {
            stream,
            buffer: Vec::new(),
            used: 0,
            payload: 0,
            frame: Vec::new(),
            head: Position::START,
            unacked: 0,
        };
        let request = "GET /sync HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
                       sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                       sec-websocket-protocol: blazedb-relay.v1\r\n\r\n";
        wire.stream.write_all(request.as_bytes())?;
        let end = loop {
            if let Some(at) = wire.buffer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
                break at + 4;
            }
            wire.read()?;
        };
        wire.used = end;
        wire.send(&hello(number)?)?;
        wire.expect(|message| matches!(message, Message::Welcome(_)))?;
        Ok(wire)
    }

    /// Where the log ended at welcome.
    pub(crate) const fn head(&self) -> Position {
        self.head
    }

    /// Sends one message. The mask is 0: it is there to protect proxies, of which there is none.
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<()> {
        let mut bytes = Vec::with_capacity(payload.len() + 14);
        bytes.extend([0x82, 0x80 | 127]);
        bytes.extend((payload.len() as u64).to_be_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        self.stream.write_all(&bytes)
    }

    fn read(&mut self) -> Result<()> {
        self.buffer.drain(..self.used);
        self.used = 0;
        let start = self.buffer.len();
        self.buffer.resize(start + READING, 0);
        let read = self.stream.read(&mut self.buffer[start..])?;
        self.buffer.truncate(start + read);
        // Thousands of these wait at once.
        self.buffer.shrink_to(READING / 64);
        if read == 0 { Err(Error::other("the server closed")) } else { Ok(()) }
    }

    fn bytes(&mut self, len: usize) -> Result<&[u8]> {
        while self.buffer.len() - self.used < len {
            self.read()?;
        }
        let at = self.used;
        self.used += len;
        Ok(&self.buffer[at..at + len])
    }

    /// The next frame of the relay's protocol.
    fn next(&mut self) -> Result<()> {
        self.frame.clear();
        loop {
            if self.payload == 0 {
                let head = self.bytes(2)?;
                let (opcode, short) = (head[0] & 15, usize::from(head[1]));
                self.payload = match short {
                    126 => self.bytes(2)?.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
                    127 => self.bytes(8)?.iter().fold(0, |len, byte| len << 8 | usize::from(*byte)),
                    _ => short,
                };
                if opcode == 8 {
                    return Err(Error::other("the server closed the WebSocket"));
                }
            }
            let have = self.frame.len();
            let want =
                if have < 16 { 16 } else { peek(&self.frame, Phase::Session).ok().flatten().unwrap_or(16) };
            let take = (want - have).min(self.payload);
            self.payload -= take;
            let bytes = self.bytes(take)?.to_vec();
            self.frame.extend(bytes);
            if want == self.frame.len() && peek(&self.frame, Phase::Session).ok().flatten() == Some(want) {
                return Ok(());
            }
        }
    }

    /// Waits for a message.
    pub(crate) fn expect(&mut self, wanted: impl Fn(&Message<'_>) -> bool) -> Result<()> {
        loop {
            self.next()?;
            let context = Context::session(Capabilities::ALL);
            let packet = Packet::decode(&self.frame, &context).map_err(Error::other)?;
            if let Message::Welcome(welcome) = packet.message() {
                self.head = welcome.head;
            }
            if let Message::Error(error) = packet.message() {
                return Err(Error::other(format!("{error:?}")));
            }
            if wanted(packet.message()) {
                return Ok(());
            }
        }
    }

    /// Waits for a push ack; gives the operations in it.
    pub(crate) fn acks(&mut self) -> Result<u64> {
        self.expect(|message| matches!(message, Message::PushAck(_)))?;
        let context = Context::session(Capabilities::ALL);
        let packet = Packet::decode(&self.frame, &context).map_err(Error::other)?;
        let Message::PushAck(ack) = packet.message() else { return Ok(0) };
        let mut ops = 0;
        for entry in ack.entries {
            match entry {
                PushEntry::Accepted(it) => ops += it.last().seq() + 1 - it.first_seq(),
                PushEntry::Refused { .. } | PushEntry::Later { .. } => {
                    return Err(Error::other("not accepted"));
                }
            }
        }
        Ok(ops)
    }

    /// Waits for an update, and acknowledges it when half a megabyte has come.
    pub(crate) fn deliver(&mut self) -> Result<Delivered> {
        self.expect(|message| matches!(message, Message::Update(_)))?;
        let context = Context::session(Capabilities::ALL);
        let packet = Packet::decode(&self.frame, &context).map_err(Error::other)?;
        let Message::Update(update) = packet.message() else { return Err(Error::other("no update")) };
        let blocks = packet.message().blocks();
        let ops =
            blocks.iter().flat_map(|blocks| blocks.iter()).map(|block| u64::from(block.header().count)).sum();
        let position = update.new;
        self.unacked += self.frame.len();
        if self.unacked > 512 * 1_024 {
            self.unacked = 0;
            let ack = UpdateAck { subscription: 1, position, window: 8 << 20, extensions: Extensions::EMPTY };
            let packet = Packet::new(Message::UpdateAck(ack)).map_err(Error::other)?;
            self.send(&packet.to_bytes())?;
        }
        Ok(Delivered { ops })
    }
}

fn node(number: u128) -> Result<NodeId> {
    NodeId::new(Uuid::from_u128(number)).map_err(Error::other)
}

fn hello(number: u128) -> Result<Vec<u8>> {
    let database = DatabaseName::new("app").map_err(Error::other)?;
    let handshake = Handshake {
        protocol: ProtocolText::V1_0,
        versions: VersionRange::new(0x0100, 0x0100).map_err(Error::other)?,
        database: DatabaseRef::from(&database),
        node: node(number)?,
        node_key: NodeKey([7; 16]),
        highest_given_out: LastNodeSeq::NONE,
        seen: List::new(&[]).map_err(Error::other)?,
        public_key: Data::EMPTY,
        capabilities: List::new(&[Capability::CRDT, Capability::COMPRESSION]).map_err(Error::other)?,
        authentication: Authentication::None,
        limits: LimitList::new(&[]).map_err(Error::other)?,
        extensions: Extensions::EMPTY,
    };
    Ok(Packet::new(Message::Handshake(handshake)).map_err(Error::other)?.to_bytes())
}

/// A block of updates of a bug's record: three fields each.
#[allow(clippy::unwrap_used, reason = "all of it is legal")]
pub(crate) fn block(of: u128, first: u64, count: u64) -> Vec<u8> {
    let id = node(of).unwrap();
    let mut builder = BlockBuilder::new(id, first);
    for seq in first..first + count {
        let fields = vec![
            (FieldName::new("title").unwrap(), Value::from(format!("Fix login bug {seq}").as_str())),
            (FieldName::new("priority").unwrap(), Value::from(5)),
            (FieldName::new("status").unwrap(), Value::from("open")),
        ];
        let place = (CollectionName::new("bugs").unwrap(), Uuid::from_u128(u128::from(seq % 1_000)));
        let fields = Fields::new(fields).unwrap();
        let timestamp = Timestamp::new(seq, id).unwrap();
        builder.push(&Op::new((id, seq), timestamp, OpKind::Update, place, fields).unwrap()).unwrap();
    }
    builder.finish(Compression::Lz4).unwrap().to_vec()
}

/// A push of one block.
#[allow(clippy::unwrap_used, reason = "all of it is legal")]
pub(crate) fn push(id: u32, block: &[u8]) -> Vec<u8> {
    let all = Blocks::decode(block, 1, Capabilities::ALL).unwrap();
    let ids_check = ids_check(all).unwrap();
    let push = Push { ids_check, blocks: PushBlocks::new(all).unwrap(), extensions: Extensions::EMPTY };
    Packet::with_id(Message::Push(push), id).unwrap().to_bytes()
}

/// A subscription to everything, from there.
#[allow(clippy::unwrap_used, reason = "all of it is legal")]
pub(crate) fn subscribe(from: Position, window: u64) -> Vec<u8> {
    let collections = List::new(&[]).unwrap();
    let subscribe = Subscribe { subscription: 1, collections, from, window, extensions: Extensions::EMPTY };
    Packet::with_id(Message::Subscribe(subscribe), 1).unwrap().to_bytes()
}
