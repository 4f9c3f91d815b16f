//! Push: client to relay, blocks of operations (SPEC.md 7.7).

use super::{DecodeInput, Extensions, Failure, fields};
use crate::block::{BlockRules, Blocks, blocks};
use crate::error::BuildError;
use crate::limits::MAX_BLOCKS;
use crate::registry::ErrorCode;
use crate::wire::Sink;
use crate::wire::parse::{at_offset, count16, u32};

/// Operations that the relay shall take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Push<'a> {
    /// CRC-32 of the 16-byte ids of all operations of all blocks, in order. That it is right (MSG-24)
    /// shows only when the operations are read.
    pub ids_check: u32,
    /// The operations.
    pub blocks: PushBlocks<'a>,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> Push<'a> {
    /// Bytes of the fields before the ids check.
    pub(crate) const IDS_CHECK_AT: usize = 2;

    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        let (count, ids_check, extensions) = fields(input, |rest| {
            //= MSG-25
            let (rest, count) = count16(1..=MAX_BLOCKS, "block count")(rest)?;
            let (rest, ids_check) = u32("ids check")(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, (count, ids_check, extensions)))
        })?;
        let rules = BlockRules { pushed: true, compression: input.compression };
        let blocks = PushBlocks(blocks(input.blocks, count, rules)?);
        Ok(Self { ids_check, blocks, extensions })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        #[allow(clippy::cast_possible_truncation, reason = "at most MAX_BLOCKS")]
        sink.put_u16(self.blocks.0.len() as u16);
        sink.put_u32(self.ids_check);
        self.extensions.encode(sink);
    }
}

/// 1 to 1,024 blocks of one node without holes, each beginning where the one before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PushBlocks<'a>(Blocks<'a>);

impl<'a> PushBlocks<'a> {
    /// Blocks for a push.
    ///
    /// # Errors
    /// `EMPTY` or `TOO_MANY` (MSG-25), `NOT_CONTIGUOUS` (MSG-26, MSG-27) or `MIXED_NODES` (MSG-27).
    pub fn new(all: Blocks<'a>) -> Result<Self, BuildError> {
        if all.is_empty() {
            return Err(BuildError::new(ErrorCode::EMPTY, "block count"));
        }
        if all.len() > MAX_BLOCKS {
            return Err(BuildError::new(ErrorCode::TOO_MANY, "block count"));
        }
        match blocks(all.raw(), all.len(), BlockRules { pushed: true, compression: true }) {
            Ok(all) => Ok(Self(all)),
            Err(error) => {
                let error = at_offset(all.raw(), error);
                Err(BuildError::new(error.code, error.field))
            }
        }
    }

    /// The blocks.
    #[must_use]
    pub const fn get(self) -> Blocks<'a> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::message::Message;
    use crate::message::testing::{block, fault, fault_with, round_trip};
    use crate::registry::{Capabilities, MessageType};

    fn refused(blocks: &[Vec<u8>]) -> ErrorCode {
        let raw = blocks.concat();
        PushBlocks::new(Blocks::decode(&raw, blocks.len(), Capabilities::ALL).unwrap()).unwrap_err().code
    }

    #[test]
    fn round_trips() {
        let raw = [block(1), block(2)].concat();
        let blocks = PushBlocks::new(Blocks::decode(&raw, 2, Capabilities::ALL).unwrap()).unwrap();
        let push = Push { ids_check: 7, blocks, extensions: Extensions::EMPTY };
        assert_eq!(round_trip(&Message::Push(push), 1), [0, 2, 0, 0, 0, 7, 0]);
    }

    //= MSG-25 test
    #[test]
    fn blocks_are_some_but_not_too_many() {
        assert_eq!(fault(MessageType::PUSH, &[0, 0]), (ErrorCode::EMPTY, 0));
        assert_eq!(fault(MessageType::PUSH, &[4, 1]), (ErrorCode::TOO_MANY, 0));
        assert_eq!(refused(&[]), ErrorCode::EMPTY);
    }

    //= MSG-27 test
    #[test]
    fn blocks_follow_one_another() {
        assert_eq!(refused(&[block(1), block(3)]), ErrorCode::NOT_CONTIGUOUS);
        let bytes = [block(1), block(3)].concat();
        let at = u32::try_from(7 + 4 + bytes.len() / 2 + 6).unwrap();
        let fields = [0, 2, 0, 0, 0, 7, 0];
        let found = fault_with(MessageType::PUSH, &fields, &bytes, 1, false);
        assert_eq!(found, (ErrorCode::NOT_CONTIGUOUS, at));
    }
}
