//! What a client keeps (SPEC.md 10.4 to 10.8), in memory.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use uuid::Uuid;

use super::local::Local;
use super::outbox::Outbox;
use super::{
    Change, CollectionSet, Identity, NoNode, Node, Queued, Reader, Records, Rejected, RejectedKey, Seen,
};
use crate::merge::{Entry, Heard, State};
use crate::message::{LastNodeSeq, Mark};
use crate::registry::ErrorCode;
use crate::value::Entries;
use crate::wire::{Position, Timestamp};

/// What a client keeps durably, and its view.
///
/// It needs no connection: an application reads and writes it at any time. Each method that changes
/// something is one local transaction and gives the changes that a store has to make, in one
/// transaction of its own. What a store has made durable is loaded again by [`Self::load`].
///
/// *Order.* Changes are to be made durable in the order in which they were given, whether a method of
/// the replica gave them or a session's `Commit`, and before anything is performed that a session puts
/// out later. If a store fails, drop the replica and load it again.
//= SES-37
#[derive(Clone, Debug)]
pub struct Replica {
    pub(super) node: Node,
    pub(super) outbox: Outbox,
    pub(super) rejected: BTreeMap<RejectedKey, Rejected>,
    pub(super) state: State,
    /// The records that the outbox writes to, as the application sees them.
    pub(super) view: State,
    pub(super) positions: BTreeMap<CollectionSet, Position>,
    pub(super) seen: Seen,
    /// Whether changes are written down for a store.
    pub(super) stored: bool,
}

/// What has become of a write (SES-39).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteState {
    /// It waits to be sent.
    Queued,
    /// It was sent, and its answer is not known yet.
    Sent,
    /// The relay has it in its log.
    Durable,
    /// The relay refused it. It is on the rejected list and not in the view.
    Rejected(ErrorCode),
}

impl Replica {
    /// The replica of an app that was just installed, and the changes that make a store hold it.
    #[must_use]
    pub fn new(identity: Identity) -> (Self, Vec<Change>) {
        let node = Node {
            identity,
            given: LastNodeSeq::NONE,
            acknowledged: Mark::NONE,
            clock: 0,
            merged: 0,
            untried: false,
            stopped: None,
        };
        (Self::empty(node), [Change::Node(node)].into())
    }

    /// The replica of an app that keeps nothing: it ends with the process. All changes that it gives are
    /// empty, as no store wants them.
    #[must_use]
    pub fn in_memory(identity: Identity) -> Self {
        let (mut this, _) = Self::new(identity);
        this.stored = false;
        this
    }

    /// The replica that a store holds: its rows as changes in any order, or all changes ever made in
    /// theirs.
    ///
    /// # Errors
    /// There is no row for the node.
    pub fn load(changes: impl IntoIterator<Item = Change>) -> Result<Self, NoNode> {
        let changes: Vec<_> = changes.into_iter().collect();
        let node = changes
            .iter()
            .find_map(|change| if let Change::Node(node) = change { Some(*node) } else { None });
        let mut this = Self::empty(node.ok_or(NoNode)?);
        for change in changes {
            this.redo(change);
        }
        this.state.raise_counter(this.node.merged);
        this.refresh_all();
        Ok(this)
    }

    fn empty(node: Node) -> Self {
        Self {
            node,
            outbox: Outbox::default(),
            rejected: BTreeMap::new(),
            state: State::new(),
            view: State::new(),
            positions: BTreeMap::new(),
            seen: Seen::default(),
            stored: true,
        }
    }

    // Reading.

    /// What the client knows of itself.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    /// The fields of a record as the application sees it; `None` if it is not there.
    //= SES-36
    #[must_use]
    pub fn record(&self, collection: &str, record: Uuid) -> Option<Entries> {
        self.view_of(collection, record).record(collection, record)
    }

    /// The live records of a collection as the application sees them, ascending.
    #[must_use]
    pub fn records(&self, collection: &str) -> Vec<(Uuid, Entries)> {
        let mut records: BTreeMap<_, _> = self.state.records(collection).collect();
        for record in self.view.record_ids(collection) {
            match self.view.record(collection, record) {
                Some(fields) => records.insert(record, fields),
                None => records.remove(&record),
            };
        }
        records.into_iter().collect()
    }

    /// The collections in which anything was ever written, ascending.
    #[must_use]
    pub fn collections(&self) -> Vec<Box<str>> {
        let both = self.state.collections().chain(self.view.collections());
        both.map(Box::from).collect::<BTreeSet<Box<str>>>().into_iter().collect()
    }

    /// The greatest timestamp of what is written to a record and not hidden, in the view: the version
    /// that an update may name as its previous one.
    #[must_use]
    pub fn version(&self, collection: &str, record: Uuid) -> Option<Timestamp> {
        let view = self.view_of(collection, record);
        view.entries_of(collection, record).map(|entry| entry.timestamp()).max()
    }

    /// The durable state: what was delivered or accepted, without the outbox.
    #[must_use]
    pub const fn durable_state(&self) -> &State {
        &self.state
    }

    /// The operations of the outbox, by number.
    pub fn outbox(&self) -> impl Iterator<Item = &Queued> {
        self.outbox.iter().map(|(_, queued)| queued)
    }

