//! What is built from a meaning decodes to that meaning, in both decoders.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blazedb_relay_conformance::fuzz::round_trip(data));
