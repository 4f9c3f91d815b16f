//! Push ack: relay to client, what became of each block of a push (SPEC.md 7.8).

use super::list::{Before, Item, List};
use super::{DecodeInput, Extensions, Failure, fields};
use crate::error::BuildError;
use crate::limits::MAX_BLOCKS;
use crate::registry::ErrorCode;
use crate::wire::parse::{At, Res, fail, u8, u16, u32, u64};
use crate::wire::{Position, Sink, seq};

/// The answer to a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushAck<'a> {
    /// One entry for each block of the push, in order: 1 to 1,024 (MSG-28).
    pub entries: List<'a, PushEntry, MAX_BLOCKS>,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> PushAck<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, entries) = List::decode(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { entries, extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        self.entries.encode(sink);
        self.extensions.encode(sink);
    }
}

/// What became of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PushEntry {
    /// It is durable.
    Accepted(Accepted),
    /// It was not taken and will not be.
    Refused {
        /// Why.
        code: ErrorCode,
        /// Which operation of the block, counted from 0.
        index: u16,
    },
    /// It was not looked at; push it again. After such an entry only such entries follow (MSG-31).
    Later {
        /// Milliseconds to wait.
        wait: u32,
    },
}

/// Where an accepted block stands in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accepted {
    first_seq: u64,
    last: Position,
}

impl Accepted {
    /// From `first_seq` up to and including `last`.
    ///
    /// # Errors
    /// `BAD_POSITION` unless the epoch is not 0 and 1 <= first seq <= last seq (MSG-30).
    pub const fn new(first_seq: u64, last: Position) -> Result<Self, BuildError> {
        if last.epoch() == 0 || first_seq == 0 || first_seq > last.seq() {
            return Err(BuildError::new(ErrorCode::BAD_POSITION, PushEntry::FIELD));
        }
        Ok(Self { first_seq, last })
    }

    /// The seq of the block's first operation.
    #[must_use]
    pub const fn first_seq(self) -> u64 {
        self.first_seq
    }

    /// The position of the block's last operation.
    #[must_use]
    pub const fn last(self) -> Position {
        self.last
    }

    fn decode(input: &[u8]) -> Res<'_, Self> {
        //= MSG-30
        let (rest, epoch) = u64(PushEntry::FIELD)(input)?;
        if epoch == 0 {
            return fail(input, ErrorCode::BAD_POSITION, PushEntry::FIELD);
        }
        let (last_at, first_seq) = seq(PushEntry::FIELD)(rest)?;
        let (rest, last_seq) = u64(PushEntry::FIELD)(last_at)?;
        match Position::new(epoch, last_seq).and_then(|last| Self::new(first_seq, last)) {
            Ok(this) => Ok((rest, this)),
            Err(error) => fail(last_at, error.code, PushEntry::FIELD),
        }
    }
}

const ACCEPTED: u8 = 1;
const REFUSED: u8 = 2;
const LATER: u8 = 3;

//= MSG-28
impl<'a> Item<'a> for PushEntry {
    const FIELD: &'static str = "entries";
    const MIN: usize = 1;

    fn decode(input: &'a [u8], before: &Before<'a, Self>) -> Res<'a, Self> {
        let (rest, status) = u8(Self::FIELD)(input)?;
        match status {
            ACCEPTED => {
                not_after_later(input, before)?;
                let (rest, accepted) = Accepted::decode(rest)?;
                Ok((rest, Self::Accepted(accepted)))
            }
            REFUSED => {
                not_after_later(input, before)?;
                let (rest, code) = u16(Self::FIELD)(rest)?;
                let (rest, index) = u16(Self::FIELD)(rest)?;
                Ok((rest, Self::Refused { code: ErrorCode(code), index }))
            }
            LATER => {
                let (rest, wait) = u32(Self::FIELD)(rest)?;
                Ok((rest, Self::Later { wait }))
            }
            //= MSG-29
            _ => fail(input, ErrorCode::UNKNOWN_CODE, Self::FIELD),
        }
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        match *self {
            Self::Accepted(accepted) => {
                sink.put_u8(ACCEPTED);
                sink.put_u64(accepted.last.epoch());
                sink.put_u64(accepted.first_seq);
                sink.put_u64(accepted.last.seq());
            }
            Self::Refused { code, index } => {
                sink.put_u8(REFUSED);
                sink.put_u16(code.0);
                sink.put_u16(index);
            }
            Self::Later { wait } => {
                sink.put_u8(LATER);
                sink.put_u32(wait);
            }
        }
    }

    fn check(&self, at: &'a [u8], before: &Before<'a, Self>) -> Result<(), nom::Err<At<'a>>> {
        match self {
            Self::Later { .. } => Ok(()),
            Self::Accepted(_) | Self::Refused { .. } => not_after_later(at, before),
        }
    }
}

