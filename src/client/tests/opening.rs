//! Handshake, negotiation, and what is taken when (SPEC.md 9, 10.1, 10.3).

use super::*;
use crate::registry::{LimitId, MessageType};

//= SES-1 test
//= SES-11 test
#[test]
fn a_handshake_says_what_is_durable() {
    let mut client = Client::new(0);
    assert_eq!(
        client.input(Input::Opened),
        ["handshake app A given 0 seen [] [crdt, compression, query] None"],
    );
    assert_eq!(client.write(&[update(1, 1)]), [at(1, A)]);
    // Nothing but the handshake is sent before C3, whatever there is to send.
    assert_eq!(client.input(Input::Written), NOTHING);
    assert_eq!(client.subscribe(CollectionSet::ALL, 100), NOTHING);
    assert_eq!(
        client.welcome(&Hello { head: pos(7, 3), ..Hello::default() }),
        ["! active, head 7/3", "subscribe #1 1: all from 0/0 window 100", "push #2 A 1..1", "! sent 1A"],
    );
}

//= SES-13 test
#[test]
fn a_handshake_names_what_was_given_and_seen() {
    let mut client = Client::new(2);
    client.subscribe(CollectionSet::ALL, 100);
    client.open(&Hello { head: pos(7, 9), ..Hello::default() });
    client.update(1, Position::START, pos(6, 4), &[]);
    client.update(1, pos(6, 4), pos(7, 9), &[]);
    let mut client = client.with(Config {
        credentials: Credentials::bearer(b"secret").unwrap(),
        crdt: Offer::Must,
        compression: Offer::Not,
        update_bytes: 70_000,
        ..config()
    });
    assert_eq!(
        client.input(Input::Opened),
        [concat!(
            "handshake app A given 2 seen [7/9 6/4] [Capability(16), query] Token(method 1, ..) ",
            "update bytes=70000",
        )],
    );
}

//= SES-16 test
#[test]
fn the_clock_does_not_follow_the_relays_time() {
    let mut client = Client::new(0);
    client.now = 1 << 50;
    client.connect();
    assert_eq!(client.write(&[update(1, 1)]), [at(1, A)]);
}

/// What comes of a welcome that breaks a rule.
fn fault(welcome: &Hello) -> Vec<String> {
    let mut client = Client::new(0).with(Config { query: Offer::Not, crdt: Offer::Must, ..config() });
    client.open(welcome)
}

//= NEG-2 test
#[test]
fn another_version_is_not_taken() {
    assert_eq!(fault(&Hello { version: 0x0101, ..Hello::default() }), closed("VERSION_NOT_SUPPORTED"));
}

//= NEG-5 test
#[test]
fn only_what_was_offered_can_be_agreed_on() {
    let of =
        |capabilities: &[Capability]| fault(&Hello { capabilities: capabilities.into(), ..Hello::default() });
    assert_eq!(of(&[Capability::CRDT, Capability::QUERY]), closed("PROTOCOL_ERROR"));
    assert_eq!(of(&[Capability(0x10)]), closed("PROTOCOL_ERROR"));
    assert_eq!(of(&[Capability::CRDT, Capability(0x5B)]), closed("PROTOCOL_ERROR"));
    // It must have crdt.
    assert_eq!(of(&[Capability::COMPRESSION]), closed("CAPABILITY_REQUIRED"));
    assert_eq!(of(&[Capability::CRDT, Capability::COMPRESSION]), ["! active, head 0/0"]);
}

//= NEG-7 test
#[test]
fn limits_are_known_or_odd() {
    let of = |id, value| {
        let limits = [Limit { id, value }].into();
        fault(&Hello { capabilities: [Capability::CRDT].into(), limits, ..Hello::default() })
    };
    assert_eq!(of(LimitId(0x1234), 1), closed("LIMIT_NOT_SUPPORTED"));
    assert_eq!(of(LimitId(0x5B), 1), ["! active, head 0/0"]);
    // RLY-25
    assert_eq!(of(LimitId::PUSH_BYTES, 1_048_611), closed("PROTOCOL_ERROR"));
    assert_eq!(of(LimitId::PUSH_BLOCKS, 0), closed("PROTOCOL_ERROR"));
}

//= SES-14 test
#[test]
fn no_more_can_be_agreed_than_was_seen() {
    let welcome = Hello { capabilities: [Capability::CRDT].into(), agreed: pos(7, 1), ..Hello::default() };
    assert_eq!(fault(&welcome), closed("PROTOCOL_ERROR"));
}

//= SES-2 test
#[test]
fn a_message_in_the_wrong_state_is_not_taken() {
    let ping = Message::Ping(Ping { nonce: 1, extensions: Extensions::EMPTY });
    let mut client = Client::new(0);
    client.input(Input::Opened);
    assert_eq!(client.receive(ping), closed("UNEXPECTED_MESSAGE"));
    // Nothing is taken after the end.
    assert_eq!(client.receive(ping), NOTHING);
    assert_eq!(client.session.poll_timeout(), None);

    let mut client = Client::new(0);
    client.connect();
    assert_eq!(client.welcome(&Hello::default()), closed("UNEXPECTED_MESSAGE"));

    // What only a relay takes.
    let mut client = Client::new(0);
    client.connect();
    let unsubscribe = Unsubscribe { subscription: 1, extensions: Extensions::EMPTY };
    assert_eq!(client.receive(Message::Unsubscribe(unsubscribe)), closed("UNEXPECTED_MESSAGE"));
}

