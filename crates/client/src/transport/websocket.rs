//! WebSocket, with TLS for `wss:` (SPEC.md 15.1).

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use bytes::BytesMut;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::{CertificateDer, InvalidDnsNameError, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Request, Uri};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Message, WebSocketConfig};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::{Connect, Connecting, Outgoing, Transport};

/// The subprotocol (SPEC.md 15.1).
const PROTOCOL: &str = "blazedb-relay.v1";
/// How long the last frames may take to go.
const LINGER: Duration = Duration::from_secs(5);
/// Messages that wait for the session.
const WAITING: usize = 16;
/// Most bytes of a message: several largest frames. A relay may put more than one into a message.
const MAX_MESSAGE: usize = 16 << 20;
/// Frames are put together into messages of about so many bytes.
const MESSAGE: usize = 64 << 10;

/// A relay at a URL, as `wss://relay.example.org/sync`.
#[derive(Clone)]
pub struct WebSocket {
    request: Request<()>,
    host: String,
    port: u16,
    tls: Option<Arc<ClientConfig>>,
}

/// A URL that names no relay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlError(Box<str>);

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; a relay's URL looks like wss://relay.example.org/sync", self.0)
    }
}

impl core::error::Error for UrlError {}

impl WebSocket {
    /// The relay at `url`, which begins with `ws:` or `wss:`. Without a path, `/sync` is meant. With
    /// `wss:`, the system's certificate authorities are trusted.
    ///
    /// # Errors
    /// It is no such URL, or the system's certificate authorities cannot be read.
    pub fn new(url: &str) -> Result<Self, UrlError> {
        Self::build(url, || {
            let found = rustls_native_certs::load_native_certs();
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(found.certs);
            match (roots.is_empty(), found.errors.first()) {
                (true, Some(error)) => Err(UrlError(format!("no certificate authorities: {error}").into())),
                _ => Ok(roots),
            }
        })
    }

    /// The relay at `url`, which begins with `wss:` and has a certificate that one of `authorities`, in
    /// DER, has signed; no others are trusted.
    ///
    /// # Errors
    /// It is no such URL, or what was given is no certificate.
    pub fn with_authorities(url: &str, authorities: &[Vec<u8>]) -> Result<Self, UrlError> {
        Self::build(url, || {
            let mut roots = RootCertStore::empty();
            for der in authorities {
                let added = roots.add(CertificateDer::from(der.as_slice()));
                added.map_err(|error| UrlError(format!("no certificate: {error}").into()))?;
            }
            Ok(roots)
        })
    }

    fn build(url: &str, roots: impl FnOnce() -> Result<RootCertStore, UrlError>) -> Result<Self, UrlError> {
        let wrong = |what: &dyn fmt::Display| UrlError(format!("{url:?}: {what}").into());
        let uri: Uri = url.parse().map_err(|error| wrong(&error))?;
        let is_tls = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => return Err(wrong(&"it begins with neither ws: nor wss:")),
        };
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong(&"it names no host"))?;
        let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let url = match uri.path() {
            "" | "/" => {
                let authority = uri.authority().map_or("", |authority| authority.as_str());
                format!("{}://{authority}/sync", uri.scheme_str().unwrap_or("ws"))
            }
            _ => url.to_owned(),
        };
        let mut request = url.as_str().into_client_request().map_err(|error| wrong(&error))?;
        //= TRN-1
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOL));
        let tls = if is_tls {
            let _: &ServerName<'_> = &server_name(&host).map_err(|error| wrong(&error))?;
            let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
            let config = ClientConfig::builder_with_provider(provider)
                .with_safe_default_protocol_versions()
                .map_err(|error| wrong(&error))?
                .with_root_certificates(roots()?)
                .with_no_client_auth();
            Some(Arc::new(config))
        } else {
            None
        };
        Ok(Self { request, host, port, tls })
    }

    async fn open(&self) -> Result<Transport, Box<str>> {
        let fault = |error: &dyn fmt::Display| Box::from(error.to_string());
        let stream =
            TcpStream::connect((self.host.as_str(), self.port)).await.map_err(|error| fault(&error))?;
        stream.set_nodelay(true).map_err(|error| fault(&error))?;
        match &self.tls {
            None => self.upgrade(stream).await,
            Some(config) => {
                let name = server_name(&self.host).map_err(|error| fault(&error))?;
                let stream = TlsConnector::from(Arc::clone(config)).connect(name, stream).await;
                self.upgrade(stream.map_err(|error| fault(&error))?).await
            }
        }
    }

    async fn upgrade<S>(&self, stream: S) -> Result<Transport, Box<str>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE))
            .write_buffer_size(0)
            .max_write_buffer_size(usize::MAX);
        let upgraded = client_async_with_config(self.request.clone(), stream, Some(config)).await;
        let (socket, response) = upgraded.map_err(|error| Box::from(error.to_string()))?;
        if response.headers().get("sec-websocket-protocol").map(HeaderValue::as_bytes)
            != Some(PROTOCOL.as_bytes())
        {
            return Err("the server does not speak the relay's protocol".into());
        }
        Ok(pump(socket))
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, InvalidDnsNameError> {
    ServerName::try_from(host.to_owned())
}

