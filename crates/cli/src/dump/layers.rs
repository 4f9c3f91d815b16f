//! Frames, blocks, operations and records (SPEC.md 4.3, 5 and 6).

use blazedb_relay::block::BlockRef;
use blazedb_relay::codec;
use blazedb_relay::limits::MIN_OP;
use blazedb_relay::op::{OpHead, OpKind, OpRef};
use blazedb_relay::registry::{Capabilities, MessageType};
use blazedb_relay::wire::{NodeId, op_id};
use uuid::Uuid;

use super::Fault;
use super::meaning::{self, Meaning};
use super::schema::{self, message};
use super::value::fields;
use super::walk::{Step, Walker, number, saturated};
use crate::output::{counted, grouped};

const BLOCK_HEAD: usize = 36;
const CHECKSUM: usize = 4;
const FLAG_LZ4: u64 = 0x01;

/// A frame; with what is inside, if it is taken for a message.
pub(super) fn frame(w: &mut Walker<'_, '_>, inside: bool) -> Step {
    let start = w.at();
    w.number(1, "version", meaning::plain)?;
    w.number(1, "flags", |flags| meaning::flags(flags, &["more"]))?;
    let kind = w.number(2, "type", |kind| {
        let sender = message(kind).map(|message| format!(", {}", message.sender));
        meaning::message_type(kind).with(sender.unwrap_or_default())
    })?;
    w.number(4, "request id", |id| match id {
        0 => Meaning::plain("0, neither request nor reply"),
        _ => meaning::plain(id),
    })?;
    let fields_len = saturated(w.number(4, "fields length", meaning::length)?);
    let blocks_len = saturated(w.number(4, "blocks length", meaning::length)?);

    let known = message(kind).filter(|_| inside);
    if w.left() < fields_len {
        return w.short("fields", fields_len);
    }
    match known {
        Some(message) => {
            w.heading("fields", Meaning::faint(format!("of {}", message.name)))?;
            w.region(fields_len, |w| w.nested(|w| schema::walk(w, message.fields)))?;
        }
        None => opaque(w, "fields", fields_len)?,
    }
    let computed = crc32fast::hash(w.slice(start, w.at()));
    w.number(CHECKSUM, "checksum", |stated| Meaning::check(stated, computed))?;

    if w.left() < blocks_len {
        return w.short("blocks", blocks_len);
    }
    let has_blocks = codec::rules(MessageType(u16::try_from(kind).unwrap_or_default()))
        .is_some_and(|rules| rules.blocks && known.is_some());
    if !has_blocks {
        return opaque(w, "blocks", blocks_len);
    }
    w.region(blocks_len, |w| {
        let mut nth = 0;
        while w.left() > 0 {
            nth += 1;
            block(w, &format!("block {nth}"))?;
        }
        Ok(())
    })
}

fn opaque(w: &mut Walker<'_, '_>, name: &str, len: usize) -> Step {
    if len > 0 {
        w.field(len, name, Meaning::bytes)?;
    }
    Ok(())
}

/// Whether the ids check of a push at the next byte is that of its blocks. The block count stands before
/// it, the rest of the fields after it.
pub(super) fn ids_check(w: &mut Walker<'_, '_>) -> Step {
    let count = saturated(number(w.slice(w.at().saturating_sub(2), w.at())));
    let fields_end = w.end();
    // The length of the blocks stands before the fields, which began two bytes ago.
    let len_at = w.at().saturating_sub(2 + CHECKSUM);
    let len = saturated(number(w.slice(len_at, len_at + 4)));
    let blocks = w.slice(fields_end + CHECKSUM, (fields_end + CHECKSUM).saturating_add(len));
    let computed = blazedb_relay::block::Blocks::decode(blocks, count, Capabilities::ALL)
        .and_then(codec::ids_check)
        .ok();
    w.number(4, "ids check", |stated| match computed {
        Some(computed) => Meaning::check(stated, computed).with(", of the operations' ids"),
        None => Meaning::plain("cannot be checked: the blocks are not legal"),
    })?;
    Ok(())
}

