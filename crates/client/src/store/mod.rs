//! Where a replica is kept: a file of its own, or nowhere.
//!
//! The file is an SQLite database. The merged state is in memory as well (about 107 bytes for each live
//! field); the file is its durable copy, and only what has changed is written: a row for each register,
//! for each operation of the outbox, and so on. What changes several times within one transaction is
//! written once.

mod error;
mod row;
mod schema;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path as FilePath, PathBuf};

use blazedb_relay::client::{Change, CollectionSet, Identity, Node, Queued, Replica, Seen};
use blazedb_relay::merge::Heard;
use blazedb_relay::wire::{DatabaseName, Position, Timestamp};
pub use error::{StoreError, StoreErrorKind};
use rusqlite::{Connection, OptionalExtension as _, params};

use self::row::Wrong;
use self::schema::explain;

/// Where a replica is kept.
#[derive(Debug)]
pub(crate) enum Store {
    /// In memory alone: it ends with the process.
    Memory,
    /// In a file.
    File(Box<FileStore>),
}

/// A file that holds a replica, open and locked: nobody else can open it meanwhile.
#[derive(Debug)]
pub(crate) struct FileStore {
    conn: Connection,
    path: PathBuf,
    pending: Pending,
}

/// What the next transaction will write, each row once.
#[derive(Debug, Default)]
struct Pending {
    node: Option<Node>,
    outbox_cleared: bool,
    /// By number; none for an operation that left.
    outbox: BTreeMap<u64, Option<Queued>>,
    rejected: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    state_cleared: bool,
    /// By path in canonical bytes, as the other two.
    registers: HashMap<Vec<u8>, Option<Register>>,
    /// By path, and whose it is.
    counters: HashMap<CounterKey, Option<Vec<u8>>>,
    positions: BTreeMap<CollectionSet, Position>,
    seen: Option<Seen>,
}

/// A path, and whose counter it is.
type CounterKey = (Vec<u8>, Vec<u8>);

/// A register, without its path.
#[derive(Debug)]
struct Register {
    timestamp: Timestamp,
    value: Box<[u8]>,
    heard: Heard,
}

impl Store {
    /// Whether a commit waits for a disk.
    pub(crate) const fn is_file(&self) -> bool {
        matches!(self, Self::File(_))
    }

    /// Takes changes for the next [`Self::commit`].
    pub(crate) fn stage(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        match self {
            Self::Memory => Ok(()),
            Self::File(file) => file.stage(changes),
        }
    }

    /// Makes everything that was staged durable, or nothing of it.
    pub(crate) fn commit(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Memory => Ok(()),
            Self::File(file) => file.commit(),
        }
    }
}

impl FileStore {
    /// Opens the file, or makes it with what `new` gives if it is not there.
    pub(crate) fn open(
        path: &FilePath,
        database: &DatabaseName,
        new: impl FnOnce() -> Result<Identity, StoreError>,
    ) -> Result<(Self, Replica), StoreError> {
        let (conn, is_new) = schema::connect(path)?;
        let mut this = Self { conn, path: path.into(), pending: Pending::default() };
        if is_new {
            let (replica, changes) = Replica::new(new()?);
            this.create(database, changes)?;
            return Ok((this, replica));
        }
        this.check_database(database)?;
        let replica = this.load()?;
        Ok((this, replica))
    }

    /// The tables, the database's name and the first row are one transaction: a file is empty or whole.
    fn create(&mut self, database: &DatabaseName, changes: Vec<Change>) -> Result<(), StoreError> {
        let begun = schema::begin_creation(&self.conn).and_then(|()| {
            let row = row::database(database.as_str());
            self.conn.execute("INSERT INTO facts VALUES ('database', ?1)", [row])?;
            Ok(())
        });
        begun.map_err(|error| explain(&self.path, &error))?;
        self.stage(changes)?;
        let pending = core::mem::take(&mut self.pending);
        let written = pending.write(&self.conn).and_then(|()| schema::end_creation(&self.conn));
        written.map_err(|error| explain(&self.path, &error))
    }

