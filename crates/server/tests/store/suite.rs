//! What every backend has to do, whatever happens to it: one workload, and a model of what was promised.

use core::panic::AssertUnwindSafe;
use std::collections::BTreeMap;

use blazedb_relay::block::BlockRef;
use blazedb_relay::merge::{Heard, State};
use blazedb_relay::message::{LastNodeSeq, Mark};
use blazedb_relay::op::OpRef;
use blazedb_relay::relay::{Claim, Epoch, NodeAppend, Principal};
use blazedb_relay::wire::DatabaseName;
use blazedb_relay_server::store::{
    Background, Error, ErrorKind, LogStore, Opened, Reader, WriteError, Writer,
};

use crate::samples::{self, Random};

/// Nodes that push.
const NODES: u64 = 6;

/// A backend, and what can happen to it.
pub(crate) trait Backend {
    type Store: LogStore;

    fn store(&mut self) -> &Self::Store;

    /// From here on something may go wrong.
    fn tempt_fate(&mut self, random: &mut Random);

    /// The next time that something is to be made durable, that fails.
    fn fail_next_sync(&mut self);

    /// Everything stops where it is, or goes on until it is closed.
    fn stop(&mut self, random: &mut Random);

    /// Everything that was opened is closed: the process or the machine went down, and comes back sound.
    fn restart(&mut self, random: &mut Random);

    /// Looks at the database from outside.
    fn check(&mut self, name: &DatabaseName);
}

/// The roles of an open database.
struct Roles<S: LogStore> {
    writer: S::Writer,
    reader: S::Reader,
    background: S::Background,
}

/// What was promised.
#[derive(Default)]
struct Model {
    /// The operations of the log.
    ops: Vec<Vec<u8>>,
    marks: BTreeMap<u64, Mark>,
    epochs: Vec<Epoch>,
    /// Readers saw this head.
    seen: u64,
    /// An append of which it is not known whether it is durable, with the operations that it stores.
    unknown: Option<(Vec<NodeAppend>, Vec<Vec<u8>>)>,
    /// Where to go on rewriting.
    rewritten: u64,
}

/// What a run saw, to see that it was worth running.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) appends: u64,
    pub(crate) failed: u64,
    pub(crate) lost: u64,
    pub(crate) unknown_stored: u64,
    pub(crate) rewritten: u64,
    pub(crate) restarts: u64,
}

/// Runs `steps` of a workload that `seed` decides.
pub(crate) fn run<B: Backend>(backend: &mut B, seed: u64, steps: u64) -> Seen {
    let run = AssertUnwindSafe(|| Run::new(backend, seed).run(steps));
    std::panic::catch_unwind(run).unwrap_or_else(|panic| {
        eprintln!("seed {seed}");
        std::panic::resume_unwind(panic)
    })
}

struct Run<'a, B: Backend> {
    backend: &'a mut B,
    random: Random,
    name: DatabaseName,
    model: Model,
    seen: Seen,
}

/// The backend broke down; the roles are of no use any more.
struct Broken;

impl<'a, B: Backend> Run<'a, B> {
    fn new(backend: &'a mut B, seed: u64) -> Self {
        let name = DatabaseName::new("suite").unwrap();
        Self { backend, random: Random::new(seed), name, model: Model::default(), seen: Seen::default() }
    }

    fn run(mut self, steps: u64) -> Seen {
        let mut roles = self.open();
        for step in 0..steps {
            if self.random.one_in(20) {
                self.backend.tempt_fate(&mut self.random);
            }
            let broke = self.step(&mut roles).is_err();
            // While it is open: nothing of it is closed before the new one is.
            if broke
                && self.random.one_in(2)
                && let Ok(new) = self.try_open()
            {
                roles = new;
            } else if broke || self.random.one_in(150) {
                self.backend.stop(&mut self.random);
                drop(roles);
                roles = self.restart();
            } else if step % 100 == 0 {
                self.check(&mut roles).unwrap_or(());
            }
        }
        self.backend.stop(&mut self.random);
        drop(roles);
        drop(self.restart_soundly());
        self.backend.check(&self.name);
        self.seen
    }

    /// Comes back from a breakdown, sometimes into the next one.
    fn restart(&mut self) -> Roles<B::Store> {
        self.seen.restarts += 1;
        if self.random.one_in(2) {
            self.backend.restart(&mut self.random);
            self.backend.tempt_fate(&mut self.random);
            if let Ok(roles) = self.try_open() {
                return roles;
            }
            self.backend.stop(&mut self.random);
        }
        self.restart_soundly()
    }

