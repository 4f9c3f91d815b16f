//! What a query may cost, what a page holds, and where it ends while others write.

use core::time::Duration;

use blazedb_relay::limits::MAX_FRAME;
use blazedb_relay::message::{
    Aggregate, AggregateFunction, Comparison, Direction, Filter, Join, JoinKind, Path, Selection, SortBy,
    SortKey,
};
use blazedb_relay::value::Value;
use blazedb_relay::wire::CollectionName;
use blazedb_relay_sql::Error;
use uuid::Uuid;

use super::clauses::fields;
use super::tables::{Tables, rows};

fn sorted(field: &str) -> Selection {
    Selection {
        sort: vec![SortKey { by: SortBy::Path(Path::field(field)), direction: Direction::Ascending }],
        projection: vec![Path::field(field)],
        ..Selection::default()
    }
}

/// `count` records of `bugs`, with `f` made of the number.
fn bugs(count: u128, f: impl Fn(u128) -> Value) -> Tables {
    let mut tables = Tables::new();
    for number in 1..=count {
        tables.set("bugs", Uuid::from_u128(number), Some(&fields(&[("f", f(number))])), false);
    }
    tables
}

fn number(number: u128) -> Value {
    Value::from(i64::try_from(number).unwrap())
}

fn is_too_expensive(tables: &mut Tables, selection: &Selection) -> bool {
    matches!(tables.page("bugs", selection, 10_000, &[]), Err(Error::TooExpensive))
}

//= RLY-55 test
#[test]
fn rows_are_counted_wherever_they_are_looked_at() {
    let mut tables = bugs(100, number);
    tables.budget.rows = 99;
    let all = Selection::default();
    let join = |left: Path, right: Path| Selection {
        joins: vec![Join {
            kind: JoinKind::Inner,
            collection: CollectionName::new("bugs").unwrap(),
            left,
            right,
        }],
        ..Selection::default()
    };
    let by_id = join(Path::ID, Path::of(1, &[]));
    let by_field = join(Path::field("f"), Path::of(1, &["f"]));
    let count = Aggregate { function: AggregateFunction::Count, path: Path::ID };
    let counted = Selection { aggregates: vec![count], ..Selection::default() };
    assert!(is_too_expensive(&mut tables, &all) && is_too_expensive(&mut tables, &counted));
    tables.budget.rows = 100;
    assert!(!is_too_expensive(&mut tables, &all) && !is_too_expensive(&mut tables, &counted));
    assert!(is_too_expensive(&mut tables, &by_id) && is_too_expensive(&mut tables, &by_field));
    tables.budget.rows = 300;
    assert!(!is_too_expensive(&mut tables, &by_id) && !is_too_expensive(&mut tables, &by_field));
}

#[test]
fn no_time_is_too_little_and_what_follows_is_not_harmed() {
    let mut tables = bugs(2_000, number);
    let time = tables.budget.time;
    tables.budget.time = Duration::ZERO;
    assert!(is_too_expensive(&mut tables, &sorted("f")));
    tables.budget.time = time;
    assert_eq!(tables.rows("bugs", &sorted("f")).len(), 2_000);
}

#[test]
fn memory_is_counted() {
    let mut tables = bugs(100, |number| Value::from(format!("{number:0>9000}").as_str()));
    let groups = Selection { group_by: vec![Path::field("f")], ..Selection::default() };
    let join = Join {
        kind: JoinKind::Inner,
        collection: CollectionName::new("bugs").unwrap(),
        left: Path::field("f"),
        right: Path::of(1, &["f"]),
    };
    let joined = Selection { joins: vec![join], projection: vec![Path::ID], ..Selection::default() };
    let sorted = Selection { projection: vec![Path::ID], ..sorted("f") };
    for selection in [&groups, &joined, &sorted] {
        tables.budget.bytes = 700_000;
        assert!(is_too_expensive(&mut tables, selection), "{selection:?}");
        tables.budget.bytes = 64 << 20;
        // Of all rows at once: no cursor is needed, which would be too long.
        assert_eq!(tables.rows("bugs", selection).len(), 100);
    }
    tables.set("bugs", Uuid::from_u128(1), Some(&fields(&[("f", "x".repeat(20_000).as_str().into())])), true);
    tables.budget.bytes = 20_000;
    assert!(is_too_expensive(&mut tables, &Selection::default()));
}

