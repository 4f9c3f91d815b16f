//! Queries that break a rule (SPEC.md 7.13).

use super::super::build::{Bytes, Context, File, Flag, Group, Test};
use super::parts::{Msg, bad, cuts, fault, list8, raw8, run16};
use super::query::{
    ASCENDING, aggregate, all, and, between, by_aggregate, by_path, compare, example, field, filtered, ints,
    join, joined, leaf, leaves, minimal, nots, or, path, within,
};
use super::query_operand_faults;

const FLAGS: &[Flag] = &[
    fault::TRUNCATED,
    fault::TRAILING_BYTES,
    fault::TOO_LONG,
    fault::TOO_MANY,
    fault::TOO_DEEP,
    fault::EMPTY,
    fault::NON_CANONICAL,
    fault::OUT_OF_RANGE,
    fault::BAD_UTF8,
    fault::UNKNOWN_CODE,
    fault::UNKNOWN_TAG,
    fault::MISPLACED_VALUE,
    fault::NOT_NEGOTIATED,
];

const NO_QUERY: Context = Context { capabilities: &["crdt", "compression"], ..Context::ALL };
const QUERY_ALONE: Context = Context { capabilities: &["query"], ..Context::ALL };

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: Context::ALL, tests };
    File {
        path: "v1/message/query-faults.json",
        target: "message",
        header: &["Queries with one fault each."],
        flags: FLAGS,
        groups: vec![
            group("counts", counts()),
            group("codes", codes()),
            group("expressions", expressions()),
            group("nesting", nesting()),
            group("values", query_operand_faults::values()),
            group("paths and sources", query_operand_faults::paths()),
            group("collection, sort, page", rest()),
            group("fields cut short", truncated()),
            Group { name: "without query", context: NO_QUERY, tests: ungated() },
            Group { name: "query alone", context: QUERY_ALONE, tests: alone() },
        ],
    }
}

/// A filter as the whole filter; where it begins is where offsets count from.
pub(super) fn bad_filter(
    id: &str,
    comment: &str,
    spec: &'static str,
    filter: Bytes,
    code: &'static str,
    plus: usize,
) -> Test {
    bad(&format!("query-{id}"), comment, spec, &filtered(filter), code, ("filter", plus))
}

fn counts() -> Vec<Test> {
    let over = |id: &str, comment: &str, msg: Msg, name: &str| {
        bad(&format!("query-{id}"), comment, "QRY-1", &msg, "TOO_MANY", (name, 0))
    };
    let bomb = |id: &str, name: &'static str| {
        let msg = minimal().put(name, Bytes::new().u8("count", 255));
        let comment = "255 announced, none there: the cap is checked first";
        bad(&format!("query-{id}-255"), comment, "QRY-1 NOT-7", &msg, "TOO_MANY", (name, 0))
    };
    vec![
        over("joins-5", "five joins", joined(5), "joins"),
        over(
            "group-by-9",
            "nine paths to group by",
            minimal().put("group by", list8("group by", &vec![field("status"); 9])),
            "group by",
        ),
        over(
            "aggregates-17",
            "17 aggregates",
            minimal().put("aggregates", list8("aggregates", &vec![aggregate(1, path(0, &[])); 17])),
            "aggregates",
        ),
        over(
            "projection-65",
            "65 columns",
            minimal().put("projection", list8("projection", &vec![field("title"); 65])),
            "projection",
        ),
        over(
            "sort-9",
            "nine sort keys",
            minimal().put("sort", list8("sort", &vec![by_path(field("title"), ASCENDING); 9])),
            "sort",
        ),
        bomb("joins", "joins"),
        bomb("group-by", "group by"),
        bomb("aggregates", "aggregates"),
        bomb("projection", "projection"),
        bomb("sort", "sort"),
    ]
}

