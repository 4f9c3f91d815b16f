//! The stand-alone record of BlazeDB (SPEC.md 4.3).

use alloc::vec::Vec;

use super::fields::{Fields, FieldsRef, Known, each_field};
use super::parse::Context;
use crate::error::{BuildError, DecodeError};
use crate::limits::MAX_RECORD;
use crate::registry::ErrorCode;
use crate::wire::parse::{array, at_offset, fail, u8, u16, whole};
use crate::wire::{CountingSink, Sink, crc32};

const MAGIC: &[u8; 5] = b"BLAZE";
/// Magic, version, count and checksum.
const MIN_CHECKED: usize = 12;

/// Whether a record ends with a checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordVersion {
    /// Version 01: no checksum.
    Plain,
    /// Version 02: CRC-32 of everything before it.
    Checked,
}

/// A record, as a view over its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordRef<'a> {
    /// Whether it carries a checksum.
    pub version: RecordVersion,
    /// Its fields.
    pub fields: FieldsRef<'a>,
}

impl<'a> RecordRef<'a> {
    /// Decodes a record that fills `bytes`.
    ///
    /// # Errors
    /// The first rule of SPEC.md 4 that the bytes break.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        //= VAL-23
        if bytes.len() > MAX_RECORD {
            return Err(DecodeError::new(ErrorCode::TOO_LONG, 0, "record"));
        }
        let (version, body) = Self::envelope(bytes).map_err(|error| at_offset(bytes, error))?;
        whole(body, "record", |input| {
            let (rest, count) = u16("field count")(input)?;
            //= VAL-24
            let (end, ()) = each_field(rest, count, &Context::PLAIN, &mut Known::none(), |_, _| {})?;
            let raw = rest.get(..rest.len() - end.len()).unwrap_or_default();
            Ok((end, Self { version, fields: FieldsRef { count, raw } }))
        })
        .map_err(|error| error.shifted(6))
    }

    /// Magic, version and checksum; gives what stands between version and checksum.
    fn envelope(bytes: &'a [u8]) -> Result<(RecordVersion, &'a [u8]), nom::Err<crate::wire::parse::At<'a>>> {
        let (rest, magic) = array::<5>("magic")(bytes)?;
        //= VAL-20
        if magic != MAGIC {
            return fail(bytes, ErrorCode::BAD_MAGIC, "magic");
        }
        let (body, version) = u8("record version")(rest)?;
        match version {
            1 => Ok((RecordVersion::Plain, body)),
            2 => {
                //= VAL-22
                let Some((covered, check)) =
                    bytes.split_last_chunk::<4>().filter(|_| bytes.len() >= MIN_CHECKED)
                else {
                    return fail(body, ErrorCode::TRUNCATED, "record checksum");
                };
                if crc32(covered) != u32::from_be_bytes(*check) {
                    return fail(check, ErrorCode::BAD_CHECKSUM, "record checksum");
                }
                Ok((RecordVersion::Checked, covered.get(6..).unwrap_or_default()))
            }
            //= VAL-21
            _ => fail(rest, ErrorCode::UNSUPPORTED_VERSION, "record version"),
        }
    }

    /// Writes the record.
    pub fn encode<S: Sink>(&self, sink: &mut S) {
        encode(sink, self.version, |sink| {
            sink.put_u16(self.fields.count);
            sink.put(self.fields.raw);
        });
    }
}

/// A record that an application built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    version: RecordVersion,
    fields: Fields,
}

impl Record {
    /// A record of `fields`, which come from [`Fields::plain`].
    ///
    /// # Errors
    /// `TOO_LONG` if its bytes would be more than 983,040 (VAL-23), `MISPLACED_VALUE` for `removed`,
    /// `patch` or `counter` (VAL-24).
    pub fn new(version: RecordVersion, fields: Fields) -> Result<Self, BuildError> {
        for (_, value) in fields.iter() {
            value.check(super::Place::Plain)?;
        }
        let record = Self { version, fields };
        if CountingSink::count(|sink| record.encode(sink)) > MAX_RECORD {
            return Err(BuildError::new(ErrorCode::TOO_LONG, "record"));
        }
        Ok(record)
    }

    /// Writes the record.
    pub fn encode<S: Sink>(&self, sink: &mut S) {
        encode(sink, self.version, |sink| self.fields.encode(sink));
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode(&mut bytes);
        bytes
    }
}

fn encode<S: Sink>(sink: &mut S, version: RecordVersion, fields: impl FnOnce(&mut S)) {
    let start = sink.written();
    sink.put(MAGIC);
    match version {
        RecordVersion::Plain => {
            sink.put_u8(1);
            fields(sink);
        }
        RecordVersion::Checked => {
            sink.put_u8(2);
            fields(sink);
            let check = sink.crc32_from(start);
            sink.put_u32(check);
        }
    }
}
