//! What is done for a database when nobody waits for it: its merged state is fed, its write-ahead log moved
//! into it, its small blocks put together.
//!
//! All of that shares a core and a file with commits that clients do wait for. So it is done in small steps;
//! while clients write, a step is followed by a pause several times as long.

use core::time::Duration;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::store::{Background, Error};

/// Without an append for so long, nobody writes: more than a busy disk takes for one.
const QUIET: Duration = Duration::from_millis(20);
/// Between steps while somebody writes.
const PAUSE: Duration = Duration::from_millis(200);
/// A step is followed by a pause of so many times its length while somebody writes.
const SHARE: u32 = 4;
/// Operations of a step.
const OPERATIONS: usize = 8_192;
/// Bytes appended after which the write-ahead log is moved. Small enough that no reader has to look through
/// much of it.
const CHECKPOINT_BYTES: u64 = 16 << 20;
/// Between looks for blocks to put together, and how old what is looked at is: by then every reader that
/// was live has it.
const REWRITE_EVERY: Duration = Duration::from_secs(30);
/// After that time without appends what is left of the write-ahead log is moved, too.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(10);

/// What goes on in a database, told to whoever tends it.
#[derive(Debug)]
pub(crate) struct Pulse {
    state: Mutex<State>,
    changed: Condvar,
    fed: watch::Sender<FedTo>,
}

/// How far the merged state is, for who waits for it.
#[derive(Debug, Default)]
struct FedTo {
    /// The seq that it has reached, as far as is known here.
    seq: u64,
    /// It comes no further.
    ended: bool,
}

#[derive(Debug)]
struct State {
    head: u64,
    /// Since the last checkpoint.
    bytes: u64,
    appended_at: Option<Instant>,
    read_at: Option<Instant>,
    /// Whether the one who tends waits for the next append.
    asleep: bool,
    /// How many wait for the merged state to get somewhere.
    waiting: usize,
    ended: bool,
}

impl Pulse {
    pub(crate) fn new(head: u64) -> Self {
        let state = State {
            head,
            bytes: 0,
            appended_at: None,
            read_at: None,
            asleep: false,
            waiting: 0,
            ended: false,
        };
        Self { state: Mutex::new(state), changed: Condvar::new(), fed: watch::Sender::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Operations up to `head` were made durable.
    pub(crate) fn appended(&self, head: u64, bytes: u64) {
        let mut state = self.state();
        state.head = head;
        state.bytes += bytes;
        state.appended_at = Some(Instant::now());
        if core::mem::take(&mut state.asleep) {
            self.changed.notify_all();
        }
    }

    /// Somebody reads who was not live.
    pub(crate) fn read(&self) {
        self.state().read_at = Some(Instant::now());
    }

    /// The database is being closed.
    pub(crate) fn end(&self) {
        self.state().ended = true;
        self.changed.notify_all();
        self.fed.send_modify(|fed| fed.ended = true);
    }

    /// The seq of the last operation that was made durable.
    pub(crate) fn head(&self) -> u64 {
        self.state().head
    }

    /// Waits until the merged state has reached `seq`, for that long at most and not beyond the end; says
    /// whether it has.
    pub(crate) async fn reached(&self, seq: u64, time: Duration) -> bool {
        let mut fed = self.fed.subscribe();
        if fed.borrow().seq >= seq {
            return true;
        }
        let _waiting = Waiting::new(self);
        let reached = timeout(time, fed.wait_for(|fed| fed.seq >= seq || fed.ended)).await;
        reached.is_ok_and(|fed| fed.is_ok_and(|fed| fed.seq >= seq))
    }

    /// Waits for that long, or for the end. True if it has come.
    fn rest(&self, time: Duration) -> bool {
        self.pause(time, time)
    }

    /// Waits for that long, or for the end; if somebody waits for the state, only for `least`. True if the
    /// end has come.
    fn pause(&self, time: Duration, least: Duration) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), least.min(time), |state| !state.ended);
        let state = waited.unwrap_or_else(PoisonError::into_inner).0;
        let idle = |state: &mut State| !state.ended && state.waiting == 0;
        let waited = self.changed.wait_timeout_while(state, time.saturating_sub(least), idle);
        waited.unwrap_or_else(PoisonError::into_inner).0.ended
    }

    /// Waits for that long, for an append behind `fed`, or for the end.
    fn sleep(&self, time: Duration, fed: u64) {
        let mut state = self.state();
        state.asleep = state.head <= fed;
        let waited = self.changed.wait_timeout_while(state, time, |state| state.asleep && !state.ended);
        waited.unwrap_or_else(PoisonError::into_inner).0.asleep = false;
    }

    /// Whether somebody writes just now.
    fn is_busy(&self) -> bool {
        self.state().appended_at.is_some_and(|at| at.elapsed() < QUIET)
    }
}

