//! What is answered: rows, as many as fit, and where the next page begins.

use blazedb_relay::limits::{MAX_CURSOR, MAX_FRAME};
use blazedb_relay::message::{Query, TableBuilder};
use blazedb_relay::registry::Tag;
use blazedb_relay::value::ValueRef;

use crate::Error;

/// Bytes of rows in one frame, beside a cursor and the frame's own fields.
const MAX_TABLE: usize = MAX_FRAME - MAX_CURSOR - 64;
/// Bytes of rows after which a page ends. A page of usual rows has its limit of rows before; four frames are
/// little for a relay to hold, and what comes is asked for by the cursor.
pub(crate) const PAGE: usize = 4 << 20;

/// An answer to a query.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The position of the state that answered.
    pub at: u64,
    /// The rows, a frame's worth in each; at least one table, if without rows.
    pub tables: Vec<TableBuilder>,
    /// To ask for the next page; empty if there is none.
    pub cursor: Vec<u8>,
}

/// A row of a page.
pub(crate) struct Row {
    /// The encoding of each cell; none for nothing.
    pub(crate) cells: Vec<Option<Vec<u8>>>,
    /// What it is ordered by, as a cursor holds it.
    pub(crate) order: Vec<Vec<u8>>,
}

impl Row {
    pub(crate) fn size(&self) -> usize {
        self.cells.iter().map(|cell| cell.as_ref().map_or(1, Vec::len)).sum()
    }
}

/// Makes an answer of rows. If there are `more`, it ends with the last row that a cursor can name.
pub(crate) fn answer(
    at: u64,
    query: &Query<'_>,
    columns: usize,
    mut rows: Vec<Row>,
    more: bool,
) -> Result<Answer, Error> {
    let mut cursor = Vec::new();
    while more && cursor.is_empty() {
        let Some(last) = rows.last() else { return Err(Error::TooExpensive) };
        match write_cursor(query, &last.order) {
            Some(bytes) => cursor = bytes,
            None => drop(rows.pop()),
        }
    }
    let empty = || TableBuilder::new(columns).map_err(|_| Error::TooExpensive);
    let mut table = empty()?;
    let mut tables = Vec::new();
    for row in &rows {
        let size = row.size();
        if size > MAX_TABLE {
            return Err(Error::TooExpensive);
        }
        if table.size() + size > MAX_TABLE {
            tables.push(core::mem::replace(&mut table, empty()?));
        }
        let removed = [Tag::REMOVED.0];
        let cells: Result<Vec<_>, _> =
            row.cells.iter().map(|cell| ValueRef::decode_cell(cell.as_deref().unwrap_or(&removed))).collect();
        let cells = cells.map_err(|_| Error::Damaged)?;
        // There are as many as columns, and a page has no more rows than a table.
        table.push(&cells).map_err(|_| Error::Damaged)?;
    }
    tables.push(table);
    Ok(Answer { at, tables, cursor })
}

/// A cursor: a checksum over the query and what follows, then what the last row is ordered by. `None` if it
/// would be too long.
fn write_cursor(query: &Query<'_>, order: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    for value in order {
        body.extend_from_slice(&u16::try_from(value.len()).ok()?.to_be_bytes());
        body.extend_from_slice(value);
    }
    let mut cursor = check(query, &body).to_vec();
    cursor.extend(body);
    (cursor.len() <= MAX_CURSOR).then_some(cursor)
}

/// What a cursor says that the last row was ordered by: `count` values.
//= SEC-5
pub(crate) fn read_cursor(query: &Query<'_>, count: usize) -> Result<Option<Vec<Vec<u8>>>, Error> {
    let cursor = query.cursor.as_bytes();
    if cursor.is_empty() {
        return Ok(None);
    }
    let Some((sum, body)) = cursor.split_first_chunk::<4>() else { return Err(Error::BadCursor) };
    if *sum != check(query, body) {
        return Err(Error::BadCursor);
    }
    let mut rest = body;
    let mut order = Vec::new();
    while !rest.is_empty() {
        let (len, after) = rest.split_first_chunk().ok_or(Error::BadCursor)?;
        let (value, after) =
            after.split_at_checked(u16::from_be_bytes(*len).into()).ok_or(Error::BadCursor)?;
        order.push(value.to_vec());
        rest = after;
    }
    if order.len() == count { Ok(Some(order)) } else { Err(Error::BadCursor) }
}

/// Of the query that a cursor belongs to: what is asked of which collection.
fn check(query: &Query<'_>, body: &[u8]) -> [u8; 4] {
    let mut hasher = crc32fast::Hasher::new();
    for part in [query.collection.as_str().as_bytes(), query.selection.raw(), body] {
        hasher.update(&(part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finalize().to_be_bytes()
}
