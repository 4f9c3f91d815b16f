//! Faults on purpose. A test shows that the simulator finds each of them; so it would find them if they
//! were made by accident.
//!
//! Without the feature `mutants` none can be switched on, and the compiler leaves nothing of them.

#![cfg_attr(
    not(feature = "mutants"),
    allow(unreachable_pub, reason = "what is public with the feature is not without it")
)]

#[cfg(feature = "mutants")]
use core::sync::atomic::{AtomicU8, Ordering};

macro_rules! mutants {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// A rule that is broken on purpose.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        #[cfg_attr(not(feature = "mutants"), allow(unreachable_pub, reason = "public where it can be switched on"))]
        pub enum Mutant {
            $($(#[$doc])* $name,)*
        }

        #[cfg(feature = "mutants")]
        impl Mutant {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
        }
    };
}

mutants! {
    /// A relay tells a mark that is not durable yet (RLY-15).
    MarkBeforeCommit,
    /// A relay tells of a refusal before the mark has moved (RLY-32).
    RefusalBeforeMark,
    /// A reader gets what is new before it has read what is old (RLY-33).
    LiveBeforeHead,
    /// Of equal timestamps the value that came last stays (MRG-2).
    TieByArrival,
    /// A client compares the mark, but not the check (SES-18).
    CheckIgnored,
    /// A number is given to a second operation when the first is taken back (SES-104).
    NumbersReused,
    /// What waits behind an append that failed is appended as if it had not (RLY-22).
    AppendAfterFailure,
    /// What was in doubt comes back as new writes (SES-60).
    DoubtWithNewTimestamps,
    /// A client forgets what is in doubt when it starts anew (SES-31).
    DoubtNotDurable,
    /// A client keeps seen positions of a history that was lost (SES-31).
    SeenNotCut,
    /// A relay sends whatever the window is (SES-81).
    WindowIgnored,
    /// A reader gets what it did not ask for (RLY-37).
    FilterLeaks,
    /// A client's position moves in a transaction before that of the operations (SES-79).
    PositionBeforeOperations,
    /// A client takes what is uncertain for accepted (SES-21).
    UncertainIsAccepted,
    /// Of a refused block a client sends nothing again (SES-50).
    RefusedBlockDropped,
    /// A client that drops its durable state by order of the relay stays the same node (SES-32).
    DiscardKeepsNode,
    /// A client drops its durable state when something may not come back, although other things in doubt
    /// may (SES-64).
    DropsTooEarly,
}

#[cfg(feature = "mutants")]
static ON: AtomicU8 = AtomicU8::new(u8::MAX);

impl Mutant {
    /// Breaks this rule from now on, in the whole process, or none.
    #[cfg(feature = "mutants")]
    pub fn switch(on: Option<Self>) {
        ON.store(on.map_or(u8::MAX, |mutant| mutant as u8), Ordering::Relaxed);
    }

    /// Whether this rule is broken.
    #[cfg(feature = "mutants")]
    pub(crate) fn is_on(self) -> bool {
        ON.load(Ordering::Relaxed) == self as u8
    }

    /// Whether this rule is broken: never.
    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn is_on(self) -> bool {
        false
    }
}
