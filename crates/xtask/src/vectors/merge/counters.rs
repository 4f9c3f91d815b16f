//! Counters: which stay, which count, what they add up to.

use super::build::{
    A, B, C, NEVER, T, Test, array, bool, counter, delete, dict, double, f, int, nothing, null, patch,
    patched, removed, sealed, set, test, text, with, write,
};

const MAX: i64 = i64::MAX;
const MIN: i64 = i64::MIN;
const T5: T = T(5, A);

/// The worked examples 25 to 40.
pub fn examples() -> Vec<Test> {
    let content = &["MRG-11"];
    let ten = || set(T5, int(10));
    let a = |base, total| set(T(9, A), counter(base, total));
    let b = |base, total| set(T(9, B), counter(base, total));
    let waiting = || set(T(8, A), counter(T(7, A), 3));
    let k = |value| patched(T(9, A), [("k", value)]);
    vec![
        test("example-25", "nothing counts as 0", content, vec![a(NEVER, 3), b(NEVER, -1)], f(int(2))),
        test("example-26", "base is top", content, vec![ten(), a(T5, 3)], f(int(13))),
        test("example-27", "it did not know of the 10", content, vec![ten(), a(NEVER, 3)], f(int(10))),
        test("example-28", "it waits for t7", content, vec![ten(), waiting()], f(int(10))),
        test(
            "example-29",
            "base is top now",
            content,
            vec![ten(), waiting(), set(T(7, A), int(0))],
            f(int(3)),
        ),
        test(
            "example-30",
            "counting from zero again",
            &["MRG-10", "MRG-11"],
            vec![set(T5, removed()), a(T5, 2)],
            f(int(2)),
        ),
        test(
            "example-31",
            "the record is above f",
            &["MRG-10", "MRG-12"],
            vec![delete(T(9, A)), set(T(10, A), counter(T(9, A), 1))],
            f(int(1)),
        ),
        test(
            "example-32",
            "top(f.k) is t5, from above",
            &["MRG-10", "MRG-11"],
            vec![set(T5, dict([("k", int(10))])), k(counter(T5, 3))],
            f(dict([("k", int(13))])),
        ),
        test(
            "example-33",
            "neither nothing nor an int",
            content,
            vec![set(T5, text("x")), a(T5, 3)],
            f(text("x")),
        ),
        test("example-34", "null is content and no int", content, vec![set(T5, null()), a(T5, 3)], f(null())),
        test(
            "example-35",
            "one clamp, at the end",
            content,
            vec![set(T5, int(MAX)), a(T5, 1), b(T5, -1)],
            f(int(MAX)),
        ),
        test("example-36", "a total of 0 counts", &["MRG-12"], vec![a(NEVER, 0)], f(int(0))),
        test(
            "example-37",
            "a total includes what went before",
            &["MRG-3"],
            vec![set(T5, counter(NEVER, 3)), set(T(8, A), counter(NEVER, 5))],
            f(int(5)),
        ),
        test(
            "example-38",
            "bases do not disturb one another",
            &["MRG-3"],
            vec![waiting(), ten(), a(T5, 1)],
            f(int(11)),
        ),
        test(
            "example-39",
            "what is below makes a dictionary",
            content,
            vec![set(T5, counter(NEVER, 3)), patched(T(6, A), [("a", int(1))])],
            f(dict([("a", int(1))])),
        ),
        test(
            "example-40",
            "k is alive without a register",
            &["MRG-12"],
            vec![k(counter(NEVER, 1))],
            f(dict([("k", int(1))])),
        ),
    ]
}

