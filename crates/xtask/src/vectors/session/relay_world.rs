//! A relay under test, with a small store that answers what it asks.

use std::collections::{BTreeMap, VecDeque};

use blazedb_relay_conformance::meaning::hex;
use blazedb_relay_conformance::session::Role;
use serde_json::{Value as Json, json};

use super::script::{Script, Test, received};
use super::words::{block_bytes, frame, key, message, node};

/// 2027-01-15T08:00:00Z.
pub const UNIX_MS: u64 = 1_800_000_000_000;

/// Principal and node key.
type Owner = (String, String);

pub struct Relay {
    pub script: Script,
    /// What was asked and has no answer yet.
    asked: VecDeque<Json>,
    /// The log: first seq, operations, block.
    log: Vec<(u64, u64, Vec<u8>)>,
    epochs: Vec<Json>,
    /// Owner, mark and check.
    nodes: BTreeMap<String, (Owner, Json)>,
    pub rights: Json,
    pub valid_until_ms: Json,
    /// The next epoch that is minted.
    next_epoch: u64,
    /// Its restore mode.
    mode: &'static str,
    /// What `store` of the vector says is settled.
    begun: bool,
}

/// The same access to every collection.
pub fn rights(others: &str) -> Json {
    json!({ "others": others, "collections": {} })
}

/// The handshake of node n, for principal ann.
pub fn hello(n: u32) -> Json {
    message(
        "handshake",
        0,
        json!({
            "protocol": "blazedb-relay/1.0",
            "min_version": "256",
            "max_version": "256",
            "database": "app",
            "node": node(n),
            "node_key": key(n),
            "highest_given_out": "0",
            "seen": [],
            "public_key": "",
            "capabilities": ["17", "21", "23"],
            "authentication_method": "1",
            "authentication": hex(b"ann"),
            "limits": [],
        }),
    )
}

