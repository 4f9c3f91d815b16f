//! A replica, its store and its session, behind one lock: what may happen between two inputs.

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};

use std::time::{SystemTime, UNIX_EPOCH};

use blazedb_relay::client::{
    Answer, Backoff, CollectionSet, Command, Config, Credentials, End, Event as SessionEvent, Failure,
    Identity, Input, Output, Reconnect, Replica, Session, State, WriteState, Written,
};
use blazedb_relay::message::RestoreMode;
use blazedb_relay::registry::ErrorCode;
use blazedb_relay::time::Time;
use blazedb_relay::value::Value;
use blazedb_relay::wire::{DatabaseName, NodeId, NodeKey, Position, Timestamp};
use bytes::Bytes;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use uuid::Uuid;

use crate::error::Error;
use crate::event::{Event, Origin};
use crate::options::Options;
use crate::status::{Connection, Hindrance, Offline, Status, Traffic};
use crate::store::{FileStore, Store, StoreError};
use crate::transport::Outgoing;

/// Events that a slow reader may be behind before it misses some.
const EVENTS: usize = 4_096;
/// After the file could not be written.
const STORE_FAILED: Reconnect = Reconnect::After(10_000);

/// Rows that a relay gave.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// The log position of the state that answered.
    pub at: Position,
    /// Values row by row. [`Value::Removed`] says that there is nothing.
    pub rows: Vec<Vec<Value>>,
    /// To ask for the next page; empty if there is none.
    pub cursor: Box<[u8]>,
}

/// Who waits for an answer.
#[derive(Debug)]
struct Asked {
    to: oneshot::Sender<Result<Answer, Failure>>,
    /// Rows so far.
    rows: Vec<Vec<Value>>,
}

#[derive(Debug)]
struct Subscription {
    window: u64,
    caught_up: bool,
    refused: Option<Failure>,
}

/// A replica, its store and its session.
#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) replica: Replica,
    store: Store,
    /// The file could not even be read again: nothing goes any more.
    broken: Option<StoreError>,
    session: Option<Session>,
    outgoing: Option<mpsc::UnboundedSender<Outgoing>>,
    /// How the last session ended, until the connection has seen it.
    ended: Option<Reconnect>,
    backoff: Backoff,
    database: DatabaseName,
    pub(crate) credentials: Credentials,
    subscriptions: BTreeMap<CollectionSet, Subscription>,
    begun: Instant,
    tickets: u64,
    asked: HashMap<u64, Asked>,
    /// Something was asked while there was no connection.
    asked_offline: bool,
    connection: Connection,
    /// What the transport said when it could not be opened.
    transport: Box<str>,
    hindrance: Option<Hindrance>,
    traffic: Traffic,
    events: Option<broadcast::Sender<Event>>,
    version: watch::Sender<u64>,
    // What the application wants of the connection.
    pub(crate) wanted: bool,
    pub(crate) hurry: bool,
    pub(crate) closed: bool,
}

/// A node and key from the system's source of randomness (SEC-2).
pub(crate) fn random_identity() -> Result<Identity, String> {
    let mut bytes = [[0; 16]; 2];
    for bytes in &mut bytes {
        getrandom::fill(bytes).map_err(|error| format!("no randomness: {error}"))?;
    }
    let [node, key] = bytes;
    let node = NodeId::new(uuid::Builder::from_random_bytes(node).into_uuid());
    Ok(Identity { node: node.map_err(|error| error.to_string())?, key: NodeKey(key) })
}

/// A random UUID for a record.
pub(crate) fn random_record() -> Result<Uuid, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("no randomness: {error}"))?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

