//! Subscriptions: a position, a window, and what was sent and not acknowledged (SPEC.md 10.10).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use super::database::Reader;
use super::history::History;
use super::io::{Io, NEVER, Stop, close};
use super::link::Link;
use super::page::{Budget, Lens, LogBlock, Page, Wanted, page, read_after, wanted};
use super::session::{Active, Session};
use crate::message::{self, Extensions, List, LogBlocks, Message, Update, UpdateAck};
use crate::mutant::Mutant;
use crate::registry::ErrorCode;
use crate::wire::Position;

/// Operations passed over after which the position moves (SES-87).
const PASSED: u64 = 1_000;
/// Milliseconds after which it moves anyway.
const PASSED_MS: u64 = 5_000;
/// Milliseconds between two updates that only move the position.
const MOVES_MS: u64 = 1_000;
/// Updates of one subscription that are told apart. More are counted with the last of them, so that a
/// reader that never acknowledges costs no more.
const UNACKED: usize = 64;
/// Runs of numbers of subscriptions that one connection may have used. Who counts them up has one.
const RUNS: usize = 1_024;

/// What a subscription waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// That the log grows.
    Log,
    /// Blocks that are being read.
    Read,
    /// That its client acknowledges, or opens the window.
    Window,
    /// That the transport takes what was sent.
    Room,
}

#[derive(Debug)]
struct Subscription {
    number: u32,
    /// Of the request, until it is answered; then 0.
    request_id: u32,
    /// The new of the last update, at first the from of subscribe: the previous of the next update.
    sent: Position,
    /// The seq up to which the log was looked at: beyond `sent` if something was passed over.
    at: u64,
    window: u64,
    /// For each update that was sent and not acknowledged its new's seq and its bytes of blocks.
    unacked: VecDeque<(u64, u64)>,
    unacked_bytes: u64,
    acked: u64,
    wait: Wait,
    /// When the first operation was passed over that no update told of.
    passed_at: u64,
    /// When the last update was sent that only moved the position.
    moved_at: u64,
    wanted: Wanted,
}

impl Subscription {
    /// Bytes of blocks after which nothing more is sent for now.
    fn room(&self) -> u64 {
        if Mutant::WindowIgnored.is_on() && self.window > 0 {
            return u64::MAX;
        }
        self.window.saturating_sub(self.unacked_bytes)
    }

    const fn is_answered(&self) -> bool {
        self.request_id == 0
    }

    /// When an update without blocks is to be sent, if anything was passed over.
    fn moves_at(&self) -> u64 {
        //= SES-87
        match self.at - self.sent.seq() {
            0 => NEVER,
            _ if self.window == 0 || !self.is_answered() => NEVER,
            PASSED.. => self.moved_at.saturating_add(MOVES_MS),
            _ => self.passed_at.saturating_add(PASSED_MS),
        }
    }

    /// Sends what is in `page`, and the position at its end.
    fn send(&mut self, link: &mut Link, io: &mut Io, history: &History, page: Page) {
        // The seqs ascend and are few, as a page has them.
        let Ok(first_seqs) = List::new(&page.first_seqs) else { return };
        let new = history.name(page.end);
        let update = Update {
            subscription: self.number,
            //= SES-77
            previous: self.sent,
            new,
            blocks: LogBlocks::elsewhere(first_seqs),
            extensions: Extensions::EMPTY,
        };
        link.send_with(io, 0, &Message::Update(update), page.blocks);
        self.sent = new;
        if page.bytes > 0 {
            self.count(new.seq(), page.bytes);
        } else {
            //= SES-88
            self.moved_at = io.ms();
        }
    }

    /// Sends an update that only moves the position, if it is time for it.
    fn move_on(&mut self, link: &mut Link, io: &mut Io, history: &History) {
        if self.moves_at() <= io.ms() {
            let page = Page { end: self.at, ..Page::default() };
            self.send(link, io, history, page);
        }
    }

    fn count(&mut self, new: u64, bytes: u64) {
        self.unacked_bytes += bytes;
        let full = self.unacked.len() == UNACKED;
        match self.unacked.back_mut() {
            Some(last) if full => *last = (new, last.1 + bytes),
            _ => self.unacked.push_back((new, bytes)),
        }
    }

    /// Everything up to `seq` is durable at the client.
    fn acknowledge(&mut self, seq: u64) {
        self.acked = seq;
        while let Some((new, bytes)) = self.unacked.front().copied()
            && new <= seq
        {
            self.unacked.pop_front();
            self.unacked_bytes -= bytes;
        }
    }
}

/// The subscriptions of a connection.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    living: Vec<Subscription>,
    used: Numbers,
}

