#!/usr/bin/env python3
"""Holds the Kaitai Struct description against the test vectors.

    run.py FOLDER_OF_GENERATED_MODULES [FOLDER_OF_VECTORS]

Every valid vector must parse, leave no byte over, and mean what its "decoded" says. Invalid vectors are
passed over: the description does not check most of what makes them invalid (see blazedb_relay.ksy).
run.sh generates the modules and calls this.
"""

import json
import sys
import zlib
from pathlib import Path

if len(sys.argv) not in (2, 3):
    sys.exit(__doc__)

# The modules are a product of the build, so there is no package to import them from.
sys.path.insert(0, str(Path(sys.argv[1]).resolve()))

from kaitaistruct import BytesIO, KaitaiStream, KaitaiStruct  # noqa: E402
from blazedb_block import BlazedbBlock  # noqa: E402
from blazedb_query import BlazedbQuery  # noqa: E402
from blazedb_record import BlazedbRecord  # noqa: E402
from blazedb_relay import BlazedbRelay  # noqa: E402

TAG = BlazedbRecord.ValueTag
OP = BlazedbQuery.ExpressionOp


class Unknown:
    """Stands where the description cannot tell: it is equal to everything."""


UNKNOWN = Unknown()


# --- Meaning as JSON (test-vectors/README.md), from the parsed objects ---


def number(n):
    # Through int, because how an enum prints differs between versions of Python.
    return str(int(n))


def uuid(raw):
    h = raw.hex()
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))


def timestamp(t):
    return {"counter": number(t.counter), "node": uuid(t.node)}


def position(p):
    return {"epoch": number(p.epoch), "seq": number(p.seq)}


def entries(body):
    return [[entry.key.text, value(entry.value)] for entry in body.entries]


def value(v):
    tag, body = v.tag, v.body
    if tag in (TAG.null, TAG.removed):
        return {"type": tag.name}
    if tag == TAG.bool:
        return {"type": "bool", "value": body.truth == 1}
    if tag in (TAG.int, TAG.small_int):
        return {"type": "int", "value": number(body.number)}
    if tag in (TAG.double, TAG.date):
        return {"type": tag.name, "bits": "%016x" % body.float.bits}
    if tag == TAG.empty_string:
        return {"type": "string", "value": ""}
    if tag == TAG.string or tag >= TAG.inline_string_1:
        return {"type": "string", "value": body.text}
    if tag == TAG.uuid:
        return {"type": "uuid", "value": uuid(body.uuid)}
    if tag in (TAG.data, TAG.sealed):
        return {"type": tag.name, "hex": body.data.hex()}
    if tag == TAG.empty_array:
        return {"type": "array", "items": []}
    if tag == TAG.array:
        return {"type": "array", "items": [value(item) for item in body.items]}
    if tag == TAG.empty_dictionary:
        return {"type": "dictionary", "entries": []}
    if tag in (TAG.dictionary, TAG.patch):
        return {"type": tag.name, "entries": entries(body)}
    if tag == TAG.counter:
        return {"type": "counter", "base": timestamp(body.base), "total": number(body.total)}
    if tag == TAG.vector:
        return {"type": "vector", "bits": ["%08x" % element.bits for element in body.elements]}
    raise ValueError(f"no JSON for {tag!r}")


def field_name(field):
    if field.common_name is None:
        return field.other_name.text
    first, *rest = field.common_name.name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def fields(f):
    return [[field_name(field), value(field.value)] for field in f.fields]


def record(r):
    return {"version": number(r.version), "fields": fields(r.fields)}


def op(o):
    return {
        "node": uuid(o.node), "node_seq": number(o.id.node_seq.value), "timestamp": timestamp(o.timestamp),
        "kind": o.op_type.name, "record": uuid(o.record), "collection": o.collection.text,
        "previous": timestamp(o.previous) if o.has_previous else None, "fields": fields(o.fields),
    }


def block(b):
    if b.is_lz4:
        # What is compressed stays unread. The header still says how many operations there are.
        ops = [UNKNOWN] * b.num_ops
    else:
        ops = [op(row.op) for row in b.payload.rows]
    return {
        "encoding": b.encoding.name, "compressed": b.is_lz4, "holes": b.has_holes, "node": uuid(b.node),
        "first_node_seq": number(b.first_node_seq.value), "span": number(b.span), "ops": ops,
    }


def flags(header):
    # The other bits are 0, or the header has not parsed.
    return number(header.more)


def frame(f):
    return {
        "flags": flags(f.header), "type": number(f.header.message_type),
        "request_id": number(f.header.request_id), "fields": f.fields.hex(), "blocks": f.blocks.hex(),
    }


def numbers(items):
    return [number(item) for item in items.items]


def collections(items):
    return [item.text for item in items.items]


def limits(items):
    return [{"id": number(limit.id), "value": number(limit.value)} for limit in items.items]


def path(p):
    return {"source": number(p.source), "components": [component.text for component in p.components]}


