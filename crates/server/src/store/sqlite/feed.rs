//! The merged state in tables, fed from the log.
//!
//! Records that a step touches are loaded into a [`State`], which merges the operations; what it says that
//! changed is written back in one transaction with the position. Between steps the records stay loaded,
//! within a bound, since what was written to is likely to be written to again.

use std::collections::{BTreeMap, HashMap};

use blazedb_relay::block::BlockRef;
use blazedb_relay::merge::{Entry, Heard, Observe, Path, State};
use blazedb_relay::op::OpRef;
use blazedb_relay::value::{Entries as FieldEntries, Value};
use blazedb_relay::wire::{NodeId, Timestamp};
use blazedb_relay_sql::{Content as Fields, Indexes, Step};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use uuid::Uuid;

use super::super::Fed;
use super::super::error::{Error, ErrorKind};
use super::Place;
use super::reader::{each_block, state_seq};
use super::schema::{from_sql, to_sql};
use super::writer::write;

/// Registers and counters that stay loaded between steps, some hundred bytes each.
const MAX_LOADED: usize = 200_000;
/// Content of a record that is larger is not kept beside its registers: it is more than one operation can
/// write, and would be written again with each.
const MAX_CONTENT: usize = 1 << 20;

/// Feeds a state, and keeps records of it loaded.
#[derive(Debug, Default)]
pub(super) struct Feeder {
    /// What the file has, or nothing is known of it.
    loaded: Option<Loaded>,
}

#[derive(Debug)]
struct Loaded {
    /// The position that the file's state had when this was it.
    seq: u64,
    state: State,
    collections: BTreeMap<Box<str>, Collection>,
    records: HashMap<(i64, Uuid), Record>,
    last_collection: i64,
    last_record: i64,
    /// Registers and counters that were loaded or set.
    entries: usize,
}

#[derive(Debug)]
struct Collection {
    id: i64,
    live: u64,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    id: i64,
    live: bool,
}

/// What became of registers and counters, by record, path below it, and whose counter; `None` for what was
/// dropped.
type Entries = BTreeMap<(i64, Box<[u8]>, Box<[u8]>), Option<Stored>>;

/// What a step changes.
#[derive(Default)]
struct Changes {
    entries: Entries,
    /// The records of these, with their collections.
    records: BTreeMap<i64, (Box<str>, Uuid)>,
}

/// A register or counter in the form of its row.
struct Stored {
    timestamp: Timestamp,
    value: Box<[u8]>,
    seq: u64,
}

/// Sees what an operation does to a record.
struct Seen<'a> {
    record: i64,
    changes: &'a mut Changes,
    count: usize,
}

impl Seen<'_> {
    fn put(&mut self, entry: &Entry<'_>, stored: Option<Stored>) {
        let path = entry.path().below().into();
        self.changes.entries.insert((self.record, path, counter_of(entry).into()), stored);
        self.count += 1;
    }
}

impl Observe for Seen<'_> {
    fn set(&mut self, entry: Entry<'_>) {
        let value = match entry {
            Entry::Register { value, .. } => value.into(),
            Entry::Counter { total, .. } => total.to_be_bytes().into(),
        };
        let seq = entry.heard().to_u64();
        self.put(&entry, Some(Stored { timestamp: entry.timestamp(), value, seq }));
    }

    fn dropped(&mut self, entry: Entry<'_>) {
        self.put(&entry, None);
    }
}

/// Node and base of a counter; empty for a register.
fn counter_of(entry: &Entry<'_>) -> Vec<u8> {
    match entry {
        Entry::Register { .. } => Vec::new(),
        Entry::Counter { base, timestamp, .. } => {
            let (counter, node) = (base.counter().to_be_bytes(), base.node());
            [timestamp.node().as_bytes(), &counter[..], node.as_bytes()].concat()
        }
    }
}

impl Feeder {
    /// Merges the blocks behind the state's position.
    pub(super) fn feed(
        &mut self,
        place: &Place,
        conn: &mut Connection,
        max_ops: usize,
    ) -> Result<Fed, Error> {
        // What fails leaves nothing loaded: it may be ahead of the file.
        let loaded = self.loaded.take();
        let (loaded, ops) = step(place, conn, loaded, max_ops)?;
        let seq = loaded.seq;
        self.loaded = (loaded.entries <= MAX_LOADED).then_some(loaded);
        Ok(Fed { seq, ops })
    }
}

