//! Subscriptions and what they deliver (SPEC.md 10.10 and 11.7).

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::message::{Extensions, Limit, Message, Unsubscribe};
use crate::registry::{Capability, ErrorCode, LimitId};
use crate::relay::{Access, Config, ConnId, Input, Output, Rights};
use crate::wire::CollectionName;

const WIDE: u64 = 1 << 40;

/// One operation with that number, in collection `a`.
fn one(node: u128, number: u64) -> Vec<u8> {
    block(node, number, &[("a", number)])
}

/// Node 9 pushes, and the store takes it; shows the outputs but for the ack.
fn write(world: &mut World, blocks: &[Vec<u8>]) -> Vec<alloc::string::String> {
    assert_eq!(world.send(9, push(1, blocks)).len(), 1);
    let mut outputs = world.answer();
    assert!(outputs.remove(0).starts_with("9 < ack"));
    outputs
}

/// A relay with these nodes and node 9, without a tail in memory.
fn cold(nodes: &[u128]) -> World {
    let mut world = World::new(Config { tail_bytes: 0, ..Config::default() });
    world.join(9);
    for node in nodes {
        world.join(*node);
    }
    world
}

//= RLY-9 test
#[test]
fn all_readers_share_the_bytes_that_came() {
    let mut world = World::with(&[9, 1, 2]);
    world.send(1, subscribe(1, (0, 0), WIDE, &[]));
    world.send(2, subscribe(2, (0, 0), WIDE, &["a"]));
    let bytes = compressed(9, 1, &[("a", 1), ("a", 2)]);
    world.send(9, push(1, core::slice::from_ref(&bytes)));
    let append = world.question();
    let ticket = world::ticket(&append);
    let now = crate::time::Time { monotonic_ms: 0, unix_ms: 0 };
    world.relay.handle(now, Input::Appended { ticket, first_seq: 1 });
    let outputs: Vec<_> = core::iter::from_fn(|| world.relay.poll_output()).collect();
    let [Output::Send { .. }, Output::Send { blocks: first, .. }, Output::Send { blocks: second, .. }] =
        &outputs[..]
    else {
        panic!()
    };
    let Output::Append { nodes, .. } = append else { panic!() };
    for blocks in [first, second] {
        assert_eq!(blocks[0], bytes);
        assert_eq!(blocks[0].as_ptr(), nodes[0].blocks[0].bytes.as_ptr());
    }
}

//= RLY-33 test
//= SES-77 test
#[test]
fn a_reader_catches_up_and_is_live() {
    let mut world = cold(&[1]);
    write(&mut world, &[one(9, 1), one(9, 2)]);
    assert_eq!(world.send(1, subscribe(1, (1, 1), WIDE, &[])), ["read after 1, 1048576 bytes"]);
    // The log grows meanwhile.
    world.send(9, push(1, &[one(9, 3)]));
    assert_eq!(world.answer(), ["1 < update 1: e1:1 -> e1:2 [2:1]"]);
    assert_eq!(world.answer(), ["9 < ack #1 3-e1:3", "read after 2, 1048576 bytes"]);
    assert_eq!(world.answer(), ["1 < update 1: e1:2 -> e1:3 [3:1]"]);
    let mut warm = World::with(&[9, 1]);
    write(&mut warm, &[one(9, 1)]);
    assert_eq!(warm.send(1, subscribe(1, (0, 0), WIDE, &[])), ["1 < update 1: 0 -> e1:1 [1:1]"]);
    assert_eq!(write(&mut warm, &[one(9, 2)]), ["1 < update 1: e1:1 -> e1:2 [2:1]"]);
}

#[test]
fn readers_at_one_place_share_a_read() {
    let mut world = cold(&[1, 2]);
    write(&mut world, &[one(9, 1), one(9, 2)]);
    assert_eq!(world.send(1, subscribe(1, (0, 0), WIDE, &[])), ["read after 0, 1048576 bytes"]);
    assert_eq!(world.send(2, subscribe(2, (0, 0), 1, &[])), [""; 0]);
    assert_eq!(world.send(2, subscribe(3, (1, 1), 7, &[])), ["read after 1, 7 bytes"]);
    assert_eq!(world.answer(), ["1 < update 1: 0 -> e1:2 [1:1 2:1]", "2 < update 2: 0 -> e1:1 [1:1]"]);
    // Who is gone when the blocks come gets nothing.
    world.input(Input::Closed { conn: ConnId(2) });
    assert_eq!(world.answer(), [""; 0]);
}

