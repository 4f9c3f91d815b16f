//! Operations with two faults, and operations that end early (SPEC.md 6.1).

use super::build::{Bytes, Context, File, Group, Test};
use super::ops::{FLAGS, bad, bug, update};
use super::pieces::{NODE, OTHER, OpParts, op_id};

/// The file of this module.
pub fn file() -> File {
    File {
        path: "v1/op/order.json",
        target: "op",
        header: &[
            "Operations with two faults, of which the first in reading order is told; and ends inside.",
        ],
        flags: FLAGS,
        groups: vec![
            Group { name: "order", context: Context::ALL, tests: order() },
            Group { name: "ends", context: Context::ALL, tests: ends() },
        ],
    }
}

/// Two faults at once; the comment names the one first that is told.
fn order() -> Vec<Test> {
    let other_id = op_id(OTHER, 42);
    let nil = [0; 16];
    let first = |id: &str, comment: &str, flag, spec, op: OpParts, code, at| {
        bad(&format!("order-{id}"), comment, flag, spec, op.bytes(), (code, at))
    };
    let previous = |counter, node| OpParts { flags: 1, previous: Some((counter, node)), ..update() };
    let empty = Bytes::new().u8("collection length", 0);
    let count_at = update().fields_at() - 2;
    let large = OpParts {
        version: 2,
        ..OpParts::update(
            42,
            Bytes::new().hex("key title", "06").hex("tag", "07").u32("length", 982_949).repeat(
                "data",
                &[0],
                982_949,
            ),
        )
    };
    let deep = Bytes::new()
        .hex("key metadata", "27")
        .repeat("patches", &[0x0d, 0, 1, 0, 1, b'a'], 64)
        .hex("patch", "0d 0000");
    vec![
        bad(
            "order-length-version",
            "its length, then its version",
            "TooLong",
            "OPS-6 OPS-8",
            large.bytes(),
            ("TOO_LONG", 0),
        ),
        bad(
            "order-short-version",
            "too short, then its version",
            "Truncated",
            "OPS-7 NOT-8",
            OpParts { version: 2, ..OpParts::smallest(1) }.bytes().cut(82),
            ("TRUNCATED", 0),
        ),
        bad(
            "order-checksum-flags",
            "the checksum, then flags",
            "BadChecksum",
            "OPS-9 NOT-10",
            bug().bytes().with(1, &[2]),
            ("BAD_CHECKSUM", 106),
        ),
        first(
            "flags-number",
            "flags, then node_seq",
            "UnknownFlag",
            "OPS-10 NOT-4",
            OpParts { flags: 2, id: op_id(NODE, 0), ..bug() },
            "UNKNOWN_FLAG",
            1,
        ),
        first(
            "number-counter",
            "node_seq, then the counter",
            "BadNumber",
            "OPS-4 NOT-4",
            OpParts { id: op_id(NODE, 0), counter: 0, ..bug() },
            "BAD_NODE_SEQ",
            2,
        ),
        first(
            "counter-author",
            "the counter, then the timestamp's node",
            "BadNumber",
            "OPS-1 NOT-4",
            OpParts { counter: 0, author: nil, ..bug() },
            "BAD_TIMESTAMP",
            18,
        ),
        first(
            "author-id",
            "the timestamp's node, then the id, which is compared with the node behind it",
            "NilNode",
            "OPS-2 NOT-5",
            OpParts { author: nil, id: other_id, ..bug() },
            "BAD_NODE",
            26,
        ),
        first(
            "node-id",
            "the node, then the id",
            "NilNode",
            "OPS-3 NOT-5",
            OpParts { node: nil, id: other_id, ..bug() },
            "BAD_NODE",
            42,
        ),
        first(
            "id-type",
            "the id, then the type",
            "BadId",
            "OPS-5 NOT-5",
            OpParts { id: other_id, kind: 9, ..bug() },
            "BAD_OP_ID",
            2,
        ),
        first(
            "type-previous",
            "the type, then the previous version",
            "UnknownType",
            "OPS-11 OPS-13",
            OpParts { kind: 9, ..previous(8, OTHER) },
            "UNKNOWN_OP_TYPE",
            58,
        ),
        first(
            "previous-collection",
            "a previous version on an insert, then the collection",
            "BadPrevious",
            "OPS-13 NOT-5",
            OpParts { kind: 1, collection: empty.clone(), ..previous(8, OTHER) },
            "BAD_PREVIOUS",
            1,
        ),
        first(
            "collection-previous",
            "the collection, then a previous version that is greater",
            "BadCollection",
            "OPS-12 NOT-4",
            OpParts { collection: empty, ..previous(10, OTHER) },
            "EMPTY",
            75,
        ),
        first(
            "previous-counter-node",
            "the previous counter, then its nil node",
            "BadNumber",
            "OPS-1 OPS-14",
            previous(0, nil),
            "BAD_TIMESTAMP",
            80,
        ),
        first(
            "previous-node-greater",
            "the nil node, then that it is greater",
            "NilNode",
            "OPS-2 OPS-14",
            previous(10, nil),
            "BAD_NODE",
            88,
        ),
        first(
            "previous-count",
            "a previous version that is equal, then no fields",
            "BadPrevious",
            "OPS-14 NOT-4",
            OpParts { count: 0, fields: Bytes::new(), ..previous(9, NODE) },
            "BAD_PREVIOUS",
            80,
        ),
        first(
            "count-trailing",
            "no fields, then bytes before the checksum",
            "FieldCount",
            "OPS-16 OPS-17",
            OpParts { count: 0, ..update() },
            "NO_FIELDS",
            count_at,
        ),
        first(
            "count-fields",
            "a field on a delete, then that it is not there",
            "FieldCount",
            "OPS-15 NOT-4",
            OpParts { kind: 3, fields: Bytes::new(), ..update() },
            "FIELDS_ON_DELETE",
            count_at,
        ),
        first(
            "deep-empty",
            "the 65th patch, then that it is empty",
            "BadValue",
            "VAL-10 VAL-11",
            OpParts::update(42, deep),
            "TOO_DEEP",
            count_at + 2 + 1 + 384,
        ),
    ]
}

