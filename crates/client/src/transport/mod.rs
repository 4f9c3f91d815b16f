//! What carries a connection: whole frames in both directions.

mod websocket;

use core::fmt;
use core::pin::Pin;

use bytes::Bytes;
use tokio::sync::mpsc;
pub use websocket::{UrlError, WebSocket};

/// How a client reaches a relay.
pub trait Connect: fmt::Debug + Send + Sync {
    /// Opens a transport. May be dropped before it is done.
    fn connect(&self) -> Connecting<'_>;
}

/// A transport that is being opened; an error is what to tell people.
pub type Connecting<'a> = Pin<Box<dyn Future<Output = Result<Transport, Box<str>>> + Send + 'a>>;

/// An open transport.
#[derive(Debug)]
pub struct Transport {
    /// What is to be sent, in order. The protocol's windows keep it small: what the relay has not
    /// acknowledged is at most its limit of pushed bytes. The transport ends when this is dropped.
    pub outgoing: mpsc::UnboundedSender<Outgoing>,
    /// What comes, one or more whole frames each. Ends when the transport does.
    pub incoming: mpsc::Receiver<Bytes>,
}

/// What is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// One frame.
    Frame(Bytes),
    /// Close the transport when everything is sent, with this code of WebSocket (TRN-4).
    Close(u16),
}
