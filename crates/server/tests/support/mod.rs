//! A server on loopback, and clients of it.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so here")]

use core::net::SocketAddr;
use core::time::Duration;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use blazedb_relay::block::{BlockBuilder, Blocks, Compression};
use blazedb_relay::client::{
    Backoff, CollectionSet, Command, Event, Identity, Input, Output, Replica, Session, Write,
};
use blazedb_relay::codec::{Context, Packet, ids_check};
use blazedb_relay::frame::{Phase, peek};
use blazedb_relay::message::{
    Authentication, CollectionRef, Data, DatabaseRef, Extensions, Handshake, LastNodeSeq, LimitList, List,
    Message, ProtocolText, Push, PushBlocks, Subscribe, VersionRange,
};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::registry::{Capabilities, Capability};
use blazedb_relay::time::Time;
use blazedb_relay::value::{Fields, Value};
use blazedb_relay::wire::{CollectionName, DatabaseName, FieldName, NodeId, NodeKey, Position, Timestamp};
use blazedb_relay_server::Server;
use blazedb_relay_server::config::Config;
use blazedb_relay_server::store::MemoryStore;
use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::{Error, Message as WsMessage};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

/// Longer than anything here takes, also on a busy machine: it only ends what hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn config() -> Config {
    Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), PathBuf::from("unused"))
}

/// A server with its databases in memory.
pub(crate) async fn server(config: &Config) -> Server {
    Server::start(config, MemoryStore::default()).await.unwrap()
}

/// The request for an upgrade, to be changed.
pub(crate) fn request(address: SocketAddr) -> Request {
    let mut request = format!("ws://{address}/sync").into_client_request().unwrap();
    request.headers_mut().insert("sec-websocket-protocol", "blazedb-relay.v1".parse().unwrap());
    request
}

/// The HTTP status with which an upgrade is refused.
pub(crate) async fn refused(request: Request) -> u16 {
    match connect_async(request).await {
        Err(Error::Http(response)) => response.status().as_u16(),
        other => panic!("{other:?}"),
    }
}

/// Sends a request over HTTP, and gives status and the whole answer.
pub(crate) async fn http(address: SocketAddr, text: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    http(address, &format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")).await
}

/// A number of `/metrics`, by its name behind `blazedb_relay_` with its labels; 0 if it is not there yet.
pub(crate) async fn metric(address: SocketAddr, name: &str) -> u64 {
    let (status, text) = get(address, "/metrics").await;
    assert_eq!(status, 200);
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("blazedb_relay_")?.strip_prefix(name)?.strip_prefix(' '));
    line.map_or(0, |line| line.parse().unwrap())
}

/// A WebSocket, frame by frame.
pub(crate) struct Wire {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    received: Vec<Bytes>,
    pub(crate) capabilities: Capabilities,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Came {
    Frame(Bytes),
    /// With that code.
    Closed(u16),
}

impl Wire {
    pub(crate) async fn open(address: SocketAddr) -> Self {
        Self::with(request(address)).await
    }

    /// Opens one by that request.
    pub(crate) async fn with(request: Request) -> Self {
        let (socket, response) = connect_async(request).await.unwrap();
        assert_eq!(response.headers()["sec-websocket-protocol"], "blazedb-relay.v1");
        assert!(!response.headers().contains_key("sec-websocket-extensions"));
        Self { socket, received: Vec::new(), capabilities: Capabilities::ALL }
    }

    /// Opens one and is welcomed.
    pub(crate) async fn welcomed(address: SocketAddr, hello: &Hello) -> Self {
        let mut wire = Self::open(address).await;
        wire.send(hello.to_bytes()).await;
        wire.expect(|message| matches!(message, Message::Welcome(_)).then_some(())).await;
        wire
    }

    pub(crate) async fn send(&mut self, bytes: impl Into<Bytes>) {
        self.socket.send(WsMessage::Binary(bytes.into())).await.unwrap();
    }

    /// Closes from this end; what was sent before may still come.
    pub(crate) async fn close(&mut self) {
        self.socket.close(None).await.unwrap();
    }

    /// The next frame, or the end.
    pub(crate) async fn next(&mut self) -> Came {
        while self.received.is_empty() {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("something comes");
            match message.expect("a close frame comes before the end").unwrap() {
                WsMessage::Binary(mut bytes) => {
                    while !bytes.is_empty() {
                        let len = peek(&bytes, Phase::Session).unwrap().unwrap();
                        self.received.push(bytes.split_to(len));
                    }
                    self.received.reverse();
                }
                WsMessage::Close(frame) => return Came::Closed(frame.unwrap().code.into()),
                WsMessage::Ping(_) | WsMessage::Pong(_) => {}
                other @ (WsMessage::Text(_) | WsMessage::Frame(_)) => panic!("{other:?}"),
            }
        }
        Came::Frame(self.received.pop().unwrap())
    }

