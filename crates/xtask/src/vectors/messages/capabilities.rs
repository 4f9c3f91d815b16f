//! What needs a capability, and what does not (SPEC.md 9.2 and 18.3): every message where nothing was agreed
//! on, and each capability missing alone.

use super::super::build::{Bytes, Context, File, Flag, Group, Test, valid_as};
use super::super::pieces::{BlockParts, OpParts};
use super::parts::{Msg, NOTHING, bad, block, crdt_block, fault, good, other_block};
use super::push::{accepted, ack, push};
use super::{control, pull, query, query_response, subscribe};

const FLAGS: &[Flag] = &[fault::NOT_NEGOTIATED];

const CRDT: Context = Context { capabilities: &["crdt"], ..Context::ALL };
const COMPRESSION: Context = Context { capabilities: &["compression"], ..Context::ALL };
const RESERVED: Context = Context { capabilities: &["packed", "snapshot", "encryption"], ..Context::ALL };

pub(super) fn file() -> File {
    let group = |name, context, tests| Group { name, context, tests };
    File {
        path: "v1/message/capabilities.json",
        target: "message",
        header: &["Messages, blocks and values on connections that agreed on nothing or on one capability."],
        flags: FLAGS,
        groups: vec![
            group("nothing agreed on", NOTHING, nothing()),
            group("refused with nothing agreed on", NOTHING, refused("nothing")),
            group("crdt alone", CRDT, crdt()),
            group("compression alone", COMPRESSION, compression()),
            group("reserved capabilities", RESERVED, refused("reserved")),
        ],
    }
}

fn pulled(blocks: Bytes) -> Msg {
    pull::pull_response(&[1], blocks)
}

fn updated(blocks: Bytes) -> Msg {
    subscribe::update(&[2], blocks)
}

/// A block with an update of one field to a value, written as hex.
fn written(value: &str) -> BlockParts {
    let field = Bytes::new().hex("key status", "08").hex("value", value);
    BlockParts::of(1, vec![OpParts::update(1, field)])
}

const COUNTER: &str = "0e 0000000000000000 00000000000000000000000000000000 0000000000000005";

/// Where the value of `written` stands, behind the block's header and the operation's length.
fn value_at() -> usize {
    36 + 4 + OpParts::bug(1).fields_at() + 1
}

fn nothing() -> Vec<Test> {
    let ok = |id: &str, msg: &Msg| {
        good(
            &format!("{id}-needs-nothing"),
            &format!("{} needs no capability", id.replace('-', " ")),
            "MSG-7",
            msg,
        )
    };
    vec![
        ok("sync-state-request", &pull::sync_state_request()),
        ok("sync-state", &pull::sync_state_reply()),
        ok("pull-request", &pull::pull_request()),
        ok("pull-response", &pulled(block().bytes())),
        ok("push", &push(&[&block()])),
        ok("push-ack", &ack(&[accepted(9, 1, 1)])),
        ok("subscribe", &subscribe::subscribe()),
        ok("unsubscribe", &subscribe::unsubscribe()),
        ok("update", &updated(other_block().bytes())),
        ok("update-ack", &subscribe::ack()),
        ok("authenticate-ack", &control::authenticate_ack()),
        good(
            "push-plain-needs-nothing",
            "sealed, vector and dictionary are values like others",
            "OPS-18 BLK-4",
            &push(&[&written("08 0003 10 00000001 2a 0f 0001 3f800000 09 0001 0001 61 0b")]),
        ),
    ]
}

fn refused(what: &str) -> Vec<Test> {
    let name = |id: &str| format!("{id}-with-{what}");
    let gate = |id: &str, comment: &str, spec, msg: &Msg, at| {
        bad(&name(id), comment, spec, msg, "NOT_NEGOTIATED", at)
    };
    let inside = ("blocks", value_at());
    vec![
        gate("query", "query needs query", "MSG-7", &query::example(), ("frame", 2)),
        gate(
            "query-response",
            "query response needs query",
            "MSG-7",
            &query_response::example(),
            ("frame", 2),
        ),
        gate("push-lz4", "a compressed block in a push", "BLK-4", &push(&[&block().lz4()]), ("blocks", 1)),
        gate(
            "pull-lz4",
            "a compressed block in a pull response",
            "BLK-4",
            &pulled(block().lz4_bytes()),
            ("blocks", 1),
        ),
        gate(
            "update-lz4",
            "a compressed block in an update",
            "BLK-4",
            &updated(block().lz4_bytes()),
            ("blocks", 1),
        ),
        gate("push-removed", "removed in a push", "OPS-18", &push(&[&written("0c")]), inside),
        gate("push-patch", "a patch in a push", "OPS-18", &push(&[&written("0d 0001 0001 61 0b")]), inside),
        gate("push-counter", "a counter in a push", "OPS-18", &push(&[&written(COUNTER)]), inside),
        gate("pull-removed", "removed in a pull response", "OPS-18", &pulled(crdt_block().bytes()), inside),
        gate("update-removed", "removed in an update", "OPS-18", &updated(crdt_block().bytes()), inside),
    ]
}

fn crdt() -> Vec<Test> {
    let deep = format!("0d 0001 0001 61 {COUNTER}");
    vec![
        good("push-removed-with-crdt", "removed", "OPS-18", &push(&[&written("0c")])),
        good("push-patch-with-crdt", "a patch", "OPS-18", &push(&[&written("0d 0001 0001 61 0b")])),
        good("push-counter-with-crdt", "a counter inside a patch", "OPS-18", &push(&[&written(&deep)])),
        good("pull-removed-with-crdt", "removed in a pull response", "OPS-18", &pulled(crdt_block().bytes())),
        bad(
            "push-lz4-with-crdt",
            "crdt does not unlock LZ4",
            "BLK-4",
            &push(&[&block().lz4()]),
            "NOT_NEGOTIATED",
            ("blocks", 1),
        ),
        bad("query-with-crdt", "nor query", "MSG-7", &query::example(), "NOT_NEGOTIATED", ("frame", 2)),
    ]
}

fn compression() -> Vec<Test> {
    let removed = crdt_block().lz4();
    vec![
        valid_as(
            "message/push-lz4-with-compression",
            "a compressed block",
            "BLK-4",
            push(&[&block().lz4()]).bytes(),
            &push(&[&block()]).bytes(),
        ),
        bad(
            "push-removed-with-compression",
            "compression does not unlock removed",
            "OPS-18",
            &push(&[&written("0c")]),
            "NOT_NEGOTIATED",
            ("blocks", value_at()),
        ),
        bad(
            "push-removed-inside-lz4",
            "inside a compressed block the offset is that of the payload",
            "OPS-18 NOT-11",
            &push(&[&removed]),
            "NOT_NEGOTIATED",
            ("blocks", 36),
        ),
        bad(
            "query-with-compression",
            "nor query",
            "MSG-7",
            &query::example(),
            "NOT_NEGOTIATED",
            ("frame", 2),
        ),
    ]
}
