//! Names: of fields, collections and databases. What can be constructed is legal on the wire.

use alloc::boxed::Box;
use core::fmt;

use super::parse::{self, Res, fail};
use crate::error::BuildError;
use crate::limits::{MAX_COLLECTION_NAME, MAX_DATABASE_NAME, MAX_FIELD_NAME};
use crate::registry::{COMMON_NAMES, ErrorCode};

fn check_len(text: &str, max: usize, field: &'static str) -> Result<(), BuildError> {
    if text.is_empty() {
        return Err(BuildError::new(ErrorCode::EMPTY, field));
    }
    if text.len() > max {
        return Err(BuildError::new(ErrorCode::TOO_LONG, field));
    }
    Ok(())
}

macro_rules! name_type {
    ($(#[$meta:meta])* $type:ident) => {
        $(#[$meta])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(Box<str>);

        impl $type {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&*self.0, f)
            }
        }
    };
}

name_type! {
    /// The name of a collection: 1 to 128 bytes (OPS-12).
    CollectionName
}

name_type! {
    /// The name of a database: a safe file name everywhere (MSG-10).
    DatabaseName
}

impl CollectionName {
    /// A collection's name.
    ///
    /// # Errors
    /// `EMPTY` or `TOO_LONG` (OPS-12).
    pub fn new(text: &str) -> Result<Self, BuildError> {
        check_len(text, MAX_COLLECTION_NAME, "collection")?;
        Ok(Self(text.into()))
    }
}

impl DatabaseName {
    /// A database's name.
    ///
    /// # Errors
    /// `EMPTY`, `TOO_LONG` or `BAD_NAME` (MSG-10).
    pub fn new(text: &str) -> Result<Self, BuildError> {
        check_len(text, MAX_DATABASE_NAME, "database")?;
        if !is_database_name(text) {
            return Err(BuildError::new(ErrorCode::BAD_NAME, "database"));
        }
        Ok(Self(text.into()))
    }
}

fn is_database_name(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    text.bytes().next().is_some_and(plain)
        && text.bytes().all(|b| plain(b) || matches!(b, b'-' | b'_' | b'.'))
}

//= MSG-10
/// A database's name.
pub(crate) fn database_name<'a>(input: &'a [u8]) -> Res<'a, &'a str> {
    let (rest, text) = parse::text8(1..=MAX_DATABASE_NAME, "database")(input)?;
    if !is_database_name(text) {
        // The text begins after its length of one byte.
        return fail(input.get(1..).unwrap_or_default(), ErrorCode::BAD_NAME, "database");
    }
    Ok((rest, text))
}

/// The name of a field, with the key that stands for it: 1 to 255 bytes (VAL-18).
#[derive(Clone, PartialEq, Eq)]
pub struct FieldName {
    text: Box<str>,
    key: Option<u8>,
}

impl FieldName {
    /// A field's name.
    ///
    /// # Errors
    /// `EMPTY` or `TOO_LONG` (VAL-18).
    pub fn new(text: &str) -> Result<Self, BuildError> {
        check_len(text, MAX_FIELD_NAME, "field name")?;
        Ok(Self { text: text.into(), key: common_key(text) })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) const fn key(&self) -> Option<u8> {
        self.key
    }
}

impl fmt::Debug for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

/// The common name that `key` stands for (SPEC.md 4.2).
#[inline]
pub(crate) fn common_name(key: u8) -> Option<&'static str> {
    COMMON_NAMES.get(usize::from(key).wrapping_sub(1)).copied()
}

/// Longest common name; a longer name need not be looked up.
const LONGEST_COMMON: usize = longest(&COMMON_NAMES);

const fn longest(names: &[&str]) -> usize {
    let (mut max, mut i) = (0, 0);
    while i < names.len() {
        if names[i].len() > max {
            max = names[i].len();
        }
        i += 1;
    }
    max
}

/// For each possible hash, the key of the only common name that has it, or 0.
static BY_HASH: [u8; 256] = by_hash();

/// Tells all 58 names apart; the build fails if it does not.
#[inline]
const fn hash(name: &[u8]) -> u8 {
    match name {
        [first, .., last] => {
            let middle = name[name.len() / 2];
            (*first as usize * MULTIPLIERS.0
                + *last as usize * MULTIPLIERS.1
                + middle as usize * MULTIPLIERS.2
                + name.len()) as u8
        }
        _ => 0,
    }
}

const MULTIPLIERS: (usize, usize, usize) = (153, 118, 251);

const fn by_hash() -> [u8; 256] {
    let mut table = [0; 256];
    let mut i = 0;
    while i < COMMON_NAMES.len() {
        let place = hash(COMMON_NAMES[i].as_bytes()) as usize;
        assert!(table[place] == 0, "two common names have one hash");
        #[allow(clippy::cast_possible_truncation, reason = "58 names")]
        {
            table[place] = i as u8 + 1;
        }
        i += 1;
    }
    table
}

/// The key that stands for `name`, if it is a common one.
#[inline]
pub(crate) fn common_key(name: &str) -> Option<u8> {
    if name.len() > LONGEST_COMMON {
        return None;
    }
    let key = BY_HASH.get(usize::from(hash(name.as_bytes()))).copied()?;
    (common_name(key)? == name).then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    //= VAL-17 test
    #[test]
    fn every_common_name_has_its_key() {
        for (i, name) in COMMON_NAMES.iter().enumerate() {
            assert_eq!(common_key(name).map(usize::from), Some(i + 1), "{name}");
            assert_eq!(common_name(u8::try_from(i + 1).unwrap()), Some(*name));
        }
        for name in ["", "i", "Id", "ids", "organizationIdX", "titles"] {
            assert_eq!(common_key(name), None, "{name}");
        }
        assert_eq!((common_name(0), common_name(59)), (None, None));
    }

    #[test]
    fn database_names_are_safe_file_names() {
        for good in ["a", "0", "app.v2_test-1"] {
            assert!(DatabaseName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../x", "A", "a/b", "a\0", "-a", "é"] {
            assert!(DatabaseName::new(bad).is_err(), "{bad}");
        }
    }
}
