//! The client as an app sees it, on good days and on bad ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so here")]
#![allow(clippy::wildcard_enum_match_arm, reason = "each test looks for one thing")]

mod connection;
mod copies;
mod examples;
mod file;
mod server;
mod support;
mod writing;
