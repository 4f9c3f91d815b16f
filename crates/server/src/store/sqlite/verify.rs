//! Whether a database is what it says it is.

use std::collections::BTreeMap;
use std::path::Path;

use blazedb_relay::block::BlockRef;
use blazedb_relay::merge::{Heard, State};
use blazedb_relay::registry::Capabilities;
use blazedb_relay::value::Value;
use blazedb_relay_sql::{Content, Indexes};
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::super::error::Error;
use super::copy::Progress;
use super::feed::load_record;
use super::reader::state_seq;
use super::schema::{Access, from_sql};
use super::writer::{epochs, head};
use super::{Place, SqliteStore};

/// Problems that are told; a file with more has the others too.
const MAX_PROBLEMS: usize = 20;
/// Operations between two calls of the progress callback.
const OPS: u64 = 10_000;

/// What a verification found.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Operations in the log.
    pub operations: u64,
    /// Blocks in the log.
    pub blocks: u64,
    /// Nodes that had a block taken.
    pub nodes: u64,
    /// Epochs.
    pub epochs: u64,
    /// Records in the merged state, live or not.
    pub records: u64,
    /// The seq that the merged state has reached.
    pub state_seq: u64,
    /// What is wrong, the first of it; empty if all is well.
    pub problems: Vec<String>,
}

impl SqliteStore {
    /// Reads all of a file, which may be in use, and checks it: SQLite's own structures; that the log is
    /// contiguous; every checksum and rule of every operation; that each node's mark and check are those of
    /// its last block, or lie behind it; that the merged state is what the log merges to, and each index
    /// what the state says. It needs memory for the merged state once.
    ///
    /// # Errors
    /// It could not be read. What is wrong in it is in [`Verified::problems`].
    pub fn verify(file: &Path, progress: &mut dyn FnMut(Progress)) -> Result<Verified, Error> {
        Self::verify_with_vfs(file, None, progress)
    }

    /// The same for a file in an SQLite VFS.
    ///
    /// # Errors
    /// As [`Self::verify`].
    pub fn verify_with_vfs(
        file: &Path,
        vfs: Option<String>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Verified, Error> {
        let place = Place { path: file.into(), vfs, gate: Default::default() };
        let conn = place.connect(Access::Read)?;
        let moment = conn.unchecked_transaction().map_err(|error| place.fault(&error))?;
        let mut verifier = Verifier::new(&place, &moment)?;
        verifier.structure()?;
        verifier.epochs()?;
        let state = verifier.log(progress)?;
        verifier.nodes()?;
        verifier.state(state)?;
        Ok(verifier.found)
    }
}

struct Verifier<'a> {
    place: &'a Place,
    conn: &'a Connection,
    head: u64,
    /// Of each node with a block in the log, the last operation and its check.
    last: BTreeMap<[u8; 16], (u64, u32)>,
    found: Verified,
}

impl<'a> Verifier<'a> {
    fn new(place: &'a Place, conn: &'a Connection) -> Result<Self, Error> {
        let fault = |error| place.fault(&error);
        let head = head(conn).map_err(fault)?;
        let found = Verified {
            operations: 0,
            blocks: 0,
            nodes: 0,
            epochs: 0,
            records: 0,
            state_seq: state_seq(conn).map_err(fault)?,
            problems: Vec::new(),
        };
        Ok(Self { place, conn, head, last: BTreeMap::new(), found })
    }

    fn problem(&mut self, text: impl Into<String>) {
        if self.found.problems.len() < MAX_PROBLEMS {
            self.found.problems.push(text.into());
        }
    }