//= SES-81 test
//= SES-82 test
//= SES-83 test
#[test]
fn the_window_paces_a_reader() {
    let mut world = World::with(&[9, 1]);
    world.send(1, subscribe(1, (0, 0), 200, &[]));
    // The second goes out while the first is below the window.
    assert_eq!(write(&mut world, &[one(9, 1), one(9, 2), one(9, 3)]), ["1 < update 1: 0 -> e1:2 [1:1 2:1]"]);
    assert_eq!(write(&mut world, &[one(9, 4)]), [""; 0]);
    // What is acknowledged makes room; a position inside an update makes none.
    assert_eq!(world.send(1, update_ack(1, (1, 1), 200)), [""; 0]);
    assert_eq!(world.send(1, update_ack(1, (1, 2), 200)), ["1 < update 1: e1:2 -> e1:4 [3:1 4:1]"]);
    assert_eq!(world.send(1, update_ack(1, (1, 4), 0)), [""; 0]);
    assert_eq!(write(&mut world, &[one(9, 5)]), [""; 0]);
    assert_eq!(world.send(1, update_ack(1, (1, 4), u64::MAX)), ["1 < update 1: e1:4 -> e1:5 [5:1]"]);
}

//= SES-76 test
#[test]
fn a_paused_subscription_is_answered_at_once() {
    let mut world = cold(&[1]);
    write(&mut world, &[one(9, 1)]);
    assert_eq!(world.send(1, subscribe(1, (0, 0), 0, &[])), ["1 < update 1: 0 -> 0 []"]);
    assert_eq!(world.send(1, update_ack(1, (0, 0), 1)), ["read after 0, 1 bytes"]);
    assert_eq!(world.answer(), ["1 < update 1: 0 -> e1:1 [1:1]"]);
}

//= RLY-50 test
#[test]
fn a_window_is_never_larger_than_the_relays() {
    let mut world = World::new(Config { window: 1, ..Config::default() });
    world.join(9);
    world.join(1);
    world.send(1, subscribe(1, (0, 0), u64::MAX, &[]));
    assert_eq!(write(&mut world, &[one(9, 1), one(9, 2)]), ["1 < update 1: 0 -> e1:1 [1:1]"]);
    assert_eq!(world.send(1, update_ack(1, (1, 1), u64::MAX)), ["1 < update 1: e1:1 -> e1:2 [2:1]"]);
}

//= SES-86 test
#[test]
fn an_update_keeps_to_what_the_client_takes() {
    let mut world = World::with(&[9]);
    world.open(1);
    let limits = vec![Limit { id: LimitId::UPDATE_BYTES, value: 320 }];
    world.send(1, Hello { limits, ..Hello::new(1) }.to_bytes());
    world.settle();
    world.send(1, subscribe(1, (0, 0), WIDE, &[]));
    let large = block(9, 4, &[("a", 4), ("a", 5), ("a", 6)]);
    let outputs = write(&mut world, &[one(9, 1), one(9, 2), one(9, 3), large, one(9, 7)]);
    let updates = [
        "1 < update 1: 0 -> e1:2 [1:1 2:1]",
        "1 < update 1: e1:2 -> e1:3 [3:1]",
        "1 < update 1: e1:3 -> e1:6 [4:3]",
        "1 < update 1: e1:6 -> e1:7 [7:1]",
    ];
    assert_eq!(outputs, updates);
}

//= RLY-35 test
//= RLY-36 test
//= RLY-41 test
#[test]
fn a_position_within_a_block_gets_the_whole_block() {
    let mut world = cold(&[1]);
    write(&mut world, &[one(9, 1), block(9, 2, &[("a", 2), ("b", 3), ("a", 4)])]);
    world.send(1, subscribe(1, (1, 3), WIDE, &[]));
    assert_eq!(world.answer(), ["1 < update 1: e1:3 -> e1:4 [2:3]"]);
    world.send(1, subscribe(2, (1, 3), WIDE, &["b"]));
    assert_eq!(world.answer(), ["1 < update 2: e1:3 -> e1:4 [2:1/3]"]);
}

