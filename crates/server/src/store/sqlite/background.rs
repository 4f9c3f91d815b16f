//! What is done in the background of a database.

use core::time::Duration;

use rusqlite::Connection;

use super::super::error::{Error, ErrorKind};
use super::super::{Background, Fed, Rewritten};
use super::Place;
use super::feed::{Feeder, index};
use super::rewrite::rewrite;
use super::schema::{Access, BUSY};

/// Pages in the write-ahead log, 64 MiB, from which on appends wait until it begins anew. Until then what is
/// moved is moved beside them.
const MANY_PAGES: i64 = 16_384;
/// How long the log's new beginning may wait for readers that still use its end.
const WAIT_FOR_READERS: Duration = Duration::from_millis(20);

/// Feeds the state of a database in a file, and tidies up.
#[derive(Debug)]
pub struct SqliteBackground {
    place: Place,
    conn: Connection,
    feeder: Feeder,
}

impl SqliteBackground {
    pub(super) fn new(place: Place) -> Result<Self, Error> {
        let conn = place.connect(Access::Background)?;
        Ok(Self { place, conn, feeder: Feeder::default() })
    }
}

impl Background for SqliteBackground {
    fn feed(&mut self, max_ops: usize) -> Result<Fed, Error> {
        self.feeder.feed(&self.place, &mut self.conn, max_ops)
    }

    fn index(&mut self) -> Result<bool, Error> {
        index(&self.place, &mut self.conn)
    }

    fn rewrite(&mut self, after: u64, until: u64) -> Result<Rewritten, Error> {
        rewrite(&self.place, &mut self.conn, after, until)
    }

    fn checkpoint(&mut self) -> Result<(), Error> {
        let moved = self.move_log();
        if moved.as_ref().is_err_and(|error| error.kind() != ErrorKind::Full) {
            self.place.gate.set_in_doubt(true);
        }
        moved
    }
}

impl SqliteBackground {
    fn move_log(&self) -> Result<(), Error> {
        let fault = |error| self.place.fault(&error);
        let pages = self.conn.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |row| row.get::<_, i64>(1));
        if pages.map_err(fault)? < MANY_PAGES {
            return Ok(());
        }
        // Under steady appends there is always something more to move, and the log would only grow.
        let _turn = self.place.gate.pass();
        self.conn.busy_timeout(WAIT_FOR_READERS).map_err(fault)?;
        let done = self.conn.query_row("PRAGMA wal_checkpoint(RESTART)", [], |_| Ok(()));
        self.conn.busy_timeout(BUSY).map_err(fault)?;
        done.map_err(fault)
    }
}
