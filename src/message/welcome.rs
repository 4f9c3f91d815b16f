//! Welcome: relay to client, the answer to handshake (SPEC.md 7.2).

use core::num::NonZeroU64;

use super::checked::{LastNodeSeq, small_code, small_codes};
use super::list::{Before, Item, List};
use super::{CapabilityList, DecodeInput, Extensions, Failure, LimitList, fields};
use crate::error::BuildError;
use crate::limits::{MAX_EPOCHS, MAX_HEARTBEAT, MAX_SEQ, MIN_HEARTBEAT};
use crate::registry::ErrorCode;
use crate::wire::parse::{At, Res, fail, u16, u32, u64};
use crate::wire::{Position, Sink, position};

/// The relay takes the client in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome<'a> {
    /// The chosen version.
    pub version: u16,
    /// Those agreed on, in their odd form.
    pub capabilities: CapabilityList<'a>,
    /// The current epoch, then those that the handshake named and the relay knows, newest first.
    pub epochs: List<'a, EpochStart, MAX_EPOCHS>,
    /// How far the two histories are one.
    pub agreed: Position,
    /// What becomes of what the relay does not hold.
    pub restore_mode: RestoreMode,
    /// The last operation that the relay took from this node.
    pub mark: Mark,
    /// End of the log.
    pub head: Position,
    /// What the relay takes, ascending by id (MSG-16).
    pub limits: LimitList<'a>,
    /// How often to send something.
    pub heartbeat: Heartbeat,
    /// Unix time in milliseconds.
    pub relay_time: u64,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> Welcome<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, version) = u16("version")(rest)?;
            let (rest, capabilities) = List::decode(rest)?;
            let (rest, epochs) = List::decode(rest)?;
            let (rest, agreed) = position("agreed")(rest)?;
            //= MSG-18
            let (rest, restore_mode) = small_code(RestoreMode::from_code, "restore mode")(rest)?;
            let (rest, mark) = Mark::decode(rest)?;
            let (rest, head) = position("head")(rest)?;
            let (rest, limits) = List::decode(rest)?;
            let (rest, heartbeat) = Heartbeat::decode(rest)?;
            let (rest, relay_time) = u64("relay time")(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            let this = Self {
                version,
                capabilities,
                epochs,
                agreed,
                restore_mode,
                mark,
                head,
                limits,
                heartbeat,
                relay_time,
                extensions,
            };
            Ok((rest, this))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u16(self.version);
        self.capabilities.encode(sink);
        self.epochs.encode(sink);
        self.agreed.encode(sink);
        sink.put_u8(self.restore_mode.code());
        sink.put_u64(self.mark.node_seq.get());
        sink.put_u32(self.mark.check);
        self.head.encode(sink);
        self.limits.encode(sink);
        sink.put_u32(self.heartbeat.0);
        sink.put_u64(self.relay_time);
        self.extensions.encode(sink);
    }
}

small_codes! {
    /// What becomes of operations that the client has and the relay does not (MSG-18).
    pub RestoreMode {
        /// The client pushes them again.
        Keep = 1,
        /// The client throws them away.
        Discard = 2,
    }
}

/// An epoch and where it begins in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochStart {
    epoch: NonZeroU64,
    begins: u64,
}

impl EpochStart {
    /// `epoch` begins after operation `begins` of the log.
    ///
    /// # Errors
    /// `BAD_POSITION` unless `begins` is below 2^53 (MSG-17).
    pub const fn new(epoch: NonZeroU64, begins: u64) -> Result<Self, BuildError> {
        if begins > MAX_SEQ {
            return Err(BuildError::new(ErrorCode::BAD_POSITION, Self::FIELD));
        }
        Ok(Self { epoch, begins })
    }

    /// The epoch.
    #[must_use]
    pub const fn epoch(self) -> NonZeroU64 {
        self.epoch
    }

    /// The seq after which it begins.
    #[must_use]
    pub const fn begins(self) -> u64 {
        self.begins
    }

    fn check_epoch<'a>(
        at: &'a [u8],
        epoch: NonZeroU64,
        before: &Before<'a, Self>,
    ) -> Result<(), Failure<'a>> {
        if before.all().any(|other| other.epoch == epoch) {
            return fail(at, ErrorCode::DUPLICATE, Self::FIELD);
        }
        Ok(())
    }

    fn check_begins<'a>(self, at: &'a [u8], before: &Before<'a, Self>) -> Result<(), Failure<'a>> {
        if before.last.is_some_and(|last| self.begins > last.begins) {
            return fail(at, ErrorCode::OUT_OF_ORDER, Self::FIELD);
        }
        Ok(())
    }
}

