//! Whether everything is synced, and if not, why.

use core::time::Duration;

use blazedb_relay::client::Failure;
use blazedb_relay::registry::{Capability, ErrorCode, GoodbyeReason};

/// How a client stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The connection.
    pub connection: Connection,
    /// Operations that the relay is not known to have.
    pub queued: usize,
    /// Operations on the rejected list.
    pub rejected: usize,
    /// Bytes on the wire since the client was opened.
    pub traffic: Traffic,
    /// Why what is queued is not sent, or what others write is not read; none if nothing is in the way.
    pub hindrance: Option<Hindrance>,
}

/// Bytes of frames, without what the transport adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Traffic {
    /// To the relay.
    pub sent: u64,
    /// From the relay.
    pub received: u64,
}

/// A client's connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Connection {
    /// None is wanted: no relay was named, or [`Client::disconnect`](crate::Client::disconnect) was called.
    Off,
    /// It is being opened.
    Connecting,
    /// It is there, and both ends know where they stand.
    Online,
    /// It ended, or could not be opened.
    Offline {
        /// Why.
        why: Offline,
        /// When it is tried again; `None` when there is something to send or ask.
        retry_in: Option<Duration>,
    },
    /// The relay wants other credentials: it is tried again with
    /// [`Client::authenticate`](crate::Client::authenticate).
    NotAuthenticated {
        /// `UNAUTHENTICATED` or `TOKEN_EXPIRED`.
        code: ErrorCode,
        /// What the relay says. Hostile like any other input: show it escaped.
        text: Box<str>,
    },
    /// The client is closed.
    Closed,
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offline {
    /// The transport ended, or could not be opened: what the system says, if anything.
    Transport(Box<str>),
    /// The relay said goodbye.
    Goodbye(GoodbyeReason),
    /// The relay refused it.
    Refused {
        /// Why.
        code: ErrorCode,
        /// What the relay says. Hostile like any other input: show it escaped.
        text: Box<str>,
    },
    /// This client ended it: the relay broke a rule, or was not heard of any more (`IDLE_TIMEOUT`).
    Fault(ErrorCode),
    /// The client became a new node, and comes back as that.
    NewNode,
    /// The file could not be written.
    Store,
}

/// What is in the way of syncing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Hindrance {
    /// There is no connection: see [`Status::connection`].
    NotConnected,
    /// The relay takes no writes now: it said "later".
    Later,
    /// The first of the queued writes needs what this relay has not got.
    Needs(Capability),
    /// This version cannot read what others wrote. It writes as before.
    UpgradeNeeded,
    /// The clock of this client was too far ahead: writes were rejected with `CLOCK_TOO_FAR_AHEAD`, and the
    /// clock was set back.
    Clock,
    /// A subscription was refused.
    Subscription(Failure),
}
