//! Operations and blocks as adjustable parts: change one, and the checksums around it are right again.

use super::build::Bytes;

/// The node of the examples, 550e8400-e29b-41d4-a716-446655440000.
pub const NODE: [u8; 16] =
    [0x55, 0x0e, 0x84, 0x00, 0xe2, 0x9b, 0x41, 0xd4, 0xa7, 0x16, 0x44, 0x66, 0x55, 0x44, 0x00, 0x00];

/// Another node.
pub const OTHER: [u8; 16] =
    [0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x41, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4, 0x30, 0xc8];

/// The record of the examples.
pub const RECORD: [u8; 16] =
    [0x6f, 0x1e, 0x2d, 0x3c, 0x4b, 0x5a, 0x49, 0x78, 0x86, 0x95, 0xa4, 0xb3, 0xc2, 0xd1, 0xe0, 0xf9];

/// The id derived from a node and a number (SPEC.md 3.4).
pub fn op_id(node: [u8; 16], node_seq: u64) -> [u8; 16] {
    let mut id = node;
    id[..6].copy_from_slice(&node_seq.to_be_bytes()[2..]);
    id[6] = id[6] & 0x0F | 0x80;
    id
}

/// An operation in parts (SPEC.md 6.1).
#[derive(Clone, Debug)]
pub struct OpParts {
    /// Format version.
    pub version: u8,
    /// Flags.
    pub flags: u8,
    /// Id; follows from node and number unless it was changed.
    pub id: [u8; 16],
    /// Counter of the timestamp.
    pub counter: u64,
    /// Node of the timestamp.
    pub author: [u8; 16],
    /// Delivering node.
    pub node: [u8; 16],
    /// Type.
    pub kind: u8,
    /// Record.
    pub record: [u8; 16],
    /// Collection with its length.
    pub collection: Bytes,
    /// Previous version, if any.
    pub previous: Option<(u64, [u8; 16])>,
    /// Field count.
    pub count: u16,
    /// Fields.
    pub fields: Bytes,
}

impl OpParts {
    /// The example: an insert into `bugs` of title "Fix login bug", priority 5, status "open".
    pub fn bug(node_seq: u64) -> Self {
        Self {
            version: 1,
            flags: 0,
            id: op_id(NODE, node_seq),
            counter: 7,
            author: NODE,
            node: NODE,
            kind: 1,
            record: RECORD,
            collection: Bytes::new().text8("collection", "bugs"),
            previous: None,
            count: 3,
            fields: Bytes::new()
                .hex("key priority", "09")
                .hex("small int 5", "1205")
                .hex("key status", "08")
                .hex("inline string", "24 6f70656e")
                .hex("key title", "06")
                .hex("inline string", "2d 466978206c6f67696e20627567"),
        }
    }

    /// The smallest operation: a delete in a collection of one byte.
    pub fn smallest(node_seq: u64) -> Self {
        Self { collection: Bytes::new().text8("collection", "c"), ..Self::delete(node_seq) }
    }

    /// A delete of the example's record.
    pub fn delete(node_seq: u64) -> Self {
        Self { kind: 3, count: 0, fields: Bytes::new(), ..Self::bug(node_seq) }
    }

    /// An update of one field.
    pub fn update(node_seq: u64, field: Bytes) -> Self {
        Self { kind: 2, counter: 9, count: 1, fields: field, ..Self::bug(node_seq) }
    }

    /// The same with another delivering node.
    pub fn by(mut self, node: [u8; 16]) -> Self {
        let mut number = [0; 8];
        number[2..].copy_from_slice(&self.id[..6]);
        self.node = node;
        self.id = op_id(node, u64::from_be_bytes(number));
        self
    }

    /// Everything but the checksum.
    fn covered(&self) -> Bytes {
        let mut bytes = Bytes::new()
            .u8("format version", self.version)
            .u8("flags", self.flags)
            .raw("id", &self.id)
            .u64("timestamp counter", self.counter)
            .raw("timestamp node", &self.author)
            .raw("node", &self.node)
            .u8("type", self.kind)
            .raw("record", &self.record)
            .then(self.collection.clone());
        if let Some((counter, node)) = self.previous {
            bytes = bytes.u64("previous counter", counter).raw("previous node", &node);
        }
        bytes.u16("field count", self.count).then(self.fields.clone())
    }

    /// The operation in row layout.
    pub fn bytes(&self) -> Bytes {
        self.covered().crc("checksum")
    }

