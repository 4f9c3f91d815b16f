//! The header of a block, and blocks one after another.

use core::fmt;

use alloc::vec::Vec;

use super::lz4;
use super::rows::Rows;
use crate::error::DecodeError;
use crate::limits::{MAX_BLOCK, MAX_NODE_SEQ};
use crate::registry::{Capabilities, Capability, Encoding, ErrorCode};
use crate::wire::parse::{At, Res, array, fail, take, u8, u16, u32, u48, whole};
use crate::wire::{ArraySink, NodeId, Sink, crc32, node};

pub(super) const HEADER: usize = 36;
const CHECKSUM_AT: usize = 32;
pub(super) const FLAG_LZ4: u8 = 0x01;
pub(super) const FLAG_HOLES: u8 = 0x02;

/// What a block says of itself before its operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BlockHeader {
    /// How the payload is written.
    pub encoding: Encoding,
    /// Whether the payload is LZ4.
    pub compressed: bool,
    /// Whether operations of the block as it was pushed are left out.
    pub holes: bool,
    /// Operations in this block, 1 to 65,535.
    pub count: u16,
    /// node_seqs from the first to the last of the block as it was pushed.
    pub span: u16,
    /// node_seq of the first operation of the block as it was pushed.
    pub first_node_seq: u64,
    /// Who delivered the block.
    pub node: NodeId,
}

impl BlockHeader {
    /// node_seq of the last operation of the block as it was pushed.
    #[must_use]
    pub const fn last_node_seq(&self) -> u64 {
        self.first_node_seq + self.span as u64 - 1
    }

    pub(super) fn bytes(&self, payload: usize) -> [u8; HEADER] {
        let mut sink = ArraySink::new();
        sink.put(&[
            self.encoding.0,
            if self.compressed { FLAG_LZ4 } else { 0 } | if self.holes { FLAG_HOLES } else { 0 },
        ]);
        sink.put_u16(self.count);
        sink.put_u16(self.span);
        sink.put_u48(self.first_node_seq);
        sink.put(self.node.as_bytes());
        // A payload is at most MAX_BLOCK.
        #[allow(clippy::cast_possible_truncation, reason = "at most MAX_BLOCK")]
        sink.put_u32(payload as u32);
        let check = sink.crc32_from(0);
        sink.put_u32(check);
        sink.bytes()
    }
}

/// A block whose header was checked, as a view over its bytes. Its operations were not looked at yet.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BlockRef<'a> {
    header: BlockHeader,
    payload: &'a [u8],
    raw: &'a [u8],
}

impl<'a> BlockRef<'a> {
    /// Decodes the header of a block that fills `bytes`, outside a connection (all capabilities).
    ///
    /// # Errors
    /// The first rule of SPEC.md 6.2 that the bytes break.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_with(bytes, Capabilities::ALL)
    }

    /// Decodes the header of a block that fills `bytes` and came where `capabilities` were agreed on.
    ///
    /// # Errors
    /// As [`Self::decode`], and `NOT_NEGOTIATED` (BLK-4).
    pub fn decode_with(bytes: &'a [u8], capabilities: Capabilities) -> Result<Self, DecodeError> {
        let rules = BlockRules { pushed: false, compression: capabilities.has(Capability::COMPRESSION) };
        //= BLK-10
        whole(bytes, "block", |input| block(input, rules, None))
    }

    /// What the block says of itself.
    #[must_use]
    pub const fn header(&self) -> &BlockHeader {
        &self.header
    }

    /// Where the payload begins, in bytes from the start of the block.
    #[must_use]
    pub const fn payload_at(&self) -> usize {
        HEADER
    }

    /// The whole block, as it came: what is stored and forwarded.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// Bytes that its payload will decompress to, as it declares; 0 if it is not compressed. Not checked
    /// yet.
    #[must_use]
    pub fn declared_len(&self) -> usize {
        match self.payload.first_chunk() {
            Some(declared) if self.header.compressed => u32::from_be_bytes(*declared) as usize,
            _ => 0,
        }
    }

    /// Its operations, decompressed into `scratch` if need be. They are not looked at yet.
    ///
    /// # Errors
    /// `EMPTY`, `TOO_LONG`, `TRUNCATED` or `BAD_COMPRESSION`: SPEC.md 6.4. Nothing is allocated before
    /// the declared length was checked. Offsets count from the start of the block.
    pub fn rows<'s>(&self, scratch: &'s mut Vec<u8>) -> Result<Rows<'s>, DecodeError>
    where
        'a: 's,
    {
        let payload = if self.header.compressed {
            lz4::decompress(self.payload, scratch).map_err(|error| error.shifted(HEADER))?
        } else {
            self.payload
        };
        Ok(Rows::new(self.header, payload))
    }
}

impl fmt::Debug for BlockRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block").field("header", &self.header).field("payload", &self.payload.len()).finish()
    }
}

/// What the place of a block demands of its header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockRules {
    /// It stands in a push (MSG-26, MSG-27).
    pub(crate) pushed: bool,
    /// `compression` was agreed on (BLK-4).
    pub(crate) compression: bool,
}

