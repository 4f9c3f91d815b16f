//! Subscriptions (SPEC.md 10.10).

use super::*;
use crate::registry::LimitId;

/// A client that subscribed to everything with that window, on a log that ends at 7/3.
fn subscribed(window: u64) -> Client {
    let mut client = Client::new(0);
    client.subscribe(CollectionSet::ALL, window);
    client.open(&Hello { head: pos(7, 3), ..Hello::default() });
    client
}

fn write(number: u64) -> Op {
    op(Z, number, at(number, Z), u128::from(number), 1)
}

//= SES-74 test
//= SES-79 test
//= SES-35 test
#[test]
fn an_update_is_merged_with_its_position() {
    let mut client = subscribed(1_000_000);
    assert_eq!(
        client.update(1, Position::START, pos(7, 2), &[(1, &[write(1), write(2)])]),
        [
            "commit: c.1.f = 1Z @1; c.2.f = 2Z @2; all at 7/2; seen [7/2]; node A 0/0 clock 2 merged 2",
            "! changed c.1 c.2",
        ],
    );
    assert_eq!(
        client.update(1, pos(7, 2), pos(7, 3), &[(3, &[write(3)])]),
        [
            "commit: c.3.f = 3Z @3; all at 7/3; seen [7/3]; node A 0/0 clock 3 merged 3",
            "! changed c.3",
            "! caught up all",
        ],
    );
    //= SES-40 test
    assert_eq!(client.write(&[update(9, 1)]), [at(4, A)]);
    // The next connection goes on there.
    client.input(Input::Closed);
    let mut client = client.again();
    client.subscribe(CollectionSet::ALL, 5);
    client.subscribe(set(&["c"]), 5);
    assert_eq!(
        client.connect()[1..3],
        ["subscribe #1 1: all from 7/3 window 5", "subscribe #2 2: c from 0/0 window 5"],
    );
}

#[test]
fn a_block_with_holes_has_the_seqs_of_the_whole() {
    let mut client = subscribed(1_000_000);
    let mut builder = BlockBuilder::part_of_span(node(Z), 10, 5);
    builder.push(&write(11)).unwrap();
    builder.push(&write(14)).unwrap();
    let raw = builder.finish(Compression::None).unwrap().to_vec();
    let blocks = Blocks::decode(&raw, 1, Capabilities::ALL).unwrap();
    let seqs = [Seq::new(20).unwrap()];
    let blocks = LogBlocks::new(FirstSeqs::new(&seqs).unwrap(), blocks).unwrap();
    let message = |new| Update {
        subscription: 1,
        previous: Position::START,
        new,
        blocks,
        extensions: Extensions::EMPTY,
    };
    assert_eq!(
        client.receive(Message::Update(message(pos(7, 24))))[0],
        "commit: c.11.f = 11Z @21; c.14.f = 14Z @24; all at 7/24; seen [7/24]; node A 0/0 clock 14 merged 14",
    );
    // It must end at or before new, whatever is in it.
    assert_eq!(subscribed(1).receive(Message::Update(message(pos(7, 23)))), closed("PROTOCOL_ERROR"));
}

//= SES-77 test
//= SES-78 test
#[test]
fn a_gap_closes_the_connection() {
    let mut client = subscribed(1_000_000);
    client.update(1, Position::START, pos(7, 1), &[]);
    let gap = client.update(1, pos(7, 2), pos(7, 3), &[(3, &[write(3)])]);
    assert_eq!(gap, closed("PROTOCOL_ERROR"));
    assert_eq!(client.f(3), None);
    assert_eq!(client.replica.position(&CollectionSet::ALL), Some(pos(7, 1)));

    let after = |previous, new| {
        let mut client = subscribed(1_000_000);
        client.update(1, Position::START, pos(7, 2), &[]);
        client.update(1, previous, new, &[])
    };
    // Epoch and seq.
    assert_eq!(after(pos(6, 2), pos(7, 3)), closed("PROTOCOL_ERROR"));
    assert_eq!(after(pos(7, 2), pos(7, 1)), closed("PROTOCOL_ERROR"));
    assert_eq!(after(pos(7, 2), pos(7, 3))[0], "commit: all at 7/3; seen [7/3]");
    // The first one begins where the subscription does.
    assert_eq!(subscribed(1).update(1, pos(7, 1), pos(7, 2), &[]), closed("PROTOCOL_ERROR"));
}

//= SES-80 test
#[test]
fn what_was_applied_is_acknowledged() {
    let bytes = block(&[write(1)]).len() as u64;
    // Within a second.
    let mut client = subscribed(10 * bytes);
    client.update(1, Position::START, pos(7, 1), &[(1, &[write(1)])]);
    client.now += 400;
    client.update(1, pos(7, 1), pos(7, 2), &[(2, &[write(2)])]);
    let (waited, outputs) = client.wait_for_timer();
    assert_eq!((waited, &*outputs[0], outputs.len()), (600, "update ack 1: 7/2 window 1290", 1));
    // At once when half the window is used: after its commit.
    let mut client = subscribed(4 * bytes);
    assert_eq!(client.update(1, Position::START, pos(7, 1), &[(1, &[write(1)])]).len(), 2);
    let outputs = client.update(1, pos(7, 1), pos(7, 2), &[(2, &[write(2)])]);
    assert_eq!(
        outputs,
        [
            "commit: c.2.f = 2Z @2; all at 7/2; seen [7/2]; node A 0/0 clock 2 merged 2",
            "! changed c.2",
            "update ack 1: 7/2 window 516",
        ],
    );
    assert_eq!(client.session.poll_timeout(), Some(31_000));
}

