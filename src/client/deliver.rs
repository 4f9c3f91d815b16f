//! What a client does with what a relay delivers, accepts and refuses (SPEC.md 10.4 and 10.7).

use alloc::vec::Vec;

use super::local::Local;
use super::{Change, CollectionSet, Identity, Queued, Reader, Records, Replica};
use crate::message::LogBlocks;
use crate::mutant::Mutant;
use crate::op::OpRef;
use crate::registry::ErrorCode;
use crate::wire::{Position, Timestamp};

/// Blocks that were delivered and checked, and where they end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delivery<'a> {
    pub(super) collections: &'a CollectionSet,
    pub(super) blocks: LogBlocks<'a>,
    pub(super) position: Position,
    /// The highest number that was sent on this connection.
    pub(super) sent: u64,
}

/// A block that has its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) first: u64,
    pub(super) last: u64,
    /// The check of its last operation.
    pub(super) check: u32,
}

/// What an answer or a delivery has done.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    pub(super) changes: Vec<Change>,
    /// Records that may look different now.
    pub(super) records: Records,
    /// Writes that the relay has in its log.
    pub(super) durable: Vec<Timestamp>,
    /// Writes that were refused.
    pub(super) rejected: Vec<Timestamp>,
    /// An operation of SES-60 was refused.
    pub(super) restored_refused: Option<Timestamp>,
    /// The numbers, from the first to the last, that operations of a refused block got.
    pub(super) requeued: Option<(u64, u64)>,
    /// The client has set its clock back and become a new node.
    pub(super) clock_set_back: bool,
}

impl Outcome {
    fn end(mut self, local: Local<'_>) -> Self {
        (self.changes, self.records) = local.commit();
        self
    }
}

impl Replica {
    //= SES-79
    /// Merges what was delivered.
    pub(super) fn deliver(&mut self, delivery: &Delivery<'_>) -> Outcome {
        let mut outcome = Outcome::default();
        let mut local = Local::begin(self);
        let mut scratch = Vec::new();
        for (first_seq, block) in delivery.blocks.iter() {
            // Its operations were decoded before.
            let Ok(rows) = block.rows(&mut scratch) else { continue };
            let first_number = block.header().first_node_seq;
            for op in rows.iter() {
                local.merge(&op, first_seq.get() + (op.head.node_seq - first_number));
                local.recognise(&op, delivery.sent, &mut outcome.durable);
            }
        }
        // A pull and a subscription may read the same set: each has all up to where it is.
        let known = local.replica.position(delivery.collections);
        if known.is_none_or(|known| known.seq() <= delivery.position.seq()) {
            local.set_position(delivery.collections, delivery.position);
        }
        //= SES-28
        local.hear(delivery.position);
        outcome.end(local)
    }

    //= SES-48
    /// The block was accepted: its first operation has `first_seq`, its last one stands at `last`.
    pub(super) fn accept(&mut self, block: Block, first_seq: u64, last: Position) -> Outcome {
        let mut outcome = Outcome::default();
        let mut local = Local::begin(self);
        for number in block.first..=block.last {
            // What was delivered in the meantime has left the outbox already (SES-22).
            if let Some(queued) = local.unqueue(number) {
                let op = queued.op.op();
                local.merge(&op, first_seq + (number - block.first));
                outcome.durable.push(op.head.timestamp);
            }
        }
        //= SES-28
        //= SES-54
        local.hear(last);
        local.acknowledge(block.last, block.check);
        // The view had all of it before.
        Outcome { records: Records::default(), ..outcome.end(local) }
    }

    /// The block was refused for its operation number `named`. `spare` is used if the clock has to be set
    /// back.
    //= SES-49
    pub(super) fn refuse(&mut self, block: Block, named: u64, code: ErrorCode, spare: Identity) -> Outcome {
        let mut outcome = Outcome::default();
        let mut local = Local::begin(self);
        local.acknowledge(block.last, block.check);
        let (first, last) = local.replica.outbox.transaction_of(named);
        let mut refused_counter = 0;
        for number in first..=last.min(block.last) {
            let restored = local.replica.outbox.get(number).is_some_and(|queued| queued.restored);
            // What was in doubt is in the durable state, and stays in doubt.
            let taken = if restored { local.unqueue(number) } else { local.discard(number) };
            let Some(queued) = taken else { continue };
            let timestamp = queued.op.op().head.timestamp;
            if restored {
                //= SES-64
                //= SES-65
                outcome.restored_refused = Some(timestamp);
            } else {
                local.reject(&queued, code);
                outcome.rejected.push(timestamp);
                refused_counter = refused_counter.max(timestamp.counter());
            }
        }
        //= SES-50
        let others = local.replica.outbox.range(block.first, block.last).map(|(number, _)| number);
        for number in others.collect::<Vec<_>>() {
            if Mutant::RefusedBlockDropped.is_on() {
                local.unqueue(number);
                continue;
            }
            if let Some(new) = local.renumber(number) {
                outcome.requeued = Some((outcome.requeued.map_or(new, |(first, _)| first), new));
            }
        }
        if code == ErrorCode::CLOCK_TOO_FAR_AHEAD && local.is_clock_too_far_ahead(refused_counter) {
            //= SES-42
            local.replica.node.clock = local.replica.state.greatest_counter();
            local.become_new_node(spare);
            outcome.clock_set_back = true;
        }
        outcome.end(local)
    }

    /// Gives new numbers to the operations whose uncertainty the log has not ended.
    //= SES-23
    pub(super) fn send_again(&mut self, numbers: &[u64]) -> Vec<Change> {
        let mut local = Local::begin(self);
        for number in numbers {
            local.renumber(*number);
        }
        local.commit().0
    }

    //= SES-72
    /// Begins to read a set of collections from the start.
    pub(super) fn forget_position(&mut self, collections: &CollectionSet) -> Vec<Change> {
        let mut local = Local::begin(self);
        local.set_position(collections, Position::START);
        local.commit().0
    }

    //= SES-103
    /// Reads no more until there is a reader that can more than `reader`; with `None`, reads again.
    pub(super) fn stop_reading(&mut self, reader: Option<Reader>) -> Vec<Change> {
        let local = Local::begin(self);
        local.replica.node.stopped = reader;
        local.commit().0
    }
}

impl Local<'_> {
    /// Ends the uncertainty about a write that comes back from the log.
    fn recognise(&mut self, op: &OpRef<'_>, sent: u64, durable: &mut Vec<Timestamp>) {
        let number = op.head.node_seq;
        if op.head.node == self.replica.node.identity.node {
            let queued = self.replica.outbox.get(number);
            //= SES-22
            let is_this =
                |queued: &&Queued| queued.check() == op.head.check && (queued.uncertain || number <= sent);
            if queued.filter(is_this).is_some() {
                self.unqueue(number);
                self.acknowledge(number, op.head.check);
                durable.push(op.head.timestamp);
            }
        }
        //= SES-24
        if let Some(key) = self.find_rejected(op) {
            self.unreject(key);
            durable.push(op.head.timestamp);
        }
    }

    /// Whether setting the clock back helps: not if it is behind what was refused already, since then that
    /// was written before it was set back the last time.
    fn is_clock_too_far_ahead(&self, refused: u64) -> bool {
        let clock = self.replica.node.clock;
        clock >= refused && refused > 0 && clock > self.replica.state.greatest_counter()
    }
}
