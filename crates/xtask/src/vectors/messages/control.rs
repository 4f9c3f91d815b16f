//! Authenticate, ping, pong, error, goodbye (SPEC.md 7.16 to 7.21).

use super::super::build::{Bytes, Context, File, Flag, Group, Test};
use super::parts::{
    Id, Msg, NOTHING, OPENING, bad, cuts, envelope, fault, good, largest_extensions, raw8, run16,
};

const FLAGS: &[Flag] = &[
    fault::TRUNCATED,
    fault::TRAILING_BYTES,
    fault::TOO_LONG,
    fault::NON_CANONICAL,
    fault::BAD_UTF8,
    fault::UNKNOWN_FLAG,
    fault::UNKNOWN_CODE,
    fault::BAD_REQUEST_ID,
    fault::UNEXPECTED_BLOCKS,
];

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: Context::ALL, tests };
    File {
        path: "v1/message/control.json",
        target: "message",
        header: &["Authenticate, ping, pong, error, goodbye: what keeps a connection and what ends it."],
        flags: FLAGS,
        groups: vec![
            group("authenticate", authenticates()),
            group("ping and pong", pings()),
            group("error", errors()),
            group("goodbye", goodbyes()),
            group("fields cut short", truncated()),
            Group { name: "nothing agreed on", context: NOTHING, tests: ungated() },
            Group { name: "before welcome", context: OPENING, tests: opening() },
        ],
    }
}

pub(super) fn authenticate() -> Msg {
    Msg::new(0x001e, 6)
        .u16("method", 1)
        .put("authentication", Bytes::new().text16("authentication", "next-token-of-ada"))
        .end()
}

pub(super) fn authenticate_ack() -> Msg {
    Msg::new(0x0020, 6).u32("valid for", 3_600).end()
}

pub(super) fn ping() -> Msg {
    Msg::new(0x0022, 0).u64("nonce", 1).end()
}

pub(super) fn pong() -> Msg {
    Msg::new(0x0024, 0).u64("nonce", 1).end()
}

pub(super) fn error() -> Msg {
    Msg::new(0x0026, 5)
        .u16("code", 403)
        .u8("scope", 1)
        .u32("retry after", 0)
        .text8("text", "no right to read collection: salaries")
        .end()
}

pub(super) fn goodbye() -> Msg {
    Msg::new(0x0028, 0).u16("reason", 0).u32("reconnect after", 0).u32("jitter", 0).end()
}

fn authenticates() -> Vec<Test> {
    let msg = authenticate;
    let token = |len| msg().run16("authentication", 0x74, len);
    let empty = || msg().u16("method", 0).run16("authentication", 0, 0);
    let largest = token(8_192).u16("method", 0xffff).put("extensions", largest_extensions());
    let valid_for = |seconds| authenticate_ack().u32("valid for", seconds);
    let mut all = vec![
        good("authenticate-example", "a new token before the old one ends", "MSG-3 MSG-14 MSG-15", &msg()),
        good("authenticate-minimal", "method 0 with nothing", "MSG-15", &empty()),
        good("authenticate-largest", "8,192 bytes of an unknown method", "MSG-14 EXT-1 EXT-2", &largest),
        good("authenticate-token-empty", "an empty token of method 1", "MSG-15", &token(0)),
        good(
            "authenticate-not-text",
            "authentication is bytes: it need not be UTF-8",
            "MSG-14",
            &msg().put("authentication", Bytes::new().u16("length", 3).hex("authentication", "ff00c0")),
        ),
        good("authenticate-8192", "8,192 bytes", "MSG-14", &token(8_192)),
        bad("authenticate-8193", "8,193 bytes", "MSG-14", &token(8_193), "TOO_LONG", ("authentication", 0)),
        bad(
            "authenticate-length-huge",
            "a length of 65,535 and no bytes: the cap is checked first",
            "MSG-14 NOT-6",
            &msg().put("authentication", Bytes::new().u16("length", 65_535)),
            "TOO_LONG",
            ("authentication", 0),
        ),
        bad(
            "authenticate-method-0-with-token",
            "method 0 with one byte",
            "MSG-15",
            &msg().u16("method", 0).run16("authentication", 0x74, 1),
            "NON_CANONICAL",
            ("authentication", 0),
        ),
        good("authenticate-ack-example", "good for an hour", "MSG-3 MSG-5", &authenticate_ack()),
        good("authenticate-ack-minimal", "good without end", "MSG-5", &valid_for(0)),
        good(
            "authenticate-ack-largest",
            "as long as can be said",
            "EXT-1 EXT-2",
            &valid_for(u32::MAX).put("extensions", largest_extensions()),
        ),
    ];
    all.extend(envelope("authenticate", &msg(), Id::Needed));
    all.extend(envelope("authenticate-ack", &authenticate_ack(), Id::Needed));
    all
}

