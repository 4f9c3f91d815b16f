//! The envelope of a message (5).

use serde_json::{Value as Json, json};

use super::crc32::crc32;
use super::json::{decimal, hex};
use super::reader::Reader;
use super::{Context, Fault, fail};

/// The most bytes of a frame before welcome, and after it.
const MAX_FRAME_BEFORE: u64 = 65_536;
const MAX_FRAME: u64 = 1_052_672;

/// A frame that is legal by itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    pub(super) flags: u8,
    pub(super) kind: u16,
    pub(super) request_id: u32,
    pub(super) fields: Reader<'a>,
    pub(super) blocks: Reader<'a>,
}

impl Frame<'_> {
    /// The envelope alone.
    pub(super) fn json(&self) -> Json {
        json!({
            "flags": decimal(self.flags),
            "type": decimal(self.kind),
            "request_id": decimal(self.request_id),
            "fields": hex(self.fields.rest()),
            "blocks": hex(self.blocks.rest()),
        })
    }
}

/// Exactly one frame.
pub(super) fn read<'a>(input: &'a [u8], context: &Context) -> Result<Frame<'a>, Fault> {
    let limit = if context.handshake { MAX_FRAME_BEFORE } else { MAX_FRAME };
    let mut reader = Reader::new(input);
    if reader.u8()? != 0x01 {
        return fail("UNSUPPORTED_VERSION", 0); // FRM-1
    }
    let flags = reader.u8()?;
    if flags & !0x01 != 0 {
        return fail("UNKNOWN_FLAG", 1); // FRM-2
    }
    let kind = reader.u16()?;
    let request_id = reader.u32()?;
    let fields_length = reader.u32()?;
    if 20 + u64::from(fields_length) > limit {
        return fail("TOO_LONG", 8); // FRM-3
    }
    let blocks_length = reader.u32()?;
    if 20 + u64::from(fields_length) + u64::from(blocks_length) > limit {
        return fail("TOO_LONG", 12); // FRM-3
    }
    let fields = reader.inner(fields_length as usize)?;
    let checksum_at = reader.at();
    let checksum = reader.take(4)?;
    if crc32(&input[..checksum_at]).to_be_bytes() != checksum {
        return fail("BAD_CHECKSUM", checksum_at); // FRM-4
    }
    let blocks = reader.inner(blocks_length as usize)?; // FRM-4
    reader.finish()?; // FRM-5
    Ok(Frame { flags, kind, request_id, fields, blocks })
}
