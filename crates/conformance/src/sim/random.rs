//! All chance of a simulation: one seed, SplitMix64.

use core::ops::RangeInclusive;

use uuid::Uuid;

/// Chance from a seed, or for a while from what somebody chose.
#[derive(Clone, Debug)]
pub struct Random {
    state: u64,
    /// What a fuzzer chose, last first.
    chosen: Vec<u8>,
}

impl Random {
    /// The same seed gives the same numbers.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed, chosen: Vec::new() }
    }

    /// Each byte decides the next choice; when there are no more, a seed does.
    #[must_use]
    pub fn chosen(bytes: &[u8]) -> Self {
        Self { state: 0, chosen: bytes.iter().rev().copied().collect() }
    }

    /// Any number.
    pub fn next(&mut self) -> u64 {
        let bits = self.bits();
        // The high bits decide.
        self.chosen.pop().map_or(bits, |byte| u64::from(byte) << 56 | bits >> 8)
    }

    const fn bits(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number from the range, all alike.
    pub fn within(&mut self, range: RangeInclusive<u64>) -> u64 {
        let (first, last) = range.into_inner();
        let wide = u128::from(self.next()) * (u128::from(last - first) + 1);
        first + u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number below `bound`, which is not 0.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.within(0..=(bound as u64).max(1) - 1)).unwrap_or(0)
    }

    /// True in `per_mille` of 1,000 cases.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.within(0..=999) < per_mille
    }

    /// A time around `mean`: short ones are frequent, none is longer than 8 means.
    pub fn around(&mut self, mean: u64) -> u64 {
        let scale = self.within(0..=3);
        self.within(0..=(mean << scale) / 2)
    }

    /// One of them; there must be one.
    pub fn pick<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        let at = self.below(all.len());
        &all[at]
    }

    /// The index of one of the weights, in proportion; `None` if all are 0.
    pub fn weighted(&mut self, weights: impl Iterator<Item = u64> + Clone) -> Option<usize> {
        let total: u64 = weights.clone().sum();
        let mut at = self.within(0..=total.checked_sub(1)?);
        for (index, weight) in weights.enumerate() {
            match at.checked_sub(weight) {
                Some(rest) => at = rest,
                None => return Some(index),
            }
        }
        None
    }

    /// A UUID that is not nil.
    pub fn uuid(&mut self) -> Uuid {
        Uuid::from_u64_pair(self.next() | 1, self.next())
    }
}
