//! What the handles of a client and its connection share.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::core::Core;

/// What the handles of a client and its connection share.
#[derive(Debug)]
pub(crate) struct Shared {
    core: Mutex<Core>,
    /// Whether what changes the core waits for a disk.
    blocking: bool,
    /// The connection looks at the core again.
    pub(crate) wake: Notify,
}

impl Shared {
    pub(crate) fn new(core: Core) -> Self {
        Self { blocking: core.has_file(), core: Mutex::new(core), wake: Notify::new() }
    }

    /// A thread that panicked has left a replica that may not be what its file is: but nothing of it was
    /// committed, so nothing wrong is ever durable.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something that may wait for the disk. It is done to its end even if nobody waits for it any
    /// more. `None` if the runtime goes down.
    pub(crate) async fn with<T: Send + 'static>(
        self: &Arc<Self>,
        act: impl FnOnce(&mut Core) -> T + Send + 'static,
    ) -> Option<T> {
        if !self.blocking {
            return Some(act(&mut self.lock()));
        }
        let this = Arc::clone(self);
        tokio::task::spawn_blocking(move || act(&mut this.lock())).await.ok()
    }
}
