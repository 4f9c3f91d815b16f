"""The error codes that a codec can report (SPEC.md 14) and the two failures."""

from enum import StrEnum


class Code(StrEnum):
    """The names of the 1xx family; the vectors compare names, not numbers."""

    TRUNCATED = "TRUNCATED"
    TRAILING_BYTES = "TRAILING_BYTES"
    TOO_LONG = "TOO_LONG"
    TOO_MANY = "TOO_MANY"
    TOO_DEEP = "TOO_DEEP"
    EMPTY = "EMPTY"
    NON_CANONICAL = "NON_CANONICAL"
    OUT_OF_ORDER = "OUT_OF_ORDER"
    DUPLICATE = "DUPLICATE"
    OUT_OF_RANGE = "OUT_OF_RANGE"
    BAD_UTF8 = "BAD_UTF8"
    BAD_BOOL = "BAD_BOOL"
    BAD_MAGIC = "BAD_MAGIC"
    BAD_CHECKSUM = "BAD_CHECKSUM"
    BAD_IDS_CHECK = "BAD_IDS_CHECK"
    BAD_COMPRESSION = "BAD_COMPRESSION"
    UNSUPPORTED_VERSION = "UNSUPPORTED_VERSION"
    UNKNOWN_FLAG = "UNKNOWN_FLAG"
    UNKNOWN_CODE = "UNKNOWN_CODE"
    UNKNOWN_TAG = "UNKNOWN_TAG"
    UNKNOWN_KEY = "UNKNOWN_KEY"
    UNKNOWN_OP_TYPE = "UNKNOWN_OP_TYPE"
    UNKNOWN_ENCODING = "UNKNOWN_ENCODING"
    UNKNOWN_MESSAGE = "UNKNOWN_MESSAGE"
    UNKNOWN_EXTENSION = "UNKNOWN_EXTENSION"
    LEGACY_VECTOR = "LEGACY_VECTOR"
    MISPLACED_VALUE = "MISPLACED_VALUE"
    NOT_NEGOTIATED = "NOT_NEGOTIATED"
    BAD_TIMESTAMP = "BAD_TIMESTAMP"
    BAD_NODE = "BAD_NODE"
    BAD_NODE_SEQ = "BAD_NODE_SEQ"
    BAD_OP_ID = "BAD_OP_ID"
    BAD_BASE = "BAD_BASE"
    BAD_PREVIOUS = "BAD_PREVIOUS"
    BAD_POSITION = "BAD_POSITION"
    BAD_NAME = "BAD_NAME"
    BAD_REQUEST_ID = "BAD_REQUEST_ID"
    FIELDS_ON_DELETE = "FIELDS_ON_DELETE"
    NO_FIELDS = "NO_FIELDS"
    MIXED_NODES = "MIXED_NODES"
    NOT_CONTIGUOUS = "NOT_CONTIGUOUS"
    UNEXPECTED_BLOCKS = "UNEXPECTED_BLOCKS"


class DecodeError(Exception):
    """Bytes that break a rule: its code, and the offset that the rule names."""

    def __init__(self, code: Code, offset: int) -> None:
        super().__init__(f"{code} at {offset}")
        self.code = code
        self.offset = offset


class BadRequest(Exception):
    """JSON that does not have the form that README.md describes."""