    /// Passes frames over until one is what is wanted.
    pub(crate) async fn expect<T>(&mut self, wanted: impl Fn(&Message<'_>) -> Option<T>) -> T {
        loop {
            match self.next().await {
                Came::Frame(frame) => {
                    let packet = Packet::decode(&frame, &Context::session(self.capabilities)).unwrap();
                    if let Some(it) = wanted(packet.message()) {
                        return it;
                    }
                }
                Came::Closed(code) => panic!("closed with {code}"),
            }
        }
    }

    /// Waits for the end: the code of an error that came before, and that of the WebSocket.
    pub(crate) async fn end(&mut self) -> (Option<u16>, u16) {
        let mut error = None;
        loop {
            match self.next().await {
                Came::Frame(frame) => {
                    let packet = Packet::decode(&frame, &Context::session(self.capabilities)).unwrap();
                    if let Message::Error(it) = packet.message() {
                        error = Some(it.code.0);
                    }
                }
                Came::Closed(code) => return (error, code),
            }
        }
    }
}

pub(crate) fn node(number: u128) -> NodeId {
    NodeId::new(Uuid::from_u128(number)).unwrap()
}

/// What a client says first.
pub(crate) struct Hello {
    pub(crate) database: &'static str,
    pub(crate) node: u128,
    pub(crate) token: Option<&'static str>,
}

impl Hello {
    pub(crate) fn new(node: u128) -> Self {
        Self { database: "app", node, token: None }
    }