//= EXT-4 test
#[test]
fn unknown_odd_messages_are_skipped_in_every_state() {
    let unknown = || Message::Unknown(Unknown::new(MessageType(0x015B), false, b"?", b"").unwrap());
    let mut client = Client::new(0);
    client.input(Input::Opened);
    assert_eq!(client.receive(unknown()), NOTHING);
    client.welcome(&Hello::default());
    assert_eq!(client.receive(unknown()), NOTHING);
}

//= ERR-1 test
//= ERR-2 test
#[test]
fn bytes_that_do_not_decode_close_the_connection() {
    let mut client = Client::new(0);
    client.connect();
    let nonce = |nonce| Message::Ping(Ping { nonce, extensions: Extensions::EMPTY });
    let mut bytes = Packet::new(nonce(1)).unwrap().to_bytes();
    let whole = bytes.clone();
    bytes[17] ^= 1;
    let outputs = client.input(Input::Received([whole, bytes].concat().into()));
    assert_eq!(outputs[0], "pong 1");
    assert_eq!(outputs[1..], closed("BAD_CHECKSUM"));
}

#[test]
fn frames_are_found_in_any_pieces() {
    let frame = |nonce| {
        let ping = Ping { nonce, extensions: Extensions::EMPTY };
        Packet::new(Message::Ping(ping)).unwrap().to_bytes()
    };
    let bytes = [frame(1), frame(2), frame(3)].concat();
    for size in 1..=bytes.len() {
        let mut client = Client::new(0);
        client.connect();
        let pieces = bytes.chunks(size);
        let outputs: Vec<_> =
            pieces.flat_map(|piece| client.input(Input::Received(Bytes::copy_from_slice(piece)))).collect();
        assert_eq!(outputs, ["pong 1", "pong 2", "pong 3"], "in pieces of {size}");
    }
}

//= FRM-3 test
//= FRM-6 test
#[test]
fn a_frame_that_is_too_large_is_refused_at_its_head() {
    let head = |fields: u32| [&[1, 0, 0, 4, 0, 0, 0, 0], &fields.to_be_bytes()[..], &[0; 4]].concat();
    let mut client = Client::new(0);
    client.input(Input::Opened);
    assert_eq!(client.input(Input::Received(head(65_536).into())), closed("TOO_LONG"));

    let mut client = Client::new(0);
    client.connect();
    assert_eq!(client.input(Input::Received(head(65_536).into())), NOTHING);
}

/// The rows of the table of SPEC.md that has this head, as cells.
fn table(head: &str) -> Vec<Vec<&'static str>> {
    let text = include_str!("../../../SPEC.md");
    let rows = text.split_once(head).unwrap().1.lines().skip(2).take_while(|line| line.starts_with('|'));
    rows.map(|row| row.trim_matches('|').split('|').map(str::trim).collect()).collect()
}

fn states(text: &str) -> Vec<State> {
    let all = [State::Apart, State::Greeting, State::Settling, State::Active, State::Draining];
    all.into_iter()
        .enumerate()
        .filter(|(n, _)| text.contains(&alloc::format!("C{n}")))
        .map(|(_, s)| s)
        .collect()
}

#[test]
fn the_states_are_those_of_the_specification() {
    let mut listed: Vec<_> = TABLE
        .iter()
        .filter(|(from, by, _)| *by != Trigger::End || *from == State::Draining)
        .map(|(from, _, to)| (*from, *to))
        .collect();
    listed.sort();
    let text = include_str!("../../../SPEC.md");
    let client = text.split_once("The client's end:").unwrap().1;
    let rows = client.lines().filter(|line| line.starts_with("| C")).take(5);
    let mut specified = Vec::new();
    for row in rows {
        let cells: Vec<_> = row.trim_matches('|').split('|').collect();
        let from = states(cells[0])[0];
        specified.extend(states(cells[2]).into_iter().map(|to| (from, to)));
    }
    specified.sort();
    assert_eq!(listed, specified);
    // Any error, timer or end of the transport leads to C0.
    for state in [State::Greeting, State::Settling, State::Active, State::Draining] {
        assert!(TABLE.contains(&(state, Trigger::End, State::Apart)));
    }
}

#[test]
fn messages_are_taken_as_the_specification_says() {
    let mut specified = Vec::new();
    for row in table("| message | relay takes it in | client takes it in |\n") {
        for name in row[0].split(", ") {
            let kind = MessageType::from_name(name).unwrap();
            let taken = states(row[2]);
            if !taken.is_empty() {
                specified.push((kind, taken));
            }
        }
    }
    let mut listed: Vec<_> = TAKES.iter().map(|(kind, states)| (*kind, states.to_vec())).collect();
    listed.sort();
    specified.sort();
    assert_eq!(listed, specified);
}
