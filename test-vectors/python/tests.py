"""Tests with bytes worked out by hand from SPEC.md: `python3 tests.py`.

The tests of messages are in tests_messages.py and run with these.
"""

import contextlib
import hashlib
import io
import json
import random
import tempfile
import unittest
from pathlib import Path

import harness
import run_vectors
from blazedb_wire import limits, lz4
from blazedb_wire.codec import build, decode, encode, reencode
from blazedb_wire.context import Context
from blazedb_wire.errors import BadRequest, DecodeError
from blazedb_wire.frames import build_frame
from blazedb_wire.primitives import derive_id
from samples import (
    CELL,
    DEFAULT,
    FIELD,
    MESSAGES,
    NIL,
    NODE,
    NOTHING,
    OTHER,
    Case,
    block,
    compressed,
    crc,
    hexed,
    message,
    op,
    stamp,
)
from tests_messages import Messages, Queries  # noqa: F401


class Values(Case):
    def value(self, text: str, context: Context = DEFAULT) -> dict:
        data = bytes.fromhex(text)
        value = decode("value", data, context)
        self.assertEqual(encode("value", value, context), data)
        return value

    def bad(
        self, text: str, code: str, offset: int, context: Context = DEFAULT
    ) -> None:
        self.rejects("value", bytes.fromhex(text), code, offset, context)

    def test_examples_of_the_text(self) -> None:
        self.assertEqual(self.value("122a"), {"type": "int", "value": "42"})
        self.assertEqual(
            self.value("02 ffffffffffffffff"), {"type": "int", "value": "-1"}
        )
        self.assertEqual(
            self.value("25 48656c6c6f"), {"type": "string", "value": "Hello"}
        )
        self.assertEqual(
            self.value("0d 0001 0001 78 0c", FIELD),
            {"type": "patch", "entries": [["x", {"type": "removed"}]]},
        )

    def test_every_type(self) -> None:
        for text in (
            "01 00000010" + "61" * 16,
            "02 8000000000000000",
            "03 7ff8000000000001",
            "0400",
            "05" + "ff" * 16,
            "06 8000000000000000",
            "07 00000000",
            "08 0002 0b 18",
            "09 0002 0000 19 0001 00 11",
            "0f 0000",
            "0f 0001 7fc00001",
            "10 00000001 00",
            "2f" + "61" * 15,
        ):
            with self.subTest(text):
                self.value(text)
        self.value("0e" + "00" * 24 + "ff" * 8, FIELD)
        self.value("0c", CELL)

    def test_tags(self) -> None:
        for tag in (0x00, 0x13, 0x17, 0x1A, 0x20, 0x30, 0xFF):
            self.bad(f"{tag:02x}", "UNKNOWN_TAG", 0)
        self.bad("0a", "LEGACY_VECTOR", 0)
        self.bad("", "TRUNCATED", 0)

    def test_shortest_form(self) -> None:
        self.bad("01 0000000f" + "61" * 15, "NON_CANONICAL", 0)
        self.bad("01 00000001 ff", "BAD_UTF8", 5)
        self.bad("02 00000000000000ff", "NON_CANONICAL", 0)
        self.bad("08 0000", "NON_CANONICAL", 0)
        self.bad("09 0000", "NON_CANONICAL", 0)
        self.bad("0d 0000", "EMPTY", 1, FIELD)
        self.bad("10 00000000", "EMPTY", 1)

    def test_lengths(self) -> None:
        self.bad("07 000f0001", "TOO_LONG", 1)
        self.bad("07 000f0000", "TRUNCATED", 5)
        self.bad("07 000f", "TRUNCATED", 1)
        self.bad("0402", "BAD_BOOL", 1)
        self.bad("22 c080", "BAD_UTF8", 1)
        self.bad("23 eda080", "BAD_UTF8", 1)
        self.bad("0f 0002 00000000 0000", "TRUNCATED", 3)
        self.bad("0b 0b", "TRAILING_BYTES", 1)

    def test_keys(self) -> None:
        self.bad("09 0002 0001 61 0b 0001 61 0b", "DUPLICATE", 7)
        self.bad("09 0002 0002 6162 0b 0001 61 0b", "OUT_OF_ORDER", 8)
        self.value("09 0002 0001 61 0b 0002 6162 0b")

    def test_depth(self) -> None:
        self.value("080001" * 64 + "0b")
        self.value("080001" * 64 + "18")
        self.bad("080001" * 65 + "0b", "TOO_DEEP", 64 * 3)
        self.bad("080001" * 100_000, "TOO_DEEP", 64 * 3)

    def test_places(self) -> None:
        patch_in_patch = "0d 0001 0000 0d 0001 0000 0c"
        self.value(patch_in_patch, FIELD)
        self.bad(patch_in_patch, "MISPLACED_VALUE", 0)
        self.bad(patch_in_patch, "MISPLACED_VALUE", 0, CELL)
        self.bad("08 0001 0c", "MISPLACED_VALUE", 3, FIELD)
        self.bad("08 0001 0c", "MISPLACED_VALUE", 3, CELL)
        self.bad("0d 0001 0000 08 0001 0c", "MISPLACED_VALUE", 8, FIELD)
        plain_only = Context(frozenset(), position="field")
        self.bad("0c", "NOT_NEGOTIATED", 0, plain_only)
        self.bad("08 0001 0c", "MISPLACED_VALUE", 3, plain_only)

    def test_bases(self) -> None:
        for base in (
            "0000000000000000" + "11" * 16,
            "0000000000000001" + "00" * 16,
            "0020000000000000" + "11" * 16,
        ):
            self.bad("0e" + base + "00" * 8, "BAD_TIMESTAMP", 1, FIELD)

    def test_json_that_is_none(self) -> None:
        for value in (
            None,
            [],
            {"type": "int"},
            {"type": "int", "value": 1},
            {"type": "int", "value": "01"},
            {"type": "int", "value": str(1 << 63)},
            {"type": "string", "value": "\ud800"},
            {"type": "array", "items": [[]]},
            {"type": ["array"]},
            {"type": "data", "hex": "AB"},
        ):
            with self.subTest(value), self.assertRaises(BadRequest):
                encode("value", value, DEFAULT)


