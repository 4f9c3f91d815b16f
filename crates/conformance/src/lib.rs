//! The conformance kit of the BlazeDB Relay protocol: what its tests, its vectors and its command line
//! share.
//!
//! [`meaning`] turns bytes into the JSON of test-vectors/README.md and back, through the production codec.
//! [`mod@reference`] does the first half a second time, written from SPEC.md alone. [`merge`] has a model
//! of the merge, [`session`] drives both ends of a connection. [`vectors`] reads the vectors, [`spec`] the
//! requirements and tables of SPEC.md.

pub mod fuzz;
pub mod generate;
pub mod meaning;
pub mod merge;
pub mod reference;
pub mod session;
#[cfg(feature = "sim")]
pub mod sim;
pub mod spec;
pub mod states;
pub mod vectors;
