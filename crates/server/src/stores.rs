//! Answers what the relay asks of its store. Each open database has a thread of its own, which opens it,
//! appends to it and closes it, so that nothing ever waits for another database's disk; what only reads runs
//! on the runtime's threads for blocking work, each call with a reader of its own.

use core::time::Duration;
use std::collections::{HashMap, HashSet};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use blazedb_relay::registry::ErrorCode;
use blazedb_relay::relay::{DatabaseId, Input, NodeAppend, Output, QueryFrame, Ticket};
use blazedb_relay::wire::DatabaseName;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;

use crate::inbox::Inbox;
use crate::metrics::Metrics;
use crate::store::{Budget, Error, ErrorKind, LogStore, QueryError, Reader as _, WriteError, Writer as _};
use crate::tending::{Pulse, tend};

/// How long an opening waits for the same database to be closed first.
const REOPENING: Duration = Duration::from_secs(10);
/// Stack of a database's thread. It calls into the store and nothing recursive.
const STACK: usize = 512 * 1_024;
/// Readers of a database that are kept for the next call.
const READERS: usize = 4;
/// How long a query or count waits for the merged state (RLY-53).
const STATE: Duration = Duration::from_secs(5);
/// Queries that run at once, so that they leave threads for reading logs, and memory; others wait.
const QUERIES: usize = 8;

/// All open databases, as the hub sees them.
pub(crate) struct Stores<S: LogStore> {
    shared: Arc<Shared<S>>,
    open: HashMap<DatabaseId, Handle<S>>,
    /// Questions without an answer. They get none any more when their database is closed.
    asked: HashMap<Ticket, DatabaseId>,
    /// Ends when no thread has the store any more.
    in_use: mpsc::Receiver<()>,
}

/// What the threads of all databases share.
struct Shared<S> {
    store: S,
    /// Whether a database that is not there is made.
    create: bool,
    /// What a query may cost.
    budget: Budget,
    /// Queries that may begin.
    queries: Semaphore,
    inbox: Arc<Inbox>,
    metrics: Arc<Metrics>,
    in_use: InUse,
    /// The last field: when the receiver hears of its end, the store is gone.
    _using: mpsc::Sender<()>,
}

struct Handle<S: LogStore> {
    reading: Arc<Reading<S>>,
    writer: Sender<Job>,
}

/// What a database is read with.
struct Reading<S: LogStore> {
    name: DatabaseName,
    /// Those that nobody uses now.
    readers: Mutex<Vec<S::Reader>>,
    pulse: Pulse,
}

/// What only a database's own thread does.
enum Job {
    Append(Ticket, Vec<NodeAppend>),
    Mint(Ticket),
}

/// Databases that are open or being closed: there is one writer at any time (RLY-2).
#[derive(Default)]
struct InUse {
    names: Mutex<HashSet<DatabaseName>>,
    freed: Condvar,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl InUse {
    /// Waits until nobody else uses the database. False if that takes too long.
    fn enter(&self, name: &DatabaseName) -> bool {
        let waited = self.freed.wait_timeout_while(lock(&self.names), REOPENING, |it| it.contains(name));
        let (mut names, _) = waited.unwrap_or_else(PoisonError::into_inner);
        names.insert(name.clone())
    }

    fn leave(&self, name: &DatabaseName) {
        lock(&self.names).remove(name);
        self.freed.notify_all();
    }
}

/// What clients are told of an error.
fn code(error: &Error) -> ErrorCode {
    if error.kind() == ErrorKind::Missing {
        ErrorCode::UNKNOWN_DATABASE
    } else {
        ErrorCode::STORE_UNAVAILABLE
    }
}

impl<S: LogStore> Stores<S> {
    pub(crate) fn new(
        store: S,
        (create, budget): (bool, Budget),
        inbox: Arc<Inbox>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let queries = Semaphore::new(QUERIES);
        let in_use = InUse::default();
        let (using, all_gone) = mpsc::channel(1);
        let shared = Shared { store, create, budget, queries, inbox, metrics, in_use, _using: using };
        Self { shared: Arc::new(shared), open: HashMap::new(), asked: HashMap::new(), in_use: all_gone }
    }

