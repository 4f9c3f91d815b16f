//! What bytes mean, as the JSON of test-vectors/README.md, and back, through the production codec.

pub(crate) mod json;
mod message;
pub(crate) mod op;
mod query;
pub(crate) mod value;

use blazedb_relay::block::BlockRef;
use blazedb_relay::codec;
use blazedb_relay::error::DecodeError;
use blazedb_relay::frame::{Frame, Phase};
use blazedb_relay::op::{Op, OpRef};
use blazedb_relay::registry::{Capabilities, Capability, MessageType};
use blazedb_relay::value::{Record, RecordRef, RecordVersion, ValueRef};
use serde_json::{Value as Json, json};

pub use json::{Refusal, hex, parse_json, unhex};
use json::{bytes, number, refuse, text};
pub use value::owned_json as value_json;

/// What a run of bytes is taken for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// One value.
    Value,
    /// A stand-alone record.
    Record,
    /// One operation in row layout.
    Op,
    /// One block.
    Block,
    /// The envelope of a message.
    Frame,
    /// A frame with its fields and blocks.
    Message,
}

impl Target {
    /// Every target, innermost first.
    pub const ALL: [Self; 6] = [Self::Value, Self::Record, Self::Op, Self::Block, Self::Frame, Self::Message];

    /// Its name in vectors and in the harness protocol.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Record => "record",
            Self::Op => "op",
            Self::Block => "block",
            Self::Frame => "frame",
            Self::Message => "message",
        }
    }

    /// The target of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|target| target.name() == name)
    }
}

/// Where a value stands that is decoded by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// As in a record.
    Plain,
    /// As the value of a field of an operation.
    Field,
    /// As a cell of a query response.
    Cell,
}

/// What was agreed on when the bytes came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// What was agreed on.
    pub capabilities: Capabilities,
    /// How large a frame may be.
    pub phase: Phase,
    /// For [`Target::Value`].
    pub position: Position,
}

impl Default for Context {
    /// All capabilities, after the handshake, a plain value.
    fn default() -> Self {
        Self { capabilities: Capabilities::ALL, phase: Phase::Session, position: Position::Plain }
    }
}

impl Context {
    /// The context that a vector states. What it leaves out is as in [`Self::default`].
    #[must_use]
    pub fn from_json(json: &Json) -> Option<Self> {
        let mut context = Self::default();
        if let Some(names) = json.get("capabilities") {
            context.capabilities = Capabilities::NONE;
            for name in names.as_array()? {
                context.capabilities = context.capabilities.with(Capability::from_name(name.as_str()?)?);
            }
        }
        match json.get("phase").map(Json::as_str) {
            None | Some(Some("session")) => {}
            Some(Some("handshake")) => context.phase = Phase::Handshake,
            Some(_) => return None,
        }
        match json.get("position").map(Json::as_str) {
            None | Some(Some("plain")) => {}
            Some(Some("field")) => context.position = Position::Field,
            Some(Some("cell")) => context.position = Position::Cell,
            Some(_) => return None,
        }
        Some(context)
    }
}

/// What bytes mean.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Decoded {
    /// The meaning as JSON.
    pub value: Json,
    /// The bytes that encoding the meaning gives: the input, or its canonical form (SPEC.md 6.4).
    pub reencoded: Vec<u8>,
}

/// Decodes `input` whole.
///
/// # Errors
/// The first rule that the bytes break.
pub fn decode(target: Target, input: &[u8], context: &Context) -> Result<Decoded, DecodeError> {
    let mut reencoded = Vec::new();
    let value = match target {
        Target::Value => {
            let value = match context.position {
                Position::Plain => ValueRef::decode(input),
                Position::Field => ValueRef::decode_field(input, context.capabilities),
                Position::Cell => ValueRef::decode_cell(input),
            }?;
            value.encode(&mut reencoded);
            value::value_json(value)
        }
        Target::Record => {
            let record = RecordRef::decode(input)?;
            record.encode(&mut reencoded);
            let version = if record.version == RecordVersion::Plain { "1" } else { "2" };
            json!({ "version": version, "fields": value::fields_json(record.fields) })
        }
        Target::Op => {
            let op = OpRef::decode_with(input, context.capabilities)?;
            // Through the owned form, so that the encoder is what is tested.
            // What cannot be built shows as a difference of bytes.
            reencoded = Op::try_from(op).map(|op| op.to_bytes()).unwrap_or_default();
            op::op_json(&op)
        }
        Target::Block => {
            let block = BlockRef::decode_with(input, context.capabilities)?;
            let (json, canonical) = op::block_json(&block, context.capabilities)?;
            reencoded = canonical;
            json
        }
        Target::Frame => {
            let frame = Frame::decode(input, context.phase)?;
            frame.encode(&mut reencoded);
            json!({
                "flags": frame.flags.to_string(),
                "type": frame.kind.0.to_string(),
                "request_id": frame.request_id.to_string(),
                "fields": hex(frame.fields),
                "blocks": hex(frame.blocks),
            })
        }
        Target::Message => {
            let context = codec::Context { phase: context.phase, capabilities: context.capabilities };
            let packet = codec::Packet::decode(input, &context)?;
            packet.validate_blocks(input, context.capabilities, &mut Vec::new())?;
            let (json, canonical) = message::packet_json(&packet, context.capabilities)?;
            reencoded = canonical;
            json
        }
    };
    Ok(Decoded { value, reencoded })
}

/// Encodes what the JSON says.
///
/// # Errors
/// If the JSON is not of the form that test-vectors/README.md describes, or says what the protocol
/// cannot carry.
pub fn encode(target: Target, json: &Json, context: &Context) -> Result<Vec<u8>, Refusal> {
    match target {
        Target::Value => {
            let value = value::value(json)?;
            let bytes = value.to_bytes()?;
            if context.position == Position::Plain
                && let Err(error) = ValueRef::decode(&bytes)
            {
                return Err(Refusal::Decode(error));
            }
            Ok(bytes)
        }
        Target::Record => {
            let version = match number(json, "version")? {
                1u8 => RecordVersion::Plain,
                2 => RecordVersion::Checked,
                _ => return refuse("version", "\"1\" or \"2\""),
            };
            Ok(Record::new(version, value::plain_fields(json)?)?.to_bytes())
        }
        Target::Op => Ok(op::op(json)?.to_bytes()),
        Target::Block => op::block(json),
        Target::Frame => {
            let (fields, blocks) = (bytes(json, "fields")?, bytes(json, "blocks")?);
            let frame = Frame::new(
                number(json, "flags")?,
                MessageType(number(json, "type")?),
                number(json, "request_id")?,
                &fields,
                &blocks,
            )?;
            let mut out = Vec::new();
            frame.encode(&mut out);
            Ok(out)
        }
        Target::Message => message::message(json, text(json, "type")?),
    }
}
