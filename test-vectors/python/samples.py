"""What the tests share: sample operations, blocks and messages, and checks."""

import unittest
import zlib

from blazedb_wire.codec import build, decode, encode, reencode
from blazedb_wire.context import Context
from blazedb_wire.errors import DecodeError
from blazedb_wire.messages import ids_check

DEFAULT = Context()
FIELD = Context(position="field")
CELL = Context(position="cell")
NOTHING = Context(capabilities=frozenset())

NODE = "550e8400-e29b-41d4-a716-446655440000"
OTHER = "650e8400-e29b-41d4-a716-446655440000"
NIL = "00000000-0000-0000-0000-000000000000"
START = {"epoch": "0", "seq": "0"}
TITLE = {"source": "0", "components": ["title"]}


def crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big")


def hexed(*parts: str) -> bytes:
    return bytes.fromhex("".join(parts))


def stamp(counter: int, node: str = NODE) -> dict:
    return {"counter": str(counter), "node": node}


def op(node_seq: int = 1, **changes: object) -> dict:
    return {
        "node": NODE,
        "node_seq": str(node_seq),
        "timestamp": stamp(7),
        "kind": "insert",
        "record": OTHER,
        "collection": "bugs",
        "previous": None,
        "fields": [["title", {"type": "string", "value": "Fix login bug"}]],
        **changes,
    }


def block(*ops: dict, **changes: object) -> dict:
    ops = ops or (op(),)
    return {
        "encoding": "rows",
        "compressed": False,
        "holes": False,
        "node": NODE,
        "first_node_seq": ops[0]["node_seq"],
        "span": str(len(ops)),
        "ops": list(ops),
        **changes,
    }


def compressed(raw: bytes, size: int | None = None, body: bytes | None = None) -> bytes:
    """Turn a block's bytes into one with flag LZ4, all of it literals."""
    payload = raw[36:]
    if body is None:
        rest = len(payload) - 15
        body = b"\xf0" + b"\xff" * (rest // 255) + bytes([rest % 255]) + payload
    size = len(payload) if size is None else size
    payload = size.to_bytes(4, "big") + body
    head = raw[:1] + bytes([raw[1] | 1]) + raw[2:28] + len(payload).to_bytes(4, "big")
    return head + crc(head) + payload


def message(name: str, request_id: int = 0, **fields: object) -> dict:
    return {
        "type": name,
        "request_id": str(request_id),
        "more": False,
        "extensions": [],
        **fields,
    }


def push(*blocks: dict) -> dict:
    blocks = blocks or (block(),)
    return message("push", 1, ids_check=ids_check(list(blocks)), blocks=list(blocks))


HANDSHAKE = message(
    "handshake",
    protocol="blazedb-relay/1.0",
    min_version="256",
    max_version="256",
    database="my-db.1",
    node=NODE,
    node_key="00" * 16,
    highest_given_out="9",
    seen=[{"epoch": "5", "seq": "3"}, {"epoch": "4", "seq": "8"}],
    public_key="",
    capabilities=["17", "21", "91"],
    authentication_method="1",
    authentication="746f6b",
    limits=[{"id": "13", "value": "65536"}],
    extensions=[{"type": "91", "hex": "00"}],
)
WELCOME = message(
    "welcome",
    version="256",
    capabilities=["17"],
    epochs=[{"epoch": "5", "begins": "3"}, {"epoch": "4", "begins": "0"}],
    agreed={"epoch": "5", "seq": "3"},
    restore_mode="keep",
    mark="9",
    check="cbf43926",
    head={"epoch": "5", "seq": "30"},
    limits=[{"id": "1", "value": "1"}, {"id": "3", "value": "2"}],
    heartbeat_interval="30000",
    relay_time="1700000000000",
)
QUERY = message(
    "query",
    3,
    collection="bugs",
    after=START,
    joins=[
        {
            "kind": "left",
            "collection": "users",
            "left": {"source": "0", "components": ["userId"]},
            "right": {"source": "1", "components": []},
        }
    ],
    filter={
        "op": "and",
        "of": [
            {"op": "not", "of": {"op": "exists", "path": TITLE}},
            {"op": "in", "path": TITLE, "values": [{"type": "null"}]},
            {
                "op": "between",
                "path": TITLE,
                "low": {"type": "int", "value": "1"},
                "high": {"type": "int", "value": "999"},
            },
            {"op": "or", "of": [{"op": "starts_with", "path": TITLE, "text": ""}]},
            {"op": "not_equal", "path": TITLE, "value": {"type": "array", "items": []}},
        ],
    },
    group_by=[TITLE],
    aggregates=[{"function": "count", "path": {"source": "1", "components": []}}],
    projection=[],
    sort=[
        {"path": TITLE, "direction": "ascending"},
        {"aggregate": "0", "direction": "descending"},
    ],
    limit="100",
    cursor="",
)
RESPONSE = message(
    "query_response",
    3,
    at={"epoch": "5", "seq": "3"},
    columns="2",
    rows=[[{"type": "removed"}, {"type": "int", "value": "1"}]],
    cursor="ff",
)
PULL_RESPONSE = message(
    "pull_response",
    3,
    next={"epoch": "5", "seq": "3"},
    has_more=True,
    first_seqs=["1"],
    blocks=[block(op(2), op(4), holes=True, span="5", first_node_seq="1")],
)
MESSAGES = [
    HANDSHAKE,
    WELCOME,
    QUERY,
    RESPONSE,
    PULL_RESPONSE,
    push(block(op(1), op(2)), block(op(3))),
    message("sync_state_request", 1),
    message(
        "sync_state",
        1,
        head=START,
        operations="0",
        nodes="1",
        live_records="2",
        collections="3",
    ),
    message(
        "pull_request",
        1,
        **{"from": START},
        collections=["a", "ab", "b"],
        max_operations="0",
        max_bytes="9",
    ),
    message(
        "push_ack",
        1,
        entries=[
            {"status": "accepted", "epoch": "1", "first_seq": "1", "last_seq": "2"},
            {"status": "refused", "code": "301", "index": "0"},
            {"status": "later", "wait": "100"},
        ],
    ),
    message(
        "subscribe", 1, subscription="1", **{"from": START}, window="0", collections=[]
    ),
    message("unsubscribe", subscription="1"),
    message(
        "update", subscription="1", previous=START, new=START, first_seqs=[], blocks=[]
    ),
    message("update_ack", subscription="1", position=START, window="5"),
    message("authenticate", 1, method="0", authentication=""),
    message("authenticate_ack", 1, valid_for="0"),
    message("ping", nonce="1"),
    message("pong", nonce="1"),
    message("error", 1, code="600", scope="request", retry_after="0", text="sorry"),
    message("goodbye", reason="0", reconnect_after="0", jitter="0"),
]


class Case(unittest.TestCase):
    """Short ways to say what bytes must give."""

    def rejects(
        self,
        target: str,
        data: bytes,
        code: str,
        offset: int,
        context: Context = DEFAULT,
    ) -> None:
        with self.assertRaises(DecodeError) as caught:
            decode(target, data, context)
        error = caught.exception
        self.assertEqual((str(error.code), error.offset), (code, offset))

    def refuses(
        self,
        target: str,
        value: dict,
        code: str,
        offset: int,
        context: Context = DEFAULT,
    ) -> None:
        self.rejects(target, build(target, value), code, offset, context)

    def round_trip(self, target: str, value: dict, context: Context = DEFAULT) -> bytes:
        data = encode(target, value, context)
        decoded = decode(target, data, context)
        self.assertEqual(decoded, value)
        self.assertEqual(reencode(target, decoded), data)
        return data
