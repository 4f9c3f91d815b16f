//! Values and fields (SPEC.md 4), with everything in them.

use blazedb_relay::limits::MAX_DEPTH;
use blazedb_relay::registry::{COMMON_NAMES, Tag};

use super::meaning::{self, Meaning};
use super::walk::{Step, Stop, Walker, number, saturated};
use crate::output::counted;

/// Most elements of a vector that are written out.
const MAX_ELEMENTS: usize = 8;

/// A value inside `open` containers.
pub(super) fn value(w: &mut Walker<'_, '_>, open: usize) -> Step {
    let Some(tag) = w.peek(1).first() else { return w.short("value", 1) };
    let tag = Tag(*tag);
    let name = tag.name().unwrap_or("string");
    match tag {
        Tag::NULL | Tag::REMOVED | Tag::EMPTY_STRING | Tag::EMPTY_ARRAY | Tag::EMPTY_DICTIONARY => {
            w.field(1, name, |_| empty(tag))?;
        }
        Tag::SMALL_INT => drop(w.field(2, name, |bytes| meaning::plain(number(after_tag(bytes))))?),
        #[allow(clippy::cast_possible_wrap, reason = "two's complement is the wire form")]
        Tag::INT => {
            w.hold(9);
            w.field(9, name, |bytes| Meaning::plain(number(after_tag(bytes)) as i64))?;
        }
        Tag::BOOL => drop(w.field(2, name, |bytes| meaning::boolean(number(after_tag(bytes))))?),
        Tag::DOUBLE => drop(w.field(9, name, |bytes| Meaning::plain(format!("{:?}", double(bytes))))?),
        Tag::DATE => drop(w.field(9, name, |bytes| Meaning::plain(meaning::date(double(bytes))))?),
        Tag::UUID => drop(w.field(17, name, |bytes| Meaning::uuid(after_tag(bytes)))?),
        Tag::STRING => long(w, name, "text", Meaning::text)?,
        Tag::DATA => long(w, name, "bytes", Meaning::bytes)?,
        Tag::SEALED => long(w, name, "bytes", |bytes| Meaning::bytes(bytes).with(", opaque"))?,
        Tag::VECTOR => vector(w)?,
        Tag::COUNTER => counter(w)?,
        Tag::ARRAY => {
            let count = container(w, name, "value", open)?;
            w.nested(|w| (0..count).try_for_each(|_| value(w, open + 1)))?;
        }
        Tag::DICTIONARY | Tag::PATCH => {
            let count = container(w, name, "entry", open)?;
            w.nested(|w| (0..count).try_for_each(|_| entry(w, open)))?;
        }
        Tag(0x21..=0x2F) => {
            let len = usize::from(tag.0 & 0x0F) + 1;
            w.field(len, name, |bytes| Meaning::text(after_tag(bytes)))?;
        }
        _ => {
            w.field(1, "tag", |_| match tag {
                Tag::LEGACY_VECTOR => Meaning::bad("legacy vector, never legal"),
                _ => Meaning::bad("no such tag"),
            })?;
            return Err(Stop::Lost);
        }
    }
    Ok(())
}

/// A set of fields: its count, then key and value of each.
pub(super) fn fields(w: &mut Walker<'_, '_>) -> Step {
    let count = w.number(2, "field count", |count| Meaning::plain(counted(count, "field")))?;
    w.nested(|w| (0..count).try_for_each(|_| field(w)))
}

fn field(w: &mut Walker<'_, '_>) -> Step {
    const LONG: u8 = 0xFF;
    let Some(key) = w.peek(1).first() else { return w.short("key", 1) };
    match COMMON_NAMES.get(usize::from(*key).wrapping_sub(1)) {
        Some(name) => drop(w.field(1, *name, |_| Meaning::faint(format!("key {key:02x}")))?),
        None if *key == LONG => {
            let len = w.peek(3).get(1..3).map_or(0, number);
            let name = w.peek(3 + saturated(len)).get(3..).unwrap_or_default();
            w.field(3 + saturated(len), meaning::name(name), |bytes| {
                Meaning::text(bytes.get(3..).unwrap_or_default())
            })?;
        }
        None => {
            w.field(1, "key", |_| Meaning::bad("no such key"))?;
            return Err(Stop::Lost);
        }
    }
    w.nested(|w| value(w, 0))
}

