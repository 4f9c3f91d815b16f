"""Decode and encode by the name of a target (README.md, `target`)."""

from . import limits
from .blocks import decode_block, encode_block
from .context import Context
from .errors import BadRequest
from .fields import decode_record, encode_record
from .frames import decode_frame, encode_frame
from .messages import decode_message, encode_message
from .ops import decode_op, encode_op
from .reader import Reader
from .values import Place, read_value, write_value
from .writer import Writer

TARGETS = ("value", "record", "op", "block", "frame", "message")


def decode(target: str, data: bytes, context: Context) -> dict:
    """Decode a whole input; raises `DecodeError` where a rule is broken."""
    match target:
        case "value":
            return _decode_value(data, context)
        case "record":
            return decode_record(data)
        case "op":
            return decode_op(data, context)
        case "block":
            return decode_block(data, context)
        case "frame":
            return decode_frame(data, context)
        case "message":
            return decode_message(data, context)
    raise BadRequest("unknown target")


def _decode_value(data: bytes, context: Context) -> dict:
    """Decode a value that stands by itself, in the place that the context names."""
    reader = Reader(data)
    value = read_value(reader, Place(context.position, context.has("crdt")))
    reader.finish()
    return value


def build(target: str, value: object) -> bytes:
    """Write the JSON form without asking whether the result is legal."""
    match target:
        case "value":
            out = Writer()
            write_value(out, value)
            return bytes(out.data)
        case "record":
            return encode_record(value)
        case "op":
            return encode_op(value)
        case "block":
            return encode_block(value)
        case "frame":
            return encode_frame(value)
        case "message":
            return encode_message(value)
    raise BadRequest("unknown target")


def encode(target: str, value: object, context: Context) -> bytes:
    """Encode the JSON form.

    An encoder must satisfy every rule that a decoder checks, so what was
    written is decoded once: a JSON form that breaks a rule raises the very
    `DecodeError` that its bytes would.
    """
    data = build(target, value)
    decode(target, data, context)
    return data


def reencode(target: str, value: dict) -> bytes | None:
    """Encode what `decode` gave.

    The canonical form of a message with compressed blocks may be larger than
    any frame; then there is none.
    """
    data = build(target, value)
    if target == "message" and len(data) > limits.MAX_FRAME:
        return None
    return data
