//! Goodbye, errors of the peer, shutdown (SPEC.md 10.11).

use alloc::vec::Vec;

use super::*;
use crate::message::{Error, ErrorText, Extensions, Goodbye, Message, Ping, Scope};
use crate::registry::{ErrorCode, GoodbyeReason};
use crate::relay::{Config, ConnId, Ending, Input};

fn goodbye() -> Vec<u8> {
    let reason = GoodbyeReason::DONE;
    request(
        0,
        Message::Goodbye(Goodbye { reason, reconnect_after: 0, jitter: 0, extensions: Extensions::EMPTY }),
    )
}

fn error(scope: Scope) -> Vec<u8> {
    let error = Error {
        code: ErrorCode::INTERNAL_ERROR,
        scope,
        retry_after: 0,
        text: ErrorText::new("").unwrap(),
        extensions: Extensions::EMPTY,
    };
    request(1, Message::Error(error))
}

//= SES-97 test
#[test]
fn a_clients_goodbye_is_answered_with_the_acks_it_waits_for() {
    let mut world = World::with(&[1]);
    world.send(1, push(1, &[block(1, 1, &[("a", 1)])]));
    world.send(1, push(2, &[block(1, 2, &[("a", 2)])]));
    world.send(1, subscribe(5, (0, 0), 1_000, &[]));
    assert_eq!(world.send(1, goodbye()), [""; 0]);
    assert_eq!(world.answer(), ["1 < ack #1 1-e1:1", "append n1 1-2 [2:1]"]);
    assert_eq!(world.answer(), ["1 < ack #2 2-e1:2", "1 closed Done"]);
    // Without pushes under way it is closed at once.
    let mut world = World::with(&[1]);
    assert_eq!(world.send(1, goodbye()), ["1 closed Done"]);
    // A failed append is answered too.
    let mut world = World::with(&[1]);
    world.send(1, push(1, &[block(1, 1, &[("a", 1)])]));
    world.send(1, goodbye());
    let outputs = ["1 < ack #1 later 1000", "1 closed Done"];
    assert_eq!(world.fail(ErrorCode::STORE_UNAVAILABLE), outputs);
}

//= SES-94 test
#[test]
fn nothing_follows_a_clients_goodbye() {
    let mut world = World::with(&[1]);
    world.send(1, push(1, &[block(1, 1, &[("a", 1)])]));
    world.send(1, goodbye());
    let closed = ["1 < error Connection UNEXPECTED_MESSAGE", "1 closed Error(UNEXPECTED_MESSAGE)"];
    assert_eq!(world.send(1, goodbye()), closed);
}

//= SES-95 test
//= SES-3 test
//= SES-94 test
#[test]
fn a_relay_that_goes_down_ends_in_order() {
    let mut world = World::with(&[1, 2]);
    world.open(3);
    world.open(4);
    world.send(4, Hello::new(4).to_bytes());
    world.asked.clear();
    world.send(1, push(1, &[block(1, 1, &[("a", 1)])]));
    world.send(1, subscribe(5, (0, 0), 1_000, &[]));
    let outputs = [
        "2 < goodbye restarting 1000+30000",
        "3 < goodbye restarting 1000+30000",
        "3 closed GoingDown",
        "4 < goodbye restarting 1000+30000",
        "4 closed GoingDown",
    ];
    assert_eq!(world.input(Input::Shutdown), outputs);
    // It takes no further push and does not answer requests, but is alive.
    assert_eq!(world.send(1, push(2, &[block(1, 2, &[("a", 2)])])), [""; 0]);
    let ping = request(0, Message::Ping(Ping { nonce: 3, extensions: Extensions::EMPTY }));
    assert_eq!(world.send(1, ping.clone()), ["1 < pong 3"]);
    assert_eq!(world.answer(), ["1 < ack #1 1-e1:1", "1 < goodbye restarting 1000+30000"]);
    // After its own goodbye it looks at nothing, not even at bytes that are no frame.
    assert_eq!(world.send(1, ping), [""; 0]);
    assert_eq!(world.send(1, b"nonsense".to_vec()), [""; 0]);
    // And takes no one else.
    assert_eq!(world.open(5), ["5 < goodbye restarting 1000+30000", "5 closed GoingDown"]);
    assert_eq!(world.input(Input::Closed { conn: ConnId(1) }), [""; 0]);
    assert_eq!(world.pass(5_000), ["5000: 2 closed GoingDown"]);
    assert_eq!(world.relay.connections(), 0);
}

//= SES-5 test
//= SES-6 test
#[test]
fn errors_of_a_client() {
    let mut world = World::with(&[1]);
    assert_eq!(world.send(1, error(Scope::Request)), [""; 0]);
    assert_eq!(world.send(1, error(Scope::Connection)), ["1 closed Done"]);
    // Before welcome too.
    let mut world = World::new(Config::default());
    world.open(1);
    world.send(1, Hello::new(1).to_bytes());
    assert_eq!(world.send(1, error(Scope::Connection)), ["1 closed Done"]);
    assert_eq!(world.answer(), [""; 0]);
    world.open(2);
    assert_eq!(world.send(2, goodbye()), ["2 closed Done"]);
}

#[test]
fn a_goodbye_of_both_ends() {
    let mut world = World::with(&[1]);
    world.send(1, push(1, &[block(1, 1, &[("a", 1)])]));
    assert_eq!(world.input(Input::Shutdown), [""; 0]);
    assert_eq!(world.send(1, goodbye()), [""; 0]);
    assert_eq!(world.answer(), ["1 < ack #1 1-e1:1", "1 closed GoingDown"]);
}

//= TRN-4 test
#[test]
fn close_codes() {
    assert_eq!(Ending::Error(ErrorCode::OUT_OF_STEP).close_code(), 4_205);
    assert_eq!(Ending::Done.close_code(), 1_000);
    assert_eq!(Ending::GoingDown.close_code(), 1_001);
}
