"""Messages: what the fields of a frame mean by its type (SPEC.md 7 and 8)."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass

from . import kinds, limits, query, session
from .blocks import (
    HOLES,
    Header,
    declared_length,
    encode_block,
    read_header,
    read_payload,
)
from .context import Context
from .errors import BadRequest, Code, DecodeError
from .frames import (
    BLOCKS_LENGTH_AT,
    FIELDS_AT,
    FLAGS_AT,
    MORE,
    REQUEST_ID_AT,
    TYPE_AT,
    Frame,
    build_frame,
    build_raw,
    raw_json,
    read_frame,
)
from .jsonform import as_bool, as_int, as_list, member
from .kinds import Kind
from .ops import op_id
from .reader import Reader
from .writer import Writer

Check = Callable[[dict, int], None]
"""A rule over fields read so far; takes the message and its field's offset."""


@dataclass(frozen=True, slots=True)
class Field:
    """One line of a message's table."""

    name: str
    kind: Kind
    check: Check | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A message type as 18.1 lists it, and its fields before the extensions.

    `ids` is `request`, `reply`, `neither` or `any`; `count_of` names the field
    that says how many blocks follow; `read` and `write` carry out what comes
    before `fields` where lines of a table cannot say it.
    """

    name: str
    ids: str
    fields: tuple[Field, ...] = ()
    count_of: str | None = None
    capability: str | None = None
    continues: bool = False
    read: Callable[[Reader], dict] | None = None
    write: Callable[[Writer, object], None] | None = None


def _check_versions(message: dict, at: int) -> None:
    if int(message["min_version"]) > int(message["max_version"]):
        raise DecodeError(Code.OUT_OF_ORDER, at)  # MSG-9


def _check_authentication(method_field: str) -> Check:
    def check(message: dict, at: int) -> None:
        if message[method_field] == "0" and message["authentication"]:
            raise DecodeError(Code.NON_CANONICAL, at)  # MSG-15

    return check


def _check_mark(message: dict, at: int) -> None:
    if message["mark"] == "0" and message["check"] != "00000000":
        raise DecodeError(Code.NON_CANONICAL, at)  # MSG-19


def _check_scope(message: dict, _at: int) -> None:
    if message["scope"] == "request" and message["request_id"] == "0":
        raise DecodeError(Code.BAD_REQUEST_ID, REQUEST_ID_AT)  # MSG-33


def _check_cursor(message: dict, at: int) -> None:
    if message["more"] and message["cursor"]:
        raise DecodeError(Code.NON_CANONICAL, at)  # QRY-16


HEARTBEAT = kinds.ranged(4, 1_000, 3_600_000, Code.OUT_OF_RANGE)  # MSG-20
RESTORE_MODE = kinds.named({1: "keep", 2: "discard"})  # MSG-18
SCOPE = kinds.named({1: "request", 2: "connection"})  # MSG-32

MESSAGES = {
    0x0002: Message(
        "handshake",
        "neither",
        (
            Field("protocol", session.PROTOCOL),
            Field("min_version", kinds.U16),
            Field("max_version", kinds.U16, _check_versions),
            Field("database", session.DATABASE),
            Field("node", kinds.NODE),
            Field("node_key", kinds.fixed(16)),
            Field("highest_given_out", kinds.NODE_SEQ),
            Field("seen", session.SEEN),
            Field("public_key", kinds.PUBLIC_KEY),
            Field("capabilities", kinds.CAPABILITIES),
            Field("authentication_method", kinds.U16),
            Field(
                "authentication",
                kinds.AUTHENTICATION,
                _check_authentication("authentication_method"),
            ),
            Field("limits", kinds.LIMITS),
        ),
    ),
    0x0004: Message(
        "welcome",
        "neither",
        (
            Field("version", kinds.U16),
            Field("capabilities", kinds.CAPABILITIES),
            Field("epochs", session.EPOCHS),
            Field("agreed", kinds.POSITION),
            Field("restore_mode", RESTORE_MODE),
            Field("mark", kinds.NODE_SEQ),
            Field("check", kinds.CHECK, _check_mark),
            Field("head", kinds.POSITION),
            Field("limits", kinds.LIMITS),
            Field("heartbeat_interval", HEARTBEAT),
            Field("relay_time", kinds.U64),
        ),
    ),
    0x0006: Message("sync_state_request", "request"),
    0x0008: Message(
        "sync_state",
        "reply",
        (
            Field("head", kinds.POSITION),
            Field("operations", kinds.U64),
            Field("nodes", kinds.U64),
            Field("live_records", kinds.U64),
            Field("collections", kinds.U64),
        ),
    ),
    0x000A: Message(
        "pull_request",
        "request",
        (
            Field("from", kinds.POSITION),
            Field("collections", kinds.COLLECTIONS),
            Field("max_operations", kinds.U32),
            Field("max_bytes", kinds.U32),
        ),
    ),
    0x000C: Message(
        "pull_response",
        "reply",
        (
            Field("next", kinds.POSITION),
            Field("has_more", kinds.BOOL),
            Field("first_seqs", kinds.FIRST_SEQS),
        ),
        count_of="first_seqs",
    ),
    0x000E: Message(
        "push",
        "request",
        (
            Field("block_count", kinds.counted(2, limits.MAX_BLOCKS)),  # MSG-25
            Field("ids_check", kinds.CHECK),
        ),
        count_of="block_count",
    ),
    0x0010: Message("push_ack", "reply", (Field("entries", session.ENTRIES),)),
    0x0012: Message(
        "subscribe",
        "request",
        (
            Field("subscription", kinds.U32),
            Field("from", kinds.POSITION),
            Field("window", kinds.U64),
            Field("collections", kinds.COLLECTIONS),
        ),
    ),
    0x0014: Message("unsubscribe", "neither", (Field("subscription", kinds.U32),)),
    0x0016: Message(
        "update",
        "neither",
        (
            Field("subscription", kinds.U32),
            Field("previous", kinds.POSITION),
            Field("new", kinds.POSITION),
            Field("first_seqs", kinds.FIRST_SEQS),
        ),
        count_of="first_seqs",
    ),
    0x0018: Message(
        "update_ack",
        "neither",
        (
            Field("subscription", kinds.U32),
            Field("position", kinds.POSITION),
            Field("window", kinds.U64),
        ),
    ),
    0x001A: Message(
        "query",
        "request",
        (Field("cursor", kinds.CURSOR),),
        capability="query",
        read=query.read_query,
        write=query.write_query,
    ),
    0x001C: Message(
        "query_response",
        "reply",
        (Field("cursor", kinds.CURSOR, _check_cursor),),
        capability="query",
        continues=True,
        read=query.read_response,
        write=query.write_response,
    ),
    0x001E: Message(
        "authenticate",
        "request",
        (
            Field("method", kinds.U16),
            Field(
                "authentication",
                kinds.AUTHENTICATION,
                _check_authentication("method"),
            ),
        ),
    ),
    0x0020: Message("authenticate_ack", "reply", (Field("valid_for", kinds.U32),)),
    0x0022: Message("ping", "neither", (Field("nonce", kinds.U64),)),
    0x0024: Message("pong", "neither", (Field("nonce", kinds.U64),)),
    0x0026: Message(
        "error",
        "any",
        (
            Field("code", kinds.U16),
            Field("scope", SCOPE, _check_scope),
            Field("retry_after", kinds.U32),
            Field("text", kinds.TEXT8),
        ),
    ),
    0x0028: Message(
        "goodbye",
        "neither",
        (
            Field("reason", kinds.U16),
            Field("reconnect_after", kinds.U32),
            Field("jitter", kinds.U32),
        ),
    ),
}
CODES = {message.name: code for code, message in MESSAGES.items()}


def decode_message(data: bytes, context: Context) -> dict:
    """Decode a whole frame in the order that section 7 fixes."""
    frame = read_frame(data, context.frame_limit)
    kind = MESSAGES.get(frame.type)
    if kind is None:
        if frame.type % 2 == 0:
            raise DecodeError(Code.UNKNOWN_MESSAGE, TYPE_AT)  # EXT-4
        return {"type": "unknown", "code": str(frame.type), **raw_json(frame)}
    _check_envelope(frame, kind, context)
    message: dict = {
        "type": kind.name,
        "request_id": str(frame.request_id),
        "more": bool(frame.flags & MORE),
    }
    reader = Reader(data, FIELDS_AT, frame.fields_end)
    offsets = _read_fields(reader, kind, message)
    message["extensions"] = kinds.EXTENSIONS.read(reader)
    reader.finish()  # MSG-5
    if kind.count_of is not None:
        headers = _read_headers(frame, kind, message, context)
        message["blocks"] = _read_payloads(data, headers, context)
    if kind.name == "push":
        del message["block_count"]
        if message["ids_check"] != ids_check(message["blocks"]):
            raise DecodeError(Code.BAD_IDS_CHECK, offsets["ids_check"])  # MSG-24
    return message


def _check_envelope(frame: Frame, kind: Message, context: Context) -> None:
    """Check the envelope against the type."""
    if frame.flags & MORE and not kind.continues:
        raise DecodeError(Code.UNKNOWN_FLAG, FLAGS_AT)  # FRM-7
    if kind.capability is not None and not context.has(kind.capability):
        raise DecodeError(Code.NOT_NEGOTIATED, TYPE_AT)  # MSG-7
    needs_id = kind.ids in ("request", "reply")
    if kind.ids != "any" and needs_id != (frame.request_id != 0):
        raise DecodeError(Code.BAD_REQUEST_ID, REQUEST_ID_AT)  # MSG-3
    if kind.count_of is None and frame.blocks_end > frame.blocks_start:
        raise DecodeError(Code.UNEXPECTED_BLOCKS, BLOCKS_LENGTH_AT)  # MSG-4


def _read_fields(reader: Reader, kind: Message, message: dict) -> dict[str, int]:
    """Read the fields before the extensions; give back their offsets."""
    offsets = {}
    if kind.read is not None:
        message.update(kind.read(reader))
    for field in kind.fields:
        at = reader.pos
        message[field.name] = field.kind.read(reader)
        if field.check is not None:
            field.check(message, at)
        offsets[field.name] = at
    return offsets


def _read_headers(
    frame: Frame, kind: Message, message: dict, context: Context
) -> list[Header]:
    """Read all headers before any payload is looked at (MSG-6)."""
    announced = message[kind.count_of]
    number = len(announced) if isinstance(announced, list) else int(announced)
    reader = Reader(frame.data, frame.blocks_start, frame.blocks_end)
    headers: list[Header] = []
    for _ in range(number):
        header = read_header(reader, context)
        if kind.name == "push":
            _check_pushed(header, headers[-1] if headers else None)
        reader.skip(header.payload_length)
        headers.append(header)
    reader.finish()
    return headers


def _check_pushed(header: Header, previous: Header | None) -> None:
    """Check a header against the rules of a push alone."""
    if header.flags & HOLES:
        raise DecodeError(Code.NOT_CONTIGUOUS, header.start + 1)  # MSG-26
    if previous is None:
        return
    if header.node != previous.node:
        raise DecodeError(Code.MIXED_NODES, header.start + 12)  # MSG-27
    if header.first != previous.next_first:
        raise DecodeError(Code.NOT_CONTIGUOUS, header.start + 6)  # MSG-27


def _read_payloads(data: bytes, headers: list[Header], context: Context) -> list[dict]:
    """Read the payloads in order, within what a message may decompress to."""
    blocks = []
    decompressed = 0
    for header in headers:
        decompressed += declared_length(data, header)
        if decompressed > limits.MAX_DECOMPRESSED:
            raise DecodeError(Code.TOO_LONG, header.payload_start)  # MSG-34
        blocks.append(read_payload(data, header, context))
    return blocks


def ids_check(blocks: list[dict]) -> str:
    """Compute the CRC-32 of the ids of all operations, in order (MSG-24)."""
    crc = 0
    for block in blocks:
        for op in block["ops"]:
            crc = zlib.crc32(op_id(op), crc)
    return f"{crc:08x}"


def encode_message(obj: object) -> bytes:
    """Encode the JSON form of a message, blocks in their canonical form."""
    name = member(obj, "type")
    if name == "unknown":
        code = as_int(member(obj, "code"))
        if code in MESSAGES:
            raise BadRequest("a known message given as an unknown one")
        return build_raw(obj, code)
    if not isinstance(name, str) or name not in CODES:
        raise BadRequest("unknown message")
    code = CODES[name]
    kind = MESSAGES[code]
    blocks = Writer()
    computed = {}
    if kind.count_of is not None:
        listed = as_list(member(obj, "blocks"))
        for block in listed:
            blocks.raw(encode_block(block))
        computed["block_count"] = str(len(listed))
    fields = Writer()
    if kind.write is not None:
        kind.write(fields, obj)
    for field in kind.fields:
        given = computed if field.name in computed else obj
        field.kind.write(fields, member(given, field.name))
    kinds.EXTENSIONS.write(fields, member(obj, "extensions"))
    flags = MORE if as_bool(member(obj, "more")) else 0
    request_id = as_int(member(obj, "request_id"))
    return build_frame(flags, code, request_id, bytes(fields.data), bytes(blocks.data))
