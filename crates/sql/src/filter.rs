//! Filters as conditions over keys.

use blazedb_relay::message::{Comparison, FilterOp, FilterOps};
use blazedb_relay::value::ValueRef;

use crate::key;
use crate::meter::Meter;
use crate::statement::Sql;

/// Keys from the first to before the second.
pub(crate) type Range = (Vec<u8>, Vec<u8>);

/// The key of a value in a query.
pub(crate) fn key_of(value: ValueRef<'_>) -> Vec<u8> {
    key::of(&encoding(value))
}

fn encoding(value: ValueRef<'_>) -> Vec<u8> {
    let mut encoding = Vec::new();
    value.encode(&mut encoding);
    encoding
}

/// The key that comes next.
fn next(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The keys that are less than a key, greater, or that and equal. Never those of another class; and of a
/// class without order only equal ones.
fn range(comparison: Comparison, key: Vec<u8>) -> Range {
    let class = key.get(..1).unwrap_or_default().to_vec();
    let ordered = key::is_ordered(&key);
    match comparison {
        Comparison::Less if ordered => (class, key),
        Comparison::LessOrEqual if ordered => (class, next(&key)),
        Comparison::Greater if ordered => (next(&key), key::after(&class)),
        Comparison::GreaterOrEqual if ordered => (key, key::after(&class)),
        Comparison::Less | Comparison::Greater => (key.clone(), key),
        Comparison::Equal | Comparison::NotEqual | Comparison::LessOrEqual | Comparison::GreaterOrEqual => {
            let end = next(&key);
            (key, end)
        }
    }
}

fn between(low: Vec<u8>, high: Vec<u8>) -> Range {
    let (from, before) = range(Comparison::GreaterOrEqual, low);
    let (at_least, end) = range(Comparison::LessOrEqual, high);
    (from.max(at_least), before.min(end))
}

fn starting_with(text: &str) -> Range {
    let from = [&[key::STRING], text.as_bytes()].concat();
    let before = key::after(&from);
    (from, before)
}

/// Which keys a path may have where an op holds, if that is known.
pub(crate) enum Wanted {
    One(Vec<u8>),
    OneOf(Vec<Vec<u8>>),
    Between(Range),
}

/// The same for an op that stands alone or under `and`s.
pub(crate) fn wanted(op: &FilterOp<'_>) -> Option<Wanted> {
    match *op {
        FilterOp::Compare(Comparison::Equal, _, value) => Some(Wanted::One(key_of(value))),
        FilterOp::Compare(Comparison::NotEqual, ..) => None,
        FilterOp::Compare(comparison, _, value) => Some(Wanted::Between(range(comparison, key_of(value)))),
        FilterOp::In(_, values) => {
            let mut keys: Vec<_> = values.iter().map(key_of).collect();
            keys.sort();
            keys.dedup();
            Some(Wanted::OneOf(keys))
        }
        FilterOp::Between(_, low, high) => Some(Wanted::Between(between(key_of(low), key_of(high)))),
        FilterOp::StartsWith(_, text) => Some(Wanted::Between(starting_with(text))),
        FilterOp::All
        | FilterOp::And(_)
        | FilterOp::Or(_)
        | FilterOp::Not
        | FilterOp::Contains(..)
        | FilterOp::Exists(_) => None,
    }
}

/// The ops of which each must hold for a row to pass.
pub(crate) fn conjuncts(mut ops: FilterOps<'_>) -> Vec<FilterOp<'_>> {
    let mut found = Vec::new();
    let mut wanted = 1_usize;
    while wanted > 0 {
        wanted -= 1;
        let Some(op) = ops.next() else { break };
        match op {
            FilterOp::And(count) => wanted += usize::from(count),
            FilterOp::Or(_) | FilterOp::Not => {
                let mut inner = usize::from(op.operands());
                while inner > 0 {
                    inner = inner - 1 + ops.next().map_or(0, |op| usize::from(op.operands()));
                }
            }
            FilterOp::All => {}
            FilterOp::Compare(..)
            | FilterOp::In(..)
            | FilterOp::Between(..)
            | FilterOp::Contains(..)
            | FilterOp::StartsWith(..)
            | FilterOp::Exists(_) => found.push(op),
        }
    }
    found
}

/// Writes the next expression of `ops`. Recursion ends at the depth that the wire allows (QRY-7).
pub(crate) fn condition(sql: &mut Sql, meter: &Meter, ops: &mut FilterOps<'_>) -> String {
    let in_range = |sql: &mut Sql, path, (from, before): Range| {
        let (first, second) = (sql.key(path), sql.key(path));
        format!("({first} >= {} AND {second} < {})", sql.bind(from), sql.bind(before))
    };
    match ops.next() {
        None | Some(FilterOp::All) => "1".to_owned(),
        Some(FilterOp::And(count)) => all_of(sql, meter, ops, count, " AND "),
        Some(FilterOp::Or(count)) => all_of(sql, meter, ops, count, " OR "),
        Some(FilterOp::Not) => format!("NOT {}", condition(sql, meter, ops)),
        Some(FilterOp::Compare(Comparison::Equal, path, value)) => {
            format!("({} = {})", sql.key(path), sql.bind(key_of(value)))
        }
        Some(FilterOp::Compare(Comparison::NotEqual, path, value)) => {
            format!("({} <> {})", sql.key(path), sql.bind(key_of(value)))
        }
        Some(FilterOp::Compare(comparison, path, value)) => {
            in_range(sql, path, range(comparison, key_of(value)))
        }
        Some(FilterOp::In(path, values)) => {
            let mut run = meter.run();
            let list = i64::try_from(run.lists.len()).unwrap_or(i64::MAX);
            run.lists.push(values.iter().map(key_of).collect());
            format!("bz_in({}, {})", sql.key(path), sql.bind(list))
        }
        Some(FilterOp::Between(path, low, high)) => in_range(sql, path, between(key_of(low), key_of(high))),
        Some(FilterOp::Contains(path, value)) => sql.contains(path, encoding(value)),
        Some(FilterOp::StartsWith(path, text)) => in_range(sql, path, starting_with(text)),
        Some(FilterOp::Exists(path)) => format!("({} <> x'01')", sql.key(path)),
    }
}

fn all_of(sql: &mut Sql, meter: &Meter, ops: &mut FilterOps<'_>, count: u8, word: &str) -> String {
    let operands: Vec<_> = (0..count).map(|_| condition(sql, meter, ops)).collect();
    format!("({})", operands.join(word))
}

const _: () = assert!(matches!(key::NOTHING, [1]) && matches!(key::NULL, [2]));
