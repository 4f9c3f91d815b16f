//! Requests and their answers (SPEC.md 10.9).

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::reading::is_page;
use super::{Answer, Command, Event, Failure, Pull, Query, Session};
use crate::client::Replica;
use crate::error::BuildError;
use crate::message::{
    self, Authenticate, AuthenticateAck, Data, Error, Extensions, List, Message, PageEnd, PageLimit,
    PullRequest, PullResponse, QueryResponse, SyncState, SyncStateRequest,
};
use crate::registry::{Capability, ErrorCode};
use crate::value::Value;
use crate::wire::Position;

/// Requests other than push.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last_id: u32,
    under_way: BTreeMap<u32, Pending>,
    /// Commands that wait for the connection, or for the relay to take another request.
    waiting: VecDeque<Command>,
}

/// What a request is for.
#[derive(Debug)]
pub(super) enum Pending {
    Subscribe { number: u32 },
    Pull { ticket: u64, pull: Pull, from: Position },
    Query { ticket: u64, first: Option<(Position, usize)> },
    SyncState { ticket: u64 },
    Authenticate { ticket: u64 },
}

impl Requests {
    /// An id that no request under way has.
    pub(super) fn next_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.wrapping_add(1);
            if self.last_id != 0 && !self.under_way.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    pub(super) fn begin(&mut self, pending: Pending) -> u32 {
        let id = self.next_id();
        self.under_way.insert(id, pending);
        id
    }

    /// The application asks for something.
    pub(super) fn wait(&mut self, command: Command) {
        self.waiting.push_back(command);
    }

    //= NEG-7
    pub(super) fn has_room(&self, limit: u64) -> bool {
        (self.under_way.len() as u64) < limit
    }

    /// A subscribe has its first update, or is not waited for any more.
    pub(super) fn finish_subscribe(&mut self, number: u32) {
        let is_this = |pending: &Pending| matches!(pending, Pending::Subscribe { number: n } if *n == number);
        self.under_way.retain(|_, pending| !is_this(pending));
    }
}

impl Command {
    const fn ticket(&self) -> Option<u64> {
        match self {
            Self::Pull { ticket, .. }
            | Self::Query { ticket, .. }
            | Self::SyncState { ticket }
            | Self::Authenticate { ticket, .. } => Some(*ticket),
            Self::Subscribe { .. } | Self::Unsubscribe(_) | Self::Window { .. } | Self::Close => None,
        }
    }
}

impl Pending {
    const fn ticket(&self) -> Option<u64> {
        match self {
            Self::Subscribe { .. } => None,
            Self::Pull { ticket, .. }
            | Self::Query { ticket, .. }
            | Self::SyncState { ticket }
            | Self::Authenticate { ticket } => Some(*ticket),
        }
    }
}

impl Session {
    /// Sends what waits, as far as the relay takes it.
    pub(super) fn send_requests(&mut self, replica: &Replica) {
        self.send_subscriptions(replica);
        while self.requests.has_room(self.agreed.requests) {
            let Some(command) = self.requests.waiting.pop_front() else { return };
            let ticket = command.ticket();
            if let (Err(error), Some(ticket)) = (self.send_request(replica, command), ticket) {
                self.answer(ticket, Err(Failure::NotSent(error.code)));
            }
        }
    }

    fn send_request(&mut self, replica: &Replica, command: Command) -> Result<(), BuildError> {
        let extensions = Extensions::EMPTY;
        match command {
            Command::Pull { ticket, pull } => {
                //= SES-103
                if !replica.may_read(self.config.reader()) {
                    return Err(BuildError::new(ErrorCode::UPGRADE_NEEDED, "pull request"));
                }
                //= SES-74
                let from = replica.position(&pull.collections).unwrap_or(Position::START);
                let pending = Pending::Pull { ticket, pull: pull.clone(), from };
                let names = pull.collections.refs();
                let collections = List::new(&names)?;
                let Pull { max_operations, max_bytes, .. } = pull;
                let request = PullRequest { from, collections, max_operations, max_bytes, extensions };
                self.begin(Message::PullRequest(request), pending)
            }
            Command::Query { ticket, query } => self.send_query(ticket, &query),
            Command::SyncState { ticket } => {
                let request = SyncStateRequest { extensions };
                self.begin(Message::SyncStateRequest(request), Pending::SyncState { ticket })
            }
            Command::Authenticate { ticket, credentials } => {
                let request = Authenticate { authentication: credentials.authentication(), extensions };
                self.begin(Message::Authenticate(request), Pending::Authenticate { ticket })
            }
            Command::Subscribe { .. } | Command::Unsubscribe(_) | Command::Window { .. } | Command::Close => {
                Ok(())
            }
        }
    }

    fn begin(&mut self, message: Message<'_>, pending: Pending) -> Result<(), BuildError> {
        let id = self.requests.next_id();
        self.send(message, id)?;
        self.requests.under_way.insert(id, pending);
        Ok(())
    }

    fn send_query(&mut self, ticket: u64, query: &Query) -> Result<(), BuildError> {
        //= MSG-7
        if !self.agreed.capabilities.has(Capability::QUERY) {
            return Err(BuildError::new(ErrorCode::NOT_NEGOTIATED, "query"));
        }
        //= NEG-7
        let rows = u64::from(query.limit.get()).min(self.agreed.rows);
        let mut buffer = Vec::new();
        let message = message::Query {
            collection: (&query.collection).into(),
            after: query.after,
            selection: query.selection.encode(&mut buffer)?,
            limit: PageLimit::new(u32::try_from(rows).unwrap_or(u32::MAX))?,
            cursor: Data::new(&query.cursor)?,
            extensions: Extensions::EMPTY,
        };
        self.begin(Message::Query(message), Pending::Query { ticket, first: None })
    }

