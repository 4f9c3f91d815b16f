//! The constants of version 1.0, with the reason for each in SPEC.md section 13 (LIM-1).
//!
//! Lengths are in bytes unless the name says otherwise. Changing one changes the wire contract.

/// Largest operation in row layout (OPS-6).
pub const MAX_OP: usize = 983_040;
/// Smallest operation in row layout: the fixed part, a name of one byte, no fields (OPS-7).
pub const MIN_OP: usize = 83;
/// Largest payload of a block, as it came and decompressed (BLK-9, BLK-15).
pub const MAX_BLOCK: usize = 1_048_576;
/// Most bytes that the blocks of one message may decompress to together (MSG-34).
pub const MAX_DECOMPRESSED: usize = 4_194_304;
/// Most operations in a block, as its count is a u16.
pub const MAX_BLOCK_OPS: usize = 65_535;
/// Largest frame after the handshake (FRM-3).
pub const MAX_FRAME: usize = 1_052_672;
/// Largest frame before welcome (FRM-3).
pub const MAX_FRAME_BEFORE: usize = 65_536;
/// Largest stand-alone record (VAL-23).
pub const MAX_RECORD: usize = 983_040;
/// Longest string, data or sealed value (VAL-7).
pub const MAX_BYTES: usize = 983_040;
/// Most arrays, dictionaries and patches open at once (VAL-10).
pub const MAX_DEPTH: usize = 64;
/// Most bytes of the keys under which a patch stands in other patches, together (VAL-26).
pub const MAX_PATCH_KEYS: usize = 255;
/// Longest name of a field (VAL-18).
pub const MAX_FIELD_NAME: usize = 255;
/// Longest name of a collection (OPS-12).
pub const MAX_COLLECTION_NAME: usize = 128;
/// Longest name of a database (MSG-10).
pub const MAX_DATABASE_NAME: usize = 64;
/// Longest protocol text of a handshake (MSG-8).
pub const MAX_PROTOCOL_TEXT: usize = 32;
/// Most positions in `seen` (MSG-12).
pub const MAX_SEEN: usize = 16;
/// Most epochs in a welcome (MSG-17).
pub const MAX_EPOCHS: usize = 17;
/// Longest public key (MSG-14).
pub const MAX_PUBLIC_KEY: usize = 1_024;
/// Longest token (MSG-14).
pub const MAX_AUTHENTICATION: usize = 8_192;
/// Most capabilities in a handshake or welcome (MSG-13).
pub const MAX_CAPABILITIES: usize = 64;
/// Most limits in a handshake or welcome (MSG-16).
pub const MAX_LIMITS: usize = 32;
/// Most names in a list of collections (MSG-21).
pub const MAX_COLLECTIONS: usize = 256;
/// Most blocks in a frame, and entries in a push ack (MSG-22, MSG-25, MSG-28).
pub const MAX_BLOCKS: usize = 1_024;
/// Most extensions of a message (EXT-1).
pub const MAX_EXTENSIONS: usize = 16;
/// Longest extension (EXT-2).
pub const MAX_EXTENSION: usize = 1_024;
/// Most joins of a query (QRY-1).
pub const MAX_JOINS: usize = 4;
/// Most group-by paths of a query (QRY-1).
pub const MAX_GROUP_BY: usize = 8;
/// Most aggregates of a query (QRY-1).
pub const MAX_AGGREGATES: usize = 16;
/// Most projected paths of a query (QRY-1).
pub const MAX_PROJECTION: usize = 64;
/// Most sort keys of a query (QRY-1).
pub const MAX_SORT: usize = 8;
/// Most components of a path (QRY-3).
pub const MAX_PATH: usize = 16;
/// Longest component of a path, and longest text of `starts with` (QRY-3, QRY-13).
pub const MAX_PATH_COMPONENT: usize = 1_024;
/// Most ops of a filter (QRY-7).
pub const MAX_FILTER_OPS: usize = 256;
/// Most `and`, `or` and `not` open at once (QRY-7).
pub const MAX_FILTER_DEPTH: usize = 16;
/// Most values of `in` (QRY-6).
pub const MAX_IN_VALUES: usize = 1_000;
/// Most rows of a page (QRY-11, QRY-14).
pub const MAX_ROWS: usize = 10_000;
/// Most columns of a query response (QRY-14).
pub const MAX_COLUMNS: usize = 128;
/// Longest cursor (QRY-12).
pub const MAX_CURSOR: usize = 1_024;
/// Longest text of an error, as its length is a u8.
pub const MAX_ERROR_TEXT: usize = 255;
/// Greatest node_seq, 2^48 - 1 (3.4).
pub const MAX_NODE_SEQ: u64 = (1 << 48) - 1;
/// Greatest counter of a timestamp, 2^53 - 1 (OPS-1).
pub const MAX_COUNTER: u64 = (1 << 53) - 1;
/// Greatest seq of a log, 2^53 - 1 (MSG-1).
pub const MAX_SEQ: u64 = (1 << 53) - 1;
/// Shortest heartbeat interval, in milliseconds (MSG-20).
pub const MIN_HEARTBEAT: u32 = 1_000;
/// Longest heartbeat interval, in milliseconds (MSG-20).
pub const MAX_HEARTBEAT: u32 = 3_600_000;

// One largest operation fits in a block, and one largest block in a frame with room for the rest.
const _: () = assert!(MAX_OP + 4 <= MAX_BLOCK);
const _: () = assert!(MAX_BLOCK + 4_096 == MAX_FRAME);
const _: () = assert!(MAX_EPOCHS == MAX_SEEN + 1);
