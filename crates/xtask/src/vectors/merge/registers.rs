//! Which register stays, and what a delete hides.

use serde_json::json;

use super::build::{
    A, B, BUGS, C, OTHER_RECORD, RECORD, T, Test, array, bool, delete, dict, double, expecting, f, insert,
    int, list, nothing, null, patched, removed, sealed, set, test, text, with, write,
};

/// The worked examples 1 to 11.
pub fn examples() -> Vec<Test> {
    let both = || write(T(5, A), vec![("f", int(1)), ("g", int(1))]);
    vec![
        test(
            "example-1",
            "greater counter",
            &["MRG-2"],
            vec![set(T(5, A), int(1)), set(T(6, A), int(2))],
            f(int(2)),
        ),
        test(
            "example-2",
            "same counter, greater node",
            &["MRG-2"],
            vec![set(T(5, B), int(1)), set(T(5, A), int(2))],
            f(int(1)),
        ),
        test(
            "example-3",
            "same timestamp: 12 2A > 12 05",
            &["MRG-2"],
            vec![set(T(5, A), int(5)), set(T(5, A), int(42))],
            f(int(42)),
        ),
        test(
            "example-4",
            "bytes decide, not numbers: 12 2A > 02 00",
            &["MRG-2"],
            vec![set(T(5, A), int(300)), set(T(5, A), int(42))],
            f(int(42)),
        ),
        test(
            "example-5",
            "removed 0C > null 0B",
            &["MRG-2"],
            vec![set(T(5, A), null()), set(T(5, A), removed())],
            nothing(),
        ),
        test(
            "example-6",
            "21 61 > removed 0C",
            &["MRG-2"],
            vec![set(T(5, A), text("a")), set(T(5, A), removed())],
            f(text("a")),
        ),
        test(
            "example-7",
            "a field is hidden by the record's equal timestamp",
            &["MRG-9", "MRG-12"],
            vec![set(T(5, A), int(1)), delete(T(5, A))],
            nothing(),
        ),
        test(
            "example-8",
            "hidden, whenever it arrives",
            &["MRG-9", "MRG-12"],
            vec![delete(T(10, A)), set(T(9, A), int(1))],
            nothing(),
        ),
        test(
            "example-9",
            "written after the delete",
            &["MRG-9", "MRG-12"],
            vec![both(), delete(T(10, A)), set(T(12, A), int(2))],
            f(int(2)),
        ),
        test("example-10", "null is content", &["MRG-11", "MRG-12"], vec![set(T(5, A), null())], f(null())),
        test(
            "example-11",
            "no field has content",
            &["MRG-11", "MRG-12"],
            vec![set(T(5, A), removed())],
            nothing(),
        ),
    ]
}

/// Timestamps.
pub fn timestamps() -> Vec<Test> {
    let order = &["MRG-2"];
    let two = |id, comment, low: T, high: T| {
        test(id, comment, order, vec![set(low, int(9)), set(high, int(1))], f(int(1)))
    };
    vec![
        two("counter-before-node", "the counter decides before the node", T(5, C), T(6, A)),
        two("node-unsigned", "node bytes are unsigned: FC > 0B", T(5, B), T(5, C)),
        two("node-first-byte", "the first byte that differs decides, not the last", T(5, A), T(5, B)),
        two("counter-beyond-32-bits", "2^32 > 2^32 - 1", T(0xFFFF_FFFF, C), T(0x1_0000_0000, A)),
        two(
            "counter-greatest",
            "2^53 - 1 is the greatest counter",
            T(9_007_199_254_740_990, C),
            T(9_007_199_254_740_991, A),
        ),
        test(
            "three-writes",
            "the greatest of three",
            order,
            vec![set(T(5, B), int(2)), set(T(5, C), int(3)), set(T(4, C), int(4))],
            f(int(3)),
        ),
        test(
            "same-write-twice",
            "the same write changes nothing",
            &["MRG-6"],
            vec![set(T(5, A), int(1)), set(T(5, A), int(1))],
            f(int(1)),
        ),
    ]
}

