//! A real edit history, as operations and as the state that they must give.
//!
//! It is no part of the repository: `BLAZEDB_TRACE_DIR` names the folder that has it, otherwise it is
//! looked for in `../shared/data`.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::value::{Entries, Fields, Value};
use blazedb_relay::wire::{CollectionName, FieldName, NodeId, Timestamp};
use serde::Deserialize;
use serde_json::{Value as Json, json};
use uuid::Uuid;

/// Who delivers every operation, so that blocks may hold any run of them.
pub(crate) const DELIVERER: Uuid = Uuid::from_u128(0x04641b7f_985c_54d2_815b_886cb8ed97f9);
/// The only collection.
pub(crate) const COLLECTION: &str = "software";

/// One line.
#[derive(Deserialize)]
struct Line {
    ts: Ts,
    r#type: String,
    collection: String,
    record: Uuid,
    changes: BTreeMap<String, Json>,
}

#[derive(Deserialize)]
struct Ts {
    counter: u64,
    node: Uuid,
}

/// The lines of a file of the trace, or why they are not there.
pub(crate) fn lines(name: &str) -> Result<impl Iterator<Item = String>, String> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let near = [default(), Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data")];
    let folder = std::env::var_os("BLAZEDB_TRACE_DIR").map(PathBuf::from);
    let folder = folder.or_else(|| near.into_iter().find(|folder| folder.is_dir())).unwrap_or_else(default);
    let path = folder.join(name);
    let missing = |error| {
        let path = path.display();
        format!("no trace at {path} ({error}); BLAZEDB_TRACE_DIR names the folder that has it")
    };
    let file = fs::File::open(&path).map_err(missing)?;
    let text: Box<dyn Read> = match name.strip_suffix(".zst") {
        Some(_) => Box::new(zstd::Decoder::new(file).map_err(missing)?),
        None => Box::new(file),
    };
    Ok(BufReader::with_capacity(1 << 20, text).lines().map(Result::unwrap))
}

/// The operations of a file of the trace, in the order of delivery.
pub(crate) fn ops(name: &str) -> Result<impl Iterator<Item = Op>, String> {
    Ok(lines(name)?.zip(1..).map(|(line, number)| op(&line, number)))
}

fn op(line: &str, number: u64) -> Op {
    let Line { ts, r#type, collection, record, changes } = serde_json::from_str(line).unwrap();
    let kind = match &*r#type {
        "insert" => OpKind::Insert,
        "update" => OpKind::Update,
        "delete" => OpKind::Delete,
        other => panic!("type {other}"),
    };
    let fields = changes.into_iter().map(|(name, json)| (FieldName::new(&name).unwrap(), value(json)));
    Op::new(
        (NodeId::new(DELIVERER).unwrap(), number),
        Timestamp::new(ts.counter, NodeId::new(ts.node).unwrap()).unwrap(),
        kind,
        (CollectionName::new(&collection).unwrap(), record),
        Fields::new(fields.collect()).unwrap(),
    )
    .unwrap()
}

fn value(json: Json) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(value) => value.into(),
        Json::Number(number) => number.as_i64().unwrap().into(),
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => Value::Array(items.into_iter().map(value).collect()),
        Json::Object(entries) => {
            let entries = entries.into_iter().map(|(key, json)| (key.into(), value(json)));
            Value::Dictionary(Entries::new(entries.collect()).unwrap())
        }
    }
}

/// A line of the state: a record with its fields, in the form of the trace.
#[allow(dead_code, reason = "the benchmark has no use for it")]
pub(crate) fn state_line(record: Uuid, fields: &Entries) -> String {
    // Keys are sorted by the map that serde_json uses.
    json!({ "record": record, "fields": object(fields) })
        .as_object()
        .map(|line| format!("{{\"record\":{},\"fields\":{}}}", line["record"], line["fields"]))
        .unwrap()
}

fn object(entries: &Entries) -> Json {
    Json::Object(entries.iter().map(|(key, value)| (key.to_owned(), plain(value))).collect())
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the trace has no others")]
fn plain(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::String(text) => (**text).into(),
        Value::Array(items) => items.iter().map(plain).collect(),
        Value::Dictionary(entries) => object(entries),
        other => panic!("the trace has no {other:?}"),
    }
}
