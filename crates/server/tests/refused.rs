//! What a relay refuses, and how it says so (SPEC.md 14 and 15).

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod support;

use blazedb_relay::message::{Message, PushEntry, UpdateAck};
use blazedb_relay::registry::ErrorCode;
use blazedb_relay::relay::Access;
use blazedb_relay::wire::CollectionName;
use blazedb_relay_server::{Databases, Digest, Grant, Token};
use futures_util::SinkExt as _;
use support::{Came, Hello, Wire, block, config, get, http, push, refused, request, server, subscribe};
use tokio_tungstenite::tungstenite::Message as WsMessage;

/// The error that a connection ends with, and its close code.
const fn error(code: ErrorCode) -> (Option<u16>, u16) {
    (Some(code.0), 4_000 + code.0)
}

//= TRN-1 test
#[tokio::test]
async fn upgrades_that_are_not_for_this_protocol() {
    let server = server(&config()).await;
    let mut without = request(server.address());
    without.headers_mut().remove("sec-websocket-protocol");
    assert_eq!(refused(without).await, 400);
    let mut other = request(server.address());
    other.headers_mut().insert("sec-websocket-protocol", "blazedb-relay.v2".parse().unwrap());
    assert_eq!(refused(other).await, 400);
    // One of several is enough.
    let mut several = request(server.address());
    several.headers_mut().insert("sec-websocket-protocol", "x, blazedb-relay.v1".parse().unwrap());
    tokio_tungstenite::connect_async(several).await.unwrap();
    let (status, text) = get(server.address(), "/sync").await;
    assert_eq!(status, 426, "{text}");
    assert_eq!(get(server.address(), "/").await.0, 404);
}

//= SEC-9 test
//= SEC-10 test
#[tokio::test]
async fn other_origins_and_other_hosts() {
    let mut config = config();
    config.origins.push("https://app.example.com".into());
    config.hosts.push("relay.example.com".into());
    let server = server(&config).await;
    let with = |name: &'static str, value: &str| {
        let mut request = request(server.address());
        request.headers_mut().insert(name, value.parse().unwrap());
        request
    };
    assert_eq!(refused(with("origin", "https://evil.example.com")).await, 403);
    assert_eq!(refused(with("origin", "null")).await, 403);
    assert_eq!(refused(with("host", "evil.example.com")).await, 403);
    tokio_tungstenite::connect_async(with("origin", "https://app.example.com")).await.unwrap();
    tokio_tungstenite::connect_async(with("host", "relay.example.com:7700")).await.unwrap();
    let text = "GET /metrics HTTP/1.1\r\nhost: evil.example.com\r\nconnection: close\r\n\r\n";
    assert_eq!(http(server.address(), text).await.0, 403);
    let (_, metrics) = get(server.address(), "/metrics").await;
    assert!(metrics.contains("blazedb_relay_refused_host_total 2\n"), "{metrics}");
    assert!(metrics.contains("blazedb_relay_refused_origin_total 2\n"), "{metrics}");
}

#[tokio::test]
async fn metrics_are_for_who_runs_the_relay() {
    let mut config = config();
    let ask = |header: &str| {
        format!("GET /metrics HTTP/1.1\r\nhost: localhost\r\n{header}connection: close\r\n\r\n")
    };
    let open = server(&config).await;
    assert_eq!(http(open.address(), &ask("x-forwarded-for: 192.0.2.1\r\n")).await.0, 403);
    config.metrics_token = Some(Digest::of(b"secret"));
    let closed = server(&config).await;
    assert_eq!(http(closed.address(), &ask("")).await.0, 403);
    assert_eq!(http(closed.address(), &ask("authorization: Bearer wrong\r\n")).await.0, 403);
    assert_eq!(http(closed.address(), &ask("authorization: Bearer secret\r\n")).await.0, 200);
}

//= TRN-2 test
#[tokio::test]
async fn text_is_answered_with_1003() {
    let server = server(&config()).await;
    let mut wire = Wire::open(server.address()).await;
    wire.socket.send(WsMessage::Text("hello".into())).await.unwrap();
    assert_eq!(wire.end().await, (None, 1_003));
}

