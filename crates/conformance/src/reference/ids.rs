//! Timestamps, positions, ids of operations, names of collections (3.2 to 3.4, 6.1).

use super::reader::{Reader, Text, Zero};
use super::{Fault, fail};

/// The nil UUID.
pub(super) const NIL: [u8; 16] = [0; 16];
/// The highest counter and the highest seq.
pub(super) const MAX_53: u64 = (1 << 53) - 1;
/// The highest node_seq.
pub(super) const MAX_NODE_SEQ: u64 = (1 << 48) - 1;

/// A timestamp. Its order is that of the fields, counter first (3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Timestamp {
    pub(super) counter: u64,
    pub(super) node: [u8; 16],
}

impl Timestamp {
    /// Two fields, each checked when it has been read.
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let at = reader.at();
        let counter = reader.u64()?;
        if counter == 0 || counter > MAX_53 {
            return fail("BAD_TIMESTAMP", at); // OPS-1
        }
        let at = reader.at();
        let node = reader.uuid()?;
        if node == NIL {
            return fail("BAD_NODE", at); // OPS-2
        }
        Ok(Self { counter, node })
    }

    /// The base of a counter: a timestamp or never, judged as a pair.
    pub(super) fn read_base(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let at = reader.at();
        let base = Self { counter: reader.u64()?, node: reader.uuid()? };
        let never = base.counter == 0 && base.node == NIL;
        let legal = (1..=MAX_53).contains(&base.counter) && base.node != NIL;
        if !never && !legal {
            return fail("BAD_TIMESTAMP", at); // VAL-13
        }
        Ok(base)
    }
}

/// A position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) epoch: u64,
    pub(super) seq: u64,
}

impl Position {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Fault> {
        let at = reader.at();
        let (epoch, seq) = (reader.u64()?, reader.u64()?);
        if seq > MAX_53 {
            return fail("BAD_POSITION", at); // MSG-1
        }
        if epoch == 0 && seq != 0 {
            return fail("BAD_POSITION", at); // MSG-2
        }
        Ok(Self { epoch, seq })
    }
}

/// The id of the operation that `node` delivers as `node_seq` (3.4).
pub(super) fn op_id(node: &[u8; 16], node_seq: u64) -> [u8; 16] {
    let mut id = *node;
    id[..6].copy_from_slice(&node_seq.to_be_bytes()[2..]);
    id[6] = 0x80 | node[6] & 0x0F;
    id
}

/// The name of a collection.
pub(super) fn name<'a>(reader: &mut Reader<'a>) -> Result<Text<'a>, Fault> {
    reader.text(1, 128, Zero::Forbidden) // OPS-12
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::tests::{NODE, hex};

    #[test]
    fn the_example_of_3_4() {
        assert_eq!(op_id(&NODE, 42)[..], hex("00000000002a81d4a716446655440000")[..]);
    }

    #[test]
    fn positions() {
        let read = |text: &str| Position::read(&mut Reader::new(&hex(text)));
        assert_eq!(read("0000000000000000 0000000000000000"), Ok(Position { epoch: 0, seq: 0 }));
        assert_eq!(read("0000000000000000 0000000000000001"), fail("BAD_POSITION", 0)); // MSG-2
        assert_eq!(read("0000000000000001 0020000000000000"), fail("BAD_POSITION", 0)); // MSG-1
        assert_eq!(read("0000000000000001 00200000000000"), fail("TRUNCATED", 8));
    }

    #[test]
    fn timestamps() {
        let read = |text: &str| Timestamp::read(&mut Reader::new(&hex(text)));
        assert_eq!(read("0000000000000000"), fail("BAD_TIMESTAMP", 0)); // OPS-1
        assert_eq!(read("0020000000000000"), fail("BAD_TIMESTAMP", 0)); // OPS-1
        assert_eq!(read("0000000000000001 00000000000000000000000000000000"), fail("BAD_NODE", 8)); // OPS-2
        assert_eq!(read("0000000000000001 00"), fail("TRUNCATED", 8));
    }
}
