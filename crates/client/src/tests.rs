//! A disk that is full, which only this crate can arrange.

use blazedb_relay::client::WriteState;

use crate::{Client, Connection, Error, Event, LocalRelay, Offline, Options, StoreErrorKind, Value};

/// As much as the file of a new client takes, and a little more.
const PAGES: u32 = 24;

fn text(bytes: usize) -> Value {
    Value::String("x".repeat(bytes).into())
}

async fn limited(client: &Client, pages: u32) {
    client.shared().lock().limit_pages(pages);
}

#[tokio::test]
async fn a_full_disk_refuses_a_write_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app");
    let options = || Options::new("app").unwrap().file(&path);
    let client = Client::open(options()).await.unwrap();
    let kept = client.insert("bugs", &[("title", "kept".into())]).await.unwrap();
    let mut events = client.events();
    limited(&client, PAGES).await;
    let error = client.insert("bugs", &[("title", text(200_000))]).await.unwrap_err();
    let Error::Store(full) = &error else { panic!("{error:?}") };
    assert_eq!(full.kind(), StoreErrorKind::Full);
    assert!(error.to_string().contains("there is no room left; nothing was written"), "{error}");
    assert_eq!(events.try_next(), Some(Event::StoreFailed(full.clone())));
    // Nothing is half written: neither in memory nor in the file.
    assert_eq!(client.records("bugs").len(), 1);
    assert_eq!((client.status().queued, client.node().given.get(), client.node().clock), (1, 1, 1));
    // What fits is written as before, and what did not fit when there is room again.
    let small = client.update("bugs", kept, &[("title", "small".into())]).await.unwrap();
    assert_eq!(small.counter(), 2);
    limited(&client, 1_000_000).await;
    client.insert("bugs", &[("title", text(200_000))]).await.unwrap();
    client.close().await.unwrap();
    let client = Client::open(options()).await.unwrap();
    assert_eq!((client.records("bugs").len(), client.write_state(small)), (2, WriteState::Queued));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_takes_no_delivery_and_loses_none() {
    let folder = tempfile::tempdir().unwrap();
    let relay = LocalRelay::new();
    let options = || Options::new("app").unwrap().relay(relay.clone()).subscribe_all();
    let client = Client::open(options().file(folder.path().join("app"))).await.unwrap();
    client.caught_up().await.unwrap();
    limited(&client, PAGES).await;
    let mut events = client.events();
    let other = Client::open(options()).await.unwrap();
    other.insert("bugs", &[("title", text(200_000))]).await.unwrap();
    other.settled().await.unwrap();
    // It goes offline, and what came is neither shown nor acknowledged.
    loop {
        match events.next().await {
            Some(Event::Connection(Connection::Offline { why: Offline::Store, .. })) => break,
            Some(_) => {}
            None => panic!("the client is closed"),
        }
    }
    assert!(client.records("bugs").is_empty());
    limited(&client, 1_000_000).await;
    // It comes again by itself.
    let mut version = client.watch();
    while client.records("bugs").is_empty() {
        version.changed().await.unwrap();
    }
}
