//! Compressed blocks (SPEC.md 6.4).

use super::blocks::{FLAGS, bad, deletes, one};
use super::build::{Bytes, Context, File, Group, Test, valid_as};
use super::pieces::{BlockParts, OpParts, literals};

/// The file of this module.
pub fn file() -> File {
    File {
        path: "v1/block/lz4.json",
        target: "block",
        header: &["Compressed payloads; their canonical form is the same block uncompressed."],
        flags: FLAGS,
        groups: vec![Group { name: "lz4", context: Context::ALL, tests: lz4() }],
    }
}

fn lz4() -> Vec<Test> {
    let compressed = |id: &str, comment: &str, spec, block: &BlockParts, payload: Bytes| {
        let lz4 = BlockParts { flags: block.flags | 1, payload, ..block.clone() };
        valid_as(&format!("block/{id}"), comment, spec, lz4.bytes(), &block.bytes())
    };
    let plain = one().payload.bytes();
    let declared = u32::try_from(plain.len()).expect("a payload");
    let faulty = |payload: Bytes| BlockParts { flags: 1, payload, ..one() }.bytes();
    let sized = |len: u32, block: Bytes| faulty(Bytes::new().u32("decompressed length", len).then(block));
    // A payload of zeros behind one operation, as a match that overlaps itself: 255 times smaller.
    let zeros = |len: usize| {
        let field = Bytes::new()
            .hex("key title", "06")
            .hex("tag", "07")
            .u32("length", u32::try_from(len).expect("fits"))
            .repeat("data", &[0], len);
        OpParts::update(1, field)
    };
    // The first 92 bytes (88 of the operation, its length in front) as literals, 4,999 zeros by a match, the
    // last zero and the checksum as literals.
    let op = zeros(5_000);
    let block = BlockParts::of(1, vec![op]);
    let raw = block.payload.bytes();
    let (front, tail) = (raw.len() - 4 - 5_000 + 1, 4);
    let matched = raw.len() - front - tail;
    let mut lengths = vec![0xff];
    let mut literal_rest = front - 15;
    while literal_rest >= 255 {
        lengths.push(255);
        literal_rest -= 255;
    }
    lengths.push(u8::try_from(literal_rest).expect("below 255"));
    let mut match_lengths = Vec::new();
    let mut match_rest = matched - 4 - 15;
    while match_rest >= 255 {
        match_lengths.push(255);
        match_rest -= 255;
    }
    match_lengths.push(u8::try_from(match_rest).expect("below 255"));
    let with_match = Bytes::new()
        .u32("decompressed length", u32::try_from(raw.len()).expect("fits"))
        .raw("LZ4 token and literal length", &lengths)
        .raw("LZ4 literals", &raw[..front])
        .hex("LZ4 offset 1", "0100")
        .raw("LZ4 match length", &match_lengths)
        .hex("LZ4 last token", "40")
        .raw("LZ4 last literals", &raw[raw.len() - tail..]);
    let bomb = |len: u32| {
        // Token: no literals but one, then a match as long as 60,000 bytes of 255 say.
        Bytes::new()
            .u32("decompressed length", len)
            .hex("LZ4 token", "1f")
            .hex("LZ4 literal", "00")
            .hex("LZ4 offset 1", "0100")
            .repeat("LZ4 match length", &[0xff], 60_000)
            .hex("LZ4 end of length", "00")
            .hex("LZ4 last token", "00")
    };
    let cut = |len: usize| {
        let all = Bytes::new().u32("decompressed length", declared).then(literals(&plain));
        faulty(all.cut(len))
    };
    let broken = |id: &str, comment: &str, spec, payload: Bytes| {
        bad(id, comment, "BadLz4", spec, payload, ("BAD_COMPRESSION", 36))
    };
    // The data of the first operation are the checksum of the second, which a match can repeat so.
    let second = OpParts::delete(2);
    let check = second.bytes().bytes().split_off(82);
    let first = OpParts::update(
        1,
        Bytes::new().hex("key title", "06").hex("tag and length", "07 00000004").raw("data", &check),
    );
    let repeat_at = 4 + first.fields_at() + 6;
    let repeated = BlockParts::of(1, vec![first, second]);
    vec![
        compressed(
            "lz4-literals",
            "one sequence of literals",
            "BLK-15 BLK-16 BLK-17",
            &one(),
            one().lz4().payload,
        ),
        compressed("lz4-match", "a match that overlaps itself", "BLK-16 BLK-17", &block, with_match),
        compressed(
            "lz4-holes",
            "LZ4 and holes together",
            "BLK-16 BLK-14",
            &deletes(7, &[7, 9]).holes(3),
            deletes(7, &[7, 9]).lz4().payload,
        ),
        compressed(
            "lz4-two-sequences",
            "literals, a match, literals",
            "BLK-16",
            &one(),
            Bytes::new().u32("decompressed length", declared).then(two_sequences(&plain)),
        ),
        compressed(
            "lz4-last-token",
            "the low half of the last token is not looked at",
            "BLK-16",
            &one(),
            Bytes::new().u32("decompressed length", declared).then(literals(&plain).with(0, &[0xff])),
        ),
        compressed(
            "lz4-270",
            "270 literals: a length of 15, 255 and 0",
            "BLK-16",
            &deletes(7, &[7, 8, 9]),
            deletes(7, &[7, 8, 9]).lz4().payload,
        ),
        compressed(
            "lz4-ends-with-match",
            "a last sequence without literals, behind a match of the last four bytes",
            "BLK-16",
            &repeated,
            ending_with_match(&repeated.payload.bytes(), repeat_at),
        ),
        bad(
            "lz4-length-over",
            "a decompressed length one over the cap",
            "TooLong",
            "BLK-15",
            sized(1_048_577, literals(&plain)),
            ("TOO_LONG", 36),
        ),
        bad(
            "lz4-length-huge",
            "a decompressed length of 4 GiB",
            "TooLong",
            "BLK-15 NOT-3",
            sized(u32::MAX, literals(&plain)),
            ("TOO_LONG", 36),
        ),
        bad(
            "lz4-length-0",
            "a decompressed length of 0",
            "BadCount",
            "BLK-15",
            sized(0, Bytes::new().hex("LZ4 token", "00")),
            ("EMPTY", 36),
        ),
        bad(
            "lz4-length-cut",
            "three bytes of the decompressed length",
            "Truncated",
            "NOT-8",
            faulty(Bytes::new().hex("cut", "000000")),
            ("TRUNCATED", 36),
        ),
        broken("lz4-shorter", "one byte less than declared", "BLK-17", sized(declared + 1, literals(&plain))),
        broken("lz4-longer", "one byte more than declared", "BLK-17", sized(declared - 1, literals(&plain))),
        broken(
            "lz4-bomb",
            "15 million bytes from 60,000, where 1 MiB is declared",
            "BLK-17 NOT-3",
            faulty(bomb(1_048_576)),
        ),
        broken("lz4-none", "no compressed bytes at all", "BLK-16", sized(declared, Bytes::new())),
        broken("lz4-literals-cut", "literals that end early", "BLK-16", cut(60)),
        broken(
            "lz4-offset-0",
            "a match with offset 0",
            "BLK-16",
            sized(
                declared,
                Bytes::new()
                    .hex("LZ4 token", "1f")
                    .hex("literal", "00")
                    .hex("offset 0", "0000")
                    .hex("length", "00")
                    .hex("last token", "00"),
            ),
        ),
        broken(
            "lz4-offset-beyond",
            "a match from before the beginning",
            "BLK-16",
            sized(
                declared,
                Bytes::new()
                    .hex("LZ4 token", "1f")
                    .hex("literal", "00")
                    .hex("offset 2", "0200")
                    .hex("length", "00")
                    .hex("last token", "00"),
            ),
        ),
        broken(
            "lz4-ends-after-match",
            "no last sequence",
            "BLK-16",
            sized(
                20,
                Bytes::new()
                    .hex("LZ4 token", "1f")
                    .hex("literal", "00")
                    .hex("offset 1", "0100")
                    .hex("length", "00"),
            ),
        ),
        broken(
            "lz4-literal-length-cut",
            "a literal length that goes on and ends",
            "BLK-16",
            sized(declared, Bytes::new().hex("LZ4 token and length", "f0ff")),
        ),
        broken(
            "lz4-match-length-cut",
            "a match length that goes on and ends",
            "BLK-16",
            sized(
                declared,
                Bytes::new()
                    .hex("LZ4 token", "1f")
                    .hex("literal", "00")
                    .hex("offset 1", "0100")
                    .hex("length", "ff"),
            ),
        ),
        broken(
            "lz4-literal-length-huge",
            "a literal length of 4 GiB",
            "BLK-16 NOT-3",
            sized(
                declared,
                Bytes::new().hex("LZ4 token", "f0").repeat("length", &[0xff], 3_000).hex("end", "00"),
            ),
        ),
        broken(
            "lz4-tail",
            "a byte behind the last sequence is a sequence more, without its literals",
            "BLK-16",
            sized(declared, literals(&plain).hex("LZ4 token", "10")),
        ),
        broken(
            "lz4-offset-cut",
            "one byte of an offset",
            "BLK-16",
            sized(declared, Bytes::new().hex("LZ4 token", "1f").hex("literal", "00").hex("cut", "01")),
        ),
        bad(
            "lz4-checksum-inside",
            "a fault inside is told at the payload",
            "BadChecksum",
            "OPS-9 NOT-11",
            {
                let mut changed = plain.clone();
                changed[70] ^= 1;
                sized(declared, literals(&changed))
            },
            ("BAD_CHECKSUM", 36),
        ),
        bad(
            "lz4-trailing-inside",
            "a byte after the last operation, inside",
            "Trailing",
            "BLK-11 NOT-11",
            {
                let mut longer = plain.clone();
                longer.push(0);
                sized(declared + 1, literals(&longer))
            },
            ("TRAILING_BYTES", 36),
        ),
    ]
}

