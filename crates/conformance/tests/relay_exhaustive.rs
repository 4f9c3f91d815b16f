//! Two clients and a relay: all orders of six steps out of eight, each looked at.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so")]

use blazedb_relay_conformance::sim::rig::{FORBIDDEN, Rig};
use blazedb_relay_conformance::sim::witness::Wrong;

use blazedb_relay::relay::{Config, Framing};

/// What may happen next.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The first client pushes two operations.
    FirstPushes,
    /// The second client pushes an operation that is refused.
    SecondIsRefused,
    /// The store does the oldest thing that it was asked for.
    StoreAnswers,
    /// It can't.
    StoreFails,
    /// It does not know whether it did.
    StoreLosesTrack,
    /// The first client connects once more, while the relay knows of no end.
    FirstConnectsAgain,
    /// The second client acknowledges what it got.
    SecondAcknowledges,
    /// The transport of the second client breaks, and it connects again.
    SecondComesBack,
}

const ALPHABET: [Step; 8] = [
    Step::FirstPushes,
    Step::SecondIsRefused,
    Step::StoreAnswers,
    Step::StoreFails,
    Step::StoreLosesTrack,
    Step::FirstConnectsAgain,
    Step::SecondAcknowledges,
    Step::SecondComesBack,
];

const FIRST: u64 = 1;
const SECOND: u64 = 2;

fn begin() -> Rig {
    let config = Config { tail_bytes: 0, window: 150, ..Config::default() };
    let mut rig = Rig::new(config);
    for node in [FIRST, SECOND] {
        rig.join(node, Framing::Stream, 7).unwrap();
        rig.settle().unwrap();
        let conn = rig.conn_of(node).unwrap();
        rig.subscribe(conn, 1, 1 << 20, if node == FIRST { &[] } else { &["bugs"] }).unwrap();
    }
    rig.settle().unwrap();
    rig
}

fn take(rig: &mut Rig, step: Step) -> Result<(), Wrong> {
    let (first, second) = (rig.conn_of(FIRST), rig.conn_of(SECOND));
    match step {
        Step::FirstPushes => first.map_or(Ok(()), |conn| rig.push(conn, "bugs", 2, 0)),
        Step::SecondIsRefused => second.map_or(Ok(()), |conn| rig.push(conn, FORBIDDEN, 1, 0)),
        Step::StoreAnswers => rig.answer(0, false),
        Step::StoreFails => rig.answer(0, true),
        Step::StoreLosesTrack => rig.lose_log(true),
        Step::FirstConnectsAgain => rig.join(FIRST, Framing::Stream, 7),
        Step::SecondAcknowledges => second.map_or(Ok(()), |conn| {
            rig.flush(conn)?;
            rig.acknowledge(conn, 1 << 20)
        }),
        Step::SecondComesBack => {
            if let Some(conn) = second {
                rig.close(conn)?;
            }
            rig.join(SECOND, Framing::Stream, 7)
        }
    }
}

/// Each step is looked at as it is taken; and when everything has come to rest, nothing may be missing.
#[test]
fn all_orders_of_six_steps() {
    let mut orders = 0;
    for order in 0..8_usize.pow(6) {
        let steps: Vec<_> = (0..6).map(|at| ALPHABET[order >> (3 * at) & 7]).collect();
        let mut rig = begin();
        let run = steps.iter().try_for_each(|step| take(&mut rig, *step));
        if let Err(wrong) = run.and_then(|()| rig.settle()).and_then(|()| rig.at_rest()) {
            panic!("{steps:?}: {wrong}");
        }
        orders += 1;
    }
    assert_eq!(orders, 262_144);
}
