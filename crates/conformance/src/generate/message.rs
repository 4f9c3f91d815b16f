//! Messages.

use std::collections::BTreeSet;

use arbitrary::{Arbitrary, Result, Unstructured};
use serde_json::{Value as Json, json};

use super::{Place, block, block_of, data, joined, node, text, uuid, value, within};
use crate::meaning::hex;

/// Names of messages, as in the JSON form.
const KINDS: [&str; 21] = [
    "handshake",
    "welcome",
    "sync_state_request",
    "sync_state",
    "pull_request",
    "pull_response",
    "push",
    "push_ack",
    "subscribe",
    "unsubscribe",
    "update",
    "update_ack",
    "query",
    "query_response",
    "authenticate",
    "authenticate_ack",
    "ping",
    "pong",
    "error",
    "goodbye",
    "unknown",
];

pub(super) fn message(u: &mut Unstructured<'_>) -> Result<Json> {
    let kind = *u.choose(&KINDS)?;
    let some_id = u.int_in_range(1..=u32::MAX)?.to_string();
    if kind == "unknown" {
        return Ok(json!({
            "type": "unknown",
            "code": (u16::arbitrary(u)? | 1).to_string(),
            "flags": u.choose(&["0", "1"])?,
            "request_id": some_id,
            "fields": data(u, 40)?,
            "blocks": data(u, 40)?,
        }));
    }
    let mut more = false;
    let (request_id, fields) = match kind {
        "handshake" => ("0".into(), handshake(u)?),
        "welcome" => ("0".into(), welcome(u)?),
        "sync_state_request" => (some_id, json!({})),
        "sync_state" => (some_id, sync_state(u)?),
        "pull_request" => (some_id, joined([json!({ "from": position(u)? }), collections(u)?, page(u)?])),
        "pull_response" => {
            let has_more = bool::arbitrary(u)?;
            let next = json!({ "next": position(u)?, "has_more": has_more });
            (some_id, joined([next, log_blocks(u)?]))
        }
        "push" => (some_id, push(u)?),
        "push_ack" => (some_id, json!({ "entries": entries(u)? })),
        "subscribe" => {
            let own = json!({ "subscription": number32(u)?, "from": position(u)?, "window": number(u)? });
            (some_id, joined([own, collections(u)?]))
        }
        "unsubscribe" => ("0".into(), json!({ "subscription": number32(u)? })),
        "update" => {
            let (previous, new) = (position(u)?, position(u)?);
            let own = json!({ "subscription": number32(u)?, "previous": previous, "new": new });
            ("0".into(), joined([own, log_blocks(u)?]))
        }
        "update_ack" => {
            let own = json!({ "subscription": number32(u)?, "position": position(u)?, "window": number(u)? });
            ("0".into(), own)
        }
        "query" => (some_id, query(u)?),
        "query_response" => {
            more = bool::arbitrary(u)?;
            (some_id, query_response(u, more)?)
        }
        "authenticate" => {
            let (method, token) = authentication(u)?;
            (some_id, json!({ "method": method, "authentication": token }))
        }
        "authenticate_ack" => (some_id, json!({ "valid_for": number32(u)? })),
        "ping" | "pong" => ("0".into(), json!({ "nonce": number(u)? })),
        "error" => {
            let scope = *u.choose(&["request", "connection"])?;
            let own = json!({
                "code": u16::arbitrary(u)?.to_string(),
                "scope": scope,
                "retry_after": number32(u)?,
                "text": text(u, 0, 255)?,
            });
            (if scope == "request" || bool::arbitrary(u)? { some_id } else { "0".into() }, own)
        }
        _ => {
            let own = json!({
                "reason": u16::arbitrary(u)?.to_string(),
                "reconnect_after": number32(u)?,
                "jitter": number32(u)?,
            });
            ("0".into(), own)
        }
    };
    let envelope = json!({
        "type": kind,
        "request_id": request_id,
        "more": more,
        "extensions": extensions(u)?,
    });
    Ok(joined([envelope, fields]))
}

fn number(u: &mut Unstructured<'_>) -> Result<String> {
    Ok(within(u, 0, u64::MAX)?.to_string())
}

