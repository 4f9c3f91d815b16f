//! The explanation of bytes, line by line.
//!
//! The codec decides whether bytes are legal and where they are not. What is shown comes from a second,
//! lenient reading ([`walk`]) that follows the tables of SPEC.md ([`schema`], [`layers`], [`value`]) and
//! stops at the fault that the codec found.

mod layers;
mod meaning;
mod schema;
mod table;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::io;

use blazedb_relay_conformance::meaning::Target;

pub(crate) use meaning::Meaning;
pub(crate) use table::Table;
use walk::{Stop, Walker};

/// What the codec found wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// At which byte.
    pub(crate) at: usize,
    /// The name of the error code.
    pub(crate) code: &'static str,
}

impl Fault {
    /// True if everything else was found legal before it (MSG-24), so that all of it can be shown.
    fn is_last(self) -> bool {
        self.code == "BAD_IDS_CHECK"
    }
}

/// One line of the explanation.
#[derive(Clone, Debug)]
pub(crate) struct Line<'a> {
    /// Where its bytes begin; in a decompressed payload from that payload's first byte.
    pub(crate) offset: usize,
    /// Whether that is a decompressed payload.
    pub(crate) inflated: bool,
    /// The bytes; none for a heading.
    pub(crate) bytes: &'a [u8],
    /// How deep the field is nested.
    pub(crate) depth: usize,
    /// What SPEC.md calls it.
    pub(crate) name: Cow<'a, str>,
    /// What it says.
    pub(crate) meaning: Meaning,
    /// What kind of line it is.
    pub(crate) kind: Kind,
}

/// What kind of line it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A field.
    Field,
    /// The name of what follows, without bytes of its own.
    Heading,
    /// The fault stands in this line, or this line belongs to what is wrong.
    Faulty {
        /// The fault, if it begins in this line, counted from the line's first byte.
        begins: Option<(usize, &'static str)>,
    },
}

/// Shows `bytes`, which are a `target`, up to `fault`. Offsets count from `base` bytes before them. If the
/// fault is inside a compressed payload, gives its place in the decompressed one.
///
/// # Errors
/// Those of `emit`.
pub(crate) fn explain(
    target: Target,
    bytes: &[u8],
    base: usize,
    fault: Option<Fault>,
    emit: &mut dyn FnMut(&Line<'_>) -> io::Result<()>,
) -> io::Result<Option<usize>> {
    let mut walker = Walker::new(bytes, base, fault, emit);
    let walked = match target {
        Target::Value => value::value(&mut walker, 0),
        Target::Record => layers::record(&mut walker),
        Target::Op => layers::op(&mut walker, ""),
        Target::Block => layers::block(&mut walker, ""),
        Target::Frame => layers::frame(&mut walker, false),
        Target::Message => layers::frame(&mut walker, true),
    };
    match walker.finish(walked) {
        Ok(()) | Err(Stop::Fault | Stop::Lost) => Ok(walker.inner_fault()),
        Err(Stop::Output(error)) => Err(error),
    }
}
