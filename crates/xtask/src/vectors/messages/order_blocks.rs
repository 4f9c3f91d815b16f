//! The order of checks where blocks are in it: fields, then headers, then payloads (SPEC.md 7).

use super::super::build::{Bytes, Context, File, Flag, Group, Test};
use super::super::pieces::{BlockParts, OTHER, OpParts, rows};
use super::order::{at, first};
use super::parts::{block, extension, fault, list8};
use super::push::{MAX_BLOCK, large_block_lz4, push};
use super::{pull, subscribe};

const FLAGS: &[Flag] = &[
    fault::TRUNCATED,
    fault::TRAILING_BYTES,
    fault::TOO_LONG,
    fault::EMPTY,
    fault::BAD_CHECKSUM,
    fault::BAD_COMPRESSION,
    fault::UNKNOWN_FLAG,
    fault::UNKNOWN_ENCODING,
    fault::UNKNOWN_OP_TYPE,
    fault::UNKNOWN_EXTENSION,
    fault::NOT_NEGOTIATED,
    fault::BAD_NODE,
    fault::BAD_NODE_SEQ,
    fault::BAD_POSITION,
    fault::MIXED_NODES,
    fault::NOT_CONTIGUOUS,
];

const NO_COMPRESSION: Context = Context { capabilities: &["crdt", "query"], ..Context::ALL };

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: Context::ALL, tests };
    File {
        path: "v1/message/order-blocks.json",
        target: "message",
        header: &["Two faults at once, one of them in a block: headers before payloads, blocks in order."],
        flags: FLAGS,
        groups: vec![
            group("fields before blocks", before_blocks()),
            group("headers", headers()),
            Group { name: "headers without compression", context: NO_COMPRESSION, tests: ungated_headers() },
            group("headers before payloads", payloads()),
        ],
    }
}

fn before_blocks() -> Vec<Test> {
    let broken = || BlockParts { encoding: 9, ..block() };
    let push = || push(&[&broken()]);
    vec![
        at(
            "count-header",
            "a block count of 0, then a header",
            "MSG-25",
            &push().u16("block count", 0),
            "EMPTY",
            ("block count", 0),
        ),
        at(
            "extension-header",
            "an even extension, then a header",
            "EXT-3",
            &push().put("extensions", list8("extensions", &[extension(2, 0)])),
            "UNKNOWN_EXTENSION",
            ("extensions", 1),
        ),
        first(
            "trailing-header",
            "a byte after the fields, then a header",
            "MSG-5",
            push().around(push().fields().u8("too much", 0)),
            "TRAILING_BYTES",
            push().at("end"),
        ),
        at(
            "seqs-header",
            "a first seq of 0, then a header",
            "MSG-22",
            &pull::pull_response(&[0], broken().bytes()),
            "BAD_POSITION",
            ("first seqs", 2),
        ),
        at(
            "position-header",
            "a position, then a header",
            "MSG-2",
            &subscribe::update(&[1], broken().bytes()).position("new", 0, 1),
            "BAD_POSITION",
            ("new", 0),
        ),
        at(
            "header-ids-check",
            "a header, then the ids check",
            "BLK-2 MSG-24",
            &push().u32("ids check", 0),
            "UNKNOWN_ENCODING",
            ("blocks", 0),
        ),
    ]
}

