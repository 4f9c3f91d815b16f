//! Queries (SPEC.md 7.13 to 7.15) over a merged state in tables of SQLite, for whoever keeps one: a relay,
//! or a client that asks its own.
//!
//! [`SCHEMA`] has the tables. Whoever merges keeps `collections` and `records` up to date, and tells
//! [`Indexes`] of what changed in the same transaction; [`Step`] does what indexes need besides.
//! [`Engine::run`] answers a query: its filter, joins and order become one statement whose text holds no
//! name and no value of the query.

mod content;
mod filter;
mod functions;
mod group;
mod index;
mod key;
mod meter;
mod page;
mod rows;
mod statement;
mod sum;

use core::fmt;
use std::sync::Arc;

use blazedb_relay::limits::MAX_ROWS;
use blazedb_relay::message::Query;
use blazedb_relay::registry::ErrorCode;
use blazedb_relay::value::{Entries, Value};
use rusqlite::{Connection, OptionalExtension, ffi};
use uuid::Uuid;

pub use content::Content;
pub use index::{COLLECTION as INDEXES, Indexes, Step};
pub use meter::Budget;
pub use page::Answer;

use meter::Meter;
use statement::Source;

/// The tables that a query reads, and those of its indexes.
///
/// `records.collection` is the id of a row of `collections`, whose `live` counts live records.
/// `records.content` is the encoding of the dictionary of a live record's fields, or NULL if none is kept;
/// `record` the 16 bytes of its id. A record's `id` is never used again, and new ones have greater ids.
pub const SCHEMA: &str = "
    CREATE TABLE collections (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        live INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE records (
        id INTEGER PRIMARY KEY,
        collection INTEGER NOT NULL,
        record BLOB NOT NULL,
        live INTEGER NOT NULL,
        content BLOB,
        UNIQUE (collection, record)
    ) STRICT;
    CREATE INDEX large_records ON records (collection) WHERE live AND content IS NULL;
    CREATE TABLE indexes (
        id INTEGER PRIMARY KEY,
        collection TEXT NOT NULL,
        fields BLOB NOT NULL,
        built INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE index_rows (
        index_id INTEGER NOT NULL,
        key BLOB NOT NULL,
        record BLOB NOT NULL,
        id INTEGER NOT NULL,
        PRIMARY KEY (index_id, key, record)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX index_rows_of ON index_rows (id, index_id);
";

/// Instructions of SQLite between two looks at the clock: some ten microseconds.
const INSTRUCTIONS: i32 = 1_000;
/// About what an entry of a dictionary takes in memory besides its key and value.
const ENTRY: usize = 64;

/// Finds the fields of a live record whose content the table does not have: by the id of its row, its
/// collection and record.
pub type Large<'a> = dyn FnMut(&Connection, i64, (&str, Uuid)) -> rusqlite::Result<Option<Entries>> + 'a;

/// Why a query was not answered.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// Over the budget, or a row or the place behind it does not fit.
    TooExpensive,
    /// The cursor is of another query.
    BadCursor,
    /// With aggregates or group by, rows can be sorted by these only.
    NotOfTheGroup,
    /// The tables hold what nobody wrote.
    Damaged,
    /// SQLite failed.
    Sqlite(rusqlite::Error),
}

impl Error {
    /// What a client is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::TooExpensive => ErrorCode::QUERY_TOO_EXPENSIVE,
            Self::BadCursor => ErrorCode::BAD_CURSOR,
            Self::NotOfTheGroup | Self::Damaged | Self::Sqlite(_) => ErrorCode::QUERY_FAILED,
        }
    }

    /// Whether another query may be answered; else it is the tables that are at fault.
    #[must_use]
    pub const fn is_of_the_query(&self) -> bool {
        match self {
            Self::TooExpensive | Self::BadCursor | Self::NotOfTheGroup => true,
            Self::Damaged | Self::Sqlite(_) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooExpensive => f.write_str(
                "the query takes too much time or memory, or looks at too many records; ask for less, or add \
                 an index",
            ),
            Self::BadCursor => f.write_str("the cursor is not of this query; begin with the first page"),
            Self::NotOfTheGroup => f.write_str("with aggregates or group by, sort by these only"),
            Self::Damaged => f.write_str("the tables hold what nobody wrote"),
            Self::Sqlite(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Error {}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// How a query is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Plan {
    /// The text of the statement.
    pub statement: String,
    /// How many parameters it has.
    pub parameters: usize,
    /// What SQLite does, as `EXPLAIN QUERY PLAN` says it.
    pub steps: Vec<String>,
}

/// Answers queries on one connection.
#[derive(Debug)]
pub struct Engine {
    meter: Arc<Meter>,
}

impl Engine {
    /// For this connection, to which it makes its functions known.
    ///
    /// # Errors
    /// Of SQLite.
    pub fn new(conn: &Connection) -> rusqlite::Result<Self> {
        let meter = Arc::new(Meter::default());
        functions::register(conn, &meter)?;
        rusqlite::vtab::array::load_module(conn)?;
        Ok(Self { meter })
    }

    /// Answers a query with a page of at most `limit` rows, all from one moment. `position` reads, at that
    /// moment, where the state stands; `large` finds content that the table does not have.
    ///
    /// The caller has checked that the state has reached the query's position, and who may ask.
    ///
    /// # Errors
    /// [`Error`] says why.
    //= RLY-55
    pub fn run(
        &self,
        conn: &mut Connection,
        query: &Query<'_>,
        limit: u32,
        budget: &Budget,
        position: impl FnOnce(&Connection) -> rusqlite::Result<u64>,
        large: &mut Large<'_>,
    ) -> Result<Answer, Error> {
        self.meter.begin(budget);
        let meter = self.meter.clone();
        conn.progress_handler(INSTRUCTIONS, Some(move || meter.is_late()))?;
        let answer = self.answer(conn, query, limit, position, large);
        self.meter.end();
        conn.progress_handler(0, None::<fn() -> bool>)?;
        answer.map_err(|error| {
            let too_much = matches!(&error, Error::Sqlite(it) if self.meter.is_exceeded() || is_too_big(it));
            if too_much { Error::TooExpensive } else { error }
        })
    }

    fn answer(
        &self,
        conn: &mut Connection,
        query: &Query<'_>,
        limit: u32,
        position: impl FnOnce(&Connection) -> rusqlite::Result<u64>,
        large: &mut Large<'_>,
    ) -> Result<Answer, Error> {
        //= RLY-56
        let moment = conn.transaction()?;
        let at = position(&moment)?;
        let sources = sources(&moment, query)?;
        for (source, name) in sources.iter().zip(collections(query)) {
            self.load_large(&moment, source.collection, name, large)?;
        }
        let limit = (limit as usize).clamp(1, MAX_ROWS);
        if has_groups(query) {
            group::run(&moment, at, query, &sources, &self.meter, limit)
        } else {
            rows::run(&moment, at, query, &sources, &self.meter, limit)
        }
    }

    /// The statement that finds the rows of a query, and how SQLite goes about it: for who wants to know
    /// what is slow, and whether an index is used.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn plan(&self, conn: &mut Connection, query: &Query<'_>) -> Result<Plan, Error> {
        self.meter.begin(&Budget::default());
        let moment = conn.transaction()?;
        let sources = sources(&moment, query)?;
        let sql = if has_groups(query) {
            group::statement(query, &sources, &self.meter)
        } else {
            rows::statement(query, &sources, &self.meter, MAX_ROWS)?
        };
        let explain = format!("EXPLAIN QUERY PLAN {}", sql.text);
        let mut statement = moment.prepare(&explain)?;
        let steps = statement.query_map(rusqlite::params_from_iter(&sql.parameters), |row| row.get(3))?;
        let steps = steps.collect::<rusqlite::Result<_>>()?;
        self.meter.end();
        Ok(Plan { steps, parameters: sql.parameters.len(), statement: sql.text })
    }

    /// Loads the content of records that have none in the table.
    fn load_large(
        &self,
        conn: &Connection,
        collection: i64,
        name: &str,
        large: &mut Large<'_>,
    ) -> Result<(), Error> {
        let sql = "SELECT id, record FROM records WHERE collection = ? AND live AND content IS NULL";
        let mut statement = conn.prepare_cached(sql)?;
        let mut rows = statement.query([collection])?;
        while let Some(row) = rows.next()? {
            let (id, record) = (row.get(0)?, Uuid::from_bytes(row.get(1)?));
            if self.meter.run().large.contains_key(&id) {
                continue;
            }
            self.meter.row()?;
            if let Some(fields) = large(conn, id, (name, record))? {
                self.meter.keep(size(&fields))?;
                self.meter.run().large.insert(id, fields);
            }
        }
        Ok(())
    }
}

/// The collections of a query's sources.
fn collections<'q>(query: &Query<'q>) -> impl Iterator<Item = &'q str> {
    let joined = query.selection.joins().iter().map(|join| join.collection.as_str());
    core::iter::once(query.collection.as_str()).chain(joined)
}

