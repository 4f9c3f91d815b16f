//! History that a relay has lost (SPEC.md 10.5).

use super::*;
use crate::merge::Heard;

/// A client that has read everything up to 7/8 and collection d up to 7/5, and heard of 6/2.
fn reader() -> Client {
    let mut client = Client::new(1);
    client.subscribe(CollectionSet::ALL, 1_000_000);
    client.subscribe(set(&["d"]), 1_000_000);
    client.connect();
    client.accepted(3, 6, 6);
    client.update(
        1,
        Position::START,
        pos(6, 2),
        &[(1, &[op(Z, 1, at(1, Z), 5, 1), op(Z, 2, at(2, Z), 6, 1)])],
    );
    client.update(2, Position::START, pos(7, 5), &[]);
    client.update(1, pos(6, 2), pos(7, 8), &[(7, &[op(Z, 3, at(3, Z), 6, 2), op(Z, 4, at(4, Z), 7, 2)])]);
    client.write(&[update(8, 1)]);
    client.input(Input::Closed);
    client.again()
}

fn heard(client: &Client) -> Vec<(u128, Option<u64>)> {
    let entries = client.replica.durable_state().entries();
    entries.map(|entry| (entry.path().record().as_u128(), entry.heard().seq())).collect()
}

fn welcome(client: &Client, agreed: Position, restore_mode: RestoreMode) -> Hello {
    let Mark { .. } = client.replica.node().acknowledged;
    let acknowledged = client.replica.node().acknowledged;
    let (mark, check) = (acknowledged.node_seq().get(), acknowledged.check());
    Hello { mark, check, agreed, restore_mode, head: agreed, ..Hello::default() }
}

//= SES-33 test
#[test]
fn nothing_is_lost_whatever_the_restore_mode() {
    let mut client = reader();
    let welcome = welcome(&client, pos(7, 8), RestoreMode::Discard);
    assert_eq!(client.open(&welcome), ["! active, head 7/8", "push #1 A 2..2", "! sent 5A"]);
    assert_eq!(heard(&client), [(1, Some(6)), (5, Some(1)), (6, Some(7)), (7, Some(8))]);
}

//= SES-30 test
//= SES-31 test
//= SES-34 test
#[test]
fn with_keep_what_was_heard_later_is_in_doubt() {
    let mut client = reader();
    assert_eq!(client.replica.seen().positions(), [pos(7, 8), pos(6, 2)]);
    let welcome = welcome(&client, pos(7, 6), RestoreMode::Keep);
    assert_eq!(
        client.open(&welcome),
        [
            "commit: doubt above 6; all at 7/6; seen [7/6 6/2]",
            "! LostHistory(Keep)",
            "! active, head 7/6",
            "push #1 A 2..2",
            "! sent 5A",
        ],
    );
    assert_eq!(heard(&client), [(1, Some(6)), (5, Some(1)), (6, None), (7, None)]);
    assert_eq!(client.replica.position(&CollectionSet::ALL), Some(pos(7, 6)));
    assert_eq!(client.replica.position(&set(&["d"])), Some(pos(7, 5)));
    // In doubt outlives the connection.
    client.input(Input::Closed);
    assert!(client.again().replica.durable_state().in_doubt().all(|entry| entry.heard() == Heard::IN_DOUBT));
}

//= SES-31 test
//= SES-34 test
#[test]
fn with_keep_on_an_empty_relay_everything_is_in_doubt() {
    let mut client = reader();
    let welcome = Hello { mark: 0, check: 0, ..welcome(&client, Position::START, RestoreMode::Keep) };
    assert_eq!(
        client.open(&welcome),
        [
            "commit: doubt above 0; all at 0/0; d at 0/0; seen []; -all; +1 5A; node B 0/1 clock 5 merged 4 untried",
            "! LostHistory(Keep)",
            "! NewNode(OutOfStep)",
            "goodbye done",
            "close None",
            "! Ended(NewNode)",
            "reconnect After(0)",
        ],
    );
    assert!(heard(&client).into_iter().all(|(_, seq)| seq.is_none()));
}

//= SES-32 test
#[test]
fn with_discard_the_client_begins_anew() {
    let mut client = reader();
    let welcome = welcome(&client, pos(7, 6), RestoreMode::Discard);
    assert_eq!(
        client.open(&welcome),
        [
            "commit: state cleared; all at 0/0; d at 0/0; seen []; -all; +1 5A; node B 0/1 clock 5 merged 4 untried",
            "! LostHistory(Discard)",
            "! Dropped",
            "! NewNode(Discarded)",
            "goodbye done",
            "close None",
            "! Ended(NewNode)",
            "reconnect After(0)",
        ],
    );
    // Only what is in the outbox is left to see.
    let records: Vec<_> =
        client.replica.records("c").into_iter().map(|(record, _)| record.as_u128()).collect();
    assert_eq!(records, [8]);
    // The clock does not go back.
    assert_eq!(client.write(&[update(1, 1)]), [at(6, B)]);
}

//= SES-28 test
//= SES-29 test
#[test]
fn positions_are_heard_of_by_deliveries_and_acks() {
    let mut client = Client::new(1);
    client.subscribe(CollectionSet::ALL, 1_000_000);
    client.connect();
    let seen = |client: &Client| client.replica.seen().positions().to_vec();
    client.accepted(2, 3, 3);
    assert_eq!(seen(&client), [pos(7, 3)]);
    client.update(1, Position::START, pos(6, 2), &[]);
    assert_eq!(seen(&client), [pos(7, 3), pos(6, 2)]);
    client.command(Command::Pull {
        ticket: 1,
        pull: Pull { collections: set(&["d"]), max_operations: 0, max_bytes: 0 },
    });
    client.pulled(3, pos(7, 5), &[]);
    assert_eq!(seen(&client), [pos(7, 5), pos(6, 2)]);
    //= SES-54 test
    assert_eq!(client.replica.position(&CollectionSet::ALL), Some(pos(6, 2)));
}
