//! Sync state and pull (SPEC.md 7.3 to 7.6).

use super::super::build::{Bytes, Context, File, Flag, Group, Test, valid_as};
use super::parts::{
    EPOCH, Id, MAX_SEQ, Msg, OLD_EPOCH, bad, block, collections, cuts, envelope, fault, good, holed_block,
    largest_extensions, names16, other_block, positions, seqs16,
};

const FLAGS: &[Flag] = &[
    fault::TRUNCATED,
    fault::TRAILING_BYTES,
    fault::TOO_LONG,
    fault::TOO_MANY,
    fault::EMPTY,
    fault::OUT_OF_ORDER,
    fault::DUPLICATE,
    fault::BAD_UTF8,
    fault::BAD_BOOL,
    fault::BAD_CHECKSUM,
    fault::UNKNOWN_FLAG,
    fault::BAD_POSITION,
    fault::BAD_REQUEST_ID,
    fault::UNEXPECTED_BLOCKS,
];

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: Context::ALL, tests };
    File {
        path: "v1/message/pull.json",
        target: "message",
        header: &["Sync state, pull request, pull response: reading the log page by page."],
        flags: FLAGS,
        groups: vec![
            group("sync state", sync_state()),
            group("pull request", request()),
            group("pull response", response()),
            group("fields cut short", truncated()),
        ],
    }
}

pub(super) fn sync_state_request() -> Msg {
    Msg::new(0x0006, 2).end()
}

pub(super) fn sync_state_reply() -> Msg {
    Msg::new(0x0008, 2)
        .position("head", EPOCH, 1)
        .u64("operations", 1)
        .u64("nodes", 1)
        .u64("live records", 1)
        .u64("collections", 1)
        .end()
}

pub(super) fn pull_request() -> Msg {
    Msg::new(0x000a, 3)
        .position("from", 0, 0)
        .put("collections", names16(&["bugs"]))
        .u32("max operations", 0)
        .u32("max bytes", 1_048_576)
        .end()
}

pub(super) fn pull_response(seqs: &[u64], blocks: Bytes) -> Msg {
    Msg::new(0x000c, 3)
        .position("next", EPOCH, 1)
        .u8("has more", 0)
        .put("first seqs", seqs16(seqs))
        .end()
        .blocks(blocks)
}

fn sync_state() -> Vec<Test> {
    let zero = sync_state_reply()
        .position("head", 0, 0)
        .u64("operations", 0)
        .u64("nodes", 0)
        .u64("live records", 0)
        .u64("collections", 0);
    let largest = sync_state_reply()
        .position("head", u64::MAX, MAX_SEQ)
        .u64("operations", u64::MAX)
        .u64("nodes", u64::MAX)
        .u64("live records", u64::MAX)
        .u64("collections", u64::MAX)
        .put("extensions", largest_extensions());
    let mut all = vec![
        good("sync-state-request-example", "how far are you?", "MSG-3 MSG-5", &sync_state_request()),
        good(
            "sync-state-request-largest",
            "a full extension block",
            "EXT-1 EXT-2",
            &sync_state_request().put("extensions", largest_extensions()),
        ),
        good(
            "sync-state-example",
            "one operation of one node, one live record",
            "MSG-1 MSG-2",
            &sync_state_reply(),
        ),
        good("sync-state-minimal", "an empty log", "MSG-2", &zero),
        good("sync-state-largest", "numbers have no bound but their size", "MSG-1", &largest),
    ];
    all.extend(envelope("sync-state-request", &sync_state_request(), Id::Needed));
    all.extend(envelope("sync-state", &sync_state_reply(), Id::Needed));
    all.extend(positions("sync-state", &sync_state_reply(), "head"));
    all
}

fn request() -> Vec<Test> {
    let minimal = pull_request().put("collections", names16(&[])).u32("max bytes", 0);
    let names: Vec<_> = (100..356).map(|n| format!("{}{n}", "c".repeat(125))).collect();
    let largest = pull_request()
        .position("from", u64::MAX, MAX_SEQ)
        .put("collections", names16(&names.iter().map(String::as_str).collect::<Vec<_>>()))
        .u32("max operations", u32::MAX)
        .u32("max bytes", u32::MAX)
        .put("extensions", largest_extensions());
    let mut all = vec![
        good("pull-request-example", "the first page of one collection", "MSG-21", &pull_request()),
        good("pull-request-minimal", "everything from the start", "MSG-21", &minimal),
        good("pull-request-largest", "256 names of 128 bytes", "MSG-21 OPS-12", &largest),
    ];
    all.extend(envelope("pull-request", &pull_request(), Id::Needed));
    all.extend(positions("pull-request", &pull_request().u32("max operations", 1), "from"));
    all.extend(collections("pull-request", &pull_request()));
    all
}

