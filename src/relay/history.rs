//! The epochs of a log, and what positions mean in it (SPEC.md 11.4).

use alloc::vec::Vec;
use core::num::NonZeroU64;

use crate::message::RestoreMode;
use crate::wire::Position;

/// An opening of a log for writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch {
    /// A random number.
    pub id: NonZeroU64,
    /// The head's seq when it was minted.
    pub begins: u64,
    /// What becomes of what clients have and the log has not; chosen by who opened it.
    pub mode: RestoreMode,
}

/// The epochs of a log, oldest first, and its head.
#[derive(Clone, Debug)]
pub(super) struct History {
    epochs: Vec<Epoch>,
    head: u64,
}

impl History {
    /// A log that ends with operation `head`. `None` if there is no epoch, an epoch stands twice, or one
    /// begins before the one before it or beyond the head.
    pub(super) fn new(epochs: Vec<Epoch>, head: u64) -> Option<Self> {
        let begins = epochs.iter().map(|epoch| epoch.begins).chain([head]);
        let mut ids: Vec<_> = epochs.iter().map(|epoch| epoch.id).collect();
        ids.sort_unstable();
        ids.dedup();
        let good = !epochs.is_empty() && begins.is_sorted() && ids.len() == epochs.len();
        good.then_some(Self { epochs, head })
    }

    /// The seq of the last operation.
    pub(super) const fn head(&self) -> u64 {
        self.head
    }

    /// The log grew up to `head`.
    pub(super) const fn grow(&mut self, head: u64) {
        self.head = head;
    }

    /// Adds an epoch that begins at the head. False if it does not, or is listed.
    pub(super) fn mint(&mut self, epoch: Epoch) -> bool {
        let good = epoch.begins == self.head && self.index(epoch.id.get()).is_none();
        if good {
            self.epochs.push(epoch);
        }
        good
    }

    /// The epoch that the log is in now.
    pub(super) fn current(&self) -> Option<&Epoch> {
        self.epochs.last()
    }

    /// The current epoch and those in `named`, newest first.
    pub(super) fn known(&self, named: &[Position]) -> Vec<Epoch> {
        let current = self.current().map(|epoch| epoch.id);
        let wanted = |epoch: &&Epoch| {
            Some(epoch.id) == current || named.iter().any(|position| position.epoch() == epoch.id.get())
        };
        self.epochs.iter().rev().filter(wanted).copied().collect()
    }

    fn index(&self, epoch: u64) -> Option<usize> {
        // A position is nearly always of one of the last epochs.
        self.epochs.iter().rposition(|listed| listed.id.get() == epoch)
    }

    /// The last seq of epoch number `index`.
    fn end(&self, index: usize) -> u64 {
        self.epochs.get(index + 1).map_or(self.head, |next| next.begins)
    }

    /// Whether the position says something about this log.
    pub(super) fn contains(&self, position: Position) -> bool {
        position == Position::START
            || self.index(position.epoch()).is_some_and(|index| position.seq() <= self.end(index))
    }

    /// Whether the position is beyond the head although it is of the current epoch: the log went back
    /// without being opened anew (RLY-16).
    pub(super) fn is_ahead(&self, position: Position) -> bool {
        self.current().is_some_and(|current| current.id.get() == position.epoch())
            && position.seq() > self.head
    }

    //= RLY-17
    /// The one name of `seq`: with the epoch in which that operation was appended.
    pub(super) fn name(&self, seq: u64) -> Position {
        let index = self.epochs.partition_point(|epoch| epoch.begins < seq);
        let epoch = index.checked_sub(1).and_then(|last| self.epochs.get(last));
        epoch.and_then(|epoch| Position::new(epoch.id.get(), seq).ok()).unwrap_or(Position::START)
    }

