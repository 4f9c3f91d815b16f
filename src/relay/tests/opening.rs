//! From handshake to welcome (SPEC.md 9 and 11.3).

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::codec::{Context, Packet};
use crate::message::{Limit, Message, RestoreMode};
use crate::registry::{Capabilities, Capability, ErrorCode, LimitId};
use crate::relay::{Access, Claim, Config, ConnId, Input, Output, Rights};

/// A relay to which `hello` was sent on connection 1.
fn greeted(hello: &Hello) -> (World, Vec<String>) {
    let mut world = World::new(Config::default());
    assert_eq!(world.open(1), [""; 0]);
    let outputs = world.send(1, hello.to_bytes());
    (world, outputs)
}

fn closed(conn: u64, code: &str) -> [String; 2] {
    [format!("{conn} < error Connection {code}"), format!("{conn} closed Error({code})")]
}

//= RLY-10 test
#[test]
fn the_steps_of_the_first_connection() {
    let (mut world, outputs) = greeted(&Hello::new(1));
    assert_eq!(outputs, ["authorize 1 db 1 ann"]);
    assert_eq!(world.answer(), ["open db as 0"]);
    assert_eq!(world.answer(), ["load n1"]);
    assert_eq!(world.answer(), ["1 < welcome e1@0 agreed 0 keep mark 0 head 0"]);
    // The database stays open for the next one, also while it waits.
    assert_eq!(world.open(2), [""; 0]);
    assert_eq!(world.send(2, Hello::new(2).to_bytes()), ["authorize 2 db 1 ann"]);
    assert_eq!(world.answer(), ["load n2"]);
    assert_eq!(world.answer(), ["2 < welcome e1@0 agreed 0 keep mark 0 head 0"]);
}

#[test]
fn a_database_is_opened_once_for_all_who_wait() {
    let mut world = World::new(Config::default());
    for conn in [1, 2] {
        world.open(conn);
        world.send(conn, Hello::new(conn.into()).to_bytes());
    }
    assert_eq!(world.answer(), ["open db as 0"]);
    assert_eq!(world.answer(), [""; 0]);
    assert_eq!(world.answer(), ["load n1", "load n2"]);
}

//= RLY-11 test
//= RLY-59 test
//= NEG-1 test
//= NEG-3 test
//= NEG-7 test
#[test]
fn what_a_handshake_asks_for_is_checked_in_order() {
    let mut hello = Hello::new(1);
    hello.versions = (0x0101, 0x0200);
    hello.capabilities = vec![Capability(0x0010), Capability(0x0012), Capability(0x7774)];
    hello.limits = vec![Limit { id: LimitId(0x0002), value: 1 }];
    assert_eq!(greeted(&hello).1, closed(1, "VERSION_NOT_SUPPORTED"));
    hello.versions = (0x0001, 0x0200);
    assert_eq!(greeted(&hello).1, closed(1, "CAPABILITY_REQUIRED"));
    hello.capabilities.retain(|capability| capability.0 != 0x0012);
    assert_eq!(greeted(&hello).1, closed(1, "CAPABILITY_REQUIRED"), "unknown and even");
    hello.capabilities.pop();
    assert_eq!(greeted(&hello).1, closed(1, "LIMIT_NOT_SUPPORTED"));
    hello.limits = vec![Limit { id: LimitId(0x0003), value: 1 }, Limit { id: LimitId(0x777B), value: 1 }];
    let (mut world, outputs) = greeted(&hello);
    assert_eq!(outputs, ["authorize 1 db 1 ann"]);
    assert_eq!(world.fail(ErrorCode::TOKEN_EXPIRED), closed(1, "TOKEN_EXPIRED"));
    let (mut world, _) = greeted(&hello);
    world.answer();
    assert_eq!(
        world.fail(ErrorCode::UNKNOWN_DATABASE),
        [closed(1, "UNKNOWN_DATABASE").to_vec(), vec!["close database 0".into()]].concat()
    );
    // What is no fault of the client lets it come back.
    let (mut world, _) = greeted(&hello);
    world.answer();
    let outputs = world.fail(ErrorCode::STORE_UNAVAILABLE);
    assert_eq!(outputs, ["1 < goodbye restarting 1000+30000", "1 closed Done", "close database 0"]);
    let (mut world, _) = greeted(&hello);
    world.answer();
    world.answer();
    let outputs = world.fail(ErrorCode::STORE_UNAVAILABLE);
    assert_eq!(outputs, ["1 < goodbye restarting 1000+30000", "1 closed Done"]);
}

