//! What can go wrong with the file of a replica.

use core::fmt;
use std::path::{Path, PathBuf};

/// Why a replica could not be kept or opened: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreError {
    kind: StoreErrorKind,
    path: PathBuf,
    detail: String,
}

/// The kinds of [`StoreError`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Another process, or another client of this one, has the file open.
    InUse,
    /// The file is something else.
    Foreign,
    /// The file is a replica of another database.
    OtherDatabase,
    /// The file was written by a later version of this library.
    Newer,
    /// The file contradicts itself.
    Damaged,
    /// There is no room.
    Full,
    /// The system failed.
    Failed,
}

impl StoreErrorKind {
    /// What is wrong, then what to do.
    const fn texts(self) -> (&'static str, &'static str) {
        match self {
            Self::InUse => ("the file is in use", "close it there first, or choose another file"),
            Self::Foreign => {
                let what =
                    "this is not a file of this library, or its beginning is damaged; it was not touched";
                (what, "choose another file; if it was one, go back to a copy of it, or begin with a new one")
            }
            Self::OtherDatabase => {
                ("the file is of another database", "choose another file, or that database")
            }
            Self::Newer => ("a later version has written the file; it was not touched", "update the app"),
            Self::Damaged => {
                let what = "the file is damaged; it was not touched";
                (
                    what,
                    "keep it, and go back to a copy of it, or begin with a new one: what was durable comes back",
                )
            }
            Self::Full => ("there is no room left; nothing was written", "make room on the disk"),
            Self::Failed => ("the system failed", "look at the reason, then try again"),
        }
    }
}

impl StoreError {
    pub(super) fn new(kind: StoreErrorKind, path: &Path, detail: impl Into<String>) -> Self {
        Self { kind, path: path.into(), detail: detail.into() }
    }

    /// There was no randomness for a node.
    pub(crate) fn no_randomness(path: &Path, detail: impl Into<String>) -> Self {
        Self::new(StoreErrorKind::Failed, path, detail)
    }

    /// Which kind.
    #[must_use]
    pub const fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, todo) = self.kind.texts();
        write!(f, "{}: {what} ({}); {todo}", self.path.display(), self.detail)
    }
}

impl core::error::Error for StoreError {}
