//! Values: scalars (SPEC.md 4.1).

use super::build::{Bytes, Context, File, Flag, Group, Test, invalid, valid};

pub(super) const FLAGS: &[Flag] = &[
    ("LongForm", "NON_CANONICAL", "A value that has a shorter form.", &["VAL-3", "VAL-4", "VAL-5"]),
    ("UnknownTag", "UNKNOWN", "A tag that is not listed.", &["VAL-1"]),
    ("LegacyVector", "UNKNOWN", "Tag 0A, which nobody can read.", &["VAL-2"]),
    ("BadBool", "BASIC", "A bool that is neither 0 nor 1.", &["VAL-6"]),
    ("TooLong", "LIMIT", "A length one over its cap.", &["VAL-7"]),
    ("NotUtf8", "UTF8", "Text that is not UTF-8.", &["VAL-8"]),
    ("Truncated", "TRUNCATED", "Bytes end inside a primitive.", &["NOT-8"]),
    ("Trailing", "TRAILING", "A byte after the value.", &["VAL-25"]),
    ("Misplaced", "BASIC", "removed, patch or counter where it may not stand.", &["VAL-12"]),
    ("BadBase", "BOUNDARY", "A counter's base that is neither never nor a timestamp.", &["VAL-13"]),
    ("EmptySealed", "BOUNDARY", "A sealed value without a byte.", &["VAL-15"]),
    ("NotNegotiated", "BASIC", "A value that needs a capability which was not agreed on.", &["OPS-18"]),
];

const PLAIN: Context = Context::ALL;
pub(super) const FIELD: Context = Context { position: "field", ..Context::ALL };
const CELL: Context = Context { position: "cell", ..Context::ALL };
const NO_CRDT: Context =
    Context { position: "field", capabilities: &["compression", "query"], ..Context::ALL };

pub(super) fn bytes(hex: &str) -> Bytes {
    Bytes::new().hex("value", hex)
}

fn tagged(tag: &str, payload: &str) -> Bytes {
    Bytes::new().hex("tag", tag).hex("payload", payload)
}

fn good(id: &str, comment: &str, spec: &'static str, hex: &str) -> Test {
    valid(&format!("value/{id}"), comment, spec, tagged(&hex[..2], &hex[2..]))
}