//= TRN-3 test
//= TRN-4 test
#[tokio::test]
async fn bytes_that_are_no_frames() {
    let server = server(&config()).await;
    let hello = Hello::new(1).to_bytes();
    let mut flipped = hello.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let mut long = hello.clone();
    long[8..12].copy_from_slice(&70_000u32.to_be_bytes());
    for (bytes, code) in [
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), ErrorCode::UNSUPPORTED_VERSION),
        (flipped, ErrorCode::BAD_CHECKSUM),
        (hello[..40].to_vec(), ErrorCode::TRUNCATED),
        (hello[..7].to_vec(), ErrorCode::TRUNCATED),
        // Over the limit that is in force before welcome: it is not waited for.
        (long[..16].to_vec(), ErrorCode::TOO_LONG),
        (subscribe(1, 1), ErrorCode::UNEXPECTED_MESSAGE),
    ] {
        let mut wire = Wire::open(server.address()).await;
        wire.send(bytes).await;
        assert_eq!(wire.end().await, error(code));
    }
    let (_, metrics) = get(server.address(), "/metrics").await;
    assert!(metrics.contains("blazedb_relay_closed_total{code=\"TRUNCATED\"} 2\n"), "{metrics}");
}

//= FRM-3 test
#[tokio::test]
async fn frames_over_the_limit_after_welcome() {
    let server = server(&config()).await;
    let mut wire = Wire::welcomed(server.address(), &Hello::new(1)).await;
    // The largest block is taken.
    let largest = block(1, 1, 1, "bugs", 982_000);
    wire.send(push(1, &largest)).await;
    wire.expect(|message| matches!(message, Message::PushAck(_)).then_some(())).await;
    let mut head = push(2, &block(1, 2, 1, "bugs", 1));
    head[12..16].copy_from_slice(&1_100_000u32.to_be_bytes());
    head.resize(2_000_000, 0);
    // The relay may close before all of it is sent.
    let _ = wire.socket.send(WsMessage::Binary(head.into())).await;
    assert_eq!(wire.end().await, error(ErrorCode::TOO_LONG));
}

fn token(principal: &str, secret: &str, database: &str, access: Access, bugs: Access) -> Token {
    let collections = vec![(CollectionName::new("bugs").unwrap(), bugs)];
    let grants = vec![Grant { databases: Databases::new(database), access, collections }];
    Token { principal: principal.into(), digest: Digest::of(secret.as_bytes()), valid_until_ms: None, grants }
}

#[tokio::test]
async fn tokens() {
    let mut config = config();
    config.tokens.push(token("ann", "of-ann", "app", Access::ALL, Access::READ));
    config.tokens.push(token("bob", "of-bob", "other", Access::ALL, Access::ALL));
    let mut old = token("old", "of-old", "*", Access::ALL, Access::ALL);
    old.valid_until_ms = Some(1);
    config.tokens.push(old);
    let server = server(&config).await;
    for (hello, code) in [
        (Hello::new(1), ErrorCode::UNAUTHENTICATED),
        (Hello::with_token(1, "wrong"), ErrorCode::UNAUTHENTICATED),
        (Hello::with_token(1, "of-old"), ErrorCode::TOKEN_EXPIRED),
        (Hello::with_token(1, "of-bob"), ErrorCode::FORBIDDEN),
    ] {
        let mut wire = Wire::open(server.address()).await;
        wire.send(hello.to_bytes()).await;
        assert_eq!(wire.end().await, error(code));
    }
    let mut wire = Wire::welcomed(server.address(), &Hello::with_token(1, "of-ann")).await;
    wire.send(push(1, &block(1, 1, 2, "bugs", 1))).await;
    let entry = wire.expect(first_entry).await;
    assert_eq!(entry, PushEntry::Refused { code: ErrorCode::WRITE_FORBIDDEN, index: 0 });
    wire.send(push(2, &block(1, 3, 2, "notes", 1))).await;
    assert!(matches!(wire.expect(first_entry).await, PushEntry::Accepted(_)));
    // The node is ann's now.
    let mut thief = Wire::open(server.address()).await;
    thief.send(Hello { database: "other", ..Hello::with_token(1, "of-bob") }.to_bytes()).await;
    thief.expect(|message| matches!(message, Message::Welcome(_)).then_some(())).await;
}

fn first_entry(message: &Message<'_>) -> Option<PushEntry> {
    let Message::PushAck(ack) = message else { return None };
    ack.entries.iter().next()
}

