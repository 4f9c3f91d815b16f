//! Where a relay keeps its databases (SPEC.md 11.1).
//!
//! A database has a *log* (blocks, epochs, and of every node its mark, check and owner) and a *merged
//! state*, which is made from the log and can be made again. [`LogStore`] is what a backend has to do;
//! [`SqliteStore`] keeps each database in a file, [`MemoryStore`] keeps all in memory.
//!
//! All calls are synchronous, and answer the outputs of `blazedb_relay::relay`. A database is served by
//! three roles, each with its own connection to the backend, on threads of their own:
//!
//! | role | thread | answers |
//! |---|---|---|
//! | [`Writer`] | one for the database | `OpenDatabase` (by [`LogStore::open`]), `Append`, `MintEpoch` |
//! | [`Reader`] | any number | `Read`, `LoadNode`, `RunQuery`, `CountState` |
//! | [`Background`] | one for the database | nothing: it feeds the state and tidies up, in small steps |
//!
//! What the backends promise, and one test suite checks for all of them:
//!
//! - An append is durable when the call returns, and nobody sees any of it before. It is one transaction:
//!   all of its blocks and all of its marks, or nothing.
//! - Seqs are contiguous.
//! - An append that does not build on the durable mark and check has no effect.
//! - A writer that another one has superseded can write no more.

mod error;
mod memory;
mod node;
mod sqlite;

pub use blazedb_relay_sql::{Answer, Budget};
pub use error::{Error, ErrorKind, QueryError, WriteError};
pub use memory::{MemoryDatabase, MemoryStore};
pub use sqlite::{Progress, SqliteBackground, SqliteReader, SqliteStore, SqliteWriter, Verified};

use blazedb_relay::message::Query;
use blazedb_relay::relay::{Claim, Epoch, NodeAppend, Principal, StateCounts, StoredBlock};
use blazedb_relay::value::Entries;
use blazedb_relay::wire::{DatabaseName, NodeId, NodeKey};
use uuid::Uuid;

/// A place for databases, held by one process.
pub trait LogStore: Send + Sync + 'static {
    /// Appends.
    type Writer: Writer;
    /// Reads.
    type Reader: Reader;
    /// Feeds the state and tidies up.
    type Background: Background;

    /// The databases that there are, ascending.
    ///
    /// # Errors
    /// The place cannot be read.
    fn databases(&self) -> Result<Vec<DatabaseName>, Error>;

    /// Opens a database for writing, and makes it if it is not there: mints an epoch, and makes it durable
    /// (RLY-10). Whoever wrote to it before can do so no more (RLY-2).
    ///
    /// # Errors
    /// Nothing was changed; [`ErrorKind`] says why.
    fn open(&self, name: &DatabaseName) -> Result<Opened<Self::Writer>, Error>;

    /// Another reader of a database that is there.
    ///
    /// # Errors
    /// [`ErrorKind`] says why.
    fn reader(&self, name: &DatabaseName) -> Result<Self::Reader, Error>;

    /// The background work of a database that is there. One for each at a time: of two, one fails.
    ///
    /// # Errors
    /// [`ErrorKind`] says why.
    fn background(&self, name: &DatabaseName) -> Result<Self::Background, Error>;
}

/// A database that was opened for writing.
#[derive(Debug)]
#[non_exhaustive]
pub struct Opened<W> {
    /// To write with.
    pub writer: W,
    /// The seq of the last operation; 0 for an empty log.
    pub head: u64,
    /// All epochs, oldest first; the last is that of this opening.
    pub epochs: Vec<Epoch>,
}

/// Writes to a log.
///
/// After [`WriteError::Lost`] every call fails with it: open the database anew (RLY-8).
pub trait Writer: Send {
    /// Makes all of this durable in one transaction, or nothing of it, and gives the seq of the first
    /// operation (the head's seq + 1 where there is none).
    ///
    /// # Errors
    /// [`WriteError::Failed`] if certainly nothing is or will be stored, as when a node's mark and check are
    /// not those that the append builds on; [`WriteError::Lost`] if that cannot be told.
    fn append(&mut self, nodes: &[NodeAppend]) -> Result<u64, WriteError>;

