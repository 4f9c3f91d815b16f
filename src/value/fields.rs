//! Fields: names and values of an operation or record (SPEC.md 4.2).

use alloc::vec::Vec;
use core::fmt;

use super::ValueRef;
use super::owned::Value;
use super::parse::{Context, Place, show_value, value};
use crate::error::BuildError;
use crate::limits::MAX_FIELD_NAME;
use crate::registry::{COMMON_NAMES, ErrorCode};
use crate::wire::parse::{Res, ascending, bytes16, fail, u8, utf8};
use crate::wire::{FieldName, Sink, common_key};

/// Key byte of a name that is not common.
const SPELLED_OUT: u8 = 0xFF;

/// The common names by key, from key 1 on, each with its rank among them from 1 on, so that two of them
/// are ordered without a look at their letters.
static COMMON: [(&str, u8); COMMON_NAMES.len()] = ranked();

const fn ranked() -> [(&'static str, u8); COMMON_NAMES.len()] {
    let mut ranked = [("", 1); COMMON_NAMES.len()];
    let mut i = 0;
    while i < COMMON_NAMES.len() {
        ranked[i].0 = COMMON_NAMES[i];
        let mut j = 0;
        while j < COMMON_NAMES.len() {
            if less(COMMON_NAMES[j].as_bytes(), COMMON_NAMES[i].as_bytes()) {
                ranked[i].1 += 1;
            }
            j += 1;
        }
        i += 1;
    }
    ranked
}

const fn less(a: &[u8], b: &[u8]) -> bool {
    let mut i = 0;
    while i < a.len() && i < b.len() {
        if a[i] != b[i] {
            return a[i] < b[i];
        }
        i += 1;
    }
    a.len() < b.len()
}

/// A name as it was read, with its rank if it is a common one, else 0.
#[derive(Clone, Copy)]
struct Key<'a> {
    name: &'a str,
    rank: u8,
}

/// Names that were read and checked before. The operations of a block repeat a few names again and again,
/// and to see that one is the same is cheaper than to check it again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    pub(crate) collection: &'a str,
    /// Names of fields that are not common, each at its length modulo 8.
    spelled_out: [&'a str; 8],
}

impl Known<'_> {
    pub(crate) const fn none() -> Self {
        Self { collection: "", spelled_out: [""; 8] }
    }
}

#[inline(always)]
fn key<'a>(input: &'a [u8], known: &mut Known<'a>) -> Res<'a, Key<'a>> {
    let (rest, byte) = u8("field key")(input)?;
    if let Some((name, rank)) = COMMON.get(usize::from(byte).wrapping_sub(1)) {
        return Ok((rest, Key { name, rank: *rank }));
    }
    //= VAL-16
    if byte != SPELLED_OUT {
        return fail(input, ErrorCode::UNKNOWN_KEY, "field key");
    }
    //= VAL-18
    let (rest, name) = bytes16(1..=MAX_FIELD_NAME, "field name")(rest)?;
    let place = &mut known.spelled_out[name.len() % 8];
    if place.as_bytes() != name {
        let name = utf8(name, "field name")?;
        //= VAL-17
        if common_key(name).is_some() {
            return fail(input, ErrorCode::NON_CANONICAL, "field key");
        }
        *place = name;
    }
    Ok((rest, Key { name: place, rank: 0 }))
}

/// The name of a field that was checked before, as bytes.
#[inline]
fn checked_key(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (byte, rest) = input.split_first()?;
    if let Some((name, _)) = COMMON.get(usize::from(*byte).wrapping_sub(1)) {
        return Some((name.as_bytes(), rest));
    }
    let (len, rest) = rest.split_first_chunk()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))
}

/// Reads `count` fields and shows each to `seen`.
#[inline(always)]
pub(crate) fn each_field<'a>(
    input: &'a [u8],
    count: u16,
    context: &Context,
    known: &mut Known<'a>,
    mut seen: impl FnMut(&'a str, ValueRef<'a>),
) -> Res<'a, ()> {
    let mut rest = input;
    let mut last: Option<Key<'a>> = None;
    for _ in 0..count {
        let (after, this) = key(rest, known)?;
        //= VAL-19
        if let Some(last) = last
            && !(last.rank != 0 && last.rank < this.rank)
        {
            ascending(rest, Some(&last.name), &this.name, "field key")?;
        }
        last = Some(this);
        (rest, ()) = show_value(after, context, |value| seen(this.name, value))?;
    }
    Ok((rest, ()))
}

/// Writes the key that stands for a name.
#[inline]
fn put_key(sink: &mut impl Sink, name: &str, key: Option<u8>) {
    if let Some(key) = key {
        return sink.put_u8(key);
    }
    // A FieldName has at most 255 bytes.
    #[allow(clippy::cast_possible_truncation, reason = "at most MAX_FIELD_NAME")]
    sink.put(&[SPELLED_OUT, 0, name.len() as u8]);
    sink.put(name.as_bytes());
}

/// Fields, as a view over bytes that were checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FieldsRef<'a> {
    pub(crate) count: u16,
    pub(crate) raw: &'a [u8],
}

