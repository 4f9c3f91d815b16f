//! What the relay counts, and how it is shown to Prometheus. Every set of labels is bounded: codes are
//! those of the protocol, and databases beyond [`NAMED_DATABASES`] are added up.

use core::fmt::Write;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use blazedb_relay::registry::ErrorCode;

/// Databases that have a label of their own. A hundred lines are read in one look and scraped in one packet
/// train; a relay with more has its own dashboard for them.
const NAMED_DATABASES: usize = 100;

/// A number that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A number that grows and shrinks.
#[derive(Debug, Default)]
pub(crate) struct Gauge(AtomicI64);

impl Gauge {
    pub(crate) fn add(&self, count: i64) -> i64 {
        self.0.fetch_add(count, Relaxed) + count
    }

    pub(crate) fn plus(&self, count: usize) {
        self.add(i64::try_from(count).unwrap_or(i64::MAX));
    }

    pub(crate) fn subtract(&self, count: usize) {
        self.add(i64::try_from(count).unwrap_or(i64::MAX).wrapping_neg());
    }

    pub(crate) fn set(&self, count: usize) {
        self.0.store(i64::try_from(count).unwrap_or(i64::MAX), Relaxed);
    }

    pub(crate) fn get(&self) -> i64 {
        self.0.load(Relaxed)
    }
}

/// How often a measured number was at most each of these.
#[derive(Debug)]
pub(crate) struct Histogram<const N: usize> {
    bounds: [f64; N],
    counts: [AtomicU64; N],
    beyond: AtomicU64,
    /// In millionths, so that an integer can hold it.
    sum: AtomicU64,
}

impl<const N: usize> Histogram<N> {
    fn new(bounds: [f64; N]) -> Self {
        Self {
            bounds,
            counts: core::array::from_fn(|_| AtomicU64::new(0)),
            beyond: AtomicU64::new(0),
            sum: AtomicU64::new(0),
        }
    }

    /// Takes one measured number.
    pub(crate) fn observe(&self, value: f64) {
        let index = self.bounds.partition_point(|bound| *bound < value);
        self.counts.get(index).unwrap_or(&self.beyond).fetch_add(1, Relaxed);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers here are small")]
        self.sum.fetch_add((value * 1e6) as u64, Relaxed);
    }

    /// Takes a measured time.
    pub(crate) fn time(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    fn show(&self, out: &mut String, name: &str, help: &str) {
        head(out, name, help, "histogram");
        let mut total = 0;
        for (bound, count) in self.bounds.iter().zip(&self.counts) {
            total += count.load(Relaxed);
            line(out, format_args!("{name}_bucket{{le=\"{bound}\"}} {total}"));
        }
        total += self.beyond.load(Relaxed);
        line(out, format_args!("{name}_bucket{{le=\"+Inf\"}} {total}"));
        #[allow(clippy::cast_precision_loss, reason = "a sum for people")]
        let sum = self.sum.load(Relaxed) as f64 / 1e6;
        line(out, format_args!("{name}_sum {sum}"));
        line(out, format_args!("{name}_count {total}"));
    }
}

/// Times from a fast disk's commit to what nobody waits for.
const SECONDS: [f64; 14] =
    [0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];
/// Sizes of what one commit makes durable.
const SIZES: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0];

/// What is known of an open database.
#[derive(Clone, Debug, Default)]
pub(crate) struct DatabaseStatus {
    /// The seq of its last operation.
    pub(crate) head: u64,
    /// Whether its last write failed.
    pub(crate) failing: bool,
}