fn codes() -> Vec<Test> {
    let fault = |id: &str, comment: &str, msg: Msg, name: &str, plus| {
        bad(&format!("query-{id}"), comment, "QRY-2", &msg, "UNKNOWN_CODE", (name, plus))
    };
    let kind =
        |kind| minimal().put("joins", list8("joins", &[join(kind, "users", path(0, &[]), path(1, &[]))]));
    let function = |code| minimal().put("aggregates", list8("aggregates", &[aggregate(code, path(0, &[]))]));
    let sort = |key: Bytes| minimal().put("sort", list8("sort", &[key]));
    let sort_kind = |kind| sort(Bytes::new().u8("sort kind", kind).then(path(0, &[])).u8("direction", 1));
    let direction = |direction| sort(by_path(path(0, &[]), direction));
    let op = |op| filtered(compare(op, path(0, &[]), "0b"));
    vec![
        fault("join-kind-0", "join kind 0", kind(0), "joins", 1),
        fault("join-kind-3", "join kind 3", kind(3), "joins", 1),
        fault("function-0", "aggregate function 0", function(0), "aggregates", 1),
        fault("function-6", "aggregate function 6", function(6), "aggregates", 1),
        fault("sort-kind-0", "sort kind 0", sort_kind(0), "sort", 1),
        fault("sort-kind-3", "sort kind 3", sort_kind(3), "sort", 1),
        fault("direction-0", "direction 0", direction(0), "sort", 4),
        fault("direction-3", "direction 3", direction(3), "sort", 4),
        fault(
            "direction-of-aggregate-3",
            "direction 3 of an aggregate",
            function(1).put("sort", list8("sort", &[by_aggregate(0, 3)])),
            "sort",
            3,
        ),
        fault("op-04", "op 04, behind not", op(0x04), "filter", 0),
        fault("op-0f", "op 0F, before equal", op(0x0f), "filter", 0),
        fault("op-1b", "op 1B, behind exists", op(0x1b), "filter", 0),
        fault("op-ff", "op FF", op(0xff), "filter", 0),
        fault(
            "op-inside",
            "an unknown op as the second operand of and",
            filtered(and(&[leaf(), compare(0x1c, path(0, &[]), "0b")])),
            "filter",
            2 + 3,
        ),
    ]
}

fn expressions() -> Vec<Test> {
    let in_values = |values: Bytes| Bytes::new().u8("in", 0x16).then(field("x")).then(values);
    let text = |text: Bytes| Bytes::new().u8("starts with", 0x19).then(field("x")).then(text);
    // The op and a path of one component of one byte take six bytes.
    let operand = 1 + 5;
    vec![
        bad_filter("all-in-and", "all inside and", "QRY-5", and(&[all()]), "UNKNOWN_CODE", 2),
        bad_filter("all-in-or", "all inside or", "QRY-5", or(&[leaf(), all()]), "UNKNOWN_CODE", 5),
        bad_filter("all-in-not", "not all", "QRY-5", nots(1, all()), "UNKNOWN_CODE", 1),
        bad_filter("and-0", "and over nothing", "QRY-6", and(&[]), "EMPTY", 1),
        bad_filter("or-0", "or over nothing", "QRY-6", or(&[]), "EMPTY", 1),
        bad_filter("and-0-inside", "and over nothing inside not", "QRY-6", nots(1, and(&[])), "EMPTY", 2),
        bad_filter("in-0", "in no values", "QRY-6", within(field("x"), &[]), "EMPTY", operand),
        bad_filter("in-1001", "in 1,001 values", "QRY-6", in_values(ints(1_001)), "TOO_MANY", operand),
        bad_filter(
            "in-65535",
            "in 65,535 values, none there: the cap is checked first",
            "QRY-6 NOT-7",
            in_values(Bytes::new().u16("count", 65_535)),
            "TOO_MANY",
            operand,
        ),
        bad_filter(
            "starts-with-1025",
            "starts with 1,025 bytes",
            "QRY-13",
            text(run16("text", b't', 1_025)),
            "TOO_LONG",
            operand,
        ),
        bad_filter(
            "starts-with-65535",
            "a text length of 65,535, nothing there: the cap is checked first",
            "QRY-13 NOT-6",
            text(Bytes::new().u16("length", 65_535)),
            "TOO_LONG",
            operand,
        ),
        bad_filter(
            "starts-with-cut-character",
            "starts with the first byte of a character",
            "NOT-6",
            text(Bytes::new().u16("length", 1).hex("text", "c3")),
            "BAD_UTF8",
            operand + 2,
        ),
        bad_filter(
            "starts-with-surrogate",
            "starts with half of a surrogate pair",
            "NOT-6",
            text(Bytes::new().u16("length", 3).hex("text", "eda080")),
            "BAD_UTF8",
            operand + 2,
        ),
        bad(
            "query-two-filters",
            "a second expression is taken for the paths to group by",
            "QRY-1",
            &minimal().put("filter", leaf().then(leaf())),
            "TOO_MANY",
            ("filter", 3),
        ),
    ]
}

