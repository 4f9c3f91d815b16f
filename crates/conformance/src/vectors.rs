//! The vectors of `test-vectors/`, read from disk.

use core::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value as Json;

use crate::meaning::{Target, hex, parse_json, unhex};
use crate::session::{self, Role};

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

/// One vector of the merge: operations, and what they add up to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct MergeTest {
    /// Its id.
    pub id: String,
    /// The ids of the rules it shows.
    pub spec: Vec<String>,
    /// The operations.
    pub ops: Vec<Json>,
    /// The orders in which they are delivered, as indices.
    pub orders: Vec<Vec<usize>>,
    /// The fields of the records that are there then.
    pub expect: Json,
}

impl MergeTest {
    /// The most operations of which every order is tried.
    const MAX_ALL: usize = 6;

    /// What is delivered in each order: all operations, then all of them again.
    pub fn deliveries(&self) -> impl Iterator<Item = Vec<Json>> {
        self.orders.iter().map(|order| {
            order.iter().chain(order).filter_map(|index| self.ops.get(*index)).cloned().collect()
        })
    }
}

/// The name of the target of merge vectors, which is no target of decoding.
pub const MERGE: &str = "merge";

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

/// Reads every file of bytes that `MANIFEST.json` in `folder` names.
///
/// # Errors
/// If a file is missing, is not JSON, or is not of the form that test-vectors/README.md describes.
pub fn load(folder: &Path) -> Result<Vec<File>, LoadError> {
    each_file(folder, |target| Target::from_name(target).is_some(), file)
}

/// Reads the merge vectors that `MANIFEST.json` in `folder` names.
///
/// # Errors
/// As [`load`].
pub fn load_merge(folder: &Path) -> Result<Vec<MergeTest>, LoadError> {
    let files = each_file(
        folder,
        |target| target == MERGE,
        |_, json| {
            let groups = json["groups"].as_array()?.iter();
            let tests = groups.map(|group| group["tests"].as_array()).collect::<Option<Vec<_>>>()?;
            tests.into_iter().flatten().map(read_merge_test).collect::<Option<Vec<_>>>()
        },
    )?;
    Ok(files.into_iter().flatten().collect())
}

/// Reads the session vectors that `MANIFEST.json` in `folder` names.
///
/// # Errors
/// As [`load`].
pub fn load_session(folder: &Path) -> Result<Vec<session::Test>, LoadError> {
    let read_file = |_: &str, json: &Json| {
        let role = Role::of(json["target"].as_str()?)?;
        let groups = json["groups"].as_array()?.iter();
        let tests = groups.map(|group| group["tests"].as_array()).collect::<Option<Vec<_>>>()?;
        let tests = tests.into_iter().flatten();
        tests.map(|test| session::Test::read(role, test)).collect::<Option<Vec<_>>>()
    };
    let files = each_file(folder, |target| Role::of(target).is_some(), read_file)?;
    Ok(files.into_iter().flatten().collect())
}

fn each_file<T>(
    folder: &Path,
    wanted: impl Fn(&str) -> bool,
    read_file: impl Fn(&str, &Json) -> Option<T>,
) -> Result<Vec<T>, LoadError> {
    let manifest = read(&folder.join("MANIFEST.json"))?;
    let bad = |path: &Path, what: &str| LoadError { path: path.into(), what: what.into() };
    let files = manifest["files"].as_array().ok_or_else(|| bad(folder, "MANIFEST.json names no files"))?;
    files
        .iter()
        .filter(|entry| wanted(entry["target"].as_str().unwrap_or_default()))
        .map(|entry| {
            let path = entry["path"].as_str().ok_or_else(|| bad(folder, "a file has no path"))?;
            let full = folder.join(path);
            let form = || bad(&full, "not of the form that README.md describes");
            read_file(path, &read(&full)?).ok_or_else(form)
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
    let spec = rules(test)?;
    Some(Test { id: test["id"].as_str()?.into(), spec, input, context: context.clone(), expected })
}

fn read_merge_test(test: &Json) -> Option<MergeTest> {
    let ops = test["ops"].as_array()?.clone();
    let orders = match test["orders"].as_array() {
        None if test["orders"] == "all" && ops.len() <= MergeTest::MAX_ALL => orders(ops.len()),
        None => return None,
        Some(orders) => orders
            .iter()
            .map(|order| {
                order.as_array()?.iter().map(|index| usize::try_from(index.as_u64()?).ok()).collect()
            })
            .collect::<Option<_>>()?,
    };
    Some(MergeTest {
        id: test["id"].as_str()?.into(),
        spec: rules(test)?,
        ops,
        orders,
        expect: test["expect"].clone(),
    })
}

/// Every order of so many things.
fn orders(count: usize) -> Vec<Vec<usize>> {
    let Some(last) = count.checked_sub(1) else { return vec![Vec::new()] };
    let with_last = |order: Vec<usize>| {
        (0..count).map(move |at| {
            let mut order = order.clone();
            order.insert(at, last);
            order
        })
    };
    orders(last).into_iter().flat_map(with_last).collect()
}

fn rules(test: &Json) -> Option<Vec<String>> {
    Some(test["spec"].as_array()?.iter().filter_map(|id| Some(id.as_str()?.to_owned())).collect())
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
