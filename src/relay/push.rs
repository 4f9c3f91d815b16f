//! Taking pushes, refusing blocks, and telling what became of them (SPEC.md 11.5 and 11.6).

use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::append::Group;
use super::event::Owner;
use super::io::{Fault, Io, Stop, close};
use super::link::Link;
use super::page::LogBlock;
use super::rights::Rights;
use super::session::{Active, Session};
use crate::codec::Packet;
use crate::limits::MAX_COUNTER;
use crate::message::{self, Accepted, Extensions, LastNodeSeq, List, Mark, Message, PushAck, PushEntry};
use crate::mutant::Mutant;
use crate::op::{OpHead, Visit};
use crate::registry::ErrorCode;
use crate::time::Time;

/// 2025-01-01T00:00:00Z, in Unix seconds.
const CLOCK_BEGINS: u64 = 1_735_689_600;

/// The greatest counter that a timestamp may have now.
//= RLY-27
fn greatest_counter(now: Time) -> u64 {
    let seconds = (now.unix_ms / 1_000).saturating_sub(CLOCK_BEGINS);
    seconds.max(1 << 24).saturating_mul(1 << 20).min(MAX_COUNTER)
}

/// What a connection pushed and has no ack for.
#[derive(Debug)]
pub(super) struct Pushing {
    /// The last operation taken, in blocks under way too: what the next block builds on.
    taken: Mark,
    /// The last operation taken durably.
    durable: Mark,
    /// Whether a block was answered with later, and the client did not begin anew yet.
    later: bool,
    pushes: VecDeque<Pushed>,
    /// Blocks in them, and the bytes of those.
    blocks: usize,
    bytes: usize,
    /// Operations of the last second, and when that was computed.
    recent: u64,
    recent_at: u64,
}

#[derive(Debug)]
struct Pushed {
    request_id: u32,
    blocks: usize,
    bytes: usize,
    /// What becomes of each block when the append is durable; `None` if all are answered with later.
    verdicts: Option<Vec<Verdict>>,
}

#[derive(Clone, Copy, Debug)]
enum Verdict {
    /// It gets that many seqs.
    Accept(u16),
    Refuse {
        code: ErrorCode,
        index: u16,
    },
}

impl Pushing {
    pub(super) const fn new(mark: Mark) -> Self {
        Self {
            taken: mark,
            durable: mark,
            later: false,
            pushes: VecDeque::new(),
            blocks: 0,
            bytes: 0,
            recent: 0,
            recent_at: 0,
        }
    }

    /// What the next block builds on.
    pub(super) const fn taken(&self) -> Mark {
        self.taken
    }

    /// Whether a push with that request id is under way.
    pub(super) fn contains(&self, request_id: u32) -> bool {
        self.pushes.iter().any(|push| push.request_id == request_id)
    }

    /// Whether every push has its ack.
    pub(super) fn is_idle(&self) -> bool {
        self.pushes.is_empty()
    }

    /// Gives all of them up.
    pub(super) fn end(&mut self) {
        *self = Self::new(self.durable);
    }

    fn add(&mut self, push: Pushed) {
        self.blocks += push.blocks;
        self.bytes += push.bytes;
        self.pushes.push_back(push);
    }

    /// Takes the first push, which gets its ack.
    fn pop(&mut self) -> Option<Pushed> {
        let push = self.pushes.pop_front()?;
        self.blocks -= push.blocks;
        self.bytes -= push.bytes;
        Some(push)
    }

    /// Whether that many operations more keep to `limit` in a second; 0 is no limit.
    fn admits(&mut self, now: u64, operations: u64, limit: u32) -> bool {
        let limit = u64::from(limit);
        if limit == 0 {
            return true;
        }
        let passed = now.saturating_sub(self.recent_at).saturating_mul(limit) / 1_000;
        self.recent = self.recent.saturating_sub(passed);
        self.recent_at = now;
        // A block larger than the limit must get through in the end.
        let admits = self.recent < limit;
        if admits {
            self.recent = self.recent.saturating_add(operations);
        }
        admits
    }
}

/// What was found out about a block.
#[derive(Clone, Copy, Debug, Default)]
struct Judged {
    /// Of the last operation seen.
    node_seq: u64,
    check: u32,
    operations: u32,
    refusal: Option<(ErrorCode, u16)>,
}

impl Judged {
    fn mark(&self) -> Mark {
        // The number of an operation that was decoded is legal.
        LastNodeSeq::new(self.node_seq).and_then(|last| Mark::new(last, self.check)).unwrap_or(Mark::NONE)
    }
}

/// Looks at operations while they are checked, so that no other walk is needed.
struct Judge<'a> {
    /// `None` if every collection may be written to.
    rights: Option<&'a Rights>,
    greatest_counter: u64,
    /// Operations of each block.
    counts: Vec<u16>,
    blocks: Vec<Judged>,
    /// The collection of the last operation, and whether it may be written to.
    collection: String,
    allowed: bool,
}

