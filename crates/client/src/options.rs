//! What a client is to be.

use std::path::PathBuf;
use std::sync::Arc;

use blazedb_relay::client::{CollectionSet, Credentials, Identity};
use blazedb_relay::error::BuildError;
use blazedb_relay::wire::{CollectionName, DatabaseName};

use crate::transport::{Connect, UrlError, WebSocket};

/// Bytes of blocks that may be under way to a reader.
const WINDOW: u64 = 4 << 20;

/// What a client is to be: which database, kept where, synced with whom.
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) database: DatabaseName,
    pub(crate) file: Option<PathBuf>,
    pub(crate) relay: Option<Arc<dyn Connect>>,
    pub(crate) credentials: Credentials,
    pub(crate) subscriptions: Vec<CollectionSet>,
    pub(crate) window: u64,
    pub(crate) identity: Option<Identity>,
}

impl Options {
    /// A database in memory, with no relay.
    ///
    /// # Errors
    /// The name is none (MSG-10).
    pub fn new(database: &str) -> Result<Self, BuildError> {
        Ok(Self {
            database: DatabaseName::new(database)?,
            file: None,
            relay: None,
            credentials: Credentials::NONE,
            subscriptions: Vec::new(),
            window: WINDOW,
            identity: None,
        })
    }

    /// Keeps it in this file, which is made if it is not there. Beside it stands a write-ahead log with
    /// `-wal` at the end of its name: a copy of the file needs both.
    #[must_use]
    pub fn file(mut self, path: impl Into<PathBuf>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// Syncs with this relay: a [`WebSocket`], or a [`LocalRelay`](crate::LocalRelay) in this process.
    #[must_use]
    pub fn relay(mut self, relay: impl Connect + 'static) -> Self {
        self.relay = Some(Arc::new(relay));
        self
    }

    /// Syncs with the relay at this URL, as `wss://relay.example.org/sync`.
    ///
    /// # Errors
    /// It is no such URL.
    pub fn url(self, url: &str) -> Result<Self, UrlError> {
        Ok(self.relay(WebSocket::new(url)?))
    }

    /// Shows the relay this bearer token.
    ///
    /// # Errors
    /// `TOO_LONG` over 8,192 bytes.
    pub fn token(mut self, token: &str) -> Result<Self, BuildError> {
        self.credentials = Credentials::bearer(token.as_bytes())?;
        Ok(self)
    }

    /// Reads these collections, and whatever others write to them, each set of them with a position of its
    /// own. Without any, a client only writes.
    #[must_use]
    pub fn subscribe(mut self, collections: CollectionSet) -> Self {
        self.subscriptions.push(collections);
        self
    }

    /// Reads every collection.
    #[must_use]
    pub fn subscribe_all(self) -> Self {
        self.subscribe(CollectionSet::ALL)
    }

    /// Reads the collections of these names.
    ///
    /// # Errors
    /// A name is none, stands twice, or there are more than 256 or none at all.
    pub fn subscribe_to(self, names: &[&str]) -> Result<Self, BuildError> {
        let names = names.iter().map(|name| CollectionName::new(name)).collect::<Result<_, _>>()?;
        Ok(self.subscribe(CollectionSet::new(names)?))
    }

    /// Bytes of blocks that may be under way to this reader; 4 MiB if this is not said.
    #[must_use]
    pub const fn window(mut self, bytes: u64) -> Self {
        self.window = bytes;
        self
    }

    /// Begins as this node if there is no file yet, instead of a random one: for bridges and replays that
    /// act for a node elsewhere. Nobody else may ever be that node.
    #[must_use]
    pub const fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }
}
