//! `backup`, `restore` and `verify` from outside, also beside a relay that runs.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use blazedb_relay::block::{BlockBuilder, Compression};
use blazedb_relay::message::{LastNodeSeq, Mark, RestoreMode};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::relay::{AppendBlock, NodeAppend, Owner, Principal};
use blazedb_relay::value::{Fields, Value};
use blazedb_relay::wire::{CollectionName, DatabaseName, FieldName, NodeId, NodeKey, Timestamp};
use blazedb_relay_server::store::{Background as _, LogStore as _, SqliteStore, Writer as _};
use serde_json::Value as Json;
use uuid::Uuid;

const PROGRAM: &str = env!("CARGO_BIN_EXE_blazedb-relay");

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BLAZEDB_RELAY_")) {
        command.env_remove(name);
    }
    command
}

/// Exit code, standard output and standard error.
fn run(args: &[&str]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command(args).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A folder of a test's own.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("keep").join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A database of that many records.
fn fill(data: &Path, name: &str, count: u64) {
    let store = SqliteStore::new(data).unwrap();
    let name = DatabaseName::new(name).unwrap();
    let mut opened = store.open(&name).unwrap();
    let node = NodeId::new(Uuid::from_u128(7)).unwrap();
    let mut builder = BlockBuilder::new(node, 1);
    let mut check = 0;
    for number in 1..=count {
        let fields = Fields::new(vec![(FieldName::new("title").unwrap(), Value::from("Fix login bug"))]);
        let place = (CollectionName::new("bugs").unwrap(), Uuid::from_u128(number.into()));
        let timestamp = Timestamp::new(number, node).unwrap();
        let op = Op::new((node, number), timestamp, OpKind::Insert, place, fields.unwrap()).unwrap();
        check = u32::from_be_bytes(*op.to_bytes().last_chunk().unwrap());
        builder.push(&op).unwrap();
    }
    let bytes = builder.finish(Compression::None).unwrap().to_vec().into();
    let block = AppendBlock { first_node_seq: 1, count: u16::try_from(count).unwrap(), bytes };
    let owner = Some(Owner { principal: Principal::new("ann"), key: NodeKey([7; 16]) });
    let mark = Mark::new(LastNodeSeq::new(count).unwrap(), check).unwrap();
    let append = NodeAppend { node, owner, builds_on: Mark::NONE, mark, blocks: vec![block] };
    opened.writer.append(&[append]).unwrap();
    let mut background = store.background(&name).unwrap();
    while background.feed(1_000).unwrap().ops > 0 {}
}

/// A relay that runs on that folder.
struct Relay(Child);

impl Relay {
    fn start(data: &Path) -> Self {
        let args = ["serve", "--listen", "127.0.0.1:0", "--data", text(data)];
        let mut child = command(&args).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("Ctrl-C") {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
        }
        Self(child)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn there_and_back_again() {
    let folder = folder("there-and-back");
    let (data, copies) = (folder.join("data"), folder.join("copies"));
    fill(&data, "app", 100);
    fill(&data, "notes", 20);
    let relay = Relay::start(&data);
    let (code, out, err) = run(&["backup", "--to", text(&copies), "--data", text(&data)]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("app: ") && out.contains("notes: ") && out.lines().count() == 2, "{out}");
    // Beside a relay that runs a database can be looked at, but none put in place.
    let (code, out, err) = run(&["verify", "--data", text(&data)]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("app: sound; 100 operations") && out.contains("notes: sound"), "{out}");
    let copy = copies.join("app.blazedb");
    let restore = |more: &[&str]| run(&[&["restore", text(&copy), "--data", text(&data)], more].concat());
    let (code, _, err) = restore(&["--as", "second"]);
    assert_eq!(code, 2);
    assert!(err.contains("another process uses this folder") && err.contains("stopped"), "{err}");
    drop(relay);

    let (code, _, err) = restore(&[]);
    let seen = err.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(code, 2);
    assert!(
        seen.contains("app.blazedb") && seen.contains("it is there already") && seen.contains("mkdir old"),
        "{err}"
    );
    let (code, out, err) = restore(&["--as", "second", "--discard"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("second: restored") && out.contains("drop"), "{out}");
    let (code, out, _) = run(&["verify", "second", "--json", "--data", text(&data)]);
    let json: Json = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!(
        (&json["database"], &json["ok"], &json["operations"], &json["records"], &json["problems"]),
        (&"second".into(), &true.into(), &100.into(), &100.into(), &Json::Array(vec![]))
    );
    let store = SqliteStore::new(&data).unwrap();
    let opened = store.open(&DatabaseName::new("second").unwrap()).unwrap();
    assert_eq!(opened.epochs.last().map(|epoch| epoch.mode), Some(RestoreMode::Discard));
}

#[test]
fn a_copy_that_was_cut_short_is_begun_anew() {
    let folder = folder("cut-short");
    let (data, copies) = (folder.join("data"), folder.join("copies"));
    fill(&data, "app", 100);
    fs::create_dir(&copies).unwrap();
    let part = copies.join("app.blazedb.part");
    fs::write(&part, vec![7; 500_000]).unwrap();
    fs::write(copies.join("app.blazedb.part-journal"), "something").unwrap();
    // Somebody else is at it.
    let held = fs::File::open(&part).unwrap();
    held.lock().unwrap();
    let backup = || run(&["backup", "app", "--json", "--to", text(&copies), "--data", text(&data)]);
    let (code, out, err) = backup();
    let json: Json = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["ok"]), (2, &false.into()));
    assert!(
        err.contains("another copy to this place") && json["error"].as_str().unwrap().contains("part"),
        "{err}"
    );
    assert!(part.exists());
    drop(held);
    let (code, out, err) = backup();
    assert_eq!(code, 0, "{err}");
    let json: Json = serde_json::from_str(&out).unwrap();
    assert!(json["bytes"].as_u64().unwrap() > 10_000, "{json}");
    let left: Vec<_> = fs::read_dir(&copies).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["app.blazedb"]);
    let (code, ..) = run(&["verify", text(&copies.join("app.blazedb"))]);
    assert_eq!(code, 0);
    // It is there now.
    let (code, _, err) = backup();
    assert_eq!(code, 2);
    assert!(err.contains("it is there already"), "{err}");
}

#[test]
fn what_is_wrong_is_told() {
    let folder = folder("wrong");
    let data = folder.join("data");
    fill(&data, "app", 200);
    fill(&data, "good", 10);
    let file = data.join("app.blazedb");
    let mut bytes = fs::read(&file).unwrap();
    // An operation's text, wherever it stands.
    let at = bytes.windows(5).position(|bytes| bytes == b"login").unwrap();
    bytes[at] = b'L';
    fs::write(&file, bytes).unwrap();
    let (code, out, err) = run(&["verify", "--data", text(&data)]);
    assert_eq!(code, 1, "{err}");
    assert!(out.contains("app: ") && out.contains("problem") && out.contains("good: sound"), "{out}");
    let (code, out, _) = run(&["verify", "--json", "--data", text(&data)]);
    let first: Json = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!((code, &first["ok"]), (1, &false.into()));
    assert!(!first["problems"].as_array().unwrap().is_empty(), "{first}");

    for (args, words) in [
        (&["verify", "nothing"][..], &["nothing.blazedb", "no such database", "./nothing"][..]),
        (&["verify", "../app"], &["../app", "no such database"]),
        (&["backup", "App", "--to", "x"], &["App", "not the name of a database"]),
        (&["restore", "copy.sqlite"], &["copy.sqlite", "--as"]),
    ] {
        let (code, _, err) = run(&[args, &["--data", text(&data)]].concat());
        let seen = err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(code, 2, "{args:?}");
        assert!(words.iter().all(|word| seen.contains(word)), "{args:?}: {err}");
    }
    let (code, _, err) = run(&["verify", "--data", text(&folder.join("none"))]);
    assert!(code == 2 && err.contains("none"), "{err}");
    let (code, _, err) = run(&["backup", "--to", "x", "--data", text(&folder)]);
    assert!(code == 2 && err.contains("has no database"), "{err}");
}
