//! What is said: one type for each message of SPEC.md 7, and [`Message`] for any of them.
//!
//! Messages are views: what they hold is borrowed from the frame that was decoded, or from what an
//! application passed in. What can be constructed can be encoded, so encoding has no errors; the
//! constructors of the fields' types have them.

mod authenticate;
mod checked;
mod delivery;
mod error;
mod extension;
mod goodbye;
mod handshake;
mod list;
mod ping;
mod pull;
mod push;
mod push_ack;
mod query;
mod subscribe;
mod sync_state;
#[cfg(test)]
mod testing;
mod unknown;
mod update;
mod welcome;

pub use authenticate::{Authenticate, AuthenticateAck, Authentication};
pub use checked::{CollectionRef, Collections, Data, DatabaseRef, LastNodeSeq, Seq, Text};
pub use delivery::{FirstSeqs, LogBlocks};
pub use error::{Error, ErrorText, Scope};
pub use extension::{Extension, Extensions};
pub use goodbye::Goodbye;
pub use handshake::{CapabilityList, Handshake, Limit, LimitList, ProtocolText, VersionRange};
pub use list::{List, ListIter};
pub use ping::{Ping, Pong};
pub use pull::{PullRequest, PullResponse};
pub use push::{Push, PushBlocks};
pub use push_ack::{Accepted, PushAck, PushEntry};
pub use query::{
    Aggregate, AggregateFunction, AggregateRef, Cells, Comparison, Cursor, Direction, Filter, FilterOp,
    FilterOps, FilterRef, Join, JoinKind, JoinRef, PageEnd, PageLimit, Path, PathComponent, PathRef, Query,
    QueryResponse, Row, Selection, SelectionRef, SortBy, SortByRef, SortKey, SortKeyRef, Table, TableBuilder,
    TableIter, Values,
};
pub use subscribe::{Subscribe, Unsubscribe};
pub use sync_state::{SyncState, SyncStateRequest};
pub use unknown::Unknown;
pub use update::{Update, UpdateAck};
pub use welcome::{EpochStart, Heartbeat, Mark, RestoreMode, Welcome};

use crate::block::Blocks;
use crate::registry::{ErrorCode, MessageType};
use crate::wire::Sink;
use crate::wire::parse::{At, Res, fail};

/// What a parser of this module fails with.
pub(crate) type Failure<'a> = nom::Err<At<'a>>;

