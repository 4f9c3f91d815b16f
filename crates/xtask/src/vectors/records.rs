//! Stand-alone records and fields (SPEC.md 4.2 and 4.3).

use super::build::{Bytes, Context, File, Flag, Group, Test, invalid, valid};

const FLAGS: &[Flag] = &[
    ("BadMagic", "BASIC", "Does not begin with BLAZE.", &["VAL-20"]),
    ("BadVersion", "VERSION", "A version that is neither 01 nor 02.", &["VAL-21"]),
    ("BadChecksum", "INTEGRITY", "The checksum is not that of the bytes.", &["VAL-22"]),
    ("Truncated", "TRUNCATED", "Bytes end early.", &["NOT-8"]),
    ("Trailing", "TRAILING", "Bytes after the last field.", &["NOT-9"]),
    ("TooLong", "LIMIT", "One byte over a cap.", &["VAL-18", "VAL-23"]),
    ("UnknownKey", "UNKNOWN", "A key byte that is not listed.", &["VAL-16"]),
    ("SpelledOut", "NON_CANONICAL", "A common name that is spelled out.", &["VAL-17"]),
    ("EmptyName", "BOUNDARY", "A field without a name.", &["VAL-18"]),
    ("Order", "ORDER", "Fields that do not ascend by name.", &["VAL-19"]),
    ("Duplicate", "ORDER", "A name that stands twice.", &["VAL-19"]),
    ("NotUtf8", "UTF8", "A name that is not UTF-8.", &["VAL-8"]),
    ("Misplaced", "BASIC", "A value that stands only in operations.", &["VAL-12", "VAL-24"]),
];

/// All files of this module.
pub fn files() -> Vec<File> {
    vec![
        File {
            path: "v1/record/envelope.json",
            target: "record",
            header: &["The record of BlazeDB: magic, version, checksum, and worked examples."],
            flags: FLAGS,
            groups: vec![Group { name: "envelope", context: Context::ALL, tests: envelope() }],
        },
        File {
            path: "v1/record/fields.json",
            target: "record",
            header: &["Keys of fields and their order."],
            flags: FLAGS,
            groups: vec![Group { name: "fields", context: Context::ALL, tests: fields() }],
        },
    ]
}

fn head(version: u8, count: u16) -> Bytes {
    Bytes::new().raw("magic", b"BLAZE").u8("version", version).u16("field count", count)
}

fn plain(count: u16, fields: Bytes) -> Bytes {
    head(1, count).then(fields)
}

fn checked(count: u16, fields: Bytes) -> Bytes {
    head(2, count).then(fields).crc("checksum")
}

fn hex(fields: &str) -> Bytes {
    Bytes::new().hex("fields", fields)
}

fn good(id: &str, comment: &str, spec: &'static str, bytes: Bytes) -> Test {
    valid(&format!("record/{id}"), comment, spec, bytes)
}

