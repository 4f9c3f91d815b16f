"""Operations in row layout (SPEC.md 6.1)."""

import zlib

from . import limits
from .context import Context
from .errors import Code, DecodeError
from .fields import read_fields, write_fields
from .jsonform import as_int, as_uuid, code_of, member, uuid_text
from .primitives import (
    Timestamp,
    derive_id,
    read_name,
    read_node,
    read_timestamp,
    timestamp_json,
    write_name,
    write_timestamp,
)
from .reader import Reader
from .values import Place
from .writer import Writer

MIN_OP = 83
ID_OFFSET = 2
NODE_OFFSET = 42

HAS_PREVIOUS = 0x01
KINDS = {1: "insert", 2: "update", 3: "delete"}


def decode_op(data: bytes, context: Context) -> dict:
    """Decode an operation that stands by itself."""
    if len(data) > limits.MAX_OP:
        raise DecodeError(Code.TOO_LONG, 0)  # OPS-6
    return read_op(data, 0, len(data), context)


def read_op(data: bytes, start: int, end: int, context: Context) -> dict:
    """Read the operation that fills data[start:end]; its length is legal."""
    if end - start < MIN_OP:
        raise DecodeError(Code.TRUNCATED, start)  # OPS-7
    reader = Reader(data, start, end - 4)
    if reader.uint(1) != 1:
        raise DecodeError(Code.UNSUPPORTED_VERSION, start)  # OPS-8
    check = zlib.crc32(memoryview(data)[start : end - 4]).to_bytes(4, "big")
    if check != data[end - 4 : end]:
        raise DecodeError(Code.BAD_CHECKSUM, end - 4)  # OPS-9

    flags_at = reader.pos
    flags = reader.uint(1)
    if flags & ~HAS_PREVIOUS:
        raise DecodeError(Code.UNKNOWN_FLAG, flags_at)  # OPS-10
    id_at = reader.pos
    op_id = reader.take(16)
    node_seq = int.from_bytes(op_id[:6], "big")
    if node_seq == 0:
        raise DecodeError(Code.BAD_NODE_SEQ, id_at)  # OPS-4
    timestamp = read_timestamp(reader)
    node = read_node(reader)  # OPS-3
    if op_id != derive_id(node, node_seq):
        raise DecodeError(Code.BAD_OP_ID, id_at)  # OPS-5
    kind_at = reader.pos
    kind = KINDS.get(reader.uint(1))
    if kind is None:
        raise DecodeError(Code.UNKNOWN_OP_TYPE, kind_at)  # OPS-11
    if flags & HAS_PREVIOUS and kind != "update":
        raise DecodeError(Code.BAD_PREVIOUS, flags_at)  # OPS-13
    record = reader.take(16)
    collection = read_name(reader)  # OPS-12
    previous = None
    if flags & HAS_PREVIOUS:
        previous = timestamp_json(_read_previous(reader, timestamp))
    fields = _read_op_fields(reader, kind, timestamp, context)
    return {
        "node": uuid_text(node),
        "node_seq": str(node_seq),
        "timestamp": timestamp_json(timestamp),
        "kind": kind,
        "record": uuid_text(record),
        "collection": collection,
        "previous": previous,
        "fields": fields,
    }


def _read_previous(reader: Reader, timestamp: Timestamp) -> Timestamp:
    """Read a previous version, which is older than the operation (OPS-14)."""
    at = reader.pos
    previous = read_timestamp(reader)
    if previous >= timestamp:
        raise DecodeError(Code.BAD_PREVIOUS, at)
    return previous


def _read_op_fields(
    reader: Reader, kind: str, timestamp: Timestamp, context: Context
) -> list:
    """Read the field count and the fields up to the checksum."""
    at = reader.pos
    number = reader.count(2)
    if kind == "delete" and number != 0:
        raise DecodeError(Code.FIELDS_ON_DELETE, at)  # OPS-15
    if kind != "delete" and number == 0:
        raise DecodeError(Code.NO_FIELDS, at)  # OPS-16
    place = Place("field", context.has("crdt"), timestamp)
    fields = read_fields(reader, number, place)
    reader.finish()  # OPS-17
    return fields


def op_id(obj: dict) -> bytes:
    """Derive the id of a decoded operation."""
    return derive_id(as_uuid(obj["node"]), as_int(obj["node_seq"]))


def encode_op(obj: object) -> bytes:
    """Encode the JSON form; id and checksum are derived."""
    previous = member(obj, "previous")
    node = as_uuid(member(obj, "node"))
    out = Writer()
    out.uint(1, 1)
    out.uint(1, 0 if previous is None else HAS_PREVIOUS)
    out.uint(6, as_int(member(obj, "node_seq")))
    out.raw(derive_id(node, 0)[6:])
    write_timestamp(out, member(obj, "timestamp"))
    out.raw(node)
    out.uint(1, code_of(member(obj, "kind"), KINDS))
    out.raw(as_uuid(member(obj, "record")))
    write_name(out, member(obj, "collection"))
    if previous is not None:
        write_timestamp(out, previous)
    write_fields(out, member(obj, "fields"))
    out.uint(4, zlib.crc32(out.data))
    return bytes(out.data)
