//! Blocks of a log on their way to a client, each with its place (SPEC.md 7.6 and 7.11).

use super::checked::Seq;
use super::list::List;
use super::{DecodeInput, Failure};
use crate::block::{BlockRef, BlockRules, Blocks, blocks};
use crate::error::BuildError;
use crate::limits::MAX_BLOCKS;
use crate::registry::ErrorCode;

/// For each block the seq of its first node_seq, ascending (MSG-22).
pub type FirstSeqs<'a> = List<'a, Seq, MAX_BLOCKS>;

/// Blocks of a log and their places in it, as many of one as of the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBlocks<'a> {
    first_seqs: FirstSeqs<'a>,
    blocks: Blocks<'a>,
}

impl<'a> LogBlocks<'a> {
    /// No blocks.
    pub const NONE: Self = Self { first_seqs: FirstSeqs::EMPTY, blocks: Blocks::NONE };

    /// Blocks, and for each the seq of its first node_seq.
    ///
    /// # Errors
    /// `TRUNCATED` if there are fewer blocks than seqs, `TRAILING_BYTES` if there are more (MSG-6).
    pub const fn new(first_seqs: FirstSeqs<'a>, blocks: Blocks<'a>) -> Result<Self, BuildError> {
        if blocks.len() < first_seqs.len() {
            return Err(BuildError::new(ErrorCode::TRUNCATED, "blocks"));
        }
        if blocks.len() > first_seqs.len() {
            return Err(BuildError::new(ErrorCode::TRAILING_BYTES, "blocks"));
        }
        Ok(Self { first_seqs, blocks })
    }

    /// The places of blocks whose bytes follow the frame's head from buffers of their own.
    pub(crate) const fn elsewhere(first_seqs: FirstSeqs<'a>) -> Self {
        Self { first_seqs, blocks: Blocks::NONE }
    }

    /// The place of each block.
    #[must_use]
    pub const fn first_seqs(self) -> FirstSeqs<'a> {
        self.first_seqs
    }

    /// The blocks.
    #[must_use]
    pub const fn blocks(self) -> Blocks<'a> {
        self.blocks
    }

    /// Each block with the seq of its first node_seq.
    pub fn iter(self) -> impl Iterator<Item = (Seq, BlockRef<'a>)> {
        self.first_seqs.iter().zip(self.blocks.iter())
    }

    pub(super) fn decode(first_seqs: FirstSeqs<'a>, input: &DecodeInput<'a>) -> Result<Self, Failure<'a>> {
        let rules = BlockRules { pushed: false, compression: input.compression };
        let blocks = blocks(input.blocks, first_seqs.len(), rules)?;
        Ok(Self { first_seqs, blocks })
    }
}
