meta:
  id: blazedb_record
  title: BlazeBinary values, fields and the stand-alone BLAZE record
  file-extension: blaze
  endian: be
  ks-version: 0.11
doc: |
  SPEC.md section 4, and the small types of section 3 that everything else uses. The file as a whole is
  one stand-alone record (4.3); value, fields and the rest are there to be imported.

  The description checks what a reader needs to find its way: the magic, versions, tags, key bytes and
  small codes. See blazedb_relay.ksy for what no description of this kind checks.
doc-ref: SPEC.md 4.3

seq:
  - id: magic
    contents: BLAZE
  - id: version
    type: u1
    enum: record_version
    valid:
      in-enum: true
  - id: fields
    type: fields
  - id: checksum
    type: u4
    if: version == record_version::checksum
    doc: CRC-32 of every byte before it. Not checked here.

types:
  # --- section 3: notation ---

  u48:
    doc: There is no integer of this size, and bit fields of more than 32 bits fail in JavaScript.
    seq:
      - id: high
        type: u2
      - id: low
        type: u4
    instances:
      value:
        value: high * 0x1_0000_0000 + low

  text8:
    seq:
      - id: len_text
        type: u1
      - id: text
        type: str
        size: len_text
        encoding: UTF-8

  text16:
    seq:
      - id: len_text
        type: u2
      - id: text
        type: str
        size: len_text
        encoding: UTF-8

  text32:
    seq:
      - id: len_text
        type: u4
      - id: text
        type: str
        size: len_text
        encoding: UTF-8

  bytes16:
    seq:
      - id: len_data
        type: u2
      - id: data
        size: len_data

  bytes32:
    seq:
      - id: len_data
        type: u4
      - id: data
        size: len_data

  timestamp:
    doc: Who wrote and when, as a Lamport pair (3.2). The pair (0, nil) says "never".
    seq:
      - id: counter
        type: u8
      - id: node
        size: 16

  position:
    doc: How far a reader has come in a log (3.3).
    seq:
      - id: epoch
        type: u8
      - id: seq
        type: u8

  # Floats are read as bit patterns: the format keeps NaN payloads, and a conversion from f32 to the only
  # float of many languages would lose some. The number is there as well, for people.
  f64:
    doc: To be used with size 8, because the number is read a second time from the start of its stream.
    seq:
      - id: bits
        type: u8
    instances:
      number:
        pos: 0
        type: f8

  f32:
    doc: To be used with size 4, as f64 with size 8.
    seq:
      - id: bits
        type: u4
    instances:
      number:
        pos: 0
        type: f4

  # --- 4.1: values ---

  value:
    seq:
      - id: tag
        type: u1
        enum: value_tag
        valid:
          in-enum: true
      - id: body
        type:
          switch-on: tag
          # Every case is a type of its own, never a bare number, so that languages without a type for
          # "anything" can hold the body too.
          cases:
            value_tag::string: text32
            value_tag::int: int_body
            value_tag::double: float_body
            value_tag::bool: bool_body
            value_tag::uuid: uuid_body
            value_tag::date: float_body
            value_tag::data: bytes32
            value_tag::array: array_body
            value_tag::dictionary: entries
            value_tag::legacy_vector: never
            value_tag::null: nothing
            value_tag::removed: nothing
            value_tag::patch: entries
            value_tag::counter: counter_body
            value_tag::vector: vector_body
            value_tag::sealed: bytes32
            value_tag::empty_string: nothing
            value_tag::small_int: small_int_body
            value_tag::empty_array: nothing
            value_tag::empty_dictionary: nothing
            # What is left are the inline strings, 21 to 2F: other tags have failed already.
            _: inline_text(tag.to_i & 0x0f)

  nothing:
    doc: The tag says it all.

  never:
    doc: Tag 0A is in the registry so that nobody uses it again, and is never legal (VAL-2).
    seq:
      - id: rejected
        size: 0
        valid:
          expr: false

  int_body:
    seq:
      - id: number
        type: s8

  small_int_body:
    seq:
      - id: number
        type: u1

  float_body:
    seq:
      - id: float
        type: f64
        size: 8

  bool_body:
    seq:
      - id: truth
        type: u1
        valid:
          max: 1

  uuid_body:
    seq:
      - id: uuid
        size: 16

  inline_text:
    params:
      - id: len_text
        type: u1
    seq:
      - id: text
        type: str
        size: len_text
        encoding: UTF-8

  array_body:
    seq:
      - id: num_items
        type: u2
      - id: items
        type: value
        repeat: expr
        repeat-expr: num_items

  entries:
    doc: The entries of a dictionary or a patch. The keys never use the table of common names.
    seq:
      - id: num_entries
        type: u2
      - id: entries
        type: entry
        repeat: expr
        repeat-expr: num_entries

  entry:
    seq:
      - id: key
        type: text16
      - id: value
        type: value

  counter_body:
    seq:
      - id: base
        type: timestamp
      - id: total
        type: s8

  vector_body:
    seq:
      - id: num_elements
        type: u2
      - id: elements
        type: f32
        size: 4
        repeat: expr
        repeat-expr: num_elements

  # --- 4.2: fields ---

  fields:
    seq:
      - id: num_fields
        type: u2
      - id: fields
        type: field
        repeat: expr
        repeat-expr: num_fields

  field:
    seq:
      - id: key
        type: u1
        valid:
          expr: (_ >= 0x01 and _ <= 0x3a) or _ == 0xff
      - id: other_name
        type: text16
        if: key == 0xff
        doc: Written out only where common_name has no entry for it (VAL-17).
      - id: value
        type: value
    instances:
      common_name:
        value: key
        enum: common_name
        if: key != 0xff

