//! Endings and coming back (SPEC.md 10.11).

use super::*;
use crate::registry::GoodbyeReason;

fn connected() -> Client {
    let mut client = Client::new(1);
    client.connect();
    client
}

fn refused(code: &str, reconnect: &str) -> [String; 3] {
    [
        alloc::format!("close Some({code})"),
        alloc::format!("! Ended(Refused {{ code: {code}, text: \"why\" }})"),
        alloc::format!("reconnect {reconnect}"),
    ]
}

//= SES-93 test
//= SES-101 test
#[test]
fn credentials_are_for_the_application_to_mend() {
    let mut client = connected();
    assert_eq!(client.error(0, ErrorCode::TOKEN_EXPIRED, 0), refused("TOKEN_EXPIRED", "OnOrder"));
    assert_eq!(client.numbers(), [1]);
    let mut client = client.again();
    client.input(Input::Opened);
    assert_eq!(client.error(0, ErrorCode::UNAUTHENTICATED, 0), refused("UNAUTHENTICATED", "OnOrder"));
    assert_eq!(client.numbers(), [1]);
}

//= SES-100 test
#[test]
fn what_will_not_pass_by_itself_is_not_tried_for_10_minutes() {
    for code in [
        ErrorCode::VERSION_NOT_SUPPORTED,
        ErrorCode::CAPABILITY_REQUIRED,
        ErrorCode::LIMIT_NOT_SUPPORTED,
        ErrorCode::FORBIDDEN,
        ErrorCode::UNKNOWN_DATABASE,
    ] {
        let mut client = Client::new(0);
        client.input(Input::Opened);
        let name = code.name().unwrap();
        assert_eq!(client.error(0, code, 5), refused(name, "After(600000)"));
    }
    assert_eq!(connected().error(0, ErrorCode::FORBIDDEN, 700_000), refused("FORBIDDEN", "After(700000)"));
}

//= SES-99 test
//= ERR-3 test
#[test]
fn after_a_failure_it_waits_for_chance_and_the_relay() {
    assert_eq!(connected().error(0, ErrorCode::OVERLOADED, 0), refused("OVERLOADED", "After(567)"));
    assert_eq!(connected().error(0, ErrorCode::OVERLOADED, 9_000), refused("OVERLOADED", "After(9000)"));
    assert_eq!(connected().error(0, ErrorCode(999), 0), refused("ErrorCode(999)", "After(567)"));
    let lost = ["! Ended(Transport)", "reconnect After(567)"];
    assert_eq!(connected().input(Input::Closed), lost);
    // A transport that could not be opened at all.
    assert_eq!(Client::new(0).input(Input::Closed), lost);
}

//= SES-99 test
#[test]
fn failures_add_up_over_sessions() {
    let wait = |backoff, active_ms| {
        let mut client = Client::new(0);
        client.session = Session::new(config(), identity(B), backoff);
        client.connect();
        client.now += active_ms;
        let reconnect = client.outputs(Input::Closed).pop().unwrap();
        let Output::Reconnect(Reconnect::After(ms)) = reconnect else { panic!("{reconnect:?}") };
        (ms, client.session.backoff())
    };
    let (first, backoff) = wait(Backoff::default(), 1_000);
    let (second, backoff) = wait(backoff, 59_999);
    let (third, backoff) = wait(backoff, 0);
    assert_eq!((first, second, third), (567, 1_133, 2_266));
    // It was active for a minute.
    assert_eq!(wait(backoff, 60_000).0, 567);
}

//= SES-98 test
#[test]
fn goodbye_says_when_to_come_back() {
    let goodbye = |reason| {
        let mut client = connected();
        client.goodbye(reason)
    };
    assert_eq!(
        goodbye(GoodbyeReason::RESTARTING),
        ["close None", "! Ended(Goodbye(restarting))", "reconnect After(5000)"],
    );
    assert_eq!(
        goodbye(GoodbyeReason::IDLE),
        ["close None", "! Ended(Goodbye(idle))", "reconnect WhenNeeded(5000)"],
    );
    // With a random time of up to the jitter.
    let mut longest = 0;
    for seed in 0..50 {
        let mut client = Client::new(0).with(Config { seed, ..config() });
        client.connect();
        let goodbye = Goodbye {
            reason: GoodbyeReason::OVERLOADED,
            reconnect_after: 1_000,
            jitter: 500,
            extensions: Extensions::EMPTY,
        };
        let frame = Packet::new(Message::Goodbye(goodbye)).unwrap().to_bytes();
        let outputs = client.outputs(Input::Received(frame.into()));
        let Some(Output::Reconnect(Reconnect::After(ms))) = outputs.last() else { panic!("{outputs:?}") };
        assert!((1_000..=1_500).contains(ms));
        longest = longest.max(*ms);
    }
    assert!(longest > 1_450);
    // Before welcome, too.
    let mut client = Client::new(0);
    client.input(Input::Opened);
    assert_eq!(client.goodbye(GoodbyeReason::OVERLOADED)[2], "reconnect After(5000)");
}

