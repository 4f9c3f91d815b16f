"""Tests of messages and queries; tests.py runs them too."""

import unittest

from blazedb_wire.codec import build, decode, reencode
from blazedb_wire.frames import build_frame
from blazedb_wire.messages import CODES
from samples import (
    DEFAULT,
    HANDSHAKE,
    MESSAGES,
    NIL,
    NOTHING,
    OTHER,
    PULL_RESPONSE,
    QUERY,
    RESPONSE,
    START,
    TITLE,
    WELCOME,
    Case,
    block,
    compressed,
    hexed,
    message,
    op,
    push,
)


class Messages(Case):
    def test_round_trips(self) -> None:
        self.assertEqual({m["type"] for m in MESSAGES}, set(CODES))
        for value in MESSAGES:
            with self.subTest(value["type"]):
                self.round_trip("message", value)
                self.refuses(
                    "message",
                    {**value, "extensions": [{"type": "90", "hex": ""}]},
                    "UNKNOWN_EXTENSION",
                    self.extensions_at(value) + 1,
                )

    def extensions_at(self, value: dict) -> int:
        """The offset of the extension block, which is one byte if empty."""
        data = build("message", {**value, "extensions": []})
        return 16 + int.from_bytes(data[8:12], "big") - 1

    def test_unknown(self) -> None:
        skipped = {
            "type": "unknown",
            "code": "91",
            "flags": "1",
            "request_id": "5",
            "fields": "ff",
            "blocks": "ff",
        }
        self.round_trip("message", skipped)
        self.refuses("message", {**skipped, "code": "90"}, "UNKNOWN_MESSAGE", 2)
        self.refuses("message", {**skipped, "flags": "2"}, "UNKNOWN_FLAG", 1)

    def test_envelope(self) -> None:
        ping = bytes(8) + b"\0"
        frame = build_frame
        self.rejects("message", frame(1, 0x22, 0, ping, b""), "UNKNOWN_FLAG", 1)
        self.rejects("message", frame(0, 0x22, 1, ping, b""), "BAD_REQUEST_ID", 4)
        self.rejects("message", frame(0, 0x06, 0, b"\0", b""), "BAD_REQUEST_ID", 4)
        self.rejects("message", frame(0, 0x22, 0, ping, b"x"), "UNEXPECTED_BLOCKS", 12)
        self.rejects(
            "message", frame(0, 0x22, 0, ping + b"x", b""), "TRAILING_BYTES", 25
        )
        self.rejects("message", frame(0, 0x22, 0, ping[:-1], b""), "TRUNCATED", 24)
        self.refuses("message", QUERY, "NOT_NEGOTIATED", 2, NOTHING)

    def test_handshake(self) -> None:
        def bad(code: str, offset: int, **changes: object) -> None:
            self.refuses("message", {**HANDSHAKE, **changes}, code, offset)

        bad("BAD_MAGIC", 17, protocol="other")
        bad("TOO_LONG", 16, protocol="x" * 33)
        bad("OUT_OF_ORDER", 36, min_version="257")
        bad("EMPTY", 38, database="")
        bad("TOO_LONG", 38, database="x" * 65)
        bad("BAD_NAME", 39, database="-x")
        bad("BAD_NAME", 39, database="aX")
        bad("BAD_NODE", 46, node=NIL)
        bad("BAD_NODE_SEQ", 78, highest_given_out=str(1 << 48))
        seen = HANDSHAKE["seen"]
        bad("DUPLICATE", 103, seen=[seen[0], seen[0]])
        bad("BAD_POSITION", 87, seen=[START])
        bad("TOO_MANY", 86, seen=[START] * 17)
        bad("OUT_OF_ORDER", 124, capabilities=["17", "16"])
        bad("DUPLICATE", 124, capabilities=["17", "17"])
        bad("NON_CANONICAL", 130, authentication_method="0")
        bad("TOO_LONG", 119, public_key="00" * 1025)

    def test_welcome(self) -> None:
        def bad(code: str, offset: int, **changes: object) -> None:
            self.refuses("message", {**WELCOME, **changes}, code, offset)

        first, second = WELCOME["epochs"]
        bad("EMPTY", 21, epochs=[])
        bad("DUPLICATE", 38, epochs=[first, first])
        bad("OUT_OF_ORDER", 46, epochs=[second, first])
        bad("NON_CANONICAL", 79, mark="0")
        bad("OUT_OF_RANGE", 120, heartbeat_interval="999")
        bad("DUPLICATE", 110, limits=[{"id": "1", "value": "1"}] * 2)

    def test_push(self) -> None:
        one = len(build("block", block()))
        start = 16 + 7 + 4
        second = start + one

        def with_count(value: dict, count: int) -> bytes:
            data = build("message", value)
            fields = count.to_bytes(2, "big") + data[18:23]
            return build_frame(0, 0x0E, 1, fields, data[start:])

        good = push()
        self.rejects("message", with_count(good, 0), "EMPTY", 16)
        self.rejects("message", with_count(good, 1025), "TOO_MANY", 16)
        self.rejects("message", with_count(good, 2), "TRUNCATED", second)
        twice = push(block(op(1)), block(op(2)))
        self.rejects("message", with_count(twice, 1), "TRAILING_BYTES", second)
        self.refuses("message", {**good, "ids_check": "00000000"}, "BAD_IDS_CHECK", 18)
        gap = push(block(op(1)), block(op(3)))
        self.refuses("message", gap, "NOT_CONTIGUOUS", second + 6)
        mixed = push(block(), block(op(2, node=OTHER), node=OTHER))
        self.refuses("message", mixed, "MIXED_NODES", second + 12)
        holes = push(block(holes=True, span="2"))
        self.refuses("message", holes, "NOT_CONTIGUOUS", start + 1)

    def test_compressed_push(self) -> None:
        value = push()
        data = build("message", value)
        packed = build_frame(0, 0x0E, 1, data[16:23], compressed(data[27:]))
        decoded = decode("message", packed, DEFAULT)
        self.assertTrue(decoded["blocks"][0]["compressed"])
        self.assertEqual(reencode("message", decoded), data)

    def test_push_ack(self) -> None:
        def bad(code: str, offset: int, *entries: dict) -> None:
            value = message("push_ack", 1, entries=list(entries))
            self.refuses("message", value, code, offset)

        def accepted(epoch: int, first: int, last: int) -> dict:
            numbers = (str(epoch), str(first), str(last))
            names = ("epoch", "first_seq", "last_seq")
            return {"status": "accepted", **dict(zip(names, numbers, strict=True))}

        bad("EMPTY", 16)
        bad("BAD_POSITION", 19, accepted(0, 1, 1))
        bad("BAD_POSITION", 27, accepted(1, 0, 1))
        bad("BAD_POSITION", 27, accepted(1, 1 << 53, 1 << 53))
        bad("BAD_POSITION", 35, accepted(1, 2, 1))
        bad("BAD_POSITION", 35, accepted(1, 2, 1 << 53))
        bad("OUT_OF_ORDER", 23, {"status": "later", "wait": "1"}, accepted(1, 1, 1))

    def test_small_codes(self) -> None:
        sorry = MESSAGES[-2]
        self.refuses("message", {**sorry, "request_id": "0"}, "BAD_REQUEST_ID", 4)
        fields = hexed("0258 03 00000000 00 00")
        self.rejects(
            "message", build_frame(0, 0x26, 1, fields, b""), "UNKNOWN_CODE", 18
        )
        cut = hexed("0258 01")
        self.rejects("message", build_frame(0, 0x26, 0, cut, b""), "BAD_REQUEST_ID", 4)

    def test_positions(self) -> None:
        wrong = {"epoch": "0", "seq": "1"}
        ack = message("update_ack", subscription="1", position=wrong, window="5")
        self.refuses("message", ack, "BAD_POSITION", 20)
        bad = {**PULL_RESPONSE, "first_seqs": ["0"]}
        self.refuses("message", bad, "BAD_POSITION", 35)


