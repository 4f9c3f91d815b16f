//! What goes into a session and what comes out.

use alloc::boxed::Box;
use alloc::vec::Vec;

use bytes::Bytes;

use super::Credentials;
use crate::client::{Change, CollectionSet, Records};
use crate::message::{PageLimit, RestoreMode, Selection};
use crate::registry::{Capability, ErrorCode, GoodbyeReason};
use crate::value::Value;
use crate::wire::{CollectionName, Position, Timestamp};

/// What happens to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The transport is open.
    Opened,
    /// Bytes have come, cut anywhere.
    Received(Bytes),
    /// The transport has ended, or could not be opened.
    Closed,
    /// The time of [`Session::poll_timeout`](super::Session::poll_timeout) has come.
    Timeout,
    /// The application has written to the replica, or dropped something from its outbox, and that is
    /// durable.
    Written,
    /// The application wants something.
    Command(Command),
}

/// What an application wants of a connection. It may say so before the connection is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Read a set of collections from its position on, and whatever comes, until [`Self::Unsubscribe`].
    Subscribe {
        /// What to read.
        collections: CollectionSet,
        /// Bytes of blocks that may be under way; 0 pauses.
        window: u64,
    },
    /// Read this set no more.
    Unsubscribe(CollectionSet),
    /// Read on with this window from now on; 0 pauses.
    Window {
        /// What is subscribed to.
        collections: CollectionSet,
        /// Bytes of blocks that may be under way.
        window: u64,
    },
    /// Read one page of a set of collections, from its position on.
    Pull {
        /// Chosen by the application, to know the answer by.
        ticket: u64,
        /// Which page.
        pull: Pull,
    },
    /// Ask for rows of the relay's merged state.
    Query {
        /// Chosen by the application, to know the answer by.
        ticket: u64,
        /// What is asked.
        query: Box<Query>,
    },
    /// Ask how much the relay holds.
    SyncState {
        /// Chosen by the application, to know the answer by.
        ticket: u64,
    },
    /// Show new credentials.
    Authenticate {
        /// Chosen by the application, to know the answer by.
        ticket: u64,
        /// Of the same principal.
        credentials: Credentials,
    },
    /// End in order: when pushes in flight have their acks. The last command of a session.
    Close,
}

/// One page of a set of collections.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pull {
    /// What to read.
    pub collections: CollectionSet,
    /// At most so many operations; 0 for as many as the relay likes.
    pub max_operations: u32,
    /// At most so many bytes of blocks; 0 for as many as the relay likes.
    pub max_bytes: u32,
}

/// A question about the relay's merged state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Source 0.
    pub collection: CollectionName,
    /// The state must have reached it; [`Position::START`] for any.
    pub after: Position,
    /// What is asked.
    pub selection: Selection,
    /// Rows of a page.
    pub limit: PageLimit,
    /// Of the answer before; empty for the first page.
    pub cursor: Box<[u8]>,
}

/// What an embedding has to do, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Make these changes durable, all or none, before anything that comes later is performed.
    Commit(Vec<Change>),
    /// Send this frame.
    Send(Bytes),
    /// Close the transport when everything is sent: with this error, or in order. Nothing more is sent.
    Close(Option<ErrorCode>),
    /// Tell the application.
    Event(Event),
    /// The session is over. The last output, exactly once.
    Reconnect(Reconnect),
}

/// When another session makes sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reconnect {
    /// After so many milliseconds; chance is in them already.
    After(u64),
    /// When there is something to send or ask, and not before so many milliseconds.
    WhenNeeded(u64),
    /// When the application says so.
    OnOrder,
}

