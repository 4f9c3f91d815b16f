//! What a client does with welcome before it sends anything (SPEC.md 10.4, 10.5 and B.3).

use alloc::vec::Vec;

use super::local::Local;
use super::{Change, Identity, Queued, Replica};
use crate::message::{Mark, RestoreMode};
use crate::mutant::Mutant;
use crate::wire::Position;

/// What welcome says of both histories.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) agreed: Position,
    pub(super) restore_mode: RestoreMode,
    pub(super) mark: Mark,
}

/// How it was settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settled {
    /// The relay has lost history that the client has seen.
    pub(super) lost: Option<RestoreMode>,
    /// The client has become a new node.
    pub(super) new_node: bool,
}

impl Replica {
    //= SES-30
    /// Settles history, mark and check in one local transaction.
    pub(super) fn settle(&mut self, terms: Terms, spare: Identity) -> (Settled, Vec<Change>) {
        let lost = (self.seen().greatest_seq() > terms.agreed.seq()).then_some(terms.restore_mode);
        let same_node = self.is_same_node(terms.mark);
        let mut local = Local::begin(self);
        local.replica.node.untried = false;
        match lost {
            //= SES-31
            Some(RestoreMode::Keep) => local.doubt_above(terms.agreed),
            //= SES-32
            Some(RestoreMode::Discard) => local.drop_state(),
            //= SES-33
            None => {}
        }
        let discarded = lost == Some(RestoreMode::Discard) && !Mutant::DiscardKeepsNode.is_on();
        let new_node = !same_node || discarded;
        if new_node {
            //= SES-19
            local.become_new_node(spare);
        } else {
            //= SES-20
            //= SES-21
            let mark = terms.mark.node_seq().get();
            let taken: Vec<_> = local.replica.outbox.range(0, mark).map(|(number, _)| number).collect();
            for number in taken {
                if Mutant::UncertainIsAccepted.is_on() {
                    local.unqueue(number);
                } else {
                    local.mark_uncertain(number);
                }
            }
            local.acknowledge(mark, terms.mark.check());
        }
        (Settled { lost, new_node }, local.commit().0)
    }

    //= SES-18
    fn is_same_node(&self, mark: Mark) -> bool {
        let own = self.node.acknowledged;
        if mark.node_seq() == own.node_seq() {
            return mark.check() == own.check() || Mutant::CheckIgnored.is_on();
        }
        mark.node_seq() > own.node_seq()
            && mark.node_seq() <= self.node.given
            && (self.outbox.get(mark.node_seq().get()).map(Queued::check) == Some(mark.check())
                || Mutant::CheckIgnored.is_on())
    }

    /// Becomes the node `spare` and keeps everything else.
    //= SES-25
    pub(super) fn become_new_node(&mut self, spare: Identity) -> Vec<Change> {
        let mut local = Local::begin(self);
        local.become_new_node(spare);
        local.commit().0
    }

    //= SES-64
    /// Drops what may not be brought back, and begins anew as the node `spare`.
    pub(super) fn drop_state(&mut self, spare: Identity) -> Vec<Change> {
        let mut local = Local::begin(self);
        local.drop_state();
        local.become_new_node(spare);
        local.commit().0
    }
}
