//! A relay in this process, in memory: databases on one device sync through it with the same state
//! machines as through a server (SPEC.md 15.3).

mod log;

use core::time::Duration;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use blazedb_relay::registry::{Capabilities, Capability, ErrorCode};
use blazedb_relay::relay::{
    Access, Config, ConnId, DatabaseId, Framing, Input, Output, Principal, Relay, Rights,
};
use blazedb_relay::time::Time;
use blazedb_relay::wire::DatabaseName;
use bytes::{Bytes, BytesMut};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use self::log::Log;
use crate::transport::{Connect, Connecting, Outgoing, Transport};

/// Frames on their way to a client; what goes over waits in the relay.
const WAITING: usize = 64;

/// A relay in this process. Its log is in memory and ends with it: what the clients hold comes back from
/// them when they meet a new one. It trusts everybody, and answers no queries.
///
/// Handles are cheap to clone. It runs as a task of the runtime in which it was made, as long as there is
/// a handle or a connection.
#[derive(Clone, Debug)]
pub struct LocalRelay {
    to: mpsc::UnboundedSender<Heard>,
}

#[derive(Debug)]
enum Heard {
    /// A client connects.
    Opened(mpsc::Sender<Bytes>, mpsc::UnboundedReceiver<Outgoing>),
    /// A connection's task.
    Received(ConnId, Bytes),
    Flushed(ConnId, usize),
    Closed(ConnId),
}

impl LocalRelay {
    /// A relay with no databases yet. Must be called in a runtime of tokio.
    #[must_use]
    pub fn new() -> Self {
        let (to, heard) = mpsc::unbounded_channel();
        tokio::spawn(Task::new(to.downgrade()).run(heard));
        Self { to }
    }
}

impl Default for LocalRelay {
    fn default() -> Self {
        Self::new()
    }
}

impl Connect for LocalRelay {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async {
            let (outgoing, from_client) = mpsc::unbounded_channel();
            let (to_client, incoming) = mpsc::channel(WAITING);
            let opened = self.to.send(Heard::Opened(to_client, from_client));
            opened.map_err(|_| "the relay has ended")?;
            Ok(Transport { outgoing, incoming })
        })
    }
}

/// Drives the relay.
struct Task {
    relay: Relay,
    begun: Instant,
    to: mpsc::WeakUnboundedSender<Heard>,
    conns: u64,
    /// What is to be sent to each.
    open: HashMap<ConnId, mpsc::UnboundedSender<Bytes>>,
    names: BTreeMap<DatabaseId, DatabaseName>,
    logs: BTreeMap<DatabaseName, Log>,
}

impl Task {
    fn new(to: mpsc::WeakUnboundedSender<Heard>) -> Self {
        let capabilities = Capabilities::NONE.with(Capability::CRDT).with(Capability::COMPRESSION);
        Self {
            relay: Relay::new(Config { capabilities, ..Config::default() }),
            begun: Instant::now(),
            to,
            conns: 0,
            open: HashMap::new(),
            names: BTreeMap::new(),
            logs: BTreeMap::new(),
        }
    }

    async fn run(mut self, mut heard: mpsc::UnboundedReceiver<Heard>) {
        loop {
            let deadline = self.relay.poll_timeout().map(|ms| self.begun + Duration::from_millis(ms));
            let never = Instant::now() + Duration::from_secs(3_600);
            tokio::select! {
                next = heard.recv() => match next {
                    Some(next) => self.hear(next),
                    // Nobody can connect any more, and nobody is connected.
                    None => return,
                },
                () = sleep_until(deadline.unwrap_or(never)) => self.feed(Input::Timeout),
            }
        }
    }

    fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Opened(to_client, from_client) => {
                let Some(to) = self.to.upgrade() else { return };
                self.conns += 1;
                let conn = ConnId(self.conns);
                let (sending, sent) = mpsc::unbounded_channel();
                self.open.insert(conn, sending);
                tokio::spawn(carry(conn, to, (to_client, sent), from_client));
                self.feed(Input::Opened { conn, framing: Framing::Messages });
            }
            Heard::Received(conn, bytes) if self.open.contains_key(&conn) => {
                self.feed(Input::Received { conn, bytes });
            }
            Heard::Flushed(conn, bytes) if self.open.contains_key(&conn) => {
                self.feed(Input::Flushed { conn, bytes });
            }
            Heard::Closed(conn) => {
                if self.open.remove(&conn).is_some() {
                    self.feed(Input::Closed { conn });
                }
            }
            Heard::Received(..) | Heard::Flushed(..) => {}
        }
    }

    fn feed(&mut self, input: Input) {
        let mut next = Some(input);
        let mut answers = std::collections::VecDeque::new();
        while let Some(input) = next {
            let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
            let now = Time { monotonic_ms: ms(self.begun.elapsed()), unix_ms: ms(unix) };
            self.relay.handle(now, input);
            while let Some(output) = self.relay.poll_output() {
                answers.extend(self.perform(output));
            }
            next = answers.pop_front();
        }
    }

    /// Does what the relay wants, and gives the answer if there is one.
    fn perform(&mut self, output: Output) -> Option<Input> {
        match output {
            Output::Send { conn, head, blocks } => {
                let mut frame = BytesMut::from(head.as_ref());
                blocks.iter().for_each(|block| frame.extend_from_slice(block));
                // A connection that has ended says so.
                drop(self.open.get(&conn)?.send(frame.freeze()));
                None
            }
            Output::Close { conn, .. } => {
                self.open.remove(&conn);
                None
            }
            // What a client may send is bounded by its windows; nothing else comes.
            Output::PauseReading { .. } | Output::ResumeReading { .. } => None,
            Output::Authorize { ticket, .. } => {
                let rights = Arc::new(Rights::new(Access::ALL));
                let principal = Principal::new("local");
                Some(Input::Authorized { ticket, principal, rights, valid_until_ms: None })
            }
            Output::OpenDatabase { ticket, database, name } => {
                let log = self.logs.entry(name.clone()).or_default();
                self.names.insert(database, name);
                Some(match log.mint() {
                    Some(_) => Input::DatabaseOpened { ticket, head: log.head(), epochs: log.epochs() },
                    None => Input::Failed { ticket, code: ErrorCode::STORE_UNAVAILABLE },
                })
            }
            Output::CloseDatabase { database } => {
                self.names.remove(&database);
                None
            }
            Output::LoadNode { ticket, database, node, key, .. } => {
                self.log(database).map(|log| Input::NodeLoaded { ticket, claim: log.claim(node, key) })
            }
            Output::Append { ticket, database, nodes } => {
                self.log(database).map(|log| match log.append(&nodes) {
                    Some(first_seq) => Input::Appended { ticket, first_seq },
                    None => Input::Failed { ticket, code: ErrorCode::STORE_UNAVAILABLE },
                })
            }
            Output::Read { ticket, database, after, max_bytes } => {
                self.log(database).map(|log| Input::BlocksRead { ticket, blocks: log.read(after, max_bytes) })
            }
            Output::MintEpoch { ticket, database } => self.log(database).map(|log| match log.mint() {
                Some(epoch) => Input::EpochMinted { ticket, epoch },
                None => Input::Failed { ticket, code: ErrorCode::STORE_UNAVAILABLE },
            }),
            // Not offered.
            Output::RunQuery { ticket, .. } => Some(Input::Failed { ticket, code: ErrorCode::QUERY_FAILED }),
            Output::CountState { ticket, database } => {
                self.log(database).map(|log| Input::StateCounted { ticket, counts: log.counts() })
            }
        }
    }

    fn log(&mut self, database: DatabaseId) -> Option<&mut Log> {
        self.logs.get_mut(self.names.get(&database)?)
    }
}

/// Carries frames between a client and the relay until one of them ends it.
async fn carry(
    conn: ConnId,
    to: mpsc::UnboundedSender<Heard>,
    (to_client, mut sent): (mpsc::Sender<Bytes>, mpsc::UnboundedReceiver<Bytes>),
    mut from_client: mpsc::UnboundedReceiver<Outgoing>,
) {
    let sending = async {
        while let Some(frame) = sent.recv().await {
            let bytes = frame.len();
            if to_client.send(frame).await.is_err() || to.send(Heard::Flushed(conn, bytes)).is_err() {
                return;
            }
        }
    };
    let receiving = async {
        while let Some(Outgoing::Frame(bytes)) = from_client.recv().await {
            if to.send(Heard::Received(conn, bytes)).is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = sending => {}
        () = receiving => {}
    }
    drop(to.send(Heard::Closed(conn)));
}
