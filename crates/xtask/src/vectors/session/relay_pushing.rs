//! A relay that takes pushes, refuses blocks, and says later.

use serde_json::json;

use super::relay_world::{Relay, hello};
use super::script::Test;
use super::words::{block, check, frame, op, ops_in, position, push, subscribe, with};

/// The greatest counter that the relay of these vectors takes: 2^20 a second since 2025.
const GUARD: u64 = (1_800_000_000 - 1_735_689_600) << 20;

pub fn tests() -> Vec<Test> {
    vec![
        accepted(),
        two_in_flight(),
        group_commit(),
        gap(),
        again(),
        other_node(),
        window_exceeded(),
        exact_window(),
        clock_guard(),
        clock_guard_floor(),
        write_forbidden(),
        smallest_code(),
        refused_and_accepted(),
        all_refused(),
        append_fails(),
        later_until_the_mark(),
        too_many_operations(),
        log_is_lost(),
        wrong_ids_check(),
        second_block_damaged(),
        same_request_id(),
        transport_ends_while_appending(),
        mark_goes_on(),
        ack_before_update(),
    ]
}

fn accepted() -> Test {
    let mut w = Relay::new(
        "push-accepted",
        "two pushes one after another; no ack before the append is durable",
        &["RLY-3", "RLY-4", "RLY-5", "RLY-6", "RLY-9", "RLY-12", "SES-67"],
    );
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a", "b"])]), &["append n1 of ann 0-2 [1:2]"]);
    w.answer(&["1 < ack #1 1-1:2"]);
    w.send(1, &push(2, &[ops_in(1, 3, &["a"]), ops_in(1, 4, &["b"])]), &["append n1 2-4 [3:1 4:1]"]);
    w.answer(&["1 < ack #2 3-1:3, 4-1:4"]);
    w.end()
}

fn two_in_flight() -> Test {
    let mut w = Relay::new(
        "push-pipelined",
        "pushes that arrive while an append is under way share the next one; acks come in the order of the pushes",
        &["RLY-7", "SES-68", "RLY-32"],
    );
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.send(1, &push(2, &[ops_in(1, 2, &["a"])]), &[]);
    w.send(1, &push(3, &[ops_in(1, 3, &["a"])]), &[]);
    w.answer(&["1 < ack #1 1-1:1", "append n1 1-3 [2:1 3:1]"]);
    w.answer(&["1 < ack #2 2-1:2", "1 < ack #3 3-1:3"]);
    w.end()
}

fn group_commit() -> Test {
    let mut w = Relay::new(
        "group-commit",
        "pushes of two connections in one append; seqs in the order of the nodes named there",
        &["RLY-3", "RLY-7"],
    );
    w.join(1);
    w.join_more(2, 1, 0);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.send(2, &push(1, &[ops_in(2, 1, &["a", "a"])]), &[]);
    w.send(1, &push(2, &[ops_in(1, 2, &["a"])]), &[]);
    w.answer(&["1 < ack #1 1-1:1", "append n2 of ann 0-2 [1:2], n1 1-2 [2:1]"]);
    w.answer(&["2 < ack #1 2-1:3", "1 < ack #2 4-1:4"]);
    w.end()
}

