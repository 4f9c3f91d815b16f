//! What a relay is told and what it asks for: plain data.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use super::history::Epoch;
use super::rights::Rights;
use crate::codec::{Context, Packet};
use crate::message::{Mark, Message, Query, TableBuilder};
use crate::registry::{Capabilities, ErrorCode};
use crate::wire::{DatabaseName, NodeId, NodeKey};

/// A connection. Chosen by who drives the relay, and never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// An open database. Chosen by the relay, and never used again: a database that is opened anew has
/// another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatabaseId(pub u64);

/// Something that the relay asked for and that has one answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What carries a connection (SPEC.md 15).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Frames one after another, cut anywhere: TCP, a Unix socket, QUIC.
    Stream,
    /// Each [`Input::Received`] is one message and holds whole frames: WebSocket, memory (TRN-3).
    Messages,
}

/// Who authenticated. Compared by its bytes; the relay gives them no meaning.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Principal(Arc<str>);

impl Principal {
    /// The principal of that name.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a client showed to say who it acts for.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// How to read the token (SPEC.md 7.1); 0 for none.
    pub method: u16,
    /// The token; empty with method 0.
    pub token: Bytes,
}

impl fmt::Debug for Credentials {
    //= SEC-7
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials(method {}, ..)", self.method)
    }
}

/// Something happened. A ticket's answer is the input whose documentation names the output that it
/// answers, or [`Input::Failed`].
#[derive(Clone, Debug)]
pub enum Input {
    /// A transport was opened.
    Opened {
        /// A new number.
        conn: ConnId,
        /// What carries it.
        framing: Framing,
    },
    /// Bytes came. Not to be given while [`Output::PauseReading`] is in force, but for what had been read
    /// before.
    Received {
        /// From whom.
        conn: ConnId,
        /// As they came. The relay may keep parts of the buffer, so it should hold nothing else.
        bytes: Bytes,
    },
    /// The transport took that many bytes of what was sent, counted over heads and blocks together.
    Flushed {
        /// Which transport.
        conn: ConnId,
        /// How many since the last time.
        bytes: usize,
    },
    /// The transport is gone. May be left out for a connection that [`Output::Close`] ended.
    Closed {
        /// Which.
        conn: ConnId,
    },
    /// The time of [`super::Relay::poll_timeout`] has come.
    Timeout,
    /// To [`Output::Authorize`]: the credentials are good, and the database may be used.
    Authorized {
        /// Of the question.
        ticket: Ticket,
        /// Who it is.
        principal: Principal,
        /// What it may do in the database.
        rights: Arc<Rights>,
        /// Unix time in milliseconds at which the credentials end, if they do.
        valid_until_ms: Option<u64>,
    },
    /// To [`Output::OpenDatabase`]: an epoch was minted and made durable for this opening (RLY-10).
    DatabaseOpened {
        /// Of the question.
        ticket: Ticket,
        /// The seq of the last operation in the log; 0 if it is empty.
        head: u64,
        /// All of them, oldest first; the last is the new one.
        epochs: Vec<Epoch>,
    },
    /// To [`Output::LoadNode`].
    NodeLoaded {
        /// Of the question.
        ticket: Ticket,
        /// What the store has about the node.
        claim: Claim,
    },
    /// To [`Output::Append`]: all of it is durable.
    Appended {
        /// Of the question.
        ticket: Ticket,
        /// The seq of the first operation; what follows has the next ones. The head's seq + 1 also where
        /// the append holds no operation.
        first_seq: u64,
    },
    /// To [`Output::Read`].
    BlocksRead {
        /// Of the question.
        ticket: Ticket,
        /// At least the block that holds the operation behind `after`, and as many that follow as there is
        /// room for.
        blocks: Vec<StoredBlock>,
    },
    /// To [`Output::MintEpoch`]: it is durable.
    EpochMinted {
        /// Of the question.
        ticket: Ticket,
        /// It begins at the head's seq.
        epoch: Epoch,
    },
    /// To [`Output::RunQuery`].
    Rows {
        /// Of the question.
        ticket: Ticket,
        /// The seq that the state had reached that answered (RLY-56).
        at: u64,
        /// The rows, a frame's worth in each, all with the same columns; at least one table, if without
        /// rows.
        tables: Vec<TableBuilder>,
        /// To ask for the next page; empty if there is none.
        cursor: Bytes,
    },
    /// To [`Output::CountState`].
    StateCounted {
        /// Of the question.
        ticket: Ticket,
        /// The numbers.
        counts: StateCounts,
    },
    /// To any ticket: it could not be done, and certainly had no effect. For an append whose outcome is
    /// not known there is [`Input::LogLost`].
    Failed {
        /// Of the question.
        ticket: Ticket,
        /// Why.
        code: ErrorCode,
    },
    /// It is not known what became of an append, or another writer has taken over: the relay ends all
    /// connections of the database and opens it anew when one comes back (RLY-8). Tickets of the database
    /// need no answers any more.
    LogLost {
        /// Which.
        database: DatabaseId,
    },
    /// The rights of a connection are other ones from now on (SES-92).
    RightsChanged {
        /// Whose.
        conn: ConnId,
        /// The new ones.
        rights: Arc<Rights>,
    },
    /// The relay goes down: every connection is ended in order (SES-95), and no other one is taken.
    Shutdown,
}