class Records(Case):
    RECORD = {
        "version": "2",
        "fields": [
            ["id", {"type": "uuid", "value": NODE}],
            ["priority", {"type": "int", "value": "5"}],
            ["status", {"type": "string", "value": "open"}],
            ["title", {"type": "string", "value": "Fix login bug"}],
        ],
    }

    def test_worked_bug(self) -> None:
        data = hexed(
            "424c415a45 01 0004",
            "01 05 550e8400e29b41d4a716446655440000",
            "09 12 05",
            "08 24 6f70656e",
            "06 2d 466978206c6f67696e20627567",
        )
        self.assertEqual(len(data), 50)
        self.assertEqual(
            encode("record", {**self.RECORD, "version": "1"}, DEFAULT), data
        )
        self.assertEqual(len(self.round_trip("record", self.RECORD)), 54)

    def test_check_value_of_the_crc(self) -> None:
        self.assertEqual(crc(b"123456789"), bytes.fromhex("cbf43926"))

    def bad(self, text: str, code: str, offset: int) -> None:
        self.rejects("record", b"BLAZE" + bytes.fromhex(text), code, offset)

    def test_heads(self) -> None:
        self.rejects("record", b"XX", "TRUNCATED", 0)
        self.rejects("record", b"XXXXX", "BAD_MAGIC", 0)
        self.rejects("record", bytes(limits.MAX_RECORD + 1), "TOO_LONG", 0)
        self.bad("", "TRUNCATED", 5)
        self.bad("03", "UNSUPPORTED_VERSION", 5)
        self.bad("01 00", "TRUNCATED", 6)
        self.bad("02 0000 000000", "TRUNCATED", 6)
        self.bad("02 0000 00000000", "BAD_CHECKSUM", 8)
        self.bad("01 0000 00", "TRAILING_BYTES", 8)

    def test_keys(self) -> None:
        self.bad("01 0001 00 0b", "UNKNOWN_KEY", 8)
        self.bad("01 0001 3b 0b", "UNKNOWN_KEY", 8)
        self.bad("01 0001 ff 0002 6964 0b", "NON_CANONICAL", 8)
        self.bad("01 0001 ff 0000 0b", "EMPTY", 9)
        self.bad("01 0001 ff 0100 0b", "TOO_LONG", 9)
        self.bad("01 0002 01 0b 01 0b", "DUPLICATE", 10)
        self.bad("01 0002 01 0b 02 0b", "OUT_OF_ORDER", 10)  # createdAt < id
        self.bad("01 0001 01 0c", "MISPLACED_VALUE", 9)


