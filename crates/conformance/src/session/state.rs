//! What a client keeps durably, as JSON and back.

use std::collections::BTreeMap;

use blazedb_relay::client::{
    Change, CollectionSet, Identity, Node, OpRow, Queued, Reader, Rejected, Replica, Seen, WriteState,
};
use blazedb_relay::merge::{Entry, Heard, Path};
use blazedb_relay::message::{LastNodeSeq, Mark};
use blazedb_relay::registry::{Capabilities, Capability};
use blazedb_relay::wire::{CollectionName, FieldName, NodeKey, Timestamp};
use serde_json::{Map, Value as Json, json};

use super::{code, code_name};
use crate::meaning::json::{
    bytes, check, get, items, node, number, position, position_json, refuse, text, timestamp, timestamp_json,
    uuid,
};
use crate::meaning::op::op_json;
use crate::meaning::value::value;
use crate::meaning::{Context, Refusal, Target, encode, hex};
use crate::merge::contents_json;

/// A node and its key.
pub(super) fn identity(json: &Json) -> Result<Identity, Refusal> {
    let key = bytes(json, "node_key")?.try_into();
    let Ok(key) = key else { return refuse("node_key", "16 bytes") };
    Ok(Identity { node: node(json, "node")?, key: NodeKey(key) })
}

/// A set of collections from its names; none for all.
pub(super) fn collections(json: &Json) -> Result<CollectionSet, Refusal> {
    let names = items(json, "collections")?;
    let names: Vec<_> = names
        .iter()
        .map(|name| Ok(CollectionName::new(name.as_str().unwrap_or_default())?))
        .collect::<Result<_, Refusal>>()?;
    Ok(if names.is_empty() { CollectionSet::ALL } else { CollectionSet::new(names)? })
}

pub(super) fn collections_json(set: &CollectionSet) -> Json {
    set.names().map(|name| json!(name.as_str())).collect()
}

fn row(json: &Json) -> Result<OpRow, Refusal> {
    let bytes = encode(Target::Op, get(json, "op")?, &Context::default())?;
    OpRow::new(bytes.into()).map_err(Refusal::Decode)
}

fn timestamp_or_never(json: &Json) -> Result<Timestamp, Refusal> {
    if text(json, "counter")? == "0" && uuid(json, "node")?.is_nil() {
        return Ok(Timestamp::NEVER);
    }
    timestamp(json)
}

fn heard(json: &Json) -> Result<Heard, Refusal> {
    Ok(if get(json, "seq")?.is_null() { Heard::IN_DOUBT } else { Heard::at(number(json, "seq")?) })
}

fn path(json: &Json) -> Result<Path, Refusal> {
    let (collection, record) = (CollectionName::new(text(json, "collection")?)?, uuid(json, "record")?);
    let mut components = items(json, "path")?.iter().map(|name| name.as_str().unwrap_or_default());
    let Some(field) = components.next() else { return Ok(Path::record(collection, record)) };
    let path = Path::field(collection, record, &FieldName::new(field)?);
    Ok(components.try_fold(path, |path, key| path.key(key))?)
}

fn reader(json: &Json) -> Result<Reader, Refusal> {
    let mut capabilities = Capabilities::NONE;
    for id in items(json, "capabilities")? {
        let id = id.as_str().and_then(|id| id.parse().ok());
        let Some(id) = id else { return refuse("capabilities", "numbers of capabilities") };
        capabilities = capabilities.with(Capability(id));
    }
    Ok(Reader { version: number(json, "version")?, capabilities })
}

/// The rows of a client's store.
pub(super) fn rows(json: &Json) -> Result<Vec<Change>, Refusal> {
    let stopped = get(json, "stopped")?;
    let stopped = if stopped.is_null() { None } else { Some(reader(stopped)?) };
    let mut rows = vec![Change::Node(Node {
        identity: identity(json)?,
        given: LastNodeSeq::new(number(json, "given")?)?,
        acknowledged: Mark::new(LastNodeSeq::new(number(json, "acknowledged")?)?, check(json, "check")?)?,
        clock: number(json, "clock")?,
        merged: number(json, "merged")?,
        untried: get(json, "untried")? == &Json::Bool(true),
        stopped,
    })];
    for item in items(json, "outbox")? {
        rows.push(Change::Queued(Queued {
            op: row(item)?,
            uncertain: text(item, "state")? == "uncertain",
            transaction: item.get("transaction").map(timestamp).transpose()?,
            restored: item.get("restored") == Some(&Json::Bool(true)),
        }));
    }
    for item in items(json, "rejected")? {
        rows.push(Change::Rejected(Rejected { op: row(item)?, code: code(item, "code")? }));
    }
    for item in items(json, "registers")? {
        rows.push(Change::Register {
            path: path(item)?,
            timestamp: timestamp(get(item, "timestamp")?)?,
            value: value(get(item, "value")?)?.to_bytes()?.into(),
            heard: heard(item)?,
        });
    }
    for item in items(json, "counters")? {
        rows.push(Change::Counter {
            path: path(item)?,
            base: timestamp_or_never(get(item, "base")?)?,
            timestamp: timestamp(get(item, "timestamp")?)?,
            total: number(item, "total")?,
            heard: heard(item)?,
        });
    }
    for item in items(json, "positions")? {
        rows.push(Change::Position(collections(item)?, position(get(item, "position")?)?));
    }
    let seen: Vec<_> = items(json, "seen")?.iter().map(position).collect::<Result<_, _>>()?;
    rows.push(Change::Seen(Seen::new(seen)));
    Ok(rows)
}

