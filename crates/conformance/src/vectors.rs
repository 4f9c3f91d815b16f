//! The vectors of `test-vectors/`, read from disk.

use core::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::meaning::{Target, hex, parse_json, unhex};

/// One file of vectors.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct File {
    /// Its path below the folder of vectors.
    pub path: String,
    /// What its tests decode.
    pub target: Target,
    /// Its tests, in order.
    pub tests: Vec<Test>,
}

/// One vector.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Test {
    /// Its id.
    pub id: String,
    /// The ids of the rules it shows.
    pub spec: Vec<String>,
    /// The bytes to decode.
    pub input: Vec<u8>,
    /// What was agreed on, as the harness is told it.
    pub context: Json,
    /// What a decoder must say.
    pub expected: Expected,
}

/// What a decoder must say of a vector.
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// A value.
    Valid {
        /// Its meaning, unless it is too long to state.
        decoded: Option<Json>,
        /// What it encodes to.
        canonical: Vec<u8>,
    },
    /// An error.
    Invalid {
        /// The name of its code.
        code: String,
        /// The byte at which it is.
        offset: u64,
    },
}

/// Vectors that cannot be read.
#[derive(Clone, Debug)]
pub struct LoadError {
    path: PathBuf,
    what: String,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.what)
    }
}

impl core::error::Error for LoadError {}

/// Reads every file that `MANIFEST.json` in `folder` names.
///
/// # Errors
/// If a file is missing, is not JSON, or is not of the form that test-vectors/README.md describes.
pub fn load(folder: &Path) -> Result<Vec<File>, LoadError> {
    let manifest = read(&folder.join("MANIFEST.json"))?;
    let bad = |path: &Path, what: &str| LoadError { path: path.into(), what: what.into() };
    let files = manifest["files"].as_array().ok_or_else(|| bad(folder, "MANIFEST.json names no files"))?;
    files
        .iter()
        .map(|entry| {
            let path = entry["path"].as_str().ok_or_else(|| bad(folder, "a file has no path"))?;
            let full = folder.join(path);
            file(path, &read(&full)?).ok_or_else(|| bad(&full, "not of the form that README.md describes"))
        })
        .collect()
}

fn read(path: &Path) -> Result<Json, LoadError> {
    let err = |what: String| LoadError { path: path.into(), what };
    let text = fs::read_to_string(path).map_err(|error| err(error.to_string()))?;
    parse_json(&text).map_err(err)
}

fn file(path: &str, json: &Json) -> Option<File> {
    let target = Target::from_name(json["target"].as_str()?)?;
    let mut tests = Vec::new();
    for group in json["groups"].as_array()? {
        for test in group["tests"].as_array()? {
            tests.push(read_test(test, &group["context"])?);
        }
    }
    Some(File { path: path.into(), target, tests })
}

fn read_test(test: &Json, context: &Json) -> Option<Test> {
    let input = input(&test["hex"])?;
    let expected = match test["result"].as_str()? {
        "valid" => Expected::Valid {
            decoded: test.get("decoded").cloned(),
            canonical: match test["canonical"].as_str()? {
                "same" => input.clone(),
                hex => unhex(hex)?,
            },
        },
        "invalid" => Expected::Invalid {
            code: test["error"]["code"].as_str()?.into(),
            offset: test["error"]["offset"].as_u64()?,
        },
        _ => return None,
    };
    let spec = test["spec"].as_array()?.iter().filter_map(|id| Some(id.as_str()?.to_owned())).collect();
    Some(Test { id: test["id"].as_str()?.into(), spec, input, context: context.clone(), expected })
}

/// The bytes of `hex`: a string, or a list of strings, runs and checksums.
fn input(json: &Json) -> Option<Vec<u8>> {
    let Json::Array(parts) = json else { return unhex(json.as_str()?) };
    let mut bytes = Vec::new();
    for part in parts {
        match part {
            Json::String(text) => bytes.extend(unhex(text)?),
            Json::Object(run) if run.contains_key("repeat") => {
                let times: usize = run["times"].as_str()?.parse().ok()?;
                bytes.extend(unhex(run["repeat"].as_str()?)?.repeat(times));
            }
            Json::Object(run) => {
                let len: usize = run.get("crc32")?.as_str()?.parse().ok()?;
                let covered = bytes.get(bytes.len().checked_sub(len)?..)?;
                bytes.extend(crc32fast::hash(covered).to_be_bytes());
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) => return None,
        }
    }
    Some(bytes)
}

/// Holds an implementation's answer against a vector; says what differs.
#[must_use]
pub fn compare(
    test: &Test,
    answer: &Result<(Json, Vec<u8>), (String, u64)>,
    offsets: bool,
) -> Option<String> {
    match (&test.expected, answer) {
        (Expected::Valid { decoded, canonical }, Ok((value, reencoded))) => {
            if let Some(decoded) = decoded.as_ref().filter(|decoded| *decoded != value) {
                return Some(format!("wanted {decoded}, got {value}"));
            }
            (canonical != reencoded)
                .then(|| format!("wanted the bytes {}, got {}", short(canonical), short(reencoded)))
        }
        (Expected::Invalid { code, offset }, Err((got, at))) => (code != got || (offsets && offset != at))
            .then(|| format!("wanted {code} at {offset}, got {got} at {at}")),
        (Expected::Valid { .. }, Err((got, at))) => Some(format!("wanted a value, got {got} at {at}")),
        (Expected::Invalid { code, offset }, Ok(_)) => {
            Some(format!("wanted {code} at {offset}, but it was accepted"))
        }
    }
}

fn short(bytes: &[u8]) -> String {
    match bytes.get(..64) {
        Some(head) if bytes.len() > 64 => format!("{}... ({} bytes)", hex(head), bytes.len()),
        _ => hex(bytes),
    }
}