    /// Mints an epoch that begins at the head (RLY-16).
    ///
    /// # Errors
    /// As [`Self::append`].
    fn mint(&mut self) -> Result<Epoch, WriteError>;
}

/// Reads what is durable.
pub trait Reader: Send {
    /// The blocks after seq `after`, the first also if it begins before: at least one, if `after` is below
    /// the head, and as many more as fit in `max_bytes` together.
    ///
    /// # Errors
    /// [`ErrorKind`] says why.
    fn read(&mut self, after: u64, max_bytes: usize) -> Result<Vec<StoredBlock>, Error>;

    /// Whether a node belongs to this key and principal, and how far it has come (RLY-12).
    ///
    /// # Errors
    /// [`ErrorKind`] says why.
    fn node(&mut self, node: NodeId, key: &NodeKey, principal: &Principal) -> Result<Claim, Error>;

    /// The seq that the merged state has reached.
    ///
    /// # Errors
    /// [`ErrorKind`] says why.
    fn state_seq(&mut self) -> Result<u64, Error>;

    /// How much there is at the position that the merged state has reached (RLY-57).
    ///
    /// # Errors
    /// [`ErrorKind`] says why.
    fn counts(&mut self) -> Result<StateCounts, Error>;

    /// Answers a query with a page of at most `limit` rows, all from one moment of the merged state
    /// (RLY-56), within a budget (RLY-55). The caller has looked at rights, and waited for the state.
    ///
    /// # Errors
    /// [`QueryError::Refused`] with the code that a client is told.
    fn query(&mut self, query: &Query<'_>, limit: u32, budget: &Budget) -> Result<Answer, QueryError>;

    /// The fields of a live record in the merged state.
    ///
    /// # Errors
    /// [`ErrorKind`] says why.
    fn record(&mut self, collection: &str, record: Uuid) -> Result<Option<Entries>, Error>;
}

/// What is done in the background of a database. Each call takes milliseconds, and holds appends up for
/// less than that (RLY-52).
pub trait Background: Send {
    /// Merges the blocks behind the state's position, up to `max_ops` operations but at least one block, in
    /// one transaction with the position. After a crash it goes on from there.
    ///
    /// # Errors
    /// Nothing was changed; [`ErrorKind`] says why.
    fn feed(&mut self, max_ops: usize) -> Result<Fed, Error>;

    /// Does a step of what indexes need besides the feeding: builds one that is new, removes one that is
    /// gone. False if there is nothing to do.
    ///
    /// # Errors
    /// Nothing was changed; [`ErrorKind`] says why.
    fn index(&mut self) -> Result<bool, Error>;

    /// Looks at the blocks of operations `after` + 1 to `until`, within a budget of its own, and replaces
    /// small ones by larger ones where RLY-45 allows. `until` should be behind what connected readers have
    /// still to read (RLY-47); what the state was not fed is left alone.
    ///
    /// # Errors
    /// Nothing was changed; [`ErrorKind`] says why.
    fn rewrite(&mut self, after: u64, until: u64) -> Result<Rewritten, Error>;

    /// Does what the backend has to do now and then so that it does not grow or slow down. For SQLite this
    /// moves the write-ahead log into the database.
    ///
    /// # Errors
    /// [`ErrorKind`] says why.
    fn checkpoint(&mut self) -> Result<(), Error>;
}

/// What [`Background::feed`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fed {
    /// The seq that the state has reached.
    pub seq: u64,
    /// Operations merged by this call; 0 if the state was at the head.
    pub ops: u64,
}

/// What [`Background::rewrite`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rewritten {
    /// Where to go on: the `after` of the next call. There is nothing left if it did not move.
    pub after: u64,
    /// Blocks that were replaced.
    pub replaced: usize,
    /// Blocks by which they were.
    pub by: usize,
}
