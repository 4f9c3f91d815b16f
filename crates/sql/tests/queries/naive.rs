//! What SPEC.md 7.15 says, as plainly as it can be said in Rust: no keys, no SQL, no indexes.

use core::cmp::Ordering;

use blazedb_relay::message::{
    Aggregate, AggregateFunction, Comparison, Direction, Filter, JoinKind, Path, Selection, SortBy,
};
use blazedb_relay::value::Value;

use super::tables::Record;

/// A row: of each source a record, or none where a left join found none.
type Row<'s> = Vec<Option<&'s Record>>;

/// All rows of the answer. `collections` are those of the sources.
pub(crate) fn answer(collections: &[&[Record]], selection: &Selection) -> Vec<Vec<Value>> {
    let mut rows: Vec<Row<'_>> = collections[0].iter().map(|record| vec![Some(record)]).collect();
    for (join, records) in selection.joins.iter().zip(&collections[1..]) {
        let mut joined = Vec::new();
        for row in rows {
            let before = joined.len();
            let left = at(&row, &join.left);
            for record in *records {
                let right = Path { source: 0, ..join.right.clone() };
                let right = at(&vec![Some(record)], &right);
                if let (Some(left), Some(right)) = (&left, right)
                    && *left != Value::Null
                    && equal(left, &right)
                {
                    joined.push([&row[..], &[Some(record)]].concat());
                }
            }
            if joined.len() == before && join.kind == JoinKind::Left {
                joined.push([&row[..], &[None]].concat());
            }
        }
        rows = joined;
    }
    rows.retain(|row| holds(row, &selection.filter));
    if selection.group_by.is_empty() && selection.aggregates.is_empty() {
        plain(rows, selection)
    } else {
        grouped(&rows, selection)
    }
}

fn at(row: &Row<'_>, path: &Path) -> Option<Value> {
    let (id, fields) = row[usize::from(path.source)]?;
    let Some((first, keys)) = path.components.split_first() else { return Some(Value::from(*id)) };
    let mut value = fields.get(first)?;
    for key in keys {
        let Value::Dictionary(entries) = value else { return None };
        value = entries.get(key)?;
    }
    Some(value.clone())
}

/// Where a value's class stands in the order of step 4; 0 for nothing.
fn class(value: Option<&Value>) -> u8 {
    match value {
        None => 0,
        Some(Value::Null) => 1,
        Some(Value::Bool(_)) => 2,
        Some(Value::Int(_) | Value::Double(_)) => 3,
        Some(Value::String(_)) => 4,
        Some(Value::Uuid(_)) => 5,
        Some(Value::Data(_)) => 6,
        Some(Value::Date(_)) => 7,
        Some(Value::Vector(_)) => 8,
        Some(Value::Sealed(_)) => 9,
        Some(Value::Array(_)) => 10,
        Some(Value::Dictionary(_)) => 11,
        Some(other) => panic!("no content: {other:?}"),
    }
}

fn floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| b.is_nan().cmp(&a.is_nan()))
}

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
    #[allow(clippy::cast_possible_truncation, reason = "it is within the range of i64")]
    a.cmp(&(b.trunc() as i64)).then(floats(0.0, b.fract()))
}

/// The order of step 4.
fn compare(a: Option<&Value>, b: Option<&Value>) -> Ordering {
    let (Some(x), Some(y)) = (a, b) else { return class(a).cmp(&class(b)) };
    match (x, y) {
        (Value::Bool(x), Value::Bool(y)) => x.cmp(y),
        (Value::Int(x), Value::Int(y)) => x.cmp(y),
        (Value::Int(x), Value::Double(y)) => int_and_float(*x, y.get()),
        (Value::Double(x), Value::Int(y)) => int_and_float(*y, x.get()).reverse(),
        (Value::Double(x), Value::Double(y)) | (Value::Date(x), Value::Date(y)) => floats(x.get(), y.get()),
        (Value::String(x), Value::String(y)) => x.as_bytes().cmp(y.as_bytes()),
        (Value::Uuid(x), Value::Uuid(y)) => x.as_bytes().cmp(y.as_bytes()),
        (Value::Data(x), Value::Data(y)) => x.cmp(y),
        _ if class(a) == class(b) => x.to_bytes().unwrap().cmp(&y.to_bytes().unwrap()),
        _ => class(a).cmp(&class(b)),
    }
}

