//! Query and query response (7.13, 7.14).

use serde_json::{Value as Json, json};

use super::json::{decimal, hex};
use super::message::Fields;
use super::reader::{Reader, Zero};
use super::value::{self, Around};
use super::{Fault, Place, fail, filter, ids};

/// The sources that a path may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sources {
    /// The lowest.
    pub(super) low: usize,
    /// The highest.
    pub(super) high: usize,
}

/// 7.13
pub(super) fn query(fields: &mut Fields<'_>) -> Result<(), Fault> {
    let collection = ids::name(&mut fields.reader)?.text; // OPS-12
    fields.put("collection", Json::from(collection));
    fields.position("after")?;

    // QRY-1
    let joins = fields.reader.count(1, 4, Zero::Legal)?;
    let mut list = Vec::new();
    for number in 1..=joins {
        list.push(join(&mut fields.reader, number)?);
    }
    fields.put("joins", Json::Array(list));

    let sources = Sources { low: 0, high: joins };
    let filter = filter::read(&mut fields.reader, sources)?;
    fields.put("filter", filter);

    // QRY-1
    let groups = fields.reader.count(1, 8, Zero::Legal)?;
    paths(fields, "group_by", groups, sources)?;

    // QRY-1
    let aggregates = fields.reader.count(1, 16, Zero::Legal)?;
    let mut list = Vec::new();
    for _ in 0..aggregates {
        list.push(aggregate(&mut fields.reader, sources)?);
    }
    fields.put("aggregates", Json::Array(list));

    // QRY-1
    let at = fields.reader.at();
    let projection = fields.reader.count(1, 64, Zero::Legal)?;
    if projection > 0 && (aggregates > 0 || groups > 0) {
        return fail("NON_CANONICAL", at); // QRY-9
    }
    paths(fields, "projection", projection, sources)?;

    // QRY-1
    let mut list = Vec::new();
    for _ in 0..fields.reader.count(1, 8, Zero::Legal)? {
        list.push(sort_key(&mut fields.reader, sources, aggregates)?);
    }
    fields.put("sort", Json::Array(list));

    let at = fields.reader.at();
    if fields.u32("limit")? > 10_000 {
        return fail("OUT_OF_RANGE", at); // QRY-11
    }
    let cursor = fields.reader.item(2, 1_024, Zero::Legal)?; // QRY-12
    fields.put("cursor", hex(cursor.bytes));
    Ok(())
}

/// Join `number`, from 1.
fn join(reader: &mut Reader<'_>, number: usize) -> Result<Json, Fault> {
    let at = reader.at();
    let kind = match reader.u8()? {
        0x01 => "inner",
        0x02 => "left",
        _ => return fail("UNKNOWN_CODE", at), // QRY-2
    };
    let collection = ids::name(reader)?.text; // OPS-12
    let left = path(reader, Sources { low: 0, high: number - 1 })?; // QRY-4
    let right = path(reader, Sources { low: number, high: number })?; // QRY-4
    Ok(json!({ "kind": kind, "collection": collection, "left": left, "right": right }))
}

fn aggregate(reader: &mut Reader<'_>, sources: Sources) -> Result<Json, Fault> {
    let at = reader.at();
    let function = match reader.u8()? {
        0x01 => "count",
        0x02 => "sum",
        0x03 => "avg",
        0x04 => "min",
        0x05 => "max",
        _ => return fail("UNKNOWN_CODE", at), // QRY-2
    };
    Ok(json!({ "function": function, "path": path(reader, sources)? }))
}

fn sort_key(reader: &mut Reader<'_>, sources: Sources, aggregates: usize) -> Result<Json, Fault> {
    let at = reader.at();
    let (key, value) = match reader.u8()? {
        0x01 => ("path", path(reader, sources)?),
        0x02 => {
            let at = reader.at();
            let index = reader.u8()?;
            if usize::from(index) >= aggregates {
                return fail("OUT_OF_RANGE", at); // QRY-10
            }
            ("aggregate", decimal(index))
        }
        _ => return fail("UNKNOWN_CODE", at), // QRY-2
    };
    let at = reader.at();
    let direction = match reader.u8()? {
        0x01 => "ascending",
        0x02 => "descending",
        _ => return fail("UNKNOWN_CODE", at), // QRY-2
    };
    Ok(json!({ key: value, "direction": direction }))
}

fn paths(fields: &mut Fields<'_>, key: &str, count: usize, sources: Sources) -> Result<(), Fault> {
    let mut list = Vec::new();
    for _ in 0..count {
        list.push(path(&mut fields.reader, sources)?);
    }
    fields.put(key, Json::Array(list));
    Ok(())
}

/// A path.
pub(super) fn path(reader: &mut Reader<'_>, sources: Sources) -> Result<Json, Fault> {
    let at = reader.at();
    let source = reader.u8()?;
    if !(sources.low..=sources.high).contains(&usize::from(source)) {
        return fail("OUT_OF_RANGE", at); // QRY-4
    }
    let mut components = Vec::new();
    // QRY-3
    for _ in 0..reader.count(1, 16, Zero::Legal)? {
        components.push(reader.text(2, 1_024, Zero::Forbidden)?.text);
    }
    Ok(json!({ "source": decimal(source), "components": components }))
}

/// 7.14
pub(super) fn query_response(fields: &mut Fields<'_>) -> Result<(), Fault> {
    fields.position("at")?;
    // QRY-14
    let columns = fields.reader.count(2, 128, Zero::Forbidden)?;
    fields.put("columns", decimal(columns));
    let mut rows = Vec::new();
    for _ in 0..fields.reader.count(2, 10_000, Zero::Legal)? {
        let mut row = Vec::new();
        for _ in 0..columns {
            row.push(value::read(&mut fields.reader, Place::Cell, &Around::NOTHING)?); // QRY-15
        }
        rows.push(Json::Array(row));
    }
    fields.put("rows", Json::Array(rows));

    let cursor = fields.reader.item(2, 1_024, Zero::Legal)?; // QRY-12
    if fields.more && !cursor.bytes.is_empty() {
        return fail("NON_CANONICAL", cursor.length_at); // QRY-16
    }
    fields.put("cursor", hex(cursor.bytes));
    Ok(())
}
