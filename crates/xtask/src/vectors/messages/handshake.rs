//! Handshake (SPEC.md 7.1).

use super::super::build::{Bytes, File, Flag, Group, Test};
use super::super::pieces::NODE;
use super::parts::{
    EPOCH, Id, MAX_NODE_SEQ, MAX_SEQ, Msg, OLD_EPOCH, OPENING, bad, capabilities, cuts, envelope, fault,
    good, largest_extensions, limits, list8, position,
};

const FLAGS: &[Flag] = &[
    fault::TRUNCATED,
    fault::TRAILING_BYTES,
    fault::TOO_LONG,
    fault::TOO_MANY,
    fault::EMPTY,
    fault::NON_CANONICAL,
    fault::OUT_OF_ORDER,
    fault::DUPLICATE,
    fault::BAD_UTF8,
    fault::BAD_MAGIC,
    fault::UNKNOWN_FLAG,
    fault::BAD_NODE,
    fault::BAD_NODE_SEQ,
    fault::BAD_POSITION,
    fault::BAD_NAME,
    fault::BAD_REQUEST_ID,
    fault::UNEXPECTED_BLOCKS,
];

const NODE_KEY: &str = "9f0c3ab15e7d42c8b6a1d3f4e5970812";

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: OPENING, tests };
    File {
        path: "v1/message/handshake.json",
        target: "message",
        header: &["Handshake: who connects, from where, with what."],
        flags: FLAGS,
        groups: vec![
            group("whole messages", whole()),
            group("protocol and version", protocol()),
            group("database names", databases()),
            group("node and seen", seen()),
            group("keys and authentication", authentication()),
            group("capabilities and limits", offers()),
            group("fields cut short", truncated()),
        ],
    }
}

pub(super) fn example() -> Msg {
    Msg::new(0x0002, 0)
        .text8("protocol", "blazedb-relay/1.0")
        .u16("min version", 0x0100)
        .u16("max version", 0x0100)
        .text8("database", "app")
        .put("node", Bytes::new().raw("node", &NODE))
        .put("node key", Bytes::new().hex("node key", NODE_KEY))
        .u64("highest given out", 1)
        .put("seen", list8("seen", &[]))
        .run16("public key", 0, 0)
        .put("capabilities", capabilities(&[0x0011, 0x0015, 0x0017]))
        .u16("authentication method", 1)
        .put("authentication", Bytes::new().text16("authentication", "token-of-ada"))
        .put("limits", limits(&[(0x000d, 262_144)]))
        .end()
}

fn minimal() -> Msg {
    example()
        .text8("protocol", "blazedb-relay/")
        .text8("database", "a")
        .u64("highest given out", 0)
        .put("capabilities", capabilities(&[]))
        .u16("authentication method", 0)
        .run16("authentication", 0, 0)
        .put("limits", limits(&[]))
}

/// A client that has been here before.
fn returning() -> Msg {
    let seen = [position("seen", EPOCH, 150), position("seen", OLD_EPOCH, 100)];
    example().u64("highest given out", 9).put("seen", list8("seen", &seen))
}

fn largest() -> Msg {
    let msg = example()
        .text8("protocol", "blazedb-relay/1.0-0123456789abcd")
        .text8("database", &"d".repeat(64))
        .u64("highest given out", MAX_NODE_SEQ)
        .put("seen", many_seen(16))
        .run16("public key", 0xab, 1_024)
        .put("capabilities", many_capabilities(64))
        .run16("authentication", 0x74, 8_192)
        .put("limits", many_limits(32))
        .put("extensions", largest_extensions());
    assert_eq!(msg.bytes().len(), 26_540, "as section 13 says");
    msg
}

fn many_seen(count: u64) -> Bytes {
    let seen: Vec<_> = (0..count).map(|n| position("seen", EPOCH + n, 1_000 - n)).collect();
    list8("seen", &seen)
}

pub(super) fn many_capabilities(count: u16) -> Bytes {
    capabilities(&(0..count).map(|n| 2 * n + 1).collect::<Vec<_>>())
}

pub(super) fn many_limits(count: u16) -> Bytes {
    limits(&(0..count).map(|n| (2 * n + 1, u64::from(n))).collect::<Vec<_>>())
}

