//! Values as keys: bytes that compare as SPEC.md 7.15 orders values, and are equal where values are.
//!
//! The first byte is the class of the value, in the order of step 4; what follows orders within the class.
//! So one comparison of bytes, in Rust or in an index of SQLite, does what the specification says.

use blazedb_relay::registry::Tag;

/// Of nothing.
pub(crate) const NOTHING: &[u8] = &[1];
/// Of null.
pub(crate) const NULL: &[u8] = &[NULL_CLASS];
pub(crate) const STRING: u8 = 5;
pub(crate) const UUID: u8 = 6;
const NULL_CLASS: u8 = 2;
const BOOL: u8 = 3;
const NUMBER: u8 = 4;
const DATA: u8 = 7;
const DATE: u8 = 8;
const VECTOR: u8 = 9;
const SEALED: u8 = 10;
const ARRAY: u8 = 11;
const DICTIONARY: u8 = 12;

/// Of a dictionary that has no encoding since it is larger than any may be: it equals nothing that can be
/// asked for, and stands behind all others.
pub(crate) const BOUNDLESS: &[u8] = &[DICTIONARY, 0xFF];

/// Whether values of a key's class can be less or greater, or only equal.
pub(crate) fn is_ordered(key: &[u8]) -> bool {
    matches!(key.first(), Some(&(BOOL | NUMBER | STRING | UUID | DATA | DATE)))
}

/// The key of a value, from its encoding.
pub(crate) fn of(encoding: &[u8]) -> Vec<u8> {
    let Some((&tag, payload)) = encoding.split_first() else { return NOTHING.to_vec() };
    let classed = |class: u8, payload: &[u8]| {
        let mut key = Vec::with_capacity(1 + payload.len());
        key.push(class);
        key.extend_from_slice(payload);
        key
    };
    // Long strings, data and sealed values have four bytes of length in front.
    let long = payload.get(4..).unwrap_or_default();
    match Tag(tag) {
        Tag::NULL => classed(NULL_CLASS, &[]),
        Tag::BOOL => classed(BOOL, payload),
        Tag::INT => payload.try_into().map_or_else(|_| NOTHING.to_vec(), |it| int(i64::from_be_bytes(it))),
        Tag::SMALL_INT => int(payload.first().copied().unwrap_or_default().into()),
        Tag::DOUBLE => {
            payload.try_into().map_or_else(|_| NOTHING.to_vec(), |it| double(f64::from_be_bytes(it)))
        }
        Tag::STRING => classed(STRING, long),
        Tag::EMPTY_STRING => classed(STRING, &[]),
        Tag::UUID => classed(UUID, payload),
        Tag::DATA => classed(DATA, long),
        Tag::DATE => payload.try_into().map_or_else(
            |_| NOTHING.to_vec(),
            |it| classed(DATE, &ordered(f64::from_be_bytes(it)).to_be_bytes()),
        ),
        Tag::VECTOR => classed(VECTOR, encoding),
        Tag::SEALED => classed(SEALED, encoding),
        Tag::ARRAY | Tag::EMPTY_ARRAY => classed(ARRAY, encoding),
        Tag::DICTIONARY | Tag::EMPTY_DICTIONARY => classed(DICTIONARY, encoding),
        _ if tag & 0xF0 == 0x20 => classed(STRING, payload),
        // Removed, and what no content has.
        _ => NOTHING.to_vec(),
    }
}

/// The key of a record's id.
pub(crate) fn of_id(record: &[u8]) -> Vec<u8> {
    let mut key = vec![UUID];
    key.extend_from_slice(record);
    key
}

/// The bits of a float so that they compare as numbers: -0 is 0, NaN is below all others.
fn ordered(value: f64) -> u64 {
    if value.is_nan() {
        return 0;
    }
    // Adding 0 makes -0 what it equals.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

/// A double, with room for what an int has above the double below it.
fn double(value: f64) -> Vec<u8> {
    number(value, 0)
}

fn int(value: i64) -> Vec<u8> {
    #[allow(clippy::cast_precision_loss, reason = "what is lost is put behind it")]
    let mut below = value as f64;
    // Rounding went up: the double before that is below.
    #[allow(clippy::cast_possible_truncation, reason = "an i64 made this, or 2^63")]
    if below as i128 > i128::from(value) {
        below = below.next_down();
    }
    // Doubles of that size are 1,024 apart at most.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 1,023")]
    let rest = (i128::from(value) - below as i128) as u16;
    number(below, rest)
}

fn number(below: f64, rest: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(11);
    key.push(NUMBER);
    key.extend_from_slice(&ordered(below).to_be_bytes());
    key.extend_from_slice(&rest.to_be_bytes());
    key
}

/// The smallest bytes that are greater than all that begin with `bytes`.
pub(crate) fn after(bytes: &[u8]) -> Vec<u8> {
    let mut end = bytes.to_vec();
    while let Some(last) = end.pop() {
        if let Some(next) = last.checked_add(1) {
            end.push(next);
            break;
        }
    }
    end
}

/// Appends a key so that several behind one another compare one after the other: none is a beginning of
/// another.
pub(crate) fn push_part(out: &mut Vec<u8>, key: &[u8]) {
    for byte in key {
        out.push(*byte);
        if *byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// The beginning of all parts whose keys begin with `key`.
pub(crate) fn part_beginning(key: &[u8]) -> Vec<u8> {
    let mut part = Vec::with_capacity(key.len() + 2);
    push_part(&mut part, key);
    part.truncate(part.len() - 2);
    part
}

#[cfg(test)]
mod tests {
    use super::*;
    use blazedb_relay::value::Value;

    fn key(value: impl Into<Value>) -> Vec<u8> {
        of(&value.into().to_bytes().unwrap())
    }

    #[test]
    fn numbers_compare_by_value() {
        let ascending = [
            key(f64::NAN),
            key(f64::NEG_INFINITY),
            key(-1e300),
            key(i64::MIN),
            key(i64::MIN + 1),
            key(-9_007_199_254_740_993),
            key(-9_007_199_254_740_992),
            key(-1),
            key(-0.5),
            key(0),
            key(f64::MIN_POSITIVE),
            key(1),
            key(1.5),
            key(255),
            key(256),
            key(9_007_199_254_740_992),
            key(9_007_199_254_740_993),
            key(9_007_199_254_740_994.0),
            key(i64::MAX - 1_024),
            key(i64::MAX - 1),
            key(i64::MAX),
            key(9_223_372_036_854_775_808.0),
            key(f64::INFINITY),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b), "{ascending:x?}");
        assert_eq!(key(1), key(1.0));
        assert_eq!(key(0), key(-0.0));
        assert_eq!(key(i64::MIN), key(-9_223_372_036_854_775_808.0));
        assert_eq!(key(-f64::NAN), key(f64::NAN));
    }

    #[test]
    fn parts_compare_one_after_the_other() {
        let parts = |keys: &[&[u8]]| {
            let mut out = Vec::new();
            keys.iter().for_each(|key| push_part(&mut out, key));
            out
        };
        let ascending = [
            parts(&[b"a", b"z"]),
            parts(&[b"a\0", b"a"]),
            parts(&[b"a\0\0", b"a"]),
            parts(&[b"a\0\x01"]),
            parts(&[b"a\x01", b""]),
            parts(&[b"ab"]),
        ];
        assert!(ascending.is_sorted_by(|a, b| a < b));
        assert_eq!(after(b"a\xFF\xFF"), b"b");
        assert_eq!(after(b"\xFF"), b"");
    }
}
