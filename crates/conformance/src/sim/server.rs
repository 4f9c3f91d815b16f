//! The relay's process and its store.

use std::sync::Arc;

use blazedb_relay::message::TableBuilder;
use blazedb_relay::registry::ErrorCode;
use blazedb_relay::relay::{
    ConnId, Credentials, DatabaseId, Input, NodeAppend, Output, Principal, Relay, Rights, StateCounts, Ticket,
};
use blazedb_relay::value::Value;
use blazedb_relay::wire::{NodeId, NodeKey};
use bytes::{Bytes, BytesMut};

use super::mutants::Fault as Mutation;
use super::plan::{reduced, rights};
use super::store::write_of;
use super::trace::describe;
use super::witness::Witness;
use super::world::{Event, World};

/// A relay that runs.
#[derive(Debug)]
pub(super) struct Serving {
    pub(super) relay: Relay,
    pub(super) process: u64,
    armed: Option<u64>,
    /// The database that it has open.
    database: Option<DatabaseId>,
    /// It goes down when its connections have ended.
    pub(super) stopping: bool,
    /// Timers that fired at this very moment.
    fired: (u64, u64),
}

/// Something that the relay asked for.
#[derive(Debug)]
pub(super) enum Job {
    Authorize {
        ticket: Ticket,
        credentials: Credentials,
    },
    Open {
        ticket: Ticket,
        database: DatabaseId,
    },
    Load {
        ticket: Ticket,
        node: NodeId,
        key: NodeKey,
        principal: Principal,
    },
    Append {
        ticket: Ticket,
        database: DatabaseId,
        nodes: Vec<NodeAppend>,
    },
    Mint {
        ticket: Ticket,
    },
    Read {
        ticket: Ticket,
        after: u64,
        max_bytes: usize,
    },
    Query {
        ticket: Ticket,
        after: u64,
        limit: u32,
    },
    Count {
        ticket: Ticket,
    },
    /// It is done; this is the answer. It may be about the database that is open.
    Done {
        of_database: bool,
        input: Input,
        head: u64,
    },
}

impl World {
    pub(super) fn start_relay(&mut self) {
        if self.relay.is_some() {
            return;
        }
        self.relay_process += 1;
        if self.is_chaos() {
            self.relay_skew = self.random.within(0..=self.plan.skew_ms);
            self.most_relay_skew = self.most_relay_skew.max(self.relay_skew);
        }
        self.say(|| "relay starts".into());
        self.relay = Some(Serving {
            relay: Relay::new(self.plan.relay.clone()),
            process: self.relay_process,
            armed: None,
            database: None,
            stopping: false,
            fired: (0, 0),
        });
    }

    /// The process dies. What the store had under way is stored or not.
    pub(super) fn crash_relay(&mut self) {
        if self.relay.take().is_none() {
            return;
        }
        self.say(|| "relay crashes".into());
        for (_, job) in core::mem::take(&mut self.jobs) {
            if let Job::Append { nodes, .. } = job
                && self.random.chance(500)
            {
                self.commit_append(&nodes);
            }
        }
        self.witnesses.clear();
        let conns: Vec<_> = self.links.keys().copied().collect();
        for conn in conns {
            let Some(link) = self.links.get_mut(&conn) else { continue };
            link.at_relay = false;
            link.up.clear();
            link.waiting.clear();
            link.down.break_off(link.framing, &mut self.random);
            self.schedule_down(conn);
            self.tidy_link(conn);
        }
        let down = self.random.around(self.plan.act_ms);
        self.after(down, Event::RelayStart);
    }

    /// The process goes down in order.
    pub(super) fn stop_relay(&mut self) {
        if let Some(serving) = &mut self.relay
            && !serving.stopping
        {
            serving.stopping = true;
            self.say(|| "relay goes down in order".into());
            self.feed_relay(Input::Shutdown);
        }
    }

    /// Gives the relay an input, and does what it wants.
    pub(super) fn feed_relay(&mut self, input: Input) {
        let now = self.time(self.relay_skew);
        let Some(serving) = &mut self.relay else { return };
        serving.relay.handle(now, input);
        while let Some(output) = self.relay.as_mut().and_then(|serving| serving.relay.poll_output()) {
            self.perform(output);
        }
        self.arm_relay();
        if self.relay.as_ref().is_some_and(|it| it.stopping && it.relay.connections() == 0) {
            self.crash_relay();
        }
    }