fn number32(u: &mut Unstructured<'_>) -> Result<String> {
    Ok(within(u, 0, u64::from(u32::MAX))?.to_string())
}

/// A position; sometimes the start.
fn position(u: &mut Unstructured<'_>) -> Result<Json> {
    if u.ratio(1, 4)? {
        return Ok(json!({ "epoch": "0", "seq": "0" }));
    }
    Ok(json!({
        "epoch": within(u, 1, u64::MAX)?.to_string(),
        "seq": within(u, 0, (1 << 53) - 1)?.to_string(),
    }))
}

/// Up to `max` different numbers, ascending.
fn ascending(u: &mut Unstructured<'_>, max: usize, low: u64, high: u64) -> Result<Vec<u64>> {
    let mut all = BTreeSet::new();
    for _ in 0..u.int_in_range(0..=max)? {
        all.insert(within(u, low, high)?);
    }
    Ok(all.into_iter().collect())
}

fn strings(numbers: Vec<u64>) -> Json {
    numbers.into_iter().map(|number| json!(number.to_string())).collect()
}

/// Odd types only: even ones are unknown, and those may not be ignored.
fn extensions(u: &mut Unstructured<'_>) -> Result<Json> {
    let types: BTreeSet<_> = ascending(u, 3, 0, 0xFFFF)?.into_iter().map(|kind| kind | 1).collect();
    types.into_iter().map(|kind| Ok(json!({ "type": kind.to_string(), "hex": data(u, 20)? }))).collect()
}

fn limits(u: &mut Unstructured<'_>) -> Result<Json> {
    let ids = ascending(u, 5, 0, 0xFFFF)?;
    ids.into_iter().map(|id| Ok(json!({ "id": id.to_string(), "value": number(u)? }))).collect()
}

fn authentication(u: &mut Unstructured<'_>) -> Result<(String, String)> {
    if bool::arbitrary(u)? {
        return Ok(("0".into(), String::new()));
    }
    Ok((within(u, 1, 0xFFFF)?.to_string(), data(u, 60)?))
}

fn database(u: &mut Unstructured<'_>) -> Result<String> {
    let first = *u.choose(b"abcxyz0189")?;
    let mut name = String::from(char::from(first));
    for _ in 0..u.int_in_range(0..=63)? {
        name.push(char::from(*u.choose(b"abcxyz0189-_.")?));
    }
    Ok(name)
}

fn handshake(u: &mut Unstructured<'_>) -> Result<Json> {
    let (method, token) = authentication(u)?;
    let versions = [u16::arbitrary(u)?, u16::arbitrary(u)?];
    let seen = ascending(u, 16, 1, u64::MAX)?
        .into_iter()
        .map(|epoch| {
            Ok(json!({ "epoch": epoch.to_string(), "seq": within(u, 0, (1 << 53) - 1)?.to_string() }))
        })
        .collect::<Result<Json>>()?;
    Ok(json!({
        "protocol": format!("blazedb-relay/{}", text(u, 0, 18)?),
        "min_version": versions[0].min(versions[1]).to_string(),
        "max_version": versions[0].max(versions[1]).to_string(),
        "database": database(u)?,
        "node": node(u)?,
        "node_key": hex(uuid(u)?.as_bytes()),
        "highest_given_out": within(u, 0, (1 << 48) - 1)?.to_string(),
        "seen": seen,
        "public_key": data(u, 40)?,
        "capabilities": strings(ascending(u, 8, 0, 0xFFFF)?),
        "authentication_method": method,
        "authentication": token,
        "limits": limits(u)?,
    }))
}

