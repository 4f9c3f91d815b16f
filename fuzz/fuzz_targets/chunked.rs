//! A stream that comes in pieces gives the same frames and the same first error as a whole one.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| blazedb_relay_conformance::fuzz::chunked(data));
