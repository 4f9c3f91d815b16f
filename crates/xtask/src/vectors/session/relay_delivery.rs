//! A relay that delivers: subscriptions, windows, filters, pages.

use serde_json::{Value as Json, json};

use super::relay_world::{Relay, hello, rights};
use super::script::{Test, received};
use super::words::{
    block, frame, lz4, message, op, ops_in, position, pull, push, subscribe, update_ack, with,
};

const WIDE: u64 = 1_000_000;

fn start() -> Json {
    position(0, 0)
}

pub fn tests() -> Vec<Test> {
    let mut all = vec![
        empty_log(),
        from_the_start(),
        live(),
        window_zero(),
        window_one_byte(),
        window_greatest(),
        window_closed_again(),
        own_blocks(),
        own_blocks_of_before(),
        passed_over_1000(),
        filter_holes(),
        filter_nothing(),
        inside_a_block(),
        update_bytes(),
        names_of_two_epochs(),
        without_compression(),
        without_crdt(),
        log_cannot_be_read(),
        rights_lost(),
        sixty_five_subscriptions(),
        ended_is_ignored(),
    ];
    all.extend(refused());
    all.extend(hostile());
    all.extend(pages());
    all
}

/// A relay with three blocks of ben's node 5: seqs 1 to 2, 3, 4 to 6. Node 1 is connected.
fn three(id: &str, comment: &str, spec: &[&'static str]) -> Relay {
    let mut w = three_for(id, comment, spec);
    w.open(1, &[]);
    w.greet(1, &hello(1), THREE);
    w
}

const THREE: &str = "1 < welcome [2@6] agreed 0 keep mark 0 head 1:6";

fn three_for(id: &str, comment: &str, spec: &[&'static str]) -> Relay {
    Relay::new(id, comment, spec)
        .epoch(1, 0, "keep")
        .logged("ben", &ops_in(5, 1, &["a", "b"]))
        .logged("ben", &ops_in(5, 3, &["b"]))
        .logged("ben", &ops_in(5, 4, &["a", "b", "a"]))
}

fn empty_log() -> Test {
    let mut w = Relay::new(
        "subscribe-empty-log",
        "nothing to send: an update without blocks at once",
        &["SES-76", "SES-77"],
    );
    w.join(1);
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["1 < update 1: 0 -> 0 []"]);
    w.end()
}

fn from_the_start() -> Test {
    let mut w = three(
        "subscribe-from-the-start",
        "all blocks of the log, as they were stored, up to the head",
        &["RLY-33", "RLY-34", "RLY-9", "SES-76", "SES-77", "RLY-36"],
    );
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["read after 0"]);
    w.answer(&["1 < update 1: 0 -> 1:6 [1:2 3:1 4:3]"]);
    w.end()
}

fn live() -> Test {
    let mut w = Relay::new(
        "subscribe-live",
        "what another node pushes is delivered when it is durable, and not before",
        &["RLY-4", "RLY-33", "SES-77"],
    );
    w.join(1);
    w.join_more(2, 1, 0);
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["1 < update 1: 0 -> 0 []"]);
    w.send(2, &push(1, &[ops_in(2, 1, &["a"])]), &["append n2 of ann 0-1 [1:1]"]);
    w.answer(&["2 < ack #1 1-1:1", "read after 0"]);
    w.answer(&["1 < update 1: 0 -> 1:1 [1:1]"]);
    w.send(2, &push(2, &[ops_in(2, 2, &["a"])]), &["append n2 1-2 [2:1]"]);
    w.answer(&["2 < ack #2 2-1:2", "read after 1"]);
    w.answer(&["1 < update 1: 1:1 -> 1:2 [2:1]"]);
    w.end()
}

