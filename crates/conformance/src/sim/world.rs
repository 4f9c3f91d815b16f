//! One relay, its store, some devices and the links between them, under one clock.

use std::collections::{BTreeMap, BTreeSet};

use blazedb_relay::message::RestoreMode;
use blazedb_relay::relay::{ConnId, Relay};
use blazedb_relay::time::Time;
use blazedb_relay::wire::Timestamp;

use super::device::Device;
use super::link::Link;
use super::plan::Plan;
use super::random::Random;
use super::server::{Job, Serving};
use super::store::Log;
use super::trace::Trace;
use super::witness::Witness;

/// The Unix time at which simulations begin: in the year 2026.
const BEGINNING: u64 = 1_790_000_000_000;
/// More than any seed needs, bytes on their way left out: a simulation that goes round in circles is wrong.
const MOST_STEPS: u64 = 1_000_000;
/// More pieces than any seed cuts its bytes into.
const MOST_PIECES: u64 = 4_000_000;
/// How long after things have calmed down everything must be equal: several backoffs, the random wait of
/// what is in doubt, and ten minutes for who was told not to come back at once.
const PATIENCE: u64 = 40 * 60_000;

/// Something that is to happen.
#[derive(Debug)]
pub(super) enum Event {
    /// Bytes reach the relay.
    Up(ConnId),
    /// Bytes reach a client.
    Down(ConnId),
    /// A transport takes what the relay sent.
    Flush(ConnId),
    /// A client's timer.
    DeviceTimer { device: usize, process: u64 },
    /// A client connects.
    Connect { device: usize, process: u64 },
    /// A device starts the application.
    Start(usize),
    /// An application does something.
    Act(usize),
    /// The relay's timer.
    RelayTimer { process: u64 },
    /// The relay starts.
    RelayStart,
    /// The store does what it was asked to.
    Work { process: u64, job: u64 },
    /// The store's answer arrives.
    Answer { process: u64, job: u64 },
    /// The relay is backed up.
    Backup,
    /// Something goes wrong.
    Fault,
    /// From now on nothing goes wrong any more.
    Calm,
    /// Is everything equal?
    Look,
}

/// How far a simulation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Things go wrong.
    Chaos,
    /// Nothing goes wrong any more; everything becomes equal.
    Calm,
    /// Everything was equal; connections end.
    Ending,
    /// That was all.
    Over,
}

/// What the relay's machine keeps, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Machine {
    pub(super) log: Log,
    pub(super) backups: Vec<Log>,
    /// The head that the relay was told.
    pub(super) told: u64,
    /// The mode of the next epoch.
    pub(super) discard: bool,
    /// The next opening goes on with the epoch that is there.
    pub(super) no_epoch: bool,
    pub(super) fail_appends: u64,
    pub(super) unknown_append: bool,
    pub(super) fail_read: bool,
    /// Every write that was ever durable, in any history.
    pub(super) committed: BTreeMap<(Timestamp, Vec<u8>), bytes::Bytes>,
}

impl Machine {
    pub(super) const fn mode(&mut self) -> RestoreMode {
        if core::mem::replace(&mut self.discard, false) { RestoreMode::Discard } else { RestoreMode::Keep }
    }
}

/// Everything.
#[derive(Debug)]
pub struct World {
    pub(super) plan: Plan,
    pub(super) random: Random,
    pub(super) now: u64,
    queue: BTreeMap<(u64, u64), Event>,
    order: u64,
    steps: u64,
    /// Steps that moved bytes.
    pieces: u64,
    pub(super) trace: Trace,
    pub(super) wrong: Option<String>,
    pub(super) stage: Stage,
    pub(super) devices: Vec<Device>,
    pub(super) links: BTreeMap<ConnId, Link>,
    pub(super) witnesses: BTreeMap<ConnId, Witness>,
    pub(super) conns: u64,
    pub(super) relay: Option<Serving>,
    pub(super) relay_process: u64,
    pub(super) relay_skew: u64,
    /// The most that the relay's clock was ever ahead.
    pub(super) most_relay_skew: u64,
    pub(super) jobs: BTreeMap<u64, Job>,
    pub(super) job_ids: u64,
    pub(super) machine: Machine,
    /// Rejected writes that an application dismissed.
    pub(super) dismissed: BTreeSet<Timestamp>,
    /// Principals whose rights are reduced.
    pub(super) reduced: BTreeSet<usize>,
    /// After a snapshot: the device that has to connect first.
    pub(super) first: Option<usize>,
    /// A phone was copied or restored: two writes may have one timestamp.
    pub(super) copied: bool,
    pub(super) give_up_at: u64,
    pub(super) held: super::check::Held,
}

