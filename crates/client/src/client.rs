//! The handle of a client.

use std::sync::Arc;

use blazedb_relay::client::{
    Answer, CollectionSet, Command, Credentials, Node, Pull, Query, Rejected, RejectedKey, Write, WriteState,
    Written,
};
use blazedb_relay::error::BuildError;
use blazedb_relay::merge::Entry;
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::value::{Entries, Fields, Value};
use blazedb_relay::wire::{CollectionName, FieldName, Position, Timestamp};
use tokio::sync::watch;
use uuid::Uuid;

use crate::connection;
use crate::core::{Core, Rows, random_identity, random_record};
use crate::error::Error;
use crate::event::Events;
use crate::find::{Find, Row};
use crate::options::Options;
use crate::shared::Shared;
use crate::status::{Connection, Status};

/// A database of an app on this device. Handles are cheap to clone; when the last one is dropped, the
/// connection ends. What was written is in the file by then.
///
/// *Reading* needs no connection and does not wait: it may be called anywhere. It can be held up by a write
/// to the file that is under way.
///
/// *Writing* is done when the call returns: the write, its number and its timestamp are in the file, as one
/// transaction. A future that is dropped writes all or nothing, and goes on in the background if it has
/// begun.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Arc<Shared>,
    _last: Arc<Last>,
}

/// Ends the connection with the last handle.
#[derive(Debug)]
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.lock().close();
        self.0.wake.notify_one();
    }
}

/// How much a relay holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncState {
    /// The log position that the numbers describe.
    pub head: Position,
    /// Operations in the log.
    pub operations: u64,
    /// Nodes that ever wrote.
    pub nodes: u64,
    /// Live records in the merged state.
    pub live_records: u64,
    /// Collections with at least one live record.
    pub collections: u64,
}

impl Client {
    /// Opens a database and begins to sync it, if a relay is named. Must be called in a runtime of tokio.
    ///
    /// # Errors
    /// The file cannot be opened: it is in use, something else, damaged, or a later version's.
    pub async fn open(options: Options) -> Result<Self, Error> {
        let relay = options.relay.clone();
        let core = if options.file.is_some() {
            tokio::task::spawn_blocking(|| Core::open(options)).await.map_err(|_| Error::Closed)??
        } else {
            Core::open(options)?
        };
        let shared = Arc::new(Shared::new(core));
        if let Some(relay) = relay {
            tokio::spawn(connection::run(Arc::clone(&shared), relay));
        }
        let last = Arc::new(Last(Arc::clone(&shared)));
        Ok(Self { shared, _last: last })
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    async fn with<T: Send + 'static>(
        &self,
        act: impl FnOnce(&mut Core) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let done = self.shared.with(act).await.ok_or(Error::Closed)?;
        // The timers of the session may be others now.
        self.shared.wake.notify_one();
        done
    }

    // Writing.

    /// Makes a record with a random id, and gives that.
    ///
    /// # Errors
    /// The write was refused; nothing has changed.
    pub async fn insert(&self, collection: &str, fields: &[(&str, Value)]) -> Result<Uuid, Error> {
        let record = random_record().map_err(|_| Error::Offline)?;
        self.write(vec![Write::insert(CollectionName::new(collection)?, record, named(fields)?)]).await?;
        Ok(record)
    }

    /// Sets fields of a record.
    ///
    /// # Errors
    /// The write was refused; nothing has changed.
    pub async fn update(
        &self,
        collection: &str,
        record: Uuid,
        fields: &[(&str, Value)],
    ) -> Result<Timestamp, Error> {
        self.write_one(Write::update(CollectionName::new(collection)?, record, named(fields)?)).await
    }

    /// Deletes a record.
    ///
    /// # Errors
    /// The write was refused; nothing has changed.
    pub async fn delete(&self, collection: &str, record: Uuid) -> Result<Timestamp, Error> {
        self.write_one(Write::delete(CollectionName::new(collection)?, record)).await
    }

