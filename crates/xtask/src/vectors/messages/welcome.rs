//! Welcome (SPEC.md 7.2).

use super::super::build::{Bytes, File, Flag, Group, Test};
use super::handshake::{many_capabilities, many_limits};
use super::parts::{
    EPOCH, Id, MAX_NODE_SEQ, MAX_SEQ, Msg, OLD_EPOCH, OPENING, bad, capabilities, cuts, envelope, fault,
    good, largest_extensions, limits, list8, positions,
};

const FLAGS: &[Flag] = &[
    fault::TRUNCATED,
    fault::TRAILING_BYTES,
    fault::TOO_MANY,
    fault::EMPTY,
    fault::NON_CANONICAL,
    fault::OUT_OF_ORDER,
    fault::DUPLICATE,
    fault::OUT_OF_RANGE,
    fault::UNKNOWN_FLAG,
    fault::UNKNOWN_CODE,
    fault::BAD_NODE_SEQ,
    fault::BAD_POSITION,
    fault::BAD_REQUEST_ID,
    fault::UNEXPECTED_BLOCKS,
];

/// 2026-01-01T00:00:00Z.
const RELAY_TIME: u64 = 1_767_225_600_000;

pub(super) fn file() -> File {
    let group = |name, tests| Group { name, context: OPENING, tests };
    File {
        path: "v1/message/welcome.json",
        target: "message",
        header: &["Welcome: what was agreed on, and where the log stands."],
        flags: FLAGS,
        groups: vec![
            group("whole messages", whole()),
            group("capabilities and limits", offers()),
            group("epochs and positions", epochs()),
            group("mark, mode, heartbeat", marks()),
            group("fields cut short", truncated()),
        ],
    }
}

fn epochs8(epochs: &[(u64, u64)]) -> Bytes {
    let item = |&(epoch, begins): &(u64, u64)| Bytes::new().u64("epoch", epoch).u64("begins", begins);
    list8("epochs", &epochs.iter().map(item).collect::<Vec<_>>())
}

pub(super) fn example() -> Msg {
    Msg::new(0x0004, 0)
        .u16("version", 0x0100)
        .put("capabilities", capabilities(&[0x0011, 0x0015, 0x0017]))
        .put("epochs", epochs8(&[(EPOCH, 0)]))
        .position("agreed", 0, 0)
        .u8("restore mode", 1)
        .u64("mark", 0)
        .u32("check", 0)
        .position("head", 0, 0)
        .put("limits", limits(&[(0x0001, 4_194_304), (0x000b, 500)]))
        .u32("heartbeat interval", 30_000)
        .u64("relay time", RELAY_TIME)
        .end()
}

fn minimal() -> Msg {
    example()
        .put("capabilities", capabilities(&[]))
        .put("limits", limits(&[]))
        .u32("heartbeat interval", 1_000)
        .u64("relay time", 0)
}

/// To a client that has been here before.
fn returning() -> Msg {
    example()
        .put("epochs", epochs8(&[(EPOCH, 100), (OLD_EPOCH, 0)]))
        .position("agreed", EPOCH, 150)
        .u64("mark", 9)
        .u32("check", 0x5d7a_91c3)
        .position("head", EPOCH, 180)
}

fn many_epochs(count: u64) -> Bytes {
    epochs8(&(0..count).map(|n| (EPOCH + n, 1_000 - n)).collect::<Vec<_>>())
}

fn whole() -> Vec<Test> {
    let largest = returning()
        .put("capabilities", many_capabilities(64))
        .put("epochs", many_epochs(17))
        .put("limits", many_limits(32))
        .put("extensions", largest_extensions());
    let mut all = vec![
        good("welcome-example", "to a client that never connected, on an empty log", "MSG-17", &example()),
        good("welcome-minimal", "no capabilities, no limits", "MSG-17", &minimal()),
        good("welcome-returning", "to a client that goes on", "MSG-17 MSG-19", &returning()),
        good(
            "welcome-discard",
            "restored from a backup; what came after it is gone",
            "MSG-18",
            &returning().position("agreed", OLD_EPOCH, 80).u8("restore mode", 2),
        ),
        good("welcome-largest", "every list at its cap", "MSG-13 MSG-16 MSG-17 EXT-1 EXT-2", &largest),
    ];
    all.extend(envelope("welcome", &example(), Id::None));
    all
}

fn offers() -> Vec<Test> {
    let can = |ids: &[u16]| example().put("capabilities", capabilities(ids));
    let told = |list: &[(u16, u64)]| example().put("limits", limits(list));
    let many = |count| example().put("capabilities", many_capabilities(count));
    let many_told = |count| example().put("limits", many_limits(count));
    vec![
        good(
            "welcome-version-other",
            "a version that was not offered is for the session to judge",
            "MSG-17",
            &example().u16("version", 0x0200),
        ),
        good("welcome-capability-even", "so is an even capability", "MSG-13", &can(&[0x0010])),
        good("welcome-capabilities-64", "64 capabilities", "MSG-13", &many(64)),
        bad("welcome-capabilities-65", "65", "MSG-13", &many(65), "TOO_MANY", ("capabilities", 0)),
        bad(
            "welcome-capabilities-order",
            "capabilities that descend",
            "MSG-13",
            &can(&[0x0017, 0x0011]),
            "OUT_OF_ORDER",
            ("capabilities", 3),
        ),
        bad(
            "welcome-capability-twice",
            "a capability twice",
            "MSG-13",
            &can(&[0x0011, 0x0017, 0x0017]),
            "DUPLICATE",
            ("capabilities", 5),
        ),
        good("welcome-limits-32", "32 limits", "MSG-16", &many_told(32)),
        bad("welcome-limits-33", "33 limits", "MSG-16", &many_told(33), "TOO_MANY", ("limits", 0)),
        bad(
            "welcome-limits-order",
            "limits that descend",
            "MSG-16",
            &told(&[(5, 64), (3, 64)]),
            "OUT_OF_ORDER",
            ("limits", 11),
        ),
        bad(
            "welcome-limit-twice",
            "a limit twice, with two values",
            "MSG-16",
            &told(&[(1, 1), (5, 64), (5, 65)]),
            "DUPLICATE",
            ("limits", 21),
        ),
    ]
}

