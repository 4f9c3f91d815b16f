//! Pushes, appends and acks (SPEC.md 11.2, 11.5 and 11.6).

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;

use super::*;
use crate::block::BlockRef;
use crate::message::{Extensions, Goodbye, Mark, Message};
use crate::registry::{ErrorCode, GoodbyeReason};
use crate::relay::{Access, Config, ConnId, Input, NodeAppend, Output, Owner, Principal, Rights};
use crate::wire::{CollectionName, NodeKey};

/// One operation with that number, in collection `a`.
fn one(node: u128, number: u64) -> Vec<u8> {
    block(node, number, &[("a", number)])
}

//= RLY-3 test
//= RLY-4 test
//= RLY-43 test
#[test]
fn a_push_is_acknowledged_and_delivered_when_it_is_durable() {
    let mut world = World::with(&[1, 2]);
    assert_eq!(world.send(2, subscribe(5, (0, 0), 1_000, &[])), ["2 < update 5: 0 -> 0 []"]);
    let blocks = [block(1, 1, &[("a", 1), ("a", 2)]), block(1, 3, &[("b", 3)])];
    assert_eq!(world.send(1, push(9, &blocks)), ["append n1 of ann 0-3 [1:2 3:1]"]);
    assert_eq!(world.answer(), ["1 < ack #9 1-e1:2, 3-e1:3", "2 < update 5: 0 -> e1:3 [1:2 3:1]"]);
}

//= RLY-5 test
//= RLY-6 test
//= RLY-9 test
#[test]
fn an_append_says_what_it_builds_on_and_holds_the_bytes_that_came() {
    let mut world = World::with(&[1]);
    let bytes = [one(1, 1), compressed(1, 2, &[("a", 2), ("a", 3)])];
    world.send(1, push(9, &bytes));
    let Output::Append { nodes, .. } = world.asked[0].clone() else { panic!() };
    let [NodeAppend { node: id, owner, builds_on, mark, blocks }] = &nodes[..] else { panic!() };
    assert_eq!((*id, *builds_on), (node(1), Mark::NONE));
    assert_eq!(*owner, Some(Owner { principal: Principal::new("ann"), key: NodeKey([7; 16]) }));
    let mut scratch = vec![];
    let last = BlockRef::decode(&bytes[1]).unwrap().rows(&mut scratch).unwrap().iter().last().unwrap();
    assert_eq!((mark.node_seq().get(), mark.check()), (3, last.head.check));
    assert_eq!(blocks.iter().map(|block| block.bytes.to_vec()).collect::<Vec<_>>(), bytes);
    world.answer();

    world.send(1, push(10, &[one(1, 4)]));
    let Output::Append { nodes: more, .. } = world.asked[0].clone() else { panic!() };
    assert_eq!((&more[0].builds_on, &more[0].owner), (&nodes[0].mark, &None));
}

//= RLY-7 test
#[test]
fn what_arrives_during_an_append_shares_the_next() {
    let mut world = World::with(&[1, 2]);
    assert_eq!(world.send(1, push(1, &[one(1, 1)])), ["append n1 of ann 0-1 [1:1]"]);
    assert_eq!(world.send(1, push(2, &[one(1, 2)])), [""; 0]);
    assert_eq!(world.send(2, push(1, &[one(2, 1)])), [""; 0]);
    assert_eq!(world.send(1, push(3, &[one(1, 3)])), [""; 0]);
    assert_eq!(world.answer(), ["1 < ack #1 1-e1:1", "append n1 1-3 [2:1 3:1], n2 of ann 0-1 [1:1]"]);
    let acks = ["1 < ack #2 2-e1:2", "1 < ack #3 3-e1:3", "2 < ack #1 4-e1:4"];
    assert_eq!(world.answer(), acks);
}

