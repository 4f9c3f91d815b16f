"""A bounds-checked cursor: the order of checks of NOT-4 to NOT-9 lives here."""

from collections.abc import Callable
from typing import TypeVar

from .errors import Code, DecodeError

T = TypeVar("T")
Key = TypeVar("Key", bytes, int)


class Reader:
    """Reads primitives from a window of a buffer.

    `pos` is an offset into the whole buffer, so an error's offset counts from
    the first byte of the input (NOT-11) however deep the window is nested.
    The end of the window counts as the end of the bytes (NOT-8).
    """

    __slots__ = ("data", "pos", "end")

    def __init__(self, data: bytes, start: int = 0, end: int | None = None) -> None:
        self.data = data
        self.pos = start
        self.end = len(data) if end is None else end

    def need(self, size: int) -> None:
        """Reject a primitive that the bytes do not hold whole (NOT-8)."""
        if self.end - self.pos < size:
            raise DecodeError(Code.TRUNCATED, self.pos)

    def skip(self, size: int) -> None:
        """Step over a run of bytes that must be there, without a copy."""
        self.need(size)
        self.pos += size

    def take(self, size: int) -> bytes:
        """Read a run of bytes; it is there before it is copied (NOT-3)."""
        start = self.pos
        self.skip(size)
        return self.data[start : self.pos]

    def uint(self, size: int) -> int:
        """Read an unsigned big-endian integer (NOT-1)."""
        return int.from_bytes(self.take(size), "big")

    def i64(self) -> int:
        """Read a two's complement integer."""
        return int.from_bytes(self.take(8), "big", signed=True)

    def run(self, size: int, cap: int | None = None, *, empty: bool = True) -> bytes:
        """Read a length of `size` bytes and what it announces (NOT-6)."""
        at = self.pos
        length = self.uint(size)
        if cap is not None and length > cap:
            raise DecodeError(Code.TOO_LONG, at)
        if length == 0 and not empty:
            raise DecodeError(Code.EMPTY, at)
        return self.take(length)

    def text(self, size: int, cap: int | None = None, *, empty: bool = True) -> str:
        """Read a length and that many bytes of UTF-8 (NOT-6)."""
        first = self.pos + size
        return decode_utf8(self.run(size, cap, empty=empty), first)

    def inline_text(self, length: int) -> str:
        """Read UTF-8 whose length is known already."""
        first = self.pos
        return decode_utf8(self.take(length), first)

    def count(self, size: int, cap: int | None = None, *, empty: bool = True) -> int:
        """Read a number of items (NOT-7)."""
        at = self.pos
        number = self.uint(size)
        if cap is not None and number > cap:
            raise DecodeError(Code.TOO_MANY, at)
        if number == 0 and not empty:
            raise DecodeError(Code.EMPTY, at)
        return number

    def code(self, names: dict[int, str]) -> str:
        """Read a byte of a closed registry and name it (`UNKNOWN_CODE`)."""
        at = self.pos
        number = self.uint(1)
        if number not in names:
            raise DecodeError(Code.UNKNOWN_CODE, at)
        return names[number]

    def items(self, number: int, read: Callable[["Reader"], T]) -> list[T]:
        """Read items one by one: the list grows with what was read (NOT-3)."""
        return [read(self) for _ in range(number)]

    def finish(self) -> None:
        """Reject bytes that are left before the end of the window (NOT-9)."""
        if self.pos < self.end:
            raise DecodeError(Code.TRAILING_BYTES, self.pos)


def decode_utf8(raw: bytes, first: int) -> str:
    """Decode strictly; Python's codec rejects what RFC 3629 rejects (VAL-8)."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise DecodeError(Code.BAD_UTF8, first) from None


def check_ascending(current: Key, previous: Key | None, offset: int) -> None:
    """Reject an item that does not follow its predecessor."""
    if previous is None or current > previous:
        return
    code = Code.DUPLICATE if current == previous else Code.OUT_OF_ORDER
    raise DecodeError(code, offset)
