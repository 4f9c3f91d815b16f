//! A relay on real sockets, with a disk that is full, cannot be written to, or comes back.

#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails says so"
)]

#[path = "store/disk.rs"]
#[allow(dead_code, reason = "the suite of stores uses more of it")]
mod disk;
#[path = "store/samples.rs"]
#[allow(dead_code, reason = "the suite of stores uses more of it")]
mod samples;
mod support;
#[path = "store/vfs.rs"]
#[allow(dead_code, reason = "the suite of stores uses more of it")]
mod vfs;

use blazedb_relay::message::{Message, PushEntry};
use blazedb_relay::registry::GoodbyeReason;
use blazedb_relay_server::Server;
use blazedb_relay_server::store::SqliteStore;
use support::{Came, Hello, Wire, block, config, get, metric, push, subscribe};
use tempfile::TempDir;
use vfs::Vfs;

struct World {
    server: Server,
    vfs: &'static Vfs,
    vfs_name: String,
    folder: TempDir,
}

impl World {
    async fn new() -> Self {
        let (vfs, vfs_name) = Vfs::register();
        let folder = tempfile::tempdir().unwrap();
        let store = SqliteStore::with_vfs(folder.path(), Some(vfs_name.clone())).unwrap();
        let server = Server::start(&config(), store).await.unwrap();
        Self { server, vfs, vfs_name, folder }
    }

    async fn metric(&self, name: &str) -> u64 {
        metric(self.server.address(), name).await
    }

    async fn health(&self) -> String {
        let (status, text) = get(self.server.address(), "/health").await;
        assert_eq!(status, 200);
        text
    }

    /// Connects node 1, and says its mark.
    async fn connect(&self) -> (Wire, u64) {
        let mut wire = Wire::open(self.server.address()).await;
        wire.send(Hello::new(1).to_bytes()).await;
        let mark = wire.expect(|message| {
            if let Message::Welcome(it) = message { Some(it.mark.node_seq().get()) } else { None }
        });
        let mark = mark.await;
        (wire, mark)
    }

    /// Everything is there, in order, and the file is sound.
    async fn check(self, operations: u64) {
        let mut reader = Wire::welcomed(self.server.address(), &Hello::new(2)).await;
        reader.send(subscribe(1, 16 << 20)).await;
        let (mut ops, mut at) = (0, 0);
        while at < operations {
            (ops, at) = reader
                .expect(|message| {
                    let Message::Update(update) = message else { return None };
                    let blocks = message.blocks();
                    let count: u64 =
                        blocks.iter().flat_map(|it| it.iter()).map(|it| u64::from(it.header().count)).sum();
                    Some((ops + count, update.new.seq()))
                })
                .await;
        }
        assert_eq!((ops, at), (operations, operations));
        drop(reader);
        self.server.shut_down().await;
        let file = self.folder.path().join("app.blazedb");
        let found = SqliteStore::verify_with_vfs(&file, Some(self.vfs_name), &mut |_| {}).unwrap();
        assert_eq!((found.operations, found.problems), (operations, vec![]));
    }
}

async fn answer(wire: &mut Wire) -> PushEntry {
    wire.expect(|message| if let Message::PushAck(ack) = message { ack.entries.iter().next() } else { None })
        .await
}

/// The reason with which the relay says goodbye.
async fn goodbye(wire: &mut Wire) -> GoodbyeReason {
    let reason = wire
        .expect(|message| if let Message::Goodbye(goodbye) = message { Some(goodbye.reason) } else { None });
    let reason = reason.await;
    wire.close().await;
    while let Came::Frame(_) = wire.next().await {}
    reason
}

//= RLY-22 test
#[tokio::test]
async fn a_full_disk() {
    let world = World::new().await;
    let (mut wire, mark) = world.connect().await;
    assert_eq!(mark, 0);
    wire.send(push(1, &block(1, 1, 100, "bugs", 100))).await;
    assert!(matches!(answer(&mut wire).await, PushEntry::Accepted(_)));

    world.vfs.disk.state().room = Some(0);
    for number in 2..5 {
        // The client is told to keep it, and when to try again; its connection stays.
        wire.send(push(number, &block(1, 101, 100, "bugs", 100))).await;
        assert!(matches!(answer(&mut wire).await, PushEntry::Later { wait } if wait > 0));
    }
    assert!(world.metric("commit_failures_total").await > 0);
    assert_eq!(world.metric("databases_failing").await, 1);
    let health = world.health().await;
    assert!(
        health.contains("\"status\":\"failing\"") && health.contains("\"app\":{\"state\":\"failing\""),
        "{health}"
    );
    // Reading goes on.
    let mut reader = Wire::welcomed(world.server.address(), &Hello::new(3)).await;
    reader.send(subscribe(1, 1 << 20)).await;
    reader
        .expect(|message| matches!(message, Message::Update(it) if it.new.seq() == 100).then_some(()))
        .await;
    drop(reader);

    world.vfs.disk.state().room = None;
    wire.send(push(5, &block(1, 101, 100, "bugs", 100))).await;
    assert!(matches!(answer(&mut wire).await, PushEntry::Accepted(_)));
    assert_eq!(world.metric("databases_failing").await, 0);
    assert!(world.health().await.contains("\"status\":\"ok\""));
    drop(wire);
    world.check(200).await;
}

//= RLY-8 test
//= RLY-59 test
#[tokio::test]
async fn a_disk_that_cannot_be_written_to() {
    let world = World::new().await;
    let (mut wire, _) = world.connect().await;
    wire.send(push(1, &block(1, 1, 100, "bugs", 100))).await;
    assert!(matches!(answer(&mut wire).await, PushEntry::Accepted(_)));

    world.vfs.disk.state().read_only = true;
    // What became of it cannot be told, so it is not answered: come back and ask.
    wire.send(push(2, &block(1, 101, 100, "bugs", 100))).await;
    assert_eq!(goodbye(&mut wire).await, GoodbyeReason::RESTARTING);
    for _ in 0..2 {
        let mut wire = Wire::open(world.server.address()).await;
        wire.send(Hello::new(1).to_bytes()).await;
        assert_eq!(goodbye(&mut wire).await, GoodbyeReason::RESTARTING);
    }
    assert_eq!(world.metric("logs_lost_total").await, 1);
    assert!(world.metric("open_failures_total").await >= 2);
    assert_eq!(world.metric("databases_failing").await, 1);
    let health = world.health().await;
    assert!(
        health.contains("\"status\":\"failing\"") && health.contains("\"app\":{\"state\":\"not opened\"}"),
        "{health}"
    );

    world.vfs.disk.state().read_only = false;
    let (mut wire, mark) = world.connect().await;
    assert!(mark == 100 || mark == 200, "{mark}");
    assert_eq!(world.metric("databases_failing").await, 0);
    wire.send(push(3, &block(1, mark + 1, 100, "bugs", 100))).await;
    assert!(matches!(answer(&mut wire).await, PushEntry::Accepted(_)));
    drop(wire);
    world.check(mark + 100).await;
}