impl Core {
    pub(crate) fn open(options: Options) -> Result<Self, StoreError> {
        let Options { database, file, relay, credentials, subscriptions, window, identity } = options;
        let path = file.clone().unwrap_or_else(|| "memory".into());
        let new = || match identity {
            Some(identity) => Ok(identity),
            None => random_identity().map_err(|error| StoreError::no_randomness(&path, error)),
        };
        let (store, replica) = match &file {
            Some(path) => {
                let (file, replica) = FileStore::open(path, &database, new)?;
                (Store::File(Box::new(file)), replica)
            }
            None => (Store::Memory, Replica::in_memory(new()?)),
        };
        let new = |set| (set, Subscription { window, caught_up: false, refused: None });
        Ok(Self {
            replica,
            store,
            broken: None,
            session: None,
            outgoing: None,
            ended: None,
            backoff: Backoff::default(),
            database,
            credentials,
            subscriptions: subscriptions.into_iter().map(new).collect(),
            begun: Instant::now(),
            tickets: 0,
            asked: HashMap::new(),
            asked_offline: false,
            connection: Connection::Off,
            transport: "".into(),
            hindrance: None,
            traffic: Traffic::default(),
            events: Some(broadcast::channel(EVENTS).0),
            version: watch::channel(0).0,
            wanted: relay.is_some(),
            hurry: false,
            closed: false,
        })
    }

    pub(crate) const fn has_file(&self) -> bool {
        self.store.is_file()
    }

    pub(crate) fn events(&self) -> broadcast::Receiver<Event> {
        match &self.events {
            Some(events) => events.subscribe(),
            // Of a closed client there is nothing to hear.
            None => broadcast::channel(1).1,
        }
    }

    /// Changes with everything that happens.
    pub(crate) fn version(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    pub(crate) fn status(&self) -> Status {
        let not_connected = (self.connection != Connection::Online).then_some(Hindrance::NotConnected);
        let refused = self.subscriptions.values().find_map(|it| it.refused.clone());
        Status {
            connection: self.connection.clone(),
            queued: self.replica.outbox_len(),
            rejected: self.replica.rejected_len(),
            traffic: self.traffic,
            hindrance: not_connected
                .or_else(|| self.hindrance.clone())
                .or_else(|| refused.map(Hindrance::Subscription)),
        }
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.broken {
            Some(error) => Err(error.clone().into()),
            None if self.closed => Err(Error::Closed),
            None => Ok(()),
        }
    }

    fn now(&self) -> Time {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Time { monotonic_ms: ms(self.begun.elapsed()), unix_ms: ms(unix) }
    }

    /// When the session wants to hear of the time.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let at = self.session.as_ref()?.poll_timeout()?;
        Some(self.begun + Duration::from_millis(at))
    }

    // Writing.

    /// Changes the replica, and makes that durable; then the session hears of it.
    pub(crate) fn change<T>(
        &mut self,
        change: impl FnOnce(&mut Replica) -> Result<(T, Written), Error>,
    ) -> Result<T, Error> {
        self.check()?;
        let (result, written) = change(&mut self.replica)?;
        let Written { changes, records, .. } = written;
        if let Err(error) = self.store.stage(changes).and_then(|()| self.store.commit()) {
            self.lose(error.clone());
            return Err(error.into());
        }
        if !records.is_empty() {
            self.tell(Event::Changed { records, origin: Origin::Local });
        }
        self.feed([Input::Written]);
        self.moved();
        Ok(result)
    }

    pub(crate) fn write_state(&self, timestamp: Timestamp) -> WriteState {
        match &self.session {
            Some(session) => session.write_state(&self.replica, timestamp),
            None => self.replica.write_state(timestamp),
        }
    }

    // The session.

    /// Begins another connection, which is not open yet.
    pub(crate) fn begin_session(&mut self) -> Result<(), String> {
        let spare = random_identity()?;
        let seed = getrandom::u64().map_err(|error| format!("no randomness: {error}"))?;
        let mut config = Config::new(self.database.clone(), seed);
        config.credentials = self.credentials.clone();
        self.session = Some(Session::new(config, spare, self.backoff));
        self.ended = None;
        (self.hurry, self.asked_offline) = (false, false);
        self.transport = "".into();
        self.set_connection(Connection::Connecting);
        let subscribe: Vec<_> = self
            .subscriptions
            .iter_mut()
            .map(|(collections, subscription)| {
                (subscription.caught_up, subscription.refused) = (false, None);
                let (collections, window) = (collections.clone(), subscription.window);
                Input::Command(Command::Subscribe { collections, window })
            })
            .collect();
        self.feed(subscribe);
        Ok(())
    }

