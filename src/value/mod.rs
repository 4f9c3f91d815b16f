//! BlazeBinary values, fields and stand-alone records (SPEC.md 4).
//!
//! [`ValueRef`] is a view over bytes that were checked once; [`Value`] is the same thing built by an
//! application.

mod fields;
mod owned;
mod parse;
mod record;

use core::fmt;

use uuid::Uuid;

pub use fields::{Fields, FieldsIter, FieldsRef};
pub(crate) use fields::{Known, each_field};
pub use owned::{Entries, Value};
pub(crate) use parse::{Context, Place, entry_key, value};
pub use record::{Record, RecordRef, RecordVersion};

use crate::error::DecodeError;
use crate::registry::{Capabilities, Capability, Tag};
use crate::wire::{Sink, Timestamp, parse as wire};

/// A float compared by its bits: NaN equals itself, and -0 differs from 0.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct F64(u64);

impl F64 {
    /// The float with these bits.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Its bits.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        self.0
    }

    /// The float.
    #[must_use]
    pub const fn get(self) -> f64 {
        f64::from_bits(self.0)
    }
}

impl From<f64> for F64 {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

impl fmt::Debug for F64 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.get(), f)
    }
}

/// A value, as a view over its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ValueRef<'a> {
    /// Null, which is a value like any other.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A float.
    Double(F64),
    /// Text.
    String(&'a str),
    /// A UUID.
    Uuid(Uuid),
    /// Seconds since 2001-01-01T00:00:00Z.
    Date(F64),
    /// Bytes.
    Data(&'a [u8]),
    /// Values in order.
    Array(ArrayRef<'a>),
    /// Values by key.
    Dictionary(EntriesRef<'a>),
    /// This field or entry is deleted.
    Removed,
    /// Writes to single entries of a dictionary.
    Patch(EntriesRef<'a>),
    /// What one node has added since a reset.
    Counter(CounterRef<'a>),
    /// Floats of 32 bits.
    Vector(VectorRef<'a>),
    /// An encrypted value.
    Sealed(&'a [u8]),
}

impl<'a> ValueRef<'a> {
    /// Decodes a value that stands by itself, without `removed`, `patch` and `counter` (VAL-12).
    ///
    /// # Errors
    /// The first rule of SPEC.md 4.1 that the bytes break.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        //= VAL-25
        wire::whole(bytes, "value", |input| value(input, &Context::PLAIN))
    }

    /// Decodes a value that may stand as the value of a field of an operation, where `capabilities` were
    /// agreed on: `removed`, `patch` and `counter` need `crdt` (OPS-18).
    ///
    /// # Errors
    /// The first rule of SPEC.md 4.1 that the bytes break, but for VAL-14.
    pub fn decode_field(bytes: &'a [u8], capabilities: Capabilities) -> Result<Self, DecodeError> {
        let context = Context { crdt: capabilities.has(Capability::CRDT), ..Context::ANY };
        wire::whole(bytes, "value", |input| value(input, &context))
    }

    /// Decodes a cell of a query response: `removed` says that there is nothing (QRY-15).
    ///
    /// # Errors
    /// The first rule of SPEC.md 4.1 and 7.14 that the bytes break.
    pub fn decode_cell(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        wire::whole(bytes, "cell", |input| value(input, &Context::CELL))
    }

    /// Writes the value.
    #[inline]
    pub fn encode(&self, sink: &mut impl Sink) {
        match *self {
            Self::Null => sink.put_u8(Tag::NULL.0),
            Self::Bool(value) => sink.put(&[Tag::BOOL.0, u8::from(value)]),
            Self::Int(value) => put_int(sink, value),
            Self::Double(value) => put_eight(sink, Tag::DOUBLE, value.0),
            Self::String(text) => put_string(sink, text),
            Self::Uuid(uuid) => {
                sink.put_u8(Tag::UUID.0);
                sink.put(uuid.as_bytes());
            }
            Self::Date(value) => put_eight(sink, Tag::DATE, value.0),
            Self::Data(bytes) => put_bytes32(sink, Tag::DATA, bytes),
            Self::Array(array) => {
                put_container(sink, Tag::ARRAY, Tag::EMPTY_ARRAY, array.count);
                sink.put(array.raw);
            }
            Self::Dictionary(entries) => {
                put_container(sink, Tag::DICTIONARY, Tag::EMPTY_DICTIONARY, entries.count);
                sink.put(entries.raw);
            }
            Self::Removed => sink.put_u8(Tag::REMOVED.0),
            Self::Patch(entries) => {
                put_container(sink, Tag::PATCH, Tag::PATCH, entries.count);
                sink.put(entries.raw);
            }
            Self::Counter(counter) => {
                sink.put_u8(Tag::COUNTER.0);
                sink.put(counter.raw);
            }
            Self::Vector(vector) => {
                sink.put_u8(Tag::VECTOR.0);
                // The count is what the wire said: a u16.
                #[allow(clippy::cast_possible_truncation, reason = "at most 65,535 elements")]
                sink.put_u16(vector.len() as u16);
                sink.put(vector.raw);
            }
            Self::Sealed(bytes) => put_bytes32(sink, Tag::SEALED, bytes),
        }
    }
}

//= VAL-4
#[inline]
fn put_int(sink: &mut impl Sink, value: i64) {
    match u8::try_from(value) {
        Ok(small) => sink.put(&[Tag::SMALL_INT.0, small]),
        #[allow(clippy::cast_sign_loss, reason = "two's complement is the wire form")]
        Err(_) => put_eight(sink, Tag::INT, value as u64),
    }
}

#[inline]
fn put_eight(sink: &mut impl Sink, tag: Tag, bits: u64) {
    let mut bytes = [tag.0; 9];
    if let Some(place) = bytes.last_chunk_mut() {
        *place = bits.to_be_bytes();
    }
    sink.put(&bytes);
}

//= VAL-3
#[inline]
fn put_string(sink: &mut impl Sink, text: &str) {
    match u8::try_from(text.len()) {
        Ok(0) => sink.put_u8(Tag::EMPTY_STRING.0),
        Ok(len @ 1..=15) => {
            sink.put_u8(0x20 | len);
            sink.put(text.as_bytes());
        }
        _ => put_bytes32(sink, Tag::STRING, text.as_bytes()),
    }
}

#[inline]
fn put_bytes32(sink: &mut impl Sink, tag: Tag, bytes: &[u8]) {
    // Lengths are at most MAX_BYTES wherever a value can be built.
    #[allow(clippy::cast_possible_truncation, reason = "at most MAX_BYTES")]
    let [a, b, c, d] = (bytes.len() as u32).to_be_bytes();
    sink.put(&[tag.0, a, b, c, d]);
    sink.put(bytes);
}

//= VAL-5
fn put_container(sink: &mut impl Sink, tag: Tag, empty: Tag, count: u16) {
    if count == 0 {
        return sink.put_u8(empty.0);
    }
    let [a, b] = count.to_be_bytes();
    sink.put(&[tag.0, a, b]);
}

/// The values of an array.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ArrayRef<'a> {
    count: u16,
    raw: &'a [u8],
}

impl<'a> ArrayRef<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.count as usize
    }

    /// True for `[]`.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The values in order.
    #[must_use]
    pub const fn iter(self) -> ArrayIter<'a> {
        ArrayIter { raw: self.raw }
    }
}

impl fmt::Debug for ArrayRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Walks an [`ArrayRef`], whose bytes were checked before.
#[derive(Clone, Debug)]
pub struct ArrayIter<'a> {
    raw: &'a [u8],
}

impl<'a> Iterator for ArrayIter<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<ValueRef<'a>> {
        let (rest, value) = value(self.raw, &Context::ANY).ok()?;
        self.raw = rest;
        Some(value)
    }
}