fn window_zero() -> Test {
    let mut w = three(
        "window-zero",
        "window 0 is answered at once and then pauses; an update ack opens it",
        &["SES-76", "SES-83", "SES-81"],
    );
    w.send(1, &subscribe(1, start(), 0, &[]), &["1 < update 1: 0 -> 0 []"]);
    w.wait(1_000);
    w.send(1, &update_ack(1, start(), WIDE), &["read after 0"]);
    w.answer(&["1 < update 1: 0 -> 1:6 [1:2 3:1 4:3]"]);
    w.end()
}

fn window_one_byte() -> Test {
    let mut w = three(
        "window-one-byte",
        "with a window of one byte one block is under way at a time: it is sent while the bytes are below the window, so it exceeds it",
        &["SES-81", "SES-82", "RLY-48"],
    );
    w.send(1, &subscribe(1, start(), 1, &[]), &["read after 0"]);
    w.answer(&["1 < update 1: 0 -> 1:2 [1:2]"]);
    w.send(1, &update_ack(1, start(), 1), &[]);
    w.send(1, &update_ack(1, position(1, 2), 1), &["read after 2"]);
    w.answer(&["1 < update 1: 1:2 -> 1:3 [3:1]"]);
    w.send(1, &update_ack(1, position(1, 3), 1), &["read after 3"]);
    w.answer(&["1 < update 1: 1:3 -> 1:6 [4:3]"]);
    w.send(1, &update_ack(1, position(1, 6), 1), &[]);
    w.end()
}

fn window_greatest() -> Test {
    let mut w = three(
        "window-greatest",
        "a window of 2^64 - 1, in subscribe and in an update ack",
        &["SES-81", "SES-83", "RLY-50"],
    );
    w.send(1, &subscribe(1, start(), u64::MAX, &[]), &["read after 0"]);
    w.answer(&["1 < update 1: 0 -> 1:6 [1:2 3:1 4:3]"]);
    w.send(1, &update_ack(1, position(1, 6), u64::MAX), &[]);
    w.end()
}

fn window_closed_again() -> Test {
    let mut w = Relay::new(
        "window-closed-and-opened",
        "an update ack with window 0 pauses a live reader, another one goes on where it stood",
        &["SES-83"],
    );
    w.join(1);
    w.join_more(2, 1, 0);
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["1 < update 1: 0 -> 0 []"]);
    w.send(1, &update_ack(1, start(), 0), &[]);
    w.send(2, &push(1, &[ops_in(2, 1, &["a"])]), &["append n2 of ann 0-1 [1:1]"]);
    w.answer(&["2 < ack #1 1-1:1"]);
    w.send(1, &update_ack(1, start(), WIDE), &["read after 0"]);
    w.answer(&["1 < update 1: 0 -> 1:1 [1:1]"]);
    w.end()
}

