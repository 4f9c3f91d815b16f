meta:
  id: blazedb_relay
  title: BlazeDB Relay protocol 1.0
  endian: be
  bit-endian: be
  ks-version: 0.11
  imports:
    - blazedb_record
    - blazedb_block
    - blazedb_query
    - blazedb_codes
doc: |
  The wire format of SPEC.md. Frames and messages stand here, long registries in blazedb_codes.ksy, queries
  in blazedb_query.ksy, blocks and operations in blazedb_block.ksy, values and the stand-alone record in
  blazedb_record.ksy: a block or a record found as a file can be opened with its own description.

  The file as a whole is whole frames, one after another, as on a byte stream (15.2).

  What is checked is what a reader needs to find its way: magic, version bytes, flag bits that must be 0,
  value tags, key bytes and the small codes of closed registries. What is not checked:

  - checksums: the CRC-32 of frames, block headers, operations and records, the ids check of a push;
  - canonical form: shortest forms of values, fields that must be empty, names that have a key byte;
  - order and uniqueness: keys, fields, capabilities, limits, extensions, positions, node_seqs;
  - limits of section 13 on lengths, counts and depth: a reader of hostile input recurses as deep as that
    input asks for;
  - ranges and relations: timestamps, positions, derived ids, nodes that agree, counts that must not be 0,
    which messages may have blocks, a request id, or flag more;
  - that nothing is left over: parts with a known length (fields, a payload, an operation) may go on behind
    what is described. A reader has to look whether each part's stream has ended, as run.py does;
  - everything that depends on a connection: what was agreed on, the phase, which side sends what.

  What a description of this kind cannot say at all: the code and offset that the order of checks demands
  of a rejected input; the content of an LZ4 payload; that an unknown odd message type is to be skipped and
  an unknown even one to be rejected (both are left as bytes).
doc-ref: SPEC.md

seq:
  - id: messages
    type: message
    repeat: eos