    /// Sets the value at `path`, a field and then keys of dictionaries, and nothing beside it.
    /// [`Value::Removed`] removes it.
    ///
    /// # Errors
    /// The write was refused; nothing has changed.
    pub async fn patch(
        &self,
        collection: &str,
        record: Uuid,
        path: &[&str],
        value: Value,
    ) -> Result<Timestamp, Error> {
        let (field, keys) = split(path)?;
        self.write_one(Write::patch(CollectionName::new(collection)?, record, (field, keys), value)?).await
    }

    /// Adds `by` to the number at `path`, a field and then keys of dictionaries. Increments of different
    /// devices add up.
    ///
    /// # Errors
    /// The write was refused; nothing has changed.
    pub async fn increment(
        &self,
        collection: &str,
        record: Uuid,
        path: &[&str],
        by: i64,
    ) -> Result<Timestamp, Error> {
        let (field, keys) = split(path)?;
        self.write_one(Write::increment(CollectionName::new(collection)?, record, (field, keys), by)).await
    }

    async fn write_one(&self, write: Write) -> Result<Timestamp, Error> {
        let timestamps = self.write(vec![write]).await?;
        timestamps.first().copied().ok_or(Error::Closed)
    }

    /// Writes all of `writes` as one transaction: it is sent in one block, and accepted or refused as a
    /// whole. Gives the names of the writes, to ask for their state.
    ///
    /// # Errors
    /// One of them was refused, or they do not fit in one block together; then nothing has changed.
    pub async fn write(&self, writes: Vec<Write>) -> Result<Vec<Timestamp>, Error> {
        self.with(move |core| {
            core.change(|replica| {
                let written = replica.write(&writes)?;
                Ok((written.timestamps.clone(), written))
            })
        })
        .await
    }

    /// Writes many transactions at once, each of which is accepted or refused by itself. They share one
    /// write to the file, which makes this the way to write much.
    ///
    /// # Errors
    /// One of them was refused; then nothing has changed.
    pub async fn write_many(&self, transactions: Vec<Vec<Write>>) -> Result<Vec<Timestamp>, Error> {
        self.with(move |core| {
            core.change(|replica| {
                let written = replica.write_many(&transactions)?;
                Ok((written.timestamps.clone(), written))
            })
        })
        .await
    }

    /// Writes operations under the timestamps that they have, each by itself: for imports, bridges and
    /// replays. Their node and number are replaced by the next of this client.
    ///
    /// A timestamp names one write for ever: do not use one for two. The relay refuses one that is far in
    /// the future.
    ///
    /// # Errors
    /// One of them cannot be written; then nothing has changed.
    pub async fn replay(&self, ops: Vec<Op>) -> Result<(), Error> {
        self.with(move |core| core.change(|replica| Ok(((), replica.replay(&ops)?)))).await
    }

    // What has become of writes.

    /// What has become of a write of this client.
    #[must_use]
    pub fn write_state(&self, timestamp: Timestamp) -> WriteState {
        self.shared.lock().write_state(timestamp)
    }

    /// Waits until a write is durable or rejected. Cancel-safe.
    ///
    /// # Errors
    /// The client was closed.
    pub async fn outcome(&self, timestamp: Timestamp) -> Result<WriteState, Error> {
        self.wait(|core| match core.write_state(timestamp) {
            WriteState::Queued | WriteState::Sent => Ok(None),
            state @ (WriteState::Durable | WriteState::Rejected(_)) => Ok(Some(state)),
        })
        .await
    }

    /// Waits until nothing is queued: everything that was written is durable or rejected. Cancel-safe.
    ///
    /// It waits as long as there is no connection; [`Self::status`] says why.
    ///
    /// # Errors
    /// The client was closed.
    pub async fn settled(&self) -> Result<(), Error> {
        self.wait(|core| Ok((core.replica.outbox_len() == 0).then_some(()))).await
    }

