//! Push and push ack (SPEC.md 7.7 and 7.8).

use super::super::build::{Bytes, Context, File, Flag, Group, Test, valid_as};
use super::super::pieces::{BlockParts, OTHER, OpParts, ids_check, literals, rows};
use super::parts::{
    EPOCH, Id, MAX_NODE_SEQ, MAX_SEQ, Msg, bad, block, cuts, envelope, fault, good, largest_extensions,
    list16,
};

const FLAGS: &[Flag] = &[
    fault::TRUNCATED,
    fault::TRAILING_BYTES,
    fault::TOO_LONG,
    fault::TOO_MANY,
    fault::EMPTY,
    fault::OUT_OF_ORDER,
    fault::BAD_CHECKSUM,
    fault::BAD_IDS_CHECK,
    fault::BAD_COMPRESSION,
    fault::UNKNOWN_FLAG,
    fault::UNKNOWN_CODE,
    fault::UNKNOWN_ENCODING,
    fault::BAD_POSITION,
    fault::BAD_REQUEST_ID,
    fault::MIXED_NODES,
    fault::NOT_CONTIGUOUS,
    fault::UNEXPECTED_BLOCKS,
];

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: Context::ALL, tests };
    File {
        path: "v1/message/push.json",
        target: "message",
        header: &["Push and push ack: operations on their way to the log, and what became of them."],
        flags: FLAGS,
        groups: vec![
            group("push", whole()),
            group("blocks of a push", blocks()),
            group("inside the blocks", inside()),
            group("compressed blocks", compressed()),
            group("push ack", acks()),
            group("entries", entries()),
            group("fields cut short", truncated()),
        ],
    }
}

/// A push of these blocks.
pub(super) fn push(blocks: &[&BlockParts]) -> Msg {
    let all = blocks.iter().fold(Bytes::new(), |all, block| all.then(block.bytes()));
    Msg::new(0x000e, 1)
        .u16("block count", u16::try_from(blocks.len()).expect("few blocks"))
        .u32("ids check", ids_check(blocks))
        .end()
        .blocks(all)
}

/// The most bytes of a payload.
pub(super) const MAX_BLOCK: usize = 1_048_576;

/// One block of one operation, so that many fit.
fn small(node_seq: u64) -> BlockParts {
    BlockParts::of(node_seq, vec![OpParts::smallest(node_seq)])
}

fn two() -> [BlockParts; 2] {
    [BlockParts::of(1, vec![OpParts::bug(1), OpParts::delete(2)]), small(3)]
}

/// A block with a payload of so many bytes: the largest operation, and one that fills the rest.
fn large_block(first: u64, size: usize) -> BlockParts {
    let op = |node_seq, len: usize| {
        // 82 bytes around collection and field, 4 of collection, 1 of key, 5 of tag and length.
        let text = len - 92;
        let text32 = u32::try_from(text).expect("a length");
        let field = Bytes::new().hex("key title", "06").hex("string", "01").u32("length", text32);
        OpParts { count: 1, fields: field.repeat("text", b"a", text), ..OpParts::bug(node_seq) }
    };
    BlockParts::of(first, vec![op(first, 983_040), op(first + 1, size - 4 - 983_040 - 4)])
}

/// The same, with each run of text as one LZ4 match.
pub(super) fn large_block_lz4(first: u64, size: usize) -> BlockParts {
    let mut plain = large_block(first, size);
    let payload = plain.payload.bytes();
    // Ends of the heads in front of the texts, and of the checksums behind them.
    let (op, head) = (4 + 983_040, 4 + 82 - 4 + 4 + 6);
    let packed = Bytes::new()
        .u32("decompressed length", u32::try_from(size).expect("a length"))
        .then(literals_then_match(&payload[..=head], op - 4 - head - 1))
        .then(literals_then_match(&payload[op - 4..=op + head], payload.len() - op - 4 - head - 1))
        .then(literals(&payload[payload.len() - 4..]));
    plain.flags |= 1;
    plain.with_payload(packed)
}

