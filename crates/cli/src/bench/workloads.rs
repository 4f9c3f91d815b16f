//! What is measured.

use core::time::Duration;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use blazedb_relay::wire::Position;

use super::process::{Server, Stopwatch, Used};
use super::wire::{Wire, node, push, subscribe};
use super::{Report, library, ops};
use crate::args::{Bench, Workload};
use crate::numbers::percentile;

/// Operations of a block, where they are pushed in blocks.
const BLOCK: u64 = 100;
/// Operations and pushes under way; less than the relay allows.
const UNDER_WAY: u64 = 10_000;
const PUSHES_UNDER_WAY: u64 = 500;
/// The node that writes, and the first of those that read.
const WRITER: u128 = 1;
const READERS: u128 = 1_000;
/// The database that is used.
const APP: &str = "app";

/// Measures one workload, with the relay's data in the folder.
pub(super) fn run(workload: Workload, args: &Bench, folder: &Path, report: &mut Report) -> Result<()> {
    match workload {
        Workload::Throughput => throughput(folder, args.ops, report),
        Workload::Library => library::run(folder, args.ops / 10, report),
        Workload::Latency => latency(folder, report),
        Workload::FanOut => fan_out(folder, args.subscribers, report),
        Workload::Idle => idle(folder, args.connections, report),
        Workload::CatchUp => catch_up(folder, report),
        Workload::Kill => kill(folder, report),
        Workload::Active => active(folder, args.subscribers, args.seconds, report),
    }
}

/// Pushes of a writer, `count` operations in blocks of `size`.
fn pushes(count: u64, size: u64) -> Result<Vec<Vec<u8>>> {
    let firsts = (1..=count).step_by(usize::try_from(size)?);
    firsts.map(|first| push(first, &ops::block(node(WRITER)?, first, size.min(count + 1 - first))?)).collect()
}

/// Sends pushes of `size` operations each, with a bounded number of them under way; until all are durable.
fn push_all(writer: &mut Wire, pushes: &[Vec<u8>], size: u64) -> Result<()> {
    let (mut sent, mut acked) = (0, 0);
    for push in pushes {
        while sent - acked >= UNDER_WAY.min(PUSHES_UNDER_WAY * size) {
            acked += writer.acks()?;
        }
        writer.send(push)?;
        sent += size;
    }
    while acked < sent {
        acked += writer.acks()?;
    }
    Ok(())
}

/// Operations in a time, for one second.
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn rate(count: u64, used: &Used) -> f64 {
    count as f64 / used.seconds
}

/// One pushes as fast as it can, until another one has all.
fn throughput(folder: &Path, count: u64, report: &mut Report) -> Result<()> {
    let count = count.next_multiple_of(BLOCK).max(BLOCK);
    let pushes = pushes(count, BLOCK)?;
    let server = Server::start(folder)?;
    let mut writer = Wire::open(server.address, APP, WRITER)?;
    let mut reader = Wire::open(server.address, APP, READERS)?;
    reader.send(&subscribe(reader.head())?)?;
    let watch = Stopwatch::start(&server)?;
    let reading = thread::spawn(move || -> Result<()> {
        let mut delivered = 0;
        while delivered < count {
            delivered += reader.deliver()?;
        }
        Ok(())
    });
    push_all(&mut writer, &pushes, BLOCK)?;
    let durable = watch.read(&server)?;
    reading.join().map_err(|_| anyhow!("the reader failed"))??;
    let delivered = watch.read(&server)?;
    let what = format!("{count} ops by {BLOCK}, synced before their acks");
    report.add("throughput", what, rate(count, &durable), "ops/s", Some(durable))?;
    let what = "... until another client has them all";
    report.add("throughput", what, rate(count, &delivered), "ops/s", Some(delivered))?;
    let what = "... processor time of the relay for each";
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    report.add("throughput", what, delivered.server * 1e6 / count as f64, "µs", None)?;
    server.stop()?;
    let server = Server::start(folder)?;
    Wire::open(server.address, APP, READERS + 1)?;
    let what = "start until it listens, with all of them on disk";
    report.add("throughput", what, server.ready.as_secs_f64(), "s", None)
}

