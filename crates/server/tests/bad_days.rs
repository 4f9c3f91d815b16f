//! Bad days of a relay on real sockets: peers that vanish, wait, guess or may not. Each time who can act on
//! it is told, a metric counts it, and the others are served.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use core::net::SocketAddr;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use blazedb_relay::codec::{Context, Packet};
use blazedb_relay::message::{Error, Message, PushEntry, Scope};
use blazedb_relay::registry::ErrorCode;
use blazedb_relay::relay::Access;
use blazedb_relay::wire::CollectionName;
use blazedb_relay_server::store::{LogStore as _, MemoryStore, SqliteStore};
use blazedb_relay_server::{Databases, Digest, Grant, Server, Token};
use support::{
    Came, Hello, PATIENCE, Wire, block, block_at, config, http, metric, push, request, server, subscribe,
    subscribe_to,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

/// The error that a connection ends with: code, retry after, text; and the WebSocket's code.
async fn ends_with(wire: &mut Wire) -> (ErrorCode, u32, String, u16) {
    let mut told = None;
    loop {
        match wire.next().await {
            Came::Frame(frame) => {
                let packet = Packet::decode(&frame, &Context::session(wire.capabilities)).unwrap();
                if let Message::Error(Error { code, retry_after, text, .. }) = packet.message() {
                    told = Some((*code, *retry_after, text.as_str().to_owned()));
                }
            }
            Came::Closed(close) => {
                let (code, retry_after, text) = told.unwrap();
                return (code, retry_after, text, close);
            }
        }
    }
}

fn entry(message: &Message<'_>) -> Option<PushEntry> {
    let Message::PushAck(ack) = message else { return None };
    ack.entries.iter().next()
}

/// Forwards bytes both ways between whoever connects and a server, until it is cut: then nothing is
/// forwarded any more, and no end is told. Gives its address, how to cut it, and what the server did then.
async fn cable(to: SocketAddr) -> (SocketAddr, oneshot::Sender<()>, oneshot::Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (cut, is_cut) = oneshot::channel();
    let (closed, is_closed) = oneshot::channel();
    tokio::spawn(async move {
        let (client, _) = listener.accept().await.unwrap();
        let server = TcpStream::connect(to).await.unwrap();
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::select! {
            _ = copy(&mut from_client, &mut to_server) => panic!("the client closed"),
            _ = copy(&mut from_server, &mut to_client) => panic!("the server closed"),
            done = is_cut => done.unwrap(),
        }
        // What the server sends gets lost, until it closes.
        while from_server.read(&mut [0; 1_024]).await.is_ok_and(|read| read > 0) {}
        closed.send(()).unwrap();
        drop((from_client, to_client, to_server));
    });
    (address, cut, is_closed)
}

//= SES-7 test
#[tokio::test]
async fn a_peer_that_vanishes_is_noticed() {
    let mut config = config();
    config.limits.heartbeat_seconds = 1;
    let server = server(&config).await;
    let (address, cut, closed) = cable(server.address()).await;
    let mut wire = Wire::welcomed(address, &Hello::new(1)).await;
    wire.send(push(1, &block(1, 1, 3, "bugs", 20))).await;
    assert!(matches!(wire.expect(entry).await, PushEntry::Accepted(_)));
    assert_eq!(metric(server.address(), "connections").await, 1);
    cut.send(()).unwrap();
    tokio::time::timeout(PATIENCE, closed).await.expect("the server closes it").unwrap();
    assert_eq!(metric(server.address(), "closed_total{code=\"IDLE_TIMEOUT\"}").await, 1);
    // Its device comes back on another way, and all is there.
    let mut wire = Wire::open(server.address()).await;
    wire.send(Hello::new(1).to_bytes()).await;
    let mark =
        wire.expect(
            |message| if let Message::Welcome(it) = message { Some(it.mark.node_seq().get()) } else { None },
        );
    assert_eq!(mark.await, 3);
}

/// A reader whose window is open, but who takes nothing from its socket.
//= SES-7 test
#[tokio::test]
async fn a_reader_that_is_stuck_is_closed_and_delays_nobody() {
    let mut config = config();
    config.limits.heartbeat_seconds = 1;
    let server = server(&config).await;
    let mut writer = Wire::welcomed(server.address(), &Hello::new(1)).await;
    let mut stuck = Wire::welcomed(server.address(), &Hello::new(2)).await;
    stuck.send(subscribe(1, 1 << 40)).await;
    // More than the systems of both ends keep for one transport.
    for number in 1..=64 {
        writer.send(push(number, &block(1, u64::from(number), 1, "bugs", 500_000))).await;
        assert!(matches!(writer.expect(entry).await, PushEntry::Accepted(_)));
    }
    // The writer answers pings meanwhile.
    let mut number = 64;
    while metric(server.address(), "closed_total{code=\"IDLE_TIMEOUT\"}").await == 0 {
        number += 1;
        writer.send(push(number, &block(1, u64::from(number), 1, "bugs", 10))).await;
        assert!(matches!(writer.expect(entry).await, PushEntry::Accepted(_)));
    }
    assert_eq!(metric(server.address(), "outbox_bytes").await, 0);
    drop(stuck);
}

#[tokio::test]
async fn strangers_that_speak_no_http() {
    let mut config = config();
    config.limits.handshake_seconds = 1;
    let server = server(&config).await;
    let mut wire = Wire::welcomed(server.address(), &Hello::new(1)).await;
    // Garbage is answered or closed at once.
    for garbage in
        [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], b"SSH-2.0-OpenSSH_9.6\r\n\r\n", &[0xFF; 4_096]]
    {
        let mut stream = TcpStream::connect(server.address()).await.unwrap();
        let _ = stream.write_all(garbage).await;
        let mut answer = Vec::new();
        let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
        assert!(read.is_err() || answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"), "{answer:?}");
    }
    // A head without an end: by its size, or by time.
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    let _ =
        stream.write_all(format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "x".repeat(100_000)).as_bytes()).await;
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"), "{answer:?}");
    let mut stream = TcpStream::connect(server.address()).await.unwrap();
    stream.write_all(b"GET /sync HTTP/1.1\r\nhost: loc").await.unwrap();
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(metric(server.address(), "request_timeouts_total").await, 1);
    // A WebSocket without a handshake.
    let mut silent = Wire::open(server.address()).await;
    let (code, _, text, close) = ends_with(&mut silent).await;
    assert_eq!((code, close), (ErrorCode::HANDSHAKE_TIMEOUT, 4_215), "{text}");
    assert_eq!(metric(server.address(), "closed_total{code=\"HANDSHAKE_TIMEOUT\"}").await, 1);
    wire.send(push(1, &block(1, 1, 1, "bugs", 20))).await;
    assert!(matches!(wire.expect(entry).await, PushEntry::Accepted(_)));
}

