//! Operations in row layout (SPEC.md 6.1).

use super::build::{Bytes, Context, File, Flag, Group, Test, invalid, valid};
use super::pieces::{NODE, OTHER, OpParts, op_id};

const FLAGS: &[Flag] = &[
    ("BadVersion", "VERSION", "A format version that is not 01.", &["OPS-8"]),
    ("BadChecksum", "INTEGRITY", "The checksum is not that of the bytes.", &["OPS-9"]),
    ("UnknownFlag", "UNKNOWN", "A flag bit that must be 0.", &["OPS-10"]),
    ("BadId", "INTEGRITY", "An id that is not the one derived.", &["OPS-5"]),
    ("BadNumber", "BOUNDARY", "A number that cannot be.", &["OPS-1", "OPS-4"]),
    ("NilNode", "BOUNDARY", "A node that is nil.", &["OPS-2", "OPS-3"]),
    ("UnknownType", "UNKNOWN", "A type that is not listed.", &["OPS-11"]),
    ("BadCollection", "LIMIT", "A collection's name that is empty or too long.", &["OPS-12"]),
    ("NotUtf8", "UTF8", "Text that is not UTF-8.", &["OPS-12"]),
    ("BadPrevious", "BASIC", "A previous version where none may be, or that is not smaller.", &["OPS-13", "OPS-14"]),
    ("FieldCount", "BASIC", "A delete with fields, or an insert or update without.", &["OPS-15", "OPS-16"]),
    ("Trailing", "TRAILING", "Bytes before the checksum.", &["OPS-17"]),
    ("Truncated", "TRUNCATED", "Bytes end early.", &["OPS-7", "NOT-8"]),
    ("TooLong", "LIMIT", "One byte over the cap.", &["OPS-6"]),
    ("BadBase", "BASIC", "A counter's base that is not smaller than the timestamp.", &["VAL-14"]),
    ("NotNegotiated", "BASIC", "A value that needs crdt.", &["OPS-18"]),
    ("BadValue", "BASIC", "A fault inside a field.", &["VAL-1", "VAL-12", "VAL-19"]),
];

const NO_CRDT: Context = Context { capabilities: &["compression", "query"], ..Context::ALL };

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
        File {
            path: "v1/op/fields.json",
            target: "op",
            header: &["Fields of operations, the checksum, and sizes."],
            flags: FLAGS,
            groups: vec![
                Group { name: "fields", context: Context::ALL, tests: fields() },
                Group { name: "without crdt", context: NO_CRDT, tests: ungated() },
            ],
        },
    ]
}

fn good(id: &str, comment: &str, spec: &'static str, op: &OpParts) -> Test {
    valid(&format!("op/{id}"), comment, spec, op.bytes())
}