/// What a store has about a node (RLY-12).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It belongs to that principal and key, or has had no block: [`Mark::NONE`].
    Yours(Mark),
    /// It belongs to another principal or key.
    NotYours,
}

/// A block as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// The seq of its first operation.
    pub first_seq: u64,
    /// The block, as it came.
    pub bytes: Bytes,
}

/// How much a database holds, all at one position (RLY-57).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateCounts {
    /// The seq that the numbers describe.
    pub seq: u64,
    /// Operations in the log.
    pub operations: u64,
    /// Nodes with a mark above 0.
    pub nodes: u64,
    /// Live records in the merged state.
    pub live_records: u64,
    /// Collections with at least one live record.
    pub collections: u64,
}

/// What is to be done. Each with a ticket wants one answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Send these bytes: one whole frame.
    Send {
        /// To whom.
        conn: ConnId,
        /// The frame without its blocks.
        head: Bytes,
        /// The blocks that follow it, in buffers that others share.
        blocks: Vec<Bytes>,
    },
    /// Close the transport when what was sent before has gone, or soon. The connection is forgotten.
    Close {
        /// Which.
        conn: ConnId,
        /// How it ended.
        ending: Ending,
    },
    /// Stop reading from the transport (RLY-49).
    PauseReading {
        /// Which.
        conn: ConnId,
    },
    /// Read again.
    ResumeReading {
        /// Which.
        conn: ConnId,
    },
    /// Who is this, and what may it do? Answered by [`Input::Authorized`], or [`Input::Failed`] with
    /// `UNAUTHENTICATED`, `TOKEN_EXPIRED`, `UNKNOWN_DATABASE` or `FORBIDDEN`; the first of these that
    /// applies, and `FORBIDDEN` instead of `UNKNOWN_DATABASE` to who may not know (RLY-11). In a time that
    /// does not depend on how much of the token was right; or with `RATE_LIMITED` without a look at it
    /// (SEC-3).
    Authorize {
        /// For the answer.
        ticket: Ticket,
        /// Whose credentials.
        conn: ConnId,
        /// What it wants to use.
        database: DatabaseName,
        /// What it showed.
        credentials: Credentials,
    },
    /// Open a log for writing: mint a random epoch, make it durable with the head's seq, and answer with
    /// [`Input::DatabaseOpened`] (RLY-10).
    OpenDatabase {
        /// For the answer.
        ticket: Ticket,
        /// What it is called from now on.
        database: DatabaseId,
        /// Which.
        name: DatabaseName,
    },
    /// The relay uses the database no more. Also for one whose opening failed or whose log was lost.
    CloseDatabase {
        /// Which.
        database: DatabaseId,
    },
    /// Is this node this principal's, and what are its durable mark and check? Answered by
    /// [`Input::NodeLoaded`]. The store keeps only a hash of the key and compares in constant time (RLY-13).
    LoadNode {
        /// For the answer.
        ticket: Ticket,
        /// Where.
        database: DatabaseId,
        /// Who delivers.
        node: NodeId,
        /// What it showed to prove that.
        key: NodeKey,
        /// Whom it acts for.
        principal: Principal,
    },
    /// Make all of this durable in one transaction, or nothing of it. Answered by [`Input::Appended`];
    /// [`Input::Failed`] if certainly nothing is or will be stored, as when a node's durable mark and check
    /// are not those that it builds on (RLY-5, RLY-6); [`Input::LogLost`] if that cannot be told.
    ///
    /// Operations get the next seqs in the order of nodes, blocks and operations (RLY-3).
    Append {
        /// For the answer.
        ticket: Ticket,
        /// Where.
        database: DatabaseId,
        /// What, each node once.
        nodes: Vec<NodeAppend>,
    },
    /// The blocks of the log after seq `after`, the first one of them also if it begins before.
    /// Answered by [`Input::BlocksRead`].
    Read {
        /// For the answer.
        ticket: Ticket,
        /// Where.
        database: DatabaseId,
        /// The seq behind which to begin; below the head.
        after: u64,
        /// Bytes of blocks at most, but for the first block.
        max_bytes: usize,
    },
    /// Mint a random epoch that begins at the head and make it durable (RLY-16). No append is under way
    /// meanwhile. Answered by [`Input::EpochMinted`].
    MintEpoch {
        /// For the answer.
        ticket: Ticket,
        /// Where.
        database: DatabaseId,
    },
    /// Run a query on a state that has reached `after`. Answered by [`Input::Rows`], or [`Input::Failed`]
    /// with a code of 5xx; `STATE_NOT_REACHED` if the state does not get there within 5 s (RLY-53).
    RunQuery {
        /// For the answer.
        ticket: Ticket,
        /// Where.
        database: DatabaseId,
        /// What is asked.
        query: QueryFrame,
        /// The seq that the state must have reached.
        after: u64,
        /// Rows of a page at most: what the query says, or the relay's default.
        limit: u32,
    },
    /// How much does the database hold? Answered by [`Input::StateCounted`].
    CountState {
        /// For the answer.
        ticket: Ticket,
        /// Where.
        database: DatabaseId,
    },
}

