//! Requests whose answers are large or take time: pull, query, sync state (SPEC.md 10.9).
//!
//! They are answered one after another, and only while the transport takes what is sent: so what waits for
//! one connection stays below one answer.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use bytes::Bytes;

use super::database::Reader;
use super::event::{Output, QueryFrame, StateCounts};
use super::io::{Asked, Stop, close};
use super::page::{Budget, Lens, LogBlock, Page, Wanted, page, read_after, wanted};
use super::session::Active;
use crate::limits::{MAX_CURSOR, MAX_FRAME};
use crate::message::{
    Cursor, Extensions, List, LogBlocks, Message, PageEnd, PullRequest, PullResponse, Query, QueryResponse,
    SyncState, TableBuilder,
};
use crate::registry::{ErrorCode, GoodbyeReason};
use crate::wire::Position;

/// Requests other than push that are under way.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The ids of all of them.
    ids: Vec<u32>,
    /// Those that are answered one after another.
    queue: VecDeque<Request>,
    /// Bytes of their frames.
    bytes: usize,
    /// Whether whoever drives the relay works on the first of them.
    serving: bool,
}

#[derive(Debug)]
struct Request {
    id: u32,
    /// Of its frame.
    bytes: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Pull { from: u64, wanted: Wanted, operations: u64, bytes: u64 },
    Query { query: QueryFrame, after: u64, limit: u32 },
    Count,
}

impl Requests {
    pub(super) fn contains(&self, id: u32) -> bool {
        self.ids.contains(&id)
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    pub(super) fn begin(&mut self, id: u32) {
        self.ids.push(id);
    }

    /// Its last frame was sent.
    //= SES-70
    pub(super) fn done(&mut self, id: u32) {
        self.ids.retain(|other| *other != id);
    }

    /// Gives all of them up.
    pub(super) fn end(&mut self) {
        *self = Self::default();
    }

    /// Takes the request that was served. `None` if it was given up meanwhile.
    fn served(&mut self) -> Option<Request> {
        if !core::mem::take(&mut self.serving) {
            return None;
        }
        let request = self.queue.pop_front()?;
        self.bytes -= request.bytes;
        self.done(request.id);
        Some(request)
    }

    /// Whether all that they ask for may be read.
    pub(super) fn are_allowed(
        &self,
        wanted: impl Fn(&Wanted) -> bool,
        readable: impl Fn(&str) -> bool,
    ) -> bool {
        self.queue.iter().all(|request| match &request.what {
            What::Pull { wanted: names, .. } => wanted(names),
            What::Query { query, .. } => query.query().is_some_and(|query| reads_only(&query, &readable)),
            What::Count => true,
        })
    }
}

/// Whether every collection that a query names is `readable`.
fn reads_only(query: &Query<'_>, readable: impl Fn(&str) -> bool) -> bool {
    let joined = query.selection.joins().iter().map(|join| join.collection.as_str());
    joined.chain([query.collection.as_str()]).all(readable)
}

impl Active<'_> {
    /// Takes note of a request, or says why it is not taken: then it was answered.
    pub(super) fn begin(&mut self, id: u32) -> Result<bool, Stop> {
        //= SES-66
        if self.session.requests.contains(id) || self.session.pushing.contains(id) {
            return close(ErrorCode::DUPLICATE_REQUEST, "a request of that id is under way");
        }
        //= SES-69
        if self.session.requests.len() >= self.io.config.requests {
            self.link.refuse(self.io, id, ErrorCode::TOO_MANY_REQUESTS, "wait for answers first");
            return Ok(false);
        }
        self.session.requests.begin(id);
        Ok(true)
    }

    /// Answers a request that was taken with an error.
    pub(super) fn refuse(&mut self, id: u32, code: ErrorCode, text: &'static str) {
        self.session.requests.done(id);
        self.link.refuse(self.io, id, code, text);
    }

    /// Whether these collections may be read from that position; if not, the request was answered.
    pub(super) fn may_read_from(&mut self, id: u32, wanted: &Wanted, from: Position) -> bool {
        //= SES-73
        if !self.session.may_read(wanted) {
            self.refuse(id, ErrorCode::FORBIDDEN, "not all of these collections may be read");
            return false;
        }
        //= SES-71
        if !self.database.history.contains(from) {
            self.refuse(id, ErrorCode::POSITION_UNKNOWN, "begin at the start");
            return false;
        }
        true
    }

    pub(super) fn pull(&mut self, id: u32, frame: &Bytes, pull: &PullRequest<'_>) -> Result<(), Stop> {
        if !self.begin(id)? {
            return Ok(());
        }
        let wanted = wanted(pull.collections);
        if !self.may_read_from(id, &wanted, pull.from) {
            return Ok(());
        }
        let limit = |wish: u32| if wish == 0 { u64::MAX } else { u64::from(wish) };
        let (operations, bytes) = (limit(pull.max_operations), limit(pull.max_bytes));
        self.queue(id, frame.len(), What::Pull { from: pull.from.seq(), wanted, operations, bytes })
    }

    pub(super) fn query(&mut self, id: u32, frame: &Bytes, query: &Query<'_>) -> Result<(), Stop> {
        if !self.begin(id)? {
            return Ok(());
        }
        //= RLY-54
        if !reads_only(query, |collection| self.session.rights.access(collection).read) {
            self.refuse(id, ErrorCode::FORBIDDEN, "not all of these collections may be read");
            return Ok(());
        }
        //= SES-71
        if !self.database.history.contains(query.after) {
            self.refuse(id, ErrorCode::POSITION_UNKNOWN, "the position is not in the history");
            return Ok(());
        }
        let (after, limit) = (query.after.seq(), query.limit.get());
        let limit = if limit == 0 { self.io.config.rows } else { limit };
        let query = QueryFrame::new(self.link.keep(frame), self.session.capabilities);
        self.queue(id, frame.len(), What::Query { query, after, limit })
    }