fn equal(a: &Value, b: &Value) -> bool {
    compare(Some(a), Some(b)) == Ordering::Equal
}

/// Whether `a` stands in that relation to `b` as a filter sees it.
fn is(a: &Value, b: &Value, wanted: &[Ordering]) -> bool {
    let (class_a, class_b) = (class(Some(a)), class(Some(b)));
    let comparable = class_a == class_b && (2..8).contains(&class_a) || equal(a, b);
    comparable && wanted.contains(&compare(Some(a), Some(b)))
}

const LESS: &[Ordering] = &[Ordering::Less];
const AT_MOST: &[Ordering] = &[Ordering::Less, Ordering::Equal];
const GREATER: &[Ordering] = &[Ordering::Greater];
const AT_LEAST: &[Ordering] = &[Ordering::Greater, Ordering::Equal];

fn holds(row: &Row<'_>, filter: &Filter) -> bool {
    let some = |path, test: &dyn Fn(&Value) -> bool| at(row, path).is_some_and(|value| test(&value));
    match filter {
        Filter::All => true,
        Filter::And(all) => all.iter().all(|one| holds(row, one)),
        Filter::Or(all) => all.iter().any(|one| holds(row, one)),
        Filter::Not(one) => !holds(row, one),
        Filter::Compare(comparison, path, value) => match comparison {
            Comparison::Equal => some(path, &|it| equal(it, value)),
            Comparison::NotEqual => !some(path, &|it| equal(it, value)),
            Comparison::Less => some(path, &|it| is(it, value, LESS)),
            Comparison::LessOrEqual => some(path, &|it| is(it, value, AT_MOST)),
            Comparison::Greater => some(path, &|it| is(it, value, GREATER)),
            Comparison::GreaterOrEqual => some(path, &|it| is(it, value, AT_LEAST)),
        },
        Filter::In(path, values) => some(path, &|it| values.iter().any(|value| equal(it, value))),
        Filter::Between(path, low, high) => some(path, &|it| is(it, low, AT_LEAST) && is(it, high, AT_MOST)),
        Filter::Contains(path, value) => some(path, &|it| match (it, value) {
            (Value::String(all), Value::String(part)) => all.contains(&**part),
            (Value::Array(items), _) => items.iter().any(|item| equal(item, value)),
            (Value::Dictionary(entries), Value::String(key)) => entries.get(key).is_some(),
            _ => false,
        }),
        Filter::StartsWith(path, text) => {
            some(path, &|it| matches!(it, Value::String(all) if all.starts_with(&**text)))
        }
        Filter::Exists(path) => some(path, &|_| true),
    }
}

fn cell(value: Option<Value>) -> Value {
    value.unwrap_or(Value::Removed)
}

fn directed(ordering: Ordering, direction: Direction) -> Ordering {
    if direction == Direction::Descending { ordering.reverse() } else { ordering }
}

fn plain(mut rows: Vec<Row<'_>>, selection: &Selection) -> Vec<Vec<Value>> {
    rows.sort_by(|a, b| {
        let keys = selection.sort.iter().map(|key| {
            let SortBy::Path(path) = &key.by else { panic!("no aggregates here") };
            directed(compare(at(a, path).as_ref(), at(b, path).as_ref()), key.direction)
        });
        let ids = |row: &Row<'_>| row.iter().map(|it| it.map(|(id, _)| *id)).collect::<Vec<_>>();
        keys.fold(Ordering::Equal, Ordering::then).then_with(|| ids(a).cmp(&ids(b)))
    });
    let cells = |row: &Row<'_>| {
        if !selection.projection.is_empty() {
            return selection.projection.iter().map(|path| cell(at(row, path))).collect();
        }
        let both = row.iter().map(|record| match record {
            Some((id, fields)) => [Value::from(*id), Value::Dictionary(fields.clone())],
            None => [Value::Removed, Value::Removed],
        });
        both.flatten().collect()
    };
    rows.iter().map(cells).collect()
}

