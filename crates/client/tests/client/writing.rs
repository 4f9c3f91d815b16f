//! What an app does on a good day, without a server.

use blazedb_relay::op::OpKind;
use blazedb_relay::wire::NodeId;
use blazedb_relay_client::{
    Client, CollectionName, Comparison, Direction, Error, Event, FieldName, Fields, Filter, Find, JoinKind,
    LocalRelay, Op, Options, Origin, Path, Row, SortBy, SortKey, Timestamp, Uuid, Value, Write, join,
};

use super::support::{bug, event, memory, titles, until};

fn fields(title: &str) -> Fields {
    Fields::new(vec![(FieldName::new("title").unwrap(), title.into())]).unwrap()
}

fn bugs() -> CollectionName {
    CollectionName::new("bugs").unwrap()
}

#[tokio::test]
async fn changes_are_told_with_their_origin() {
    let relay = LocalRelay::new();
    let (writer, reader) = (memory(relay.clone()).await, memory(relay).await);
    let (mut mine, mut theirs) = (writer.events(), reader.events());
    let record = bug(&writer, "one").await;
    let origin = |event: &Event| match event {
        Event::Changed { records, origin } if records.contains("bugs", record) => Some(*origin),
        _ => None,
    };
    assert_eq!(event(&mut mine, origin).await, Origin::Local);
    assert_eq!(event(&mut theirs, origin).await, Origin::Remote);
    let mut heard = Vec::new();
    writer.settled().await.unwrap();
    while let Some(event) = mine.try_next() {
        heard.push(event);
    }
    let of = |wanted: fn(&Event) -> bool| heard.iter().filter(|event| wanted(event)).count();
    assert_eq!(of(|event| matches!(event, Event::Sent(writes) if writes.len() == 1)), 1);
    assert_eq!(of(|event| matches!(event, Event::Durable(writes) if writes.len() == 1)), 1);
}

#[tokio::test]
async fn transactions_are_all_or_nothing() {
    let client = Client::open(Options::new("app").unwrap()).await.unwrap();
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let large =
        Fields::new(vec![(FieldName::new("x").unwrap(), Value::Data(vec![0; 600_000].into()))]).unwrap();
    let too_much = vec![Write::insert(bugs(), a, large.clone()), Write::insert(bugs(), b, large)];
    let error = client.write(too_much.clone()).await.unwrap_err();
    assert!(error.to_string().contains("does not fit in one block"), "{error}");
    assert!(client.write_many(vec![vec![Write::insert(bugs(), a, fields("a"))], too_much]).await.is_err());
    assert_eq!((client.status().queued, client.records("bugs").len()), (0, 0));
    assert_eq!(client.node().given.get(), 0);

    let both = vec![Write::insert(bugs(), a, fields("a")), Write::insert(bugs(), b, fields("b"))];
    assert_eq!(client.write(both).await.unwrap().len(), 2);
    assert_eq!(titles(&client), ["a", "b"]);
    assert_eq!(client.version_of("bugs", b).map(Timestamp::counter), Some(2));
}

#[tokio::test]
async fn operations_keep_the_timestamps_that_they_are_given() {
    let relay = LocalRelay::new();
    let bridge = memory(relay.clone()).await;
    let reader = memory(relay).await;
    let node = NodeId::new(Uuid::from_u128(77)).unwrap();
    let at = |counter| Timestamp::new(counter, node).unwrap();
    let op = |counter, record, title| {
        let place = (bugs(), Uuid::from_u128(record));
        Op::new((node, 1), at(counter), OpKind::Insert, place, fields(title)).unwrap()
    };
    bridge.replay(vec![op(40, 1, "forty"), op(30, 1, "thirty"), op(50, 2, "fifty")]).await.unwrap();
    bridge.settled().await.unwrap();
    until(&reader, |reader| titles(reader) == ["fifty", "forty"]).await;
    assert_eq!(reader.version_of("bugs", Uuid::from_u128(1)), Some(at(40)));
    // What is written now is later.
    let next = bridge.update("bugs", Uuid::from_u128(1), &[("title", "now".into())]).await.unwrap();
    assert_eq!(next.counter(), 51);
}

#[tokio::test]
async fn a_queued_write_can_be_taken_back() {
    let client = Client::open(Options::new("app").unwrap()).await.unwrap();
    let record = bug(&client, "kept").await;
    let write = client.update("bugs", record, &[("title", "a mistake".into())]).await.unwrap();
    let node = client.node().identity.node;
    client.abandon(write).await.unwrap();
    assert_eq!(titles(&client), ["kept"]);
    assert_ne!(client.node().identity.node, node);
    assert_eq!(client.status().queued, 1);
    assert_eq!(client.dismiss(key(record)).await, Ok(()));
    assert_eq!(client.retry(vec![key(record)]).await, Err(Error::NotRejected));
}

