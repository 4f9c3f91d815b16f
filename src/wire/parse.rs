//! Readers in nom's shape: a sub-slice in, the rest and a value out.
//!
//! An error holds the sub-slice at which it happened; its offset is computed once, where the input's
//! first byte is known. Every length passes `bytes*` or `text*`, every count `count*`, and both take
//! their caps as arguments, so that a field without a cap cannot be written (NOT-6, NOT-7).

use core::ops::RangeInclusive;

use nom::error::{ErrorKind, ParseError};
use nom::{IResult, Offset};
use uuid::Uuid;

use crate::error::DecodeError;
use crate::registry::ErrorCode;

/// Where parsing failed, as the input that was left there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    pub(crate) at: &'a [u8],
    pub(crate) code: ErrorCode,
    pub(crate) field: &'static str,
}

pub(crate) type Res<'a, T> = IResult<&'a [u8], T, At<'a>>;

impl<'a> ParseError<&'a [u8]> for At<'a> {
    fn from_error_kind(at: &'a [u8], _: ErrorKind) -> Self {
        Self { at, code: ErrorCode::TRUNCATED, field: "" }
    }

    fn append(_: &'a [u8], _: ErrorKind, other: Self) -> Self {
        other
    }
}

/// Fails at the first byte of `at`.
///
/// Inlined, so that the compiler knows that this is an `Err`: then nothing has to go through memory, and
/// what was checked before stays known.
#[inline(always)]
pub(crate) fn fail<'a, T>(at: &'a [u8], code: ErrorCode, field: &'static str) -> Result<T, nom::Err<At<'a>>> {
    unlikely();
    Err(nom::Err::Failure(At { at, code, field }))
}

/// Tells the compiler that what leads here seldom happens.
#[cold]
#[inline(never)]
const fn unlikely() {}

/// Turns a parser's error into one with an offset from the start of `input`.
#[cold]
pub(crate) fn at_offset(input: &[u8], error: nom::Err<At<'_>>) -> DecodeError {
    match error {
        nom::Err::Error(e) | nom::Err::Failure(e) => DecodeError::new(e.code, input.offset(e.at), e.field),
        // Only nom's streaming parsers say this, and none is used.
        nom::Err::Incomplete(_) => DecodeError::new(ErrorCode::TRUNCATED, input.len(), ""),
    }
}

/// Runs `parser` over all of `input` (NOT-9).
pub(crate) fn whole<'a, T>(
    input: &'a [u8],
    field: &'static str,
    parser: impl FnOnce(&'a [u8]) -> Res<'a, T>,
) -> Result<T, DecodeError> {
    match parser(input) {
        Ok(([], value)) => Ok(value),
        //= NOT-9
        Ok((rest, _)) => Err(DecodeError::new(ErrorCode::TRAILING_BYTES, input.offset(rest), field)),
        Err(error) => Err(at_offset(input, error)),
    }
}

/// Takes `N` bytes.
#[inline]
pub(crate) fn array<'a, const N: usize>(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, &'a [u8; N]> {
    move |input| match input.split_first_chunk() {
        Some((bytes, rest)) => Ok((rest, bytes)),
        //= NOT-8
        None => fail(input, ErrorCode::TRUNCATED, field),
    }
}

macro_rules! integers {
    ($($name:ident $type:ty, $len:literal;)*) => {$(
        //= NOT-1
        #[inline]
        pub(crate) fn $name<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, $type> {
            move |input| match input.split_first_chunk::<$len>() {
                Some((bytes, rest)) => Ok((rest, <$type>::from_be_bytes(*bytes))),
                None => fail(input, ErrorCode::TRUNCATED, field),
            }
        }
    )*};
}

integers! {
    u8 u8, 1;
    u16 u16, 2;
    u32 u32, 4;
    u64 u64, 8;
    i64 i64, 8;
}

/// Six bytes, big-endian.
#[inline]
pub(crate) fn u48<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, u64> {
    move |input| {
        let (rest, [a, b, c, d, e, f]) = array::<6>(field)(input)?;
        Ok((rest, u64::from_be_bytes([0, 0, *a, *b, *c, *d, *e, *f])))
    }
}

/// Sixteen bytes as a UUID.
#[inline]
pub(crate) fn uuid<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, Uuid> {
    move |input| {
        let (rest, bytes) = array::<16>(field)(input)?;
        Ok((rest, Uuid::from_bytes(*bytes)))
    }
}

/// A byte that is 0 or 1.
pub(crate) fn bool<'a>(field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, bool> {
    move |input| match u8(field)(input)? {
        (rest, 0) => Ok((rest, false)),
        (rest, 1) => Ok((rest, true)),
        _ => fail(input, ErrorCode::BAD_BOOL, field),
    }
}

