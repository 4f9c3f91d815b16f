//! What stands in transcripts: nodes, operations, blocks, messages; and outputs in words.

use blazedb_relay_conformance::meaning::{Context, Target, encode, hex};
use serde_json::{Value as Json, json};

/// Node number n.
pub fn node(n: u32) -> String {
    format!("{n:08x}-0000-4000-8000-{n:012x}")
}

/// The key of node number n.
pub fn key(n: u32) -> String {
    format!("{n:032x}")
}

/// Record number n.
pub fn record(n: u32) -> String {
    format!("{n:08x}-0000-4000-9000-{n:012x}")
}

pub fn position(epoch: u64, seq: u64) -> Json {
    json!({ "epoch": epoch.to_string(), "seq": seq.to_string() })
}

pub fn timestamp(counter: u64, n: u32) -> Json {
    json!({ "counter": counter.to_string(), "node": node(n) })
}

pub fn int(value: i64) -> Json {
    json!({ "type": "int", "value": value.to_string() })
}

/// Operation `seq` that node n delivers and wrote with `counter`: an update of field f of record 1 in
/// `collection` to the number of its counter.
pub fn op(n: u32, seq: u64, counter: u64, collection: &str) -> Json {
    json!({
        "node": node(n),
        "node_seq": seq.to_string(),
        "timestamp": timestamp(counter, n),
        "kind": "update",
        "record": record(1),
        "collection": collection,
        "previous": null,
        "fields": [["f", int(i64::try_from(counter).unwrap())]],
    })
}

/// The same with something else under a key.
pub fn with(mut json: Json, key: &str, value: impl Into<Json>) -> Json {
    json[key] = value.into();
    json
}

/// The CRC-32 that closes an operation, in hex.
pub fn check(op: &Json) -> String {
    let bytes = encode(Target::Op, op, &Context::default()).unwrap();
    hex(&bytes[bytes.len() - 4..])
}

/// A block of operations that are whole and in order.
pub fn block(ops: &[Json]) -> Json {
    json!({
        "encoding": "rows", "compressed": false, "holes": false,
        "node": ops[0]["node"],
        "first_node_seq": ops[0]["node_seq"],
        "span": ops.len().to_string(),
        "ops": ops,
    })
}

/// A block of operations that node n wrote, in these collections, with counters equal to the numbers.
pub fn ops_in(n: u32, first: u64, collections: &[&str]) -> Json {
    let ops: Vec<_> = (first..).zip(collections).map(|(seq, name)| op(n, seq, seq, name)).collect();
    block(&ops)
}

pub fn block_bytes(block: &Json) -> Vec<u8> {
    encode(Target::Block, block, &Context::default()).unwrap()
}

/// The ids of operations, as a push's check wants them (SPEC.md 3.4).
fn ids_check(blocks: &[Json]) -> String {
    let mut hasher = crc32fast::Hasher::new();
    for op in blocks.iter().flat_map(|block| block["ops"].as_array().unwrap()) {
        let seq: u64 = op["node_seq"].as_str().unwrap().parse().unwrap();
        let node = op["node"].as_str().unwrap().replace('-', "");
        let mut id = seq.to_be_bytes()[2..].to_vec();
        id.extend((6..16).map(|at| u8::from_str_radix(&node[2 * at..2 * at + 2], 16).unwrap()));
        id[6] = id[6] & 0x0f | 0x80;
        hasher.update(&id);
    }
    format!("{:08x}", hasher.finalize())
}

pub fn frame(message: &Json) -> Vec<u8> {
    match encode(Target::Message, message, &Context::default()) {
        Ok(frame) => frame,
        Err(refusal) => panic!("{refusal}: {message}"),
    }
}

/// A message: its type, request id and fields.
pub fn message(kind: &str, id: u32, fields: Json) -> Json {
    let mut json = json!({ "type": kind, "request_id": id.to_string(), "more": false });
    let all = json.as_object_mut().unwrap();
    all.extend(fields.as_object().unwrap().clone());
    all.insert("extensions".into(), json!([]));
    json
}

pub fn push(id: u32, blocks: &[Json]) -> Json {
    message("push", id, json!({ "ids_check": ids_check(blocks), "blocks": blocks }))
}