fn nesting() -> Vec<Test> {
    let chain = |op: u8, depth: usize| Bytes::new().repeat("and or or", &[op, 1], depth).then(leaf());
    let wide = Bytes::new().hex("and", "01 ff").then(leaves(254)).then(nots(1, leaf()));
    vec![
        // Two ands of two bytes and 254 leaves of three before the op that is too many.
        bad_filter(
            "257-ops",
            "257 ops",
            "QRY-7",
            Bytes::new().hex("and", "01 02").hex("and", "01 fe").then(leaves(254)).then(leaf()),
            "TOO_MANY",
            4 + 254 * 3,
        ),
        bad_filter(
            "257-ops-not",
            "not as the 256th op, and its operand",
            "QRY-7",
            wide,
            "TOO_MANY",
            2 + 254 * 3 + 1,
        ),
        bad_filter("depth-17-not", "17 nots open", "QRY-7", nots(17, leaf()), "TOO_DEEP", 16),
        bad_filter("depth-17-and", "17 ands open", "QRY-7", chain(1, 17), "TOO_DEEP", 32),
        bad_filter("depth-17-or", "17 ors open", "QRY-7", chain(2, 17), "TOO_DEEP", 32),
        bad_filter(
            "depth-17-second",
            "17 open in the second operand",
            "QRY-7",
            and(&[nots(15, leaf()), nots(16, leaf())]),
            "TOO_DEEP",
            2 + 15 + 3 + 15,
        ),
        bad_filter(
            "depth-bomb",
            "1,000 nots",
            "QRY-7 NOT-3",
            Bytes::new().repeat("not", &[3], 1_000).then(leaf()),
            "TOO_DEEP",
            16,
        ),
    ]
}

fn rest() -> Vec<Test> {
    let sort = |key: Bytes| minimal().put("sort", list8("sort", &[key]));
    let counted = || minimal().put("aggregates", list8("aggregates", &[aggregate(1, path(0, &[]))]));
    let projected = |msg: Msg| msg.put("projection", list8("projection", &[field("title")]));
    let limit = |limit| minimal().u32("limit", limit);
    let collection = |item: Bytes| minimal().put("collection", item);
    let joined_to = |item: Bytes| {
        let join = Bytes::new().u8("join kind", 1).then(item).then(path(0, &[])).then(path(1, &[]));
        minimal().put("joins", list8("joins", &[join]))
    };
    let run = |len: u8| Bytes::new().u8("length", len).repeat("name", b"n", len.into());
    vec![
        bad(
            "query-projection-with-aggregates",
            "columns and an aggregate",
            "QRY-9",
            &projected(counted()),
            "NON_CANONICAL",
            ("projection", 0),
        ),
        bad(
            "query-projection-with-group-by",
            "columns and groups",
            "QRY-9",
            &projected(minimal().put("group by", list8("group by", &[field("status")]))),
            "NON_CANONICAL",
            ("projection", 0),
        ),
        bad(
            "query-index-1",
            "aggregate 1 of one",
            "QRY-10",
            &counted().put("sort", list8("sort", &[by_aggregate(1, 1)])),
            "OUT_OF_RANGE",
            ("sort", 2),
        ),
        bad(
            "query-index-0",
            "aggregate 0 of none",
            "QRY-10",
            &sort(by_aggregate(0, 1)),
            "OUT_OF_RANGE",
            ("sort", 2),
        ),
        bad(
            "query-index-255",
            "aggregate 255",
            "QRY-10",
            &sort(by_aggregate(255, 1)),
            "OUT_OF_RANGE",
            ("sort", 2),
        ),
        bad(
            "query-limit-10001",
            "pages of 10,001 rows",
            "QRY-11",
            &limit(10_001),
            "OUT_OF_RANGE",
            ("limit", 0),
        ),
        bad(
            "query-limit-max",
            "pages of 4 billion rows",
            "QRY-11",
            &limit(u32::MAX),
            "OUT_OF_RANGE",
            ("limit", 0),
        ),
        bad(
            "query-cursor-1025",
            "a cursor of 1,025 bytes",
            "QRY-12",
            &minimal().run16("cursor", 0, 1_025),
            "TOO_LONG",
            ("cursor", 0),
        ),
        bad(
            "query-collection-empty",
            "no collection",
            "OPS-12",
            &collection(run(0)),
            "EMPTY",
            ("collection", 0),
        ),
        bad(
            "query-collection-129",
            "a collection of 129 bytes",
            "OPS-12",
            &collection(run(129)),
            "TOO_LONG",
            ("collection", 0),
        ),
        bad(
            "query-collection-utf8-cut",
            "a collection that is not UTF-8",
            "OPS-12",
            &collection(raw8("collection", b"bug\xe2\x82")),
            "BAD_UTF8",
            ("collection", 1),
        ),
        bad(
            "query-join-collection-empty",
            "a join with no collection",
            "OPS-12",
            &joined_to(run(0)),
            "EMPTY",
            ("joins", 2),
        ),
        bad(
            "query-join-collection-129",
            "a join with a collection of 129 bytes",
            "OPS-12",
            &joined_to(run(129)),
            "TOO_LONG",
            ("joins", 2),
        ),
        bad(
            "query-join-collection-utf8",
            "a join with a collection that is not UTF-8",
            "OPS-12",
            &joined_to(raw8("collection", b"\x80")),
            "BAD_UTF8",
            ("joins", 3),
        ),
    ]
}

