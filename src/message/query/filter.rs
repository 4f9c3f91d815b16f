//! Which rows a query wants: an expression in prefix order.

use core::fmt;

use super::path::{ANY_SOURCE, PathRef, path};
use crate::limits::{MAX_FILTER_DEPTH, MAX_FILTER_OPS, MAX_IN_VALUES, MAX_PATH_COMPONENT};
use crate::message::checked::small_codes;
use crate::message::list::{Before, Item, List};
use crate::registry::ErrorCode;
use crate::value::{Context, ValueRef, value};
use crate::wire::Sink;
use crate::wire::parse::{Res, count8, fail, text16, u8};

pub(super) const ALL: u8 = 0x00;
pub(super) const AND: u8 = 0x01;
pub(super) const OR: u8 = 0x02;
pub(super) const NOT: u8 = 0x03;
pub(super) const IN: u8 = 0x16;
pub(super) const BETWEEN: u8 = 0x17;
pub(super) const CONTAINS: u8 = 0x18;
pub(super) const STARTS_WITH: u8 = 0x19;
pub(super) const EXISTS: u8 = 0x1A;

const FIELD: &str = "filter";

small_codes! {
    /// How two values of one class are compared (SPEC.md 7.15).
    pub Comparison {
        /// The same.
        Equal = 0x10,
        /// Not [`Self::Equal`]; holds where there is nothing.
        NotEqual = 0x11,
        /// Below.
        Less = 0x12,
        /// Below or the same.
        LessOrEqual = 0x13,
        /// Above.
        Greater = 0x14,
        /// Above or the same.
        GreaterOrEqual = 0x15,
    }
}

/// The values of `in`: 1 to 1,000 (QRY-6).
pub type Values<'a> = List<'a, ValueRef<'a>, MAX_IN_VALUES>;

//= QRY-6
impl<'a> Item<'a> for ValueRef<'a> {
    const FIELD: &'static str = "values";
    const MIN: usize = 1;

    fn decode(input: &'a [u8], _: &Before<'a, Self>) -> Res<'a, Self> {
        plain(input)
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        ValueRef::encode(self, sink);
    }
}

//= QRY-8
fn plain(input: &[u8]) -> Res<'_, ValueRef<'_>> {
    value(input, &Context::PLAIN)
}

/// One op of a filter, with what follows it but its operands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterOp<'a> {
    /// Every row; stands alone (QRY-5).
    All,
    /// All of that many expressions, which follow.
    And(u8),
    /// One of that many expressions, which follow.
    Or(u8),
    /// Not the expression that follows.
    Not,
    /// A comparison with a value.
    Compare(Comparison, PathRef<'a>, ValueRef<'a>),
    /// Equal to one of the values.
    In(PathRef<'a>, Values<'a>),
    /// From the first value to the second, both included.
    Between(PathRef<'a>, ValueRef<'a>, ValueRef<'a>),
    /// The text contains a text, the array an element, the dictionary a key.
    Contains(PathRef<'a>, ValueRef<'a>),
    /// The text begins so.
    StartsWith(PathRef<'a>, &'a str),
    /// There is something, null included.
    Exists(PathRef<'a>),
}

impl<'a> FilterOp<'a> {
    /// How many expressions follow as its operands.
    #[must_use]
    pub const fn operands(&self) -> u8 {
        match self {
            Self::And(count) | Self::Or(count) => *count,
            Self::Not => 1,
            Self::All
            | Self::Compare(..)
            | Self::In(..)
            | Self::Between(..)
            | Self::Contains(..)
            | Self::StartsWith(..)
            | Self::Exists(..) => 0,
        }
    }

    /// What follows the byte `code`, which stands at `at`; sources are at most `sources`.
    fn decode(at: &'a [u8], code: u8, rest: &'a [u8], sources: u8) -> Res<'a, Self> {
        let path = path(0..=sources);
        if let Some(comparison) = Comparison::from_code(code) {
            let (rest, path) = path(rest)?;
            let (rest, value) = plain(rest)?;
            return Ok((rest, Self::Compare(comparison, path, value)));
        }
        match code {
            ALL => Ok((rest, Self::All)),
            //= QRY-6
            AND => count8(1..=255, FIELD)(rest).map(|(rest, count)| (rest, Self::And(operands(count)))),
            OR => count8(1..=255, FIELD)(rest).map(|(rest, count)| (rest, Self::Or(operands(count)))),
            NOT => Ok((rest, Self::Not)),
            IN => {
                let (rest, path) = path(rest)?;
                let (rest, values) = Values::decode(rest)?;
                Ok((rest, Self::In(path, values)))
            }
            BETWEEN => {
                let (rest, path) = path(rest)?;
                let (rest, low) = plain(rest)?;
                let (rest, high) = plain(rest)?;
                Ok((rest, Self::Between(path, low, high)))
            }
            CONTAINS => {
                let (rest, path) = path(rest)?;
                let (rest, value) = plain(rest)?;
                Ok((rest, Self::Contains(path, value)))
            }
            STARTS_WITH => {
                let (rest, path) = path(rest)?;
                //= QRY-13
                let (rest, text) = text16(0..=MAX_PATH_COMPONENT, "text")(rest)?;
                Ok((rest, Self::StartsWith(path, text)))
            }
            EXISTS => {
                let (rest, path) = path(rest)?;
                Ok((rest, Self::Exists(path)))
            }
            //= QRY-2
            _ => fail(at, ErrorCode::UNKNOWN_CODE, FIELD),
        }
    }
}

