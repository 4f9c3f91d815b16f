//! Sync state and the request for it (SPEC.md 7.3 and 7.4).

use super::{DecodeInput, Extensions, Failure, fields};
use crate::wire::parse::u64;
use crate::wire::{Position, Sink, position};

/// Client to relay: how much do you hold?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncStateRequest<'a> {
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> SyncStateRequest<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        self.extensions.encode(sink);
    }
}

/// Relay to client: numbers to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncState<'a> {
    /// The log position that the numbers describe.
    pub head: Position,
    /// Operations in the log.
    pub operations: u64,
    /// Nodes with a mark above 0.
    pub nodes: u64,
    /// Live records in the merged state.
    pub live_records: u64,
    /// Collections with at least one live record.
    pub collections: u64,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> SyncState<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, head) = position("head")(rest)?;
            let (rest, operations) = u64("operations")(rest)?;
            let (rest, nodes) = u64("nodes")(rest)?;
            let (rest, live_records) = u64("live records")(rest)?;
            let (rest, collections) = u64("collections")(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { head, operations, nodes, live_records, collections, extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        self.head.encode(sink);
        sink.put_u64(self.operations);
        sink.put_u64(self.nodes);
        sink.put_u64(self.live_records);
        sink.put_u64(self.collections);
        self.extensions.encode(sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::{fault, round_trip};
    use crate::registry::{ErrorCode, MessageType};

    #[test]
    fn round_trips() {
        let extensions = Extensions::EMPTY;
        let bytes = round_trip(&Message::SyncStateRequest(SyncStateRequest { extensions }), 1);
        assert_eq!(bytes, [0]);
        let state = SyncState {
            head: Position::new(3, 4).unwrap(),
            operations: 4,
            nodes: 1,
            live_records: u64::MAX,
            collections: 2,
            extensions,
        };
        round_trip(&Message::SyncState(state), 1);
    }

    //= MSG-1 test
    //= MSG-2 test
    #[test]
    fn positions_are_checked() {
        let mut bytes = [0; 49];
        bytes[15] = 1;
        assert_eq!(fault(MessageType::SYNC_STATE, &bytes), (ErrorCode::BAD_POSITION, 0));
        bytes[7] = 1;
        bytes[9] = 0x20;
        assert_eq!(fault(MessageType::SYNC_STATE, &bytes), (ErrorCode::BAD_POSITION, 0));
    }
}
