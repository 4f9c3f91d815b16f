//! What is in doubt comes back (SPEC.md 10.8).

use super::*;
use crate::merge::Heard;
use crate::op::OpRef;

/// An operation of node Z with these fields.
fn with(number: u64, timestamp: Timestamp, kind: OpKind, record: u128, fields: Fields) -> Op {
    Op::new((node(Z), number), timestamp, kind, (collection("c"), Uuid::from_u128(record)), fields).unwrap()
}

fn patch(name: &str, keys: &[&str], value: Value) -> Fields {
    let nested = keys.iter().rev().fold(value, |value, key| {
        Value::Patch(crate::value::Entries::new([((*key).into(), value)].into()).unwrap())
    });
    fields(name, nested)
}

/// A client that has read `ops` from seq 1 on, of a relay that has then lost them all but `kept`.
fn doubtful(ops: &[Op], kept: u64, hello: Hello) -> (Client, Vec<String>) {
    let mut client = Client::new(0);
    client.subscribe(CollectionSet::ALL, 1_000_000);
    client.connect();
    client.update(1, Position::START, pos(7, ops.len() as u64), &[(1, ops)]);
    client.input(Input::Closed);
    let mut client = client.again();
    client.subscribe(CollectionSet::ALL, 1_000_000);
    let agreed = if kept == 0 { Position::START } else { pos(7, kept) };
    let outputs = client.open(&Hello { agreed, head: agreed, ..hello });
    (client, outputs)
}

fn two() -> [Op; 2] {
    [op(Z, 1, at(1, Z), 1, 1), op(Z, 2, at(2, Z), 2, 2)]
}

/// What SES-60 has put into the outbox: timestamp, kind, record and fields.
fn outbox(client: &Client) -> Vec<String> {
    let show = |queued: &Queued| {
        assert!(queued.restored);
        let OpRef { head, fields, .. } = queued.op.op();
        let never =
            "Counter { base: Timestamp { counter: 0, node: 00000000-0000-0000-0000-000000000000 }, total: ";
        let fields = alloc::format!("{fields:?}")
            .replace(&alloc::format!("Counter({never}"), "Counter(+")
            .replace(" })", ")");
        alloc::format!("{}Z {:?} {} {fields}", head.timestamp.counter(), head.kind, head.record.as_u128())
    };
    client.replica.outbox().map(show).collect()
}

//= SES-59 test
//= SES-60 test
#[test]
fn it_is_sent_again_after_reading_and_a_random_wait() {
    let (mut client, outputs) = doubtful(&two(), 1, Hello { head: pos(8, 5), ..Hello::default() });
    assert_eq!(
        outputs,
        [
            "commit: doubt above 1; all at 7/1; seen [7/1]",
            "! LostHistory(Keep)",
            "! active, head 7/1",
            "subscribe #1 1: all from 7/1 window 1000000",
        ],
    );
    assert_eq!(client.update(1, pos(7, 1), pos(7, 1), &[]), ["! caught up all"]);
    let (waited, outputs) = client.wait_for_timer();
    assert!((1..30_000).contains(&waited), "{waited}");
    assert_eq!(
        outputs,
        ["commit: +1 2Z restored; node A 0/1 clock 2 merged 2", "push #2 A 1..1", "! sent 2Z"],
    );
    assert_eq!(outbox(&client), ["2Z Update 2 {\"f\": Int(2)}"]);
    // Accepted, it is not in doubt any more.
    assert_eq!(
        client.accepted(2, 2, 2),
        ["commit: -1; c.2.f = 2Z @2; seen [7/2]; node A 1/1 clock 2 merged 2", "! durable 2Z"],
    );
    assert!(!client.replica.has_doubt());
    assert_eq!(client.session.poll_timeout(), Some(client.now + 30_000));
}

//= SES-59 test
#[test]
fn the_wait_is_up_to_30_s_and_differs() {
    let mut waits = alloc::collections::BTreeSet::new();
    for seed in 0..40 {
        let (client, _) = doubtful(&two(), 0, Hello::default());
        let mut client = client.with(Config { seed, ..config() });
        client.open(&Hello::default());
        waits.insert(client.session.poll_timeout().unwrap() - client.now);
    }
    assert!(waits.len() > 30 && waits.iter().all(|wait| *wait <= 30_000));
    assert!(*waits.last().unwrap() > 25_000 && *waits.first().unwrap() < 5_000);
}

