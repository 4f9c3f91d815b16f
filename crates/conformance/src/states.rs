//! The states of both ends (SPEC.md 10.1), written from the tables of the code.

use core::fmt::Write as _;

use blazedb_relay::client::{self, Trigger};
use blazedb_relay::registry::MessageType;
use blazedb_relay::relay::{self, Event};

use crate::session::Role;

/// Which message is taken in which state: a table in Markdown. Messages that agree stand on one line.
#[must_use]
pub fn messages() -> String {
    let mut rows: Vec<(Vec<&str>, [String; 2])> = Vec::new();
    for (kind, name) in MessageType::ALL {
        let takes = [relay_takes(*kind), client_takes(*kind)];
        match rows.iter_mut().find(|(_, others)| *others == takes) {
            Some((names, _)) => names.push(name),
            None => rows.push((vec![name], takes)),
        }
    }
    let mut table = String::from("| message | relay takes it in | client takes it in |\n|---|---|---|\n");
    for (names, [relay, client]) in rows {
        // Writing to a string does not fail.
        let _ = writeln!(table, "| {} | {relay} | {client} |", names.join(", "));
    }
    table
}

fn relay_takes(kind: MessageType) -> String {
    let states = relay::TAKEN.iter().find(|(taken, _)| *taken == kind).map(|(_, states)| *states);
    listed(states.unwrap_or_default().iter().map(|state| state.name()))
}

fn client_takes(kind: MessageType) -> String {
    let states = client::TAKES.iter().find(|(taken, _)| *taken == kind).map(|(_, states)| *states);
    listed(states.unwrap_or_default().iter().map(|state| state.name()))
}

fn listed<'a>(states: impl Iterator<Item = &'a str>) -> String {
    let states: Vec<_> = states.collect();
    if states.is_empty() { "never".into() } else { states.join(", ") }
}

/// The changes of state of one end: a graph in DOT.
#[must_use]
pub fn graph(role: Role) -> String {
    let changes: Vec<(&str, &str, &str)> = match role {
        Role::Relay => relay::CHANGES
            .iter()
            .map(|(from, event, to)| (from.name(), event_name(*event), to.name()))
            .collect(),
        Role::Client => client::TABLE
            .iter()
            .map(|(from, trigger, to)| (from.name(), trigger_name(*trigger), to.name()))
            .collect(),
    };
    let name = if role == Role::Relay { "relay" } else { "client" };
    let mut graph = format!("digraph {name} {{\n");
    for (from, label, to) in changes {
        let _ = writeln!(graph, "  {from} -> {to} [label=\"{label}\"]");
    }
    graph.push_str("}\n");
    graph
}

const fn event_name(event: Event) -> &'static str {
    match event {
        Event::Handshake => "handshake",
        Event::Welcome => "welcome",
        Event::Goodbye => "goodbye",
        Event::End => "end",
    }
}

const fn trigger_name(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Opened => "opened",
        Trigger::Welcome => "welcome",
        Trigger::Settled => "settled",
        Trigger::Goodbye => "goodbye",
        Trigger::End => "end",
    }
}

/// The text with everything between its markers that the code decides: `registry:session-messages`,
/// `states:relay`, `states:client`. `None` if a marker is missing.
#[must_use]
pub fn fill(text: &str) -> Option<String> {
    let fenced = |graph: String| format!("```dot\n{graph}```\n");
    let text = between(text, "registry:session-messages", &messages())?;
    let text = between(&text, "states:relay", &fenced(graph(Role::Relay)))?;
    between(&text, "states:client", &fenced(graph(Role::Client)))
}

fn between(text: &str, marker: &str, content: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- {marker} -->\n"), format!("<!-- /{marker} -->"));
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}{content}{end}{after}"))
}
