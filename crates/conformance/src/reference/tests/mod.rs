//! The worked examples, and the rules family by family.

mod blocks;
mod messages;
mod queries;
mod values;

use super::*;
use crate::reference::crc32::crc32;

/// The node of 3.4.
pub(super) const NODE: [u8; 16] =
    [0x55, 0x0E, 0x84, 0x00, 0xE2, 0x9B, 0x41, 0xD4, 0xA7, 0x16, 0x44, 0x66, 0x55, 0x44, 0x00, 0x00];

/// The bytes of a text in hex; spaces and bars only separate.
pub(super) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    digits.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// Everything is agreed on.
fn session() -> Context {
    Context::from_json(&Json::Null).unwrap()
}

/// What decoding says, with the error as a pair.
fn run(target: Target, input: &[u8], context: &Context) -> Result<Json, (&'static str, usize)> {
    decode(target, input, context).map_err(|fault| (fault.code, fault.offset))
}

/// That `input` breaks a rule.
#[track_caller]
fn fails(target: Target, input: &[u8], code: &'static str, offset: usize) {
    assert_eq!(run(target, input, &session()), Err((code, offset)));
}

/// Appends the CRC-32.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend_from_slice(&crc32(&bytes).to_be_bytes());
    bytes
}

/// An operation on `bugs`, of node `NODE`, with timestamp (7, `NODE`).
fn op(kind: u8, node_seq: u64, previous: &[u8], count: u16, fields: &[u8]) -> Vec<u8> {
    let mut op = vec![1, u8::from(!previous.is_empty())];
    op.extend_from_slice(&ids::op_id(&NODE, node_seq));
    op.extend_from_slice(&7_u64.to_be_bytes());
    op.extend_from_slice(&NODE);
    op.extend_from_slice(&NODE);
    op.push(kind);
    op.extend_from_slice(&[9; 16]);
    op.extend_from_slice(b"\x04bugs");
    op.extend_from_slice(previous);
    op.extend_from_slice(&count.to_be_bytes());
    op.extend_from_slice(fields);
    sealed(op)
}

/// An insert of priority 5.
fn insert(node_seq: u64) -> Vec<u8> {
    op(1, node_seq, &[], 1, &[9, 0x12, 5])
}

/// Operations with their lengths.
fn rows(ops: &[Vec<u8>]) -> Vec<u8> {
    let mut rows = Vec::new();
    for op in ops {
        rows.extend_from_slice(&u32::try_from(op.len()).unwrap().to_be_bytes());
        rows.extend_from_slice(op);
    }
    rows
}

/// A block of node `NODE`.
fn block(flags: u8, count: u16, span: u16, first: u64, payload: &[u8]) -> Vec<u8> {
    let mut block = vec![1, flags];
    block.extend_from_slice(&count.to_be_bytes());
    block.extend_from_slice(&span.to_be_bytes());
    block.extend_from_slice(&first.to_be_bytes()[2..]);
    block.extend_from_slice(&NODE);
    block.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
    block = sealed(block);
    block.extend_from_slice(payload);
    block
}

/// Bytes as one LZ4 sequence of literals, after their length.
fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
    out.push(0xF0);
    let more = bytes.len() - 15;
    out.extend(core::iter::repeat_n(255, more / 255));
    out.push(u8::try_from(more % 255).unwrap());
    out.extend_from_slice(bytes);
    out
}

/// A frame.
fn frame(flags: u8, kind: u16, request_id: u32, fields: &[u8], blocks: &[u8]) -> Vec<u8> {
    let mut frame = vec![1, flags];
    frame.extend_from_slice(&kind.to_be_bytes());
    frame.extend_from_slice(&request_id.to_be_bytes());
    frame.extend_from_slice(&u32::try_from(fields.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(&u32::try_from(blocks.len()).unwrap().to_be_bytes());
    frame.extend_from_slice(fields);
    frame = sealed(frame);
    frame.extend_from_slice(blocks);
    frame
}

#[test]
fn contexts() {
    let context = |text: &str| Context::from_json(&serde_json::from_str(text).unwrap());
    let given =
        context(r#"{"capabilities":["query","packed"],"phase":"handshake","position":"cell"}"#).unwrap();
    assert!(given.query && !given.crdt && !given.compression && given.handshake);
    assert_eq!(given.place, Place::Cell);
    let default = context("{}").unwrap();
    assert!(default.query && default.crdt && default.compression && !default.handshake);
    assert_eq!(default.place, Place::Plain);
    assert!(context(r#"{"phase":"later"}"#).is_none());
}