impl Relay {
    pub fn new(id: &str, comment: &str, spec: &[&'static str]) -> Self {
        let start = json!({
            "config": {
                "capabilities": ["crdt", "compression", "query"],
                "heartbeat_ms": "30000",
                "push_bytes": "4194304",
                "push_blocks": "1024",
                "subscriptions": "64",
                "requests": "64",
                "operations_per_second": "0",
                "rows": "1000",
                "window": "16777216",
                "connections": "1000",
                "opening": "100",
                "of_one_principal": "100",
                "databases": "10",
                "later_ms": "1000",
                "reconnect_after_ms": "1000",
                "jitter_ms": "30000",
                "database_idle_ms": "600000",
            },
            "unix_ms": UNIX_MS.to_string(),
            "transport": "takes",
            "store": { "head": "0", "epochs": [], "nodes": [], "log": [] },
        });
        Self {
            script: Script::new(Role::Relay, &format!("relay-{id}"), comment, spec, start),
            asked: VecDeque::new(),
            log: Vec::new(),
            epochs: Vec::new(),
            nodes: BTreeMap::new(),
            rights: rights("all"),
            valid_until_ms: Json::Null,
            next_epoch: 1,
            mode: "keep",
            begun: false,
        }
    }

    // Before it begins.

    pub fn config(mut self, key: &str, value: u64) -> Self {
        self.script.start["config"][key] = json!(value.to_string());
        self
    }

    pub fn capabilities(mut self, names: &[&str]) -> Self {
        self.script.start["config"]["capabilities"] = json!(names);
        self
    }

    /// Transports take nothing until that is said.
    pub fn holds(mut self) -> Self {
        self.script.start["transport"] = json!("holds");
        self
    }

    /// The store has this epoch, as the next.
    pub fn epoch(mut self, epoch: u64, begins: u64, mode: &str) -> Self {
        self.epochs
            .push(json!({ "epoch": epoch.to_string(), "begins": begins.to_string(), "restore_mode": mode }));
        self.next_epoch = epoch + 1;
        self
    }

    /// When the log is opened, this epoch is minted.
    pub fn opens(mut self, epoch: u64, mode: &'static str) -> Self {
        self.next_epoch = epoch;
        self.mode = mode;
        self
    }

    /// The store has this block behind the others, of a node of principal `owner`.
    pub fn logged(mut self, owner: &str, block: &Json) -> Self {
        let ops = block["ops"].as_array().unwrap();
        let last = ops.last().unwrap();
        let mark = json!({ "mark": last["node_seq"], "check": super::words::check(last) });
        self.own(owner, block["node"].as_str().unwrap(), mark);
        self.add(&block_bytes(block), ops.len() as u64);
        self
    }

    /// The store has a mark of node n, of principal `owner`.
    pub fn marked(mut self, owner: &str, n: u32, mark: u64, check: &str) -> Self {
        self.own(owner, &node(n), json!({ "mark": mark.to_string(), "check": check }));
        self
    }

    fn own(&mut self, owner: &str, node: &str, mark: Json) {
        let n = u32::from_str_radix(&node[..8], 16).unwrap();
        self.nodes.insert(node.into(), ((owner.into(), key(n)), mark));
    }

    fn add(&mut self, block: &[u8], count: u64) {
        self.log.push((self.head() + 1, count, block.into()));
    }

    fn head(&self) -> u64 {
        self.log.last().map_or(0, |(first, count, _)| first + count - 1)
    }

    fn begin(&mut self) {
        if !core::mem::replace(&mut self.begun, true) {
            let nodes: Vec<_> = self.nodes.iter().map(|(node, ((principal, key), mark))| {
                json!({ "node": node, "principal": principal, "node_key": key, "mark": mark["mark"], "check": mark["check"] })
            }).collect();
            let log: Vec<_> = self
                .log
                .iter()
                .map(|(first, _, bytes)| json!({ "first_seq": first.to_string(), "hex": hex(bytes) }))
                .collect();
            self.script.start["store"] = json!({
                "head": self.head().to_string(), "epochs": self.epochs, "nodes": nodes, "log": log,
            });
        }
    }

    // What happens.

    pub fn input(&mut self, input: Json, expect: &[&str]) -> Vec<Json> {
        self.begin();
        let outputs = self.script.give(input, expect);
        self.note(&outputs);
        outputs
    }

    fn note(&mut self, outputs: &[Json]) {
        let asks = |output: &&Json| output.as_object().unwrap().values().any(|of| !of["ticket"].is_null());
        self.asked.extend(outputs.iter().filter(asks).cloned());
    }

    pub fn open(&mut self, conn: u32, expect: &[&str]) {
        self.input(json!({ "opened": { "conn": conn.to_string(), "framing": "stream" } }), expect);
    }

    pub fn open_messages(&mut self, conn: u32) {
        self.input(json!({ "opened": { "conn": conn.to_string(), "framing": "messages" } }), &[]);
    }

    /// Bytes come.
    pub fn bytes(&mut self, conn: u32, bytes: &[u8], expect: &[&str]) {
        self.input(received(Some(conn), bytes), expect);
    }

    /// One message comes.
    pub fn send(&mut self, conn: u32, message: &Json, expect: &[&str]) {
        self.bytes(conn, &frame(message), expect);
    }

    /// Messages come at once.
    pub fn send_all(&mut self, conn: u32, messages: &[Json], expect: &[&str]) {
        self.bytes(conn, &messages.iter().flat_map(frame).collect::<Vec<u8>>(), expect);
    }

    pub fn closed(&mut self, conn: u32, expect: &[&str]) {
        self.input(json!({ "closed": { "conn": conn.to_string() } }), expect);
    }

    pub fn wait(&mut self, ms: u64) {
        self.script.ms += ms;
    }

    /// Time passes until something happens by itself, at `at`.
    pub fn timeout(&mut self, at: u64, expect: &[&str]) {
        self.begin();
        let outputs = self.script.timeout(at, expect);
        self.note(&outputs);
    }

    /// Answers what was asked first as the store does.
    pub fn answer(&mut self, expect: &[&str]) {
        let asked = self.asked.pop_front().expect("something was asked");
        let input = self.truth(&asked);
        self.input(input, expect);
    }

    /// Answers what was asked first with a failure.
    pub fn fail(&mut self, code: &str, expect: &[&str]) {
        let asked = self.asked.pop_front().expect("something was asked");
        let ticket = asked.as_object().unwrap().values().next().unwrap()["ticket"].clone();
        self.input(json!({ "failed": { "ticket": ticket, "code": code } }), expect);
    }

    /// Answers what was asked first with something else.
    pub fn answer_with(&mut self, kind: &str, fields: Json, expect: &[&str]) {
        let asked = self.asked.pop_front().expect("something was asked");
        let mut of = json!({ "ticket": asked.as_object().unwrap().values().next().unwrap()["ticket"] });
        of.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.input(json!({ kind: of }), expect);
    }

    /// What was asked first is answered last.
    pub fn swap(&mut self) {
        self.asked.rotate_left(1);
    }

    /// Nothing that was asked gets an answer any more.
    pub fn forget(&mut self) {
        self.asked.clear();
    }

    /// The handshake comes, and all is answered up to welcome; what that is has to be `welcome`.
    pub fn greet(&mut self, conn: u32, hello: &Json, welcome: &str) {
        self.greet_with(conn, hello, &[welcome]);
    }

    pub fn greet_with(&mut self, conn: u32, hello: &Json, last: &[&str]) {
        self.send(conn, hello, &[&format!("authorize {conn}")]);
        let n = u32::from_str_radix(&hello["node"].as_str().unwrap()[..8], 16).unwrap();
        let load = format!("load n{n}");
        if self.is_open() {
            self.answer(&[&load]);
        } else {
            self.answer(&["open app"]);
            self.answer(&[&load]);
        }
        self.answer(last);
    }

    /// Whether an epoch of this opening was minted.
    fn is_open(&self) -> bool {
        self.script.start["store"]["epochs"].as_array().map_or(0, Vec::len) < self.epochs.len()
    }

    /// Node n connects with a connection of the same number to a database that is new.
    pub fn join(&mut self, n: u32) {
        self.open(n, &[]);
        let (epochs, head) = (&self.epochs, self.head());
        assert!(epochs.len() <= 1 && head == 0, "say what welcome has to be");
        let mark =
            self.nodes.get(&node(n)).map_or("0", |(_, mark)| mark["mark"].as_str().unwrap()).to_owned();
        self.greet(n, &hello(n), &format!("{n} < welcome [1@0] agreed 0 keep mark {mark} head 0"));
    }

    /// Node n connects like that to a database with that current epoch and head.
    pub fn join_more(&mut self, n: u32, epoch: u64, head: u64) {
        self.open(n, &[]);
        let head = if head == 0 { "0".into() } else { format!("{epoch}:{head}") };
        self.greet(n, &hello(n), &format!("{n} < welcome [{epoch}@0] agreed 0 keep mark 0 head {head}"));
    }

    fn truth(&mut self, asked: &Json) -> Json {
        let (kind, of) = asked.as_object().unwrap().iter().next().unwrap();
        let ticket = &of["ticket"];
        match kind.as_str() {
            "authorize" => {
                let token = blazedb_relay_conformance::meaning::unhex(of["authentication"].as_str().unwrap())
                    .unwrap();
                let principal = String::from_utf8(token).unwrap();
                json!({ "authorized": {
                    "ticket": ticket,
                    "principal": principal,
                    "rights": self.rights,
                    "valid_until_ms": self.valid_until_ms,
                } })
            }
            "open_database" => {
                self.mint(self.mode);
                json!({ "database_opened": { "ticket": ticket, "head": self.head().to_string(), "epochs": self.epochs } })
            }
            "load_node" => {
                let claim = match self.nodes.get(of["node"].as_str().unwrap()) {
                    None => json!({ "mark": "0", "check": "00000000" }),
                    Some(((principal, key), mark))
                        if of["principal"] == **principal && of["node_key"] == **key =>
                    {
                        mark.clone()
                    }
                    Some(_) => json!("not_yours"),
                };
                json!({ "node_loaded": { "ticket": ticket, "claim": claim } })
            }
            "append" => {
                let first_seq = self.head() + 1;
                for node in of["nodes"].as_array().unwrap() {
                    let name = node["node"].as_str().unwrap();
                    let none = json!({ "mark": "0", "check": "00000000" });
                    let known = self.nodes.get(name);
                    assert_eq!(known.map_or(&none, |(_, mark)| mark), &node["builds_on"], "RLY-6");
                    let owner = node["owner"].as_object().map(|owner| {
                        (
                            owner["principal"].as_str().unwrap().to_owned(),
                            owner["node_key"].as_str().unwrap().to_owned(),
                        )
                    });
                    let owner = owner.or_else(|| known.map(|(owner, _)| owner.clone())).unwrap();
                    self.nodes.insert(name.into(), (owner, node["becomes"].clone()));
                    for block in node["blocks"].as_array().unwrap() {
                        let bytes = blazedb_relay_conformance::meaning::unhex(block["hex"].as_str().unwrap())
                            .unwrap();
                        self.add(&bytes, block["count"].as_str().unwrap().parse().unwrap());
                    }
                }
                json!({ "appended": { "ticket": ticket, "first_seq": first_seq.to_string() } })
            }
            "read" => {
                let after: u64 = of["after"].as_str().unwrap().parse().unwrap();
                let blocks: Vec<_> = self
                    .log
                    .iter()
                    .filter(|(first, count, _)| first + count - 1 > after)
                    .map(|(first, _, bytes)| json!({ "first_seq": first.to_string(), "hex": hex(bytes) }))
                    .collect();
                json!({ "blocks_read": { "ticket": ticket, "blocks": blocks } })
            }
            "mint_epoch" => {
                let epoch = self.mint("keep");
                json!({ "epoch_minted": with_ticket(ticket, epoch) })
            }
            "count_state" => json!({ "state_counted": {
                "ticket": ticket, "seq": self.head().to_string(), "operations": self.head().to_string(),
                "nodes": self.nodes.len().to_string(), "live_records": "1", "collections": "1",
            } }),
            other => panic!("the store does not answer {other}"),
        }
    }

    pub fn mint(&mut self, mode: &str) -> Json {
        let epoch = json!({ "epoch": self.next_epoch.to_string(), "begins": self.head().to_string(), "restore_mode": mode });
        self.next_epoch += 1;
        self.epochs.push(epoch.clone());
        epoch
    }

    pub fn end(self) -> Test {
        self.script.end()
    }
}

fn with_ticket(ticket: &Json, mut of: Json) -> Json {
    of["ticket"] = ticket.clone();
    of
}
