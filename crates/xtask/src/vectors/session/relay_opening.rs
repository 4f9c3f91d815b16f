//! A relay before welcome: timers, negotiation, credentials, ownership of nodes, history.

use serde_json::{Value as Json, json};

use super::relay_world::{Relay, hello, rights};
use super::script::Test;
use super::words::{error, frame, goodbye, key, message, ops_in, ping, position, push, with};

const WELCOME: &str = "1 < welcome [1@0] agreed 0 keep mark 0 head 0";

pub fn tests() -> Vec<Test> {
    let mut all = vec![
        first_connection(),
        no_handshake(),
        half_a_handshake(),
        stranger_with_other_bytes(),
        too_large_before_welcome(),
        versions_below(),
        versions_around(),
        required_is_there(),
        required_is_missing(),
        required_is_unknown(),
        capabilities_agreed(),
        grease(),
        unknown_even_limit(),
        token_expired_while_opening(),
        node_of_another(),
        node_key_wrong(),
        node_of_an_open_connection(),
        node_settled_before_its_first_block(),
        replaced(),
        waits_for_appends(),
        too_many_connections(),
        too_many_opening(),
        too_many_of_one_principal(),
        database_cannot_be_opened(),
        frames_while_opening(),
        goodbye_before_welcome(),
        error_before_welcome(),
        mints_when_its_memory_went_back(),
        order_of_checks(),
    ];
    all.extend(not_before_welcome());
    all.extend(credentials());
    all.extend(history());
    all
}

fn first_connection() -> Test {
    let mut w = Relay::new(
        "first-connection",
        "the first connection of the first node: rights, database and node are asked for, in this order",
        &["RLY-10", "RLY-11", "RLY-15", "NEG-4", "RLY-25"],
    );
    w.open(1, &[]);
    w.wait(5);
    w.greet(1, &hello(1), WELCOME);
    w.end()
}

fn no_handshake() -> Test {
    let mut w = Relay::new("no-handshake", "no handshake within 10 s", &["SES-7"]);
    w.open(1, &[]);
    w.timeout(10_000, &["1 < error HANDSHAKE_TIMEOUT", "1 closed HANDSHAKE_TIMEOUT"]);
    w.end()
}

fn half_a_handshake() -> Test {
    let mut w = Relay::new(
        "handshake-never-finishes",
        "bytes of a handshake that never ends do not move the handshake timer",
        &["SES-7"],
    );
    w.open(1, &[]);
    let hello = frame(&hello(1));
    for at in 0..9 {
        w.wait(1_000);
        w.bytes(1, &hello[at..=at], &[]);
    }
    w.timeout(10_000, &["1 < error HANDSHAKE_TIMEOUT", "1 closed HANDSHAKE_TIMEOUT"]);
    w.end()
}

fn stranger_with_other_bytes() -> Test {
    let mut w = Relay::new("not-this-protocol", "the first bytes are an HTTP request", &["ERR-1"]);
    w.open(1, &[]);
    w.bytes(1, b"GET / HTTP/1.1\r\n", &["1 < error UNSUPPORTED_VERSION", "1 closed UNSUPPORTED_VERSION"]);
    w.end()
}

fn too_large_before_welcome() -> Test {
    let mut w = Relay::new(
        "frame-too-large-before-welcome",
        "the first 16 bytes announce a frame of 65,537 bytes",
        &["FRM-3", "FRM-6", "ERR-1"],
    );
    w.open(1, &[]);
    let mut head = frame(&hello(1))[..16].to_vec();
    head[8..12].copy_from_slice(&(65_536_u32 - 19).to_be_bytes());
    w.bytes(1, &head, &["1 < error TOO_LONG", "1 closed TOO_LONG"]);
    w.end()
}

