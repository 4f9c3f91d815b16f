//! Queries that are legal (SPEC.md 7.13).

use super::super::build::{Bytes, Context, File, Flag, Group, Test};
use super::parts::{
    EPOCH, Id, MAX_SEQ, Msg, envelope, fault, good, largest_extensions, list8, list16, positions, run16,
};

const FLAGS: &[Flag] = &[
    fault::TRAILING_BYTES,
    fault::UNKNOWN_FLAG,
    fault::BAD_POSITION,
    fault::BAD_REQUEST_ID,
    fault::UNEXPECTED_BLOCKS,
];

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: Context::ALL, tests };
    File {
        path: "v1/message/query.json",
        target: "message",
        header: &["Queries: every expression, join, aggregate and sort key, and every cap."],
        flags: FLAGS,
        groups: vec![
            group("whole messages", whole()),
            group("expressions", expressions()),
            group("nesting", nesting()),
            group("values", values()),
            group("paths", paths()),
            group("joins", joins()),
            group("groups, aggregates, columns", columns()),
            group("sort and page", pages()),
        ],
    }
}

/// The question of the examples: open bugs of priority 3 and above.
pub(super) fn example() -> Msg {
    let filter =
        and(&[compare(0x10, field("status"), "24 6f70656e"), compare(0x15, field("priority"), "1203")]);
    Msg::new(0x001a, 5)
        .text8("collection", "bugs")
        .position("after", EPOCH, 2)
        .put("joins", list8("joins", &[]))
        .put("filter", filter)
        .put("group by", list8("group by", &[]))
        .put("aggregates", list8("aggregates", &[]))
        .put("projection", list8("projection", &[field("title"), field("priority")]))
        .put("sort", list8("sort", &[by_path(field("priority"), DESCENDING)]))
        .u32("limit", 100)
        .run16("cursor", 0, 0)
        .end()
}

/// All records of a collection.
pub(super) fn minimal() -> Msg {
    example()
        .text8("collection", "b")
        .position("after", 0, 0)
        .put("filter", all())
        .put("projection", list8("projection", &[]))
        .put("sort", list8("sort", &[]))
        .u32("limit", 0)
}

/// The minimal query with this filter.
pub(super) fn filtered(filter: Bytes) -> Msg {
    minimal().put("filter", filter)
}

/// The minimal query with `count` joins to one collection.
pub(super) fn joined(count: u8) -> Msg {
    let joins: Vec<_> =
        (1..=count).map(|i| join(1, "users", path(i - 1, &["userId"]), path(i, &[]))).collect();
    minimal().put("joins", list8("joins", &joins))
}

pub(super) const ASCENDING: u8 = 1;
pub(super) const DESCENDING: u8 = 2;

/// A path of some source.
pub(super) fn path(source: u8, components: &[&str]) -> Bytes {
    let count = u8::try_from(components.len()).expect("few components");
    let head = Bytes::new().u8("source", source).u8("component count", count);
    components.iter().fold(head, |all, component| all.text16("component", component))
}

/// A field of source 0.
pub(super) fn field(name: &str) -> Bytes {
    path(0, &[name])
}

/// A path of one component of `len` bytes.
pub(super) fn long_path(len: u16) -> Bytes {
    Bytes::new().u8("source", 0).u8("component count", 1).then(run16("component", b'k', len))
}

pub(super) fn join(kind: u8, collection: &str, left: Bytes, right: Bytes) -> Bytes {
    Bytes::new().u8("join kind", kind).text8("join collection", collection).then(left).then(right)
}

pub(super) fn aggregate(function: u8, path: Bytes) -> Bytes {
    Bytes::new().u8("aggregate function", function).then(path)
}

pub(super) fn by_path(path: Bytes, direction: u8) -> Bytes {
    Bytes::new().u8("sort by path", 1).then(path).u8("direction", direction)
}

pub(super) fn by_aggregate(index: u8, direction: u8) -> Bytes {
    Bytes::new().u8("sort by aggregate", 2).u8("index", index).u8("direction", direction)
}

pub(super) fn all() -> Bytes {
    Bytes::new().u8("all", 0)
}

