//! A disk that forgets what was not synced, and fails when it is told to.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::samples::Random;

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    Failed,
    Full,
}

pub(crate) type Done<T = ()> = Result<T, Fault>;

/// What becomes of what was not synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crash {
    /// The process was killed: the system writes everything.
    Process,
    /// The power went: each write is there, is not, or is torn, whatever the order.
    Power,
    /// The power went, and nothing is there but what was synced.
    PowerDropsAll,
}

/// Files in memory. What was written is seen at once, but lasts only when it was synced.
#[derive(Debug, Default)]
pub(crate) struct Disk(Mutex<State>);

#[derive(Debug)]
pub(crate) struct State {
    files: BTreeMap<String, File>,
    /// What remains of files that were deleted, until the folder is synced.
    ghosts: BTreeMap<String, Vec<u8>>,
    random: Random,
    /// Calls that change something until the power goes.
    pub(crate) until_cut: Option<u64>,
    /// Calls that change something until one fails. Nothing else happens then.
    pub(crate) until_failure: Option<u64>,
    /// Syncs until one fails. What it should have made durable never will be.
    pub(crate) until_sync_failure: Option<u64>,
    /// Nothing can be changed, until somebody mounts it anew.
    pub(crate) read_only: bool,
    /// Bytes that files may still grow.
    pub(crate) room: Option<usize>,
    /// Nothing works.
    is_cut: bool,
    /// Successful syncs so far.
    pub(crate) syncs: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            files: BTreeMap::new(),
            ghosts: BTreeMap::new(),
            random: Random::new(0),
            until_cut: None,
            until_failure: None,
            until_sync_failure: None,
            read_only: false,
            room: None,
            is_cut: false,
            syncs: 0,
        }
    }
}

#[derive(Debug, Default)]
struct File {
    now: Vec<u8>,
    /// What is there after the power went: `None` if not even the file is.
    synced: Option<Vec<u8>>,
    pending: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(at, data) => {
                let end = at + data.len();
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[*at..end].copy_from_slice(data);
            }
            Self::Truncate(len) => bytes.truncate(*len),
        }
    }

    /// A part of it, as a disk may have left it.
    fn torn(&self, random: &mut Random) -> Self {
        match self {
            Self::Write(at, data) => {
                let len = data.len() as u64;
                let mut kept = random.below(len + 1);
                // Most disks write whole sectors.
                if random.one_in(2) {
                    kept -= kept % 512;
                }
                Self::Write(*at, data[..kept as usize].to_vec())
            }
            Self::Truncate(len) => Self::Truncate(*len),
        }
    }
}

impl Disk {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Chooses what goes wrong.
    pub(crate) fn seed(&mut self, seed: u64) {
        self.random = Random::new(seed);
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.random.next()
    }

    /// The power goes now.
    pub(crate) const fn cut(&mut self) {
        self.is_cut = true;
    }

    /// After everything was closed: what is on the disk, and nothing goes wrong any more.
    pub(crate) fn restart(&mut self, crash: Crash) {
        let Self { files, ghosts, random, .. } = self;
        for (name, bytes) in core::mem::take(ghosts) {
            if crash == Crash::Power && random.one_in(2) && !files.contains_key(&name) {
                files.insert(name, File { now: bytes, ..File::default() });
            }
        }
        files.retain(|_, file| {
            let pending = core::mem::take(&mut file.pending);
            match crash {
                Crash::Process => {}
                Crash::Power => {
                    if file.synced.is_none() && random.one_in(2) {
                        return false;
                    }
                    let mut bytes = file.synced.take().unwrap_or_default();
                    // Of some files everything is there, or nothing.
                    let luck = random.below(6);
                    for change in pending {
                        match if luck < 2 { luck * 2 } else { random.below(4) } {
                            0 => {}
                            1 => change.torn(random).apply(&mut bytes),
                            _ => change.apply(&mut bytes),
                        }
                    }
                    file.now = bytes;
                }
                Crash::PowerDropsAll => match file.synced.take() {
                    Some(bytes) => file.now = bytes,
                    None => return false,
                },
            }
            file.synced = Some(file.now.clone());
            true
        });
        self.until_cut = None;
        self.until_failure = None;
        self.until_sync_failure = None;
        self.room = None;
        self.is_cut = false;
    }

