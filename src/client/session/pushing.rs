//! Sending the outbox (SPEC.md 10.7).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::{Event, NewNode, Output, Session, State};
use crate::block::{BlockBuilder, Blocks, Compression};
use crate::client::deliver::{Block, Outcome};
use crate::client::{Change, Queued, Replica};
use crate::codec::Ids;
use crate::limits::MAX_BLOCK_OPS;
use crate::message::{Extensions, Message, Push, PushAck, PushBlocks, PushEntry};
use crate::mutant::Mutant;
use crate::op::{OpRef, Visit};
use crate::registry::{Capabilities, Capability, ErrorCode};
use crate::wire::Timestamp;

/// So many waiting operations are sent at once, whatever is in flight (SES-46).
const BATCH_OPS: u64 = 100;
/// So long an operation waits for others.
const BATCH_MS: u64 = 100;

/// What was sent and what is to be sent. Each push carries one block.
#[derive(Debug, Default)]
pub(super) struct Pushes {
    in_flight: VecDeque<InFlight>,
    /// The number that the next block begins with.
    next: u64,
    /// Since when the oldest operation waits.
    waiting_since: Option<u64>,
    /// The relay has said later: not before this time, and not before everything in flight is answered.
    later_until: Option<u64>,
    /// When what was pushed so far would have been pushed at the relay's rate.
    paid_until: u64,
    /// The next block waits for that.
    rate_at: Option<u64>,
    /// The next block waits for an ack, or for another connection.
    blocked: bool,
    /// Parts of refused blocks.
    halves: Vec<Half>,
    /// What cannot be sent on this connection was told.
    stuck: bool,
}

#[derive(Debug)]
struct InFlight {
    request: u32,
    block: Block,
    bytes: u64,
}

/// Operations of a refused block that are sent again, so many in one block at most.
#[derive(Debug)]
struct Half {
    last: u64,
    most: u64,
}

impl Pushes {
    pub(super) const fn begin(&mut self, next: u64) {
        self.next = next;
    }

    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(super) fn is_in_flight(&self, request: u32) -> bool {
        self.in_flight.iter().any(|push| push.request == request)
    }

    /// Whether an operation is in a block that has no answer. Blocks in flight follow each other.
    fn has_in_flight(&self, number: u64) -> bool {
        let first = self.in_flight.front().map(|push| push.block.first);
        let last = self.in_flight.back().map(|push| push.block.last);
        first.is_some_and(|first| first <= number) && last.is_some_and(|last| number <= last)
    }

    /// The highest number that was sent on this connection; what is answered is not in the outbox.
    pub(super) const fn sent(&self) -> u64 {
        self.next.saturating_sub(1)
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        if let Some(until) = self.later_until {
            return self.is_idle().then_some(until);
        }
        let batch_at = self.waiting_since.map(|since| since.saturating_add(BATCH_MS));
        // What nothing holds back is sent at once when nothing is in flight.
        self.rate_at.or_else(|| batch_at.filter(|_| !self.blocked && !self.is_idle()))
    }

    fn bytes(&self) -> u64 {
        self.in_flight.iter().map(|push| push.bytes).sum()
    }

    /// Most operations of a block that begins at `next`.
    fn most_ops(&mut self) -> u64 {
        let next = self.next;
        self.halves.retain(|half| half.last >= next);
        //= SES-53
        self.halves.first().map_or(MAX_BLOCK_OPS as u64, |half| half.most)
    }
}

/// Why no block can be built now.
enum NoBlock {
    /// The relay's window is full.
    Full,
    /// The first operation needs what was not agreed on.
    Needs(Timestamp, Capability),
}

/// A block that is ready to be sent.
struct Built {
    block: Block,
    bytes: Vec<u8>,
    ids_check: u32,
    timestamps: Vec<Timestamp>,
}

impl Session {
    pub(super) fn is_in_flight(&self, replica: &Replica, timestamp: Timestamp) -> bool {
        self.state == State::Active
            && replica.outbox.find(timestamp).is_some_and(|queued| self.pushes.has_in_flight(queued.number()))
    }

