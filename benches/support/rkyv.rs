//! rkyv: the archive is checked once and then read in place.

use core::hint::black_box;

use rkyv::api::high;
use rkyv::rancor::{Error, Source};
use rkyv::ser::allocator::Arena;
use rkyv::ser::{Allocator, Writer};
use rkyv::util::AlignedVec;
use rkyv::validation::ArchiveContext;
use rkyv::{Archive, Serialize};
use uuid::Uuid;

use super::Codec;
use super::data::{Datum, Kind, Sample};
use super::fold::{Fold, Head};

#[derive(Archive, Serialize)]
pub(crate) struct Op {
    node: [u8; 16],
    node_seq: u64,
    counter: u64,
    writer: [u8; 16],
    kind: OpKind,
    record: [u8; 16],
    collection: String,
    fields: Vec<Field>,
}

#[derive(Archive, Serialize)]
enum OpKind {
    Insert,
    Update,
    Delete,
}

#[derive(Archive, Serialize)]
struct Field {
    name: String,
    value: Value,
}

#[derive(Archive, Serialize)]
#[rkyv(serialize_bounds(__S: Writer + Allocator, __S::Error: Source))]
#[rkyv(bytecheck(bounds(__C: ArchiveContext)))]
enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Double(f64),
    Text(String),
    List(#[rkyv(omit_bounds)] Vec<Self>),
    Map(#[rkyv(omit_bounds)] Vec<Field>),
}

#[derive(Default)]
pub(crate) struct Rkyv {
    out: AlignedVec,
    arena: Arena,
}

impl Codec for Rkyv {
    const NAME: &'static str = "rkyv";
    type Op = Op;
    type Block = Vec<Op>;
    type Stored = AlignedVec;

    fn op(sample: &Sample) -> Op {
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
            fields: fields(&sample.fields),
        }
    }

    fn block(ops: Vec<Op>) -> Vec<Op> {
        ops
    }

    fn store(encoded: &[u8]) -> AlignedVec {
        let mut aligned = AlignedVec::with_capacity(encoded.len());
        aligned.extend_from_slice(encoded);
        aligned
    }

    fn encode_op(&mut self, op: &Op) -> &[u8] {
        let mut out = core::mem::take(&mut self.out);
        out.clear();
        self.out = high::to_bytes_in_with_alloc::<_, _, Error>(op, out, self.arena.acquire()).unwrap();
        &self.out
    }

    fn encode_block(&mut self, ops: &Vec<Op>) -> &[u8] {
        let mut out = core::mem::take(&mut self.out);
        out.clear();
        self.out = high::to_bytes_in_with_alloc::<_, _, Error>(ops, out, self.arena.acquire()).unwrap();
        &self.out
    }

    fn visit_op(&mut self, bytes: &AlignedVec, fold: &mut Fold) {
        walk(rkyv::access::<ArchivedOp, Error>(bytes).unwrap(), fold);
    }

    fn visit_block(&mut self, bytes: &AlignedVec, fold: &mut Fold) {
        let ops = rkyv::access::<rkyv::Archived<Vec<Op>>, Error>(bytes).unwrap();
        ops.iter().for_each(|op| walk(op, fold));
    }

    fn validate_op(&mut self, bytes: &AlignedVec) {
        black_box(rkyv::access::<ArchivedOp, Error>(bytes).unwrap());
    }

    fn validate_block(&mut self, bytes: &AlignedVec) {
        black_box(rkyv::access::<rkyv::Archived<Vec<Op>>, Error>(bytes).unwrap());
    }
}

fn fields(entries: &[(String, Datum)]) -> Vec<Field> {
    entries.iter().map(|(name, datum)| Field { name: name.clone(), value: value(datum) }).collect()
}

fn value(datum: &Datum) -> Value {
    match datum {
        Datum::Null => Value::Null,
        Datum::Bool(value) => Value::Bool(*value),
        Datum::Int(value) => Value::Int(*value),
        Datum::Double(value) => Value::Double(*value),
        Datum::Text(text) => Value::Text(text.clone()),
        Datum::List(items) => Value::List(items.iter().map(value).collect()),
        Datum::Map(entries) => Value::Map(fields(entries)),
    }
}

fn walk(op: &ArchivedOp, fold: &mut Fold) {
    fold.head(&Head {
        node: Uuid::from_bytes(op.node),
        node_seq: op.node_seq.to_native(),
        counter: op.counter.to_native(),
        writer: Uuid::from_bytes(op.writer),
        kind: match op.kind {
            ArchivedOpKind::Insert => Kind::Insert,
            ArchivedOpKind::Update => Kind::Update,
            ArchivedOpKind::Delete => Kind::Delete,
        },
        record: Uuid::from_bytes(op.record),
        collection: &op.collection,
    });
    walk_fields(&op.fields, fold);
}

fn walk_fields(fields: &[ArchivedField], fold: &mut Fold) {
    for field in fields {
        fold.text(&field.name);
        walk_value(&field.value, fold);
    }
}

fn walk_value(value: &ArchivedValue, fold: &mut Fold) {
    match value {
        ArchivedValue::Null => fold.null(),
        ArchivedValue::Bool(value) => fold.bool(*value),
        ArchivedValue::Int(value) => fold.int(value.to_native()),
        ArchivedValue::Double(value) => fold.double(value.to_native()),
        ArchivedValue::Text(text) => fold.text(text),
        ArchivedValue::List(items) => items.iter().for_each(|item| walk_value(item, fold)),
        ArchivedValue::Map(entries) => walk_fields(entries, fold),
    }
}
