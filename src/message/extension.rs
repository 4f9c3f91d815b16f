//! The extension block that ends the fields of every message (SPEC.md 8).

use super::checked::Data;
use super::list::{Before, Item, List};
use crate::error::BuildError;
use crate::limits::{MAX_EXTENSION, MAX_EXTENSIONS};
use crate::registry::ErrorCode;
use crate::wire::Sink;
use crate::wire::parse::{At, Res, ascending, fail, u16};

/// At most 16 extensions, ascending by type (EXT-1).
///
/// 1.0 defines none. Those of odd types are kept as they came, so that they are there when the message
/// is encoded again (EXT-3).
pub type Extensions<'a> = List<'a, Extension<'a>, MAX_EXTENSIONS>;

/// One extension of an odd type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extension<'a> {
    kind: u16,
    data: Data<'a, MAX_EXTENSION>,
}

impl<'a> Extension<'a> {
    /// An extension of type `kind`.
    ///
    /// # Errors
    /// `UNKNOWN_EXTENSION` for an even type: 1.0 assigns none (EXT-3).
    pub const fn new(kind: u16, data: Data<'a, MAX_EXTENSION>) -> Result<Self, BuildError> {
        if !Self::may_be_ignored(kind) {
            return Err(BuildError::new(ErrorCode::UNKNOWN_EXTENSION, Self::FIELD));
        }
        Ok(Self { kind, data })
    }

    /// Its type, which is odd.
    #[must_use]
    pub const fn kind(self) -> u16 {
        self.kind
    }

    /// What it carries.
    #[must_use]
    pub const fn data(self) -> Data<'a, MAX_EXTENSION> {
        self.data
    }

    const fn may_be_ignored(kind: u16) -> bool {
        !kind.is_multiple_of(2)
    }
}

impl<'a> Item<'a> for Extension<'a> {
    const FIELD: &'static str = "extensions";

    fn decode(input: &'a [u8], before: &Before<'a, Self>) -> Res<'a, Self> {
        let (rest, kind) = u16(Self::FIELD)(input)?;
        //= EXT-1
        ascends(input, kind, before)?;
        //= EXT-3
        if !Self::may_be_ignored(kind) {
            return fail(input, ErrorCode::UNKNOWN_EXTENSION, Self::FIELD);
        }
        //= EXT-2
        let (rest, data) = Data::decode(Self::FIELD)(rest)?;
        Ok((rest, Self { kind, data }))
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u16(self.kind);
        self.data.encode(sink);
    }

    fn check(&self, at: &'a [u8], before: &Before<'a, Self>) -> Result<(), nom::Err<At<'a>>> {
        ascends(at, self.kind, before)
    }
}

fn ascends<'a>(at: &'a [u8], kind: u16, before: &Before<'a, Extension<'a>>) -> Result<(), nom::Err<At<'a>>> {
    ascending(at, before.last.map(|last| last.kind).as_ref(), &kind, Extension::FIELD)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::testing::{fault, round_trip};
    use crate::message::{Message, Ping};
    use crate::registry::{Capability, LimitId, MessageType};

    fn ping(extensions: &[u8]) -> (ErrorCode, u32) {
        fault(MessageType::PING, &[&[0; 8], extensions].concat())
    }

    #[test]
    fn odd_extensions_are_kept() {
        let items = [
            Extension::new(1, Data::EMPTY).unwrap(),
            Extension::new(0x5B, Data::new(&[7; MAX_EXTENSION]).unwrap()).unwrap(),
        ];
        let extensions = List::new(&items).unwrap();
        round_trip(&Message::Ping(Ping { nonce: 1, extensions }), 0);
    }

    //= EXT-1 test
    #[test]
    fn extensions_ascend_and_are_few() {
        assert_eq!(ping(&[17]), (ErrorCode::TOO_MANY, 8));
        assert_eq!(ping(&[2, 0, 1, 0, 0, 0, 1, 0, 0]), (ErrorCode::DUPLICATE, 13));
        assert_eq!(ping(&[2, 0, 3, 0, 0, 0, 2, 0, 0]), (ErrorCode::OUT_OF_ORDER, 13));
        assert_eq!(ping(&[1, 0]), (ErrorCode::TRUNCATED, 9));
    }

    //= EXT-2 test
    #[test]
    fn extensions_are_short() {
        assert_eq!(ping(&[1, 0, 1, 4, 1]), (ErrorCode::TOO_LONG, 11));
        assert_eq!(ping(&[1, 0, 1, 0, 1]), (ErrorCode::TRUNCATED, 13));
    }

    //= EXT-3 test
    #[test]
    fn even_extensions_are_refused_before_their_length() {
        assert_eq!(ping(&[1, 0, 2, 4, 1]), (ErrorCode::UNKNOWN_EXTENSION, 9));
        assert_eq!(Extension::new(2, Data::EMPTY).unwrap_err().code, ErrorCode::UNKNOWN_EXTENSION);
    }

    //= EXT-5 test
    #[test]
    fn grease_is_never_assigned() {
        let assigned = MessageType::ALL.iter().map(|(kind, _)| kind.0);
        let assigned = assigned.chain(Capability::ALL.iter().map(|(capability, _)| capability.0));
        let mut assigned = assigned.chain(LimitId::ALL.iter().map(|(limit, _)| limit.0));
        assert!(assigned.all(|code| !matches!(code & 0xFF, 0x5A | 0x5B)));
    }
}