/// The same frame, which has one block of rows, with that compressed (SPEC.md 6.4).
pub fn lz4(frame: &[u8]) -> Vec<u8> {
    let fields = u32::from_be_bytes(frame[8..12].try_into().unwrap()) as usize;
    let at = 16 + fields + 4;
    let (head, block) = frame.split_at(at);
    let mut payload = u32::try_from(block.len() - 36).unwrap().to_be_bytes().to_vec();
    payload.extend(lz4_flex::block::compress(&block[36..]));
    let mut block = block[..32].to_vec();
    block[1] |= 1;
    block[28..32].copy_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    block.extend(crc32fast::hash(&block).to_be_bytes());
    block.extend(payload);
    let mut head = head.to_vec();
    head[12..16].copy_from_slice(&u32::try_from(block.len()).unwrap().to_be_bytes());
    let checksum = crc32fast::hash(&head[..at - 4]).to_be_bytes();
    head[at - 4..].copy_from_slice(&checksum);
    head.extend(block);
    head
}

pub fn subscribe(number: u32, from: Json, window: u64, collections: &[&str]) -> Json {
    message(
        "subscribe",
        number,
        json!({
            "subscription": number.to_string(),
            "from": from,
            "window": window.to_string(),
            "collections": collections,
        }),
    )
}

pub fn update_ack(number: u32, position: Json, window: u64) -> Json {
    message(
        "update_ack",
        0,
        json!({
            "subscription": number.to_string(), "position": position, "window": window.to_string(),
        }),
    )
}

pub fn pull(id: u32, from: Json, collections: &[&str], max_operations: u32) -> Json {
    message(
        "pull_request",
        id,
        json!({
            "from": from,
            "collections": collections,
            "max_operations": max_operations.to_string(),
            "max_bytes": "0",
        }),
    )
}

pub fn error(id: u32, code: u16, retry_after: u32) -> Json {
    message(
        "error",
        id,
        json!({
            "code": code.to_string(),
            "scope": if id == 0 { "connection" } else { "request" },
            "retry_after": retry_after.to_string(),
            "text": "why",
        }),
    )
}

pub fn goodbye(reason: u16, after: u32, jitter: u32) -> Json {
    message(
        "goodbye",
        0,
        json!({
            "reason": reason.to_string(), "reconnect_after": after.to_string(), "jitter": jitter.to_string(),
        }),
    )
}

pub fn ping(nonce: u64) -> Json {
    message("ping", 0, json!({ "nonce": nonce.to_string() }))
}

pub fn pong(nonce: u64) -> Json {
    message("pong", 0, json!({ "nonce": nonce.to_string() }))
}

pub fn query(id: u32, collection: &str, after: Json) -> Json {
    message(
        "query",
        id,
        json!({
            "collection": collection, "after": after, "joins": [], "filter": { "op": "all" }, "group_by": [],
            "aggregates": [], "projection": [], "sort": [], "limit": "0", "cursor": "",
        }),
    )
}

// Outputs in words.

fn s<'a>(json: &'a Json, key: &str) -> &'a str {
    json[key].as_str().unwrap_or("?")
}

/// Node number n as `nN`.
pub fn show_node(json: &Json) -> String {
    let text = json.as_str().unwrap_or_default();
    u32::from_str_radix(text.get(..8).unwrap_or_default(), 16)
        .map_or_else(|_| "?".into(), |n| format!("n{n}"))
}

pub fn show_position(json: &Json) -> String {
    if s(json, "seq") == "0" && s(json, "epoch") == "0" {
        "0".into()
    } else {
        format!("{}:{}", s(json, "epoch"), s(json, "seq"))
    }
}

pub fn show_timestamp(json: &Json) -> String {
    if s(json, "counter") == "0" {
        "never".into()
    } else {
        format!("{}{}", s(json, "counter"), show_node(&json["node"]))
    }
}

fn names(json: &Json) -> String {
    let names: Vec<_> = json.as_array().into_iter().flatten().filter_map(Json::as_str).collect();
    if names.is_empty() { "all".into() } else { names.join("+") }
}

/// The name of an error code.
fn code(json: &Json) -> &'static str {
    let code = json.as_str().and_then(|code| code.parse().ok()).unwrap_or(0);
    blazedb_relay_conformance::session::error_name(code)
}

/// `[1:3 4:1/2]`: a block of three operations at seq 1; one at seq 4 that has one of two.
fn log_blocks(json: &Json) -> String {
    let seqs = json["first_seqs"].as_array().into_iter().flatten();
    let one = |(seq, block): (&Json, &Json)| {
        let count = block["ops"].as_array().map_or(0, Vec::len);
        let span = if block["holes"] == true { format!("/{}", s(block, "span")) } else { String::new() };
        let lz4 = if block["compressed"] == true { "z" } else { "" };
        format!("{}:{count}{span}{lz4}", seq.as_str().unwrap_or("?"))
    };
    let blocks = json["blocks"].as_array().into_iter().flatten();
    format!("[{}]", seqs.zip(blocks).map(one).collect::<Vec<_>>().join(" "))
}

