//! Appends and epochs.

use core::num::NonZeroU64;

use blazedb_relay::message::RestoreMode;
use blazedb_relay::relay::{Epoch, NodeAppend};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::super::error::{Error, ErrorKind, WriteError};
use super::super::node::{Node, Refusal, head_after, random_epoch};
use super::super::{Opened, Writer};
use super::Place;
use super::reader::node_row;
use super::schema::{Access, from_sql, to_sql};

/// Appends to a log in a file.
#[derive(Debug)]
pub struct SqliteWriter {
    place: Place,
    conn: Connection,
    /// That of this opening.
    epoch: NonZeroU64,
    lost: bool,
}

impl SqliteWriter {
    pub(super) fn open(place: Place) -> Result<Opened<Self>, Error> {
        let mut conn = place.connect(Access::Write)?;
        settle(&place, &conn)?;
        let opened = write(&place, &mut conn, |transaction| mint(&place, transaction));
        let (head, epochs) = opened.map_err(WriteError::into_error)?;
        let Some(epoch) = epochs.last().map(|epoch| epoch.id) else {
            return Err(place.damaged("no epoch"));
        };
        Ok(Opened { writer: Self { place, conn, epoch, lost: false }, head, epochs })
    }

    fn write<T>(
        &mut self,
        work: impl FnOnce(&Place, &Transaction<'_>) -> Result<T, Error>,
    ) -> Result<T, WriteError> {
        let Self { place, conn, epoch, lost } = self;
        if *lost {
            return Err(WriteError::Lost(Error::new(ErrorKind::Superseded, &place.path, "an earlier write")));
        }
        let result = write(place, conn, |transaction| {
            //= RLY-2
            if current_epoch(transaction).map_err(|error| place.fault(&error))? != Some(*epoch) {
                return Err(Error::new(ErrorKind::Superseded, &place.path, ""));
            }
            work(place, transaction)
        });
        *lost = matches!(result, Err(WriteError::Lost(_)));
        result
    }
}

impl Writer for SqliteWriter {
    fn append(&mut self, nodes: &[NodeAppend]) -> Result<u64, WriteError> {
        self.write(|place, transaction| {
            let fault = |error| place.fault(&error);
            let refuse = |(kind, detail): Refusal| Error::new(kind, &place.path, detail);
            let before = head(transaction).map_err(fault)?;
            let after = head_after(before, nodes).map_err(refuse)?;
            let mut next = before + 1;
            for append in nodes {
                let now = node_row(transaction, append.node).map_err(fault)?;
                let node = Node::after(now.as_ref(), append).map_err(refuse)?;
                put_node(transaction, append, now.is_none().then_some(after), &node).map_err(fault)?;
                next = put_blocks(transaction, append, next).map_err(fault)?;
            }
            Ok(before + 1)
        })
    }

    fn mint(&mut self) -> Result<Epoch, WriteError> {
        let (_, epochs) = self.write(mint)?;
        let epoch = epochs.last().copied();
        let epoch = epoch.ok_or_else(|| WriteError::Lost(self.place.damaged("no epoch")))?;
        self.epoch = epoch.id;
        Ok(epoch)
    }
}

/// Moves all of the write-ahead log into the database and begins it anew, so that whatever an earlier
/// failure left of it is on the disk or gone. Somebody who still reads is in the way of that, and may be
/// unless there was such a failure.
fn settle(place: &Place, conn: &Connection) -> Result<(), Error> {
    let _turn = place.gate.pass();
    let blocked = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, bool>(0));
    if blocked.map_err(|error| place.fault(&error))? && place.gate.is_in_doubt() {
        return Err(Error::new(ErrorKind::Failed, &place.path, "somebody still reads it"));
    }
    place.gate.set_in_doubt(false);
    Ok(())
}

/// Does some work in one transaction, which is durable when this returns if the connection waits for the
/// disk.
pub(super) fn write<T>(
    place: &Place,
    conn: &mut Connection,
    work: impl FnOnce(&Transaction<'_>) -> Result<T, Error>,
) -> Result<T, WriteError> {
    let _turn = place.gate.pass();
    let fault = |error| place.fault(&error);
    if place.gate.is_in_doubt() {
        return Err(WriteError::Lost(Error::new(ErrorKind::Failed, &place.path, "an earlier write failed")));
    }
    let transaction = conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(fault)?;
    // An error in the work rolls back: it is all in memory yet, or in frames that no commit follows.
    let result = work(&transaction)?;
    match transaction.commit().map_err(fault) {
        Ok(()) => Ok(result),
        // The frame that commits is the last to be written, so there was no room for that either.
        Err(error) if error.kind() == ErrorKind::Full => Err(WriteError::Failed(error)),
        //= RLY-8
        Err(error) => {
            place.gate.set_in_doubt(true);
            Err(WriteError::Lost(error))
        }
    }
}

/// The seq of the last operation.
pub(super) fn head(conn: &Connection) -> rusqlite::Result<u64> {
    let sql = "SELECT first_seq + count - 1 FROM blocks ORDER BY first_seq DESC LIMIT 1";
    let head = conn.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(head.map_or(0, from_sql))
}

fn current_epoch(conn: &Connection) -> rusqlite::Result<Option<NonZeroU64>> {
    let sql = "SELECT epoch FROM epochs ORDER BY number DESC LIMIT 1";
    let epoch = conn.prepare_cached(sql)?.query_row([], |row| row.get(0)).optional()?;
    Ok(epoch.and_then(|epoch| NonZeroU64::new(from_sql(epoch))))
}

/// The epochs, oldest first.
pub(super) fn epochs(place: &Place, conn: &Connection) -> Result<Vec<Epoch>, Error> {
    let fault = |error| place.fault(&error);
    let sql = "SELECT epoch, begins, mode FROM epochs ORDER BY number";
    let mut statement = conn.prepare_cached(sql).map_err(fault)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).map_err(fault)?;
    let mut epochs = Vec::new();
    for row in rows {
        let (id, begins, mode) = row.map_err(fault)?;
        let (Some(id), Some(mode)) = (NonZeroU64::new(from_sql(id)), mode_from(mode)) else {
            return Err(place.damaged("the list of epochs has something that is none"));
        };
        epochs.push(Epoch { id, begins: from_sql(begins), mode });
    }
    Ok(epochs)
}