#[test]
fn credentials_that_have_ended_open_nothing() {
    let (mut world, _) = greeted(&Hello::new(1));
    world.valid_until_ms = Some(world::UNIX_MS);
    assert_eq!(world.answer(), closed(1, "TOKEN_EXPIRED"));
}

/// The fields of the welcome that connection 1 gets.
fn welcome(hello: &Hello, config: Config) -> (Vec<Capability>, Vec<(LimitId, u64)>) {
    let mut world = World::new(config);
    world.open(1);
    world.send(1, hello.to_bytes());
    while world.asked.len() == 1 && !matches!(world.asked[0], Output::LoadNode { .. }) {
        world.answer();
    }
    let ticket = world::ticket(&world.question());
    let claim = Claim::Yours(crate::message::Mark::NONE);
    let now = crate::time::Time { monotonic_ms: 0, unix_ms: 0 };
    world.relay.handle(now, Input::NodeLoaded { ticket, claim });
    let Some(Output::Send { head, .. }) = world.relay.poll_output() else { panic!() };
    let packet = Packet::decode(&head, &Context::session(Capabilities::ALL)).unwrap();
    let Message::Welcome(welcome) = packet.message() else { panic!() };
    let limits = welcome.limits.iter().map(|limit| (limit.id, limit.value));
    (welcome.capabilities.iter().collect(), limits.collect())
}

//= NEG-4 test
//= NEG-6 test
//= RLY-25 test
#[test]
fn welcome_tells_what_was_agreed_on() {
    let mut hello = Hello::new(1);
    hello.capabilities = [0x0010, 0x0013, 0x0017, 0x775B].map(Capability).to_vec();
    let config = Config { push_bytes: 5, push_blocks: 0, subscriptions: 3, ..Config::default() };
    let (capabilities, limits) = welcome(&hello, config);
    assert_eq!(capabilities, [Capability::CRDT, Capability::QUERY]);
    let told = [
        (LimitId::PUSH_BYTES, 1_048_612),
        (LimitId::PUSH_BLOCKS, 1),
        (LimitId::SUBSCRIPTIONS, 3),
        (LimitId::REQUESTS, 64),
        (LimitId::OPERATIONS_PER_SECOND, 0),
        (LimitId::ROWS, 1_000),
    ];
    assert_eq!(limits, told);
}

//= EXT-5 test
#[test]
fn welcome_has_grease_now_and_then() {
    let greased = |seed| {
        let (_, limits) = welcome(&Hello::new(1), Config { grease_seed: Some(seed), ..Config::default() });
        limits.get(6).map(|(id, _)| id.0)
    };
    let grease: Vec<_> = (0..200).filter_map(greased).collect();
    assert!((2..50).contains(&grease.len()), "{grease:?}");
    assert!(grease.iter().all(|id| id & 0xFF == 0x5B));
}

//= RLY-12 test
#[test]
fn a_node_belongs_to_whom_it_first_delivered_for() {
    let mut world = World::with(&[1]);
    world.send(1, push(1, &[block(1, 1, &[("a", 1)])]));
    world.answer();
    world.input(Input::Closed { conn: ConnId(1) });
    let mut again = |conn, key, token| {
        world.open(conn);
        world.send(conn, Hello { key, token, ..Hello::new(1) }.to_bytes());
        assert_eq!(world.answer(), ["load n1"]);
        world.answer()
    };
    assert_eq!(again(2, 8, "ann"), closed(2, "NOT_YOUR_NODE"));
    assert_eq!(again(3, 7, "bob"), closed(3, "NOT_YOUR_NODE"));
    assert_eq!(again(4, 7, "ann"), ["4 < welcome e1@0 agreed 0 keep mark 1 head e1:1"]);
}

