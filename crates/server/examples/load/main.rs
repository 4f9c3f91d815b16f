//! Measures a server on this machine: how fast it takes pushes, how fast it delivers them to many, and what
//! an idle connection costs it.
//!
//! ```text
//! cargo run --release -p blazedb-relay-server --example load -- push memory
//! cargo run --release -p blazedb-relay-server --example load -- push /tmp/some-folder 2000000
//! cargo run --release -p blazedb-relay-server --example load -- fan-out memory
//! cargo run --release -p blazedb-relay-server --example load -- idle memory
//! ```
//!
//! The server is a process of its own, on the first core, this one is on the second.

mod wire;

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{BufRead as _, BufReader, Error, Result};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Instant;

use blazedb_relay::message::Message;
use blazedb_relay_server::config::Config;
use blazedb_relay_server::run;
use blazedb_relay_server::store::{LogStore, MemoryStore, SqliteStore};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use wire::{Delivered, Wire};

/// Operations of a pushed block.
const BLOCK: u64 = 100;
/// Operations under way; less than the relay allows.
const UNDER_WAY: u64 = 10_000;

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse().map_err(|_| Error::other(format!("{text} is no number")));
    match arguments[..] {
        ["serve", "memory"] => serve("memory", MemoryStore::default()),
        ["serve", folder] => serve(folder, SqliteStore::new(folder).map_err(Error::other)?),
        ["push", store] => push(store, 500_000),
        ["push", store, ops] => push(store, number(ops)?),
        ["fan-out", store] => fan_out(store, 1_000, 100),
        ["fan-out", store, readers] => fan_out(store, number(readers)?, 100),
        ["idle", store] => idle(store, 5_000),
        ["idle", store, connections] => idle(store, number(connections)?),
        _ => Err(Error::other("push, fan-out or idle; then memory or a folder; then how many")),
    }
}

/// The server's process.
fn serve(folder: &str, store: impl LogStore) -> Result<()> {
    pin(0)?;
    let mut config = Config::new(SocketAddr::from(([127, 0, 0, 1], 0)), PathBuf::from(folder));
    config.log = "warn".to_owned();
    #[allow(clippy::print_stdout, reason = "this is how the other process hears of the address")]
    run(&config, store, |started| println!("{}", started.address)).map_err(Error::other)
}

