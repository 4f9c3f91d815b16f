//! What a session is told at its beginning.

use alloc::vec::Vec;
use core::fmt;
use core::num::NonZeroU16;

use crate::client::Reader;
use crate::error::BuildError;
use crate::limits::MAX_AUTHENTICATION;
use crate::message::{Authentication, Data, VersionRange};
use crate::registry::{Capabilities, Capability, LimitId};
use crate::wire::DatabaseName;

/// What one connection is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What to sync.
    pub database: DatabaseName,
    /// Who the client acts for.
    pub credentials: Credentials,
    /// Whether values `removed`, `patch` and `counter` are offered.
    pub crdt: Offer,
    /// Whether LZ4 is offered.
    pub compression: Offer,
    /// Whether queries are offered.
    pub query: Offer,
    /// Most bytes of blocks that an update should have; a single block may be larger.
    pub update_bytes: u64,
    /// Bytes near which blocks are kept where single operations allow (LIM-2).
    pub block_bytes: usize,
    /// What all chance of this session comes from. Take it from a random source, so that many clients do
    /// not come back at once.
    pub seed: u64,
}

impl Config {
    /// A connection for `database` without credentials that offers everything and demands nothing.
    #[must_use]
    pub fn new(database: DatabaseName, seed: u64) -> Self {
        Self {
            database,
            credentials: Credentials::NONE,
            crdt: Offer::Can,
            compression: Offer::Can,
            query: Offer::Can,
            update_bytes: LimitId::UPDATE_BYTES.default_value().unwrap_or(u64::MAX),
            block_bytes: 65_536,
            seed,
        }
    }

    /// What the handshake offers, ascending.
    pub(super) fn offered(&self) -> Vec<Capability> {
        let all = [
            (self.crdt, Capability::CRDT),
            (self.compression, Capability::COMPRESSION),
            (self.query, Capability::QUERY),
        ];
        all.into_iter().filter_map(|(offer, capability)| offer.of(capability)).collect()
    }

    /// What this client can read on this connection.
    pub(super) fn reader(&self) -> Reader {
        let offered = self.offered().into_iter();
        Reader {
            version: VersionRange::V1_0.max(),
            capabilities: offered.fold(Capabilities::NONE, Capabilities::with),
        }
    }
}

/// Whether a capability is offered (SPEC.md 9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Offer {
    /// No.
    Not,
    /// "I can."
    #[default]
    Can,
    /// "I can and must": the relay closes if it does not agree.
    Must,
}

impl Offer {
    const fn of(self, capability: Capability) -> Option<Capability> {
        match self {
            Self::Not => None,
            Self::Can => Some(capability),
            // The even form is one below the odd one.
            Self::Must => Some(Capability(capability.0 - 1)),
        }
    }
}

/// Who a client acts for. Its debug form does not show the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    method: Option<NonZeroU16>,
    token: Vec<u8>,
}

impl Credentials {
    /// It does not say.
    pub const NONE: Self = Self { method: None, token: Vec::new() };

    /// A bearer token.
    ///
    /// # Errors
    /// `TOO_LONG` over 8,192 bytes (MSG-14).
    pub fn bearer(token: &[u8]) -> Result<Self, BuildError> {
        Data::<MAX_AUTHENTICATION>::new(token)?;
        Ok(Self { method: Some(Authentication::BEARER), token: token.into() })
    }

    pub(super) fn authentication(&self) -> Authentication<'_> {
        match (self.method, Data::new(&self.token)) {
            (Some(method), Ok(token)) => Authentication::Token { method, token },
            _ => Authentication::None,
        }
    }
}

impl fmt::Debug for Credentials {
    // A token must not reach a log by way of a debug print.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.authentication().fmt(f)
    }
}