impl World {
    /// The beginning of a simulation.
    #[must_use]
    pub fn new(plan: Plan, mut random: Random, readable: bool) -> Self {
        let mut world = Self {
            now: 0,
            queue: BTreeMap::new(),
            order: 0,
            steps: 0,
            pieces: 0,
            trace: Trace::new(readable),
            wrong: None,
            stage: Stage::Chaos,
            devices: Vec::new(),
            links: BTreeMap::new(),
            witnesses: BTreeMap::new(),
            conns: 0,
            relay: None,
            relay_process: 0,
            relay_skew: random.within(0..=plan.skew_ms),
            most_relay_skew: 0,
            jobs: BTreeMap::new(),
            job_ids: 0,
            machine: Machine::default(),
            dismissed: BTreeSet::new(),
            reduced: BTreeSet::new(),
            first: None,
            copied: false,
            give_up_at: u64::MAX,
            held: super::check::Held::default(),
            plan,
            random,
        };
        world.at(0, Event::RelayStart);
        for index in 0..world.plan.devices {
            let mut device = Device::new(index, &world.plan, &mut world.random);
            if (1..=world.plan.twins).contains(&index) {
                device.disk = world.devices[0].disk.clone();
                device.principal = world.devices[0].principal;
                device.reads.clone_from(&world.devices[0].reads);
                world.copied = true;
            }
            world.devices.push(device);
            let start = world.random.around(world.plan.act_ms);
            world.at(start, Event::Start(index));
        }
        let chaos = world.plan.chaos_ms;
        world.at(chaos, Event::Calm);
        let (fault, backup) = (world.plan.fault_ms, world.plan.backup_ms);
        world.after(fault, Event::Fault);
        world.after(backup, Event::Backup);
        world
    }

    /// Runs it to its end, or until something is wrong.
    ///
    /// # Errors
    /// What is wrong.
    pub fn run(&mut self) -> Result<(), String> {
        while self.stage != Stage::Over {
            let Some(((at, _), event)) = self.queue.pop_first() else {
                return Err("nothing is to happen any more".into());
            };
            self.now = self.now.max(at);
            match event {
                Event::Up(_) | Event::Down(_) | Event::Flush(_) => self.pieces += 1,
                _ => self.steps += 1,
            }
            if self.steps > MOST_STEPS || self.pieces > MOST_PIECES {
                return Err(format!("{} steps, and {} that moved bytes", self.steps, self.pieces));
            }
            self.step(event);
            if let Some(wrong) = self.wrong.take() {
                return Err(wrong);
            }
        }
        Ok(())
    }

    fn step(&mut self, event: Event) {
        match event {
            Event::Up(conn) => self.move_up(conn),
            Event::Down(conn) => self.move_down(conn),
            Event::Flush(conn) => self.flush(conn),
            Event::DeviceTimer { device, process } => self.device_timer(device, process),
            Event::Connect { device, process } => self.connect(device, process),
            Event::Start(device) => self.start(device),
            Event::Act(device) => self.act(device),
            Event::RelayTimer { process } => self.relay_timer(process),
            Event::RelayStart => self.start_relay(),
            Event::Work { process, job } => self.work(process, job),
            Event::Answer { process, job } => self.answer(process, job),
            Event::Backup => self.backup(),
            Event::Fault => self.next_fault(),
            Event::Calm => self.calm_down(),
            Event::Look => self.look(),
        }
    }