    pub(crate) fn opened(&mut self, outgoing: mpsc::UnboundedSender<Outgoing>) {
        self.outgoing = Some(outgoing);
        self.feed([Input::Opened]);
    }

    pub(crate) fn not_opened(&mut self, why: Box<str>) {
        self.transport = why;
        self.feed([Input::Closed]);
    }

    pub(crate) fn received(&mut self, messages: Vec<Bytes>) {
        self.traffic.received += messages.iter().map(|bytes| bytes.len() as u64).sum::<u64>();
        self.feed(messages.into_iter().map(Input::Received));
    }

    pub(crate) fn command(&mut self, command: Command) {
        self.feed([Input::Command(command)]);
    }

    /// How the session ended, if it has.
    pub(crate) const fn take_ended(&mut self) -> Option<Reconnect> {
        self.ended.take()
    }

    pub(crate) const fn has_session(&self) -> bool {
        self.session.is_some()
    }

    /// Whether a connection has something to do that is not only reading.
    pub(crate) fn has_something_to_say(&self) -> bool {
        self.replica.outbox_len() > 0 || self.asked_offline
    }

    /// Whether the application decides when to connect again: it ended the connection itself, or the relay
    /// refuses it for a reason that does not pass by itself. All other waits spare the relay, and are kept.
    //= SES-93
    //= SES-98
    //= SES-99
    //= SES-100
    pub(crate) const fn waits_for_order(&self) -> bool {
        match &self.connection {
            Connection::Off | Connection::NotAuthenticated { .. } => true,
            Connection::Offline { why: Offline::Refused { code, .. }, .. } => matches!(
                *code,
                ErrorCode::VERSION_NOT_SUPPORTED
                    | ErrorCode::CAPABILITY_REQUIRED
                    | ErrorCode::LIMIT_NOT_SUPPORTED
                    | ErrorCode::FORBIDDEN
                    | ErrorCode::UNKNOWN_DATABASE
            ),
            Connection::Connecting | Connection::Online | Connection::Offline { .. } | Connection::Closed => {
                false
            }
        }
    }

    /// No connection is wanted any more.
    pub(crate) fn disconnect(&mut self) {
        (self.wanted, self.hurry) = (false, false);
        self.command(Command::Close);
        if self.session.is_none() && !self.closed {
            self.set_connection(Connection::Off);
            self.moved();
        }
    }

    /// Gives the session inputs, and does what it wants. What all of them change is one transaction, which
    /// is durable before anything is sent or told.
    pub(crate) fn feed(&mut self, inputs: impl IntoIterator<Item = Input>) {
        let now = self.now();
        let Some(session) = &mut self.session else { return };
        let (mut sends, mut events, mut ended) = (Vec::new(), Vec::new(), None);
        for input in inputs {
            session.handle(&mut self.replica, now, input);
            while let Some(output) = session.poll_output() {
                match output {
                    Output::Commit(changes) => {
                        if let Err(error) = self.store.stage(changes) {
                            return self.lose(error);
                        }
                    }
                    Output::Send(frame) => sends.push(Outgoing::Frame(frame)),
                    Output::Close(code) => {
                        sends.push(Outgoing::Close(code.map_or(1_000, ErrorCode::close_code)));
                    }
                    Output::Event(event) => events.push(event),
                    Output::Reconnect(reconnect) => ended = Some((reconnect, session.backoff())),
                }
            }
        }
        if let Err(error) = self.store.commit() {
            return self.lose(error);
        }
        for outgoing in sends {
            if let Outgoing::Frame(frame) = &outgoing {
                self.traffic.sent += frame.len() as u64;
            }
            if let Some(to) = &self.outgoing {
                // A transport that has ended says so by its other half.
                drop(to.send(outgoing));
            }
        }
        let happened = !events.is_empty();
        for event in events {
            self.hear(event, ended.map(|(reconnect, _)| reconnect));
        }
        if let Some((reconnect, backoff)) = ended {
            self.backoff = backoff;
            self.end(reconnect);
        }
        if happened || ended.is_some() {
            self.moved();
        }
    }

