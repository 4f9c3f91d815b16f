//! What a client keeps durably, as rows, and the changes to them.
//!
//! A store needs a place for each kind of row and does what the changes say, those of one list in one
//! transaction and in order. To load a replica, it gives its rows back as the same changes.

use alloc::boxed::Box;
use core::fmt;
use core::ops::RangeInclusive;

use uuid::Uuid;

use super::{CollectionSet, OpRow, Seen};
use crate::merge::{Entry, Heard, Path};
use crate::message::{LastNodeSeq, Mark};
use crate::op::OpHead;
use crate::registry::{Capabilities, ErrorCode};
use crate::wire::{NodeId, NodeKey, Position, Timestamp};

/// Who a client is to a relay. Both parts come from a secure random source (SEC-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The node's UUID, which others see.
    pub node: NodeId,
    /// The proof that it is this node, which only the relay sees.
    pub key: NodeKey,
}

/// The one row of what a client knows of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Node {
    /// Who it is.
    pub identity: Identity,
    /// The highest number that it ever gave to an operation.
    pub given: LastNodeSeq,
    /// *acknowledged* and *check* of SPEC.md 10.4: the last operation of which it knows that the relay
    /// took it.
    pub acknowledged: Mark,
    /// The clock of SPEC.md 10.6.
    pub clock: u64,
    /// The greatest counter that was ever merged into the durable state.
    pub merged: u64,
    /// It took the place of another node, and no relay has welcomed it yet (SES-15).
    pub untried: bool,
    /// What the reader could that had to stop because it could not read a block (SES-103).
    pub stopped: Option<Reader>,
}

/// What a client can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    /// The highest version that it speaks.
    pub version: u16,
    /// What it offers.
    pub capabilities: Capabilities,
}

/// An operation of the outbox. Its number is the operation's node_seq.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queued {
    /// The operation.
    pub op: OpRow,
    /// The relay took its number, but accepted or refused is not known (SPEC.md 10.4).
    pub uncertain: bool,
    /// The first timestamp of the transaction that it is part of, if that has several operations.
    pub transaction: Option<Timestamp>,
    /// It was made from what was in doubt, not written by the application (SES-60).
    pub restored: bool,
}

impl Queued {
    /// Its number.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.op.op().head.node_seq
    }

    /// The CRC-32 that closes it.
    #[must_use]
    pub fn check(&self) -> u32 {
        self.op.op().head.check
    }
}

/// An operation that a relay refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejected {
    /// The operation.
    pub op: OpRow,
    /// Why.
    pub code: ErrorCode,
}

/// What tells the operations of a rejected list apart: the write, then the delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RejectedKey {
    /// The name of the write.
    pub timestamp: Timestamp,
    /// The node under which it was refused.
    pub node: NodeId,
    /// Its number there.
    pub node_seq: u64,
}

impl RejectedKey {
    /// Before the keys of all operations with that timestamp, and after them.
    pub(super) fn range_of(timestamp: Timestamp) -> Option<RangeInclusive<Self>> {
        let [least, greatest] = [1, u128::MAX].map(|bits| NodeId::new(Uuid::from_u128(bits)).ok());
        let (least, greatest) = (least?, greatest?);
        Some(
            Self { timestamp, node: least, node_seq: 0 }..=Self {
                timestamp,
                node: greatest,
                node_seq: u64::MAX,
            },
        )
    }
}

impl Rejected {
    /// Its key in the list.
    #[must_use]
    pub fn key(&self) -> RejectedKey {
        let OpHead { timestamp, node, node_seq, .. } = self.op.op().head;
        RejectedKey { timestamp, node, node_seq }
    }
}

/// One change of one row, or of many in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// The only row of its kind is this.
    Node(Node),
    /// The operation is in the outbox, in the place of one with the same number.
    Queued(Queued),
    /// The operation of this number is not in the outbox any more.
    Unqueued(u64),
    /// The outbox is empty.
    OutboxCleared,
    /// The operation is on the rejected list.
    Rejected(Rejected),
    /// The operation with this key is not on the rejected list any more.
    Unrejected(RejectedKey),
    /// The register of the durable state at this path is this.
    Register {
        /// Where it stands: its key.
        path: Path,
        /// The write that it comes from.
        timestamp: Timestamp,
        /// The encoding of its value.
        value: Box<[u8]>,
        /// When it was heard.
        heard: Heard,
    },
    /// The counter of the durable state with this key is this.
    Counter {
        /// Where it stands: part of its key, with the timestamp's node and the base.
        path: Path,
        /// The reset that it counts from; may be never.
        base: Timestamp,
        /// The write that it comes from.
        timestamp: Timestamp,
        /// The sum of the node's increments since.
        total: i64,
        /// When it was heard.
        heard: Heard,
    },
    /// There is no register at this path any more.
    RegisterDropped(Path),
    /// There is no counter with this key any more.
    CounterDropped {
        /// Where it stood.
        path: Path,
        /// Whose it was.
        node: Uuid,
        /// The reset that it counted from.
        base: Timestamp,
    },
    /// Every register and counter that was heard of after this seq is in doubt (SES-31).
    DoubtAbove(u64),
    /// There are no registers and counters any more.
    StateCleared,
    /// The position of this set of collections.
    Position(CollectionSet, Position),
    /// The list of seen positions.
    Seen(Seen),
}

impl Change {
    /// The change that sets an entry of the durable state.
    pub(super) fn set(entry: Entry<'_>) -> Option<Self> {
        // The path of an entry is that of an operation that was decoded: it has an owned form.
        let path = Path::try_from(entry.path()).ok()?;
        Some(match entry {
            Entry::Register { timestamp, value, heard, .. } => {
                Self::Register { path, timestamp, value: value.into(), heard }
            }
            Entry::Counter { base, timestamp, total, heard, .. } => {
                Self::Counter { path, base, timestamp, total, heard }
            }
        })
    }

    /// The change that drops an entry of the durable state.
    pub(super) fn drop(entry: Entry<'_>) -> Option<Self> {
        let path = Path::try_from(entry.path()).ok()?;
        Some(match entry {
            Entry::Register { .. } => Self::RegisterDropped(path),
            Entry::Counter { base, timestamp, .. } => {
                Self::CounterDropped { path, node: timestamp.node(), base }
            }
        })
    }
}

/// What rows that were loaded lack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoNode;

impl fmt::Display for NoNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the store has no row for the node")
    }
}

impl core::error::Error for NoNode {}