class Operations(Case):
    def test_derived_id(self) -> None:
        node = bytes.fromhex(NODE.replace("-", ""))
        self.assertEqual(
            derive_id(node, 42), hexed("00000000002a", "81d4a716446655440000")
        )

    def test_sizes_of_the_text(self) -> None:
        bug = op(
            fields=[
                ["priority", {"type": "int", "value": "5"}],
                ["status", {"type": "string", "value": "open"}],
                ["title", {"type": "string", "value": "Fix login bug"}],
            ]
        )
        self.assertEqual(len(self.round_trip("op", bug)), 110)
        smallest = op(kind="delete", fields=[], collection="b")
        self.assertEqual(len(self.round_trip("op", smallest)), 83)

    def patched(self, value: dict, offset: int, text: str) -> bytes:
        data = bytearray(build("op", value))
        new = bytes.fromhex(text)
        data[offset : offset + len(new)] = new
        return bytes(data[:-4]) + crc(bytes(data[:-4]))

    def test_rules(self) -> None:
        data = build("op", op())
        self.rejects("op", data[:82], "TRUNCATED", 0)
        self.rejects("op", b"\x02" + data[1:], "UNSUPPORTED_VERSION", 0)
        self.rejects("op", data + b"\0", "BAD_CHECKSUM", len(data) - 3)
        self.rejects("op", bytes(limits.MAX_OP + 1), "TOO_LONG", 0)
        body = data[:-4] + b"\0"
        self.rejects("op", body + crc(body), "TRAILING_BYTES", len(data) - 4)
        for offset, text, code, at in (
            (1, "02", "UNKNOWN_FLAG", 1),
            (2, "000000000000", "BAD_NODE_SEQ", 2),
            (8, "91", "BAD_OP_ID", 2),
            (18, "0000000000000000", "BAD_TIMESTAMP", 18),
            (18, "0020000000000000", "BAD_TIMESTAMP", 18),
            (26, "00" * 16, "BAD_NODE", 26),
            (42, "00" * 16, "BAD_NODE", 42),
            (58, "00", "UNKNOWN_OP_TYPE", 58),
            (1, "01", "BAD_PREVIOUS", 1),
            (75, "00", "EMPTY", 75),
            (75, "81", "TOO_LONG", 75),
            (76, "ff", "BAD_UTF8", 76),
            (80, "0000", "NO_FIELDS", 80),
            (80, "0002", "TRUNCATED", 97),
            (58, "03", "FIELDS_ON_DELETE", 80),
        ):
            with self.subTest(code=code, offset=offset):
                self.rejects("op", self.patched(op(), offset, text), code, at)

    def test_previous(self) -> None:
        self.round_trip("op", op(kind="update", previous=stamp(6)))
        self.refuses("op", op(kind="update", previous=stamp(7)), "BAD_PREVIOUS", 80)
        self.refuses("op", op(kind="update", previous=stamp(0)), "BAD_TIMESTAMP", 80)
        self.refuses("op", op(kind="update", previous=stamp(6, NIL)), "BAD_NODE", 88)

    def test_base(self) -> None:
        def counter(base: dict) -> dict:
            value = {"type": "counter", "base": base, "total": "-5"}
            return op(fields=[["count", value]])

        self.round_trip("op", counter(stamp(0, NIL)))
        self.round_trip("op", counter(stamp(6)))
        self.refuses("op", counter(stamp(7)), "BAD_BASE", 84)
        self.refuses("op", counter(stamp(6)), "NOT_NEGOTIATED", 83, NOTHING)