    /// What relays refused, until it is retried or dropped.
    #[must_use]
    pub fn rejected(&self) -> Vec<Rejected> {
        self.shared.lock().replica.rejected().cloned().collect()
    }

    /// Writes rejected operations again, as one transaction under new timestamps, and takes them off the
    /// rejected list.
    ///
    /// # Errors
    /// There is no such operation; it holds an increment, whose amount is not known any more; or what a
    /// write can fail with. Then nothing has changed.
    pub async fn retry(&self, keys: Vec<RejectedKey>) -> Result<Vec<Timestamp>, Error> {
        self.with(move |core| {
            core.change(|replica| {
                let writes = keys
                    .iter()
                    .map(|key| {
                        let found = replica.rejected().find(|rejected| rejected.key() == *key);
                        again(found.ok_or(Error::NotRejected)?)
                    })
                    .collect::<Result<Vec<_>, _>>()?;
                let mut written = replica.write(&writes)?;
                for key in keys {
                    written.changes.extend(replica.dismiss(key));
                }
                Ok((written.timestamps.clone(), written))
            })
        })
        .await
    }

    /// Takes an operation off the rejected list, for ever.
    ///
    /// # Errors
    /// The file could not be written; then nothing has changed.
    pub async fn dismiss(&self, key: RejectedKey) -> Result<(), Error> {
        self.with(move |core| core.change(|replica| Ok(((), changes(replica.dismiss(key)))))).await
    }

    /// Drops a write that is queued, with all of its transaction. It may have reached the relay already:
    /// what is dropped is sent no more, but not undone.
    ///
    /// # Errors
    /// The file could not be written; then nothing has changed.
    pub async fn abandon(&self, timestamp: Timestamp) -> Result<(), Error> {
        let spare = random_identity().map_err(|_| Error::Offline)?;
        self.with(move |core| {
            let dropped = core.change(|replica| Ok(((), changes(replica.abandon(timestamp, spare)))));
            core.reset();
            dropped
        })
        .await
    }

    // Reading.

    /// The fields of a record; `None` if it is not there.
    #[must_use]
    pub fn record(&self, collection: &str, record: Uuid) -> Option<Entries> {
        self.shared.lock().replica.record(collection, record)
    }

    /// The records of a collection with their fields, ascending by id.
    #[must_use]
    pub fn records(&self, collection: &str) -> Vec<(Uuid, Entries)> {
        self.shared.lock().replica.records(collection)
    }

    /// The records of a collection that are looked for, in the order that is asked for.
    #[must_use]
    pub fn find(&self, collection: &str, find: &Find) -> Vec<Row> {
        let records = self.records(collection).into_iter();
        find.apply(records.map(|(record, fields)| Row { record, fields }).collect())
    }

    /// The collections in which anything was ever written, ascending. Some may have no record any more.
    #[must_use]
    pub fn collections(&self) -> Vec<Box<str>> {
        self.shared.lock().replica.collections()
    }

    /// The version of a record that an update may name as the one that it was made on ([`Write::on`]).
    #[must_use]
    pub fn version_of(&self, collection: &str, record: Uuid) -> Option<Timestamp> {
        self.shared.lock().replica.version(collection, record)
    }

    /// What the client knows of itself: its node, and how far the relay has taken what it wrote.
    #[must_use]
    pub fn node(&self) -> Node {
        *self.shared.lock().replica.node()
    }

    /// How far the client has read a set of collections, if it ever did.
    #[must_use]
    pub fn position(&self, collections: &CollectionSet) -> Option<Position> {
        self.shared.lock().replica.position(collections)
    }

    /// Shows every register and counter of the durable state to `see`, ascending by path: for exports and
    /// comparisons.
    pub fn visit_durable(&self, mut see: impl FnMut(&Entry<'_>)) {
        for entry in self.shared.lock().replica.durable_state().entries() {
            see(&entry);
        }
    }

    // What happens.

    /// Events from now on.
    #[must_use]
    pub fn events(&self) -> Events {
        Events(self.shared.lock().events())
    }

    /// How the client stands: whether everything is synced, and if not, why.
    #[must_use]
    pub fn status(&self) -> Status {
        self.shared.lock().status()
    }

    /// Changes whenever something has happened that [`Self::status`] or [`Self::write_state`] may tell.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<u64> {
        self.shared.lock().version()
    }

