//! The order of checks (SPEC.md 3.1 and 7): two faults at once, and the one that is told.

use super::super::build::{Bytes, Context, File, Flag, Group, Test, valid};
use super::parts::{Msg, bad_bytes, block, extension, fault, list8};
use super::push::push;
use super::query::minimal;
use super::{control, order_fields, order_queries};

const FLAGS: &[Flag] = &[
    fault::TRUNCATED,
    fault::TRAILING_BYTES,
    fault::TOO_LONG,
    fault::TOO_MANY,
    fault::TOO_DEEP,
    fault::EMPTY,
    fault::NON_CANONICAL,
    fault::OUT_OF_ORDER,
    fault::DUPLICATE,
    fault::OUT_OF_RANGE,
    fault::BAD_UTF8,
    fault::BAD_MAGIC,
    fault::BAD_CHECKSUM,
    fault::UNSUPPORTED_VERSION,
    fault::UNKNOWN_FLAG,
    fault::UNKNOWN_CODE,
    fault::UNKNOWN_MESSAGE,
    fault::UNKNOWN_EXTENSION,
    fault::MISPLACED_VALUE,
    fault::NOT_NEGOTIATED,
    fault::BAD_NODE,
    fault::BAD_NODE_SEQ,
    fault::BAD_NAME,
    fault::BAD_POSITION,
    fault::BAD_REQUEST_ID,
    fault::UNEXPECTED_BLOCKS,
];

const NO_QUERY: Context = Context { capabilities: &["crdt"], ..Context::ALL };

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: Context::ALL, tests };
    File {
        path: "v1/message/order.json",
        target: "message",
        header: &[
            "Two faults at once in envelope or fields, of which the first in the order of checks is told.",
        ],
        flags: FLAGS,
        groups: vec![
            group("envelope", envelope()),
            Group { name: "envelope without query", context: NO_QUERY, tests: ungated_envelope() },
            group("fields", order_fields::fields()),
            group("lists", order_fields::lists()),
            group("queries", order_queries::queries()),
            group("responses", order_queries::responses()),
        ],
    }
}

/// Two faults of which `code` at `at` is told. The comment names that one first.
pub(super) fn first(
    id: &str,
    comment: &str,
    spec: &'static str,
    bytes: Bytes,
    code: &'static str,
    at: usize,
) -> Test {
    bad_bytes(&format!("order-{id}"), comment, spec, bytes, code, at)
}

/// The same at a field.
pub(super) fn at(
    id: &str,
    comment: &str,
    spec: &'static str,
    msg: &Msg,
    code: &'static str,
    (field, plus): (&str, usize),
) -> Test {
    first(id, comment, spec, msg.bytes(), code, msg.at(field) + plus)
}

