//! A client that costs little: blocking sockets, and no more decoding than counting needs.

use core::cell::RefCell;
use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, bail};
use blazedb_relay::block::Blocks;
use blazedb_relay::codec::{Context, Packet, ids_check};
use blazedb_relay::frame::{Phase, peek};
use blazedb_relay::message::{Extensions, List, Message, Push, PushBlocks, PushEntry, Subscribe, UpdateAck};
use blazedb_relay::registry::Capabilities;
use blazedb_relay::wire::{NodeId, NodeKey, Position};
use blazedb_relay_client::Identity;
use uuid::Uuid;

use crate::connect::handshake;

/// Bytes of one reading.
const READING: usize = 256 * 1_024;
/// A relay that says nothing for so long has failed.
const SILENCE: Duration = Duration::from_secs(60);
/// Bytes that the relay may send ahead of an update ack.
pub(crate) const WINDOW: u64 = 8 << 20;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; READING]);
}

/// One connection of one node.
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
    /// Bytes that came, WebSocket and all.
    received: u64,
}

/// The sending half of a connection.
pub(crate) struct Sender(TcpStream);

impl Wire {
    /// Connects a node, and is welcomed.
    pub(crate) fn open(address: SocketAddr, database: &str, number: u128) -> Result<Self> {
        let stream = TcpStream::connect(address).context("the relay takes no connection")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let mut wire = Self {
            stream,
            buffer: Vec::new(),
            used: 0,
            payload: 0,
            frame: Vec::new(),
            head: Position::START,
            unacked: 0,
            received: 0,
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
        let identity = Identity { node: node(number)?, key: NodeKey([7; 16]) };
        wire.send(&handshake(database, identity, &[], None)?)?;
        wire.expect(|message| matches!(message, Message::Welcome(_)))?;
        Ok(wire)
    }

    /// Where the log ended at welcome.
    pub(crate) const fn head(&self) -> Position {
        self.head
    }

    /// Bytes that came so far.
    pub(crate) const fn received(&self) -> u64 {
        self.received
    }

    /// Another hand that sends on this connection.
    pub(crate) fn sender(&self) -> Result<Sender> {
        Ok(Sender(self.stream.try_clone()?))
    }

    /// Sends one message.
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<()> {
        send(&mut self.stream, payload)
    }

    fn read(&mut self) -> Result<()> {
        self.buffer.drain(..self.used);
        self.used = 0;
        // Thousands of these wait at once.
        self.buffer.shrink_to(READING / 64);
        let read = BUFFER.with_borrow_mut(|buffer| {
            let read = self.stream.read(buffer)?;
            self.buffer.extend_from_slice(buffer.get(..read).unwrap_or_default());
            Ok::<_, std::io::Error>(read)
        })?;
        if read == 0 {
            bail!("the relay closed the connection");
        }
        self.received += read as u64;
        Ok(())
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
                    bail!("the relay closed the WebSocket");
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
            let packet = Packet::decode(&self.frame, &context)?;
            if let Message::Welcome(welcome) = packet.message() {
                self.head = welcome.head;
            }
            if let Message::Error(error) = packet.message() {
                bail!("the relay answers {error:?}");
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
        let packet = Packet::decode(&self.frame, &context)?;
        let Message::PushAck(ack) = packet.message() else { return Ok(0) };
        let mut ops = 0;
        for entry in ack.entries {
            match entry {
                PushEntry::Accepted(it) => ops += it.last().seq() + 1 - it.first_seq(),
                PushEntry::Refused { .. } | PushEntry::Later { .. } => {
                    bail!("the relay did not take a push: {entry:?}");
                }
            }
        }
        Ok(ops)
    }

    /// Waits for an update, and acknowledges it when half a megabyte has come; gives the operations in it.
    pub(crate) fn deliver(&mut self) -> Result<u64> {
        self.expect(|message| matches!(message, Message::Update(_)))?;
        let context = Context::session(Capabilities::ALL);
        let packet = Packet::decode(&self.frame, &context)?;
        let Message::Update(update) = packet.message() else { bail!("no update") };
        let blocks = packet.message().blocks();
        let ops =
            blocks.iter().flat_map(|blocks| blocks.iter()).map(|block| u64::from(block.header().count)).sum();
        let position = update.new;
        self.unacked += self.frame.len();
        if self.unacked > 512 * 1_024 {
            self.unacked = 0;
            let ack = UpdateAck { subscription: 1, position, window: WINDOW, extensions: Extensions::EMPTY };
            let packet = Packet::new(Message::UpdateAck(ack))?;
            self.send(&packet.to_bytes())?;
        }
        Ok(ops)
    }
}

/// The node of a number.
pub(crate) fn node(number: u128) -> Result<NodeId> {
    // Numbers alone would compress better than what devices are named.
    let spread = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
    Ok(NodeId::new(Uuid::from_u128(spread))?)
}

/// Sends one message. The mask is 0: it is there to protect proxies, of which there is none.
fn send(stream: &mut TcpStream, payload: &[u8]) -> Result<()> {
    let mut bytes = Vec::with_capacity(payload.len() + 14);
    bytes.extend([0x82, 0x80 | 127]);
    bytes.extend((payload.len() as u64).to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(payload);
    Ok(stream.write_all(&bytes)?)
}

impl Sender {
    /// Sends one message.
    pub(crate) fn send(&mut self, payload: &[u8]) -> Result<()> {
        send(&mut self.0, payload)
    }
}

/// A push of one block.
pub(crate) fn push(id: u64, block: &[u8]) -> Result<Vec<u8>> {
    let all = Blocks::decode(block, 1, Capabilities::ALL)?;
    let ids_check = ids_check(all)?;
    let push = Push { ids_check, blocks: PushBlocks::new(all)?, extensions: Extensions::EMPTY };
    // Request ids may come again when their answers have come.
    #[allow(clippy::cast_possible_truncation, reason = "any number but 0 will do")]
    let id = (id as u32).max(1);
    Ok(Packet::with_id(Message::Push(push), id)?.to_bytes())
}

/// A subscription to everything, from there.
pub(crate) fn subscribe(from: Position) -> Result<Vec<u8>> {
    let collections = List::new(&[])?;
    let subscribe =
        Subscribe { subscription: 1, collections, from, window: WINDOW, extensions: Extensions::EMPTY };
    Ok(Packet::with_id(Message::Subscribe(subscribe), 1)?.to_bytes())
}
