//! The vectors of `test-vectors/`: built here, written, compared and checked.

mod block_lz4;
mod blocks;
mod build;
mod containers;
mod frames;
mod lint;
mod merge;
mod messages;
mod op_fields;
mod op_order;
mod ops;
mod pieces;
mod records;
mod session;
mod values;

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use blazedb_relay_conformance::reference::{self, Target};
use blazedb_relay_conformance::spec;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest as _, Sha256};

use build::{File, Outcome, Test};
pub use lint::lint;

/// Every file, in the order of the manifest.
fn files() -> Vec<File> {
    let mut all = values::files();
    all.extend(containers::files());
    all.extend(records::files());
    all.extend(ops::files());
    all.extend(blocks::files());
    all.extend(frames::files());
    all.extend(messages::files());
    all
}

fn folder() -> PathBuf {
    spec::root().join("test-vectors")
}

/// Writes all vectors, the manifest and the examples. With `check`, compares them with what is there.
///
/// # Errors
/// If a file cannot be written or, with `check`, differs.
pub fn generate(check: bool) -> Result<()> {
    let mut contents: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    let mut manifest = Vec::new();
    let mut count = 0;
    let mut built = Vec::new();
    let sessions = session::files()?;
    for file in files() {
        let tests: usize = file.groups.iter().map(|group| group.tests.len()).sum();
        built.push((file.path.to_owned(), file_json(&file, tests)?, tests));
    }
    built.extend(merge::files()?);
    built.extend(sessions);
    for (path, json, tests) in built {
        let text = pretty(&json)?;
        let sha256: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        manifest.push(json!({
            "path": path, "target": json["target"], "number_of_tests": tests, "sha256": sha256,
        }));
        if contents.insert(path.clone(), text).is_some() {
            bail!("two files are called {path}");
        }
        count += tests;
    }
    contents.insert("MANIFEST.json".into(), pretty(&json!({ "files": manifest }))?);
    contents.extend(examples()?);

    for (path, bytes) in &contents {
        let place = folder().join(path);
        if check {
            let there = fs::read(&place).with_context(|| format!("test-vectors/{path} is missing"))?;
            if there != *bytes {
                bail!(
                    "test-vectors/{path} is not what its builder makes; run `cargo run -p xtask -- gen-vectors`"
                );
            }
        } else {
            fs::create_dir_all(place.parent().context("a folder")?)?;
            fs::write(&place, bytes)?;
        }
    }
    for path in strangers(&contents)? {
        if check {
            bail!("{} is made by no builder", path.display());
        }
        fs::remove_file(path)?;
    }
    println!(
        "{count} vectors in {} files {}",
        manifest.len(),
        if check { "are as built" } else { "written" }
    );
    Ok(())
}

/// Files below `v1/` that no builder makes.
fn strangers(contents: &BTreeMap<String, Vec<u8>>) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let Ok(targets) = fs::read_dir(folder().join("v1")) else { return Ok(found) };
    for target in targets {
        for entry in fs::read_dir(target?.path())? {
            let path = entry?.path();
            let name = path.strip_prefix(folder())?.to_string_lossy().replace('\\', "/");
            if !contents.contains_key(&name) {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// A few vectors as files of bytes.
fn examples() -> Result<Vec<(String, Vec<u8>)>> {
    const EXAMPLES: [(&str, &str); 5] = [
        ("bug.op", "op/bug-example"),
        ("bug.record", "record/worked-bug"),
        ("bug.block", "block/rows-one-op"),
        ("ping.frame", "message/ping-example"),
        ("push.frame", "message/push-example"),
    ];
    let all = files();
    let tests: Vec<&Test> = all.iter().flat_map(|file| &file.groups).flat_map(|group| &group.tests).collect();
    EXAMPLES
        .iter()
        .map(|(name, id)| {
            let test =
                tests.iter().find(|test| test.id() == *id).with_context(|| format!("no vector {id}"))?;
            Ok((format!("examples/{name}"), test.bytes()))
        })
        .collect()
}

/// JSON with everything on one line that fits there: most of a vector file is lists of short pairs.
fn pretty(json: &Json) -> Result<Vec<u8>> {
    let mut text = String::new();
    put_json(&mut text, json, 0)?;
    text.push('\n');
    Ok(text.into_bytes())
}

fn put_json(text: &mut String, json: &Json, indent: usize) -> Result<()> {
    const WIDTH: usize = 120;
    let line = serde_json::to_string(json)?;
    let column = text.len() - text.rfind('\n').map_or(0, |at| at + 1);
    let entries: Vec<(Option<&String>, &Json)> = match json {
        Json::Array(items) => items.iter().map(|item| (None, item)).collect(),
        Json::Object(map) => map.iter().map(|(key, item)| (Some(key), item)).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
    };
    if column + line.len() <= WIDTH || entries.is_empty() {
        text.push_str(&line);
        return Ok(());
    }
    let (open, close) = if json.is_array() { ('[', ']') } else { ('{', '}') };
    text.push(open);
    for (i, (key, item)) in entries.iter().enumerate() {
        text.push_str(if i == 0 { "\n" } else { ",\n" });
        text.push_str(&" ".repeat(indent + 1));
        if let Some(key) = key {
            write!(text, "{}: ", serde_json::to_string(key)?)?;
        }
        put_json(text, item, indent + 1)?;
    }
    write!(text, "\n{}{close}", " ".repeat(indent))?;
    Ok(())
}

fn file_json(file: &File, tests: usize) -> Result<Json> {
    let mut flags = Map::new();
    for (name, category, description, spec) in file.flags {
        let flag = json!({ "category": category, "description": description, "spec": spec });
        flags.insert((*name).into(), flag);
    }
    let groups = file
        .groups
        .iter()
        .map(|group| {
            let tests = group
                .tests
                .iter()
                .map(|test| Ok(test.to_json(decoded(file.target, &group.context.to_json(), test)?)))
                .collect::<Result<Vec<_>>>()?;
            Ok(json!({ "name": group.name, "context": group.context.to_json(), "tests": tests }))
        })
        .collect::<Result<Vec<_>>>()?;
    Ok(json!({
        "schema": "vector-v1",
        "spec_version": "1.0",
        "target": file.target,
        "header": file.header,
        "source": { "name": format!("xtask/gen-vectors/{}", stem(file.path)), "version": "1" },
        "flags": flags,
        "number_of_tests": tests,
        "groups": groups,
    }))
}

fn stem(path: &str) -> &str {
    Path::new(path).file_stem().and_then(|stem| stem.to_str()).unwrap_or(path)
}

/// What a valid vector means, as the reference decoder reads it.
fn decoded(target: &str, context: &Json, test: &Test) -> Result<Option<Json>> {
    if matches!(test.outcome(), Outcome::Invalid(..)) {
        return Ok(None);
    }
    let target = Target::from_name(target).with_context(|| format!("target {target}"))?;
    let context = reference::Context::from_json(context).context("a context")?;
    match reference::decode(target, &test.bytes(), &context) {
        Ok(json) => Ok(Some(json)),
        Err(fault) => bail!("{}: should be valid, but is {} at {}", test.id(), fault.code, fault.offset),
    }
}