    /// How many operations the outbox has.
    #[must_use]
    pub fn outbox_len(&self) -> usize {
        self.outbox.len()
    }

    /// How many operations are on the rejected list.
    #[must_use]
    pub fn rejected_len(&self) -> usize {
        self.rejected.len()
    }

    /// What relays refused, until [`Self::dismiss`].
    pub fn rejected(&self) -> impl Iterator<Item = &Rejected> {
        self.rejected.values()
    }

    /// How far the client has read a set of collections, if it ever did.
    //= SES-74
    #[must_use]
    pub fn position(&self, collections: &CollectionSet) -> Option<Position> {
        self.positions.get(collections).copied()
    }

    /// The positions of all sets of collections that the client ever read.
    pub fn positions(&self) -> impl Iterator<Item = (&CollectionSet, Position)> {
        self.positions.iter().map(|(set, position)| (set, *position))
    }

    /// The positions that the client heard of.
    #[must_use]
    pub const fn seen(&self) -> &Seen {
        &self.seen
    }

    /// What has become of a write of this replica. One that is neither in the outbox nor on the rejected
    /// list is durable; so [`WriteState::Sent`] is told of uncertain ones only, and by
    /// [`Session::write_state`](super::Session::write_state) of those that it sent.
    //= SES-39
    #[must_use]
    pub fn write_state(&self, timestamp: Timestamp) -> WriteState {
        if let Some(queued) = self.outbox.find(timestamp) {
            return if queued.uncertain { WriteState::Sent } else { WriteState::Queued };
        }
        match self.rejected_at(timestamp).next() {
            Some(rejected) => WriteState::Rejected(rejected.code),
            None => WriteState::Durable,
        }
    }

    pub(super) fn rejected_at(&self, timestamp: Timestamp) -> impl Iterator<Item = &Rejected> {
        let range = RejectedKey::range_of(timestamp);
        range.into_iter().flat_map(|range| self.rejected.range(range)).map(|(_, rejected)| rejected)
    }

    /// Whether a reader that can what `reader` can may subscribe and pull.
    //= SES-103
    pub(super) fn may_read(&self, reader: Reader) -> bool {
        self.node.stopped.is_none_or(|stopped| {
            reader.version > stopped.version || reader.capabilities.exceed(stopped.capabilities)
        })
    }

    // Changing.

    /// Takes an operation off the rejected list, by the application's order.
    pub fn dismiss(&mut self, key: RejectedKey) -> Vec<Change> {
        let mut local = Local::begin(self);
        local.unreject(key);
        local.commit().0
    }

    /// The state in which a record is what the application sees.
    pub(super) fn view_of(&self, collection: &str, record: Uuid) -> &State {
        if self.outbox.of_record(collection, record).next().is_some() { &self.view } else { &self.state }
    }

    /// Makes the view of a record anew.
    pub(super) fn refresh(&mut self, collection: &str, record: Uuid) {
        let mut queued = self.outbox.of_record(collection, record).peekable();
        if queued.peek().is_none() {
            return self.view.forget_record(collection, record);
        }
        self.view.copy_record(&self.state, collection, record);
        for queued in queued {
            self.view.apply(&queued.op.op(), Heard::IN_DOUBT, &mut ());
        }
    }

    pub(super) fn refresh_all(&mut self) {
        self.view = State::new();
        let mut records = Records::default();
        for (_, queued) in self.outbox.iter() {
            let head = queued.op.op().head;
            records.insert(head.collection, head.record);
        }
        for (collection, record) in records.iter() {
            self.refresh(collection, record);
        }
    }

    /// Makes a change that a store made. The view is not touched.
    pub(super) fn redo(&mut self, change: Change) {
        match change {
            Change::Node(node) => self.node = node,
            Change::Queued(queued) => self.outbox.put(queued),
            Change::Unqueued(number) => drop(self.outbox.remove(number)),
            Change::OutboxCleared => self.outbox = Outbox::default(),
            Change::Rejected(rejected) => drop(self.rejected.insert(rejected.key(), rejected)),
            Change::Unrejected(key) => drop(self.rejected.remove(&key)),
            // A store that holds what no state has is corrupt; merging leaves such an entry out.
            Change::Register { path, timestamp, value, heard } => {
                let entry = Entry::Register { path: path.as_ref(), timestamp, value: &value, heard };
                drop(self.state.put(&entry, &mut ()));
            }
            Change::Counter { path, base, timestamp, total, heard } => {
                let entry = Entry::Counter { path: path.as_ref(), base, timestamp, total, heard };
                drop(self.state.put(&entry, &mut ()));
            }
            // Merging what hid it has dropped it.
            Change::RegisterDropped(_) | Change::CounterDropped { .. } => {}
            Change::DoubtAbove(seq) => self.state.doubt_above(seq, &mut ()),
            Change::StateCleared => self.state = State::new(),
            Change::Position(collections, position) => drop(self.positions.insert(collections, position)),
            Change::Seen(seen) => self.seen = seen,
        }
    }
}

impl PartialEq for Replica {
    /// Whether both hold the same rows.
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
            && self.outbox == other.outbox
            && self.rejected == other.rejected
            && self.state.entries().eq(other.state.entries())
            && self.positions == other.positions
            && self.seen == other.seen
    }
}