fn bad(
    id: &str,
    comment: &str,
    flag: &'static str,
    spec: &'static str,
    bytes: Bytes,
    error: (&'static str, usize),
) -> Test {
    invalid(&format!("op/{id}"), comment, flag, spec, bytes, error)
}

fn bug() -> OpParts {
    OpParts::bug(42)
}

fn update() -> OpParts {
    OpParts::update(42, Bytes::new().hex("title", "06 21 78"))
}

fn named(name: &Bytes) -> OpParts {
    OpParts { collection: name.clone(), ..bug() }
}

fn head() -> Vec<Test> {
    let numbered = |node_seq| OpParts { id: op_id(NODE, node_seq), ..bug() };
    let stamped = |counter| OpParts { counter, ..bug() };
    let mut all = vec![
        good("bug-example", "the well-known example: insert into bugs", "OPS-5 OPS-8 OPS-9 OPS-11 OPS-12 OPS-16", &bug()),
        good("smallest", "a delete in a collection of one byte: 83 bytes", "OPS-7 OPS-15", &OpParts::smallest(1)),
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
        bad("version-before-checksum", "an unknown version is told before the checksum", "BadVersion", "OPS-8", bug().bytes().with(0, &[2]), ("UNSUPPORTED_VERSION", 0)),
        bad("flag-2", "flag bit 1", "UnknownFlag", "OPS-10", OpParts { flags: 2, ..bug() }.bytes(), ("UNKNOWN_FLAG", 1)),
        bad("flag-80", "flag bit 7", "UnknownFlag", "OPS-10", OpParts { flags: 0x80, ..bug() }.bytes(), ("UNKNOWN_FLAG", 1)),
        bad("node-seq-0", "node_seq 0", "BadNumber", "OPS-4", numbered(0).bytes(), ("BAD_NODE_SEQ", 2)),
        bad("counter-0", "counter 0", "BadNumber", "OPS-1", stamped(0).bytes(), ("BAD_TIMESTAMP", 18)),
        bad("counter-over", "counter 2^53", "BadNumber", "OPS-1", stamped(1 << 53).bytes(), ("BAD_TIMESTAMP", 18)),
        bad("counter-max-u64", "counter 2^64 - 1", "BadNumber", "OPS-1", stamped(u64::MAX).bytes(), ("BAD_TIMESTAMP", 18)),
        bad("author-nil", "a timestamp of the nil node", "NilNode", "OPS-2", OpParts { author: [0; 16], ..bug() }.bytes(), ("BAD_NODE", 26)),
        bad("node-nil", "delivered by the nil node", "NilNode", "OPS-3", bug().by([0; 16]).bytes(), ("BAD_NODE", 42)),
        bad("id-other-node", "the id of another node", "BadId", "OPS-5 NOT-5", OpParts { id: op_id(OTHER, 42), ..bug() }.bytes(), ("BAD_OP_ID", 2)),
        bad("id-version", "the id keeps the node's version", "BadId", "OPS-5", bug().bytes_with_id_byte(6, 0x41), ("BAD_OP_ID", 2)),
        bad("id-last-byte", "the last byte of the id", "BadId", "OPS-5", bug().bytes_with_id_byte(15, 1), ("BAD_OP_ID", 2)),
        bad("type-0", "type 00", "UnknownType", "OPS-11", OpParts { kind: 0, ..bug() }.bytes(), ("UNKNOWN_OP_TYPE", 58)),
        bad("type-4", "type 04", "UnknownType", "OPS-11", OpParts { kind: 4, ..bug() }.bytes(), ("UNKNOWN_OP_TYPE", 58)),
        bad("type-5", "type 05", "UnknownType", "OPS-11", OpParts { kind: 5, ..bug() }.bytes(), ("UNKNOWN_OP_TYPE", 58)),
        bad("type-ff", "type FF", "UnknownType", "OPS-11", OpParts { kind: 0xff, ..bug() }.bytes(), ("UNKNOWN_OP_TYPE", 58)),
    ]);
    let text = |text: &str| Bytes::new().text8("collection", text);
    all.extend([
        good("collection-1", "a collection of one byte", "OPS-12", &named(&text("c"))),
        good("collection-128", "the longest name of a collection", "OPS-12", &named(&text(&"c".repeat(128)))),
        good("collection-utf8", "a name need not be ASCII", "OPS-12", &named(&text("fehler-ä€𝄞"))),
        bad("collection-empty", "a name of no bytes", "BadCollection", "OPS-12", named(&text("")).bytes(), ("EMPTY", 75)),
        bad("collection-129", "one byte over the cap", "BadCollection", "OPS-12", named(&text(&"c".repeat(129))).bytes(), ("TOO_LONG", 75)),
        bad("collection-not-utf8", "a surrogate in a name", "NotUtf8", "OPS-12", named(&Bytes::new().hex("collection", "03 eda080")).bytes(), ("BAD_UTF8", 76)),
        bad("collection-cut", "a name that runs into the checksum", "Truncated", "NOT-8 OPS-17", OpParts { fields: Bytes::new(), count: 0, collection: Bytes::new().hex("length", "0a").hex("rest", "616161616161"), ..bug() }.bytes(), ("TRUNCATED", 76)),
    ]);
    let previous = |counter, node| OpParts { flags: 1, previous: Some((counter, node)), ..update() };
    all.extend([
        good("previous", "an update with the version that it was made on", "OPS-13 OPS-14", &previous(8, OTHER)),
        good("previous-same-counter", "a previous version with the same counter and a smaller node", "OPS-14", &OpParts { counter: 9, author: OTHER, ..previous(9, NODE) }),
        good("previous-1", "the smallest previous version", "OPS-14", &previous(1, OTHER)),
        bad("previous-on-insert", "an insert with a previous version", "BadPrevious", "OPS-13", OpParts { kind: 1, ..previous(8, OTHER) }.bytes(), ("BAD_PREVIOUS", 1)),
        bad("previous-on-delete", "a delete with a previous version", "BadPrevious", "OPS-13", OpParts { kind: 3, count: 0, fields: Bytes::new(), ..previous(8, OTHER) }.bytes(), ("BAD_PREVIOUS", 1)),
        bad("previous-equal", "a previous version equal to the timestamp", "BadPrevious", "OPS-14", previous(9, NODE).bytes(), ("BAD_PREVIOUS", 80)),
        bad("previous-greater", "a previous version greater than the timestamp", "BadPrevious", "OPS-14", previous(10, OTHER).bytes(), ("BAD_PREVIOUS", 80)),
        bad("previous-never", "a previous version of counter 0", "BadNumber", "OPS-1 OPS-14", previous(0, NODE).bytes(), ("BAD_TIMESTAMP", 80)),
        bad("previous-nil", "a previous version of the nil node", "NilNode", "OPS-2 OPS-14", previous(8, [0; 16]).bytes(), ("BAD_NODE", 88)),
    ]);
    all
}

