//! Ours: the row layout of SPEC.md 6.1 and the block of 6.2.

use blazedb_relay::block::{BlockBuilder, BlockRef, Compression};
use blazedb_relay::op::{Op, OpHead, OpKind, OpRef, Visit};
use blazedb_relay::registry::Capabilities;
use blazedb_relay::value::{Entries, Fields, Value, ValueRef};
use blazedb_relay::wire::{CollectionName, FieldName, NodeId, Timestamp};

use super::Codec;
use super::data::{Datum, Kind, Sample};
use super::fold::{Fold, Head};

pub(crate) struct Relay {
    out: Vec<u8>,
    builder: BlockBuilder,
    scratch: Vec<u8>,
}

impl Relay {
    pub(crate) fn new(samples: &[Sample]) -> Self {
        let node = NodeId::new(samples[0].node).unwrap();
        Self { out: Vec::new(), builder: BlockBuilder::new(node, 1), scratch: Vec::new() }
    }
}

impl Codec for Relay {
    const NAME: &'static str = "blazedb-relay";
    type Op = Op;
    type Block = Vec<Op>;
    type Stored = Vec<u8>;

    fn op(sample: &Sample) -> Op {
        let node = |uuid| NodeId::new(uuid).unwrap();
        let kind = match sample.kind {
            Kind::Insert => OpKind::Insert,
            Kind::Update => OpKind::Update,
            Kind::Delete => OpKind::Delete,
        };
        let fields = sample.fields.iter().map(|(name, datum)| (FieldName::new(name).unwrap(), value(datum)));
        Op::new(
            (node(sample.node), sample.node_seq),
            Timestamp::new(sample.counter, node(sample.writer)).unwrap(),
            kind,
            (CollectionName::new(&sample.collection).unwrap(), sample.record),
            Fields::new(fields.collect()).unwrap(),
        )
        .unwrap()
    }

    fn block(ops: Vec<Op>) -> Vec<Op> {
        ops
    }

    fn store(encoded: &[u8]) -> Vec<u8> {
        encoded.to_vec()
    }

    fn encode_op(&mut self, op: &Op) -> &[u8] {
        self.out.clear();
        op.encode(&mut self.out);
        &self.out
    }

    fn encode_block(&mut self, ops: &Vec<Op>) -> &[u8] {
        self.builder.restart(1);
        for op in ops {
            self.builder.push(op).unwrap();
        }
        self.builder.finish(Compression::None).unwrap()
    }

    fn visit_op(&mut self, bytes: &Vec<u8>, fold: &mut Fold) {
        let op = OpRef::decode(bytes).unwrap();
        fold.op(&op.head);
        for (name, value) in op.fields.iter() {
            fold.field(name, value);
        }
    }

    fn visit_block(&mut self, bytes: &Vec<u8>, fold: &mut Fold) {
        let block = BlockRef::decode(bytes).unwrap();
        block.rows(&mut self.scratch).unwrap().visit(Capabilities::ALL, fold).unwrap();
    }

    fn validate_op(&mut self, bytes: &Vec<u8>) {
        OpRef::decode(bytes).unwrap();
    }

    fn validate_block(&mut self, bytes: &Vec<u8>) {
        let block = BlockRef::decode(bytes).unwrap();
        block.rows(&mut self.scratch).unwrap().validate(Capabilities::ALL).unwrap();
    }
}

fn value(datum: &Datum) -> Value {
    match datum {
        Datum::Null => Value::Null,
        Datum::Bool(value) => Value::Bool(*value),
        Datum::Int(value) => Value::Int(*value),
        Datum::Double(value) => (*value).into(),
        Datum::Text(text) => text.as_str().into(),
        Datum::List(items) => Value::Array(items.iter().map(value).collect()),
        Datum::Map(entries) => {
            let entries = entries.iter().map(|(key, datum)| (key.as_str().into(), value(datum)));
            Value::Dictionary(Entries::new(entries.collect()).unwrap())
        }
    }
}

impl Visit for Fold {
    #[inline]
    fn op(&mut self, head: &OpHead<'_>) {
        self.head(&Head {
            node: head.node.uuid(),
            node_seq: head.node_seq,
            counter: head.timestamp.counter(),
            writer: head.timestamp.node(),
            kind: match head.kind {
                OpKind::Insert => Kind::Insert,
                OpKind::Update => Kind::Update,
                OpKind::Delete => Kind::Delete,
            },
            record: head.record,
            collection: head.collection,
        });
    }

    #[inline]
    fn field(&mut self, name: &str, value: ValueRef<'_>) {
        self.text(name);
        fold_value(value, self);
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the data has only what JSON has")]
fn fold_value(value: ValueRef<'_>, fold: &mut Fold) {
    match value {
        ValueRef::Null => fold.null(),
        ValueRef::Bool(value) => fold.bool(value),
        ValueRef::Int(value) => fold.int(value),
        ValueRef::Double(value) => fold.double(value.get()),
        ValueRef::String(text) => fold.text(text),
        ValueRef::Array(items) => items.iter().for_each(|item| fold_value(item, fold)),
        ValueRef::Dictionary(entries) => {
            for (key, value) in entries.iter() {
                fold.text(key);
                fold_value(value, fold);
            }
        }
        other => panic!("the data has no {other:?}"),
    }
}
