//! Clients that do anything at any time, with a store that answers in any order and fails: what every
//! reader and writer is told must fit together.

#![allow(clippy::wildcard_enum_match_arm, reason = "these clients look at some messages only")]

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use super::world::{last_seq, ticket};
use super::*;
use crate::codec::{Context, Packet};
use crate::message::{
    Extensions, Message, Ping, PullRequest, PushEntry, Scope, SyncStateRequest, Unsubscribe,
};
use crate::registry::{Capabilities, ErrorCode};
use crate::relay::{Config, ConnId, Input, Output, StoredBlock};
use crate::wire::Position;

/// xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

#[derive(Default)]
struct Client {
    node: u128,
    welcomed: bool,
    welcome_mark: u64,
    next: u64,
    /// Ids of pushes without an ack, with the first number of each of their blocks.
    pushes: VecDeque<(u32, Vec<u64>)>,
    ids: u32,
    /// For each subscription what it covers, where it stands, and the seqs that it got.
    reading: BTreeMap<u32, Reading>,
}

#[derive(Default)]
struct Reading {
    only_b: bool,
    from: u64,
    at: (u64, u64),
    got: BTreeSet<u64>,
}

struct Run {
    random: Random,
    world: World,
    clients: BTreeMap<u64, Client>,
    conns: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let config = Config {
            tail_bytes: usize::try_from(random.below(3)).unwrap() * 700,
            window: 500 + random.below(2_000),
            operations_per_second: if random.chance(20) { 5 } else { 0 },
            database_idle_ms: 20_000,
            ..Config::default()
        };
        Self { random, world: World::new(config), clients: BTreeMap::new(), conns: 0 }
    }

    fn step(&mut self) {
        match self.random.below(20) {
            0 | 1 if self.clients.len() < 5 || self.random.chance(10) => self.connect(),
            2 => {
                let ms = self.random.below(2_000);
                self.world.wait(ms);
                self.give(Input::Timeout);
            }
            3 if self.random.chance(20) => {
                if let Some(conn) = self.any() {
                    self.clients.remove(&conn);
                    self.world.unsent.remove(&ConnId(conn));
                    self.give(Input::Closed { conn: ConnId(conn) });
                }
            }
            3 | 4 => {
                if let Some(conn) = self.any() {
                    let bytes = self.world.unsent.remove(&ConnId(conn)).unwrap_or(0);
                    self.give(Input::Flushed { conn: ConnId(conn), bytes });
                }
            }
            5..=11 => self.answer(),
            12..=14 => self.push(),
            _ => self.read(),
        }
    }

    fn any(&mut self) -> Option<u64> {
        let n = self.random.below(self.clients.len().max(1) as u64);
        self.clients.keys().nth(usize::try_from(n).unwrap()).copied()
    }

    fn connect(&mut self) {
        let conn = self.conns;
        self.conns += 1;
        let node = 1 + u128::from(self.random.below(4));
        self.clients.insert(conn, Client { node, ..Client::default() });
        self.world.open(conn);
        self.send(conn, Hello::new(node).to_bytes());
    }

    /// Answers any question, mostly as the store would.
    fn answer(&mut self) {
        let n = self.random.below(self.world.asked.len().max(1) as u64);
        let Some(question) = self.world.asked.remove(usize::try_from(n).unwrap()) else { return };
        let lost = matches!(question, Output::Append { .. }) && self.random.chance(3);
        if lost && let Output::Append { database, .. } = question {
            // It may have been stored or not.
            if self.random.chance(50) {
                self.world.truth(&question);
            }
            self.world.asked.retain(|question| matches!(question, Output::Authorize { .. }));
            self.give(Input::LogLost { database });
        } else if self.random.chance(5) {
            self.give(Input::Failed { ticket: ticket(&question), code: ErrorCode::STORE_UNAVAILABLE });
        } else {
            let input = self.world.truth(&question);
            self.give(input);
        }
    }

    fn push(&mut self) {
        let Some(conn) = self.any() else { return };
        let client = self.clients.get_mut(&conn).unwrap();
        if !client.welcomed {
            return;
        }
        client.ids += 1;
        let id = client.ids;
        // Sometimes out of step.
        let mut first = if self.random.chance(2) { client.next + 1 } else { client.next };
        let mut blocks = vec![];
        let mut firsts = vec![];
        for _ in 0..=self.random.below(3) {
            let ops: Vec<_> = (0..=self.random.below(3))
                .map(|_| (if self.random.chance(50) { "a" } else { "b" }, 1))
                .collect();
            blocks.push(block(client.node, first, &ops));
            firsts.push(first);
            first += ops.len() as u64;
        }
        client.next = first;
        client.pushes.push_back((id, firsts));
        self.send(conn, push(id, &blocks));
    }

    fn read(&mut self) {
        let Some(conn) = self.any() else { return };
        let client = self.clients.get_mut(&conn).unwrap();
        if !client.welcomed {
            return;
        }
        client.ids += 1;
        let id = client.ids;
        let extensions = Extensions::EMPTY;
        let window = self.random.below(2_000);
        let number = client.reading.keys().nth(usize::try_from(self.random.below(3)).unwrap()).copied();
        let bytes = match (self.random.below(6), number) {
            (0, Some(number)) if self.random.chance(20) => {
                client.reading.remove(&number);
                request(0, Message::Unsubscribe(Unsubscribe { subscription: number, extensions }))
            }
            (0..=2, Some(number)) => update_ack(number, client.reading[&number].at, window),
            (3, _) => request(0, Message::Ping(Ping { nonce: 1, extensions })),
            (4, _) if self.random.chance(50) => {
                request(id, Message::SyncStateRequest(SyncStateRequest { extensions }))
            }
            (4, _) => {
                let pull = PullRequest {
                    from: Position::START,
                    collections: crate::message::Collections::EMPTY,
                    max_operations: 9,
                    max_bytes: 0,
                    extensions,
                };
                request(id, Message::PullRequest(pull))
            }
            _ => {
                let only_b = self.random.chance(40);
                client.reading.insert(id, Reading { only_b, ..Reading::default() });
                subscribe(id, (0, 0), window, if only_b { &["b"] } else { &[] })
            }
        };
        self.send(conn, bytes);
    }

    fn send(&mut self, conn: u64, mut bytes: Vec<u8>) {
        let damaged = self.random.chance(1);
        if damaged {
            let at = usize::try_from(self.random.below(bytes.len() as u64)).unwrap();
            bytes[at] ^= 1 << self.random.below(8);
        }
        self.give(Input::Received { conn: ConnId(conn), bytes: bytes.into() });
        // Either it was closed, or it waits for the rest of a frame.
        if damaged && self.clients.remove(&conn).is_some() {
            self.world.unsent.remove(&ConnId(conn));
            self.give(Input::Closed { conn: ConnId(conn) });
        }
    }

    fn give(&mut self, input: Input) {
        for output in self.world.outputs(input) {
            show(&output);
            match output {
                Output::Send { conn, head, blocks } => {
                    let frame = [&head[..], &blocks.concat()].concat();
                    let packet = Packet::decode(&frame, &Context::session(Capabilities::ALL)).unwrap();
                    let client = self.clients.get_mut(&conn.0).expect("nothing is sent to who is gone");
                    client.hear(&packet, &self.world);
                }
                Output::Close { conn, .. } => {
                    self.clients.remove(&conn.0);
                }
                _ => {}
            }
        }
    }

    /// Lets all that is under way come to an end; then everyone has what they asked for.
    fn settle(&mut self) {
        loop {
            while !self.world.asked.is_empty() {
                let question = self.world.question();
                let input = self.world.truth(&question);
                self.give(input);
            }
            let heads = self.conns_of_all();
            let mut sent = false;
            for (conn, number, at) in heads {
                let bytes = self.world.unsent.remove(&ConnId(conn)).unwrap_or(0);
                self.give(Input::Flushed { conn: ConnId(conn), bytes });
                self.send(conn, update_ack(number, at, 1 << 20));
                sent |= self.world.unsent.get(&ConnId(conn)).is_some_and(|bytes| *bytes > 0);
            }
            if !sent && self.world.asked.is_empty() {
                break;
            }
        }
        self.world.wait(6_000);
        self.give(Input::Timeout);
    }

    /// Ends everything; then the relay knows nothing any more.
    fn end(&mut self) {
        for conn in 0..self.conns {
            self.give(Input::Closed { conn: ConnId(conn) });
        }
        for _ in 0..2 {
            self.world.wait(20_000);
            self.give(Input::Timeout);
        }
        assert!(self.world.relay.is_idle());
    }

    fn conns_of_all(&self) -> Vec<(u64, u32, (u64, u64))> {
        let readings = |(conn, client): (&u64, &Client)| {
            let conn = *conn;
            client.reading.iter().map(move |(number, it)| (conn, *number, it.at)).collect::<Vec<_>>()
        };
        self.clients.iter().filter(|(_, client)| client.welcomed).flat_map(readings).collect()
    }

    fn check(&self) {
        let names = |block: &StoredBlock, only_b: bool| -> Vec<u64> {
            let mut scratch = vec![];
            let rows = crate::block::BlockRef::decode(&block.bytes).unwrap();
            let rows = rows.rows(&mut scratch).unwrap();
            let wanted = |op: &crate::op::OpRef<'_>| !only_b || op.head.collection == "b";
            (block.first_seq..).zip(rows.iter()).filter(|(_, op)| wanted(op)).map(|(seq, _)| seq).collect()
        };
        for client in self.clients.values() {
            for reading in client.reading.values() {
                let own = |block: &&StoredBlock| {
                    let header = *crate::block::BlockRef::decode(&block.bytes).unwrap().header();
                    header.node == node(client.node) && header.first_node_seq > client.welcome_mark
                };
                let log = self.world.log.iter().filter(|block| !own(block) && last_seq(block) > reading.from);
                let expected: BTreeSet<_> = log.flat_map(|block| names(block, reading.only_b)).collect();
                assert_eq!(reading.got, expected);
                assert_eq!(reading.at.1, self.world.head(), "everyone is at the head");
            }
        }
    }
}

