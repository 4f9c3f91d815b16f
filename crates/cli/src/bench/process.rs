//! The relay under measurement: a process of its own on a core of its own, and what it uses.

use core::net::SocketAddr;
use core::time::Duration;
use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow, bail};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};

/// The core of the relay, and that of the load.
const CORES: (usize, usize) = (0, 1);

/// A relay that this program started.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// From the start of the process until it said that it listens.
    pub(crate) ready: Duration,
}

impl Server {
    /// Starts a relay with its data in the folder, on one core; this process goes to another one.
    pub(crate) fn start(folder: &Path) -> Result<Self> {
        raise_file_limit();
        let config = folder.join("bench.toml");
        // Everyone here is the same principal, and they come within a second.
        let limits = "[limits]\nconnections = 100000\nconnections_before_welcome = 100000\n\
                      connections_per_principal = 100000\n";
        fs::write(&config, limits).with_context(|| format!("{} cannot be written", config.display()))?;
        // What a process may run on is inherited.
        pin(CORES.0);
        let begun = Instant::now();
        let child = Command::new(std::env::current_exe()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "error", "--data"])
            .arg(folder.join("data"))
            .arg("--config")
            .arg(&config)
            .stderr(Stdio::piped())
            .spawn();
        pin(CORES.1);
        let mut child = child.context("the relay cannot be started")?;
        let mut stderr = BufReader::new(child.stderr.take().ok_or_else(|| anyhow!("no standard error"))?);
        let (mut said, mut line) = (String::new(), String::new());
        while stderr.read_line(&mut line)? > 0 {
            if let Some(address) = address_in(&line) {
                let ready = begun.elapsed();
                // Nothing may wait for a reader of what it says later.
                std::thread::spawn(move || stderr.read_to_end(&mut Vec::new()));
                return Ok(Self { child, address, ready });
            }
            said.push_str(&line);
            line.clear();
        }
        let _ = child.wait();
        bail!("the relay did not start; it said: {}", said.trim());
    }

    /// Kilobytes that it has in memory.
    pub(crate) fn memory(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kilobytes.ok_or_else(|| anyhow!("{path} has no VmRSS"))
    }

    /// Ends it without any warning.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it in order.
    pub(crate) fn stop(mut self) -> Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or_else(|| anyhow!("no process"))?, Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first address with a port in a line.
fn address_in(line: &str) -> Option<SocketAddr> {
    let words = line.split(|c: char| !(c.is_ascii_digit() || c == '.' || c == ':'));
    words.filter_map(|word| word.parse().ok()).find(|address: &SocketAddr| address.port() != 0)
}

#[cfg(target_os = "linux")]
fn pin(core: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(core);
    // With one core there is nothing to choose, and the figures say who was the limit.
    let _ = rustix::thread::sched_setaffinity(None, &set);
}

#[cfg(not(target_os = "linux"))]
const fn pin(_: usize) {}

/// As many open files as this process may have; its children inherit that.
fn raise_file_limit() {
    let files = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum });
}

/// Time that passed, and processor time that both ends used in it.
pub(crate) struct Stopwatch {
    begun: Instant,
    server: f64,
    load: f64,
}

/// What a [`Stopwatch`] shows.
#[derive(Clone, Copy)]
pub(crate) struct Used {
    /// Seconds that passed.
    pub(crate) seconds: f64,
    /// Seconds of processor time of the relay.
    pub(crate) server: f64,
    /// Seconds of processor time of this process.
    pub(crate) load: f64,
}

impl Stopwatch {
    pub(crate) fn start(server: &Server) -> Result<Self> {
        let (server, load) = (processor(&server.child.id().to_string())?, processor("self")?);
        Ok(Self { begun: Instant::now(), server, load })
    }

    pub(crate) fn read(&self, server: &Server) -> Result<Used> {
        let seconds = self.begun.elapsed().as_secs_f64();
        let (server, load) = (processor(&server.child.id().to_string())?, processor("self")?);
        Ok(Used { seconds, server: server - self.server, load: load - self.load })
    }
}

/// Seconds of processor time that a process has used.
fn processor(process: &str) -> Result<f64> {
    let path = format!("/proc/{process}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read: needs Linux"))?;
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u32 = fields.skip(11).take(2).filter_map(|field| field.parse::<u32>().ok()).sum();
    // Linux tells user space a hundredth of a second, whatever it counts in.
    Ok(f64::from(ticks) / 100.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_found_where_it_has_a_port() {
        assert_eq!(address_in("on 127.0.0.1:80, data"), "127.0.0.1:80".parse().ok());
        assert_eq!(address_in("serve --listen 127.0.0.1:0"), None);
        assert_eq!(address_in("nothing: 12.5 s"), None);
    }
}
