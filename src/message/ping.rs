//! Ping and pong (SPEC.md 7.18 and 7.19).

use super::{DecodeInput, Extensions, Failure, fields};
use crate::wire::Sink;
use crate::wire::parse::u64;

/// Either way: are you there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping<'a> {
    /// Any number; the pong repeats it.
    pub nonce: u64,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

/// Either way, the answer to a ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pong<'a> {
    /// The nonce of the ping.
    pub nonce: u64,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

fn nonce<'a>(input: &DecodeInput<'a>) -> Result<(u64, Extensions<'a>), Failure<'a>> {
    fields(input, |rest| {
        let (rest, nonce) = u64("nonce")(rest)?;
        let (rest, extensions) = Extensions::decode(rest)?;
        Ok((rest, (nonce, extensions)))
    })
}

impl<'a> Ping<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        nonce(input).map(|(nonce, extensions)| Self { nonce, extensions })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u64(self.nonce);
        self.extensions.encode(sink);
    }
}

impl<'a> Pong<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        nonce(input).map(|(nonce, extensions)| Self { nonce, extensions })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u64(self.nonce);
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
        let bytes = round_trip(&Message::Ping(Ping { nonce: 1, extensions }), 0);
        assert_eq!(bytes, [0, 0, 0, 0, 0, 0, 0, 1, 0]);
        round_trip(&Message::Pong(Pong { nonce: u64::MAX, extensions }), 0);
    }

    //= MSG-5 test
    #[test]
    fn nothing_follows_the_extensions() {
        assert_eq!(fault(MessageType::PING, &[0; 10]), (ErrorCode::TRAILING_BYTES, 9));
        assert_eq!(fault(MessageType::PONG, &[0; 8]), (ErrorCode::TRUNCATED, 8));
        assert_eq!(fault(MessageType::PONG, &[0; 7]), (ErrorCode::TRUNCATED, 0));
    }
}