/// Which of two counters with one key stays.
pub fn keys() -> Vec<Test> {
    let stays = &["MRG-3"];
    let count = |t, total| set(t, counter(NEVER, total));
    let bridged = with(count(T(6, A), 5), "node", C);
    vec![
        test(
            "counter-later-is-smaller",
            "a later total may be smaller",
            stays,
            vec![count(T5, 9), count(T(8, A), 2)],
            f(int(2)),
        ),
        test(
            "counter-tie",
            "with one timestamp the greater total stays",
            stays,
            vec![count(T5, 4), count(T5, 7)],
            f(int(7)),
        ),
        test(
            "counter-tie-signed",
            "totals are signed: 5 > -1, whatever their bytes",
            stays,
            vec![count(T5, 5), count(T5, -1)],
            f(int(5)),
        ),
        test(
            "counter-tie-extremes",
            "2^63 - 1 > -2^63",
            stays,
            vec![count(T5, MIN), count(T5, MAX)],
            f(int(MAX)),
        ),
        test(
            "counter-node-of-the-timestamp",
            "a counter's node is its timestamp's, not the one that delivers",
            stays,
            vec![count(T5, 3), bridged],
            f(int(5)),
        ),
        test(
            "counters-of-three-nodes",
            "totals of different nodes add up",
            &["MRG-11"],
            vec![count(T5, 1), count(T(5, B), 10), count(T(5, C), 100)],
            f(int(111)),
        ),
        test(
            "counter-twice",
            "the same counter again counts once",
            &["MRG-6"],
            vec![count(T5, 3), count(T5, 3)],
            f(int(3)),
        ),
        test(
            "counter-paths-are-separate",
            "fields and keys count each for itself",
            stays,
            vec![
                write(T5, vec![("f", counter(NEVER, 1)), ("g", counter(NEVER, 2))]),
                write(T(6, A), vec![("h", patch([("a", counter(NEVER, 3)), ("b", counter(NEVER, 4))]))]),
            ],
            vec![("f", int(1)), ("g", int(2)), ("h", dict([("a", int(3)), ("b", int(4))]))],
        ),
        test(
            "bases-of-one-node",
            "each base has a total of its own",
            stays,
            vec![
                set(T5, int(0)),
                set(T(6, A), counter(T5, 1)),
                set(T(7, A), counter(NEVER, 9)),
                set(T(8, A), counter(T(7, B), 5)),
            ],
            f(int(1)),
        ),
    ]
}

/// Which counters count.
pub fn counting() -> Vec<Test> {
    let content = &["MRG-10", "MRG-11"];
    let on_t5 = |t, total| set(t, counter(T5, total));
    vec![
        test(
            "reset-restarts",
            "setting the field again starts every counter again",
            content,
            vec![set(T5, int(10)), on_t5(T(6, A), 3), set(T(8, A), int(0))],
            f(int(0)),
        ),
        test(
            "reset-and-count-again",
            "and what counts from there adds up",
            content,
            vec![
                set(T5, int(10)),
                on_t5(T(6, A), 3),
                set(T(8, A), int(0)),
                set(T(9, B), counter(T(8, A), 2)),
            ],
            f(int(2)),
        ),
        test(
            "reset-to-the-same-value",
            "the value does not matter, its timestamp does",
            content,
            vec![set(T5, int(10)), on_t5(T(6, B), 3), set(T(7, A), int(10))],
            f(int(10)),
        ),
        test(
            "base-same-counter-other-node",
            "t5B is not t5A: it waits",
            content,
            vec![set(T5, int(10)), set(T(6, A), counter(T(5, B), 3))],
            f(int(10)),
        ),
        test(
            "base-never-and-delete",
            "a delete makes never too small",
            content,
            vec![delete(T(3, A)), set(T(6, A), counter(NEVER, 1))],
            nothing(),
        ),
        test(
            "base-waits-for-delete",
            "a counter that waits makes no record",
            &["MRG-12"],
            vec![set(T(10, A), counter(T(9, A), 1))],
            nothing(),
        ),
        test(
            "base-is-a-hidden-register",
            "a register that is hidden does not decide top",
            content,
            vec![
                set(T(8, A), dict([("k", int(1))])),
                patched(T(6, A), [("k", int(5))]),
                patched(T(9, B), [("k", counter(T(6, A), 3))]),
            ],
            f(dict([("k", int(1))])),
        ),
        test(
            "base-from-the-field",
            "the register that hides it does",
            content,
            vec![
                set(T(8, A), dict([("k", int(1))])),
                patched(T(6, A), [("k", int(5))]),
                patched(T(9, B), [("k", counter(T(8, A), 3))]),
            ],
            f(dict([("k", int(4))])),
        ),
        test(
            "base-at-the-key",
            "a seen register at the key is nearer and greater",
            content,
            vec![
                set(T5, dict([("k", int(1))])),
                patched(T(6, A), [("k", int(5))]),
                patched(T(9, A), [("k", counter(T(6, A), 3))]),
                patched(T(9, B), [("k", counter(T5, 100))]),
            ],
            f(dict([("k", int(8))])),
        ),
        test(
            "base-is-a-removed-key",
            "removed is a register like others",
            content,
            vec![
                set(T5, dict([("k", int(1))])),
                patched(T(6, A), [("k", removed())]),
                patched(T(9, A), [("k", counter(T(6, A), 3))]),
            ],
            f(dict([("k", int(3))])),
        ),
        test(
            "patch-beside-does-not-reset",
            "a write beside or below is not above",
            content,
            vec![set(T5, int(10)), on_t5(T(6, A), 3), write(T(9, A), vec![("g", int(0))])],
            vec![("f", int(13)), ("g", int(0))],
        ),
        test(
            "removed-below-does-not-reset",
            "nor is a removed key below",
            content,
            vec![set(T5, int(10)), on_t5(T(6, A), 3), patched(T(9, A), [("a", removed())])],
            f(int(13)),
        ),
        test(
            "counter-shows-no-more-below-a-dictionary",
            "a dictionary takes no increments",
            content,
            vec![set(T5, dict([("a", int(1))])), on_t5(T(6, A), 3)],
            f(dict([("a", int(1))])),
        ),
        test(
            "counter-and-patched-keys",
            "keys below a counter make a dictionary of their own alone",
            content,
            vec![
                set(T5, int(10)),
                on_t5(T(6, A), 3),
                patched(T(7, A), [("a", int(1))]),
                patched(T(8, A), [("a", removed())]),
            ],
            f(int(13)),
        ),
        test(
            "counter-on-a-double",
            "a double is no int",
            content,
            vec![set(T5, double(0x3FF0_0000_0000_0000)), on_t5(T(6, A), 3)],
            f(double(0x3FF0_0000_0000_0000)),
        ),
        test(
            "counter-on-a-bool",
            "nor a bool",
            content,
            vec![set(T5, bool(true)), on_t5(T(6, A), 3)],
            f(bool(true)),
        ),
        test(
            "counter-on-an-array",
            "nor an array",
            content,
            vec![set(T5, array([])), on_t5(T(6, A), 3)],
            f(array([])),
        ),
        test(
            "counter-on-sealed",
            "what is sealed is not looked into",
            content,
            vec![set(T5, sealed("122a")), on_t5(T(6, A), 3)],
            f(sealed("122a")),
        ),
        test(
            "counter-at-a-text-entry",
            "an entry from above that is no int",
            content,
            vec![set(T5, dict([("k", text("x"))])), patched(T(6, A), [("k", counter(T5, 1))])],
            f(dict([("k", text("x"))])),
        ),
        test(
            "counter-at-a-missing-entry",
            "an entry that is not there counts as 0",
            content,
            vec![set(T5, dict([])), patched(T(6, A), [("k", counter(T5, 1))])],
            f(dict([("k", int(1))])),
        ),
        test(
            "counter-below-a-counter",
            "x handed down to a key is no dictionary",
            content,
            vec![set(T5, int(10)), patched(T(6, A), [("k", counter(T5, 1))])],
            f(dict([("k", int(1))])),
        ),
        test(
            "counter-and-value-in-one-timestamp",
            "two operations of one timestamp: a base is never its own",
            content,
            vec![set(T(6, A), int(10)), set(T(6, A), counter(T5, 3))],
            f(int(10)),
        ),
    ]
}

