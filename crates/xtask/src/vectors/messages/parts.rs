//! Messages as adjustable parts: change one, and lengths and checksum around it are right again.

use super::super::build::{Bytes, Context, Flag, Test, invalid, valid};
use super::super::pieces::{BlockParts, NODE, OTHER, OpParts};

/// The epoch of the examples.
pub(super) const EPOCH: u64 = 0x7f3a_91c2_5d08_e64b;
/// An older one.
pub(super) const OLD_EPOCH: u64 = 0x1c9e_0b57_a4d3_2f86;
/// 2^53 - 1, the greatest seq.
pub(super) const MAX_SEQ: u64 = (1 << 53) - 1;
/// 2^48 - 1, the greatest node_seq.
pub(super) const MAX_NODE_SEQ: u64 = (1 << 48) - 1;

/// Before welcome: nothing was agreed on, and frames are small.
pub(super) const OPENING: Context = Context { capabilities: &[], phase: "handshake", ..Context::ALL };
/// After a welcome that agreed on nothing.
pub(super) const NOTHING: Context = Context { capabilities: &[], ..Context::ALL };

/// Kinds of fault, each named after the error code that it gives.
pub(super) mod fault {
    use super::Flag;

    pub(crate) const TRUNCATED: Flag =
        ("Truncated", "TRUNCATED", "Bytes end too early, under a checksum that is right.", &["NOT-8"]);
    pub(crate) const TRAILING_BYTES: Flag =
        ("TrailingBytes", "TRAILING", "Bytes where everything was read already.", &["NOT-9"]);
    pub(crate) const TOO_LONG: Flag = ("TooLong", "LIMIT", "A length one over its cap.", &["NOT-6"]);
    pub(crate) const TOO_MANY: Flag = ("TooMany", "LIMIT", "A count one over its cap.", &["NOT-7"]);
    pub(crate) const TOO_DEEP: Flag = ("TooDeep", "LIMIT", "More open at once than may be.", &["QRY-7"]);
    pub(crate) const EMPTY: Flag =
        ("Empty", "BOUNDARY", "Nothing where something must be.", &["NOT-6", "NOT-7"]);
    pub(crate) const NON_CANONICAL: Flag =
        ("NonCanonical", "NON_CANONICAL", "A second way to say the same.", &["NOT-2"]);
    pub(crate) const OUT_OF_ORDER: Flag =
        ("OutOfOrder", "ORDER", "Items that do not ascend.", &["NOT-5", "NOT-6"]);
    pub(crate) const DUPLICATE: Flag = ("Duplicate", "ORDER", "An item that stands twice.", &["NOT-6"]);
    pub(crate) const OUT_OF_RANGE: Flag =
        ("OutOfRange", "BOUNDARY", "A number just outside its range.", &["NOT-4"]);
    pub(crate) const BAD_UTF8: Flag = ("BadUtf8", "UTF8", "Text that is not UTF-8.", &["NOT-6"]);
    pub(crate) const BAD_BOOL: Flag = ("BadBool", "BASIC", "A bool that is neither 0 nor 1.", &["MSG-23"]);
    pub(crate) const BAD_MAGIC: Flag = ("BadMagic", "BASIC", "The text of another protocol.", &["MSG-8"]);
    pub(crate) const BAD_CHECKSUM: Flag =
        ("BadChecksum", "INTEGRITY", "A checksum that differs in one bit.", &["FRM-4", "BLK-1", "OPS-9"]);
    pub(crate) const BAD_IDS_CHECK: Flag =
        ("BadIdsCheck", "INTEGRITY", "Whole operations that are not those that were checked.", &["MSG-24"]);
    pub(crate) const BAD_COMPRESSION: Flag = (
        "BadCompression",
        "INTEGRITY",
        "Not the compressed bytes that were declared.",
        &["BLK-16", "BLK-17"],
    );
    pub(crate) const UNSUPPORTED_VERSION: Flag =
        ("UnsupportedVersion", "VERSION", "A version byte that 1.0 does not know.", &["FRM-1"]);
    pub(crate) const UNKNOWN_FLAG: Flag =
        ("UnknownFlag", "UNKNOWN", "A flag where none may be.", &["FRM-2", "FRM-7"]);
    pub(crate) const UNKNOWN_CODE: Flag =
        ("UnknownCode", "UNKNOWN", "A small code that is not listed.", &["NOT-4"]);
    pub(crate) const UNKNOWN_TAG: Flag = ("UnknownTag", "UNKNOWN", "A tag that is not listed.", &["VAL-1"]);
    pub(crate) const UNKNOWN_OP_TYPE: Flag =
        ("UnknownOpType", "UNKNOWN", "An operation's type that is not listed.", &["OPS-11"]);
    pub(crate) const UNKNOWN_ENCODING: Flag =
        ("UnknownEncoding", "UNKNOWN", "A block's encoding that 1.0 does not define.", &["BLK-2"]);
    pub(crate) const UNKNOWN_MESSAGE: Flag =
        ("UnknownMessage", "UNKNOWN", "An even message type that is not known.", &["EXT-4"]);
    pub(crate) const UNKNOWN_EXTENSION: Flag =
        ("UnknownExtension", "UNKNOWN", "An even extension type that is not known.", &["EXT-3"]);
    pub(crate) const MISPLACED_VALUE: Flag = (
        "MisplacedValue",
        "BASIC",
        "removed, patch or counter where it may not stand.",
        &["QRY-8", "QRY-15"],
    );
    pub(crate) const NOT_NEGOTIATED: Flag = (
        "NotNegotiated",
        "BASIC",
        "What needs a capability that was not agreed on.",
        &["MSG-7", "BLK-4", "OPS-18"],
    );
    pub(crate) const BAD_NODE: Flag = ("BadNode", "BASIC", "A nil node.", &["MSG-11"]);
    pub(crate) const BAD_NODE_SEQ: Flag =
        ("BadNodeSeq", "BOUNDARY", "A node_seq that does not fit in 48 bits.", &["MSG-11", "MSG-19"]);
    pub(crate) const BAD_POSITION: Flag =
        ("BadPosition", "BOUNDARY", "An epoch or seq that cannot be.", &["MSG-1", "MSG-2"]);
    pub(crate) const BAD_NAME: Flag = ("BadName", "BASIC", "A name that is no safe file name.", &["MSG-10"]);
    pub(crate) const BAD_REQUEST_ID: Flag =
        ("BadRequestId", "BASIC", "No request id where one is needed, or one where none may be.", &["MSG-3"]);
    pub(crate) const MIXED_NODES: Flag =
        ("MixedNodes", "ORDER", "Operations of two nodes together.", &["MSG-27", "BLK-12"]);
    pub(crate) const NOT_CONTIGUOUS: Flag =
        ("NotContiguous", "ORDER", "Numbers with a gap or an overlap, or holes.", &["MSG-26", "MSG-27"]);
    pub(crate) const UNEXPECTED_BLOCKS: Flag =
        ("UnexpectedBlocks", "BASIC", "Blocks on a message that has none.", &["MSG-4"]);
}

