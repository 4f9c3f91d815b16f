//! The command line from outside: what it prints, and how it ends.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::{Value as Json, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_blazedb-relay");
/// Meanings of every target, with every message and every kind of value.
const SAMPLES: &str = include_str!("samples.json");

/// Runs the program with `input` on standard input.
fn run(args: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(PROGRAM)
        .args(args)
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // It may end before it has read everything.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn temporary(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

const PING: &str = r#"{"type":"ping","request_id":"0","more":false,"nonce":"1","extensions":[]}"#;

fn ping() -> Vec<u8> {
    let output = run(&["encode", "--as", "message"], PING.as_bytes());
    assert_eq!(code(&output), 0, "{}", err(&output));
    output.stdout
}

#[test]
fn a_frame_is_explained() {
    let output = run(&["decode"], &ping());
    assert_eq!(code(&output), 0);
    let text = out(&output);
    for part in ["message: 29 bytes", "ping, either way", "nonce", "CRC ok"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains('\u{1b}'), "a pipe has no colours");
    assert!(err(&output).contains("taken for a message"), "{}", err(&output));
}

#[test]
fn frames_stand_one_after_another() {
    let two = [ping(), ping()].concat();
    let output = run(&["decode"], &two);
    assert_eq!(code(&output), 0);
    assert!(out(&output).contains("message 2: 29 bytes at 29\n"), "{}", out(&output));
    let output = run(&["decode", "--json"], &two);
    assert_eq!(out(&output).lines().count(), 2);
    // And back.
    let back = run(&["encode", "--as", "message"], &output.stdout);
    assert_eq!(back.stdout, two);
}

#[test]
fn a_fault_names_its_rule() {
    let output = run(&["decode", "--hex", "--as", "value"], b"02 0000000000\n00002a\n");
    assert_eq!(code(&output), 1);
    assert!(out(&output).contains("^ NON_CANONICAL"), "{}", out(&output));
    let text = err(&output);
    assert!(text.contains("error: NON_CANONICAL at byte 0"), "{text}");
    assert!(text.contains("rule: VAL-4: An int from 0 to 255 MUST use tag"), "{text}");
}

#[test]
fn everything_up_to_the_fault_is_shown() {
    let mut frame = ping();
    frame[16] ^= 1;
    let output = run(&["decode", "--as", "message"], &[ping(), frame].concat());
    assert_eq!(code(&output), 1);
    assert!(out(&output).contains("^ BAD_CHECKSUM"), "{}", out(&output));
    let text = err(&output);
    assert!(text.contains("error: BAD_CHECKSUM at byte 54"), "{text}");
    assert!(text.contains("rule: FRM-4"), "{text}");
}

#[test]
fn hints_say_what_to_do() {
    let output = run(&["decode"], b"122a");
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("--hex reads them"), "{}", err(&output));
    let output = run(&["decode", "--hex", "--as", "value"], b"0c");
    assert!(err(&output).contains("--position field"), "{}", err(&output));
    assert_eq!(code(&run(&["decode", "--hex", "--as", "value", "--position", "field"], b"0c")), 0);
    let output = run(&["decode", "--hex"], b"12 xx");
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("'x' in line 1, column 4 is no hex digit"), "{}", err(&output));
}

#[test]
fn wrong_usage_and_missing_files_end_with_2() {
    assert_eq!(code(&run(&["decode", "--as", "song"], b"")), 2);
    assert_eq!(code(&run(&["sing"], b"")), 2);
    let output = run(&["decode", "no-such-file"], b"");
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("no-such-file cannot be read"), "{}", err(&output));
}

#[test]
fn without_input_the_example_is_explained() {
    let output = run(&["decode"], b"");
    assert_eq!(code(&output), 0, "{}", err(&output));
    assert!(out(&output).contains("push, client to relay"), "{}", out(&output));
    assert!(err(&output).contains("blazedb-relay decode FILE"), "{}", err(&output));
    // But not where something else was asked for.
    let output = run(&["decode", "--as", "op"], b"");
    assert_eq!((code(&output), output.stdout.len()), (1, 0));
    assert!(err(&output).contains("standard input is empty"), "{}", err(&output));
    assert_eq!(code(&run(&["decode", "-"], b"")), 1);
}