pub(super) fn and(of: &[Bytes]) -> Bytes {
    of.iter().fold(Bytes::new().u8("and", 1).u8("count", operands(of)), |all, each| all.then(each.clone()))
}

pub(super) fn or(of: &[Bytes]) -> Bytes {
    of.iter().fold(Bytes::new().u8("or", 2).u8("count", operands(of)), |all, each| all.then(each.clone()))
}

fn operands(of: &[Bytes]) -> u8 {
    u8::try_from(of.len()).expect("few operands")
}

/// `count` times not in front of an expression.
pub(super) fn nots(count: usize, inner: Bytes) -> Bytes {
    Bytes::new().raw("not", &vec![3; count]).then(inner)
}

/// A comparison: op, path, value.
pub(super) fn compare(op: u8, path: Bytes, value: &str) -> Bytes {
    let name = match op {
        0x10 => "equal",
        0x11 => "not equal",
        0x12 => "less",
        0x13 => "less or equal",
        0x14 => "greater",
        0x15 => "greater or equal",
        0x18 => "contains",
        _ => "unknown op",
    };
    Bytes::new().u8(name, op).then(path).hex("value", value)
}

pub(super) fn within(path: Bytes, values: &[Bytes]) -> Bytes {
    Bytes::new().u8("in", 0x16).then(path).then(list16("values", values))
}

pub(super) fn between(path: Bytes, low: &str, high: &str) -> Bytes {
    Bytes::new().u8("between", 0x17).then(path).hex("low", low).hex("high", high)
}

pub(super) fn starts_with(path: Bytes, text: &str) -> Bytes {
    Bytes::new().u8("starts with", 0x19).then(path).text16("text", text)
}

pub(super) fn exists(path: Bytes) -> Bytes {
    Bytes::new().u8("exists", 0x1a).then(path)
}

/// The smallest expression that is not `all`: whether there is a record id.
pub(super) fn leaf() -> Bytes {
    exists(path(0, &[]))
}

/// `count` copies of the smallest expression.
pub(super) fn leaves(count: usize) -> Bytes {
    Bytes::new().repeat("exists", &leaf().bytes(), count)
}

/// `and` over `and`s of leaves: `ops` ops in all, which have to be at least 3.
pub(super) fn ops(ops: usize) -> Bytes {
    // 255 operands are the most that one `and` takes.
    let inner = ops - 2;
    assert!(inner < 255, "one and inside another suffices");
    Bytes::new()
        .hex("and", "01 01")
        .u8("and", 1)
        .u8("count", u8::try_from(inner).expect("few"))
        .then(leaves(inner))
}

/// `count` small ints, as the values of `in`.
pub(super) fn ints(count: u16) -> Bytes {
    Bytes::new().u16("values count", count).repeat("small int", &[0x12, 7], count.into())
}

fn whole() -> Vec<Test> {
    let largest = example()
        .text8("collection", &"c".repeat(128))
        .position("after", u64::MAX, MAX_SEQ)
        .put(
            "joins",
            list8(
                "joins",
                &(1..=4).map(|i| join(2, &"j".repeat(128), path(0, &[]), path(i, &[]))).collect::<Vec<_>>(),
            ),
        )
        .put("projection", list8("projection", &vec![path(4, &["x"]); 64]))
        .put("sort", list8("sort", &vec![by_path(path(4, &[]), ASCENDING); 8]))
        .u32("limit", 10_000)
        .run16("cursor", 0xcc, 1_024)
        .put("extensions", largest_extensions());
    let everything = Msg::new(0x001a, 9)
        .text8("collection", "bugs")
        .position("after", EPOCH, 2)
        .put("joins", list8("joins", &[join(2, "users", field("assignedTo"), path(1, &["id"]))]))
        .put("filter", or(&[exists(path(1, &["name"])), nots(1, compare(0x10, field("status"), "0b"))]))
        .put("group by", list8("group by", &[path(1, &["teamId"])]))
        .put(
            "aggregates",
            list8("aggregates", &[aggregate(1, path(0, &[])), aggregate(5, field("priority"))]),
        )
        .put("projection", list8("projection", &[]))
        .put("sort", list8("sort", &[by_aggregate(0, DESCENDING), by_path(path(1, &["teamId"]), ASCENDING)]))
        .u32("limit", 10)
        .run16("cursor", 0xcc, 16)
        .end();
    let mut all = vec![
        good(
            "query-example",
            "open bugs of priority 3 and above",
            "QRY-1 QRY-2 QRY-3 QRY-4 MSG-7",
            &example(),
        ),
        good("query-minimal", "all records of a collection", "QRY-5 QRY-11 QRY-12", &minimal()),
        good(
            "query-everything",
            "a join, groups, aggregates, sort keys of both kinds, a second page",
            "QRY-1 QRY-2 QRY-4 QRY-9 QRY-10 QRY-12",
            &everything,
        ),
        good(
            "query-largest",
            "joins, projection, sort, limit and cursor at their caps",
            "QRY-1 QRY-4 QRY-11 QRY-12 OPS-12 EXT-1 EXT-2",
            &largest,
        ),
        good(
            "query-collection-utf8",
            "a collection that is not ASCII",
            "OPS-12",
            &minimal().text8("collection", "fehler-ä€𝄞"),
        ),
    ];
    all.extend(envelope("query", &example(), Id::Needed));
    all.extend(positions("query", &example(), "after"));
    all
}