fn whole() -> Vec<Test> {
    let mut all = vec![
        good(
            "handshake-example",
            "a client that never connected, with one insert to push",
            "MSG-8",
            &example(),
        ),
        good(
            "handshake-minimal",
            "the shortest protocol text and name, empty lists, no authentication",
            "MSG-8 MSG-10 MSG-15",
            &minimal(),
        ),
        good("handshake-returning", "a client that saw two epochs", "MSG-12", &returning()),
        good(
            "handshake-largest",
            "every field at its cap; 26,540 bytes, below the limit of 65,536",
            "MSG-8 MSG-10 MSG-11 MSG-12 MSG-13 MSG-14 MSG-16 EXT-1 EXT-2 FRM-3",
            &largest(),
        ),
    ];
    all.extend(envelope("handshake", &example(), Id::None));
    all
}

fn protocol() -> Vec<Test> {
    let text = |text: &str| example().text8("protocol", text);
    let raw = |raw: &[u8]| example().raw8("protocol", raw);
    let versions = |min, max| example().u16("min version", min).u16("max version", max);
    vec![
        good(
            "handshake-protocol-2",
            "what follows the slash is not looked at",
            "MSG-8",
            &text("blazedb-relay/2 é"),
        ),
        good(
            "handshake-protocol-32",
            "a protocol text of 32 bytes",
            "MSG-8",
            &text("blazedb-relay/1.0-0123456789abcd"),
        ),
        bad(
            "handshake-protocol-33",
            "a protocol text of 33 bytes",
            "MSG-8",
            &text("blazedb-relay/1.0-0123456789abcde"),
            "TOO_LONG",
            ("protocol", 0),
        ),
        bad("handshake-protocol-empty", "no protocol text", "MSG-8", &text(""), "BAD_MAGIC", ("protocol", 1)),
        bad(
            "handshake-protocol-without-slash",
            "the text ends before its slash",
            "MSG-8",
            &text("blazedb-relay"),
            "BAD_MAGIC",
            ("protocol", 1),
        ),
        bad(
            "handshake-protocol-upper-case",
            "a capital letter",
            "MSG-8",
            &text("Blazedb-relay/1.0"),
            "BAD_MAGIC",
            ("protocol", 1),
        ),
        bad("handshake-protocol-other", "HTTP", "MSG-8", &text("HTTP/1.1"), "BAD_MAGIC", ("protocol", 1)),
        bad(
            "handshake-protocol-utf8",
            "bytes behind the slash that are not UTF-8",
            "NOT-6 MSG-8",
            &raw(b"blazedb-relay/\xff"),
            "BAD_UTF8",
            ("protocol", 1),
        ),
        good("handshake-version-range", "versions 1.0 to 2.255", "MSG-9", &versions(0x0100, 0x02ff)),
        good("handshake-version-any", "versions 0.0 to 255.255", "MSG-9", &versions(0, 0xffff)),
        good(
            "handshake-version-later",
            "only version 3.0, which the relay refuses",
            "MSG-9",
            &versions(0x0300, 0x0300),
        ),
        bad(
            "handshake-version-order",
            "a min version one above the max version",
            "MSG-9",
            &versions(0x0101, 0x0100),
            "OUT_OF_ORDER",
            ("max version", 0),
        ),
    ]
}

fn databases() -> Vec<Test> {
    let ok = |id: &str, comment: &str, name: &str| {
        good(&format!("handshake-database-{id}"), comment, "MSG-10", &example().text8("database", name))
    };
    let fault = |id: &str, comment: &str, name: &str| {
        let msg = example().text8("database", name);
        bad(&format!("handshake-database-{id}"), comment, "MSG-10", &msg, "BAD_NAME", ("database", 1))
    };
    vec![
        ok("one-byte", "one letter", "x"),
        ok("digit-first", "a digit first", "0day"),
        ok("all-characters", "every kind of character that may be", "az09-_."),
        ok("dots-inside", "dots behind the first character", "a..b"),
        ok("64", "64 bytes", &"n".repeat(64)),
        bad(
            "handshake-database-65",
            "65 bytes",
            "MSG-10",
            &example().text8("database", &"n".repeat(65)),
            "TOO_LONG",
            ("database", 0),
        ),
        bad(
            "handshake-database-empty",
            "no name",
            "MSG-10",
            &example().text8("database", ""),
            "EMPTY",
            ("database", 0),
        ),
        fault("slash", "a slash", "a/b"),
        fault("backslash", "a backslash", "a\\b"),
        fault("parent", "two dots", ".."),
        fault("dot-first", "a dot first, which hides a file", ".app"),
        fault("upper-case", "a capital letter, which some file systems take for a small one", "App"),
        fault("dash-first", "a dash first, which looks like an option", "-app"),
        fault("underscore-first", "an underscore first", "_app"),
        fault("nul", "a NUL", "app\0"),
        fault("space", "a space", "my app"),
        fault("colon", "a colon", "c:app"),
        fault("not-ascii", "a letter that is not ASCII", "appé"),
        bad(
            "handshake-database-utf8",
            "a name that is not UTF-8",
            "NOT-6 MSG-10",
            &example().raw8("database", b"app\xc3"),
            "BAD_UTF8",
            ("database", 1),
        ),
    ]
}

