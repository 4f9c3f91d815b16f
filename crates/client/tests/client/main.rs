//! The client as an app sees it, on good days and on bad ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that fails says so here")]
#![allow(clippy::missing_panics_doc, reason = "tests")]

mod connection;
mod copies;
mod examples;
mod file;
mod server;
mod support;
mod writing;