    //= RLY-18
    /// How far this log and that of a client that has seen `seen` are one, and what becomes of the rest.
    pub(super) fn agreed(&self, seen: &[Position]) -> (Position, RestoreMode) {
        let known = |position: &Position| self.index(position.epoch()).map(|index| (index, position.seq()));
        let (later, position) = match seen.iter().find_map(known) {
            Some((index, seq)) => (index + 1, self.name(seq.min(self.end(index)))),
            None => (0, Position::START),
        };
        let discard = |epoch: &Epoch| epoch.mode == RestoreMode::Discard;
        let discarded = self.epochs.get(later..).unwrap_or_default().iter().any(discard);
        (position, if discarded { RestoreMode::Discard } else { RestoreMode::Keep })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    const A: u64 = 10;
    const B: u64 = 11;
    const D: u64 = 12;

    fn epoch(id: u64, begins: u64, mode: RestoreMode) -> Epoch {
        Epoch { id: NonZeroU64::new(id).unwrap(), begins, mode }
    }

    fn at(epoch: u64, seq: u64) -> Position {
        Position::new(epoch, seq).unwrap()
    }

    /// The example of SPEC.md 11.4: a backup made at 80 was put back and opened as D.
    fn restored(mode: RestoreMode, head: u64) -> History {
        History::new(vec![epoch(A, 0, RestoreMode::Keep), epoch(D, 80, mode)], head).unwrap()
    }

    //= RLY-18 test
    #[test]
    fn the_table_of_the_specification() {
        let agreed = |seen: &[Position], head| restored(RestoreMode::Keep, head).agreed(seen);
        let keep = |position| (position, RestoreMode::Keep);
        assert_eq!(agreed(&[at(B, 150), at(A, 100)], 80), keep(at(A, 80)));
        assert_eq!(agreed(&[at(B, 150), at(A, 60)], 80), keep(at(A, 60)));
        assert_eq!(agreed(&[at(A, 70)], 80), keep(at(A, 70)));
        assert_eq!(agreed(&[at(B, 150)], 80), keep(Position::START));
        assert_eq!(agreed(&[at(D, 95), at(A, 80)], 99), keep(at(D, 95)));
        assert_eq!(agreed(&[], 80), keep(Position::START));
    }

    //= RLY-18 test
    #[test]
    fn discard_stays_with_its_epoch() {
        let mode = |seen: &[Position]| restored(RestoreMode::Discard, 99).agreed(seen).1;
        assert_eq!(mode(&[at(A, 70)]), RestoreMode::Discard);
        assert_eq!(mode(&[at(B, 150)]), RestoreMode::Discard);
        assert_eq!(mode(&[at(D, 95), at(A, 80)]), RestoreMode::Keep);
        let first = History::new(vec![epoch(A, 0, RestoreMode::Discard)], 0).unwrap();
        assert_eq!(first.agreed(&[at(B, 1)]), (Position::START, RestoreMode::Discard));
    }

    //= RLY-17 test
    #[test]
    fn a_seq_has_the_name_of_the_epoch_it_was_appended_in() {
        let history = restored(RestoreMode::Keep, 99);
        assert_eq!(
            [0, 1, 80, 81, 99].map(|seq| history.name(seq)),
            [Position::START, at(A, 1), at(A, 80), at(D, 81), at(D, 99)]
        );
        // Epochs in which nothing was appended name nothing.
        let epochs = [A, B, D].map(|id| epoch(id, 0, RestoreMode::Keep)).to_vec();
        assert_eq!(History::new(epochs, 5).unwrap().name(5), at(D, 5));
    }

    #[test]
    fn positions_in_the_history() {
        let history = restored(RestoreMode::Keep, 99);
        for good in [Position::START, at(A, 0), at(A, 80), at(D, 0), at(D, 80), at(D, 99)] {
            assert!(history.contains(good), "{good:?}");
        }
        for bad in [at(A, 81), at(D, 100), at(B, 0), at(B, 100)] {
            assert!(!history.contains(bad), "{bad:?}");
        }
    }

    //= RLY-16 test
    #[test]
    fn a_position_beyond_the_head_shows_that_the_log_went_back() {
        let mut history = restored(RestoreMode::Keep, 99);
        assert!(history.is_ahead(at(D, 100)));
        assert!(!history.is_ahead(at(D, 99)));
        assert!(!history.is_ahead(at(A, 100)));
        assert!(!history.mint(epoch(B, 98, RestoreMode::Keep)), "begins at the head");
        assert!(!history.mint(epoch(A, 99, RestoreMode::Keep)), "is new");
        assert!(history.mint(epoch(B, 99, RestoreMode::Keep)));
        assert!(!history.is_ahead(at(D, 100)));
        assert_eq!(history.agreed(&[at(D, 100)]), (at(D, 99), RestoreMode::Keep));
        let ids = |named: &[Position]| history.known(named).iter().map(|e| e.id.get()).collect::<Vec<_>>();
        assert_eq!(ids(&[]), [B]);
        assert_eq!(ids(&[at(A, 1), at(77, 1)]), [B, A]);
    }

    #[test]
    fn epochs_of_a_store_are_checked() {
        let keep = |id, begins| epoch(id, begins, RestoreMode::Keep);
        assert!(History::new(vec![], 0).is_none());
        assert!(History::new(vec![keep(A, 5), keep(B, 4)], 9).is_none());
        assert!(History::new(vec![keep(A, 5)], 4).is_none());
        assert!(History::new(vec![keep(A, 0), keep(A, 4)], 4).is_none());
    }
}
