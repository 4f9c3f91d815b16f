//! Lists that several messages have (7, 8).

use serde_json::{Value as Json, json};

use super::ids::{self, MAX_53};
use super::json::{decimal, hex};
use super::reader::{Reader, Zero, ascending};
use super::{Fault, fail};

/// The extension block.
pub(super) fn extensions(reader: &mut Reader<'_>) -> Result<Vec<Json>, Fault> {
    let mut extensions = Vec::new();
    let mut before = None;
    for _ in 0..reader.count(1, 16, Zero::Legal)? {
        let at = reader.at();
        let kind = reader.u16()?;
        ascending(before, kind, at)?; // EXT-1
        before = Some(kind);
        if kind % 2 == 0 {
            return fail("UNKNOWN_EXTENSION", at); // EXT-3
        }
        let content = reader.item(2, 1_024, Zero::Legal)?; // EXT-2
        extensions.push(json!({ "type": decimal(kind), "hex": hex(content.bytes) }));
    }
    Ok(extensions)
}

/// Capabilities.
pub(super) fn capabilities(reader: &mut Reader<'_>) -> Result<Json, Fault> {
    let mut capabilities = Vec::new();
    let mut before = None;
    // MSG-13
    for _ in 0..reader.count(1, 64, Zero::Legal)? {
        let at = reader.at();
        let capability = reader.u16()?;
        ascending(before, capability, at)?;
        before = Some(capability);
        capabilities.push(decimal(capability));
    }
    Ok(Json::Array(capabilities))
}

/// Limits.
pub(super) fn limits(reader: &mut Reader<'_>) -> Result<Json, Fault> {
    let mut limits = Vec::new();
    let mut before = None;
    // MSG-16
    for _ in 0..reader.count(1, 32, Zero::Legal)? {
        let at = reader.at();
        let id = reader.u16()?;
        ascending(before, id, at)?;
        before = Some(id);
        limits.push(json!({ "id": decimal(id), "value": decimal(reader.u64()?) }));
    }
    Ok(Json::Array(limits))
}

/// Names of collections.
pub(super) fn collections(reader: &mut Reader<'_>) -> Result<Json, Fault> {
    let mut collections = Vec::new();
    let mut before = None;
    // MSG-21
    for _ in 0..reader.count(2, 256, Zero::Legal)? {
        let name = ids::name(reader)?; // OPS-12
        ascending(before, name.text, name.length_at)?;
        before = Some(name.text);
        collections.push(Json::from(name.text));
    }
    Ok(Json::Array(collections))
}

/// The seqs of the first operations of blocks.
pub(super) fn first_seqs(reader: &mut Reader<'_>) -> Result<Vec<Json>, Fault> {
    let mut seqs = Vec::new();
    let mut before = 0;
    // MSG-22
    for _ in 0..reader.count(2, 1_024, Zero::Legal)? {
        let at = reader.at();
        let seq = reader.u64()?;
        if seq > MAX_53 || seq <= before {
            return fail("BAD_POSITION", at);
        }
        before = seq;
        seqs.push(decimal(seq));
    }
    Ok(seqs)
}