fn own_blocks() -> Test {
    let mut w = Relay::new(
        "own-blocks-passed-over",
        "what the reader pushed on this connection is not delivered to it; 5 s later an update without blocks moves its position",
        &["RLY-42", "SES-87"],
    );
    w.join(1);
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["1 < update 1: 0 -> 0 []"]);
    w.send(1, &push(2, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.answer(&["1 < ack #2 1-1:1", "read after 0"]);
    w.answer(&[]);
    w.timeout(5_000, &["1 < update 1: 0 -> 1:1 []"]);
    w.end()
}

fn passed_over_1000() -> Test {
    let mut w = Relay::new(
        "passed-over-1000",
        "of another collection 999 operations are passed over: nothing is sent; with one more, an update without blocks moves the position at once",
        &["SES-87", "RLY-38"],
    );
    w.join(1);
    w.join_more(2, 1, 0);
    w.send(1, &subscribe(1, start(), WIDE, &["b"]), &["1 < update 1: 0 -> 0 []"]);
    // Such updates may be a second apart.
    w.wait(1_000);
    w.bytes(2, &lz4(&frame(&push(1, &[ops_in(2, 1, &["a"; 999])]))), &["append n2 of ann 0-999 [1:999]"]);
    w.answer(&["2 < ack #1 1-1:999", "read after 0"]);
    w.answer(&[]);
    w.wait(1_000);
    w.send(2, &push(2, &[ops_in(2, 1_000, &["a"])]), &["append n2 999-1000 [1000:1]"]);
    w.answer(&["2 < ack #2 1000-1:1000", "read after 999"]);
    w.answer(&["1 < update 1: 0 -> 1:1000 []"]);
    w.end()
}

fn own_blocks_of_before() -> Test {
    let mut w = Relay::new(
        "own-blocks-of-before",
        "own blocks up to the mark of welcome are delivered as everyone's",
        &["RLY-42", "RLY-34"],
    )
    .epoch(1, 0, "keep")
    .logged("ann", &ops_in(1, 1, &["a", "a"]));
    w.open(1, &[]);
    w.greet(1, &with(hello(1), "highest_given_out", "2"), "1 < welcome [2@2] agreed 0 keep mark 2 head 1:2");
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["read after 0"]);
    w.answer(&["1 < update 1: 0 -> 1:2 [1:2]"]);
    w.send(1, &push(2, &[ops_in(1, 3, &["a"])]), &["append n1 2-3 [3:1]"]);
    w.answer(&["1 < ack #2 3-2:3", "read after 2"]);
    w.answer(&[]);
    w.timeout(5_000, &["1 < update 1: 1:2 -> 2:3 []"]);
    w.end()
}

fn filter_holes() -> Test {
    let mut w = three(
        "filter-leaves-holes",
        "collection a only: operations of others are left out, blocks say so by holes, a block of which nothing is left is passed over; seqs are those of the stored blocks",
        &["RLY-35", "RLY-36", "RLY-37", "RLY-38", "RLY-41"],
    );
    w.send(1, &subscribe(1, start(), WIDE, &["a"]), &["read after 0"]);
    w.answer(&["1 < update 1: 0 -> 1:6 [1:1/2 4:2/3]"]);
    w.end()
}

fn filter_nothing() -> Test {
    let mut w = three(
        "filter-drops-all",
        "nothing of the log is in collection c: the first update has no blocks, and its new may be at the head at once",
        &["RLY-38", "SES-76", "RLY-41"],
    );
    w.send(1, &subscribe(1, start(), WIDE, &["c"]), &["read after 0"]);
    w.answer(&["1 < update 1: 0 -> 1:6 []"]);
    w.end()
}

fn inside_a_block() -> Test {
    let mut w = three(
        "position-inside-a-block",
        "a position inside the last block: the whole block is sent, and its first seq lies before the position",
        &["RLY-35", "RLY-36", "SES-77"],
    );
    w.send(1, &subscribe(1, position(1, 5), WIDE, &[]), &["read after 5"]);
    w.answer(&["1 < update 1: 1:5 -> 1:6 [4:3]"]);
    w.end()
}

fn update_bytes() -> Test {
    let mut w = three_for(
        "update-bytes",
        "the client takes updates of one byte of blocks: each has one block",
        &["SES-86", "NEG-7"],
    );
    w.open(1, &[]);
    w.greet(1, &with(hello(1), "limits", json!([{ "id": "13", "value": "1" }])), THREE);
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["read after 0"]);
    w.answer(&[
        "1 < update 1: 0 -> 1:2 [1:2]",
        "1 < update 1: 1:2 -> 1:3 [3:1]",
        "1 < update 1: 1:3 -> 1:6 [4:3]",
    ]);
    w.end()
}

fn names_of_two_epochs() -> Test {
    let mut w = Relay::new(
        "positions-have-one-name",
        "every position that the relay sends has the epoch in which its operation was appended; what the client sent is repeated",
        &["RLY-17", "SES-77", "SES-86"],
    )
    .epoch(1, 0, "keep")
    .logged("ben", &ops_in(5, 1, &["a"]))
    .epoch(4, 1, "keep")
    .logged("ben", &ops_in(5, 2, &["a"]));
    w.open(1, &[]);
    let hello = with(hello(1), "limits", json!([{ "id": "13", "value": "1" }]));
    w.greet(1, &hello, "1 < welcome [5@2] agreed 0 keep mark 0 head 4:2");
    w.send(1, &subscribe(1, position(5, 0), WIDE, &[]), &["read after 0"]);
    w.answer(&["1 < update 1: 5:0 -> 1:1 [1:1]", "1 < update 1: 1:1 -> 4:2 [2:1]"]);
    w.end()
}

