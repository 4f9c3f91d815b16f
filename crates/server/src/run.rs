//! The whole server of the command line, from its configuration to its end.

use core::fmt;
use core::net::SocketAddr;
use std::path::PathBuf;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Config;
use crate::store::LogStore;
use crate::{Server, ServerError, logs};

/// Threads for calls that wait for a disk, besides one for each database.
const BLOCKING: usize = 16;

/// What is said when a server has begun.
#[derive(Clone, Debug)]
pub struct Started {
    /// Where it listens.
    pub address: SocketAddr,
    /// Whether it speaks TLS.
    pub tls: bool,
    /// Where its databases are.
    pub data: PathBuf,
    /// Whether anyone on this machine may read and write everything.
    pub open: bool,
}

impl fmt::Display for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        writeln!(f, "Listening on {scheme}://{}/sync", self.address)?;
        writeln!(f, "Databases are in {}", self.data.display())?;
        if self.open {
            writeln!(f, "Open: whoever is on this machine may read and write everything; see [[tokens]]")?;
        } else {
            writeln!(f, "Clients need a token")?;
        }
        write!(f, "Ctrl-C ends it in order")
    }
}

/// Serves until the process is told to end. `started` is called when clients can connect.
///
/// # Errors
/// It could not begin.
pub fn run<S: LogStore>(
    config: &Config,
    store: S,
    started: impl FnOnce(&Started),
) -> Result<(), ServerError> {
    logs::start(&config.log, config.log_format);
    raise_open_files(config.limits.connections);
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING)
        .build()
        .map_err(|error| ServerError::new(format!("the runtime did not start: {error}")))?;
    runtime.block_on(async {
        let no_signals = |error| ServerError::new(format!("signals cannot be received: {error}"));
        let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
        let server = Server::start(config, store).await?;
        started(&Started {
            address: server.address(),
            tls: config.tls.is_some(),
            data: config.data.clone(),
            open: config.tokens.is_empty(),
        });
        if config.tls.is_none() && !server.address().ip().is_loopback() {
            tracing::warn!(
                "tokens and data cross the network unencrypted: set tls, or put a proxy before it"
            );
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("going down; once more ends it at once");
        tokio::select! {
            () = server.shut_down() => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Ok(())
    })
}

/// A connection is a file to the system, which gives a process few by default.
fn raise_open_files(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files could not be raised");
        }
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    if files < connections as u64 {
        tracing::warn!(
            files,
            connections,
            "the system's limit of open files is below limits.connections; raise it (ulimit -n, LimitNOFILE)"
        );
    }
}
