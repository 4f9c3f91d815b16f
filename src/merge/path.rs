//! Paths, and the bytes that stand for them wherever they are a key.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use uuid::Uuid;

use crate::error::BuildError;
use crate::limits::{MAX_DEPTH, MAX_FIELD_NAME};
use crate::registry::ErrorCode;
use crate::wire::{CollectionName, FieldName, Sink};

/// Stands between two components.
const SEPARATOR: u8 = 0;
/// Stands before a byte of text that is a separator or an escape itself, which then is one greater.
const ESCAPE: u8 = 1;
/// Most components below the record: a field, and a key for each patch that may be open (VAL-10).
const MAX_COMPONENTS: usize = MAX_DEPTH + 1;

/// Where a register or counter stands: collection and record, then a field, then keys of dictionaries.
///
/// # Canonical bytes
///
/// The collection's name, `00`, the record's sixteen bytes, then *what stands below the record*: the
/// field's name and the keys, each but the first after `00`. In names and keys, byte `00` is written
/// `01 01` and byte `01` is written `01 02`; all others stand for themselves. So
///
/// - one path has one form, and the forms sort as the paths do: component by component as bytes, a path
///   before those below it. Rust, SQL and any key-value store agree on that order;
/// - the paths below a path p that has a field are those whose form begins with p and `00`; those below
///   a record are all longer ones that begin with it.
///
/// A store with a column for each part keeps [`Self::collection`], [`Self::record`] and [`Self::below`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathRef<'a> {
    collection: &'a str,
    record: Uuid,
    below: &'a [u8],
}

impl<'a> PathRef<'a> {
    pub(super) const fn new(collection: &'a str, record: Uuid, below: &'a [u8]) -> Self {
        Self { collection, record, below }
    }

    /// The collection.
    #[must_use]
    pub const fn collection(self) -> &'a str {
        self.collection
    }

    /// The record.
    #[must_use]
    pub const fn record(self) -> Uuid {
        self.record
    }

    /// The canonical bytes of field and keys; none for the record itself.
    #[must_use]
    pub const fn below(self) -> &'a [u8] {
        self.below
    }

    /// True for the record itself.
    #[must_use]
    pub const fn is_record(self) -> bool {
        self.below.is_empty()
    }

    /// The canonical bytes of the field that it stands in.
    pub(super) fn field(self) -> Option<&'a [u8]> {
        components(self.below).next()
    }

    /// The field and the keys below it.
    pub fn components(self) -> impl Iterator<Item = Cow<'a, str>> {
        components(self.below).map(text)
    }

    /// Writes the canonical bytes.
    pub fn encode(self, sink: &mut impl Sink) {
        let mut collection = Vec::with_capacity(self.collection.len());
        push_escaped(&mut collection, self.collection.as_bytes());
        sink.put(&collection);
        sink.put_u8(SEPARATOR);
        sink.put(self.record.as_bytes());
        sink.put(self.below);
    }

    /// The canonical bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.collection.len() + 17 + self.below.len());
        self.encode(&mut bytes);
        bytes
    }
}

/// A [`PathRef`] that owns its parts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    collection: CollectionName,
    record: Uuid,
    below: Vec<u8>,
}

impl Path {
    /// The path of a record.
    #[must_use]
    pub const fn record(collection: CollectionName, record: Uuid) -> Self {
        Self { collection, record, below: Vec::new() }
    }

    /// The path of a field.
    #[must_use]
    pub fn field(collection: CollectionName, record: Uuid, name: &FieldName) -> Self {
        let mut below = Vec::with_capacity(name.as_str().len());
        push_escaped(&mut below, name.as_str().as_bytes());
        Self { collection, record, below }
    }

    /// The path of a key below this one.
    ///
    /// # Errors
    /// `TOO_DEEP` below 64 keys, `TOO_LONG` for a key of more than 65,535 bytes, `EMPTY` below a record,
    /// where a field must come first.
    pub fn key(mut self, key: &str) -> Result<Self, BuildError> {
        if self.below.is_empty() {
            return Err(BuildError::new(ErrorCode::EMPTY, "field name"));
        }
        push(&mut self.below, key.as_bytes());
        check_below(&self.below)?;
        Ok(self)
    }

    /// The path with these parts, as a store kept them.
    ///
    /// # Errors
    /// As [`Self::from_bytes`].
    pub fn from_parts(collection: &str, record: Uuid, below: &[u8]) -> Result<Self, BuildError> {
        check_below(below)?;
        Ok(Self { collection: CollectionName::new(collection)?, record, below: below.into() })
    }

