//! `encode`: make bytes from JSON.

use std::fs;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result, bail};
use blazedb_relay_conformance::meaning::{encode, hex, parse_json};
use serde_json::Value as Json;

use crate::Outcome;
use crate::args;
use crate::decode::context;
use crate::input::{Source, read};
use crate::output;

/// Runs the command.
pub(crate) fn run(args: &args::Encode) -> Result<Outcome> {
    let to_terminal = args.output.is_none() && io::stdout().is_terminal();
    if to_terminal && !args.hex {
        bail!("bytes would spoil the terminal; add --hex, or -o FILE, or pipe the output somewhere");
    }
    let source = match Source::of(args.file.as_deref()) {
        Source::Example => {
            output::note("reading JSON from the terminal; Ctrl-D on a line of its own ends it");
            Source::Stdin
        }
        source @ (Source::File(_) | Source::Stdin) => source,
    };
    let input = read(&source)?;
    let bad = |error: &str| {
        output::error(&format!("{source}: {error}"));
        output::hint("test-vectors/README.md describes the JSON of each target; decode --json prints it");
        Ok(Outcome::Bad)
    };
    let Ok(text) = core::str::from_utf8(&input) else { return bad("JSON is UTF-8, and this is not") };
    let documents = match documents(text) {
        Ok(documents) => documents,
        Err(error) => return bad(&format!("not JSON: {error}")),
    };
    let mut bytes = Vec::new();
    for (i, json) in documents.iter().enumerate() {
        match encode(args.target.0, json, &context(args.position)) {
            Ok(item) => bytes.extend(item),
            Err(refusal) => {
                let nth = if documents.len() > 1 { format!("text {}: ", i + 1) } else { String::new() };
                return bad(&format!("{nth}{refusal}"));
            }
        }
    }
    if args.hex {
        bytes = hex(&bytes).into_bytes();
        bytes.push(b'\n');
    }
    match &args.output {
        Some(path) => {
            fs::write(path, &bytes).with_context(|| format!("{} cannot be written", path.display()))?;
        }
        None => {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&bytes)?;
            stdout.flush()?;
        }
    }
    Ok(Outcome::Fine)
}

/// The JSON texts: one that may span lines, or one on each line.
fn documents(text: &str) -> Result<Vec<Json>, String> {
    let whole = parse_json(text);
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    match whole {
        Err(_) if lines().count() > 1 && lines().all(|line| line.starts_with(['{', '['])) => lines()
            .enumerate()
            .map(|(i, line)| parse_json(line).map_err(|error| format!("text {}: {error}", i + 1)))
            .collect(),
        whole => Ok(vec![whole?]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_or_one_on_each_line() {
        assert_eq!(documents("{\n}\n").unwrap().len(), 1);
        assert_eq!(documents("{}\n\n{\"a\":1}\n").unwrap().len(), 2);
        assert!(documents("{}\n{\"a\"\n").unwrap_err().starts_with("text 2: "));
        assert!(documents("").is_err());
    }
}
