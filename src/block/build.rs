//! Building blocks.

use alloc::vec::Vec;

use super::header::{BlockHeader, HEADER};
use super::lz4;
use crate::error::BuildError;
use crate::limits::{MAX_BLOCK, MAX_NODE_SEQ};
use crate::op::{Op, OpHead, OpRef};
use crate::registry::{Encoding, ErrorCode};
use crate::wire::NodeId;

/// Whether a block's payload is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As it is.
    None,
    /// LZ4 where that makes it smaller; only where `compression` was agreed on (BLK-4).
    Lz4,
}

/// Collects operations of one node into a block.
///
/// Operations are encoded as they come, behind a place for the header that stays all ones until the
/// block is finished, so that half a block is never a block.
#[derive(Clone, Debug)]
pub struct BlockBuilder {
    node: NodeId,
    first_node_seq: u64,
    /// How far node_seqs may go, and whether some may be missing: a part of a block that was pushed.
    part_of_span: Option<u16>,
    count: u16,
    next_node_seq: u64,
    bytes: Vec<u8>,
}

impl BlockBuilder {
    /// A block of operations of `node`, of which the first has the number `first_node_seq`.
    #[must_use]
    pub fn new(node: NodeId, first_node_seq: u64) -> Self {
        Self {
            node,
            first_node_seq,
            part_of_span: None,
            count: 0,
            next_node_seq: first_node_seq,
            bytes: [0xFF; HEADER].to_vec(),
        }
    }

    /// A block that holds some operations of the block that `whole` describes, under the same numbers.
    #[must_use]
    pub fn part_of(whole: &BlockHeader) -> Self {
        Self::part_of_span(whole.node, whole.first_node_seq, whole.span)
    }

    /// A block that holds some operations of one that was pushed with `span` operations.
    #[must_use]
    pub fn part_of_span(node: NodeId, first_node_seq: u64, span: u16) -> Self {
        Self { part_of_span: Some(span), ..Self::new(node, first_node_seq) }
    }

    /// Starts again with a block of the same node from `first_node_seq`, keeping the memory.
    pub fn restart(&mut self, first_node_seq: u64) {
        self.first_node_seq = first_node_seq;
        self.next_node_seq = first_node_seq;
        self.part_of_span = None;
        self.count = 0;
        self.bytes.truncate(HEADER);
        self.bytes.fill(0xFF);
    }

    /// Adds an operation.
    ///
    /// # Errors
    /// `MIXED_NODES`, `NOT_CONTIGUOUS` or `BAD_NODE_SEQ` if it does not fit behind the last one,
    /// `TOO_MANY` or `TOO_LONG` if the block is full. The block is as before then.
    #[inline]
    pub fn push(&mut self, op: &Op) -> Result<(), BuildError> {
        let (node, node_seq) = op.delivery();
        self.check(node, node_seq)?;
        self.add(node_seq, |bytes| op.encode(bytes))
    }

    /// Adds an operation as it was decoded, byte for byte.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn push_ref(&mut self, op: &OpRef<'_>) -> Result<(), BuildError> {
        let OpHead { node, node_seq, .. } = op.head;
        self.check(node, node_seq)?;
        self.add(node_seq, |bytes| bytes.extend_from_slice(op.raw()))
    }

    fn check(&self, node: NodeId, node_seq: u64) -> Result<(), BuildError> {
        let err = |code, field| Err(BuildError::new(code, field));
        if node != self.node {
            return err(ErrorCode::MIXED_NODES, "node");
        }
        if self.count == u16::MAX {
            return err(ErrorCode::TOO_MANY, "count");
        }
        if node_seq == 0 || node_seq > MAX_NODE_SEQ {
            return err(ErrorCode::BAD_NODE_SEQ, "node_seq");
        }
        let fits = match self.part_of_span {
            Some(span) => node_seq >= self.next_node_seq && node_seq < self.first_node_seq + u64::from(span),
            None => node_seq == self.next_node_seq,
        };
        if fits { Ok(()) } else { err(ErrorCode::NOT_CONTIGUOUS, "node_seq") }
    }

    #[inline]
    fn add(&mut self, node_seq: u64, encode: impl FnOnce(&mut Vec<u8>)) -> Result<(), BuildError> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&[0xFF; 4]);
        encode(&mut self.bytes);
        if self.bytes.len() > HEADER + MAX_BLOCK {
            self.bytes.truncate(start);
            return Err(BuildError::new(ErrorCode::TOO_LONG, "payload"));
        }
        // The whole payload is at most MAX_BLOCK.
        #[allow(clippy::cast_possible_truncation, reason = "at most MAX_BLOCK")]
        let len = (self.bytes.len() - start - 4) as u32;
        if let Some(place) = self.bytes.get_mut(start..start + 4) {
            place.copy_from_slice(&len.to_be_bytes());
        }
        self.count += 1;
        self.next_node_seq = node_seq + 1;
        Ok(())
    }

    /// Operations added so far.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.count as usize
    }

    /// True until an operation was added.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Bytes the block would take now, uncompressed.
    #[must_use]
    pub const fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Completes the block and gives its bytes, or `None` if it has no operation (BLK-5).
    ///
    /// The builder keeps its memory; call [`Self::restart`] before it is used again.
    pub fn finish(&mut self, compression: Compression) -> Option<&[u8]> {
        if self.count == 0 {
            return None;
        }
        let span = self.part_of_span.unwrap_or(self.count);
        let mut header = BlockHeader {
            encoding: Encoding::ROWS,
            compressed: false,
            holes: span != self.count,
            count: self.count,
            span,
            first_node_seq: self.first_node_seq,
            node: self.node,
        };
        if compression == Compression::Lz4
            && let Some(compressed) = lz4::compress(self.bytes.get(HEADER..)?)
        {
            header.compressed = true;
            self.bytes.truncate(HEADER);
            self.bytes.extend_from_slice(&compressed);
        }
        let head = header.bytes(self.bytes.len() - HEADER);
        self.bytes.first_chunk_mut::<HEADER>()?.copy_from_slice(&head);
        Some(&self.bytes)
    }
}
