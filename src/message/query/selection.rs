//! What a query asks for, as it stands on the wire: joins, filter, groups, aggregates, columns, order.

use core::fmt;

use super::filter::FilterRef;
use super::path::{ANY_SOURCE, PathRef, path};
use crate::limits::{MAX_AGGREGATES, MAX_GROUP_BY, MAX_JOINS, MAX_PROJECTION, MAX_SORT};
use crate::message::checked::{CollectionRef, put_text8, small_code, small_codes};
use crate::message::list::{Before, Item, List};
use crate::registry::ErrorCode;
use crate::wire::Sink;
use crate::wire::parse::{Res, fail, items, u8};

small_codes! {
    /// What becomes of a row without a match.
    pub JoinKind {
        /// It is left out.
        Inner = 1,
        /// It stays, with nothing at every path of the new source.
        Left = 2,
    }
}

small_codes! {
    /// What an aggregate computes (SPEC.md 7.15).
    pub AggregateFunction {
        /// Rows in which there is something.
        Count = 1,
        /// The sum of numbers.
        Sum = 2,
        /// The average of numbers, a double.
        Average = 3,
        /// The smallest value.
        Minimum = 4,
        /// The largest value.
        Maximum = 5,
    }
}

small_codes! {
    /// Which way rows are sorted.
    pub Direction {
        /// In the order of SPEC.md 7.15.
        Ascending = 1,
        /// The other way.
        Descending = 2,
    }
}

pub(super) const BY_PATH: u8 = 1;
pub(super) const BY_AGGREGATE: u8 = 2;

/// A source more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct JoinRef<'a> {
    /// What becomes of a row without a match.
    pub kind: JoinKind,
    /// The collection that it adds.
    pub collection: CollectionRef<'a>,
    /// A path of an earlier source.
    pub left: PathRef<'a>,
    /// A path of this source, whose value must equal that of `left`.
    pub right: PathRef<'a>,
}

/// Join number `number`, or any one for a join that was checked before.
fn join(input: &[u8], number: Option<u8>) -> Res<'_, JoinRef<'_>> {
    let (below, own) = number.map_or((ANY_SOURCE, ANY_SOURCE), |i| (0..=i.saturating_sub(1), i..=i));
    //= QRY-2
    let (rest, kind) = small_code(JoinKind::from_code, "join kind")(input)?;
    let (rest, collection) = CollectionRef::text8("collection")(rest)?;
    //= QRY-4
    let (rest, left) = path(below)(rest)?;
    let (rest, right) = path(own)(rest)?;
    Ok((rest, JoinRef { kind, collection, left, right }))
}

impl<'a> Item<'a> for JoinRef<'a> {
    const FIELD: &'static str = "joins";

    fn decode(input: &'a [u8], _: &Before<'a, Self>) -> Res<'a, Self> {
        join(input, None)
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u8(self.kind.code());
        put_text8(sink, self.collection.as_str());
        self.left.encode(sink);
        self.right.encode(sink);
    }
}

/// One value computed from the rows of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AggregateRef<'a> {
    /// What is computed.
    pub function: AggregateFunction,
    /// From what.
    pub path: PathRef<'a>,
}

fn aggregate(input: &[u8], sources: u8) -> Res<'_, AggregateRef<'_>> {
    //= QRY-2
    let (rest, function) = small_code(AggregateFunction::from_code, "aggregate function")(input)?;
    let (rest, path) = path(0..=sources)(rest)?;
    Ok((rest, AggregateRef { function, path }))
}

impl<'a> Item<'a> for AggregateRef<'a> {
    const FIELD: &'static str = "aggregates";

    fn decode(input: &'a [u8], _: &Before<'a, Self>) -> Res<'a, Self> {
        aggregate(input, u8::MAX)
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        sink.put_u8(self.function.code());
        self.path.encode(sink);
    }
}

/// One key by which rows are sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SortKeyRef<'a> {
    /// What is compared.
    pub by: SortByRef<'a>,
    /// Which way.
    pub direction: Direction,
}

/// What a sort key compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortByRef<'a> {
    /// The value at a path.
    Path(PathRef<'a>),
    /// The aggregate of that index.
    Aggregate(u8),
}

fn sort_key(input: &[u8], sources: u8, aggregates: usize) -> Res<'_, SortKeyRef<'_>> {
    let (rest, kind) = u8("sort kind")(input)?;
    let (rest, by) = match kind {
        BY_PATH => path(0..=sources)(rest).map(|(rest, path)| (rest, SortByRef::Path(path)))?,
        BY_AGGREGATE => {
            let (after, index) = u8("aggregate index")(rest)?;
            //= QRY-10
            if usize::from(index) >= aggregates {
                return fail(rest, ErrorCode::OUT_OF_RANGE, "aggregate index");
            }
            (after, SortByRef::Aggregate(index))
        }
        //= QRY-2
        _ => return fail(input, ErrorCode::UNKNOWN_CODE, "sort kind"),
    };
    let (rest, direction) = small_code(Direction::from_code, "direction")(rest)?;
    Ok((rest, SortKeyRef { by, direction }))
}

