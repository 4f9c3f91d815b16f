//! Extensions and unknown message types (SPEC.md 8), shown on ping.

use super::super::build::{Bytes, Context, File, Flag, Group, Test, valid};
use super::parts::{
    Msg, NOTHING, OPENING, bad, bad_bytes, cuts, extension, fault, good, largest_extensions, list8, run16,
};

const FLAGS: &[Flag] = &[
    fault::TRUNCATED,
    fault::TRAILING_BYTES,
    fault::TOO_LONG,
    fault::TOO_MANY,
    fault::OUT_OF_ORDER,
    fault::DUPLICATE,
    fault::BAD_CHECKSUM,
    fault::UNKNOWN_FLAG,
    fault::UNKNOWN_MESSAGE,
    fault::UNKNOWN_EXTENSION,
];

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: Context::ALL, tests };
    File {
        path: "v1/message/extensions.json",
        target: "message",
        header: &["Extension blocks and unknown message types: odd may be ignored, even may not."],
        flags: FLAGS,
        groups: vec![
            group("extensions", extensions()),
            group("faults of extensions", faults()),
            group("fields cut short", truncated()),
            group("unknown messages", unknown()),
            Group { name: "unknown before welcome", context: OPENING, tests: unknown_before_welcome() },
            Group { name: "unknown with nothing agreed on", context: NOTHING, tests: unknown_without() },
        ],
    }
}

/// A ping with these extensions.
fn ping(extensions: &[Bytes]) -> Msg {
    Msg::new(0x0022, 0).u64("nonce", 2).put("extensions", list8("extensions", extensions))
}

fn of(kinds: &[u16]) -> Msg {
    ping(&kinds.iter().map(|kind| extension(*kind, 1)).collect::<Vec<_>>())
}

fn many(count: u16) -> Msg {
    of(&(0..count).map(|n| 2 * n + 1).collect::<Vec<_>>())
}

fn extensions() -> Vec<Test> {
    let one = |kind, len| ping(&[extension(kind, len)]);
    vec![
        good("extension-odd", "an unknown odd type is ignored and kept", "EXT-3 NOT-2", &one(1, 4)),
        good("extension-empty", "an extension without bytes", "EXT-2 EXT-3", &one(1, 0)),
        good("extension-1024", "1,024 bytes", "EXT-2", &one(3, 1_024)),
        good("extension-two", "two that ascend", "EXT-1 EXT-3", &of(&[1, 3])),
        good(
            "extension-neighbours",
            "types that differ in the high byte alone",
            "EXT-1",
            &of(&[0x0001, 0x0101]),
        ),
        good("extension-16", "16 extensions", "EXT-1", &many(16)),
        good(
            "extension-16-of-1024",
            "16 of 1,024 bytes",
            "EXT-1 EXT-2",
            &ping(&[]).put("extensions", largest_extensions()),
        ),
        good("extension-grease", "a type that is never assigned", "EXT-3 EXT-5", &one(0x005b, 7)),
        good("extension-grease-last", "the last of them", "EXT-3 EXT-5", &one(0xff5b, 0)),
        good("extension-private", "the first odd type for private use", "EXT-3", &one(0x8001, 2)),
        good("extension-last", "the greatest type", "EXT-3 EXT-1", &of(&[0x7fff, 0xffff])),
        good(
            "extension-like-an-extension",
            "its bytes look like an extension of an even type; they are not looked into",
            "EXT-3",
            &ping(&[Bytes::new().u16("extension type", 1).u16("length", 5).hex("data", "0000020000")]),
        ),
    ]
}

