//! Timers (SPEC.md 10.2). The heartbeat interval of these relays is 30 s.

use super::*;

//= SES-7 test
#[test]
fn welcome_comes_within_30_s() {
    let mut client = Client::new(0);
    assert_eq!(client.session.poll_timeout(), None);
    client.input(Input::Opened);
    assert_eq!(client.session.poll_timeout(), Some(31_000));
    assert_eq!(client.wait(29_999), NOTHING);
    assert_eq!(client.wait(1), closed("HANDSHAKE_TIMEOUT"));
}

//= SES-7 test
//= SES-10 test
#[test]
fn silence_is_answered_with_pings_and_then_ended() {
    let mut client = Client::new(0);
    client.connect();
    assert_eq!(client.wait_for_timer(), (30_000, [String::from("ping 1")].into()));
    assert_eq!(client.wait_for_timer(), (30_000, [String::from("ping 2")].into()));
    assert_eq!(client.wait_for_timer(), (30_000, closed("IDLE_TIMEOUT").into()));

    let mut client = Client::new(0);
    client.connect();
    client.wait_for_timer();
    for nonce in [1, 1, 77] {
        assert_eq!(client.receive(Message::Pong(Pong { nonce, extensions: Extensions::EMPTY })), NOTHING);
    }
    assert_eq!(client.wait_for_timer(), (30_000, [String::from("ping 2")].into()));
}

//= SES-8 test
#[test]
fn any_byte_is_life() {
    let mut client = Client::new(0);
    client.connect();
    for byte in [1, 0, 0, 4] {
        client.now += 29_000;
        assert_eq!(client.input(Input::Received(Bytes::copy_from_slice(&[byte]))), NOTHING);
    }
    assert_eq!(client.wait_for_timer(), (30_000, [String::from("ping 1")].into()));
}

#[test]
fn a_late_timer_pings_once() {
    let mut client = Client::new(0);
    client.connect();
    assert_eq!(client.wait(75_000), ["ping 1"]);
    assert_eq!(client.wait_for_timer(), (15_000, closed("IDLE_TIMEOUT").into()));
}

//= SES-9 test
#[test]
fn a_ping_is_answered_with_its_nonce() {
    let mut client = Client::new(0);
    client.connect();
    let ping = |nonce| Message::Ping(Ping { nonce, extensions: Extensions::EMPTY });
    assert_eq!(client.receive(ping(u64::MAX)), [alloc::format!("pong {}", u64::MAX)]);
    //= SES-94 test
    client.command(Command::Close);
    assert_eq!(client.receive(ping(5)), NOTHING);
}

//= SES-7 test
#[test]
fn goodbye_is_waited_for_5_s() {
    let mut client = Client::new(0);
    client.connect();
    assert_eq!(client.command(Command::Close), ["goodbye done"]);
    assert_eq!(
        client.wait_for_timer(),
        (5_000, ["close None", "! Ended(Ordered)", "reconnect OnOrder"].map(String::from).into()),
    );
}
