//! Outputs as text.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::codec::{Context, Packet};
use crate::message::{LogBlocks, Message, PageEnd, PushEntry, RestoreMode};
use crate::registry::Capabilities;
use crate::relay::{NodeAppend, Output};
use crate::wire::{NodeId, Position};

/// An output as text. What is sent is decoded, so it is legal.
pub(crate) fn show(output: &Output) -> String {
    match output {
        Output::Send { conn, head, blocks } => {
            let frame = [&head[..], &blocks.concat()].concat();
            let context = Context::session(Capabilities::ALL);
            let packet = Packet::decode(&frame, &context).unwrap();
            packet.validate_blocks(&frame, Capabilities::ALL, &mut Vec::new()).unwrap();
            assert_eq!(packet.to_bytes(), frame);
            let id = match packet.request_id() {
                0 => String::new(),
                id => format!(" #{id}"),
            };
            format!("{} < {}", conn.0, message(packet.message(), &id))
        }
        Output::Close { conn, ending } => format!("{} closed {ending:?}", conn.0),
        Output::PauseReading { conn } => format!("{} pause", conn.0),
        Output::ResumeReading { conn } => format!("{} resume", conn.0),
        Output::Authorize { conn, database, credentials, .. } => {
            let token = core::str::from_utf8(&credentials.token).unwrap();
            format!("authorize {} {} {} {token}", conn.0, database.as_str(), credentials.method)
        }
        Output::OpenDatabase { database, name, .. } => format!("open {} as {}", name.as_str(), database.0),
        Output::CloseDatabase { database } => format!("close database {}", database.0),
        Output::LoadNode { node, .. } => format!("load {}", short(*node)),
        Output::Append { nodes, .. } => {
            format!("append {}", nodes.iter().map(append).collect::<Vec<_>>().join(", "))
        }
        Output::Read { after, max_bytes, .. } => format!("read after {after}, {max_bytes} bytes"),
        Output::MintEpoch { .. } => "mint".to_string(),
        Output::RunQuery { query, after, limit, .. } => {
            format!("query {} after {after} limit {limit}", query.query().unwrap().collection.as_str())
        }
        Output::CountState { .. } => "count".to_string(),
    }
}

fn short(node: NodeId) -> String {
    format!("n{:x}", node.uuid().as_u128())
}

/// `n1 0-3 [1:2]`: node 1 goes from mark 0 to mark 3, one block of two operations from number 1.
fn append(node: &NodeAppend) -> String {
    let blocks: Vec<_> =
        node.blocks.iter().map(|block| format!("{}:{}", block.first_node_seq, block.count)).collect();
    let owner =
        node.owner.as_ref().map_or(String::new(), |owner| format!(" of {}", owner.principal.as_str()));
    let (from, to) = (node.builds_on.node_seq().get(), node.mark.node_seq().get());
    format!("{}{owner} {from}-{to} [{}]", short(node.node), blocks.join(" "))
}

fn position(position: Position) -> String {
    if position == Position::START {
        "0".to_string()
    } else {
        format!("e{}:{}", position.epoch(), position.seq())
    }
}

/// `[1:3 4:1/2z]`: a block of three operations at seq 1; one at seq 4 that has one of two, compressed.
fn log_blocks(blocks: LogBlocks<'_>) -> String {
    let one = |(seq, block): (crate::message::Seq, crate::block::BlockRef<'_>)| {
        let header = block.header();
        let span = if header.holes { format!("/{}", header.span) } else { String::new() };
        format!("{}:{}{span}{}", seq.get(), header.count, if header.compressed { "z" } else { "" })
    };
    format!("[{}]", blocks.iter().map(one).collect::<Vec<_>>().join(" "))
}

fn message(message: &Message<'_>, id: &str) -> String {
    match message {
        Message::Welcome(it) => {
            let epochs: Vec<_> =
                it.epochs.iter().map(|epoch| format!("e{}@{}", epoch.epoch(), epoch.begins())).collect();
            let mode = if it.restore_mode == RestoreMode::Keep { "keep" } else { "discard" };
            format!(
                "welcome {} agreed {} {mode} mark {} head {}",
                epochs.join(" "),
                position(it.agreed),
                it.mark.node_seq().get(),
                position(it.head)
            )
        }
        Message::SyncState(it) => format!("sync state{id} {} {}", position(it.head), it.operations),
        Message::PullResponse(it) => {
            let more = if it.has_more { " more" } else { "" };
            format!("pulled{id} {}{more} {}", position(it.next), log_blocks(it.blocks))
        }
        Message::PushAck(it) => {
            let entry = |entry: PushEntry| match entry {
                PushEntry::Accepted(it) => format!("{}-{}", it.first_seq(), position(it.last())),
                PushEntry::Refused { code, index } => format!("{code:?} {index}"),
                PushEntry::Later { wait } => format!("later {wait}"),
            };
            format!("ack{id} {}", it.entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Message::Update(it) => format!(
            "update {}: {} -> {} {}",
            it.subscription,
            position(it.previous),
            position(it.new),
            log_blocks(it.blocks)
        ),
        Message::QueryResponse(it) => {
            let end = match it.end {
                PageEnd::More => "more".to_string(),
                PageEnd::Last(cursor) => format!("cursor {:?}", cursor.as_bytes()),
            };
            format!("rows{id} at {} {} {end}", position(it.at), it.table.len())
        }
        Message::AuthenticateAck(it) => format!("authenticated{id} {} s", it.valid_for),
        Message::Ping(it) => format!("ping {}", it.nonce),
        Message::Pong(it) => format!("pong {}", it.nonce),
        Message::Error(it) => {
            assert!(!it.text.as_str().contains(['\n', '/']));
            format!("error{id} {:?} {:?}", it.scope, it.code)
        }
        Message::Goodbye(it) => {
            format!("goodbye {:?} {}+{}", it.reason, it.reconnect_after, it.jitter)
        }
        Message::Handshake(_)
        | Message::SyncStateRequest(_)
        | Message::PullRequest(_)
        | Message::Push(_)
        | Message::Subscribe(_)
        | Message::Unsubscribe(_)
        | Message::UpdateAck(_)
        | Message::Query(_)
        | Message::Authenticate(_)
        | Message::Unknown(_) => panic!("a relay does not send {message:?}"),
    }
}
