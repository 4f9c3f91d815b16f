//! A frame with the message in it (7): what all messages have in common.

use serde_json::{Map, Value as Json};

use super::block::{self, Totals};
use super::frame::{self, Frame};
use super::ids::Position;
use super::json::{decimal, hex};
use super::reader::Reader;
use super::{Context, Fault, fail, json, lists, push, query, session, sync};

/// What the request id must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Id {
    /// Not 0: request or reply.
    Some,
    /// 0: neither.
    None,
    /// Either.
    Any,
}

/// A row of the table of 18.1.
#[derive(Clone, Copy, Debug)]
struct Kind {
    name: &'static str,
    id: Id,
    /// Whether blocks may stand in it.
    blocks: bool,
    /// Whether it needs `query`.
    query: bool,
    /// Whether flag more may be set.
    more: bool,
    /// Reads its fields, without the extensions.
    fields: fn(&mut Fields<'_>) -> Result<(), Fault>,
}

/// The fields of a message, read one after another.
#[derive(Debug)]
pub(super) struct Fields<'a> {
    /// The bytes.
    pub(super) reader: Reader<'a>,
    /// Whether flag more is set.
    pub(super) more: bool,
    /// The frame's request id.
    pub(super) request_id: u32,
    /// What was read so far, by the names of the README.
    pub(super) json: Map<String, Json>,
    /// How many blocks the fields announced.
    pub(super) blocks: usize,
    /// Where the ids check of a push stands, and what it is.
    pub(super) ids_check: Option<(usize, u32)>,
}

impl Fields<'_> {
    /// Notes what was read.
    pub(super) fn put(&mut self, key: &str, value: Json) {
        self.json.insert(key.to_owned(), value);
    }

    pub(super) fn u16(&mut self, key: &str) -> Result<u16, Fault> {
        let number = self.reader.u16()?;
        self.put(key, decimal(number));
        Ok(number)
    }

    pub(super) fn u32(&mut self, key: &str) -> Result<u32, Fault> {
        let number = self.reader.u32()?;
        self.put(key, decimal(number));
        Ok(number)
    }

    pub(super) fn u64(&mut self, key: &str) -> Result<u64, Fault> {
        let number = self.reader.u64()?;
        self.put(key, decimal(number));
        Ok(number)
    }

    pub(super) fn position(&mut self, key: &str) -> Result<(), Fault> {
        let position = Position::read(&mut self.reader)?; // MSG-1, MSG-2
        self.put(key, json::position(&position));
        Ok(())
    }
}

/// The message of that type.
fn kind(number: u16) -> Option<Kind> {
    let plain = |name, id, fields| Some(Kind { name, id, blocks: false, query: false, more: false, fields });
    let with_blocks =
        |name, id, fields| Some(Kind { name, id, blocks: true, query: false, more: false, fields });
    match number {
        0x0002 => plain("handshake", Id::None, session::handshake),
        0x0004 => plain("welcome", Id::None, session::welcome),
        0x0006 => plain("sync_state_request", Id::Some, sync::sync_state_request),
        0x0008 => plain("sync_state", Id::Some, sync::sync_state),
        0x000A => plain("pull_request", Id::Some, sync::pull_request),
        0x000C => with_blocks("pull_response", Id::Some, sync::pull_response),
        0x000E => with_blocks("push", Id::Some, push::push),
        0x0010 => plain("push_ack", Id::Some, push::push_ack),
        0x0012 => plain("subscribe", Id::Some, sync::subscribe),
        0x0014 => plain("unsubscribe", Id::None, sync::unsubscribe),
        0x0016 => with_blocks("update", Id::None, sync::update),
        0x0018 => plain("update_ack", Id::None, sync::update_ack),
        0x001A => Some(Kind {
            name: "query",
            id: Id::Some,
            blocks: false,
            query: true,
            more: false,
            fields: query::query,
        }),
        0x001C => Some(Kind {
            name: "query_response",
            id: Id::Some,
            blocks: false,
            query: true,
            more: true,
            fields: query::query_response,
        }),
        0x001E => plain("authenticate", Id::Some, session::authenticate),
        0x0020 => plain("authenticate_ack", Id::Some, session::authenticate_ack),
        0x0022 => plain("ping", Id::None, session::nonce),
        0x0024 => plain("pong", Id::None, session::nonce),
        0x0026 => plain("error", Id::Any, session::error),
        0x0028 => plain("goodbye", Id::None, session::goodbye),
        _ => None,
    }
}

