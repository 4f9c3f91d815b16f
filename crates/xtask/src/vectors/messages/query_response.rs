//! Query responses (SPEC.md 7.14).

use super::super::build::{Bytes, Context, File, Flag, Group, Test};
use super::parts::{
    EPOCH, Id, MAX_SEQ, Msg, bad, cuts, envelope, fault, good, largest_extensions, positions,
};

const FLAGS: &[Flag] = &[
    fault::TRUNCATED,
    fault::TRAILING_BYTES,
    fault::TOO_LONG,
    fault::TOO_MANY,
    fault::TOO_DEEP,
    fault::EMPTY,
    fault::NON_CANONICAL,
    fault::BAD_UTF8,
    fault::BAD_BOOL,
    fault::UNKNOWN_TAG,
    fault::UNKNOWN_FLAG,
    fault::MISPLACED_VALUE,
    fault::NOT_NEGOTIATED,
    fault::OUT_OF_ORDER,
    fault::DUPLICATE,
    fault::BAD_POSITION,
    fault::BAD_REQUEST_ID,
    fault::UNEXPECTED_BLOCKS,
];

const NO_QUERY: Context = Context { capabilities: &["crdt", "compression"], ..Context::ALL };
const QUERY_ALONE: Context = Context { capabilities: &["query"], ..Context::ALL };

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: Context::ALL, tests };
    File {
        path: "v1/message/query-response.json",
        target: "message",
        header: &["Query responses: rows, cells and where the answer goes on."],
        flags: FLAGS,
        groups: vec![
            group("whole messages", whole()),
            group("columns and rows", sizes()),
            group("cells", cells()),
            group("faults of cells", faults()),
            group("more and cursor", pages()),
            group("fields cut short", truncated()),
            Group { name: "without query", context: NO_QUERY, tests: ungated() },
            Group { name: "query alone", context: QUERY_ALONE, tests: alone() },
        ],
    }
}

/// A response with these cells, written as hex.
fn response(columns: u16, rows: u16, cells: &[&str]) -> Msg {
    let cells = cells.iter().fold(Bytes::new(), |all, cell| all.hex("cell", cell));
    Msg::new(0x001c, 5)
        .position("at", EPOCH, 2)
        .u16("columns", columns)
        .u16("rows", rows)
        .put("cells", cells)
        .run16("cursor", 0, 0)
        .end()
}

/// The answer of the examples: one bug, title and priority.
pub(super) fn example() -> Msg {
    response(2, 1, &["2d 466978206c6f67696e20627567", "1203"])
}

pub(super) fn one(cell: &str) -> Msg {
    response(1, 1, &[cell])
}

/// So many rows of columns of null.
fn nulls(columns: u16, rows: u16) -> Msg {
    let cells = Bytes::new().repeat("null", &[0x0b], usize::from(columns) * usize::from(rows));
    response(columns, rows, &[]).put("cells", cells)
}

fn whole() -> Vec<Test> {
    let largest = nulls(128, 7)
        .position("at", u64::MAX, MAX_SEQ)
        .run16("cursor", 0xcc, 1_024)
        .put("extensions", largest_extensions());
    let mut all = vec![
        good(
            "query-response-example",
            "one row of two columns, the last page",
            "QRY-14 QRY-15 QRY-16",
            &example(),
        ),
        good("query-response-minimal", "no rows", "QRY-14", &response(1, 0, &[]).position("at", 0, 0)),
        good("query-response-largest", "128 columns, a full cursor", "QRY-14 QRY-12 EXT-1 EXT-2", &largest),
        good(
            "query-response-more",
            "a frame of an answer that continues",
            "FRM-7 QRY-16",
            &example().flags(1),
        ),
        good(
            "query-response-more-empty",
            "a frame without rows may continue too",
            "FRM-7 QRY-16",
            &response(2, 0, &[]).flags(1),
        ),
        bad(
            "query-response-flag-2",
            "flag bit 1 beside more",
            "FRM-2",
            &example().flags(3),
            "UNKNOWN_FLAG",
            ("frame", 1),
        ),
    ];
    all.extend(envelope("query-response", &example(), Id::Needed));
    all.extend(positions("query-response", &example(), "at"));
    all
}

