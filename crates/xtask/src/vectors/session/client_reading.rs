//! A client that reads and asks.

use serde_json::{Value as Json, json};

use super::client_session::{active, update};
use super::client_world::{Client, hail, read_to, set};
use super::script::Test;
use super::words::{block, error, frame, int, message, op, ping, position, with};

const WIDE: u64 = 100_000;

pub fn zero() -> Json {
    position(0, 0)
}

/// An active client that subscribes to everything, with head (7, 2).
pub fn reader(id: &str, comment: &str, spec: &[&'static str]) -> Client {
    reader_with(id, comment, spec, WIDE)
}

fn reader_with(id: &str, comment: &str, spec: &[&'static str], window: u64) -> Client {
    let mut c = Client::new(id, comment, spec);
    c.subscribe(&[], window, &[]);
    c.open("handshake n1 given 0 seen []");
    let subscribe = format!("subscribe #1 1: all from 0 window {window}");
    c.recv(&with(hail(), "head", position(7, 2)), &[&subscribe]);
    c
}

pub fn one(seq: u64) -> Json {
    op(5, seq, seq, "c")
}

pub const ONE: [&str; 6] =
    ["commit", "clock: 1", "merged: 1", "registers: c.1.f=1n5@1", "positions: all=7:1", "seen: 7:1"];

pub fn reading() -> Vec<Test> {
    let mut all = Vec::new();

    let mut c = reader(
        "update-applied",
        "operations, position and seen position change in one transaction; the ack follows within a second, and an update without blocks is acknowledged with it",
        &["SES-79", "SES-80", "SES-88", "SES-28", "SES-74"],
    );
    c.recv(&update(1, zero(), position(7, 1), &[(1, &[one(1)])]), &ONE);
    c.wait(300);
    c.recv(&update(1, position(7, 1), position(7, 2), &[]), &["commit", "positions: all=7:2", "seen: 7:2"]);
    c.timeout(1_000, &["update ack 1: 7:2 window 100000"]);
    all.push(c.end());

    let mut c = reader_with(
        "update-ack-at-half-the-window",
        "half of the window is used: acknowledged at once",
        &["SES-80"],
        200,
    );
    let mut expect = ONE.to_vec();
    expect.insert(1, "update ack 1: 7:1 window 200");
    c.recv(&update(1, zero(), position(7, 1), &[(1, &[one(1)])]), &expect);
    all.push(c.end());

    let mut c = reader("update-empty", "an update without blocks is acknowledged by no timer", &["SES-88"]);
    c.recv(&update(1, zero(), position(7, 2), &[]), &["commit", "positions: all=7:2", "seen: 7:2"]);
    c.timeout(3_600_000, &["ping"]);
    all.push(c.end());

    let mut c = Client::new(
        "subscribe-from-stored-positions",
        "each set of collections goes on from its own position, another set begins at 0",
        &["SES-74"],
    )
    .holds("positions", json!([read_to(&["a"], position(7, 5)), read_to(&["a", "b"], position(7, 9))]))
    .holds("seen", json!([position(7, 9)]));
    c.subscribe(&["b", "a"], WIDE, &[]);
    c.subscribe(&["b"], 0, &[]);
    c.subscribe(&[], WIDE, &[]);
    c.open("handshake n1 given 0 seen [7:9]");
    c.recv(
        &with(with(hail(), "agreed", position(7, 9)), "head", position(7, 9)),
        &[
            "subscribe #1 1: a+b from 7:9 window 100000",
            "subscribe #2 2: b from 0 window 0",
            "subscribe #3 3: all from 0 window 100000",
        ],
    );
    all.push(c.end());

    let bad: [(&str, &str, &'static str, Json, &str); 6] = [
        (
            "update-previous-too-high",
            "an update is missing in between",
            "SES-78",
            update(1, position(7, 1), position(7, 2), &[(2, &[one(2)])]),
            "PROTOCOL_ERROR",
        ),
        (
            "update-previous-other-epoch",
            "previous has the right seq, but another epoch",
            "SES-78",
            update(1, position(7, 0), position(7, 1), &[(1, &[one(1)])]),
            "PROTOCOL_ERROR",
        ),
        (
            "update-block-beyond-new",
            "a block that ends beyond new",
            "SES-78",
            update(1, zero(), position(7, 1), &[(1, &[one(1), one(2)])]),
            "PROTOCOL_ERROR",
        ),
        (
            "update-never-subscribed",
            "an update for a number that was never used",
            "SES-85",
            update(2, zero(), position(7, 1), &[]),
            "UNEXPECTED_MESSAGE",
        ),
        ("welcome-twice", "a second welcome", "SES-2", hail(), "UNEXPECTED_MESSAGE"),
        (
            "pull-response-for-nothing",
            "a pull response that nobody asked for",
            "SES-4",
            page(9, position(7, 1), &[(1, &[one(1)])]),
            "UNEXPECTED_MESSAGE",
        ),
    ];
    for (id, comment, rule, message, code) in bad {
        let mut c = reader(id, comment, &[rule]);
        c.faults(&message, code);
        all.push(c.end());
    }

    let mut c = reader("update-goes-back", "an update whose new is before its previous", &["SES-78"]);
    c.recv(&update(1, zero(), position(7, 1), &[(1, &[one(1)])]), &ONE);
    c.faults(&update(1, position(7, 1), zero(), &[]), "PROTOCOL_ERROR");
    all.push(c.end());

    let mut c = reader(
        "unsubscribe",
        "an update that was on the way when the subscription ended is ignored",
        &["SES-85"],
    );
    c.input("unsubscribe", json!({ "collections": [] }), &["unsubscribe 1"]);
    c.recv(&update(1, zero(), position(7, 1), &[(1, &[one(1)])]), &[]);
    c.subscribe(&[], WIDE, &["subscribe #2 2: all from 0 window 100000"]);
    all.push(c.end());

    let mut c = reader("window-changed", "a pause and a new window are told by an update ack", &["SES-80"]);
    c.recv(&update(1, zero(), position(7, 1), &[(1, &[one(1)])]), &ONE);
    c.input("window", json!({ "collections": [], "window": "0" }), &["update ack 1: 7:1 window 0"]);
    c.input("window", json!({ "collections": [], "window": "500" }), &["update ack 1: 7:1 window 500"]);
    all.push(c.end());

    let mut c = Client::new(
        "position-unknown",
        "the relay does not know the position: it is set to 0, and read from there, under a new number",
        &["SES-72"],
    )
    .holds("positions", json!([read_to(&[], position(7, 5))]))
    .holds("seen", json!([position(7, 5)]));
    c.subscribe(&[], WIDE, &[]);
    c.open("handshake n1 given 0 seen [7:5]");
    c.recv(&with(hail(), "agreed", position(7, 5)), &["subscribe #1 1: all from 7:5 window 100000"]);
    c.recv(&error(1, 213, 0), &["commit", "subscribe #2 2: all from 0 window 100000", "positions: all=0"]);
    all.push(c.end());

    let mut c = reader(
        "subscribe-refused",
        "a subscription is refused: the application is told, and the connection goes on",
        &["SES-67"],
    );
    c.recv(&error(1, 403, 0), &["! subscription ended all refused:FORBIDDEN"]);
    c.recv(&ping(1), &["pong 1"]);
    all.push(c.end());

    let mut c = active(
        "pull",
        "a page is merged, and its next is the position of that set; the next pull begins there",
        &["SES-28", "SES-74", "SES-79"],
    );
    let pull = json!({ "ticket": "70", "collections": ["c"], "max_operations": "10", "max_bytes": "0" });
    c.input("pull", pull.clone(), &["pull #1 c from 0"]);
    c.recv(
        &page(1, position(7, 1), &[(1, &[one(1)])]),
        &[
            "commit",
            "! answered 70 position:epoch:7,seq:1,has_more:true",
            "clock: 1",
            "merged: 1",
            "registers: c.1.f=1n5@1",
            "positions: c=7:1",
            "seen: 7:1",
        ],
    );
    c.input("pull", pull, &["pull #2 c from 7:1"]);
    c.faults_answering(&page(2, zero(), &[]), "PROTOCOL_ERROR", "! answered 70 ended");
    all.push(c.end());

    let mut c = Client::new(
        "pull-position-unknown",
        "a pull from an unknown position begins again at 0",
        &["SES-72"],
    )
    .holds("positions", json!([read_to(&["c"], position(7, 5))]))
    .holds("seen", json!([position(7, 5)]));
    c.open("handshake n1 given 0 seen [7:5]");
    c.recv(&with(hail(), "agreed", position(7, 5)), &[]);
    c.input(
        "pull",
        json!({ "ticket": "70", "collections": ["c"], "max_operations": "0", "max_bytes": "0" }),
        &["pull #1 c from 7:5"],
    );
    c.recv(&error(1, 213, 0), &["commit", "pull #2 c from 0", "positions: c=0"]);
    all.push(c.end());
    all.extend(upgrade());
    all
}

fn page(id: u32, next: Json, blocks: &[(u64, &[Json])]) -> Json {
    message(
        "pull_response",
        id,
        json!({
            "next": next,
            "has_more": true,
            "first_seqs": blocks.iter().map(|(seq, _)| seq.to_string()).collect::<Vec<_>>(),
            "blocks": blocks.iter().map(|(_, ops)| block(ops)).collect::<Vec<_>>(),
        }),
    )
}

/// An update with a block whose encoding 1.0 does not know.
fn unreadable() -> Vec<u8> {
    let mut frame = frame(&update(1, zero(), position(7, 1), &[(1, &[one(1)])]));
    let fields = u32::from_be_bytes(frame[8..12].try_into().unwrap()) as usize;
    let at = 16 + fields + 4;
    frame[at] = 2;
    let checksum = crc32fast::hash(&frame[at..at + 32]).to_be_bytes();
    frame[at + 32..at + 36].copy_from_slice(&checksum);
    frame
}

fn upgrade() -> Vec<Test> {
    let mut all = Vec::new();
    let stopped = r#"stopped: {"version":"256","capabilities":["17","23"]}"#;

    let mut c = reader(
        "upgrade-needed",
        "a block in an encoding of a later version: closed with UPGRADE_NEEDED; afterwards the client reads no more and writes as before, until it offers more",
        &["SES-102", "SES-103"],
    );
    c.script.wait = Some((0, 1_000));
    c.bytes(
        &unreadable(),
        &[
            "commit",
            "! upgrade_needed",
            "error UPGRADE_NEEDED",
            "close UPGRADE_NEEDED",
            "! ended fault:UPGRADE_NEEDED",
            "reconnect 0..1000",
            stopped,
        ],
    );
    c.input("connect", json!({}), &[]);
    c.subscribe(&[], WIDE, &[]);
    c.open("handshake n1 given 0 seen []");
    c.recv(&hail(), &["! upgrade_needed"]);
    c.input(
        "pull",
        json!({ "ticket": "1", "collections": [], "max_operations": "0", "max_bytes": "0" }),
        &["! answered 1 not_sent:UPGRADE_NEEDED"],
    );
    c.write(&[set(1, 5)], &["commit", "push #1 n1 1..1", "given: 1", "clock: 1", "outbox: 1*:1n1"]);
    c.script.wait = Some((0, 2_000));
    c.input("closed", json!({}), &["! ended transport", "reconnect 0..2000", "outbox: 1:1n1"]);
    let more = json!({
        "database": "app", "authentication_method": "0", "authentication": "",
        "capabilities": ["17", "21", "23"], "update_bytes": "1048576",
    });
    c.input("connect", more, &[]);
    c.subscribe(&[], WIDE, &[]);
    c.open("handshake n1 given 1 seen []");
    c.recv(
        &hail(),
        &[
            "commit",
            "subscribe #1 1: all from 0 window 100000",
            "push #2 n1 1..1",
            "stopped: null",
            "outbox: 1*:1n1",
        ],
    );
    all.push(c.end());

    let mut c = reader(
        "upgrade-needed-received",
        "the relay has something that this client cannot read: it reads no more",
        &["SES-103", "SES-5"],
    );
    c.ends(
        &error(0, 218, 0),
        (0, 1_000),
        &[
            "commit",
            "! upgrade_needed",
            "close UPGRADE_NEEDED",
            "! ended refused:UPGRADE_NEEDED",
            "reconnect 0..1000",
            stopped,
        ],
    );
    all.push(c.end());

    let mut c = reader(
        "update-damaged",
        "the checksum of the block's header is wrong: that is no later version",
        &["SES-102", "ERR-1", "ERR-2"],
    );
    let mut bytes = unreadable();
    let at = bytes.len() - 1;
    let header = 16 + u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize + 4 + 32;
    bytes[header] ^= 1;
    assert!(header < at);
    c.bytes_fault(&bytes, "BAD_CHECKSUM");
    all.push(c.end());
    all
}

pub fn requests() -> Vec<Test> {
    let mut all = Vec::new();
    let state = |id: u32| {
        message(
            "sync_state",
            id,
            json!({ "head": position(7, 2), "operations": "2", "nodes": "1", "live_records": "1", "collections": "1" }),
        )
    };

    let mut c = active(
        "sync-state",
        "a sync state, and an error for a request that has its answer",
        &["SES-6", "SES-4"],
    );
    c.input("sync_state", json!({ "ticket": "1" }), &["sync state request #1"]);
    c.recv(&state(1), &["! answered 1 head:epoch:7,seq:2,operations:2,nodes:1,live_records:1,collections:1"]);
    c.recv(&error(1, 600, 0), &[]);
    c.faults(&state(1), "UNEXPECTED_MESSAGE");
    all.push(c.end());

    let mut c = active(
        "reply-of-another-type",
        "a sync state request is answered by an authenticate ack",
        &["SES-4"],
    );
    c.input("sync_state", json!({ "ticket": "1" }), &["sync state request #1"]);
    c.faults_answering(
        &message("authenticate_ack", 1, json!({ "valid_for": "0" })),
        "UNEXPECTED_MESSAGE",
        "! answered 1 ended",
    );
    all.push(c.end());

    let mut c = active("authenticate", "new credentials on a living connection", &["SES-89"]);
    c.input(
        "authenticate",
        json!({ "ticket": "1", "authentication_method": "1", "authentication": "6e6577" }),
        &["authenticate #1"],
    );
    c.recv(&message("authenticate_ack", 1, json!({ "valid_for": "3600" })), &["! answered 1 valid_for:3600"]);
    all.push(c.end());

    let query = json!({ "ticket": "1", "collection": "c", "after": zero(), "limit": "10", "cursor": "" });
    let rows = |id: u32, at: Json, more: bool| {
        let rows = message(
            "query_response",
            id,
            json!({ "at": at, "columns": "1", "rows": [[int(7)]], "cursor": "" }),
        );
        with(rows, "more", more)
    };
    let answer = r#"! answered 1 at:epoch:7,seq:2,rows:[[type:int,value:7]],more:MORE,cursor:"#;
    let mut c = active("query-two-frames", "an answer in two frames", &["SES-70"]);
    c.input("query", query.clone(), &["query #1 c after 0"]);
    c.recv(&rows(1, position(7, 2), true), &[&answer.replace("MORE", "true")]);
    c.recv(&rows(1, position(7, 2), false), &[&answer.replace("MORE", "false")]);
    all.push(c.end());

    let mut c =
        active("query-frames-differ", "the frames of one answer come from two positions", &["RLY-56"]);
    c.input("query", query.clone(), &["query #1 c after 0"]);
    c.recv(&rows(1, position(7, 2), true), &[&answer.replace("MORE", "true")]);
    c.faults_answering(&rows(1, position(7, 3), false), "PROTOCOL_ERROR", "! answered 1 ended");
    all.push(c.end());

    let mut c = active(
        "query-refused",
        "a query is refused, and the connection goes on; so with a code that nobody knows",
        &["ERR-3", "ERR-4"],
    );
    c.input("query", query.clone(), &["query #1 c after 0"]);
    c.recv(&error(1, 501, 0), &["! answered 1 refused:QUERY_TOO_EXPENSIVE"]);
    c.input("query", query.clone(), &["query #2 c after 0"]);
    c.recv(&error(2, 999, 0), &["! answered 1 refused:INTERNAL_ERROR"]);
    all.push(c.end());

    let mut c = Client::new("query-not-agreed", "queries were not agreed on: none is sent", &["MSG-7"]);
    c.open("handshake n1 given 0 seen []");
    c.recv(&with(hail(), "capabilities", json!(["17"])), &[]);
    c.input("query", query, &["! answered 1 not_sent:NOT_NEGOTIATED"]);
    all.push(c.end());

    let mut c = Client::new(
        "requests-of-the-relay",
        "the relay takes one request at a time: the second is sent when the first has its answer",
        &["NEG-7", "SES-69"],
    );
    c.open("handshake n1 given 0 seen []");
    c.recv(&with(hail(), "limits", json!([{ "id": "7", "value": "1" }])), &[]);
    c.input("sync_state", json!({ "ticket": "1" }), &["sync state request #1"]);
    c.input("sync_state", json!({ "ticket": "2" }), &[]);
    c.recv(
        &state(1),
        &[
            "! answered 1 head:epoch:7,seq:2,operations:2,nodes:1,live_records:1,collections:1",
            "sync state request #2",
        ],
    );
    all.push(c.end());
    all.extend(never());
    all
}

/// Messages that no state of a client takes: the rows of SPEC.md 10.1 with "never".
fn never() -> Vec<Test> {
    let messages = [
        super::relay_world::hello(1),
        message("sync_state_request", 1, json!({})),
        super::words::pull(1, zero(), &[], 0),
        super::words::push(1, &[super::words::ops_in(1, 1, &["c"])]),
        super::words::subscribe(1, zero(), 1, &[]),
        message("unsubscribe", 0, json!({ "subscription": "1" })),
        super::words::update_ack(1, zero(), 1),
        super::words::query(1, "c", zero()),
        message("authenticate", 1, json!({ "method": "0", "authentication": "" })),
    ];
    messages
        .into_iter()
        .map(|message| {
            let kind = message["type"].as_str().unwrap();
            let comment = format!("{} from a relay", kind.replace('_', " "));
            let mut c = active(&format!("never-{}", kind.replace('_', "-")), &comment, &["SES-2"]);
            c.faults(&message, "UNEXPECTED_MESSAGE");
            c.end()
        })
        .collect()
}
