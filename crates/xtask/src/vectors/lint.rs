//! Checks of the vectors that need no decoder of ours: form, ids, and that the reference decoder agrees.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use blazedb_relay_conformance::reference::{self, Target};
use blazedb_relay_conformance::spec;
use serde_json::Value as Json;

use super::build::{File, Outcome, Test, hex};

const CATEGORIES: [&str; 12] = [
    "BASIC",
    "BOUNDARY",
    "TRUNCATED",
    "TRAILING",
    "NON_CANONICAL",
    "UNKNOWN",
    "LIMIT",
    "INTEGRITY",
    "ORDER",
    "VERSION",
    "UTF8",
    "KNOWN_BUG",
];

/// Checks every file.
///
/// # Errors
/// With a list of everything that is wrong.
pub fn lint() -> Result<()> {
    let rules: BTreeSet<String> =
        spec::requirements(&spec::text()?).into_iter().map(|requirement| requirement.id).collect();
    let mut lint = Lint { rules, ids: BTreeSet::new(), inputs: BTreeSet::new(), wrong: Vec::new() };
    let schema: Json =
        serde_json::from_str(&std::fs::read_to_string(super::folder().join("schema/vector.schema.json"))?)?;
    let validator = jsonschema::validator_for(&schema)?;
    let files = super::files();
    for file in &files {
        lint.file(file);
        let Ok(text) = std::fs::read_to_string(super::folder().join(file.path)) else {
            lint.wrong.push(format!("{}: is not there; run `cargo run -p xtask -- gen-vectors`", file.path));
            continue;
        };
        let json = blazedb_relay_conformance::meaning::parse_json(&text).map_err(anyhow::Error::msg)?;
        for error in validator.iter_errors(&json).take(3) {
            lint.wrong.push(format!("{}: {} at {}", file.path, error, error.instance_path()));
        }
    }
    let merges = super::merge::lint(&lint.rules, &mut lint.wrong)?;
    let sessions = super::session::lint(&lint.rules, &mut lint.wrong)?;
    if !lint.wrong.is_empty() {
        bail!("{} things are wrong:\n{}", lint.wrong.len(), lint.wrong.join("\n"));
    }
    println!(
        "{} vectors in {} files are well formed",
        lint.ids.len() + merges.tests + sessions.tests,
        files.len() + merges.files + sessions.files
    );
    Ok(())
}

struct Lint {
    rules: BTreeSet<String>,
    ids: BTreeSet<String>,
    /// What was decoded before, in which context: two vectors with one input show one thing twice.
    inputs: BTreeSet<(String, Vec<u8>)>,
    wrong: Vec<String>,
}

impl Lint {
    fn file(&mut self, file: &File) {
        let mut used = BTreeSet::new();
        for (name, category, _, rules) in file.flags {
            if !CATEGORIES.contains(category) {
                self.wrong.push(format!("{}: flag {name} has category {category}", file.path));
            }
            for rule in rules.iter().filter(|rule| !self.rules.contains(**rule)) {
                self.wrong.push(format!("{}: flag {name} cites {rule}", file.path));
            }
        }
        for group in &file.groups {
            for test in &group.tests {
                used.extend(test.flags().iter().copied());
                let input = format!("{} {}", file.target, group.context.to_json());
                if !self.inputs.insert((input, test.bytes())) {
                    self.wrong.push(format!("{}: the same input stands twice", test.id()));
                }
                self.test(file, &group.context.to_json(), test);
            }
        }
        for flag in &used {
            if !file.flags.iter().any(|(name, ..)| name == flag) {
                self.wrong.push(format!("{}: flag {flag} is not explained", file.path));
            }
        }
    }

    fn test(&mut self, file: &File, context: &Json, test: &Test) {
        let id = test.id();
        if !self.ids.insert(id.into()) {
            self.wrong.push(format!("{id}: stands twice"));
        }
        let slug = id.strip_prefix(file.target).and_then(|rest| rest.strip_prefix('/'));
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !slug.is_some_and(|slug| !slug.is_empty() && slug.chars().all(plain)) {
            self.wrong.push(format!("{id}: is no id of target {}", file.target));
        }
        if test.spec().is_empty() {
            self.wrong.push(format!("{id}: cites no rule"));
        }
        for rule in test.spec() {
            if !self.rules.contains(*rule) {
                self.wrong.push(format!("{id}: there is no rule {rule}"));
            }
        }
        let json = test.to_json(None);
        let joined: String =
            json["layout"].as_array().into_iter().flatten().filter_map(|piece| piece[1].as_str()).collect();
        if !joined.is_empty() && joined != hex(&test.bytes()) {
            self.wrong.push(format!("{id}: the layout does not give the bytes"));
        }
        let (Some(target), Some(context)) =
            (Target::from_name(file.target), reference::Context::from_json(context))
        else {
            self.wrong.push(format!("{id}: unknown target or context"));
            return;
        };
        let answer = reference::decode(target, &test.bytes(), &context);
        match (test.outcome(), answer) {
            (Outcome::Valid | Outcome::ValidAs(_), Ok(_)) => {}
            (Outcome::Invalid(code, offset), Err(fault))
                if *code == fault.code && *offset == fault.offset => {}
            (wanted, Ok(_)) => self.wrong.push(format!("{id}: wanted {wanted:?}, the reference accepts it")),
            (wanted, Err(fault)) => {
                let wanted = match wanted {
                    Outcome::Invalid(code, offset) => format!("{code} at {offset}"),
                    Outcome::Valid | Outcome::ValidAs(_) => "a value".into(),
                };
                self.wrong.push(format!("{id}: wanted {wanted}, got {} at {}", fault.code, fault.offset));
            }
        }
    }
}
