//! A connection over memory that asks one question.

use core::future::poll_fn;
use core::sync::atomic::Ordering;
use core::task::Poll;
use std::sync::Arc;
use std::time::Instant;

use blazedb_relay::codec::{Context, Packet};
use blazedb_relay::message::{
    Authentication, Data, DatabaseRef, Extensions, Handshake, LastNodeSeq, LimitList, List, Message, PageEnd,
    ProtocolText, QueryResponse, VersionRange,
};
use blazedb_relay::registry::{Capabilities, Capability, ErrorCode};
use blazedb_relay::relay::ConnId;
use blazedb_relay::wire::{DatabaseName, NodeId, NodeKey};
use bytes::Bytes;

use super::Failure;
use crate::http::App;
use crate::inbox::{Inbox, Note};
use crate::logins::Source;
use crate::peer::Peer;

pub(super) struct Call {
    peer: Arc<Peer>,
    inbox: Arc<Inbox>,
}

impl Drop for Call {
    fn drop(&mut self) {
        self.inbox.note(Note::Closed(self.peer.conn));
    }
}

impl Call {
    /// Connects as a node that nobody has heard of and that writes nothing, so that nothing is kept of it.
    pub(super) async fn open(
        app: &App,
        source: Option<Source>,
        database: &DatabaseName,
        token: Option<Bytes>,
    ) -> Result<Self, Failure> {
        let hello = handshake(database, token)?;
        let conn = ConnId(app.connections.fetch_add(1, Ordering::Relaxed));
        let call = Self { peer: Arc::new(Peer::new(conn, source)), inbox: app.inbox.clone() };
        call.inbox.note(Note::Opened(call.peer.clone()));
        call.send(hello.into());
        loop {
            let frame = call.next().await?;
            if let Message::Welcome(_) = decode(&frame, Capabilities::NONE)?.message() {
                return Ok(call);
            }
        }
    }

    pub(super) fn send(&self, frame: Bytes) {
        self.inbox.note(Note::Received(self.peer.conn, frame, Instant::now()));
    }

    /// Shows the next frame of the answer; false if it was the last.
    pub(super) async fn answer(&self, show: impl FnOnce(&[u8], &QueryResponse<'_>)) -> Result<bool, Failure> {
        loop {
            let frame = self.next().await?;
            if let Message::QueryResponse(response) = decode(&frame, Capabilities::ALL)?.message() {
                show(&frame, response);
                return Ok(response.end == PageEnd::More);
            }
        }
    }

    /// The next frame. An error of the relay is one here.
    async fn next(&self) -> Result<Bytes, Failure> {
        let frame = poll_fn(|cx| {
            let mut frame = None;
            let ending = self.peer.take(cx, (1, 1), |next| frame = Some(next.head));
            match (frame, ending) {
                (Some(frame), _) => Poll::Ready(Some(frame)),
                (None, Some(_)) => Poll::Ready(None),
                (None, None) => Poll::Pending,
            }
        });
        // The relay says why before it ends a connection, unless there was no connection to be had.
        let frame = frame.await.ok_or_else(|| Failure::new(ErrorCode::OVERLOADED, "try again"))?;
        if self.peer.flushed(frame.len()) {
            self.inbox.note(Note::Flushed(self.peer.clone()));
        }
        Ok(frame)
    }
}

/// Decodes a frame of this relay; one that says what went wrong is an error.
fn decode(frame: &Bytes, capabilities: Capabilities) -> Result<Packet<'_>, Failure> {
    let context = Context::session(capabilities);
    let packet = Packet::decode(frame, &context).map_err(|_| Failure::new(ErrorCode::INTERNAL_ERROR, ""))?;
    if let Message::Error(error) = packet.message() {
        return Err(Failure::new(error.code, error.text.as_str()));
    }
    if let Message::Goodbye(_) = packet.message() {
        return Err(Failure::new(ErrorCode::SHUTTING_DOWN, "try again"));
    }
    Ok(packet)
}

fn handshake(database: &DatabaseName, token: Option<Bytes>) -> Result<Vec<u8>, Failure> {
    let failed = |_| Failure::new(ErrorCode::INTERNAL_ERROR, "");
    let no_randomness = |_| Failure::new(ErrorCode::INTERNAL_ERROR, "");
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(no_randomness)?;
    let node = NodeId::new(uuid::Builder::from_random_bytes(random).into_uuid()).map_err(failed)?;
    getrandom::fill(&mut random).map_err(no_randomness)?;
    let authentication = match &token {
        Some(token) => Authentication::bearer(
            Data::new(token)
                .map_err(|_| Failure::new(ErrorCode::UNAUTHENTICATED, "the token is too long"))?,
        ),
        None => Authentication::None,
    };
    let capabilities = [Capability::CRDT, Capability::QUERY];
    let handshake = Handshake {
        protocol: ProtocolText::V1_0,
        versions: VersionRange::new(0x0100, 0x0100).map_err(failed)?,
        database: DatabaseRef::from(database),
        node,
        node_key: NodeKey(random),
        highest_given_out: LastNodeSeq::NONE,
        seen: List::new(&[]).map_err(failed)?,
        public_key: Data::EMPTY,
        capabilities: List::new(&capabilities).map_err(failed)?,
        authentication,
        limits: LimitList::new(&[]).map_err(failed)?,
        extensions: Extensions::EMPTY,
    };
    Ok(Packet::new(Message::Handshake(handshake)).map_err(failed)?.to_bytes())
}
