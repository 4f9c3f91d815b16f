//! Files as they are after a kill, a copy or a restore: whatever one holds, nothing is lost.

use blazedb_relay_client::{Client, Event, LocalRelay, NewNode, Options, Timestamp, Value, WriteState};

use super::support::{Gate, alone, bug, copy, event, in_file, memory, titles, until};

/// The number that increments add up to.
fn votes(client: &Client) -> Option<i64> {
    let records = client.records("polls");
    match records.first()?.1.get("votes") {
        Some(Value::Int(votes)) => Some(*votes),
        _ => None,
    }
}

/// The app is killed after each frame of its connection, and started again from what is on the disk.
#[tokio::test(start_paused = true)]
async fn killed_at_any_moment() {
    for frames in 0..14 {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (folder.path().join("before"), folder.path().join("after"));
        let relay = LocalRelay::new();
        let gate = Gate::new(&relay);
        gate.break_after(frames);
        let client = alone(&before).await;
        let poll = client.insert("polls", &[("votes", 0.into())]).await.unwrap();
        client.close().await.unwrap();
        let client = in_file(&before, gate).await;
        let mut written = Vec::new();
        for n in 0..4 {
            bug(&client, &format!("bug {n}")).await;
            written.push(client.increment("polls", poll, &["votes"], 1).await.unwrap());
        }
        let settled = client.settled();
        tokio::select! {
            settled = settled => settled.unwrap(),
            () = until(&client, |client| matches!(client.status().connection, blazedb_relay_client::Connection::Offline { .. })) => {}
        }
        // What the app was told is durable stays so.
        let durable: Vec<Timestamp> = written
            .iter()
            .copied()
            .filter(|write| client.write_state(*write) == WriteState::Durable)
            .collect();
        copy(&before, &after);
        drop(client);

        let client = in_file(&after, relay.clone()).await;
        for write in &durable {
            assert_eq!(client.write_state(*write), WriteState::Durable);
        }
        client.settled().await.unwrap();
        let other = memory(relay).await;
        other.caught_up().await.unwrap();
        for client in [&client, &other] {
            until(client, |client| votes(client) == Some(4)).await;
            assert_eq!(titles(client), ["bug 0", "bug 1", "bug 2", "bug 3"], "after {frames} frames");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn restored_from_yesterday() {
    let folder = tempfile::tempdir().unwrap();
    let (path, backup) = (folder.path().join("app"), folder.path().join("backup"));
    let relay = LocalRelay::new();
    let client = in_file(&path, relay.clone()).await;
    bug(&client, "yesterday").await;
    client.settled().await.unwrap();
    client.close().await.unwrap();
    copy(&path, &backup);
    let client = in_file(&path, relay.clone()).await;
    bug(&client, "today").await;
    client.settled().await.unwrap();
    client.close().await.unwrap();

    copy(&backup, &path);
    let client = alone(&path).await;
    // Offline, it gives a timestamp that it gave before; only as another node may it send that.
    bug(&client, "after the restore").await;
    client.close().await.unwrap();
    let client = in_file(&path, relay.clone()).await;
    let mut events = client.events();
    client.settled().await.unwrap();
    let mut new_node = None;
    while let Some(event) = events.try_next() {
        if let Event::NewNode(why) = event {
            new_node = Some(why);
        }
    }
    assert_eq!(new_node, Some(NewNode::OutOfStep));
    until(&client, |client| titles(client) == ["after the restore", "today", "yesterday"]).await;
    let other = memory(relay).await;
    other.caught_up().await.unwrap();
    assert_eq!(titles(&other), titles(&client));
}

#[tokio::test(start_paused = true)]
async fn copied_to_a_second_device() {
    let folder = tempfile::tempdir().unwrap();
    let (phone, tablet) = (folder.path().join("phone"), folder.path().join("tablet"));
    let relay = LocalRelay::new();
    let client = in_file(&phone, relay.clone()).await;
    bug(&client, "before").await;
    client.settled().await.unwrap();
    client.close().await.unwrap();
    copy(&phone, &tablet);

    // One after the other: the second one finds that its node went on without it.
    let client = in_file(&phone, relay.clone()).await;
    bug(&client, "phone").await;
    client.settled().await.unwrap();
    client.close().await.unwrap();
    let client = in_file(&tablet, relay.clone()).await;
    let mut events = client.events();
    bug(&client, "tablet").await;
    let why =
        event(&mut events, |event| if let Event::NewNode(why) = event { Some(*why) } else { None }).await;
    assert_eq!(why, NewNode::OutOfStep);
    client.settled().await.unwrap();
    until(&client, |client| titles(client) == ["before", "phone", "tablet"]).await;
}

#[tokio::test]
async fn the_clock_of_the_device_does_not_matter() {
    // No timestamp comes from it: after a restart, counters go on where they were.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app");
    let client = alone(&path).await;
    let record = bug(&client, "one").await;
    let first = client.update("bugs", record, &[("title", "two".into())]).await.unwrap();
    client.close().await.unwrap();
    let client = alone(&path).await;
    let second = client.update("bugs", record, &[("title", "three".into())]).await.unwrap();
    assert_eq!((first.counter(), second.counter()), (2, 3));
    assert_eq!(titles(&client), ["three"]);
}

/// Everything that a client keeps is in its file.
#[tokio::test(start_paused = true)]
async fn a_file_holds_everything() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app");
    let relay = LocalRelay::new();
    let other = memory(relay.clone()).await;
    let shared = bug(&other, "shared").await;
    other.increment("bugs", shared, &["votes"], 7).await.unwrap();
    other.patch("bugs", shared, &["labels", "red"], Value::Null).await.unwrap();
    let gone = bug(&other, "gone").await;
    other.delete("bugs", gone).await.unwrap();
    other.settled().await.unwrap();
    let client = in_file(&path, relay).await;
    client.caught_up().await.unwrap();
    client.increment("bugs", shared, &["votes"], 2).await.unwrap();
    client.settled().await.unwrap();
    client.disconnect().await.unwrap();
    let queued = client.update("bugs", shared, &[("title", "queued".into())]).await.unwrap();
    let kept = |client: &Client| {
        let mut durable = Vec::new();
        client.visit_durable(|entry| durable.push(format!("{entry:?}")));
        let set = blazedb_relay_client::CollectionSet::ALL;
        (client.records("bugs"), client.node(), client.position(&set), client.status().queued, durable)
    };
    let before = kept(&client);
    assert_eq!(before.3, 1);
    client.close().await.unwrap();
    let client = Client::open(Options::new("app").unwrap().file(&path)).await.unwrap();
    assert_eq!(kept(&client), before);
    assert_eq!(client.write_state(queued), WriteState::Queued);
    let fields = client.record("bugs", shared).unwrap();
    assert_eq!(fields.get("votes"), Some(&Value::Int(9)));
    assert_eq!(fields.get("title"), Some(&"queued".into()));
}
