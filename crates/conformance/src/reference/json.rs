//! The pieces that meanings are made of (test-vectors/README.md).

use core::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::ids::{Position, Timestamp};

/// An integer.
pub(super) fn decimal(number: impl ToString) -> Json {
    Json::String(number.to_string())
}

/// Bytes as hex.
pub(super) fn hex_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}"); // a string takes all
    }
    text
}

/// Bytes.
pub(super) fn hex(bytes: &[u8]) -> Json {
    Json::String(hex_text(bytes))
}

/// A UUID.
pub(super) fn uuid(uuid: &[u8; 16]) -> Json {
    let hex = hex_text(uuid);
    Json::String([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}

/// A timestamp.
pub(super) fn timestamp(timestamp: &Timestamp) -> Json {
    json!({ "counter": decimal(timestamp.counter), "node": uuid(&timestamp.node) })
}

/// A position.
pub(super) fn position(position: &Position) -> Json {
    json!({ "epoch": decimal(position.epoch), "seq": decimal(position.seq) })
}