//= RLY-19 test
#[test]
fn a_push_begins_behind_the_last_block_taken() {
    for wrong in [one(1, 1), one(1, 3)] {
        let mut world = World::with(&[1]);
        world.send(1, push(1, &[one(1, 1)]));
        let closed = ["1 < error Connection OUT_OF_STEP", "1 closed Error(OUT_OF_STEP)"];
        assert_eq!(world.send(1, push(2, &[wrong])), closed);
        // What was taken before is not undone.
        assert_eq!(world.answer(), [""; 0]);
        assert_eq!(world.log.len(), 1);
    }
}

//= RLY-19 test
#[test]
fn a_push_is_of_the_connections_node() {
    let mut world = World::with(&[1]);
    let closed = ["1 < error Connection PROTOCOL_ERROR", "1 closed Error(PROTOCOL_ERROR)"];
    assert_eq!(world.send(1, push(1, &[one(2, 1)])), closed);
}

//= RLY-21 test
#[test]
fn a_push_is_checked_whole() {
    let mut world = World::with(&[1]);
    let mut bytes = push(1, &[one(1, 1), one(1, 2)]);
    // A byte of the second block's operation.
    let at = bytes.len() - 10;
    bytes[at] ^= 1;
    let closed = ["1 < error Connection BAD_CHECKSUM", "1 closed Error(BAD_CHECKSUM)"];
    assert_eq!(world.send(1, bytes), closed);
}

//= RLY-22 test
//= RLY-20 test
//= SES-68 test
#[test]
fn a_failed_append_is_later_for_all_that_builds_on_it() {
    let mut world = World::with(&[1, 2]);
    assert_eq!(world.send(1, push(1, &[one(1, 1)])), ["append n1 of ann 0-1 [1:1]"]);
    world.send(1, push(2, &[one(1, 2), one(1, 3)]));
    world.send(2, push(1, &[one(2, 1)]));
    let outputs = world.fail(ErrorCode::STORE_UNAVAILABLE);
    let later = ["1 < ack #1 later 1000", "1 < ack #2 later 1000, later 1000", "append n2 of ann 0-1 [1:1]"];
    assert_eq!(outputs, later);
    // What was on the way comes too late.
    assert_eq!(world.send(1, push(3, &[one(1, 4)])), ["1 < ack #3 later 1000"]);
    assert_eq!(world.answer(), ["2 < ack #1 1-e1:1"]);
    // From mark + 1 it goes on, as the first block of the node that the store takes.
    assert_eq!(world.send(1, push(4, &[one(1, 1)])), ["append n1 of ann 0-1 [1:1]"]);
    assert_eq!(world.send(1, push(5, &[one(1, 2)])), [""; 0]);
    assert_eq!(world.answer(), ["1 < ack #4 2-e1:2", "append n1 1-2 [2:1]"]);
    assert_eq!(world.answer(), ["1 < ack #5 3-e1:3"]);
}

//= RLY-23 test
//= RLY-20 test
#[test]
fn for_lack_of_room_a_push_is_answered_with_later_in_its_turn() {
    let mut world = World::new(Config { append_bytes: 0, ..Config::default() });
    world.join(1);
    world.send(1, push(1, &[one(1, 1)]));
    // The next append holds one largest block at least.
    let big = vec![("a", 9); 7_000];
    assert_eq!(world.send(1, push(2, &[block(1, 2, &big)])), [""; 0]);
    assert_eq!(world.send(1, push(3, &[block(1, 7_002, &big)])), [""; 0]);
    // It begins at the durable mark + 1 as it stands now, but that moves.
    assert_eq!(world.send(1, push(4, &[one(1, 1)])), [""; 0]);
    assert_eq!(world.answer(), ["1 < ack #1 1-e1:1", "append n1 1-7001 [2:7000]"]);
    assert_eq!(world.answer(), ["1 < ack #2 2-e1:7001", "1 < ack #3 later 1000", "1 < ack #4 later 1000"]);
    assert_eq!(world.send(1, push(5, &[one(1, 7_002)])), ["append n1 7001-7002 [7002:1]"]);
    assert_eq!(world.answer(), ["1 < ack #5 7002-e1:7002"]);
}

