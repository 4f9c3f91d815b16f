//! Blocks of a log, as one reader may have them (SPEC.md 11.7).

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use super::event::StoredBlock;
use super::io::{Stop, close};
use crate::block::{BlockBuilder, BlockHeader, BlockRef, Compression};
use crate::limits::{MAX_BLOCKS, MAX_DECOMPRESSED, MAX_FRAME, MAX_SEQ};
use crate::message::{Collections, Seq};
use crate::op::OpRef;
use crate::registry::{Capabilities, Capability, ErrorCode, GoodbyeReason};
use crate::wire::NodeId;

/// A block of the log with what is needed to know of it without looking inside.
#[derive(Clone, Debug)]
pub(super) struct LogBlock {
    /// The seq of its first operation.
    pub(super) first_seq: u64,
    pub(super) header: BlockHeader,
    /// Bytes that its payload decompresses to; 0 if it is not compressed.
    declared: usize,
    pub(super) bytes: Bytes,
}

impl LogBlock {
    pub(super) fn new(first_seq: u64, block: &BlockRef<'_>, bytes: Bytes) -> Self {
        Self { first_seq, header: *block.header(), declared: block.declared_len(), bytes }
    }

    /// The same block at its place in the log.
    pub(super) fn at(&self, first_seq: u64) -> Self {
        Self { first_seq, ..self.clone() }
    }

    /// The seq of its last operation.
    pub(super) const fn last_seq(&self) -> u64 {
        self.first_seq + self.header.span as u64 - 1
    }
}

/// The blocks that a store gave for a read after `after`, or `None` if they are not what the log has
/// there. What lies behind `head` is left out: a store may have more than it has told (RLY-4).
pub(super) fn log_blocks(after: u64, head: u64, stored: Vec<StoredBlock>) -> Option<Vec<LogBlock>> {
    let mut blocks: Vec<LogBlock> = Vec::with_capacity(stored.len());
    for StoredBlock { first_seq, bytes } in stored {
        let block = BlockRef::decode(&bytes).ok().filter(|block| !block.header().holes)?;
        let expected = blocks.last().map(|last| last.last_seq() + 1);
        let follows = match expected {
            Some(expected) => first_seq == expected,
            None => first_seq != 0 && first_seq <= after + 1,
        };
        if !follows || first_seq > MAX_SEQ {
            return None;
        }
        let block = LogBlock::new(first_seq, &block, bytes.clone());
        if block.last_seq() > head {
            break;
        }
        blocks.push(block);
    }
    (blocks.last()?.last_seq() > after).then_some(blocks)
}

/// Most blocks of a log's end that are kept in memory. Who is further behind reads from the store, which may
/// have put small blocks together by then (SPEC.md 11.8).
const MAX_TAIL: usize = 1_024;

/// The end of a log, in memory: what live readers get without a read.
#[derive(Debug)]
pub(super) struct Tail {
    blocks: VecDeque<LogBlock>,
    bytes: usize,
}

impl Tail {
    pub(super) const fn new() -> Self {
        Self { blocks: VecDeque::new(), bytes: 0 }
    }

    /// Adds the log's new last block, and forgets the oldest ones over `max` bytes or [`MAX_TAIL`].
    pub(super) fn push(&mut self, block: LogBlock, max: usize) {
        self.bytes += block.bytes.len();
        self.blocks.push_back(block);
        while (self.bytes > max || self.blocks.len() > MAX_TAIL)
            && let Some(oldest) = self.blocks.pop_front()
        {
            self.bytes -= oldest.bytes.len();
        }
    }

    /// The seq before its first block.
    pub(super) fn start(&self) -> Option<u64> {
        self.blocks.front().map(|first| first.first_seq - 1)
    }

    /// The blocks behind seq `after`, or `None` if the tail begins later.
    pub(super) fn after(&self, after: u64) -> Option<impl Iterator<Item = &LogBlock>> {
        self.blocks.front().filter(|first| first.first_seq <= after + 1)?;
        Some(self.blocks.range(self.blocks.partition_point(|block| block.last_seq() <= after)..))
    }
}

/// The blocks of a read behind seq `after`, or `None` if they are others.
pub(super) fn read_after(blocks: &[LogBlock], after: u64) -> Option<impl Iterator<Item = &LogBlock>> {
    let start = blocks.partition_point(|block| block.last_seq() <= after);
    let rest = blocks.get(start..).unwrap_or_default();
    rest.first().filter(|first| first.first_seq <= after + 1)?;
    Some(rest.iter())
}

