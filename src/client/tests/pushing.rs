//! The outbox on its way (SPEC.md 10.7).

use super::*;
use crate::registry::LimitId;

fn limited(limits: &[(LimitId, u64)]) -> Hello {
    let limits = limits.iter().map(|(id, value)| Limit { id: *id, value: *value }).collect();
    Hello { limits, ..Hello::default() }
}

/// An update of about so many bytes that do not compress well.
fn large(record: u128, bytes: usize) -> Write {
    let text: String =
        (0..bytes).map(|n| char::from(b'a' + u8::try_from((n * n + n / 7) % 26).unwrap())).collect();
    Write::update(collection("c"), Uuid::from_u128(record), fields("f", (&*text).into()))
}

//= SES-17 test
//= SES-48 test
#[test]
fn a_write_is_sent_and_accepted() {
    let mut client = Client::new(0);
    client.connect();
    client.write(&[update(1, 1)]);
    assert_eq!(client.session.write_state(&client.replica, at(1, A)), WriteState::Queued);
    assert_eq!(client.input(Input::Written), ["push #1 A 1..1", "! sent 1A"]);
    //= SES-39 test
    assert_eq!(client.session.write_state(&client.replica, at(1, A)), WriteState::Sent);
    let check = client.check_of(1);
    assert_eq!(
        client.accepted(1, 5, 5),
        ["commit: -1; c.1.f = 1A @5; seen [7/5]; node A 1/1 clock 1 merged 1", "! durable 1A"],
    );
    assert_eq!(client.session.write_state(&client.replica, at(1, A)), WriteState::Durable);
    assert_eq!(client.replica.node().acknowledged, Mark::new(LastNodeSeq::new(1).unwrap(), check).unwrap());
    assert_eq!(client.f(1), Some(1.into()));
}

//= SES-46 test
#[test]
fn writes_wait_for_one_another_while_something_is_in_flight() {
    let mut client = Client::new(1);
    client.connect();
    for n in 2..=100 {
        client.write(&[update(1, n)]);
        assert_eq!(client.input(Input::Written), NOTHING);
    }
    // After 100 ms at the latest.
    let (waited, outputs) = client.wait_for_timer();
    assert_eq!((waited, &*outputs[0]), (100, "push #2 A 2..100"));
    // Or when there are a hundred.
    for n in 101..=199 {
        client.write(&[update(1, n)]);
    }
    assert_eq!(client.input(Input::Written), NOTHING);
    client.write(&[update(1, 200)]);
    assert_eq!(client.input(Input::Written)[0], "push #3 A 101..200");
    // Or when nothing is in flight any more.
    client.write(&[update(1, 201)]);
    assert_eq!(client.input(Input::Written), NOTHING);
    client.accepted(1, 1, 1);
    client.accepted(2, 2, 100);
    let outputs = client.accepted(3, 101, 200);
    assert_eq!(outputs[2..], ["push #4 A 201..201", "! sent 201A"]);
}

//= SES-44 test
#[test]
fn the_window_of_the_relay_is_kept() {
    let mut client = Client::new(0);
    for _ in 0..250 {
        client.write(&[update(1, 1)]);
    }
    client.session = session(Config { block_bytes: 1_000, ..config() });
    let outputs = client.open(&limited(&[(LimitId::PUSH_BLOCKS, 2)]));
    assert_eq!(outputs.iter().filter(|output| output.starts_with("push")).count(), 2);
    assert_eq!(outputs[1], "push #1 A 1..10");
    let outputs = client.accepted(1, 1, 10);
    assert_eq!(outputs[2], "push #3 A 21..30");
    assert_eq!(outputs.len(), 4);

    // By bytes: three blocks of 400,036 do not fit in.
    let mut client = Client::new(0);
    for record in 0..4 {
        client.write(&[large(record, 400_000)]);
    }
    let outputs = client.open(&limited(&[(LimitId::PUSH_BYTES, 1_048_612)]));
    assert_eq!(outputs, ["! active, head 0/0", "push #1 A 1..1", "! sent 1A"]);
    let (waited, outputs) = client.wait_for_timer();
    assert_eq!((waited, outputs), (100, ["push #2 A 2..2", "! sent 2A"].map(String::from).into()));
    assert_eq!(client.session.poll_timeout(), Some(client.now + 29_900));
    let outputs = client.accepted(1, 1, 1);
    assert_eq!(outputs[2..], ["push #3 A 3..3", "! sent 3A"]);
}

