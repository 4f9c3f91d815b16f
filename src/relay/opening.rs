//! From handshake to welcome (SPEC.md 11.3).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Relay;
use super::database::{Database, Unopened};
use super::event::{Claim, ConnId, Credentials, DatabaseId, Output, Principal};
use super::history::{Epoch, History};
use super::io::{Asked, Fault, Io, NEVER};
use super::rights::Rights;
use super::session::{Grant, Opening, Session};
use super::state::Event;
use super::timers::EXPIRY_GRACE;
use crate::codec::Context;
use crate::message::{
    Authentication, EpochStart, Extensions, Handshake, Limit, LimitList, List, Mark, Message, Welcome,
};
use crate::mutant::Mutant;
use crate::registry::{Capabilities, Capability, Disposition, ErrorCode, GoodbyeReason, LimitId};
use crate::wire::{DatabaseName, NodeId};

/// The version that this relay speaks.
const VERSION: u16 = 0x0100;

impl Relay {
    /// Takes a handshake: what can be told from it alone is checked at once.
    //= RLY-11
    pub(super) fn handshake(&mut self, conn: ConnId, handshake: &Handshake<'_>) {
        let opening = match opening(handshake, self.io.config.capabilities) {
            Ok(opening) => opening,
            Err(fault) => return self.close(conn, fault),
        };
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        connection.change(Event::Handshake);
        connection.patience = NEVER;
        let database = opening.name.clone();
        connection.opening = Some(Box::new(opening));
        let credentials = credentials(&handshake.authentication);
        self.io.ask(Asked::Authorize(conn), |ticket| Output::Authorize {
            ticket,
            conn,
            database,
            credentials,
        });
    }

