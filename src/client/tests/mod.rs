//! Sessions against the frames of a relay, written by hand. Each test lists all outputs of each input.
//!
//! After every step the replica is loaded anew from all changes so far and must be the same: so whatever
//! a crash leaves behind is a state that these tests have seen.

mod doubt;
mod ending;
mod history;
mod hostile;
mod opening;
mod pushing;
mod reading;
mod requests;
mod settling;
mod show;
mod timers;
mod uncertain;
mod upgrade;
mod writing;

use alloc::string::String;
use alloc::vec::Vec;
use core::num::NonZeroU64;

use bytes::Bytes;
use uuid::Uuid;

use super::*;
use crate::block::{BlockBuilder, Blocks, Compression};
use crate::codec::{Context, Packet};
use crate::message::*;
use crate::op::{Op, OpKind};
use crate::registry::{Capabilities, Capability, ErrorCode};
use crate::time::Time;
use crate::value::{Fields, Value};
use crate::wire::{CollectionName, DatabaseName, FieldName, NodeId, NodeKey, Position, Timestamp};

/// The node that a client is at first, the one that it becomes, and another client's.
const A: u128 = 0xA;
const B: u128 = 0xB;
const Z: u128 = 0x1F;

/// No outputs.
const NOTHING: [&str; 0] = [];

/// What comes of a relay that breaks a rule. Chance of the seed that tests have makes the first wait after
/// a failure 567 milliseconds.
fn closed(code: &str) -> [String; 4] {
    [
        alloc::format!("error {code}"),
        alloc::format!("close Some({code})"),
        alloc::format!("! Ended(Fault({code}))"),
        "reconnect After(567)".into(),
    ]
}

fn node(n: u128) -> NodeId {
    NodeId::new(Uuid::from_u128(n)).unwrap()
}

fn identity(n: u128) -> Identity {
    Identity { node: node(n), key: NodeKey([u8::try_from(n).unwrap(); 16]) }
}

fn at(counter: u64, n: u128) -> Timestamp {
    Timestamp::new(counter, node(n)).unwrap()
}

fn pos(epoch: u64, seq: u64) -> Position {
    Position::new(epoch, seq).unwrap()
}

fn collection(name: &str) -> CollectionName {
    CollectionName::new(name).unwrap()
}

fn set(names: &[&str]) -> CollectionSet {
    CollectionSet::new(names.iter().map(|name| collection(name)).collect()).unwrap()
}

fn fields(name: &str, value: Value) -> Fields {
    Fields::new([(FieldName::new(name).unwrap(), value)].into()).unwrap()
}

/// An update of field f of record `record` in collection c.
fn update(record: u128, value: i64) -> Write {
    Write::update(collection("c"), Uuid::from_u128(record), fields("f", value.into()))
}

/// An operation that node `n` delivers: it sets field f of record `record` in collection c.
fn op(n: u128, number: u64, timestamp: Timestamp, record: u128, value: i64) -> Op {
    let place = (collection("c"), Uuid::from_u128(record));
    Op::new((node(n), number), timestamp, OpKind::Update, place, fields("f", value.into())).unwrap()
}

/// A block of operations that are whole and in order.
fn block(ops: &[Op]) -> Vec<u8> {
    let (node, first) = ops[0].delivery();
    let mut builder = BlockBuilder::new(node, first);
    ops.iter().for_each(|op| builder.push(op).unwrap());
    builder.finish(Compression::None).unwrap().to_vec()
}

/// A client with its store, and the clock.
struct Client {
    replica: Replica,
    session: Session,
    stored: Vec<Change>,
    now: u64,
}

impl Client {
    /// A client that was just installed and has written `writes` operations, numbered from 1.
    fn new(writes: u64) -> Self {
        let (replica, stored) = Replica::new(identity(A));
        let mut client = Self { replica, session: session(config()), stored, now: 1_000 };
        for n in 0..writes {
            client.write(&[update(1, i64::try_from(n).unwrap())]);
        }
        client
    }

    /// The same client after the connection, with another one.
    fn again(self) -> Self {
        self.with(config())
    }

    fn with(self, config: Config) -> Self {
        Self { session: session(config), ..self }
    }