    async fn wait<T>(&self, mut done: impl FnMut(&Core) -> Result<Option<T>, Error>) -> Result<T, Error> {
        let mut version = self.watch();
        loop {
            {
                let core = self.shared.lock();
                core.check()?;
                if let Some(done) = done(&core)? {
                    return Ok(done);
                }
            }
            version.changed().await.map_err(|_| Error::Closed)?;
        }
    }

    // The connection.

    /// Connects, if a relay was named: again after [`Self::disconnect`], and at once where the relay has
    /// refused this client for a reason that does not pass by itself. A wait that spares the relay, after a
    /// connection that failed or a goodbye, stays.
    pub fn connect(&self) {
        let mut core = self.shared.lock();
        (core.wanted, core.hurry) = (true, !core.has_session());
        drop(core);
        self.shared.wake.notify_one();
    }

    /// Ends the connection in order, and stays offline until [`Self::connect`]. What was sent has its
    /// answers by then; a connection that is dead is found out after three heartbeats.
    ///
    /// # Errors
    /// The client was closed.
    pub async fn disconnect(&self) -> Result<(), Error> {
        self.with(|core| {
            core.disconnect();
            Ok(())
        })
        .await?;
        self.wait(|core| Ok((!core.has_session()).then_some(()))).await
    }

    /// Waits for a connection. Cancel-safe.
    ///
    /// # Errors
    /// The relay refuses this client for a reason that does not pass by itself; the client was closed.
    pub async fn online(&self) -> Result<(), Error> {
        self.wait(|core| match core.connection() {
            Connection::Online => Ok(Some(())),
            Connection::NotAuthenticated { code, text }
            | Connection::Offline { why: crate::Offline::Refused { code, text }, .. } => {
                Err(Error::Refused { code: *code, text: text.clone() })
            }
            Connection::Off | Connection::Connecting | Connection::Offline { .. } | Connection::Closed => {
                Ok(None)
            }
        })
        .await
    }

    /// Waits until every subscription has what the relay had when the connection began. Cancel-safe.
    ///
    /// # Errors
    /// A subscription was refused; the client was closed.
    pub async fn caught_up(&self) -> Result<(), Error> {
        self.wait(|core| Ok(core.caught_up()?.then_some(()))).await
    }

    /// Shows the relay another token of the same principal: on the connection if there is one, so that
    /// nothing is interrupted, else on a new one at once.
    ///
    /// # Errors
    /// It is too long; the relay refuses it.
    pub async fn authenticate(&self, token: &str) -> Result<(), Error> {
        let credentials = Credentials::bearer(token.as_bytes())?;
        let asked = self
            .with(move |core| {
                core.credentials = credentials.clone();
                if *core.connection() != Connection::Online {
                    core.hurry = core.wanted;
                    return Ok(None);
                }
                core.ask(|ticket| Command::Authenticate { ticket, credentials }).map(Some)
            })
            .await?;
        let Some(answer) = asked else { return Ok(()) };
        answer.await.map_err(|_| Error::Offline)??;
        Ok(())
    }

    /// Reads these collections too, from now on.
    ///
    /// # Errors
    /// The client was closed.
    pub async fn subscribe(&self, collections: CollectionSet, window: u64) -> Result<(), Error> {
        self.with(move |core| {
            core.subscribe(collections, window);
            Ok(())
        })
        .await
    }

    /// Reads this set of collections no more.
    ///
    /// # Errors
    /// The client was closed.
    pub async fn unsubscribe(&self, collections: CollectionSet) -> Result<(), Error> {
        self.with(move |core| {
            core.unsubscribe(&collections);
            Ok(())
        })
        .await
    }

    // Requests.

