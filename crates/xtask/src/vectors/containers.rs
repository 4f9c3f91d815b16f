//! Values: arrays, dictionaries and patches (SPEC.md 4.1).

use super::build::{Bytes, Context, File, Flag, Group, Test, invalid, valid};
use super::values::{FIELD, bytes};

const FLAGS: &[Flag] = &[
    ("LongForm", "NON_CANONICAL", "An empty container that is not written as 18 or 19.", &["VAL-5"]),
    ("Order", "ORDER", "Keys that do not ascend.", &["VAL-9"]),
    ("Duplicate", "ORDER", "A key that stands twice.", &["VAL-9"]),
    ("LongKeys", "LIMIT", "More than 255 bytes of keys above a patch.", &["VAL-26"]),
    ("TooDeep", "LIMIT", "More than 64 containers open at once.", &["VAL-10"]),
    ("EmptyPatch", "BOUNDARY", "A patch without an entry.", &["VAL-11"]),
    ("Truncated", "TRUNCATED", "Bytes end inside a primitive.", &["NOT-8"]),
    ("NotUtf8", "UTF8", "A key that is not UTF-8.", &["VAL-8"]),
    ("Misplaced", "BASIC", "removed, patch or counter where it may not stand.", &["VAL-12"]),
    ("BadBase", "BOUNDARY", "A counter's base that is neither never nor a timestamp.", &["VAL-13"]),
    ("CountBomb", "TRUNCATED", "A count far beyond the bytes present.", &["NOT-3"]),
];

/// All files of this module.
pub fn files() -> Vec<File> {
    vec![
        File {
            path: "v1/value/containers.json",
            target: "value",
            header: &["Arrays and dictionaries: counts, order of keys, nesting."],
            flags: FLAGS,
            groups: vec![Group { name: "containers", context: Context::ALL, tests: plain() }],
        },
        File {
            path: "v1/value/patches.json",
            target: "value",
            header: &["Patches, as the value of an operation's field."],
            flags: FLAGS,
            groups: vec![Group { name: "patches", context: FIELD, tests: patches() }],
        },
    ]
}

