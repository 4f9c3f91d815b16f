//! `pull` and `watch`: the operations of a log, those that are there and those to come.

use std::io::Write as _;

use anyhow::{Context as _, Result, anyhow};
use blazedb_relay::wire::Position;
use blazedb_relay_json::show as show_value;

use crate::Outcome;
use crate::args::{Pull, Watch};
use crate::connect::block_on;
use crate::log::{Entry, Log, kind_name};
use crate::output::{self, FAINT, ID, TEXT, WORD, counted};

/// Longest value that `watch` shows.
const MAX_VALUE: usize = 60;

/// Runs `pull`.
pub(crate) fn pull(args: &Pull) -> Result<Outcome> {
    let mut position = args.from.as_deref().map_or(Ok(Position::START), parse)?;
    block_on(async {
        let mut log = Log::open(&args.relay, &args.collections, position).await?;
        let mut out = output::stdout();
        let mut left = args.limit.unwrap_or(u64::MAX);
        let mut count = 0_u64;
        while left > 0 {
            let page = log.page(position, u32::try_from(left).unwrap_or(0)).await?;
            // The first block may begin before the position: blocks stay whole.
            let known = position.seq();
            position = page.next;
            for entry in page.entries.iter().filter(|entry| entry.seq > known) {
                if left == 0 {
                    // And the last may end behind what was asked for.
                    position = Position::new(position.epoch(), entry.seq - 1)?;
                    break;
                }
                writeln!(out, "{}", entry.json())?;
                left -= 1;
                count += 1;
            }
            if !page.has_more {
                break;
            }
        }
        out.flush()?;
        output::note(&format!("{}; the next begin behind {}", counted(count, "operation"), show(position)));
        Ok(Outcome::Fine)
    })
}

/// Runs `watch`.
pub(crate) fn watch(args: &Watch) -> Result<Outcome> {
    block_on(async {
        let mut log = Log::open(&args.relay, &args.collections, Position::START).await?;
        log.subscribe(if args.all { Position::START } else { log.head })?;
        if !args.json {
            output::note(&format!("watching {} at {}; Ctrl-C ends it", args.relay.database, args.relay.url));
        }
        let mut left = args.limit.unwrap_or(u64::MAX);
        let mut out = output::stdout();
        while left > 0 {
            for entry in log.update().await?.entries.iter().take(usize::try_from(left).unwrap_or(usize::MAX))
            {
                if args.json {
                    writeln!(out, "{}", entry.json())?;
                } else {
                    write_line(&mut out, entry)?;
                }
                left -= 1;
            }
            out.flush()?;
        }
        Ok(Outcome::Fine)
    })
}

fn write_line(out: &mut output::Stdout, entry: &Entry) -> std::io::Result<()> {
    let (kind, collection, record) = (kind_name(entry.kind), &entry.collection, entry.record);
    write!(
        out,
        "{FAINT}{:>9}{FAINT:#} {WORD}{kind}{WORD:#} {} {ID}{record}{ID:#}",
        entry.seq,
        collection.escape_debug()
    )?;
    for (name, value) in entry.fields.iter() {
        let mut value = show_value(value).to_string();
        if value.chars().count() > MAX_VALUE {
            value = value.chars().take(MAX_VALUE).chain(['…']).collect();
        }
        write!(out, " {}={TEXT}{value}{TEXT:#}", name.as_str().escape_debug())?;
    }
    let (author, deliverer) = (entry.timestamp.node(), entry.deliverer);
    write!(out, " {FAINT}by {author} at {}", entry.timestamp.counter())?;
    if author != deliverer {
        write!(out, ", from {deliverer}")?;
    }
    writeln!(out, "{FAINT:#}")
}

/// A position as it is typed.
fn show(position: Position) -> String {
    format!("{:016x}:{}", position.epoch(), position.seq())
}

fn parse(text: &str) -> Result<Position> {
    let parts = text.split_once(':');
    let parts =
        parts.and_then(|(epoch, seq)| Some((u64::from_str_radix(epoch, 16).ok()?, seq.parse().ok()?)));
    let (epoch, seq) = parts.ok_or_else(|| {
        anyhow!(
            "--from {text:?} is no position; one looks like 7f3a91c25d08e64b:1000, as `pull` shows at its end"
        )
    })?;
    Position::new(epoch, seq).with_context(|| format!("--from {text:?}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "what fails here fails a test")]
    use super::*;

    #[test]
    fn a_position_is_typed_as_it_is_shown() {
        let position = Position::new(0x7f3a_91c2_5d08_e64b, 1_000).unwrap();
        assert_eq!(parse(&show(position)).unwrap(), position);
        assert_eq!(parse(&show(Position::START)).unwrap(), Position::START);
        for bad in ["", "7", "x:1", "1:y", "0:5"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
