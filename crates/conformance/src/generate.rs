//! Random meanings: the JSON of test-vectors/README.md for legal values, operations, blocks and messages.
//!
//! One generator serves property tests and fuzzing: it draws everything from bytes that the caller gives.
//! Numbers lean towards their boundaries.

mod message;

use arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::{Map, Value as Json, json};

use crate::meaning::{Target, hex};

/// A legal meaning for `target`.
///
/// # Errors
/// Never for want of bytes; only as [`Unstructured`] itself demands.
pub fn meaning(target: Target, u: &mut Unstructured<'_>) -> Result<Json> {
    match target {
        Target::Value => value(u, Place::Plain, 0),
        Target::Record => {
            let version = *u.choose(&["1", "2"])?;
            Ok(json!({ "version": version, "fields": fields(u, Place::Plain, 0)? }))
        }
        Target::Op => {
            let node = node(u)?;
            let node_seq = within(u, 1, (1 << 48) - 1)?;
            op(u, &node, node_seq)
        }
        Target::Block => {
            let holes = bool::arbitrary(u)?;
            block(u, holes)
        }
        Target::Frame => Ok(json!({
            "flags": u.choose(&["0", "1"])?,
            "type": u16::arbitrary(u)?.to_string(),
            "request_id": within(u, 0, u64::from(u32::MAX))?.to_string(),
            "fields": data(u, 64)?,
            "blocks": data(u, 64)?,
        })),
        Target::Message => message::message(u),
    }
}

/// Where a value stands, as in SPEC.md 4.1.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Plain,
    Field,
    Cell,
}

/// A number from `low` to `high`, both included, often at or beside a boundary.
fn within(u: &mut Unstructured<'_>, low: u64, high: u64) -> Result<u64> {
    let candidates = [low, high, low.saturating_add(1), high.saturating_sub(1), 255, 256, 65_535, 65_536];
    let candidate = *u.choose(&candidates)?;
    if u.ratio(1, 3)? && (low..=high).contains(&candidate) {
        Ok(candidate)
    } else {
        u.int_in_range(low..=high)
    }
}

fn uuid(u: &mut Unstructured<'_>) -> Result<uuid::Uuid> {
    Ok(uuid::Uuid::from_bytes(<[u8; 16]>::arbitrary(u)?))
}

/// A node: any UUID but nil.
fn node(u: &mut Unstructured<'_>) -> Result<String> {
    let node = uuid(u)?;
    Ok(if node.is_nil() { uuid::Uuid::max() } else { node }.to_string())
}

fn data(u: &mut Unstructured<'_>, max: usize) -> Result<String> {
    let len = u.int_in_range(0..=max)?;
    let mut bytes = vec![0; len];
    u.fill_buffer(&mut bytes)?;
    Ok(hex(&bytes))
}

/// Text of `min` to about `max` bytes, of characters of every length.
fn text(u: &mut Unstructured<'_>, min: usize, max: usize) -> Result<String> {
    let len = u.int_in_range(min..=max)?;
    let mut text = String::new();
    while text.len() < len {
        let c = match u.int_in_range(0..=9)? {
            0 => char::arbitrary(u)?,
            1 => *u.choose(&['\0', '"', '\\', 'é', '€', '𝄞', '\u{7F}', '\u{FFFF}'])?,
            _ => char::from(u.int_in_range(b' '..=b'~')?),
        };
        if text.len() + c.len_utf8() > max {
            text.push('x');
        } else {
            text.push(c);
        }
    }
    Ok(text)
}