    fn check_database(&self, database: &DatabaseName) -> Result<(), StoreError> {
        let query = "SELECT data FROM facts WHERE name = 'database'";
        let row: Option<Vec<u8>> = self
            .conn
            .query_row(query, [], |row| row.get(0))
            .optional()
            .map_err(|error| explain(&self.path, &error))?;
        let row = row.ok_or_else(|| self.damaged("the database's name is missing"))?;
        let name = row::read_database(&row).map_err(|wrong| self.damaged(wrong))?;
        if name != database.as_str() {
            let detail = format!("it holds \"{name}\", not \"{}\"", database.as_str());
            return Err(StoreError::new(StoreErrorKind::OtherDatabase, &self.path, detail));
        }
        Ok(())
    }

    fn damaged(&self, detail: impl Into<String>) -> StoreError {
        StoreError::new(StoreErrorKind::Damaged, &self.path, detail)
    }

    /// The replica that the file holds.
    pub(crate) fn load(&mut self) -> Result<Replica, StoreError> {
        self.pending = Pending::default();
        let mut changes = Vec::new();
        let fact = |name: &str| {
            let query = "SELECT data FROM facts WHERE name = ?1";
            let found = self.conn.query_row(query, [name], |row| row.get::<_, Vec<u8>>(0)).optional();
            found.map_err(|error| explain(&self.path, &error))
        };
        let node = fact("node")?.ok_or_else(|| self.damaged("the node's row is missing"))?;
        changes.push(row::read_node(&node).map_err(|wrong| self.damaged(format!("the node: {wrong}")))?);
        if let Some(seen) = fact("seen")? {
            let seen = row::read_seen(&seen).map_err(|wrong| self.damaged(format!("what was seen: {wrong}")));
            changes.push(seen?);
        }
        let number = |key: &[u8]| key.try_into().map(u64::from_be_bytes).map_err(|_| "it has no number");
        // A number is given as a key of eight bytes, like all other keys.
        self.read_all(&mut changes, "outbox", "SELECT number, x'', data FROM outbox", |key, _, data| {
            row::read_queued(number(key)?, data)
        })?;
        self.read_all(&mut changes, "rejected", "SELECT key, x'', data FROM rejected", |key, _, data| {
            row::read_rejected(key, data)
        })?;
        let registers = "SELECT path, x'', data FROM registers";
        self.read_all(&mut changes, "registers", registers, |key, _, data| row::read_register(key, data))?;
        let counters = "SELECT path, counter_of, data FROM counters";
        self.read_all(&mut changes, "counters", counters, row::read_counter)?;
        let positions = "SELECT collections, x'', data FROM positions";
        self.read_all(&mut changes, "positions", positions, |key, _, data| row::read_position(key, data))?;
        Replica::load(changes).map_err(|error| self.damaged(error.to_string()))
    }

    fn read_all(
        &self,
        changes: &mut Vec<Change>,
        table: &str,
        query: &str,
        read: impl Fn(&[u8], &[u8], &[u8]) -> Result<Change, Wrong>,
    ) -> Result<(), StoreError> {
        let fault = |error| explain(&self.path, &error);
        let mut statement = self.conn.prepare(query).map_err(fault)?;
        let mut rows = statement.query([]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            let number;
            let key = row.get_ref(0).map_err(fault)?;
            let key = if let rusqlite::types::ValueRef::Integer(integer) = key {
                number = integer.to_be_bytes();
                &number[..]
            } else {
                key.as_blob().map_err(|_| self.damaged(format!("a row of {table} has no key")))?
            };
            let blob = |column| {
                let value = row.get_ref(column).map_err(fault)?;
                value.as_blob().map_err(|_| self.damaged(format!("a row of {table} is no row")))
            };
            let change = read(key, blob(1)?, blob(2)?);
            changes.push(change.map_err(|wrong| self.damaged(format!("a row of {table}: {wrong}")))?);
        }
        Ok(())
    }

    fn stage(&mut self, changes: Vec<Change>) -> Result<(), StoreError> {
        for change in changes {
            // This one looks at all rows, so those that wait have to be there.
            if let Change::DoubtAbove(seq) = change {
                self.begin_and_write().and_then(|()| self.doubt_above(seq))?;
            } else {
                self.pending.stage(change);
            }
        }
        Ok(())
    }

