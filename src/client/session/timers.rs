//! The timers of a client's end (SPEC.md 10.2).

use super::{Session, State};
use crate::message::{Extensions, Message, Ping, Pong};
use crate::registry::ErrorCode;

const WELCOME_MS: u64 = 30_000;
const DRAIN_MS: u64 = 5_000;

//= SES-7
/// When what is to happen, on the monotonic clock.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heartbeat: u64,
    heard_at: u64,
    /// Heartbeats without a byte so far, each answered with a ping.
    silent: u64,
    /// Pings sent on this connection.
    pings: u64,
    welcome_at: Option<u64>,
    drain_at: Option<u64>,
    pub(super) active_since: Option<u64>,
}

impl Timers {
    pub(super) const fn greet(&mut self, now: u64) {
        self.welcome_at = Some(now.saturating_add(WELCOME_MS));
    }

    pub(super) const fn activate(&mut self, now: u64, heartbeat: u64) {
        self.heartbeat = heartbeat;
        self.welcome_at = None;
        self.active_since = Some(now);
        self.hear(now);
    }

    pub(super) const fn drain(&mut self, now: u64) {
        self.welcome_at = None;
        self.drain_at = Some(now.saturating_add(DRAIN_MS));
    }

    //= SES-8
    pub(super) const fn hear(&mut self, now: u64) {
        self.heard_at = now;
        self.silent = 0;
    }

    const fn ping_at(&self) -> u64 {
        self.heard_at.saturating_add(self.heartbeat.saturating_mul(self.silent + 1))
    }

    fn idle_at(&self) -> Option<u64> {
        self.active_since.map(|_| self.heard_at.saturating_add(self.heartbeat.saturating_mul(3)))
    }

    pub(super) fn next(&self, state: State) -> Option<u64> {
        match state {
            State::Apart | State::Settling => None,
            State::Greeting => self.welcome_at,
            // The ping of the third heartbeat would be too late.
            State::Active => self.idle_at().map(|idle_at| idle_at.min(self.ping_at())),
            State::Draining => [self.drain_at, self.idle_at()].into_iter().flatten().min(),
        }
    }
}

impl Session {
    /// A timer may have ended.
    pub(super) fn tick(&mut self, now: u64) {
        let is_over = |at: Option<u64>| at.is_some_and(|at| at <= now);
        match self.state {
            State::Apart | State::Settling => {}
            State::Greeting => {
                if is_over(self.timers.welcome_at) {
                    self.fault(now, ErrorCode::HANDSHAKE_TIMEOUT);
                }
            }
            State::Active => {
                if is_over(self.timers.idle_at()) {
                    return self.fault(now, ErrorCode::IDLE_TIMEOUT);
                }
                if self.timers.ping_at() <= now {
                    self.timers.silent = (now - self.timers.heard_at) / self.timers.heartbeat.max(1);
                    self.timers.pings += 1;
                    let ping = Ping { nonce: self.timers.pings, extensions: Extensions::EMPTY };
                    self.say(Message::Ping(ping));
                }
                self.acknowledge_updates(now);
            }
            State::Draining => {
                if is_over(self.timers.drain_at) {
                    self.drained();
                } else if is_over(self.timers.idle_at()) {
                    self.fault(now, ErrorCode::IDLE_TIMEOUT);
                }
            }
        }
    }

    //= SES-9
    pub(super) fn pong(&mut self, nonce: u64) {
        //= SES-94
        if !self.goodbye_sent {
            self.say(Message::Pong(Pong { nonce, extensions: Extensions::EMPTY }));
        }
    }
}