    /// The credentials of a handshake are good.
    pub(super) fn authorized(&mut self, conn: ConnId, grant: Grant) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let Some(opening) = &mut connection.opening else { return };
        //= RLY-51
        let connected = self.principals.get(&grant.principal).copied().unwrap_or(0);
        if connected >= self.io.config.of_one_principal {
            return self
                .close(conn, Fault::new(ErrorCode::OVERLOADED, "too many connections of one principal"));
        }
        *self.principals.entry(grant.principal.clone()).or_default() += 1;
        opening.grant = Some(grant);
        let name = opening.name.clone();
        match self.names.get(&name) {
            Some(id) => match self.unopened.get_mut(id) {
                Some(unopened) => unopened.waiting.push(conn),
                None => self.enter(conn, *id),
            },
            None if self.names.len() >= self.io.config.databases => {
                self.close(conn, Fault::new(ErrorCode::OVERLOADED, "too many open databases"));
            }
            None => {
                let id = DatabaseId(self.database_ids);
                self.database_ids += 1;
                self.names.insert(name.clone(), id);
                self.unopened.insert(id, Unopened { name: name.clone(), waiting: Vec::from([conn]) });
                //= RLY-10
                self.io.ask(Asked::Open(id), |ticket| Output::OpenDatabase { ticket, database: id, name });
            }
        }
    }

    /// The credentials of a handshake are not good, or give no right to the database.
    pub(super) fn not_authorized(&mut self, conn: ConnId, code: ErrorCode) {
        if code == ErrorCode::FORBIDDEN || code.disposition() == Disposition::Close {
            self.close(conn, Fault::new(code, why_not(code, "these credentials do not open this database")));
        } else {
            self.leave(conn, GoodbyeReason::RESTARTING);
        }
    }

    /// A log was opened for writing, under a new epoch (RLY-10).
    pub(super) fn database_opened(&mut self, id: DatabaseId, head: u64, epochs: Vec<Epoch>) {
        let Some(history) = History::new(epochs, head) else {
            debug_assert!(false, "epochs are some, differ, and do not descend");
            return self.database_failed(id, ErrorCode::STORE_UNAVAILABLE);
        };
        let Some(Unopened { name, waiting }) = self.unopened.remove(&id) else { return };
        let mut database = Database::new(id, name, history);
        database.wait(&mut self.io);
        self.databases.insert(id, database);
        for conn in waiting {
            self.enter(conn, id);
        }
    }

    /// A log could not be opened.
    pub(super) fn database_failed(&mut self, id: DatabaseId, code: ErrorCode) {
        let Some(Unopened { name, waiting }) = self.unopened.remove(&id) else { return };
        self.names.remove(&name);
        for conn in waiting {
            match code {
                ErrorCode::UNKNOWN_DATABASE | ErrorCode::FORBIDDEN | ErrorCode::OVERLOADED => {
                    self.close(conn, Fault::new(code, ""));
                }
                //= RLY-59
                _ => self.leave(conn, GoodbyeReason::RESTARTING),
            }
        }
        self.io.put(Output::CloseDatabase { database: id });
    }

    /// The database of a handshake is open.
    fn enter(&mut self, conn: ConnId, id: DatabaseId) {
        let Some(database) = self.databases.get_mut(&id) else { return };
        let Some(opening) = self.connections.get_mut(&conn).and_then(|it| it.opening.as_mut()) else {
            return;
        };
        opening.database = Some(id);
        database.users += 1;
        let node = opening.node;
        database.nodes.entry(node).or_default().opening.push(conn);
        self.settle_node(id, node);
    }

    /// Goes on with the handshakes that name a node, one after another.
    pub(super) fn settle_node(&mut self, id: DatabaseId, node: NodeId) {
        while let Some(database) = self.databases.get_mut(&id) {
            let Some(entry) = database.nodes.get_mut(&node) else { return };
            let Some(conn) = entry.opening.first().copied().filter(|_| !entry.loading) else {
                return database.tidy(node);
            };
            let owner = |conn| self.connections.get(&conn).and_then(|it| it.owner());
            let (Some((principal, key)), live) = (owner(conn), entry.conn) else { return };
            //= RLY-12
            if live.is_some_and(|live| owner(live) != Some((principal, key))) {
                entry.opening.remove(0);
                self.close(conn, not_yours());
                continue;
            }
            //= RLY-14
            if let Some(live) = live {
                let text = "a newer connection of this node was opened";
                self.close(live, Fault::new(ErrorCode::REPLACED, text));
                continue;
            }
            //= RLY-15
            if entry.appends > 0 && !Mutant::MarkBeforeCommit.is_on() {
                return;
            }
            entry.loading = true;
            let (principal, key) = (principal.clone(), *key);
            //= RLY-13
            return self.io.ask(Asked::Node(id, node, conn), |ticket| Output::LoadNode {
                ticket,
                database: id,
                node,
                key,
                principal,
            });
        }
    }

    /// The store said whose a node is; `None` if it could not.
    pub(super) fn node_loaded(&mut self, id: DatabaseId, node: NodeId, conn: ConnId, claim: Option<Claim>) {
        let Some(database) = self.databases.get_mut(&id) else { return };
        let Some(entry) = database.nodes.get_mut(&node) else { return };
        entry.loading = false;
        // It may have gone meanwhile.
        if entry.opening.first() == Some(&conn) {
            entry.opening.remove(0);
            entry.opening.shrink_to_fit();
            match claim {
                Some(Claim::Yours(mark)) => {
                    let mark = if Mutant::MarkBeforeCommit.is_on() {
                        database.writer.mark_under_way(node).unwrap_or(mark)
                    } else {
                        mark
                    };
                    entry.conn = Some(conn);
                    let Some(opening) = self.connections.get(&conn).and_then(|it| it.opening.as_ref()) else {
                        return;
                    };
                    //= RLY-16
                    if opening.seen.iter().any(|position| database.history.is_ahead(*position)) {
                        database.writer.mint(conn, mark);
                        database.write(&mut self.io);
                    } else {
                        self.welcome(conn, mark);
                    }
                }
                Some(Claim::NotYours) => self.close(conn, not_yours()),
                None => self.leave(conn, GoodbyeReason::RESTARTING),
            }
        }
        self.settle_node(id, node);
    }

    /// Sends welcome.
    pub(super) fn welcome(&mut self, conn: ConnId, mark: Mark) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        let Some(opening) = connection.opening.as_deref() else { return };
        let Some(id) = opening.database else { return };
        let Some(database) = self.databases.get(&id) else { return };
        let history = &database.history;
        let starts: Vec<_> = history.known(&opening.seen).iter().filter_map(start).collect();
        let agreed: Vec<_> = agreed(opening.capabilities).collect();
        let limits = limits(&mut self.io);
        // Epochs descend and differ, capabilities and limits ascend.
        let (Ok(epochs), Ok(capabilities), Ok(limits)) =
            (List::new(&starts), List::new(&agreed), LimitList::new(&limits))
        else {
            debug_assert!(false, "welcome is legal");
            return self.leave(conn, GoodbyeReason::RESTARTING);
        };
        //= RLY-18
        let (agreed, restore_mode) = history.agreed(&opening.seen);
        let welcome = Welcome {
            version: VERSION,
            //= NEG-4
            capabilities,
            epochs,
            agreed,
            restore_mode,
            mark,
            head: history.name(history.head()),
            limits,
            heartbeat: self.io.config.heartbeat,
            relay_time: self.io.now.unix_ms,
            extensions: Extensions::EMPTY,
        };
        let capabilities = opening.capabilities;
        connection.link.send(&mut self.io, 0, &Message::Welcome(welcome));
        connection.change(Event::Welcome);
        connection.link.context = Context::session(capabilities);
        connection.link.heard_at = self.io.ms();
        connection.link.pinged_at = self.io.ms();
        let opening = connection.opening.take();
        connection.session = opening.and_then(|opening| Session::new(*opening, id, mark)).map(Box::new);
        self.opening -= 1;
        self.rearm(conn);
    }

    /// Credentials were shown on a living connection, and are good.
    pub(super) fn reauthorized(&mut self, conn: ConnId, request_id: u32, grant: Grant, valid_for: u32) {
        let Some(active) = self.active(conn) else { return };
        //= SES-90
        if grant.principal != active.session.principal {
            return self.close(conn, not_yours());
        }
        //= SES-89
        active.session.expires_at = grant.expires_at;
        //= SES-94
        if self.has_said_goodbye(conn) {
            return;
        }
        let Some(mut active) = self.active(conn) else { return };
        active.acknowledge_authentication(request_id, valid_for);
        self.rearm(conn);
        self.rights_changed(conn, grant.rights);
    }

    /// Credentials that were shown on a living connection are not good, or give no right to its database.
    pub(super) fn not_reauthorized(&mut self, conn: ConnId, request_id: u32, code: ErrorCode) {
        if code.disposition() == Disposition::Close {
            return self.close(conn, Fault::new(code, why_not(code, "these credentials are not good")));
        }
        //= SES-94
        if self.has_said_goodbye(conn) {
            return;
        }
        let Some(mut active) = self.active(conn) else { return };
        active.refuse(request_id, code, "the credentials were not taken");
        if code == ErrorCode::FORBIDDEN {
            self.rights_changed(conn, Arc::new(Rights::default()));
        }
    }

    /// Whether nothing more may be sent, although the connection is still there.
    fn has_said_goodbye(&self, conn: ConnId) -> bool {
        self.connections.get(&conn).is_some_and(|connection| connection.said_goodbye)
    }

    /// What an answer about credentials grants: with the seconds that it holds, 0 for no end. `None` if
    /// it holds no more.
    pub(super) fn grant(
        &self,
        principal: Principal,
        rights: Arc<Rights>,
        valid_until_ms: Option<u64>,
    ) -> Option<(Grant, u32)> {
        let Some(until) = valid_until_ms else {
            return Some((Grant { principal, rights, expires_at: NEVER }, 0));
        };
        let left = until.checked_sub(self.io.now.unix_ms).filter(|left| *left > 0)?;
        //= SES-91
        let expires_at = self.io.ms().saturating_add(left).saturating_add(EXPIRY_GRACE);
        let seconds = u32::try_from(left.div_ceil(1_000)).unwrap_or(u32::MAX);
        Some((Grant { principal, rights, expires_at }, seconds))
    }
}