#[test]
fn what_decode_prints_encode_takes() {
    let samples: Json = blazedb_relay_conformance::meaning::parse_json(SAMPLES).unwrap();
    for sample in samples.as_array().unwrap() {
        let target = sample["target"].as_str().unwrap();
        let place = sample["position"].as_str().unwrap_or("plain");
        let shared = ["--as", target, "--position", place];
        let bytes = run(&[&["encode"], &shared[..]].concat(), sample["value"].to_string().as_bytes());
        assert_eq!(code(&bytes), 0, "{}", err(&bytes));
        let json = run(&[&["decode", "--json"], &shared[..]].concat(), &bytes.stdout);
        assert_eq!(code(&json), 0, "{}", err(&json));
        let again = run(&[&["encode"], &shared[..]].concat(), &json.stdout);
        assert_eq!(again.stdout, bytes.stdout, "{}", out(&json));
        let decoded = blazedb_relay_conformance::meaning::parse_json(&out(&json)).unwrap();
        assert_eq!(decoded, sample["value"]);
    }
}

#[test]
fn encode_says_what_it_cannot_do() {
    let output = run(&["encode", "--as", "value"], br#"{"type":"int","value":42}"#);
    assert_eq!(code(&output), 1);
    assert!(err(&output).contains("\"value\" must be"), "{}", err(&output));
    assert!(output.stdout.is_empty());
    assert_eq!(code(&run(&["encode", "--as", "value"], b"{")), 1);
    assert_eq!(code(&run(&["encode"], b"{}")), 2);
}

#[test]
fn encode_writes_hex_and_files() {
    let input = br#"{"type":"int","value":"42"}"#;
    assert_eq!(out(&run(&["encode", "--as", "value", "--hex"], input)), "122a\n");
    let file = temporary("encode").join("value.bin");
    let output = run(&["encode", "--as", "value", "-o", file.to_str().unwrap()], input);
    assert_eq!((code(&output), output.stdout.len()), (0, 0));
    assert_eq!(fs::read(file).unwrap(), [0x12, 0x2A]);
}

#[test]
fn the_harness_answers_line_by_line() {
    let input = concat!(
        r#"{"id":1,"op":"targets"}"#,
        "\n\n",
        r#"{"id":2,"op":"decode","target":"value","hex":"122a","context":{}}"#,
        "\nnonsense\n",
        r#"{"id":3,"op":"decode","target":"value","hex":"0401ff"}"#,
    );
    let output = run(&["harness"], input.as_bytes());
    assert_eq!(code(&output), 0);
    let answers: Vec<Json> = out(&output).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers[0]["ok"]["targets"][0], "value");
    assert_eq!(answers[1]["ok"]["reencoded"], "122a");
    assert_eq!(answers[2], json!({ "id": null, "err": { "code": "BAD_REQUEST", "offset": 0 } }));
    assert_eq!(answers[3], json!({ "id": 3, "err": { "code": "TRAILING_BYTES", "offset": 2 } }));
}

/// A folder with one file of vectors: two good ones, and one that says the wrong thing if `wrong`.
fn vectors(name: &str, wrong: bool) -> String {
    let folder = temporary(name);
    let offset = if wrong { 5 } else { 0 };
    let test = |id: &str, hex: &str| json!({ "id": id, "comment": "", "flags": [], "spec": ["VAL-4"], "hex": hex, "layout": [] });
    let mut valid = test("value/int-42", "122a");
    valid["result"] = json!("valid");
    valid["canonical"] = json!("same");
    valid["decoded"] = json!({ "type": "int", "value": "42" });
    let mut invalid = test("value/int-42-long", "02000000000000002a");
    invalid["result"] = json!("invalid");
    invalid["error"] = json!({ "code": "NON_CANONICAL", "offset": offset });
    let context = json!({ "capabilities": ["crdt"], "phase": "session", "position": "plain" });
    let groups = json!([{ "name": "ints", "context": context, "tests": [valid, invalid] }]);
    let file = json!({
        "schema": "vector-v1", "spec_version": "1.0", "target": "value", "header": [], "flags": {},
        "source": { "name": "test", "version": "1" }, "number_of_tests": 2, "groups": groups,
    });
    let manifest =
        json!({ "files": [{ "path": "ints.json", "target": "value", "number_of_tests": 2, "sha256": "" }] });
    fs::write(folder.join("ints.json"), file.to_string()).unwrap();
    fs::write(folder.join("MANIFEST.json"), manifest.to_string()).unwrap();
    folder.to_str().unwrap().into()
}