fn pings() -> Vec<Test> {
    let nonce = |msg: Msg, nonce| msg.u64("nonce", nonce);
    let mut all = vec![
        good("ping-example", "are you there?", "MSG-3 MSG-4 MSG-5", &ping()),
        good("ping-minimal", "a nonce may be 0", "MSG-3", &nonce(ping(), 0)),
        good(
            "ping-largest",
            "the greatest nonce and a full extension block",
            "EXT-1 EXT-2",
            &nonce(ping(), u64::MAX).put("extensions", largest_extensions()),
        ),
        good("pong-example", "yes", "MSG-3 MSG-4 MSG-5", &pong()),
        good("pong-minimal", "the answer to nonce 0", "MSG-3", &nonce(pong(), 0)),
        good(
            "pong-largest",
            "the greatest nonce and a full extension block",
            "EXT-1 EXT-2",
            &nonce(pong(), u64::MAX).put("extensions", largest_extensions()),
        ),
    ];
    all.extend(envelope("ping", &ping(), Id::None));
    all.extend(envelope("pong", &pong(), Id::None));
    all
}

fn errors() -> Vec<Test> {
    let code = |code| error().u16("code", code);
    let scope = |scope| error().u8("scope", scope);
    let raw = |raw: &[u8]| error().raw8("text", raw);
    let connection = || error().request(0).u16("code", 114).u8("scope", 2).text8("text", "");
    let fault = |id: &str, comment: &str, raw_text: &[u8]| {
        bad(&format!("error-utf8-{id}"), comment, "NOT-6", &raw(raw_text), "BAD_UTF8", ("text", 1))
    };
    let largest = code(0xffff)
        .request(u32::MAX)
        .u8("scope", 2)
        .u32("retry after", u32::MAX)
        .text8("text", &"e".repeat(255))
        .put("extensions", largest_extensions());
    let mut all = vec![
        good("error-example", "a pull that covers what may not be read", "MSG-32 MSG-33 MSG-3", &error()),
        good("error-connection", "the frame before this had a wrong checksum", "MSG-32 MSG-3", &connection()),
        good(
            "error-connection-with-id",
            "the whole connection, because of one request",
            "MSG-3 MSG-33",
            &scope(2),
        ),
        good("error-largest", "255 bytes of text", "MSG-32 EXT-1 EXT-2", &largest),
        good("error-retry", "come back in a minute", "MSG-32", &code(601).u32("retry after", 60_000)),
        good("error-code-0", "code 0 is not known, and decodes", "MSG-32", &code(0)),
        good("error-code-odd", "an unknown odd code", "MSG-32", &code(9_999)),
        good("error-code-even", "an unknown even code decodes as well", "MSG-32", &code(9_998)),
        good(
            "error-text-hostile",
            "an escape sequence, a line break and a NUL are for the receiver to escape",
            "NOT-6",
            &error().text8("text", "\u{1b}[2J\r\n\0admin: all is well"),
        ),
        good("error-text-utf8", "text that is not ASCII", "NOT-6", &error().text8("text", "né €𝄞\u{10ffff}")),
        bad("error-scope-0", "scope 0", "MSG-32", &scope(0), "UNKNOWN_CODE", ("scope", 0)),
        bad("error-scope-3", "scope 3", "MSG-32", &scope(3), "UNKNOWN_CODE", ("scope", 0)),
        bad("error-scope-255", "scope 255", "MSG-32", &scope(255), "UNKNOWN_CODE", ("scope", 0)),
        bad(
            "error-request-without-id",
            "scope request, and no request",
            "MSG-33 NOT-5",
            &error().request(0),
            "BAD_REQUEST_ID",
            ("frame", 4),
        ),
        fault("overlong", "a slash in two bytes", b"\xc0\xaf"),
        fault("surrogate", "half of a surrogate pair", b"a\xed\xa0\x80"),
        fault("cut", "a character that is cut at the end of the text", b"abc\xe2\x82"),
        fault("above", "U+110000", b"\xf4\x90\x80\x80"),
        bad(
            "error-text-short",
            "a text length of one more than there is before the extensions",
            "NOT-8",
            &error().put("text", Bytes::new().u8("text length", 6).raw("text", b"text")),
            "TRUNCATED",
            ("text", 1),
        ),
    ];
    all.extend(envelope("error", &error(), Id::Any));
    all
}

