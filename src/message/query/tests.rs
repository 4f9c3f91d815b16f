use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use super::*;
use crate::message::testing::{fault, fault_with, round_trip};
use crate::message::{Extensions, Message};
use crate::registry::MessageType;
use crate::value::{Entries, Value, ValueRef};
use crate::wire::CollectionName;

fn query(selection: SelectionRef<'_>) -> Message<'_> {
    Message::Query(Query {
        collection: CollectionRef::new("bugs").unwrap(),
        after: Position::new(3, 9).unwrap(),
        selection,
        limit: PageLimit::new(50).unwrap(),
        cursor: Cursor::new(b"here").unwrap(),
        extensions: Extensions::EMPTY,
    })
}

/// Collection "b", any position; what follows begins at 18.
fn query_fault(selection: &[u8]) -> (ErrorCode, u32) {
    let (code, offset) = fault(MessageType::QUERY, &[&[1, b'b'], &[0; 16][..], selection].concat());
    (code, offset.wrapping_sub(18))
}

fn build_fault(selection: &Selection) -> ErrorCode {
    selection.encode(&mut Vec::new()).unwrap_err().code
}

fn equal(name: &str) -> Filter {
    Filter::Compare(Comparison::Equal, Path::field(name), Value::Int(1))
}

fn everything() -> Selection {
    let dictionary = Entries::new(vec![("k".into(), Value::Array(vec![Value::Null]))]).unwrap();
    let far = Path::of(1, &["metadata", "née"]);
    Selection {
        joins: vec![Join {
            kind: JoinKind::Left,
            collection: CollectionName::new("people").unwrap(),
            left: Path::field("assignedTo"),
            right: Path::of(1, &[]),
        }],
        filter: Filter::And(vec![
            Filter::Or(vec![equal("a"), Filter::Not(Box::new(Filter::Exists(far.clone())))]),
            Filter::In(
                Path::ID,
                vec![Value::from("a string of more than 15"), Value::Dictionary(dictionary)],
            ),
            Filter::Between(far.clone(), Value::from(1.5), Value::from(2_i64)),
            Filter::Contains(far.clone(), Value::from("x")),
            Filter::StartsWith(far.clone(), "".into()),
            Filter::Compare(Comparison::GreaterOrEqual, far.clone(), Value::Null),
        ]),
        group_by: vec![far.clone()],
        aggregates: vec![Aggregate { function: AggregateFunction::Maximum, path: far.clone() }],
        projection: vec![],
        sort: vec![
            SortKey { by: SortBy::Aggregate(0), direction: Direction::Descending },
            SortKey { by: SortBy::Path(far), direction: Direction::Ascending },
        ],
    }
}

#[test]
fn queries_round_trip() {
    let mut buffer = Vec::new();
    round_trip(&query(everything().encode(&mut buffer).unwrap()), 1);
    let columns = Selection { projection: vec![Path::ID; 64], ..Selection::default() };
    round_trip(&query(columns.encode(&mut buffer).unwrap()), 1);
    round_trip(&query(SelectionRef::ALL), 1);
    assert_eq!(Selection::default().encode(&mut buffer).unwrap(), SelectionRef::ALL);
    assert!(SelectionRef::ALL.filter().is_all());
}

#[test]
fn views_show_what_was_built() {
    let mut buffer = Vec::new();
    let built = everything();
    let view = built.encode(&mut buffer).unwrap();
    let join = view.joins().iter().next().unwrap();
    assert_eq!((join.kind, join.collection.as_str()), (JoinKind::Left, "people"));
    assert!(join.right.is_record_id() && join.right.source() == 1);
    let ops: Vec<_> = view.filter().ops().collect();
    assert_eq!(ops.len(), view.filter().count());
    assert_eq!(ops.len(), 10);
    assert_eq!(ops[0], FilterOp::And(6));
    assert_eq!(ops[1], FilterOp::Or(2));
    assert!(matches!(ops[2], FilterOp::Compare(Comparison::Equal, path, ValueRef::Int(1))
        if path.components().iter().map(|c| c.as_str()).eq(["a"])));
    assert_eq!(ops[3], FilterOp::Not);
    assert!(matches!(ops[5], FilterOp::In(path, values) if path.is_record_id() && values.len() == 2));
    assert!(matches!(ops[8], FilterOp::StartsWith(_, "")));
    assert_eq!(view.group_by().iter().next(), view.aggregates().iter().next().map(|each| each.path));
    assert_eq!(view.sort().iter().next().unwrap().by, SortByRef::Aggregate(0));
    assert!(view.projection().is_empty());
    assert!(!format!("{view:?}").is_empty());
}

//= QRY-1 test
#[test]
fn parts_are_few() {
    assert_eq!(query_fault(&[5]), (ErrorCode::TOO_MANY, 0));
    assert_eq!(query_fault(&[0, 0, 9]), (ErrorCode::TOO_MANY, 2));
    assert_eq!(query_fault(&[0, 0, 0, 17]), (ErrorCode::TOO_MANY, 3));
    assert_eq!(query_fault(&[0, 0, 0, 0, 65]), (ErrorCode::TOO_MANY, 4));
    assert_eq!(query_fault(&[0, 0, 0, 0, 0, 9]), (ErrorCode::TOO_MANY, 5));
    let selection = Selection { group_by: vec![Path::ID; 9], ..Selection::default() };
    assert_eq!(build_fault(&selection), ErrorCode::TOO_MANY);
}

//= QRY-2 test
#[test]
fn codes_are_listed() {
    assert_eq!(query_fault(&[1, 0]), (ErrorCode::UNKNOWN_CODE, 1));
    assert_eq!(query_fault(&[0, 0x04]), (ErrorCode::UNKNOWN_CODE, 1));
    assert_eq!(query_fault(&[0, 0x1B]), (ErrorCode::UNKNOWN_CODE, 1));
    assert_eq!(query_fault(&[0, 0, 0, 1, 6]), (ErrorCode::UNKNOWN_CODE, 4));
    assert_eq!(query_fault(&[0, 0, 0, 0, 0, 1, 3]), (ErrorCode::UNKNOWN_CODE, 6));
    assert_eq!(query_fault(&[0, 0, 0, 0, 0, 1, 1, 0, 0, 3]), (ErrorCode::UNKNOWN_CODE, 9));
}

//= QRY-3 test
#[test]
fn paths_are_short() {
    assert_eq!(query_fault(&[0, 0x1A, 0, 17]), (ErrorCode::TOO_MANY, 3));
    assert_eq!(query_fault(&[0, 0x1A, 0, 1, 0, 0]), (ErrorCode::EMPTY, 4));
    assert_eq!(query_fault(&[0, 0x1A, 0, 1, 4, 1]), (ErrorCode::TOO_LONG, 4));
    for (component, code) in [("x".repeat(70_000), ErrorCode::TOO_LONG), (String::new(), ErrorCode::EMPTY)] {
        let selection = Selection { filter: Filter::Exists(Path::field(&component)), ..Selection::default() };
        assert_eq!(build_fault(&selection), code);
    }
}

//= QRY-4 test
#[test]
fn sources_are_there() {
    assert_eq!(query_fault(&[0, 0x1A, 1]), (ErrorCode::OUT_OF_RANGE, 2));
    // The first join: its left path is of source 0, its right one of source 1.
    assert_eq!(query_fault(&[1, 1, 1, b'c', 1]), (ErrorCode::OUT_OF_RANGE, 4));
    assert_eq!(query_fault(&[1, 1, 1, b'c', 0, 0, 0]), (ErrorCode::OUT_OF_RANGE, 6));
    assert_eq!(query_fault(&[1, 1, 1, b'c', 0, 0, 2]), (ErrorCode::OUT_OF_RANGE, 6));
    assert_eq!(query_fault(&[1, 1, 1, b'c', 0, 0, 1, 0, 0x1A, 2]), (ErrorCode::OUT_OF_RANGE, 9));
    assert_eq!(query_fault(&[0, 0, 1, 1]), (ErrorCode::OUT_OF_RANGE, 3));
}

//= QRY-5 test
#[test]
fn all_stands_alone() {
    assert_eq!(query_fault(&[0, 0x03, 0]), (ErrorCode::UNKNOWN_CODE, 2));
    let selection = Selection { filter: Filter::Not(Box::new(Filter::All)), ..Selection::default() };
    assert_eq!(build_fault(&selection), ErrorCode::UNKNOWN_CODE);
}

//= QRY-6 test
#[test]
fn operands_are_some() {
    assert_eq!(query_fault(&[0, 0x01, 0]), (ErrorCode::EMPTY, 2));
    assert_eq!(query_fault(&[0, 0x02, 0]), (ErrorCode::EMPTY, 2));
    assert_eq!(query_fault(&[0, 0x16, 0, 0, 0, 0]), (ErrorCode::EMPTY, 4));
    assert_eq!(query_fault(&[0, 0x16, 0, 0, 3, 0xE9]), (ErrorCode::TOO_MANY, 4));
    for filter in [Filter::And(vec![]), Filter::Or(vec![]), Filter::In(Path::ID, vec![])] {
        let selection = Selection { filter, ..Selection::default() };
        assert_eq!(build_fault(&selection), ErrorCode::EMPTY);
    }
}

fn nested(depth: usize) -> Selection {
    let filter = (0..depth).fold(equal("a"), |inner, n| match n % 3 {
        0 => Filter::Not(Box::new(inner)),
        1 => Filter::And(vec![equal("b"), inner]),
        _ => Filter::Or(vec![inner, equal("b")]),
    });
    Selection { filter, ..Selection::default() }
}

//= QRY-7 test
#[test]
fn depth_is_bounded() {
    let mut buffer = Vec::new();
    round_trip(&query(nested(16).encode(&mut buffer).unwrap()), 1);
    assert_eq!(build_fault(&nested(17)), ErrorCode::TOO_DEEP);
    let bytes = [&[0][..], &[0x03; 17]].concat();
    assert_eq!(query_fault(&bytes), (ErrorCode::TOO_DEEP, 17));
    // An `and` whose last operand was read is not open any more.
    let row = Filter::And(vec![Filter::Not(Box::new(equal("a"))); 100]);
    let selection = Selection { filter: row, ..Selection::default() };
    round_trip(&query(selection.encode(&mut buffer).unwrap()), 1);
}

//= QRY-7 test
#[test]
fn ops_are_counted_before_they_are_looked_at() {
    let exists = [0x1A, 0, 0];
    // One `and` of 255, each of them one op: 256 in all.
    let most = [&[0, 0x01, 255][..], &exists.repeat(255)].concat();
    assert_eq!(query_fault(&[&most[..], &[0, 0, 0, 0]].concat()).0, ErrorCode::TRUNCATED);
    // The 255th becomes a `not`, so that one more op is wanted.
    let mut over = [&most[..most.len() - 3], &[0x03]].concat();
    over.extend_from_slice(&exists);
    let at = u32::try_from(over.len() - 3).unwrap();
    assert_eq!(query_fault(&over), (ErrorCode::TOO_MANY, at));
    over[at as usize] = 0xEE;
    assert_eq!(query_fault(&over), (ErrorCode::TOO_MANY, at));
    assert_eq!(query_fault(&over[..at as usize]), (ErrorCode::TRUNCATED, at));
}

//= QRY-8 test
#[test]
fn values_are_plain() {
    assert_eq!(query_fault(&[0, 0x10, 0, 0, 0x0C]), (ErrorCode::MISPLACED_VALUE, 4));
    assert_eq!(query_fault(&[0, 0x16, 0, 0, 0, 1, 0x0E]), (ErrorCode::MISPLACED_VALUE, 6));
    let filter = Filter::Contains(Path::ID, Value::Removed);
    assert_eq!(build_fault(&Selection { filter, ..Selection::default() }), ErrorCode::MISPLACED_VALUE);
}

//= QRY-9 test
#[test]
fn no_projection_with_aggregates() {
    assert_eq!(query_fault(&[0, 0, 1, 0, 0, 0, 1]), (ErrorCode::NON_CANONICAL, 6));
    assert_eq!(query_fault(&[0, 0, 0, 1, 1, 0, 0, 1]), (ErrorCode::NON_CANONICAL, 7));
    assert_eq!(query_fault(&[0, 0, 0, 1, 1, 0, 0, 65]), (ErrorCode::TOO_MANY, 7));
}

//= QRY-10 test
#[test]
fn sort_keys_name_aggregates_that_are_there() {
    assert_eq!(query_fault(&[0, 0, 0, 0, 0, 1, 2, 0]), (ErrorCode::OUT_OF_RANGE, 7));
    assert_eq!(query_fault(&[0, 0, 0, 1, 1, 0, 0, 0, 1, 2, 1]), (ErrorCode::OUT_OF_RANGE, 10));
}

//= QRY-11 test
//= QRY-12 test
#[test]
fn pages_and_cursors_are_capped() {
    assert_eq!(query_fault(&[0, 0, 0, 0, 0, 0, 0, 0, 0x27, 0x11]), (ErrorCode::OUT_OF_RANGE, 6));
    assert_eq!(query_fault(&[0, 0, 0, 0, 0, 0, 0, 0, 0x27, 0x10, 4, 1]), (ErrorCode::TOO_LONG, 10));
    assert!(PageLimit::new(10_001).is_err());
}

//= QRY-13 test
#[test]
fn prefixes_are_short() {
    assert_eq!(query_fault(&[0, 0x19, 0, 0, 4, 1]), (ErrorCode::TOO_LONG, 4));
    let filter = Filter::StartsWith(Path::ID, "x".repeat(1_025).into());
    assert_eq!(build_fault(&Selection { filter, ..Selection::default() }), ErrorCode::TOO_LONG);
}

fn response(table: Table<'_>, end: PageEnd<'_>) -> Vec<u8> {
    let at = Position::new(1, 2).unwrap();
    round_trip(&Message::QueryResponse(QueryResponse { at, table, end, extensions: Extensions::EMPTY }), 1)
}

/// What follows the position.
fn response_fault(rest: &[u8], more: bool) -> (ErrorCode, u32) {
    let fields = [&[0; 16], rest].concat();
    let (code, offset) = fault_with(MessageType::QUERY_RESPONSE, &fields, &[], 1, more);
    (code, offset.wrapping_sub(16))
}

#[test]
fn responses_round_trip() {
    let mut builder = TableBuilder::new(2).unwrap();
    response(builder.table(), PageEnd::Last(Cursor::EMPTY));
    builder.push(&[ValueRef::Removed, ValueRef::String("x")]).unwrap();
    builder.push_owned(&[Value::Array(vec![Value::Null]), Value::Removed]).unwrap();
    let table = builder.table();
    assert_eq!((table.columns(), table.len()), (2, 2));
    let rows: Vec<Vec<_>> = table.iter().map(|row| row.cells().collect()).collect();
    assert_eq!(rows[0], [ValueRef::Removed, ValueRef::String("x")]);
    assert_eq!(rows[1][1], ValueRef::Removed);
    response(table, PageEnd::More);
    response(table, PageEnd::Last(Cursor::new(b"next").unwrap()));
}

#[test]
fn a_row_that_is_refused_leaves_the_table_as_it_was() {
    let mut builder = TableBuilder::new(2).unwrap();
    builder.push(&[ValueRef::Null, ValueRef::Null]).unwrap();
    let before = builder.size();
    let counter = Value::Counter { base: crate::wire::Timestamp::NEVER, total: 1 };
    assert_eq!(builder.push_owned(&[Value::Null, counter]).unwrap_err().code, ErrorCode::MISPLACED_VALUE);
    assert_eq!(builder.push(&[ValueRef::Null, ValueRef::Sealed(&[])]).unwrap_err().code, ErrorCode::EMPTY);
    assert_eq!(builder.push(&[ValueRef::Null]).unwrap_err().code, ErrorCode::OUT_OF_RANGE);
    assert_eq!((builder.size(), builder.table().len()), (before, 1));
    builder.clear();
    assert!(builder.table().is_empty());
}

//= QRY-14 test
#[test]
fn tables_are_small() {
    assert_eq!(response_fault(&[0, 0], false), (ErrorCode::EMPTY, 0));
    assert_eq!(response_fault(&[0, 129], false), (ErrorCode::TOO_MANY, 0));
    assert_eq!(response_fault(&[0, 1, 0x27, 0x11], false), (ErrorCode::TOO_MANY, 2));
    assert_eq!(TableBuilder::new(0).unwrap_err().code, ErrorCode::EMPTY);
    assert_eq!(TableBuilder::new(129).unwrap_err().code, ErrorCode::TOO_MANY);
    let mut builder = TableBuilder::new(1).unwrap();
    for _ in 0..MAX_ROWS {
        builder.push(&[ValueRef::Null]).unwrap();
    }
    assert_eq!(builder.push(&[ValueRef::Null]).unwrap_err().code, ErrorCode::TOO_MANY);
}

//= QRY-15 test
#[test]
fn cells_are_values_or_nothing() {
    assert_eq!(response_fault(&[0, 1, 0, 1, 0x0D], false), (ErrorCode::MISPLACED_VALUE, 4));
    assert_eq!(response_fault(&[0, 1, 0, 1, 0x0E], false), (ErrorCode::MISPLACED_VALUE, 4));
    assert_eq!(response_fault(&[0, 1, 0, 1, 0x08, 0, 1, 0x0C], false), (ErrorCode::MISPLACED_VALUE, 7));
}

//= QRY-16 test
#[test]
fn no_cursor_before_the_end() {
    assert_eq!(response_fault(&[0, 1, 0, 0, 0, 1, 7, 0], true), (ErrorCode::NON_CANONICAL, 4));
    assert_eq!(response_fault(&[0, 1, 0, 0, 0, 1], true), (ErrorCode::TRUNCATED, 6));
    assert_eq!(response_fault(&[0, 1, 0, 0, 4, 1], true), (ErrorCode::TOO_LONG, 4));
}