/// Values with one timestamp: the greater encoding stays.
pub fn ties() -> Vec<Test> {
    let tie = |id, comment, loser, winner: serde_json::Value| {
        test(id, comment, &["MRG-2"], vec![set(T(5, A), loser), set(T(5, A), winner.clone())], f(winner))
    };
    vec![
        tie("tie-negative-int", "02 FF > 02 00: a negative int is greater than 300", int(300), int(-1)),
        tie("tie-small-int-and-negative", "12 00 > 02 FF", int(-1), int(0)),
        tie("tie-bool", "04 01 > 04 00", bool(false), bool(true)),
        tie("tie-null-and-bool", "0B > 04", bool(true), null()),
        tie("tie-string-length", "22 > 21: the longer inline string is greater", text("b"), text("ab")),
        tie("tie-string-letters", "of equal length the letters decide", text("ab"), text("ba")),
        tie(
            "tie-long-string",
            "21 > 01: a long string is smaller than a short one",
            text("zzzzzzzzzzzzzzzz"),
            text("a"),
        ),
        tie(
            "tie-long-strings",
            "the length comes first in long strings too",
            text("zzzzzzzzzzzzzzzz"),
            text("aaaaaaaaaaaaaaaaa"),
        ),
        tie("tie-empty-string", "12 > 11: 0 is greater than the empty string", text(""), int(0)),
        tie(
            "tie-empty-dictionary",
            "19 > 09: the empty dictionary is greater than any other",
            dict([("a", int(1))]),
            dict([]),
        ),
        tie("tie-empty-containers", "19 > 18", array([]), dict([])),
        tie(
            "tie-dictionary-count",
            "the number of entries comes first",
            dict([("b", int(9))]),
            dict([("a", int(0)), ("b", int(0))]),
        ),
        tie(
            "tie-dictionary-key",
            "then the length of the first key, and the key",
            dict([("a", int(9))]),
            dict([("b", int(0))]),
        ),
        tie("tie-dictionary-value", "then its value", dict([("a", int(1))]), dict([("a", int(2))])),
        tie("tie-array-and-dictionary", "09 > 08", array([int(255)]), dict([("a", int(1))])),
        tie(
            "tie-double-sign",
            "the sign bit is the first: -0 is greater than 1",
            double(0x3FF0_0000_0000_0000),
            double(1 << 63),
        ),
        tie(
            "tie-double-nan",
            "NaN is ordered by its bits",
            double(0x7FF0_0000_0000_0000),
            double(0x7FF8_0000_0000_0000),
        ),
        tie("tie-double-and-int", "03 > 02", int(256), double(0)),
        tie(
            "tie-sealed",
            "sealed values are compared like others, length first",
            sealed("ff"),
            sealed("0000"),
        ),
        tie("tie-sealed-and-dictionary", "10 > 09", dict([("a", int(1))]), sealed("01")),
        test(
            "tie-removed-and-sealed",
            "10 > 0C: what is sealed stays",
            &["MRG-2"],
            vec![set(T(5, A), removed()), set(T(5, A), sealed("01"))],
            f(sealed("01")),
        ),
        test(
            "tie-removed-and-dictionary",
            "0C > 09: removed stays",
            &["MRG-2"],
            vec![set(T(5, A), removed()), set(T(5, A), dict([("a", int(1))]))],
            nothing(),
        ),
        test(
            "tie-removed-and-long-string",
            "0C > 01: removed stays",
            &["MRG-2"],
            vec![set(T(5, A), removed()), set(T(5, A), text("sixteen bytes ..."))],
            nothing(),
        ),
        test(
            "tie-within-a-patch",
            "at a key it is the same",
            &["MRG-2"],
            vec![patched(T(5, A), [("a", int(300))]), patched(T(5, A), [("a", int(42))])],
            f(dict([("a", int(42))])),
        ),
        test(
            "tie-in-a-patch-removed",
            "removed 0C > null 0B at a key",
            &["MRG-2"],
            vec![patched(T(5, A), [("a", null()), ("b", null())]), patched(T(5, A), [("a", removed())])],
            f(dict([("b", null())])),
        ),
    ]
}

