//! Which rule of SPEC.md an error is about: found from its code and the name of the field.
//!
//! A table of its own, so that the paths that fail carry no more than they need. A test holds it against
//! every invalid vector.

use crate::registry::ErrorCode as E;

/// The id of the rule that a field breaks with a code.
pub(crate) fn rule(code: E, field: &str) -> &'static str {
    match (code, field) {
        (E::TRUNCATED, "operation") => "OPS-7",
        (E::TRUNCATED, "record checksum") => "VAL-22",
        (E::TRUNCATED, "magic") => "VAL-20",
        (E::TRUNCATED, _) => "NOT-8",

        (E::TRAILING_BYTES, "value") => "VAL-25",
        (E::TRAILING_BYTES, "operation") => "OPS-17",
        (E::TRAILING_BYTES, "payload") => "BLK-11",
        (E::TRAILING_BYTES, "block") => "BLK-10",
        (E::TRAILING_BYTES, "blocks") => "MSG-6",
        (E::TRAILING_BYTES, "fields") => "MSG-5",
        (E::TRAILING_BYTES, "frame") => "FRM-5",
        (E::TRAILING_BYTES, _) => "NOT-9",

        (E::TOO_LONG | E::TOO_MANY | E::TOO_DEEP | E::EMPTY, _) => size_rule(code, field),
        (E::OUT_OF_ORDER | E::DUPLICATE | E::OUT_OF_RANGE, _) => order_rule(code, field),
        (E::UNKNOWN_FLAG | E::UNKNOWN_CODE | E::UNSUPPORTED_VERSION | E::NOT_NEGOTIATED, _) => {
            code_rule(code, field)
        }

        (E::NON_CANONICAL, "string") => "VAL-3",
        (E::NON_CANONICAL, "int") => "VAL-4",
        (E::NON_CANONICAL, "value") => "VAL-5",
        (E::NON_CANONICAL, "field key") => "VAL-17",
        (E::NON_CANONICAL, "authentication") => "MSG-15",
        (E::NON_CANONICAL, "check") => "MSG-19",
        (E::NON_CANONICAL, "projection") => "QRY-9",
        (E::NON_CANONICAL, "cursor") => "QRY-16",

        (E::BAD_UTF8, "collection" | "collections") => "OPS-12",
        (E::BAD_UTF8, "string" | "key" | "field name") => "VAL-8",
        (E::BAD_UTF8, _) => "NOT-6",
        (E::BAD_BOOL, "has more") => "MSG-23",
        (E::BAD_BOOL, _) => "VAL-6",
        (E::BAD_MAGIC, "protocol") => "MSG-8",
        (E::BAD_MAGIC, _) => "VAL-20",
        (E::BAD_CHECKSUM, "record checksum") => "VAL-22",
        (E::BAD_CHECKSUM, "operation checksum") => "OPS-9",
        (E::BAD_CHECKSUM, "header checksum") => "BLK-1",
        (E::BAD_CHECKSUM, _) => "FRM-4",
        (E::BAD_IDS_CHECK, _) => "MSG-24",
        (E::BAD_COMPRESSION, "decompressed length") => "BLK-17",
        (E::BAD_COMPRESSION, _) => "BLK-16",

        (E::UNKNOWN_TAG, _) => "VAL-1",
        (E::LEGACY_VECTOR, _) => "VAL-2",
        (E::UNKNOWN_KEY, _) => "VAL-16",
        (E::UNKNOWN_OP_TYPE, _) => "OPS-11",
        (E::UNKNOWN_ENCODING, _) => "BLK-2",
        (E::UNKNOWN_MESSAGE, _) => "EXT-4",
        (E::UNKNOWN_EXTENSION, _) => "EXT-3",
        (E::MISPLACED_VALUE, "cell") => "QRY-15",
        (E::MISPLACED_VALUE, _) => "VAL-12",

        (E::BAD_TIMESTAMP, "base") => "VAL-13",
        (E::BAD_TIMESTAMP, _) => "OPS-1",
        (E::BAD_NODE, "node") => "MSG-11",
        (E::BAD_NODE, "operation node") => "OPS-3",
        (E::BAD_NODE, "block node") => "BLK-8",
        (E::BAD_NODE, _) => "OPS-2",
        (E::BAD_NODE_SEQ, "operation id") => "OPS-4",
        (E::BAD_NODE_SEQ, "first node_seq") => "BLK-7",
        (E::BAD_NODE_SEQ, "mark") => "MSG-19",
        (E::BAD_NODE_SEQ, _) => "MSG-11",
        (E::BAD_OP_ID, _) => "OPS-5",
        (E::BAD_BASE, _) => "VAL-14",
        (E::BAD_PREVIOUS, "operation flags") => "OPS-13",
        (E::BAD_PREVIOUS, _) => "OPS-14",
        (E::BAD_POSITION, "seen") => "MSG-12",
        (E::BAD_POSITION, "epochs") => "MSG-17",
        (E::BAD_POSITION, "first seqs") => "MSG-22",
        (E::BAD_POSITION, "entries") => "MSG-30",
        (E::BAD_POSITION, "position seq") => "MSG-1",
        (E::BAD_POSITION, _) => "MSG-2",
        (E::BAD_NAME, _) => "MSG-10",
        (E::BAD_REQUEST_ID, "scope") => "MSG-33",
        (E::BAD_REQUEST_ID, _) => "MSG-3",
        (E::FIELDS_ON_DELETE, _) => "OPS-15",
        (E::NO_FIELDS, _) => "OPS-16",
        (E::MIXED_NODES, "block node") => "MSG-27",
        (E::MIXED_NODES, _) => "BLK-12",
        (E::NOT_CONTIGUOUS, "span") => "BLK-6",
        (E::NOT_CONTIGUOUS, "block flags") => "MSG-26",
        (E::NOT_CONTIGUOUS, "first node_seq") => "MSG-27",
        (E::NOT_CONTIGUOUS, "operation id in span") => "BLK-14",
        (E::NOT_CONTIGUOUS, _) => "BLK-13",
        (E::UNEXPECTED_BLOCKS, _) => "MSG-4",
        _ => "ERR-3",
    }
}