fn refused(id: &str, comment: &str, spec: &[&'static str], hello: &Json, code: &str) -> Test {
    let mut w = Relay::new(id, comment, spec);
    w.open(1, &[]);
    w.send(1, hello, &[&format!("1 < error {code}"), &format!("1 closed {code}")]);
    w.end()
}

fn versions_below() -> Test {
    let hello = with(with(hello(1), "min_version", "512"), "max_version", "513");
    refused(
        "version-too-new",
        "the client speaks 2.0 and 2.1 only",
        &["NEG-1", "RLY-11"],
        &hello,
        "VERSION_NOT_SUPPORTED",
    )
}

fn versions_around() -> Test {
    let mut w = Relay::new(
        "version-range",
        "the client speaks 0.5 to 3.0: the highest that both speak is 1.0",
        &["NEG-1"],
    );
    w.open(1, &[]);
    let hello = with(with(hello(1), "min_version", "5"), "max_version", "768");
    w.greet(1, &hello, WELCOME);
    w.end()
}

fn required_is_there() -> Test {
    let mut w = Relay::new(
        "required-capability",
        "crdt in the even form is agreed on, and listed in its odd form",
        &["NEG-3", "NEG-4"],
    );
    w.open(1, &[]);
    w.greet(1, &with(hello(1), "capabilities", json!(["16"])), WELCOME);
    w.end()
}

fn required_is_missing() -> Test {
    let mut w = Relay::new(
        "required-capability-missing",
        "the client must have queries, which this relay has not",
        &["NEG-3", "RLY-11"],
    )
    .capabilities(&["crdt"]);
    w.open(1, &[]);
    let hello = with(hello(1), "capabilities", json!(["17", "22"]));
    w.send(1, &hello, &["1 < error CAPABILITY_REQUIRED", "1 closed CAPABILITY_REQUIRED"]);
    w.end()
}

fn required_is_unknown() -> Test {
    let hello = with(hello(1), "capabilities", json!(["17", "4096"]));
    refused(
        "required-capability-unknown",
        "an unknown capability in the even form",
        &["NEG-3"],
        &hello,
        "CAPABILITY_REQUIRED",
    )
}

fn capabilities_agreed() -> Test {
    let mut w = Relay::new(
        "capabilities-agreed",
        "what only one of them has is not agreed on: the client has no query, the relay no compression",
        &["NEG-4"],
    )
    .capabilities(&["crdt", "query"]);
    w.open(1, &[]);
    w.greet(1, &with(hello(1), "capabilities", json!(["17", "21"])), WELCOME);
    w.end()
}

fn grease() -> Test {
    let mut w = Relay::new(
        "unknown-odd-is-ignored",
        "an unknown odd capability, limit and message",
        &["NEG-6", "NEG-7", "EXT-4", "EXT-5"],
    );
    w.open(1, &[]);
    let unknown = json!({ "type": "unknown", "code": "4187", "flags": "0", "request_id": "0", "fields": "0102", "blocks": "" });
    w.send(1, &unknown, &[]);
    let hello = with(hello(1), "capabilities", json!(["17", "4187"]));
    w.greet(1, &with(hello, "limits", json!([{ "id": "4187", "value": "0" }])), WELCOME);
    w.send(1, &unknown, &[]);
    w.end()
}

fn unknown_even_limit() -> Test {
    let hello = with(hello(1), "limits", json!([{ "id": "4096", "value": "1" }]));
    refused(
        "limit-unknown-even",
        "an unknown even limit",
        &["NEG-7", "RLY-11"],
        &hello,
        "LIMIT_NOT_SUPPORTED",
    )
}

/// What whoever knows the credentials says.
fn credentials() -> Vec<Test> {
    ["UNAUTHENTICATED", "TOKEN_EXPIRED", "UNKNOWN_DATABASE", "FORBIDDEN"]
        .into_iter()
        .map(|code| {
            let slug = code.to_lowercase().replace('_', "-");
            let mut w = Relay::new(
                &format!("handshake-{slug}"),
                &format!("the handshake is answered with {code}"),
                &["RLY-11"],
            );
            w.open(1, &[]);
            w.send(1, &hello(1), &["authorize 1"]);
            w.fail(code, &[&format!("1 < error {code}"), &format!("1 closed {code}")]);
            w.end()
        })
        .collect()
}

fn token_expired_while_opening() -> Test {
    let mut w = Relay::new(
        "handshake-token-already-over",
        "the credentials are good, but ended a millisecond ago",
        &["RLY-11", "SES-91"],
    );
    w.open(1, &[]);
    w.send(1, &hello(1), &["authorize 1"]);
    let until = (super::relay_world::UNIX_MS - 1).to_string();
    w.answer_with(
        "authorized",
        json!({ "principal": "ann", "rights": rights("all"), "valid_until_ms": until }),
        &["1 < error TOKEN_EXPIRED", "1 closed TOKEN_EXPIRED"],
    );
    w.end()
}

fn node_of_another() -> Test {
    let mut w = Relay::new(
        "node-of-another-principal",
        "node 1 had blocks taken for ben; ann shows its key",
        &["RLY-12"],
    )
    .epoch(1, 0, "keep")
    .marked("ben", 1, 5, "00c0ffee");
    w.open(1, &[]);
    w.greet_with(1, &hello(1), &["1 < error NOT_YOUR_NODE", "1 closed NOT_YOUR_NODE"]);
    w.end()
}

fn node_key_wrong() -> Test {
    let mut w = Relay::new("node-key-wrong", "node 1 is ann's, but this is another key", &["RLY-12"])
        .epoch(1, 0, "keep")
        .marked("ann", 1, 5, "00c0ffee");
    w.open(1, &[]);
    let hello = with(hello(1), "node_key", key(9));
    w.greet_with(1, &hello, &["1 < error NOT_YOUR_NODE", "1 closed NOT_YOUR_NODE"]);
    w.end()
}

fn node_of_an_open_connection() -> Test {
    let mut w = Relay::new(
        "node-of-an-open-connection",
        "a node without blocks belongs to its open connection, which is not disturbed",
        &["RLY-12"],
    );
    w.join(1);
    w.open(2, &[]);
    w.send(2, &with(hello(1), "node_key", key(9)), &["authorize 2"]);
    w.answer(&["2 < error NOT_YOUR_NODE", "2 closed NOT_YOUR_NODE"]);
    w.send(1, &ping(1), &["1 < pong 1"]);
    w.end()
}

fn node_settled_before_its_first_block() -> Test {
    let mut w = Relay::new(
        "node-without-blocks-is-free",
        "nothing is kept of a node that had no block: another principal may use it later",
        &["RLY-12"],
    );
    w.join(1);
    w.closed(1, &[]);
    w.open(2, &[]);
    let hello = with(hello(1), "authentication", blazedb_relay_conformance::meaning::hex(b"ben"));
    w.greet(2, &hello, "2 < welcome [1@0] agreed 0 keep mark 0 head 0");
    w.end()
}

fn replaced() -> Test {
    let mut w = Relay::new(
        "replaced",
        "a second connection of a node closes the first, and gets welcome",
        &["RLY-14"],
    );
    w.join(1);
    w.open(2, &[]);
    w.send(2, &hello(1), &["authorize 2"]);
    w.answer(&["1 < error REPLACED", "1 closed REPLACED", "load n1"]);
    w.answer(&["2 < welcome [1@0] agreed 0 keep mark 0 head 0"]);
    w.end()
}

fn waits_for_appends() -> Test {
    let mut w = Relay::new(
        "welcome-waits-for-appends",
        "a push of the replaced connection is under way: welcome has the mark after it",
        &["RLY-14", "RLY-15", "RLY-32"],
    );
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a", "a"])]), &["append n1 of ann 0-2 [1:2]"]);
    w.open(2, &[]);
    w.send(2, &with(hello(1), "highest_given_out", "2"), &["authorize 2"]);
    // The append is asked first and answered last.
    w.swap();
    w.answer(&["1 < error REPLACED", "1 closed REPLACED"]);
    w.answer(&["load n1"]);
    w.answer(&["2 < welcome [1@0] agreed 0 keep mark 2 head 1:2"]);
    w.end()
}

fn too_many_connections() -> Test {
    let mut w = Relay::new("too-many-connections", "one connection more than the relay takes", &["RLY-51"])
        .config("connections", 1);
    w.open(1, &[]);
    w.open(2, &["2 < error OVERLOADED", "2 closed OVERLOADED"]);
    w.end()
}

fn too_many_opening() -> Test {
    let mut w = Relay::new(
        "too-many-before-welcome",
        "one connection more before welcome than the relay takes; after a welcome there is room",
        &["RLY-51"],
    )
    .config("opening", 1);
    w.open(1, &[]);
    w.open(2, &["2 < error OVERLOADED", "2 closed OVERLOADED"]);
    w.greet(1, &hello(1), WELCOME);
    w.open(3, &[]);
    w.end()
}

fn too_many_of_one_principal() -> Test {
    let mut w =
        Relay::new("too-many-of-one-principal", "ann has as many connections as she may", &["RLY-51"])
            .config("of_one_principal", 1);
    w.join(1);
    w.open(2, &[]);
    w.send(2, &hello(2), &["authorize 2"]);
    w.answer(&["2 < error OVERLOADED", "2 closed OVERLOADED"]);
    w.end()
}

fn database_cannot_be_opened() -> Test {
    let mut w = Relay::new(
        "database-cannot-be-opened",
        "the log cannot be opened for writing: the client comes back later, and it is tried again",
        &["RLY-10", "RLY-59", "SES-95"],
    );
    w.open(1, &[]);
    w.send(1, &hello(1), &["authorize 1"]);
    w.answer(&["open app"]);
    w.fail("STORE_UNAVAILABLE", &["1 < goodbye 1 1000+30000", "1 closed done", "close database 0"]);
    w.wait(2_000);
    w.open(2, &[]);
    w.send(2, &hello(1), &["authorize 2"]);
    w.answer(&["open app"]);
    w.end()
}

/// Messages that a relay takes in R3 only, and those that it never takes.
fn not_before_welcome() -> Vec<Test> {
    let early = [
        ("sync-state-request", message("sync_state_request", 1, json!({}))),
        ("push", push(1, &[ops_in(1, 1, &["a"])])),
        ("ping", ping(1)),
    ];
    let mut tests: Vec<_> = early
        .into_iter()
        .map(|(name, message)| {
            let comment = format!("{} before the handshake", name.replace('-', " "));
            refused(&format!("{name}-before-handshake"), &comment, &["SES-2"], &message, "UNEXPECTED_MESSAGE")
        })
        .collect();
    tests.push({
        let mut w = Relay::new("handshake-twice", "a second handshake after welcome", &["SES-2"]);
        w.join(1);
        w.send(1, &hello(1), &["1 < error UNEXPECTED_MESSAGE", "1 closed UNEXPECTED_MESSAGE"]);
        w.end()
    });
    tests
}

fn frames_while_opening() -> Test {
    let mut w =
        Relay::new("push-before-welcome", "a client that does not wait for welcome", &["SES-2", "SES-1"]);
    w.open(1, &[]);
    w.send_all(
        1,
        &[hello(1), push(1, &[ops_in(1, 1, &["a"])])],
        &["authorize 1", "1 < error UNEXPECTED_MESSAGE", "1 closed UNEXPECTED_MESSAGE"],
    );
    // Whoever asked is gone: the answer leads to nothing.
    w.answer(&[]);
    w.end()
}

fn goodbye_before_welcome() -> Test {
    let mut w = Relay::new("goodbye-before-welcome", "goodbye instead of a handshake", &["SES-2", "SES-97"]);
    w.open(1, &[]);
    w.send(1, &goodbye(0, 0, 0), &["1 closed done"]);
    w.open(2, &[]);
    w.send(2, &hello(2), &["authorize 2"]);
    w.send(2, &goodbye(0, 0, 0), &["2 closed done"]);
    w.end()
}

fn error_before_welcome() -> Test {
    let mut w =
        Relay::new("error-before-welcome", "an error of the client ends it without an answer", &["SES-5"]);
    w.open(1, &[]);
    w.send(1, &hello(1), &["authorize 1"]);
    w.send(1, &error(0, 200, 0), &["1 closed done"]);
    w.end()
}

fn order_of_checks() -> Test {
    let mut hello = with(hello(1), "min_version", "512");
    hello = with(hello, "max_version", "512");
    hello = with(hello, "capabilities", json!(["4096"]));
    hello = with(hello, "limits", json!([{ "id": "4096", "value": "1" }]));
    refused(
        "order-of-checks",
        "version, capability and limit are all wrong: the first of them is told",
        &["RLY-11"],
        &hello,
        "VERSION_NOT_SUPPORTED",
    )
}

/// The table of SPEC.md 11.4: A is epoch 10, B is 11, D is 12. The log has 80 operations of node 5 in one
/// block, and in D 19 more.
fn history() -> Vec<Test> {
    let rows: [(&str, Vec<Json>, &str, &str); 5] = [
        (
            "unknown-epoch-then-known",
            vec![position(11, 150), position(10, 100)],
            "[12@80 10@0] agreed 10:80",
            "B is unknown, A ends at 80",
        ),
        (
            "client-knows-less",
            vec![position(11, 150), position(10, 60)],
            "[12@80 10@0] agreed 10:60",
            "the client cannot say more",
        ),
        ("nothing-lost", vec![position(10, 70)], "[12@80 10@0] agreed 10:70", "nothing is lost"),
        ("no-epoch-known", vec![position(11, 150)], "[12@80] agreed 0", "no epoch is known"),
        ("nothing-seen", vec![], "[12@80] agreed 0", "a client that has seen nothing"),
    ];
    let old = |id: &str, comment: &str, mode: &'static str| {
        Relay::new(&format!("agreed-{id}"), comment, &["RLY-17", "RLY-18"])
            .epoch(10, 0, "keep")
            .logged("ben", &ops_in(5, 1, &["a"; 80]))
            .opens(12, mode)
    };
    let mut tests: Vec<_> = rows
        .into_iter()
        .map(|(id, seen, welcome, comment)| {
            let mut w = old(id, comment, "keep");
            w.open(1, &[]);
            let hello = with(hello(1), "seen", json!(seen));
            w.greet(1, &hello, &format!("1 < welcome {welcome} keep mark 0 head 10:80"));
            w.end()
        })
        .collect();
    tests.push({
        let mut w = old("after-the-restore", "nothing is lost of what came after the restore", "keep");
        w.open(1, &[]);
        w.greet(1, &hello(1), "1 < welcome [12@80] agreed 0 keep mark 0 head 10:80");
        w.send(1, &push(1, &[ops_in(1, 1, &["a"; 3])]), &["append n1 of ann 0-3 [1:3]"]);
        w.answer(&["1 < ack #1 81-12:83"]);
        w.open(2, &[]);
        let hello = with(hello(2), "seen", json!([position(12, 82), position(10, 80)]));
        w.greet(2, &hello, "2 < welcome [12@80 10@0] agreed 12:82 keep mark 0 head 12:83");
        w.end()
    });
    for (id, seen, mode, comment) in [
        (
            "discard",
            vec![position(11, 150), position(10, 60)],
            "discard",
            "the restore was opened with discard",
        ),
        (
            "discard-nothing-known",
            vec![position(11, 150)],
            "discard",
            "no epoch is known, and one is of mode discard",
        ),
        (
            "discard-seen-already",
            vec![position(12, 80)],
            "keep",
            "who has seen the epoch of the restore is told keep",
        ),
    ] {
        let mut w = old(id, comment, "discard");
        w.open(1, &[]);
        let agreed = match id {
            "discard" => "[12@80 10@0] agreed 10:60",
            "discard-nothing-known" => "[12@80] agreed 0",
            _ => "[12@80] agreed 10:80",
        };
        let hello = with(hello(1), "seen", json!(seen));
        w.greet(1, &hello, &format!("1 < welcome {agreed} {mode} mark 0 head 10:80"));
        tests.push(w.end());
    }
    tests
}

fn mints_when_its_memory_went_back() -> Test {
    let mut w = Relay::new(
        "position-from-the-future",
        "a position of the current epoch beyond the head: a new epoch is minted before welcome",
        &["RLY-16", "RLY-18"],
    );
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.answer(&["1 < ack #1 1-1:1"]);
    w.open(2, &[]);
    let hello = with(hello(2), "seen", json!([position(1, 7)]));
    w.greet_with(2, &hello, &["mint"]);
    w.answer(&["2 < welcome [2@1 1@0] agreed 1:1 keep mark 0 head 1:1"]);
    w.end()
}
