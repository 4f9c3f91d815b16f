//! What a call can fail with.

use core::fmt;

use blazedb_relay::client::{Failure, WriteError};
use blazedb_relay::error::BuildError;
use blazedb_relay::registry::ErrorCode;

use crate::store::StoreError;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A name or value that the protocol cannot carry.
    Build(BuildError),
    /// A write was refused by this client. Nothing has changed.
    Write(WriteError),
    /// The file could not be opened or written. Nothing has changed.
    Store(StoreError),
    /// There is no connection, or it ended before the answer.
    Offline,
    /// The relay wants other credentials, or refuses the connection. `text` is what it says, hostile like
    /// any other input: show it escaped.
    Refused {
        /// Why.
        code: ErrorCode,
        /// For people.
        text: Box<str>,
    },
    /// A request was not sent: the relay did not agree on what it needs, or it breaks this rule.
    NotSent(ErrorCode),
    /// An increment cannot be tried again, as its amount is not known any more: write it anew.
    RetryOfIncrement,
    /// There is no such operation on the rejected list.
    NotRejected,
    /// The client is closed.
    Closed,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
            Self::Offline => f.write_str("there is no connection to the relay; try again when there is one"),
            Self::Refused { code, text } => {
                write!(f, "the relay refused it: {code:?}: {}", text.escape_debug())
            }
            Self::NotSent(code) => write!(f, "it was not sent: {code:?}"),
            Self::RetryOfIncrement => {
                f.write_str("an increment cannot be tried again, as its amount is not known: write it anew")
            }
            Self::NotRejected => f.write_str("there is no such operation on the rejected list"),
            Self::Closed => f.write_str("the client is closed"),
        }
    }
}

impl core::error::Error for Error {}

impl From<BuildError> for Error {
    fn from(error: BuildError) -> Self {
        Self::Build(error)
    }
}

impl From<WriteError> for Error {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused { code, text, .. } => Self::Refused { code, text },
            Failure::NotSent(code) => Self::NotSent(code),
            Failure::Ended => Self::Offline,
        }
    }
}
