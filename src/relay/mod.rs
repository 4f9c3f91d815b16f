//! The relay's end of the protocol, for many connections and many databases (SPEC.md 10 and 11).
//!
//! A state machine without sockets, clock, randomness, tasks or files. It is told what happened
//! ([`Input`]) and says what is to be done ([`Output`]):
//!
//! ```text
//! loop {
//!     relay.handle(now, input);                           // one input
//!     while let Some(output) = relay.poll_output() { .. } // then all outputs, in order
//!     timer.set(relay.poll_timeout());                    // then the timer, in monotonic milliseconds
//! }
//! ```
//!
//! The contract:
//! 1. Outputs are drained before the next input.
//! 2. The monotonic time never decreases.
//! 3. The same inputs give the same outputs, byte for byte.
//! 4. No input is an error: what a peer does wrong becomes outputs to that peer; what the caller does wrong
//!    is asserted in debug builds and ignored in others.
//! 5. The work for an input is bounded, at most in proportion to the bytes received or the readers that
//!    something new is for.
//! 6. A ticket gets one answer. Answers to tickets may come in any order, but appends and mints of one
//!    database come one at a time.

mod config;
mod event;
mod history;
mod rights;

use alloc::collections::VecDeque;

pub use config::Config;
pub use event::{
    AppendBlock, Claim, ConnId, Credentials, DatabaseId, Ending, Framing, Input, NodeAppend, Output, Owner,
    Principal, QueryFrame, StateCounts, StoredBlock, Ticket,
};
pub use history::Epoch;
pub use rights::{Access, Rights};

use crate::time::Time;

/// The relay's end of all connections.
#[derive(Debug)]
pub struct Relay {
    config: Config,
    outputs: VecDeque<Output>,
}

impl Relay {
    /// A relay without connections. Choices that would break a rule are raised to the least that does
    /// not.
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self { config: config.legal(), outputs: VecDeque::new() }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Time, input: Input) {
        debug_assert!(self.outputs.is_empty(), "outputs are drained before the next input");
        let _ = (now, input, &self.config);
    }

    /// What is to be done next; `None` when that was all.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is to be given, in monotonic milliseconds. May change with every input.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        None
    }
}
