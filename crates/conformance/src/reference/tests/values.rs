//! 4 and 6.1.

use serde_json::json;

use super::*;

#[track_caller]
fn value(text: &str) -> Result<Json, (&'static str, usize)> {
    run(Target::Value, &hex(text), &session())
}

#[track_caller]
fn field(text: &str) -> Result<Json, (&'static str, usize)> {
    run(Target::Value, &hex(text), &Context { place: Place::Field, ..session() })
}

#[track_caller]
fn cell(text: &str) -> Result<Json, (&'static str, usize)> {
    run(Target::Value, &hex(text), &Context { place: Place::Cell, crdt: false, ..session() })
}

#[test]
fn examples() {
    assert_eq!(value("12 2A"), Ok(json!({"type":"int","value":"42"})));
    assert_eq!(value("02 FFFFFFFFFFFFFFFF"), Ok(json!({"type":"int","value":"-1"})));
    assert_eq!(value("25 48656C6C6F"), Ok(json!({"type":"string","value":"Hello"})));
    let patch = json!({"type":"patch","entries":[["x",{"type":"removed"}]]});
    assert_eq!(field("0D 0001 0001 78 0C"), Ok(patch));
    assert_eq!(value("0F 0001 3F800000"), Ok(json!({"type":"vector","bits":["3f800000"]})));
    assert_eq!(value("18"), Ok(json!({"type":"array","items":[]})));
}

#[test]
fn tags() {
    assert_eq!(value(""), Err(("TRUNCATED", 0)));
    assert_eq!(value("00"), Err(("UNKNOWN_TAG", 0))); // VAL-1
    assert_eq!(value("20"), Err(("UNKNOWN_TAG", 0)));
    assert_eq!(value("13"), Err(("UNKNOWN_TAG", 0)));
    assert_eq!(value("0A"), Err(("LEGACY_VECTOR", 0))); // VAL-2
    assert_eq!(value("0B 00"), Err(("TRAILING_BYTES", 1))); // VAL-25
    assert_eq!(value("0D"), Err(("MISPLACED_VALUE", 0))); // VAL-12
}

#[test]
fn canonical_forms() {
    assert_eq!(value("01 0000000F 616161616161616161616161616161"), Err(("NON_CANONICAL", 0))); // VAL-3
    assert_eq!(value("01 00000001 FF"), Err(("BAD_UTF8", 5))); // before VAL-3
    assert_eq!(value("01 000F0001"), Err(("TOO_LONG", 1))); // VAL-7
    assert_eq!(value("02 00000000000000FF"), Err(("NON_CANONICAL", 0))); // VAL-4
    assert_eq!(value("02 00000000000000"), Err(("TRUNCATED", 1)));
    assert_eq!(value("08 0000"), Err(("NON_CANONICAL", 0))); // VAL-5
    assert_eq!(value("09 0000"), Err(("NON_CANONICAL", 0)));
    assert_eq!(value("04 02"), Err(("BAD_BOOL", 1))); // VAL-6
    assert_eq!(value("10 00000000"), Err(("EMPTY", 1))); // VAL-15
    assert_eq!(value("22 61"), Err(("TRUNCATED", 1)));
    assert_eq!(value("22 C0 80"), Err(("BAD_UTF8", 1))); // VAL-8
    assert_eq!(value("0F 0002 00000000"), Err(("TRUNCATED", 3)));
}

#[test]
fn keys() {
    assert!(value("09 0002 0000 0B 0001 00 0B").is_ok());
    assert_eq!(value("09 0002 0001 62 0B 0001 62 00"), Err(("DUPLICATE", 7))); // VAL-9
    assert_eq!(value("09 0002 0001 62 0B 0001 61 00"), Err(("OUT_OF_ORDER", 7)));
    assert_eq!(value("09 0002 0002 6161 0B 0001 61 00"), Err(("OUT_OF_ORDER", 8)));
    assert_eq!(field("0D 0000"), Err(("EMPTY", 1))); // VAL-11
}

#[test]
fn depth() {
    let nested = |depth: usize| {
        let mut bytes = b"\x08\x00\x01".repeat(depth);
        bytes.push(0x18);
        bytes
    };
    assert!(decode(Target::Value, &nested(64), &session()).is_ok());
    fails(Target::Value, &nested(65), "TOO_DEEP", 64 * 3); // VAL-10
    fails(Target::Value, &nested(500_000), "TOO_DEEP", 64 * 3);
}

#[test]
fn places() {
    assert_eq!(field("09 0001 0000 0C"), Err(("MISPLACED_VALUE", 5)));
    assert_eq!(field("0D 0001 0000 09 0001 0000 0C"), Err(("MISPLACED_VALUE", 10)));
    assert!(field("0D 0001 0000 0D 0001 0000 0C").is_ok());
    assert!(cell("0C").is_ok()); // QRY-15
    assert_eq!(cell("0D"), Err(("MISPLACED_VALUE", 0)));
    assert_eq!(cell("08 0001 0C"), Err(("MISPLACED_VALUE", 3)));
    let without = Context { place: Place::Field, crdt: false, ..session() };
    assert_eq!(run(Target::Value, &[0x0C], &without), Err(("NOT_NEGOTIATED", 0))); // OPS-18
}

