//! The tables and graphs of SPEC.md 10.1 are those of the code.

#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

use std::collections::BTreeSet;

use blazedb_relay::client::{self, TABLE, TAKES};
use blazedb_relay::registry::MessageType;
use blazedb_relay::relay::TAKEN;
use blazedb_relay_conformance::{spec, states};

//= SES-2 test
#[test]
fn the_states_are_those_of_the_code() {
    let text = spec::text().unwrap();
    let filled = states::fill(&text).unwrap();
    assert!(filled == text, "run `cargo run -p xtask -- spec-index`");
}

//= SES-2 test
#[test]
fn every_message_has_its_line() {
    let known: BTreeSet<_> = MessageType::ALL.iter().map(|(kind, _)| *kind).collect();
    let relay: BTreeSet<_> = TAKEN.iter().map(|(kind, _)| *kind).collect();
    let client: BTreeSet<_> = TAKES.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(relay, known);
    assert!(client.is_subset(&known));
}

/// What is listed once happens; what is listed twice would be decided by the order of the list.
#[test]
fn a_state_and_what_happens_lead_to_one_state() {
    let pairs: BTreeSet<_> = TABLE.iter().map(|(from, trigger, _)| (*from, *trigger)).collect();
    assert_eq!(pairs.len(), TABLE.len());
    // From anywhere the end leads to C0, where it begins.
    let states: BTreeSet<_> = TABLE.iter().map(|(from, ..)| *from).collect();
    for state in states.into_iter().filter(|state| *state != client::State::Apart) {
        assert!(pairs.contains(&(state, client::Trigger::End)), "{state:?}");
    }
}
