//! The BlazeDB Relay protocol: a zero-copy codec for an open binary sync protocol.
//!
//! The rules stand in SPEC.md; its ids, as VAL-3, are cited here. Each layer uses only those below it:
//!
//! ```text
//! relay      a relay's end of the protocol, sans-IO
//! codec      frame and message together: Packet
//!   message    what is said                      frame   where it begins and ends
//!     block      operations of one node, stored and forwarded as one unit    merge   what they add up to
//!       op         one change of one record
//!         value      BlazeBinary values, fields and records
//!           wire       integers, names, identifiers, timestamps
//!             error  registry  limits  time
//! ```
//!
//! Decoding borrows from its input and allocates nothing; an error says which rule was broken, at which
//! byte. Encoding cannot fail, since constructors check. What decodes re-encodes to the same bytes.
//!
//! # Writing and reading operations
//!
//! ```
//! use blazedb_relay::block::{BlockBuilder, BlockRef, Compression};
//! use blazedb_relay::op::{Op, OpKind};
//! use blazedb_relay::registry::Capabilities;
//! use blazedb_relay::value::{Fields, Value};
//! use blazedb_relay::wire::{CollectionName, FieldName, NodeId, Timestamp};
//! use uuid::uuid;
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! let node = NodeId::new(uuid!("550e8400-e29b-41d4-a716-446655440000"))?;
//! let fields = Fields::new(vec![
//!     (FieldName::new("title")?, Value::from("Fix login bug")),
//!     (FieldName::new("priority")?, Value::from(5)),
//! ])?;
//! let record = uuid!("6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9");
//! let bugs = CollectionName::new("bugs")?;
//! let op = Op::new((node, 1), Timestamp::new(7, node)?, OpKind::Insert, (bugs, record), fields)?;
//!
//! let mut builder = BlockBuilder::new(node, 1);
//! builder.push(&op)?;
//! let bytes = builder.finish(Compression::None).ok_or("a block has at least one operation")?.to_vec();
//!
//! let mut scratch = Vec::new();
//! let block = BlockRef::decode(&bytes)?;
//! let rows = block.rows(&mut scratch)?;
//! rows.validate(Capabilities::ALL)?;
//! for op in rows.iter() {
//!     assert_eq!(op.head.collection, "bugs");
//!     assert_eq!(op.fields.get("priority").map(Value::from), Some(Value::Int(5)));
//! }
//! # Ok(())
//! # }
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

pub mod block;
pub mod client;
pub mod codec;
pub mod error;
pub mod frame;
pub mod limits;
pub mod merge;
pub mod message;
#[cfg(feature = "mutants")]
pub mod mutant;
#[cfg(not(feature = "mutants"))]
mod mutant;
pub mod op;
pub mod registry;
pub mod relay;
mod rule;
pub mod time;
pub mod value;
pub mod wire;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
