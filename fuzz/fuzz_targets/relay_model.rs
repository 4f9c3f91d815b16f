//! A relay does in the end what a naive one would.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blazedb_relay_conformance::fuzz::relay_model(data));