//= MSG-17
impl<'a> Item<'a> for EpochStart {
    const FIELD: &'static str = "epochs";
    const MIN: usize = 1;

    fn decode(input: &'a [u8], before: &Before<'a, Self>) -> Res<'a, Self> {
        let (begins_at, epoch) = u64(Self::FIELD)(input)?;
        let Some(epoch) = NonZeroU64::new(epoch) else {
            return fail(input, ErrorCode::BAD_POSITION, Self::FIELD);
        };
        Self::check_epoch(input, epoch, before)?;
        let (rest, begins) = u64(Self::FIELD)(begins_at)?;
        let this = match Self::new(epoch, begins) {
            Ok(this) => this,
            Err(error) => return fail(begins_at, error.code, Self::FIELD),
        };
        this.check_begins(begins_at, before)?;
        Ok((rest, this))
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u64(self.epoch.get());
        sink.put_u64(self.begins);
    }

    fn check(&self, at: &'a [u8], before: &Before<'a, Self>) -> Result<(), nom::Err<At<'a>>> {
        Self::check_epoch(at, self.epoch, before)?;
        self.check_begins(at, before)
    }
}

/// The last operation that a relay took from a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    node_seq: LastNodeSeq,
    check: u32,
}

impl Mark {
    /// The relay took nothing yet.
    pub const NONE: Self = Self { node_seq: LastNodeSeq::NONE, check: 0 };

    /// The operation of number `node_seq`, which `check` closes in row layout.
    ///
    /// # Errors
    /// `NON_CANONICAL` if there is no operation and `check` is not 0 (MSG-19).
    pub const fn new(node_seq: LastNodeSeq, check: u32) -> Result<Self, BuildError> {
        if node_seq.get() == 0 && check != 0 {
            return Err(BuildError::new(ErrorCode::NON_CANONICAL, "check"));
        }
        Ok(Self { node_seq, check })
    }

    /// Its number.
    #[must_use]
    pub const fn node_seq(self) -> LastNodeSeq {
        self.node_seq
    }

    /// The CRC-32 that closes it; 0 if there is none.
    #[must_use]
    pub const fn check(self) -> u32 {
        self.check
    }

    fn decode(input: &[u8]) -> Res<'_, Self> {
        //= MSG-19
        let (check_at, node_seq) = LastNodeSeq::decode("mark")(input)?;
        let (rest, check) = u32("check")(check_at)?;
        match Self::new(node_seq, check) {
            Ok(this) => Ok((rest, this)),
            Err(error) => fail(check_at, error.code, error.field),
        }
    }
}

/// A heartbeat interval: 1,000 to 3,600,000 milliseconds (MSG-20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Heartbeat(u32);

impl Heartbeat {
    /// Half a minute: middleboxes tend to forget connections after one.
    pub const DEFAULT: Self = Self(30_000);

    /// An interval of that many milliseconds.
    ///
    /// # Errors
    /// `OUT_OF_RANGE` (MSG-20).
    pub const fn new(milliseconds: u32) -> Result<Self, BuildError> {
        if milliseconds < MIN_HEARTBEAT || milliseconds > MAX_HEARTBEAT {
            return Err(BuildError::new(ErrorCode::OUT_OF_RANGE, "heartbeat interval"));
        }
        Ok(Self(milliseconds))
    }

    /// Milliseconds.
    #[must_use]
    pub const fn milliseconds(self) -> u32 {
        self.0
    }

