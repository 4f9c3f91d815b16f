//! What a relay remembers of a connection.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::database::Database;
use super::event::{ConnId, DatabaseId, Framing, Principal};
use super::io::Io;
use super::link::Link;
use super::page::Wanted;
use super::push::Pushing;
use super::requests::Requests;
use super::rights::Rights;
use super::state::{Event, State};
use super::subscription::Subscriptions;
use crate::message::Mark;
use crate::registry::{Capabilities, GoodbyeReason};
use crate::wire::{DatabaseName, NodeId, NodeKey, Position};

pub(super) type Connections = BTreeMap<ConnId, Box<Connection>>;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) link: Link,
    state: State,
    /// In R2.
    pub(super) opening: Option<Box<Opening>>,
    /// From welcome on.
    pub(super) session: Option<Box<Session>>,
    /// Why the relay ends it, once it does: then nothing but the acks of what was taken is sent any more,
    /// and last goodbye (SES-95).
    pub(super) leaving: Option<GoodbyeReason>,
    /// Whether goodbye was sent: then nothing that comes is looked at (SES-3).
    pub(super) said_goodbye: bool,
    /// When waiting ends, for the handshake or for what is left to do at the end.
    pub(super) patience: u64,
}

impl Connection {
    pub(super) fn new(conn: ConnId, framing: Framing, now: u64, patience: u64) -> Self {
        Self {
            link: Link::new(conn, framing, now),
            state: State::Waiting,
            opening: None,
            session: None,
            leaving: None,
            said_goodbye: false,
            patience,
        }
    }

    pub(super) const fn state(&self) -> State {
        self.state
    }

    /// Goes where `event` leads, if it can happen now.
    pub(super) fn change(&mut self, event: Event) {
        let after = self.state.after(event);
        debug_assert!(after.is_some(), "{event:?} does not happen in {:?}", self.state);
        self.state = after.unwrap_or(self.state);
    }

    /// Who the node of this connection belongs to while it is open (RLY-12).
    pub(super) fn owner(&self) -> Option<(&Principal, &NodeKey)> {
        match (&self.session, &self.opening) {
            (Some(session), _) => Some((&session.principal, &session.key)),
            (None, Some(opening)) => Some((&opening.grant.as_ref()?.principal, &opening.key)),
            (None, None) => None,
        }
    }

    /// The database and the node that it uses, if it is known by now.
    pub(super) fn place(&self) -> Option<(DatabaseId, NodeId)> {
        match (&self.session, &self.opening) {
            (Some(session), _) => Some((session.database, session.node)),
            (None, Some(opening)) => Some((opening.database?, opening.node)),
            (None, None) => None,
        }
    }

    /// Who it acts for, if it is known by now.
    pub(super) fn principal(&self) -> Option<&Principal> {
        self.owner().map(|(principal, _)| principal)
    }
}

/// A handshake that was taken and has no welcome yet.
#[derive(Debug)]
pub(super) struct Opening {
    pub(super) name: DatabaseName,
    pub(super) node: NodeId,
    pub(super) key: NodeKey,
    pub(super) seen: Vec<Position>,
    /// Those agreed on.
    pub(super) capabilities: Capabilities,
    pub(super) update_bytes: u64,
    /// From [`super::Input::Authorized`].
    pub(super) grant: Option<Grant>,
    /// Once it is open.
    pub(super) database: Option<DatabaseId>,
}

/// Who a connection acts for, and what it may do.
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) principal: Principal,
    pub(super) rights: Arc<Rights>,
    /// Monotonic time at which the credentials are no longer good, the time to renew them included.
    pub(super) expires_at: u64,
}

/// An active connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) database: DatabaseId,
    pub(super) node: NodeId,
    pub(super) key: NodeKey,
    pub(super) principal: Principal,
    pub(super) rights: Arc<Rights>,
    pub(super) expires_at: u64,
    pub(super) capabilities: Capabilities,
    pub(super) update_bytes: u64,
    /// The mark that welcome told.
    pub(super) welcome_mark: u64,
    pub(super) pushing: Pushing,
    pub(super) requests: Requests,
    pub(super) subscriptions: Subscriptions,
}

impl Session {
    /// The session of a connection that is welcomed, if it was granted.
    pub(super) fn new(opening: Opening, database: DatabaseId, mark: Mark) -> Option<Self> {
        let Opening { node, key, capabilities, update_bytes, grant, .. } = opening;
        let Grant { principal, rights, expires_at } = grant?;
        Some(Self {
            database,
            node,
            key,
            principal,
            rights,
            expires_at,
            capabilities,
            update_bytes,
            welcome_mark: mark.node_seq().get(),
            pushing: Pushing::new(mark),
            requests: Requests::default(),
            subscriptions: Subscriptions::default(),
        })
    }
}

impl Session {
    /// Whether the principal may read all of these collections.
    pub(super) fn may_read(&self, wanted: &Wanted) -> bool {
        match wanted {
            Some(names) => names.iter().all(|name| self.rights.access(name).read),
            None => self.rights.reads_all(),
        }
    }
}

/// A session with all that it works on.
pub(super) struct Active<'a> {
    pub(super) link: &'a mut Link,
    pub(super) session: &'a mut Session,
    pub(super) database: &'a mut Database,
    pub(super) io: &'a mut Io,
}
