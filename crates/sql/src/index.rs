//! Indexes that are records: each live record of the collection `_indexes` with a `collection` and `fields`
//! is one.
//!
//! They stand in one table, so that none has to be created while somebody waits: rows of new records come
//! with the records, those of old ones in steps, and rows of an index that is gone go in steps.

use blazedb_relay::limits::{MAX_PATH, MAX_PATH_COMPONENT};
use blazedb_relay::value::ValueRef;
use rusqlite::{Connection, OptionalExtension, params};
use uuid::Uuid;

use crate::Large;
use crate::content::Content;
use crate::functions::{components, path_parameter};
use crate::key;

/// The collection whose records are indexes.
pub const COLLECTION: &str = "_indexes";
/// Indexes of a database. Each makes every write to its collection dearer.
const MAX_INDEXES: usize = 64;
/// Fields of an index; as many as a query can sort by.
const MAX_FIELDS: usize = 8;
/// Records of `_indexes` that are looked at, in the order of their ids.
const MAX_DEFINITIONS: i64 = 1_024;
/// The ids of the records that one step looks at.
const STEP: i64 = 512;
/// Of an index with rows for all records.
const READY: i64 = i64::MAX;
/// Of an index whose rows are being removed.
const DROPPED: i64 = -1;

/// An index that a query can use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Index {
    pub(crate) id: i64,
    /// Its fields, each a path as a parameter.
    pub(crate) paths: Vec<Vec<u8>>,
}

impl Index {
    /// What a record's row is ordered by.
    fn key(&self, content: Content<'_>) -> Vec<u8> {
        let mut row = Vec::new();
        for path in &self.paths {
            key::push_part(&mut row, &content.at(components(path)).key());
        }
        row
    }
}

/// The indexes of a collection that have all rows.
pub(crate) fn ready(conn: &Connection, collection: &str) -> rusqlite::Result<Vec<Index>> {
    let all = all(conn, Some(collection))?;
    Ok(all.into_iter().filter(|(_, built)| *built == READY).map(|(index, _)| index).collect())
}

/// All indexes of a collection, or of all, with the id up to which records have rows.
fn all(conn: &Connection, collection: Option<&str>) -> rusqlite::Result<Vec<(Index, i64)>> {
    let sql = "SELECT id, fields, built FROM indexes WHERE collection = ?1 OR ?1 IS NULL ORDER BY id";
    let mut statement = conn.prepare_cached(sql)?;
    let rows = statement.query_map([collection], |row| {
        let paths = components(row.get_ref(1)?.as_blob()?).map(<[u8]>::to_vec).collect();
        Ok((Index { id: row.get(0)?, paths }, row.get(2)?))
    })?;
    rows.collect()
}

/// The indexes of one collection, each with the id up to which records have rows.
#[derive(Debug)]
struct Of {
    collection: Box<str>,
    indexes: Vec<(Index, i64)>,
}

/// Keeps the rows of indexes up to date. Made for each transaction that changes records.
#[derive(Debug)]
pub struct Indexes<'c> {
    conn: &'c Connection,
    /// Of the collection that was asked for last.
    of: Option<Of>,
    redefined: bool,
}

impl<'c> Indexes<'c> {
    /// For a transaction of this connection.
    #[must_use]
    pub const fn new(conn: &'c Connection) -> Self {
        Self { conn, of: None, redefined: false }
    }

    /// Takes note of what the record of row `id` is now; no content if it is not live.
    ///
    /// # Errors
    /// Of SQLite.
    pub fn changed(
        &mut self,
        (collection, record): (&str, Uuid),
        id: i64,
        content: Option<Content<'_>>,
    ) -> rusqlite::Result<()> {
        self.redefined |= collection == COLLECTION;
        let conn = self.conn;
        for index in self.with_rows(collection, id)? {
            put(conn, index, (id, record), content)?;
        }
        Ok(())
    }

