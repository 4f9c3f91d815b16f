//! Time: given to the state machines with every input, since they have no clock.

/// A moment, on both clocks of a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Milliseconds on a clock that never goes back, from any start. All timers run on it (SPEC.md 10.2).
    pub monotonic_ms: u64,
    /// Milliseconds since 1970-01-01T00:00:00Z. It may jump, and may be wrong.
    pub unix_ms: u64,
}
