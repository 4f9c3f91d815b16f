//! How rows are written. The last four bytes of each are a CRC-32 of its key and of what stands before
//! them, so that a damaged file is found out and no damaged row is ever believed.

use blazedb_relay::client::{
    Change, CollectionSet, Identity, Node, OpRow, Queued, Reader, Rejected, RejectedKey, Seen,
};
use blazedb_relay::merge::{Heard, Path};
use blazedb_relay::message::{LastNodeSeq, Mark};
use blazedb_relay::registry::{Capabilities, Capability, ErrorCode};
use blazedb_relay::value::ValueRef;
use blazedb_relay::wire::{CollectionName, NodeId, NodeKey, Position, Timestamp};
use bytes::Bytes;
use uuid::Uuid;

const CHECKSUM: usize = 4;

/// What is wrong with a row.
pub(super) type Wrong = &'static str;

/// Ends a row.
pub(super) fn seal(key: &[u8], mut data: Vec<u8>) -> Vec<u8> {
    let check = checksum(key, &data);
    data.extend(check.to_be_bytes());
    data
}

fn checksum(key: &[u8], data: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(data);
    hasher.finalize()
}

/// What stands in a row.
fn unseal<'a>(key: &[u8], row: &'a [u8]) -> Result<Input<'a>, Wrong> {
    let (data, check) = row.split_last_chunk::<CHECKSUM>().ok_or("it is too short")?;
    if u32::from_be_bytes(*check) != checksum(key, data) {
        return Err("its checksum is wrong");
    }
    Ok(Input(data))
}

/// What is left of a row.
struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], Wrong> {
        let (array, rest) = self.0.split_first_chunk().ok_or("it is too short")?;
        self.0 = rest;
        Ok(*array)
    }

    fn u8(&mut self) -> Result<u8, Wrong> {
        self.array().map(u8::from_be_bytes)
    }

    fn u16(&mut self) -> Result<u16, Wrong> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32, Wrong> {
        self.array().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Result<u64, Wrong> {
        self.array().map(u64::from_be_bytes)
    }

    fn bool(&mut self) -> Result<bool, Wrong> {
        Ok(self.u8()? != 0)
    }

    fn uuid(&mut self) -> Result<Uuid, Wrong> {
        self.array().map(Uuid::from_bytes)
    }

    fn node(&mut self) -> Result<NodeId, Wrong> {
        NodeId::new(self.uuid()?).map_err(|_| "it names no node")
    }

    /// A timestamp; never is (0, nil).
    fn timestamp(&mut self) -> Result<Timestamp, Wrong> {
        let (counter, node) = (self.u64()?, self.uuid()?);
        if counter == 0 && node.is_nil() {
            return Ok(Timestamp::NEVER);
        }
        let node = NodeId::new(node).map_err(|_| "it names no node")?;
        Timestamp::new(counter, node).map_err(|_| "it has no timestamp")
    }

    fn position(&mut self) -> Result<Position, Wrong> {
        Position::new(self.u64()?, self.u64()?).map_err(|_| "it has no position")
    }

    fn text(&mut self) -> Result<&'a str, Wrong> {
        let len = usize::from(self.u8()?);
        let (text, rest) = self.0.split_at_checked(len).ok_or("it is too short")?;
        self.0 = rest;
        core::str::from_utf8(text).map_err(|_| "it has a name that is no text")
    }

    const fn rest(self) -> &'a [u8] {
        self.0
    }

    const fn end(self) -> Result<(), Wrong> {
        if self.0.is_empty() { Ok(()) } else { Err("it is too long") }
    }
}

fn put_timestamp(data: &mut Vec<u8>, timestamp: Timestamp) {
    data.extend(timestamp.counter().to_be_bytes());
    data.extend(timestamp.node().as_bytes());
}

fn put_position(data: &mut Vec<u8>, position: Position) {
    data.extend(position.epoch().to_be_bytes());
    data.extend(position.seq().to_be_bytes());
}

/// The database that the file is a replica of.
pub(super) fn database(name: &str) -> Vec<u8> {
    seal(b"database", name.into())
}

pub(super) fn read_database(row: &[u8]) -> Result<&str, Wrong> {
    core::str::from_utf8(unseal(b"database", row)?.rest()).map_err(|_| "it is no text")
}