class Blocks(Case):
    def test_round_trips(self) -> None:
        self.round_trip("block", block())
        self.round_trip("block", block(op(5), op(6)))
        self.round_trip(
            "block", block(op(2), op(4), holes=True, span="5", first_node_seq="1")
        )

    def test_header(self) -> None:
        data = build("block", block())
        self.rejects("block", b"", "TRUNCATED", 0)
        self.rejects("block", data[:20], "TRUNCATED", 0)
        self.rejects("block", data[:36], "TRUNCATED", 36)
        self.rejects("block", data + b"\0", "TRAILING_BYTES", len(data))
        self.rejects("block", b"\x02" + data[1:], "BAD_CHECKSUM", 32)
        for offset, text, code, at in (
            (0, "02", "UNKNOWN_ENCODING", 0),
            (1, "04", "UNKNOWN_FLAG", 1),
            (2, "0000", "EMPTY", 2),
            (4, "0002", "NOT_CONTIGUOUS", 4),
            (1, "02", "NOT_CONTIGUOUS", 4),
            (6, "000000000000", "BAD_NODE_SEQ", 6),
            (12, "00" * 16, "BAD_NODE", 12),
            (28, "00100001", "TOO_LONG", 28),
        ):
            with self.subTest(code=code, offset=offset):
                head = bytearray(data[:32])
                new = bytes.fromhex(text)
                head[offset : offset + len(new)] = new
                changed = bytes(head) + crc(bytes(head)) + data[36:]
                self.rejects("block", changed, code, at)

    def test_highest_node_seq(self) -> None:
        top = limits.MAX_NODE_SEQ
        self.round_trip("block", block(op(top)))
        self.refuses("block", block(op(top), op(top)), "BAD_NODE_SEQ", 6)

    def test_rows(self) -> None:
        size = len(build("op", op()))
        second = 36 + 4 + size + 4
        self.refuses("block", block(op(1), op(3)), "NOT_CONTIGUOUS", second + 2)
        self.refuses(
            "block", block(op(1), op(2, node=OTHER)), "MIXED_NODES", second + 42
        )
        holes = {"holes": True, "span": "5", "first_node_seq": "1"}
        self.refuses(
            "block", block(op(2), op(2), **holes), "NOT_CONTIGUOUS", second + 2
        )
        self.refuses(
            "block", block(op(2), op(6), **holes), "NOT_CONTIGUOUS", second + 2
        )

    def test_lz4(self) -> None:
        raw = build("block", block(op(1), op(2)))
        packed = compressed(raw)
        value = decode("block", packed, DEFAULT)
        self.assertTrue(value["compressed"])
        self.assertEqual(reencode("block", value), raw)
        self.assertEqual(encode("block", value, DEFAULT), raw)
        self.rejects("block", packed, "NOT_NEGOTIATED", 1, NOTHING)
        size = len(raw) - 36
        self.rejects("block", compressed(raw, 0), "EMPTY", 36)
        self.rejects("block", compressed(raw, limits.MAX_BLOCK + 1), "TOO_LONG", 36)
        self.rejects("block", compressed(raw, size + 1), "BAD_COMPRESSION", 36)
        self.rejects("block", compressed(raw, size - 1), "BAD_COMPRESSION", 36)
        self.rejects("block", compressed(raw, size, b""), "BAD_COMPRESSION", 36)
        self.rejects("block", compressed(raw, 1, b"\x10\x00"), "TRUNCATED", 36)
        wrong = build("block", block(op(1), op(3)))
        self.rejects("block", compressed(wrong), "NOT_CONTIGUOUS", 36)

    def test_raw_lz4(self) -> None:
        # "a", then 20 bytes from one back (15 + 1 + 4), then "b".
        self.assertEqual(
            lz4.decompress(hexed("1f 61 0100 01 10 62"), 22), b"a" * 21 + b"b"
        )
        # "abc", then 7 bytes from three back, then nothing.
        self.assertEqual(lz4.decompress(hexed("33 616263 0300 00"), 10), b"abcabcabca")
        for text, size in (
            ("", 1),
            ("10", 1),
            ("1f 61 0000 01 10 62", 22),
            ("1f 61 0200 01 10 62", 22),
            ("1f 61 01", 22),
            ("1f 61 0100", 22),
            ("1f 61 0100 01", 21),
            ("f0 ff", 1 << 20),
            ("1f 61 0100" + "ff" * 5000 + "00 00", 1000),
        ):
            with self.subTest(text[:20]), self.assertRaises(lz4.BadBlock):
                lz4.decompress(bytes.fromhex(text), size)


