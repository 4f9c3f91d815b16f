//! Values that an application builds or keeps.

use alloc::boxed::Box;
use alloc::vec::Vec;

use uuid::Uuid;

use super::parse::Place;
use super::{F64, ValueRef, put_bytes32, put_container, put_int, put_string};
use crate::error::BuildError;
use crate::limits::{MAX_BYTES, MAX_DEPTH, MAX_PATCH_KEYS};
use crate::registry::{ErrorCode, Tag};
use crate::wire::{CountingSink, Sink, Timestamp};

/// A value that stands by itself.
///
/// It can hold more than the wire can (a text of a gigabyte, say); [`Fields::new`](super::Fields::new)
/// and [`Value::to_bytes`] refuse that.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// Null.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Double(F64),
    /// Text.
    String(Box<str>),
    /// A UUID.
    Uuid(Uuid),
    /// Seconds since 2001-01-01T00:00:00Z.
    Date(F64),
    /// Bytes.
    Data(Box<[u8]>),
    /// Values in order.
    Array(Vec<Self>),
    /// Values by key.
    Dictionary(Entries),
    /// This field or entry is deleted.
    Removed,
    /// Writes to single entries of a dictionary.
    Patch(Entries),
    /// What one node has added since a reset.
    Counter {
        /// The reset it counts from; may be never.
        base: Timestamp,
        /// The sum of the node's increments since.
        total: i64,
    },
    /// Floats of 32 bits, as bits.
    Vector(Box<[u32]>),
    /// An encrypted value.
    Sealed(Box<[u8]>),
}

/// Entries of a dictionary or patch: unique keys, ascending.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Entries(Vec<(Box<str>, Value)>);

impl Entries {
    /// Entries in any order; they are sorted here.
    ///
    /// # Errors
    /// `DUPLICATE` for a key given twice (VAL-9).
    pub fn new(mut entries: Vec<(Box<str>, Value)>) -> Result<Self, BuildError> {
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        if entries.windows(2).any(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
            return Err(BuildError::new(ErrorCode::DUPLICATE, "key"));
        }
        Ok(Self(entries))
    }

    /// Entries that ascend by key.
    pub(crate) const fn ascending(entries: Vec<(Box<str>, Value)>) -> Self {
        Self(entries)
    }

    /// The value at `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        let found = self.0.binary_search_by(|(this, _)| (**this).cmp(key)).ok()?;
        self.0.get(found).map(|(_, value)| value)
    }

    /// The value at `key`, without the others.
    pub(crate) fn into_value(self, key: &str) -> Option<Value> {
        self.0.into_iter().find(|(this, _)| **this == *key).map(|(_, value)| value)
    }

    /// The entries, ascending by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (&**key, value))
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
}

impl Value {
    /// The bytes of a value that may stand as the value of a field of an operation.
    ///
    /// # Errors
    /// `TOO_LONG`, `TOO_MANY`, `TOO_DEEP`, `EMPTY` or `MISPLACED_VALUE`: the rule of SPEC.md 4.1 that
    /// it would break.
    pub fn to_bytes(&self) -> Result<Vec<u8>, BuildError> {
        self.check(Place::Field)?;
        let mut bytes = Vec::with_capacity(CountingSink::count(|sink| self.encode(sink)));
        self.encode(&mut bytes);
        Ok(bytes)
    }

    /// Whether the wire can carry this value at `place`.
    pub(super) fn check(&self, place: Place) -> Result<(), BuildError> {
        self.check_below(place, 0, 0)
    }

    /// Inside `open` containers, below `keys` bytes of patches' keys.
    fn check_below(&self, place: Place, open: usize, keys: usize) -> Result<(), BuildError> {
        let err = |code, field| Err(BuildError::new(code, field));
        match self {
            Self::String(text) if text.len() > MAX_BYTES => err(ErrorCode::TOO_LONG, "string"),
            Self::Data(bytes) if bytes.len() > MAX_BYTES => err(ErrorCode::TOO_LONG, "data"),
            Self::Sealed(bytes) if bytes.len() > MAX_BYTES => err(ErrorCode::TOO_LONG, "sealed"),
            Self::Sealed(bytes) if bytes.is_empty() => err(ErrorCode::EMPTY, "sealed"),
            Self::Vector(bits) if bits.len() > usize::from(u16::MAX) => err(ErrorCode::TOO_MANY, "vector"),
            Self::Removed | Self::Counter { .. } | Self::Patch(_) if place != Place::Field => {
                err(ErrorCode::MISPLACED_VALUE, "value")
            }
            Self::Patch(entries) if entries.is_empty() => err(ErrorCode::EMPTY, "patch"),
            Self::Patch(_) if keys > MAX_PATCH_KEYS => err(ErrorCode::TOO_LONG, "patch keys"),
            Self::Array(items) => {
                check_container(items.len(), open)?;
                items.iter().try_for_each(|value| value.check_below(Place::Plain, open + 1, 0))
            }
            Self::Dictionary(entries) | Self::Patch(entries) => {
                check_container(entries.len(), open)?;
                let inner = if matches!(self, Self::Patch(_)) { Place::Field } else { Place::Plain };
                entries.iter().try_for_each(|(key, value)| {
                    if key.len() > usize::from(u16::MAX) {
                        return err(ErrorCode::TOO_LONG, "key");
                    }
                    value.check_below(inner, open + 1, keys + key.len())
                })
            }
            Self::Null
            | Self::Bool(_)
            | Self::Int(_)
            | Self::Double(_)
            | Self::String(_)
            | Self::Uuid(_)
            | Self::Date(_)
            | Self::Data(_)
            | Self::Removed
            | Self::Counter { .. }
            | Self::Vector(_)
            | Self::Sealed(_) => Ok(()),
        }
    }

