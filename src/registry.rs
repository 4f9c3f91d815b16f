//! Code points: the numbers of SPEC.md sections 4, 14 and 18, each with its name.
//!
//! A code point is a number with named constants, so that one that this version does not know can be
//! held, printed, skipped or refused deliberately.

use core::fmt;

macro_rules! code_points {
    ($(#[$meta:meta])* $type:ident($int:ty) { $($(#[$doc:meta])* $name:ident = $value:literal, $text:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub $int);

        impl $type {
            $($(#[$doc])* pub const $name: Self = Self($value);)*

            /// Every code point that this version assigns, ascending, with its name.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self($value), $text)),*];

            /// The name, or `None` for a code point that this version does not assign.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some($text),)*
                    _ => None,
                }
            }

            /// The code point of that name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().find(|(_, text)| *text == name).map(|(code, _)| *code)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => f.write_str(name),
                    None => write!(f, concat!(stringify!($type), "({})"), self.0),
                }
            }
        }
    };
}

code_points! {
    /// What a message is (SPEC.md 18.1).
    MessageType(u16) {
        /// Client to relay, first frame.
        HANDSHAKE = 0x0002, "handshake";
        /// Relay to client, the answer to a handshake.
        WELCOME = 0x0004, "welcome";
        /// Client to relay: how much do you hold?
        SYNC_STATE_REQUEST = 0x0006, "sync state request";
        /// Relay to client: numbers to compare.
        SYNC_STATE = 0x0008, "sync state";
        /// Client to relay: one page of blocks.
        PULL_REQUEST = 0x000A, "pull request";
        /// Relay to client: that page.
        PULL_RESPONSE = 0x000C, "pull response";
        /// Client to relay: blocks of operations.
        PUSH = 0x000E, "push";
        /// Relay to client: what became of each block.
        PUSH_ACK = 0x0010, "push ack";
        /// Client to relay: tell me what happens.
        SUBSCRIBE = 0x0012, "subscribe";
        /// Client to relay: tell me no more.
        UNSUBSCRIBE = 0x0014, "unsubscribe";
        /// Relay to client: what happened.
        UPDATE = 0x0016, "update";
        /// Client to relay: applied up to here.
        UPDATE_ACK = 0x0018, "update ack";
        /// Client to relay: a question about the merged state.
        QUERY = 0x001A, "query";
        /// Relay to client: its rows.
        QUERY_RESPONSE = 0x001C, "query response";
        /// Client to relay: a new token.
        AUTHENTICATE = 0x001E, "authenticate";
        /// Relay to client: the token is good.
        AUTHENTICATE_ACK = 0x0020, "authenticate ack";
        /// Either way: are you there?
        PING = 0x0022, "ping";
        /// Either way: yes.
        PONG = 0x0024, "pong";
        /// Either way: something is wrong.
        ERROR = 0x0026, "error";
        /// Either way: the sender's last frame.
        GOODBYE = 0x0028, "goodbye";
    }
}

code_points! {
    /// What both ends can do (SPEC.md 18.3), in the odd form, "I can".
    Capability(u16) {
        /// The value tags `removed`, `patch` and `counter`.
        CRDT = 0x0011, "crdt";
        /// The packed block encoding (reserved).
        PACKED = 0x0013, "packed";
        /// LZ4 payloads.
        COMPRESSION = 0x0015, "compression";
        /// Queries over the merged state.
        QUERY = 0x0017, "query";
        /// Reserved.
        SNAPSHOT = 0x0019, "snapshot";
        /// Reserved.
        ENCRYPTION = 0x001B, "encryption";
    }
}

impl Capability {
    /// True for the form that says "I can and must" (SPEC.md 9.2).
    #[must_use]
    pub const fn is_required(self) -> bool {
        self.0.is_multiple_of(2)
    }

    /// The odd form of the same capability.
    #[must_use]
    pub const fn optional(self) -> Self {
        Self(self.0 | 1)
    }
}

