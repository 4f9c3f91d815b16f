//! Whatever clients send, a relay does not panic and sends what it may send.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blazedb_relay_conformance::fuzz::relay_actions(data));