/// All numbers of a server.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) started: Instant,
    /// WebSocket connections, welcomed or not.
    pub(crate) connections: Gauge,
    /// Transports that have not become WebSockets yet, HTTP clients included.
    pub(crate) transports: Gauge,
    pub(crate) connections_total: Counter,
    /// Transports closed at once because there were too many.
    pub(crate) turned_away: Counter,
    pub(crate) refused_origin: Counter,
    pub(crate) refused_host: Counter,
    pub(crate) refused_upgrade: Counter,
    pub(crate) request_timeouts: Counter,
    pub(crate) tls_failures: Counter,
    pub(crate) authentication_failures: Counter,
    /// Logins that were not looked at.
    pub(crate) logins_refused: Counter,
    pub(crate) websocket_violations: Counter,
    pub(crate) received_bytes: Counter,
    pub(crate) sent_bytes: Counter,
    pub(crate) operations_in: Counter,
    pub(crate) operations_out: Counter,
    /// From the arrival of a push to its ack.
    pub(crate) ack_seconds: Histogram<14>,
    pub(crate) commit_seconds: Histogram<14>,
    pub(crate) commit_operations: Histogram<9>,
    pub(crate) open_failures: Counter,
    pub(crate) commit_failures: Counter,
    pub(crate) logs_lost: Counter,
    /// How long queries ran, without what they waited for.
    pub(crate) query_seconds: Histogram<14>,
    pub(crate) queries_failed: Counter,
    /// Inputs that wait for the hub, and their bytes.
    pub(crate) inbox: Gauge,
    pub(crate) inbox_bytes: Gauge,
    /// Bytes that wait for transports.
    pub(crate) outbox_bytes: Gauge,
    /// Questions to the store without an answer.
    pub(crate) store_jobs: Gauge,
    /// Connections that ended by an error, by its code.
    closed: Mutex<BTreeMap<u16, u64>>,
    databases: Mutex<BTreeMap<String, DatabaseStatus>>,
    /// Databases that could not be opened when it was last tried; not more than have a label.
    unopened: Mutex<BTreeSet<String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Metrics {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            connections: Gauge::default(),
            transports: Gauge::default(),
            connections_total: Counter::default(),
            turned_away: Counter::default(),
            refused_origin: Counter::default(),
            refused_host: Counter::default(),
            refused_upgrade: Counter::default(),
            request_timeouts: Counter::default(),
            tls_failures: Counter::default(),
            authentication_failures: Counter::default(),
            logins_refused: Counter::default(),
            websocket_violations: Counter::default(),
            received_bytes: Counter::default(),
            sent_bytes: Counter::default(),
            operations_in: Counter::default(),
            operations_out: Counter::default(),
            ack_seconds: Histogram::new(SECONDS),
            commit_seconds: Histogram::new(SECONDS),
            commit_operations: Histogram::new(SIZES),
            open_failures: Counter::default(),
            commit_failures: Counter::default(),
            logs_lost: Counter::default(),
            query_seconds: Histogram::new(SECONDS),
            queries_failed: Counter::default(),
            inbox: Gauge::default(),
            inbox_bytes: Gauge::default(),
            outbox_bytes: Gauge::default(),
            store_jobs: Gauge::default(),
            closed: Mutex::default(),
            databases: Mutex::default(),
            unopened: Mutex::default(),
        }
    }

    /// A connection ended by that error.
    pub(crate) fn closed(&self, code: ErrorCode) {
        *lock(&self.closed).entry(code.0).or_default() += 1;
    }

    /// A database was opened, or something in it changed.
    pub(crate) fn database(&self, name: &str, change: impl FnOnce(&mut DatabaseStatus)) {
        let mut databases = lock(&self.databases);
        match databases.get_mut(name) {
            Some(status) => change(status),
            None => change(databases.entry(name.to_owned()).or_default()),
        }
    }

    /// A database could not be opened.
    pub(crate) fn not_opened(&self, name: &str) {
        self.open_failures.add(1);
        let mut unopened = lock(&self.unopened);
        if unopened.len() < NAMED_DATABASES {
            unopened.insert(name.to_owned());
        }
    }

    /// A database was opened.
    pub(crate) fn opened(&self, name: &str, head: u64) {
        lock(&self.unopened).remove(name);
        self.database(name, |status| status.head = head);
    }

    /// Those that could not be opened when it was last tried.
    pub(crate) fn unopened(&self) -> BTreeSet<String> {
        lock(&self.unopened).clone()
    }

    /// A database was closed.
    pub(crate) fn database_closed(&self, name: &str) {
        lock(&self.databases).remove(name);
    }

    /// All open databases.
    pub(crate) fn databases(&self) -> BTreeMap<String, DatabaseStatus> {
        lock(&self.databases).clone()
    }

    /// Everything, as Prometheus reads it.
    pub(crate) fn show(&self) -> String {
        let mut out = String::with_capacity(8 * 1_024);
        let counters: [(&str, &str, &Counter); 18] = [
            ("connections_total", "WebSocket connections taken.", &self.connections_total),
            ("transports_turned_away_total", "Closed at once: too many.", &self.turned_away),
            ("refused_origin_total", "Requests whose Origin is not configured.", &self.refused_origin),
            ("refused_host_total", "Requests whose Host is not configured.", &self.refused_host),
            ("refused_upgrade_total", "Upgrades that were not for this protocol.", &self.refused_upgrade),
            ("request_timeouts_total", "Closed: no whole request came in time.", &self.request_timeouts),
            ("tls_failures_total", "TLS handshakes that failed.", &self.tls_failures),
            (
                "authentication_failures_total",
                "Unknown, missing or outdated tokens.",
                &self.authentication_failures,
            ),
            (
                "logins_refused_total",
                "Not looked at: too many from the address failed.",
                &self.logins_refused,
            ),
            (
                "websocket_violations_total",
                "Connections that broke the WebSocket protocol.",
                &self.websocket_violations,
            ),
            ("received_bytes_total", "Bytes received on WebSockets.", &self.received_bytes),
            ("sent_bytes_total", "Bytes sent on WebSockets.", &self.sent_bytes),
            ("operations_received_total", "Operations made durable.", &self.operations_in),
            ("operations_sent_total", "Operations delivered.", &self.operations_out),
            ("open_failures_total", "Databases that could not be opened.", &self.open_failures),
            ("commit_failures_total", "Commits that certainly had no effect.", &self.commit_failures),
            ("logs_lost_total", "Commits of unknown outcome; the log was opened anew.", &self.logs_lost),
            ("queries_failed_total", "Queries answered with an error.", &self.queries_failed),
        ];
        for (name, help, counter) in counters {
            single(&mut out, name, help, "counter", counter.get());
        }
        let gauges: [(&str, &str, &Gauge); 6] = [
            ("connections", "WebSocket connections open now.", &self.connections),
            ("transports", "Transports that are not WebSockets (yet).", &self.transports),
            ("inbox_messages", "Inputs waiting for the relay.", &self.inbox),
            ("inbox_bytes", "Their bytes.", &self.inbox_bytes),
            ("outbox_bytes", "Bytes waiting for transports.", &self.outbox_bytes),
            ("store_jobs", "Questions to the store without an answer.", &self.store_jobs),
        ];
        for (name, help, gauge) in gauges {
            single(&mut out, name, help, "gauge", gauge.get());
        }
        single(&mut out, "uptime_seconds", "Since the start.", "gauge", self.started.elapsed().as_secs());
        self.ack_seconds.show(&mut out, "blazedb_relay_ack_seconds", "From push to durable ack.");
        self.commit_seconds.show(&mut out, "blazedb_relay_commit_seconds", "Duration of commits.");
        self.query_seconds.show(&mut out, "blazedb_relay_query_seconds", "Duration of queries.");
        self.commit_operations.show(
            &mut out,
            "blazedb_relay_commit_operations",
            "Operations that one commit makes durable.",
        );
        self.show_closed(&mut out);
        self.show_databases(&mut out);
        out
    }

    fn show_closed(&self, out: &mut String) {
        let name = "blazedb_relay_closed_total";
        head(out, name, "Connections ended by an error, by its code.", "counter");
        for (code, count) in &*lock(&self.closed) {
            let code = ErrorCode(*code).name().unwrap_or("UNKNOWN");
            line(out, format_args!("{name}{{code=\"{code}\"}} {count}"));
        }
    }

    fn show_databases(&self, out: &mut String) {
        let databases = self.databases();
        single(out, "databases", "Open databases.", "gauge", databases.len());
        let failing = databases.values().filter(|status| status.failing).count() + self.unopened().len();
        single(out, "databases_failing", "Last write failed, or not to be opened.", "gauge", failing);
        let name = "blazedb_relay_database_head";
        head(out, name, "The seq of a database's last operation.", "gauge");
        // Names hold no character that a label would have to escape (MSG-10).
        for (database, status) in databases.iter().take(NAMED_DATABASES) {
            line(out, format_args!("{name}{{database=\"{database}\"}} {}", status.head));
        }
    }
}

