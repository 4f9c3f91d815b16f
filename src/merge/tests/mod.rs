//! The merge, seen from outside.

mod examples;
mod state;

use alloc::boxed::Box;
use alloc::vec::Vec;

use uuid::Uuid;

use super::{Heard, Path, State};
use crate::op::{Op, OpKind};
use crate::value::{Entries, Fields, Value};
use crate::wire::{CollectionName, FieldName, NodeId, Timestamp};

const RECORD: Uuid = Uuid::from_u128(7);

/// Node A is smaller than node B.
#[derive(Clone, Copy)]
enum Node {
    A = 0xA,
    B = 0xB,
}
use Node::{A, B};

impl Node {
    fn id(self) -> NodeId {
        NodeId::new(Uuid::from_u128(self as u128)).unwrap()
    }
}

/// The timestamp tN with that node.
fn t(counter: u64, node: Node) -> Timestamp {
    Timestamp::new(counter, node.id()).unwrap()
}

fn collection() -> CollectionName {
    CollectionName::new("c").unwrap()
}

/// The path of field f and keys below it.
fn path(keys: &[&str]) -> Path {
    let field = Path::field(collection(), RECORD, &FieldName::new("f").unwrap());
    keys.iter().fold(field, |path, key| path.key(key).unwrap())
}

fn write(timestamp: Timestamp, fields: Vec<(&str, Value)>) -> Op {
    let kind = if fields.is_empty() { OpKind::Delete } else { OpKind::Update };
    let named = fields.into_iter().map(|(name, value)| (FieldName::new(name).unwrap(), value)).collect();
    let node = NodeId::new(timestamp.node()).unwrap();
    let number = (node, timestamp.counter());
    Op::new(number, timestamp, kind, (collection(), RECORD), Fields::new(named).unwrap()).unwrap()
}

/// f = `value`.
fn set(timestamp: Timestamp, value: impl Into<Value>) -> Op {
    write(timestamp, [("f", value.into())].into())
}

fn delete(timestamp: Timestamp) -> Op {
    write(timestamp, Vec::new())
}

fn entries(entries: Vec<(&str, Value)>) -> Entries {
    Entries::new(entries.into_iter().map(|(key, value)| (Box::from(key), value)).collect()).unwrap()
}

fn dictionary<const N: usize>(of: [(&str, Value); N]) -> Value {
    Value::Dictionary(entries(of.into()))
}

fn patch<const N: usize>(of: [(&str, Value); N]) -> Value {
    Value::Patch(entries(of.into()))
}

const fn counter(base: Timestamp, total: i64) -> Value {
    Value::Counter { base, total }
}

/// The state of these operations in this order, each heard at its place in it.
fn state<'a>(ops: impl IntoIterator<Item = &'a Op>) -> State {
    let mut state = State::new();
    for (op, seq) in ops.into_iter().zip(1..) {
        state.apply_owned(op, Heard::at(seq), &mut ());
    }
    state
}

/// Calls `each` with every order of `items`.
fn permute<T: Clone>(items: &[T], each: &mut dyn FnMut(&[T])) {
    fn go<T: Clone>(items: &mut Vec<T>, done: usize, each: &mut dyn FnMut(&[T])) {
        if done + 1 >= items.len() {
            return each(items);
        }
        for i in done..items.len() {
            items.swap(done, i);
            go(items, done + 1, each);
            items.swap(done, i);
        }
    }
    go(&mut items.to_vec(), 0, each);
}
