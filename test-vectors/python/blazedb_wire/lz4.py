"""A decoder for one raw LZ4 block, safe for hostile input.

A block is a series of sequences: a token, literals, and a match that repeats
bytes already written.  The last sequence ends with its literals.  Nothing is
allocated by a number in the input: the output never grows over the size that
the caller has checked.
"""

MIN_MATCH = 4


class BadBlock(Exception):
    """Not an LZ4 block, or one of another size."""


def decompress(data: bytes, size: int) -> bytes:
    """Give the decompressed bytes, which must be exactly `size` (BLK-16, BLK-17)."""
    out = bytearray()
    pos = 0
    while True:
        if pos >= len(data):
            raise BadBlock("no last literals")
        token = data[pos]
        length, pos = _length(data, pos + 1, token >> 4)
        if length > len(data) - pos or length > size - len(out):
            raise BadBlock("literals too long")
        out += data[pos : pos + length]
        pos += length
        if pos == len(data):
            break
        if len(data) - pos < 2:
            raise BadBlock("no whole offset")
        offset = data[pos] | data[pos + 1] << 8
        length, pos = _length(data, pos + 2, token & 0x0F)
        length += MIN_MATCH
        if offset == 0 or offset > len(out):
            raise BadBlock("offset outside of the output")
        if length > size - len(out):
            raise BadBlock("match too long")
        # A match may overlap what it writes: then it repeats its first bytes.
        first = len(out) - offset
        run = bytes(out[first : first + min(offset, length)])
        out += (run * (length // len(run) + 1))[:length]
    if len(out) != size:
        raise BadBlock("output too short")
    return bytes(out)


def _length(data: bytes, pos: int, nibble: int) -> tuple[int, int]:
    """Read the bytes that extend a length whose four bits are all set."""
    length = nibble
    if nibble < 15:
        return length, pos
    while True:
        if pos >= len(data):
            raise BadBlock("no end of a length")
        byte = data[pos]
        pos += 1
        length += byte
        if byte != 255:
            return length, pos
