//! A client from an open transport to its first push: welcome, mark and check, history.

use serde_json::{Value as Json, json};

use super::client_world::{Client, hail, queued, read_to, register, set};
use super::script::Test;
use super::words::{check, error, key, node, op, ping, position, timestamp, with};

/// What happens after a client became a new node.
const NEW_NODE: [&str; 5] = ["commit", "goodbye 0 0+0", "close -", "! ended new_node", "reconnect 0..0"];

pub fn tests() -> Vec<(&'static str, Vec<Test>)> {
    vec![
        ("welcome", welcome()),
        ("mark and check", settling()),
        ("history", history()),
        ("in doubt", doubt()),
        ("ownership of the node", ownership()),
    ]
}

fn welcome() -> Vec<Test> {
    let mut all = Vec::new();

    let mut c = Client::new(
        "first-connection",
        "handshake is the first frame; nothing is sent before welcome",
        &["SES-1", "SES-11"],
    );
    c.write(&[set(1, 5)], &["commit", "given: 1", "clock: 1", "outbox: 1:1n1"]);
    c.open("handshake n1 given 1 seen []");
    c.write(&[set(1, 6)], &["commit", "given: 2", "clock: 2", "outbox: 1:1n1 2:2n1"]);
    c.recv(&hail(), &["push #1 n1 1..2", "outbox: 1*:1n1 2*:2n1"]);
    all.push(c.end());

    let mut c = Client::new("no-welcome", "no welcome within 30 s", &["SES-7"]);
    c.open("handshake n1 given 0 seen []");
    c.timeout_fault(30_000, "HANDSHAKE_TIMEOUT");
    all.push(c.end());

    let mut c = Client::new(
        "handshake-says-what-is-durable",
        "given, and the seen positions newest first",
        &["SES-11", "SES-13"],
    )
    .holds("given", "4")
    .holds("acknowledged", "4")
    .holds("check", "00c0ffee")
    .holds("seen", json!([position(9, 30), position(8, 20)]));
    c.open("handshake n1 given 4 seen [9:30 8:20]");
    all.push(c.end());

    let bad: [(&str, &str, &[&str], Json, &str); 8] = [
        (
            "version-not-offered",
            "welcome chooses version 2.0",
            &["NEG-2"],
            with(hail(), "version", "512"),
            "VERSION_NOT_SUPPORTED",
        ),
        (
            "capability-not-offered",
            "welcome lists compression, which was not offered",
            &["NEG-5"],
            with(hail(), "capabilities", json!(["17", "21"])),
            "PROTOCOL_ERROR",
        ),
        (
            "capability-even",
            "welcome lists crdt in its even form",
            &["NEG-5"],
            with(hail(), "capabilities", json!(["16"])),
            "PROTOCOL_ERROR",
        ),
        (
            "limit-unknown-even",
            "an unknown even limit",
            &["NEG-7"],
            with(hail(), "limits", json!([{ "id": "4096", "value": "1" }])),
            "LIMIT_NOT_SUPPORTED",
        ),
        (
            "push-bytes-too-small",
            "the relay does not take one largest block",
            &["RLY-25"],
            with(hail(), "limits", json!([{ "id": "1", "value": "1048611" }])),
            "PROTOCOL_ERROR",
        ),
        (
            "agreed-was-never-seen",
            "agreed is beyond all that the client has seen",
            &["SES-14"],
            with(hail(), "agreed", position(7, 1)),
            "PROTOCOL_ERROR",
        ),
        ("ping-before-welcome", "a ping before welcome", &["SES-2"], ping(1), "UNEXPECTED_MESSAGE"),
        (
            "update-before-welcome",
            "an update before welcome",
            &["SES-2"],
            super::client_session::update(1, position(0, 0), position(0, 0), &[]),
            "UNEXPECTED_MESSAGE",
        ),
    ];
    for (id, comment, spec, message, code) in bad {
        let mut c = Client::new(id, comment, spec);
        c.open("handshake n1 given 0 seen []");
        c.faults(&message, code);
        all.push(c.end());
    }

    let mut c = Client::new(
        "required-capability-missing",
        "the client must have crdt, and welcome does not list it",
        &["NEG-3"],
    )
    .config("capabilities", json!(["16", "23"]));
    c.open("handshake n1 given 0 seen []");
    c.faults(&with(hail(), "capabilities", json!(["23"])), "CAPABILITY_REQUIRED");
    all.push(c.end());

    let mut c =
        Client::new("unknown-odd-is-ignored", "an unknown odd limit and message", &["NEG-7", "EXT-4"]);
    c.open("handshake n1 given 0 seen []");
    let unknown = json!({ "type": "unknown", "code": "4187", "flags": "0", "request_id": "0", "fields": "00", "blocks": "" });
    c.recv(&unknown, &[]);
    c.recv(&with(hail(), "limits", json!([{ "id": "4187", "value": "1" }])), &[]);
    c.recv(&unknown, &[]);
    c.recv(&ping(3), &["pong 3"]);
    all.push(c.end());

    let mut c = Client::new(
        "relay-time-is-not-the-clock",
        "the relay's time is far ahead; the next write has counter 1",
        &["SES-16", "SES-40"],
    );
    c.open("handshake n1 given 0 seen []");
    c.recv(&with(hail(), "relay_time", "9007199254740991"), &[]);
    c.write(&[set(1, 5)], &["commit", "push #1 n1 1..1", "given: 1", "clock: 1", "outbox: 1*:1n1"]);
    all.push(c.end());
    all
}

