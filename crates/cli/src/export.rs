//! `export`: the merged state as NDJSON.

use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Context as _, Result, bail};
use blazedb_relay::message::{PageLimit, Selection};
use blazedb_relay::value::{Entries, Value};
use blazedb_relay::wire::CollectionName;
use blazedb_relay_client::{Client, Options, Query};
use blazedb_relay_json::object;
use serde_json::Value as Json;
use uuid::Uuid;

use crate::Outcome;
use crate::args::Export;
use crate::connect::{block_on, online, options};
use crate::output::{self, counted};

/// Rows of a page.
const PAGE: u32 = 1_000;

/// Runs the command.
pub(crate) fn run(args: &Export) -> Result<Outcome> {
    block_on(async {
        let mut out: Box<dyn Write> = match &args.output {
            Some(path) => {
                let file =
                    File::create(path).with_context(|| format!("{} cannot be written", path.display()))?;
                Box::new(BufWriter::new(file))
            }
            None => Box::new(output::stdout()),
        };
        let count = if !args.merged.is_empty() {
            let client = online(&args.relay, options(&args.relay)?).await?;
            merged(&client, &args.merged, &mut out).await?
        } else if let Some(path) = &args.file {
            if !path.is_file() {
                bail!("{} is not there; without --file the relay is read", path.display());
            }
            write_all(&Client::open(Options::new(&args.relay.database)?.file(path)).await?, &mut out)?
        } else {
            let client = online(&args.relay, options(&args.relay)?.subscribe_all()).await?;
            client.caught_up().await?;
            write_all(&client, &mut out)?
        };
        out.flush()?;
        output::note(&counted(count, "live record"));
        Ok(Outcome::Fine)
    })
}

/// What a client shows.
fn write_all(client: &Client, out: &mut impl Write) -> Result<u64> {
    let mut count = 0;
    let mut collections = client.collections();
    collections.sort();
    for collection in collections {
        for (record, fields) in client.records(&collection) {
            write_line(out, &collection, record, &fields)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Keys in this order; those of `fields` ascend.
fn write_line(out: &mut impl Write, collection: &str, record: Uuid, fields: &Entries) -> Result<()> {
    let (collection, fields) = (Json::from(collection), Json::Object(object(fields)));
    writeln!(out, "{{\"collection\":{collection},\"record\":\"{record}\",\"fields\":{fields}}}")?;
    Ok(())
}

/// What the relay's own merged state has.
async fn merged(client: &Client, collections: &[String], out: &mut impl Write) -> Result<u64> {
    let mut names = collections.to_vec();
    names.sort();
    names.dedup();
    // What is in the log now is to be in what is exported.
    let after = client.sync_state().await?.head;
    let mut count = 0;
    for name in &names {
        let collection = CollectionName::new(name).with_context(|| format!("--merged {name:?}"))?;
        let mut query = Query {
            collection,
            after,
            selection: Selection::default(),
            limit: PageLimit::new(PAGE)?,
            cursor: Box::default(),
        };
        loop {
            let page = client.query(query.clone()).await?;
            for row in &page.rows {
                let (record, fields) = whole_record(row)?;
                write_line(out, name, record, fields)?;
                count += 1;
            }
            if page.cursor.is_empty() {
                break;
            }
            query.cursor = page.cursor;
        }
    }
    Ok(count)
}

/// The columns of a row without a projection: the record's id, then all its fields.
fn whole_record(row: &[Value]) -> Result<(Uuid, &Entries)> {
    match row {
        [Value::Uuid(record), Value::Dictionary(fields)] => Ok((*record, fields)),
        _ => bail!("the relay answers with other columns than were asked for"),
    }
}