//= RLY-10
/// Mints an epoch with the mode that was chosen for it, and gives the head and all epochs.
fn mint(place: &Place, transaction: &Transaction<'_>) -> Result<(u64, Vec<Epoch>), Error> {
    let fault = |error| place.fault(&error);
    let head = head(transaction).map_err(fault)?;
    let mut epochs = epochs(place, transaction)?;
    if !epochs.iter().map(|epoch| epoch.begins).chain([head]).is_sorted() {
        return Err(place.damaged("an epoch begins beyond the next one, or beyond the head"));
    }
    let mode: i64 =
        transaction.query_row("SELECT next_mode FROM database", [], |row| row.get(0)).map_err(fault)?;
    let mode = mode_from(mode).ok_or_else(|| place.damaged("no restore mode"))?;
    let id = random_epoch(|id| epochs.iter().any(|epoch| epoch.id.get() == id))
        .map_err(|(kind, detail)| Error::new(kind, &place.path, detail))?;
    let sql = "INSERT INTO epochs (epoch, begins, mode) VALUES (?, ?, ?)";
    let row = params![to_sql(id.get()), to_sql(head), mode_to(mode)];
    transaction.execute(sql, row).map_err(fault)?;
    transaction.execute("UPDATE database SET next_mode = 1 WHERE next_mode != 1", []).map_err(fault)?;
    epochs.push(Epoch { id, begins: head, mode });
    Ok((head, epochs))
}

pub(super) const fn mode_to(mode: RestoreMode) -> i64 {
    match mode {
        RestoreMode::Keep => 1,
        RestoreMode::Discard => 2,
    }
}

const fn mode_from(mode: i64) -> Option<RestoreMode> {
    match mode {
        1 => Some(RestoreMode::Keep),
        2 => Some(RestoreMode::Discard),
        _ => None,
    }
}

//= RLY-5
/// Writes the mark and check of a node; of one that is new also whose it is, and the head `since` when it
/// counts.
fn put_node(
    transaction: &Transaction<'_>,
    append: &NodeAppend,
    since: Option<u64>,
    node: &Node,
) -> rusqlite::Result<()> {
    let id = append.node.as_bytes();
    let (mark, check) = (to_sql(node.mark.node_seq().get()), i64::from(node.mark.check()));
    match since {
        None => {
            let sql = "UPDATE nodes SET mark = ?2, mark_check = ?3 WHERE node = ?1";
            transaction.prepare_cached(sql)?.execute(params![id, mark, check])?;
        }
        Some(since) => {
            let sql = "INSERT INTO nodes (node, mark, mark_check, principal, key_hash, since)
                       VALUES (?, ?, ?, ?, ?, ?)";
            let (principal, key) = (node.principal.as_str(), &node.key.0);
            transaction.prepare_cached(sql)?.execute(params![
                id,
                mark,
                check,
                principal,
                key,
                to_sql(since)
            ])?;
        }
    }
    Ok(())
}

//= RLY-3
//= RLY-9
/// Writes the blocks of a node from seq `next` on, and gives the seq behind them.
fn put_blocks(transaction: &Transaction<'_>, append: &NodeAppend, mut next: u64) -> rusqlite::Result<u64> {
    for block in &append.blocks {
        put_block(
            transaction,
            next,
            append.node.as_bytes(),
            (block.first_node_seq, block.count),
            &block.bytes,
        )?;
        next += u64::from(block.count);
    }
    Ok(next)
}

/// Writes a block.
pub(super) fn put_block(
    transaction: &Transaction<'_>,
    first_seq: u64,
    node: &[u8; 16],
    (first_node_seq, count): (u64, u16),
    bytes: &[u8],
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO blocks (first_seq, count, node, first_node_seq, encoding, bytes)
               VALUES (?, ?, ?, ?, ?, ?)";
    let encoding = bytes.first().copied().unwrap_or_default();
    transaction.prepare_cached(sql)?.execute(params![
        to_sql(first_seq),
        count,
        node,
        to_sql(first_node_seq),
        encoding,
        bytes
    ])?;
    Ok(())
}
