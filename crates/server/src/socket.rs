//! One WebSocket: moves bytes between its transport and the hub, and nothing else.
//!
//! An idle one holds no buffer. What is read goes through a buffer of the thread, and out of it frames are
//! copied to where they stay; what is sent is gathered from the buffers that all readers of a block share.

use core::cell::RefCell;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;
use std::time::Instant;

use blazedb_relay::frame::Phase;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::inbox::{Inbox, Note};
use crate::metrics::Metrics;
use crate::peer::Peer;
use crate::websocket::{Item, Receiver, SendHead, Violation, close_frame};

/// Bytes of one reading: large pushes come with few calls, and it stays in a core's nearest caches.
const READING: usize = 64 * 1_024;
/// Readings at once, so that one peer that never stops keeps no other waiting.
const READINGS: usize = 8;
/// Bytes of one message with several frames; a larger frame goes alone. Small next to what any WebSocket
/// library takes, and large next to what a message costs.
const MESSAGE: usize = 64 * 1_024;
/// Slices of one call. Linux takes 1,024; behind some dozens nothing is gained.
const SLICES: usize = 64;
/// For what is left to send when the relay ends a connection, and for the peer to close in turn.
const CLOSING: Duration = Duration::from_secs(5);
/// Parts of a frame are signs of life; saying so once in this time is enough for a timer of seconds.
const SIGN_OF_LIFE: Duration = Duration::from_millis(500);

thread_local! {
    static BUFFER: RefCell<Box<[u8]>> = RefCell::new(vec![0; READING].into_boxed_slice());
}

/// The task of one connection, from its upgrade to its end.
#[derive(Debug)]
pub(crate) struct Socket<S> {
    stream: S,
    shared: Shared,
    /// What came together with the upgrade.
    early: Bytes,
    receiver: Receiver,
    sending: Sending,
    pong: Option<Box<[u8]>>,
    closing: Closing,
    /// Whether the peer has closed too: then nothing more comes.
    peer_closed: bool,
    deadline: Option<Pin<Box<Sleep>>>,
    /// When the hub last heard of bytes.
    heard: Instant,
}

/// What a socket needs besides its transport.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub(crate) peer: Arc<Peer>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) metrics: Arc<Metrics>,
}

/// How far the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    No,
    /// A close frame with that code goes out when the message under way is whole.
    Wanted(u16),
    /// It is the last thing under way.
    Sending,
    /// It was sent. What still comes is thrown away until the peer closes: if the transport were closed
    /// before, the peer's system could throw away what was sent last.
    Sent,
}

/// What is on its way to the transport.
#[derive(Debug, Default)]
struct Sending {
    /// The rest of a WebSocket head or of a close frame.
    head: [u8; 10],
    head_at: u8,
    head_len: u8,
    parts: VecDeque<Bytes>,
    /// Whether the parts are frames, of which the hub is told.
    counted: bool,
    /// Whether the transport was told to send what it has.
    flushed: bool,
}

impl Sending {
    fn is_empty(&self) -> bool {
        self.head_at == self.head_len && self.parts.is_empty()
    }

    fn begin(&mut self, head: &[u8], counted: bool) {
        let len = head.len().min(self.head.len());
        self.head[..len].copy_from_slice(&head[..len]);
        self.head_at = 0;
        #[allow(clippy::cast_possible_truncation, reason = "at most 10")]
        let len = len as u8;
        self.head_len = len;
        self.counted = counted;
        self.flushed = false;
    }

    /// The transport took `bytes`: gives how many of them belong to frames.
    fn advance(&mut self, bytes: usize) -> usize {
        let of_head = bytes.min(usize::from(self.head_len - self.head_at));
        #[allow(clippy::cast_possible_truncation, reason = "at most 10")]
        let head_at = self.head_at + of_head as u8;
        self.head_at = head_at;
        let mut left = bytes - of_head;
        while let Some(part) = self.parts.front_mut() {
            if left < part.len() {
                part.advance(left);
                break;
            }
            left -= part.len();
            self.parts.pop_front();
        }
        if self.parts.is_empty() {
            self.parts = VecDeque::new();
        }
        if self.counted { bytes - of_head } else { 0 }
    }

