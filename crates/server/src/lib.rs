//! The relay server of BlazeDB Relay: what the sans-IO relay of `blazedb_relay` needs to run.

pub mod store;