#[test]
fn counters() {
    let never = "0E 0000000000000000 00000000000000000000000000000000 FFFFFFFFFFFFFFFB";
    let base = json!({"counter":"0","node":"00000000-0000-0000-0000-000000000000"});
    assert_eq!(field(never), Ok(json!({"type":"counter","base":base,"total":"-5"})));
    // VAL-13
    assert_eq!(field("0E 0000000000000001 00000000000000000000000000000000"), Err(("BAD_TIMESTAMP", 1)));
    assert_eq!(field("0E 0000000000000000 01000000000000000000000000000000"), Err(("BAD_TIMESTAMP", 1)));
    assert_eq!(field("0E 0020000000000000 01000000000000000000000000000000"), Err(("BAD_TIMESTAMP", 1)));
    assert_eq!(field("0E 0020000000000000 01"), Err(("TRUNCATED", 9)));
}

#[track_caller]
fn record(text: &str) -> Result<Json, (&'static str, usize)> {
    run(Target::Record, &hex(text), &session())
}

#[test]
fn worked_records() {
    assert_eq!(record("424C415A45 01 0000"), Ok(json!({"version":"1","fields":[]})));
    let count = json!([["count",{"type":"int","value":"42"}],["title",{"type":"string","value":"Hello"}]]);
    assert_eq!(
        record("424C415A45 01 0002 | 2F 12 2A | 06 25 48656C6C6F"),
        Ok(json!({"version":"1","fields":count}))
    );
    let bug = record(
        "424C415A45 01 0004 | 01 05 550E8400E29B41D4A716446655440000 | 09 12 05 | 08 24 6F70656E
         | 06 2D 466978206C6F67696E20627567",
    );
    assert_eq!(
        bug.unwrap()["fields"][0],
        json!(["id",{"type":"uuid","value":"550e8400-e29b-41d4-a716-446655440000"}])
    );
    let checked = "424C415A45 02 0003 | FF 0001 61 04 01 | FF 0001 6E 02 FFFFFFFFFFFFFFFF
         | FF 0001 78 03 3FF8000000000000 | 13EE46BB";
    let fields = json!([
        ["a",{"type":"bool","value":true}],
        ["n",{"type":"int","value":"-1"}],
        ["x",{"type":"double","bits":"3ff8000000000000"}],
    ]);
    assert_eq!(record(checked), Ok(json!({"version":"2","fields":fields})));
    let nested = record(
        "424C415A45 01 0004 | FF 0004 626C6F62 07 00000003 FFAA55 | 02 06 3FE0000000000000
         | 27 09 0002 0001 61 19 0001 62 08 0004 12 01 02 0000000000000100 0B 11
         | 10 01 00000010 7369787465656E2D627974652D737472",
    )
    .unwrap();
    assert_eq!(nested["fields"][0], json!(["blob",{"type":"data","hex":"ffaa55"}]));
    assert_eq!(nested["fields"][3], json!(["name",{"type":"string","value":"sixteen-byte-str"}]));
}

#[test]
fn records() {
    assert_eq!(record("424C415A"), Err(("TRUNCATED", 0))); // VAL-20
    assert_eq!(record("424C415A46"), Err(("BAD_MAGIC", 0)));
    assert_eq!(record("424C415A45"), Err(("TRUNCATED", 5)));
    assert_eq!(record("424C415A45 03"), Err(("UNSUPPORTED_VERSION", 5))); // VAL-21
    assert_eq!(record("424C415A45 02 0000 000000"), Err(("TRUNCATED", 6))); // VAL-22
    assert_eq!(record("424C415A45 02 0000 00000000"), Err(("BAD_CHECKSUM", 8)));
    assert_eq!(record("424C415A45 01 0000 00"), Err(("TRAILING_BYTES", 8)));
    assert_eq!(record("424C415A45 01 0001 09 0C"), Err(("MISPLACED_VALUE", 9))); // VAL-24
    fails(Target::Record, &[0; 983_041], "TOO_LONG", 0); // VAL-23
    fails(Target::Record, &[0; 983_040], "BAD_MAGIC", 0);
    let cut = sealed(hex("424C415A45 02 0001 09 12"));
    fails(Target::Record, &cut, "TRUNCATED", 10); // NOT-8
}

#[test]
fn names() {
    assert_eq!(record("424C415A45 01 0001 3B"), Err(("UNKNOWN_KEY", 8))); // VAL-16
    assert_eq!(record("424C415A45 01 0001 00"), Err(("UNKNOWN_KEY", 8)));
    assert_eq!(record("424C415A45 01 0001 FF 0002 6964"), Err(("NON_CANONICAL", 8))); // VAL-17
    assert_eq!(record("424C415A45 01 0001 FF 0000"), Err(("EMPTY", 9))); // VAL-18
    assert_eq!(record("424C415A45 01 0001 FF 0100"), Err(("TOO_LONG", 9)));
    assert_eq!(record("424C415A45 01 0002 06 0B 09 00"), Err(("OUT_OF_ORDER", 10))); // VAL-19
    assert_eq!(record("424C415A45 01 0002 06 0B 06 00"), Err(("DUPLICATE", 10)));
    assert!(record("424C415A45 01 0001 3A 0B").unwrap()["fields"][0][0] == "isFavorite");
}

