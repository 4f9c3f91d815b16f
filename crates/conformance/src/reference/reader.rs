//! A cursor over the input. Offsets are always those of the whole input (NOT-11), and the end of an item
//! is the end of the bytes for all that is inside it (NOT-8).

use super::{Fault, fail};

/// A cursor with an end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

/// What a length announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Item<'a> {
    /// Where its length stands.
    pub(super) length_at: usize,
    /// Where its bytes begin.
    pub(super) from: usize,
    /// Its bytes.
    pub(super) bytes: &'a [u8],
}

/// A run of UTF-8 that a length announced.
#[derive(Clone, Copy, Debug)]
pub(super) struct Text<'a> {
    /// Where its length stands.
    pub(super) length_at: usize,
    /// Where its bytes begin.
    pub(super) from: usize,
    /// The text.
    pub(super) text: &'a str,
}

/// Whether a length or count of zero is legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zero {
    /// It is.
    Legal,
    /// It is `EMPTY`.
    Forbidden,
}

impl<'a> Reader<'a> {
    /// At the first byte of `bytes`.
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, end: bytes.len() }
    }

    /// The offset of the next byte.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub(super) const fn left(&self) -> usize {
        self.end - self.at
    }

    /// All bytes that are left, without reading them.
    pub(super) fn rest(&self) -> &'a [u8] {
        &self.bytes[self.at..self.end]
    }

    /// Moves the end `n` bytes forward, to keep a checksum out. Not more than are left.
    pub(super) fn shorten(&mut self, n: usize) {
        self.end -= n.min(self.left());
    }

    /// A run of `n` bytes.
    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8], Fault> {
        if n > self.left() {
            return fail("TRUNCATED", self.at); // NOT-8
        }
        let run = &self.bytes[self.at..self.at + n];
        self.at += n;
        Ok(run)
    }

    /// A run of `n` bytes, as something to read from.
    pub(super) fn inner(&mut self, n: usize) -> Result<Self, Fault> {
        let at = self.at;
        self.take(n)?;
        Ok(Self { bytes: self.bytes, at, end: self.at })
    }

    /// An unsigned integer of `width` bytes, at most 8.
    fn unsigned(&mut self, width: usize) -> Result<u64, Fault> {
        let mut number = 0;
        for byte in self.take(width)? {
            number = number << 8 | u64::from(*byte); // NOT-1
        }
        Ok(number)
    }

    pub(super) fn u8(&mut self) -> Result<u8, Fault> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, Fault> {
        let bytes = self.take(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    pub(super) fn u32(&mut self) -> Result<u32, Fault> {
        let bytes = self.take(4)?;
        Ok(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn u48(&mut self) -> Result<u64, Fault> {
        self.unsigned(6)
    }

    pub(super) fn u64(&mut self) -> Result<u64, Fault> {
        self.unsigned(8)
    }

    pub(super) fn i64(&mut self) -> Result<i64, Fault> {
        Ok(self.unsigned(8)?.cast_signed())
    }

    pub(super) fn uuid(&mut self) -> Result<[u8; 16], Fault> {
        let mut uuid = [0; 16];
        uuid.copy_from_slice(self.take(16)?);
        Ok(uuid)
    }

    /// A length of `width` bytes and that many bytes.
    pub(super) fn item(&mut self, width: usize, cap: usize, zero: Zero) -> Result<Item<'a>, Fault> {
        // NOT-6
        let length_at = self.at;
        let length = self.unsigned(width)?;
        if length > cap as u64 {
            return fail("TOO_LONG", length_at);
        }
        if length == 0 && zero == Zero::Forbidden {
            return fail("EMPTY", length_at);
        }
        let from = self.at;
        let bytes = self.take(length as usize)?;
        Ok(Item { length_at, from, bytes })
    }

    /// A length of `width` bytes and that many bytes of UTF-8.
    pub(super) fn text(&mut self, width: usize, cap: usize, zero: Zero) -> Result<Text<'a>, Fault> {
        let item = self.item(width, cap, zero)?;
        let text = utf8(item.bytes, item.from)?;
        Ok(Text { length_at: item.length_at, from: item.from, text })
    }

    /// A count of `width` bytes.
    pub(super) fn count(&mut self, width: usize, cap: usize, zero: Zero) -> Result<usize, Fault> {
        // NOT-7
        let at = self.at;
        let count = self.unsigned(width)?;
        if count > cap as u64 {
            return fail("TOO_MANY", at);
        }
        if count == 0 && zero == Zero::Forbidden {
            return fail("EMPTY", at);
        }
        Ok(count as usize)
    }

    /// That nothing is left.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        if self.left() > 0 {
            return fail("TRAILING_BYTES", self.at); // NOT-9
        }
        Ok(())
    }
}

/// `bytes`, which begin at `from`, as text.
pub(super) fn utf8(bytes: &[u8], from: usize) -> Result<&str, Fault> {
    // VAL-8
    core::str::from_utf8(bytes).or_else(|_| fail("BAD_UTF8", from))
}

/// That `this` comes after `before`; `at` is where it stands.
pub(super) fn ascending<T: Ord>(before: Option<T>, this: T, at: usize) -> Result<(), Fault> {
    match before.map(|before| before.cmp(&this)) {
        Some(core::cmp::Ordering::Equal) => fail("DUPLICATE", at),
        Some(core::cmp::Ordering::Greater) => fail("OUT_OF_ORDER", at),
        Some(core::cmp::Ordering::Less) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_is_checked_in_the_order_of_not_6() {
        let text =
            |bytes: &'static [u8]| Reader::new(bytes).text(2, 3, Zero::Forbidden).map(|text| text.text);
        assert_eq!(text(&[0]), fail("TRUNCATED", 0));
        assert_eq!(text(&[0, 4]), fail("TOO_LONG", 0));
        assert_eq!(text(&[0, 0]), fail("EMPTY", 0));
        assert_eq!(text(&[0, 2, 0xFF]), fail("TRUNCATED", 2));
        assert_eq!(text(&[0, 1, 0xFF]), fail("BAD_UTF8", 2));
        assert_eq!(text(&[0, 3, 0xED, 0xA0, 0x80]), fail("BAD_UTF8", 2));
        assert_eq!(text(&[0, 1, 0x61]), Ok("a"));
    }

    #[test]
    fn a_count_is_checked_in_the_order_of_not_7() {
        let count = |bytes: &'static [u8]| Reader::new(bytes).count(2, 3, Zero::Forbidden);
        assert_eq!(count(&[0]), fail("TRUNCATED", 0));
        assert_eq!(count(&[0, 4]), fail("TOO_MANY", 0));
        assert_eq!(count(&[0, 0]), fail("EMPTY", 0));
        assert_eq!(count(&[0, 3]), Ok(3));
    }
}