fn entry(w: &mut Walker<'_, '_>, open: usize) -> Step {
    let len = w.peek_number(2).map_or(0, saturated);
    let name = w.peek(2 + len).get(2..).unwrap_or_default();
    w.prefixed(2, meaning::name(name), Meaning::text)?;
    w.nested(|w| value(w, open + 1))
}

/// Tag and count of a container that stands inside `open` others.
fn container(w: &mut Walker<'_, '_>, name: &str, what: &str, open: usize) -> Result<u64, Stop> {
    let count = w.field(3, name, |bytes| {
        let count = number(after_tag(bytes));
        let count =
            if what == "entry" && count != 1 { format!("{count} entries") } else { counted(count, what) };
        Meaning::plain(count)
    })?;
    // The codec refuses what nests deeper; here it may stand behind another fault.
    if open >= MAX_DEPTH {
        return Err(Stop::Lost);
    }
    Ok(number(after_tag(count)))
}

/// A value with a length of four bytes: one line for tag and length, one for the rest.
fn long(w: &mut Walker<'_, '_>, name: &str, inside: &str, meaning: fn(&[u8]) -> Meaning) -> Step {
    let len = w.peek(5).get(1..5).map_or(0, number);
    w.hold(5usize.saturating_add(saturated(len)));
    w.field(5, name, |bytes| meaning::length(number(after_tag(bytes))))?;
    if len > 0 {
        w.nested(|w| w.field(saturated(len), inside, meaning))?;
    }
    Ok(())
}

fn vector(w: &mut Walker<'_, '_>) -> Step {
    let count = w.field(3, "vector", |bytes| Meaning::plain(counted(number(after_tag(bytes)), "float")))?;
    let count = saturated(number(after_tag(count)));
    if count > 0 {
        w.nested(|w| {
            w.field(count * 4, "elements", |bytes| {
                let elements = bytes.as_chunks().0.iter().map(|bytes| f32::from_be_bytes(*bytes));
                let shown: Vec<_> =
                    elements.take(MAX_ELEMENTS).map(|element| format!("{element:?}")).collect();
                Meaning::plain(shown.join(", ")).with(if count > MAX_ELEMENTS { ", ..." } else { "" })
            })
        })?;
    }
    Ok(())
}

fn counter(w: &mut Walker<'_, '_>) -> Step {
    w.hold(1);
    w.field(1, "counter", |_| Meaning::faint("tag"))?;
    w.nested(|w| {
        w.hold(24);
        let never = w.peek(24).iter().all(|byte| *byte == 0);
        let base = |number| meaning::plain(number).with(if never { ", never" } else { "" });
        w.number(8, "base counter", base)?;
        w.field(16, "base node", Meaning::uuid)?;
        #[allow(clippy::cast_possible_wrap, reason = "two's complement is the wire form")]
        w.number(8, "total", |total| Meaning::plain(total as i64))
    })?;
    Ok(())
}

fn empty(tag: Tag) -> Meaning {
    match tag {
        Tag::EMPTY_STRING => Meaning::text(b""),
        Tag::EMPTY_ARRAY => Meaning::plain("[]"),
        Tag::EMPTY_DICTIONARY => Meaning::plain("{}"),
        Tag::REMOVED => Meaning::word("nothing stands here"),
        _ => Meaning::word("null"),
    }
}

fn after_tag(bytes: &[u8]) -> &[u8] {
    bytes.get(1..).unwrap_or_default()
}

fn double(bytes: &[u8]) -> f64 {
    f64::from_bits(number(after_tag(bytes)))
}
