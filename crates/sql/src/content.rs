//! Finding a value in a record's content.

use std::borrow::Cow;

use blazedb_relay::registry::Tag;
use blazedb_relay::value::{Entries, Value};

use crate::key;

/// The fields of a live record, as a store keeps them.
#[derive(Clone, Copy, Debug)]
pub enum Content<'a> {
    /// The encoding of the dictionary of its fields.
    Encoded(&'a [u8]),
    /// The fields; where there is no encoding, or none is kept.
    Fields(&'a Entries),
}

/// What stands at a path.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    Nothing,
    /// The encoding of a value.
    Encoded(Cow<'a, [u8]>),
    /// A dictionary that has no encoding.
    Boundless(&'a Entries),
}

impl Found<'_> {
    pub(crate) fn key(&self) -> Vec<u8> {
        match self {
            Self::Nothing => key::NOTHING.to_vec(),
            Self::Encoded(encoding) => key::of(encoding),
            Self::Boundless(_) => key::BOUNDLESS.to_vec(),
        }
    }
}

impl<'a> Content<'a> {
    /// What stands at a path of one component or more.
    pub(crate) fn at<'p>(self, mut components: impl Iterator<Item = &'p [u8]>) -> Found<'a> {
        match self {
            Self::Encoded(mut encoding) => {
                for component in components {
                    match entry(encoding, component) {
                        Some(value) => encoding = value,
                        None => return Found::Nothing,
                    }
                }
                Found::Encoded(Cow::Borrowed(encoding))
            }
            Self::Fields(fields) => {
                let get = |entries: &'a Entries, key: &[u8]| entries.get(core::str::from_utf8(key).ok()?);
                let Some(mut value) = components.next().and_then(|first| get(fields, first)) else {
                    return Found::Nothing;
                };
                for component in components {
                    let Value::Dictionary(entries) = value else { return Found::Nothing };
                    let Some(entry) = get(entries, component) else { return Found::Nothing };
                    value = entry;
                }
                match (value.to_bytes(), value) {
                    (Ok(bytes), _) => Found::Encoded(Cow::Owned(bytes)),
                    (Err(_), Value::Dictionary(entries)) => Found::Boundless(entries),
                    (Err(_), _) => Found::Nothing,
                }
            }
        }
    }
}

/// Whether the value at a path contains another one (SPEC.md 7.15). `wanted` is an encoding.
pub(crate) fn contains(found: &Found<'_>, wanted: &[u8]) -> bool {
    let wanted_key = key::of(wanted);
    let text = wanted_key.strip_prefix(&[key::STRING]);
    let encoding = match found {
        Found::Nothing => return false,
        Found::Boundless(entries) => {
            let text = text.and_then(|text| core::str::from_utf8(text).ok());
            return text.is_some_and(|text| entries.get(text).is_some());
        }
        Found::Encoded(encoding) => encoding,
    };
    match encoding.first().map(|tag| Tag(*tag)) {
        Some(Tag::DICTIONARY) => text.is_some_and(|text| entry(encoding, text).is_some()),
        Some(Tag::ARRAY) => elements(encoding).any(|element| key::of(element) == wanted_key),
        _ => match (key::of(encoding).strip_prefix(&[key::STRING]), text) {
            (Some(all), Some(part)) => is_within(all, part),
            _ => false,
        },
    }
}

/// Whether a text stands in another, in time linear in both (the one of `str` is).
fn is_within(all: &[u8], part: &[u8]) -> bool {
    match (core::str::from_utf8(all), core::str::from_utf8(part)) {
        (Ok(all), Ok(part)) => all.contains(part),
        _ => false,
    }
}

/// The encoding of a dictionary's value at `key`.
fn entry<'a>(dictionary: &'a [u8], wanted: &[u8]) -> Option<&'a [u8]> {
    let (Some(&tag), Some(count)) = (dictionary.first(), u16_at(dictionary, 1)) else { return None };
    if Tag(tag) != Tag::DICTIONARY {
        return None;
    }
    let mut rest = dictionary.get(3..)?;
    for _ in 0..count {
        let end = 2 + usize::from(u16_at(rest, 0)?);
        let key = rest.get(2..end)?;
        let value = rest.get(end..)?;
        // Keys ascend (VAL-9).
        if key > wanted {
            return None;
        }
        let len = len(value)?;
        if key == wanted {
            return value.get(..len);
        }
        rest = value.get(len..)?;
    }
    None
}

