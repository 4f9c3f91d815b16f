"""Sets of fields and the stand-alone record (SPEC.md 4.2 and 4.3)."""

import zlib

from . import limits
from .errors import BadRequest, Code, DecodeError
from .jsonform import as_list, as_pair, member
from .reader import Reader, check_ascending
from .values import PLAIN, Place, read_value, write_value
from .writer import Writer

COMMON_NAMES = (
    "id createdAt updatedAt userId teamId title description status "
    "priority assignedTo tags completedAt dueDate startDate category name "
    "email password username firstName lastName age phone address "
    "city state zip country organizationId projectId taskId bugId "
    "issueId commentId attachmentId versionId parentId childIds metadata config "
    "settings preferences type kind label value count total "
    "sum average min max isActive isDeleted isPublic isPrivate "
    "isArchived isFavorite"
).split()
NAME_OF_KEY = dict(enumerate(COMMON_NAMES, start=1))
KEY_OF_NAME = {name: key for key, name in NAME_OF_KEY.items()}
OTHER_NAME = 0xFF

MAGIC = b"BLAZE"


def read_fields(reader: Reader, number: int, place: Place) -> list:
    """Read fields after their count, which ascend by name (VAL-19)."""
    fields = []
    previous = None
    for _ in range(number):
        at = reader.pos
        name = _read_key(reader)
        raw = name.encode("utf-8")
        check_ascending(raw, previous, at)
        previous = raw
        fields.append([name, read_value(reader, place)])
    return fields


def _read_key(reader: Reader) -> str:
    """Read the key of a field: one byte, or FF and a name."""
    at = reader.pos
    key = reader.uint(1)
    if key in NAME_OF_KEY:
        return NAME_OF_KEY[key]
    if key != OTHER_NAME:
        raise DecodeError(Code.UNKNOWN_KEY, at)  # VAL-16
    name = reader.text(2, limits.MAX_FIELD_NAME, empty=False)  # VAL-18
    if name in KEY_OF_NAME:
        raise DecodeError(Code.NON_CANONICAL, at)  # VAL-17
    return name


def write_fields(out: Writer, fields: object) -> None:
    """Write the count and the fields in the order given."""
    pairs = [as_pair(field) for field in as_list(fields)]
    out.uint(2, len(pairs))
    for name, value in pairs:
        if name in KEY_OF_NAME:
            out.uint(1, KEY_OF_NAME[name])
        else:
            out.uint(1, OTHER_NAME)
            out.text(2, name)
        write_value(out, value)


def decode_record(data: bytes) -> dict:
    """Decode a whole stand-alone record."""
    if len(data) > limits.MAX_RECORD:
        raise DecodeError(Code.TOO_LONG, 0)  # VAL-23
    reader = Reader(data)
    if reader.take(len(MAGIC)) != MAGIC:
        raise DecodeError(Code.BAD_MAGIC, 0)  # VAL-20
    version = reader.uint(1)
    if version not in (1, 2):
        raise DecodeError(Code.UNSUPPORTED_VERSION, 5)  # VAL-21
    if version == 2:
        if len(data) < 12:
            raise DecodeError(Code.TRUNCATED, 6)  # VAL-22
        reader.end -= 4
        if zlib.crc32(data[: reader.end]).to_bytes(4, "big") != data[reader.end :]:
            raise DecodeError(Code.BAD_CHECKSUM, reader.end)  # VAL-22
    fields = read_fields(reader, reader.count(2), PLAIN)  # VAL-24 by PLAIN
    reader.finish()
    return {"version": str(version), "fields": fields}


def encode_record(obj: object) -> bytes:
    """Encode the JSON form of a record."""
    version = member(obj, "version")
    if version not in ("1", "2"):
        raise BadRequest("a record's version is 1 or 2")
    out = Writer()
    out.raw(MAGIC)
    out.uint(1, int(version))
    write_fields(out, member(obj, "fields"))
    if version == "2":
        out.uint(4, zlib.crc32(out.data))
    return bytes(out.data)