//= SES-12 test
#[test]
fn a_session_closes_its_transport_before_it_is_over() {
    let endings: [fn(&mut Client) -> Vec<String>; 4] = [
        |client| client.error(0, ErrorCode::REPLACED, 0),
        |client| client.error(0, ErrorCode::OVERLOADED, 0),
        |client| client.goodbye(GoodbyeReason::RESTARTING),
        |client| client.accepted(9, 1, 1),
    ];
    for end in endings {
        let outputs = end(&mut connected());
        let place = |what: &str| outputs.iter().position(|output| output.starts_with(what)).unwrap();
        assert!(place("close") < place("reconnect"), "{outputs:?}");
        assert_eq!(place("reconnect"), outputs.len() - 1);
    }
}

#[test]
fn who_wanted_to_end_it_decides_when_to_come_back() {
    let mut client = connected();
    client.command(Command::Close);
    let outputs = client.error(0, ErrorCode::REPLACED, 0);
    assert_eq!(outputs[2..], ["! NewNode(Replaced)", "! Ended(NewNode)", "reconnect OnOrder"]);
}

//= SES-96 test
#[test]
fn it_ends_in_order_when_pushes_have_their_acks() {
    let mut client = connected();
    assert_eq!(client.command(Command::Close), NOTHING);
    client.write(&[update(1, 1)]);
    assert_eq!(client.input(Input::Written), NOTHING);
    assert_eq!(client.accepted(1, 1, 1)[1..], ["! durable 1A", "goodbye done"]);
    assert_eq!(client.session.state(), State::Draining);
    assert_eq!(client.input(Input::Closed), ["! Ended(Ordered)", "reconnect OnOrder"]);
    assert_eq!(client.session.state(), State::Apart);
    assert_eq!(client.numbers(), [2]);
}

//= SES-94 test
#[test]
fn after_goodbye_it_takes_what_comes_and_says_nothing() {
    let mut client = Client::new(0);
    client.subscribe(CollectionSet::ALL, 10);
    client.connect();
    assert_eq!(client.command(Command::Close), ["goodbye done"]);
    // An update is merged, but not acknowledged.
    let ops = [op(Z, 1, at(1, Z), 1, 1)];
    assert_eq!(
        client.update(1, Position::START, pos(7, 1), &[(1, &ops)]),
        [
            "commit: c.1.f = 1Z @1; all at 7/1; seen [7/1]; node A 0/0 clock 1 merged 1",
            "! changed c.1",
            "! caught up all",
        ],
    );
    // What is wrong is not told any more.
    assert_eq!(
        client.update(1, pos(7, 5), pos(7, 6), &[]),
        ["close Some(PROTOCOL_ERROR)", "! Ended(Fault(PROTOCOL_ERROR))", "reconnect OnOrder"],
    );
}

#[test]
fn it_can_end_before_it_has_begun() {
    let mut client = Client::new(0);
    assert_eq!(client.command(Command::Close), ["! Ended(Ordered)", "reconnect OnOrder"]);
    let mut client = Client::new(0);
    client.input(Input::Opened);
    assert_eq!(client.command(Command::Close), ["goodbye done"]);
    assert_eq!(client.goodbye(GoodbyeReason::DONE), ["close None", "! Ended(Ordered)", "reconnect OnOrder"]);
}

//= SES-106 test
#[test]
fn a_welcome_that_crosses_a_goodbye_is_ignored() {
    let mut client = Client::new(0);
    client.input(Input::Opened);
    assert_eq!(client.command(Command::Close), ["goodbye done"]);
    assert_eq!(client.welcome(&Hello::default()), NOTHING);
    assert_eq!(client.goodbye(GoodbyeReason::DONE), ["close None", "! Ended(Ordered)", "reconnect OnOrder"]);
}

#[test]
fn what_waits_for_others_does_not_hold_up_the_end() {
    let mut client = Client::new(1);
    client.connect();
    client.write(&[update(1, 1)]);
    client.input(Input::Written);
    assert_eq!(client.command(Command::Close), NOTHING);
    // Nothing but the heartbeat is left to wait for.
    assert_eq!(client.session.poll_timeout(), Some(client.now + 30_000));
}