/// An operation with some of its bytes exchanged.
#[track_caller]
fn changed(op: &[u8], at: usize, with: &[u8]) -> Result<Json, (&'static str, usize)> {
    let mut op = op[..op.len() - 4].to_vec();
    op.splice(at..at + with.len(), with.iter().copied());
    run(Target::Op, &sealed(op), &session())
}

#[test]
fn operations() {
    let node = "550e8400-e29b-41d4-a716-446655440000";
    let expected = json!({
        "node": node, "node_seq": "42", "timestamp": {"counter": "7", "node": node}, "kind": "insert",
        "record": "09090909-0909-0909-0909-090909090909", "collection": "bugs", "previous": null,
        "fields": [["priority", {"type": "int", "value": "5"}]],
    });
    let good = insert(42);
    assert_eq!(run(Target::Op, &good, &session()), Ok(expected));
    fails(Target::Op, &good[..82], "TRUNCATED", 0); // OPS-7
    fails(Target::Op, &vec![0; 983_041], "TOO_LONG", 0); // OPS-6
    fails(Target::Op, &[0; 83], "UNSUPPORTED_VERSION", 0); // OPS-8
    let mut damaged = good.clone();
    damaged[1] = 0xFF;
    fails(Target::Op, &damaged, "BAD_CHECKSUM", good.len() - 4); // OPS-9
    assert_eq!(changed(&good, 1, &[2]), Err(("UNKNOWN_FLAG", 1))); // OPS-10
    assert_eq!(changed(&good, 2, &[0; 6]), Err(("BAD_NODE_SEQ", 2))); // OPS-4
    assert_eq!(changed(&good, 18, &[0; 8]), Err(("BAD_TIMESTAMP", 18))); // OPS-1
    assert_eq!(changed(&good, 26, &[0; 16]), Err(("BAD_NODE", 26))); // OPS-2
    assert_eq!(changed(&good, 42, &[0; 16]), Err(("BAD_NODE", 42))); // OPS-3
    assert_eq!(changed(&good, 42, &[1; 16]), Err(("BAD_OP_ID", 2))); // OPS-5
    assert_eq!(changed(&good, 58, &[4]), Err(("UNKNOWN_OP_TYPE", 58))); // OPS-11
    assert_eq!(changed(&good, 1, &[1]), Err(("BAD_PREVIOUS", 1))); // OPS-13
    assert_eq!(changed(&good, 75, &[0]), Err(("EMPTY", 75))); // OPS-12
    assert_eq!(changed(&good, 75, &[129]), Err(("TOO_LONG", 75)));
    assert_eq!(changed(&good, 76, &[0xFF]), Err(("BAD_UTF8", 76)));
    fails(Target::Op, &op(1, 1, &[], 0, &[]), "NO_FIELDS", 80); // OPS-16
    fails(Target::Op, &op(3, 1, &[], 1, &[9, 0x12, 5]), "FIELDS_ON_DELETE", 80); // OPS-15
    fails(Target::Op, &op(1, 1, &[], 1, &[9, 0x12, 5, 0]), "TRAILING_BYTES", 85); // OPS-17
    fails(Target::Op, &op(1, 1, &[], 2, &[9, 0x12, 5]), "TRUNCATED", 85); // OPS-17, NOT-8
    assert!(decode(Target::Op, &op(3, 1, &[], 0, &[]), &session()).is_ok());
}

#[test]
fn previous_versions_and_bases() {
    let stamp = |counter: u64| [&counter.to_be_bytes()[..], &NODE].concat();
    let update = |previous: &[u8]| op(2, 1, previous, 1, &[9, 0x12, 5]);
    let good = run(Target::Op, &update(&stamp(6)), &session()).unwrap();
    assert_eq!(good["previous"]["counter"], "6");
    fails(Target::Op, &update(&stamp(7)), "BAD_PREVIOUS", 80); // OPS-14
    fails(Target::Op, &update(&stamp(0)), "BAD_TIMESTAMP", 80);

    let counter = |base: &[u8]| op(2, 1, &[], 1, &[&[9, 0x0E], base, &[0; 8]].concat());
    assert!(decode(Target::Op, &counter(&stamp(6)), &session()).is_ok());
    assert!(decode(Target::Op, &counter(&[0; 24]), &session()).is_ok());
    fails(Target::Op, &counter(&stamp(7)), "BAD_BASE", 84); // VAL-14
    let without = Context { crdt: false, ..session() };
    assert_eq!(run(Target::Op, &counter(&[0; 24]), &without), Err(("NOT_NEGOTIATED", 83))); // OPS-18
}
