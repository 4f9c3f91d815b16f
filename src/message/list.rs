//! Lists of a message: bytes that were proved once, or a borrowed slice of items.

#![allow(private_bounds, reason = "lists hold items of this module only; the trait would promise more")]

use core::fmt;

use crate::error::BuildError;
use crate::registry::ErrorCode;
use crate::wire::Sink;
use crate::wire::parse::{At, Res, count8, count16};

/// What a [`List`] may hold.
pub(super) trait Item<'a>: Copy + PartialEq + fmt::Debug {
    /// The name of the list, as in the tables of SPEC.md.
    const FIELD: &'static str;
    /// Fewest items of a list.
    const MIN: usize = 0;

    /// Reads an item that stands behind `before`, and checks the order as soon as that can be told
    /// (NOT-5).
    fn decode(input: &'a [u8], before: &Before<'a, Self>) -> Res<'a, Self>;

    /// Writes the item.
    fn encode<S: Sink>(&self, sink: &mut S);

    /// Checks what the item's own constructor cannot know: whether it may stand behind `before`. An
    /// error says where, counted from `at`, the item's first byte.
    fn check(&self, at: &'a [u8], before: &Before<'a, Self>) -> Result<(), nom::Err<At<'a>>> {
        let _ = (at, before);
        Ok(())
    }
}

/// The items before the one that is being read.
pub(super) struct Before<'a, T> {
    /// The one just before.
    pub(super) last: Option<T>,
    items: Repr<'a, T>,
}

impl<'a, T: Item<'a>> Before<'a, T> {
    const NONE: Self = Self { last: None, items: Repr::Built(&[]) };

    /// All of them.
    pub(super) const fn all(&self) -> ListIter<'a, T> {
        ListIter(self.items)
    }
}

#[derive(Clone, Copy)]
enum Repr<'a, T> {
    /// So many items stand at the start of these bytes; they were read once without an error.
    Wire { count: u16, raw: &'a [u8] },
    /// Items that were checked by [`List::new`].
    Built(&'a [T]),
}

/// At most `MAX` items, in the order that the protocol demands of them.
///
/// Either a view over bytes that were checked, or a borrowed slice of items. Lists are equal if their
/// items are.
#[derive(Clone, Copy)]
pub struct List<'a, T, const MAX: usize>(Repr<'a, T>);

impl<'a, T: Item<'a>, const MAX: usize> List<'a, T, MAX> {
    /// No items. Does not compile for a list that must have some.
    pub const EMPTY: Self = {
        assert!(T::MIN == 0, "this list must not be empty");
        Self(Repr::Built(&[]))
    };

    /// A list of `items`.
    ///
    /// # Errors
    /// `TOO_MANY` over `MAX` items, `EMPTY` for none where there must be some, and the code of the rule
    /// about their order that the items break.
    pub fn new(items: &'a [T]) -> Result<Self, BuildError> {
        if items.len() > MAX {
            return Err(BuildError::new(ErrorCode::TOO_MANY, T::FIELD));
        }
        if items.len() < T::MIN {
            return Err(BuildError::new(ErrorCode::EMPTY, T::FIELD));
        }
        for (n, item) in items.iter().enumerate() {
            let earlier = items.get(..n).unwrap_or_default();
            let before = Before { last: earlier.last().copied(), items: Repr::Built(earlier) };
            item.check(&[], &before).map_err(|error| match error {
                nom::Err::Error(At { code, field, .. }) | nom::Err::Failure(At { code, field, .. }) => {
                    BuildError::new(code, field)
                }
                nom::Err::Incomplete(_) => BuildError::new(ErrorCode::TRUNCATED, T::FIELD),
            })?;
        }
        Ok(Self(Repr::Built(items)))
    }

    /// A list of `count` items that were read from `raw` without an error.
    #[allow(clippy::cast_possible_truncation, reason = "counts are at most MAX, which is below 65,536")]
    pub(super) const fn proven(count: usize, raw: &'a [u8]) -> Self {
        const { assert!(MAX <= u16::MAX as usize) };
        Self(Repr::Wire { count: count as u16, raw })
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        match self.0 {
            Repr::Wire { count, .. } => count as usize,
            Repr::Built(items) => items.len(),
        }
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The items in order.
    #[must_use]
    pub const fn iter(self) -> ListIter<'a, T> {
        ListIter(self.0)
    }

    /// The number in front of the items of the list `field` is a u8 where 255 are enough, else a u16.
    pub(super) fn count(input: &'a [u8], field: &'static str) -> Res<'a, usize> {
        let allowed = T::MIN..=MAX;
        if MAX > 255 { count16(allowed, field)(input) } else { count8(allowed, field)(input) }
    }

    pub(super) fn decode(input: &'a [u8]) -> Res<'a, Self> {
        let (start, count) = Self::count(input, T::FIELD)?;
        let mut rest = start;
        let mut before = Before::NONE;
        for n in 1..=count {
            let (after, item) = T::decode(rest, &before)?;
            before = Before { last: Some(item), items: Self::proven(n, start).0 };
            rest = after;
        }
        let raw = start.get(..start.len() - rest.len()).unwrap_or_default();
        Ok((rest, Self::proven(count, raw)))
    }

    pub(super) fn encode<S: Sink>(self, sink: &mut S) {
        #[allow(clippy::cast_possible_truncation, reason = "at most MAX items")]
        let [high, low] = (self.len() as u16).to_be_bytes();
        match MAX {
            0..=255 => sink.put_u8(low),
            _ => sink.put(&[high, low]),
        }
        match self.0 {
            Repr::Wire { raw, .. } => sink.put(raw),
            Repr::Built(items) => items.iter().for_each(|item| item.encode(sink)),
        }
    }
}

