//! A device: its disk, the application's process on it, and its connection.

use std::collections::BTreeSet;

use blazedb_relay::client::{
    Backoff, Change, CollectionSet, Command, Config, Credentials, Identity, Input, Offer, Output, Reconnect,
    Replica, Session, State,
};
use blazedb_relay::registry::ErrorCode;
use blazedb_relay::relay::{ConnId, Input as RelayInput};
use blazedb_relay::wire::{CollectionName, DatabaseName, NodeId, NodeKey, Timestamp};
use bytes::Bytes;
use uuid::Uuid;

use super::disk::Disk;
use super::link::{Link, Pipe};
use super::mutants::Fault;
use super::plan::{COLLECTIONS, Plan};
use super::random::Random;
use super::trace::describe;
use super::world::{Event, Stage, World};

/// A device.
#[derive(Debug)]
pub(super) struct Device {
    pub(super) disk: Disk,
    pub(super) backups: Vec<Disk>,
    pub(super) process: Option<Process>,
    /// How often the application was started.
    pub(super) processes: u64,
    pub(super) principal: usize,
    /// Until when its credentials are good.
    token_until: u64,
    /// It never comes back.
    pub(super) gone: bool,
    pub(super) offline_until: u64,
    /// What it reads; all collections without any.
    pub(super) reads: Vec<&'static str>,
    pub(super) lacks_crdt: bool,
    lacks_compression: bool,
    lacks_query: bool,
    pub(super) skew: u64,
    /// The process dies after so many further commits.
    pub(super) kill_after: Option<u64>,
    /// The disk before its last commit, if that is not durable.
    before: Option<Disk>,
    /// The next commit fails.
    pub(super) disk_full: bool,
    /// Its state was dropped since things have calmed down, by order of the relay.
    pub(super) discarded: bool,
    /// Its state was dropped since things have calmed down, as it may not bring it back.
    pub(super) dropped: bool,
    /// What was in doubt and was ever refused with `WRITE_FORBIDDEN`.
    pub(super) refused: BTreeSet<Timestamp>,
    /// Numbers for requests.
    tickets: u64,
}

/// An application that runs.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) replica: Replica,
    pub(super) session: Option<Session>,
    pub(super) conn: Option<ConnId>,
    /// The node that the last connection was made with.
    pub(super) greeted: Option<NodeId>,
    /// That connection was active.
    pub(super) settled: bool,
    /// What may not come back, as that connection was told.
    pub(super) forbidden: BTreeSet<Timestamp>,
    backoff: Backoff,
    armed: Option<u64>,
    /// Timers that fired at this very moment.
    fired: (u64, u64),
}

impl Device {
    pub(super) fn new(index: usize, plan: &Plan, random: &mut Random) -> Self {
        let mut disk = Disk::default();
        let (_, changes) = Replica::new(identity(random));
        // The first row of a node breaks no rule.
        drop(disk.commit(changes));
        let principal = if random.chance(500) { 0 } else { random.below(3) };
        let mut device = Self {
            disk,
            backups: Vec::new(),
            process: None,
            processes: 0,
            principal,
            token_until: 0,
            gone: false,
            offline_until: 0,
            reads: Vec::new(),
            lacks_crdt: random.chance(plan.lacking),
            lacks_compression: random.chance(plan.lacking),
            lacks_query: random.chance(plan.lacking),
            skew: random.within(0..=plan.skew_ms),
            kill_after: None,
            before: None,
            disk_full: false,
            discarded: false,
            dropped: false,
            refused: BTreeSet::new(),
            tickets: 0,
        };
        // At least one device reads everything.
        if index == 0 {
            device.principal = 0;
        }
        let partial = index > 0 && random.chance(plan.partial);
        device.reads = readable(device.principal, partial, random);
        device
    }

    pub(super) fn set(&self) -> CollectionSet {
        set_of(&self.reads)
    }

    pub(super) fn ticket(&mut self) -> u64 {
        self.tickets += 1;
        self.tickets
    }

    /// What a copy of it is.
    pub(super) fn copied(&self, disk: Disk) -> Self {
        Self {
            disk,
            backups: self.backups.clone(),
            process: None,
            reads: self.reads.clone(),
            ..Self::like(self)
        }
    }

