//! The messages that read a log (7.3 to 7.6, 7.9 to 7.12).

use serde_json::Value as Json;

use super::message::Fields;
use super::{Fault, fail, lists};

/// 7.3: extensions only.
pub(super) fn sync_state_request(_: &mut Fields<'_>) -> Result<(), Fault> {
    Ok(())
}

/// 7.4
pub(super) fn sync_state(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.position("head")?;
    fields.u64("operations")?;
    fields.u64("nodes")?;
    fields.u64("live_records")?;
    fields.u64("collections")?;
    Ok(())
}

/// 7.5
pub(super) fn pull_request(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.position("from")?;
    collections(fields)?;
    fields.u32("max_operations")?;
    fields.u32("max_bytes")?;
    Ok(())
}

/// 7.6
pub(super) fn pull_response(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.position("next")?;
    let at = fields.reader.at();
    let has_more = fields.reader.u8()?;
    if has_more > 1 {
        return fail("BAD_BOOL", at); // MSG-23
    }
    fields.put("has_more", Json::Bool(has_more == 1));
    first_seqs(fields)
}

/// 7.9
pub(super) fn subscribe(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.u32("subscription")?;
    fields.position("from")?;
    fields.u64("window")?;
    collections(fields)
}

/// 7.10
pub(super) fn unsubscribe(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.u32("subscription")?;
    Ok(())
}

/// 7.11
pub(super) fn update(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.u32("subscription")?;
    fields.position("previous")?;
    fields.position("new")?;
    first_seqs(fields)
}

/// 7.12
pub(super) fn update_ack(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.u32("subscription")?;
    fields.position("position")?;
    fields.u64("window")?;
    Ok(())
}

fn collections(fields: &mut Fields<'_>) -> Result<(), Fault> {
    let collections = lists::collections(&mut fields.reader)?;
    fields.put("collections", collections);
    Ok(())
}

/// One for each block that follows.
fn first_seqs(fields: &mut Fields<'_>) -> Result<(), Fault> {
    let seqs = lists::first_seqs(&mut fields.reader)?;
    fields.blocks = seqs.len();
    fields.put("first_seqs", Json::Array(seqs));
    Ok(())
}
