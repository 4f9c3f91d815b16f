//! The file of a replica: its tables, and how to tell it from other files.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{StoreError, StoreErrorKind};

/// "BLZC": what `file` and SQLite's header say the file is.
const APPLICATION_ID: i32 = 0x424C_5A43;
/// Of the schema. A change that older versions could not work with makes it greater.
const VERSION: i32 = 1;

/// `path` is a path in canonical bytes, `counter_of` a node and a base, `collections` names with their
/// lengths. What `data` holds stands in `row.rs`.
const SCHEMA: &str = "
    CREATE TABLE facts (name TEXT PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE outbox (number INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT;
    CREATE TABLE rejected (key BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE registers (path BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE counters (
        path BLOB,
        counter_of BLOB,
        data BLOB NOT NULL,
        PRIMARY KEY (path, counter_of)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE positions (collections BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT, WITHOUT ROWID;
";

/// Opens the file and locks it. Gives whether it is empty. What is no replica is left as it is.
pub(super) fn connect(path: &Path) -> Result<(Connection, bool), StoreError> {
    let fault = |error| explain(path, &error);
    refuse_orphaned_wal(path)?;
    let flags =
        OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE;
    let conn = Connection::open_with_flags(path, flags).map_err(fault)?;
    // Until it is known what the file is, not even closing it may change it.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(fault)?;
    conn.busy_timeout(core::time::Duration::ZERO).map_err(fault)?;
    // One process at a time: the lock is taken with the first access, and kept until the end.
    conn.execute_batch("PRAGMA locking_mode = EXCLUSIVE;").map_err(fault)?;
    let is_new = is_empty(&conn, path)?;
    configure(&conn).map_err(fault)?;
    if !is_new {
        check_wal(&conn, path)?;
        conn.execute_batch("BEGIN EXCLUSIVE; COMMIT;").map_err(fault)?;
    }
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(fault)?;
    Ok((conn, is_new))
}

/// SQLite removes a write-ahead log that stands beside an empty file. Ours is never empty when there is
/// one, so there may be something left to save.
fn refuse_orphaned_wal(path: &Path) -> Result<(), StoreError> {
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    if size(path) == 0 && size(Path::new(&wal)) > 0 {
        let detail = "the file is empty or missing, but its write-ahead log is there";
        return Err(StoreError::new(StoreErrorKind::Damaged, path, detail));
    }
    Ok(())
}

fn is_empty(conn: &Connection, path: &Path) -> Result<bool, StoreError> {
    let number =
        |sql| conn.query_row(sql, [], |row| row.get::<_, i32>(0)).map_err(|error| explain(path, &error));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    match (application, version) {
        (APPLICATION_ID, VERSION) => Ok(false),
        (APPLICATION_ID, 2..) => {
            let detail = format!("its version is {version}, this one knows {VERSION}");
            Err(StoreError::new(StoreErrorKind::Newer, path, detail))
        }
        (APPLICATION_ID, _) => {
            Err(StoreError::new(StoreErrorKind::Damaged, path, format!("version {version}")))
        }
        (0, 0) if number("SELECT count(*) FROM sqlite_schema")? == 0 => Ok(true),
        _ => Err(StoreError::new(StoreErrorKind::Foreign, path, "it is a database of another program")),
    }
}

fn configure(conn: &Connection) -> rusqlite::Result<()> {
    conn.set_prepared_statement_cache_capacity(32);
    // What a damaged or planted file says must not be run.
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    // Every commit waits for the disk: a timestamp that was given must never be given again, so it is
    // durable before anything is sent (SPEC.md 10.6).
    conn.execute_batch(
        "PRAGMA trusted_schema = OFF;
         PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA synchronous = FULL;
         PRAGMA cache_size = -8192;",
    )
}

fn check_wal(conn: &Connection, path: &Path) -> Result<(), StoreError> {
    let mode: String = conn
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .map_err(|error| explain(path, &error))?;
    if mode == "wal" {
        return Ok(());
    }
    let detail = "the file system does not allow a write-ahead log";
    Err(StoreError::new(StoreErrorKind::Failed, path, detail))
}

/// Begins the transaction that makes the tables, before there is a write-ahead log: so a file is either
/// empty or says what it is.
pub(super) fn begin_creation(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("PRAGMA synchronous = EXTRA; BEGIN EXCLUSIVE;")?;
    conn.execute_batch(SCHEMA)?;
    conn.execute_batch(&format!("PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION};"))
}

pub(super) fn end_creation(conn: &Connection) -> rusqlite::Result<()> {
    conn.execute_batch("COMMIT; PRAGMA synchronous = FULL;")?;
    let _: String = conn.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    Ok(())
}

/// What SQLite's error means for whoever uses the app.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> StoreError {
    let kind = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreErrorKind::InUse,
        Some(ErrorCode::NotADatabase) => StoreErrorKind::Foreign,
        // The statements are good, so the tables are not those that they are for.
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::Unknown) => StoreErrorKind::Damaged,
        Some(ErrorCode::DiskFull) => StoreErrorKind::Full,
        Some(_) => StoreErrorKind::Failed,
        // A value of another type than this library writes, or a row that must be there.
        None => StoreErrorKind::Damaged,
    };
    StoreError::new(kind, path, error.to_string())
}
