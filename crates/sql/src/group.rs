//! Groups and aggregates (SPEC.md 7.15, step 3).
//!
//! They are folded here, row by row, and not by SQLite: it would sort all rows to group them, with what they
//! hold in memory; here a group takes the same few bytes however many rows it has, and each is counted.

use core::cmp::Ordering;
use std::collections::BTreeMap;

use blazedb_relay::message::{AggregateFunction, Direction, PathRef, Query, SortByRef};
use blazedb_relay::value::{Value, ValueRef};
use rusqlite::Connection;

use crate::Error;
use crate::key;
use crate::meter::Meter;
use crate::page::{Answer, PAGE, Row, answer, read_cursor};
use crate::statement::{Source, Sql, values};
use crate::sum::Sum;

/// About what a group takes besides its values.
const GROUP: usize = 256;

/// A group's values and what was folded of its rows.
struct Group {
    /// Of values that are equal, the encoding that is smaller; none for nothing.
    values: Vec<Option<Vec<u8>>>,
    folds: Vec<Fold>,
}

/// An aggregate of the rows so far.
enum Fold {
    Count(u64),
    Sum(Sum),
    Average(Sum),
    /// The value with the smallest or greatest key, and that key.
    Extreme(Ordering, Option<(Vec<u8>, Vec<u8>)>),
}

impl Fold {
    fn new(function: AggregateFunction) -> Self {
        match function {
            AggregateFunction::Count => Self::Count(0),
            AggregateFunction::Sum => Self::Sum(Sum::default()),
            AggregateFunction::Average => Self::Average(Sum::default()),
            AggregateFunction::Minimum => Self::Extreme(Ordering::Less, None),
            AggregateFunction::Maximum => Self::Extreme(Ordering::Greater, None),
        }
    }

    fn add(&mut self, encoding: &[u8], meter: &Meter) -> Result<(), Error> {
        match self {
            Self::Count(count) => *count += 1,
            Self::Sum(sum) | Self::Average(sum) => match ValueRef::decode(encoding) {
                Ok(ValueRef::Int(value)) => sum.add_int(value),
                Ok(ValueRef::Double(value)) => sum.add_double(value.get()),
                _ => {}
            },
            Self::Extreme(wanted, best) => {
                let key = key_of(encoding);
                if key == key::NULL {
                    return Ok(());
                }
                let is_better = best.as_ref().is_none_or(|(best, smallest)| {
                    let ordering = key.cmp(best);
                    ordering == *wanted || (ordering == Ordering::Equal && *encoding < **smallest)
                });
                if is_better {
                    let before = best.as_ref().map_or(0, |(key, value)| key.len() + value.len());
                    meter.keep((key.len() + encoding.len()).saturating_sub(before))?;
                    *best = Some((key, encoding.to_vec()));
                }
            }
        }
        Ok(())
    }

    /// The encoding of the aggregate; none over no value.
    fn value(self) -> Result<Option<Vec<u8>>, Error> {
        #[allow(clippy::cast_precision_loss, reason = "a query does not see 2^53 rows")]
        let value = match self {
            Self::Count(count) => Value::from(i64::try_from(count).unwrap_or(i64::MAX)),
            Self::Sum(sum) | Self::Average(sum) if sum.count() == 0 => return Ok(None),
            Self::Sum(sum) => sum.int().map_or_else(|| Value::from(sum.double()), Value::from),
            Self::Average(sum) => Value::from(sum.double() / sum.count() as f64),
            Self::Extreme(_, best) => return best.map(|(_, encoding)| showable(encoding)).transpose(),
        };
        value.to_bytes().map(Some).map_err(|_| Error::Damaged)
    }
}

/// An empty encoding stands for a dictionary that has none.
fn key_of(encoding: &[u8]) -> Vec<u8> {
    if encoding.is_empty() { key::BOUNDLESS.to_vec() } else { key::of(encoding) }
}

fn showable(encoding: Vec<u8>) -> Result<Vec<u8>, Error> {
    if encoding.is_empty() { Err(Error::TooExpensive) } else { Ok(encoding) }
}

