//! Operations in row layout (SPEC.md 6.1).

use super::build::{Bytes, Context, File, Flag, Group, Test, invalid, valid};
use super::pieces::{NODE, OTHER, OpParts, op_id};

pub(super) const FLAGS: &[Flag] = &[
    ("BadVersion", "VERSION", "A format version that is not 01.", &["OPS-8"]),
    ("BadChecksum", "INTEGRITY", "The checksum is not that of the bytes.", &["OPS-9"]),
    ("UnknownFlag", "UNKNOWN", "A flag bit that must be 0.", &["OPS-10"]),
    ("BadId", "INTEGRITY", "An id that is not the one derived.", &["OPS-5"]),
    ("BadNumber", "BOUNDARY", "A number that cannot be.", &["OPS-1", "OPS-4"]),
    ("NilNode", "BOUNDARY", "A node that is nil.", &["OPS-2", "OPS-3"]),
    ("UnknownType", "UNKNOWN", "A type that is not listed.", &["OPS-11"]),
    ("BadCollection", "LIMIT", "A collection's name that is empty or too long.", &["OPS-12"]),
    ("NotUtf8", "UTF8", "Text that is not UTF-8.", &["OPS-12"]),
    (
        "BadPrevious",
        "BASIC",
        "A previous version where none may be, or that is not smaller.",
        &["OPS-13", "OPS-14"],
    ),
    ("FieldCount", "BASIC", "A delete with fields, or an insert or update without.", &["OPS-15", "OPS-16"]),
    ("Trailing", "TRAILING", "Bytes before the checksum.", &["OPS-17"]),
    ("Truncated", "TRUNCATED", "Bytes end early.", &["OPS-7", "NOT-8"]),
    ("TooLong", "LIMIT", "One byte over the cap.", &["OPS-6"]),
    ("BadBase", "BASIC", "A counter's base that is not smaller than the timestamp.", &["VAL-14"]),
    ("NotNegotiated", "BASIC", "A value that needs crdt.", &["OPS-18"]),
    ("BadValue", "BASIC", "A fault inside a field.", &["VAL-1", "VAL-12", "VAL-19"]),
];

/// All files of this module.
pub fn files() -> Vec<File> {
    vec![
        File {
            path: "v1/op/head.json",
            target: "op",
            header: &["Everything of an operation before its fields."],
            flags: FLAGS,
            groups: vec![Group { name: "head", context: Context::ALL, tests: head() }],
        },
        super::op_fields::file(),
        super::op_order::file(),
    ]
}

pub(super) fn good(id: &str, comment: &str, spec: &'static str, op: &OpParts) -> Test {
    valid(&format!("op/{id}"), comment, spec, op.bytes())
}