/// What an application may want to know.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The connection is settled: the relay's log ends at `head`.
    Active {
        /// End of the log.
        head: Position,
    },
    /// The relay has lost history that this client had seen.
    LostHistory(RestoreMode),
    /// The client has become a new node.
    NewNode(NewNode),
    /// These writes were sent.
    Sent(Vec<Timestamp>),
    /// The relay has these writes in its log.
    Durable(Vec<Timestamp>),
    /// The relay has refused these writes; they left the view for the rejected list.
    Rejected {
        /// One, or those of a transaction.
        writes: Vec<Timestamp>,
        /// Why.
        code: ErrorCode,
    },
    /// What was in doubt and was sent again was refused. It is tried again on the next connection, unless
    /// the code is `WRITE_FORBIDDEN` (SES-64, SES-65).
    RestoreRefused {
        /// The write that was sent again.
        write: Timestamp,
        /// Why.
        code: ErrorCode,
    },
    /// This write and all that follow wait: the relay did not agree on what it needs.
    CannotSend {
        /// The first of them.
        write: Timestamp,
        /// What is missing.
        needs: Capability,
    },
    /// The relay takes no pushes for so many milliseconds.
    Later(u64),
    /// These records may look different now, by what was delivered or refused.
    Changed(Records),
    /// The durable state was dropped, and is read from the start. Any record may look different now.
    Dropped,
    /// A subscription has reached the head that welcome told.
    CaughtUp(CollectionSet),
    /// A subscription has ended.
    SubscriptionEnded {
        /// What was read.
        collections: CollectionSet,
        /// Why.
        failure: Failure,
    },
    /// The answer to a command. A query may have several, of which all but the last say `more`; all
    /// others have one.
    Answered {
        /// As the command had it.
        ticket: u64,
        /// What the relay said.
        answer: Result<Answer, Failure>,
    },
    /// A block was delivered that this client cannot read. It reads no more until it is upgraded or offers
    /// more capabilities; it writes as before (SES-103).
    UpgradeNeeded,
    /// The connection has ended, or could not be opened.
    Ended(End),
}

/// Why a client has become a new node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewNode {
    /// This is a copy, or it or the relay was rolled back (SES-19).
    OutOfStep,
    /// The relay has lost history, and wants what it lost to stay lost (SES-32).
    Discarded,
    /// Another connection of the same node took the place of this one: there is a copy (SES-27).
    Replaced,
    /// The node belongs to another principal or key (SES-15).
    NotYourNode,
    /// The clock was set back (SES-42).
    ClockSetBack,
    /// What was in doubt may not be brought back by this client (SES-64).
    RestoreForbidden,
}

/// Why a connection has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// By order of the application.
    Ordered,
    /// The transport ended, or could not be opened.
    Transport,
    /// The relay said goodbye.
    Goodbye(GoodbyeReason),
    /// The relay closed it with an error. `text` is hostile like any other input: show it escaped.
    Refused {
        /// Why.
        code: ErrorCode,
        /// For people.
        text: Box<str>,
    },
    /// This client closed it with an error: the relay broke a rule, or is not heard of any more.
    Fault(ErrorCode),
    /// The client has become a new node, which needs a connection of its own.
    NewNode,
}

/// Why a command failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The relay refused it. `text` is hostile like any other input: show it escaped.
    Refused {
        /// Why.
        code: ErrorCode,
        /// Milliseconds after which it may go better; 0 if no time is better than another.
        retry_after: u32,
        /// For people.
        text: Box<str>,
    },
    /// It was not sent: it would break this rule.
    NotSent(ErrorCode),
    /// The connection ended first.
    Ended,
}

/// What a relay answered.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// A page was merged.
    Pulled {
        /// Up to where.
        position: Position,
        /// Whether there is another page now.
        has_more: bool,
    },
    /// Rows of a query.
    Rows {
        /// The log position of the state that answered.
        at: Position,
        /// Values row by row. [`Value::Removed`] says that there is nothing.
        rows: Vec<Vec<Value>>,
        /// More rows follow in another answer.
        more: bool,
        /// To ask for the next page; empty if there is none.
        cursor: Box<[u8]>,
    },
    /// How much the relay holds.
    SyncState {
        /// The log position that the numbers describe.
        head: Position,
        /// In the log.
        operations: u64,
        /// With a mark above 0.
        nodes: u64,
        /// In the merged state.
        live_records: u64,
        /// With at least one live record.
        collections: u64,
    },
    /// The credentials are good.
    Authenticated {
        /// For so many seconds; 0 for no end.
        valid_for: u32,
    },
}