/// Does a step of what indexes need besides the feeding; false if there is nothing. It is looked up before
/// appends have to wait for it.
pub(super) fn index(place: &Place, conn: &mut Connection) -> Result<bool, Error> {
    let fault = |error| place.fault(&error);
    let reading = conn.unchecked_transaction().map_err(fault)?;
    let step = Step::next(&reading, &mut |conn, id, named| large(place, conn, id, named)).map_err(fault)?;
    drop(reading);
    let Some(step) = step else { return Ok(false) };
    let done = write(place, conn, |transaction| step.apply(transaction).map_err(fault));
    done.map_err(|error| error.into_error())?;
    Ok(true)
}

/// The fields of a record whose content is not in the table.
pub(super) fn large(
    place: &Place,
    conn: &Connection,
    id: i64,
    named: (&str, Uuid),
) -> rusqlite::Result<Option<FieldEntries>> {
    let mut state = State::new();
    let loaded = load_record(place, conn, id, named, &mut state);
    loaded.map_err(|error| rusqlite::Error::UserFunctionError(error.into()))?;
    Ok(state.record(named.0, named.1))
}

fn step(
    place: &Place,
    conn: &mut Connection,
    loaded: Option<Loaded>,
    max_ops: usize,
) -> Result<(Loaded, u64), Error> {
    let mut changes = Changes::default();
    let mut scratch = Vec::new();
    let mut ops = 0;
    let reading = conn.unchecked_transaction().map_err(|error| place.fault(&error))?;
    let from = state_seq(&reading).map_err(|error| place.fault(&error))?;
    let mut loaded = match loaded.filter(|loaded| loaded.seq == from) {
        Some(loaded) => loaded,
        None => Loaded::nothing(&reading, from).map_err(|error| place.fault(&error))?,
    };
    each_block(place, &reading, from, |first_seq, bytes| {
        let damaged = |error| place.damaged(format!("the block of seq {first_seq}: {error}"));
        let block = BlockRef::decode(bytes).map_err(damaged)?;
        let last = first_seq + u64::from(block.header().span) - 1;
        for (op, seq) in block.rows(&mut scratch).map_err(damaged)?.iter().zip(first_seq..) {
            loaded.apply(place, &reading, &op, seq, &mut changes)?;
            loaded.seq = seq;
            ops += 1;
        }
        if loaded.seq != last {
            return Err(place.damaged(format!("the block of seq {first_seq} has an operation that is none")));
        }
        Ok(ops < max_ops as u64)
    })?;
    drop(reading);
    if ops > 0 {
        let contents = loaded.contents(changes.records);
        let stored = write(place, conn, |transaction| {
            store(transaction, from, &mut loaded, &changes.entries, &contents)
                .map_err(|error| place.fault(&error))?
                .then_some(())
                .ok_or_else(|| Error::new(ErrorKind::Superseded, &place.path, "somebody else fed the state"))
        });
        stored.map_err(|error| error.into_error())?;
    }
    Ok((loaded, ops))
}

impl Loaded {
    fn nothing(conn: &Connection, seq: u64) -> rusqlite::Result<Self> {
        let last = |sql| conn.query_row(sql, [], |row| row.get(0));
        Ok(Self {
            seq,
            state: State::new(),
            collections: BTreeMap::new(),
            records: HashMap::new(),
            last_collection: last("SELECT coalesce(max(id), 0) FROM collections")?,
            last_record: last("SELECT coalesce(max(id), 0) FROM records")?,
            entries: 0,
        })
    }

    fn apply(
        &mut self,
        place: &Place,
        conn: &Connection,
        op: &OpRef<'_>,
        seq: u64,
        changes: &mut Changes,
    ) -> Result<(), Error> {
        let (collection, record) = (op.head.collection, op.head.record);
        let id = self.load(place, conn, collection, record)?;
        let mut seen = Seen { record: id, changes, count: 0 };
        self.state.apply(op, Heard::at(seq), &mut seen);
        if seen.count > 0 {
            self.entries += seen.count;
            changes.records.entry(id).or_insert_with(|| (collection.into(), record));
        }
        Ok(())
    }

