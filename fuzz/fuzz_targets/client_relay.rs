//! Devices and a relay become equal once nothing goes wrong any more.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blazedb_relay_conformance::fuzz::client_relay(data));