class Frames(Case):
    def test_ping(self) -> None:
        head = hexed("01 00 0022 00000000 00000009 00000000", "0000000000000001 00")
        data = head + crc(head)
        self.assertEqual(encode("message", message("ping", nonce="1"), DEFAULT), data)
        self.assertEqual(
            decode("frame", data, DEFAULT),
            {
                "flags": "0",
                "type": "34",
                "request_id": "0",
                "fields": "000000000000000100",
                "blocks": "",
            },
        )

    def test_rules(self) -> None:
        data = build_frame(0, 0x22, 0, b"abc", b"defg")
        self.rejects("frame", b"", "TRUNCATED", 0)
        self.rejects("frame", b"\x02", "UNSUPPORTED_VERSION", 0)
        self.rejects("frame", b"\x01\x02", "UNKNOWN_FLAG", 1)
        self.rejects("frame", data[:10], "TRUNCATED", 8)
        self.rejects("frame", data[:18], "TRUNCATED", 16)
        self.rejects("frame", data[:21], "TRUNCATED", 19)
        self.rejects("frame", data[:24], "TRUNCATED", 23)
        self.rejects("frame", data + b"\0", "TRAILING_BYTES", len(data))
        self.rejects("frame", data[:16] + b"x" + data[17:], "BAD_CHECKSUM", 19)

    def test_limits(self) -> None:
        def sizes(fields: int, blocks: int) -> bytes:
            head = bytes.fromhex("0100002200000000")
            return head + fields.to_bytes(4, "big") + blocks.to_bytes(4, "big")

        for phase, limit in (("handshake", 65_536), ("session", 1_052_672)):
            context = Context(phase=phase)
            self.rejects("frame", sizes(limit - 20, 0), "TRUNCATED", 16, context)
            self.rejects("frame", sizes(limit - 19, 0), "TOO_LONG", 8, context)
            self.rejects("frame", sizes(0, limit - 19), "TOO_LONG", 12, context)
            self.rejects("frame", sizes(0xFFFFFFFF, 0xFFFFFFFF), "TOO_LONG", 8, context)