/// An operation every five milliseconds, to another client that waits for it.
fn latency(folder: &Path, report: &mut Report) -> Result<()> {
    const COUNT: u64 = 1_000;
    const EVERY: Duration = Duration::from_millis(5);
    let pushes = pushes(COUNT, 1)?;
    let mut disk = syncs(folder, 200)?;
    let server = Server::start(folder)?;
    let mut writer = Wire::open(server.address, APP, WRITER)?;
    let mut reader = Wire::open(server.address, APP, READERS)?;
    reader.send(&subscribe(reader.head())?)?;
    let mut sender = writer.sender()?;
    let watch = Stopwatch::start(&server)?;
    let acks = thread::spawn(move || -> Result<Vec<Instant>> { arrivals(COUNT, || writer.acks()) });
    let deliveries = thread::spawn(move || -> Result<Vec<Instant>> { arrivals(COUNT, || reader.deliver()) });
    let mut sent = Vec::new();
    let begun = Instant::now();
    for (push, number) in pushes.iter().zip(0..) {
        thread::sleep((begun + EVERY * number).saturating_duration_since(Instant::now()));
        sent.push(Instant::now());
        sender.send(push)?;
    }
    let acked = acks.join().map_err(|_| anyhow!("the writer failed"))??;
    let delivered = deliveries.join().map_err(|_| anyhow!("the reader failed"))??;
    let used = watch.read(&server)?;
    drop(server);
    disk.extend(syncs(folder, 200)?);
    let times = |then: &[Instant]| -> Vec<f64> {
        then.iter().zip(&sent).map(|(then, sent)| (*then - *sent).as_secs_f64()).collect()
    };
    let mut rows = |what: &str, mut times: Vec<f64>, used| -> Result<()> {
        times.sort_by(f64::total_cmp);
        report.add("latency", format!("{what}, p50"), 1e3 * at(&times, 50)?, "ms", used)?;
        report.add("latency", format!("{what}, p99"), 1e3 * at(&times, 99)?, "ms", None)
    };
    rows("fdatasync of an appended file", disk, None)?;
    rows("an op every 5 ms until its durable ack", times(&acked), Some(used))?;
    rows("... until another client has it", times(&delivered), None)
}

/// When each of `count` operations came, in their order.
fn arrivals(count: u64, mut next: impl FnMut() -> Result<u64>) -> Result<Vec<Instant>> {
    let mut times = Vec::new();
    while (times.len() as u64) < count {
        let ops = next()?;
        let now = Instant::now();
        times.extend((0..ops).map(|_| now));
    }
    Ok(times)
}

/// Seconds that the disk takes to keep what is appended to a file.
fn syncs(folder: &Path, count: usize) -> Result<Vec<f64>> {
    let path = folder.join("appended");
    let mut file = File::options().create(true).append(true).open(path)?;
    let mut times = Vec::new();
    for _ in 0..count {
        file.write_all(&[7; 256])?;
        let begun = Instant::now();
        file.sync_data()?;
        times.push(begun.elapsed().as_secs_f64());
    }
    Ok(times)
}

/// A percentile of what was measured.
fn at(sorted: &[f64], percent: usize) -> Result<f64> {
    percentile(sorted, percent).ok_or_else(|| anyhow!("nothing was measured"))
}

/// One pushes operations one by one, many get each.
fn fan_out(folder: &Path, readers: u64, report: &mut Report) -> Result<()> {
    const COUNT: u64 = 100;
    const ROUNDS: u64 = 5;
    let server = Server::start(folder)?;
    let mut writer = Wire::open(server.address, APP, WRITER)?;
    let mut wires = subscribers(&server, readers)?;
    let mut rates = Vec::new();
    let mut last = None;
    let all = pushes(COUNT * ROUNDS, 1)?;
    for pushes in all.chunks(usize::try_from(COUNT)?) {
        let watch = Stopwatch::start(&server)?;
        for push in pushes {
            writer.send(push)?;
        }
        // Each reader in turn: what the others get waits in their sockets meanwhile.
        for reader in &mut wires {
            let mut delivered = 0;
            while delivered < COUNT {
                delivered += reader.deliver()?;
            }
        }
        let used = watch.read(&server)?;
        rates.push(rate(readers * COUNT, &used));
        last = Some(used);
        let mut acked = 0;
        while acked < COUNT {
            acked += writer.acks()?;
        }
    }
    rates.sort_by(f64::total_cmp);
    let what = format!("{COUNT} ops to {readers} subscribers, median of {ROUNDS}");
    report.add("fan-out", what, at(&rates, 50)?, "deliveries/s", last)
}

/// Connections that are told of everything from now on.
fn subscribers(server: &Server, count: u64) -> Result<Vec<Wire>> {
    (0..count)
        .map(|number| {
            let mut reader = Wire::open(server.address, APP, READERS + u128::from(number))?;
            reader.send(&subscribe(reader.head())?)?;
            reader.deliver()?;
            Ok(reader)
        })
        .collect()
}

/// Many connect and do nothing.
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn idle(folder: &Path, count: u64, report: &mut Report) -> Result<()> {
    let server = Server::start(folder)?;
    // What the first connection brings is there once.
    let mut wires = vec![Wire::open(server.address, APP, WRITER)?];
    let before = server.memory()?;
    let mut connect = |from: u64, to: u64| -> Result<()> {
        for number in from..to {
            wires.push(Wire::open(server.address, APP, READERS + u128::from(number))?);
        }
        Ok(())
    };
    let watch = Stopwatch::start(&server)?;
    connect(0, count)?;
    let used = watch.read(&server)?;
    report.add("idle", "new connections, to their welcome", rate(count, &used), "a second", Some(used))?;
    let each = (server.memory()?.saturating_sub(before)) as f64 / count as f64;
    report.add("idle", format!("relay memory of each of {count}"), each, "KiB", None)?;
    connect(count, 2 * count)?;
    let what = "connected at once, none failed";
    report.add("idle", what, 2.0 * count as f64, "connections", None)
}

