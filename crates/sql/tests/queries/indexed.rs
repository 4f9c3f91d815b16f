//! Indexes: that they are used, that they are built while others write, and that they are taken away.

use blazedb_relay::merge::State;
use blazedb_relay::message::{
    Comparison, Direction, Filter, Join, JoinKind, Path, Selection, SortBy, SortKey,
};
use blazedb_relay::value::Value;
use blazedb_relay::wire::CollectionName;
use blazedb_relay_sql::INDEXES;
use proptest::prelude::*;
use uuid::Uuid;

use super::clauses::fields;
use super::random::{Choices, change};
use super::tables::Tables;
use super::{bytes, expected};

fn bugs(count: u128) -> Tables {
    let mut tables = Tables::new();
    for number in 1..=count {
        let bug = [("f", Value::from(i64::try_from(number % 10).unwrap())), ("g", "x".into())];
        tables.set("bugs", Uuid::from_u128(number), Some(&fields(&bug)), false);
    }
    tables
}

fn filtered(filter: Filter) -> Selection {
    Selection { filter, ..Selection::default() }
}

fn is(comparison: Comparison, field: &str, value: impl Into<Value>) -> Filter {
    Filter::Compare(comparison, Path::field(field), value.into())
}

/// What SQLite does for a query, in one line.
fn plan(tables: &mut Tables, selection: &Selection) -> String {
    tables.plan("bugs", selection, &[]).steps.join("; ")
}

#[test]
fn sqlite_uses_them() {
    let mut tables = bugs(1_000);
    tables.add_index(1, "bugs", &[&["f"]]);
    tables.add_index(2, "bugs", &[&["g"], &["f"]]);
    let range = "SEARCH x0 USING PRIMARY KEY (index_id=? AND key>? AND key<?)";
    for filter in [
        is(Comparison::Equal, "f", 3),
        is(Comparison::Less, "f", 3),
        Filter::Between(Path::field("f"), 2.into(), 3.into()),
        Filter::And(vec![is(Comparison::Equal, "g", "x"), is(Comparison::Greater, "f", 8)]),
        Filter::In(Path::field("f"), vec![1.into(), 3.into()]),
    ] {
        let selection = filtered(filter);
        let plan = plan(&mut tables, &selection);
        assert!(plan.contains(range) && plan.contains("SEARCH s0 USING INTEGER PRIMARY KEY"), "{plan}");
        // It looks at no more than it has to.
        tables.budget.rows = 400;
        assert!(!tables.rows("bugs", &selection).is_empty());
    }
    for filter in [
        is(Comparison::NotEqual, "f", 3),
        Filter::Not(is(Comparison::Equal, "f", 3).into()),
        Filter::Or(vec![is(Comparison::Equal, "f", 3), is(Comparison::Equal, "f", 4)]),
    ] {
        assert!(!plan(&mut tables, &filtered(filter)).contains("x0"));
    }
    // An id needs no index.
    let filter = Filter::Compare(Comparison::Equal, Path::ID, Uuid::from_u128(5).into());
    let found = plan(&mut tables, &filtered(filter));
    assert!(found.contains("(collection=? AND record=?)"), "{found}");
    // For an order: nothing but rows of the same key is sorted.
    for direction in [Direction::Ascending, Direction::Descending] {
        let sort = vec![SortKey { by: SortBy::Path(Path::field("f")), direction }];
        let selection = Selection { sort, ..Selection::default() };
        let found = plan(&mut tables, &selection);
        let sorts_all = found.contains("USE TEMP B-TREE FOR ORDER BY");
        assert!(found.contains("SEARCH x0 USING PRIMARY KEY") && !sorts_all, "{found}");
    }
    // For a join, and without one SQLite makes its own for the while.
    for (field, way) in [("f", "SEARCH x1 USING PRIMARY KEY"), ("h", "SEARCH x1 USING AUTOMATIC")] {
        for kind in [JoinKind::Inner, JoinKind::Left] {
            let right = Path::of(1, &[field]);
            let collection = CollectionName::new("bugs").unwrap();
            let joins = vec![Join { kind, collection, left: Path::field("f"), right }];
            let found = plan(&mut tables, &Selection { joins, ..Selection::default() });
            assert!(found.contains(way), "{found}");
        }
    }
}

