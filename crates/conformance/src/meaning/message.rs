//! Messages.

use core::num::{NonZeroU16, NonZeroU64};

use blazedb_relay::block::Blocks;
use blazedb_relay::codec::Packet;
use blazedb_relay::error::DecodeError;
use blazedb_relay::message::{
    Accepted, Authenticate, AuthenticateAck, Authentication, CollectionRef, Collections, Data, DatabaseRef,
    EpochStart, Error, ErrorText, Extension, Extensions, FirstSeqs, Goodbye, Handshake, Heartbeat,
    LastNodeSeq, Limit, LimitList, List, LogBlocks, Mark, Message, Ping, Pong, ProtocolText, PullRequest,
    PullResponse, Push, PushAck, PushBlocks, PushEntry, RestoreMode, Scope, Seq, Subscribe, SyncState,
    SyncStateRequest, Unknown, Unsubscribe, Update, UpdateAck, VersionRange, Welcome,
};
use blazedb_relay::registry::{Capabilities, Capability, ErrorCode, GoodbyeReason, LimitId, MessageType};
use blazedb_relay::wire::{DatabaseName, NodeKey, Position};
use serde_json::{Value as Json, json};

use super::json::{
    Refusal, boolean, bytes, check, get, hex, items, node, number, numbers, position, position_json, refuse,
    text,
};
use super::{op, query};

/// The meaning of a packet, and its canonical form (SPEC.md 6.4).
pub(super) fn packet_json(
    packet: &Packet<'_>,
    capabilities: Capabilities,
) -> Result<(Json, Vec<u8>), DecodeError> {
    let message = packet.message();
    let mut json = fields_json(message);
    if let Some(blocks) = message.blocks() {
        let mut list = Vec::new();
        for block in blocks.iter() {
            list.push(op::block_json(&block, capabilities)?.0);
        }
        json["blocks"] = Json::Array(list);
    }
    json["request_id"] = json!(packet.request_id().to_string());
    if let Message::Unknown(_) = message {
        return Ok((json, packet.to_bytes()));
    }
    let kind = message.message_type().name().unwrap_or_default().replace(' ', "_");
    json["type"] = json!(kind);
    json["more"] = json!(message.more());
    let compressed = message.blocks().is_some_and(|blocks| blocks.iter().any(|b| b.header().compressed));
    let reencoded = if compressed {
        // What cannot be built shows as a difference of bytes.
        self::message(&json, &kind).unwrap_or_default()
    } else {
        packet.to_bytes()
    };
    Ok((json, reencoded))
}

