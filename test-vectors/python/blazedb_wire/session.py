"""Field types of handshake, welcome and push ack (SPEC.md 7.1, 7.2, 7.8)."""

from . import limits
from .errors import BadRequest, Code, DecodeError
from .jsonform import as_int, as_text, member
from .kinds import Kind, write_list
from .primitives import read_position, write_position
from .reader import Reader
from .writer import Writer

PROTOCOL_PREFIX = "blazedb-relay/"
NAME_FIRST = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
NAME_REST = NAME_FIRST | frozenset("-_.")


def _read_protocol(reader: Reader) -> str:
    """Read the protocol text (MSG-8)."""
    text_at = reader.pos + 1
    text = reader.text(1, limits.MAX_PROTOCOL_TEXT)
    if not text.startswith(PROTOCOL_PREFIX):
        raise DecodeError(Code.BAD_MAGIC, text_at)
    return text


def _read_database(reader: Reader) -> str:
    """Read a database name, which is a safe file name (MSG-10)."""
    text_at = reader.pos + 1
    text = reader.text(1, limits.MAX_DATABASE_NAME, empty=False)
    if text[0] not in NAME_FIRST or not NAME_REST.issuperset(text):
        raise DecodeError(Code.BAD_NAME, text_at)
    return text


def _write_text8(out: Writer, obj: object) -> None:
    out.text(1, as_text(obj))


PROTOCOL = Kind(_read_protocol, _write_text8)
DATABASE = Kind(_read_database, _write_text8)


def _read_seen(reader: Reader) -> list[dict]:
    """Read the positions heard of, one for each epoch (MSG-12)."""
    seen = []
    epochs = set()
    for _ in range(reader.count(1, limits.MAX_SEEN)):
        at = reader.pos
        position = read_position(reader)
        epoch = position["epoch"]
        if epoch == "0":
            raise DecodeError(Code.BAD_POSITION, at)
        if epoch in epochs:
            raise DecodeError(Code.DUPLICATE, at)
        epochs.add(epoch)
        seen.append(position)
    return seen


SEEN = Kind(_read_seen, lambda out, obj: write_list(out, 1, obj, write_position))


def _read_epochs(reader: Reader) -> list[dict]:
    """Read epochs, newest first (MSG-17)."""
    epochs = []
    known = set()
    newest_begins = limits.MAX_SEQ
    for _ in range(reader.count(1, limits.MAX_EPOCHS, empty=False)):
        at = reader.pos
        epoch = reader.uint(8)
        if epoch == 0:
            raise DecodeError(Code.BAD_POSITION, at)
        if epoch in known:
            raise DecodeError(Code.DUPLICATE, at)
        known.add(epoch)
        at = reader.pos
        begins = reader.uint(8)
        if begins > limits.MAX_SEQ:
            raise DecodeError(Code.BAD_POSITION, at)
        if begins > newest_begins:
            raise DecodeError(Code.OUT_OF_ORDER, at)
        newest_begins = begins
        epochs.append({"epoch": str(epoch), "begins": str(begins)})
    return epochs


def _write_epoch(out: Writer, obj: object) -> None:
    out.uint(8, as_int(member(obj, "epoch")))
    out.uint(8, as_int(member(obj, "begins")))


EPOCHS = Kind(_read_epochs, lambda out, obj: write_list(out, 1, obj, _write_epoch))

ACCEPTED, REFUSED, LATER = 1, 2, 3


def _read_entries(reader: Reader) -> list[dict]:
    """Read the entries of a push ack (MSG-28 to MSG-31)."""
    entries = []
    late = False
    for _ in range(reader.count(2, limits.MAX_BLOCKS, empty=False)):
        at = reader.pos
        status = reader.uint(1)
        if status not in (ACCEPTED, REFUSED, LATER):
            raise DecodeError(Code.UNKNOWN_CODE, at)  # MSG-29
        if late and status != LATER:
            raise DecodeError(Code.OUT_OF_ORDER, at)  # MSG-31
        if status == ACCEPTED:
            entries.append(_read_accepted(reader))
        elif status == REFUSED:
            code, index = reader.uint(2), reader.uint(2)
            entries.append(
                {"status": "refused", "code": str(code), "index": str(index)}
            )
        else:
            late = True
            entries.append({"status": "later", "wait": str(reader.uint(4))})
    return entries


def _read_accepted(reader: Reader) -> dict:
    """Read an accepted entry; each number is judged as it is read (MSG-30)."""
    numbers: list[int] = []
    for low, high in ((1, None), (1, limits.MAX_SEQ), (None, limits.MAX_SEQ)):
        at = reader.pos
        number = reader.uint(8)
        lowest = numbers[-1] if low is None else low
        if number < lowest or (high is not None and number > high):
            raise DecodeError(Code.BAD_POSITION, at)
        numbers.append(number)
    epoch, first, last = map(str, numbers)
    return {
        "status": "accepted",
        "epoch": epoch,
        "first_seq": first,
        "last_seq": last,
    }


def _write_entry(out: Writer, obj: object) -> None:
    match member(obj, "status"):
        case "accepted":
            out.uint(1, ACCEPTED)
            for key in ("epoch", "first_seq", "last_seq"):
                out.uint(8, as_int(member(obj, key)))
        case "refused":
            out.uint(1, REFUSED)
            out.uint(2, as_int(member(obj, "code")))
            out.uint(2, as_int(member(obj, "index")))
        case "later":
            out.uint(1, LATER)
            out.uint(4, as_int(member(obj, "wait")))
        case _:
            raise BadRequest("unknown status")


ENTRIES = Kind(_read_entries, lambda out, obj: write_list(out, 2, obj, _write_entry))
