//! Databases in files of SQLite, one for each, in one folder.
//!
//! A file has the log and the merged state. Four kinds of connections work on it, in WAL mode: the writer,
//! whose commits wait for the disk (`synchronous = FULL`); readers; the background work, whose commits do
//! not, since what it writes can be made again; and copies.
//!
//! SQLite has one writer at a time. Writer and background of this process take turns by a lock of their
//! own, which is handed over at once where SQLite's would be polled for.

mod background;
mod copy;
mod feed;
mod reader;
mod rewrite;
mod schema;
mod verify;
mod writer;

use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use blazedb_relay::wire::DatabaseName;

use super::error::{Error, ErrorKind};
use super::{LogStore, Opened};
pub use background::SqliteBackground;
pub use copy::Progress;
pub use reader::SqliteReader;
use schema::{Access, connect};
pub use verify::Verified;
pub use writer::SqliteWriter;

//= SEC-12
/// Stands behind the name of a database, so that no name is that of a device.
const SUFFIX: &str = ".blazedb";
/// Held by the process that uses the folder. Its name is no database's.
const LOCK: &str = "LOCK";

/// A folder of databases, held by this process until the value is dropped.
#[derive(Debug)]
pub struct SqliteStore {
    folder: PathBuf,
    vfs: Option<String>,
    gates: Mutex<BTreeMap<DatabaseName, Weak<Gate>>>,
    /// Locked as long as it is open.
    _lock: File,
}

/// Whoever passes may write to the file until done.
#[derive(Debug, Default)]
struct Gate {
    turn: Mutex<()>,
    /// A write failed in a way that leaves open what is on the disk. Systems may then hold in memory what
    /// they never wrote and never will, so nothing may build on it before all of it was written again.
    in_doubt: AtomicBool,
}

impl Gate {
    fn pass(&self) -> MutexGuard<'_, ()> {
        // It guards nothing that a panic could leave half done: SQLite rolls back.
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_in_doubt(&self) -> bool {
        self.in_doubt.load(Ordering::Relaxed)
    }

    fn set_in_doubt(&self, in_doubt: bool) {
        self.in_doubt.store(in_doubt, Ordering::Relaxed);
    }
}

/// The file of a database, for one of its roles.
#[derive(Clone, Debug)]
struct Place {
    path: PathBuf,
    vfs: Option<String>,
    gate: Arc<Gate>,
}

impl Place {
    fn connect(&self, access: Access) -> Result<rusqlite::Connection, Error> {
        connect(&self.path, self.vfs.as_deref(), access)
    }

    /// What SQLite's error means.
    fn fault(&self, error: &rusqlite::Error) -> Error {
        schema::explain(&self.path, error)
    }

    fn damaged(&self, detail: impl Into<String>) -> Error {
        Error::new(ErrorKind::Damaged, &self.path, detail)
    }
}

impl SqliteStore {
    /// Takes possession of a folder, which is made if it is not there.
    ///
    /// # Errors
    /// `InUse` if another process has it.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self, Error> {
        Self::with_vfs(folder, None)
    }

    /// The same, with the files in an SQLite VFS of that name, which was registered before.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_vfs(folder: impl Into<PathBuf>, vfs: Option<String>) -> Result<Self, Error> {
        let folder = folder.into();
        let failed = |error: std::io::Error| Error::new(ErrorKind::Failed, &folder, error.to_string());
        fs::create_dir_all(&folder).map_err(failed)?;
        let lock = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK));
        let lock = lock.map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::new(ErrorKind::InUse, &folder, "")),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        Ok(Self { folder, vfs, gates: Mutex::default(), _lock: lock })
    }

    /// The file that a database has or would have.
    #[must_use]
    pub fn file(&self, name: &DatabaseName) -> PathBuf {
        Self::file_in(&self.folder, name)
    }

    /// The file that a database has or would have in a folder, whoever holds that.
    #[must_use]
    pub fn file_in(folder: &Path, name: &DatabaseName) -> PathBuf {
        folder.join(format!("{}{SUFFIX}", name.as_str()))
    }

    /// The databases that a folder has, ascending, whoever holds it.
    ///
    /// # Errors
    /// `Missing` if it is not there; `Failed` if it cannot be read.
    pub fn databases_in(folder: &Path) -> Result<Vec<DatabaseName>, Error> {
        let failed = |error: std::io::Error| {
            let missing = error.kind() == std::io::ErrorKind::NotFound;
            let kind = if missing { ErrorKind::Missing } else { ErrorKind::Failed };
            Error::new(kind, folder, error.to_string())
        };
        let mut names = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed)? {
            let file = entry.map_err(failed)?.file_name();
            names.extend(file.to_str().and_then(Self::name_of));
        }
        names.sort();
        Ok(names)
    }

    /// The database whose file has that name, if one can have it.
    #[must_use]
    pub fn name_of(file: &str) -> Option<DatabaseName> {
        file.strip_suffix(SUFFIX).and_then(|name| DatabaseName::new(name).ok())
    }

    fn place(&self, name: &DatabaseName) -> Place {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        gates.retain(|_, gate| gate.strong_count() > 0);
        let gate = gates.get(name).and_then(Weak::upgrade).unwrap_or_default();
        gates.insert(name.clone(), Arc::downgrade(&gate));
        Place { path: self.file(name), vfs: self.vfs.clone(), gate }
    }
}

impl LogStore for SqliteStore {
    type Writer = SqliteWriter;
    type Reader = SqliteReader;
    type Background = SqliteBackground;

    fn databases(&self) -> Result<Vec<DatabaseName>, Error> {
        Self::databases_in(&self.folder)
    }

    fn open(&self, name: &DatabaseName) -> Result<Opened<SqliteWriter>, Error> {
        SqliteWriter::open(self.place(name))
    }

    fn reader(&self, name: &DatabaseName) -> Result<SqliteReader, Error> {
        SqliteReader::new(self.place(name))
    }

    fn background(&self, name: &DatabaseName) -> Result<SqliteBackground, Error> {
        SqliteBackground::new(self.place(name))
    }
}
