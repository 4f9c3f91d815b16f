//! Timers (SPEC.md 10.2).

use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::message::{Extensions, Goodbye, Message, Ping, Pong};
use crate::registry::GoodbyeReason;
use crate::relay::{Config, ConnId, Input};

fn ping(nonce: u64) -> Vec<u8> {
    request(0, Message::Ping(Ping { nonce, extensions: Extensions::EMPTY }))
}

fn pong(nonce: u64) -> Vec<u8> {
    request(0, Message::Pong(Pong { nonce, extensions: Extensions::EMPTY }))
}

//= SES-7 test
#[test]
fn a_handshake_has_ten_seconds() {
    let mut world = World::new(Config::default());
    world.wait(5_000);
    world.open(1);
    world.wait(3_000);
    // Bytes that make no handshake do not help.
    world.send(1, Hello::new(1).to_bytes()[..40].to_vec());
    let closed =
        ["15000: 1 < error Connection HANDSHAKE_TIMEOUT", "15000: 1 closed Error(HANDSHAKE_TIMEOUT)"];
    assert_eq!(world.pass(10_000), closed);
    assert_eq!(world.relay.poll_timeout(), None);
}

#[test]
fn what_the_relay_waits_for_is_not_the_clients_fault() {
    let mut world = World::new(Config::default());
    world.open(1);
    world.send(1, Hello::new(1).to_bytes());
    assert_eq!(world.pass(60_000), [""; 0]);
    world.settle();
    // The heartbeat begins with welcome.
    assert_eq!(world.pass(30_000), ["90000: 1 < ping 90000"]);
}

//= SES-7 test
//= SES-8 test
//= SES-10 test
#[test]
fn silence_is_asked_about_and_ends() {
    let mut world = World::with(&[1]);
    world.flush(1);
    assert_eq!(world.pass(30_000), ["30000: 1 < ping 30000"]);
    world.flush(1);
    assert_eq!(world.send(1, pong(30_000)), [""; 0]);
    // One byte of a frame is life.
    assert_eq!(world.pass(29_999), [""; 0]);
    assert_eq!(world.send(1, ping(1)[..1].to_vec()), [""; 0]);
    assert_eq!(world.pass(29_999), [""; 0]);
    // From then on there is none.
    let outputs = world.pass(1);
    assert_eq!(outputs, ["89999: 1 < ping 89999"]);
    world.flush(1);
    let end = [
        "119999: 1 < ping 119999",
        "149999: 1 < error Connection IDLE_TIMEOUT",
        "149999: 1 closed Error(IDLE_TIMEOUT)",
    ];
    assert_eq!(world.pass(60_000), end);
}

//= SES-9 test
#[test]
fn pings_are_answered_the_last_for_all() {
    let mut world = World::with(&[1]);
    assert_eq!(world.send(1, ping(7)), ["1 < pong 7"]);
    assert_eq!(world.send(1, [ping(8), ping(9)].concat()), ["1 < pong 9"]);
}

//= SES-7 test
#[test]
fn a_peer_that_reads_nothing_is_closed() {
    let mut world = World::with(&[1]);
    let mut outputs = vec![];
    // It pings, so it is alive, but what is sent to it stays where it is.
    for _ in 0..10 {
        outputs.extend(world.send(1, pong(1)));
        outputs.extend(world.pass(10_000));
    }
    assert_eq!(outputs, ["90000: 1 < error Connection IDLE_TIMEOUT", "90000: 1 closed Error(IDLE_TIMEOUT)"]);

    // Taking anything is enough.
    let mut world = World::with(&[1]);
    for _ in 0..10 {
        assert_eq!(world.send(1, pong(1)), [""; 0]);
        assert_eq!(world.input(Input::Flushed { conn: ConnId(1), bytes: 1 }), [""; 0]);
        assert_eq!(world.pass(10_000), [""; 0]);
    }
}

//= SES-91 test
#[test]
fn credentials_end() {
    let mut world = World::new(Config::default());
    world.valid_until_ms = Some(world::UNIX_MS + 1_000);
    world.join(1);
    world.flush(1);
    assert_eq!(world.pass(29_000), [""; 0]);
    world.send(1, pong(1));
    let closed = ["31000: 1 < error Connection TOKEN_EXPIRED", "31000: 1 closed Error(TOKEN_EXPIRED)"];
    assert_eq!(world.pass(2_000), closed);
}

//= SES-7 test
#[test]
fn draining_has_five_seconds() {
    let goodbye =
        Goodbye { reason: GoodbyeReason::DONE, reconnect_after: 0, jitter: 0, extensions: Extensions::EMPTY };
    // The relay waits for an ack that it owes.
    let mut world = World::with(&[1]);
    world.send(1, push(1, &[block(1, 1, &[("a", 1)])]));
    assert_eq!(world.send(1, request(0, Message::Goodbye(goodbye))), [""; 0]);
    assert_eq!(world.pass(5_000), ["5000: 1 closed Done"]);
    assert_eq!(world.answer(), [""; 0]);
    // The client does not close.
    let mut world = World::with(&[1]);
    assert_eq!(world.input(Input::Shutdown), ["1 < goodbye restarting 1000+30000"]);
    assert_eq!(world.pass(5_000), ["5000: 1 closed GoingDown"]);
}

#[test]
fn databases_without_connections_are_closed() {
    let mut world = World::new(Config { database_idle_ms: 100_000, ..Config::default() });
    world.join(1);
    world.send(1, push(1, &[block(1, 1, &[("a", 1)])]));
    world.wait(1_000);
    world.input(Input::Closed { conn: ConnId(1) });
    // An append is under way.
    assert_eq!(world.pass(150_000), [""; 0]);
    assert_eq!(world.answer(), [""; 0]);
    world.wait(50_000);
    // It is used again meanwhile.
    world.join(2);
    assert_eq!(world.pass(60_000), ["231000: 2 < ping 231000", "261000: 2 < ping 261000"]);
    world.input(Input::Closed { conn: ConnId(2) });
    assert_eq!(world.pass(99_999), [""; 0]);
    assert_eq!(world.pass(1), ["361000: close database 0"]);
    assert_eq!(world.relay.poll_timeout(), None);
    world.open(3);
    world.send(3, Hello::new(1).to_bytes());
    assert_eq!(world.answer(), ["open db as 1"]);
}

#[test]
fn one_input_does_a_bounded_part_of_what_is_due() {
    let mut world = World::new(Config::default());
    for conn in 0..1_500 {
        world.open(conn);
    }
    world.wait(10_000);
    assert_eq!(world.input(Input::Timeout).len(), 2 * 1_024);
    assert_eq!(world.relay.poll_timeout(), Some(10_000));
    assert_eq!(world.input(Input::Timeout).len(), 2 * (1_500 - 1_024));
    assert_eq!(world.relay.poll_timeout(), None);
}