impl<'a> Item<'a> for SortKeyRef<'a> {
    const FIELD: &'static str = "sort";

    fn decode(input: &'a [u8], _: &Before<'a, Self>) -> Res<'a, Self> {
        sort_key(input, u8::MAX, usize::MAX)
    }

    fn encode<S: Sink>(&self, sink: &mut S) {
        match self.by {
            SortByRef::Path(path) => {
                sink.put_u8(BY_PATH);
                path.encode(sink);
            }
            SortByRef::Aggregate(index) => sink.put(&[BY_AGGREGATE, index]),
        }
        sink.put_u8(self.direction.code());
    }
}

/// What a query asks for, as a view over its bytes. [`Selection`](super::Selection) builds one.
#[derive(Clone, Copy)]
pub struct SelectionRef<'a> {
    raw: &'a [u8],
    joins: List<'a, JoinRef<'a>, MAX_JOINS>,
    filter: FilterRef<'a>,
    group_by: List<'a, PathRef<'a>, MAX_GROUP_BY>,
    aggregates: List<'a, AggregateRef<'a>, MAX_AGGREGATES>,
    projection: List<'a, PathRef<'a>, MAX_PROJECTION>,
    sort: List<'a, SortKeyRef<'a>, MAX_SORT>,
}

impl<'a> SelectionRef<'a> {
    /// Every row of the collection, whole, by record id.
    pub const ALL: SelectionRef<'static> = SelectionRef {
        raw: &[0, 0, 0, 0, 0, 0],
        joins: List::EMPTY,
        filter: FilterRef::ALL,
        group_by: List::EMPTY,
        aggregates: List::EMPTY,
        projection: List::EMPTY,
        sort: List::EMPTY,
    };

    /// Join number i, counted from 1, adds source i.
    #[must_use]
    pub const fn joins(&self) -> List<'a, JoinRef<'a>, MAX_JOINS> {
        self.joins
    }

    /// Which rows.
    #[must_use]
    pub const fn filter(&self) -> FilterRef<'a> {
        self.filter
    }

    /// By what rows are put into groups.
    #[must_use]
    pub const fn group_by(&self) -> List<'a, PathRef<'a>, MAX_GROUP_BY> {
        self.group_by
    }

    /// What is computed for each group.
    #[must_use]
    pub const fn aggregates(&self) -> List<'a, AggregateRef<'a>, MAX_AGGREGATES> {
        self.aggregates
    }

    /// Which columns; none with aggregates or group by (QRY-9).
    #[must_use]
    pub const fn projection(&self) -> List<'a, PathRef<'a>, MAX_PROJECTION> {
        self.projection
    }

    /// In which order.
    #[must_use]
    pub const fn sort(&self) -> List<'a, SortKeyRef<'a>, MAX_SORT> {
        self.sort
    }

    /// Its bytes: equal ones ask for the same.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    pub(super) fn decode(input: &'a [u8]) -> Res<'a, Self> {
        let mut number = 0;
        let (rest, joins) = list(input, JoinRef::FIELD, |input| {
            number += 1;
            join(input, Some(number))
        })?;
        // At most MAX_JOINS.
        let sources = number;
        let (rest, filter) = FilterRef::decode(rest, sources)?;
        let (rest, group_by) = list(rest, "group by", path(0..=sources))?;
        let (rest, aggregates) = list(rest, AggregateRef::FIELD, |input| aggregate(input, sources))?;
        //= QRY-9
        let (_, columns) = List::<PathRef<'a>, MAX_PROJECTION>::count(rest, "projection")?;
        if columns > 0 && !(group_by.is_empty() && aggregates.is_empty()) {
            return fail(rest, ErrorCode::NON_CANONICAL, "projection");
        }
        let (rest, projection) = list(rest, "projection", path(0..=sources))?;
        let (rest, sort) = list(rest, SortKeyRef::FIELD, |input| sort_key(input, sources, aggregates.len()))?;
        let raw = input.get(..input.len() - rest.len()).unwrap_or_default();
        Ok((rest, Self { raw, joins, filter, group_by, aggregates, projection, sort }))
    }

    pub(super) fn encode(&self, sink: &mut impl Sink) {
        sink.put(self.raw);
    }
}

impl PartialEq for SelectionRef<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.raw == other.raw
    }
}

impl Eq for SelectionRef<'_> {}

impl fmt::Debug for SelectionRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Selection")
            .field("joins", &self.joins)
            .field("filter", &self.filter)
            .field("group_by", &self.group_by)
            .field("aggregates", &self.aggregates)
            .field("projection", &self.projection)
            .field("sort", &self.sort)
            .finish()
    }
}

/// The list `field`, whose items are checked by `item` against other parts of the query.
#[allow(private_bounds, reason = "as for lists")]
fn list<'a, T: Item<'a>, const MAX: usize>(
    input: &'a [u8],
    field: &'static str,
    mut item: impl FnMut(&'a [u8]) -> Res<'a, T>,
) -> Res<'a, List<'a, T, MAX>> {
    //= QRY-1
    let (rest, count) = List::<T, MAX>::count(input, field)?;
    let (rest, raw) = items(count, |input| item(input).map(|(rest, _)| (rest, ())))(rest)?;
    Ok((rest, List::proven(count, raw)))
}