fn closes(id: &str, comment: &str, spec: &[&'static str], bytes: &[u8], code: &str) -> Test {
    let mut w = Relay::new(id, comment, spec);
    w.join(1);
    w.bytes(1, bytes, &[&format!("1 < error {code}"), &format!("1 closed {code}")]);
    w.end()
}

fn gap() -> Test {
    let frame = frame(&push(1, &[ops_in(1, 2, &["a"])]));
    closes("push-with-a-gap", "the first push begins at 2, the mark is 0", &["RLY-19"], &frame, "OUT_OF_STEP")
}

fn again() -> Test {
    let mut w = Relay::new(
        "push-again",
        "the same block again while the first is under way: it does not begin at next, and nothing of it is taken",
        &["RLY-19"],
    );
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.send(1, &push(2, &[ops_in(1, 1, &["a"])]), &["1 < error OUT_OF_STEP", "1 closed OUT_OF_STEP"]);
    w.answer(&[]);
    w.end()
}

fn other_node() -> Test {
    let frame = frame(&push(1, &[ops_in(2, 1, &["a"])]));
    closes(
        "push-of-another-node",
        "a block of node 2 on a connection of node 1",
        &["RLY-19"],
        &frame,
        "PROTOCOL_ERROR",
    )
}

fn window_exceeded() -> Test {
    let mut w =
        Relay::new("push-window-exceeded", "one block more under way than the relay takes", &["RLY-24"])
            .config("push_blocks", 2);
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.send(
        1,
        &push(2, &[ops_in(1, 2, &["a"]), ops_in(1, 3, &["a"])]),
        &["1 < error WINDOW_EXCEEDED", "1 closed WINDOW_EXCEEDED"],
    );
    w.end()
}

fn exact_window() -> Test {
    let mut w = Relay::new(
        "push-window-used-whole",
        "exactly as many blocks under way as the relay takes; an ack makes room",
        &["RLY-24"],
    )
    .config("push_blocks", 2);
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"]), ops_in(1, 2, &["a"])]), &["append n1 of ann 0-2 [1:1 2:1]"]);
    w.answer(&["1 < ack #1 1-1:1, 2-1:2"]);
    w.send(1, &push(2, &[ops_in(1, 3, &["a"]), ops_in(1, 4, &["a"])]), &["append n1 2-4 [3:1 4:1]"]);
    w.end()
}

fn clock_guard() -> Test {
    let mut w = Relay::new(
        "clock-guard",
        "a counter at the guard is taken, one above it is refused; the guard is 2^20 for each second since 2025",
        &["RLY-27", "RLY-30", "RLY-31", "RLY-32"],
    );
    w.join(1);
    w.send(1, &push(1, &[block(&[op(1, 1, GUARD, "a")])]), &["append n1 of ann 0-1 [1:1]"]);
    w.answer(&["1 < ack #1 1-1:1"]);
    w.send(1, &push(2, &[block(&[op(1, 2, GUARD + 1, "a")])]), &["append n1 1-2 []"]);
    w.answer(&["1 < ack #2 CLOCK_TOO_FAR_AHEAD 0"]);
    w.end()
}

fn clock_guard_floor() -> Test {
    let mut w = Relay::new(
        "clock-guard-floor",
        "a relay whose clock says 1970 takes counters up to 2^44",
        &["RLY-27"],
    );
    w.script.start["unix_ms"] = json!("0");
    w.join(1);
    w.send(1, &push(1, &[block(&[op(1, 1, 1 << 44, "a")])]), &["append n1 of ann 0-1 [1:1]"]);
    w.answer(&["1 < ack #1 1-1:1"]);
    w.send(1, &push(2, &[block(&[op(1, 2, (1 << 44) + 1, "a")])]), &["append n1 1-2 []"]);
    w.answer(&["1 < ack #2 CLOCK_TOO_FAR_AHEAD 0"]);
    w.end()
}

/// ann may not write to b.
fn without_b(id: &str, comment: &str, spec: &[&'static str]) -> Relay {
    let mut w = Relay::new(id, comment, spec);
    w.rights = json!({ "others": "all", "collections": { "b": "read" } });
    w
}

fn write_forbidden() -> Test {
    let mut w = without_b(
        "write-forbidden",
        "operations 1 and 2 of the block are in a collection that ann may not write to: 1 is named",
        &["RLY-28", "RLY-30", "RLY-31", "ERR-4"],
    );
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a", "b", "b"])]), &["append n1 of ann 0-3 []"]);
    w.answer(&["1 < ack #1 WRITE_FORBIDDEN 1"]);
    w.end()
}

fn smallest_code() -> Test {
    let mut w = without_b(
        "refusal-smallest-code",
        "the first operation that is refused is refused for two reasons: the smaller code is told",
        &["RLY-30"],
    );
    w.join(1);
    let ops = [op(1, 1, 1, "a"), op(1, 2, GUARD + 1, "b"), op(1, 3, GUARD + 1, "a")];
    w.send(1, &push(1, &[block(&ops)]), &["append n1 of ann 0-3 []"]);
    w.answer(&["1 < ack #1 CLOCK_TOO_FAR_AHEAD 1"]);
    w.end()
}

fn refused_and_accepted() -> Test {
    let mut w = without_b(
        "refused-between-accepted",
        "of three blocks of one push the middle one is refused: it gets no seqs and uses its numbers up",
        &["RLY-31", "RLY-32", "RLY-3"],
    );
    w.join(1);
    let blocks = [ops_in(1, 1, &["a"]), ops_in(1, 2, &["b", "a"]), ops_in(1, 4, &["a"])];
    w.send(1, &push(1, &blocks), &["append n1 of ann 0-4 [1:1 4:1]"]);
    w.answer(&["1 < ack #1 1-1:1, WRITE_FORBIDDEN 0, 2-1:2"]);
    w.end()
}

fn all_refused() -> Test {
    let mut w = without_b(
        "refused-mark-moves-first",
        "the refusal is not sent before mark and check are durable; the next block builds on them",
        &["RLY-32", "RLY-6"],
    );
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["b"])]), &["append n1 of ann 0-1 []"]);
    w.send(1, &push(2, &[ops_in(1, 2, &["a"])]), &[]);
    w.answer(&["1 < ack #1 WRITE_FORBIDDEN 0", "append n1 1-2 [2:1]"]);
    w.answer(&["1 < ack #2 1-1:1"]);
    w.end()
}

