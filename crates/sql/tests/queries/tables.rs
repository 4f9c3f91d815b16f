//! The tables of a state, and queries over them.

use blazedb_relay::merge::State;
use blazedb_relay::message::{Cursor, Extensions, PageLimit, Query, Selection};
use blazedb_relay::value::{Entries, Value};
use blazedb_relay::wire::{CollectionName, Position};
use blazedb_relay_sql::{Answer, Budget, Content, Engine, Error, INDEXES, Indexes, Plan, SCHEMA, Step};
use rusqlite::{Connection, params};
use uuid::Uuid;

/// A record with its fields.
pub(crate) type Record = (Uuid, Entries);

/// A state in tables.
pub(crate) struct Tables {
    pub(crate) conn: Connection,
    engine: Engine,
    /// The records whose content is not in the table.
    large: Vec<(String, Record)>,
    /// What a query may cost.
    pub(crate) budget: Budget,
}

impl Tables {
    pub(crate) fn new() -> Self {
        let conn = Connection::open_in_memory().unwrap();
        conn.execute_batch(SCHEMA).unwrap();
        let engine = Engine::new(&conn).unwrap();
        Self { conn, engine, large: Vec::new(), budget: Budget::default() }
    }

    /// All live records of a state; of those that `is_large` the table gets no content.
    pub(crate) fn of(state: &State, mut is_large: impl FnMut() -> bool) -> Self {
        let mut this = Self::new();
        for collection in state.collections() {
            for (record, fields) in state.records(collection) {
                this.set(collection, record, Some(&fields), is_large());
            }
        }
        this
    }

    /// Makes a record what it is now.
    pub(crate) fn set(&mut self, collection: &str, record: Uuid, fields: Option<&Entries>, large: bool) {
        let transaction = self.conn.transaction().unwrap();
        let sql = "INSERT INTO collections (name, live) VALUES (?, 0) ON CONFLICT DO NOTHING";
        transaction.execute(sql, [collection]).unwrap();
        let content = fields.map(|fields| Value::Dictionary(fields.clone()).to_bytes().unwrap());
        let sql = "INSERT INTO records (collection, record, live, content)
                   VALUES ((SELECT id FROM collections WHERE name = ?), ?, ?, ?)
                   ON CONFLICT DO UPDATE SET live = excluded.live, content = excluded.content
                   RETURNING id";
        let stored = content.filter(|_| !large);
        let row = params![collection, record.as_bytes(), fields.is_some(), stored];
        let id = transaction.query_row(sql, row, |row| row.get(0)).unwrap();
        self.large.retain(|(name, (other, _))| name != collection || *other != record);
        if let (true, Some(fields)) = (large, fields) {
            self.large.push((collection.to_owned(), (record, fields.clone())));
        }
        let mut indexes = Indexes::new(&transaction);
        indexes.changed((collection, record), id, fields.map(Content::Fields)).unwrap();
        indexes.finish().unwrap();
        transaction.commit().unwrap();
    }

    /// Adds an index, and builds it.
    pub(crate) fn add_index(&mut self, number: u128, collection: &str, fields: &[&[&str]]) {
        self.define_index(number, collection, fields);
        while self.step() {}
    }

    pub(crate) fn define_index(&mut self, number: u128, collection: &str, fields: &[&[&str]]) {
        let path = |path: &&[&str]| Value::Array(path.iter().map(|name| Value::from(*name)).collect());
        let fields = Value::Array(fields.iter().map(path).collect());
        let entries = vec![("collection".into(), Value::from(collection)), ("fields".into(), fields)];
        self.set(INDEXES, Uuid::from_u128(number), Some(&Entries::new(entries).unwrap()), false);
    }

    /// Does a step of the work on indexes; false if there is none.
    pub(crate) fn step(&mut self) -> bool {
        let Self { conn, large, .. } = self;
        let step = Step::next(conn, &mut |_, _, (name, record)| Ok(find(large, name, record))).unwrap();
        if let Some(step) = &step {
            step.apply(conn).unwrap();
        }
        step.is_some()
    }

    /// One page.
    pub(crate) fn page(
        &mut self,
        collection: &str,
        selection: &Selection,
        limit: u32,
        cursor: &[u8],
    ) -> Result<Answer, Error> {
        let (collection, mut buffer) = (CollectionName::new(collection).unwrap(), Vec::new());
        let query = query(&collection, selection, &mut buffer, cursor);
        let Self { conn, engine, large, budget } = self;
        let mut large = |_: &Connection, _: i64, (name, record): (&str, Uuid)| Ok(find(large, name, record));
        engine.run(conn, &query, limit, budget, |_| Ok(7), &mut large)
    }

    /// How a page is found.
    pub(crate) fn plan(&mut self, collection: &str, selection: &Selection, cursor: &[u8]) -> Plan {
        let (collection, mut buffer) = (CollectionName::new(collection).unwrap(), Vec::new());
        let query = query(&collection, selection, &mut buffer, cursor);
        self.engine.plan(&mut self.conn, &query).unwrap()
    }

    /// All rows of a page; nothing is `Removed`.
    pub(crate) fn rows(&mut self, collection: &str, selection: &Selection) -> Vec<Vec<Value>> {
        rows(&self.page(collection, selection, 10_000, &[]).unwrap())
    }
}

fn query<'q>(
    collection: &'q CollectionName,
    selection: &Selection,
    buffer: &'q mut Vec<u8>,
    cursor: &'q [u8],
) -> Query<'q> {
    Query {
        collection: collection.into(),
        after: Position::START,
        selection: selection.encode(buffer).unwrap(),
        limit: PageLimit::DEFAULT,
        cursor: Cursor::new(cursor).unwrap(),
        extensions: Extensions::EMPTY,
    }
}

fn find(large: &[(String, Record)], name: &str, record: Uuid) -> Option<Entries> {
    let found = large.iter().find(|(of, (id, _))| of == name && *id == record);
    found.map(|(_, (_, fields))| fields.clone())
}

pub(crate) fn rows(answer: &Answer) -> Vec<Vec<Value>> {
    let tables = answer.tables.iter().map(blazedb_relay::message::TableBuilder::table);
    tables.flat_map(|table| table.iter().map(|row| row.cells().map(Value::from).collect())).collect()
}
