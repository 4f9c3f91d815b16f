//! Replicas that merge the same operations are equal.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blazedb_relay_conformance::fuzz::merge_converge(data));
