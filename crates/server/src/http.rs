//! What is asked over HTTP: the upgrade to a WebSocket, a query, and how the relay is doing.

use core::convert::Infallible;
use core::fmt::Write as _;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Extension, Request, State};
use axum::http::header::{
    AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, RETRY_AFTER, SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use blazedb_relay::relay::ConnId;
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::sync::mpsc;
use tower_service::Service as _;

use crate::auth::{Digest, same_secret};
use crate::guard::{Guard, Refusal};
use crate::inbox::Inbox;
use crate::logins::{Logins, Source};
use crate::logs::Hostile;
use crate::metrics::Metrics;
use crate::peer::Peer;
use crate::query::query;
use crate::socket::{Shared, Socket};
use crate::stream::Stream;
use crate::websocket::{accept, is_key};

/// The subprotocol (SPEC.md 15.1).
const SUBPROTOCOL: &str = "blazedb-relay.v1";
/// Databases that `/health` names.
const NAMED_DATABASES: usize = 100;

/// What all requests share.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) guard: Guard,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) metrics_token: Option<Digest>,
    /// In which a proxy says whom it forwards for.
    pub(crate) address_header: Option<HeaderName>,
    pub(crate) logins: Arc<Logins>,
    pub(crate) connections: AtomicU64,
    pub(crate) going_down: AtomicBool,
    /// Held by every WebSocket: when all are gone, the receiver knows.
    pub(crate) alive: mpsc::Sender<()>,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Remote(SocketAddr);

/// Answers one client's requests.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    app: Arc<App>,
    router: Router,
    remote: SocketAddr,
}

/// All that can be asked.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/sync", get(sync))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/query", post(query))
        .fallback(|| async {
            (StatusCode::NOT_FOUND, "There are /sync, /query, /health and /metrics here.\n")
        })
        .with_state(app)
}

impl Client {
    pub(crate) const fn new(app: Arc<App>, router: Router, remote: SocketAddr) -> Self {
        Self { app, router, remote }
    }
}

impl hyper::service::Service<hyper::Request<Incoming>> for Client {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: hyper::Request<Incoming>) -> Self::Future {
        if let Err(refusal) = self.app.guard.check(request.uri(), request.headers()) {
            let (header, counter) = match refusal {
                Refusal::Host => ("host", &self.app.metrics.refused_host),
                Refusal::Origin => ("origin", &self.app.metrics.refused_origin),
            };
            counter.add(1);
            let value = request.headers().get(header).map_or(&b""[..], HeaderValue::as_bytes);
            tracing::warn!(remote = %self.remote, header, value = %Hostile(value), "refused a request");
            let response = (StatusCode::FORBIDDEN, refusal.text()).into_response();
            return Box::pin(async { Ok(response) });
        }
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Remote(self.remote));
        let mut router = self.router.clone();
        Box::pin(async move { router.call(request).await })
    }
}

/// `GET /sync`: becomes a WebSocket.
async fn sync(
    State(app): State<Arc<App>>,
    Extension(Remote(remote)): Extension<Remote>,
    mut request: Request,
) -> Response {
    let key = match check_upgrade(request.headers()) {
        Ok(key) => key,
        Err((status, text)) => {
            app.metrics.refused_upgrade.add(1);
            tracing::debug!(%remote, text, "refused an upgrade");
            let version = (SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
            return (status, [version], text).into_response();
        }
    };
    if app.going_down.load(Ordering::Relaxed) {
        return (StatusCode::SERVICE_UNAVAILABLE, "This relay is going down.\n").into_response();
    }
    let Some(upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        return (StatusCode::UPGRADE_REQUIRED, "This connection cannot be upgraded.\n").into_response();
    };
    let conn = ConnId(app.connections.fetch_add(1, Ordering::Relaxed));
    tracing::debug!(conn = conn.0, %remote, "a WebSocket");
    let peer = Arc::new(Peer::new(conn, source(&app, remote, request.headers())));
    tokio::spawn(open(upgrade, peer, app));
    let headers: [(HeaderName, HeaderValue); 4] = [
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_ACCEPT, key),
        (SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL)),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
}

/// What the key is answered with, if that is a request for a WebSocket of this protocol.
fn check_upgrade(headers: &HeaderMap) -> Result<HeaderValue, (StatusCode, &'static str)> {
    let text = "This is a WebSocket; connect with a client of BlazeDB Relay.\n";
    if !has(headers, &CONNECTION, "upgrade") || !has(headers, &UPGRADE, "websocket") {
        return Err((StatusCode::UPGRADE_REQUIRED, text));
    }
    if !has(headers, &SEC_WEBSOCKET_VERSION, "13") {
        return Err((StatusCode::UPGRADE_REQUIRED, "Only version 13 of WebSocket is spoken here.\n"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).map(HeaderValue::as_bytes).filter(|key| is_key(key));
    let key = key.and_then(|key| HeaderValue::try_from(accept(key)).ok());
    let key = key.ok_or((StatusCode::BAD_REQUEST, "Sec-WebSocket-Key has to be 16 bytes in base64.\n"))?;
    //= TRN-1
    if !has(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        let text = "The WebSocket subprotocol blazedb-relay.v1 has to be offered.\n";
        return Err((StatusCode::BAD_REQUEST, text));
    }
    Ok(key)
}

/// Whether a header's list holds that word.
fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|item| item.trim().eq_ignore_ascii_case(word))
}