    fn end(&mut self, reconnect: Reconnect) {
        self.session = None;
        self.outgoing = None;
        self.ended = Some(reconnect);
        self.asked.clear();
    }

    /// The file could not be written: what is in memory is not what is in the file.
    fn lose(&mut self, error: StoreError) {
        if let Store::File(file) = &mut self.store {
            match file.load() {
                Ok(replica) => self.replica = replica,
                Err(error) => self.broken = Some(error),
            }
        }
        if self.session.is_some() {
            self.end(STORE_FAILED);
            self.set_offline(Offline::Store, STORE_FAILED);
        }
        self.tell(Event::StoreFailed(error));
        self.tell(Event::Reset);
        self.moved();
    }

    /// Any write may have another state now.
    pub(crate) fn reset(&self) {
        self.tell(Event::Reset);
    }

    /// Every waiter looks again.
    pub(crate) fn moved(&self) {
        self.version.send_modify(|version| *version = version.wrapping_add(1));
    }

    fn tell(&self, event: Event) {
        if let Some(events) = self.events.as_ref().filter(|events| events.receiver_count() > 0) {
            drop(events.send(event));
        }
    }

    fn set_connection(&mut self, connection: Connection) {
        if self.connection != connection {
            self.connection = connection.clone();
            self.tell(Event::Connection(connection));
        }
    }

    fn set_offline(&mut self, why: Offline, reconnect: Reconnect) {
        let retry_in = match reconnect {
            Reconnect::After(ms) => Some(Duration::from_millis(ms)),
            Reconnect::WhenNeeded(_) | Reconnect::OnOrder => None,
        };
        self.set_connection(Connection::Offline { why, retry_in });
    }

    /// What a session tells.
    fn hear(&mut self, event: SessionEvent, reconnect: Option<Reconnect>) {
        match event {
            SessionEvent::Active { .. } => {
                // What a connection hindered, another one may not.
                self.hindrance = self.hindrance.take().filter(|it| *it == Hindrance::Clock);
                self.set_connection(Connection::Online);
            }
            SessionEvent::LostHistory(mode) => {
                debug_assert!(matches!(mode, RestoreMode::Keep | RestoreMode::Discard));
                self.tell(Event::LostHistory(mode));
            }
            SessionEvent::NewNode(why) => self.tell(Event::NewNode(why)),
            SessionEvent::Sent(writes) => {
                self.hindrance = self.hindrance.take().filter(|it| *it != Hindrance::Later);
                self.tell(Event::Sent(writes));
            }
            SessionEvent::Durable(writes) => {
                self.hindrance = self.hindrance.take().filter(|it| *it != Hindrance::Clock);
                self.tell(Event::Durable(writes));
            }
            SessionEvent::Rejected { writes, code } => {
                if code == ErrorCode::CLOCK_TOO_FAR_AHEAD {
                    self.hindrance = Some(Hindrance::Clock);
                }
                self.tell(Event::Rejected { writes, code });
            }
            SessionEvent::RestoreRefused { write, code } => self.tell(Event::RestoreRefused { write, code }),
            SessionEvent::CannotSend { write, needs } => {
                self.hindrance = Some(Hindrance::Needs(needs));
                self.tell(Event::CannotSend { write, needs });
            }
            SessionEvent::Later(ms) => {
                self.hindrance = Some(Hindrance::Later);
                self.tell(Event::Later(Duration::from_millis(ms)));
            }
            SessionEvent::Changed(records) => self.tell(Event::Changed { records, origin: Origin::Remote }),
            SessionEvent::Dropped => self.tell(Event::Reset),
            SessionEvent::CaughtUp(collections) => {
                if let Some(subscription) = self.subscriptions.get_mut(&collections) {
                    subscription.caught_up = true;
                }
                self.tell(Event::CaughtUp(collections));
            }
            SessionEvent::SubscriptionEnded { collections, failure } => {
                if let Some(subscription) = self.subscriptions.get_mut(&collections) {
                    subscription.refused = Some(failure.clone());
                }
                self.tell(Event::SubscriptionEnded { collections, failure });
            }
            SessionEvent::Answered { ticket, answer } => self.answered(ticket, answer),
            SessionEvent::UpgradeNeeded => {
                self.hindrance = Some(Hindrance::UpgradeNeeded);
                self.tell(Event::UpgradeNeeded);
            }
            SessionEvent::Ended(end) => self.connection_ended(end, reconnect.unwrap_or(Reconnect::OnOrder)),
            // A further kind of event comes with a new version of the protocol's crate.
            _ => {}
        }
    }

