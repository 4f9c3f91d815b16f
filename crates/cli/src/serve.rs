//! `serve`: a relay.

use std::env;
use std::io::Write as _;

use anyhow::Result;
use blazedb_relay_server::config::{Config, Flags};
use blazedb_relay_server::store::SqliteStore;

use crate::Outcome;
use crate::args::Serve;

/// Runs the command.
pub(crate) fn run(args: Serve) -> Result<Outcome> {
    let Serve { listen, data, config, log } = args;
    let config = Config::load(&Flags { config, listen, data, log }, |name| env::var_os(name))?;
    let store = SqliteStore::new(&config.data)?;
    blazedb_relay_server::run(&config, store, |started| {
        // Who does not want to read it may close the stream.
        let _ = writeln!(anstream::stderr(), "{started}");
    })?;
    Ok(Outcome::Fine)
}
