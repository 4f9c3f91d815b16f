//! A server as a process of its own, with its databases in files: killed, ended, started again.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

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
use rustix::process::{Pid, Signal, kill_process};
use support::{Came, Hello, PATIENCE, Wire, block, push, subscribe};
use tempfile::TempDir;

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
