use core::future::poll_fn;
use core::sync::atomic::{AtomicU8, Ordering};
use core::task::Poll;
use std::path::Path;

use blazedb_relay::codec::Packet;
use blazedb_relay::message::{Cursor, Extensions, Message, PageLimit, Query, SelectionRef};
use blazedb_relay::registry::Capabilities;
use blazedb_relay::relay::Epoch;
use blazedb_relay::wire::{CollectionName, NodeKey, Position};
use uuid::Uuid;

use super::*;
use crate::inbox::Batch;
use crate::store::{Budget, MemoryStore, Opened, Writer};

/// What the next write does.
const WORKS: u8 = 0;
const FAILS: u8 = 1;
const IS_LOST: u8 = 2;

/// A store in memory whose writes can be made to fail.
#[derive(Default)]
struct Fragile {
    inner: MemoryStore,
    next: Arc<AtomicU8>,
}

struct FragileWriter {
    inner: <MemoryStore as LogStore>::Writer,
    next: Arc<AtomicU8>,
}

impl FragileWriter {
    fn check(&self) -> Result<(), WriteError> {
        let error = Error::new(ErrorKind::Full, Path::new("fragile"), "");
        match self.next.swap(WORKS, Ordering::SeqCst) {
            FAILS => Err(WriteError::Failed(error)),
            IS_LOST => Err(WriteError::Lost(error)),
            _ => Ok(()),
        }
    }
}

impl Writer for FragileWriter {
    fn append(&mut self, nodes: &[NodeAppend]) -> Result<u64, WriteError> {
        self.check()?;
        self.inner.append(nodes)
    }

    fn mint(&mut self) -> Result<Epoch, WriteError> {
        self.check()?;
        self.inner.mint()
    }
}

impl LogStore for Fragile {
    type Writer = FragileWriter;
    type Reader = <MemoryStore as LogStore>::Reader;
    type Background = <MemoryStore as LogStore>::Background;

    fn databases(&self) -> Result<Vec<DatabaseName>, Error> {
        self.inner.databases()
    }

    fn open(&self, name: &DatabaseName) -> Result<Opened<FragileWriter>, Error> {
        let Opened { writer, head, epochs } = self.inner.open(name)?;
        Ok(Opened { writer: FragileWriter { inner: writer, next: self.next.clone() }, head, epochs })
    }

    fn reader(&self, name: &DatabaseName) -> Result<Self::Reader, Error> {
        self.inner.reader(name)
    }

    fn background(&self, name: &DatabaseName) -> Result<Self::Background, Error> {
        self.inner.background(name)
    }
}

struct World {
    stores: Stores<Fragile>,
    inbox: Arc<Inbox>,
    next: Arc<AtomicU8>,
    metrics: Arc<Metrics>,
    answers: Vec<Input>,
}

impl World {
    fn new(create: bool) -> Self {
        let metrics = Arc::new(Metrics::new());
        let inbox = Arc::new(Inbox::new(metrics.clone()));
        let store = Fragile::default();
        let next = store.next.clone();
        let stores = Stores::new(store, (create, Budget::default()), inbox.clone(), metrics.clone());
        Self { stores, inbox, next, metrics, answers: Vec::new() }
    }

    fn ask(&mut self, output: Output) {
        assert_eq!(self.stores.perform(output), None);
    }

    fn open(&mut self, ticket: u64, database: u64) {
        let name = DatabaseName::new("app").unwrap();
        self.ask(Output::OpenDatabase { ticket: Ticket(ticket), database: DatabaseId(database), name });
    }

    /// Asks for all records of `bugs` in a state that has reached `after`.
    fn query(&mut self, ticket: u64, database: u64, after: u64) {
        let collection = CollectionName::new("bugs").unwrap();
        let query = Query {
            collection: (&collection).into(),
            after: Position::START,
            selection: SelectionRef::ALL,
            limit: PageLimit::DEFAULT,
            cursor: Cursor::EMPTY,
            extensions: Extensions::EMPTY,
        };
        let frame = Packet::with_id(Message::Query(query), 1).unwrap().to_bytes();
        let query = QueryFrame::new(frame.into(), Capabilities::ALL);
        let (ticket, database) = (Ticket(ticket), DatabaseId(database));
        self.ask(Output::RunQuery { ticket, database, query, after, limit: 10 });
    }

