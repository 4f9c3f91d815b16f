//! serde_json, rmp-serde and postcard over one schema. What can be borrowed is borrowed.

use core::hint::black_box;

use super::Codec;
use super::data::Sample;
use super::fold::Fold;
use super::serde_model::{JsonText, Op, Tagged, Untagged, Walk};

/// JSON as it is usually written: UUIDs as text, values as JSON values.
#[derive(Default)]
pub(crate) struct Json {
    out: Vec<u8>,
}

/// MessagePack: structs as arrays, UUIDs as bytes, values as MessagePack values.
#[derive(Default)]
pub(crate) struct MessagePack {
    out: Vec<u8>,
}

/// postcard: not self-describing, so values are an enum.
pub(crate) struct Postcard {
    out: Vec<u8>,
}

impl Postcard {
    pub(crate) fn new() -> Self {
        // postcard is fastest into a slice, which must be large enough from the start.
        Self { out: vec![0; 1 << 20] }
    }
}

macro_rules! serde_codec {
    ($codec:ident, $name:literal, $text:ty, $value:ident, $encode:expr, $decode:path) => {
        impl Codec for $codec {
            const NAME: &'static str = $name;
            type Op = Op<String, $value<String>>;
            type Block = Vec<Self::Op>;
            type Stored = Vec<u8>;

            fn op(sample: &Sample) -> Self::Op {
                sample.into()
            }

            fn block(ops: Vec<Self::Op>) -> Self::Block {
                ops
            }

            fn store(encoded: &[u8]) -> Vec<u8> {
                encoded.to_vec()
            }

            fn encode_op(&mut self, op: &Self::Op) -> &[u8] {
                $encode(&mut self.out, op)
            }

            fn encode_block(&mut self, block: &Self::Block) -> &[u8] {
                $encode(&mut self.out, block)
            }

            fn visit_op(&mut self, bytes: &Vec<u8>, fold: &mut Fold) {
                let op: Op<$text, $value<$text>> = $decode(bytes).unwrap();
                op.walk(fold);
            }

            fn visit_block(&mut self, bytes: &Vec<u8>, fold: &mut Fold) {
                let ops: Vec<Op<$text, $value<$text>>> = $decode(bytes).unwrap();
                ops.iter().for_each(|op| op.walk(fold));
            }

            fn validate_op(&mut self, bytes: &Vec<u8>) {
                let op: Op<$text, $value<$text>> = $decode(bytes).unwrap();
                black_box(&op);
            }

            fn validate_block(&mut self, bytes: &Vec<u8>) {
                let ops: Vec<Op<$text, $value<$text>>> = $decode(bytes).unwrap();
                black_box(&ops);
            }
        }
    };
}

serde_codec!(Json, "serde_json", JsonText<'_>, Untagged, json, serde_json::from_slice);
serde_codec!(MessagePack, "rmp-serde", &str, Untagged, message_pack, rmp_serde::from_slice);
serde_codec!(Postcard, "postcard", &str, Tagged, postcard, ::postcard::from_bytes);

fn json<'a>(out: &'a mut Vec<u8>, message: &impl serde::Serialize) -> &'a [u8] {
    out.clear();
    serde_json::to_writer(&mut *out, message).unwrap();
    out
}

fn message_pack<'a>(out: &'a mut Vec<u8>, message: &impl serde::Serialize) -> &'a [u8] {
    out.clear();
    rmp_serde::encode::write(out, message).unwrap();
    out
}

fn postcard<'a>(out: &'a mut [u8], message: &impl serde::Serialize) -> &'a [u8] {
    ::postcard::to_slice(message, out).unwrap()
}
