//! The states of a client's end of a connection, as tables (SPEC.md 10.1).

use crate::registry::MessageType;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// C0: no transport.
    Apart,
    /// C1: handshake sent.
    Greeting,
    /// C2: welcome received; mark, check and history are settled, nothing is sent.
    Settling,
    /// C3: settled.
    Active,
    /// C4: goodbye sent or received.
    Draining,
}

impl State {
    /// Its short name, as C1.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apart => "C0",
            Self::Greeting => "C1",
            Self::Settling => "C2",
            Self::Active => "C3",
            Self::Draining => "C4",
        }
    }
}

/// What leads from one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// The transport is open, and handshake sent.
    Opened,
    /// Welcome was received.
    Welcome,
    /// What welcome led to is committed, and the client is the same node.
    Settled,
    /// Goodbye was sent or received.
    Goodbye,
    /// An error, a timer, or the end of the transport.
    End,
}

/// From where, by what, to where. What is not listed does not happen.
pub const TABLE: &[(State, Trigger, State)] = &[
    (State::Apart, Trigger::Opened, State::Greeting),
    (State::Greeting, Trigger::Welcome, State::Settling),
    (State::Greeting, Trigger::Goodbye, State::Draining),
    (State::Greeting, Trigger::End, State::Apart),
    (State::Settling, Trigger::Settled, State::Active),
    (State::Settling, Trigger::Goodbye, State::Draining),
    (State::Settling, Trigger::End, State::Apart),
    (State::Active, Trigger::Goodbye, State::Draining),
    (State::Active, Trigger::End, State::Apart),
    (State::Draining, Trigger::End, State::Apart),
];

/// The states in which a client takes a message. What is not listed is never taken (SES-2).
pub const TAKES: &[(MessageType, &[State])] = &[
    (MessageType::WELCOME, &[State::Greeting, State::Draining]),
    (MessageType::SYNC_STATE, &[State::Active, State::Draining]),
    (MessageType::PULL_RESPONSE, &[State::Active, State::Draining]),
    (MessageType::PUSH_ACK, &[State::Active, State::Draining]),
    (MessageType::UPDATE, &[State::Active, State::Draining]),
    (MessageType::QUERY_RESPONSE, &[State::Active, State::Draining]),
    (MessageType::AUTHENTICATE_ACK, &[State::Active, State::Draining]),
    (MessageType::PING, &[State::Active, State::Draining]),
    (MessageType::PONG, &[State::Active, State::Draining]),
    (MessageType::ERROR, &[State::Greeting, State::Active, State::Draining]),
    (MessageType::GOODBYE, &[State::Greeting, State::Active, State::Draining]),
];

impl State {
    /// Where `trigger` leads from here; nowhere if the table does not say.
    pub(super) fn after(self, trigger: Trigger) -> Option<Self> {
        let found = TABLE.iter().find(|(from, by, _)| (*from, *by) == (self, trigger));
        found.map(|(_, _, to)| *to)
    }

    /// Whether a message of type `kind` is taken here. Those that 1.0 does not know are skipped anywhere.
    //= SES-2
    pub(super) fn takes(self, kind: MessageType) -> bool {
        let found = TAKES.iter().find(|(listed, _)| *listed == kind);
        found.is_some_and(|(_, states)| states.contains(&self)) || !kind.0.is_multiple_of(2)
    }
}
