//! What sessions tell applications, and whether that is true.

use blazedb_relay::client::{Answer, Change, End, Event as Told, Failure, NewNode, Queued};
use blazedb_relay::message::RestoreMode;
use blazedb_relay::registry::ErrorCode;
use blazedb_relay::wire::Timestamp;

use super::world::{Event, Stage, World};

impl World {
    /// What a session tells the application.
    pub(super) fn told(&mut self, index: usize, event: Told) {
        self.say(|| format!("device {index}: {event:?}"));
        match event {
            Told::Active { .. } => {
                self.trace.count("sessions", 1);
                if let Some(process) = &mut self.devices[index].process {
                    process.settled = true;
                }
                self.settled(index);
            }
            Told::LostHistory(RestoreMode::Keep) => self.trace.count("lost history, keep", 1),
            Told::LostHistory(RestoreMode::Discard) => {
                self.trace.count("lost history, discard", 1);
                self.devices[index].discarded = true;
            }
            Told::NewNode(why) => {
                self.trace.count(new_node(why), 1);
                if self.is_chaos() && self.random.chance(300) {
                    let device = &mut self.devices[index];
                    device.backups.push(device.disk.clone());
                }
            }
            Told::Durable(writes) => self.told_durable(index, &writes),
            Told::Rejected { code, .. } => self.trace.count(
                match code {
                    ErrorCode::CLOCK_TOO_FAR_AHEAD => "rejected: clock",
                    ErrorCode::WRITE_FORBIDDEN => "rejected: forbidden",
                    _ => "rejected: other",
                },
                1,
            ),
            Told::RestoreRefused { write, code: ErrorCode::WRITE_FORBIDDEN } => {
                self.trace.count("restoring refused: forbidden", 1);
                self.devices[index].refused.insert(write);
                if let Some(process) = &mut self.devices[index].process {
                    process.forbidden.insert(write);
                }
            }
            Told::RestoreRefused { .. } => self.trace.count("restoring refused: clock", 1),
            Told::CannotSend { .. } => self.trace.count("cannot send", 1),
            Told::Later(_) => self.trace.count("later", 1),
            Told::Dropped => {
                self.trace.count("state dropped", 1);
                self.devices[index].dropped = true;
                self.dropped(index);
            }
            Told::CaughtUp(_) => self.trace.count("caught up", 1),
            Told::SubscriptionEnded { failure, .. } => self.subscription_ended(index, &failure),
            Told::Answered { answer, .. } => self.answered(index, answer),
            Told::UpgradeNeeded => self.trace.count("upgrade needed", 1),
            Told::Ended(end) => self.ended(index, &end),
            Told::Sent(_) | Told::Changed(_) => {}
            other => self.wrong(|| format!("an event that the simulator does not know: {other:?}")),
        }
    }

    /// A client goes on as the same node if that is right, and not otherwise (SES-18).
    fn settled(&mut self, index: usize) {
        let device = &self.devices[index];
        let link = device.process.as_ref().and_then(|process| self.links.get(&process.conn?));
        let (Some(node), Some(told)) = (device.disk.node().copied(), link.and_then(|link| link.mark)) else {
            return;
        };
        let known = device.disk.outbox().find(|queued| queued.number() == told.node_seq().get());
        let own = known.map_or_else(|| node.acknowledged.check(), Queued::check);
        if node.acknowledged.node_seq() != told.node_seq() || own != told.check() {
            self.wrong(|| format!("SES-18: device {index} goes on with {node:?} after {told:?}"));
        }
    }

    /// Who drops its durable state drops all of it, and becomes a new node: its own totals are gone
    /// (SES-32, SES-64).
    fn dropped(&mut self, index: usize) {
        let device = &self.devices[index];
        let greeted = device.process.as_ref().and_then(|process| process.greeted);
        let node = device.disk.node().map(|node| node.identity.node);
        if node == greeted || !device.disk.is_as_new() {
            self.wrong(|| format!("SES-32: device {index} has dropped its state, and is still {node:?}"));
        }
    }