/// Node 1 has had 7 acknowledged; operations 8 and 9 are in its outbox.
fn seven(id: &str, comment: &str, spec: &[&'static str]) -> Client {
    Client::new(id, comment, spec)
        .holds("given", "9")
        .holds("acknowledged", "7")
        .holds("check", "0000000a")
        .holds("clock", "9")
        .holds("outbox", queued(&[op(1, 8, 8, "c"), op(1, 9, 9, "c")], "queued"))
        .holds("view", json!({ "c": { super::words::record(1): [["f", super::words::int(9)]] } }))
}

fn told(mark: u64, check: &str) -> Json {
    with(with(hail(), "mark", mark.to_string()), "check", check)
}

/// The table of SPEC.md 10.4, and its edges.
fn settling() -> Vec<Test> {
    let mut all = Vec::new();
    let b = check(&op(1, 8, 8, "c"));

    let mut c = Client::new("settle-first", "row 1: nothing given, nothing taken", &["SES-18", "SES-43"]);
    c.open("handshake n1 given 0 seen []");
    c.recv(&hail(), &[]);
    c.write(&[set(1, 5)], &["commit", "push #1 n1 1..1", "given: 1", "clock: 1", "outbox: 1*:1n1"]);
    all.push(c.end());

    let mut c = seven(
        "settle-same-mark",
        "row 2: the mark is acknowledged, with the same check: 8 and 9 are sent",
        &["SES-18", "SES-43"],
    );
    c.open("handshake n1 given 9 seen []");
    c.recv(&told(7, "0000000a"), &["push #1 n1 8..9", "outbox: 8*:8n1 9*:9n1"]);
    all.push(c.end());

    let mut c = seven(
        "settle-mark-moved",
        "row 3: the relay has taken 8: it is uncertain, and stays in outbox and view until the subscription has reached the head; 9 is sent",
        &["SES-18", "SES-20", "SES-21", "SES-23"],
    );
    c.subscribe(&[], 1_000, &[]);
    c.open("handshake n1 given 9 seen []");
    let welcome = with(told(8, &b), "head", position(7, 20));
    c.recv(
        &welcome,
        &[
            "commit",
            "subscribe #1 1: all from 0 window 1000",
            "push #2 n1 9..9",
            "acknowledged: 8",
            "outbox: 8?:8n1 9*:9n1",
        ],
    );
    all.push(c.end());

    let mut c = seven(
        "settle-uncertain-without-subscription",
        "the relay has taken 8, and no subscription covers it: it gets a new number and is sent again behind 9",
        &["SES-20", "SES-23"],
    );
    c.open("handshake n1 given 9 seen []");
    c.recv(
        &told(8, &b),
        &["commit", "push #1 n1 9..10", "given: 10", "acknowledged: 8", "outbox: 9*:9n1 10*:8n1"],
    );
    all.push(c.end());

    let new_node = |state: &[&'static str]| [&NEW_NODE[..], state].concat();
    let nine = ["node: n2", "given: 2", "acknowledged: 0", "untried: true", "outbox: 1:8n1 2:9n1"];
    let rows = [
        ("settle-other-check", "row 4: someone else sent an 8", 8, "0000000c"),
        ("settle-mark-went-back", "row 5: the relay lost operations", 5, "00000005"),
        ("settle-same-mark-other-check", "the mark is acknowledged, but its check is another", 7, "0000000b"),
        ("settle-mark-beyond-given", "the mark is beyond all that was given", 10, "0000000d"),
        ("settle-mark-zero", "the relay knows nothing of the node", 0, "00000000"),
    ];
    for (id, comment, mark, check) in rows {
        let mut c = seven(id, comment, &["SES-18", "SES-19", "SES-25", "SES-26"]);
        c.open("handshake n1 given 9 seen []");
        c.recv(&told(mark, check), &new_node(&nine));
        c.input("connect", json!({}), &[]);
        c.open("handshake n2 given 2 seen []");
        c.recv(&hail(), &["commit", "push #1 n2 1..2", "untried: false", "outbox: 1*:8n1 2*:9n1"]);
        all.push(c.end());
    }

    let mut c = Client::new(
        "settle-restored-copy",
        "row 6: all was acknowledged, and the relay knows more: this is a copy, or was restored",
        &["SES-18", "SES-19", "SES-25"],
    )
    .holds("given", "7")
    .holds("acknowledged", "7")
    .holds("check", "0000000a")
    .holds("clock", "7");
    c.open("handshake n1 given 7 seen []");
    c.recv(&told(9, "0000000e"), &new_node(&["node: n2", "given: 0", "acknowledged: 0", "untried: true"]));
    all.push(c.end());

    let mut c = Client::new(
        "settle-no-operation-of-that-number",
        "mark 8 is between acknowledged and given, but there is no 8 in the outbox",
        &["SES-18", "SES-19"],
    )
    .holds("given", "9")
    .holds("acknowledged", "7")
    .holds("check", "0000000a")
    .holds("clock", "9")
    .holds("outbox", queued(&[op(1, 9, 9, "c")], "queued"))
    .holds("view", json!({ "c": { super::words::record(1): [["f", super::words::int(9)]] } }));
    c.open("handshake n1 given 9 seen []");
    c.recv(
        &told(8, "00000001"),
        &new_node(&["node: n2", "given: 1", "acknowledged: 0", "untried: true", "outbox: 1:9n1"]),
    );
    all.push(c.end());
    all
}

/// A client that has seen (7, 10), with registers heard of at 4 and 9, read by node 5.
fn ten(id: &str, comment: &str, spec: &[&'static str]) -> Client {
    let view = |n: u32, value: i64| {
        json!([["f", super::words::int(value)]]).as_array().map(|f| (super::words::record(n), f.clone()))
    };
    let records: serde_json::Map<_, _> =
        [view(1, 3), view(2, 8)].into_iter().flatten().map(|(k, v)| (k, Json::Array(v))).collect();
    Client::new(id, comment, spec)
        .holds("clock", "8")
        .holds("merged", "8")
        .holds("registers", json!([register(1, 3, 5, 4), register(2, 8, 5, 9)]))
        .holds(
            "positions",
            json!([
                read_to(&[], position(7, 10)),
                read_to(&["c"], position(7, 9)),
                read_to(&["d"], position(7, 3))
            ]),
        )
        .holds("seen", json!([position(7, 10)]))
        .holds("view", json!({ "c": records }))
}

fn agreed(seq: u64, mode: &str) -> Json {
    with(with(with(hail(), "agreed", position(7, seq)), "head", position(7, seq)), "restore_mode", mode)
}

fn history() -> Vec<Test> {
    let mut all = Vec::new();

    let mut c = ten(
        "history-nothing-lost",
        "agreed is all that was seen; the restore mode is not looked at",
        &["SES-33", "SES-30"],
    );
    c.open("handshake n1 given 0 seen [7:10]");
    c.recv(&agreed(10, "discard"), &[]);
    all.push(c.end());

    let mut c = ten(
        "history-keep",
        "the relay went back to 5: what was heard of after 5 is in doubt, all stored positions above are lowered, also those that nobody subscribes to",
        &["SES-30", "SES-31", "SES-34", "SES-35"],
    );
    c.open("handshake n1 given 0 seen [7:10]");
    c.recv(
        &agreed(5, "keep"),
        &["commit", "registers: c.1.f=3n5@4 c.2.f=8n5@?", "positions: all=7:5 c=7:5 d=7:3", "seen: 7:5"],
    );
    c.script.chance(0, 30_000);
    all.push(c.end());

    let mut c =
        ten("history-keep-nothing-agreed", "agreed is 0: everything is in doubt", &["SES-31", "SES-34"]);
    c.open("handshake n1 given 0 seen [7:10]");
    c.recv(&hail(), &["commit", "registers: c.1.f=3n5@? c.2.f=8n5@?", "positions: all=0 c=0 d=0", "seen: "]);
    c.script.chance(0, 30_000);
    all.push(c.end());

    let mut c = ten(
        "history-discard",
        "the relay went back to 5 and wants that to stay: the durable state is dropped, all positions are 0, and the client is a new node; its outbox stays",
        &["SES-30", "SES-32", "SES-25", "SES-26"],
    );
    c.write(&[set(3, 5)], &["commit", "given: 1", "clock: 9", "outbox: 1:9n1"]);
    c.open("handshake n1 given 1 seen [7:10]");
    let mut expect = NEW_NODE.to_vec();
    expect.extend([
        "node: n2",
        "untried: true",
        "registers: ",
        "positions: all=0 c=0 d=0",
        "seen: ",
        "outbox: 1:9n1",
    ]);
    c.recv(&agreed(5, "discard"), &expect);
    c.input("connect", json!({}), &[]);
    c.open("handshake n2 given 1 seen []");
    c.recv(&hail(), &["commit", "push #1 n2 1..1", "untried: false", "outbox: 1*:9n1"]);
    all.push(c.end());

    let mut c = ten(
        "history-and-mark",
        "the relay lost history and operations of the node: both are settled in one transaction",
        &["SES-30", "SES-31", "SES-19", "SES-25"],
    )
    .holds("given", "7")
    .holds("acknowledged", "7")
    .holds("check", "0000000a");
    c.open("handshake n1 given 7 seen [7:10]");
    let mut expect = NEW_NODE.to_vec();
    expect.extend([
        "node: n2",
        "given: 0",
        "acknowledged: 0",
        "untried: true",
        "registers: c.1.f=3n5@4 c.2.f=8n5@?",
        "positions: all=7:5 c=7:5 d=7:3",
        "seen: 7:5",
    ]);
    c.recv(&with(with(agreed(5, "keep"), "mark", "3"), "check", "00000003"), &expect);
    all.push(c.end());
    all
}

fn doubt() -> Vec<Test> {
    let mut all = Vec::new();
    let lost: &[&str] =
        &["commit", "registers: c.1.f=3n5@4 c.2.f=8n5@?", "positions: all=7:5 c=7:5 d=7:3", "seen: 7:5"];

    let mut c = ten(
        "doubt-sent-again",
        "what is in doubt is sent as an operation of this node, with its timestamp, after a random wait of 0 to 30 s; the ack ends the doubt",
        &["SES-59", "SES-60", "SES-61", "SES-56"],
    );
    c.open("handshake n1 given 0 seen [7:10]");
    c.recv(&agreed(5, "keep"), lost);
    c.script.chance(0, 30_000);
    c.script.timeout_by_chance(&["commit", "push #1 n1 1..1", "given: 1", "outbox: 1*r:8n5"]);
    c.recv(
        &super::client_session::accepted(1, 6, 6),
        &["commit", "acknowledged: 1", "outbox: ", "registers: c.1.f=3n5@4 c.2.f=8n5@6", "seen: 7:6"],
    );
    all.push(c.end());

    let mut c = ten(
        "doubt-ended-by-delivery",
        "another client was faster: the delivery ends the doubt, and nothing is sent",
        &["SES-56", "SES-59"],
    );
    c.subscribe(&["c"], 100_000, &[]);
    c.open("handshake n1 given 0 seen [7:10]");
    let welcome = with(agreed(5, "keep"), "head", position(7, 6));
    let mut expect = vec!["commit", "subscribe #1 1: c from 7:5 window 100000"];
    expect.extend(&lost[1..]);
    c.recv(&welcome, &expect);
    c.wait(100);
    let again = with(op(6, 1, 8, "c"), "record", super::words::record(2));
    let again = with(again, "timestamp", timestamp(8, 5));
    c.recv(
        &super::client_session::update(1, position(7, 5), position(7, 6), &[(6, &[again])]),
        &["commit", "registers: c.1.f=3n5@4 c.2.f=8n5@6", "positions: all=7:5 c=7:6 d=7:3", "seen: 7:6"],
    );
    c.timeout(1_100, &["update ack 1: 7:6 window 100000"]);
    all.push(c.end());

    for (id, code, number, comment, spec) in [
        (
            "doubt-refused",
            "REFUSED",
            "300",
            "what was sent again is refused: it stays in doubt, and the application is told",
            &["SES-65"],
        ),
        (
            "doubt-forbidden",
            "WRITE_FORBIDDEN",
            "302",
            "what was sent again may not be written: nothing goes on the rejected list; the durable state is dropped and read again by a new node",
            &["SES-64"],
        ),
    ] {
        let mut c = ten(id, comment, spec);
        c.open("handshake n1 given 0 seen [7:10]");
        c.recv(&agreed(5, "keep"), lost);
        c.script.chance(0, 30_000);
        c.script.timeout_by_chance(&["commit", "push #1 n1 1..1", "given: 1", "outbox: 1*r:8n5"]);
        let told = format!("! restore refused 8n5 {code}");
        let mut expect = vec!["commit", told.as_str()];
        if code == "REFUSED" {
            expect.extend(["acknowledged: 1", "outbox: "]);
        } else {
            expect.extend(NEW_NODE);
            expect.extend([
                "node: n2",
                "given: 0",
                "untried: true",
                "outbox: ",
                "registers: ",
                "positions: all=0 c=0 d=0",
                "seen: ",
            ]);
        }
        c.recv(&super::client_session::refused(1, number, 0), &expect);
        all.push(c.end());
    }

    let mut c = ten(
        "doubt-forbidden-early",
        "an operation that an earlier connection put into the outbox may not be written, while more is in doubt now: all of it is offered first, and only what may not come back is dropped",
        &["SES-64", "SES-59", "SES-61"],
    );
    c.open("handshake n1 given 0 seen [7:10]");
    c.recv(&agreed(5, "keep"), lost);
    c.script.chance(0, 30_000);
    c.script.timeout_by_chance(&["commit", "push #1 n1 1..1", "given: 1", "outbox: 1*r:8n5"]);
    c.script.wait = Some((0, 1_000));
    c.input("closed", json!({}), &["! ended transport", "reconnect 0..1000", "outbox: 1r:8n5"]);
    c.input("connect", json!({}), &[]);
    c.open("handshake n1 given 1 seen [7:5]");
    c.recv(
        &agreed(3, "keep"),
        &[
            "commit",
            "push #1 n1 1..1",
            "outbox: 1*r:8n5",
            "registers: c.1.f=3n5@? c.2.f=8n5@?",
            "positions: all=7:3 c=7:3 d=7:3",
            "seen: 7:3",
        ],
    );
    c.script.chance(30_000, 60_000);
    c.recv(
        &super::client_session::refused(1, "302", 0),
        &["commit", "! restore refused 8n5 WRITE_FORBIDDEN", "acknowledged: 1", "outbox: "],
    );
    c.script.chance(30_000, 60_000);
    c.script.timeout_by_chance(&["commit", "push #2 n1 2..3", "given: 3", "outbox: 2*r:3n5 3*r:8n5"]);
    c.recv(
        &super::client_session::refused(2, "302", 1),
        &[
            "commit",
            "! restore refused 8n5 WRITE_FORBIDDEN",
            "push #3 n1 4..4",
            "acknowledged: 3",
            "given: 4",
            "outbox: 4*r:3n5",
        ],
    );
    let mut expect = NEW_NODE.to_vec();
    expect.extend([
        "node: n2",
        "given: 0",
        "acknowledged: 0",
        "untried: true",
        "outbox: ",
        "registers: ",
        "positions: all=0 c=0 d=0",
        "seen: ",
    ]);
    c.recv(&super::client_session::accepted(3, 4, 4), &expect);
    all.push(c.end());

    let mut c = Client::new(
        "doubt-without-crdt",
        "a counter in doubt stays so on a connection without crdt",
        &["SES-62"],
    )
    .holds("clock", "8")
    .holds("merged", "8")
    .holds("seen", json!([position(7, 10)]))
    .holds("counters", json!([{
        "collection": "c", "record": super::words::record(1), "path": ["f"], "timestamp": timestamp(8, 5), "seq": "9",
        "base": { "counter": "0", "node": "00000000-0000-0000-0000-000000000000" }, "total": "4",
    }]))
    .holds("view", json!({ "c": { super::words::record(1): [["f", super::words::int(4)]] } }));
    c.open("handshake n1 given 0 seen [7:10]");
    let welcome = with(agreed(5, "keep"), "capabilities", json!(["23"]));
    c.recv(&welcome, &["commit", "counters: c.1.f+4/never=8n5@?", "seen: 7:5"]);
    c.timeout(3_600_000, &["ping"]);
    all.push(c.end());
    all
}

fn ownership() -> Vec<Test> {
    let mut all = Vec::new();
    let becomes = |state: &[&'static str], code: &str| {
        let mut expect = vec![
            "commit".to_owned(),
            format!("close {code}"),
            "! ended new_node".into(),
            "reconnect 0..0".into(),
        ];
        expect.extend(state.iter().map(|text| (*text).to_owned()));
        expect
    };
    let strs = |all: &[String]| {
        all.iter().map(|text| Box::leak(text.clone().into_boxed_str()) as &str).collect::<Vec<&str>>()
    };

    let mut c = seven(
        "replaced",
        "another connection of the node took the place of this one: there is a copy",
        &["SES-27", "SES-25", "SES-5"],
    );
    c.open("handshake n1 given 9 seen []");
    c.recv(&told(7, "0000000a"), &["push #1 n1 8..9", "outbox: 8*:8n1 9*:9n1"]);
    let expect = becomes(
        &["node: n2", "given: 2", "acknowledged: 0", "untried: true", "outbox: 1:8n1 2:9n1"],
        "REPLACED",
    );
    c.recv(&error(0, 206, 0), &strs(&expect));
    all.push(c.end());

    let mut c = seven(
        "not-your-node",
        "the node belongs to another: a new node at once; when that one is refused too, another one, but the application is told, and the client waits as after any failure",
        &["SES-15", "SES-25", "SES-99"],
    );
    c.open("handshake n1 given 9 seen []");
    let expect = becomes(
        &["node: n2", "given: 2", "acknowledged: 0", "untried: true", "outbox: 1:8n1 2:9n1"],
        "NOT_YOUR_NODE",
    );
    c.recv(&error(0, 207, 0), &strs(&expect));
    c.input("connect", json!({}), &[]);
    c.open("handshake n2 given 2 seen []");
    c.ends(
        &error(0, 207, 0),
        (0, 1_000),
        &[
            "commit",
            "close NOT_YOUR_NODE",
            "! ended refused:NOT_YOUR_NODE",
            "reconnect 0..1000",
            "node: n3",
            "outbox: 1:8n1 2:9n1",
        ],
    );
    assert_eq!((&c.script.state["node"], &c.script.state["node_key"]), (&node(3).into(), &key(3).into()));
    all.push(c.end());
    all
}