fn faults() -> Vec<Test> {
    let even = |id: &str, comment: &str, kind| {
        let msg = ping(&[extension(kind, 1)]);
        bad(&format!("extension-even-{id}"), comment, "EXT-3", &msg, "UNKNOWN_EXTENSION", ("extensions", 1))
    };
    // One extension of one byte takes five.
    let second = ("extensions", 1 + 5);
    let count = |count| ping(&[]).put("extensions", Bytes::new().u8("count", count));
    vec![
        even("0", "type 0", 0),
        even("2", "the first even type", 2),
        even("5a", "an even type that is never assigned", 0x005a),
        even("private", "an even type for private use", 0x8000),
        even("last", "the greatest even type", 0xfffe),
        bad(
            "extension-even-second",
            "an odd type, then an even one",
            "EXT-3",
            &of(&[1, 2]),
            "UNKNOWN_EXTENSION",
            second,
        ),
        bad("extension-17", "17 extensions", "EXT-1", &many(17), "TOO_MANY", ("extensions", 0)),
        bad(
            "extension-count-255",
            "255 announced, none there: the cap is checked first",
            "EXT-1 NOT-7",
            &count(255),
            "TOO_MANY",
            ("extensions", 0),
        ),
        bad("extension-twice", "a type twice", "EXT-1", &of(&[1, 1]), "DUPLICATE", second),
        bad("extension-order", "types that descend", "EXT-1", &of(&[3, 1]), "OUT_OF_ORDER", second),
        bad(
            "extension-order-high-byte",
            "types that descend in the high byte",
            "EXT-1",
            &of(&[0x0101, 0x0003]),
            "OUT_OF_ORDER",
            second,
        ),
        bad(
            "extension-twice-apart",
            "a type twice with another between is out of order",
            "EXT-1",
            &of(&[1, 3, 1]),
            "OUT_OF_ORDER",
            ("extensions", 1 + 10),
        ),
        bad(
            "extension-1025",
            "1,025 bytes",
            "EXT-2",
            &ping(&[extension(1, 1_025)]),
            "TOO_LONG",
            ("extensions", 3),
        ),
        bad(
            "extension-length-huge",
            "a length of 65,535 and no bytes: the cap is checked first",
            "EXT-2 NOT-6",
            &ping(&[Bytes::new().u16("extension type", 1).u16("length", 65_535)]),
            "TOO_LONG",
            ("extensions", 3),
        ),
        bad(
            "extension-count-low",
            "one counted, two there",
            "MSG-5 NOT-9",
            &ping(&[])
                .put("extensions", Bytes::new().u8("count", 1).then(extension(1, 1)).then(extension(3, 1))),
            "TRAILING_BYTES",
            second,
        ),
        bad(
            "extension-count-high",
            "two counted, one there",
            "NOT-8",
            &ping(&[]).put("extensions", Bytes::new().u8("count", 2).then(extension(1, 1))),
            "TRUNCATED",
            second,
        ),
        bad(
            "extension-blocks-twice",
            "two extension blocks",
            "MSG-5 NOT-9",
            &ping(&[]).put("extensions", Bytes::new().u8("count", 0).u8("count", 0)),
            "TRAILING_BYTES",
            ("extensions", 1),
        ),
    ]
}

fn truncated() -> Vec<Test> {
    let mut all = cuts(
        "extension",
        &ping(&[extension(1, 4)]),
        &[
            ("extensions", 0, 0),
            ("extensions", 1, 1),
            ("extensions", 2, 1),
            ("extensions", 3, 3),
            ("extensions", 4, 3),
            ("extensions", 5, 5),
            ("extensions", 8, 5),
        ],
    );
    all.extend(cuts("extension-second", &of(&[1, 3]), &[("extensions", 7, 6), ("extensions", 9, 8)]));
    all
}

/// A frame of type `kind` whose fields are no extension block.
fn stranger(kind: u16) -> Msg {
    Msg::new(kind, 0).put("fields", Bytes::new().hex("fields", "01020304"))
}

fn skipped(id: &str, comment: &str, msg: &Msg) -> Test {
    good(&format!("unknown-{id}"), comment, "EXT-4", msg)
}