fn expressions() -> Vec<Test> {
    let ok = |id: &str, comment: &str, filter: Bytes| {
        good(&format!("query-{id}"), comment, "QRY-2 QRY-5 QRY-6 QRY-7 QRY-8", &filtered(filter))
    };
    let five = |op| compare(op, field("priority"), "1205");
    let data = |hex: &str| Bytes::new().hex("value", hex);
    vec![
        ok("and-one", "and over one expression", and(&[five(0x10)])),
        ok("and-two", "and over two", and(&[five(0x10), leaf()])),
        ok("or-one", "or over one expression", or(&[five(0x10)])),
        ok("or-two", "or over two", or(&[five(0x10), leaf()])),
        ok("not", "not", nots(1, leaf())),
        ok("equal", "equal", five(0x10)),
        ok("not-equal", "not equal", five(0x11)),
        ok("less", "less", five(0x12)),
        ok("less-or-equal", "less or equal", five(0x13)),
        ok("greater", "greater", five(0x14)),
        ok("greater-or-equal", "greater or equal", five(0x15)),
        ok("in-one", "in one value", within(field("status"), &[data("24 6f70656e")])),
        ok(
            "in-mixed",
            "in values of several types",
            within(field("tags"), &[data("0b"), data("1201"), data("0401"), data("18")]),
        ),
        ok(
            "in-twice",
            "in values that are not in order, one of them twice",
            within(field("priority"), &[data("1202"), data("1201"), data("1202")]),
        ),
        ok("between", "between 1 and 5", between(field("priority"), "1201", "1205")),
        ok(
            "between-empty",
            "between 5 and 1: nothing is, but it may be asked",
            between(field("priority"), "1205", "1201"),
        ),
        ok("between-types", "between a text and a number", between(field("priority"), "2161", "1201")),
        ok("contains", "contains", compare(0x18, field("title"), "25 6c6f67696e")),
        ok("starts-with", "starts with", starts_with(field("title"), "Fix")),
        good(
            "query-starts-with-nothing",
            "the empty text",
            "QRY-13",
            &filtered(starts_with(field("title"), "")),
        ),
        good(
            "query-starts-with-utf8",
            "a text that is not ASCII",
            "QRY-13",
            &filtered(starts_with(field("title"), "né€𝄞")),
        ),
        good(
            "query-starts-with-1024",
            "1,024 bytes",
            "QRY-13",
            &filtered(starts_with(field("title"), &"t".repeat(1_024))),
        ),
        ok("exists", "exists", exists(field("dueDate"))),
        good(
            "query-in-1000",
            "in 1,000 values",
            "QRY-6",
            &filtered(Bytes::new().u8("in", 0x16).then(field("priority")).then(ints(1_000))),
        ),
    ]
}