fn token(principal: &str, secret: &str, access: Access, collections: &[(&str, Access)]) -> Token {
    let named = |(name, access): &(&str, Access)| (CollectionName::new(name).unwrap(), *access);
    let collections = collections.iter().map(named).collect();
    let grants = vec![Grant { databases: Databases::new("*"), access, collections }];
    Token { principal: principal.into(), digest: Digest::of(secret.as_bytes()), valid_until_ms: None, grants }
}

//= SES-73 test
#[tokio::test]
async fn collections_that_one_may_not_read() {
    let mut config = config();
    config.tokens.push(token("ann", "of-ann", Access::ALL, &[]));
    config.tokens.push(token("bob", "of-bob", Access::READ, &[("salaries", Access::NONE)]));
    let server = server(&config).await;
    let mut ann = Wire::welcomed(server.address(), &Hello::with_token(1, "of-ann")).await;
    let mut bob = Wire::welcomed(server.address(), &Hello::with_token(2, "of-bob")).await;
    // What covers a collection that he may not read is refused whole, and the connection goes on.
    for (number, collections) in [(1, &["bugs", "salaries"][..]), (2, &[])] {
        bob.send(subscribe_to(number, collections)).await;
        let refused =
            bob.expect(
                |message| {
                    if let Message::Error(it) = message { Some((it.code, it.scope)) } else { None }
                },
            );
        assert_eq!(refused.await, (ErrorCode::FORBIDDEN, Scope::Request), "{collections:?}");
    }
    bob.send(subscribe_to(3, &["bugs", "notes"])).await;
    for (number, collection) in [(1, "bugs"), (2, "salaries"), (3, "bugs"), (4, "notes")] {
        ann.send(push(number, &block(1, number.into(), 1, collection, 20))).await;
        assert!(matches!(ann.expect(entry).await, PushEntry::Accepted(_)));
    }
    let (mut got, mut at) = (Vec::new(), 0);
    while at < 4 {
        let (mut names, seq) = bob
            .expect(|message| {
                let Message::Update(update) = message else { return None };
                let mut names = Vec::new();
                for block in message.blocks().iter().flat_map(|blocks| blocks.iter()) {
                    let mut scratch = Vec::new();
                    let rows = block.rows(&mut scratch).unwrap();
                    names.extend(rows.iter().map(|op| op.head.collection.to_owned()));
                }
                Some((names, update.new.seq()))
            })
            .await;
        got.append(&mut names);
        at = seq;
    }
    assert_eq!(got, ["bugs", "bugs", "notes"]);
    // He may not write either.
    bob.send(push(9, &block(2, 1, 1, "bugs", 20))).await;
    assert_eq!(bob.expect(entry).await, PushEntry::Refused { code: ErrorCode::WRITE_FORBIDDEN, index: 0 });
}

