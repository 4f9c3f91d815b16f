//! What a state consists of, one piece at a time.

use core::fmt;

use super::path::PathRef;
use crate::wire::Timestamp;

/// When an end heard of a register or counter: the seq that the relay gave it, or *in doubt* (SPEC.md
/// 10.5, 10.8).
///
/// In doubt is the greatest of all, so that of two the smaller one stays, whichever they are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Heard(u64);

impl Heard {
    /// The relay may have lost it.
    pub const IN_DOUBT: Self = Self(u64::MAX);

    /// Heard of at `seq`.
    #[must_use]
    pub const fn at(seq: u64) -> Self {
        Self(seq)
    }

    /// The seq, unless it is in doubt.
    #[must_use]
    pub const fn seq(self) -> Option<u64> {
        if self.is_in_doubt() { None } else { Some(self.0) }
    }

    /// True for [`Self::IN_DOUBT`].
    #[must_use]
    pub const fn is_in_doubt(self) -> bool {
        self.0 == Self::IN_DOUBT.0
    }

    /// As a number that keeps the order, for a store; in doubt is `u64::MAX`.
    #[must_use]
    pub const fn to_u64(self) -> u64 {
        self.0
    }
}

impl From<u64> for Heard {
    fn from(seq: u64) -> Self {
        Self(seq)
    }
}

impl fmt::Debug for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.seq() {
            Some(seq) => write!(f, "{seq}"),
            None => f.write_str("in doubt"),
        }
    }
}

/// A register or a counter of a state, as a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry<'a> {
    /// The last value written at a path.
    Register {
        /// Where it stands.
        path: PathRef<'a>,
        /// The write that it comes from.
        timestamp: Timestamp,
        /// The encoding of its value: any but patch and counter; at a record `removed`.
        value: &'a [u8],
        /// When it was heard.
        heard: Heard,
    },
    /// What one node has added at a path since a reset. Its key is the path, the node and the base.
    Counter {
        /// Where it stands.
        path: PathRef<'a>,
        /// The reset that it counts from; may be never.
        base: Timestamp,
        /// The write that it comes from; its node is the counter's node.
        timestamp: Timestamp,
        /// The sum of the node's increments since.
        total: i64,
        /// When it was heard.
        heard: Heard,
    },
}

impl<'a> Entry<'a> {
    /// Where it stands.
    #[must_use]
    pub const fn path(&self) -> PathRef<'a> {
        match *self {
            Self::Register { path, .. } | Self::Counter { path, .. } => path,
        }
    }

    /// The write that it comes from.
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        match *self {
            Self::Register { timestamp, .. } | Self::Counter { timestamp, .. } => timestamp,
        }
    }

    /// When it was heard.
    #[must_use]
    pub const fn heard(&self) -> Heard {
        match *self {
            Self::Register { heard, .. } | Self::Counter { heard, .. } => heard,
        }
    }
}

/// What merging did to a state; the greater says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    /// Nothing: all of it was known, or lost against what was there.
    Nothing,
    /// Something known was heard of earlier than was known, or is in doubt no more.
    Heard,
    /// A register or counter is new.
    Entry,
}

/// Sees what merging does to a state, so that a store can do the same. `()` sees nothing.
pub trait Observe {
    /// The entry is new, or replaces the one with the same key: path, and for a counter node and base.
    fn set(&mut self, entry: Entry<'_>) {
        let _ = entry;
    }

    /// The entry is hidden for ever and was dropped (SPEC.md 12.7).
    fn dropped(&mut self, entry: Entry<'_>) {
        let _ = entry;
    }
}

impl Observe for () {}

impl<T: Observe> Observe for &mut T {
    fn set(&mut self, entry: Entry<'_>) {
        T::set(self, entry);
    }

    fn dropped(&mut self, entry: Entry<'_>) {
        T::dropped(self, entry);
    }
}
