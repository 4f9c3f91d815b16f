//! Adjacent small blocks of one node become one (SPEC.md 11.8).

use std::collections::BTreeSet;

use blazedb_relay::block::{BlockBuilder, BlockRef, Compression};
use blazedb_relay::limits::MAX_BLOCK_OPS;
use blazedb_relay::wire::NodeId;
use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::super::Rewritten;
use super::super::error::{Error, ErrorKind};
use super::Place;
use super::reader::state_seq;
use super::schema::{from_sql, to_sql};
use super::writer::{put_block, write};

/// What a block should have, decompressed: as much as senders put into one.
const TARGET: u64 = 65_536;
/// Blocks of half of that are left alone, so that no operation is rewritten again and again.
const LARGE: u64 = TARGET / 2;
/// Rows that are looked at in one call.
const MAX_ROWS: usize = 4_096;
/// Bytes that are rewritten in one call.
const MAX_BYTES: u64 = 1 << 20;

/// A row of the log, without its operations.
struct Small {
    first_seq: u64,
    count: u64,
    node: [u8; 16],
    first_node_seq: u64,
    /// Of the block, decompressed.
    size: u64,
}

/// Blocks that may become one.
#[derive(Default)]
struct Run {
    blocks: Vec<Small>,
    size: u64,
    ops: u64,
}

impl Run {
    //= RLY-45
    fn takes(&self, next: &Small, begins: &BTreeSet<u64>) -> bool {
        let Some(last) = self.blocks.last() else { return true };
        next.node == last.node
            && next.first_seq == last.first_seq + last.count
            && next.first_node_seq == last.first_node_seq + last.count
            && !begins.contains(&(next.first_seq - 1))
            && self.size + next.size <= TARGET
            && self.ops + next.count <= MAX_BLOCK_OPS as u64
    }

    fn push(&mut self, next: Small) {
        self.size += next.size;
        self.ops += next.count;
        self.blocks.push(next);
    }
}

/// A block that takes the place of others.
struct Larger {
    first_seq: u64,
    ops: u64,
    replaced: usize,
    node: [u8; 16],
    first_node_seq: u64,
    bytes: Vec<u8>,
}

//= RLY-46
pub(super) fn rewrite(
    place: &Place,
    conn: &mut Connection,
    after: u64,
    until: u64,
) -> Result<Rewritten, Error> {
    let reading = conn.unchecked_transaction().map_err(|error| place.fault(&error))?;
    let fed = state_seq(&reading).map_err(|error| place.fault(&error))?;
    let (runs, after) = find_runs(&reading, after, until.min(fed)).map_err(|error| place.fault(&error))?;
    let larger: Vec<_> = runs.iter().map(|run| join(place, &reading, run)).collect::<Result<Vec<_>, _>>()?;
    let larger: Vec<_> = larger.into_iter().flatten().collect();
    drop(reading);
    let replaced = larger.iter().map(|larger| larger.replaced).sum();
    if !larger.is_empty() {
        let done = write(place, conn, |transaction| {
            for Larger { first_seq, ops, replaced, node, first_node_seq, bytes } in &larger {
                let gone = transaction.execute(
                    "DELETE FROM blocks WHERE first_seq >= ? AND first_seq < ?",
                    params![to_sql(*first_seq), to_sql(first_seq + ops)],
                );
                if gone.map_err(|error| place.fault(&error))? != *replaced {
                    return Err(Error::new(
                        ErrorKind::Superseded,
                        &place.path,
                        "somebody else rewrote blocks",
                    ));
                }
                // At most MAX_BLOCK_OPS.
                let count = u16::try_from(*ops).unwrap_or(u16::MAX);
                put_block(transaction, *first_seq, node, (*first_node_seq, count), bytes)
                    .map_err(|error| place.fault(&error))?;
            }
            Ok(())
        });
        done.map_err(|error| error.into_error())?;
    }
    Ok(Rewritten { after, replaced, by: larger.len() })
}

