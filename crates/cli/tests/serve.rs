//! `serve` from outside: what it prints, what it answers, and how it ends.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::env::temp_dir;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Output, Stdio, id};

const PROGRAM: &str = env!("CARGO_BIN_EXE_blazedb-relay");

/// A folder of a test's own, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = temp_dir().join(format!("blazedb-relay-serve-{}-{name}", id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("serve").args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BLAZEDB_RELAY_")) {
        command.env_remove(name);
    }
    command
}

/// A server that runs, and what it said at its start.
struct Server {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl Server {
    fn start(args: &[&str]) -> Self {
        let mut child = command(args).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("Ctrl-C") {
            assert_ne!(stderr.read_line(&mut said).unwrap(), 0, "{said}");
        }
        Self { child, stderr, said }
    }

    fn get(&self, path: &str) -> String {
        let address = self.said.split("ws://").nth(1).unwrap().split('/').next().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a server that cannot start ends.
fn fails(args: &[&str]) -> String {
    let Output { status, stderr, .. } = command(args).output().unwrap();
    assert_eq!(status.code(), Some(2));
    String::from_utf8(stderr).unwrap()
}

#[test]
fn it_says_where_it_is_and_ends_when_told() {
    let folder = Folder::new("ends");
    let data = folder.path("data");
    let mut server = Server::start(&["--listen", "127.0.0.1:0", "--data", &data]);
    assert!(server.said.contains("Listening on ws://127.0.0.1:"), "{}", server.said);
    assert!(server.said.contains(&data), "{}", server.said);
    assert!(server.said.contains("Open: whoever is on this machine"), "{}", server.said);
    let health = server.get("/health");
    assert!(health.starts_with("HTTP/1.1 200") && health.contains("\"status\":\"ok\""), "{health}");
    assert!(server.get("/metrics").contains("\nblazedb_relay_connections 0\n"));

    // The folder is in use.
    let error = fails(&["--listen", "127.0.0.1:0", "--data", &data]);
    assert!(error.contains(&data) && error.contains("another process uses this folder"), "{error}");

    let pid = server.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert!(server.child.wait().unwrap().success());
    let mut rest = String::new();
    server.stderr.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("going down"), "{rest}");
}

#[test]
fn with_tokens_it_is_not_open() {
    let folder = Folder::new("tokens");
    let config = folder.path("relay.toml");
    let rights = "rights = [{ database = '*', access = 'read-write' }]";
    fs::write(&config, format!("[[tokens]]\nprincipal = 'ann'\ntoken = 'secret'\n{rights}\n")).unwrap();
    let args = ["--listen", "127.0.0.1:0", "--data", &folder.path("data"), "--config", &config];
    let server = Server::start(&args);
    assert!(server.said.contains("Clients need a token"), "{}", server.said);
    assert!(!server.said.contains("secret"));
}

#[test]
fn mistakes_are_explained() {
    let folder = Folder::new("mistakes");
    let config = folder.path("relay.toml");
    fs::write(&config, "lisen = '127.0.0.1:7700'\n").unwrap();
    let error = fails(&["--config", &config]);
    assert!(error.contains("relay.toml") && error.contains("lisen") && error.contains("listen"), "{error}");
    let error = fails(&["--listen", "0.0.0.0:0", "--data", &folder.path("data")]);
    assert!(error.contains("[[tokens]]") && error.contains("BLAZEDB_RELAY_TOKEN"), "{error}");
    let error = fails(&["--listen", "7700"]);
    assert!(error.contains("--listen") && error.contains("127.0.0.1:7700"), "{error}");
    // A file is no folder.
    let error = fails(&["--listen", "127.0.0.1:0", "--data", &config]);
    assert!(error.contains("relay.toml"), "{error}");
}
