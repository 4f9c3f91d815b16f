"""Query and query response (SPEC.md 7.13 and 7.14)."""

from . import limits
from .errors import BadRequest, Code, DecodeError
from .jsonform import as_int, as_list, as_text, code_of, member
from .kinds import NAME, POSITION, write_list
from .reader import Reader
from .values import CELL, PLAIN, read_value, write_value
from .writer import Writer

JOIN_KINDS = {1: "inner", 2: "left"}
FUNCTIONS = {1: "count", 2: "sum", 3: "avg", 4: "min", 5: "max"}
SORT_PATH, SORT_AGGREGATE = 1, 2
SORT_KINDS = {SORT_PATH: "path", SORT_AGGREGATE: "aggregate"}
DIRECTIONS = {1: "ascending", 2: "descending"}
EXPRESSIONS = {
    0x00: "all",
    0x01: "and",
    0x02: "or",
    0x03: "not",
    0x10: "equal",
    0x11: "not_equal",
    0x12: "less",
    0x13: "less_or_equal",
    0x14: "greater",
    0x15: "greater_or_equal",
    0x16: "in",
    0x17: "between",
    0x18: "contains",
    0x19: "starts_with",
    0x1A: "exists",
}
COMBINING = ("and", "or", "not")


# Decoding


def read_query(reader: Reader) -> dict:
    """Read the fields of a query up to its cursor."""
    query: dict = {"collection": NAME.read(reader), "after": POSITION.read(reader)}
    number = reader.count(1, limits.MAX_JOINS)  # QRY-1
    query["joins"] = [_read_join(reader, i) for i in range(1, number + 1)]

    def path(source: Reader) -> dict:
        return read_path(source, 0, number)

    query["filter"] = read_expression(reader, number)
    count = reader.count(1, limits.MAX_GROUP_BY)
    query["group_by"] = reader.items(count, path)
    count = reader.count(1, limits.MAX_AGGREGATES)
    query["aggregates"] = reader.items(
        count, lambda r: {"function": r.code(FUNCTIONS), "path": path(r)}
    )
    at = reader.pos
    count = reader.count(1, limits.MAX_PROJECTION)
    if count and (query["group_by"] or query["aggregates"]):
        raise DecodeError(Code.NON_CANONICAL, at)  # QRY-9
    query["projection"] = reader.items(count, path)
    count = reader.count(1, limits.MAX_SORT)
    aggregates = len(query["aggregates"])
    query["sort"] = [_read_sort_key(reader, number, aggregates) for _ in range(count)]
    at = reader.pos
    limit = reader.uint(4)
    if limit > limits.MAX_ROWS:
        raise DecodeError(Code.OUT_OF_RANGE, at)  # QRY-11
    query["limit"] = str(limit)
    return query


def _read_join(reader: Reader, number: int) -> dict:
    """Read join `number`: left from a source before it, right its own (QRY-4)."""
    return {
        "kind": reader.code(JOIN_KINDS),
        "collection": NAME.read(reader),
        "left": read_path(reader, 0, number - 1),
        "right": read_path(reader, number, number),
    }


def read_path(reader: Reader, lowest: int, highest: int) -> dict:
    """Read a path whose source lies within bounds (QRY-3, QRY-4)."""
    at = reader.pos
    source = reader.uint(1)
    if not lowest <= source <= highest:
        raise DecodeError(Code.OUT_OF_RANGE, at)
    components = reader.items(
        reader.count(1, limits.MAX_PATH),
        lambda r: r.text(2, limits.MAX_PATH_COMPONENT, empty=False),
    )
    return {"source": str(source), "components": components}


def _read_sort_key(reader: Reader, joins: int, aggregates: int) -> dict:
    """Read a sort key (QRY-2, QRY-10)."""
    key: dict = {}
    if reader.code(SORT_KINDS) == "path":
        key["path"] = read_path(reader, 0, joins)
    else:
        at = reader.pos
        index = reader.uint(1)
        if index >= aggregates:
            raise DecodeError(Code.OUT_OF_RANGE, at)
        key["aggregate"] = str(index)
    key["direction"] = reader.code(DIRECTIONS)
    return key


def read_expression(reader: Reader, joins: int) -> dict:
    """Read a filter; what is open waits in a list of at most 16 (QRY-7)."""
    stack: list[list] = []  # of [name, operands so far, number of operands]
    ops = 0
    while True:
        at = reader.pos
        op = reader.uint(1)
        ops += 1
        if ops > limits.MAX_FILTER_OPS:
            raise DecodeError(Code.TOO_MANY, at)  # QRY-7, before the op's meaning
        name = EXPRESSIONS.get(op)
        if name is None or (name == "all" and stack):
            raise DecodeError(Code.UNKNOWN_CODE, at)  # QRY-2, QRY-5
        if name in COMBINING:
            if len(stack) == limits.MAX_FILTER_DEPTH:
                raise DecodeError(Code.TOO_DEEP, at)  # QRY-7, after it
            number = 1 if name == "not" else reader.count(1, empty=False)  # QRY-6
            stack.append([name, [], number])
            continue
        node = _read_leaf(reader, name, joins)
        while stack:
            name, operands, number = stack[-1]
            operands.append(node)
            if len(operands) < number:
                break
            stack.pop()
            node = {"op": name, "of": operands[0] if name == "not" else operands}
        else:
            return node


