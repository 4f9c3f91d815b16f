//! 6.2 to 6.4.

use super::*;

#[test]
fn rows_and_their_compressed_form() {
    let payload = rows(&[insert(5), insert(6)]);
    let plain = run(Target::Block, &block(0, 2, 2, 5, &payload), &session()).unwrap();
    assert_eq!((&plain["first_node_seq"], &plain["span"]), (&Json::from("5"), &Json::from("2")));
    assert_eq!(plain["ops"][1]["node_seq"], "6");
    let mut lz4 = run(Target::Block, &block(1, 2, 2, 5, &compressed(&payload)), &session()).unwrap();
    assert_eq!(lz4["compressed"], true);
    lz4["compressed"] = Json::Bool(false);
    assert_eq!(lz4, plain);
}

/// A block with some bytes of its header exchanged.
fn changed(at: usize, with: &[u8]) -> Vec<u8> {
    let good = block(0, 1, 1, 5, &rows(&[insert(5)]));
    let mut head = good[..32].to_vec();
    head.splice(at..at + with.len(), with.iter().copied());
    let mut all = sealed(head);
    all.extend_from_slice(&good[36..]);
    all
}

#[test]
fn headers() {
    let good = changed(0, &[1]);
    fails(Target::Block, &good[..35], "TRUNCATED", 0); // BLK-1
    fails(Target::Block, &[0; 36], "BAD_CHECKSUM", 32);
    fails(Target::Block, &changed(0, &[2]), "UNKNOWN_ENCODING", 0); // BLK-2
    fails(Target::Block, &changed(1, &[4]), "UNKNOWN_FLAG", 1); // BLK-3
    fails(Target::Block, &changed(2, &[0, 0]), "EMPTY", 2); // BLK-5
    fails(Target::Block, &changed(4, &[0, 2]), "NOT_CONTIGUOUS", 4); // BLK-6
    fails(Target::Block, &changed(1, &[2]), "NOT_CONTIGUOUS", 4);
    fails(Target::Block, &changed(6, &[0; 6]), "BAD_NODE_SEQ", 6); // BLK-7
    fails(Target::Block, &changed(2, &[0, 2, 0, 2, 255, 255, 255, 255, 255, 255]), "BAD_NODE_SEQ", 6);
    fails(Target::Block, &changed(12, &[0; 16]), "BAD_NODE", 12); // BLK-8
    fails(Target::Block, &changed(28, &[0, 0x10, 0, 1]), "TOO_LONG", 28); // BLK-9
    fails(Target::Block, &good[..good.len() - 1], "TRUNCATED", 36);
    fails(Target::Block, &[&good[..], &[0]].concat(), "TRAILING_BYTES", good.len()); // BLK-10
    let without = Context { compression: false, ..session() };
    assert_eq!(run(Target::Block, &changed(1, &[1]), &without), Err(("NOT_NEGOTIATED", 1))); // BLK-4
}

#[test]
fn operations_of_a_block() {
    let one = rows(&[insert(5)]);
    let len = one.len();
    fails(Target::Block, &block(0, 2, 2, 5, &one), "TRUNCATED", 36 + len); // BLK-11
    fails(Target::Block, &block(0, 1, 1, 5, &rows(&[insert(5), insert(6)])), "TRAILING_BYTES", 36 + len);
    fails(Target::Block, &block(0, 1, 1, 5, &[0, 0, 0, 0]), "TRUNCATED", 40); // OPS-7
    fails(Target::Block, &block(0, 1, 1, 5, &[0, 0x0F, 0, 1]), "TOO_LONG", 36); // OPS-6
    fails(Target::Block, &block(0, 1, 1, 6, &one), "NOT_CONTIGUOUS", 42); // BLK-13
    fails(Target::Block, &block(0, 2, 2, 5, &[&one[..], &one].concat()), "NOT_CONTIGUOUS", 42 + len);
    let mut other = block(0, 1, 1, 5, &one)[..32].to_vec();
    other[12] = 1;
    let other = [sealed(other), one].concat();
    fails(Target::Block, &other, "MIXED_NODES", 40 + 42); // BLK-12
}

#[test]
fn holes() {
    let len = rows(&[insert(5)]).len();
    let holes = |seqs: [u64; 2]| block(2, 2, 4, 5, &rows(&seqs.map(insert)));
    assert!(decode(Target::Block, &holes([5, 8]), &session()).is_ok());
    fails(Target::Block, &holes([4, 8]), "NOT_CONTIGUOUS", 42); // BLK-14
    fails(Target::Block, &holes([6, 6]), "NOT_CONTIGUOUS", 42 + len);
    fails(Target::Block, &holes([6, 9]), "NOT_CONTIGUOUS", 42 + len);
}

#[test]
fn compression() {
    let lz4 = |payload: &[u8]| block(1, 1, 1, 5, payload);
    fails(Target::Block, &lz4(&[0, 0, 0]), "TRUNCATED", 36);
    fails(Target::Block, &lz4(&[0, 0, 0, 0]), "EMPTY", 36); // BLK-15
    fails(Target::Block, &lz4(&[0, 0x10, 0, 1]), "TOO_LONG", 36);
    fails(Target::Block, &lz4(&[0, 0, 0, 1]), "BAD_COMPRESSION", 36); // BLK-16
    fails(Target::Block, &lz4(&[0, 0, 0, 2, 0x10, 1]), "BAD_COMPRESSION", 36); // BLK-17
    fails(Target::Block, &lz4(&[0, 0, 0, 1, 0x10, 1]), "TRUNCATED", 36); // NOT-11
}
