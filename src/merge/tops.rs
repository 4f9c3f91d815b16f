//! What stands above the rows of a record, while they are walked in order.

use alloc::vec::Vec;

use super::path::is_within;
use super::row::Row;
use crate::wire::Timestamp;

/// The seen registers at and above the row that is looked at. Each one's timestamp is greater than those
/// before it.
#[derive(Debug, Default)]
pub(super) struct Tops {
    /// The path of the last of them; those of the others are beginnings of it.
    path: Vec<u8>,
    /// For each the length of its path, and its timestamp. At most one for each level of a path.
    seen: Vec<(usize, Timestamp)>,
}

impl Tops {
    /// top of the registers passed so far that stand at `below` or above it.
    #[inline]
    pub(super) fn at(&mut self, below: &[u8]) -> Timestamp {
        while let Some((len, timestamp)) = self.seen.last() {
            if is_within(below, self.path.get(..*len).unwrap_or_default()) {
                return *timestamp;
            }
            self.seen.pop();
        }
        Timestamp::NEVER
    }

    /// A row that is not hidden was passed.
    #[inline]
    pub(super) fn pass(&mut self, row: &Row<'_>) {
        if row.which().is_none() {
            self.path.clear();
            self.path.extend_from_slice(row.below);
            self.seen.push((row.below.len(), row.timestamp));
        }
    }
}
