//! The client library of BlazeDB Relay: an app's data on all its devices, also offline.
//!
//! A [`Client`] is one database of an app on one device, in a file of its own or in memory. It is read and
//! written with or without a connection; what is written is sent when there is one, and what others write
//! comes by itself.
//!
//! ```no_run
//! use blazedb_relay_client::{Client, Options, Value, WriteState};
//!
//! # async fn example() -> Result<(), Box<dyn core::error::Error>> {
//! let options = Options::new("app")?.file("app.blaze").url("wss://relay.example.org/sync")?;
//! let client = Client::open(options.token("secret")?.subscribe_all()).await?;
//!
//! let bug = client.insert("bugs", &[("title", "Fix login bug".into()), ("priority", 5.into())]).await?;
//! let closing = client.update("bugs", bug, &[("status", "closed".into())]).await?;
//! for (record, fields) in client.records("bugs") {
//!     println!("{record} {:?}", fields.get("title"));
//! }
//! // Is my change safe?
//! match client.write_state(closing) {
//!     WriteState::Queued => println!("on this device; {:?}", client.status().hindrance),
//!     WriteState::Sent => println!("on its way"),
//!     WriteState::Durable => println!("on the relay's disk"),
//!     WriteState::Rejected(code) => println!("refused: {code:?}"),
//! }
//! client.close().await?;
//! # Ok(())
//! # }
//! ```
//!
//! # What is kept, and where
//!
//! The file is an SQLite database that this library alone opens: the durable state with timestamps, the
//! operations that the relay is not known to have, positions, the node's identity and the rejected list.
//! Each call that writes is one transaction and waits for the disk, and so does what was received before
//! it is acknowledged. The merged state is in memory too, once: about 107 bytes for each live field; and
//! of records with queued operations a second time, with those operations in them.
//!
//! # Limits
//!
//! A client reads its whole file into memory when it is opened. Everything stands behind one lock: reading
//! waits while a transaction is written to the file.
#![forbid(unsafe_code)]

mod client;
mod connection;
mod core;
mod error;
mod event;
mod find;
mod local;
mod options;
mod shared;
mod status;
mod store;
#[cfg(test)]
mod tests;
mod transport;

pub use blazedb_relay::client::{
    CollectionSet, Failure, Identity, NewNode, Node, Pull, Query, Records, Rejected, RejectedKey, Write,
    WriteState,
};
pub use blazedb_relay::message::{
    Comparison, Direction, Filter, JoinKind, PageLimit, Path, Selection, SortBy, SortKey,
};
pub use blazedb_relay::op::Op;
pub use blazedb_relay::registry::ErrorCode;
pub use blazedb_relay::value::{Entries, Fields, Value};
pub use blazedb_relay::wire::{CollectionName, FieldName, Position, Timestamp};
pub use bytes::Bytes;
pub use uuid::Uuid;

pub use crate::client::{Client, SyncState};
pub use crate::core::Rows;
pub use crate::error::Error;
pub use crate::event::{Event, Events, Origin};
pub use crate::find::{Find, Row, join};
pub use crate::local::LocalRelay;
pub use crate::options::Options;
pub use crate::status::{Connection, Hindrance, Offline, Status, Traffic};
pub use crate::store::{StoreError, StoreErrorKind};
pub use crate::transport::{Connect, Connecting, Outgoing, Transport, UrlError, WebSocket};
