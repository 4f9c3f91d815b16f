//! Operations of which the relay took the number, and what becomes of them (SPEC.md 10.4).

use super::*;

/// A client that pushed numbers 1 to 3, lost the connection before the ack, and finds 1 and 2 taken.
fn uncertain(subscribe: bool) -> (Client, Vec<String>) {
    let mut client = Client::new(0);
    client.write(&[update(1, 1)]);
    client.write(&[update(2, 2)]);
    client.write(&[update(3, 3)]);
    client.connect();
    client.input(Input::Closed);
    let mut client = client.again();
    if subscribe {
        client.subscribe(CollectionSet::ALL, 1_000_000);
    }
    let check = client.check_of(2);
    let outputs = client.open(&Hello { mark: 2, check, head: pos(7, 9), ..Hello::default() });
    (client, outputs)
}

//= SES-22 test
#[test]
fn what_comes_back_from_the_log_was_accepted() {
    let (mut client, _) = uncertain(true);
    assert_eq!(client.numbers(), [-1, -2, 3]);
    assert_eq!(client.replica.write_state(at(1, A)), WriteState::Sent);
    let own = [op(A, 1, at(1, A), 1, 1), op(A, 2, at(2, A), 2, 2)];
    assert_eq!(
        client.update(1, Position::START, pos(7, 5), &[(4, &own)]),
        [
            "commit: c.1.f = 1A @4; -1; c.2.f = 2A @5; -2; all at 7/5; seen [7/5]; node A 2/3 clock 3 merged 2",
            "! durable 1A 2A",
            "! changed c.1 c.2",
        ],
    );
    assert_eq!(client.replica.write_state(at(1, A)), WriteState::Durable);
}

//= SES-22 test
#[test]
fn another_write_under_its_number_is_not_it() {
    let (mut client, _) = uncertain(true);
    // Number and timestamp, but not what was written: a copy of this client has sent it.
    let copy = [op(A, 1, at(1, A), 1, 5)];
    client.update(1, Position::START, pos(7, 4), &[(4, &copy)]);
    assert_eq!(client.numbers(), [-1, -2, 3]);
    // The greater value stays, here as everywhere.
    assert_eq!(client.f(1), Some(5.into()));
}

//= SES-23 test
#[test]
fn what_does_not_come_back_is_sent_again() {
    let (mut client, _) = uncertain(true);
    let own = [op(A, 2, at(2, A), 2, 2)];
    assert_eq!(
        client.update(1, Position::START, pos(7, 8), &[(8, &own)]),
        [
            "commit: c.2.f = 2A @8; -2; all at 7/8; seen [7/8]; node A 2/3 clock 3 merged 2",
            "! durable 2A",
            "! changed c.2",
        ],
    );
    // At the head of welcome.
    assert_eq!(
        client.update(1, pos(7, 8), pos(7, 9), &[]),
        [
            "commit: all at 7/9; seen [7/9]",
            "! caught up all",
            "commit: -1; +4 1A; node A 2/4 clock 3 merged 2",
        ],
    );
    assert_eq!(client.numbers(), [3, 4]);
    assert_eq!(client.accepted(2, 10, 10)[1..], ["! durable 3A", "push #3 A 4..4", "! sent 1A"]);
}

//= SES-23 test
#[test]
fn without_a_subscription_it_is_sent_again_at_once() {
    let (client, outputs) = uncertain(false);
    assert_eq!(
        outputs,
        [
            "commit: +1? 1A; +2? 2A; node A 2/3 clock 3 merged 0",
            "! active, head 7/9",
            "commit: -1; +4 1A; -2; +5 2A; node A 2/5 clock 3 merged 0",
            "push #1 A 3..5",
            "! sent 3A 1A 2A",
        ],
    );
    assert_eq!(client.numbers(), [3, 4, 5]);
}

