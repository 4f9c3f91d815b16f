//! Sets of collections: what a position belongs to (SPEC.md 10.10).

use alloc::vec::Vec;

use crate::error::BuildError;
use crate::limits::MAX_COLLECTIONS;
use crate::message::CollectionRef;
use crate::registry::ErrorCode;
use crate::wire::CollectionName;

/// Collections that are read together: some by name, or all of the database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct CollectionSet(Vec<CollectionName>);

impl CollectionSet {
    /// Every collection, also those to come.
    pub const ALL: Self = Self(Vec::new());

    /// The collections of these names, in any order.
    ///
    /// # Errors
    /// `EMPTY` for no name, `TOO_MANY` over 256, `DUPLICATE` for a name given twice (MSG-21).
    pub fn new(mut names: Vec<CollectionName>) -> Result<Self, BuildError> {
        names.sort();
        if names.is_empty() {
            return Err(BuildError::new(ErrorCode::EMPTY, "collections"));
        }
        if names.len() > MAX_COLLECTIONS {
            return Err(BuildError::new(ErrorCode::TOO_MANY, "collections"));
        }
        if names.windows(2).any(|pair| matches!(pair, [a, b] if a == b)) {
            return Err(BuildError::new(ErrorCode::DUPLICATE, "collections"));
        }
        Ok(Self(names))
    }

    /// True if it has the collection of that name.
    #[must_use]
    pub fn covers(&self, collection: &str) -> bool {
        self.is_all() || self.0.binary_search_by(|name| name.as_str().cmp(collection)).is_ok()
    }

    /// True for [`Self::ALL`].
    #[must_use]
    pub const fn is_all(&self) -> bool {
        self.0.is_empty()
    }

    /// The names, ascending; none for all.
    pub fn names(&self) -> impl Iterator<Item = &CollectionName> {
        self.0.iter()
    }

    /// As a list of a message wants them.
    pub(super) fn refs(&self) -> Vec<CollectionRef<'_>> {
        self.0.iter().map(CollectionRef::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<CollectionName> {
        names.iter().map(|name| CollectionName::new(name).unwrap()).collect()
    }

    #[test]
    fn a_set_is_the_same_in_any_order() {
        let set = CollectionSet::new(names(&["b", "a"])).unwrap();
        assert_eq!(set, CollectionSet::new(names(&["a", "b"])).unwrap());
        assert!(set.covers("a") && !set.covers("c") && !set.is_all());
        assert!(CollectionSet::ALL.covers("c") && CollectionSet::ALL.is_all());
    }

    //= MSG-21 test
    #[test]
    fn what_a_message_cannot_carry_is_refused() {
        let code = |names| CollectionSet::new(names).unwrap_err().code;
        assert_eq!(code(Vec::new()), ErrorCode::EMPTY);
        assert_eq!(code(names(&["a", "b", "a"])), ErrorCode::DUPLICATE);
        let many: Vec<_> = (0..=MAX_COLLECTIONS).map(|n| alloc::format!("{n}")).collect();
        let many: Vec<_> = many.iter().map(alloc::string::String::as_str).collect();
        assert_eq!(code(names(&many)), ErrorCode::TOO_MANY);
    }
}
