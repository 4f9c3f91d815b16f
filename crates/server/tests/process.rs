//! A server as a process of its own, with its databases in files: killed, ended, started again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(clippy::print_stderr, reason = "how many connections the system allowed")]

mod support;

use core::net::SocketAddr;
use std::env;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use blazedb_relay::message::{Message, PushEntry};
use blazedb_relay_server::config::Config;
use blazedb_relay_server::run;
use blazedb_relay_server::store::{ErrorKind, SqliteStore};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use support::{Came, Hello, PATIENCE, Wire, block, metric, push, subscribe};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// Where the child's databases are.
const FOLDER: &str = "BLAZEDB_RELAY_TEST_FOLDER";
/// The file in which the child says where it listens.
const ADDRESS: &str = "address";

/// Not a test: the server that the others start, in another process.
#[test]
#[ignore = "run by the other tests"]
fn server() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let address = Path::new(&folder).join(ADDRESS);
    let mut config = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), folder.clone().into());
    config.log = "off".into();
    run(&config, SqliteStore::new(folder).unwrap(), |started| {
        let new = address.with_extension("new");
        fs::write(&new, started.address.to_string()).unwrap();
        fs::rename(new, address).unwrap();
    })
    .unwrap();
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    fn start(folder: &TempDir) -> Self {
        let address = folder.path().join(ADDRESS);
        let _ = fs::remove_file(&address);
        let child = Command::new(env::current_exe().unwrap())
            .args(["server", "--exact", "--ignored", "--quiet"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let address = loop {
            if let Ok(text) = fs::read_to_string(&address) {
                break text.parse().unwrap();
            }
            assert!(begun.elapsed() < PATIENCE, "the server did not start");
            thread::yield_now();
        };
        Self { child, address }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Pushes blocks of `size` one behind the other, until that many have their ack. They are numbers `first`
/// and following.
async fn push_acked(wire: &mut Wire, first: u64, blocks: u64, size: u64) {
    for number in 0..blocks {
        let id = u32::try_from(number).unwrap() + 1;
        wire.send(push(id, &block(1, first + number * size, size, "bugs", 20))).await;
    }
    for _ in 0..blocks {
        wire.expect(|message| {
            let Message::PushAck(ack) = message else { return None };
            assert!(ack.entries.iter().all(|entry| matches!(entry, PushEntry::Accepted(_))));
            Some(())
        })
        .await;
    }
}

/// The mark that welcome tells.
async fn mark(wire: &mut Wire, hello: &Hello) -> u64 {
    wire.send(hello.to_bytes()).await;
    wire.expect(|message| {
        let Message::Welcome(welcome) = message else { return None };
        Some(welcome.mark.node_seq().get())
    })
    .await
}

/// The seq that a reader from the start gets to.
async fn read_all(address: SocketAddr, until: u64) {
    let mut reader = Wire::welcomed(address, &Hello::new(9)).await;
    reader.send(subscribe(1, 16 << 20)).await;
    let (mut ops, mut at) = (0, 0);
    while at < until {
        (ops, at) = reader
            .expect(|message| {
                let Message::Update(update) = message else { return None };
                let blocks = message.blocks();
                let counts = blocks.iter().flat_map(|blocks| blocks.iter());
                let count: u64 = counts.map(|block| u64::from(block.header().count)).sum();
                Some((ops + count, update.new.seq()))
            })
            .await;
    }
    assert_eq!((ops, at), (until, until));
}

#[tokio::test]
async fn what_was_acknowledged_survives_kill() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder);
    let mut wire = Wire::open(server.address).await;
    assert_eq!(mark(&mut wire, &Hello::new(1)).await, 0);
    push_acked(&mut wire, 1, 1_000, 1).await;
    // More under way: they may be kept or not, but not in part.
    for number in 0..50 {
        wire.send(push(2_000 + number, &block(1, 1_001 + u64::from(number) * 7, 7, "bugs", 20))).await;
    }
    server.signal(Signal::KILL);
    drop(server);

    let server = Server::start(&folder);
    let mut wire = Wire::open(server.address).await;
    let mark = mark(&mut wire, &Hello::new(1)).await;
    assert!(mark >= 1_000 && (mark - 1_000) % 7 == 0, "{mark}");
    push_acked(&mut wire, mark + 1, 1, 10).await;
    read_all(server.address, mark + 10).await;
}

/// As many open files as this process may have. Gives how many that is.
fn raise_open_files() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// A number of the server's process in `/proc/PID/status`, in KiB.
fn kilobytes(server: &Server, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", server.child.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Strangers that open a connection and stop in the middle of what they say first: half of them in an HTTP
/// request, half in the handshake behind it.
//= SES-7 test
//= RLY-51 test
#[tokio::test]
async fn ten_thousand_that_never_finish_their_handshake() {
    // Each end of a connection is a file, of a process of its own.
    let count = raise_open_files().saturating_sub(600).min(10_000);
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder);
    let mut wire = Wire::welcomed(server.address, &Hello::new(1)).await;
    push_acked(&mut wire, 1, 1, 1).await;
    let before = kilobytes(&server, "VmRSS:");

    // One masked binary message that announces a handshake of 60,000 bytes, and has 30 of it.
    let mut part = vec![0x82, 0xFE, 0xEA, 0x60, 0, 0, 0, 0];
    part.extend(&Hello::new(2).to_bytes()[..30]);
    part[8 + 8..8 + 12].copy_from_slice(&59_000u32.to_be_bytes());
    let request = format!(
        "GET /sync HTTP/1.1\r\nhost: {}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         sec-websocket-protocol: blazedb-relay.v1\r\n\r\n",
        server.address
    );
    let mut strangers = Vec::new();
    for number in 0..count {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        if number % 2 == 0 {
            stream.write_all(&request.as_bytes()[..request.len() / 2]).await.unwrap();
        } else {
            stream.write_all(request.as_bytes()).await.unwrap();
            // The answer ends with an empty line. A server that is slow has closed it by now.
            let mut answer = Vec::new();
            while !answer.ends_with(b"\r\n\r\n") {
                answer.push(stream.read_u8().await.unwrap());
            }
            let _ = stream.write_all(&part).await;
        }
        strangers.push(stream);
        if number % 1_000 == 0 {
            // Who was there is served, and who comes.
            push_acked(&mut wire, number / 1_000 + 2, 1, 1).await;
            drop(Wire::welcomed(server.address, &Hello::new(100 + u128::from(number))).await);
        }
    }
    // The most that it ever had, whenever they were all there.
    let each = (kilobytes(&server, "VmHWM:") - before) / count;
    eprintln!("{count} connections, at most {each} KiB for each");
    assert!(each <= 24, "{each} KiB for each");
    // Each is closed by a timer; the end of the stream, or what the system says if something was unread.
    for mut stream in strangers {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is closed");
    }
    // A peer may see the end before the relay has counted it.
    let counted = async {
        loop {
            let waited = metric(server.address, "closed_total{code=\"HANDSHAKE_TIMEOUT\"}").await
                + metric(server.address, "request_timeouts_total").await;
            if waited >= count {
                return waited;
            }
        }
    };
    assert_eq!(timeout(PATIENCE, counted).await.expect("each was closed by a timer"), count);
    assert_eq!(metric(server.address, "transports_turned_away_total").await, 0);
    let mut wire = Wire::open(server.address).await;
    assert_eq!(mark(&mut wire, &Hello::new(1)).await, 1 + count.div_ceil(1_000));
}

#[tokio::test]
async fn terminated_under_load_it_says_goodbye_and_keeps_all() {
    let folder = TempDir::new().unwrap();
    let mut server = Server::start(&folder);
    let mut wire = Wire::open(server.address).await;
    mark(&mut wire, &Hello::new(1)).await;
    push_acked(&mut wire, 1, 10, 10).await;
    for number in 0..200 {
        wire.send(push(1_000 + number, &block(1, 101 + u64::from(number) * 10, 10, "bugs", 20))).await;
    }
    server.signal(Signal::TERM);
    let (mut acked, mut goodbye) = (100, false);
    loop {
        let Came::Frame(frame) = wire.next().await else { break };
        match frame[2..4] {
            [0, 0x10] => acked += 10,
            [0, 0x28] => {
                goodbye = true;
                wire.close().await;
            }
            _ => {}
        }
    }
    assert!(goodbye);
    assert!(server.child.wait().unwrap().success());

    let server = Server::start(&folder);
    let mut wire = Wire::open(server.address).await;
    let mark = mark(&mut wire, &Hello::new(1)).await;
    assert!(mark >= acked, "{mark} kept of {acked} acknowledged");
    read_all(server.address, mark).await;
}

#[tokio::test]
async fn a_folder_has_one_server() {
    let folder = TempDir::new().unwrap();
    let server = Server::start(&folder);
    let second = SqliteStore::new(folder.path()).unwrap_err();
    assert_eq!(second.kind(), ErrorKind::InUse);
    drop(server);
    SqliteStore::new(folder.path()).unwrap();
}
