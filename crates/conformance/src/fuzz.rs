//! The properties that are fuzzed. Each takes bytes and panics if it does not hold, so that the same
//! bodies run under a fuzzer and, over the vectors and the corpus, in `cargo test`.

#![allow(clippy::panic, reason = "a property that does not hold is reported by a panic")]

#[cfg(feature = "sim")]
mod simulated;

use arbitrary::Unstructured;
use blazedb_relay::codec::Packet;
use blazedb_relay::frame::{CHECKSUM, Frame, HEAD, Phase, peek};
use blazedb_relay::registry::ErrorCode;

use crate::meaning::{self, Context, Position, Target};
use crate::{generate, reference};

#[cfg(feature = "sim")]
pub use simulated::{client_relay, merge_converge, relay_actions, relay_model};

/// Says which bytes are what and in what context, and gives the rest.
fn split(data: &[u8]) -> Option<(Target, Context, bool, &[u8])> {
    let ([target, flags], rest) = data.split_first_chunk()?;
    let target = *Target::ALL.get(usize::from(target % 6))?;
    let mut context = Context::default();
    if flags & 0x01 != 0 {
        context.capabilities = blazedb_relay::registry::Capabilities::NONE;
    }
    if flags & 0x02 != 0 {
        context.phase = Phase::Handshake;
    }
    context.position = match flags & 0x0C {
        0x04 => Position::Field,
        0x08 => Position::Cell,
        _ => Position::Plain,
    };
    Some((target, context, flags & 0x80 != 0, rest))
}

/// The bytes of a fuzz input that decodes `input` as `target` in `context`.
#[must_use]
pub fn input_for(target: Target, context: &Context, input: &[u8]) -> Vec<u8> {
    let index = Target::ALL.iter().position(|this| *this == target).unwrap_or(0);
    let mut flags = 0;
    if context.capabilities == blazedb_relay::registry::Capabilities::NONE {
        flags |= 0x01;
    }
    if context.phase == Phase::Handshake {
        flags |= 0x02;
    }
    flags |= match context.position {
        Position::Plain => 0,
        Position::Field => 0x04,
        Position::Cell => 0x08,
    };
    let mut all = vec![u8::try_from(index).unwrap_or(0), flags];
    all.extend_from_slice(input);
    all
}

/// Decoding never panics, and what decodes encodes to the same bytes.
pub fn decode(data: &[u8]) {
    let Some((target, context, repair, input)) = split(data) else { return };
    let mut input = input.to_vec();
    if repair {
        repair_checksums(target, &mut input);
    }
    let Ok(decoded) = meaning::decode(target, &input, &context) else { return };
    if decoded.reencoded == input {
        return;
    }
    // Only compressed payloads may differ, and their canonical form is a fixed point.
    if decoded.reencoded.is_empty() && target == Target::Message {
        return; // too large once decompressed: it has no canonical form
    }
    match meaning::decode(target, &decoded.reencoded, &context) {
        Ok(again) => {
            assert_eq!(again.reencoded, decoded.reencoded, "the canonical form is not canonical");
            assert!(is_compressed(&decoded.value), "accepted, but encodes differently");
        }
        Err(error) => panic!("the canonical form does not decode: {error}"),
    }
}

fn is_compressed(json: &serde_json::Value) -> bool {
    let compressed = |block: &serde_json::Value| block["compressed"] == true;
    compressed(json) || json["blocks"].as_array().is_some_and(|blocks| blocks.iter().any(compressed))
}

/// What is built from a meaning decodes to that meaning, in both decoders.
pub fn round_trip(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(target) = u.choose(&Target::ALL).copied() else { return };
    let Ok(meaning) = generate::meaning(target, &mut u) else { return };
    let context = Context::default();
    let bytes = match meaning::encode(target, &meaning, &context) {
        Ok(bytes) => bytes,
        Err(error) => panic!("{} was refused: {error}\n{meaning}", target.name()),
    };
    match meaning::decode(target, &bytes, &context) {
        Ok(decoded) => {
            assert_eq!(decoded.value, meaning, "meaning changed");
            assert_eq!(decoded.reencoded, bytes, "bytes changed");
        }
        Err(error) => panic!("what was encoded does not decode: {error}\n{meaning}"),
    }
    agree(target, &bytes, &context);
}

/// A stream that comes in pieces gives the same frames, and the same first error, as one that is there at
/// once.
pub fn chunked(data: &[u8]) {
    let Some((&seed, stream)) = data.split_first() else { return };
    let phase = if seed & 1 == 0 { Phase::Session } else { Phase::Handshake };
    let whole = frames(stream, stream.len(), phase);
    for size in [1, usize::from(seed >> 1) + 2] {
        assert_eq!(frames(stream, size, phase), whole, "pieces of {size} bytes");
    }
}

/// The lengths of the frames of `stream` and its first error, reading `size` bytes at a time.
fn frames(stream: &[u8], size: usize, phase: Phase) -> (Vec<usize>, Option<(ErrorCode, usize)>) {
    let (mut found, mut begin, mut end) = (Vec::new(), 0, 0);
    loop {
        let Some(buffer) = stream.get(begin..end) else { return (found, None) };
        match peek(buffer, phase) {
            Ok(Some(len)) if len <= buffer.len() => {
                if let Some(Err(error)) = buffer.get(..len).map(|frame| Frame::decode(frame, phase)) {
                    return (found, Some((error.code, begin + error.offset as usize)));
                }
                found.push(len);
                begin += len;
            }
            Ok(_) if end == stream.len() => return (found, None),
            Ok(_) => end = stream.len().min(end + size.max(1)),
            Err(error) => return (found, Some((error.code, begin + error.offset as usize))),
        }
    }
}

