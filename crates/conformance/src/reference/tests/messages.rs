//! 5 and 7, but for queries.

use serde_json::json;

use super::*;

#[track_caller]
fn message(kind: u16, request_id: u32, fields: &str) -> Result<Json, (&'static str, usize)> {
    run(Target::Message, &frame(0, kind, request_id, &hex(fields), &[]), &session())
}

const PING: &str = "0000000000000001 00";

#[test]
fn frames() {
    let ping = frame(0, 0x22, 0, &hex(PING), &[]);
    let expected =
        json!({"flags":"0","type":"34","request_id":"0","fields":"000000000000000100","blocks":""});
    assert_eq!(run(Target::Frame, &ping, &session()), Ok(expected));
    for (cut, at) in [(0, 0), (1, 1), (3, 2), (7, 4), (11, 8), (15, 12), (24, 16), (28, 25)] {
        fails(Target::Frame, &ping[..cut], "TRUNCATED", at); // FRM-4, FRM-6
    }
    fails(Target::Frame, &[2], "UNSUPPORTED_VERSION", 0); // FRM-1
    fails(Target::Frame, &[1, 2], "UNKNOWN_FLAG", 1); // FRM-2
    fails(Target::Frame, &hex("01000022 00000000 0010 0FED"), "TOO_LONG", 8); // FRM-3
    fails(Target::Frame, &hex("01000022 00000000 00100FEC"), "TRUNCATED", 12);
    fails(Target::Frame, &hex("01000022 00000000 00100FEC 00000001"), "TOO_LONG", 12);
    let handshake = Context { handshake: true, ..session() };
    let long = hex("01000022 00000000 0000FFED");
    assert_eq!(run(Target::Frame, &long, &handshake), Err(("TOO_LONG", 8)));
    let mut damaged = ping.clone();
    damaged[3] = 0x23;
    fails(Target::Frame, &damaged, "BAD_CHECKSUM", 25); // FRM-4
    let blocks = frame(0, 0x22, 0, &hex(PING), &[0, 0]);
    fails(Target::Frame, &blocks[..30], "TRUNCATED", 29);
    fails(Target::Frame, &[ping, vec![1]].concat(), "TRAILING_BYTES", 29); // FRM-5
}

#[test]
fn what_all_messages_have() {
    let ping = json!({"type":"ping","request_id":"0","more":false,"nonce":"1","extensions":[]});
    assert_eq!(message(0x22, 0, PING), Ok(ping));
    assert_eq!(message(0x5A, 0, ""), Err(("UNKNOWN_MESSAGE", 2))); // EXT-4
    let unknown = frame(1, 0x5B, 9, &[1], &[2]);
    let meaning =
        json!({"type":"unknown","code":"91","flags":"1","request_id":"9","fields":"01","blocks":"02"});
    assert_eq!(run(Target::Message, &unknown, &session()), Ok(meaning));
    fails(Target::Message, &frame(1, 0x22, 0, &hex(PING), &[]), "UNKNOWN_FLAG", 1); // FRM-7
    assert_eq!(message(0x22, 1, PING), Err(("BAD_REQUEST_ID", 4))); // MSG-3
    assert_eq!(message(0x06, 0, "00"), Err(("BAD_REQUEST_ID", 4)));
    fails(Target::Message, &frame(0, 0x22, 0, &hex(PING), &[0]), "UNEXPECTED_BLOCKS", 12); // MSG-4
    assert_eq!(message(0x06, 1, "00 00"), Err(("TRAILING_BYTES", 17))); // MSG-5
    let without = Context { query: false, ..session() };
    let query = frame(0, 0x1A, 0, &[], &[]);
    assert_eq!(run(Target::Message, &query, &without), Err(("NOT_NEGOTIATED", 2))); // MSG-7
}

