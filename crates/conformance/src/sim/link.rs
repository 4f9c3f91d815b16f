//! Transports: ordered and reliable, until they break.

use std::collections::VecDeque;

use blazedb_relay::message::Mark;
use blazedb_relay::relay::Framing;
use bytes::{Bytes, BytesMut};

use super::random::Random;

/// How bytes are cut on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cutting {
    /// As they were sent.
    Whole,
    /// Into pieces of at most so many bytes, whatever was sent together.
    Pieces(usize),
    /// One byte at a time, but for the tail of a long wait.
    Crumbs,
}

impl Cutting {
    /// Most milliseconds that a piece may take, so that a large frame arrives in some minutes.
    #[must_use]
    pub const fn most_latency(self) -> u64 {
        match self {
            Self::Whole => u64::MAX,
            Self::Pieces(_) => 20,
            Self::Crumbs => 1,
        }
    }
}

/// One direction of a link.
#[derive(Debug, Default)]
pub struct Pipe {
    queue: VecDeque<Bytes>,
    bytes: usize,
    /// Whoever sent has closed: when the queue is empty, the other end is told.
    pub closing: bool,
    /// Everything is lost on the way, the end included.
    pub hole: bool,
    /// Nothing moves before.
    pub stalled_until: u64,
    /// An event is on the way that moves it.
    pub scheduled: bool,
    /// The reader does not read.
    pub paused: bool,
}

impl Pipe {
    /// Puts bytes in.
    pub fn send(&mut self, bytes: Bytes) {
        if !bytes.is_empty() && !self.closing {
            self.bytes += bytes.len();
            self.queue.push_back(bytes);
        }
    }

    /// Bytes on the way.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes
    }

    /// True if nothing is on the way.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.bytes == 0
    }

    /// What arrives next.
    pub fn take(&mut self, framing: Framing, cutting: Cutting, random: &mut Random) -> Option<Bytes> {
        let first = self.queue.pop_front()?;
        let piece = match (framing, cutting) {
            (Framing::Messages, _) | (Framing::Stream, Cutting::Whole) => first,
            (Framing::Stream, Cutting::Pieces(most)) => self.cut(first, random.below(most) + 1),
            (Framing::Stream, Cutting::Crumbs) => {
                let len = if random.chance(900) { 1 } else { first.len() };
                self.cut(first, len)
            }
        };
        self.bytes -= piece.len();
        Some(piece)
    }

    /// `len` bytes, of `first` and what follows it.
    fn cut(&mut self, first: Bytes, len: usize) -> Bytes {
        let mut piece = BytesMut::from(first.as_ref());
        while piece.len() < len {
            let Some(more) = self.queue.pop_front() else { break };
            piece.extend_from_slice(&more);
        }
        if piece.len() > len {
            let rest = piece.split_off(len);
            self.queue.push_front(rest.freeze());
        }
        piece.freeze()
    }

    /// Whatever is behind a random byte is lost.
    pub fn break_off(&mut self, framing: Framing, random: &mut Random) {
        let keep = random.within(0..=self.bytes as u64);
        let mut left = usize::try_from(keep).unwrap_or(0);
        let mut queue = VecDeque::new();
        for mut bytes in self.queue.drain(..) {
            if bytes.len() > left && framing == Framing::Messages {
                break;
            }
            bytes.truncate(left);
            left -= bytes.len();
            if !bytes.is_empty() {
                queue.push_back(bytes);
            }
        }
        self.bytes = queue.iter().map(Bytes::len).sum();
        self.queue = queue;
        self.closing = true;
    }

    /// Everything on the way is lost.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.bytes = 0;
    }
}

/// A connection between a device and the relay.
#[derive(Debug)]
pub struct Link {
    /// Whose.
    pub device: usize,
    /// What carries it.
    pub framing: Framing,
    /// How its bytes are cut.
    pub cutting: Cutting,
    /// Milliseconds that bytes take at most.
    pub latency: u64,
    /// Client to relay.
    pub up: Pipe,
    /// Relay to client: what the transport has taken.
    pub down: Pipe,
    /// Relay to client: what waits for the transport.
    pub waiting: Pipe,
    /// A flush event is on the way.
    pub flushing: bool,
    /// Most bytes that the transport takes before the client reads.
    pub capacity: usize,
    /// What welcome told.
    pub mark: Option<Mark>,
    /// The client has it open.
    pub at_client: bool,
    /// The relay has it open.
    pub at_relay: bool,
}

impl Link {
    /// Moves what the transport takes now. Gives how many bytes.
    pub fn flush(&mut self) -> usize {
        let mut moved = 0;
        while self.down.len() < self.capacity {
            let Some(bytes) = self.waiting.queue.pop_front() else { break };
            self.waiting.bytes -= bytes.len();
            moved += bytes.len();
            self.down.send(bytes);
        }
        if self.waiting.is_empty() && self.waiting.closing {
            self.down.closing = true;
        }
        moved
    }
}