    fn like(other: &Self) -> Self {
        Self {
            disk: Disk::default(),
            backups: Vec::new(),
            process: None,
            processes: 0,
            principal: other.principal,
            token_until: other.token_until,
            gone: false,
            offline_until: 0,
            reads: Vec::new(),
            lacks_crdt: other.lacks_crdt,
            lacks_compression: other.lacks_compression,
            lacks_query: other.lacks_query,
            skew: other.skew,
            kill_after: None,
            before: None,
            disk_full: false,
            discarded: false,
            dropped: false,
            refused: BTreeSet::new(),
            tickets: 0,
        }
    }

    pub(super) fn session(&self) -> Option<&Session> {
        self.process.as_ref().and_then(|process| process.session.as_ref())
    }

    pub(super) fn is_active(&self) -> bool {
        self.session().is_some_and(|session| session.state() == State::Active)
    }

    pub(super) fn credentials(&self) -> Credentials {
        let token = format!("{}:{}", self.principal, self.token_until);
        Credentials::bearer(token.as_bytes()).unwrap_or(Credentials::NONE)
    }
}

/// What a device of that principal reads.
pub(super) fn readable(principal: usize, partial: bool, random: &mut Random) -> Vec<&'static str> {
    // A principal that may not read everything has to say what it reads.
    let all = if principal == 2 { &COLLECTIONS[..2] } else { &COLLECTIONS[..] };
    match (partial, principal) {
        (false, 0 | 1) => Vec::new(),
        (false, _) => all.to_vec(),
        (true, _) => {
            let some: Vec<_> = all.iter().copied().filter(|_| random.chance(500)).collect();
            if some.is_empty() { all[..1].to_vec() } else { some }
        }
    }
}

pub(super) fn set_of(names: &[&str]) -> CollectionSet {
    let names: Vec<_> = names.iter().filter_map(|name| CollectionName::new(name).ok()).collect();
    CollectionSet::new(names).unwrap_or(CollectionSet::ALL)
}

pub(super) fn identity(random: &mut Random) -> Identity {
    let node = NodeId::new(random.uuid()).or_else(|_| NodeId::new(Uuid::from_u128(1)));
    match node {
        Ok(node) => Identity { node, key: NodeKey(random.uuid().into_bytes()) },
        Err(_) => unreachable!("1 is not nil"),
    }
}

impl World {
    /// The application starts, from what the disk holds.
    pub(super) fn start(&mut self, index: usize) {
        let device = &mut self.devices[index];
        if device.process.is_some() || device.gone {
            return;
        }
        device.processes += 1;
        let process = device.processes;
        let Ok(replica) = Replica::load(device.disk.rows()) else {
            return self.wrong(|| format!("device {index} can't load what its disk holds"));
        };
        device.process = Some(Process {
            replica,
            session: None,
            conn: None,
            greeted: None,
            settled: false,
            forbidden: BTreeSet::new(),
            backoff: Backoff::default(),
            armed: None,
            fired: (0, 0),
        });
        self.say(|| format!("device {index} starts"));
        self.after(0, Event::Connect { device: index, process });
        if self.is_chaos() {
            let wait = self.random.around(self.plan.act_ms);
            self.after(wait, Event::Act(index));
        }
    }

    /// The process dies: what was not committed is lost, and its connection breaks.
    pub(super) fn kill(&mut self, index: usize) {
        let Some(process) = self.devices[index].process.take() else { return };
        self.say(|| format!("device {index} dies"));
        self.check_memory(index, &process.replica);
        if let Some(before) = self.devices[index].before.take() {
            self.devices[index].disk = before;
        }
        if let Some(conn) = process.conn {
            self.break_at_client(conn);
        }
        let wait = if self.is_chaos() { self.random.around(self.plan.act_ms) } else { 0 };
        self.after(wait, Event::Start(index));
    }

    /// What is in memory is what is on disk, but for what could not be committed.
    fn check_memory(&mut self, index: usize, replica: &Replica) {
        let device = &self.devices[index];
        if device.disk_full || device.kill_after == Some(0) {
            return;
        }
        match Replica::load(device.disk.rows()) {
            Ok(loaded) if loaded == *replica => {}
            Ok(loaded) => {
                self.wrong(|| format!("device {index}: on disk is\n{loaded:?}\nin memory is\n{replica:?}"));
            }
            Err(_) => self.wrong(|| format!("device {index} can't load what its disk holds")),
        }
    }

