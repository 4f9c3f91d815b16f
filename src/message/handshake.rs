//! Handshake: client to relay, first frame (SPEC.md 7.1).

use core::fmt;

use super::checked::{Data, DatabaseRef, LastNodeSeq, put_text8};
use super::list::{Before, Item, List};
use super::{Authentication, DecodeInput, Extensions, Failure, fields};
use crate::error::BuildError;
use crate::limits::{MAX_CAPABILITIES, MAX_LIMITS, MAX_PROTOCOL_TEXT, MAX_PUBLIC_KEY, MAX_SEEN};
use crate::registry::{Capability, ErrorCode, LimitId};
use crate::wire::parse::{At, Res, array, ascending, fail, text8, u16, u64};
use crate::wire::{NodeId, NodeKey, Position, Sink, node, position};

/// The first frame of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake<'a> {
    /// What the client speaks, in words.
    pub protocol: ProtocolText<'a>,
    /// What the client speaks, in numbers.
    pub versions: VersionRange,
    /// The database to sync.
    pub database: DatabaseRef<'a>,
    /// Who the client is.
    pub node: NodeId,
    /// The proof of that.
    pub node_key: NodeKey,
    /// The highest node_seq that this node ever gave to an operation.
    pub highest_given_out: LastNodeSeq,
    /// For each epoch the highest position heard of by delivery or ack, newest first (MSG-12).
    pub seen: List<'a, Position, MAX_SEEN>,
    /// Empty until encryption is specified.
    pub public_key: Data<'a, MAX_PUBLIC_KEY>,
    /// What the client can, ascending (MSG-13).
    pub capabilities: CapabilityList<'a>,
    /// Who the client acts for.
    pub authentication: Authentication<'a>,
    /// What the client takes, ascending by id (MSG-16).
    pub limits: LimitList<'a>,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> Handshake<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, protocol) = ProtocolText::decode(rest)?;
            let (rest, versions) = VersionRange::decode(rest)?;
            let (rest, database) = DatabaseRef::decode(rest)?;
            //= MSG-11
            let (rest, node) = node("node")(rest)?;
            let (rest, node_key) = array("node key")(rest)?;
            let (rest, highest_given_out) = LastNodeSeq::decode("highest given out")(rest)?;
            let (rest, seen) = List::decode(rest)?;
            //= MSG-14
            let (rest, public_key) = Data::decode("public key")(rest)?;
            let (rest, capabilities) = List::decode(rest)?;
            let (rest, authentication) = Authentication::decode(rest)?;
            let (rest, limits) = List::decode(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            let this = Self {
                protocol,
                versions,
                database,
                node,
                node_key: NodeKey(*node_key),
                highest_given_out,
                seen,
                public_key,
                capabilities,
                authentication,
                limits,
                extensions,
            };
            Ok((rest, this))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        put_text8(sink, self.protocol.0);
        sink.put_u16(self.versions.min);
        sink.put_u16(self.versions.max);
        self.database.encode(sink);
        sink.put(self.node.as_bytes());
        sink.put(&self.node_key.0);
        sink.put_u64(self.highest_given_out.get());
        self.seen.encode(sink);
        self.public_key.encode(sink);
        self.capabilities.encode(sink);
        self.authentication.encode(sink);
        self.limits.encode(sink);
        self.extensions.encode(sink);
    }
}

/// What a client speaks, in words: `blazedb-relay/` and a version, at most 32 bytes (MSG-8).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ProtocolText<'a>(&'a str);

impl<'a> ProtocolText<'a> {
    const FIELD: &'static str = "protocol";
    const BEGINS: &'static str = "blazedb-relay/";

    /// That of this version.
    pub const V1_0: Self = Self("blazedb-relay/1.0");