    /// Whether the relay still waits for this answer.
    pub(crate) fn expects(&mut self, answer: &Input) -> bool {
        match answer {
            Input::DatabaseOpened { ticket, .. }
            | Input::NodeLoaded { ticket, .. }
            | Input::Appended { ticket, .. }
            | Input::EpochMinted { ticket, .. }
            | Input::BlocksRead { ticket, .. }
            | Input::Rows { ticket, .. }
            | Input::StateCounted { ticket, .. }
            | Input::Failed { ticket, .. } => self.asked.remove(ticket).is_some(),
            Input::LogLost { database } => self.open.contains_key(database),
            Input::Authorized { .. }
            | Input::Opened { .. }
            | Input::Received { .. }
            | Input::Flushed { .. }
            | Input::Closed { .. }
            | Input::Timeout
            | Input::RightsChanged { .. }
            | Input::Shutdown => true,
        }
    }

    /// Does what an output asks of the store; gives it back if it asks nothing of it. The answer comes to
    /// the inbox.
    pub(crate) fn perform(&mut self, output: Output) -> Option<Output> {
        match output {
            Output::OpenDatabase { ticket, database, name } => self.open(ticket, database, name),
            Output::CloseDatabase { database } => self.close(database),
            Output::Append { ticket, database, nodes } => {
                self.write(ticket, database, Job::Append(ticket, nodes));
            }
            Output::MintEpoch { ticket, database } => self.write(ticket, database, Job::Mint(ticket)),
            Output::LoadNode { ticket, database, node, key, principal } => {
                self.asked.insert(ticket, database);
                self.read(ticket, database, move |reader| {
                    let claim = reader.node(node, &key, &principal)?;
                    Ok(Input::NodeLoaded { ticket, claim })
                });
            }
            Output::Read { ticket, database, after, max_bytes } => {
                self.asked.insert(ticket, database);
                if let Some(handle) = self.open.get(&database) {
                    handle.reading.pulse.read();
                }
                self.read(ticket, database, move |reader| {
                    let blocks = reader.read(after, max_bytes)?;
                    Ok(Input::BlocksRead { ticket, blocks })
                });
            }
            Output::CountState { ticket, database } => {
                self.asked.insert(ticket, database);
                self.count(ticket, database);
            }
            Output::RunQuery { ticket, database, query, after, limit } => {
                self.asked.insert(ticket, database);
                self.query(ticket, database, (query, after, limit));
            }
            output @ (Output::Send { .. }
            | Output::Close { .. }
            | Output::PauseReading { .. }
            | Output::ResumeReading { .. }
            | Output::Authorize { .. }) => return Some(output),
        }
        self.shared.metrics.store_jobs.set(self.asked.len());
        None
    }

    fn fail(&self, ticket: Ticket, code: ErrorCode) {
        self.shared.inbox.answer(Input::Failed { ticket, code });
    }

    fn open(&mut self, ticket: Ticket, database: DatabaseId, name: DatabaseName) {
        let (writer, jobs) = channel();
        self.asked.insert(ticket, database);
        let reading = Arc::new(Reading { name, readers: Mutex::default(), pulse: Pulse::new(0) });
        let thread = Thread { shared: self.shared.clone(), reading: reading.clone(), database };
        let builder = thread::Builder::new().name(format!("log {}", reading.name.as_str())).stack_size(STACK);
        self.open.insert(database, Handle { reading, writer });
        if let Err(error) = builder.spawn(move || thread.run(ticket, &jobs)) {
            tracing::error!(%error, "no thread for a database; raise the system's limit of threads");
            self.fail(ticket, ErrorCode::STORE_UNAVAILABLE);
        }
    }

    fn close(&mut self, database: DatabaseId) {
        // Its thread ends when there is nothing more to receive.
        if let Some(handle) = self.open.remove(&database) {
            self.shared.metrics.database_closed(handle.reading.name.as_str());
        }
        self.asked.retain(|_, of| *of != database);
    }

    /// Closes all, after what they have under way, and the store itself.
    pub(crate) async fn close_all(self) {
        let Self { shared, open, mut in_use, .. } = self;
        drop((shared, open));
        if timeout(REOPENING, in_use.recv()).await.is_err() {
            tracing::error!("databases were not closed in time");
        }
    }

    fn write(&mut self, ticket: Ticket, database: DatabaseId, job: Job) {
        self.asked.insert(ticket, database);
        let sent = self.open.get(&database).map(|handle| handle.writer.send(job));
        if !matches!(sent, Some(Ok(()))) {
            self.fail(ticket, ErrorCode::STORE_UNAVAILABLE);
        }
    }

    /// Counts when the state has come as far as the log was when that was asked; if it does not in time,
    /// where it stands. The answer names the position either way (RLY-57).
    fn count(&self, ticket: Ticket, database: DatabaseId) {
        let Some(handle) = self.open.get(&database) else {
            return self.fail(ticket, ErrorCode::STORE_UNAVAILABLE);
        };
        let (shared, reading) = (self.shared.clone(), handle.reading.clone());
        tokio::spawn(async move {
            reading.pulse.reached(reading.pulse.head(), STATE).await;
            shared.read(reading, ticket, move |reader| {
                Ok(Input::StateCounted { ticket, counts: reader.counts()? })
            });
        });
    }