    fn connection_ended(&mut self, end: End, reconnect: Reconnect) {
        let why = match end {
            End::Ordered => return self.set_connection(Connection::Off),
            End::Transport => Offline::Transport(core::mem::take(&mut self.transport)),
            End::Goodbye(reason) => Offline::Goodbye(reason),
            End::Refused { code: code @ (ErrorCode::UNAUTHENTICATED | ErrorCode::TOKEN_EXPIRED), text } => {
                return self.set_connection(Connection::NotAuthenticated { code, text });
            }
            End::Refused { code, text } => Offline::Refused { code, text },
            End::Fault(code) => Offline::Fault(code),
            End::NewNode => Offline::NewNode,
        };
        self.set_offline(why, reconnect);
    }

    // Requests.

    /// Sends a request; the answer comes where the result says.
    pub(crate) fn ask(
        &mut self,
        request: impl FnOnce(u64) -> Command,
    ) -> Result<oneshot::Receiver<Result<Answer, Failure>>, Error> {
        self.check()?;
        if self.session.is_none() {
            self.asked_offline = true;
            return Err(Error::Offline);
        }
        self.tickets += 1;
        let (to, answer) = oneshot::channel();
        self.asked.insert(self.tickets, Asked { to, rows: Vec::new() });
        self.command(request(self.tickets));
        Ok(answer)
    }

    fn answered(&mut self, ticket: u64, answer: Result<Answer, Failure>) {
        let Some(mut asked) = self.asked.remove(&ticket) else { return };
        let answer = match answer {
            Ok(Answer::Rows { at, rows, more, cursor }) => {
                asked.rows.extend(rows);
                if more {
                    self.asked.insert(ticket, asked);
                    return;
                }
                let rows = core::mem::take(&mut asked.rows);
                Ok(Answer::Rows { at, rows, more, cursor })
            }
            answer => answer,
        };
        // Who does not wait any more needs no answer.
        drop(asked.to.send(answer));
    }

    // Subscriptions.

    pub(crate) fn subscribe(&mut self, collections: CollectionSet, window: u64) {
        let new = Subscription { window, caught_up: false, refused: None };
        self.subscriptions.insert(collections.clone(), new);
        self.command(Command::Subscribe { collections, window });
        self.moved();
    }

    pub(crate) fn unsubscribe(&mut self, collections: &CollectionSet) {
        self.subscriptions.remove(collections);
        self.command(Command::Unsubscribe(collections.clone()));
        self.moved();
    }

    /// Whether every subscription has what the relay had when the connection began; an error if one was
    /// refused.
    pub(crate) fn caught_up(&self) -> Result<bool, Error> {
        if let Some(failure) = self.subscriptions.values().find_map(|it| it.refused.clone()) {
            return Err(failure.into());
        }
        let is_active = self.session.as_ref().is_some_and(|session| session.state() == State::Active);
        Ok(is_active && self.subscriptions.values().all(|it| it.caught_up))
    }

    /// Ends it: nothing is written any more, and the file is given back.
    pub(crate) fn close(&mut self) {
        self.closed = true;
        self.session = None;
        self.outgoing = None;
        self.asked.clear();
        self.set_connection(Connection::Closed);
        self.events = None;
        self.store = Store::Memory;
        self.moved();
    }

    /// Bounds the file, to see what happens when it is full.
    #[cfg(test)]
    pub(crate) fn limit_pages(&self, pages: u32) {
        if let Store::File(file) = &self.store {
            file.limit_pages(pages).unwrap();
        }
    }
}
