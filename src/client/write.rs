//! What an application does to a replica (SPEC.md 10.6).

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use uuid::Uuid;

use super::local::Local;
use super::{Change, Identity, OpRow, Queued, Records, Replica};
use crate::error::BuildError;
use crate::limits::{MAX_BLOCK, MAX_BLOCK_OPS, MAX_COUNTER};
use crate::merge::{IncrementError, Path};
use crate::message::LastNodeSeq;
use crate::mutant::Mutant;
use crate::op::{Op, OpKind};
use crate::registry::ErrorCode;
use crate::value::{Entries, Fields, Value};
use crate::wire::{CollectionName, FieldName, Timestamp};

/// One write to one record, without number and timestamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    collection: CollectionName,
    record: Uuid,
    previous: Option<Timestamp>,
    action: Action,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    Insert(Fields),
    Update(Fields),
    Delete,
    Increment { field: FieldName, keys: Vec<Box<str>>, by: i64 },
}

impl Write {
    const fn new(collection: CollectionName, record: Uuid, action: Action) -> Self {
        Self { collection, record, previous: None, action }
    }

    /// Makes a record.
    #[must_use]
    pub const fn insert(collection: CollectionName, record: Uuid, fields: Fields) -> Self {
        Self::new(collection, record, Action::Insert(fields))
    }

    /// Sets fields of a record.
    #[must_use]
    pub const fn update(collection: CollectionName, record: Uuid, fields: Fields) -> Self {
        Self::new(collection, record, Action::Update(fields))
    }

    /// Deletes a record.
    #[must_use]
    pub const fn delete(collection: CollectionName, record: Uuid) -> Self {
        Self::new(collection, record, Action::Delete)
    }

    /// Sets the value below a field at `keys`, and nothing beside it. [`Value::Removed`] removes it.
    ///
    /// # Errors
    /// The rule of SPEC.md 4 that the field would break.
    pub fn patch(
        collection: CollectionName,
        record: Uuid,
        (field, keys): (FieldName, &[&str]),
        value: Value,
    ) -> Result<Self, BuildError> {
        let keys = keys.iter().copied();
        let fields = Fields::new([(field, nested(keys, value)?)].into())?;
        Ok(Self::update(collection, record, fields))
    }

    /// Adds `by` to the number in a field, or below it at `keys`.
    #[must_use]
    pub fn increment(
        collection: CollectionName,
        record: Uuid,
        (field, keys): (FieldName, &[&str]),
        by: i64,
    ) -> Self {
        let keys = keys.iter().copied().map(Box::from).collect();
        Self::new(collection, record, Action::Increment { field, keys, by })
    }

    /// The same update, telling readers which version of the record it was made on
    /// ([`Replica::version`]).
    #[must_use]
    pub const fn on(mut self, previous: Timestamp) -> Self {
        self.previous = Some(previous);
        self
    }
}

/// `value` at the end of `keys`, in a patch for each.
fn nested<'a>(keys: impl DoubleEndedIterator<Item = &'a str>, value: Value) -> Result<Value, BuildError> {
    keys.rev().try_fold(value, |value, key| Ok(Value::Patch(Entries::new([(key.into(), value)].into())?)))
}

/// What a write has become.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The names of the writes, in order: to ask for their state.
    pub timestamps: Vec<Timestamp>,
    /// What the store has to make durable before any of it is sent (SES-17).
    pub changes: Vec<Change>,
    /// The records that may look different now.
    pub records: Records,
}

/// A write that was refused. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WriteError {
    /// The protocol cannot carry it.
    Build(BuildError),
    /// The clock has reached its end (SES-41).
    ClockUsedUp,
    /// What is written as one transaction does not fit in one block (SES-45).
    TransactionTooLarge,
    /// The sum of this node's increments would not fit in 64 bits (MRG-15).
    IncrementTooLarge,
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::ClockUsedUp => f.write_str("the clock has reached its end (SES-41)"),
            Self::TransactionTooLarge => f.write_str("the transaction does not fit in one block (SES-45)"),
            Self::IncrementTooLarge => IncrementError.fmt(f),
        }
    }
}

impl core::error::Error for WriteError {}

impl From<BuildError> for WriteError {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl Replica {
    /// Writes all of `writes` as one transaction: it is sent in one block, and accepted or refused as a
    /// whole.
    ///
    /// # Errors
    /// One of them cannot be written; then none is.
    //= SES-17
    pub fn write(&mut self, writes: &[Write]) -> Result<Written, WriteError> {
        let mut local = Local::begin(self);
        match write_all(&mut local, writes) {
            Ok(timestamps) => {
                let (changes, records) = local.commit();
                Ok(Written { timestamps, changes, records })
            }
            Err(error) => {
                local.abort();
                Err(error)
            }
        }
    }

    /// Writes many transactions, each as [`Self::write`] does, for a store to make durable in one.
    ///
    /// # Errors
    /// One of them cannot be written; then none is.
    pub fn write_many(&mut self, transactions: &[Vec<Write>]) -> Result<Written, WriteError> {
        let mut local = Local::begin(self);
        let mut timestamps = Vec::new();
        for writes in transactions {
            match write_all(&mut local, writes) {
                Ok(written) => timestamps.extend(written),
                Err(error) => {
                    local.abort();
                    return Err(error);
                }
            }
        }
        let (changes, records) = local.commit();
        Ok(Written { timestamps, changes, records })
    }