#[test]
fn extensions() {
    let found = message(0x06, 1, "02 0001 0001 AA 005B 0000").unwrap();
    assert_eq!(found["extensions"], json!([{"type":"1","hex":"aa"},{"type":"91","hex":""}]));
    assert_eq!(message(0x06, 1, "11"), Err(("TOO_MANY", 16))); // EXT-1
    assert_eq!(message(0x06, 1, "02 0003 0000 0003"), Err(("DUPLICATE", 21)));
    assert_eq!(message(0x06, 1, "02 0003 0000 0002"), Err(("OUT_OF_ORDER", 21)));
    assert_eq!(message(0x06, 1, "01 0001 0401"), Err(("TOO_LONG", 19))); // EXT-2
    assert_eq!(message(0x06, 1, "01 0002 0401"), Err(("UNKNOWN_EXTENSION", 17))); // EXT-3
}

const PROTOCOL: &str = "11 626C617A6564622D72656C61792F312E30 0100 0100";
const NODE_AND_KEY: &str = "550E8400E29B41D4A716446655440000 00112233445566778899AABBCCDDEEFF";

#[test]
fn handshakes() {
    let rest = "000000000000002A 01 0000000000000003 0000000000000004 0000 02 0011 0015 0000 0000
        01 000D 0000000000001000 00";
    let text = format!("{PROTOCOL} 03 612E31 {NODE_AND_KEY} {rest}");
    let expected = json!({
        "type": "handshake", "request_id": "0", "more": false, "protocol": "blazedb-relay/1.0",
        "min_version": "256", "max_version": "256", "database": "a.1",
        "node": "550e8400-e29b-41d4-a716-446655440000", "node_key": "00112233445566778899aabbccddeeff",
        "highest_given_out": "42", "seen": [{"epoch": "3", "seq": "4"}], "public_key": "",
        "capabilities": ["17", "21"], "authentication_method": "0", "authentication": "",
        "limits": [{"id": "13", "value": "4096"}], "extensions": [],
    });
    assert_eq!(message(2, 0, &text), Ok(expected));

    let fails = |text: &str, code, at: usize| assert_eq!(message(2, 0, text), Err((code, 16 + at)));
    fails("21", "TOO_LONG", 0); // MSG-8
    fails("00", "BAD_MAGIC", 1);
    fails("11 626C617A6564622D72656C61792F312E30 0101 0100", "OUT_OF_ORDER", 20); // MSG-9
    fails(&format!("{PROTOCOL} 00"), "EMPTY", 22); // MSG-10
    fails(&format!("{PROTOCOL} 41"), "TOO_LONG", 22);
    fails(&format!("{PROTOCOL} 01 2E"), "BAD_NAME", 23);
    fails(&format!("{PROTOCOL} 02 6141"), "BAD_NAME", 23);
    let start = format!("{PROTOCOL} 01 61");
    fails(&format!("{start} 00000000000000000000000000000000"), "BAD_NODE", 24); // MSG-11
    let start = format!("{start} {NODE_AND_KEY}");
    fails(&format!("{start} 0001000000000000"), "BAD_NODE_SEQ", 56);
    let start = format!("{start} 0000000000000000");
    fails(&format!("{start} 11"), "TOO_MANY", 64); // MSG-12
    fails(&format!("{start} 01 00000000000000000000000000000000"), "BAD_POSITION", 65);
    let position = "0000000000000003 0000000000000004";
    fails(&format!("{start} 02 {position} {position}"), "DUPLICATE", 81);
    fails(&format!("{start} 00 0401"), "TOO_LONG", 65); // MSG-14
    let start = format!("{start} 00 0000");
    fails(&format!("{start} 41"), "TOO_MANY", 67); // MSG-13
    fails(&format!("{start} 02 0003 0002"), "OUT_OF_ORDER", 70);
    let start = format!("{start} 00");
    fails(&format!("{start} 0000 0001"), "TRUNCATED", 72);
    fails(&format!("{start} 0000 0001 00"), "NON_CANONICAL", 70); // MSG-15
    fails(&format!("{start} 0001 2001"), "TOO_LONG", 70); // MSG-14
    fails(&format!("{start} 0000 0000 21"), "TOO_MANY", 72); // MSG-16
    fails(&format!("{start} 0000 0000 02 0001 0000000000000000 0001"), "DUPLICATE", 83);
}