    fn restart_soundly(&mut self) -> Roles<B::Store> {
        self.backend.restart(&mut self.random);
        let mut roles = self.open();
        assert!(self.check(&mut roles).is_ok(), "nothing goes wrong after a restart");
        roles
    }

    fn open(&mut self) -> Roles<B::Store> {
        self.try_open().unwrap_or_else(|error| panic!("{error}"))
    }

    //= RLY-10 test
    fn try_open(&mut self) -> Result<Roles<B::Store>, Error> {
        let Opened { writer, head, epochs, .. } = self.backend.store().open(&self.name)?;
        let mut reader = self.backend.store().reader(&self.name)?;
        let background = self.backend.store().background(&self.name)?;
        self.settle(head, &mut reader)?;
        let listed: Vec<_> = epochs.iter().filter(|epoch| self.model.epochs.contains(epoch)).collect();
        assert!(listed.into_iter().eq(&self.model.epochs), "an epoch was forgotten");
        let last = epochs.last().unwrap();
        assert!(!self.model.epochs.contains(last) && last.begins == head, "{last:?} is that of this opening");
        self.model.epochs = epochs;
        Ok(Roles { writer, reader, background })
    }

    /// Finds out what became of an append whose outcome was not known: all of it or nothing.
    fn settle(&mut self, head: u64, reader: &mut impl Reader) -> Result<(), Error> {
        let model = &mut self.model;
        assert!(head >= model.seen, "a reader saw {}, but the head is {head}", model.seen);
        if let Some((nodes, ops)) = model.unknown.clone() {
            let mut moved = 0;
            for append in &nodes {
                let number = number(append);
                let claim = reader.node(append.node, &samples::key(number), &principal(number))?;
                moved += usize::from(claim == Claim::Yours(append.mark));
            }
            assert!(moved == 0 || moved == nodes.len(), "a part of an append is durable");
            if moved > 0 {
                self.seen.unknown_stored += 1;
                model.take(&nodes, ops);
            }
            model.unknown = None;
        }
        assert_eq!(head, model.ops.len() as u64, "an operation was lost, or came from nowhere");
        Ok(())
    }

    fn step(&mut self, roles: &mut Roles<B::Store>) -> Result<(), Broken> {
        match self.random.below(100) {
            0..50 => self.append(&mut roles.writer),
            50..58 => self.append_wrongly(&mut roles.writer),
            58..70 => self.read(&mut roles.reader),
            70..76 => self.nodes(&mut roles.reader),
            76..86 => {
                let max = 1 + self.random.below(100);
                match roles.background.feed(usize::try_from(max).unwrap()) {
                    Ok(fed) => assert!(fed.seq <= self.model.ops.len() as u64),
                    Err(error) => return self.shrug(error),
                }
                Ok(())
            }
            86..92 => {
                let until = self.random.below(self.model.ops.len() as u64 + 1);
                let done = roles.background.rewrite(self.model.rewritten, until).map_err(broken)?;
                assert!(done.after >= self.model.rewritten && done.by <= done.replaced);
                self.seen.rewritten += done.replaced as u64;
                self.model.rewritten = if self.random.one_in(4) { 0 } else { done.after };
                Ok(())
            }
            92..95 => roles.background.checkpoint().or_else(|error| self.shrug(error)),
            95..97 => {
                let epoch = roles.writer.mint().map_err(|error| broken(error.into_error()))?;
                assert_eq!(epoch.begins, self.model.ops.len() as u64);
                assert!(self.model.epochs.iter().all(|other| other.id != epoch.id));
                self.model.epochs.push(epoch);
                Ok(())
            }
            97 => self.supersede(roles),
            98 => self.doubt(roles),
            _ => self.check(roles),
        }
    }

    //= RLY-8 test
    /// What the background wrote without waiting for the disk is lost there, though it is still seen: an
    /// append that built on it would be acknowledged, and gone after the next breakdown.
    fn doubt(&mut self, roles: &mut Roles<B::Store>) -> Result<(), Broken> {
        self.append(&mut roles.writer)?;
        roles.background.feed(1_000).map_err(broken)?;
        self.backend.fail_next_sync();
        match roles.background.checkpoint() {
            // The backend has nothing to sync there.
            Ok(()) => return Ok(()),
            Err(error) => drop(broken(error)),
        }
        self.append(&mut roles.writer)?;
        Err(Broken)
    }