/// What one node adds in an append: blocks, and the numbers of blocks that were refused (RLY-32).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeAppend {
    /// Who delivers.
    pub node: NodeId,
    /// Whose the node becomes if the store does not know it yet: with the first block taken from it.
    pub owner: Option<Owner>,
    /// The durable mark and check that this builds on (RLY-6).
    pub builds_on: Mark,
    /// What they become.
    pub mark: Mark,
    /// Blocks for the log, in order; none if all were refused.
    pub blocks: Vec<AppendBlock>,
}

/// To whom a node belongs (RLY-12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Who first used it.
    pub principal: Principal,
    /// The key that was shown; to be stored as a hash (RLY-13).
    pub key: NodeKey,
}

/// A block to append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendBlock {
    /// The number of its first operation among those of its node.
    pub first_node_seq: u64,
    /// Operations in it.
    pub count: u16,
    /// The block, as it came (RLY-9).
    pub bytes: Bytes,
}

/// How a connection ended (TRN-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// With an error of that code, which was sent if that was still possible.
    Error(ErrorCode),
    /// With a goodbye of either end, or by the peer's error.
    Done,
    /// Because the relay goes down.
    GoingDown,
}

impl Ending {
    /// The WebSocket close code (TRN-4).
    #[must_use]
    pub const fn close_code(self) -> u16 {
        //= TRN-4
        match self {
            Self::Error(code) => code.close_code(),
            Self::Done => 1000,
            Self::GoingDown => 1001,
        }
    }
}

/// A query, in the frame that it came in. It was checked, and so were the rights to its collections.
#[derive(Clone, PartialEq, Eq)]
pub struct QueryFrame {
    frame: Bytes,
    capabilities: Capabilities,
}

impl QueryFrame {
    /// A frame that holds a query, of a session with these capabilities.
    #[must_use]
    pub const fn new(frame: Bytes, capabilities: Capabilities) -> Self {
        Self { frame, capabilities }
    }

    /// What is asked. `None` if the frame does not hold a query; one that the relay asks about does.
    #[must_use]
    pub fn query(&self) -> Option<Query<'_>> {
        let packet = Packet::decode(&self.frame, &Context::session(self.capabilities)).ok()?;
        if let Message::Query(query) = packet.message() { Some(*query) } else { None }
    }
}

impl fmt::Debug for QueryFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.query(), f)
    }
}