    pub(crate) fn with_token(node: u128, token: &'static str) -> Self {
        Self { token: Some(token), ..Self::new(node) }
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let database = DatabaseName::new(self.database).unwrap();
        let authentication = match self.token {
            Some(token) => Authentication::bearer(Data::new(token.as_bytes()).unwrap()),
            None => Authentication::None,
        };
        let capabilities = [Capability::CRDT, Capability::COMPRESSION, Capability::QUERY];
        let handshake = Handshake {
            protocol: ProtocolText::V1_0,
            versions: VersionRange::new(0x0100, 0x0100).unwrap(),
            database: DatabaseRef::from(&database),
            node: node(self.node),
            node_key: NodeKey([7; 16]),
            highest_given_out: LastNodeSeq::NONE,
            seen: List::new(&[]).unwrap(),
            public_key: Data::EMPTY,
            capabilities: List::new(&capabilities).unwrap(),
            authentication,
            limits: LimitList::new(&[]).unwrap(),
            extensions: Extensions::EMPTY,
        };
        Packet::new(Message::Handshake(handshake)).unwrap().to_bytes()
    }
}

impl Hello {
    /// The same for a database whose name cannot be.
    pub(crate) fn with_raw_database(&self, name: &[u8]) -> Vec<u8> {
        const PLACEHOLDER: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
        let database = &PLACEHOLDER[..name.len()];
        let mut bytes = Self { database, ..Self { token: self.token, ..Self::new(self.node) } }.to_bytes();
        let mut found = [&[u8::try_from(name.len()).unwrap()], database.as_bytes()].concat();
        let at = bytes.windows(found.len()).position(|bytes| bytes == found).unwrap();
        found.splice(1.., name.iter().copied());
        bytes[at..at + found.len()].copy_from_slice(&found);
        let end = bytes.len() - 4;
        let check = crc32fast::hash(&bytes[..end]);
        bytes[end..].copy_from_slice(&check.to_be_bytes());
        bytes
    }
}

/// A block of one insert with that counter in its timestamp.
pub(crate) fn block_at(of: u128, seq: u64, counter: u64) -> Vec<u8> {
    let id = node(of);
    let mut builder = BlockBuilder::new(id, seq);
    let fields = Fields::new(vec![(FieldName::new("title").unwrap(), Value::from("late"))]).unwrap();
    let place = (CollectionName::new("bugs").unwrap(), Uuid::from_u128(1));
    let timestamp = Timestamp::new(counter, id).unwrap();
    builder.push(&Op::new((id, seq), timestamp, OpKind::Insert, place, fields).unwrap()).unwrap();
    builder.finish(Compression::None).unwrap().to_vec()
}

/// A block of inserts into `collection`, with a text of that many bytes.
pub(crate) fn block(of: u128, first: u64, count: u64, collection: &str, text: usize) -> Vec<u8> {
    let id = node(of);
    let mut builder = BlockBuilder::new(id, first);
    for seq in first..first + count {
        let title = "x".repeat(text);
        let fields = Fields::new(vec![
            (FieldName::new("title").unwrap(), Value::from(title.as_str())),
            (FieldName::new("priority").unwrap(), Value::from(5)),
            (FieldName::new("status").unwrap(), Value::from("open")),
        ]);
        let place = (CollectionName::new(collection).unwrap(), Uuid::from_u128(u128::from(seq)));
        let timestamp = Timestamp::new(seq, id).unwrap();
        let op = Op::new((id, seq), timestamp, OpKind::Insert, place, fields.unwrap()).unwrap();
        builder.push(&op).unwrap();
    }
    builder.finish(Compression::None).unwrap().to_vec()
}

/// A push of one block.
pub(crate) fn push(id: u32, block: &[u8]) -> Vec<u8> {
    let all = Blocks::decode(block, 1, Capabilities::ALL).unwrap();
    let ids_check = ids_check(all).unwrap();
    let push = Push { ids_check, blocks: PushBlocks::new(all).unwrap(), extensions: Extensions::EMPTY };
    Packet::with_id(Message::Push(push), id).unwrap().to_bytes()
}

/// A subscription to everything, from the start.
pub(crate) fn subscribe(id: u32, window: u64) -> Vec<u8> {
    subscription(id, &[], window)
}

/// A subscription to these collections, from the start.
pub(crate) fn subscribe_to(id: u32, collections: &[&str]) -> Vec<u8> {
    subscription(id, collections, 1 << 20)
}

fn subscription(id: u32, names: &[&str], window: u64) -> Vec<u8> {
    let names: Vec<_> = names.iter().map(|name| CollectionName::new(name).unwrap()).collect();
    let names: Vec<_> = names.iter().map(CollectionRef::from).collect();
    let subscribe = Subscribe {
        subscription: id,
        collections: List::new(&names).unwrap(),
        from: Position::START,
        window,
        extensions: Extensions::EMPTY,
    };
    Packet::with_id(Message::Subscribe(subscribe), id).unwrap().to_bytes()
}

/// A client with a replica in memory.
pub(crate) struct Client {
    wire: Wire,
    session: Session,
    pub(crate) replica: Replica,
    begun: Instant,
    pub(crate) events: Vec<Event>,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, number: u128, token: Option<&'static str>) -> Self {
        let identity = |number| Identity { node: node(number), key: NodeKey([7; 16]) };
        let (replica, _) = Replica::new(identity(number));
        let mut config = blazedb_relay::client::Config::new(DatabaseName::new("app").unwrap(), 42);
        if let Some(token) = token {
            config.credentials = blazedb_relay::client::Credentials::bearer(token.as_bytes()).unwrap();
        }
        let session = Session::new(config, identity(number + 1_000), Backoff::default());
        let wire = Wire::open(address).await;
        let mut client = Self { wire, session, replica, begun: Instant::now(), events: Vec::new() };
        client.give(Input::Opened).await;
        let collections = CollectionSet::ALL;
        client.give(Input::Command(Command::Subscribe { collections, window: 1 << 20 })).await;
        client
    }

    pub(crate) async fn give(&mut self, input: Input) {
        let unix_ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let now = Time { monotonic_ms: self.begun.elapsed().as_millis() as u64, unix_ms };
        self.session.handle(&mut self.replica, now, input);
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Send(frame) => self.wire.send(frame).await,
                Output::Event(event) => self.events.push(event),
                Output::Commit(_) | Output::Close(_) | Output::Reconnect(_) => {}
            }
        }
    }

    /// Writes a record.
    pub(crate) async fn insert(&mut self, collection: &str, record: u128, title: &str) -> Timestamp {
        let name = CollectionName::new(collection).unwrap();
        let fields = Fields::new(vec![(FieldName::new("title").unwrap(), title.into())]).unwrap();
        let written = self.replica.write(&[Write::insert(name, Uuid::from_u128(record), fields)]).unwrap();
        self.give(Input::Written).await;
        *written.timestamps.first().unwrap()
    }

    /// Receives until that holds.
    pub(crate) async fn until(&mut self, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            match self.wire.next().await {
                Came::Frame(frame) => self.give(Input::Received(frame)).await,
                Came::Closed(code) => {
                    self.give(Input::Closed).await;
                    assert!(done(self), "closed with {code}: {:?}", self.events);
                }
            }
        }
    }
}