    fn query(&self, ticket: Ticket, database: DatabaseId, (frame, after, limit): (QueryFrame, u64, u32)) {
        let Some(handle) = self.open.get(&database) else {
            return self.fail(ticket, ErrorCode::STORE_UNAVAILABLE);
        };
        let (shared, reading) = (self.shared.clone(), handle.reading.clone());
        tokio::spawn(async move {
            //= RLY-53
            if !reading.pulse.reached(after, STATE).await {
                shared.metrics.queries_failed.add(1);
                let code = ErrorCode::STATE_NOT_REACHED;
                return shared.inbox.answer(Input::Failed { ticket, code });
            }
            // The semaphore is never closed.
            let Ok(_turn) = shared.queries.acquire().await else { return };
            let running = shared.clone();
            let answer = tokio::task::spawn_blocking(move || running.query(&reading, ticket, &frame, limit));
            let failed = Input::Failed { ticket, code: ErrorCode::INTERNAL_ERROR };
            shared.inbox.answer(answer.await.unwrap_or(failed));
        });
    }

    fn read<F>(&self, ticket: Ticket, database: DatabaseId, work: F)
    where
        F: FnOnce(&mut S::Reader) -> Result<Input, Error> + Send + 'static,
    {
        let Some(handle) = self.open.get(&database) else {
            return self.fail(ticket, ErrorCode::STORE_UNAVAILABLE);
        };
        self.shared.read(handle.reading.clone(), ticket, work);
    }
}

impl<S: LogStore> Shared<S> {
    /// Answers with what is read, on a thread for that.
    fn read<F>(self: &Arc<Self>, reading: Arc<Reading<S>>, ticket: Ticket, work: F)
    where
        F: FnOnce(&mut S::Reader) -> Result<Input, Error> + Send + 'static,
    {
        let shared = self.clone();
        tokio::task::spawn_blocking(move || {
            let result = reading.with(&shared.store, work);
            shared.inbox.answer(result.unwrap_or_else(|error| {
                tracing::warn!(database = reading.name.as_str(), %error, "a database could not be read");
                Input::Failed { ticket, code: ErrorCode::STORE_UNAVAILABLE }
            }));
        });
    }

    fn query(&self, reading: &Reading<S>, ticket: Ticket, frame: &QueryFrame, limit: u32) -> Input {
        let failed = |code| Input::Failed { ticket, code };
        let Some(query) = frame.query() else { return failed(ErrorCode::INTERNAL_ERROR) };
        let begun = Instant::now();
        let answer = reading.with(&self.store, |reader| reader.query(&query, limit, &self.budget));
        self.metrics.query_seconds.time(begun.elapsed());
        let code = match answer {
            Ok(answer) => {
                let (at, tables, cursor) = (answer.at, answer.tables, answer.cursor.into());
                return Input::Rows { ticket, at, tables, cursor };
            }
            Err(QueryError::Refused(code)) => code,
            Err(QueryError::Failed(error)) => {
                tracing::warn!(database = reading.name.as_str(), %error, "a query failed");
                ErrorCode::STORE_UNAVAILABLE
            }
        };
        self.metrics.queries_failed.add(1);
        failed(code)
    }
}

impl<S: LogStore> Reading<S> {
    /// Works with a reader that nobody else uses.
    fn with<T, E: From<Error>>(
        &self,
        store: &S,
        work: impl FnOnce(&mut S::Reader) -> Result<T, E>,
    ) -> Result<T, E> {
        let kept = lock(&self.readers).pop();
        let mut reader = match kept {
            Some(reader) => reader,
            None => store.reader(&self.name)?,
        };
        let result = work(&mut reader);
        // One that failed may be of no use any more.
        if result.is_ok() {
            let mut readers = lock(&self.readers);
            if readers.len() < READERS {
                readers.push(reader);
            }
        }
        result
    }
}

/// What a database's thread needs.
struct Thread<S: LogStore> {
    shared: Arc<Shared<S>>,
    reading: Arc<Reading<S>>,
    database: DatabaseId,
}

impl<S: LogStore> Thread<S> {
    fn run(self, ticket: Ticket, jobs: &Receiver<Job>) {
        let name = self.reading.name.clone();
        if !self.shared.in_use.enter(&name) {
            tracing::error!(database = name.as_str(), "a database is still being closed");
            let code = ErrorCode::STORE_UNAVAILABLE;
            return self.shared.inbox.answer(Input::Failed { ticket, code });
        }
        self.serve(ticket, jobs);
        self.shared.in_use.leave(&name);
    }

