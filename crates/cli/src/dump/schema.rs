//! The fields of every message, as the tables of SPEC.md 7 have them.

use blazedb_relay::limits::MAX_PATH;
use blazedb_relay::registry::MessageType;

use super::layers;
use super::meaning::{self, Meaning, amount, collections, items, length, plain};
use super::value::value;
use super::walk::{Step, Stop, Walker};
use crate::output::counted;

/// Most `and`, `or` and `not` that are followed; the codec allows fewer.
const MAX_OPEN: usize = 32;

/// A message of 1.0.
#[derive(Clone, Copy)]
pub(super) struct Message {
    pub(super) kind: MessageType,
    pub(super) name: &'static str,
    pub(super) sender: &'static str,
    pub(super) fields: &'static [Field],
}

/// A field of a message, or of an item of a list in it.
pub(super) struct Field {
    name: &'static str,
    kind: Kind,
}

/// How a field is written.
enum Kind {
    /// An integer of so many bytes, and what it says.
    Number(usize, fn(u64) -> Meaning),
    /// So many bytes that only a machine reads.
    Raw(usize),
    /// A CRC-32 of something that is not in this message.
    Check,
    Uuid,
    /// Text with a length of so many bytes.
    Text(usize),
    /// Bytes with a length of two bytes.
    Bytes,
    Position,
    /// A count of so many bytes, what it says, and items with these fields each.
    List(usize, fn(u64) -> Meaning, &'static [Field]),
    /// What a table cannot say.
    Part(fn(&mut Walker<'_, '_>, &'static str) -> Step),
}

const fn f(name: &'static str, kind: Kind) -> Field {
    Field { name, kind }
}

const fn u8(name: &'static str, meaning: fn(u64) -> Meaning) -> Field {
    f(name, Kind::Number(1, meaning))
}

const fn u16(name: &'static str, meaning: fn(u64) -> Meaning) -> Field {
    f(name, Kind::Number(2, meaning))
}

const fn u32(name: &'static str, meaning: fn(u64) -> Meaning) -> Field {
    f(name, Kind::Number(4, meaning))
}

const fn u64(name: &'static str, meaning: fn(u64) -> Meaning) -> Field {
    f(name, Kind::Number(8, meaning))
}

const fn list8(name: &'static str, item: &'static [Field]) -> Field {
    f(name, Kind::List(1, items, item))
}

const fn list16(name: &'static str, item: &'static [Field]) -> Field {
    f(name, Kind::List(2, items, item))
}

const EXTENSION: &[Field] = &[u16("type", meaning::extension_type), f("bytes", Kind::Bytes)];
const EXTENSIONS: Field = list8("extensions", EXTENSION);
const COLLECTION: &[Field] = &[f("name", Kind::Text(1))];
const COLLECTIONS: Field = f("collections", Kind::List(2, collections, COLLECTION));
const CAPABILITY: &[Field] = &[u16("capability", meaning::capability)];
const CAPABILITIES: Field = list8("capabilities", CAPABILITY);
const LIMIT: &[Field] = &[u16("limit", meaning::limit), u64("value", amount)];
const LIMITS: Field = list8("limits", LIMIT);
const SEEN: &[Field] = &[position("")];
const EPOCH: &[Field] = &[u64("epoch", plain), u64("begins", meaning::seq)];
const FIRST_SEQ: &[Field] = &[u64("first seq", plain)];
const FIRST_SEQS: Field = list16("first seqs", FIRST_SEQ);
const ENTRY: &[Field] = &[f("status", Kind::Part(push_entry))];
const CURSOR: Field = f("cursor", Kind::Bytes);
const AUTHENTICATION: Field = f("authentication", Kind::Bytes);
const SUBSCRIPTION: Field = u32("subscription", plain);
const WINDOW: Field = u64("window", meaning::window);
const NONCE: &[Field] = &[u64("nonce", plain), EXTENSIONS];
const COMPONENT: &[Field] = &[f("component", Kind::Text(2))];
const PATH: &[Field] = &[u8("source", plain), list8("components", COMPONENT)];
const PATHS: &[Field] = &[f("path", Kind::Part(path))];
const JOIN: &[Field] = &[
    u8("kind", |kind| meaning::one_of(kind, &["inner", "left"])),
    f("collection", Kind::Text(1)),
    f("left path", Kind::Part(path)),
    f("right path", Kind::Part(path)),
];
const AGGREGATE: &[Field] = &[
    u8("function", |function| meaning::one_of(function, &["count", "sum", "avg", "min", "max"])),
    f("path", Kind::Part(path)),
];
const SORT_KEY: &[Field] = &[
    f("kind", Kind::Part(sort_key)),
    u8("direction", |direction| meaning::one_of(direction, &["ascending", "descending"])),
];

const fn position(name: &'static str) -> Field {
    f(name, Kind::Position)
}

/// What is known of the message type `kind`.
pub(super) fn message(kind: u64) -> Option<Message> {
    MESSAGES.iter().find(|message| u64::from(message.kind.0) == kind).copied()
}

const TO_RELAY: &str = "client to relay";
const TO_CLIENT: &str = "relay to client";
const EITHER: &str = "either way";

macro_rules! messages {
    ($($kind:ident, $sender:ident, $fields:expr;)*) => {
        pub(super) const MESSAGES: &[Message] = &[$(Message {
            kind: MessageType::$kind,
            name: match MessageType::$kind.name() { Some(name) => name, None => "" },
            sender: $sender,
            fields: $fields,
        }),*];
    };
}

messages! {
    HANDSHAKE, TO_RELAY, &[
        f("protocol", Kind::Text(1)),
        u16("min version", meaning::version),
        u16("max version", meaning::version),
        f("database", Kind::Text(1)),
        f("node", Kind::Uuid),
        f("node key", Kind::Raw(16)),
        u64("highest given out", plain),
        list8("seen", SEEN),
        f("public key", Kind::Bytes),
        CAPABILITIES,
        u16("authentication method", meaning::method),
        AUTHENTICATION,
        LIMITS,
        EXTENSIONS,
    ];
    WELCOME, TO_CLIENT, &[
        u16("version", meaning::version),
        CAPABILITIES,
        list8("epochs", EPOCH),
        position("agreed"),
        u8("restore mode", |mode| meaning::one_of(mode, &["keep", "discard"])),
        u64("mark", plain),
        f("check", Kind::Check),
        position("head"),
        LIMITS,
        u32("heartbeat interval", meaning::milliseconds),
        u64("relay time", meaning::unix_time),
        EXTENSIONS,
    ];
    SYNC_STATE_REQUEST, TO_RELAY, &[EXTENSIONS];
    SYNC_STATE, TO_CLIENT, &[
        position("head"),
        u64("operations", amount),
        u64("nodes", amount),
        u64("live records", amount),
        u64("collections", amount),
        EXTENSIONS,
    ];
    PULL_REQUEST, TO_RELAY, &[
        position("from"),
        COLLECTIONS,
        u32("max operations", meaning::wish),
        u32("max bytes", meaning::wish),
        EXTENSIONS,
    ];
    PULL_RESPONSE, TO_CLIENT, &[position("next"), u8("has more", meaning::boolean), FIRST_SEQS, EXTENSIONS];
    PUSH, TO_RELAY, &[
        u16("block count", |count| Meaning::plain(counted(count, "block"))),
        f("ids check", Kind::Part(|w, _| layers::ids_check(w))),
        EXTENSIONS,
    ];
    PUSH_ACK, TO_CLIENT, &[list16("entries", ENTRY), EXTENSIONS];
    SUBSCRIBE, TO_RELAY, &[SUBSCRIPTION, position("from"), WINDOW, COLLECTIONS, EXTENSIONS];
    UNSUBSCRIBE, TO_RELAY, &[SUBSCRIPTION, EXTENSIONS];
    UPDATE, TO_CLIENT, &[SUBSCRIPTION, position("previous"), position("new"), FIRST_SEQS, EXTENSIONS];
    UPDATE_ACK, TO_RELAY, &[SUBSCRIPTION, position("position"), WINDOW, EXTENSIONS];
    QUERY, TO_RELAY, &[
        f("collection", Kind::Text(1)),
        position("after"),
        list8("joins", JOIN),
        f("filter", Kind::Part(|w, name| expression(w, name, 0))),
        list8("group by", PATHS),
        list8("aggregates", AGGREGATE),
        list8("projection", PATHS),
        list8("sort", SORT_KEY),
        u32("limit", |limit| match limit {
            0 => Meaning::plain("0, the relay's default"),
            _ => Meaning::plain(counted(limit, "row")),
        }),
        CURSOR,
        EXTENSIONS,
    ];
    QUERY_RESPONSE, TO_CLIENT, &[position("at"), f("columns", Kind::Part(cells)), CURSOR, EXTENSIONS];
    AUTHENTICATE, TO_RELAY, &[u16("method", meaning::method), AUTHENTICATION, EXTENSIONS];
    AUTHENTICATE_ACK, TO_CLIENT, &[u32("valid for", meaning::seconds), EXTENSIONS];
    PING, EITHER, NONCE;
    PONG, EITHER, NONCE;
    ERROR, EITHER, &[
        u16("code", meaning::error_code),
        u8("scope", |scope| meaning::one_of(scope, &["this request", "the connection"])),
        u32("retry after", meaning::milliseconds),
        f("text", Kind::Text(1)),
        EXTENSIONS,
    ];
    GOODBYE, EITHER, &[
        u16("reason", meaning::reason),
        u32("reconnect after", meaning::milliseconds),
        u32("jitter", meaning::milliseconds),
        EXTENSIONS,
    ];
}

/// Walks fields one after another.
pub(super) fn walk(w: &mut Walker<'_, '_>, fields: &'static [Field]) -> Step {
    fields.iter().try_for_each(|field| one(w, field))
}

fn one(w: &mut Walker<'_, '_>, field: &'static Field) -> Step {
    let name = field.name;
    match field.kind {
        Kind::Number(len, meaning) => drop(w.number(len, name, meaning)?),
        Kind::Raw(len) => drop(w.field(len, name, |_| Meaning::faint("random bytes"))?),
        Kind::Check => drop(w.number(4, name, |check| Meaning::plain(format!("{check:08x}")))?),
        Kind::Uuid => drop(w.field(16, name, Meaning::uuid)?),
        Kind::Text(prefix) => drop(w.prefixed(prefix, name, Meaning::text)?),
        Kind::Bytes => drop(w.prefixed(2, name, bytes)?),
        Kind::Position => {
            let of = if name.is_empty() { String::new() } else { format!("{name} ") };
            w.hold(16);
            w.number(8, format!("{of}epoch"), plain)?;
            w.number(8, format!("{of}seq"), meaning::seq)?;
        }
        Kind::List(prefix, meaning, item) => {
            let count = w.number(prefix, name, meaning)?;
            w.nested(|w| (0..count).try_for_each(|_| walk(w, item)))?;
        }
        Kind::Part(part) => part(w, name)?,
    }
    Ok(())
}

/// Bytes that may be text, such as a token.
fn bytes(bytes: &[u8]) -> Meaning {
    match core::str::from_utf8(bytes) {
        _ if bytes.is_empty() => Meaning::faint("empty"),
        Ok(text) if text.chars().all(|c| c == ' ' || c.is_ascii_graphic()) => Meaning::text(bytes),
        _ => length(bytes.len() as u64),
    }
}

fn push_entry(w: &mut Walker<'_, '_>, name: &'static str) -> Step {
    const ACCEPTED: &[Field] = &[u64("epoch", plain), u64("first seq", plain), u64("last seq", plain)];
    const REFUSED: &[Field] = &[
        u16("code", meaning::error_code),
        u16("index", |index| Meaning::plain(format!("operation {} of the block", index + 1))),
    ];
    const LATER: &[Field] = &[u32("wait", meaning::milliseconds)];
    let fields = match w.number(1, name, |s| meaning::one_of(s, &["accepted", "refused", "later"]))? {
        1 => ACCEPTED,
        2 => REFUSED,
        3 => LATER,
        _ => return Err(Stop::Lost),
    };
    w.nested(|w| walk(w, fields))
}

fn path(w: &mut Walker<'_, '_>, name: &'static str) -> Step {
    if !name.is_empty() {
        w.heading(name, Meaning::faint(path_in_words(w.peek(w.left()))))?;
    }
    w.nested(|w| walk(w, PATH))
}

/// The path at the start of `bytes`, as far as there is one.
fn path_in_words(bytes: &[u8]) -> String {
    let Some(([source, count], mut rest)) = bytes.split_first_chunk() else { return String::new() };
    let mut components = Vec::new();
    for _ in 0..usize::from(*count).min(MAX_PATH) {
        let Some((len, after)) = rest.split_first_chunk() else { break };
        let Some((component, after)) = after.split_at_checked(u16::from_be_bytes(*len).into()) else { break };
        components.push(meaning::name(component));
        rest = after;
    }
    let path = if *count == 0 { "the record's id".into() } else { components.join(" / ") };
    if *source == 0 { path } else { format!("{path}, of source {source}") }
}

fn sort_key(w: &mut Walker<'_, '_>, name: &'static str) -> Step {
    match w.number(1, name, |kind| meaning::one_of(kind, &["path", "aggregate"]))? {
        1 => path(w, ""),
        2 => w.number(1, "aggregate", plain).map(drop),
        _ => Err(Stop::Lost),
    }
}

/// An expression in prefix order, inside `open` others.
fn expression(w: &mut Walker<'_, '_>, name: &'static str, open: usize) -> Step {
    const OPS: &[(u64, &str)] = &[
        (0x00, "all"),
        (0x01, "and"),
        (0x02, "or"),
        (0x03, "not"),
        (0x10, "equal"),
        (0x11, "not equal"),
        (0x12, "less"),
        (0x13, "less or equal"),
        (0x14, "greater"),
        (0x15, "greater or equal"),
        (0x16, "in"),
        (0x17, "between"),
        (0x18, "contains"),
        (0x19, "starts with"),
        (0x1A, "exists"),
    ];
    let op = w.number(1, name, |op| match OPS.iter().find(|(code, _)| *code == op) {
        Some((_, name)) => Meaning::word(name),
        None => Meaning::bad("no such op"),
    })?;
    if open >= MAX_OPEN {
        return Err(Stop::Lost);
    }
    w.nested(|w| match op {
        0x00 => Ok(()),
        0x01 | 0x02 => {
            let count = w.number(1, "count", |count| Meaning::plain(counted(count, "expression")))?;
            (0..count).try_for_each(|_| expression(w, "op", open + 1))
        }
        0x03 => expression(w, "op", open + 1),
        0x10..=0x15 | 0x18 => path(w, "path").and_then(|()| value(w, 0)),
        0x16 => {
            path(w, "path")?;
            let count = w.number(2, "values", items)?;
            w.nested(|w| (0..count).try_for_each(|_| value(w, 0)))
        }
        0x17 => path(w, "path").and_then(|()| value(w, 0)).and_then(|()| value(w, 0)),
        0x19 => path(w, "path").and_then(|()| w.prefixed(2, "text", Meaning::text).map(drop)),
        0x1A => path(w, "path"),
        _ => Err(Stop::Lost),
    })
}

fn cells(w: &mut Walker<'_, '_>, name: &'static str) -> Step {
    let columns = w.number(2, name, plain)?;
    let rows = w.number(2, "rows", plain)?;
    // Rows without columns would take no bytes, so nothing would end them.
    if columns == 0 {
        return Err(Stop::Lost);
    }
    for row in 1..=rows {
        w.heading(format!("row {row}"), Meaning::faint(""))?;
        w.nested(|w| (0..columns).try_for_each(|_| value(w, 0)))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_of_the_registry_has_its_fields() {
        let table: Vec<_> = MESSAGES.iter().map(|message| (message.kind, message.name)).collect();
        assert_eq!(table, MessageType::ALL);
        for message in MESSAGES {
            assert!(message.fields.last().is_some_and(|last| last.name == "extensions"), "{}", message.name);
        }
    }
}