    /// What fails in the background may stop the writer, or not.
    fn shrug(&mut self, error: Error) -> Result<(), Broken> {
        let broken = broken(error);
        if self.random.one_in(2) { Ok(()) } else { Err(broken) }
    }

    /// A group of nodes, each behind its mark, or behind what was said of it.
    fn group(&mut self) -> (Vec<NodeAppend>, Vec<Vec<u8>>) {
        let first = self.random.below(NODES);
        let (mut nodes, mut ops) = (Vec::new(), Vec::new());
        for number in first..NODES.min(first + 1 + self.random.below(3)) {
            let builds_on = self.model.marks.get(&number).copied().unwrap_or(Mark::NONE);
            let (append, mut stored) = samples::append(&mut self.random, number, builds_on);
            nodes.push(append);
            ops.append(&mut stored);
        }
        (nodes, ops)
    }

    //= RLY-3 test
    //= RLY-4 test
    //= RLY-5 test
    //= RLY-7 test
    //= RLY-32 test
    fn append(&mut self, writer: &mut impl Writer) -> Result<(), Broken> {
        let (nodes, ops) = self.group();
        self.model.unknown = Some((nodes.clone(), ops.clone()));
        match writer.append(&nodes) {
            Ok(first_seq) => {
                assert_eq!(first_seq, self.model.ops.len() as u64 + 1);
                self.model.unknown = None;
                self.model.take(&nodes, ops);
                self.seen.appends += 1;
                Ok(())
            }
            Err(WriteError::Failed(error)) => {
                // Certainly not: a restart may not bring it to light either.
                self.model.unknown = None;
                self.seen.failed += 1;
                if error.kind() == ErrorKind::Full { Ok(()) } else { Err(broken(error)) }
            }
            Err(WriteError::Lost(error)) => {
                assert!(
                    matches!(writer.append(&nodes), Err(WriteError::Lost(_))),
                    "it is of no use any more"
                );
                self.seen.lost += 1;
                Err(broken(error))
            }
        }
    }

    //= RLY-6 test
    //= RLY-12 test
    /// An append of which one node builds on what is not there, or belongs to somebody else.
    fn append_wrongly(&mut self, writer: &mut impl Writer) -> Result<(), Broken> {
        let (mut nodes, _) = self.group();
        let last = nodes.last_mut().unwrap();
        let known = self.model.marks.contains_key(&number(last));
        let builds_on = last.builds_on;
        let seq = |seq| LastNodeSeq::new(seq).unwrap();
        let expected = match self.random.below(4) {
            0 => {
                last.builds_on = Mark::new(seq(builds_on.node_seq().get() + 1), builds_on.check()).unwrap();
                ErrorKind::WrongMark
            }
            1 if known => {
                last.builds_on = Mark::new(builds_on.node_seq(), builds_on.check() ^ 1).unwrap();
                ErrorKind::WrongMark
            }
            2 if known => {
                last.owner.as_mut().unwrap().key.0[15] ^= 1;
                ErrorKind::NotYours
            }
            3 if known => {
                last.owner.as_mut().unwrap().principal = Principal::new("somebody else");
                ErrorKind::NotYours
            }
            _ => {
                last.mark = builds_on;
                ErrorKind::Invalid
            }
        };
        match writer.append(&nodes) {
            Err(WriteError::Failed(error)) if error.kind() == expected => Ok(()),
            Err(error) => Err(broken(error.into_error())),
            Ok(_) => panic!("an append that is {expected:?} was taken"),
        }
    }

    //= RLY-33 test
    fn read(&mut self, reader: &mut impl Reader) -> Result<(), Broken> {
        let head = self.model.ops.len() as u64;
        let after = self.random.below(head + 2);
        let max = if self.random.one_in(2) { 0 } else { self.random.below(20_000) };
        let max = usize::try_from(max).unwrap();
        let blocks = reader.read(after, max).map_err(broken)?;
        assert_eq!(blocks.is_empty(), after >= head);
        let size: usize = blocks.iter().skip(1).map(|block| block.bytes.len()).sum();
        assert!(size <= max, "only the first block may be larger than the budget");
        let mut next = blocks.first().map_or(0, |block| block.first_seq);
        assert!(next <= after + 1);
        for block in &blocks {
            assert_eq!(block.first_seq, next, "contiguous");
            next += self.compare(block.first_seq, &block.bytes);
        }
        assert!(blocks.is_empty() || next > after + 1);
        self.model.seen = self.model.seen.max(next.saturating_sub(1));
        Ok(())
    }

