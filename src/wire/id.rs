//! Identifiers: nodes, timestamps, positions and the ids of operations (SPEC.md 3.2 to 3.4).

use core::fmt;

use uuid::Uuid;

use super::parse::{self, Res, array, fail, u64};
use super::sink::Sink;
use crate::error::BuildError;
use crate::limits::{MAX_COUNTER, MAX_NODE_SEQ, MAX_SEQ};
use crate::registry::ErrorCode;

/// One installation of one app on one device. Never nil.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(Uuid);

impl NodeId {
    /// The node of that UUID.
    ///
    /// # Errors
    /// `BAD_NODE` for the nil UUID (OPS-2, OPS-3).
    pub const fn new(uuid: Uuid) -> Result<Self, BuildError> {
        if uuid.is_nil() { Err(BuildError::new(ErrorCode::BAD_NODE, "node")) } else { Ok(Self(uuid)) }
    }

    /// Its UUID.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }

    /// Its sixteen bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Sixteen random bytes, made with the node: whoever shows them owns it (SPEC.md 7.1).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct NodeKey(pub [u8; 16]);

impl fmt::Debug for NodeKey {
    // A key must not reach a log by way of a debug print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeKey(..)")
    }
}

/// The name of a write, for ever: a Lamport pair. Ordered by counter, then by the node's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    counter: u64,
    node: Uuid,
}

impl Timestamp {
    /// The pair (0, nil): smaller than every timestamp, and itself none.
    pub const NEVER: Self = Self { counter: 0, node: Uuid::nil() };

    /// The timestamp of a write.
    ///
    /// # Errors
    /// `BAD_TIMESTAMP` unless the counter is from 1 to 2^53 - 1 (OPS-1).
    pub const fn new(counter: u64, node: NodeId) -> Result<Self, BuildError> {
        if counter == 0 || counter > MAX_COUNTER {
            return Err(BuildError::new(ErrorCode::BAD_TIMESTAMP, "timestamp"));
        }
        Ok(Self { counter, node: node.0 })
    }

    /// The Lamport counter; 0 only in [`Self::NEVER`].
    #[must_use]
    pub const fn counter(self) -> u64 {
        self.counter
    }

    /// The node that made the write; nil only in [`Self::NEVER`].
    #[must_use]
    pub const fn node(self) -> Uuid {
        self.node
    }

    /// True for [`Self::NEVER`].
    #[must_use]
    pub const fn is_never(self) -> bool {
        self.counter == 0
    }

    /// A timestamp that was taken apart.
    #[inline]
    pub(crate) const fn from_parts(counter: u64, node: Uuid) -> Self {
        Self { counter, node }
    }

    pub(crate) fn encode(self, sink: &mut impl Sink) {
        sink.put_u64(self.counter);
        sink.put(self.node.as_bytes());
    }
}

/// How far a reader has come in a log: everything up to and including `seq`, as `epoch` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Position {
    epoch: u64,
    seq: u64,
}

impl Position {
    /// The start of every log.
    pub const START: Self = Self { epoch: 0, seq: 0 };

    /// A position.
    ///
    /// # Errors
    /// `BAD_POSITION` if the seq is not below 2^53 (MSG-1), or the epoch is 0 and the seq is not
    /// (MSG-2).
    pub const fn new(epoch: u64, seq: u64) -> Result<Self, BuildError> {
        if seq > MAX_SEQ || (epoch == 0 && seq != 0) {
            return Err(BuildError::new(ErrorCode::BAD_POSITION, "position"));
        }
        Ok(Self { epoch, seq })
    }

    /// The epoch; 0 only in [`Self::START`].
    #[must_use]
    pub const fn epoch(self) -> u64 {
        self.epoch
    }

    /// The number of the last operation that it includes.
    #[must_use]
    pub const fn seq(self) -> u64 {
        self.seq
    }

    pub(crate) fn encode(self, sink: &mut impl Sink) {
        sink.put_u64(self.epoch);
        sink.put_u64(self.seq);
    }
}

/// The id of operation `node_seq` of `node` (SPEC.md 3.4). Only the low 48 bits of `node_seq` count.
#[must_use]
pub const fn op_id(node: NodeId, node_seq: u64) -> Uuid {
    Uuid::from_bytes(op_id_bytes(node.as_bytes(), node_seq))
}

