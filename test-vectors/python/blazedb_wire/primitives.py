"""Timestamps and positions (SPEC.md 3.2 to 3.4), and names of collections."""

from . import limits
from .errors import Code, DecodeError
from .jsonform import as_int, as_text, as_uuid, member, uuid_text
from .reader import Reader
from .writer import Writer

NIL = bytes(16)

Timestamp = tuple[int, bytes]
"""Counter and node; tuples compare exactly as 3.2 orders timestamps."""

NEVER: Timestamp = (0, NIL)


def read_node(reader: Reader) -> bytes:
    """Read a UUID that must not be nil (OPS-2, OPS-3, BLK-8, MSG-11)."""
    at = reader.pos
    node = reader.take(16)
    if node == NIL:
        raise DecodeError(Code.BAD_NODE, at)
    return node


def read_timestamp(reader: Reader) -> Timestamp:
    """Read a timestamp where "never" may not stand (OPS-1, OPS-2)."""
    at = reader.pos
    counter = reader.uint(8)
    if not 1 <= counter <= limits.MAX_COUNTER:
        raise DecodeError(Code.BAD_TIMESTAMP, at)
    return counter, read_node(reader)


def read_base(reader: Reader) -> Timestamp:
    """Read a counter's base; the pair is judged as one (VAL-13)."""
    at = reader.pos
    counter = reader.uint(8)
    base = counter, reader.take(16)
    legal = 1 <= counter <= limits.MAX_COUNTER and base[1] != NIL
    if not legal and base != NEVER:
        raise DecodeError(Code.BAD_TIMESTAMP, at)
    return base


def timestamp_json(timestamp: Timestamp) -> dict:
    """Give the JSON form."""
    return {"counter": str(timestamp[0]), "node": uuid_text(timestamp[1])}


def write_timestamp(out: Writer, obj: object) -> None:
    """Write the JSON form of a timestamp or of never."""
    out.uint(8, as_int(member(obj, "counter")))
    out.raw(as_uuid(member(obj, "node")))


def read_position(reader: Reader) -> dict:
    """Read a position; both its rules have the position's offset (MSG-1, MSG-2)."""
    at = reader.pos
    epoch, seq = reader.uint(8), reader.uint(8)
    if seq > limits.MAX_SEQ or (epoch == 0 and seq != 0):
        raise DecodeError(Code.BAD_POSITION, at)
    return {"epoch": str(epoch), "seq": str(seq)}


def write_position(out: Writer, obj: object) -> None:
    """Write the JSON form of a position."""
    out.uint(8, as_int(member(obj, "epoch")))
    out.uint(8, as_int(member(obj, "seq")))


def read_name(reader: Reader) -> str:
    """Read the name of a collection (OPS-12)."""
    return reader.text(1, limits.MAX_COLLECTION_NAME, empty=False)


def write_name(out: Writer, obj: object) -> None:
    """Write the name of a collection."""
    out.text(1, as_text(obj))


def derive_id(node: bytes, node_seq: int) -> bytes:
    """Derive an operation's id from (node, node_seq) (OPS-5)."""
    return node_seq.to_bytes(6, "big") + bytes([0x80 | node[6] & 0x0F]) + node[7:]
