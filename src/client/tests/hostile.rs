//! A relay that says anything at any time.

use super::*;
use crate::message::Update as UpdateMessage;

/// Chance of its own, so that the session's is not disturbed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (self.0 >> 33) % sides
    }

    fn position(&mut self) -> Position {
        if self.roll(4) == 0 { Position::START } else { pos(6 + self.roll(2), 1 + self.roll(12)) }
    }
}

fn any_ops(dice: &mut Dice) -> Vec<Op> {
    let (n, first) = ([A, B, Z][dice.roll(3) as usize], 1 + dice.roll(6));
    let count = 1 + dice.roll(3);
    (first..first + count)
        .map(|number| {
            let author = [A, Z][dice.roll(2) as usize];
            op(n, number, at(1 + dice.roll(9), author), u128::from(dice.roll(3)), 1)
        })
        .collect()
}

/// Something that a relay might say, more or less to the point.
fn say(client: &mut Client, dice: &mut Dice) -> Vec<Output> {
    let extensions = Extensions::EMPTY;
    let id = 1 + u32::try_from(dice.roll(6)).unwrap();
    let frame = |message: Message<'_>, id| Packet::with_id(message, id).unwrap().to_bytes();
    let bytes = match dice.roll(10) {
        0 | 1 => {
            let first = 1 + dice.roll(9);
            let entry = match dice.roll(4) {
                0 => PushEntry::Later { wait: 10 },
                1 => {
                    let codes =
                        [ErrorCode::REFUSED, ErrorCode::WRITE_FORBIDDEN, ErrorCode::CLOCK_TOO_FAR_AHEAD];
                    let index = u16::try_from(dice.roll(2)).unwrap();
                    PushEntry::Refused { code: codes[dice.roll(3) as usize], index }
                }
                _ => {
                    let last = first + dice.roll(3);
                    PushEntry::Accepted(Accepted::new(first, pos(7, last)).unwrap())
                }
            };
            frame(Message::PushAck(PushAck { entries: List::new(&[entry]).unwrap(), extensions }), id)
        }
        kind @ 2..=6 => {
            let ops = any_ops(dice);
            let raw = block(&ops);
            let seqs = [Seq::new(1 + dice.roll(9)).unwrap()];
            let blocks = Blocks::decode(&raw, 1, Capabilities::ALL).unwrap();
            let blocks = LogBlocks::new(FirstSeqs::new(&seqs).unwrap(), blocks).unwrap();
            let blocks = if dice.roll(3) == 0 { LogBlocks::NONE } else { blocks };
            let all = client.replica.position(&CollectionSet::ALL).unwrap_or(Position::START);
            let previous = if dice.roll(8) == 0 { dice.position() } else { all };
            let new = pos(7, previous.seq() + 1 + dice.roll(12));
            if kind == 2 {
                let response = PullResponse { next: new, has_more: false, blocks, extensions };
                frame(Message::PullResponse(response), id)
            } else {
                let update = UpdateMessage { subscription: 1, previous, new, blocks, extensions };
                frame(Message::Update(update), 0)
            }
        }
        7 => {
            let codes = [ErrorCode::POSITION_UNKNOWN, ErrorCode::FORBIDDEN, ErrorCode::STORE_UNAVAILABLE];
            let code = codes[dice.roll(3) as usize];
            let text = ErrorText::new("").unwrap();
            let error = Error { code, scope: Scope::Request, retry_after: 0, text, extensions };
            frame(Message::Error(error), id)
        }
        8 => frame(Message::Ping(Ping { nonce: dice.roll(9), extensions }), 0),
        _ => {
            let codes = [ErrorCode::REPLACED, ErrorCode::UPGRADE_NEEDED, ErrorCode::OUT_OF_STEP];
            let code = codes[dice.roll(3) as usize];
            let text = ErrorText::new("").unwrap();
            let error = Error { code, scope: Scope::Connection, retry_after: 0, text, extensions };
            if dice.roll(4) == 0 { frame(Message::Error(error), 0) } else { Vec::new() }
        }
    };
    client.outputs(Input::Received(bytes.into()))
}

