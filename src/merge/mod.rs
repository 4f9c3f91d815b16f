//! The merge (SPEC.md 12): operations, in any order and any number of times, to one state.
//!
//! A [`State`] holds the registers and counters of a database. It looks at a value only to break a tie,
//! or to read a counter; sealed values merge like all others. What can never be seen again is dropped
//! where that is cheap, and by [`State::prune`] altogether; contents are the same either way.
//!
//! ```
//! use blazedb_relay::merge::{Heard, State};
//! use blazedb_relay::op::{Op, OpKind};
//! use blazedb_relay::value::{Fields, Value};
//! use blazedb_relay::wire::{CollectionName, FieldName, NodeId, Timestamp};
//! use uuid::uuid;
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! let node = NodeId::new(uuid!("550e8400-e29b-41d4-a716-446655440000"))?;
//! let record = uuid!("6f1e2d3c-4b5a-4978-8695-a4b3c2d1e0f9");
//! let bugs = CollectionName::new("bugs")?;
//! let write = |number: u64, title: &str| {
//!     let fields = Fields::new(vec![(FieldName::new("title")?, title.into())])?;
//!     let timestamp = Timestamp::new(number, node)?;
//!     Op::new((node, number), timestamp, OpKind::Update, (bugs.clone(), record), fields)
//! };
//! let mut state = State::new();
//! state.apply_owned(&write(2, "later")?, Heard::at(1), &mut ());
//! state.apply_owned(&write(1, "earlier")?, Heard::at(2), &mut ());
//! let fields = state.record("bugs", record).ok_or("the record is there")?;
//! assert_eq!(fields.get("title"), Some(&Value::from("later")));
//! # Ok(())
//! # }
//! ```

mod content;
mod entry;
mod path;
mod record;
mod row;
mod state;
mod tops;
mod write;

#[cfg(test)]
mod tests;

pub use entry::{Change, Entry, Heard, Observe};
pub use path::{Path, PathRef};
pub use state::{IncrementError, State};