    /// Sends what is to be sent and may be sent now.
    pub(super) fn push(&mut self, replica: &Replica, now: u64) {
        self.pushes.rate_at = None;
        self.pushes.blocked = self.closing;
        if self.closing || !self.may_push_again(replica, now) {
            return;
        }
        loop {
            let waiting = replica.node().given.get().saturating_sub(self.pushes.sent());
            if waiting == 0 {
                self.pushes.waiting_since = None;
                return;
            }
            let since = *self.pushes.waiting_since.get_or_insert(now);
            //= SES-46
            let due = self.pushes.is_idle() || waiting >= BATCH_OPS || now.saturating_sub(since) >= BATCH_MS;
            if !due || !self.is_within_rate(now) {
                return;
            }
            match self.build(replica) {
                Ok(built) => self.send_block(built, now),
                Err(NoBlock::Full) => {
                    self.pushes.blocked = true;
                    return;
                }
                Err(NoBlock::Needs(write, needs)) => {
                    self.pushes.blocked = true;
                    if !core::mem::replace(&mut self.pushes.stuck, true) {
                        self.event(Event::CannotSend { write, needs });
                    }
                    return;
                }
            }
        }
    }

    /// After later: whether everything is answered and the time is over.
    //= SES-51
    //= SES-52
    fn may_push_again(&mut self, replica: &Replica, now: u64) -> bool {
        let Some(until) = self.pushes.later_until else { return true };
        if !self.pushes.is_idle() || now < until {
            return false;
        }
        self.pushes.later_until = None;
        self.pushes.next = replica.node().acknowledged.node_seq().get() + 1;
        true
    }

    //= NEG-7
    fn is_within_rate(&mut self, now: u64) -> bool {
        // Without a rate nothing was paid for.
        let within = self.pushes.paid_until <= now;
        if !within {
            self.pushes.rate_at = Some(self.pushes.paid_until);
        }
        within
    }

    /// The next block, of whole transactions.
    fn build(&mut self, replica: &Replica) -> Result<Built, NoBlock> {
        //= SES-44
        let room = self.agreed.push_bytes.saturating_sub(self.pushes.bytes());
        if self.pushes.in_flight.len() as u64 >= self.agreed.push_blocks {
            return Err(NoBlock::Full);
        }
        let rate = self.agreed.operations_per_second;
        let most_ops = self.pushes.most_ops().min(if rate == 0 { u64::MAX } else { rate });
        let compression = match self.agreed.capabilities.has(Capability::COMPRESSION) {
            true => Compression::Lz4,
            false => Compression::None,
        };
        let first = self.pushes.next;
        let mut builder = BlockBuilder::new(replica.node().identity.node, first);
        let mut ids = Ids::default();
        let mut timestamps = Vec::new();
        let mut check = 0;
        let mut waiting = replica.outbox.range(first, u64::MAX).map(|(_, queued)| queued).peekable();
        // What can only be sent together.
        let mut unit: Vec<&Queued> = Vec::new();
        while let Some(next) = waiting.next_if(|next| next.number() == first + builder.len() as u64) {
            //= SES-45
            unit.clear();
            unit.push(next);
            let same = |other: &&Queued| next.transaction.is_some() && other.transaction == next.transaction;
            unit.extend(core::iter::from_fn(|| waiting.next_if(same)));
            let bytes: usize = unit.iter().map(|queued| 4 + queued.op.bytes().len()).sum();
            let size = builder.size() + bytes;
            if let Some(write) = unit.iter().find_map(|queued| self.lacks_crdt(queued)) {
                if builder.is_empty() {
                    return Err(NoBlock::Needs(write, Capability::CRDT));
                }
                break;
            }
            if builder.is_empty() {
                if size as u64 > room {
                    return Err(NoBlock::Full);
                }
            } else {
                //= LIM-2
                let ops = (builder.len() + unit.len()) as u64;
                if size > self.config.block_bytes || size as u64 > room || ops > most_ops {
                    break;
                }
            }
            for queued in &unit {
                let op: OpRef<'_> = queued.op.op();
                // The API has refused transactions that do not fit, and everything else was measured.
                if builder.push_ref(&op).is_err() {
                    return Err(NoBlock::Full);
                }
                ids.op(&op.head);
                timestamps.push(op.head.timestamp);
                check = op.head.check;
            }
        }
        let last = first + builder.len() as u64 - u64::from(!builder.is_empty());
        let Some(bytes) = builder.finish(compression) else { return Err(NoBlock::Full) };
        let block = Block { first, last, check };
        Ok(Built { block, bytes: bytes.to_vec(), ids_check: ids.check(), timestamps })
    }

    //= SES-105
    fn lacks_crdt(&self, queued: &Queued) -> Option<Timestamp> {
        if self.agreed.capabilities.has(Capability::CRDT) {
            return None;
        }
        let refused = OpRef::decode_with(queued.op.bytes(), self.agreed.capabilities).is_err();
        refused.then(|| queued.op.op().head.timestamp)
    }