fn envelope() -> Vec<Test> {
    let ping = || control::ping().bytes();
    let even = || Msg::new(0x0100, 7);
    let with_block = |msg: Msg| msg.blocks(block().bytes());
    let push = || push(&[&block()]);
    let checksum = push().at("end");
    vec![
        first(
            "version-flags",
            "version, then flags",
            "FRM-1 NOT-4",
            ping().with(0, &[2, 2]),
            "UNSUPPORTED_VERSION",
            0,
        ),
        first(
            "flags-length",
            "flags, then a fields length over the limit",
            "FRM-2 NOT-4",
            ping().with(1, &[4]).with(8, &[0xff]),
            "UNKNOWN_FLAG",
            1,
        ),
        first(
            "fields-length-blocks-length",
            "fields length, then blocks length",
            "FRM-3 NOT-4",
            ping().with(8, &[0xff]).with(12, &[0xff]),
            "TOO_LONG",
            8,
        ),
        first(
            "blocks-length-checksum",
            "blocks length, then checksum",
            "FRM-3 FRM-6",
            ping().with(12, &[0xff]),
            "TOO_LONG",
            12,
        ),
        first(
            "checksum-type",
            "checksum, then an unknown even type",
            "FRM-4 NOT-10",
            even().end().bytes().with(16, &[1]),
            "BAD_CHECKSUM",
            17,
        ),
        first(
            "checksum-fields",
            "checksum, then a count of blocks that is 0",
            "FRM-4 NOT-10",
            push().u16("block count", 0).bytes().with(checksum, &[0, 0, 0, 0]),
            "BAD_CHECKSUM",
            checksum,
        ),
        first(
            "checksum-blocks",
            "checksum, then blocks that are cut",
            "FRM-4",
            push().bytes().with(checksum, &[0, 0, 0, 0]).cut(checksum + 20),
            "BAD_CHECKSUM",
            checksum,
        ),
        first(
            "checksum-trailing",
            "checksum, then a byte after the frame",
            "FRM-4 FRM-5",
            ping().with(25, &[0, 0, 0, 0]).u8("too much", 0),
            "BAD_CHECKSUM",
            25,
        ),
        first(
            "blocks-type",
            "blocks that are cut, then an unknown even type",
            "FRM-4 NOT-8",
            with_block(even()).bytes().cut(40),
            "TRUNCATED",
            20,
        ),
        first(
            "trailing-type",
            "a byte after the frame, then an unknown even type",
            "FRM-5",
            even().bytes().u8("too much", 0),
            "TRAILING_BYTES",
            20,
        ),
        first(
            "trailing-fields",
            "a byte after the frame, then fields that are cut",
            "FRM-5",
            Msg::new(0x0022, 0).bytes().u8("too much", 0),
            "TRAILING_BYTES",
            20,
        ),
        first(
            "type-more",
            "an unknown even type, then flag more",
            "EXT-4 FRM-7",
            even().flags(1).bytes(),
            "UNKNOWN_MESSAGE",
            2,
        ),
        first(
            "type-blocks",
            "an unknown even type, then blocks that are none",
            "EXT-4",
            even().blocks(Bytes::new().hex("blocks", "ff")).bytes(),
            "UNKNOWN_MESSAGE",
            2,
        ),
        first(
            "more-id",
            "flag more, then a request id",
            "FRM-7 MSG-3",
            control::ping().flags(1).request(1).bytes(),
            "UNKNOWN_FLAG",
            1,
        ),
        first(
            "more-blocks",
            "flag more, then a block",
            "FRM-7 MSG-4",
            with_block(control::ping()).flags(1).bytes(),
            "UNKNOWN_FLAG",
            1,
        ),
        first(
            "id-blocks",
            "no request id, then a block",
            "MSG-3 MSG-4",
            with_block(control::authenticate()).request(0).bytes(),
            "BAD_REQUEST_ID",
            4,
        ),
        first(
            "id-fields",
            "a request id, then fields that are cut",
            "MSG-3",
            Msg::new(0x0022, 1).bytes(),
            "BAD_REQUEST_ID",
            4,
        ),
        first(
            "blocks-fields",
            "a block, then fields that are cut",
            "MSG-4",
            with_block(Msg::new(0x0022, 0)).bytes(),
            "UNEXPECTED_BLOCKS",
            12,
        ),
        first(
            "error-id-blocks",
            "a block, then scope request without an id",
            "MSG-4 MSG-33",
            with_block(control::error()).request(0).bytes(),
            "UNEXPECTED_BLOCKS",
            12,
        ),
        at(
            "fields-trailing",
            "an even extension, then a byte after the block of extensions",
            "EXT-3 MSG-5",
            &control::ping().put("extensions", list8("extensions", &[extension(2, 0)]).u8("too much", 0)),
            "UNKNOWN_EXTENSION",
            ("extensions", 1),
        ),
        valid(
            "message/order-nothing-wrong",
            "the ping of these tests without a fault",
            "NOT-4 FRM-1 FRM-2",
            Msg::new(0x0022, 0).u64("nonce", 4).end().bytes(),
        ),
    ]
}

fn ungated_envelope() -> Vec<Test> {
    let query = minimal;
    let checksum = query().at("end");
    vec![
        first(
            "more-capability",
            "flag more, then the capability",
            "FRM-7 MSG-7",
            query().flags(1).bytes(),
            "UNKNOWN_FLAG",
            1,
        ),
        first(
            "capability-id",
            "the capability, then no request id",
            "MSG-7 MSG-3",
            query().request(0).bytes(),
            "NOT_NEGOTIATED",
            2,
        ),
        first(
            "capability-blocks",
            "the capability, then a block",
            "MSG-7 MSG-4",
            query().blocks(block().bytes()).bytes(),
            "NOT_NEGOTIATED",
            2,
        ),
        first(
            "capability-fields",
            "the capability, then no fields",
            "MSG-7",
            Msg::new(0x001c, 1).bytes(),
            "NOT_NEGOTIATED",
            2,
        ),
        first(
            "checksum-capability",
            "the checksum, then the capability",
            "FRM-4 NOT-10",
            query().bytes().with(checksum, &[0, 0, 0, 0]),
            "BAD_CHECKSUM",
            checksum,
        ),
    ]
}