fn seen() -> Vec<Test> {
    let seen = |list: &[(u64, u64)]| {
        let items: Vec<_> = list.iter().map(|&(epoch, seq)| position("seen", epoch, seq)).collect();
        example().put("seen", list8("seen", &items))
    };
    vec![
        bad(
            "handshake-node-nil",
            "the nil node",
            "MSG-11",
            &example().put("node", Bytes::new().raw("node", &[0; 16])),
            "BAD_NODE",
            ("node", 0),
        ),
        good(
            "handshake-node-not-random",
            "a node need not be a UUID of the usual variant",
            "MSG-11",
            &example().put("node", Bytes::new().raw("node", &[0xff; 16])),
        ),
        good(
            "handshake-key-zero",
            "a node key of zeros is not random, but legal",
            "MSG-11",
            &example().put("node key", Bytes::new().raw("node key", &[0; 16])),
        ),
        good(
            "handshake-highest-last",
            "2^48 - 1 given out",
            "MSG-11",
            &example().u64("highest given out", MAX_NODE_SEQ),
        ),
        bad(
            "handshake-highest-over",
            "2^48 given out",
            "MSG-11",
            &example().u64("highest given out", MAX_NODE_SEQ + 1),
            "BAD_NODE_SEQ",
            ("highest given out", 0),
        ),
        good(
            "handshake-seen-last",
            "the greatest epoch and seq",
            "MSG-12 MSG-1",
            &seen(&[(u64::MAX, MAX_SEQ)]),
        ),
        good("handshake-seen-seq-0", "an epoch with seq 0", "MSG-12 MSG-2", &seen(&[(EPOCH, 0)])),
        good(
            "handshake-seen-ascending",
            "a decoder does not check that the newest is first",
            "MSG-12",
            &seen(&[(1, 1), (2, 2)]),
        ),
        good("handshake-seen-same-seq", "two epochs with one seq", "MSG-12", &seen(&[(2, 5), (1, 5)])),
        good("handshake-seen-16", "16 positions", "MSG-12", &example().put("seen", many_seen(16))),
        bad(
            "handshake-seen-17",
            "17 positions",
            "MSG-12",
            &example().put("seen", many_seen(17)),
            "TOO_MANY",
            ("seen", 0),
        ),
        bad("handshake-seen-start", "(0, 0)", "MSG-12", &seen(&[(0, 0)]), "BAD_POSITION", ("seen", 1)),
        bad(
            "handshake-seen-no-epoch",
            "epoch 0 with seq 1",
            "MSG-2 MSG-12",
            &seen(&[(EPOCH, 9), (0, 1)]),
            "BAD_POSITION",
            ("seen", 17),
        ),
        bad(
            "handshake-seen-seq-over",
            "a seq of 2^53",
            "MSG-1 MSG-12",
            &seen(&[(EPOCH, MAX_SEQ + 1)]),
            "BAD_POSITION",
            ("seen", 1),
        ),
        bad(
            "handshake-seen-twice",
            "an epoch twice",
            "MSG-12",
            &seen(&[(3, 9), (3, 8)]),
            "DUPLICATE",
            ("seen", 17),
        ),
        bad(
            "handshake-seen-twice-apart",
            "an epoch twice with others between",
            "MSG-12",
            &seen(&[(3, 9), (2, 8), (1, 7), (3, 6)]),
            "DUPLICATE",
            ("seen", 49),
        ),
    ]
}

fn authentication() -> Vec<Test> {
    let method = |method| example().u16("authentication method", method);
    let key = |len| example().run16("public key", 0xab, len);
    let token = |len| example().run16("authentication", 0x74, len);
    vec![
        good("handshake-public-key-1024", "a public key of 1,024 bytes", "MSG-14", &key(1_024)),
        bad(
            "handshake-public-key-1025",
            "one of 1,025",
            "MSG-14",
            &key(1_025),
            "TOO_LONG",
            ("public key", 0),
        ),
        good("handshake-authentication-8192", "a token of 8,192 bytes", "MSG-14", &token(8_192)),
        bad(
            "handshake-authentication-8193",
            "one of 8,193",
            "MSG-14",
            &token(8_193),
            "TOO_LONG",
            ("authentication", 0),
        ),
        good("handshake-method-0", "no authentication", "MSG-15", &method(0).run16("authentication", 0, 0)),
        good("handshake-token-empty", "an empty token", "MSG-15", &token(0)),
        good("handshake-method-unknown", "a method that nobody knows decodes", "MSG-15", &method(0x1234)),
        bad(
            "handshake-method-0-with-token",
            "method 0 with a token",
            "MSG-15",
            &method(0),
            "NON_CANONICAL",
            ("authentication", 0),
        ),
    ]
}

