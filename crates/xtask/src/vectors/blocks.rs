//! Blocks: header and rows (SPEC.md 6.2 and 6.3).

use super::build::{Bytes, Context, File, Flag, Group, Test, invalid, valid};
use super::pieces::{BlockParts, OTHER, OpParts, op_id, rows};

pub(super) const FLAGS: &[Flag] = &[
    ("BadChecksum", "INTEGRITY", "A checksum that is not that of the bytes.", &["BLK-1", "OPS-9"]),
    ("UnknownEncoding", "UNKNOWN", "An encoding that 1.0 does not define.", &["BLK-2"]),
    ("UnknownFlag", "UNKNOWN", "A flag bit that must be 0.", &["BLK-3"]),
    ("NotNegotiated", "BASIC", "Needs a capability that was not agreed on.", &["BLK-4", "OPS-18"]),
    ("BadCount", "BOUNDARY", "A count or span that cannot be.", &["BLK-5", "BLK-6"]),
    ("BadNumber", "BOUNDARY", "A node_seq that cannot be.", &["BLK-7"]),
    ("NilNode", "BOUNDARY", "A node that is nil.", &["BLK-8"]),
    ("TooLong", "LIMIT", "One byte over a cap.", &["BLK-9", "BLK-15", "OPS-6"]),
    ("Trailing", "TRAILING", "Bytes too many.", &["BLK-10", "BLK-11"]),
    ("Truncated", "TRUNCATED", "Bytes end early.", &["BLK-11", "NOT-8"]),
    ("TwoNodes", "BASIC", "Operations of two nodes.", &["BLK-12"]),
    (
        "NotContiguous",
        "ORDER",
        "node_seqs with a gap, out of order, or outside the span.",
        &["BLK-13", "BLK-14"],
    ),
    ("BadLz4", "INTEGRITY", "Bytes that are no LZ4 block of that length.", &["BLK-16", "BLK-17"]),
    ("BadOp", "BASIC", "A fault inside an operation.", &["OPS-5"]),
];

const NO_COMPRESSION: Context = Context { capabilities: &["crdt", "query"], ..Context::ALL };
const NO_CRDT: Context = Context { capabilities: &["compression", "query"], ..Context::ALL };

/// All files of this module.
pub fn files() -> Vec<File> {
    let file = |path, header, groups| File { path, target: "block", header, flags: FLAGS, groups };
    vec![
        file(
            "v1/block/header.json",
            &["The header of a block."],
            vec![
                Group { name: "header", context: Context::ALL, tests: header() },
                Group { name: "without compression", context: NO_COMPRESSION, tests: uncompressed() },
            ],
        ),
        file(
            "v1/block/rows.json",
            &["Operations one after another, with and without holes."],
            vec![
                Group { name: "rows", context: Context::ALL, tests: in_rows() },
                Group { name: "without crdt", context: NO_CRDT, tests: ungated() },
            ],
        ),
        super::block_lz4::file(),
    ]
}

fn good(id: &str, comment: &str, spec: &'static str, block: &BlockParts) -> Test {
    valid(&format!("block/{id}"), comment, spec, block.bytes())
}