fn key(record: Uuid) -> blazedb_relay_client::RejectedKey {
    let node = NodeId::new(record).unwrap();
    blazedb_relay_client::RejectedKey { timestamp: Timestamp::new(1, node).unwrap(), node, node_seq: 1 }
}

#[tokio::test]
async fn names_that_are_none() {
    let client = Client::open(Options::new("app").unwrap()).await.unwrap();
    for (collection, field) in [("", "a"), ("a", "")] {
        let error = client.insert(collection, &[(field, 1.into())]).await.unwrap_err();
        assert!(matches!(error, Error::Build(_)), "{error:?}");
    }
    assert!(client.patch("a", Uuid::nil(), &[], Value::Null).await.is_err());
    assert!(Options::new("no/name").is_err());
    for url in ["http://localhost/", "wss://", "nonsense", "ws:"] {
        let error = Options::new("app").unwrap().url(url).unwrap_err().to_string();
        assert!(error.contains("wss://relay.example.org/sync"), "{error}");
    }
}

fn rows(client: &Client, filter: Filter) -> Vec<String> {
    let by_priority = SortKey { by: SortBy::Path(Path::field("priority")), direction: Direction::Descending };
    let by_title = SortKey { by: SortBy::Path(Path::field("title")), direction: Direction::Ascending };
    let find = Find { filter, sort: vec![by_priority, by_title], limit: Some(3) };
    let text = |row: &Row| match row.fields.get("title") {
        Some(Value::String(title)) => title.to_string(),
        other => format!("{other:?}"),
    };
    client.find("bugs", &find).iter().map(text).collect()
}

#[tokio::test]
async fn finding_and_joining() {
    let client = Client::open(Options::new("app").unwrap()).await.unwrap();
    let owner = client.insert("people", &[("name", "Ada".into())]).await.unwrap();
    for (title, priority) in
        [("b", Value::Int(5)), ("a", Value::Double(5.0.into())), ("c", Value::from("high"))]
    {
        let fields = [("title", title.into()), ("priority", priority), ("owner", owner.into())];
        client.insert("bugs", &fields).await.unwrap();
    }
    client.insert("bugs", &[("title", "d".into())]).await.unwrap();
    let compare = |comparison, value| Filter::Compare(comparison, Path::field("priority"), value);
    // Strings sort above numbers, and nothing below all.
    assert_eq!(rows(&client, Filter::All), ["c", "a", "b"]);
    // An int equals a double of its value; other classes are not compared.
    assert_eq!(rows(&client, compare(Comparison::Equal, 5.into())), ["a", "b"]);
    assert_eq!(rows(&client, compare(Comparison::Less, Value::Double(5.5.into()))), ["a", "b"]);
    assert_eq!(rows(&client, compare(Comparison::NotEqual, 5.into())), ["c", "d"]);
    let exists = Filter::Not(Box::new(Filter::Exists(Path::field("priority"))));
    assert_eq!(rows(&client, exists), ["d"]);
    let any = Filter::Or(vec![
        Filter::StartsWith(Path::field("title"), "a".into()),
        Filter::And(vec![
            Filter::In(Path::field("title"), vec!["c".into(), "d".into()]),
            Filter::Contains(Path::field("priority"), "ig".into()),
        ]),
        Filter::Between(Path::field("priority"), 6.into(), 7.into()),
    ]);
    assert_eq!(rows(&client, any), ["c", "a"]);

    let (bugs, people) = (client.find("bugs", &Find::default()), client.find("people", &Find::default()));
    assert_eq!(join(JoinKind::Inner, (&bugs, &["owner"]), (&people, &[])).len(), 3);
    let left = join(JoinKind::Left, (&bugs, &["owner"]), (&people, &[]));
    assert_eq!(left.iter().filter(|(_, person)| person.is_none()).count(), 1);
}

#[tokio::test]
async fn what_was_begun_is_done_though_nobody_waits() {
    let folder = tempfile::tempdir().unwrap();
    let client = super::support::alone(&folder.path().join("app")).await;
    let fields = [("title", "begun".into())];
    let write = client.insert("bugs", &fields);
    tokio::pin!(write);
    // Polled once, then dropped: all or nothing.
    let polled = core::future::poll_fn(|context| {
        let _ = write.as_mut().poll(context);
        core::task::Poll::Ready(())
    });
    polled.await;
    until(&client, |client| client.status().queued == 1).await;
    assert_eq!(titles(&client), ["begun"]);
}
