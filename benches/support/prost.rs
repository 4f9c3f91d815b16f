//! Protocol Buffers with prost: what `prost-build` makes of such a `.proto` with `bytes` as `Bytes`,
//! written by hand so that no compiler of Protocol Buffers is needed.

use core::hint::black_box;

use bytes::Bytes;
use prost::Message;
use uuid::Uuid;

use super::Codec;
use super::data::{Datum, Kind, Sample};
use super::fold::{Fold, Head};

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Op {
    #[prost(bytes = "bytes", tag = "1")]
    node: Bytes,
    #[prost(uint64, tag = "2")]
    node_seq: u64,
    #[prost(message, optional, tag = "3")]
    timestamp: Option<Timestamp>,
    #[prost(uint32, tag = "4")]
    kind: u32,
    #[prost(bytes = "bytes", tag = "5")]
    record: Bytes,
    #[prost(string, tag = "6")]
    collection: String,
    #[prost(message, repeated, tag = "7")]
    fields: Vec<Field>,
}

#[derive(Clone, PartialEq, Message)]
struct Timestamp {
    #[prost(uint64, tag = "1")]
    counter: u64,
    #[prost(bytes = "bytes", tag = "2")]
    node: Bytes,
}

/// A name and a value. The alternatives stand in it directly, which saves a nested message.
#[derive(Clone, PartialEq, Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(oneof = "Value", tags = "2, 3, 4, 5, 6, 7, 8")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Item {
    #[prost(oneof = "Value", tags = "2, 3, 4, 5, 6, 7, 8")]
    value: Option<Value>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Value {
    #[prost(bool, tag = "2")]
    Null(bool),
    #[prost(bool, tag = "3")]
    Bool(bool),
    #[prost(sint64, tag = "4")]
    Int(i64),
    #[prost(double, tag = "5")]
    Double(f64),
    #[prost(string, tag = "6")]
    Text(String),
    #[prost(message, tag = "7")]
    List(List),
    #[prost(message, tag = "8")]
    Map(Map),
}

#[derive(Clone, PartialEq, Message)]
struct List {
    #[prost(message, repeated, tag = "1")]
    items: Vec<Item>,
}

#[derive(Clone, PartialEq, Message)]
struct Map {
    #[prost(message, repeated, tag = "1")]
    entries: Vec<Field>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Block {
    #[prost(message, repeated, tag = "1")]
    ops: Vec<Op>,
}

#[derive(Default)]
pub(crate) struct Prost {
    out: Vec<u8>,
}

impl Codec for Prost {
    const NAME: &'static str = "prost";
    type Op = Op;
    type Block = Block;
    type Stored = Bytes;

    fn op(sample: &Sample) -> Op {
        let bytes = |uuid: Uuid| Bytes::copy_from_slice(uuid.as_bytes());
        Op {
            node: bytes(sample.node),
            node_seq: sample.node_seq,
            timestamp: Some(Timestamp { counter: sample.counter, node: bytes(sample.writer) }),
            kind: sample.kind as u32,
            record: bytes(sample.record),
            collection: sample.collection.clone(),
            fields: fields(&sample.fields),
        }
    }

    fn block(ops: Vec<Op>) -> Block {
        Block { ops }
    }

    fn store(encoded: &[u8]) -> Bytes {
        Bytes::copy_from_slice(encoded)
    }

    fn encode_op(&mut self, op: &Op) -> &[u8] {
        self.out.clear();
        op.encode(&mut self.out).unwrap();
        &self.out
    }

    fn encode_block(&mut self, block: &Block) -> &[u8] {
        self.out.clear();
        block.encode(&mut self.out).unwrap();
        &self.out
    }

    fn visit_op(&mut self, bytes: &Bytes, fold: &mut Fold) {
        walk(&Op::decode(bytes.clone()).unwrap(), fold);
    }

    fn visit_block(&mut self, bytes: &Bytes, fold: &mut Fold) {
        Block::decode(bytes.clone()).unwrap().ops.iter().for_each(|op| walk(op, fold));
    }

    fn validate_op(&mut self, bytes: &Bytes) {
        black_box(Op::decode(bytes.clone()).unwrap());
    }

    fn validate_block(&mut self, bytes: &Bytes) {
        black_box(Block::decode(bytes.clone()).unwrap());
    }
}

fn fields(entries: &[(String, Datum)]) -> Vec<Field> {
    entries.iter().map(|(name, datum)| Field { name: name.clone(), value: Some(value(datum)) }).collect()
}

fn value(datum: &Datum) -> Value {
    match datum {
        Datum::Null => Value::Null(true),
        Datum::Bool(value) => Value::Bool(*value),
        Datum::Int(value) => Value::Int(*value),
        Datum::Double(value) => Value::Double(*value),
        Datum::Text(text) => Value::Text(text.clone()),
        Datum::List(items) => {
            Value::List(List { items: items.iter().map(|item| Item { value: Some(value(item)) }).collect() })
        }
        Datum::Map(entries) => Value::Map(Map { entries: fields(entries) }),
    }
}

fn walk(op: &Op, fold: &mut Fold) {
    let uuid = |bytes: &Bytes| Uuid::from_slice(bytes).unwrap();
    let timestamp = op.timestamp.as_ref().unwrap();
    fold.head(&Head {
        node: uuid(&op.node),
        node_seq: op.node_seq,
        counter: timestamp.counter,
        writer: uuid(&timestamp.node),
        kind: u8::try_from(op.kind).ok().and_then(Kind::from_code).unwrap(),
        record: uuid(&op.record),
        collection: &op.collection,
    });
    walk_fields(&op.fields, fold);
}

fn walk_fields(fields: &[Field], fold: &mut Fold) {
    for field in fields {
        fold.text(&field.name);
        walk_value(field.value.as_ref(), fold);
    }
}

fn walk_value(value: Option<&Value>, fold: &mut Fold) {
    match value.unwrap() {
        Value::Null(_) => fold.null(),
        Value::Bool(value) => fold.bool(*value),
        Value::Int(value) => fold.int(*value),
        Value::Double(value) => fold.double(*value),
        Value::Text(text) => fold.text(text),
        Value::List(list) => list.items.iter().for_each(|item| walk_value(item.value.as_ref(), fold)),
        Value::Map(map) => walk_fields(&map.entries, fold),
    }
}
