//! Primitives: reading (`parse`), writing (`Sink`), identifiers and names.

mod id;
pub(crate) mod parse;
mod sink;
mod text;

pub use id::{NodeId, NodeKey, Position, Timestamp, op_id};
pub(crate) use id::{node, op_id_bytes, position, seq, timestamp, timestamp_or_never};
pub(crate) use sink::{ArraySink, crc32};
pub use sink::{CountingSink, Sink};
pub use text::{CollectionName, DatabaseName, FieldName};
pub(crate) use text::{common_key, database_name};
