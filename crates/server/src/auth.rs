//! Who may do what: bearer tokens from the configuration, or everyone everything on a relay that only this
//! machine reaches.

use std::sync::Arc;

use blazedb_relay::registry::ErrorCode;
use blazedb_relay::relay::{Access, Credentials, Principal, Rights};
use blazedb_relay::wire::{CollectionName, DatabaseName};
use blazedb_relay_sql::INDEXES;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq as _};

/// The authentication method of bearer tokens (SPEC.md 7.1).
const BEARER: u16 = 1;
/// The principal of everyone on an open relay.
const EVERYONE: &str = "everyone";

/// What is kept of a token: enough to know it again, and nothing to use it with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest([u8; 32]);

impl core::fmt::Debug for Digest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Digest(..)")
    }
}

impl Digest {
    /// Of a token.
    #[must_use]
    pub fn of(token: &[u8]) -> Self {
        Self(Sha256::digest(token).into())
    }

    /// As it stands in a configuration: 64 hex digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut digest = [0; 32];
        let (digits, rest) = text.as_bytes().as_chunks::<2>();
        if digits.len() != digest.len() || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in digest.iter_mut().zip(digits) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            *byte = u8::try_from(digit(*high)? * 16 + digit(*low)?).ok()?;
        }
        Some(Self(digest))
    }
}

/// A token that the relay knows.
#[derive(Clone, Debug)]
pub struct Token {
    /// Who shows it.
    pub principal: String,
    /// What it is known by.
    pub digest: Digest,
    /// Unix time in milliseconds from which on it is no longer good.
    pub valid_until_ms: Option<u64>,
    /// What it allows; of several that fit a database the first counts.
    pub grants: Vec<Grant>,
}

/// What a token allows in some databases.
#[derive(Clone, Debug)]
pub struct Grant {
    /// In which.
    pub databases: Databases,
    /// In all their collections; but writing to `_indexes` has to be allowed by name.
    pub access: Access,
    /// But for these.
    pub collections: Vec<(CollectionName, Access)>,
}

/// Names of databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Databases {
    /// One.
    Named(String),
    /// All whose names begin so; with nothing, all.
    BeginningWith(String),
}

impl Databases {
    /// As it stands in a configuration: a name, or the beginning of one and `*`.
    #[must_use]
    pub fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(beginning) => Self::BeginningWith(beginning.to_owned()),
            None => Self::Named(text.to_owned()),
        }
    }

    fn fits(&self, name: &str) -> bool {
        match self {
            Self::Named(named) => named == name,
            Self::BeginningWith(beginning) => name.starts_with(beginning.as_str()),
        }
    }
}

/// What a connection may do.
#[derive(Clone, Debug)]
pub(crate) struct Granted {
    pub(crate) principal: Principal,
    pub(crate) rights: Arc<Rights>,
    pub(crate) valid_until_ms: Option<u64>,
}

/// All that the relay knows of credentials.
#[derive(Debug)]
pub(crate) struct Auth {
    known: Vec<Known>,
    /// What everyone may do, if nobody has to say who they are.
    open: Option<(Principal, Arc<Rights>)>,
}

#[derive(Debug)]
struct Known {
    principal: Principal,
    digest: Digest,
    valid_until_ms: Option<u64>,
    grants: Vec<(Databases, Arc<Rights>)>,
}

impl Auth {
    /// Of these tokens; without any, everyone may do everything.
    pub(crate) fn new(tokens: &[Token]) -> Self {
        let open = tokens.is_empty().then(|| (Principal::new(EVERYONE), Arc::new(Rights::new(Access::ALL))));
        Self { known: tokens.iter().map(Known::new).collect(), open }
    }

    /// Whether nobody has to say who they are.
    pub(crate) const fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// What these credentials allow in a database. Takes as long for a wrong token as for a right one.
    //= RLY-11
    pub(crate) fn authorize(
        &self,
        database: &DatabaseName,
        credentials: &Credentials,
        now_ms: u64,
    ) -> Result<Granted, ErrorCode> {
        if let Some((principal, rights)) = &self.open {
            let (principal, rights) = (principal.clone(), rights.clone());
            return Ok(Granted { principal, rights, valid_until_ms: None });
        }
        if credentials.method != BEARER {
            return Err(ErrorCode::UNAUTHENTICATED);
        }
        let known = self.known(&credentials.token).ok_or(ErrorCode::UNAUTHENTICATED)?;
        if known.valid_until_ms.is_some_and(|until| until <= now_ms) {
            return Err(ErrorCode::TOKEN_EXPIRED);
        }
        let mut grants = known.grants.iter();
        let (_, rights) =
            grants.find(|(databases, _)| databases.fits(database.as_str())).ok_or(ErrorCode::FORBIDDEN)?;
        Ok(Granted {
            principal: known.principal.clone(),
            rights: rights.clone(),
            valid_until_ms: known.valid_until_ms,
        })
    }

    /// Looks at all tokens, whichever it is.
    //= SEC-3
    fn known(&self, token: &[u8]) -> Option<&Known> {
        let shown = Digest::of(token);
        let mut found = None;
        for known in &self.known {
            if bool::from(shown.0.ct_eq(&known.digest.0)) {
                found = Some(known);
            }
        }
        found
    }
}

