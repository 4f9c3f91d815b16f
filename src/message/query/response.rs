//! Query response: relay to client, rows (SPEC.md 7.14).

use alloc::vec::Vec;
use core::fmt;

use super::Cursor;
use crate::error::BuildError;
use crate::limits::{MAX_COLUMNS, MAX_ROWS};
use crate::message::{DecodeInput, Extensions, Failure, fields};
use crate::registry::ErrorCode;
use crate::value::{Context, Value, ValueRef, value};
use crate::wire::parse::{At, Res, count16, fail, items};
use crate::wire::{Position, Sink, position};

/// Rows of a query, or some of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueryResponse<'a> {
    /// The log position of the state that answered; the same in every frame.
    pub at: Position,
    /// The rows of this frame.
    pub table: Table<'a>,
    /// Whether the answer ends here.
    pub end: PageEnd<'a>,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

/// Where the answer to a query goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEnd<'a> {
    /// In another frame: flag `more` is set (QRY-16).
    More,
    /// This is its last frame. The cursor asks for the next page; it is empty if there is none.
    Last(Cursor<'a>),
}

impl<'a> QueryResponse<'a> {
    pub(in crate::message) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, at) = position("at")(rest)?;
            let (cursor_at, table) = Table::decode(rest)?;
            //= QRY-12
            let (rest, cursor) = Cursor::decode("cursor")(cursor_at)?;
            //= QRY-16
            let end = match (input.more, cursor.is_empty()) {
                (true, true) => PageEnd::More,
                (true, false) => return fail(cursor_at, ErrorCode::NON_CANONICAL, "cursor"),
                (false, _) => PageEnd::Last(cursor),
            };
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { at, table, end, extensions }))
        })
    }

    pub(in crate::message) fn encode<S: Sink>(&self, sink: &mut S) {
        self.at.encode(sink);
        sink.put_u16(self.table.columns);
        sink.put_u16(self.table.rows);
        sink.put(self.table.raw);
        match self.end {
            PageEnd::More => Cursor::EMPTY.encode(sink),
            PageEnd::Last(cursor) => cursor.encode(sink),
        }
        self.extensions.encode(sink);
    }
}

/// Cells in rows and columns. A cell without anything in it is `Removed` (QRY-15).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Table<'a> {
    columns: u16,
    rows: u16,
    raw: &'a [u8],
}

impl<'a> Table<'a> {
    /// How many columns, 1 to 128.
    #[must_use]
    pub const fn columns(self) -> usize {
        self.columns as usize
    }

    /// How many rows, 0 to 10,000.
    #[must_use]
    pub const fn len(self) -> usize {
        self.rows as usize
    }

    /// True if there are no rows.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.rows == 0
    }

    /// The rows in order.
    #[must_use]
    pub const fn iter(self) -> TableIter<'a> {
        TableIter { columns: self.columns, raw: self.raw }
    }

    fn decode(input: &'a [u8]) -> Res<'a, Self> {
        //= QRY-14
        let (rest, columns) = count16(1..=MAX_COLUMNS, "columns")(input)?;
        let (rest, rows) = count16(0..=MAX_ROWS, "rows")(rest)?;
        let (rest, raw) = items(columns * rows, |input| cell(input).map(|(rest, _)| (rest, ())))(rest)?;
        #[allow(clippy::cast_possible_truncation, reason = "both were read as u16")]
        Ok((rest, Self { columns: columns as u16, rows: rows as u16, raw }))
    }
}

//= QRY-15
fn cell(input: &[u8]) -> Res<'_, ValueRef<'_>> {
    value(input, &Context::CELL)
}

impl fmt::Debug for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Walks the rows of a [`Table`], which was checked before.
#[derive(Clone, Debug)]
pub struct TableIter<'a> {
    columns: u16,
    raw: &'a [u8],
}

impl<'a> Iterator for TableIter<'a> {
    type Item = Row<'a>;

    fn next(&mut self) -> Option<Row<'a>> {
        let cells = |input| cell(input).map(|(rest, _)| (rest, ()));
        let (rest, raw) = items(usize::from(self.columns), cells)(self.raw).ok()?;
        self.raw = rest;
        Some(Row { raw })
    }
}