/// A new client gets all that there is.
fn catch_up(folder: &Path, report: &mut Report) -> Result<()> {
    const COUNT: u64 = 20_000;
    /// The relay looks for blocks to put together every 30 seconds, at what was there for 30 seconds, and
    /// only when nobody reads.
    const COLD: Duration = Duration::from_secs(75);
    const ATTEMPTS: u32 = 3;
    let server = Server::start(folder)?;
    for (database, size, what) in
        [("hundreds", BLOCK, "pushed in blocks of 100"), ("ones", 1, "pushed one by one")]
    {
        let mut writer = Wire::open(server.address, database, WRITER)?;
        push_all(&mut writer, &pushes(COUNT, size)?, size)?;
        let (seconds, bytes, used) = catch_up_once(&server, database, READERS, COUNT)?;
        report.add("catch-up", format!("{COUNT} ops, {what}"), seconds, "s", Some(used))?;
        report.add("catch-up", "... bytes that came", bytes, "bytes", None)?;
    }
    let (_, before, _) = catch_up_once(&server, "ones", READERS + 1, COUNT)?;
    for attempt in 0..ATTEMPTS {
        thread::sleep(COLD);
        let (seconds, bytes, used) =
            catch_up_once(&server, "ones", READERS + 2 + u128::from(attempt), COUNT)?;
        if bytes < before / 2.0 {
            let what = "... after the cold rewrite";
            report.add("catch-up", what, seconds, "s", Some(used))?;
            return report.add("catch-up", "... bytes that came", bytes, "bytes", None);
        }
    }
    bail!("the relay has not put small blocks together in {} s", (COLD * ATTEMPTS).as_secs())
}

/// Seconds and bytes until a new client has all.
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn catch_up_once(server: &Server, database: &str, reader: u128, count: u64) -> Result<(f64, f64, Used)> {
    let watch = Stopwatch::start(server)?;
    let mut reader = Wire::open(server.address, database, reader)?;
    reader.send(&subscribe(Position::START)?)?;
    let mut delivered = 0;
    while delivered < count {
        delivered += reader.deliver()?;
    }
    let used = watch.read(server)?;
    Ok((used.seconds, reader.received() as f64, used))
}

/// The relay dies right after it acknowledged.
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn kill(folder: &Path, report: &mut Report) -> Result<()> {
    const COUNT: u64 = 1_000;
    let server = Server::start(folder)?;
    let mut writer = Wire::open(server.address, APP, WRITER)?;
    push_all(&mut writer, &pushes(COUNT, 1)?, 1)?;
    server.kill()?;
    let server = Server::start(folder)?;
    let mut reader = Wire::open(server.address, APP, READERS)?;
    let head = reader.head().seq();
    reader.send(&subscribe(Position::START)?)?;
    let mut kept = 0;
    while kept < head {
        kept += reader.deliver()?;
    }
    report.add("kill -9", format!("kept of {COUNT} acknowledged ops"), kept as f64, "ops", None)
}

/// Many who write now and then, and read all.
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn active(folder: &Path, users: u64, seconds: u64, report: &mut Report) -> Result<()> {
    /// Each writes once in that time.
    const EVERY: Duration = Duration::from_secs(10);
    let server = Server::start(folder)?;
    let mut wires = subscribers(&server, users)?;
    let mut seen = vec![0; wires.len()];
    let (mut most, mut pushed) = (0, 0);
    let watch = Stopwatch::start(&server)?;
    let begun = Instant::now();
    let end = Duration::from_secs(seconds);
    while begun.elapsed() < end {
        let round = pushed / users;
        let number = pushed % users;
        let due = EVERY.mul_f64(pushed as f64 / users as f64);
        thread::sleep(due.saturating_sub(begun.elapsed()));
        let author = node(READERS + u128::from(number))?;
        let wire = &mut wires[usize::try_from(number)?];
        wire.send(&push(round + 1, &ops::block(author, round + 1, 1)?)?)?;
        pushed += 1;
        if pushed % 100 == 0 {
            // Acks among the deliveries are passed over; a client's own operations are not delivered to it.
            for (number, (wire, seen)) in wires.iter_mut().zip(&mut seen).enumerate() {
                let own = pushed / users + u64::from((number as u64) < pushed % users);
                while *seen < pushed - own {
                    *seen += wire.deliver()?;
                }
            }
            most = most.max(server.memory()?);
        }
    }
    let used = watch.read(&server)?;
    let what = format!("memory of {users} users, an op each every 10 s");
    report.add("active", what, most as f64 / 1_024.0, "MiB", Some(used))
}
