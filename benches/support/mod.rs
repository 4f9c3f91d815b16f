//! What both benchmarks share: the data, the contenders, and the one walk that all of them must do.
//!
//! Rules that keep it fair:
//!
//! - Every contender carries the same: node, node_seq, timestamp, type, record, collection, fields.
//!   Timestamps keep the nodes of the trace; one node delivers all, so that a block can hold them.
//! - Encoding starts from owned data of the contender's own kind and writes into a buffer that is kept.
//! - Visiting feeds everything to a [`Fold`], containers included, and all folds must be equal:
//!   [`Runner::new`] fails if one contender reads something else.
//! - Where a format can lend text from its input, its decoder borrows.
//! - The other formats have the seven types of JSON and no checksum. Ours has all its types, two
//!   checksums, and checks that there is no other spelling of the same bytes.

mod bitcode;
mod data;
mod fold;
mod prost;
mod relay;
mod rkyv;
mod serde;
mod serde_model;

pub(crate) use data::{DATA_SETS, Sample};
pub(crate) use fold::Fold;

/// One format's way to write and read operations, alone and as a block.
pub(crate) trait Codec {
    const NAME: &'static str;
    /// An operation in the form in which an application of that format holds it.
    type Op;
    /// Many of them.
    type Block;
    /// Encoded bytes as they lie in memory when they are read.
    type Stored: AsRef<[u8]>;

    fn op(sample: &Sample) -> Self::Op;
    fn block(ops: Vec<Self::Op>) -> Self::Block;
    fn store(encoded: &[u8]) -> Self::Stored;

    /// Encodes into a buffer that is kept from call to call.
    fn encode_op(&mut self, op: &Self::Op) -> &[u8];
    fn encode_block(&mut self, block: &Self::Block) -> &[u8];
    /// Decodes and shows everything to `fold`.
    fn visit_op(&mut self, bytes: &Self::Stored, fold: &mut Fold);
    fn visit_block(&mut self, bytes: &Self::Stored, fold: &mut Fold);
    /// Does what must be done before anything that was read can be believed, and nothing more.
    fn validate_op(&mut self, bytes: &Self::Stored);
    fn validate_block(&mut self, bytes: &Self::Stored);
}

/// What is measured. Each is one pass over all operations of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Encode,
    Visit,
    Validate,
}

impl Work {
    pub(crate) const ALL: [Self; 3] = [Self::Encode, Self::Visit, Self::Validate];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Encode => "encode",
            Self::Visit => "visit",
            Self::Validate => "validate",
        }
    }
}

/// Whether operations are written one by one or as one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Operation,
    Block,
}

impl Unit {
    pub(crate) const ALL: [Self; 2] = [Self::Operation, Self::Block];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Operation => "operation",
            Self::Block => "block",
        }
    }
}

/// A contender with its data ready.
pub(crate) trait Contender {
    fn name(&self) -> &'static str;
    fn run(&mut self, unit: Unit, work: Work);
    #[allow(dead_code, reason = "only the table shows sizes")]
    fn encoded(&self, unit: Unit) -> Vec<&[u8]>;
}

struct Runner<C: Codec> {
    codec: C,
    ops: Vec<C::Op>,
    block: C::Block,
    stored_ops: Vec<C::Stored>,
    stored_block: C::Stored,
}

impl<C: Codec> Runner<C> {
    fn new(mut codec: C, samples: &[Sample]) -> Self {
        let ops: Vec<_> = samples.iter().map(C::op).collect();
        let block = C::block(samples.iter().map(C::op).collect());
        let stored_ops: Vec<_> = ops.iter().map(|op| C::store(codec.encode_op(op))).collect();
        let stored_block = C::store(codec.encode_block(&block));

        let mut expected = Fold::default();
        samples.iter().for_each(|sample| sample.fold(&mut expected));
        let (mut one_by_one, mut whole) = (Fold::default(), Fold::default());
        stored_ops.iter().for_each(|op| codec.visit_op(op, &mut one_by_one));
        codec.visit_block(&stored_block, &mut whole);
        assert_eq!(one_by_one, expected, "{} reads other operations than it was given", C::NAME);
        assert_eq!(whole, expected, "{} reads another block than it was given", C::NAME);
        Self { codec, ops, block, stored_ops, stored_block }
    }
}

impl<C: Codec> Contender for Runner<C> {
    fn name(&self) -> &'static str {
        C::NAME
    }

    fn run(&mut self, unit: Unit, work: Work) {
        let Self { codec, ops, block, stored_ops, stored_block } = self;
        match (unit, work) {
            (Unit::Operation, Work::Encode) => {
                for op in &*ops {
                    core::hint::black_box(codec.encode_op(op));
                }
            }
            (Unit::Block, Work::Encode) => {
                core::hint::black_box(codec.encode_block(block));
            }
            (Unit::Operation, Work::Visit) => {
                for op in &*stored_ops {
                    let mut fold = Fold::default();
                    codec.visit_op(op, &mut fold);
                    core::hint::black_box(&fold);
                }
            }
            (Unit::Block, Work::Visit) => {
                let mut fold = Fold::default();
                codec.visit_block(stored_block, &mut fold);
                core::hint::black_box(&fold);
            }
            (Unit::Operation, Work::Validate) => stored_ops.iter().for_each(|op| codec.validate_op(op)),
            (Unit::Block, Work::Validate) => codec.validate_block(stored_block),
        }
    }

    fn encoded(&self, unit: Unit) -> Vec<&[u8]> {
        match unit {
            Unit::Operation => self.stored_ops.iter().map(AsRef::as_ref).collect(),
            Unit::Block => vec![self.stored_block.as_ref()],
        }
    }
}

/// All contenders over the same operations, ours first.
pub(crate) fn contenders(samples: &[Sample]) -> Vec<Box<dyn Contender>> {
    vec![
        Box::new(Runner::new(relay::Relay::new(samples), samples)),
        Box::new(Runner::new(serde::Json::default(), samples)),
        Box::new(Runner::new(serde::MessagePack::default(), samples)),
        Box::new(Runner::new(serde::Postcard::new(), samples)),
        Box::new(Runner::new(prost::Prost::default(), samples)),
        Box::new(Runner::new(rkyv::Rkyv::default(), samples)),
        Box::new(Runner::new(bitcode::Bitcode::default(), samples)),
    ]
}