types:
  # --- section 5: frame ---

  frame_header:
    seq:
      - id: version
        type: u1
        valid: 1
      - id: reserved_flags
        type: b7
        valid: 0
      - id: more
        type: b1
        doc: The answer continues in another frame.
      - id: message_type
        type: u2
        enum: message_type
      - id: request_id
        type: u4
      - id: len_fields
        type: u4
      - id: len_blocks
        type: u4

  frame:
    doc: The envelope alone, whatever it holds.
    seq:
      - id: header
        type: frame_header
      - id: fields
        size: header.len_fields
      - id: checksum
        type: u4
        doc: CRC-32 of the header and the fields. Not checked here.
      - id: blocks
        size: header.len_blocks

  message:
    doc: A frame together with what its fields and blocks mean.
    seq:
      - id: header
        type: frame_header
      - id: fields
        size: header.len_fields
        type:
          switch-on: header.message_type
          # A type that is not known keeps its fields as bytes: an odd one is to be skipped unread (EXT-4).
          cases:
            message_type::handshake: handshake
            message_type::welcome: welcome
            message_type::sync_state_request: sync_state_request
            message_type::sync_state: sync_state
            message_type::pull_request: pull_request
            message_type::pull_response: pull_response
            message_type::push: push
            message_type::push_ack: push_ack
            message_type::subscribe: subscribe
            message_type::unsubscribe: unsubscribe
            message_type::update: update
            message_type::update_ack: update_ack
            message_type::query: query
            message_type::query_response: query_response
            message_type::authenticate: authenticate
            message_type::authenticate_ack: authenticate_ack
            message_type::ping: ping
            message_type::pong: pong
            message_type::error: error
            message_type::goodbye: goodbye
      - id: checksum
        type: u4
        doc: CRC-32 of the header and the fields. Not checked here.
      - id: blocks
        size: header.len_blocks
        type:
          switch-on: header.message_type
          # All others have no blocks (MSG-4) or may not be looked at.
          cases:
            message_type::pull_response: block_list
            message_type::push: block_list
            message_type::update: block_list

  block_list:
    doc: As many as the message's fields say (MSG-6), which is not checked here.
    seq:
      - id: blocks
        type: blazedb_block
        repeat: eos

  # --- parts of several messages ---

  capability_list:
    seq:
      - id: num_items
        type: u1
      - id: items
        type: u2
        enum: blazedb_codes::capability
        repeat: expr
        repeat-expr: num_items

  limit_list:
    seq:
      - id: num_items
        type: u1
      - id: items
        type: limit
        repeat: expr
        repeat-expr: num_items

  limit:
    seq:
      - id: id
        type: u2
        enum: blazedb_codes::limit_id
      - id: value
        type: u8

  collection_list:
    doc: None means all.
    seq:
      - id: num_items
        type: u2
      - id: items
        type: blazedb_record::text8
        repeat: expr
        repeat-expr: num_items

  seq_list:
    doc: The seq of each block's first node_seq.
    seq:
      - id: num_items
        type: u2
      - id: items
        type: u8
        repeat: expr
        repeat-expr: num_items

  extension_list:
    doc: 1.0 defines none; those of an unknown odd type are kept (section 8).
    seq:
      - id: num_items
        type: u1
      - id: items
        type: extension
        repeat: expr
        repeat-expr: num_items

  extension:
    seq:
      - id: extension_type
        type: u2
      - id: content
        type: blazedb_record::bytes16

  # --- section 7: the fields of each message ---

  handshake:
    seq:
      - id: protocol
        type: blazedb_record::text8
      - id: min_version
        type: u2
      - id: max_version
        type: u2
      - id: database
        type: blazedb_record::text8
      - id: node
        size: 16
      - id: node_key
        size: 16
      - id: highest_given_out
        type: u8
      - id: num_seen
        type: u1
      - id: seen
        type: blazedb_record::position
        repeat: expr
        repeat-expr: num_seen
      - id: public_key
        type: blazedb_record::bytes16
      - id: capabilities
        type: capability_list
      - id: authentication_method
        type: u2
        enum: authentication_method
      - id: authentication
        type: blazedb_record::bytes16
      - id: limits
        type: limit_list
      - id: extensions
        type: extension_list

  welcome:
    seq:
      - id: version
        type: u2
      - id: capabilities
        type: capability_list
      - id: num_epochs
        type: u1
      - id: epochs
        type: epoch
        repeat: expr
        repeat-expr: num_epochs
      - id: agreed
        type: blazedb_record::position
      - id: restore_mode
        type: u1
        enum: restore_mode
        valid:
          in-enum: true
      - id: mark
        type: u8
      - id: check
        type: u4
      - id: head
        type: blazedb_record::position
      - id: limits
        type: limit_list
      - id: heartbeat_interval
        type: u4
      - id: relay_time
        type: u8
      - id: extensions
        type: extension_list

  epoch:
    seq:
      - id: epoch
        type: u8
      - id: begins
        type: u8
        doc: The seq after which the epoch begins.

  sync_state_request:
    seq:
      - id: extensions
        type: extension_list

  sync_state:
    seq:
      - id: head
        type: blazedb_record::position
      - id: operations
        type: u8
      - id: nodes
        type: u8
      - id: live_records
        type: u8
      - id: collections
        type: u8
      - id: extensions
        type: extension_list

  pull_request:
    seq:
      - id: from_position
        -orig-id: from
        type: blazedb_record::position
      - id: collections
        type: collection_list
      - id: max_operations
        type: u4
      - id: max_bytes
        type: u4
      - id: extensions
        type: extension_list

  pull_response:
    seq:
      - id: next
        type: blazedb_record::position
      - id: has_more
        type: u1
        valid:
          max: 1
      - id: first_seqs
        type: seq_list
      - id: extensions
        type: extension_list

  push:
    seq:
      - id: num_blocks
        type: u2
      - id: ids_check
        type: u4
        doc: CRC-32 of the ids of all operations. Not checked here.
      - id: extensions
        type: extension_list

  push_ack:
    seq:
      - id: num_entries
        type: u2
      - id: entries
        type: push_ack_entry
        repeat: expr
        repeat-expr: num_entries
      - id: extensions
        type: extension_list

  push_ack_entry:
    seq:
      - id: status
        type: u1
        enum: push_status
        valid:
          in-enum: true
      - id: body
        type:
          switch-on: status
          cases:
            push_status::accepted: push_accepted
            push_status::refused: push_refused
            push_status::later: push_later

  push_accepted:
    seq:
      - id: epoch
        type: u8
      - id: first_seq
        type: u8
      - id: last_seq
        type: u8

  push_refused:
    seq:
      - id: code
        type: u2
        enum: blazedb_codes::error_code
      - id: index
        type: u2

  push_later:
    seq:
      - id: wait
        type: u4

  subscribe:
    seq:
      - id: subscription
        type: u4
      - id: from_position
        -orig-id: from
        type: blazedb_record::position
      - id: window
        type: u8
      - id: collections
        type: collection_list
      - id: extensions
        type: extension_list

  unsubscribe:
    seq:
      - id: subscription
        type: u4
      - id: extensions
        type: extension_list

  update:
    seq:
      - id: subscription
        type: u4
      - id: previous
        type: blazedb_record::position
      - id: new_position
        -orig-id: new
        type: blazedb_record::position
      - id: first_seqs
        type: seq_list
      - id: extensions
        type: extension_list

  update_ack:
    seq:
      - id: subscription
        type: u4
      - id: position
        type: blazedb_record::position
      - id: window
        type: u8
      - id: extensions
        type: extension_list

  query:
    seq:
      - id: query
        type: blazedb_query
      - id: extensions
        type: extension_list

  query_response:
    seq:
      - id: at
        type: blazedb_record::position
      - id: num_columns
        type: u2
      - id: num_rows
        type: u2
      - id: cells
        type: blazedb_record::value
        repeat: expr
        repeat-expr: num_columns * num_rows
        doc: Row by row.
      - id: cursor
        type: blazedb_record::bytes16
      - id: extensions
        type: extension_list

  authenticate:
    seq:
      - id: method
        type: u2
        enum: authentication_method
      - id: authentication
        type: blazedb_record::bytes16
      - id: extensions
        type: extension_list

  authenticate_ack:
    seq:
      - id: valid_for
        type: u4
      - id: extensions
        type: extension_list

  ping:
    seq:
      - id: nonce
        type: u8
      - id: extensions
        type: extension_list

  pong:
    seq:
      - id: nonce
        type: u8
      - id: extensions
        type: extension_list

  error:
    seq:
      - id: code
        type: u2
        enum: blazedb_codes::error_code
      - id: scope
        type: u1
        enum: error_scope
        valid:
          in-enum: true
      - id: retry_after
        type: u4
      - id: text
        type: blazedb_record::text8
      - id: extensions
        type: extension_list

  goodbye:
    seq:
      - id: reason
        type: u2
        enum: blazedb_codes::goodbye_reason
      - id: reconnect_after
        type: u4
      - id: jitter
        type: u4
      - id: extensions
        type: extension_list

enums:
  # SPEC.md 18.1
  message_type:
    0x0002: handshake
    0x0004: welcome
    0x0006: sync_state_request
    0x0008: sync_state
    0x000a: pull_request
    0x000c: pull_response
    0x000e: push
    0x0010: push_ack
    0x0012: subscribe
    0x0014: unsubscribe
    0x0016: update
    0x0018: update_ack
    0x001a: query
    0x001c: query_response
    0x001e: authenticate
    0x0020: authenticate_ack
    0x0022: ping
    0x0024: pong
    0x0026: error
    0x0028: goodbye

  authentication_method:
    0: none
    1: bearer_token

  restore_mode:
    0x01: keep
    0x02: discard

  push_status:
    0x01: accepted
    0x02: refused
    0x03: later

  error_scope:
    0x01: request
    0x02: connection