    /// The id of a record, which is loaded if it was not.
    fn load(
        &mut self,
        place: &Place,
        conn: &Connection,
        collection: &str,
        record: Uuid,
    ) -> Result<i64, Error> {
        let fault = |error| place.fault(&error);
        let known = match self.collections.get(collection) {
            Some(known) => known,
            None => {
                let sql = "SELECT id, live FROM collections WHERE name = ?";
                let mut statement = conn.prepare_cached(sql).map_err(fault)?;
                let stored = statement.query_row([collection], |row| {
                    Ok(Collection { id: row.get(0)?, live: from_sql(row.get(1)?) })
                });
                let stored = stored.optional().map_err(fault)?.unwrap_or_else(|| {
                    self.last_collection += 1;
                    Collection { id: self.last_collection, live: 0 }
                });
                self.collections.entry(collection.into()).or_insert(stored)
            }
        };
        let key = (known.id, record);
        if let Some(known) = self.records.get(&key) {
            return Ok(known.id);
        }
        let sql = "SELECT id, live FROM records WHERE collection = ? AND record = ?";
        let mut statement = conn.prepare_cached(sql).map_err(fault)?;
        let stored = statement.query_row(params![key.0, record.as_bytes()], |row| {
            Ok(Record { id: row.get(0)?, live: row.get(1)? })
        });
        let found = match stored.optional().map_err(fault)? {
            Some(found) => {
                self.entries += load_record(place, conn, found.id, (collection, record), &mut self.state)?;
                found
            }
            None => {
                self.last_record += 1;
                Record { id: self.last_record, live: false }
            }
        };
        self.records.insert(key, found);
        Ok(found.id)
    }

    /// What the changed records are now.
    fn contents(&self, changed: BTreeMap<i64, (Box<str>, Uuid)>) -> Vec<Content> {
        let content = |(id, (collection, record)): (i64, (Box<str>, Uuid))| {
            let fields = self.state.record(&collection, record).map(Value::Dictionary);
            let bytes = fields.as_ref().and_then(|fields| fields.to_bytes().ok());
            let bytes = bytes.filter(|bytes| bytes.len() <= MAX_CONTENT);
            let what = match (fields, bytes) {
                (_, Some(bytes)) => What::Kept(bytes),
                (Some(Value::Dictionary(fields)), None) => What::Large(fields),
                _ => What::Gone,
            };
            Content { id, collection, record, what }
        };
        changed.into_iter().map(content).collect()
    }
}

/// What a record is after a step.
struct Content {
    id: i64,
    collection: Box<str>,
    record: Uuid,
    what: What,
}

enum What {
    Gone,
    Kept(Vec<u8>),
    /// Not kept in the table.
    Large(FieldEntries),
}

