//! Values as JSON. What JSON has no word for is an object with one key that begins with `$`; a dictionary
//! that looks like one stands in `{"$dictionary": {...}}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blazedb_relay::value::{Entries, Value, ValueRef};
use serde_json::{Map, Number, Value as Json, json};
use uuid::Uuid;

/// The value that JSON at `place` stands for.
pub(super) fn parse(json: &Json, place: &str) -> Result<Value, String> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.is_u64(), number.as_f64()) {
            (Some(int), _, _) => Value::from(int),
            (None, false, Some(double)) => Value::from(double),
            _ => return Err(format!("{place}: an int of 64 bits, or a double written with a dot")),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => {
            let items = items.iter().enumerate().map(|(i, item)| parse(item, &format!("{place}[{i}]")));
            Value::Array(items.collect::<Result<_, _>>()?)
        }
        Json::Object(entries) => match single(entries) {
            Some((kind, inner)) => special(kind, inner, place)?,
            None => dictionary(entries, place)?,
        },
    })
}

/// The key and value of an object that stands for something JSON has no word for.
fn single(entries: &Map<String, Json>) -> Option<(&str, &Json)> {
    let mut all = entries.iter();
    match (all.next(), all.next()) {
        (Some((key, value)), None) if key.starts_with('$') => Some((key, value)),
        _ => None,
    }
}

fn dictionary(entries: &Map<String, Json>, place: &str) -> Result<Value, String> {
    let entry = |(key, value): (&String, &Json)| {
        Ok((key.as_str().into(), parse(value, &format!("{place}.{}", key.escape_debug()))?))
    };
    let entries = entries.iter().map(entry).collect::<Result<_, String>>()?;
    Entries::new(entries).map(Value::Dictionary).map_err(|error| format!("{place}: {error}"))
}

fn special(kind: &str, inner: &Json, place: &str) -> Result<Value, String> {
    let bytes = || inner.as_str().and_then(|text| BASE64.decode(text).ok());
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
            Some(entries) => return dictionary(entries, place),
            None => None,
        },
        _ => None,
    };
    value.ok_or_else(|| {
        format!(
            "{place}: {} is none of {{\"$uuid\": \"...\"}}, {{\"$date\": seconds since 2001}}, \
             {{\"$data\": base64}}, {{\"$sealed\": base64}}, {{\"$vector\": [numbers]}}, \
             {{\"$double\": \"NaN\"}} and {{\"$dictionary\": {{...}}}}",
            kind.escape_debug()
        )
    })
}

/// A number, or the name of one that JSON cannot write.
fn number(json: &Json) -> Option<f64> {
    match json.as_str() {
        Some(name @ ("NaN" | "Infinity" | "-Infinity")) => name.parse().ok(),
        _ => json.as_f64(),
    }
}

/// A cell as JSON.
#[allow(clippy::wildcard_enum_match_arm, reason = "a cell is no patch and no counter (QRY-15)")]
pub(super) fn show(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => Json::Null,
        ValueRef::Bool(value) => value.into(),
        ValueRef::Int(value) => value.into(),
        ValueRef::Double(value) => match Number::from_f64(value.get()) {
            Some(number) => number.into(),
            None => json!({ "$double": name(value.get()) }),
        },
        ValueRef::String(text) => text.into(),
        ValueRef::Uuid(uuid) => json!({ "$uuid": uuid.to_string() }),
        ValueRef::Date(value) => json!({ "$date": float(value.get()) }),
        ValueRef::Data(bytes) => json!({ "$data": BASE64.encode(bytes) }),
        ValueRef::Sealed(bytes) => json!({ "$sealed": BASE64.encode(bytes) }),
        ValueRef::Vector(vector) => {
            let items: Vec<_> = vector.bits().map(|bits| float(f32::from_bits(bits).into())).collect();
            json!({ "$vector": items })
        }
        ValueRef::Array(items) => items.iter().map(show).collect::<Vec<_>>().into(),
        ValueRef::Dictionary(entries) => {
            let shown: Map<_, _> = entries.iter().map(|(key, value)| (key.to_owned(), show(value))).collect();
            if single(&shown).is_some() { json!({ "$dictionary": shown }) } else { shown.into() }
        }
        // Removed: there is nothing.
        _ => json!({ "$nothing": true }),
    }
}

fn float(value: f64) -> Json {
    Number::from_f64(value).map_or_else(|| name(value).into(), Json::from)
}

fn name(value: f64) -> &'static str {
    if value.is_nan() {
        "NaN"
    } else if value > 0.0 {
        "Infinity"
    } else {
        "-Infinity"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_back() {
        for text in [
            "null",
            "true",
            "-3",
            "1.0",
            "1.5",
            "\"text\"",
            r#"{"$uuid":"6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9"}"#,
            r#"{"$date":12.5}"#,
            r#"{"$date":"NaN"}"#,
            r#"{"$double":"-Infinity"}"#,
            r#"{"$data":"AQI="}"#,
            r#"{"$sealed":"AQI="}"#,
            r#"{"$vector":[0.5,"Infinity"]}"#,
            r#"[1,[],{}]"#,
            r#"{"a":{"b":null}}"#,
            r#"{"$dictionary":{"$uuid":"no"}}"#,
        ] {
            let json: Json = serde_json::from_str(text).unwrap();
            let bytes = parse(&json, "value").unwrap().to_bytes().unwrap();
            assert_eq!(show(ValueRef::decode(&bytes).unwrap()).to_string(), text);
        }
        assert_eq!(parse(&json!(u64::MAX), "value").unwrap_err().split(':').next(), Some("value"));
        let error = parse(&json!([{ "a": { "$uuid": 5 } }]), "value").unwrap_err();
        assert!(error.starts_with("value[0].a: $uuid is none of"), "{error}");
        assert_eq!(show(ValueRef::Removed).to_string(), r#"{"$nothing":true}"#);
    }
}
