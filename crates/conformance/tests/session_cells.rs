//! The session vectors have every message in every state, and every change of state (SPEC.md 10.1).

#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

use std::collections::{BTreeMap, BTreeSet};

use blazedb_relay::client;
use blazedb_relay::frame::{CHECKSUM, HEAD};
use blazedb_relay::registry::MessageType;
use blazedb_relay::relay;
use blazedb_relay_conformance::meaning::unhex;
use blazedb_relay_conformance::session::{Role, Test};
use blazedb_relay_conformance::{spec, vectors};
use serde_json::Value as Json;

/// The types of frames that stand one behind another; what is not whole at the end is left out.
fn types(hex: &Json) -> Vec<MessageType> {
    let bytes = unhex(hex.as_str().unwrap()).unwrap();
    let mut rest = &bytes[..];
    let mut all = Vec::new();
    while rest.len() >= HEAD {
        let length = |at: usize| u32::from_be_bytes(*rest[at..].first_chunk().unwrap()) as usize;
        let len = HEAD + length(8) + CHECKSUM + length(12);
        all.push(MessageType(u16::from_be_bytes([rest[2], rest[3]])));
        rest = rest.get(len..).unwrap_or_default();
    }
    all
}

fn conn(of: &Json) -> String {
    of["conn"].as_str().unwrap_or_default().to_owned()
}

/// What a vector shows: messages that came, each with the state that they came in, and changes of state.
#[derive(Default)]
struct Seen {
    cells: BTreeSet<(MessageType, String)>,
    changes: BTreeSet<(String, String)>,
}

/// Follows the states of the tables in SPEC.md 10.1 through a transcript, from what goes in and comes out.
struct Walk<'a> {
    seen: &'a mut Seen,
    role: Role,
    states: BTreeMap<String, &'static str>,
}

impl Walk<'_> {
    fn of(&self, conn: &str) -> &'static str {
        let first = if self.role == Role::Relay { "" } else { "C0" };
        self.states.get(conn).copied().unwrap_or(first)
    }

    fn go(&mut self, conn: &str, to: &'static str) {
        let from = self.of(conn);
        if from != to {
            self.seen.changes.insert((from.into(), to.into()));
            self.states.insert(conn.into(), to);
        }
    }

    fn pick(&self, relay: &'static str, client: &'static str) -> &'static str {
        if self.role == Role::Relay { relay } else { client }
    }

    fn step(&mut self, step: &Json) {
        let (kind, of) = step["input"].as_object().unwrap().iter().next().unwrap();
        let on = conn(of);
        match kind.as_str() {
            "opened" => self.go(&on, self.pick("R1", "C1")),
            "closed" => self.go(&on, self.pick("R5", "C0")),
            "received" => types(&of["hex"]).into_iter().for_each(|kind| self.received(&on, kind)),
            _ => {}
        }
        for output in step["outputs"].as_array().unwrap() {
            let (kind, of) = output.as_object().unwrap().iter().next().unwrap();
            match kind.as_str() {
                "send" => types(&of["hex"]).into_iter().for_each(|kind| self.sent(&conn(of), kind)),
                "close" => self.go(&conn(of), self.pick("R5", "C0")),
                _ => {}
            }
        }
    }

    fn received(&mut self, on: &str, kind: MessageType) {
        let state = self.of(on);
        self.seen.cells.insert((kind, state.into()));
        match (kind, state) {
            (MessageType::HANDSHAKE, "R1") => self.go(on, "R2"),
            // Settling takes no time: welcome leads to C2, and that to C3 or by goodbye to C4.
            (MessageType::WELCOME, "C1") => {
                self.go(on, "C2");
                self.states.insert(on.into(), "C2");
            }
            (MessageType::GOODBYE, "R3") => self.go(on, "R4"),
            (MessageType::GOODBYE, "R1" | "R2") => self.go(on, "R5"),
            (MessageType::GOODBYE, "C1" | "C3") => self.go(on, "C4"),
            _ => {}
        }
    }

    fn sent(&mut self, on: &str, kind: MessageType) {
        match kind {
            MessageType::WELCOME => self.go(on, "R3"),
            MessageType::GOODBYE if self.of(on) == "R3" => self.go(on, "R4"),
            MessageType::GOODBYE if self.role == Role::Client => self.go(on, "C4"),
            _ => {}
        }
    }
}

fn walk(role: Role) -> Seen {
    let mut seen = Seen::default();
    let tests: Vec<Test> = vectors::load_session(&spec::root().join("test-vectors")).unwrap();
    for test in tests.iter().filter(|test| test.role == role) {
        let mut walk = Walk { seen: &mut seen, role, states: BTreeMap::new() };
        for step in &test.steps {
            walk.step(step);
            // What is still connected when all is settled goes on.
            if walk.of("") == "C2" {
                walk.go("", "C3");
            }
        }
    }
    seen
}

/// That are all cells of both tables, those in which a message closes the connection included.
//= SES-2 test
#[test]
fn every_message_stands_in_every_state() {
    for (role, states) in
        [(Role::Relay, ["R1", "R2", "R3", "R4"].as_slice()), (Role::Client, &["C1", "C3", "C4"])]
    {
        let seen = walk(role);
        let all = MessageType::ALL
            .iter()
            .flat_map(|(kind, name)| states.iter().map(move |state| (kind, name, state)));
        let missing: Vec<_> = all
            .filter(|(kind, _, state)| !seen.cells.contains(&(**kind, (**state).to_owned())))
            .map(|(_, name, state)| format!("{name} in {state}"))
            .collect();
        assert!(missing.is_empty(), "{missing:#?}");
    }
}

#[test]
fn every_change_of_state_stands_somewhere() {
    let relay: BTreeSet<_> =
        relay::CHANGES.iter().map(|(from, _, to)| (from.name().to_owned(), to.name().to_owned())).collect();
    let seen = walk(Role::Relay).changes;
    assert_eq!(relay.difference(&seen).collect::<Vec<_>>(), Vec::<&(String, String)>::new());

    let client = client::TABLE.iter();
    let client: BTreeSet<_> =
        client.map(|(from, _, to)| (from.name().to_owned(), to.name().to_owned())).collect();
    let seen = walk(Role::Client).changes;
    let settling_fails = ("C2".to_owned(), "C0".to_owned());
    let missing: Vec<_> = client.difference(&seen).filter(|change| **change != settling_fails).collect();
    assert_eq!(missing, Vec::<&(String, String)>::new());
}