    fn serve(&self, ticket: Ticket, jobs: &Receiver<Job>) {
        let Self { shared, reading, .. } = self;
        let name = reading.name.as_str();
        let mut opened = match self.open() {
            Ok(opened) => opened,
            Err(error) => {
                tracing::error!(database = name, %error, "a database could not be opened");
                if error.kind() != ErrorKind::Missing {
                    shared.metrics.not_opened(name);
                }
                return shared.inbox.answer(Input::Failed { ticket, code: code(&error) });
            }
        };
        tracing::info!(database = name, head = opened.head, "opened");
        shared.metrics.opened(name, opened.head);
        reading.pulse.appended(opened.head, 0);
        let tending = self.tend();
        shared.inbox.answer(Input::DatabaseOpened { ticket, head: opened.head, epochs: opened.epochs });
        while let Ok(job) = jobs.recv() {
            let (ticket, written) = match job {
                Job::Append(ticket, nodes) => (ticket, self.append(&mut opened.writer, ticket, &nodes)),
                Job::Mint(ticket) => {
                    let minted = opened.writer.mint();
                    (ticket, minted.map(|epoch| Input::EpochMinted { ticket, epoch }))
                }
            };
            shared.inbox.answer(written.unwrap_or_else(|error| self.not_written(ticket, &error)));
        }
        reading.pulse.end();
        if let Some(tending) = tending {
            let _ = tending.join();
        }
        tracing::info!(database = name, "closed");
    }

    fn open(&self) -> Result<crate::store::Opened<S::Writer>, Error> {
        let Self { shared, reading, .. } = self;
        if !shared.create {
            // Fails if it is not there.
            let reader = shared.store.reader(&reading.name)?;
            lock(&reading.readers).push(reader);
        }
        shared.store.open(&reading.name)
    }

    /// Begins to tend it, on a thread of its own.
    fn tend(&self) -> Option<JoinHandle<()>> {
        let (shared, reading) = (self.shared.clone(), self.reading.clone());
        let name = self.reading.name.as_str();
        let builder = thread::Builder::new().name(format!("tend {name}")).stack_size(STACK);
        let tending = builder.spawn(move || {
            let name = reading.name.as_str();
            match shared.store.background(&reading.name) {
                Ok(mut background) => tend(name, &reading.pulse, &mut background),
                Err(error) => {
                    tracing::error!(database = name, %error, "nothing can be done in the background");
                }
            }
        });
        if let Err(error) = &tending {
            tracing::error!(database = name, %error, "no thread for work in the background");
        }
        tending.ok()
    }

    fn append(
        &self,
        writer: &mut S::Writer,
        ticket: Ticket,
        nodes: &[NodeAppend],
    ) -> Result<Input, WriteError> {
        let Self { shared, reading, .. } = self;
        let begun = Instant::now();
        let first_seq = writer.append(nodes);
        shared.metrics.commit_seconds.time(begun.elapsed());
        let first_seq = first_seq?;
        let (mut operations, mut bytes) = (0, 0);
        for block in nodes.iter().flat_map(|node| &node.blocks) {
            operations += u64::from(block.count);
            bytes += block.bytes.len() as u64;
        }
        let head = first_seq + operations - 1;
        reading.pulse.appended(head, bytes);
        shared.metrics.operations_in.add(operations);
        #[allow(clippy::cast_precision_loss, reason = "a commit holds few operations next to 2^53")]
        shared.metrics.commit_operations.observe(operations as f64);
        shared.metrics.database(reading.name.as_str(), |status| {
            status.head = head;
            status.failing = false;
        });
        Ok(Input::Appended { ticket, first_seq })
    }

    fn not_written(&self, ticket: Ticket, error: &WriteError) -> Input {
        let Self { shared, reading, database } = self;
        let name = reading.name.as_str();
        tracing::error!(database = name, %error, "a commit failed");
        shared.metrics.database(name, |status| status.failing = true);
        match error {
            WriteError::Failed(error) => {
                shared.metrics.commit_failures.add(1);
                Input::Failed { ticket, code: code(error) }
            }
            WriteError::Lost(_) => {
                shared.metrics.logs_lost.add(1);
                Input::LogLost { database: *database }
            }
        }
    }
}

#[cfg(test)]
mod tests;
