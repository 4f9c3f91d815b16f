//! Push and its ack (7.7, 7.8).

use serde_json::{Value as Json, json};

use super::block::Header;
use super::ids::MAX_53;
use super::json::{decimal, hex_text};
use super::message::Fields;
use super::reader::{Reader, Zero};
use super::{Fault, fail};

/// 7.7
pub(super) fn push(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.blocks = fields.reader.count(2, 1_024, Zero::Forbidden)?; // MSG-25
    let at = fields.reader.at();
    let check = fields.reader.u32()?;
    fields.ids_check = Some((at, check)); // MSG-24 comes last of all
    fields.put("ids_check", Json::from(hex_text(&check.to_be_bytes())));
    Ok(())
}

/// What a push demands of the header of a block, beside the one before it.
pub(super) fn header(before: Option<&Header>, this: &Header) -> Result<(), Fault> {
    if this.holes {
        return fail("NOT_CONTIGUOUS", this.start + 1); // MSG-26
    }
    // MSG-27
    if let Some(before) = before {
        if this.node != before.node {
            return fail("MIXED_NODES", this.start + 12);
        }
        if this.first_node_seq != before.first_node_seq + u64::from(before.span) {
            return fail("NOT_CONTIGUOUS", this.start + 6);
        }
    }
    Ok(())
}

/// 7.8
pub(super) fn push_ack(fields: &mut Fields<'_>) -> Result<(), Fault> {
    let mut entries = Vec::new();
    let mut later = false;
    // MSG-28
    for _ in 0..fields.reader.count(2, 1_024, Zero::Forbidden)? {
        let at = fields.reader.at();
        let status = fields.reader.u8()?;
        if !matches!(status, 0x01..=0x03) {
            return fail("UNKNOWN_CODE", at); // MSG-29
        }
        if later && status != 0x03 {
            return fail("OUT_OF_ORDER", at); // MSG-31
        }
        later = status == 0x03;
        entries.push(match status {
            0x01 => accepted(&mut fields.reader)?,
            0x02 => {
                let (code, index) = (fields.reader.u16()?, fields.reader.u16()?);
                json!({ "status": "refused", "code": decimal(code), "index": decimal(index) })
            }
            _ => json!({ "status": "later", "wait": decimal(fields.reader.u32()?) }),
        });
    }
    fields.put("entries", Json::Array(entries));
    Ok(())
}

/// An accepted entry after its status.
fn accepted(reader: &mut Reader<'_>) -> Result<Json, Fault> {
    // MSG-30
    let at = reader.at();
    let epoch = reader.u64()?;
    if epoch == 0 {
        return fail("BAD_POSITION", at);
    }
    let at = reader.at();
    let first = reader.u64()?;
    if !(1..=MAX_53).contains(&first) {
        return fail("BAD_POSITION", at);
    }
    let at = reader.at();
    let last = reader.u64()?;
    if !(first..=MAX_53).contains(&last) {
        return fail("BAD_POSITION", at);
    }
    Ok(json!({
        "status": "accepted",
        "epoch": decimal(epoch),
        "first_seq": decimal(first),
        "last_seq": decimal(last),
    }))
}
