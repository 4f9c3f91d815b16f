//! Where frame and message meet: bytes to messages and back (SPEC.md 5 and 7).

use alloc::vec::Vec;

use crate::block::Blocks;
use crate::error::{BuildError, DecodeError};
use crate::frame::{self, FLAG_MORE, Frame, Phase};
use crate::limits::{MAX_DECOMPRESSED, MAX_FRAME};
use crate::message::{self, DecodeInput, Message, Push, Scope};
use crate::op::{OpHead, Visit};
use crate::registry::{Capabilities, Capability, ErrorCode, MessageType};
use crate::value::ValueRef;
use crate::wire::parse::{At, at_offset, fail};
use crate::wire::{CountingSink, Sink};

/// What decides whether a message is legal, besides its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// How large a frame may be.
    pub phase: Phase,
    /// What was agreed on.
    pub capabilities: Capabilities,
}

impl Context {
    /// Before welcome: nothing was agreed on yet.
    pub const HANDSHAKE: Self = Self { phase: Phase::Handshake, capabilities: Capabilities::NONE };

    /// After welcome.
    #[must_use]
    pub const fn session(capabilities: Capabilities) -> Self {
        Self { phase: Phase::Session, capabilities }
    }
}

/// A message with what its envelope says of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Packet<'a> {
    request_id: u32,
    message: Message<'a>,
}

impl<'a> Packet<'a> {
    /// A message that is neither request nor reply.
    ///
    /// # Errors
    /// As [`Self::with_id`].
    pub fn new(message: Message<'a>) -> Result<Self, BuildError> {
        Self::with_id(message, 0)
    }

    /// A request with its id, or the reply to the request of that id.
    ///
    /// # Errors
    /// `BAD_REQUEST_ID` if the message needs an id and has none, or may have none and has one (MSG-3,
    /// MSG-33); `TOO_LONG` if the frame would be over the limit (FRM-3).
    pub fn with_id(message: Message<'a>, request_id: u32) -> Result<Self, BuildError> {
        let needed = rules(message.message_type()).map(|rules| rules.request_id);
        if !matches!(message, Message::Unknown(_)) && !id_fits(needed, request_id, &message) {
            return Err(BuildError::new(ErrorCode::BAD_REQUEST_ID, "request id"));
        }
        let packet = Self { request_id, message };
        if CountingSink::count(|sink| packet.encode(sink)) > MAX_FRAME {
            return Err(BuildError::new(ErrorCode::TOO_LONG, "frame"));
        }
        Ok(packet)
    }

    /// The id of the request that this is or answers; 0 for neither.
    #[must_use]
    pub const fn request_id(&self) -> u32 {
        self.request_id
    }