impl Client {
    fn hear(&mut self, packet: &Packet<'_>, world: &World) {
        match packet.message() {
            Message::Welcome(welcome) => {
                self.welcomed = true;
                let mark = world.nodes.get(&node(self.node)).map_or(0, |(_, mark)| mark.node_seq().get());
                assert_eq!(welcome.mark.node_seq().get(), mark);
                self.welcome_mark = mark;
                self.next = mark + 1;
                assert!(welcome.head.seq() <= world.head());
            }
            Message::PushAck(ack) => {
                let (id, firsts) = self.pushes.pop_front().unwrap();
                assert_eq!((packet.request_id(), ack.entries.len()), (id, firsts.len()), "acks keep order");
                for (entry, first) in ack.entries.iter().zip(firsts) {
                    match entry {
                        PushEntry::Accepted(accepted) => {
                            let stored =
                                world.log.iter().find(|it| it.first_seq == accepted.first_seq()).unwrap();
                            let header = *crate::block::BlockRef::decode(&stored.bytes).unwrap().header();
                            assert_eq!((header.node, header.first_node_seq), (node(self.node), first));
                            assert_eq!(accepted.last().seq(), last_seq(stored));
                        }
                        PushEntry::Later { .. } => self.next = self.next.min(first),
                        PushEntry::Refused { .. } => panic!("nothing is forbidden"),
                    }
                }
            }
            Message::Update(update) => {
                let Some(reading) = self.reading.get_mut(&update.subscription) else { return };
                assert_eq!((update.previous.epoch(), update.previous.seq()), reading.at);
                reading.at = (update.new.epoch(), update.new.seq());
                assert!(update.new.seq() <= world.head());
                for (seq, block) in update.blocks.iter() {
                    let mut scratch = vec![];
                    for op in block.rows(&mut scratch).unwrap().iter() {
                        let at = seq.get() + op.head.node_seq - block.header().first_node_seq;
                        assert!(reading.got.insert(at), "seq {at} comes once");
                    }
                }
            }
            Message::Error(error) if error.scope == Scope::Request => {
                self.reading.remove(&packet.request_id());
            }
            _ => {}
        }
    }
}

//= RLY-33 test
//= RLY-34 test
//= SES-68 test
//= SES-77 test
#[test]
fn whatever_happens_it_fits_together() {
    for seed in 1..=100 {
        let mut run = Run::new(seed);
        for _ in 0..400 {
            run.step();
        }
        run.settle();
        run.check();
        run.end();
    }
}
