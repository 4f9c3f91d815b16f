//! An SQLite VFS on a [`Disk`].
//!
//! SQLite calls it from several connections, one call of a connection at a time. A file that it opened is a
//! [`Handle`] in memory that SQLite gives; everything else is behind locks of Rust.

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicU64, Ordering, fence};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::ffi;

use crate::disk::{Disk, Done, Fault};

/// A VFS of its own disk. Both are never given back.
pub(crate) struct Vfs {
    pub(crate) disk: Disk,
    files: Mutex<BTreeMap<String, Locks>>,
    /// Called when a file is about to be synced, without any lock held.
    pub(crate) before_sync: Mutex<Option<Box<dyn FnMut() + Send>>>,
}

/// Who has which locks of a file, and the memory that its connections share.
#[derive(Default)]
struct Locks {
    shared: usize,
    reserved: bool,
    pending: bool,
    exclusive: bool,
    /// Of the shared memory: how many have it shared, or -1.
    shm: [i32; 8],
    /// Addresses of regions, which are never given back.
    regions: Vec<usize>,
    mapped: usize,
}

/// A file that SQLite has opened.
#[repr(C)]
struct Handle {
    base: ffi::sqlite3_file,
    open: *mut Open,
}

/// What this module knows of it.
struct Open {
    vfs: &'static Vfs,
    name: String,
    delete_on_close: bool,
    lock: c_int,
    shm_shared: u8,
    shm_exclusive: u8,
    is_mapped: bool,
}

static NUMBER: AtomicU64 = AtomicU64::new(0);

static METHODS: ffi::sqlite3_io_methods = ffi::sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};

impl Vfs {
    /// Registers another VFS, and gives it with its name.
    pub(crate) fn register() -> (&'static Self, String) {
        let name = format!("disk-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let this: &'static Self = Box::leak(Box::new(Self {
            disk: Disk::default(),
            files: Mutex::default(),
            before_sync: Mutex::default(),
        }));
        let raw = Box::leak(Box::new(ffi::sqlite3_vfs {
            iVersion: 2,
            szOsFile: size_of::<Handle>() as c_int,
            mxPathname: 1_024,
            pNext: ptr::null_mut(),
            zName: CString::new(name.as_str()).unwrap().into_raw(),
            pAppData: ptr::from_ref(this).cast_mut().cast(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            xFullPathname: Some(full_path),
            xDlOpen: None,
            xDlError: None,
            xDlSym: None,
            xDlClose: None,
            xRandomness: Some(randomness),
            xSleep: Some(sleep),
            xCurrentTime: Some(current_time),
            xGetLastError: Some(last_error),
            xCurrentTimeInt64: Some(current_time_int64),
            xSetSystemCall: None,
            xGetSystemCall: None,
            xNextSystemCall: None,
        }));
        // SAFETY: the structure and what it points to live for ever.
        assert_eq!(unsafe { ffi::sqlite3_vfs_register(raw, 0) }, ffi::SQLITE_OK);
        (this, name)
    }

    /// Forgets locks and shared memory. Nothing may be open.
    pub(crate) fn forget(&self) {
        let mut files = self.files();
        assert!(files.values().all(|locks| locks.shared == 0 && locks.mapped == 0), "something is open");
        files.clear();
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<String, Locks>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn code(done: Done, failed: c_int) -> c_int {
    match done {
        Ok(()) => ffi::SQLITE_OK,
        Err(Fault::Failed) => failed,
        Err(Fault::Full) => ffi::SQLITE_FULL,
    }
}

/// The VFS that SQLite calls.
///
/// # Safety
/// `vfs` is one that [`Vfs::register`] made.
unsafe fn this(vfs: *mut ffi::sqlite3_vfs) -> &'static Vfs {
    // SAFETY: the pointer is to a leaked Vfs that is only used shared.
    unsafe { &*(*vfs).pAppData.cast::<Vfs>() }
}

/// The file that SQLite calls.
///
/// # Safety
/// `file` was opened by [`open`] and is not closed; nobody else uses it now.
unsafe fn handle<'a>(file: *mut ffi::sqlite3_file) -> &'a mut Open {
    // SAFETY: open() put a box there, which only close() takes back, and SQLite makes one call of a file at
    // a time.
    unsafe { &mut *(*file.cast::<Handle>()).open }
}