fn bad(
    id: &str,
    comment: &str,
    flag: &'static str,
    spec: &'static str,
    bytes: Bytes,
    error: (&'static str, usize),
) -> Test {
    invalid(&format!("record/{id}"), comment, flag, spec, bytes, error)
}

/// `{"a":true,"n":-1,"x":1.5}`
fn three() -> Bytes {
    Bytes::new()
        .hex("key a", "ff 0001 61")
        .hex("true", "0401")
        .hex("key n", "ff 0001 6e")
        .hex("-1", "02 ffffffffffffffff")
        .hex("key x", "ff 0001 78")
        .hex("1.5", "03 3ff8000000000000")
}

fn worked_bug() -> Bytes {
    Bytes::new()
        .hex("key id", "01")
        .hex("uuid", "05 550e8400e29b41d4a716446655440000")
        .hex("key priority", "09")
        .hex("small int 5", "1205")
        .hex("key status", "08")
        .hex("inline string open", "24 6f70656e")
        .hex("key title", "06")
        .hex("inline string Fix login bug", "2d 466978206c6f67696e20627567")
}

fn envelope() -> Vec<Test> {
    let hello = || {
        Bytes::new()
            .hex("key count", "2f")
            .hex("42", "122a")
            .hex("key title", "06")
            .hex("Hello", "25 48656c6c6f")
    };
    let mixed = || {
        Bytes::new()
            .hex("key blob", "ff 0004 626c6f62")
            .hex("data", "07 00000003 ffaa55")
            .hex("key createdAt", "02")
            .hex("date", "06 3fe0000000000000")
            .hex("key metadata", "27")
            .hex("dictionary", "09 0002 0001 61 19 0001 62 08 0004 1201 02 0000000000000100 0b 11")
            .hex("key name", "10")
            .hex("string", "01 00000010 7369787465656e2d627974652d737472")
    };
    let largest = |len: usize| {
        // Magic, version, count, a key of 4 bytes, tag and length take 17 bytes.
        let text = len - 17;
        head(1, 1)
            .hex("key d", "ff 0001 64")
            .hex("tag", "07")
            .u32("length", u32::try_from(text).expect("fits"))
            .repeat("data", &[0], text)
    };
    vec![
        good("empty", "no fields", "VAL-20 VAL-21", plain(0, Bytes::new())),
        good("empty-checked", "no fields, with a checksum", "VAL-22", checked(0, Bytes::new())),
        good("worked-hello", "{\"title\":\"Hello\",\"count\":42}", "VAL-16 VAL-19", plain(2, hello())),
        good(
            "worked-bug",
            "a bug with id, priority, status and title",
            "VAL-16 VAL-19",
            plain(4, worked_bug()),
        ),
        good(
            "worked-checked",
            "{\"a\":true,\"n\":-1,\"x\":1.5} with a checksum",
            "VAL-22 VAL-21",
            checked(3, three()),
        ),
        good("worked-mixed", "date, dictionary, data and a string of 16 bytes", "VAL-19", plain(4, mixed())),
        bad(
            "magic-wrong",
            "the last letter of the magic",
            "BadMagic",
            "VAL-20",
            plain(0, Bytes::new()).with(4, b"F"),
            ("BAD_MAGIC", 0),
        ),
        bad(
            "magic-lower-case",
            "blaze",
            "BadMagic",
            "VAL-20",
            plain(0, Bytes::new()).with(0, b"blaze"),
            ("BAD_MAGIC", 0),
        ),
        bad("no-bytes", "nothing at all", "Truncated", "VAL-20 NOT-8", Bytes::new(), ("TRUNCATED", 0)),
        bad(
            "magic-cut",
            "four bytes of another magic",
            "Truncated",
            "VAL-20 NOT-8",
            Bytes::new().hex("cut", "00000000"),
            ("TRUNCATED", 0),
        ),
        bad(
            "version-missing",
            "the magic alone",
            "Truncated",
            "NOT-8",
            Bytes::new().raw("magic", b"BLAZE"),
            ("TRUNCATED", 5),
        ),
        bad("version-0", "version 00", "BadVersion", "VAL-21", head(0, 0), ("UNSUPPORTED_VERSION", 5)),
        bad("version-3", "version 03", "BadVersion", "VAL-21", head(3, 0), ("UNSUPPORTED_VERSION", 5)),
        bad(
            "version-3-before-rest",
            "an unknown version is told before what follows is missed",
            "BadVersion",
            "VAL-21",
            Bytes::new().raw("magic", b"BLAZE").hex("version", "03"),
            ("UNSUPPORTED_VERSION", 5),
        ),
        bad(
            "count-cut",
            "one byte of the field count",
            "Truncated",
            "NOT-8",
            Bytes::new().raw("magic", b"BLAZE").hex("version", "01").hex("cut", "00"),
            ("TRUNCATED", 6),
        ),
        bad(
            "checksum-bit",
            "the lowest bit of the checksum",
            "BadChecksum",
            "VAL-22",
            {
                let good = checked(3, three());
                let at = good.len() - 1;
                let last = good.bytes()[at];
                good.with(at, &[last ^ 1])
            },
            ("BAD_CHECKSUM", 40),
        ),
        bad(
            "checksum-body-bit",
            "a bit of the first value",
            "BadChecksum",
            "VAL-22 NOT-10",
            checked(3, three()).with(13, &[0]),
            ("BAD_CHECKSUM", 40),
        ),
        bad(
            "checksum-before-fields",
            "the checksum is checked before an unknown tag",
            "BadChecksum",
            "VAL-22 NOT-10",
            checked(3, three()).with(12, &[0]),
            ("BAD_CHECKSUM", 40),
        ),
        bad(
            "checksum-of-version-1",
            "a checksum behind version 01",
            "Trailing",
            "NOT-9",
            checked(3, three()).with(5, &[1]),
            ("TRAILING_BYTES", 40),
        ),
        bad(
            "checked-too-short",
            "version 02 with 11 bytes",
            "Truncated",
            "VAL-22 NOT-8",
            head(2, 0).hex("cut", "000000"),
            ("TRUNCATED", 6),
        ),
        bad(
            "trailing",
            "a byte after the last field",
            "Trailing",
            "NOT-9",
            plain(2, hello()).hex("too much", "00"),
            ("TRAILING_BYTES", 18),
        ),
        bad(
            "trailing-checked",
            "a byte before the checksum",
            "Trailing",
            "NOT-9",
            checked(2, hello().hex("too much", "00")),
            ("TRAILING_BYTES", 18),
        ),
        bad(
            "count-too-high",
            "three fields announced, two there",
            "Truncated",
            "NOT-8",
            plain(3, hello()),
            ("TRUNCATED", 18),
        ),
        bad(
            "count-too-low",
            "one field announced, two there",
            "Trailing",
            "NOT-9",
            plain(1, hello()),
            ("TRAILING_BYTES", 11),
        ),
        good("largest", "983,040 bytes", "VAL-23", largest(983_040)),
        bad("over", "983,041 bytes", "TooLong", "VAL-23", largest(983_041), ("TOO_LONG", 0)),
        bad(
            "removed",
            "removed in a record",
            "Misplaced",
            "VAL-24 VAL-12",
            plain(1, hex("06 0c")),
            ("MISPLACED_VALUE", 9),
        ),
        bad(
            "patch",
            "a patch in a record",
            "Misplaced",
            "VAL-24 VAL-12",
            plain(1, hex("06 0d 0001 0001 78 0b")),
            ("MISPLACED_VALUE", 9),
        ),
        bad(
            "counter",
            "a counter in a record",
            "Misplaced",
            "VAL-24 VAL-12",
            plain(1, hex("06 0e 0000000000000000 00000000000000000000000000000000 0000000000000001")),
            ("MISPLACED_VALUE", 9),
        ),
        good("sealed", "a sealed value in a record", "VAL-24", plain(1, hex("06 10 00000001 2a"))),
    ]
}

fn fields() -> Vec<Test> {
    let named = |name: &str| Bytes::new().hex("key byte", "ff").text16("name", name).hex("null", "0b");
    let all_common = {
        let text = blazedb_relay_conformance::spec::text().expect("SPEC.md");
        let rows = blazedb_relay_conformance::spec::table(&text, "common-names");
        let mut names: Vec<_> =
            rows.iter().flat_map(|row| row.chunks(2)).filter(|pair| !pair[0].is_empty()).collect();
        names.sort_by_key(|pair| &pair[1]);
        names
            .iter()
            .fold(Bytes::new(), |all, pair| all.hex(&format!("key {}", pair[1]), &pair[0]).hex("null", "0b"))
    };
    vec![
        good(
            "all-common-names",
            "every common name, in the order of names",
            "VAL-16 VAL-19",
            plain(58, all_common),
        ),
        good("key-01", "the first common name", "VAL-16", plain(1, hex("01 0b"))),
        good("key-3a", "the last common name", "VAL-16", plain(1, hex("3a 0b"))),
        bad("key-00", "key byte 00", "UnknownKey", "VAL-16", plain(1, hex("00 0b")), ("UNKNOWN_KEY", 8)),
        bad("key-3b", "key byte 3B", "UnknownKey", "VAL-16", plain(1, hex("3b 0b")), ("UNKNOWN_KEY", 8)),
        bad("key-fe", "key byte FE", "UnknownKey", "VAL-16", plain(1, hex("fe 0b")), ("UNKNOWN_KEY", 8)),
        bad(
            "key-missing",
            "a field announced, none there",
            "Truncated",
            "NOT-8",
            plain(1, Bytes::new()),
            ("TRUNCATED", 8),
        ),
        good("name-1", "a name of one byte", "VAL-18", plain(1, named("x"))),
        good("name-almost-common", "titles is not title", "VAL-17", plain(1, named("titles"))),
        good("name-other-case", "Title is not title", "VAL-17", plain(1, named("Title"))),
        bad(
            "name-common-spelled",
            "title spelled out",
            "SpelledOut",
            "VAL-17",
            plain(1, named("title")),
            ("NON_CANONICAL", 8),
        ),
        bad(
            "name-common-short-spelled",
            "id spelled out",
            "SpelledOut",
            "VAL-17",
            plain(1, named("id")),
            ("NON_CANONICAL", 8),
        ),
        bad(
            "name-common-last-spelled",
            "isFavorite spelled out",
            "SpelledOut",
            "VAL-17",
            plain(1, named("isFavorite")),
            ("NON_CANONICAL", 8),
        ),
        bad(
            "name-empty",
            "a name of no bytes",
            "EmptyName",
            "VAL-18",
            plain(1, hex("ff 0000 0b")),
            ("EMPTY", 9),
        ),
        good("name-255", "the longest name", "VAL-18", plain(1, named(&"n".repeat(255)))),
        bad(
            "name-256",
            "one byte more",
            "TooLong",
            "VAL-18",
            plain(1, named(&"n".repeat(256))),
            ("TOO_LONG", 9),
        ),
        bad(
            "name-cut",
            "a name that ends early",
            "Truncated",
            "NOT-8",
            plain(1, hex("ff 0003 6162")),
            ("TRUNCATED", 11),
        ),
        bad(
            "name-length-cut",
            "one byte of a name's length",
            "Truncated",
            "NOT-8",
            plain(1, hex("ff 00")),
            ("TRUNCATED", 9),
        ),
        bad(
            "name-utf8",
            "a name that is not UTF-8",
            "NotUtf8",
            "VAL-8 NOT-6",
            plain(1, hex("ff 0002 c080 0b")),
            ("BAD_UTF8", 11),
        ),
        good("name-nul", "a NUL in a name", "VAL-18", plain(1, hex("ff 0003 610062 0b"))),
        good(
            "order-by-name",
            "assignedTo (0A) before category (0F) before id (01)",
            "VAL-19",
            plain(3, hex("0a 0b 0f 0b 01 0b")),
        ),
        good(
            "order-mixed",
            "common and other names together",
            "VAL-19",
            plain(3, hex("01 0b ff 0001 6a 0b 06 0b")),
        ),
        bad(
            "order-by-key",
            "in the order of keys, not of names",
            "Order",
            "VAL-19",
            plain(2, hex("01 0b 0a 0b")),
            ("OUT_OF_ORDER", 10),
        ),
        bad(
            "order-other",
            "b before a",
            "Order",
            "VAL-19",
            plain(2, named("b").then(named("a"))),
            ("OUT_OF_ORDER", 13),
        ),
        bad(
            "order-common-after-other",
            "zzz before title",
            "Order",
            "VAL-19",
            plain(2, named("zzz").hex("title", "06 0b")),
            ("OUT_OF_ORDER", 15),
        ),
        bad(
            "order-prefix",
            "ab before a",
            "Order",
            "VAL-19",
            plain(2, named("ab").then(named("a"))),
            ("OUT_OF_ORDER", 14),
        ),
        bad(
            "duplicate-common",
            "title twice",
            "Duplicate",
            "VAL-19",
            plain(2, hex("06 0b 06 0b")),
            ("DUPLICATE", 10),
        ),
        bad(
            "duplicate-other",
            "x twice",
            "Duplicate",
            "VAL-19",
            plain(2, named("x").then(named("x"))),
            ("DUPLICATE", 13),
        ),
        bad(
            "order-before-value",
            "the order is checked before the value",
            "Order",
            "VAL-19",
            plain(2, hex("06 0b 01 00")),
            ("OUT_OF_ORDER", 10),
        ),
        good(
            "most-fields",
            "4,096 fields",
            "NOT-7",
            (0..4_096u16).fold(head(1, 4_096), |all, i| {
                all.hex("field", &format!("ff 0004 {} 0b", super::build::hex(format!("{i:04x}").as_bytes())))
            }),
        ),
    ]
}
