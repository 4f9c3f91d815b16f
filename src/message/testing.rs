//! What the unit tests of this module share.

use alloc::vec::Vec;

use uuid::Uuid;

use super::{DecodeInput, Message, decode};
use crate::block::{BlockBuilder, Compression};
use crate::op::{Op, OpKind};
use crate::registry::{ErrorCode, MessageType};
use crate::value::Fields;
use crate::wire::parse::at_offset;
use crate::wire::{CollectionName, CountingSink, NodeId, Timestamp};

/// Bytes of a frame before its fields.
const HEAD: usize = 16;
const CHECKSUM: usize = 4;

fn frame(fields: &[u8], blocks: &[u8]) -> Vec<u8> {
    [&[0; HEAD], fields, &[0; CHECKSUM], blocks].concat()
}

fn input(frame: &[u8], fields: usize, request_id: u32, more: bool) -> DecodeInput<'_> {
    DecodeInput {
        frame,
        fields: &frame[HEAD..HEAD + fields],
        blocks: &frame[HEAD + fields + CHECKSUM..],
        request_id,
        more,
        compression: true,
    }
}

/// Encodes `message`, decodes that and expects the same message; gives the bytes of its fields. No
/// shorter fields decode.
pub(super) fn round_trip(message: &Message<'_>, request_id: u32) -> Vec<u8> {
    let mut fields = Vec::new();
    message.encode_fields(&mut fields);
    assert_eq!(CountingSink::count(|sink| message.encode_fields(sink)), fields.len());

    let bytes = frame(&fields, message.raw_blocks());
    let kind = message.message_type();
    let input = input(&bytes, fields.len(), request_id, message.more());
    let decoded = decode(kind, input).expect("what was encoded decodes");
    assert_eq!(decoded, *message);
    let mut again = Vec::new();
    decoded.encode_fields(&mut again);
    assert_eq!(again, fields);
    assert_eq!(decoded.more(), message.more());
    assert_eq!(decoded.blocks().map(|blocks| blocks.raw()), message.blocks().map(|blocks| blocks.raw()));

    if !matches!(message, Message::Unknown(_)) {
        for len in 0..fields.len() {
            let error = decode(kind, DecodeInput { fields: &bytes[HEAD..HEAD + len], ..input });
            let error = at_offset(&bytes, error.expect_err("cut off"));
            assert_eq!(error.code, ErrorCode::TRUNCATED, "cut at {len}: {error}");
            assert!(error.offset as usize <= HEAD + len);
            assert!(!error.field.is_empty());
        }
    }
    fields
}

/// What is wrong with fields of a message without blocks, and where, counted from the first field.
pub(super) fn fault(kind: MessageType, fields: &[u8]) -> (ErrorCode, u32) {
    fault_with(kind, fields, &[], 1, false)
}

/// As [`fault`], for a frame with all that belongs to it.
pub(super) fn fault_with(
    kind: MessageType,
    fields: &[u8],
    blocks: &[u8],
    request_id: u32,
    more: bool,
) -> (ErrorCode, u32) {
    let bytes = frame(fields, blocks);
    let error = decode(kind, input(&bytes, fields.len(), request_id, more)).expect_err("must be refused");
    let error = at_offset(&bytes, error);
    (error.code, error.offset.wrapping_sub(16))
}

/// A block of one delete of one node, with that number.
pub(super) fn block(node_seq: u64) -> Vec<u8> {
    let node = NodeId::new(Uuid::from_u128(1)).unwrap();
    let place = (CollectionName::new("c").unwrap(), Uuid::nil());
    let timestamp = Timestamp::new(node_seq, node).unwrap();
    let op = Op::new((node, node_seq), timestamp, OpKind::Delete, place, Fields::default()).unwrap();
    let mut builder = BlockBuilder::new(node, node_seq);
    builder.push(&op).unwrap();
    builder.finish(Compression::None).unwrap().to_vec()
}
