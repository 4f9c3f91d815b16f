//! Session vectors: transcripts of a relay or a client. A script gives inputs and says in words what has
//! to come of each; the bytes of what came are recorded.

mod client_ending;
mod client_opening;
mod client_reading;
mod client_session;
mod client_world;
mod relay_delivery;
mod relay_opening;
mod relay_pushing;
mod relay_requests;
mod relay_world;
mod script;
mod states;
mod words;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use blazedb_relay_conformance::meaning::unhex;
use blazedb_relay_conformance::reference;
use blazedb_relay_conformance::session::Role;
use serde_json::{Map, Value as Json, json};

use super::merge::Checked;
use script::Test;

type Groups = Vec<(&'static str, Vec<Test>)>;

/// Name, header and tests of each file.
fn all() -> Vec<(&'static str, &'static str, Groups)> {
    vec![
        (
            "relay-opening",
            "A relay from an open transport to welcome.",
            vec![("before welcome", relay_opening::tests())],
        ),
        ("relay-pushing", "A relay that takes pushes.", vec![("pushes", relay_pushing::tests())]),
        ("relay-delivery", "A relay that delivers.", vec![("reading", relay_delivery::tests())]),
        ("relay-session", "A relay's requests, credentials, timers and endings.", relay_requests::tests()),
        (
            "relay-states",
            "Every message in every state of a relay in which no other transcript has it.",
            vec![("states", states::relay())],
        ),
        (
            "client-states",
            "Every message in every state of a client in which no other transcript has it.",
            vec![("states", states::client())],
        ),
        ("client-opening", "A client from an open transport to its first push.", client_opening::tests()),
        (
            "client-session",
            "An active client: pushing, reading, requests, timers and endings.",
            vec![
                ("pushes", client_session::pushing()),
                ("reading", client_reading::reading()),
                ("requests", client_reading::requests()),
                ("timers", client_ending::timers()),
                ("endings", client_ending::endings()),
            ],
        ),
    ]
}

/// Path, content and number of tests of each file.
///
/// # Errors
/// If something comes of an input that its script does not say.
pub fn files() -> Result<Vec<(String, Json, usize)>> {
    let all = all();
    let tests = || all.iter().flat_map(|(.., groups)| groups).flat_map(|(_, tests)| tests);
    let wrong: Vec<_> = tests().flat_map(|test| test.wrong.iter().cloned()).collect();
    if !wrong.is_empty() {
        bail!("{}\n{} things are not as the scripts say", wrong.join("\n"), wrong.len());
    }
    let mut files = Vec::new();
    for (name, header, groups) in &all {
        let count: usize = groups.iter().map(|(_, tests)| tests.len()).sum();
        let role = groups[0].1[0].role;
        let groups: Vec<Json> = groups
            .iter()
            .map(|(name, tests)| json!({ "name": name, "tests": tests.iter().map(|test| &test.json).collect::<Vec<_>>() }))
            .collect();
        let json = json!({
            "schema": "session-v1",
            "spec_version": "1.0",
            "target": role.target(),
            "header": [header],
            "source": { "name": format!("xtask/gen-vectors/session/{name}"), "version": "1" },
            "number_of_tests": count,
            "groups": groups,
        });
        files.push((format!("v1/session/{name}.json"), json, count));
    }
    Ok(files)
}

/// Checks ids, rules, and the files against their schema; adds what is `wrong`.
///
/// # Errors
/// If the schema cannot be read, or something comes of an input that its script does not say.
pub fn lint(rules: &BTreeSet<String>, wrong: &mut Vec<String>) -> Result<Checked> {
    let mut ids = BTreeSet::new();
    for (.., groups) in all() {
        for test in groups.iter().flat_map(|(_, tests)| tests) {
            let prefix = if test.role == Role::Relay { "session/relay-" } else { "session/client-" };
            let slug = test.id.strip_prefix(prefix).unwrap_or("?");
            if !slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
                wrong.push(format!("{}: is no id of its target", test.id));
            }
            if !ids.insert(test.id.clone()) {
                wrong.push(format!("{}: stands twice", test.id));
            }
            for frame in frames(&test.json) {
                if !is_as_the_reference_reads_it(frame) {
                    wrong.push(format!("{}: a frame is not what is said: {frame}", test.id));
                }
            }
            for rule in test.spec.iter().filter(|rule| !rules.contains(**rule)) {
                wrong.push(format!("{}: there is no rule {rule}", test.id));
            }
        }
    }
    let folder = super::folder();
    let schema: Json =
        serde_json::from_str(&std::fs::read_to_string(folder.join("schema/session.schema.json"))?)?;
    let validator = jsonschema::validator_for(&schema)?;
    let files = files()?;
    for (path, json, _) in &files {
        for error in validator.iter_errors(json).take(3) {
            wrong.push(format!("{path}: {error} at {}", error.instance_path()));
        }
        if !folder.join(path).is_file() {
            wrong.push(format!("{path}: is not there; run `cargo run -p xtask -- gen-vectors`"));
        }
    }
    Ok(Checked { tests: ids.len(), files: files.len() })
}

/// What is said of frames anywhere in a vector: objects with their hex and their meaning.
fn frames(json: &Json) -> Vec<&Json> {
    let below =
        json.as_array().into_iter().flatten().chain(json.as_object().into_iter().flat_map(Map::values));
    let mut all: Vec<_> = below.flat_map(frames).collect();
    if json.get("hex").is_some() && (json.get("message").is_some() || json.get("messages").is_some()) {
        all.push(json);
    }
    all
}

/// Holds the meanings of frames against the reference decoder, which was written from the text.
fn is_as_the_reference_reads_it(json: &Json) -> bool {
    let one = json.get("message").into_iter();
    let messages: Vec<_> = one.chain(json["messages"].as_array().into_iter().flatten()).collect();
    let (Some(bytes), Some(context)) =
        (json["hex"].as_str().and_then(unhex), reference::Context::from_json(&Json::Null))
    else {
        return false;
    };
    let mut rest = &bytes[..];
    for message in messages {
        let length = |at: usize| Some(u32::from_be_bytes(*rest.get(at..)?.first_chunk()?) as usize);
        let Some(end) = length(8).zip(length(12)).map(|(fields, blocks)| 20 + fields + blocks) else {
            return false;
        };
        let Some((frame, behind)) = rest.split_at_checked(end) else { return false };
        if reference::decode(reference::Target::Message, frame, &context).ok().as_ref() != Some(message) {
            return false;
        }
        rest = behind;
    }
    rest.is_empty()
}