fn truncated() -> Vec<Test> {
    let mut all = cuts(
        "query",
        &example().run16("cursor", 0xcc, 4),
        &[
            ("collection", 0, 0),
            ("collection", 1, 1),
            ("collection", 4, 1),
            ("after", 7, 0),
            ("after", 15, 8),
            ("joins", 0, 0),
            ("filter", 0, 0),
            ("filter", 1, 1),
            ("filter", 2, 2),
            ("filter", 3, 3),
            ("filter", 4, 4),
            ("filter", 6, 5),
            ("filter", 12, 7),
            ("filter", 13, 13),
            ("filter", 16, 14),
            ("group by", 0, 0),
            ("aggregates", 0, 0),
            ("projection", 0, 0),
            ("projection", 1, 1),
            ("projection", 5, 5),
            ("sort", 0, 0),
            ("sort", 1, 1),
            ("sort", 13, 6),
            ("limit", 3, 0),
            ("cursor", 1, 0),
            ("cursor", 3, 2),
            ("extensions", 0, 0),
        ],
    );
    let joins = joined(1);
    all.extend(cuts(
        "query-join",
        &joins,
        &[("joins", 1, 1), ("joins", 2, 2), ("joins", 5, 3), ("joins", 8, 8)],
    ));
    let aggregates = minimal().put("aggregates", list8("aggregates", &[aggregate(2, field("age"))]));
    all.extend(cuts(
        "query-aggregate",
        &aggregates,
        &[("aggregates", 1, 1), ("aggregates", 2, 2), ("aggregates", 3, 3)],
    ));
    let values = filtered(within(
        field("x"),
        &[Bytes::new().hex("value", "12 01"), Bytes::new().hex("value", "12 02")],
    ));
    all.extend(cuts(
        "query-in",
        &values,
        &[("filter", 7, 6), ("filter", 8, 8), ("filter", 10, 10), ("filter", 11, 11)],
    ));
    let full = filtered(Bytes::new().hex("and", "01 02").hex("and", "01 fe").then(leaves(254)));
    // The 257th op is missed before it is one too many.
    all.extend(cuts("query-257-ops", &full, &[("filter", 4 + 254 * 3, 4 + 254 * 3)]));
    let range = filtered(between(field("x"), "12 01", "12 05"));
    all.extend(cuts("query-between", &range, &[("filter", 6, 6), ("filter", 8, 8), ("filter", 9, 9)]));
    let sort = minimal()
        .put("aggregates", list8("aggregates", &[aggregate(1, path(0, &[]))]))
        .put("sort", list8("sort", &[by_aggregate(0, 1)]));
    all.extend(cuts("query-sort-aggregate", &sort, &[("sort", 2, 2), ("sort", 3, 3)]));
    all
}

fn ungated() -> Vec<Test> {
    vec![bad(
        "query-without-query",
        "query was not agreed on",
        "MSG-7",
        &example(),
        "NOT_NEGOTIATED",
        ("frame", 2),
    )]
}

/// Values of a query need no capability: what would is not legal there anyway (QRY-8).
fn alone() -> Vec<Test> {
    vec![bad_filter(
        "value-removed-without-crdt",
        "removed is misplaced, whatever was agreed on",
        "QRY-8 VAL-12",
        compare(0x10, field("x"), "0c"),
        "MISPLACED_VALUE",
        6,
    )]
}
