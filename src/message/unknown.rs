//! A message that this version does not know and may ignore (SPEC.md 8).

use super::DecodeInput;
use crate::error::BuildError;
use crate::registry::{ErrorCode, MessageType};

/// A message of an unknown odd type: nothing of it was looked at (EXT-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unknown<'a> {
    code: MessageType,
    more: bool,
    fields: &'a [u8],
    blocks: &'a [u8],
}

impl<'a> Unknown<'a> {
    /// A message of type `code`, with flag `more` or without, with these fields and blocks.
    ///
    /// # Errors
    /// `UNKNOWN_MESSAGE` if the type is even, and so must be known (EXT-4).
    pub const fn new(
        code: MessageType,
        more: bool,
        fields: &'a [u8],
        blocks: &'a [u8],
    ) -> Result<Self, BuildError> {
        if code.0.is_multiple_of(2) {
            return Err(BuildError::new(ErrorCode::UNKNOWN_MESSAGE, "type"));
        }
        Ok(Self { code, more, fields, blocks })
    }

    /// What it is.
    #[must_use]
    pub const fn code(self) -> MessageType {
        self.code
    }

    /// Whether flag `more` is set.
    #[must_use]
    pub const fn more(self) -> bool {
        self.more
    }

    /// Its fields.
    #[must_use]
    pub const fn fields(self) -> &'a [u8] {
        self.fields
    }

    /// What follows the fields.
    #[must_use]
    pub const fn blocks(self) -> &'a [u8] {
        self.blocks
    }

    pub(super) const fn decode(code: MessageType, input: &DecodeInput<'a>) -> Self {
        Self { code, more: input.more, fields: input.fields, blocks: input.blocks }
    }
}

// Every type that 1.0 knows is even, so an odd one is unknown.
const _: () = {
    let mut rest = MessageType::ALL;
    while let [(kind, _), others @ ..] = rest {
        assert!(kind.0.is_multiple_of(2));
        rest = others;
    }
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::round_trip;

    #[test]
    fn round_trips() {
        for more in [false, true] {
            let unknown = Unknown::new(MessageType(0x015B), more, b"fields", b"blocks").unwrap();
            assert_eq!(round_trip(&Message::Unknown(unknown), 3), b"fields");
        }
    }

    //= EXT-4 test
    #[test]
    fn even_types_are_refused() {
        let code = Unknown::new(MessageType(0x015A), false, &[], &[]).unwrap_err().code;
        assert_eq!(code, ErrorCode::UNKNOWN_MESSAGE);
    }
}