    /// Writes what waits, in a transaction that stays open.
    fn begin_and_write(&mut self) -> Result<(), StoreError> {
        let pending = core::mem::take(&mut self.pending);
        let written = self.begin().and_then(|()| pending.write(&self.conn));
        written.map_err(|error| self.failed(&error))
    }

    fn begin(&self) -> rusqlite::Result<()> {
        if self.conn.is_autocommit() { self.conn.execute_batch("BEGIN IMMEDIATE") } else { Ok(()) }
    }

    fn failed(&mut self, error: &rusqlite::Error) -> StoreError {
        self.pending = Pending::default();
        if !self.conn.is_autocommit() {
            // SQLite may have done it already.
            let _ = self.conn.execute_batch("ROLLBACK");
        }
        explain(&self.path, error)
    }

    fn doubt_above(&mut self, seq: u64) -> Result<(), StoreError> {
        for (read, write) in [
            ("SELECT path, x'', data FROM registers", "UPDATE registers SET data = ?3 WHERE path = ?1"),
            (
                "SELECT path, counter_of, data FROM counters",
                "UPDATE counters SET data = ?3 WHERE path = ?1 AND counter_of = ?2",
            ),
        ] {
            let doubted = self.doubted(read, seq);
            let written = doubted.and_then(|rows| {
                let mut statement = self.conn.prepare(write)?;
                for (path, of, data) in rows {
                    statement.execute(params![path, of, data])?;
                }
                Ok(())
            });
            written.map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    #[allow(clippy::type_complexity, reason = "rows of three columns")]
    fn doubted(&self, query: &str, seq: u64) -> rusqlite::Result<Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>> {
        let mut statement = self.conn.prepare(query)?;
        let mut rows = statement.query([])?;
        let mut doubted = Vec::new();
        while let Some(row) = rows.next()? {
            let (path, of, data): (Vec<u8>, Vec<u8>, Vec<u8>) = (row.get(0)?, row.get(1)?, row.get(2)?);
            // A damaged row was found when the file was loaded.
            if let Ok(Some(data)) = row::doubted(&path, &data, seq) {
                doubted.push((path, of, data));
            }
        }
        Ok(doubted)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        if self.pending.is_empty() && self.conn.is_autocommit() {
            return Ok(());
        }
        self.begin_and_write()?;
        self.conn.execute_batch("COMMIT").map_err(|error| self.failed(&error))
    }

    /// Lets the file grow by no more than to so many pages.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: u32) -> rusqlite::Result<()> {
        self.conn.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(()))
    }
}

impl Pending {
    fn is_empty(&self) -> bool {
        self.node.is_none()
            && !self.outbox_cleared
            && self.outbox.is_empty()
            && self.rejected.is_empty()
            && !self.state_cleared
            && self.registers.is_empty()
            && self.counters.is_empty()
            && self.positions.is_empty()
            && self.seen.is_none()
    }

    #[allow(clippy::wildcard_enum_match_arm, reason = "a further kind of change comes with a new schema")]
    fn stage(&mut self, change: Change) {
        match change {
            Change::Node(node) => self.node = Some(node),
            Change::Queued(queued) => drop(self.outbox.insert(queued.number(), Some(queued))),
            Change::Unqueued(number) => drop(self.outbox.insert(number, None)),
            Change::OutboxCleared => {
                self.outbox.clear();
                self.outbox_cleared = true;
            }
            Change::Rejected(rejected) => {
                let key = row::rejected_key(&rejected.key());
                let data = row::rejected(&key, &rejected);
                self.rejected.insert(key, Some(data));
            }
            Change::Unrejected(key) => drop(self.rejected.insert(row::rejected_key(&key), None)),
            Change::Register { path, timestamp, value, heard } => {
                let register = Register { timestamp, value, heard };
                self.registers.insert(path.as_ref().to_bytes(), Some(register));
            }
            Change::RegisterDropped(path) => drop(self.registers.insert(path.as_ref().to_bytes(), None)),
            Change::Counter { path, base, timestamp, total, heard } => {
                let path = path.as_ref().to_bytes();
                let data = row::counter(&path, timestamp, total, heard);
                self.counters.insert((path, row::counter_of(timestamp.node(), base)), Some(data));
            }
            Change::CounterDropped { path, node, base } => {
                let key = (path.as_ref().to_bytes(), row::counter_of(node, base));
                self.counters.insert(key, None);
            }
            Change::StateCleared => {
                self.registers.clear();
                self.counters.clear();
                self.state_cleared = true;
            }
            Change::Position(collections, position) => drop(self.positions.insert(collections, position)),
            Change::Seen(seen) => self.seen = Some(seen),
            // The file does it at once.
            _ => {}
        }
    }