/// What a handshake asks for, if this relay can give it.
fn opening(handshake: &Handshake<'_>, own: Capabilities) -> Result<Opening, Fault> {
    //= NEG-1
    if !handshake.versions.contains(VERSION) {
        return Err(Fault::new(ErrorCode::VERSION_NOT_SUPPORTED, "this relay speaks version 1.0 (0x0100)"));
    }
    let mut capabilities = Capabilities::NONE;
    for capability in handshake.capabilities {
        if own.has(capability) {
            capabilities = capabilities.with(capability);
        //= NEG-3
        //= NEG-6
        } else if capability.is_required() {
            return Err(Fault::new(
                ErrorCode::CAPABILITY_REQUIRED,
                "this relay has not all that is required",
            ));
        }
    }
    let mut update_bytes = LimitId::UPDATE_BYTES.default_value().unwrap_or(u64::MAX);
    for limit in handshake.limits {
        //= NEG-7
        if limit.id.0.is_multiple_of(2) {
            return Err(Fault::new(ErrorCode::LIMIT_NOT_SUPPORTED, "a limit is unknown and even"));
        }
        if limit.id == LimitId::UPDATE_BYTES {
            update_bytes = limit.value;
        }
    }
    // The name was checked when the handshake was decoded.
    let Ok(name) = DatabaseName::new(handshake.database.as_str()) else {
        return Err(Fault::new(ErrorCode::UNKNOWN_DATABASE, ""));
    };
    Ok(Opening {
        name,
        node: handshake.node,
        key: handshake.node_key,
        seen: handshake.seen.iter().collect(),
        capabilities,
        update_bytes,
        grant: None,
        database: None,
    })
}

pub(super) fn credentials(authentication: &Authentication<'_>) -> Credentials {
    match authentication {
        Authentication::None => Credentials { method: 0, token: Bytes::new() },
        Authentication::Token { method, token } => {
            Credentials { method: method.get(), token: Bytes::copy_from_slice(token.as_bytes()) }
        }
    }
}

/// What is said of credentials that were not taken.
fn why_not(code: ErrorCode, otherwise: &'static str) -> &'static str {
    //= SEC-3
    if code == ErrorCode::RATE_LIMITED {
        "too many logins from your address failed: correct the token, and come back after the time given"
    } else {
        otherwise
    }
}

const fn not_yours() -> Fault {
    Fault::new(ErrorCode::NOT_YOUR_NODE, "the node belongs to another principal or key")
}

fn start(epoch: &Epoch) -> Option<EpochStart> {
    EpochStart::new(epoch.id, epoch.begins).ok()
}

/// Those capabilities, in their odd form.
fn agreed(capabilities: Capabilities) -> impl Iterator<Item = Capability> {
    Capability::ALL.iter().map(|(capability, _)| *capability).filter(move |it| capabilities.has(*it))
}

fn limits(io: &mut Io) -> Vec<Limit> {
    let mut limits: Vec<_> =
        io.config.limits().map(|(id, value)| Limit { id: LimitId(id.0), value }).to_vec();
    // Grease stands behind all assigned ids.
    limits.extend(io.grease().map(|code| Limit { id: LimitId(code), value: 0 }));
    limits
}
