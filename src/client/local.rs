//! Local transactions: how a replica changes.

use alloc::vec::Vec;

use super::{Change, CollectionSet, Identity, Node, Queued, Records, Rejected, RejectedKey, Replica, Seen};
use crate::merge::{self, Entry, Heard, Observe};
use crate::message::{LastNodeSeq, Mark};
use crate::mutant::Mutant;
use crate::op::OpRef;
use crate::registry::ErrorCode;
use crate::wire::Position;

/// A local transaction: what it changes is changed in the replica at once, and written down for the
/// store.
pub(super) struct Local<'r> {
    pub(super) replica: &'r mut Replica,
    before: Node,
    changes: Vec<Change>,
    /// Records of which an operation has left the outbox for the durable state: the view stays as it is.
    left: Records,
    /// Records of which the view has to be made anew.
    stale: Records,
    /// Records that may look different now.
    changed: Records,
}

impl<'r> Local<'r> {
    pub(super) fn begin(replica: &'r mut Replica) -> Self {
        let before = replica.node;
        let (left, stale, changed) = Default::default();
        Self { replica, before, changes: Vec::new(), left, stale, changed }
    }

    /// Ends it: the changes for the store, and the records that may look different now.
    pub(super) fn commit(mut self) -> (Vec<Change>, Records) {
        let replica = &mut *self.replica;
        for (collection, record) in self.left.iter() {
            if replica.outbox.of_record(collection, record).next().is_none() {
                replica.view.forget_record(collection, record);
            }
        }
        for (collection, record) in self.stale.iter() {
            replica.refresh(collection, record);
        }
        replica.node.merged = replica.state.greatest_counter();
        //= SES-40
        replica.node.clock = replica.node.clock.max(replica.node.merged);
        if self.replica.node != self.before {
            self.note(|replica| Change::Node(replica.node));
        }
        (self.changes, self.changed)
    }

    /// Ends it without effect. It has only added operations to the outbox.
    pub(super) fn abort(self) {
        let replica = self.replica;
        for number in self.before.given.get() + 1..=replica.node.given.get() {
            replica.outbox.remove(number);
        }
        replica.node = self.before;
        for (collection, record) in self.changed.iter() {
            replica.refresh(collection, record);
        }
    }

    fn make(&mut self, change: Change) {
        if self.replica.stored {
            self.changes.push(change.clone());
        }
        self.replica.redo(change);
    }

    /// Writes down a change that was made.
    fn note(&mut self, change: impl FnOnce(&Replica) -> Change) {
        if self.replica.stored {
            self.changes.push(change(self.replica));
        }
    }

    /// Puts an operation at the end of the outbox, and into the view.
    pub(super) fn queue(&mut self, queued: Queued) {
        let replica = &mut *self.replica;
        let op = queued.op.op();
        let (collection, record) = (op.head.collection, op.head.record);
        if replica.outbox.of_record(collection, record).next().is_none() {
            replica.view.copy_record(&replica.state, collection, record);
        }
        replica.view.apply(&op, Heard::IN_DOUBT, &mut ());
        self.changed.insert(collection, record);
        self.make(Change::Queued(queued));
    }

    /// Takes an operation from the outbox whose writes are in the durable state, or will be when this
    /// transaction ends.
    pub(super) fn unqueue(&mut self, number: u64) -> Option<Queued> {
        let queued = self.replica.outbox.remove(number)?;
        self.note(|_| Change::Unqueued(number));
        let head = queued.op.op().head;
        self.left.insert(head.collection, head.record);
        Some(queued)
    }

    /// Takes an operation from the outbox, and so from the view.
    pub(super) fn discard(&mut self, number: u64) -> Option<Queued> {
        let queued = self.unqueue(number)?;
        let head = queued.op.op().head;
        self.stale.insert(head.collection, head.record);
        self.changed.insert(head.collection, head.record);
        Some(queued)
    }

    /// Puts an operation that is in the outbox under another number, and gives that.
    pub(super) fn renumber(&mut self, number: u64) -> Option<u64> {
        let queued = self.replica.outbox.get(number)?.clone();
        let node = &mut self.replica.node;
        let next = LastNodeSeq::new(node.given.get() + 1).ok()?;
        let op = queued.op.readdressed(node.identity.node, next.get());
        node.given = next;
        self.make(Change::Unqueued(number));
        self.make(Change::Queued(Queued { op, uncertain: false, ..queued }));
        Some(next.get())
    }

    pub(super) fn mark_uncertain(&mut self, number: u64) {
        if let Some(queued) = self.replica.outbox.get(number).filter(|queued| !queued.uncertain) {
            let queued = Queued { uncertain: true, ..queued.clone() };
            self.make(Change::Queued(queued));
        }
    }

