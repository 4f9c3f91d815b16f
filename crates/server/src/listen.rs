//! Takes transports: TCP, TLS on it if there is a certificate, HTTP on that.

use core::net::SocketAddr;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::config::{ConfigError, TlsFiles};
use crate::http::{App, Client};
use crate::metrics::Metrics;
use crate::stream::Stream;

/// Connections that the system keeps until they are taken: thousands come at once after a restart.
const BACKLOG: u32 = 4_096;
/// Bytes of a request's head at most.
const HEAD: usize = 16 * 1_024;
/// Before accepting is tried again when the system is out of something.
const PAUSE: Duration = Duration::from_millis(100);

/// Opens the port.
pub(crate) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // A relay that restarts takes its port again at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Reads certificate and key.
pub(crate) fn tls(files: &TlsFiles) -> Result<TlsAcceptor, ConfigError> {
    let place = |key: &str, path: &std::path::Path, error: &dyn core::fmt::Display| {
        ConfigError::new(format!("tls.{key}: {}: {error}", path.display()))
    };
    let bad_certificate = |error: &dyn core::fmt::Display| place("certificate", &files.certificate, error);
    let bad_key = |error: &dyn core::fmt::Display| place("key", &files.key, error);
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| bad_certificate(&error))?;
    if chain.is_empty() {
        return Err(bad_certificate(&"there is no certificate in PEM form in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| bad_key(&error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| bad_certificate(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| bad_key(&error))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Takes transports until `stop` says so.
pub(crate) async fn accept(listening: Listening, mut stop: watch::Receiver<bool>) {
    let Listening { listener, tls, app, router, transports, patience } = listening;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        let (stream, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of files or memory: waiting helps, and what is open goes on.
                tracing::warn!(%error, "a connection was not taken");
                sleep(PAUSE).await;
                continue;
            }
        };
        let transport = Transport::new(&app.metrics);
        if app.metrics.transports.get() > transports {
            app.metrics.turned_away.add(1);
            continue;
        }
        let client = Client::new(app.clone(), router.clone(), remote);
        tokio::spawn(serve(stream, tls.clone(), client, transport, patience));
    }
}

/// What transports come through.
pub(crate) struct Listening {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) app: Arc<App>,
    pub(crate) router: Router,
    /// Those that are not WebSockets yet, at most.
    pub(crate) transports: i64,
    /// For a TLS handshake, and for the head of a request; the same as for the relay's own handshake.
    pub(crate) patience: Duration,
}

/// Counts a transport while it is not a WebSocket.
struct Transport(Arc<Metrics>);

impl Transport {
    fn new(metrics: &Arc<Metrics>) -> Self {
        metrics.transports.add(1);
        Self(metrics.clone())
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.0.transports.add(-1);
    }
}

/// Speaks HTTP with one client, until it ends or its transport has become a WebSocket.
async fn serve(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    client: Client,
    transport: Transport,
    patience: Duration,
) {
    // Acks are small and waited for.
    if let Err(error) = stream.set_nodelay(true) {
        return tracing::debug!(%error, "a transport broke");
    }
    let stream = match tls {
        None => Stream::Plain(stream),
        Some(tls) => match timeout(patience, tls.accept(stream)).await {
            Ok(Ok(stream)) => Stream::Tls(Box::new(stream)),
            Ok(Err(error)) => {
                transport.0.tls_failures.add(1);
                return tracing::debug!(%error, "a TLS handshake failed");
            }
            Err(_) => {
                transport.0.tls_failures.add(1);
                return tracing::debug!("a TLS handshake took too long");
            }
        },
    };
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(patience).max_buf_size(HEAD);
    let served = Box::pin(http.serve_connection(TokioIo::new(stream), client).with_upgrades()).await;
    if let Err(error) = served {
        if error.is_timeout() {
            transport.0.request_timeouts.add(1);
        }
        tracing::debug!(%error, "an HTTP connection broke");
    }
    drop(transport);
}