fn goodbyes() -> Vec<Test> {
    let reason = |reason| goodbye().u16("reason", reason);
    let largest = reason(0xffff)
        .u32("reconnect after", u32::MAX)
        .u32("jitter", u32::MAX)
        .put("extensions", largest_extensions());
    let mut all = vec![
        good("goodbye-example", "no need to say more", "MSG-3 MSG-5", &goodbye()),
        good(
            "goodbye-restarting",
            "the relay restarts: back in a second, spread over ten",
            "MSG-5",
            &reason(1).u32("reconnect after", 1_000).u32("jitter", 10_000),
        ),
        good("goodbye-overloaded", "too much to do", "MSG-5", &reason(2).u32("reconnect after", 60_000)),
        good("goodbye-idle", "nothing to do", "MSG-5", &reason(3)),
        good("goodbye-reason-unknown", "a reason that nobody knows means 0", "MSG-5", &reason(4)),
        good("goodbye-largest", "every number at its greatest", "EXT-1 EXT-2", &largest),
    ];
    all.extend(envelope("goodbye", &goodbye(), Id::None));
    all
}

fn truncated() -> Vec<Test> {
    let mut all = cuts(
        "authenticate",
        &authenticate(),
        &[
            ("method", 0, 0),
            ("method", 1, 0),
            ("authentication", 1, 0),
            ("authentication", 2, 2),
            ("authentication", 18, 2),
            ("extensions", 0, 0),
        ],
    );
    all.extend(cuts("authenticate-ack", &authenticate_ack(), &[("valid for", 3, 0), ("extensions", 0, 0)]));
    all.extend(cuts("ping", &ping(), &[("nonce", 0, 0), ("nonce", 7, 0), ("extensions", 0, 0)]));
    all.extend(cuts("pong", &pong(), &[("nonce", 0, 0), ("nonce", 7, 0), ("extensions", 0, 0)]));
    all.extend(cuts(
        "error",
        &error(),
        &[
            ("code", 0, 0),
            ("code", 1, 0),
            ("scope", 0, 0),
            ("retry after", 3, 0),
            ("text", 0, 0),
            ("text", 1, 1),
            ("text", 37, 1),
            ("extensions", 0, 0),
        ],
    ));
    all.extend(cuts(
        "goodbye",
        &goodbye(),
        &[
            ("reason", 1, 0),
            ("reconnect after", 3, 0),
            ("jitter", 0, 0),
            ("jitter", 2, 0),
            ("extensions", 0, 0),
        ],
    ));
    all
}

/// What needs no capability.
fn ungated() -> Vec<Test> {
    let other =
        ping().put("extensions", Bytes::new().u8("count", 1).u16("type", 1).then(run16("data", 7, 3)));
    vec![
        good("ping-without-capabilities", "ping needs no capability", "MSG-7", &ping()),
        good("pong-without-capabilities", "neither does pong", "MSG-7", &pong()),
        good("error-without-capabilities", "nor error", "MSG-7", &error()),
        good("goodbye-without-capabilities", "nor goodbye", "MSG-7", &goodbye()),
        good("authenticate-without-capabilities", "nor authenticate", "MSG-7", &authenticate()),
        good("ping-extension-without-capabilities", "nor an extension", "MSG-7 EXT-3", &other),
    ]
}

/// Before welcome a frame has at most 65,536 bytes.
fn opening() -> Vec<Test> {
    let refused = error().request(0).u16("code", 202).u8("scope", 2);
    vec![
        good(
            "error-before-welcome",
            "no version in common, instead of welcome",
            "MSG-32 FRM-3",
            &refused.clone().text8("text", "this relay speaks 1.0"),
        ),
        good("goodbye-before-welcome", "the client leaves again", "FRM-3", &goodbye()),
        bad(
            "error-before-welcome-utf8",
            "the same with a text that is not UTF-8",
            "NOT-6",
            &refused.put("text", raw8("text", b"1.0\xff")),
            "BAD_UTF8",
            ("text", 1),
        ),
    ]
}