    /// What is said.
    #[must_use]
    pub const fn message(&self) -> &Message<'a> {
        &self.message
    }

    /// Decodes a frame that fills `bytes` up to the headers of its blocks. The blocks' operations are
    /// looked at by [`Self::validate_blocks`].
    ///
    /// # Errors
    /// The first rule that the bytes break, in the order of SPEC.md 7.
    pub fn decode(bytes: &'a [u8], context: &Context) -> Result<Self, DecodeError> {
        let frame = Frame::decode(bytes, context.phase)?;
        packet(bytes, &frame, context).map_err(|error| at_offset(bytes, error))
    }

    /// Checks every operation of every block and, in a push, that they are those its sender meant
    /// (MSG-24). `scratch` is used for decompression.
    ///
    /// # Errors
    /// The first rule of SPEC.md 6 and 7.7 that the bytes break, at its offset in `frame`, which is
    /// what this packet was decoded from.
    pub fn validate_blocks(
        &self,
        frame: &[u8],
        capabilities: Capabilities,
        scratch: &mut Vec<u8>,
    ) -> Result<(), DecodeError> {
        self.visit_blocks(frame, capabilities, scratch, &mut ())
    }

    /// As [`Self::validate_blocks`], and shows each operation to `visitor` on the way. What it was shown
    /// is legal only if this returns `Ok`.
    ///
    /// # Errors
    /// As [`Self::validate_blocks`].
    pub fn visit_blocks<V: Visit>(
        &self,
        frame: &[u8],
        capabilities: Capabilities,
        scratch: &mut Vec<u8>,
        visitor: &mut V,
    ) -> Result<(), DecodeError> {
        let Some(blocks) = self.message.blocks() else { return Ok(()) };
        let mut offset = frame.len() - blocks.raw().len();
        let mut both = Both { ids: Ids::default(), visitor };
        let mut decompressed = 0;
        for block in blocks.iter() {
            //= MSG-34
            decompressed = block.declared_len().saturating_add(decompressed);
            if decompressed > MAX_DECOMPRESSED {
                return Err(DecodeError::new(
                    ErrorCode::TOO_LONG,
                    offset + block.payload_at(),
                    "decompressed together",
                ));
            }
            block
                .rows(scratch)
                .and_then(|rows| rows.visit(capabilities, &mut both))
                .map_err(|error| error.shifted(offset))?;
            offset += block.raw().len();
        }
        //= MSG-24
        if let Message::Push(push) = &self.message
            && push.ids_check != both.ids.check()
        {
            let offset = frame::HEAD + Push::IDS_CHECK_AT;
            return Err(DecodeError::new(ErrorCode::BAD_IDS_CHECK, offset, "ids check"));
        }
        Ok(())
    }

    /// Writes the whole frame.
    pub fn encode<S: Sink>(&self, sink: &mut S) {
        self.encode_head(sink);
        sink.put(self.message.raw_blocks());
    }

    /// Writes the frame without its blocks, which follow as they are: so one stored block serves many
    /// readers.
    pub fn encode_head<S: Sink>(&self, sink: &mut S) {
        let flags = if self.message.more() { FLAG_MORE } else { 0 };
        let kind = self.message.message_type();
        let blocks = self.message.raw_blocks().len();
        frame::encode(sink, flags, kind, self.request_id, blocks, |sink| self.message.encode_fields(sink));
    }

    /// The bytes of the whole frame.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CountingSink::count(|sink| self.encode(sink)));
        self.encode(&mut bytes);
        bytes
    }
}

/// The CRC-32 of the ids of operations in order (MSG-24).
#[derive(Clone, Debug, Default)]
pub struct Ids(crc32fast::Hasher);

impl Ids {
    /// The ids check of the operations seen.
    #[must_use]
    pub fn check(self) -> u32 {
        self.0.finalize()
    }
}

impl Visit for Ids {
    fn op(&mut self, head: &OpHead<'_>) {
        self.0.update(head.id().as_bytes());
    }

    fn field(&mut self, _: &str, _: ValueRef<'_>) {}
}

/// Two visitors in one walk.
struct Both<'v, V> {
    ids: Ids,
    visitor: &'v mut V,
}

impl<V: Visit> Visit for Both<'_, V> {
    #[inline]
    fn op(&mut self, head: &OpHead<'_>) {
        self.ids.op(head);
        self.visitor.op(head);
    }

    #[inline]
    fn field(&mut self, name: &str, value: ValueRef<'_>) {
        self.visitor.field(name, value);
    }
}

/// The ids check of a push that carries `blocks`.
///
/// # Errors
/// As [`crate::block::Rows::visit`]: blocks that came from elsewhere may be wrong.
pub fn ids_check(blocks: Blocks<'_>) -> Result<u32, DecodeError> {
    let (mut ids, mut scratch) = (Ids::default(), Vec::new());
    for block in blocks.iter() {
        block.rows(&mut scratch)?.visit(Capabilities::ALL, &mut ids)?;
    }
    Ok(ids.check())
}

/// Whether a message has a request id (SPEC.md 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestId {
    /// It opens or answers a request.
    Needed,
    /// It does neither.
    None,
    /// It may answer one.
    Any,
}

