//! Who may speak to this relay at all: a web page of another origin may not, nor one whose name was made to
//! lead to this machine (SPEC.md 16.4).

use core::net::IpAddr;

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue, Uri};

/// Anything goes.
const ANY: &str = "*";

/// Names and origins from the configuration.
#[derive(Debug)]
pub(crate) struct Guard {
    hosts: Vec<String>,
    origins: Vec<String>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Host,
    Origin,
}

impl Refusal {
    /// What was wrong and what to do, for who reads the answer.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::Host => {
                "This relay is not known by the name in the Host header. If it should be, add that name to \
                 `hosts` in its configuration, or to BLAZEDB_RELAY_HOSTS.\n"
            }
            Self::Origin => {
                "Web pages of this Origin may not use this relay. If they should, add it to `origins` in its \
                 configuration, or to BLAZEDB_RELAY_ORIGINS.\n"
            }
        }
    }
}

impl Guard {
    pub(crate) fn new(hosts: &[String], origins: &[String]) -> Self {
        let lower = |names: &[String]| names.iter().map(|name| name.to_ascii_lowercase()).collect();
        Self { hosts: lower(hosts), origins: lower(origins) }
    }

    /// Whether a request may be looked at.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        //= SEC-10
        let mut hosts = headers.get_all(HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let one = hosts.next().is_none();
        if !one
            || !host.is_some_and(|host| self.knows(host))
            || !uri.authority().is_none_or(|authority| self.knows(authority.as_str()))
        {
            return Err(Refusal::Host);
        }
        //= SEC-9
        let mut origins = headers.get_all(ORIGIN).iter();
        if !origins.all(|origin| self.lists(origin)) {
            return Err(Refusal::Origin);
        }
        Ok(())
    }

    /// Whether that is this relay, with or without a port.
    fn knows(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
            None => host.split_once(':').map_or(host, |(name, _)| name),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let is_loopback =
            name == "localhost" || name.parse().is_ok_and(|address: IpAddr| address.is_loopback());
        is_loopback || self.hosts.iter().any(|known| *known == name || known == ANY)
    }

    fn lists(&self, origin: &HeaderValue) -> bool {
        let Ok(origin) = origin.to_str() else { return false };
        self.origins.iter().any(|listed| listed.eq_ignore_ascii_case(origin) || listed == ANY)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_in_result, reason = "a test that fails says so here")]
mod tests {
    use super::*;

    fn check(guard: &Guard, uri: &str, headers: &[(axum::http::HeaderName, &str)]) -> Result<(), Refusal> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name, value.parse().unwrap());
        }
        guard.check(&uri.parse().unwrap(), &map)
    }

    #[test]
    fn hosts() {
        let guard = Guard::new(&["Relay.example.com".into()], &[]);
        for good in [
            "localhost",
            "localhost:7700",
            "LOCALHOST.",
            "127.0.0.1",
            "127.9.0.1:1",
            "[::1]:7700",
            "[::1]",
            "relay.example.com",
            "RELAY.example.com:443",
        ] {
            assert_eq!(check(&guard, "/sync", &[(HOST, good)]), Ok(()), "{good}");
        }
        for bad in
            ["evil.example.com", "localhost.evil.com", "10.0.0.1", "[::2]", "", "relay.example.com.evil"]
        {
            assert_eq!(check(&guard, "/sync", &[(HOST, bad)]), Err(Refusal::Host), "{bad}");
        }
        assert_eq!(check(&guard, "/sync", &[]), Err(Refusal::Host));
        assert_eq!(check(&guard, "/", &[(HOST, "localhost"), (HOST, "evil")]), Err(Refusal::Host));
        assert_eq!(check(&guard, "http://evil/sync", &[(HOST, "localhost")]), Err(Refusal::Host));
        assert_eq!(check(&Guard::new(&["*".into()], &[]), "/", &[(HOST, "any")]), Ok(()));
    }

    #[test]
    fn origins() {
        let guard = Guard::new(&[], &["https://App.example.com".into()]);
        let origin = |origin: &str| check(&guard, "/sync", &[(HOST, "localhost"), (ORIGIN, origin)]);
        assert_eq!(origin("https://app.example.com"), Ok(()));
        for bad in ["http://app.example.com", "https://app.example.com:444", "null", "", "http://localhost"] {
            assert_eq!(origin(bad), Err(Refusal::Origin), "{bad}");
        }
    }
}
