//! What an application does to a replica, connected or not (SPEC.md 10.6, 12.6).

use super::*;
use crate::limits::MAX_COUNTER;
use crate::value::Entries;

fn record(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn field(name: &str) -> FieldName {
    FieldName::new(name).unwrap()
}

fn increment(n: u128, by: i64) -> Write {
    Write::increment(collection("c"), record(n), (field("n"), &[]), by)
}

fn n(client: &Client, of: u128) -> Option<Value> {
    client.replica.record("c", record(of))?.get("n").cloned()
}

//= SES-17 test
//= SES-40 test
#[test]
fn a_write_is_one_local_transaction() {
    let (mut replica, changes) = Replica::new(identity(A));
    assert_eq!(changes.len(), 1);
    let written = replica.write(&[update(1, 1), update(2, 1)]).unwrap();
    assert_eq!(written.timestamps, [at(1, A), at(2, A)]);
    let changes: Vec<_> = written.changes.iter().map(show::change).collect();
    assert_eq!(changes, ["+1 1A", "+2 2A", "node A 0/2 clock 2 merged 0"]);
    let transactions: Vec<_> = replica.outbox().map(|queued| queued.transaction).collect();
    assert_eq!(transactions, [Some(at(1, A)); 2]);
}

//= SES-36 test
#[test]
fn the_view_is_the_durable_state_and_the_outbox() {
    let mut client = Client::new(0);
    client.subscribe(CollectionSet::ALL, 1_000_000);
    client.connect();
    client.update(
        1,
        Position::START,
        pos(7, 2),
        &[(1, &[op(Z, 1, at(5, Z), 1, 10), op(Z, 2, at(6, Z), 2, 20)])],
    );
    client.write(&[Write::delete(collection("c"), record(1))]);
    client.write(&[Write::insert(collection("c"), record(3), fields("f", 30.into()))]);
    let seen = |client: &Client| -> Vec<_> {
        client
            .replica
            .records("c")
            .into_iter()
            .map(|(record, fields)| (record.as_u128(), fields.get("f").cloned()))
            .collect()
    };
    assert_eq!(seen(&client), [(2, Some(20.into())), (3, Some(30.into()))]);
    // What comes from others is merged with what waits.
    client.update(1, pos(7, 2), pos(7, 4), &[(3, &[op(Z, 3, at(100, Z), 1, 11), op(Z, 4, at(2, Z), 3, 31)])]);
    assert_eq!(seen(&client), [(1, Some(11.into())), (2, Some(20.into())), (3, Some(30.into()))]);
    assert_eq!(client.replica.durable_state().record("c", record(3)).unwrap().get("f"), Some(&31.into()));
    // What is refused leaves the view.
    client.input(Input::Written);
    client.refused(2, ErrorCode::QUOTA_EXCEEDED, 1);
    assert_eq!(seen(&client)[2], (3, Some(31.into())));
    assert_eq!(client.replica.records("d"), []);
}

#[test]
fn a_patch_writes_below_a_field_and_nothing_beside_it() {
    let mut client = Client::new(0);
    let tags = |keys: &[&str], value| {
        Write::patch(collection("c"), record(1), (field("tags"), keys), value).unwrap()
    };
    client.write(&[tags(&["a", "b"], 1.into())]);
    client.write(&[tags(&["a", "c"], 2.into()), tags(&["d"], Value::Null)]);
    client.write(&[tags(&["a", "b"], Value::Removed)]);
    let dictionary = |entries: Vec<(&str, Value)>| {
        let entries = entries.into_iter().map(|(key, value)| (key.into(), value)).collect();
        Value::Dictionary(Entries::new(entries).unwrap())
    };
    let inner = dictionary([("c", 2.into())].into());
    let expected = dictionary([("a", inner), ("d", Value::Null)].into());
    assert_eq!(client.replica.record("c", record(1)).unwrap().get("tags"), Some(&expected));
}

//= MRG-14 test
#[test]
fn increments_add_up_on_what_is_there() {
    let mut client = Client::new(0);
    client.write(&[increment(1, 5)]);
    client.write(&[increment(1, -2), increment(1, 1)]);
    assert_eq!(n(&client, 1), Some(4.into()));
    client.write(&[Write::update(collection("c"), record(1), fields("n", 100.into()))]);
    client.write(&[increment(1, 1)]);
    assert_eq!(n(&client, 1), Some(101.into()));
    // Below a field.
    let below = Write::increment(collection("c"), record(2), (field("n"), &["k", "l"]), 3);
    client.write(&[below.clone(), below]);
    let value = n(&client, 2);
    assert_eq!(
        alloc::format!("{value:?}"),
        "Some(Dictionary(Entries([(\"k\", Dictionary(Entries([(\"l\", Int(6))])))])))"
    );
    // What the relay has accepted goes on.
    client.connect();
    client.accepted(1, 1, 7);
    client.write(&[increment(1, 1)]);
    assert_eq!(n(&client, 1), Some(102.into()));
}

//= MRG-15 test
#[test]
fn an_increment_that_does_not_fit_is_refused_with_its_transaction() {
    let mut client = Client::new(0);
    client.write(&[increment(1, i64::MAX)]);
    let before = client.replica.clone();
    assert_eq!(client.replica.write(&[update(2, 1), increment(1, 1)]), Err(WriteError::IncrementTooLarge));
    assert!(client.replica == before);
    assert_eq!(client.f(2), None);
    assert_eq!(n(&client, 1), Some(i64::MAX.into()));
}

//= SES-41 test
#[test]
fn a_clock_at_its_end_refuses_writes() {
    let mut client = Client::new(0);
    let changes = client.replica.replay(&[op(Z, 1, at(MAX_COUNTER, Z), 1, 1)]).unwrap().changes;
    client.store(changes);
    assert_eq!(client.replica.write(&[update(1, 1)]), Err(WriteError::ClockUsedUp));
    assert_eq!(client.replica.outbox().count(), 1);
}

//= LIM-3 test
#[test]
fn what_the_protocol_cannot_carry_is_refused() {
    let mut client = Client::new(0);
    let huge = "x".repeat(983_000);
    let write = Write::update(collection("c"), record(1), fields("f", (&*huge).into()));
    let Err(WriteError::Build(error)) = client.replica.write(&[update(1, 1), write]) else { panic!() };
    assert_eq!(error.code, ErrorCode::TOO_LONG);
    let many: Vec<_> = (0..65_536).map(|_| Write::delete(collection("c"), record(1))).collect();
    assert_eq!(client.replica.write(&many), Err(WriteError::TransactionTooLarge));
    assert_eq!(client.replica.outbox().count(), 0);
    client.check();
}

#[test]
fn an_update_can_name_the_version_that_it_was_made_on() {
    let mut client = Client::new(1);
    let version = client.replica.version("c", record(1)).unwrap();
    assert_eq!(version, at(1, A));
    client.write(&[update(1, 2).on(version)]);
    let previous: Vec<_> = client.replica.outbox().map(|queued| queued.op.op().head.previous).collect();
    assert_eq!(previous, [None, Some(at(1, A))]);
    assert_eq!(client.replica.version("c", record(9)), None);
}

#[test]
fn a_replay_keeps_timestamps_and_gives_numbers() {
    let mut client = Client::new(1);
    let changes =
        client.replica.replay(&[op(Z, 77, at(40, Z), 1, 1), op(Z, 9, at(30, Z), 2, 2)]).unwrap().changes;
    let shown: Vec<_> = changes.iter().map(show::change).collect();
    assert_eq!(shown, ["+2 40Z", "+3 30Z", "node A 0/3 clock 40 merged 0"]);
    client.store(changes);
    assert_eq!(client.replica.outbox().map(|queued| queued.transaction).collect::<Vec<_>>(), [None; 3]);
    assert_eq!(client.write(&[update(3, 1)]), [at(41, A)]);
    assert_eq!(client.connect()[1], "push #1 A 1..4");
    client.accepted(1, 1, 4);
    assert_eq!(client.f(2), Some(2.into()));
}

#[test]
fn a_store_without_a_node_is_no_replica() {
    assert_eq!(Replica::load([]).unwrap_err(), NoNode);
    // Rows may come in any order.
    let client = Client::new(2);
    let mut rows = client.stored.clone();
    rows.reverse();
    let last_node = rows.iter().position(|change| matches!(change, Change::Node(_))).unwrap();
    rows.retain({
        let mut n = 0;
        move |change| {
            n += 1;
            !matches!(change, Change::Node(_)) || n == last_node + 1
        }
    });
    assert!(Replica::load(rows).unwrap() == client.replica);
}