//= LIM-2 test
#[test]
fn blocks_are_near_64_kib() {
    let mut client = Client::new(0);
    for record in 0..1_000 {
        client.write(&[large(record, 200)]);
    }
    client.input(Input::Opened);
    let welcome = Hello { capabilities: [Capability::CRDT].into(), ..Hello::default() };
    let outputs = client.welcome(&welcome);
    let pushes: Vec<_> = outputs.iter().filter(|output| output.starts_with("push")).collect();
    // An operation takes 296 bytes with its length in front, and the header 36.
    assert_eq!(
        pushes,
        [
            "push #1 A 1..221",
            "push #2 A 222..442",
            "push #3 A 443..663",
            "push #4 A 664..884",
            "push #5 A 885..1000"
        ]
    );
}

//= BLK-4 test
#[test]
fn blocks_are_compressed_where_that_was_agreed_on() {
    let mut client = Client::new(20);
    let capabilities = [Capability::CRDT, Capability::COMPRESSION].into();
    assert_eq!(client.open(&Hello { capabilities, ..Hello::default() })[1], "push #1 A 1..20 lz4");
    assert_eq!(Client::new(20).connect()[1], "push #1 A 1..20");
}

//= SES-45 test
#[test]
fn a_transaction_is_one_block() {
    let mut client = Client::new(0);
    client.write(&[large(1, 40_000)]);
    client.write(&[large(2, 30_000), large(3, 50_000)]);
    client.write(&[large(4, 40_000)]);
    client.connect();
    let mut sent = Vec::new();
    for id in 1..=3 {
        let last = client.session.write_state(&client.replica, at(2, A));
        let outputs = client.wait(100);
        sent.extend(outputs.into_iter().filter(|output| output.starts_with("push")));
        let _ = (id, last);
    }
    assert_eq!(sent, ["push #2 A 2..3", "push #3 A 4..4"]);

    let too_large = client.replica.write(&[large(1, 600_000), large(2, 600_000)]);
    assert_eq!(too_large, Err(WriteError::TransactionTooLarge));
    client.check();
    assert_eq!(client.replica.node().given.get(), 4);
}

//= SES-47 test
#[test]
fn an_ack_fits_its_push() {
    let connected = || {
        let mut client = Client::new(2);
        client.connect();
        client
    };
    assert_eq!(connected().accepted(1, 1, 3), closed("PROTOCOL_ERROR"));
    assert_eq!(connected().refused(1, ErrorCode::REFUSED, 2), closed("PROTOCOL_ERROR"));
    let entry = PushEntry::Later { wait: 1 };
    assert_eq!(connected().acks(1, &[entry, entry]), closed("PROTOCOL_ERROR"));
    //= SES-4 test
    assert_eq!(connected().accepted(2, 1, 2), closed("UNEXPECTED_MESSAGE"));
}

#[test]
fn acks_come_in_the_order_of_the_pushes() {
    let mut client = Client::new(1);
    client.connect();
    client.write(&[update(1, 1)]);
    client.input(Input::Written);
    assert_eq!(client.wait(100), ["push #2 A 2..2", "! sent 2A"]);
    assert_eq!(client.accepted(2, 1, 1), closed("PROTOCOL_ERROR"));
}