class Hostile(Case):
    def test_no_input_crashes(self) -> None:
        """Change valid inputs, mend their checksums, and see only `DecodeError`."""
        chance = random.Random(1)
        samples = [("record", build("record", Records.RECORD))]
        samples += [("op", build("op", op())), ("block", build("block", block()))]
        samples += [("message", build("message", m)) for m in MESSAGES]
        accepted = 0
        for _ in range(20_000):
            target, good = chance.choice(samples)
            data = bytearray(good)
            for _ in range(chance.randint(1, 3)):
                data[chance.randrange(len(data))] = chance.randrange(256)
            if chance.random() < 0.2:
                del data[chance.randrange(len(data)) :]
            self.mend(target, data)
            try:
                value = decode(target, bytes(data), DEFAULT)
            except DecodeError as error:
                self.assertLessEqual(error.offset, len(data))
            else:
                accepted += 1
                self.assertEqual(reencode(target, value), bytes(data))  # NOT-2
        self.assertGreater(accepted, 100)

    @staticmethod
    def mend(target: str, data: bytearray) -> None:
        """Put the right checksum where the outermost one stands."""
        if target == "message" and len(data) >= 20:
            end = 16 + int.from_bytes(data[8:12], "big")
            if end + 4 <= len(data):
                data[end : end + 4] = crc(bytes(data[:end]))
        elif target == "block" and len(data) >= 36:
            data[32:36] = crc(bytes(data[:32]))
        elif target in ("op", "record") and len(data) >= 12:
            data[-4:] = crc(bytes(data[:-4]))


class Harness(Case):
    def ask(self, line: str) -> dict:
        return harness.answer(line.encode())

    def test_requests(self) -> None:
        answer = self.ask('{"id":7,"op":"decode","target":"value","hex":"122a"}')
        value = {"type": "int", "value": "42"}
        self.assertEqual(answer, {"id": 7, "ok": {"value": value, "reencoded": "122a"}})
        answer = self.ask('{"id":7,"op":"decode","target":"value","hex":"0a"}')
        self.assertEqual(
            answer, {"id": 7, "err": {"code": "LEGACY_VECTOR", "offset": 0}}
        )
        request = {"id": 8, "op": "encode", "target": "value", "value": value}
        self.assertEqual(
            self.ask(json.dumps(request)), {"id": 8, "ok": {"hex": "122a"}}
        )

    def test_what_it_does_not_understand(self) -> None:
        for line in (
            "",
            "[]",
            "{",
            '{"id":1}',
            '{"id":1,"op":"decode","target":"value","hex":"1"}',
            '{"id":1,"op":"decode","target":"x","hex":"11"}',
            '{"id":1,"op":"decode","target":"value","hex":"11","context":{"phase":[]}}',
            '{"id":1,"op":"encode","target":"value","value":' + "[" * 100_000,
            '{"id":1,"op":"encode","target":"message","value":{"type":"push","blocks":5}}',
        ):
            with self.subTest(line[:60]):
                code = self.ask(line)["err"]["code"]
                self.assertEqual(code, "BAD_REQUEST")

    def test_runner(self) -> None:
        tests = [
            {
                "id": "value/a",
                "hex": ["0100000010", {"repeat": "61", "times": "16"}],
                "layout": [["tag", "01"], ["length", "00000010"], ["text", "61" * 16]],
                "result": "valid",
                "canonical": "same",
            },
            {
                "id": "value/b",
                "hex": "02000000000000002a",
                "result": "invalid",
                "error": {"code": "NON_CANONICAL", "offset": 0},
            },
            {
                "id": "value/c",
                "hex": "0a",
                "result": "invalid",
                "error": {"code": "LEGACY_VECTOR", "offset": 1},
            },
        ]
        file = {"target": "value", "number_of_tests": 3, "groups": [{"tests": tests}]}
        raw = json.dumps(file).encode()
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "file.json").write_bytes(raw)
            entry = {
                "path": "file.json",
                "number_of_tests": 3,
                "sha256": hashlib.sha256(raw).hexdigest(),
            }
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                result = run_vectors.run_file(entry, Path(folder))
            self.assertEqual(result, (2, 1))
            self.assertIn("value/c", printed.getvalue())

    def test_parts_of_hex(self) -> None:
        form = ["00", {"repeat": "313233343536373839", "times": "1"}, {"crc32": 9}]
        self.assertEqual(run_vectors.join_hex(form)[-4:].hex(), "cbf43926")


if __name__ == "__main__":
    unittest.main()
