meta:
  id: blazedb_codes
  title: Registries of the BlazeDB Relay protocol
  endian: be
  ks-version: 0.11
doc: |
  Numbers and their names only; there is nothing here to parse. A number that is not listed still parses:
  what it means is said by each registry.
doc-ref: SPEC.md 14, 18

enums:
  # SPEC.md 14. A code that is not listed means internal_error (ERR-3).
  error_code:
    101: truncated
    102: trailing_bytes
    103: too_long
    104: too_many
    105: too_deep
    106: empty
    107: non_canonical
    108: out_of_order
    109: duplicate
    110: out_of_range
    111: bad_utf8
    112: bad_bool
    113: bad_magic
    114: bad_checksum
    115: bad_ids_check
    116: bad_compression
    117: unsupported_version
    118: unknown_flag
    119: unknown_code
    120: unknown_tag
    121: unknown_key
    122: unknown_op_type
    123: unknown_encoding
    124: unknown_message
    125: unknown_extension
    126: legacy_vector
    127: misplaced_value
    128: not_negotiated
    129: bad_timestamp
    130: bad_node
    131: bad_node_seq
    132: bad_op_id
    133: bad_base
    134: bad_previous
    135: bad_position
    136: bad_name
    137: bad_request_id
    138: fields_on_delete
    139: no_fields
    140: mixed_nodes
    141: not_contiguous
    142: unexpected_blocks
    200: protocol_error
    201: unexpected_message
    202: version_not_supported
    203: capability_required
    204: limit_not_supported
    205: out_of_step
    206: replaced
    207: not_your_node
    208: duplicate_request
    209: duplicate_subscription
    210: unknown_subscription
    211: too_many_subscriptions
    212: too_many_requests
    213: position_unknown
    214: window_exceeded
    215: handshake_timeout
    216: idle_timeout
    217: rate_limited
    218: upgrade_needed
    300: refused
    301: clock_too_far_ahead
    302: write_forbidden
    303: quota_exceeded
    401: unauthenticated
    402: token_expired
    403: forbidden
    404: unknown_database
    500: query_failed
    501: query_too_expensive
    502: bad_cursor
    503: state_not_reached
    600: internal_error
    601: store_unavailable
    602: shutting_down
    603: overloaded

  # SPEC.md 18.3. The odd code point of a capability has its name, the even one ("and must") _must behind it.
  capability:
    0x0010: crdt_must
    0x0011: crdt
    0x0012: packed_must
    0x0013: packed
    0x0014: compression_must
    0x0015: compression
    0x0016: query_must
    0x0017: query
    0x0018: snapshot_must
    0x0019: snapshot
    0x001a: encryption_must
    0x001b: encryption

  # SPEC.md 18.4
  limit_id:
    0x0001: push_bytes
    0x0003: push_blocks
    0x0005: subscriptions
    0x0007: requests
    0x0009: operations_per_second
    0x000b: rows
    0x000d: update_bytes

  # SPEC.md 18.6
  goodbye_reason:
    0: done
    1: restarting
    2: overloaded
    3: idle
