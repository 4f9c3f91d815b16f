//! Waiting before a client connects again (SPEC.md 10.11), and chance.

/// How often connecting has failed. It outlives sessions: [`Session::backoff`](super::Session::backoff)
/// of one goes into the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Backoff {
    failures: u32,
}

/// A connection that was active so long ends a row of failures.
const HEALED_AFTER_MS: u64 = 60_000;
const FIRST_MS: u64 = 1_000;
const LONGEST_MS: u64 = 60_000;

impl Backoff {
    /// A connection has ended without goodbye after `active_ms` in C3. Gives how long to wait.
    //= SES-99
    pub(super) fn fail(&mut self, active_ms: u64, random: &mut Random) -> u64 {
        if active_ms >= HEALED_AFTER_MS {
            self.failures = 0;
        }
        let longest = FIRST_MS.checked_shl(self.failures).unwrap_or(LONGEST_MS).min(LONGEST_MS);
        // Six doublings reach the longest.
        self.failures = self.failures.saturating_add(1).min(6);
        random.up_to(longest)
    }
}

/// Chance from a seed: SplitMix64.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// A number from 0 to `most`.
    pub(super) fn up_to(&mut self, most: u64) -> u64 {
        let wide = u128::from(self.next()) * (u128::from(most) + 1);
        #[allow(clippy::cast_possible_truncation, reason = "the high half of the product is at most `most`")]
        let high = (wide >> 64) as u64;
        high
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    //= SES-99 test
    #[test]
    fn waits_double_up_to_a_minute_and_begin_again_after_one() {
        let mut longest = [0; 9];
        for seed in 0..500 {
            let (mut backoff, mut random) = (Backoff::default(), Random::new(seed));
            for (n, most) in longest.iter_mut().enumerate() {
                let active = if n == 8 { 60_000 } else { 59_999 };
                *most = backoff.fail(active, &mut random).max(*most);
            }
        }
        for (found, allowed) in longest.into_iter().zip([1, 2, 4, 8, 16, 32, 60, 60, 1]) {
            assert!(found <= allowed * 1_000 && found > allowed * 950, "{longest:?}");
        }
    }

    #[test]
    fn chance_comes_from_the_seed_and_covers_its_range() {
        assert_eq!(Random::new(7).next(), Random::new(7).next());
        let mut random = Random::new(1);
        let drawn: alloc::collections::BTreeSet<_> = (0..200).map(|_| random.up_to(3)).collect();
        assert!(drawn.into_iter().eq(0..=3));
        assert_eq!(random.up_to(0), 0);
    }
}
