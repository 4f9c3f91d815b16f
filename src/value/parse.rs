//! Reading one value, without recursion and without allocation.

use super::{ArrayRef, CounterRef, EntriesRef, F64, ValueRef, VectorRef};
use crate::limits::{MAX_BYTES, MAX_DEPTH, MAX_PATCH_KEYS};
use crate::registry::{ErrorCode, Tag};
use crate::wire::parse::{
    At, Res, array, ascending, bool, bytes32, fail, i64, take, text16, text32, u8, u16, u64, utf8, uuid,
};
use crate::wire::{Timestamp, timestamp_or_never};

/// Where a value stands, which decides about `removed`, `patch` and `counter`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In a record, array, dictionary or query: none of them.
    Plain,
    /// The value of a field of an operation, or of an entry of a patch there: all of them.
    Field,
    /// A cell of a query response: `removed` alone.
    Cell,
}

/// What decides whether a value is legal, besides its bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context {
    pub(crate) place: Place,
    /// Whether `crdt` was agreed on (OPS-18).
    pub(crate) crdt: bool,
    /// The timestamp of the operation, which bases must be below (VAL-14).
    pub(crate) before: Option<Timestamp>,
}

impl Context {
    pub(crate) const PLAIN: Self = Self { place: Place::Plain, crdt: true, before: None };
    pub(crate) const CELL: Self = Self { place: Place::Cell, crdt: true, before: None };
    /// For values that were checked before.
    pub(crate) const ANY: Self = Self { place: Place::Field, crdt: true, before: None };

    /// Whether a value of `tag` may stand here.
    fn allow<'a>(&self, tag: Tag, at: &'a [u8]) -> Result<(), nom::Err<At<'a>>> {
        //= VAL-12
        //= VAL-24
        //= QRY-8
        //= QRY-15
        match self.place {
            Place::Cell if tag == Tag::REMOVED => Ok(()),
            Place::Plain => fail(at, ErrorCode::MISPLACED_VALUE, "value"),
            Place::Cell => fail(at, ErrorCode::MISPLACED_VALUE, "cell"),
            //= OPS-18
            Place::Field if !self.crdt => fail(at, ErrorCode::NOT_NEGOTIATED, "value"),
            Place::Field => Ok(()),
        }
    }
}

/// One value at the start of `input`.
#[inline]
pub(crate) fn value<'a>(input: &'a [u8], context: &Context) -> Res<'a, ValueRef<'a>> {
    let mut value = ValueRef::Null;
    let (rest, ()) = show_value(input, context, |seen| value = seen)?;
    Ok((rest, value))
}

/// One value at the start of `input`, shown to `seen`. The most frequent kinds are read where this is
/// inlined, and `seen` is called at each place where the kind is known.
#[inline(always)]
pub(crate) fn show_value<'a>(
    input: &'a [u8],
    context: &Context,
    seen: impl FnOnce(ValueRef<'a>),
) -> Res<'a, ()> {
    let (rest, tag) = u8("value")(input)?;
    match Tag(tag) {
        Tag(0x21..=0x2F) => {
            let (rest, bytes) = take(usize::from(tag & 0x0F), "string")(rest)?;
            //= VAL-8
            seen(ValueRef::String(utf8(bytes, "string")?));
            Ok((rest, ()))
        }
        Tag::SMALL_INT => {
            let (rest, value) = u8("int")(rest)?;
            seen(ValueRef::Int(i64::from(value)));
            Ok((rest, ()))
        }
        Tag::INT => {
            let (rest, value) = int(input, rest)?;
            seen(ValueRef::Int(value));
            Ok((rest, ()))
        }
        Tag::ARRAY | Tag::DICTIONARY | Tag::PATCH => {
            let (rest, value) = container(input, context)?;
            seen(value);
            Ok((rest, ()))
        }
        _ => {
            let (rest, value) = scalar(input, rest, Tag(tag), context)?;
            seen(value);
            Ok((rest, ()))
        }
    }
}

#[inline]
fn int<'a>(input: &'a [u8], rest: &'a [u8]) -> Res<'a, i64> {
    let (after, value) = i64("int")(rest)?;
    //= VAL-4
    if (0..=255).contains(&value) {
        return fail(input, ErrorCode::NON_CANONICAL, "int");
    }
    Ok((after, value))
}

