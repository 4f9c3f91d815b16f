//! What can go wrong with a store: what, where, and what to do about it.

use core::fmt;
use std::path::{Path, PathBuf};

use blazedb_relay::registry::ErrorCode;

/// Why a store could not do something.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    place: PathBuf,
    detail: String,
}

/// The kinds of [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Another process uses the folder.
    InUse,
    /// There is no such database.
    Missing,
    /// There is one already.
    Exists,
    /// The file is something else.
    Foreign,
    /// The file was written by a later version.
    Newer,
    /// The file contradicts itself.
    Damaged,
    /// There is no room.
    Full,
    /// An append does not build on the durable mark and check (RLY-6).
    WrongMark,
    /// A node belongs to another principal or key (RLY-12).
    NotYours,
    /// Somebody else has opened the database for writing since (RLY-2).
    Superseded,
    /// The caller asked for something that cannot be.
    Invalid,
    /// The system or the backend failed.
    Failed,
}

impl ErrorKind {
    /// What is wrong, then what to do.
    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::InUse => ("another process uses this folder", "stop it, or choose another folder"),
            Self::Missing => ("there is no such database", "check its name and the folder"),
            Self::Exists => ("it is there already, and is not overwritten", "move it away first"),
            Self::Foreign => {
                let what =
                    "this is not a database of the relay, or its beginning is damaged; it was not touched";
                (what, "move it away; if it was one, restore the last good backup")
            }
            Self::Newer => {
                ("this was written by a later version of the relay, and was not touched", "update the relay")
            }
            Self::Damaged => {
                ("the database is damaged", "keep a copy of the file, then restore the last good backup")
            }
            Self::Full => ("there is no room left", "make room on the disk"),
            Self::WrongMark => {
                ("the node is not where the append builds on", "read its mark, and send again from there")
            }
            Self::NotYours => ("the node belongs to another principal or key", "become a new node"),
            Self::Superseded => ("another writer has taken over", "open the database anew"),
            Self::Invalid => ("the log cannot take this", "this is a fault of the program: report it"),
            Self::Failed => ("the store failed", "look at the reason, then try again"),
        }
    }
}

impl Error {
    /// An error about `place`.
    pub(crate) fn new(kind: ErrorKind, place: &Path, detail: impl Into<String>) -> Self {
        Self { kind, place: place.into(), detail: detail.into() }
    }

    /// Which kind.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        self.kind
    }
}

impl fmt::Display for Error {
    // For who runs the relay, not for peers (SEC-8).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, todo) = self.kind.texts();
        write!(f, "{}: {what}", self.place.display())?;
        if !self.detail.is_empty() {
            write!(f, " ({})", self.detail)?;
        }
        write!(f, "; {todo}")
    }
}

impl core::error::Error for Error {}

/// Why something was not written.
#[derive(Debug)]
pub enum WriteError {
    /// Certainly nothing is or will be stored.
    Failed(Error),
    /// It is not known what became of it, or another writer has taken over. The writer is of no use any
    /// more (RLY-8).
    Lost(Error),
}

impl WriteError {
    /// The error.
    #[must_use]
    pub const fn error(&self) -> &Error {
        let (Self::Failed(error) | Self::Lost(error)) = self;
        error
    }

    /// The error alone, where a write that was lost is as good as one that failed.
    #[must_use]
    pub fn into_error(self) -> Error {
        let (Self::Failed(error) | Self::Lost(error)) = self;
        error
    }
}

/// Why a query was not answered.
#[derive(Debug)]
pub enum QueryError {
    /// It cannot be answered: a code of 5xx that says why.
    Refused(ErrorCode),
    /// The store failed.
    Failed(Error),
}

impl QueryError {
    /// What an error means; `fault` says it of one that is not the query's.
    pub(super) fn new(
        error: blazedb_relay_sql::Error,
        fault: impl FnOnce(blazedb_relay_sql::Error) -> Error,
    ) -> Self {
        if error.is_of_the_query() { Self::Refused(error.code()) } else { Self::Failed(fault(error)) }
    }
}

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code) => write!(f, "the query was refused: {}", code.name().unwrap_or("unknown")),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for QueryError {}

impl From<Error> for QueryError {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<Error> for WriteError {
    fn from(error: Error) -> Self {
        if error.kind == ErrorKind::Superseded { Self::Lost(error) } else { Self::Failed(error) }
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(error) => write!(f, "nothing was written: {error}"),
            Self::Lost(error) => write!(f, "it is not known whether it was written: {error}"),
        }
    }
}

impl core::error::Error for WriteError {}