pub(super) fn node(node: &Node) -> Vec<u8> {
    let mut data = Vec::with_capacity(96);
    data.extend(node.identity.node.as_bytes());
    data.extend(node.identity.key.0);
    data.extend(node.given.get().to_be_bytes());
    data.extend(node.acknowledged.node_seq().get().to_be_bytes());
    data.extend(node.acknowledged.check().to_be_bytes());
    data.extend(node.clock.to_be_bytes());
    data.extend(node.merged.to_be_bytes());
    data.push(u8::from(node.untried));
    if let Some(Reader { version, capabilities }) = node.stopped {
        data.extend(version.to_be_bytes());
        for (capability, _) in Capability::ALL.iter().filter(|(it, _)| capabilities.has(*it)) {
            data.extend(capability.0.to_be_bytes());
        }
    }
    seal(b"node", data)
}

pub(super) fn read_node(row: &[u8]) -> Result<Change, Wrong> {
    let mut input = unseal(b"node", row)?;
    let number = |number| LastNodeSeq::new(number).map_err(|_| "it has a number that is too large");
    let identity = Identity { node: input.node()?, key: NodeKey(input.array()?) };
    let given = number(input.u64()?)?;
    let acknowledged = number(input.u64()?)?;
    let acknowledged = Mark::new(acknowledged, input.u32()?).map_err(|_| "it has no mark")?;
    let (clock, merged, untried) = (input.u64()?, input.u64()?, input.bool()?);
    let mut stopped = None;
    if !input.0.is_empty() {
        let mut reader = Reader { version: input.u16()?, capabilities: Capabilities::NONE };
        while !input.0.is_empty() {
            reader.capabilities = reader.capabilities.with(Capability(input.u16()?));
        }
        stopped = Some(reader);
    }
    input.end()?;
    Ok(Change::Node(Node { identity, given, acknowledged, clock, merged, untried, stopped }))
}

pub(super) fn queued(queued: &Queued) -> Vec<u8> {
    let mut data = Vec::with_capacity(queued.op.bytes().len() + 32);
    data.push(u8::from(queued.uncertain) | u8::from(queued.restored) << 1);
    put_timestamp(&mut data, queued.transaction.unwrap_or(Timestamp::NEVER));
    data.extend_from_slice(queued.op.bytes());
    seal(b"queued", data)
}

pub(super) fn read_queued(number: u64, row: &[u8]) -> Result<Change, Wrong> {
    let mut input = unseal(b"queued", row)?;
    let flags = input.u8()?;
    let transaction = Some(input.timestamp()?).filter(|timestamp| !timestamp.is_never());
    let op = op_row(input.rest())?;
    if op.op().head.node_seq != number {
        return Err("it stands under another number");
    }
    let (uncertain, restored) = (flags & 1 != 0, flags & 2 != 0);
    Ok(Change::Queued(Queued { op, uncertain, transaction, restored }))
}

fn op_row(bytes: &[u8]) -> Result<OpRow, Wrong> {
    OpRow::new(Bytes::copy_from_slice(bytes)).map_err(|_| "it holds no operation")
}

pub(super) fn rejected_key(key: &RejectedKey) -> Vec<u8> {
    let mut data = Vec::with_capacity(48);
    put_timestamp(&mut data, key.timestamp);
    data.extend(key.node.as_bytes());
    data.extend(key.node_seq.to_be_bytes());
    data
}

pub(super) fn rejected(key: &[u8], rejected: &Rejected) -> Vec<u8> {
    let mut data = Vec::with_capacity(rejected.op.bytes().len() + 8);
    data.extend(rejected.code.0.to_be_bytes());
    data.extend_from_slice(rejected.op.bytes());
    seal(key, data)
}

pub(super) fn read_rejected(key: &[u8], row: &[u8]) -> Result<Change, Wrong> {
    let mut input = unseal(key, row)?;
    let code = ErrorCode(input.u16()?);
    let rejected = Rejected { code, op: op_row(input.rest())? };
    if rejected_key(&rejected.key()) != key {
        return Err("it stands under another key");
    }
    Ok(Change::Rejected(rejected))
}

