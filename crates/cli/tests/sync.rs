//! The commands that talk to a relay, against a relay: from what is typed to what is printed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "what fails here fails a test")]
#![allow(clippy::print_stderr, reason = "a test that is skipped says so")]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_blazedb-relay");
const DATABASE: &str = "app";

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BLAZEDB_RELAY_")) {
        command.env_remove(name);
    }
    command
}

/// A relay in a process of its own.
struct Relay {
    child: Child,
    address: String,
}

impl Relay {
    fn start(data: &Path, listen: &str) -> Self {
        let mut command = program(&["serve", "--log", "error", "--listen", listen, "--data"]);
        let mut child = command.arg(data).stdout(Stdio::null()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("Ctrl-C") {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
        }
        std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
        let address = said.split("ws://").nth(1).unwrap().split('/').next().unwrap().to_owned();
        Self { child, address }
    }

    fn url(&self) -> String {
        format!("ws://{}/sync", self.address)
    }

    /// What a command prints that ends well.
    fn run(&self, args: &[&str]) -> String {
        let out = self.output(args, "");
        assert!(out.status.success(), "{args:?}: {}", String::from_utf8_lossy(&out.stderr));
        String::from_utf8(out.stdout).unwrap()
    }

    fn output(&self, args: &[&str], input: &str) -> Output {
        let url = self.url();
        let mut command = program(&[args, &["--url", &url, "--database", DATABASE]].concat());
        let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Operations in the log, as the metrics say.
    fn head(&self) -> u64 {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let request = format!("GET /metrics HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", self.address);
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let lines = answer.lines().filter(|line| line.starts_with("blazedb_relay_database_head{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// No warning, no last words.
    fn kill(mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.address.clone()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(text: &str) -> Vec<Json> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const BUGS: &str = r#"
{"collection":"bugs","record":"00000000-0000-4000-8000-000000000001","fields":{"title":"Fix login","priority":5,"status":"open"}}
{"collection":"bugs","record":"00000000-0000-4000-8000-000000000002","fields":{"title":"Add export","priority":3,"status":"open"}}
{"collection":"bugs","record":"00000000-0000-4000-8000-000000000002","fields":{"status":"closed"}}
{"collection":"notes","type":"insert","record":"00000000-0000-4000-8000-000000000003","fields":{"at":{"$date":1.5}}}
{"collection":"bugs","record":"00000000-0000-4000-8000-000000000004","fields":{"title":"Gone"}}
{"collection":"bugs","record":"00000000-0000-4000-8000-000000000004","type":"delete"}
"#;

#[test]
fn what_is_pushed_can_be_read_in_every_way() {
    let folder = TempDir::new().unwrap();
    let relay = Relay::start(folder.path(), "127.0.0.1:0");
    let pushed = relay.output(&["push", "--json"], BUGS);
    assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    assert_eq!(lines(&String::from_utf8(pushed.stdout).unwrap())[0]["durable"], 6);

    let exported = relay.run(&["export"]);
    assert_eq!(
        exported,
        "{\"collection\":\"bugs\",\"record\":\"00000000-0000-4000-8000-000000000001\",\"fields\":\
         {\"priority\":5,\"status\":\"open\",\"title\":\"Fix login\"}}\n\
         {\"collection\":\"bugs\",\"record\":\"00000000-0000-4000-8000-000000000002\",\"fields\":\
         {\"priority\":3,\"status\":\"closed\",\"title\":\"Add export\"}}\n\
         {\"collection\":\"notes\",\"record\":\"00000000-0000-4000-8000-000000000003\",\"fields\":\
         {\"at\":{\"$date\":1.5}}}\n"
    );
    assert_eq!(relay.run(&["export", "--merged", "notes", "--merged", "bugs"]), exported);

    let pulled = lines(&relay.run(&["pull"]));
    let seqs: Vec<_> = pulled.iter().map(|line| line["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, [1, 2, 3, 4, 5, 6]);
    assert_eq!(pulled[2]["changes"], serde_json::json!({ "status": "closed" }));
    assert_eq!(pulled[5]["type"], "delete");
    assert_eq!(lines(&relay.run(&["pull", "--collection", "notes"])).len(), 1);
    let limited = relay.output(&["pull", "--limit", "2"], "");
    assert_eq!(limited.stdout.iter().filter(|byte| **byte == b'\n').count(), 2);
    let said = String::from_utf8(limited.stderr).unwrap();
    let position = said.trim().rsplit(' ').next().unwrap().to_owned();
    assert_eq!(lines(&relay.run(&["pull", "--from", &position]))[0]["seq"], 3);

    let watched = relay.run(&["watch", "--all", "--limit", "6", "--json"]);
    assert_eq!(lines(&watched), pulled);
    assert!(relay.run(&["watch", "--all", "--limit", "1"]).contains("title=\"Fix login\""));

    let rows =
        lines(&relay.run(&["query", "bugs", "--where", "priority >= 4", "--select", "title", "--json"]));
    assert_eq!(rows, [serde_json::json!({ "title": "Fix login" })]);
    let rows = lines(&relay.run(&[
        "query",
        "bugs",
        "--group-by",
        "status",
        "--count",
        "--max",
        "priority",
        "--json",
    ]));
    assert_eq!(
        rows,
        [
            serde_json::json!({ "status": "closed", "count": 1, "max(priority)": 3 }),
            serde_json::json!({ "status": "open", "count": 1, "max(priority)": 5 }),
        ]
    );
    assert!(relay.run(&["query", "bugs", "--sort", "priority:desc", "--limit", "1"]).contains("Fix login"));

    let status = &lines(&relay.run(&["status", "--json"]))[0];
    assert_eq!((&status["operations"], &status["live_records"]), (&6.into(), &3.into()), "{status}");
}

#[test]
fn what_cannot_be_done_is_explained() {
    let folder = TempDir::new().unwrap();
    let relay = Relay::start(folder.path(), "127.0.0.1:0");
    for (args, input, wanted) in [
        (&["push"][..], "{\"collection\":\"bugs\",\"fields\":{\"a\":1}}\nwhat", "line 2"),
        (&["push"], "{\"collection\":\"bugs\",\"fields\":{\"a\":{\"$what\":1}}}", "field \"a\""),
        (&["push"], "{\"collection\":\"bugs\"}", "needs `fields`"),
        (&["push"], "{\"collection\":\"bugs\",\"type\":\"delete\"}", "needs `record`"),
        (&["query", "bugs", "--where", "priority ~ 3"], "", "is no condition"),
        (&["pull", "--from", "7"], "", "is no position"),
        (&["export", "--file", "not-there.blaze"], "", "is not there"),
        (&["replay", "not-there.ndjson"], "", "cannot be read"),
    ] {
        let out = relay.output(args, input);
        let said = String::from_utf8_lossy(&out.stderr).replace("\n ", "");
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(wanted), "{args:?}: {said}");
    }
    let nobody = program(&["status", "--database", "app", "--url", "ws://127.0.0.1:1"]).output().unwrap();
    assert_eq!(nobody.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nobody.stderr).contains("blazedb-relay serve"));
}

/// A file of the real history, or a word about it.
fn trace(name: &str) -> Option<PathBuf> {
    let near = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let path = std::env::var_os("BLAZEDB_TRACE_DIR").map_or(near, PathBuf::from).join(name);
    if !path.is_file() {
        eprintln!("skipped: no trace at {}; BLAZEDB_TRACE_DIR names the folder that has it", path.display());
        return None;
    }
    Some(path)
}

/// SHA-256 of an export in the form of the history's own expected state.
fn digest(exported: &str) -> String {
    let state = exported.replace("{\"collection\":\"software\",", "{");
    Sha256::digest(state.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Of what 20,000 operations of the history add up to, as those who made it say.
const EXPECTED_20K: &str = "f4bfbe044d15f05105c23ec1df5dbe54fc272d3033fb9f54496de90c1db90e3b";

#[test]
fn a_real_history_survives_absences_and_a_kill() {
    let Some(history) = trace("selfhosted-20k.ndjson.zst") else { return };
    let folder = TempDir::new().unwrap();
    let (data, kept) = (folder.path().join("data"), folder.path().join("clients"));
    let relay = Relay::start(&data, "127.0.0.1:0");
    let url = relay.url();
    let replay =
        ["replay", history.to_str().unwrap(), "--json", "--seed", "7", "--clients", "8", "--offline", "0.3"];
    let keep = ["--keep", kept.to_str().unwrap(), "--url", &url, "--database", DATABASE];
    let mut replaying = program(&[&replay[..], &keep].concat()).spawn().unwrap();
    // In the middle of it the relay dies, and comes back.
    while relay.head() < 6_000 {
        assert!(replaying.try_wait().unwrap().is_none(), "it ended before the relay could be killed");
    }
    let before = relay.head();
    let address = relay.kill();
    let relay = Relay::start(&data, &address);
    let done = replaying.wait_with_output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let summary = &lines(&String::from_utf8(done.stdout).unwrap())[0];
    assert!(before < 20_000, "it was killed at {before}, when all was done");
    assert!(summary["absences"].as_u64().unwrap() >= 8, "{summary}");
    assert_eq!(summary["rejected"], 0, "{summary}");

    let fresh = relay.run(&["export"]);
    assert_eq!(digest(&fresh), EXPECTED_20K, "a fresh client");
    assert_eq!(
        digest(&relay.run(&["export", "--merged", "software"])),
        EXPECTED_20K,
        "the relay's own merge"
    );
    let files: Vec<_> = fs::read_dir(&kept).unwrap().map(|entry| entry.unwrap().path()).collect();
    let files: Vec<_> =
        files.iter().filter(|path| path.extension().is_some_and(|it| it == "blaze")).collect();
    assert_eq!(files.len(), 19);
    for file in files {
        let exported = relay.run(&["export", "--file", file.to_str().unwrap()]);
        assert_eq!(digest(&exported), EXPECTED_20K, "{}", file.display());
    }
}