    fn decode(input: &[u8]) -> Res<'_, Self> {
        let (rest, milliseconds) = u32("heartbeat interval")(input)?;
        //= MSG-20
        match Self::new(milliseconds) {
            Ok(this) => Ok((rest, this)),
            Err(error) => fail(input, error.code, error.field),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::limits::MAX_NODE_SEQ;
    use crate::message::testing::{fault, round_trip};
    use crate::message::{Limit, Message};
    use crate::registry::{Capability, LimitId, MessageType};

    fn start(epoch: u64, begins: u64) -> EpochStart {
        EpochStart::new(NonZeroU64::new(epoch).unwrap(), begins).unwrap()
    }

    fn welcome(epochs: &[EpochStart], mark: Mark) -> Vec<u8> {
        let limits = [Limit { id: LimitId::ROWS, value: 5 }];
        let welcome = Welcome {
            version: 0x0100,
            capabilities: List::new(&[Capability::CRDT, Capability::QUERY]).unwrap(),
            epochs: List::new(epochs).unwrap(),
            agreed: Position::new(7, 3).unwrap(),
            restore_mode: RestoreMode::Discard,
            mark,
            head: Position::new(7, MAX_SEQ).unwrap(),
            limits: List::new(&limits).unwrap(),
            heartbeat: Heartbeat::new(30_000).unwrap(),
            relay_time: 1_700_000_000_000,
            extensions: Extensions::EMPTY,
        };
        round_trip(&Message::Welcome(welcome), 0)
    }

    /// Where the fields stand in a welcome with two capabilities and one epoch.
    const EPOCHS: usize = 7;
    const RESTORE_MODE: usize = 40;
    const MARK: usize = 41;
    const HEARTBEAT: usize = 80;

    /// Such a welcome with other bytes from `at` on, and what is wrong with it, from there.
    fn from(at: usize, bytes: &[u8]) -> (ErrorCode, usize) {
        let least = welcome(&[start(7, 0)], Mark::NONE);
        let (code, offset) = fault(MessageType::WELCOME, &[&least[..at], bytes].concat());
        (code, (offset as usize).wrapping_sub(at))
    }

    #[test]
    fn round_trips() {
        let mark = Mark::new(LastNodeSeq::new(MAX_NODE_SEQ).unwrap(), 5).unwrap();
        let epochs: Vec<_> = (1..=17).rev().map(|epoch| start(epoch, MAX_SEQ.min(epoch / 2))).collect();
        welcome(&epochs, mark);
    }

    //= MSG-17 test
    #[test]
    fn epochs_descend() {
        let epochs = |all: &[(u64, u64)]| {
            let count = u8::try_from(all.len()).unwrap();
            let bytes = all.iter().flat_map(|(epoch, begins)| [*epoch, *begins]).flat_map(u64::to_be_bytes);
            from(EPOCHS, &core::iter::once(count).chain(bytes).collect::<Vec<_>>())
        };
        assert_eq!(epochs(&[]), (ErrorCode::EMPTY, 0));
        assert_eq!(from(EPOCHS, &[18]), (ErrorCode::TOO_MANY, 0));
        assert_eq!(epochs(&[(0, 0)]), (ErrorCode::BAD_POSITION, 1));
        assert_eq!(epochs(&[(1, 1 << 53)]), (ErrorCode::BAD_POSITION, 9));
        assert_eq!(epochs(&[(1, 9), (2, 9), (1, 1 << 53)]), (ErrorCode::DUPLICATE, 33));
        assert_eq!(epochs(&[(1, 9), (2, 10)]), (ErrorCode::OUT_OF_ORDER, 25));
        let code = |all: &[EpochStart]| List::<EpochStart, 17>::new(all).unwrap_err().code;
        assert_eq!(code(&[]), ErrorCode::EMPTY);
        assert_eq!(code(&[start(1, 2), start(2, 1), start(1, 0)]), ErrorCode::DUPLICATE);
        assert_eq!(code(&[start(1, 2), start(2, 3)]), ErrorCode::OUT_OF_ORDER);
        assert!(EpochStart::new(NonZeroU64::MIN, MAX_SEQ + 1).is_err());
    }

    //= MSG-18 test
    #[test]
    fn restore_modes_are_listed() {
        assert_eq!(from(RESTORE_MODE, &[0]), (ErrorCode::UNKNOWN_CODE, 0));
        assert_eq!(from(RESTORE_MODE, &[3]), (ErrorCode::UNKNOWN_CODE, 0));
    }

    //= MSG-19 test
    #[test]
    fn no_mark_no_check() {
        assert_eq!(from(MARK, &[0, 1, 0, 0, 0, 0, 0, 0]), (ErrorCode::BAD_NODE_SEQ, 0));
        assert_eq!(from(MARK, &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]), (ErrorCode::NON_CANONICAL, 8));
        assert_eq!(Mark::new(LastNodeSeq::NONE, 1).unwrap_err().code, ErrorCode::NON_CANONICAL);
    }

    //= MSG-20 test
    #[test]
    fn heartbeats_have_a_range() {
        for (milliseconds, good) in [(999, false), (1_000, true), (3_600_000, true), (3_600_001, false)] {
            assert_eq!(Heartbeat::new(milliseconds).is_ok(), good);
            let (code, at) = from(HEARTBEAT, &milliseconds.to_be_bytes());
            assert_eq!((code == ErrorCode::OUT_OF_RANGE) && at == 0, !good);
        }
    }
}