    /// Whether a call that changes something may go on.
    fn change(&mut self) -> Done {
        if self.is_cut || self.read_only {
            return Err(Fault::Failed);
        }
        if let Some(left) = &mut self.until_cut {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.is_cut = true;
                return Err(Fault::Failed);
            }
        }
        if let Some(left) = &mut self.until_failure {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.until_failure = None;
                return Err(Fault::Failed);
            }
        }
        Ok(())
    }

    fn file(&mut self, name: &str) -> Done<&mut File> {
        if self.is_cut {
            return Err(Fault::Failed);
        }
        self.files.get_mut(name).ok_or(Fault::Failed)
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.files.contains_key(name)
    }

    pub(crate) fn open(&mut self, name: &str, create: bool) -> Done {
        if self.is_cut || !(create || self.exists(name)) {
            return Err(Fault::Failed);
        }
        self.files.entry(name.into()).or_default();
        Ok(())
    }

    pub(crate) fn len(&mut self, name: &str) -> Done<usize> {
        Ok(self.file(name)?.now.len())
    }

    /// Reads as much as there is, and says how much that was.
    pub(crate) fn read(&mut self, name: &str, at: usize, into: &mut [u8]) -> Done<usize> {
        let now = &self.file(name)?.now;
        let found = now.get(at..).unwrap_or_default();
        let len = found.len().min(into.len());
        into[..len].copy_from_slice(&found[..len]);
        Ok(len)
    }

    pub(crate) fn write(&mut self, name: &str, at: usize, data: &[u8]) -> Done {
        let allowed = self.change();
        let len = self.files.get(name).map_or(0, |file| file.now.len());
        let growth = (at + data.len()).saturating_sub(len);
        let full = self.room.is_some_and(|room| growth > room);
        let mut change = Change::Write(at, data.to_vec());
        let result = match allowed {
            Err(fault) => Err(fault),
            Ok(()) if full => Err(Fault::Full),
            Ok(()) => Ok(()),
        };
        if result.is_err() {
            // What fails may have been done in part.
            change = change.torn(&mut self.random);
        } else if let Some(room) = &mut self.room {
            *room -= growth;
        }
        if let Some(file) = self.files.get_mut(name)
            && (result.is_ok() || full || self.is_cut)
        {
            change.apply(&mut file.now);
            file.pending.push(change);
        }
        result
    }

    pub(crate) fn truncate(&mut self, name: &str, len: usize) -> Done {
        self.change()?;
        let file = self.file(name)?;
        file.now.truncate(len);
        file.pending.push(Change::Truncate(len));
        Ok(())
    }

    pub(crate) fn sync(&mut self, name: &str) -> Done {
        let mut allowed = self.change();
        if let Some(left) = &mut self.until_sync_failure {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.until_sync_failure = None;
                allowed = Err(Fault::Failed);
            }
        }
        let Some(file) = self.files.get_mut(name) else { return Err(Fault::Failed) };
        if allowed.is_err() {
            // As Linux does it: what a failed sync did not write is in memory as if it had been, and no
            // later sync writes it.
            if !self.is_cut {
                file.pending.clear();
            }
            return allowed;
        }
        let synced = file.synced.get_or_insert_default();
        file.pending.drain(..).for_each(|change| change.apply(synced));
        self.ghosts.remove(name);
        self.syncs += 1;
        Ok(())
    }

    pub(crate) fn delete(&mut self, name: &str, sync: bool) -> Done {
        self.change()?;
        let Some(file) = self.files.remove(name) else { return Ok(()) };
        match file.synced {
            Some(bytes) if !sync => {
                self.ghosts.insert(name.into(), bytes);
            }
            _ => {
                self.ghosts.remove(name);
            }
        }
        Ok(())
    }
}
