//! What is written: three fields of a bug's record.

use anyhow::{Result, anyhow};
use blazedb_relay::block::{BlockBuilder, Compression};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::value::{Fields, Value};
use blazedb_relay::wire::{CollectionName, FieldName, NodeId, Timestamp};
use uuid::Uuid;

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

/// Numbers that look random: the splitmix64 generator. The same seed gives the same.
struct Chance(u64);

impl Chance {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.next() % of.len() as u64).unwrap_or_default()]
    }
}

/// The operations numbered `first` to `first + count - 1` of a node, as a block.
pub(crate) fn block(node: NodeId, first: u64, count: u64) -> Result<Vec<u8>> {
    let mut builder = BlockBuilder::new(node, first);
    for seq in first..first + count {
        let mut chance = Chance(seq);
        let record = chance.next() % BUGS;
        let id = Uuid::from_u64_pair(Chance(record).next(), Chance(!record).next());
        let title: Vec<_> = (0..5).map(|_| chance.pick(&WORDS)).collect();
        let priority = i64::try_from(chance.next() % 5).unwrap_or_default() + 1;
        let fields = Fields::new(vec![
            (FieldName::new("title")?, Value::from(title.join(" ").as_str())),
            (FieldName::new("priority")?, Value::from(priority)),
            (FieldName::new("status")?, Value::from(chance.pick(&STATES))),
        ])?;
        let place = (CollectionName::new("bugs")?, id);
        builder.push(&Op::new((node, seq), Timestamp::new(seq, node)?, OpKind::Update, place, fields)?)?;
    }
    Ok(builder.finish(Compression::Lz4).ok_or_else(|| anyhow!("an empty block"))?.to_vec())
}