    fn arm_relay(&mut self) {
        let skew = self.relay_skew % 1_000_003;
        let Some(serving) = &mut self.relay else { return };
        let Some(at) = serving.relay.poll_timeout().map(|at| at.saturating_sub(skew)) else { return };
        if serving.armed.is_none_or(|armed| at < armed) {
            serving.armed = Some(at);
            let process = serving.process;
            self.at(at, Event::RelayTimer { process });
        }
    }

    pub(super) fn relay_timer(&mut self, process: u64) {
        let now = self.time(self.relay_skew).monotonic_ms;
        let Some(serving) = self.relay.as_mut().filter(|it| it.process == process) else { return };
        serving.armed = None;
        match serving.relay.poll_timeout() {
            Some(at) if at <= now => {
                serving.fired = (now, if serving.fired.0 == now { serving.fired.1 + 1 } else { 0 });
                if serving.fired.1 > 100 {
                    let relay = format!("{:?}", serving.relay);
                    self.wrong(|| format!("the relay's timer does not move: {at}, {relay}"));
                }
                self.feed_relay(Input::Timeout);
            }
            Some(_) | None => self.arm_relay(),
        }
    }

    fn perform(&mut self, output: Output) {
        match output {
            Output::Send { conn, head, blocks } => self.relay_sends(conn, &head, &blocks),
            Output::Close { conn, ending } => {
                self.say(|| format!("relay closes {}: {ending:?}", conn.0));
                self.witnesses.remove(&conn);
                let Some(link) = self.links.get_mut(&conn).filter(|link| link.at_relay) else {
                    return self.wrong(|| format!("{conn:?} was closed, but is not open"));
                };
                link.at_relay = false;
                link.waiting.closing = true;
                link.up.clear();
                self.flush_soon(conn);
            }
            Output::PauseReading { conn } => {
                self.trace.count("reading paused", 1);
                if let Some(link) = self.links.get_mut(&conn) {
                    link.up.paused = true;
                }
            }
            Output::ResumeReading { conn } => {
                if let Some(link) = self.links.get_mut(&conn) {
                    link.up.paused = false;
                }
                self.schedule_up(conn);
            }
            Output::Authorize { ticket, credentials, .. } => self.job(Job::Authorize { ticket, credentials }),
            Output::OpenDatabase { ticket, database, .. } => self.job(Job::Open { ticket, database }),
            Output::CloseDatabase { database } => self.close_database(database),
            Output::LoadNode { ticket, node, key, principal, .. } => {
                self.job(Job::Load { ticket, node, key, principal });
            }
            Output::Append { ticket, database, nodes } => {
                let under_way = |job: &Job| matches!(job, Job::Append { .. } | Job::Mint { .. });
                if self.jobs.values().any(under_way) {
                    self.wrong(|| "two appends at a time".into());
                }
                self.job(Job::Append { ticket, database, nodes });
            }
            Output::MintEpoch { ticket, .. } => self.job(Job::Mint { ticket }),
            Output::Read { ticket, after, max_bytes, .. } => {
                self.trace.count("reads", 1);
                self.job(Job::Read { ticket, after, max_bytes });
            }
            Output::RunQuery { ticket, after, limit, .. } => self.job(Job::Query { ticket, after, limit }),
            Output::CountState { ticket, .. } => self.job(Job::Count { ticket }),
        }
    }

    fn relay_sends(&mut self, conn: ConnId, head: &Bytes, blocks: &[Bytes]) {
        let mut frame = BytesMut::from(head.as_ref());
        blocks.iter().for_each(|block| frame.extend_from_slice(block));
        let frame = frame.freeze();
        self.trace.bytes(conn.0, &frame);
        self.say(|| format!("relay > {}: {}", conn.0, describe(&frame)));
        let Some(link) = self.links.get_mut(&conn).filter(|link| link.at_relay) else {
            return self.wrong(|| format!("something was sent to {conn:?}, which is not open"));
        };
        link.waiting.send(frame.clone());
        if let Some(witness) = self.witnesses.get_mut(&conn) {
            let before = (witness.updates, witness.holes, witness.passed_over, witness.moves);
            let was_active = witness.is_active();
            if let Err(wrong) = witness.sent(&frame, &self.machine.log, self.machine.told) {
                return self.wrong(|| format!("relay, connection {}: {wrong}", conn.0));
            }
            self.trace.count("updates with blocks", witness.updates - before.0);
            self.trace.count("blocks with holes", witness.holes - before.1);
            self.trace.count("own blocks passed over", witness.passed_over - before.2);
            self.trace.count("updates that only move", witness.moves - before.3);
            self.trace.count("grease", witness.take_grease());
            if !was_active && witness.is_active() {
                self.trace.count("welcomes", 1);
                if let Some(link) = self.links.get_mut(&conn) {
                    link.mark = witness.welcomed();
                }
                if self.first.is_some() && self.links.get(&conn).map(|link| link.device) == self.first {
                    self.first = None;
                }
            }
        }
        self.flush_soon(conn);
    }

