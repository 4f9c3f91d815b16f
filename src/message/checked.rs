//! Fields of messages whose types allow only what the wire can carry.

use core::fmt;

use super::list::{Before, Item};
use crate::error::BuildError;
use crate::limits::{MAX_COLLECTION_NAME, MAX_COLLECTIONS, MAX_NODE_SEQ, MAX_SEQ};
use crate::registry::ErrorCode;
use crate::wire::parse::{At, Res, ascending, bytes16, fail, text8, text16, u8, u64};
use crate::wire::{self, CollectionName, DatabaseName, Sink};

/// Text of `MIN` to `MAX` bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<'a, const MIN: usize, const MAX: usize>(&'a str);

impl<'a, const MIN: usize, const MAX: usize> Text<'a, MIN, MAX> {
    /// Text that a message can carry.
    ///
    /// # Errors
    /// `TOO_LONG` over `MAX` bytes, `EMPTY` under `MIN`.
    pub const fn new(text: &'a str) -> Result<Self, BuildError> {
        if text.len() > MAX {
            return Err(BuildError::new(ErrorCode::TOO_LONG, "text"));
        }
        if text.len() < MIN {
            return Err(BuildError::new(ErrorCode::EMPTY, "text"));
        }
        Ok(Self(text))
    }

    /// The text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    /// Reads it with a length of one byte.
    pub(super) fn text8(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, Self> {
        move |input| text8(MIN..=MAX, field)(input).map(|(rest, text)| (rest, Self(text)))
    }

    /// Reads it with a length of two bytes.
    pub(super) fn text16(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, Self> {
        move |input| text16(MIN..=MAX, field)(input).map(|(rest, text)| (rest, Self(text)))
    }
}

impl<const MIN: usize, const MAX: usize> fmt::Debug for Text<'_, MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

/// Writes a length of one byte and the text, which its type keeps below 256 bytes.
#[allow(clippy::cast_possible_truncation, reason = "the caller's type is at most 255 bytes")]
pub(super) fn put_text8(sink: &mut impl Sink, text: &str) {
    sink.put_u8(text.len() as u8);
    sink.put(text.as_bytes());
}

/// Writes a length of two bytes and the bytes, which their type keeps below 65,536.
#[allow(clippy::cast_possible_truncation, reason = "the caller's type is at most 65,535 bytes")]
pub(super) fn put_bytes16(sink: &mut impl Sink, bytes: &[u8]) {
    sink.put_u16(bytes.len() as u16);
    sink.put(bytes);
}

/// At most `MAX` bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Data<'a, const MAX: usize>(&'a [u8]);

impl<'a, const MAX: usize> Data<'a, MAX> {
    /// No bytes.
    pub const EMPTY: Self = Self(&[]);

    /// Bytes that a message can carry.
    ///
    /// # Errors
    /// `TOO_LONG` over `MAX` bytes.
    pub const fn new(bytes: &'a [u8]) -> Result<Self, BuildError> {
        if bytes.len() > MAX {
            return Err(BuildError::new(ErrorCode::TOO_LONG, "data"));
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Reads it with a length of two bytes.
    pub(super) fn decode(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, Self> {
        move |input| bytes16(0..=MAX, field)(input).map(|(rest, bytes)| (rest, Self(bytes)))
    }

    pub(super) fn encode(self, sink: &mut impl Sink) {
        put_bytes16(sink, self.0);
    }
}

impl<const MAX: usize> fmt::Debug for Data<'_, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The name of a collection: 1 to 128 bytes (`name` in SPEC.md 3).
pub type CollectionRef<'a> = Text<'a, 1, MAX_COLLECTION_NAME>;

/// Names of collections, ascending; none means all (MSG-21).
pub type Collections<'a> = super::List<'a, CollectionRef<'a>, MAX_COLLECTIONS>;

impl<'a> From<&'a CollectionName> for CollectionRef<'a> {
    fn from(name: &'a CollectionName) -> Self {
        Self(name.as_str())
    }
}

//= MSG-21
impl<'a> Item<'a> for CollectionRef<'a> {
    const FIELD: &'static str = "collections";

    fn decode(input: &'a [u8], before: &Before<'a, Self>) -> Res<'a, Self> {
        let (rest, name) = Self::text8(Self::FIELD)(input)?;
        name.check(input, before)?;
        Ok((rest, name))
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        put_text8(sink, self.0);
    }

    fn check(&self, at: &'a [u8], before: &Before<'a, Self>) -> Result<(), nom::Err<At<'a>>> {
        ascending(at, before.last.as_ref(), self, Self::FIELD)
    }
}

/// The name of a database: a safe file name everywhere (MSG-10).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseRef<'a>(&'a str);

impl<'a> DatabaseRef<'a> {
    /// The name as text.
    #[must_use]
    pub const fn as_str(self) -> &'a str {
        self.0
    }

