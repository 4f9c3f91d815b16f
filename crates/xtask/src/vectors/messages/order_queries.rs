//! The order of checks in queries and their responses (SPEC.md 7.13 and 7.14).

use super::super::build::{Bytes, Test, valid};
use super::order::at;
use super::order_fields::cut_behind;
use super::parts::{Msg, extension, list8, run16};
use super::query::{
    aggregate, all, and, by_aggregate, compare, exists, filtered, joined, leaf, leaves, minimal, nots, path,
};
use super::query_response;

pub(super) fn queries() -> Vec<Test> {
    let filter = |id: &str, comment: &str, spec, filter: Bytes, code, plus| {
        at(id, comment, spec, &filtered(filter), code, ("filter", plus))
    };
    let chain = |depth: usize, inner: Bytes| Bytes::new().repeat("and", &[1, 1], depth).then(inner);
    let full =
        |last: Bytes| Bytes::new().hex("and", "01 02").hex("and", "01 fe").then(leaves(254)).then(last);
    let counted = || minimal().put("aggregates", list8("aggregates", &[aggregate(1, path(0, &[]))]));
    let sort = |msg: Msg, key: Bytes| msg.put("sort", list8("sort", &[key]));
    vec![
        filter(
            "257th-unknown",
            "a 257th op, which is unknown",
            "QRY-7 QRY-2",
            full(Bytes::new().u8("op", 0x0f)),
            "TOO_MANY",
            4 + 254 * 3,
        ),
        filter("257th-all", "a 257th op, which is all", "QRY-7 QRY-5", full(all()), "TOO_MANY", 4 + 254 * 3),
        filter(
            "unknown-deep",
            "an unknown op inside 16",
            "QRY-2 QRY-7",
            nots(16, Bytes::new().u8("op", 0x04)),
            "UNKNOWN_CODE",
            16,
        ),
        filter("all-deep", "all inside 16", "QRY-5 QRY-7", nots(16, all()), "UNKNOWN_CODE", 16),
        filter(
            "deep-count",
            "the 17th and, then its count of 0",
            "QRY-7 QRY-6",
            chain(16, Bytes::new().hex("and", "01 00")),
            "TOO_DEEP",
            32,
        ),
        filter(
            "deep-cut",
            "the 17th and, then no count",
            "QRY-7",
            chain(16, Bytes::new().u8("and", 1)),
            "TOO_DEEP",
            32,
        ),
        filter(
            "count-operand",
            "a count of 0, then an unknown op",
            "QRY-6",
            Bytes::new().hex("and", "01 00").u8("op", 0x04),
            "EMPTY",
            1,
        ),
        filter(
            "source-path",
            "the source, then 17 components",
            "QRY-4 QRY-3",
            exists(path(1, &["k"; 17])),
            "OUT_OF_RANGE",
            1,
        ),
        filter(
            "source-op",
            "the source, then a value that is misplaced",
            "QRY-4 NOT-4",
            compare(0x10, path(1, &["x"]), "0c"),
            "OUT_OF_RANGE",
            1,
        ),
        filter(
            "path-value",
            "an empty component, then a value that is misplaced",
            "QRY-3 NOT-4",
            compare(0x10, path(0, &[""]), "0c"),
            "EMPTY",
            3,
        ),
        filter(
            "component-length-utf8",
            "a component over its cap, then its UTF-8",
            "QRY-3 NOT-6",
            exists(Bytes::new().hex("source and count", "00 01").then(run16("component", 0xff, 1_025))),
            "TOO_LONG",
            3,
        ),
        filter(
            "value-misplaced-deep",
            "a patch inside 64 arrays is misplaced, then too deep",
            "QRY-8 VAL-12",
            Bytes::new()
                .u8("op", 0x10)
                .then(path(0, &["x"]))
                .repeat("arrays", &[8, 0, 1], 64)
                .hex("patch", "0d 0000"),
            "MISPLACED_VALUE",
            6 + 192,
        ),
        filter(
            "first-operand-second",
            "a fault in the first operand, then one in the second",
            "QRY-4 NOT-4",
            and(&[exists(path(9, &[])), Bytes::new().u8("op", 0x04)]),
            "OUT_OF_RANGE",
            3,
        ),
        at(
            "collection-after",
            "the collection, then the position",
            "OPS-12 NOT-4",
            &minimal().text8("collection", "").position("after", 0, 1),
            "EMPTY",
            ("collection", 0),
        ),
        at(
            "after-joins",
            "the position, then too many joins",
            "MSG-2 NOT-4",
            &joined(5).position("after", 0, 1),
            "BAD_POSITION",
            ("after", 0),
        ),
        at(
            "joins-count-kind",
            "too many joins, then an unknown kind",
            "QRY-1 NOT-7",
            &minimal().put("joins", Bytes::new().hex("joins", "05 09")),
            "TOO_MANY",
            ("joins", 0),
        ),
        at(
            "join-kind-collection",
            "an unknown kind, then an empty collection",
            "QRY-2 NOT-4",
            &minimal().put("joins", Bytes::new().hex("joins", "01 09 00")),
            "UNKNOWN_CODE",
            ("joins", 1),
        ),
        at(
            "join-left-right",
            "the left path's source, then the right one's",
            "QRY-4 NOT-4",
            &minimal().put(
                "joins",
                list8(
                    "joins",
                    &[Bytes::new()
                        .u8("kind", 1)
                        .text8("collection", "c")
                        .then(path(1, &[]))
                        .then(path(0, &[]))],
                ),
            ),
            "OUT_OF_RANGE",
            ("joins", 4),
        ),
        at(
            "function-source",
            "an unknown function, then the source",
            "QRY-2 NOT-4",
            &minimal().put("aggregates", list8("aggregates", &[aggregate(9, path(9, &[]))])),
            "UNKNOWN_CODE",
            ("aggregates", 1),
        ),
        at(
            "projection-count-aggregates",
            "65 columns, then that there are aggregates",
            "QRY-1 NOT-7",
            &counted().put("projection", Bytes::new().u8("count", 65)),
            "TOO_MANY",
            ("projection", 0),
        ),
        at(
            "projection-aggregates-source",
            "columns beside aggregates, then the source",
            "QRY-9",
            &counted().put("projection", list8("projection", &[path(9, &[])])),
            "NON_CANONICAL",
            ("projection", 0),
        ),
        at(
            "projection-aggregates-cut",
            "columns beside aggregates, then nothing",
            "QRY-9",
            &cut_behind(counted(), "projection", Bytes::new().u8("count", 1)),
            "NON_CANONICAL",
            ("projection", 0),
        ),
        at(
            "sort-index-direction",
            "the index, then the direction",
            "QRY-10 NOT-4",
            &sort(counted(), by_aggregate(1, 9)),
            "OUT_OF_RANGE",
            ("sort", 2),
        ),
        at(
            "sort-source-direction",
            "the source, then the direction",
            "QRY-4 NOT-4",
            &sort(minimal(), Bytes::new().u8("kind", 1).then(path(9, &[])).u8("direction", 9)),
            "OUT_OF_RANGE",
            ("sort", 2),
        ),
        at(
            "limit-cursor",
            "the limit, then a cursor over its cap",
            "QRY-11 NOT-4",
            &minimal().u32("limit", 10_001).run16("cursor", 0, 1_025),
            "OUT_OF_RANGE",
            ("limit", 0),
        ),
        at(
            "filter-extensions",
            "the filter, then the extensions",
            "QRY-6 NOT-4",
            &filtered(and(&[])).put("extensions", list8("extensions", &[extension(2, 0)])),
            "EMPTY",
            ("filter", 1),
        ),
        valid(
            "message/order-filter-full",
            "256 ops of which the last closes everything",
            "QRY-7 QRY-6",
            filtered(Bytes::new().hex("and", "01 fe").then(leaves(253)).then(nots(1, leaf()))).bytes(),
        ),
    ]
}

