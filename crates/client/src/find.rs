//! Queries over what is on this device: as SPEC.md 7.15 says, but without groups and paging.

use core::cmp::Ordering;

use blazedb_relay::message::{Comparison, Direction, Filter, JoinKind, Path, SortBy, SortKey};
use blazedb_relay::value::{Entries, Value};
use uuid::Uuid;

/// A record as the application sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Its id.
    pub record: Uuid,
    /// Its fields.
    pub fields: Entries,
}

impl Row {
    /// The value at a path of this record; `None` if there is nothing.
    #[must_use]
    pub fn get(&self, components: &[Box<str>]) -> Option<Value> {
        let Some((field, keys)) = components.split_first() else { return Some(Value::Uuid(self.record)) };
        let mut value = self.fields.get(field)?;
        for key in keys {
            let Value::Dictionary(entries) = value else { return None };
            value = entries.get(key)?;
        }
        Some(value.clone())
    }
}

/// What is looked for in a collection.
#[derive(Clone, Debug, Default)]
pub struct Find {
    /// Which records. Paths name source 0.
    pub filter: Filter,
    /// In which order; else by id. Keys are paths.
    pub sort: Vec<SortKey>,
    /// So many rows at most; all if none is said.
    pub limit: Option<usize>,
}

impl Find {
    /// The rows that it wants, in the order that it wants.
    pub(crate) fn apply(&self, mut rows: Vec<Row>) -> Vec<Row> {
        rows.retain(|row| holds(&self.filter, row));
        if !self.sort.is_empty() {
            // Stable: rows that are equal stay in the order of their ids.
            rows.sort_by(|a, b| self.compare(a, b));
        }
        rows.truncate(self.limit.unwrap_or(usize::MAX));
        rows
    }

