"""The merge (SPEC.md 12), with the names that the text uses.

A path is a tuple: collection, record, name of a field, keys.  Values have the
JSON form of README.md.  NOTHING is None, which is no value.
"""

from collections.abc import Iterator

from .context import Context
from .jsonform import as_int, as_list, as_uuid
from .ops import decode_op, encode_op
from .primitives import NEVER, Timestamp
from .values import write_value
from .writer import Writer

Path = tuple
Value = dict

LEAST, GREATEST = -(2**63), 2**63 - 1


def encoding(value: Value) -> bytes:
    """Encode a value, as ties are decided by its bytes."""
    out = Writer()
    write_value(out, value)
    return bytes(out.data)


def timestamp_of(obj: dict) -> Timestamp:
    """Get a timestamp or never, which compare as 3.2 says."""
    return as_int(obj["counter"]), as_uuid(obj["node"])


def entries_of(value: Value | None) -> dict | None:
    """Get the entries of a dictionary; None for everything else."""
    if value is None or value["type"] != "dictionary":
        return None
    return dict(value["entries"])


def in_order(entries: dict) -> list:
    """Order entries by the bytes of their keys."""
    return sorted(map(list, entries.items()), key=lambda entry: entry[0].encode())


class State:
    """Registers and counters: the two maps of 12.1.  Nothing is dropped."""

    def __init__(self) -> None:
        self.registers: dict[Path, tuple[Timestamp, Value]] = {}
        self.counters: dict[Path, dict[tuple, tuple[Timestamp, int]]] = {}
        self.children: dict[Path, set] = {}

    def apply(self, op: dict) -> None:
        """Merge an operation, which is legal."""
        record = (op["collection"], op["record"])
        timestamp = timestamp_of(op["timestamp"])
        if op["kind"] == "delete":
            self.put(record, timestamp, {"type": "removed"})
        for name, value in op["fields"]:
            self.write((*record, name), timestamp, value)

    def write(self, path: Path, timestamp: Timestamp, value: Value) -> None:
        """Write what stands at a path of an operation."""
        if value["type"] == "patch":
            for key, inner in value["entries"]:
                self.write((*path, key), timestamp, inner)
        elif value["type"] == "counter":
            base, total = timestamp_of(value["base"]), as_int(value["total"])
            self.put_counter(path, timestamp[1], base, timestamp, total)
        else:
            self.put(path, timestamp, value)

    def put(self, path: Path, timestamp: Timestamp, value: Value) -> None:
        """Keep the greater register (MRG-2)."""
        self.know(path)
        there = self.registers.get(path)
        if there is None or (timestamp, encoding(value)) > (
            there[0],
            encoding(there[1]),
        ):
            self.registers[path] = timestamp, value

    def put_counter(
        self,
        path: Path,
        node: bytes,
        base: Timestamp,
        timestamp: Timestamp,
        total: int,
    ) -> None:
        """Keep the greater counter (MRG-3)."""
        self.know(path)
        counters = self.counters.setdefault(path, {})
        there = counters.get((node, base))
        if there is None or (timestamp, total) > there:
            counters[node, base] = timestamp, total

    def know(self, path: Path) -> None:
        """Make a path a child of the one above, up to the record."""
        while len(path) > 2:
            self.children.setdefault(path[:-1], set()).add(path[-1])
            path = path[:-1]
        self.children.setdefault(path, set())

    def top(self, path: Path) -> Timestamp:
        """Find the greatest timestamp of the registers at and above (MRG-10)."""
        above = (self.registers.get(path[:end]) for end in range(2, len(path) + 1))
        return max((register[0] for register in above if register), default=NEVER)

    def is_seen(self, path: Path) -> bool:
        """Tell whether there is a register that nothing above hides (MRG-9)."""
        register = self.registers.get(path)
        return register is not None and register[0] > self.top(path[:-1])

    def totals(self, path: Path) -> list[int]:
        """Give the totals of the counters that count."""
        top = self.top(path)
        counters = self.counters.get(path, {}).items()
        return [total for (_node, base), (_, total) in counters if base == top]

    def is_alive(self, path: Path) -> bool:
        """Tell whether something is seen or counts at the path or below."""
        return (
            self.is_seen(path)
            or bool(self.totals(path))
            or any(True for _ in self.alive_children(path))
        )

    def alive_children(self, path: Path) -> Iterator[str]:
        """Give the last components of the children that are alive."""
        for key in self.children.get(path, ()):
            if self.is_alive((*path, key)):
                yield key

    def content(self, path: Path, above: Value | None) -> Value | None:
        """Compute the content of a path (12.5)."""
        # Step 1.
        handed_down = entries_of(above)
        if self.is_seen(path):
            x = self.registers[path][1]
            if x["type"] == "removed":
                x = None
        elif handed_down is not None:
            x = handed_down.get(path[-1])
        else:
            x = None
        # Step 2.
        totals = self.totals(path)
        if totals and (x is None or x["type"] == "int"):
            total = sum(totals) + (as_int(x["value"]) if x else 0)
            total = min(max(total, LEAST), GREATEST)
            x = {"type": "int", "value": str(total)}
        # Step 3.
        entries = entries_of(x)
        for key in self.alive_children(path):
            child = self.content((*path, key), x)
            if child is not None:
                entries = {} if entries is None else entries
                entries[key] = child
            elif entries is not None:
                entries.pop(key, None)
        if entries is None:
            return x
        return {"type": "dictionary", "entries": in_order(entries)}

    def fields(self, collection: str, record: str) -> list:
        """Give names and contents of the fields of a record; none: not there."""
        path = (collection, record)
        fields = {}
        for name in self.alive_children(path):
            content = self.content((*path, name), None)
            if content is not None:
                fields[name] = content
        return in_order(fields)

    def json(self) -> dict:
        """Give the JSON form of all live records."""
        state: dict[str, dict] = {}
        for collection, record in (p for p in self.children if len(p) == 2):
            fields = self.fields(collection, record)
            if fields:
                state.setdefault(collection, {})[record] = fields
        return state


def merge(ops: object) -> dict:
    """Merge operations in this order; they are checked first."""
    checked = []
    for op in as_list(ops):
        checked.append(decode_op(encode_op(op), Context.from_json(None)))
    state = State()
    for op in checked:
        state.apply(op)
    return state.json()
