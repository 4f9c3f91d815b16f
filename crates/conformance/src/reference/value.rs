//! Values (4.1).

use serde_json::{Value as Json, json};

use super::ids::Timestamp;
use super::json::{decimal, hex, timestamp, uuid};
use super::reader::{Reader, Zero, ascending, utf8};
use super::{Fault, Place, fail};

/// The most bytes of a string, data or sealed value.
const MAX_BYTES: usize = 983_040;
/// The most containers that are open at once.
const MAX_DEPTH: usize = 64;
/// The most bytes of the keys under which a patch stands in other patches.
const MAX_PATCH_KEYS: usize = 255;

/// What surrounds a value, besides its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Around {
    /// Whether `crdt` was agreed on.
    pub(super) crdt: bool,
    /// The timestamp of the operation that the value stands in.
    pub(super) timestamp: Option<Timestamp>,
}

impl Around {
    /// Where `removed`, `patch` and `counter` are not to be had, it does not matter what was agreed on.
    pub(super) const NOTHING: Self = Self { crdt: false, timestamp: None };
}

/// The value that begins here.
pub(super) fn read(reader: &mut Reader<'_>, place: Place, around: &Around) -> Result<Json, Fault> {
    value(reader, place, around, 0, 0)
}

/// A value inside `open` containers, below `keys` bytes of patches' keys. It calls itself for what they contain, but never more than 64 deep.
fn value(
    reader: &mut Reader<'_>,
    place: Place,
    around: &Around,
    open: usize,
    keys: usize,
) -> Result<Json, Fault> {
    let start = reader.at();
    let tag = reader.u8()?;
    if !matches!(tag, 0x01..=0x12 | 0x18 | 0x19 | 0x21..=0x2F) {
        return fail("UNKNOWN_TAG", start); // VAL-1
    }
    if tag == 0x0A {
        return fail("LEGACY_VECTOR", start); // VAL-2
    }
    if matches!(tag, 0x0C..=0x0E) {
        let fits = match place {
            Place::Plain => false,
            Place::Field => true,
            Place::Cell => tag == 0x0C,
        };
        if !fits {
            return fail("MISPLACED_VALUE", start); // VAL-12, VAL-24, QRY-8, QRY-15
        }
        if place == Place::Field && !around.crdt {
            return fail("NOT_NEGOTIATED", start); // OPS-18
        }
    }
    if matches!(tag, 0x08 | 0x09 | 0x0D) && open == MAX_DEPTH {
        return fail("TOO_DEEP", start); // VAL-10
    }
    if tag == 0x0D && keys > MAX_PATCH_KEYS {
        return fail("TOO_LONG", start); // VAL-26
    }
    Ok(match tag {
        0x01 => {
            let text = reader.text(4, MAX_BYTES, Zero::Legal)?.text; // VAL-7, VAL-8
            if text.len() < 16 {
                return fail("NON_CANONICAL", start); // VAL-3
            }
            json!({ "type": "string", "value": text })
        }
        0x02 => {
            let number = reader.i64()?;
            if (0..=255).contains(&number) {
                return fail("NON_CANONICAL", start); // VAL-4
            }
            json!({ "type": "int", "value": decimal(number) })
        }
        0x03 => json!({ "type": "double", "bits": hex(reader.take(8)?) }),
        0x04 => {
            let at = reader.at();
            let byte = reader.u8()?;
            if byte > 1 {
                return fail("BAD_BOOL", at); // VAL-6
            }
            json!({ "type": "bool", "value": byte == 1 })
        }
        0x05 => json!({ "type": "uuid", "value": uuid(&reader.uuid()?) }),
        0x06 => json!({ "type": "date", "bits": hex(reader.take(8)?) }),
        0x07 => {
            let data = reader.item(4, MAX_BYTES, Zero::Legal)?; // VAL-7
            json!({ "type": "data", "hex": hex(data.bytes) })
        }
        0x08 => {
            let count = reader.u16()?;
            if count == 0 {
                return fail("NON_CANONICAL", start); // VAL-5
            }
            let mut items = Vec::new();
            for _ in 0..count {
                items.push(value(reader, Place::Plain, around, open + 1, 0)?);
            }
            json!({ "type": "array", "items": items })
        }
        0x09 => {
            let count = reader.u16()?;
            if count == 0 {
                return fail("NON_CANONICAL", start); // VAL-5
            }
            let entries = entries(reader, count, Place::Plain, around, open + 1, 0)?;
            json!({ "type": "dictionary", "entries": entries })
        }
        0x0B => json!({ "type": "null" }),
        0x0C => json!({ "type": "removed" }),
        0x0D => {
            let at = reader.at();
            let count = reader.u16()?;
            if count == 0 {
                return fail("EMPTY", at); // VAL-11
            }
            let entries = entries(reader, count, Place::Field, around, open + 1, keys)?;
            json!({ "type": "patch", "entries": entries })
        }
        0x0E => {
            let at = reader.at();
            let base = Timestamp::read_base(reader)?; // VAL-13
            if around.timestamp.is_some_and(|timestamp| base >= timestamp) {
                return fail("BAD_BASE", at); // VAL-14
            }
            let total = reader.i64()?;
            json!({ "type": "counter", "base": timestamp(&base), "total": decimal(total) })
        }
        0x0F => {
            let count = usize::from(reader.u16()?);
            let elements = reader.take(count * 4)?;
            let bits: Vec<Json> = elements.chunks_exact(4).map(hex).collect();
            json!({ "type": "vector", "bits": bits })
        }
        0x10 => {
            let sealed = reader.item(4, MAX_BYTES, Zero::Forbidden)?; // VAL-7, VAL-15
            json!({ "type": "sealed", "hex": hex(sealed.bytes) })
        }
        0x11 => json!({ "type": "string", "value": "" }),
        0x12 => json!({ "type": "int", "value": decimal(reader.u8()?) }),
        0x18 => json!({ "type": "array", "items": [] }),
        0x19 => json!({ "type": "dictionary", "entries": [] }),
        // 21 to 2F: nothing else is left
        _ => {
            let from = reader.at();
            let bytes = reader.take(usize::from(tag & 0x0F))?;
            json!({ "type": "string", "value": utf8(bytes, from)? })
        }
    })
}

/// The entries of a dictionary or patch, whose values stand at `place`, below `keys` bytes of patches' keys.
fn entries(
    reader: &mut Reader<'_>,
    count: u16,
    place: Place,
    around: &Around,
    open: usize,
    keys: usize,
) -> Result<Vec<Json>, Fault> {
    let mut entries = Vec::new();
    let mut before = None;
    for _ in 0..count {
        let key = reader.text(2, usize::from(u16::MAX), Zero::Legal)?;
        ascending(before, key.text, key.length_at)?; // VAL-9
        before = Some(key.text);
        entries.push(json!([key.text, value(reader, place, around, open, keys + key.text.len())?]));
    }
    Ok(entries)
}
