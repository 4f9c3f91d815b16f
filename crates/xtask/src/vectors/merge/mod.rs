//! Merge vectors: operations in any order, and what they add up to.
//!
//! What is expected was written down here by hand from SPEC.md 12; it is held against the model.

mod build;
mod counters;
mod dictionaries;
mod registers;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use blazedb_relay_conformance::merge::{self, Model};
use serde_json::Value as Json;

use build::{Test, file};

type Groups = Vec<(&'static str, Vec<Test>)>;

/// Name, header and tests of each file.
fn all() -> Vec<(&'static str, &'static str, Groups)> {
    vec![
        (
            "registers",
            "Which register stays, and what a delete hides.",
            vec![
                ("worked examples", registers::examples()),
                ("timestamps", registers::timestamps()),
                ("equal timestamps", registers::ties()),
                ("what does not matter", registers::indifference()),
                ("deletes", registers::deletes()),
            ],
        ),
        (
            "dictionaries",
            "Dictionaries, patches, and what is handed down.",
            vec![
                ("worked examples", dictionaries::examples()),
                ("patches", dictionaries::patches()),
                ("patches in patches", dictionaries::depth()),
                ("names", dictionaries::names()),
                ("histories", dictionaries::histories()),
            ],
        ),
        (
            "counters",
            "Counters: which stay, which count, what they add up to.",
            vec![
                ("worked examples", counters::examples()),
                ("keys", counters::keys()),
                ("what counts", counters::counting()),
                ("sums", counters::sums()),
            ],
        ),
    ]
}

/// Path, content and number of tests of each file.
///
/// # Errors
/// If the model gives something else than a test expects.
pub fn files() -> Result<Vec<(String, Json, usize)>> {
    let mut files = Vec::new();
    for (name, header, groups) in all() {
        for test in groups.iter().flat_map(|(_, tests)| tests) {
            let ops = merge::ops(&test.ops).map_err(|error| anyhow::anyhow!("{}: {error}", test.id))?;
            let got = merge::contents_json(&Model::of(&ops).contents());
            if got != test.expect {
                bail!("{}: wanted {}, but the model gives {got}", test.id, test.expect);
            }
        }
        let count = groups.iter().map(|(_, tests)| tests.len()).sum();
        files.push((format!("v1/merge/{name}.json"), file(name, header, &groups), count));
    }
    Ok(files)
}

/// How much was checked.
pub struct Checked {
    pub tests: usize,
    pub files: usize,
}

/// Checks ids, rules, and the files against their schema; adds what is `wrong`.
///
/// # Errors
/// If the schema cannot be read, or a test is not what the model gives.
pub fn lint(rules: &BTreeSet<String>, wrong: &mut Vec<String>) -> Result<Checked> {
    let mut ids = BTreeSet::new();
    for (.., groups) in all() {
        for test in groups.iter().flat_map(|(_, tests)| tests) {
            let slug = test.id.trim_start_matches("merge/");
            if !slug.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-') {
                wrong.push(format!("{}: is no id of target merge", test.id));
            }
            if !ids.insert(test.id.clone()) {
                wrong.push(format!("{}: stands twice", test.id));
            }
            for rule in test.spec().iter().filter(|rule| !rules.contains(**rule)) {
                wrong.push(format!("{}: there is no rule {rule}", test.id));
            }
        }
    }
    let folder = super::folder();
    let schema: Json =
        serde_json::from_str(&std::fs::read_to_string(folder.join("schema/merge.schema.json"))?)?;
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