/// Names of collections that a reader asked for, ascending; `None` for all.
pub(super) type Wanted = Option<Arc<[Box<str>]>>;

pub(super) fn wanted(collections: Collections<'_>) -> Wanted {
    (!collections.is_empty()).then(|| collections.iter().map(|name| name.as_str().into()).collect())
}

/// What one reader may have of a block.
#[derive(Clone, Debug)]
pub(super) struct Lens {
    pub(super) capabilities: Capabilities,
    pub(super) wanted: Wanted,
    /// Blocks of that node above that number were acknowledged on this connection (RLY-42).
    pub(super) own: Option<(NodeId, u64)>,
}

impl Lens {
    //= RLY-42
    fn passes_over(&self, header: &BlockHeader) -> bool {
        self.own.is_some_and(|(node, mark)| header.node == node && header.first_node_seq > mark)
    }

    /// Whether stored blocks go out as they are.
    //= RLY-9
    fn is_clear(&self, header: &BlockHeader) -> bool {
        self.wanted.is_none()
            && self.capabilities.has(Capability::CRDT)
            && (!header.compressed || self.capabilities.has(Capability::COMPRESSION))
    }
}

/// What a reader gets of one block.
#[derive(Clone, Debug)]
enum View {
    /// It, or what the reader asked for of it.
    Bytes(Bytes),
    /// Nothing of it is for the reader.
    Nothing,
    /// It holds what the reader cannot read.
    Unreadable,
    /// It is not a block.
    Damaged,
}

/// Encodes blocks anew for readers that cannot have them as they are. Within one input, readers that
/// want the same share the result.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    /// For decompression.
    pub(super) scratch: Vec<u8>,
    /// By first and last seq, capabilities and wanted collections. One input may see a block as it came and
    /// as it was rewritten (SPEC.md 11.8): both begin at one seq.
    shared: BTreeMap<(u64, u64, Capabilities, Wanted), View>,
}

impl Encoder {
    /// Forgets what was shared.
    pub(super) fn clear(&mut self) {
        self.shared.clear();
    }

    fn view(&mut self, block: &LogBlock, lens: &Lens) -> View {
        if lens.is_clear(&block.header) {
            return View::Bytes(block.bytes.clone());
        }
        let Self { scratch, shared } = self;
        let key = (block.first_seq, block.last_seq(), lens.capabilities, lens.wanted.clone());
        shared.entry(key).or_insert_with(|| encode(block, lens, scratch)).clone()
    }
}

fn encode(block: &LogBlock, lens: &Lens, scratch: &mut Vec<u8>) -> View {
    let Ok(rows) = BlockRef::decode(&block.bytes).and_then(|block| block.rows(scratch)) else {
        return View::Damaged;
    };
    let wants = |collection: &str| match &lens.wanted {
        Some(names) => names.binary_search_by(|name| (**name).cmp(collection)).is_ok(),
        None => true,
    };
    let mut part = BlockBuilder::part_of(&block.header);
    for op in rows.iter().filter(|op| wants(op.head.collection)) {
        //= RLY-40
        let crdt = lens.capabilities.has(Capability::CRDT);
        if !crdt && OpRef::decode_with(op.raw(), lens.capabilities).is_err() {
            return View::Unreadable;
        }
        if part.push_ref(&op).is_err() {
            return View::Damaged;
        }
    }
    let whole = part.len() == usize::from(block.header.count);
    let compression = lens.capabilities.has(Capability::COMPRESSION);
    if whole && (!block.header.compressed || compression) {
        return View::Bytes(block.bytes.clone());
    }
    //= RLY-37
    //= RLY-39
    match part.finish(Compression::None) {
        Some(bytes) => View::Bytes(Bytes::copy_from_slice(bytes)),
        None => View::Nothing,
    }
}

/// How much of a log may go into one message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Bytes of blocks, but for the first one.
    pub(super) bytes: u64,
    /// Bytes of blocks after which no other one begins.
    pub(super) room: u64,
    /// Operations, but for those of the first block.
    pub(super) operations: u64,
}

/// Blocks for one message.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// For each block the seq of its first node_seq (RLY-36).
    pub(super) first_seqs: Vec<Seq>,
    pub(super) blocks: Vec<Bytes>,
    pub(super) bytes: u64,
    /// The seq up to which the log was looked at.
    pub(super) end: u64,
}