    /// Writes operations under the timestamps that they have, each by itself: for imports, bridges and
    /// replays. Their node and number are replaced by the next of this replica.
    ///
    /// A timestamp names one write for ever: do not use one for two. The relay refuses a block that holds
    /// a timestamp far in the future (RLY-27).
    ///
    /// # Errors
    /// One of them cannot be written; then none is.
    pub fn replay<'o>(&mut self, ops: impl IntoIterator<Item = &'o Op>) -> Result<Written, WriteError> {
        let mut local = Local::begin(self);
        let mut timestamps = Vec::new();
        for op in ops {
            if let Err(error) = queue(&mut local, op, None, false) {
                local.abort();
                return Err(error);
            }
            timestamps.push(op.timestamp());
        }
        let (changes, records) = local.commit();
        Ok(Written { timestamps, changes, records })
    }

    /// Drops an operation from the outbox, with all of its transaction, by the application's order, and
    /// becomes the new node `spare`. A session that is open ends at its next input.
    ///
    /// Nothing happens if the operation is not in the outbox. It may have reached the relay already: what
    /// is dropped is sent no more, but not undone.
    //= SES-55
    //= SES-104
    pub fn abandon(&mut self, timestamp: Timestamp, spare: Identity) -> Vec<Change> {
        let Some(number) = self.outbox.find(timestamp).map(Queued::number) else { return Vec::new() };
        let (first, last) = self.outbox.transaction_of(number);
        let mut local = Local::begin(self);
        for number in first..=last {
            local.discard(number);
        }
        if Mutant::NumbersReused.is_on() {
            local.replica.node.given = LastNodeSeq::new(first - 1).unwrap_or(LastNodeSeq::NONE);
        } else {
            local.become_new_node(spare);
        }
        local.commit().0
    }
}

fn write_all(local: &mut Local<'_>, writes: &[Write]) -> Result<Vec<Timestamp>, WriteError> {
    let mut timestamps = Vec::with_capacity(writes.len());
    let mut size = 0;
    for write in writes {
        let timestamp = next_timestamp(local)?;
        let transaction = (writes.len() > 1).then(|| timestamps.first().copied().unwrap_or(timestamp));
        let op = operation(local, write, timestamp)?;
        // In a block, each operation has its length in front of it.
        size += 4 + queue(local, &op, transaction, false)?;
        timestamps.push(timestamp);
        //= SES-45
        if size > MAX_BLOCK || timestamps.len() > MAX_BLOCK_OPS {
            return Err(WriteError::TransactionTooLarge);
        }
    }
    Ok(timestamps)
}

//= SES-40
fn next_timestamp(local: &Local<'_>) -> Result<Timestamp, WriteError> {
    let node = &local.replica.node;
    //= SES-41
    if node.clock >= MAX_COUNTER {
        return Err(WriteError::ClockUsedUp);
    }
    Ok(Timestamp::new(node.clock + 1, node.identity.node)?)
}

fn operation(local: &Local<'_>, write: &Write, timestamp: Timestamp) -> Result<Op, WriteError> {
    let (collection, record) = (write.collection.clone(), write.record);
    let (kind, fields) = match &write.action {
        Action::Insert(fields) => (OpKind::Insert, fields.clone()),
        Action::Update(fields) => (OpKind::Update, fields.clone()),
        Action::Delete => (OpKind::Delete, Fields::default()),
        Action::Increment { field, keys, by } => {
            let path = Path::field(collection.clone(), record, field);
            let path = keys.iter().try_fold(path, |path, key| path.key(key))?;
            let view = local.replica.view_of(collection.as_str(), record);
            let counter = view
                .increment(path.as_ref(), local.replica.node.identity.node, *by)
                .map_err(|_| WriteError::IncrementTooLarge)?;
            let value = nested(keys.iter().map(|key| &**key), counter)?;
            (OpKind::Update, Fields::new([(field.clone(), value)].into())?)
        }
    };
    let op = Op::new(next_delivery(local), timestamp, kind, (collection, record), fields)?;
    Ok(match write.previous {
        Some(previous) => op.with_previous(previous)?,
        None => op,
    })
}

fn next_delivery(local: &Local<'_>) -> (crate::wire::NodeId, u64) {
    let node = &local.replica.node;
    (node.identity.node, node.given.get() + 1)
}

/// Puts an operation into the outbox under the next number. Gives its size.
fn queue(
    local: &mut Local<'_>,
    op: &Op,
    transaction: Option<Timestamp>,
    restored: bool,
) -> Result<usize, WriteError> {
    let (own, number) = next_delivery(local);
    let given = LastNodeSeq::new(number)?;
    let row = OpRow::new(op.to_bytes().into()).map_err(|error| BuildError::new(error.code, error.field))?;
    let row = if op.delivery() == (own, number) { row } else { row.readdressed(own, number) };
    let size = row.bytes().len();
    local.replica.node.given = given;
    //= SES-40
    local.replica.node.clock = local.replica.node.clock.max(op.timestamp().counter());
    local.queue(Queued { op: row, uncertain: false, transaction, restored });
    Ok(size)
}

/// An operation that is made from what was in doubt.
pub(super) fn queue_restored(local: &mut Local<'_>, op: &Op) -> Result<(), BuildError> {
    match queue(local, op, None, true) {
        Ok(_) => Ok(()),
        Err(WriteError::Build(error)) => Err(error),
        Err(_) => Err(BuildError::new(ErrorCode::TOO_LONG, "operation")),
    }
}
