//! What a principal may do in a database, collection by collection.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use crate::wire::CollectionName;

/// What a principal may do in one collection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Access {
    /// Subscribe, pull and query.
    pub read: bool,
    /// Push.
    pub write: bool,
}

impl Access {
    /// Nothing.
    pub const NONE: Self = Self { read: false, write: false };
    /// Reading only.
    pub const READ: Self = Self { read: true, write: false };
    /// Writing only.
    pub const WRITE: Self = Self { read: false, write: true };
    /// Everything.
    pub const ALL: Self = Self { read: true, write: true };
}

/// What a principal may do in a database: one access to all collections, but for exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Rights {
    others: Access,
    exceptions: BTreeMap<Box<str>, Access>,
}

impl Rights {
    /// The same access to every collection, also to those that do not exist yet.
    #[must_use]
    pub const fn new(all: Access) -> Self {
        Self { others: all, exceptions: BTreeMap::new() }
    }

    /// The same rights but for one collection.
    #[must_use]
    pub fn with(mut self, collection: &CollectionName, access: Access) -> Self {
        self.exceptions.insert(collection.as_str().into(), access);
        self
    }

    /// What is allowed in `collection`.
    #[must_use]
    pub fn access(&self, collection: &str) -> Access {
        self.exceptions.get(collection).copied().unwrap_or(self.others)
    }

    /// True if every collection may be read, also those that do not exist yet.
    #[must_use]
    pub fn reads_all(&self) -> bool {
        self.others.read && self.exceptions.values().all(|access| access.read)
    }

    /// True if every collection may be written to.
    #[must_use]
    pub fn writes_all(&self) -> bool {
        self.others.write && self.exceptions.values().all(|access| access.write)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_go_first() {
        let (a, b) = (CollectionName::new("a").unwrap(), CollectionName::new("b").unwrap());
        let rights = Rights::new(Access::ALL).with(&a, Access::READ);
        assert_eq!((rights.access("a"), rights.access("b")), (Access::READ, Access::ALL));
        assert_eq!((rights.reads_all(), rights.writes_all()), (true, false));
        let rights = Rights::new(Access::NONE).with(&b, Access::ALL);
        assert_eq!((rights.access("a"), rights.access("b")), (Access::NONE, Access::ALL));
        assert_eq!((rights.reads_all(), rights.writes_all()), (false, false));
    }
}