fn fields_json(message: &Message<'_>) -> Json {
    match message {
        Message::Handshake(handshake) => handshake_json(handshake),
        Message::Welcome(welcome) => welcome_json(welcome),
        Message::SyncStateRequest(this) => json!({ "extensions": extensions_json(this.extensions) }),
        Message::SyncState(this) => json!({
            "head": position_json(this.head),
            "operations": this.operations.to_string(),
            "nodes": this.nodes.to_string(),
            "live_records": this.live_records.to_string(),
            "collections": this.collections.to_string(),
            "extensions": extensions_json(this.extensions),
        }),
        Message::PullRequest(this) => json!({
            "from": position_json(this.from),
            "collections": names_json(this.collections),
            "max_operations": this.max_operations.to_string(),
            "max_bytes": this.max_bytes.to_string(),
            "extensions": extensions_json(this.extensions),
        }),
        Message::PullResponse(this) => json!({
            "next": position_json(this.next),
            "has_more": this.has_more,
            "first_seqs": seqs_json(this.blocks),
            "extensions": extensions_json(this.extensions),
        }),
        Message::Push(this) => json!({
            "ids_check": format!("{:08x}", this.ids_check),
            "extensions": extensions_json(this.extensions),
        }),
        Message::PushAck(this) => json!({
            "entries": this.entries.iter().map(entry_json).collect::<Vec<_>>(),
            "extensions": extensions_json(this.extensions),
        }),
        Message::Subscribe(this) => json!({
            "subscription": this.subscription.to_string(),
            "from": position_json(this.from),
            "window": this.window.to_string(),
            "collections": names_json(this.collections),
            "extensions": extensions_json(this.extensions),
        }),
        Message::Unsubscribe(this) => json!({
            "subscription": this.subscription.to_string(),
            "extensions": extensions_json(this.extensions),
        }),
        Message::Update(this) => json!({
            "subscription": this.subscription.to_string(),
            "previous": position_json(this.previous),
            "new": position_json(this.new),
            "first_seqs": seqs_json(this.blocks),
            "extensions": extensions_json(this.extensions),
        }),
        Message::UpdateAck(this) => json!({
            "subscription": this.subscription.to_string(),
            "position": position_json(this.position),
            "window": this.window.to_string(),
            "extensions": extensions_json(this.extensions),
        }),
        Message::Query(this) => query::query_json(this, extensions_json(this.extensions)),
        Message::QueryResponse(this) => query::response_json(this, extensions_json(this.extensions)),
        Message::Authenticate(this) => {
            let (method, token) = authentication_json(&this.authentication);
            json!({
                "method": method,
                "authentication": token,
                "extensions": extensions_json(this.extensions),
            })
        }
        Message::AuthenticateAck(this) => json!({
            "valid_for": this.valid_for.to_string(),
            "extensions": extensions_json(this.extensions),
        }),
        Message::Ping(Ping { nonce, extensions }) | Message::Pong(Pong { nonce, extensions }) => {
            json!({ "nonce": nonce.to_string(), "extensions": extensions_json(*extensions) })
        }
        Message::Error(this) => json!({
            "code": this.code.0.to_string(),
            "scope": if this.scope == Scope::Request { "request" } else { "connection" },
            "retry_after": this.retry_after.to_string(),
            "text": this.text.as_str(),
            "extensions": extensions_json(this.extensions),
        }),
        Message::Goodbye(this) => json!({
            "reason": this.reason.0.to_string(),
            "reconnect_after": this.reconnect_after.to_string(),
            "jitter": this.jitter.to_string(),
            "extensions": extensions_json(this.extensions),
        }),
        Message::Unknown(this) => json!({
            "type": "unknown",
            "code": this.code().0.to_string(),
            "flags": u8::from(this.more()).to_string(),
            "fields": hex(this.fields()),
            "blocks": hex(this.blocks()),
        }),
        other => json!({ "type": format!("{other:?}") }),
    }
}

fn handshake_json(this: &Handshake<'_>) -> Json {
    let (method, token) = authentication_json(&this.authentication);
    json!({
        "protocol": this.protocol.as_str(),
        "min_version": this.versions.min().to_string(),
        "max_version": this.versions.max().to_string(),
        "database": this.database.as_str(),
        "node": this.node.to_string(),
        "node_key": hex(&this.node_key.0),
        "highest_given_out": this.highest_given_out.get().to_string(),
        "seen": this.seen.iter().map(position_json).collect::<Vec<_>>(),
        "public_key": hex(this.public_key.as_bytes()),
        "capabilities": this.capabilities.iter().map(|id| id.0.to_string()).collect::<Vec<_>>(),
        "authentication_method": method,
        "authentication": token,
        "limits": limits_json(this.limits),
        "extensions": extensions_json(this.extensions),
    })
}

fn welcome_json(this: &Welcome<'_>) -> Json {
    let epoch = |start: EpochStart| json!({ "epoch": start.epoch().to_string(), "begins": start.begins().to_string() });
    json!({
        "version": this.version.to_string(),
        "capabilities": this.capabilities.iter().map(|id| id.0.to_string()).collect::<Vec<_>>(),
        "epochs": this.epochs.iter().map(epoch).collect::<Vec<_>>(),
        "agreed": position_json(this.agreed),
        "restore_mode": if this.restore_mode == RestoreMode::Keep { "keep" } else { "discard" },
        "mark": this.mark.node_seq().get().to_string(),
        "check": format!("{:08x}", this.mark.check()),
        "head": position_json(this.head),
        "limits": limits_json(this.limits),
        "heartbeat_interval": this.heartbeat.milliseconds().to_string(),
        "relay_time": this.relay_time.to_string(),
        "extensions": extensions_json(this.extensions),
    })
}