impl<'a> Judge<'a> {
    fn new(rights: &'a Rights, now: Time, counts: Vec<u16>) -> Self {
        Self {
            rights: (!rights.writes_all()).then_some(rights),
            greatest_counter: greatest_counter(now),
            blocks: Vec::with_capacity(counts.len()),
            counts,
            collection: String::new(),
            allowed: true,
        }
    }

    //= RLY-28
    fn may_write(&mut self, collection: &str) -> bool {
        if let Some(rights) = self.rights
            && self.collection != collection
        {
            self.allowed = rights.access(collection).write;
            self.collection.clear();
            self.collection.push_str(collection);
        }
        self.allowed
    }
}

impl Visit for Judge<'_> {
    #[inline]
    fn op(&mut self, head: &OpHead<'_>) {
        let whole = match (self.blocks.last(), self.counts.get(self.blocks.len().wrapping_sub(1))) {
            (Some(last), Some(count)) => last.operations == u32::from(*count),
            _ => true,
        };
        if whole {
            self.blocks.push(Judged::default());
        }
        //= RLY-29 exception: this relay has no quotas
        //= RLY-30
        let refusal = if head.timestamp.counter() > self.greatest_counter {
            Some(ErrorCode::CLOCK_TOO_FAR_AHEAD)
        } else if !self.may_write(head.collection) {
            Some(ErrorCode::WRITE_FORBIDDEN)
        } else {
            None
        };
        let Some(block) = self.blocks.last_mut() else { return };
        if let (Some(code), None, Ok(index)) = (refusal, block.refusal, u16::try_from(block.operations)) {
            block.refusal = Some((code, index));
        }
        block.node_seq = head.node_seq;
        block.check = head.check;
        block.operations += 1;
    }
}

impl Active<'_> {
    /// Takes a push, or answers it with later.
    pub(super) fn push(
        &mut self,
        packet: &Packet<'_>,
        frame: &Bytes,
        push: &message::Push<'_>,
    ) -> Result<(), Stop> {
        let request_id = packet.request_id();
        //= SES-66
        if self.session.requests.contains(request_id) || self.session.pushing.contains(request_id) {
            return close(ErrorCode::DUPLICATE_REQUEST, "a request of that id is under way");
        }
        //= RLY-21
        let blocks: Vec<_> = push.blocks.get().iter().collect();
        let counts = blocks.iter().map(|block| block.header().count).collect();
        let mut judge = Judge::new(&self.session.rights, self.io.now, counts);
        packet
            .visit_blocks(frame, self.session.capabilities, &mut self.io.encoder.scratch, &mut judge)
            .map_err(Fault::from)?;
        let judged = judge.blocks;

        // A push has a block at least, and all of them are of one node (MSG-25, MSG-27).
        let Some(first) = blocks.first().map(|block| *block.header()) else { return Ok(()) };
        //= RLY-19
        if first.node != self.session.node {
            return close(ErrorCode::PROTOCOL_ERROR, "a block is of another node than the connection");
        }
        let pushing = &mut self.session.pushing;
        if !pushing.later && first.first_node_seq != pushing.taken.node_seq().get() + 1 {
            return close(ErrorCode::OUT_OF_STEP, "a block begins at the number after the last one taken");
        }
        //= RLY-24
        let bytes = push.blocks.get().raw().len();
        let config = &self.io.config;
        if pushing.bytes + bytes > config.push_bytes || pushing.blocks + blocks.len() > config.push_blocks {
            return close(ErrorCode::WINDOW_EXCEEDED, "wait for acks before more is pushed");
        }
        let appends = self.database.nodes.get(&self.session.node).map_or(0, |node| node.appends);
        //= RLY-20
        if pushing.later && appends == 0 && first.first_node_seq == pushing.durable.node_seq().get() + 1 {
            pushing.later = false;
        }
        //= RLY-23
        let operations = judged.iter().map(|block| u64::from(block.operations)).sum();
        let full = self.database.writer.pending_bytes() + bytes > config.append_bytes;
        if pushing.later || full || !pushing.admits(self.io.ms(), operations, config.operations_per_second) {
            pushing.later = true;
            pushing.add(Pushed { request_id, blocks: blocks.len(), bytes, verdicts: None });
            answer(self.session, self.link, self.io);
            return Ok(());
        }

        let kept = self.link.keep(frame);
        let mut verdicts = Vec::with_capacity(blocks.len());
        let group = self.database.group(self.link.conn, self.session);
        let mut at = frame.len() - bytes;
        for (block, judged) in blocks.iter().zip(&judged) {
            let end = at + block.raw().len();
            match judged.refusal {
                //= RLY-31
                Some((code, index)) => verdicts.push(Verdict::Refuse { code, index }),
                None => {
                    verdicts.push(Verdict::Accept(block.header().count));
                    // Its seq is known when the append is durable.
                    group.blocks.push(LogBlock::new(0, block, kept.slice(at..end)));
                }
            }
            //= RLY-32
            group.mark = judged.mark();
            at = end;
        }
        group.pushes += 1;
        group.bytes += bytes;
        let mark = group.mark;
        self.database.writer.add_pending(bytes);
        let pushing = &mut self.session.pushing;
        pushing.taken = mark;
        pushing.add(Pushed { request_id, blocks: blocks.len(), bytes, verdicts: Some(verdicts) });
        if Mutant::RefusalBeforeMark.is_on() {
            self.tell_refusal_early(request_id);
        }
        self.database.write(self.io);
        Ok(())
    }

    fn tell_refusal_early(&mut self, request_id: u32) {
        let pushing = &mut self.session.pushing;
        let refused = |verdict: &Verdict| match *verdict {
            Verdict::Refuse { code, index } => Some(PushEntry::Refused { code, index }),
            Verdict::Accept(_) => None,
        };
        let last = pushing.pushes.back().filter(|_| pushing.pushes.len() == 1);
        let entries = last.and_then(|push| push.verdicts.as_ref()?.iter().map(refused).collect::<Option<Vec<_>>>());
        if let Some(entries) = entries {
            ack(self.link, self.io, request_id, &entries);
        }
    }

    /// An append of this node is durable: `group` of it, of which the first operation has `first_seq`.
    pub(super) fn appended(&mut self, group: &Group, first_seq: u64) {
        let Active { link, session, database, io } = self;
        session.pushing.durable = group.mark;
        let mut next = first_seq;
        for _ in 0..group.pushes {
            let Some(push) = session.pushing.pop() else { return };
            let mut entry = |verdict: &Verdict| match *verdict {
                Verdict::Refuse { code, index } => Some(PushEntry::Refused { code, index }),
                Verdict::Accept(count) => {
                    let first = next;
                    next += u64::from(count);
                    Accepted::new(first, database.history.name(next - 1)).ok().map(PushEntry::Accepted)
                }
            };
            let entries: Vec<_> = push.verdicts.iter().flatten().filter_map(&mut entry).collect();
            ack(link, io, push.request_id, &entries);
        }
        answer(session, link, io);
    }

    /// An append of this node certainly failed: all that is under way is answered with later.
    pub(super) fn append_failed(&mut self) {
        //= RLY-22
        let pushing = &mut self.session.pushing;
        pushing.later = true;
        pushing.taken = pushing.durable;
        pushing.pushes.iter_mut().for_each(|push| push.verdicts = None);
        answer(self.session, self.link, self.io);
    }
}

