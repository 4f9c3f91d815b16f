//! Values as plain JSON: what JSON has is itself, the rest is an object with one key that begins with `$`.
//!
//! | value | JSON |
//! |---|---|
//! | null, bool, int, string, array, dictionary | the same |
//! | double | a number with a point or an exponent; `{"$double":"NaN"}`, `"Infinity"`, `"-Infinity"` |
//! | uuid | `{"$uuid":"6f1e2d3c-..."}` |
//! | date | `{"$date":721692800.5}`, seconds since 2001-01-01T00:00:00Z |
//! | data, sealed | `{"$data":"AQID"}`, `{"$sealed":"AQID"}`, base64 |
//! | f32 vector | `{"$vector":[1.0,2.5]}`, not finite ones as strings like those of a double |
//! | removed, patch | `{"$removed":true}`, `{"$patch":{...}}` |
//! | a dictionary with one key that begins with `$` | `{"$dictionary":{...}}` |
//!
//! A counter is made by `increment` alone; it is shown and not read.

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blazedb_relay::value::{Entries, F64, Fields, Value};
use blazedb_relay::wire::FieldName;
use serde_json::{Map, Number, Value as Json, json};

/// A value as plain JSON.
#[allow(clippy::wildcard_enum_match_arm, reason = "a value of a later version")]
pub(crate) fn to_json(value: &Value) -> Json {
    match value {
        Value::Bool(value) => (*value).into(),
        Value::Int(value) => (*value).into(),
        Value::Double(value) => {
            double(value.get()).map_or_else(|text| json!({ "$double": text }), Json::Number)
        }
        Value::String(text) => (**text).into(),
        Value::Uuid(id) => json!({ "$uuid": id.to_string() }),
        Value::Date(value) => json!({ "$date": float(value.get()) }),
        Value::Data(bytes) => json!({ "$data": BASE64.encode(bytes) }),
        Value::Sealed(bytes) => json!({ "$sealed": BASE64.encode(bytes) }),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Dictionary(entries) => {
            let object = object(entries);
            if object.len() == 1 && object.keys().any(|key| key.starts_with('$')) {
                return json!({ "$dictionary": object });
            }
            Json::Object(object)
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
        // Null, and what a later version adds.
        _ => Json::Null,
    }
}

/// Entries as an object, keys in their order.
pub(crate) fn object(entries: &Entries) -> Map<String, Json> {
    entries.iter().map(|(key, value)| (key.to_owned(), to_json(value))).collect()
}

fn double(value: f64) -> Result<Number, &'static str> {
    Number::from_f64(value).ok_or(match value {
        f64::INFINITY => "Infinity",
        f64::NEG_INFINITY => "-Infinity",
        _ => "NaN",
    })
}

fn float(value: f64) -> Json {
    double(value).map_or_else(Json::from, Json::Number)
}

/// The value that plain JSON stands for.
///
/// # Errors
/// It stands for none; the error says where.
pub(crate) fn from_json(json: Json) -> Result<Value> {
    Ok(match json {
        Json::Null => Value::Null,
        Json::Bool(value) => value.into(),
        Json::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(int), _) => int.into(),
            (None, Some(double)) if number.is_f64() => Value::Double(F64::from(double)),
            _ => bail!("{number} is above the greatest integer, {}", i64::MAX),
        },
        Json::String(text) => text.as_str().into(),
        Json::Array(items) => {
            let items = items
                .into_iter()
                .zip(0..)
                .map(|(item, at): (_, usize)| from_json(item).with_context(|| format!("at [{at}]")));
            Value::Array(items.collect::<Result<_>>()?)
        }
        Json::Object(object) => match object.iter().next() {
            Some((key, _)) if object.len() == 1 && key.starts_with('$') => special(object)?,
            _ => Value::Dictionary(entries(object)?),
        },
    })
}

/// The fields that an object stands for.
///
/// # Errors
/// A name or a value cannot be one; the error says which.
pub(crate) fn fields(object: Map<String, Json>) -> Result<Fields> {
    let fields = object.into_iter().map(|(name, json)| {
        let value = from_json(json).with_context(|| format!("in field {name:?}"))?;
        Ok((FieldName::new(&name).map_err(|error| anyhow!("field name {name:?}: {error}"))?, value))
    });
    Ok(Fields::new(fields.collect::<Result<_>>()?)?)
}

