"""Types of message fields: how each is read, and written from its JSON form."""

from collections.abc import Callable
from typing import NamedTuple

from . import limits
from .errors import Code, DecodeError
from .jsonform import (
    as_bool,
    as_bytes,
    as_int,
    as_list,
    as_text,
    as_uuid,
    code_of,
    member,
    uuid_text,
)
from .primitives import read_name, read_node, read_position, write_name, write_position
from .reader import Reader, check_ascending
from .values import read_bool
from .writer import Writer


class Kind(NamedTuple):
    """A type of field."""

    read: Callable[[Reader], object]
    write: Callable[[Writer, object], None]


def write_list(
    out: Writer, size: int, items: object, write: Callable[[Writer, object], None]
) -> None:
    """Write a count of `size` bytes and the items."""
    items = as_list(items)
    out.uint(size, len(items))
    for item in items:
        write(out, item)


def unsigned(size: int) -> Kind:
    """An unsigned integer as a decimal string."""
    return Kind(
        lambda reader: str(reader.uint(size)),
        lambda out, obj: out.uint(size, as_int(obj)),
    )


def ranged(size: int, low: int, high: int, code: Code) -> Kind:
    """An unsigned integer within bounds, with the code that says it is not."""

    def read(reader: Reader) -> str:
        at = reader.pos
        number = reader.uint(size)
        if not low <= number <= high:
            raise DecodeError(code, at)
        return str(number)

    return Kind(read, unsigned(size).write)


def counted(size: int, cap: int) -> Kind:
    """A number of things of which there must be at least one (NOT-7)."""
    return Kind(
        lambda reader: str(reader.count(size, cap, empty=False)), unsigned(size).write
    )


def fixed(size: int) -> Kind:
    """A fixed run of bytes as hex."""
    return Kind(
        lambda reader: reader.take(size).hex(),
        lambda out, obj: out.raw(as_bytes(obj, size)),
    )


def data16(cap: int) -> Kind:
    """A bytes16 with a cap, as hex."""
    return Kind(
        lambda reader: reader.run(2, cap).hex(),
        lambda out, obj: out.run(2, as_bytes(obj)),
    )


def named(names: dict[int, str]) -> Kind:
    """A byte of a closed registry by its name (`UNKNOWN_CODE`)."""
    return Kind(
        lambda reader: reader.code(names),
        lambda out, obj: out.uint(1, code_of(obj, names)),
    )


def list_of(
    size: int, cap: int, item: Kind, key: Callable | None = None, *, empty: bool = True
) -> Kind:
    """A list; with `key`, items that ascend, judged at their first byte."""

    def read(reader: Reader) -> list:
        items = []
        previous = None
        for _ in range(reader.count(size, cap, empty=empty)):
            at = reader.pos
            items.append(item.read(reader))
            if key is not None:
                current = key(items[-1])
                check_ascending(current, previous, at)
                previous = current
        return items

    return Kind(read, lambda out, obj: write_list(out, size, obj, item.write))


def _text8(reader: Reader) -> str:
    return reader.text(1)


def _write_text8(out: Writer, obj: object) -> None:
    out.text(1, as_text(obj))


U16, U32, U64 = unsigned(2), unsigned(4), unsigned(8)
TEXT8 = Kind(_text8, _write_text8)
BOOL = Kind(read_bool, lambda out, obj: out.uint(1, int(as_bool(obj))))
POSITION = Kind(read_position, write_position)
NODE = Kind(
    lambda reader: uuid_text(read_node(reader)),
    lambda out, obj: out.raw(as_uuid(obj)),
)
NAME = Kind(read_name, write_name)
CHECK = fixed(4)
"""A CRC-32, which README.md writes as eight hex digits."""

COLLECTIONS = list_of(2, limits.MAX_COLLECTIONS, NAME, lambda n: n.encode())  # MSG-21
CAPABILITIES = list_of(1, limits.MAX_CAPABILITIES, U16, int)  # MSG-13
NODE_SEQ = ranged(8, 0, limits.MAX_NODE_SEQ, Code.BAD_NODE_SEQ)  # MSG-11, MSG-19
PUBLIC_KEY = data16(limits.MAX_PUBLIC_KEY)  # MSG-14
AUTHENTICATION = data16(limits.MAX_AUTHENTICATION)  # MSG-14
CURSOR = data16(limits.MAX_CURSOR)  # QRY-12


def _read_limits(reader: Reader) -> list[dict]:
    """Read limits; ids are judged before the value behind them (MSG-16)."""
    limits_read = []
    previous = None
    for _ in range(reader.count(1, limits.MAX_LIMITS)):
        at = reader.pos
        limit_id = reader.uint(2)
        check_ascending(limit_id, previous, at)
        previous = limit_id
        limits_read.append({"id": str(limit_id), "value": str(reader.uint(8))})
    return limits_read


def _write_limit(out: Writer, obj: object) -> None:
    out.uint(2, as_int(member(obj, "id")))
    out.uint(8, as_int(member(obj, "value")))


LIMITS = Kind(_read_limits, lambda out, obj: write_list(out, 1, obj, _write_limit))


def _read_first_seqs(reader: Reader) -> list[str]:
    """Read first seqs, which ascend; every fault has one code (MSG-22)."""
    seqs = []
    previous = 0
    for _ in range(reader.count(2, limits.MAX_BLOCKS)):
        at = reader.pos
        seq = reader.uint(8)
        if not previous < seq <= limits.MAX_SEQ:
            raise DecodeError(Code.BAD_POSITION, at)
        previous = seq
        seqs.append(str(seq))
    return seqs


FIRST_SEQS = Kind(_read_first_seqs, lambda out, obj: write_list(out, 2, obj, U64.write))


def _read_extensions(reader: Reader) -> list[dict]:
    """Read an extension block: order, then EXT-3, then the cap (EXT-1 to EXT-3)."""
    extensions = []
    previous = None
    for _ in range(reader.count(1, limits.MAX_EXTENSIONS)):
        at = reader.pos
        type_code = reader.uint(2)
        check_ascending(type_code, previous, at)
        previous = type_code
        if type_code % 2 == 0:  # 1.0 defines none, so every even one is unknown
            raise DecodeError(Code.UNKNOWN_EXTENSION, at)
        data = reader.run(2, limits.MAX_EXTENSION)
        extensions.append({"type": str(type_code), "hex": data.hex()})
    return extensions


def _write_extension(out: Writer, obj: object) -> None:
    out.uint(2, as_int(member(obj, "type")))
    out.run(2, as_bytes(member(obj, "hex")))


EXTENSIONS = Kind(
    _read_extensions, lambda out, obj: write_list(out, 1, obj, _write_extension)
)
