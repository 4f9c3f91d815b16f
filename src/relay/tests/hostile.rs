//! Peers that do what they must not.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::codec::Packet;
use crate::message::{Extensions, Message, Ping, Unknown};
use crate::registry::MessageType;
use crate::relay::{Config, ConnId, Framing, Input, State};

fn closed(code: &str) -> [String; 2] {
    [format!("1 < error Connection {code}"), format!("1 closed Error({code})")]
}

fn ping() -> Vec<u8> {
    request(0, Message::Ping(Ping { nonce: 1, extensions: Extensions::EMPTY }))
}

//= SES-2 test
//= EXT-4 test
#[test]
fn messages_out_of_turn_close() {
    // In R1, R2, R3 and R4.
    let worlds: [fn() -> World; 3] = [
        || {
            let mut world = World::new(Config::default());
            world.open(1);
            world
        },
        || {
            let mut world = World::new(Config::default());
            world.open(1);
            world.send(1, Hello::new(1).to_bytes());
            world
        },
        || World::with(&[1]),
    ];
    let states = [State::Waiting, State::Opening, State::Active];
    let messages = [(MessageType::HANDSHAKE, Hello::new(1).to_bytes()), (MessageType::PING, ping())];
    for (state, make) in states.into_iter().zip(worlds) {
        for (kind, bytes) in &messages {
            let mut world = make();
            let outputs = world.send(1, bytes.clone());
            assert_eq!(outputs != closed("UNEXPECTED_MESSAGE"), state.takes(*kind), "{kind:?} in {state:?}");
        }
        // A message of the relay's.
        let mut world = make();
        let sent =
            request(0, Message::Pong(crate::message::Pong { nonce: 1, extensions: Extensions::EMPTY }));
        assert_eq!(world.send(1, sent) == closed("UNEXPECTED_MESSAGE"), !state.takes(MessageType::PONG));
        // An unknown odd one is skipped in every state.
        let mut world = make();
        let unknown = Unknown::new(MessageType(0x015B), true, b"x", b"y").unwrap();
        let bytes = Packet::new(Message::Unknown(unknown)).unwrap().to_bytes();
        assert_eq!(world.send(1, bytes), [""; 0]);
    }
}

//= ERR-1 test
//= ERR-2 test
#[test]
fn bytes_that_are_no_frame_close() {
    let mut world = World::with(&[1]);
    assert_eq!(world.send(1, vec![2]), closed("UNSUPPORTED_VERSION"));
    let mut world = World::with(&[1]);
    // What came before took effect, what comes behind is not looked at.
    let frames = [ping(), vec![1, 2], ping()].concat();
    assert_eq!(world.send(1, frames), closed("UNKNOWN_FLAG"));
    assert_eq!(world.send(1, ping()), [""; 0]);
}

//= FRM-3 test
//= FRM-6 test
#[test]
fn a_frame_is_too_long_when_its_head_says_so() {
    let head = |fields: u32, blocks: u32| {
        [&[1, 0, 0, 2, 0, 0, 0, 0], &fields.to_be_bytes()[..], &blocks.to_be_bytes()[..]].concat()
    };
    let mut world = World::new(Config::default());
    world.open(1);
    assert_eq!(world.send(1, head(65_517, 0)), closed("TOO_LONG"));
    let mut world = World::new(Config::default());
    world.open(1);
    assert_eq!(world.send(1, head(65_516, 0)), [""; 0]);
    let mut world = World::with(&[1]);
    assert_eq!(world.send(1, head(0, 1_052_653)), closed("TOO_LONG"));
}

//= FRM-6 test
#[test]
fn frames_come_in_any_pieces() {
    let frames = [Hello::new(1).to_bytes(), ping(), push(1, &[block(1, 1, &[("a", 1)])]), ping()];
    let whole = frames.concat();
    for piece in [1, 7, 15, 16, 17, 100, whole.len()] {
        let mut world = World::new(Config::default());
        world.open(1);
        let mut shown = vec![];
        for bytes in frames[0].chunks(piece) {
            world.send(1, bytes.to_vec());
        }
        world.settle();
        for bytes in frames[1..].concat().chunks(piece) {
            shown.extend(world.send(1, bytes.to_vec()));
        }
        let expected: &[&str] = if piece < whole.len() {
            &["1 < pong 1", "append n1 of ann 0-1 [1:1]", "1 < pong 1"]
        } else {
            &["append n1 of ann 0-1 [1:1]", "1 < pong 1"]
        };
        assert_eq!(shown, expected, "in pieces of {piece}");
    }
}

//= TRN-3 test
#[test]
fn a_message_of_the_transport_holds_whole_frames() {
    let mut world = World::new(Config::default());
    world.input(Input::Opened { conn: ConnId(1), framing: Framing::Messages });
    assert_eq!(world.send(1, Hello::new(1).to_bytes()), ["authorize 1 db 1 ann"]);
    world.settle();
    assert_eq!(world.send(1, [ping(), ping()].concat()), ["1 < pong 1"]);
    let cut = [ping(), ping()[..20].to_vec()].concat();
    assert_eq!(world.send(1, cut), closed("TRUNCATED"));
}

//= RLY-49 test
//= SES-9 test
#[test]
fn a_flood_of_pings_costs_one_answer_each_time_and_then_is_not_read() {
    let mut world = World::with(&[1]);
    world.flush(1);
    let flood = ping().repeat(2);
    let mut rounds = 0;
    let last = loop {
        rounds += 1;
        let outputs = world.send(1, flood.clone());
        if outputs != ["1 < pong 1"] {
            break outputs;
        }
    };
    assert_eq!(last, ["1 < pong 1", "1 pause"]);
    let waiting = world.unsent[&ConnId(1)];
    assert_eq!(rounds, waiting / ping().len());
    assert!(waiting <= 1_052_672 + ping().len());
    assert_eq!(world.flush(1), ["1 resume"]);
}

//= RLY-60 test
#[test]
fn who_uses_numbers_of_subscriptions_without_order_is_stopped() {
    let mut world = World::with(&[1]);
    for n in 0..1_024 {
        world.send(1, subscribe(2 * n + 1, (0, 0), 0, &[]));
        world.flush(1);
    }
    assert_eq!(world.send(1, subscribe(4_000, (0, 0), 0, &[])), closed("RATE_LIMITED"));
}

#[test]
fn extreme_windows_are_windows() {
    let mut world = World::with(&[1, 2]);
    world.send(1, subscribe(1, (0, 0), u64::MAX, &[]));
    world.send(1, subscribe(2, (0, 0), 0, &[]));
    world.send(2, push(1, &[block(2, 1, &[("a", 1)])]));
    assert_eq!(world.answer(), ["2 < ack #1 1-e1:1", "1 < update 1: 0 -> e1:1 [1:1]"]);
    assert_eq!(world.send(1, update_ack(2, (0, 0), u64::MAX)), ["1 < update 2: 0 -> e1:1 [1:1]"]);
}

#[test]
fn inputs_for_connections_that_are_gone_do_nothing() {
    let mut world = World::with(&[1]);
    world.input(Input::Closed { conn: ConnId(1) });
    assert_eq!(world.send(1, ping()), [""; 0]);
    assert_eq!(world.input(Input::Flushed { conn: ConnId(1), bytes: 9 }), [""; 0]);
    assert_eq!(world.input(Input::Closed { conn: ConnId(1) }), [""; 0]);
}