/// The scalars that are less frequent, kept out of the fast path.
#[inline(never)]
fn scalar<'a>(input: &'a [u8], rest: &'a [u8], tag: Tag, context: &Context) -> Res<'a, ValueRef<'a>> {
    match tag {
        Tag::STRING => {
            let (after, text) = text32(0..=MAX_BYTES, "string")(rest)?;
            //= VAL-3
            if text.len() < 16 {
                return fail(input, ErrorCode::NON_CANONICAL, "string");
            }
            Ok((after, ValueRef::String(text)))
        }
        Tag::DOUBLE => u64("double")(rest).map(|(rest, bits)| (rest, ValueRef::Double(F64(bits)))),
        //= VAL-6
        Tag::BOOL => bool("bool")(rest).map(|(rest, value)| (rest, ValueRef::Bool(value))),
        Tag::UUID => uuid("uuid")(rest).map(|(rest, uuid)| (rest, ValueRef::Uuid(uuid))),
        Tag::DATE => u64("date")(rest).map(|(rest, bits)| (rest, ValueRef::Date(F64(bits)))),
        //= VAL-7
        Tag::DATA => bytes32(0..=MAX_BYTES, "data")(rest).map(|(rest, bytes)| (rest, ValueRef::Data(bytes))),
        Tag::NULL => Ok((rest, ValueRef::Null)),
        Tag::REMOVED => {
            context.allow(tag, input)?;
            Ok((rest, ValueRef::Removed))
        }
        Tag::COUNTER => {
            context.allow(tag, input)?;
            counter(rest, context)
        }
        Tag::VECTOR => {
            let (after, count) = u16("vector")(rest)?;
            let (after, raw) = take(usize::from(count) * 4, "vector")(after)?;
            Ok((after, ValueRef::Vector(VectorRef { raw })))
        }
        //= VAL-15
        Tag::SEALED => {
            bytes32(1..=MAX_BYTES, "sealed")(rest).map(|(rest, bytes)| (rest, ValueRef::Sealed(bytes)))
        }
        Tag::EMPTY_STRING => Ok((rest, ValueRef::String(""))),
        Tag::EMPTY_ARRAY => Ok((rest, ValueRef::Array(ArrayRef { count: 0, raw: &[] }))),
        Tag::EMPTY_DICTIONARY => Ok((rest, ValueRef::Dictionary(EntriesRef { count: 0, raw: &[] }))),
        //= VAL-2
        Tag::LEGACY_VECTOR => fail(input, ErrorCode::LEGACY_VECTOR, "value"),
        //= VAL-1
        _ => fail(input, ErrorCode::UNKNOWN_TAG, "value"),
    }
}

fn counter<'a>(input: &'a [u8], context: &Context) -> Res<'a, ValueRef<'a>> {
    //= VAL-13
    let (_, base) = timestamp_or_never("base")(input)?;
    //= VAL-14
    if context.before.is_some_and(|timestamp| base >= timestamp) {
        return fail(input, ErrorCode::BAD_BASE, "base");
    }
    // The base is there; what may be missing is the total.
    if input.len() < 32 {
        return fail(input.get(24..).unwrap_or_default(), ErrorCode::TRUNCATED, "total");
    }
    let (rest, raw) = array::<32>("counter")(input)?;
    Ok((rest, ValueRef::Counter(CounterRef { raw })))
}

/// The key of an entry of a dictionary or patch.
#[inline]
pub(crate) fn entry_key(input: &[u8]) -> Res<'_, &str> {
    text16(0..=usize::MAX, "key")(input)
}

/// An array, dictionary or patch that is not yet at its end.
#[derive(Clone, Copy)]
struct Open {
    kind: Kind,
    /// Items not yet read.
    left: u16,
    /// Where the last key stands, from the start of the outermost container.
    key_start: u32,
    key_len: u16,
    /// Of a patch: bytes of the keys under which it stands in other patches.
    above: u16,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Array,
    Dictionary,
    Patch,
}

impl Open {
    const NONE: Self = Self { kind: Kind::Array, left: 0, key_start: 0, key_len: 0, above: 0 };

    /// Bytes of the keys above what its last key names, if that is a patch.
    const fn below(&self) -> u16 {
        match self.kind {
            Kind::Patch => self.above.saturating_add(self.key_len),
            Kind::Array | Kind::Dictionary => 0,
        }
    }
}

