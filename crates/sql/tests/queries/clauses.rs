//! Each clause by a case that a reader can check.

use blazedb_relay::message::{
    Aggregate, AggregateFunction, Comparison, Direction, Filter, Join, JoinKind, Path, Selection, SortBy,
    SortKey,
};
use blazedb_relay::value::{Entries, Value};
use blazedb_relay::wire::CollectionName;
use blazedb_relay_sql::Error;
use uuid::Uuid;

use super::tables::Tables;

pub(crate) fn fields(fields: &[(&str, Value)]) -> Entries {
    Entries::new(fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect()).unwrap()
}

fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Records 1, 2, ... of `bugs` with a field `f`; `Removed` for a record without it.
fn bugs(values: &[Value]) -> Tables {
    let mut tables = Tables::new();
    for (number, value) in (1..).zip(values) {
        let of_f = (*value != Value::Removed).then_some(("f", value.clone()));
        let all: Vec<_> = of_f.into_iter().chain([("n", Value::from(number))]).collect();
        tables.set("bugs", id(u128::try_from(number).unwrap()), Some(&fields(&all)), false);
    }
    tables
}

/// The numbers of the records that a filter lets pass.
fn passing(tables: &mut Tables, filter: Filter) -> Vec<i64> {
    numbers(tables, &Selection { filter, projection: vec![Path::field("n")], ..Selection::default() })
}

fn numbers(tables: &mut Tables, selection: &Selection) -> Vec<i64> {
    let rows = tables.rows("bugs", selection);
    rows.iter().map(|row| if let Value::Int(number) = row[0] { number } else { panic!("{row:?}") }).collect()
}

fn f() -> Path {
    Path::field("f")
}

fn dictionary(entries: &[(&str, Value)]) -> Value {
    Value::Dictionary(fields(entries))
}

fn is(comparison: Comparison, value: impl Into<Value>) -> Filter {
    Filter::Compare(comparison, f(), value.into())
}

fn by(path: Path, direction: Direction) -> SortKey {
    SortKey { by: SortBy::Path(path), direction }
}

/// One of each class in the order of step 4, nothing first.
fn one_of_each() -> Vec<Value> {
    vec![
        Value::Removed,
        Value::Null,
        Value::from(false),
        Value::from(true),
        Value::from(f64::NAN),
        Value::from(-1),
        Value::from(0.5),
        Value::from(7),
        Value::from("B"),
        Value::from("a"),
        Value::from(id(5)),
        Value::Data(b"x"[..].into()),
        Value::Date(3.0.into()),
        Value::Vector([1][..].into()),
        Value::Sealed(b"s"[..].into()),
        Value::Array(vec![Value::from(1)]),
        dictionary(&[("k", Value::Null)]),
    ]
}

#[test]
fn comparisons_stay_within_a_class() {
    use Comparison::{Equal, Greater, GreaterOrEqual, Less, LessOrEqual, NotEqual};
    let mut tables = bugs(&one_of_each());
    let mut pass = |filter| passing(&mut tables, filter);
    assert_eq!(pass(is(Less, 7)), [5, 6, 7]);
    assert_eq!(pass(is(LessOrEqual, 7.0)), [5, 6, 7, 8]);
    assert_eq!(pass(is(Greater, f64::NAN)), [6, 7, 8]);
    assert_eq!(pass(is(GreaterOrEqual, "B")), [9, 10]);
    assert_eq!(pass(is(Less, true)), [3]);
    assert_eq!(pass(is(Equal, Value::Null)), [2]);
    assert_eq!(pass(is(LessOrEqual, Value::Null)), [2]);
    assert_eq!(pass(is(Less, Value::Null)), [] as [i64; 0]);
    // Nothing is not equal to anything.
    assert_eq!(pass(is(NotEqual, 7)).len(), 16);
    assert_eq!(pass(Filter::Not(is(Equal, 7).into())).len(), 16);
    // Arrays are equal or not, and neither less nor greater.
    let array = || Value::Array(vec![Value::from(1)]);
    assert_eq!(pass(is(Equal, array())), [16]);
    assert_eq!(pass(is(GreaterOrEqual, array())), [16]);
    assert_eq!(pass(is(Less, Value::Array(vec![Value::from(2)]))), [] as [i64; 0]);
    assert_eq!(pass(is(Equal, Value::Array(vec![Value::from(1.0)]))), [] as [i64; 0]);
    assert_eq!(pass(Filter::Exists(f())).len(), 16);
    assert_eq!(pass(Filter::Between(f(), Value::from(-1), Value::from(7))), [6, 7, 8]);
    assert_eq!(pass(Filter::Between(f(), Value::from(-1), Value::from("z"))), [] as [i64; 0]);
    assert_eq!(pass(Filter::In(f(), vec![Value::from(7.0), Value::from("a"), Value::Null])), [2, 8, 10]);
    let both = Filter::And(vec![is(Greater, 0), Filter::Or(vec![is(Less, 1), is(Equal, 7)])]);
    assert_eq!(pass(both), [7, 8]);
}

