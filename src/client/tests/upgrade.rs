//! Blocks that this client cannot read (SPEC.md 10.12).

use super::*;
use crate::message::Update as UpdateMessage;

/// An update of one block, with byte `at` of the block set to `byte` and the checksums around it right.
fn update_with(at: usize, byte: u8) -> Bytes {
    let ops = [op(Z, 1, super::at(1, Z), 1, 1)];
    let raw = block(&ops);
    let seqs = [Seq::new(1).unwrap()];
    let blocks = Blocks::decode(&raw, 1, Capabilities::ALL).unwrap();
    let blocks = LogBlocks::new(FirstSeqs::new(&seqs).unwrap(), blocks).unwrap();
    let (previous, new) = (Position::START, pos(7, 1));
    let update = UpdateMessage { subscription: 1, previous, new, blocks, extensions: Extensions::EMPTY };
    let mut frame = Packet::new(Message::Update(update)).unwrap().to_bytes();
    let start = frame.len() - raw.len();
    frame[start + at] = byte;
    // The header's checksum at 32, the operation's at the end.
    let check = crc32fast::hash(&frame[start..start + 32]);
    frame[start + 32..start + 36].copy_from_slice(&check.to_be_bytes());
    let end = frame.len() - 4;
    let check = crc32fast::hash(&frame[start + 40..end]);
    frame[end..].copy_from_slice(&check.to_be_bytes());
    frame.into()
}

fn subscribed() -> Client {
    let mut client = Client::new(0);
    client.subscribe(CollectionSet::ALL, 1_000_000);
    client.connect();
    client
}

const NEEDED: [&str; 6] = [
    "commit: node A 0/0 clock 0 merged 0 stopped",
    "! UpgradeNeeded",
    "error UPGRADE_NEEDED",
    "close Some(UPGRADE_NEEDED)",
    "! Ended(Fault(UPGRADE_NEEDED))",
    "reconnect After(567)",
];

//= SES-102 test
#[test]
fn what_a_later_version_may_write_needs_an_upgrade() {
    // Encoding, block flags, format version, operation flags, operation type, field key, value tag.
    for (at, byte) in [(0, 2), (1, 4), (40, 2), (41, 2), (98, 9), (119, 0x60), (123, 0x13)] {
        assert_eq!(subscribed().input(Input::Received(update_with(at, byte))), NEEDED, "byte {at}");
    }
    // Other faults are faults: a node that is nil.
    let mut client = subscribed();
    assert_eq!(client.input(Input::Received(update_with(97, 0))), closed("BAD_NODE"));
}

//= SES-103 test
#[test]
fn it_reads_no_more_and_writes_as_before() {
    let mut client = Client::new(0);
    client.subscribe(CollectionSet::ALL, 1_000_000);
    client.open(&Hello { head: pos(7, 9), ..Hello::default() });
    client.update(1, Position::START, pos(6, 1), &[]);
    client.error(0, ErrorCode::UPGRADE_NEEDED, 0);
    assert_eq!(client.replica.position(&CollectionSet::ALL), Some(pos(6, 1)));

    let mut client = client.with(Config { query: Offer::Not, ..config() });
    client.subscribe(CollectionSet::ALL, 1_000_000);
    client.command(Command::Pull {
        ticket: 1,
        pull: Pull { collections: CollectionSet::ALL, max_operations: 0, max_bytes: 0 },
    });
    client.write(&[update(1, 1)]);
    let welcome = || Hello { capabilities: [Capability::CRDT].into(), agreed: pos(6, 1), ..Hello::default() };
    assert_eq!(
        client.open(&welcome()),
        [
            "! active, head 0/0",
            "! UpgradeNeeded",
            "! Answered { ticket: 1, answer: Err(NotSent(UPGRADE_NEEDED)) }",
            "push #1 A 1..1",
            "! sent 1A",
        ],
    );
    client.input(Input::Closed);

    // A reader that offers more than the one that had to stop.
    client.replica.node.stopped = Some(Reader { version: 0x0100, capabilities: Capabilities::NONE });
    client.stored.push(Change::Node(client.replica.node));
    let mut client = client.again();
    client.subscribe(CollectionSet::ALL, 1_000_000);
    assert_eq!(
        client.open(&welcome()),
        [
            "! active, head 0/0",
            "commit: node A 0/1 clock 1 merged 0",
            "subscribe #1 1: all from 6/1 window 1000000",
            "push #2 A 1..1",
            "! sent 1A",
        ],
    );
}

//= SES-103 test
#[test]
fn the_relay_may_say_so() {
    let mut client = subscribed();
    assert_eq!(
        client.error(0, ErrorCode::UPGRADE_NEEDED, 0),
        [
            "commit: node A 0/0 clock 0 merged 0 stopped",
            "! UpgradeNeeded",
            "close Some(UPGRADE_NEEDED)",
            "! Ended(Refused { code: UPGRADE_NEEDED, text: \"why\" })",
            "reconnect After(567)",
        ],
    );
}