#[test]
fn welcomes() {
    let epoch = "0000000000000009 0000000000000000";
    let start = format!("0100 00 01 {epoch} {epoch}");
    let text = format!("{start} 01 0000000000000000 00000000 {epoch} 00 000003E8 0000000000000001 00");
    let welcome = message(4, 0, &text).unwrap();
    assert_eq!(welcome["epochs"], json!([{"epoch":"9","begins":"0"}]));
    assert_eq!((&welcome["restore_mode"], &welcome["check"]), (&json!("keep"), &json!("00000000")));

    let fails = |text: &str, code, at: usize| assert_eq!(message(4, 0, text), Err((code, 16 + at)));
    fails("0100 00 00", "EMPTY", 3); // MSG-17
    fails("0100 00 12", "TOO_MANY", 3);
    fails("0100 00 01 0000000000000000", "BAD_POSITION", 4);
    fails("0100 00 01 0000000000000001 0020000000000000", "BAD_POSITION", 12);
    fails(&format!("0100 00 02 {epoch} 0000000000000009"), "DUPLICATE", 20);
    fails(&format!("0100 00 02 {epoch} 0000000000000008 0000000000000001"), "OUT_OF_ORDER", 28);
    fails(&format!("{start} 03"), "UNKNOWN_CODE", 36); // MSG-18
    fails(&format!("{start} 01 0001000000000000"), "BAD_NODE_SEQ", 37); // MSG-19
    fails(&format!("{start} 01 0000000000000000 00000001"), "NON_CANONICAL", 45);
    let start = format!("{start} 01 0000000000000000 00000000 {epoch} 00");
    fails(&format!("{start} 000003E7"), "OUT_OF_RANGE", 66); // MSG-20
}

#[test]
fn reading_a_log() {
    let from = "0000000000000009 0000000000000004";
    let pull = message(0x0A, 1, &format!("{from} 0002 0161 0162 00000000 00000001 00")).unwrap();
    assert_eq!((&pull["collections"], &pull["max_bytes"]), (&json!(["a", "b"]), &json!("1")));
    assert_eq!(message(0x0A, 1, &format!("{from} 0101")), Err(("TOO_MANY", 32))); // MSG-21
    assert_eq!(message(0x0A, 1, &format!("{from} 0002 0162 0161")), Err(("OUT_OF_ORDER", 36)));
    assert_eq!(message(0x0A, 1, &format!("{from} 0001 00")), Err(("EMPTY", 34))); // OPS-12
    assert_eq!(message(0x0C, 1, &format!("{from} 02")), Err(("BAD_BOOL", 32))); // MSG-23
    assert_eq!(message(0x0C, 1, &format!("{from} 00 0401")), Err(("TOO_MANY", 33))); // MSG-22
    assert_eq!(message(0x0C, 1, &format!("{from} 00 0001 0000000000000000")), Err(("BAD_POSITION", 35)));
    let twice = format!("{from} 00 0002 0000000000000001 0000000000000001");
    assert_eq!(message(0x0C, 1, &twice), Err(("BAD_POSITION", 43)));
    let sync = message(8, 1, &format!("{from} {from} {from} 00")).unwrap();
    assert_eq!((&sync["operations"], &sync["collections"]), (&json!("9"), &json!("4")));

    let fields = hex(&format!("00000007 {from} {from} 0001 0000000000000005 00"));
    let one = block(0, 1, 1, 5, &rows(&[insert(5)]));
    let update = frame(0, 0x16, 0, &fields, &one);
    let json = run(Target::Message, &update, &session()).unwrap();
    assert_eq!((&json["first_seqs"], &json["blocks"][0]["span"]), (&json!(["5"]), &json!("1")));
    let end = 20 + fields.len();
    fails(Target::Message, &frame(0, 0x16, 0, &fields, &[]), "TRUNCATED", end); // MSG-6
    let two = frame(0, 0x16, 0, &fields, &[&one[..], &[0]].concat());
    fails(Target::Message, &two, "TRAILING_BYTES", end + one.len());
    let ack = message(0x18, 0, &format!("00000007 {from} 0000000000000000 00")).unwrap();
    assert_eq!(ack["position"], json!({"epoch":"9","seq":"4"}));
}