//= SES-59 test
#[test]
fn every_subscription_has_to_reach_the_head_first() {
    let (client, _) = doubtful(&two(), 0, Hello::default());
    let mut client = client.again();
    client.subscribe(CollectionSet::ALL, 9);
    client.subscribe(set(&["d"]), 9);
    client.open(&Hello { head: pos(8, 1), ..Hello::default() });
    client.update(1, Position::START, pos(8, 1), &[]);
    assert_eq!(client.wait(29_000), NOTHING);
    assert_eq!(client.numbers(), [] as [i64; 0]);
    client.update(2, Position::START, pos(8, 1), &[]);
    let (_, outputs) = client.wait_for_timer();
    assert_eq!(outputs[0], "commit: +1 1Z restored; +2 2Z restored; node A 0/2 clock 2 merged 2");
}

//= SES-59 test
#[test]
fn a_subscription_that_came_meanwhile_is_waited_for_too() {
    let (client, _) = doubtful(&two(), 0, Hello::default());
    let mut client = client.again();
    client.open(&Hello { head: pos(8, 1), ..Hello::default() });
    let wait = client.session.poll_timeout().unwrap() - client.now;
    client.subscribe(set(&["d"]), 9);
    assert_eq!(client.wait(wait), NOTHING);
    // Nothing is due before the heartbeat.
    assert_eq!(client.session.poll_timeout(), Some(31_000));
    let outputs = client.update(1, Position::START, pos(8, 1), &[]);
    assert_eq!(outputs[2], "commit: +1 1Z restored; +2 2Z restored; node A 0/2 clock 2 merged 2");
}

//= SES-56 test
#[test]
fn a_delivery_ends_the_doubt() {
    let (mut client, _) = doubtful(&two(), 0, Hello::default());
    client.update(1, Position::START, Position::START, &[]);
    assert_eq!(
        client.update(1, Position::START, pos(8, 1), &[(1, &[op(0x99, 1, at(2, Z), 2, 2)])]),
        ["commit: c.2.f = 2Z @1; all at 8/1; seen [8/1]"],
    );
    //= SES-57 test
    let newer = [op(0x99, 2, at(3, Z), 1, 3)];
    client.update(1, pos(8, 1), pos(8, 2), &[(2, &newer)]);
    assert!(!client.replica.has_doubt());
    assert_eq!(client.wait_for_timer().1, ["update ack 1: 8/2 window 1000000"]);
    assert_eq!(client.wait_for_timer().1, NOTHING);
}

//= SES-58 test
#[test]
fn the_smaller_seq_stays() {
    let mut client = Client::new(0);
    client.subscribe(CollectionSet::ALL, 1_000_000);
    client.connect();
    client.update(1, Position::START, pos(7, 5), &[(5, &[op(Z, 1, at(1, Z), 1, 1)])]);
    assert_eq!(
        client.update(1, pos(7, 5), pos(7, 6), &[(6, &[op(Z, 2, at(1, Z), 1, 1)])]),
        ["commit: all at 7/6; seen [7/6]"],
    );
    let heard: Vec<_> = client.replica.durable_state().entries().map(|entry| entry.heard()).collect();
    assert_eq!(heard, [Heard::at(5)]);
}

//= SES-60 test
//= SES-63 test
#[test]
fn each_kind_of_entry_has_its_operation() {
    let counter = |base, total| Value::Counter { base, total };
    let ops = [
        with(1, at(1, Z), OpKind::Delete, 1, Fields::default()),
        with(
            2,
            at(2, Z),
            OpKind::Insert,
            2,
            Fields::new(
                [(FieldName::new("a").unwrap(), 1.into()), (FieldName::new("b").unwrap(), Value::Removed)]
                    .into(),
            )
            .unwrap(),
        ),
        with(3, at(3, Z), OpKind::Update, 2, patch("p", &["k", "l"], 7.into())),
        with(4, at(3, Z), OpKind::Update, 2, patch("p", &["k", "m"], counter(Timestamp::NEVER, 4))),
        with(5, at(4, Z), OpKind::Update, 3, fields("n", counter(Timestamp::NEVER, 5))),
        // At one place under one timestamp: a counter, and a key below it.
        with(6, at(4, Z), OpKind::Update, 3, patch("n", &["k"], 1.into())),
    ];
    let (mut client, _) = doubtful(&ops, 0, Hello::default());
    client.update(1, Position::START, Position::START, &[]);
    client.wait_for_timer();
    assert_eq!(
        outbox(&client),
        [
            "1Z Delete 1 {}",
            "2Z Update 2 {\"a\": Int(1), \"b\": Removed}",
            "3Z Update 2 {\"p\": Patch({\"k\": Patch({\"l\": Int(7), \"m\": Counter(+4)})})}",
            "4Z Update 3 {\"n\": Counter(+5)}",
            "4Z Update 3 {\"n\": Patch({\"k\": Int(1)})}",
        ],
    );
    // It is what was in doubt, no more and no less.
    client.accepted(2, 1, 5);
    assert!(!client.replica.has_doubt());
}

