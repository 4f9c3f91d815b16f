//! One operation in row layout (SPEC.md 6.1).

use alloc::vec::Vec;

use uuid::Uuid;

use crate::error::{BuildError, DecodeError};
use crate::limits::{MAX_COLLECTION_NAME, MAX_NODE_SEQ, MAX_OP, MIN_OP};
use crate::registry::{Capabilities, Capability, ErrorCode};
pub(crate) use crate::value::Known;
use crate::value::{Context, Fields, FieldsRef, Place, Value, ValueRef, each_field};
use crate::wire::parse::{At, Res, array, at_offset, bytes8, fail, u8, u16, u48, utf8, uuid};
use crate::wire::{
    ArraySink, CollectionName, CountingSink, NodeId, Sink, Timestamp, crc32, node, op_id_bytes, timestamp,
};

const VERSION: u8 = 1;
const FLAG_PREVIOUS: u8 = 0x01;
/// Everything up to the collection stands at fixed offsets.
const FIXED: usize = 75;
const ID_AT: usize = 2;
const NODE_AT: usize = 42;
const CHECKSUM: usize = 4;

/// What an operation does to its record. Insert and update mean the same to the merge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpKind {
    /// The app made the record.
    Insert,
    /// The app changed the record.
    Update,
    /// The app deleted the record.
    Delete,
}

impl OpKind {
    const fn code(self) -> u8 {
        match self {
            Self::Insert => 1,
            Self::Update => 2,
            Self::Delete => 3,
        }
    }
}

/// Everything of an operation but its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpHead<'a> {
    /// The name of the write, for ever.
    pub timestamp: Timestamp,
    /// Who delivers it here.
    pub node: NodeId,
    /// Its number among what that node delivers, 1 to 2^48 - 1.
    pub node_seq: u64,
    /// What it does.
    pub kind: OpKind,
    /// The record that it changes.
    pub record: Uuid,
    /// The collection of that record.
    pub collection: &'a str,
    /// The record's timestamp on which an update was made, if the writer told.
    pub previous: Option<Timestamp>,
    /// The CRC-32 that closes it in row layout.
    pub check: u32,
}

impl OpHead<'_> {
    /// The id derived from node and number (SPEC.md 3.4).
    #[must_use]
    pub const fn id(&self) -> Uuid {
        crate::wire::op_id(self.node, self.node_seq)
    }
}

/// Sees operations and their fields while they are decoded.
///
/// What it is shown is legal so far; the whole is legal only when decoding returns `Ok`. `()` sees
/// nothing: decoding with it is validation.
pub trait Visit {
    /// An operation begins.
    fn op(&mut self, head: &OpHead<'_>) {
        let _ = head;
    }

    /// A field of the operation that began last.
    fn field(&mut self, name: &str, value: ValueRef<'_>) {
        let _ = (name, value);
    }
}

impl Visit for () {}

/// An operation, as a view over its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpRef<'a> {
    /// Everything but the fields.
    pub head: OpHead<'a>,
    /// The fields; none in a delete.
    pub fields: FieldsRef<'a>,
    raw: &'a [u8],
}

impl<'a> OpRef<'a> {
    /// Decodes an operation that fills `bytes`, outside a connection (all capabilities).
    ///
    /// # Errors
    /// The first rule of SPEC.md 6.1 that the bytes break.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        Self::decode_with(bytes, Capabilities::ALL)
    }

    /// Decodes an operation that fills `bytes` and came where `capabilities` were agreed on.
    ///
    /// # Errors
    /// As [`Self::decode`], and `NOT_NEGOTIATED` (OPS-18).
    pub fn decode_with(bytes: &'a [u8], capabilities: Capabilities) -> Result<Self, DecodeError> {
        //= OPS-6
        if bytes.len() > MAX_OP {
            return Err(DecodeError::new(ErrorCode::TOO_LONG, 0, "operation"));
        }
        op(bytes, capabilities, &mut Known::none(), &mut ()).map_err(|error| at_offset(bytes, error))
    }

    /// The operation that `row` is, which was decoded before: nothing that needs a look at its fields is
    /// checked again.
    pub(crate) fn decoded_before(row: &'a [u8]) -> Option<Self> {
        let (covered, check) = row.split_last_chunk::<CHECKSUM>()?;
        let (rest, fixed) = array::<FIXED>("operation")(covered).ok()?;
        let (flags, Fixed { node_seq, timestamp, node, kind, record }) = fixed_fields(fixed).ok()?;
        let (rest, collection) = collection(rest, &mut Known::none()).ok()?;
        let (rest, previous) = previous_version(rest, flags, timestamp).ok()?;
        let (raw, count) = field_count(rest, kind).ok()?;
        let check = u32::from_be_bytes(*check);
        let head = OpHead { timestamp, node, node_seq, kind, record, collection, previous, check };
        Some(Self { head, fields: FieldsRef { count, raw }, raw: row })
    }

    /// The bytes it was decoded from.
    #[must_use]
    pub const fn raw(&self) -> &'a [u8] {
        self.raw
    }
}

