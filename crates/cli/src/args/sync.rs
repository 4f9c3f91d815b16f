//! The commands that talk to a relay.

use std::path::PathBuf;

use clap::Args;

/// Which relay, and which of its databases.
#[derive(Clone, Debug, Args)]
pub(crate) struct Relay {
    /// Where the relay listens; `wss:` is TLS, and without a path /sync is meant.
    ///
    /// The system's certificate authorities are trusted, or those in the file that SSL_CERT_FILE names.
    #[arg(long, value_name = "URL", env = "BLAZEDB_RELAY_URL", default_value = "ws://127.0.0.1:7700/sync")]
    pub(crate) url: String,

    /// The database: the unit of sync and of access.
    #[arg(long, value_name = "NAME", env = "BLAZEDB_RELAY_DATABASE")]
    pub(crate) database: String,

    /// The bearer token, if the relay wants one.
    #[arg(long, value_name = "TOKEN", env = "BLAZEDB_RELAY_TOKEN", hide_env_values = true)]
    pub(crate) token: Option<String>,
}

/// Write records: NDJSON in, and nothing is called done before it is safe on the relay's disk.
///
/// A line is an object with `collection`, `record` (a UUID; without it a new one is made), `type` (insert,
/// update or delete; without it update, or insert for a new record) and `fields`. So what `export` writes can
/// be pushed again. Lines are written in their order with timestamps of now.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    echo '{\"collection\":\"bugs\",\"fields\":{\"title\":\"Fix login\",\"priority\":5}}' \\\n    \
    | blazedb-relay push --database app\n  \
    blazedb-relay export --database app | blazedb-relay push --database copy\n\n\
    What JSON has no word for is an object with one key that begins with $: {\"$uuid\":\"...\"},\n\
    {\"$date\":seconds since 2001}, {\"$data\":\"base64\"}, {\"$vector\":[1.5]}, {\"$removed\":true},\n\
    {\"$patch\":{\"key\":value}}.\n\n\
    Exit code 1: the relay refused some of it, and which was said.")]
pub(crate) struct Push {
    #[command(flatten)]
    pub(crate) relay: Relay,

    /// What to write; `-` or nothing is standard input.
    pub(crate) file: Option<PathBuf>,

    /// Print JSON: a summary, and what was refused.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Print the log: every operation, oldest first, one line of JSON each.
///
/// The lines are those that `replay` reads, with the operation's number in the log (`seq`) and the node that
/// delivered it. At the end standard error says the position from which another `pull` goes on.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay pull --database app > history.ndjson\n  \
    blazedb-relay pull --database app --collection bugs --from 7f3a91c25d08e64b:1000")]
pub(crate) struct Pull {
    #[command(flatten)]
    pub(crate) relay: Relay,

    /// Only this collection; may be given several times.
    #[arg(long = "collection", value_name = "NAME")]
    pub(crate) collections: Vec<String>,

    /// Behind this position: epoch in hex, colon, seq. Without it from the start.
    #[arg(long, value_name = "EPOCH:SEQ")]
    pub(crate) from: Option<String>,

    /// Not more than so many operations.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

/// Show what is written, as it happens, until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay watch --database app                  one readable line for each operation\n  \
    blazedb-relay watch --database app --collection bugs --json | jq .changes")]
pub(crate) struct Watch {
    #[command(flatten)]
    pub(crate) relay: Relay,

    /// Only this collection; may be given several times.
    #[arg(long = "collection", value_name = "NAME")]
    pub(crate) collections: Vec<String>,

    /// Show what the log has already, too.
    #[arg(long)]
    pub(crate) all: bool,

    /// End after so many operations.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Print lines of JSON, as `pull` does.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Say how a database stands: on the relay, or in the file of an app.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay status --database app                 what the relay holds\n  \
    blazedb-relay status --database app --file app.blaze\n                                                      \
    what an app's file holds and has not delivered (the app is not running)")]
pub(crate) struct Status {
    #[command(flatten)]
    pub(crate) relay: Relay,