#[tokio::test]
async fn databases_that_are_not_made() {
    let mut config = config();
    config.create_databases = false;
    let server = server(&config).await;
    let mut wire = Wire::open(server.address()).await;
    wire.send(Hello::new(1).to_bytes()).await;
    assert_eq!(wire.end().await, error(ErrorCode::UNKNOWN_DATABASE));
    // A name that would lead out of the folder does not even decode.
    let mut wire = Wire::open(server.address()).await;
    let mut hello = Hello { database: "aaa", ..Hello::new(1) }.to_bytes();
    let at = hello.windows(3).position(|bytes| bytes == b"aaa").unwrap();
    hello[at..at + 3].copy_from_slice(b"../");
    let end = hello.len() - 4;
    let check = crc32fast::hash(&hello[..end]);
    hello[end..].copy_from_slice(&check.to_be_bytes());
    wire.send(hello).await;
    assert_eq!(wire.end().await, error(ErrorCode::BAD_NAME));
}

#[tokio::test]
async fn connections_over_the_limit() {
    let mut config = config();
    config.limits.connections = 2;
    let server = server(&config).await;
    let _first = Wire::welcomed(server.address(), &Hello::new(1)).await;
    let mut second = Wire::welcomed(server.address(), &Hello::new(2)).await;
    let mut third = Wire::open(server.address()).await;
    assert_eq!(third.end().await, error(ErrorCode::OVERLOADED));
    second.socket.close(None).await.unwrap();
    // There is room again, as soon as the relay has noticed.
    loop {
        let mut wire = Wire::open(server.address()).await;
        wire.send(Hello::new(3).to_bytes()).await;
        match wire.next().await {
            Came::Frame(frame) if frame[2..4] == [0, 4] => break,
            Came::Frame(_) | Came::Closed(_) => tokio::task::yield_now().await,
        }
    }
}

#[tokio::test]
async fn transports_over_the_limit() {
    let mut config = config();
    config.limits.connections_before_welcome = 3;
    let server = server(&config).await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(tokio::net::TcpStream::connect(server.address()).await.unwrap());
    }
    // The fourth is closed at once; reading it ends.
    let mut fourth = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let mut bytes = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut fourth, &mut bytes);
    let _ = tokio::time::timeout(support::PATIENCE, read).await.unwrap();
    assert!(bytes.is_empty());
}

/// A reader that takes nothing costs no more than its window and what the transport may hold.
#[tokio::test]
async fn a_slow_reader_is_bounded() {
    let server = server(&config()).await;
    let mut writer = Wire::welcomed(server.address(), &Hello::new(1)).await;
    let mut reader = Wire::welcomed(server.address(), &Hello::new(2)).await;
    let window = 1 << 20;
    reader.send(subscribe(1, window)).await;
    for number in 0..64u32 {
        let first = u64::from(number) + 1;
        writer.send(push(number + 1, &block(1, first, 1, "bugs", 500_000))).await;
        writer.expect(first_entry).await;
    }
    let (_, metrics) = get(server.address(), "/metrics").await;
    let waiting = metrics.lines().find_map(|line| line.strip_prefix("blazedb_relay_outbox_bytes "));
    let waiting: u64 = waiting.unwrap().parse().unwrap();
    assert!(waiting <= window + 600_000, "{waiting} bytes wait for one reader");
    // Then it reads, and gets everything.
    let mut at = 0;
    while at < 64 {
        let position = reader
            .expect(|message| if let Message::Update(update) = message { Some(update.new) } else { None })
            .await;
        at = position.seq();
        let ack = UpdateAck {
            subscription: 1,
            position,
            window,
            extensions: blazedb_relay::message::Extensions::EMPTY,
        };
        let packet = blazedb_relay::codec::Packet::new(Message::UpdateAck(ack)).unwrap();
        reader.send(packet.to_bytes()).await;
    }
}

#[tokio::test]
async fn going_down_says_goodbye() {
    let server = server(&config()).await;
    let address = server.address();
    let mut wire = Wire::welcomed(address, &Hello::new(1)).await;
    wire.send(push(1, &block(1, 1, 1, "bugs", 1))).await;
    let down = tokio::spawn(server.shut_down());
    let mut goodbye = None;
    let code = loop {
        match wire.next().await {
            Came::Frame(frame) => {
                let context = blazedb_relay::codec::Context::session(wire.capabilities);
                let packet = blazedb_relay::codec::Packet::decode(&frame, &context).unwrap();
                if let Message::Goodbye(it) = packet.message() {
                    goodbye = Some((it.reconnect_after, it.jitter));
                    wire.socket.close(None).await.unwrap();
                }
            }
            Came::Closed(code) => break code,
        }
    };
    assert_eq!(goodbye, Some((1_000, 30_000)));
    assert!(code == 1_001 || code == 1_000, "{code}");
    down.await.unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
