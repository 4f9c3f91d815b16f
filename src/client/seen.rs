//! The positions that a client heard of (SPEC.md 10.5).

use alloc::vec::Vec;

use crate::limits::MAX_SEEN;
use crate::wire::Position;

/// Seen positions: for each epoch the highest, newest first.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Seen(Vec<Position>);

impl Seen {
    /// The list that a store kept.
    #[must_use]
    pub fn new(positions: impl IntoIterator<Item = Position>) -> Self {
        let mut seen = Self::default();
        for position in positions {
            seen.hear(position);
        }
        seen
    }

    /// The positions, newest first, at most 16: no epoch twice, none with epoch 0.
    #[must_use]
    pub fn positions(&self) -> &[Position] {
        &self.0
    }

    /// The greatest seq heard of.
    #[must_use]
    pub fn greatest_seq(&self) -> u64 {
        self.0.first().map_or(0, |newest| newest.seq())
    }

    /// Hears of a position. Gives whether the list has changed.
    pub(super) fn hear(&mut self, heard: Position) -> bool {
        // The start of every log says nothing about its history.
        if heard.epoch() == 0 {
            return false;
        }
        //= SES-28
        if self.0.iter().any(|known| known.epoch() == heard.epoch() && known.seq() >= heard.seq()) {
            return false;
        }
        self.0.retain(|known| known.epoch() != heard.epoch());
        //= SES-13
        let place = self.0.partition_point(|known| known.seq() > heard.seq());
        self.0.insert(place, heard);
        self.thin_out();
        true
    }

    /// Forgets what lies beyond `agreed`, and hears of that.
    pub(super) fn cut(&mut self, agreed: Position) {
        //= SES-31
        self.0.retain(|known| known.seq() <= agreed.seq());
        if agreed.seq() != 0 {
            self.hear(agreed);
        }
    }

    //= SES-29
    fn thin_out(&mut self) {
        while self.0.len() > MAX_SEEN {
            // What lies close behind a newer one tells least. The newest has none and stays.
            let gaps = self.0.windows(2).map(|pair| match pair {
                [newer, older] => newer.seq() - older.seq(),
                _ => u64::MAX,
            });
            let least = gaps.enumerate().min_by_key(|(_, gap)| *gap).map_or(MAX_SEEN, |(i, _)| i + 1);
            self.0.remove(least);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(epoch: u64, seq: u64) -> Position {
        Position::new(epoch, seq).unwrap()
    }

    //= SES-28 test
    //= SES-13 test
    #[test]
    fn the_highest_of_each_epoch_newest_first() {
        let mut seen = Seen::default();
        assert!(!seen.hear(Position::START));
        assert!(seen.hear(at(1, 5)));
        assert!(!seen.hear(at(1, 4)) && !seen.hear(at(1, 5)));
        assert!(seen.hear(at(2, 9)));
        assert!(seen.hear(at(3, 7)));
        assert_eq!(seen.positions(), [at(2, 9), at(3, 7), at(1, 5)]);
        assert!(seen.hear(at(1, 10)));
        assert_eq!(seen.positions(), [at(1, 10), at(2, 9), at(3, 7)]);
        assert_eq!(seen.greatest_seq(), 10);
    }

    //= SES-29 test
    #[test]
    fn of_many_the_newest_and_the_spread_stay() {
        let mut seen = Seen::new((1..=16).map(|epoch| at(epoch, 10 * epoch)));
        assert_eq!(seen.positions().len(), 16);
        seen.hear(at(17, 162));
        assert_eq!(seen.positions().len(), 16);
        assert_eq!(seen.positions()[..3], [at(17, 162), at(15, 150), at(14, 140)]);
        seen.hear(at(18, 31));
        assert!(!seen.positions().contains(&at(3, 30)) && seen.positions().contains(&at(18, 31)));
    }

    //= SES-31 test
    #[test]
    fn what_lies_beyond_agreed_is_forgotten() {
        let mut seen = Seen::new([at(1, 5), at(2, 9), at(3, 12)]);
        seen.cut(at(2, 7));
        assert_eq!(seen.positions(), [at(2, 7), at(1, 5)]);
        seen.cut(Position::START);
        assert_eq!(seen.positions(), []);
    }
}
