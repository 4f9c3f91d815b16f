//! The codec and the reference decoder agree on every input.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blazedb_relay_conformance::fuzz::differential(data));