//= RLY-34 test
//= RLY-37 test
//= RLY-38 test
#[test]
fn a_reader_of_some_collections_gets_those() {
    let mut world = World::with(&[9, 1]);
    world.send(1, subscribe(1, (0, 0), WIDE, &["b", "d"]));
    let blocks = [
        block(9, 1, &[("a", 1), ("b", 2), ("c", 3), ("d", 4)]),
        compressed(9, 5, &[("a", 5), ("b", 6)]),
        block(9, 7, &[("a", 7)]),
        compressed(9, 8, &[("b", 8), ("b", 9)]),
        block(9, 10, &[("a", 10)]),
    ];
    let update = "1 < update 1: 0 -> e1:10 [1:2/4 5:1/2 8:2z]";
    assert_eq!(write(&mut world, &blocks), [update]);
}

//= RLY-39 test
//= RLY-40 test
#[test]
fn a_reader_gets_what_it_can_read() {
    let mut world = World::with(&[9]);
    for (conn, capabilities) in [(1, vec![Capability::CRDT]), (2, vec![Capability::COMPRESSION]), (3, vec![])]
    {
        world.open(conn);
        world.send(conn, Hello { capabilities, ..Hello::new(conn.into()) }.to_bytes());
        world.settle();
        world.send(conn, subscribe(1, (0, 0), WIDE, &[]));
    }
    let update = |conn: u64, blocks: &str| format!("{conn} < update 1: 0 -> e1:3 {blocks}");
    let outputs = write(&mut world, &[compressed(9, 1, &[("a", 1), ("a", 2)]), one(9, 3)]);
    assert_eq!(outputs, [update(1, "[1:2 3:1]"), update(2, "[1:2z 3:1]"), update(3, "[1:2 3:1]")]);

    let outputs = write(&mut world, &[world::removal(9, 4)]);
    let expected = [
        "1 < update 1: e1:3 -> e1:4 [4:1]",
        "2 < error Connection UPGRADE_NEEDED",
        "2 closed Error(UPGRADE_NEEDED)",
        "3 < error Connection UPGRADE_NEEDED",
        "3 closed Error(UPGRADE_NEEDED)",
    ];
    assert_eq!(outputs, expected);
}

//= RLY-42 test
#[test]
fn own_blocks_of_this_connection_are_passed_over() {
    let mut world = World::with(&[9]);
    write(&mut world, &[one(9, 1)]);
    world.input(Input::Closed { conn: ConnId(9) });
    world.open(10);
    world.send(10, Hello::new(9).to_bytes());
    world.settle();
    world.join(1);
    world.send(10, subscribe(1, (0, 0), WIDE, &[]));
    world.send(10, push(1, &[one(9, 2)]));
    assert_eq!(world.answer(), ["10 < ack #1 2-e1:2"]);
    world.send(1, push(1, &[one(1, 1)]));
    assert_eq!(world.answer(), ["1 < ack #1 3-e1:3", "10 < update 1: e1:1 -> e1:3 [3:1]"]);
    // An earlier connection's blocks come, wherever the subscription begins.
    assert_eq!(world.send(10, subscribe(2, (0, 0), WIDE, &[])), ["10 < update 2: 0 -> e1:3 [1:1 3:1]"]);
}

