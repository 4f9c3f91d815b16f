//! Mark and check, and becoming a new node (SPEC.md 10.4).

use super::*;

/// A client whose first 7 operations were accepted and of which `written` more are in the outbox.
fn seven_and(written: u64) -> Client {
    let mut client = Client::new(7);
    client.connect();
    client.accepted(1, 1, 7);
    client.input(Input::Closed);
    let mut client = client.again();
    for n in 0..written {
        client.write(&[update(2, i64::try_from(n).unwrap())]);
    }
    client
}

fn welcome(mark: u64, check: u32) -> Hello {
    Hello { mark, check, agreed: pos(7, 7), head: pos(7, 7), ..Hello::default() }
}

fn new_node(changes: &str) -> [&str; 6] {
    [changes, "! NewNode(OutOfStep)", "goodbye done", "close None", "! Ended(NewNode)", "reconnect After(0)"]
}

//= SES-18 test
#[test]
fn a_new_client_goes_on_from_number_1() {
    let mut client = Client::new(0);
    assert_eq!(client.open(&Hello::default()), ["! active, head 0/0"]);
    client.write(&[update(1, 1)]);
    assert_eq!(client.input(Input::Written), ["push #1 A 1..1", "! sent 1A"]);
}

//= SES-18 test
//= SES-43 test
#[test]
fn with_the_same_mark_it_goes_on_behind_it() {
    let mut client = seven_and(2);
    let check = client.replica.node().acknowledged.check();
    assert_eq!(client.open(&welcome(7, check)), ["! active, head 7/7", "push #1 A 8..9", "! sent 8A 9A"],);
}

//= SES-20 test
//= SES-43 test
#[test]
fn what_the_relay_took_without_saying_is_uncertain() {
    let mut client = seven_and(2);
    client.subscribe(CollectionSet::ALL, 100);
    let check = client.check_of(8);
    assert_eq!(
        client.open(&Hello { head: pos(7, 8), ..welcome(8, check) }),
        [
            "commit: +8? 8A; node A 8/9 clock 9 merged 7",
            "! active, head 7/8",
            "subscribe #1 1: all from 0/0 window 100",
            "push #2 A 9..9",
            "! sent 9A",
        ],
    );
    assert_eq!(client.replica.node().acknowledged.check(), check);
    //= SES-21 test
    assert_eq!(client.numbers(), [-8, 9]);
    assert_eq!(client.f(2), Some(1.into()));
}

//= SES-18 test
//= SES-19 test
//= SES-25 test
//= SES-26 test
#[test]
fn someone_else_has_sent_its_number() {
    let mut client = seven_and(2);
    let other = client.check_of(8) ^ 1;
    let changes = "commit: -all; +1 8A; +2 9A; node B 0/2 clock 9 merged 7 untried";
    assert_eq!(client.open(&welcome(8, other)), new_node(changes));
    assert_eq!(client.replica.node().identity, identity(B));
    assert_eq!(client.replica.node().acknowledged, Mark::NONE);
    // Timestamps are what they were; only a later write has the new node's.
    assert_eq!(client.write(&[update(3, 1)]), [at(10, B)]);
    let mut client = client.again();
    assert_eq!(client.input(Input::Opened)[0][..25], *"handshake app B given 3 s");
}

//= SES-19 test
#[test]
fn the_relay_has_lost_operations() {
    for (mark, check) in [(5, 0x55), (0, 0)] {
        let changes = "commit: -all; +1 8A; +2 9A; node B 0/2 clock 9 merged 7 untried";
        assert_eq!(seven_and(2).open(&welcome(mark, check)), new_node(changes));
    }
}

//= SES-19 test
#[test]
fn this_is_a_copy_or_was_restored() {
    let changes = "commit: -all; node B 0/0 clock 7 merged 7 untried";
    assert_eq!(seven_and(0).open(&welcome(9, 0x55)), new_node(changes));
    // The same mark with another check.
    let mut client = seven_and(0);
    let other = client.replica.node().acknowledged.check() ^ 1;
    assert_eq!(client.open(&welcome(7, other)), new_node(changes));
    // A number that was given, of an operation that is not in the outbox any more.
    let mut client = seven_and(1);
    assert_eq!(client.open(&welcome(9, 0x55))[0], "commit: -all; +1 8A; node B 0/1 clock 8 merged 7 untried");
}

//= SES-25 test
#[test]
fn a_new_node_is_certain_of_nothing() {
    let mut client = seven_and(2);
    let check = client.check_of(8);
    client.subscribe(CollectionSet::ALL, 100);
    client.open(&Hello { head: pos(7, 8), ..welcome(8, check) });
    assert_eq!(client.numbers(), [-8, 9]);
    client.input(Input::Closed);
    let mut client = client.again();
    client.open(&welcome(3, 0x55));
    assert_eq!(client.numbers(), [1, 2]);
    assert!(client.replica.node().untried);
    // A relay that welcomes it has tried it.
    let mut client = client.again();
    assert_eq!(client.connect()[0], "commit: node B 0/2 clock 9 merged 7");
}

//= SES-27 test
//= SES-5 test
#[test]
fn replaced_by_a_copy_it_becomes_a_new_node() {
    let mut client = Client::new(1);
    client.connect();
    assert_eq!(
        client.error(0, ErrorCode::REPLACED, 0),
        [
            "commit: -all; +1 1A; node B 0/1 clock 1 merged 0 untried",
            "close Some(REPLACED)",
            "! NewNode(Replaced)",
            "! Ended(NewNode)",
            "reconnect After(0)",
        ],
    );
}

//= SES-15 test
#[test]
fn a_node_of_someone_else_is_given_up() {
    let mut client = Client::new(1);
    client.input(Input::Opened);
    assert_eq!(
        client.error(0, ErrorCode::NOT_YOUR_NODE, 0),
        [
            "commit: -all; +1 1A; node B 0/1 clock 1 merged 0 untried",
            "close Some(NOT_YOUR_NODE)",
            "! NewNode(NotYourNode)",
            "! Ended(NewNode)",
            "reconnect After(0)",
        ],
    );
    // A copy of it may have been there first: another one, but not at once.
    let mut client = client.again();
    client.input(Input::Opened);
    assert_eq!(
        client.error(0, ErrorCode::NOT_YOUR_NODE, 0),
        [
            // The next node of these tests has the same name.
            "commit: -all; +1 1A",
            "close Some(NOT_YOUR_NODE)",
            "! NewNode(NotYourNode)",
            "! Ended(Refused { code: NOT_YOUR_NODE, text: \"why\" })",
            "reconnect After(567)",
        ],
    );
}

//= SES-104 test
//= SES-55 test
#[test]
fn what_is_dropped_by_order_leaves_no_gap() {
    let mut client = Client::new(3);
    client.connect();
    let changes = client.replica.abandon(at(2, A), identity(B));
    client.store(changes);
    assert_eq!(client.numbers(), [1, 2]);
    let timestamps: Vec<_> = client.replica.outbox().map(|queued| queued.op.op().head.timestamp).collect();
    assert_eq!(timestamps, [at(1, A), at(3, A)]);
    // The connection of the old node has nothing more to say.
    assert_eq!(
        client.input(Input::Written),
        ["goodbye done", "close None", "! Ended(NewNode)", "reconnect After(0)"],
    );
    let changes = client.replica.abandon(at(2, A), identity(Z));
    assert_eq!(changes, []);
}
