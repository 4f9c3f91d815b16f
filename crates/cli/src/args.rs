//! The command line as it is typed.

mod sync;

use std::ffi::OsString;
use std::path::PathBuf;

use blazedb_relay_conformance::meaning::Target;
use blazedb_relay_conformance::session::Role;
use blazedb_relay_conformance::vectors::MERGE;
use clap::builder::PossibleValue;
use clap::{Args, Parser, Subcommand, ValueEnum};
pub(crate) use sync::{Export, Pull, Push, Query, Relay, Replay, Status, Watch};

/// BlazeDB Relay: data that works offline and syncs to every device.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Start with `blazedb-relay serve`: a relay on this machine, with its databases in a \
    folder; keep it safe with `backup`, `restore` and `verify`.\n`blazedb-relay decode` explains bytes of the protocol, without a file an example.\n\n\
    Exit codes: 0 fine; 1 the input breaks a rule, a vector failed, or a database has a problem; 2 wrong \
    usage, or something that cannot be read, written, opened or listened on.\n\
    Colours go to terminals only; NO_COLOR=1 turns them off, CLICOLOR_FORCE=1 forces them.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(Serve),
    Push(Push),
    Pull(Pull),
    Watch(Watch),
    Query(Query),
    Export(Export),
    Status(Status),
    Replay(Replay),
    Backup(Backup),
    Restore(Restore),
    Verify(Verify),
    Bench(Bench),
    Decode(Decode),
    Encode(Encode),
    Vectors(Vectors),
    Harness(Harness),
}

/// Run a relay: apps connect to it, and what one device writes gets to all others.
///
/// Each database that a client names becomes one SQLite file in the data folder, on first use. Nothing is
/// acknowledged before it is safe on the disk. Without tokens the relay is open to everyone on this machine,
/// and listens to this machine only.
///
/// What is not said by a flag is taken from an environment variable, then from the configuration file.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay serve                                 on 127.0.0.1:7700, data in ./blazedb-data\n  \
    blazedb-relay serve --config relay.toml             with tokens, for other machines\n  \
    BLAZEDB_RELAY_TOKEN=secret blazedb-relay serve --listen 0.0.0.0:7700\n                                                      \
    one token that may do everything\n  \
    curl http://127.0.0.1:7700/health                   how it is doing; /metrics for Prometheus\n  \
    curl -d '{\"collection\": \"bugs\"}' 'http://127.0.0.1:7700/query?database=app'   a query\n\n\
    A configuration file; everything in it may be left out:\n\n  \
    listen = \"0.0.0.0:7700\"\n  \
    data = \"/var/lib/blazedb-relay\"\n  \
    hosts = [\"relay.example.com\"]            # names by which clients call it\n  \
    origins = [\"https://app.example.com\"]    # web pages that may use it\n  \
    create_databases = true                   # when a client that may use one names it\n  \
    address_header = \"x-forwarded-for\"        # behind a proxy: where it says its client's address\n  \
    metrics_token = \"...\"                     # without it /metrics is for this machine only\n  \
    log = \"info\"                              # error, warn, info, debug, trace\n  \
    log_format = \"text\"                       # or json\n\n  \
    [tls]                                     # or leave TLS to a proxy\n  \
    certificate = \"fullchain.pem\"\n  \
    key = \"privkey.pem\"\n\n  \
    [limits]\n  \
    connections = 100000\n  \
    connections_before_welcome = 10000\n  \
    connections_per_principal = 10000\n  \
    open_databases = 1000\n  \
    operations_per_second = 0                 # of one connection; 0 for no limit\n  \
    failed_logins_per_minute = 30             # of one address; 0 for no limit\n  \
    heartbeat_seconds = 30\n  \
    reconnect_jitter_seconds = 30             # over which clients come back after a restart\n  \
    database_idle_seconds = 600\n  \
    query_seconds = 5                         # that one query may take\n  \
    query_rows = 1000000                      # records that it may look at\n\n  \
    [[tokens]]\n  \
    principal = \"ann\"\n  \
    token = \"...\"                             # or token_sha256 = \"64 hex digits\"\n  \
    valid_until = 2030-01-01T00:00:00Z\n  \
    rights = [\n    \
    { database = \"app\", access = \"read-write\", collections = { salaries = \"none\" } },\n    \
    { database = \"notes-*\", access = \"read\" },\n  \
    ]\n\n\
    Environment: BLAZEDB_RELAY_CONFIG, _LISTEN, _DATA, _HOSTS and _ORIGINS (separated by commas), _TOKEN,\n\
    _ADDRESS_HEADER, _METRICS_TOKEN, _TLS_CERTIFICATE, _TLS_KEY, _LOG, _LOG_FORMAT.\n\n\
    SIGTERM or Ctrl-C ends it in order: clients are told when to come back. A second one ends it at once.")]