pub(super) fn register(path: &[u8], timestamp: Timestamp, value: &[u8], heard: Heard) -> Vec<u8> {
    let mut data = Vec::with_capacity(value.len() + 36);
    put_timestamp(&mut data, timestamp);
    data.extend(heard.to_u64().to_be_bytes());
    data.extend_from_slice(value);
    seal(path, data)
}

fn read_path(path: &[u8]) -> Result<Path, Wrong> {
    Path::from_bytes(path).map_err(|_| "it has no path")
}

pub(super) fn read_register(key: &[u8], row: &[u8]) -> Result<Change, Wrong> {
    let mut input = unseal(key, row)?;
    let (timestamp, heard) = (input.timestamp()?, Heard::from(input.u64()?));
    let value = input.rest();
    ValueRef::decode_field(value, Capabilities::ALL).map_err(|_| "it holds no value")?;
    Ok(Change::Register { path: read_path(key)?, timestamp, value: value.into(), heard })
}

/// Whose counter at a path, and since when.
pub(super) fn counter_of(node: Uuid, base: Timestamp) -> Vec<u8> {
    let mut key = node.as_bytes().to_vec();
    put_timestamp(&mut key, base);
    key
}

pub(super) fn counter(path: &[u8], timestamp: Timestamp, total: i64, heard: Heard) -> Vec<u8> {
    let mut data = Vec::with_capacity(48);
    put_timestamp(&mut data, timestamp);
    data.extend(heard.to_u64().to_be_bytes());
    data.extend(total.to_be_bytes());
    seal(path, data)
}

pub(super) fn read_counter(key: &[u8], of: &[u8], row: &[u8]) -> Result<Change, Wrong> {
    let mut input = unseal(key, row)?;
    let (timestamp, heard) = (input.timestamp()?, Heard::from(input.u64()?));
    let total = input.array().map(i64::from_be_bytes)?;
    input.end()?;
    let mut of = Input(of);
    let (node, base) = (of.uuid()?, of.timestamp()?);
    of.end()?;
    if timestamp.node() != node {
        return Err("it stands under another node");
    }
    Ok(Change::Counter { path: read_path(key)?, base, timestamp, total, heard })
}

/// The row of a register or counter that was heard of after `seq`, with that in doubt; none for others.
pub(super) fn doubted(key: &[u8], row: &[u8], seq: u64) -> Result<Option<Vec<u8>>, Wrong> {
    let mut input = unseal(key, row)?;
    let timestamp = input.timestamp()?;
    let heard = Heard::from(input.u64()?);
    if heard.is_in_doubt() || heard <= Heard::at(seq) {
        return Ok(None);
    }
    Ok(Some(register(key, timestamp, input.rest(), Heard::IN_DOUBT)))
}

pub(super) fn collections(set: &CollectionSet) -> Vec<u8> {
    let mut key = Vec::new();
    for name in set.names() {
        // A name has at most 128 bytes.
        key.extend(u8::try_from(name.as_str().len()).ok());
        key.extend(name.as_str().as_bytes());
    }
    key
}

pub(super) fn position(key: &[u8], position: Position) -> Vec<u8> {
    let mut data = Vec::with_capacity(24);
    put_position(&mut data, position);
    seal(key, data)
}

pub(super) fn read_position(key: &[u8], row: &[u8]) -> Result<Change, Wrong> {
    let mut input = unseal(key, row)?;
    let position = input.position()?;
    input.end()?;
    let mut names = Vec::new();
    let mut key = Input(key);
    while !key.0.is_empty() {
        names.push(CollectionName::new(key.text()?).map_err(|_| "it names no collection")?);
    }
    let set = if names.is_empty() { Ok(CollectionSet::ALL) } else { CollectionSet::new(names) };
    Ok(Change::Position(set.map_err(|_| "it names no set of collections")?, position))
}

pub(super) fn seen(seen: &Seen) -> Vec<u8> {
    let mut data = Vec::new();
    for at in seen.positions() {
        put_position(&mut data, *at);
    }
    seal(b"seen", data)
}

pub(super) fn read_seen(row: &[u8]) -> Result<Change, Wrong> {
    let mut input = unseal(b"seen", row)?;
    let mut positions = Vec::new();
    while !input.0.is_empty() {
        positions.push(input.position()?);
    }
    Ok(Change::Seen(Seen::new(positions)))
}