//= SES-87 test
//= SES-88 test
#[test]
fn what_is_passed_over_moves_the_position() {
    let mut world = World::with(&[9, 1]);
    world.send(1, subscribe(1, (0, 0), 1, &["b"]));
    assert_eq!(write(&mut world, &[one(9, 1)]), [""; 0]);
    world.wait(3_000);
    assert_eq!(write(&mut world, &[one(9, 2)]), [""; 0]);
    // At the latest 5 s after the first.
    assert_eq!(world.pass(2_000), ["5000: 1 < update 1: 0 -> e1:2 []"]);
    // As soon as it is 1,000 operations, but not more often than once a second.
    assert_eq!(write(&mut world, &[block(9, 3, &[("a", 1); 999])]), [""; 0]);
    assert_eq!(world.pass(500), [""; 0]);
    assert_eq!(write(&mut world, &[one(9, 1_002)]), [""; 0]);
    assert_eq!(world.pass(500), ["6000: 1 < update 1: e1:2 -> e1:1002 []"]);
    world.wait(1_000);
    let moved = "1 < update 1: e1:1002 -> e1:2002 []";
    assert_eq!(write(&mut world, &[block(9, 1_003, &[("a", 1); 1_000])]), [moved]);
    // It counts no bytes: the window is still open.
    assert_eq!(
        write(&mut world, &[block(9, 2_003, &[("b", 1)])]),
        ["1 < update 1: e1:2002 -> e1:2003 [2003:1]"]
    );
    // A paused one is not moved.
    world.send(1, update_ack(1, (1, 2_003), 0));
    write(&mut world, &[one(9, 2_004)]);
    assert_eq!(world.pass(10_000), [""; 0]);
}

//= SES-87 test
#[test]
fn a_position_moves_although_a_read_takes_long() {
    let mut world = World::new(Config { tail_bytes: 0, ..Config::default() });
    world.join(9);
    world.join(1);
    world.send(1, subscribe(1, (0, 0), WIDE, &["b"]));
    assert_eq!(write(&mut world, &[one(9, 1)]), ["read after 0, 1048576 bytes"]);
    assert_eq!(world.answer(), [""; 0]);
    assert_eq!(write(&mut world, &[one(9, 2)]), ["read after 1, 1048576 bytes"]);
    assert_eq!(world.pass(6_000), ["5000: 1 < update 1: 0 -> e1:1 []"]);
}

//= SES-75 test
//= SES-84 test
#[test]
fn numbers_of_subscriptions_are_used_once() {
    let closed = |code: &str| [format!("1 < error Connection {code}"), format!("1 closed Error({code})")];
    let unsubscribe = |subscription| {
        request(0, Message::Unsubscribe(Unsubscribe { subscription, extensions: Extensions::EMPTY }))
    };
    for again in [false, true] {
        let mut world = World::with(&[1]);
        world.send(1, subscribe(5, (0, 0), 1, &[]));
        if again {
            assert_eq!(world.send(1, unsubscribe(5)), [""; 0]);
            // What was on the way when it ended is ignored.
            assert_eq!(world.send(1, update_ack(5, (9, 9), 1)), [""; 0]);
            assert_eq!(world.send(1, unsubscribe(5)), [""; 0]);
        }
        assert_eq!(world.send(1, subscribe(5, (0, 0), 1, &[])), closed("DUPLICATE_SUBSCRIPTION"));
    }
    let mut world = World::with(&[1]);
    assert_eq!(world.send(1, update_ack(5, (0, 0), 1)), closed("UNKNOWN_SUBSCRIPTION"));
    let mut world = World::with(&[1]);
    assert_eq!(world.send(1, unsubscribe(5)), closed("UNKNOWN_SUBSCRIPTION"));

    let mut world = World::new(Config { subscriptions: 1, ..Config::default() });
    world.join(1);
    world.send(1, subscribe(5, (0, 0), 1, &[]));
    let refused = ["1 < error #6 Request TOO_MANY_SUBSCRIPTIONS"];
    assert_eq!(world.send(1, subscribe(6, (0, 0), 1, &[])), refused);
    assert_eq!(world.send(1, subscribe(6, (0, 0), 1, &[])), closed("DUPLICATE_SUBSCRIPTION"));
}

//= SES-67 test
#[test]
fn a_subscription_that_ends_before_its_answer_is_answered() {
    let mut world = cold(&[1]);
    write(&mut world, &[one(9, 1)]);
    world.send(1, subscribe(1, (0, 0), WIDE, &[]));
    let unsubscribe = Unsubscribe { subscription: 1, extensions: Extensions::EMPTY };
    let outputs = world.send(1, request(0, Message::Unsubscribe(unsubscribe)));
    assert_eq!(outputs, ["1 < update 1: 0 -> 0 []"]);
    assert_eq!(world.answer(), [""; 0]);
}