//= SES-49 test
//= SES-50 test
//= SES-53 test
#[test]
fn a_refused_operation_leaves_and_the_others_are_sent_again() {
    let mut client = Client::new(0);
    for record in 1..=5 {
        client.write(&[update(record, 1)]);
    }
    assert_eq!(client.connect()[1], "push #1 A 1..5");
    client.write(&[update(6, 1)]);
    let check = client.check_of(5);
    assert_eq!(
        client.refused(1, ErrorCode::WRITE_FORBIDDEN, 2),
        [
            "commit: -3; rejected 3A A3 WRITE_FORBIDDEN; -1; +7 1A; -2; +8 2A; -4; +9 4A; -5; +10 5A; node A 5/10 clock 6 merged 0",
            "! rejected 3A WRITE_FORBIDDEN",
            "! changed c.3",
            // Number 6 first, in blocks of at most half the size.
            "push #2 A 6..7",
            "! sent 6A 1A",
        ],
    );
    assert_eq!(client.replica.node().acknowledged.check(), check);
    assert_eq!(client.replica.write_state(at(3, A)), WriteState::Rejected(ErrorCode::WRITE_FORBIDDEN));
    assert_eq!((client.f(2), client.f(3)), (Some(1.into()), None));
    let outputs = client.wait(100);
    assert_eq!(outputs, ["push #3 A 8..9", "! sent 2A 4A", "push #4 A 10..10", "! sent 5A"]);
    // Dismissed, it is gone.
    let key = client.replica.rejected().next().unwrap().key();
    let changes = client.replica.dismiss(key);
    client.store(changes);
    assert_eq!(client.replica.rejected().count(), 0);
}

//= SES-49 test
#[test]
fn a_transaction_is_refused_as_a_whole() {
    let mut client = Client::new(0);
    client.write(&[update(1, 1)]);
    client.write(&[update(2, 1), update(3, 1), update(4, 1)]);
    client.write(&[update(5, 1)]);
    assert_eq!(client.connect()[1], "push #1 A 1..5");
    assert_eq!(
        client.refused(1, ErrorCode::QUOTA_EXCEEDED, 2),
        [
            concat!(
                "commit: -2; rejected 2A A2 QUOTA_EXCEEDED; -3; rejected 3A A3 QUOTA_EXCEEDED; ",
                "-4; rejected 4A A4 QUOTA_EXCEEDED; -1; +6 1A; -5; +7 5A; node A 5/7 clock 5 merged 0",
            ),
            "! rejected 2A 3A 4A QUOTA_EXCEEDED",
            "! changed c.2 c.3 c.4",
            "push #2 A 6..7",
            "! sent 1A 5A",
        ],
    );
}

//= SES-50 test
#[test]
fn blocks_behind_a_refused_one_are_not_touched() {
    let mut client = Client::new(1);
    client.connect();
    client.write(&[update(2, 1)]);
    client.input(Input::Written);
    client.wait(100);
    let outputs = client.refused(1, ErrorCode::REFUSED, 0);
    assert_eq!(
        outputs,
        [
            "commit: -1; rejected 1A A1 REFUSED; node A 1/2 clock 2 merged 0",
            "! rejected 1A REFUSED",
            "! changed c.1",
        ],
    );
    assert_eq!(client.accepted(2, 1, 1)[1..], ["! durable 2A"]);
}

//= SES-39 test
//= SES-51 test
//= SES-52 test
#[test]
fn later_waits_for_the_time_and_for_every_ack() {
    let mut client = Client::new(1);
    client.connect();
    client.write(&[update(1, 1)]);
    client.input(Input::Written);
    client.wait(100);
    client.write(&[update(1, 2)]);
    let later = |wait| [PushEntry::Later { wait }];
    assert_eq!(client.acks(1, &later(2_000)), ["! Later(2000)"]);
    let state = |client: &Client, write| client.session.write_state(&client.replica, write);
    assert_eq!(state(&client, at(1, A)), WriteState::Queued);
    assert_eq!(state(&client, at(2, A)), WriteState::Sent);
    // Not before every push in flight has its ack, whatever the time.
    assert_eq!(client.wait(3_000), NOTHING);
    assert_eq!(client.acks(2, &later(1_000)), NOTHING);
    assert_eq!(state(&client, at(2, A)), WriteState::Queued);
    assert_eq!(client.numbers(), [1, 2, 3]);
    let (waited, outputs) = client.wait_for_timer();
    assert_eq!((waited, outputs), (1_000, ["push #3 A 1..3", "! sent 1A 2A 3A"].map(String::from).into()));
    assert_eq!(client.accepted(3, 1, 3)[1..], ["! durable 1A 2A 3A"]);
}

//= SES-51 test
#[test]
fn after_later_it_goes_on_behind_what_has_an_answer() {
    let mut client = Client::new(1);
    client.connect();
    client.write(&[update(1, 1)]);
    client.input(Input::Written);
    client.wait(100);
    client.accepted(1, 1, 1);
    assert_eq!(client.acks(2, &[PushEntry::Later { wait: 10 }]), ["! Later(10)"]);
    assert_eq!(client.wait_for_timer(), (10, ["push #3 A 2..2", "! sent 2A"].map(String::from).into()));
}