/// What the envelope of a message must be (SPEC.md 18.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnvelopeRules {
    /// Whether it has a request id.
    pub request_id: RequestId,
    /// Whether it carries blocks.
    pub blocks: bool,
    /// Whether the answer may continue in another frame.
    pub more: bool,
    /// What must have been agreed on.
    pub needs: Option<Capability>,
}

/// What the envelope of a message of type `kind` must be, or `None` for a type that 1.0 does not know.
#[must_use]
pub const fn rules(kind: MessageType) -> Option<EnvelopeRules> {
    let plain = EnvelopeRules { request_id: RequestId::None, blocks: false, more: false, needs: None };
    let request = EnvelopeRules { request_id: RequestId::Needed, ..plain };
    Some(match kind {
        MessageType::HANDSHAKE
        | MessageType::WELCOME
        | MessageType::UNSUBSCRIBE
        | MessageType::UPDATE_ACK
        | MessageType::PING
        | MessageType::PONG
        | MessageType::GOODBYE => plain,
        MessageType::SYNC_STATE_REQUEST
        | MessageType::SYNC_STATE
        | MessageType::PULL_REQUEST
        | MessageType::PUSH_ACK
        | MessageType::SUBSCRIBE
        | MessageType::AUTHENTICATE
        | MessageType::AUTHENTICATE_ACK => request,
        MessageType::PUSH | MessageType::PULL_RESPONSE => EnvelopeRules { blocks: true, ..request },
        MessageType::UPDATE => EnvelopeRules { blocks: true, ..plain },
        MessageType::QUERY => EnvelopeRules { needs: Some(Capability::QUERY), ..request },
        MessageType::QUERY_RESPONSE => {
            EnvelopeRules { needs: Some(Capability::QUERY), more: true, ..request }
        }
        MessageType::ERROR => EnvelopeRules { request_id: RequestId::Any, ..plain },
        _ => return None,
    })
}

fn id_fits(needed: Option<RequestId>, id: u32, message: &Message<'_>) -> bool {
    match needed {
        Some(RequestId::Needed) => id != 0,
        Some(RequestId::None) => id == 0,
        //= MSG-33
        Some(RequestId::Any) | None => {
            !matches!(message, Message::Error(error) if id == 0 && error.scope == Scope::Request)
        }
    }
}

fn packet<'a>(raw: &'a [u8], frame: &Frame<'a>, context: &Context) -> Result<Packet<'a>, nom::Err<At<'a>>> {
    let at = |offset: usize| raw.get(offset..).unwrap_or_default();
    let Frame { flags, kind, request_id, fields, blocks } = *frame;
    let more = flags & FLAG_MORE != 0;
    let compression = context.capabilities.has(Capability::COMPRESSION);
    let input = DecodeInput { frame: raw, fields, blocks, request_id, more, compression };
    let Some(rules) = rules(kind) else {
        // An unknown type: refused if even, else skipped whole.
        return Ok(Packet { request_id, message: message::decode(kind, input)? });
    };
    //= FRM-7
    if more && !rules.more {
        return fail(at(1), ErrorCode::UNKNOWN_FLAG, "more");
    }
    //= MSG-7
    if rules.needs.is_some_and(|capability| !context.capabilities.has(capability)) {
        return fail(at(2), ErrorCode::NOT_NEGOTIATED, "message type");
    }
    //= MSG-3
    let wrong_id = match rules.request_id {
        RequestId::Needed => request_id == 0,
        RequestId::None => request_id != 0,
        RequestId::Any => false,
    };
    if wrong_id {
        return fail(at(4), ErrorCode::BAD_REQUEST_ID, "request id");
    }
    //= MSG-4
    if !blocks.is_empty() && !rules.blocks {
        return fail(at(12), ErrorCode::UNEXPECTED_BLOCKS, "blocks length");
    }
    Ok(Packet { request_id, message: message::decode(kind, input)? })
}
