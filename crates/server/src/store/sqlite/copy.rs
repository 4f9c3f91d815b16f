//! Copies of a database: making one while it is in use, and putting one in place.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use blazedb_relay::message::RestoreMode;
use blazedb_relay::wire::DatabaseName;
use rusqlite::Connection;
use rusqlite::backup::{Backup, StepResult};

use super::super::error::{Error, ErrorKind};
use super::SqliteStore;
use super::schema::{Access, connect, explain, lasting};
use super::writer::mode_to;

/// Pages that are copied between two calls of the progress callback, 4 MiB.
const PAGES: i32 = 1_024;
/// How long to wait for a lock that somebody else holds.
const WAIT: core::time::Duration = core::time::Duration::from_millis(20);

/// How far something has come. The unit is the doer's: pages of a copy, operations of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// Done so far.
    pub done: u64,
    /// Of how many.
    pub total: u64,
}

impl Progress {
    pub(super) const fn new(done: u64, total: u64) -> Self {
        Self { done, total }
    }
}

impl SqliteStore {
    /// Copies the file of a database to the file `to`, as it is at one moment, while it may be in use, by
    /// this process or another. The copy is one file, good for [`Self::restore`].
    ///
    /// # Errors
    /// `Missing`, or `Exists` if `to` is there, or a log that an earlier file of that name left. Nothing is
    /// left at `to` then.
    pub fn backup(file: &Path, to: &Path, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        copy(file, to, progress, |_| Ok(()))
    }

    /// Puts a copy in place as the database `name`, which must not be there. What clients have and the copy
    /// has not they send again (`Keep`) or drop (`Discard`): the epoch of the next opening says so
    /// (SPEC.md 11.4).
    ///
    /// # Errors
    /// `Missing`, `Foreign`, `Newer` or `Damaged` about the copy, or `Exists` about the database or a log that
    /// an earlier file of its name left. Nothing is in its place then.
    pub fn restore(
        &self,
        from: &Path,
        name: &DatabaseName,
        mode: RestoreMode,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        copy(from, &self.file(name), progress, |conn| {
            conn.execute("UPDATE database SET next_mode = ?", [mode_to(mode)])?;
            Ok(())
        })
    }
}

/// Copies a database into a file of another name, does something with that, and gives it its name.
fn copy(
    from: &Path,
    to: &Path,
    progress: &mut dyn FnMut(Progress),
    finish: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), Error> {
    refuse_occupied(to)?;
    let part = beside(to, ".part");
    let failed = |error: std::io::Error| Error::new(ErrorKind::Failed, &part, error.to_string());
    let source = connect(from, None, Access::Read)?;
    let held = hold(&part)?;
    // Another copy may have been put there meanwhile.
    refuse_occupied(to).inspect_err(|_| drop(fs::remove_file(&part)))?;
    copy_pages(&source, from, &part, progress, finish).inspect_err(|_| drop(fs::remove_file(&part)))?;
    fs::rename(&part, to).map_err(failed)?;
    // SQLite's locks of a file end when any handle of this process on it is closed.
    drop(held);
    lasting(to).map_err(failed)
}

/// Makes the file that a copy grows in, empty, and holds it: of two copies to one place, the second could
/// otherwise put in place what the first has not finished. What a copy that was cut short left is used
/// again.
fn hold(part: &Path) -> Result<File, Error> {
    let failed = |error: std::io::Error| Error::new(ErrorKind::Failed, part, error.to_string());
    let file = File::options().create(true).truncate(false).write(true).open(part).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(Error::new(ErrorKind::InUse, part, "another copy to this place is under way"));
        }
        Err(TryLockError::Error(error)) => return Err(failed(error)),
    }
    // Until it was locked it may have been finished by another one, and then it is not at this place now.
    if !is_at(&file, part).map_err(failed)? {
        return Err(Error::new(ErrorKind::InUse, part, "another copy to this place was under way"));
    }
    match fs::remove_file(beside(part, "-journal")) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(error)),
        _ => {}
    }
    file.set_len(0).map_err(failed)?;
    Ok(file)
}

/// Whether a file that is open is the one that stands there.
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    let (open, there) = (file.metadata()?, fs::metadata(path));
    match there {
        Ok(there) => Ok((open.dev(), open.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whoever moves a database away may leave its logs. SQLite takes one for that of any file which gets the
/// name, and would write into the copy what the other file's changes were.
fn refuse_occupied(to: &Path) -> Result<(), Error> {
    let beside = ["-wal", "-journal"].map(|suffix| beside(to, suffix));
    match beside.iter().map(PathBuf::as_path).chain([to]).find(|path| path.exists()) {
        Some(path) => Err(Error::new(ErrorKind::Exists, path, "")),
        None => Ok(()),
    }
}

/// The file of that name and suffix.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn copy_pages(
    source: &Connection,
    from: &Path,
    part: &Path,
    progress: &mut dyn FnMut(Progress),
    finish: impl FnOnce(&Connection) -> rusqlite::Result<()>,
) -> Result<(), Error> {
    let from_fault = |error| explain(from, &error);
    let fault = |error| explain(part, &error);
    // As long as it is open, the copy sees one state, however much is written meanwhile.
    let moment = source.unchecked_transaction().map_err(from_fault)?;
    moment.query_row("SELECT state_seq FROM database", [], |_| Ok(())).map_err(from_fault)?;
    let mut target = Connection::open(part).map_err(fault)?;
    {
        let backup = Backup::new(source, &mut target).map_err(fault)?;
        let count = |pages: i32| u64::try_from(pages).unwrap_or_default();
        loop {
            let step = backup.step(PAGES).map_err(from_fault)?;
            let pages = backup.progress();
            progress(Progress::new(count(pages.pagecount - pages.remaining), count(pages.pagecount)));
            match step {
                StepResult::Done => break,
                StepResult::More => {}
                StepResult::Busy | StepResult::Locked | _ => std::thread::sleep(WAIT),
            }
        }
    }
    drop(moment);
    // One file, without a log beside it.
    target.execute_batch("PRAGMA synchronous = EXTRA; PRAGMA journal_mode = DELETE;").map_err(fault)?;
    let sound: String = target.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(fault)?;
    if sound != "ok" {
        return Err(Error::new(ErrorKind::Damaged, from, sound));
    }
    finish(&target).map_err(fault)?;
    target.close().map_err(|(_, error)| fault(error))?;
    File::open(part)
        .and_then(|file| file.sync_all())
        .map_err(|error| Error::new(ErrorKind::Failed, part, error.to_string()))
}