/// The name of a code's flag: `TOO_MANY` is explained under `TooMany`.
fn flag(code: &str) -> &'static str {
    use fault::*;
    let all = [
        TRUNCATED,
        TRAILING_BYTES,
        TOO_LONG,
        TOO_MANY,
        TOO_DEEP,
        EMPTY,
        NON_CANONICAL,
        OUT_OF_ORDER,
        DUPLICATE,
        OUT_OF_RANGE,
        BAD_UTF8,
        BAD_BOOL,
        BAD_MAGIC,
        BAD_CHECKSUM,
        BAD_IDS_CHECK,
        BAD_COMPRESSION,
        UNSUPPORTED_VERSION,
        UNKNOWN_FLAG,
        UNKNOWN_CODE,
        UNKNOWN_TAG,
        UNKNOWN_OP_TYPE,
        UNKNOWN_ENCODING,
        UNKNOWN_MESSAGE,
        UNKNOWN_EXTENSION,
        MISPLACED_VALUE,
        NOT_NEGOTIATED,
        BAD_NODE,
        BAD_NODE_SEQ,
        BAD_POSITION,
        BAD_NAME,
        BAD_REQUEST_ID,
        MIXED_NODES,
        NOT_CONTIGUOUS,
        UNEXPECTED_BLOCKS,
    ];
    let joined: String = code.split('_').collect::<String>().to_lowercase();
    all.into_iter()
        .map(|flag| flag.0)
        .find(|name| name.to_lowercase() == joined)
        .expect("a flag for the code")
}

