//! The envelope of a message (SPEC.md 5).

use super::build::{Bytes, Context, File, Flag, Group, Test, invalid, valid};

const FLAGS: &[Flag] = &[
    ("BadVersion", "VERSION", "A version that is not 01.", &["FRM-1"]),
    ("UnknownFlag", "UNKNOWN", "A flag bit that must be 0.", &["FRM-2"]),
    ("TooLong", "LIMIT", "One byte over the frame limit.", &["FRM-3"]),
    ("BadChecksum", "INTEGRITY", "The checksum is not that of the bytes.", &["FRM-4"]),
    ("Trailing", "TRAILING", "A byte after the frame.", &["FRM-5"]),
    ("Truncated", "TRUNCATED", "Bytes end early.", &["NOT-8"]),
];

const HANDSHAKE: Context = Context { phase: "handshake", capabilities: &[], ..Context::ALL };

/// All files of this module.
pub fn files() -> Vec<File> {
    vec![File {
        path: "v1/frame/envelope.json",
        target: "frame",
        header: &["The envelope alone: header, lengths, checksum, frame limits."],
        flags: FLAGS,
        groups: vec![
            Group { name: "session", context: Context::ALL, tests: session() },
            Group { name: "handshake", context: HANDSHAKE, tests: handshake() },
        ],
    }]
}

struct Parts {
    version: u8,
    flags: u8,
    kind: u16,
    request_id: u32,
    lengths: Option<(u32, u32)>,
    fields: Bytes,
    blocks: Bytes,
}

impl Parts {
    /// A ping with nonce 1.
    fn ping() -> Self {
        let fields = Bytes::new().u64("nonce", 1).u8("extensions", 0);
        Self { version: 1, flags: 0, kind: 0x22, request_id: 0, lengths: None, fields, blocks: Bytes::new() }
    }

    fn of(fields: Bytes, blocks: Bytes) -> Self {
        Self { kind: 0x5b, fields, blocks, ..Self::ping() }
    }

    fn head(&self) -> Bytes {
        let len = |bytes: &Bytes| u32::try_from(bytes.len()).expect("a length");
        let (fields, blocks) = self.lengths.unwrap_or_else(|| (len(&self.fields), len(&self.blocks)));
        Bytes::new()
            .u8("version", self.version)
            .u8("flags", self.flags)
            .u16("type", self.kind)
            .u32("request id", self.request_id)
            .u32("fields length", fields)
            .u32("blocks length", blocks)
    }

    fn bytes(&self) -> Bytes {
        self.head().then(self.fields.clone()).crc("checksum").then(self.blocks.clone())
    }
}

fn good(id: &str, comment: &str, spec: &'static str, parts: &Parts) -> Test {
    valid(&format!("frame/{id}"), comment, spec, parts.bytes())
}