    /// Writes, and has that durable.
    fn write(&mut self, writes: &[Write]) -> Vec<Timestamp> {
        let written = self.replica.write(writes).unwrap();
        self.stored.extend(written.changes);
        written.timestamps
    }

    fn store(&mut self, changes: Vec<Change>) {
        self.stored.extend(changes);
        self.check();
    }

    //= SES-37 test
    /// What was stored is what is there.
    fn check(&self) {
        let loaded = Replica::load(self.stored.iter().cloned()).unwrap();
        assert!(loaded == self.replica, "loaded: {loaded:#?}\nlive: {:#?}", self.replica);
        for name in ["c", "d"] {
            assert_eq!(loaded.records(name), self.replica.records(name));
        }
    }

    /// All outputs of an input.
    fn outputs(&mut self, input: Input) -> Vec<Output> {
        let now = Time { monotonic_ms: self.now, unix_ms: 0 };
        self.session.handle(&mut self.replica, now, input);
        let outputs: Vec<_> = core::iter::from_fn(|| self.session.poll_output()).collect();
        for output in &outputs {
            if let Output::Commit(changes) = output {
                self.stored.extend(changes.iter().cloned());
            }
        }
        self.check();
        outputs
    }

    /// All outputs of an input, in words.
    fn input(&mut self, input: Input) -> Vec<String> {
        let capabilities = Capabilities::ALL;
        self.outputs(input).iter().map(|output| show::output(output, capabilities)).collect()
    }

    fn command(&mut self, command: Command) -> Vec<String> {
        self.input(Input::Command(command))
    }

    fn subscribe(&mut self, collections: CollectionSet, window: u64) -> Vec<String> {
        self.command(Command::Subscribe { collections, window })
    }

    /// What comes of a message of the relay.
    fn receive(&mut self, message: Message<'_>) -> Vec<String> {
        self.reply(0, message)
    }

    /// What comes of a message of the relay with that request id.
    fn reply(&mut self, id: u32, message: Message<'_>) -> Vec<String> {
        let frame = Packet::with_id(message, id).unwrap().to_bytes();
        self.input(Input::Received(Bytes::from(frame)))
    }

    /// What comes of an error of the relay: of a request, or with id 0 of the connection.
    fn error(&mut self, id: u32, code: ErrorCode, retry_after: u32) -> Vec<String> {
        let scope = if id == 0 { Scope::Connection } else { Scope::Request };
        let text = ErrorText::new("why").unwrap();
        self.reply(
            id,
            Message::Error(Error { code, scope, retry_after, text, extensions: Extensions::EMPTY }),
        )
    }

    fn goodbye(&mut self, reason: crate::registry::GoodbyeReason) -> Vec<String> {
        let goodbye = Goodbye { reason, reconnect_after: 5_000, jitter: 0, extensions: Extensions::EMPTY };
        self.receive(Message::Goodbye(goodbye))
    }

    fn welcome(&mut self, welcome: &Hello) -> Vec<String> {
        let limits: Vec<_> = welcome.limits.clone();
        let epochs = [EpochStart::new(NonZeroU64::new(7).unwrap(), 0).unwrap()];
        let mark = Mark::new(LastNodeSeq::new(welcome.mark).unwrap(), welcome.check).unwrap();
        self.receive(Message::Welcome(Welcome {
            version: welcome.version,
            capabilities: List::new(&welcome.capabilities).unwrap(),
            epochs: List::new(&epochs).unwrap(),
            agreed: welcome.agreed,
            restore_mode: welcome.restore_mode,
            mark,
            head: welcome.head,
            limits: List::new(&limits).unwrap(),
            heartbeat: Heartbeat::new(30_000).unwrap(),
            relay_time: 1 << 60,
            extensions: Extensions::EMPTY,
        }))
    }

    /// Opens the connection, and takes a welcome of a relay that has lost nothing.
    fn connect(&mut self) -> Vec<String> {
        let acknowledged = self.replica.node().acknowledged;
        let newest = self.replica.seen().positions().first().copied().unwrap_or(Position::START);
        self.open(&Hello {
            mark: acknowledged.node_seq().get(),
            check: acknowledged.check(),
            agreed: newest,
            head: newest,
            ..Hello::default()
        })
    }