fn headers() -> Vec<Test> {
    let one = |id: &str, comment: &str, spec, block: BlockParts, code, plus| {
        at(id, comment, spec, &push(&[&block]), code, ("blocks", plus))
    };
    let len = block().bytes().len();
    let second = |id: &str, comment: &str, spec, second: BlockParts, code, plus| {
        at(id, comment, spec, &push(&[&block(), &second]), code, ("blocks", len + plus))
    };
    let two = || BlockParts::of(2, vec![OpParts::bug(2)]);
    let holes = |parts: BlockParts| BlockParts { flags: 2, span: 9, ..parts };
    let raw = |bytes: Bytes| push(&[&block()]).blocks(bytes);
    vec![
        at(
            "header-cut-checksum",
            "a header that is cut, then its checksum",
            "BLK-1 NOT-8",
            &raw(block().bytes().with(0, &[9]).cut(35)),
            "TRUNCATED",
            ("blocks", 0),
        ),
        at(
            "header-checksum-encoding",
            "the header's checksum, then the encoding",
            "BLK-1 NOT-10",
            &raw(block().bytes().with(0, &[9])),
            "BAD_CHECKSUM",
            ("blocks", 32),
        ),
        one(
            "encoding-flags",
            "the encoding, then flags",
            "BLK-2 BLK-3",
            BlockParts { encoding: 2, flags: 0x80, ..block() },
            "UNKNOWN_ENCODING",
            0,
        ),
        one(
            "flags-count",
            "flags, then the count",
            "BLK-3 BLK-5",
            BlockParts { flags: 0x80, count: 0, ..block() },
            "UNKNOWN_FLAG",
            1,
        ),
        one(
            "count-span",
            "the count, then the span",
            "BLK-5 BLK-6",
            BlockParts { count: 0, span: 1, ..block() },
            "EMPTY",
            2,
        ),
        one(
            "span-number",
            "the span, then the first node_seq",
            "BLK-6 BLK-7",
            BlockParts { span: 2, first: 0, ..block() },
            "NOT_CONTIGUOUS",
            4,
        ),
        one(
            "number-node",
            "the first node_seq, then the node",
            "BLK-7 BLK-8",
            BlockParts { first: 0, node: [0; 16], ..block() },
            "BAD_NODE_SEQ",
            6,
        ),
        one(
            "node-length",
            "the node, then the payload's length",
            "BLK-8 BLK-9",
            BlockParts { node: [0; 16], length: Some(u32::MAX), ..block() },
            "BAD_NODE",
            12,
        ),
        one(
            "length-holes",
            "the payload's length, then flag holes",
            "BLK-9 MSG-26",
            holes(BlockParts { length: Some(1_048_577), ..block() }),
            "TOO_LONG",
            28,
        ),
        one(
            "holes-payload",
            "flag holes, then a payload that is not there",
            "MSG-26 NOT-8",
            holes(BlockParts { length: Some(1_048_576), ..block() }),
            "NOT_CONTIGUOUS",
            1,
        ),
        second(
            "holes-nodes",
            "flag holes, then another node",
            "MSG-26 MSG-27",
            holes(BlockParts { node: OTHER, ..two() }),
            "NOT_CONTIGUOUS",
            1,
        ),
        second(
            "nodes-numbers",
            "another node, then the number",
            "MSG-27",
            BlockParts { node: OTHER, first: 9, ..two() },
            "MIXED_NODES",
            12,
        ),
        second(
            "numbers-payload",
            "the number, then a payload that is not there",
            "MSG-27 NOT-8",
            BlockParts { first: 3, length: Some(1_000), ..two() },
            "NOT_CONTIGUOUS",
            6,
        ),
        second(
            "length-numbers",
            "the payload's length, then the number",
            "BLK-9 MSG-27",
            BlockParts { first: 9, length: Some(1_048_577), ..two() },
            "TOO_LONG",
            28,
        ),
        at(
            "payload-next-header",
            "a payload that is cut, although a header follows",
            "NOT-8 MSG-6",
            &push(&[&BlockParts { length: Some(1_000), ..block() }, &two()]),
            "TRUNCATED",
            ("blocks", 36),
        ),
        at(
            "header-first-second",
            "the first header, then the second",
            "BLK-5 NOT-4",
            &push(&[&BlockParts { count: 0, ..block() }, &BlockParts { encoding: 9, ..two() }]),
            "EMPTY",
            ("blocks", 2),
        ),
    ]
}

fn ungated_headers() -> Vec<Test> {
    let one = |id: &str, comment: &str, spec, block: BlockParts, code, plus| {
        at(id, comment, spec, &push(&[&block]), code, ("blocks", plus))
    };
    vec![
        one(
            "flags-compression",
            "an unknown flag, then compression",
            "BLK-3 BLK-4",
            BlockParts { flags: 5, ..block() },
            "UNKNOWN_FLAG",
            1,
        ),
        one(
            "compression-count",
            "compression, then the count",
            "BLK-4 BLK-5",
            BlockParts { flags: 1, count: 0, ..block() },
            "NOT_NEGOTIATED",
            1,
        ),
        one(
            "compression-holes",
            "compression, then flag holes",
            "BLK-4 MSG-26",
            BlockParts { flags: 3, span: 9, ..block() },
            "NOT_NEGOTIATED",
            1,
        ),
    ]
}

