//! Messages of a relay to an active client, and a client's pushes.

use serde_json::{Value as Json, json};

use super::client_world::{Client, hail, queued, set};
use super::script::Test;
use super::words::{block, int, message, op, position, record, timestamp, with};

pub fn update(number: u32, previous: Json, new: Json, blocks: &[(u64, &[Json])]) -> Json {
    message(
        "update",
        0,
        json!({
            "subscription": number.to_string(),
            "previous": previous,
            "new": new,
            "first_seqs": blocks.iter().map(|(seq, _)| seq.to_string()).collect::<Vec<_>>(),
            "blocks": blocks.iter().map(|(_, ops)| block(ops)).collect::<Vec<_>>(),
        }),
    )
}

fn ack(id: u32, entries: Json) -> Json {
    message("push_ack", id, json!({ "entries": entries }))
}

/// The one block of push `id` was accepted in epoch 7.
pub fn accepted(id: u32, first: u64, last: u64) -> Json {
    ack(
        id,
        json!([{ "status": "accepted", "epoch": "7", "first_seq": first.to_string(), "last_seq": last.to_string() }]),
    )
}

pub fn refused(id: u32, code: &str, index: u32) -> Json {
    ack(id, json!([{ "status": "refused", "code": code, "index": index.to_string() }]))
}

fn later(id: u32, wait: u32) -> Json {
    ack(id, json!([{ "status": "later", "wait": wait.to_string() }]))
}

