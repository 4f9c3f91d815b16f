//! Files of SQLite as people and systems treat them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use blazedb_relay::block::{BlockBuilder, BlockRef, Compression};
use blazedb_relay::message::{LastNodeSeq, Mark, RestoreMode};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::relay::{AppendBlock, NodeAppend, StoredBlock};
use blazedb_relay::value::{Fields, Value};
use blazedb_relay::wire::{CollectionName, DatabaseName, FieldName, Timestamp};
use blazedb_relay_server::store::{
    Background, ErrorKind, LogStore, Opened, Reader, SqliteStore, SqliteWriter, Verified, Writer,
};
use blazedb_relay_sql::INDEXES;
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

use crate::samples::{self, Random};

fn name() -> DatabaseName {
    DatabaseName::new("files").unwrap()
}

fn store() -> (TempDir, SqliteStore) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::new(folder.path()).unwrap();
    (folder, store)
}

/// A device that pushes one block after another.
struct Device {
    number: u64,
    mark: Mark,
    random: Random,
}

impl Device {
    fn new(number: u64) -> Self {
        Self { number, mark: Mark::NONE, random: Random::new(number) }
    }

    fn push(&mut self, writer: &mut impl Writer) -> u64 {
        let (append, stored) = samples::append(&mut self.random, self.number, self.mark);
        self.mark = append.mark;
        writer.append(&[append]).unwrap() + stored.len() as u64 - 1
    }

    /// A block of one operation.
    fn push_one(&mut self, writer: &mut impl Writer) {
        let node_seq = self.mark.node_seq().get() + 1;
        let op = samples::op(&mut self.random, self.number, node_seq);
        self.push_op(writer, &op);
    }

    /// Asks for an index.
    fn push_index(&mut self, writer: &mut impl Writer) {
        let node_seq = self.mark.node_seq().get() + 1;
        let fields = Value::Array(vec![Value::from("title")]);
        let field = |name, value| (FieldName::new(name).unwrap(), value);
        let fields = Fields::new(vec![field("collection", "bugs".into()), field("fields", fields)]).unwrap();
        let node = samples::node(self.number);
        let place = (CollectionName::new(INDEXES).unwrap(), Uuid::from_u128(1));
        let timestamp = Timestamp::new(1, node).unwrap();
        let op = Op::new((node, node_seq), timestamp, OpKind::Insert, place, fields).unwrap();
        self.push_op(writer, &op);
    }

    fn push_op(&mut self, writer: &mut impl Writer, op: &Op) {
        let node_seq = self.mark.node_seq().get() + 1;
        let mut builder = BlockBuilder::new(samples::node(self.number), node_seq);
        builder.push(op).unwrap();
        let bytes = builder.finish(Compression::None).unwrap().to_vec();
        let check = u32::from_be_bytes(*bytes.last_chunk().unwrap());
        let mark = Mark::new(LastNodeSeq::new(node_seq).unwrap(), check).unwrap();
        let append = NodeAppend {
            node: samples::node(self.number),
            owner: Some(samples::owner(self.number)),
            builds_on: self.mark,
            mark,
            blocks: vec![AppendBlock { first_node_seq: node_seq, count: 1, bytes: bytes.into() }],
        };
        self.mark = mark;
        writer.append(&[append]).unwrap();
    }
}

fn feed(store: &SqliteStore) {
    let mut background = store.background(&name()).unwrap();
    while background.feed(100).unwrap().ops > 0 || background.index().unwrap() {}
}

fn verify(file: &Path) -> Verified {
    SqliteStore::verify(file, &mut |_| {}).unwrap()
}

/// A database with some content, closed.
fn filled() -> (TempDir, SqliteStore, PathBuf) {
    let (folder, store) = store();
    let mut opened = store.open(&name()).unwrap();
    let mut device = Device::new(1);
    device.push_index(&mut opened.writer);
    for _ in 0..60 {
        device.push(&mut opened.writer);
    }
    feed(&store);
    drop(opened);
    let file = store.file(&name());
    assert_eq!(verify(&file).problems, [""; 0]);
    (folder, store, file)
}

fn open_error(store: &SqliteStore) -> (ErrorKind, String) {
    let error = store.open(&name()).unwrap_err();
    (error.kind(), error.to_string())
}

