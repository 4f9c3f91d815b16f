#!/usr/bin/env python3
"""Run all vectors of test-vectors/MANIFEST.json through this implementation.

Exits with 1 if a vector fails.  Offsets are compared.
"""

import argparse
import hashlib
import itertools
import json
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

from blazedb_wire.codec import decode, encode, reencode
from blazedb_wire.context import Context
from blazedb_wire.errors import BadRequest, DecodeError
from blazedb_wire.merge import merge

ROOT = Path(__file__).resolve().parent.parent


def parts(form: str | dict | list) -> list:
    """Give the parts of a list; anything else is its own only part."""
    return form if isinstance(form, list) else [form]


def join_hex(form: str | dict | list) -> bytes:
    """Give the bytes of `hex`: a string, an object, or a list of such parts."""
    data = bytearray()
    for part in parts(form):
        if isinstance(part, str):
            data += bytes.fromhex(part)
        elif "crc32" in part:
            covered = data[len(data) - int(part["crc32"]) :]
            data += zlib.crc32(covered).to_bytes(4, "big")
        else:
            data += bytes.fromhex(part["repeat"]) * int(part["times"])
    return bytes(data)


def check_valid(
    target: str, test: dict, data: bytes, context: Context
) -> Iterator[str]:
    """Yield what is wrong with the answer to a valid vector."""
    canonical = data
    if test["canonical"] != "same":
        canonical = join_hex(test["canonical"])
    value = decode(target, data, context)
    if "decoded" in test and value != test["decoded"]:
        yield f"decoded to {json.dumps(value)[:400]}"
    if reencode(target, value) != canonical:
        yield "does not encode to the same bytes again"
    if encode(target, test.get("decoded", value), context) != canonical:
        yield "the value stated does not encode to these bytes"


def check(target: str, test: dict, context: Context) -> Iterator[str]:
    """Yield what is wrong with the answer to a vector."""
    data = join_hex(test["hex"])
    layout = [part for _name, piece in test.get("layout", []) for part in parts(piece)]
    if layout and join_hex(layout) != data:
        yield "the layout does not join to the hex"
    try:
        if test["result"] == "valid":
            yield from check_valid(target, test, data, context)
        else:
            decode(target, data, context)
            yield f"accepted, but {test['error']} was expected"
    except DecodeError as error:
        if test["result"] == "valid":
            yield f"rejected with {error}"
        elif {"code": error.code, "offset": error.offset} != test["error"]:
            yield f"{error}, but {test['error']} was expected"
    except BadRequest as error:
        yield f"the JSON form was not understood: {error}"


def check_merge(test: dict) -> Iterator[str]:
    """Yield what is wrong in the first order in which something is."""
    ops, orders = test["ops"], test["orders"]
    if orders == "all":
        orders = itertools.permutations(range(len(ops)))
    for order in orders:
        state = merge([ops[index] for index in (*order, *order)])
        if state != test["expect"]:
            yield f"in the order {list(order)}: {json.dumps(state)[:400]}"
            return


def run_file(entry: dict, root: Path) -> tuple[int, int]:
    """Run one file; give the numbers of passed and failed vectors."""
    raw = (root / entry["path"]).read_bytes()
    passed = failed = 0
    if hashlib.sha256(raw).hexdigest() != entry["sha256"]:
        print(f"FAIL {entry['path']}: its SHA-256 is not that of the manifest")
        failed += 1
    file = json.loads(raw)
    number = 0
    for group in file["groups"]:
        context = Context.from_json(group.get("context"))
        for test in group["tests"]:
            number += 1
            if file["target"] == "merge":
                problems = list(check_merge(test))
            else:
                problems = list(check(file["target"], test, context))
            for problem in problems:
                print(f"FAIL {test['id']}: {problem}")
            passed, failed = passed + (not problems), failed + bool(problems)
    if not number == file["number_of_tests"] == entry["number_of_tests"]:
        print(f"FAIL {entry['path']}: holds {number} tests, not as many as it says")
        failed += 1
    return passed, failed


def main() -> int:
    """Run what the manifest names, or those of its files that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, default=ROOT / "MANIFEST.json")
    parser.add_argument("paths", nargs="*", help="only files whose path has this in it")
    arguments = parser.parse_args()
    if not arguments.manifest.is_file():
        parser.error(f"there is no {arguments.manifest}")
    manifest = json.loads(arguments.manifest.read_bytes())
    passed = failed = 0
    for entry in manifest["files"]:
        if entry["target"].startswith("session/"):  # It has neither end.
            continue
        wanted = arguments.paths
        if wanted and not any(part in entry["path"] for part in wanted):
            continue
        good, bad = run_file(entry, arguments.manifest.parent)
        passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
