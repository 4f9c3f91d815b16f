//! From handshake to C3 (SPEC.md 10.3 to 10.5).

use super::{Event, NewNode, Session, State, Trigger};
use crate::client::Replica;
use crate::client::settle::Terms;
use crate::limits::MAX_BLOCK;
use crate::message::{
    Data, DatabaseRef, Extensions, Handshake, Limit, List, Message, ProtocolText, RestoreMode, VersionRange,
    Welcome,
};
use crate::registry::{Capabilities, ErrorCode, LimitId};
use crate::wire::Position;

/// What welcome told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Agreed {
    pub(super) capabilities: Capabilities,
    pub(super) head: Position,
    pub(super) push_bytes: u64,
    pub(super) push_blocks: u64,
    pub(super) subscriptions: u64,
    pub(super) requests: u64,
    pub(super) operations_per_second: u64,
    pub(super) rows: u64,
}

impl Default for Agreed {
    fn default() -> Self {
        let default = |id: LimitId| id.default_value().unwrap_or_default();
        Self {
            capabilities: Capabilities::NONE,
            head: Position::START,
            push_bytes: default(LimitId::PUSH_BYTES),
            push_blocks: default(LimitId::PUSH_BLOCKS),
            subscriptions: default(LimitId::SUBSCRIPTIONS),
            requests: default(LimitId::REQUESTS),
            operations_per_second: default(LimitId::OPERATIONS_PER_SECOND),
            rows: default(LimitId::ROWS),
        }
    }
}

/// Least value of limit push bytes: one largest block with its header (RLY-25).
const LEAST_PUSH_BYTES: u64 = MAX_BLOCK as u64 + 36;

impl Session {
    /// Sends the handshake.
    pub(super) fn greet(&mut self, replica: &Replica, now: u64) {
        if self.state != State::Apart {
            return;
        }
        let node = replica.node();
        let capabilities = self.config.offered();
        let update_bytes = Limit { id: LimitId::UPDATE_BYTES, value: self.config.update_bytes };
        let tell = Some(update_bytes.value) != LimitId::UPDATE_BYTES.default_value();
        let limits = if tell { &[update_bytes][..] } else { &[] };
        //= SES-11
        let lists = (
            //= SES-13
            List::new(replica.seen().positions()),
            List::new(&capabilities),
            List::new(limits),
        );
        // All of them keep the rules of their lists by construction.
        let (Ok(seen), Ok(capabilities), Ok(limits)) = lists else { return };
        let database = self.config.database.clone();
        let credentials = self.config.credentials.clone();
        let handshake = Handshake {
            protocol: ProtocolText::V1_0,
            versions: VersionRange::V1_0,
            database: DatabaseRef::from(&database),
            node: node.identity.node,
            node_key: node.identity.key,
            highest_given_out: node.given,
            seen,
            public_key: Data::EMPTY,
            capabilities,
            authentication: credentials.authentication(),
            limits,
            extensions: Extensions::EMPTY,
        };
        self.node = Some(node.identity.node);
        //= SES-1
        self.enter(Trigger::Opened);
        self.say(Message::Handshake(handshake));
        self.timers.greet(now);
    }

    //= SES-16
    /// Settles and goes on, or becomes a new node. The relay's time is for people.
    pub(super) fn welcome(&mut self, replica: &mut Replica, now: u64, welcome: &Welcome<'_>) {
        self.agreed = match self.agree(replica, welcome) {
            Ok(agreed) => agreed,
            Err(code) => return self.fault(now, code),
        };
        self.enter(Trigger::Welcome);
        let Welcome { agreed, restore_mode, mark, .. } = *welcome;
        let (settled, changes) = replica.settle(Terms { agreed, restore_mode, mark }, self.spare);
        self.commit(changes);
        if let Some(mode) = settled.lost {
            self.event(Event::LostHistory(mode));
            if mode == RestoreMode::Discard {
                self.event(Event::Dropped);
            }
        }
        if settled.new_node {
            let discarded = settled.lost == Some(RestoreMode::Discard);
            let why = if discarded { NewNode::Discarded } else { NewNode::OutOfStep };
            return self.end_for_new_node(Some(why));
        }
        self.enter(Trigger::Settled);
        self.timers.activate(now, u64::from(welcome.heartbeat.milliseconds()));
        //= SES-43
        self.pushes.begin(mark.node_seq().get() + 1);
        self.restoring.reading_moved();
        self.event(Event::Active { head: welcome.head });
        self.look_at_reader(replica);
    }

    /// Checks what welcome tells.
    fn agree(&self, replica: &Replica, welcome: &Welcome<'_>) -> Result<Agreed, ErrorCode> {
        //= NEG-2
        if !VersionRange::V1_0.contains(welcome.version) {
            return Err(ErrorCode::VERSION_NOT_SUPPORTED);
        }
        let offered = self.config.offered();
        let mut agreed = Agreed { head: welcome.head, ..Agreed::default() };
        for capability in welcome.capabilities {
            //= NEG-5
            let was_offered = offered.iter().any(|offered| offered.optional() == capability);
            if capability.is_required() || !was_offered {
                return Err(ErrorCode::PROTOCOL_ERROR);
            }
            agreed.capabilities = agreed.capabilities.with(capability);
        }
        // A relay that keeps the rules has not welcomed who must have what it lacks (NEG-3).
        if offered.iter().any(|offered| offered.is_required() && !agreed.capabilities.has(*offered)) {
            return Err(ErrorCode::CAPABILITY_REQUIRED);
        }
        //= NEG-7
        for Limit { id, value } in welcome.limits {
            match id {
                LimitId::PUSH_BYTES => agreed.push_bytes = value,
                LimitId::PUSH_BLOCKS => agreed.push_blocks = value,
                LimitId::SUBSCRIPTIONS => agreed.subscriptions = value,
                LimitId::REQUESTS => agreed.requests = value,
                LimitId::OPERATIONS_PER_SECOND => agreed.operations_per_second = value,
                LimitId::ROWS => agreed.rows = value,
                LimitId(id) if id.is_multiple_of(2) => return Err(ErrorCode::LIMIT_NOT_SUPPORTED),
                _ => {}
            }
        }
        // With less than RLY-25 says, a large operation could never be sent.
        if agreed.push_bytes < LEAST_PUSH_BYTES || agreed.push_blocks < 1 {
            return Err(ErrorCode::PROTOCOL_ERROR);
        }
        //= SES-14
        if welcome.agreed.seq() > replica.seen().greatest_seq() {
            return Err(ErrorCode::PROTOCOL_ERROR);
        }
        Ok(agreed)
    }
}