#[test]
fn vectors_run_against_this_program_and_through_the_harness() {
    let folder = vectors("good", false);
    let output = run(&["vectors", "--dir", &folder], b"");
    assert_eq!((code(&output), &*out(&output)), (0, "2 passed, 0 failed, 0 skipped\n"), "{}", err(&output));
    let output = run(&["vectors", "--dir", &folder, "--", PROGRAM, "harness"], b"");
    assert_eq!((code(&output), &*out(&output)), (0, "2 passed, 0 failed, 0 skipped\n"), "{}", err(&output));
    let output = run(&["vectors", "--dir", &folder, "--id", "value/int-42-"], b"");
    assert_eq!(out(&output), "1 passed, 0 failed, 0 skipped\n");
    let output = run(&["vectors", "--dir", &folder, "--target", "op"], b"");
    assert_eq!(code(&output), 2);
}

#[test]
fn failed_vectors_are_listed() {
    let folder = vectors("wrong", true);
    let output = run(&["vectors", "--dir", &folder], b"");
    assert_eq!(code(&output), 1);
    let text = out(&output);
    assert!(text.contains("failed value/int-42-long (VAL-4)"), "{text}");
    assert!(text.contains("wanted NON_CANONICAL at 5, got NON_CANONICAL at 0"), "{text}");
    assert!(text.ends_with("1 passed, 1 failed, 0 skipped\n"), "{text}");
    assert_eq!(code(&run(&["vectors", "--dir", &folder, "--ignore-offsets"], b"")), 0);
    let output = run(&["vectors", "--dir", &folder, "--json"], b"");
    let json: Json = serde_json::from_str(&out(&output)).unwrap();
    assert_eq!((&json["passed"], &json["failures"][0]["id"]), (&json!(1), &json!("value/int-42-long")));
}

#[test]
fn other_implementations_may_skip_and_die() {
    let folder = vectors("others", false);
    let with = |script: &str| run(&["vectors", "--dir", &folder, "--", "sh", "-c", script], b"");
    let output = with(r#"read a; echo '{"id":1,"ok":{"targets":["op","song"]}}'"#);
    assert_eq!((code(&output), &*out(&output)), (0, "0 passed, 0 failed, 2 skipped\n"), "{}", err(&output));
    let output = with(r#"read a; echo '{"id":1,"ok":{"targets":["value"]}}'; read a; exit 7"#);
    assert_eq!(code(&output), 1);
    let text = out(&output);
    assert!(text.contains("failed value/int-42 ") && text.contains("the process ended"), "{text}");
    let output = with("exit 0");
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("asked for its targets"), "{}", err(&output));
}

#[test]
fn a_missing_folder_of_vectors_is_said() {
    let folder = temporary("none");
    let output = run(&["vectors", "--dir", folder.to_str().unwrap()], b"");
    assert_eq!(code(&output), 2);
    assert!(err(&output).contains("MANIFEST.json"), "{}", err(&output));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let frames = ping().repeat(20_000);
    let mut child = Command::new(PROGRAM)
        .args(["decode", "--as", "message"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    child.stdin.take().unwrap().write_all(&frames).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((code(&output), &*err(&output)), (0, ""));
}

#[test]
fn help_teaches_with_examples() {
    for command in ["decode", "encode", "vectors", "harness"] {
        let output = run(&[command, "--help"], b"");
        assert_eq!(code(&output), 0);
        assert!(out(&output).contains("Example"), "{}", out(&output));
    }
}
