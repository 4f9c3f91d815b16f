//! The functions that statements call. What they are given as path, value or list is a parameter of the
//! statement, never a part of it.

use std::sync::Arc;

use blazedb_relay::registry::Tag;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, Error};

use crate::content::{Content, Found, contains};
use crate::key;
use crate::meter::{Meter, Run};

/// Makes them known to a connection.
pub(crate) fn register(conn: &Connection, meter: &Arc<Meter>) -> rusqlite::Result<()> {
    let pure =
        FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC | FunctionFlags::SQLITE_DIRECTONLY;
    let counting = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DIRECTONLY;

    // bz_key(id, content, path): the key of what stands at a path; of nothing where there is no record.
    let mine = meter.clone();
    conn.create_scalar_function("bz_key", 3, pure, move |context| {
        with_found(context, &mine.run(), |found| found.key())
    })?;
    // bz_value(id, content, path): its encoding; NULL if there is nothing, empty if there is no encoding.
    let mine = meter.clone();
    conn.create_scalar_function("bz_value", 3, pure, move |context| {
        with_found(context, &mine.run(), |found| match found {
            Found::Nothing => None,
            Found::Encoded(encoding) => Some(encoding.to_vec()),
            Found::Boundless(_) => Some(Vec::new()),
        })
    })?;
    // bz_contains(id, content, path, value): whether it contains a value.
    let mine = meter.clone();
    conn.create_scalar_function("bz_contains", 4, pure, move |context| {
        let wanted = context.get_raw(3).as_blob()?;
        with_found(context, &mine.run(), |found| contains(found, wanted))
    })?;
    // bz_id(record): the key of a record's id; of nothing where there is no record.
    conn.create_scalar_function("bz_id", 1, pure, |context| {
        let record = context.get_raw(0).as_blob_or_null()?;
        Ok(record.map_or_else(|| key::NOTHING.to_vec(), key::of_id))
    })?;
    // bz_id_value(record): the encoding of a record's id; NULL where there is no record.
    conn.create_scalar_function("bz_id_value", 1, pure, |context| {
        let record = context.get_raw(0).as_blob_or_null()?;
        Ok(record.map(|record| [&[Tag::UUID.0], record].concat()))
    })?;
    // bz_record(key): the id of a record, from its key; NULL for other keys.
    conn.create_scalar_function("bz_record", 1, pure, |context| {
        let key = context.get_raw(0).as_blob()?;
        Ok(key.strip_prefix(&[key::UUID]).map(<[u8]>::to_vec))
    })?;
    // bz_low(key), bz_high(key): between these, the second excluded, stand the index rows with that key in
    // front.
    conn.create_scalar_function("bz_low", 1, pure, |context| Ok(low(context.get_raw(0).as_blob()?)))?;
    conn.create_scalar_function("bz_high", 1, pure, |context| {
        Ok(key::after(&low(context.get_raw(0).as_blob()?)))
    })?;
    // bz_in(key, list): whether a key is one of a list.
    let mine = meter.clone();
    conn.create_scalar_function("bz_in", 2, counting, move |context| {
        let key = context.get_raw(0).as_blob()?;
        let list = usize::try_from(context.get_raw(1).as_i64()?).unwrap_or(usize::MAX);
        Ok(mine.run().lists.get(list).is_some_and(|list| list.contains(key)))
    })?;
    // bz_visit(id): true; counts the record.
    let mine = meter.clone();
    conn.create_scalar_function("bz_visit", 1, counting, move |_| {
        mine.row().map_err(failed)?;
        Ok(true)
    })?;
    // bz_kept(key): the key; counts the memory that a table of them takes.
    let mine = meter.clone();
    conn.create_scalar_function("bz_kept", 1, counting, move |context| {
        let key = context.get_raw(0).as_blob()?;
        mine.keep(2 * key.len() + KEPT).map_err(failed)?;
        Ok(key.to_vec())
    })?;
    // bz_sorted(key): the key; counts what it has beyond the usual, since SQLite keeps as many keys as a
    // page has rows.
    let mine = meter.clone();
    conn.create_scalar_function("bz_sorted", 1, counting, move |context| {
        let key = context.get_raw(0).as_blob()?;
        mine.keep(key.len().saturating_sub(USUAL)).map_err(failed)?;
        Ok(key.to_vec())
    })
}

/// About what a row of a table in memory takes besides its key, which stands in the index of the table too.
const KEPT: usize = 64;
/// Bytes of a sort key that are not counted: 10,001 rows with 8 of them take 80 MB.
const USUAL: usize = 1_024;

fn failed(error: crate::Error) -> Error {
    Error::UserFunctionError(error.into())
}

/// Where all index rows begin that have this key in front.
fn low(key: &[u8]) -> Vec<u8> {
    let mut part = Vec::with_capacity(key.len() + 2);
    key::push_part(&mut part, key);
    part
}

/// Looks up the path of the third argument in the record of the first two.
fn with_found<T>(
    context: &Context<'_>,
    run: &Run,
    then: impl FnOnce(&Found<'_>) -> T,
) -> rusqlite::Result<T> {
    let path = context.get_raw(2).as_blob()?;
    let content = match (context.get_raw(0), context.get_raw(1)) {
        (ValueRef::Integer(_), ValueRef::Blob(content)) => Some(Content::Encoded(content)),
        (ValueRef::Integer(id), _) => run.large.get(&id).map(Content::Fields),
        _ => None,
    };
    Ok(then(&content.map_or(Found::Nothing, |content| content.at(components(path)))))
}

/// The components of a path that is a parameter.
pub(crate) fn components(mut path: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let (len, rest) = path.split_first_chunk()?;
        let (component, rest) = rest.split_at_checked(u16::from_be_bytes(*len).into())?;
        path = rest;
        Some(component)
    })
}

/// A path as a parameter.
pub(crate) fn path_parameter<'p>(components: impl Iterator<Item = &'p str>) -> Vec<u8> {
    let mut path = Vec::new();
    for component in components {
        // A component has at most 1,024 bytes (QRY-3), the name of a field 255.
        let len = u16::try_from(component.len()).unwrap_or(u16::MAX);
        path.extend_from_slice(&len.to_be_bytes());
        path.extend_from_slice(component.as_bytes());
    }
    path
}
