//! Values as JSON for people: what JSON has is itself, the rest is an object with one key that begins with
//! `$`.
//!
//! | value | JSON |
//! |---|---|
//! | null, bool, int, string, array, dictionary | the same |
//! | double | a number with a point or an exponent; `{"$double":"NaN"}`, `"Infinity"`, `"-Infinity"` |
//! | uuid | `{"$uuid":"6f1e2d3c-..."}` |
//! | date | `{"$date":721692800.5}`, seconds since 2001-01-01T00:00:00Z |
//! | data, sealed | `{"$data":"AQID"}`, `{"$sealed":"AQID"}`, base64 |
//! | f32 vector | `{"$vector":[1.0,2.5]}`; what is not finite is a string, as in a double |
//! | removed, patch | `{"$removed":true}`, `{"$patch":{...}}` |
//! | counter | `{"$counter":{"base":{"counter":7,"node":"..."},"total":3}}` |
//! | a dictionary with one key that begins with `$` | `{"$dictionary":{...}}` |
//!
//! The last but two rows stand for writes: [`parse`] takes them only where [`Place::Field`] allows them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blazedb_relay::value::{Entries, Fields, Value};
use blazedb_relay::wire::{FieldName, NodeId, Timestamp};
use serde_json::{Map, Number, Value as Json, json};
use uuid::Uuid;

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where only content may be, as in a query.
    Content,
    /// The value of a field that is written, or of an entry of a patch.
    Field,
}

/// A value as JSON.
#[must_use]
#[allow(clippy::wildcard_enum_match_arm, reason = "a value of a later version")]
pub fn show(value: &Value) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Double(value) => match Number::from_f64(value.get()) {
            Some(number) => number.into(),
            None => json!({ "$double": name(value.get()) }),
        },
        Value::String(text) => (**text).into(),
        Value::Uuid(id) => json!({ "$uuid": id.to_string() }),
        Value::Date(value) => json!({ "$date": float(value.get()) }),
        Value::Data(bytes) => json!({ "$data": BASE64.encode(bytes) }),
        Value::Sealed(bytes) => json!({ "$sealed": BASE64.encode(bytes) }),
        Value::Array(items) => items.iter().map(show).collect(),
        Value::Dictionary(entries) => {
            let object = object(entries);
            if single(&object).is_some() { json!({ "$dictionary": object }) } else { object.into() }
        }
        Value::Vector(items) => {
            let items = items.iter().map(|bits| float(f64::from(f32::from_bits(*bits))));
            json!({ "$vector": items.collect::<Vec<_>>() })
        }
        Value::Removed => json!({ "$removed": true }),
        Value::Patch(entries) => json!({ "$patch": object(entries) }),
        Value::Counter { base, total } => {
            let base = json!({ "counter": base.counter(), "node": base.node().to_string() });
            json!({ "$counter": { "base": base, "total": total } })
        }
        // Null too.
        _ => Json::Null,
    }
}

/// Entries as an object, keys in their order.
#[must_use]
pub fn object(entries: &Entries) -> Map<String, Json> {
    entries.iter().map(|(key, value)| (key.to_owned(), show(value))).collect()
}

/// The value that JSON stands for. `at` says for people where it stands.
///
/// # Errors
/// It stands for none; the text says where and why.
pub fn parse(json: &Json, place: Place, at: &str) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.is_u64(), number.as_f64()) {
            (Some(int), _, _) => Value::from(int),
            (None, false, Some(double)) => Value::from(double),
            _ => return Err(format!("{at}: an int of 64 bits, or a double written with a dot")),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => {
            let items = items.iter().enumerate();
            let items = items.map(|(i, item)| parse(item, Place::Content, &format!("{at}[{i}]")));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Json::Object(object) => match single(object) {
            Some((kind, inner)) => special(kind, inner, place, at)?,
            None => Value::Dictionary(entries(object, Place::Content, at)?),
        },
    })
}

/// The fields that an object stands for.
///
/// # Errors
/// A name or a value cannot be one; the text says which and why.
pub fn fields(object: &Map<String, Json>) -> Result<Fields, String> {
    let fields = object.iter().map(|(name, json)| {
        let at = format!("field {:?}", name);
        let field = FieldName::new(name).map_err(|error| format!("{at}: {error}"))?;
        Ok((field, parse(json, Place::Field, &at)?))
    });
    Fields::new(fields.collect::<Result<_, String>>()?).map_err(|error| error.to_string())
}

/// The key and value of an object that stands for something JSON has no word for.
fn single(object: &Map<String, Json>) -> Option<(&str, &Json)> {
    let mut all = object.iter();
    match (all.next(), all.next()) {
        (Some((key, value)), None) if key.starts_with('$') => Some((key, value)),
        _ => None,
    }
}

fn entries(object: &Map<String, Json>, place: Place, at: &str) -> Result<Entries, String> {
    let entry = |(key, value): (&String, &Json)| {
        Ok((key.as_str().into(), parse(value, place, &format!("{at}.{}", key.escape_debug()))?))
    };
    let entries = object.iter().map(entry).collect::<Result<_, String>>()?;
    Entries::new(entries).map_err(|error| format!("{at}: {error}"))
}

