//! The client's end of the protocol: what it keeps, and one connection of it (SPEC.md 10).
//!
//! A [`Replica`] is what a client keeps durably, in memory; an application reads and writes it with or
//! without a connection. A [`Session`] is one connection of it. Neither knows a socket, a clock, a file or
//! a source of randomness:
//!
//! 1. Feed one [`Input`] with the time to [`Session::handle`].
//! 2. Take outputs from [`Session::poll_output`] until there are none, and perform them in order. That is
//!    the whole contract of durability: what a `Commit` holds must be durable before a later `Send` is
//!    performed, and so must be the changes that methods of the replica gave before. If a commit fails,
//!    drop session and replica and load the replica again.
//! 3. Feed [`Input::Timeout`] when the time of [`Session::poll_timeout`] has come; it may change with
//!    every input.
//!
//! The same inputs give the same outputs, byte for byte.
//!
//! ```
//! use blazedb_relay::client::{Backoff, Config, Identity, Input, Output, Replica, Session, Write};
//! use blazedb_relay::time::Time;
//! use blazedb_relay::value::Fields;
//! use blazedb_relay::wire::{CollectionName, DatabaseName, FieldName, NodeId, NodeKey};
//! use uuid::Uuid;
//!
//! # fn main() -> Result<(), Box<dyn core::error::Error>> {
//! # let random = |n: u128| NodeId::new(Uuid::from_u128(n)).map(|node| Identity { node, key: NodeKey([7; 16]) });
//! # let (first, spare) = (random(1)?, random(2)?); // from a secure random source
//! let (mut replica, changes) = Replica::new(first);
//! // ... make `changes` durable ...
//! let bugs = CollectionName::new("bugs")?;
//! let fields = Fields::new(vec![(FieldName::new("title")?, "Fix login bug".into())])?;
//! let written = replica.write(&[Write::insert(bugs, Uuid::from_u128(3), fields)])?;
//! // ... make `written.changes` durable ...
//!
//! let config = Config::new(DatabaseName::new("app")?, 42);
//! let mut session = Session::new(config, spare, Backoff::default());
//! let now = Time { monotonic_ms: 0, unix_ms: 0 };
//! session.handle(&mut replica, now, Input::Opened);
//! while let Some(output) = session.poll_output() {
//!     match output {
//!         Output::Commit(changes) => { /* make them durable */ }
//!         Output::Send(frame) => { /* send it, in order */ }
//!         Output::Close(code) => { /* close the transport when all is sent */ }
//!         Output::Event(event) => { /* show it to the application */ }
//!         Output::Reconnect(when) => { /* the session is over; begin another one then */ }
//!     }
//! }
//! # Ok(())
//! # }
//! ```

mod change;
mod deliver;
mod doubt;
mod local;
mod outbox;
mod records;
mod replica;
mod row;
mod seen;
mod session;
mod set;
mod settle;
mod write;

pub use change::{Change, Identity, NoNode, Node, Queued, Reader, Rejected, RejectedKey};
pub use records::Records;
pub use replica::{Replica, WriteState};
pub use row::OpRow;
pub use seen::Seen;
pub use session::{
    Answer, Backoff, Command, Config, Credentials, End, Event, Failure, Input, NewNode, Offer, Output, Pull,
    Query, Reconnect, Session, State, TABLE, TAKES, Trigger,
};
pub use set::CollectionSet;
pub use write::{Write, WriteError, Written};

#[cfg(test)]
mod tests;