    async fn ask(&self, request: impl FnOnce(u64) -> Command + Send + 'static) -> Result<Answer, Error> {
        let answer = self.with(move |core| core.ask(request)).await?;
        Ok(answer.await.map_err(|_| Error::Offline)??)
    }

    /// Asks the relay for rows of its merged state. On a connection that is being opened, it waits for it.
    ///
    /// # Errors
    /// There is no connection, or the relay refuses it.
    pub async fn query(&self, query: Query) -> Result<Rows, Error> {
        match self.ask(|ticket| Command::Query { ticket, query: Box::new(query) }).await? {
            Answer::Rows { at, rows, cursor, .. } => Ok(Rows { at, rows, cursor }),
            Answer::Pulled { .. } | Answer::SyncState { .. } | Answer::Authenticated { .. } => {
                Err(Error::Offline)
            }
        }
    }

    /// Asks the relay how much it holds.
    ///
    /// # Errors
    /// There is no connection, or the relay refuses it.
    pub async fn sync_state(&self) -> Result<SyncState, Error> {
        match self.ask(|ticket| Command::SyncState { ticket }).await? {
            Answer::SyncState { head, operations, nodes, live_records, collections } => {
                Ok(SyncState { head, operations, nodes, live_records, collections })
            }
            Answer::Pulled { .. } | Answer::Rows { .. } | Answer::Authenticated { .. } => Err(Error::Offline),
        }
    }

    /// Reads one page of a set of collections from its position on, without subscribing. Gives whether
    /// there is more.
    ///
    /// # Errors
    /// There is no connection, or the relay refuses it.
    pub async fn pull(&self, pull: Pull) -> Result<bool, Error> {
        match self.ask(|ticket| Command::Pull { ticket, pull }).await? {
            Answer::Pulled { has_more, .. } => Ok(has_more),
            Answer::SyncState { .. } | Answer::Rows { .. } | Answer::Authenticated { .. } => {
                Err(Error::Offline)
            }
        }
    }

    /// Ends the connection in order and gives the file back. Other handles of this client find it closed.
    ///
    /// # Errors
    /// It was closed before.
    pub async fn close(self) -> Result<(), Error> {
        self.disconnect().await?;
        self.with(|core| {
            core.close();
            Ok(())
        })
        .await
    }
}

fn changes(changes: Vec<blazedb_relay::client::Change>) -> Written {
    Written { timestamps: Vec::new(), changes, records: blazedb_relay::client::Records::default() }
}

/// Fields by name, in any order.
fn named(fields: &[(&str, Value)]) -> Result<Fields, BuildError> {
    let fields = fields.iter().map(|(name, value)| Ok((FieldName::new(name)?, value.clone())));
    Fields::new(fields.collect::<Result<_, BuildError>>()?)
}

fn split<'a, 'b>(path: &'a [&'b str]) -> Result<(FieldName, &'a [&'b str]), BuildError> {
    let (field, keys) = path.split_first().map_or(("", path), |(field, keys)| (*field, keys));
    Ok((FieldName::new(field)?, keys))
}

/// A rejected operation as a new write.
fn again(rejected: &Rejected) -> Result<Write, Error> {
    let op = rejected.op.op();
    let (collection, record) = (CollectionName::new(op.head.collection)?, op.head.record);
    if op.fields.iter().any(|(_, value)| holds_counter(&Value::from(value))) {
        return Err(Error::RetryOfIncrement);
    }
    Ok(match op.head.kind {
        OpKind::Insert => Write::insert(collection, record, op.fields.into()),
        OpKind::Update => Write::update(collection, record, op.fields.into()),
        OpKind::Delete => Write::delete(collection, record),
    })
}

/// Recursion ends at the depth that a value may have on the wire.
fn holds_counter(value: &Value) -> bool {
    if let Value::Patch(entries) = value {
        return entries.iter().any(|(_, value)| holds_counter(value));
    }
    matches!(value, Value::Counter { .. })
}