fn authentication_json(authentication: &Authentication<'_>) -> (String, String) {
    match authentication {
        Authentication::None => ("0".into(), String::new()),
        Authentication::Token { method, token } => (method.to_string(), hex(token.as_bytes())),
    }
}

fn limits_json(limits: LimitList<'_>) -> Json {
    limits.iter().map(|l| json!({ "id": l.id.0.to_string(), "value": l.value.to_string() })).collect()
}

fn extensions_json(extensions: Extensions<'_>) -> Json {
    let json = |e: Extension<'_>| json!({ "type": e.kind().to_string(), "hex": hex(e.data().as_bytes()) });
    extensions.iter().map(json).collect()
}

fn names_json(names: Collections<'_>) -> Json {
    names.iter().map(|name| json!(name.as_str())).collect()
}

fn seqs_json(blocks: LogBlocks<'_>) -> Json {
    blocks.first_seqs().iter().map(|seq| json!(seq.get().to_string())).collect()
}

fn entry_json(entry: PushEntry) -> Json {
    match entry {
        PushEntry::Accepted(accepted) => json!({
            "status": "accepted",
            "epoch": accepted.last().epoch().to_string(),
            "first_seq": accepted.first_seq().to_string(),
            "last_seq": accepted.last().seq().to_string(),
        }),
        PushEntry::Refused { code, index } => {
            json!({ "status": "refused", "code": code.0.to_string(), "index": index.to_string() })
        }
        PushEntry::Later { wait } => json!({ "status": "later", "wait": wait.to_string() }),
    }
}

