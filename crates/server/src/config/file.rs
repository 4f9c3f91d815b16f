//! The configuration file, as it is written.

use std::path::Path;

use blazedb_relay::message::Heartbeat;
use blazedb_relay::relay::Access;
use blazedb_relay::wire::CollectionName;
use blazedb_relay_sql::INDEXES;
use serde::Deserialize;
use toml::value::Datetime;

use super::{ConfigError, Limits, file_error};
use crate::auth::{Databases, Digest, Grant, Token};

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    pub(super) listen: Option<String>,
    pub(super) data: Option<String>,
    pub(super) hosts: Option<Vec<String>>,
    pub(super) origins: Option<Vec<String>>,
    pub(super) create_databases: Option<bool>,
    pub(super) address_header: Option<String>,
    pub(super) metrics_token: Option<String>,
    pub(super) log: Option<String>,
    pub(super) log_format: Option<String>,
    pub(super) tls: Option<Tls>,
    pub(super) limits: Option<FileLimits>,
    #[serde(default)]
    pub(super) tokens: Vec<FileToken>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tls {
    pub(super) certificate: Option<String>,
    pub(super) key: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileLimits {
    connections: Option<usize>,
    connections_before_welcome: Option<usize>,
    connections_per_principal: Option<usize>,
    open_databases: Option<usize>,
    operations_per_second: Option<u32>,
    failed_logins_per_minute: Option<u32>,
    heartbeat_seconds: Option<u32>,
    reconnect_jitter_seconds: Option<u32>,
    database_idle_seconds: Option<u32>,
    query_seconds: Option<u32>,
    query_rows: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileToken {
    principal: String,
    token: Option<String>,
    token_sha256: Option<String>,
    valid_until: Option<Datetime>,
    rights: Vec<FileGrant>,
}

impl core::fmt::Debug for FileToken {
    //= SEC-7
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "FileToken({:?}, ..)", self.principal)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileGrant {
    database: String,
    access: FileAccess,
    #[serde(default)]
    collections: std::collections::BTreeMap<String, FileAccess>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum FileAccess {
    None,
    Read,
    Write,
    ReadWrite,
}

impl From<FileAccess> for Access {
    fn from(access: FileAccess) -> Self {
        match access {
            FileAccess::None => Self::NONE,
            FileAccess::Read => Self::READ,
            FileAccess::Write => Self::WRITE,
            FileAccess::ReadWrite => Self::ALL,
        }
    }
}

impl File {
    pub(super) fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| file_error(path, format_args!("the configuration cannot be read: {error}")))?;
        // The message shows the line, and names the key and those that there are.
        toml::from_str(&text).map_err(|error| file_error(path, error.to_string().trim_end()))
    }
}

/// A token that may do everything, for who needs only one.
pub(super) fn all_rights(token: &str) -> Token {
    let indexes = CollectionName::new(INDEXES).map(|name| (name, Access::ALL));
    let collections = indexes.into_iter().collect();
    let grant = Grant { databases: Databases::new("*"), access: Access::ALL, collections };
    Token {
        principal: "owner".to_owned(),
        digest: Digest::of(token.as_bytes()),
        valid_until_ms: None,
        grants: vec![grant],
    }
}

impl FileToken {
    /// `place` says where it stands.
    pub(super) fn check(self, place: &str) -> Result<Token, ConfigError> {
        let digest = match (&self.token, &self.token_sha256) {
            (Some(token), None) if !token.is_empty() => Digest::of(token.as_bytes()),
            (None, Some(hex)) => Digest::from_hex(hex)
                .ok_or_else(|| ConfigError::at(place, "token_sha256 has 64 hex digits"))?,
            _ => return Err(ConfigError::at(place, "give either token or token_sha256")),
        };
        if self.principal.is_empty() || self.principal.chars().any(char::is_control) {
            return Err(ConfigError::at(place, "principal is a name, and has no control characters"));
        }
        if self.rights.is_empty() {
            let text = "rights is empty; as: rights = [{ database = \"*\", access = \"read-write\" }]";
            return Err(ConfigError::at(place, text));
        }
        let valid_until_ms = match &self.valid_until {
            Some(until) => Some(unix_ms(until).ok_or_else(|| {
                ConfigError::at(place, "valid_until is a time with its offset, as 2027-01-31T12:00:00Z")
            })?),
            None => None,
        };
        let grants = self.rights.into_iter().map(|grant| grant.check(place)).collect::<Result<_, _>>()?;
        Ok(Token { principal: self.principal, digest, valid_until_ms, grants })
    }
}

impl FileGrant {
    fn check(self, place: &str) -> Result<Grant, ConfigError> {
        let name = |(name, access): (String, FileAccess)| match CollectionName::new(&name) {
            Ok(name) => Ok((name, access.into())),
            Err(_) => {
                let text = format!("collections: {:?} is not the name of a collection", name);
                Err(ConfigError::at(place, text))
            }
        };
        let collections = self.collections.into_iter().map(name).collect::<Result<_, _>>()?;
        Ok(Grant { databases: Databases::new(&self.database), access: self.access.into(), collections })
    }
}

impl FileLimits {
    pub(super) fn check(self, in_file: &str) -> Result<Limits, ConfigError> {
        let defaults = Limits::default();
        let at_least_one = |value: Option<usize>, default: usize, key: &str| match value {
            Some(0) => Err(ConfigError::at(&format!("limits.{key}{in_file}"), "is at least 1")),
            value => Ok(value.unwrap_or(default)),
        };
        let heartbeat_seconds = self.heartbeat_seconds.unwrap_or(defaults.heartbeat_seconds);
        if Heartbeat::new(heartbeat_seconds.saturating_mul(1_000)).is_err() {
            let place = format!("limits.heartbeat_seconds{in_file}");
            return Err(ConfigError::at(&place, "is from 1 to 3600"));
        }
        let query_seconds = self.query_seconds.unwrap_or(defaults.query_seconds);
        let query_rows = self.query_rows.unwrap_or(defaults.query_rows);
        if query_seconds == 0 || query_rows == 0 {
            let key = if query_rows == 0 { "query_rows" } else { "query_seconds" };
            return Err(ConfigError::at(&format!("limits.{key}{in_file}"), "is at least 1"));
        }
        Ok(Limits {
            connections: at_least_one(self.connections, defaults.connections, "connections")?,
            connections_before_welcome: at_least_one(
                self.connections_before_welcome,
                defaults.connections_before_welcome,
                "connections_before_welcome",
            )?,
            connections_per_principal: at_least_one(
                self.connections_per_principal,
                defaults.connections_per_principal,
                "connections_per_principal",
            )?,
            open_databases: at_least_one(self.open_databases, defaults.open_databases, "open_databases")?,
            operations_per_second: self.operations_per_second.unwrap_or(defaults.operations_per_second),
            failed_logins_per_minute: self
                .failed_logins_per_minute
                .unwrap_or(defaults.failed_logins_per_minute),
            handshake_seconds: defaults.handshake_seconds,
            heartbeat_seconds,
            reconnect_jitter_seconds: self
                .reconnect_jitter_seconds
                .unwrap_or(defaults.reconnect_jitter_seconds),
            database_idle_seconds: self.database_idle_seconds.unwrap_or(defaults.database_idle_seconds),
            query_seconds,
            query_rows,
        })
    }
}

/// Unix time of a date and time with an offset.
fn unix_ms(time: &Datetime) -> Option<u64> {
    let (date, clock) = (time.date?, time.time?);
    let offset = match time.offset? {
        toml::value::Offset::Z => 0,
        toml::value::Offset::Custom { minutes } => i64::from(minutes),
    };
    // Days since 1970 of the proleptic Gregorian calendar, counted from March so that leap days come last.
    let (year, month) = (i64::from(date.year), i64::from(date.month));
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * year + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + i64::from(date.day)
        - 1
        - 719_468;
    let seconds = days * 86_400
        + i64::from(clock.hour) * 3_600
        + i64::from(clock.minute) * 60
        + i64::from(clock.second.unwrap_or(0))
        - offset * 60;
    u64::try_from(seconds).ok()?.checked_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let ms = |text: &str| unix_ms(&text.parse().unwrap());
        assert_eq!(ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(ms("2025-01-01T00:00:00Z"), Some(1_735_689_600_000));
        assert_eq!(ms("2024-02-29T23:59:59Z"), Some(1_709_251_199_000));
        assert_eq!(ms("2027-01-15T10:00:00+02:00"), Some(1_800_000_000_000));
        assert_eq!(ms("2027-01-15T10:00:00"), None);
        assert_eq!(ms("2027-01-15"), None);
        assert_eq!(ms("1960-01-15T10:00:00Z"), None);
    }
}
