//! A block (6.2 to 6.4).

use serde_json::{Value as Json, json};

use super::crc32::{Crc32, crc32};
use super::ids::{MAX_NODE_SEQ, NIL};
use super::json::{decimal, uuid};
use super::op::{self, MAX_OP};
use super::reader::Reader;
use super::{Context, Fault, fail, lz4};

/// The bytes of a block's header.
const HEADER: usize = 36;
/// The most bytes of a payload, compressed or not.
const MAX_BLOCK: u32 = 1_048_576;
/// What the compressed blocks of a message may come to.
const MAX_DECOMPRESSED: usize = 4_194_304;

/// A header that is legal by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    /// Where the block begins.
    pub(super) start: usize,
    pub(super) compressed: bool,
    pub(super) holes: bool,
    pub(super) count: u16,
    pub(super) span: u16,
    pub(super) first_node_seq: u64,
    pub(super) node: [u8; 16],
    pub(super) payload_length: usize,
}

/// What the blocks of one message add up to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Totals {
    /// The decompressed lengths so far.
    decompressed: usize,
    /// The checksum of all ids so far.
    pub(super) ids: Crc32,
}

impl Totals {
    /// Of no blocks.
    pub(super) const fn new() -> Self {
        Self { decompressed: 0, ids: Crc32::new() }
    }
}

/// A block by itself.
pub(super) fn alone(input: &[u8], context: &Context) -> Result<Json, Fault> {
    let mut reader = Reader::new(input);
    let header = header(&mut reader, context)?;
    let payload = reader.inner(header.payload_length)?;
    reader.finish()?; // BLK-10
    read_payload(&header, payload, context, &mut Totals::new())
}

/// The header that begins here.
pub(super) fn header(reader: &mut Reader<'_>, context: &Context) -> Result<Header, Fault> {
    let start = reader.at();
    let bytes = reader.rest();
    let mut fields = reader.inner(HEADER)?; // BLK-1: TRUNCATED at the first byte
    if crc32(&bytes[..32]).to_be_bytes() != bytes[32..36] {
        return fail("BAD_CHECKSUM", start + 32); // BLK-1
    }
    if fields.u8()? != 0x01 {
        return fail("UNKNOWN_ENCODING", start); // BLK-2
    }
    let flags = fields.u8()?;
    if flags & !0x03 != 0 {
        return fail("UNKNOWN_FLAG", start + 1); // BLK-3
    }
    let (compressed, holes) = (flags & 0x01 != 0, flags & 0x02 != 0);
    if compressed && !context.compression {
        return fail("NOT_NEGOTIATED", start + 1); // BLK-4
    }
    let count = fields.u16()?;
    if count == 0 {
        return fail("EMPTY", start + 2); // BLK-5
    }
    let span = fields.u16()?;
    let fits = if holes { span > count } else { span == count };
    if !fits {
        return fail("NOT_CONTIGUOUS", start + 4); // BLK-6
    }
    let first_node_seq = fields.u48()?;
    if first_node_seq == 0 || first_node_seq + u64::from(span) - 1 > MAX_NODE_SEQ {
        return fail("BAD_NODE_SEQ", start + 6); // BLK-7
    }
    let node = fields.uuid()?;
    if node == NIL {
        return fail("BAD_NODE", start + 12); // BLK-8
    }
    let payload_length = fields.u32()?;
    if payload_length > MAX_BLOCK {
        return fail("TOO_LONG", start + 28); // BLK-9
    }
    let payload_length = payload_length as usize;
    Ok(Header { start, compressed, holes, count, span, first_node_seq, node, payload_length })
}

/// What the block of `header` means, of which `payload` has the payload.
pub(super) fn read_payload(
    header: &Header,
    payload: Reader<'_>,
    context: &Context,
    totals: &mut Totals,
) -> Result<Json, Fault> {
    let ops = if header.compressed {
        let at = payload.at();
        let bytes = decompress(payload, totals)?;
        // NOT-11: inside, all offsets are that of the payload
        rows(header, Reader::new(&bytes), context, totals).or_else(|fault| fail(fault.code, at))?
    } else {
        rows(header, payload, context, totals)?
    };
    Ok(json!({
        "encoding": "rows",
        "compressed": header.compressed,
        "holes": header.holes,
        "node": uuid(&header.node),
        "first_node_seq": decimal(header.first_node_seq),
        "span": decimal(header.span),
        "ops": ops,
    }))
}

/// The payload of a block with flag LZ4.
fn decompress(mut payload: Reader<'_>, totals: &mut Totals) -> Result<Vec<u8>, Fault> {
    let at = payload.at();
    let length = payload.u32()?;
    if length > MAX_BLOCK {
        return fail("TOO_LONG", at); // BLK-15
    }
    if length == 0 {
        return fail("EMPTY", at); // BLK-15
    }
    let length = length as usize;
    totals.decompressed += length;
    if totals.decompressed > MAX_DECOMPRESSED {
        return fail("TOO_LONG", at); // MSG-34
    }
    match lz4::decompress(payload.rest(), length) {
        Some(bytes) => Ok(bytes),
        None => fail("BAD_COMPRESSION", at), // BLK-16, BLK-17
    }
}

/// The operations of a block.
fn rows(
    header: &Header,
    mut reader: Reader<'_>,
    context: &Context,
    totals: &mut Totals,
) -> Result<Vec<Json>, Fault> {
    let last = header.first_node_seq + u64::from(header.span) - 1;
    let mut next = header.first_node_seq; // the lowest number that the next operation may have
    let mut ops = Vec::new();
    for _ in 0..header.count {
        let at = reader.at();
        let length = reader.u32()? as usize; // BLK-11
        if length > MAX_OP {
            return fail("TOO_LONG", at); // OPS-6
        }
        let op = op::read(reader.inner(length)?, context)?;
        if op.node != header.node {
            return fail("MIXED_NODES", op.node_at); // BLK-12
        }
        let fits = if header.holes { (next..=last).contains(&op.node_seq) } else { op.node_seq == next };
        if !fits {
            return fail("NOT_CONTIGUOUS", op.id_at); // BLK-13, BLK-14
        }
        next = op.node_seq + 1;
        totals.ids.update(&op.id);
        ops.push(op.json);
    }
    reader.finish()?; // BLK-11
    Ok(ops)
}