#[track_caller]
fn push(ids: &[u64], blocks: &[Vec<u8>]) -> Result<Json, (&'static str, usize)> {
    let all: Vec<u8> = ids.iter().flat_map(|seq| ids::op_id(&NODE, *seq)).collect();
    let mut fields = vec![0, blocks.len() as u8];
    fields.extend_from_slice(&crc32(&all).to_be_bytes());
    fields.push(0);
    run(Target::Message, &frame(0, 0x0E, 1, &fields, &blocks.concat()), &session())
}

#[test]
fn pushes() {
    let one = |seq| block(0, 1, 1, seq, &rows(&[insert(seq)]));
    let len = one(5).len();
    assert_eq!(push(&[5, 6], &[one(5), one(6)]).unwrap()["blocks"].as_array().map(Vec::len), Some(2));
    assert_eq!(push(&[5, 7], &[one(5), one(6)]), Err(("BAD_IDS_CHECK", 18))); // MSG-24
    assert_eq!(push(&[], &[]), Err(("EMPTY", 16))); // MSG-25
    assert_eq!(message(0x0E, 1, "0401"), Err(("TOO_MANY", 16)));
    let holes = block(2, 1, 2, 5, &rows(&[insert(5)]));
    assert_eq!(push(&[5], &[holes]), Err(("NOT_CONTIGUOUS", 28))); // MSG-26
    assert_eq!(push(&[5, 7], &[one(5), one(7)]), Err(("NOT_CONTIGUOUS", 27 + len + 6))); // MSG-27
    let mut other = one(9)[..32].to_vec();
    other[12] = 1;
    assert_eq!(push(&[5, 9], &[one(5), sealed(other)]), Err(("MIXED_NODES", 27 + len + 12)));
    // headers come before payloads
    let empty = block(0, 1, 1, 5, &[]);
    assert_eq!(push(&[5, 7], &[empty.clone(), one(7)]), Err(("NOT_CONTIGUOUS", 27 + 36 + 6)));
    assert_eq!(push(&[5], &[empty]), Err(("TRUNCATED", 27 + 36)));
}

#[test]
fn no_prefix_of_a_frame_is_one() {
    let one = block(1, 1, 1, 5, &compressed(&rows(&[insert(5)])));
    let fields = [&[0, 1][..], &crc32(&ids::op_id(&NODE, 5)).to_be_bytes(), &[0]].concat();
    let push = frame(0, 0x0E, 1, &fields, &one);
    assert!(decode(Target::Message, &push, &session()).is_ok());
    for end in 0..push.len() {
        let fault = decode(Target::Message, &push[..end], &session()).unwrap_err();
        assert_eq!(fault.code, "TRUNCATED", "{end}");
    }
}

#[test]
fn what_a_message_decompresses_to() {
    // MSG-34: one operation of a mebibyte less what surrounds it would be over MAX_OP; so two of them
    let half = |seq: u64| {
        let data = 524_288 - 4 - 83 - 4 - 4 - 1;
        let mut fields = hex("0B 07");
        fields.extend_from_slice(&u32::to_be_bytes(data));
        fields.resize(fields.len() + data as usize, 0);
        op(1, seq, &[], 1, &fields)
    };
    let full = |seq| {
        let payload = rows(&[half(seq), half(seq + 1)]);
        assert_eq!(payload.len(), 1_048_576);
        block(1, 2, 2, seq, &pressed(&payload))
    };
    let seqs: Vec<u64> = (1..=8).collect();
    let four = [full(1), full(3), full(5), full(7)];
    assert!(push(&seqs, &four).is_ok());
    let before: usize = four.iter().map(Vec::len).sum();
    let fifth = block(1, 1, 1, 9, &[0, 0, 0, 1]);
    let five = [&four[..], &[fifth]].concat();
    assert_eq!(push(&seqs, &five), Err(("TOO_LONG", 27 + before + 36)));
}