/// All that a client keeps, and the view. `state_of` says what became of a write in the outbox.
pub(super) fn state_json(replica: &Replica, state_of: impl Fn(Timestamp) -> WriteState) -> Json {
    let node = replica.node();
    let mut json = Map::new();
    let mut put = |key: &str, value: Json| {
        json.insert(key.into(), value);
    };
    put("node", json!(node.identity.node.to_string()));
    put("node_key", json!(hex(&node.identity.key.0)));
    put("given", json!(node.given.get().to_string()));
    put("acknowledged", json!(node.acknowledged.node_seq().get().to_string()));
    put("check", json!(format!("{:08x}", node.acknowledged.check())));
    put("clock", json!(node.clock.to_string()));
    put("merged", json!(node.merged.to_string()));
    put("untried", json!(node.untried));
    put("stopped", node.stopped.map_or(Json::Null, reader_json));
    put("outbox", replica.outbox().map(|queued| queued_json(queued, &state_of)).collect());
    let rejected = |it: &Rejected| json!({ "op": op_json(&it.op.op()), "code": code_name(it.code) });
    put("rejected", replica.rejected().map(rejected).collect());
    let (registers, counters): (Vec<_>, Vec<_>) =
        replica.durable_state().entries().partition(|entry| matches!(entry, Entry::Register { .. }));
    put("registers", registers.iter().map(entry_json).collect());
    put("counters", counters.iter().map(entry_json).collect());
    let position = |(set, at): (&CollectionSet, _)| json!({ "collections": collections_json(set), "position": position_json(at) });
    put("positions", replica.positions().map(position).collect());
    put("seen", replica.seen().positions().iter().map(|at| position_json(*at)).collect());
    put("view", view_json(replica));
    Json::Object(json)
}

fn reader_json(reader: Reader) -> Json {
    let known = Capability::ALL.iter().map(|(capability, _)| *capability);
    let has = known.filter(|capability| !capability.is_required() && reader.capabilities.has(*capability));
    let capabilities: Vec<_> = has.map(|capability| capability.0.to_string()).collect();
    json!({ "version": reader.version.to_string(), "capabilities": capabilities })
}

fn queued_json(queued: &Queued, state_of: &impl Fn(Timestamp) -> WriteState) -> Json {
    let op = queued.op.op();
    let state = match state_of(op.head.timestamp) {
        _ if queued.uncertain => "uncertain",
        WriteState::Sent => "sent",
        WriteState::Queued | WriteState::Durable | WriteState::Rejected(_) => "queued",
    };
    let mut json = json!({ "op": op_json(&op), "state": state });
    if let Some(transaction) = queued.transaction {
        json["transaction"] = timestamp_json(transaction);
    }
    if queued.restored {
        json["restored"] = json!(true);
    }
    json
}

fn entry_json(entry: &Entry<'_>) -> Json {
    let path = entry.path();
    let mut json = json!({
        "collection": path.collection(),
        "record": path.record().to_string(),
        "path": path.components().collect::<Vec<_>>(),
        "timestamp": timestamp_json(entry.timestamp()),
        "seq": entry.heard().seq().map(|seq| seq.to_string()),
    });
    match entry {
        Entry::Register { value, .. } => {
            let decoded = blazedb_relay::value::ValueRef::decode_field(value, Capabilities::ALL);
            json["value"] = decoded.map(crate::meaning::value::value_json).unwrap_or_default();
        }
        Entry::Counter { base, total, .. } => {
            json["base"] = timestamp_json(*base);
            json["total"] = json!(total.to_string());
        }
    }
    json
}

fn view_json(replica: &Replica) -> Json {
    let mut names: Vec<String> = replica.durable_state().collections().map(Into::into).collect();
    names.extend(replica.outbox().map(|queued| queued.op.op().head.collection.to_owned()));
    names.sort();
    names.dedup();
    let mut contents = BTreeMap::new();
    for name in names {
        let fields = |fields: blazedb_relay::value::Entries| {
            fields.iter().map(|(name, value)| (name.to_owned(), value.clone())).collect()
        };
        let records: BTreeMap<_, _> =
            replica.records(&name).into_iter().map(|(record, of)| (record, fields(of))).collect();
        if !records.is_empty() {
            contents.insert(name, records);
        }
    }
    contents_json(&contents)
}