/// # Safety
/// `name` is null or a text that ends with 0.
unsafe fn text(name: *const c_char) -> Option<String> {
    if name.is_null() {
        return None;
    }
    // SAFETY: the caller keeps it.
    unsafe { CStr::from_ptr(name) }.to_str().ok().map(str::to_owned)
}

unsafe extern "C" fn open(
    vfs: *mut ffi::sqlite3_vfs,
    name: ffi::sqlite3_filename,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives its VFS, a text or null, and a place of szOsFile bytes, of which pMethods must
    // be set in any case.
    unsafe {
        let vfs = this(vfs);
        (*file).pMethods = ptr::null();
        let temporary = || format!("temporary-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let name = text(name).unwrap_or_else(temporary);
        let create = flags & ffi::SQLITE_OPEN_CREATE != 0;
        if vfs.disk.state().open(&name, create).is_err() {
            return ffi::SQLITE_CANTOPEN;
        }
        let open = Open {
            vfs,
            name,
            delete_on_close: flags & ffi::SQLITE_OPEN_DELETEONCLOSE != 0,
            lock: ffi::SQLITE_LOCK_NONE,
            shm_shared: 0,
            shm_exclusive: 0,
            is_mapped: false,
        };
        (*file.cast::<Handle>()).open = Box::into_raw(Box::new(open));
        (*file).pMethods = &raw const METHODS;
        if !out_flags.is_null() {
            *out_flags = flags;
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    // SAFETY: the file is open until here, and SQLite does not use it afterwards.
    unsafe {
        shm_unmap(file, 0);
        unlock(file, ffi::SQLITE_LOCK_NONE);
        let open = Box::from_raw((*file.cast::<Handle>()).open);
        if open.delete_on_close {
            let _ = open.vfs.disk.state().delete(&open.name, false);
        }
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn read(
    file: *mut ffi::sqlite3_file,
    into: *mut c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives an open file and a place of `len` bytes.
    let (open, into) =
        unsafe { (handle(file), core::slice::from_raw_parts_mut(into.cast::<u8>(), len as usize)) };
    into.fill(0);
    match open.vfs.disk.state().read(&open.name, at as usize, into) {
        Ok(found) if found == into.len() => ffi::SQLITE_OK,
        Ok(_) => ffi::SQLITE_IOERR_SHORT_READ,
        Err(_) => ffi::SQLITE_IOERR_READ,
    }
}

unsafe extern "C" fn write(
    file: *mut ffi::sqlite3_file,
    from: *const c_void,
    len: c_int,
    at: ffi::sqlite3_int64,
) -> c_int {
    // SAFETY: SQLite gives an open file and `len` bytes.
    let (open, from) =
        unsafe { (handle(file), core::slice::from_raw_parts(from.cast::<u8>(), len as usize)) };
    code(open.vfs.disk.state().write(&open.name, at as usize, from), ffi::SQLITE_IOERR_WRITE)
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, len: ffi::sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives an open file.
    let open = unsafe { handle(file) };
    code(open.vfs.disk.state().truncate(&open.name, len as usize), ffi::SQLITE_IOERR_TRUNCATE)
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, _: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    let open = unsafe { handle(file) };
    let hook = open.vfs.before_sync.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut hook) = hook {
        hook();
        *open.vfs.before_sync.lock().unwrap_or_else(PoisonError::into_inner) = Some(hook);
    }
    code(open.vfs.disk.state().sync(&open.name), ffi::SQLITE_IOERR_FSYNC)
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives an open file, and a place for the number.
    let (open, size) = unsafe { (handle(file), &mut *size) };
    match open.vfs.disk.state().len(&open.name) {
        Ok(len) => {
            *size = len as i64;
            ffi::SQLITE_OK
        }
        Err(_) => ffi::SQLITE_IOERR_FSTAT,
    }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, wanted: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    let open = unsafe { handle(file) };
    if open.lock >= wanted {
        return ffi::SQLITE_OK;
    }
    let mut files = open.vfs.files();
    let locks = files.entry(open.name.clone()).or_default();
    let mine = open.lock;
    match wanted {
        ffi::SQLITE_LOCK_SHARED if locks.pending || locks.exclusive => return ffi::SQLITE_BUSY,
        ffi::SQLITE_LOCK_SHARED => locks.shared += 1,
        ffi::SQLITE_LOCK_RESERVED if locks.reserved || locks.pending => return ffi::SQLITE_BUSY,
        ffi::SQLITE_LOCK_RESERVED => locks.reserved = true,
        _ => {
            if mine < ffi::SQLITE_LOCK_RESERVED && locks.reserved
                || mine < ffi::SQLITE_LOCK_PENDING && locks.pending
            {
                return ffi::SQLITE_BUSY;
            }
            locks.reserved = true;
            locks.pending = true;
            open.lock = ffi::SQLITE_LOCK_PENDING;
            if locks.shared > 1 {
                return ffi::SQLITE_BUSY;
            }
            locks.exclusive = true;
        }
    }
    open.lock = wanted;
    ffi::SQLITE_OK
}

unsafe extern "C" fn unlock(file: *mut ffi::sqlite3_file, wanted: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    let open = unsafe { handle(file) };
    if open.lock <= wanted {
        return ffi::SQLITE_OK;
    }
    let mut files = open.vfs.files();
    let locks = files.entry(open.name.clone()).or_default();
    if open.lock >= ffi::SQLITE_LOCK_RESERVED {
        locks.reserved = false;
    }
    if open.lock >= ffi::SQLITE_LOCK_PENDING {
        (locks.pending, locks.exclusive) = (false, false);
    }
    if wanted == ffi::SQLITE_LOCK_NONE {
        locks.shared -= 1;
    }
    open.lock = wanted;
    ffi::SQLITE_OK
}

unsafe extern "C" fn check_reserved(file: *mut ffi::sqlite3_file, result: *mut c_int) -> c_int {
    // SAFETY: SQLite gives an open file, and a place for the answer.
    let (open, result) = unsafe { (handle(file), &mut *result) };
    *result = c_int::from(open.vfs.files().get(&open.name).is_some_and(|locks| locks.reserved));
    ffi::SQLITE_OK
}

unsafe extern "C" fn file_control(_: *mut ffi::sqlite3_file, _: c_int, _: *mut c_void) -> c_int {
    ffi::SQLITE_NOTFOUND
}

unsafe extern "C" fn sector_size(_: *mut ffi::sqlite3_file) -> c_int {
    4_096
}

unsafe extern "C" fn characteristics(_: *mut ffi::sqlite3_file) -> c_int {
    // As on all disks of today: a write that is torn leaves alone what is beside it.
    ffi::SQLITE_IOCAP_POWERSAFE_OVERWRITE
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    place: *mut *mut c_void,
) -> c_int {
    // SAFETY: SQLite gives an open file, and a place for the pointer.
    let (open, place) = unsafe { (handle(file), &mut *place) };
    let mut files = open.vfs.files();
    let locks = files.entry(open.name.clone()).or_default();
    if !open.is_mapped {
        open.is_mapped = true;
        locks.mapped += 1;
    }
    while locks.regions.len() <= region as usize {
        if extend == 0 {
            *place = ptr::null_mut();
            return ffi::SQLITE_OK;
        }
        // Numbers of 8 bytes, so that it is aligned for whatever SQLite keeps there.
        let memory = Box::leak(vec![0_u64; size as usize / 8].into_boxed_slice());
        locks.regions.push(memory.as_mut_ptr() as usize);
    }
    *place = locks.regions[region as usize] as *mut c_void;
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_lock(
    file: *mut ffi::sqlite3_file,
    first: c_int,
    count: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: SQLite gives an open file.
    let open = unsafe { handle(file) };
    let mut files = open.vfs.files();
    let locks = files.entry(open.name.clone()).or_default();
    let range = first as usize..(first + count) as usize;
    let mask: u8 = range.clone().map(|i| 1 << i).sum();
    let slots = &mut locks.shm[range];
    if flags & ffi::SQLITE_SHM_UNLOCK != 0 {
        if flags & ffi::SQLITE_SHM_SHARED != 0 {
            if open.shm_shared & mask != 0 {
                slots[0] -= 1;
            }
            open.shm_shared &= !mask;
        } else {
            if open.shm_exclusive & mask != 0 {
                slots.fill(0);
            }
            open.shm_exclusive &= !mask;
        }
    } else if flags & ffi::SQLITE_SHM_SHARED != 0 {
        if open.shm_shared & mask == 0 {
            if slots[0] < 0 {
                return ffi::SQLITE_BUSY;
            }
            slots[0] += 1;
            open.shm_shared |= mask;
        }
    } else if open.shm_exclusive & mask != mask {
        if slots.iter().any(|slot| *slot != 0) {
            return ffi::SQLITE_BUSY;
        }
        slots.fill(-1);
        open.shm_exclusive |= mask;
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn shm_barrier(_: *mut ffi::sqlite3_file) {
    fence(Ordering::SeqCst);
}

unsafe extern "C" fn shm_unmap(file: *mut ffi::sqlite3_file, delete: c_int) -> c_int {
    // SAFETY: SQLite gives an open file.
    let open = unsafe { handle(file) };
    let mut files = open.vfs.files();
    let locks = files.entry(open.name.clone()).or_default();
    for (i, slot) in locks.shm.iter_mut().enumerate() {
        *slot -= i32::from(open.shm_shared >> i & 1);
        if open.shm_exclusive >> i & 1 == 1 {
            *slot = 0;
        }
    }
    (open.shm_shared, open.shm_exclusive) = (0, 0);
    locks.mapped -= usize::from(open.is_mapped);
    open.is_mapped = false;
    if delete != 0 && locks.mapped == 0 {
        locks.regions.clear();
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn delete(vfs: *mut ffi::sqlite3_vfs, name: *const c_char, sync: c_int) -> c_int {
    // SAFETY: SQLite gives its VFS and a text.
    let (vfs, name) = unsafe { (this(vfs), text(name)) };
    let mut state = vfs.disk.state();
    match name {
        Some(name) if state.exists(&name) => code(state.delete(&name, sync != 0), ffi::SQLITE_IOERR_DELETE),
        _ => ffi::SQLITE_IOERR_DELETE_NOENT,
    }
}

unsafe extern "C" fn access(
    vfs: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    flags: c_int,
    result: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives its VFS, a text, and a place for the answer.
    let (vfs, name, result) = unsafe { (this(vfs), text(name).unwrap_or_default(), &mut *result) };
    let mut state = vfs.disk.state();
    // An empty journal counts as none, as in SQLite's own VFS.
    let there = state.exists(&name)
        && (flags != ffi::SQLITE_ACCESS_EXISTS || state.len(&name).is_ok_and(|len| len > 0));
    *result = c_int::from(there);
    ffi::SQLITE_OK
}

unsafe extern "C" fn full_path(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    room: c_int,
    out: *mut c_char,
) -> c_int {
    // SAFETY: SQLite gives a text, and a place of `room` bytes.
    unsafe {
        let len = CStr::from_ptr(name).to_bytes_with_nul().len();
        if len > room as usize {
            return ffi::SQLITE_CANTOPEN;
        }
        ptr::copy_nonoverlapping(name, out, len);
    }
    ffi::SQLITE_OK
}

unsafe extern "C" fn randomness(vfs: *mut ffi::sqlite3_vfs, len: c_int, out: *mut c_char) -> c_int {
    // SAFETY: SQLite gives its VFS, and a place of `len` bytes.
    let (vfs, out) = unsafe { (this(vfs), core::slice::from_raw_parts_mut(out.cast::<u8>(), len as usize)) };
    let mut state = vfs.disk.state();
    out.fill_with(|| state.random() as u8);
    len
}

unsafe extern "C" fn sleep(_: *mut ffi::sqlite3_vfs, microseconds: c_int) -> c_int {
    // Nobody waits for anything that time brings.
    microseconds
}

unsafe extern "C" fn current_time(_: *mut ffi::sqlite3_vfs, out: *mut f64) -> c_int {
    // SAFETY: SQLite gives a place for the number.
    unsafe { *out = 2_461_370.0 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn current_time_int64(_: *mut ffi::sqlite3_vfs, out: *mut ffi::sqlite3_int64) -> c_int {
    // SAFETY: SQLite gives a place for the number.
    unsafe { *out = 2_461_370 * 86_400_000 };
    ffi::SQLITE_OK
}

unsafe extern "C" fn last_error(_: *mut ffi::sqlite3_vfs, _: c_int, _: *mut c_char) -> c_int {
    0
}
