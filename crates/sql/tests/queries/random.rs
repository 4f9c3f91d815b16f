//! States and queries made of a row of choices, so that a failure shrinks to few of them.

use blazedb_relay::merge::{Heard, Path as MergePath, State};
use blazedb_relay::message::{
    Aggregate, AggregateFunction, Comparison, Direction, Filter, Join, JoinKind, Path, Selection, SortBy,
    SortKey,
};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::value::{Entries, Fields, Value};
use blazedb_relay::wire::{CollectionName, FieldName, NodeId, Timestamp};
use uuid::Uuid;

pub(crate) const COLLECTIONS: [&str; 3] = ["bugs", "people", "teams"];
/// `"` and a zero byte stand in names as well as anything.
const FIELDS: [&str; 5] = ["f", "g", "who", "x\"); DROP TABLE records; --", "n\0'"];
const KEYS: [&str; 3] = ["a", "b", ""];

/// Numbers that somebody chose; zeros when there are no more.
pub(crate) struct Choices<'b> {
    bytes: &'b [u8],
}

impl<'b> Choices<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes }
    }

    /// One of `count`.
    pub(crate) fn below(&mut self, count: usize) -> usize {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        usize::from(*first) % count
    }

    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    fn some<T>(&mut self, max: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(max + 1)).map(|_| make(self)).collect()
    }

    pub(crate) fn is_over(&self) -> bool {
        self.bytes.is_empty()
    }
}

pub(crate) fn record(choices: &mut Choices<'_>) -> Uuid {
    Uuid::from_u128(1 + choices.below(8) as u128)
}

/// A value; few, so that many are equal.
pub(crate) fn value(choices: &mut Choices<'_>, depth: usize) -> Value {
    match choices.below(if depth > 1 { 20 } else { 24 }) {
        0 => Value::Null,
        1 => Value::Bool(choices.below(2) == 1),
        2..=5 => Value::from(choices.one_of(&[0, 1, 2, 3, -1, 300, i64::MAX, i64::MIN, (1 << 53) + 1])),
        6..=9 => Value::from(choices.one_of(&[
            0.0,
            -0.0,
            1.0,
            1.5,
            2.25,
            -1.0,
            9_007_199_254_740_992.0,
            f64::NAN,
            f64::INFINITY,
            -f64::INFINITY,
        ])),
        10..=13 => Value::from(choices.one_of(&["", "a", "ab", "abc", "b", "a\0", "ä", "a\u{1F41D}", "'"])),
        14 | 15 => Value::from(record(choices)),
        16 => Value::Date(choices.one_of(&[0.0, -0.0, 1.0, f64::NAN, -5.5]).into()),
        17 => Value::Data(choices.one_of(&[&b""[..], b"a", b"ab", b"\xFF"]).into()),
        18 => Value::Vector(choices.one_of(&[&[][..], &[1], &[1, 2]]).into()),
        19 => Value::Sealed(choices.one_of(&[&b"x"[..], b"xy"]).into()),
        20 | 21 => Value::Array(choices.some(3, |choices| value(choices, depth + 1))),
        _ => {
            let mut entries =
                choices.some(3, |choices| (choices.one_of(&KEYS).into(), value(choices, depth + 1)));
            entries.sort_by(|(a, _): &(Box<str>, _), (b, _)| a.cmp(b));
            entries.dedup_by(|(a, _), (b, _)| a == b);
            Value::Dictionary(Entries::new(entries).unwrap())
        }
    }
}

/// A value as an operation writes it.
fn written(choices: &mut Choices<'_>, state: &State, path: &MergePath, node: NodeId, depth: usize) -> Value {
    match choices.below(8) {
        0 => Value::Removed,
        1 => state.increment(path.as_ref(), node, 2).unwrap_or(Value::Null),
        2 | 3 if depth < 2 => {
            let key = choices.one_of(&KEYS);
            let inner = written(choices, state, &path.clone().key(key).unwrap(), node, depth + 1);
            Value::Patch(Entries::new(vec![(key.into(), inner)]).unwrap())
        }
        _ => value(choices, 0),
    }
}

/// One operation more on a state.
pub(crate) fn change(choices: &mut Choices<'_>, state: &mut State, number: u64) -> (&'static str, Uuid) {
    let node = NodeId::new(Uuid::from_u128(9 + choices.below(2) as u128)).unwrap();
    let (name, record) = (choices.one_of(&COLLECTIONS), record(choices));
    let collection = CollectionName::new(name).unwrap();
    let kind = if choices.below(8) == 7 { OpKind::Delete } else { OpKind::Update };
    let mut fields = Vec::new();
    if kind == OpKind::Update {
        for field in FIELDS {
            if fields.is_empty() || choices.below(2) == 1 {
                let field = FieldName::new(field).unwrap();
                let path = MergePath::field(collection.clone(), record, &field);
                fields.push((field, written(choices, state, &path, node, 0)));
            }
        }
    }
    let timestamp = Timestamp::new(number, node).unwrap();
    let place = (collection, record);
    let op = Op::new((node, number), timestamp, kind, place, Fields::new(fields).unwrap()).unwrap();
    state.apply_owned(&op, Heard::at(number), &mut ());
    (name, record)
}

