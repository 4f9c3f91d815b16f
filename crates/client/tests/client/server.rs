//! A server on a real socket.

use core::net::SocketAddr;
use std::path::PathBuf;

use blazedb_relay::message::RestoreMode;
use blazedb_relay::relay::Access;
use blazedb_relay::wire::DatabaseName;
use blazedb_relay_client::{
    Client, CollectionName, Connection, Error, ErrorCode, Event, FieldName, Fields, Options, Uuid, WebSocket,
    Write, WriteState,
};
use blazedb_relay_server::config::{Config, TlsFiles};
use blazedb_relay_server::store::{MemoryStore, SqliteStore};
use blazedb_relay_server::{Databases, Digest, Grant, Server, Token};

use super::support::{bug, event, in_file, titles, until};

fn config() -> Config {
    Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), PathBuf::from("unused"))
}

fn url(server: &Server) -> String {
    format!("ws://{}", server.address())
}

/// A token that may write everything but the collection `rules`.
fn token(text: &str) -> Token {
    let rules = CollectionName::new("rules").unwrap();
    let grant = Grant {
        databases: Databases::BeginningWith(String::new()),
        access: Access::ALL,
        collections: vec![(rules, Access::READ)],
    };
    Token {
        principal: "somebody".into(),
        digest: Digest::of(text.as_bytes()),
        valid_until_ms: None,
        grants: vec![grant],
    }
}

#[tokio::test]
async fn two_clients_over_websockets() {
    let server = Server::start(&config(), MemoryStore::default()).await.unwrap();
    let open = || async {
        let options = Options::new("app").unwrap().url(&url(&server)).unwrap().subscribe_all();
        Client::open(options).await.unwrap()
    };
    let (writer, reader) = (open().await, open().await);
    // More than fits in one block, and in one window.
    let title = FieldName::new("title").unwrap();
    let bugs = CollectionName::new("bugs").unwrap();
    let writes = (0..5_000u128).map(|n| {
        let fields = Fields::new(vec![(title.clone(), format!("bug {n}").as_str().into())]).unwrap();
        vec![Write::insert(bugs.clone(), Uuid::from_u128(n + 1), fields)]
    });
    writer.write_many(writes.collect()).await.unwrap();
    writer.settled().await.unwrap();
    until(&reader, |reader| reader.records("bugs").len() == 5_000).await;
    assert_eq!(reader.sync_state().await.unwrap().operations, 5_000);
    assert!(reader.status().traffic.received > 100_000);
    writer.close().await.unwrap();
    reader.close().await.unwrap();
    server.shut_down().await;
}

#[tokio::test]
async fn a_wrong_token_then_a_right_one() {
    let mut config = config();
    config.tokens = vec![token("right")];
    let server = Server::start(&config, MemoryStore::default()).await.unwrap();
    let options = Options::new("app").unwrap().url(&url(&server)).unwrap().token("wrong").unwrap();
    let client = Client::open(options).await.unwrap();
    bug(&client, "kept").await;
    let Err(Error::Refused { code, .. }) = client.online().await else { panic!("it is not refused") };
    assert_eq!(code, ErrorCode::UNAUTHENTICATED);
    assert!(matches!(client.status().connection, Connection::NotAuthenticated { .. }));
    assert_eq!(client.status().queued, 1);
    client.authenticate("right").await.unwrap();
    client.settled().await.unwrap();
    client.authenticate("right").await.unwrap();
    client.close().await.unwrap();
    server.shut_down().await;
}

