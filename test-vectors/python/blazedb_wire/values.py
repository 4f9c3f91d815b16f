"""BlazeBinary values (SPEC.md 4.1), without recursion in either direction."""

from collections.abc import Sequence
from dataclasses import dataclass

from . import limits
from .errors import BadRequest, Code, DecodeError
from .jsonform import (
    as_bool,
    as_bytes,
    as_int,
    as_list,
    as_pair,
    as_text,
    as_uuid,
    member,
    uuid_text,
)
from .primitives import Timestamp, read_base, timestamp_json, write_timestamp
from .reader import Reader, check_ascending
from .writer import Writer, utf8

STRING, INT, DOUBLE, BOOL, UUID, DATE, DATA, ARRAY, DICTIONARY = range(0x01, 0x0A)
LEGACY_VECTOR, NULL, REMOVED, PATCH, COUNTER, VECTOR, SEALED = range(0x0A, 0x11)
EMPTY_STRING, SMALL_INT, EMPTY_ARRAY, EMPTY_DICTIONARY = 0x11, 0x12, 0x18, 0x19
INLINE_FIRST, INLINE_LAST = 0x21, 0x2F

CONTAINERS = {ARRAY: "array", DICTIONARY: "dictionary", PATCH: "patch"}
SPECIAL = (REMOVED, PATCH, COUNTER)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, which decides over `removed`, `patch`, `counter`.

    `position` is `plain`, `field` or `cell` as in README.md; `crdt` tells
    whether that capability was agreed on (OPS-18); `timestamp` is the
    operation's, or None where VAL-14 cannot be checked.
    """

    position: str = "plain"
    crdt: bool = True
    timestamp: Timestamp | None = None


PLAIN = Place()
CELL = Place("cell")


class _Open:
    """A container of which items are still to come."""

    __slots__ = ("tag", "children", "remaining", "key", "raw_key")

    def __init__(self, tag: int, remaining: int) -> None:
        self.tag = tag
        self.children: list = []
        self.remaining = remaining
        self.key: str | None = None
        self.raw_key: bytes | None = None

    def read_key(self, reader: Reader) -> None:
        """Read the key before the next value, if this container has keys."""
        if self.tag == ARRAY:
            return
        at = reader.pos
        self.key = reader.text(2)
        raw = self.key.encode("utf-8")
        check_ascending(raw, self.raw_key, at)  # VAL-9
        self.raw_key = raw

    def add(self, value: dict) -> None:
        """Take a complete value."""
        self.children.append(value if self.tag == ARRAY else [self.key, value])
        self.remaining -= 1

    def json(self) -> dict:
        """Give the JSON form of the complete container."""
        name = "items" if self.tag == ARRAY else "entries"
        return {"type": CONTAINERS[self.tag], name: self.children}


def read_value(reader: Reader, place: Place) -> dict:
    """Read one value; the open containers are a list of at most 64 (VAL-10)."""
    stack: list[_Open] = []
    while True:
        if stack:
            stack[-1].read_key(reader)
        at = reader.pos
        tag = reader.uint(1)
        _check_tag(tag, at, place, stack)
        if tag in CONTAINERS:
            stack.append(_open(reader, tag, at))
            continue
        value = _read_scalar(reader, tag, at, place)
        while stack:
            stack[-1].add(value)
            if stack[-1].remaining:
                break
            value = stack.pop().json()
        else:
            return value


def _check_tag(tag: int, at: int, place: Place, stack: list[_Open]) -> None:
    """Carry out all rules that the tag alone can break, in a fixed order."""
    if tag == LEGACY_VECTOR:
        raise DecodeError(Code.LEGACY_VECTOR, at)  # VAL-2
    known = tag <= SMALL_INT or tag in (EMPTY_ARRAY, EMPTY_DICTIONARY)
    if tag == 0 or not (known or INLINE_FIRST <= tag <= INLINE_LAST):
        raise DecodeError(Code.UNKNOWN_TAG, at)  # VAL-1
    if tag in SPECIAL:
        if stack:
            allowed = stack[-1].tag == PATCH
        elif place.position == "cell":
            allowed = tag == REMOVED  # QRY-15
        else:
            allowed = place.position == "field"
        if not allowed:
            raise DecodeError(Code.MISPLACED_VALUE, at)  # VAL-12, VAL-24
        if not place.crdt:
            raise DecodeError(Code.NOT_NEGOTIATED, at)  # OPS-18
    if tag in CONTAINERS and len(stack) == limits.MAX_DEPTH:
        raise DecodeError(Code.TOO_DEEP, at)  # VAL-10
    if tag == PATCH and sum(len(above.raw_key) for above in stack) > limits.MAX_PATCH_KEYS:
        raise DecodeError(Code.TOO_LONG, at)  # VAL-26; patches stand in patches only


def _open(reader: Reader, tag: int, at: int) -> _Open:
    """Read the count of a container, which is never 0."""
    number = reader.count(2, empty=tag != PATCH)  # VAL-11
    if number == 0:
        raise DecodeError(Code.NON_CANONICAL, at)  # VAL-5
    return _Open(tag, number)


def _read_scalar(reader: Reader, tag: int, at: int, place: Place) -> dict:
    """Read what stands behind the tag of a value without values inside."""
    if tag >= INLINE_FIRST:
        return {"type": "string", "value": reader.inline_text(tag & 0x0F)}
    match tag:
        case 0x01:  # STRING
            text = reader.text(4, limits.MAX_BYTES)  # VAL-7
            if reader.pos - at <= 5 + 15:
                raise DecodeError(Code.NON_CANONICAL, at)  # VAL-3
            return {"type": "string", "value": text}
        case 0x02:  # INT
            number = reader.i64()
            if 0 <= number <= 255:
                raise DecodeError(Code.NON_CANONICAL, at)  # VAL-4
            return {"type": "int", "value": str(number)}
        case 0x03:  # DOUBLE
            return {"type": "double", "bits": reader.take(8).hex()}
        case 0x04:  # BOOL
            return {"type": "bool", "value": read_bool(reader)}
        case 0x05:  # UUID
            return {"type": "uuid", "value": uuid_text(reader.take(16))}
        case 0x06:  # DATE
            return {"type": "date", "bits": reader.take(8).hex()}
        case 0x07:  # DATA
            return {"type": "data", "hex": reader.run(4, limits.MAX_BYTES).hex()}
        case 0x0B:  # NULL
            return {"type": "null"}
        case 0x0C:  # REMOVED
            return {"type": "removed"}
        case 0x0E:  # COUNTER
            return _read_counter(reader, place)
        case 0x0F:  # VECTOR
            data = reader.take(4 * reader.count(2))  # one run for NOT-8
            bits = [data[at : at + 4].hex() for at in range(0, len(data), 4)]
            return {"type": "vector", "bits": bits}
        case 0x10:  # SEALED
            data = reader.run(4, limits.MAX_BYTES, empty=False)  # VAL-15
            return {"type": "sealed", "hex": data.hex()}
        case 0x11:  # EMPTY_STRING
            return {"type": "string", "value": ""}
        case 0x12:  # SMALL_INT
            return {"type": "int", "value": str(reader.uint(1))}
        case 0x18:  # EMPTY_ARRAY
            return {"type": "array", "items": []}
        case _:  # EMPTY_DICTIONARY, the last that _check_tag lets through
            return {"type": "dictionary", "entries": []}


def read_bool(reader: Reader) -> bool:
    """Read a byte that must be 0 or 1 (VAL-6, MSG-23)."""
    at = reader.pos
    byte = reader.uint(1)
    if byte > 1:
        raise DecodeError(Code.BAD_BOOL, at)
    return byte == 1


def _read_counter(reader: Reader, place: Place) -> dict:
    """Read a counter; its base is judged before its total is read (NOT-4)."""
    at = reader.pos
    base = read_base(reader)
    if place.timestamp is not None and base >= place.timestamp:
        raise DecodeError(Code.BAD_BASE, at)  # VAL-14
    total = reader.i64()
    return {"type": "counter", "base": timestamp_json(base), "total": str(total)}


def write_value(out: Writer, value: object) -> None:
    """Write the JSON form of a value in its one encoding (NOT-2).

    What is still to be written waits in a list, so hostile JSON costs no
    stack.
    """
    pending: list[tuple[str | None, object]] = [(None, value)]
    while pending:
        key, value = pending.pop()
        if key is not None:
            out.text(2, key)
        children = _write_one(out, value)
        pending.extend(reversed(children))


def _write_one(out: Writer, value: object) -> Sequence[tuple[str | None, object]]:
    """Write a scalar, or a container's head; give back its children."""
    kind = member(value, "type")
    match kind:
        case "array":
            items = as_list(member(value, "items"))
            _write_head(out, ARRAY, EMPTY_ARRAY, len(items))
            return [(None, item) for item in items]
        case "dictionary":
            entries = _entries(value)
            _write_head(out, DICTIONARY, EMPTY_DICTIONARY, len(entries))
            return entries
        case "patch":
            entries = _entries(value)
            _write_head(out, PATCH, None, len(entries))
            return entries
        case _:
            _write_scalar(out, kind, value)
            return []


