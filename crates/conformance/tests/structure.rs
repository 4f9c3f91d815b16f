//! The layout of the code: which layer may use which, and how long a file may be.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use blazedb_relay_conformance::spec;

/// For each module of `src/`, the modules it may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("registry", &[]),
    ("rule", &["registry"]),
    ("error", &["registry", "rule"]),
    ("wire", &["error", "limits", "registry"]),
    ("value", &["error", "limits", "registry", "wire"]),
    ("op", &["error", "limits", "registry", "wire", "value"]),
    ("merge", &["error", "limits", "mutant", "registry", "wire", "value", "op"]),
    ("mutant", &[]),
    ("block", &["error", "limits", "registry", "wire", "op"]),
    ("message", &["error", "limits", "registry", "wire", "value", "block"]),
    ("frame", &["error", "limits", "registry", "wire"]),
    ("codec", &["error", "limits", "registry", "wire", "value", "op", "block", "message", "frame"]),
    ("time", &[]),
    ("relay", &["error", "limits", "mutant", "registry", "time", "wire", "op", "block", "message", "frame", "codec"]),
    (
        "client",
        &[
            "error", "limits", "mutant", "registry", "time", "wire", "value", "op", "merge", "block", "message",
            "frame", "codec",
        ],
    ),
    ("lib", &["error", "limits", "registry", "wire", "value", "op", "block", "message", "frame", "codec"]),
];

/// What the protocol crate must not know.
const BANNED: &[&str] = &[
    "std::time",
    "std::net",
    "std::fs",
    "std::thread",
    "tokio",
    "HashMap",
    "HashSet",
    "Instant",
    "SystemTime",
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                found.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|ext| ext == "rs" || ext == "py" || ext == "ksy") {
            found.push(path);
        }
    }
    found
}

/// The module of `src/` that a file belongs to.
fn module(path: &Path, src: &Path) -> String {
    let first = path.strip_prefix(src).unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Code without its unit tests, which may use what they test with, and may fill a file.
fn code<'a>(path: &Path, text: &'a str) -> &'a str {
    if path.ends_with("testing.rs") || path.ends_with("tests.rs") || path.iter().any(|part| part == "tests") {
        return "";
    }
    text.split("#[cfg(test)]").next().unwrap_or_default()
}

#[test]
fn imports_point_down() {
    let src = spec::root().join("src");
    let allowed: BTreeMap<_, _> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for path in sources(&src) {
        let module = module(&path, &src);
        let Some(allowed) = allowed.get(module.as_str()) else {
            wrong.push(format!("{module} is in no layer"));
            continue;
        };
        let text = fs::read_to_string(&path).unwrap();
        for (at, _) in code(&path, &text).match_indices("crate::") {
            let used: String =
                text[at + 7..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            if used != module && !used.is_empty() && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{} uses {used}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_protocol_crate_never_touches_the_world() {
    for path in sources(&spec::root().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        for word in BANNED {
            assert!(!code(&path, &text).contains(word), "{} mentions {word}", path.display());
        }
    }
}

#[test]
fn files_stay_under_600_lines() {
    let root = spec::root();
    for folder in ["src", "crates", "benches", "fuzz", "test-vectors"] {
        for path in sources(&root.join(folder)) {
            let lines = fs::read_to_string(&path).unwrap().lines().count();
            assert!(lines <= 600, "{} has {lines} lines", path.display());
        }
    }
}

#[test]
fn nothing_is_left_to_do() {
    let words =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("to", "do!("), concat!("unimpl", "emented!(")];
    for folder in ["src", "crates", "benches", "fuzz", "test-vectors"] {
        for path in sources(&spec::root().join(folder)) {
            let text = fs::read_to_string(&path).unwrap();
            for word in words {
                assert!(!text.contains(word), "{} says {word}", path.display());
            }
        }
    }
}