    fn compare(&self, a: &Row, b: &Row) -> Ordering {
        let by_key = |key: &SortKey| {
            let SortBy::Path(path) = &key.by else { return Ordering::Equal };
            let order = order(at(path, a).as_ref(), at(path, b).as_ref());
            if key.direction == Direction::Descending { order.reverse() } else { order }
        };
        self.sort.iter().map(by_key).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

/// Combines rows of two collections, which may be of different databases: each row on the left with each on
/// the right whose value at its path equals the left one's. Nothing and null equal nothing. With a left
/// join, a row without a match stays, with nothing beside it.
#[must_use]
pub fn join<'a>(
    kind: JoinKind,
    (left, left_path): (&'a [Row], &[&str]),
    (right, right_path): (&'a [Row], &[&str]),
) -> Vec<(&'a Row, Option<&'a Row>)> {
    let boxed = |path: &[&str]| path.iter().map(|component| Box::from(*component)).collect::<Vec<Box<str>>>();
    let (left_path, right_path) = (boxed(left_path), boxed(right_path));
    // Sorted, so that each row on the left finds its matches without looking at all.
    let mut index: Vec<_> = right.iter().filter_map(|row| Some((row.get(&right_path)?, row))).collect();
    index.sort_by(|(a, _), (b, _)| order(Some(a), Some(b)));
    let mut joined = Vec::new();
    for row in left {
        let before = joined.len();
        if let Some(value) = row.get(&left_path).filter(|value| *value != Value::Null) {
            let start = index.partition_point(|(other, _)| order(Some(other), Some(&value)).is_lt());
            let same =
                index.iter().skip(start).take_while(|(other, _)| order(Some(other), Some(&value)).is_eq());
            joined.extend(same.map(|(_, other)| (row, Some(*other))));
        }
        if kind == JoinKind::Left && joined.len() == before {
            joined.push((row, None));
        }
    }
    joined
}

fn at(path: &Path, row: &Row) -> Option<Value> {
    row.get(&path.components)
}

/// Recursion ends at the depth of the filter, which the application built.
fn holds(filter: &Filter, row: &Row) -> bool {
    match filter {
        Filter::All => true,
        Filter::And(all) => all.iter().all(|filter| holds(filter, row)),
        Filter::Or(any) => any.iter().any(|filter| holds(filter, row)),
        Filter::Not(filter) => !holds(filter, row),
        Filter::Compare(comparison, path, value) => compares(*comparison, at(path, row).as_ref(), value),
        Filter::In(path, values) => {
            let found = at(path, row);
            values.iter().any(|value| compares(Comparison::Equal, found.as_ref(), value))
        }
        Filter::Between(path, low, high) => {
            let found = at(path, row);
            compares(Comparison::GreaterOrEqual, found.as_ref(), low)
                && compares(Comparison::LessOrEqual, found.as_ref(), high)
        }
        Filter::Contains(path, value) => match (at(path, row), value) {
            (Some(Value::String(text)), Value::String(part)) => text.contains(&**part),
            (Some(Value::Array(items)), value) => {
                items.iter().any(|item| compares(Comparison::Equal, Some(item), value))
            }
            (Some(Value::Dictionary(entries)), Value::String(key)) => entries.get(key).is_some(),
            _ => false,
        },
        Filter::StartsWith(path, start) => {
            matches!(at(path, row), Some(Value::String(text)) if text.starts_with(&**start))
        }
        Filter::Exists(path) => at(path, row).is_some(),
    }
}

fn compares(comparison: Comparison, found: Option<&Value>, value: &Value) -> bool {
    let within = found.filter(|found| class(found) == class(value));
    let order = within.map(|found| order(Some(found), Some(value)));
    // Arrays, dictionaries, vectors and sealed values are compared for equality alone.
    let ordered = order.filter(|_| class(value) < CLASS_VECTOR);
    match comparison {
        Comparison::Equal => order == Some(Ordering::Equal),
        Comparison::NotEqual => order != Some(Ordering::Equal),
        Comparison::Less => ordered == Some(Ordering::Less),
        Comparison::LessOrEqual => ordered.is_some_and(Ordering::is_le),
        Comparison::Greater => ordered == Some(Ordering::Greater),
        Comparison::GreaterOrEqual => ordered.is_some_and(Ordering::is_ge),
    }
}

const CLASS_VECTOR: u8 = 7;

/// The classes of values in the order of sorting.
#[allow(clippy::wildcard_enum_match_arm, reason = "all others stand in operations, never in content")]
const fn class(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Int(_) | Value::Double(_) => 2,
        Value::String(_) => 3,
        Value::Uuid(_) => 4,
        Value::Data(_) => 5,
        Value::Date(_) => 6,
        Value::Vector(_) => CLASS_VECTOR,
        Value::Sealed(_) => 8,
        Value::Array(_) => 9,
        Value::Dictionary(_) => 10,
        _ => 11,
    }
}

fn order(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let (Some(a), Some(b)) = (a, b) else { return a.is_some().cmp(&b.is_some()) };
    class(a).cmp(&class(b)).then_with(|| match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Int(a), Value::Int(b)) => a.cmp(b),
        (Value::Double(a), Value::Double(b)) | (Value::Date(a), Value::Date(b)) => floats(a.get(), b.get()),
        (Value::Int(a), Value::Double(b)) => int_and_float(*a, b.get()),
        (Value::Double(a), Value::Int(b)) => int_and_float(*b, a.get()).reverse(),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Uuid(a), Value::Uuid(b)) => a.cmp(b),
        (Value::Data(a), Value::Data(b)) => a.cmp(b),
        (a, b) => a.to_bytes().unwrap_or_default().cmp(&b.to_bytes().unwrap_or_default()),
    })
}

/// NaN equals NaN and is below every number.
fn floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

/// By value, without rounding.
fn int_and_float(a: i64, b: f64) -> Ordering {
    if b.is_nan() {
        return Ordering::Greater;
    }
    if b >= 9_223_372_036_854_775_808.0 {
        return Ordering::Less;
    }
    if b < -9_223_372_036_854_775_808.0 {
        return Ordering::Greater;
    }
    #[allow(clippy::cast_possible_truncation, reason = "its whole part is within i64, as was checked")]
    let whole = b.trunc() as i64;
    a.cmp(&whole).then_with(|| floats(0.0, b.fract()))
}
