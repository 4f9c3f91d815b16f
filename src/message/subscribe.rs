//! Subscribe and unsubscribe (SPEC.md 7.9 and 7.10).

use super::{Collections, DecodeInput, Extensions, Failure, fields};
use crate::wire::parse::{u32, u64};
use crate::wire::{Position, Sink, position};

/// Client to relay: tell me what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// The subscription's number, chosen by the client, not used before on this connection.
    pub subscription: u32,
    /// Where to begin, exclusive.
    pub from: Position,
    /// Bytes of blocks that may be unacknowledged; 0 pauses.
    pub window: u64,
    /// Which collections; none means all (MSG-21).
    pub collections: Collections<'a>,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> Subscribe<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, subscription) = u32("subscription")(rest)?;
            let (rest, from) = position("from")(rest)?;
            let (rest, window) = u64("window")(rest)?;
            let (rest, collections) = Collections::decode(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { subscription, from, window, collections, extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u32(self.subscription);
        self.from.encode(sink);
        sink.put_u64(self.window);
        self.collections.encode(sink);
        self.extensions.encode(sink);
    }
}

/// Client to relay: tell me no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsubscribe<'a> {
    /// The subscription's number.
    pub subscription: u32,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> Unsubscribe<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, subscription) = u32("subscription")(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { subscription, extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u32(self.subscription);
        self.extensions.encode(sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::round_trip;
    use crate::message::{CollectionRef, List, Message};

    #[test]
    fn round_trips() {
        let extensions = Extensions::EMPTY;
        let names = [CollectionRef::new("bugs").unwrap()];
        let subscribe = Subscribe {
            subscription: 1,
            from: Position::START,
            window: u64::MAX,
            collections: List::new(&names).unwrap(),
            extensions,
        };
        round_trip(&Message::Subscribe(subscribe), 1);
        let bytes = round_trip(&Message::Unsubscribe(Unsubscribe { subscription: 1, extensions }), 0);
        assert_eq!(bytes, [0, 0, 0, 1, 0]);
    }
}