fn epochs() -> Vec<Test> {
    let put = |list: &[(u64, u64)]| example().put("epochs", epochs8(list));
    let many = |count| example().put("epochs", many_epochs(count));
    let mut all = vec![
        good("welcome-epochs-17", "17 epochs", "MSG-17", &many(17)),
        bad("welcome-epochs-18", "18 epochs", "MSG-17", &many(18), "TOO_MANY", ("epochs", 0)),
        bad("welcome-epochs-none", "no epoch", "MSG-17", &put(&[]), "EMPTY", ("epochs", 0)),
        bad("welcome-epoch-0", "epoch 0", "MSG-17", &put(&[(9, 5), (0, 0)]), "BAD_POSITION", ("epochs", 17)),
        bad(
            "welcome-epoch-twice",
            "an epoch twice",
            "MSG-17",
            &put(&[(9, 5), (9, 5)]),
            "DUPLICATE",
            ("epochs", 17),
        ),
        bad(
            "welcome-epoch-twice-apart",
            "an epoch twice with another between",
            "MSG-17",
            &put(&[(9, 5), (8, 4), (9, 0)]),
            "DUPLICATE",
            ("epochs", 33),
        ),
        good("welcome-begins-last", "begins 2^53 - 1", "MSG-17", &put(&[(9, MAX_SEQ)])),
        bad(
            "welcome-begins-over",
            "begins 2^53",
            "MSG-17",
            &put(&[(9, MAX_SEQ + 1)]),
            "BAD_POSITION",
            ("epochs", 9),
        ),
        good("welcome-begins-equal", "two epochs that begin at one seq", "MSG-17", &put(&[(9, 5), (8, 5)])),
        bad(
            "welcome-begins-ascend",
            "an older epoch that begins later",
            "MSG-17",
            &put(&[(9, 5), (8, 6)]),
            "OUT_OF_ORDER",
            ("epochs", 25),
        ),
    ];
    all.extend(positions("welcome", &returning(), "agreed"));
    all.extend(positions("welcome", &returning(), "head"));
    all
}

fn marks() -> Vec<Test> {
    let mode = |mode| example().u8("restore mode", mode);
    let mark = |mark, check| example().u64("mark", mark).u32("check", check);
    let heartbeat = |ms| example().u32("heartbeat interval", ms);
    vec![
        bad("welcome-mode-0", "restore mode 0", "MSG-18", &mode(0), "UNKNOWN_CODE", ("restore mode", 0)),
        bad("welcome-mode-3", "restore mode 3", "MSG-18", &mode(3), "UNKNOWN_CODE", ("restore mode", 0)),
        good("welcome-mark-last", "mark 2^48 - 1", "MSG-19", &mark(MAX_NODE_SEQ, 1)),
        bad(
            "welcome-mark-over",
            "mark 2^48",
            "MSG-19",
            &mark(MAX_NODE_SEQ + 1, 1),
            "BAD_NODE_SEQ",
            ("mark", 0),
        ),
        good("welcome-check-0", "a mark whose check happens to be 0", "MSG-19", &mark(1, 0)),
        bad(
            "welcome-check-without-mark",
            "mark 0 with a check",
            "MSG-19",
            &mark(0, 1),
            "NON_CANONICAL",
            ("check", 0),
        ),
        good("welcome-heartbeat-1000", "the shortest interval", "MSG-20", &heartbeat(1_000)),
        good("welcome-heartbeat-3600000", "the longest interval", "MSG-20", &heartbeat(3_600_000)),
        bad(
            "welcome-heartbeat-999",
            "one millisecond too short",
            "MSG-20",
            &heartbeat(999),
            "OUT_OF_RANGE",
            ("heartbeat interval", 0),
        ),
        bad(
            "welcome-heartbeat-3600001",
            "one millisecond too long",
            "MSG-20",
            &heartbeat(3_600_001),
            "OUT_OF_RANGE",
            ("heartbeat interval", 0),
        ),
        bad(
            "welcome-heartbeat-0",
            "no heartbeat",
            "MSG-20",
            &heartbeat(0),
            "OUT_OF_RANGE",
            ("heartbeat interval", 0),
        ),
    ]
}

fn truncated() -> Vec<Test> {
    cuts(
        "welcome",
        &returning(),
        &[
            ("version", 0, 0),
            ("version", 1, 0),
            ("capabilities", 0, 0),
            ("capabilities", 6, 5),
            ("epochs", 0, 0),
            ("epochs", 1, 1),
            ("epochs", 16, 9),
            ("epochs", 32, 25),
            ("agreed", 7, 0),
            ("agreed", 15, 8),
            ("restore mode", 0, 0),
            ("mark", 5, 0),
            ("check", 3, 0),
            ("head", 0, 0),
            ("head", 9, 8),
            ("limits", 1, 1),
            ("limits", 10, 3),
            ("limits", 20, 13),
            ("heartbeat interval", 2, 0),
            ("relay time", 7, 0),
            ("extensions", 0, 0),
        ],
    )
}