//= RLY-12 test
//= RLY-14 test
#[test]
fn while_connected_a_node_belongs_to_its_connection() {
    let mut world = World::with(&[1]);
    let mut again = |conn, key, token| {
        world.open(conn);
        world.send(conn, Hello { key, token, ..Hello::new(1) }.to_bytes());
        world.answer()
    };
    assert_eq!(again(2, 8, "ann"), closed(2, "NOT_YOUR_NODE"));
    assert_eq!(again(3, 7, "bob"), closed(3, "NOT_YOUR_NODE"));
    // The same client again: the older connection is closed.
    let replaced = [closed(1, "REPLACED").to_vec(), vec!["load n1".into()]].concat();
    assert_eq!(again(4, 7, "ann"), replaced);
    assert_eq!(world.answer(), ["4 < welcome e1@0 agreed 0 keep mark 0 head 0"]);
    // Nothing is taken from the older one any more.
    assert_eq!(world.send(1, push(1, &[block(1, 1, &[("a", 1)])])), [""; 0]);
}

//= RLY-12 test
#[test]
fn handshakes_of_one_node_are_settled_one_after_another() {
    let mut world = World::new(Config::default());
    for (conn, key) in [(1, 7), (2, 8), (3, 7)] {
        world.open(conn);
        world.send(conn, Hello { key, ..Hello::new(1) }.to_bytes());
    }
    world.answer();
    world.answer();
    world.answer();
    assert_eq!(world.answer(), ["load n1"]);
    let outputs = [
        vec!["1 < welcome e1@0 agreed 0 keep mark 0 head 0".into()],
        closed(2, "NOT_YOUR_NODE").to_vec(),
        closed(1, "REPLACED").to_vec(),
        vec!["load n1".into()],
    ];
    assert_eq!(world.answer(), outputs.concat());
    // One that is gone when the store answers is passed over.
    world.input(Input::Closed { conn: ConnId(3) });
    world.open(4);
    world.send(4, Hello::new(1).to_bytes());
    let authorize = world.asked.pop_back().unwrap();
    world.asked.push_front(authorize);
    assert_eq!(world.answer(), [""; 0]);
    assert_eq!(world.answer(), ["load n1"]);
    assert_eq!(world.answer(), ["4 < welcome e1@0 agreed 0 keep mark 0 head 0"]);
}

//= RLY-15 test
#[test]
fn welcome_waits_for_appends_of_the_node() {
    let mut world = World::with(&[1]);
    world.send(1, push(1, &[block(1, 1, &[("a", 1)])]));
    world.send(1, push(2, &[block(1, 2, &[("a", 2)])]));
    world.open(2);
    world.send(2, Hello::new(1).to_bytes());
    let append = world.question();
    assert_eq!(world.answer(), closed(1, "REPLACED"));
    world.asked.push_front(append);
    assert_eq!(world.answer(), ["append n1 1-2 [2:1]"]);
    assert_eq!(world.answer(), ["load n1"]);
    assert_eq!(world.answer(), ["2 < welcome e1@0 agreed 0 keep mark 2 head e1:2"]);

    // A failure is an outcome too.
    world.send(2, push(1, &[block(1, 3, &[("a", 1)])]));
    world.input(Input::Closed { conn: ConnId(2) });
    world.open(3);
    world.send(3, Hello::new(1).to_bytes());
    let append = world.question();
    assert_eq!(world.answer(), [""; 0]);
    world.asked.push_front(append);
    assert_eq!(world.fail(ErrorCode::STORE_UNAVAILABLE), ["load n1"]);
    assert_eq!(world.answer(), ["3 < welcome e1@0 agreed 0 keep mark 2 head e1:2"]);
}

/// A relay whose log has three operations of node 9 and then epoch 2.
fn reopened(mode: RestoreMode) -> World {
    let mut world = World::with(&[9]);
    world.send(9, push(1, &[block(9, 1, &[("a", 1), ("a", 2), ("a", 3)])]));
    world.answer();
    let database = world.lose_log(0);
    assert_eq!(database, ["9 < goodbye restarting 1000+30000", "close database 0"]);
    world.open(10);
    world.send(10, Hello::new(9).to_bytes());
    world.answer();
    let ticket = world::ticket(&world.question());
    world.mint(mode);
    let input = Input::DatabaseOpened { ticket, head: 3, epochs: world.epochs.clone() };
    assert_eq!(world.input(input), ["load n9"]);
    assert_eq!(world.answer().len(), 1);
    world
}