/// Bytes that end inside a primitive before the checksum, which is right.
fn ends() -> Vec<Test> {
    let end = |id: &str, comment: &str, op: OpParts, at| {
        bad(&format!("end-{id}"), comment, "Truncated", "NOT-8 OPS-17", op.bytes(), ("TRUNCATED", at))
    };
    // Flag previous is set: what stands in the place of the field count is taken for the previous version.
    let previous =
        |rest: &str| OpParts { flags: 1, count: 0, fields: Bytes::new().hex("previous", rest), ..update() };
    let field = |hex: &str| OpParts::update(42, Bytes::new().hex("field", hex));
    let at = update().fields_at();
    let name = Bytes::new().u8("collection length", 5).raw("collection", b"bugs");
    vec![
        end("previous-counter", "two bytes of the previous counter", previous(""), 80),
        end("previous-counter-7", "seven bytes of it", previous("0000000000"), 80),
        end("previous-node", "the previous counter alone", previous("000000000008"), 88),
        end("previous-node-4", "four bytes of the previous node", previous("000000000008 550e8400"), 88),
        end(
            "count",
            "one byte of the field count",
            OpParts { collection: name, count: 0, fields: Bytes::new(), ..bug() },
            81,
        ),
        end("key", "no key", field(""), at),
        end("name-length", "one byte of a name's length", field("ff 00"), at + 1),
        end("name", "two of three bytes of a name", field("ff 0003 6162"), at + 3),
        end("tag", "a key without a value", field("06"), at + 1),
        end("int", "seven bytes of an int", field("06 02 ffffffffffffff"), at + 2),
        end("uuid", "15 bytes of a UUID", field("06 05 550e8400e29b41d4a71644665544 00"), at + 2),
        end("string-length", "three bytes of a string's length", field("06 01 000000"), at + 2),
        end("data", "two of three bytes of data", field("06 07 00000003 ffaa"), at + 6),
        end("vector", "seven bytes of two elements", field("06 0f 0002 3f800000c02000"), at + 4),
        end("array", "one element of two", field("06 08 0002 0b"), at + 5),
        end("key-of-patch", "a patch without its key", field("06 0d 0001"), at + 4),
        end("counter-base", "half of a counter's base", field("06 0e 0000000000000000 00000000"), at + 2 + 8),
        end(
            "counter-total",
            "seven bytes of a counter's total",
            field("06 0e 0000000000000000 00000000000000000000000000000000 00000000000000"),
            at + 2 + 24,
        ),
    ]
}