//= SEC-12 test
#[test]
fn a_database_is_a_file_with_a_suffix() {
    let (_folder, store) = store();
    for name in ["con", "a.b", "0-_"] {
        let name = DatabaseName::new(name).unwrap();
        assert_eq!(
            store.file(&name).file_name().unwrap().to_str().unwrap(),
            format!("{}.blazedb", name.as_str())
        );
        drop(store.open(&name).unwrap());
    }
    let names: Vec<_> = store.databases().unwrap();
    assert_eq!(names.iter().map(DatabaseName::as_str).collect::<Vec<_>>(), ["0-_", "a.b", "con"]);
    let missing = DatabaseName::new("missing").unwrap();
    assert_eq!(store.reader(&missing).unwrap_err().kind(), ErrorKind::Missing);
    assert_eq!(store.background(&missing).unwrap_err().kind(), ErrorKind::Missing);
    assert!(!store.file(&missing).exists());
}

/// What the next test runs in another process: appends until it is killed, and says how far it has come.
#[test]
fn child() {
    let Some(folder) = std::env::var_os("STORE_TEST_CHILD") else { return };
    let store = SqliteStore::new(folder).unwrap();
    let Opened { mut writer, .. } = store.open(&name()).unwrap();
    let mut background = store.background(&name()).unwrap();
    let mut device = Device::new(3);
    loop {
        let head = device.push(&mut writer);
        eprintln!("head {head}");
        background.feed(5).unwrap();
        if head.is_multiple_of(5) {
            background.checkpoint().unwrap();
        }
    }
}

//= RLY-2 test
//= RLY-4 test
#[test]
fn a_process_that_is_killed_loses_nothing_and_shares_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["files::child", "--exact", "--nocapture"]).env("STORE_TEST_CHILD", folder.path());
    let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let mut heads = lines.filter_map(|line| line.unwrap().strip_prefix("head ")?.parse::<u64>().ok());
    let acknowledged = heads.by_ref().nth(30).unwrap();
    assert_eq!(SqliteStore::new(folder.path()).unwrap_err().kind(), ErrorKind::InUse);
    child.kill().unwrap();
    child.wait().unwrap();
    let acknowledged = heads.last().unwrap_or(acknowledged);
    let store = SqliteStore::new(folder.path()).unwrap();
    let Opened { head, epochs, .. } = store.open(&name()).unwrap();
    assert!(head >= acknowledged, "{head} < {acknowledged}");
    assert_eq!(epochs.len(), 2);
    let found = verify(&store.file(&name()));
    assert_eq!((found.operations, found.problems), (head, vec![]));
}

#[test]
fn a_folder_has_one_owner() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::new(folder.path()).unwrap();
    let error = SqliteStore::new(folder.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse);
    let text = error.to_string();
    assert!(text.contains(folder.path().to_str().unwrap()) && text.contains("another process"), "{text}");
    drop(store);
    SqliteStore::new(folder.path()).unwrap();
}

#[test]
fn files_of_others_are_told_and_not_touched() {
    let (folder, store) = store();
    let file = store.file(&name());
    let check = |kind: ErrorKind, word: &str| {
        let before = fs::read(&file).unwrap();
        let (found, text) = open_error(&store);
        assert_eq!(found, kind, "{text}");
        assert!(text.starts_with(file.to_str().unwrap()) && text.contains(word), "{text}");
        assert_eq!(store.reader(&name()).unwrap_err().kind(), kind);
        assert_eq!(store.background(&name()).unwrap_err().kind(), kind);
        assert!(fs::read(&file).unwrap() == before, "{word}: it was changed");
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with("LOCK") {
                fs::remove_file(path).unwrap();
            }
        }
    };
    fs::write(&file, "Dear diary, ".repeat(1_000)).unwrap();
    check(ErrorKind::Foreign, "not a database of the relay");
    let other = Connection::open(&file).unwrap();
    other.execute_batch("PRAGMA journal_mode = WAL; CREATE TABLE diary (day TEXT);").unwrap();
    // With a write-ahead log that was not moved yet.
    check(ErrorKind::Foreign, "another program");
    drop(other);
    let other = Connection::open(&file).unwrap();
    other.execute_batch("PRAGMA application_id = 7; CREATE TABLE diary (day TEXT);").unwrap();
    drop(other);
    check(ErrorKind::Foreign, "another program");
    drop(store.open(&name()).unwrap());
    Connection::open(&file).unwrap().execute_batch("PRAGMA user_version = 9").unwrap();
    check(ErrorKind::Newer, "later version");
}

