//! Looks at every frame that a relay takes and sends on one connection, and holds it against the log.
//!
//! It knows nothing of how a relay works: only what SPEC.md 10 and 11 say that may be seen.

use std::collections::{BTreeMap, VecDeque};

use blazedb_relay::block::BlockRef;
use blazedb_relay::codec::{Context, Packet};
use blazedb_relay::frame::{Phase, peek};
use blazedb_relay::message::{
    Collections, LogBlocks, Mark, Message, PullResponse, Push, PushAck, PushEntry, Scope, Update, Welcome,
};
use blazedb_relay::op::OpRef;
use blazedb_relay::registry::{Capabilities, ErrorCode, LimitId};
use blazedb_relay::wire::{NodeId, Position};

use super::store::{Log, Row};

/// What a relay does wrong, in words.
pub type Wrong = String;

#[derive(Debug)]
struct Pushed {
    first: u64,
    count: u64,
    ops: Vec<Vec<u8>>,
}

#[derive(Debug)]
struct Subscription {
    collections: Vec<String>,
    last: Position,
    from: Position,
    window: u64,
    /// The largest window of those that came with what the relay takes just now: it sends between them.
    largest_window: u64,
    /// Seqs of updates with blocks that have no ack, and their bytes.
    unacknowledged: VecDeque<(u64, u64)>,
    answered: bool,
    ended: bool,
}

#[derive(Debug)]
struct Pull {
    from: Position,
    collections: Vec<String>,
}

/// One connection, seen from the relay's side.
#[derive(Debug, Default)]
pub struct Witness {
    buffer: Vec<u8>,
    /// The client broke a rule, or said goodbye: what it sends is not looked at any more.
    deaf: bool,
    /// The relay has said goodbye, or closed with an error: it sends nothing more.
    finished: bool,
    node: Option<NodeId>,
    seen: Vec<Position>,
    update_bytes: u64,
    capabilities: Capabilities,
    /// The mark of welcome, once that was sent.
    mark: Option<u64>,
    welcomed: Option<Mark>,
    pushes: VecDeque<(u32, Vec<Pushed>)>,
    subscriptions: BTreeMap<u32, Subscription>,
    /// Subscriptions that wait for their first update, by request.
    subscribes: BTreeMap<u32, u32>,
    pulls: BTreeMap<u32, Pull>,
    /// Updates with blocks that were sent.
    pub updates: u64,
    /// Blocks of which a reader got a part.
    pub holes: u64,
    /// Own blocks that were passed over.
    pub passed_over: u64,
    /// Updates that moved a position and nothing else.
    pub moves: u64,
    /// Reserved values that welcome had.
    grease: u64,
}

impl Witness {
    /// The greatest position up to which every subscription has read; all of the log without one.
    #[must_use]
    pub fn behind(&self) -> u64 {
        let living = self.subscriptions.values().filter(|this| !this.ended);
        living.map(|this| this.last.seq()).min().unwrap_or(u64::MAX)
    }