/// The codec and the reference decoder give the same meaning, or the same error at the same byte.
pub fn differential(data: &[u8]) {
    let Some((target, context, repair, input)) = split(data) else { return };
    let mut input = input.to_vec();
    if repair {
        repair_checksums(target, &mut input);
    }
    agree(target, &input, &context);
}

/// Holds the codec against the reference decoder.
pub fn agree(target: Target, input: &[u8], context: &Context) {
    let ours = meaning::decode(target, input, context);
    let theirs = reference::decode(reference_target(target), input, &reference_context(context));
    match (ours, theirs) {
        (Ok(ours), Ok(theirs)) => assert_eq!(ours.value, theirs, "{}: meanings differ", target.name()),
        (Err(ours), Err(theirs)) => {
            let ours = (ours.code.name().unwrap_or_default(), ours.offset as usize);
            assert_eq!(ours, (theirs.code, theirs.offset), "{}: errors differ", target.name());
        }
        (Ok(_), Err(theirs)) => {
            panic!("{}: accepted, but the reference says {} at {}", target.name(), theirs.code, theirs.offset)
        }
        (Err(ours), Ok(_)) => panic!("{}: {ours}, but the reference accepts it", target.name()),
    }
}

fn reference_target(target: Target) -> reference::Target {
    match target {
        Target::Value => reference::Target::Value,
        Target::Record => reference::Target::Record,
        Target::Op => reference::Target::Op,
        Target::Block => reference::Target::Block,
        Target::Frame => reference::Target::Frame,
        Target::Message => reference::Target::Message,
    }
}

fn reference_context(context: &Context) -> reference::Context {
    use blazedb_relay::registry::Capability;
    reference::Context {
        crdt: context.capabilities.has(Capability::CRDT),
        compression: context.capabilities.has(Capability::COMPRESSION),
        query: context.capabilities.has(Capability::QUERY),
        handshake: context.phase == Phase::Handshake,
        place: match context.position {
            Position::Plain => reference::Place::Plain,
            Position::Field => reference::Place::Field,
            Position::Cell => reference::Place::Cell,
        },
    }
}

/// Makes the checksums right that stand where `target` has them, so that what is behind them is reached.
pub fn repair_checksums(target: Target, input: &mut [u8]) {
    match target {
        Target::Value => {}
        Target::Record | Target::Op => seal(input, 0, input.len()),
        Target::Block => repair_block(input),
        Target::Frame | Target::Message => {
            let length = |at: usize| {
                let bytes = input.get(at..at + 4).and_then(|bytes| bytes.first_chunk());
                bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes) as usize)
            };
            let mut at = HEAD.saturating_add(length(8)).saturating_add(CHECKSUM);
            let push = input.get(2..4) == Some(&[0, 0x0E]);
            while let Some(block) = input.get_mut(at..).filter(|block| block.len() >= 36) {
                repair_block(block);
                let payload = block.get(28..32).and_then(|bytes| bytes.first_chunk());
                at = at.saturating_add(36 + payload.map_or(0, |len| u32::from_be_bytes(*len) as usize));
            }
            if push {
                repair_ids_check(input);
            }
            seal(input, 0, HEAD.saturating_add(field_len(input)).saturating_add(CHECKSUM));
        }
    }
}

fn field_len(input: &[u8]) -> usize {
    input.get(8..12).and_then(|bytes| bytes.first_chunk()).map_or(0, |len| u32::from_be_bytes(*len) as usize)
}

/// The ids check of a push is also a checksum.
fn repair_ids_check(input: &mut [u8]) {
    let context = blazedb_relay::codec::Context::session(blazedb_relay::registry::Capabilities::ALL);
    seal(input, 0, HEAD.saturating_add(field_len(input)).saturating_add(CHECKSUM));
    let check = Packet::decode(input, &context)
        .ok()
        .and_then(|packet| packet.message().blocks())
        .and_then(|blocks| blazedb_relay::codec::ids_check(blocks).ok());
    if let (Some(check), Some(place)) = (check, input.get_mut(HEAD + 2..HEAD + 6)) {
        place.copy_from_slice(&check.to_be_bytes());
    }
}

/// Writes the CRC-32 of `start..end - 4` into its last four bytes.
fn seal(input: &mut [u8], start: usize, end: usize) {
    let Some((covered, place)) = input.get_mut(start..end).and_then(<[u8]>::split_last_chunk_mut::<4>) else {
        return;
    };
    *place = crc32fast::hash(covered).to_be_bytes();
}

fn repair_block(block: &mut [u8]) {
    seal(block, 0, 36);
    let mut at = 36;
    // Only rows that are not compressed can be repaired in place.
    if block.get(1).is_none_or(|flags| flags & 1 != 0) {
        return;
    }
    while let Some(len) = block.get(at..at + 4).and_then(|bytes| bytes.first_chunk()) {
        let len = u32::from_be_bytes(*len) as usize;
        let end = at.saturating_add(4).saturating_add(len);
        seal(block, at + 4, end);
        at = end;
    }
}
