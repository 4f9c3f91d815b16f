//! The filter of a query (7.13).

use serde_json::{Value as Json, json};

use super::query::{Sources, path};
use super::reader::{Reader, Zero};
use super::value::{self, Around};
use super::{Fault, Place, fail};

/// The most ops of a filter.
const MAX_OPS: usize = 256;
/// The most `and`, `or` and `not` that are open at once.
const MAX_DEPTH: usize = 16;

/// The filter that begins here.
pub(super) fn read(reader: &mut Reader<'_>, sources: Sources) -> Result<Json, Fault> {
    expression(reader, sources, &mut 0, 0)
}

/// An expression after `ops` others and inside `open` ones. It calls itself for its operands, but never more
/// than 16 deep.
fn expression(
    reader: &mut Reader<'_>,
    sources: Sources,
    ops: &mut usize,
    open: usize,
) -> Result<Json, Fault> {
    let at = reader.at();
    let op = reader.u8()?;
    *ops += 1;
    if *ops > MAX_OPS {
        return fail("TOO_MANY", at); // QRY-7
    }
    if !matches!(op, 0x00..=0x03 | 0x10..=0x1A) {
        return fail("UNKNOWN_CODE", at); // QRY-2
    }
    if op == 0x00 && open > 0 {
        return fail("UNKNOWN_CODE", at); // QRY-5
    }
    if matches!(op, 0x01..=0x03) && open == MAX_DEPTH {
        return fail("TOO_DEEP", at); // QRY-7
    }
    Ok(match op {
        0x00 => json!({ "op": "all" }),
        0x01 | 0x02 => {
            let count = reader.count(1, 255, Zero::Forbidden)?; // QRY-6
            let mut of = Vec::new();
            for _ in 0..count {
                of.push(expression(reader, sources, ops, open + 1)?);
            }
            json!({ "op": if op == 0x01 { "and" } else { "or" }, "of": of })
        }
        0x03 => json!({ "op": "not", "of": expression(reader, sources, ops, open + 1)? }),
        0x10 => comparison("equal", reader, sources)?,
        0x11 => comparison("not_equal", reader, sources)?,
        0x12 => comparison("less", reader, sources)?,
        0x13 => comparison("less_or_equal", reader, sources)?,
        0x14 => comparison("greater", reader, sources)?,
        0x15 => comparison("greater_or_equal", reader, sources)?,
        0x16 => {
            let path = path(reader, sources)?;
            let mut values = Vec::new();
            // QRY-6
            for _ in 0..reader.count(2, 1_000, Zero::Forbidden)? {
                values.push(operand(reader)?);
            }
            json!({ "op": "in", "path": path, "values": values })
        }
        0x17 => {
            let path = path(reader, sources)?;
            let low = operand(reader)?;
            let high = operand(reader)?;
            json!({ "op": "between", "path": path, "low": low, "high": high })
        }
        0x18 => comparison("contains", reader, sources)?,
        0x19 => {
            let path = path(reader, sources)?;
            let text = reader.text(2, 1_024, Zero::Legal)?.text; // QRY-13
            json!({ "op": "starts_with", "path": path, "text": text })
        }
        // 1A: nothing else is left
        _ => json!({ "op": "exists", "path": path(reader, sources)? }),
    })
}

/// An op that has a path and a value.
fn comparison(name: &str, reader: &mut Reader<'_>, sources: Sources) -> Result<Json, Fault> {
    let path = path(reader, sources)?;
    let value = operand(reader)?;
    Ok(json!({ "op": name, "path": path, "value": value }))
}

/// A value to compare with.
fn operand(reader: &mut Reader<'_>) -> Result<Json, Fault> {
    value::read(reader, Place::Plain, &Around::NOTHING) // QRY-8
}
