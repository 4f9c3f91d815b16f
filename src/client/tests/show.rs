//! Outputs in words, so that tests can list them all.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::*;

/// One output.
pub(super) fn output(output: &Output, capabilities: Capabilities) -> String {
    match output {
        Output::Commit(changes) => {
            format!("commit: {}", changes.iter().map(change).collect::<Vec<_>>().join("; "))
        }
        Output::Send(bytes) => frame(bytes, capabilities),
        Output::Close(code) => format!("close {code:?}"),
        Output::Event(event) => format!("! {}", self::event(event)),
        Output::Reconnect(reconnect) => format!("reconnect {reconnect:?}"),
    }
}

fn name(uuid: Uuid) -> &'static str {
    match uuid.as_u128() {
        A => "A",
        B => "B",
        Z => "Z",
        _ => "?",
    }
}

fn timestamp(t: &Timestamp) -> String {
    if t.is_never() { "never".to_string() } else { format!("{}{}", t.counter(), name(t.node())) }
}

fn timestamps(all: &[Timestamp]) -> String {
    all.iter().map(timestamp).collect::<Vec<_>>().join(" ")
}

fn position(p: Position) -> String {
    format!("{}/{}", p.epoch(), p.seq())
}

fn collections(set: &CollectionSet) -> String {
    if set.is_all() {
        "all".to_string()
    } else {
        set.names().map(CollectionName::as_str).collect::<Vec<_>>().join("+")
    }
}

fn path(path: &crate::merge::Path) -> String {
    let path = path.as_ref();
    let mut text = format!("{}.{}", path.collection(), path.record().as_u128());
    path.components().for_each(|component| text += &format!(".{component}"));
    text
}

pub(super) fn change(change: &Change) -> String {
    match change {
        Change::Node(node) => {
            let taken = node.acknowledged.node_seq().get();
            let mut text = format!("node {} {taken}/{}", name(node.identity.node.uuid()), node.given.get());
            text += &format!(" clock {} merged {}", node.clock, node.merged);
            if node.untried {
                text += " untried";
            }
            if node.stopped.is_some() {
                text += " stopped";
            }
            text
        }
        Change::Queued(queued) => {
            let uncertain = if queued.uncertain { "?" } else { "" };
            let restored = if queued.restored { " restored" } else { "" };
            format!("+{}{uncertain} {}{restored}", queued.number(), timestamp(&queued.op.op().head.timestamp))
        }
        Change::Unqueued(number) => format!("-{number}"),
        Change::OutboxCleared => "-all".to_string(),
        Change::Rejected(rejected) => {
            let key = rejected.key();
            format!(
                "rejected {} {}{} {:?}",
                timestamp(&key.timestamp),
                name(key.node.uuid()),
                key.node_seq,
                rejected.code
            )
        }
        Change::Unrejected(key) => format!("unrejected {}", timestamp(&key.timestamp)),
        Change::Register { path: p, timestamp: t, heard, .. } => {
            format!("{} = {} @{heard:?}", path(p), timestamp(t))
        }
        Change::Counter { path: p, base, timestamp: t, total, heard } => {
            format!("{} += {total} {} since {} @{heard:?}", path(p), timestamp(t), timestamp(base))
        }
        Change::RegisterDropped(p) => format!("{} dropped", path(p)),
        Change::CounterDropped { path: p, .. } => format!("{} counter dropped", path(p)),
        Change::DoubtAbove(seq) => format!("doubt above {seq}"),
        Change::StateCleared => "state cleared".to_string(),
        Change::Position(set, p) => format!("{} at {}", collections(set), position(*p)),
        Change::Seen(seen) => {
            format!("seen [{}]", seen.positions().iter().map(|p| position(*p)).collect::<Vec<_>>().join(" "))
        }
    }
}

fn records(records: &Records) -> String {
    records.iter().map(|(c, r)| format!("{c}.{}", r.as_u128())).collect::<Vec<_>>().join(" ")
}