/// Runs of at least two blocks among the operations `after` + 1 to `until`, and where to look next time.
fn find_runs(conn: &Connection, after: u64, until: u64) -> rusqlite::Result<(Vec<Run>, u64)> {
    let begins: BTreeSet<u64> = conn
        .prepare_cached("SELECT begins FROM epochs")?
        .query_map([], |row| row.get(0).map(from_sql))?
        .collect::<rusqlite::Result<_>>()?;
    // The length of a block is known without reading it; of small ones the beginning says what they
    // decompress to.
    let sql = "SELECT first_seq, count, node, first_node_seq, length(bytes),
                      CASE WHEN length(bytes) < ?3 THEN substr(bytes, 1, 40) END
               FROM blocks WHERE first_seq > ?1 AND first_seq + count - 1 <= ?2
               ORDER BY first_seq LIMIT ?4";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query(params![to_sql(after), to_sql(until), to_sql(LARGE), MAX_ROWS as i64])?;
    let (mut runs, mut run, mut bytes, mut next_after) = (Vec::new(), Run::default(), 0, after);
    while let Some(row) = rows.next()? {
        let block = small(row)?;
        let end = block.first_seq + block.count - 1;
        if block.size < LARGE && run.takes(&block, &begins) {
            run.push(block);
            continue;
        }
        let done = core::mem::take(&mut run);
        bytes += finish(done, &mut runs);
        next_after = block.first_seq - 1;
        if bytes >= MAX_BYTES {
            return Ok((runs, next_after));
        }
        if block.size < LARGE {
            run.push(block);
        } else {
            next_after = end;
        }
    }
    // The last run may still grow, unless it is large enough by now.
    if run.size >= LARGE && run.blocks.len() > 1 {
        next_after = run.blocks.last().map_or(next_after, |last| last.first_seq + last.count - 1);
        finish(run, &mut runs);
    }
    Ok((runs, next_after))
}

/// Keeps a run if there is something to join, and gives its size then.
fn finish(run: Run, runs: &mut Vec<Run>) -> u64 {
    if run.blocks.len() < 2 {
        return 0;
    }
    let size = run.size;
    runs.push(run);
    size
}

fn small(row: &Row<'_>) -> rusqlite::Result<Small> {
    let start = row.get_ref(5)?.as_blob_or_null()?.unwrap_or_default();
    let len = from_sql(row.get(4)?);
    // Behind the header of a compressed block stands the length that it decompresses to.
    let size = match (start.get(1), start.get(36..40).and_then(|declared| declared.try_into().ok())) {
        (Some(flags), Some(declared)) if flags & 1 != 0 => u64::from(u32::from_be_bytes(declared)),
        _ => len,
    };
    Ok(Small {
        first_seq: from_sql(row.get(0)?),
        count: from_sql(row.get(1)?),
        node: row.get(2)?,
        first_node_seq: from_sql(row.get(3)?),
        size,
    })
}

/// One block of the operations of all; `None` if they do not fit.
fn join(place: &Place, conn: &Connection, run: &Run) -> Result<Option<Larger>, Error> {
    let Some(first) = run.blocks.first() else { return Ok(None) };
    let fault = |error| place.fault(&error);
    let damaged = |error| place.damaged(format!("a block from seq {} on: {error}", first.first_seq));
    let node = NodeId::new(Uuid::from_bytes(first.node)).map_err(|error| place.damaged(error.to_string()))?;
    let mut builder = BlockBuilder::new(node, first.first_node_seq);
    // A reader that cannot decompress has nothing new to be spared.
    let mut compression = Compression::Lz4;
    let mut scratch = Vec::new();
    let mut statement = conn
        .prepare_cached("SELECT bytes FROM blocks WHERE first_seq >= ? AND first_seq < ? ORDER BY first_seq")
        .map_err(fault)?;
    let range = params![to_sql(first.first_seq), to_sql(first.first_seq + run.ops)];
    let mut rows = statement.query(range).map_err(fault)?;
    while let Some(row) = rows.next().map_err(fault)? {
        let bytes = row.get_ref(0).and_then(|bytes| Ok(bytes.as_blob()?)).map_err(fault)?;
        let block = BlockRef::decode(bytes).map_err(damaged)?;
        if !block.header().compressed {
            compression = Compression::None;
        }
        for op in block.rows(&mut scratch).map_err(damaged)?.iter() {
            if builder.push_ref(&op).is_err() {
                return Ok(None);
            }
        }
    }
    if builder.len() as u64 != run.ops {
        return Err(place.damaged(format!("a block from seq {} on lacks operations", first.first_seq)));
    }
    let bytes = builder.finish(compression).map(<[u8]>::to_vec);
    Ok(bytes.map(|bytes| Larger {
        first_seq: first.first_seq,
        ops: run.ops,
        replaced: run.blocks.len(),
        node: first.node,
        first_node_seq: first.first_node_seq,
        bytes,
    }))
}