fn response() -> Vec<Test> {
    let one = || pull_response(&[1], block().bytes());
    let two = || pull_response(&[1, 2], block().bytes().then(other_block().bytes()));
    let len = block().bytes().len();
    let seqs = |seqs: &[u64]| two().put("first seqs", seqs16(seqs));
    let more = |has_more| one().u8("has more", has_more);
    let many = |count: u16| {
        let seqs: Vec<_> = (1..=u64::from(count)).collect();
        pull_response(&seqs, Bytes::new().repeat("blocks", &block().bytes().bytes(), count.into()))
    };
    let at = |plus| ("first seqs", plus);
    let mut all = vec![
        good("pull-response-example", "the one block of the log", "MSG-22 MSG-23 MSG-6", &one()),
        good(
            "pull-response-minimal",
            "nothing there",
            "MSG-22 MSG-23",
            &pull_response(&[], Bytes::new()).position("next", 0, 0),
        ),
        good("pull-response-has-more", "a page that is not the last", "MSG-23", &more(1)),
        good("pull-response-two-blocks", "blocks of two nodes", "MSG-6 MSG-22", &two()),
        good(
            "pull-response-holes",
            "a block that a filter took an operation from",
            "MSG-22 BLK-6 BLK-14 MSG-26",
            &pull_response(&[1], holed_block().bytes()).position("next", EPOCH, 3),
        ),
        valid_as(
            "message/pull-response-compressed",
            "a compressed block, as it was stored",
            "BLK-4 MSG-34 NOT-2",
            pull_response(&[1], block().lz4_bytes()).bytes(),
            &one().bytes(),
        ),
        good(
            "pull-response-old-epoch",
            "an epoch that ended long ago",
            "MSG-2",
            &one().position("next", OLD_EPOCH, 1),
        ),
        good("pull-response-1024-blocks", "1,024 blocks", "MSG-22", &many(1_024)),
        bad("pull-response-1025-blocks", "1,025 blocks", "MSG-22", &many(1_025), "TOO_MANY", at(0)),
        good("pull-response-seq-last", "the greatest seq", "MSG-22", &seqs(&[1, MAX_SEQ])),
        bad(
            "pull-response-seq-0",
            "a block that begins at 0",
            "MSG-22",
            &seqs(&[0, 1]),
            "BAD_POSITION",
            at(2),
        ),
        bad(
            "pull-response-seq-over",
            "one that begins at 2^53",
            "MSG-22",
            &seqs(&[1, MAX_SEQ + 1]),
            "BAD_POSITION",
            at(10),
        ),
        bad(
            "pull-response-seq-twice",
            "two that begin at one seq",
            "MSG-22",
            &seqs(&[5, 5]),
            "BAD_POSITION",
            at(10),
        ),
        bad("pull-response-seq-order", "seqs that descend", "MSG-22", &seqs(&[5, 4]), "BAD_POSITION", at(10)),
        bad("pull-response-has-more-2", "has more 2", "MSG-23", &more(2), "BAD_BOOL", ("has more", 0)),
        bad("pull-response-has-more-255", "has more 255", "MSG-23", &more(255), "BAD_BOOL", ("has more", 0)),
        bad(
            "pull-response-block-missing",
            "two seqs and one block",
            "MSG-6 NOT-8",
            &one().put("first seqs", seqs16(&[1, 2])),
            "TRUNCATED",
            ("blocks", len),
        ),
        bad(
            "pull-response-block-too-many",
            "one seq and two blocks",
            "MSG-6 NOT-9",
            &two().put("first seqs", seqs16(&[1])),
            "TRAILING_BYTES",
            ("blocks", len),
        ),
        bad(
            "pull-response-block-without-seqs",
            "no seq and a block",
            "MSG-6 NOT-9",
            &one().put("first seqs", seqs16(&[])),
            "TRAILING_BYTES",
            ("blocks", 0),
        ),
        bad(
            "pull-response-header-checksum",
            "the second block's header checksum with one bit flipped",
            "BLK-1",
            &two().blocks(two_blocks_damaged(len + 32)),
            "BAD_CHECKSUM",
            ("blocks", len + 32),
        ),
        bad(
            "pull-response-operation-checksum",
            "the first block's operation has a checksum with one bit flipped",
            "OPS-9",
            &two().blocks(two_blocks_damaged(len - 4)),
            "BAD_CHECKSUM",
            ("blocks", len - 4),
        ),
    ];
    all.extend(envelope("pull-response", &one(), Id::Needed));
    all.extend(positions("pull-response", &one(), "next"));
    all
}

fn two_blocks_damaged(at: usize) -> Bytes {
    let blocks = block().bytes().then(other_block().bytes());
    blocks.with(at, &[blocks.bytes()[at] ^ 1])
}

fn truncated() -> Vec<Test> {
    let mut all = cuts("sync-state-request", &sync_state_request(), &[("extensions", 0, 0)]);
    all.extend(cuts(
        "sync-state",
        &sync_state_reply(),
        &[
            ("head", 0, 0),
            ("head", 8, 8),
            ("operations", 1, 0),
            ("nodes", 7, 0),
            ("live records", 0, 0),
            ("collections", 4, 0),
            ("extensions", 0, 0),
        ],
    ));
    all.extend(cuts(
        "pull-request",
        &pull_request(),
        &[
            ("from", 3, 0),
            ("from", 12, 8),
            ("collections", 1, 0),
            ("collections", 2, 2),
            ("collections", 6, 3),
            ("max operations", 0, 0),
            ("max bytes", 3, 0),
            ("extensions", 0, 0),
        ],
    ));
    all.extend(cuts(
        "pull-response",
        &pull_response(&[1], block().bytes()),
        &[
            ("next", 7, 0),
            ("next", 15, 8),
            ("has more", 0, 0),
            ("first seqs", 1, 0),
            ("first seqs", 2, 2),
            ("first seqs", 9, 2),
            ("extensions", 0, 0),
        ],
    ));
    all
}