/// Answers the pushes at the front that are answered with later: acks keep the order of the pushes.
//= SES-68
fn answer(session: &mut Session, link: &mut Link, io: &mut Io) {
    let pushing = &mut session.pushing;
    while pushing.pushes.front().is_some_and(|push| push.verdicts.is_none())
        && let Some(push) = pushing.pop()
    {
        let wait = io.config.later_ms;
        ack(link, io, push.request_id, &vec![PushEntry::Later { wait }; push.blocks]);
    }
}

fn ack(link: &mut Link, io: &mut Io, request_id: u32, entries: &[PushEntry]) {
    // As many entries as the push had blocks, and later only behind later.
    let Ok(entries) = List::new(entries) else { return };
    link.send(io, request_id, &Message::PushAck(PushAck { entries, extensions: Extensions::EMPTY }));
}

/// Whom a node belongs to from its first block on.
pub(super) fn owner(session: &Session) -> Option<Owner> {
    (session.pushing.taken == Mark::NONE)
        .then(|| Owner { principal: session.principal.clone(), key: session.key })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Time {
        Time { monotonic_ms: 0, unix_ms: seconds * 1_000 + 999 }
    }

    //= RLY-27 test
    #[test]
    fn the_clock_guard() {
        assert_eq!(greatest_counter(at(0)), 1 << 44);
        assert_eq!(greatest_counter(at(CLOCK_BEGINS + (1 << 24))), 1 << 44);
        assert_eq!(greatest_counter(at(CLOCK_BEGINS + (1 << 24) + 1)), (1 << 44) + (1 << 20));
        assert_eq!(greatest_counter(Time { monotonic_ms: 0, unix_ms: u64::MAX }), MAX_COUNTER);
    }

    //= RLY-23 test
    #[test]
    fn operations_of_a_second() {
        let mut pushing = Pushing::new(Mark::NONE);
        assert!(pushing.admits(0, u64::MAX, 0));
        assert!(pushing.admits(0, 250, 100));
        assert!(!pushing.admits(1_000, 1, 100));
        assert!(!pushing.admits(1_500, 1, 100));
        assert!(pushing.admits(1_510, 1, 100));
    }
}