    fn close_database(&mut self, database: DatabaseId) {
        self.say(|| "relay closes its database".into());
        self.trace.count("idle databases closed", 1);
        if let Some(serving) = &mut self.relay
            && serving.database == Some(database)
        {
            serving.database = None;
        }
    }

    // Jobs of the store.

    fn job(&mut self, job: Job) {
        self.job_ids += 1;
        let (id, process) = (self.job_ids, self.relay_process);
        self.jobs.insert(id, job);
        let wait = self.random.within(0..=self.plan.store_ms);
        self.after(wait, Event::Work { process, job: id });
    }

    /// The store does it.
    pub(super) fn work(&mut self, process: u64, id: u64) {
        if process != self.relay_process || self.relay.is_none() {
            return;
        }
        let Some(job) = self.jobs.remove(&id) else { return };
        let of_database = !matches!(job, Job::Authorize { .. });
        let answer = match job {
            Job::Authorize { ticket, credentials } => self.authorize(ticket, &credentials),
            Job::Open { ticket, database } => self.open_database(ticket, database),
            Job::Load { ticket, node, key, principal } => {
                Input::NodeLoaded { ticket, claim: self.machine.log.claim(node, key, &principal) }
            }
            Job::Append { ticket, database, nodes } => match self.append(ticket, database, &nodes) {
                Some(answer) => answer,
                None => return,
            },
            Job::Mint { ticket } => {
                self.trace.count("epochs minted for a snapshot", 1);
                let mode = self.machine.mode();
                Input::EpochMinted { ticket, epoch: self.machine.log.mint(&mut self.random, mode) }
            }
            Job::Read { ticket, after, max_bytes } => {
                if core::mem::replace(&mut self.machine.fail_read, false) {
                    self.trace.count("failed reads", 1);
                    Input::Failed { ticket, code: ErrorCode::STORE_UNAVAILABLE }
                } else {
                    Input::BlocksRead { ticket, blocks: self.machine.log.read(after, max_bytes) }
                }
            }
            Job::Query { ticket, after, limit } => self.query(ticket, after, limit),
            Job::Count { ticket } => self.count_state(ticket),
            Job::Done { input, .. } => input,
        };
        let head = self.machine.log.head();
        self.jobs.insert(id, Job::Done { of_database, input: answer, head });
        let wait = self.random.within(0..=self.plan.store_ms / 4);
        self.after(wait, Event::Answer { process, job: id });
    }

    /// The answer arrives.
    pub(super) fn answer(&mut self, process: u64, id: u64) {
        if process != self.relay_process {
            return;
        }
        if let Some(Job::Done { mut input, head, .. }) = self.jobs.remove(&id) {
            // Who changes rights does not forget those who are on their way in.
            if let Input::Authorized { principal, rights, .. } = &mut input {
                *rights = self.rights_of(principal.as_str().parse().unwrap_or(0));
            }
            // Of what is durable the relay knows what it was told.
            if matches!(input, Input::Appended { .. } | Input::DatabaseOpened { .. }) {
                self.machine.told = head;
            }
            self.feed_relay(input);
        }
    }

    fn authorize(&mut self, ticket: Ticket, credentials: &Credentials) -> Input {
        let text = core::str::from_utf8(&credentials.token).unwrap_or_default();
        let parts = text.split_once(':').and_then(|(principal, until)| {
            Some((principal.parse::<usize>().ok()?, until.parse::<u64>().ok()?))
        });
        let Some((principal, until)) = parts else {
            return Input::Failed { ticket, code: ErrorCode::UNAUTHENTICATED };
        };
        // Credentials end by the clock of who made them out.
        let until = until.saturating_add(self.relay_unix()).saturating_sub(self.now);
        if until <= self.relay_unix() {
            self.trace.count("outdated credentials", 1);
            return Input::Failed { ticket, code: ErrorCode::TOKEN_EXPIRED };
        }
        Input::Authorized {
            ticket,
            principal: Principal::new(&principal.to_string()),
            rights: self.rights_of(principal),
            valid_until_ms: (until < u64::MAX / 2).then_some(until),
        }
    }

    pub(super) fn rights_of(&self, principal: usize) -> Arc<Rights> {
        Arc::new(if self.reduced.contains(&principal) { reduced(principal) } else { rights(principal) })
    }