fn without_compression() -> Test {
    let mut w = Relay::new(
        "reader-without-compression",
        "a stored block is compressed; one reader gets it as it was stored, the one without compression decompressed",
        &["RLY-39", "RLY-9"],
    );
    w.join(1);
    w.open(2, &[]);
    w.greet(
        2,
        &with(hello(2), "capabilities", json!(["17"])),
        "2 < welcome [1@0] agreed 0 keep mark 0 head 0",
    );
    w.join_more(3, 1, 0);
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["1 < update 1: 0 -> 0 []"]);
    w.send(2, &subscribe(1, start(), WIDE, &[]), &["2 < update 1: 0 -> 0 []"]);
    let push = lz4(&frame(&push(1, &[ops_in(3, 1, &["a"; 4])])));
    w.input(received(Some(3), &push), &["append n3 of ann 0-4 [1:4]"]);
    w.answer(&["3 < ack #1 1-1:4", "read after 0"]);
    w.answer(&["1 < update 1: 0 -> 1:4 [1:4z]", "2 < update 1: 0 -> 1:4 [1:4]"]);
    w.end()
}

fn without_crdt() -> Test {
    let removal = with(op(5, 1, 1, "a"), "fields", json!([["f", { "type": "removed" }]]));
    let mut w = Relay::new(
        "reader-without-crdt",
        "an operation removes a field, which needs crdt, and the reader has not agreed on it",
        &["RLY-40"],
    )
    .epoch(1, 0, "keep")
    .logged("ben", &block(&[removal]));
    w.open(1, &[]);
    let hello = with(hello(1), "capabilities", json!([]));
    w.greet(1, &hello, "1 < welcome [2@1] agreed 0 keep mark 0 head 1:1");
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["read after 0"]);
    w.answer(&["1 < error UPGRADE_NEEDED", "1 closed UPGRADE_NEEDED"]);
    w.end()
}

fn log_cannot_be_read() -> Test {
    let mut w = three(
        "log-cannot-be-read",
        "a subscription for which the log cannot be read ends with its connection, in order",
        &["RLY-59", "SES-95", "SES-67"],
    );
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["read after 0"]);
    w.fail("STORE_UNAVAILABLE", &["1 < goodbye 1 1000+30000"]);
    w.timeout(5_000, &["1 closed done"]);
    w.end()
}

fn rights_lost() -> Test {
    let mut w = Relay::new(
        "right-to-read-lost",
        "ann may not read b any more, which her subscription covers: goodbye, and nothing more is sent on it",
        &["SES-92"],
    );
    w.join(1);
    w.join_more(2, 1, 0);
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["1 < update 1: 0 -> 0 []"]);
    w.send(2, &subscribe(1, start(), WIDE, &["a"]), &["2 < update 1: 0 -> 0 []"]);
    let changed = json!({ "others": "all", "collections": { "b": "write" } });
    w.input(json!({ "rights_changed": { "conn": "2", "rights": changed } }), &[]);
    w.input(json!({ "rights_changed": { "conn": "1", "rights": changed } }), &["1 < goodbye 1 1000+30000"]);
    w.send(2, &push(2, &[ops_in(2, 1, &["b"])]), &["append n2 of ann 0-1 [1:1]"]);
    w.answer(&["2 < ack #2 1-1:1", "read after 0"]);
    w.answer(&[]);
    w.end()
}

