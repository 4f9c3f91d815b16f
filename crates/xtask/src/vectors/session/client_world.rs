//! A client under test.

use blazedb_relay_conformance::session::Role;
use serde_json::{Value as Json, json};

use super::script::{Script, Test, received};
use super::words::{frame, int, key, message, node, position, record};

pub struct Client {
    pub script: Script,
}

/// A welcome to a log without operations, of epoch 7, for a node that had no block taken.
pub fn hail() -> Json {
    message(
        "welcome",
        0,
        json!({
            "version": "256",
            "capabilities": ["17", "23"],
            "epochs": [{ "epoch": "7", "begins": "0" }],
            "agreed": position(0, 0),
            "restore_mode": "keep",
            "mark": "0",
            "check": "00000000",
            "head": position(0, 0),
            "limits": [],
            "heartbeat_interval": "3600000",
            "relay_time": "0",
        }),
    )
}

fn identity(n: u32) -> Json {
    json!({ "node": node(n), "node_key": key(n) })
}

/// The update of field f of a record of collection c.
pub fn set(n: u32, value: i64) -> Json {
    json!({ "kind": "update", "collection": "c", "record": record(n), "fields": [["f", int(value)]] })
}

/// A register of the durable state: field f of record n of collection c, written by node `by`.
pub fn register(n: u32, counter: u64, by: u32, seq: u64) -> Json {
    json!({
        "collection": "c", "record": record(n), "path": ["f"],
        "timestamp": { "counter": counter.to_string(), "node": node(by) },
        "seq": seq.to_string(),
        "value": int(i64::try_from(counter).unwrap()),
    })
}

/// Operations in the outbox.
pub fn queued(ops: &[Json], state: &str) -> Vec<Json> {
    ops.iter().map(|op| json!({ "op": op, "state": state })).collect()
}

/// A position of a set of collections.
pub fn read_to(collections: &[&str], position: Json) -> Json {
    json!({ "collections": collections, "position": position })
}

impl Client {
    /// A client that was just installed, node 1. It becomes nodes 2, 3 and 4 if it has to.
    pub fn new(id: &str, comment: &str, spec: &[&'static str]) -> Self {
        let start = json!({
            "config": {
                "database": "app",
                "authentication_method": "0",
                "authentication": "",
                "capabilities": ["17", "23"],
                "update_bytes": "1048576",
            },
            "identities": [identity(2), identity(3), identity(4)],
            "state": {
                "node": node(1), "node_key": key(1), "given": "0", "acknowledged": "0", "check": "00000000",
                "clock": "0", "merged": "0", "untried": false, "stopped": null, "outbox": [], "rejected": [],
                "registers": [], "counters": [], "positions": [], "seen": [], "view": {},
            },
        });
        Self { script: Script::new(Role::Client, &format!("client-{id}"), comment, spec, start) }
    }

    // Before it begins.

    pub fn holds(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.script.start["state"][key] = value.into();
        self
    }

    pub fn config(mut self, key: &str, value: impl Into<Json>) -> Self {
        self.script.start["config"][key] = value.into();
        self
    }

    // What happens.

    pub fn input(&mut self, kind: &str, of: Json, expect: &[&str]) {
        self.script.give(json!({ kind: of }), expect);
    }

    /// The transport opens, and this handshake is sent.
    pub fn open(&mut self, handshake: &str) {
        self.input("opened", json!({}), &[handshake]);
    }

    /// A message of the relay comes.
    pub fn recv(&mut self, message: &Json, expect: &[&str]) {
        self.bytes(&frame(message), expect);
    }

    pub fn bytes(&mut self, bytes: &[u8], expect: &[&str]) {
        self.script.give(received(None, bytes), expect);
    }

    /// A message comes at which the client closes with that code.
    pub fn faults(&mut self, message: &Json, code: &str) {
        self.bytes_fault(&frame(message), code);
    }

    pub fn bytes_fault(&mut self, bytes: &[u8], code: &str) {
        self.script.wait = Some((0, 1_000));
        let expect = fault(code);
        self.bytes(bytes, &expect.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// The same, and a request that is under way is told about.
    pub fn faults_answering(&mut self, message: &Json, code: &str, answer: &str) {
        self.script.wait = Some((0, 1_000));
        let mut expect = fault(code).to_vec();
        expect.insert(2, answer.into());
        self.recv(message, &expect.iter().map(String::as_str).collect::<Vec<_>>());
    }

    /// A message comes that ends the connection, after which the client waits from..to.
    pub fn ends(&mut self, message: &Json, (from, to): (u64, u64), expect: &[&str]) {
        self.script.wait = Some((from, to));
        self.recv(message, expect);
    }

    pub fn write(&mut self, writes: &[Json], expect: &[&str]) {
        self.input("write", json!({ "writes": writes }), expect);
    }

    pub fn subscribe(&mut self, collections: &[&str], window: u64, expect: &[&str]) {
        self.input("subscribe", json!({ "collections": collections, "window": window.to_string() }), expect);
    }

    pub fn wait(&mut self, ms: u64) {
        self.script.ms += ms;
    }

    pub fn timeout(&mut self, at: u64, expect: &[&str]) {
        self.script.timeout(at, expect);
    }

    /// A timer ends at `at`, and the client closes with that code.
    pub fn timeout_fault(&mut self, at: u64, code: &str) {
        self.script.wait = Some((0, 1_000));
        let expect = fault(code);
        self.timeout(at, &expect.iter().map(String::as_str).collect::<Vec<_>>());
    }

    pub fn end(self) -> Test {
        self.script.end()
    }
}

fn fault(code: &str) -> [String; 4] {
    [
        format!("error {code}"),
        format!("close {code}"),
        format!("! ended fault:{code}"),
        "reconnect 0..1000".into(),
    ]
}
