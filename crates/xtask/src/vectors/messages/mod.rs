//! Messages (SPEC.md 7 and 8): frames with fields and blocks.
//!
//! The examples tell one story: a client that never connected pushes one insert of database `app`, reads
//! what another node made of it, asks a query and leaves.

mod capabilities;
mod control;
mod extensions;
mod handshake;
mod order;
mod order_blocks;
mod order_fields;
mod order_queries;
mod parts;
mod pull;
mod push;
mod query;
mod query_faults;
mod query_operand_faults;
mod query_response;
mod subscribe;
mod welcome;

use super::build::File;

/// All files of this module.
pub fn files() -> Vec<File> {
    vec![
        handshake::file(),
        welcome::file(),
        push::file(),
        pull::file(),
        subscribe::file(),
        query::file(),
        query_faults::file(),
        query_response::file(),
        control::file(),
        capabilities::file(),
        extensions::file(),
        order::file(),
        order_blocks::file(),
    ]
}