fn welcome(u: &mut Unstructured<'_>) -> Result<Json> {
    let mut begins = within(u, 0, (1 << 53) - 1)?;
    let mut all = ascending(u, 16, 1, u64::MAX)?;
    if all.is_empty() {
        all.push(1);
    }
    let mut epochs = Vec::new();
    for epoch in all {
        epochs.push(json!({ "epoch": epoch.to_string(), "begins": begins.to_string() }));
        begins = within(u, 0, begins)?;
    }
    let mark = within(u, 0, (1 << 48) - 1)?;
    let check = if mark == 0 { 0 } else { u32::arbitrary(u)? };
    Ok(json!({
        "version": u16::arbitrary(u)?.to_string(),
        "capabilities": strings(ascending(u, 8, 0, 0xFFFF)?),
        "epochs": epochs,
        "agreed": position(u)?,
        "restore_mode": u.choose(&["keep", "discard"])?,
        "mark": mark.to_string(),
        "check": format!("{check:08x}"),
        "head": position(u)?,
        "limits": limits(u)?,
        "heartbeat_interval": within(u, 1_000, 3_600_000)?.to_string(),
        "relay_time": number(u)?,
    }))
}

fn sync_state(u: &mut Unstructured<'_>) -> Result<Json> {
    Ok(json!({
        "head": position(u)?,
        "operations": number(u)?,
        "nodes": number(u)?,
        "live_records": number(u)?,
        "collections": number(u)?,
    }))
}

fn page(u: &mut Unstructured<'_>) -> Result<Json> {
    Ok(json!({ "max_operations": number32(u)?, "max_bytes": number32(u)? }))
}

fn collections(u: &mut Unstructured<'_>) -> Result<Json> {
    let mut names = BTreeSet::new();
    for _ in 0..u.int_in_range(0..=4)? {
        names.insert(text(u, 1, 20)?);
    }
    Ok(json!({ "collections": names }))
}