/// Writes back what a step changed. False if the file's state is not where the step began.
fn store(
    transaction: &Transaction<'_>,
    from: u64,
    loaded: &mut Loaded,
    entries: &Entries,
    contents: &[Content],
) -> rusqlite::Result<bool> {
    let mut advance = transaction.prepare_cached("UPDATE database SET state_seq = ? WHERE state_seq = ?")?;
    if advance.execute([to_sql(loaded.seq), to_sql(from)])? == 0 {
        return Ok(false);
    }
    let mut set = transaction.prepare_cached(
        "INSERT INTO entries (record, path, counter_of, counter, author, value, seq)
         VALUES (?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO UPDATE SET counter = excluded.counter, author = excluded.author,
                                   value = excluded.value, seq = excluded.seq",
    )?;
    let mut remove =
        transaction.prepare_cached("DELETE FROM entries WHERE record = ? AND path = ? AND counter_of = ?")?;
    for ((record, path, counter_of), stored) in entries {
        match stored {
            Some(Stored { timestamp, value, seq }) => {
                let counter = to_sql(timestamp.counter());
                let author = timestamp.node();
                set.execute(params![
                    record,
                    path,
                    counter_of,
                    counter,
                    author.as_bytes(),
                    value,
                    to_sql(*seq)
                ])?
            }
            None => remove.execute(params![record, path, counter_of])?,
        };
    }
    let mut set = transaction.prepare_cached(
        "INSERT INTO records (id, collection, record, live, content) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET live = excluded.live, content = excluded.content",
    )?;
    let mut touched = BTreeMap::new();
    let mut indexes = Indexes::new(transaction);
    for Content { id, collection, record, what } in contents {
        let Some(known) = loaded.collections.get_mut(collection) else { continue };
        let (bytes, fields) = match what {
            What::Gone => (None, None),
            What::Kept(bytes) => (Some(bytes), Some(Fields::Encoded(bytes))),
            What::Large(fields) => (None, Some(Fields::Fields(fields))),
        };
        let live = fields.is_some();
        set.execute(params![id, known.id, record.as_bytes(), live, bytes])?;
        indexes.changed((collection, *record), *id, fields)?;
        let before = loaded.records.insert((known.id, *record), Record { id: *id, live });
        known.live = known.live + u64::from(live) - u64::from(before.is_some_and(|before| before.live));
        touched.insert(collection, (known.id, known.live));
    }
    let mut set = transaction.prepare_cached(
        "INSERT INTO collections (id, name, live) VALUES (?, ?, ?)
         ON CONFLICT (id) DO UPDATE SET live = excluded.live",
    )?;
    for (name, (id, live)) in touched {
        set.execute(params![id, name, to_sql(live)])?;
    }
    // The names of collections are there now.
    indexes.finish()?;
    Ok(true)
}

/// Loads the registers and counters of a record, and says how many there are.
pub(super) fn load_record(
    place: &Place,
    conn: &Connection,
    id: i64,
    (collection, record): (&str, Uuid),
    state: &mut State,
) -> Result<usize, Error> {
    let fault = |error| place.fault(&error);
    let sql = "SELECT path, counter_of, counter, author, value, seq FROM entries WHERE record = ?
               ORDER BY path, counter_of";
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    let mut rows = statement.query([id]).map_err(fault)?;
    let mut count = 0;
    while let Some(row) = rows.next().map_err(fault)? {
        let put = put_entry(row, (collection, record), state).map_err(fault)?;
        if put.is_none() {
            return Err(place.damaged(format!("record {record} of {collection:?} has an entry that is none")));
        }
        count += 1;
    }
    Ok(count)
}

/// Puts a row into the state; `None` if it is no entry.
fn put_entry(
    row: &Row<'_>,
    (collection, record): (&str, Uuid),
    state: &mut State,
) -> rusqlite::Result<Option<()>> {
    let counter_of = row.get_ref(1)?.as_blob()?;
    let value = row.get_ref(4)?.as_blob()?;
    let heard = Heard::at(from_sql(row.get(5)?));
    let Ok(path) = Path::from_parts(collection, record, row.get_ref(0)?.as_blob()?) else { return Ok(None) };
    let path = path.as_ref();
    let Some(timestamp) = timestamp(from_sql(row.get(2)?), row.get(3)?) else { return Ok(None) };
    let entry = if counter_of.is_empty() {
        Entry::Register { path, timestamp, value, heard }
    } else {
        let (Some(base), Ok(total)) = (base(counter_of, timestamp), value.try_into()) else {
            return Ok(None);
        };
        Entry::Counter { path, base, timestamp, total: i64::from_be_bytes(total), heard }
    };
    Ok(state.put(&entry, &mut ()).ok().map(|_| ()))
}

/// The base of a counter, if its node is that of the timestamp.
fn base(counter_of: &[u8], written: Timestamp) -> Option<Timestamp> {
    let rest = counter_of.strip_prefix(written.node().as_bytes())?;
    let (counter, node) = rest.split_first_chunk()?;
    match u64::from_be_bytes(*counter) {
        0 => Some(Timestamp::NEVER),
        counter => timestamp(counter, node.try_into().ok()?),
    }
}

fn timestamp(counter: u64, author: [u8; 16]) -> Option<Timestamp> {
    let node = NodeId::new(Uuid::from_bytes(author)).ok()?;
    Timestamp::new(counter, node).ok()
}