/// An LZ4 sequence: literals, and a match of so many bytes that repeats the last of them.
fn literals_then_match(plain: &[u8], len: usize) -> Bytes {
    let literals = literals(plain).bytes();
    let rest = len - 4 - 15;
    Bytes::new()
        .u8("LZ4 token", literals[0] | 0x0f)
        .raw("LZ4 literals", &literals[1..])
        .hex("LZ4 offset", "0100")
        .repeat("LZ4 match length", &[0xff], rest / 255)
        .u8("LZ4 match length", u8::try_from(rest % 255).expect("below 255"))
}

fn whole() -> Vec<Test> {
    let example = push(&[&block()]);
    let [first, second] = two();
    let many: Vec<_> = (1..=1_024).map(small).collect();
    let many = push(&many.iter().collect::<Vec<_>>());
    let mut all = vec![
        good("push-example", "one block with one insert", "MSG-24 MSG-25 MSG-6", &example),
        good("push-minimal", "the smallest operation", "MSG-24 MSG-25", &push(&[&small(1)])),
        good(
            "push-two-blocks",
            "two blocks, the second where the first ended",
            "MSG-6 MSG-24 MSG-25 MSG-27",
            &push(&[&first, &second]),
        ),
        good("push-last-number", "the greatest node_seq", "MSG-27 BLK-7", &push(&[&small(MAX_NODE_SEQ)])),
        good("push-1024-blocks", "1,024 blocks", "MSG-25 MSG-27", &many),
        good(
            "push-largest-block",
            "a block with 1,048,576 bytes of payload",
            "BLK-9 OPS-6",
            &push(&[&large_block(1, MAX_BLOCK)]),
        ),
        good(
            "push-largest-extensions",
            "16 extensions of 1,024 bytes beside a block",
            "EXT-1 EXT-2",
            &example.clone().put("extensions", largest_extensions()),
        ),
        bad(
            "push-no-blocks",
            "block count 0 and no blocks",
            "MSG-25",
            &example.clone().u16("block count", 0).blocks(Bytes::new()),
            "EMPTY",
            ("block count", 0),
        ),
        bad(
            "push-1025-blocks",
            "a count of 1,025, which is refused before the blocks are looked for",
            "MSG-25",
            &example.clone().u16("block count", 1_025),
            "TOO_MANY",
            ("block count", 0),
        ),
        bad(
            "push-ids-check",
            "an ids check with one bit flipped",
            "MSG-24",
            &example.clone().u32("ids check", ids_check(&[&block()]) ^ 1),
            "BAD_IDS_CHECK",
            ("ids check", 0),
        ),
        bad(
            "push-ids-check-of-other-number",
            "a whole operation was exchanged for another one",
            "MSG-24",
            &push(&[&small(2)]).u32("ids check", ids_check(&[&small(1)])),
            "BAD_IDS_CHECK",
            ("ids check", 0),
        ),
        bad(
            "push-ids-check-order",
            "the ids check of the same operations in another order",
            "MSG-24",
            &push(&[&first, &second]).u32("ids check", ids_check(&[&second, &first])),
            "BAD_IDS_CHECK",
            ("ids check", 0),
        ),
        bad(
            "push-ids-check-0",
            "ids check 0 does not mean that there is none",
            "MSG-24",
            &example.clone().u32("ids check", 0),
            "BAD_IDS_CHECK",
            ("ids check", 0),
        ),
    ];
    all.extend(envelope("push", &example, Id::Needed));
    all
}

