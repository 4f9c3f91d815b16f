//! The envelope of one message (SPEC.md 5). It never looks inside.

use crate::error::{BuildError, DecodeError};
use crate::limits::{MAX_FRAME, MAX_FRAME_BEFORE};
use crate::registry::{ErrorCode, MessageType};
use crate::wire::Sink;
use crate::wire::parse::{Res, at_offset, fail, take, u8, u16, u32, whole};

const VERSION: u8 = 1;
/// The answer continues in another frame.
pub(crate) const FLAG_MORE: u8 = 0x01;
/// Bytes before the fields.
pub const HEAD: usize = 16;
/// Bytes of the checksum behind the fields.
pub const CHECKSUM: usize = 4;

/// How large a frame may be (FRM-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Until welcome was sent or received.
    Handshake,
    /// After it.
    Session,
}

impl Phase {
    /// The frame limit in force, in bytes.
    #[must_use]
    pub const fn max_frame(self) -> usize {
        match self {
            Self::Handshake => MAX_FRAME_BEFORE,
            Self::Session => MAX_FRAME,
        }
    }
}

/// A frame, as a view over its bytes. Its checksum was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Frame<'a> {
    /// The flags as they stand.
    pub flags: u8,
    /// What message it is.
    pub kind: MessageType,
    /// 0 if it is neither request nor reply.
    pub request_id: u32,
    /// The message's own fields.
    pub fields: &'a [u8],
    /// Blocks, not looked at.
    pub blocks: &'a [u8],
}

/// How long the frame at the start of `buffer` is: `None` if that cannot be told before more bytes
/// came.
///
/// # Errors
/// What the first 16 bytes, or those of them that are there, already break (FRM-6).
pub fn peek(buffer: &[u8], phase: Phase) -> Result<Option<usize>, DecodeError> {
    //= FRM-6
    match head(buffer, phase) {
        Ok((_, head)) => Ok(Some(HEAD + CHECKSUM + head.fields + head.blocks)),
        Err(error) => match at_offset(buffer, error) {
            DecodeError { code: ErrorCode::TRUNCATED, .. } => Ok(None),
            error => Err(error),
        },
    }
}

impl<'a> Frame<'a> {
    /// A frame of these parts. What they say is not looked at.
    ///
    /// # Errors
    /// `UNKNOWN_FLAG` (FRM-2), `TOO_LONG` if it would be more than 1,052,672 bytes (FRM-3).
    pub const fn new(
        flags: u8,
        kind: MessageType,
        request_id: u32,
        fields: &'a [u8],
        blocks: &'a [u8],
    ) -> Result<Self, BuildError> {
        if flags & !FLAG_MORE != 0 {
            return Err(BuildError::new(ErrorCode::UNKNOWN_FLAG, "flags"));
        }
        if HEAD + CHECKSUM + fields.len() + blocks.len() > MAX_FRAME {
            return Err(BuildError::new(ErrorCode::TOO_LONG, "frame"));
        }
        Ok(Self { flags, kind, request_id, fields, blocks })
    }

    /// Decodes a frame that fills `bytes`.
    ///
    /// # Errors
    /// The first rule of SPEC.md 5 that the bytes break.
    pub fn decode(bytes: &'a [u8], phase: Phase) -> Result<Self, DecodeError> {
        //= FRM-5
        whole(bytes, "frame", |input| frame(input, phase))
    }

    /// Writes the frame.
    pub fn encode(&self, sink: &mut impl Sink) {
        encode(sink, self.flags, self.kind, self.request_id, self.blocks.len(), |sink| sink.put(self.fields));
        sink.put(self.blocks);
    }
}

/// Writes everything of a frame but its blocks, which are `blocks` bytes and follow as they are.
pub(crate) fn encode<S: Sink>(
    sink: &mut S,
    flags: u8,
    kind: MessageType,
    request_id: u32,
    blocks: usize,
    fields: impl FnOnce(&mut S),
) {
    let start = sink.written();
    sink.put(&[VERSION, flags]);
    sink.put_u16(kind.0);
    sink.put_u32(request_id);
    // All ones until the length is known, so that a half-written frame is never a frame.
    sink.put_u32(u32::MAX);
    #[allow(clippy::cast_possible_truncation, reason = "messages are at most MAX_FRAME")]
    sink.put_u32(blocks as u32);
    fields(sink);
    #[allow(clippy::cast_possible_truncation, reason = "messages are at most MAX_FRAME")]
    let len = (sink.written() - start - HEAD) as u32;
    sink.patch(start + 8, &len.to_be_bytes());
    let check = sink.crc32_from(start);
    sink.put_u32(check);
}

struct Head {
    flags: u8,
    kind: MessageType,
    request_id: u32,
    fields: usize,
    blocks: usize,
}

fn head(input: &[u8], phase: Phase) -> Res<'_, Head> {
    let (flags_at, version) = u8("frame version")(input)?;
    //= FRM-1
    if version != VERSION {
        return fail(input, ErrorCode::UNSUPPORTED_VERSION, "frame version");
    }
    let (rest, flags) = u8("frame flags")(flags_at)?;
    //= FRM-2
    if flags & !FLAG_MORE != 0 {
        return fail(flags_at, ErrorCode::UNKNOWN_FLAG, "frame flags");
    }
    let (rest, kind) = u16("message type")(rest)?;
    let (fields_at, request_id) = u32("request id")(rest)?;
    let (blocks_at, fields) = u32("fields length")(fields_at)?;
    //= FRM-3
    let room = phase.max_frame() - HEAD - CHECKSUM;
    let fields = fields as usize;
    if fields > room {
        return fail(fields_at, ErrorCode::TOO_LONG, "fields length");
    }
    let (rest, blocks) = u32("blocks length")(blocks_at)?;
    let blocks = blocks as usize;
    if blocks > room - fields {
        return fail(blocks_at, ErrorCode::TOO_LONG, "blocks length");
    }
    Ok((rest, Head { flags, kind: MessageType(kind), request_id, fields, blocks }))
}

fn frame(input: &[u8], phase: Phase) -> Res<'_, Frame<'_>> {
    let (rest, head) = head(input, phase)?;
    let (check_at, fields) = take(head.fields, "fields")(rest)?;
    let (rest, stated) = u32("frame checksum")(check_at)?;
    //= FRM-4
    let covered = input.get(..HEAD + head.fields).unwrap_or_default();
    if crc32fast::hash(covered) != stated {
        return fail(check_at, ErrorCode::BAD_CHECKSUM, "frame checksum");
    }
    let (rest, blocks) = take(head.blocks, "blocks")(rest)?;
    let Head { flags, kind, request_id, .. } = head;
    Ok((rest, Frame { flags, kind, request_id, fields, blocks }))
}
