//! What bytes are, judged by what only one target has: a magic, a checksum that is right.

use blazedb_relay::block::BlockRef;
use blazedb_relay::frame::{self, Frame, Phase};
use blazedb_relay::limits::MIN_OP;
use blazedb_relay::op::OpRef;
use blazedb_relay::registry::{ErrorCode, MessageType};
use blazedb_relay::value::ValueRef;
use blazedb_relay_conformance::meaning::Target;

/// A guess, and what speaks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Guess {
    pub(crate) target: Target,
    pub(crate) why: &'static str,
    /// Whether something proves it.
    pub(crate) sure: bool,
}

/// What `bytes` are: first by what proves it, then by what speaks for it.
pub(crate) fn guess(bytes: &[u8]) -> Guess {
    type Sign = (Target, fn(&[u8]) -> bool, &'static str);
    const PROOFS: &[Sign] = &[
        (Target::Record, |bytes| bytes.starts_with(b"BLAZE"), "it begins with BLAZE"),
        (Target::Message, whole_frame, "it begins with a frame whose checksum is right"),
        (Target::Block, whole_block_header, "it begins with a block header whose checksum is right"),
        (Target::Op, whole_op, "it ends with the checksum of an operation"),
        (Target::Value, |bytes| ValueRef::decode(bytes).is_ok(), "it is a legal value from end to end"),
    ];
    const SIGNS: &[Sign] = &[
        (Target::Op, like_op, "it has the layout of an operation, though not its checksum"),
        (Target::Message, like_frame, "it begins like a frame of a known type"),
        (Target::Block, like_block, "it has the lengths of a block, though not its checksum"),
        (Target::Value, like_value, "it begins with the tag of a value"),
    ];
    let find = |signs: &[Sign], sure| {
        let sign = signs.iter().find(|(_, sign, _)| sign(bytes));
        sign.map(|(target, _, why)| Guess { target: *target, why, sure })
    };
    let default = Guess { target: Target::Message, why: "nothing else is likelier", sure: false };
    find(PROOFS, true).or_else(|| find(SIGNS, false)).unwrap_or(default)
}

fn byte(bytes: &[u8], at: usize) -> Option<u8> {
    bytes.get(at).copied()
}

fn whole_frame(bytes: &[u8]) -> bool {
    let Ok(Some(len)) = frame::peek(bytes, Phase::Session) else { return false };
    let frame = bytes.get(..len).unwrap_or(bytes);
    match Frame::decode(frame, Phase::Session) {
        Ok(_) => true,
        // Blocks may be missing at the end: they are looked for after the checksum.
        Err(error) => error.code == ErrorCode::TRUNCATED && error.field == "blocks",
    }
}

fn like_frame(bytes: &[u8]) -> bool {
    let kind = bytes.get(2..4).map(|kind| MessageType(u16::from_be_bytes([kind[0], kind[1]])));
    byte(bytes, 0) == Some(1)
        && byte(bytes, 1).is_some_and(|flags| flags < 2)
        && kind.is_some_and(|kind| kind.name().is_some())
}

fn whole_block_header(bytes: &[u8]) -> bool {
    let stated = bytes.get(32..36);
    stated.is_some_and(|stated| crc32fast::hash(bytes.get(..32).unwrap_or_default()).to_be_bytes() == stated)
}

fn like_block(bytes: &[u8]) -> bool {
    let payload = bytes.get(28..32).map(|len| u32::from_be_bytes([len[0], len[1], len[2], len[3]]));
    let fills = payload.is_some_and(|len| bytes.len() as u64 == 36 + u64::from(len));
    BlockRef::decode(bytes).is_ok() || (fills && byte(bytes, 0) == Some(1))
}

fn whole_op(bytes: &[u8]) -> bool {
    match OpRef::decode(bytes) {
        Ok(_) => true,
        Err(_) => bytes.len() >= MIN_OP && byte(bytes, 0) == Some(1) && ends_with_its_checksum(bytes),
    }
}

fn ends_with_its_checksum(bytes: &[u8]) -> bool {
    bytes
        .split_last_chunk::<4>()
        .is_some_and(|(covered, check)| crc32fast::hash(covered).to_be_bytes() == *check)
}

fn like_op(bytes: &[u8]) -> bool {
    bytes.len() >= MIN_OP
        && byte(bytes, 0) == Some(1)
        && byte(bytes, 1).is_some_and(|flags| flags < 2)
        // An id has the version 8 that is put into it, and the type is one of three.
        && byte(bytes, 8).is_some_and(|byte| byte >> 4 == 8)
        && byte(bytes, 58).is_some_and(|kind| (1..=3).contains(&kind))
}

fn like_value(bytes: &[u8]) -> bool {
    byte(bytes, 0).is_some_and(|tag| matches!(tag, 0x02..=0x12 | 0x18 | 0x19 | 0x21..=0x2F))
}

#[cfg(test)]
mod tests {
    use blazedb_relay_conformance::meaning::{Context, encode, unhex};
    use serde_json::{Value as Json, json};

    use super::*;

    const NODE: &str = "550e8400-e29b-41d4-a716-446655440000";

    fn op() -> Json {
        json!({
            "node": NODE, "node_seq": "1", "timestamp": { "counter": "1", "node": NODE }, "kind": "delete",
            "record": NODE, "collection": "bugs", "previous": null, "fields": [],
        })
    }

    fn bytes(target: Target, json: &Json) -> Vec<u8> {
        encode(target, json, &Context::default()).unwrap()
    }

    fn block() -> Vec<u8> {
        let json = json!({
            "encoding": "rows", "compressed": false, "holes": false, "node": NODE, "first_node_seq": "1",
            "span": "1", "ops": [op()],
        });
        bytes(Target::Block, &json)
    }

    #[test]
    fn each_target_is_told_by_its_marks() {
        let ping =
            json!({ "type": "ping", "request_id": "0", "more": false, "nonce": "1", "extensions": [] });
        let record = json!({ "version": "1", "fields": [] });
        for (target, bytes) in [
            (Target::Message, bytes(Target::Message, &ping)),
            (Target::Record, bytes(Target::Record, &record)),
            (Target::Op, bytes(Target::Op, &op())),
            (Target::Block, block()),
            (Target::Value, unhex("122a").unwrap()),
        ] {
            assert_eq!(guess(&bytes).target, target);
        }
    }

    #[test]
    fn faults_do_not_hide_what_it_is() {
        let mut op = bytes(Target::Op, &op());
        op[70] ^= 1;
        assert_eq!(guess(&op).target, Target::Op);
        let mut block = block();
        block[33] ^= 1;
        assert_eq!(guess(&block).target, Target::Block);
        assert_eq!(guess(&unhex("02000000000000002a").unwrap()).target, Target::Value);
        assert_eq!(guess(&unhex("0100002200").unwrap()).target, Target::Message);
        assert_eq!(guess(b"hello").target, Target::Message);
    }
}
