//! A relay's answers to requests, its timers, credentials and endings, and messages that it never takes.

use serde_json::{Value as Json, json};

use super::relay_world::{Relay, UNIX_MS, hello, rights};
use super::script::Test;
use super::words::{
    error, frame, goodbye, int, message, ops_in, ping, pong, position, push, query, subscribe, with,
};

const WIDE: u64 = 1_000_000;

pub fn tests() -> Vec<(&'static str, Vec<Test>)> {
    vec![
        ("requests", requests()),
        ("credentials", credentials()),
        ("timers", timers()),
        ("wrong messages", never()),
        ("endings", endings()),
    ]
}

fn joined(id: &str, comment: &str, spec: &[&'static str]) -> Relay {
    let mut w = Relay::new(id, comment, spec);
    w.join(1);
    w
}

fn state_request(id: u32) -> Json {
    message("sync_state_request", id, json!({}))
}

fn authenticate(id: u32, token: &str) -> Json {
    let token = blazedb_relay_conformance::meaning::hex(token.as_bytes());
    message("authenticate", id, json!({ "method": "1", "authentication": token }))
}

fn requests() -> Vec<Test> {
    let mut all = Vec::new();

    let mut w = joined(
        "sync-state",
        "numbers of the state at the position that they are from",
        &["RLY-57", "SES-67"],
    );
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.answer(&["1 < ack #1 1-1:1"]);
    w.send(1, &state_request(2), &["count"]);
    w.answer(&["1 < sync state #2 1:1 1"]);
    all.push(w.end());

    let mut w = joined(
        "query-two-frames",
        "an answer in two frames, both from one position; only the last has no flag more",
        &["RLY-56", "SES-70", "RLY-53"],
    );
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.answer(&["1 < ack #1 1-1:1"]);
    w.send(1, &query(2, "a", position(1, 1)), &["run a after 1 limit 1000"]);
    w.answer_with(
        "rows",
        json!({ "at": "1", "columns": "1", "tables": [[[int(7)], [int(8)]], [[int(9)]]], "cursor": "c0" }),
        &["1 < rows #2 at 1:1 2 more", "1 < rows #2 at 1:1 1 cursor [c0]"],
    );
    all.push(w.end());

    for code in ["STATE_NOT_REACHED", "QUERY_TOO_EXPENSIVE", "BAD_CURSOR"] {
        let slug = code.to_lowercase().replace('_', "-");
        let comment = format!("a query is answered with {code}, and the connection goes on");
        let spec: &[&str] =
            if code == "STATE_NOT_REACHED" { &["RLY-53", "ERR-4"] } else { &["RLY-55", "ERR-4"] };
        let mut w = joined(&format!("query-{slug}"), &comment, spec);
        w.send(1, &query(1, "a", position(0, 0)), &["run a after 0 limit 1000"]);
        w.fail(code, &[&format!("1 < error #1 {code}")]);
        w.send(1, &ping(1), &["1 < pong 1"]);
        all.push(w.end());
    }

    let mut w =
        Relay::new("query-forbidden", "a query on a collection that ann may not read", &["RLY-54", "ERR-4"]);
    w.rights = json!({ "others": "all", "collections": { "b": "write" } });
    w.join(1);
    w.send(1, &query(1, "b", position(0, 0)), &["1 < error #1 FORBIDDEN"]);
    w.send(1, &query(2, "a", position(7, 7)), &["1 < error #2 POSITION_UNKNOWN"]);
    all.push(w.end());

    let mut w = Relay::new("query-not-agreed", "a query without the capability", &["MSG-7", "ERR-1"]);
    w.open(1, &[]);
    w.greet(
        1,
        &with(hello(1), "capabilities", json!(["17"])),
        "1 < welcome [1@0] agreed 0 keep mark 0 head 0",
    );
    w.send(1, &query(1, "a", position(0, 0)), &["1 < error NOT_NEGOTIATED", "1 closed NOT_NEGOTIATED"]);
    all.push(w.end());

    let mut w = joined("duplicate-request", "a request id of a query that has no answer yet", &["SES-66"]);
    w.send(1, &query(5, "a", position(0, 0)), &["run a after 0 limit 1000"]);
    w.send(1, &state_request(5), &["1 < error DUPLICATE_REQUEST", "1 closed DUPLICATE_REQUEST"]);
    // Its answer comes too late.
    w.answer_with("rows", json!({ "at": "0", "columns": "1", "tables": [[]], "cursor": "" }), &[]);
    all.push(w.end());

    let mut w = joined(
        "request-id-free-again",
        "an id may be used again once it has its answer",
        &["SES-66", "SES-70"],
    );
    w.send(1, &state_request(5), &["count"]);
    w.answer(&["1 < sync state #5 0 0"]);
    w.send(1, &state_request(5), &["count"]);
    w.answer(&["1 < sync state #5 0 0"]);
    all.push(w.end());

    let mut w = Relay::new(
        "too-many-requests",
        "one request more under way than allowed; push does not count",
        &["SES-69", "ERR-4"],
    )
    .config("requests", 1);
    w.join(1);
    w.send(1, &query(1, "a", position(0, 0)), &["run a after 0 limit 1000"]);
    w.send(1, &state_request(2), &["1 < error #2 TOO_MANY_REQUESTS"]);
    w.send(1, &push(3, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.answer_with(
        "rows",
        json!({ "at": "0", "columns": "1", "tables": [[]], "cursor": "" }),
        &["1 < rows #1 at 0 0 cursor []"],
    );
    w.send(1, &state_request(2), &["count"]);
    all.push(w.end());
    all
}

fn credentials() -> Vec<Test> {
    let mut all = Vec::new();
    let until = |ms: u64| json!((UNIX_MS + ms).to_string());
    let expires = |id: &str, comment: &str, spec: &[&'static str]| {
        let mut w = Relay::new(id, comment, spec);
        w.valid_until_ms = until(20_000);
        w.join(1);
        w
    };

    let mut w = expires(
        "token-expires",
        "the credentials end after 20 s and nothing new comes: closed 30 s later, though the client is alive",
        &["SES-91"],
    );
    w.wait(25_000);
    w.send(1, &ping(1), &["1 < pong 1"]);
    w.timeout(50_000, &["1 < error TOKEN_EXPIRED", "1 closed TOKEN_EXPIRED"]);
    all.push(w.end());

    let mut w = expires(
        "authenticate-in-time",
        "new credentials after the end of the old ones, within the 30 s; subscriptions and pushes stay",
        &["SES-89", "SES-91"],
    );
    w.send(1, &subscribe(1, position(0, 0), WIDE, &[]), &["1 < update 1: 0 -> 0 []"]);
    w.wait(25_000);
    w.send(1, &authenticate(2, "ann"), &["authorize 1"]);
    w.answer_with(
        "authorized",
        json!({ "principal": "ann", "rights": rights("all"), "valid_until_ms": until(3_625_000) }),
        &["1 < authenticated #2 3600 s"],
    );
    w.timeout(55_000, &["1 < ping"]);
    w.send(1, &push(3, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.answer(&["1 < ack #3 1-1:1", "read after 0"]);
    all.push(w.end());

    let mut w = joined("authenticate-without-end", "credentials that do not end", &["SES-89"]);
    w.send(1, &authenticate(1, "ann"), &["authorize 1"]);
    w.answer(&["1 < authenticated #1 0 s"]);
    all.push(w.end());

    let mut w =
        joined("authenticate-other-principal", "new credentials are ben's, the node is ann's", &["SES-90"]);
    w.send(1, &authenticate(1, "ben"), &["authorize 1"]);
    w.answer(&["1 < error NOT_YOUR_NODE", "1 closed NOT_YOUR_NODE"]);
    all.push(w.end());

    for code in ["UNAUTHENTICATED", "TOKEN_EXPIRED"] {
        let slug = code.to_lowercase().replace('_', "-");
        let mut w = joined(&format!("authenticate-{slug}"), "new credentials are not good", &["SES-90"]);
        w.send(1, &authenticate(1, "ann"), &["authorize 1"]);
        w.fail(code, &[&format!("1 < error {code}"), &format!("1 closed {code}")]);
        all.push(w.end());
    }

    let mut w = joined(
        "authenticate-fewer-rights",
        "new credentials may not read what is subscribed to: acknowledged, and then the connection is ended",
        &["SES-89", "SES-92"],
    );
    w.send(1, &subscribe(1, position(0, 0), WIDE, &[]), &["1 < update 1: 0 -> 0 []"]);
    w.send(1, &authenticate(2, "ann"), &["authorize 1"]);
    w.answer_with(
        "authorized",
        json!({ "principal": "ann", "rights": rights("write"), "valid_until_ms": null }),
        &["1 < authenticated #2 0 s", "1 < goodbye 1 1000+30000"],
    );
    all.push(w.end());

    let mut w =
        joined("authenticate-write-right", "the right to write is that of the moment", &["SES-89", "RLY-28"]);
    w.input(json!({ "rights_changed": { "conn": "1", "rights": rights("read") } }), &[]);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 []"]);
    w.answer(&["1 < ack #1 WRITE_FORBIDDEN 0"]);
    all.push(w.end());
    all
}

fn timers() -> Vec<Test> {
    let mut all = Vec::new();

    let mut w = joined(
        "heartbeat-and-idle",
        "nothing is heard: a ping for each 30 s, and after 90 s it is over",
        &["SES-7"],
    );
    w.timeout(30_000, &["1 < ping"]);
    w.timeout(60_000, &["1 < ping"]);
    w.timeout(90_000, &["1 < error IDLE_TIMEOUT", "1 closed IDLE_TIMEOUT"]);
    all.push(w.end());

    let mut w = joined(
        "one-byte-is-life",
        "one byte of a frame that is not whole moves the heartbeat and the idle timer",
        &["SES-8"],
    );
    w.wait(29_000);
    w.bytes(1, &frame(&ping(1))[..1], &[]);
    w.timeout(59_000, &["1 < ping"]);
    w.wait(1_000);
    w.bytes(1, &frame(&ping(1))[1..], &["1 < pong 1"]);
    w.timeout(90_000, &["1 < ping"]);
    all.push(w.end());

    let mut w = Relay::new(
        "peer-never-reads",
        "the client sends, but its transport takes nothing of what is sent to it: closed 90 s after the first byte that waited",
        &["SES-7", "RLY-48"],
    )
    .holds();
    w.join(1);
    for n in 1..=3 {
        w.wait(29_000);
        w.send(1, &ping(n), &[&format!("1 < pong {n}")]);
    }
    w.timeout(90_000, &["1 < error IDLE_TIMEOUT", "1 closed IDLE_TIMEOUT"]);
    all.push(w.end());

    let mut w =
        Relay::new("peer-reads-slowly", "a byte that the transport takes moves the stuck timer", &["SES-7"])
            .holds();
    w.join(1);
    w.wait(29_000);
    w.send(1, &ping(1), &["1 < pong 1"]);
    w.wait(29_000);
    w.input(json!({ "flushed": { "conn": "1", "bytes": "1" } }), &[]);
    w.send(1, &ping(2), &["1 < pong 2"]);
    w.wait(29_000);
    w.send(1, &ping(3), &["1 < pong 3"]);
    w.wait(29_000);
    w.send(1, &ping(4), &["1 < pong 4"]);
    w.timeout(146_000, &["1 < ping"]);
    w.timeout(148_000, &["1 < error IDLE_TIMEOUT", "1 closed IDLE_TIMEOUT"]);
    all.push(w.end());

    let mut w = joined(
        "pings-at-once",
        "of a thousand pings that wait for an answer only the last has one",
        &["SES-9"],
    );
    let pings: Vec<_> = (1..=1_000).map(ping).collect();
    w.send_all(1, &pings, &["1 < pong 1000"]);
    all.push(w.end());

    let mut w = joined("pong-not-asked-for", "a pong that nobody asked for is ignored", &["SES-10"]);
    w.send(1, &pong(99), &[]);
    w.send(1, &ping(1), &["1 < pong 1"]);
    all.push(w.end());

    let mut w = joined(
        "database-unused",
        "a database without connections is closed after a while, and opened anew under a new epoch",
        &["RLY-10"],
    );
    w.closed(1, &[]);
    w.timeout(600_000, &["close database 0"]);
    w.open(2, &[]);
    w.send(2, &hello(1), &["authorize 2"]);
    w.answer(&["open app"]);
    w.answer(&["load n1"]);
    w.answer(&["2 < welcome [2@0] agreed 0 keep mark 0 head 0"]);
    all.push(w.end());
    all
}

/// Messages that no state of a relay takes: the rows of SPEC.md 10.1 with "never".
fn never() -> Vec<Test> {
    let zero = position(0, 0);
    let welcome = json!({
        "version": "256", "capabilities": [], "epochs": [{ "epoch": "1", "begins": "0" }], "agreed": zero,
        "restore_mode": "keep", "mark": "0", "check": "00000000", "head": zero, "limits": [],
        "heartbeat_interval": "30000", "relay_time": "0",
    });
    let state =
        json!({ "head": zero, "operations": "0", "nodes": "0", "live_records": "0", "collections": "0" });
    let update =
        json!({ "subscription": "1", "previous": zero, "new": zero, "first_seqs": [], "blocks": [] });
    let page = json!({ "next": zero, "has_more": false, "first_seqs": [], "blocks": [] });
    let ack = json!({ "entries": [{ "status": "later", "wait": "0" }] });
    let rows = json!({ "at": zero, "columns": "1", "rows": [], "cursor": "" });
    let messages = [
        ("welcome", 0, welcome),
        ("sync_state", 1, state),
        ("pull_response", 1, page),
        ("push_ack", 1, ack),
        ("update", 0, update),
        ("query_response", 1, rows),
        ("authenticate_ack", 1, json!({ "valid_for": "0" })),
    ];
    let mut all: Vec<_> = messages
        .into_iter()
        .map(|(kind, id, fields)| {
            let comment = format!("{} from a client", kind.replace('_', " "));
            let mut w = joined(&format!("never-{}", kind.replace('_', "-")), &comment, &["SES-2"]);
            w.send(
                1,
                &message(kind, id, fields),
                &["1 < error UNEXPECTED_MESSAGE", "1 closed UNEXPECTED_MESSAGE"],
            );
            w.end()
        })
        .collect();

    let mut w = joined(
        "bytes-damaged",
        "a bit of the checksum is wrong: nothing of the frame has an effect",
        &["ERR-1", "ERR-2"],
    );
    let mut bytes = frame(&subscribe(1, position(0, 0), WIDE, &[]));
    *bytes.last_mut().unwrap() ^= 1;
    w.bytes(1, &bytes, &["1 < error BAD_CHECKSUM", "1 closed BAD_CHECKSUM"]);
    all.push(w.end());

    let mut w = joined("even-message-unknown", "an unknown even message type", &["ERR-1", "EXT-4"]);
    let mut bytes = frame(&ping(1));
    bytes[2..4].copy_from_slice(&0x1000_u16.to_be_bytes());
    let end = bytes.len() - 4;
    let checksum = crc32fast::hash(&bytes[..end]).to_be_bytes();
    bytes[end..].copy_from_slice(&checksum);
    w.bytes(1, &bytes, &["1 < error UNKNOWN_MESSAGE", "1 closed UNKNOWN_MESSAGE"]);
    all.push(w.end());

    let mut w = Relay::new("frames-in-one-message", "several frames in one WebSocket message", &["TRN-3"]);
    w.open_messages(1);
    w.greet(1, &hello(1), "1 < welcome [1@0] agreed 0 keep mark 0 head 0");
    w.send_all(
        1,
        &[subscribe(1, position(0, 0), WIDE, &[]), ping(1)],
        &["1 < update 1: 0 -> 0 []", "1 < pong 1"],
    );
    all.push(w.end());

    let mut w =
        Relay::new("message-ends-inside-a-frame", "a WebSocket message that ends inside a frame", &["TRN-3"]);
    w.open_messages(1);
    w.bytes(1, &frame(&hello(1))[..50], &["1 < error TRUNCATED", "1 closed TRUNCATED"]);
    all.push(w.end());

    let mut w = Relay::new("bytes-one-by-one", "on a stream a frame may come in any pieces", &["FRM-6"]);
    w.open(1, &[]);
    let bytes = frame(&hello(1));
    w.bytes(1, &bytes[..1], &[]);
    w.bytes(1, &bytes[1..17], &[]);
    w.bytes(1, &bytes[17..bytes.len() - 1], &[]);
    w.bytes(1, &bytes[bytes.len() - 1..], &["authorize 1"]);
    all.push(w.end());
    all
}

fn endings() -> Vec<Test> {
    let mut all = Vec::new();

    let mut w = joined("client-says-goodbye", "goodbye of a client without anything under way", &["SES-97"]);
    w.send(1, &goodbye(0, 0, 0), &["1 closed done"]);
    all.push(w.end());

    let mut w = joined(
        "goodbye-waits-for-acks",
        "goodbye of a client while its push is under way: the ack is sent, then the transport is closed",
        &["SES-97", "SES-67"],
    );
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.send(1, &goodbye(0, 0, 0), &[]);
    w.wait(100);
    w.answer(&["1 < ack #1 1-1:1", "1 closed done"]);
    all.push(w.end());

    let mut w = joined(
        "goodbye-drain-timer",
        "goodbye of a client while its push is under way, and the append takes longer than 5 s",
        &["SES-97", "SES-7"],
    );
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.send(1, &goodbye(0, 0, 0), &[]);
    w.timeout(5_000, &["1 closed done"]);
    w.answer(&[]);
    all.push(w.end());

    let mut w = joined(
        "after-goodbye-nothing-is-taken",
        "in R4 after its own goodbye the relay ignores what comes, also what would be an error, and closes after 5 s",
        &["SES-3", "SES-94", "SES-7"],
    );
    w.input(json!({ "shutdown": {} }), &["1 < goodbye 1 1000+30000"]);
    w.send(1, &ping(1), &[]);
    w.send(1, &hello(1), &[]);
    w.bytes(1, b"not a frame at all", &[]);
    w.timeout(5_000, &["1 closed going_down"]);
    all.push(w.end());

    let mut w = joined(
        "after-goodbye-the-client-closes",
        "the client closes its transport after the relay's goodbye",
        &["SES-94", "SES-95"],
    );
    w.input(json!({ "shutdown": {} }), &["1 < goodbye 1 1000+30000"]);
    w.closed(1, &[]);
    all.push(w.end());

    let mut w = joined(
        "shutdown-waits-for-acks",
        "the relay goes down while a push is under way: nothing more is taken, the ack is sent, then goodbye; who comes then is sent away",
        &["SES-95", "SES-67"],
    );
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.input(json!({ "shutdown": {} }), &[]);
    w.send(1, &push(2, &[ops_in(1, 2, &["a"])]), &[]);
    w.open(2, &["2 < goodbye 1 1000+30000", "2 closed going_down"]);
    w.answer(&["1 < ack #1 1-1:1", "1 < goodbye 1 1000+30000"]);
    w.timeout(5_000, &["1 closed going_down"]);
    all.push(w.end());

    let mut w = joined(
        "error-of-the-client",
        "an error with connection scope: the transport is closed, nothing is sent",
        &["SES-5"],
    );
    w.send(1, &error(0, 218, 0), &["1 closed done"]);
    all.push(w.end());

    let mut w = joined(
        "error-for-no-request",
        "an error with request scope for a request that is not under way is ignored; so is its unknown code",
        &["SES-6", "ERR-3"],
    );
    w.send(1, &error(7, 999, 0), &[]);
    w.send(1, &ping(1), &["1 < pong 1"]);
    all.push(w.end());
    all
}
