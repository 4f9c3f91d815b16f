//! A copy is not put beside a log that another file left.

#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

#[allow(dead_code, reason = "the suite uses more of it")]
#[path = "store/samples.rs"]
mod samples;

use std::fs;

use blazedb_relay::message::{Mark, RestoreMode};
use blazedb_relay::wire::DatabaseName;
use blazedb_relay_server::store::{ErrorKind, LogStore, Opened, Progress, SqliteStore, SqliteWriter, Writer};
use samples::Random;

fn quietly(_: Progress) {}

/// Appends that many groups of one node.
fn append(writer: &mut SqliteWriter, random: &mut Random, mark: &mut Mark, groups: usize) {
    for _ in 0..groups {
        let (append, _) = samples::append(random, 0, *mark);
        *mark = append.mark;
        writer.append(&[append]).unwrap();
    }
}

#[test]
fn a_log_that_was_left_is_not_taken_for_the_copys() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::new(folder.path().join("data")).unwrap();
    let name = DatabaseName::new("bugs").unwrap();
    let (file, copy) = (store.file(&name), folder.path().join("copy"));
    let (mut random, mut mark) = (Random::new(1), Mark::NONE);

    let Opened { mut writer, .. } = store.open(&name).unwrap();
    append(&mut writer, &mut random, &mut mark, 5);
    SqliteStore::backup(&file, &copy, &mut quietly).unwrap();
    let copied = SqliteStore::verify(&copy, &mut quietly).unwrap().operations;
    append(&mut writer, &mut random, &mut mark, 20);
    // The power goes, and whoever repairs it moves the file away, but not what stands beside it.
    let log = folder.path().join("data/bugs.blazedb-wal");
    let left = fs::read(&log).unwrap();
    drop(writer);
    fs::rename(&file, folder.path().join("moved")).unwrap();
    fs::write(&log, &left).unwrap();

    let refused = store.restore(&copy, &name, RestoreMode::Keep, &mut quietly).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Exists);
    assert!(refused.to_string().contains("bugs.blazedb-wal"), "{refused}");
    assert!(!file.exists() && fs::read(&log).unwrap() == left);
    assert_eq!(SqliteStore::backup(&copy, &file, &mut quietly).unwrap_err().kind(), ErrorKind::Exists);

    fs::rename(&log, folder.path().join("moved-wal")).unwrap();
    store.restore(&copy, &name, RestoreMode::Keep, &mut quietly).unwrap();
    assert_eq!(store.open(&name).unwrap().head, copied);
    assert_eq!(SqliteStore::verify(&file, &mut quietly).unwrap().problems, [""; 0]);
}