    /// Merges an operation into the durable state.
    //= SES-35
    pub(super) fn merge(&mut self, op: &OpRef<'_>, seq: u64) {
        let (collection, record) = (op.head.collection, op.head.record);
        let Replica { state, stored, .. } = &mut *self.replica;
        let change = if *stored {
            state.apply(op, Heard::at(seq), &mut Recorder(&mut self.changes))
        } else {
            state.apply(op, Heard::at(seq), &mut ())
        };
        if change == merge::Change::Entry {
            self.changed.insert(collection, record);
            if self.replica.outbox.of_record(collection, record).next().is_some() {
                self.replica.view.apply(op, Heard::IN_DOUBT, &mut ());
            }
        }
    }

    pub(super) fn reject(&mut self, queued: &Queued, code: ErrorCode) {
        self.make(Change::Rejected(Rejected { op: queued.op.clone(), code }));
    }

    pub(super) fn unreject(&mut self, key: RejectedKey) {
        if self.replica.rejected.contains_key(&key) {
            self.make(Change::Unrejected(key));
        }
    }

    /// The key on the rejected list of the write that `op` is, if it is there.
    pub(super) fn find_rejected(&self, op: &OpRef<'_>) -> Option<RejectedKey> {
        if self.replica.rejected.is_empty() {
            return None;
        }
        let same = |rejected: &&Rejected| {
            let other = rejected.op.op();
            (other.head.collection, other.head.record) == (op.head.collection, op.head.record)
                && (other.head.kind, other.fields) == (op.head.kind, op.fields)
        };
        self.replica.rejected_at(op.head.timestamp).find(same).map(Rejected::key)
    }

    pub(super) fn set_position(&mut self, collections: &CollectionSet, position: Position) {
        if self.replica.position(collections) != Some(position) {
            self.make(Change::Position(collections.clone(), position));
        }
    }

    pub(super) fn hear(&mut self, position: Position) {
        if self.replica.seen.hear(position) {
            self.note(|replica| Change::Seen(replica.seen.clone()));
        }
    }

    /// The relay has taken the operation of that number.
    pub(super) fn acknowledge(&mut self, number: u64, check: u32) {
        let Ok(mark) = LastNodeSeq::new(number).and_then(|number| Mark::new(number, check)) else { return };
        if mark.node_seq() > self.replica.node.acknowledged.node_seq() {
            self.replica.node.acknowledged = mark;
        }
    }

    //= SES-25
    pub(super) fn become_new_node(&mut self, spare: Identity) {
        let queued: Vec<_> = self.replica.outbox().cloned().collect();
        self.make(Change::OutboxCleared);
        self.replica.node = Node {
            identity: spare,
            given: LastNodeSeq::NONE,
            acknowledged: Mark::NONE,
            untried: true,
            ..self.replica.node
        };
        for queued in queued {
            let node = &mut self.replica.node;
            // An outbox has fewer operations than there are numbers.
            let Ok(next) = LastNodeSeq::new(node.given.get() + 1) else { return };
            node.given = next;
            let op = queued.op.readdressed(spare.node, next.get());
            self.make(Change::Queued(Queued { op, uncertain: false, ..queued }));
        }
    }

    /// Drops the durable state and what was read.
    pub(super) fn drop_state(&mut self) {
        // The greatest counter that was ever merged stays, whether or not its register is there.
        let merged = self.replica.state.greatest_counter();
        self.make(Change::StateCleared);
        self.replica.state.raise_counter(merged);
        let sets: Vec<_> = self.replica.positions.keys().cloned().collect();
        for collections in sets {
            self.set_position(&collections, Position::START);
        }
        self.make(Change::Seen(Seen::default()));
        self.replica.refresh_all();
    }

    //= SES-31
    //= SES-34
    pub(super) fn doubt_above(&mut self, agreed: Position) {
        self.make(Change::DoubtAbove(agreed.seq()));
        if Mutant::DoubtNotDurable.is_on() && self.replica.stored {
            self.changes.pop();
        }
        let positions = self.replica.positions.iter();
        let beyond = positions.filter(|(_, position)| position.seq() > agreed.seq());
        let beyond: Vec<_> = beyond.map(|(collections, _)| collections.clone()).collect();
        for collections in beyond {
            self.set_position(&collections, agreed);
        }
        let mut seen = self.replica.seen.clone();
        if !Mutant::SeenNotCut.is_on() {
            seen.cut(agreed);
        }
        self.make(Change::Seen(seen));
    }
}

/// Writes down what merging does.
struct Recorder<'a>(&'a mut Vec<Change>);

impl Observe for Recorder<'_> {
    fn set(&mut self, entry: Entry<'_>) {
        self.0.extend(Change::set(entry));
    }

    fn dropped(&mut self, entry: Entry<'_>) {
        self.0.extend(Change::drop(entry));
    }
}