//= SEC-12 test
#[tokio::test]
async fn names_that_would_leave_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("a/b/data");
    let server = Server::start(&config(), SqliteStore::new(&data).unwrap()).await.unwrap();
    let names: [&[u8]; 12] = [
        b"..", b"../x", b"/etc/x", b"a/b", b"a\\b", b".hidden", b"A", b"c:x", b"x\0y", b"~root", b"%2e%2e",
        b"-rf",
    ];
    for name in names {
        let mut wire = Wire::open(server.address()).await;
        wire.send(Hello::new(1).with_raw_database(name)).await;
        let (code, _, text, close) = ends_with(&mut wire).await;
        assert_eq!((code, close), (ErrorCode::BAD_NAME, 4_136), "{name:?}: {text}");
    }
    // What a system may have reserved gets a suffix.
    for name in ["con", "lock", "a..b"] {
        drop(Wire::welcomed(server.address(), &Hello { database: name, ..Hello::new(1) }).await);
    }
    assert_eq!(metric(server.address(), "closed_total{code=\"BAD_NAME\"}").await, 12);
    server.shut_down().await;
    let store = SqliteStore::new(&data).unwrap();
    let found: Vec<_> = store.databases().unwrap().iter().map(|name| name.as_str().to_owned()).collect();
    assert_eq!(found, ["a..b", "con", "lock"]);
    let mut others: Vec<_> =
        std::fs::read_dir(&data).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    others.retain(|name| !name.to_str().unwrap().contains(".blazedb"));
    assert_eq!(others, ["LOCK"]);
    assert_eq!(std::fs::read_dir(folder.path().join("a/b")).unwrap().count(), 1);
}

