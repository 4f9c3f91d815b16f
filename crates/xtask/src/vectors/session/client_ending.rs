//! A client's timers and endings.

use serde_json::json;

use super::client_reading::{ONE, one, reader, zero};
use super::client_session::{active, update};
use super::client_world::{Client, hail, queued, set};
use super::script::Test;
use super::words::{error, frame, goodbye, int, op, ping, pong, position, record, with};

pub fn timers() -> Vec<Test> {
    let mut all = Vec::new();
    let with_heartbeat = |id: &str, comment: &str, spec: &[&'static str]| {
        let mut c = Client::new(id, comment, spec);
        c.open("handshake n1 given 0 seen []");
        c.recv(&with(hail(), "heartbeat_interval", "30000"), &[]);
        c
    };

    let mut c = with_heartbeat(
        "heartbeat-and-idle",
        "nothing is heard: a ping for each 30 s, and after 90 s it is over",
        &["SES-7"],
    );
    c.timeout(30_000, &["ping"]);
    c.timeout(60_000, &["ping"]);
    c.timeout_fault(90_000, "IDLE_TIMEOUT");
    all.push(c.end());

    let mut c = with_heartbeat(
        "one-byte-is-life",
        "one byte of a frame that is not whole moves both timers",
        &["SES-8"],
    );
    c.wait(29_000);
    c.bytes(&frame(&ping(7))[..1], &[]);
    c.timeout(59_000, &["ping"]);
    c.wait(1_000);
    c.bytes(&frame(&ping(7))[1..], &["pong 7"]);
    c.timeout(90_000, &["ping"]);
    all.push(c.end());

    let mut c = with_heartbeat("pong-not-asked-for", "a pong that nobody asked for is ignored", &["SES-10"]);
    c.recv(&pong(99), &[]);
    all.push(c.end());

    let mut c = active("ping", "a ping is answered with its nonce", &["SES-9"]);
    c.recv(&ping(u64::MAX), &["pong 18446744073709551615"]);
    all.push(c.end());
    all
}