#[inline]
pub(crate) const fn op_id_bytes(node: &[u8; 16], node_seq: u64) -> [u8; 16] {
    let node = u128::from_be_bytes(*node);
    // Bytes 6 to 15 of the node, with the version nibble 8 in the high half of byte 6.
    let tail = (node & ((1 << 76) - 1)) | (8 << 76);
    (((node_seq & MAX_NODE_SEQ) as u128) << 80 | tail).to_be_bytes()
}

//= OPS-1
//= OPS-2
/// A timestamp that is not never.
#[inline]
pub(crate) fn timestamp<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, Timestamp> {
    move |input| {
        let (rest, counter) = u64(field)(input)?;
        if counter == 0 || counter > MAX_COUNTER {
            return fail(input, ErrorCode::BAD_TIMESTAMP, field);
        }
        let (rest, node) = node(field)(rest)?;
        Ok((rest, Timestamp { counter, node: node.0 }))
    }
}

//= VAL-13
/// A timestamp or never; anything else is `BAD_TIMESTAMP`.
pub(crate) fn timestamp_or_never<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, Timestamp> {
    move |input| {
        let (rest, counter) = u64(field)(input)?;
        let (rest, node) = parse::uuid(field)(rest)?;
        if counter > MAX_COUNTER || (counter == 0) != node.is_nil() {
            return fail(input, ErrorCode::BAD_TIMESTAMP, field);
        }
        Ok((rest, Timestamp { counter, node }))
    }
}

/// A node that is not nil (`BAD_NODE`).
#[inline]
pub(crate) fn node<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, NodeId> {
    move |input| {
        let (rest, bytes) = array::<16>(field)(input)?;
        if *bytes == [0; 16] {
            return fail(input, ErrorCode::BAD_NODE, field);
        }
        Ok((rest, NodeId(Uuid::from_bytes(*bytes))))
    }
}

/// A position (MSG-1, MSG-2).
pub(crate) fn position<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, Position> {
    move |input| {
        let (rest, epoch) = u64(field)(input)?;
        let (rest, seq) = u64(field)(rest)?;
        match Position::new(epoch, seq) {
            Ok(position) => Ok((rest, position)),
            //= MSG-1
            Err(error) if seq > MAX_SEQ => fail(input, error.code, "position seq"),
            //= MSG-2
            Err(error) => fail(input, error.code, field),
        }
    }
}

/// The seq of an operation in a log: 1 to 2^53 - 1 (`BAD_POSITION`).
pub(crate) fn seq<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, u64> {
    move |input| {
        let (rest, seq) = u64(field)(input)?;
        if seq == 0 || seq > MAX_SEQ {
            return fail(input, ErrorCode::BAD_POSITION, field);
        }
        Ok((rest, seq))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uuid(text: &str) -> Uuid {
        Uuid::parse_str(text).unwrap()
    }

    //= OPS-5 test
    #[test]
    fn id_is_derived_from_node_and_number() {
        let node = NodeId::new(uuid("550e8400-e29b-41d4-a716-446655440000")).unwrap();
        assert_eq!(op_id(node, 42), uuid("00000000-002a-81d4-a716-446655440000"));
        assert_eq!(op_id(node, MAX_NODE_SEQ), uuid("ffffffff-ffff-81d4-a716-446655440000"));
        let odd = NodeId::new(uuid("00000000-0000-f000-ffff-ffffffffffff")).unwrap();
        assert_eq!(op_id(odd, 1), uuid("00000000-0001-8000-ffff-ffffffffffff"));
    }

    #[test]
    fn timestamps_order_by_counter_then_node() {
        let [a, b] = ["00000000-0000-0000-0000-000000000001", "ff000000-0000-0000-0000-000000000000"]
            .map(|text| NodeId::new(uuid(text)).unwrap());
        let new = |counter, node| Timestamp::new(counter, node).unwrap();
        assert!(Timestamp::NEVER < new(1, a));
        assert!(new(1, a) < new(1, b));
        assert!(new(1, b) < new(2, a));
    }
}
