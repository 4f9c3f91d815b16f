//! Where encoders write.

use alloc::vec::Vec;

use bytes::BytesMut;

/// Takes bytes in order. Writing cannot fail: what can be constructed can be encoded.
///
/// Implemented by buffers and by [`CountingSink`], so that the size of a thing is found by the encoder that
/// writes it and cannot drift from it.
pub trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);

    /// Bytes written so far.
    fn written(&self) -> usize;

    /// Overwrites what stands at `at`, which was written before.
    fn patch(&mut self, at: usize, bytes: &[u8]);

    /// CRC-32/ISO-HDLC of everything from `start` on. A sink that keeps no bytes says 0.
    fn crc32_from(&self, start: usize) -> u32;

    /// Appends one byte.
    fn put_u8(&mut self, value: u8) {
        self.put(&[value]);
    }

    /// Appends two bytes, big-endian.
    fn put_u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// Appends four bytes, big-endian.
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_be_bytes());
    }

    /// Appends the low six bytes, big-endian.
    fn put_u48(&mut self, value: u64) {
        let [_, _, bytes @ ..] = value.to_be_bytes();
        self.put(&bytes);
    }

    /// Appends eight bytes, big-endian.
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_be_bytes());
    }
}

macro_rules! buffer_sink {
    ($type:ty) => {
        impl Sink for $type {
            #[inline]
            fn put(&mut self, bytes: &[u8]) {
                self.extend_from_slice(bytes);
            }

            #[inline]
            fn written(&self) -> usize {
                self.len()
            }

            #[inline]
            fn patch(&mut self, at: usize, bytes: &[u8]) {
                if let Some(place) = self.get_mut(at..at + bytes.len()) {
                    place.copy_from_slice(bytes);
                }
            }

            #[inline]
            fn crc32_from(&self, start: usize) -> u32 {
                crc32fast::hash(self.get(start..).unwrap_or_default())
            }
        }
    };
}

buffer_sink!(Vec<u8>);
buffer_sink!(BytesMut);

/// A sink that only counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct CountingSink(usize);

impl CountingSink {
    /// The number of bytes that `write` writes.
    pub fn count(write: impl FnOnce(&mut Self)) -> usize {
        let mut counter = Self::default();
        write(&mut counter);
        counter.0
    }
}

impl Sink for CountingSink {
    fn put(&mut self, bytes: &[u8]) {
        self.0 += bytes.len();
    }

    fn written(&self) -> usize {
        self.0
    }

    fn patch(&mut self, _: usize, _: &[u8]) {}

    fn crc32_from(&self, _: usize) -> u32 {
        0
    }
}
