//! Queries, over WebSocket and over HTTP.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(clippy::wildcard_enum_match_arm, reason = "most messages are not looked at")]

mod support;

use core::net::SocketAddr;

use blazedb_relay::codec::Packet;
use blazedb_relay::message::{
    Comparison, Cursor, Extensions, Filter, Join, JoinKind, Message, PageEnd, PageLimit, Path, PushEntry,
    Query, Selection, SyncStateRequest,
};
use blazedb_relay::registry::ErrorCode;
use blazedb_relay::relay::Access;
use blazedb_relay::value::Value;
use blazedb_relay::wire::{CollectionName, Position};
use blazedb_relay_server::config::Config;
use blazedb_relay_server::store::SqliteStore;
use blazedb_relay_server::{Databases, Digest, Grant, Server, Token};
use support::{Hello, Wire, block, config, http, push, server};

fn name(name: &str) -> CollectionName {
    CollectionName::new(name).unwrap()
}

/// The frame of a query.
fn frame(collection: &str, selection: &Selection, after: Position, limit: u32, cursor: &[u8]) -> Vec<u8> {
    let collection = name(collection);
    let mut buffer = Vec::new();
    let query = Query {
        collection: (&collection).into(),
        after,
        selection: selection.encode(&mut buffer).unwrap(),
        limit: PageLimit::new(limit).unwrap(),
        cursor: Cursor::new(cursor).unwrap(),
        extensions: Extensions::EMPTY,
    };
    Packet::with_id(Message::Query(query), 9).unwrap().to_bytes()
}

/// Pushes blocks, and waits until they are durable: at which position.
async fn write(wire: &mut Wire, blocks: &[Vec<u8>]) -> Position {
    for (id, block) in (1..).zip(blocks) {
        wire.send(push(id, block)).await;
    }
    let mut last = Position::START;
    for _ in blocks {
        last = wire
            .expect(|message| match message {
                Message::PushAck(ack) => match ack.entries.iter().next().unwrap() {
                    PushEntry::Accepted(accepted) => Some(accepted.last()),
                    other => panic!("{other:?}"),
                },
                _ => None,
            })
            .await;
    }
    last
}

/// Rows, the position that answered and the cursor; or the code of an error.
type Answered = Result<(Vec<Vec<Value>>, Position, Vec<u8>), ErrorCode>;

async fn ask(wire: &mut Wire, frame: Vec<u8>) -> Answered {
    wire.send(frame).await;
    let mut rows: Vec<Vec<Value>> = Vec::new();
    loop {
        let part = wire
            .expect(|message| match message {
                Message::QueryResponse(response) => {
                    let part: Vec<Vec<Value>> =
                        response.table.iter().map(|row| row.cells().map(Value::from).collect()).collect();
                    let cursor = match response.end {
                        PageEnd::More => None,
                        PageEnd::Last(cursor) => Some(cursor.as_bytes().to_vec()),
                    };
                    Some(Ok((part, response.at, cursor)))
                }
                Message::Error(error) => Some(Err(error.code)),
                _ => None,
            })
            .await;
        let (part, at, cursor) = part?;
        rows.extend(part);
        if let Some(cursor) = cursor {
            return Ok((rows, at, cursor));
        }
    }
}

/// A server with its databases in files.
async fn server_with_files(config: &Config) -> (Server, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::new(folder.path()).unwrap();
    (Server::start(config, store).await.unwrap(), folder)
}

fn status(value: &str) -> Filter {
    Filter::Compare(Comparison::Equal, Path::field("status"), value.into())
}