/// `len` bytes, where `len` is fixed or was already checked against its cap.
#[inline]
pub(crate) fn take<'a>(len: usize, field: &'static str) -> impl Fn(&'a [u8]) -> Res<'a, &'a [u8]> {
    move |input| match input.split_at_checked(len) {
        Some((bytes, rest)) => Ok((rest, bytes)),
        None => fail(input, ErrorCode::TRUNCATED, field),
    }
}

/// Checks that `bytes` are UTF-8.
#[inline]
pub(crate) fn utf8<'a>(bytes: &'a [u8], field: &'static str) -> Result<&'a str, nom::Err<At<'a>>> {
    match core::str::from_utf8(bytes) {
        Ok(text) => Ok(text),
        Err(_) => fail(bytes, ErrorCode::BAD_UTF8, field),
    }
}

#[inline]
fn checked_len<'a>(
    at: &'a [u8],
    len: usize,
    allowed: &RangeInclusive<usize>,
    over: ErrorCode,
    field: &'static str,
) -> Result<(), nom::Err<At<'a>>> {
    if len > *allowed.end() {
        return fail(at, over, field);
    }
    if len < *allowed.start() {
        return fail(at, ErrorCode::EMPTY, field);
    }
    Ok(())
}

macro_rules! lengths {
    ($($bytes:ident $text:ident $count:ident $int:ident;)*) => {$(
        /// A length within `allowed`, then that many bytes (NOT-6).
        #[inline]
        pub(crate) fn $bytes<'a>(
            allowed: RangeInclusive<usize>,
            field: &'static str,
        ) -> impl Fn(&'a [u8]) -> Res<'a, &'a [u8]> {
            //= NOT-6
            move |input| {
                let (rest, len) = $int(field)(input)?;
                checked_len(input, len as usize, &allowed, ErrorCode::TOO_LONG, field)?;
                take(len as usize, field)(rest)
            }
        }

        /// A length within `allowed`, then that many bytes of UTF-8 (NOT-6).
        #[inline]
        pub(crate) fn $text<'a>(
            allowed: RangeInclusive<usize>,
            field: &'static str,
        ) -> impl Fn(&'a [u8]) -> Res<'a, &'a str> {
            move |input| {
                let (rest, bytes) = $bytes(allowed.clone(), field)(input)?;
                Ok((rest, utf8(bytes, field)?))
            }
        }

        /// A count within `allowed` (NOT-7).
        #[inline]
        #[allow(dead_code, reason = "counts of 32 bits are not needed yet")]
        pub(crate) fn $count<'a>(
            allowed: RangeInclusive<usize>,
            field: &'static str,
        ) -> impl Fn(&'a [u8]) -> Res<'a, usize> {
            //= NOT-7
            move |input| {
                let (rest, count) = $int(field)(input)?;
                checked_len(input, count as usize, &allowed, ErrorCode::TOO_MANY, field)?;
                Ok((rest, count as usize))
            }
        }
    )*};
}

lengths! {
    bytes8 text8 count8 u8;
    bytes16 text16 count16 u16;
    bytes32 text32 count32 u32;
}

/// Walks `count` items with `item`, and returns the bytes they took: a list is proved once, kept as it
/// came, and iterated later without errors and without memory of its own.
pub(crate) fn items<'a>(
    count: usize,
    mut item: impl FnMut(&'a [u8]) -> Res<'a, ()>,
) -> impl FnMut(&'a [u8]) -> Res<'a, &'a [u8]> {
    move |input| {
        let mut rest = input;
        for _ in 0..count {
            (rest, ()) = item(rest)?;
        }
        let used = input.offset(rest);
        // `rest` is a suffix of `input`, so the split is always there.
        Ok((rest, input.get(..used).unwrap_or_default()))
    }
}

/// Fails unless `this` comes after `last` (NOT-6): `DUPLICATE` if they are equal, else `OUT_OF_ORDER`.
#[inline]
pub(crate) fn ascending<'a, T: Ord>(
    at: &'a [u8],
    last: Option<&T>,
    this: &T,
    field: &'static str,
) -> Result<(), nom::Err<At<'a>>> {
    let Some(last) = last else { return Ok(()) };
    match this.cmp(last) {
        core::cmp::Ordering::Greater => Ok(()),
        core::cmp::Ordering::Equal => fail(at, ErrorCode::DUPLICATE, field),
        core::cmp::Ordering::Less => fail(at, ErrorCode::OUT_OF_ORDER, field),
    }
}