fn size_rule(code: E, field: &str) -> &'static str {
    match (code, field) {
        (E::TOO_LONG, "patch keys") => "VAL-26",
        (E::TOO_DEEP, "filter") => "QRY-7",
        (E::TOO_DEEP, _) => "VAL-10",
        (_, "fields length" | "blocks length") => "FRM-3",
        (_, "operation" | "operation length") => "OPS-6",
        (_, "record") => "VAL-23",
        (_, "payload length") => "BLK-9",
        (_, "block header") => "BLK-5",
        (_, "decompressed length") => "BLK-15",
        (_, "decompressed together") => "MSG-34",
        (_, "patch") => "VAL-11",
        (E::EMPTY, "sealed") => "VAL-15",
        (_, "string" | "data" | "sealed") => "VAL-7",
        (_, "field name") => "VAL-18",
        (_, "collection") => "OPS-12",
        (E::EMPTY | E::TOO_LONG, "collections") => "OPS-12",
        (_, "collections") => "MSG-21",
        (_, "protocol") => "MSG-8",
        (_, "database") => "MSG-10",
        (_, "seen") => "MSG-12",
        (_, "public key" | "authentication") => "MSG-14",
        (_, "capabilities") => "MSG-13",
        (_, "limits") => "MSG-16",
        (_, "epochs") => "MSG-17",
        (_, "first seqs") => "MSG-22",
        (_, "block count") => "MSG-25",
        (_, "entries") => "MSG-28",
        (E::TOO_LONG, "extensions") => "EXT-2",
        (_, "extensions") => "EXT-1",
        (_, "joins" | "group by" | "aggregates" | "projection" | "sort") => "QRY-1",
        (_, "path") => "QRY-3",
        (E::EMPTY, "filter") => "QRY-6",
        (_, "filter") => "QRY-7",
        (_, "values") => "QRY-6",
        (_, "text") => "QRY-13",
        (_, "cursor") => "QRY-12",
        (_, "columns" | "rows") => "QRY-14",
        _ => "NOT-6",
    }
}

fn order_rule(code: E, field: &str) -> &'static str {
    match (code, field) {
        (E::OUT_OF_RANGE, "heartbeat interval") => "MSG-20",
        (E::OUT_OF_RANGE, "source") => "QRY-4",
        (E::OUT_OF_RANGE, "aggregate index") => "QRY-10",
        (E::OUT_OF_RANGE, _) => "QRY-11",
        (_, "key") => "VAL-9",
        (_, "field key") => "VAL-19",
        (_, "max version") => "MSG-9",
        (_, "seen") => "MSG-12",
        (_, "capabilities") => "MSG-13",
        (_, "limits") => "MSG-16",
        (_, "epochs") => "MSG-17",
        (_, "collections") => "MSG-21",
        (_, "entries") => "MSG-31",
        (_, "extensions") => "EXT-1",
        _ => "NOT-6",
    }
}

fn code_rule(code: E, field: &str) -> &'static str {
    match (code, field) {
        (E::UNKNOWN_FLAG, "frame flags") => "FRM-2",
        (E::UNKNOWN_FLAG, "more") => "FRM-7",
        (E::UNKNOWN_FLAG, "operation flags") => "OPS-10",
        (E::UNKNOWN_FLAG, _) => "BLK-3",
        (E::UNSUPPORTED_VERSION, "frame version") => "FRM-1",
        (E::UNSUPPORTED_VERSION, "format version") => "OPS-8",
        (E::UNSUPPORTED_VERSION, _) => "VAL-21",
        (E::NOT_NEGOTIATED, "block flags") => "BLK-4",
        (E::NOT_NEGOTIATED, "message type") => "MSG-7",
        (E::NOT_NEGOTIATED, _) => "OPS-18",
        (E::UNKNOWN_CODE, "restore mode") => "MSG-18",
        (E::UNKNOWN_CODE, "entries") => "MSG-29",
        (E::UNKNOWN_CODE, "scope") => "MSG-32",
        (E::UNKNOWN_CODE, "nested all") => "QRY-5",
        _ => "QRY-2",
    }
}