    /// Something is to happen at that time.
    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.queue.insert((at.max(self.now), self.order), event);
    }

    /// Something is to happen in so many milliseconds.
    pub(super) fn after(&mut self, ms: u64, event: Event) {
        self.at(self.now.saturating_add(ms), event);
    }

    /// Something is not as it must be. The first such thing counts.
    pub(super) fn wrong(&mut self, what: impl FnOnce() -> String) {
        if self.wrong.is_none() {
            let what = what();
            self.say(|| format!("WRONG: {what}"));
            self.wrong = Some(what);
        }
    }

    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        self.trace.line(self.now, line);
    }

    /// The clocks of a machine with that skew.
    pub(super) const fn time(&self, skew: u64) -> Time {
        Time { monotonic_ms: self.now.saturating_add(skew % 1_000_003), unix_ms: BEGINNING + self.now + skew }
    }

    pub(super) fn relay_unix(&self) -> u64 {
        self.time(self.relay_skew).unix_ms
    }

    pub(super) fn is_chaos(&self) -> bool {
        self.stage == Stage::Chaos
    }

    fn backup(&mut self) {
        if self.is_chaos() {
            let backup = self.machine.log.clone();
            let head = backup.head();
            self.say(|| format!("relay backed up at {head}"));
            self.machine.backups.push(backup);
            let wait = self.random.around(self.plan.backup_ms);
            self.after(wait, Event::Backup);
        }
    }

    /// From now on nothing goes wrong any more, and everyone who is left connects.
    fn calm_down(&mut self) {
        if self.relay_skew < self.most_relay_skew {
            // In the end, time has come to where a clock was that was ahead.
            self.crash_relay();
            self.relay_skew = self.most_relay_skew;
        }
        self.say(|| "CALM".into());
        self.stage = Stage::Calm;
        self.give_up_at = self.now + PATIENCE;
        (self.machine.fail_appends, self.machine.unknown_append) = (0, false);
        self.machine.fail_read = false;
        self.restore_rights();
        for pipe in self.links.values_mut().flat_map(|link| [&mut link.up, &mut link.down]) {
            pipe.stalled_until = 0;
        }
        self.held = super::check::Held::of(self);
        for index in 0..self.devices.len() {
            self.calm_device(index);
        }
        self.after(1_000, Event::Look);
    }

    /// Ends everything once it is equal, and looks whether anything is left.
    fn look(&mut self) {
        match self.stage {
            Stage::Chaos | Stage::Over => {}
            Stage::Calm => match self.differs() {
                None => {
                    self.say(|| "EQUAL".into());
                    if let Some(wrong) = self.compare() {
                        return self.wrong(|| wrong);
                    }
                    self.stage = Stage::Ending;
                    self.give_up_at = self.now + PATIENCE;
                    (0..self.devices.len()).for_each(|index| self.close(index));
                    self.after(1_000, Event::Look);
                }
                Some(difference) if self.now >= self.give_up_at => {
                    self.wrong(|| format!("not equal: {difference}"));
                }
                Some(_) => self.after(1_000, Event::Look),
            },
            Stage::Ending => match self.left_over() {
                None => {
                    self.trace.count("simulated minutes", self.now / 60_000);
                    self.stage = Stage::Over;
                }
                Some(left) if self.now >= self.give_up_at => self.wrong(|| format!("left over: {left}")),
                Some(_) => self.after(1_000, Event::Look),
            },
        }
    }

    /// How many steps it took.
    #[must_use]
    pub const fn steps(&self) -> u64 {
        self.steps + self.pieces
    }

    /// Ends it.
    #[must_use]
    pub fn into_trace(self) -> Trace {
        self.trace
    }

    pub(super) fn relay(&self) -> Option<&Relay> {
        self.relay.as_ref().map(|serving| &serving.relay)
    }
}