pub(super) fn bad(
    id: &str,
    comment: &str,
    flag: &'static str,
    spec: &'static str,
    bytes: Bytes,
    error: (&'static str, usize),
) -> Test {
    invalid(&format!("block/{id}"), comment, flag, spec, bytes, error)
}

pub(super) fn one() -> BlockParts {
    BlockParts::of(42, vec![OpParts::bug(42)])
}

pub(super) fn deletes(first: u64, numbers: &[u64]) -> BlockParts {
    BlockParts::of(first, numbers.iter().map(|number| OpParts::delete(*number)).collect())
}

/// Bytes of a delete in `bugs` with its length in front.
const ROW: usize = 4 + 86;

fn header() -> Vec<Test> {
    let numbered = |first| deletes(first, &[first]);
    vec![
        good("rows-one-op", "one block with the example", "BLK-1 BLK-2 BLK-5 BLK-6 BLK-11", &one()),
        good("first-1", "the first block of a node", "BLK-7", &numbered(1)),
        good("first-max", "the last number that there is", "BLK-7", &numbered((1 << 48) - 1)),
        good(
            "last-max",
            "two operations up to the last number",
            "BLK-7",
            &deletes((1 << 48) - 2, &[(1 << 48) - 2, (1 << 48) - 1]),
        ),
        bad(
            "header-checksum",
            "a bit of the header's checksum",
            "BadChecksum",
            "BLK-1",
            {
                let good = one().bytes();
                let byte = good.bytes()[35];
                good.with(35, &[byte ^ 1])
            },
            ("BAD_CHECKSUM", 32),
        ),
        bad(
            "header-count-bit",
            "a bit of the count",
            "BadChecksum",
            "BLK-1",
            one().bytes().with(3, &[3]),
            ("BAD_CHECKSUM", 32),
        ),
        bad(
            "checksum-before-encoding",
            "the checksum is checked before the encoding",
            "BadChecksum",
            "BLK-1 NOT-10",
            one().bytes().with(0, &[9]),
            ("BAD_CHECKSUM", 32),
        ),
        bad(
            "encoding-0",
            "encoding 00",
            "UnknownEncoding",
            "BLK-2",
            BlockParts { encoding: 0, ..one() }.bytes(),
            ("UNKNOWN_ENCODING", 0),
        ),
        bad(
            "encoding-packed",
            "packed is reserved",
            "UnknownEncoding",
            "BLK-2",
            BlockParts { encoding: 2, ..one() }.bytes(),
            ("UNKNOWN_ENCODING", 0),
        ),
        bad(
            "encoding-3",
            "an odd encoding may not be ignored either",
            "UnknownEncoding",
            "BLK-2",
            BlockParts { encoding: 3, ..one() }.bytes(),
            ("UNKNOWN_ENCODING", 0),
        ),
        bad(
            "flag-4",
            "flag bit 2",
            "UnknownFlag",
            "BLK-3",
            BlockParts { flags: 4, ..one() }.bytes(),
            ("UNKNOWN_FLAG", 1),
        ),
        bad(
            "flag-80",
            "flag bit 7",
            "UnknownFlag",
            "BLK-3",
            BlockParts { flags: 0x80, ..one() }.bytes(),
            ("UNKNOWN_FLAG", 1),
        ),
        good("no-flags", "no flags", "BLK-3", &deletes(7, &[7, 8])),
        bad(
            "count-0",
            "no operations",
            "BadCount",
            "BLK-5",
            BlockParts { count: 0, span: 0, payload: Bytes::new(), ..one() }.bytes(),
            ("EMPTY", 2),
        ),
        bad(
            "span-greater",
            "a span greater than the count, without flag holes",
            "BadCount",
            "BLK-6",
            BlockParts { span: 2, ..one() }.bytes(),
            ("NOT_CONTIGUOUS", 4),
        ),
        bad(
            "span-smaller",
            "a span smaller than the count",
            "BadCount",
            "BLK-6",
            BlockParts { span: 1, ..deletes(7, &[7, 8]) }.bytes(),
            ("NOT_CONTIGUOUS", 4),
        ),
        bad(
            "span-holes-equal",
            "flag holes, and nothing is missing",
            "BadCount",
            "BLK-6",
            one().holes(1).bytes(),
            ("NOT_CONTIGUOUS", 4),
        ),
        bad(
            "first-0",
            "first node_seq 0",
            "BadNumber",
            "BLK-7",
            BlockParts { first: 0, ..one() }.bytes(),
            ("BAD_NODE_SEQ", 6),
        ),
        bad(
            "last-over",
            "the last number would be 2^48",
            "BadNumber",
            "BLK-7",
            BlockParts { first: (1 << 48) - 1, ..deletes(7, &[7, 8]) }.bytes(),
            ("BAD_NODE_SEQ", 6),
        ),
        bad(
            "node-nil",
            "a block of the nil node",
            "NilNode",
            "BLK-8",
            BlockParts { node: [0; 16], ..one() }.bytes(),
            ("BAD_NODE", 12),
        ),
        good(
            "node-other",
            "a block of another node",
            "BLK-8 BLK-12",
            &BlockParts::of(42, vec![OpParts::bug(42).by(OTHER)]),
        ),
        bad(
            "length-over",
            "a payload length one over the cap",
            "TooLong",
            "BLK-9",
            BlockParts { length: Some(1_048_577), ..one() }.bytes(),
            ("TOO_LONG", 28),
        ),
        bad(
            "length-huge",
            "a payload length of 4 GiB",
            "TooLong",
            "BLK-9 NOT-3",
            BlockParts { length: Some(u32::MAX), ..one() }.bytes(),
            ("TOO_LONG", 28),
        ),
        bad(
            "length-cap-cut",
            "a payload length at the cap, and less there",
            "Truncated",
            "NOT-8",
            BlockParts { length: Some(1_048_576), ..one() }.bytes(),
            ("TRUNCATED", 36),
        ),
        bad(
            "payload-cut",
            "the last byte is missing",
            "Truncated",
            "NOT-8",
            one().bytes().cut(149),
            ("TRUNCATED", 36),
        ),
        bad(
            "header-cut",
            "35 bytes of a header",
            "Truncated",
            "NOT-8 BLK-1",
            one().bytes().cut(35),
            ("TRUNCATED", 0),
        ),
        bad(
            "header-cut-early",
            "20 bytes of a header",
            "Truncated",
            "NOT-8 BLK-1",
            one().bytes().cut(20),
            ("TRUNCATED", 0),
        ),
        bad("no-bytes", "nothing at all", "Truncated", "NOT-8", Bytes::new(), ("TRUNCATED", 0)),
        bad(
            "trailing",
            "a byte after the block",
            "Trailing",
            "BLK-10",
            one().bytes().hex("too much", "00"),
            ("TRAILING_BYTES", 150),
        ),
        good("nothing-trails", "nothing after the block", "BLK-10", &deletes(9, &[9])),
    ]
}

fn in_rows() -> Vec<Test> {
    let three = || deletes(7, &[7, 8, 9]);
    let with_payload = |payload: Bytes| three().with_payload(payload);
    let raw =
        |numbers: &[u64]| rows(&numbers.iter().map(|n| OpParts::delete(*n).bytes()).collect::<Vec<_>>());
    let big = |data: usize| {
        let length = u32::try_from(data).expect("fits");
        let field = Bytes::new().hex("key title", "06").hex("tag", "07").u32("length", length).repeat(
            "data",
            &[0],
            data,
        );
        OpParts::update(1, field)
    };
    let second = |op: OpParts| OpParts { id: op_id(op.node, 2), ..op };
    // Two operations with their lengths: 2 x (4 + 92 + data), so 1,048,576 takes 524,192 bytes of data each.
    let full = |data: usize| BlockParts::of(1, vec![big(524_192), second(big(data))]);
    let mut all = vec![
        good("rows-three", "three operations", "BLK-11 BLK-12 BLK-13", &three()),
        good(
            "rows-mixed",
            "insert, update and delete",
            "BLK-13",
            &BlockParts::of(
                7,
                vec![
                    OpParts::bug(7),
                    OpParts::update(8, Bytes::new().hex("title", "06 21 78")),
                    OpParts::delete(9),
                ],
            ),
        ),
        good(
            "holes-middle",
            "the second of three is left out",
            "BLK-14 BLK-6",
            &deletes(7, &[7, 9]).holes(3),
        ),
        good("holes-ends", "only the middle is there", "BLK-14", &deletes(8, &[8]).holes_from(7, 3)),
        good("holes-last", "the last of five", "BLK-14", &deletes(11, &[11]).holes_from(7, 5)),
        good("holes-widest", "one of 65,535", "BLK-14", &deletes(7, &[7]).holes(65_535)),
        bad(
            "rows-too-few",
            "three announced, two there",
            "Truncated",
            "BLK-11 NOT-8",
            with_payload(raw(&[7, 8])).bytes(),
            ("TRUNCATED", 36 + 2 * ROW),
        ),
        bad(
            "rows-count-bomb",
            "65,535 announced, two there",
            "Truncated",
            "BLK-11 NOT-8 NOT-3",
            BlockParts { count: 65_535, span: 65_535, ..with_payload(raw(&[7, 8])) }.bytes(),
            ("TRUNCATED", 36 + 2 * ROW),
        ),
        bad(
            "rows-too-many",
            "three announced, four there",
            "Trailing",
            "BLK-11",
            with_payload(raw(&[7, 8, 9, 10])).bytes(),
            ("TRAILING_BYTES", 36 + 3 * ROW),
        ),
        bad(
            "rows-tail",
            "a byte after the last operation",
            "Trailing",
            "BLK-11",
            with_payload(raw(&[7, 8, 9]).hex("too much", "00")).bytes(),
            ("TRAILING_BYTES", 36 + 3 * ROW),
        ),
        bad(
            "rows-empty",
            "a payload of no bytes",
            "Truncated",
            "BLK-11 NOT-8",
            with_payload(Bytes::new()).bytes(),
            ("TRUNCATED", 36),
        ),
        bad(
            "op-length-cut",
            "three bytes of a length",
            "Truncated",
            "BLK-11 NOT-8",
            with_payload(raw(&[7, 8]).hex("cut", "000000")).bytes(),
            ("TRUNCATED", 36 + 2 * ROW),
        ),
        bad(
            "op-length-beyond",
            "an operation that is longer than the payload",
            "Truncated",
            "BLK-11 NOT-8",
            with_payload(raw(&[7, 8]).u32("operation length", 86).hex("cut", "01")).bytes(),
            ("TRUNCATED", 36 + 2 * ROW + 4),
        ),
        bad(
            "op-length-over",
            "an operation one byte over its cap",
            "TooLong",
            "OPS-6",
            with_payload(raw(&[7, 8]).u32("operation length", 983_041)).bytes(),
            ("TOO_LONG", 36 + 2 * ROW),
        ),
        bad(
            "op-length-0",
            "an operation of no bytes",
            "Truncated",
            "OPS-7 NOT-8",
            with_payload(raw(&[7, 8]).u32("operation length", 0)).bytes(),
            ("TRUNCATED", 36 + 2 * ROW + 4),
        ),
        bad(
            "op-length-82",
            "an operation of 82 bytes",
            "Truncated",
            "OPS-7 NOT-8",
            with_payload(raw(&[7, 8]).u32("operation length", 82).repeat("zeros", &[0], 82)).bytes(),
            ("TRUNCATED", 36 + 2 * ROW + 4),
        ),
        bad(
            "op-checksum",
            "a bit inside the second operation",
            "BadChecksum",
            "OPS-9",
            three().bytes().with(36 + ROW + 4 + 60, &[0xff]),
            ("BAD_CHECKSUM", 36 + ROW + 4 + 82),
        ),
        bad(
            "op-id",
            "an id that is not derived",
            "BadOp",
            "OPS-5",
            with_payload(rows(&[
                OpParts::delete(7).bytes(),
                OpParts { id: op_id(OTHER, 8), ..OpParts::delete(8) }.bytes(),
                OpParts::delete(9).bytes(),
            ]))
            .bytes(),
            ("BAD_OP_ID", 36 + ROW + 4 + 2),
        ),
        bad(
            "two-nodes",
            "the second operation is another node's",
            "TwoNodes",
            "BLK-12",
            with_payload(rows(&[
                OpParts::delete(7).bytes(),
                OpParts::delete(8).by(OTHER).bytes(),
                OpParts::delete(9).bytes(),
            ]))
            .bytes(),
            ("MIXED_NODES", 36 + ROW + 4 + 42),
        ),
        bad(
            "header-of-another",
            "the header names another node",
            "TwoNodes",
            "BLK-12",
            BlockParts { node: OTHER, ..three() }.bytes(),
            ("MIXED_NODES", 36 + 4 + 42),
        ),
        bad(
            "gap",
            "8 is missing, without flag holes",
            "NotContiguous",
            "BLK-13",
            deletes(7, &[7, 9]).bytes(),
            ("NOT_CONTIGUOUS", 36 + ROW + 4 + 2),
        ),
        bad(
            "repeat",
            "7 twice",
            "NotContiguous",
            "BLK-13",
            deletes(7, &[7, 7]).bytes(),
            ("NOT_CONTIGUOUS", 36 + ROW + 4 + 2),
        ),
        bad(
            "backwards",
            "8 before 7",
            "NotContiguous",
            "BLK-13",
            deletes(7, &[8, 7]).bytes(),
            ("NOT_CONTIGUOUS", 36 + 4 + 2),
        ),
        bad(
            "first-differs",
            "the first number is not the header's",
            "NotContiguous",
            "BLK-13",
            BlockParts { first: 6, ..three() }.bytes(),
            ("NOT_CONTIGUOUS", 36 + 4 + 2),
        ),
        bad(
            "holes-backwards",
            "9 before 7, with flag holes",
            "NotContiguous",
            "BLK-14",
            deletes(7, &[9, 7]).holes(3).bytes(),
            ("NOT_CONTIGUOUS", 36 + ROW + 4 + 2),
        ),
        bad(
            "holes-repeat",
            "7 twice, with flag holes",
            "NotContiguous",
            "BLK-14",
            deletes(7, &[7, 7]).holes(3).bytes(),
            ("NOT_CONTIGUOUS", 36 + ROW + 4 + 2),
        ),
        bad(
            "holes-before",
            "a number below the span",
            "NotContiguous",
            "BLK-14",
            deletes(6, &[6]).holes_from(7, 3).bytes(),
            ("NOT_CONTIGUOUS", 36 + 4 + 2),
        ),
        bad(
            "holes-beyond",
            "a number above the span",
            "NotContiguous",
            "BLK-14",
            deletes(10, &[10]).holes_from(7, 3).bytes(),
            ("NOT_CONTIGUOUS", 36 + 4 + 2),
        ),
    ];
    all.extend([
        good("payload-largest", "a payload of 1,048,576 bytes", "BLK-9", &full(524_192)),
        bad(
            "payload-over",
            "a payload of 1,048,577 bytes",
            "TooLong",
            "BLK-9",
            full(524_193).bytes(),
            ("TOO_LONG", 28),
        ),
    ]);
    all
}

fn uncompressed() -> Vec<Test> {
    vec![
        good("plain-without-compression", "an uncompressed block needs no capability", "BLK-4", &one()),
        bad(
            "lz4-without-compression",
            "LZ4 was not agreed on",
            "NotNegotiated",
            "BLK-4",
            one().lz4_bytes(),
            ("NOT_NEGOTIATED", 1),
        ),
    ]
}

fn ungated() -> Vec<Test> {
    let removed = BlockParts::of(7, vec![OpParts::update(7, Bytes::new().hex("title", "06 0c"))]);
    let at = 36 + 4 + OpParts::update(7, Bytes::new()).fields_at() + 1;
    vec![
        good("rows-without-crdt", "ordinary values need no capability", "OPS-18", &one()),
        bad(
            "removed-without-crdt",
            "removed needs crdt",
            "NotNegotiated",
            "OPS-18",
            removed.bytes(),
            ("NOT_NEGOTIATED", at),
        ),
    ]
}
