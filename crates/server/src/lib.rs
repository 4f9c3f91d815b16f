//! The relay server of BlazeDB Relay: WebSocket and HTTP around the relay's state machine, with its
//! databases in a folder.
//!
//! ```text
//! listen    transports: TCP, TLS, HTTP             config  auth  logins  logs  metrics
//!   http      /sync, /query, /health, /metrics; guard checks Host and Origin
//!     socket    one WebSocket: bytes in, bytes out; websocket is its protocol
//!       inbox     what waits for the hub                     peer   what waits for a socket
//!         hub       the one task that owns the relay's state
//!           stores    threads that open, write and read databases; tending what they do when idle
//!             store     the databases themselves
//! ```
//!
//! [`run`] is the whole server of the command line; [`Server`] is one that a program embeds.

mod auth;
pub mod config;
mod guard;
mod http;
mod hub;
mod inbox;
mod listen;
mod logins;
mod logs;
mod metrics;
mod peer;
mod query;
mod run;
mod socket;
pub mod store;
mod stores;
mod stream;
mod tending;
mod websocket;

use core::fmt;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;

pub use auth::{Databases, Digest, Grant, Token};
use blazedb_relay::message::Heartbeat;
use config::{Config, ConfigError, Limits};
pub use run::{Started, run};
use store::{Budget, LogStore};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::auth::Auth;
use crate::guard::Guard;
use crate::http::App;
use crate::hub::Hub;
use crate::inbox::{Inbox, Note};
use crate::listen::Listening;
use crate::logins::Logins;
use crate::metrics::Metrics;
use crate::stores::Stores;

/// For connections to end in order: the relay gives each 5 s for its acks and goodbye, and each socket 5 s
/// for what is left to send.
const ENDING: Duration = Duration::from_secs(12);

/// Why a server could not run.
#[derive(Debug)]
pub struct ServerError(String);

impl ServerError {
    fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ServerError {}

impl From<ConfigError> for ServerError {
    fn from(error: ConfigError) -> Self {
        Self(error.to_string())
    }
}

/// A relay that runs. Dropping it without [`Server::shut_down`] leaves its tasks to the runtime.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    app: Arc<App>,
    stop: watch::Sender<bool>,
    hub: JoinHandle<()>,
    listener: JoinHandle<()>,
    /// Ends when no WebSocket is left.
    alive: mpsc::Receiver<()>,
}

impl Server {
    /// Begins to serve. To be called in a runtime of tokio with its IO and time enabled.
    ///
    /// # Errors
    /// A choice cannot be followed, or the address cannot be listened on.
    pub async fn start<S: LogStore>(config: &Config, store: S) -> Result<Self, ServerError> {
        Self::start_with_clock(config, store, SystemTime::now).await
    }

    /// The same with another wall clock than the system's. It tells how long tokens are good and which
    /// timestamps are too far ahead; it may be wrong and jump. Timers do not follow it.
    ///
    /// # Errors
    /// As [`Self::start`].
    #[allow(clippy::unused_async, reason = "it has to be called in a runtime")]
    pub async fn start_with_clock<S: LogStore>(
        config: &Config,
        store: S,
        clock: impl Fn() -> SystemTime + Send + 'static,
    ) -> Result<Self, ServerError> {
        config.check()?;
        let tls = config.tls.as_ref().map(listen::tls).transpose()?;
        let bad = |error: &dyn fmt::Display| {
            ServerError(format!("listen: {} cannot be listened on: {error}", config.listen))
        };
        let listener = listen::bind(config.listen).map_err(|error| bad(&error))?;
        let address = listener.local_addr().map_err(|error| bad(&error))?;

        let metrics = Arc::new(Metrics::new());
        let inbox = Arc::new(Inbox::new(metrics.clone()));
        let auth = Auth::new(&config.tokens);
        let logins = Arc::new(Logins::new(config.limits.failed_logins_per_minute));
        let relay = relay_config(&config.limits, auth.is_open())?;
        let budget = Budget {
            time: Duration::from_secs(config.limits.query_seconds.into()),
            rows: config.limits.query_rows,
            ..Budget::default()
        };
        let choices = (config.create_databases, budget);
        let stores = Stores::new(store, choices, inbox.clone(), metrics.clone());
        let hub =
            Hub::new(relay, inbox.clone(), stores, (auth, logins.clone()), metrics.clone(), Box::new(clock));
        let (alive, all_gone) = mpsc::channel(1);
        let app = Arc::new(App {
            guard: Guard::new(&config.hosts, &config.origins),
            inbox,
            metrics,
            metrics_token: config.metrics_token,
            address_header: config.address_header()?,
            logins,
            connections: AtomicU64::new(0),
            going_down: AtomicBool::new(false),
            alive,
        });
        let (stop, stopped) = watch::channel(false);
        let before_welcome = config.limits.connections_before_welcome;
        let listening = Listening {
            listener,
            tls,
            app: app.clone(),
            router: http::router(app.clone()),
            transports: i64::try_from(before_welcome).unwrap_or(i64::MAX),
            patience: Duration::from_secs(config.limits.handshake_seconds.into()),
        };
        Ok(Self {
            address,
            app,
            stop,
            hub: tokio::spawn(hub.run()),
            listener: tokio::spawn(listen::accept(listening, stopped)),
            alive: all_gone,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends it in order: nothing more is taken, every client is told when to come back, what was taken is
    /// made durable and acknowledged, and all databases are closed.
    pub async fn shut_down(self) {
        let Self { app, stop, hub, listener, mut alive, .. } = self;
        app.going_down.store(true, Ordering::Relaxed);
        let _ = stop.send(true);
        let _ = listener.await;
        app.inbox.note(Note::Shutdown);
        if let Err(error) = hub.await {
            tracing::error!(%error, "the relay's task failed");
        }
        drop(app);
        if timeout(ENDING, alive.recv()).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
    }
}

/// The relay's choices.
fn relay_config(limits: &Limits, open: bool) -> Result<blazedb_relay::relay::Config, ServerError> {
    let random = getrandom::u64().map_err(|error| ServerError::new(format!("no randomness: {error}")))?;
    Ok(blazedb_relay::relay::Config {
        heartbeat: Heartbeat::new(limits.heartbeat_seconds.saturating_mul(1_000))
            .unwrap_or(Heartbeat::DEFAULT),
        handshake_ms: limits.handshake_seconds.saturating_mul(1_000),
        operations_per_second: limits.operations_per_second,
        connections: limits.connections,
        opening: limits.connections_before_welcome,
        // On an open relay all are one principal.
        of_one_principal: if open { limits.connections } else { limits.connections_per_principal },
        databases: limits.open_databases,
        jitter_ms: limits.reconnect_jitter_seconds.saturating_mul(1_000),
        database_idle_ms: u64::from(limits.database_idle_seconds) * 1_000,
        grease_seed: Some(random),
        ..Default::default()
    })
}