/// Sums that do not fit.
pub fn sums() -> Vec<Test> {
    let content = &["MRG-11"];
    let count = |t, total| set(t, counter(NEVER, total));
    let on_t5 = |t, total| set(t, counter(T5, total));
    vec![
        test(
            "sum-too-great",
            "clamped to 2^63 - 1",
            content,
            vec![count(T5, MAX), count(T(5, B), 1)],
            f(int(MAX)),
        ),
        test(
            "sum-too-small",
            "clamped to -2^63",
            content,
            vec![count(T5, MIN), count(T(5, B), -1)],
            f(int(MIN)),
        ),
        test(
            "sum-exact-between",
            "only the end is clamped: MAX + MAX - MAX",
            content,
            vec![count(T5, MAX), count(T(5, B), MAX), count(T(5, C), -MAX)],
            f(int(MAX)),
        ),
        test(
            "sum-comes-back",
            "MAX + 2 - 3 is MAX - 1",
            content,
            vec![set(T5, int(MAX)), on_t5(T(6, B), 2), on_t5(T(6, C), -3)],
            f(int(MAX - 1)),
        ),
        test(
            "sum-of-extremes",
            "-2^63 + 2^63 - 1 is -1",
            content,
            vec![set(T5, int(MIN)), on_t5(T(6, A), MAX)],
            f(int(-1)),
        ),
        test(
            "sum-below-zero",
            "a small int may become negative",
            content,
            vec![set(T5, int(1)), on_t5(T(6, A), -2)],
            f(int(-1)),
        ),
    ]
}
