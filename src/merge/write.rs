//! What an operation writes (SPEC.md 12.2), found in its bytes.

use alloc::vec::Vec;

use super::path::{push, push_escaped};
use crate::limits::MAX_DEPTH;
use crate::registry::Tag;
use crate::value::{Context, FieldsRef, entry_key, value};

/// A patch that is not yet at its end.
#[derive(Clone, Copy, Default)]
struct Open {
    /// Entries not yet read.
    left: u16,
    /// Length of its path.
    path: usize,
}

/// Shows each value that `fields` write to `seen`, with the canonical bytes of its path, which are put
/// together in `path`. What is left open of patches stands in an array of fixed size.
#[inline]
pub(super) fn each_write(fields: FieldsRef<'_>, path: &mut Vec<u8>, mut seen: impl FnMut(&[u8], &[u8])) {
    fields.each_raw(|name, value| {
        path.clear();
        push_escaped(path, name);
        match value {
            [tag, high, low, entries @ ..] if *tag == Tag::PATCH.0 => {
                each_patched(u16::from_be_bytes([*high, *low]), entries, path, &mut seen);
            }
            //= MRG-7
            _ => seen(path, value),
        }
    });
}

#[inline(never)]
fn each_patched(count: u16, entries: &[u8], path: &mut Vec<u8>, seen: &mut impl FnMut(&[u8], &[u8])) {
    let mut open = [Open::default(); MAX_DEPTH];
    let mut depth = 0;
    open[0] = Open { left: count, path: path.len() };
    let mut rest = entries;
    while let Some(patch) = open.get_mut(depth) {
        path.truncate(patch.path);
        let Some(left) = patch.left.checked_sub(1) else {
            let Some(outer) = depth.checked_sub(1) else { return };
            depth = outer;
            continue;
        };
        patch.left = left;
        let Ok((value_at, key)) = entry_key(rest) else { return };
        push(path, key.as_bytes());
        if let [tag, high, low, entries @ ..] = value_at
            && *tag == Tag::PATCH.0
        {
            depth += 1;
            if let Some(place) = open.get_mut(depth) {
                *place = Open { left: u16::from_be_bytes([*high, *low]), path: path.len() };
            }
            rest = entries;
            continue;
        }
        let Ok((after, _)) = value(value_at, &Context::ANY) else { return };
        seen(path, value_at.get(..value_at.len() - after.len()).unwrap_or_default());
        rest = after;
    }
}