/// A message in words.
pub fn show_message(m: &Json) -> String {
    let id = match s(m, "request_id") {
        "0" => String::new(),
        id => format!(" #{id}"),
    };
    let kind = s(m, "type");
    match kind {
        "handshake" => {
            let seen: Vec<_> = m["seen"].as_array().unwrap().iter().map(show_position).collect();
            format!(
                "handshake {} given {} seen [{}]",
                show_node(&m["node"]),
                s(m, "highest_given_out"),
                seen.join(" ")
            )
        }
        "welcome" => {
            let epochs: Vec<_> = m["epochs"]
                .as_array()
                .unwrap()
                .iter()
                .map(|e| format!("{}@{}", s(e, "epoch"), s(e, "begins")))
                .collect();
            let (agreed, head) = (show_position(&m["agreed"]), show_position(&m["head"]));
            format!(
                "welcome [{}] agreed {agreed} {} mark {} head {head}",
                epochs.join(" "),
                s(m, "restore_mode"),
                s(m, "mark")
            )
        }
        "sync_state" => format!("sync state{id} {} {}", show_position(&m["head"]), s(m, "operations")),
        "pull_response" => {
            let more = if m["has_more"] == true { " more" } else { "" };
            format!("page{id} {}{more} {}", show_position(&m["next"]), log_blocks(m))
        }
        "push_ack" => {
            let entry = |e: &Json| match s(e, "status") {
                "accepted" => format!("{}-{}:{}", s(e, "first_seq"), s(e, "epoch"), s(e, "last_seq")),
                "refused" => format!("{} {}", code(&e["code"]), s(e, "index")),
                _ => format!("later {}", s(e, "wait")),
            };
            let entries: Vec<_> = m["entries"].as_array().unwrap().iter().map(entry).collect();
            format!("ack{id} {}", entries.join(", "))
        }
        "update" => format!(
            "update {}: {} -> {} {}",
            s(m, "subscription"),
            show_position(&m["previous"]),
            show_position(&m["new"]),
            log_blocks(m)
        ),
        "query_response" => {
            let rows = m["rows"].as_array().map_or(0, Vec::len);
            let end = if m["more"] == true { "more".into() } else { format!("cursor [{}]", s(m, "cursor")) };
            format!("rows{id} at {} {rows} {end}", show_position(&m["at"]))
        }
        "authenticate_ack" => format!("authenticated{id} {} s", s(m, "valid_for")),
        "ping" => "ping".into(),
        "pong" => format!("pong {}", s(m, "nonce")),
        "error" => format!("error{id} {}", code(&m["code"])),
        "goodbye" => format!("goodbye {} {}+{}", s(m, "reason"), s(m, "reconnect_after"), s(m, "jitter")),
        "push" => {
            let blocks: Vec<_> = m["blocks"]
                .as_array()
                .unwrap()
                .iter()
                .map(|block| {
                    let first: u64 = s(block, "first_node_seq").parse().unwrap();
                    let span: u64 = s(block, "span").parse().unwrap();
                    format!("{first}..{}", first + span - 1)
                })
                .collect();
            format!("push{id} {} {}", show_node(&m["blocks"][0]["node"]), blocks.join(" "))
        }
        "subscribe" => format!(
            "subscribe{id} {}: {} from {} window {}",
            s(m, "subscription"),
            names(&m["collections"]),
            show_position(&m["from"]),
            s(m, "window")
        ),
        "unsubscribe" => format!("unsubscribe {}", s(m, "subscription")),
        "update_ack" => format!(
            "update ack {}: {} window {}",
            s(m, "subscription"),
            show_position(&m["position"]),
            s(m, "window")
        ),
        "pull_request" => format!("pull{id} {} from {}", names(&m["collections"]), show_position(&m["from"])),
        "query" => format!("query{id} {} after {}", s(m, "collection"), show_position(&m["after"])),
        "sync_state_request" => format!("sync state request{id}"),
        "authenticate" => format!("authenticate{id}"),
        _ => format!("{kind}{id}"),
    }
}