    fn open_database(&mut self, ticket: Ticket, database: DatabaseId) -> Input {
        let machine = &mut self.machine;
        let goes_on = core::mem::replace(&mut machine.no_epoch, false) || Mutation::EpochNotMinted.is_on();
        if !goes_on || machine.log.epochs.is_empty() {
            let mode = machine.mode();
            machine.log.mint(&mut self.random, mode);
            // A log that was opened anew needs nobody to find out that it went back.
            self.first = None;
        }
        let (head, epochs) = (self.machine.log.head(), self.machine.log.epochs.clone());
        self.say(|| format!("store opens the log at {head}, epochs {epochs:?}"));
        if let Some(serving) = &mut self.relay {
            serving.database = Some(database);
        }
        Input::DatabaseOpened { ticket, head, epochs }
    }

    /// What becomes of an append; `None` if there is no answer to come.
    fn append(&mut self, ticket: Ticket, database: DatabaseId, nodes: &[NodeAppend]) -> Option<Input> {
        if self.machine.fail_appends > 0 {
            self.machine.fail_appends -= 1;
            self.trace.count("failed appends", 1);
            self.say(|| "store: the append fails".into());
            return Some(Input::Failed { ticket, code: ErrorCode::STORE_UNAVAILABLE });
        }
        if core::mem::replace(&mut self.machine.unknown_append, false) {
            self.trace.count("appends of unknown outcome", 1);
            if self.random.chance(500) {
                self.commit_append(nodes);
            }
            self.say(|| "store: the append has an unknown outcome".into());
            // Whatever else this database has under way needs no answer.
            self.jobs
                .retain(|_, job| matches!(job, Job::Authorize { .. } | Job::Done { of_database: false, .. }));
            self.feed_relay(Input::LogLost { database });
            return None;
        }
        if Mutation::AckBeforeDurable.is_on() {
            self.promise_append(ticket, nodes);
            return None;
        }
        let first_seq = self.commit_append(nodes);
        Some(Input::Appended { ticket, first_seq })
    }

    /// Answers, and only then does it.
    fn promise_append(&mut self, ticket: Ticket, nodes: &[NodeAppend]) {
        let first_seq = self.machine.log.head() + 1;
        self.feed_relay(Input::Appended { ticket, first_seq });
        self.commit_append(nodes);
    }

    fn commit_append(&mut self, nodes: &[NodeAppend]) -> u64 {
        match self.machine.log.append(nodes) {
            Ok(first_seq) => {
                let machine = &mut self.machine;
                let new = machine.log.ops_after(first_seq - 1);
                machine.committed.extend(new.map(|op| (write_of(&op), Bytes::copy_from_slice(op.raw()))));
                self.trace.count("appends", 1);
                self.trace.count("blocks", nodes.iter().map(|part| part.blocks.len() as u64).sum());
                self.trace.count("appends of several nodes", u64::from(nodes.len() > 1));
                self.trace.count("operations", self.machine.log.head() + 1 - first_seq);
                let head = self.machine.log.head();
                self.say(|| format!("store: durable from {first_seq} to {head}"));
                first_seq
            }
            Err(wrong) => {
                self.wrong(|| format!("an append: {wrong}"));
                self.machine.log.head() + 1
            }
        }
    }

    fn query(&mut self, ticket: Ticket, after: u64, limit: u32) -> Input {
        self.trace.count("queries run", 1);
        let head = self.machine.log.head();
        let table = TableBuilder::new(1).and_then(|mut table| {
            let rows = head.min(u64::from(limit)).min(3);
            (0..rows).try_for_each(|_| table.push_owned(&[Value::from(7)]))?;
            Ok(table)
        });
        match table {
            Ok(table) if after <= head => {
                Input::Rows { ticket, at: head, tables: vec![table], cursor: Bytes::new() }
            }
            Ok(_) | Err(_) => Input::Failed { ticket, code: ErrorCode::STATE_NOT_REACHED },
        }
    }

    fn count_state(&self, ticket: Ticket) -> Input {
        let log = &self.machine.log;
        let contents = log.model().contents();
        let counts = StateCounts {
            seq: log.head(),
            operations: log.head(),
            nodes: log.nodes(),
            live_records: contents.values().map(|records| records.len() as u64).sum(),
            collections: contents.len() as u64,
        };
        Input::StateCounted { ticket, counts }
    }

    /// A new connection, as the relay sees it.
    pub(super) fn relay_opened(&mut self, conn: ConnId, input: Input) {
        self.witnesses.insert(conn, Witness::default());
        self.feed_relay(input);
    }
}
