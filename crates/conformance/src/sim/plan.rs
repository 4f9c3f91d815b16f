//! What a seed chooses: how many devices, which faults and how often, how large the limits are.

use blazedb_relay::message::Heartbeat;
use blazedb_relay::relay::{Access, Config, Framing, Rights};
use blazedb_relay::wire::CollectionName;

use super::link::Cutting;
use super::random::Random;

/// Everything that can go wrong. Each seed switches some of it on, and gives each its own weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A connection breaks at any byte.
    Cut,
    /// A connection looks well, but nothing gets through any more, in one direction or both.
    HalfOpen,
    /// A client stops reading for a while.
    SlowReader,
    /// A client's process dies, at once or between its next commit and what it would send then.
    KillClient,
    /// A client's disk is full: its next commit fails.
    DiskFull,
    /// A client is offline for a while.
    Offline,
    /// A client never comes back.
    Gone,
    /// A phone is restored from an older backup.
    RestorePhone,
    /// A phone is copied, as it is or from a backup: two devices with one node.
    ClonePhone,
    /// The relay's process dies. What its store had under way is stored or not.
    CrashRelay,
    /// The relay goes down in order.
    StopRelay,
    /// The next appends fail.
    FailAppends,
    /// What becomes of the next append is not known.
    UnknownAppend,
    /// The next read fails.
    FailRead,
    /// The relay is restored from a backup; what it lost may come back.
    RestoreKeep,
    /// The relay is restored from a backup; what it lost is to stay lost.
    RestoreDiscard,
    /// The relay's file is replaced by a backup, and nobody says so.
    CopiedBack,
    /// The relay's machine goes on from a snapshot, memory included.
    Snapshot,
    /// The relay loses everything.
    Wiped,
    /// The rights of a principal change for a while.
    Rights,
    /// Cold blocks are written anew.
    Rewrite,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 21] = [
        Self::Cut,
        Self::HalfOpen,
        Self::SlowReader,
        Self::KillClient,
        Self::DiskFull,
        Self::Offline,
        Self::Gone,
        Self::RestorePhone,
        Self::ClonePhone,
        Self::CrashRelay,
        Self::StopRelay,
        Self::FailAppends,
        Self::UnknownAppend,
        Self::FailRead,
        Self::RestoreKeep,
        Self::RestoreDiscard,
        Self::CopiedBack,
        Self::Snapshot,
        Self::Wiped,
        Self::Rights,
        Self::Rewrite,
    ];

    /// How much more often than others it comes.
    const fn likelihood(self) -> u64 {
        match self {
            Self::Cut | Self::KillClient | Self::Offline => 6,
            Self::HalfOpen | Self::CrashRelay | Self::FailAppends | Self::Rewrite => 4,
            Self::SlowReader | Self::DiskFull | Self::RestorePhone | Self::ClonePhone => 3,
            Self::UnknownAppend | Self::FailRead | Self::RestoreKeep | Self::CopiedBack | Self::Rights => 3,
            Self::StopRelay | Self::RestoreDiscard | Self::Snapshot | Self::Wiped => 2,
            Self::Gone => 1,
        }
    }
}

/// What an application does. Each seed gives each its own weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Act {
    /// Inserts a record.
    Insert,
    /// Sets fields, null among them.
    Update,
    /// Sets, removes or counts below a field.
    Patch,
    /// Counts.
    Increment,
    /// Deletes a record.
    Delete,
    /// Writes an encrypted value.
    Sealed,
    /// Writes a large value.
    Large,
    /// Several writes as one.
    Transaction,
    /// Writes where it may not.
    Forbidden,
    /// Writes under a timestamp far in the future.
    FarAhead,
    /// Pulls a page.
    Pull,
    /// Asks for rows.
    Query,
    /// Asks how much the relay holds.
    SyncState,
    /// Shows new credentials.
    Authenticate,
    /// Changes the window of a subscription, or pauses it.
    Window,
    /// Reads another set of collections.
    Resubscribe,
    /// Takes an operation back.
    Abandon,
    /// Dismisses a rejected operation.
    Dismiss,
    /// Ends the connection in order.
    Close,
}

