//! Faults of what the expressions of a query compare: values, paths, sources (SPEC.md 7.13).

use super::super::build::{Bytes, Test};
use super::parts::{Msg, bad, list8};
use super::query::{
    aggregate, between, by_path, compare, exists, field, filtered, join, joined, long_path, minimal, path,
    within,
};
use super::query_faults::bad_filter;

pub(super) fn values() -> Vec<Test> {
    let counter = "0e 0000000000000000 00000000000000000000000000000000 0000000000000005";
    let misplaced = |id: &str, comment: &str, filter: Bytes, plus: usize| {
        bad_filter(&format!("value-{id}"), comment, "QRY-8 VAL-12", filter, "MISPLACED_VALUE", 6 + plus)
    };
    let equal = |value: &str| compare(0x10, field("x"), value);
    let data = |hex: &str| Bytes::new().hex("value", hex);
    let deep =
        Bytes::new().u8("op", 0x10).then(field("x")).repeat("arrays", &[8, 0, 1], 65).hex("null", "0b");
    vec![
        misplaced("removed", "equal to removed", equal("0c"), 0),
        misplaced("patch", "equal to a patch", equal("0d 0001 0001 61 0b"), 0),
        misplaced("counter", "equal to a counter", equal(counter), 0),
        misplaced("removed-in-array", "removed inside an array", equal("08 0001 0c"), 3),
        misplaced("removed-in-dictionary", "removed inside a dictionary", equal("09 0001 0001 61 0c"), 6),
        misplaced("in", "removed among the values of in", within(field("x"), &[data("0b"), data("0c")]), 3),
        misplaced("between-low", "removed as the lower end", between(field("x"), "0c", "1205"), 0),
        misplaced("between-high", "removed as the upper end", between(field("x"), "1201", "0c"), 2),
        misplaced("contains", "contains a counter", compare(0x18, field("x"), counter), 0),
        bad_filter(
            "value-int-long",
            "42 in eight bytes",
            "VAL-4",
            equal("02 000000000000002a"),
            "NON_CANONICAL",
            6,
        ),
        bad_filter(
            "value-string-long",
            "a short string with a length",
            "VAL-3",
            equal("01 00000001 61"),
            "NON_CANONICAL",
            6,
        ),
        bad_filter("value-tag", "an unknown tag", "VAL-1", equal("30"), "UNKNOWN_TAG", 6),
        bad_filter("value-utf8", "a string that is not UTF-8", "VAL-8", equal("21 ff"), "BAD_UTF8", 7),
        bad_filter(
            "value-over",
            "a string one byte over its cap",
            "VAL-7",
            equal("01 000f0001"),
            "TOO_LONG",
            7,
        ),
        bad_filter("value-depth-65", "65 arrays open", "VAL-10", deep, "TOO_DEEP", 6 + 192),
    ]
}

pub(super) fn paths() -> Vec<Test> {
    let component = |id: &str, comment: &str, spec, path: Bytes, code, plus: usize| {
        bad_filter(&format!("path-{id}"), comment, spec, exists(path), code, 1 + plus)
    };
    let source = |id: &str, comment: &str, msg: Msg, name: &str, plus| {
        bad(&format!("query-source-{id}"), comment, "QRY-4", &msg, "OUT_OF_RANGE", (name, plus))
    };
    let one = |left, right| minimal().put("joins", list8("joins", &[join(1, "users", left, right)]));
    let raw = |hex: &str, len: u16| {
        Bytes::new().u8("source", 0).u8("component count", 1).u16("length", len).hex("component", hex)
    };
    // Count, kind and the text8 `users` stand in front of a join's left path.
    let left = 1 + 1 + 6;
    let second = list8(
        "joins",
        &[join(1, "users", path(0, &[]), path(1, &[])), join(1, "users", path(2, &[]), path(2, &[]))],
    );
    vec![
        component("17", "17 components", "QRY-3", path(0, &["k"; 17]), "TOO_MANY", 1),
        component("empty", "an empty component", "QRY-3", path(0, &[""]), "EMPTY", 2),
        component("second-empty", "an empty second component", "QRY-3", path(0, &["a", ""]), "EMPTY", 5),
        component("1025", "a component of 1,025 bytes", "QRY-3", long_path(1_025), "TOO_LONG", 2),
        component("overlong", "a slash in two bytes", "NOT-6", raw("c0af", 2), "BAD_UTF8", 4),
        component("surrogate", "half of a surrogate pair", "NOT-6", raw("edbfbf", 3), "BAD_UTF8", 4),
        component("cut-character", "a character that is cut", "NOT-6", raw("61f09d84", 4), "BAD_UTF8", 4),
        source("filter-1", "source 1 without a join", filtered(exists(path(1, &[]))), "filter", 1),
        source("filter-255", "source 255", filtered(exists(path(255, &[]))), "filter", 1),
        source(
            "filter-2",
            "source 2 with one join",
            joined(1).put("filter", exists(path(2, &[]))),
            "filter",
            1,
        ),
        source(
            "group-by",
            "source 1 to group by",
            minimal().put("group by", list8("group by", &[path(0, &[]), path(1, &[])])),
            "group by",
            3,
        ),
        source(
            "aggregate",
            "source 1 of an aggregate",
            minimal().put("aggregates", list8("aggregates", &[aggregate(1, path(1, &[]))])),
            "aggregates",
            2,
        ),
        source(
            "projection",
            "source 5 with four joins",
            joined(4).put("projection", list8("projection", &[path(5, &[])])),
            "projection",
            1,
        ),
        source(
            "sort",
            "source 1 to sort by",
            minimal().put("sort", list8("sort", &[by_path(path(1, &[]), 1)])),
            "sort",
            2,
        ),
        source(
            "left-own",
            "a join whose left path is its own",
            one(path(1, &[]), path(1, &[])),
            "joins",
            left,
        ),
        source("left-later", "a left path of a later source", one(path(2, &[]), path(1, &[])), "joins", left),
        source(
            "right-earlier",
            "a right path of an earlier source",
            one(path(0, &[]), path(0, &[])),
            "joins",
            left + 2,
        ),
        source(
            "right-later",
            "a right path of a later source",
            one(path(0, &[]), path(2, &[])),
            "joins",
            left + 2,
        ),
        source(
            "second-left-own",
            "the second join's left path is its own",
            minimal().put("joins", second),
            "joins",
            left + 4 + 1 + 6,
        ),
    ]
}