fn blocks() -> Vec<Test> {
    let one = || push(&[&block()]);
    let len = block().bytes().len();
    let pair = |second: BlockParts| push(&[&block(), &second]);
    let holes = BlockParts::of(1, vec![OpParts::bug(1), OpParts::bug(3)]).holes(3);
    let alien = BlockParts { node: OTHER, ..BlockParts::of(2, vec![OpParts::smallest(2).by(OTHER)]) };
    vec![
        bad(
            "push-block-missing",
            "two blocks announced, one there",
            "MSG-6 NOT-8",
            &one().u16("block count", 2),
            "TRUNCATED",
            ("blocks", len),
        ),
        bad(
            "push-blocks-missing",
            "one block announced, no blocks at all",
            "MSG-6 NOT-8",
            &one().blocks(Bytes::new()),
            "TRUNCATED",
            ("blocks", 0),
        ),
        bad(
            "push-block-too-many",
            "one block announced, two there",
            "MSG-6 NOT-9",
            &pair(small(2)).u16("block count", 1),
            "TRAILING_BYTES",
            ("blocks", len),
        ),
        bad(
            "push-block-then-byte",
            "a byte after the last block",
            "MSG-6 NOT-9",
            &one().blocks(block().bytes().u8("too much", 0)),
            "TRAILING_BYTES",
            ("blocks", len),
        ),
        bad(
            "push-header-cut",
            "35 bytes of the second block's header",
            "NOT-8 MSG-6",
            &pair(small(2)).blocks(block().bytes().then(small(2).bytes().cut(35))),
            "TRUNCATED",
            ("blocks", len),
        ),
        bad(
            "push-payload-cut",
            "a block whose last byte is missing",
            "NOT-8 MSG-6",
            &one().blocks(block().bytes().cut(len - 1)),
            "TRUNCATED",
            ("blocks", 36),
        ),
        bad(
            "push-header-checksum",
            "a header checksum with one bit flipped",
            "BLK-1",
            &one().blocks(block().bytes().with(35, &[block().bytes().bytes()[35] ^ 1])),
            "BAD_CHECKSUM",
            ("blocks", 32),
        ),
        bad(
            "push-packed",
            "encoding 02 is reserved",
            "BLK-2",
            &push(&[&BlockParts { encoding: 2, ..block() }]),
            "UNKNOWN_ENCODING",
            ("blocks", 0),
        ),
        bad("push-holes", "flag holes", "MSG-26", &push(&[&holes]), "NOT_CONTIGUOUS", ("blocks", 1)),
        bad(
            "push-two-nodes",
            "two blocks of two nodes",
            "MSG-27",
            &pair(alien),
            "MIXED_NODES",
            ("blocks", len + 12),
        ),
        bad(
            "push-gap",
            "the second block leaves out a number",
            "MSG-27",
            &pair(small(3)),
            "NOT_CONTIGUOUS",
            ("blocks", len + 6),
        ),
        bad(
            "push-overlap",
            "the second block begins with the last number of the first",
            "MSG-27",
            &push(&[&two()[0], &small(2)]),
            "NOT_CONTIGUOUS",
            ("blocks", two()[0].bytes().len() + 6),
        ),
        bad(
            "push-block-twice",
            "the same block twice",
            "MSG-27",
            &pair(block()),
            "NOT_CONTIGUOUS",
            ("blocks", len + 6),
        ),
        bad(
            "push-backwards",
            "the blocks in the wrong order",
            "MSG-27",
            &push(&[&small(2), &small(1)]),
            "NOT_CONTIGUOUS",
            ("blocks", small(2).bytes().len() + 6),
        ),
        good(
            "push-begins-anywhere",
            "where a push begins is for the session to judge",
            "MSG-27",
            &push(&[&small(1_000), &small(1_001)]),
        ),
        good(
            "push-other-author",
            "an operation that another node wrote, delivered by this one",
            "MSG-27 BLK-12",
            &push(&[&BlockParts::of(1, vec![OpParts { author: OTHER, ..OpParts::bug(1) }])]),
        ),
    ]
}

