//! Uncertain operations and what is in doubt, sent again when the log has been read (SPEC.md 10.4, 10.8).

use alloc::vec::Vec;

use super::{Event, NewNode, Session};
use crate::client::Replica;
use crate::registry::{Capability, ErrorCode};

/// The longest wait before what is in doubt is sent again, so that the first of many devices spares the
/// others (SES-59).
const LONGEST_WAIT_MS: u64 = 30_000;

/// How far this connection is with what is in doubt.
#[derive(Debug, Default)]
pub(super) struct Restoring {
    stage: Stage,
    /// An operation of SES-60 was refused with `WRITE_FORBIDDEN`.
    forbidden: bool,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    /// Not every subscription has reached welcome's head yet.
    #[default]
    Reading,
    /// Until the random time is over.
    Waiting { until: u64 },
    /// Nothing is in doubt, or what was has been put into the outbox.
    Done,
}

impl Restoring {
    pub(super) const fn deadline(&self) -> Option<u64> {
        match self.stage {
            Stage::Waiting { until } => Some(until),
            Stage::Reading | Stage::Done => None,
        }
    }

    /// An operation of SES-60 was refused.
    pub(super) fn refused(&mut self, code: ErrorCode) {
        self.forbidden |= code == ErrorCode::WRITE_FORBIDDEN;
    }
}

impl Session {
    //= SES-59
    pub(super) fn restore(&mut self, replica: &mut Replica, now: u64) {
        if self.restoring.stage == Stage::Done || !self.subscriptions.have_reached(self.agreed.head) {
            return;
        }
        match self.restoring.stage {
            Stage::Reading if replica.has_doubt() => {
                let until = now.saturating_add(self.random.up_to(LONGEST_WAIT_MS));
                self.restoring.stage = Stage::Waiting { until };
            }
            Stage::Waiting { until } if now < until => {}
            Stage::Waiting { .. } => {
                let changes = replica.restore(self.agreed.capabilities.has(Capability::CRDT));
                self.commit(changes);
                self.restoring.stage = Stage::Done;
            }
            Stage::Reading | Stage::Done => self.restoring.stage = Stage::Done,
        }
    }

    //= SES-64
    pub(super) fn drop_what_is_forbidden(&mut self, replica: &mut Replica) {
        if self.restoring.forbidden && replica.outbox.restored() == 0 {
            let changes = replica.drop_state(self.spare);
            self.commit(changes);
            self.event(Event::Dropped);
            self.end_for_new_node(Some(NewNode::RestoreForbidden));
        }
    }

    //= SES-23
    pub(super) fn send_uncertain_again(&mut self, replica: &mut Replica) {
        let taken = replica.node().acknowledged.node_seq().get();
        let uncertain: Vec<u64> = replica
            .outbox
            .range(0, taken)
            .filter(|(_, queued)| queued.uncertain)
            .map(|(number, _)| number)
            .collect();
        // Of a transaction, all or none.
        let is_settled = |number: u64| {
            let (first, last) = replica.outbox.transaction_of(number);
            replica.outbox.range(first, last).all(|(_, queued)| {
                let collection = queued.op.op().head.collection;
                self.subscriptions.have_reached_for(collection, self.agreed.head)
            })
        };
        let settled: Vec<u64> = uncertain.into_iter().filter(|number| is_settled(*number)).collect();
        if !settled.is_empty() {
            let changes = replica.send_again(&settled);
            self.commit(changes);
        }
    }
}