    fn write(self, conn: &Connection) -> rusqlite::Result<()> {
        let put_fact = "INSERT OR REPLACE INTO facts VALUES (?1, ?2)";
        if let Some(node) = &self.node {
            conn.prepare_cached(put_fact)?.execute(params!["node", row::node(node)])?;
        }
        if let Some(seen) = &self.seen {
            conn.prepare_cached(put_fact)?.execute(params!["seen", row::seen(seen)])?;
        }
        self.write_outbox(conn)?;
        for (key, data) in &self.rejected {
            match data {
                Some(data) => conn
                    .prepare_cached("INSERT OR REPLACE INTO rejected VALUES (?1, ?2)")?
                    .execute(params![key, data])?,
                None => conn.prepare_cached("DELETE FROM rejected WHERE key = ?1")?.execute([key])?,
            };
        }
        for (collections, position) in &self.positions {
            let key = row::collections(collections);
            let data = row::position(&key, *position);
            conn.prepare_cached("INSERT OR REPLACE INTO positions VALUES (?1, ?2)")?
                .execute(params![key, data])?;
        }
        self.write_state(conn)
    }

    fn write_outbox(&self, conn: &Connection) -> rusqlite::Result<()> {
        if self.outbox_cleared {
            conn.execute("DELETE FROM outbox", [])?;
        }
        let mut put = conn.prepare_cached("INSERT OR REPLACE INTO outbox VALUES (?1, ?2)")?;
        let mut delete = conn.prepare_cached("DELETE FROM outbox WHERE number BETWEEN ?1 AND ?2")?;
        let mut gone: Option<(u64, u64)> = None;
        for (number, queued) in &self.outbox {
            match (queued, gone) {
                (Some(queued), _) => drop(put.execute(params![number.cast_signed(), row::queued(queued)])?),
                // Of neighbours that left, all are deleted at once.
                (None, Some((first, last))) if last + 1 == *number => gone = Some((first, *number)),
                (None, _) => {
                    if let Some((first, last)) = gone.replace((*number, *number)) {
                        delete.execute([first.cast_signed(), last.cast_signed()])?;
                    }
                }
            }
        }
        if let Some((first, last)) = gone {
            delete.execute([first.cast_signed(), last.cast_signed()])?;
        }
        Ok(())
    }

    fn write_state(self, conn: &Connection) -> rusqlite::Result<()> {
        if self.state_cleared {
            conn.execute_batch("DELETE FROM registers; DELETE FROM counters;")?;
        }
        // Ascending, as they stand in the file.
        let mut registers: Vec<_> = self.registers.into_iter().collect();
        registers.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut put = conn.prepare_cached("INSERT OR REPLACE INTO registers VALUES (?1, ?2)")?;
        let mut delete = conn.prepare_cached("DELETE FROM registers WHERE path = ?1")?;
        for (path, register) in registers {
            match register {
                Some(Register { timestamp, value, heard }) => {
                    put.execute(params![path, row::register(&path, timestamp, &value, heard)])?
                }
                None => delete.execute([path])?,
            };
        }
        let mut counters: Vec<_> = self.counters.into_iter().collect();
        counters.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let mut put = conn.prepare_cached("INSERT OR REPLACE INTO counters VALUES (?1, ?2, ?3)")?;
        let mut delete = conn.prepare_cached("DELETE FROM counters WHERE path = ?1 AND counter_of = ?2")?;
        for ((path, of), data) in counters {
            match data {
                Some(data) => put.execute(params![path, of, data])?,
                None => delete.execute(params![path, of])?,
            };
        }
        Ok(())
    }
}
