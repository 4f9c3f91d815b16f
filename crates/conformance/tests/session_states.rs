//! The table of SPEC.md 10.1 and the code agree on what is taken in which state.

#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

use std::collections::BTreeMap;

use blazedb_relay::registry::MessageType;
use blazedb_relay::relay::{State, TAKEN};
use blazedb_relay_conformance::spec;

/// For each message the names of the states in that column of the table.
fn column(index: usize) -> BTreeMap<MessageType, Vec<String>> {
    let mut all = BTreeMap::new();
    for row in spec::table(&spec::text().unwrap(), "session-messages") {
        let states = match row[index].as_str() {
            "never" => Vec::new(),
            names => names.split(", ").map(str::to_owned).collect(),
        };
        for name in row[0].split(", ") {
            let kind = MessageType::from_name(name).unwrap();
            assert_eq!(all.insert(kind, states.clone()), None, "{name} stands twice");
        }
    }
    all
}

//= SES-2 test
#[test]
fn the_relay_takes_what_the_table_says() {
    let code: BTreeMap<_, Vec<_>> = TAKEN
        .iter()
        .map(|(kind, states)| (*kind, states.iter().map(|state| State::name(*state).to_owned()).collect()))
        .collect();
    assert_eq!(column(1), code);
}