    pub(super) fn pull_response(
        &mut self,
        replica: &mut Replica,
        now: u64,
        id: u32,
        response: &PullResponse<'_>,
    ) {
        let Some(Pending::Pull { from, .. }) = self.requests.under_way.get(&id) else {
            return self.fault(now, ErrorCode::UNEXPECTED_MESSAGE);
        };
        if !is_page(*from, response.next, response.blocks) {
            return self.fault(now, ErrorCode::PROTOCOL_ERROR);
        }
        let Some(Pending::Pull { ticket, pull, .. }) = self.requests.under_way.remove(&id) else { return };
        self.deliver(replica, &pull.collections, response.next, response.blocks);
        let answer = Answer::Pulled { position: response.next, has_more: response.has_more };
        self.answer(ticket, Ok(answer));
    }

    pub(super) fn query_response(&mut self, now: u64, id: u32, response: &QueryResponse<'_>) {
        let Some(Pending::Query { ticket, first }) = self.requests.under_way.get_mut(&id) else {
            return self.fault(now, ErrorCode::UNEXPECTED_MESSAGE);
        };
        let ticket = *ticket;
        let shape = (response.at, response.table.columns());
        // All frames of an answer have the same (7.14).
        if *first.get_or_insert(shape) != shape {
            return self.fault(now, ErrorCode::PROTOCOL_ERROR);
        }
        let rows = response.table.iter().map(|row| row.cells().map(Value::from).collect()).collect();
        let (more, cursor) = match response.end {
            PageEnd::More => (true, Box::default()),
            PageEnd::Last(cursor) => (false, Box::from(cursor.as_bytes())),
        };
        if !more {
            self.requests.under_way.remove(&id);
        }
        self.answer(ticket, Ok(Answer::Rows { at: response.at, rows, more, cursor }));
    }

    pub(super) fn sync_state(&mut self, now: u64, id: u32, state: &SyncState<'_>) {
        let is_this = |pending: &Pending| matches!(pending, Pending::SyncState { .. });
        let Some(Pending::SyncState { ticket }) = self.take_pending(id, is_this) else {
            return self.fault(now, ErrorCode::UNEXPECTED_MESSAGE);
        };
        let SyncState { head, operations, nodes, live_records, collections, .. } = *state;
        let answer = Answer::SyncState { head, operations, nodes, live_records, collections };
        self.answer(ticket, Ok(answer));
    }

    pub(super) fn authenticate_ack(&mut self, now: u64, id: u32, ack: &AuthenticateAck<'_>) {
        let is_this = |pending: &Pending| matches!(pending, Pending::Authenticate { .. });
        let Some(Pending::Authenticate { ticket }) = self.take_pending(id, is_this) else {
            return self.fault(now, ErrorCode::UNEXPECTED_MESSAGE);
        };
        self.answer(ticket, Ok(Answer::Authenticated { valid_for: ack.valid_for }));
    }

    /// The request that a reply answers.
    //= SES-4
    fn take_pending(&mut self, id: u32, is_this: impl FnOnce(&Pending) -> bool) -> Option<Pending> {
        self.requests.under_way.get(&id).filter(|pending| is_this(pending))?;
        self.requests.under_way.remove(&id)
    }

    /// An error with request scope.
    pub(super) fn request_failed(&mut self, replica: &mut Replica, now: u64, id: u32, error: &Error<'_>) {
        // A push is never answered so (SES-67).
        if self.pushes.is_in_flight(id) {
            return self.fault(now, ErrorCode::UNEXPECTED_MESSAGE);
        }
        //= SES-6
        let Some(pending) = self.requests.under_way.remove(&id) else { return };
        let Error { code, retry_after, text, .. } = *error;
        let failure = Failure::Refused { code, retry_after, text: text.as_str().into() };
        match pending {
            Pending::Subscribe { number } => self.subscription_refused(replica, number, failure),
            //= SES-72
            Pending::Pull { ticket, pull, from }
                if code == ErrorCode::POSITION_UNKNOWN && from != Position::START =>
            {
                let changes = replica.forget_position(&pull.collections);
                self.commit(changes);
                self.requests.waiting.push_front(Command::Pull { ticket, pull });
            }
            Pending::Pull { ticket, .. }
            | Pending::Query { ticket, .. }
            | Pending::SyncState { ticket }
            | Pending::Authenticate { ticket } => self.answer(ticket, Err(failure)),
        }
    }

    fn answer(&mut self, ticket: u64, answer: Result<Answer, Failure>) {
        self.event(Event::Answered { ticket, answer });
    }

    /// The connection has ended: nothing will be answered any more.
    pub(super) fn fail_requests(&mut self) {
        let requests = core::mem::take(&mut self.requests);
        let under_way = requests.under_way.values().filter_map(Pending::ticket);
        let tickets = under_way.chain(requests.waiting.iter().filter_map(Command::ticket));
        for ticket in tickets.collect::<Vec<_>>() {
            self.answer(ticket, Err(Failure::Ended));
        }
    }
}
