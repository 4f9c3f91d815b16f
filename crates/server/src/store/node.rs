//! What a log keeps of a node, and what an append makes of it. The same for every backend.

use blazedb_relay::block::{BlockHeader, BlockRef};
use blazedb_relay::limits::MAX_SEQ;
use blazedb_relay::message::Mark;
use blazedb_relay::relay::{Claim, NodeAppend, Principal};
use blazedb_relay::wire::NodeKey;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::error::ErrorKind;

//= RLY-13
/// The SHA-256 of a node key. A key is 16 random bytes, so it needs no salt.
#[derive(Clone, Copy)]
pub(super) struct KeyHash(pub(super) [u8; 32]);

impl KeyHash {
    pub(super) fn new(key: &NodeKey) -> Self {
        Self(Sha256::digest(key.0).into())
    }

    /// Whether it is that key's, in a time that does not depend on the answer.
    fn matches(&self, key: &NodeKey) -> bool {
        self.0.ct_eq(&Self::new(key).0).into()
    }
}

/// A node that had a block taken.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) principal: Principal,
    pub(super) key: KeyHash,
    pub(super) mark: Mark,
}

/// Why an append was turned away.
pub(super) type Refusal = (ErrorKind, String);

impl Node {
    //= RLY-12
    /// What the store says to who shows that key and principal; `node` is `None` for one that had no block.
    pub(super) fn claim(node: Option<&Self>, key: &NodeKey, principal: &Principal) -> Claim {
        match node {
            None => Claim::Yours(Mark::NONE),
            Some(node) if node.belongs_to(key, principal) => Claim::Yours(node.mark),
            Some(_) => Claim::NotYours,
        }
    }

    fn belongs_to(&self, key: &NodeKey, principal: &Principal) -> bool {
        // Both are compared whatever the first gives.
        self.key.matches(key) & (self.principal == *principal)
    }

    //= RLY-6
    /// What the node is after an append, if that builds on what it is now. What the relay should have
    /// checked is checked again where that is cheap: a log that is wrong cannot be put right later.
    pub(super) fn after(now: Option<&Self>, append: &NodeAppend) -> Result<Self, Refusal> {
        let mark = now.map_or(Mark::NONE, |node| node.mark);
        if append.builds_on != mark {
            return Err((ErrorKind::WrongMark, format!("node {}", append.node)));
        }
        let mut last = mark.node_seq().get();
        for block in &append.blocks {
            let wrong = |what| (ErrorKind::Invalid, format!("node {}: {what}", append.node));
            let header = *BlockRef::decode(&block.bytes).map_err(|_| wrong("not a block"))?.header();
            let BlockHeader { node, first_node_seq, count, holes, .. } = header;
            if (node, first_node_seq, count, holes) != (append.node, block.first_node_seq, block.count, false)
            {
                return Err(wrong("the block says something else of itself"));
            }
            if first_node_seq <= last {
                return Err(wrong("the block begins before the one before it ends"));
            }
            last = header.last_node_seq();
        }
        let reached = append.mark.node_seq().get();
        if reached < last || reached == mark.node_seq().get() {
            return Err((
                ErrorKind::Invalid,
                format!("node {}: the mark is not behind its blocks", append.node),
            ));
        }
        match (now, &append.owner) {
            (Some(node), Some(owner)) if !node.belongs_to(&owner.key, &owner.principal) => {
                Err((ErrorKind::NotYours, format!("node {}", append.node)))
            }
            (Some(node), _) => Ok(Self { mark: append.mark, ..node.clone() }),
            (None, Some(owner)) => Ok(Self {
                principal: owner.principal.clone(),
                key: KeyHash::new(&owner.key),
                mark: append.mark,
            }),
            (None, None) => Err((ErrorKind::Invalid, format!("node {} is nobody's", append.node))),
        }
    }
}

/// The head's seq after `nodes` were appended behind `head`.
pub(super) fn head_after(head: u64, nodes: &[NodeAppend]) -> Result<u64, Refusal> {
    let ops = nodes.iter().flat_map(|node| &node.blocks).map(|block| u64::from(block.count)).sum::<u64>();
    match head.checked_add(ops) {
        Some(head) if head <= MAX_SEQ => Ok(head),
        _ => Err((ErrorKind::Full, "the log is at its end".into())),
    }
}

/// A random number that is not 0 and not listed (RLY-10).
pub(super) fn random_epoch(listed: impl Fn(u64) -> bool) -> Result<core::num::NonZeroU64, Refusal> {
    loop {
        let random = getrandom::u64().map_err(|error| (ErrorKind::Failed, error.to_string()))?;
        if let Some(epoch) = core::num::NonZeroU64::new(random).filter(|epoch| !listed(epoch.get())) {
            return Ok(epoch);
        }
    }
}