/// Answers a query with aggregates or group by.
pub(crate) fn run(
    conn: &Connection,
    at: u64,
    query: &Query<'_>,
    sources: &[Source],
    meter: &Meter,
    limit: usize,
) -> Result<Answer, Error> {
    let selection = &query.selection;
    let by: Vec<_> = selection.group_by().iter().collect();
    let order = order(query, &by)?;
    let behind = read_cursor(query, order.len() + by.len())?;
    let groups = fold(conn, query, sources, meter, &by)?;
    let mut rows = Vec::with_capacity(groups.len());
    for (keys, group) in groups {
        let mut cells = group.values.into_iter().map(|value| value.map(showable).transpose());
        let mut cells: Vec<_> = cells.by_ref().collect::<Result<_, _>>()?;
        for fold in group.folds {
            cells.push(fold.value()?);
        }
        let cell_key = |cell: &Option<Vec<u8>>| {
            cell.as_ref().map_or_else(|| key::NOTHING.to_vec(), |encoding| key::of(encoding))
        };
        let sorted = order.iter().map(|(cell, _)| cells.get(*cell).map_or_else(Vec::new, cell_key));
        let order: Vec<_> = sorted.chain(keys).collect();
        meter.keep(order.iter().map(Vec::len).sum())?;
        rows.push(Row { cells, order });
    }
    let compare = |a: &[Vec<u8>], b: &[Vec<u8>]| {
        let directions = order.iter().map(|(_, direction)| *direction);
        let mut directions = directions.chain(core::iter::repeat(Direction::Ascending));
        let compared = a.iter().zip(b).map(|(a, b)| match directions.next() {
            Some(Direction::Descending) => b.cmp(a),
            _ => a.cmp(b),
        });
        compared.fold(Ordering::Equal, Ordering::then)
    };
    rows.sort_by(|a, b| compare(&a.order, &b.order));
    if let Some(behind) = behind {
        let first = rows.partition_point(|row| compare(&row.order, &behind) != Ordering::Greater);
        rows.drain(..first);
    }
    let all = rows.len();
    let mut size = 0;
    let fitting = rows.iter().take(limit).take_while(|row| {
        let fits = size < PAGE;
        size += row.size();
        fits
    });
    let count = fitting.count();
    rows.truncate(count);
    answer(at, query, by.len() + selection.aggregates().len(), rows, count < all)
}

/// The columns that groups are sorted by.
fn order(query: &Query<'_>, by: &[PathRef<'_>]) -> Result<Vec<(usize, Direction)>, Error> {
    let sort = query.selection.sort();
    let column = |sort: SortByRef<'_>| match sort {
        SortByRef::Path(path) => by.iter().position(|by| *by == path).ok_or(Error::NotOfTheGroup),
        SortByRef::Aggregate(index) => Ok(by.len() + usize::from(index)),
    };
    sort.iter().map(|key| Ok((column(key.by)?, key.direction))).collect()
}

/// The statement for the values by which rows are grouped, then those that are aggregated.
pub(crate) fn statement(query: &Query<'_>, sources: &[Source], meter: &Meter) -> Sql {
    let aggregated = query.selection.aggregates().iter().map(|aggregate| aggregate.path);
    values(query, sources, meter, query.selection.group_by().iter().chain(aggregated))
}

fn fold(
    conn: &Connection,
    query: &Query<'_>,
    sources: &[Source],
    meter: &Meter,
    by: &[PathRef<'_>],
) -> Result<BTreeMap<Vec<Vec<u8>>, Group>, Error> {
    let aggregates: Vec<_> = query.selection.aggregates().iter().collect();
    let sql = statement(query, sources, meter);
    let new = |values| Group {
        values,
        folds: aggregates.iter().map(|aggregate| Fold::new(aggregate.function)).collect(),
    };
    let mut groups = BTreeMap::new();
    if by.is_empty() {
        groups.insert(Vec::new(), new(Vec::new()));
    }
    let mut statement = conn.prepare(&sql.text)?;
    let mut rows = statement.query(rusqlite::params_from_iter(&sql.parameters))?;
    while let Some(row) = rows.next()? {
        let value = |column| row.get_ref(column).and_then(|value| Ok(value.as_blob_or_null()?));
        let mut keys = Vec::with_capacity(by.len());
        for column in 0..by.len() {
            keys.push(value(column)?.map_or_else(|| key::NOTHING.to_vec(), key_of));
        }
        let group = match groups.get_mut(&keys) {
            Some(group) => group,
            None => {
                let values: Result<Vec<_>, rusqlite::Error> =
                    (0..by.len()).map(|column| Ok(value(column)?.map(<[u8]>::to_vec))).collect();
                let values = values?;
                let bytes: usize = values.iter().flatten().map(Vec::len).sum();
                meter.keep(GROUP * (1 + aggregates.len()) + 2 * bytes)?;
                groups.entry(keys).or_insert_with(|| new(values))
            }
        };
        for (column, kept) in group.values.iter_mut().enumerate() {
            // Of the same class and value, so about as long.
            if let (Some(kept), Some(value)) = (kept, value(column)?)
                && value < kept.as_slice()
            {
                *kept = value.to_vec();
            }
        }
        for (number, fold) in group.folds.iter_mut().enumerate() {
            if let Some(value) = value(by.len() + number)? {
                fold.add(value, meter)?;
            }
        }
    }
    Ok(groups)
}