/// LZ4 that knows literals and runs of zeros.
fn pressed(bytes: &[u8]) -> Vec<u8> {
    let run = |out: &mut Vec<u8>, length: usize| {
        if length >= 15 {
            out.extend(core::iter::repeat_n(255, (length - 15) / 255));
            out.push(u8::try_from((length - 15) % 255).unwrap());
        }
    };
    let half = |length: usize| u8::try_from(length.min(15)).unwrap();
    let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    let (mut at, mut from) = (0, 0);
    while at < bytes.len() {
        let zeros = bytes[at..].iter().take_while(|byte| **byte == 0).count();
        if zeros < 100 {
            at += zeros.max(1);
            continue;
        }
        let literals = at + 1 - from;
        out.push(half(literals) << 4 | half(zeros - 5));
        run(&mut out, literals);
        out.extend_from_slice(&bytes[from..=at]);
        out.extend_from_slice(&[1, 0]);
        run(&mut out, zeros - 5);
        at += zeros;
        from = at;
    }
    out.push(half(at - from) << 4);
    run(&mut out, at - from);
    out.extend_from_slice(&bytes[from..]);
    out
}

#[test]
fn acks_and_errors() {
    let ack = message(
        0x10,
        1,
        "0003 01 0000000000000001 0000000000000001 0000000000000002 02 012D 0000 03 00000064 00",
    );
    let entries = json!([
        {"status":"accepted","epoch":"1","first_seq":"1","last_seq":"2"},
        {"status":"refused","code":"301","index":"0"},
        {"status":"later","wait":"100"},
    ]);
    assert_eq!(ack.unwrap()["entries"], entries);
    assert_eq!(message(0x10, 1, "0000"), Err(("EMPTY", 16))); // MSG-28
    assert_eq!(message(0x10, 1, "0001 04"), Err(("UNKNOWN_CODE", 18))); // MSG-29
    assert_eq!(message(0x10, 1, "0001 01 0000000000000000"), Err(("BAD_POSITION", 19))); // MSG-30
    let last = "0001 01 0000000000000001 0000000000000002 0000000000000001";
    assert_eq!(message(0x10, 1, last), Err(("BAD_POSITION", 35)));
    assert_eq!(message(0x10, 1, "0002 03 00000000 01"), Err(("OUT_OF_ORDER", 23))); // MSG-31

    let error = message(0x26, 3, "0067 01 00000000 02 6869 00").unwrap();
    assert_eq!((&error["scope"], &error["text"]), (&json!("request"), &json!("hi")));
    assert_eq!(message(0x26, 3, "0067 03"), Err(("UNKNOWN_CODE", 18))); // MSG-32
    assert_eq!(message(0x26, 0, "0067 01"), Err(("BAD_REQUEST_ID", 4))); // MSG-33
    assert!(message(0x26, 0, "0067 02 00000000 00 00").is_ok());
    let goodbye = message(0x28, 0, "0001 00000002 00000003 00").unwrap();
    assert_eq!((&goodbye["reason"], &goodbye["jitter"]), (&json!("1"), &json!("3")));
    assert_eq!(message(0x1E, 1, "0000 0001 00"), Err(("NON_CANONICAL", 18))); // MSG-15
    assert_eq!(message(0x1E, 1, "0001 0001 AA 00").unwrap()["authentication"], "aa");
    assert_eq!(message(0x20, 1, "0000003C 00").unwrap()["valid_for"], "60");
}