//= MSG-31
fn not_after_later<'a>(at: &'a [u8], before: &Before<'a, PushEntry>) -> Result<(), Failure<'a>> {
    match before.last {
        Some(PushEntry::Later { .. }) => fail(at, ErrorCode::OUT_OF_ORDER, PushEntry::FIELD),
        Some(PushEntry::Accepted(_) | PushEntry::Refused { .. }) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::{fault, round_trip};
    use crate::registry::MessageType;

    #[test]
    fn round_trips() {
        let accepted = Accepted::new(1, Position::new(9, 1).unwrap()).unwrap();
        let entries = [
            PushEntry::Accepted(accepted),
            PushEntry::Refused { code: ErrorCode::QUOTA_EXCEEDED, index: 3 },
            PushEntry::Later { wait: 10 },
            PushEntry::Later { wait: 0 },
        ];
        let entries = List::new(&entries).unwrap();
        let bytes = round_trip(&Message::PushAck(PushAck { entries, extensions: Extensions::EMPTY }), 1);
        assert_eq!(bytes.len(), 2 + 25 + 5 + 5 + 5 + 1);
    }

    //= MSG-28 test
    //= MSG-29 test
    #[test]
    fn entries_are_some_and_listed() {
        let fault = |bytes: &[u8]| fault(MessageType::PUSH_ACK, bytes);
        assert_eq!(fault(&[0, 0]), (ErrorCode::EMPTY, 0));
        assert_eq!(fault(&[4, 1]), (ErrorCode::TOO_MANY, 0));
        assert_eq!(fault(&[0, 1, 0]), (ErrorCode::UNKNOWN_CODE, 2));
        assert_eq!(fault(&[0, 1, 4]), (ErrorCode::UNKNOWN_CODE, 2));
        assert_eq!(List::<PushEntry, 9>::new(&[]).unwrap_err().code, ErrorCode::EMPTY);
    }

    //= MSG-30 test
    #[test]
    fn accepted_blocks_have_a_place() {
        let fault = |epoch: u64, first: u64, last: u64| {
            let numbers = [epoch, first, last].map(u64::to_be_bytes).concat();
            fault(MessageType::PUSH_ACK, &[&[0, 1, 1], &numbers[..], &[0]].concat())
        };
        assert_eq!(fault(0, 0, 0), (ErrorCode::BAD_POSITION, 3));
        assert_eq!(fault(1, 0, 0), (ErrorCode::BAD_POSITION, 11));
        assert_eq!(fault(1, 1 << 53, 0), (ErrorCode::BAD_POSITION, 11));
        assert_eq!(fault(1, 2, 1), (ErrorCode::BAD_POSITION, 19));
        assert_eq!(fault(1, 2, 1 << 53), (ErrorCode::BAD_POSITION, 19));
        assert!(Accepted::new(2, Position::new(1, 1).unwrap()).is_err());
    }

    //= MSG-31 test
    #[test]
    fn after_later_comes_later() {
        let found = fault(MessageType::PUSH_ACK, &[0, 2, 3, 0, 0, 0, 1, 2]);
        assert_eq!(found, (ErrorCode::OUT_OF_ORDER, 7));
        let refused = PushEntry::Refused { code: ErrorCode::REFUSED, index: 0 };
        let entries = [PushEntry::Later { wait: 1 }, refused];
        assert_eq!(List::<PushEntry, 9>::new(&entries).unwrap_err().code, ErrorCode::OUT_OF_ORDER);
    }
}