/// A count that was read as a u8.
#[allow(clippy::cast_possible_truncation, reason = "at most 255")]
const fn operands(count: usize) -> u8 {
    count as u8
}

/// A filter, as a view over its bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FilterRef<'a> {
    count: u16,
    raw: &'a [u8],
}

impl<'a> FilterRef<'a> {
    /// Every row.
    pub const ALL: FilterRef<'static> = FilterRef { count: 1, raw: &[ALL] };

    /// Its ops in prefix order: each op, then its operands.
    #[must_use]
    pub const fn ops(self) -> FilterOps<'a> {
        FilterOps { left: self.count, raw: self.raw }
    }

    /// How many ops it has, 1 to 256.
    #[must_use]
    pub const fn count(self) -> usize {
        self.count as usize
    }

    /// True if it lets every row pass: `all`.
    #[must_use]
    pub fn is_all(self) -> bool {
        self == Self::ALL
    }

    /// Walks the expression with a fixed array of open `and`, `or` and `not`: the stack that a peer's
    /// nesting costs is known beforehand.
    pub(super) fn decode(input: &'a [u8], sources: u8) -> Res<'a, Self> {
        // Operands that are not yet read, for each op that is open.
        let mut open = [0_u8; MAX_FILTER_DEPTH];
        let mut depth = 0;
        let mut rest = input;
        for count in 1..=MAX_FILTER_OPS {
            let at = rest;
            let (after, code) = u8(FIELD)(at)?;
            //= QRY-5
            if code == ALL && count > 1 {
                return fail(at, ErrorCode::UNKNOWN_CODE, "nested all");
            }
            //= QRY-7
            if matches!(code, AND | OR | NOT) && depth == MAX_FILTER_DEPTH {
                return fail(at, ErrorCode::TOO_DEEP, FIELD);
            }
            let (after, op) = FilterOp::decode(at, code, after, sources)?;
            rest = after;
            match (op.operands(), open.get_mut(depth)) {
                (1.., Some(place)) => {
                    *place = op.operands();
                    depth += 1;
                }
                _ => depth = close(&mut open, depth),
            }
            if depth == 0 {
                let raw = input.get(..input.len() - rest.len()).unwrap_or_default();
                #[allow(clippy::cast_possible_truncation, reason = "at most MAX_FILTER_OPS")]
                return Ok((rest, Self { count: count as u16, raw }));
            }
        }
        let (_, _) = u8(FIELD)(rest)?;
        fail(rest, ErrorCode::TOO_MANY, FIELD)
    }
}

/// An operand is complete: closes every op whose last operand that was, and gives how many are open.
fn close(open: &mut [u8; MAX_FILTER_DEPTH], mut depth: usize) -> usize {
    while let Some(place) = depth.checked_sub(1).and_then(|last| open.get_mut(last)) {
        *place = place.saturating_sub(1);
        if *place > 0 {
            break;
        }
        depth -= 1;
    }
    depth
}

impl fmt::Debug for FilterRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.ops()).finish()
    }
}

/// Walks a [`FilterRef`], whose bytes were checked before.
#[derive(Clone, Debug)]
pub struct FilterOps<'a> {
    left: u16,
    raw: &'a [u8],
}

impl<'a> Iterator for FilterOps<'a> {
    type Item = FilterOp<'a>;

    fn next(&mut self) -> Option<FilterOp<'a>> {
        self.left = self.left.checked_sub(1)?;
        let (rest, code) = u8(FIELD)(self.raw).ok()?;
        let (rest, op) = FilterOp::decode(self.raw, code, rest, *ANY_SOURCE.end()).ok()?;
        self.raw = rest;
        Some(op)
    }
}
