//! Subscribe, unsubscribe, update, update ack (SPEC.md 7.9 to 7.12).

use super::super::build::{Bytes, Context, File, Flag, Group, Test, valid_as};
use super::parts::{
    EPOCH, Id, MAX_SEQ, Msg, OLD_EPOCH, bad, block, collections, crdt_block, cuts, envelope, fault, good,
    holed_block, largest_extensions, names16, other_block, positions, seqs16,
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
    fault::BAD_CHECKSUM,
    fault::UNKNOWN_FLAG,
    fault::BAD_POSITION,
    fault::BAD_REQUEST_ID,
    fault::UNEXPECTED_BLOCKS,
];

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: Context::ALL, tests };
    File {
        path: "v1/message/subscribe.json",
        target: "message",
        header: &["Subscribe, unsubscribe, update, update ack: hearing what others wrote."],
        flags: FLAGS,
        groups: vec![
            group("subscribe", subscribes()),
            group("unsubscribe", unsubscribes()),
            group("update", updates()),
            group("update ack", acks()),
            group("fields cut short", truncated()),
        ],
    }
}

pub(super) fn subscribe() -> Msg {
    Msg::new(0x0012, 4)
        .u32("subscription", 1)
        .position("from", EPOCH, 1)
        .u64("window", 1_048_576)
        .put("collections", names16(&["bugs", "users"]))
        .end()
}

pub(super) fn unsubscribe() -> Msg {
    Msg::new(0x0014, 0).u32("subscription", 1).end()
}

pub(super) fn update(seqs: &[u64], blocks: Bytes) -> Msg {
    Msg::new(0x0016, 0)
        .u32("subscription", 1)
        .position("previous", EPOCH, 1)
        .position("new", EPOCH, 2)
        .put("first seqs", seqs16(seqs))
        .end()
        .blocks(blocks)
}

pub(super) fn ack() -> Msg {
    Msg::new(0x0018, 0).u32("subscription", 1).position("position", EPOCH, 2).u64("window", 1_048_576).end()
}

fn subscribes() -> Vec<Test> {
    let minimal = subscribe()
        .u32("subscription", 0)
        .position("from", 0, 0)
        .u64("window", 0)
        .put("collections", names16(&[]));
    let names: Vec<_> = (100..356).map(|n| format!("{}{n}", "s".repeat(125))).collect();
    let largest = subscribe()
        .u32("subscription", u32::MAX)
        .u64("window", u64::MAX)
        .put("collections", names16(&names.iter().map(String::as_str).collect::<Vec<_>>()))
        .put("extensions", largest_extensions());
    let mut all = vec![
        good("subscribe-example", "two collections, from where the client is", "MSG-21", &subscribe()),
        good("subscribe-minimal", "everything from the start, paused", "MSG-2 MSG-21", &minimal),
        good("subscribe-largest", "256 names of 128 bytes", "MSG-21 OPS-12", &largest),
    ];
    all.extend(envelope("subscribe", &subscribe(), Id::Needed));
    all.extend(positions("subscribe", &subscribe(), "from"));
    all.extend(collections("subscribe", &subscribe()));
    all
}

fn unsubscribes() -> Vec<Test> {
    let largest = unsubscribe().u32("subscription", u32::MAX).put("extensions", largest_extensions());
    let mut all = vec![
        good("unsubscribe-example", "the end of subscription 1", "MSG-3", &unsubscribe()),
        good(
            "unsubscribe-minimal",
            "subscription 0 is a number like any other",
            "MSG-3",
            &unsubscribe().u32("subscription", 0),
        ),
        good("unsubscribe-largest", "the greatest number", "EXT-1 EXT-2", &largest),
    ];
    all.extend(envelope("unsubscribe", &unsubscribe(), Id::None));
    all
}

