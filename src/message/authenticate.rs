//! Authenticate and its ack (SPEC.md 7.16 and 7.17).

use core::fmt;
use core::num::NonZeroU16;

use super::checked::Data;
use super::{DecodeInput, Extensions, Failure, fields};
use crate::limits::MAX_AUTHENTICATION;
use crate::registry::ErrorCode;
use crate::wire::Sink;
use crate::wire::parse::{Res, fail, u16, u32};

/// Who the client acts for.
///
/// Its debug form does not show the token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Authentication<'a> {
    /// Method 0: it does not say (MSG-15).
    None,
    /// A token of that method.
    Token {
        /// How to read it.
        method: NonZeroU16,
        /// At most 8,192 bytes (MSG-14).
        token: Data<'a, MAX_AUTHENTICATION>,
    },
}

impl<'a> Authentication<'a> {
    const FIELD: &'static str = "authentication";

    /// The method of bearer tokens.
    pub const BEARER: NonZeroU16 = NonZeroU16::MIN;

    /// A bearer token.
    #[must_use]
    pub const fn bearer(token: Data<'a, MAX_AUTHENTICATION>) -> Self {
        Self::Token { method: Self::BEARER, token }
    }

    pub(super) fn decode(input: &'a [u8]) -> Res<'a, Self> {
        let (token_at, method) = u16("authentication method")(input)?;
        //= MSG-14
        let (rest, token) = Data::decode(Self::FIELD)(token_at)?;
        match NonZeroU16::new(method) {
            Some(method) => Ok((rest, Self::Token { method, token })),
            None if token.is_empty() => Ok((rest, Self::None)),
            //= MSG-15
            None => fail(token_at, ErrorCode::NON_CANONICAL, Self::FIELD),
        }
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        match self {
            Self::None => sink.put(&[0; 4]),
            Self::Token { method, token } => {
                sink.put_u16(method.get());
                token.encode(sink);
            }
        }
    }
}

impl fmt::Debug for Authentication<'_> {
    // A token must not reach a log by way of a debug print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("None"),
            Self::Token { method, .. } => write!(f, "Token(method {method}, ..)"),
        }
    }
}

/// Client to relay: a new token on a living connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Authenticate<'a> {
    /// The token.
    pub authentication: Authentication<'a>,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> Authenticate<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, authentication) = Authentication::decode(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { authentication, extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        self.authentication.encode(sink);
        self.extensions.encode(sink);
    }
}

/// Relay to client: the token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuthenticateAck<'a> {
    /// Seconds; 0 for no end.
    pub valid_for: u32,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> AuthenticateAck<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, valid_for) = u32("valid for")(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { valid_for, extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u32(self.valid_for);
        self.extensions.encode(sink);
    }
}

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::message::Message;
    use crate::message::testing::{fault, round_trip};
    use crate::registry::MessageType;

    #[test]
    fn round_trips() {
        let extensions = Extensions::EMPTY;
        for authentication in [
            Authentication::None,
            Authentication::bearer(Data::EMPTY),
            Authentication::bearer(Data::new(&[b'x'; MAX_AUTHENTICATION]).unwrap()),
            Authentication::Token { method: NonZeroU16::MAX, token: Data::new(b"t").unwrap() },
        ] {
            round_trip(&Message::Authenticate(Authenticate { authentication, extensions }), 9);
        }
        round_trip(&Message::AuthenticateAck(AuthenticateAck { valid_for: 60, extensions }), 9);
    }

    #[test]
    fn tokens_are_not_printed() {
        let token = Authentication::bearer(Data::new(b"secret").unwrap());
        assert_eq!(format!("{token:?}"), "Token(method 1, ..)");
    }

    //= MSG-15 test
    #[test]
    fn no_method_no_token() {
        let fault = |bytes: &[u8]| fault(MessageType::AUTHENTICATE, bytes);
        assert_eq!(fault(&[0, 0, 0, 1, 7, 0]), (ErrorCode::NON_CANONICAL, 2));
        assert_eq!(fault(&[0, 0, 0, 1]), (ErrorCode::TRUNCATED, 4));
    }

    //= MSG-14 test
    #[test]
    fn tokens_are_capped() {
        assert_eq!(fault(MessageType::AUTHENTICATE, &[0, 1, 0x20, 1]), (ErrorCode::TOO_LONG, 2));
    }
}