fn sizes() -> Vec<Test> {
    vec![
        good("query-response-columns-128", "128 columns", "QRY-14", &nulls(128, 1)),
        bad(
            "query-response-columns-129",
            "129 columns",
            "QRY-14",
            &nulls(129, 1),
            "TOO_MANY",
            ("columns", 0),
        ),
        bad(
            "query-response-columns-65535",
            "65,535 columns and no cells: the cap is checked first",
            "QRY-14 NOT-7",
            &response(65_535, 1, &[]),
            "TOO_MANY",
            ("columns", 0),
        ),
        bad(
            "query-response-columns-0",
            "no columns",
            "QRY-14",
            &response(0, 0, &[]),
            "EMPTY",
            ("columns", 0),
        ),
        bad(
            "query-response-columns-0-rows",
            "rows without columns",
            "QRY-14",
            &response(0, 3, &[]),
            "EMPTY",
            ("columns", 0),
        ),
        good("query-response-rows-10000", "10,000 rows", "QRY-14", &nulls(1, 10_000)),
        bad("query-response-rows-10001", "10,001 rows", "QRY-14", &nulls(1, 10_001), "TOO_MANY", ("rows", 0)),
        bad(
            "query-response-rows-65535",
            "65,535 rows and no cells: the cap is checked first",
            "QRY-14 NOT-7",
            &response(1, 65_535, &[]),
            "TOO_MANY",
            ("rows", 0),
        ),
        good("query-response-columns-no-rows", "columns without rows", "QRY-14", &response(128, 0, &[])),
        good(
            "query-response-cells-1000000",
            "10,000 rows of 100 columns",
            "QRY-14 FRM-3",
            &nulls(100, 10_000),
        ),
        bad(
            "query-response-cells-missing",
            "1,280,000 cells announced, none there",
            "NOT-8 NOT-3",
            &response(128, 10_000, &[])
                .put("cells", Bytes::new())
                .put("cursor", Bytes::new())
                .put("extensions", Bytes::new()),
            "TRUNCATED",
            ("cells", 0),
        ),
        bad(
            "query-response-cell-too-many",
            "a cell more than rows and columns say: it is taken for the cursor",
            "QRY-12",
            &response(1, 1, &["0b", "12ff"]),
            "TOO_LONG",
            ("cells", 1),
        ),
    ]
}

fn cells() -> Vec<Test> {
    let ok = |id: &str, comment: &str, cell: &str| {
        good(&format!("query-response-cell-{id}"), comment, "QRY-15", &one(cell))
    };
    let depth = one("").put("cells", Bytes::new().repeat("arrays", &[8, 0, 1], 64).hex("null", "0b"));
    let largest = one("")
        .put("cells", Bytes::new().hex("tag", "07").u32("length", 983_040).repeat("data", &[0xda], 983_040));
    vec![
        ok("nothing", "removed as a whole cell: there is nothing", "0c"),
        ok("null", "null, which is something", "0b"),
        ok("bool", "false", "0400"),
        ok("int", "an int", "02 0000000000000100"),
        ok("double", "a NaN with a payload", "03 fff8000000000001"),
        ok("minus-zero", "-0.0", "03 8000000000000000"),
        ok("uuid", "a record's id", "05 6f1e2d3c4b5a49788695a4b3c2d1e0f9"),
        ok("date", "a date", "06 41c2d3e4f5a6b7c8"),
        ok("data", "data", "07 00000002 00ff"),
        ok("string", "an empty string", "11"),
        ok("array", "an array", "08 0002 0b 18"),
        ok(
            "dictionary",
            "a dictionary of visible fields",
            "09 0002 0006 737461747573 24 6f70656e 0005 7469746c65 2161",
        ),
        ok("vector", "a vector", "0f 0002 3f800000 bf800000"),
        ok("sealed", "a sealed value", "10 00000001 5e"),
        good(
            "query-response-nothing-everywhere",
            "two rows of two cells without anything",
            "QRY-15",
            &response(2, 2, &["0c", "0c", "0c", "0c"]),
        ),
        good("query-response-cell-depth-64", "64 arrays open in one cell", "QRY-15 VAL-10", &depth),
        good("query-response-cell-largest", "a cell of 983,045 bytes", "VAL-7 QRY-15", &largest),
    ]
}