fn unknown() -> Vec<Test> {
    let even = |id: &str, comment: &str, kind| {
        let bytes = stranger(kind).bytes();
        bad_bytes(&format!("unknown-even-{id}"), comment, "EXT-4", bytes, "UNKNOWN_MESSAGE", 2)
    };
    let blocks = || stranger(0x0041).blocks(Bytes::new().hex("blocks", "ffff"));
    vec![
        skipped("odd", "an unknown odd type is skipped whole", &stranger(0x0041)),
        skipped("odd-1", "the first odd type", &stranger(0x0001)),
        skipped("odd-beside-handshake", "the odd neighbour of handshake", &stranger(0x0003)),
        skipped("odd-beside-ping", "the odd neighbour of ping", &stranger(0x0023)),
        skipped("odd-private", "an odd type for private use", &stranger(0x8001)),
        skipped("odd-last", "the greatest type", &stranger(0xffff)),
        valid(
            "message/unknown-grease",
            "a type that is never assigned",
            "EXT-4 EXT-5",
            stranger(0x015b).bytes(),
        ),
        skipped("without-fields", "no fields, not even an extension block", &Msg::new(0x0041, 0)),
        skipped("with-id", "its request id is not looked at", &stranger(0x0041).request(7)),
        skipped("with-more", "nor is its flag more", &stranger(0x0041).flags(1)),
        skipped("with-blocks", "nor its blocks", &blocks()),
        skipped("with-all", "nor all three", &blocks().request(u32::MAX).flags(1)),
        skipped(
            "even-extension",
            "an even extension in what looks like an extension block",
            &Msg::new(0x0041, 0).put("fields", list8("extensions", &[extension(2, 0)])),
        ),
        even("0", "type 0", 0x0000),
        even("next", "the first even type that is not assigned", 0x002a),
        even("5a", "an even type that is never assigned", 0x005a),
        even("private", "an even type for private use", 0x8000),
        even("last", "the greatest even type", 0xfffe),
        bad_bytes(
            "unknown-even-empty",
            "an even type without fields",
            "EXT-4",
            Msg::new(0x0100, 0).bytes(),
            "UNKNOWN_MESSAGE",
            2,
        ),
        bad_bytes(
            "unknown-odd-flag",
            "flag bit 1 is the envelope's, whatever the type",
            "FRM-2",
            stranger(0x0041).flags(2).bytes(),
            "UNKNOWN_FLAG",
            1,
        ),
        bad_bytes(
            "unknown-odd-checksum",
            "its checksum is checked like any other",
            "FRM-4",
            stranger(0x0041).bytes().with(17, &[0]),
            "BAD_CHECKSUM",
            20,
        ),
        bad_bytes(
            "unknown-odd-trailing",
            "a byte behind its frame",
            "FRM-5",
            stranger(0x0041).bytes().u8("too much", 0),
            "TRAILING_BYTES",
            24,
        ),
        bad_bytes(
            "unknown-odd-blocks-cut",
            "its blocks have to be there, although nobody looks at them",
            "FRM-4 NOT-8",
            blocks().bytes().cut(25),
            "TRUNCATED",
            24,
        ),
    ]
}

fn unknown_before_welcome() -> Vec<Test> {
    let sized = |len| Msg::new(0x0041, 0).put("fields", Bytes::new().repeat("fields", &[0xee], len));
    vec![
        skipped("before-welcome", "unknown odd types are skipped in every state", &stranger(0x0041)),
        skipped("before-welcome-largest", "65,536 bytes", &sized(65_516)),
        bad_bytes(
            "unknown-before-welcome-over",
            "65,537 bytes",
            "FRM-3",
            sized(65_517).bytes(),
            "TOO_LONG",
            8,
        ),
        bad_bytes(
            "unknown-before-welcome-even",
            "an even type",
            "EXT-4",
            stranger(0x0040).bytes(),
            "UNKNOWN_MESSAGE",
            2,
        ),
    ]
}

fn unknown_without() -> Vec<Test> {
    vec![
        skipped("without-capabilities", "it needs no capability", &stranger(0x0041)),
        good("extension-without-capabilities", "neither does an extension", "EXT-3", &of(&[1])),
        bad(
            "extension-even-without-capabilities",
            "an even one is refused all the same",
            "EXT-3",
            &of(&[2]),
            "UNKNOWN_EXTENSION",
            ("extensions", 1),
        ),
        good(
            "extension-data-without-capabilities",
            "whatever its bytes are",
            "EXT-3",
            &ping(&[Bytes::new().u16("extension type", 0x0011).then(run16("data", 0x0c, 3))]),
        ),
    ]
}