//= RLY-23 test
#[test]
fn more_operations_than_told_are_answered_with_later() {
    let mut world = World::new(Config { operations_per_second: 2, ..Config::default() });
    world.join(1);
    world.send(1, push(1, &[block(1, 1, &[("a", 1), ("a", 2)])]));
    world.answer();
    assert_eq!(world.send(1, push(2, &[one(1, 3)])), ["1 < ack #2 later 1000"]);
    world.wait(1_000);
    assert_eq!(world.send(1, push(3, &[one(1, 3)])), ["append n1 2-3 [3:1]"]);
}

//= RLY-24 test
#[test]
fn pushed_blocks_under_way_have_limits() {
    let closed = ["1 < error Connection WINDOW_EXCEEDED", "1 closed Error(WINDOW_EXCEEDED)"];
    let mut world = World::new(Config { push_blocks: 2, ..Config::default() });
    world.join(1);
    world.send(1, push(1, &[one(1, 1)]));
    assert_eq!(world.send(1, push(2, &[one(1, 2), one(1, 3)])), closed);

    let mut world = World::new(Config { push_bytes: 0, ..Config::default() });
    world.join(1);
    let big = vec![("a", 9); 6_000];
    world.send(1, push(1, &[block(1, 1, &big)]));
    assert_eq!(world.send(1, push(2, &[block(1, 6_001, &big)])), closed);

    // Pushes that wait for the answer later count too.
    let mut world = World::new(Config { push_blocks: 2, operations_per_second: 1, ..Config::default() });
    world.join(1);
    world.send(1, push(1, &[one(1, 1)]));
    assert_eq!(world.send(1, push(2, &[one(1, 2)])), [""; 0]);
    assert_eq!(world.send(1, push(3, &[one(1, 3)])), closed);
}

//= RLY-27 test
//= RLY-28 test
//= RLY-30 test
//= RLY-31 test
//= RLY-32 test
#[test]
fn refused_blocks_use_their_numbers_up() {
    let greatest = (1 << 20) * (world::UNIX_MS / 1_000 - 1_735_689_600);
    let mut world = World::new(Config::default());
    let secret = CollectionName::new("secret").unwrap();
    world.rights = Rights::new(Access::ALL).with(&secret, Access::READ).into();
    world.join(1);
    world.join(2);
    world.send(2, subscribe(5, (0, 0), 10_000, &[]));
    let blocks = [
        block(1, 1, &[("a", greatest), ("secret", 1), ("a", greatest + 1)]),
        block(1, 4, &[("a", greatest), ("b", 1)]),
        // Both codes apply to the first.
        block(1, 6, &[("secret", greatest + 1), ("secret", 1)]),
    ];
    assert_eq!(world.send(1, push(1, &blocks)), ["append n1 of ann 0-7 [4:2]"]);
    let acks =
        ["1 < ack #1 WRITE_FORBIDDEN 1, 1-e1:2, CLOCK_TOO_FAR_AHEAD 0", "2 < update 5: 0 -> e1:2 [1:2]"];
    assert_eq!(world.answer(), acks);
    // A refusal alone is a transaction too, and comes after it.
    assert_eq!(world.send(1, push(2, &[block(1, 8, &[("secret", 8)])])), ["append n1 7-8 []"]);
    assert_eq!(world.answer(), ["1 < ack #2 WRITE_FORBIDDEN 0"]);
    assert_eq!(world.log.len(), 1);
    assert_eq!(world.nodes[&node(1)].1.node_seq().get(), 8);
}