    fn send_block(&mut self, built: Built, now: u64) {
        let Built { block, bytes, ids_check, timestamps } = built;
        let request = self.requests.next_id();
        let blocks = Blocks::decode(&bytes, 1, Capabilities::ALL).ok();
        if let Some(blocks) = blocks.and_then(|blocks| PushBlocks::new(blocks).ok()) {
            let push = Push { ids_check, blocks, extensions: Extensions::EMPTY };
            // One block and its fields are within the frame limit.
            drop(self.send(Message::Push(push), request));
        }
        let rate = self.agreed.operations_per_second;
        if let Some(ms) = (timestamps.len() as u64 * 1_000).checked_div(rate) {
            self.pushes.paid_until = self.pushes.paid_until.max(now) + ms;
        }
        self.pushes.next = block.last + 1;
        self.pushes.in_flight.push_back(InFlight { request, block, bytes: bytes.len() as u64 });
        self.output(Output::Event(Event::Sent(timestamps)));
    }

    /// The answer to a push.
    pub(super) fn push_ack(&mut self, replica: &mut Replica, now: u64, id: u32, ack: &PushAck<'_>) {
        //= SES-4
        if !self.pushes.is_in_flight(id) {
            return self.fault(now, ErrorCode::UNEXPECTED_MESSAGE);
        }
        let mut entries = ack.entries.iter();
        let (Some(entry), None) = (entries.next(), entries.next()) else {
            //= SES-47
            return self.fault(now, ErrorCode::PROTOCOL_ERROR);
        };
        // Acks come in the order of the pushes (SES-68).
        let Some(push) = self.pushes.in_flight.pop_front().filter(|push| push.request == id) else {
            return self.fault(now, ErrorCode::PROTOCOL_ERROR);
        };
        let count = push.block.last - push.block.first + 1;
        // Once it has said later, a relay takes nothing before it is asked again (RLY-22).
        let after_later = self.pushes.later_until.is_some();
        match entry {
            PushEntry::Accepted(accepted) => {
                let (first_seq, last) = (accepted.first_seq(), accepted.last());
                if last.seq() - first_seq + 1 != count || after_later {
                    return self.fault(now, ErrorCode::PROTOCOL_ERROR);
                }
                let outcome = replica.accept(push.block, first_seq, last);
                self.tell(outcome, None);
            }
            PushEntry::Refused { code, index } => {
                if u64::from(index) >= count || after_later {
                    return self.fault(now, ErrorCode::PROTOCOL_ERROR);
                }
                let named = push.block.first + u64::from(index);
                let outcome = replica.refuse(push.block, named, code, self.spare);
                if let Some((_, last)) = outcome.requeued {
                    self.pushes.halves.push(Half { last, most: (count / 2).max(1) });
                }
                if outcome.restored_refused.is_some() {
                    self.restoring.refused(code);
                }
                let clock_set_back = outcome.clock_set_back;
                self.tell(outcome, Some(code));
                if clock_set_back {
                    self.end_for_new_node(Some(NewNode::ClockSetBack));
                }
            }
            //= SES-51
            PushEntry::Later { wait } => {
                let until = now.saturating_add(u64::from(wait));
                if !after_later {
                    self.event(Event::Later(u64::from(wait)));
                }
                self.pushes.later_until = Some(self.pushes.later_until.map_or(until, |at| at.max(until)));
            }
        }
    }

    /// Commits what an answer or a delivery has done, and tells the application.
    pub(super) fn tell(&mut self, mut outcome: Outcome, code: Option<ErrorCode>) {
        if Mutant::PositionBeforeOperations.is_on() {
            let moves = |change: &mut Change| matches!(change, Change::Position(..) | Change::Seen(_));
            let first = outcome.changes.extract_if(.., moves).collect();
            self.commit(first);
        }
        self.commit(outcome.changes);
        if !outcome.durable.is_empty() {
            self.event(Event::Durable(outcome.durable));
        }
        if let Some(code) = code {
            if !outcome.rejected.is_empty() {
                self.event(Event::Rejected { writes: outcome.rejected, code });
            }
            if let Some(write) = outcome.restored_refused {
                self.event(Event::RestoreRefused { write, code });
            }
        }
        if !outcome.records.is_empty() {
            self.event(Event::Changed(outcome.records));
        }
    }
}
