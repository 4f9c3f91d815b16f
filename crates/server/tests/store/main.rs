//! What a store promises, checked for every backend.

#![allow(
    clippy::unwrap_used,
    clippy::unwrap_in_result,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that fails says so"
)]
#![allow(clippy::print_stderr, reason = "a failure prints its seed")]

mod disk;
mod files;
mod samples;
mod suite;
mod vfs;

use blazedb_relay::wire::DatabaseName;
use blazedb_relay_server::store::{LogStore, MemoryStore, Reader, SqliteStore, Writer};
use disk::Crash;
use samples::Random;
use suite::{Backend, Seen, run};
use tempfile::TempDir;
use vfs::Vfs;

/// `STORE_SEED` runs that seed alone, `STORE_SEEDS` as many as it says.
fn seeds(default: u64) -> core::ops::RangeInclusive<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("STORE_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=number("STORE_SEEDS").unwrap_or(default),
    }
}

struct Memory(MemoryStore);

impl Backend for Memory {
    type Store = MemoryStore;

    fn store(&mut self) -> &MemoryStore {
        &self.0
    }

    fn tempt_fate(&mut self, _: &mut Random) {}

    fn fail_next_sync(&mut self) {}

    fn stop(&mut self, _: &mut Random) {}

    fn restart(&mut self, _: &mut Random) {}

    fn check(&mut self, _: &DatabaseName) {}
}

#[test]
fn memory() {
    for seed in seeds(5) {
        let seen = run(&mut Memory(MemoryStore::new()), seed, 400);
        assert!(seen.appends > 100, "{seen:?}");
    }
}

/// SQLite on a disk that fails.
struct Faulty {
    vfs: &'static Vfs,
    vfs_name: String,
    folder: TempDir,
    store: Option<SqliteStore>,
}

impl Faulty {
    fn new(seed: u64) -> Self {
        let (vfs, vfs_name) = Vfs::register();
        vfs.disk.state().seed(seed);
        Self { vfs, vfs_name, folder: tempfile::tempdir().unwrap(), store: None }
    }
}

impl Backend for Faulty {
    type Store = SqliteStore;

    fn store(&mut self) -> &SqliteStore {
        self.store.get_or_insert_with(|| {
            SqliteStore::with_vfs(self.folder.path(), Some(self.vfs_name.clone())).unwrap()
        })
    }

    fn tempt_fate(&mut self, random: &mut Random) {
        let mut state = self.vfs.disk.state();
        match random.below(9) {
            0 | 1 => state.until_cut = Some(1 + random.below(60)),
            2 => state.until_failure = Some(1 + random.below(60)),
            // Of the calls few are syncs, and what goes wrong behind a failed one is the worst.
            3..6 => state.until_sync_failure = Some(1 + random.below(6)),
            6 => state.room = Some(usize::try_from(random.below(40_000)).unwrap()),
            7 => state.room = None,
            _ => {}
        }
    }

    fn fail_next_sync(&mut self) {
        self.vfs.disk.state().until_sync_failure = Some(1);
    }

    fn stop(&mut self, random: &mut Random) {
        if !random.one_in(4) {
            self.vfs.disk.state().cut();
        }
    }

    fn restart(&mut self, random: &mut Random) {
        let crash = match random.below(4) {
            0 => Crash::Process,
            1 | 2 => Crash::PowerDropsAll,
            _ => Crash::Power,
        };
        self.store = None;
        self.vfs.disk.state().restart(crash);
        self.vfs.forget();
    }

    fn check(&mut self, name: &DatabaseName) {
        let file = self.store().file(name);
        let found = SqliteStore::verify_with_vfs(&file, Some(self.vfs_name.clone()), &mut |_| {}).unwrap();
        assert_eq!(found.problems, [""; 0]);
    }
}

#[test]
fn sqlite_on_a_disk_that_fails() {
    let mut total = Seen::default();
    for seed in seeds(15) {
        let seen = run(&mut Faulty::new(seed), seed, 400);
        total.appends += seen.appends;
        total.failed += seen.failed;
        total.lost += seen.lost;
        total.unknown_stored += seen.unknown_stored;
        total.rewritten += seen.rewritten;
        total.restarts += seen.restarts;
    }
    eprintln!("{total:?}");
    assert!(total.appends > 500 && total.failed > 10 && total.lost > 10 && total.rewritten > 100);
}

//= RLY-4 test
#[test]
fn nothing_is_visible_before_it_is_durable() {
    let mut faulty = Faulty::new(1);
    let name = DatabaseName::new("visible").unwrap();
    let mut opened = faulty.store().open(&name).unwrap();
    let mut reader = faulty.store().reader(&name).unwrap();
    let (sender, heads) = std::sync::mpsc::channel();
    let looks = move || sender.send(reader.read(0, usize::MAX).unwrap().len()).unwrap();
    *faulty.vfs.before_sync.lock().unwrap() = Some(Box::new(looks));
    let mut random = Random::new(1);
    let mut mark = blazedb_relay::message::Mark::NONE;
    let mut blocks = 0;
    for _ in 0..20 {
        let (append, _) = samples::append(&mut random, 0, mark);
        mark = append.mark;
        opened.writer.append(core::slice::from_ref(&append)).unwrap();
        let seen: Vec<_> = heads.try_iter().collect();
        assert!(!seen.is_empty() && seen.iter().all(|seen| *seen == blocks), "{seen:?}, but {blocks} before");
        blocks += append.blocks.len();
    }
    *faulty.vfs.before_sync.lock().unwrap() = None;
}
