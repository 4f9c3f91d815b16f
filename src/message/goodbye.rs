//! Goodbye (SPEC.md 7.21).

use super::{DecodeInput, Extensions, Failure, fields};
use crate::registry::GoodbyeReason;
use crate::wire::Sink;
use crate::wire::parse::{u16, u32};

/// Either way: the sender's last frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goodbye<'a> {
    /// Why. One that is not known is treated as 0 (SPEC.md 18.6).
    pub reason: GoodbyeReason,
    /// Milliseconds until it makes sense to come back.
    pub reconnect_after: u32,
    /// Milliseconds: wait a random time up to this in addition.
    pub jitter: u32,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> Goodbye<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, reason) = u16("reason")(rest)?;
            let (rest, reconnect_after) = u32("reconnect after")(rest)?;
            let (rest, jitter) = u32("jitter")(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { reason: GoodbyeReason(reason), reconnect_after, jitter, extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u16(self.reason.0);
        sink.put_u32(self.reconnect_after);
        sink.put_u32(self.jitter);
        self.extensions.encode(sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::round_trip;

    #[test]
    fn round_trips() {
        for reason in [GoodbyeReason::RESTARTING, GoodbyeReason(0xFFFF)] {
            let goodbye =
                Goodbye { reason, reconnect_after: 1_000, jitter: 500, extensions: Extensions::EMPTY };
            let bytes = round_trip(&Message::Goodbye(goodbye), 0);
            assert_eq!(bytes.len(), 11);
        }
    }
}