fn append_fails() -> Test {
    let mut w = Relay::new(
        "append-fails",
        "the append certainly failed: it and all behind it are answered with later, in order, and what comes then too, until a push begins at the durable mark + 1",
        &["RLY-22", "RLY-20", "SES-68"],
    );
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"]), ops_in(1, 2, &["a"])]), &["append n1 of ann 0-2 [1:1 2:1]"]);
    w.send(1, &push(2, &[ops_in(1, 3, &["a"])]), &[]);
    w.fail("STORE_UNAVAILABLE", &["1 < ack #1 later 1000, later 1000", "1 < ack #2 later 1000"]);
    w.send(1, &push(3, &[ops_in(1, 4, &["a"])]), &["1 < ack #3 later 1000"]);
    w.wait(1_000);
    w.send(1, &push(4, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.send(1, &push(5, &[ops_in(1, 2, &["a"])]), &[]);
    w.answer(&["1 < ack #4 1-1:1", "append n1 1-2 [2:1]"]);
    w.answer(&["1 < ack #5 2-1:2"]);
    w.end()
}

fn later_until_the_mark() -> Test {
    let mut w = Relay::new(
        "later-is-not-out-of-step",
        "with the flag later set a push that begins anywhere is answered with later; once it is cleared, one that does not begin at next closes",
        &["RLY-19", "RLY-20"],
    );
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.fail("STORE_UNAVAILABLE", &["1 < ack #1 later 1000"]);
    w.send(1, &push(2, &[ops_in(1, 9, &["a"])]), &["1 < ack #2 later 1000"]);
    w.wait(1_000);
    w.send(1, &push(3, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.send(1, &push(4, &[ops_in(1, 9, &["a"])]), &["1 < error OUT_OF_STEP", "1 closed OUT_OF_STEP"]);
    w.end()
}

fn too_many_operations() -> Test {
    let mut w = Relay::new(
        "operations-per-second",
        "over the limit of operations per second: later; a while after that the same push is taken",
        &["RLY-23", "RLY-22"],
    )
    .config("operations_per_second", 2);
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a", "a", "a"])]), &["append n1 of ann 0-3 [1:3]"]);
    w.answer(&["1 < ack #1 1-1:3"]);
    w.send(1, &push(2, &[ops_in(1, 4, &["a"])]), &["1 < ack #2 later 1000"]);
    w.wait(2_000);
    w.send(1, &push(3, &[ops_in(1, 4, &["a"])]), &["append n1 3-4 [4:1]"]);
    w.answer(&["1 < ack #3 4-1:4"]);
    w.end()
}

fn log_is_lost() -> Test {
    let mut w = Relay::new(
        "append-outcome-unknown",
        "it is not known what became of an append: no ack, all connections of the database end, and the log is opened anew under a new epoch",
        &["RLY-8", "RLY-10", "SES-95"],
    );
    w.join(1);
    w.join_more(2, 1, 0);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.input(
        json!({ "log_lost": { "database": "0" } }),
        &["1 < goodbye 1 1000+30000", "2 < goodbye 1 1000+30000", "close database 0"],
    );
    w.forget();
    w.closed(1, &[]);
    w.closed(2, &[]);
    w.open(3, &[]);
    w.send(3, &hello(1), &["authorize 3"]);
    w.answer(&["open app"]);
    w.answer(&["load n1"]);
    w.answer(&["3 < welcome [2@0] agreed 0 keep mark 0 head 0"]);
    w.end()
}

fn wrong_ids_check() -> Test {
    let push = with(push(1, &[ops_in(1, 1, &["a"])]), "ids_check", "00000000");
    closes(
        "push-wrong-ids-check",
        "the operations are not those that the sender checked: nothing is taken",
        &["RLY-21", "ERR-1", "ERR-2", "MSG-24"],
        &frame(&push),
        "BAD_IDS_CHECK",
    )
}

fn second_block_damaged() -> Test {
    let mut frame = frame(&push(1, &[ops_in(1, 1, &["a"]), ops_in(1, 2, &["a"])]));
    // The last byte of the checksum of the last operation.
    *frame.last_mut().unwrap() ^= 1;
    closes(
        "push-second-block-damaged",
        "the first block is whole, the second is not: none is taken",
        &["RLY-21", "ERR-1", "ERR-2"],
        &frame,
        "BAD_CHECKSUM",
    )
}

fn same_request_id() -> Test {
    let mut w = Relay::new("push-same-request-id", "two pushes under way with one request id", &["SES-66"]);
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.send(
        1,
        &push(1, &[ops_in(1, 2, &["a"])]),
        &["1 < error DUPLICATE_REQUEST", "1 closed DUPLICATE_REQUEST"],
    );
    w.end()
}

fn transport_ends_while_appending() -> Test {
    let mut w = Relay::new(
        "transport-ends-while-appending",
        "the transport ends while an append is under way: it goes on, and the next welcome tells of it",
        &["RLY-15", "RLY-4"],
    );
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.closed(1, &[]);
    w.open(2, &[]);
    w.send(2, &with(hello(1), "highest_given_out", "1"), &["authorize 2"]);
    w.swap();
    w.answer(&[]);
    w.answer(&["load n1"]);
    w.answer(&["2 < welcome [1@0] agreed 0 keep mark 1 head 1:1"]);
    w.end()
}

fn mark_goes_on() -> Test {
    let before = ops_in(1, 1, &["a", "a"]);
    let mut w = Relay::new(
        "push-goes-on-from-the-mark",
        "welcome tells mark 2 and its check; the first push begins at 3 and builds on them",
        &["RLY-6", "RLY-19"],
    )
    .epoch(1, 0, "keep")
    .logged("ann", &before);
    w.open(1, &[]);
    let hello = with(with(hello(1), "highest_given_out", "3"), "seen", json!([position(1, 2)]));
    w.greet(1, &hello, "1 < welcome [2@2 1@0] agreed 1:2 keep mark 2 head 1:2");
    assert!(!check(&before["ops"][1]).is_empty());
    w.send(1, &push(1, &[ops_in(1, 3, &["a"])]), &["append n1 2-3 [3:1]"]);
    w.answer(&["1 < ack #1 3-2:3"]);
    w.end()
}

fn ack_before_update() -> Test {
    let mut w = Relay::new(
        "ack-before-update",
        "one append has a block of node 2 and one of the reader, node 1: the reader's ack comes before the update whose new has not a smaller seq",
        &["RLY-43", "RLY-42", "RLY-4"],
    );
    w.join(1);
    w.join_more(2, 1, 0);
    w.send(1, &subscribe(1, position(0, 0), 1_000_000, &[]), &["1 < update 1: 0 -> 0 []"]);
    w.send(2, &push(1, &[ops_in(2, 1, &["a"])]), &["append n2 of ann 0-1 [1:1]"]);
    w.send(1, &push(2, &[ops_in(1, 1, &["a"])]), &[]);
    w.send(2, &push(2, &[ops_in(2, 2, &["a"])]), &[]);
    w.answer(&["2 < ack #1 1-1:1", "append n1 of ann 0-1 [1:1], n2 1-2 [2:1]", "read after 0"]);
    w.answer(&["1 < ack #2 2-1:2", "2 < ack #2 3-1:3"]);
    w.answer(&["1 < update 1: 0 -> 1:3 [1:1 3:1]"]);
    w.end()
}
