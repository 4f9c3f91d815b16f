//! 7.13 and 7.14.

use serde_json::json;

use super::*;

#[track_caller]
fn message(kind: u16, flags: u8, fields: &str) -> Result<Json, (&'static str, usize)> {
    run(Target::Message, &frame(flags, kind, 1, &hex(fields), &[]), &session())
}

/// Collection and position: 18 bytes.
const START: &str = "0161 00000000000000000000000000000000";

/// A query with that filter, which begins at 35; `after` is what follows it.
#[track_caller]
fn filter(filter: &str, after: &str) -> Result<Json, (&'static str, usize)> {
    message(0x1A, 0, &format!("{START} 00 {filter} {after}"))
}

const END: &str = "00 00 00 00 00000000 0000 00";

#[test]
fn a_whole_query() {
    let text = format!(
        "{START} 01 02 0162 00 00 01 01 0001 78 {} 01 00 00 02 03 01 00 01 00 00 00
         02 01 01 00 01 02 01 02 0000000A 0001 FF 00",
        "01 02 10 00 01 0001 79 12 05 03 16 01 00 0001 0B"
    );
    let expected = json!({
        "type": "query", "request_id": "1", "more": false, "collection": "a",
        "after": {"epoch": "0", "seq": "0"},
        "joins": [{"kind": "left", "collection": "b", "left": {"source": "0", "components": []},
            "right": {"source": "1", "components": ["x"]}}],
        "filter": {"op": "and", "of": [
            {"op": "equal", "path": {"source": "0", "components": ["y"]}, "value": {"type": "int", "value": "5"}},
            {"op": "not", "of": {"op": "in", "path": {"source": "1", "components": []},
                "values": [{"type": "null"}]}},
        ]},
        "group_by": [{"source": "0", "components": []}],
        "aggregates": [
            {"function": "avg", "path": {"source": "1", "components": []}},
            {"function": "count", "path": {"source": "0", "components": []}},
        ],
        "projection": [],
        "sort": [
            {"path": {"source": "1", "components": []}, "direction": "ascending"},
            {"aggregate": "1", "direction": "descending"},
        ],
        "limit": "10", "cursor": "ff", "extensions": [],
    });
    assert_eq!(message(0x1A, 0, &text), Ok(expected));
}

#[test]
fn filters() {
    let path = "00 00";
    assert!(filter("00", END).is_ok());
    assert_eq!(filter(&format!("19 {path} 0000"), END).unwrap()["filter"]["text"], "");
    assert_eq!(filter(&format!("17 {path} 0B 11"), END).unwrap()["filter"]["high"]["value"], "");
    assert_eq!(filter(&format!("1A {path}"), END).unwrap()["filter"]["op"], "exists");
    assert_eq!(filter("04", ""), Err(("UNKNOWN_CODE", 35))); // QRY-2
    assert_eq!(filter("03 00", ""), Err(("UNKNOWN_CODE", 36))); // QRY-5
    assert_eq!(filter("01 00", ""), Err(("EMPTY", 36))); // QRY-6
    assert_eq!(filter(&format!("16 {path} 0000"), ""), Err(("EMPTY", 38)));
    assert_eq!(filter(&format!("16 {path} 03E9"), ""), Err(("TOO_MANY", 38)));
    assert_eq!(filter(&format!("10 {path} 0C"), ""), Err(("MISPLACED_VALUE", 38))); // QRY-8
    assert_eq!(filter(&format!("19 {path} 0401"), ""), Err(("TOO_LONG", 38))); // QRY-13
    assert_eq!(filter("1A 01", ""), Err(("OUT_OF_RANGE", 36))); // QRY-4
    assert_eq!(filter("1A 00 11", ""), Err(("TOO_MANY", 37))); // QRY-3
    assert_eq!(filter("1A 00 01 0000", ""), Err(("EMPTY", 38)));
    assert_eq!(filter("1A 00 01 0401", ""), Err(("TOO_LONG", 38)));
}

#[test]
fn the_size_of_a_filter() {
    // QRY-7
    assert!(filter(&format!("{} 1A 00 00", "03".repeat(16)), END).is_ok());
    assert_eq!(filter(&"03".repeat(17), ""), Err(("TOO_DEEP", 35 + 16)));
    let many = |n: usize| format!("01 02 01 FF {} {}", "1A 00 00".repeat(n), END);
    assert_eq!(filter(&many(255), ""), Err(("TOO_MANY", 35 + 4 + 3 * 254)));
    let whole = |n: usize| format!("01 {n:02X} {}", "1A 00 00".repeat(n));
    assert!(filter(&whole(255), END).is_ok());
}

#[test]
fn joins() {
    let fails = |text: &str, code, at: usize| {
        assert_eq!(message(0x1A, 0, &format!("{START} {text}")), Err((code, 34 + at)));
    };
    fails("05", "TOO_MANY", 0); // QRY-1
    fails("01 03", "UNKNOWN_CODE", 1); // QRY-2
    fails("01 01 00", "EMPTY", 2); // OPS-12
    fails("01 01 0162 01", "OUT_OF_RANGE", 4); // QRY-4
    fails("01 01 0162 00 00 00", "OUT_OF_RANGE", 6);
    fails("02 01 0162 00 00 01 00 01 0163 01 00 01", "OUT_OF_RANGE", 13);
}

#[test]
fn after_the_filter() {
    let fails = |text: &str, code, at: usize| assert_eq!(filter("00", text), Err((code, 36 + at)));
    fails("09", "TOO_MANY", 0); // QRY-1
    fails("00 11", "TOO_MANY", 1);
    fails("00 00 41", "TOO_MANY", 2);
    fails("00 00 00 09", "TOO_MANY", 3);
    fails("00 01 06", "UNKNOWN_CODE", 2); // QRY-2
    fails("00 01 01 00 00 01", "NON_CANONICAL", 5); // QRY-9
    fails("01 00 00 00 01", "NON_CANONICAL", 4);
    fails("00 00 00 01 03", "UNKNOWN_CODE", 4);
    fails("00 00 00 01 02 00", "OUT_OF_RANGE", 5); // QRY-10
    fails("00 00 00 01 01 00 00 03", "UNKNOWN_CODE", 7);
    fails("00 00 00 00 00002711", "OUT_OF_RANGE", 4); // QRY-11
    fails("00 00 00 00 00000000 0401", "TOO_LONG", 8); // QRY-12
}

#[test]
fn responses() {
    let at = "0000000000000001 0000000000000002";
    let good = message(0x1C, 1, &format!("{at} 0002 0001 0C 1205 0000 00")).unwrap();
    assert_eq!(good["rows"], json!([[{"type":"removed"},{"type":"int","value":"5"}]]));
    assert_eq!((&good["columns"], &good["more"]), (&json!("2"), &json!(true)));
    assert_eq!(message(0x1C, 0, &format!("{at} 0000")), Err(("EMPTY", 32))); // QRY-14
    assert_eq!(message(0x1C, 0, &format!("{at} 0081")), Err(("TOO_MANY", 32)));
    assert_eq!(message(0x1C, 0, &format!("{at} 0001 2711")), Err(("TOO_MANY", 34)));
    assert_eq!(message(0x1C, 0, &format!("{at} 0001 0001 0D")), Err(("MISPLACED_VALUE", 36))); // QRY-15
    assert_eq!(message(0x1C, 1, &format!("{at} 0001 0000 0001 AA")), Err(("NON_CANONICAL", 36))); // QRY-16
}
