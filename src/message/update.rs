//! Update and its ack (SPEC.md 7.11 and 7.12).

use super::{DecodeInput, Extensions, Failure, FirstSeqs, LogBlocks, fields};
use crate::wire::parse::{u32, u64};
use crate::wire::{Position, Sink, position};

/// Relay to client: what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Update<'a> {
    /// The subscription's number.
    pub subscription: u32,
    /// Where the update before it ended.
    pub previous: Position,
    /// Where this one ends.
    pub new: Position,
    /// What happened in between; none when only the position moves.
    pub blocks: LogBlocks<'a>,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> Update<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        let (subscription, previous, new, first_seqs, extensions) = fields(input, |rest| {
            let (rest, subscription) = u32("subscription")(rest)?;
            let (rest, previous) = position("previous")(rest)?;
            let (rest, new) = position("new")(rest)?;
            let (rest, first_seqs) = FirstSeqs::decode(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, (subscription, previous, new, first_seqs, extensions)))
        })?;
        let blocks = LogBlocks::decode(first_seqs, input)?;
        Ok(Self { subscription, previous, new, blocks, extensions })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u32(self.subscription);
        self.previous.encode(sink);
        self.new.encode(sink);
        self.blocks.first_seqs().encode(sink);
        self.extensions.encode(sink);
    }
}

/// Client to relay: applied up to here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UpdateAck<'a> {
    /// The subscription's number.
    pub subscription: u32,
    /// Durably applied up to here.
    pub position: Position,
    /// Bytes of blocks that may be unacknowledged from now on; 0 pauses.
    pub window: u64,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> UpdateAck<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, subscription) = u32("subscription")(rest)?;
            let (rest, position) = position("position")(rest)?;
            let (rest, window) = u64("window")(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { subscription, position, window, extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u32(self.subscription);
        self.position.encode(sink);
        sink.put_u64(self.window);
        self.extensions.encode(sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::Blocks;
    use crate::message::testing::{block, fault, round_trip};
    use crate::message::{Message, Seq};
    use crate::registry::{Capabilities, ErrorCode, MessageType};

    #[test]
    fn round_trips() {
        let extensions = Extensions::EMPTY;
        let bytes = block(1);
        let seqs = [Seq::new(5).unwrap()];
        let blocks = Blocks::decode(&bytes, 1, Capabilities::ALL).unwrap();
        let blocks = LogBlocks::new(FirstSeqs::new(&seqs).unwrap(), blocks).unwrap();
        assert_eq!(blocks.iter().count(), 1);
        let position = Position::new(9, 5).unwrap();
        for blocks in [LogBlocks::NONE, blocks] {
            let previous = Position::START;
            let update = Update { subscription: 1, previous, new: position, blocks, extensions };
            round_trip(&Message::Update(update), 0);
        }
        round_trip(&Message::UpdateAck(UpdateAck { subscription: 1, position, window: 0, extensions }), 0);
    }

    #[test]
    fn positions_are_checked() {
        let mut bytes = [0; 39];
        bytes[35] = 1;
        assert_eq!(fault(MessageType::UPDATE, &bytes), (ErrorCode::BAD_POSITION, 20));
    }
}
