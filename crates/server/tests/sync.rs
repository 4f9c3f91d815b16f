//! What clients do with a relay on a good day, over real sockets.

#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use blazedb_relay::client::WriteState;
use support::{Client, config, get, server};
use uuid::Uuid;

#[tokio::test]
async fn what_one_writes_the_other_gets() {
    let server = server(&config()).await;
    let mut ann = Client::connect(server.address(), 1, None).await;
    let mut bob = Client::connect(server.address(), 2, None).await;
    let first = ann.insert("bugs", 1, "Fix login bug").await;
    ann.until(|ann| ann.replica.write_state(first) == WriteState::Durable).await;
    bob.until(|bob| bob.replica.record("bugs", Uuid::from_u128(1)).is_some()).await;
    let second = bob.insert("bugs", 2, "And another one").await;
    ann.until(|ann| ann.replica.record("bugs", Uuid::from_u128(2)).is_some()).await;
    bob.until(|bob| bob.replica.write_state(second) == WriteState::Durable).await;

    let (status, metrics) = get(server.address(), "/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "blazedb_relay_connections 2",
        "blazedb_relay_operations_received_total 2",
        "blazedb_relay_operations_sent_total 2",
        "blazedb_relay_database_head{database=\"app\"} 2",
        "blazedb_relay_ack_seconds_count 2",
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "{line} is not in\n{metrics}");
    }
    let (status, health) = get(server.address(), "/health").await;
    assert_eq!(status, 200);
    assert!(health.contains("\"status\":\"ok\""), "{health}");
    assert!(health.contains("\"app\":{\"state\":\"ok\",\"head\":2}"), "{health}");
    drop((ann, bob));
    server.shut_down().await;
}
