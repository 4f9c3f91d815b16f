//! What happened, as a number that says whether two runs are the same, and as lines for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use blazedb_relay::codec::{Context, Packet};
use blazedb_relay::message::Message;
use blazedb_relay::registry::Capabilities;

/// Everything that was seen of a run.
#[derive(Debug, Default)]
pub struct Trace {
    hash: u64,
    lines: Option<Vec<String>>,
    counts: BTreeMap<&'static str, u64>,
}

impl Trace {
    /// `readable` keeps lines for people, too.
    #[must_use]
    pub fn new(readable: bool) -> Self {
        Self { hash: 0xCBF2_9CE4_8422_2325, lines: readable.then(Vec::new), counts: BTreeMap::new() }
    }

    /// Sees bytes, and what they are.
    pub fn bytes(&mut self, what: u64, bytes: &[u8]) {
        // FNV-1a, eight bytes at a time: only equality matters.
        let mut hash = (self.hash ^ what).wrapping_mul(0x0100_0000_01B3);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0100_0000_01B3).rotate_left(29);
        }
        self.hash = (hash ^ bytes.len() as u64).wrapping_mul(0x0100_0000_01B3);
    }

    /// A line for people.
    pub fn line(&mut self, now: u64, line: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{now:>9} {}", line()));
        }
    }

    /// Something happened that should happen now and then.
    pub fn count(&mut self, what: &'static str, times: u64) {
        *self.counts.entry(what).or_default() += times;
    }

    /// The number, the counts and the lines.
    #[must_use]
    pub fn end(self) -> (u64, BTreeMap<&'static str, u64>, Vec<String>) {
        (self.hash, self.counts, self.lines.unwrap_or_default())
    }
}

/// A frame in a few words.
#[must_use]
pub fn describe(frame: &[u8]) -> String {
    let decoded = Packet::decode(frame, &Context::session(Capabilities::ALL))
        .or_else(|_| Packet::decode(frame, &Context::HANDSHAKE));
    let Ok(packet) = decoded else { return format!("{} bytes that do not decode", frame.len()) };
    let mut text = format!("{:?} #{}", packet.message().message_type(), packet.request_id());
    let write = match packet.message() {
        Message::Handshake(it) => {
            let seen: Vec<_> = it.seen.iter().map(short).collect();
            let node = it.node.uuid().as_u128() >> 96;
            write!(text, " node {node:08x} given {} seen {}", it.highest_given_out.get(), seen.join(" "))
        }
        Message::Welcome(it) => {
            let (agreed, head) = (short(it.agreed), short(it.head));
            let mark = it.mark.node_seq().get();
            write!(text, " mark {mark} agreed {agreed} {:?} head {head}", it.restore_mode)
        }
        Message::Push(it) => {
            let blocks: Vec<_> = it.blocks.get().iter().map(|block| block_text(block.header())).collect();
            write!(text, " {}", blocks.join(" "))
        }
        Message::PushAck(it) => {
            let entries: Vec<_> = it.entries.iter().map(|entry| format!("{entry:?}")).collect();
            write!(text, " {}", entries.join(" "))
        }
        Message::Subscribe(it) => {
            let names: Vec<_> = it.collections.iter().map(|name| name.as_str().to_owned()).collect();
            let from = short(it.from);
            write!(text, " {} from {from} window {} of {}", it.subscription, it.window, names.join(" "))
        }
        Message::Update(it) => {
            let blocks: Vec<_> = it
                .blocks
                .iter()
                .map(|(seq, block)| format!("{}@{}", block_text(block.header()), seq.get()))
                .collect();
            let (previous, new) = (short(it.previous), short(it.new));
            write!(text, " {} {previous} to {new}: {}", it.subscription, blocks.join(" "))
        }
        Message::UpdateAck(it) => {
            write!(text, " {} {} window {}", it.subscription, short(it.position), it.window)
        }
        Message::PullRequest(it) => write!(text, " from {}", short(it.from)),
        Message::PullResponse(it) => write!(text, " next {} more {}", short(it.next), it.has_more),
        Message::Error(it) => write!(text, " {:?} {:?} {:?}", it.code, it.scope, it.text.as_str()),
        Message::Goodbye(it) => {
            write!(text, " {:?} after {} + {}", it.reason, it.reconnect_after, it.jitter)
        }
        _ => Ok(()),
    };
    let _ = write;
    text
}

fn short(position: blazedb_relay::wire::Position) -> String {
    format!("{:04x}:{}", position.epoch() & 0xFFFF, position.seq())
}

fn block_text(header: &blazedb_relay::block::BlockHeader) -> String {
    let holes = if header.holes { " with holes" } else { "" };
    let node = header.node.uuid().as_u128() >> 96;
    format!("[{node:08x} {}+{}/{}{holes}]", header.first_node_seq, header.count, header.span)
}
