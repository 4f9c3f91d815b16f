//! What waits for the hub.
//!
//! One lock and one swap give the hub all that came since its last turn. What peers send is bounded in
//! bytes: beyond that no socket reads, and TCP tells the peers. Answers of the store and notes of sockets
//! are not held back; there is at most one for each question and each connection.

use core::mem;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use blazedb_relay::relay::{ConnId, Input};
use bytes::Bytes;

use crate::metrics::Metrics;
use crate::peer::Peer;

/// Bytes of received frames that may wait: a tenth of a second's work at the rate at which a core checks
/// pushes, and room for several of the largest frames. Each reading thread may put one reading on top.
const MAX_BYTES: usize = 16 << 20;

/// What a socket or the server itself says.
#[derive(Debug)]
pub(crate) enum Note {
    /// A WebSocket was opened.
    Opened(Arc<Peer>),
    /// A frame came, at that time. Empty if there was only a part of one.
    Received(ConnId, Bytes, Instant),
    /// The transport took bytes; the peer knows how many.
    Flushed(Arc<Peer>),
    /// The transport is gone.
    Closed(ConnId),
    /// End all connections in order.
    Shutdown,
}

/// All that waits.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// Answers of the store.
    pub(crate) answers: Vec<Input>,
    pub(crate) notes: Vec<Note>,
}

#[derive(Debug, Default)]
struct Queue {
    batch: Batch,
    /// Of received frames that the hub has not handled: here, or in the batch that it took last.
    bytes: usize,
    hub: Option<Waker>,
    /// Sockets that wait for room.
    sockets: Vec<Waker>,
}

/// Where the hub finds what is for it.
#[derive(Debug)]
pub(crate) struct Inbox {
    queue: Mutex<Queue>,
    /// Whether there was no room lately: sockets ask often, and need no lock for the usual answer.
    full: AtomicBool,
    metrics: Arc<Metrics>,
}

impl Inbox {
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { queue: Mutex::default(), full: AtomicBool::new(false), metrics }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, add: impl FnOnce(&mut Queue)) {
        let mut queue = self.queue();
        add(&mut queue);
        let hub = queue.hub.take();
        drop(queue);
        if let Some(hub) = hub {
            hub.wake();
        }
    }

    /// The store answers.
    pub(crate) fn answer(&self, input: Input) {
        self.add(|queue| queue.batch.answers.push(input));
    }

    /// A socket or the server says something.
    pub(crate) fn note(&self, note: Note) {
        self.add(|queue| {
            if let Note::Received(_, bytes, _) = &note {
                queue.bytes += bytes.len();
                if queue.bytes >= MAX_BYTES {
                    self.full.store(true, Ordering::Relaxed);
                }
            }
            queue.batch.notes.push(note);
        });
    }

    /// Whether a socket may read; it is woken when it may.
    pub(crate) fn poll_room(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.full.load(Ordering::Relaxed) {
            return Poll::Ready(());
        }
        let mut queue = self.queue();
        if queue.bytes < MAX_BYTES {
            return Poll::Ready(());
        }
        queue.sockets.push(cx.waker().clone());
        Poll::Pending
    }

    /// The hub takes all that waits, into an empty batch; it is woken if there was nothing.
    pub(crate) fn poll_batch(&self, cx: &Context<'_>, batch: &mut Batch) -> Poll<()> {
        let mut queue = self.queue();
        if queue.batch.answers.is_empty() && queue.batch.notes.is_empty() {
            if !queue.hub.as_ref().is_some_and(|hub| hub.will_wake(cx.waker())) {
                queue.hub = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        mem::swap(&mut queue.batch, batch);
        self.metrics.inbox.set(batch.notes.len());
        self.metrics.inbox_bytes.set(queue.bytes);
        Poll::Ready(())
    }

    /// The hub takes the answers alone: it has not handled all notes of its batch.
    pub(crate) fn take_answers(&self, answers: &mut Vec<Input>) {
        mem::swap(&mut self.queue().batch.answers, answers);
    }

    /// The hub has handled received frames of that many bytes.
    pub(crate) fn handled(&self, bytes: usize) {
        if bytes == 0 {
            return;
        }
        let mut queue = self.queue();
        queue.bytes = queue.bytes.saturating_sub(bytes);
        // Not at the first byte of room: each socket would then get to read a few bytes at a time.
        if queue.bytes >= MAX_BYTES / 2 {
            return;
        }
        self.full.store(false, Ordering::Relaxed);
        let sockets = mem::take(&mut queue.sockets);
        drop(queue);
        sockets.into_iter().for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_wait_while_too_much_is_there() {
        let inbox = Inbox::new(Arc::new(Metrics::new()));
        let cx = Context::from_waker(Waker::noop());
        let large = Bytes::from(vec![0; MAX_BYTES / 2]);
        for _ in 0..2 {
            assert!(inbox.poll_room(&cx).is_ready());
            inbox.note(Note::Received(ConnId(1), large.clone(), Instant::now()));
        }
        assert!(inbox.poll_room(&cx).is_pending());
        let mut batch = Batch::default();
        assert!(inbox.poll_batch(&cx, &mut batch).is_ready());
        assert_eq!(batch.notes.len(), 2);
        assert!(inbox.poll_room(&cx).is_pending(), "taken, but not handled");
        inbox.handled(large.len());
        assert!(inbox.poll_room(&cx).is_ready());
    }
}
