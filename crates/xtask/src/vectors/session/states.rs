//! Every message in every state: the cells of the table in SPEC.md 10.1 that no other transcript has.

use serde_json::{Value as Json, json};

use super::client_world::{Client, hail};
use super::relay_world::{Relay, hello};
use super::script::Test;
use super::words::{
    error, goodbye, message, ops_in, ping, pong, position, pull, push, query, subscribe, update_ack,
};

/// One of each message, by name.
fn messages() -> Vec<(&'static str, Json)> {
    let zero = position(0, 0);
    let page = json!({ "next": zero, "has_more": false, "first_seqs": [], "blocks": [] });
    let update =
        json!({ "subscription": "1", "previous": zero, "new": zero, "first_seqs": [], "blocks": [] });
    let rows = json!({ "at": zero, "columns": "1", "rows": [], "cursor": "" });
    let credentials = json!({ "method": "1", "authentication": "616e6e" });
    vec![
        ("handshake", hello(1)),
        ("welcome", hail()),
        ("sync-state-request", message("sync_state_request", 1, json!({}))),
        ("sync-state", state(1)),
        ("pull-request", pull(1, zero.clone(), &[], 0)),
        ("pull-response", message("pull_response", 1, page)),
        ("push", push(1, &[ops_in(1, 1, &["a"])])),
        ("push-ack", message("push_ack", 1, json!({ "entries": [{ "status": "later", "wait": "0" }] }))),
        ("subscribe", subscribe(1, zero.clone(), 1_000, &[])),
        ("unsubscribe", message("unsubscribe", 0, json!({ "subscription": "1" }))),
        ("update", message("update", 0, update)),
        ("update-ack", update_ack(1, zero.clone(), 1_000)),
        ("query", query(1, "a", zero)),
        ("query-response", message("query_response", 1, rows)),
        ("authenticate", message("authenticate", 1, credentials)),
        ("authenticate-ack", message("authenticate_ack", 1, json!({ "valid_for": "0" }))),
        ("ping", ping(1)),
        ("pong", pong(1)),
        ("error", error(0, 603, 0)),
        ("goodbye", goodbye(0, 0, 0)),
    ]
}

fn state(id: u32) -> Json {
    let numbers = json!({
        "head": position(0, 0), "operations": "0", "nodes": "0", "live_records": "0", "collections": "0",
    });
    message("sync_state", id, numbers)
}

/// With which code an end closes that takes no such message before welcome: what needs a capability is
/// refused by the decoder, since none was agreed on (MSG-7).
fn code_before_welcome(name: &str) -> (&'static str, &'static str) {
    match name {
        "query" | "query-response" => ("NOT_NEGOTIATED", "MSG-7"),
        _ => ("UNEXPECTED_MESSAGE", "SES-2"),
    }
}

pub fn relay() -> Vec<Test> {
    let mut all = Vec::new();
    for (state, place) in [("r1", "before the handshake"), ("r2", "between handshake and welcome")] {
        for (name, message) in messages() {
            if (state, name) == ("r1", "handshake") {
                continue;
            }
            let (code, rule) = code_before_welcome(name);
            let comment = format!("{} {place}", name.replace('-', " "));
            let rules = match name {
                "error" => &["SES-5"][..],
                "goodbye" => &["SES-97"],
                _ => &[rule],
            };
            let mut w = Relay::new(&format!("{state}-{name}"), &comment, rules);
            w.open(1, &[]);
            if state == "r2" {
                w.send(1, &hello(1), &["authorize 1"]);
            }
            match name {
                "error" | "goodbye" => w.send(1, &message, &["1 closed done"]),
                _ => {
                    w.send(1, &message, &[&format!("1 < error {code}"), &format!("1 closed {code}")]);
                }
            }
            all.push(w.end());
        }
    }
    let mut w = Relay::new(
        "r4-every-message",
        "behind its own goodbye a relay looks at no message, whatever it is",
        &["SES-3", "SES-94"],
    );
    w.join(1);
    w.input(json!({ "shutdown": {} }), &["1 < goodbye 1 1000+30000"]);
    for (_, message) in messages() {
        w.send(1, &message, &[]);
    }
    w.timeout(5_000, &["1 closed going_down"]);
    all.push(w.end());
    all
}

pub fn client() -> Vec<Test> {
    let mut all = Vec::new();
    for (name, message) in messages() {
        if matches!(name, "welcome" | "error" | "goodbye") {
            continue;
        }
        let (code, rule) = code_before_welcome(name);
        let comment = format!("{} instead of welcome", name.replace('-', " "));
        let mut c = Client::new(&format!("c1-{name}"), &comment, &[rule]);
        c.open("handshake n1 given 0 seen []");
        c.faults(&message, code);
        all.push(c.end());
    }
    for (name, message) in messages() {
        let comment =
            format!("{} while the client waits for the end, with nothing under way", name.replace('-', " "));
        let rules: &[&str] = match name {
            "welcome" => &["SES-106"],
            "ping" | "pong" => &["SES-94", "SES-10"],
            "error" => &["SES-5"],
            "goodbye" => &["SES-98"],
            "update" => &["SES-85"],
            "sync-state" | "pull-response" | "push-ack" | "query-response" | "authenticate-ack" => &["SES-4"],
            _ => &["SES-2"],
        };
        let mut c = Client::new(&format!("c4-{name}"), &comment, rules);
        c.open("handshake n1 given 0 seen []");
        c.recv(&hail(), &[]);
        c.input("close", json!({}), &["goodbye 0 0+0"]);
        match name {
            "welcome" | "ping" | "pong" => c.recv(&message, &[]),
            "goodbye" => c.recv(&message, &["close -", "! ended ordered", "reconnect on order"]),
            "error" => {
                c.recv(&message, &["close OVERLOADED", "! ended refused:OVERLOADED", "reconnect on order"]);
            }
            _ => c.recv(
                &message,
                &["close UNEXPECTED_MESSAGE", "! ended fault:UNEXPECTED_MESSAGE", "reconnect on order"],
            ),
        }
        all.push(c.end());
    }
    let mut c = Client::new(
        "c4-answers",
        "answers to what was asked before goodbye are still taken; to what has its answer there is none",
        &["SES-2", "SES-4", "SES-94"],
    );
    c.open("handshake n1 given 0 seen []");
    c.recv(&hail(), &[]);
    c.input("sync_state", json!({ "ticket": "1" }), &["sync state request #1"]);
    c.input("close", json!({}), &["goodbye 0 0+0"]);
    c.recv(&state(1), &["! answered 1 head:epoch:0,seq:0,operations:0,nodes:0,live_records:0,collections:0"]);
    c.recv(
        &state(1),
        &["close UNEXPECTED_MESSAGE", "! ended fault:UNEXPECTED_MESSAGE", "reconnect on order"],
    );
    all.push(c.end());
    all
}