    /// Whether every subscription has all that it covers up to the log's end, unless it is paused or may not
    /// be read.
    ///
    /// # Errors
    /// What is missing.
    pub fn has_all(&self, log: &Log, window: u64) -> Result<(), Wrong> {
        for (number, subscription) in &self.subscriptions {
            let open: u64 = subscription.unacknowledged.iter().map(|(_, bytes)| bytes).sum();
            if subscription.ended || open >= subscription.window.min(window) {
                continue;
            }
            let own = Some((self.node, self.mark.unwrap_or(u64::MAX)));
            let collections = &subscription.collections;
            let covers = |op: &OpRef<'_>| {
                collections.is_empty() || collections.iter().any(|name| name == op.head.collection)
            };
            skipped(subscription.last.seq(), log.head() + 1, &covers, own, log, &mut Count::default())
                .map_err(|wrong| format!("subscription {number}: {wrong}"))?;
        }
        Ok(())
    }

    /// How much grease there was since this was last asked.
    pub const fn take_grease(&mut self) -> u64 {
        core::mem::replace(&mut self.grease, 0)
    }

    /// Mark and check that welcome told.
    #[must_use]
    pub const fn welcomed(&self) -> Option<Mark> {
        self.welcomed
    }

    /// True between welcome and the end.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.mark.is_some() && !self.finished
    }

    const fn context(&self) -> Context {
        match self.mark {
            None => Context::HANDSHAKE,
            Some(_) => Context::session(self.capabilities),
        }
    }

    /// The relay got these bytes.
    pub fn received(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        while !self.deaf {
            let phase = if self.mark.is_none() { Phase::Handshake } else { Phase::Session };
            match peek(&self.buffer, phase) {
                Ok(Some(len)) if len <= self.buffer.len() => {
                    // A client sends nothing between handshake and welcome.
                    if self.node.is_some() && self.mark.is_none() {
                        return;
                    }
                    let frame: Vec<u8> = self.buffer.drain(..len).collect();
                    self.take(&frame);
                }
                Ok(_) => return,
                Err(_) => self.deaf = true,
            }
        }
    }

    /// The relay has taken all of what it got.
    pub fn taken(&mut self) {
        self.subscriptions.values_mut().for_each(|this| this.largest_window = this.window);
    }

    fn take(&mut self, frame: &[u8]) {
        let Ok(packet) = Packet::decode(frame, &self.context()) else {
            self.deaf = true;
            return;
        };
        let id = packet.request_id();
        match packet.message() {
            Message::Handshake(handshake) => {
                self.node = Some(handshake.node);
                self.seen = handshake.seen.iter().collect();
                let limit = handshake.limits.iter().find(|limit| limit.id == LimitId::UPDATE_BYTES);
                let default = LimitId::UPDATE_BYTES.default_value().unwrap_or(u64::MAX);
                self.update_bytes = limit.map_or(default, |limit| limit.value);
            }
            Message::Push(push) => match pushed(push) {
                Some(blocks) => self.pushes.push_back((id, blocks)),
                None => self.deaf = true,
            },
            Message::Subscribe(subscribe) => {
                let number = subscribe.subscription;
                self.subscribes.insert(id, number);
                let subscription = Subscription {
                    collections: names(subscribe.collections),
                    last: subscribe.from,
                    from: subscribe.from,
                    window: subscribe.window,
                    largest_window: subscribe.window,
                    unacknowledged: VecDeque::new(),
                    answered: false,
                    ended: false,
                };
                if self.subscriptions.insert(number, subscription).is_some() {
                    self.deaf = true;
                }
            }
            Message::Unsubscribe(unsubscribe) => {
                if let Some(subscription) = self.subscriptions.get_mut(&unsubscribe.subscription) {
                    subscription.ended = true;
                }
            }
            Message::UpdateAck(ack) => {
                if let Some(subscription) = self.subscriptions.get_mut(&ack.subscription) {
                    subscription.window = ack.window;
                    subscription.largest_window = subscription.largest_window.max(ack.window);
                    let acknowledged = ack.position.seq();
                    subscription.unacknowledged.retain(|(new, _)| *new > acknowledged);
                }
            }
            Message::PullRequest(pull) => {
                let pull = Pull { from: pull.from, collections: names(pull.collections) };
                self.pulls.insert(id, pull);
            }
            Message::Goodbye(_) => self.deaf = true,
            Message::Error(error) if error.scope == Scope::Connection => self.deaf = true,
            _ => {}
        }
    }

    /// The relay sends this frame, while its store has `log` and has told it of the operations up to
    /// `head`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn sent(&mut self, frame: &[u8], log: &Log, head: u64) -> Result<(), Wrong> {
        if self.finished {
            return Err("SES-94: a frame after goodbye or a closing error".into());
        }
        let capabilities = match self.mark {
            Some(_) => self.capabilities,
            None => Capabilities::ALL,
        };
        let context = match self.mark {
            Some(_) => self.context(),
            None => Context::HANDSHAKE,
        };
        let packet = Packet::decode(frame, &context).map_err(|error| format!("undecodable: {error:?}"))?;
        packet
            .validate_blocks(frame, capabilities, &mut Vec::new())
            .map_err(|error| format!("undecodable blocks: {error:?}"))?;
        let id = packet.request_id();
        match packet.message() {
            Message::Welcome(welcome) => self.welcome(welcome, log, head),
            Message::PushAck(ack) => self.push_ack(id, ack, log),
            Message::Update(update) => self.update(update, log, head),
            Message::PullResponse(response) => self.pull_response(id, response, log, head),
            Message::Goodbye(_) => {
                self.finished = true;
                Ok(())
            }
            Message::Error(error) => {
                if error.scope == Scope::Connection {
                    self.finished = true;
                } else {
                    self.request_failed(id, error.code, log)?;
                }
                Ok(())
            }
            Message::Handshake(_)
            | Message::Push(_)
            | Message::Subscribe(_)
            | Message::Unsubscribe(_)
            | Message::UpdateAck(_)
            | Message::PullRequest(_)
            | Message::Query(_)
            | Message::SyncStateRequest(_)
            | Message::Authenticate(_) => Err("SES-2: a message that only clients send".into()),
            _ => Ok(()),
        }
    }

    fn welcome(&mut self, welcome: &Welcome<'_>, log: &Log, head: u64) -> Result<(), Wrong> {
        let Some(node) = self.node.filter(|_| self.mark.is_none()) else {
            return Err("a welcome that nobody waits for".into());
        };
        same("RLY-15: mark and check", welcome.mark, log.mark(node))?;
        same("RLY-4: head", welcome.head, log.name(head))?;
        let agreed = log.agreed(&self.seen);
        same("RLY-18: agreed", (welcome.agreed, welcome.restore_mode), agreed)?;
        let current = log.epochs.last().map(|epoch| (epoch.id.get(), epoch.begins));
        same(
            "RLY-10: epoch",
            welcome.epochs.iter().next().map(|first| (first.epoch().get(), first.begins())),
            current,
        )?;
        self.capabilities = welcome.capabilities.iter().fold(Capabilities::NONE, Capabilities::with);
        self.mark = Some(welcome.mark.node_seq().get());
        self.welcomed = Some(welcome.mark);
        let unknown = welcome.limits.iter().filter(|limit| limit.id.default_value().is_none());
        self.grease = unknown.count() as u64;
        // What came early is looked at now.
        self.received(&[]);
        Ok(())
    }

    fn push_ack(&mut self, id: u32, ack: &PushAck<'_>, log: &Log) -> Result<(), Wrong> {
        let Some((expected, blocks)) = self.pushes.pop_front() else {
            return Err("a push ack that nobody waits for".into());
        };
        same("SES-68: order of acks", id, expected)?;
        same("MSG-28: entries", ack.entries.len(), blocks.len())?;
        let Some(node) = self.node else { return Ok(()) };
        for (entry, block) in ack.entries.iter().zip(&blocks) {
            match entry {
                PushEntry::Accepted(accepted) => {
                    let (first, last) = (accepted.first_seq(), accepted.last());
                    same("SES-47: count", last.seq() + 1 - first, block.count)?;
                    same("RLY-17: name of an accepted block", last, log.name(last.seq()))?;
                    for (seq, op) in (first..).zip(&block.ops) {
                        let stored = log.op(seq).map(|op| op.raw().to_vec());
                        if stored.as_ref() != Some(op) {
                            return Err(format!(
                                "RLY-4: acknowledged at {seq}, where the log has something else"
                            ));
                        }
                    }
                }
                PushEntry::Refused { .. } => {
                    let mark = log.mark(node).node_seq().get();
                    if mark < block.first + block.count - 1 {
                        return Err(format!("RLY-32: refused before the mark moved, which is {mark}"));
                    }
                }
                PushEntry::Later { .. } => {}
            }
        }
        Ok(())
    }

    fn update(&mut self, update: &Update<'_>, log: &Log, head: u64) -> Result<(), Wrong> {
        let acked_late = self.acked_late(update.new.seq(), log);
        let (own, capabilities) = ((self.node, self.mark.unwrap_or(u64::MAX)), self.update_bytes);
        let Some(subscription) = self.subscriptions.get_mut(&update.subscription) else {
            return Err("SES-85: an update for a subscription that was never made".into());
        };
        if subscription.ended || self.deaf {
            return Ok(());
        }
        if update.new.seq() > head {
            return Err(format!("RLY-4: an update up to {}, known is {head}", update.new.seq()));
        }
        let number = update.subscription;
        self.subscribes.retain(|_, waiting| *waiting != number);
        same("SES-77: previous", update.previous, subscription.last)?;
        if update.new != subscription.from || subscription.answered && update.new.seq() > 0 {
            let is_still = update.new == update.previous;
            if !is_still {
                same("RLY-17: name of new", update.new, log.name(update.new.seq()))?;
            }
        }
        if let Some(late) = acked_late {
            return Err(late);
        }
        let bytes = update.blocks.blocks().raw().len() as u64;
        if bytes > 0 {
            let open: u64 = subscription.unacknowledged.iter().map(|(_, bytes)| bytes).sum();
            let window = subscription.largest_window;
            if open >= window {
                return Err(format!("SES-81: {open} bytes are open, the window is {window}"));
            }
            if bytes > capabilities && update.blocks.blocks().len() > 1 {
                return Err(format!("SES-86: an update of {bytes} bytes"));
            }
            subscription.unacknowledged.push_back((update.new.seq(), bytes));
            self.updates += 1;
        } else if update.new != update.previous {
            self.moves += 1;
        }
        let page = (update.previous.seq(), update.new.seq());
        let count = delivered(page, update.blocks, &subscription.collections, Some(own), log)?;
        self.holes += count.holes;
        self.passed_over += count.passed_over;
        subscription.last = update.new;
        subscription.answered = true;
        Ok(())
    }

    /// RLY-43: an accepted block is acknowledged before an update moves beyond it.
    fn acked_late(&self, new: u64, log: &Log) -> Option<Wrong> {
        let node = self.node?;
        for block in self.pushes.iter().flat_map(|(_, blocks)| blocks) {
            let is_this = |row: &&Row| row.node == node && row.first_node_seq == block.first;
            if let Some(row) = log.rows.iter().rev().find(is_this)
                && row.first_seq <= new
                && self.mark.is_some_and(|mark| block.first > mark)
            {
                return Some(format!(
                    "RLY-43: an update up to {new} before the ack of block {}",
                    block.first
                ));
            }
        }
        None
    }

    fn pull_response(
        &mut self,
        id: u32,
        response: &PullResponse<'_>,
        log: &Log,
        head: u64,
    ) -> Result<(), Wrong> {
        let Some(pull) = self.pulls.remove(&id) else {
            return if self.deaf { Ok(()) } else { Err("a pull response that nobody waits for".into()) };
        };
        let (from, next) = (pull.from.seq(), response.next.seq());
        if next < from {
            return Err(format!("RLY-41: a pull from {from} ends at {next}"));
        }
        if next != from {
            same("RLY-17: name of next", response.next, log.name(next))?;
        }
        same("RLY-44: has more", response.has_more, next < head)?;
        if from < head && next == from && response.blocks.blocks().is_empty() {
            return Err("RLY-44: a pull that gives nothing and does not move".into());
        }
        self.holes += delivered((from, next), response.blocks, &pull.collections, None, log)?.holes;
        Ok(())
    }

    fn request_failed(&mut self, id: u32, code: ErrorCode, log: &Log) -> Result<(), Wrong> {
        let from = match (self.subscribes.remove(&id), self.pulls.remove(&id)) {
            (Some(number), _) => {
                let subscription = self.subscriptions.get_mut(&number);
                subscription.map(|subscription| {
                    subscription.ended = true;
                    subscription.from
                })
            }
            (None, pull) => pull.map(|pull| pull.from),
        };
        match from {
            Some(from) if code == ErrorCode::POSITION_UNKNOWN && log.contains(from) => {
                Err(format!("SES-71: {from:?} is in the history"))
            }
            _ => Ok(()),
        }
    }
}