    /// A protocol text.
    ///
    /// # Errors
    /// `TOO_LONG` over 32 bytes, `BAD_MAGIC` unless it begins with `blazedb-relay/` (MSG-8).
    pub fn new(text: &'a str) -> Result<Self, BuildError> {
        if text.len() > MAX_PROTOCOL_TEXT {
            return Err(BuildError::new(ErrorCode::TOO_LONG, Self::FIELD));
        }
        if !text.starts_with(Self::BEGINS) {
            return Err(BuildError::new(ErrorCode::BAD_MAGIC, Self::FIELD));
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    fn decode(input: &'a [u8]) -> Res<'a, Self> {
        //= MSG-8
        let (rest, text) = text8(0..=MAX_PROTOCOL_TEXT, Self::FIELD)(input)?;
        match Self::new(text) {
            Ok(this) => Ok((rest, this)),
            Err(error) => fail(input.get(1..).unwrap_or_default(), error.code, Self::FIELD),
        }
    }
}

impl fmt::Debug for ProtocolText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

/// The lowest and highest version that a client speaks: major in the high byte, minor in the low.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VersionRange {
    min: u16,
    max: u16,
}

impl VersionRange {
    /// Version 1.0 and no other.
    pub const V1_0: Self = Self { min: 0x0100, max: 0x0100 };

    /// From `min` to `max`, both included.
    ///
    /// # Errors
    /// `OUT_OF_ORDER` if `min` is above `max` (MSG-9).
    pub const fn new(min: u16, max: u16) -> Result<Self, BuildError> {
        if min > max {
            return Err(BuildError::new(ErrorCode::OUT_OF_ORDER, "max version"));
        }
        Ok(Self { min, max })
    }

    /// The lowest.
    #[must_use]
    pub const fn min(self) -> u16 {
        self.min
    }

    /// The highest.
    #[must_use]
    pub const fn max(self) -> u16 {
        self.max
    }

    /// True if `version` is one of them.
    #[must_use]
    pub const fn contains(self, version: u16) -> bool {
        self.min <= version && version <= self.max
    }

    fn decode(input: &[u8]) -> Res<'_, Self> {
        let (max_at, min) = u16("min version")(input)?;
        let (rest, max) = u16("max version")(max_at)?;
        //= MSG-9
        match Self::new(min, max) {
            Ok(this) => Ok((rest, this)),
            Err(error) => fail(max_at, error.code, error.field),
        }
    }
}

//= MSG-12
impl<'a> Item<'a> for Position {
    const FIELD: &'static str = "seen";

    fn decode(input: &'a [u8], before: &Before<'a, Self>) -> Res<'a, Self> {
        let (rest, this) = position(Self::FIELD)(input)?;
        this.check(input, before)?;
        Ok((rest, this))
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        Self::encode(*self, sink);
    }

    fn check(&self, at: &'a [u8], before: &Before<'a, Self>) -> Result<(), nom::Err<At<'a>>> {
        if self.epoch() == 0 {
            return fail(at, ErrorCode::BAD_POSITION, Self::FIELD);
        }
        if before.all().any(|other| other.epoch() == self.epoch()) {
            return fail(at, ErrorCode::DUPLICATE, Self::FIELD);
        }
        Ok(())
    }
}

/// Capabilities in either form, ascending (MSG-13).
pub type CapabilityList<'a> = List<'a, Capability, MAX_CAPABILITIES>;

//= MSG-13
impl<'a> Item<'a> for Capability {
    const FIELD: &'static str = "capabilities";

    fn decode(input: &'a [u8], before: &Before<'a, Self>) -> Res<'a, Self> {
        let (rest, code) = u16(Self::FIELD)(input)?;
        let this = Self(code);
        this.check(input, before)?;
        Ok((rest, this))
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u16(self.0);
    }

    fn check(&self, at: &'a [u8], before: &Before<'a, Self>) -> Result<(), nom::Err<At<'a>>> {
        ascending(at, before.last.as_ref(), self, Self::FIELD)
    }
}

/// Limits, ascending by id (MSG-16).
pub type LimitList<'a> = List<'a, Limit, MAX_LIMITS>;

/// What one side tells the other that it takes (SPEC.md 9.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// Of what.
    pub id: LimitId,
    /// How much, in the unit of SPEC.md 18.4.
    pub value: u64,
}

//= MSG-16
impl<'a> Item<'a> for Limit {
    const FIELD: &'static str = "limits";