fn inside() -> Vec<Test> {
    let of = |op: OpParts| push(&[&BlockParts::of(1, vec![op])]);
    let update = |hex: &str| of(OpParts::update(1, Bytes::new().hex("key status", "08").hex("value", hex)));
    let len = block().bytes().len();
    let second = BlockParts::of(2, vec![OpParts::bug(2)]);
    let damaged = second
        .bytes()
        .with(second.bytes().len() - 1, &[second.bytes().bytes()[second.bytes().len() - 1] ^ 1]);
    let mixed = BlockParts::of(1, vec![OpParts::bug(1), OpParts::bug(2).by(OTHER)]);
    let twice = BlockParts::of(1, vec![OpParts::bug(1), OpParts::bug(1)]);
    let op = 4 + OpParts::bug(1).bytes().len();
    vec![
        good("push-removed", "an update that removes a field", "OPS-18 VAL-12", &update("0c")),
        good(
            "push-patch",
            "an update of one entry of a dictionary",
            "OPS-18 VAL-12",
            &update("0d 0001 0001 78 1201"),
        ),
        good(
            "push-counter",
            "a counter that begins at nothing",
            "OPS-18 VAL-13 VAL-14",
            &update("0e 0000000000000000 00000000000000000000000000000000 0000000000000005"),
        ),
        bad(
            "push-operation-checksum",
            "the operation of the second block has a checksum with one bit flipped",
            "OPS-9",
            &push(&[&block(), &second]).blocks(block().bytes().then(damaged)),
            "BAD_CHECKSUM",
            ("blocks", len + second.bytes().len() - 4),
        ),
        bad(
            "push-mixed-block",
            "two nodes in one block",
            "BLK-12",
            &push(&[&mixed]),
            "MIXED_NODES",
            ("blocks", 36 + op + 4 + 42),
        ),
        bad(
            "push-number-twice",
            "a number twice in one block",
            "BLK-13",
            &push(&[&twice]),
            "NOT_CONTIGUOUS",
            ("blocks", 36 + op + 4 + 2),
        ),
        bad(
            "push-payload-trailing",
            "a byte behind the last operation of the block",
            "BLK-11 NOT-9",
            &push(&[&block().with_payload(rows(&[OpParts::bug(1).bytes()]).u8("too much", 0))]),
            "TRAILING_BYTES",
            ("blocks", 36 + op),
        ),
        bad(
            "push-payload-short",
            "two operations counted, one there",
            "BLK-11 NOT-8",
            &push(&[&BlockParts { count: 2, span: 2, ..block() }]),
            "TRUNCATED",
            ("blocks", 36 + op),
        ),
    ]
}