fn single(out: &mut String, name: &str, help: &str, kind: &str, value: impl core::fmt::Display) {
    let name = format!("blazedb_relay_{name}");
    head(out, &name, help, kind);
    line(out, format_args!("{name} {value}"));
}

fn head(out: &mut String, name: &str, help: &str, kind: &str) {
    line(out, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}"));
}

fn line(out: &mut String, text: core::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _ = out.write_fmt(text);
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_prometheus_sees() {
        let metrics = Metrics::new();
        metrics.connections.add(3);
        metrics.commit_operations.observe(1.0);
        metrics.commit_operations.observe(3.0);
        metrics.commit_operations.observe(2e6);
        metrics.closed(ErrorCode::OUT_OF_STEP);
        metrics.database("app", |status| status.head = 7);
        let shown = metrics.show();
        for line in [
            "# TYPE blazedb_relay_connections gauge",
            "blazedb_relay_connections 3",
            "blazedb_relay_commit_operations_bucket{le=\"1\"} 1",
            "blazedb_relay_commit_operations_bucket{le=\"5\"} 2",
            "blazedb_relay_commit_operations_bucket{le=\"+Inf\"} 3",
            "blazedb_relay_commit_operations_sum 2000004",
            "blazedb_relay_closed_total{code=\"OUT_OF_STEP\"} 1",
            "blazedb_relay_database_head{database=\"app\"} 7",
        ] {
            assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
        }
    }

    #[test]
    fn databases_with_a_label_are_bounded() {
        let metrics = Metrics::new();
        for number in 0..NAMED_DATABASES + 5 {
            metrics.database(&format!("db-{number:03}"), |_| {});
        }
        let shown = metrics.show();
        assert_eq!(shown.matches("database_head{").count(), NAMED_DATABASES);
        assert!(shown.contains("blazedb_relay_databases 105\n"));
    }
}
