//! How a connection ends, and when to come back (SPEC.md 10.11).

use alloc::boxed::Box;

use super::{End, Event, NewNode, Output, Reconnect, Session, State, Trigger};
use crate::client::Replica;
use crate::message::{Error, ErrorText, Extensions, Goodbye, Message, Scope};
use crate::registry::{ErrorCode, GoodbyeReason};

/// After a refusal that will not pass by itself.
const REFUSED_MS: u64 = 600_000;

impl Session {
    /// Closes with an error: the relay broke a rule, or is not heard of any more.
    pub(super) fn fault(&mut self, now: u64, code: ErrorCode) {
        //= SES-94
        if let (false, Ok(text)) = (self.goodbye_sent, ErrorText::new("")) {
            let scope = Scope::Connection;
            self.say(Message::Error(Error {
                code,
                scope,
                retry_after: 0,
                text,
                extensions: Extensions::EMPTY,
            }));
        }
        self.output(Output::Close(Some(code)));
        self.fail(now, End::Fault(code), 0);
    }

    /// The relay has closed with an error.
    //= SES-5
    pub(super) fn refused(&mut self, replica: &mut Replica, now: u64, error: &Error<'_>) {
        let (code, retry_after) = (error.code, u64::from(error.retry_after));
        let end = End::Refused { code, text: Box::from(error.text.as_str()) };
        let new_node = match code {
            //= SES-27
            ErrorCode::REPLACED => Some(NewNode::Replaced),
            //= SES-15
            ErrorCode::NOT_YOUR_NODE => Some(NewNode::NotYourNode),
            _ => None,
        };
        if let Some(why) = new_node {
            let was_untried = replica.node().untried;
            let changes = replica.become_new_node(self.spare);
            self.commit(changes);
            self.output(Output::Close(Some(code)));
            self.event(Event::NewNode(why));
            if why == NewNode::NotYourNode && was_untried {
                // One new node after another is refused: not as fast as that.
                return self.fail(now, end, retry_after);
            }
            return self.end(End::NewNode, Reconnect::After(0));
        }
        if code == ErrorCode::UPGRADE_NEEDED {
            self.stop_reading(replica);
        }
        self.output(Output::Close(Some(code)));
        match code {
            //= SES-93
            ErrorCode::UNAUTHENTICATED | ErrorCode::TOKEN_EXPIRED => {
                self.end(end, Reconnect::OnOrder);
            }
            //= SES-100
            ErrorCode::VERSION_NOT_SUPPORTED
            | ErrorCode::CAPABILITY_REQUIRED
            | ErrorCode::LIMIT_NOT_SUPPORTED
            | ErrorCode::FORBIDDEN
            | ErrorCode::UNKNOWN_DATABASE => {
                self.end(end, Reconnect::After(REFUSED_MS.max(retry_after)));
            }
            _ => self.fail(now, end, retry_after),
        }
    }

    /// The relay has said goodbye: its last frame.
    pub(super) fn goodbye_received(&mut self, now: u64, goodbye: &Goodbye<'_>) {
        if self.state != State::Draining {
            self.enter(Trigger::Goodbye);
            self.timers.drain(now);
        }
        //= SES-12
        self.output(Output::Close(None));
        if self.closing {
            return self.end(End::Ordered, Reconnect::OnOrder);
        }
        //= SES-98
        let wait = u64::from(goodbye.reconnect_after) + self.random.up_to(u64::from(goodbye.jitter));
        let reconnect = match goodbye.reason {
            GoodbyeReason::IDLE => Reconnect::WhenNeeded(wait),
            _ => Reconnect::After(wait),
        };
        self.end(End::Goodbye(goodbye.reason), reconnect);
    }

    /// The application wants to end it.
    pub(super) fn close(&mut self, now: u64) {
        self.closing = true;
        match self.state {
            State::Apart => self.end(End::Ordered, Reconnect::OnOrder),
            State::Greeting => self.say_goodbye(now),
            // When the pushes in flight have their acks.
            State::Settling | State::Active | State::Draining => {}
        }
    }

    //= SES-96
    pub(super) fn close_when_answered(&mut self, now: u64) {
        if self.closing && !self.goodbye_sent && self.pushes.is_idle() {
            self.say_goodbye(now);
        }
    }

    fn say_goodbye(&mut self, now: u64) {
        self.send_goodbye();
        self.enter(Trigger::Goodbye);
        self.timers.drain(now);
    }

    fn send_goodbye(&mut self) {
        let goodbye = Goodbye {
            reason: GoodbyeReason::DONE,
            reconnect_after: 0,
            jitter: 0,
            extensions: Extensions::EMPTY,
        };
        self.say(Message::Goodbye(goodbye));
        self.goodbye_sent = true;
    }

    /// The drain timer has ended.
    pub(super) fn drained(&mut self) {
        self.output(Output::Close(None));
        self.end(End::Ordered, Reconnect::OnOrder);
    }

    /// The transport has ended, or could not be opened.
    pub(super) fn transport_ended(&mut self, now: u64) {
        if self.closing {
            return self.end(End::Ordered, Reconnect::OnOrder);
        }
        self.fail(now, End::Transport, 0);
    }

    /// The client has become a new node, which is durable when this is performed. Without `why` the
    /// application knows.
    //= SES-26
    pub(super) fn end_for_new_node(&mut self, why: Option<NewNode>) {
        if let Some(why) = why {
            self.event(Event::NewNode(why));
        }
        if self.state != State::Apart {
            if !self.goodbye_sent {
                self.send_goodbye();
                if self.state != State::Draining {
                    self.enter(Trigger::Goodbye);
                }
            }
            self.output(Output::Close(None));
        }
        self.end(End::NewNode, Reconnect::After(0));
    }

    /// Ends a connection that has failed.
    //= SES-99
    fn fail(&mut self, now: u64, end: End, retry_after: u64) {
        let active_ms = self.timers.active_since.map_or(0, |since| now.saturating_sub(since));
        let wait = self.backoff.fail(active_ms, &mut self.random);
        self.end(end, Reconnect::After(wait.max(retry_after)));
    }

    //= SES-101
    fn end(&mut self, end: End, reconnect: Reconnect) {
        if self.state != State::Apart {
            self.enter(Trigger::End);
        }
        self.over = true;
        self.fail_requests();
        self.event(Event::Ended(end));
        // Who wanted to end it decides when to come back.
        self.output(Output::Reconnect(if self.closing { Reconnect::OnOrder } else { reconnect }));
    }
}
