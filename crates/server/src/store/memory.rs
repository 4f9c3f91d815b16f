//! Databases in memory: for tests, and the plainest form of what a backend has to do.

use core::num::NonZeroU64;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blazedb_relay::block::BlockRef;
use blazedb_relay::merge::{Heard, State};
use blazedb_relay::message::{Query, RestoreMode};
use blazedb_relay::relay::{Claim, Epoch, NodeAppend, Principal, StateCounts, StoredBlock};
use blazedb_relay::value::{Entries, Value};
use blazedb_relay::wire::{DatabaseName, NodeId, NodeKey};
use blazedb_relay_sql::{Answer, Budget, Engine, SCHEMA};
use bytes::Bytes;
use rusqlite::{Connection, params};
use uuid::Uuid;

use super::error::{Error, ErrorKind, QueryError, WriteError};
use super::node::{Node, Refusal, head_after, random_epoch};
use super::{Background, Fed, LogStore, Opened, Reader, Rewritten, Writer};

/// Keeps databases in memory, as long as it is there or one of its clones.
#[derive(Clone, Debug, Default)]
pub struct MemoryStore {
    databases: Arc<Mutex<BTreeMap<DatabaseName, MemoryDatabase>>>,
}

/// A database of a [`MemoryStore`], in any role.
#[derive(Clone, Debug)]
pub struct MemoryDatabase {
    data: Arc<Mutex<Data>>,
    /// Of the opening that may write with it.
    epoch: Option<NonZeroU64>,
}

#[derive(Default)]
struct Data {
    epochs: Vec<Epoch>,
    nodes: BTreeMap<NodeId, (Node, u64)>,
    /// By first seq.
    blocks: BTreeMap<u64, Bytes>,
    head: u64,
    state: State,
    state_seq: u64,
}

impl core::fmt::Debug for Data {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Data").field("head", &self.head).field("state_seq", &self.state_seq).finish()
    }
}

fn fault((kind, detail): Refusal) -> Error {
    Error::new(kind, Path::new("memory"), detail)
}

/// What a thread that panicked left behind is whole: nothing is changed before all is checked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl MemoryStore {
    /// A store without databases.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn database(&self, name: &DatabaseName) -> Result<MemoryDatabase, Error> {
        let missing = || fault((ErrorKind::Missing, name.as_str().into()));
        lock(&self.databases).get(name).cloned().ok_or_else(missing)
    }
}

impl LogStore for MemoryStore {
    type Writer = MemoryDatabase;
    type Reader = MemoryDatabase;
    type Background = MemoryDatabase;

    fn databases(&self) -> Result<Vec<DatabaseName>, Error> {
        Ok(lock(&self.databases).keys().cloned().collect())
    }

    fn open(&self, name: &DatabaseName) -> Result<Opened<MemoryDatabase>, Error> {
        let mut databases = lock(&self.databases);
        let new = || MemoryDatabase { data: Arc::default(), epoch: None };
        let mut writer = databases.entry(name.clone()).or_insert_with(new).clone();
        let mut data = lock(&writer.data);
        let epoch = data.mint().map_err(fault)?;
        let (head, epochs) = (data.head, data.epochs.clone());
        drop(data);
        writer.epoch = Some(epoch.id);
        Ok(Opened { writer, head, epochs })
    }

    fn reader(&self, name: &DatabaseName) -> Result<MemoryDatabase, Error> {
        self.database(name)
    }

    fn background(&self, name: &DatabaseName) -> Result<MemoryDatabase, Error> {
        self.database(name)
    }
}

impl Data {
    fn mint(&mut self) -> Result<Epoch, Refusal> {
        let id = random_epoch(|id| self.epochs.iter().any(|epoch| epoch.id.get() == id))?;
        let epoch = Epoch { id, begins: self.head, mode: RestoreMode::Keep };
        self.epochs.push(epoch);
        Ok(epoch)
    }

    fn append(&mut self, nodes: &[NodeAppend]) -> Result<u64, Refusal> {
        let head = head_after(self.head, nodes)?;
        let mut after = Vec::with_capacity(nodes.len());
        for node in nodes {
            let now = self.nodes.get(&node.node);
            let since = now.map_or(head, |(_, since)| *since);
            after.push((node.node, (Node::after(now.map(|(node, _)| node), node)?, since)));
        }
        self.nodes.extend(after);
        let first_seq = self.head + 1;
        let mut next = first_seq;
        for block in nodes.iter().flat_map(|node| &node.blocks) {
            self.blocks.insert(next, block.bytes.clone());
            next += u64::from(block.count);
        }
        self.head = head;
        Ok(first_seq)
    }
}

impl MemoryDatabase {
    fn write(&self) -> Result<MutexGuard<'_, Data>, Error> {
        let data = lock(&self.data);
        //= RLY-2
        if data.epochs.last().map(|epoch| epoch.id) == self.epoch {
            return Ok(data);
        }
        Err(fault((ErrorKind::Superseded, String::new())))
    }
}

impl Writer for MemoryDatabase {
    fn append(&mut self, nodes: &[NodeAppend]) -> Result<u64, WriteError> {
        Ok(self.write()?.append(nodes).map_err(fault)?)
    }

