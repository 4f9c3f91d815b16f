//! Subscriptions and what they deliver (SPEC.md 10.10 and 10.12).

use alloc::vec::Vec;

use super::requests::Pending;
use super::{Event, Failure, Output, Session, State};
use crate::client::deliver::Delivery;
use crate::client::{CollectionSet, Replica};
use crate::message::{Extensions, List, LogBlocks, Message, Subscribe, Unsubscribe, Update, UpdateAck};
use crate::registry::ErrorCode;
use crate::wire::Position;

/// What was applied is acknowledged within this time (SES-80).
const ACK_MS: u64 = 1_000;

/// The sets of collections that the application wants to read.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    all: Vec<Subscription>,
    /// The highest number that was used on this connection.
    last_number: u32,
}

#[derive(Debug)]
struct Subscription {
    collections: CollectionSet,
    window: u64,
    /// None until it was sent.
    number: Option<u32>,
    /// Where the next update has to begin.
    position: Position,
    /// Bytes of blocks since the last ack.
    unacknowledged: u64,
    ack_at: Option<u64>,
    caught_up: bool,
}

impl Subscription {
    const fn new(collections: CollectionSet, window: u64) -> Self {
        Self {
            collections,
            window,
            number: None,
            position: Position::START,
            unacknowledged: 0,
            ack_at: None,
            caught_up: false,
        }
    }

    const fn has_reached(&self, head: Position) -> bool {
        self.number.is_some() && self.position.seq() >= head.seq()
    }
}

impl Subscriptions {
    pub(super) fn deadline(&self) -> Option<u64> {
        self.all.iter().filter_map(|subscription| subscription.ack_at).min()
    }

    /// Whether every subscription has reached `head`.
    pub(super) fn have_reached(&self, head: Position) -> bool {
        self.all.iter().all(|subscription| subscription.has_reached(head))
    }

    /// Whether every subscription that covers the collection has reached `head`.
    pub(super) fn have_reached_for(&self, collection: &str, head: Position) -> bool {
        let mut covering = self.all.iter().filter(|this| this.collections.covers(collection));
        covering.all(|subscription| subscription.has_reached(head))
    }

    fn by_number(&mut self, number: u32) -> Option<&mut Subscription> {
        self.all.iter_mut().find(|subscription| subscription.number == Some(number))
    }

    fn by_set(&mut self, collections: &CollectionSet) -> Option<&mut Subscription> {
        self.all.iter_mut().find(|subscription| subscription.collections == *collections)
    }

    fn remove(&mut self, collections: &CollectionSet) -> Option<Subscription> {
        let at = self.all.iter().position(|subscription| subscription.collections == *collections)?;
        Some(self.all.remove(at))
    }
}

impl Session {
    /// The application wants to read a set of collections.
    pub(super) fn subscribe(&mut self, collections: CollectionSet, window: u64) {
        if self.subscriptions.by_set(&collections).is_some() {
            return self.set_window(&collections, window);
        }
        self.subscriptions.all.push(Subscription::new(collections, window));
    }

    pub(super) fn unsubscribe(&mut self, collections: &CollectionSet) {
        let removed = self.subscriptions.remove(collections);
        self.restoring.reading_moved();
        let Some(number) = removed.and_then(|subscription| subscription.number) else { return };
        self.requests.finish_subscribe(number);
        if self.state == State::Active {
            let unsubscribe = Unsubscribe { subscription: number, extensions: Extensions::EMPTY };
            self.say(Message::Unsubscribe(unsubscribe));
        }
    }

    pub(super) fn set_window(&mut self, collections: &CollectionSet, window: u64) {
        let Some(subscription) = self.subscriptions.by_set(collections) else { return };
        subscription.window = window;
        if let Some(number) = subscription.number {
            self.acknowledge(number);
        }
    }

    /// Sends the subscriptions that were not sent yet, as far as the relay takes them.
    pub(super) fn send_subscriptions(&mut self, replica: &Replica) {
        if !replica.may_read(self.config.reader()) {
            return;
        }
        while self.requests.has_room(self.agreed.requests) {
            let living = self.subscriptions.all.iter().filter(|this| this.number.is_some()).count() as u64;
            let Some(wanted) = self.subscriptions.all.iter_mut().find(|this| this.number.is_none()) else {
                return;
            };
            //= NEG-7
            if living >= self.agreed.subscriptions {
                let collections = wanted.collections.clone();
                self.subscriptions.remove(&collections);
                self.restoring.reading_moved();
                let failure = Failure::NotSent(ErrorCode::TOO_MANY_SUBSCRIPTIONS);
                self.event(Event::SubscriptionEnded { collections, failure });
                continue;
            }
            let Some(number) = self.subscriptions.last_number.checked_add(1) else { return };
            self.subscriptions.last_number = number;
            wanted.number = Some(number);
            //= SES-74
            wanted.position = replica.position(&wanted.collections).unwrap_or(Position::START);
            let (collections, from, window) = (wanted.collections.clone(), wanted.position, wanted.window);
            let id = self.requests.begin(Pending::Subscribe { number });
            let names = collections.refs();
            // A set keeps the rules of such a list.
            let Ok(collections) = List::new(&names) else { return };
            let subscribe =
                Subscribe { subscription: number, from, window, collections, extensions: Extensions::EMPTY };
            drop(self.send(Message::Subscribe(subscribe), id));
        }
    }

