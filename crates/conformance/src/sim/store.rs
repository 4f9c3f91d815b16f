//! What a relay keeps durably, in memory and as naive as can be. It checks every append as SPEC.md 11
//! wants it, so that a relay that goes wrong is found at once.

use core::num::NonZeroU64;
use std::collections::{BTreeMap, BTreeSet};

use blazedb_relay::block::{BlockBuilder, BlockRef, Compression};
use blazedb_relay::message::{Mark, RestoreMode};
use blazedb_relay::op::{Op, OpRef};
use blazedb_relay::relay::{Claim, Epoch, NodeAppend, Principal, StoredBlock};
use blazedb_relay::wire::{NodeId, NodeKey, Position, Timestamp};
use bytes::Bytes;

use super::random::Random;
use crate::merge::Model;

/// A stored block.
#[derive(Clone, Debug)]
pub struct Row {
    /// The seq of its first operation.
    pub first_seq: u64,
    /// The seq of its last one.
    pub last_seq: u64,
    /// Who delivered it.
    pub node: NodeId,
    /// The number of its first operation.
    pub first_node_seq: u64,
    /// As it came.
    pub bytes: Bytes,
}

/// What is known of a node.
#[derive(Clone, Debug)]
struct NodeRow {
    principal: Principal,
    key: NodeKey,
    mark: Mark,
}

/// A database: log, epochs, nodes. A clone is a backup.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// Oldest first.
    pub epochs: Vec<Epoch>,
    /// The log.
    pub rows: Vec<Row>,
    /// The operations of the log in row layout; that with seq n at n - 1.
    pub ops: Vec<Bytes>,
    nodes: BTreeMap<NodeId, NodeRow>,
    /// Where blocks ended before they were written anew.
    pub old_ends: BTreeSet<u64>,
}

impl Log {
    /// The seq of the last operation.
    #[must_use]
    pub fn head(&self) -> u64 {
        self.ops.len() as u64
    }

    /// Nodes with a mark above 0.
    #[must_use]
    pub fn nodes(&self) -> u64 {
        self.nodes.values().filter(|node| node.mark != Mark::NONE).count() as u64
    }

    /// The durable mark of a node.
    #[must_use]
    pub fn mark(&self, node: NodeId) -> Mark {
        self.nodes.get(&node).map_or(Mark::NONE, |node| node.mark)
    }

    /// Whether the log has that node as that principal's, with that key.
    #[must_use]
    pub fn claim(&self, node: NodeId, key: NodeKey, principal: &Principal) -> Claim {
        match self.nodes.get(&node) {
            Some(row) if row.key != key || row.principal != *principal => Claim::NotYours,
            Some(row) => Claim::Yours(row.mark),
            None => Claim::Yours(Mark::NONE),
        }
    }

    /// Mints an epoch that begins at the head.
    pub fn mint(&mut self, random: &mut Random, mode: RestoreMode) -> Epoch {
        let id = NonZeroU64::new(random.any() | 1 << 62).unwrap_or(NonZeroU64::MIN);
        let epoch = Epoch { id, begins: self.head(), mode };
        self.epochs.push(epoch);
        epoch
    }

    /// Appends, or says what is wrong with the append; then nothing has changed.
    ///
    /// # Errors
    /// The rule of SPEC.md that it breaks.
    pub fn append(&mut self, nodes: &[NodeAppend]) -> Result<u64, String> {
        let first_seq = self.head() + 1;
        let (rows, ops, before) = (self.rows.len(), self.ops.len(), self.nodes.clone());
        let mut once = BTreeSet::new();
        let result = nodes.iter().try_for_each(|part| {
            if !once.insert(part.node) {
                return Err(format!("{} stands twice in an append", part.node.uuid()));
            }
            self.append_node(part)
        });
        if result.is_err() {
            self.rows.truncate(rows);
            self.ops.truncate(ops);
            self.nodes = before;
        }
        result.map(|()| first_seq)
    }

    fn append_node(&mut self, part: &NodeAppend) -> Result<(), String> {
        let durable = self.mark(part.node);
        if durable != part.builds_on {
            return Err(format!("RLY-6: builds on {:?}, durable is {durable:?}", part.builds_on));
        }
        let mut next = part.builds_on.node_seq().get() + 1;
        let mut check = None;
        for block in &part.blocks {
            let decoded = BlockRef::decode(&block.bytes).map_err(|error| format!("a block: {error:?}"))?;
            let header = decoded.header();
            if (header.node, header.first_node_seq, header.count)
                != (part.node, block.first_node_seq, block.count)
                || header.span != header.count
            {
                return Err("a block is not what the append says".into());
            }
            if block.first_node_seq < next {
                return Err(format!("block begins at {}, {next} is next", block.first_node_seq));
            }
            next = header.last_node_seq() + 1;
            let first = self.head() + 1;
            let mut scratch = Vec::new();
            let rows = decoded.rows(&mut scratch).map_err(|error| format!("a block: {error:?}"))?;
            for op in rows.iter() {
                check = Some((op.head.node_seq, op.head.check));
                self.ops.push(Bytes::copy_from_slice(op.raw()));
            }
            self.rows.push(Row {
                first_seq: first,
                last_seq: self.head(),
                node: part.node,
                first_node_seq: block.first_node_seq,
                bytes: block.bytes.clone(),
            });
        }
        let (mark, durable) = (part.mark.node_seq().get(), durable.node_seq().get());
        if mark + 1 < next || mark <= durable {
            return Err(format!("RLY-32: mark {mark} after block up to {}, was {durable}", next - 1));
        }
        if check.is_some_and(|(number, check)| number == mark && check != part.mark.check()) {
            return Err("the check is not that of the mark's operation".into());
        }
        match (self.nodes.get_mut(&part.node), &part.owner) {
            (Some(row), _) => row.mark = part.mark,
            (None, Some(owner)) => {
                let (principal, key) = (owner.principal.clone(), owner.key);
                self.nodes.insert(part.node, NodeRow { principal, key, mark: part.mark });
            }
            (None, None) => return Err("RLY-12: the first block of a node says whose it is".into()),
        }
        Ok(())
    }