//= SES-66 test
#[test]
fn a_request_id_under_way_is_not_used_again() {
    let closed = ["1 < error Connection DUPLICATE_REQUEST", "1 closed Error(DUPLICATE_REQUEST)"];
    let mut world = World::with(&[1]);
    world.send(1, push(1, &[one(1, 1)]));
    assert_eq!(world.send(1, push(1, &[one(1, 2)])), closed);
    let mut world = World::with(&[1]);
    world.send(1, push(1, &[one(1, 1)]));
    assert_eq!(world.send(1, subscribe(1, (0, 0), 0, &[])), closed);
    // After its answer it is free again.
    let mut world = World::with(&[1]);
    world.send(1, push(1, &[one(1, 1)]));
    world.answer();
    assert_eq!(world.send(1, push(1, &[one(1, 2)])), ["append n1 1-2 [2:1]"]);
}

//= RLY-8 test
#[test]
fn an_unknown_outcome_ends_all_connections_of_the_database() {
    let mut world = World::with(&[1, 2]);
    let mut other = Hello::new(3);
    other.database = "other";
    world.open(3);
    world.send(3, other.to_bytes());
    world.settle();
    world.send(1, push(1, &[one(1, 1)]));
    world.send(1, push(2, &[one(1, 2)]));
    // No ack for what nobody knows of.
    let outputs = world.lose_log(0);
    let goodbyes =
        ["1 < goodbye restarting 1000+30000", "2 < goodbye restarting 1000+30000", "close database 0"];
    assert_eq!(outputs, goodbyes);
    assert_eq!(world.input(Input::Closed { conn: ConnId(1) }), [""; 0]);
    // Who comes back finds it opened anew.
    assert_eq!(world.open(5), [""; 0]);
    assert_eq!(world.send(5, Hello::new(1).to_bytes()), ["authorize 5 db 1 ann"]);
    assert_eq!(world.answer(), ["open db as 2"]);
}

//= RLY-8 test
#[test]
fn an_unknown_outcome_ends_those_that_were_ending_already() {
    // One is told goodbye by the relay when it has its acks, the other said goodbye itself.
    let mut world = World::with(&[1, 2]);
    world.send(1, push(1, &[one(1, 1)]));
    world.send(2, push(1, &[one(2, 1)]));
    let changed = Input::RightsChanged { conn: ConnId(1), rights: Arc::new(Rights::default()) };
    world.send(1, subscribe(5, (0, 0), 10_000, &[]));
    assert_eq!(world.input(changed), [""; 0]);
    let goodbye =
        Goodbye { reason: GoodbyeReason::DONE, reconnect_after: 0, jitter: 0, extensions: Extensions::EMPTY };
    assert_eq!(world.send(2, request(0, Message::Goodbye(goodbye))), [""; 0]);
    let ends = ["1 < goodbye restarting 1000+30000", "2 closed Done", "close database 0"];
    assert_eq!(world.lose_log(0), ends);
}

//= SES-97 test
#[test]
fn appends_of_a_connection_that_is_gone_go_on() {
    let mut world = World::with(&[1, 2]);
    world.send(2, subscribe(5, (0, 0), 10_000, &[]));
    world.send(1, push(1, &[one(1, 1)]));
    world.send(1, push(2, &[one(1, 2)]));
    world.input(Input::Closed { conn: ConnId(1) });
    assert_eq!(world.answer(), ["append n1 1-2 [2:1]", "2 < update 5: 0 -> e1:1 [1:1]"]);
    assert_eq!(world.answer(), ["2 < update 5: e1:1 -> e1:2 [2:1]"]);
}

#[test]
fn a_small_frame_does_not_keep_a_large_buffer() {
    let mut world = World::with(&[1]);
    let [small, large] = [push(1, &[one(1, 1)]), push(2, &[block(1, 2, &[("a", 1); 100])])];
    let buffer = Bytes::from([small, large].concat());
    let range = buffer.as_ptr_range();
    world.send(1, buffer);
    let Output::Append { nodes, .. } = &world.asked[0] else { panic!() };
    assert!(!range.contains(&nodes[0].blocks[0].bytes.as_ptr()));
    world.answer();
    let Output::Append { nodes, .. } = &world.asked[0] else { panic!() };
    assert!(range.contains(&nodes[0].blocks[0].bytes.as_ptr()), "and a large one is not copied");
}