    /// The operation with one byte of its id changed.
    pub fn bytes_with_id_byte(&self, at: usize, byte: u8) -> Bytes {
        let mut changed = self.clone();
        changed.id[at] = byte;
        changed.bytes()
    }

    /// The operation with something before its checksum.
    pub fn with_tail(&self, tail: &str) -> Bytes {
        self.covered().hex("too much", tail).crc("checksum")
    }

    /// Where the collection's length stands.
    pub const COLLECTION: usize = 75;

    /// Where the fields begin.
    pub fn fields_at(&self) -> usize {
        Self::COLLECTION + self.collection.len() + if self.previous.is_some() { 24 } else { 0 } + 2
    }
}

/// A block in parts (SPEC.md 6.2).
#[derive(Clone, Debug)]
pub struct BlockParts {
    /// Encoding.
    pub encoding: u8,
    /// Flags.
    pub flags: u8,
    /// Operations.
    pub count: u16,
    /// Numbers from first to last.
    pub span: u16,
    /// First node_seq.
    pub first: u64,
    /// Node.
    pub node: [u8; 16],
    /// Payload length, if it is not that of the payload.
    pub length: Option<u32>,
    /// Payload.
    pub payload: Bytes,
    /// Ids of the operations.
    pub ids: Vec<[u8; 16]>,
}

impl BlockParts {
    /// A block of these operations, as it would be pushed.
    pub fn of(first: u64, ops: Vec<OpParts>) -> Self {
        let count = u16::try_from(ops.len()).expect("few operations");
        Self {
            encoding: 1,
            flags: 0,
            count,
            span: count,
            first,
            node: ops.first().map_or(NODE, |op| op.node),
            length: None,
            ids: ops.iter().map(|op| op.id).collect(),
            payload: rows(&ops.iter().map(OpParts::bytes).collect::<Vec<_>>()),
        }
    }

    /// The same with operations left out: flag holes and this span.
    pub fn holes(mut self, span: u16) -> Self {
        self.flags |= 2;
        self.span = span;
        self
    }

    /// The same for a block that was pushed from `first` on.
    pub fn holes_from(mut self, first: u64, span: u16) -> Self {
        self.first = first;
        self.holes(span)
    }

    /// The same with this payload.
    pub fn with_payload(mut self, payload: Bytes) -> Self {
        self.payload = payload;
        self
    }

    /// The header with its checksum.
    pub fn header(&self) -> Bytes {
        let len = u32::try_from(self.payload.len()).expect("a payload");
        Bytes::new()
            .u8("encoding", self.encoding)
            .u8("flags", self.flags)
            .u16("count", self.count)
            .u16("span", self.span)
            .u48("first node_seq", self.first)
            .raw("node", &self.node)
            .u32("payload length", self.length.unwrap_or(len))
            .crc("header checksum")
    }

    /// The block.
    pub fn bytes(&self) -> Bytes {
        self.header().then(self.payload.clone())
    }

    /// The block with its payload as one LZ4 sequence of literals.
    pub fn lz4_bytes(&self) -> Bytes {
        self.clone().lz4().bytes()
    }

    /// The same.
    pub fn lz4(mut self) -> Self {
        let plain = self.payload.bytes();
        let len = u32::try_from(plain.len()).expect("a payload");
        self.flags |= 1;
        self.payload = Bytes::new().u32("decompressed length", len).then(literals(&plain));
        self
    }
}

/// Operations with their lengths in front.
pub fn rows(ops: &[Bytes]) -> Bytes {
    ops.iter().fold(Bytes::new(), |all, op| {
        all.u32("operation length", u32::try_from(op.len()).expect("an operation")).then(op.clone())
    })
}

/// A raw LZ4 block of one sequence: literals and no match.
pub fn literals(plain: &[u8]) -> Bytes {
    let token = u8::try_from(plain.len().min(15)).expect("at most 15");
    let mut head = vec![token << 4];
    if let Some(mut rest) = plain.len().checked_sub(15) {
        while rest >= 255 {
            head.push(255);
            rest -= 255;
        }
        head.push(u8::try_from(rest).expect("below 255"));
    }
    Bytes::new().raw("LZ4 token and length", &head).raw("LZ4 literals", plain)
}

/// The ids check of a push of these blocks (MSG-24).
pub fn ids_check(blocks: &[&BlockParts]) -> u32 {
    let ids: Vec<u8> = blocks.iter().flat_map(|block| block.ids.concat()).collect();
    crc32fast::hash(&ids)
}
