//! Writes the hex examples of SPEC.md from the vectors they are, and its states from the tables of the code.

use core::fmt::Write as _;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use blazedb_relay_conformance::meaning::parse_json;
use blazedb_relay_conformance::{spec, states};
use serde_json::Value as Json;

/// Bytes on one line of an example.
const WIDTH: usize = 16;

/// Fills every `<!-- hex:ID -->` of SPEC.md from the layout of that vector, and the states. With `check`, only compares.
///
/// # Errors
/// If a vector is missing or, with `check`, SPEC.md differs.
pub fn run(check: bool) -> Result<()> {
    let path = spec::root().join("SPEC.md");
    let old = fs::read_to_string(&path)?;
    let new = fill(&old, &layouts(&spec::root().join("test-vectors"))?)?;
    let new = states::fill(&new).context("SPEC.md: a marker of the states is missing")?;
    if new == old {
        println!("SPEC.md: the examples are those of the vectors, the states those of the code");
        return Ok(());
    }
    if check {
        bail!(
            "SPEC.md: an example differs from its vector, or the states from the code; run `cargo run -p xtask -- spec-index`"
        );
    }
    fs::write(&path, new)?;
    println!("SPEC.md: examples and states written");
    Ok(())
}

/// The layout of every vector that has one, by id.
fn layouts(folder: &Path) -> Result<BTreeMap<String, Vec<(String, String)>>> {
    let read =
        |path: &Path| -> Result<Json> { parse_json(&fs::read_to_string(path)?).map_err(anyhow::Error::msg) };
    let manifest = read(&folder.join("MANIFEST.json"))?;
    let mut all = BTreeMap::new();
    for file in manifest["files"].as_array().context("MANIFEST.json has no files")? {
        let path = folder.join(file["path"].as_str().context("a file has no path")?);
        let file = read(&path)?;
        let groups = file["groups"].as_array().into_iter().flatten();
        for test in groups.flat_map(|group| group["tests"].as_array().into_iter().flatten()) {
            let text = |json: &Json| json.as_str().unwrap_or_default().to_owned();
            let layout = test["layout"].as_array().into_iter().flatten();
            all.insert(text(&test["id"]), layout.map(|piece| (text(&piece[0]), text(&piece[1]))).collect());
        }
    }
    Ok(all)
}

fn fill(text: &str, layouts: &BTreeMap<String, Vec<(String, String)>>) -> Result<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<!-- hex:") {
        let (id, after) = after.split_once(" -->").context("SPEC.md: a hex marker is not closed")?;
        let (_, after) =
            after.split_once("<!-- /hex -->").with_context(|| format!("SPEC.md: {id} has no end"))?;
        let layout = layouts.get(id).with_context(|| format!("SPEC.md: there is no vector {id}"))?;
        if layout.is_empty() {
            bail!("SPEC.md: vector {id} has no layout");
        }
        write!(out, "{before}<!-- hex:{id} -->\n{}<!-- /hex -->", example(id, layout))?;
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

fn example(id: &str, layout: &[(String, String)]) -> String {
    let mut out = format!("```text\n{id}\n");
    let mut offset = 0;
    for (name, hex) in layout {
        for (i, line) in hex.as_bytes().chunks(2 * WIDTH).enumerate() {
            let digits = String::from_utf8_lossy(line);
            let name = if i == 0 { name.as_str() } else { "" };
            let line = format!("{offset:04x}  {digits:<32}  {name}");
            out.push_str(line.trim_end());
            out.push('\n');
            offset += digits.len() / 2;
        }
    }
    out.push_str("```\n");
    out
}