/// The encodings of an array's elements.
fn elements(array: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = array.get(3..).unwrap_or_default();
    let count = u16_at(array, 1).unwrap_or_default();
    (0..count).map_while(move |_| {
        let (element, others) = rest.split_at_checked(len(rest)?)?;
        rest = others;
        Some(element)
    })
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

/// How many bytes the value has that begins here. The bytes were checked before they were stored, so this
/// only finds the end; what is damaged has none.
fn len(bytes: &[u8]) -> Option<usize> {
    // Of each open container: values that are left, and whether keys stand before them.
    let mut open: Vec<(u16, bool)> = Vec::new();
    let mut at = 0;
    loop {
        let tag = *bytes.get(at)?;
        let payload = at + 1;
        let long = || Some(4 + u32::from_be_bytes(*bytes.get(payload..)?.first_chunk()?) as usize);
        at = payload
            + match Tag(tag) {
                Tag::NULL | Tag::REMOVED | Tag::EMPTY_STRING | Tag::EMPTY_ARRAY | Tag::EMPTY_DICTIONARY => 0,
                Tag::BOOL | Tag::SMALL_INT => 1,
                Tag::INT | Tag::DOUBLE | Tag::DATE => 8,
                Tag::UUID => 16,
                Tag::STRING | Tag::DATA | Tag::SEALED => long()?,
                Tag::VECTOR => 2 + 4 * usize::from(u16_at(bytes, payload)?),
                Tag::ARRAY | Tag::DICTIONARY => {
                    open.push((u16_at(bytes, payload)?, Tag(tag) == Tag::DICTIONARY));
                    2
                }
                _ if tag & 0xF0 == 0x20 => usize::from(tag & 0x0F),
                _ => return None,
            };
        // The next value, which another level may hold.
        loop {
            let Some((left, has_keys)) = open.last_mut() else {
                return (at <= bytes.len()).then_some(at);
            };
            if *left > 0 {
                *left -= 1;
                if *has_keys {
                    at += 2 + usize::from(u16_at(bytes, at)?);
                }
                break;
            }
            open.pop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary(entries: Vec<(&str, Value)>) -> Value {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Value::Dictionary(Entries::new(entries).unwrap())
    }

    #[test]
    fn every_kind_of_value_is_passed_over_and_found() {
        let id = uuid::Uuid::from_u128(7);
        let values = [
            Value::Null,
            Value::Bool(true),
            Value::from(3),
            Value::from(-3),
            Value::from(0.5),
            Value::from(""),
            Value::from("short"),
            Value::from("a text of more than fifteen bytes"),
            Value::from(id),
            Value::Date(1.5.into()),
            Value::Data(vec![1, 2].into()),
            Value::Array(vec![]),
            Value::Array(vec![Value::from(1), Value::Array(vec![Value::Null])]),
            dictionary(vec![]),
            dictionary(vec![("", Value::from(1)), ("x", dictionary(vec![("y", Value::from("z"))]))]),
            Value::Vector(vec![1, 2, 3].into()),
            Value::Sealed(vec![9].into()),
        ];
        let names: Vec<_> = (0..values.len()).map(|i| format!("f{i:02}")).collect();
        let fields = names.iter().map(String::as_str).zip(values.clone()).collect();
        let all = dictionary(fields);
        let encoding = all.to_bytes().unwrap();
        let Value::Dictionary(fields) = &all else { panic!() };
        for content in [Content::Encoded(&encoding), Content::Fields(fields)] {
            for (name, value) in names.iter().zip(&values) {
                let Found::Encoded(found) = content.at([name.as_bytes()].into_iter()) else {
                    panic!("{name}")
                };
                assert_eq!(*found, value.to_bytes().unwrap());
            }
            let at = |path: &[&str]| content.at(path.iter().map(|it| it.as_bytes())).key();
            assert_eq!(at(&["f14", "x", "y"]), key::of(&Value::from("z").to_bytes().unwrap()));
            assert_eq!(at(&["f14", "x", "z"]), key::NOTHING);
            assert_eq!(at(&["f06", "x"]), key::NOTHING);
            assert_eq!(at(&["g"]), key::NOTHING);
        }
        for end in 0..encoding.len() {
            assert_eq!(len(&encoding[..end]), None, "{end}");
        }
        assert_eq!(len(&encoding), Some(encoding.len()));
    }
}
