//! The network's bad days.

use core::time::Duration;

use blazedb_relay::codec::Packet;
use blazedb_relay::message::{Error, ErrorText, Extensions, Message, Scope};
use blazedb_relay_client::{
    Bytes, Client, CollectionSet, Connection, ErrorCode, Event, Hindrance, LocalRelay, NewNode, Offline,
    Options, WriteState,
};

use super::support::{Gate, bug, event, memory, titles, until};

#[tokio::test(start_paused = true)]
async fn a_week_without_the_server() {
    let relay = LocalRelay::new();
    let gate = Gate::new(&relay);
    let client = memory(gate.clone()).await;
    client.online().await.unwrap();
    gate.close();
    until(&client, |client| matches!(client.status().connection, Connection::Offline { .. })).await;
    assert_eq!(client.status().hindrance, Some(Hindrance::NotConnected));
    let week = Duration::from_secs(7 * 24 * 3_600);
    let record = bug(&client, "written offline").await;
    let write = client.update("bugs", record, &[("status", "closed".into())]).await.unwrap();
    tokio::time::sleep(week).await;
    // It has tried, but not more often than once in a while.
    let tries = gate.tries() as u64;
    assert!((5_000..40_000).contains(&tries), "{tries}");
    assert_eq!(client.write_state(write), WriteState::Queued);
    assert!(client.record("bugs", record).is_some());
    let down = Offline::Transport("the network is down".into());
    until(&client, |client| match client.status().connection {
        Connection::Offline { why, retry_in } => why == down && retry_in <= Some(Duration::from_secs(60)),
        _ => false,
    })
    .await;

    gate.open();
    client.connect();
    client.settled().await.unwrap();
    assert_eq!(client.write_state(write), WriteState::Durable);
    let other = memory(relay).await;
    other.caught_up().await.unwrap();
    assert_eq!(titles(&other), ["written offline"]);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_connection_is_found_out() {
    let gate = Gate::new(&LocalRelay::new());
    let client = memory(gate.clone()).await;
    client.online().await.unwrap();
    let mut events = client.events();
    gate.mute();
    let record = bug(&client, "sent into nothing").await;
    let why = event(&mut events, |event| match event {
        Event::Connection(Connection::Offline { why, .. }) => Some(why.clone()),
        _ => None,
    });
    assert_eq!(why.await, Offline::Fault(ErrorCode::IDLE_TIMEOUT));
    assert_eq!(client.status().queued, 1);
    gate.open();
    client.settled().await.unwrap();
    assert!(client.record("bugs", record).is_some());
}

fn connection_error(code: ErrorCode) -> Bytes {
    let text = ErrorText::new("the token has expired").unwrap();
    let error = Error { code, scope: Scope::Connection, retry_after: 0, text, extensions: Extensions::EMPTY };
    Packet::new(Message::Error(error)).unwrap().to_bytes().into()
}

#[tokio::test(start_paused = true)]
async fn a_token_that_expires_in_the_middle() {
    let gate = Gate::new(&LocalRelay::new());
    let options = Options::new("app").unwrap().relay(gate.clone()).token("old").unwrap().subscribe_all();
    let client = Client::open(options).await.unwrap();
    client.online().await.unwrap();
    gate.inject(connection_error(ErrorCode::TOKEN_EXPIRED));
    bug(&client, "never lost").await;
    until(&client, |client| matches!(client.status().connection, Connection::NotAuthenticated { .. })).await;
    assert_eq!(client.status().queued, 1);
    let tries = gate.tries();
    // Not again with the same token, however long.
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(gate.tries(), tries);
    assert!(client.online().await.unwrap_err().to_string().contains("the token has expired"));

    client.authenticate("new").await.unwrap();
    client.settled().await.unwrap();
    // And in band, where nothing is interrupted.
    let tries = gate.tries();
    client.authenticate("newer").await.unwrap();
    assert_eq!(gate.tries(), tries);
    assert_eq!(client.status().hindrance, None);
}

#[tokio::test(start_paused = true)]
async fn a_relay_that_lost_everything_gets_it_back() {
    // Two relays with the same database, as one is before and after it lost its disk.
    let (first, second) = (LocalRelay::new(), LocalRelay::new());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a");
    let client = super::support::in_file(&path, first).await;
    bug(&client, "only here").await;
    client.settled().await.unwrap();
    client.close().await.unwrap();
    let client = super::support::in_file(&path, second.clone()).await;
    let mut events = client.events();
    event(&mut events, |event| matches!(event, Event::LostHistory(_)).then_some(())).await;
    // After a random while it sends what the relay does not have.
    let other = memory(second).await;
    until(&other, |other| titles(other) == ["only here"]).await;
}

#[tokio::test]
async fn a_closed_client_says_so() {
    let client = memory(LocalRelay::new()).await;
    let other = client.clone();
    let mut events = client.events();
    client.close().await.unwrap();
    while events.next().await.is_some() {}
    assert_eq!(other.status().connection, Connection::Closed);
    assert_eq!(other.settled().await.unwrap_err().to_string(), "the client is closed");
    other.insert("bugs", &[("title", "late".into())]).await.unwrap_err();
}

#[tokio::test]
async fn requests_need_a_connection() {
    let relay = LocalRelay::new();
    let client = memory(relay).await;
    client.online().await.unwrap();
    bug(&client, "one").await;
    client.settled().await.unwrap();
    let state = client.sync_state().await.unwrap();
    assert_eq!((state.operations, state.nodes, state.live_records, state.collections), (1, 1, 1, 1));
    client.disconnect().await.unwrap();
    assert_eq!(client.status().connection, Connection::Off);
    assert_eq!(client.sync_state().await, Err(blazedb_relay_client::Error::Offline));
    assert!(client.sync_state().await.unwrap_err().to_string().contains("no connection"));
}

#[tokio::test(start_paused = true)]
async fn subscriptions_come_and_go() {
    let relay = LocalRelay::new();
    let writer = memory(relay.clone()).await;
    let reader = Client::open(Options::new("app").unwrap().relay(relay)).await.unwrap();
    bug(&writer, "before").await;
    writer.settled().await.unwrap();
    reader.caught_up().await.unwrap();
    assert!(titles(&reader).is_empty(), "it reads nothing");
    reader.subscribe(CollectionSet::ALL, 1 << 20).await.unwrap();
    until(&reader, |reader| titles(reader) == ["before"]).await;
    reader.unsubscribe(CollectionSet::ALL).await.unwrap();
    bug(&writer, "after").await;
    writer.settled().await.unwrap();
    reader.sync_state().await.unwrap();
    assert_eq!(titles(&reader), ["before"]);
}

#[tokio::test]
async fn two_connections_of_one_node_are_told_apart() {
    let relay = LocalRelay::new();
    let folder = tempfile::tempdir().unwrap();
    let (phone, copy) = (folder.path().join("phone"), folder.path().join("copy"));
    let client = super::support::alone(&phone).await;
    bug(&client, "before the copy").await;
    client.close().await.unwrap();
    super::support::copy(&phone, &copy);

    // Both are online at once: who is replaced becomes a new node.
    let first = super::support::in_file(&phone, relay.clone()).await;
    first.settled().await.unwrap();
    let mut events = first.events();
    let second = super::support::in_file(&copy, relay.clone()).await;
    let why = event(&mut events, |event| match event {
        Event::NewNode(why) => Some(*why),
        _ => None,
    });
    assert_eq!(why.await, NewNode::Replaced);
    bug(&first, "on the phone").await;
    bug(&second, "on the copy").await;
    first.settled().await.unwrap();
    second.settled().await.unwrap();
    let all = ["before the copy", "on the copy", "on the phone"];
    until(&first, |client| titles(client) == all).await;
    until(&second, |client| titles(client) == all).await;
    assert_ne!(first.node().identity.node, second.node().identity.node);
}