fn sixty_five_subscriptions() -> Test {
    let mut w = Relay::new(
        "subscriptions-65",
        "65 subscriptions where 64 are allowed: the last is refused, and its number is used up",
        &["SES-75", "ERR-4"],
    );
    w.join(1);
    let all: Vec<_> = (1..=65).map(|number| subscribe(number, start(), 1, &[])).collect();
    let mut expect: Vec<_> = (1..=64).map(|number| format!("1 < update {number}: 0 -> 0 []")).collect();
    expect.push("1 < error #65 TOO_MANY_SUBSCRIPTIONS".into());
    w.send_all(1, &all, &expect.iter().map(String::as_str).collect::<Vec<_>>());
    w.send(
        1,
        &subscribe(65, start(), 1, &[]),
        &["1 < error DUPLICATE_SUBSCRIPTION", "1 closed DUPLICATE_SUBSCRIPTION"],
    );
    w.end()
}

fn ended_is_ignored() -> Test {
    let mut w = Relay::new(
        "ended-subscription-ignored",
        "update ack and unsubscribe for a subscription that has ended are ignored; its number is not free",
        &["SES-84", "SES-75"],
    );
    w.join(1);
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["1 < update 1: 0 -> 0 []"]);
    let unsubscribe = message("unsubscribe", 0, json!({ "subscription": "1" }));
    w.send(1, &unsubscribe, &[]);
    w.send(1, &unsubscribe, &[]);
    w.send(1, &update_ack(1, position(1, 9), 0), &[]);
    w.send(
        1,
        &subscribe(1, start(), 1, &[]),
        &["1 < error DUPLICATE_SUBSCRIPTION", "1 closed DUPLICATE_SUBSCRIPTION"],
    );
    w.end()
}

/// Requests that fail and leave the connection as it is.
fn refused() -> Vec<Test> {
    let mut tests = Vec::new();
    let positions = [
        ("unknown-epoch", position(77, 1), "a position of an epoch that the log never had"),
        ("beyond-the-head", position(2, 7), "a position beyond the head"),
        ("beyond-its-epoch", position(1, 7), "a position beyond the end of its epoch"),
    ];
    for (name, from, comment) in positions {
        let mut w = three(&format!("position-{name}"), comment, &["SES-71", "ERR-4", "SES-67"]);
        w.send(1, &subscribe(1, from.clone(), WIDE, &[]), &["1 < error #1 POSITION_UNKNOWN"]);
        w.send(1, &pull(2, from, &[], 0), &["1 < error #2 POSITION_UNKNOWN"]);
        w.send(1, &subscribe(3, position(1, 6), WIDE, &[]), &["1 < update 3: 1:6 -> 1:6 []"]);
        tests.push(w.end());
    }
    let mut w = three_for(
        "read-forbidden",
        "ann may not read b: what covers it is refused as a whole, also all collections; a alone is not",
        &["SES-73", "ERR-4"],
    );
    w.rights = json!({ "others": "all", "collections": { "b": "write" } });
    w.open(1, &[]);
    w.greet(1, &hello(1), THREE);
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["1 < error #1 FORBIDDEN"]);
    w.send(1, &subscribe(2, start(), WIDE, &["a", "b"]), &["1 < error #2 FORBIDDEN"]);
    w.send(1, &pull(3, start(), &["b"], 0), &["1 < error #3 FORBIDDEN"]);
    w.send(1, &subscribe(4, start(), WIDE, &["a"]), &["read after 0"]);
    w.answer(&["1 < update 4: 0 -> 1:6 [1:1/2 4:2/3]"]);
    tests.push(w.end());
    tests
}

