//! Operations and blocks.

use blazedb_relay::block::{BlockBuilder, BlockRef, Compression};
use blazedb_relay::error::DecodeError;
use blazedb_relay::op::{Op, OpKind, OpRef};
use blazedb_relay::registry::Capabilities;
use blazedb_relay::wire::CollectionName;
use serde_json::{Value as Json, json};

use super::json::{
    Refusal, boolean, get, items, node, number, refuse, text, timestamp, timestamp_json, uuid,
};
use super::value::{fields, fields_json};

pub(crate) fn op_json(op: &OpRef<'_>) -> Json {
    let head = &op.head;
    json!({
        "node": head.node.to_string(),
        "node_seq": head.node_seq.to_string(),
        "timestamp": timestamp_json(head.timestamp),
        "kind": match head.kind {
            OpKind::Insert => "insert",
            OpKind::Update => "update",
            OpKind::Delete => "delete",
        },
        "record": head.record.to_string(),
        "collection": head.collection,
        "previous": head.previous.map(timestamp_json),
        "fields": fields_json(op.fields),
    })
}

pub(crate) fn op(json: &Json) -> Result<Op, Refusal> {
    let kind = match text(json, "kind")? {
        "insert" => OpKind::Insert,
        "update" => OpKind::Update,
        "delete" => OpKind::Delete,
        _ => return refuse("kind", "insert, update or delete"),
    };
    let op = Op::new(
        (node(json, "node")?, number(json, "node_seq")?),
        timestamp(get(json, "timestamp")?)?,
        kind,
        (CollectionName::new(text(json, "collection")?)?, uuid(json, "record")?),
        fields(json)?,
    )?;
    let previous = get(json, "previous")?;
    if previous.is_null() { Ok(op) } else { Ok(op.with_previous(timestamp(previous)?)?) }
}

/// The meaning of a block and its canonical form (SPEC.md 6.4).
pub(crate) fn block_json(
    block: &BlockRef<'_>,
    capabilities: Capabilities,
) -> Result<(Json, Vec<u8>), DecodeError> {
    let mut scratch = Vec::new();
    let rows = block.rows(&mut scratch)?;
    rows.validate(capabilities)?;
    let header = block.header();
    let mut canonical = BlockBuilder::part_of(header);
    let mut ops = Vec::new();
    for op in rows.iter() {
        ops.push(op_json(&op));
        // What was validated fits: a refusal shows as a difference of bytes.
        let _ = canonical.push_ref(&op);
    }
    let json = json!({
        "encoding": header.encoding.name(),
        "compressed": header.compressed,
        "holes": header.holes,
        "node": header.node.to_string(),
        "first_node_seq": header.first_node_seq.to_string(),
        "span": header.span.to_string(),
        "ops": ops,
    });
    let canonical = canonical.finish(Compression::None).unwrap_or_default().to_vec();
    Ok((json, canonical))
}

pub(crate) fn block(json: &Json) -> Result<Vec<u8>, Refusal> {
    if text(json, "encoding")? != "rows" {
        return refuse("encoding", "rows");
    }
    let (node, first) = (node(json, "node")?, number(json, "first_node_seq")?);
    let mut builder = if boolean(json, "holes")? {
        BlockBuilder::part_of_span(node, first, number(json, "span")?)
    } else {
        BlockBuilder::new(node, first)
    };
    for json in items(json, "ops")? {
        builder.push(&op(json)?)?;
    }
    match builder.finish(Compression::None) {
        Some(bytes) => Ok(bytes.to_vec()),
        None => refuse("ops", "at least one"),
    }
}