impl<'a, T: Item<'a>, const MAX: usize> PartialEq for List<'a, T, MAX> {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.iter().eq(other.iter())
    }
}

impl<'a, T: Item<'a> + Eq, const MAX: usize> Eq for List<'a, T, MAX> {}

impl<'a, T: Item<'a>, const MAX: usize> fmt::Debug for List<'a, T, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Item<'a>, const MAX: usize> IntoIterator for List<'a, T, MAX> {
    type Item = T;
    type IntoIter = ListIter<'a, T>;

    fn into_iter(self) -> ListIter<'a, T> {
        self.iter()
    }
}

/// Walks a [`List`], whose items were checked before.
#[derive(Clone)]
pub struct ListIter<'a, T>(Repr<'a, T>);

impl<'a, T: Item<'a>> Iterator for ListIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            Repr::Wire { count, raw } => {
                *count = count.checked_sub(1)?;
                let (rest, item) = T::decode(raw, &Before::NONE).ok()?;
                *raw = rest;
                Some(item)
            }
            Repr::Built(items) => {
                let (first, rest) = items.split_first()?;
                *items = rest;
                Some(*first)
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match self.0 {
            Repr::Wire { count, .. } => usize::from(count),
            Repr::Built(items) => items.len(),
        };
        (left, Some(left))
    }
}

impl<'a, T: Item<'a>> ExactSizeIterator for ListIter<'a, T> {}

impl<'a, T: Item<'a>> fmt::Debug for ListIter<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;
    use crate::registry::Capability;

    type Capabilities<'a> = List<'a, Capability, 3>;

    #[test]
    fn built_and_read_lists_are_equal() {
        let items = [Capability(0x10), Capability::CRDT, Capability(0xFFFF)];
        let built = Capabilities::new(&items).unwrap();
        let mut bytes = Vec::new();
        built.encode(&mut bytes);
        assert_eq!(bytes, [3, 0, 0x10, 0, 0x11, 0xFF, 0xFF]);
        let (rest, read) = Capabilities::decode(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!(read, built);
        assert_eq!(read.iter().len(), 3);
        let mut again = Vec::new();
        read.encode(&mut again);
        assert_eq!(again, bytes);
        assert_ne!(read, Capabilities::new(&items[..2]).unwrap());
        assert_eq!(Capabilities::EMPTY, Capabilities::new(&[]).unwrap());
    }

    #[test]
    fn constructors_refuse_what_decoders_refuse() {
        let code = |items: &[Capability]| Capabilities::new(items).unwrap_err().code;
        assert_eq!(code(&[Capability(1); 4]), ErrorCode::TOO_MANY);
        assert_eq!(code(&[Capability(1), Capability(1)]), ErrorCode::DUPLICATE);
        assert_eq!(code(&[Capability(2), Capability(1)]), ErrorCode::OUT_OF_ORDER);
    }
}
