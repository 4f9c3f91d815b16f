"""An append-only buffer for encoding.

A number that does not fit in its field cannot be written at all, so it is a
`BadRequest`.  Every other rule is checked by decoding what was written.
"""

from .errors import BadRequest


class Writer:
    """Collects the bytes of one item."""

    __slots__ = ("data",)

    def __init__(self) -> None:
        self.data = bytearray()

    def raw(self, data: bytes | bytearray) -> None:
        """Append bytes as they are."""
        self.data += data

    def uint(self, size: int, number: int) -> None:
        """Append an unsigned big-endian integer (NOT-1)."""
        try:
            self.data += number.to_bytes(size, "big")
        except OverflowError:
            raise BadRequest(f"{number} does not fit in {size} bytes") from None

    def i64(self, number: int) -> None:
        """Append a two's complement integer."""
        try:
            self.data += number.to_bytes(8, "big", signed=True)
        except OverflowError:
            raise BadRequest(f"{number} does not fit in i64") from None

    def run(self, size: int, data: bytes) -> None:
        """Append a length of `size` bytes and the bytes."""
        self.uint(size, len(data))
        self.data += data

    def text(self, size: int, text: str) -> None:
        """Append a length and UTF-8."""
        self.run(size, utf8(text))


def utf8(text: str) -> bytes:
    """Encode text; a lone surrogate, which JSON can spell, has no encoding."""
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadRequest("text with a lone surrogate") from None
