"""Blocks of operations (SPEC.md 6.2 to 6.4)."""

import zlib
from dataclasses import dataclass

from . import limits, lz4
from .context import Context
from .errors import BadRequest, Code, DecodeError
from .jsonform import as_bool, as_int, as_list, as_uuid, member, uuid_text
from .ops import ID_OFFSET, NODE_OFFSET, encode_op, read_op
from .primitives import NIL
from .reader import Reader
from .writer import Writer

HEADER = 36
ROWS = 1
LZ4 = 0x01
HOLES = 0x02


@dataclass(frozen=True, slots=True)
class Header:
    """A checked header; `start` is the offset of the block in the input."""

    start: int
    flags: int
    count: int
    span: int
    first: int
    node: bytes
    payload_length: int

    @property
    def payload_start(self) -> int:
        """The offset of the payload's first byte."""
        return self.start + HEADER

    @property
    def next_first(self) -> int:
        """The node_seq at which the next block of a push begins (MSG-27)."""
        return self.first + self.span


def read_header(reader: Reader, context: Context) -> Header:
    """Read a header; nothing of it means anything before its checksum (NOT-10)."""
    start = reader.pos
    reader.need(HEADER)  # BLK-1: a header is one primitive
    encoding, flags = reader.uint(1), reader.uint(1)
    count, span = reader.uint(2), reader.uint(2)
    first, node = reader.uint(6), reader.take(16)
    payload_length, checksum = reader.uint(4), reader.uint(4)
    if checksum != zlib.crc32(reader.data[start : start + 32]):
        raise DecodeError(Code.BAD_CHECKSUM, start + 32)  # BLK-1
    if encoding != ROWS:
        raise DecodeError(Code.UNKNOWN_ENCODING, start)  # BLK-2
    if flags & ~(LZ4 | HOLES):
        raise DecodeError(Code.UNKNOWN_FLAG, start + 1)  # BLK-3
    if flags & LZ4 and not context.has("compression"):
        raise DecodeError(Code.NOT_NEGOTIATED, start + 1)  # BLK-4
    if count == 0:
        raise DecodeError(Code.EMPTY, start + 2)  # BLK-5
    if (span <= count) if flags & HOLES else (span != count):
        raise DecodeError(Code.NOT_CONTIGUOUS, start + 4)  # BLK-6
    if first == 0 or first + span - 1 > limits.MAX_NODE_SEQ:
        raise DecodeError(Code.BAD_NODE_SEQ, start + 6)  # BLK-7
    if node == NIL:
        raise DecodeError(Code.BAD_NODE, start + 12)  # BLK-8
    if payload_length > limits.MAX_BLOCK:
        raise DecodeError(Code.TOO_LONG, start + 28)  # BLK-9
    return Header(start, flags, count, span, first, node, payload_length)


def declared_length(data: bytes, header: Header) -> int:
    """Give the length to which a compressed payload says it decompresses, else 0."""
    if not header.flags & LZ4 or header.payload_length < 4:
        return 0
    return int.from_bytes(data[header.payload_start : header.payload_start + 4], "big")


def read_payload(data: bytes, header: Header, context: Context) -> dict:
    """Decode the payload of a header whose payload is all there."""
    start = header.payload_start
    end = start + header.payload_length
    if not header.flags & LZ4:
        ops = _read_rows(Reader(data, start, end), header, context)
    else:
        try:
            payload = _decompress(data[start:end])
            ops = _read_rows(Reader(payload), header, context)
        except DecodeError as error:
            # Offsets in decompressed bytes name nothing in the input (NOT-11).
            raise DecodeError(error.code, start) from None
    return {
        "encoding": "rows",
        "compressed": bool(header.flags & LZ4),
        "holes": bool(header.flags & HOLES),
        "node": uuid_text(header.node),
        "first_node_seq": str(header.first),
        "span": str(header.span),
        "ops": ops,
    }


def _decompress(payload: bytes) -> bytes:
    """Read the decompressed length, then the LZ4 block."""
    reader = Reader(payload)
    size = reader.uint(4)
    if size > limits.MAX_BLOCK:
        raise DecodeError(Code.TOO_LONG, 0)  # BLK-15
    if size == 0:
        raise DecodeError(Code.EMPTY, 0)  # BLK-15
    try:
        return lz4.decompress(payload[reader.pos :], size)
    except lz4.BadBlock:
        raise DecodeError(Code.BAD_COMPRESSION, 0) from None  # BLK-16, BLK-17


def _read_rows(reader: Reader, header: Header, context: Context) -> list[dict]:
    """Read exactly as many operations as the count says (BLK-11)."""
    ops = []
    node = uuid_text(header.node)
    lowest = header.first
    last = header.first + header.span - 1
    for _ in range(header.count):
        length_at = reader.pos
        length = reader.uint(4)
        if length > limits.MAX_OP:
            raise DecodeError(Code.TOO_LONG, length_at)  # OPS-6
        at = reader.pos
        reader.skip(length)
        op = read_op(reader.data, at, reader.pos, context)
        if op["node"] != node:
            raise DecodeError(Code.MIXED_NODES, at + NODE_OFFSET)  # BLK-12
        node_seq = int(op["node_seq"])
        if header.flags & HOLES:
            fits = lowest <= node_seq <= last  # BLK-14
        else:
            fits = node_seq == lowest  # BLK-13
        if not fits:
            raise DecodeError(Code.NOT_CONTIGUOUS, at + ID_OFFSET)
        lowest = node_seq + 1
        ops.append(op)
    reader.finish()
    return ops


def decode_block(data: bytes, context: Context) -> dict:
    """Decode a block that stands by itself."""
    reader = Reader(data)
    header = read_header(reader, context)
    reader.skip(header.payload_length)
    reader.finish()  # BLK-10
    return read_payload(data, header, context)


def encode_block(obj: object) -> bytes:
    """Encode the JSON form as its canonical, uncompressed form (6.4)."""
    if member(obj, "encoding") != "rows":
        raise BadRequest("unknown encoding")
    as_bool(member(obj, "compressed"))  # told for information only
    holes = as_bool(member(obj, "holes"))
    ops = as_list(member(obj, "ops"))
    payload = Writer()
    for op in ops:
        payload.run(4, encode_op(op))
    out = Writer()
    out.uint(1, ROWS)
    out.uint(1, HOLES if holes else 0)
    out.uint(2, len(ops))
    out.uint(2, as_int(member(obj, "span")))
    out.uint(6, as_int(member(obj, "first_node_seq")))
    out.raw(as_uuid(member(obj, "node")))
    out.uint(4, len(payload.data))
    out.uint(4, zlib.crc32(out.data))
    out.raw(payload.data)
    return bytes(out.data)