    fn structure(&mut self) -> Result<(), Error> {
        let fault = |error| self.place.fault(&error);
        let mut statement = self.conn.prepare("PRAGMA integrity_check(20)").map_err(fault)?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0)).map_err(fault)?;
        let lines: Vec<_> = lines.collect::<Result<_, _>>().map_err(fault)?;
        lines.into_iter().filter(|line| line != "ok").for_each(|line| self.problem(line));
        Ok(())
    }

    fn epochs(&mut self) -> Result<(), Error> {
        let epochs = epochs(self.place, self.conn)?;
        self.found.epochs = epochs.len() as u64;
        if !epochs.iter().map(|epoch| epoch.begins).chain([self.head]).is_sorted() {
            self.problem("epochs: one begins beyond the next one, or beyond the head");
        }
        if epochs.is_empty() && self.head > 0 {
            self.problem("epochs: there is none, but there are operations");
        }
        Ok(())
    }

    /// Walks the log, and merges it as far as the state has come.
    fn log(&mut self, progress: &mut dyn FnMut(Progress)) -> Result<State, Error> {
        let place = self.place;
        let fault = |error| place.fault(&error);
        let sql =
            "SELECT first_seq, count, node, first_node_seq, encoding, bytes FROM blocks ORDER BY first_seq";
        let mut statement = self.conn.prepare(sql).map_err(fault)?;
        let mut rows = statement.query([]).map_err(fault)?;
        let (mut state, mut next, mut told) = (State::new(), 1, 0);
        while let Some(row) = rows.next().map_err(fault)? {
            self.found.blocks += 1;
            let first_seq = from_sql(row.get(0).map_err(fault)?);
            if first_seq != next {
                self.problem(format!("log: seq {next} should follow, but {first_seq} does"));
            }
            let count = self.block(row, first_seq, &mut state).map_err(fault)?;
            next = first_seq + count;
            self.found.operations += count;
            if self.found.operations - told >= OPS {
                told = self.found.operations;
                progress(Progress::new(told, self.head));
            }
        }
        progress(Progress::new(self.found.operations, self.head));
        Ok(state)
    }

    /// Checks a block, and gives its number of operations.
    fn block(&mut self, row: &Row<'_>, first_seq: u64, state: &mut State) -> rusqlite::Result<u64> {
        let count = from_sql(row.get(1)?);
        let node: [u8; 16] = row.get(2)?;
        let first_node_seq = from_sql(row.get(3)?);
        let encoding: u8 = row.get(4)?;
        let bytes = row.get_ref(5)?.as_blob()?;
        let block = match BlockRef::decode(bytes) {
            Ok(block) => block,
            Err(error) => {
                self.problem(format!("log: the block of seq {first_seq}: {error}"));
                return Ok(count);
            }
        };
        let header = block.header();
        let told =
            (u64::from(header.count), header.node.as_bytes(), header.first_node_seq, header.encoding.0);
        if told != (count, &node, first_node_seq, encoding) || header.holes {
            self.problem(format!("log: the block of seq {first_seq} is not the one that its row describes"));
        }
        let last = self.last.get(&node).map_or(0, |(last, _)| *last);
        if first_node_seq <= last {
            let node = header.node;
            self.problem(format!("log: the block of seq {first_seq} has numbers of node {node} again"));
        }
        let mut scratch = Vec::new();
        let rows = block.rows(&mut scratch).and_then(|rows| rows.validate(Capabilities::ALL).map(|()| rows));
        match rows {
            Ok(rows) => {
                for (op, seq) in rows.iter().zip(first_seq..) {
                    if seq <= self.found.state_seq {
                        state.apply(&op, Heard::at(seq), &mut ());
                    }
                    self.last.insert(node, (op.head.node_seq, op.head.check));
                }
            }
            Err(error) => self.problem(format!("log: the block of seq {first_seq}: {error}")),
        }
        Ok(count)
    }

    fn nodes(&mut self) -> Result<(), Error> {
        let place = self.place;
        let fault = |error| place.fault(&error);
        let sql = "SELECT node, mark, mark_check, since FROM nodes";
        let mut statement = self.conn.prepare(sql).map_err(fault)?;
        let rows = statement.query_map([], |row| {
            Ok((
                row.get::<_, [u8; 16]>(0)?,
                from_sql(row.get(1)?),
                row.get::<_, u32>(2)?,
                from_sql(row.get(3)?),
            ))
        });
        let mut last = core::mem::take(&mut self.last);
        for row in rows.map_err(fault)? {
            let (node, mark, check, since) = row.map_err(fault)?;
            self.found.nodes += 1;
            let name = Uuid::from_bytes(node);
            // Refused blocks move a mark beyond what is in the log.
            let agrees = match last.remove(&node) {
                Some((stored, stored_check)) if stored == mark => check == stored_check,
                Some((stored, _)) => stored < mark,
                None => mark > 0,
            };
            if !agrees {
                self.problem(format!("nodes: mark or check of {name} is not what the log says"));
            }
            if since > self.head {
                self.problem(format!("nodes: {name} came after the end of the log"));
            }
        }
        for node in last.into_keys() {
            self.problem(format!("nodes: {} has blocks in the log, but no mark", Uuid::from_bytes(node)));
        }
        Ok(())
    }

    /// Compares the state in the tables with what the log merged to.
    fn state(&mut self, mut merged: State) -> Result<(), Error> {
        let place = self.place;
        let fault = |error| place.fault(&error);
        if self.found.state_seq > self.head {
            self.problem("state: it is ahead of the log");
        }
        merged.prune(&mut ());
        let sql = "SELECT records.id, name, record, records.live, content FROM records
                   LEFT JOIN collections ON collections.id = collection ORDER BY records.id";
        let mut statement = self.conn.prepare(sql).map_err(fault)?;
        let mut rows = statement.query([]).map_err(fault)?;
        let mut live: BTreeMap<String, u64> = BTreeMap::new();
        let mut indexes = Indexes::new(self.conn);
        while let Some(row) = rows.next().map_err(fault)? {
            self.found.records += 1;
            let (id, name): (i64, Option<String>) = (row.get(0).map_err(fault)?, row.get(1).map_err(fault)?);
            let record = Uuid::from_bytes(row.get(2).map_err(fault)?);
            let name = name.unwrap_or_default();
            let mut stored = State::new();
            load_record(place, self.conn, id, (&name, record), &mut stored)?;
            stored.prune(&mut ());
            if !stored.entries().eq(merged.entries_of(&name, record)) {
                self.problem(format!("state: record {record} of {name:?} is not what the log merges to"));
            }
            let fields = merged.record(&name, record);
            if !indexes.agree((&name, record), id, fields.as_ref().map(Content::Fields)).map_err(fault)? {
                self.problem(format!("state: an index has not what record {record} of {name:?} has"));
            }
            let is_live: bool = row.get(3).map_err(fault)?;
            let content: Option<Vec<u8>> = row.get(4).map_err(fault)?;
            *live.entry(name.clone()).or_default() += u64::from(fields.is_some());
            let encoded = fields.as_ref().map(|fields| Value::Dictionary(fields.clone()).to_bytes().ok());
            if is_live != fields.is_some() || content.is_some_and(|content| encoded != Some(Some(content))) {
                self.problem(format!(
                    "state: content of record {record} of {name:?} is not what it merges to"
                ));
            }
        }
        let sql = "SELECT count(*) FROM index_rows WHERE index_id NOT IN (SELECT id FROM indexes)
                       OR id NOT IN (SELECT id FROM records)";
        let lost: i64 = self.conn.query_row(sql, [], |row| row.get(0)).map_err(fault)?;
        if lost > 0 {
            self.problem(format!("state: {lost} rows of indexes are of no index or no record"));
        }
        let records: usize = merged.collections().map(|name| merged.record_ids(name).count()).sum();
        if records as u64 != self.found.records {
            let found = self.found.records;
            self.problem(format!("state: it has {found} records, but the log merges to {records}"));
        }
        self.collections(live)
    }

    fn collections(&mut self, mut live: BTreeMap<String, u64>) -> Result<(), Error> {
        let place = self.place;
        let fault = |error| place.fault(&error);
        let mut statement = self.conn.prepare("SELECT name, live FROM collections").map_err(fault)?;
        let rows =
            statement.query_map(params![], |row| Ok((row.get::<_, String>(0)?, from_sql(row.get(1)?))));
        for row in rows.map_err(fault)? {
            let (name, stored) = row.map_err(fault)?;
            if live.remove(&name) != Some(stored) {
                self.problem(format!("state: the number of live records of {name:?} is wrong"));
            }
        }
        if !live.is_empty() {
            self.problem("state: a collection is missing");
        }
        Ok(())
    }
}