def _read_leaf(reader: Reader, name: str, joins: int) -> dict:
    """Read what stands behind an op without expressions inside."""
    node: dict = {"op": name}
    if name == "all":
        return node
    node["path"] = read_path(reader, 0, joins)
    match name:
        case "exists":
            pass
        case "in":
            number = reader.count(2, limits.MAX_IN_VALUES, empty=False)  # QRY-6
            node["values"] = [read_value(reader, PLAIN) for _ in range(number)]
        case "between":
            node["low"] = read_value(reader, PLAIN)  # QRY-8 by PLAIN
            node["high"] = read_value(reader, PLAIN)
        case "starts_with":
            node["text"] = reader.text(2, limits.MAX_FILTER_TEXT)  # QRY-13
        case _:
            node["value"] = read_value(reader, PLAIN)
    return node


def read_response(reader: Reader) -> dict:
    """Read the fields of a query response up to its cursor."""
    position = POSITION.read(reader)
    columns = reader.count(2, limits.MAX_COLUMNS, empty=False)  # QRY-14
    number = reader.count(2, limits.MAX_ROWS)
    rows = []
    for _ in range(number):
        rows.append([read_value(reader, CELL) for _ in range(columns)])  # QRY-15
    return {"at": position, "columns": str(columns), "rows": rows}


# Encoding


def write_query(out: Writer, obj: object) -> None:
    """Write the fields of a query up to its cursor."""
    NAME.write(out, member(obj, "collection"))
    POSITION.write(out, member(obj, "after"))
    write_list(out, 1, member(obj, "joins"), _write_join)
    write_expression(out, member(obj, "filter"))
    write_list(out, 1, member(obj, "group_by"), write_path)
    write_list(out, 1, member(obj, "aggregates"), _write_aggregate)
    write_list(out, 1, member(obj, "projection"), write_path)
    write_list(out, 1, member(obj, "sort"), _write_sort_key)
    out.uint(4, as_int(member(obj, "limit")))


def _write_join(out: Writer, obj: object) -> None:
    out.uint(1, code_of(member(obj, "kind"), JOIN_KINDS))
    NAME.write(out, member(obj, "collection"))
    write_path(out, member(obj, "left"))
    write_path(out, member(obj, "right"))


def write_path(out: Writer, obj: object) -> None:
    """Write the JSON form of a path."""
    out.uint(1, as_int(member(obj, "source")))
    write_list(
        out, 1, member(obj, "components"), lambda o, text: o.text(2, as_text(text))
    )


def _write_aggregate(out: Writer, obj: object) -> None:
    out.uint(1, code_of(member(obj, "function"), FUNCTIONS))
    write_path(out, member(obj, "path"))


def _write_sort_key(out: Writer, obj: object) -> None:
    if isinstance(obj, dict) and "path" in obj:
        out.uint(1, SORT_PATH)
        write_path(out, obj["path"])
    else:
        out.uint(1, SORT_AGGREGATE)
        out.uint(1, as_int(member(obj, "aggregate")))
    out.uint(1, code_of(member(obj, "direction"), DIRECTIONS))


def write_expression(out: Writer, obj: object) -> None:
    """Write a filter; what is still to be written waits in a list."""
    pending = [obj]
    while pending:
        node = pending.pop()
        name = member(node, "op")
        out.uint(1, code_of(name, EXPRESSIONS))
        if name == "not":
            pending.append(member(node, "of"))
        elif name in COMBINING:
            operands = as_list(member(node, "of"))
            out.uint(1, len(operands))
            pending.extend(reversed(operands))
        elif name != "all":
            write_path(out, member(node, "path"))
            _write_operands(out, name, node)


def _write_operands(out: Writer, name: object, node: object) -> None:
    """Write what stands behind the path of a comparison."""
    match name:
        case "exists":
            pass
        case "in":
            write_list(out, 2, member(node, "values"), write_value)
        case "between":
            write_value(out, member(node, "low"))
            write_value(out, member(node, "high"))
        case "starts_with":
            out.text(2, as_text(member(node, "text")))
        case _:
            write_value(out, member(node, "value"))


def write_response(out: Writer, obj: object) -> None:
    """Write the fields of a query response up to its cursor."""
    POSITION.write(out, member(obj, "at"))
    columns = as_int(member(obj, "columns"))
    rows = as_list(member(obj, "rows"))
    out.uint(2, columns)
    out.uint(2, len(rows))
    for row in rows:
        if len(as_list(row)) != columns:
            raise BadRequest("a row does not have a cell for each column")
        for cell in row:
            write_value(out, cell)
