#!/usr/bin/env python3
"""The harness protocol of test-vectors/README.md on standard input and output."""

import json
import sys

from blazedb_wire.codec import TARGETS, decode, encode, reencode
from blazedb_wire.context import Context
from blazedb_wire.errors import BadRequest, DecodeError
from blazedb_wire.jsonform import as_bytes, as_text, member
from blazedb_wire.merge import merge

BAD_REQUEST = {"err": {"code": "BAD_REQUEST", "offset": 0}}


def respond(request: dict) -> dict:
    """Carry out one request and give the answer without its id."""
    operation = member(request, "op")
    if operation == "targets":
        return {"ok": {"targets": [*TARGETS, "merge"]}}
    if operation == "merge":
        return {"ok": {"state": merge(member(request, "ops"))}}
    target = as_text(member(request, "target"))
    context = Context.from_json(request.get("context"))
    if operation == "decode":
        value = decode(target, as_bytes(member(request, "hex")), context)
        data = reencode(target, value)
        return {"ok": {"value": value, "reencoded": data and data.hex()}}
    if operation == "encode":
        data = encode(target, member(request, "value"), context)
        return {"ok": {"hex": data.hex()}}
    raise BadRequest("unknown op")


def answer(line: bytes) -> dict:
    """Answer one line; whatever it holds, there is exactly one answer."""
    request = None
    try:
        request = json.loads(line)
        result = respond(request)
    except DecodeError as error:
        result = {"err": {"code": str(error.code), "offset": error.offset}}
    except (BadRequest, ValueError, RecursionError):
        # ValueError covers text that is not JSON; the JSON parser itself is
        # what runs out of stack when a line nests too deeply.
        result = BAD_REQUEST
    request_id = request.get("id") if isinstance(request, dict) else None
    return {"id": request_id, **result}


def main() -> None:
    """Answer line by line until the input ends."""
    for line in sys.stdin.buffer:
        print(json.dumps(answer(line), separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main()