#[test]
fn one_that_is_not_whole_is_not_used() {
    let mut tables = bugs(2_000);
    let selection = filtered(is(Comparison::Equal, "f", 3));
    tables.define_index(1, "bugs", &[&["f"]]);
    let mut steps = 0;
    while tables.step() {
        steps += 1;
        assert_eq!(tables.rows("bugs", &selection).len(), 200);
    }
    assert!(steps > 2);
    assert!(plan(&mut tables, &selection).contains("x0"));
    // Removed: not used from then on, and its rows go in steps.
    tables.set(INDEXES, Uuid::from_u128(1), None, false);
    assert!(!plan(&mut tables, &selection).contains("x0"));
    let rows = |tables: &Tables| {
        let count = "SELECT (SELECT count(*) FROM index_rows) + (SELECT count(*) FROM indexes)";
        tables.conn.query_row(count, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(rows(&tables), 2_001);
    while tables.step() {}
    assert_eq!(rows(&tables), 0);
}

#[test]
fn what_is_no_index_is_passed_over_and_there_are_not_too_many() {
    let mut tables = bugs(3);
    let text = |text: &str| Value::from(text);
    for (number, collection, paths) in [
        (1, text("bugs"), Value::Array(vec![])),
        (2, text("bugs"), text("f")),
        (3, Value::from(1), Value::Array(vec![text("f")])),
        (4, text("bugs"), Value::Array(vec![text("")])),
        (5, text("bugs"), Value::Array(vec![Value::Array(vec![])])),
        (6, text("bugs"), Value::Array(vec![text("f"); 9])),
        (7, text("bugs"), Value::Array(vec![Value::from(1)])),
    ] {
        let entries = fields(&[("collection", collection), ("fields", paths)]);
        tables.set(INDEXES, Uuid::from_u128(number), Some(&entries), false);
    }
    let count = |tables: &Tables| {
        tables.conn.query_row("SELECT count(*) FROM indexes", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(count(&tables), 0);
    for number in 10..90 {
        tables.define_index(number, "bugs", &[&[&*format!("f{number}")]]);
    }
    assert_eq!(count(&tables), 64);
    // The same twice is one.
    tables.define_index(9, "bugs", &[&["f10"]]);
    assert_eq!(count(&tables), 64);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, ..ProptestConfig::default() })]

    /// Records change while an index is built, before and after.
    #[test]
    fn it_has_what_the_records_have(writes in bytes(300), steps in bytes(60)) {
        let mut state = State::new();
        let mut tables = Tables::new();
        let (mut choices, mut plan) = (Choices::new(&writes), Choices::new(&steps));
        let mut number = 0;
        while !choices.is_over() {
            number += 1;
            let (collection, record) = change(&mut choices, &mut state, number);
            let fields = state.record(collection, record);
            tables.set(collection, record, fields.as_ref(), number % 5 == 0);
            match plan.below(6) {
                1 => tables.define_index(1, "bugs", &[&["f"]]),
                2 => tables.set(INDEXES, Uuid::from_u128(1), None, false),
                3 => tables.define_index(2, "bugs", &[&["f", "a"], &["g"]]),
                4 => drop(tables.step()),
                _ => {}
            }
        }
        tables.define_index(1, "bugs", &[&["f"]]);
        while tables.step() {}
        let sort = vec![SortKey { by: SortBy::Path(Path::field("f")), direction: Direction::Ascending }];
        let selection = Selection { sort, ..Selection::default() };
        prop_assert!(tables.plan("bugs", &selection, &[]).steps.join(";").contains("x0"));
        prop_assert_eq!(tables.rows("bugs", &selection), expected(&state, "bugs", &selection));
    }
}