/// Kinds of operations, who delivers them, and other things that do not matter.
pub fn indifference() -> Vec<Test> {
    let everything = &["MRG-4"];
    let fg = |value| vec![("f", int(value)), ("g", int(value))];
    let bridged = with(set(T(6, A), int(2)), "node", C);
    let late = with(with(set(T(6, A), int(2)), "node", A), "node_seq", "1");
    let early = with(set(T(5, A), int(1)), "node_seq", "99");
    let previous = with(set(T(6, A), int(2)), "previous", T(1, B).json());
    vec![
        test(
            "insert-is-an-update",
            "an insert does not clear what it does not name",
            everything,
            vec![write(T(5, A), fg(1)), insert(T(6, A), vec![("f", int(2))])],
            vec![("f", int(2)), ("g", int(1))],
        ),
        test(
            "insert-that-is-older",
            "an older insert adds the fields that nobody wrote since",
            everything,
            vec![set(T(9, A), int(2)), insert(T(5, A), fg(1))],
            vec![("f", int(2)), ("g", int(1))],
        ),
        test(
            "two-inserts",
            "of one record by two nodes",
            everything,
            vec![insert(T(5, A), fg(1)), insert(T(5, B), vec![("f", int(2)), ("h", int(2))])],
            vec![("f", int(2)), ("g", int(1)), ("h", int(2))],
        ),
        test(
            "update-without-insert",
            "an update makes a record too",
            &["MRG-4", "MRG-12"],
            vec![set(T(5, A), int(1))],
            f(int(1)),
        ),
        test(
            "delivered-by-another-node",
            "the delivering node does not matter",
            everything,
            vec![set(T(5, A), int(1)), bridged],
            f(int(2)),
        ),
        test(
            "numbers-do-not-matter",
            "a smaller node_seq with the greater timestamp",
            everything,
            vec![early, late],
            f(int(2)),
        ),
        test(
            "previous-does-not-matter",
            "the previous version is not looked at",
            everything,
            vec![set(T(5, A), int(1)), previous],
            f(int(2)),
        ),
        expecting(
            "records-are-separate",
            "two records of one collection",
            &["MRG-12"],
            vec![set(T(5, A), int(1)), with(set(T(6, A), int(2)), "record", OTHER_RECORD), delete(T(7, A))],
            json!({ BUGS: { OTHER_RECORD: list(&f(int(2))) } }),
        ),
        expecting(
            "collections-are-separate",
            "one UUID in two collections is two records",
            &["MRG-12"],
            vec![
                set(T(5, A), int(1)),
                with(set(T(4, A), int(2)), "collection", "notes"),
                with(delete(T(9, B)), "collection", "bug"),
            ],
            json!({ BUGS: { RECORD: list(&f(int(1))) }, "notes": { RECORD: list(&f(int(2))) } }),
        ),
        expecting("nothing-at-all", "no operation: no record", &["MRG-1"], vec![], json!({})),
    ]
}

/// Deletes.
pub fn deletes() -> Vec<Test> {
    let seen = &["MRG-9", "MRG-12"];
    let one = || set(T(5, B), int(1));
    vec![
        test(
            "delete-same-counter-greater-node",
            "t5C hides t5B",
            seen,
            vec![one(), delete(T(5, C))],
            nothing(),
        ),
        test(
            "delete-same-counter-smaller-node",
            "t5A does not hide t5B",
            seen,
            vec![one(), delete(T(5, A))],
            f(int(1)),
        ),
        test(
            "two-deletes",
            "the greater one counts",
            seen,
            vec![delete(T(4, A)), delete(T(8, A)), set(T(6, A), int(1)), write(T(9, A), vec![("g", int(2))])],
            vec![("g", int(2))],
        ),
        test(
            "insert-after-delete",
            "only what was written after the delete comes back",
            seen,
            vec![
                insert(T(5, A), vec![("f", int(1)), ("g", int(1))]),
                delete(T(6, A)),
                insert(T(7, A), vec![("g", int(2))]),
            ],
            vec![("g", int(2))],
        ),
        test(
            "delete-alone",
            "a delete of a record that nobody wrote",
            seen,
            vec![delete(T(5, A))],
            nothing(),
        ),
        test(
            "removed-after-delete",
            "a field that was removed is no content",
            seen,
            vec![delete(T(5, A)), set(T(6, A), removed())],
            nothing(),
        ),
        test("null-after-delete", "null is", seen, vec![delete(T(5, A)), set(T(6, A), null())], f(null())),
        test(
            "delete-hides-keys",
            "keys below a field are hidden too",
            &["MRG-9"],
            vec![patched(T(5, A), [("a", int(1))]), delete(T(5, A))],
            nothing(),
        ),
        test(
            "patch-after-delete",
            "nothing is handed down from what was deleted",
            &["MRG-11"],
            vec![set(T(5, A), dict([("a", int(1))])), delete(T(6, A)), patched(T(7, A), [("b", int(2))])],
            f(dict([("b", int(2))])),
        ),
        test(
            "key-outlives-delete",
            "a key that was written after it stays, older keys do not",
            &["MRG-9"],
            vec![
                patched(T(5, A), [("a", int(1)), ("b", int(1))]),
                delete(T(6, A)),
                patched(T(7, A), [("b", int(2))]),
            ],
            f(dict([("b", int(2))])),
        ),
        test(
            "a-field-loses-the-others-stay",
            "a delete hides each field by its own timestamp",
            seen,
            vec![
                write(T(5, A), vec![("f", int(1)), ("g", int(1))]),
                write(T(7, A), vec![("g", int(2))]),
                delete(T(6, B)),
            ],
            vec![("g", int(2))],
        ),
    ]
}
