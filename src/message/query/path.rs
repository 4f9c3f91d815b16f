//! Where in a row something stands.

use core::fmt;
use core::ops::RangeInclusive;

use crate::limits::{MAX_PATH, MAX_PATH_COMPONENT};
use crate::message::checked::{Text, put_bytes16};
use crate::message::list::{Before, Item, List};
use crate::registry::ErrorCode;
use crate::wire::Sink;
use crate::wire::parse::{Res, fail, u8};

/// A source of the query and a place in its records.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PathRef<'a> {
    source: u8,
    components: List<'a, PathComponent<'a>, MAX_PATH>,
}

/// The name of a field or key of a dictionary: 1 to 1,024 bytes (QRY-3).
pub type PathComponent<'a> = Text<'a, 1, MAX_PATH_COMPONENT>;

impl<'a> PathRef<'a> {
    pub(super) const FIELD: &'static str = "path";

    /// 0 for the collection of the query, i for that of join number i.
    #[must_use]
    pub const fn source(self) -> u8 {
        self.source
    }

    /// The name of a field, then keys of dictionaries. None means the record's id.
    #[must_use]
    pub const fn components(self) -> List<'a, PathComponent<'a>, MAX_PATH> {
        self.components
    }

    /// True if the path means the record's id.
    #[must_use]
    pub const fn is_record_id(self) -> bool {
        self.components.is_empty()
    }
}

impl fmt::Debug for PathRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:?}", self.source, self.components)
    }
}

/// A path whose source is one of `sources`.
pub(super) fn path<'a>(sources: RangeInclusive<u8>) -> impl Fn(&'a [u8]) -> Res<'a, PathRef<'a>> {
    move |input| {
        let (rest, source) = u8("source")(input)?;
        //= QRY-4
        if !sources.contains(&source) {
            return fail(input, ErrorCode::OUT_OF_RANGE, "source");
        }
        //= QRY-3
        let (rest, components) = List::decode(rest)?;
        Ok((rest, PathRef { source, components }))
    }
}

/// Any source: for paths that were checked before.
pub(super) const ANY_SOURCE: RangeInclusive<u8> = 0..=u8::MAX;

impl<'a> Item<'a> for PathRef<'a> {
    const FIELD: &'static str = Self::FIELD;

    fn decode(input: &'a [u8], _: &Before<'a, Self>) -> Res<'a, Self> {
        path(ANY_SOURCE)(input)
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u8(self.source);
        self.components.encode(sink);
    }
}

impl<'a> Item<'a> for PathComponent<'a> {
    const FIELD: &'static str = "path";

    fn decode(input: &'a [u8], _: &Before<'a, Self>) -> Res<'a, Self> {
        Self::text16(<Self as Item<'_>>::FIELD)(input)
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        put_bytes16(sink, self.as_str().as_bytes());
    }
}