def expression(e):
    name, body = e.op.name.rstrip("_"), e.body
    if e.op == OP.all:
        return {"op": name}
    if e.op in (OP.and_, OP.or_):
        return {"op": name, "of": [expression(operand) for operand in body.expressions]}
    if e.op == OP.not_:
        return {"op": name, "of": expression(body.expression)}
    said = {"op": name, "path": path(body.path)}
    if e.op == OP.in_:
        said["values"] = [value(v) for v in body.values]
    elif e.op == OP.between:
        said.update(low=value(body.low), high=value(body.high))
    elif e.op == OP.starts_with:
        said["text"] = body.text.text
    elif e.op != OP.exists:
        said["value"] = value(body.value)
    return said


def join(j):
    return {"kind": j.kind.name, "collection": j.collection.text, "left": path(j.left), "right": path(j.right)}


def sort_key(k):
    if k.kind == BlazedbQuery.SortKind.path:
        return {"path": path(k.path), "direction": k.direction.name}
    return {"aggregate": number(k.aggregate), "direction": k.direction.name}


def query(q):
    return {
        "collection": q.collection.text, "after": position(q.after), "joins": [join(j) for j in q.joins],
        "filter": expression(q.filter), "group_by": [path(p) for p in q.group_by],
        "aggregates": [{"function": a.function.name, "path": path(a.path)} for a in q.aggregates],
        "projection": [path(p) for p in q.projection], "sort": [sort_key(k) for k in q.sort],
        "limit": number(q.limit), "cursor": q.cursor.data.hex(),
    }


def query_response(f):
    cells, columns = [value(cell) for cell in f.cells], f.num_columns
    return {
        "at": position(f.at), "columns": number(columns),
        "rows": [cells[i * columns : (i + 1) * columns] for i in range(f.num_rows)],
        "cursor": f.cursor.data.hex(),
    }


def push_ack_entry(e):
    # The fields of the three kinds have the names that JSON has.
    keys = {"accepted": ("epoch", "first_seq", "last_seq"), "refused": ("code", "index"), "later": ("wait",)}
    name = e.status.name
    return {"status": name, **{key: number(getattr(e.body, key)) for key in keys[name]}}


# What a message says beside its type, request id, flag more, extensions and blocks.
MESSAGES = {
    "handshake": lambda f: {
        "protocol": f.protocol.text, "min_version": number(f.min_version), "max_version": number(f.max_version),
        "database": f.database.text, "node": uuid(f.node), "node_key": f.node_key.hex(),
        "highest_given_out": number(f.highest_given_out), "seen": [position(p) for p in f.seen],
        "public_key": f.public_key.data.hex(), "capabilities": numbers(f.capabilities),
        "authentication_method": number(f.authentication_method),
        "authentication": f.authentication.data.hex(), "limits": limits(f.limits),
    },
    "welcome": lambda f: {
        "version": number(f.version), "capabilities": numbers(f.capabilities),
        "epochs": [{"epoch": number(e.epoch), "begins": number(e.begins)} for e in f.epochs],
        "agreed": position(f.agreed), "restore_mode": f.restore_mode.name, "mark": number(f.mark),
        "check": "%08x" % f.check, "head": position(f.head), "limits": limits(f.limits),
        "heartbeat_interval": number(f.heartbeat_interval), "relay_time": number(f.relay_time),
    },
    "sync_state_request": lambda f: {},
    "sync_state": lambda f: {
        "head": position(f.head), "operations": number(f.operations), "nodes": number(f.nodes),
        "live_records": number(f.live_records), "collections": number(f.collections),
    },
    "pull_request": lambda f: {
        "from": position(f.from_position), "collections": collections(f.collections),
        "max_operations": number(f.max_operations), "max_bytes": number(f.max_bytes),
    },
    "pull_response": lambda f: {
        "next": position(f.next), "has_more": f.has_more == 1, "first_seqs": numbers(f.first_seqs),
    },
    "push": lambda f: {"ids_check": "%08x" % f.ids_check},
    "push_ack": lambda f: {"entries": [push_ack_entry(e) for e in f.entries]},
    "subscribe": lambda f: {
        "subscription": number(f.subscription), "from": position(f.from_position), "window": number(f.window),
        "collections": collections(f.collections),
    },
    "unsubscribe": lambda f: {"subscription": number(f.subscription)},
    "update": lambda f: {
        "subscription": number(f.subscription), "previous": position(f.previous),
        "new": position(f.new_position), "first_seqs": numbers(f.first_seqs),
    },
    "update_ack": lambda f: {
        "subscription": number(f.subscription), "position": position(f.position), "window": number(f.window),
    },
    "query": lambda f: query(f.query),
    "query_response": query_response,
    "authenticate": lambda f: {"method": number(f.method), "authentication": f.authentication.data.hex()},
    "authenticate_ack": lambda f: {"valid_for": number(f.valid_for)},
    "ping": lambda f: {"nonce": number(f.nonce)},
    "pong": lambda f: {"nonce": number(f.nonce)},
    "error": lambda f: {
        "code": number(f.code), "scope": f.scope.name, "retry_after": number(f.retry_after), "text": f.text.text,
    },
    "goodbye": lambda f: {
        "reason": number(f.reason), "reconnect_after": number(f.reconnect_after), "jitter": number(f.jitter),
    },
}


