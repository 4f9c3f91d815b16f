//! The states of the relay's end of a connection, and what it takes in each (SPEC.md 10.1), as tables.

use crate::registry::MessageType;

/// Where the relay's end of a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// R1: the transport is open.
    Waiting,
    /// R2: a handshake was taken; rights, node and appends under way are settled.
    Opening,
    /// R3: welcome was sent.
    Active,
    /// R4: goodbye was sent or received.
    Draining,
    /// R5: it is over.
    Closed,
}

impl State {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Opening, Self::Active, Self::Draining, Self::Closed];

    /// Its short name, as R1.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "R1",
            Self::Opening => "R2",
            Self::Active => "R3",
            Self::Draining => "R4",
            Self::Closed => "R5",
        }
    }

    /// Whether a message of that type is taken in this state. All others close the connection (SES-2).
    #[must_use]
    pub fn takes(self, kind: MessageType) -> bool {
        TAKEN.iter().any(|(taken, states)| *taken == kind && states.contains(&self))
    }

    /// The state after `event`, or `None` if it cannot happen in this one.
    #[must_use]
    pub fn after(self, event: Event) -> Option<Self> {
        CHANGES.iter().find(|(from, on, _)| *from == self && *on == event).map(|(_, _, to)| *to)
    }
}

/// What changes a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A handshake was taken.
    Handshake,
    /// Welcome was sent.
    Welcome,
    /// Goodbye was sent or received.
    Goodbye,
    /// An error, a timer, or the end of the transport.
    End,
}

/// Which event leads from where to where. What is not listed does not happen.
pub const CHANGES: &[(State, Event, State)] = &[
    (State::Waiting, Event::Handshake, State::Opening),
    (State::Opening, Event::Welcome, State::Active),
    (State::Active, Event::Goodbye, State::Draining),
    // Before welcome there is nothing to drain.
    (State::Waiting, Event::Goodbye, State::Closed),
    (State::Opening, Event::Goodbye, State::Closed),
    (State::Waiting, Event::End, State::Closed),
    (State::Opening, Event::End, State::Closed),
    (State::Active, Event::End, State::Closed),
    (State::Draining, Event::End, State::Closed),
];

const R1: &[State] = &[State::Waiting];
const R3: &[State] = &[State::Active];
const R1_TO_R3: &[State] = &[State::Waiting, State::Opening, State::Active];
const NEVER: &[State] = &[];

/// In which states the relay takes which message: the rows of the table in SPEC.md 10.1.
pub const TAKEN: &[(MessageType, &[State])] = &[
    (MessageType::HANDSHAKE, R1),
    (MessageType::WELCOME, NEVER),
    (MessageType::SYNC_STATE_REQUEST, R3),
    (MessageType::SYNC_STATE, NEVER),
    (MessageType::PULL_REQUEST, R3),
    (MessageType::PULL_RESPONSE, NEVER),
    (MessageType::PUSH, R3),
    (MessageType::PUSH_ACK, NEVER),
    (MessageType::SUBSCRIBE, R3),
    (MessageType::UNSUBSCRIBE, R3),
    (MessageType::UPDATE, NEVER),
    (MessageType::UPDATE_ACK, R3),
    (MessageType::QUERY, R3),
    (MessageType::QUERY_RESPONSE, NEVER),
    (MessageType::AUTHENTICATE, R3),
    (MessageType::AUTHENTICATE_ACK, NEVER),
    (MessageType::PING, R3),
    (MessageType::PONG, R3),
    (MessageType::ERROR, R1_TO_R3),
    (MessageType::GOODBYE, R1_TO_R3),
];

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::string::String;

    use super::*;

    //= SES-2 test
    #[test]
    fn every_message_is_listed_once() {
        let listed = TAKEN.iter().map(|(kind, _)| *kind);
        assert!(listed.eq(MessageType::ALL.iter().map(|(kind, _)| *kind)));
    }

    #[test]
    fn the_whole_matrix() {
        let mut matrix = String::new();
        for state in State::ALL {
            for event in [Event::Handshake, Event::Welcome, Event::Goodbye, Event::End] {
                let after = state.after(event).map_or("--", State::name);
                matrix += &format!("{after} ");
            }
            matrix += "\n";
        }
        // Columns: handshake, welcome, goodbye, end.
        let expected = "R2 -- R5 R5 \n-- R3 R5 R5 \n-- -- R4 R5 \n-- -- -- R5 \n-- -- -- -- \n";
        assert_eq!(matrix, expected);
    }
}