fn updates() -> Vec<Test> {
    let one = || update(&[2], other_block().bytes());
    let both = block().bytes().then(other_block().bytes());
    let two = |seqs: &[u64]| update(seqs, both.clone());
    let len = block().bytes().len();
    let other = other_block().bytes().len();
    let many = |count: u16| {
        let seqs: Vec<_> = (1..=u64::from(count)).collect();
        update(&seqs, Bytes::new().repeat("blocks", &block().bytes().bytes(), count.into()))
    };
    let largest = many(1_024).put("extensions", largest_extensions());
    let at = |plus| ("first seqs", plus);
    let mut all = vec![
        good("update-example", "what another node wrote", "MSG-22 MSG-6", &one()),
        good(
            "update-minimal",
            "nothing for this subscription; only the position moves",
            "MSG-22",
            &update(&[], Bytes::new()),
        ),
        good("update-largest", "1,024 blocks and a full extension block", "MSG-22 EXT-1 EXT-2", &largest),
        good("update-two-blocks", "blocks of two nodes", "MSG-6 MSG-22", &two(&[1, 2])),
        good(
            "update-holes",
            "a block that a filter took an operation from",
            "BLK-6 BLK-14 MSG-22 MSG-26",
            &update(&[2], holed_block().bytes()).position("new", EPOCH, 4),
        ),
        good(
            "update-crdt",
            "an operation that removes a field",
            "OPS-18",
            &update(&[2], crdt_block().bytes()),
        ),
        valid_as(
            "message/update-compressed",
            "a compressed block, as it was pushed",
            "BLK-4 MSG-34 NOT-2",
            update(&[2], other_block().lz4_bytes()).bytes(),
            &one().bytes(),
        ),
        good(
            "update-begins-before",
            "a block that begins before the reader's position",
            "MSG-22",
            &two(&[1, 9]),
        ),
        good(
            "update-back",
            "a new position below the previous is for the session to judge",
            "MSG-1",
            &one().position("previous", EPOCH, 9),
        ),
        good("update-1024-blocks", "1,024 blocks", "MSG-22", &many(1_024)),
        bad("update-1025-blocks", "1,025 blocks", "MSG-22", &many(1_025), "TOO_MANY", at(0)),
        good("update-seq-last", "the greatest seq", "MSG-22", &update(&[MAX_SEQ], other_block().bytes())),
        bad("update-seq-0", "a block that begins at 0", "MSG-22", &two(&[0, 2]), "BAD_POSITION", at(2)),
        bad(
            "update-seq-over",
            "one that begins at 2^53",
            "MSG-22",
            &two(&[1, MAX_SEQ + 1]),
            "BAD_POSITION",
            at(10),
        ),
        bad("update-seq-twice", "two that begin at one seq", "MSG-22", &two(&[2, 2]), "BAD_POSITION", at(10)),
        bad("update-seq-order", "seqs that descend", "MSG-22", &two(&[2, 1]), "BAD_POSITION", at(10)),
        bad(
            "update-block-missing",
            "a seq and no block",
            "MSG-6 NOT-8",
            &one().blocks(Bytes::new()),
            "TRUNCATED",
            ("blocks", 0),
        ),
        bad(
            "update-block-too-many",
            "one seq and two blocks",
            "MSG-6 NOT-9",
            &two(&[1]),
            "TRAILING_BYTES",
            ("blocks", len),
        ),
        bad(
            "update-block-cut",
            "a block whose last byte is missing",
            "MSG-6 NOT-8",
            &one().blocks(other_block().bytes().cut(other - 1)),
            "TRUNCATED",
            ("blocks", 36),
        ),
        bad(
            "update-header-checksum",
            "a header checksum with one bit flipped",
            "BLK-1",
            &one().blocks(other_block().bytes().with(33, &[other_block().bytes().bytes()[33] ^ 1])),
            "BAD_CHECKSUM",
            ("blocks", 32),
        ),
    ];
    all.extend(envelope("update", &one(), Id::None));
    all.extend(positions("update", &one(), "previous"));
    all.extend(positions("update", &one(), "new"));
    all
}

fn acks() -> Vec<Test> {
    let largest =
        ack().u32("subscription", u32::MAX).u64("window", u64::MAX).put("extensions", largest_extensions());
    let mut all = vec![
        good("update-ack-example", "applied up to operation 2", "MSG-1", &ack()),
        good(
            "update-ack-minimal",
            "nothing applied, paused",
            "MSG-2",
            &ack().position("position", 0, 0).u64("window", 0),
        ),
        good("update-ack-largest", "the widest window", "EXT-1 EXT-2", &largest),
        good(
            "update-ack-old-epoch",
            "an epoch that ended",
            "MSG-2",
            &ack().position("position", OLD_EPOCH, 80),
        ),
    ];
    all.extend(envelope("update-ack", &ack(), Id::None));
    all.extend(positions("update-ack", &ack(), "position"));
    all
}

fn truncated() -> Vec<Test> {
    let mut all = cuts(
        "subscribe",
        &subscribe(),
        &[
            ("subscription", 3, 0),
            ("from", 0, 0),
            ("from", 15, 8),
            ("window", 7, 0),
            ("collections", 0, 0),
            ("collections", 2, 2),
            ("collections", 3, 3),
            ("collections", 7, 7),
            ("collections", 12, 8),
            ("extensions", 0, 0),
        ],
    );
    all.extend(cuts(
        "unsubscribe",
        &unsubscribe(),
        &[("subscription", 0, 0), ("subscription", 3, 0), ("extensions", 0, 0)],
    ));
    all.extend(cuts(
        "update",
        &update(&[2], other_block().bytes()),
        &[
            ("subscription", 2, 0),
            ("previous", 7, 0),
            ("previous", 8, 8),
            ("new", 0, 0),
            ("new", 15, 8),
            ("first seqs", 1, 0),
            ("first seqs", 8, 2),
            ("extensions", 0, 0),
        ],
    ));
    all.extend(cuts(
        "update-ack",
        &ack(),
        &[
            ("subscription", 1, 0),
            ("position", 7, 0),
            ("position", 9, 8),
            ("window", 3, 0),
            ("extensions", 0, 0),
        ],
    ));
    all
}
