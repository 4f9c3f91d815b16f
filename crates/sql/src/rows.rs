//! Queries without groups: a page of rows.

use blazedb_relay::message::{Query, SortByRef};
use blazedb_relay::registry::Tag;
use blazedb_relay::value::Value;
use rusqlite::{Connection, Statement};

use crate::Error;
use crate::content::{Content, Found};
use crate::key;
use crate::meter::Meter;
use crate::page::{Answer, PAGE, Row, answer, read_cursor};
use crate::statement::{Behind, Source, Sql, rows};

/// A record of a row.
struct Record {
    id: i64,
    record: Vec<u8>,
    content: Option<Vec<u8>>,
}

impl Record {
    /// What stands at a path.
    fn at<T>(
        &self,
        meter: &Meter,
        path: blazedb_relay::message::PathRef<'_>,
        then: impl FnOnce(Found<'_>) -> T,
    ) -> T {
        if path.is_record_id() {
            return then(Found::Encoded([&[Tag::UUID.0], &*self.record].concat().into()));
        }
        let components: Vec<_> = path.components().iter().collect();
        let components = components.iter().map(|component| component.as_str().as_bytes());
        let run = meter.run();
        let content = match &self.content {
            Some(content) => Some(Content::Encoded(content)),
            None => run.large.get(&self.id).map(Content::Fields),
        };
        then(content.map_or(Found::Nothing, |content| content.at(components)))
    }

    /// The dictionary of its fields.
    fn fields(&self, meter: &Meter) -> Result<Vec<u8>, Error> {
        if let Some(content) = &self.content {
            return Ok(content.clone());
        }
        let fields = meter.run().large.get(&self.id).cloned().ok_or(Error::Damaged)?;
        Value::Dictionary(fields).to_bytes().map_err(|_| Error::TooExpensive)
    }
}

/// Answers a query without aggregates and group by.
pub(crate) fn run(
    conn: &Connection,
    at: u64,
    query: &Query<'_>,
    sources: &[Source],
    meter: &Meter,
    limit: usize,
) -> Result<Answer, Error> {
    let behind = behind(query, sources)?;
    let places = find(conn, query, sources, meter, behind.as_ref(), limit)?;
    let mut more = places.len() > limit;
    let mut load = conn.prepare_cached("SELECT record, content FROM records WHERE id = ?")?;
    let (mut found, mut size) = (Vec::new(), 0);
    for place in places.iter().take(limit) {
        if size >= PAGE {
            more = true;
            break;
        }
        let records: Vec<_> = place
            .iter()
            .map(|id| id.map(|id| record(&mut load, id)).transpose())
            .collect::<Result<_, _>>()?;
        let row = Row { cells: cells(query, &records, meter)?, order: order(query, &records, meter) };
        size += row.size();
        found.push(row);
    }
    let columns = match query.selection.projection().len() {
        0 => 2 * sources.len(),
        columns => columns,
    };
    answer(at, query, columns, found, more)
}

/// The ids of the records in each row, one row more than a page has.
fn find(
    conn: &Connection,
    query: &Query<'_>,
    sources: &[Source],
    meter: &Meter,
    behind: Option<&Behind>,
    limit: usize,
) -> Result<Vec<Vec<Option<i64>>>, Error> {
    let sql = page(query, sources, meter, behind, limit)?;
    let mut statement = conn.prepare(&sql.text)?;
    let found = statement.query_map(rusqlite::params_from_iter(&sql.parameters), |row| {
        (0..sources.len()).map(|source| row.get(source)).collect()
    })?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

fn page(
    query: &Query<'_>,
    sources: &[Source],
    meter: &Meter,
    behind: Option<&Behind>,
    limit: usize,
) -> Result<Sql, Error> {
    rows(query, sources, meter, behind, u32::try_from(limit + 1).unwrap_or(u32::MAX))
}

/// The statement for the page that the query's cursor asks for.
pub(crate) fn statement(
    query: &Query<'_>,
    sources: &[Source],
    meter: &Meter,
    limit: usize,
) -> Result<Sql, Error> {
    page(query, sources, meter, behind(query, sources)?.as_ref(), limit)
}

/// Where the page begins that a query asks for.
fn behind(query: &Query<'_>, sources: &[Source]) -> Result<Option<Behind>, Error> {
    let sorts = query.selection.sort().len();
    Ok(read_cursor(query, sorts + sources.len())?.map(|mut keys| {
        let records = keys.split_off(sorts);
        Behind { keys, records }
    }))
}

fn record(load: &mut Statement<'_>, id: i64) -> rusqlite::Result<Record> {
    load.query_row([id], |row| Ok(Record { id, record: row.get(0)?, content: row.get(1)? }))
}

fn cells(
    query: &Query<'_>,
    records: &[Option<Record>],
    meter: &Meter,
) -> Result<Vec<Option<Vec<u8>>>, Error> {
    let projection = query.selection.projection();
    let mut cells = Vec::new();
    for path in projection.iter() {
        let record = records.get(usize::from(path.source())).and_then(Option::as_ref);
        cells.push(match record {
            None => None,
            Some(record) => record.at(meter, path, |found| match found {
                Found::Nothing => Ok(None),
                Found::Encoded(encoding) => Ok(Some(encoding.into_owned())),
                Found::Boundless(_) => Err(Error::TooExpensive),
            })?,
        });
    }
    if projection.is_empty() {
        for record in records {
            match record {
                Some(record) => {
                    cells.push(Some([&[Tag::UUID.0], &*record.record].concat()));
                    cells.push(Some(record.fields(meter)?));
                }
                None => cells.extend([None, None]),
            }
        }
    }
    Ok(cells)
}

/// What a row is ordered by.
fn order(query: &Query<'_>, records: &[Option<Record>], meter: &Meter) -> Vec<Vec<u8>> {
    let mut order = Vec::new();
    for sort in query.selection.sort().iter() {
        let SortByRef::Path(path) = sort.by else { continue };
        let record = records.get(usize::from(path.source())).and_then(Option::as_ref);
        order.push(match record {
            Some(record) => record.at(meter, path, |found| found.key()),
            None => key::NOTHING.to_vec(),
        });
    }
    let ids = records.iter().map(|record| record.as_ref().map_or_else(Vec::new, |it| it.record.clone()));
    order.extend(ids);
    order
}
