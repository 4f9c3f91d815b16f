//! Failed logins, counted by address (SEC-3): who guesses tokens gets few tries in a minute.
//!
//! Each failure costs an address a share of a minute; one that owes a whole minute has to wait. So for an
//! address one time is kept, at which it owes nothing any more, and only until then.

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// What an address may owe.
const MINUTE: u64 = 60_000;
/// Addresses that are kept: a megabyte or so. When there are more, those that owe least are forgotten; an
/// attacker who has so many addresses is not stopped by counting them.
const ADDRESSES: usize = 10_000;

/// Whose failures are counted together: an address of IPv4, or what one customer gets of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Source(IpAddr);

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self(address.into()),
            IpAddr::V6(address) => {
                let prefix = u128::from(address) & !u128::from(u64::MAX);
                Self(Ipv6Addr::from(prefix).into())
            }
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V4(address) => write!(f, "{address}"),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

/// Who failed lately.
#[derive(Debug)]
pub(crate) struct Logins {
    started: Instant,
    /// Milliseconds that a failure costs; 0 for nothing.
    cost: u64,
    owing: Mutex<Owing>,
}

/// When each address owes nothing any more, in milliseconds.
#[derive(Debug, Default)]
struct Owing {
    until: HashMap<Source, u64>,
    /// The same, in the order of time.
    order: BTreeSet<(u64, Source)>,
}

impl Logins {
    /// Allows about that many failures of an address in a minute; with 0 any number.
    pub(crate) fn new(a_minute: u32) -> Self {
        let cost = MINUTE.checked_div(u64::from(a_minute)).map_or(0, |cost| cost.max(1));
        Self { started: Instant::now(), cost, owing: Mutex::default() }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether a login of that address is looked at; if not, how long it has to wait. A source that is not
    /// known is never refused.
    pub(crate) fn check(&self, source: Option<Source>) -> Result<(), Duration> {
        let Some(source) = source else { return Ok(()) };
        let now = self.now();
        self.owing.lock().unwrap_or_else(PoisonError::into_inner).check(source, now, self.cost)
    }

    /// A login of that address failed.
    pub(crate) fn failed(&self, source: Option<Source>) {
        if let Some(source) = source.filter(|_| self.cost > 0) {
            let now = self.now();
            let mut owing = self.owing.lock().unwrap_or_else(PoisonError::into_inner);
            owing.add(source, now, self.cost);
            if owing.check(source, now, self.cost).is_err() {
                drop(owing);
                tracing::warn!(%source, "too many failed logins; further ones from there have to wait");
            }
        }
    }
}

impl Owing {
    fn check(&self, source: Source, now: u64, cost: u64) -> Result<(), Duration> {
        let owed = self.until.get(&source).map_or(0, |until| until.saturating_sub(now));
        match (owed + cost).checked_sub(MINUTE) {
            None | Some(0) => Ok(()),
            Some(wait) => Err(Duration::from_millis(wait)),
        }
    }

    fn add(&mut self, source: Source, now: u64, cost: u64) {
        while let Some((until, source)) = self.order.first().copied().filter(|(until, _)| *until <= now) {
            self.order.remove(&(until, source));
            self.until.remove(&source);
        }
        let before = self.until.get(&source).copied();
        if let Some(until) = before {
            self.order.remove(&(until, source));
        } else if self.until.len() >= ADDRESSES
            && let Some((_, least)) = self.order.pop_first()
        {
            self.until.remove(&least);
        }
        // What many connections do at once counts no more than a minute.
        let until = before.unwrap_or(now).saturating_add(cost).min(now.saturating_add(MINUTE));
        self.until.insert(source, until);
        self.order.insert((until, source));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::of(text.parse().unwrap())
    }

    //= SEC-3 test
    #[test]
    fn failures_cost_time() {
        let (ann, bob) = (source("192.0.2.1"), source("192.0.2.2"));
        let mut owing = Owing::default();
        let cost = 20_000;
        for now in [0, 10, 20] {
            assert_eq!(owing.check(ann, now, cost), Ok(()));
            owing.add(ann, now, cost);
        }
        assert_eq!(owing.check(ann, 20, cost), Err(Duration::from_millis(19_980)));
        assert_eq!(owing.check(bob, 20, cost), Ok(()));
        assert_eq!(owing.check(ann, 20_000, cost), Ok(()));
        owing.add(ann, 20_000, cost);
        // However many failed at once: a share of the minute later there is another try.
        (0..100).for_each(|_| owing.add(ann, 20_000, cost));
        assert_eq!(owing.check(ann, 20_000, cost), Err(Duration::from_millis(20_000)));
        assert_eq!(owing.check(ann, 40_000, cost), Ok(()));
        owing.add(bob, 80_000, cost);
        assert_eq!(owing.until.len(), 1, "who owes nothing is forgotten");
    }

    #[test]
    fn memory_is_bounded() {
        let mut owing = Owing::default();
        let worst = source("198.51.100.1");
        (0..3).for_each(|_| owing.add(worst, 0, 20_000));
        for number in 0..3 * ADDRESSES {
            let address = IpAddr::from(u32::try_from(number).unwrap().to_be_bytes());
            owing.add(Source::of(address), 0, 20_000);
        }
        assert_eq!((owing.until.len(), owing.order.len()), (ADDRESSES, ADDRESSES));
        assert!(owing.check(worst, 0, 20_000).is_err(), "who owes most is not forgotten");
    }

    #[test]
    fn what_is_one_source() {
        assert_eq!(source("2001:db8::1"), source("2001:db8::ffff:2"));
        assert_ne!(source("2001:db8::1"), source("2001:db8:0:1::1"));
        assert_eq!(source("::ffff:192.0.2.1"), source("192.0.2.1"));
        assert_eq!(source("2001:db8::1").to_string(), "2001:db8::/64");
    }

    #[test]
    fn without_a_limit_nothing_is_kept() {
        let logins = Logins::new(0);
        (0..100).for_each(|_| logins.failed(Some(source("192.0.2.1"))));
        assert_eq!(logins.check(Some(source("192.0.2.1"))), Ok(()));
        assert!(logins.owing.lock().unwrap().until.is_empty());
    }
}