/// Decodes one operation that fills `row`, which is within MAX_OP, and shows it to `visitor`. Names that
/// are `known` are not checked again.
#[inline(always)]
pub(crate) fn op<'a, V: Visit>(
    row: &'a [u8],
    capabilities: Capabilities,
    known: &mut Known<'a>,
    visitor: &mut V,
) -> Result<OpRef<'a>, nom::Err<At<'a>>> {
    //= OPS-7
    let Some((covered, check)) = row.split_last_chunk::<CHECKSUM>().filter(|_| row.len() >= MIN_OP) else {
        return fail(row, ErrorCode::TRUNCATED, "operation");
    };
    //= OPS-8
    if covered.first() != Some(&VERSION) {
        return fail(row, ErrorCode::UNSUPPORTED_VERSION, "format version");
    }
    //= OPS-9
    //= NOT-10
    let stated = u32::from_be_bytes(*check);
    if crc32(covered) != stated {
        return fail(check, ErrorCode::BAD_CHECKSUM, "operation checksum");
    }

    let (rest, fixed) = array::<FIXED>("operation")(covered)?;
    let (flags, fixed) = fixed_fields(fixed)?;
    let (rest, collection) = collection(rest, known)?;
    let (rest, previous) = previous_version(rest, flags, fixed.timestamp)?;
    let (rest, count) = field_count(rest, fixed.kind)?;
    let head = OpHead {
        timestamp: fixed.timestamp,
        node: fixed.node,
        node_seq: fixed.node_seq,
        kind: fixed.kind,
        record: fixed.record,
        collection,
        previous,
        check: stated,
    };
    visitor.op(&head);
    let context = Context {
        place: Place::Field,
        crdt: capabilities.has(Capability::CRDT),
        before: Some(fixed.timestamp),
    };
    let (end, ()) = each_field(rest, count, &context, known, |name, value| visitor.field(name, value))?;
    //= OPS-17
    if !end.is_empty() {
        return fail(end, ErrorCode::TRAILING_BYTES, "operation");
    }
    Ok(OpRef { head, fields: FieldsRef { count, raw: rest }, raw: row })
}

struct Fixed {
    node_seq: u64,
    timestamp: Timestamp,
    node: NodeId,
    kind: OpKind,
    record: Uuid,
}

/// The part at fixed offsets, after the version. Gives the flags with it.
#[inline]
fn fixed_fields(fixed: &[u8; FIXED]) -> Result<(u8, Fixed), nom::Err<At<'_>>> {
    let (_, input) = fixed.split_at(1);
    let (id, flags) = u8("operation flags")(input)?;
    //= OPS-10
    if flags & !FLAG_PREVIOUS != 0 {
        return fail(input, ErrorCode::UNKNOWN_FLAG, "operation flags");
    }
    let (_, node_seq) = u48("operation id")(id)?;
    //= OPS-4
    if node_seq == 0 {
        return fail(id, ErrorCode::BAD_NODE_SEQ, "operation id");
    }
    let (rest, id_bytes) = array::<16>("operation id")(id)?;
    let (rest, timestamp) = timestamp("timestamp")(rest)?;
    //= OPS-3
    let (at, node) = node("operation node")(rest)?;
    //= OPS-5
    //= NOT-5
    if *id_bytes != op_id_bytes(node.as_bytes(), node_seq) {
        return fail(id, ErrorCode::BAD_OP_ID, "operation id");
    }
    let (rest, kind) = u8("operation type")(at)?;
    //= OPS-11
    let kind = match kind {
        1 => OpKind::Insert,
        2 => OpKind::Update,
        3 => OpKind::Delete,
        _ => return fail(at, ErrorCode::UNKNOWN_OP_TYPE, "operation type"),
    };
    //= OPS-13
    if flags & FLAG_PREVIOUS != 0 && kind != OpKind::Update {
        return fail(input, ErrorCode::BAD_PREVIOUS, "operation flags");
    }
    let (_, record) = uuid("record")(rest)?;
    Ok((flags, Fixed { node_seq, timestamp, node, kind, record }))
}

