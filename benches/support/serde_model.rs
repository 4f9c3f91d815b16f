//! One schema for the formats that serde drives, generic over text (owned to encode, borrowed to decode)
//! and over how a value says its type.

use core::fmt;
use core::marker::PhantomData;
use std::borrow::Cow;

use serde::de::value::{BorrowedStrDeserializer, StrDeserializer};
use serde::de::{Deserializer, Error, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::data::{Datum, Kind, Sample};
use super::fold::{Fold, Head};

#[derive(Serialize, Deserialize)]
pub(crate) struct Op<S, V> {
    node: Uuid,
    node_seq: u64,
    timestamp: Timestamp,
    #[serde(rename = "type")]
    kind: Kind,
    record: Uuid,
    collection: S,
    fields: Pairs<S, V>,
}

#[derive(Serialize, Deserialize)]
struct Timestamp {
    counter: u64,
    node: Uuid,
}

/// Entries of a map in the order in which they are written.
pub(crate) struct Pairs<S, V>(Vec<(S, V)>);

/// A value in a format that tells the types of its values itself.
pub(crate) enum Untagged<S> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(S),
    List(Vec<Self>),
    Map(Pairs<S, Self>),
}

/// A value in a format that does not.
#[derive(Serialize, Deserialize)]
pub(crate) enum Tagged<S> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(S),
    List(Vec<Self>),
    Map(Pairs<S, Self>),
}

/// Text of JSON: borrowed unless it has escapes.
pub(crate) struct JsonText<'a>(Cow<'a, str>);

impl AsRef<str> for JsonText<'_> {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a Sample> for Op<String, Untagged<String>> {
    fn from(sample: &'a Sample) -> Self {
        Self::new(sample, untagged)
    }
}

impl<'a> From<&'a Sample> for Op<String, Tagged<String>> {
    fn from(sample: &'a Sample) -> Self {
        Self::new(sample, tagged)
    }
}

impl<V> Op<String, V> {
    fn new(sample: &Sample, value: fn(&Datum) -> V) -> Self {
        Self {
            node: sample.node,
            node_seq: sample.node_seq,
            timestamp: Timestamp { counter: sample.counter, node: sample.writer },
            kind: sample.kind,
            record: sample.record,
            collection: sample.collection.clone(),
            fields: pairs(&sample.fields, value),
        }
    }
}

fn pairs<V>(entries: &[(String, Datum)], value: fn(&Datum) -> V) -> Pairs<String, V> {
    Pairs(entries.iter().map(|(name, datum)| (name.clone(), value(datum))).collect())
}

macro_rules! from_datum {
    ($($name:ident $type:ident;)*) => {$(
        fn $name(datum: &Datum) -> $type<String> {
            match datum {
                Datum::Null => $type::Null,
                Datum::Bool(value) => $type::Bool(*value),
                Datum::Int(value) => $type::Int(*value),
                Datum::Double(value) => $type::Double(*value),
                Datum::Text(text) => $type::Text(text.clone()),
                Datum::List(items) => $type::List(items.iter().map($name).collect()),
                Datum::Map(entries) => $type::Map(pairs(entries, $name)),
            }
        }

        impl<S: AsRef<str>> Walk for $type<S> {
            fn walk(&self, fold: &mut Fold) {
                match self {
                    Self::Null => fold.null(),
                    Self::Bool(value) => fold.bool(*value),
                    Self::Int(value) => fold.int(*value),
                    Self::Double(value) => fold.double(*value),
                    Self::Text(text) => fold.text(text.as_ref()),
                    Self::List(items) => items.iter().for_each(|item| item.walk(fold)),
                    Self::Map(entries) => entries.walk(fold),
                }
            }
        }
    )*};
}

from_datum! {
    untagged Untagged;
    tagged Tagged;
}

pub(crate) trait Walk {
    fn walk(&self, fold: &mut Fold);
}

impl<S: AsRef<str>, V: Walk> Walk for Op<S, V> {
    fn walk(&self, fold: &mut Fold) {
        fold.head(&Head {
            node: self.node,
            node_seq: self.node_seq,
            counter: self.timestamp.counter,
            writer: self.timestamp.node,
            kind: self.kind,
            record: self.record,
            collection: self.collection.as_ref(),
        });
        self.fields.walk(fold);
    }
}

impl<S: AsRef<str>, V: Walk> Walk for Pairs<S, V> {
    fn walk(&self, fold: &mut Fold) {
        for (name, value) in &self.0 {
            fold.text(name.as_ref());
            value.walk(fold);
        }
    }
}

impl<S: Serialize, V: Serialize> Serialize for Pairs<S, V> {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, S: Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Pairs<S, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PairsVisitor(PhantomData))
    }
}

struct PairsVisitor<S, V>(PhantomData<(S, V)>);

impl<'de, S: Deserialize<'de>, V: Deserialize<'de>> Visitor<'de> for PairsVisitor<S, V> {
    type Value = Pairs<S, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    #[inline]
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::with_capacity(map.size_hint().unwrap_or(0).min(64));
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Pairs(entries))
    }
}

impl<S: Serialize> Serialize for Untagged<S> {
    #[inline]
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Int(value) => serializer.serialize_i64(*value),
            Self::Double(value) => serializer.serialize_f64(*value),
            Self::Text(text) => text.serialize(serializer),
            Self::List(items) => items.serialize(serializer),
            Self::Map(entries) => entries.serialize(serializer),
        }
    }
}

impl<'de, S: Deserialize<'de>> Deserialize<'de> for Untagged<S> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UntaggedVisitor(PhantomData))
    }
}

struct UntaggedVisitor<S>(PhantomData<S>);

impl<'de, S: Deserialize<'de>> Visitor<'de> for UntaggedVisitor<S> {
    type Value = Untagged<S>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Untagged::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Untagged::Bool(value))
    }

    #[inline]
    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Untagged::Int(value))
    }

    #[inline]
    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        match i64::try_from(value) {
            Ok(value) => Ok(Untagged::Int(value)),
            Err(_) => Err(E::invalid_value(Unexpected::Unsigned(value), &self)),
        }
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Untagged::Double(value))
    }

    #[inline]
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        S::deserialize(BorrowedStrDeserializer::new(text)).map(Untagged::Text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        S::deserialize(StrDeserializer::new(text)).map(Untagged::Text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::with_capacity(seq.size_hint().unwrap_or(0).min(64));
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Untagged::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        PairsVisitor(PhantomData).visit_map(map).map(Untagged::Map)
    }
}

impl Serialize for Kind {
    fn serialize<Z: Serializer>(&self, serializer: Z) -> Result<Z::Ok, Z::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.name())
        } else {
            serializer.serialize_u8(*self as u8)
        }
    }
}

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let known = if deserializer.is_human_readable() {
            Self::from_name(<&str>::deserialize(deserializer)?)
        } else {
            Self::from_code(u8::deserialize(deserializer)?)
        };
        known.ok_or_else(|| Error::custom("unknown type"))
    }
}

impl<'de> Deserialize<'de> for JsonText<'de> {
    #[inline]
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(JsonTextVisitor)
    }
}

struct JsonTextVisitor;

impl<'de> Visitor<'de> for JsonTextVisitor {
    type Value = JsonText<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text")
    }

    #[inline]
    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(JsonText(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(JsonText(Cow::Owned(text.to_owned())))
    }
}
