//! What must not reach a log by way of a debug print.

#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

use blazedb_relay::wire::NodeKey;
use blazedb_relay::{client, relay};

//= SEC-7 test
#[test]
fn tokens_and_node_keys_are_not_shown() {
    let token = "secret-of-ada";
    let shown = [
        format!("{:?}", client::Credentials::bearer(token.as_bytes()).unwrap()),
        format!("{:?}", relay::Credentials { method: 1, token: token.as_bytes().into() }),
        format!("{:?}", NodeKey(*b"a key of 16 byte")),
    ];
    for text in &shown {
        let bytes = format!("{:?}", token.as_bytes());
        let inside = bytes.trim_matches(['[', ']']);
        let hex: String = b"a key of 16 byte".iter().map(|byte| format!("{byte:02x}")).collect();
        let numbers = format!("{:?}", b"a key of 16 byte");
        for secret in [token, inside, hex.as_str(), numbers.as_str(), "a key of 16 byte"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