/// A message in parts (SPEC.md 5 and 7).
#[derive(Clone, Debug)]
pub(super) struct Msg {
    flags: u8,
    kind: u16,
    request: u32,
    fields: Vec<(&'static str, Bytes)>,
    blocks: Bytes,
}

impl Msg {
    /// A message of type `kind` without fields.
    pub(super) fn new(kind: u16, request: u32) -> Self {
        Self { flags: 0, kind, request, fields: Vec::new(), blocks: Bytes::new() }
    }

    /// Replaces a field, or adds one while the extensions, which end every message, are not there.
    pub(super) fn put(mut self, name: &'static str, bytes: Bytes) -> Self {
        let ended = self.fields.iter().any(|(name, _)| *name == "extensions");
        match self.fields.iter_mut().find(|(field, _)| *field == name) {
            Some((_, old)) => *old = bytes,
            None => {
                assert!(!ended, "no field {name}");
                self.fields.push((name, bytes));
            }
        }
        self
    }

    pub(super) fn u8(self, name: &'static str, value: u8) -> Self {
        self.put(name, Bytes::new().u8(name, value))
    }

    pub(super) fn u16(self, name: &'static str, value: u16) -> Self {
        self.put(name, Bytes::new().u16(name, value))
    }

    pub(super) fn u32(self, name: &'static str, value: u32) -> Self {
        self.put(name, Bytes::new().u32(name, value))
    }

    pub(super) fn u64(self, name: &'static str, value: u64) -> Self {
        self.put(name, Bytes::new().u64(name, value))
    }

    pub(super) fn position(self, name: &'static str, epoch: u64, seq: u64) -> Self {
        self.put(name, position(name, epoch, seq))
    }

    pub(super) fn text8(self, name: &'static str, text: &str) -> Self {
        self.put(name, Bytes::new().text8(name, text))
    }

    /// A field with a length of one byte whose bytes need not be text.
    pub(super) fn raw8(self, name: &'static str, raw: &[u8]) -> Self {
        self.put(name, raw8(name, raw))
    }

    /// A field with a length of two bytes: `times` copies of `byte`.
    pub(super) fn run16(self, name: &'static str, byte: u8, times: u16) -> Self {
        self.put(name, run16(name, byte, times))
    }

    /// Takes away the fields behind `name`.
    pub(super) fn without_rest(mut self, name: &str) -> Self {
        let last = self.fields.iter().position(|(field, _)| *field == name).expect("a field");
        self.fields.truncate(last + 1);
        self
    }

    /// Ends the fields with an empty extension block.
    pub(super) fn end(self) -> Self {
        self.u8("extensions", 0)
    }

    pub(super) fn request(self, request: u32) -> Self {
        Self { request, ..self }
    }

    pub(super) fn flags(self, flags: u8) -> Self {
        Self { flags, ..self }
    }

    pub(super) fn blocks(self, blocks: Bytes) -> Self {
        Self { blocks, ..self }
    }

    pub(super) fn fields(&self) -> Bytes {
        self.fields.iter().fold(Bytes::new(), |all, (_, bytes)| all.then(bytes.clone()))
    }