fn event(event: &Event) -> String {
    match event {
        Event::Active { head } => format!("active, head {}", position(*head)),
        Event::Sent(writes) => format!("sent {}", timestamps(writes)),
        Event::Durable(writes) => format!("durable {}", timestamps(writes)),
        Event::Rejected { writes, code } => format!("rejected {} {code:?}", timestamps(writes)),
        Event::RestoreRefused { write, code } => format!("restore refused {} {code:?}", timestamp(write)),
        Event::CannotSend { write, needs } => format!("cannot send {}: {needs:?}", timestamp(write)),
        Event::Changed(all) => format!("changed {}", records(all)),
        Event::CaughtUp(set) => format!("caught up {}", collections(set)),
        Event::SubscriptionEnded { collections: set, failure } => {
            format!("subscription ended {}: {failure:?}", collections(set))
        }
        Event::LostHistory(_)
        | Event::NewNode(_)
        | Event::Later(_)
        | Event::Dropped
        | Event::Answered { .. }
        | Event::UpgradeNeeded
        | Event::Ended(_) => format!("{event:?}"),
    }
}

fn names(all: &Collections<'_>) -> String {
    if all.is_empty() {
        "all".to_string()
    } else {
        all.iter().map(|name| name.as_str()).collect::<Vec<_>>().join("+")
    }
}

/// A frame that the client sent.
fn frame(bytes: &[u8], capabilities: Capabilities) -> String {
    let handshake = Packet::decode(bytes, &Context::HANDSHAKE);
    let session = Context::session(capabilities);
    let packet = handshake.or_else(|_| Packet::decode(bytes, &session)).unwrap();
    packet.validate_blocks(bytes, capabilities, &mut Vec::new()).unwrap();
    let id = packet.request_id();
    match packet.message() {
        Message::Handshake(h) => {
            let seen: Vec<_> = h.seen.iter().map(position).collect();
            let mut text = format!("handshake {} {}", h.database.as_str(), name(h.node.uuid()));
            text += &format!(" given {} seen [{}]", h.highest_given_out.get(), seen.join(" "));
            text += &format!(" {:?} {:?}", h.capabilities, h.authentication);
            h.limits.iter().for_each(|limit| text += &format!(" {:?}={}", limit.id, limit.value));
            text
        }
        Message::Push(push) => {
            let header = *push.blocks.get().iter().next().unwrap().header();
            assert_eq!(push.blocks.get().len(), 1);
            let lz4 = if header.compressed { " lz4" } else { "" };
            let last = header.last_node_seq();
            format!("push #{id} {} {}..{last}{lz4}", name(header.node.uuid()), header.first_node_seq)
        }
        Message::Subscribe(s) => {
            let (number, from, names) = (s.subscription, position(s.from), names(&s.collections));
            format!("subscribe #{id} {number}: {names} from {from} window {}", s.window)
        }
        Message::Unsubscribe(s) => format!("unsubscribe {}", s.subscription),
        Message::UpdateAck(ack) => {
            format!("update ack {}: {} window {}", ack.subscription, position(ack.position), ack.window)
        }
        Message::PullRequest(p) => {
            let names = names(&p.collections);
            format!("pull #{id} {names} from {} max {} {}", position(p.from), p.max_operations, p.max_bytes)
        }
        Message::Query(q) => {
            format!(
                "query #{id} {} after {} limit {}",
                q.collection.as_str(),
                position(q.after),
                q.limit.get()
            )
        }
        Message::SyncStateRequest(_) => format!("sync state #{id}"),
        Message::Authenticate(a) => format!("authenticate #{id} {:?}", a.authentication),
        Message::Ping(ping) => format!("ping {}", ping.nonce),
        Message::Pong(pong) => format!("pong {}", pong.nonce),
        Message::Error(error) => format!("error {:?}", error.code),
        Message::Goodbye(goodbye) => format!("goodbye {:?}", goodbye.reason),
        other @ (Message::Welcome(_)
        | Message::SyncState(_)
        | Message::PullResponse(_)
        | Message::PushAck(_)
        | Message::Update(_)
        | Message::QueryResponse(_)
        | Message::AuthenticateAck(_)
        | Message::Unknown(_)) => panic!("a client does not send {other:?}"),
    }
}