impl Subscriptions {
    fn get_mut(&mut self, number: u32) -> Option<&mut Subscription> {
        self.living.iter_mut().find(|subscription| subscription.number == number)
    }

    /// Those that wait for the transport.
    pub(super) fn waiting_for_room(&self) -> Vec<u32> {
        self.numbers(|subscription| subscription.wait == Wait::Room)
    }

    /// Those that have an update without blocks to send at `now`.
    pub(super) fn moving(&self, now: u64) -> Vec<u32> {
        self.numbers(|subscription| subscription.moves_at() <= now)
    }

    fn numbers(&self, which: impl Fn(&Subscription) -> bool) -> Vec<u32> {
        self.living.iter().filter(|each| which(each)).map(|each| each.number).collect()
    }

    /// When the next such update is to be sent.
    pub(super) fn next_move(&self) -> u64 {
        self.living.iter().map(Subscription::moves_at).min().unwrap_or(NEVER)
    }

    /// Whether all that they cover may be read.
    pub(super) fn are_allowed(&self, allowed: impl Fn(&Wanted) -> bool) -> bool {
        self.living.iter().all(|subscription| allowed(&subscription.wanted))
    }

    /// Ends all of them; gives those that had living numbers.
    pub(super) fn end(&mut self) -> Vec<u32> {
        core::mem::take(&mut self.living).iter().map(|subscription| subscription.number).collect()
    }
}

impl Active<'_> {
    /// Takes a subscription.
    pub(super) fn subscribe(
        &mut self,
        request_id: u32,
        subscribe: &message::Subscribe<'_>,
    ) -> Result<(), Stop> {
        if !self.begin(request_id)? {
            return Ok(());
        }
        let number = subscribe.subscription;
        let subscriptions = &mut self.session.subscriptions;
        //= SES-75
        if subscriptions.used.contains(number) {
            return close(ErrorCode::DUPLICATE_SUBSCRIPTION, "a subscription's number is used once");
        }
        //= RLY-60
        if !subscriptions.used.add(number) {
            return close(ErrorCode::RATE_LIMITED, "count the numbers of subscriptions up");
        }
        if subscriptions.living.len() >= self.io.config.subscriptions {
            self.refuse(request_id, ErrorCode::TOO_MANY_SUBSCRIPTIONS, "unsubscribe from others first");
            return Ok(());
        }
        let wanted = wanted(subscribe.collections);
        if !self.may_read_from(request_id, &wanted, subscribe.from) {
            return Ok(());
        }
        // Most connections have one for ever.
        self.session.subscriptions.living.reserve_exact(1);
        self.session.subscriptions.living.push(Subscription {
            number,
            request_id,
            sent: subscribe.from,
            at: subscribe.from.seq(),
            //= RLY-50
            window: subscribe.window.min(self.io.config.window),
            unacked: VecDeque::new(),
            unacked_bytes: 0,
            acked: subscribe.from.seq(),
            wait: Wait::Room,
            passed_at: 0,
            moved_at: 0,
            wanted,
        });
        self.deliver(number, None)
    }

    /// Ends a subscription.
    pub(super) fn unsubscribe(&mut self, number: u32) -> Result<(), Stop> {
        let Session { subscriptions, requests, .. } = &mut *self.session;
        let Some(index) = subscriptions.living.iter().position(|each| each.number == number) else {
            return subscriptions.used.ended(number);
        };
        let mut ended = subscriptions.living.swap_remove(index);
        self.database.live.remove(&(self.link.conn, number));
        if !ended.is_answered() {
            //= SES-67
            requests.done(ended.request_id);
            let page = Page { end: ended.sent.seq(), ..Page::default() };
            ended.send(self.link, self.io, &self.database.history, page);
        }
        Ok(())
    }

    /// Takes note of what the client applied, and goes on.
    pub(super) fn update_ack(&mut self, ack: &UpdateAck<'_>) -> Result<(), Stop> {
        let subscriptions = &mut self.session.subscriptions;
        let Some(subscription) = subscriptions.get_mut(ack.subscription) else {
            return subscriptions.used.ended(ack.subscription);
        };
        let seq = ack.position.seq();
        //= SES-82
        if seq < subscription.acked || seq > subscription.sent.seq() {
            return close(ErrorCode::PROTOCOL_ERROR, "an update ack is not below the one before, nor ahead");
        }
        subscription.acknowledge(seq);
        //= SES-83
        subscription.window = ack.window.min(self.io.config.window);
        self.deliver(ack.subscription, None)
    }

    /// Sends what the log has for a subscription, as far as its window and the transport allow, from the
    /// log's tail or from `read`, which was read for it.
    pub(super) fn deliver(&mut self, number: u32, read: Option<&[LogBlock]>) -> Result<(), Stop> {
        let Active { link, session, database, io } = self;
        let Session { subscriptions, requests, capabilities, node, welcome_mark, update_bytes, .. } =
            &mut **session;
        let Some(subscription) = subscriptions.get_mut(number) else { return Ok(()) };
        if subscription.wait == Wait::Read && read.is_none() {
            // A read may take long: what was passed over before is told in time.
            subscription.move_on(link, io, &database.history);
            return Ok(());
        }
        let lens = Lens {
            capabilities: *capabilities,
            wanted: subscription.wanted.clone().filter(|_| !Mutant::FilterLeaks.is_on()),
            own: Some((*node, *welcome_mark)),
        };
        let history = &database.history;
        let wait = loop {
            //= SES-81
            if subscription.room() == 0 {
                break Wait::Window;
            }
            //= RLY-48
            if !link.has_room(io) {
                break Wait::Room;
            }
            //= RLY-33
            let from = subscription.at;
            if from >= history.head() {
                break Wait::Log;
            }
            //= SES-86
            let budget = Budget { bytes: *update_bytes, room: subscription.room(), operations: u64::MAX };
            let page = if let Some(blocks) = database.tail.after(from) {
                page(from, blocks, &lens, budget, &mut io.encoder)?
            } else if let Some(blocks) = read.and_then(|read| read_after(read, from)) {
                page(from, blocks, &lens, budget, &mut io.encoder)?
            } else if let Some(start) = database.tail.start().filter(|_| Mutant::LiveBeforeHead.is_on()) {
                subscription.at = start;
                continue;
            } else {
                break Wait::Read;
            };
            if from == subscription.sent.seq() {
                subscription.passed_at = io.ms();
            }
            subscription.at = page.end;
            if !page.blocks.is_empty() {
                requests.done(core::mem::take(&mut subscription.request_id));
                subscription.send(link, io, history, page);
            }
        };
        //= SES-76
        if !subscription.is_answered() && matches!(wait, Wait::Log | Wait::Window) {
            requests.done(core::mem::take(&mut subscription.request_id));
            let page = Page { end: subscription.at, ..Page::default() };
            subscription.send(link, io, history, page);
        }
        subscription.move_on(link, io, history);
        link.arm(io, subscription.moves_at());

        let place = (link.conn, number);
        if wait == Wait::Log {
            database.live.insert(place);
        } else if subscription.wait == Wait::Log {
            database.live.remove(&place);
        }
        subscription.wait = wait;
        if wait == Wait::Read {
            // What is passed over takes no room.
            let bytes = if subscription.wanted.is_some() { u64::MAX } else { subscription.room() };
            database.read(io, subscription.at, bytes, Reader::Subscription(link.conn, number));
        }
        Ok(())
    }
}