enums:
  record_version:
    0x01: no_checksum
    0x02: checksum

  # SPEC.md 4.1. The registry gives 21 to 2F one name; here each has its length behind it, as names in an
  # enum differ.
  value_tag:
    0x01: string
    0x02: int
    0x03: double
    0x04: bool
    0x05: uuid
    0x06: date
    0x07: data
    0x08: array
    0x09: dictionary
    0x0a: legacy_vector
    0x0b: "null"
    0x0c: removed
    0x0d: patch
    0x0e: counter
    0x0f: vector
    0x10: sealed
    0x11: empty_string
    0x12: small_int
    0x18: empty_array
    0x19: empty_dictionary
    0x21: inline_string_1
    0x22: inline_string_2
    0x23: inline_string_3
    0x24: inline_string_4
    0x25: inline_string_5
    0x26: inline_string_6
    0x27: inline_string_7
    0x28: inline_string_8
    0x29: inline_string_9
    0x2a: inline_string_10
    0x2b: inline_string_11
    0x2c: inline_string_12
    0x2d: inline_string_13
    0x2e: inline_string_14
    0x2f: inline_string_15

  # SPEC.md 4.2. On the wire's side the names are in camel case: created_at stands for createdAt.
  common_name:
    0x01: id
    0x02: created_at
    0x03: updated_at
    0x04: user_id
    0x05: team_id
    0x06: title
    0x07: description
    0x08: status
    0x09: priority
    0x0a: assigned_to
    0x0b: tags
    0x0c: completed_at
    0x0d: due_date
    0x0e: start_date
    0x0f: category
    0x10: name
    0x11: email
    0x12: password
    0x13: username
    0x14: first_name
    0x15: last_name
    0x16: age
    0x17: phone
    0x18: address
    0x19: city
    0x1a: state
    0x1b: zip
    0x1c: country
    0x1d: organization_id
    0x1e: project_id
    0x1f: task_id
    0x20: bug_id
    0x21: issue_id
    0x22: comment_id
    0x23: attachment_id
    0x24: version_id
    0x25: parent_id
    0x26: child_ids
    0x27: metadata
    0x28: config
    0x29: settings
    0x2a: preferences
    0x2b: type
    0x2c: kind
    0x2d: label
    0x2e: value
    0x2f: count
    0x30: total
    0x31: sum
    0x32: average
    0x33: min
    0x34: max
    0x35: is_active
    0x36: is_deleted
    0x37: is_public
    0x38: is_private
    0x39: is_archived
    0x3a: is_favorite
