//! What a connection's socket and the hub share: what is to be sent, and what was.

use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::task::{Context, Waker};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use blazedb_relay::relay::{ConnId, Ending};
use bytes::Bytes;

use crate::logins::Source;

/// One connection, as hub and socket see it.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) conn: ConnId,
    /// Whose failed logins count together with this one's; `None` if that cannot be told.
    pub(crate) source: Option<Source>,
    outbox: Mutex<Outbox>,
    /// Bytes that the socket took and the hub was not told of.
    flushed: AtomicUsize,
    paused: AtomicBool,
    welcomed: AtomicBool,
}

#[derive(Debug, Default)]
struct Outbox {
    frames: VecDeque<Frame>,
    ending: Option<Ending>,
    socket: Option<Waker>,
}

impl Outbox {
    fn watch(&mut self, cx: &Context<'_>) {
        if !self.socket.as_ref().is_some_and(|socket| socket.will_wake(cx.waker())) {
            self.socket = Some(cx.waker().clone());
        }
    }
}

/// A frame to send: what is its own, and the blocks that it shares with others.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) head: Bytes,
    pub(crate) blocks: Vec<Bytes>,
}

impl Frame {
    /// Its bytes.
    pub(crate) fn len(&self) -> usize {
        self.head.len() + self.blocks.iter().map(Bytes::len).sum::<usize>()
    }
}

impl Peer {
    pub(crate) fn new(conn: ConnId, source: Option<Source>) -> Self {
        Self {
            conn,
            source,
            outbox: Mutex::default(),
            flushed: AtomicUsize::new(0),
            paused: AtomicBool::new(false),
            welcomed: AtomicBool::new(false),
        }
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the outbox, and wakes the socket.
    fn change(&self, change: impl FnOnce(&mut Outbox)) {
        let mut outbox = self.outbox();
        change(&mut outbox);
        let socket = outbox.socket.take();
        drop(outbox);
        if let Some(socket) = socket {
            socket.wake();
        }
    }

    /// The hub sends a frame. How many may wait is the relay's choice, which is told of all that leaves.
    pub(crate) fn send(&self, frame: Frame) {
        self.change(|outbox| outbox.frames.push_back(frame));
    }

    /// The hub ends the connection when all was sent.
    pub(crate) fn end(&self, ending: Ending) {
        self.change(|outbox| outbox.ending = Some(ending));
    }

    /// Whether the socket is to read.
    pub(crate) fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Release);
        self.change(|_| {});
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Welcome was sent: the larger frame limit is in force.
    pub(crate) fn welcome(&self) {
        self.welcomed.store(true, Ordering::Release);
    }

    pub(crate) fn is_welcomed(&self) -> bool {
        self.welcomed.load(Ordering::Acquire)
    }

    /// Sees to it that the socket is woken when something changes; says how the connection is to end, if it
    /// is.
    pub(crate) fn watch(&self, cx: &Context<'_>) -> Option<Ending> {
        let mut outbox = self.outbox();
        outbox.watch(cx);
        outbox.ending
    }

    /// The socket takes frames up to about `bytes` and `slices`, at least one if there is one. Without
    /// frames it is woken when there is something; what comes back then says how the connection ends, if it
    /// does.
    pub(crate) fn take(
        &self,
        cx: &Context<'_>,
        (bytes, slices): (usize, usize),
        mut each: impl FnMut(Frame),
    ) -> Option<Ending> {
        let mut outbox = self.outbox();
        if outbox.frames.is_empty() {
            // An idle connection keeps no memory for it.
            outbox.frames = VecDeque::new();
            outbox.watch(cx);
            return outbox.ending;
        }
        let (mut taken, mut used) = (0, 0);
        while let Some(frame) = outbox.frames.front() {
            taken += frame.len();
            used += 1 + frame.blocks.len();
            if (taken > bytes || used > slices) && used > 1 + frame.blocks.len() {
                break;
            }
            if let Some(frame) = outbox.frames.pop_front() {
                each(frame);
            }
        }
        None
    }

    /// The transport took bytes. True if the hub is to be told; it then asks for the sum.
    pub(crate) fn flushed(&self, bytes: usize) -> bool {
        self.flushed.fetch_add(bytes, Ordering::AcqRel) == 0
    }

    /// The hub asks how much that was.
    pub(crate) fn take_flushed(&self) -> usize {
        self.flushed.swap(0, Ordering::AcqRel)
    }
}