pub(super) fn responses() -> Vec<Test> {
    let one = query_response::one;
    let more = |msg: Msg| msg.flags(1);
    vec![
        at(
            "columns-rows",
            "no columns, then too many rows",
            "QRY-14 NOT-4",
            &one("0b").u16("columns", 0).u16("rows", 10_001),
            "EMPTY",
            ("columns", 0),
        ),
        at(
            "rows-cells",
            "too many rows, then a patch as a cell",
            "QRY-14 NOT-7",
            &one("0d 0001 0001 61 0b").u16("rows", 10_001),
            "TOO_MANY",
            ("rows", 0),
        ),
        at(
            "cells-more",
            "a patch as a cell, then a cursor beside flag more",
            "QRY-15 VAL-12 NOT-4",
            &more(one("0d 0001 0001 61 0b").run16("cursor", 1, 1)),
            "MISPLACED_VALUE",
            ("cells", 0),
        ),
        at(
            "cursor-length-more",
            "a cursor over its cap, then flag more",
            "QRY-12 QRY-16",
            &more(one("0b").run16("cursor", 1, 1_025)),
            "TOO_LONG",
            ("cursor", 0),
        ),
        at(
            "cursor-cut-more",
            "a cursor that is cut, then flag more",
            "QRY-16 NOT-8",
            &more(cut_behind(one("0b"), "cursor", Bytes::new().u16("length", 4).hex("cut", "cccc"))),
            "TRUNCATED",
            ("cursor", 2),
        ),
        at(
            "cursor-more-extensions",
            "a cursor beside flag more, then the extensions",
            "QRY-16 NOT-4",
            &more(one("0b").run16("cursor", 1, 1).put("extensions", list8("extensions", &[extension(2, 0)]))),
            "NON_CANONICAL",
            ("cursor", 0),
        ),
    ]
}