//= OPS-12
#[inline]
fn collection<'a>(input: &'a [u8], known: &mut Known<'a>) -> Res<'a, &'a str> {
    let (rest, name) = bytes8(1..=MAX_COLLECTION_NAME, "collection")(input)?;
    if known.collection.as_bytes() != name {
        known.collection = utf8(name, "collection")?;
    }
    Ok((rest, known.collection))
}

//= OPS-14
#[inline]
fn previous_version(input: &[u8], flags: u8, own: Timestamp) -> Res<'_, Option<Timestamp>> {
    if flags & FLAG_PREVIOUS == 0 {
        return Ok((input, None));
    }
    let (rest, previous) = timestamp("previous version")(input)?;
    if previous >= own {
        return fail(input, ErrorCode::BAD_PREVIOUS, "previous version");
    }
    Ok((rest, Some(previous)))
}

#[inline]
fn field_count(input: &[u8], kind: OpKind) -> Res<'_, u16> {
    let (rest, count) = u16("field count")(input)?;
    match (kind, count) {
        //= OPS-16
        (OpKind::Insert | OpKind::Update, 0) => fail(input, ErrorCode::NO_FIELDS, "field count"),
        //= OPS-15
        (OpKind::Delete, 1..) => fail(input, ErrorCode::FIELDS_ON_DELETE, "field count"),
        _ => Ok((rest, count)),
    }
}

/// An operation that an application built: what can be constructed can be encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Op {
    node: NodeId,
    node_seq: u64,
    timestamp: Timestamp,
    kind: OpKind,
    record: Uuid,
    collection: CollectionName,
    previous: Option<Timestamp>,
    fields: Fields,
}

impl Op {
    /// An operation that writes `fields`, or deletes the record.
    ///
    /// # Errors
    /// `BAD_NODE_SEQ` unless the number is from 1 to 2^48 - 1, `BAD_TIMESTAMP` for never,
    /// `FIELDS_ON_DELETE`, `NO_FIELDS`, `BAD_BASE` for a counter whose base is not below the
    /// timestamp, `TOO_LONG` if it would take more than 983,040 bytes.
    pub fn new(
        (node, node_seq): (NodeId, u64),
        timestamp: Timestamp,
        kind: OpKind,
        (collection, record): (CollectionName, Uuid),
        fields: Fields,
    ) -> Result<Self, BuildError> {
        let err = |code, field| Err(BuildError::new(code, field));
        if node_seq == 0 || node_seq > MAX_NODE_SEQ {
            return err(ErrorCode::BAD_NODE_SEQ, "node_seq");
        }
        if timestamp.is_never() {
            return err(ErrorCode::BAD_TIMESTAMP, "timestamp");
        }
        match (kind, fields.is_empty()) {
            (OpKind::Delete, false) => return err(ErrorCode::FIELDS_ON_DELETE, "field count"),
            (OpKind::Insert | OpKind::Update, true) => return err(ErrorCode::NO_FIELDS, "field count"),
            _ => {}
        }
        if fields.iter().map(|(_, value)| Value::greatest_base(value)).max() >= Some(timestamp) {
            return err(ErrorCode::BAD_BASE, "base");
        }
        let op = Self { node, node_seq, timestamp, kind, record, collection, previous: None, fields };
        op.check_size()
    }

