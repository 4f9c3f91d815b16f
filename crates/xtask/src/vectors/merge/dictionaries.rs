//! Dictionaries, patches, and what is handed down.

use serde_json::Value as Json;

use super::build::{
    A, B, T, Test, array, bool, delete, dict, f, int, nothing, null, patch, patched, removed, sealed, set,
    test, text, write,
};

/// f = {key: n}
fn one(key: &str, n: i64) -> Json {
    dict([(key, int(n))])
}

/// The worked examples 12 to 24.
pub fn examples() -> Vec<Test> {
    let a_is_1 = || set(T(5, A), one("a", 1));
    let remove_a = |counter| patched(T(counter, A), [("a", removed())]);
    let patch_a = |counter| patched(T(counter, A), [("a", int(1))]);
    let nested = || set(T(5, A), dict([("a", one("b", 1))]));
    let deep = |counter| patched(T(counter, A), [("a", patch([("c", int(2))]))]);
    let both = || dict([("b", int(1)), ("c", int(2))]);
    let content = &["MRG-7", "MRG-11"];
    let x = |t, value| patched(t, [("x", value)]);
    vec![
        test(
            "example-12",
            "entries from above are kept",
            content,
            vec![a_is_1(), patched(T(6, A), [("b", int(2))])],
            f(dict([("a", int(1)), ("b", int(2))])),
        ),
        test(
            "example-13",
            "b is hidden by f",
            &["MRG-9", "MRG-11"],
            vec![a_is_1(), patched(T(4, A), [("b", int(2))])],
            f(one("a", 1)),
        ),
        test(
            "example-14",
            "the register at f.a is hidden; the entry from above stands",
            &["MRG-9", "MRG-11"],
            vec![set(T(8, A), one("a", 1)), patched(T(6, A), [("a", int(7))])],
            f(one("a", 1)),
        ),
        test(
            "example-15",
            "it was written as a dictionary",
            content,
            vec![a_is_1(), remove_a(6)],
            f(dict([])),
        ),
        test("example-16", "it only ever had keys", content, vec![patch_a(5), remove_a(6)], nothing()),
        test(
            "example-17",
            "nothing below has content",
            content,
            vec![set(T(5, A), int(5)), remove_a(6)],
            f(int(5)),
        ),
        test(
            "example-18",
            "it becomes a dictionary",
            content,
            vec![set(T(5, A), int(5)), patch_a(6)],
            f(one("a", 1)),
        ),
        test("example-19", "as 17", content, vec![set(T(5, A), int(5)), patch_a(6), remove_a(7)], f(int(5))),
        test(
            "example-20",
            "an array has no entries to keep",
            content,
            vec![set(T(5, A), array([int(1), int(2)])), patch_a(6)],
            f(one("a", 1)),
        ),
        test(
            "example-21",
            "f.a has no register; its entry comes from above",
            content,
            vec![nested(), deep(6)],
            f(dict([("a", both())])),
        ),
        test(
            "example-22",
            "nothing is handed down by f.a",
            content,
            vec![nested(), remove_a(6), deep(7)],
            f(dict([("a", one("c", 2))])),
        ),
        test(
            "example-23",
            "a set: the remove of x has the greater node",
            content,
            vec![x(T(5, A), null()), x(T(5, B), removed()), patched(T(6, A), [("y", null())])],
            f(dict([("y", null())])),
        ),
        test(
            "example-24",
            "sealed is a scalar",
            content,
            vec![set(T(5, A), sealed("01")), patch_a(6)],
            f(one("a", 1)),
        ),
    ]
}