/// Waits until the answer to the upgrade has gone, and runs the WebSocket.
async fn open(upgrade: OnUpgrade, peer: Arc<Peer>, app: Arc<App>) {
    let parts = match upgrade.await {
        Ok(upgraded) => upgraded.downcast::<TokioIo<Stream>>(),
        Err(error) => return tracing::debug!(conn = peer.conn.0, %error, "an upgrade failed"),
    };
    let Ok(parts) = parts else { return tracing::error!("an upgrade gave another transport") };
    let shared = Shared { peer, inbox: app.inbox.clone(), metrics: app.metrics.clone() };
    let _alive = app.alive.clone();
    drop(app);
    Socket::new(parts.io.into_inner(), parts.read_buf, shared).await;
}

/// `GET /health`: whether clients are served.
async fn health(
    State(app): State<Arc<App>>,
    Extension(remote): Extension<Remote>,
    request: Request,
) -> Response {
    let going_down = app.going_down.load(Ordering::Relaxed);
    let databases = app.metrics.databases();
    let unopened = app.metrics.unopened();
    let failing = databases.values().filter(|status| status.failing).count() + unopened.len();
    let (code, status) = if going_down {
        (StatusCode::SERVICE_UNAVAILABLE, "going down")
    } else if failing > 0 {
        (StatusCode::OK, "failing")
    } else {
        (StatusCode::OK, "ok")
    };
    let mut body = format!(
        "{{\"status\":\"{status}\",\"version\":\"{}\",\"uptime_seconds\":{},\"connections\":{},\
         \"databases\":{{\"open\":{},\"failing\":{failing}}}",
        env!("CARGO_PKG_VERSION"),
        app.metrics.started.elapsed().as_secs(),
        app.metrics.connections.get(),
        databases.len(),
    );
    // Names of databases are for who runs the relay.
    if may_look(&app, remote, request.headers()).unwrap_or(false) {
        body.push_str(",\"stores\":{");
        let mut comma = "";
        for (name, status) in databases.iter().take(NAMED_DATABASES) {
            let state = if status.failing { "failing" } else { "ok" };
            // Writing to a string does not fail; names need no escaping (MSG-10).
            let _ = write!(body, "{comma}\"{name}\":{{\"state\":\"{state}\",\"head\":{}}}", status.head);
            comma = ",";
        }
        for name in unopened {
            let _ = write!(body, "{comma}\"{name}\":{{\"state\":\"not opened\"}}");
            comma = ",";
        }
        body.push('}');
    }
    body.push_str("}\n");
    let headers = [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")];
    (code, headers, body).into_response()
}

/// `GET /metrics`: all numbers, for Prometheus.
async fn metrics(
    State(app): State<Arc<App>>,
    Extension(remote): Extension<Remote>,
    request: Request,
) -> Response {
    let looks = match may_look(&app, remote, request.headers()) {
        Ok(looks) => looks,
        Err(wait) => {
            let seconds = wait.as_millis().div_ceil(1_000).to_string();
            let text = "Too many wrong tokens came from this address. Try again after Retry-After seconds.\n";
            return (StatusCode::TOO_MANY_REQUESTS, [(RETRY_AFTER, seconds)], text).into_response();
        }
    };
    if !looks {
        let text = "Metrics are shown to this machine only. For others set `metrics_token` in the \
                    configuration, or BLAZEDB_RELAY_METRICS_TOKEN, and send it as a bearer token.\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], app.metrics.show()).into_response()
}

/// Whether a request comes from who runs the relay: with the token for it; or, if there is none, from this
/// machine and not through a proxy on it. How long to wait, if too many wrong tokens came from there.
fn may_look(app: &App, Remote(remote): Remote, headers: &HeaderMap) -> Result<bool, Duration> {
    let Some(known) = &app.metrics_token else {
        return Ok(remote.ip().is_loopback() && !is_forwarded(headers));
    };
    let shown = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().strip_prefix(b"Bearer "));
    let Some(shown) = shown else { return Ok(false) };
    //= SEC-3
    let source = source(app, remote, headers);
    app.logins.check(source).inspect_err(|_| app.metrics.logins_refused.add(1))?;
    let same = same_secret(shown, known);
    if !same {
        app.metrics.authentication_failures.add(1);
        app.logins.failed(source);
    }
    Ok(same)
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    headers.contains_key("forwarded") || headers.contains_key("x-forwarded-for")
}

/// [`source`] of a request whose address the transport has put beside it.
pub(crate) fn source_of(app: &App, parts: &axum::http::request::Parts) -> Option<Source> {
    let Remote(remote) = parts.extensions.get()?;
    source(app, *remote, &parts.headers)
}

/// Whose failed logins count together with those of this request. `None` behind a proxy on this machine of
/// which the configuration does not say how it tells its clients apart: they are not to pay for each other.
fn source(app: &App, remote: SocketAddr, headers: &HeaderMap) -> Option<Source> {
    if let Some(name) = &app.address_header {
        // The last one is the proxy's own word.
        let last = headers.get_all(name).iter().next_back().and_then(|value| value.to_str().ok());
        let last = last.and_then(|value| value.rsplit(',').next()?.trim().parse().ok());
        return Some(Source::of(last.unwrap_or_else(|| remote.ip())));
    }
    let unknown = remote.ip().is_loopback() && is_forwarded(headers);
    (!unknown).then(|| Source::of(remote.ip()))
}