#[test]
fn contains_and_starts_with() {
    let mut tables = bugs(&[
        Value::from("one bug"),
        Value::Array(vec![Value::from("bug"), Value::from(2.0)]),
        dictionary(&[("bug", Value::from(1))]),
        Value::from("bug\0s"),
        Value::Data(b"bug"[..].into()),
    ]);
    let mut pass = |filter| passing(&mut tables, filter);
    assert_eq!(pass(Filter::Contains(f(), "bug".into())), [1, 2, 3, 4]);
    assert_eq!(pass(Filter::Contains(f(), 2.into())), [2]);
    assert_eq!(pass(Filter::Contains(f(), "\0".into())), [4]);
    assert_eq!(pass(Filter::Contains(f(), "".into())), [1, 4]);
    assert_eq!(pass(Filter::Contains(Path::ID, "".into())), [] as [i64; 0]);
    assert_eq!(pass(Filter::StartsWith(f(), "bug".into())), [4]);
    assert_eq!(pass(Filter::StartsWith(f(), "".into())), [1, 4]);
    assert_eq!(pass(Filter::StartsWith(f(), "bug\0".into())), [4]);
}

#[test]
fn the_order_of_classes_and_of_equal_rows() {
    let mut values = one_of_each();
    values.reverse();
    values.push(Value::from(7.0));
    let mut tables = bugs(&values);
    let up = Selection {
        sort: vec![by(f(), Direction::Ascending)],
        projection: vec![Path::field("n")],
        ..Selection::default()
    };
    let down = Selection { sort: vec![by(f(), Direction::Descending)], ..up.clone() };
    // 18 and 10 are both 7; what is equal goes by record id either way.
    let expected = [17, 16, 15, 14, 13, 12, 11, 10, 18, 9, 8, 7, 6, 5, 4, 3, 2, 1];
    assert_eq!(numbers(&mut tables, &up), expected);
    let expected = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 18, 11, 12, 13, 14, 15, 16, 17];
    assert_eq!(numbers(&mut tables, &down), expected);
}

