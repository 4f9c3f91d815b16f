//! What a client costs: writing to it, sending, and applying what others wrote; per operation of three
//! fields of a bug record, in time of the processor, which other programs on the machine do not change.
//!
//! ```text
//! cargo bench -p blazedb-relay-client [-- OPERATIONS]
//! ```
#![allow(clippy::print_stdout, reason = "what a benchmark is for")]

use core::error::Error;
use std::path::Path;
use std::time::Instant;

use blazedb_relay_client::{
    Client, CollectionName, FieldName, Fields, LocalRelay, Options, Uuid, Value, Write,
};

type Result<T> = core::result::Result<T, Box<dyn Error>>;

/// Transactions that are written at once.
const BATCH: u64 = 1_000;

fn main() -> Result<()> {
    let ops = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let folder = std::env::temp_dir().join(format!("blazedb-relay-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(all(ops, &folder));
    std::fs::remove_dir_all(&folder)?;
    result
}

async fn all(ops: u64, folder: &Path) -> Result<()> {
    println!("{ops} operations; microseconds of processor, and of time, each");
    for file in [false, true] {
        let place = if file { "file" } else { "memory" };
        let options = |name: &str| {
            let options = Options::new("bench")?;
            Ok::<_, Box<dyn Error>>(if file { options.file(folder.join(name)) } else { options })
        };
        let relay = LocalRelay::new();
        let writer = Client::open(options("writer")?.relay(relay.clone())).await?;
        writer.disconnect().await?;
        let begun = Begun::now();
        write(&writer, ops).await?;
        begun.end(&format!("write, {place}"), ops);

        let begun = Begun::now();
        writer.connect();
        writer.settled().await?;
        begun.end(&format!("send until durable, {place}"), ops);

        let begun = Begun::now();
        let reader = Client::open(options("reader")?.relay(relay.clone()).subscribe_all()).await?;
        reader.caught_up().await?;
        begun.end(&format!("receive, {place}"), ops);
        assert_eq!(reader.records("bugs").len() as u64, ops, "not everything has come");
        reader.close().await?;

        if file {
            let begun = Begun::now();
            let again = Client::open(options("reader")?).await?;
            begun.end("open again", ops);
            assert_eq!(again.records("bugs").len() as u64, ops, "not everything was kept");
        }
    }
    Ok(())
}

async fn write(client: &Client, ops: u64) -> Result<()> {
    let (bugs, title, priority, status) = (
        CollectionName::new("bugs")?,
        FieldName::new("title")?,
        FieldName::new("priority")?,
        FieldName::new("status")?,
    );
    for first in (0..ops).step_by(BATCH as usize) {
        let mut transactions = Vec::new();
        for number in first..ops.min(first + BATCH) {
            let fields = Fields::new(vec![
                (title.clone(), Value::from(format!("Fix login bug {number}").as_str())),
                (priority.clone(), Value::Int(5)),
                (status.clone(), Value::from("open")),
            ])?;
            // As random as those of an app.
            let record = Uuid::from_u128(
                u128::from(number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835),
            );
            transactions.push(vec![Write::insert(bugs.clone(), record, fields)]);
        }
        client.write_many(transactions).await?;
    }
    Ok(())
}

struct Begun {
    at: Instant,
    processor: f64,
}

impl Begun {
    fn now() -> Self {
        Self { at: Instant::now(), processor: processor() }
    }

    #[allow(clippy::cast_precision_loss, reason = "for people")]
    fn end(&self, what: &str, ops: u64) {
        let each = |seconds: f64| seconds * 1e6 / ops as f64;
        let (processor, time) = (processor() - self.processor, self.at.elapsed().as_secs_f64());
        println!("{what:30} {:8.3} {:8.3}", each(processor), each(time));
    }
}

/// Seconds that this process has used, where the system tells.
fn processor() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}
