//! Every requirement of SPEC.md has an id; every MUST of the byte layers has code, a valid and an
//! invalid vector; every other MUST has code, and a vector or a test.
//!
//! `requirements.snap` states the coverage. After a change, run with `UPDATE_SNAPSHOTS=1` and look at the
//! difference.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]

use core::fmt::Write as _;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use blazedb_relay_conformance::meaning::parse_json;
use blazedb_relay_conformance::spec::{self, Requirement};

/// Families whose rules are about bytes.
const BYTE_LAYERS: [&str; 7] = ["VAL", "OPS", "BLK", "FRM", "MSG", "QRY", "EXT"];

/// Rules of the byte layers that no single vector can show, and what shows them instead.
const NO_VECTOR: &[(&str, &str)] = &[
    ("EXT-5", "about assignments, not bytes: compared with the registries by a test"),
    ("FRM-6", "about when a receiver checks: a test feeds every frame byte by byte"),
];

/// Families whose rules are about behaviour.
const BEHAVIOUR: [&str; 9] = ["NOT", "NEG", "SES", "MRG", "RLY", "LIM", "ERR", "TRN", "SEC"];

/// Rules that no one place of the code keeps, and where they are kept.
const NO_CODE: &[(&str, &str)] = &[
    ("NOT-2", "by every encoder and decoder together: properties over all bytes"),
    ("NOT-4", "by the order in which each decoder reads: compared with the reference decoder"),
    ("RLY-52", "by reads, queries and appends being questions of their own, none of which waits for another"),
    ("RLY-55", "by who runs the query; the relay passes the code on"),
    ("LIM-3", "by every constructor, whose error names the limit"),
    ("ERR-4", "by the two kinds of answers that a request may have"),
];

/// Rules for who embeds the state machines, keeps their data or runs them. Nothing in a state machine can
/// keep them.
const EMBEDDER: &[(&str, &str)] = &[
    ("MRG-16", "follows from SES-32 and SES-64, which have vectors"),
    ("RLY-1", "about what a store forgets"),
    ("RLY-2", "about who opens a log"),
    ("RLY-13", "about what a store keeps of a key; the relay hands it over and forgets it"),
    ("RLY-46", "about a store that rewrites blocks"),
    ("RLY-58", "for people who run relays"),
    ("LIM-1", "about the protocol; a snapshot holds the constants"),
    ("TRN-1", "of WebSocket"),
    ("TRN-2", "of WebSocket"),
    ("TRN-5", "of WebSocket"),
    ("SEC-1", "about the transport that is chosen"),
    ("SEC-2", "about the source of random numbers that is chosen"),
    ("SEC-3", "about who checks credentials"),
    ("SEC-4", "about a store with a query language"),
    ("SEC-5", "about who runs queries"),
    ("SEC-6", "about who writes logs"),
    ("SEC-8", "about texts of who embeds; those of the relay are constants"),
    ("SEC-9", "of HTTP"),
    ("SEC-10", "of HTTP"),
    ("SEC-11", "of HTTP"),
    ("SEC-12", "about a store that keeps files"),
    ("SEC-13", "about the source of random numbers that is chosen"),
    ("SEC-15", "about an application with several principals"),
];

#[derive(Default)]
struct Coverage {
    code: BTreeSet<String>,
    tests: BTreeSet<String>,
    valid: usize,
    invalid: usize,
}

fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                found.extend(files(&path, ending));
            }
        } else if path.extension().is_some_and(|ext| ext == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn coverage() -> BTreeMap<String, Coverage> {
    let root = spec::root();
    let mut all: BTreeMap<String, Coverage> = BTreeMap::new();
    for folder in ["src", "crates", "fuzz"] {
        for path in files(&root.join(folder), "rs") {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            for line in fs::read_to_string(&path).unwrap().lines() {
                let Some(cited) = line.trim().strip_prefix("//= ") else { continue };
                let mut words = cited.split_whitespace();
                let id = words.next().unwrap().to_owned();
                let place = all.entry(id).or_default();
                match words.next() {
                    Some("test") => place.tests.insert(name.clone()),
                    _ => place.code.insert(name.clone()),
                };
            }
        }
    }
    for path in files(&root.join("test-vectors/v1"), "json") {
        let file = parse_json(&fs::read_to_string(path).unwrap()).unwrap();
        for test in file["groups"].as_array().unwrap().iter().flat_map(|g| g["tests"].as_array().unwrap()) {
            for id in test["spec"].as_array().unwrap() {
                let place = all.entry(id.as_str().unwrap().to_owned()).or_default();
                // Merge and session vectors have no result.
                match test["result"].as_str() {
                    Some("invalid") => place.invalid += 1,
                    _ => place.valid += 1,
                }
            }
        }
    }
    all
}

#[test]
fn every_normative_sentence_has_an_id() {
    let text = spec::text().unwrap();
    // Sections 0 to 2 define the words; the others use them.
    let (_, text) = text.split_once("\n## 3. ").unwrap();
    let mut bare = Vec::new();
    for paragraph in spec::paragraphs(text) {
        let normative = ["MUST", "SHOULD", "SHALL"].iter().any(|word| paragraph.contains(word));
        if normative && !paragraph.starts_with("- **[") {
            bare.push(paragraph);
        }
    }
    assert!(bare.is_empty(), "normative sentences without an id:\n{}", bare.join("\n"));
}

#[test]
fn ids_are_unique_and_without_gaps() {
    let mut families: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for requirement in spec::requirements(&spec::text().unwrap()) {
        families.entry(requirement.family().into()).or_default().push(requirement.number());
    }
    for (family, mut numbers) in families {
        numbers.sort_unstable();
        let expected: Vec<u32> = (1..=u32::try_from(numbers.len()).unwrap()).collect();
        assert_eq!(numbers, expected, "{family}: an id stands twice or is missing");
    }
}

#[test]
fn every_id_cited_exists() {
    let known: BTreeSet<_> =
        spec::requirements(&spec::text().unwrap()).into_iter().map(|requirement| requirement.id).collect();
    let unknown: Vec<_> = coverage().into_keys().filter(|id| !known.contains(id)).collect();
    assert!(unknown.is_empty(), "cited, but not in SPEC.md: {unknown:?}");
}

#[test]
fn every_must_of_the_byte_layers_has_code_and_vectors() {
    let coverage = coverage();
    let mut missing = Vec::new();
    for requirement in byte_requirements() {
        let id = &requirement.id;
        let Some(found) = coverage.get(id) else {
            missing.push(format!("{id}: nothing cites it"));
            continue;
        };
        let excused = NO_VECTOR.iter().any(|(excused, _)| excused == id);
        if found.code.is_empty() && (!excused || found.tests.is_empty()) {
            missing.push(format!("{id}: no code"));
        }
        if excused {
            if found.tests.is_empty() {
                missing.push(format!("{id}: neither vector nor test"));
            }
            continue;
        }
        if found.valid == 0 {
            missing.push(format!("{id}: no valid vector"));
        }
        if found.invalid == 0 {
            missing.push(format!("{id}: no invalid vector"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn every_must_of_behaviour_has_code_and_a_vector_or_test() {
    let coverage = coverage();
    let all = spec::requirements(&spec::text().unwrap());
    let behaviour = |requirement: &&Requirement| BEHAVIOUR.contains(&requirement.family());
    let rules: Vec<_> = all.iter().filter(behaviour).filter(|rule| rule.is_must()).collect();
    assert!(rules.len() > 150, "SPEC.md was not understood: {} rules", rules.len());
    let mut missing = Vec::new();
    for id in rules.into_iter().map(|rule| rule.id.as_str()) {
        let excused = |list: &[(&str, &str)]| list.iter().any(|(excused, _)| *excused == id);
        if excused(EMBEDDER) {
            continue;
        }
        let none = Coverage::default();
        let found = coverage.get(id).unwrap_or(&none);
        if found.code.is_empty() && !excused(NO_CODE) {
            missing.push(format!("{id}: no code"));
        }
        if found.valid + found.invalid == 0 && found.tests.is_empty() {
            missing.push(format!("{id}: neither vector nor test"));
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
    for (id, _) in NO_CODE.iter().chain(EMBEDDER).chain(NO_VECTOR) {
        assert!(all.iter().any(|rule| rule.id == *id), "{id} is excused and does not exist");
    }
}

fn byte_requirements() -> Vec<Requirement> {
    let mut all = spec::requirements(&spec::text().unwrap());
    all.retain(|requirement| BYTE_LAYERS.contains(&requirement.family()) && requirement.is_must());
    assert!(all.len() > 100, "SPEC.md was not understood: {} rules", all.len());
    all
}

#[test]
fn coverage_is_as_committed() {
    let coverage = coverage();
    let mut table = String::from("id | code | valid vectors | invalid vectors | tests\n");
    for requirement in spec::requirements(&spec::text().unwrap()) {
        let none = Coverage::default();
        let found = coverage.get(&requirement.id).unwrap_or(&none);
        let list = |names: &BTreeSet<String>| names.iter().cloned().collect::<Vec<_>>().join(", ");
        let yes = |count: usize| if count > 0 { "yes" } else { "" };
        writeln!(
            table,
            "{} | {} | {} | {} | {}",
            requirement.id,
            list(&found.code),
            yes(found.valid),
            yes(found.invalid),
            list(&found.tests)
        )
        .unwrap();
    }
    let path = spec::root().join("crates/conformance/tests/requirements.snap");
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differ: Vec<_> = table.lines().filter(|line| !committed.lines().any(|old| old == *line)).collect();
    assert!(
        committed == table,
        "coverage changed; run again with UPDATE_SNAPSHOTS=1 and look at the difference:\n{}",
        differ.join("\n")
    );
}
