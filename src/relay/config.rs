//! What a relay takes, and how long it waits.

use crate::limits::{MAX_BLOCK, MAX_FRAME};
use crate::message::Heartbeat;
use crate::registry::{Capabilities, LimitId};

/// One largest block with its header: the least that a relay must take (RLY-25).
pub(super) const LARGEST_BLOCK: usize = MAX_BLOCK + 36;

/// The choices of who runs a relay. The defaults suit a relay with some ten thousand connections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What it can do.
    pub capabilities: Capabilities,
    /// Milliseconds from the opening of a transport within which its handshake must come: 10,000 by SPEC.md
    /// 10.2, less only where a test waits for it.
    pub handshake_ms: u32,
    /// How often a connection is to be heard of.
    pub heartbeat: Heartbeat,
    /// Bytes of pushed blocks under way on one connection; at least 1,048,612 (RLY-25).
    pub push_bytes: usize,
    /// Pushed blocks under way on one connection; at least 1.
    pub push_blocks: usize,
    /// Subscriptions of one connection.
    pub subscriptions: usize,
    /// Requests other than push under way on one connection.
    pub requests: usize,
    /// Bytes of the frames of those requests, so that many large ones cannot be piled up.
    pub request_bytes: usize,
    /// Operations that one connection may push in a second; 0 for no limit.
    pub operations_per_second: u32,
    /// Rows of a query page that names no limit.
    pub rows: u32,
    /// Largest window of a subscription, whatever its client asks for (RLY-50).
    pub window: u64,
    /// Bytes that may wait for a transport before reading from it stops (RLY-49) and nothing large is sent
    /// any more. One frame may come on top.
    pub waiting_bytes: usize,
    /// Connections in all.
    pub connections: usize,
    /// Connections before welcome.
    pub opening: usize,
    /// Connections of one principal.
    pub of_one_principal: usize,
    /// Open databases.
    pub databases: usize,
    /// Bytes of blocks that wait for the next append of a database; what goes over is answered with
    /// `later` (RLY-23).
    pub append_bytes: usize,
    /// Bytes of each log's end that are kept in memory, so that live readers need no reading.
    pub tail_bytes: usize,
    /// Bytes of blocks in one read of a log.
    pub read_bytes: usize,
    /// Milliseconds after which a block answered with `later` may come again.
    pub later_ms: u32,
    /// Milliseconds after which a client that was closed with `RATE_LIMITED` may come back.
    pub rate_limited_ms: u32,
    /// Milliseconds after which a client that was told goodbye may come back.
    pub reconnect_after_ms: u32,
    /// Milliseconds over which clients that are told goodbye are spread.
    pub jitter_ms: u32,
    /// Milliseconds after which a database without connections is closed. Opening it again costs an epoch.
    pub database_idle_ms: u64,
    /// Where the choice of grease (SPEC.md 8) begins; none is sent without it.
    pub grease_seed: Option<u64>,
}

impl Config {
    /// The same choices with those raised that would break a rule.
    pub(super) fn legal(mut self) -> Self {
        //= RLY-25
        self.push_bytes = self.push_bytes.max(LARGEST_BLOCK);
        self.push_blocks = self.push_blocks.max(1);
        // The bound of SPEC.md 11.9.
        self.waiting_bytes = self.waiting_bytes.max(MAX_FRAME);
        self.append_bytes = self.append_bytes.max(LARGEST_BLOCK);
        self.window = self.window.max(1);
        self.read_bytes = self.read_bytes.max(1);
        self
    }

    /// The limits that welcome tells, ascending by id.
    pub(super) const fn limits(&self) -> [(LimitId, u64); 6] {
        [
            (LimitId::PUSH_BYTES, self.push_bytes as u64),
            (LimitId::PUSH_BLOCKS, self.push_blocks as u64),
            (LimitId::SUBSCRIPTIONS, self.subscriptions as u64),
            (LimitId::REQUESTS, self.requests as u64),
            (LimitId::OPERATIONS_PER_SECOND, self.operations_per_second as u64),
            (LimitId::ROWS, self.rows as u64),
        ]
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            capabilities: Capabilities::ALL,
            handshake_ms: 10_000,
            heartbeat: Heartbeat::DEFAULT,
            push_bytes: 4 << 20,
            push_blocks: 1_024,
            subscriptions: 64,
            requests: 64,
            request_bytes: 2 * MAX_FRAME,
            operations_per_second: 0,
            rows: 1_000,
            window: 16 << 20,
            waiting_bytes: MAX_FRAME,
            connections: 100_000,
            opening: 10_000,
            of_one_principal: 10_000,
            databases: 1_000,
            append_bytes: 64 << 20,
            tail_bytes: 4 << 20,
            read_bytes: 1 << 20,
            later_ms: 1_000,
            rate_limited_ms: 60_000,
            reconnect_after_ms: 1_000,
            jitter_ms: 30_000,
            database_idle_ms: 600_000,
            grease_seed: None,
        }
    }
}

const _: () = assert!(LARGEST_BLOCK + 4_060 == MAX_FRAME);