pub(crate) struct Serve {
    /// Where to listen [default: 127.0.0.1:7700].
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,

    /// The folder of the databases [default: blazedb-data].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// A configuration file in TOML (see --help).
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// What to log: error, warn, info, debug or trace [default: info].
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log: Option<String>,
}

/// Where the databases are.
#[derive(Debug, Args)]
pub(crate) struct Folder {
    /// The folder of the databases [default: what `serve` would take].
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The configuration file of the relay, which names the folder.
    #[arg(long, value_name = "FILE", conflicts_with = "data")]
    pub(crate) config: Option<PathBuf>,
}

/// Copy databases, each as it is at one moment, while a relay may be using them.
///
/// A copy is one file, NAME.blazedb, good for `restore`. Nothing is overwritten, and no file has its name
/// before it is whole and on the disk: a copy that was cut short leaves NAME.blazedb.part, which the next
/// one uses again.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay backup --to backups/monday            all databases of ./blazedb-data\n  \
    blazedb-relay backup app --to /mnt/backups --data /var/lib/blazedb-relay\n                                                      \
    one of them\n  \
    blazedb-relay verify /mnt/backups/app.blazedb       is the copy good?\n\n\
    With --json one line for each database: {\"database\", \"ok\", \"file\", \"bytes\"} or {\"database\", \"ok\", \
    \"error\"}.\n\
    Copying the files of a running relay with cp gives copies that may be damaged; this does not.")]
pub(crate) struct Backup {
    /// Which databases; without any, all in the folder.
    #[arg(value_name = "DATABASE")]
    pub(crate) databases: Vec<String>,

    /// The folder that the copies go to; it is made if it is not there.
    #[arg(long, value_name = "DIR")]
    pub(crate) to: PathBuf,

    #[command(flatten)]
    pub(crate) folder: Folder,

    /// Print the result as JSON, one line for each database.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Put a copy in place as a database of a relay that is stopped.
///
/// The copy is checked while it is read; a database that is there is not overwritten. Devices that wrote
/// after the copy was made still have what they wrote: when they connect they send it again, so that it
/// comes back. With --discard they drop it instead; choose that to get rid of something.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay restore backups/monday/app.blazedb    as database app of ./blazedb-data\n  \
    blazedb-relay restore app.blazedb --as app-test     beside it, under another name\n  \
    blazedb-relay restore app.blazedb --discard         what is newer goes, on every device\n\n\
    If the database is there, damaged say, move it away with the files beside it first:\n  \
    mkdir old && mv blazedb-data/app.blazedb* old/\n\n\
    With --json one line: {\"database\", \"ok\", \"file\", \"mode\"} or {\"database\", \"ok\", \"error\"}.")]
pub(crate) struct Restore {
    /// The copy, as `backup` made it.
    pub(crate) file: PathBuf,

    /// The name of the database [default: that of the file].
    #[arg(long = "as", value_name = "DATABASE")]
    pub(crate) name: Option<String>,

    /// Clients drop what they have and the copy has not, instead of sending it again.
    #[arg(long)]
    pub(crate) discard: bool,

    #[command(flatten)]
    pub(crate) folder: Folder,

    /// Print the result as JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Check databases, or copies of them, while a relay may be using them.
///
/// Everything is read: the file's own structure; that the log is contiguous; every checksum and rule of
/// every operation; that the numbers of each device are those of its last block; and that the merged state
/// is what the log merges to. It needs memory for one merged state. Nothing is changed.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay verify                                all databases of ./blazedb-data\n  \
    blazedb-relay verify app --data /var/lib/blazedb-relay\n  \
    blazedb-relay verify ./backups/app.blazedb          a copy\n\n\
    With --json one line for each: {\"database\", \"ok\", \"file\", \"operations\", \"blocks\", \"nodes\", \"epochs\", \
    \"records\", \"state_seq\", \"problems\"} or {\"database\", \"ok\", \"error\"}.\n\
    The exit code is 1 if a database has a problem: keep the file, then `restore` the last good copy.")]
