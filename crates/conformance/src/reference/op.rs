//! One operation in row layout (6.1).

use serde_json::{Value as Json, json};

use super::crc32::crc32;
use super::ids::{NIL, Timestamp, name, op_id};
use super::json::{decimal, timestamp, uuid};
use super::reader::Reader;
use super::value::Around;
use super::{Context, Fault, Place, fail, fields};

/// The most bytes of an operation.
pub(super) const MAX_OP: usize = 983_040;
/// The fewest.
const MIN_OP: usize = 83;

/// An operation and what a block compares.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) id: [u8; 16],
    /// Where the id stands.
    pub(super) id_at: usize,
    pub(super) node: [u8; 16],
    /// Where the node stands.
    pub(super) node_at: usize,
    pub(super) node_seq: u64,
    pub(super) json: Json,
}

/// An operation by itself.
pub(super) fn alone(input: &[u8], context: &Context) -> Result<Json, Fault> {
    if input.len() > MAX_OP {
        return fail("TOO_LONG", 0); // OPS-6
    }
    Ok(read(Reader::new(input), context)?.json)
}

/// The operation that `reader` has from its first byte to its last.
pub(super) fn read(mut reader: Reader<'_>, context: &Context) -> Result<Op, Fault> {
    let start = reader.at();
    if reader.left() < MIN_OP {
        return fail("TRUNCATED", start); // OPS-7
    }
    let (covered, checksum) = reader.rest().split_at(reader.left() - 4);
    if reader.u8()? != 1 {
        return fail("UNSUPPORTED_VERSION", start); // OPS-8
    }
    if crc32(covered).to_be_bytes() != checksum {
        return fail("BAD_CHECKSUM", start + covered.len()); // OPS-9
    }
    reader.shorten(4); // OPS-17

    let flags_at = reader.at();
    let flags = reader.u8()?;
    if flags & !0x01 != 0 {
        return fail("UNKNOWN_FLAG", flags_at); // OPS-10
    }
    let has_previous = flags & 0x01 != 0;

    let id_at = reader.at();
    let id = reader.uuid()?;
    let node_seq = id[..6].iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    if node_seq == 0 {
        return fail("BAD_NODE_SEQ", id_at); // OPS-4
    }
    let written = Timestamp::read(&mut reader)?; // OPS-1, OPS-2

    let node_at = reader.at();
    let node = reader.uuid()?;
    if node == NIL {
        return fail("BAD_NODE", node_at); // OPS-3
    }
    if id != op_id(&node, node_seq) {
        return fail("BAD_OP_ID", id_at); // OPS-5
    }

    let kind_at = reader.at();
    let kind = match reader.u8()? {
        0x01 => "insert",
        0x02 => "update",
        0x03 => "delete",
        _ => return fail("UNKNOWN_OP_TYPE", kind_at), // OPS-11
    };
    if has_previous && kind != "update" {
        return fail("BAD_PREVIOUS", flags_at); // OPS-13
    }
    let record = reader.uuid()?;
    let collection = name(&mut reader)?.text; // OPS-12

    let mut previous = Json::Null;
    if has_previous {
        let at = reader.at();
        let before = Timestamp::read(&mut reader)?;
        if before >= written {
            return fail("BAD_PREVIOUS", at); // OPS-14
        }
        previous = timestamp(&before);
    }

    let count_at = reader.at();
    let count = reader.u16()?;
    if kind == "delete" && count != 0 {
        return fail("FIELDS_ON_DELETE", count_at); // OPS-15
    }
    if kind != "delete" && count == 0 {
        return fail("NO_FIELDS", count_at); // OPS-16
    }
    let around = Around { crdt: context.crdt, timestamp: Some(written) };
    let fields = fields::read(&mut reader, count, Place::Field, &around)?;
    reader.finish()?; // OPS-17

    let json = json!({
        "node": uuid(&node),
        "node_seq": decimal(node_seq),
        "timestamp": timestamp(&written),
        "kind": kind,
        "record": uuid(&record),
        "collection": collection,
        "previous": previous,
        "fields": fields,
    });
    Ok(Op { id, id_at, node, node_at, node_seq, json })
}
