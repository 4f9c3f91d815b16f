//! Session vectors: transcripts of a relay or a client. A script gives inputs and says in words what has
//! to come of each; the bytes of what came are recorded.

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
mod words;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use blazedb_relay_conformance::session::Role;
use serde_json::{Value as Json, json};

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
        ("client-opening", "A client from an open transport to its first push.", client_opening::tests()),
        (
            "client-session",
            "An active client: pushing, reading, requests, timers and endings.",
            vec![
                ("pushes", client_session::pushing()),
                ("reading", client_reading::reading()),
                ("requests", client_reading::requests()),
                ("timers", client_reading::timers()),
                ("endings", client_reading::endings()),
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