#[test]
fn damage_is_found_and_nothing_is_lost_by_looking() {
    let (_folder, store, file) = filled();
    let good = fs::read(&file).unwrap();
    let mut random = Random::new(5);
    for _ in 0..40 {
        let mut bytes = good.clone();
        // Behind the header, which says what the file is.
        let at = 100 + usize::try_from(random.below(good.len() as u64 - 200)).unwrap();
        for byte in &mut bytes[at..at + 64] {
            *byte = random.next() as u8;
        }
        fs::write(&file, &bytes).unwrap();
        match SqliteStore::verify(&file, &mut |_| {}) {
            // In what is free.
            Ok(found) if found.problems.is_empty() => {
                assert_eq!(found.operations, verify_bytes(&good).operations);
            }
            Ok(_) => {}
            Err(error) => assert_eq!(error.kind(), ErrorKind::Damaged, "{error}"),
        }
        assert!(fs::read(&file).unwrap() == bytes, "it was changed");
    }
    // Cut off.
    fs::write(&file, &good[..good.len() / 2]).unwrap();
    match SqliteStore::verify(&file, &mut |_| {}) {
        Ok(found) => assert!(!found.problems.is_empty()),
        Err(error) => assert_eq!(error.kind(), ErrorKind::Damaged, "{error}"),
    }
    // The beginning is gone.
    let mut bytes = good.clone();
    bytes[..100].fill(0);
    fs::write(&file, &bytes).unwrap();
    let (kind, text) = open_error(&store);
    assert!(kind == ErrorKind::Foreign && text.contains("beginning is damaged"), "{text}");
    assert!(fs::read(&file).unwrap() == bytes, "it was changed");
    // Only the write-ahead log is left.
    fs::write(&file, b"").unwrap();
    let mut wal = file.clone().into_os_string();
    wal.push("-wal");
    fs::write(&wal, b"something").unwrap();
    assert_eq!(open_error(&store).0, ErrorKind::Damaged);
    assert_eq!(fs::read(&wal).unwrap(), b"something");
}

fn verify_bytes(bytes: &[u8]) -> Verified {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("copy");
    fs::write(&file, bytes).unwrap();
    verify(&file)
}

#[test]
fn verification_compares_everything_with_the_log() {
    let (_folder, _store, file) = filled();
    let good = fs::read(&file).unwrap();
    let cases = [
        (
            "UPDATE nodes SET mark_check = 7, mark = (SELECT max(first_node_seq + count - 1) FROM blocks)",
            "mark or check",
        ),
        ("UPDATE nodes SET mark = 1", "mark or check"),
        ("DELETE FROM nodes", "no mark"),
        (
            "DELETE FROM blocks WHERE first_seq = (SELECT first_seq FROM blocks LIMIT 1 OFFSET 5)",
            "should follow",
        ),
        ("UPDATE blocks SET first_node_seq = 1 WHERE first_seq > 10", "not the one"),
        ("UPDATE blocks SET count = count + 1 WHERE first_seq = 1", "not the one"),
        ("UPDATE epochs SET begins = 1000000", "epochs"),
        ("UPDATE entries SET counter = counter + 1 WHERE counter_of = x''", "merges to"),
        ("DELETE FROM entries WHERE record = 1", "merges to"),
        ("DELETE FROM records WHERE id = 2", "records"),
        ("UPDATE records SET live = 1 - live WHERE id = 3", "content of record"),
        ("UPDATE records SET content = x'00' WHERE live", "content of record"),
        ("UPDATE collections SET live = live + 1 WHERE id = 1", "number of live records"),
        ("UPDATE index_rows SET key = x'00' WHERE id = (SELECT min(id) FROM index_rows)", "an index has not"),
        ("DELETE FROM index_rows WHERE id = (SELECT min(id) FROM index_rows)", "an index has not"),
        ("DELETE FROM indexes", "of no index"),
        ("UPDATE database SET state_seq = state_seq - 20", "merges to"),
    ];
    for (change, expected) in cases {
        fs::write(&file, &good).unwrap();
        let conn = Connection::open(&file).unwrap();
        assert!(conn.execute(change, []).unwrap() > 0, "{change}");
        drop(conn);
        let found = verify(&file).problems;
        assert!(found.iter().any(|problem| problem.contains(expected)), "{change}: {found:?}");
    }
    // A byte of an operation.
    fs::write(&file, &good).unwrap();
    let conn = Connection::open(&file).unwrap();
    let sql = "SELECT first_seq, bytes FROM blocks WHERE substr(bytes, 2, 1) = x'00'";
    let (seq, mut bytes): (i64, Vec<u8>) =
        conn.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    bytes[100] ^= 1;
    conn.execute("UPDATE blocks SET bytes = ? WHERE first_seq = ?", (bytes, seq)).unwrap();
    drop(conn);
    let found = verify(&file).problems;
    assert!(found[0].contains(&format!("the block of seq {seq}: ")), "{found:?}");
    assert_eq!(verify_bytes(&good).problems, [""; 0]);
}