code_points! {
    /// What one side tells the other that it takes (SPEC.md 18.4).
    LimitId(u16) {
        /// Bytes of pushed blocks under way at once.
        PUSH_BYTES = 0x0001, "push bytes";
        /// Pushed blocks under way at once.
        PUSH_BLOCKS = 0x0003, "push blocks";
        /// Subscriptions on this connection.
        SUBSCRIPTIONS = 0x0005, "subscriptions";
        /// Requests other than push under way at once.
        REQUESTS = 0x0007, "requests";
        /// Operations pushed per second; 0 for no limit.
        OPERATIONS_PER_SECOND = 0x0009, "operations per second";
        /// Rows of one query page.
        ROWS = 0x000B, "rows";
        /// Bytes of blocks in one update.
        UPDATE_BYTES = 0x000D, "update bytes";
    }
}

impl LimitId {
    /// The value that holds when the other side does not tell one (SPEC.md 18.4).
    #[must_use]
    pub const fn default_value(self) -> Option<u64> {
        match self {
            Self::PUSH_BYTES => Some(4_194_304),
            Self::PUSH_BLOCKS => Some(1_024),
            Self::SUBSCRIPTIONS | Self::REQUESTS => Some(64),
            Self::OPERATIONS_PER_SECOND => Some(0),
            Self::ROWS => Some(1_000),
            Self::UPDATE_BYTES => Some(1_048_576),
            _ => None,
        }
    }
}

code_points! {
    /// How a block's payload is written (SPEC.md 18.5). Closed.
    Encoding(u8) {
        /// Operations in row layout, one after another.
        ROWS = 0x01, "rows";
        /// Reserved.
        PACKED = 0x02, "packed";
    }
}

code_points! {
    /// Why a sender says goodbye (SPEC.md 18.6).
    GoodbyeReason(u16) {
        /// No need to say more.
        DONE = 0, "done";
        /// Come back after the time given.
        RESTARTING = 1, "restarting";
        /// Come back after the time given.
        OVERLOADED = 2, "overloaded";
        /// Nothing to do.
        IDLE = 3, "idle";
    }
}

code_points! {
    /// The tag of a value (SPEC.md 4.1). Closed; `21` to `2F` are inline strings.
    Tag(u8) {
        /// text32 of 16 bytes or more.
        STRING = 0x01, "string";
        /// i64 outside 0 to 255.
        INT = 0x02, "int";
        /// f64.
        DOUBLE = 0x03, "double";
        /// u8, 0 or 1.
        BOOL = 0x04, "bool";
        /// 16 bytes.
        UUID = 0x05, "uuid";
        /// f64 seconds since 2001-01-01T00:00:00Z.
        DATE = 0x06, "date";
        /// bytes32.
        DATA = 0x07, "data";
        /// list16 of values.
        ARRAY = 0x08, "array";
        /// list16 of text16 and value.
        DICTIONARY = 0x09, "dictionary";
        /// Never legal.
        LEGACY_VECTOR = 0x0A, "legacy vector";
        /// Nothing follows.
        NULL = 0x0B, "null";
        /// Nothing follows.
        REMOVED = 0x0C, "removed";
        /// list16 of text16 and value, at least one.
        PATCH = 0x0D, "patch";
        /// Timestamp or never, i64.
        COUNTER = 0x0E, "counter";
        /// u16 count, then f32.
        VECTOR = 0x0F, "vector";
        /// bytes32, at least one byte.
        SEALED = 0x10, "sealed";
        /// Nothing follows.
        EMPTY_STRING = 0x11, "empty string";
        /// u8.
        SMALL_INT = 0x12, "small int";
        /// Nothing follows.
        EMPTY_ARRAY = 0x18, "empty array";
        /// Nothing follows.
        EMPTY_DICTIONARY = 0x19, "empty dictionary";
    }
}