#[tokio::test]
async fn a_rejected_operation() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app");
    let mut config = config();
    config.tokens = vec![token("secret")];
    let server = Server::start(&config, MemoryStore::default()).await.unwrap();
    let options =
        || Options::new("app").unwrap().file(&path).url(&url(&server)).unwrap().token("secret").unwrap();
    let client = Client::open(options().subscribe_all()).await.unwrap();
    let mut events = client.events();
    bug(&client, "good").await;
    let record = client.insert("rules", &[("title", "nobody may".into())]).await.unwrap();
    bug(&client, "good too").await;
    let (writes, code) = event(&mut events, |event| match event {
        Event::Rejected { writes, code } => Some((writes.clone(), *code)),
        _ => None,
    })
    .await;
    assert_eq!((writes.len(), code), (1, ErrorCode::WRITE_FORBIDDEN));
    client.settled().await.unwrap();
    assert_eq!(client.write_state(writes[0]), WriteState::Rejected(code));
    assert_eq!(client.record("rules", record), None, "it has left the view");
    assert_eq!(titles(&client), ["good", "good too"], "it holds up nobody");

    // It is kept until the app decides.
    client.close().await.unwrap();
    let client = Client::open(options().subscribe_all()).await.unwrap();
    let rejected = client.rejected();
    assert_eq!((rejected.len(), client.status().rejected), (1, 1));
    let again = client.retry(vec![rejected[0].key()]).await.unwrap();
    assert_eq!(client.outcome(again[0]).await, Ok(WriteState::Rejected(ErrorCode::WRITE_FORBIDDEN)));
    let rejected = client.rejected();
    assert_eq!(rejected.iter().map(|it| it.op.op().head.timestamp).collect::<Vec<_>>(), again);
    client.dismiss(rejected[0].key()).await.unwrap();
    assert_eq!(client.status().rejected, 0);

    // An increment is not tried again: its amount is not known any more.
    let increment = client.increment("rules", record, &["votes"], 1).await.unwrap();
    client.outcome(increment).await.unwrap();
    let key = client.rejected()[0].key();
    assert_eq!(client.retry(vec![key]).await, Err(Error::RetryOfIncrement));
    client.close().await.unwrap();
    server.shut_down().await;
}

/// A relay that was restored from a copy: what the copy lacks comes back, or is dropped.
#[tokio::test(start_paused = true)]
async fn a_relay_restored_from_a_copy() {
    for mode in [RestoreMode::Keep, RestoreMode::Discard] {
        let folder = tempfile::tempdir().unwrap();
        let name = DatabaseName::new("app").unwrap();
        let store = |folder: PathBuf| SqliteStore::new(folder).unwrap();
        let first = store(folder.path().join("first"));
        let file = first.file(&name);
        let server = Server::start(&config(), first).await.unwrap();
        let path = folder.path().join("client");
        let client = in_file(&path, WebSocket::new(&url(&server)).unwrap()).await;
        bug(&client, "in the copy").await;
        client.settled().await.unwrap();
        let copy = folder.path().join("copy");
        SqliteStore::backup(&file, &copy, &mut |_| {}).unwrap();
        bug(&client, "not in the copy").await;
        client.settled().await.unwrap();
        client.close().await.unwrap();
        server.shut_down().await;

        let second = store(folder.path().join("second"));
        second.restore(&copy, &name, mode, &mut |_| {}).unwrap();
        let server = Server::start(&config(), second).await.unwrap();
        let relay = WebSocket::new(&url(&server)).unwrap();
        let client = in_file(&path, relay.clone()).await;
        let mut events = client.events();
        let lost = event(&mut events, |event| match event {
            Event::LostHistory(mode) => Some(*mode),
            _ => None,
        });
        assert_eq!(lost.await, mode);
        let wanted: &[&str] = match mode {
            RestoreMode::Keep => &["in the copy", "not in the copy"],
            RestoreMode::Discard => &["in the copy"],
        };
        let other = in_file(&folder.path().join("other"), relay).await;
        until(&other, |other| titles(other) == wanted).await;
        until(&client, |client| titles(client) == wanted).await;
        client.close().await.unwrap();
        other.close().await.unwrap();
        server.shut_down().await;
    }
}

#[tokio::test]
async fn tls() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let files = TlsFiles { certificate: folder.path().join("cert.pem"), key: folder.path().join("key.pem") };
    std::fs::write(&files.certificate, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    let mut config = config();
    config.tls = Some(files);
    let server = Server::start(&config, MemoryStore::default()).await.unwrap();
    let url = format!("wss://localhost:{}/sync", server.address().port());
    let relay = WebSocket::with_authorities(&url, &[made.cert.der().to_vec()]).unwrap();
    let client = Client::open(Options::new("app").unwrap().relay(relay)).await.unwrap();
    bug(&client, "sealed").await;
    client.settled().await.unwrap();
    client.close().await.unwrap();

    // Whom nobody vouches for is not spoken to.
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let relay = WebSocket::with_authorities(&url, &[other.cert.der().to_vec()]).unwrap();
    let client = Client::open(Options::new("app").unwrap().relay(relay)).await.unwrap();
    until(&client, |client| match client.status().connection {
        Connection::Offline { why: blazedb_relay_client::Offline::Transport(why), .. } => {
            assert!(why.contains("certificate"), "{why}");
            true
        }
        _ => false,
    })
    .await;
    server.shut_down().await;
}
