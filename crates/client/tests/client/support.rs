//! A relay in this process behind a gate, and clients of it.

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use blazedb_relay_client::{
    Bytes, Client, Connect, Connecting, Event, Events, LocalRelay, Options, Outgoing, Transport, Uuid, Value,
};
use tokio::sync::{mpsc, watch};

/// Longer than anything here takes, also on a busy machine: it only ends what hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// What stands between a client and its relay.
#[derive(Clone, Debug)]
pub(crate) struct Gate {
    relay: LocalRelay,
    state: Arc<Mutex<State>>,
    /// Closes transports that are open.
    cut: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    /// No transport can be opened.
    down: bool,
    /// Nothing goes through, and nobody is told.
    mute: bool,
    /// Every transport ends with this many frames in both directions together.
    frames: Option<usize>,
    /// Sent to the client in front of what comes next.
    inject: Option<Bytes>,
    tries: usize,
}

impl Gate {
    pub(crate) fn new(relay: &LocalRelay) -> Self {
        Self { relay: relay.clone(), state: Arc::default(), cut: watch::channel(0).0 }
    }

    /// The relay cannot be reached any more, and what was open breaks.
    pub(crate) fn close(&self) {
        self.state.lock().unwrap().down = true;
        self.cut.send_modify(|cut| *cut += 1);
    }

    pub(crate) fn open(&self) {
        *self.state.lock().unwrap() = State::default();
    }

    /// Nothing goes through any more, and nobody is told.
    pub(crate) fn mute(&self) {
        self.state.lock().unwrap().mute = true;
    }

    /// The next transport breaks after this many frames, and no other can be opened.
    pub(crate) fn break_after(&self, frames: usize) {
        self.state.lock().unwrap().frames = Some(frames);
    }

    /// The client gets this frame in front of the next one, and nothing after that.
    pub(crate) fn inject(&self, frame: Bytes) {
        self.state.lock().unwrap().inject = Some(frame);
    }

    /// How often a client tried to connect.
    pub(crate) fn tries(&self) -> usize {
        self.state.lock().unwrap().tries
    }

    /// Whether a frame goes through.
    fn lets_through(&self) -> Passing {
        let mut state = self.state.lock().unwrap();
        match state.frames.as_mut() {
            Some(0) => {
                state.down = true;
                return Passing::Broken;
            }
            Some(left) => *left -= 1,
            None => {}
        }
        if state.mute { Passing::Lost } else { Passing::Through }
    }
}

#[derive(PartialEq)]
enum Passing {
    Through,
    Lost,
    Broken,
}

impl Connect for Gate {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(async {
            {
                let mut state = self.state.lock().unwrap();
                state.tries += 1;
                if state.down {
                    return Err("the network is down".into());
                }
            }
            let Transport { outgoing: to_relay, incoming: mut from_relay } = self.relay.connect().await?;
            let (outgoing, mut from_client) = mpsc::unbounded_channel();
            let (to_client, incoming) = mpsc::channel(1);
            let gate = self.clone();
            let mut cut = self.cut.subscribe();
            tokio::spawn(async move {
                loop {
                    tokio::select! {
                        Some(frame) = from_client.recv() => {
                            if matches!(frame, Outgoing::Close(_)) {
                                return;
                            }
                            match gate.lets_through() {
                                Passing::Through => drop(to_relay.send(frame)),
                                Passing::Lost => {}
                                Passing::Broken => return,
                            }
                        }
                        Some(bytes) = from_relay.recv() => {
                            let injected = gate.state.lock().unwrap().inject.take();
                            if let Some(frame) = injected {
                                drop(to_client.send(frame).await);
                                return;
                            }
                            match gate.lets_through() {
                                Passing::Through => drop(to_client.send(bytes).await),
                                Passing::Lost => {}
                                Passing::Broken => return,
                            }
                        }
                        _ = cut.changed() => return,
                        else => return,
                    }
                }
            });
            Ok(Transport { outgoing, incoming })
        })
    }
}

/// Waits until something is as it should be.
pub(crate) async fn until(client: &Client, what: impl Fn(&Client) -> bool) {
    let mut version = client.watch();
    let waiting = async {
        while !what(client) {
            version.changed().await.unwrap();
        }
    };
    let waited = tokio::time::timeout(PATIENCE, waiting).await;
    waited.unwrap_or_else(|_| panic!("{:?}", client.status()));
}

/// The next event that is wanted.
pub(crate) async fn event<T>(events: &mut Events, wanted: impl Fn(&Event) -> Option<T>) -> T {
    let waiting = async {
        loop {
            let event = events.next().await.expect("the client is closed");
            if let Some(found) = wanted(&event) {
                return found;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("no such event")
}

pub(crate) async fn memory(relay: impl Connect + 'static) -> Client {
    Client::open(Options::new("app").unwrap().relay(relay).subscribe_all()).await.unwrap()
}

pub(crate) async fn in_file(path: &Path, relay: impl Connect + 'static) -> Client {
    Client::open(Options::new("app").unwrap().file(path).relay(relay).subscribe_all()).await.unwrap()
}

/// A client without a relay.
pub(crate) async fn alone(path: &Path) -> Client {
    Client::open(Options::new("app").unwrap().file(path)).await.unwrap()
}

/// Adds a bug, and gives its id.
pub(crate) async fn bug(client: &Client, title: &str) -> Uuid {
    client.insert("bugs", &[("title", title.into()), ("priority", 5.into())]).await.unwrap()
}

/// The titles of all bugs, ascending.
pub(crate) fn titles(client: &Client) -> Vec<String> {
    let records = client.records("bugs");
    let titles = records.iter().filter_map(|(_, fields)| match fields.get("title") {
        Some(Value::String(text)) => Some(text.to_string()),
        _ => None,
    });
    let mut titles: Vec<_> = titles.collect();
    titles.sort();
    titles
}

/// Copies a file with its log: as after a kill, or by somebody.
pub(crate) fn copy(from: &Path, to: &Path) {
    for suffix in ["", "-wal"] {
        let name = |path: &Path| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let _ = std::fs::remove_file(name(to));
        if name(from).exists() {
            std::fs::copy(name(from), name(to)).unwrap();
        }
    }
}