/// Exactly one frame with its message.
pub(super) fn read(input: &[u8], context: &Context) -> Result<Json, Fault> {
    let frame = frame::read(input, context)?; // FRM-1 to FRM-5
    let Some(kind) = kind(frame.kind) else {
        if frame.kind % 2 == 0 {
            return fail("UNKNOWN_MESSAGE", 2); // EXT-4
        }
        return Ok(unknown(&frame)); // EXT-4
    };
    let more = frame.flags & 0x01 != 0;
    if more && !kind.more {
        return fail("UNKNOWN_FLAG", 1); // FRM-7
    }
    if kind.query && !context.query {
        return fail("NOT_NEGOTIATED", 2); // MSG-7
    }
    let legal = match kind.id {
        Id::Some => frame.request_id != 0,
        Id::None => frame.request_id == 0,
        Id::Any => true,
    };
    if !legal {
        return fail("BAD_REQUEST_ID", 4); // MSG-3
    }
    if !kind.blocks && frame.blocks.left() > 0 {
        return fail("UNEXPECTED_BLOCKS", 12); // MSG-4
    }

    let mut fields = Fields {
        reader: frame.fields,
        more,
        request_id: frame.request_id,
        json: Map::new(),
        blocks: 0,
        ids_check: None,
    };
    (kind.fields)(&mut fields)?;
    let extensions = lists::extensions(&mut fields.reader)?;
    fields.reader.finish()?; // MSG-5

    fields.put("type", Json::from(kind.name));
    fields.put("request_id", decimal(frame.request_id));
    fields.put("more", Json::Bool(more));
    fields.put("extensions", Json::Array(extensions));
    if kind.blocks {
        let blocks = blocks(frame.blocks, &fields, context)?;
        fields.put("blocks", Json::Array(blocks));
    }
    Ok(Json::Object(fields.json))
}

/// A message that is skipped whole.
fn unknown(frame: &Frame<'_>) -> Json {
    serde_json::json!({
        "type": "unknown",
        "code": decimal(frame.kind),
        "flags": decimal(frame.flags),
        "request_id": decimal(frame.request_id),
        "fields": hex(frame.fields.rest()),
        "blocks": hex(frame.blocks.rest()),
    })
}

/// The blocks of a message: all headers, then all payloads, then what concerns all of them.
fn blocks(mut reader: Reader<'_>, fields: &Fields<'_>, context: &Context) -> Result<Vec<Json>, Fault> {
    let is_push = fields.ids_check.is_some();
    let mut headers: Vec<(block::Header, Reader<'_>)> = Vec::new();
    // MSG-6
    for _ in 0..fields.blocks {
        let header = block::header(&mut reader, context)?; // BLK-1 to BLK-9
        if is_push {
            push::header(headers.last().map(|(before, _)| before), &header)?; // MSG-26, MSG-27
        }
        let payload = reader.inner(header.payload_length)?;
        headers.push((header, payload));
    }
    reader.finish()?; // MSG-6

    let mut totals = Totals::new();
    let mut blocks = Vec::new();
    for (header, payload) in &headers {
        blocks.push(block::read_payload(header, *payload, context, &mut totals)?);
    }
    if let Some((at, check)) = fields.ids_check
        && totals.ids.value() != check
    {
        return fail("BAD_IDS_CHECK", at); // MSG-24
    }
    Ok(blocks)
}
