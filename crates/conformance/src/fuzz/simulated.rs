//! Properties of the state machines and of the merge.

use arbitrary::Unstructured;
use blazedb_relay::merge::{Heard, State};
use blazedb_relay::message::{Extensions, Message, Ping, SyncStateRequest};
use blazedb_relay::op::{Op, OpKind};
use blazedb_relay::relay::{Config, Framing, Input};
use blazedb_relay::value::{Entries, Fields, Value};
use blazedb_relay::wire::{CollectionName, FieldName, NodeId, Timestamp};
use uuid::Uuid;

use crate::merge::{Model, contents};
use crate::sim;
use crate::sim::random::Random;
use crate::sim::rig::{FORBIDDEN, Rig};
use crate::sim::witness::Wrong;

/// Whatever clients send, in whatever order the store answers: nothing panics, and what a relay sends is
/// what it may send.
pub fn relay_actions(data: &[u8]) {
    let mut random = Random::chosen(data);
    let mut rig = Rig::new(config(&mut random));
    for _ in 0..data.len().min(400) {
        if let Err(wrong) = action(&mut rig, &mut random, true) {
            panic!("{wrong}");
        }
    }
}

/// With clients that keep to the rules, a relay does in the end what a naive one would: every push has its
/// answer, and every reader all that it asked for.
pub fn relay_model(data: &[u8]) {
    let mut random = Random::chosen(data);
    let mut rig = Rig::new(config(&mut random));
    for _ in 0..data.len().min(400) {
        if let Err(wrong) = action(&mut rig, &mut random, false) {
            panic!("{wrong}");
        }
    }
    if let Err(wrong) = rig.settle().and_then(|()| rig.at_rest()) {
        panic!("at rest: {wrong}");
    }
}

fn config(random: &mut Random) -> Config {
    Config {
        push_blocks: *random.pick(&[1, 4, 1_024]),
        subscriptions: 3,
        requests: 3,
        window: *random.pick(&[100, 1 << 24]),
        tail_bytes: *random.pick(&[0, 300, 1 << 22]),
        read_bytes: *random.pick(&[1, 300, 1 << 20]),
        opening: 3,
        ..Config::default()
    }
}

/// One step of anybody.
fn action(rig: &mut Rig, random: &mut Random, hostile: bool) -> Result<(), Wrong> {
    let node = random.within(1..=4);
    let conns = rig.open_conns();
    // Several connections of one node are open until the relay has closed the older ones.
    let conn = rig.conn_of(node).or_else(|| conns.first().copied());
    let step = random.below(if hostile { 22 } else { 15 });
    let Some(conn) = conn.filter(|_| step > 1) else {
        let key = if hostile && random.chance(100) { 8 } else { 7 };
        let framing = *random.pick(&[Framing::Stream, Framing::Messages]);
        return if conns.len() < 4 { rig.join(node, framing, key) } else { rig.answer(0, false) };
    };
    let number = u32::try_from(random.below(4)).unwrap_or(0);
    match step {
        0..=3 => rig.push(conn, random.pick::<&str>(&["bugs", "notes", FORBIDDEN]), random.within(1..=3), 0),
        4..=7 => {
            let which = random.below(rig.questions().max(1));
            let fails = random.chance(150);
            rig.answer(which, fails)
        }
        8 => rig.flush(conn),
        9 => {
            let names: &[&str] = if random.chance(500) { &["bugs"] } else { &[] };
            // A number is used once; who keeps to the rules counts up.
            let number = if hostile { number } else { rig.next_subscription(conn) };
            rig.subscribe(conn, number, *random.pick(&[0, 150, 1 << 20]), names)
        }
        10 => rig.acknowledge(conn, *random.pick(&[0, 150, 1 << 20])),
        11 => rig.pull(conn, *random.pick(&[0, 1, 1_000])),
        12 => rig.pass(*random.pick(&[1, 1_000, 5_000, 31_000])),
        13 => rig.close(conn),
        14 => rig.lose_log(random.chance(500)),
        15 => rig.push(conn, "bugs", 1, random.within(0..=2)),
        16 => {
            let garbage: Vec<u8> = (0..random.below(60)).map(|_| random.any().to_be_bytes()[0]).collect();
            rig.send(conn, garbage)
        }
        17 => rig.unsubscribe(conn, number),
        18 => {
            let request = SyncStateRequest { extensions: Extensions::EMPTY };
            rig.message(conn, Message::SyncStateRequest(request), number + 1)
        }
        19 => {
            rig.remember();
            let ping = Ping { nonce: 1, extensions: Extensions::EMPTY };
            rig.message(conn, Message::Ping(ping), 0)
        }
        20 => {
            let request = rig.hello_again(conn);
            rig.send(conn, request)
        }
        _ if random.chance(50) => rig.feed(Input::Shutdown),
        _ => rig.pass(0),
    }
}