impl Known {
    fn new(token: &Token) -> Self {
        let rights = |grant: &Grant| {
            let mut all = Rights::new(grant.access);
            // An index costs everyone who writes: to make one is a right of its own.
            if grant.access.write
                && let Ok(indexes) = CollectionName::new(INDEXES)
            {
                all = all.with(&indexes, Access { write: false, ..grant.access });
            }
            let with = |rights: Rights, (name, access): &(CollectionName, Access)| rights.with(name, *access);
            Arc::new(grant.collections.iter().fold(all, with))
        };
        Self {
            principal: Principal::new(&token.principal),
            digest: token.digest,
            valid_until_ms: token.valid_until_ms,
            grants: token.grants.iter().map(|grant| (grant.databases.clone(), rights(grant))).collect(),
        }
    }
}

/// Whether two secrets are the same, in a time that does not depend on where they differ.
pub(crate) fn same_secret(shown: &[u8], known: &Digest) -> bool {
    let same: Choice = Digest::of(shown).0.ct_eq(&known.0);
    same.into()
}

#[cfg(test)]
#[allow(clippy::unwrap_in_result, reason = "a test that fails says so here")]
mod tests {
    use super::*;

    fn credentials(token: &'static [u8]) -> Credentials {
        Credentials { method: BEARER, token: bytes::Bytes::from_static(token) }
    }

    fn token(principal: &str, secret: &[u8], grants: Vec<Grant>) -> Token {
        Token { principal: principal.into(), digest: Digest::of(secret), valid_until_ms: None, grants }
    }

    fn grant(databases: &str, access: Access) -> Grant {
        Grant { databases: Databases::new(databases), access, collections: vec![] }
    }

    fn ask(auth: &Auth, database: &str, token: &'static [u8]) -> Result<(String, Access), ErrorCode> {
        let database = DatabaseName::new(database).unwrap();
        let granted = auth.authorize(&database, &credentials(token), 1_000)?;
        Ok((granted.principal.as_str().into(), granted.rights.access("bugs")))
    }

    #[test]
    fn tokens_and_what_they_allow() {
        let mut old = token("old", b"old", vec![grant("*", Access::ALL)]);
        old.valid_until_ms = Some(1_000);
        let bugs = CollectionName::new("bugs").unwrap();
        let mut reader = grant("app", Access::ALL);
        reader.collections.push((bugs, Access::READ));
        let auth = Auth::new(&[
            token("ann", b"secret of ann", vec![grant("app-*", Access::WRITE), grant("*", Access::READ)]),
            token("bob", b"secret of bob", vec![reader]),
            old,
        ]);
        assert_eq!(ask(&auth, "app-1", b"secret of ann"), Ok(("ann".into(), Access::WRITE)));
        assert_eq!(ask(&auth, "app", b"secret of ann"), Ok(("ann".into(), Access::READ)));
        assert_eq!(ask(&auth, "app", b"secret of bob"), Ok(("bob".into(), Access::READ)));
        assert_eq!(ask(&auth, "app-1", b"secret of bob"), Err(ErrorCode::FORBIDDEN));
        assert_eq!(ask(&auth, "app", b"secret of eve"), Err(ErrorCode::UNAUTHENTICATED));
        assert_eq!(ask(&auth, "app", b""), Err(ErrorCode::UNAUTHENTICATED));
        assert_eq!(ask(&auth, "app", b"old"), Err(ErrorCode::TOKEN_EXPIRED));
        let none = Credentials { method: 0, token: bytes::Bytes::new() };
        let database = DatabaseName::new("app").unwrap();
        assert_eq!(auth.authorize(&database, &none, 0).unwrap_err(), ErrorCode::UNAUTHENTICATED);
    }

    #[test]
    fn making_indexes_is_a_right_of_its_own() {
        let mut owner = grant("*", Access::ALL);
        owner.collections.push((CollectionName::new(INDEXES).unwrap(), Access::ALL));
        let auth = Auth::new(&[
            token("ann", b"ann", vec![grant("*", Access::ALL)]),
            token("bob", b"bob", vec![grant("*", Access::READ)]),
            token("owner", b"owner", vec![owner]),
        ]);
        let rights = |token| {
            let database = DatabaseName::new("app").unwrap();
            let granted = auth.authorize(&database, &credentials(token), 1_000).unwrap();
            (granted.rights.access(INDEXES), granted.rights.reads_all(), granted.rights.writes_all())
        };
        assert_eq!(rights(b"ann"), (Access::READ, true, false));
        assert_eq!(rights(b"bob"), (Access::READ, true, false));
        assert_eq!(rights(b"owner"), (Access::ALL, true, true));
    }

    #[test]
    fn without_tokens_everyone_may_do_everything() {
        let auth = Auth::new(&[]);
        assert!(auth.is_open());
        assert_eq!(ask(&auth, "app", b"anything"), Ok((EVERYONE.into(), Access::ALL)));
    }

    #[test]
    fn digests_from_hex() {
        let hex = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
        assert_eq!(Digest::from_hex(hex), Some(Digest::of(b"secret")));
        assert_eq!(Digest::from_hex(&hex[1..]), None);
        assert_eq!(Digest::from_hex(&hex.replace('2', "g")), None);
    }
}