fn good(id: &str, comment: &str, spec: &'static str, hex: &str) -> Test {
    valid(&format!("value/{id}"), comment, spec, bytes(hex))
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

/// `depth` arrays of one element around `inner`.
fn arrays(depth: usize, inner: &str) -> Bytes {
    Bytes::new().repeat("arrays", &[8, 0, 1], depth).hex("innermost", inner)
}

/// `depth` dictionaries {"a": ...} around `inner`.
fn dictionaries(depth: usize, inner: &str) -> Bytes {
    Bytes::new().repeat("dictionaries", &[9, 0, 1, 0, 1, b'a'], depth).hex("innermost", inner)
}

fn plain() -> Vec<Test> {
    let mut all = vec![
        good("array-empty", "[]", "VAL-5", "18"),
        good("array-1", "[null]", "VAL-5", "0800010b"),
        good("array-mixed", "[1, 256, null, \"\"]", "VAL-5", "08000412010200000000000001000b11"),
        good("array-nested", "[[], [1]]", "VAL-10", "080002180800011201"),
        good("dictionary-empty", "{}", "VAL-5", "19"),
        good("dictionary-1", "{\"a\": true}", "VAL-9", "0900010001610401"),
        good("dictionary-empty-key", "a key may be empty", "VAL-9", "09000100000b"),
        good("dictionary-prefix", "\"a\" before \"aa\"", "VAL-9", "0900020001610b000261610b"),
        good(
            "dictionary-bytes-order",
            "\"B\" before \"a\": bytes, not letters",
            "VAL-9",
            "0900020001420b0001610b",
        ),
        good(
            "dictionary-utf8-order",
            "U+FFFF before U+10000: bytes, not UTF-16",
            "VAL-9",
            "0900020003efbfbf0b0004f09080800b",
        ),
        good(
            "dictionary-common-name",
            "a common name as a key is spelled out",
            "VAL-9",
            "09000100057469746c650b",
        ),
        bad("array-empty-long", "[] with tag 08", "LongForm", "VAL-5", "080000", ("NON_CANONICAL", 0)),
        bad("dictionary-empty-long", "{} with tag 09", "LongForm", "VAL-5", "090000", ("NON_CANONICAL", 0)),
        bad(
            "array-empty-long-inside",
            "[[]] with two tags 08",
            "LongForm",
            "VAL-5",
            "080001080000",
            ("NON_CANONICAL", 3),
        ),
        bad(
            "dictionary-duplicate",
            "\"a\" twice",
            "Duplicate",
            "VAL-9",
            "0900020001610b0001610b",
            ("DUPLICATE", 7),
        ),
        bad(
            "dictionary-duplicate-empty",
            "the empty key twice",
            "Duplicate",
            "VAL-9",
            "09000200000b00000b",
            ("DUPLICATE", 6),
        ),
        bad(
            "dictionary-order",
            "\"b\" before \"a\"",
            "Order",
            "VAL-9",
            "0900020001620b0001610b",
            ("OUT_OF_ORDER", 7),
        ),
        bad(
            "dictionary-longer-first",
            "\"aa\" before \"a\"",
            "Order",
            "VAL-9",
            "090002000261610b0001610b",
            ("OUT_OF_ORDER", 8),
        ),
        bad(
            "dictionary-swift-order",
            "é decomposed after é composed: NFC does not count",
            "Order",
            "VAL-9",
            "0900020002c3a90b000365cc810b",
            ("OUT_OF_ORDER", 8),
        ),
        bad(
            "dictionary-order-before-value",
            "the order is checked before the value",
            "Order",
            "VAL-9",
            "0900020001620b00016100",
            ("OUT_OF_ORDER", 7),
        ),
        bad(
            "dictionary-key-cut",
            "a key that ends early",
            "Truncated",
            "NOT-8",
            "09000100036162",
            ("TRUNCATED", 5),
        ),
        bad(
            "dictionary-key-length-cut",
            "a key's length of one byte",
            "Truncated",
            "NOT-8",
            "09000100",
            ("TRUNCATED", 3),
        ),
        bad(
            "dictionary-value-missing",
            "a key without a value",
            "Truncated",
            "NOT-8",
            "090001000161",
            ("TRUNCATED", 6),
        ),
        bad(
            "dictionary-key-utf8",
            "a key that is not UTF-8",
            "NotUtf8",
            "VAL-8",
            "0900010001ff0b",
            ("BAD_UTF8", 5),
        ),
        bad("array-count-cut", "a count of one byte", "Truncated", "NOT-8", "0800", ("TRUNCATED", 1)),
        bad("array-short", "one element of two", "Truncated", "NOT-8", "0800020b", ("TRUNCATED", 4)),
        bad(
            "array-count-bomb",
            "65,535 elements announced, none there",
            "CountBomb",
            "NOT-3 NOT-8",
            "08ffff",
            ("TRUNCATED", 3),
        ),
        bad(
            "array-element-cut",
            "the second element is cut",
            "Truncated",
            "NOT-8",
            "080002120112",
            ("TRUNCATED", 6),
        ),
    ];
    all.extend([
        valid("value/depth-64-arrays", "64 arrays open", "VAL-10", arrays(64, "0b")),
        valid("value/depth-64-dictionaries", "64 dictionaries open", "VAL-10", dictionaries(64, "0b")),
        valid(
            "value/depth-64-empty-inside",
            "an empty array inside the 64th does not count",
            "VAL-10",
            arrays(64, "18"),
        ),
        valid(
            "value/depth-siblings",
            "two chains of 63 inside one array: what is closed does not count",
            "VAL-10",
            Bytes::new().hex("outer", "080002").then(arrays(63, "0b")).then(arrays(63, "0b")),
        ),
        invalid(
            "value/depth-65-arrays",
            "the 65th array",
            "TooDeep",
            "VAL-10",
            arrays(65, "0b"),
            ("TOO_DEEP", 192),
        ),
        invalid(
            "value/depth-65-dictionaries",
            "the 65th dictionary",
            "TooDeep",
            "VAL-10",
            dictionaries(65, "0b"),
            ("TOO_DEEP", 384),
        ),
        invalid(
            "value/depth-65-empty-long",
            "the 65th array is too deep before it is empty",
            "TooDeep",
            "VAL-10",
            arrays(64, "080000"),
            ("TOO_DEEP", 192),
        ),
        invalid(
            "value/depth-bomb",
            "10,000 arrays",
            "TooDeep",
            "VAL-10",
            arrays(10_000, "0b"),
            ("TOO_DEEP", 192),
        ),
        valid(
            "value/array-largest-count",
            "65,535 nulls",
            "NOT-7",
            Bytes::new().hex("tag", "08").u16("count", 65_535).repeat("nulls", &[0x0b], 65_535),
        ),
        valid(
            "value/dictionary-longest-key",
            "a key of 65,535 bytes",
            "VAL-9",
            Bytes::new()
                .hex("tag and count", "090001")
                .u16("key length", 65_535)
                .repeat("key", b"k", 65_535)
                .hex("value", "0b"),
        ),
    ]);
    all
}

fn patches() -> Vec<Test> {
    // A patch in a patch, under a key of `first` bytes, and in it `inner` under one of `second` bytes.
    let below = |first: u8, second: u8, inner: &str| {
        let mut bytes = Bytes::new();
        for len in [first, second] {
            bytes = bytes.hex("patch", "0d0001").hex("key length", &format!("{len:04x}"));
            bytes = bytes.repeat("key", b"a", len.into());
        }
        bytes.hex("value", inner)
    };
    let patch_chain = |depth: usize, inner: &str| {
        Bytes::new().repeat("patches", &[0x0d, 0, 1, 0, 1, b'a'], depth).hex("innermost", inner)
    };
    vec![
        good("patch-remove", "{x: removed}", "VAL-11 VAL-12", "0d00010001780c"),
        good("patch-null", "{x: null}, as a set adds", "VAL-11", "0d00010001780b"),
        good("patch-nested", "{a: {b: removed}}", "VAL-12", "0d00010001610d00010001620c"),
        good(
            "patch-counter",
            "a counter as an entry",
            "VAL-12",
            "0d00010001610e000000000000000000000000000000000000000000000000000000000000000a",
        ),
        good("patch-two", "two entries in order", "VAL-9", "0d00020001610c0001620b"),
        bad("patch-empty", "a patch without an entry", "EmptyPatch", "VAL-11", "0d0000", ("EMPTY", 1)),
        bad(
            "patch-order",
            "\"b\" before \"a\"",
            "Order",
            "VAL-9",
            "0d00020001620b0001610b",
            ("OUT_OF_ORDER", 7),
        ),
        bad(
            "patch-duplicate",
            "\"a\" twice",
            "Duplicate",
            "VAL-9",
            "0d00020001610b0001610b",
            ("DUPLICATE", 7),
        ),
        bad(
            "patch-in-array",
            "a patch inside an array",
            "Misplaced",
            "VAL-12",
            "0800010d00010001780b",
            ("MISPLACED_VALUE", 3),
        ),
        bad(
            "patch-in-dictionary",
            "a patch inside a dictionary",
            "Misplaced",
            "VAL-12",
            "0900010001610d00010001780b",
            ("MISPLACED_VALUE", 6),
        ),
        bad(
            "patch-dictionary-removed",
            "removed inside a dictionary that is an entry of a patch",
            "Misplaced",
            "VAL-12",
            "0d00010001610900010001620c",
            ("MISPLACED_VALUE", 12),
        ),
        bad(
            "patch-cut",
            "a patch that ends after its count",
            "Truncated",
            "NOT-8",
            "0d0001",
            ("TRUNCATED", 3),
        ),
        good("patch-empty-key", "a key may be empty", "VAL-9 VAL-11", "0d000100000c"),
        good("patch-prefix", "\"a\" before \"aa\"", "VAL-9", "0d00020001610c000261610c"),
        good("patch-common-name", "a common name as a key is spelled out", "VAL-9", "0d000100057469746c650c"),
        good(
            "patch-containers",
            "an array and a dictionary as entries",
            "VAL-11",
            "0d00020001610800010b00016209000100017a0b",
        ),
        good("patch-sealed", "a sealed entry", "VAL-11 VAL-15", "0d0001000161100000000107"),
        bad(
            "patch-longer-first",
            "\"aa\" before \"a\"",
            "Order",
            "VAL-9",
            "0d0002000261610c0001610c",
            ("OUT_OF_ORDER", 8),
        ),
        bad(
            "patch-order-before-value",
            "the order is checked before the value",
            "Order",
            "VAL-9",
            "0d00020001620b00016100",
            ("OUT_OF_ORDER", 7),
        ),
        bad(
            "patch-key-utf8",
            "a key that is not UTF-8",
            "NotUtf8",
            "VAL-8",
            "0d0001000261c30c",
            ("BAD_UTF8", 5),
        ),
        bad(
            "patch-key-cut",
            "a key that ends early",
            "Truncated",
            "NOT-8",
            "0d000100036162",
            ("TRUNCATED", 5),
        ),
        bad(
            "patch-value-missing",
            "a key without a value",
            "Truncated",
            "NOT-8",
            "0d0001000161",
            ("TRUNCATED", 6),
        ),
        bad(
            "patch-count-bomb",
            "65,535 entries announced, none there",
            "CountBomb",
            "NOT-3 NOT-8",
            "0dffff",
            ("TRUNCATED", 3),
        ),
        bad(
            "patch-counter-base",
            "a counter with a nil base node as an entry",
            "BadBase",
            "VAL-13",
            "0d00010001610e000000000000000100000000000000000000000000000000000000000000000a",
            ("BAD_TIMESTAMP", 7),
        ),
        valid(
            "value/patch-keys-255",
            "two keys of 127 and 128 bytes above a patch whose own key is longer",
            "VAL-26",
            below(127, 128, "0d0001").hex("key length", "0200").repeat("key", b"k", 512).hex("value", "0c"),
        ),
        invalid(
            "value/patch-keys-256",
            "two keys of 128 bytes above a patch",
            "LongKeys",
            "VAL-26",
            below(128, 128, "0d0001").hex("entry", "00017a0c"),
            ("TOO_LONG", 266),
        ),
        invalid(
            "value/patch-keys-before-count",
            "two keys of 128 bytes above a patch without entries",
            "LongKeys",
            "VAL-26",
            below(128, 128, "0d0000"),
            ("TOO_LONG", 266),
        ),
        valid(
            "value/patch-keys-above-a-dictionary",
            "256 bytes of keys above a dictionary, which is one value",
            "VAL-26",
            below(128, 128, "090001").hex("entry", "00017a0b"),
        ),
        valid("value/patch-depth-64", "64 patches open", "VAL-10", patch_chain(64, "0c")),
        invalid(
            "value/patch-depth-65",
            "the 65th patch",
            "TooDeep",
            "VAL-10",
            patch_chain(65, "0c"),
            ("TOO_DEEP", 384),
        ),
        invalid(
            "value/patch-misplaced-before-depth",
            "a patch inside 64 arrays is misplaced before it is too deep",
            "Misplaced",
            "VAL-12",
            arrays(64, "0d00010001780b"),
            ("MISPLACED_VALUE", 192),
        ),
    ]
}