//= RLY-10 test
#[test]
fn a_file_that_is_copied_back_by_hand_is_noticed() {
    let (folder, store) = store();
    let Opened { mut writer, epochs, .. } = store.open(&name()).unwrap();
    let first = epochs[0];
    let mut device = Device::new(2);
    for _ in 0..20 {
        device.push(&mut writer);
    }
    let beside = |ending: &str| folder.path().join(format!("files.blazedb{ending}"));
    let saved: Vec<_> = ["", "-wal"].map(|ending| (ending, fs::read(beside(ending)).unwrap())).to_vec();
    let copied = Reader::read(&mut store.reader(&name()).unwrap(), 0, usize::MAX).unwrap().len();
    for _ in 0..20 {
        device.push(&mut writer);
    }
    drop(writer);
    for with_log in [true, false] {
        for ending in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(beside(ending));
        }
        for (ending, bytes) in &saved[..if with_log { 2 } else { 1 }] {
            fs::write(beside(ending), bytes).unwrap();
        }
        let Opened { epochs, head, .. } = store.open(&name()).unwrap();
        let blocks = store.reader(&name()).unwrap().read(0, usize::MAX).unwrap();
        assert_eq!(blocks.len(), if with_log { copied } else { 0 });
        // What clients saw in the first epoch beyond this is not in the history.
        let listed = if with_log { vec![first] } else { vec![] };
        let (last, others) = epochs.split_last().unwrap();
        assert_eq!(others, listed);
        assert!(last.begins == head && last.id != first.id);
        assert_eq!(verify(&beside("")).problems, [""; 0]);
    }
}

#[test]
fn a_backup_is_one_moment_of_a_database_in_use() {
    let (folder, store) = store();
    let Opened { mut writer, epochs, .. } = store.open(&name()).unwrap();
    let first = epochs[0];
    let mut devices = [Device::new(0), Device::new(1)];
    let before = (0..100).map(|i| devices[i % 2].push(&mut writer)).max().unwrap();
    feed(&store);
    let copy = folder.path().join("copy");
    let (file, mut pages) = (store.file(&name()), 0);
    let after = std::thread::scope(|scope| {
        let backup = scope.spawn(|| {
            SqliteStore::backup(&file, &copy, &mut |progress| {
                assert!(progress.done <= progress.total);
                pages = progress.done;
            })
        });
        let after = (0..50).map(|i| devices[i % 2].push(&mut writer)).max().unwrap();
        backup.join().unwrap().unwrap();
        after
    });
    assert!(pages > 10);
    let found = verify(&copy);
    assert_eq!(found.problems, [""; 0]);
    assert!(found.operations >= before && found.operations <= after);
    assert_eq!(found.state_seq, before);
    let exists = SqliteStore::backup(&file, &copy, &mut |_| {}).unwrap_err();
    assert_eq!(exists.kind(), ErrorKind::Exists);

    for mode in [RestoreMode::Keep, RestoreMode::Discard] {
        let restored = DatabaseName::new(if mode == RestoreMode::Keep { "keep" } else { "discard" }).unwrap();
        store.restore(&copy, &restored, mode, &mut |_| {}).unwrap();
        let again = store.restore(&copy, &restored, mode, &mut |_| {}).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::Exists);
        let Opened { head, epochs, .. } = store.open(&restored).unwrap();
        assert_eq!(head, found.operations);
        assert_eq!(epochs[0], first);
        assert_eq!((epochs.len(), epochs[1].begins, epochs[1].mode), (2, head, mode));
        // Only the first opening after it.
        let Opened { epochs, .. } = store.open(&restored).unwrap();
        assert_eq!((epochs.len(), epochs[2].mode), (3, RestoreMode::Keep));
        assert_eq!(verify(&store.file(&restored)).problems, [""; 0]);
    }

    let third = DatabaseName::new("third").unwrap();
    let restore =
        |from: &Path| store.restore(from, &third, RestoreMode::Keep, &mut |_| {}).unwrap_err().kind();
    assert_eq!(restore(&folder.path().join("nothing")), ErrorKind::Missing);
    let other = folder.path().join("other");
    fs::write(&other, "Dear diary, ".repeat(1_000)).unwrap();
    assert_eq!(restore(&other), ErrorKind::Foreign);
    let mut bytes = fs::read(&copy).unwrap();
    let half = bytes.len() / 2;
    bytes[half..half + 8_192].fill(7);
    fs::write(&other, bytes).unwrap();
    assert_eq!(restore(&other), ErrorKind::Damaged);
    assert!(!store.file(&third).exists());
}