fn path(choices: &mut Choices<'_>, sources: u8) -> Path {
    let source = u8::try_from(choices.below(usize::from(sources) + 1)).unwrap();
    match choices.below(8) {
        0 => Path::of(source, &[]),
        1 => Path::of(source, &[choices.one_of(&FIELDS), "a"]),
        _ => Path::of(source, &[choices.one_of(&FIELDS)]),
    }
}

fn filter(choices: &mut Choices<'_>, sources: u8, depth: usize) -> Filter {
    let one = |choices: &mut Choices<'_>| filter(choices, sources, depth + 1);
    let kind = choices.below(if depth > 2 { 12 } else { 16 });
    match kind {
        12 | 13 => {
            let first = one(choices);
            Filter::And(core::iter::once(first).chain(choices.some(2, one)).collect())
        }
        14 => {
            let first = one(choices);
            Filter::Or(core::iter::once(first).chain(choices.some(2, one)).collect())
        }
        15 => Filter::Not(one(choices).into()),
        _ => {
            let path = path(choices, sources);
            match kind {
                0..=5 => {
                    let comparison = choices.one_of(&[
                        Comparison::Equal,
                        Comparison::NotEqual,
                        Comparison::Less,
                        Comparison::LessOrEqual,
                        Comparison::Greater,
                        Comparison::GreaterOrEqual,
                    ]);
                    Filter::Compare(comparison, path, value(choices, 0))
                }
                6 | 7 => {
                    let first = value(choices, 0);
                    let others = choices.some(3, |choices| value(choices, 0));
                    Filter::In(path, core::iter::once(first).chain(others).collect())
                }
                8 => Filter::Between(path, value(choices, 0), value(choices, 0)),
                9 => Filter::Contains(path, value(choices, 1)),
                10 => Filter::StartsWith(path, choices.one_of(&["", "a", "a\0", "ä"]).into()),
                _ => Filter::Exists(path),
            }
        }
    }
}

/// A query: its collection and what it asks for.
pub(crate) fn query(choices: &mut Choices<'_>) -> (&'static str, Selection) {
    let collection = choices.one_of(&COLLECTIONS);
    let mut joins = Vec::new();
    for number in 1..=u8::try_from(choices.below(3)).unwrap() {
        joins.push(Join {
            kind: choices.one_of(&[JoinKind::Inner, JoinKind::Left]),
            collection: CollectionName::new(choices.one_of(&COLLECTIONS)).unwrap(),
            left: path(choices, number - 1),
            right: Path { source: number, ..path(choices, 0) },
        });
    }
    let sources = u8::try_from(joins.len()).unwrap();
    let filter = if choices.below(4) == 0 { Filter::All } else { filter(choices, sources, 0) };
    let mut selection = Selection { joins, filter, ..Selection::default() };
    let direction =
        |choices: &mut Choices<'_>| choices.one_of(&[Direction::Ascending, Direction::Descending]);
    if choices.below(3) == 0 {
        selection.group_by = choices.some(2, |choices| path(choices, sources));
        let functions = [
            AggregateFunction::Count,
            AggregateFunction::Sum,
            AggregateFunction::Average,
            AggregateFunction::Minimum,
            AggregateFunction::Maximum,
        ];
        let aggregate = |choices: &mut Choices<'_>| Aggregate {
            function: choices.one_of(&functions),
            path: path(choices, sources),
        };
        selection.aggregates =
            core::iter::once(aggregate(choices)).chain(choices.some(2, aggregate)).collect();
        let by = selection.group_by.clone();
        let aggregates = selection.aggregates.len();
        selection.sort = choices.some(2, |choices| {
            let column = choices.below(by.len() + aggregates);
            let by = match by.get(column) {
                Some(path) => SortBy::Path(path.clone()),
                None => SortBy::Aggregate(u8::try_from(column - by.len()).unwrap()),
            };
            SortKey { by, direction: direction(choices) }
        });
    } else {
        selection.projection = choices.some(3, |choices| path(choices, sources));
        selection.sort = choices.some(2, |choices| SortKey {
            by: SortBy::Path(path(choices, sources)),
            direction: direction(choices),
        });
    }
    (collection, selection)
}

/// The fields of an index.
pub(crate) fn index(choices: &mut Choices<'_>) -> (&'static str, Vec<Vec<&'static str>>) {
    let field = |choices: &mut Choices<'_>| match choices.below(5) {
        0 => vec![choices.one_of(&FIELDS), "a"],
        _ => vec![choices.one_of(&FIELDS)],
    };
    let collection = choices.one_of(&COLLECTIONS);
    let first = field(choices);
    (collection, core::iter::once(first).chain(choices.some(1, field)).collect())
}
