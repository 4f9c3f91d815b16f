//! bitcode: columns, made for many things of one kind. Its types cannot be recursive, so containers
//! here hold scalars only, which is all that the data needs.

use core::hint::black_box;

use bitcode::{Buffer, Decode, Encode};
use uuid::Uuid;

use super::Codec;
use super::data::{Datum, Kind, Sample};
use super::fold::{Fold, Head};

#[derive(Encode, Decode)]
pub(crate) struct Op<S> {
    node: [u8; 16],
    node_seq: u64,
    counter: u64,
    writer: [u8; 16],
    kind: OpKind,
    record: [u8; 16],
    collection: S,
    fields: Vec<(S, Value<S>)>,
}

#[derive(Encode, Decode)]
enum OpKind {
    Insert,
    Update,
    Delete,
}

#[derive(Encode, Decode)]
enum Value<S> {
    Scalar(Scalar<S>),
    List(Vec<Scalar<S>>),
    Map(Vec<(S, Scalar<S>)>),
}

#[derive(Encode, Decode)]
enum Scalar<S> {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(S),
}

#[derive(Default)]
pub(crate) struct Bitcode {
    buffer: Buffer,
}

impl Codec for Bitcode {
    const NAME: &'static str = "bitcode";
    type Op = Op<String>;
    type Block = Vec<Op<String>>;
    type Stored = Vec<u8>;

    fn op(sample: &Sample) -> Op<String> {
        Op {
            node: sample.node.into_bytes(),
            node_seq: sample.node_seq,
            counter: sample.counter,
            writer: sample.writer.into_bytes(),
            kind: match sample.kind {
                Kind::Insert => OpKind::Insert,
                Kind::Update => OpKind::Update,
                Kind::Delete => OpKind::Delete,
            },
            record: sample.record.into_bytes(),
            collection: sample.collection.clone(),
            fields: sample.fields.iter().map(|(name, datum)| (name.clone(), value(datum))).collect(),
        }
    }

    fn block(ops: Vec<Op<String>>) -> Vec<Op<String>> {
        ops
    }

    fn store(encoded: &[u8]) -> Vec<u8> {
        encoded.to_vec()
    }

    fn encode_op(&mut self, op: &Op<String>) -> &[u8] {
        self.buffer.encode(op)
    }

    fn encode_block(&mut self, ops: &Vec<Op<String>>) -> &[u8] {
        self.buffer.encode(ops)
    }

    fn visit_op(&mut self, bytes: &Vec<u8>, fold: &mut Fold) {
        let op: Op<&str> = self.buffer.decode(bytes).unwrap();
        walk(&op, fold);
    }

    fn visit_block(&mut self, bytes: &Vec<u8>, fold: &mut Fold) {
        let ops: Vec<Op<&str>> = self.buffer.decode(bytes).unwrap();
        ops.iter().for_each(|op| walk(op, fold));
    }

    fn validate_op(&mut self, bytes: &Vec<u8>) {
        black_box(self.buffer.decode::<Op<&str>>(bytes).unwrap());
    }

    fn validate_block(&mut self, bytes: &Vec<u8>) {
        black_box(self.buffer.decode::<Vec<Op<&str>>>(bytes).unwrap());
    }
}

fn value(datum: &Datum) -> Value<String> {
    match datum {
        Datum::List(items) => Value::List(items.iter().map(scalar).collect()),
        Datum::Map(entries) => {
            Value::Map(entries.iter().map(|(key, datum)| (key.clone(), scalar(datum))).collect())
        }
        Datum::Null | Datum::Bool(_) | Datum::Int(_) | Datum::Double(_) | Datum::Text(_) => {
            Value::Scalar(scalar(datum))
        }
    }
}

fn scalar(datum: &Datum) -> Scalar<String> {
    match datum {
        Datum::Null => Scalar::Null,
        Datum::Bool(value) => Scalar::Bool(*value),
        Datum::Int(value) => Scalar::Int(*value),
        Datum::Double(value) => Scalar::Double(*value),
        Datum::Text(text) => Scalar::Text(text.clone()),
        Datum::List(_) | Datum::Map(_) => panic!("the data has no container in a container"),
    }
}

fn walk(op: &Op<&str>, fold: &mut Fold) {
    fold.head(&Head {
        node: Uuid::from_bytes(op.node),
        node_seq: op.node_seq,
        counter: op.counter,
        writer: Uuid::from_bytes(op.writer),
        kind: match op.kind {
            OpKind::Insert => Kind::Insert,
            OpKind::Update => Kind::Update,
            OpKind::Delete => Kind::Delete,
        },
        record: Uuid::from_bytes(op.record),
        collection: op.collection,
    });
    for (name, value) in &op.fields {
        fold.text(name);
        match value {
            Value::Scalar(scalar) => walk_scalar(scalar, fold),
            Value::List(items) => items.iter().for_each(|item| walk_scalar(item, fold)),
            Value::Map(entries) => {
                for (key, scalar) in entries {
                    fold.text(key);
                    walk_scalar(scalar, fold);
                }
            }
        }
    }
}

fn walk_scalar(scalar: &Scalar<&str>, fold: &mut Fold) {
    match scalar {
        Scalar::Null => fold.null(),
        Scalar::Bool(value) => fold.bool(*value),
        Scalar::Int(value) => fold.int(*value),
        Scalar::Double(value) => fold.double(*value),
        Scalar::Text(text) => fold.text(text),
    }
}
