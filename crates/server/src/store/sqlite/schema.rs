//! The file of a database: its tables, and how to tell it from other files.

use core::time::Duration;
use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::ffi;
use rusqlite::{Connection, OpenFlags};

use super::super::error::{Error, ErrorKind};

/// "BLZR": what `file` and SQLite's header say the file is.
const APPLICATION_ID: i32 = 0x424C_5A52;
/// Of the schema. A change that older relays could not work with makes it greater.
const VERSION: i32 = 1;

/// Numbers of 64 bits are stored as SQLite's signed ones: seqs and counters are below 2^53, epochs keep
/// their bits.
///
/// The state's other tables are those that queries read ([`blazedb_relay_sql::SCHEMA`]). `record` is the id
/// of a row there. `path` is what stands below the record in canonical bytes. `counter_of` is empty for a
/// register, else node and base; `value` is a register's encoding, or a counter's total in 8 bytes.
const SCHEMA: &str = "
    CREATE TABLE database (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        next_mode INTEGER NOT NULL,
        state_seq INTEGER NOT NULL
    ) STRICT;
    INSERT INTO database VALUES (1, 1, 0);
    CREATE TABLE epochs (
        number INTEGER PRIMARY KEY,
        epoch INTEGER NOT NULL UNIQUE,
        begins INTEGER NOT NULL,
        mode INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE nodes (
        node BLOB PRIMARY KEY,
        principal TEXT NOT NULL,
        key_hash BLOB NOT NULL,
        mark INTEGER NOT NULL,
        mark_check INTEGER NOT NULL,
        since INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE blocks (
        first_seq INTEGER PRIMARY KEY,
        count INTEGER NOT NULL,
        node BLOB NOT NULL,
        first_node_seq INTEGER NOT NULL,
        encoding INTEGER NOT NULL,
        bytes BLOB NOT NULL
    ) STRICT;
    CREATE TABLE entries (
        record INTEGER NOT NULL,
        path BLOB NOT NULL,
        counter_of BLOB NOT NULL,
        counter INTEGER NOT NULL,
        author BLOB NOT NULL,
        value BLOB NOT NULL,
        seq INTEGER NOT NULL,
        PRIMARY KEY (record, path, counter_of)
    ) STRICT, WITHOUT ROWID;
";

/// How long to wait for who else uses the file. Only another process that looks into it can be in the way.
pub(super) const BUSY: Duration = Duration::from_secs(5);

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Reading what is there.
    Read,
    /// Writing to what is there. Not every commit waits for the disk: only for what can be made again, or
    /// is the same either way.
    Background,
    /// Writing; a commit is durable. The file is made if it is not there.
    Write,
}

/// Opens a connection to the file of a database. A file that is not one, or is a later version's, is left
/// as it is.
pub(super) fn connect(path: &Path, vfs: Option<&str>, access: Access) -> Result<Connection, Error> {
    let fault = |error| explain(path, &error);
    refuse_orphaned_wal(path)?;
    let flags = OpenFlags::SQLITE_OPEN_NO_MUTEX
        | match access {
            Access::Read => OpenFlags::SQLITE_OPEN_READ_ONLY,
            Access::Background => OpenFlags::SQLITE_OPEN_READ_WRITE,
            Access::Write => OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE,
        };
    let conn = match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(path, flags, vfs),
        None => Connection::open_with_flags(path, flags),
    };
    let mut conn = conn.map_err(fault)?;
    // Until it is known what the file is, not even closing it may change it.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(fault)?;
    conn.busy_timeout(BUSY).map_err(fault)?;
    let empty = is_empty(&conn, path)?;
    if empty && access != Access::Write {
        return Err(Error::new(ErrorKind::Missing, path, "the file is empty"));
    }
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, access == Access::Read).map_err(fault)?;
    conn.set_prepared_statement_cache_capacity(32);
    configure(&conn, access).map_err(fault)?;
    if empty {
        create(&mut conn).map_err(fault)?;
    }
    if access == Access::Write {
        let mode: String =
            conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0)).map_err(fault)?;
        if mode != "wal" {
            let detail = "the file system does not allow a write-ahead log";
            return Err(Error::new(ErrorKind::Failed, path, detail));
        }
    }
    Ok(conn)
}