/// Patches against values at the same path, with and without the same timestamp.
pub fn patches() -> Vec<Test> {
    let seen = &["MRG-9"];
    let content = &["MRG-11"];
    let patch_b = |t| patched(t, [("b", int(2))]);
    vec![
        test(
            "patch-and-dictionary-tie",
            "with one timestamp the dictionary hides the key",
            seen,
            vec![set(T(5, A), one("a", 1)), patch_b(T(5, A))],
            f(one("a", 1)),
        ),
        test(
            "patch-and-scalar-tie",
            "so does a scalar",
            seen,
            vec![set(T(5, A), int(1)), patch_b(T(5, A))],
            f(int(1)),
        ),
        test(
            "patch-and-removed-tie",
            "so does removed",
            seen,
            vec![set(T(5, A), removed()), patch_b(T(5, A))],
            nothing(),
        ),
        test(
            "patch-and-delete-tie",
            "so does a delete",
            seen,
            vec![delete(T(5, A)), patch_b(T(5, A))],
            nothing(),
        ),
        test(
            "patch-greater-node",
            "the node decides as everywhere",
            seen,
            vec![set(T(5, A), one("a", 1)), patch_b(T(5, B))],
            f(dict([("a", int(1)), ("b", int(2))])),
        ),
        test(
            "patch-smaller-node",
            "a smaller one is hidden",
            seen,
            vec![set(T(5, B), one("a", 1)), patch_b(T(5, A))],
            f(one("a", 1)),
        ),
        test(
            "two-patches-one-key",
            "the greater timestamp at the key",
            &["MRG-2"],
            vec![patched(T(5, A), [("a", int(1))]), patched(T(6, A), [("a", int(2)), ("b", int(2))])],
            f(dict([("a", int(2)), ("b", int(2))])),
        ),
        test(
            "patch-writes-nothing-at-its-path",
            "a later patch does not replace the keys of an earlier one",
            content,
            vec![patched(T(5, A), [("a", int(1))]), patched(T(6, A), [("b", int(2))])],
            f(dict([("a", int(1)), ("b", int(2))])),
        ),
        test(
            "dictionary-replaces",
            "a later dictionary does",
            &["MRG-7"],
            vec![set(T(5, A), one("a", 1)), set(T(6, A), one("b", 2))],
            f(one("b", 2)),
        ),
        test(
            "dictionary-replaces-patched-keys",
            "and hides keys that were patched before",
            &["MRG-7", "MRG-9"],
            vec![patched(T(5, A), [("a", int(1))]), set(T(6, A), one("b", 2))],
            f(one("b", 2)),
        ),
        test(
            "dictionaries-do-not-mix",
            "a dictionary inside a dictionary is part of that value",
            &["MRG-7"],
            vec![set(T(5, A), dict([("a", one("b", 1))])), set(T(6, A), dict([("a", one("c", 2))]))],
            f(dict([("a", one("c", 2))])),
        ),
        test(
            "patch-of-a-dictionary",
            "a dictionary in a patch is one value at its key",
            &["MRG-7"],
            vec![set(T(5, A), dict([("a", one("b", 1))])), patched(T(6, A), [("a", one("c", 2))])],
            f(dict([("a", one("c", 2))])),
        ),
        test(
            "null-then-patch",
            "null becomes a dictionary",
            content,
            vec![set(T(5, A), null()), patch_b(T(6, A))],
            f(one("b", 2)),
        ),
        test(
            "removed-then-patch",
            "what was removed is not handed down",
            content,
            vec![set(T(5, A), one("a", 1)), set(T(6, A), removed()), patch_b(T(7, A))],
            f(one("b", 2)),
        ),
        test(
            "patch-then-removed",
            "removed hides the keys below",
            seen,
            vec![patch_b(T(5, A)), set(T(6, A), removed())],
            nothing(),
        ),
        test(
            "patch-then-null",
            "null hides them and is content",
            seen,
            vec![patch_b(T(5, A)), set(T(6, A), null())],
            f(null()),
        ),
        test(
            "remove-what-is-not-there",
            "removing a key that was never written leaves the dictionary",
            content,
            vec![set(T(5, A), one("a", 1)), patched(T(6, A), [("z", removed())])],
            f(one("a", 1)),
        ),
        test(
            "remove-below-an-array",
            "an array shows again when all keys below are removed",
            content,
            vec![
                set(T(5, A), array([int(1)])),
                patched(T(6, A), [("a", int(1))]),
                patched(T(7, A), [("a", removed())]),
            ],
            f(array([int(1)])),
        ),
        test(
            "remove-below-sealed",
            "a sealed value too",
            content,
            vec![set(T(5, A), sealed("01")), patched(T(6, A), [("a", removed())])],
            f(sealed("01")),
        ),
        test(
            "remove-every-entry",
            "a dictionary stays when its last entry goes",
            content,
            vec![
                set(T(5, A), dict([("a", int(1)), ("b", int(2))])),
                patched(T(6, A), [("a", removed()), ("b", removed())]),
            ],
            f(dict([])),
        ),
        test(
            "empty-dictionary",
            "an empty dictionary is content",
            content,
            vec![set(T(5, A), dict([]))],
            f(dict([])),
        ),
        test(
            "empty-dictionary-and-removed-key",
            "and stays when nothing below has content",
            content,
            vec![set(T(5, A), dict([])), patched(T(6, A), [("a", removed())])],
            f(dict([])),
        ),
        test(
            "null-entry-is-content",
            "a key with null is in the dictionary",
            content,
            vec![patched(T(5, A), [("a", null())])],
            f(dict([("a", null())])),
        ),
        test(
            "removed-beside-content",
            "one key removed, one written",
            content,
            vec![patched(T(5, A), [("a", removed()), ("b", bool(true))])],
            f(dict([("b", bool(true))])),
        ),
    ]
}