code_points! {
    /// What went wrong (SPEC.md 14). One that is not known means `INTERNAL_ERROR` (ERR-3).
    ErrorCode(u16) {
        /// Bytes end inside a primitive.
        TRUNCATED = 101, "TRUNCATED";
        /// Bytes left after the last field.
        TRAILING_BYTES = 102, "TRAILING_BYTES";
        /// A length is over its cap.
        TOO_LONG = 103, "TOO_LONG";
        /// A count is over its cap.
        TOO_MANY = 104, "TOO_MANY";
        /// Too much is open at once.
        TOO_DEEP = 105, "TOO_DEEP";
        /// A length or count is 0 where that is not allowed.
        EMPTY = 106, "EMPTY";
        /// There is another, the only legal, way to write this.
        NON_CANONICAL = 107, "NON_CANONICAL";
        /// Items do not ascend.
        OUT_OF_ORDER = 108, "OUT_OF_ORDER";
        /// An item stands twice.
        DUPLICATE = 109, "DUPLICATE";
        /// A number is outside its range.
        OUT_OF_RANGE = 110, "OUT_OF_RANGE";
        /// Text is not UTF-8.
        BAD_UTF8 = 111, "BAD_UTF8";
        /// A bool is neither 0 nor 1.
        BAD_BOOL = 112, "BAD_BOOL";
        /// This is not what it should be.
        BAD_MAGIC = 113, "BAD_MAGIC";
        /// A CRC-32 differs.
        BAD_CHECKSUM = 114, "BAD_CHECKSUM";
        /// A push's operations are not those its sender checked.
        BAD_IDS_CHECK = 115, "BAD_IDS_CHECK";
        /// Not an LZ4 block, or of another length than declared.
        BAD_COMPRESSION = 116, "BAD_COMPRESSION";
        /// A version byte is unknown.
        UNSUPPORTED_VERSION = 117, "UNSUPPORTED_VERSION";
        /// A flag bit is set that must be 0.
        UNKNOWN_FLAG = 118, "UNKNOWN_FLAG";
        /// A small code is not listed.
        UNKNOWN_CODE = 119, "UNKNOWN_CODE";
        /// A value's tag is not listed.
        UNKNOWN_TAG = 120, "UNKNOWN_TAG";
        /// A field's key byte is not listed.
        UNKNOWN_KEY = 121, "UNKNOWN_KEY";
        /// An operation is no insert, update or delete.
        UNKNOWN_OP_TYPE = 122, "UNKNOWN_OP_TYPE";
        /// A block's encoding is not known.
        UNKNOWN_ENCODING = 123, "UNKNOWN_ENCODING";
        /// A message type is even and not known.
        UNKNOWN_MESSAGE = 124, "UNKNOWN_MESSAGE";
        /// An extension type is even and not known.
        UNKNOWN_EXTENSION = 125, "UNKNOWN_EXTENSION";
        /// Value tag `0A`.
        LEGACY_VECTOR = 126, "LEGACY_VECTOR";
        /// Removed, patch or counter where it must not stand.
        MISPLACED_VALUE = 127, "MISPLACED_VALUE";
        /// Needs a capability that was not agreed on.
        NOT_NEGOTIATED = 128, "NOT_NEGOTIATED";
        /// A counter is 0 or not below 2^53.
        BAD_TIMESTAMP = 129, "BAD_TIMESTAMP";
        /// A node is nil.
        BAD_NODE = 130, "BAD_NODE";
        /// A node_seq is 0 or not below 2^48.
        BAD_NODE_SEQ = 131, "BAD_NODE_SEQ";
        /// An id is not the one derived.
        BAD_OP_ID = 132, "BAD_OP_ID";
        /// A counter's base is not smaller than its operation's timestamp.
        BAD_BASE = 133, "BAD_BASE";
        /// A previous version where none may be, or not smaller than the timestamp.
        BAD_PREVIOUS = 134, "BAD_PREVIOUS";
        /// An epoch or seq that cannot be.
        BAD_POSITION = 135, "BAD_POSITION";
        /// A database name has a character that it may not have.
        BAD_NAME = 136, "BAD_NAME";
        /// 0 where one is needed, or one where none may be.
        BAD_REQUEST_ID = 137, "BAD_REQUEST_ID";
        /// A delete has fields.
        FIELDS_ON_DELETE = 138, "FIELDS_ON_DELETE";
        /// An insert or update has no field.
        NO_FIELDS = 139, "NO_FIELDS";
        /// Operations or blocks of two nodes together.
        MIXED_NODES = 140, "MIXED_NODES";
        /// Node_seqs with a gap, out of order, or holes where none may be.
        NOT_CONTIGUOUS = 141, "NOT_CONTIGUOUS";
        /// Blocks on a message that has none.
        UNEXPECTED_BLOCKS = 142, "UNEXPECTED_BLOCKS";
        /// Legal bytes that break a rule without a code of its own.
        PROTOCOL_ERROR = 200, "PROTOCOL_ERROR";
        /// A message that this state or side does not take.
        UNEXPECTED_MESSAGE = 201, "UNEXPECTED_MESSAGE";
        /// No common version.
        VERSION_NOT_SUPPORTED = 202, "VERSION_NOT_SUPPORTED";
        /// The client must have what the relay lacks.
        CAPABILITY_REQUIRED = 203, "CAPABILITY_REQUIRED";
        /// An unknown even limit.
        LIMIT_NOT_SUPPORTED = 204, "LIMIT_NOT_SUPPORTED";
        /// A pushed block does not begin at mark + 1.
        OUT_OF_STEP = 205, "OUT_OF_STEP";
        /// A newer connection of the same node.
        REPLACED = 206, "REPLACED";
        /// The node belongs to another principal or key.
        NOT_YOUR_NODE = 207, "NOT_YOUR_NODE";
        /// A request id that is under way.
        DUPLICATE_REQUEST = 208, "DUPLICATE_REQUEST";
        /// A subscription's number used again.
        DUPLICATE_SUBSCRIPTION = 209, "DUPLICATE_SUBSCRIPTION";
        /// An update ack for a number never used.
        UNKNOWN_SUBSCRIPTION = 210, "UNKNOWN_SUBSCRIPTION";
        /// Over the relay's limit.
        TOO_MANY_SUBSCRIPTIONS = 211, "TOO_MANY_SUBSCRIPTIONS";
        /// Over the relay's limit of requests under way.
        TOO_MANY_REQUESTS = 212, "TOO_MANY_REQUESTS";
        /// A position that is not in the history.
        POSITION_UNKNOWN = 213, "POSITION_UNKNOWN";
        /// More pushed bytes under way than the relay allows.
        WINDOW_EXCEEDED = 214, "WINDOW_EXCEEDED";
        /// No handshake in time.
        HANDSHAKE_TIMEOUT = 215, "HANDSHAKE_TIMEOUT";
        /// Nothing heard for too long.
        IDLE_TIMEOUT = 216, "IDLE_TIMEOUT";
        /// Too much in too short a time.
        RATE_LIMITED = 217, "RATE_LIMITED";
        /// A delivered block that this client cannot read.
        UPGRADE_NEEDED = 218, "UPGRADE_NEEDED";
        /// A reason without a code of its own.
        REFUSED = 300, "REFUSED";
        /// A timestamp beyond the relay's guard.
        CLOCK_TOO_FAR_AHEAD = 301, "CLOCK_TOO_FAR_AHEAD";
        /// No right to write to this collection.
        WRITE_FORBIDDEN = 302, "WRITE_FORBIDDEN";
        /// The principal's or database's quota is used up.
        QUOTA_EXCEEDED = 303, "QUOTA_EXCEEDED";
        /// No or unknown credentials.
        UNAUTHENTICATED = 401, "UNAUTHENTICATED";
        /// Credentials were good and are not any more.
        TOKEN_EXPIRED = 402, "TOKEN_EXPIRED";
        /// Known, but not allowed; closes when it answers a handshake.
        FORBIDDEN = 403, "FORBIDDEN";
        /// The database does not exist and may not be created.
        UNKNOWN_DATABASE = 404, "UNKNOWN_DATABASE";
        /// A reason without a code of its own.
        QUERY_FAILED = 500, "QUERY_FAILED";
        /// Over the relay's budget of time or rows.
        QUERY_TOO_EXPENSIVE = 501, "QUERY_TOO_EXPENSIVE";
        /// A cursor that is not of this query.
        BAD_CURSOR = 502, "BAD_CURSOR";
        /// The state did not reach the position asked for in time.
        STATE_NOT_REACHED = 503, "STATE_NOT_REACHED";
        /// The relay's fault; also every unknown code.
        INTERNAL_ERROR = 600, "INTERNAL_ERROR";
        /// The log cannot be read or written now.
        STORE_UNAVAILABLE = 601, "STORE_UNAVAILABLE";
        /// The relay is going down; goodbye says when to come back.
        SHUTTING_DOWN = 602, "SHUTTING_DOWN";
        /// The relay takes no further connection now.
        OVERLOADED = 603, "OVERLOADED";
    }
}