    fn mint(&mut self) -> Result<Epoch, WriteError> {
        let epoch = self.write()?.mint().map_err(fault)?;
        self.epoch = Some(epoch.id);
        Ok(epoch)
    }
}

impl Reader for MemoryDatabase {
    fn read(&mut self, after: u64, max_bytes: usize) -> Result<Vec<StoredBlock>, Error> {
        let data = lock(&self.data);
        if after >= data.head {
            return Ok(Vec::new());
        }
        let first = data.blocks.range(..=after + 1).next_back().map_or(0, |(first_seq, _)| *first_seq);
        let mut blocks: Vec<StoredBlock> = Vec::new();
        let mut left = max_bytes;
        for (first_seq, bytes) in data.blocks.range(first..) {
            if !blocks.is_empty() && bytes.len() > left {
                break;
            }
            left = left.saturating_sub(bytes.len());
            blocks.push(StoredBlock { first_seq: *first_seq, bytes: bytes.clone() });
        }
        Ok(blocks)
    }

    fn node(&mut self, node: NodeId, key: &NodeKey, principal: &Principal) -> Result<Claim, Error> {
        let data = lock(&self.data);
        Ok(Node::claim(data.nodes.get(&node).map(|(node, _)| node), key, principal))
    }

    fn state_seq(&mut self) -> Result<u64, Error> {
        Ok(lock(&self.data).state_seq)
    }

    fn counts(&mut self) -> Result<StateCounts, Error> {
        let data = lock(&self.data);
        let live: Vec<_> = data.state.collections().map(|name| data.state.records(name).count()).collect();
        let count = |numbers: usize| numbers as u64;
        Ok(StateCounts {
            seq: data.state_seq,
            operations: data.state_seq,
            nodes: count(data.nodes.values().filter(|(_, since)| *since <= data.state_seq).count()),
            live_records: count(live.iter().sum()),
            collections: count(live.iter().filter(|live| **live > 0).count()),
        })
    }

    fn query(&mut self, query: &Query<'_>, limit: u32, budget: &Budget) -> Result<Answer, QueryError> {
        let data = lock(&self.data);
        let seq = data.state_seq;
        let failed =
            |error: rusqlite::Error| QueryError::Failed(fault((ErrorKind::Failed, error.to_string())));
        let mut conn = tables(&data.state, query).map_err(failed)?;
        let engine = Engine::new(&conn).map_err(failed)?;
        let mut large =
            |_: &Connection, _, (collection, record): (&str, Uuid)| Ok(data.state.record(collection, record));
        let answer = engine.run(&mut conn, query, limit, budget, |_| Ok(seq), &mut large);
        answer.map_err(|error| QueryError::new(error, |error| fault((ErrorKind::Failed, error.to_string()))))
    }

    fn record(&mut self, collection: &str, record: Uuid) -> Result<Option<Entries>, Error> {
        Ok(lock(&self.data).state.record(collection, record))
    }
}

/// The records of the collections that a query reads, in the tables that it needs.
fn tables(state: &State, query: &Query<'_>) -> rusqlite::Result<Connection> {
    let conn = Connection::open_in_memory()?;
    conn.execute_batch(SCHEMA)?;
    let joined = query.selection.joins().iter().map(|join| join.collection.as_str());
    let names: BTreeSet<_> = joined.chain([query.collection.as_str()]).collect();
    for (collection, name) in (1_i64..).zip(names) {
        conn.execute("INSERT INTO collections (id, name, live) VALUES (?, ?, 0)", params![collection, name])?;
        let sql = "INSERT INTO records (collection, record, live, content) VALUES (?, ?, 1, ?)";
        let mut add = conn.prepare(sql)?;
        for (record, fields) in state.records(name) {
            let content = Value::Dictionary(fields).to_bytes().ok();
            add.execute(params![collection, record.as_bytes(), content])?;
        }
    }
    Ok(conn)
}

impl Background for MemoryDatabase {
    fn feed(&mut self, max_ops: usize) -> Result<Fed, Error> {
        let mut data = lock(&self.data);
        let Data { blocks, state, state_seq, .. } = &mut *data;
        let (mut scratch, mut ops) = (Vec::new(), 0);
        for (first_seq, bytes) in blocks.range(*state_seq + 1..) {
            if ops >= max_ops as u64 && ops > 0 {
                break;
            }
            let damaged = |error: blazedb_relay::error::DecodeError| {
                fault((ErrorKind::Damaged, format!("the block of seq {first_seq}: {error}")))
            };
            let rows = BlockRef::decode(bytes).and_then(|block| block.rows(&mut scratch)).map_err(damaged)?;
            for (op, seq) in rows.iter().zip(*first_seq..) {
                state.apply(&op, Heard::at(seq), &mut ());
                *state_seq = seq;
                ops += 1;
            }
        }
        Ok(Fed { seq: *state_seq, ops })
    }

    fn index(&mut self) -> Result<bool, Error> {
        // Each query makes its tables anew.
        Ok(false)
    }

    fn rewrite(&mut self, after: u64, _: u64) -> Result<Rewritten, Error> {
        Ok(Rewritten { after, replaced: 0, by: 0 })
    }

    fn checkpoint(&mut self) -> Result<(), Error> {
        Ok(())
    }
}