    pub(super) fn update(&mut self, replica: &mut Replica, now: u64, update: &Update<'_>) {
        let number = update.subscription;
        let Some(subscription) = self.subscriptions.by_number(number) else {
            //= SES-85
            return match number {
                number if (1..=self.subscriptions.last_number).contains(&number) => {}
                _ => self.fault(now, ErrorCode::UNEXPECTED_MESSAGE),
            };
        };
        //= SES-77
        //= SES-78
        if update.previous != subscription.position || !is_page(update.previous, update.new, update.blocks) {
            return self.fault(now, ErrorCode::PROTOCOL_ERROR);
        }
        let bytes = update.blocks.blocks().raw().len() as u64;
        subscription.position = update.new;
        subscription.unacknowledged += bytes;
        //= SES-80
        let half_used = bytes > 0 && subscription.unacknowledged.saturating_mul(2) >= subscription.window;
        //= SES-88
        if bytes > 0 && subscription.ack_at.is_none() {
            subscription.ack_at = Some(now.saturating_add(ACK_MS));
        }
        let reached = !subscription.caught_up && subscription.has_reached(self.agreed.head);
        subscription.caught_up |= reached;
        let collections = subscription.collections.clone();
        self.requests.finish_subscribe(number);
        self.deliver(replica, &collections, update.new, update.blocks);
        if reached {
            self.restoring.reading_moved();
            self.event(Event::CaughtUp(collections));
        }
        if half_used {
            self.acknowledge(number);
        }
    }

    /// Merges a page that was checked.
    pub(super) fn deliver(
        &mut self,
        replica: &mut Replica,
        collections: &CollectionSet,
        position: Position,
        blocks: LogBlocks<'_>,
    ) {
        let delivery = Delivery { collections, blocks, position, sent: self.pushes.sent() };
        let outcome = replica.deliver(&delivery);
        self.tell(outcome, None);
    }

    /// Acknowledges what was applied a while ago.
    pub(super) fn acknowledge_updates(&mut self, now: u64) {
        let due = |this: &&Subscription| this.ack_at.is_some_and(|at| at <= now);
        let numbers: Vec<_> =
            self.subscriptions.all.iter().filter(due).filter_map(|this| this.number).collect();
        for number in numbers {
            self.acknowledge(number);
        }
    }

    /// Acknowledges everything that was applied: its commit is put out before this ack.
    fn acknowledge(&mut self, number: u32) {
        if self.state != State::Active {
            return;
        }
        let Some(subscription) = self.subscriptions.by_number(number) else { return };
        subscription.unacknowledged = 0;
        subscription.ack_at = None;
        let ack = UpdateAck {
            subscription: number,
            position: subscription.position,
            window: subscription.window,
            extensions: Extensions::EMPTY,
        };
        self.say(Message::UpdateAck(ack));
    }

    /// A subscribe was refused.
    pub(super) fn subscription_refused(&mut self, replica: &mut Replica, number: u32, failure: Failure) {
        let Some(subscription) = self.subscriptions.by_number(number) else { return };
        let collections = subscription.collections.clone();
        let unknown = matches!(failure, Failure::Refused { code: ErrorCode::POSITION_UNKNOWN, .. });
        //= SES-72
        if unknown && subscription.position != Position::START {
            // Its number is used up; it begins anew with another one.
            *subscription = Subscription::new(collections.clone(), subscription.window);
            let changes = replica.forget_position(&collections);
            return self.commit(changes);
        }
        self.subscriptions.remove(&collections);
        self.restoring.reading_moved();
        self.event(Event::SubscriptionEnded { collections, failure });
    }

    /// A block was delivered that this client cannot read, or would have been.
    //= SES-103
    pub(super) fn stop_reading(&mut self, replica: &mut Replica) {
        let changes = replica.stop_reading(Some(self.config.reader()));
        self.commit(changes);
        self.output(Output::Event(Event::UpgradeNeeded));
    }

    /// Whether this reader can what the one before could not.
    pub(super) fn look_at_reader(&mut self, replica: &mut Replica) {
        if replica.may_read(self.config.reader()) {
            let changes = replica.stop_reading(None);
            self.commit(changes);
        } else {
            self.event(Event::UpgradeNeeded);
        }
    }
}

/// Whether a page may end at `new`: not before it began, nor before a block of it ends.
pub(super) fn is_page(previous: Position, new: Position, blocks: LogBlocks<'_>) -> bool {
    new.seq() >= previous.seq()
        && blocks
            .iter()
            .all(|(first_seq, block)| first_seq.get() + u64::from(block.header().span) - 1 <= new.seq())
}