//= RLY-53 test
//= RLY-56 test
#[tokio::test]
async fn who_writes_reads_what_was_written() {
    let (server, _folder) = server_with_files(&config()).await;
    let mut wire = Wire::welcomed(server.address(), &Hello::new(1)).await;
    let mut last = Position::START;
    for round in 0..20 {
        let durable = write(&mut wire, &[block(1, 1 + round * 50, 50, "bugs", 10)]).await;
        let selection = Selection { filter: status("open"), ..Selection::default() };
        let (rows, at, cursor) =
            ask(&mut wire, frame("bugs", &selection, durable, 10_000, &[])).await.unwrap();
        assert_eq!(rows.len() as u64, (round + 1) * 50);
        assert!(at.seq() >= durable.seq() && cursor.is_empty());
        last = durable;
    }
    // Many frames, one position.
    let durable = write(&mut wire, &[block(1, 1_001, 300, "notes", 3_000)]).await;
    let query = |limit, cursor: &[u8]| frame("notes", &Selection::default(), durable, limit, cursor);
    let (rows, ..) = ask(&mut wire, query(10_000, &[])).await.unwrap();
    assert_eq!(rows.len(), 300);
    let (mut paged, mut cursor) = (Vec::new(), Vec::new());
    loop {
        let (page, _, next) = ask(&mut wire, query(70, &cursor)).await.unwrap();
        paged.extend(page);
        cursor = next;
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(paged, rows);
    // The default is the relay's limit of rows.
    let (rows, _, cursor) = ask(&mut wire, frame("bugs", &Selection::default(), last, 0, &[])).await.unwrap();
    assert_eq!((rows.len(), cursor.is_empty()), (1_000, true));
    // A position that no relay gave.
    let other = Position::new(last.epoch() ^ 1, 1).unwrap();
    let refused = ask(&mut wire, frame("bugs", &Selection::default(), other, 0, &[])).await;
    assert_eq!(refused.unwrap_err(), ErrorCode::POSITION_UNKNOWN);
    let refused = ask(&mut wire, frame("bugs", &Selection::default(), last, 0, b"a cursor")).await;
    assert_eq!(refused.unwrap_err(), ErrorCode::BAD_CURSOR);
    drop(wire);
    server.shut_down().await;
}

//= RLY-57 test
#[tokio::test]
async fn counts_are_of_the_state_at_the_head() {
    let (server, _folder) = server_with_files(&config()).await;
    let mut wire = Wire::welcomed(server.address(), &Hello::new(1)).await;
    let durable = write(&mut wire, &[block(1, 1, 60, "bugs", 10), block(1, 61, 40, "notes", 10)]).await;
    let ask = SyncStateRequest { extensions: Extensions::EMPTY };
    wire.send(Packet::with_id(Message::SyncStateRequest(ask), 3).unwrap().to_bytes()).await;
    let state = wire.expect(|message| match message {
        Message::SyncState(it) => Some((it.head, it.operations, it.nodes, it.live_records, it.collections)),
        _ => None,
    });
    assert_eq!(state.await, (durable, 100, 1, 100, 2));
    drop(wire);
    server.shut_down().await;
}

//= RLY-54 test
#[tokio::test]
async fn what_may_not_be_read_may_not_be_asked() {
    let mut config = config();
    let token = |principal: &str, secret: &str, access, collections| Token {
        principal: principal.into(),
        digest: Digest::of(secret.as_bytes()),
        valid_until_ms: None,
        grants: vec![Grant { databases: Databases::new("app"), access, collections }],
    };
    config.tokens.push(token("ann", "all", Access::ALL, vec![]));
    config.tokens.push(token("bob", "few", Access::ALL, vec![(name("salaries"), Access::NONE)]));
    let server = server(&config).await;
    let mut ann = Wire::welcomed(server.address(), &Hello::with_token(1, "all")).await;
    write(&mut ann, &[block(1, 1, 3, "salaries", 10)]).await;
    let mut bob = Wire::welcomed(server.address(), &Hello::with_token(2, "few")).await;
    let join =
        Join { kind: JoinKind::Left, collection: name("salaries"), left: Path::ID, right: Path::of(1, &[]) };
    let joined = Selection { joins: vec![join], ..Selection::default() };
    for (collection, selection) in [("salaries", &Selection::default()), ("bugs", &joined)] {
        let query = || frame(collection, selection, Position::START, 0, &[]);
        assert_eq!(ask(&mut bob, query()).await.unwrap_err(), ErrorCode::FORBIDDEN, "{collection}");
        ask(&mut ann, query()).await.unwrap();
    }
    ask(&mut bob, frame("bugs", &Selection::default(), Position::START, 0, &[])).await.unwrap();
}

//= RLY-55 test
#[tokio::test]
async fn a_query_that_looks_at_too_much_is_refused() {
    let mut config = config();
    config.limits.query_rows = 50;
    let (server, _folder) = server_with_files(&config).await;
    let mut wire = Wire::welcomed(server.address(), &Hello::new(1)).await;
    let durable = write(&mut wire, &[block(1, 1, 51, "bugs", 10), block(1, 52, 50, "notes", 10)]).await;
    let closed = Selection { filter: status("closed"), ..Selection::default() };
    let mut refused = ask(&mut wire, frame("bugs", &closed, durable, 0, &[])).await;
    assert_eq!(refused.unwrap_err(), ErrorCode::QUERY_TOO_EXPENSIVE);
    assert_eq!(ask(&mut wire, frame("notes", &closed, durable, 0, &[])).await.unwrap().0.len(), 0);
    // A page that is full needs no more.
    refused = ask(&mut wire, frame("bugs", &Selection::default(), durable, 20, &[])).await;
    assert_eq!(refused.unwrap().0.len(), 20);
}

async fn post(address: SocketAddr, target: &str, headers: &str, body: &[u8]) -> (u16, String) {
    let head = format!(
        "POST {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}content-length: {}\r\n\r\n",
        body.len()
    );
    let (code, answer) = http(address, &format!("{head}{}", core::str::from_utf8(body).unwrap())).await;
    (code, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[tokio::test]
async fn json_for_people() {
    let (server, _folder) = server_with_files(&config()).await;
    let mut wire = Wire::welcomed(server.address(), &Hello::new(1)).await;
    let durable = write(&mut wire, &[block(1, 1, 3, "bugs", 2)]).await;
    let after = format!("{{\"epoch\":\"{:016x}\",\"seq\":{}}}", durable.epoch(), durable.seq());
    let body = format!(
        r#"{{"collection":"bugs","where":{{"op":"=","path":"status","value":"open"}},
            "select":["title","priority",[],"none"],"limit":2,"after":{after}}}"#
    );
    let (code, answer) = post(server.address(), "/query?database=app", "", body.as_bytes()).await;
    assert_eq!(code, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(
        answer["rows"][0].to_string(),
        r#"["xx",5,{"$uuid":"00000000-0000-0000-0000-000000000001"},{"$nothing":true}]"#
    );
    assert_eq!(answer["at"].to_string(), after);
    let cursor = answer["cursor"].as_str().unwrap();
    let body = body.replace("\"limit\"", &format!("\"cursor\":\"{cursor}\",\"limit\""));
    let (_, answer) = post(server.address(), "/query?database=app", "", body.as_bytes()).await;
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    assert_eq!((answer["rows"].as_array().unwrap().len(), answer["cursor"].is_null()), (1, true));
    let groups =
        br#"{"collection":"bugs","group_by":["status"],"aggregates":[{"function":"sum","path":"priority"}]}"#;
    let (_, answer) = post(server.address(), "/query?database=app", "", groups).await;
    assert!(answer.contains(r#""rows":[["open",15]]"#), "{answer}");
    // Of the callers nothing is left.
    let (_, metrics) = support::get(server.address(), "/metrics").await;
    assert!(metrics.contains("blazedb_relay_outbox_bytes 0\n"), "{metrics}");
    assert!(metrics.contains("blazedb_relay_query_seconds_count 3\n"), "{metrics}");
    drop(wire);
    server.shut_down().await;
}

//= TRN-6 test
//= TRN-7 test
#[tokio::test]
async fn mistakes_over_http_are_named() {
    let mut config = config();
    let grants = vec![Grant {
        databases: Databases::new("app"),
        access: Access::ALL,
        collections: vec![(name("salaries"), Access::NONE)],
    }];
    let digest = Digest::of(b"secret");
    config.tokens.push(Token { principal: "ann".into(), digest, valid_until_ms: None, grants });
    let server = server(&config).await;
    let address = server.address();
    let bearer = "authorization: Bearer secret\r\n";
    for (target, headers, body, code, name) in [
        ("/query?database=app", "", r#"{"collection":"bugs"}"#, 401, "UNAUTHENTICATED"),
        (
            "/query?database=app",
            "authorization: Bearer other\r\n",
            r#"{"collection":"bugs"}"#,
            401,
            "UNAUTHENTICATED",
        ),
        (
            "/query?database=app",
            "authorization: Basic secret\r\n",
            r#"{"collection":"bugs"}"#,
            401,
            "UNAUTHENTICATED",
        ),
        ("/query?database=other", bearer, r#"{"collection":"bugs"}"#, 403, "FORBIDDEN"),
        ("/query?database=app", bearer, r#"{"collection":"salaries"}"#, 403, "FORBIDDEN"),
        ("/query?database=..%2f", bearer, r#"{"collection":"bugs"}"#, 400, "BAD_NAME"),
        ("/query", bearer, r#"{"collection":"bugs"}"#, 400, "BAD_NAME"),
        ("/query?database=app", bearer, r#"{"collection":"#, 400, "QUERY_FAILED"),
        ("/query?database=app", bearer, r#"{"collection":"bugs","cursor":"AAAA"}"#, 400, "BAD_CURSOR"),
        (
            "/query?database=app",
            bearer,
            r#"{"collection":"bugs","after":{"epoch":"1","seq":1}}"#,
            400,
            "POSITION_UNKNOWN",
        ),
        (
            "/query?database=app",
            bearer,
            r#"{"collection":"bugs","group_by":["a"],"sort":[{"path":"b"}]}"#,
            400,
            "QUERY_FAILED",
        ),
        (
            "/query?database=app",
            "authorization: Bearer secret\r\ncontent-type: application/vnd.blazedb-relay\r\n",
            "no frame",
            400,
            "UNSUPPORTED_VERSION",
        ),
    ] {
        let (got, answer) = post(address, target, headers, body.as_bytes()).await;
        assert_eq!(got, code, "{target} {body}: {answer}");
        let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["error"]["code"], name, "{target} {body}: {answer}");
        assert_ne!(answer["error"]["text"], "", "{answer}");
    }
    let origin = format!("{bearer}origin: https://evil.example.com\r\n");
    assert_eq!(post(address, "/query?database=app", &origin, br#"{"collection":"bugs"}"#).await.0, 403);
    assert_eq!(post(address, "/query?database=app", bearer, br#"{"collection":"bugs"}"#).await.0, 200);
}