    fn decode(input: &'a [u8], before: &Before<'a, Self>) -> Res<'a, Self> {
        let (rest, id) = u16(Self::FIELD)(input)?;
        // Ordered by the id alone, so the value can be checked for later.
        Self { id: LimitId(id), value: 0 }.check(input, before)?;
        let (rest, value) = u64(Self::FIELD)(rest)?;
        Ok((rest, Self { id: LimitId(id), value }))
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u16(self.id.0);
        sink.put_u64(self.value);
    }

    fn check(&self, at: &'a [u8], before: &Before<'a, Self>) -> Result<(), nom::Err<At<'a>>> {
        ascending(at, before.last.map(|last| last.id).as_ref(), &self.id, Self::FIELD)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use uuid::Uuid;

    use super::*;
    use crate::limits::MAX_NODE_SEQ;
    use crate::message::testing::{fault, round_trip};
    use crate::message::{Extension, Message};
    use crate::registry::MessageType;
    use crate::wire::DatabaseName;

    /// Where the fields of [`least`] stand.
    const VERSIONS: usize = 18;
    const DATABASE: usize = 22;
    const NODE: usize = 24;
    const HIGHEST: usize = 56;
    const SEEN: usize = 64;
    const PUBLIC_KEY: usize = 65;
    const CAPABILITIES: usize = 67;
    const LIMITS: usize = 72;

    fn with_least<T>(see: impl FnOnce(&Handshake<'_>) -> T) -> T {
        let database = DatabaseName::new("d").unwrap();
        see(&Handshake {
            protocol: ProtocolText::V1_0,
            versions: VersionRange::V1_0,
            database: (&database).into(),
            node: NodeId::new(Uuid::from_u128(1)).unwrap(),
            node_key: NodeKey([7; 16]),
            highest_given_out: LastNodeSeq::NONE,
            seen: List::EMPTY,
            public_key: Data::EMPTY,
            capabilities: List::EMPTY,
            authentication: Authentication::None,
            limits: List::EMPTY,
            extensions: Extensions::EMPTY,
        })
    }

    fn least() -> Vec<u8> {
        with_least(|handshake| round_trip(&Message::Handshake(*handshake), 0))
    }

    /// The least handshake with other bytes from `at` on, and what is wrong with it, from there.
    fn from(at: usize, bytes: &[u8]) -> (ErrorCode, usize) {
        let (code, offset) = fault(MessageType::HANDSHAKE, &[&least()[..at], bytes].concat());
        (code, (offset as usize).wrapping_sub(at))
    }

    #[test]
    fn round_trips() {
        assert_eq!(least().len(), 74);
        let seen: Vec<_> = (1..=16).rev().map(|epoch| Position::new(epoch, epoch).unwrap()).collect();
        let capabilities: Vec<_> = (0..64).map(Capability).collect();
        let limits: Vec<_> = (0..32).map(|id| Limit { id: LimitId(id), value: u64::MAX }).collect();
        let data = Data::new(&[9; 1_024]).unwrap();
        let extensions: Vec<_> = (0..16).map(|n| Extension::new(2 * n + 1, data).unwrap()).collect();
        with_least(|least| {
            let handshake = Handshake {
                protocol: ProtocolText::new("blazedb-relay/1.7 and much more.").unwrap(),
                versions: VersionRange::new(0x0100, 0x0107).unwrap(),
                highest_given_out: LastNodeSeq::new(MAX_NODE_SEQ).unwrap(),
                seen: List::new(&seen).unwrap(),
                public_key: Data::new(&[1; MAX_PUBLIC_KEY]).unwrap(),
                capabilities: List::new(&capabilities).unwrap(),
                authentication: Authentication::bearer(Data::new(&[b't'; 100]).unwrap()),
                limits: List::new(&limits).unwrap(),
                extensions: List::new(&extensions[..2]).unwrap(),
                ..*least
            };
            round_trip(&Message::Handshake(handshake), 0);
        });
    }

    //= MSG-8 test
    #[test]
    fn protocols_are_named() {
        assert_eq!(from(0, &[33]), (ErrorCode::TOO_LONG, 0));
        assert_eq!(from(0, b"\x00"), (ErrorCode::BAD_MAGIC, 1));
        assert_eq!(from(0, b"\x0dblazedb-relay"), (ErrorCode::BAD_MAGIC, 1));
        assert_eq!(ProtocolText::new("http/1.1").unwrap_err().code, ErrorCode::BAD_MAGIC);
        assert_eq!(ProtocolText::new(&"x".repeat(33)).unwrap_err().code, ErrorCode::TOO_LONG);
    }

    //= MSG-9 test
    #[test]
    fn versions_ascend() {
        assert_eq!(from(VERSIONS, &[1, 1, 1, 0]), (ErrorCode::OUT_OF_ORDER, 2));
        assert!(VersionRange::new(2, 1).is_err());
        assert!(VersionRange::V1_0.contains(0x0100) && !VersionRange::V1_0.contains(0x0101));
    }

    //= MSG-10 test
    #[test]
    fn databases_are_named() {
        assert_eq!(from(DATABASE, &[0]), (ErrorCode::EMPTY, 0));
        assert_eq!(from(DATABASE, &[65]), (ErrorCode::TOO_LONG, 0));
        assert_eq!(from(DATABASE, b"\x02.."), (ErrorCode::BAD_NAME, 1));
    }

    //= MSG-11 test
    #[test]
    fn nodes_are_not_nil() {
        assert_eq!(from(NODE, &[0; 16]), (ErrorCode::BAD_NODE, 0));
        assert_eq!(from(HIGHEST, &[0, 1, 0, 0, 0, 0, 0, 0]), (ErrorCode::BAD_NODE_SEQ, 0));
    }

    //= MSG-12 test
    #[test]
    fn epochs_are_seen_once() {
        let position = |epoch: u64| [epoch, 0].map(u64::to_be_bytes).concat();
        assert_eq!(from(SEEN, &[17]), (ErrorCode::TOO_MANY, 0));
        assert_eq!(from(SEEN, &[&[1], &position(0)[..]].concat()), (ErrorCode::BAD_POSITION, 1));
        let three = [position(2), position(1), position(2)].concat();
        assert_eq!(from(SEEN, &[&[3], &three[..]].concat()), (ErrorCode::DUPLICATE, 33));
        let twice = [2, 1, 2].map(|epoch| Position::new(epoch, 0).unwrap());
        assert_eq!(List::<Position, 3>::new(&twice).unwrap_err().code, ErrorCode::DUPLICATE);
        assert_eq!(List::<Position, 3>::new(&[Position::START]).unwrap_err().code, ErrorCode::BAD_POSITION);
    }

    //= MSG-13 test
    #[test]
    fn capabilities_ascend() {
        assert_eq!(from(CAPABILITIES, &[65]), (ErrorCode::TOO_MANY, 0));
        assert_eq!(from(CAPABILITIES, &[2, 0, 1, 0, 1]), (ErrorCode::DUPLICATE, 3));
        assert_eq!(from(CAPABILITIES, &[2, 0, 2, 0, 1]), (ErrorCode::OUT_OF_ORDER, 3));
    }

    //= MSG-14 test
    #[test]
    fn keys_are_capped() {
        assert_eq!(from(PUBLIC_KEY, &[4, 1]), (ErrorCode::TOO_LONG, 0));
    }

    //= MSG-16 test
    #[test]
    fn limits_ascend() {
        let limit = [0, 5, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(from(LIMITS, &[33]), (ErrorCode::TOO_MANY, 0));
        assert_eq!(from(LIMITS, &[&[2], &limit[..], &[0, 5]].concat()), (ErrorCode::DUPLICATE, 11));
        assert_eq!(from(LIMITS, &[&[2], &limit[..], &[0, 4]].concat()), (ErrorCode::OUT_OF_ORDER, 11));
        assert_eq!(from(LIMITS, &[&[2], &limit[..], &[0, 7]].concat()), (ErrorCode::TRUNCATED, 13));
    }
}
