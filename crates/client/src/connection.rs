//! Keeps a client connected: opens transports, and feeds the session what comes.

use core::time::Duration;
use std::sync::Arc;

use blazedb_relay::client::{Input, Reconnect};
use bytes::Bytes;
use tokio::time::{Instant, sleep_until, timeout};

use crate::shared::Shared;
use crate::transport::{Connect, Transport};

/// Opening a transport takes no longer.
const OPENING: Duration = Duration::from_secs(30);
/// Bytes of messages that are taken together: what they change is one local transaction.
const TOGETHER: usize = 1 << 20;

/// Runs until the client is closed.
pub(crate) async fn run(shared: Arc<Shared>, relay: Arc<dyn Connect>) {
    let mut next = Next::after(Reconnect::After(0), false);
    while wait(&shared, next).await {
        // What was wanted when the wait ended may not be any more.
        let begun = shared
            .with(|core| if core.wanted && !core.closed { core.begin_session().map(Some) } else { Ok(None) })
            .await;
        next = match begun {
            Some(Ok(Some(()))) => {
                let reconnect = session(&shared, &*relay).await;
                Next::after(reconnect, shared.lock().waits_for_order())
            }
            Some(Ok(None)) => Next::after(Reconnect::After(0), false),
            // The system has no randomness now.
            Some(Err(_)) => Next::after(Reconnect::After(1_000), false),
            None => return,
        };
    }
}

/// When to connect the next time.
#[derive(Clone, Copy, Debug)]
struct Next {
    not_before: Instant,
    when: When,
    /// An order of the application ends the wait.
    may_hurry: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// When a connection is wanted.
    Wanted,
    /// And there is something to say.
    Needed,
    /// When the application orders it.
    Ordered,
}

impl Next {
    fn after(reconnect: Reconnect, may_hurry: bool) -> Self {
        let (ms, when) = match reconnect {
            Reconnect::After(ms) => (ms, When::Wanted),
            Reconnect::WhenNeeded(ms) => (ms, When::Needed),
            Reconnect::OnOrder => (0, When::Ordered),
        };
        let may_hurry = may_hurry || when == When::Ordered;
        Self { not_before: Instant::now() + Duration::from_millis(ms), when, may_hurry }
    }
}

/// Waits until it is time to connect. False if the client was closed.
async fn wait(shared: &Shared, next: Next) -> bool {
    loop {
        let (closed, wanted, hurry, needed) = {
            let core = shared.lock();
            (core.closed, core.wanted, core.hurry, core.has_something_to_say())
        };
        if closed {
            return false;
        }
        let due = match next.when {
            When::Wanted => true,
            When::Needed => needed,
            When::Ordered => false,
        };
        if wanted && (hurry && next.may_hurry || due && next.not_before <= Instant::now()) {
            return true;
        }
        tokio::select! {
            () = shared.wake.notified() => {}
            () = sleep_until(next.not_before), if wanted && due => {}
        }
    }
}

/// One session, from before its transport is opened until it has ended.
async fn session(shared: &Arc<Shared>, relay: &dyn Connect) -> Reconnect {
    let opening = timeout(OPENING, relay.connect());
    tokio::pin!(opening);
    let opened = loop {
        tokio::select! {
            opened = &mut opening => break opened.unwrap_or_else(|_| Err("it took too long".into())),
            () = shared.wake.notified() => if let Some(ended) = ended(shared) { return ended },
        }
    };
    match opened {
        Ok(Transport { outgoing, incoming }) => {
            shared.with(move |core| core.opened(outgoing)).await;
            receive(shared, incoming).await
        }
        Err(why) => {
            shared.with(move |core| core.not_opened(why)).await;
            ended(shared).unwrap_or(Reconnect::OnOrder)
        }
    }
}

/// How the session ended, if it has, or the client was closed.
fn ended(shared: &Shared) -> Option<Reconnect> {
    let mut core = shared.lock();
    let ended = core.take_ended();
    ended.or_else(|| (!core.has_session()).then_some(Reconnect::OnOrder))
}

async fn receive(shared: &Arc<Shared>, mut incoming: tokio::sync::mpsc::Receiver<Bytes>) -> Reconnect {
    loop {
        let deadline = {
            let mut core = shared.lock();
            if let Some(ended) = core.take_ended() {
                return ended;
            }
            if !core.has_session() {
                return Reconnect::OnOrder;
            }
            core.deadline()
        };
        let never = Instant::now() + Duration::from_secs(3_600);
        tokio::select! {
            message = incoming.recv() => match message {
                Some(message) => {
                    let messages = with_more(message, &mut incoming);
                    shared.with(move |core| core.received(messages)).await;
                }
                None => {
                    shared.with(|core| core.feed([Input::Closed])).await;
                }
            },
            () = shared.wake.notified() => {}
            () = sleep_until(deadline.unwrap_or(never)) => {
                shared.with(|core| core.feed([Input::Timeout])).await;
            }
        }
    }
}

/// A message and those that have come behind it.
fn with_more(first: Bytes, incoming: &mut tokio::sync::mpsc::Receiver<Bytes>) -> Vec<Bytes> {
    let mut size = first.len();
    let mut messages = vec![first];
    while size < TOGETHER {
        let Ok(message) = incoming.try_recv() else { break };
        size += message.len();
        messages.push(message);
    }
    messages
}