impl<'a> FieldsRef<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.count as usize
    }

    /// True if there are none, as in a delete.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The fields, ascending by name.
    #[must_use]
    pub const fn iter(self) -> FieldsIter<'a> {
        FieldsIter { raw: self.raw }
    }

    /// Shows the bytes of each name and each value to `seen`.
    #[inline]
    pub(crate) fn each_raw(self, mut seen: impl FnMut(&'a [u8], &'a [u8])) {
        let mut rest = self.raw;
        while let Some((name, value_at)) = checked_key(rest)
            && let Ok((after, _)) = value(value_at, &Context::ANY)
        {
            seen(name, value_at.get(..value_at.len() - after.len()).unwrap_or_default());
            rest = after;
        }
    }

    /// The value of the field of that name.
    #[must_use]
    pub fn get(self, name: &str) -> Option<ValueRef<'a>> {
        self.iter().find(|(this, _)| *this == name).map(|(_, value)| value)
    }
}

impl fmt::Debug for FieldsRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Walks a [`FieldsRef`], whose bytes were checked before.
#[derive(Clone, Debug)]
pub struct FieldsIter<'a> {
    raw: &'a [u8],
}

impl<'a> Iterator for FieldsIter<'a> {
    type Item = (&'a str, ValueRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (rest, key) = key(self.raw, &mut Known::none()).ok()?;
        let (rest, value) = value(rest, &Context::ANY).ok()?;
        self.raw = rest;
        Some((key.name, value))
    }
}

/// Fields that an application built: unique names, ascending, legal values.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Fields(Vec<(FieldName, Value)>);

impl Fields {
    /// Fields of an operation. They are sorted here; the order given does not matter.
    ///
    /// # Errors
    /// `DUPLICATE` for a name given twice, `TOO_MANY` over 65,535 fields, and what
    /// [`Value`] names for a value that the protocol cannot carry.
    pub fn new(fields: Vec<(FieldName, Value)>) -> Result<Self, BuildError> {
        Self::checked(fields, Place::Field)
    }

    /// Fields of a stand-alone record: without `removed`, `patch` and `counter`.
    ///
    /// # Errors
    /// As [`Self::new`], and `MISPLACED_VALUE`.
    pub fn plain(fields: Vec<(FieldName, Value)>) -> Result<Self, BuildError> {
        Self::checked(fields, Place::Plain)
    }

    fn checked(mut fields: Vec<(FieldName, Value)>, place: Place) -> Result<Self, BuildError> {
        fields.sort_by(|(a, _), (b, _)| a.as_str().cmp(b.as_str()));
        if fields.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
            return Err(BuildError::new(ErrorCode::DUPLICATE, "field name"));
        }
        if u16::try_from(fields.len()).is_err() {
            return Err(BuildError::new(ErrorCode::TOO_MANY, "field count"));
        }
        for (_, value) in &fields {
            value.check(place)?;
        }
        Ok(Self(fields))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The fields, ascending by name.
    pub fn iter(&self) -> impl Iterator<Item = (&FieldName, &Value)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// A view over these fields, of which the bytes are put into `bytes`.
    pub(crate) fn encoded<'a>(&self, bytes: &'a mut Vec<u8>) -> FieldsRef<'a> {
        bytes.clear();
        self.encode(bytes);
        #[allow(clippy::cast_possible_truncation, reason = "checked by the constructor")]
        FieldsRef { count: self.0.len() as u16, raw: bytes.get(2..).unwrap_or_default() }
    }

    /// Writes count and fields.
    #[inline]
    pub(crate) fn encode(&self, sink: &mut impl Sink) {
        #[allow(clippy::cast_possible_truncation, reason = "checked by the constructor")]
        sink.put_u16(self.0.len() as u16);
        for (name, value) in &self.0 {
            put_key(sink, name.as_str(), name.key());
            value.encode(sink);
        }
    }
}

impl From<FieldsRef<'_>> for Fields {
    fn from(fields: FieldsRef<'_>) -> Self {
        // What was decoded is legal, so the constructors cannot refuse it.
        Self(
            fields
                .iter()
                .filter_map(|(name, value)| Some((FieldName::new(name).ok()?, Value::from(value))))
                .collect(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_order_as_names_do() {
        let mut common = COMMON;
        common.sort_by_key(|(_, rank)| *rank);
        assert!(common.is_sorted());
        assert!(common.iter().map(|(_, rank)| *rank).eq(1..=58));
    }

    #[test]
    fn a_known_name_stands_for_itself_only() {
        let spelled_out = |name: &[u8]| [&[SPELLED_OUT, 0, u8::try_from(name.len()).unwrap()], name].concat();
        let read = [b"alpha", b"omega", b"alpha", b"alpha", b"title", b"om\xFFga", b"alpha"]
            .map(|name| spelled_out(name));
        let mut known = Known::none();
        let names = read.each_ref().map(|bytes| key(bytes, &mut known).map(|(_, key)| key.name).ok());
        let alpha = Some("alpha");
        assert_eq!(names, [alpha, Some("omega"), alpha, alpha, None, None, alpha]);
    }
}
