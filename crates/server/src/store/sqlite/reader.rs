//! Reading a log and the numbers of its state.

use blazedb_relay::merge::State;
use blazedb_relay::message::{LastNodeSeq, Mark, Query};
use blazedb_relay::relay::{Claim, Principal, StateCounts, StoredBlock};
use blazedb_relay::value::Entries;
use blazedb_relay::wire::{NodeId, NodeKey};
use blazedb_relay_sql::{Answer, Budget, Engine};
use bytes::Bytes;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use super::super::Reader;
use super::super::error::{Error, QueryError};
use super::super::node::{KeyHash, Node};
use super::Place;
use super::feed::{large, load_record};
use super::schema::{Access, from_sql, to_sql};

/// Reads a database in a file.
#[derive(Debug)]
pub struct SqliteReader {
    place: Place,
    conn: Connection,
    /// From the first query on.
    engine: Option<Engine>,
}

impl SqliteReader {
    pub(super) fn new(place: Place) -> Result<Self, Error> {
        let conn = place.connect(Access::Read)?;
        Ok(Self { place, conn, engine: None })
    }
}

impl Reader for SqliteReader {
    fn read(&mut self, after: u64, max_bytes: usize) -> Result<Vec<StoredBlock>, Error> {
        let mut blocks = Vec::new();
        let mut left = max_bytes;
        each_block(&self.place, &self.conn, after, |first_seq, bytes| {
            if !blocks.is_empty() && bytes.len() > left {
                return Ok(false);
            }
            left = left.saturating_sub(bytes.len());
            blocks.push(StoredBlock { first_seq, bytes: Bytes::copy_from_slice(bytes) });
            Ok(left > 0)
        })?;
        Ok(blocks)
    }

    fn node(&mut self, node: NodeId, key: &NodeKey, principal: &Principal) -> Result<Claim, Error> {
        let row = node_row(&self.conn, node).map_err(|error| self.place.fault(&error))?;
        Ok(Node::claim(row.as_ref(), key, principal))
    }

    fn state_seq(&mut self) -> Result<u64, Error> {
        state_seq(&self.conn).map_err(|error| self.place.fault(&error))
    }

    fn counts(&mut self) -> Result<StateCounts, Error> {
        // One statement sees one state.
        let sql = "SELECT state_seq,
                          (SELECT count(*) FROM nodes WHERE since <= state_seq),
                          (SELECT coalesce(sum(live), 0) FROM collections),
                          (SELECT count(*) FROM collections WHERE live > 0)
                   FROM database";
        let row = self.conn.query_row(sql, [], |row| {
            Ok(StateCounts {
                seq: from_sql(row.get(0)?),
                operations: from_sql(row.get(0)?),
                nodes: from_sql(row.get(1)?),
                live_records: from_sql(row.get(2)?),
                collections: from_sql(row.get(3)?),
            })
        });
        row.map_err(|error| self.place.fault(&error))
    }

    fn query(&mut self, query: &Query<'_>, limit: u32, budget: &Budget) -> Result<Answer, QueryError> {
        let Self { place, conn, engine } = self;
        let fault = |error| QueryError::Failed(place.fault(&error));
        let engine = match engine.take() {
            Some(engine) => engine,
            None => Engine::new(conn).map_err(fault)?,
        };
        let mut large = |conn: &Connection, id, named: (&str, Uuid)| large(place, conn, id, named);
        let answer = engine.run(conn, query, limit, budget, state_seq, &mut large);
        self.engine = Some(engine);
        answer.map_err(|error| {
            QueryError::new(error, |error| {
                if let blazedb_relay_sql::Error::Sqlite(error) = error {
                    return self.place.fault(&error);
                }
                self.place.damaged(error.to_string())
            })
        })
    }

    fn record(&mut self, collection: &str, record: Uuid) -> Result<Option<Entries>, Error> {
        let fault = |error| self.place.fault(&error);
        let transaction = self.conn.unchecked_transaction().map_err(fault)?;
        let sql = "SELECT records.id FROM records JOIN collections ON collections.id = records.collection
                   WHERE name = ? AND record = ?";
        let mut statement = transaction.prepare_cached(sql).map_err(fault)?;
        let id = statement.query_row(params![collection, record.as_bytes()], |row| row.get(0)).optional();
        let Some(id) = id.map_err(fault)? else { return Ok(None) };
        let mut state = State::new();
        load_record(&self.place, &transaction, id, (collection, record), &mut state)?;
        Ok(state.record(collection, record))
    }
}

/// Shows the blocks after seq `after`, the first also if it begins before, until `seen` says false.
pub(super) fn each_block(
    place: &Place,
    conn: &Connection,
    after: u64,
    mut seen: impl FnMut(u64, &[u8]) -> Result<bool, Error>,
) -> Result<(), Error> {
    let fault = |error| place.fault(&error);
    let sql = "SELECT first_seq, bytes FROM blocks
               WHERE first_seq >= (SELECT max(first_seq) FROM blocks WHERE first_seq <= ?1 + 1)
                     AND first_seq + count - 1 > ?1
               ORDER BY first_seq";
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    let mut rows = statement.query([to_sql(after)]).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let first_seq = row.get(0).map_err(fault)?;
        let bytes = row.get_ref(1).and_then(|bytes| Ok(bytes.as_blob()?)).map_err(fault)?;
        if !seen(from_sql(first_seq), bytes)? {
            break;
        }
    }
    Ok(())
}

pub(super) fn state_seq(conn: &Connection) -> rusqlite::Result<u64> {
    let mut statement = conn.prepare_cached("SELECT state_seq FROM database")?;
    statement.query_row([], |row| row.get(0)).map(from_sql)
}

/// What the log keeps of a node.
pub(super) fn node_row(conn: &Connection, node: NodeId) -> rusqlite::Result<Option<Node>> {
    let sql = "SELECT principal, key_hash, mark, mark_check FROM nodes WHERE node = ?";
    let mut statement = conn.prepare_cached(sql)?;
    let row = statement.query_row([node.as_bytes()], |row| {
        Ok(Node {
            principal: Principal::new(row.get_ref(0)?.as_str()?),
            key: KeyHash(row.get(1)?),
            mark: mark(row.get(2)?, row.get(3)?)?,
        })
    });
    row.optional()
}

/// A mark from its columns.
pub(super) fn mark(number: i64, check: u32) -> rusqlite::Result<Mark> {
    let mark = LastNodeSeq::new(from_sql(number)).and_then(|number| Mark::new(number, check));
    mark.map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(2, rusqlite::types::Type::Integer, error.into())
    })
}