def _entries(value: object) -> list[tuple[str, object]]:
    """Get the keys and values of a dictionary or patch."""
    return [as_pair(entry) for entry in as_list(member(value, "entries"))]


def _write_head(out: Writer, tag: int, empty_tag: int | None, count: int) -> None:
    """Write a container's tag and count, or the tag of the empty one (VAL-5)."""
    if count == 0 and empty_tag is not None:
        out.uint(1, empty_tag)
    else:
        out.uint(1, tag)
        out.uint(2, count)


def _write_scalar(out: Writer, kind: object, value: object) -> None:
    """Write a value without values inside."""
    match kind:
        case "null":
            out.uint(1, NULL)
        case "removed":
            out.uint(1, REMOVED)
        case "bool":
            out.uint(1, BOOL)
            out.uint(1, int(as_bool(member(value, "value"))))
        case "int":
            _write_int(out, as_int(member(value, "value")))
        case "double" | "date":
            out.uint(1, DOUBLE if kind == "double" else DATE)
            out.raw(as_bytes(member(value, "bits"), 8))
        case "string":
            _write_string(out, utf8(as_text(member(value, "value"))))
        case "uuid":
            out.uint(1, UUID)
            out.raw(as_uuid(member(value, "value")))
        case "data" | "sealed":
            out.uint(1, DATA if kind == "data" else SEALED)
            out.run(4, as_bytes(member(value, "hex")))
        case "vector":
            bits = as_list(member(value, "bits"))
            out.uint(1, VECTOR)
            out.uint(2, len(bits))
            for item in bits:
                out.raw(as_bytes(item, 4))
        case "counter":
            out.uint(1, COUNTER)
            write_timestamp(out, member(value, "base"))
            out.i64(as_int(member(value, "total")))
        case _:
            raise BadRequest(f"unknown type of value {kind!r}")


def _write_int(out: Writer, number: int) -> None:
    """Write an int in its shortest form (VAL-4)."""
    if 0 <= number <= 255:
        out.uint(1, SMALL_INT)
        out.uint(1, number)
    else:
        out.uint(1, INT)
        out.i64(number)


def _write_string(out: Writer, raw: bytes) -> None:
    """Write a string in its shortest form (VAL-3)."""
    if not raw:
        out.uint(1, EMPTY_STRING)
    elif len(raw) <= 15:
        out.uint(1, 0x20 | len(raw))
        out.raw(raw)
    else:
        out.uint(1, STRING)
        out.run(4, raw)