/// Pairs with unique names, ascending by bytes.
fn named(
    u: &mut Unstructured<'_>,
    min: usize,
    mut name: impl FnMut(&mut Unstructured<'_>) -> Result<String>,
    mut value: impl FnMut(&mut Unstructured<'_>) -> Result<Json>,
) -> Result<Json> {
    let mut pairs = std::collections::BTreeMap::new();
    for i in 0..u.int_in_range(min..=4)? {
        let name = name(u)?;
        // A name that was drawn before is made another.
        let name = if pairs.contains_key(&name) { format!("{name}{i}") } else { name };
        pairs.insert(name, value(u)?);
    }
    Ok(pairs.into_iter().map(|(name, value)| json!([name, value])).collect())
}

fn fields(u: &mut Unstructured<'_>, place: Place, min: usize) -> Result<Json> {
    let name = |u: &mut Unstructured<'_>| {
        if bool::arbitrary(u)? {
            Ok((*u.choose(&blazedb_relay::registry::COMMON_NAMES)?).to_owned())
        } else {
            text(u, 1, 20)
        }
    };
    named(u, min, name, |u| value(u, place, 0))
}

fn value(u: &mut Unstructured<'_>, place: Place, depth: usize) -> Result<Json> {
    let deepest = if depth < 5 { 11 } else { 8 };
    let extra = match place {
        Place::Plain => 0,
        Place::Cell => 1,
        Place::Field => 3,
    };
    let kind = u.int_in_range(0..=deepest + extra)?;
    let entries = |u: &mut Unstructured<'_>, inner, min| {
        named(u, min, |u| text(u, 0, 12), |u| value(u, inner, depth + 1))
    };
    if kind > deepest {
        return Ok(match kind - deepest {
            1 => json!({ "type": "removed" }),
            2 => {
                // The base is below the timestamps that operations here have.
                let base = if bool::arbitrary(u)? {
                    json!({ "counter": "0", "node": uuid::Uuid::nil().to_string() })
                } else {
                    json!({ "counter": within(u, 1, LOWEST_COUNTER - 1)?.to_string(), "node": node(u)? })
                };
                json!({ "type": "counter", "base": base, "total": i64::arbitrary(u)?.to_string() })
            }
            _ if depth < 5 => json!({ "type": "patch", "entries": entries(u, Place::Field, 1)? }),
            _ => json!({ "type": "null" }),
        });
    }
    Ok(match kind {
        0 => json!({ "type": "null" }),
        1 => json!({ "type": "bool", "value": bool::arbitrary(u)? }),
        2 => {
            let boundary = *u.choose(&[0, 255, 256, -1, i64::MIN, i64::MAX])?;
            let int = if bool::arbitrary(u)? { boundary } else { i64::arbitrary(u)? };
            json!({ "type": "int", "value": int.to_string() })
        }
        3 | 4 => {
            let bits = if bool::arbitrary(u)? {
                *u.choose(&[0, 1 << 63, 0x7FF8_0000_0000_0001, 0x7FF0_0000_0000_0000])?
            } else {
                u64::arbitrary(u)?
            };
            json!({ "type": if kind == 3 { "double" } else { "date" }, "bits": format!("{bits:016x}") })
        }
        5 => {
            let max = *u.choose(&[1, 15, 16, 40])?;
            json!({ "type": "string", "value": text(u, 0, max)? })
        }
        6 => json!({ "type": "uuid", "value": uuid(u)?.to_string() }),
        7 => json!({ "type": "data", "hex": data(u, 40)? }),
        8 => match u.int_in_range(0..=1)? {
            0 => {
                let bits = (0..u.int_in_range(0..=4)?)
                    .map(|_| Ok(json!(format!("{:08x}", u32::arbitrary(u)?))))
                    .collect::<Result<Json>>()?;
                json!({ "type": "vector", "bits": bits })
            }
            _ => {
                let sealed = data(u, 20)?;
                json!({ "type": "sealed", "hex": if sealed.is_empty() { "00" } else { &sealed } })
            }
        },
        9 | 10 => {
            let items = (0..u.int_in_range(0..=4)?)
                .map(|_| value(u, Place::Plain, depth + 1))
                .collect::<Result<Json>>()?;
            json!({ "type": "array", "items": items })
        }
        _ => json!({ "type": "dictionary", "entries": entries(u, Place::Plain, 0)? }),
    })
}

/// Counters of operations begin here, so that there is room below for bases and previous versions.
const LOWEST_COUNTER: u64 = 1_000;

fn op(u: &mut Unstructured<'_>, deliverer: &str, node_seq: u64) -> Result<Json> {
    let kind = *u.choose(&["insert", "update", "update", "delete"])?;
    let fields = if kind == "delete" { json!([]) } else { fields(u, Place::Field, 1)? };
    let author = if bool::arbitrary(u)? { deliverer.to_owned() } else { node(u)? };
    let counter = within(u, LOWEST_COUNTER, (1 << 53) - 1)?;
    let previous = if kind == "update" && bool::arbitrary(u)? {
        json!({ "counter": within(u, 1, LOWEST_COUNTER - 1)?.to_string(), "node": node(u)? })
    } else {
        Json::Null
    };
    let longest = *u.choose(&[4, 20, 128])?;
    Ok(json!({
        "node": deliverer,
        "node_seq": node_seq.to_string(),
        "timestamp": { "counter": counter.to_string(), "node": author },
        "kind": kind,
        "record": uuid(u)?.to_string(),
        "collection": text(u, 1, longest)?,
        "previous": previous,
        "fields": fields,
    }))
}

/// A block; with `holes`, one from which at least one operation is left out.
fn block(u: &mut Unstructured<'_>, holes: bool) -> Result<Json> {
    let node = node(u)?;
    let first = within(u, 1, (1 << 48) - 100)?;
    block_of(u, &node, first, holes)
}

/// The same for a given node and first number.
fn block_of(u: &mut Unstructured<'_>, node: &str, first: u64, holes: bool) -> Result<Json> {
    let span: u64 = u.int_in_range(if holes { 2..=6 } else { 1..=3 })?;
    let mut there: Vec<u64> = (0..span).collect();
    if holes {
        for _ in 0..u.int_in_range(1..=span - 1)? {
            let out = u.choose_index(there.len())?;
            there.remove(out);
        }
    }
    let ops = there.iter().map(|i| op(u, node, first + i)).collect::<Result<Json>>()?;
    Ok(json!({
        "encoding": "rows",
        "compressed": false,
        "holes": holes,
        "node": node,
        "first_node_seq": first.to_string(),
        "span": span.to_string(),
        "ops": ops,
    }))
}

/// Joins JSON objects into one.
fn joined(parts: impl IntoIterator<Item = Json>) -> Json {
    let mut all = Map::new();
    for part in parts {
        if let Json::Object(part) = part {
            all.extend(part);
        }
    }
    Json::Object(all)
}
