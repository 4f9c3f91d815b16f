//! Fields of operations, the checksum, and sizes (SPEC.md 6.1).

use super::build::{Bytes, Context, File, Group, Test};
use super::ops::{FLAGS, bad, bug, good, update};
use super::pieces::{NODE, OTHER, OpParts};

const NO_CRDT: Context = Context { capabilities: &["compression", "query"], ..Context::ALL };

/// The file of this module.
pub fn file() -> File {
    File {
        path: "v1/op/fields.json",
        target: "op",
        header: &["Fields of operations, the checksum, and sizes."],
        flags: FLAGS,
        groups: vec![
            Group { name: "fields", context: Context::ALL, tests: fields() },
            Group { name: "without crdt", context: NO_CRDT, tests: ungated() },
        ],
    }
}

fn fields() -> Vec<Test> {
    let with = |hex: &str| OpParts::update(42, Bytes::new().hex("fields", hex));
    let at = update().fields_at();
    let sized = |len: usize| {
        // The fixed part with `bugs`, the count, key, tag, length and checksum take 92 bytes.
        let data = len - 92;
        let length = u32::try_from(data).expect("fits");
        OpParts::update(
            42,
            Bytes::new().hex("key title", "06").hex("tag", "07").u32("length", length).repeat(
                "data",
                &[0],
                data,
            ),
        )
    };
    let counter = |counter: u64, node: [u8; 16]| {
        OpParts::update(
            42,
            Bytes::new()
                .hex("key count", "2f")
                .hex("tag", "0e")
                .u64("base counter", counter)
                .raw("base node", &node)
                .u64("total", 3),
        )
    };
    let nested = Bytes::new()
        .hex("key metadata", "27")
        .hex("patch", "0d 0001 0001 61")
        .hex("tag", "0e")
        .u64("base counter", 9)
        .raw("base node", &NODE)
        .u64("total", 3);
    let last = |parts: &OpParts, bit: u8| {
        let good = parts.bytes();
        let at = good.len() - 1;
        let byte = good.bytes()[at];
        good.with(at, &[byte ^ bit])
    };
    vec![
        good("removed", "a field that is removed", "OPS-18 VAL-12", &with("06 0c")),
        good(
            "patch",
            "a patch as a field",
            "OPS-18 VAL-12 VAL-11",
            &with("27 0d 0002 0001 61 0c 0001 62 0b"),
        ),
        good("counter-never", "a counter that begins at nothing", "VAL-14", &counter(0, [0; 16])),
        good("counter-base", "a base smaller than the timestamp", "VAL-14", &counter(8, NODE)),
        good(
            "counter-base-node",
            "the same counter and a smaller node",
            "VAL-14",
            &OpParts { author: OTHER, ..counter(9, NODE) },
        ),
        good("sealed", "a sealed field", "VAL-15", &with("06 10 00000002 abcd")),
        good("vector", "a vector as a field", "VAL-1", &with("06 0f 0001 3f800000")),
        bad(
            "counter-base-equal",
            "a base equal to the timestamp",
            "BadBase",
            "VAL-14",
            counter(9, NODE).bytes(),
            ("BAD_BASE", at + 2),
        ),
        bad(
            "counter-base-greater",
            "a base greater than the timestamp",
            "BadBase",
            "VAL-14",
            counter(10, NODE).bytes(),
            ("BAD_BASE", at + 2),
        ),
        bad(
            "counter-base-nested",
            "the same inside a patch",
            "BadBase",
            "VAL-14",
            OpParts::update(42, nested).bytes(),
            ("BAD_BASE", at + 8),
        ),
        bad(
            "counter-base-before-total",
            "the base is checked before the total",
            "BadBase",
            "VAL-14",
            OpParts::update(
                42,
                Bytes::new()
                    .hex("key", "2f 0e")
                    .u64("base counter", 9)
                    .raw("base node", &NODE)
                    .hex("cut", "00"),
            )
            .bytes(),
            ("BAD_BASE", at + 2),
        ),
        bad(
            "delete-with-field",
            "a delete with a field",
            "FieldCount",
            "OPS-15",
            OpParts { kind: 3, ..update() }.bytes(),
            ("FIELDS_ON_DELETE", at - 2),
        ),
        bad(
            "insert-without-fields",
            "an insert without fields",
            "FieldCount",
            "OPS-16",
            OpParts { kind: 1, ..OpParts::delete(42) }.bytes(),
            ("NO_FIELDS", at - 2),
        ),
        bad(
            "update-without-fields",
            "an update without fields",
            "FieldCount",
            "OPS-16",
            OpParts { kind: 2, ..OpParts::delete(42) }.bytes(),
            ("NO_FIELDS", at - 2),
        ),
        bad(
            "trailing",
            "a byte between the last field and the checksum",
            "Trailing",
            "OPS-17",
            update().with_tail("00"),
            ("TRAILING_BYTES", at + 3),
        ),
        bad(
            "delete-trailing",
            "a byte before a delete's checksum",
            "Trailing",
            "OPS-17",
            OpParts::delete(42).with_tail("0b"),
            ("TRAILING_BYTES", at),
        ),
        bad(
            "field-cut",
            "a value that runs into the checksum",
            "Truncated",
            "NOT-8 OPS-17",
            with("06 25 48656c6c").bytes(),
            ("TRUNCATED", at + 2),
        ),
        bad(
            "field-missing",
            "two fields announced, one there",
            "Truncated",
            "NOT-8",
            OpParts { count: 2, ..update() }.bytes(),
            ("TRUNCATED", at + 3),
        ),
        bad(
            "checksum-bit",
            "the lowest bit of the checksum",
            "BadChecksum",
            "OPS-9",
            last(&bug(), 1),
            ("BAD_CHECKSUM", 106),
        ),
        bad(
            "checksum-record-bit",
            "a bit of the record",
            "BadChecksum",
            "OPS-9",
            bug().bytes().with(59, &[0x6e]),
            ("BAD_CHECKSUM", 106),
        ),
        bad(
            "checksum-before-type",
            "the checksum is checked before the type",
            "BadChecksum",
            "OPS-9 NOT-10",
            bug().bytes().with(58, &[9]),
            ("BAD_CHECKSUM", 106),
        ),
        bad(
            "cut",
            "cut short, its last bytes are taken for the checksum",
            "BadChecksum",
            "OPS-9",
            bug().bytes().cut(109),
            ("BAD_CHECKSUM", 105),
        ),
        bad(
            "lengthened",
            "a byte more, and the checksum is elsewhere",
            "BadChecksum",
            "OPS-9",
            bug().bytes().hex("too much", "00"),
            ("BAD_CHECKSUM", 107),
        ),
        bad("no-bytes", "nothing at all", "Truncated", "OPS-7 NOT-8", Bytes::new(), ("TRUNCATED", 0)),
        bad(
            "82-bytes",
            "one byte below the smallest operation",
            "Truncated",
            "OPS-7 NOT-8",
            OpParts::smallest(1).bytes().cut(82),
            ("TRUNCATED", 0),
        ),
        good("largest", "983,040 bytes", "OPS-6", &sized(983_040)),
        bad("over", "983,041 bytes", "TooLong", "OPS-6", sized(983_041).bytes(), ("TOO_LONG", 0)),
        bad(
            "field-order",
            "fields that do not ascend",
            "BadValue",
            "VAL-19",
            OpParts { count: 2, ..with("06 0b 01 0b") }.bytes(),
            ("OUT_OF_ORDER", at + 2),
        ),
        bad(
            "field-duplicate",
            "a field twice",
            "BadValue",
            "VAL-19",
            OpParts { count: 2, ..with("06 0b 06 0b") }.bytes(),
            ("DUPLICATE", at + 2),
        ),
        bad(
            "field-unknown-tag",
            "an unknown tag",
            "BadValue",
            "VAL-1",
            with("06 00").bytes(),
            ("UNKNOWN_TAG", at + 1),
        ),
        bad(
            "field-removed-in-array",
            "removed inside an array",
            "BadValue",
            "VAL-12",
            with("06 08 0001 0c").bytes(),
            ("MISPLACED_VALUE", at + 4),
        ),
        bad(
            "field-patch-in-dictionary",
            "a patch inside a dictionary",
            "BadValue",
            "VAL-12",
            with("06 09 0001 0001 61 0d 0001 0001 62 0b").bytes(),
            ("MISPLACED_VALUE", at + 7),
        ),
    ]
}

fn ungated() -> Vec<Test> {
    let with = |hex: &str| OpParts::update(42, Bytes::new().hex("fields", hex));
    let at = update().fields_at();
    vec![
        good("plain-without-crdt", "ordinary values need no capability", "OPS-18", &update()),
        bad(
            "removed-without-crdt",
            "removed needs crdt",
            "NotNegotiated",
            "OPS-18",
            with("06 0c").bytes(),
            ("NOT_NEGOTIATED", at + 1),
        ),
        bad(
            "patch-without-crdt",
            "a patch needs crdt",
            "NotNegotiated",
            "OPS-18",
            with("06 0d 0001 0001 61 0b").bytes(),
            ("NOT_NEGOTIATED", at + 1),
        ),
    ]
}
