//! A second decoder, written from SPEC.md alone: plain indexing, no parser library, no code shared with
//! the codec that it is held against.

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
    pub fn from_json(_json: &Json) -> Option<Self> {
        None
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

/// The meaning of `input`, as test-vectors/README.md writes it.
///
/// # Errors
/// The first rule that the input breaks.
pub fn decode(_target: Target, _input: &[u8], _context: &Context) -> Result<Json, Fault> {
    Err(Fault { code: "TRUNCATED", offset: 0 })
}