/// A short simulation of devices and a relay of which the fuzzer makes the choices: once nothing goes
/// wrong any more, everything becomes equal.
pub fn client_relay(data: &[u8]) {
    let report = sim::run_short(Random::chosen(data));
    if let Some(wrong) = report.wrong {
        panic!("{wrong}");
    }
}

/// Replicas that merge the same operations in any order, more than once, or by way of one another, are
/// equal; and equal to what the text of SPEC.md 12 gives.
pub fn merge_converge(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut replicas = vec![State::new(); 3 + data.len() % 3];
    let mut model = Model::default();
    let mut ops = Vec::new();
    for number in 1..=40 {
        let Some(op) = operation(&mut u, number) else { break };
        model.apply(&op);
        // Some have it at once, and some twice.
        let mask = u.arbitrary::<u8>().unwrap_or(0);
        for (at, replica) in replicas.iter_mut().enumerate() {
            if mask >> at & 1 == 1 {
                replica.apply_owned(&op, Heard::at(number), &mut ());
            }
        }
        if mask & 0x80 != 0 {
            let from = replicas[usize::from(mask & 3) % replicas.len()].clone();
            replicas[0].merge(&from, &mut ());
        }
        if mask & 0x40 != 0 {
            replicas[1].prune(&mut ());
        }
        ops.push(op);
    }
    let expected = model.contents();
    for (at, replica) in replicas.iter_mut().enumerate() {
        let backwards = at % 2 == 0;
        let mut rest: Vec<&Op> = ops.iter().collect();
        if backwards {
            rest.reverse();
        }
        for op in rest {
            replica.apply_owned(op, Heard::at(1), &mut ());
        }
        assert_eq!(contents(replica), expected, "replica {at}");
    }
}

fn operation(u: &mut Unstructured<'_>, number: u64) -> Option<Op> {
    let node = NodeId::new(Uuid::from_u128(u128::from(u.int_in_range(1..=3_u8).ok()?))).ok()?;
    let timestamp = Timestamp::new(u.int_in_range(1..=12).ok()?, node).ok()?;
    let record =
        (CollectionName::new("c").ok()?, Uuid::from_u128(u128::from(u.int_in_range(1..=2_u8).ok()?)));
    if u.ratio(1, 8).ok()? {
        return Op::new((node, number), timestamp, OpKind::Delete, record, Fields::default()).ok();
    }
    let value = value(u, timestamp, 3)?;
    let fields = Fields::new(vec![(FieldName::new(u.choose(&["f", "g"]).ok()?).ok()?, value)]).ok()?;
    Op::new((node, number), timestamp, OpKind::Update, record, fields).ok()
}

fn value(u: &mut Unstructured<'_>, timestamp: Timestamp, depth: usize) -> Option<Value> {
    Some(match u.int_in_range(0..=7_u8).ok()? {
        0 => Value::Null,
        1 => Value::Removed,
        2 => Value::from(i64::from(u.arbitrary::<i8>().ok()?)),
        3 => Value::Dictionary(Entries::new(vec![("a".into(), Value::from(1))]).ok()?),
        4 => {
            let counter = u.int_in_range(0..=timestamp.counter() - 1).ok()?;
            let node = NodeId::new(Uuid::from_u128(u128::from(u.int_in_range(1..=3_u8).ok()?))).ok()?;
            let base = if counter == 0 { Timestamp::NEVER } else { Timestamp::new(counter, node).ok()? };
            Value::Counter { base, total: u.arbitrary().ok()? }
        }
        _ if depth > 0 => {
            let key: Box<str> = (*u.choose(&["a", "b"]).ok()?).into();
            let below = value(u, timestamp, depth - 1)?;
            Value::Patch(Entries::new(vec![(key, below)]).ok()?)
        }
        _ => Value::from("text"),
    })
}
