//! Query and its response (SPEC.md 7.13 and 7.14).

mod filter;
mod owned;
mod path;
mod response;
mod selection;

pub use filter::{Comparison, FilterOp, FilterOps, FilterRef, Values};
pub use owned::{Aggregate, Filter, Join, Path, Selection, SortBy, SortKey};
pub use path::{PathComponent, PathRef};
pub use response::{Cells, PageEnd, QueryResponse, Row, Table, TableBuilder, TableIter};
pub use selection::{
    AggregateFunction, AggregateRef, Direction, JoinKind, JoinRef, SelectionRef, SortByRef, SortKeyRef,
};

use super::checked::{CollectionRef, Data, put_text8};
use super::{DecodeInput, Extensions, Failure, fields};
use crate::error::BuildError;
use crate::limits::{MAX_CURSOR, MAX_ROWS};
use crate::registry::ErrorCode;
use crate::wire::parse::{Res, fail, u32};
use crate::wire::{Position, Sink, position};

/// Names the last row of a page; opaque to the client. At most 1,024 bytes (QRY-12).
pub type Cursor<'a> = Data<'a, MAX_CURSOR>;

/// Client to relay: a question about the merged state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// Source 0.
    pub collection: CollectionRef<'a>,
    /// The state must have reached it; [`Position::START`] for any.
    pub after: Position,
    /// What is asked.
    pub selection: SelectionRef<'a>,
    /// Rows of this page.
    pub limit: PageLimit,
    /// Of the response before; empty for the first page.
    pub cursor: Cursor<'a>,
    /// What other versions add.
    pub extensions: Extensions<'a>,
}

impl<'a> Query<'a> {
    pub(super) fn decode(input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        fields(input, |rest| {
            let (rest, collection) = CollectionRef::text8("collection")(rest)?;
            let (rest, after) = position("after")(rest)?;
            let (rest, selection) = SelectionRef::decode(rest)?;
            let (rest, limit) = PageLimit::decode(rest)?;
            //= QRY-12
            let (rest, cursor) = Cursor::decode("cursor")(rest)?;
            let (rest, extensions) = Extensions::decode(rest)?;
            Ok((rest, Self { collection, after, selection, limit, cursor, extensions }))
        })
    }

    pub(super) fn encode<S: Sink>(&self, sink: &mut S) {
        put_text8(sink, self.collection.as_str());
        self.after.encode(sink);
        self.selection.encode(sink);
        sink.put_u32(self.limit.0);
        self.cursor.encode(sink);
        self.extensions.encode(sink);
    }
}

/// Rows of a page, 1 to 10,000, or 0 for the relay's default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PageLimit(u32);

impl PageLimit {
    /// As many as the relay likes.
    pub const DEFAULT: Self = Self(0);

    /// That many rows.
    ///
    /// # Errors
    /// `OUT_OF_RANGE` above 10,000 (QRY-11).
    pub const fn new(rows: u32) -> Result<Self, BuildError> {
        if rows as usize > MAX_ROWS {
            return Err(BuildError::new(ErrorCode::OUT_OF_RANGE, "limit"));
        }
        Ok(Self(rows))
    }

    /// Rows; 0 for the relay's default.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    fn decode(input: &[u8]) -> Res<'_, Self> {
        let (rest, rows) = u32("limit")(input)?;
        //= QRY-11
        match Self::new(rows) {
            Ok(this) => Ok((rest, this)),
            Err(error) => fail(input, error.code, error.field),
        }
    }
}

#[cfg(test)]
mod tests;