/// The frame that the JSON describes.
pub(super) fn message(json: &Json, kind: &str) -> Result<Vec<u8>, Refusal> {
    let extensions = extensions(json)?;
    let extensions = extensions
        .iter()
        .map(|(kind, bytes)| Ok(Extension::new(*kind, Data::new(bytes)?)?))
        .collect::<Result<Vec<_>, Refusal>>()?;
    let extensions = Extensions::new(&extensions)?;
    let packet = |message: Message<'_>| finish(json, message);
    match kind {
        "handshake" => handshake(json, extensions),
        "welcome" => welcome(json, extensions),
        "sync_state_request" => packet(Message::SyncStateRequest(SyncStateRequest { extensions })),
        "sync_state" => packet(Message::SyncState(SyncState {
            head: position(get(json, "head")?)?,
            operations: number(json, "operations")?,
            nodes: number(json, "nodes")?,
            live_records: number(json, "live_records")?,
            collections: number(json, "collections")?,
            extensions,
        })),
        "pull_request" => packet(Message::PullRequest(PullRequest {
            from: position(get(json, "from")?)?,
            collections: Collections::new(&names(json)?)?,
            max_operations: number(json, "max_operations")?,
            max_bytes: number(json, "max_bytes")?,
            extensions,
        })),
        "pull_response" => {
            let (count, raw) = blocks(json)?;
            let next = position(get(json, "next")?)?;
            let has_more = boolean(json, "has_more")?;
            let seqs = seqs(json)?;
            let blocks = LogBlocks::new(FirstSeqs::new(&seqs)?, view(&raw, count)?)?;
            packet(Message::PullResponse(PullResponse { next, has_more, blocks, extensions }))
        }
        "push" => {
            let (count, raw) = blocks(json)?;
            let blocks = PushBlocks::new(view(&raw, count)?)?;
            packet(Message::Push(Push { ids_check: check(json, "ids_check")?, blocks, extensions }))
        }
        "push_ack" => {
            let entries = items(json, "entries")?.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
            packet(Message::PushAck(PushAck { entries: List::new(&entries)?, extensions }))
        }
        "subscribe" => packet(Message::Subscribe(Subscribe {
            subscription: number(json, "subscription")?,
            from: position(get(json, "from")?)?,
            window: number(json, "window")?,
            collections: Collections::new(&names(json)?)?,
            extensions,
        })),
        "unsubscribe" => packet(Message::Unsubscribe(Unsubscribe {
            subscription: number(json, "subscription")?,
            extensions,
        })),
        "update" => {
            let (count, raw) = blocks(json)?;
            let seqs = seqs(json)?;
            packet(Message::Update(Update {
                subscription: number(json, "subscription")?,
                previous: position(get(json, "previous")?)?,
                new: position(get(json, "new")?)?,
                blocks: LogBlocks::new(FirstSeqs::new(&seqs)?, view(&raw, count)?)?,
                extensions,
            }))
        }
        "update_ack" => packet(Message::UpdateAck(UpdateAck {
            subscription: number(json, "subscription")?,
            position: position(get(json, "position")?)?,
            window: number(json, "window")?,
            extensions,
        })),
        "query" => query::query(json, extensions, packet),
        "query_response" => query::response(json, extensions, packet),
        "authenticate" => {
            let token = bytes(json, "authentication")?;
            let authentication = authentication(number(json, "method")?, &token)?;
            packet(Message::Authenticate(Authenticate { authentication, extensions }))
        }
        "authenticate_ack" => packet(Message::AuthenticateAck(AuthenticateAck {
            valid_for: number(json, "valid_for")?,
            extensions,
        })),
        "ping" => packet(Message::Ping(Ping { nonce: number(json, "nonce")?, extensions })),
        "pong" => packet(Message::Pong(Pong { nonce: number(json, "nonce")?, extensions })),
        "error" => packet(Message::Error(Error {
            code: ErrorCode(number(json, "code")?),
            scope: match text(json, "scope")? {
                "request" => Scope::Request,
                "connection" => Scope::Connection,
                _ => return refuse("scope", "request or connection"),
            },
            retry_after: number(json, "retry_after")?,
            text: ErrorText::new(text(json, "text")?)?,
            extensions,
        })),
        "goodbye" => packet(Message::Goodbye(Goodbye {
            reason: GoodbyeReason(number(json, "reason")?),
            reconnect_after: number(json, "reconnect_after")?,
            jitter: number(json, "jitter")?,
            extensions,
        })),
        "unknown" => {
            let (fields, blocks) = (bytes(json, "fields")?, bytes(json, "blocks")?);
            let more = number::<u8>(json, "flags")? != 0;
            let code = MessageType(number(json, "code")?);
            packet(Message::Unknown(Unknown::new(code, more, &fields, &blocks)?))
        }
        _ => refuse("type", "the name of a message with _ for spaces"),
    }
}

fn finish(json: &Json, message: Message<'_>) -> Result<Vec<u8>, Refusal> {
    Ok(Packet::with_id(message, number(json, "request_id")?)?.to_bytes())
}

fn handshake(json: &Json, extensions: Extensions<'_>) -> Result<Vec<u8>, Refusal> {
    let key = <[u8; 16]>::try_from(bytes(json, "node_key")?)
        .map_err(|_| Refusal::json("node_key", "32 hex digits"))?;
    let database = DatabaseName::new(text(json, "database")?)?;
    let seen = items(json, "seen")?.iter().map(position).collect::<Result<Vec<Position>, _>>()?;
    let (public_key, token) = (bytes(json, "public_key")?, bytes(json, "authentication")?);
    let (capabilities, limits) = (capabilities(json)?, limits(json)?);
    let versions = VersionRange::new(number(json, "min_version")?, number(json, "max_version")?)?;
    let message = Message::Handshake(Handshake {
        protocol: ProtocolText::new(text(json, "protocol")?)?,
        versions,
        database: DatabaseRef::from(&database),
        node: node(json, "node")?,
        node_key: NodeKey(key),
        highest_given_out: LastNodeSeq::new(number(json, "highest_given_out")?)?,
        seen: List::new(&seen)?,
        public_key: Data::new(&public_key)?,
        capabilities: List::new(&capabilities)?,
        authentication: authentication(number(json, "authentication_method")?, &token)?,
        limits: List::new(&limits)?,
        extensions,
    });
    finish(json, message)
}