fn bad(
    id: &str,
    comment: &str,
    flag: &'static str,
    spec: &'static str,
    hex: &str,
    error: (&'static str, usize),
) -> Test {
    invalid(&format!("value/{id}"), comment, flag, spec, bytes(hex), error)
}

/// All files of this module.
pub fn files() -> Vec<File> {
    vec![
        File {
            path: "v1/value/numbers.json",
            target: "value",
            header: &["Null, bools, ints, doubles, dates, UUIDs and their one form."],
            flags: FLAGS,
            groups: vec![
                Group { name: "numbers", context: PLAIN, tests: numbers() },
                Group { name: "unlisted tags", context: PLAIN, tests: unlisted() },
            ],
        },
        File {
            path: "v1/value/text.json",
            target: "value",
            header: &["Strings, data, vectors, sealed values; lengths and UTF-8."],
            flags: FLAGS,
            groups: vec![
                Group { name: "text", context: PLAIN, tests: text() },
                Group { name: "UTF-8", context: PLAIN, tests: utf8() },
            ],
        },
        File {
            path: "v1/value/writes.json",
            target: "value",
            header: &["removed and counter, where they may stand and where not."],
            flags: FLAGS,
            groups: vec![
                Group { name: "as a field", context: FIELD, tests: writes() },
                Group { name: "as a plain value", context: PLAIN, tests: misplaced() },
                Group { name: "as a cell", context: CELL, tests: cells() },
                Group { name: "without crdt", context: NO_CRDT, tests: ungated() },
            ],
        },
    ]
}

fn numbers() -> Vec<Test> {
    vec![
        good("null", "null", "VAL-1", "0b"),
        good("false", "false", "VAL-6", "0400"),
        good("true", "true", "VAL-6", "0401"),
        bad("bool-2", "a bool of 2", "BadBool", "VAL-6", "0402", ("BAD_BOOL", 1)),
        bad("bool-255", "a bool of 255", "BadBool", "VAL-6", "04ff", ("BAD_BOOL", 1)),
        bad("bool-cut", "a bool without its byte", "Truncated", "NOT-8", "04", ("TRUNCATED", 1)),
        good("int-0", "smallest small int", "VAL-4", "1200"),
        good("int-42", "a small int", "VAL-4", "122a"),
        good("int-255", "greatest small int", "VAL-4", "12ff"),
        good("int-256", "smallest positive int in eight bytes", "VAL-4 NOT-1", "020000000000000100"),
        good("int-minus-1", "greatest negative int", "VAL-4", "02ffffffffffffffff"),
        good("int-max", "2^63 - 1", "VAL-4", "027fffffffffffffff"),
        good("int-min", "-2^63", "VAL-4", "028000000000000000"),
        good("int-2-53", "2^53, beyond what a double counts", "VAL-4", "020020000000000000"),
        good("int-2-53-plus-1", "2^53 + 1, which no double holds", "VAL-4", "020020000000000001"),
        good("int-minus-255", "-255 is not small", "VAL-4", "02ffffffffffffff01"),
        bad(
            "int-0-long",
            "0 in eight bytes",
            "LongForm",
            "VAL-4",
            "020000000000000000",
            ("NON_CANONICAL", 0),
        ),
        bad(
            "int-42-long",
            "42 in eight bytes",
            "LongForm",
            "VAL-4",
            "02000000000000002a",
            ("NON_CANONICAL", 0),
        ),
        bad(
            "int-255-long",
            "255 in eight bytes",
            "LongForm",
            "VAL-4",
            "0200000000000000ff",
            ("NON_CANONICAL", 0),
        ),
        bad("int-cut", "seven bytes of an int", "Truncated", "NOT-8", "02ffffffffffffff", ("TRUNCATED", 1)),
        bad("small-int-cut", "a small int without its byte", "Truncated", "NOT-8", "12", ("TRUNCATED", 1)),
        good("double-1-5", "1.5", "VAL-1", "033ff8000000000000"),
        good("double-0", "0.0, which is no int", "VAL-1", "030000000000000000"),
        good("double-minus-0", "-0.0 keeps its sign", "VAL-1", "038000000000000000"),
        good("double-42", "42.0 stays a double", "VAL-4", "034045000000000000"),
        good("double-infinity", "infinity", "VAL-1", "037ff0000000000000"),
        good("double-minus-infinity", "minus infinity", "VAL-1", "03fff0000000000000"),
        good("double-nan", "the usual quiet NaN", "VAL-1", "037ff8000000000000"),
        good("double-nan-payload", "a NaN with a payload and a sign", "VAL-1", "03fff8000000abcdef"),
        good("double-signalling-nan", "a signalling NaN", "VAL-1", "037ff0000000000001"),
        good("double-subnormal", "the smallest positive double", "VAL-1", "030000000000000001"),
        good("double-max", "the greatest double", "VAL-1", "037fefffffffffffff"),
        bad(
            "double-cut",
            "seven bytes of a double",
            "Truncated",
            "NOT-8",
            "033ff80000000000",
            ("TRUNCATED", 1),
        ),
        good("date-epoch", "2001-01-01T00:00:00Z", "VAL-1", "060000000000000000"),
        good("date-half", "half a second later", "VAL-1", "063fe0000000000000"),
        good("date-before", "2000-12-31T23:59:59Z", "VAL-1", "06bff0000000000000"),
        good("date-nan", "a date that is NaN is kept", "VAL-1", "067ff8000000000000"),
        bad("date-cut", "a date without its bytes", "Truncated", "NOT-8", "06", ("TRUNCATED", 1)),
        good("uuid", "a UUID", "VAL-1", "05550e8400e29b41d4a716446655440000"),
        good("uuid-nil", "the nil UUID", "VAL-1", "0500000000000000000000000000000000"),
        good("uuid-max", "a UUID of ones", "VAL-1", "05ffffffffffffffffffffffffffffffff"),
        bad(
            "uuid-cut",
            "15 bytes of a UUID",
            "Truncated",
            "NOT-8",
            "05550e8400e29b41d4a7164466554400",
            ("TRUNCATED", 1),
        ),
        bad("empty", "no bytes at all", "Truncated", "NOT-8", "", ("TRUNCATED", 0)),
        bad("trailing", "a byte after null", "Trailing", "VAL-25", "0b00", ("TRAILING_BYTES", 1)),
        bad("two-values", "two values", "Trailing", "VAL-25", "12011202", ("TRAILING_BYTES", 2)),
        good("alone", "one value and nothing after it", "VAL-25", "1201"),
        bad("tag-00", "tag 00", "UnknownTag", "VAL-1", "00", ("UNKNOWN_TAG", 0)),
        bad(
            "tag-0a",
            "the vector of BlazeDB",
            "LegacyVector",
            "VAL-2",
            "0a000000013ff00000",
            ("LEGACY_VECTOR", 0),
        ),
        good("tag-0f-instead-of-0a", "the vector of this protocol", "VAL-2", "0f00013f800000"),
        bad("tag-13", "tag 13", "UnknownTag", "VAL-1", "13", ("UNKNOWN_TAG", 0)),
        bad("tag-17", "tag 17", "UnknownTag", "VAL-1", "17", ("UNKNOWN_TAG", 0)),
        bad("tag-1a", "tag 1A", "UnknownTag", "VAL-1", "1a", ("UNKNOWN_TAG", 0)),
        bad(
            "tag-20",
            "an inline string of length 0 does not exist",
            "UnknownTag",
            "VAL-1",
            "20",
            ("UNKNOWN_TAG", 0),
        ),
        bad(
            "tag-30",
            "an inline string of length 16 does not exist",
            "UnknownTag",
            "VAL-1",
            "30",
            ("UNKNOWN_TAG", 0),
        ),
        bad("tag-ff", "tag FF", "UnknownTag", "VAL-1", "ff", ("UNKNOWN_TAG", 0)),
    ]
}

/// The tags between and behind the listed ones that `numbers` has not, each with bytes that would do for
/// the tags around it.
fn unlisted() -> Vec<Test> {
    let tags = [
        0x14, 0x15, 0x16, 0x1b, 0x1c, 0x1d, 0x1e, 0x1f, 0x31, 0x40, 0x61, 0x7f, 0x80, 0x8b, 0xa1, 0xc0, 0xe0,
        0xf0, 0xfe,
    ];
    let fault = |tag: u8| {
        let hex = format!("{tag:02x}00000000");
        bad(
            &format!("tag-{tag:02x}"),
            &format!("tag {tag:02X}"),
            "UnknownTag",
            "VAL-1",
            &hex,
            ("UNKNOWN_TAG", 0),
        )
    };
    tags.into_iter().map(fault).collect()
}

fn text() -> Vec<Test> {
    let long = |name: &str, tag: &str, unit: &[u8], len: usize| {
        let length = u32::try_from(len).expect("a length");
        Bytes::new().hex("tag", tag).u32("length", length).repeat(name, unit, len)
    };
    let mut all = vec![
        good("string-empty", "the empty string", "VAL-3", "11"),
        good("string-1", "one byte", "VAL-3", "2161"),
        good("string-15", "15 bytes, the longest inline string", "VAL-3", "2f6669667465656e2d62797465732121"),
        good(
            "string-16",
            "16 bytes, the shortest with a length",
            "VAL-3",
            "01000000107369787465656e2d627974652d737472",
        ),
        good("string-nul", "a NUL inside", "VAL-8", "2361 00 62".replace(' ', "").as_str()),
        bad(
            "string-0-long",
            "the empty string with a length",
            "LongForm",
            "VAL-3",
            "0100000000",
            ("NON_CANONICAL", 0),
        ),
        bad(
            "string-1-long",
            "one byte with a length",
            "LongForm",
            "VAL-3",
            "010000000161",
            ("NON_CANONICAL", 0),
        ),
        bad(
            "string-15-long",
            "15 bytes with a length",
            "LongForm",
            "VAL-3",
            "010000000f6669667465656e2d62797465732121",
            ("NON_CANONICAL", 0),
        ),
        bad(
            "string-length-cut",
            "three bytes of a length",
            "Truncated",
            "NOT-8 NOT-6",
            "01000000",
            ("TRUNCATED", 1),
        ),
        bad(
            "string-cut",
            "15 of 16 bytes",
            "Truncated",
            "NOT-8 NOT-6",
            "0100000010616161616161616161616161616161",
            ("TRUNCATED", 5),
        ),
        bad("string-inline-cut", "four of five bytes", "Truncated", "NOT-8", "2548656c6c", ("TRUNCATED", 1)),
        bad("string-length-huge", "a length of 4 GiB", "TooLong", "VAL-7", "01ffffffff", ("TOO_LONG", 1)),
        bad("string-over", "a length one over the cap", "TooLong", "VAL-7", "01000f0001", ("TOO_LONG", 1)),
        bad(
            "string-cap-cut",
            "a length at the cap, without its bytes",
            "Truncated",
            "NOT-8",
            "01000f0000",
            ("TRUNCATED", 5),
        ),
        good("data-empty", "no bytes of data", "VAL-7", "0700000000"),
        good("data-3", "three bytes of data, which need not be UTF-8", "VAL-7", "0700000003ffaa55"),
        bad("data-over", "a length one over the cap", "TooLong", "VAL-7", "07000f0001", ("TOO_LONG", 1)),
        bad("data-cut", "two of three bytes", "Truncated", "NOT-8", "0700000003ffaa", ("TRUNCATED", 5)),
        good("vector-empty", "a vector without elements", "VAL-1", "0f0000"),
        good("vector-2", "[1.0, -2.5]", "VAL-1", "0f00023f800000c0200000"),
        good("vector-nan", "a NaN with a payload in a vector", "VAL-1", "0f00017fc0abcd"),
        bad(
            "vector-cut",
            "the second element is cut; elements are one run",
            "Truncated",
            "NOT-8",
            "0f00023f800000c020",
            ("TRUNCATED", 3),
        ),
        bad("vector-count-cut", "a count of one byte", "Truncated", "NOT-8", "0f00", ("TRUNCATED", 1)),
        good("sealed-1", "the smallest sealed value", "VAL-15", "100000000100"),
        good("sealed-bytes", "a sealed value is opaque", "VAL-15", "10000000050c0d0e0f10"),
        bad(
            "sealed-empty",
            "a sealed value without a byte",
            "EmptySealed",
            "VAL-15",
            "1000000000",
            ("EMPTY", 1),
        ),
        bad("sealed-over", "a length one over the cap", "TooLong", "VAL-7", "10000f0001", ("TOO_LONG", 1)),
        bad(
            "sealed-cut",
            "a sealed value that ends early",
            "Truncated",
            "NOT-8",
            "100000000401",
            ("TRUNCATED", 5),
        ),
    ];
    all.push(valid(
        "value/string-largest",
        "a string of 983,040 bytes",
        "VAL-7",
        long("text", "01", b"a", 983_040),
    ));
    all.push(valid(
        "value/data-largest",
        "data of 983,040 bytes",
        "VAL-7",
        long("data", "07", &[0xff], 983_040),
    ));
    all.push(valid(
        "value/sealed-largest",
        "a sealed value of 983,040 bytes",
        "VAL-7",
        long("sealed", "10", &[1], 983_040),
    ));
    all.push(invalid(
        "value/string-over-with-bytes",
        "983,041 bytes, all there",
        "TooLong",
        "VAL-7",
        long("text", "01", b"a", 983_041),
        ("TOO_LONG", 1),
    ));
    all.push(valid(
        "value/vector-largest",
        "65,535 elements",
        "VAL-1",
        Bytes::new().hex("tag", "0f").u16("count", 65_535).repeat("elements", &[0x3f, 0x80, 0, 0], 65_535),
    ));
    all
}

fn utf8() -> Vec<Test> {
    let fault = |id: &str, comment: &str, text: &str| {
        let len = text.split_whitespace().collect::<String>().len() / 2;
        let bytes =
            Bytes::new().u8("inline string", 0x20 | u8::try_from(len).expect("short")).hex("text", text);
        invalid(&format!("value/utf8-{id}"), comment, "NotUtf8", "VAL-8", bytes, ("BAD_UTF8", 1))
    };
    let long = |text: &str| Bytes::new().hex("tag", "01").u32("length", 16).hex("text", text);
    vec![
        good("utf8-2-bytes", "é", "VAL-8", "22c3a9"),
        good("utf8-3-bytes", "€", "VAL-8", "23e282ac"),
        good("utf8-4-bytes", "U+1D11E", "VAL-8", "24f09d849e"),
        good("utf8-last", "U+10FFFF, the last one", "VAL-8", "24f48fbfbf"),
        good("utf8-before-surrogates", "U+D7FF", "VAL-8", "23ed9fbf"),
        good("utf8-after-surrogates", "U+E000", "VAL-8", "23ee8080"),
        good("utf8-noncharacter", "U+FFFF is legal", "VAL-8", "23efbfbf"),
        good("utf8-decomposed", "e and a combining accent stay two characters", "VAL-8", "2365cc81"),
        good("utf8-bom", "U+FEFF is a character like any other", "VAL-8", "23efbbbf"),
        fault("overlong-2", "/ in two bytes", "c0af"),
        fault("overlong-3", "/ in three bytes", "e080af"),
        fault("overlong-4", "/ in four bytes", "f08080af"),
        fault("overlong-nul", "NUL in two bytes", "c080"),
        fault("overlong-2-greatest", "U+007F in two bytes", "c1bf"),
        fault("surrogate-high", "U+D800", "eda080"),
        fault("surrogate-low", "U+DFFF", "edbfbf"),
        fault("surrogate-pair", "a pair of surrogates, as CESU-8 writes it", "eda0b4edb49e"),
        fault("above-10ffff", "U+110000", "f4908080"),
        fault("five-bytes", "a lead byte of five", "f888808080"),
        fault("lone-continuation", "a continuation byte alone", "80"),
        fault("cut-2", "the first of two bytes", "c3"),
        fault("cut-3", "two of three bytes", "e282"),
        fault("cut-4", "three of four bytes", "f09d84"),
        fault("cut-inside", "a cut sequence before a letter", "c361"),
        fault("ff", "FF never occurs", "61ff"),
        invalid(
            "value/utf8-long-string",
            "the 16th byte of a long string begins a sequence",
            "NotUtf8",
            "VAL-8",
            long("616161616161616161616161616161c3"),
            ("BAD_UTF8", 5),
        ),
        invalid(
            "value/utf8-before-long-form",
            "a short string in long form that is not UTF-8: UTF-8 is checked first (NOT-6)",
            "NotUtf8",
            "VAL-8 NOT-6",
            bytes("0100000001ff"),
            ("BAD_UTF8", 5),
        ),
    ]
}

const NODE: &str = "550e8400e29b41d4a716446655440000";
const NIL: &str = "00000000000000000000000000000000";

fn counter(counter: &str, node: &str, total: &str) -> Bytes {
    Bytes::new().hex("tag", "0e").hex("base counter", counter).hex("base node", node).hex("total", total)
}

fn writes() -> Vec<Test> {
    let one = "0000000000000001";
    let base = |id: &str, comment: &str, count: &str, node: &str| {
        let bytes = counter(count, node, one);
        invalid(&format!("value/counter-{id}"), comment, "BadBase", "VAL-13", bytes, ("BAD_TIMESTAMP", 1))
    };
    let ok = |id: &str, comment: &str, bytes: Bytes| {
        valid(&format!("value/counter-{id}"), comment, "VAL-13 VAL-12", bytes)
    };
    vec![
        valid("value/removed", "removed", "VAL-12", bytes("0c")),
        ok("never", "a counter that begins at nothing", counter("0000000000000000", NIL, one)),
        ok("base", "a counter with a base", counter("0000000000000007", NODE, "fffffffffffffffb")),
        ok("greatest-base", "base 2^53 - 1", counter("001fffffffffffff", NODE, one)),
        ok("total-0", "a total of 0", counter("0000000000000001", NODE, "0000000000000000")),
        ok("total-min", "a total of -2^63", counter("0000000000000001", NODE, "8000000000000000")),
        ok("total-max", "a total of 2^63 - 1", counter("0000000000000001", NODE, "7fffffffffffffff")),
        base("base-0-with-node", "counter 0 with a node", "0000000000000000", NODE),
        base("base-without-node", "a counter with the nil node", "0000000000000001", NIL),
        base("base-over", "base 2^53", "0020000000000000", NODE),
        invalid(
            "value/counter-base-cut",
            "the base ends early",
            "Truncated",
            "NOT-8",
            bytes("0e0000000000000001550e8400"),
            ("TRUNCATED", 9),
        ),
        invalid(
            "value/counter-total-cut",
            "the total ends early",
            "Truncated",
            "NOT-8",
            bytes(&format!("0e0000000000000001{NODE}00")),
            ("TRUNCATED", 25),
        ),
        valid("value/int-as-field", "an ordinary value as a field", "VAL-12", bytes("1205")),
    ]
}

fn misplaced() -> Vec<Test> {
    let one = "0000000000000001";
    vec![
        bad("removed-plain", "removed as a plain value", "Misplaced", "VAL-12", "0c", ("MISPLACED_VALUE", 0)),
        bad(
            "patch-plain",
            "a patch as a plain value",
            "Misplaced",
            "VAL-12",
            "0d000100010b0b",
            ("MISPLACED_VALUE", 0),
        ),
        invalid(
            "value/counter-plain",
            "a counter as a plain value",
            "Misplaced",
            "VAL-12",
            counter("0000000000000000", NIL, one),
            ("MISPLACED_VALUE", 0),
        ),
        bad(
            "removed-in-array",
            "removed inside an array",
            "Misplaced",
            "VAL-12",
            "0800020b0c",
            ("MISPLACED_VALUE", 4),
        ),
        bad(
            "removed-in-dictionary",
            "removed inside a dictionary",
            "Misplaced",
            "VAL-12",
            "0900010001780c",
            ("MISPLACED_VALUE", 6),
        ),
    ]
}

fn cells() -> Vec<Test> {
    vec![
        valid(
            "value/cell-nothing",
            "removed as a cell says that there is nothing",
            "QRY-15 VAL-12",
            bytes("0c"),
        ),
        valid("value/cell-null", "null as a cell", "QRY-15", bytes("0b")),
        bad(
            "cell-patch",
            "a patch as a cell",
            "Misplaced",
            "QRY-15 VAL-12",
            "0d00010001780b",
            ("MISPLACED_VALUE", 0),
        ),
        bad(
            "cell-removed-inside",
            "removed inside a cell's array",
            "Misplaced",
            "QRY-15 VAL-12",
            "0800010c",
            ("MISPLACED_VALUE", 3),
        ),
        invalid(
            "value/cell-counter",
            "a counter as a cell",
            "Misplaced",
            "QRY-15 VAL-12",
            counter("0000000000000000", NIL, "0000000000000001"),
            ("MISPLACED_VALUE", 0),
        ),
    ]
}

fn ungated() -> Vec<Test> {
    vec![
        valid("value/field-without-crdt", "an ordinary field needs no capability", "OPS-18", bytes("1205")),
        valid("value/sealed-without-crdt", "neither does a sealed value", "OPS-18", bytes("100000000100")),
        bad(
            "removed-without-crdt",
            "removed needs crdt",
            "NotNegotiated",
            "OPS-18",
            "0c",
            ("NOT_NEGOTIATED", 0),
        ),
        bad(
            "patch-without-crdt",
            "a patch needs crdt",
            "NotNegotiated",
            "OPS-18",
            "0d00010001780b",
            ("NOT_NEGOTIATED", 0),
        ),
        invalid(
            "value/counter-without-crdt",
            "a counter needs crdt",
            "NotNegotiated",
            "OPS-18",
            counter("0000000000000000", NIL, "0000000000000001"),
            ("NOT_NEGOTIATED", 0),
        ),
        bad(
            "misplaced-before-gate",
            "removed inside an array is misplaced, whatever was agreed on",
            "Misplaced",
            "VAL-12",
            "0800010c",
            ("MISPLACED_VALUE", 3),
        ),
    ]
}