fn entries(object: Map<String, Json>) -> Result<Entries> {
    let entries = object.into_iter().map(|(key, json)| {
        let value = from_json(json).with_context(|| format!("in entry {key:?}"))?;
        Ok((key.into(), value))
    });
    Ok(Entries::new(entries.collect::<Result<_>>()?)?)
}

/// The value of an object whose only key begins with `$`.
fn special(object: Map<String, Json>) -> Result<Value> {
    let Some((key, json)) = object.into_iter().next() else { bail!("an empty object") };
    let text = || json.as_str().ok_or_else(|| anyhow!("{key} holds {json}, not a string"));
    let bytes = || BASE64.decode(text()?).with_context(|| format!("{key} is not base64"));
    Ok(match &*key {
        "$double" => Value::Double(F64::from(not_finite(text()?)?)),
        "$uuid" => Value::Uuid(text()?.parse().with_context(|| format!("{json} is not a UUID"))?),
        "$date" => Value::Date(F64::from(number(&json)?)),
        "$data" => Value::Data(bytes()?.into()),
        "$sealed" => Value::Sealed(bytes()?.into()),
        "$vector" => {
            let items = json.as_array().ok_or_else(|| anyhow!("$vector holds {json}, not an array"))?;
            #[allow(clippy::cast_possible_truncation, reason = "the nearest float of 32 bits is meant")]
            let bits = items.iter().map(|item| Ok((number(item)? as f32).to_bits()));
            Value::Vector(bits.collect::<Result<_>>()?)
        }
        "$removed" if json == Json::Bool(true) => Value::Removed,
        "$patch" | "$dictionary" => {
            let Json::Object(object) = json else { bail!("{key} holds {json}, not an object") };
            let entries = entries(object)?;
            if key == "$patch" { Value::Patch(entries) } else { Value::Dictionary(entries) }
        }
        _ => bail!(
            "{key} with {json} stands for no value; there are $double, $uuid, $date, $data, $sealed, $vector, \
             $removed with true, $patch, and $dictionary for a dictionary whose only key begins with $"
        ),
    })
}

#[allow(clippy::wildcard_enum_match_arm, reason = "what is no number")]
fn number(json: &Json) -> Result<f64> {
    match json {
        Json::String(text) => not_finite(text),
        Json::Number(number) => number.as_f64().ok_or_else(|| anyhow!("{number} is no float")),
        _ => bail!("{json} is no number"),
    }
}

fn not_finite(text: &str) -> Result<f64> {
    Ok(match text {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        _ => bail!("{text:?} is none of \"NaN\", \"Infinity\" and \"-Infinity\""),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails a test")]
    use super::*;

    #[test]
    fn every_value_comes_back() {
        for text in [
            r#"null"#,
            r#"true"#,
            r#"-9223372036854775808"#,
            r#"1.0"#,
            r#"{"$double":"-Infinity"}"#,
            r#""text""#,
            r#"[1,[],{}]"#,
            r#"{"a":1,"b":{"$uuid":"550e8400-e29b-41d4-a716-446655440000"}}"#,
            r#"{"$date":12.5}"#,
            r#"{"$data":"AQID"}"#,
            r#"{"$sealed":""}"#,
            r#"{"$vector":[1.0,-2.5,"NaN"]}"#,
            r#"{"$removed":true}"#,
            r#"{"$patch":{"a":{"$removed":true}}}"#,
            r#"{"$dictionary":{"$uuid":7}}"#,
            r#"{"$a":1,"$b":2}"#,
        ] {
            let json: Json = serde_json::from_str(text).unwrap();
            assert_eq!(to_json(&from_json(json).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn what_stands_for_no_value_is_explained() {
        for (text, wanted) in [
            (r#"18446744073709551615"#, "greatest integer"),
            (r#"[{"$uuid":"x"}]"#, "not a UUID"),
            (r#"{"$data":7}"#, "not a string"),
            (r#"{"a":{"$what":1}}"#, "stands for no value"),
            (r#"{"$double":"1"}"#, "Infinity"),
        ] {
            let error = from_json(serde_json::from_str(text).unwrap()).unwrap_err();
            assert!(format!("{error:#}").contains(wanted), "{error:#}");
        }
    }
}