/// A client that was welcomed and has nothing to send.
pub fn active(id: &str, comment: &str, spec: &[&'static str]) -> Client {
    let mut c = Client::new(id, comment, spec);
    c.open("handshake n1 given 0 seen []");
    c.recv(&hail(), &[]);
    c
}

const FIRST: [&str; 5] = ["commit", "push #1 n1 1..1", "given: 1", "clock: 1", "outbox: 1*:1n1"];

/// The same with a first write in flight.
fn one_in_flight(id: &str, comment: &str, spec: &[&'static str]) -> Client {
    let mut c = active(id, comment, spec);
    c.write(&[set(1, 5)], &FIRST);
    c
}

/// A write of three operations as one transaction, in flight as push 1.
fn transaction(id: &str, comment: &str, spec: &[&'static str]) -> Client {
    let mut c = active(id, comment, spec);
    c.write(
        &[set(1, 5), set(2, 6), set(3, 7)],
        &["commit", "push #1 n1 1..3", "given: 3", "clock: 3", "outbox: 1*:1n1 2*:2n1 3*:3n1"],
    );
    c
}

/// Three writes of their own, in flight as push 1.
fn three(id: &str, comment: &str, spec: &[&'static str]) -> Client {
    let ops: Vec<_> =
        (1..=3).map(|n| with(op(1, n, n, "c"), "record", record(u32::try_from(n).unwrap()))).collect();
    let view: serde_json::Map<_, _> =
        (1..=3_u32).map(|n| (record(n), json!([["f", int(n.into())]]))).collect();
    let mut c = Client::new(id, comment, spec)
        .holds("given", "3")
        .holds("clock", "3")
        .holds("outbox", queued(&ops, "queued"))
        .holds("view", json!({ "c": view }));
    c.open("handshake n1 given 3 seen []");
    c.recv(&hail(), &["push #1 n1 1..3", "outbox: 1*:1n1 2*:2n1 3*:3n1"]);
    c
}

pub fn pushing() -> Vec<Test> {
    let mut all = Vec::new();

    let mut c = one_in_flight(
        "push-accepted",
        "an accepted block leaves the outbox for the durable state, with its seq; the position is heard of, and is no read position",
        &["SES-17", "SES-28", "SES-35", "SES-36", "SES-48", "SES-54"],
    );
    c.recv(
        &accepted(1, 4, 4),
        &["commit", "acknowledged: 1", "merged: 1", "outbox: ", "registers: c.1.f=1n1@4", "seen: 7:4"],
    );
    all.push(c.end());

    let mut c = one_in_flight(
        "push-batches",
        "with a push in flight the next write waits 100 ms for others",
        &["SES-46", "SES-43"],
    );
    c.wait(10);
    c.write(&[set(1, 6)], &["commit", "given: 2", "clock: 2", "outbox: 1*:1n1 2:2n1"]);
    c.wait(50);
    c.write(&[set(1, 7)], &["commit", "given: 3", "clock: 3", "outbox: 1*:1n1 2:2n1 3:3n1"]);
    c.timeout(110, &["push #2 n1 2..3", "outbox: 1*:1n1 2*:2n1 3*:3n1"]);
    all.push(c.end());

    let mut c = one_in_flight(
        "push-at-once-when-idle",
        "an ack makes the line idle: what waits is sent at once",
        &["SES-46"],
    );
    c.wait(10);
    c.write(&[set(1, 6)], &["commit", "given: 2", "clock: 2", "outbox: 1*:1n1 2:2n1"]);
    c.recv(
        &accepted(1, 1, 1),
        &[
            "commit",
            "push #2 n1 2..2",
            "acknowledged: 1",
            "merged: 1",
            "outbox: 2*:2n1",
            "registers: c.1.f=1n1@1",
            "seen: 7:1",
        ],
    );
    all.push(c.end());

    let mut c = one_in_flight(
        "push-hundred",
        "with a push in flight 99 operations wait; with one more, 100 are sent at once",
        &["SES-46", "SES-45"],
    );
    c.wait(10);
    let writes: Vec<_> = (0..99).map(|value| set(1, value)).collect();
    let waiting: Vec<_> = (2..=100).map(|n| format!("{n}:{n}n1")).collect();
    let outbox = format!("outbox: 1*:1n1 {}", waiting.join(" "));
    c.write(&writes, &["commit", "given: 100", "clock: 100", &outbox]);
    c.wait(10);
    let sent: Vec<_> = (1..=101).map(|n| format!("{n}*:{n}n1")).collect();
    let outbox = format!("outbox: {}", sent.join(" "));
    c.write(&[set(1, 7)], &["commit", "push #2 n1 2..101", "given: 101", "clock: 101", &outbox]);
    all.push(c.end());

    let mut c = Client::new(
        "push-window",
        "the relay takes one block at a time: the next waits for the ack, however long that takes",
        &["SES-44", "NEG-7"],
    );
    c.open("handshake n1 given 0 seen []");
    c.recv(&with(hail(), "limits", json!([{ "id": "3", "value": "1" }])), &[]);
    c.write(&[set(1, 5)], &FIRST);
    c.write(&[set(1, 6)], &["commit", "given: 2", "clock: 2", "outbox: 1*:1n1 2:2n1"]);
    c.wait(60_000);
    c.recv(
        &accepted(1, 1, 1),
        &[
            "commit",
            "push #2 n1 2..2",
            "acknowledged: 1",
            "merged: 1",
            "outbox: 2*:2n1",
            "registers: c.1.f=1n1@1",
            "seen: 7:1",
        ],
    );
    all.push(c.end());

    let mut c = transaction(
        "push-transaction",
        "what was written as one transaction is one block",
        &["SES-45", "SES-17"],
    );
    c.recv(
        &accepted(1, 1, 3),
        &[
            "commit",
            "acknowledged: 3",
            "merged: 3",
            "outbox: ",
            "registers: c.1.f=1n1@1 c.2.f=2n1@2 c.3.f=3n1@3",
            "seen: 7:3",
        ],
    );
    all.push(c.end());

    let mut c = transaction(
        "refused-transaction",
        "one operation of a transaction is refused: all of it goes on the rejected list and leaves the view",
        &["SES-49", "SES-39"],
    );
    c.recv(
        &refused(1, "302", 1),
        &[
            "commit",
            "acknowledged: 3",
            "outbox: ",
            "rejected: 1n1:WRITE_FORBIDDEN 2n1:WRITE_FORBIDDEN 3n1:WRITE_FORBIDDEN",
        ],
    );
    all.push(c.end());

    let mut c = three(
        "refused-one-of-three",
        "the second of three is refused: it goes on the rejected list; the others get new numbers and are sent again with their timestamps, in blocks of at most half the size",
        &["SES-49", "SES-50", "SES-53"],
    );
    c.recv(
        &refused(1, "300", 1),
        &[
            "commit",
            "push #2 n1 4..4",
            "given: 5",
            "acknowledged: 3",
            "outbox: 4*:1n1 5:3n1",
            "rejected: 2n1:REFUSED",
        ],
    );
    all.push(c.end());

    let mut c = one_in_flight(
        "later",
        "later: the block stays, and is pushed again from its number when the time is over",
        &["SES-39", "SES-51"],
    );
    c.recv(&later(1, 700), &["outbox: 1:1n1"]);
    c.timeout(700, &["push #2 n1 1..1", "outbox: 1*:1n1"]);
    all.push(c.end());

    let mut c = one_in_flight(
        "later-waits-for-all-acks",
        "a push behind it is still in flight: nothing is pushed before its ack",
        &["SES-39", "SES-51", "SES-52"],
    );
    c.write(&[set(1, 6)], &["commit", "given: 2", "clock: 2", "outbox: 1*:1n1 2:2n1"]);
    c.timeout(100, &["push #2 n1 2..2", "outbox: 1*:1n1 2*:2n1"]);
    c.recv(&later(1, 500), &["outbox: 1:1n1 2*:2n1"]);
    c.wait(4_900);
    c.recv(&later(2, 500), &["outbox: 1:1n1 2:2n1"]);
    c.timeout(5_500, &["push #3 n1 1..2", "outbox: 1*:1n1 2*:2n1"]);
    all.push(c.end());

    let mut c = three(
        "clock-too-far-ahead",
        "the clock is set to the greatest counter that was merged, and the client is a new node; its other operations keep their timestamps",
        &["SES-42", "SES-49", "SES-25"],
    );
    c.recv(
        &refused(1, "301", 2),
        &[
            "commit",
            "goodbye 0 0+0",
            "close -",
            "! ended new_node",
            "reconnect 0..0",
            "node: n2",
            "given: 2",
            "clock: 0",
            "untried: true",
            "outbox: 1:1n1 2:2n1",
            "rejected: 3n1:CLOCK_TOO_FAR_AHEAD",
        ],
    );
    c.input("connect", json!({}), &[]);
    c.open("handshake n2 given 2 seen []");
    c.recv(&hail(), &["commit", "push #1 n2 1..2", "untried: false", "outbox: 1*:1n1 2*:2n1"]);
    c.recv(
        &refused(1, "301", 0),
        &[
            "commit",
            "push #2 n2 3..3",
            "given: 3",
            "acknowledged: 2",
            "outbox: 3*:2n1",
            "rejected: 1n1:CLOCK_TOO_FAR_AHEAD 3n1:CLOCK_TOO_FAR_AHEAD",
        ],
    );
    all.push(c.end());

    let faults: [(&str, &str, &'static str, Json, &str); 8] = [
        (
            "ack-for-nothing-sent",
            "an ack for a push that was never sent",
            "SES-4",
            accepted(2, 1, 3),
            "UNEXPECTED_MESSAGE",
        ),
        (
            "ack-with-two-entries",
            "two entries for one block",
            "SES-47",
            ack(
                1,
                json!([{ "status": "accepted", "epoch": "7", "first_seq": "1", "last_seq": "2" }, { "status": "accepted", "epoch": "7", "first_seq": "3", "last_seq": "3" }]),
            ),
            "PROTOCOL_ERROR",
        ),
        ("ack-of-too-few", "two seqs for three operations", "SES-47", accepted(1, 1, 2), "PROTOCOL_ERROR"),
        ("ack-of-too-many", "four seqs for three operations", "SES-47", accepted(1, 1, 4), "PROTOCOL_ERROR"),
        (
            "refused-index-too-great",
            "index 3 of a block of three",
            "SES-47",
            refused(1, "300", 3),
            "PROTOCOL_ERROR",
        ),
        (
            "push-answered-by-an-error",
            "a push is answered by an error with request scope",
            "SES-67",
            super::words::error(1, 300, 0),
            "UNEXPECTED_MESSAGE",
        ),
        (
            "push-answered-by-sync-state",
            "a push is answered by a sync state",
            "SES-4",
            message(
                "sync_state",
                1,
                json!({ "head": position(0, 0), "operations": "0", "nodes": "0", "live_records": "0", "collections": "0" }),
            ),
            "UNEXPECTED_MESSAGE",
        ),
        (
            "ack-never-seen-scope",
            "an error with request scope for the push of another connection is ignored",
            "SES-6",
            super::words::error(9, 300, 0),
            "",
        ),
    ];
    for (id, comment, rule, message, code) in faults {
        let mut c = three(id, comment, &[rule]);
        if code.is_empty() {
            c.recv(&message, &[]);
        } else {
            c.script.wait = Some((0, 1_000));
            let expect = [
                format!("error {code}"),
                format!("close {code}"),
                format!("! ended fault:{code}"),
                "reconnect 0..1000".into(),
                "outbox: 1:1n1 2:2n1 3:3n1".into(),
            ];
            c.recv(&message, &expect.iter().map(String::as_str).collect::<Vec<_>>());
        }
        all.push(c.end());
    }
    all.extend(uncertain());
    all.extend(writing());
    all
}

/// Node 1 with operations 8 and 9, of which the relay has taken 8, and a subscription that has not reached
/// the head.
fn uncertain_eight(id: &str, comment: &str, spec: &[&'static str]) -> Client {
    let eight = op(1, 8, 8, "c");
    let mut c = Client::new(id, comment, spec)
        .holds("given", "8")
        .holds("acknowledged", "7")
        .holds("check", "0000000a")
        .holds("clock", "8")
        .holds("outbox", queued(core::slice::from_ref(&eight), "queued"))
        .holds("view", json!({ "c": { record(1): [["f", int(8)]] } }));
    c.subscribe(&[], 100_000, &[]);
    c.open("handshake n1 given 8 seen []");
    let welcome =
        with(with(with(hail(), "mark", "8"), "check", super::words::check(&eight)), "head", position(7, 2));
    c.recv(
        &welcome,
        &["commit", "subscribe #1 1: all from 0 window 100000", "acknowledged: 8", "outbox: 8?:8n1"],
    );
    c
}

fn uncertain() -> Vec<Test> {
    let mut all = Vec::new();
    let other = || with(op(5, 1, 3, "c"), "record", record(2));

    let mut c = uncertain_eight(
        "uncertain-accepted",
        "the ack was lost, and the block had been accepted: the log delivers it, which ends the uncertainty",
        &["SES-21", "SES-22"],
    );
    c.recv(
        &update(1, position(0, 0), position(7, 2), &[(1, &[other()]), (2, &[op(1, 8, 8, "c")])]),
        &[
            "commit",
            "merged: 8",
            "outbox: ",
            "registers: c.1.f=8n1@2 c.2.f=3n5@1",
            "positions: all=7:2",
            "seen: 7:2",
        ],
    );
    c.timeout(1_000, &["update ack 1: 7:2 window 100000"]);
    all.push(c.end());

    let mut c = uncertain_eight(
        "uncertain-refused",
        "the ack was lost, and the block had been refused: the head is reached without it, and it is sent again under a new number with its timestamp",
        &["SES-21", "SES-23"],
    );
    c.recv(
        &update(1, position(0, 0), position(7, 1), &[(1, &[other()])]),
        &["commit", "merged: 3", "registers: c.2.f=3n5@1", "positions: all=7:1", "seen: 7:1"],
    );
    c.recv(
        &update(1, position(7, 1), position(7, 2), &[]),
        &["commit", "push #2 n1 9..9", "given: 9", "outbox: 9*:8n1", "positions: all=7:2", "seen: 7:2"],
    );
    c.recv(&refused(2, "300", 0), &["commit", "acknowledged: 9", "outbox: ", "rejected: 8n1:REFUSED"]);
    all.push(c.end());

    let mut c = uncertain_eight(
        "uncertain-other-timestamp",
        "the log delivers an operation of that number with another timestamp: it is not this one",
        &["SES-22", "SES-23"],
    );
    c.recv(
        &update(1, position(0, 0), position(7, 2), &[(2, &[op(1, 8, 6, "c")])]),
        &[
            "commit",
            "push #2 n1 9..9",
            "given: 9",
            "merged: 6",
            "outbox: 9*:8n1",
            "registers: c.1.f=6n1@2",
            "positions: all=7:2",
            "seen: 7:2",
        ],
    );
    all.push(c.end());

    let mut c = Client::new(
        "rejected-and-delivered",
        "an operation that is on the rejected list is delivered after all",
        &["SES-24"],
    )
    .holds("given", "3")
    .holds("acknowledged", "3")
    .holds("check", "0000000a")
    .holds("clock", "3")
    .holds("rejected", json!([{ "op": op(1, 3, 3, "c"), "code": "REFUSED" }]));
    c.subscribe(&[], 100_000, &[]);
    c.open("handshake n1 given 3 seen []");
    let welcome = with(with(with(hail(), "mark", "3"), "check", "0000000a"), "head", position(7, 1));
    c.recv(&welcome, &["subscribe #1 1: all from 0 window 100000"]);
    let delivered = with(op(5, 1, 3, "c"), "timestamp", timestamp(3, 1));
    c.recv(
        &update(1, position(0, 0), position(7, 1), &[(1, &[delivered])]),
        &["commit", "merged: 3", "rejected: ", "registers: c.1.f=3n1@1", "positions: all=7:1", "seen: 7:1"],
    );
    all.push(c.end());
    all
}

fn writing() -> Vec<Test> {
    let mut all = Vec::new();

    let mut c = Client::new(
        "write-offline",
        "writes without a connection: number and timestamp are durable at once; the view shows them, the durable state does not have them",
        &["SES-17", "SES-35", "SES-36", "SES-40"],
    );
    c.write(&[set(1, 5)], &["commit", "given: 1", "clock: 1", "outbox: 1:1n1"]);
    c.write(
        &[json!({ "kind": "delete", "collection": "c", "record": record(1) })],
        &["commit", "given: 2", "clock: 2", "outbox: 1:1n1 2:2n1"],
    );
    assert_eq!(c.script.state["view"], json!({}));
    all.push(c.end());

    let mut c = active(
        "clock-follows-what-is-merged",
        "a timestamp with counter 41 was merged: the next write has 42",
        &["SES-40"],
    );
    c.subscribe(&[], 100_000, &["subscribe #1 1: all from 0 window 100000"]);
    c.recv(
        &update(1, position(0, 0), position(7, 1), &[(1, &[op(5, 1, 41, "c")])]),
        &["commit", "clock: 41", "merged: 41", "registers: c.1.f=41n5@1", "positions: all=7:1", "seen: 7:1"],
    );
    c.write(&[set(1, 5)], &["commit", "push #2 n1 1..1", "given: 1", "clock: 42", "outbox: 1*:42n1"]);
    all.push(c.end());

    let mut c = Client::new(
        "clock-used-up",
        "no timestamp is left: the write is refused, and nothing changes",
        &["SES-41"],
    )
    .holds("clock", "9007199254740991");
    c.write(&[set(1, 5)], &["refused clock_used_up"]);
    all.push(c.end());

    let mut c = three(
        "abandon",
        "the application drops the second of three writes that are in flight: the client is a new node, so that its numbers have no gap",
        &["SES-55", "SES-104", "SES-26"],
    );
    c.input(
        "abandon",
        timestamp(2, 1),
        &[
            "commit",
            "goodbye 0 0+0",
            "close -",
            "! ended new_node",
            "reconnect 0..0",
            "node: n2",
            "given: 2",
            "untried: true",
            "outbox: 1:1n1 2:3n1",
        ],
    );
    all.push(c.end());

    let mut c = active(
        "increment",
        "increments add up in one total for each base; a set of the field restarts from zero",
        &["SES-36", "MRG-3"],
    );
    let add = |by: i64| json!({ "kind": "increment", "collection": "c", "record": record(1), "field": "f", "by": by.to_string() });
    c.write(&[add(3)], &["commit", "push #1 n1 1..1", "given: 1", "clock: 1", "outbox: 1*:1n1"]);
    c.recv(
        &accepted(1, 1, 1),
        &["commit", "acknowledged: 1", "merged: 1", "outbox: ", "counters: c.1.f+3/never=1n1@1", "seen: 7:1"],
    );
    c.write(&[add(4)], &["commit", "push #2 n1 2..2", "given: 2", "clock: 2", "outbox: 2*:2n1"]);
    c.recv(
        &accepted(2, 2, 2),
        &["commit", "acknowledged: 2", "merged: 2", "outbox: ", "counters: c.1.f+7/never=2n1@2", "seen: 7:2"],
    );
    all.push(c.end());

    let mut c = Client::new("needs-crdt", "an operation that needs crdt waits on a connection without it, and so does all behind it; the application is told", &["SES-105"])
        .holds("given", "2")
        .holds("clock", "2")
        .holds("outbox", queued(&[with(op(1, 1, 1, "c"), "fields", json!([["f", { "type": "removed" }]])), op(1, 2, 2, "c")], "queued"))
        .holds("view", json!({ "c": { record(1): [["f", int(2)]] } }));
    c.open("handshake n1 given 2 seen []");
    c.recv(&with(hail(), "capabilities", json!(["23"])), &["! cannot send 1n1 crdt"]);
    all.push(c.end());
    all
}
