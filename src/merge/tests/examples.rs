//! The worked examples of SPEC.md 12.9, by number.

use alloc::vec::Vec;

use super::{A, B, RECORD, counter, delete, dictionary, entries, patch, permute, set, state, t, write};
use crate::merge::record::Record;
use crate::merge::row::Row;
use crate::merge::{State, content};
use crate::op::Op;
use crate::value::Entries;
use crate::value::Value::{self, Null, Removed};
use crate::wire::Timestamp;

const NEVER: Timestamp = Timestamp::NEVER;

/// Fields that the record has; none if it is not there.
type Fields = Vec<(&'static str, Value)>;

/// Operations in every order, twice each, as one state or as two merged, pruned or not, give `fields`.
#[track_caller]
fn check(number: u32, ops: &[Op], fields: Fields) {
    let wanted = if fields.is_empty() { None } else { Some(entries(fields)) };
    let twice: Vec<&Op> = if ops.len() <= 3 { ops.iter().chain(ops).collect() } else { ops.iter().collect() };
    assert_eq!(undropped(ops), wanted, "example {number}, nothing dropped");
    let check = |state: &State| assert_eq!(state.record("c", RECORD), wanted, "example {number}: {state:?}");
    //= MRG-4 test
    //= MRG-6 test
    permute(&twice, &mut |ops| {
        let mut whole = state(ops.iter().copied());
        check(&whole);
        //= MRG-20 test
        whole.prune(&mut ());
        check(&whole);
        //= MRG-8 test
        for middle in 0..=ops.len() {
            let (left, right) = ops.split_at(middle);
            let mut merged = state(left.iter().copied());
            merged.merge(&state(right.iter().copied()), &mut ());
            check(&merged);
        }
    });
}

/// The fields when everything that was written and not replaced is still there.
fn undropped(ops: &[Op]) -> Option<Entries> {
    let states: Vec<State> = ops.iter().map(|op| state([op])).collect();
    let mut rows: Vec<Row<'_>> =
        states.iter().filter_map(|state| state.rows("c", RECORD)).flat_map(Record::rows).collect();
    // By key, the greatest write first.
    rows.sort_by(|a, b| a.cmp_key(b.below, b.which()).then(b.cmp_write(a)));
    rows.dedup_by(|a, b| a.cmp_key(b.below, b.which()).is_eq());
    content::fields(NEVER, rows.into_iter())
}

fn f(value: impl Into<Value>) -> Fields {
    [("f", value.into())].into()
}

fn nothing() -> Fields {
    Vec::new()
}

fn one(key: &str, value: i64) -> Value {
    dictionary([(key, value.into())])
}

//= MRG-2 test
//= MRG-9 test
//= MRG-12 test
#[test]
fn registers() {
    check(1, &[set(t(5, A), 1), set(t(6, A), 2)], f(2));
    check(2, &[set(t(5, B), 1), set(t(5, A), 2)], f(1));
    check(3, &[set(t(5, A), 5), set(t(5, A), 42)], f(42));
    check(4, &[set(t(5, A), 300), set(t(5, A), 42)], f(42));
    check(5, &[set(t(5, A), Null), set(t(5, A), Removed)], nothing());
    check(6, &[set(t(5, A), "a"), set(t(5, A), Removed)], f("a"));
    check(7, &[set(t(5, A), 1), delete(t(5, A))], nothing());
    check(8, &[delete(t(10, A)), set(t(9, A), 1)], nothing());
    let both = write(t(5, A), [("f", 1.into()), ("g", 1.into())].into());
    check(9, &[both, delete(t(10, A)), set(t(12, A), 2)], f(2));
    check(10, &[set(t(5, A), Null)], f(Null));
    check(11, &[set(t(5, A), Removed)], nothing());
}

//= MRG-7 test
//= MRG-11 test
#[test]
fn dictionaries_and_patches() {
    let a_is_1 = || set(t(5, A), one("a", 1));
    check(
        12,
        &[a_is_1(), set(t(6, A), patch([("b", 2.into())]))],
        f(dictionary([("a", 1.into()), ("b", 2.into())])),
    );
    check(13, &[a_is_1(), set(t(4, A), patch([("b", 2.into())]))], f(one("a", 1)));
    check(14, &[set(t(8, A), one("a", 1)), set(t(6, A), patch([("a", 7.into())]))], f(one("a", 1)));
    let remove_a = |counter| set(t(counter, A), patch([("a", Removed)]));
    check(15, &[a_is_1(), remove_a(6)], f(dictionary([])));
    let patch_a = |counter| set(t(counter, A), patch([("a", 1.into())]));
    check(16, &[patch_a(5), remove_a(6)], nothing());
    check(17, &[set(t(5, A), 5), remove_a(6)], f(5));
    check(18, &[set(t(5, A), 5), patch_a(6)], f(one("a", 1)));
    check(19, &[set(t(5, A), 5), patch_a(6), remove_a(7)], f(5));
    check(20, &[set(t(5, A), Value::Array([1.into(), 2.into()].into())), patch_a(6)], f(one("a", 1)));
    let nested = || set(t(5, A), dictionary([("a", one("b", 1))]));
    let deep = |counter| set(t(counter, A), patch([("a", patch([("c", 2.into())]))]));
    let both = dictionary([("b", 1.into()), ("c", 2.into())]);
    check(21, &[nested(), deep(6)], f(dictionary([("a", both)])));
    check(22, &[nested(), remove_a(6), deep(7)], f(dictionary([("a", one("c", 2))])));
    let x = |timestamp, value| set(timestamp, patch([("x", value)]));
    check(
        23,
        &[x(t(5, A), Null), x(t(5, B), Removed), set(t(6, A), patch([("y", Null)]))],
        f(dictionary([("y", Null)])),
    );
    check(24, &[set(t(5, A), Value::Sealed([1].into())), patch_a(6)], f(one("a", 1)));
}

//= MRG-3 test
//= MRG-10 test
#[test]
fn counters() {
    let a = |counted: Value| set(t(9, A), counted);
    let at = |counter| t(counter, A);
    check(25, &[a(counter(NEVER, 3)), set(t(9, B), counter(NEVER, -1))], f(2));
    let ten = || set(at(5), 10);
    check(26, &[ten(), a(counter(at(5), 3))], f(13));
    check(27, &[ten(), a(counter(NEVER, 3))], f(10));
    check(28, &[ten(), a(counter(at(7), 3))], f(10));
    check(29, &[ten(), a(counter(at(7), 3)), set(at(7), 0)], f(3));
    check(30, &[set(at(5), Removed), a(counter(at(5), 2))], f(2));
    check(31, &[delete(at(9)), set(at(10), counter(at(9), 1))], f(1));
    let k = |counted| patch([("k", counted)]);
    check(32, &[set(at(5), one("k", 10)), a(k(counter(at(5), 3)))], f(one("k", 13)));
    check(33, &[set(at(5), "x"), a(counter(at(5), 3))], f("x"));
    check(34, &[set(at(5), Null), a(counter(at(5), 3))], f(Null));
    let minus_one = set(t(9, B), counter(at(5), -1));
    check(35, &[set(at(5), i64::MAX), a(counter(at(5), 1)), minus_one], f(i64::MAX));
    check(36, &[a(counter(NEVER, 0))], f(0));
    check(37, &[set(at(5), counter(NEVER, 3)), set(at(8), counter(NEVER, 5))], f(5));
    check(38, &[set(at(8), counter(at(7), 3)), ten(), a(counter(at(5), 1))], f(11));
    check(39, &[set(at(5), counter(NEVER, 3)), set(at(6), patch([("a", 1.into())]))], f(one("a", 1)));
    check(40, &[a(k(counter(NEVER, 1)))], f(one("k", 1)));
}

/// Not among the examples: what a hidden register does not do, and the sign of a total.
#[test]
fn what_the_examples_leave_open() {
    let at = |counter| t(counter, A);
    let a = |counter, value| set(at(counter), patch([("a", value)]));
    let hidden = [set(at(8), dictionary([])), a(6, one("b", 1)), a(9, patch([("c", 2.into())]))];
    check(101, &hidden, f(dictionary([("a", one("c", 2))])));
    let handed_down = [set(at(8), one("a", 1)), a(6, 5.into()), a(9, counter(at(6), 3))];
    check(102, &handed_down, f(one("a", 1)));
    let counts = [set(at(8), one("a", 1)), a(6, 5.into()), a(9, counter(at(8), 3))];
    check(103, &counts, f(one("a", 4)));
    check(104, &[set(at(5), counter(NEVER, 5)), set(at(5), counter(NEVER, -1))], f(5));
}
