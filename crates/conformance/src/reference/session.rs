//! The messages that open, keep and end a connection (7.1, 7.2, 7.16 to 7.21).

use serde_json::{Value as Json, json};

use super::ids::{MAX_53, MAX_NODE_SEQ, NIL, Position};
use super::json::{decimal, hex, hex_text, position, uuid};
use super::message::Fields;
use super::reader::Zero;
use super::{Fault, fail, lists};

/// 7.1
pub(super) fn handshake(fields: &mut Fields<'_>) -> Result<(), Fault> {
    let protocol = fields.reader.text(1, 32, Zero::Legal)?; // MSG-8
    if !protocol.text.starts_with("blazedb-relay/") {
        return fail("BAD_MAGIC", protocol.from); // MSG-8
    }
    fields.put("protocol", Json::from(protocol.text));

    let min = fields.u16("min_version")?;
    let at = fields.reader.at();
    let max = fields.u16("max_version")?;
    if min > max {
        return fail("OUT_OF_ORDER", at); // MSG-9
    }

    let database = fields.reader.text(1, 64, Zero::Forbidden)?; // MSG-10
    if !is_database_name(database.text.as_bytes()) {
        return fail("BAD_NAME", database.from); // MSG-10
    }
    fields.put("database", Json::from(database.text));

    let at = fields.reader.at();
    let node = fields.reader.uuid()?;
    if node == NIL {
        return fail("BAD_NODE", at); // MSG-11
    }
    fields.put("node", uuid(&node));
    let node_key = hex(fields.reader.take(16)?);
    fields.put("node_key", node_key);

    let at = fields.reader.at();
    if fields.u64("highest_given_out")? > MAX_NODE_SEQ {
        return fail("BAD_NODE_SEQ", at); // MSG-11
    }
    seen(fields)?;

    let public_key = fields.reader.item(2, 1_024, Zero::Legal)?; // MSG-14
    fields.put("public_key", hex(public_key.bytes));
    let capabilities = lists::capabilities(&mut fields.reader)?;
    fields.put("capabilities", capabilities);
    authentication(fields, "authentication_method")?;
    let limits = lists::limits(&mut fields.reader)?;
    fields.put("limits", limits);
    Ok(())
}

/// Whether that is the name of a database.
fn is_database_name(name: &[u8]) -> bool {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mark = |byte: u8| matches!(byte, b'-' | b'_' | b'.');
    alphanumeric(name[0]) && name.iter().all(|byte| alphanumeric(*byte) || mark(*byte))
}

/// The positions seen.
fn seen(fields: &mut Fields<'_>) -> Result<(), Fault> {
    let mut seen: Vec<Position> = Vec::new();
    // MSG-12
    for _ in 0..fields.reader.count(1, 16, Zero::Legal)? {
        let at = fields.reader.at();
        let this = Position::read(&mut fields.reader)?;
        if this.epoch == 0 {
            return fail("BAD_POSITION", at);
        }
        if seen.iter().any(|before| before.epoch == this.epoch) {
            return fail("DUPLICATE", at);
        }
        seen.push(this);
    }
    fields.put("seen", Json::Array(seen.iter().map(position).collect()));
    Ok(())
}

/// An authentication and its method, which has that key.
fn authentication(fields: &mut Fields<'_>, key: &str) -> Result<(), Fault> {
    let method = fields.u16(key)?;
    let item = fields.reader.item(2, 8_192, Zero::Legal)?; // MSG-14
    if method == 0 && !item.bytes.is_empty() {
        return fail("NON_CANONICAL", item.length_at); // MSG-15
    }
    fields.put("authentication", hex(item.bytes));
    Ok(())
}

/// 7.2
pub(super) fn welcome(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.u16("version")?;
    let capabilities = lists::capabilities(&mut fields.reader)?;
    fields.put("capabilities", capabilities);
    epochs(fields)?;
    fields.position("agreed")?;

    let at = fields.reader.at();
    let restore_mode = match fields.reader.u8()? {
        1 => "keep",
        2 => "discard",
        _ => return fail("UNKNOWN_CODE", at), // MSG-18
    };
    fields.put("restore_mode", Json::from(restore_mode));

    let at = fields.reader.at();
    let mark = fields.u64("mark")?;
    if mark > MAX_NODE_SEQ {
        return fail("BAD_NODE_SEQ", at); // MSG-19
    }
    let at = fields.reader.at();
    let check = fields.reader.u32()?;
    if mark == 0 && check != 0 {
        return fail("NON_CANONICAL", at); // MSG-19
    }
    fields.put("check", Json::from(hex_text(&check.to_be_bytes())));

    fields.position("head")?;
    let limits = lists::limits(&mut fields.reader)?;
    fields.put("limits", limits);
    let at = fields.reader.at();
    let interval = fields.u32("heartbeat_interval")?;
    if !(1_000..=3_600_000).contains(&interval) {
        return fail("OUT_OF_RANGE", at); // MSG-20
    }
    fields.u64("relay_time")?;
    Ok(())
}

/// The epochs of a welcome.
fn epochs(fields: &mut Fields<'_>) -> Result<(), Fault> {
    let mut epochs: Vec<(u64, u64)> = Vec::new();
    // MSG-17
    for _ in 0..fields.reader.count(1, 17, Zero::Forbidden)? {
        let at = fields.reader.at();
        let epoch = fields.reader.u64()?;
        if epoch == 0 {
            return fail("BAD_POSITION", at);
        }
        if epochs.iter().any(|before| before.0 == epoch) {
            return fail("DUPLICATE", at);
        }
        let at = fields.reader.at();
        let begins = fields.reader.u64()?;
        if begins > MAX_53 {
            return fail("BAD_POSITION", at);
        }
        if epochs.last().is_some_and(|before| begins > before.1) {
            return fail("OUT_OF_ORDER", at);
        }
        epochs.push((epoch, begins));
    }
    let json = |(epoch, begins): &(u64, u64)| json!({ "epoch": decimal(epoch), "begins": decimal(begins) });
    fields.put("epochs", Json::Array(epochs.iter().map(json).collect()));
    Ok(())
}

/// 7.16
pub(super) fn authenticate(fields: &mut Fields<'_>) -> Result<(), Fault> {
    authentication(fields, "method")
}

/// 7.17
pub(super) fn authenticate_ack(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.u32("valid_for")?;
    Ok(())
}

/// 7.18, 7.19
pub(super) fn nonce(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.u64("nonce")?;
    Ok(())
}

/// 7.20
pub(super) fn error(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.u16("code")?;
    let at = fields.reader.at();
    let scope = match fields.reader.u8()? {
        0x01 => "request",
        0x02 => "connection",
        _ => return fail("UNKNOWN_CODE", at), // MSG-32
    };
    if scope == "request" && fields.request_id == 0 {
        return fail("BAD_REQUEST_ID", 4); // MSG-33
    }
    fields.put("scope", Json::from(scope));
    fields.u32("retry_after")?;
    let text = fields.reader.text(1, 255, Zero::Legal)?.text;
    fields.put("text", Json::from(text));
    Ok(())
}

/// 7.21
pub(super) fn goodbye(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.u16("reason")?;
    fields.u32("reconnect_after")?;
    fields.u32("jitter")?;
    Ok(())
}
