//! What who runs a relay can choose: flags before environment variables before a file before defaults.
//! A mistake is an error that names the key and where it stands; nothing is guessed, and no key that is not
//! known is passed over.

mod file;

use core::fmt;
use core::net::SocketAddr;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use axum::http::HeaderName;

use crate::auth::{Digest, Token};

/// Where a relay listens if nothing else is said: reachable from this machine only.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:7700";
/// Where databases are kept if nothing else is said: in the current folder.
pub const DEFAULT_DATA: &str = "blazedb-data";

/// The choices of who runs a relay, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The folder of the databases.
    pub data: PathBuf,
    /// Names by which clients may call this relay, besides those of the loopback (SEC-10); `*` for any.
    pub hosts: Vec<String>,
    /// Origins of web pages that may use it (SEC-9); `*` for any.
    pub origins: Vec<String>,
    /// Whether a database is made when a client that may use it names it.
    pub create_databases: bool,
    /// Who may do what. Without any the relay is open, which it may be on a loopback address only.
    pub tokens: Vec<Token>,
    /// Certificate and key, if the relay speaks TLS itself.
    pub tls: Option<TlsFiles>,
    /// The header in which a proxy before this relay says its client's address, as `x-forwarded-for`; the
    /// last address in it counts. To be set only if every request comes through that proxy.
    pub address_header: Option<String>,
    /// What has to be shown to read `/metrics` from another machine.
    pub metrics_token: Option<Digest>,
    /// What is logged, as `info` or `blazedb_relay_server=debug`.
    pub log: String,
    /// How.
    pub log_format: LogFormat,
    /// How much.
    pub limits: Limits,
}

/// Files in PEM form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those that lead from it to an authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The form of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// A JSON object a line.
    Json,
}

/// What a relay takes at most. The relay's own defaults apply to what is not here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections in all.
    pub connections: usize,
    /// Connections whose client did not say yet who it is, HTTP ones included.
    pub connections_before_welcome: usize,
    /// Connections of one principal.
    pub connections_per_principal: usize,
    /// Databases open at once.
    pub open_databases: usize,
    /// Operations that one connection may push in a second; 0 for no limit.
    pub operations_per_second: u32,
    /// Failed logins of one address in a minute; beyond, it has to wait (SEC-3). 0 for no limit.
    pub failed_logins_per_minute: u32,
    /// Seconds for a handshake, of TLS, of HTTP and of the relay's protocol. It is 10 in SPEC.md 10.2, and
    /// less only where a test waits for its end.
    pub handshake_seconds: u32,
    /// Seconds between signs of life of a connection.
    pub heartbeat_seconds: u32,
    /// Seconds over which clients are spread that come back after a restart.
    pub reconnect_jitter_seconds: u32,
    /// Seconds after which a database without connections is closed.
    pub database_idle_seconds: u32,
    /// Seconds that a query may take.
    pub query_seconds: u32,
    /// Records that a query may look at.
    pub query_rows: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 100_000,
            connections_before_welcome: 10_000,
            connections_per_principal: 10_000,
            open_databases: 1_000,
            operations_per_second: 0,
            failed_logins_per_minute: 30,
            handshake_seconds: 10,
            heartbeat_seconds: 30,
            reconnect_jitter_seconds: 30,
            database_idle_seconds: 600,
            query_seconds: 5,
            query_rows: 1_000_000,
        }
    }
}