    /// The same update with the record's timestamp that it was made on.
    ///
    /// # Errors
    /// `BAD_PREVIOUS` if this is no update, or `previous` is never or not below the timestamp;
    /// `TOO_LONG` as for [`Self::new`].
    pub fn with_previous(mut self, previous: Timestamp) -> Result<Self, BuildError> {
        if self.kind != OpKind::Update || previous.is_never() || previous >= self.timestamp {
            return Err(BuildError::new(ErrorCode::BAD_PREVIOUS, "previous version"));
        }
        self.previous = Some(previous);
        self.check_size()
    }

    fn check_size(self) -> Result<Self, BuildError> {
        if CountingSink::count(|sink| self.encode(sink)) > MAX_OP {
            return Err(BuildError::new(ErrorCode::TOO_LONG, "operation"));
        }
        Ok(self)
    }

    /// Who delivers it, and its number there.
    #[must_use]
    pub const fn delivery(&self) -> (NodeId, u64) {
        (self.node, self.node_seq)
    }

    /// The name of the write.
    #[must_use]
    pub const fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// What it does.
    #[must_use]
    pub const fn kind(&self) -> OpKind {
        self.kind
    }

    /// The record that it changes.
    #[must_use]
    pub const fn record(&self) -> Uuid {
        self.record
    }

    /// The collection of that record.
    #[must_use]
    pub const fn collection(&self) -> &CollectionName {
        &self.collection
    }

    /// The record's timestamp that an update was made on, if told.
    #[must_use]
    pub const fn previous(&self) -> Option<Timestamp> {
        self.previous
    }

    /// What it writes.
    #[must_use]
    pub const fn fields(&self) -> &Fields {
        &self.fields
    }

    /// Writes the operation in row layout.
    #[inline]
    pub fn encode(&self, sink: &mut impl Sink) {
        let start = sink.written();
        let collection = self.collection.as_str().as_bytes();
        sink.put(&self.fixed_bytes());
        sink.put(collection);
        if let Some(previous) = self.previous {
            previous.encode(sink);
        }
        self.fields.encode(sink);
        let check = sink.crc32_from(start);
        sink.put_u32(check);
    }

    /// The fixed part and the length of the collection's name, put together on the stack so that they
    /// are one write.
    #[inline]
    fn fixed_bytes(&self) -> [u8; FIXED + 1] {
        let mut sink = ArraySink::new();
        sink.put(&[VERSION, if self.previous.is_some() { FLAG_PREVIOUS } else { 0 }]);
        sink.put(&op_id_bytes(self.node.as_bytes(), self.node_seq));
        self.timestamp.encode(&mut sink);
        sink.put(self.node.as_bytes());
        sink.put_u8(self.kind.code());
        sink.put(self.record.as_bytes());
        // A CollectionName has at most 128 bytes.
        #[allow(clippy::cast_possible_truncation, reason = "at most MAX_COLLECTION_NAME")]
        sink.put_u8(self.collection.as_str().len() as u8);
        sink.bytes()
    }

    /// Its bytes in row layout.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(CountingSink::count(|sink| self.encode(sink)));
        self.encode(&mut bytes);
        bytes
    }
}

/// The bytes of an operation, delivered by `node` under the number `node_seq` instead: the same write as
/// another delivery. `row` is an operation that was checked.
pub(crate) fn readdress(row: &[u8], node: NodeId, node_seq: u64) -> Vec<u8> {
    let mut bytes = row.to_vec();
    bytes.patch(ID_AT, &op_id_bytes(node.as_bytes(), node_seq));
    bytes.patch(NODE_AT, node.as_bytes());
    bytes.truncate(row.len().saturating_sub(CHECKSUM));
    let check = bytes.crc32_from(0);
    bytes.put_u32(check);
    bytes
}

impl TryFrom<OpRef<'_>> for Op {
    type Error = BuildError;

    /// What was decoded is legal, so this does not fail for an [`OpRef`] of this crate.
    fn try_from(op: OpRef<'_>) -> Result<Self, BuildError> {
        let OpHead { node, node_seq, timestamp, kind, record, collection, previous, .. } = op.head;
        let place = (CollectionName::new(collection)?, record);
        let owned = Self::new((node, node_seq), timestamp, kind, place, op.fields.into())?;
        match previous {
            Some(previous) => owned.with_previous(previous),
            None => Ok(owned),
        }
    }
}
