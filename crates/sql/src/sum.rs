//! Sums that do not depend on the order of what is added.
//!
//! Rows come in an order that an index or a join may change, and a cursor can hold a sum: so doubles are
//! added exactly and rounded once.

/// Of 32 bits each: from 2^-1074, the smallest double, to beyond 2^1024 times as many rows as there can be.
const LIMBS: usize = 69;
/// The bit that stands for 1.
const ONE: usize = 1_074;
/// Additions after which limbs could overflow if nothing were carried.
const CARRY_AFTER: u32 = 1 << 30;

/// The sum of some numbers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sum {
    ints: i128,
    doubles: Option<Box<Exact>>,
    count: u64,
}

impl Sum {
    pub(crate) fn add_int(&mut self, value: i64) {
        self.count += 1;
        self.ints += i128::from(value);
    }

    pub(crate) fn add_double(&mut self, value: f64) {
        self.count += 1;
        self.doubles.get_or_insert_default().add(value);
    }

    /// How many numbers were added.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// Their sum, if they are ints and it is one.
    pub(crate) fn int(&self) -> Option<i64> {
        if self.doubles.is_some() { None } else { i64::try_from(self.ints).ok() }
    }

    /// Their sum as a double.
    pub(crate) fn double(&self) -> f64 {
        #[allow(clippy::cast_precision_loss, reason = "rounded once, to the nearest")]
        match &self.doubles {
            None => self.ints as f64,
            Some(doubles) => {
                let mut all = doubles.clone();
                all.add_int(self.ints);
                all.round()
            }
        }
    }
}

/// A sum of doubles, as an integer of very many bits.
#[derive(Clone, Debug)]
struct Exact {
    limbs: [i64; LIMBS],
    uncarried: u32,
    /// The sum of what is no number or not finite.
    special: f64,
}

impl Default for Exact {
    fn default() -> Self {
        Self { limbs: [0; LIMBS], uncarried: 0, special: 0.0 }
    }
}

impl Exact {
    fn add(&mut self, value: f64) {
        if !value.is_finite() {
            self.special += value;
            return;
        }
        let bits = value.to_bits();
        let (exponent, fraction) = ((bits >> 52 & 0x7FF) as usize, bits & ((1 << 52) - 1));
        let (mantissa, at) = if exponent == 0 { (fraction, 0) } else { (fraction | 1 << 52, exponent - 1) };
        self.add_at(mantissa.into(), at, value < 0.0);
    }

    fn add_int(&mut self, value: i128) {
        self.add_at(value.unsigned_abs(), ONE, value < 0);
    }

    /// Adds `magnitude` x 2^`at`.
    fn add_at(&mut self, magnitude: u128, at: usize, negative: bool) {
        let (mut limb, shift) = (at / 32, at % 32);
        // The low 96 bits and the others apart, so that shifting loses nothing.
        for part in [magnitude & ((1 << 96) - 1), magnitude >> 96] {
            let shifted = part << shift;
            for i in 0..4 {
                #[allow(clippy::cast_possible_truncation, reason = "one limb")]
                let digit = i64::from((shifted >> (32 * i)) as u32);
                if let Some(place) = self.limbs.get_mut(limb + i) {
                    *place += if negative { -digit } else { digit };
                }
            }
            limb += 3;
        }
        self.uncarried += 1;
        if self.uncarried >= CARRY_AFTER {
            self.carry();
        }
    }

    /// Brings every limb but the last into 0 to 2^32 - 1; the last has the sign.
    fn carry(&mut self) {
        self.uncarried = 0;
        let mut carry = 0;
        let last = LIMBS - 1;
        for (i, limb) in self.limbs.iter_mut().enumerate() {
            *limb += carry;
            if i < last {
                carry = *limb >> 32;
                *limb &= 0xFFFF_FFFF;
            }
        }
    }

    /// The double nearest to the sum; of two the even one.
    fn round(mut self: Box<Self>) -> f64 {
        if self.special != 0.0 {
            return self.special;
        }
        self.carry();
        let negative = self.limbs.last().is_some_and(|last| *last < 0);
        if negative {
            self.limbs.iter_mut().for_each(|limb| *limb = -*limb);
            self.carry();
        }
        let bit = |at: usize| self.limbs.get(at / 32).is_some_and(|limb| limb >> (at % 32) & 1 == 1);
        let Some(top) = (0..LIMBS * 32).rev().find(|at| bit(*at)) else { return 0.0 };
        let magnitude = if top < 53 {
            f64::from_bits((0..=top).filter(|at| bit(*at)).map(|at| 1 << at).sum())
        } else {
            let shift = top - 52;
            let mut mantissa: u64 = (0..53).filter(|at| bit(shift + at)).map(|at| 1 << at).sum();
            let half = bit(shift - 1);
            let beyond = (0..shift - 1).any(bit);
            mantissa += u64::from(half && (beyond || mantissa & 1 == 1));
            // A mantissa that was rounded up to 2^53 makes the exponent greater by one.
            let bits = ((shift as u64 + 1) << 52) + (mantissa - (1 << 52));
            if bits >= f64::INFINITY.to_bits() { f64::INFINITY } else { f64::from_bits(bits) }
        };
        if negative { -magnitude } else { magnitude }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(values: &[f64]) -> f64 {
        let mut sum = Sum::default();
        values.iter().for_each(|value| sum.add_double(*value));
        sum.double()
    }

    #[test]
    fn one_number_is_its_own_sum() {
        for value in [0.1, -0.1, 1e308, f64::MAX, f64::MIN_POSITIVE, 5e-324, -5e-324, 3e-310, 1.0, 0.0] {
            assert_eq!(sum(&[value]).to_bits(), value.to_bits(), "{value}");
        }
        assert_eq!(sum(&[-0.0]).to_bits(), 0);
    }

    #[test]
    fn nothing_is_lost_on_the_way() {
        assert_eq!(sum(&[1e300, 1.0, -1e300]), 1.0);
        assert_eq!(sum(&[f64::MAX, f64::MAX, -f64::MAX]), f64::MAX);
        assert_eq!(sum(&[f64::MAX, f64::MAX]), f64::INFINITY);
        assert_eq!(sum(&[0.1; 10]), 1.0);
        assert_eq!(sum(&[5e-324, 5e-324]), 1e-323);
        // Halfway between two doubles: the even one, unless there is a little more.
        assert_eq!(sum(&[1.0, f64::EPSILON / 2.0]), 1.0);
        assert_eq!(sum(&[1.0, f64::EPSILON / 2.0, 5e-324]), 1.0 + f64::EPSILON);
        assert_eq!(sum(&[f64::INFINITY, 1.0]), f64::INFINITY);
        assert!(sum(&[f64::INFINITY, f64::NEG_INFINITY]).is_nan());
        assert!(sum(&[f64::NAN, 1.0]).is_nan());
    }

    #[test]
    fn ints_stay_ints_while_they_can() {
        let mut sum = Sum::default();
        sum.add_int(i64::MAX);
        assert_eq!(sum.int(), Some(i64::MAX));
        sum.add_int(1);
        assert_eq!((sum.int(), sum.double()), (None, 9_223_372_036_854_775_808.0));
        sum.add_int(-1);
        assert_eq!(sum.int(), Some(i64::MAX));
        sum.add_double(0.5);
        assert_eq!((sum.int(), sum.double(), sum.count()), (None, 9_223_372_036_854_775_808.0, 4));
    }
}
