//! A history of operations as NDJSON, one line each:
//!
//! ```json
//! {"id":"...","ts":{"counter":7,"node":"<uuid>"},"type":"insert|update|delete","collection":"...",
//!  "record":"<uuid>","changes":{"field":value},"wall":1700000000}
//! ```
//!
//! `id` and `wall` are passed over, and values are JSON as in `blazedb_relay_json`. A name that ends in `.zst` is decompressed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use blazedb_relay::op::OpKind;
use blazedb_relay::value::Fields;
use blazedb_relay::wire::{CollectionName, NodeId, Timestamp};
use indicatif::ProgressBar;
use serde::Deserialize;
use serde_json::{Map, Value as Json};
use uuid::Uuid;

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TraceOp {
    pub(crate) timestamp: Timestamp,
    pub(crate) kind: OpKind,
    pub(crate) collection: CollectionName,
    pub(crate) record: Uuid,
    pub(crate) fields: Fields,
}

/// Each node's operations in their order; nodes in the order in which they first appear.
pub(crate) type Trace = Vec<(NodeId, Vec<TraceOp>)>;

#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow)]
    ts: Ts<'a>,
    r#type: &'a str,
    collection: &'a str,
    record: &'a str,
    #[serde(default)]
    changes: Map<String, Json>,
}

#[derive(Deserialize)]
struct Ts<'a> {
    counter: u64,
    node: &'a str,
}

/// Reads a whole trace; the bar shows bytes of the file.
///
/// # Errors
/// The file cannot be read, or a line is not an operation; the error says which and why.
pub(crate) fn read(path: &Path, bar: &ProgressBar) -> Result<Trace> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    bar.set_length(file.metadata().map_or(0, |metadata| metadata.len()));
    let file = bar.wrap_read(file);
    let text: Box<dyn Read> = if path.extension().is_some_and(|extension| extension == "zst") {
        let decoder = zstd::Decoder::new(file);
        Box::new(decoder.with_context(|| format!("{} is no zstd file", path.display()))?)
    } else {
        Box::new(file)
    };
    parse(BufReader::with_capacity(1 << 20, text)).with_context(|| format!("in {}", path.display()))
}

fn parse(mut text: BufReader<impl Read>) -> Result<Trace> {
    let mut trace = Trace::new();
    let mut places = BTreeMap::new();
    let mut line = String::new();
    for number in 1_u64.. {
        line.clear();
        if text.read_line(&mut line).with_context(|| format!("line {number} cannot be read"))? == 0 {
            break;
        }
        if line.trim().is_empty() {
            continue;
        }
        let (node, op) = op(&line).with_context(|| format!("line {number} is not an operation"))?;
        let place = *places.entry(node).or_insert_with(|| {
            trace.push((node, Vec::new()));
            trace.len() - 1
        });
        trace[place].1.push(op);
    }
    Ok(trace)
}

fn op(line: &str) -> Result<(NodeId, TraceOp)> {
    let line: Line<'_> = serde_json::from_str(line)?;
    let uuid = |what: &str, text: &str| -> Result<Uuid> {
        text.parse().with_context(|| format!("{what} {text:?} is not a UUID"))
    };
    let node = NodeId::new(uuid("ts.node", line.ts.node)?)?;
    let kind = match line.r#type {
        "insert" => OpKind::Insert,
        "update" => OpKind::Update,
        "delete" => OpKind::Delete,
        other => return Err(anyhow!("type {other:?} is none of insert, update and delete")),
    };
    let op = TraceOp {
        timestamp: Timestamp::new(line.ts.counter, node).context("ts.counter")?,
        kind,
        collection: CollectionName::new(line.collection).context("collection")?,
        record: uuid("record", line.record)?,
        fields: blazedb_relay_json::fields(&line.changes).map_err(|error| anyhow!("changes: {error}"))?,
    };
    Ok((node, op))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails a test")]
    use super::*;

    const LINE: &str = r#"{"id":"x","ts":{"counter":7,"node":"550e8400-e29b-41d4-a716-446655440000"},"type":"update","collection":"bugs","record":"6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9","changes":{"priority":5},"wall":1}"#;

    fn parse_text(text: &str) -> Result<Trace> {
        parse(BufReader::new(text.as_bytes()))
    }

    #[test]
    fn each_node_has_its_operations() {
        let other = LINE.replace("550e8400", "00000001").replace(":7", ":3");
        let later = LINE.replace(":7", ":9");
        let trace = parse_text(&format!("{LINE}\n\n{other}\n{later}\n")).unwrap();
        let counters: Vec<Vec<_>> =
            trace.iter().map(|(_, ops)| ops.iter().map(|op| op.timestamp.counter()).collect()).collect();
        assert_eq!(counters, [vec![7, 9], vec![3]]);
        assert_eq!(trace[0].1[0].fields.iter().count(), 1);
    }

    #[test]
    fn a_bad_line_is_named() {
        for (from, to, wanted) in [
            ("update", "upsert", "type"),
            ("6f1e2d3c", "zz", "record"),
            (":7", ":0", "ts.counter"),
            ("bugs", "", "collection"),
            ("5}", "{\"$what\":1}}", "priority"),
            ("{\"id\"", "{id", "line 2"),
        ] {
            let error = parse_text(&format!("{LINE}\n{}", LINE.replace(from, to))).unwrap_err();
            let text = format!("{error:#}");
            assert!(text.contains("line 2") && text.contains(wanted), "{text}");
        }
    }
}