/// A block.
pub(super) fn block(w: &mut Walker<'_, '_>, name: &str) -> Step {
    let start = w.at();
    let nested = usize::from(!name.is_empty());
    if nested > 0 {
        w.heading(name, summary_of_block(w.peek(BLOCK_HEAD)))?;
    }
    if w.left() < BLOCK_HEAD {
        return w.short("block header", BLOCK_HEAD);
    }
    let walk = |w: &mut Walker<'_, '_>| {
        w.number(1, "encoding", meaning::encoding)?;
        let flags = w.number(1, "flags", |flags| meaning::flags(flags, &["LZ4", "holes"]))?;
        w.number(2, "count", |count| Meaning::plain(counted(count, "operation")))?;
        w.number(2, "span", |span| Meaning::plain(counted(span, "node_seq")))?;
        w.number(6, "first node_seq", meaning::plain)?;
        w.field(16, "node", Meaning::uuid)?;
        let len = saturated(w.number(4, "payload length", meaning::length)?);
        let computed = crc32fast::hash(w.slice(start, w.at()));
        w.number(CHECKSUM, "header checksum", |stated| Meaning::check(stated, computed))?;
        if w.left() < len {
            return w.short("payload", len);
        }
        if flags & FLAG_LZ4 != 0 { lz4(w, start, len) } else { w.region(len, rows) }
    };
    if nested > 0 { w.nested(walk) } else { walk(w) }
}

fn summary_of_block(head: &[u8]) -> Meaning {
    let part = |from: usize, to: usize| head.get(from..to).map_or(0, number);
    let (count, first) = (part(2, 4), part(6, 12));
    Meaning::faint(format!("{} from number {first} on", counted(count, "operation")))
}

/// Operations one after another.
fn rows(w: &mut Walker<'_, '_>) -> Step {
    let mut nth = 0;
    while w.left() > 0 {
        nth += 1;
        let len = saturated(w.number(4, "operation length", meaning::length)?);
        if w.left() < len {
            return w.short("operation", len);
        }
        w.region(len, |w| op(w, &format!("operation {nth}")))?;
    }
    Ok(())
}

/// A compressed payload of `len` bytes, of the block that begins at `start`.
fn lz4(w: &mut Walker<'_, '_>, start: usize, len: usize) -> Step {
    let fault = w.fault_here();
    let mut scratch = Vec::new();
    let raw = w.slice(start, w.at() + len);
    let rows = BlockRef::decode(raw).and_then(|block| block.rows(&mut scratch).map(|rows| rows.payload()));
    let Ok(payload) = rows else {
        // The codec says what is wrong, if nothing else was before.
        w.hold(len);
        w.number(4, "decompressed length", meaning::length)?;
        return opaque(w, "LZ4 block", len.saturating_sub(4));
    };
    let inner = fault.and_then(|_| fault_inside(raw, payload));
    match inner {
        Some(fault) => w.fault_is_inside(fault.at),
        None => w.hold(len),
    }
    w.number(4, "decompressed length", meaning::length)?;
    let (packed, size) = (len.saturating_sub(4), payload.len());
    let ratio = size as f64 / packed.max(1) as f64;
    w.field(packed, "LZ4 block", |_| {
        Meaning::plain(format!(
            "{} become {} ({ratio:.1} times)",
            grouped(packed),
            counted(size as u64, "byte")
        ))
    })?;
    w.heading("decompressed", Meaning::faint("offsets with + count from its first byte"))?;
    let mut inside = w.inflated(payload, inner);
    let walked = self::rows(&mut inside);
    inside.finish(walked)
}

