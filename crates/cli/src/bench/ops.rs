//! What is written: three fields of a bug's record.

use anyhow::{Result, anyhow};
use blazedb_relay::block::{BlockBuilder, Compression};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::value::{Fields, Value};
use blazedb_relay::wire::{CollectionName, FieldName, NodeId, Timestamp};
use uuid::Uuid;

use crate::numbers::Chance;

const WORDS: [&str; 24] = [
    "login",
    "button",
    "crash",
    "slow",
    "export",
    "import",
    "on",
    "page",
    "after",
    "update",
    "missing",
    "translation",
    "wrong",
    "date",
    "in",
    "report",
    "search",
    "does",
    "not",
    "find",
    "umlauts",
    "printing",
    "empty",
    "list",
];
const STATES: [&str; 4] = ["open", "assigned", "fixed", "closed"];
/// How many bugs there are.
const BUGS: u64 = 10_000;

/// A record and what is written to it.
pub(super) fn bug(number: u64) -> Result<(Uuid, Fields)> {
    let mut chance = Chance(number);
    let record = chance.below(BUGS);
    let id = Uuid::from_u64_pair(Chance(record).next(), Chance(!record).next());
    let title: Vec<_> = (0..5).map(|_| chance.pick(&WORDS)).collect();
    let priority = i64::try_from(chance.below(5)).unwrap_or_default() + 1;
    let fields = Fields::new(vec![
        (FieldName::new("title")?, Value::from(title.join(" ").as_str())),
        (FieldName::new("priority")?, Value::from(priority)),
        (FieldName::new("status")?, Value::from(chance.pick(&STATES))),
    ])?;
    Ok((id, fields))
}

/// The operations numbered `first` to `first + count - 1` of a node, as a block.
pub(super) fn block(node: NodeId, first: u64, count: u64) -> Result<Vec<u8>> {
    let mut builder = BlockBuilder::new(node, first);
    for seq in first..first + count {
        let (record, fields) = bug(seq)?;
        let place = (CollectionName::new("bugs")?, record);
        builder.push(&Op::new((node, seq), Timestamp::new(seq, node)?, OpKind::Update, place, fields)?)?;
    }
    Ok(builder.finish(Compression::Lz4).ok_or_else(|| anyhow!("an empty block"))?.to_vec())
}