//= SES-63 test
#[test]
fn what_is_too_much_for_one_operation_goes_into_several() {
    let text = |n: u8| -> Value { "x".repeat(500_000 + usize::from(n)).as_str().into() };
    let ops = [
        with(1, at(1, Z), OpKind::Update, 1, fields("a", text(1))),
        with(2, at(1, Z), OpKind::Update, 1, fields("b", text(2))),
        with(3, at(1, Z), OpKind::Update, 1, fields("c", 3.into())),
    ];
    let mut client = Client::new(0);
    client.subscribe(CollectionSet::ALL, 10_000_000);
    client.connect();
    for (n, op) in ops.iter().enumerate() {
        let n = n as u64;
        let previous = if n == 0 { Position::START } else { pos(7, n) };
        client.update(1, previous, pos(7, n + 1), &[(n + 1, core::slice::from_ref(op))]);
    }
    client.input(Input::Closed);
    let mut client = client.again();
    client.open(&Hello::default());
    client.wait_for_timer();
    let sizes: Vec<_> = client.replica.outbox().map(|queued| queued.op.op().fields.len()).collect();
    assert_eq!(sizes, [1, 2]);
}

//= SES-61 test
#[test]
fn nothing_is_sent_twice() {
    let (mut client, _) = doubtful(&two(), 0, Hello::default());
    client.update(1, Position::START, Position::START, &[]);
    client.wait_for_timer();
    assert_eq!(client.numbers(), [1, 2]);
    // The connection is lost before the ack; the operations are still there.
    client.input(Input::Closed);
    let mut client = client.again();
    client.open(&Hello::default());
    assert_eq!(client.wait_for_timer().1, NOTHING);
    assert_eq!(client.numbers(), [1, 2]);
}

//= SES-62 test
#[test]
fn what_needs_crdt_stays_in_doubt_without_it() {
    let ops = [
        with(1, at(1, Z), OpKind::Update, 1, fields("a", Value::Removed)),
        with(2, at(2, Z), OpKind::Update, 1, patch("p", &["k"], 1.into())),
        with(
            3,
            at(3, Z),
            OpKind::Update,
            1,
            fields("n", Value::Counter { base: Timestamp::NEVER, total: 1 }),
        ),
        with(4, at(4, Z), OpKind::Update, 1, fields("f", 4.into())),
        with(5, at(5, Z), OpKind::Delete, 2, Fields::default()),
    ];
    let (mut client, _) = doubtful(&ops, 0, Hello { capabilities: Vec::new(), ..Hello::default() });
    client.update(1, Position::START, Position::START, &[]);
    client.wait_for_timer();
    assert_eq!(outbox(&client), ["4Z Update 1 {\"f\": Int(4)}", "5Z Delete 2 {}"]);
    client.accepted(2, 1, 2);
    assert_eq!(client.replica.durable_state().in_doubt().count(), 3);
}

//= SES-64 test
#[test]
fn what_may_not_be_brought_back_is_dropped() {
    let (mut client, _) = doubtful(&two(), 0, Hello::default());
    client.update(1, Position::START, Position::START, &[]);
    client.write(&[update(3, 3)]);
    client.input(Input::Written);
    client.accepted(2, 1, 1);
    client.wait_for_timer();
    assert_eq!(client.numbers(), [2, 3]);
    assert_eq!(
        client.refused(3, ErrorCode::WRITE_FORBIDDEN, 0),
        [
            "commit: -2; -3; +4 2Z restored; node A 3/4 clock 3 merged 3",
            "! restore refused 1Z WRITE_FORBIDDEN",
            "push #4 A 4..4",
            "! sent 2Z",
        ],
    );
    client.write(&[update(4, 4)]);
    // When every one has its answer.
    assert_eq!(
        client.refused(4, ErrorCode::WRITE_FORBIDDEN, 0),
        [
            "commit: -4; node A 4/5 clock 4 merged 3",
            "! restore refused 2Z WRITE_FORBIDDEN",
            "commit: state cleared; seen []; -all; +1 4A; node B 0/1 clock 4 merged 3 untried",
            "! Dropped",
            "! NewNode(RestoreForbidden)",
            "goodbye done",
            "close None",
            "! Ended(NewNode)",
            "reconnect After(0)",
        ],
    );
    assert_eq!(client.replica.rejected().count(), 0);
    assert_eq!((client.f(1), client.f(4)), (None, Some(4.into())));
}