    /// A file of the client library, instead of a relay.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Write the merged state as NDJSON: one line for each live record, by collection and record.
///
/// Without more a new client reads the whole log and merges it, as any device does.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay export --database app > app.ndjson\n  \
    blazedb-relay export --database app --file app.blaze\n                                                      \
    what an app's file shows (the app is not running)\n  \
    blazedb-relay export --database app --merged bugs   what the relay's own merge gives for a collection")]
pub(crate) struct Export {
    #[command(flatten)]
    pub(crate) relay: Relay,

    /// A file of the client library, instead of a relay.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,

    /// Ask the relay for its merged state of this collection; may be given several times.
    #[arg(long, value_name = "COLLECTION", conflicts_with = "file")]
    pub(crate) merged: Vec<String>,

    /// Where to write, instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Ask the relay's merged state.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay query --database app bugs --where 'status = open' --sort priority:desc --limit 10\n  \
    blazedb-relay query --database app bugs --select title,priority --where 'priority >= 3'\n  \
    blazedb-relay query --database app bugs --group-by status --count --avg priority\n\n\
    A condition is a field, one of = != < <= > >= contains starts-with exists, and a value: JSON, or a\n\
    text as it stands. Several conditions must all hold. `a.b` is the entry b of the dictionary a.\n\
    POST /query takes all that SPEC.md 7.13 has (or, not, in, between, joins).")]
pub(crate) struct Query {
    #[command(flatten)]
    pub(crate) relay: Relay,

    /// The collection.
    pub(crate) collection: String,

    /// A condition; all of those given must hold.
    #[arg(long = "where", value_name = "CONDITION")]
    pub(crate) conditions: Vec<String>,

    /// Fields to show, separated by commas; without it all.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub(crate) select: Vec<String>,

    /// Fields to sort by, separated by commas; `:desc` behind one turns it round.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub(crate) sort: Vec<String>,

    /// One row for each combination of these fields, separated by commas.
    #[arg(long, value_name = "FIELDS", value_delimiter = ',')]
    pub(crate) group_by: Vec<String>,

    /// Count the rows.
    #[arg(long)]
    pub(crate) count: bool,

    /// Add up a field.
    #[arg(long, value_name = "FIELD")]
    pub(crate) sum: Vec<String>,

    /// The mean of a field.
    #[arg(long, value_name = "FIELD")]
    pub(crate) avg: Vec<String>,

    /// The least of a field.
    #[arg(long, value_name = "FIELD")]
    pub(crate) min: Vec<String>,

    /// The greatest of a field.
    #[arg(long, value_name = "FIELD")]
    pub(crate) max: Vec<String>,

    /// Not more than so many rows.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,

    /// Print a line of JSON for each row instead of a table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Play a recorded history: each of its nodes is a client that writes its operations as they were.
///
/// Nodes, timestamps, records and the order of each node's operations stay. At most so many clients are
/// online at a time; each is subscribed to everything, and leaves when all it wrote is on the relay's disk. With
/// --offline clients lose their connection now and then, go on writing, and come back.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay replay history.ndjson --database app\n  \
    blazedb-relay replay trace.ndjson.zst --database app --clients 8 --offline 2 --seed 7\n\n\
    A line of the history is an object with `ts` (`counter`, `node`), `type` (insert, update, delete),\n\
    `collection`, `record` and `changes`; others of its keys do not matter.\n\n\
    Exit code 1: the relay refused operations.")]
pub(crate) struct Replay {
    #[command(flatten)]
    pub(crate) relay: Relay,

    /// The history: NDJSON, or that compressed with zstd if its name ends in .zst.
    pub(crate) trace: PathBuf,

    /// Clients that are online at a time.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    pub(crate) clients: u16,

    /// How long a client that lost its connection stays away, at most. 0: none loses it.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    pub(crate) offline: f64,

    /// What decides when they do; the same seed decides the same.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Keep each client's file in this folder; at the end each catches up with all others.
    #[arg(long, value_name = "DIR")]
    pub(crate) keep: Option<PathBuf>,

    /// Print the summary as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