    fn poll_write<S: AsyncWrite + Unpin>(
        &self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let head = self.head.get(usize::from(self.head_at)..usize::from(self.head_len)).unwrap_or_default();
        let mut slices = [IoSlice::new(&[]); SLICES];
        let parts = self.parts.iter().map(|part| &**part);
        let mut used = 0;
        let filled = [head].into_iter().filter(|head| !head.is_empty()).chain(parts);
        for (slice, bytes) in slices.iter_mut().zip(filled) {
            *slice = IoSlice::new(bytes);
            used += 1;
        }
        Pin::new(stream).poll_write_vectored(cx, slices.get(..used).unwrap_or_default())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// A WebSocket whose upgrade is done. The hub hears of it here.
    pub(crate) fn new(stream: S, early: Bytes, shared: Shared) -> Self {
        shared.metrics.connections.add(1);
        shared.metrics.connections_total.add(1);
        shared.inbox.note(Note::Opened(shared.peer.clone()));
        Self {
            stream,
            shared,
            // Also where nothing came it holds on to the buffer that the upgrade was read with.
            early: if early.is_empty() { Bytes::new() } else { early },
            receiver: Receiver::default(),
            sending: Sending::default(),
            pong: None,
            closing: Closing::No,
            peer_closed: false,
            deadline: None,
            heard: Instant::now(),
        }
    }

    /// Ready when the connection is over.
    fn poll_io(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let closing = self.closing;
            if self.poll_receive(cx)?.is_ready() {
                return Poll::Ready(Ok(()));
            }
            if self.poll_send(cx)?.is_ready() {
                return Poll::Ready(Ok(()));
            }
            if self.closing == Closing::Sent && self.peer_closed {
                return Poll::Ready(Ok(()));
            }
            if closing == self.closing {
                break;
            }
        }
        if self.closing != Closing::No || self.shared.peer.watch(cx).is_some() {
            let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(CLOSING)));
            return deadline.as_mut().poll(cx).map(Ok);
        }
        Poll::Pending
    }

    /// Reads until there is nothing, or what was read has to be handled first. Ready at the peer's end.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        for _ in 0..READINGS {
            let open = self.closing == Closing::No;
            if open {
                self.shared.peer.watch(cx);
                if self.shared.peer.is_paused() {
                    return Poll::Pending;
                }
                ready!(self.shared.inbox.poll_room(cx));
            }
            if !self.early.is_empty() {
                let early = core::mem::take(&mut self.early);
                self.take(&early);
                continue;
            }
            let ended = BUFFER.with_borrow_mut(|buffer| {
                let mut buffer = ReadBuf::new(buffer);
                ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
                let read = buffer.filled();
                self.shared.metrics.received_bytes.add(read.len() as u64);
                if open {
                    self.take(read);
                } else {
                    self.wait_for_close(read);
                }
                Poll::Ready(io::Result::Ok(read.is_empty()))
            });
            if ready!(ended)? {
                return Poll::Ready(Ok(()));
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Takes what came.
    fn take(&mut self, mut bytes: &[u8]) {
        let now = Instant::now();
        let conn = self.shared.peer.conn;
        let phase = if self.shared.peer.is_welcomed() { Phase::Session } else { Phase::Handshake };
        let mut frames = false;
        while self.closing == Closing::No {
            match self.receiver.next(&mut bytes, phase) {
                Ok(Some(Item::Frame(frame))) => {
                    frames = true;
                    self.shared.inbox.note(Note::Received(conn, frame, now));
                }
                Ok(Some(Item::Ping(payload))) => self.pong = Some(payload),
                Ok(Some(Item::Closed)) => {
                    self.peer_closed = true;
                    self.close(1_000);
                }
                Ok(None) => break,
                Err(Violation(code)) => {
                    self.shared.metrics.websocket_violations.add(1);
                    tracing::debug!(conn = conn.0, code, "the peer broke the WebSocket protocol");
                    self.close(code);
                }
            }
        }
        //= SES-8
        if !frames && now.duration_since(self.heard) >= SIGN_OF_LIFE {
            frames = true;
            self.shared.inbox.note(Note::Received(conn, Bytes::new(), now));
        }
        if frames {
            self.heard = now;
        }
    }

    /// Looks for nothing but the peer's close frame. Of who broke the protocol nothing is looked at.
    fn wait_for_close(&mut self, mut bytes: &[u8]) {
        while let Ok(Some(item)) = self.receiver.next(&mut bytes, Phase::Session) {
            self.peer_closed |= item == Item::Closed;
        }
    }

    /// Closes from this end, or answers the peer's closing. Nothing more from the hub is sent.
    fn close(&mut self, code: u16) {
        self.closing = Closing::Wanted(code);
        self.shared.inbox.note(Note::Closed(self.shared.peer.conn));
    }

    /// Sends until there is nothing, or the transport takes no more. Ready if it never will again.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            while !self.sending.is_empty() {
                let Poll::Ready(written) = self.sending.poll_write(&mut self.stream, cx)? else {
                    self.shared.peer.watch(cx);
                    return Poll::Pending;
                };
                if written == 0 {
                    return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                }
                self.shared.metrics.sent_bytes.add(written as u64);
                let counted = self.sending.advance(written);
                if counted > 0 && self.shared.peer.flushed(counted) {
                    self.shared.inbox.note(Note::Flushed(self.shared.peer.clone()));
                }
            }
            match self.closing {
                Closing::Wanted(code) => {
                    self.sending.begin(&close_frame(code), false);
                    self.closing = Closing::Sending;
                    continue;
                }
                Closing::Sending => {
                    // Shutting down sends what is left first.
                    ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
                    self.closing = Closing::Sent;
                    return Poll::Pending;
                }
                Closing::Sent => return Poll::Pending,
                Closing::No => {}
            }
            if let Some(payload) = self.pong.take() {
                self.sending.begin(SendHead::pong(payload.len()).as_bytes(), false);
                if !payload.is_empty() {
                    self.sending.parts.push_back(Bytes::from(payload));
                }
                continue;
            }
            let mut bytes = 0;
            let parts = &mut self.sending.parts;
            let ending = self.shared.peer.take(cx, (MESSAGE, SLICES - 1), |frame| {
                bytes += frame.len();
                parts.push_back(frame.head);
                parts.extend(frame.blocks);
            });
            if bytes > 0 {
                self.sending.begin(SendHead::binary(bytes).as_bytes(), true);
            } else if let Some(ending) = ending {
                //= TRN-4
                self.closing = Closing::Wanted(ending.close_code());
            } else if self.sending.flushed {
                return Poll::Pending;
            } else {
                ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
                self.sending.flushed = true;
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Socket<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let ended = ready!(self.poll_io(cx));
        if let Err(error) = ended {
            tracing::debug!(conn = self.shared.peer.conn.0, %error, "a transport broke");
        }
        Poll::Ready(())
    }
}

impl<S> Drop for Socket<S> {
    fn drop(&mut self) {
        self.shared.metrics.connections.add(-1);
        self.shared.inbox.note(Note::Closed(self.shared.peer.conn));
    }
}