//= SES-82 test
#[test]
fn update_acks_neither_go_back_nor_ahead() {
    let closed = ["1 < error Connection PROTOCOL_ERROR", "1 closed Error(PROTOCOL_ERROR)"];
    for wrong in [(1, 1), (1, 4), (7, 1 << 50)] {
        let mut world = World::with(&[9, 1]);
        write(&mut world, &[one(9, 1), one(9, 2), one(9, 3)]);
        world.send(1, subscribe(1, (1, 1), WIDE, &[]));
        assert_eq!(world.send(1, update_ack(1, (1, 2), WIDE)), [""; 0]);
        assert_eq!(world.send(1, update_ack(1, wrong, WIDE)), closed);
    }
}

//= SES-71 test
//= SES-73 test
#[test]
fn subscriptions_keep_to_rights_and_history() {
    let mut world = World::new(Config::default());
    let open = CollectionName::new("open").unwrap();
    world.rights = Rights::new(Access::WRITE).with(&open, Access::READ).into();
    world.join(1);
    assert_eq!(world.send(1, subscribe(1, (0, 0), 1, &[])), ["1 < error #1 Request FORBIDDEN"]);
    assert_eq!(
        world.send(1, subscribe(2, (0, 0), 1, &["open", "other"])),
        ["1 < error #2 Request FORBIDDEN"]
    );
    assert_eq!(world.send(1, subscribe(3, (1, 1), 1, &["open"])), ["1 < error #3 Request POSITION_UNKNOWN"]);
    assert_eq!(world.send(1, subscribe(4, (8, 0), 1, &["open"])), ["1 < error #4 Request POSITION_UNKNOWN"]);
    // In the history, though it is not the name of that seq.
    assert_eq!(world.send(1, subscribe(5, (1, 0), 1, &["open"])), ["1 < update 5: e1:0 -> 0 []"]);
}

//= RLY-59 test
#[test]
fn a_failed_read_lets_the_reader_come_back() {
    let mut world = cold(&[1]);
    write(&mut world, &[one(9, 1)]);
    world.send(1, subscribe(1, (0, 0), 1, &[]));
    assert_eq!(world.fail(ErrorCode::STORE_UNAVAILABLE), ["1 < goodbye restarting 1000+30000"]);
}

//= RLY-48 test
#[test]
fn a_reader_that_never_acknowledges_costs_no_more() {
    let mut world = World::with(&[9, 1]);
    world.send(1, subscribe(1, (0, 0), WIDE, &[]));
    for number in 1..=100 {
        assert_eq!(write(&mut world, &[one(9, number)]).len(), 1);
        world.flush(1);
    }
    // The last of 64 entries stands for all behind it.
    let window = 37 * one(9, 1).len() as u64;
    assert_eq!(world.send(1, update_ack(1, (1, 63), window)), [""; 0]);
    assert_eq!(write(&mut world, &[one(9, 101)]), [""; 0], "the window is full");
    assert_eq!(world.send(1, update_ack(1, (1, 99), window)), [""; 0], "for all of them together");
    let update = "1 < update 1: e1:100 -> e1:101 [101:1]";
    assert_eq!(world.send(1, update_ack(1, (1, 100), 1)), [update]);
}

//= RLY-48 test
//= RLY-49 test
#[test]
fn nothing_large_is_sent_while_the_transport_is_full() {
    let mut world = World::with(&[9, 1]);
    world.send(1, subscribe(1, (0, 0), WIDE, &[]));
    let big = |first| block(9, first, &[("a", 1); 9_000]);
    assert_eq!(write(&mut world, &[big(1)]), ["1 < update 1: 0 -> e1:9000 [1:9000]"]);
    // One frame may come on top of the bound.
    assert_eq!(
        write(&mut world, &[big(9_001)]),
        ["1 < update 1: e1:9000 -> e1:18000 [9001:9000]", "1 pause"]
    );
    assert_eq!(write(&mut world, &[big(18_001)]), [""; 0]);
    assert_eq!(world.flush(1), ["1 resume", "1 < update 1: e1:18000 -> e1:27000 [18001:9000]"]);
}
