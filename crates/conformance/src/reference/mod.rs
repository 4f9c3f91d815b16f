//! A second decoder, written from SPEC.md alone: plain indexing, no parser library, no code shared with
//! the codec that it is held against.
//!
//! Read it with SPEC.md beside it: each check names its rule, and checks stand in the order of 3.1.

mod block;
mod crc32;
mod fields;
mod filter;
mod frame;
mod ids;
mod json;
mod lists;
mod lz4;
mod message;
mod op;
mod push;
mod query;
mod reader;
mod session;
mod sync;
#[cfg(test)]
mod tests;
mod value;

use serde_json::Value as Json;

/// What is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// A value.
    Value,
    /// A stand-alone record.
    Record,
    /// An operation in row layout.
    Op,
    /// A block.
    Block,
    /// The envelope of a message.
    Frame,
    /// A frame with the message in it.
    Message,
}

impl Target {
    /// The target of that name, as test-vectors/README.md has it.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "value" => Self::Value,
            "record" => Self::Record,
            "op" => Self::Op,
            "block" => Self::Block,
            "frame" => Self::Frame,
            "message" => Self::Message,
            _ => return None,
        })
    }
}

/// Where a value stands that is decoded by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// By itself.
    Plain,
    /// As the value of a field of an operation.
    Field,
    /// As a cell of a query response.
    Cell,
}

/// What decides whether bytes are legal, besides the bytes.
#[derive(Clone, Copy, Debug)]
pub struct Context {
    /// Whether `crdt` was agreed on.
    pub crdt: bool,
    /// Whether `compression` was agreed on.
    pub compression: bool,
    /// Whether `query` was agreed on.
    pub query: bool,
    /// Whether welcome has not come yet.
    pub handshake: bool,
    /// Where a value stands.
    pub place: Place,
}

impl Context {
    /// The context that the JSON of a vector or request names; what it leaves out has its default.
    #[must_use]
    pub fn from_json(json: &Json) -> Option<Self> {
        let mut context =
            Self { crdt: true, compression: true, query: true, handshake: false, place: Place::Plain };
        if json.is_null() {
            return Some(context);
        }
        let json = json.as_object()?;
        if let Some(capabilities) = json.get("capabilities") {
            (context.crdt, context.compression, context.query) = (false, false, false);
            for capability in capabilities.as_array()? {
                match capability.as_str()? {
                    "crdt" => context.crdt = true,
                    "compression" => context.compression = true,
                    "query" => context.query = true,
                    "packed" | "snapshot" | "encryption" => {} // they unlock nothing in 1.0
                    _ => return None,
                }
            }
        }
        if let Some(phase) = json.get("phase") {
            context.handshake = match phase.as_str()? {
                "handshake" => true,
                "session" => false,
                _ => return None,
            };
        }
        if let Some(position) = json.get("position") {
            context.place = match position.as_str()? {
                "plain" => Place::Plain,
                "field" => Place::Field,
                "cell" => Place::Cell,
                _ => return None,
            };
        }
        Some(context)
    }
}

/// The first rule that an input breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The name of its code.
    pub code: &'static str,
    /// Where.
    pub offset: usize,
}

/// An input that breaks a rule.
const fn fail<T>(code: &'static str, offset: usize) -> Result<T, Fault> {
    Err(Fault { code, offset })
}

/// The meaning of `input`, as test-vectors/README.md writes it.
///
/// # Errors
/// The first rule that the input breaks.
pub fn decode(target: Target, input: &[u8], context: &Context) -> Result<Json, Fault> {
    match target {
        Target::Value => {
            let mut reader = reader::Reader::new(input);
            let around = value::Around { crdt: context.crdt, timestamp: None };
            let value = value::read(&mut reader, context.place, &around)?;
            reader.finish()?; // VAL-25
            Ok(value)
        }
        Target::Record => fields::record(input),
        Target::Op => op::alone(input, context),
        Target::Block => block::alone(input, context),
        Target::Frame => Ok(frame::read(input, context)?.json()),
        Target::Message => message::read(input, context),
    }
}