//= SEC-3 test
#[tokio::test]
async fn guessing_tokens_is_slow() {
    let mut config = config();
    config.tokens.push(token("ann", "of-ann", Access::ALL, &[]));
    config.metrics_token = Some(Digest::of(b"of-the-dashboard"));
    config.limits.failed_logins_per_minute = 3;
    config.address_header = Some("x-forwarded-for".into());
    let server = server(&config).await;
    let open = async |address: &str, hello: &Hello| {
        let mut request = request(server.address());
        // What a client made up stands before what the proxy adds.
        request.headers_mut().insert("x-forwarded-for", format!("192.0.2.9, {address}").parse().unwrap());
        let mut wire = Wire::with(request).await;
        wire.send(hello.to_bytes()).await;
        wire
    };
    let (wrong, right) = (Hello::with_token(1, "wrong"), Hello::with_token(1, "of-ann"));
    for _ in 0..3 {
        let (code, ..) = ends_with(&mut open("192.0.2.1", &wrong).await).await;
        assert_eq!(code, ErrorCode::UNAUTHENTICATED);
    }
    // From now on not even the right one is looked at.
    for hello in [&wrong, &right] {
        let (code, retry_after, text, close) = ends_with(&mut open("192.0.2.1", hello).await).await;
        assert_eq!((code, retry_after, close), (ErrorCode::RATE_LIMITED, 60_000, 4_217));
        assert!(text.contains("failed") && text.contains("come back"), "{text}");
    }
    // Others are not concerned.
    let mut ann = open("192.0.2.2", &right).await;
    ann.expect(|message| matches!(message, Message::Welcome(_)).then_some(())).await;
    let ask = |address: &str, token: &str| {
        format!(
            "GET /metrics HTTP/1.1\r\nhost: localhost\r\nx-forwarded-for: {address}\r\nauthorization: Bearer \
             {token}\r\nconnection: close\r\n\r\n"
        )
    };
    let (status, answer) = http(server.address(), &ask("192.0.2.1", "of-the-dashboard")).await;
    assert!(status == 429 && answer.contains("retry-after: "), "{answer}");
    let (status, answer) = http(server.address(), &ask("192.0.2.3", "of-the-dashboard")).await;
    assert_eq!(status, 200);
    for line in ["blazedb_relay_authentication_failures_total 3", "blazedb_relay_logins_refused_total 3"] {
        assert!(answer.lines().any(|shown| shown == line), "{line} is not in\n{answer}");
    }
}

/// The wall clock goes back by years while clients are there, then far ahead.
//= RLY-27 test
#[tokio::test]
async fn a_clock_that_is_set_back() {
    let now = Arc::new(AtomicU64::new(1_800_000_000));
    let mut config = config();
    config.tokens.push(token("ann", "of-ann", Access::ALL, &[]));
    let clock = now.clone();
    let clock = move || UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::SeqCst));
    let server = Server::start_with_clock(&config, MemoryStore::default(), clock).await.unwrap();
    let hello = Hello::with_token(1, "of-ann");
    let mut wire = Wire::welcomed(server.address(), &hello).await;
    let mut number = 0;
    let mut seq = 1;
    for time in [1_800_000_000, 1_000, 0, 1_800_000_000, 4_000_000_000, 1_700_000_000] {
        now.store(time, Ordering::SeqCst);
        number += 1;
        wire.send(push(number, &block(1, seq, 5, "bugs", 20))).await;
        assert!(matches!(wire.expect(entry).await, PushEntry::Accepted(_)), "at {time}");
        seq += 5;
        // What no honest clock can have reached is refused, by the floor of the guard where time is wrong.
        number += 1;
        wire.send(push(number, &block_at(1, seq, (1 << 53) - 1))).await;
        let refused = PushEntry::Refused { code: ErrorCode::CLOCK_TOO_FAR_AHEAD, index: 0 };
        assert_eq!(wire.expect(entry).await, refused, "at {time}");
        seq += 1;
    }
    drop(wire);
    let mut wire = Wire::open(server.address()).await;
    wire.send(hello.to_bytes()).await;
    let told = wire.expect(|message| {
        let Message::Welcome(it) = message else { return None };
        Some((it.mark.node_seq().get(), it.head.seq(), it.relay_time))
    });
    assert_eq!(told.await, (seq - 1, 30, 1_700_000_000_000));
}