/// What is wrong inside the decompressed payload of a block, counted from the payload's first byte: what
/// the codec says of the same block uncompressed.
fn fault_inside(raw: &[u8], payload: &[u8]) -> Option<Fault> {
    let mut plain = raw.get(..32)?.to_vec();
    *plain.get_mut(1)? &= !1;
    plain.get_mut(28..32)?.copy_from_slice(&u32::try_from(payload.len()).ok()?.to_be_bytes());
    plain.extend(crc32fast::hash(&plain).to_be_bytes());
    plain.extend_from_slice(payload);
    let mut scratch = Vec::new();
    let block = BlockRef::decode(&plain).ok()?;
    let error = block.rows(&mut scratch).ok()?.validate(Capabilities::ALL).err()?;
    let at = usize::try_from(error.offset).ok()?.checked_sub(BLOCK_HEAD)?;
    Some(Fault { at, code: error.code.name().unwrap_or_default() })
}

/// An operation that fills what is left.
pub(super) fn op(w: &mut Walker<'_, '_>, name: &str) -> Step {
    let start = w.at();
    let whole = w.peek(w.left());
    if !name.is_empty() {
        let summary = OpRef::decode(whole).map_or_else(|_| String::new(), |op| summary_of_op(&op.head));
        w.heading(name, Meaning::faint(summary))?;
    }
    if w.left() < MIN_OP {
        return w.short("operation", MIN_OP);
    }
    let walk = |w: &mut Walker<'_, '_>| {
        let body = w.left() - CHECKSUM;
        w.region(body, |w| {
            w.number(1, "format version", meaning::plain)?;
            let flags = w.number(1, "flags", |flags| meaning::flags(flags, &["previous version"]))?;
            let node = w.slice(w.at() + 40, w.at() + 56);
            w.field(16, "id", |id| op_id_meaning(id, node))?;
            timestamp(w, "timestamp")?;
            w.field(16, "node", Meaning::uuid)?;
            w.number(1, "type", |kind| meaning::one_of(kind, &["insert", "update", "delete"]))?;
            w.field(16, "record", Meaning::uuid)?;
            w.prefixed(1, "collection", Meaning::text)?;
            if flags & 1 != 0 {
                w.hold(24);
                timestamp(w, "previous")?;
            }
            fields(w)
        })?;
        let computed = crc32fast::hash(w.slice(start, w.at()));
        w.number(CHECKSUM, "checksum", |stated| Meaning::check(stated, computed))?;
        Ok(())
    };
    if name.is_empty() { walk(w) } else { w.nested(walk) }
}

fn summary_of_op(head: &OpHead<'_>) -> String {
    let does = match head.kind {
        OpKind::Insert => "insert into",
        OpKind::Update => "update in",
        OpKind::Delete => "delete from",
    };
    format!("{does} {}", meaning::name(head.collection.as_bytes()))
}

fn op_id_meaning(id: &[u8], node: &[u8]) -> Meaning {
    let node_seq = id.get(..6).map_or(0, number);
    let derived =
        Uuid::from_slice(node).ok().and_then(|node| NodeId::new(node).ok()).map(|node| op_id(node, node_seq));
    let right = derived.is_some_and(|derived| derived.as_bytes() == id);
    let words = if right { "" } else { ", not the one derived" };
    Meaning::uuid(id).with(format!(" node_seq {node_seq}{words}"))
}

fn timestamp(w: &mut Walker<'_, '_>, name: &str) -> Step {
    w.number(8, format!("{name} counter"), meaning::plain)?;
    w.field(16, format!("{name} node"), Meaning::uuid)?;
    Ok(())
}

/// A stand-alone record.
pub(super) fn record(w: &mut Walker<'_, '_>) -> Step {
    const CHECKED: u64 = 2;
    w.field(5, "magic", Meaning::text)?;
    let version = w.number(1, "version", |version| match version {
        1 => Meaning::plain("1, without checksum"),
        CHECKED => Meaning::plain("2, with checksum"),
        _ => Meaning::bad(format!("{version}, unknown")),
    })?;
    if version != CHECKED {
        return fields(w);
    }
    if w.left() < 2 + CHECKSUM {
        return w.short("fields", 2 + CHECKSUM);
    }
    w.region(w.left() - CHECKSUM, fields)?;
    let computed = crc32fast::hash(w.slice(0, w.at()));
    w.number(CHECKSUM, "checksum", |stated| Meaning::check(stated, computed))?;
    Ok(())
}