    /// Connects if it can and is not connected.
    pub(super) fn connect(&mut self, index: usize, process: u64) {
        let now = self.now;
        let device = &mut self.devices[index];
        if device.processes != process || self.stage == Stage::Ending {
            return;
        }
        let Some(running) = device.process.as_mut().filter(|running| running.session.is_none()) else {
            return;
        };
        if device.offline_until > now {
            let at = device.offline_until;
            return self.at(at, Event::Connect { device: index, process });
        }
        let Ok(database) = DatabaseName::new("app") else { return };
        let mut config = Config::new(database, self.random.any());
        let offer = |lacks| if lacks { Offer::Not } else { Offer::Can };
        config.crdt = if self.random.chance(50) { Offer::Must } else { Offer::Can };
        if device.lacks_crdt {
            config.crdt = Offer::Not;
        }
        config.compression = offer(device.lacks_compression);
        config.query = offer(device.lacks_query);
        config.update_bytes = *self.random.pick(&[100, 4_000, config.update_bytes]);
        config.block_bytes = *self.random.pick(&[200, 2_000, 65_536]);
        if device.token_until == 0 {
            device.token_until = u64::MAX / 2;
            if let Some(ms) = self.plan.token_ms.filter(|_| self.stage == Stage::Chaos) {
                device.token_until = now + ms;
            }
        }
        let token = format!("{}:{}", device.principal, device.token_until);
        config.credentials = Credentials::bearer(token.as_bytes()).unwrap_or(Credentials::NONE);
        let spare = identity(&mut self.random);
        let mut session = Session::new(config, spare, running.backoff);
        let window = *self.random.pick(&[300, 3_000, 1 << 20]);
        let set = set_of(&device.reads);
        let subscribe = Command::Subscribe { collections: set, window };
        let time = self.time(self.devices[index].skew);
        let Some(running) = self.devices[index].process.as_mut() else { return };
        session.handle(&mut running.replica, time, Input::Command(subscribe));
        running.greeted = Some(running.replica.node().identity.node);
        running.settled = false;
        running.forbidden.clear();
        running.session = Some(session);
        running.armed = None;
        self.trace.count("connections", 1);
        let is_down = self.relay.as_ref().is_none_or(|relay| relay.stopping && self.random.chance(900));
        if is_down || self.first.is_some_and(|first| first != index) {
            self.feed_device(index, Input::Closed);
            return;
        }
        self.open_link(index);
        self.feed_device(index, Input::Opened);
    }

    fn open_link(&mut self, index: usize) {
        self.conns += 1;
        let conn = ConnId(self.conns);
        let framing = *self.random.pick(&self.plan.framings);
        let cutting = *self.random.pick(&self.plan.cuttings);
        let capacity = *self.random.pick(&[1_000, 1 << 20]);
        self.links.insert(
            conn,
            Link {
                device: index,
                framing,
                cutting,
                latency: self.random.within(0..=cutting.most_latency().min(self.plan.latency_ms)),
                up: Pipe::default(),
                down: Pipe::default(),
                waiting: Pipe::default(),
                flushing: false,
                capacity,
                at_client: true,
                at_relay: true,
                mark: None,
            },
        );
        if let Some(process) = &mut self.devices[index].process {
            process.conn = Some(conn);
        }
        self.say(|| format!("device {index} opens connection {}", conn.0));
        self.relay_opened(conn, RelayInput::Opened { conn, framing });
    }

    pub(super) fn device_timer(&mut self, index: usize, process: u64) {
        let device = &mut self.devices[index];
        if device.processes != process {
            return;
        }
        let skew = device.skew;
        let now = self.time(skew).monotonic_ms;
        let Some(running) = &mut self.devices[index].process else { return };
        running.armed = None;
        let Some(session) = &running.session else { return };
        match session.poll_timeout() {
            Some(at) if at <= now => {
                running.fired = (now, if running.fired.0 == now { running.fired.1 + 1 } else { 0 });
                if running.fired.1 > 100 {
                    let session = format!("{session:?}");
                    self.wrong(|| format!("the timer of device {index} does not move: {at}, {session}"));
                }
                self.feed_device(index, Input::Timeout);
            }
            Some(_) | None => self.arm_device(index),
        }
    }

    fn arm_device(&mut self, index: usize) {
        let device = &mut self.devices[index];
        let (process, skew) = (device.processes, device.skew % 1_000_003);
        let Some(running) = &mut device.process else { return };
        let Some(session) = &running.session else { return };
        let Some(at) = session.poll_timeout().map(|at| at.saturating_sub(skew)) else { return };
        if running.armed.is_none_or(|armed| at < armed) {
            running.armed = Some(at);
            self.at(at, Event::DeviceTimer { device: index, process });
        }
    }

