meta:
  id: blazedb_query
  title: Queries of the BlazeDB Relay protocol
  endian: be
  ks-version: 0.11
  imports:
    - blazedb_record
doc: |
  The fields of a query (SPEC.md 7.13) up to its extensions, which blazedb_relay.ksy adds as it does for
  every message. The cells of a query response need nothing but values and stand there.
doc-ref: SPEC.md 7.13

seq:
  - id: collection
    type: blazedb_record::text8
  - id: after
    type: blazedb_record::position
  - id: num_joins
    type: u1
  - id: joins
    type: join
    repeat: expr
    repeat-expr: num_joins
  - id: filter
    type: expression
  - id: num_group_by
    type: u1
  - id: group_by
    type: path
    repeat: expr
    repeat-expr: num_group_by
  - id: num_aggregates
    type: u1
  - id: aggregates
    type: aggregate
    repeat: expr
    repeat-expr: num_aggregates
  - id: num_projection
    type: u1
  - id: projection
    type: path
    repeat: expr
    repeat-expr: num_projection
  - id: num_sort
    type: u1
  - id: sort
    type: sort_key
    repeat: expr
    repeat-expr: num_sort
  - id: limit
    type: u4
  - id: cursor
    type: blazedb_record::bytes16

types:
  path:
    doc: The name of a field, then keys of dictionaries. No component means the record's id.
    seq:
      - id: source
        type: u1
      - id: num_components
        type: u1
      - id: components
        type: blazedb_record::text16
        repeat: expr
        repeat-expr: num_components

  join:
    seq:
      - id: kind
        type: u1
        enum: join_kind
        valid:
          in-enum: true
      - id: collection
        type: blazedb_record::text8
      - id: left
        type: path
      - id: right
        type: path

  aggregate:
    seq:
      - id: function
        type: u1
        enum: aggregate_function
        valid:
          in-enum: true
      - id: path
        type: path

  sort_key:
    seq:
      - id: kind
        type: u1
        enum: sort_kind
        valid:
          in-enum: true
      - id: path
        type: path
        if: kind == sort_kind::path
      - id: aggregate
        type: u1
        if: kind == sort_kind::aggregate
        doc: Which of the query's aggregates, from 0.
      - id: direction
        type: u1
        enum: sort_direction
        valid:
          in-enum: true

  expression:
    doc: |
      In prefix order, so an expression ends when its last operand has been read. That all stands only as
      the whole filter (QRY-5) is not checked here.
    seq:
      - id: op
        type: u1
        enum: expression_op
        valid:
          in-enum: true
      - id: body
        type:
          switch-on: op
          cases:
            expression_op::all: nothing
            expression_op::and_: several
            expression_op::or_: several
            expression_op::not_: single
            expression_op::in_: one_of_values
            expression_op::between: range
            expression_op::starts_with: prefix
            expression_op::exists: presence
            # The seven comparisons, equal to greater or equal and contains.
            _: comparison

  nothing:
    doc: The op says it all.

  several:
    seq:
      - id: num_expressions
        type: u1
      - id: expressions
        type: expression
        repeat: expr
        repeat-expr: num_expressions

  single:
    seq:
      - id: expression
        type: expression

  comparison:
    seq:
      - id: path
        type: path
      - id: value
        type: blazedb_record::value

  one_of_values:
    seq:
      - id: path
        type: path
      - id: num_values
        type: u2
      - id: values
        type: blazedb_record::value
        repeat: expr
        repeat-expr: num_values

  range:
    seq:
      - id: path
        type: path
      - id: low
        type: blazedb_record::value
      - id: high
        type: blazedb_record::value

  prefix:
    seq:
      - id: path
        type: path
      - id: text
        type: blazedb_record::text16

  presence:
    seq:
      - id: path
        type: path

enums:
  # SPEC.md 7.13. Four names are reserved words in Python, whose compiler does not know that; these have an
  # underscore behind them.
  expression_op:
    0x00: all
    0x01:
      id: and_
      -orig-id: and
    0x02:
      id: or_
      -orig-id: or
    0x03:
      id: not_
      -orig-id: not
    0x10: equal
    0x11: not_equal
    0x12: less
    0x13: less_or_equal
    0x14: greater
    0x15: greater_or_equal
    0x16:
      id: in_
      -orig-id: in
    0x17: between
    0x18: contains
    0x19: starts_with
    0x1a: exists

  join_kind:
    0x01: inner
    0x02: left

  aggregate_function:
    0x01: count
    0x02: sum
    0x03: avg
    0x04: min
    0x05: max

  sort_kind:
    0x01: path
    0x02: aggregate

  sort_direction:
    0x01: ascending
    0x02: descending