fn sources(conn: &Connection, query: &Query<'_>) -> rusqlite::Result<Vec<Source>> {
    let source = |name| {
        let sql = "SELECT id FROM collections WHERE name = ?";
        let collection = conn.prepare_cached(sql)?.query_row([name], |row| row.get(0)).optional()?;
        Ok(Source { collection: collection.unwrap_or_default(), indexes: index::ready(conn, name)? })
    };
    collections(query).map(source).collect()
}

fn has_groups(query: &Query<'_>) -> bool {
    !(query.selection.group_by().is_empty() && query.selection.aggregates().is_empty())
}

/// About what these entries take in memory. Recursion ends where paths and values do: at 64 keys below a
/// field, each with a value of 64 open containers at most.
fn size(entries: &Entries) -> usize {
    #[allow(clippy::wildcard_enum_match_arm, reason = "all others take what an entry does")]
    fn of(value: &Value) -> usize {
        match value {
            Value::Dictionary(entries) => size(entries),
            Value::Array(items) => items.iter().map(|item| ENTRY + of(item)).sum(),
            Value::String(text) => text.len(),
            Value::Data(bytes) | Value::Sealed(bytes) => bytes.len(),
            Value::Vector(bits) => 4 * bits.len(),
            _ => 0,
        }
    }
    entries.iter().map(|(key, value)| ENTRY + key.len() + of(value)).sum()
}

/// Whether a text or a depth is beyond what SQLite takes.
fn is_too_big(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ffi::ErrorCode::TooBig)
}