fn faults() -> Vec<Test> {
    let fault = |id: &str, comment: &str, spec, cell: &str, code, plus| {
        bad(&format!("query-response-cell-{id}"), comment, spec, &one(cell), code, ("cells", plus))
    };
    let misplaced = |id: &str, comment: &str, cell: &str, plus| {
        fault(id, comment, "QRY-15 VAL-12", cell, "MISPLACED_VALUE", plus)
    };
    let counter = "0e 0000000000000000 00000000000000000000000000000000 0000000000000005";
    let depth = one("").put("cells", Bytes::new().repeat("arrays", &[8, 0, 1], 65).hex("null", "0b"));
    vec![
        misplaced("patch", "a patch as a cell", "0d 0001 0001 61 0b", 0),
        misplaced("counter", "a counter as a cell", counter, 0),
        misplaced("removed-in-array", "removed inside an array", "08 0002 0b 0c", 4),
        misplaced("removed-in-dictionary", "removed inside a dictionary", "09 0001 0001 61 0c", 6),
        misplaced("patch-in-array", "a patch inside an array", "08 0001 0d 0001 0001 61 0b", 3),
        misplaced(
            "counter-in-dictionary",
            "a counter inside a dictionary",
            &format!("09 0001 0001 61 {counter}"),
            6,
        ),
        bad(
            "query-response-second-cell-patch",
            "the second cell of the second row is a patch",
            "QRY-15 VAL-12",
            &response(2, 2, &["0c", "0b", "0c", "0d 0001 0001 61 0b"]),
            "MISPLACED_VALUE",
            ("cells", 3),
        ),
        fault("unknown-tag", "an unknown tag", "VAL-1", "13", "UNKNOWN_TAG", 0),
        fault("bool-2", "a bool of 2", "VAL-6", "0402", "BAD_BOOL", 1),
        fault("int-long", "42 in eight bytes", "VAL-4", "02 000000000000002a", "NON_CANONICAL", 0),
        fault("string-long", "a short string with a length", "VAL-3", "01 00000001 61", "NON_CANONICAL", 0),
        fault("array-long", "an empty array with a count", "VAL-5", "08 0000", "NON_CANONICAL", 0),
        fault("sealed-empty", "a sealed value without a byte", "VAL-15", "10 00000000", "EMPTY", 1),
        fault("string-over", "a string one byte over its cap", "VAL-7", "01 000f0001", "TOO_LONG", 1),
        fault("utf8", "an inline string that is not UTF-8", "VAL-8", "22 c080", "BAD_UTF8", 1),
        fault("key-twice", "a key twice", "VAL-9", "09 0002 0001 61 0b 0001 61 0b", "DUPLICATE", 7),
        fault("key-order", "keys that descend", "VAL-9", "09 0002 0001 62 0b 0001 61 0b", "OUT_OF_ORDER", 7),
        bad("query-response-cell-depth-65", "65 arrays open", "VAL-10", &depth, "TOO_DEEP", ("cells", 192)),
    ]
}

fn pages() -> Vec<Test> {
    let cursor = |len| example().run16("cursor", 0xcc, len);
    vec![
        good("query-response-cursor", "there is another page", "QRY-12 QRY-16", &cursor(24)),
        good("query-response-cursor-1024", "a cursor of 1,024 bytes", "QRY-12", &cursor(1_024)),
        bad(
            "query-response-cursor-1025",
            "one of 1,025",
            "QRY-12",
            &cursor(1_025),
            "TOO_LONG",
            ("cursor", 0),
        ),
        bad(
            "query-response-more-with-cursor",
            "flag more and a cursor",
            "QRY-16",
            &cursor(24).flags(1),
            "NON_CANONICAL",
            ("cursor", 0),
        ),
        bad(
            "query-response-more-with-cursor-1",
            "flag more and a cursor of one byte",
            "QRY-16",
            &cursor(1).flags(1),
            "NON_CANONICAL",
            ("cursor", 0),
        ),
    ]
}

fn truncated() -> Vec<Test> {
    let mut all = cuts(
        "query-response",
        &example().run16("cursor", 0xcc, 4),
        &[
            ("at", 0, 0),
            ("at", 7, 0),
            ("at", 15, 8),
            ("columns", 1, 0),
            ("rows", 0, 0),
            ("rows", 1, 0),
            ("cells", 0, 0),
            ("cells", 5, 1),
            ("cells", 14, 14),
            ("cells", 15, 15),
            ("cursor", 1, 0),
            ("cursor", 2, 2),
            ("cursor", 5, 2),
            ("extensions", 0, 0),
        ],
    );
    all.extend(cuts(
        "query-response-array",
        &one("08 0002 1201 1202"),
        &[("cells", 2, 1), ("cells", 5, 5), ("cells", 6, 6)],
    ));
    all
}

fn ungated() -> Vec<Test> {
    vec![bad(
        "query-response-without-query",
        "query was not agreed on",
        "MSG-7",
        &example(),
        "NOT_NEGOTIATED",
        ("frame", 2),
    )]
}

/// Cells need no capability of their own (OPS-18).
fn alone() -> Vec<Test> {
    vec![
        good(
            "query-response-without-crdt",
            "query was agreed on, and nothing else",
            "MSG-7 OPS-18",
            &example(),
        ),
        good(
            "query-response-nothing-without-crdt",
            "removed as a cell needs no crdt",
            "OPS-18 QRY-15",
            &one("0c"),
        ),
        bad(
            "query-response-patch-without-crdt",
            "a patch as a cell is misplaced, whatever was agreed on",
            "QRY-15 VAL-12",
            &one("0d 0001 0001 61 0b"),
            "MISPLACED_VALUE",
            ("cells", 0),
        ),
    ]
}