//= SES-64 test
#[test]
fn what_another_connection_has_put_in_doubt_is_not_dropped_with_what_is_forbidden() {
    let (mut client, _) = doubtful(&two(), 1, Hello { head: pos(8, 5), ..Hello::default() });
    client.update(1, pos(7, 1), pos(7, 1), &[]);
    client.wait_for_timer();
    assert_eq!(client.numbers(), [1]);
    // The relay has lost the other one too.
    client.input(Input::Closed);
    let mut client = client.again();
    client.open(&Hello::default());
    assert_eq!(
        client.refused(1, ErrorCode::WRITE_FORBIDDEN, 0),
        ["commit: -1; node A 1/1 clock 2 merged 2", "! restore refused 2Z WRITE_FORBIDDEN"],
    );
    // What is in doubt now is offered first, all of it.
    assert_eq!(
        client.wait_for_timer().1[..2],
        ["commit: +2 1Z restored; +3 2Z restored; node A 1/3 clock 2 merged 2", "push #2 A 2..3"],
    );
    assert_eq!(
        client.refused(2, ErrorCode::WRITE_FORBIDDEN, 1)[..2],
        [
            "commit: -3; -2; +4 1Z restored; node A 3/4 clock 2 merged 2",
            "! restore refused 2Z WRITE_FORBIDDEN",
        ],
    );
    assert_eq!(
        client.accepted(3, 1, 1)[..4],
        [
            "commit: -4; c.1.f = 1Z @1; seen [7/1]; node A 4/4 clock 2 merged 2",
            "! durable 1Z",
            "commit: state cleared; seen []; -all; node B 0/0 clock 2 merged 2 untried",
            "! Dropped",
        ],
    );
}

//= SES-64 test
//= SES-65 test
#[test]
fn what_may_come_back_later_is_not_dropped_with_what_is_forbidden() {
    let (mut client, _) = doubtful(&two(), 0, Hello::default());
    client.update(1, Position::START, Position::START, &[]);
    client.wait_for_timer();
    client.refused(2, ErrorCode::QUOTA_EXCEEDED, 0);
    assert_eq!(
        client.refused(3, ErrorCode::WRITE_FORBIDDEN, 0),
        ["commit: -3; node A 3/3 clock 2 merged 2", "! restore refused 2Z WRITE_FORBIDDEN"],
    );
    assert_eq!((client.f(1), client.f(2)), (Some(1.into()), Some(2.into())));
    assert_eq!(client.replica.durable_state().in_doubt().count(), 2);
}

//= SES-64 test
#[test]
fn what_came_back_from_elsewhere_need_not_be_dropped() {
    let (mut client, _) = doubtful(&two()[..1], 0, Hello::default());
    client.update(1, Position::START, Position::START, &[]);
    client.wait_for_timer();
    client.update(1, Position::START, pos(8, 1), &[(1, &[op(0x99, 1, at(1, Z), 1, 1)])]);
    assert_eq!(
        client.refused(2, ErrorCode::WRITE_FORBIDDEN, 0),
        ["commit: -1; node A 1/1 clock 1 merged 1", "! restore refused 1Z WRITE_FORBIDDEN"],
    );
    assert_eq!(client.f(1), Some(1.into()));
}

//= SES-65 test
#[test]
fn refused_for_another_reason_it_stays_in_doubt() {
    let (mut client, _) = doubtful(&two()[..1], 0, Hello::default());
    client.update(1, Position::START, Position::START, &[]);
    client.wait_for_timer();
    assert_eq!(
        client.refused(2, ErrorCode::QUOTA_EXCEEDED, 0),
        ["commit: -1; node A 1/1 clock 1 merged 1", "! restore refused 1Z QUOTA_EXCEEDED"],
    );
    assert_eq!(client.replica.rejected().count(), 0);
    assert_eq!(client.f(1), Some(1.into()));
    assert!(client.replica.has_doubt());
    // Not again on this connection, but on the next.
    assert_eq!(client.session.poll_timeout(), Some(client.now + 30_000));
    client.input(Input::Closed);
    let mut client = client.again();
    client.connect();
    assert_eq!(client.wait_for_timer().1[0], "commit: +2 1Z restored; node A 1/2 clock 1 merged 1");
}

//= SES-42 test
#[test]
fn a_clock_refused_for_what_is_brought_back_is_not_set_back() {
    let (mut client, _) = doubtful(&two()[..1], 0, Hello::default());
    client.update(1, Position::START, Position::START, &[]);
    client.wait_for_timer();
    assert_eq!(
        client.refused(2, ErrorCode::CLOCK_TOO_FAR_AHEAD, 0),
        ["commit: -1; node A 1/1 clock 1 merged 1", "! restore refused 1Z CLOCK_TOO_FAR_AHEAD"],
    );
}