/// Numbers, as runs of neighbours in ascending order.
#[derive(Debug, Default)]
struct Numbers(Vec<(u32, u32)>);

impl Numbers {
    /// The first run that ends at or above `number`.
    fn place(&self, number: u32) -> usize {
        self.0.partition_point(|(_, last)| *last < number)
    }

    fn contains(&self, number: u32) -> bool {
        self.0.get(self.place(number)).is_some_and(|(first, _)| *first <= number)
    }

    /// Adds a number that is not there. False if there are too many runs.
    fn add(&mut self, number: u32) -> bool {
        let place = self.place(number);
        let follows = place > 0 && self.0.get(place - 1).is_some_and(|(_, last)| *last + 1 == number);
        let leads = self.0.get(place).is_some_and(|(first, _)| *first == number + 1);
        match (follows, leads) {
            (true, true) => {
                let (_, last) = self.0.remove(place);
                self.0[place - 1].1 = last;
            }
            (true, false) => self.0[place - 1].1 = number,
            (false, true) => self.0[place].0 = number,
            (false, false) if self.0.len() == RUNS => return false,
            (false, false) => self.0.insert(place, (number, number)),
        }
        true
    }

    //= SES-84
    /// What to do with a message about a subscription that is not there: nothing if it ended.
    fn ended(&self, number: u32) -> Result<(), Stop> {
        if self.contains(number) {
            return Ok(());
        }
        close(ErrorCode::UNKNOWN_SUBSCRIPTION, "there was no subscription of that number")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kept_as_runs() {
        let mut numbers = Numbers::default();
        for number in [5, 7, 6, 0, u32::MAX, 1, 4] {
            assert!(!numbers.contains(number));
            assert!(numbers.add(number));
            assert!(numbers.contains(number));
        }
        assert_eq!(numbers.0, [(0, 1), (4, 7), (u32::MAX, u32::MAX)]);
        let mut sparse = Numbers::default();
        assert!((0..1_024).all(|number| sparse.add(2 * number)));
        assert!(!sparse.add(4_000));
        assert!(sparse.add(1));
    }
}
