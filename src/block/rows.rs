//! Operations one after another (SPEC.md 6.3).

use super::header::{BlockHeader, HEADER};
use crate::error::DecodeError;
use crate::limits::MAX_OP;
use crate::op::{Known, OpRef, Visit, op};
use crate::registry::{Capabilities, ErrorCode};
use crate::wire::parse::{At, Res, at_offset, fail, take, u32};

/// The operations of a block, decompressed.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    header: BlockHeader,
    payload: &'a [u8],
}

impl<'a> Rows<'a> {
    pub(super) const fn new(header: BlockHeader, payload: &'a [u8]) -> Self {
        Self { header, payload }
    }

    /// Decodes and checks every operation and shows each to `visitor`, in order.
    ///
    /// # Errors
    /// The first rule of SPEC.md 6.1 and 6.3 that the bytes break. Offsets count from the start of the
    /// block; in a compressed one they are that of the payload (NOT-11).
    pub fn visit<V: Visit>(&self, capabilities: Capabilities, visitor: &mut V) -> Result<(), DecodeError> {
        self.walk(capabilities, visitor).map_err(|error| {
            let error = at_offset(self.payload, error).shifted(HEADER);
            //= NOT-11
            if self.header.compressed { DecodeError::new(error.code, HEADER, error.field) } else { error }
        })
    }

    /// Checks every operation.
    ///
    /// # Errors
    /// As [`Self::visit`].
    pub fn validate(&self, capabilities: Capabilities) -> Result<(), DecodeError> {
        self.visit(capabilities, &mut ())
    }

    /// The operations in order. Of rows that [`Self::validate`] refuses it gives those before the
    /// fault.
    #[must_use]
    pub const fn iter(&self) -> RowsIter<'a> {
        RowsIter { rest: self.payload, known: Known::none() }
    }

    /// The payload, decompressed.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    fn walk<V: Visit>(&self, capabilities: Capabilities, visitor: &mut V) -> Result<(), nom::Err<At<'a>>> {
        let header = self.header;
        let mut rest = self.payload;
        let mut next_seq = header.first_node_seq;
        let mut known = Known::none();
        //= BLK-11
        for _ in 0..header.count {
            let (after, row) = row(rest)?;
            let op = op(row, capabilities, &mut known, visitor)?;
            //= BLK-12
            if op.head.node != header.node {
                return fail(row.get(42..).unwrap_or_default(), ErrorCode::MIXED_NODES, "operation node");
            }
            //= BLK-13
            //= BLK-14
            let seq = op.head.node_seq;
            let fits =
                if header.holes { seq >= next_seq && seq <= header.last_node_seq() } else { seq == next_seq };
            if !fits {
                let field = if header.holes { "operation id in span" } else { "operation id" };
                return fail(row.get(2..).unwrap_or_default(), ErrorCode::NOT_CONTIGUOUS, field);
            }
            next_seq = seq + 1;
            rest = after;
        }
        if !rest.is_empty() {
            return fail(rest, ErrorCode::TRAILING_BYTES, "payload");
        }
        Ok(())
    }
}

/// The bytes of one operation with its length in front.
#[inline]
fn row(input: &[u8]) -> Res<'_, &[u8]> {
    let (rest, len) = u32("operation length")(input)?;
    //= OPS-6
    if len as usize > MAX_OP {
        return fail(input, ErrorCode::TOO_LONG, "operation length");
    }
    take(len as usize, "payload")(rest)
}

/// Walks the operations of [`Rows`].
#[derive(Clone, Debug)]
pub struct RowsIter<'a> {
    rest: &'a [u8],
    known: Known<'a>,
}

impl<'a> Iterator for RowsIter<'a> {
    type Item = OpRef<'a>;

    fn next(&mut self) -> Option<OpRef<'a>> {
        let (rest, row) = row(self.rest).ok()?;
        self.rest = rest;
        op(row, Capabilities::ALL, &mut self.known, &mut ()).ok()
    }
}