/// What an error code does to the connection (SPEC.md 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Disposition {
    /// The sender of the error closes the connection.
    Close,
    /// The request fails; the connection goes on (ERR-4).
    Reply,
    /// Stands in a push ack; the connection goes on (ERR-4).
    Refuse,
}

impl ErrorCode {
    /// What this code does to the connection. Unknown codes are treated as `INTERNAL_ERROR`.
    #[must_use]
    pub const fn disposition(self) -> Disposition {
        //= ERR-3
        match self.0 {
            300..=399 => Disposition::Refuse,
            211..=213 | 403 | 500..=601 => Disposition::Reply,
            100..=299 | 401..=499 | 602 | 603 => Disposition::Close,
            _ => Disposition::Reply,
        }
    }

    /// The WebSocket close code of a connection that ends by this error (TRN-4).
    #[must_use]
    pub const fn close_code(self) -> u16 {
        //= TRN-4
        if self.0 < 1_000 { 4_000 + self.0 } else { 4_000 + Self::INTERNAL_ERROR.0 }
    }
}

/// The 58 names of fields that have a key of one byte; key `01` is the first (SPEC.md 4.2). Frozen.
pub const COMMON_NAMES: [&str; 58] = [
    "id",
    "createdAt",
    "updatedAt",
    "userId",
    "teamId",
    "title",
    "description",
    "status",
    "priority",
    "assignedTo",
    "tags",
    "completedAt",
    "dueDate",
    "startDate",
    "category",
    "name",
    "email",
    "password",
    "username",
    "firstName",
    "lastName",
    "age",
    "phone",
    "address",
    "city",
    "state",
    "zip",
    "country",
    "organizationId",
    "projectId",
    "taskId",
    "bugId",
    "issueId",
    "commentId",
    "attachmentId",
    "versionId",
    "parentId",
    "childIds",
    "metadata",
    "config",
    "settings",
    "preferences",
    "type",
    "kind",
    "label",
    "value",
    "count",
    "total",
    "sum",
    "average",
    "min",
    "max",
    "isActive",
    "isDeleted",
    "isPublic",
    "isPrivate",
    "isArchived",
    "isFavorite",
];