/// Moves messages between a socket and the two queues of a transport.
fn pump<S>(socket: WebSocketStream<S>) -> Transport
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sink, mut stream) = socket.split();
    let (outgoing, mut to_send) = mpsc::unbounded_channel();
    let (received, incoming) = mpsc::channel(WAITING);
    let writer = tokio::spawn(async move {
        let mut next = to_send.recv().await;
        while let Some(outgoing) = next {
            let (message, after) = together(outgoing, &mut to_send);
            if sink.send(message).await.is_err() {
                return;
            }
            next = match after {
                Some(after) => Some(after),
                None => to_send.recv().await,
            };
        }
        // The session has ended; the close frame was sent, or the transport is broken.
        let _ = sink.close().await;
    });
    tokio::spawn(async move {
        loop {
            let message = tokio::select! {
                message = stream.next() => message,
                () = received.closed() => None,
            };
            let bytes = match message {
                Some(Ok(Message::Binary(bytes))) => bytes,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => continue,
                // A relay sends no text (TRN-2).
                Some(Ok(Message::Text(_) | Message::Close(_) | Message::Frame(_)) | Err(_)) | None => break,
            };
            if received.send(bytes).await.is_err() {
                break;
            }
        }
        drop(received);
        // What was sent last may still go, but nobody waits for it for ever.
        let abort = writer.abort_handle();
        if timeout(LINGER, writer).await.is_err() {
            abort.abort();
        }
    });
    Transport { outgoing, incoming }
}

/// A message with the frames that wait, as far as they are small; and what comes after it.
fn together(first: Outgoing, more: &mut mpsc::UnboundedReceiver<Outgoing>) -> (Message, Option<Outgoing>) {
    let frame = match first {
        Outgoing::Close(code) => {
            let close = CloseFrame { code: CloseCode::from(code), reason: "".into() };
            return (Message::Close(Some(close)), None);
        }
        Outgoing::Frame(frame) => frame,
    };
    if frame.len() >= MESSAGE {
        return (Message::Binary(frame), None);
    }
    let mut message: Option<BytesMut> = None;
    loop {
        match more.try_recv() {
            Ok(Outgoing::Frame(next))
                if message.as_ref().map_or(frame.len(), BytesMut::len) + next.len() <= MESSAGE =>
            {
                let message = message.get_or_insert_with(|| BytesMut::from(frame.as_ref()));
                message.extend_from_slice(&next);
            }
            other => {
                let bytes = message.map_or(frame, BytesMut::freeze);
                return (Message::Binary(bytes), other.ok());
            }
        }
    }
}

impl Connect for WebSocket {
    fn connect(&self) -> Connecting<'_> {
        Box::pin(self.open())
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WebSocket({})", self.request.uri())
    }
}