/// Walks a whole container with a fixed array of open ones: the stack a peer's nesting costs is known
/// beforehand (NOT-3).
#[inline(never)]
fn container<'a>(input: &'a [u8], context: &Context) -> Res<'a, ValueRef<'a>> {
    //= NOT-3
    let mut open = [Open::NONE; MAX_DEPTH];
    let mut depth = 0;
    let inner = Context { place: Place::Plain, ..*context };

    let (mut rest, first) = enter(input, context, 0)?;
    let body = rest;
    let (kind, count) = (first.kind, first.left);
    if let Some(slot) = open.first_mut() {
        *slot = first;
    }
    while let Some(current) = open.get_mut(depth) {
        if current.left == 0 {
            let Some(outer) = depth.checked_sub(1) else { break };
            depth = outer;
            continue;
        }
        current.left -= 1;
        if current.kind != Kind::Array {
            rest = next_key(input, rest, current)?;
        }
        let here = if current.kind == Kind::Patch { context } else { &inner };
        let above = current.below();
        match rest.first().copied().map(Tag) {
            Some(Tag::ARRAY | Tag::DICTIONARY | Tag::PATCH) => {
                let at = rest;
                let entered;
                (rest, entered) = match open.get(depth + 1) {
                    Some(_) => enter(at, here, above)?,
                    //= VAL-10
                    None => return too_deep(at, here),
                };
                depth += 1;
                if let Some(slot) = open.get_mut(depth) {
                    *slot = entered;
                }
            }
            _ => (rest, _) = value(rest, here)?,
        }
    }
    let raw = body.get(..body.len() - rest.len()).unwrap_or_default();
    let value = match kind {
        Kind::Array => ValueRef::Array(ArrayRef { count, raw }),
        Kind::Dictionary => ValueRef::Dictionary(EntriesRef { count, raw }),
        Kind::Patch => ValueRef::Patch(EntriesRef { count, raw }),
    };
    Ok((rest, value))
}

/// A misplaced patch is misplaced at any depth (the order of SPEC.md 4.1).
#[cold]
fn too_deep<'a, T>(at: &'a [u8], context: &Context) -> Result<T, nom::Err<At<'a>>> {
    if at.first().copied().map(Tag) == Some(Tag::PATCH) {
        context.allow(Tag::PATCH, at)?;
    }
    fail(at, ErrorCode::TOO_DEEP, "value")
}

/// The tag and count of a container that stands below `above` bytes of patches' keys.
fn enter<'a>(input: &'a [u8], context: &Context, above: u16) -> Res<'a, Open> {
    let (rest, tag) = u8("value")(input)?;
    let kind = match Tag(tag) {
        Tag::ARRAY => Kind::Array,
        Tag::DICTIONARY => Kind::Dictionary,
        _ => {
            context.allow(Tag::PATCH, input)?;
            //= VAL-26
            if usize::from(above) > MAX_PATCH_KEYS {
                return fail(input, ErrorCode::TOO_LONG, "patch keys");
            }
            Kind::Patch
        }
    };
    let (after, left) = u16("count")(rest)?;
    if left == 0 {
        return match kind {
            //= VAL-11
            Kind::Patch => fail(rest, ErrorCode::EMPTY, "patch"),
            //= VAL-5
            Kind::Array | Kind::Dictionary => fail(input, ErrorCode::NON_CANONICAL, "value"),
        };
    }
    Ok((after, Open { kind, left, above, ..Open::NONE }))
}

/// Reads a key and holds it against the one before it in the same container.
fn next_key<'a>(outermost: &'a [u8], input: &'a [u8], open: &mut Open) -> Result<&'a [u8], nom::Err<At<'a>>> {
    let (rest, key) = entry_key(input)?;
    // Start 0 is the tag of the outermost container, so it can stand for "no key yet".
    let last = (open.key_start != 0).then(|| {
        let start = open.key_start as usize;
        outermost.get(start..start + usize::from(open.key_len)).unwrap_or_default()
    });
    //= VAL-9
    ascending(input, last.as_ref(), &key.as_bytes(), "key")?;
    #[allow(clippy::cast_possible_truncation, reason = "values are far below 4 GiB, keys below 64 KiB")]
    {
        open.key_start = (outermost.len() - rest.len() - key.len()) as u32;
        open.key_len = key.len() as u16;
    }
    Ok(rest)
}
