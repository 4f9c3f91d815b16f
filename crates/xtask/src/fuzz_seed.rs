//! Writes every vector as an input of the fuzzers.

use std::fs;
use std::path::Path;

use anyhow::Result;
use blazedb_relay_conformance::meaning::{Context, Target};
use blazedb_relay_conformance::{fuzz, spec, vectors};

/// Inputs above this many bytes slow a fuzzer down more than they teach it.
const MAX_SEED: usize = 70_000;

/// Writes the seeds into a folder for each target below `folder`.
///
/// # Errors
/// If the vectors cannot be read or a seed cannot be written.
pub fn run(folder: &Path) -> Result<()> {
    let mut count = 0;
    for name in ["decode", "differential", "chunked", "round_trip"] {
        fs::create_dir_all(folder.join(name))?;
    }
    for file in vectors::load(&spec::root().join("test-vectors"))? {
        for test in file.tests.iter().filter(|test| test.input.len() <= MAX_SEED) {
            let context = Context::from_json(&test.context).unwrap_or_default();
            let input = fuzz::input_for(file.target, &context, &test.input);
            let name = test.id.replace('/', "-");
            fs::write(folder.join("decode").join(&name), &input)?;
            fs::write(folder.join("differential").join(&name), &input)?;
            if matches!(file.target, Target::Frame | Target::Message) {
                let mut stream = vec![6];
                stream.extend_from_slice(&test.input);
                fs::write(folder.join("chunked").join(&name), stream)?;
            }
            count += 1;
        }
    }
    println!("{count} vectors written as seeds to {}", folder.display());
    Ok(())
}