fn hello(client: &Client, dice: &mut Dice) -> Hello {
    let node = client.replica.node();
    let given = node.given.get();
    let mark = if dice.roll(3) == 0 { dice.roll(given + 2) } else { node.acknowledged.node_seq().get() };
    let known = client.replica.outbox().find(|queued| queued.number() == mark).map(Queued::check);
    let check = if mark == 0 { 0 } else { known.unwrap_or_else(|| node.acknowledged.check()) };
    let newest = client.replica.seen().positions().first().copied().unwrap_or(Position::START);
    let lost = dice.roll(4) == 0 && newest.seq() > 1;
    let agreed = if lost { pos(newest.epoch(), 1 + dice.roll(newest.seq())) } else { newest };
    let restore_mode = if dice.roll(3) == 0 { RestoreMode::Discard } else { RestoreMode::Keep };
    Hello { mark, check, agreed, restore_mode, head: agreed, ..Hello::default() }
}

/// Every number behind acknowledged is in the outbox, and no other but uncertain ones and what is in
/// flight while its ack is waited for.
fn has_no_gap(client: &Client) {
    let node = client.replica.node();
    let taken = node.acknowledged.node_seq().get();
    let behind: Vec<_> =
        client.replica.outbox().map(Queued::number).filter(|number| *number > taken).collect();
    assert_eq!(behind, (taken + 1..=node.given.get()).collect::<Vec<_>>());
}

//= SES-55 test
//= SES-101 test
#[test]
fn no_write_is_ever_lost() {
    for seed in 0..300 {
        let mut dice = Dice(seed);
        let mut client = Client::new(0);
        let mut written = Vec::new();
        for connection in 0..4_u128 {
            let spare = identity(0x20 + connection);
            let config = Config { seed, ..config() };
            client.session = Session::new(config, spare, Backoff::default());
            client.subscribe(CollectionSet::ALL, 200);
            client.input(Input::Opened);
            let hello = hello(&client, &mut dice);
            client.welcome(&hello);
            for _ in 0..12 {
                match dice.roll(6) {
                    0 => {
                        let writes: Vec<_> = (0..=dice.roll(2)).map(|n| update(u128::from(n), 1)).collect();
                        written.extend(client.write(&writes));
                        client.input(Input::Written);
                    }
                    1 => drop(client.wait(100)),
                    2 => {
                        let pull = Pull { collections: CollectionSet::ALL, max_operations: 0, max_bytes: 0 };
                        client.command(Command::Pull { ticket: 1, pull });
                    }
                    _ => {
                        let outputs = say(&mut client, &mut dice);
                        for output in outputs {
                            if let Output::Event(Event::Durable(writes)) = output {
                                written.retain(|write| !writes.contains(write));
                            }
                        }
                    }
                }
                has_no_gap(&client);
                // What the relay has not said to have is still there, or on the rejected list.
                for write in &written {
                    assert_ne!(
                        client.replica.write_state(*write),
                        WriteState::Durable,
                        "seed {seed}: {write:?}"
                    );
                }
            }
            client.input(Input::Closed);
        }
    }
}

#[test]
fn any_bytes_end_in_order() {
    for seed in 0..2_000 {
        let mut dice = Dice(seed);
        let mut client = Client::new(0);
        client.connect();
        let ping = Ping { nonce: 1, extensions: Extensions::EMPTY };
        let mut bytes = Packet::new(Message::Ping(ping)).unwrap().to_bytes();
        let place = dice.roll(bytes.len() as u64) as usize;
        bytes[place] ^= 1 << dice.roll(8);
        let outputs = client.input(Input::Received(bytes.into()));
        // Either it waits for the rest of a longer frame, or it is the end.
        assert!(outputs.is_empty() || outputs.last().unwrap().starts_with("reconnect"), "{outputs:?}");
    }
}