fn welcome(json: &Json, extensions: Extensions<'_>) -> Result<Vec<u8>, Refusal> {
    let epochs = items(json, "epochs")?
        .iter()
        .map(|json| Ok(EpochStart::new(number::<NonZeroU64>(json, "epoch")?, number(json, "begins")?)?))
        .collect::<Result<Vec<_>, Refusal>>()?;
    let (capabilities, limits) = (capabilities(json)?, limits(json)?);
    let restore_mode = match text(json, "restore_mode")? {
        "keep" => RestoreMode::Keep,
        "discard" => RestoreMode::Discard,
        _ => return refuse("restore_mode", "keep or discard"),
    };
    let message = Message::Welcome(Welcome {
        version: number(json, "version")?,
        capabilities: List::new(&capabilities)?,
        epochs: List::new(&epochs)?,
        agreed: position(get(json, "agreed")?)?,
        restore_mode,
        mark: Mark::new(LastNodeSeq::new(number(json, "mark")?)?, check(json, "check")?)?,
        head: position(get(json, "head")?)?,
        limits: List::new(&limits)?,
        heartbeat: Heartbeat::new(number(json, "heartbeat_interval")?)?,
        relay_time: number(json, "relay_time")?,
        extensions,
    });
    finish(json, message)
}

fn authentication(method: u16, token: &[u8]) -> Result<Authentication<'_>, Refusal> {
    match NonZeroU16::new(method) {
        Some(method) => Ok(Authentication::Token { method, token: Data::new(token)? }),
        None if token.is_empty() => Ok(Authentication::None),
        None => refuse("authentication", "empty with method 0"),
    }
}

fn capabilities(json: &Json) -> Result<Vec<Capability>, Refusal> {
    Ok(numbers(json, "capabilities")?.into_iter().map(Capability).collect())
}

fn limits(json: &Json) -> Result<Vec<Limit>, Refusal> {
    items(json, "limits")?
        .iter()
        .map(|json| Ok(Limit { id: LimitId(number(json, "id")?), value: number(json, "value")? }))
        .collect()
}

fn extensions(json: &Json) -> Result<Vec<(u16, Vec<u8>)>, Refusal> {
    let Some(list) = json.get("extensions") else { return Ok(Vec::new()) };
    let list = list.as_array().ok_or_else(|| Refusal::json("extensions", "an array"))?;
    list.iter().map(|json| Ok((number(json, "type")?, bytes(json, "hex")?))).collect()
}

fn names(json: &Json) -> Result<Vec<CollectionRef<'_>>, Refusal> {
    items(json, "collections")?
        .iter()
        .map(|name| Ok(CollectionRef::new(name.as_str().unwrap_or_default())?))
        .collect()
}

fn seqs(json: &Json) -> Result<Vec<Seq>, Refusal> {
    numbers(json, "first_seqs")?.into_iter().map(|seq| Ok(Seq::new(seq)?)).collect()
}

fn entry(json: &Json) -> Result<PushEntry, Refusal> {
    Ok(match text(json, "status")? {
        "accepted" => {
            let last = Position::new(number(json, "epoch")?, number(json, "last_seq")?)?;
            PushEntry::Accepted(Accepted::new(number(json, "first_seq")?, last)?)
        }
        "refused" => {
            PushEntry::Refused { code: ErrorCode(number(json, "code")?), index: number(json, "index")? }
        }
        "later" => PushEntry::Later { wait: number(json, "wait")? },
        _ => return refuse("status", "accepted, refused or later"),
    })
}

/// The blocks of a message: how many, and their bytes.
fn blocks(json: &Json) -> Result<(usize, Vec<u8>), Refusal> {
    let list = items(json, "blocks")?;
    let mut raw = Vec::new();
    for json in list {
        raw.extend(op::block(json)?);
    }
    Ok((list.len(), raw))
}

fn view(raw: &[u8], count: usize) -> Result<Blocks<'_>, Refusal> {
    Blocks::decode(raw, count, Capabilities::ALL).map_err(Refusal::Decode)
}
