//! Operations as they are kept: in row layout, checked once.

use core::fmt;

use bytes::Bytes;

use crate::error::DecodeError;
use crate::op::{OpRef, readdress};
use crate::wire::NodeId;

/// An operation in row layout that was checked, cheap to clone.
///
/// Its bytes are what a store keeps and what a block carries.
#[derive(Clone, PartialEq, Eq)]
pub struct OpRow(Bytes);

impl OpRow {
    /// The operation that these bytes are.
    ///
    /// # Errors
    /// The first rule of SPEC.md 6.1 that the bytes break.
    pub fn new(bytes: Bytes) -> Result<Self, DecodeError> {
        OpRef::decode(&bytes)?;
        Ok(Self(bytes))
    }

    /// Its bytes.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.0
    }

    /// The operation.
    #[must_use]
    #[allow(
        clippy::missing_panics_doc,
        clippy::expect_used,
        reason = "the constructor decoded the same bytes"
    )]
    pub fn op(&self) -> OpRef<'_> {
        OpRef::decoded_before(&self.0).expect("checked by the constructor")
    }

    /// The same write as another delivery.
    pub(super) fn readdressed(&self, node: NodeId, node_seq: u64) -> Self {
        Self(readdress(&self.0, node, node_seq).into())
    }
}

impl fmt::Debug for OpRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op = self.op();
        f.debug_struct("OpRow").field("head", &op.head).field("fields", &op.fields).finish()
    }
}
