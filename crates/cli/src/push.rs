//! `push`: records from NDJSON to the relay's disk.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Write as _};

use anyhow::{Context as _, Result, anyhow, bail};
use blazedb_relay::wire::CollectionName;
use blazedb_relay_client::{Client, Write};
use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use crate::Outcome;
use crate::args::Push;
use crate::connect::{block_on, online, options};
use crate::numbers::random;
use crate::output::{self, counted};
use crate::status::rejected_json;

/// Lines that become durable here together.
const BATCH: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    collection: String,
    record: Option<Uuid>,
    r#type: Option<Kind>,
    #[serde(default)]
    fields: Map<String, Json>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Insert,
    Update,
    Delete,
}

/// Runs the command.
pub(crate) fn run(args: &Push) -> Result<Outcome> {
    let input: Box<dyn BufRead> = match &args.file {
        Some(path) if path.as_os_str() != "-" => {
            let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
            Box::new(BufReader::new(file))
        }
        _ => {
            if io::stdin().is_terminal() {
                output::hint("type a line of JSON for each record, then Ctrl-D; see push --help");
            }
            Box::new(io::stdin().lock())
        }
    };
    block_on(async {
        let client = online(&args.relay, options(&args.relay)?).await?;
        let pushed = write_lines(&client, input).await;
        // What was written before a bad line is written: it is said how much that is.
        client.settled().await?;
        let rejected = client.rejected();
        let refused: Vec<Json> = rejected.iter().map(rejected_json).collect();
        let (written, fault) = match pushed {
            Ok(written) => (written, None),
            Err((written, error)) => (written, Some(error)),
        };
        let durable = written - refused.len() as u64;
        if args.json {
            let mut out = output::stdout();
            writeln!(out, "{}", json!({ "durable": durable, "refused": refused }))?;
            out.flush()?;
        } else {
            for refused in &refused {
                output::error(&format!("the relay refused {refused}"));
            }
            output::note(&format!("{} on the relay's disk", counted(durable, "operation")));
        }
        client.close().await?;
        if let Some(error) = fault {
            return Err(error);
        }
        Ok(if refused.is_empty() { Outcome::Fine } else { Outcome::Bad })
    })
}

/// Writes all lines; gives how many, also if one of them is wrong.
async fn write_lines(client: &Client, input: Box<dyn BufRead>) -> Result<u64, (u64, anyhow::Error)> {
    let (mut written, mut batch) = (0, Vec::new());
    let mut fault = None;
    for (line, number) in input.lines().zip(1_u64..) {
        let line = match line.with_context(|| format!("line {number} cannot be read")) {
            Ok(line) => line,
            Err(error) => {
                fault = Some(error);
                break;
            }
        };
        if line.trim().is_empty() {
            continue;
        }
        match write_of(&line).with_context(|| format!("line {number}")) {
            Ok(write) => batch.push(vec![write]),
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
        if batch.len() == BATCH {
            let count = batch.len() as u64;
            let done = client.write_many(core::mem::take(&mut batch)).await;
            done.map_err(|error| (written, error.into()))?;
            written += count;
        }
    }
    let count = batch.len() as u64;
    client.write_many(batch).await.map_err(|error| (written, error.into()))?;
    match fault {
        None => Ok(written + count),
        Some(error) => Err((written + count, error)),
    }
}

fn write_of(line: &str) -> Result<Write> {
    let Line { collection, record, r#type, fields } = serde_json::from_str(line)?;
    let collection =
        CollectionName::new(&collection).with_context(|| format!("collection {collection:?}"))?;
    let fields = blazedb_relay_json::fields(&fields).map_err(|error| anyhow!(error))?;
    let usual = if record.is_some() { Kind::Update } else { Kind::Insert };
    let kind = r#type.unwrap_or(usual);
    let record = match (record, kind) {
        (Some(record), _) => record,
        (None, Kind::Insert) => uuid::Builder::from_random_bytes(random()?).into_uuid(),
        (None, Kind::Update | Kind::Delete) => bail!("an update or delete needs `record`, a UUID"),
    };
    if !matches!(kind, Kind::Delete) && fields.is_empty() {
        bail!("an insert or update needs `fields`, at least one");
    }
    Ok(match kind {
        Kind::Insert => Write::insert(collection, record, fields),
        Kind::Update => Write::update(collection, record, fields),
        Kind::Delete => Write::delete(collection, record),
    })
}