    pub(super) fn count_state(&mut self, id: u32, frame: &Bytes) -> Result<(), Stop> {
        if !self.begin(id)? {
            return Ok(());
        }
        self.queue(id, frame.len(), What::Count)
    }

    fn queue(&mut self, id: u32, bytes: usize, what: What) -> Result<(), Stop> {
        if self.session.requests.bytes + bytes > self.io.config.request_bytes {
            self.refuse(id, ErrorCode::TOO_MANY_REQUESTS, "wait for answers first");
            return Ok(());
        }
        self.session.requests.bytes += bytes;
        self.session.requests.queue.push_back(Request { id, bytes, what });
        self.serve()
    }

    /// Works on the requests that wait, one after another.
    pub(super) fn serve(&mut self) -> Result<(), Stop> {
        while !self.session.requests.serving && self.link.has_room(self.io) {
            let Active { link, session, database, io } = self;
            let Some(first) = session.requests.queue.front() else { break };
            session.requests.serving = true;
            let (request, id) = (Asked::Request(database.id, link.conn), database.id);
            match &first.what {
                What::Pull { from, bytes, .. } => {
                    if *from < database.history.head() && database.tail.after(*from).is_none() {
                        database.read(io, *from, *bytes, Reader::Pull(link.conn));
                    } else {
                        self.pulled(&[])?;
                    }
                }
                What::Query { query, after, limit } => {
                    //= RLY-53
                    let (query, after, limit) = (query.clone(), *after, *limit);
                    io.ask(request, |ticket| Output::RunQuery { ticket, database: id, query, after, limit });
                }
                What::Count => io.ask(request, |ticket| Output::CountState { ticket, database: id }),
            }
        }
        Ok(())
    }

    /// Answers the pull that is being served, from the log's tail or from what was read for it.
    pub(super) fn pulled(&mut self, read: &[LogBlock]) -> Result<(), Stop> {
        let Some(request) = self.session.requests.served() else { return Ok(()) };
        let What::Pull { from, wanted, operations, bytes } = request.what else { return Ok(()) };
        let Active { link, session, database, io } = self;
        let lens = Lens { capabilities: session.capabilities, wanted, own: None };
        let budget = Budget { bytes, room: u64::MAX, operations };
        let page = if let Some(blocks) = database.tail.after(from) {
            page(from, blocks, &lens, budget, &mut io.encoder)?
        } else if let Some(blocks) = read_after(read, from) {
            page(from, blocks, &lens, budget, &mut io.encoder)?
        } else {
            Page { end: from, ..Page::default() }
        };
        let history = &database.history;
        // The seqs ascend and are few, as a page has them.
        let Ok(first_seqs) = List::new(&page.first_seqs) else { return Ok(()) };
        let response = PullResponse {
            next: history.name(page.end),
            //= RLY-44
            has_more: page.end < history.head(),
            blocks: LogBlocks::elsewhere(first_seqs),
            extensions: Extensions::EMPTY,
        };
        link.send_with(io, request.id, &Message::PullResponse(response), page.blocks);
        Ok(())
    }

    /// Answers the query that is being served.
    pub(super) fn rows(&mut self, at: u64, tables: &[TableBuilder], cursor: &[u8]) -> Result<(), Stop> {
        let Some(Request { id, .. }) = self.session.requests.served() else { return Ok(()) };
        let fits = |table: &TableBuilder| table.size() + MAX_CURSOR + 64 <= MAX_FRAME;
        if !tables.iter().all(fits) {
            self.refuse(id, ErrorCode::QUERY_TOO_EXPENSIVE, "a row does not fit in a frame");
            return self.serve();
        }
        let (Some((last, others)), Ok(cursor)) = (tables.split_last(), Cursor::new(cursor)) else {
            debug_assert!(false, "an answer has a table, and a short cursor");
            self.refuse(id, ErrorCode::QUERY_FAILED, "the relay failed");
            return self.serve();
        };
        //= RLY-56
        let at = self.database.history.name(at);
        let more = others.iter().map(|table| (table, PageEnd::More));
        for (table, end) in more.chain([(last, PageEnd::Last(cursor))]) {
            let response = QueryResponse { at, table: table.table(), end, extensions: Extensions::EMPTY };
            self.link.send(self.io, id, &Message::QueryResponse(response));
        }
        self.serve()
    }

    /// Answers the sync state request that is being served.
    pub(super) fn counted(&mut self, counts: StateCounts) -> Result<(), Stop> {
        let Some(Request { id, .. }) = self.session.requests.served() else { return Ok(()) };
        let StateCounts { seq, operations, nodes, live_records, collections } = counts;
        //= RLY-57
        let head = self.database.history.name(seq);
        let extensions = Extensions::EMPTY;
        let state = SyncState { head, operations, nodes, live_records, collections, extensions };
        self.link.send(self.io, id, &Message::SyncState(state));
        self.serve()
    }

    /// The request that is being served failed.
    pub(super) fn failed(&mut self, code: ErrorCode) -> Result<(), Stop> {
        if let Some(Request { id, .. }) = self.session.requests.served() {
            self.refuse(id, code, "");
        }
        self.serve()
    }

    /// A read failed that `reader` waits for.
    pub(super) fn read_failed(&mut self, reader: Reader) -> Result<(), Stop> {
        match reader {
            Reader::Pull(_) => self.failed(ErrorCode::STORE_UNAVAILABLE),
            // Nothing answers a subscription that was answered before; its client comes back.
            //= RLY-59
            Reader::Subscription(..) => Err(Stop::Leave(GoodbyeReason::RESTARTING)),
        }
    }
}