fn payloads() -> Vec<Test> {
    let len = block().bytes().len();
    let op = 36 + 4;
    let two = || BlockParts::of(2, vec![OpParts::bug(2)]);
    let tail = |parts: BlockParts| BlockParts { payload: parts.payload.clone().u8("too much", 0), ..parts };
    let bad_op = |parts: BlockParts, op: OpParts| parts.with_payload(rows(&[op.bytes()]));
    let unknown_type = || bad_op(block(), OpParts { kind: 9, ..OpParts::bug(1) });
    let lz4 = |parts: BlockParts, payload: Bytes| BlockParts { flags: 1, ..parts }.with_payload(payload);
    let full: Vec<_> = (0..4).map(|n| large_block_lz4(1 + 2 * n, MAX_BLOCK)).collect();
    let last = BlockParts::of(9, vec![OpParts::smallest(9)]).lz4();
    let mut broken = full.clone();
    // A flipped bit of the record in the first operation, which stands as a literal.
    broken[0].payload = broken[0].payload.with(60, &[0xff]);
    let all = |blocks: &[BlockParts]| push(&blocks.iter().chain([&last]).collect::<Vec<_>>());
    vec![
        at(
            "second-header-first-payload",
            "the second header, then the first payload",
            "BLK-2",
            &push(&[&unknown_type(), &BlockParts { encoding: 2, ..two() }]),
            "UNKNOWN_ENCODING",
            ("blocks", len),
        ),
        at(
            "trailing-first-payload",
            "a byte after the last block, then the first payload",
            "MSG-6 NOT-9",
            &push(&[&unknown_type()]).blocks(unknown_type().bytes().u8("too much", 0)),
            "TRAILING_BYTES",
            ("blocks", len),
        ),
        at(
            "first-payload-second",
            "the first payload, then the second",
            "OPS-11 NOT-4",
            &push(&[&unknown_type(), &tail(two())]),
            "UNKNOWN_OP_TYPE",
            ("blocks", op + 58),
        ),
        at(
            "payload-ids-check",
            "a payload, then the ids check",
            "BLK-11 MSG-24",
            &push(&[&tail(block())]).u32("ids check", 0),
            "TRAILING_BYTES",
            ("blocks", len),
        ),
        at(
            "second-payload-ids-check",
            "the second payload, then the ids check",
            "BLK-11 MSG-24",
            &push(&[&block(), &tail(two())]).u32("ids check", 0),
            "TRAILING_BYTES",
            ("blocks", 2 * len),
        ),
        at(
            "op-node-number",
            "another node, then the number",
            "BLK-12 BLK-13",
            &push(&[&bad_op(block(), OpParts::bug(5).by(OTHER))]),
            "MIXED_NODES",
            ("blocks", op + 42),
        ),
        at(
            "op-field-node",
            "a fault of the operation, then its node",
            "OPS-11 BLK-12",
            &push(&[&bad_op(block(), OpParts { kind: 9, ..OpParts::bug(1).by(OTHER) })]),
            "UNKNOWN_OP_TYPE",
            ("blocks", op + 58),
        ),
        at(
            "op-number-tail",
            "the number, then a byte after the operation",
            "BLK-13 BLK-11",
            &push(&[&tail(bad_op(block(), OpParts::bug(5)))]),
            "NOT_CONTIGUOUS",
            ("blocks", op + 2),
        ),
        at(
            "op-length-cut",
            "an operation over its cap, then its bytes",
            "OPS-6",
            &push(&[&block().with_payload(Bytes::new().u32("operation length", 983_041))]),
            "TOO_LONG",
            ("blocks", 36),
        ),
        at(
            "op-cut-short",
            "an operation that is not there, then that it is too short",
            "NOT-8 OPS-7",
            &push(&[&block().with_payload(Bytes::new().u32("operation length", 82).hex("cut", "01"))]),
            "TRUNCATED",
            ("blocks", 40),
        ),
        at(
            "decompressed-compressed",
            "a decompressed length over its cap, then bytes that are no LZ4",
            "BLK-15",
            &push(&[&lz4(block(), Bytes::new().u32("decompressed length", 1_048_577).hex("LZ4", "ff"))]),
            "TOO_LONG",
            ("blocks", 36),
        ),
        at(
            "compressed-ids-check",
            "bytes that are no LZ4, then the ids check",
            "BLK-16",
            &push(&[&lz4(block(), Bytes::new().u32("decompressed length", 9).hex("LZ4", "ff"))])
                .u32("ids check", 0),
            "BAD_COMPRESSION",
            ("blocks", 36),
        ),
        at(
            "first-payload-together",
            "the first payload, then the lengths together",
            "OPS-9 NOT-11",
            &all(&broken),
            "BAD_CHECKSUM",
            ("blocks", 36),
        ),
        at(
            "together-ids-check",
            "the lengths together, then the ids check",
            "MSG-34 MSG-24",
            &all(&full).u32("ids check", 0),
            "TOO_LONG",
            ("blocks", full.iter().map(|block| block.bytes().len()).sum::<usize>() + 36),
        ),
    ]
}
