//! Uncertain operations and what is in doubt, sent again when the log has been read (SPEC.md 10.4, 10.8).

use alloc::vec::Vec;

use super::{Event, NewNode, Session};
use crate::client::Replica;
use crate::mutant::Mutant;
use crate::registry::{Capability, ErrorCode};

/// The longest wait before what is in doubt is sent again, so that the first of many devices spares the
/// others (SES-59).
const LONGEST_WAIT_MS: u64 = 30_000;

/// How far this connection is with what is uncertain or in doubt.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    stage: Stage,
    /// An operation of SES-60 was refused with `WRITE_FORBIDDEN`.
    forbidden: bool,
    /// What stays in doubt on this connection may come back on another one: it was refused for a reason
    /// that may pass, or needs what was not agreed on.
    may_pass: bool,
    /// Subscriptions have moved since uncertain operations were looked at.
    moved: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Not every subscription has reached welcome's head yet.
    #[default]
    Reading,
    /// Until the random time is over.
    Waiting { until: u64 },
    /// It is over, but there are new subscriptions, which have not reached the head.
    Waited,
    /// Nothing is in doubt, or what was has been put into the outbox.
    Done,
}

impl Restoring {
    pub(super) const fn deadline(&self) -> Option<u64> {
        match self.stage {
            Stage::Waiting { until } => Some(until),
            Stage::Reading | Stage::Waited | Stage::Done => None,
        }
    }

    /// An operation of SES-60 was refused.
    pub(super) fn refused(&mut self, code: ErrorCode) {
        match code {
            ErrorCode::WRITE_FORBIDDEN => self.forbidden = true,
            //= SES-65
            _ => self.may_pass = true,
        }
    }

    /// A subscription has reached welcome's head, or has ended; or the connection is active now.
    pub(super) const fn reading_moved(&mut self) {
        self.moved = true;
    }
}

impl Session {
    //= SES-59
    pub(super) fn restore(&mut self, replica: &mut Replica, now: u64) {
        if matches!(self.restoring.stage, Stage::Waiting { until } if until <= now) {
            self.restoring.stage = Stage::Waited;
        }
        if !self.subscriptions.have_reached(self.agreed.head) {
            return;
        }
        match self.restoring.stage {
            Stage::Reading if replica.has_doubt() => {
                let until = now.saturating_add(self.random.up_to(LONGEST_WAIT_MS));
                self.restoring.stage = Stage::Waiting { until };
            }
            Stage::Reading => self.restoring.stage = Stage::Done,
            Stage::Waited => {
                let crdt = self.agreed.capabilities.has(Capability::CRDT);
                let (changes, is_all) = replica.restore(crdt);
                self.restoring.may_pass |= !is_all;
                self.commit(changes);
                self.restoring.stage = Stage::Done;
            }
            Stage::Waiting { .. } | Stage::Done => {}
        }
    }

    //= SES-64
    /// Whether the client begins anew, because what it holds may not be brought back.
    pub(super) fn drop_what_is_forbidden(&mut self, replica: &mut Replica) -> bool {
        let Restoring { stage, forbidden, may_pass, .. } = &mut self.restoring;
        // What else is in doubt comes back first.
        let waits = (*may_pass || *stage != Stage::Done) && !Mutant::DropsTooEarly.is_on();
        if !*forbidden || waits || replica.outbox.restored() > 0 {
            return false;
        }
        *forbidden = false;
        if !replica.has_doubt() {
            // Somebody else has brought it back.
            return false;
        }
        let changes = replica.drop_state(self.spare);
        self.commit(changes);
        self.event(Event::Dropped);
        self.end_for_new_node(Some(NewNode::RestoreForbidden));
        true
    }

    //= SES-23
    pub(super) fn send_uncertain_again(&mut self, replica: &mut Replica) {
        if !core::mem::take(&mut self.restoring.moved) {
            return;
        }
        let taken = replica.node().acknowledged.node_seq().get();
        let mut settled = Vec::new();
        let mut from = 0;
        while let Some((number, _)) = replica.outbox.range(from, taken).find(|(_, queued)| queued.uncertain) {
            // Of a transaction, all or none.
            let (first, last) = replica.outbox.transaction_of(number);
            let mut transaction = replica.outbox.range(first, last);
            let is_settled = transaction.all(|(_, queued)| {
                let collection = queued.op.op().head.collection;
                self.subscriptions.have_reached_for(collection, self.agreed.head)
            });
            if is_settled {
                // An honest mark does not cut through a transaction. What lies behind another one keeps its
                // number, since it is pushed under that.
                settled.extend(number..=last.min(taken));
            }
            from = last + 1;
        }
        if !settled.is_empty() {
            let changes = replica.send_again(&settled);
            self.commit(changes);
        }
    }
}
