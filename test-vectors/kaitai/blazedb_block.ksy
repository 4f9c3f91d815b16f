meta:
  id: blazedb_block
  title: Blocks and operations of the BlazeDB Relay protocol
  endian: be
  bit-endian: be
  ks-version: 0.11
  imports:
    - blazedb_record
doc: |
  SPEC.md section 6. The file as a whole is one block; type op is one operation in row layout, which may
  stand alone too.

  What is inside a compressed payload is not described: it is a raw LZ4 block, and a description of this
  kind cannot decompress. Put the decompressed bytes in a rows_payload to read on. The reserved encoding
  packed is left as bytes; 1.0 rejects it.
doc-ref: SPEC.md 6.2

seq:
  - id: encoding
    type: u1
    enum: block_encoding
    valid:
      in-enum: true
  - id: reserved_flags
    type: b6
    valid: 0
  - id: has_holes
    type: b1
  - id: is_lz4
    type: b1
  - id: num_ops
    type: u2
  - id: span
    type: u2
  - id: first_node_seq
    type: blazedb_record::u48
  - id: node
    size: 16
  - id: len_payload
    type: u4
  - id: header_checksum
    type: u4
    doc: CRC-32 of the 32 bytes before it. Not checked here.
  - id: lz4_payload
    type: lz4_payload
    size: len_payload
    if: is_lz4
  - id: payload
    size: len_payload
    if: not is_lz4
    type:
      switch-on: encoding
      cases:
        block_encoding::rows: rows_payload(num_ops)

types:
  lz4_payload:
    seq:
      - id: len_decompressed
        type: u4
      - id: compressed
        size-eos: true

  rows_payload:
    params:
      - id: num_ops
        type: u2
    seq:
      - id: rows
        type: row
        repeat: expr
        repeat-expr: num_ops

  row:
    seq:
      - id: len_op
        type: u4
      - id: op
        type: op
        size: len_op

  op:
    doc-ref: SPEC.md 6.1
    seq:
      - id: version
        type: u1
        valid: 1
      - id: reserved_flags
        type: b7
        valid: 0
      - id: has_previous
        type: b1
      - id: id
        type: op_id
      - id: timestamp
        type: blazedb_record::timestamp
      - id: node
        size: 16
        doc: Who delivers the operation here; usually, but not always, the node of the timestamp.
      - id: op_type
        type: u1
        enum: op_type
        valid:
          in-enum: true
      - id: record
        size: 16
      - id: collection
        type: blazedb_record::text8
      - id: previous
        type: blazedb_record::timestamp
        if: has_previous
      - id: fields
        type: blazedb_record::fields
      - id: checksum
        type: u4
        doc: CRC-32 of every byte before it. Not checked here.

  op_id:
    doc: |
      Derived from node and node_seq (SPEC.md 3.4). That the tail is that of the node is not checked here.
    seq:
      - id: node_seq
        type: blazedb_record::u48
      - id: node_tail
        size: 10

enums:
  block_encoding:
    0x01: rows
    0x02: packed

  op_type:
    0x01: insert
    0x02: update
    0x03: delete