/// One block at the start of `input`: header checked, payload there. In a push it follows `last`.
fn block<'a>(input: &'a [u8], rules: BlockRules, last: Option<&BlockHeader>) -> Res<'a, BlockRef<'a>> {
    let (payload_at, header) = array::<HEADER>("block header")(input)?;
    let header: &[u8] = header;
    let (covered, check) = header.split_at(CHECKSUM_AT);
    let (_, stated) = u32("header checksum")(check)?;
    //= BLK-1
    if crc32(covered) != stated {
        return fail(check, ErrorCode::BAD_CHECKSUM, "header checksum");
    }
    let (flags_at, encoding) = u8("encoding")(covered)?;
    let encoding = Encoding(encoding);
    //= BLK-2
    if encoding != Encoding::ROWS {
        return fail(covered, ErrorCode::UNKNOWN_ENCODING, "encoding");
    }
    let (count_at, flags) = u8("block flags")(flags_at)?;
    //= BLK-3
    if flags & !(FLAG_LZ4 | FLAG_HOLES) != 0 {
        return fail(flags_at, ErrorCode::UNKNOWN_FLAG, "block flags");
    }
    //= BLK-4
    let compressed = flags & FLAG_LZ4 != 0;
    if compressed && !rules.compression {
        return fail(flags_at, ErrorCode::NOT_NEGOTIATED, "block flags");
    }
    let holes = flags & FLAG_HOLES != 0;
    let (span_at, count) = u16("block count")(count_at)?;
    //= BLK-5
    if count == 0 {
        return fail(count_at, ErrorCode::EMPTY, "block header");
    }
    let (seq_at, span) = u16("span")(span_at)?;
    //= BLK-6
    if (holes && span <= count) || (!holes && span != count) {
        return fail(span_at, ErrorCode::NOT_CONTIGUOUS, "span");
    }
    let (node_at, first_node_seq) = u48("first node_seq")(seq_at)?;
    //= BLK-7
    if first_node_seq == 0 || first_node_seq + u64::from(span) - 1 > MAX_NODE_SEQ {
        return fail(seq_at, ErrorCode::BAD_NODE_SEQ, "first node_seq");
    }
    //= BLK-8
    let (length_at, node) = node("block node")(node_at)?;
    let (_, length) = u32("payload length")(length_at)?;
    //= BLK-9
    if length as usize > MAX_BLOCK {
        return fail(length_at, ErrorCode::TOO_LONG, "payload length");
    }
    //= MSG-26
    if rules.pushed && holes {
        return fail(flags_at, ErrorCode::NOT_CONTIGUOUS, "block flags");
    }
    let header = BlockHeader { encoding, compressed, holes, count, span, first_node_seq, node };
    //= MSG-27
    if let Some(last) = last.filter(|_| rules.pushed) {
        if node != last.node {
            return fail(node_at, ErrorCode::MIXED_NODES, "block node");
        }
        if first_node_seq != last.last_node_seq() + 1 {
            return fail(seq_at, ErrorCode::NOT_CONTIGUOUS, "first node_seq");
        }
    }
    let (rest, payload) = take(length as usize, "payload")(payload_at)?;
    let raw = input.get(..HEADER + payload.len()).unwrap_or_default();
    Ok((rest, BlockRef { header, payload, raw }))
}

/// Blocks of a message, one after another, whose headers were checked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Blocks<'a> {
    count: usize,
    raw: &'a [u8],
}

impl<'a> Blocks<'a> {
    /// No blocks.
    pub const NONE: Self = Self { count: 0, raw: &[] };

    /// Decodes the headers of `count` blocks that fill `bytes`, as they stand in a delivery.
    ///
    /// # Errors
    /// The first rule of SPEC.md 6.2 that the bytes break, or MSG-6.
    pub fn decode(bytes: &'a [u8], count: usize, capabilities: Capabilities) -> Result<Self, DecodeError> {
        let rules = BlockRules { pushed: false, compression: capabilities.has(Capability::COMPRESSION) };
        blocks(bytes, count, rules).map_err(|error| crate::wire::parse::at_offset(bytes, error))
    }

    /// How many there are.
    #[must_use]
    pub const fn len(self) -> usize {
        self.count
    }

    /// True if there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.count == 0
    }

    /// All of them, as they came.
    #[must_use]
    pub const fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// The blocks in order.
    #[must_use]
    pub const fn iter(self) -> BlocksIter<'a> {
        BlocksIter { raw: self.raw }
    }
}

impl fmt::Debug for Blocks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

/// Walks [`Blocks`], whose headers were checked before.
#[derive(Clone, Debug)]
pub struct BlocksIter<'a> {
    raw: &'a [u8],
}

impl<'a> Iterator for BlocksIter<'a> {
    type Item = BlockRef<'a>;

    fn next(&mut self) -> Option<BlockRef<'a>> {
        let (rest, block) = block(self.raw, BlockRules { pushed: false, compression: true }, None).ok()?;
        self.raw = rest;
        Some(block)
    }
}

/// Checks the headers of exactly `count` blocks that fill `raw`.
pub(crate) fn blocks(raw: &[u8], count: usize, rules: BlockRules) -> Result<Blocks<'_>, nom::Err<At<'_>>> {
    //= MSG-6
    let mut rest = raw;
    let mut last: Option<BlockHeader> = None;
    for _ in 0..count {
        let (after, this) = block(rest, rules, last.as_ref())?;
        last = Some(this.header);
        rest = after;
    }
    if !rest.is_empty() {
        return fail(rest, ErrorCode::TRAILING_BYTES, "blocks");
    }
    Ok(Blocks { count, raw })
}