pub fn endings() -> Vec<Test> {
    let mut all = Vec::new();

    for (id, reason, comment, expect) in [
        (
            "goodbye-restarting",
            1,
            "the relay goes down: back after the time given and a random part of the jitter",
            "reconnect 5000..15000",
        ),
        ("goodbye-idle", 3, "nothing to do: back when there is", "reconnect when needed 5000..15000"),
        ("goodbye-unknown-reason", 99, "an unknown reason is treated as 0", "reconnect 5000..15000"),
    ] {
        let mut c = active(id, comment, &["SES-98", "SES-101"]);
        c.ends(&goodbye(reason, 5_000, 10_000), (5_000, 15_000), &["close -", "! ended goodbye", expect]);
        all.push(c.end());
    }

    let mut c = Client::new("goodbye-before-welcome", "goodbye instead of welcome", &["SES-98"]);
    c.open("handshake n1 given 0 seen []");
    c.ends(
        &goodbye(2, 60_000, 0),
        (60_000, 60_000),
        &["close -", "! ended goodbye", "reconnect 60000..60000"],
    );
    all.push(c.end());

    let mut c = active(
        "close",
        "the application ends it: goodbye, and the transport is closed after 5 s if the relay does not",
        &["SES-96", "SES-7", "SES-94"],
    );
    c.input("close", json!({}), &["goodbye 0 0+0"]);
    c.recv(&ping(1), &[]);
    c.timeout(5_000, &["close -", "! ended ordered", "reconnect on order"]);
    all.push(c.end());

    let mut c = Client::new(
        "welcome-behind-goodbye",
        "the application ends it before welcome came: that is ignored then, and settles nothing",
        &["SES-106", "SES-1", "SES-94"],
    );
    c.write(&[set(1, 5)], &["commit", "given: 1", "clock: 1", "outbox: 1:1n1"]);
    c.open("handshake n1 given 1 seen []");
    c.input("close", json!({}), &["goodbye 0 0+0"]);
    c.recv(&hail(), &[]);
    c.timeout(5_000, &["close -", "! ended ordered", "reconnect on order"]);
    all.push(c.end());

    let mut c = active(
        "close-waits-for-acks",
        "the application ends it while a push is in flight: goodbye after its ack",
        &["SES-96"],
    );
    c.write(&[set(1, 5)], &["commit", "push #1 n1 1..1", "given: 1", "clock: 1", "outbox: 1*:1n1"]);
    c.input("close", json!({}), &[]);
    c.recv(
        &super::client_session::accepted(1, 1, 1),
        &[
            "commit",
            "goodbye 0 0+0",
            "acknowledged: 1",
            "merged: 1",
            "outbox: ",
            "registers: c.1.f=1n1@1",
            "seen: 7:1",
        ],
    );
    c.input("closed", json!({}), &["! ended ordered", "reconnect on order"]);
    all.push(c.end());

    let mut c = reader(
        "update-while-draining",
        "an update that was on the way is still applied, but not acknowledged after goodbye",
        &["SES-2", "SES-79", "SES-94"],
    );
    c.input("close", json!({}), &["goodbye 0 0+0"]);
    c.recv(&update(1, zero(), position(7, 1), &[(1, &[one(1)])]), &ONE);
    c.timeout(5_000, &["close -", "! ended ordered", "reconnect on order"]);
    all.push(c.end());

    for (code, number) in [("UNAUTHENTICATED", 401), ("TOKEN_EXPIRED", 402)] {
        let slug = code.to_lowercase().replace('_', "-");
        let mut c = Client::new(
            &slug,
            "the credentials are not good: not again without an order; the outbox stays",
            &["SES-93", "SES-101", "SES-55"],
        );
        c.write(&[set(1, 5)], &["commit", "given: 1", "clock: 1", "outbox: 1:1n1"]);
        c.open("handshake n1 given 1 seen []");
        c.recv(
            &error(0, number, 0),
            &[&format!("close {code}"), &format!("! ended refused:{code}"), "reconnect on order"],
        );
        all.push(c.end());
    }

    for (code, number) in [
        ("VERSION_NOT_SUPPORTED", 202),
        ("CAPABILITY_REQUIRED", 203),
        ("LIMIT_NOT_SUPPORTED", 204),
        ("FORBIDDEN", 403),
        ("UNKNOWN_DATABASE", 404),
    ] {
        let slug = format!("refused-{}", code.to_lowercase().replace('_', "-"));
        let mut c = Client::new(
            &slug,
            "a refusal that does not pass by itself: not again within 10 minutes",
            &["SES-100", "SES-101"],
        );
        c.open("handshake n1 given 0 seen []");
        c.recv(
            &error(0, number, 0),
            &[&format!("close {code}"), &format!("! ended refused:{code}"), "reconnect 600000..600000"],
        );
        all.push(c.end());
    }

    let mut c = Client::new("overloaded", "the relay says when to come back", &["SES-99"]);
    c.open("handshake n1 given 0 seen []");
    c.recv(
        &error(0, 603, 7_000),
        &["close OVERLOADED", "! ended refused:OVERLOADED", "reconnect 7000..7000"],
    );
    all.push(c.end());

    let mut c = Client::new(
        "error-unknown-code",
        "an unknown code of connection scope ends it as any failure",
        &["ERR-3", "SES-5", "SES-99"],
    );
    c.open("handshake n1 given 0 seen []");
    c.ends(
        &error(0, 999, 0),
        (0, 1_000),
        &["close INTERNAL_ERROR", "! ended refused:INTERNAL_ERROR", "reconnect 0..1000"],
    );
    all.push(c.end());

    let mut c = Client::new(
        "backoff",
        "each failure doubles the longest wait, up to a minute; after a minute in C3 it is a second again",
        &["SES-99"],
    );
    for longest in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
        c.script.wait = Some((0, longest));
        c.input("closed", json!({}), &["! ended transport", &format!("reconnect 0..{longest}")]);
        c.input("connect", json!({}), &[]);
    }
    c.open("handshake n1 given 0 seen []");
    c.recv(&hail(), &[]);
    c.wait(60_000);
    c.script.wait = Some((0, 1_000));
    c.input("closed", json!({}), &["! ended transport", "reconnect 0..1000"]);
    all.push(c.end());

    let mut c = active(
        "bytes-damaged",
        "a bit of the checksum is wrong: nothing of the frame has an effect",
        &["ERR-1", "ERR-2"],
    );
    let mut bytes = frame(&ping(1));
    *bytes.last_mut().unwrap() ^= 1;
    c.bytes_fault(&bytes, "BAD_CHECKSUM");
    all.push(c.end());

    let mut c = Client::new(
        "transport-ends-with-a-push-in-flight",
        "the transport ends: outbox, positions and state stay as they are, and the same is sent again",
        &["SES-101", "SES-55"],
    )
    .holds("given", "1")
    .holds("clock", "1")
    .holds("outbox", queued(&[op(1, 1, 1, "c")], "queued"))
    .holds("view", json!({ "c": { record(1): [["f", int(1)]] } }));
    c.open("handshake n1 given 1 seen []");
    c.recv(&hail(), &["push #1 n1 1..1", "outbox: 1*:1n1"]);
    c.script.wait = Some((0, 1_000));
    c.input("closed", json!({}), &["! ended transport", "reconnect 0..1000", "outbox: 1:1n1"]);
    c.input("connect", json!({}), &[]);
    c.open("handshake n1 given 1 seen []");
    c.recv(&hail(), &["push #1 n1 1..1", "outbox: 1*:1n1"]);
    all.push(c.end());
    all
}