    /// The path that these canonical bytes stand for.
    ///
    /// # Errors
    /// `TRUNCATED`, `NON_CANONICAL`, `BAD_UTF8`, `EMPTY`, `TOO_LONG` or `TOO_DEEP`: no path has this form.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BuildError> {
        let truncated = || BuildError::new(ErrorCode::TRUNCATED, "path");
        let end = bytes.iter().position(|byte| *byte == SEPARATOR).ok_or_else(truncated)?;
        let (collection, rest) = bytes.split_at(end);
        let (record, below) =
            rest.get(1..).and_then(|rest| rest.split_first_chunk()).ok_or_else(truncated)?;
        Self::from_parts(&checked(collection)?, Uuid::from_bytes(*record), below)
    }

    /// The same path, borrowed.
    #[must_use]
    pub fn as_ref(&self) -> PathRef<'_> {
        PathRef::new(self.collection.as_str(), self.record, &self.below)
    }
}

impl TryFrom<PathRef<'_>> for Path {
    type Error = BuildError;

    /// Does not fail for a path that a state gave.
    fn try_from(path: PathRef<'_>) -> Result<Self, BuildError> {
        Self::from_parts(path.collection, path.record, path.below)
    }
}

/// Whether these are the canonical bytes of a field and keys.
pub(super) fn check_below(below: &[u8]) -> Result<(), BuildError> {
    if components(below).nth(MAX_COMPONENTS).is_some() {
        return Err(BuildError::new(ErrorCode::TOO_DEEP, "path"));
    }
    for (i, component) in components(below).enumerate() {
        let text = checked(component)?;
        match i {
            0 if text.is_empty() => return Err(BuildError::new(ErrorCode::EMPTY, "field name")),
            0 if text.len() > MAX_FIELD_NAME => {
                return Err(BuildError::new(ErrorCode::TOO_LONG, "field name"));
            }
            _ if text.len() > usize::from(u16::MAX) => {
                return Err(BuildError::new(ErrorCode::TOO_LONG, "key"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// The text that a component stands for, if it is in canonical form.
fn checked(component: &[u8]) -> Result<Cow<'_, str>, BuildError> {
    let mut bytes = component.iter();
    while let Some(byte) = bytes.next() {
        if *byte == ESCAPE && !matches!(bytes.next(), Some(1 | 2)) {
            return Err(BuildError::new(ErrorCode::NON_CANONICAL, "path"));
        }
    }
    if core::str::from_utf8(component).is_err() {
        return Err(BuildError::new(ErrorCode::BAD_UTF8, "path"));
    }
    Ok(text(component))
}

/// Appends a component one level further down; the first is the field.
#[inline]
pub(super) fn push(below: &mut Vec<u8>, component: &[u8]) {
    below.push(SEPARATOR);
    push_escaped(below, component);
}

/// Appends the first component.
#[inline]
pub(super) fn push_escaped(below: &mut Vec<u8>, component: &[u8]) {
    if component.iter().all(|byte| *byte > ESCAPE) {
        below.extend_from_slice(component);
        return;
    }
    for byte in component {
        match *byte {
            SEPARATOR | ESCAPE => below.extend_from_slice(&[ESCAPE, *byte + 1]),
            _ => below.push(*byte),
        }
    }
}

/// The components of the canonical bytes below a record.
fn components(below: &[u8]) -> impl Iterator<Item = &[u8]> {
    below.split(|byte| *byte == SEPARATOR).take(if below.is_empty() { 0 } else { usize::MAX })
}

/// The text of a component, which is in canonical form.
pub(super) fn text(component: &[u8]) -> Cow<'_, str> {
    if !component.contains(&ESCAPE) {
        return Cow::Borrowed(core::str::from_utf8(component).unwrap_or_default());
    }
    let mut text = String::with_capacity(component.len());
    let mut chars = core::str::from_utf8(component).unwrap_or_default().chars();
    while let Some(char) = chars.next() {
        match (char, char == '\u{1}') {
            (_, true) => text.push(if chars.next() == Some('\u{1}') { '\0' } else { '\u{1}' }),
            (char, false) => text.push(char),
        }
    }
    Cow::Owned(text)
}

/// The canonical bytes of each path above, from the record down to that of the parent.
pub(super) fn above(below: &[u8]) -> impl Iterator<Item = &[u8]> {
    let record = (!below.is_empty()).then_some(&[] as &[u8]);
    let others = below.iter().enumerate().filter(|(_, byte)| **byte == SEPARATOR);
    record.into_iter().chain(others.filter_map(|(end, _)| below.get(..end)))
}

/// The path above `path` that is one component longer than `p`, which is above `path`.
pub(super) fn next_level<'a>(path: &'a [u8], p: Option<&[u8]>) -> Option<&'a [u8]> {
    let start = p.map_or(0, |p| p.len() + 1);
    let len = path.get(start..)?.iter().position(|byte| *byte == SEPARATOR)?;
    path.get(..start + len)
}

/// Whether `path` is `p` or below it.
#[inline]
pub(super) fn is_within(path: &[u8], p: &[u8]) -> bool {
    p.is_empty() || path.strip_prefix(p).is_some_and(|rest| matches!(rest.first(), None | Some(&SEPARATOR)))
}
