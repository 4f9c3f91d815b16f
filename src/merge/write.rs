//! What an operation writes (SPEC.md 12.2), found in its bytes.

use alloc::vec::Vec;

use super::path::{push, push_escaped};
use crate::limits::MAX_DEPTH;
use crate::registry::Tag;
use crate::value::{Context, FieldsRef, entry_key, value};
use crate::wire::Timestamp;

/// Where an operation writes.
pub(super) trait Writes {
    /// The timestamp of the register at `path`, or never.
    fn register(&self, path: &[u8]) -> Timestamp;

    /// The operation writes `value` at `path`; `top` is the greatest timestamp above that.
    fn write(&mut self, path: &[u8], top: Timestamp, value: &[u8]);
}

/// A patch that is not yet at its end.
#[derive(Clone, Copy)]
struct Open {
    /// Entries not yet read.
    left: u16,
    /// Length of its path.
    path: usize,
    /// The greatest timestamp of the registers at its path and above. The operation writes nothing
    /// there, so it is looked up once, however many entries there are.
    top: Timestamp,
}

/// Gives each value that `fields` write to `writes`, with the canonical bytes of its path, which are put
/// together in `path`. What is left open of patches stands in an array of fixed size.
#[inline]
pub(super) fn each_write(fields: FieldsRef<'_>, path: &mut Vec<u8>, writes: &mut impl Writes) {
    let top = writes.register(&[]);
    fields.each_raw(|name, value| {
        path.clear();
        push_escaped(path, name);
        match value {
            [tag, high, low, entries @ ..] if *tag == Tag::PATCH.0 => {
                each_patched(u16::from_be_bytes([*high, *low]), entries, top, path, writes);
            }
            //= MRG-7
            _ => writes.write(path, top, value),
        }
    });
}

#[inline(never)]
fn each_patched(count: u16, entries: &[u8], top: Timestamp, path: &mut Vec<u8>, writes: &mut impl Writes) {
    let first = Open { left: count, path: path.len(), top: top.max(writes.register(path)) };
    let mut open = [first; MAX_DEPTH];
    let mut depth = 0;
    let mut rest = entries;
    while let Some(patch) = open.get_mut(depth) {
        path.truncate(patch.path);
        let Some(left) = patch.left.checked_sub(1) else {
            let Some(outer) = depth.checked_sub(1) else { return };
            depth = outer;
            continue;
        };
        patch.left = left;
        let top = patch.top;
        let Ok((value_at, key)) = entry_key(rest) else { return };
        push(path, key.as_bytes());
        if let [tag, high, low, entries @ ..] = value_at
            && *tag == Tag::PATCH.0
        {
            depth += 1;
            if let Some(place) = open.get_mut(depth) {
                let left = u16::from_be_bytes([*high, *low]);
                *place = Open { left, path: path.len(), top: top.max(writes.register(path)) };
            }
            rest = entries;
            continue;
        }
        let Ok((after, _)) = value(value_at, &Context::ANY) else { return };
        writes.write(path, top, value_at.get(..value_at.len() - after.len()).unwrap_or_default());
        rest = after;
    }
}
