"""Frames, the envelopes of messages (SPEC.md 5)."""

import zlib
from dataclasses import dataclass

from .context import Context
from .errors import Code, DecodeError
from .jsonform import as_bytes, as_int, member
from .reader import Reader
from .writer import Writer

MORE = 0x01
OVERHEAD = 20

VERSION_AT, FLAGS_AT, TYPE_AT, REQUEST_ID_AT = 0, 1, 2, 4
FIELDS_LENGTH_AT, BLOCKS_LENGTH_AT, FIELDS_AT = 8, 12, 16


@dataclass(frozen=True, slots=True)
class Frame:
    """A checked envelope, as windows of the input."""

    data: bytes
    flags: int
    type: int
    request_id: int
    fields_end: int
    blocks_end: int

    @property
    def blocks_start(self) -> int:
        """The offset of the first byte behind the checksum."""
        return self.fields_end + 4

    @property
    def fields(self) -> bytes:
        """The bytes of the fields."""
        return self.data[FIELDS_AT : self.fields_end]

    @property
    def blocks(self) -> bytes:
        """The bytes of the blocks."""
        return self.data[self.blocks_start : self.blocks_end]


def read_frame(data: bytes, limit: int) -> Frame:
    """Read exactly one frame: FRM-1 to FRM-5, in reading order (NOT-4).

    FRM-7 needs the type's meaning and is therefore the message's affair.
    """
    reader = Reader(data)
    if reader.uint(1) != 1:
        raise DecodeError(Code.UNSUPPORTED_VERSION, VERSION_AT)  # FRM-1
    flags = reader.uint(1)
    if flags & ~MORE:
        raise DecodeError(Code.UNKNOWN_FLAG, FLAGS_AT)  # FRM-2
    type_code, request_id = reader.uint(2), reader.uint(4)
    fields_length = reader.uint(4)
    if OVERHEAD + fields_length > limit:
        raise DecodeError(Code.TOO_LONG, FIELDS_LENGTH_AT)  # FRM-3
    blocks_length = reader.uint(4)
    if OVERHEAD + fields_length + blocks_length > limit:
        raise DecodeError(Code.TOO_LONG, BLOCKS_LENGTH_AT)  # FRM-3
    reader.skip(fields_length)
    fields_end = reader.pos
    if reader.uint(4) != zlib.crc32(data[:fields_end]):
        raise DecodeError(Code.BAD_CHECKSUM, fields_end)  # FRM-4
    reader.skip(blocks_length)
    reader.finish()  # FRM-5
    return Frame(data, flags, type_code, request_id, fields_end, reader.pos)


def build_frame(
    flags: int, type_code: int, request_id: int, fields: bytes, blocks: bytes
) -> bytes:
    """Put an envelope around fields and blocks."""
    out = Writer()
    out.uint(1, 1)
    out.uint(1, flags)
    out.uint(2, type_code)
    out.uint(4, request_id)
    out.uint(4, len(fields))
    out.uint(4, len(blocks))
    out.raw(fields)
    out.uint(4, zlib.crc32(out.data))
    out.raw(blocks)
    return bytes(out.data)


def raw_json(frame: Frame) -> dict:
    """Give what the JSON forms of a frame and of an unknown message share."""
    return {
        "flags": str(frame.flags),
        "request_id": str(frame.request_id),
        "fields": frame.fields.hex(),
        "blocks": frame.blocks.hex(),
    }


def build_raw(obj: object, type_code: int) -> bytes:
    """Build a frame from the members that `raw_json` gives."""
    return build_frame(
        as_int(member(obj, "flags")),
        type_code,
        as_int(member(obj, "request_id")),
        as_bytes(member(obj, "fields")),
        as_bytes(member(obj, "blocks")),
    )


def decode_frame(data: bytes, context: Context) -> dict:
    """Decode an envelope alone: neither fields nor blocks are looked at."""
    frame = read_frame(data, context.frame_limit)
    return {"type": str(frame.type), **raw_json(frame)}


def encode_frame(obj: object) -> bytes:
    """Encode the JSON form of an envelope."""
    return build_raw(obj, as_int(member(obj, "type")))