def message(m):
    kind = m.header.message_type
    if not isinstance(kind, BlazedbRelay.MessageType):
        return {
            "type": "unknown", "code": number(kind), "flags": flags(m.header),
            "request_id": number(m.header.request_id), "fields": m.fields.hex(), "blocks": m.blocks.hex(),
        }
    said = {
        "type": kind.name, "request_id": number(m.header.request_id), "more": m.header.more,
        "extensions": [
            {"type": number(e.extension_type), "hex": e.content.data.hex()} for e in m.fields.extensions.items
        ],
        **MESSAGES[kind.name](m.fields),
    }
    if isinstance(m.blocks, BlazedbRelay.BlockList):
        said["blocks"] = [block(b) for b in m.blocks.blocks]
        counts = {"push": "num_blocks", "pull_response": "first_seqs", "update": "first_seqs"}
        count = getattr(m.fields, counts[kind.name])
        count = count if isinstance(count, int) else count.num_items
        # MSG-6 needs a look here, because the JSON of a push does not repeat its count.
        if count != len(said["blocks"]):
            raise ValueError(f"{count} blocks announced, {len(said['blocks'])} present")
    elif m.blocks:
        raise ValueError("blocks on a message that has none")
    return said


TARGETS = {
    "value": (BlazedbRecord.Value, value),
    "record": (BlazedbRecord, record),
    "op": (BlazedbBlock.Op, op),
    "block": (BlazedbBlock, block),
    "frame": (BlazedbRelay.Frame, frame),
    "message": (BlazedbRelay.Message, message),
}


# --- The vectors ---


def input_of(parts):
    """The bytes of a vector's hex: a string, an object, or a list of these."""
    data = bytearray()
    for part in parts if isinstance(parts, list) else [parts]:
        if isinstance(part, str):
            data += bytes.fromhex(part)
        elif "crc32" in part:
            last = int(part["crc32"])
            data += zlib.crc32(data[len(data) - last :]).to_bytes(4, "big")
        else:
            data += bytes.fromhex(part["repeat"]) * int(part["times"])
    return bytes(data)


def check_consumed(node):
    """Every part with a length of its own has its own stream, and each must be at its end."""
    if isinstance(node, list):
        for item in node:
            check_consumed(item)
    elif isinstance(node, KaitaiStruct):
        if not node._io.is_eof():
            raise ValueError(f"bytes left over at {node._io.pos()} after {type(node).__name__}")
        for name, child in vars(node).items():
            if not name.startswith("_"):
                check_consumed(child)


def difference(at, built, stated):
    """Where two JSON values differ first, or None."""
    if built is UNKNOWN:
        return None
    if isinstance(built, dict) and isinstance(stated, dict):
        if built.keys() != stated.keys():
            return f"{at}: keys {sorted(built)}, stated {sorted(stated)}"
        pairs = [(f"{at}.{key}", built[key], stated[key]) for key in built]
    elif isinstance(built, list) and isinstance(stated, list):
        if len(built) != len(stated):
            return f"{at}: {len(built)} items, stated {len(stated)}"
        pairs = [(f"{at}[{i}]", *both) for i, both in enumerate(zip(built, stated))]
    else:
        # The types too, because to Python true and 1 are equal.
        same = type(built) is type(stated) and built == stated
        return None if same else f"{at}: {built!r:.200}, stated {stated!r:.200}"
    return next(filter(None, (difference(*pair) for pair in pairs)), None)


def run_test(target, test):
    kind, to_json = TARGETS[target]
    data = input_of(test["hex"])
    parsed = kind(KaitaiStream(BytesIO(data)))
    check_consumed(parsed)
    built = to_json(parsed)
    # Very large inputs come without their meaning; that they parse has been seen.
    if "decoded" in test:
        found = difference("decoded", built, test["decoded"])
        if found:
            raise ValueError(found)


def main():
    vectors = Path(sys.argv[2]) if len(sys.argv) == 3 else Path(__file__).resolve().parent.parent
    # 64 values may be open at once, and each takes several calls here.
    sys.setrecursionlimit(5000)
    passed = failed = invalid = 0
    for listed in json.loads((vectors / "MANIFEST.json").read_text("utf-8"))["files"]:
        if listed["target"] not in TARGETS:  # Merge vectors are not about bytes.
            continue
        file = json.loads((vectors / listed["path"]).read_text("utf-8"))
        tests = [test for group in file["groups"] for test in group["tests"]]
        if len(tests) != int(listed["number_of_tests"]):
            print(f"FAILED {listed['path']}: {len(tests)} tests, the manifest says {listed['number_of_tests']}")
            failed += 1
        for test in tests:
            if test["result"] != "valid":
                invalid += 1
                continue
            try:
                run_test(file["target"], test)
                passed += 1
            except Exception as error:  # Whatever goes wrong with one vector, the others still run.
                print(f"FAILED {test['id']}: {type(error).__name__}: {error}")
                failed += 1
    print(f"{passed} passed, {failed} failed ({invalid} invalid vectors not run)")
    # That nothing ran is not a success either.
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