fn pin(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts one, and goes to the other core.
    fn start(store: &str) -> Result<Self> {
        let mut child =
            Command::new(std::env::current_exe()?).args(["serve", store]).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().ok_or_else(|| Error::other("no output"))?;
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().map_err(Error::other)?;
        pin(1)?;
        let files = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum })?;
        Ok(Self { child, address })
    }

    /// Kilobytes that it has in memory.
    fn memory(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kilobytes.ok_or_else(|| Error::other("no VmRSS"))
    }

    /// Processor time that it has used, in hundredths of a second.
    fn processor(&self) -> Result<u64> {
        ticks(&format!("/proc/{}/stat", self.child.id()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ticks(path: &str) -> Result<u64> {
    let stat = std::fs::read_to_string(path)?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    Ok(fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum())
}

/// Says what was measured, and who used how much of its core meanwhile.
struct Measured {
    begun: Instant,
    server: u64,
    load: u64,
}

impl Measured {
    fn begin(server: &Server) -> Result<Self> {
        let (server, load) = (server.processor()?, ticks("/proc/self/stat")?);
        Ok(Self { begun: Instant::now(), server, load })
    }

    #[allow(clippy::print_stdout, reason = "what this program is for")]
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    fn end(&self, server: &Server, what: &str, count: u64) -> Result<()> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let used = |now: u64, then: u64| (now - then) as f64 / seconds;
        println!(
            "{what}: {count} in {seconds:.3} s, {:.0} a second; server {:.0} % of its core, load {:.0} %",
            count as f64 / seconds,
            used(server.processor()?, self.server),
            used(ticks("/proc/self/stat")?, self.load),
        );
        Ok(())
    }
}

/// One pushes as fast as it can, until another one has all.
fn push(store: &str, ops: u64) -> Result<()> {
    let server = Server::start(store)?;
    let mut writer = Wire::open(server.address, 1)?;
    let mut reader = Wire::open(server.address, 2)?;
    let from = reader.head();
    reader.send(&wire::subscribe(from, 8 << 20))?;
    let blocks: Vec<_> = (0..ops / BLOCK)
        .map(|number| {
            #[allow(clippy::cast_possible_truncation, reason = "few")]
            wire::push(number as u32 + 1, &wire::block(1, number * BLOCK + 1, BLOCK))
        })
        .collect();
    let measured = Measured::begin(&server)?;
    let reading = thread::spawn(move || -> Result<Wire> {
        let mut delivered = 0;
        while delivered < ops {
            delivered += reader.deliver()?.ops;
        }
        Ok(reader)
    });
    let mut acked = 0;
    for (sent, push) in (0..).step_by(100).zip(&blocks) {
        while sent - acked > UNDER_WAY {
            acked += writer.acks()?;
        }
        writer.send(push)?;
    }
    while acked < ops {
        acked += writer.acks()?;
    }
    measured.end(&server, "durable", ops)?;
    reading.join().map_err(|_| Error::other("the reader failed"))??;
    measured.end(&server, "delivered to another client", ops)
}

/// One pushes operations one by one, many get each.
fn fan_out(store: &str, readers: u64, ops: u64) -> Result<()> {
    let server = Server::start(store)?;
    let mut writer = Wire::open(server.address, 1)?;
    let from = writer.head();
    let mut wires = Vec::new();
    for number in 0..readers {
        let mut reader = Wire::open(server.address, 1_000 + u128::from(number))?;
        reader.send(&wire::subscribe(from, 8 << 20))?;
        reader.deliver()?;
        wires.push(reader);
    }
    let mut first = 1;
    for round in 0..5 {
        let measured = Measured::begin(&server)?;
        for number in first..first + ops {
            #[allow(clippy::cast_possible_truncation, reason = "few")]
            writer.send(&wire::push(number as u32, &wire::block(1, number, 1)))?;
        }
        first += ops;
        // Each reader in turn: what the others get waits in their sockets meanwhile.
        for reader in &mut wires {
            let mut delivered = 0;
            while delivered < ops {
                let Delivered { ops, .. } = reader.deliver()?;
                delivered += ops;
            }
        }
        measured.end(&server, &format!("round {round}, deliveries to {readers}"), readers * ops)?;
        let mut acked = 0;
        while acked < ops {
            acked += writer.acks()?;
        }
    }
    Ok(())
}

/// Many connect, subscribe, and do nothing.
#[allow(clippy::print_stdout, reason = "what this program is for")]
#[allow(clippy::cast_precision_loss, reason = "for people")]
fn idle(store: &str, connections: u64) -> Result<()> {
    let server = Server::start(store)?;
    // What the first connections bring is there once.
    let mut wires = vec![Wire::open(server.address, 1)?];
    let before = server.memory()?;
    let measured = Measured::begin(&server)?;
    for number in 0..connections {
        wires.push(Wire::open(server.address, 1_000 + u128::from(number))?);
    }
    measured.end(&server, "connections", connections)?;
    thread::sleep(Duration::from_secs(1));
    let each = |now: u64| (now - before) as f64 / connections as f64;
    println!("after the handshake: {:.2} KiB each (from {before} KiB)", each(server.memory()?));
    for wire in wires.iter_mut().skip(1) {
        let from = wire.head();
        wire.send(&wire::subscribe(from, 1 << 20))?;
        wire.deliver()?;
    }
    thread::sleep(Duration::from_secs(1));
    println!("subscribed: {:.2} KiB each", each(server.memory()?));
    let mut writer = wires.swap_remove(0);
    writer.send(&wire::push(1, &wire::block(1, 1, 1)))?;
    for wire in &mut wires {
        while wire.deliver()?.ops == 0 {}
    }
    thread::sleep(Duration::from_secs(1));
    println!("after one delivery to each: {:.2} KiB each", each(server.memory()?));
    writer.expect(|message| matches!(message, Message::PushAck(_)))?;
    Ok(())
}