fn offers() -> Vec<Test> {
    let can = |ids: &[u16]| example().put("capabilities", capabilities(ids));
    let told = |list: &[(u16, u64)]| example().put("limits", limits(list));
    vec![
        good("handshake-capabilities-none", "no capabilities", "MSG-13", &can(&[])),
        good(
            "handshake-capabilities-must",
            "even ones are for the relay to judge, also where the odd form is there too",
            "MSG-13",
            &can(&[0x0010, 0x0011, 0x0018]),
        ),
        good(
            "handshake-capabilities-unknown",
            "unknown ones, grease among them",
            "MSG-13 EXT-5",
            &can(&[0x005b, 0x7f5b, 0xffff]),
        ),
        good(
            "handshake-capabilities-64",
            "64 capabilities",
            "MSG-13",
            &example().put("capabilities", many_capabilities(64)),
        ),
        bad(
            "handshake-capabilities-65",
            "65 capabilities",
            "MSG-13",
            &example().put("capabilities", many_capabilities(65)),
            "TOO_MANY",
            ("capabilities", 0),
        ),
        bad(
            "handshake-capabilities-order",
            "capabilities that descend",
            "MSG-13",
            &can(&[0x0011, 0x0017, 0x0015]),
            "OUT_OF_ORDER",
            ("capabilities", 5),
        ),
        bad(
            "handshake-capability-twice",
            "one twice",
            "MSG-13",
            &can(&[0x0011, 0x0011]),
            "DUPLICATE",
            ("capabilities", 3),
        ),
        good("handshake-limits-none", "no limits", "MSG-16", &told(&[])),
        good(
            "handshake-limits-unknown",
            "unknown limits, an even one and grease among them, are for the relay to judge",
            "MSG-16 EXT-5",
            &told(&[(0x000c, 1), (0x005b, 0), (0xffff, u64::MAX)]),
        ),
        good("handshake-limits-32", "32 limits", "MSG-16", &example().put("limits", many_limits(32))),
        bad(
            "handshake-limits-33",
            "33 limits",
            "MSG-16",
            &example().put("limits", many_limits(33)),
            "TOO_MANY",
            ("limits", 0),
        ),
        bad(
            "handshake-limits-order",
            "limits that descend",
            "MSG-16",
            &told(&[(0x000d, 1), (0x0001, 2)]),
            "OUT_OF_ORDER",
            ("limits", 11),
        ),
        bad(
            "handshake-limit-twice",
            "a limit twice",
            "MSG-16",
            &told(&[(0x000d, 1), (0x000d, 1)]),
            "DUPLICATE",
            ("limits", 11),
        ),
    ]
}

fn truncated() -> Vec<Test> {
    let mut all = cuts(
        "handshake",
        &returning(),
        &[
            ("protocol", 0, 0),
            ("protocol", 1, 1),
            ("protocol", 17, 1),
            ("min version", 0, 0),
            ("min version", 1, 0),
            ("max version", 1, 0),
            ("database", 0, 0),
            ("database", 3, 1),
            ("node", 15, 0),
            ("node key", 8, 0),
            ("highest given out", 7, 0),
            ("seen", 0, 0),
            ("seen", 8, 1),
            ("seen", 16, 9),
            ("seen", 17, 17),
            ("public key", 1, 0),
            ("capabilities", 0, 0),
            ("capabilities", 2, 1),
            ("capabilities", 5, 5),
            ("authentication method", 1, 0),
            ("authentication", 1, 0),
            ("authentication", 2, 2),
            ("authentication", 13, 2),
            ("limits", 0, 0),
            ("limits", 2, 1),
            ("limits", 3, 3),
            ("limits", 10, 3),
            ("extensions", 0, 0),
        ],
    );
    all.extend(cuts(
        "handshake-with-key",
        &example().run16("public key", 0xab, 32),
        &[("public key", 33, 2)],
    ));
    all
}