/// Patches in patches.
pub fn depth() -> Vec<Test> {
    let content = &["MRG-11"];
    let deep = |t, value| patched(t, [("a", patch([("b", patch([("c", value)]))]))]);
    let at_a_b = |value| dict([("a", dict([("b", value)]))]);
    let a_is_5 = || set(T(5, A), one("a", 5));
    let below_a = |t, value| patched(t, [("a", patch([("b", value)]))]);
    vec![
        test(
            "deep-patch",
            "dictionaries come into being on the way",
            content,
            vec![deep(T(5, A), int(1))],
            f(at_a_b(one("c", 1))),
        ),
        test(
            "deep-patch-removed",
            "and go with their last key",
            content,
            vec![deep(T(5, A), int(1)), deep(T(6, A), removed())],
            nothing(),
        ),
        test(
            "deep-patch-removed-in-dictionary",
            "but not what was written as a dictionary",
            content,
            vec![set(T(5, A), at_a_b(dict([]))), deep(T(6, A), int(1)), deep(T(7, A), removed())],
            f(at_a_b(dict([]))),
        ),
        test(
            "deep-patch-half-a-dictionary",
            "f.a was a dictionary, f.a.b only ever had keys",
            content,
            vec![set(T(5, A), dict([("a", dict([]))])), deep(T(6, A), int(1)), deep(T(7, A), removed())],
            f(dict([("a", dict([]))])),
        ),
        test(
            "scalar-entry-patched",
            "an entry that is a scalar becomes a dictionary",
            content,
            vec![a_is_5(), below_a(T(6, A), int(1))],
            f(dict([("a", one("b", 1))])),
        ),
        test(
            "scalar-entry-shows-again",
            "and shows again when what is below is removed",
            content,
            vec![a_is_5(), below_a(T(6, A), int(1)), below_a(T(7, A), removed())],
            f(one("a", 5)),
        ),
        test(
            "entry-below-hidden-key",
            "a hidden register hands nothing down",
            content,
            vec![set(T(8, A), dict([])), patched(T(6, A), [("a", one("b", 1))]), below_a(T(9, A), int(2))],
            f(dict([("a", one("b", 2))])),
        ),
        test(
            "key-hidden-by-key",
            "a register at a key hides those below it",
            &["MRG-9"],
            vec![below_a(T(5, A), int(1)), patched(T(6, A), [("a", int(2))])],
            f(one("a", 2)),
        ),
        test(
            "key-hidden-by-removed-key",
            "removed at a key too",
            &["MRG-9"],
            vec![below_a(T(6, A), int(1)), patched(T(7, A), [("a", removed())])],
            nothing(),
        ),
        test(
            "key-hidden-two-levels-up",
            "every register above counts, not only the nearest",
            &["MRG-9"],
            vec![
                set(T(9, A), dict([("a", dict([]))])),
                patched(T(5, A), [("a", dict([]))]),
                below_a(T(7, A), int(1)),
            ],
            f(dict([("a", dict([]))])),
        ),
        test(
            "siblings-are-untouched",
            "a patch leaves what stands beside it",
            content,
            vec![
                set(T(5, A), dict([("a", int(1)), ("c", dict([("d", int(3))]))])),
                patched(T(6, A), [("b", int(2))]),
            ],
            f(dict([("a", int(1)), ("b", int(2)), ("c", dict([("d", int(3))]))])),
        ),
        test(
            "step-3-hands-down-x",
            "children get the value that stands here, not what their siblings made of it",
            content,
            vec![
                set(T(5, A), dict([("b", one("c", 1))])),
                patched(T(6, A), [("a", int(0)), ("b", patch([("d", int(2))]))]),
            ],
            f(dict([("a", int(0)), ("b", dict([("c", int(1)), ("d", int(2))]))])),
        ),
        test(
            "patch-with-many-kinds",
            "each entry of a patch is written by itself",
            content,
            vec![
                set(T(5, A), dict([("a", int(1)), ("b", int(2)), ("c", int(3))])),
                patched(T(6, A), [("a", removed()), ("b", patch([("x", int(4))])), ("d", dict([]))]),
            ],
            f(dict([("b", one("x", 4)), ("c", int(3)), ("d", dict([]))])),
        ),
    ]
}