//= SES-88 test
#[test]
fn an_empty_update_is_acknowledged_with_the_next() {
    let mut client = subscribed(1_000_000);
    client.update(1, Position::START, pos(7, 1), &[]);
    assert_eq!(client.session.poll_timeout(), Some(31_000));
    client.update(1, pos(7, 1), pos(7, 2), &[(2, &[write(2)])]);
    client.update(1, pos(7, 2), pos(7, 3), &[]);
    assert_eq!(client.wait_for_timer().1, ["update ack 1: 7/3 window 1000000"]);
}

//= SES-83 test
#[test]
fn a_window_can_be_changed_and_closed() {
    let mut client = subscribed(0);
    assert_eq!(client.update(1, Position::START, Position::START, &[]), ["commit: all at 0/0"]);
    let window = |window| Command::Window { collections: CollectionSet::ALL, window };
    assert_eq!(client.command(window(500)), ["update ack 1: 0/0 window 500"]);
    assert_eq!(client.command(window(0)), ["update ack 1: 0/0 window 0"]);
    // To subscribe again is the same.
    assert_eq!(client.subscribe(CollectionSet::ALL, 7), ["update ack 1: 0/0 window 7"]);
    assert_eq!(client.command(Command::Window { collections: set(&["c"]), window: 1 }), NOTHING);
}

//= SES-85 test
#[test]
fn updates_of_ended_subscriptions_are_ignored() {
    let mut client = subscribed(1_000_000);
    assert_eq!(client.command(Command::Unsubscribe(CollectionSet::ALL)), ["unsubscribe 1"]);
    assert_eq!(client.command(Command::Unsubscribe(CollectionSet::ALL)), NOTHING);
    assert_eq!(client.update(1, Position::START, pos(7, 1), &[(1, &[write(1)])]), NOTHING);
    assert_eq!(client.f(1), None);
    // Its number is not used again.
    assert_eq!(client.subscribe(CollectionSet::ALL, 9), ["subscribe #2 2: all from 0/0 window 9"],);
    assert_eq!(client.update(3, Position::START, pos(7, 1), &[]), closed("UNEXPECTED_MESSAGE"));
}

//= SES-72 test
#[test]
fn an_unknown_position_begins_at_the_start() {
    let mut client = subscribed(1_000_000);
    client.update(1, Position::START, pos(7, 2), &[]);
    client.input(Input::Closed);
    let mut client = client.again();
    client.subscribe(CollectionSet::ALL, 9);
    client.connect();
    assert_eq!(
        client.error(1, ErrorCode::POSITION_UNKNOWN, 0),
        ["commit: all at 0/0", "subscribe #2 2: all from 0/0 window 9"],
    );
    // The start is in every history.
    assert_eq!(
        client.error(2, ErrorCode::POSITION_UNKNOWN, 0),
        ["! subscription ended all: Refused { code: POSITION_UNKNOWN, retry_after: 0, text: \"why\" }"],
    );
}

#[test]
fn a_refused_subscription_ends() {
    let mut client = subscribed(1_000_000);
    assert_eq!(
        client.error(1, ErrorCode::FORBIDDEN, 500),
        ["! subscription ended all: Refused { code: FORBIDDEN, retry_after: 500, text: \"why\" }"],
    );
    assert_eq!(client.update(1, Position::START, pos(7, 1), &[]), NOTHING);
}

//= NEG-7 test
#[test]
fn no_more_subscriptions_than_the_relay_takes() {
    let mut client = Client::new(0);
    let limits = [Limit { id: LimitId::SUBSCRIPTIONS, value: 1 }].into();
    client.open(&Hello { limits, ..Hello::default() });
    assert_eq!(client.subscribe(set(&["c"]), 1), ["subscribe #1 1: c from 0/0 window 1"]);
    assert_eq!(client.subscribe(set(&["d"]), 1), ["! subscription ended d: NotSent(TOO_MANY_SUBSCRIPTIONS)"],);
    client.command(Command::Unsubscribe(set(&["c"])));
    assert_eq!(client.subscribe(set(&["d"]), 1), ["subscribe #2 2: d from 0/0 window 1"]);
}

//= SES-38 test
#[test]
fn of_what_came_together_nothing_overtakes() {
    let mut client = subscribed(1_000_000);
    let frame = |previous: Position, new: Position| {
        let update =
            Update { subscription: 1, previous, new, blocks: LogBlocks::NONE, extensions: Extensions::EMPTY };
        Packet::new(Message::Update(update)).unwrap().to_bytes()
    };
    let both = [frame(Position::START, pos(7, 1)), frame(pos(7, 1), pos(7, 3))].concat();
    assert_eq!(
        client.input(Input::Received(both.into())),
        ["commit: all at 7/1; seen [7/1]", "commit: all at 7/3; seen [7/3]", "! caught up all"],
    );
}
