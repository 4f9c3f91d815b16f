//! Compressed payloads: the decompressed length, then one raw LZ4 block (SPEC.md 6.4).

use alloc::vec::Vec;

use lz4_flex::block::DecompressError;

use crate::error::DecodeError;
use crate::limits::MAX_BLOCK;
use crate::registry::ErrorCode;

/// Decompresses `payload` into `scratch`. Offsets count from the start of the payload, and all errors
/// are at its first byte (NOT-11).
pub(super) fn decompress<'s>(payload: &[u8], scratch: &'s mut Vec<u8>) -> Result<&'s [u8], DecodeError> {
    let err = |code| Err(DecodeError::new(code, 0, "decompressed length"));
    let Some((declared, compressed)) = payload.split_first_chunk() else {
        return err(ErrorCode::TRUNCATED);
    };
    //= BLK-15
    let declared = u32::from_be_bytes(*declared) as usize;
    if declared > MAX_BLOCK {
        return err(ErrorCode::TOO_LONG);
    }
    if declared == 0 {
        return err(ErrorCode::EMPTY);
    }
    scratch.resize(declared, 0);
    match lz4_flex::block::decompress_into(compressed, scratch) {
        Ok(written) if written == declared => Ok(scratch),
        //= BLK-17
        Ok(_) | Err(DecompressError::OutputTooSmall { .. }) => err(ErrorCode::BAD_COMPRESSION),
        //= BLK-16
        Err(_) => Err(DecodeError::new(ErrorCode::BAD_COMPRESSION, 0, "payload")),
    }
}

/// The compressed form of `payload`, if it is smaller.
pub(super) fn compress(payload: &[u8]) -> Option<Vec<u8>> {
    let compressed = lz4_flex::block::compress(payload);
    //= BLK-18
    if compressed.len() + 4 >= payload.len() {
        return None;
    }
    let mut bytes = Vec::with_capacity(compressed.len() + 4);
    bytes.extend_from_slice(&u32::try_from(payload.len()).ok()?.to_be_bytes());
    bytes.extend_from_slice(&compressed);
    Some(bytes)
}