//= SES-23 test
#[test]
fn only_subscriptions_that_cover_it_are_waited_for() {
    let mut client = Client::new(1);
    client.connect();
    client.input(Input::Closed);
    let mut client = client.again();
    client.subscribe(set(&["d"]), 1_000_000);
    let check = client.check_of(1);
    assert_eq!(
        client.open(&Hello { mark: 1, check, head: pos(7, 9), ..Hello::default() }),
        [
            "commit: +1? 1A; node A 1/1 clock 1 merged 0",
            "! active, head 7/9",
            "commit: -1; +2 1A; node A 1/2 clock 1 merged 0",
            "subscribe #1 1: d from 0/0 window 1000000",
            "push #2 A 2..2",
            "! sent 1A",
        ],
    );
}

//= SES-23 test
//= SES-45 test
#[test]
fn a_transaction_is_sent_again_as_one() {
    let mut client = Client::new(0);
    let other = Write::update(collection("d"), Uuid::from_u128(2), fields("f", 2.into()));
    client.write(&[update(1, 1), other]);
    client.connect();
    client.input(Input::Closed);
    let mut client = client.again();
    client.subscribe(set(&["d"]), 1_000_000);
    let check = client.check_of(2);
    client.open(&Hello { mark: 2, check, head: pos(7, 9), ..Hello::default() });
    // Nothing that is read covers c, but d is not settled yet.
    assert_eq!(client.numbers(), [-1, -2]);
    assert_eq!(
        client.update(1, Position::START, pos(7, 9), &[]),
        [
            "commit: d at 7/9; seen [7/9]",
            "! caught up d",
            "commit: -1; +3 1A; -2; +4 2A; node A 2/4 clock 2 merged 0",
            "push #2 A 3..4",
            "! sent 1A 2A",
        ],
    );
}

//= SES-22 test
#[test]
fn a_pull_may_bring_what_is_in_flight_before_its_ack() {
    let mut client = Client::new(1);
    client.connect();
    client.command(Command::Pull {
        ticket: 1,
        pull: Pull { collections: CollectionSet::ALL, max_operations: 0, max_bytes: 0 },
    });
    assert_eq!(
        client.pulled(2, pos(7, 1), &[(1, &[op(A, 1, at(1, A), 1, 0)])]),
        [
            "commit: c.1.f = 1A @1; -1; all at 7/1; seen [7/1]; node A 1/1 clock 1 merged 1",
            "! durable 1A",
            "! changed c.1",
            "! Answered { ticket: 1, answer: Ok(Pulled { position: Position { epoch: 7, seq: 1 }, has_more: false }) }",
        ],
    );
    assert_eq!(client.accepted(1, 1, 1), NOTHING);
}

//= SES-24 test
#[test]
fn what_is_delivered_was_not_rejected() {
    let mut client = Client::new(0);
    client.subscribe(CollectionSet::ALL, 1_000_000);
    client.write(&[update(1, 1)]);
    client.connect();
    client.refused(2, ErrorCode::QUOTA_EXCEEDED, 0);
    assert_eq!(client.replica.write_state(at(1, A)), WriteState::Rejected(ErrorCode::QUOTA_EXCEEDED));
    assert_eq!(client.f(1), None);
    // Someone else has brought it, or another value under its timestamp.
    let other = [op(Z, 1, at(1, A), 1, 0)];
    client.update(1, Position::START, pos(7, 1), &[(1, &other)]);
    assert_eq!(client.replica.rejected().count(), 1);
    let same = [op(Z, 2, at(1, A), 1, 1)];
    assert_eq!(
        client.update(1, pos(7, 1), pos(7, 2), &[(2, &same)]),
        ["commit: c.1.f = 1A @2; unrejected 1A; all at 7/2; seen [7/2]", "! durable 1A", "! changed c.1",],
    );
    assert_eq!(client.replica.rejected().count(), 0);
    assert_eq!(client.f(1), Some(1.into()));
}