#[test]
fn a_page_ends_where_it_is_full_and_where_a_cursor_fits() {
    // Each row takes a tenth of a frame; four frames are a page.
    let large = MAX_FRAME / 10;
    let mut tables = bugs(100, |_| Value::Data(vec![7; large].into()));
    let mut all = 0;
    let mut cursor = Vec::new();
    loop {
        let answer = tables.page("bugs", &Selection::default(), 10_000, &cursor).unwrap();
        assert!(answer.tables.iter().all(|table| table.size() < MAX_FRAME));
        let count = rows(&answer).len();
        assert!(count < 50);
        all += count;
        cursor = answer.cursor;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(all, 100);
    // Sort values of 3 and of 2,000 bytes: the page ends with one of the former.
    let mut tables = bugs(6, |number| {
        let text = if number % 3 == 0 { "x".repeat(2_000) } else { String::new() };
        Value::from(format!("{number}{text}").as_str())
    });
    let answer = tables.page("bugs", &sorted("f"), 3, &[]).unwrap();
    assert_eq!(rows(&answer).len(), 2);
    let refused = tables.page("bugs", &sorted("f"), 1, &answer.cursor);
    assert!(matches!(refused, Err(Error::TooExpensive)));
    let answer = tables.page("bugs", &sorted("f"), 2, &answer.cursor).unwrap();
    assert_eq!(rows(&answer).len(), 2);
}

//= SEC-5 test
#[test]
fn cursors_of_other_queries_and_broken_ones() {
    let mut tables = bugs(10, number);
    let cursor = tables.page("bugs", &sorted("f"), 3, &[]).unwrap().cursor;
    let mut refused = |selection: &Selection, cursor: &[u8]| {
        matches!(tables.page("bugs", selection, 3, cursor), Err(Error::BadCursor))
    };
    assert!(!refused(&sorted("f"), &cursor));
    assert!(refused(&sorted("g"), &cursor) && refused(&Selection::default(), &cursor));
    for at in 0..cursor.len() {
        let mut broken = cursor.clone();
        broken[at] ^= 1;
        assert!(refused(&sorted("f"), &broken) && refused(&sorted("f"), &cursor[..at.max(1)]));
    }
    assert!(matches!(tables.page("people", &sorted("f"), 3, &cursor), Err(Error::BadCursor)));
}

/// What stays is on exactly one page, whatever else comes and goes.
#[test]
fn pages_hold_together_while_others_write() {
    for index in [false, true] {
        let mut tables = bugs(60, |number| Value::from(i64::try_from(number * 7 % 20).unwrap()));
        if index {
            tables.add_index(1, "bugs", &[&["f"]]);
        }
        let mut selection = sorted("f");
        selection.sort[0].direction = Direction::Descending;
        selection.projection = vec![Path::ID];
        let mut seen = Vec::new();
        let mut cursor = Vec::new();
        for round in 0.. {
            let answer = tables.page("bugs", &selection, 7, &cursor).unwrap();
            seen.extend(rows(&answer).into_iter().map(|mut row| row.remove(0)));
            cursor = answer.cursor;
            if cursor.is_empty() {
                break;
            }
            // One of the last row's own, one that was not there, and one that comes before all.
            let Value::Uuid(last) = *seen.last().unwrap() else { panic!() };
            tables.set("bugs", last, None, false);
            let new = |number: u128, f: i64| (Uuid::from_u128(number), fields(&[("f", f.into())]));
            for (id, bug) in [new(100 + round, 10), new(200 + round, 99)] {
                tables.set("bugs", id, Some(&bug), false);
            }
        }
        let old: Vec<_> = (1..=60).map(|number| Value::from(Uuid::from_u128(number))).collect();
        let mut found: Vec<_> = seen.iter().filter(|id| old.contains(id)).cloned().collect();
        found.sort_by_key(|id| id.to_bytes().unwrap());
        assert_eq!(found, old);
    }
}

#[test]
fn a_filter_that_matches_nothing_of_a_kind() {
    let mut tables = bugs(3, number);
    let filter = Filter::Compare(Comparison::Equal, Path::ID, "no id".into());
    assert!(tables.rows("bugs", &Selection { filter, ..Selection::default() }).is_empty());
}