fn log_blocks(u: &mut Unstructured<'_>) -> Result<Json> {
    let seqs = ascending(u, 3, 1, (1 << 53) - 1)?;
    let blocks = seqs
        .iter()
        .map(|_| {
            let holes = bool::arbitrary(u)?;
            block(u, holes)
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(json!({ "first_seqs": strings(seqs), "blocks": blocks }))
}

fn push(u: &mut Unstructured<'_>) -> Result<Json> {
    let node = node(u)?;
    let mut first = within(u, 1, (1 << 48) - 100)?;
    let mut blocks = Vec::new();
    let mut ids = crc32fast::Hasher::new();
    for _ in 0..u.int_in_range(1..=3)? {
        let block = block_of(u, &node, first, false)?;
        for op in block["ops"].as_array().into_iter().flatten() {
            ids.update(&op_id(op));
        }
        first += block["span"].as_str().and_then(|span| span.parse::<u64>().ok()).unwrap_or(1);
        blocks.push(block);
    }
    Ok(json!({ "ids_check": format!("{:08x}", ids.finalize()), "blocks": blocks }))
}

/// The id of an operation (SPEC.md 3.4), a second time.
fn op_id(op: &Json) -> [u8; 16] {
    let node = op["node"].as_str().and_then(|node| uuid::Uuid::parse_str(node).ok()).unwrap_or_default();
    let number: u64 = op["node_seq"].as_str().and_then(|number| number.parse().ok()).unwrap_or(0);
    let mut id = *node.as_bytes();
    id[..6].copy_from_slice(&number.to_be_bytes()[2..]);
    id[6] = id[6] & 0x0F | 0x80;
    id
}

fn entries(u: &mut Unstructured<'_>) -> Result<Json> {
    let mut all = Vec::new();
    let (count, taken) = (u.int_in_range(1..=4)?, u.int_in_range(0..=4)?);
    for i in 0..count {
        all.push(if i >= taken {
            json!({ "status": "later", "wait": number32(u)? })
        } else if bool::arbitrary(u)? {
            let first = within(u, 1, (1 << 53) - 1)?;
            json!({
                "status": "accepted",
                "epoch": within(u, 1, u64::MAX)?.to_string(),
                "first_seq": first.to_string(),
                "last_seq": within(u, first, (1 << 53) - 1)?.to_string(),
            })
        } else {
            let (code, index) = (u16::arbitrary(u)?, u16::arbitrary(u)?);
            json!({ "status": "refused", "code": code.to_string(), "index": index.to_string() })
        });
    }
    Ok(Json::Array(all))
}

fn path(u: &mut Unstructured<'_>, low: u64, high: u64) -> Result<Json> {
    let source = u.int_in_range(low..=high)?;
    let components = (0..u.int_in_range(0..=3)?).map(|_| text(u, 1, 12)).collect::<Result<Vec<_>>>()?;
    Ok(json!({ "source": source.to_string(), "components": components }))
}

fn filter(u: &mut Unstructured<'_>, sources: u64, depth: usize) -> Result<Json> {
    const COMPARE: [&str; 7] =
        ["equal", "not_equal", "less", "less_or_equal", "greater", "greater_or_equal", "contains"];
    let plain = |u: &mut Unstructured<'_>| value(u, Place::Plain, 3);
    if depth < 4 && u.ratio(1, 3)? {
        if u.ratio(1, 3)? {
            return Ok(json!({ "op": "not", "of": filter(u, sources, depth + 1)? }));
        }
        let op = *u.choose(&["and", "or"])?;
        let of =
            (0..u.int_in_range(1..=3)?).map(|_| filter(u, sources, depth + 1)).collect::<Result<Vec<_>>>()?;
        return Ok(json!({ "op": op, "of": of }));
    }
    let path = path(u, 0, sources)?;
    Ok(match u.int_in_range(0..=4)? {
        0 => {
            let values = (0..u.int_in_range(1..=3)?).map(|_| plain(u)).collect::<Result<Vec<_>>>()?;
            json!({ "op": "in", "path": path, "values": values })
        }
        1 => json!({ "op": "between", "path": path, "low": plain(u)?, "high": plain(u)? }),
        2 => json!({ "op": "starts_with", "path": path, "text": text(u, 0, 20)? }),
        3 => json!({ "op": "exists", "path": path }),
        _ => json!({ "op": u.choose(&COMPARE)?, "path": path, "value": plain(u)? }),
    })
}

fn query(u: &mut Unstructured<'_>) -> Result<Json> {
    let mut joins = Vec::new();
    for i in 1..=u.int_in_range(0..=4u64)? {
        joins.push(json!({
            "kind": u.choose(&["inner", "left"])?,
            "collection": text(u, 1, 20)?,
            "left": path(u, 0, i - 1)?,
            "right": path(u, i, i)?,
        }));
    }
    let sources = joins.len() as u64;
    let paths = |u: &mut Unstructured<'_>, max| {
        (0..u.int_in_range(0..=max)?).map(|_| path(u, 0, sources)).collect::<Result<Vec<_>>>()
    };
    let group_by = paths(u, 2)?;
    let mut aggregates = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let function = *u.choose(&["count", "sum", "avg", "min", "max"])?;
        aggregates.push(json!({ "function": function, "path": path(u, 0, sources)? }));
    }
    let projection = if group_by.is_empty() && aggregates.is_empty() { paths(u, 4)? } else { Vec::new() };
    let mut sort = Vec::new();
    for _ in 0..u.int_in_range(0..=3)? {
        let direction = *u.choose(&["ascending", "descending"])?;
        sort.push(if aggregates.is_empty() || bool::arbitrary(u)? {
            json!({ "path": path(u, 0, sources)?, "direction": direction })
        } else {
            let index = u.choose_index(aggregates.len())?;
            json!({ "aggregate": index.to_string(), "direction": direction })
        });
    }
    let filter = if u.ratio(1, 4)? { json!({ "op": "all" }) } else { filter(u, sources, 0)? };
    Ok(json!({
        "collection": text(u, 1, 20)?,
        "after": position(u)?,
        "joins": joins,
        "filter": filter,
        "group_by": group_by,
        "aggregates": aggregates,
        "projection": projection,
        "sort": sort,
        "limit": within(u, 0, 10_000)?.to_string(),
        "cursor": data(u, 30)?,
    }))
}

fn query_response(u: &mut Unstructured<'_>, more: bool) -> Result<Json> {
    let columns = u.int_in_range(1..=4)?;
    let rows = (0..u.int_in_range(0..=3)?)
        .map(|_| (0..columns).map(|_| value(u, Place::Cell, 2)).collect::<Result<Json>>())
        .collect::<Result<Vec<_>>>()?;
    Ok(json!({
        "at": position(u)?,
        "columns": columns.to_string(),
        "rows": rows,
        "cursor": if more { String::new() } else { data(u, 30)? },
    }))
}
