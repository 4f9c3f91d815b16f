//! Error (SPEC.md 7.20).

use super::checked::{Text, put_text8, small_code, small_codes};
use super::{DecodeInput, Extensions, Failure, fields};
use crate::limits::MAX_ERROR_TEXT;
use crate::registry::ErrorCode;
use crate::wire::Sink;
use crate::wire::parse::{fail, u16, u32};

/// For people: what was wrong, where, what to do. At most 255 bytes.
pub type ErrorText<'a> = Text<'a, 0, MAX_ERROR_TEXT>;

/// Either way: something is wrong.
///
/// With [`Scope::Request`] the frame's request id must not be 0 (MSG-33); the id is not part of the
/// message, so whoever writes the frame sees to that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// What is wrong. One that is not known means `INTERNAL_ERROR` (ERR-3).
    pub code: ErrorCode,
    /// What it ends.
    pub scope: Scope,
    /// Milliseconds; 0 if no time is better than another.
    pub retry_after: u32,
    /// Hostile like any other input: it is shown escaped and never acted on.
    pub text: ErrorText<'a>,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

small_codes! {
    /// What an error ends (MSG-32).
    pub Scope {
        /// This request.
        Request = 1,
        /// The connection, which the sender closes.
        Connection = 2,
    }
}

impl<'a> Error<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, code) = u16("code")(rest)?;
            //= MSG-32
            let (rest, scope) = small_code(Scope::from_code, "scope")(rest)?;
            //= MSG-33
            if scope == Scope::Request && input.request_id == 0 {
                return fail(input.frame.get(4..).unwrap_or_default(), ErrorCode::BAD_REQUEST_ID, "scope");
            }
            let (rest, retry_after) = u32("retry after")(rest)?;
            let (rest, text) = ErrorText::text8("text")(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { code: ErrorCode(code), scope, retry_after, text, extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u16(self.code.0);
        sink.put_u8(self.scope.code());
        sink.put_u32(self.retry_after);
        put_text8(sink, self.text.as_str());
        self.extensions.encode(sink);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::message::testing::{fault_with, round_trip};
    use crate::registry::MessageType;

    #[test]
    fn round_trips() {
        for (scope, request_id) in [(Scope::Request, 1), (Scope::Connection, 0), (Scope::Connection, 1)] {
            let error = Error {
                code: ErrorCode(9_999),
                scope,
                retry_after: 5,
                text: ErrorText::new("née").unwrap(),
                extensions: Extensions::EMPTY,
            };
            round_trip(&Message::Error(error), request_id);
        }
    }

    //= MSG-32 test
    //= MSG-33 test
    #[test]
    fn scopes_are_listed_and_fit_the_request_id() {
        let fault = |fields: &[u8], id| fault_with(MessageType::ERROR, fields, &[], id, false);
        assert_eq!(fault(&[0, 101, 0], 0), (ErrorCode::UNKNOWN_CODE, 2));
        assert_eq!(fault(&[0, 101, 3], 0), (ErrorCode::UNKNOWN_CODE, 2));
        // Byte 4 of the frame, which is 12 bytes before its fields.
        assert_eq!(fault(&[0, 101, 1], 0), (ErrorCode::BAD_REQUEST_ID, 0_u32.wrapping_sub(12)));
        assert_eq!(fault(&[0, 101, 1], 1), (ErrorCode::TRUNCATED, 3));
        assert_eq!(fault(&[0, 101, 2, 0, 0, 0, 0, 1, 0xFF], 0), (ErrorCode::BAD_UTF8, 8));
    }
}
