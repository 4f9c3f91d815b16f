//! What goes wrong.

use blazedb_relay::relay::{ConnId, Input};

use super::device::Device;
use super::disk::Disk;
use super::plan::Fault;
use super::store::Log;
use super::world::{Event, World};

impl World {
    /// Something goes wrong, and something else after a while.
    pub(super) fn next_fault(&mut self) {
        if !self.is_chaos() {
            return;
        }
        let wait = self.random.around(self.plan.fault_ms);
        self.after(wait, Event::Fault);
        if let Some(fault) = self.random.weighted(self.plan.faults.iter().copied()) {
            let fault = Fault::ALL[fault];
            if self.inject(fault) {
                self.say(|| format!("fault: {fault:?}"));
                self.trace.count(name(fault), 1);
            }
        }
    }

    /// Lets something go wrong; false if it can't just now.
    fn inject(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Cut => {
                let Some(conn) = self.some_link() else { return false };
                self.cut(conn);
            }
            Fault::HalfOpen => {
                let Some(conn) = self.some_link() else { return false };
                let which = self.random.below(3);
                let Some(link) = self.links.get_mut(&conn) else { return false };
                link.up.hole = which != 0;
                link.down.hole = which != 1;
            }
            Fault::SlowReader => {
                let Some(conn) = self.some_link() else { return false };
                let until = self.now + self.random.around(self.plan.act_ms * 4);
                let Some(link) = self.links.get_mut(&conn) else { return false };
                link.down.stalled_until = until;
                link.capacity = 200;
            }
            Fault::KillClient => {
                let Some(index) = self.some_device() else { return false };
                if self.random.chance(500) {
                    self.devices[index].kill_after = Some(self.random.within(0..=2));
                } else {
                    self.kill(index);
                }
            }
            Fault::DiskFull => {
                let Some(index) = self.some_device() else { return false };
                self.devices[index].disk_full = true;
            }
            Fault::Offline => {
                let Some(index) = self.some_device() else { return false };
                let long = if self.random.chance(300) { self.plan.chaos_ms } else { self.plan.act_ms * 5 };
                self.devices[index].offline_until = self.now + self.random.around(long);
                if let Some(conn) = self.devices[index].process.as_ref().and_then(|process| process.conn) {
                    self.cut(conn);
                }
            }
            Fault::Gone => {
                let Some(index) = self.some_device() else { return false };
                // Somebody must be left.
                if index == 0 || self.first == Some(index) {
                    return false;
                }
                self.kill(index);
                self.devices[index].gone = true;
            }
            Fault::RestorePhone => return self.restore_phone(),
            Fault::ClonePhone => return self.clone_phone(),
            Fault::CrashRelay => {
                if self.relay.is_none() {
                    return false;
                }
                self.crash_relay();
            }
            Fault::StopRelay => {
                if self.relay.is_none() {
                    return false;
                }
                self.stop_relay();
            }
            Fault::FailAppends => self.machine.fail_appends += self.random.within(1..=3),
            Fault::UnknownAppend => self.machine.unknown_append = true,
            Fault::FailRead => self.machine.fail_read = true,
            Fault::RestoreKeep | Fault::CopiedBack => return self.restore_relay(false),
            Fault::RestoreDiscard => return self.restore_relay(true),
            Fault::Snapshot => return self.restore_snapshot(),
            Fault::Wiped => {
                self.crash_relay();
                self.replace_log(Log::default());
                // Backups of what is gone may still be put back.
            }
            Fault::Rights => {
                let principal = self.random.below(3);
                if self.reduced.remove(&principal) {
                    self.rights_changed(principal);
                } else {
                    self.reduced.insert(principal);
                    self.rights_changed(principal);
                }
            }
            Fault::Rewrite => return self.rewrite(),
        }
        true
    }

    fn some_link(&mut self) -> Option<ConnId> {
        let alive = |link: &super::link::Link| link.at_client && link.at_relay;
        let links: Vec<_> =
            self.links.iter().filter(|(_, link)| alive(link)).map(|(conn, _)| *conn).collect();
        if links.is_empty() { None } else { Some(*self.random.pick(&links)) }
    }

    fn some_device(&mut self) -> Option<usize> {
        let alive = |index: &usize| self.devices[*index].process.is_some();
        let all: Vec<_> = (0..self.devices.len()).filter(alive).collect();
        if all.is_empty() { None } else { Some(*self.random.pick(&all)) }
    }

    fn restore_phone(&mut self) -> bool {
        let has_backup = |index: &usize| {
            let device = &self.devices[*index];
            !device.gone && !device.backups.is_empty() && self.first != Some(*index)
        };
        let all: Vec<_> = (0..self.devices.len()).filter(has_backup).collect();
        if all.is_empty() {
            return false;
        }
        let index = *self.random.pick(&all);
        self.copied = true;
        self.devices[index].disk_full = true; // its memory is not compared
        self.kill(index);
        let backup = self.random.pick(&self.devices[index].backups).clone();
        let device = &mut self.devices[index];
        (device.disk, device.disk_full, device.kill_after) = (backup, false, None);
        true
    }

    fn clone_phone(&mut self) -> bool {
        if self.devices.len() >= self.plan.devices + 3 {
            return false;
        }
        let Some(mut index) = self.some_device() else { return false };
        let mut disk = self.devices[index].disk.clone();
        if let Some(backup) = self.devices[index].backups.last()
            && self.random.chance(300)
        {
            disk = backup.clone();
        }
        // A new node that has never connected is rare.
        let is_untried = |disk: &&Disk| disk.node().is_some_and(|node| node.untried);
        let untried = |(index, device): (usize, &Device)| {
            Some((index, device.backups.iter().rfind(is_untried)?.clone()))
        };
        if let Some(untried) = self.devices.iter().enumerate().find_map(untried)
            && self.random.chance(300)
        {
            (index, disk) = untried;
        }
        let mut copy = self.devices[index].copied(disk);
        self.copied = true;
        // Somebody else may sign in on the copy.
        if self.random.chance(300) {
            copy.principal = self.random.below(3);
            copy.reads = super::device::readable(copy.principal, false, &mut self.random);
        }
        self.devices.push(copy);
        let wait = self.random.around(self.plan.act_ms);
        self.after(wait, Event::Start(self.devices.len() - 1));
        true
    }

    fn restore_relay(&mut self, discard: bool) -> bool {
        if self.machine.backups.is_empty() {
            return false;
        }
        self.crash_relay();
        let backup = self.random.pick(&self.machine.backups).clone();
        self.machine.discard = discard;
        self.replace_log(backup);
        true
    }

    /// Memory and disk of the relay's machine go back, and nobody opens the log anew. Whoever has seen
    /// more is the first to come, since nobody could tell afterwards (RLY-58).
    fn restore_snapshot(&mut self) -> bool {
        if self.machine.backups.is_empty() || self.machine.discard || self.machine.no_epoch {
            return false;
        }
        let backup = self.random.pick(&self.machine.backups).clone();
        let Some(epoch) = backup.epochs.last().map(|epoch| epoch.id.get()) else { return false };
        let seen_more = |index: &usize| {
            let device = &self.devices[*index];
            let seen = |seen: &blazedb_relay::client::Seen| {
                seen.positions().iter().any(|it| it.epoch() == epoch && it.seq() > backup.head())
            };
            !device.gone && device.disk.seen().is_some_and(seen)
        };
        let Some(first) = (0..self.devices.len()).find(seen_more) else { return false };
        self.crash_relay();
        self.replace_log(backup);
        self.machine.no_epoch = true;
        self.first = Some(first);
        true
    }

    fn replace_log(&mut self, log: Log) {
        let (from, to) = (self.machine.log.head(), log.head());
        self.say(|| format!("the relay's log goes from {from} to {to}"));
        self.trace.count("operations that a relay lost", from.saturating_sub(to));
        self.machine.log = log;
        self.machine.no_epoch = false;
        self.first = None;
    }

    fn rights_changed(&mut self, principal: usize) {
        let of_principal = |conn: &ConnId| {
            let link = self.links.get(conn);
            link.is_some_and(|link| link.at_relay && self.devices[link.device].principal == principal)
        };
        let conns: Vec<_> = self.links.keys().copied().filter(of_principal).collect();
        for conn in conns {
            let rights = self.rights_of(principal);
            // The one before may have ended it.
            if self.links.get(&conn).is_some_and(|link| link.at_relay) {
                self.feed_relay(Input::RightsChanged { conn, rights });
            }
        }
    }

    pub(super) fn restore_rights(&mut self) {
        for principal in core::mem::take(&mut self.reduced) {
            self.rights_changed(principal);
        }
    }

    /// Writes adjacent blocks that everybody has read as one.
    fn rewrite(&mut self) -> bool {
        let behind = self.witnesses.values().map(super::witness::Witness::behind).min().unwrap_or(u64::MAX);
        self.machine.log.rewrite(behind)
    }
}

const fn name(fault: Fault) -> &'static str {
    match fault {
        Fault::Cut => "fault: cut",
        Fault::HalfOpen => "fault: half open",
        Fault::SlowReader => "fault: slow reader",
        Fault::KillClient => "fault: kill client",
        Fault::DiskFull => "fault: disk full",
        Fault::Offline => "fault: offline",
        Fault::Gone => "fault: gone",
        Fault::RestorePhone => "fault: restore phone",
        Fault::ClonePhone => "fault: clone phone",
        Fault::CrashRelay => "fault: crash relay",
        Fault::StopRelay => "fault: stop relay",
        Fault::FailAppends => "fault: fail appends",
        Fault::UnknownAppend => "fault: unknown append",
        Fault::FailRead => "fault: fail read",
        Fault::RestoreKeep => "fault: restore keep",
        Fault::RestoreDiscard => "fault: restore discard",
        Fault::CopiedBack => "fault: copied back",
        Fault::Snapshot => "fault: snapshot",
        Fault::Wiped => "fault: wiped",
        Fault::Rights => "fault: rights",
        Fault::Rewrite => "fault: rewrite",
    }
}