fn fields() -> Vec<Test> {
    let with = |hex: &str| OpParts::update(42, Bytes::new().hex("fields", hex));
    let at = update().fields_at();
    let sized = |len: usize| {
        // The fixed part with `bugs`, the count, key, tag, length and checksum take 92 bytes.
        let data = len - 92;
        let length = u32::try_from(data).expect("fits");
        OpParts::update(42, Bytes::new().hex("key title", "06").hex("tag", "07").u32("length", length).repeat("data", &[0], data))
    };
    let counter = |counter: u64, node: [u8; 16]| {
        OpParts::update(42, Bytes::new().hex("key count", "2f").hex("tag", "0e").u64("base counter", counter).raw("base node", &node).u64("total", 3))
    };
    let nested = Bytes::new().hex("key metadata", "27").hex("patch", "0d 0001 0001 61").hex("tag", "0e").u64("base counter", 9).raw("base node", &NODE).u64("total", 3);
    let last = |parts: &OpParts, bit: u8| {
        let good = parts.bytes();
        let at = good.len() - 1;
        let byte = good.bytes()[at];
        good.with(at, &[byte ^ bit])
    };
    vec![
        good("removed", "a field that is removed", "OPS-18 VAL-12", &with("06 0c")),
        good("patch", "a patch as a field", "OPS-18 VAL-12 VAL-11", &with("27 0d 0002 0001 61 0c 0001 62 0b")),
        good("counter-never", "a counter that begins at nothing", "VAL-14", &counter(0, [0; 16])),
        good("counter-base", "a base smaller than the timestamp", "VAL-14", &counter(8, NODE)),
        good("counter-base-node", "the same counter and a smaller node", "VAL-14", &OpParts { author: OTHER, ..counter(9, NODE) }),
        good("sealed", "a sealed field", "VAL-15", &with("06 10 00000002 abcd")),
        good("vector", "a vector as a field", "VAL-1", &with("06 0f 0001 3f800000")),
        bad("counter-base-equal", "a base equal to the timestamp", "BadBase", "VAL-14", counter(9, NODE).bytes(), ("BAD_BASE", at + 2)),
        bad("counter-base-greater", "a base greater than the timestamp", "BadBase", "VAL-14", counter(10, NODE).bytes(), ("BAD_BASE", at + 2)),
        bad("counter-base-nested", "the same inside a patch", "BadBase", "VAL-14", OpParts::update(42, nested).bytes(), ("BAD_BASE", at + 8)),
        bad("counter-base-before-total", "the base is checked before the total", "BadBase", "VAL-14", OpParts::update(42, Bytes::new().hex("key", "2f 0e").u64("base counter", 9).raw("base node", &NODE).hex("cut", "00")).bytes(), ("BAD_BASE", at + 2)),
        bad("delete-with-field", "a delete with a field", "FieldCount", "OPS-15", OpParts { kind: 3, ..update() }.bytes(), ("FIELDS_ON_DELETE", at - 2)),
        bad("insert-without-fields", "an insert without fields", "FieldCount", "OPS-16", OpParts { kind: 1, ..OpParts::delete(42) }.bytes(), ("NO_FIELDS", at - 2)),
        bad("update-without-fields", "an update without fields", "FieldCount", "OPS-16", OpParts { kind: 2, ..OpParts::delete(42) }.bytes(), ("NO_FIELDS", at - 2)),
        bad("trailing", "a byte between the last field and the checksum", "Trailing", "OPS-17", update().with_tail("00"), ("TRAILING_BYTES", at + 3)),
        bad("delete-trailing", "a byte before a delete's checksum", "Trailing", "OPS-17", OpParts::delete(42).with_tail("0b"), ("TRAILING_BYTES", at)),
        bad("field-cut", "a value that runs into the checksum", "Truncated", "NOT-8 OPS-17", with("06 25 48656c6c").bytes(), ("TRUNCATED", at + 2)),
        bad("field-missing", "two fields announced, one there", "Truncated", "NOT-8", OpParts { count: 2, ..update() }.bytes(), ("TRUNCATED", at + 3)),
        bad("checksum-bit", "the lowest bit of the checksum", "BadChecksum", "OPS-9", last(&bug(), 1), ("BAD_CHECKSUM", 106)),
        bad("checksum-record-bit", "a bit of the record", "BadChecksum", "OPS-9", bug().bytes().with(59, &[0x6e]), ("BAD_CHECKSUM", 106)),
        bad("checksum-before-type", "the checksum is checked before the type", "BadChecksum", "OPS-9 NOT-10", bug().bytes().with(58, &[9]), ("BAD_CHECKSUM", 106)),
        bad("cut", "cut short, its last bytes are taken for the checksum", "BadChecksum", "OPS-9", bug().bytes().cut(109), ("BAD_CHECKSUM", 105)),
        bad("lengthened", "a byte more, and the checksum is elsewhere", "BadChecksum", "OPS-9", bug().bytes().hex("too much", "00"), ("BAD_CHECKSUM", 107)),
        bad("no-bytes", "nothing at all", "Truncated", "OPS-7 NOT-8", Bytes::new(), ("TRUNCATED", 0)),
        bad("82-bytes", "one byte below the smallest operation", "Truncated", "OPS-7 NOT-8", OpParts::smallest(1).bytes().cut(82), ("TRUNCATED", 0)),
        good("largest", "983,040 bytes", "OPS-6", &sized(983_040)),
        bad("over", "983,041 bytes", "TooLong", "OPS-6", sized(983_041).bytes(), ("TOO_LONG", 0)),
        bad("field-order", "fields that do not ascend", "BadValue", "VAL-19", OpParts { count: 2, ..with("06 0b 01 0b") }.bytes(), ("OUT_OF_ORDER", at + 2)),
        bad("field-duplicate", "a field twice", "BadValue", "VAL-19", OpParts { count: 2, ..with("06 0b 06 0b") }.bytes(), ("DUPLICATE", at + 2)),
        bad("field-unknown-tag", "an unknown tag", "BadValue", "VAL-1", with("06 00").bytes(), ("UNKNOWN_TAG", at + 1)),
        bad("field-removed-in-array", "removed inside an array", "BadValue", "VAL-12", with("06 08 0001 0c").bytes(), ("MISPLACED_VALUE", at + 4)),
        bad("field-patch-in-dictionary", "a patch inside a dictionary", "BadValue", "VAL-12", with("06 09 0001 0001 61 0d 0001 0001 62 0b").bytes(), ("MISPLACED_VALUE", at + 7)),
    ]
}

fn ungated() -> Vec<Test> {
    let with = |hex: &str| OpParts::update(42, Bytes::new().hex("fields", hex));
    let at = update().fields_at();
    vec![
        good("plain-without-crdt", "ordinary values need no capability", "OPS-18", &update()),
        bad("removed-without-crdt", "removed needs crdt", "NotNegotiated", "OPS-18", with("06 0c").bytes(), ("NOT_NEGOTIATED", at + 1)),
        bad("patch-without-crdt", "a patch needs crdt", "NotNegotiated", "OPS-18", with("06 0d 0001 0001 61 0b").bytes(), ("NOT_NEGOTIATED", at + 1)),
    ]
}