    /// Where a field begins; `frame` is the first byte of all, `end` the first after the fields, `blocks`
    /// that of the first block.
    pub(super) fn at(&self, name: &str) -> usize {
        match name {
            "frame" => 0,
            "end" => 16 + self.fields().len(),
            "blocks" => 20 + self.fields().len(),
            _ => {
                let before = self.fields.iter().take_while(|(field, _)| *field != name);
                assert!(self.fields.iter().any(|(field, _)| *field == name), "no field {name}");
                16 + before.map(|(_, bytes)| bytes.len()).sum::<usize>()
            }
        }
    }

    /// The frame.
    pub(super) fn bytes(&self) -> Bytes {
        self.around(self.fields())
    }

    /// The frame around other fields.
    pub(super) fn around(&self, fields: Bytes) -> Bytes {
        let len = |bytes: &Bytes| u32::try_from(bytes.len()).expect("a length");
        Bytes::new()
            .u8("version", 1)
            .u8("flags", self.flags)
            .u16("type", self.kind)
            .u32("request id", self.request)
            .u32("fields length", len(&fields))
            .u32("blocks length", len(&self.blocks))
            .then(fields)
            .crc("checksum")
            .then(self.blocks.clone())
    }
}

/// A valid vector.
pub(super) fn good(id: &str, comment: &str, spec: &'static str, msg: &Msg) -> Test {
    valid(&format!("message/{id}"), comment, spec, msg.bytes())
}

/// An invalid vector: `code` so many bytes behind the beginning of a field.
pub(super) fn bad(
    id: &str,
    comment: &str,
    spec: &'static str,
    msg: &Msg,
    code: &'static str,
    (field, plus): (&str, usize),
) -> Test {
    bad_bytes(id, comment, spec, msg.bytes(), code, msg.at(field) + plus)
}

/// An invalid vector that is more than a changed field.
pub(super) fn bad_bytes(
    id: &str,
    comment: &str,
    spec: &'static str,
    bytes: Bytes,
    code: &'static str,
    at: usize,
) -> Test {
    invalid(&format!("message/{id}"), comment, flag(code), spec, bytes, (code, at))
}

/// Vectors of which the fields end early, with the right length and checksum. Each cut is a field, the
/// bytes of it that are there, and where in the field the primitive begins that is cut.
pub(super) fn cuts(message: &str, msg: &Msg, cuts: &[(&str, usize, usize)]) -> Vec<Test> {
    let cut = |&(field, keep, primitive): &(&str, usize, usize)| {
        let at = msg.at(field);
        let fields = msg.fields().cut(at - 16 + keep);
        let id = format!("{message}-cut-{}-{keep}", field.replace(' ', "-"));
        let comment = format!("the fields end after {keep} bytes of: {field}");
        bad_bytes(&id, &comment, "NOT-8 MSG-5", msg.around(fields), "TRUNCATED", at + primitive)
    };
    cuts.iter().map(cut).collect()
}

/// What the request id of a message must be.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Id {
    /// Not 0.
    Needed,
    /// 0.
    None,
    /// Either.
    Any,
}

/// The faults that every message can have: request id, flag more, blocks, bytes after the fields.
pub(super) fn envelope(message: &str, msg: &Msg, id: Id) -> Vec<Test> {
    let name = |fault: &str| format!("{message}-{fault}");
    let mut all = Vec::new();
    if id == Id::Needed {
        let wrong = msg.clone().request(0);
        all.push(bad(&name("without-id"), "request id 0", "MSG-3", &wrong, "BAD_REQUEST_ID", ("frame", 4)));
        let last = msg.clone().request(u32::MAX);
        all.push(good(&name("last-id"), "the greatest request id", "MSG-3", &last));
    }
    if id == Id::None {
        let wrong = msg.clone().request(1);
        all.push(bad(&name("with-id"), "a request id", "MSG-3", &wrong, "BAD_REQUEST_ID", ("frame", 4)));
    }
    if message != "query-response" {
        let more = msg.clone().flags(1);
        all.push(bad(&name("more"), "flag more", "FRM-7", &more, "UNKNOWN_FLAG", ("frame", 1)));
    }
    if msg.blocks.len() == 0 && !matches!(message, "push" | "pull-response" | "update") {
        let with = msg.clone().blocks(block().bytes());
        all.push(bad(&name("with-block"), "a block", "MSG-4", &with, "UNEXPECTED_BLOCKS", ("frame", 12)));
    }
    let tail = msg.around(msg.fields().u8("too much", 0));
    let comment = "a byte after the extension block";
    all.push(bad_bytes(&name("trailing"), comment, "MSG-5 NOT-9", tail, "TRAILING_BYTES", msg.at("end")));
    all
}