class Queries(Case):
    FILTER_AT = 16 + 5 + 16 + 1

    def bad(self, code: str, offset: int, **changes: object) -> None:
        plain = {
            **QUERY,
            "joins": [],
            "filter": {"op": "all"},
            "group_by": [],
            "aggregates": [],
            "sort": [],
        }
        self.refuses("message", {**plain, **changes}, code, offset)

    def test_filters(self) -> None:
        leaf = {"op": "exists", "path": TITLE}
        at = self.FILTER_AT
        self.bad("UNKNOWN_CODE", at + 1, filter={"op": "not", "of": {"op": "all"}})
        self.bad("EMPTY", at + 1, filter={"op": "and", "of": []})
        deep = leaf
        for _ in range(17):
            deep = {"op": "not", "of": deep}
        self.bad("TOO_DEEP", at + 16, filter=deep)
        self.round_trip("message", {**QUERY, "filter": deep["of"]})
        half = {"op": "or", "of": [leaf] * 127}
        full = {"op": "or", "of": [half, half["of"][0], {"op": "not", "of": leaf}]}
        full["of"] += [leaf] * 124
        self.round_trip("message", {**QUERY, "filter": full})
        size = 1 + 1 + 1 + 2 + 5
        over = {"op": "or", "of": [*full["of"], leaf]}
        leaves = 127 + 1 + 1 + 124
        self.bad("TOO_MANY", at + 2 + 2 + 1 + leaves * size, filter=over)
        misplaced = {"op": "equal", "path": TITLE, "value": {"type": "removed"}}
        self.bad("MISPLACED_VALUE", at + size, filter=misplaced)
        outside = {"op": "exists", "path": {"source": "1", "components": []}}
        self.bad("OUT_OF_RANGE", at + 1, filter=outside)
        many = {"op": "in", "path": TITLE, "values": [{"type": "null"}] * 1001}
        self.bad("TOO_MANY", at + size, filter=many)

    def test_parts(self) -> None:
        rest = self.FILTER_AT + 1
        count = {"function": "count", "path": TITLE}
        self.bad("NON_CANONICAL", rest + 11, group_by=[TITLE], projection=[TITLE])
        self.bad("NON_CANONICAL", rest + 12, aggregates=[count], projection=[TITLE])
        self.bad("TOO_MANY", rest, group_by=[TITLE] * 9)
        key = {"aggregate": "0", "direction": "ascending"}
        self.bad("OUT_OF_RANGE", rest + 5, sort=[key])
        self.bad("OUT_OF_RANGE", rest + 4, limit="10001")
        self.bad("TOO_LONG", rest + 8, cursor="00" * 1025)
        join = {"kind": "inner", "collection": "a", "left": TITLE, "right": TITLE}
        self.bad("OUT_OF_RANGE", self.FILTER_AT + 12, joins=[join])

    def test_response(self) -> None:
        more = {**RESPONSE, "more": True}
        self.refuses("message", more, "NON_CANONICAL", 39)
        self.round_trip("message", {**more, "cursor": ""})
        nested = {"type": "array", "items": [{"type": "removed"}]}
        rows = [[nested, nested]]
        self.refuses("message", {**RESPONSE, "rows": rows}, "MISPLACED_VALUE", 39)


if __name__ == "__main__":
    unittest.main()