fn compressed() -> Vec<Test> {
    let plain = push(&[&block()]);
    let lz4 = |block: BlockParts| plain.clone().blocks(block.bytes());
    let packed = block().lz4();
    let inner = packed.payload.bytes();
    let len = u32::try_from(block().payload.len()).expect("a length");
    let payload = |len: u32, from: usize, to: usize| {
        packed.clone().with_payload(Bytes::new().u32("decompressed length", len).raw("LZ4", &inner[from..to]))
    };
    let end = inner.len();
    // Three blocks at their cap, one that leaves 86 bytes, one of 87.
    let sizes = [MAX_BLOCK, MAX_BLOCK, MAX_BLOCK, MAX_BLOCK - 86];
    let mut many: Vec<_> = (0..4).map(|n| large_block_lz4(1 + 2 * n, sizes[n as usize])).collect();
    let before: usize = many.iter().map(|block| block.bytes().len()).sum();
    many.push(small(9).lz4());
    let many = push(&many.iter().collect::<Vec<_>>());
    let full: Vec<_> = (0..4).map(|n| large_block_lz4(1 + 2 * n, MAX_BLOCK)).collect();
    let full = push(&full.iter().collect::<Vec<_>>()).u32("ids check", 0);
    let [first, second] = two();
    let both = push(&[&first.clone().lz4(), &second]);
    vec![
        valid_as(
            "message/push-compressed",
            "the example with its block as LZ4; encoding gives it without",
            "BLK-4 BLK-16 BLK-17 MSG-34 NOT-2",
            lz4(packed.clone()).bytes(),
            &plain.bytes(),
        ),
        valid_as(
            "message/push-compressed-and-plain",
            "a compressed and a plain block; the ids check is that of the operations",
            "BLK-4 MSG-24 MSG-34",
            both.bytes(),
            &push(&[&first, &second]).bytes(),
        ),
        bad(
            "push-decompressed-0",
            "a decompressed length of 0",
            "BLK-15",
            &lz4(payload(0, 4, end)),
            "EMPTY",
            ("blocks", 36),
        ),
        bad(
            "push-decompressed-over",
            "a decompressed length of 1,048,577",
            "BLK-15",
            &lz4(payload(1_048_577, 4, end)),
            "TOO_LONG",
            ("blocks", 36),
        ),
        bad(
            "push-decompressed-less",
            "the bytes give one more than declared",
            "BLK-17",
            &lz4(payload(len - 1, 4, end)),
            "BAD_COMPRESSION",
            ("blocks", 36),
        ),
        bad(
            "push-decompressed-more",
            "the bytes give one less than declared",
            "BLK-17",
            &lz4(payload(len + 1, 4, end)),
            "BAD_COMPRESSION",
            ("blocks", 36),
        ),
        bad(
            "push-compressed-cut",
            "the last literal is missing",
            "BLK-16",
            &lz4(payload(len, 4, end - 1)),
            "BAD_COMPRESSION",
            ("blocks", 36),
        ),
        bad(
            "push-decompressed-together-over",
            "five blocks in 17 KiB: 4,194,305 bytes decompressed together",
            "MSG-34",
            &many,
            "TOO_LONG",
            ("blocks", before + 36),
        ),
        bad(
            "push-decompressed-together-cap",
            "four blocks of 4,194,304 bytes together are looked into, so that the ids check is missed",
            "MSG-24",
            &full,
            "BAD_IDS_CHECK",
            ("ids check", 0),
        ),
    ]
}

pub(super) fn ack(entries: &[Bytes]) -> Msg {
    Msg::new(0x0010, 1).put("entries", list16("entries", entries)).end()
}

pub(super) fn accepted(epoch: u64, first: u64, last: u64) -> Bytes {
    Bytes::new().u8("accepted", 1).u64("epoch", epoch).u64("first seq", first).u64("last seq", last)
}

pub(super) fn refused(code: u16, index: u16) -> Bytes {
    Bytes::new().u8("refused", 2).u16("error code", code).u16("index", index)
}

pub(super) fn later(wait: u32) -> Bytes {
    Bytes::new().u8("later", 3).u32("wait", wait)
}

fn acks() -> Vec<Test> {
    let example = ack(&[accepted(EPOCH, 1, 1)]);
    let many = |count: u16| {
        let entries =
            Bytes::new().u16("entries count", count).repeat("later", &later(100).bytes(), count.into());
        ack(&[]).put("entries", entries)
    };
    let largest: Vec<_> = (0..1_024).map(|n| accepted(EPOCH, n + 1, n + 1)).collect();
    let mut all = vec![
        good("push-ack-example", "one block, accepted as operation 1", "MSG-28 MSG-30", &example),
        good("push-ack-minimal", "one block, not now", "MSG-28", &ack(&[later(0)])),
        good(
            "push-ack-largest",
            "1,024 blocks, all accepted",
            "MSG-28",
            &ack(&largest).put("extensions", largest_extensions()),
        ),
        good("push-ack-1024-later", "1,024 blocks, all later", "MSG-28 MSG-31", &many(1_024)),
        bad("push-ack-1025", "1,025 entries", "MSG-28", &many(1_025), "TOO_MANY", ("entries", 0)),
        bad("push-ack-none", "no entry", "MSG-28", &ack(&[]), "EMPTY", ("entries", 0)),
    ];
    all.extend(envelope("push-ack", &example, Id::Needed));
    all
}