/// One row of a [`Table`].
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Row<'a> {
    raw: &'a [u8],
}

impl<'a> Row<'a> {
    /// Its cells, one for each column.
    #[must_use]
    pub const fn cells(self) -> Cells<'a> {
        Cells { raw: self.raw }
    }
}

impl fmt::Debug for Row<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.cells()).finish()
    }
}

/// Walks the cells of a [`Row`], which was checked before.
#[derive(Clone, Debug)]
pub struct Cells<'a> {
    raw: &'a [u8],
}

impl<'a> Iterator for Cells<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<ValueRef<'a>> {
        let (rest, cell) = cell(self.raw).ok()?;
        self.raw = rest;
        Some(cell)
    }
}

/// Collects rows for a [`QueryResponse`].
#[derive(Clone, Debug)]
pub struct TableBuilder {
    columns: u16,
    rows: u16,
    bytes: Vec<u8>,
}

impl TableBuilder {
    /// A table without rows.
    ///
    /// # Errors
    /// `EMPTY` without columns, `TOO_MANY` with more than 128 (QRY-14).
    pub fn new(columns: usize) -> Result<Self, BuildError> {
        match u16::try_from(columns) {
            Ok(0) => Err(BuildError::new(ErrorCode::EMPTY, "columns")),
            Ok(count) if columns <= MAX_COLUMNS => Ok(Self { columns: count, rows: 0, bytes: Vec::new() }),
            _ => Err(BuildError::new(ErrorCode::TOO_MANY, "columns")),
        }
    }

    /// Adds a row of values that were decoded before, or are scalars.
    ///
    /// # Errors
    /// `OUT_OF_RANGE` unless there are as many cells as columns, `TOO_MANY` for row 10,001 (QRY-14),
    /// and the code of the rule that a cell breaks (QRY-15). The table is as before then.
    pub fn push(&mut self, cells: &[ValueRef<'_>]) -> Result<(), BuildError> {
        self.add(cells, |cell, bytes| {
            cell.encode(bytes);
            Ok(())
        })
    }

    /// Adds a row of values that an application built.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_owned(&mut self, cells: &[Value]) -> Result<(), BuildError> {
        self.add(cells, |cell, bytes| {
            bytes.put(&cell.to_bytes()?);
            Ok(())
        })
    }

    fn add<T>(
        &mut self,
        cells: &[T],
        encode: impl Fn(&T, &mut Vec<u8>) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        if cells.len() != usize::from(self.columns) {
            return Err(BuildError::new(ErrorCode::OUT_OF_RANGE, "columns"));
        }
        if usize::from(self.rows) >= MAX_ROWS {
            return Err(BuildError::new(ErrorCode::TOO_MANY, "rows"));
        }
        let row_at = self.bytes.len();
        let added = cells.iter().try_for_each(|each| {
            let cell_at = self.bytes.len();
            encode(each, &mut self.bytes)?;
            prove(self.bytes.get(cell_at..).unwrap_or_default())
        });
        match added {
            Ok(()) => self.rows += 1,
            Err(_) => self.bytes.truncate(row_at),
        }
        added
    }

    /// Bytes that the rows take.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Takes all rows away and keeps the memory.
    pub fn clear(&mut self) {
        self.rows = 0;
        self.bytes.clear();
    }

    /// The rows so far.
    #[must_use]
    pub fn table(&self) -> Table<'_> {
        Table { columns: self.columns, rows: self.rows, raw: &self.bytes }
    }
}

/// Fails unless `bytes` are exactly one cell.
fn prove(bytes: &[u8]) -> Result<(), BuildError> {
    match cell(bytes) {
        Ok(([], _)) => Ok(()),
        Ok(_) => Err(BuildError::new(ErrorCode::TOO_LONG, "cell")),
        Err(nom::Err::Error(At { code, field, .. }) | nom::Err::Failure(At { code, field, .. })) => {
            Err(BuildError::new(code, field))
        }
        Err(nom::Err::Incomplete(_)) => Err(BuildError::new(ErrorCode::TRUNCATED, "cell")),
    }
}
