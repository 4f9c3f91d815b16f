//! Pull request and response (SPEC.md 7.5 and 7.6).

use super::{Collections, DecodeInput, Extensions, Failure, FirstSeqs, LogBlocks, fields};
use crate::wire::parse::{bool, u32};
use crate::wire::{Position, Sink, position};

/// Client to relay: one page of blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullRequest<'a> {
    /// Where the page begins, exclusive.
    pub from: Position,
    /// Which collections; none means all (MSG-21).
    pub collections: Collections<'a>,
    /// At most so many operations; 0 for no limit of its own.
    pub max_operations: u32,
    /// At most so many bytes of blocks; 0 for no limit of its own.
    pub max_bytes: u32,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> PullRequest<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, from) = position("from")(rest)?;
            let (rest, collections) = Collections::decode(rest)?;
            let (rest, max_operations) = u32("max operations")(rest)?;
            let (rest, max_bytes) = u32("max bytes")(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { from, collections, max_operations, max_bytes, extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        self.from.encode(sink);
        self.collections.encode(sink);
        sink.put_u32(self.max_operations);
        sink.put_u32(self.max_bytes);
        self.extensions.encode(sink);
    }
}

/// Relay to client: that page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullResponse<'a> {
    /// Where the next page begins.
    pub next: Position,
    /// Whether there is one.
    pub has_more: bool,
    /// The blocks of this page.
    pub blocks: LogBlocks<'a>,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> PullResponse<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        let (next, has_more, first_seqs, extensions) = fields(input, |rest| {
            let (rest, next) = position("next")(rest)?;
            //= MSG-23
            let (rest, has_more) = bool("has more")(rest)?;
            let (rest, first_seqs) = FirstSeqs::decode(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, (next, has_more, first_seqs, extensions)))
        })?;
        let blocks = LogBlocks::decode(first_seqs, input)?;
        Ok(Self { next, has_more, blocks, extensions })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        self.next.encode(sink);
        sink.put_u8(u8::from(self.has_more));
        self.blocks.first_seqs().encode(sink);
        self.extensions.encode(sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Blocks;
    use crate::message::testing::{block, fault, fault_with, round_trip};
    use crate::message::{CollectionRef, List, Message, Seq};
    use crate::registry::{Capabilities, ErrorCode, MessageType};

    #[test]
    fn requests_round_trip() {
        let names = ["a", "b", "ba"].map(|name| CollectionRef::new(name).unwrap());
        for collections in [Collections::EMPTY, List::new(&names).unwrap()] {
            let request = PullRequest {
                from: Position::new(1, 2).unwrap(),
                collections,
                max_operations: 3,
                max_bytes: 4,
                extensions: Extensions::EMPTY,
            };
            round_trip(&Message::PullRequest(request), 1);
        }
    }

    #[test]
    fn responses_round_trip() {
        let bytes = [block(1), block(2)].concat();
        let seqs = [1, 7].map(|seq| Seq::new(seq).unwrap());
        let seqs = FirstSeqs::new(&seqs).unwrap();
        let blocks = Blocks::decode(&bytes, 2, Capabilities::ALL).unwrap();
        for blocks in [LogBlocks::NONE, LogBlocks::new(seqs, blocks).unwrap()] {
            let response =
                PullResponse { next: Position::START, has_more: true, blocks, extensions: Extensions::EMPTY };
            round_trip(&Message::PullResponse(response), 1);
        }
        assert_eq!(LogBlocks::new(seqs, Blocks::NONE).unwrap_err().code, ErrorCode::TRUNCATED);
        let none = FirstSeqs::EMPTY;
        assert_eq!(LogBlocks::new(none, blocks).unwrap_err().code, ErrorCode::TRAILING_BYTES);
    }

    //= MSG-21 test
    #[test]
    fn collections_ascend() {
        let fault = |list: &[u8]| fault(MessageType::PULL_REQUEST, &[&[0; 16], list].concat());
        assert_eq!(fault(&[1, 1]), (ErrorCode::TOO_MANY, 16));
        assert_eq!(fault(&[0, 2, 1, b'a', 1, b'a']), (ErrorCode::DUPLICATE, 20));
        assert_eq!(fault(&[0, 2, 2, b'a', b'a', 1, b'a']), (ErrorCode::OUT_OF_ORDER, 21));
        assert_eq!(fault(&[0, 1, 0]), (ErrorCode::EMPTY, 18));
        assert_eq!(fault(&[0, 1, 129]), (ErrorCode::TOO_LONG, 18));
    }

    //= MSG-22 test
    //= MSG-23 test
    #[test]
    fn first_seqs_ascend() {
        let fault = |tail: &[u8]| fault(MessageType::PULL_RESPONSE, &[&[0; 16], tail].concat());
        assert_eq!(fault(&[2]), (ErrorCode::BAD_BOOL, 16));
        assert_eq!(fault(&[0, 4, 1]), (ErrorCode::TOO_MANY, 17));
        assert_eq!(fault(&[&[0, 0, 1], &[0; 8][..]].concat()), (ErrorCode::BAD_POSITION, 19));
        let five = [0, 0, 0, 0, 0, 0, 0, 5];
        assert_eq!(fault(&[&[0, 0, 2], &five[..], &five].concat()), (ErrorCode::BAD_POSITION, 27));
        let huge = [0, 0x20, 0, 0, 0, 0, 0, 0];
        assert_eq!(fault(&[&[0, 0, 1], &huge[..]].concat()), (ErrorCode::BAD_POSITION, 19));
    }

    //= MSG-6 test
    #[test]
    fn as_many_blocks_as_first_seqs() {
        let one = [&[0; 16][..], &[0, 0, 1], &[0, 0, 0, 0, 0, 0, 0, 5], &[0]].concat();
        // 16 bytes of head, the fields, their checksum.
        let start = u32::try_from(16 + one.len() + 4).unwrap() - 16;
        let fault = |blocks: &[u8]| fault_with(MessageType::PULL_RESPONSE, &one, blocks, 1, false);
        assert_eq!(fault(&[]), (ErrorCode::TRUNCATED, start));
        let two = [block(1), block(2)].concat();
        let second = start + u32::try_from(two.len() / 2).unwrap();
        assert_eq!(fault(&two), (ErrorCode::TRAILING_BYTES, second));
    }
}