#[test]
fn aggregates() {
    let mut tables = bugs(&[
        Value::from(1.0),
        Value::from(1),
        Value::from(5),
        Value::from("text"),
        Value::Null,
        Value::Removed,
    ]);
    let aggregate = |function| Aggregate { function, path: f() };
    let mut selection = Selection {
        aggregates: vec![
            aggregate(AggregateFunction::Count),
            aggregate(AggregateFunction::Sum),
            aggregate(AggregateFunction::Average),
            aggregate(AggregateFunction::Minimum),
            aggregate(AggregateFunction::Maximum),
        ],
        ..Selection::default()
    };
    let third = Value::from(7.0 / 3.0);
    // Of 1.0 and 1 the double has the smaller encoding (tag 03, not 12).
    let expected = vec![vec![Value::from(5), 7.0.into(), third, 1.0.into(), "text".into()]];
    assert_eq!(tables.rows("bugs", &selection), expected);
    selection.filter = is(Comparison::Equal, "nobody");
    let nothing = || Value::Removed;
    let expected = vec![vec![Value::from(0), nothing(), nothing(), nothing(), nothing()]];
    assert_eq!(tables.rows("bugs", &selection), expected);
    // No rows, no groups.
    selection.group_by = vec![f()];
    assert!(tables.rows("bugs", &selection).is_empty());

    selection.filter = Filter::All;
    selection.aggregates = vec![aggregate(AggregateFunction::Count)];
    selection.sort = vec![SortKey { by: SortBy::Aggregate(0), direction: Direction::Descending }];
    let row = |value: Value, count: i64| vec![value, Value::from(count)];
    let expected =
        [row(1.0.into(), 2), row(Value::Null, 1), row(5.into(), 1), row("text".into(), 1), row(nothing(), 0)];
    assert_eq!(tables.rows("bugs", &selection), expected);
    selection.sort = vec![by(Path::field("n"), Direction::Ascending)];
    assert!(matches!(tables.page("bugs", &selection, 10, &[]), Err(Error::NotOfTheGroup)));
}

#[test]
fn joins() {
    let mut tables = bugs(&[Value::from(id(1)), Value::from(id(3)), Value::Null, Value::Removed]);
    for (number, who, team) in [(1, "ann", Value::from(1)), (2, "bob", Value::Null)] {
        tables.set("people", id(number), Some(&fields(&[("name", who.into()), ("team", team)])), false);
    }
    for (number, name) in [(1, "red"), (2, "blue")] {
        let team = [("number", Value::from(1.0)), ("name", name.into())];
        tables.set("teams", id(number), Some(&fields(&team)), false);
    }
    let join = |kind, collection, left, right| Join {
        kind,
        collection: CollectionName::new(collection).unwrap(),
        left,
        right,
    };
    let mut selection = Selection {
        joins: vec![join(JoinKind::Inner, "people", f(), Path::of(1, &[]))],
        projection: vec![Path::field("n"), Path::of(1, &["name"])],
        ..Selection::default()
    };
    let text = |text: &str| Value::from(text);
    assert_eq!(tables.rows("bugs", &selection), [vec![1.into(), text("ann")]]);
    selection.joins[0].kind = JoinKind::Left;
    selection.joins.push(join(JoinKind::Left, "teams", Path::of(1, &["team"]), Path::of(2, &["number"])));
    selection.projection.push(Path::of(2, &["name"]));
    let expected = [
        vec![Value::from(1), text("ann"), text("red")],
        vec![Value::from(1), text("ann"), text("blue")],
        vec![Value::from(2), Value::Removed, Value::Removed],
        vec![Value::from(3), Value::Removed, Value::Removed],
        vec![Value::from(4), Value::Removed, Value::Removed],
    ];
    assert_eq!(tables.rows("bugs", &selection), expected);
    // A filter on the joined record comes after the join.
    selection.filter = Filter::Not(Filter::Exists(Path::of(1, &[])).into());
    assert_eq!(tables.rows("bugs", &selection), expected[2..]);
}

#[test]
fn columns_that_nobody_chose() {
    let mut tables = Tables::new();
    let bug = fields(&[("title", "x".into())]);
    tables.set("bugs", id(7), Some(&bug), false);
    tables.set("bugs", id(8), None, false);
    let join = Join {
        kind: JoinKind::Left,
        collection: CollectionName::new("nothing").unwrap(),
        left: Path::field("title"),
        right: Path::of(1, &["title"]),
    };
    let selection = Selection { joins: vec![join], ..Selection::default() };
    let nothing = || Value::Removed;
    let expected = [vec![Value::from(id(7)), Value::Dictionary(bug), nothing(), nothing()]];
    assert_eq!(tables.rows("bugs", &selection), expected);
    assert!(tables.rows("nobody", &Selection::default()).is_empty());
}