/// An output in words.
pub fn show(output: &Json) -> String {
    let (kind, of) = output.as_object().and_then(|object| object.iter().next()).unwrap();
    let conn = || s(of, "conn");
    match kind.as_str() {
        "send" if of["conn"].is_null() => show_message(&of["message"]),
        "send" => format!("{} < {}", conn(), show_message(&of["message"])),
        "close" if of["conn"].is_null() => format!("close {}", of["with"].as_str().unwrap_or("-")),
        "close" => format!("{} closed {}", conn(), s(of, "with")),
        "authorize" => format!("authorize {}", conn()),
        "open_database" => format!("open {}", s(of, "name")),
        "load_node" => format!("load {}", show_node(&of["node"])),
        "append" => {
            let one = |node: &Json| {
                let blocks: Vec<_> = node["blocks"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|b| format!("{}:{}", s(b, "first_node_seq"), s(b, "count")))
                    .collect();
                let owner =
                    node["owner"]["principal"].as_str().map_or(String::new(), |name| format!(" of {name}"));
                format!(
                    "{}{owner} {}-{} [{}]",
                    show_node(&node["node"]),
                    s(&node["builds_on"], "mark"),
                    s(&node["becomes"], "mark"),
                    blocks.join(" ")
                )
            };
            format!(
                "append {}",
                of["nodes"].as_array().unwrap().iter().map(one).collect::<Vec<_>>().join(", ")
            )
        }
        "read" => format!("read after {}", s(of, "after")),
        "mint_epoch" => "mint".into(),
        "run_query" => {
            format!("run {} after {} limit {}", s(of, "collection"), s(of, "after"), s(of, "limit"))
        }
        "count_state" => "count".into(),
        "close_database" => format!("close database {}", s(of, "database")),
        "event" => show_event(of),
        "refused" => format!("refused {}", s(of, "why")),
        "reconnect" => match (&of["after_ms"], &of["when_needed_ms"]) {
            (Json::Array(range), _) => format!("reconnect {}", show_range(range)),
            (_, Json::Array(range)) => format!("reconnect when needed {}", show_range(range)),
            (Json::Null, Json::Null) => "reconnect on order".into(),
            _ => "reconnect ?".into(),
        },
        other => other.into(),
    }
}

fn show_range(range: &[Json]) -> String {
    let number = |json: Option<&Json>| json.and_then(Json::as_str).unwrap_or("?").to_owned();
    format!("{}..{}", number(range.first()), number(range.last()))
}

fn show_event(of: &Json) -> String {
    let plain = |json: &Json| json.to_string().replace(['"', '{', '}'], "");
    match s(of, "type") {
        "ended" => format!("! ended {}", plain(&of["why"])),
        "answered" if of["failure"].is_null() => {
            format!("! answered {} {}", s(of, "ticket"), plain(&of["ok"]))
        }
        "answered" => format!("! answered {} {}", s(of, "ticket"), plain(&of["failure"])),
        "subscription_ended" => {
            format!("! subscription ended {} {}", names(&of["collections"]), plain(&of["failure"]))
        }
        "restore_refused" => format!("! restore refused {} {}", show_timestamp(&of["write"]), s(of, "code")),
        "cannot_send" => format!("! cannot send {} {}", show_timestamp(&of["write"]), s(of, "needs")),
        other => format!("! {other}"),
    }
}

/// A part of what a client keeps, in words.
pub fn show_state(key: &str, json: &Json) -> String {
    let list = |one: &dyn Fn(&Json) -> String| {
        json.as_array().into_iter().flatten().map(one).collect::<Vec<_>>().join(" ")
    };
    let entry = |e: &Json| {
        let path: Vec<_> = e["path"].as_array().into_iter().flatten().filter_map(Json::as_str).collect();
        let seq = e["seq"].as_str().unwrap_or("?");
        let total =
            e["total"].as_str().map_or(String::new(), |t| format!("+{t}/{}", show_timestamp(&e["base"])));
        format!("{}{}{}={}@{seq}", path_record(e), path.join("."), total, show_timestamp(&e["timestamp"]))
    };
    match key {
        "node" => show_node(json),
        "outbox" => list(&|it| {
            let state = match s(it, "state") {
                "uncertain" => "?",
                "sent" => "*",
                _ => "",
            };
            let restored = if it["restored"] == true { "r" } else { "" };
            format!(
                "{}{state}{restored}:{}",
                s(&it["op"], "node_seq"),
                show_timestamp(&it["op"]["timestamp"])
            )
        }),
        "rejected" => list(&|it| format!("{}:{}", show_timestamp(&it["op"]["timestamp"]), s(it, "code"))),
        "registers" | "counters" => list(&entry),
        "positions" => {
            list(&|it| format!("{}={}", names(&it["collections"]), show_position(&it["position"])))
        }
        "seen" => list(&show_position),
        _ => json.as_str().map_or_else(|| json.to_string(), str::to_owned),
    }
}

fn path_record(entry: &Json) -> String {
    let n = u32::from_str_radix(s(entry, "record").get(..8).unwrap_or_default(), 16).unwrap_or(0);
    format!("{}.{n}.", s(entry, "collection"))
}