impl Config {
    /// A relay on `listen` with its databases in `data`, and defaults for the rest.
    #[must_use]
    pub fn new(listen: SocketAddr, data: PathBuf) -> Self {
        Self {
            listen,
            data,
            hosts: Vec::new(),
            origins: Vec::new(),
            create_databases: true,
            tokens: Vec::new(),
            tls: None,
            address_header: None,
            metrics_token: None,
            log: "info".to_owned(),
            log_format: LogFormat::Text,
            limits: Limits::default(),
        }
    }
}

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--log`.
    pub log: Option<String>,
}

/// A mistake in a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError(String);

impl ConfigError {
    pub(crate) fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// `place` says where the value stands, as `--listen` or `listen in relay.toml`.
    fn at(place: &str, text: impl fmt::Display) -> Self {
        Self(format!("{place}: {text}"))
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for ConfigError {}

/// The environment variables that are looked at, each with the key of the file that it replaces.
pub const VARIABLES: [(&str, &str); 12] = [
    ("BLAZEDB_RELAY_CONFIG", "the file itself"),
    ("BLAZEDB_RELAY_LISTEN", "listen"),
    ("BLAZEDB_RELAY_DATA", "data"),
    ("BLAZEDB_RELAY_HOSTS", "hosts, separated by commas"),
    ("BLAZEDB_RELAY_ORIGINS", "origins, separated by commas"),
    ("BLAZEDB_RELAY_ADDRESS_HEADER", "address_header"),
    ("BLAZEDB_RELAY_TOKEN", "one token with all rights, besides those of the file"),
    ("BLAZEDB_RELAY_METRICS_TOKEN", "metrics_token"),
    ("BLAZEDB_RELAY_TLS_CERTIFICATE", "tls.certificate"),
    ("BLAZEDB_RELAY_TLS_KEY", "tls.key"),
    ("BLAZEDB_RELAY_LOG", "log"),
    ("BLAZEDB_RELAY_LOG_FORMAT", "log_format"),
];

/// A value, and where it stands.
struct Found<T> {
    value: T,
    place: String,
}

impl Config {
    /// Puts together what flags, environment and file say.
    ///
    /// # Errors
    /// The first mistake.
    pub fn load(flags: &Flags, environment: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        let variable = |name: &str| match environment(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => match value.into_string() {
                Ok(value) => Ok(Some(Found { value, place: name.to_owned() })),
                Err(_) => Err(ConfigError::at(name, "this is not UTF-8")),
            },
        };
        let flag = |value: Option<&str>, name: &str| {
            value.map(|value| Found { value: value.to_owned(), place: name.to_owned() })
        };
        let path = match &flags.config {
            Some(path) => Some(path.clone()),
            None => variable("BLAZEDB_RELAY_CONFIG")?.map(|found| found.value.into()),
        };
        let (file, in_file) = match &path {
            Some(path) => (file::File::read(path)?, format!(" in {}", path.display())),
            None => Default::default(),
        };
        let setting = |flag: Option<Found<String>>, name: &str, key: &str, value: Option<String>| {
            let of_file = value.map(|value| Found { value, place: format!("{key}{in_file}") });
            Ok(match flag {
                Some(flag) => Some(flag),
                None => variable(name)?.or(of_file),
            })
        };
        let list = |name: &str, of_file: Option<Vec<String>>| {
            Ok(match variable(name)? {
                Some(found) => found.value.split(',').map(|item| item.trim().to_owned()).collect(),
                None => of_file.unwrap_or_default(),
            })
        };

        let mut config = Self::new(SocketAddr::from(([127, 0, 0, 1], 7_700)), DEFAULT_DATA.into());
        let listen = setting(
            flag(flags.listen.as_deref(), "--listen"),
            "BLAZEDB_RELAY_LISTEN",
            "listen",
            file.listen,
        )?;
        if let Some(Found { value, place }) = listen {
            config.listen = value.parse().map_err(|_| {
                let what = "is not an address and a port, as 127.0.0.1:7700 or [::1]:7700";
                ConfigError::at(&place, format_args!("{} {what}", value.escape_debug()))
            })?;
        }
        if let Some(data) = flags.data.clone() {
            config.data = data;
        } else if let Some(found) = setting(None, "BLAZEDB_RELAY_DATA", "data", file.data)? {
            config.data = found.value.into();
        }
        let log = setting(flag(flags.log.as_deref(), "--log"), "BLAZEDB_RELAY_LOG", "log", file.log)?;
        if let Some(Found { value, place }) = log {
            crate::logs::check(&value).map_err(|error| ConfigError::at(&place, error))?;
            config.log = value;
        }
        if let Some(Found { value, place }) =
            setting(None, "BLAZEDB_RELAY_LOG_FORMAT", "log_format", file.log_format)?
        {
            config.log_format = match value.as_str() {
                "text" => LogFormat::Text,
                "json" => LogFormat::Json,
                _ => return Err(ConfigError::at(&place, "write text or json")),
            };
        }
        config.hosts = list("BLAZEDB_RELAY_HOSTS", file.hosts)?;
        config.origins = list("BLAZEDB_RELAY_ORIGINS", file.origins)?;
        config.create_databases = file.create_databases.unwrap_or(true);
        let metrics_token =
            setting(None, "BLAZEDB_RELAY_METRICS_TOKEN", "metrics_token", file.metrics_token)?;
        config.metrics_token = metrics_token.map(|found| Digest::of(found.value.as_bytes()));

        let address_header =
            setting(None, "BLAZEDB_RELAY_ADDRESS_HEADER", "address_header", file.address_header)?;
        config.address_header = address_header.map(|found| found.value);
        config.address_header()?;

        for (index, token) in file.tokens.into_iter().enumerate() {
            config.tokens.push(token.check(&format!("tokens[{index}]{in_file}"))?);
        }
        if let Some(found) = variable("BLAZEDB_RELAY_TOKEN")? {
            config.tokens.push(file::all_rights(&found.value));
        }
        let (certificate, key) = file.tls.map(|tls| (tls.certificate, tls.key)).unwrap_or_default();
        let certificate = setting(None, "BLAZEDB_RELAY_TLS_CERTIFICATE", "tls.certificate", certificate)?;
        let key = setting(None, "BLAZEDB_RELAY_TLS_KEY", "tls.key", key)?;
        config.tls = match (certificate, key) {
            (Some(certificate), Some(key)) => {
                Some(TlsFiles { certificate: certificate.value.into(), key: key.value.into() })
            }
            (None, None) => None,
            (Some(found), None) => {
                return Err(ConfigError::at(&found.place, "give the key too: tls.key"));
            }
            (None, Some(found)) => {
                return Err(ConfigError::at(&found.place, "give the certificate too: tls.certificate"));
            }
        };
        if let Some(limits) = file.limits {
            config.limits = limits.check(&in_file)?;
        }
        config.check()?;
        Ok(config)
    }

    /// The header's name, for HTTP.
    pub(crate) fn address_header(&self) -> Result<Option<HeaderName>, ConfigError> {
        let Some(name) = &self.address_header else { return Ok(None) };
        HeaderName::try_from(name).map(Some).map_err(|_| {
            let text =
                format_args!("{} is not the name of a header, as x-forwarded-for", name.escape_debug());
            ConfigError::at("address_header", text)
        })
    }

    /// What no single value shows.
    ///
    /// # Errors
    /// If the relay would be open to other machines.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.tokens.is_empty() && !self.listen.ip().is_loopback() {
            return Err(ConfigError::new(format!(
                "listen: {} can be reached from other machines, and without tokens anyone there could read \
                 and write everything. Add a [[tokens]] entry to the configuration file or set \
                 BLAZEDB_RELAY_TOKEN; or listen on 127.0.0.1",
                self.listen
            )));
        }
        Ok(())
    }
}

fn file_error(path: &Path, text: impl fmt::Display) -> ConfigError {
    ConfigError(format!("{}: {text}", path.display()))
}

#[cfg(test)]
#[allow(clippy::unwrap_in_result, reason = "a test that fails says so here")]
mod tests;