/// What node 1 is told when it has seen these positions.
fn seen(world: &mut World, positions: &[(u64, u64)]) -> Vec<String> {
    world.open(20);
    world.send(20, Hello { seen: positions.to_vec(), ..Hello::new(1) }.to_bytes());
    world.answer();
    let outputs = world.answer();
    world.input(Input::Closed { conn: ConnId(20) });
    outputs
}

//= RLY-17 test
//= RLY-18 test
#[test]
fn welcome_tells_how_far_the_histories_are_one() {
    let mut world = reopened(RestoreMode::Discard);
    let mut told = |positions: &[(u64, u64)]| seen(&mut world, positions);
    assert_eq!(told(&[(1, 9), (7, 1)]), ["20 < welcome e2@3 e1@0 agreed e1:3 discard mark 0 head e1:3"]);
    assert_eq!(told(&[(7, 8), (1, 2)]), ["20 < welcome e2@3 e1@0 agreed e1:2 discard mark 0 head e1:3"]);
    assert_eq!(told(&[(2, 3), (1, 3)]), ["20 < welcome e2@3 e1@0 agreed e1:3 keep mark 0 head e1:3"]);
    assert_eq!(told(&[(7, 8)]), ["20 < welcome e2@3 agreed 0 discard mark 0 head e1:3"]);
}

//= RLY-16 test
#[test]
fn a_position_ahead_of_the_log_begins_a_new_epoch() {
    let mut world = reopened(RestoreMode::Keep);
    world.open(20);
    world.send(20, Hello { seen: vec![(2, 4)], ..Hello::new(1) }.to_bytes());
    world.answer();
    assert_eq!(world.answer(), ["mint"]);
    // Appends wait for it, and the next one is in it.
    assert_eq!(world.send(10, push(1, &[block(9, 4, &[("a", 4)])])), [""; 0]);
    let welcome = "20 < welcome e3@3 e2@3 agreed e1:3 keep mark 0 head e1:3";
    assert_eq!(world.answer(), [welcome, "append n9 3-4 [4:1]"]);
    assert_eq!(world.answer(), ["10 < ack #1 4-e3:4"]);

    // Without an epoch there is no answer.
    world.open(21);
    world.send(21, Hello { seen: vec![(3, 5)], ..Hello::new(2) }.to_bytes());
    world.answer();
    assert_eq!(world.answer(), ["mint"]);
    let goodbye = ["21 < goodbye restarting 1000+30000", "21 closed Done"];
    assert_eq!(world.fail(ErrorCode::STORE_UNAVAILABLE), goodbye);
}

//= RLY-51 test
#[test]
fn connections_and_databases_are_bounded() {
    let overloaded = |conn| closed(conn, "OVERLOADED");
    let mut world = World::new(Config { connections: 1, ..Config::default() });
    world.open(1);
    assert_eq!(world.open(2), overloaded(2));
    world.input(Input::Closed { conn: ConnId(1) });
    assert_eq!(world.open(3), [""; 0]);

    let mut world = World::new(Config { opening: 1, ..Config::default() });
    world.join(1);
    world.open(2);
    assert_eq!(world.open(3), overloaded(3));

    let mut world = World::new(Config { of_one_principal: 1, ..Config::default() });
    world.join(1);
    world.open(2);
    world.send(2, Hello::new(2).to_bytes());
    assert_eq!(world.answer(), overloaded(2));
    world.open(3);
    world.send(3, Hello { token: "bob", ..Hello::new(3) }.to_bytes());
    assert_eq!(world.answer(), ["load n3"]);

    let mut world = World::new(Config { databases: 1, ..Config::default() });
    world.join(1);
    world.open(2);
    world.send(2, Hello { database: "other", ..Hello::new(2) }.to_bytes());
    assert_eq!(world.answer(), overloaded(2));
    assert_eq!(world.relay.connections(), 1);
}

#[test]
fn rights_that_change_before_welcome_hold() {
    let (mut world, _) = greeted(&Hello::new(1));
    world.answer();
    let rights = Rights::new(Access::WRITE).into();
    assert_eq!(world.input(Input::RightsChanged { conn: ConnId(1), rights }), [""; 0]);
    world.settle();
    assert_eq!(world.send(1, subscribe(5, (0, 0), 1, &[])), ["1 < error #5 Request FORBIDDEN"]);
}