/// Node and number of operations of each block.
fn shape(blocks: &[StoredBlock]) -> Vec<(u64, u16)> {
    let shape = blocks.iter().map(|block| {
        let header = *BlockRef::decode(&block.bytes).unwrap().header();
        ((0..9).find(|number| samples::node(*number) == header.node).unwrap(), header.count)
    });
    shape.collect()
}

//= RLY-45 test
//= RLY-46 test
#[test]
fn cold_blocks_become_larger() {
    let (_folder, store) = store();
    let Opened { mut writer, .. } = store.open(&name()).unwrap();
    let mut devices = [0, 1, 2].map(Device::new);
    let mut run = |writer: &mut SqliteWriter, number: usize, count: usize| {
        (0..count).for_each(|_| devices[number].push_one(writer));
    };
    run(&mut writer, 0, 5);
    run(&mut writer, 1, 1);
    run(&mut writer, 0, 3);
    writer.mint().unwrap();
    run(&mut writer, 0, 2);
    run(&mut writer, 2, 4);
    run(&mut writer, 1, 2);
    let mut background = store.background(&name()).unwrap();
    let unfed = background.rewrite(0, 1_000).unwrap();
    assert_eq!((unfed.replaced, unfed.by), (0, 0), "what the state was not fed is left alone");
    feed(&store);
    let mut reader = store.reader(&name()).unwrap();
    let before = reader.read(0, usize::MAX).unwrap();
    let done = background.rewrite(0, 1_000).unwrap();
    assert_eq!((done.after, done.replaced, done.by), (15, 14, 4), "the last run may still grow");
    let after = reader.read(0, usize::MAX).unwrap();
    assert_eq!(shape(&after), [(0, 5), (1, 1), (0, 3), (0, 2), (2, 4), (1, 1), (1, 1)]);
    let ops = |blocks: &[StoredBlock]| {
        let mut ops = Vec::new();
        for block in blocks {
            let mut scratch = Vec::new();
            let rows = BlockRef::decode(&block.bytes).unwrap().rows(&mut scratch).unwrap();
            ops.extend(rows.iter().zip(block.first_seq..).map(|(op, seq)| (seq, op.raw().to_vec())));
        }
        ops
    };
    assert!(ops(&before) == ops(&after));
    let again = background.rewrite(done.after, 1_000).unwrap();
    assert_eq!((again.after, again.replaced), (done.after, 0));
    // A long run is cut where blocks are large enough, and then left alone.
    run(&mut writer, 1, 1_000);
    feed(&store);
    let (mut at, mut calls) = (done.after, 0);
    loop {
        let done = background.rewrite(at, 2_000).unwrap();
        if done.after == at {
            break;
        }
        (at, calls) = (done.after, calls + 1);
    }
    let blocks = reader.read(0, usize::MAX).unwrap();
    assert!(blocks.len() < 40 && calls < 10, "{} blocks after {calls} calls", blocks.len());
    assert!(blocks.iter().all(|block| block.bytes.len() < 80_000));
    assert_eq!(verify(&store.file(&name())).problems, [""; 0]);
}