    /// The greatest base of the counters inside, or never (VAL-14).
    pub(crate) fn greatest_base(&self) -> Timestamp {
        if let Self::Counter { base, .. } = self {
            return *base;
        }
        // Counters stand nowhere else (VAL-12).
        let Self::Patch(entries) = self else { return Timestamp::NEVER };
        entries.iter().map(|(_, value)| value.greatest_base()).max().unwrap_or(Timestamp::NEVER)
    }

    /// Writes a value that was checked. The most frequent kinds are written where this is inlined.
    #[inline]
    #[allow(clippy::wildcard_enum_match_arm, reason = "the other function has them all")]
    pub(crate) fn encode<S: Sink>(&self, sink: &mut S) {
        match self {
            Self::Int(value) => put_int(sink, *value),
            Self::String(text) => put_string(sink, text),
            _ => self.encode_any(sink),
        }
    }

    #[inline(never)]
    fn encode_any<S: Sink>(&self, sink: &mut S) {
        match self {
            Self::Int(value) => put_int(sink, *value),
            Self::String(text) => put_string(sink, text),
            Self::Null => ValueRef::Null.encode(sink),
            Self::Bool(value) => ValueRef::Bool(*value).encode(sink),
            Self::Double(value) => ValueRef::Double(*value).encode(sink),
            Self::Uuid(uuid) => ValueRef::Uuid(*uuid).encode(sink),
            Self::Date(value) => ValueRef::Date(*value).encode(sink),
            Self::Data(bytes) => put_bytes32(sink, Tag::DATA, bytes),
            Self::Array(items) => encode_array(sink, items),
            Self::Dictionary(entries) => {
                encode_entries(sink, Tag::DICTIONARY, Tag::EMPTY_DICTIONARY, entries);
            }
            Self::Removed => ValueRef::Removed.encode(sink),
            Self::Patch(entries) => encode_entries(sink, Tag::PATCH, Tag::PATCH, entries),
            Self::Counter { base, total } => {
                sink.put_u8(Tag::COUNTER.0);
                base.encode(sink);
                sink.put(&total.to_be_bytes());
            }
            Self::Vector(bits) => {
                sink.put_u8(Tag::VECTOR.0);
                sink.put_u16(count(bits.len()));
                for bits in bits {
                    sink.put_u32(*bits);
                }
            }
            Self::Sealed(bytes) => put_bytes32(sink, Tag::SEALED, bytes),
        }
    }
}

// Recursion here is bounded: `check` refused more than MAX_DEPTH open containers.

fn encode_array<S: Sink>(sink: &mut S, items: &[Value]) {
    put_container(sink, Tag::ARRAY, Tag::EMPTY_ARRAY, count(items.len()));
    for value in items {
        value.encode(sink);
    }
}

fn encode_entries<S: Sink>(sink: &mut S, tag: Tag, empty: Tag, entries: &Entries) {
    put_container(sink, tag, empty, count(entries.len()));
    for (key, value) in entries.iter() {
        sink.put_u16(count(key.len()));
        sink.put(key.as_bytes());
        value.encode(sink);
    }
}

/// A count that was checked to fit.
#[allow(clippy::cast_possible_truncation, reason = "checked by `check`")]
const fn count(len: usize) -> u16 {
    len as u16
}

fn check_container(len: usize, open: usize) -> Result<(), BuildError> {
    if len > usize::from(u16::MAX) {
        return Err(BuildError::new(ErrorCode::TOO_MANY, "count"));
    }
    if len > 0 && open >= MAX_DEPTH {
        return Err(BuildError::new(ErrorCode::TOO_DEEP, "value"));
    }
    Ok(())
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Null => Self::Null,
            ValueRef::Bool(value) => Self::Bool(value),
            ValueRef::Int(value) => Self::Int(value),
            ValueRef::Double(value) => Self::Double(value),
            ValueRef::String(text) => Self::String(text.into()),
            ValueRef::Uuid(uuid) => Self::Uuid(uuid),
            ValueRef::Date(value) => Self::Date(value),
            ValueRef::Data(bytes) => Self::Data(bytes.into()),
            ValueRef::Array(array) => Self::Array(array.iter().map(Self::from).collect()),
            ValueRef::Dictionary(entries) => Self::Dictionary(entries.into()),
            ValueRef::Removed => Self::Removed,
            ValueRef::Patch(entries) => Self::Patch(entries.into()),
            ValueRef::Counter(counter) => Self::Counter { base: counter.base(), total: counter.total() },
            ValueRef::Vector(vector) => Self::Vector(vector.bits().collect()),
            ValueRef::Sealed(bytes) => Self::Sealed(bytes.into()),
        }
    }
}

impl From<super::EntriesRef<'_>> for Entries {
    fn from(entries: super::EntriesRef<'_>) -> Self {
        Self(entries.iter().map(|(key, value)| (key.into(), Value::from(value))).collect())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Double(value.into())
    }
}

impl From<Uuid> for Value {
    fn from(uuid: Uuid) -> Self {
        Self::Uuid(uuid)
    }
}
