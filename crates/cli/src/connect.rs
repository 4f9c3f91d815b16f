//! How commands reach a relay.

use anyhow::{Context as _, Result, anyhow, bail};
use blazedb_relay::codec::Packet;
use blazedb_relay::message::{
    Authentication, Data, DatabaseRef, Extensions, Handshake, LastNodeSeq, LimitList, List, Message,
    ProtocolText, VersionRange,
};
use blazedb_relay::registry::Capability;
use blazedb_relay::wire::{DatabaseName, Position};
use blazedb_relay_client::{Client, Connection, Identity, Offline, Options};

use crate::args::Relay;

/// Runs what waits for connections.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work)
}

/// What every client of these commands has in common.
pub(crate) fn options(relay: &Relay) -> Result<Options> {
    let options =
        Options::new(&relay.database).with_context(|| format!("--database {:?}", relay.database))?;
    let options = options.url(&relay.url).context("--url")?;
    match &relay.token {
        Some(token) => options.token(token).context("--token"),
        None => Ok(options),
    }
}

/// A client that is online; fails at the first try that fails, since somebody waits for it.
#[allow(clippy::wildcard_enum_match_arm, reason = "the others are waited through")]
pub(crate) async fn online(relay: &Relay, options: Options) -> Result<Client> {
    let client = Client::open(options).await?;
    let mut changes = client.watch();
    loop {
        changes.mark_unchanged();
        match client.status().connection {
            Connection::Online => return Ok(client),
            Connection::NotAuthenticated { text, .. } => bail!(
                "the relay wants a token that may use database {}: {}; give one with --token",
                relay.database,
                text.escape_debug()
            ),
            Connection::Offline { why, .. } => return Err(unreachable(relay, &why)),
            Connection::Closed => bail!("the client is closed"),
            // Off, before it begins; Connecting.
            _ => changes.changed().await?,
        }
    }
}

/// Why a relay is not there.
#[allow(clippy::wildcard_enum_match_arm, reason = "the rest is shown as it is")]
fn unreachable(relay: &Relay, why: &Offline) -> anyhow::Error {
    let url = &relay.url;
    match why {
        Offline::Transport(text) => not_there(url, text),
        Offline::Refused { code, text } => {
            anyhow!("the relay at {url} refuses the connection: {code:?}: {}", text.escape_debug())
        }
        Offline::Goodbye(reason) => anyhow!("the relay at {url} said goodbye: {reason:?}; try again later"),
        other => anyhow!("the connection to {url} ended: {other:?}"),
    }
}

/// Nobody answers at a URL; `text` is what the system says.
pub(crate) fn not_there(url: &str, text: &str) -> anyhow::Error {
    anyhow!(
        "the relay at {url} cannot be reached: {}. Is it running there? `blazedb-relay serve` starts one",
        text.escape_debug()
    )
}

/// The handshake of a node that has given out nothing yet, for connections without the client library.
pub(crate) fn handshake(
    database: &str,
    Identity { node, key }: Identity,
    seen: &[Position],
    token: Option<&str>,
) -> Result<Vec<u8>> {
    let database = DatabaseName::new(database).with_context(|| format!("--database {database:?}"))?;
    let authentication = match token {
        None | Some("") => Authentication::None,
        Some(token) => Authentication::bearer(Data::new(token.as_bytes()).context("--token")?),
    };
    let handshake = Handshake {
        protocol: ProtocolText::V1_0,
        versions: VersionRange::new(0x0100, 0x0100)?,
        database: DatabaseRef::from(&database),
        node,
        node_key: key,
        highest_given_out: LastNodeSeq::NONE,
        seen: List::new(seen)?,
        public_key: Data::EMPTY,
        capabilities: List::new(&[Capability::CRDT, Capability::COMPRESSION])?,
        authentication,
        limits: LimitList::new(&[])?,
        extensions: Extensions::EMPTY,
    };
    Ok(Packet::new(Message::Handshake(handshake))?.to_bytes())
}
