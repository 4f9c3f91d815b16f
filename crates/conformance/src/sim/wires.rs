//! What moves on the links.

use blazedb_relay::client::Input as DeviceInput;
use blazedb_relay::relay::{ConnId, Input};

use super::world::{Event, World};

impl World {
    pub(super) fn schedule_up(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let pipe = &mut link.up;
        if pipe.scheduled || pipe.paused || pipe.hole || pipe.is_empty() && !pipe.closing {
            return;
        }
        pipe.scheduled = true;
        let (latency, stalled) = (link.latency, pipe.stalled_until);
        let wait = self.random.within(0..=latency);
        self.at((self.now + wait).max(stalled), Event::Up(conn));
    }

    pub(super) fn schedule_down(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let pipe = &mut link.down;
        if pipe.scheduled || pipe.hole || pipe.is_empty() && !pipe.closing {
            return;
        }
        pipe.scheduled = true;
        let (latency, stalled) = (link.latency, pipe.stalled_until);
        let wait = self.random.within(0..=latency);
        self.at((self.now + wait).max(stalled), Event::Down(conn));
    }

    pub(super) fn flush_soon(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        if !link.flushing {
            link.flushing = true;
            self.after(0, Event::Flush(conn));
        }
    }

    /// Bytes reach the relay, or the end does.
    pub(super) fn move_up(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        link.up.scheduled = false;
        if link.up.hole || link.up.paused {
            return;
        }
        let (framing, cutting, at_relay) = (link.framing, link.cutting, link.at_relay);
        match link.up.take(framing, cutting, &mut self.random) {
            Some(bytes) if at_relay => {
                if let Some(witness) = self.witnesses.get_mut(&conn) {
                    witness.received(&bytes);
                }
                self.feed_relay(Input::Received { conn, bytes });
                if let Some(witness) = self.witnesses.get_mut(&conn) {
                    witness.taken();
                }
            }
            Some(_) => {}
            None if link.up.closing && at_relay => {
                link.at_relay = false;
                self.witnesses.remove(&conn);
                self.feed_relay(Input::Closed { conn });
                return self.tidy_link(conn);
            }
            None => return,
        }
        self.schedule_up(conn);
    }

    /// Bytes reach a client, or the end does.
    pub(super) fn move_down(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        link.down.scheduled = false;
        if link.down.hole {
            return;
        }
        let (framing, cutting, device) = (link.framing, link.cutting, link.device);
        let is_its = self.devices[device].process.as_ref().is_some_and(|process| process.conn == Some(conn));
        let at_client = link.at_client && is_its;
        match link.down.take(framing, cutting, &mut self.random) {
            Some(bytes) if at_client => self.feed_device(device, DeviceInput::Received(bytes)),
            Some(_) => {}
            None if link.down.closing => {
                link.at_client = false;
                if at_client {
                    self.feed_device(device, DeviceInput::Closed);
                }
                // Nobody is left to send.
                if let Some(link) = self.links.get_mut(&conn) {
                    link.up.closing = true;
                    self.schedule_up(conn);
                }
                return self.tidy_link(conn);
            }
            None => return,
        }
        self.flush_soon(conn);
        self.schedule_down(conn);
    }

    /// A transport takes what it has room for.
    pub(super) fn flush(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        link.flushing = false;
        let bytes = link.flush();
        let at_relay = link.at_relay;
        self.schedule_down(conn);
        if bytes > 0 && at_relay {
            self.feed_relay(Input::Flushed { conn, bytes });
        }
        self.tidy_link(conn);
    }

    /// The client has closed: what it sent still arrives.
    pub(super) fn end_at_client(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        link.at_client = false;
        link.up.closing = true;
        link.down.clear();
        self.schedule_up(conn);
        self.schedule_down(conn);
        self.tidy_link(conn);
    }

    /// The client is gone in the middle of it.
    pub(super) fn break_at_client(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        link.up.break_off(link.framing, &mut self.random);
        self.end_at_client(conn);
    }

    /// The link breaks: each end is told when it has what arrived before.
    pub(super) fn cut(&mut self, conn: ConnId) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        link.up.break_off(link.framing, &mut self.random);
        link.down.break_off(link.framing, &mut self.random);
        link.waiting.clear();
        self.schedule_up(conn);
        self.schedule_down(conn);
    }

    /// Forgets a link that both ends have closed.
    pub(super) fn tidy_link(&mut self, conn: ConnId) {
        if self.links.get(&conn).is_some_and(|link| !link.at_client && !link.at_relay) {
            self.links.remove(&conn);
        }
    }
}