fn nesting() -> Vec<Test> {
    let chain =
        |op: u8, depth: usize| filtered(Bytes::new().repeat("and or or", &[op, 1], depth).then(leaf()));
    // An operand that is complete closes what it completes: 15 open, then the second operand of the outer one.
    let siblings = and(&[nots(15, leaf()), nots(15, leaf())]);
    vec![
        good("query-256-ops", "256 ops", "QRY-7", &filtered(ops(256))),
        good(
            "query-and-255",
            "and over 255 expressions",
            "QRY-6 QRY-7",
            &filtered(Bytes::new().hex("and", "01 ff").then(leaves(255))),
        ),
        good(
            "query-or-255",
            "or over 255 expressions",
            "QRY-6 QRY-7",
            &filtered(Bytes::new().hex("or", "02 ff").then(leaves(255))),
        ),
        good("query-depth-16-not", "16 nots open", "QRY-7", &filtered(nots(16, leaf()))),
        good("query-depth-16-and", "16 ands open", "QRY-7", &chain(1, 16)),
        good("query-depth-16-or", "16 ors open", "QRY-7", &chain(2, 16)),
        good(
            "query-depth-siblings",
            "two chains of 15 inside one and: what is complete is not open",
            "QRY-7",
            &filtered(siblings),
        ),
        good(
            "query-mixed",
            "(a and not b) or (c and (d or e))",
            "QRY-6 QRY-7",
            &filtered(or(&[
                and(&[exists(field("a")), nots(1, exists(field("b")))]),
                and(&[exists(field("c")), or(&[exists(field("d")), exists(field("e"))])]),
            ])),
        ),
        good("query-and-same", "the same expression twice", "QRY-6", &filtered(and(&[leaf(), leaf()]))),
    ]
}

fn values() -> Vec<Test> {
    let ok = |id: &str, comment: &str, value: &str| {
        good(&format!("query-value-{id}"), comment, "QRY-8", &filtered(compare(0x10, field("x"), value)))
    };
    let depth =
        Bytes::new().u8("op", 0x10).then(field("x")).repeat("arrays", &[8, 0, 1], 64).hex("null", "0b");
    vec![
        ok("null", "null, which is something", "0b"),
        ok("bool", "true", "0401"),
        ok("int", "-1", "02 ffffffffffffffff"),
        ok("int-min", "-2^63", "02 8000000000000000"),
        ok("double", "1.5", "03 3ff8000000000000"),
        ok("nan", "a NaN with a payload", "03 7ff80000000000ab"),
        ok("minus-zero", "-0.0", "03 8000000000000000"),
        ok("uuid", "a UUID", "05 550e8400e29b41d4a716446655440000"),
        ok("date", "a date", "06 3fe0000000000000"),
        ok("data", "data", "07 00000003 ffaa55"),
        ok("string", "a long string", "01 00000010 7369787465656e2d627974652d737472"),
        ok("string-empty", "the empty string", "11"),
        ok("array", "an array", "08 0002 1201 0b"),
        ok("array-empty", "the empty array", "18"),
        ok("dictionary", "a dictionary", "09 0001 0001 61 1201"),
        ok("vector", "a vector", "0f 0001 3f800000"),
        ok("sealed", "a sealed value", "10 00000002 abcd"),
        good("query-value-depth-64", "64 arrays open", "QRY-8 VAL-10", &filtered(depth)),
    ]
}

fn paths() -> Vec<Test> {
    let ok = |id: &str, comment: &str, path: Bytes| {
        good(&format!("query-path-{id}"), comment, "QRY-3 QRY-4", &filtered(exists(path)))
    };
    vec![
        ok("record-id", "no component: the record's id", path(0, &[])),
        ok("nested", "a key of a dictionary of a dictionary", path(0, &["metadata", "owner", "name"])),
        ok("16", "16 components", path(0, &["k"; 16])),
        ok("1024", "a component of 1,024 bytes", long_path(1_024)),
        ok("utf8", "components that are not ASCII", path(0, &["é", "€", "𝄞"])),
        ok("common-name", "a common name is spelled out", field("title")),
        ok("dots", "dots and quotes are characters like others", path(0, &["a.b", "'; drop table bugs; --"])),
        ok("nul", "a NUL", path(0, &["a\0b"])),
        good(
            "query-path-joined",
            "paths of a join's source, in every place that takes one",
            "QRY-4",
            &joined(1)
                .put("filter", exists(path(1, &["name"])))
                .put("group by", list8("group by", &[path(1, &["teamId"])]))
                .put("aggregates", list8("aggregates", &[aggregate(4, path(1, &["age"]))]))
                .put("sort", list8("sort", &[by_path(path(1, &[]), ASCENDING)])),
        ),
    ]
}