    /// Whether the rows of a record are those that its content makes.
    ///
    /// # Errors
    /// Of SQLite.
    pub fn agree(
        &mut self,
        (collection, record): (&str, Uuid),
        id: i64,
        content: Option<Content<'_>>,
    ) -> rusqlite::Result<bool> {
        let conn = self.conn;
        for index in self.with_rows(collection, id)? {
            let wanted = content.map(|content| index.key(content));
            let sql = "SELECT key FROM index_rows WHERE id = ? AND index_id = ? AND record = ?";
            let mut statement = conn.prepare_cached(sql)?;
            let stored = statement.query_row(params![id, index.id, record.as_bytes()], |row| row.get(0));
            if stored.optional()? != wanted {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The indexes of a collection that have rows of records up to `id`.
    fn with_rows(&mut self, collection: &str, id: i64) -> rusqlite::Result<impl Iterator<Item = &Index>> {
        let of = match self.of.take().filter(|of| *of.collection == *collection) {
            Some(of) => of,
            None => Of { collection: collection.into(), indexes: all(self.conn, Some(collection))? },
        };
        let indexes = self.of.insert(of).indexes.iter();
        Ok(indexes.filter(move |(_, built)| *built >= id).map(|(index, _)| index))
    }

    /// Makes the list of indexes what the records of `_indexes` say, if one of them changed.
    ///
    /// # Errors
    /// Of SQLite.
    pub fn finish(self) -> rusqlite::Result<()> {
        if self.redefined { define(self.conn) } else { Ok(()) }
    }
}

/// Sets the row of a record in an index.
fn put(
    conn: &Connection,
    index: &Index,
    (id, record): (i64, Uuid),
    content: Option<Content<'_>>,
) -> rusqlite::Result<()> {
    let row = content.map(|content| index.key(content));
    let sql = "SELECT key FROM index_rows WHERE id = ? AND index_id = ?";
    let old: Option<Vec<u8>> =
        conn.prepare_cached(sql)?.query_row([id, index.id], |row| row.get(0)).optional()?;
    if old == row {
        return Ok(());
    }
    if let Some(old) = old {
        let sql = "DELETE FROM index_rows WHERE index_id = ? AND key = ? AND record = ?";
        conn.prepare_cached(sql)?.execute(params![index.id, old, record.as_bytes()])?;
    }
    if let Some(row) = row {
        let sql = "INSERT INTO index_rows (index_id, key, record, id) VALUES (?, ?, ?, ?)";
        conn.prepare_cached(sql)?.execute(params![index.id, row, record.as_bytes(), id])?;
    }
    Ok(())
}

/// Compares the list of indexes with what is wanted: what is new is to be built, what is gone dropped.
fn define(conn: &Connection) -> rusqlite::Result<()> {
    let mut wanted: Vec<(String, Vec<u8>)> = Vec::new();
    let sql = "SELECT content FROM records WHERE live AND content IS NOT NULL
                   AND collection = (SELECT id FROM collections WHERE name = ?)
               ORDER BY record LIMIT ?";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![COLLECTION, MAX_DEFINITIONS])?;
    while let Some(row) = rows.next()? {
        if let Some(definition) = definition(row.get_ref(0)?.as_blob()?)
            && wanted.len() < MAX_INDEXES
            && !wanted.contains(&definition)
        {
            wanted.push(definition);
        }
    }
    let mut statement = conn.prepare_cached("SELECT id, collection, fields FROM indexes WHERE built != ?")?;
    let mut rows = statement.query([DROPPED])?;
    let mut dropped = Vec::new();
    while let Some(row) = rows.next()? {
        let there = (row.get(1)?, row.get(2)?);
        match wanted.iter().position(|wanted| *wanted == there) {
            Some(found) => drop(wanted.swap_remove(found)),
            None => dropped.push(row.get::<_, i64>(0)?),
        }
    }
    for id in dropped {
        conn.execute("UPDATE indexes SET built = ? WHERE id = ?", [DROPPED, id])?;
    }
    for (collection, fields) in wanted {
        let sql = "INSERT INTO indexes (collection, fields, built) VALUES (?, ?, 0)";
        conn.execute(sql, params![collection, fields])?;
    }
    Ok(())
}

/// The collection and fields of an index, from the content of its record; `None` if it is none.
fn definition(content: &[u8]) -> Option<(String, Vec<u8>)> {
    let Ok(ValueRef::Dictionary(entries)) = ValueRef::decode(content) else { return None };
    let get = |name| entries.iter().find(|(key, _)| *key == name).map(|(_, value)| value);
    let (Some(ValueRef::String(collection)), Some(ValueRef::Array(fields))) =
        (get("collection"), get("fields"))
    else {
        return None;
    };
    let mut paths = Vec::new();
    for field in fields.iter() {
        let path: Vec<&str> = if let ValueRef::Array(path) = field {
            path.iter().map(text).collect::<Option<_>>()?
        } else {
            vec![text(field)?]
        };
        let legal = |component: &&str| !component.is_empty() && component.len() <= MAX_PATH_COMPONENT;
        if path.is_empty() || path.len() > MAX_PATH || !path.iter().all(legal) {
            return None;
        }
        let path = path_parameter(path.into_iter());
        paths.extend_from_slice(&u16::try_from(path.len()).ok()?.to_be_bytes());
        paths.extend_from_slice(&path);
    }
    ((1..=MAX_FIELDS).contains(&fields.len())).then(|| (collection.to_owned(), paths))
}

fn text(value: ValueRef<'_>) -> Option<&str> {
    if let ValueRef::String(text) = value { Some(text) } else { None }
}

/// A step of what indexes need, prepared without writing anything.
#[derive(Debug)]
pub struct Step {
    index: Index,
    what: What,
}

#[derive(Debug)]
enum What {
    /// These rows, and then it is built up to that id.
    Build {
        rows: Vec<(Vec<u8>, Uuid, i64)>,
        built: i64,
    },
    Drop,
}

impl Step {
    /// The next step; `None` if nothing is to be done.
    ///
    /// # Errors
    /// Of SQLite, or of who knows large content.
    pub fn next(conn: &Connection, large: &mut Large<'_>) -> rusqlite::Result<Option<Self>> {
        let sql = "SELECT min(id) FROM indexes WHERE built != ?";
        let Some(id) = conn.prepare_cached(sql)?.query_row([READY], |row| row.get::<_, Option<i64>>(0))?
        else {
            return Ok(None);
        };
        let found = all(conn, None)?.into_iter().find(|(index, _)| index.id == id);
        let Some((index, built)) = found else { return Ok(None) };
        if built == DROPPED {
            return Ok(Some(Self { index, what: What::Drop }));
        }
        let sql = "SELECT name FROM collections WHERE name = (SELECT collection FROM indexes WHERE id = ?)";
        let name: Option<String> = conn.prepare_cached(sql)?.query_row([id], |row| row.get(0)).optional()?;
        let name = name.unwrap_or_default();
        // By id, whatever index SQLite has for collections, so that a step has an end.
        let sql = "SELECT id, record, content FROM records
                   WHERE id > ?1 AND id <= ?2 AND live
                         AND +collection = (SELECT id FROM collections WHERE name = ?3)";
        let mut statement = conn.prepare_cached(sql)?;
        let end = built.saturating_add(STEP);
        let mut stored = statement.query(params![built, end, name])?;
        let mut rows = Vec::new();
        while let Some(row) = stored.next()? {
            let (id, record) = (row.get(0)?, Uuid::from_bytes(row.get(1)?));
            let fields;
            let content = match row.get_ref(2)?.as_blob_or_null()? {
                Some(content) => Content::Encoded(content),
                None => match large(conn, id, (&name, record))? {
                    Some(found) => {
                        fields = found;
                        Content::Fields(&fields)
                    }
                    None => continue,
                },
            };
            rows.push((index.key(content), record, id));
        }
        let sql = "SELECT coalesce(max(id), 0) FROM records";
        let last: i64 = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        let built = if end >= last { READY } else { end };
        Ok(Some(Self { index, what: What::Build { rows, built } }))
    }

    /// Does it. Nothing else may have written since it was prepared.
    ///
    /// # Errors
    /// Of SQLite.
    pub fn apply(&self, conn: &Connection) -> rusqlite::Result<()> {
        match &self.what {
            What::Build { rows, built } => {
                let sql = "INSERT OR REPLACE INTO index_rows (index_id, key, record, id) VALUES (?, ?, ?, ?)";
                let mut statement = conn.prepare_cached(sql)?;
                for (row, record, id) in rows {
                    statement.execute(params![self.index.id, row, record.as_bytes(), id])?;
                }
                let sql = "UPDATE indexes SET built = ? WHERE id = ?";
                conn.prepare_cached(sql)?.execute([*built, self.index.id])?;
            }
            What::Drop => {
                let sql = "DELETE FROM index_rows WHERE (index_id, key, record) IN
                               (SELECT index_id, key, record FROM index_rows WHERE index_id = ? LIMIT ?)";
                if conn.prepare_cached(sql)?.execute([self.index.id, STEP])? == 0 {
                    conn.prepare_cached("DELETE FROM indexes WHERE id = ?")?.execute([self.index.id])?;
                }
            }
        }
        Ok(())
    }
}