/// `plain` as literals, a match of four zeros at offset 1, and literals.
fn two_sequences(plain: &[u8]) -> Bytes {
    let zeros = plain.windows(5).rposition(|window| window == [0; 5]).expect("five zeros");
    let (front, rest) = plain.split_at(zeros + 1);
    let mut bytes = Vec::new();
    put_literals(&mut bytes, front, 0);
    bytes.extend_from_slice(&[1, 0]);
    put_literals(&mut bytes, &rest[4..], 0);
    Bytes::new().raw("LZ4 sequences", &bytes)
}

/// `plain` as literals and a match of its last four bytes, which stand at `from` too; nothing behind it.
fn ending_with_match(plain: &[u8], from: usize) -> Bytes {
    let front = &plain[..plain.len() - 4];
    let mut bytes = Vec::new();
    put_literals(&mut bytes, front, 0);
    let offset = u16::try_from(front.len() - from).expect("near");
    bytes.extend_from_slice(&offset.to_le_bytes());
    bytes.push(0);
    Bytes::new()
        .u32("decompressed length", u32::try_from(plain.len()).expect("fits"))
        .raw("LZ4 sequences", &bytes)
}

/// One token with literals; the low half of the token is the match that follows, less four.
fn put_literals(out: &mut Vec<u8>, literals: &[u8], low: u8) {
    let len = literals.len();
    out.push(u8::try_from(len.min(15)).expect("at most 15") << 4 | low);
    if let Some(mut rest) = len.checked_sub(15) {
        while rest >= 255 {
            out.push(255);
            rest -= 255;
        }
        out.push(u8::try_from(rest).expect("below 255"));
    }
    out.extend_from_slice(literals);
}