impl Act {
    /// All of them.
    pub const ALL: [Self; 19] = [
        Self::Insert,
        Self::Update,
        Self::Patch,
        Self::Increment,
        Self::Delete,
        Self::Sealed,
        Self::Large,
        Self::Transaction,
        Self::Forbidden,
        Self::FarAhead,
        Self::Pull,
        Self::Query,
        Self::SyncState,
        Self::Authenticate,
        Self::Window,
        Self::Resubscribe,
        Self::Abandon,
        Self::Dismiss,
        Self::Close,
    ];

    const fn likelihood(self) -> u64 {
        match self {
            Self::Insert | Self::Update | Self::Patch | Self::Increment => 12,
            Self::Delete | Self::Transaction | Self::Sealed => 5,
            Self::Pull | Self::Query | Self::SyncState | Self::Authenticate | Self::Window => 3,
            Self::Large | Self::Forbidden | Self::Resubscribe | Self::Close => 2,
            Self::FarAhead | Self::Abandon | Self::Dismiss => 1,
        }
    }
}

/// The collections of a simulation.
pub const COLLECTIONS: [&str; 3] = ["bugs", "notes", "teams"];

/// What a seed chooses.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Devices in the beginning.
    pub devices: usize,
    /// How long things go wrong.
    pub chaos_ms: u64,
    /// Mean time between faults.
    pub fault_ms: u64,
    /// Mean time between what an application does.
    pub act_ms: u64,
    /// Mean time between backups of the relay.
    pub backup_ms: u64,
    /// In 1,000, how many commits of a client are its process's last.
    pub fragile: u64,
    /// Devices that begin as copies of the first one.
    pub twins: usize,
    /// Milliseconds that the store takes at most.
    pub store_ms: u64,
    /// Milliseconds on the way at most.
    pub latency_ms: u64,
    /// Weights of [`Fault::ALL`].
    pub faults: Vec<u64>,
    /// Weights of [`Act::ALL`].
    pub acts: Vec<u64>,
    /// How bytes are cut.
    pub cuttings: Vec<Cutting>,
    /// What carries connections.
    pub framings: Vec<Framing>,
    /// Milliseconds for which credentials are good; none for ever.
    pub token_ms: Option<u64>,
    /// Records of each collection that are written to.
    pub records: usize,
    /// In 1,000, how many large values are as large as makes a reader's transport full.
    pub huge: u64,
    /// Sixteens of bytes of the other large values at most.
    pub large: usize,
    /// In 1,000, how many devices lack a capability.
    pub lacking: u64,
    /// In 1,000, how many devices read some collections only.
    pub partial: u64,
    /// Largest difference of a clock from the right time.
    pub skew_ms: u64,
    /// The relay's choices.
    pub relay: Config,
}

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn of(random: &mut Random) -> Self {
        let density = *random.pick(&[150, 300, 500, 800]);
        let faults = Fault::ALL.map(|fault| switched(fault.likelihood(), density, random)).to_vec();
        let acts = Act::ALL.map(|act| switched(act.likelihood(), 700, random));
        // Without writes there is nothing to see.
        let act_ms = *random.pick(&[300, 1_000, 3_000, 10_000]);
        let all = [Cutting::Whole, Cutting::Pieces(40), Cutting::Pieces(900), Cutting::Crumbs];
        let huge = if random.chance(60) { 700 } else { 10 };
        let acts = acts.into_iter().zip(Act::ALL).map(|(weight, act)| match act {
            Act::Insert | Act::Update => weight + 2,
            Act::Large if huge > 100 => weight + 20,
            _ => weight,
        });
        let twins = if random.chance(250) { random.below(2) + 1 } else { 0 };
        let is_whole = random.chance(500) || huge > 100;
        let cuttings = if is_whole { vec![Cutting::Whole] } else { all.to_vec() };
        Self {
            devices: random.below(4) + 2,
            chaos_ms: act_ms * random.within(15..=60),
            fault_ms: act_ms * random.within(1..=8),
            act_ms,
            backup_ms: act_ms * random.within(4..=12),
            fragile: *random.pick(&[0, 0, 10, 40]),
            twins,
            store_ms: *random.pick(&[0, 3, 20, 200, 3_000]),
            latency_ms: *random.pick(&[0, 5, 50, 800]),
            faults,
            acts: acts.collect(),
            cuttings,
            framings: if random.chance(500) {
                vec![Framing::Stream]
            } else {
                vec![Framing::Stream, Framing::Messages]
            },
            token_ms: random.chance(300).then(|| act_ms * random.within(3..=30)),
            // Twins write under the same timestamps: at one place it is a tie.
            records: if twins > 0 { 1 } else { random.below(5) + 1 },
            huge,
            large: 1_000,
            lacking: if random.chance(300) { 300 } else { 0 },
            partial: *random.pick(&[0, 300, 600]),
            skew_ms: *random.pick(&[0, 1_000, 86_400_000 * 365 * 30]),
            relay: relay_config(random),
        }
    }
}