/// The rules about a position, at a field that is one.
pub(super) fn positions(message: &str, msg: &Msg, field: &'static str) -> Vec<Test> {
    let slug = field.replace(' ', "-");
    let put = |epoch, seq| msg.clone().position(field, epoch, seq);
    let name = |what: &str| format!("{message}-{slug}-{what}");
    let at = (field, 0);
    vec![
        good(&name("start"), "(0, 0), the start of every log", "MSG-2", &put(0, 0)),
        good(&name("last"), "the greatest epoch and seq", "MSG-1", &put(u64::MAX, MAX_SEQ)),
        good(&name("seq-0"), "an epoch with seq 0", "MSG-2", &put(EPOCH, 0)),
        bad(&name("seq-over"), "a seq of 2^53", "MSG-1", &put(EPOCH, MAX_SEQ + 1), "BAD_POSITION", at),
        bad(&name("no-epoch"), "epoch 0 with seq 1", "MSG-2", &put(0, 1), "BAD_POSITION", at),
    ]
}

/// The rules about a list of collections, at the field that is one.
pub(super) fn collections(message: &str, msg: &Msg) -> Vec<Test> {
    let put = |names: &[&str]| msg.clone().put("collections", names16(names));
    let raw = |item: Bytes| msg.clone().put("collections", Bytes::new().u16("count", 1).then(item));
    let name = |what: &str| format!("{message}-{what}");
    let many = |count: u16| {
        let names: Vec<_> = (0..count).map(|n| format!("c{n:03}")).collect();
        put(&names.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let at = |plus| ("collections", plus);
    let run =
        |len: usize| Bytes::new().u8("length", u8::try_from(len).expect("short")).repeat("name", b"n", len);
    vec![
        good(&name("all-collections"), "no names: all collections", "MSG-21", &put(&[])),
        good(&name("two-collections"), "two names", "MSG-21", &put(&["a", "users"])),
        good(&name("prefix-first"), "a name before one that it begins", "MSG-21", &put(&["bug", "bugs"])),
        good(
            &name("byte-order"),
            "bytes order, not letters: Z before a, a before é",
            "MSG-21",
            &put(&["Z", "a", "é"]),
        ),
        good(&name("256-collections"), "256 names", "MSG-21", &many(256)),
        good(&name("collection-128"), "a name of 128 bytes", "OPS-12", &raw(run(128))),
        bad(&name("257-collections"), "257 names", "MSG-21", &many(257), "TOO_MANY", at(0)),
        bad(&name("collection-twice"), "a name twice", "MSG-21", &put(&["bugs", "bugs"]), "DUPLICATE", at(7)),
        bad(
            &name("collections-order"),
            "names that descend",
            "MSG-21",
            &put(&["users", "bugs"]),
            "OUT_OF_ORDER",
            at(8),
        ),
        bad(
            &name("longer-first"),
            "a name after a longer one that it begins",
            "MSG-21",
            &put(&["bugs", "bug"]),
            "OUT_OF_ORDER",
            at(7),
        ),
        bad(&name("collection-empty"), "an empty name", "OPS-12", &put(&[""]), "EMPTY", at(2)),
        bad(&name("collection-129"), "a name of 129 bytes", "OPS-12", &raw(run(129)), "TOO_LONG", at(2)),
        bad(
            &name("collection-utf8"),
            "a name that is not UTF-8",
            "OPS-12",
            &raw(raw8("name", b"bug\xff")),
            "BAD_UTF8",
            at(3),
        ),
    ]
}

pub(super) fn position(name: &str, epoch: u64, seq: u64) -> Bytes {
    Bytes::new().u64(&format!("{name} epoch"), epoch).u64(&format!("{name} seq"), seq)
}

pub(super) fn raw8(name: &str, raw: &[u8]) -> Bytes {
    let len = u8::try_from(raw.len()).expect("a length of one byte");
    Bytes::new().u8(&format!("{name} length"), len).raw(name, raw)
}

pub(super) fn run16(name: &str, byte: u8, times: u16) -> Bytes {
    Bytes::new().u16(&format!("{name} length"), times).repeat(name, &[byte], times.into())
}

/// Items with a count of one byte in front.
pub(super) fn list8(name: &str, items: &[Bytes]) -> Bytes {
    let count = u8::try_from(items.len()).expect("a count of one byte");
    items.iter().fold(Bytes::new().u8(&format!("{name} count"), count), |all, item| all.then(item.clone()))
}

/// Items with a count of two bytes in front.
pub(super) fn list16(name: &str, items: &[Bytes]) -> Bytes {
    let count = u16::try_from(items.len()).expect("a count of two bytes");
    items.iter().fold(Bytes::new().u16(&format!("{name} count"), count), |all, item| all.then(item.clone()))
}

pub(super) fn names16(names: &[&str]) -> Bytes {
    let items: Vec<_> = names.iter().map(|name| Bytes::new().text8("collection", name)).collect();
    list16("collections", &items)
}

pub(super) fn seqs16(seqs: &[u64]) -> Bytes {
    let items: Vec<_> = seqs.iter().map(|seq| Bytes::new().u64("first seq", *seq)).collect();
    list16("first seqs", &items)
}

pub(super) fn capabilities(ids: &[u16]) -> Bytes {
    let items: Vec<_> = ids.iter().map(|id| Bytes::new().u16("capability", *id)).collect();
    list8("capabilities", &items)
}

pub(super) fn limits(limits: &[(u16, u64)]) -> Bytes {
    let item = |&(id, value): &(u16, u64)| Bytes::new().u16("limit id", id).u64("limit value", value);
    list8("limits", &limits.iter().map(item).collect::<Vec<_>>())
}

/// An extension of so many bytes.
pub(super) fn extension(kind: u16, len: u16) -> Bytes {
    Bytes::new().u16("extension type", kind).then(run16("extension", 0xe5, len))
}

/// The largest extension block: 16 extensions of 1,024 bytes.
pub(super) fn largest_extensions() -> Bytes {
    list8("extensions", &(0..16).map(|n| extension(2 * n + 1, 1_024)).collect::<Vec<_>>())
}

/// The block of the examples: one insert of the node.
pub(super) fn block() -> BlockParts {
    BlockParts::of(1, vec![OpParts::bug(1)])
}

/// What another node made of it: an update of the priority.
pub(super) fn other_block() -> BlockParts {
    let field = Bytes::new().hex("key priority", "09").hex("small int 3", "1203");
    let update = OpParts::update(1, field).by(OTHER);
    BlockParts::of(1, vec![OpParts { flags: 1, author: OTHER, previous: Some((7, NODE)), ..update }])
}

/// The block of the examples after a filter took the second of its three operations.
pub(super) fn holed_block() -> BlockParts {
    BlockParts::of(1, vec![OpParts::bug(1), OpParts::bug(3)]).holes(3)
}

/// A block whose operation removes a field, which needs `crdt`.
pub(super) fn crdt_block() -> BlockParts {
    let field = Bytes::new().hex("key status", "08").hex("removed", "0c");
    BlockParts::of(1, vec![OpParts::update(1, field)])
}