pub(crate) struct Verify {
    /// Names of databases, or files if there is a `/` in it; without any, all databases in the folder.
    #[arg(value_name = "DATABASE|FILE")]
    pub(crate) what: Vec<String>,

    #[command(flatten)]
    pub(crate) folder: Folder,

    /// Print the result as JSON, one line for each database.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Measure a relay on this machine.
///
/// It starts relays of its own, with their data in a folder that is removed at the end; one core is theirs,
/// the load takes another. The columns at the right say how much of its core each used: near 100 % that was
/// the limit. Needs Linux.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay bench                                 everything; some minutes\n  \
    blazedb-relay bench latency kill                    two of them\n  \
    blazedb-relay bench throughput --data /mnt/disk     on another disk\n  \
    blazedb-relay bench --json > figures.json")]
pub(crate) struct Bench {
    /// What to measure; everything if nothing is named.
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workloads: Vec<Workload>,

    /// Where to make the folder [default: the system's folder for temporary files].
    ///
    /// A file system in memory makes syncing look free.
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// Operations of `throughput`.
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    pub(crate) ops: u64,

    /// Clients of `fan-out` and `active`.
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) subscribers: u64,

    /// Connections of `idle`; at its end there are twice as many.
    #[arg(long, value_name = "N", default_value_t = 5_000)]
    pub(crate) connections: u64,

    /// How long `active` goes on.
    #[arg(long, value_name = "N", default_value_t = 30)]
    pub(crate) seconds: u64,

    /// Print JSON instead of the table.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What `bench` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// One writer as fast as it can, until another client has all.
    Throughput,
    /// An operation every 5 ms to another client, beside what the disk takes.
    Latency,
    /// One writer, many subscribers.
    FanOut,
    /// Connections that do nothing.
    Idle,
    /// A new client gets 20,000 operations.
    CatchUp,
    /// The relay is killed right after its acks.
    Kill,
    /// Many who write now and then.
    Active,
}

/// Explain bytes: every field with its offset, its bytes and what it means.
///
/// Of bytes that break a rule it shows everything up to the fault, then the error code, the byte at which
/// it is, and the rule of SPEC.md that they break; the exit code is 1.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay decode                                a bundled example\n  \
    blazedb-relay decode capture.bin                    frames, one after another\n  \
    echo 122a | blazedb-relay decode --hex --as value   the value 42\n  \
    echo 02000000000000002a | blazedb-relay decode --hex --as value\n                                                      \
    42 in a form that is not allowed, and why\n  \
    blazedb-relay decode --json capture.bin | jq .      the same as JSON, one line for each frame")]
pub(crate) struct Decode {
    /// What to read; `-` is standard input.
    ///
    /// Without it standard input is read if it is piped, else a bundled example is explained.
    pub(crate) file: Option<PathBuf>,

    /// The input is hex digits; spaces and line breaks in it do not matter.
    #[arg(long)]
    pub(crate) hex: bool,

    /// What the bytes are.
    ///
    /// Without it that is guessed from the bytes, and standard error says what was guessed and why.
    #[arg(long = "as", value_name = "TARGET")]
    pub(crate) target: Option<Name>,

    /// Where a value stands: `removed`, `patch` and `counter` are values of some places only.
    ///
    /// `plain` is a record or query, `field` a field of an operation, `cell` a cell of a query response.
    #[arg(long, value_name = "PLACE", default_value = "plain")]
    pub(crate) position: Place,

    /// Print the meaning as JSON (test-vectors/README.md) instead of the explanation.
    #[arg(long)]
    pub(crate) json: bool,

    /// Show all bytes of long fields.
    #[arg(long, conflicts_with = "json")]
    pub(crate) full: bool,
}

/// Make bytes from JSON, the form that `decode --json` prints.
///
/// Several JSON texts, one on each line, become bytes one after another.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay decode --json capture.bin | blazedb-relay encode --as message > same.bin\n  \
    echo '{\"type\":\"int\",\"value\":\"42\"}' | blazedb-relay encode --as value --hex\n  \
    echo '{\"type\":\"ping\",\"request_id\":\"0\",\"more\":false,\"nonce\":\"1\",\"extensions\":[]}' \\\n    \
    | blazedb-relay encode --as message -o ping.frame\n\n\
    test-vectors/README.md describes the JSON of each target.")]