#[derive(Default)]
struct Count {
    holes: u64,
    passed_over: u64,
}

/// Whether a reader gets what it is to get of the operations after `from` up to `to`.
fn delivered(
    (from, to): (u64, u64),
    blocks: LogBlocks<'_>,
    collections: &[String],
    own: Option<(Option<NodeId>, u64)>,
    log: &Log,
) -> Result<Count, Wrong> {
    let covers =
        |op: &OpRef<'_>| collections.is_empty() || collections.iter().any(|name| name == op.head.collection);
    if to > log.head() {
        return Err(format!("RLY-4: a position at {to}, the log ends at {}", log.head()));
    }
    let mut count = Count::default();
    let mut next = from;
    let mut scratch = Vec::new();
    for (first_seq, block) in blocks.iter() {
        let header = *block.header();
        let first = first_seq.get();
        count.holes += u64::from(header.holes);
        let last = first + u64::from(header.span) - 1;
        if last > to || first <= next && next != from {
            return Err(format!("SES-78: a block from {first} to {last} in a page from {from} to {to}"));
        }
        skipped(next, first, &covers, own, log, &mut count)?;
        let rows = block.rows(&mut scratch).map_err(|error| format!("a block: {error:?}"))?;
        let mut got = rows.iter().peekable();
        for seq in first..=last {
            let Some(stored) = log.op(seq) else { return Err(format!("{seq} is not in the log")) };
            if !covers(&stored) {
                continue;
            }
            match got.next_if(|op| op.raw() == stored.raw()) {
                Some(op) if first + (op.head.node_seq - header.first_node_seq) == seq => {}
                Some(_) => return Err(format!("RLY-36: the seq of operation {seq}")),
                None => return Err(format!("RLY-34: operation {seq} is not in its block")),
            }
        }
        if let Some(op) = got.next() {
            let (collection, number) = (op.head.collection, op.head.node_seq);
            return Err(format!("RLY-37: operation {number} of {collection} was not asked for"));
        }
        if let Some((node, mark)) = own
            && node == Some(header.node)
            && header.first_node_seq > mark
        {
            return Err(format!("RLY-42: an own block, from {first} on"));
        }
        next = last;
    }
    skipped(next, to + 1, &covers, own, log, &mut count)?;
    let is_end = log.row_of(to).is_none_or(|row| row.last_seq == to) || log.old_ends.contains(&to);
    if to > from && !is_end {
        return Err(format!("RLY-41: {to} is not the end of a block"));
    }
    Ok(count)
}