/// Bytes of an update's or pull response's frame besides blocks and first seqs, rounded up.
const ENVELOPE: u64 = 64;

/// Takes from `blocks`, which follow seq `from`, what fits into one message.
pub(super) fn page<'b>(
    from: u64,
    blocks: impl Iterator<Item = &'b LogBlock>,
    lens: &Lens,
    budget: Budget,
    encoder: &mut Encoder,
) -> Result<Page, Stop> {
    let mut page = Page { end: from, ..Page::default() };
    let (mut operations, mut decompressed) = (0, 0);
    //= RLY-34
    for block in blocks {
        if lens.passes_over(&block.header) {
            page.end = block.last_seq();
            continue;
        }
        let bytes = match encoder.view(block, lens) {
            View::Bytes(bytes) => bytes,
            //= RLY-38
            View::Nothing => {
                page.end = block.last_seq();
                continue;
            }
            View::Unreadable => {
                return close(ErrorCode::UPGRADE_NEEDED, "an operation needs crdt, which was not agreed on");
            }
            View::Damaged => return Err(Stop::Leave(GoodbyeReason::RESTARTING)),
        };
        operations += u64::from(block.header.count);
        //= MSG-34
        decompressed += block.declared;
        let after = page.bytes + bytes.len() as u64;
        let frame = ENVELOPE + 8 * (page.blocks.len() as u64 + 1) + after;
        let full = page.blocks.len() == MAX_BLOCKS
            || after > budget.bytes
            || page.bytes >= budget.room
            || operations > budget.operations
            || decompressed > MAX_DECOMPRESSED
            || frame > MAX_FRAME as u64;
        if full && !page.blocks.is_empty() {
            break;
        }
        let Ok(seq) = Seq::new(block.first_seq) else { return Err(Stop::Leave(GoodbyeReason::RESTARTING)) };
        //= RLY-36
        page.first_seqs.push(seq);
        //= RLY-35
        page.blocks.push(bytes);
        page.bytes = after;
        //= RLY-41
        page.end = block.last_seq();
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::op::{Op, OpKind};
    use crate::value::{Fields, Value};
    use crate::wire::{CollectionName, FieldName, Timestamp};

    const ALL: Lens = Lens { capabilities: Capabilities::ALL, wanted: None, own: None };

    /// A block of one operation with that many bytes of data, the `seq`th of its node and of the log.
    fn stored(seq: u64, data: usize, compression: Compression) -> StoredBlock {
        let node = NodeId::new(uuid::Uuid::from_u128(1)).unwrap();
        let value = Value::Data(vec![0; data].into());
        let fields = Fields::new(vec![(FieldName::new("x").unwrap(), value)]).unwrap();
        let place = (CollectionName::new("c").unwrap(), uuid::Uuid::nil());
        let timestamp = Timestamp::new(seq, node).unwrap();
        let op = Op::new((node, seq), timestamp, OpKind::Insert, place, fields).unwrap();
        let mut builder = BlockBuilder::new(node, seq);
        builder.push(&op).unwrap();
        let bytes = Bytes::copy_from_slice(builder.finish(compression).unwrap());
        StoredBlock { first_seq: seq, bytes }
    }

    fn taken(blocks: Vec<StoredBlock>, lens: &Lens) -> usize {
        let blocks = log_blocks(0, MAX_SEQ, blocks).unwrap();
        let budget = Budget { bytes: u64::MAX, room: u64::MAX, operations: u64::MAX };
        let page = page(0, blocks.iter(), lens, budget, &mut Encoder::default()).unwrap();
        let frame = 20 + 39 + page.blocks.iter().map(|block| 8 + block.len()).sum::<usize>();
        assert!(frame <= MAX_FRAME, "{frame}");
        page.blocks.len()
    }

    #[test]
    fn a_page_fits_in_a_frame() {
        let none = Compression::None;
        assert_eq!(taken((1..=1_100).map(|seq| stored(seq, 1, none)).collect(), &ALL), MAX_BLOCKS);
        assert_eq!(
            taken(vec![stored(1, 900_000, none), stored(2, 100_000, none), stored(3, 60_000, none)], &ALL),
            2
        );
        assert_eq!(taken(vec![stored(1, 980_000, none), stored(2, 980_000, none)], &ALL), 1);
    }

    //= RLY-34 test
    //= RLY-46 test
    #[test]
    fn a_block_and_what_it_was_rewritten_to_are_told_apart() {
        let [one, two] = [1, 2].map(|seq| stored(seq, 1, Compression::None));
        let node = BlockRef::decode(&one.bytes).unwrap().header().node;
        let mut builder = BlockBuilder::new(node, 1);
        for block in [&one, &two] {
            let mut scratch = Vec::new();
            let rows = BlockRef::decode(&block.bytes).unwrap().rows(&mut scratch).unwrap();
            rows.iter().for_each(|op| builder.push_ref(&op).unwrap());
        }
        let bytes = Bytes::copy_from_slice(builder.finish(Compression::None).unwrap());
        let before = log_blocks(0, 2, vec![one, two]).unwrap();
        let after = log_blocks(0, 2, vec![StoredBlock { first_seq: 1, bytes }]).unwrap();
        let lens = Lens { wanted: Some([Box::from("c")].into()), ..ALL };
        let budget = Budget { bytes: 1, room: u64::MAX, operations: u64::MAX };
        for forms in [[&before, &after], [&after, &before]] {
            let mut encoder = Encoder::default();
            for form in forms {
                let page = page(0, form.iter(), &lens, budget, &mut encoder).unwrap();
                assert_eq!(page.end, form[0].last_seq());
                let count = BlockRef::decode(&page.blocks[0]).unwrap().header().count;
                assert_eq!(u64::from(count), page.end, "as many operations as the position moves by");
            }
        }
    }

    //= MSG-34 test
    #[test]
    fn a_page_does_not_blow_up() {
        let blocks: Vec<_> = (1..=9).map(|seq| stored(seq, 900_000, Compression::Lz4)).collect();
        assert_eq!(taken(blocks.clone(), &ALL), 4);
        let plain = Lens { capabilities: Capabilities::NONE.with(Capability::CRDT), ..ALL };
        assert_eq!(taken(blocks, &plain), 1);
    }

    #[test]
    fn what_a_store_reads_is_checked() {
        let block = |seq| stored(seq, 1, Compression::None);
        let seqs = |after, head, blocks: &[u64]| {
            let blocks = log_blocks(after, head, blocks.iter().map(|seq| block(*seq)).collect());
            blocks.map(|blocks| blocks.iter().map(|block| block.first_seq).collect::<Vec<_>>())
        };
        assert_eq!(seqs(0, 9, &[1, 2]), Some(vec![1, 2]));
        assert_eq!(seqs(1, 9, &[1, 2]), Some(vec![1, 2]), "it may begin before");
        assert_eq!(seqs(0, 2, &[1, 2, 3]), Some(vec![1, 2]), "what is not known to be durable is left out");
        for (after, head, blocks) in
            [(0, 9, &[][..]), (0, 9, &[2]), (0, 9, &[1, 3]), (2, 9, &[1, 2]), (0, 0, &[1])]
        {
            assert_eq!(seqs(after, head, blocks), None, "{blocks:?}");
        }
        assert!(
            log_blocks(0, 9, vec![StoredBlock { first_seq: 1, bytes: Bytes::from_static(b"x") }]).is_none()
        );
    }

    #[test]
    fn a_tail_forgets_its_oldest_blocks() {
        let blocks =
            log_blocks(0, 9, (1..=3).map(|seq| stored(seq, 1, Compression::None)).collect()).unwrap();
        let mut tail = Tail::new();
        let max = 2 * blocks[0].bytes.len();
        blocks.into_iter().for_each(|block| tail.push(block, max));
        let after = |seq| Some(tail.after(seq)?.map(|block| block.first_seq).collect::<Vec<_>>());
        assert_eq!(after(0), None);
        assert_eq!(after(1), Some(vec![2, 3]));
        assert_eq!(after(3), Some(vec![]));
    }

    #[test]
    fn a_tail_forgets_when_it_has_many_blocks() {
        let count = MAX_TAIL as u64 + 5;
        let blocks = (1..=count).map(|seq| stored(seq, 1, Compression::None)).collect();
        let mut tail = Tail::new();
        log_blocks(0, count, blocks).unwrap().into_iter().for_each(|block| tail.push(block, usize::MAX));
        assert_eq!((tail.start(), tail.blocks.len()), (Some(5), MAX_TAIL));
    }
}