/// Messages about subscriptions that close the connection.
fn hostile() -> Vec<Test> {
    let unsubscribe = |number: u32| message("unsubscribe", 0, json!({ "subscription": number.to_string() }));
    let cases = [
        (
            "update-ack-from-the-future",
            "an update ack for more than was sent",
            "SES-82",
            update_ack(1, position(1, 7), WIDE),
            "PROTOCOL_ERROR",
        ),
        (
            "update-ack-greatest-seq",
            "an update ack for the greatest seq",
            "SES-82",
            update_ack(1, position(1, (1 << 53) - 1), WIDE),
            "PROTOCOL_ERROR",
        ),
        (
            "update-ack-unknown",
            "an update ack for a number never used",
            "SES-84",
            update_ack(9, position(1, 6), WIDE),
            "UNKNOWN_SUBSCRIPTION",
        ),
        (
            "unsubscribe-unknown",
            "unsubscribe for a number never used",
            "SES-84",
            unsubscribe(9),
            "UNKNOWN_SUBSCRIPTION",
        ),
    ];
    let mut tests: Vec<_> = cases
        .into_iter()
        .map(|(id, comment, rule, message, code)| {
            let mut w = three(id, comment, &[rule]);
            w.send(1, &subscribe(1, position(1, 6), WIDE, &[]), &["1 < update 1: 1:6 -> 1:6 []"]);
            w.send(1, &message, &[&format!("1 < error {code}"), &format!("1 closed {code}")]);
            w.end()
        })
        .collect();
    let mut w = three("update-ack-goes-back", "an update ack below the one before it", &["SES-82"]);
    w.send(1, &subscribe(1, start(), WIDE, &[]), &["read after 0"]);
    w.answer(&["1 < update 1: 0 -> 1:6 [1:2 3:1 4:3]"]);
    w.send(1, &update_ack(1, position(1, 6), WIDE), &[]);
    w.send(1, &update_ack(1, start(), WIDE), &["1 < error PROTOCOL_ERROR", "1 closed PROTOCOL_ERROR"]);
    tests.push(w.end());
    tests
}

fn pages() -> Vec<Test> {
    let mut w = three(
        "pull-pages",
        "pages of at most two operations: a block that is larger is sent alone; has more says whether next is before the head",
        &["RLY-44", "RLY-41", "SES-67", "RLY-35"],
    );
    w.send(1, &pull(1, start(), &[], 2), &["read after 0"]);
    w.answer(&["1 < page #1 1:2 more [1:2]"]);
    w.send(1, &pull(2, position(1, 2), &[], 2), &["read after 2"]);
    w.answer(&["1 < page #2 1:3 more [3:1]"]);
    w.send(1, &pull(3, position(1, 3), &[], 2), &["read after 3"]);
    w.answer(&["1 < page #3 1:6 [4:3]"]);
    w.send(1, &pull(4, position(1, 6), &[], 2), &["1 < page #4 1:6 []"]);
    let pages = w.end();

    let mut w = three(
        "pull-nothing-to-see",
        "nothing of the log is in collection c: the page has no block, and next moves",
        &["RLY-44", "RLY-38"],
    );
    w.send(1, &pull(1, start(), &["c"], 0), &["read after 0"]);
    w.answer(&["1 < page #1 1:6 []"]);
    let nothing = w.end();

    let mut w =
        Relay::new("pull-own-blocks", "a pull has the client's own blocks too", &["RLY-34", "RLY-44"]);
    w.join(1);
    w.send(1, &push(1, &[ops_in(1, 1, &["a"])]), &["append n1 of ann 0-1 [1:1]"]);
    w.answer(&["1 < ack #1 1-1:1"]);
    w.send(1, &pull(2, start(), &[], 0), &["read after 0"]);
    w.answer(&["1 < page #2 1:1 [1:1]"]);
    let own = w.end();

    let mut w =
        three("pull-log-cannot-be-read", "the log cannot be read for a pull", &["RLY-59", "SES-67", "ERR-4"]);
    w.send(1, &pull(1, start(), &[], 0), &["read after 0"]);
    w.fail("STORE_UNAVAILABLE", &["1 < error #1 STORE_UNAVAILABLE"]);
    w.rights = rights("all");
    let unreadable = w.end();
    vec![pages, nothing, own, unreadable]
}