    /// The next answer, and whether the relay still waits for it.
    async fn answer(&mut self) -> (Input, bool) {
        while self.answers.is_empty() {
            let mut batch = Batch::default();
            poll_fn(|cx| match self.inbox.poll_batch(cx, &mut batch) {
                Poll::Ready(()) => Poll::Ready(()),
                Poll::Pending => Poll::Pending,
            })
            .await;
            self.answers = batch.answers;
        }
        let answer = self.answers.remove(0);
        let expected = self.stores.expects(&answer);
        (answer, expected)
    }
}

#[tokio::test]
async fn a_write_that_fails_and_one_that_is_lost() {
    let mut world = World::new(true);
    world.open(1, 1);
    let (answer, expected) = world.answer().await;
    assert!(matches!(answer, Input::DatabaseOpened { ticket: Ticket(1), head: 0, .. }) && expected);
    let mint = |ticket| Output::MintEpoch { ticket: Ticket(ticket), database: DatabaseId(1) };

    world.next.store(FAILS, Ordering::SeqCst);
    world.ask(mint(2));
    let (answer, expected) = world.answer().await;
    let code = ErrorCode::STORE_UNAVAILABLE;
    assert!(matches!(answer, Input::Failed { ticket: Ticket(2), code: it } if it == code) && expected);
    assert!(world.metrics.databases()["app"].failing);

    world.next.store(IS_LOST, Ordering::SeqCst);
    world.ask(mint(3));
    let (answer, expected) = world.answer().await;
    assert!(matches!(answer, Input::LogLost { database: DatabaseId(1) }) && expected);

    // It is closed and opened anew: the old thread has to be gone before.
    world.ask(Output::CloseDatabase { database: DatabaseId(1) });
    world.open(4, 2);
    let (answer, expected) = world.answer().await;
    assert!(matches!(answer, Input::DatabaseOpened { ticket: Ticket(4), .. }) && expected);
    world.stores.close_all().await;
}

#[tokio::test]
async fn a_closed_database_answers_no_more() {
    let mut world = World::new(true);
    world.open(1, 1);
    world.answer().await;
    let node = blazedb_relay::wire::NodeId::new(Uuid::from_u128(1)).unwrap();
    let principal = blazedb_relay::relay::Principal::new("ann");
    let (ticket, database, key) = (Ticket(2), DatabaseId(1), NodeKey([7; 16]));
    world.ask(Output::LoadNode { ticket, database, node, key, principal });
    world.ask(Output::CloseDatabase { database });
    let (answer, expected) = world.answer().await;
    assert!(matches!(answer, Input::NodeLoaded { ticket: Ticket(2), .. }) && !expected);
    world.stores.close_all().await;
}

#[tokio::test]
async fn a_database_that_is_not_there() {
    let mut world = World::new(false);
    world.open(1, 1);
    let (answer, expected) = world.answer().await;
    let code = ErrorCode::UNKNOWN_DATABASE;
    assert!(matches!(answer, Input::Failed { ticket: Ticket(1), code: it } if it == code) && expected);
    world.stores.close_all().await;
}

//= RLY-53 test
#[tokio::test(start_paused = true)]
async fn a_query_waits_for_the_state_but_not_for_ever() {
    let mut world = World::new(true);
    world.open(1, 1);
    world.answer().await;
    // There is nothing in the log, so the state never gets there; time passes as soon as nothing else does.
    let asked = tokio::time::Instant::now();
    world.query(2, 1, 1);
    let (answer, expected) = world.answer().await;
    let code = ErrorCode::STATE_NOT_REACHED;
    assert!(matches!(answer, Input::Failed { ticket: Ticket(2), code: it } if it == code) && expected);
    assert_eq!(asked.elapsed().as_secs(), STATE.as_secs());
    world.query(3, 1, 0);
    let (answer, expected) = world.answer().await;
    assert!(matches!(answer, Input::Rows { ticket: Ticket(3), at: 0, .. }) && expected);
    world.stores.close_all().await;
}
