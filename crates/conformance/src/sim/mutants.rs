//! Faults on purpose, and how many seeds it takes to find each.

use std::sync::atomic::{AtomicU8, Ordering};

use blazedb_relay::mutant::Mutant;

/// A fault on purpose: in the protocol crate, or in the store of the simulation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// In the protocol crate.
    Crate(Mutant),
    /// The store opens a log and mints no epoch (RLY-10).
    EpochNotMinted,
    /// The store says that an append is durable before it is (RLY-4).
    AckBeforeDurable,
    /// The disk of a device loses its last transaction when the process dies (SES-17).
    CommitNotDurable,
}

static ON: AtomicU8 = AtomicU8::new(0);

impl Fault {
    /// All of them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let in_crate = Mutant::ALL.iter().copied().map(Self::Crate);
        let here = [Self::EpochNotMinted, Self::AckBeforeDurable, Self::CommitNotDurable];
        in_crate.chain(here).collect()
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Crate(mutant) => format!("{mutant:?}"),
            Self::EpochNotMinted | Self::AckBeforeDurable | Self::CommitNotDurable => format!("{self:?}"),
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Crate(_) => 0,
            Self::EpochNotMinted => 1,
            Self::AckBeforeDurable => 2,
            Self::CommitNotDurable => 3,
        }
    }

    /// Switches it on for the whole process, or all of them off.
    pub fn switch(on: Option<Self>) {
        let in_crate = if let Some(Self::Crate(mutant)) = on { Some(mutant) } else { None };
        Mutant::switch(in_crate);
        ON.store(on.map_or(0, Self::number), Ordering::Relaxed);
    }

    pub(super) fn is_on(self) -> bool {
        self.number() != 0 && ON.load(Ordering::Relaxed) == self.number()
    }

    /// The first seed below `most` that finds it, and what that says.
    #[must_use]
    pub fn find(self, most: u64) -> Option<(u64, String)> {
        Self::switch(Some(self));
        let found = (0..most).find_map(|seed| Some((seed, super::run(seed, false).wrong?)));
        Self::switch(None);
        found
    }
}