    pub(super) fn decode(input: &'a [u8]) -> Res<'a, Self> {
        wire::database_name(input).map(|(rest, text)| (rest, Self(text)))
    }

    pub(super) fn encode(self, sink: &mut impl Sink) {
        put_text8(sink, self.0);
    }
}

impl<'a> From<&'a DatabaseName> for DatabaseRef<'a> {
    fn from(name: &'a DatabaseName) -> Self {
        Self(name.as_str())
    }
}

impl fmt::Debug for DatabaseRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0, f)
    }
}

/// The number of the last operation of a node, 1 to 2^48 - 1, or 0 if there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LastNodeSeq(u64);

impl LastNodeSeq {
    /// No operation yet.
    pub const NONE: Self = Self(0);

    /// That number.
    ///
    /// # Errors
    /// `BAD_NODE_SEQ` unless it is below 2^48 (MSG-11, MSG-19).
    pub const fn new(node_seq: u64) -> Result<Self, BuildError> {
        if node_seq > MAX_NODE_SEQ {
            return Err(BuildError::new(ErrorCode::BAD_NODE_SEQ, "node_seq"));
        }
        Ok(Self(node_seq))
    }

    /// The number; 0 for none.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(super) fn decode(field: &'static str) -> impl for<'a> Fn(&'a [u8]) -> Res<'a, Self> {
        move |input| {
            let (rest, node_seq) = u64(field)(input)?;
            match Self::new(node_seq) {
                Ok(this) => Ok((rest, this)),
                Err(error) => fail(input, error.code, field),
            }
        }
    }
}

/// The number of an operation in a log, 1 to 2^53 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(u64);

impl Seq {
    /// That number.
    ///
    /// # Errors
    /// `BAD_POSITION` unless it is from 1 to 2^53 - 1 (MSG-22).
    pub const fn new(seq: u64) -> Result<Self, BuildError> {
        if seq == 0 || seq > MAX_SEQ {
            return Err(BuildError::new(ErrorCode::BAD_POSITION, "seq"));
        }
        Ok(Self(seq))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

//= MSG-22
impl<'a> Item<'a> for Seq {
    const FIELD: &'static str = "first seqs";

    fn decode(input: &'a [u8], before: &Before<'a, Self>) -> Res<'a, Self> {
        let (rest, seq) = wire::seq(Self::FIELD)(input)?;
        let this = Self(seq);
        this.check(input, before)?;
        Ok((rest, this))
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u64(self.0);
    }

    fn check(&self, at: &'a [u8], before: &Before<'a, Self>) -> Result<(), nom::Err<At<'a>>> {
        if before.last.is_some_and(|last| last >= *self) {
            return fail(at, ErrorCode::BAD_POSITION, Self::FIELD);
        }
        Ok(())
    }
}

/// A closed set of codes of one byte.
macro_rules! small_codes {
    ($(#[$meta:meta])* $vis:vis $type:ident { $($(#[$doc:meta])* $name:ident = $code:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        $vis enum $type {
            $($(#[$doc])* $name,)*
        }

        impl $type {
            /// Its byte on the wire.
            #[must_use]
            $vis const fn code(self) -> u8 {
                match self {
                    $(Self::$name => $code,)*
                }
            }

            /// What the byte stands for; `None` if it is not listed.
            #[must_use]
            $vis const fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Self::$name),)*
                    _ => None,
                }
            }
        }
    };
}

pub(super) use small_codes;

/// A small code that is listed (`UNKNOWN_CODE` at it).
pub(super) fn small_code<'a, T>(
    from_code: impl Fn(u8) -> Option<T>,
    field: &'static str,
) -> impl Fn(&'a [u8]) -> Res<'a, T> {
    move |input| {
        let (rest, code) = u8(field)(input)?;
        match from_code(code) {
            Some(value) => Ok((rest, value)),
            None => fail(input, ErrorCode::UNKNOWN_CODE, field),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn caps_hold() {
        assert_eq!(Text::<1, 3>::new("").unwrap_err().code, ErrorCode::EMPTY);
        assert_eq!(Text::<1, 3>::new("abc").unwrap().as_str(), "abc");
        assert_eq!(Text::<1, 3>::new("abcd").unwrap_err().code, ErrorCode::TOO_LONG);
        assert_eq!(Data::<2>::new(&[0; 3]).unwrap_err().code, ErrorCode::TOO_LONG);
        assert!(LastNodeSeq::new(MAX_NODE_SEQ).is_ok());
        assert_eq!(LastNodeSeq::new(MAX_NODE_SEQ + 1).unwrap_err().code, ErrorCode::BAD_NODE_SEQ);
        assert!(Seq::new(MAX_SEQ).is_ok());
        assert_eq!(Seq::new(0).unwrap_err().code, ErrorCode::BAD_POSITION);
        assert_eq!(Seq::new(MAX_SEQ + 1).unwrap_err().code, ErrorCode::BAD_POSITION);
    }
}
