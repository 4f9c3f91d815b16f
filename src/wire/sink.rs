//! Where encoders write.

use alloc::vec::Vec;

use bytes::BytesMut;
#[cfg(feature = "std")]
use crc32fast::Hasher;

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
                crc32(self.get(start..).unwrap_or_default())
            }
        }
    };
}

buffer_sink!(Vec<u8>);
buffer_sink!(BytesMut);

/// A sink of known size on the stack, for parts that become one write.
pub(crate) struct ArraySink<const N: usize> {
    bytes: [u8; N],
    written: usize,
}

impl<const N: usize> ArraySink<N> {
    #[inline]
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; N], written: 0 }
    }

    #[inline]
    pub(crate) const fn bytes(self) -> [u8; N] {
        self.bytes
    }
}

impl<const N: usize> Sink for ArraySink<N> {
    /// What does not fit is left out: `N` is the size of what is written.
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        self.patch(self.written, bytes);
        self.written += bytes.len();
    }

    #[inline]
    fn written(&self) -> usize {
        self.written
    }

    #[inline]
    fn patch(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    #[inline]
    fn crc32_from(&self, start: usize) -> u32 {
        crc32(self.bytes.get(start..self.written).unwrap_or_default())
    }
}

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

/// CRC-32/ISO-HDLC of `bytes`.
#[inline]
pub(crate) fn crc32(bytes: &[u8]) -> u32 {
    // `crc32fast::hash` asks each time what the processor can do, which for the bytes of one operation is
    // a good part of the work. Without std the answer is known when this is compiled.
    #[cfg(feature = "std")]
    {
        static START: std::sync::LazyLock<Hasher> = std::sync::LazyLock::new(Hasher::new);
        let mut hasher = START.clone();
        hasher.update(bytes);
        hasher.finalize()
    }
    #[cfg(not(feature = "std"))]
    crc32fast::hash(bytes)
}
