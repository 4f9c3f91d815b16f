//! Values and fields.

use blazedb_relay::registry::Capabilities;
use blazedb_relay::value::{Entries, EntriesRef, F64, Fields, FieldsRef, Value, ValueRef};
use blazedb_relay::wire::{FieldName, Timestamp};
use serde_json::{Value as Json, json};

use super::json::{Refusal, bits, bytes, get, hex, items, refuse, text, timestamp, timestamp_json, uuid};

pub(crate) fn value_json(value: ValueRef<'_>) -> Json {
    match value {
        ValueRef::Null => json!({ "type": "null" }),
        ValueRef::Bool(value) => json!({ "type": "bool", "value": value }),
        ValueRef::Int(value) => json!({ "type": "int", "value": value.to_string() }),
        ValueRef::Double(value) => json!({ "type": "double", "bits": float_hex(value) }),
        ValueRef::String(text) => json!({ "type": "string", "value": text }),
        ValueRef::Uuid(uuid) => json!({ "type": "uuid", "value": uuid.to_string() }),
        ValueRef::Date(value) => json!({ "type": "date", "bits": float_hex(value) }),
        ValueRef::Data(bytes) => json!({ "type": "data", "hex": hex(bytes) }),
        ValueRef::Array(array) => {
            json!({ "type": "array", "items": array.iter().map(value_json).collect::<Vec<_>>() })
        }
        ValueRef::Dictionary(entries) => json!({ "type": "dictionary", "entries": entries_json(entries) }),
        ValueRef::Removed => json!({ "type": "removed" }),
        ValueRef::Patch(entries) => json!({ "type": "patch", "entries": entries_json(entries) }),
        ValueRef::Counter(counter) => json!({
            "type": "counter",
            "base": timestamp_json(counter.base()),
            "total": counter.total().to_string(),
        }),
        ValueRef::Vector(vector) => {
            let bits: Vec<_> = vector.bits().map(|bits| format!("{bits:08x}")).collect();
            json!({ "type": "vector", "bits": bits })
        }
        ValueRef::Sealed(bytes) => json!({ "type": "sealed", "hex": hex(bytes) }),
        other => json!({ "type": format!("{other:?}") }),
    }
}

/// A value that a record can have, as JSON.
#[must_use]
pub fn owned_json(value: &Value) -> Json {
    let bytes = value.to_bytes().unwrap_or_default();
    ValueRef::decode_field(&bytes, Capabilities::ALL).map(value_json).unwrap_or_default()
}

fn float_hex(value: F64) -> String {
    format!("{:016x}", value.to_bits())
}

fn entries_json(entries: EntriesRef<'_>) -> Json {
    entries.iter().map(|(key, value)| json!([key, value_json(value)])).collect()
}

pub(crate) fn fields_json(fields: FieldsRef<'_>) -> Json {
    fields.iter().map(|(name, value)| json!([name, value_json(value)])).collect()
}

pub(crate) fn value(json: &Json) -> Result<Value, Refusal> {
    Ok(match text(json, "type")? {
        "null" => Value::Null,
        "bool" => Value::Bool(super::json::boolean(json, "value")?),
        "int" => Value::Int(super::json::number(json, "value")?),
        "double" => Value::Double(F64::from_bits(bits(json, "bits")?)),
        "string" => Value::String(text(json, "value")?.into()),
        "uuid" => Value::Uuid(uuid(json, "value")?),
        "date" => Value::Date(F64::from_bits(bits(json, "bits")?)),
        "data" => Value::Data(bytes(json, "hex")?.into()),
        "array" => Value::Array(items(json, "items")?.iter().map(value).collect::<Result<_, _>>()?),
        "dictionary" => Value::Dictionary(entries(json)?),
        "removed" => Value::Removed,
        "patch" => Value::Patch(entries(json)?),
        "counter" => {
            Value::Counter { base: base(get(json, "base")?)?, total: super::json::number(json, "total")? }
        }
        "vector" => Value::Vector(
            items(json, "bits")?
                .iter()
                .map(|bits| {
                    let bits = bits.as_str().and_then(|bits| u32::from_str_radix(bits, 16).ok());
                    bits.ok_or_else(|| Refusal::json("bits", "8 hex digits"))
                })
                .collect::<Result<_, _>>()?,
        ),
        "sealed" => Value::Sealed(bytes(json, "hex")?.into()),
        _ => return refuse("type", "the name of a type of value"),
    })
}

/// A timestamp or never.
fn base(json: &Json) -> Result<Timestamp, Refusal> {
    let never = super::json::number::<u64>(json, "counter")? == 0 && uuid(json, "node")?.is_nil();
    if never { Ok(Timestamp::NEVER) } else { timestamp(json) }
}

fn entries(json: &Json) -> Result<Entries, Refusal> {
    let entries = items(json, "entries")?.iter().map(|entry| {
        let (key, value) = pair(entry)?;
        Ok((key.into(), value))
    });
    Ok(Entries::new(entries.collect::<Result<_, Refusal>>()?)?)
}

fn pair(json: &Json) -> Result<(&str, Value), Refusal> {
    match json.as_array().map(Vec::as_slice) {
        Some([Json::String(name), this]) => Ok((name, value(this)?)),
        _ => refuse("entries", "[name, value]"),
    }
}

fn named(json: &Json) -> Result<Vec<(FieldName, Value)>, Refusal> {
    items(json, "fields")?
        .iter()
        .map(|field| {
            let (name, value) = pair(field)?;
            Ok((FieldName::new(name)?, value))
        })
        .collect()
}

/// The fields of an operation.
pub(crate) fn fields(json: &Json) -> Result<Fields, Refusal> {
    Ok(Fields::new(named(json)?)?)
}

/// The fields of a record.
pub(crate) fn plain_fields(json: &Json) -> Result<Fields, Refusal> {
    Ok(Fields::plain(named(json)?)?)
}