/// SQLite removes a write-ahead log that stands beside an empty file. Ours is never empty when there is
/// one, so there may be something left to save.
fn refuse_orphaned_wal(path: &Path) -> Result<(), Error> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if size(path) == 0 && size(Path::new(&wal)) > 0 {
        let detail = "the file is empty or missing, but its write-ahead log is there";
        return Err(Error::new(ErrorKind::Damaged, path, detail));
    }
    Ok(())
}

/// Whether there is nothing in the file yet; fails if it is not ours.
fn is_empty(conn: &Connection, path: &Path) -> Result<bool, Error> {
    let number = |sql| conn.query_row(sql, [], |row| row.get::<_, i32>(0)).map_err(|e| explain(path, &e));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    match (application, version) {
        (APPLICATION_ID, VERSION) => Ok(false),
        (APPLICATION_ID, 2..) => {
            let detail = format!("its version is {version}, this relay knows {VERSION}");
            Err(Error::new(ErrorKind::Newer, path, detail))
        }
        (APPLICATION_ID, _) => Err(Error::new(ErrorKind::Damaged, path, format!("version {version}"))),
        (0, 0) if number("SELECT count(*) FROM sqlite_schema")? == 0 => Ok(true),
        _ => Err(Error::new(ErrorKind::Foreign, path, "it is a database of another program")),
    }
}

fn configure(conn: &Connection, access: Access) -> rusqlite::Result<()> {
    // What a damaged or planted file says must not be run.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    conn.execute_batch(
        "PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA wal_autocheckpoint = 0;",
    )?;
    conn.execute_batch(match access {
        Access::Read => "PRAGMA query_only = ON;",
        // Feeding finds records all over the file; 16 MiB of it stay in memory.
        Access::Background => "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384;",
        Access::Write => "PRAGMA synchronous = FULL;",
    })
}

/// Makes the tables, before there is a write-ahead log: so a file is either empty or says what it is.
fn create(conn: &mut Connection) -> rusqlite::Result<()> {
    conn.execute_batch("PRAGMA synchronous = EXTRA;")?;
    let transaction = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Exclusive)?;
    transaction.execute_batch(SCHEMA)?;
    transaction.execute_batch(blazedb_relay_sql::SCHEMA)?;
    transaction.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"
    ))?;
    transaction.commit()?;
    conn.execute_batch("PRAGMA synchronous = FULL;")
}

/// What SQLite's error means for whoever runs the relay.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> Error {
    let kind = match error.sqlite_error().map(|error| error.extended_code & 0xFF) {
        Some(ffi::SQLITE_NOTADB) => ErrorKind::Foreign,
        // The statements are good, so the tables are not those that they are for.
        Some(ffi::SQLITE_CORRUPT | ffi::SQLITE_ERROR) => ErrorKind::Damaged,
        Some(ffi::SQLITE_FULL) => ErrorKind::Full,
        Some(ffi::SQLITE_CANTOPEN) if !path.exists() => ErrorKind::Missing,
        Some(_) => ErrorKind::Failed,
        // A value of another type or size than this program writes, or a row that must be there.
        None => ErrorKind::Damaged,
    };
    Error::new(kind, path, error.to_string())
}

/// Stores a number of 64 bits.
pub(super) const fn to_sql(number: u64) -> i64 {
    i64::from_ne_bytes(number.to_ne_bytes())
}

/// Reads one.
pub(super) const fn from_sql(number: i64) -> u64 {
    u64::from_ne_bytes(number.to_ne_bytes())
}

/// Makes the name of a new file durable.
pub(super) fn lasting(path: &Path) -> std::io::Result<()> {
    // Elsewhere a folder cannot be opened like a file, and the system sees to it.
    if cfg!(unix) {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        std::fs::File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()?;
    }
    Ok(())
}
