//! What a client tells its application.

use core::time::Duration;

use blazedb_relay::client::{CollectionSet, Failure, NewNode, Records};
use blazedb_relay::message::RestoreMode;
use blazedb_relay::registry::{Capability, ErrorCode};
use blazedb_relay::wire::Timestamp;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};

use crate::status::Connection;
use crate::store::StoreError;

/// Something happened. Nothing of it has to be heard: everything can be asked of the client as well.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// These records may look different now.
    Changed {
        /// Which.
        records: Records,
        /// Who changed them.
        origin: Origin,
    },
    /// Any record may look different now, and any write may have another state: the durable state was
    /// dropped, or the file was loaded again, or the reader of events was too slow for some.
    Reset,
    /// These writes were sent.
    Sent(Vec<Timestamp>),
    /// The relay has these writes in its log.
    Durable(Vec<Timestamp>),
    /// The relay has refused these writes. They left the view for the rejected list.
    Rejected {
        /// One, or those of a transaction.
        writes: Vec<Timestamp>,
        /// Why.
        code: ErrorCode,
    },
    /// What the relay had lost was sent again and refused (SES-64, SES-65).
    RestoreRefused {
        /// The write that was sent again.
        write: Timestamp,
        /// Why.
        code: ErrorCode,
    },
    /// A subscription has all that the relay had when this connection began.
    CaughtUp(CollectionSet),
    /// A subscription has ended: it was refused.
    SubscriptionEnded {
        /// What was read.
        collections: CollectionSet,
        /// Why.
        failure: Failure,
    },
    /// The connection is another one.
    Connection(Connection),
    /// The client has become a new node. Nothing was lost; this is for who wants to know why.
    NewNode(NewNode),
    /// The relay has lost history that this client had seen.
    LostHistory(RestoreMode),
    /// The relay takes no writes for so long.
    Later(Duration),
    /// This write and all that follow wait for a relay that has what they need.
    CannotSend {
        /// The first of them.
        write: Timestamp,
        /// What is missing.
        needs: Capability,
    },
    /// What was delivered cannot be read by this version: it reads no more, and writes as before.
    UpgradeNeeded,
    /// The file could not be written. What was not written did not happen: it was neither sent nor
    /// acknowledged, and comes again.
    StoreFailed(StoreError),
}

/// Who changed records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// This client.
    Local,
    /// Others, or a relay that refused a write of this client.
    Remote,
}

/// Events of a client, from when it was asked for.
#[derive(Debug)]
pub struct Events(pub(crate) broadcast::Receiver<Event>);

impl Events {
    /// The next event; `None` when the client is closed. Cancel-safe.
    pub async fn next(&mut self) -> Option<Event> {
        match self.0.recv().await {
            Ok(event) => Some(event),
            Err(RecvError::Lagged(_)) => Some(Event::Reset),
            Err(RecvError::Closed) => None,
        }
    }

    /// The next event if it is there.
    pub fn try_next(&mut self) -> Option<Event> {
        match self.0.try_recv() {
            Ok(event) => Some(event),
            Err(TryRecvError::Lagged(_)) => Some(Event::Reset),
            Err(TryRecvError::Empty | TryRecvError::Closed) => None,
        }
    }
}
