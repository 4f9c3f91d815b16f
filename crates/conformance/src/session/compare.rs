//! What a vector wants, against what an end did.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::{Role, meaning};
use crate::meaning::unhex;

/// What differs between the outputs that a vector wants and those that came.
#[must_use]
pub fn differ(role: Role, wanted: &[Json], got: &[Json]) -> Option<String> {
    let (wanted, got) = (groups(role, wanted), groups(role, got));
    for key in wanted.keys().chain(got.keys()) {
        let none = Vec::new();
        let (wanted, got) = (wanted.get(key).unwrap_or(&none), got.get(key).unwrap_or(&none));
        for at in 0..wanted.len().max(got.len()) {
            let (wanted, got) = (wanted.get(at), got.get(at));
            let same = matches!((wanted, got), (Some(wanted), Some(got)) if fits(wanted, got));
            if !same {
                let show = |output: Option<&Json>| output.map_or_else(|| "nothing".into(), Json::to_string);
                let place = if key.is_empty() { String::new() } else { format!("{key}: ") };
                return Some(format!("{place}wanted {}, got {}", show(wanted), show(got)));
            }
        }
    }
    None
}

/// Outputs in the order that counts: all of a client's; a relay's for each connection, and those to its
/// store.
fn groups(role: Role, outputs: &[Json]) -> BTreeMap<String, Vec<Json>> {
    let mut groups: BTreeMap<String, Vec<Json>> = BTreeMap::new();
    for output in outputs {
        let Some((kind, of)) = output.as_object().and_then(|object| object.iter().next()) else {
            groups.entry(String::new()).or_default().push(output.clone());
            continue;
        };
        let key = match kind.as_str() {
            // When a relay stops reading is its own choice.
            "pause_reading" | "resume_reading" => continue,
            _ if role == Role::Client => String::new(),
            "send" | "close" => format!("connection {}", of["conn"].as_str().unwrap_or("?")),
            _ => "store".into(),
        };
        groups.entry(key).or_default().push(bare(kind, of));
    }
    groups
}

/// An output without what an end may choose.
fn bare(kind: &str, of: &Json) -> Json {
    if kind != "send" {
        return json!({ kind: of });
    }
    let mut message = of["hex"].as_str().and_then(unhex).map(|frame| meaning(&frame)).unwrap_or_default();
    if let Some(message) = message.as_object_mut() {
        match message.get("type").and_then(Json::as_str) {
            Some("error") => drop(message.remove("text")),
            Some("ping") => drop(message.remove("nonce")),
            _ => {}
        }
    } else {
        message = json!({ "not_a_frame": of["hex"] });
    }
    json!({ kind: message })
}

fn fits(wanted: &Json, got: &Json) -> bool {
    let (Some(range), Some(found)) = (wanted.get("reconnect"), got.get("reconnect")) else {
        return wanted == got;
    };
    ["after_ms", "when_needed_ms", "on_order"].iter().all(|key| match (range.get(key), found.get(key)) {
        (None, None) => true,
        (Some(Json::Array(range)), Some(found)) => {
            let number = |json: Option<&Json>| json.and_then(Json::as_str)?.parse::<u64>().ok();
            match (number(range.first()), number(range.last()), number(Some(found))) {
                (Some(from), Some(to), Some(found)) => (from..=to).contains(&found),
                _ => false,
            }
        }
        (wanted, found) => wanted == found,
    })
}

/// What differs between what a client is to keep and what it does keep.
#[must_use]
pub fn differ_state(wanted: &Json, got: &Json) -> Option<String> {
    let keys = wanted.as_object()?;
    keys.iter().find_map(|(key, wanted)| {
        let got = got.get(key).unwrap_or(&Json::Null);
        (wanted != got).then(|| format!("state: wanted {key} {wanted}, got {got}"))
    })
}