    /// Opens the connection and takes that welcome; the handshake is not shown.
    fn open(&mut self, welcome: &Hello) -> Vec<String> {
        let outputs = self.input(Input::Opened);
        assert!(outputs.len() == 1 && outputs[0].starts_with("handshake"), "{outputs:?}");
        self.welcome(welcome)
    }

    /// Time passes; the timer is fed if it is due.
    fn wait(&mut self, ms: u64) -> Vec<String> {
        self.now += ms;
        self.input(Input::Timeout)
    }

    /// Time passes until the timer is due.
    fn wait_for_timer(&mut self) -> (u64, Vec<String>) {
        let waited = self.session.poll_timeout().unwrap().saturating_sub(self.now);
        (waited, self.wait(waited))
    }

    fn update(
        &mut self,
        subscription: u32,
        previous: Position,
        new: Position,
        blocks: &[(u64, &[Op])],
    ) -> Vec<String> {
        let raw: Vec<u8> = blocks.iter().flat_map(|(_, ops)| block(ops)).collect();
        let seqs: Vec<_> = blocks.iter().map(|(seq, _)| Seq::new(*seq).unwrap()).collect();
        let blocks = Blocks::decode(&raw, seqs.len(), Capabilities::ALL).unwrap();
        let blocks = LogBlocks::new(FirstSeqs::new(&seqs).unwrap(), blocks).unwrap();
        let extensions = Extensions::EMPTY;
        self.receive(Message::Update(Update { subscription, previous, new, blocks, extensions }))
    }

    fn pulled(&mut self, id: u32, next: Position, blocks: &[(u64, &[Op])]) -> Vec<String> {
        let raw: Vec<u8> = blocks.iter().flat_map(|(_, ops)| block(ops)).collect();
        let seqs: Vec<_> = blocks.iter().map(|(seq, _)| Seq::new(*seq).unwrap()).collect();
        let blocks = Blocks::decode(&raw, seqs.len(), Capabilities::ALL).unwrap();
        let blocks = LogBlocks::new(FirstSeqs::new(&seqs).unwrap(), blocks).unwrap();
        let response = PullResponse { next, has_more: false, blocks, extensions: Extensions::EMPTY };
        self.reply(id, Message::PullResponse(response))
    }

    fn acks(&mut self, id: u32, entries: &[PushEntry]) -> Vec<String> {
        let entries = List::new(entries).unwrap();
        self.reply(id, Message::PushAck(PushAck { entries, extensions: Extensions::EMPTY }))
    }

    /// A push is accepted, in epoch 7.
    fn accepted(&mut self, id: u32, first: u64, last: u64) -> Vec<String> {
        self.acks(id, &[PushEntry::Accepted(Accepted::new(first, pos(7, last)).unwrap())])
    }

    fn refused(&mut self, id: u32, code: ErrorCode, index: u16) -> Vec<String> {
        self.acks(id, &[PushEntry::Refused { code, index }])
    }

    /// The check of an operation in the outbox.
    fn check_of(&self, number: u64) -> u32 {
        self.replica.outbox().find(|queued| queued.number() == number).unwrap().check()
    }

    /// The numbers in the outbox; uncertain ones are negative.
    fn numbers(&self) -> Vec<i64> {
        let number = |queued: &Queued| i64::try_from(queued.number()).unwrap();
        self.replica.outbox().map(|q| if q.uncertain { -number(q) } else { number(q) }).collect()
    }

    /// Field f of a record of collection c, as the application sees it.
    fn f(&self, record: u128) -> Option<Value> {
        self.replica.record("c", Uuid::from_u128(record))?.get("f").cloned()
    }
}

/// What a welcome says.
struct Hello {
    version: u16,
    capabilities: Vec<Capability>,
    agreed: Position,
    restore_mode: RestoreMode,
    mark: u64,
    check: u32,
    head: Position,
    limits: Vec<Limit>,
}

impl Default for Hello {
    fn default() -> Self {
        Self {
            version: 0x0100,
            capabilities: [Capability::CRDT, Capability::QUERY].into(),
            agreed: Position::START,
            restore_mode: RestoreMode::Keep,
            mark: 0,
            check: 0,
            head: Position::START,
            limits: Vec::new(),
        }
    }
}

fn config() -> Config {
    Config::new(DatabaseName::new("app").unwrap(), 1)
}

fn session(config: Config) -> Session {
    Session::new(config, identity(B), Backoff::default())
}