/// Names that a path must keep apart.
pub fn names() -> Vec<Test> {
    let keys = &["MRG-2"];
    let fields = vec![("f", one("g", 1)), ("f.g", int(2)), ("f/g", int(3))];
    vec![
        test(
            "names-with-separators",
            "a name is compared whole",
            keys,
            vec![write(T(6, A), vec![("f.g", int(2)), ("f/g", int(3))]), patched(T(5, A), [("g", int(1))])],
            fields,
        ),
        test(
            "empty-key",
            "a key may be empty",
            keys,
            vec![patched(T(5, A), [("", int(1))]), patched(T(6, A), [("a", int(2))])],
            f(dict([("", int(1)), ("a", int(2))])),
        ),
        test(
            "empty-key-is-below",
            "and is a level of its own",
            &["MRG-9"],
            vec![patched(T(6, A), [("", patch([("", int(1))]))]), set(T(5, A), int(7))],
            f(dict([("", one("", 1))])),
        ),
        test(
            "keys-that-begin-others",
            "a key does not hide one that it begins",
            &["MRG-9"],
            vec![
                patched(T(5, A), [("a", int(1)), ("aa", int(2)), ("a\u{0}", int(3))]),
                patched(T(6, A), [("a", removed())]),
            ],
            f(dict([("aa", int(2)), ("a\u{0}", int(3))])),
        ),
        test(
            "keys-with-control-characters",
            "U+0000 and U+0001 are letters like others",
            keys,
            vec![
                patched(T(5, A), [("\u{0}", int(1)), ("\u{1}", int(2))]),
                patched(T(6, A), [("\u{0}\u{1}", int(3))]),
            ],
            f(dict([("\u{0}", int(1)), ("\u{0}\u{1}", int(3)), ("\u{1}", int(2))])),
        ),
        test(
            "keys-are-not-normalised",
            "e with an accent in two forms is two keys",
            keys,
            vec![patched(T(5, A), [("\u{e9}", int(1))]), patched(T(6, A), [("e\u{301}", int(2))])],
            f(dict([("e\u{301}", int(2)), ("\u{e9}", int(1))])),
        ),
        test(
            "common-name-as-field-and-key",
            "a common name is the same name, as a field and as a key",
            keys,
            vec![write(T(5, A), vec![("title", text("x"))]), patched(T(5, A), [("title", text("y"))])],
            vec![("f", dict([("title", text("y"))])), ("title", text("x"))],
        ),
    ]
}

/// More operations than there is time for in every order.
pub fn histories() -> Vec<Test> {
    let set_of = |t, key, value| patched(t, [(key, value)]);
    let tags = (1..=4u64).flat_map(|i| {
        let key = ["w", "x", "y", "z"][usize::try_from(i % 4).unwrap()];
        [set_of(T(i, A), key, null()), set_of(T(i + 2, B), key, removed()), set_of(T(i + 3, A), key, null())]
    });
    let mut ops: Vec<Json> = tags.collect();
    ops.push(set_of(T(9, B), "x", removed()));
    ops.push(delete(T(4, B)));
    let forth: Vec<usize> = (0..ops.len()).collect();
    let back = forth.iter().rev().copied().collect();
    let odd_first =
        forth.iter().copied().filter(|i| i % 2 == 1).chain(forth.iter().copied().step_by(2)).collect();
    let left = dict([("w", null()), ("y", null()), ("z", null())]);
    vec![
        test(
            "history-of-a-set",
            "adds and removes by two nodes, and a delete among them",
            &["MRG-2", "MRG-4", "MRG-9"],
            ops,
            f(left),
        )
        .in_orders(vec![forth, back, odd_first]),
    ]
}