#[test]
fn after_later_nothing_is_taken() {
    let mut client = Client::new(1);
    client.connect();
    client.write(&[update(1, 1)]);
    client.input(Input::Written);
    client.wait(100);
    client.acks(1, &[PushEntry::Later { wait: 10 }]);
    assert_eq!(client.accepted(2, 1, 1), closed("PROTOCOL_ERROR"));
}

//= NEG-7 test
#[test]
fn the_rate_of_the_relay_is_kept() {
    let mut client = Client::new(250);
    assert_eq!(client.open(&limited(&[(LimitId::OPERATIONS_PER_SECOND, 100)]))[1], "push #1 A 1..100");
    let mut pushed = |wait| {
        assert_eq!(client.session.poll_timeout(), Some(client.now + wait));
        let mut outputs = client.wait(wait);
        outputs.truncate(1);
        outputs
    };
    assert_eq!(pushed(1_000), ["push #2 A 101..200"]);
    assert_eq!(pushed(1_000), ["push #3 A 201..250"]);
}

//= SES-42 test
#[test]
fn a_clock_too_far_ahead_is_set_back_once() {
    let mut client = Client::new(0);
    client.connect();
    client.write(&[update(1, 1)]);
    client.input(Input::Written);
    client.accepted(1, 1, 1);
    // A bridge has brought a timestamp from far in the future.
    let changes = client.replica.replay(&[op(Z, 1, at(1 << 50, Z), 2, 1)]).unwrap().changes;
    client.store(changes);
    assert_eq!(client.input(Input::Written), ["push #2 A 2..2", "! sent 1125899906842624Z"]);
    assert_eq!(client.write(&[update(3, 1)]), [at((1 << 50) + 1, A)]);
    let outputs = client.refused(2, ErrorCode::CLOCK_TOO_FAR_AHEAD, 0);
    assert_eq!(
        outputs,
        [
            concat!(
                "commit: -2; rejected 1125899906842624Z A2 CLOCK_TOO_FAR_AHEAD; -all; +1 1125899906842625A; ",
                "node B 0/1 clock 1 merged 1 untried",
            ),
            "! rejected 1125899906842624Z CLOCK_TOO_FAR_AHEAD",
            "! changed c.2",
            "! NewNode(ClockSetBack)",
            "goodbye done",
            "close None",
            "! Ended(NewNode)",
            "reconnect After(0)",
        ],
    );
    let mut client = client.again();
    client.connect();
    assert_eq!(client.write(&[update(4, 1)]), [at(2, B)]);
    // What was written before that is refused too, and nothing is set back again.
    let outputs = client.refused(1, ErrorCode::CLOCK_TOO_FAR_AHEAD, 0);
    assert_eq!(
        outputs,
        [
            "commit: -1; rejected 1125899906842625A B1 CLOCK_TOO_FAR_AHEAD; node B 1/2 clock 2 merged 1",
            "! rejected 1125899906842625A CLOCK_TOO_FAR_AHEAD",
            "! changed c.3",
            "push #2 B 2..2",
            "! sent 2B",
        ],
    );
}

//= OPS-18 test
//= SES-105 test
#[test]
fn what_needs_crdt_waits_for_a_connection_with_it() {
    let mut client = Client::new(1);
    let field = || FieldName::new("n").unwrap();
    client.write(&[Write::increment(collection("c"), Uuid::from_u128(2), (field(), &[]), 5)]);
    client.write(&[update(3, 1)]);
    let welcome = Hello { capabilities: Vec::new(), ..Hello::default() };
    assert_eq!(client.open(&welcome), ["! active, head 0/0", "push #1 A 1..1", "! sent 1A"],);
    assert_eq!(client.accepted(1, 1, 1)[2..], ["! cannot send 2A: crdt"]);
    client.write(&[update(4, 1)]);
    assert_eq!(client.input(Input::Written), NOTHING);
    client.input(Input::Closed);
    assert_eq!(client.again().connect()[1], "push #1 A 2..4");
}