impl Plan {
    /// The same with little of everything, so that a fuzzer can do it many times a second: few devices for
    /// a short time, small values, no bytes one by one, and no more signs of life than the least.
    #[must_use]
    pub fn short(self, random: &mut Random) -> Self {
        Self {
            devices: random.below(2) + 2,
            chaos_ms: self.act_ms * random.within(4..=15),
            backup_ms: self.act_ms * random.within(1..=4),
            fault_ms: self.act_ms * random.within(1..=3),
            huge: 0,
            large: 20,
            cuttings: vec![Cutting::Whole, Cutting::Pieces(900)],
            relay: Config { heartbeat: Heartbeat::DEFAULT, ..self.relay },
            ..self
        }
    }
}

fn switched(likelihood: u64, density: u64, random: &mut Random) -> u64 {
    if random.chance(density) { likelihood * random.within(1..=4) } else { 0 }
}

fn relay_config(random: &mut Random) -> Config {
    let heartbeat = *random.pick(&[1_000, 5_000, 30_000]);
    Config {
        heartbeat: Heartbeat::new(heartbeat).unwrap_or(Heartbeat::DEFAULT),
        push_blocks: *random.pick(&[1, 2, 8, 1_024]),
        subscriptions: *random.pick(&[4, 64]),
        requests: *random.pick(&[4, 64]),
        operations_per_second: *random.pick(&[0, 0, 0, 20, 200]),
        window: *random.pick(&[200, 5_000, 16 << 20]),
        append_bytes: *random.pick(&[0, 64 << 20]),
        tail_bytes: *random.pick(&[0, 0, 500, 4 << 20]),
        read_bytes: *random.pick(&[1, 400, 1 << 20]),
        later_ms: *random.pick(&[10, 1_000, 5_000]),
        reconnect_after_ms: *random.pick(&[100, 1_000]),
        jitter_ms: *random.pick(&[0, 5_000, 30_000]),
        database_idle_ms: *random.pick(&[500, 600_000]),
        grease_seed: if random.chance(500) { Some(random.any()) } else { None },
        ..Config::default()
    }
}

/// What a principal may do. All may read at least one collection.
#[must_use]
pub fn rights(principal: usize) -> Rights {
    let [bugs, notes, teams] = COLLECTIONS.map(CollectionName::new);
    let with = |rights: Rights, name: &Result<CollectionName, _>, access| match name {
        Ok(name) => rights.with(name, access),
        Err(_) => rights,
    };
    let _ = &bugs;
    match principal {
        0 => Rights::new(Access::ALL),
        // May read everything, but not write everywhere.
        1 => with(Rights::new(Access::ALL), &teams, Access::READ),
        // May not even know of some.
        _ => with(with(Rights::new(Access::ALL), &teams, Access::NONE), &notes, Access::READ),
    }
}

/// The same rights, but for one collection that may not be read or written to for a while.
#[must_use]
pub fn reduced(principal: usize) -> Rights {
    match CollectionName::new(COLLECTIONS[0]) {
        Ok(name) => rights(principal).with(&name, Access::NONE),
        Err(_) => rights(principal),
    }
}