fn entries() -> Vec<Test> {
    let ok = |id: &str, comment: &str, spec, entries: &[Bytes]| {
        good(&format!("push-ack-{id}"), comment, spec, &ack(entries))
    };
    let fault = |id: &str, comment: &str, entry: Bytes, plus| {
        bad(&format!("push-ack-{id}"), comment, "MSG-30", &ack(&[entry]), "BAD_POSITION", ("entries", plus))
    };
    let status = |status| ack(&[accepted(EPOCH, 1, 1).with(0, &[status])]);
    let order = |id: &str, comment: &str, entries: &[Bytes], plus| {
        bad(&format!("push-ack-{id}"), comment, "MSG-31", &ack(entries), "OUT_OF_ORDER", ("entries", plus))
    };
    vec![
        ok("refused", "the second operation may not be written", "MSG-29", &[refused(302, 1)]),
        ok("refused-unknown", "a code that nobody knows means 600", "MSG-29", &[refused(9_999, 65_535)]),
        ok("later", "wait as long as can be said", "MSG-29", &[later(u32::MAX)]),
        ok(
            "each",
            "one of each, then later until the end",
            "MSG-29 MSG-31",
            &[accepted(EPOCH, 1, 3), refused(301, 0), accepted(EPOCH, 4, 4), later(100), later(100)],
        ),
        ok(
            "epochs",
            "two entries of two epochs need not ascend",
            "MSG-30",
            &[accepted(9, 5, 6), accepted(8, 1, 2)],
        ),
        ok("last-seq", "the greatest epoch and seq", "MSG-30", &[accepted(u64::MAX, MAX_SEQ, MAX_SEQ)]),
        bad("push-ack-status-0", "status 0", "MSG-29", &status(0), "UNKNOWN_CODE", ("entries", 2)),
        bad("push-ack-status-4", "status 4", "MSG-29", &status(4), "UNKNOWN_CODE", ("entries", 2)),
        fault("epoch-0", "accepted in epoch 0", accepted(0, 1, 1), 3),
        fault("first-seq-0", "accepted as operation 0", accepted(EPOCH, 0, 1), 11),
        fault("first-seq-over", "accepted as operation 2^53", accepted(EPOCH, MAX_SEQ + 1, MAX_SEQ + 1), 11),
        fault("last-seq-below", "a last seq below the first", accepted(EPOCH, 2, 1), 19),
        fault("last-seq-over", "a last seq of 2^53", accepted(EPOCH, 1, MAX_SEQ + 1), 19),
        order("later-then-accepted", "accepted after later", &[later(1), accepted(EPOCH, 1, 1)], 7),
        order("later-then-refused", "refused after later", &[later(1), later(1), refused(300, 0)], 12),
    ]
}

fn truncated() -> Vec<Test> {
    let msg = push(&[&block()]);
    let mut all = cuts(
        "push",
        &msg,
        &[
            ("block count", 0, 0),
            ("block count", 1, 0),
            ("ids check", 0, 0),
            ("ids check", 3, 0),
            ("extensions", 0, 0),
        ],
    );
    all.extend(cuts(
        "push-ack",
        &ack(&[accepted(EPOCH, 1, 1)]),
        &[
            ("entries", 0, 0),
            ("entries", 1, 0),
            ("entries", 2, 2),
            ("entries", 3, 3),
            ("entries", 10, 3),
            ("entries", 18, 11),
            ("entries", 26, 19),
            ("extensions", 0, 0),
        ],
    ));
    all.extend(cuts("push-ack-refused", &ack(&[refused(302, 1)]), &[("entries", 4, 3), ("entries", 6, 5)]));
    all.extend(cuts("push-ack-later", &ack(&[later(1)]), &[("entries", 6, 3)]));
    all
}