fn bad(
    id: &str,
    comment: &str,
    flag: &'static str,
    spec: &'static str,
    bytes: Bytes,
    error: (&'static str, usize),
) -> Test {
    invalid(&format!("frame/{id}"), comment, flag, spec, bytes, error)
}

/// A frame of `len` bytes in all, most of them fields or blocks.
fn sized(fields: usize, blocks: usize) -> Parts {
    Parts::of(
        Bytes::new().repeat("fields", &[0], fields),
        if blocks == 0 { Bytes::new() } else { Bytes::new().repeat("blocks", &[0], blocks) },
    )
}

fn session() -> Vec<Test> {
    let ping = Parts::ping;
    let flipped = |at: usize, bits: u8| {
        let good = ping().bytes();
        let byte = good.bytes()[at];
        good.with(at, &[byte ^ bits])
    };
    let blocks = || Parts::of(Bytes::new().hex("fields", "00"), Bytes::new().hex("blocks", "0102030405"));
    vec![
        good("ping-example", "ping with nonce 1", "FRM-1 FRM-2 FRM-4 FRM-5", &ping()),
        good(
            "no-fields",
            "neither fields nor blocks: 20 bytes",
            "FRM-4",
            &Parts::of(Bytes::new(), Bytes::new()),
        ),
        good("blocks", "blocks behind the checksum, which does not cover them", "FRM-4", &blocks()),
        good(
            "blocks-other",
            "other blocks, the same checksum",
            "FRM-4",
            &Parts { blocks: Bytes::new().hex("blocks", "0504030201"), ..blocks() },
        ),
        good("request-id", "the greatest request id", "FRM-4", &Parts { request_id: u32::MAX, ..blocks() }),
        good(
            "more",
            "flag more; whether the type allows it is not looked at here",
            "FRM-2",
            &Parts { flags: 1, ..blocks() },
        ),
        good("largest-fields", "1,052,672 bytes, all fields", "FRM-3", &sized(1_052_652, 0)),
        good("largest-blocks", "1,052,672 bytes, all blocks", "FRM-3", &sized(0, 1_052_652)),
        bad(
            "version-0",
            "version 00",
            "BadVersion",
            "FRM-1",
            Parts { version: 0, ..ping() }.bytes(),
            ("UNSUPPORTED_VERSION", 0),
        ),
        bad(
            "version-2",
            "version 02",
            "BadVersion",
            "FRM-1",
            Parts { version: 2, ..ping() }.bytes(),
            ("UNSUPPORTED_VERSION", 0),
        ),
        bad(
            "version-alone",
            "one byte of another version",
            "BadVersion",
            "FRM-1 FRM-6",
            Bytes::new().hex("version", "02"),
            ("UNSUPPORTED_VERSION", 0),
        ),
        bad(
            "version-before-checksum",
            "the version is checked before the checksum",
            "BadVersion",
            "FRM-1 FRM-6",
            flipped(0, 2),
            ("UNSUPPORTED_VERSION", 0),
        ),
        bad(
            "flag-2",
            "flag bit 1",
            "UnknownFlag",
            "FRM-2",
            Parts { flags: 2, ..ping() }.bytes(),
            ("UNKNOWN_FLAG", 1),
        ),
        bad(
            "flag-80",
            "flag bit 7",
            "UnknownFlag",
            "FRM-2",
            Parts { flags: 0x80, ..ping() }.bytes(),
            ("UNKNOWN_FLAG", 1),
        ),
        bad(
            "flags-before-checksum",
            "flags are checked before the checksum",
            "UnknownFlag",
            "FRM-2 FRM-6",
            flipped(1, 4),
            ("UNKNOWN_FLAG", 1),
        ),
        bad(
            "fields-over",
            "1,052,673 bytes by the fields",
            "TooLong",
            "FRM-3 FRM-6",
            Parts { lengths: Some((1_052_653, 0)), ..ping() }.head(),
            ("TOO_LONG", 8),
        ),
        bad(
            "fields-huge",
            "fields of 4 GiB",
            "TooLong",
            "FRM-3 FRM-6 NOT-3",
            Parts { lengths: Some((u32::MAX, 0)), ..ping() }.head(),
            ("TOO_LONG", 8),
        ),
        bad(
            "fields-length-little-endian",
            "a fields length of 9 with its bytes the wrong way round",
            "TooLong",
            "NOT-1 FRM-3",
            Parts { lengths: Some((9_u32.swap_bytes(), 0)), ..ping() }.bytes(),
            ("TOO_LONG", 8),
        ),
        bad(
            "blocks-over",
            "1,052,673 bytes by the blocks",
            "TooLong",
            "FRM-3 FRM-6",
            Parts { lengths: Some((9, 1_052_644)), ..ping() }.head(),
            ("TOO_LONG", 12),
        ),
        bad(
            "blocks-huge",
            "blocks of 4 GiB",
            "TooLong",
            "FRM-3 FRM-6 NOT-3",
            Parts { lengths: Some((9, u32::MAX)), ..ping() }.head(),
            ("TOO_LONG", 12),
        ),
        bad(
            "both-over",
            "each within the limit, together over it",
            "TooLong",
            "FRM-3",
            Parts { lengths: Some((600_000, 600_000)), ..ping() }.head(),
            ("TOO_LONG", 12),
        ),
        bad(
            "fields-over-before-blocks-length",
            "the fields' length is judged before the blocks' is there",
            "TooLong",
            "FRM-3 FRM-6",
            Parts { lengths: Some((1_052_653, 0)), ..ping() }.head().cut(12),
            ("TOO_LONG", 8),
        ),
        bad(
            "checksum-bit",
            "the lowest bit of the checksum",
            "BadChecksum",
            "FRM-4",
            flipped(28, 1),
            ("BAD_CHECKSUM", 25),
        ),
        bad("type-bit", "a bit of the type", "BadChecksum", "FRM-4", flipped(3, 2), ("BAD_CHECKSUM", 25)),
        bad(
            "request-id-bit",
            "a bit of the request id",
            "BadChecksum",
            "FRM-4",
            flipped(7, 1),
            ("BAD_CHECKSUM", 25),
        ),
        bad(
            "fields-bit",
            "a bit of the fields",
            "BadChecksum",
            "FRM-4",
            flipped(23, 3),
            ("BAD_CHECKSUM", 25),
        ),
        bad(
            "fields-length-shorter",
            "a fields length of one less: the checksum is elsewhere",
            "BadChecksum",
            "FRM-4",
            flipped(11, 1),
            ("BAD_CHECKSUM", 24),
        ),
        bad(
            "checksum-before-blocks",
            "the checksum is checked before the blocks are missed",
            "BadChecksum",
            "FRM-4",
            {
                let good = blocks().bytes();
                good.with(16, &[1]).cut(23)
            },
            ("BAD_CHECKSUM", 17),
        ),
        bad(
            "trailing",
            "a byte after the frame",
            "Trailing",
            "FRM-5",
            ping().bytes().hex("too much", "00"),
            ("TRAILING_BYTES", 29),
        ),
        bad(
            "two-frames",
            "two frames where one is expected",
            "Trailing",
            "FRM-5",
            ping().bytes().then(ping().bytes()),
            ("TRAILING_BYTES", 29),
        ),
        bad("no-bytes", "nothing at all", "Truncated", "NOT-8", Bytes::new(), ("TRUNCATED", 0)),
        bad("version-only", "one byte", "Truncated", "NOT-8", ping().bytes().cut(1), ("TRUNCATED", 1)),
        bad("type-cut", "three bytes", "Truncated", "NOT-8", ping().bytes().cut(3), ("TRUNCATED", 2)),
        bad("lengths-cut", "14 bytes", "Truncated", "NOT-8", ping().bytes().cut(14), ("TRUNCATED", 12)),
        bad(
            "fields-cut",
            "fields that end early",
            "Truncated",
            "NOT-8 FRM-4",
            ping().bytes().cut(20),
            ("TRUNCATED", 16),
        ),
        bad(
            "checksum-cut",
            "three bytes of the checksum",
            "Truncated",
            "NOT-8 FRM-4",
            ping().bytes().cut(28),
            ("TRUNCATED", 25),
        ),
        bad(
            "blocks-cut",
            "blocks that end early",
            "Truncated",
            "NOT-8 FRM-4",
            blocks().bytes().cut(25),
            ("TRUNCATED", 21),
        ),
    ]
}

fn handshake() -> Vec<Test> {
    vec![
        good("before-largest", "65,536 bytes before welcome", "FRM-3", &sized(65_516, 0)),
        bad(
            "before-over",
            "65,537 bytes before welcome",
            "TooLong",
            "FRM-3",
            sized(65_517, 0).bytes(),
            ("TOO_LONG", 8),
        ),
        bad(
            "before-blocks-over",
            "65,537 bytes by the blocks",
            "TooLong",
            "FRM-3",
            sized(0, 65_517).bytes(),
            ("TOO_LONG", 12),
        ),
    ]
}