pub(crate) struct Encode {
    /// JSON to read; `-` or nothing is standard input.
    pub(crate) file: Option<PathBuf>,

    /// What the JSON describes.
    #[arg(long = "as", value_name = "TARGET")]
    pub(crate) target: Name,

    /// Where a value stands (see `decode`).
    #[arg(long, value_name = "PLACE", default_value = "plain")]
    pub(crate) position: Place,

    /// Write hex digits instead of bytes.
    #[arg(long)]
    pub(crate) hex: bool,

    /// Write to this file instead of standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// Run the test vectors, against this implementation or another one.
///
/// Another implementation is a command that speaks the harness protocol of test-vectors/README.md: one
/// JSON request a line on its standard input, one JSON answer a line on its standard output.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    blazedb-relay vectors                               this implementation\n  \
    blazedb-relay vectors --target value --id value/int some of them\n  \
    blazedb-relay vectors -- python3 test-vectors/python/harness.py\n                                                      \
    another implementation")]
pub(crate) struct Vectors {
    /// The folder that holds MANIFEST.json.
    ///
    /// Without it: test-vectors here, or in the nearest folder above that has one.
    #[arg(long)]
    pub(crate) dir: Option<PathBuf>,

    /// Only vectors of this target; may be given several times.
    #[arg(long = "target", value_name = "NAME")]
    pub(crate) targets: Vec<VectorTarget>,

    /// Only vectors whose id begins so.
    #[arg(long, value_name = "PREFIX")]
    pub(crate) id: Option<String>,

    /// Compare error codes but not where the error is.
    #[arg(long)]
    pub(crate) ignore_offsets: bool,

    /// Print the result as JSON, with every failure.
    #[arg(long)]
    pub(crate) json: bool,

    /// The harness of another implementation, with its arguments.
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

/// Answer the harness protocol of test-vectors/README.md for this implementation.
///
/// One JSON request a line on standard input, one JSON answer a line on standard output, until the input
/// ends.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  \
    echo '{\"id\":1,\"op\":\"decode\",\"target\":\"value\",\"hex\":\"122a\"}' | blazedb-relay harness")]
pub(crate) struct Harness {}

/// A target on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) Target);

impl ValueEnum for Name {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self(Target::Message),
            Self(Target::Frame),
            Self(Target::Block),
            Self(Target::Op),
            Self(Target::Record),
            Self(Target::Value),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self.0 {
            Target::Message => "a frame with its fields and blocks",
            Target::Frame => "the envelope of a message alone",
            Target::Block => "one block of operations",
            Target::Op => "one operation in row layout",
            Target::Record => "a stand-alone record of BlazeDB",
            Target::Value => "one BlazeBinary value",
        };
        Some(PossibleValue::new(self.0.name()).help(help))
    }
}

/// What vectors are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VectorTarget {
    Bytes(Target),
    Merge,
    Session(Role),
}

impl ValueEnum for VectorTarget {
    fn value_variants<'a>() -> &'a [Self] {
        &[
            Self::Bytes(Target::Message),
            Self::Bytes(Target::Frame),
            Self::Bytes(Target::Block),
            Self::Bytes(Target::Op),
            Self::Bytes(Target::Record),
            Self::Bytes(Target::Value),
            Self::Merge,
            Self::Session(Role::Relay),
            Self::Session(Role::Client),
        ]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Bytes(target) => Name(*target).to_possible_value(),
            Self::Merge => Some(PossibleValue::new(MERGE).help("what operations add up to, in any order")),
            Self::Session(role) => Some(PossibleValue::new(role.target()).help(match role {
                Role::Relay => "what a relay does over time",
                Role::Client => "what a client does over time",
            })),
        }
    }
}

/// Where a value stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    Plain,
    Field,
    Cell,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_target_has_a_name() {
        for target in Target::ALL {
            assert_eq!(Name::from_str(target.name(), false), Ok(Name(target)));
            assert_eq!(VectorTarget::from_str(target.name(), false), Ok(VectorTarget::Bytes(target)));
        }
    }

    #[test]
    fn what_follows_two_dashes_is_the_command() {
        let cli = Cli::parse_from(["blazedb-relay", "vectors", "--target", "op", "--", "python3", "--json"]);
        let Command::Vectors(vectors) = cli.command else { panic!("{cli:?}") };
        assert_eq!(vectors.command, ["python3", "--json"]);
        assert!(!vectors.json);
    }
}