/// The entries of a dictionary or patch, ascending by key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct EntriesRef<'a> {
    count: u16,
    raw: &'a [u8],
}

impl<'a> EntriesRef<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.count as usize
    }

    /// True for `{}`.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// The entries in order.
    #[must_use]
    pub const fn iter(self) -> EntriesIter<'a> {
        EntriesIter { raw: self.raw }
    }
}

impl fmt::Debug for EntriesRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Walks an [`EntriesRef`], whose bytes were checked before.
#[derive(Clone, Debug)]
pub struct EntriesIter<'a> {
    raw: &'a [u8],
}

impl<'a> Iterator for EntriesIter<'a> {
    type Item = (&'a str, ValueRef<'a>);

    fn next(&mut self) -> Option<(&'a str, ValueRef<'a>)> {
        let (rest, key) = entry_key(self.raw).ok()?;
        let (rest, value) = value(rest, &Context::ANY).ok()?;
        self.raw = rest;
        Some((key, value))
    }
}

/// What one node has added at one path since a reset (SPEC.md 12).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct CounterRef<'a> {
    raw: &'a [u8; 32],
}

impl CounterRef<'_> {
    /// The reset it counts from; may be never.
    #[must_use]
    pub fn base(self) -> Timestamp {
        wire_base(self.raw).unwrap_or(Timestamp::NEVER)
    }

    /// The sum of the node's increments since.
    #[must_use]
    pub const fn total(self) -> i64 {
        let [.., a, b, c, d, e, f, g, h] = *self.raw;
        i64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

fn wire_base(raw: &[u8; 32]) -> Option<Timestamp> {
    crate::wire::timestamp_or_never("base")(raw).ok().map(|(_, base)| base)
}

impl fmt::Debug for CounterRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter").field("base", &self.base()).field("total", &self.total()).finish()
    }
}

/// The elements of a vector.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct VectorRef<'a> {
    raw: &'a [u8],
}

impl<'a> VectorRef<'a> {
    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.raw.len() / 4
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// The elements in order, as bits.
    pub fn bits(self) -> impl Iterator<Item = u32> + 'a {
        self.raw.as_chunks().0.iter().map(|bytes| u32::from_be_bytes(*bytes))
    }
}

impl fmt::Debug for VectorRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.bits().map(f32::from_bits)).finish()
    }
}