/// A message, as a view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Message<'a> {
    /// Client to relay, first frame.
    Handshake(Handshake<'a>),
    /// Relay to client, the answer to a handshake.
    Welcome(Welcome<'a>),
    /// Client to relay: how much do you hold?
    SyncStateRequest(SyncStateRequest<'a>),
    /// Relay to client: numbers to compare.
    SyncState(SyncState<'a>),
    /// Client to relay: one page of blocks.
    PullRequest(PullRequest<'a>),
    /// Relay to client: that page.
    PullResponse(PullResponse<'a>),
    /// Client to relay: blocks of operations.
    Push(Push<'a>),
    /// Relay to client: what became of each block.
    PushAck(PushAck<'a>),
    /// Client to relay: tell me what happens.
    Subscribe(Subscribe<'a>),
    /// Client to relay: tell me no more.
    Unsubscribe(Unsubscribe<'a>),
    /// Relay to client: what happened.
    Update(Update<'a>),
    /// Client to relay: applied up to here.
    UpdateAck(UpdateAck<'a>),
    /// Client to relay: a question about the merged state.
    Query(Query<'a>),
    /// Relay to client: its rows.
    QueryResponse(QueryResponse<'a>),
    /// Client to relay: a new token.
    Authenticate(Authenticate<'a>),
    /// Relay to client: the token is good.
    AuthenticateAck(AuthenticateAck<'a>),
    /// Either way: are you there?
    Ping(Ping<'a>),
    /// Either way: yes.
    Pong(Pong<'a>),
    /// Either way: something is wrong.
    Error(Error<'a>),
    /// Either way: the sender's last frame.
    Goodbye(Goodbye<'a>),
    /// A message of an unknown odd type, to be skipped (EXT-4).
    Unknown(Unknown<'a>),
}

impl<'a> Message<'a> {
    /// What message it is.
    #[must_use]
    pub const fn message_type(&self) -> MessageType {
        match self {
            Self::Handshake(_) => MessageType::HANDSHAKE,
            Self::Welcome(_) => MessageType::WELCOME,
            Self::SyncStateRequest(_) => MessageType::SYNC_STATE_REQUEST,
            Self::SyncState(_) => MessageType::SYNC_STATE,
            Self::PullRequest(_) => MessageType::PULL_REQUEST,
            Self::PullResponse(_) => MessageType::PULL_RESPONSE,
            Self::Push(_) => MessageType::PUSH,
            Self::PushAck(_) => MessageType::PUSH_ACK,
            Self::Subscribe(_) => MessageType::SUBSCRIBE,
            Self::Unsubscribe(_) => MessageType::UNSUBSCRIBE,
            Self::Update(_) => MessageType::UPDATE,
            Self::UpdateAck(_) => MessageType::UPDATE_ACK,
            Self::Query(_) => MessageType::QUERY,
            Self::QueryResponse(_) => MessageType::QUERY_RESPONSE,
            Self::Authenticate(_) => MessageType::AUTHENTICATE,
            Self::AuthenticateAck(_) => MessageType::AUTHENTICATE_ACK,
            Self::Ping(_) => MessageType::PING,
            Self::Pong(_) => MessageType::PONG,
            Self::Error(_) => MessageType::ERROR,
            Self::Goodbye(_) => MessageType::GOODBYE,
            Self::Unknown(unknown) => unknown.code(),
        }
    }

    /// Writes the message's own fields: what stands between a frame's head and its checksum.
    pub fn encode_fields<S: Sink>(&self, sink: &mut S) {
        match self {
            Self::Handshake(message) => message.encode(sink),
            Self::Welcome(message) => message.encode(sink),
            Self::SyncStateRequest(message) => message.encode(sink),
            Self::SyncState(message) => message.encode(sink),
            Self::PullRequest(message) => message.encode(sink),
            Self::PullResponse(message) => message.encode(sink),
            Self::Push(message) => message.encode(sink),
            Self::PushAck(message) => message.encode(sink),
            Self::Subscribe(message) => message.encode(sink),
            Self::Unsubscribe(message) => message.encode(sink),
            Self::Update(message) => message.encode(sink),
            Self::UpdateAck(message) => message.encode(sink),
            Self::Query(message) => message.encode(sink),
            Self::QueryResponse(message) => message.encode(sink),
            Self::Authenticate(message) => message.encode(sink),
            Self::AuthenticateAck(message) => message.encode(sink),
            Self::Ping(message) => message.encode(sink),
            Self::Pong(message) => message.encode(sink),
            Self::Error(message) => message.encode(sink),
            Self::Goodbye(message) => message.encode(sink),
            Self::Unknown(message) => sink.put(message.fields()),
        }
    }

    /// The blocks of a push, pull response or update; `None` for messages that have no place for them,
    /// and for unknown ones, whose blocks were not looked at.
    #[must_use]
    pub const fn blocks(&self) -> Option<Blocks<'a>> {
        if let Self::Push(message) = self {
            Some(message.blocks.get())
        } else if let Self::Update(Update { blocks, .. }) | Self::PullResponse(PullResponse { blocks, .. }) =
            self
        {
            Some(blocks.blocks())
        } else {
            None
        }
    }

    /// What stands behind the checksum of the message's frame.
    #[must_use]
    pub const fn raw_blocks(&self) -> &'a [u8] {
        if let Self::Unknown(unknown) = self {
            return unknown.blocks();
        }
        match self.blocks() {
            Some(blocks) => blocks.raw(),
            None => &[],
        }
    }

    /// Whether the answer continues in another frame, which its flag `more` says (FRM-7).
    #[must_use]
    pub const fn more(&self) -> bool {
        if let Self::Unknown(unknown) = self {
            return unknown.more();
        }
        matches!(self, Self::QueryResponse(QueryResponse { end: PageEnd::More, .. }))
    }
}

/// A frame of which the envelope was checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DecodeInput<'a> {
    /// The whole frame; `fields` and `blocks` are parts of it.
    pub(crate) frame: &'a [u8],
    /// The message's own fields.
    pub(crate) fields: &'a [u8],
    /// What follows their checksum.
    pub(crate) blocks: &'a [u8],
    /// The frame's request id.
    pub(crate) request_id: u32,
    /// Whether flag `more` is set.
    pub(crate) more: bool,
    /// Whether `compression` was agreed on.
    pub(crate) compression: bool,
}

/// The message of type `kind` that a frame holds. Its blocks' headers are checked, their payloads are
/// not.
pub(crate) fn decode<'a>(kind: MessageType, input: DecodeInput<'a>) -> Result<Message<'a>, Failure<'a>> {
    let input = &input;
    match kind {
        MessageType::HANDSHAKE => Handshake::decode(input).map(Message::Handshake),
        MessageType::WELCOME => Welcome::decode(input).map(Message::Welcome),
        MessageType::SYNC_STATE_REQUEST => SyncStateRequest::decode(input).map(Message::SyncStateRequest),
        MessageType::SYNC_STATE => SyncState::decode(input).map(Message::SyncState),
        MessageType::PULL_REQUEST => PullRequest::decode(input).map(Message::PullRequest),
        MessageType::PULL_RESPONSE => PullResponse::decode(input).map(Message::PullResponse),
        MessageType::PUSH => Push::decode(input).map(Message::Push),
        MessageType::PUSH_ACK => PushAck::decode(input).map(Message::PushAck),
        MessageType::SUBSCRIBE => Subscribe::decode(input).map(Message::Subscribe),
        MessageType::UNSUBSCRIBE => Unsubscribe::decode(input).map(Message::Unsubscribe),
        MessageType::UPDATE => Update::decode(input).map(Message::Update),
        MessageType::UPDATE_ACK => UpdateAck::decode(input).map(Message::UpdateAck),
        MessageType::QUERY => Query::decode(input).map(Message::Query),
        MessageType::QUERY_RESPONSE => QueryResponse::decode(input).map(Message::QueryResponse),
        MessageType::AUTHENTICATE => Authenticate::decode(input).map(Message::Authenticate),
        MessageType::AUTHENTICATE_ACK => AuthenticateAck::decode(input).map(Message::AuthenticateAck),
        MessageType::PING => Ping::decode(input).map(Message::Ping),
        MessageType::PONG => Pong::decode(input).map(Message::Pong),
        MessageType::ERROR => Error::decode(input).map(Message::Error),
        MessageType::GOODBYE => Goodbye::decode(input).map(Message::Goodbye),
        //= EXT-4
        MessageType(code) if code.is_multiple_of(2) => {
            fail(input.frame.get(2..).unwrap_or_default(), ErrorCode::UNKNOWN_MESSAGE, "message type")
        }
        _ => Ok(Message::Unknown(Unknown::decode(kind, input))),
    }
}

/// Runs `parser` over all of a message's fields.
fn fields<'a, T>(
    input: &DecodeInput<'a>,
    parser: impl FnOnce(&'a [u8]) -> Res<'a, T>,
) -> Result<T, Failure<'a>> {
    let (rest, value) = parser(input.fields)?;
    //= MSG-5
    if !rest.is_empty() {
        return fail(rest, ErrorCode::TRAILING_BYTES, "fields");
    }
    Ok(value)
}
