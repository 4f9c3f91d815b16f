//! Fields: names and values of an operation or record (SPEC.md 4.2).

use alloc::vec::Vec;
use core::fmt;

use super::ValueRef;
use super::owned::Value;
use super::parse::{Context, Place, value};
use crate::error::BuildError;
use crate::limits::MAX_FIELD_NAME;
use crate::registry::{COMMON_NAMES, ErrorCode};
use crate::wire::parse::{Res, ascending, fail, text16, u8};
use crate::wire::{FieldName, Sink, common_key, common_name};

/// Key byte of a name that is not common.
const SPELLED_OUT: u8 = 0xFF;

/// For each key byte the rank of its name among the common names from 1 on, so that two of them are
/// ordered without a look at their letters.
static RANK: [u8; 59] = ranks();

const fn ranks() -> [u8; 59] {
    let mut ranks = [0; 59];
    let mut i = 0;
    while i < COMMON_NAMES.len() {
        let (mut rank, mut j) = (1, 0);
        while j < COMMON_NAMES.len() {
            if less(COMMON_NAMES[j].as_bytes(), COMMON_NAMES[i].as_bytes()) {
                rank += 1;
            }
            j += 1;
        }
        ranks[i + 1] = rank;
        i += 1;
    }
    ranks
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

/// A name as it was read, with its rank if it is a common one.
#[derive(Clone, Copy)]
struct Key<'a> {
    name: &'a str,
    rank: Option<u8>,
}

#[inline]
fn key(input: &[u8]) -> Res<'_, Key<'_>> {
    let (rest, byte) = u8("field key")(input)?;
    if let Some(name) = common_name(byte) {
        return Ok((rest, Key { name, rank: RANK.get(usize::from(byte)).copied() }));
    }
    //= VAL-16
    if byte != SPELLED_OUT {
        return fail(input, ErrorCode::UNKNOWN_KEY, "field key");
    }
    //= VAL-18
    let (rest, name) = text16(1..=MAX_FIELD_NAME, "field name")(rest)?;
    //= VAL-17
    if common_key(name).is_some() {
        return fail(input, ErrorCode::NON_CANONICAL, "field key");
    }
    Ok((rest, Key { name, rank: None }))
}

/// Reads `count` fields and shows each to `seen`.
#[inline]
pub(crate) fn each_field<'a>(
    input: &'a [u8],
    count: u16,
    context: &Context,
    mut seen: impl FnMut(&'a str, ValueRef<'a>),
) -> Res<'a, ()> {
    let mut rest = input;
    let mut last: Option<Key<'a>> = None;
    for _ in 0..count {
        let (after, this) = key(rest)?;
        //= VAL-19
        match last {
            Some(Key { rank: Some(before), .. }) if this.rank.is_some_and(|rank| rank > before) => {}
            Some(Key { name, .. }) => ascending(rest, Some(&name), &this.name, "field key")?,
            None => {}
        }
        last = Some(this);
        let (after, value) = value(after, context)?;
        seen(this.name, value);
        rest = after;
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
        let (rest, key) = key(self.raw).ok()?;
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
        let mut keys: Vec<u8> = (1..=58).collect();
        keys.sort_by_key(|key| RANK[usize::from(*key)]);
        let names: Vec<_> = keys.iter().map(|key| common_name(*key).unwrap()).collect();
        assert!(names.is_sorted());
    }
}