fn grouped(rows: &[Row<'_>], selection: &Selection) -> Vec<Vec<Value>> {
    let mut groups: Vec<(Vec<Option<Value>>, Vec<&Row<'_>>)> = Vec::new();
    if selection.group_by.is_empty() {
        groups.push((Vec::new(), Vec::new()));
    }
    for row in rows {
        let values: Vec<_> = selection.group_by.iter().map(|path| at(row, path)).collect();
        let same = |(other, _): &&mut (Vec<Option<Value>>, _)| {
            other.iter().zip(&values).all(|(a, b)| compare(a.as_ref(), b.as_ref()) == Ordering::Equal)
        };
        match groups.iter_mut().find(same) {
            Some((kept, rows)) => {
                kept.iter_mut().zip(values).for_each(|(kept, value)| *kept = kept.take().min_encoding(value));
                rows.push(row);
            }
            None => groups.push((values, vec![row])),
        }
    }
    let mut all: Vec<(Vec<Option<Value>>, usize)> = Vec::new();
    for (values, rows) in groups {
        let by = values.len();
        let folded = selection.aggregates.iter().map(|aggregate| fold(&rows, aggregate));
        all.push((values.into_iter().chain(folded).collect(), by));
    }
    all.sort_by(|(a, by), (b, _)| {
        let keys = selection.sort.iter().map(|key| {
            let column = match &key.by {
                SortBy::Path(path) => selection.group_by.iter().position(|by| by == path).unwrap(),
                SortBy::Aggregate(index) => by + usize::from(*index),
            };
            directed(compare(a[column].as_ref(), b[column].as_ref()), key.direction)
        });
        let values = a[..*by].iter().zip(&b[..*by]).map(|(a, b)| compare(a.as_ref(), b.as_ref()));
        keys.fold(Ordering::Equal, Ordering::then).then(values.fold(Ordering::Equal, Ordering::then))
    });
    all.into_iter().map(|(cells, _)| cells.into_iter().map(cell).collect()).collect()
}

/// Of equal values the one whose encoding is smaller stands for all.
trait MinEncoding {
    fn min_encoding(self, other: Self) -> Self;
}

impl MinEncoding for Option<Value> {
    fn min_encoding(self, other: Self) -> Self {
        let bytes = |value: &Self| value.as_ref().map(|value| value.to_bytes().unwrap());
        if bytes(&other) < bytes(&self) { other } else { self }
    }
}

fn fold(rows: &[&Row<'_>], aggregate: &Aggregate) -> Option<Value> {
    let values: Vec<_> = rows.iter().filter_map(|row| at(row, &aggregate.path)).collect();
    let ints: Vec<i64> =
        values.iter().filter_map(|it| if let Value::Int(it) = it { Some(*it) } else { None }).collect();
    let doubles: Vec<f64> = values
        .iter()
        .filter_map(|it| if let Value::Double(it) = it { Some(it.get()) } else { None })
        .collect();
    let numbers = ints.len() + doubles.len();
    let total: i128 = ints.iter().map(|int| i128::from(*int)).sum();
    // The tests' doubles are small multiples of a quarter, or special: so this is exact.
    #[allow(clippy::cast_precision_loss, reason = "as the specification has it")]
    let double = if doubles.is_empty() {
        total as f64
    } else {
        let quarters: i128 = doubles.iter().filter(|it| it.is_finite()).map(|it| quarters(*it)).sum();
        let special: f64 = doubles.iter().filter(|it| !it.is_finite()).sum();
        if doubles.iter().all(|it| it.is_finite()) { (total * 4 + quarters) as f64 / 4.0 } else { special }
    };
    match aggregate.function {
        AggregateFunction::Count => Some(Value::from(i64::try_from(values.len()).unwrap())),
        AggregateFunction::Sum | AggregateFunction::Average if numbers == 0 => None,
        AggregateFunction::Sum => match i64::try_from(total) {
            Ok(total) if doubles.is_empty() => Some(Value::from(total)),
            _ => Some(Value::from(double)),
        },
        #[allow(clippy::cast_precision_loss, reason = "there are few")]
        AggregateFunction::Average => Some(Value::from(double / numbers as f64)),
        AggregateFunction::Minimum | AggregateFunction::Maximum => {
            let wanted = if aggregate.function == AggregateFunction::Minimum {
                Ordering::Less
            } else {
                Ordering::Greater
            };
            let mut best: Option<Value> = None;
            for value in values.into_iter().filter(|value| *value != Value::Null) {
                best = match best {
                    None => Some(value),
                    Some(best) => {
                        let ordering = compare(Some(&value), Some(&best));
                        if ordering == Ordering::Equal {
                            Some(best).min_encoding(Some(value))
                        } else {
                            Some(if ordering == wanted { value } else { best })
                        }
                    }
                };
            }
            best
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "small")]
fn quarters(value: f64) -> i128 {
    (value * 4.0) as i128
}
