//! What is done with everything that was read: just enough that none of it can be left out.

use uuid::Uuid;

use super::data::Kind;

/// A checksum over what was read, in the order in which it was read.
///
/// It looks at the length and both ends of a text: what lies between was paid for by whoever checked
/// that it is UTF-8, and reading it again would cost all contenders the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fold(u64);

/// Everything of an operation but its fields.
pub(crate) struct Head<'a> {
    pub(crate) node: Uuid,
    pub(crate) node_seq: u64,
    pub(crate) counter: u64,
    pub(crate) writer: Uuid,
    pub(crate) kind: Kind,
    pub(crate) record: Uuid,
    pub(crate) collection: &'a str,
}

impl Fold {
    #[inline]
    fn word(&mut self, word: u64) {
        self.0 = self.0.rotate_left(1) ^ word;
    }

    #[inline]
    fn uuid(&mut self, uuid: Uuid) {
        let (high, low) = uuid.as_u64_pair();
        self.word(high);
        self.word(low);
    }

    #[inline]
    pub(crate) fn head(&mut self, head: &Head<'_>) {
        self.uuid(head.node);
        self.word(head.node_seq);
        self.word(head.counter);
        self.uuid(head.writer);
        self.word(head.kind as u64);
        self.uuid(head.record);
        self.text(head.collection);
    }

    #[inline]
    pub(crate) fn null(&mut self) {
        self.word(1);
    }

    #[inline]
    pub(crate) fn bool(&mut self, value: bool) {
        self.word(2 + u64::from(value));
    }

    #[inline]
    pub(crate) fn int(&mut self, value: i64) {
        self.word(value.cast_unsigned());
    }

    #[inline]
    pub(crate) fn double(&mut self, value: f64) {
        self.word(value.to_bits());
    }

    #[inline]
    pub(crate) fn text(&mut self, text: &str) {
        let ends = match text.as_bytes() {
            [] => 0,
            [only] => u64::from(*only),
            [first, .., last] => u64::from(*first) << 8 | u64::from(*last),
        };
        self.word((text.len() as u64) << 16 | ends);
    }
}