pub(super) fn bad(
    id: &str,
    comment: &str,
    flag: &'static str,
    spec: &'static str,
    bytes: Bytes,
    error: (&'static str, usize),
) -> Test {
    invalid(&format!("op/{id}"), comment, flag, spec, bytes, error)
}

pub(super) fn bug() -> OpParts {
    OpParts::bug(42)
}

pub(super) fn update() -> OpParts {
    OpParts::update(42, Bytes::new().hex("title", "06 21 78"))
}

fn named(name: &Bytes) -> OpParts {
    OpParts { collection: name.clone(), ..bug() }
}

fn head() -> Vec<Test> {
    let numbered = |node_seq| OpParts { id: op_id(NODE, node_seq), ..bug() };
    let stamped = |counter| OpParts { counter, ..bug() };
    let mut all = vec![
        good(
            "bug-example",
            "the well-known example: insert into bugs",
            "OPS-5 OPS-8 OPS-9 OPS-11 OPS-12 OPS-16",
            &bug(),
        ),
        good(
            "smallest",
            "a delete in a collection of one byte: 83 bytes",
            "OPS-7 OPS-15",
            &OpParts::smallest(1),
        ),
        good("update", "an update of one field", "OPS-11 OPS-10 OPS-17", &update()),
        good("delete", "a delete", "OPS-11 OPS-15", &OpParts::delete(3)),
        good("by-another", "written by one node, delivered by another", "OPS-5 OPS-3", &bug().by(OTHER)),
        good("node-seq-1", "node_seq 1", "OPS-4", &numbered(1)),
        good("node-seq-max", "node_seq 2^48 - 1", "OPS-4", &numbered((1 << 48) - 1)),
        good("counter-1", "counter 1", "OPS-1", &stamped(1)),
        good("counter-max", "counter 2^53 - 1", "OPS-1", &stamped((1 << 53) - 1)),
        good("record-nil", "a record may be any UUID", "OPS-5", &OpParts { record: [0; 16], ..bug() }),
        good("author-other", "a timestamp of another node", "OPS-2", &OpParts { author: OTHER, ..bug() }),
    ];
    let version = |version| OpParts { version, ..bug() }.bytes();
    all.extend([
        bad("version-0", "format version 00", "BadVersion", "OPS-8", version(0), ("UNSUPPORTED_VERSION", 0)),
        bad("version-2", "format version 02", "BadVersion", "OPS-8", version(2), ("UNSUPPORTED_VERSION", 0)),
        bad(
            "version-before-checksum",
            "an unknown version is told before the checksum",
            "BadVersion",
            "OPS-8",
            bug().bytes().with(0, &[2]),
            ("UNSUPPORTED_VERSION", 0),
        ),
        bad(
            "flag-2",
            "flag bit 1",
            "UnknownFlag",
            "OPS-10",
            OpParts { flags: 2, ..bug() }.bytes(),
            ("UNKNOWN_FLAG", 1),
        ),
        bad(
            "flag-80",
            "flag bit 7",
            "UnknownFlag",
            "OPS-10",
            OpParts { flags: 0x80, ..bug() }.bytes(),
            ("UNKNOWN_FLAG", 1),
        ),
        bad("node-seq-0", "node_seq 0", "BadNumber", "OPS-4", numbered(0).bytes(), ("BAD_NODE_SEQ", 2)),
        bad("counter-0", "counter 0", "BadNumber", "OPS-1", stamped(0).bytes(), ("BAD_TIMESTAMP", 18)),
        bad(
            "counter-over",
            "counter 2^53",
            "BadNumber",
            "OPS-1",
            stamped(1 << 53).bytes(),
            ("BAD_TIMESTAMP", 18),
        ),
        bad(
            "counter-max-u64",
            "counter 2^64 - 1",
            "BadNumber",
            "OPS-1",
            stamped(u64::MAX).bytes(),
            ("BAD_TIMESTAMP", 18),
        ),
        bad(
            "author-nil",
            "a timestamp of the nil node",
            "NilNode",
            "OPS-2",
            OpParts { author: [0; 16], ..bug() }.bytes(),
            ("BAD_NODE", 26),
        ),
        bad(
            "node-nil",
            "delivered by the nil node",
            "NilNode",
            "OPS-3",
            bug().by([0; 16]).bytes(),
            ("BAD_NODE", 42),
        ),
        bad(
            "id-other-node",
            "the id of another node",
            "BadId",
            "OPS-5 NOT-5",
            OpParts { id: op_id(OTHER, 42), ..bug() }.bytes(),
            ("BAD_OP_ID", 2),
        ),
        bad(
            "id-version",
            "the id keeps the node's version",
            "BadId",
            "OPS-5",
            bug().bytes_with_id_byte(6, 0x41),
            ("BAD_OP_ID", 2),
        ),
        bad(
            "id-last-byte",
            "the last byte of the id",
            "BadId",
            "OPS-5",
            bug().bytes_with_id_byte(15, 1),
            ("BAD_OP_ID", 2),
        ),
        bad(
            "type-0",
            "type 00",
            "UnknownType",
            "OPS-11",
            OpParts { kind: 0, ..bug() }.bytes(),
            ("UNKNOWN_OP_TYPE", 58),
        ),
        bad(
            "type-4",
            "type 04",
            "UnknownType",
            "OPS-11",
            OpParts { kind: 4, ..bug() }.bytes(),
            ("UNKNOWN_OP_TYPE", 58),
        ),
        bad(
            "type-5",
            "type 05",
            "UnknownType",
            "OPS-11",
            OpParts { kind: 5, ..bug() }.bytes(),
            ("UNKNOWN_OP_TYPE", 58),
        ),
        bad(
            "type-ff",
            "type FF",
            "UnknownType",
            "OPS-11",
            OpParts { kind: 0xff, ..bug() }.bytes(),
            ("UNKNOWN_OP_TYPE", 58),
        ),
    ]);
    let text = |text: &str| Bytes::new().text8("collection", text);
    all.extend([
        good("collection-1", "a collection of one byte", "OPS-12", &named(&text("c"))),
        good("collection-128", "the longest name of a collection", "OPS-12", &named(&text(&"c".repeat(128)))),
        good("collection-utf8", "a name need not be ASCII", "OPS-12", &named(&text("fehler-ä€𝄞"))),
        bad(
            "collection-empty",
            "a name of no bytes",
            "BadCollection",
            "OPS-12",
            named(&text("")).bytes(),
            ("EMPTY", 75),
        ),
        bad(
            "collection-129",
            "one byte over the cap",
            "BadCollection",
            "OPS-12",
            named(&text(&"c".repeat(129))).bytes(),
            ("TOO_LONG", 75),
        ),
        bad(
            "collection-not-utf8",
            "a surrogate in a name",
            "NotUtf8",
            "OPS-12",
            named(&Bytes::new().hex("collection", "03 eda080")).bytes(),
            ("BAD_UTF8", 76),
        ),
        bad(
            "collection-cut",
            "a name that runs into the checksum",
            "Truncated",
            "NOT-8 OPS-17",
            OpParts {
                fields: Bytes::new(),
                count: 0,
                collection: Bytes::new().hex("length", "0a").hex("rest", "616161616161"),
                ..bug()
            }
            .bytes(),
            ("TRUNCATED", 76),
        ),
    ]);
    let previous = |counter, node| OpParts { flags: 1, previous: Some((counter, node)), ..update() };
    all.extend([
        good(
            "previous",
            "an update with the version that it was made on",
            "OPS-13 OPS-14",
            &previous(8, OTHER),
        ),
        good(
            "previous-same-counter",
            "a previous version with the same counter and a smaller node",
            "OPS-14",
            &OpParts { counter: 9, author: OTHER, ..previous(9, NODE) },
        ),
        good("previous-1", "the smallest previous version", "OPS-14", &previous(1, OTHER)),
        bad(
            "previous-on-insert",
            "an insert with a previous version",
            "BadPrevious",
            "OPS-13",
            OpParts { kind: 1, ..previous(8, OTHER) }.bytes(),
            ("BAD_PREVIOUS", 1),
        ),
        bad(
            "previous-on-delete",
            "a delete with a previous version",
            "BadPrevious",
            "OPS-13",
            OpParts { kind: 3, count: 0, fields: Bytes::new(), ..previous(8, OTHER) }.bytes(),
            ("BAD_PREVIOUS", 1),
        ),
        bad(
            "previous-equal",
            "a previous version equal to the timestamp",
            "BadPrevious",
            "OPS-14",
            previous(9, NODE).bytes(),
            ("BAD_PREVIOUS", 80),
        ),
        bad(
            "previous-greater",
            "a previous version greater than the timestamp",
            "BadPrevious",
            "OPS-14",
            previous(10, OTHER).bytes(),
            ("BAD_PREVIOUS", 80),
        ),
        bad(
            "previous-never",
            "a previous version of counter 0",
            "BadNumber",
            "OPS-1 OPS-14",
            previous(0, NODE).bytes(),
            ("BAD_TIMESTAMP", 80),
        ),
        bad(
            "previous-nil",
            "a previous version of the nil node",
            "NilNode",
            "OPS-2 OPS-14",
            previous(8, [0; 16]).bytes(),
            ("BAD_NODE", 88),
        ),
    ]);
    all
}
