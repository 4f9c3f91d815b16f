//! Errors: what was wrong, where, in which field.

use core::fmt;

use crate::registry::ErrorCode;

/// Bytes that this protocol does not allow.
///
/// Small and `Copy`; no text is built on the failure path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DecodeError {
    /// The rule that was broken first, in the order of SPEC.md 3.1.
    pub code: ErrorCode,
    /// Bytes from the start of the input to the first byte of what is wrong (NOT-11).
    pub offset: u32,
    /// The name of the field, as in the tables of SPEC.md. For people.
    pub field: &'static str,
}

impl DecodeError {
    pub(crate) const fn new(code: ErrorCode, offset: usize, field: &'static str) -> Self {
        // Inputs are capped far below 4 GiB before they are looked at.
        #[allow(clippy::cast_possible_truncation, reason = "offsets stay below MAX_FRAME")]
        Self { code, offset: offset as u32, field }
    }

    /// The id of the rule of SPEC.md that was broken, as `VAL-4`.
    #[must_use]
    pub fn rule(&self) -> &'static str {
        crate::rule::rule(self.code, self.field)
    }

    /// The same error, counted from `bytes` further left.
    pub(crate) const fn shifted(self, bytes: usize) -> Self {
        Self::new(self.code, self.offset as usize + bytes, self.field)
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at byte {}", self.code, self.offset)?;
        if !self.field.is_empty() {
            write!(f, ", in {}", self.field)?;
        }
        write!(f, " ({})", self.rule())
    }
}

impl core::error::Error for DecodeError {}

/// Data of an application that the protocol cannot carry (LIM-3). Nothing was truncated or sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildError {
    /// The rule that the data would break.
    pub code: ErrorCode,
    /// What was being built, as in the tables of SPEC.md.
    pub field: &'static str,
}

impl BuildError {
    pub(crate) const fn new(code: ErrorCode, field: &'static str) -> Self {
        Self { code, field }
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {} is not what the protocol allows", self.code, self.field)
    }
}

impl core::error::Error for BuildError {}