    /// Compares the operations of a block with those that were acknowledged.
    fn compare(&self, first_seq: u64, bytes: &[u8]) -> u64 {
        let mut scratch = Vec::new();
        let rows = BlockRef::decode(bytes).unwrap().rows(&mut scratch).unwrap();
        let mut count = 0;
        for (op, seq) in rows.iter().zip(first_seq..) {
            assert_eq!(op.raw(), self.model.ops[usize::try_from(seq).unwrap() - 1], "seq {seq}");
            count += 1;
        }
        count
    }

    //= RLY-12 test
    //= RLY-13 test
    fn nodes(&self, reader: &mut impl Reader) -> Result<(), Broken> {
        for number in 0..=NODES {
            let mark = self.model.marks.get(&number).copied().unwrap_or(Mark::NONE);
            let (node, key) = (samples::node(number), samples::key(number));
            let claim = reader.node(node, &key, &principal(number)).map_err(broken)?;
            assert_eq!(claim, Claim::Yours(mark), "node {number}");
            let stranger = if mark == Mark::NONE { Claim::Yours(mark) } else { Claim::NotYours };
            let claim = reader.node(node, &samples::key(99), &principal(number)).map_err(broken)?;
            assert_eq!(claim, stranger);
            let claim = reader.node(node, &key, &Principal::new("somebody else")).map_err(broken)?;
            assert_eq!(claim, stranger);
        }
        Ok(())
    }

    //= RLY-2 test
    /// Somebody opens the database while it is open: who wrote before can do so no more.
    fn supersede(&mut self, roles: &mut Roles<B::Store>) -> Result<(), Broken> {
        let new = self.try_open().map_err(broken)?;
        let mut old = core::mem::replace(roles, new);
        let (nodes, _) = self.group();
        assert!(matches!(old.writer.append(&nodes), Err(WriteError::Lost(_))));
        assert!(matches!(old.writer.mint(), Err(WriteError::Lost(_))));
        Ok(())
    }

    //= RLY-46 test
    //= RLY-57 test
    //= MRG-5 test
    /// Everything is as it was promised: the log, the nodes, and after feeding the state.
    fn check(&self, roles: &mut Roles<B::Store>) -> Result<(), Broken> {
        self.nodes(&mut roles.reader)?;
        let mut next = 1;
        loop {
            let blocks = roles.reader.read(next - 1, 50_000).map_err(broken)?;
            if blocks.is_empty() {
                break;
            }
            for block in blocks {
                assert_eq!(block.first_seq, next, "contiguous");
                next += self.compare(block.first_seq, &block.bytes);
            }
        }
        assert_eq!(next - 1, self.model.ops.len() as u64);
        while roles.background.feed(500).map_err(broken)?.ops > 0 {}
        let mut state = State::new();
        for (op, seq) in self.model.ops.iter().zip(1..) {
            state.apply(&OpRef::decode(op).unwrap(), Heard::at(seq), &mut ());
        }
        let mut live = BTreeMap::new();
        for number in 0..3 {
            let collection = samples::collection(number);
            for number in 0..13 {
                let record = samples::record(number);
                let expected = state.record(collection.as_str(), record);
                *live.entry(collection.as_str().to_owned()).or_insert(0) +=
                    u64::from(expected.is_some() && number < 12);
                let stored = roles.reader.record(collection.as_str(), record).map_err(broken)?;
                assert_eq!(stored, expected, "record {record} of {collection:?}");
            }
        }
        let counts = roles.reader.counts().map_err(broken)?;
        let nodes = self.model.marks.len() as u64;
        assert_eq!((counts.seq, counts.operations, counts.nodes), (next - 1, next - 1, nodes));
        let collections = live.values().filter(|live| **live > 0).count() as u64;
        assert_eq!((counts.live_records, counts.collections), (live.values().sum(), collections));
        Ok(())
    }
}

impl Model {
    fn take(&mut self, nodes: &[NodeAppend], mut ops: Vec<Vec<u8>>) {
        self.ops.append(&mut ops);
        self.marks.extend(nodes.iter().map(|append| (number(append), append.mark)));
    }
}

fn number(append: &NodeAppend) -> u64 {
    (0..NODES).find(|number| samples::node(*number) == append.node).unwrap()
}

fn principal(number: u64) -> Principal {
    samples::owner(number).principal
}

/// Only what the disk can do to a store is an excuse.
fn broken(error: Error) -> Broken {
    assert!(matches!(error.kind(), ErrorKind::Failed | ErrorKind::Full), "{error}");
    Broken
}