/// Whether what stands between `after` and `before` may be left out.
fn skipped(
    after: u64,
    before: u64,
    covers: &impl Fn(&OpRef<'_>) -> bool,
    own: Option<(Option<NodeId>, u64)>,
    log: &Log,
    count: &mut Count,
) -> Result<(), Wrong> {
    for seq in after + 1..before {
        let (Some(op), Some(row)) = (log.op(seq), log.row_of(seq)) else {
            return Err(format!("{seq} is not in the log"));
        };
        // A mark is the end of a block, so what lies behind it came behind it. Written anew, both may stand
        // in one block, which is delivered in its old form or in its new one (11.8).
        let is_own = own.is_some_and(|(node, mark)| node == Some(row.node) && op.head.node_seq > mark);
        count.passed_over += u64::from(is_own && row.first_seq == seq);
        if covers(&op) && !is_own {
            return Err(format!("RLY-34: operation {seq} of {} was skipped", op.head.collection));
        }
    }
    Ok(())
}

fn pushed(push: &Push<'_>) -> Option<Vec<Pushed>> {
    push.blocks.get().iter().map(pushed_block).collect()
}

fn pushed_block(block: BlockRef<'_>) -> Option<Pushed> {
    let header = block.header();
    let mut scratch = Vec::new();
    let rows = block.rows(&mut scratch).ok()?;
    rows.validate(Capabilities::ALL).ok()?;
    let ops = rows.iter().map(|op| op.raw().to_vec()).collect();
    Some(Pushed { first: header.first_node_seq, count: u64::from(header.count), ops })
}

fn names(collections: Collections<'_>) -> Vec<String> {
    collections.iter().map(|name| name.as_str().to_owned()).collect()
}

fn same<T: PartialEq + core::fmt::Debug>(what: &str, is: T, should: T) -> Result<(), Wrong> {
    if is == should { Ok(()) } else { Err(format!("{what}: {is:?} instead of {should:?}")) }
}