/// A set of capabilities that this version knows: what two ends agreed on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Capabilities(u8);

impl Capabilities {
    /// None at all.
    pub const NONE: Self = Self(0);

    /// Those whose messages and bytes this version can read and write.
    pub const ALL: Self =
        Self::NONE.with(Capability::CRDT).with(Capability::COMPRESSION).with(Capability::QUERY);

    /// The set with `capability`, in either form, added. One that 1.0 does not know adds nothing.
    #[must_use]
    pub const fn with(self, capability: Capability) -> Self {
        Self(self.0 | Self::bit(capability))
    }

    /// True if `capability` is in the set.
    #[must_use]
    pub const fn has(self, capability: Capability) -> bool {
        self.0 & Self::bit(capability) != 0
    }

    /// True if a capability is in this set that is not in `other`.
    #[must_use]
    pub const fn exceed(self, other: Self) -> bool {
        self.0 & !other.0 != 0
    }

    const fn bit(capability: Capability) -> u8 {
        match capability.optional() {
            Capability::CRDT => 1,
            Capability::PACKED => 2,
            Capability::COMPRESSION => 4,
            Capability::QUERY => 8,
            Capability::SNAPSHOT => 16,
            Capability::ENCRYPTION => 32,
            _ => 0,
        }
    }
}

impl fmt::Debug for Capabilities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(Capability::ALL.iter().map(|(c, _)| c).filter(|c| self.has(**c))).finish()
    }
}
