"""Strict access to the JSON forms: integers are decimal strings, bytes hex."""

import re

from .errors import BadRequest

_DECIMAL = re.compile(r"0|-?[1-9][0-9]{0,19}")
_HEX = re.compile(r"(?:[0-9a-f]{2})*")
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def member(obj: object, key: str) -> object:
    """Get what an object must have."""
    if not isinstance(obj, dict) or key not in obj:
        raise BadRequest(f"no {key}")
    return obj[key]


def as_text(obj: object) -> str:
    """Check for a string."""
    if not isinstance(obj, str):
        raise BadRequest("not a string")
    return obj


def as_list(obj: object) -> list:
    """Check for an array."""
    if not isinstance(obj, list):
        raise BadRequest("not an array")
    return obj


def as_bool(obj: object) -> bool:
    """Check for true or false."""
    if not isinstance(obj, bool):
        raise BadRequest("not a bool")
    return obj


def as_pair(obj: object) -> tuple[str, object]:
    """Check for an entry: a key and a value."""
    if not isinstance(obj, list) or len(obj) != 2:
        raise BadRequest("not a pair")
    return as_text(obj[0]), obj[1]


def as_int(obj: object) -> int:
    """Parse a decimal string; twenty digits hold every u64."""
    if not isinstance(obj, str) or not _DECIMAL.fullmatch(obj):
        raise BadRequest("not a decimal string")
    return int(obj)


def as_bytes(obj: object, size: int | None = None) -> bytes:
    """Parse lower-case hex, of `size` bytes if that is given."""
    if not isinstance(obj, str) or not _HEX.fullmatch(obj):
        raise BadRequest("not lower-case hex")
    data = bytes.fromhex(obj)
    if size is not None and len(data) != size:
        raise BadRequest(f"not {size} bytes")
    return data


def as_uuid(obj: object) -> bytes:
    """Parse a UUID in its usual form."""
    if not isinstance(obj, str) or not _UUID.fullmatch(obj):
        raise BadRequest("not a UUID")
    return bytes.fromhex(obj.replace("-", ""))


def uuid_text(raw: bytes) -> str:
    """Write a UUID with hyphens, whatever its version and variant."""
    digits = raw.hex()
    return "-".join(
        (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    )


def code_of(name: object, names: dict[int, str]) -> int:
    """Find the number of a name in a closed registry."""
    for number, known in names.items():
        if known == name:
            return number
    raise BadRequest(f"unknown name {name!r}")