    /// Writes one run of adjacent blocks of a node as one block, of those that end at or before `behind`
    /// (SPEC.md 11.8). False if there is none.
    pub fn rewrite(&mut self, behind: u64) -> bool {
        let begins = |seq| self.epochs.iter().any(|epoch| epoch.begins == seq);
        let fits = |pair: &[Row]| match pair {
            [one, two] => {
                let count = one.last_seq + 1 - one.first_seq;
                two.last_seq <= behind
                    && one.node == two.node
                    && one.first_node_seq + count == two.first_node_seq
                    && !begins(one.last_seq)
            }
            _ => false,
        };
        let Some(at) = self.rows.windows(2).position(fits) else { return false };
        let (one, two) = (self.rows[at].clone(), self.rows[at + 1].clone());
        let mut builder = BlockBuilder::new(one.node, one.first_node_seq);
        for seq in one.first_seq..=two.last_seq {
            let pushed = self.op(seq).map(|op| builder.push_ref(&op));
            if !matches!(pushed, Some(Ok(()))) {
                return false;
            }
        }
        let Some(bytes) = builder.finish(Compression::Lz4) else { return false };
        let bytes = Bytes::copy_from_slice(bytes);
        self.old_ends.insert(one.last_seq);
        self.rows[at] = Row { last_seq: two.last_seq, bytes, ..one };
        self.rows.remove(at + 1);
        true
    }

    /// The blocks after a seq, the first whole one also if it begins before.
    #[must_use]
    pub fn read(&self, after: u64, max_bytes: usize) -> Vec<StoredBlock> {
        let from = self.rows.partition_point(|row| row.last_seq <= after);
        let mut bytes = 0;
        let fits = |row: &&Row| {
            let first = bytes == 0;
            bytes += row.bytes.len();
            first || bytes <= max_bytes
        };
        let rows = self.rows[from..].iter().take_while(fits);
        rows.map(|row| StoredBlock { first_seq: row.first_seq, bytes: row.bytes.clone() }).collect()
    }

    /// The stored block that holds an operation.
    #[must_use]
    pub fn row_of(&self, seq: u64) -> Option<&Row> {
        self.rows.get(self.rows.partition_point(|row| row.last_seq < seq))
    }

    /// The operation with that seq.
    #[must_use]
    pub fn op(&self, seq: u64) -> Option<OpRef<'_>> {
        let at = usize::try_from(seq.checked_sub(1)?).ok()?;
        OpRef::decode(self.ops.get(at)?).ok()
    }

    /// The operations after a seq, in order.
    pub fn ops_after(&self, seq: u64) -> impl Iterator<Item = OpRef<'_>> {
        let skipped = usize::try_from(seq).unwrap_or(usize::MAX);
        self.ops.iter().skip(skipped).filter_map(|op| OpRef::decode(op).ok())
    }

    /// The merged state.
    #[must_use]
    pub fn model(&self) -> Model {
        let mut model = Model::default();
        // What was decoded once can be built.
        self.ops_after(0).filter_map(|op| Op::try_from(op).ok()).for_each(|op| model.apply(&op));
        model
    }

    // SPEC.md 11.4, word by word.

    fn end(&self, index: usize) -> u64 {
        self.epochs.get(index + 1).map_or_else(|| self.head(), |next| next.begins)
    }

    fn index(&self, epoch: u64) -> Option<usize> {
        self.epochs.iter().position(|listed| listed.id.get() == epoch)
    }

    /// name(s).
    #[must_use]
    pub fn name(&self, seq: u64) -> Position {
        let epoch = self.epochs.iter().rfind(|epoch| seq > 0 && epoch.begins < seq);
        epoch.and_then(|epoch| Position::new(epoch.id.get(), seq).ok()).unwrap_or(Position::START)
    }

    /// in_history(E, s).
    #[must_use]
    pub fn contains(&self, position: Position) -> bool {
        position == Position::START
            || self.index(position.epoch()).is_some_and(|index| position.seq() <= self.end(index))
    }

    /// agreed(seen).
    #[must_use]
    pub fn agreed(&self, seen: &[Position]) -> (Position, RestoreMode) {
        let known = seen.iter().find_map(|seen| Some((self.index(seen.epoch())?, seen.seq())));
        let position = known.map_or(Position::START, |(index, seq)| self.name(seq.min(self.end(index))));
        let later = self.epochs.iter().enumerate().filter(|(index, _)| known.is_none_or(|(m, _)| *index > m));
        let discard = later.filter(|(_, epoch)| epoch.mode == RestoreMode::Discard).count() > 0;
        (position, if discard { RestoreMode::Discard } else { RestoreMode::Keep })
    }
}

/// What tells a write from every other one, whoever delivers it and however often.
#[must_use]
pub fn write_of(op: &OpRef<'_>) -> (Timestamp, Vec<u8>) {
    let raw = op.raw();
    // All but header, id and node before the fields, and the checksum behind them.
    let content = raw.get(58..raw.len().saturating_sub(4)).unwrap_or_default();
    (op.head.timestamp, content.to_vec())
}