    /// Gives the session of a device an input, and does what it wants.
    pub(super) fn feed_device(&mut self, index: usize, input: Input) {
        let time = self.time(self.devices[index].skew);
        let Some(Process { replica, session: Some(session), .. }) = &mut self.devices[index].process else {
            return;
        };
        session.handle(replica, time, input);
        let process = self.devices[index].processes;
        let mut ended = None;
        loop {
            let device = &mut self.devices[index];
            if device.processes != process {
                return;
            }
            let Some(session) = device.process.as_mut().and_then(|it| it.session.as_mut()) else { return };
            let Some(output) = session.poll_output() else { break };
            match output {
                Output::Commit(changes) => {
                    if !self.commit(index, changes) {
                        return;
                    }
                }
                Output::Send(frame) => self.device_sends(index, frame),
                Output::Close(code) => self.close_at_client(index, code),
                Output::Event(event) => self.told(index, event),
                Output::Reconnect(reconnect) => ended = Some(reconnect),
            }
        }
        match ended {
            Some(reconnect) => self.session_over(index, reconnect),
            None => self.arm_device(index),
        }
    }

    /// Makes changes durable. False if the process did not outlive it.
    pub(super) fn commit(&mut self, index: usize, changes: Vec<Change>) -> bool {
        let device = &mut self.devices[index];
        if core::mem::replace(&mut device.disk_full, false) && self.stage == Stage::Chaos {
            self.trace.count("failed commits", 1);
            self.say(|| format!("device {index}: disk full"));
            self.devices[index].disk_full = true;
            self.kill(index);
            self.devices[index].disk_full = false;
            return false;
        }
        for change in &changes {
            if let Change::Queued(queued) = change {
                self.trace.count("uncertain", u64::from(queued.uncertain));
                self.trace.count("in doubt, sent again", u64::from(queued.restored));
                self.trace.bytes(3, queued.op.bytes());
            }
        }
        self.may_drop(index, &changes);
        let device = &mut self.devices[index];
        if Fault::CommitNotDurable.is_on() {
            device.before = Some(device.disk.clone());
        }
        if let Err(wrong) = device.disk.commit(changes) {
            self.wrong(|| format!("device {index}: {wrong}"));
            return false;
        }
        if self.is_chaos()
            && self.devices[index].kill_after.is_none()
            && self.random.chance(self.plan.fragile)
        {
            self.devices[index].kill_after = Some(0);
        }
        let device = &mut self.devices[index];
        match device.kill_after {
            Some(0) => {
                self.trace.count("killed after a commit", 1);
                self.kill(index);
                self.devices[index].kill_after = None;
                false
            }
            Some(more) => {
                device.kill_after = Some(more - 1);
                true
            }
            None => true,
        }
    }

    fn device_sends(&mut self, index: usize, frame: Bytes) {
        self.trace.bytes(2, &frame);
        let Some(conn) = self.devices[index].process.as_ref().and_then(|it| it.conn) else { return };
        self.say(|| format!("device {index} > {}: {}", conn.0, describe(&frame)));
        if let Some(link) = self.links.get_mut(&conn) {
            if !link.at_client {
                return self.wrong(|| format!("device {index} sends on a connection that it closed"));
            }
            link.up.send(frame);
        }
        self.schedule_up(conn);
    }

    fn close_at_client(&mut self, index: usize, code: Option<ErrorCode>) {
        let Some(conn) = self.devices[index].process.as_ref().and_then(|it| it.conn) else { return };
        self.say(|| format!("device {index} closes {}: {code:?}", conn.0));
        self.end_at_client(conn);
    }

    fn session_over(&mut self, index: usize, reconnect: Reconnect) {
        self.say(|| format!("device {index}: {reconnect:?}"));
        let device = &mut self.devices[index];
        let process = device.processes;
        let Some(running) = &mut device.process else { return };
        if let Some(session) = running.session.take() {
            running.backoff = session.backoff();
        }
        if let Some(conn) = running.conn.take() {
            self.end_at_client(conn);
        }
        if self.stage == Stage::Ending {
            return;
        }
        let wait = match reconnect {
            Reconnect::After(ms) => ms,
            Reconnect::WhenNeeded(ms) => ms + self.random.around(self.plan.act_ms),
            Reconnect::OnOrder => {
                // Who has to show new credentials gets them.
                self.devices[index].token_until = 0;
                self.random.around(self.plan.act_ms)
            }
        };
        self.after(wait, Event::Connect { device: index, process });
    }

    /// The application's last order.
    pub(super) fn close(&mut self, index: usize) {
        self.feed_device(index, Input::Command(Command::Close));
    }
}