fn special(kind: &str, inner: &Json, place: Place, at: &str) -> Result<Value, String> {
    let bytes = || inner.as_str().and_then(|text| BASE64.decode(text).ok());
    let written = place == Place::Field;
    let value = match kind {
        "$uuid" => inner.as_str().and_then(|text| Uuid::try_parse(text).ok()).map(Value::from),
        "$date" => number(inner).map(|seconds| Value::Date(seconds.into())),
        "$double" => number(inner).map(Value::from),
        "$data" => bytes().map(|bytes| Value::Data(bytes.into())),
        "$sealed" => bytes().map(|bytes| Value::Sealed(bytes.into())),
        #[allow(clippy::cast_possible_truncation, reason = "a vector has floats of 32 bits")]
        "$vector" => inner
            .as_array()
            .and_then(|items| {
                items.iter().map(|item| number(item).map(|it| (it as f32).to_bits())).collect::<Option<_>>()
            })
            .map(Value::Vector),
        "$dictionary" => match inner.as_object() {
            Some(object) => return entries(object, Place::Content, at).map(Value::Dictionary),
            None => None,
        },
        "$removed" if written && *inner == Json::Bool(true) => Some(Value::Removed),
        "$patch" if written => match inner.as_object() {
            Some(object) => return entries(object, Place::Field, at).map(Value::Patch),
            None => None,
        },
        "$counter" if written => counter(inner),
        _ => None,
    };
    value.ok_or_else(|| {
        let writes = if written { ", {\"$removed\": true}, {\"$patch\": {...}}" } else { "" };
        format!(
            "{at}: {} is none of {{\"$uuid\": \"...\"}}, {{\"$date\": seconds since 2001}}, \
             {{\"$data\": base64}}, {{\"$sealed\": base64}}, {{\"$vector\": [numbers]}}, \
             {{\"$double\": \"NaN\"}}{writes} and {{\"$dictionary\": {{...}}}}",
            kind.escape_debug()
        )
    })
}

fn counter(json: &Json) -> Option<Value> {
    let (base, total) = (json.get("base")?, json.get("total")?.as_i64()?);
    let node = Uuid::try_parse(base.get("node")?.as_str()?).ok()?;
    let base = match base.get("counter")?.as_u64()? {
        0 if node.is_nil() => Timestamp::NEVER,
        counter => Timestamp::new(counter, NodeId::new(node).ok()?).ok()?,
    };
    Some(Value::Counter { base, total })
}

/// A number, or the name of one that JSON cannot write.
fn number(json: &Json) -> Option<f64> {
    match json.as_str() {
        Some(name @ ("NaN" | "Infinity" | "-Infinity")) => name.parse().ok(),
        _ => json.as_f64(),
    }
}

fn float(value: f64) -> Json {
    Number::from_f64(value).map_or_else(|| name(value).into(), Json::from)
}

fn name(value: f64) -> &'static str {
    match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails a test")]
    use super::*;

    fn comes_back(text: &str, place: Place) {
        let value = parse(&serde_json::from_str(text).unwrap(), place, "value").unwrap();
        assert_eq!(show(&value).to_string(), text);
    }

    #[test]
    fn every_value_comes_back() {
        for text in [
            "null",
            "true",
            "-9223372036854775808",
            "1.0",
            "\"text\"",
            r#"{"$uuid":"6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9"}"#,
            r#"{"$date":12.5}"#,
            r#"{"$date":"NaN"}"#,
            r#"{"$double":"-Infinity"}"#,
            r#"{"$data":"AQI="}"#,
            r#"{"$sealed":""}"#,
            r#"{"$vector":[0.5,"Infinity"]}"#,
            "[1,[],{}]",
            r#"{"a":{"b":null}}"#,
            r#"{"$a":1,"$b":2}"#,
            r#"{"$dictionary":{"$uuid":"no"}}"#,
        ] {
            comes_back(text, Place::Content);
            comes_back(text, Place::Field);
        }
        for text in [
            r#"{"$removed":true}"#,
            r#"{"$patch":{"a":{"$patch":{"b":{"$removed":true}}}}}"#,
            r#"{"$counter":{"base":{"counter":0,"node":"00000000-0000-0000-0000-000000000000"},"total":-3}}"#,
            r#"{"$counter":{"base":{"counter":7,"node":"6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9"},"total":3}}"#,
        ] {
            comes_back(text, Place::Field);
            assert!(parse(&serde_json::from_str(text).unwrap(), Place::Content, "value").is_err(), "{text}");
        }
    }

    #[test]
    fn what_stands_for_no_value_is_explained() {
        for (text, wanted) in [
            ("18446744073709551615", "value: an int of 64 bits"),
            (r#"[{"a":{"$uuid":5}}]"#, "value[0].a: $uuid is none of"),
            (r#"{"$data":7}"#, "base64"),
            (r#"{"a":{"$what":1}}"#, "value.a: $what is none of"),
            (r#"[{"$removed":true}]"#, "value[0]: $removed is none of"),
        ] {
            let error = parse(&serde_json::from_str(text).unwrap(), Place::Field, "value").unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
