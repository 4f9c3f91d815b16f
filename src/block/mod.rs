//! Blocks: operations of one node, sent, stored and forwarded as one unit (SPEC.md 6.2 to 6.5).

mod build;
mod header;
mod lz4;
mod rows;

pub use build::{BlockBuilder, Compression};
pub use header::{BlockHeader, BlockRef, Blocks, BlocksIter};
pub(crate) use header::{BlockRules, blocks};
pub use rows::{Rows, RowsIter};