/// Somebody who waits for the merged state.
struct Waiting<'p>(&'p Pulse);

impl<'p> Waiting<'p> {
    fn new(pulse: &'p Pulse) -> Self {
        pulse.state().waiting += 1;
        pulse.changed.notify_all();
        Self(pulse)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.state().waiting -= 1;
    }
}

/// Tends a database until its pulse ends. A step that fails is tried again after a while.
pub(crate) fn tend(name: &str, pulse: &Pulse, background: &mut impl Background) {
    let now = Instant::now();
    let mut done = Done { fed: 0, checkpointed: now, rewritten: now, until: pulse.state().head, after: 0 };
    loop {
        let begun = Instant::now();
        let worked = step(pulse, background, &mut done);
        let took = begun.elapsed();
        let pause = match worked {
            Ok(true) if pulse.is_busy() => PAUSE.max(took * SHARE),
            Ok(true) => Duration::ZERO,
            Ok(false) => {
                pulse.sleep(CHECKPOINT_EVERY, done.fed);
                if pulse.is_busy() { PAUSE } else { Duration::ZERO }
            }
            Err(error) => {
                tracing::error!(database = name, %error, "work in the background failed; it is tried again");
                if pulse.rest(CHECKPOINT_EVERY) {
                    return;
                }
                continue;
            }
        };
        // Who waits for the state gets it sooner, and appends still have half of the time.
        if pulse.pause(pause, took) {
            return;
        }
    }
}

/// How far the work is.
struct Done {
    /// The seq that the state has reached.
    fed: u64,
    checkpointed: Instant,
    /// When the log was last looked through for small blocks, and its head then.
    rewritten: Instant,
    until: u64,
    /// Where to go on with that.
    after: u64,
}

/// Does something that is to be done. False if there is nothing.
fn step(pulse: &Pulse, background: &mut impl Background, done: &mut Done) -> Result<bool, Error> {
    let fed = background.feed(OPERATIONS)?;
    done.fed = fed.seq;
    pulse.fed.send_modify(|to| to.seq = fed.seq);
    // Also while operations keep coming: else an index would never be ready.
    if background.index()? || fed.ops > 0 {
        return Ok(true);
    }
    let (head, bytes, read_at) = {
        let state = pulse.state();
        (state.head, state.bytes, state.read_at)
    };
    if bytes >= CHECKPOINT_BYTES || (bytes > 0 && done.checkpointed.elapsed() >= CHECKPOINT_EVERY) {
        done.checkpointed = Instant::now();
        background.checkpoint()?;
        let mut state = pulse.state();
        state.bytes = state.bytes.saturating_sub(bytes);
        return Ok(true);
    }
    //= RLY-47
    let reading = read_at.is_some_and(|at| at.elapsed() < REWRITE_EVERY);
    if reading || done.rewritten.elapsed() < REWRITE_EVERY {
        return Ok(false);
    }
    if done.after < done.until {
        let rewritten = background.rewrite(done.after, done.until)?;
        if rewritten.after > done.after {
            done.after = rewritten.after;
            return Ok(true);
        }
    }
    done.rewritten = Instant::now();
    done.until = head;
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing else happens while these wait, so time passes at once.
    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_state_ends_with_it_with_time_and_with_the_database() {
        let pulse = Pulse::new(9);
        let time = Duration::from_secs(5);
        assert!(pulse.reached(0, time).await);
        assert!(!pulse.reached(5, time).await);
        assert_eq!(pulse.state().waiting, 0);
        let (reached, ()) = tokio::join!(pulse.reached(5, time), async {
            assert_eq!(pulse.state().waiting, 1);
            pulse.fed.send_modify(|fed| fed.seq = 7);
        });
        assert!(reached && pulse.reached(7, time).await);
        let before = tokio::time::Instant::now();
        let (reached, ()) = tokio::join!(pulse.reached(8, time), async { pulse.end() });
        assert!(!reached);
        assert_eq!(before.elapsed(), Duration::ZERO);
    }
}