    /// Who drops its durable state on its own account drops nothing that might come back (SES-64).
    pub(super) fn may_drop(&mut self, index: usize, changes: &[Change]) {
        let device = &self.devices[index];
        let Some(process) = device.process.as_ref().filter(|process| process.settled) else { return };
        if !changes.iter().any(|change| matches!(change, Change::StateCleared)) {
            return;
        }
        if let Some(lost) = device.disk.in_doubt().difference(&process.forbidden).next().copied() {
            self.wrong(|| format!("SES-64: device {index} drops {lost:?}, which may come back"));
        }
    }

    fn told_durable(&mut self, index: usize, writes: &[Timestamp]) {
        self.trace.count("told durable", writes.len() as u64);
        for write in writes {
            let from = (*write, Vec::new());
            let found = self.machine.committed.range(from..).next();
            if found.is_none_or(|((timestamp, _), _)| timestamp != write) {
                return self.wrong(|| format!("device {index} was told that {write:?} is durable"));
            }
        }
    }

    fn subscription_ended(&mut self, index: usize, failure: &Failure) {
        self.trace.count("subscriptions ended", 1);
        if self.stage == Stage::Calm {
            // A refusal may still have been on the way.
            self.after(1_000, Event::Act(index));
        }
        match failure {
            Failure::Refused { code: ErrorCode::FORBIDDEN | ErrorCode::TOO_MANY_SUBSCRIPTIONS, .. }
            | Failure::NotSent(ErrorCode::TOO_MANY_SUBSCRIPTIONS)
            | Failure::Ended => {}
            Failure::Refused { code: ErrorCode::STORE_UNAVAILABLE, .. } => {}
            other => self.wrong(|| format!("device {index}: a subscription ended: {other:?}")),
        }
    }

    fn answered(&mut self, index: usize, answer: Result<Answer, Failure>) {
        match answer {
            Ok(Answer::Pulled { .. }) => self.trace.count("pulled", 1),
            Ok(Answer::Rows { .. }) => self.trace.count("rows", 1),
            Ok(Answer::Authenticated { .. }) => self.trace.count("authenticated again", 1),
            Ok(Answer::SyncState { head, operations, .. }) => {
                self.trace.count("sync states", 1);
                if head.seq() != operations {
                    self.wrong(|| format!("device {index}: {operations} operations at {head:?}"));
                }
            }
            Err(_) => self.trace.count("failed requests", 1),
        }
    }

    /// A connection has ended. Neither end breaks a rule, so none may say that the other did.
    fn ended(&mut self, index: usize, end: &End) {
        let code = match end {
            End::Fault(code) | End::Refused { code, .. } => *code,
            End::Transport => return self.trace.count("broken connections", 1),
            End::Goodbye(_) => return self.trace.count("goodbyes", 1),
            End::Ordered | End::NewNode => return,
        };
        match code {
            ErrorCode::IDLE_TIMEOUT | ErrorCode::HANDSHAKE_TIMEOUT => self.trace.count("timeouts", 1),
            ErrorCode::TOKEN_EXPIRED => self.trace.count("expired credentials", 1),
            ErrorCode::UPGRADE_NEEDED => self.trace.count("closed for an upgrade", 1),
            // A new node that never connected was copied, too.
            ErrorCode::NOT_YOUR_NODE => self.trace.count("not your node, twice", 1),
            code => self.wrong(|| format!("device {index}: the connection ended with {code:?}: {end:?}")),
        }
    }
}

const fn new_node(why: NewNode) -> &'static str {
    match why {
        NewNode::OutOfStep => "new node: out of step",
        NewNode::Discarded => "new node: discarded",
        NewNode::Replaced => "new node: replaced",
        NewNode::NotYourNode => "new node: not your node",
        NewNode::ClockSetBack => "new node: clock set back",
        NewNode::RestoreForbidden => "new node: restore forbidden",
    }
}