fn joins() -> Vec<Test> {
    let one = |kind, left, right| minimal().put("joins", list8("joins", &[join(kind, "users", left, right)]));
    vec![
        good("query-join-inner", "an inner join", "QRY-2 QRY-4", &one(1, field("userId"), path(1, &[]))),
        good("query-join-left", "a left join", "QRY-2 QRY-4", &one(2, field("userId"), path(1, &["id"]))),
        good("query-joins-4", "four joins, each with the source before it", "QRY-1 QRY-4", &joined(4)),
        good(
            "query-joins-to-first",
            "three joins, all with source 0",
            "QRY-4",
            &minimal().put(
                "joins",
                list8(
                    "joins",
                    &(1..=3).map(|i| join(2, "users", field("userId"), path(i, &[]))).collect::<Vec<_>>(),
                ),
            ),
        ),
        good(
            "query-join-itself",
            "a collection with itself",
            "QRY-4",
            &minimal().put("joins", list8("joins", &[join(1, "b", field("parentId"), path(1, &[]))])),
        ),
    ]
}

fn columns() -> Vec<Test> {
    let group = |paths: &[Bytes]| minimal().put("group by", list8("group by", paths));
    let ask = |aggregates: &[Bytes]| minimal().put("aggregates", list8("aggregates", aggregates));
    let project = |count| minimal().put("projection", list8("projection", &vec![field("title"); count]));
    let function = |id: &str, code| {
        let msg = ask(&[aggregate(code, field("priority"))]);
        good(&format!("query-{id}"), &format!("the aggregate {id}"), "QRY-2 QRY-9", &msg)
    };
    vec![
        function("count", 1),
        function("sum", 2),
        function("avg", 3),
        function("min", 4),
        function("max", 5),
        good("query-aggregates-16", "16 aggregates", "QRY-1", &ask(&vec![aggregate(1, path(0, &[])); 16])),
        good("query-group-by-8", "8 paths to group by", "QRY-1 QRY-9", &group(&vec![field("status"); 8])),
        good("query-group-alone", "groups without aggregates", "QRY-9", &group(&[field("status")])),
        good("query-projection-1", "one column", "QRY-1 QRY-9", &project(1)),
        good("query-projection-64", "64 columns, all the same", "QRY-1", &project(64)),
    ]
}

fn pages() -> Vec<Test> {
    let sort = |keys: &[Bytes]| minimal().put("sort", list8("sort", keys));
    let counted = || minimal().put("aggregates", list8("aggregates", &vec![aggregate(1, path(0, &[])); 16]));
    vec![
        good(
            "query-sort-ascending",
            "ascending by a path",
            "QRY-2",
            &sort(&[by_path(field("title"), ASCENDING)]),
        ),
        good(
            "query-sort-descending",
            "descending by a path",
            "QRY-2",
            &sort(&[by_path(field("title"), DESCENDING)]),
        ),
        good(
            "query-sort-aggregate-last",
            "by the last of 16 aggregates",
            "QRY-2 QRY-10",
            &counted().put("sort", list8("sort", &[by_aggregate(15, ASCENDING)])),
        ),
        good("query-sort-8", "8 sort keys", "QRY-1", &sort(&vec![by_path(field("title"), ASCENDING); 8])),
        good("query-limit-1", "pages of one row", "QRY-11", &minimal().u32("limit", 1)),
        good("query-limit-10000", "pages of 10,000 rows", "QRY-11", &minimal().u32("limit", 10_000)),
        good("query-cursor-1", "a cursor of one byte", "QRY-12", &minimal().run16("cursor", 0, 1)),
        good(
            "query-cursor-1024",
            "a cursor of 1,024 bytes",
            "QRY-12",
            &minimal().run16("cursor", 0xff, 1_024),
        ),
    ]
}
