//! The lenient reader: a place in the bytes, where they end, and the fault at which to stop.

use std::borrow::Cow;
use std::io;

use super::{Fault, Kind, Line, Meaning};

/// Why a walk ended early.
#[derive(Debug)]
pub(super) enum Stop {
    /// The fault was shown.
    Fault,
    /// The bytes make no sense here. That is the fault's doing, which stands further on: a checksum, say.
    Lost,
    /// The line could not be written.
    Output(io::Error),
}

pub(super) type Step = Result<(), Stop>;

/// Walks over bytes and shows what it passes.
pub(super) struct Walker<'a, 'o> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
    depth: usize,
    base: usize,
    inflated: bool,
    fault: Option<Fault>,
    /// Where the item ends that the fault is about: the walk goes on until there.
    hold: usize,
    /// The fault's place in a decompressed payload.
    inner: Option<usize>,
    emit: &'o mut dyn FnMut(&Line<'_>) -> io::Result<()>,
}

impl<'a, 'o> Walker<'a, 'o> {
    pub(super) fn new(
        bytes: &'a [u8],
        base: usize,
        fault: Option<Fault>,
        emit: &'o mut dyn FnMut(&Line<'_>) -> io::Result<()>,
    ) -> Self {
        let end = bytes.len();
        Self { bytes, at: 0, end, depth: 0, base, inflated: false, fault, hold: 0, inner: None, emit }
    }

    /// A walker over a decompressed payload, one level deeper, that writes where this one does.
    pub(super) fn inflated<'b>(&'b mut self, bytes: &'b [u8], fault: Option<Fault>) -> Walker<'b, 'b> {
        let depth = self.depth + 1;
        Walker { depth, inflated: true, ..Walker::new(bytes, 0, fault, &mut *self.emit) }
    }

    /// Bytes passed.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Where the innermost item with a known end ends.
    pub(super) const fn end(&self) -> usize {
        self.end
    }

    /// Bytes left of it.
    pub(super) const fn left(&self) -> usize {
        self.end - self.at
    }

    /// The bytes from `from` to `to`, as far as they are there.
    pub(super) fn slice(&self, from: usize, to: usize) -> &'a [u8] {
        let to = to.min(self.bytes.len());
        self.bytes.get(from.min(to)..to).unwrap_or_default()
    }

    /// The next `len` bytes of the item, or fewer at its end.
    pub(super) fn peek(&self, len: usize) -> &'a [u8] {
        self.slice(self.at, self.end.min(self.at.saturating_add(len)))
    }

    /// The next integer of `len` bytes.
    pub(super) fn peek_number(&self, len: usize) -> Option<u64> {
        let bytes = self.peek(len);
        (bytes.len() == len).then(|| number(bytes))
    }

    /// The fault if it is at the next byte.
    pub(super) fn fault_here(&self) -> Option<Fault> {
        self.fault.filter(|fault| fault.at == self.at)
    }

    /// Goes on as if there were no fault: it is shown where it is in a decompressed payload, not at the
    /// payload's first byte (NOT-11).
    pub(super) const fn fault_is_inside(&mut self, at: usize) {
        self.fault = None;
        self.inner = Some(at);
    }

    /// Where the fault is in a decompressed payload, if it is in one.
    pub(super) const fn inner_fault(&self) -> Option<usize> {
        self.inner
    }

    /// If the fault is at the next byte, it is about the next `len` bytes.
    pub(super) fn hold(&mut self, len: usize) {
        if self.fault_here().is_some() {
            self.hold = self.at.saturating_add(len).min(self.end);
        }
    }

    /// Shows a line without bytes.
    pub(super) fn heading<'n>(&mut self, name: impl Into<Cow<'n, str>>, meaning: Meaning) -> Step {
        self.show(&[], name.into(), meaning, Kind::Heading)
    }

    /// Passes `len` bytes and shows them.
    pub(super) fn field<'n>(
        &mut self,
        len: usize,
        name: impl Into<Cow<'n, str>>,
        meaning: impl FnOnce(&'a [u8]) -> Meaning,
    ) -> Result<&'a [u8], Stop> {
        if self.left() < len {
            return self.short(name, len);
        }
        let bytes = self.peek(len);
        self.pass(bytes, name.into(), meaning(bytes))?;
        Ok(bytes)
    }

    /// Passes an integer of `len` bytes and shows it.
    pub(super) fn number<'n>(
        &mut self,
        len: usize,
        name: impl Into<Cow<'n, str>>,
        meaning: impl FnOnce(u64) -> Meaning,
    ) -> Result<u64, Stop> {
        Ok(number(self.field(len, name, |bytes| meaning(number(bytes)))?))
    }

    /// Passes a length of `prefix` bytes and as many bytes as it says; shows them in one line and gives
    /// the bytes without the length.
    pub(super) fn prefixed<'n>(
        &mut self,
        prefix: usize,
        name: impl Into<Cow<'n, str>>,
        meaning: impl FnOnce(&'a [u8]) -> Meaning,
    ) -> Result<&'a [u8], Stop> {
        // If the length itself is cut short, this line shows it.
        let len = self.peek_number(prefix).map_or(0, saturated);
        let inside = move |bytes: &'a [u8]| bytes.get(prefix..).unwrap_or_default();
        self.field(prefix.saturating_add(len), name, |bytes| meaning(inside(bytes))).map(inside)
    }

    /// Walks what fills the next `len` bytes, of which at least as many are there. What the walk does not
    /// pass is shown raw.
    pub(super) fn region(&mut self, len: usize, walk: impl FnOnce(&mut Self) -> Step) -> Step {
        let (outer, depth) = (self.end, self.depth);
        self.end = self.end.min(self.at.saturating_add(len));
        let meaning = match walk(self) {
            Ok(()) => "left over",
            Err(Stop::Lost) => "makes no sense",
            Err(stop) => return Err(stop),
        };
        self.depth = depth;
        self.rest(meaning)?;
        self.end = outer;
        Ok(())
    }

    /// Walks something that is nested.
    pub(super) fn nested<T>(&mut self, walk: impl FnOnce(&mut Self) -> Result<T, Stop>) -> Result<T, Stop> {
        self.depth += 1;
        let result = walk(self);
        self.depth -= 1;
        result
    }

    /// Shows that `len` bytes should stand here and do not.
    pub(super) fn short<'n, T>(&mut self, name: impl Into<Cow<'n, str>>, len: usize) -> Result<T, Stop> {
        // The codec may see the end of a primitive that is inside this line.
        if self.fault.is_some_and(|fault| (self.at..=self.end).contains(&fault.at)) {
            let bytes = self.peek(self.left());
            self.hold = self.end;
            let meaning = Meaning::bad(format!("ends after {} of {len} bytes", bytes.len()));
            let begins = self.fault.map(|fault| (fault.at - self.at, fault.code));
            self.show(bytes, name.into(), meaning, Kind::Faulty { begins })?;
            return Err(Stop::Fault);
        }
        Err(Stop::Lost)
    }

    /// Ends the walk: whatever happened, the fault has been shown.
    pub(super) fn finish(&mut self, walked: Step) -> Step {
        if let Err(stop @ (Stop::Fault | Stop::Output(_))) = walked {
            return Err(stop);
        }
        self.depth = 0;
        self.end = self.bytes.len();
        self.rest(if walked.is_ok() { "left over" } else { "makes no sense" })?;
        let Some(fault) = self.fault else { return Ok(()) };
        // All bytes were passed, so it is behind the last of them.
        let begins = Some((0, fault.code));
        self.show(&[], "".into(), Meaning::bad("something is missing here"), Kind::Faulty { begins })?;
        Err(Stop::Fault)
    }

    /// Shows what is left of the item.
    fn rest(&mut self, meaning: &str) -> Step {
        if self.left() > 0 {
            self.pass(self.peek(self.left()), "".into(), Meaning::bad(meaning))?;
        }
        Ok(())
    }

    fn pass(&mut self, bytes: &'a [u8], name: Cow<'_, str>, meaning: Meaning) -> Step {
        let after = self.at + bytes.len();
        let Some(fault) = self.fault.filter(|fault| fault.at < after) else {
            self.show(bytes, name, meaning, Kind::Field)?;
            self.at = after;
            return Ok(());
        };
        let begins = fault.at.checked_sub(self.at).map(|at| (at, fault.code));
        self.show(bytes, name, meaning, Kind::Faulty { begins })?;
        self.at = after;
        if fault.is_last() {
            self.fault = None;
            return Ok(());
        }
        if after >= self.hold { Err(Stop::Fault) } else { Ok(()) }
    }

    fn show(&mut self, bytes: &[u8], name: Cow<'_, str>, meaning: Meaning, kind: Kind) -> Step {
        let (offset, inflated, depth) = (self.base + self.at, self.inflated, self.depth);
        let line = Line { offset, inflated, bytes, depth, name, meaning, kind };
        (self.emit)(&line).map_err(Stop::Output)
    }
}

/// The big-endian integer that at most eight bytes are.
pub(super) fn number(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// A length, or more than any input has.
pub(super) fn saturated(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
