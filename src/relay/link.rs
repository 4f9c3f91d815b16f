//! A connection's transport: frames out of bytes, bytes on their way, signs of life.

use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::event::{ConnId, Framing, Output};
use super::io::{Due, Io, NEVER};
use crate::codec::Context;
use crate::error::DecodeError;
use crate::frame::{self, FLAG_MORE, HEAD};
use crate::message::{Error, ErrorText, Extensions, Message, Scope};
use crate::registry::ErrorCode;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) conn: ConnId,
    framing: Framing,
    /// What decodes on this connection now.
    pub(super) context: Context,
    /// The frame that is not yet whole.
    partial: BytesMut,
    /// Bytes of what came last, of which frames are parts.
    received: usize,
    /// The last ping that came with the bytes being handled and was not answered yet.
    pub(super) ping: Option<u64>,
    /// When the last byte came.
    pub(super) heard_at: u64,
    /// When the last ping was sent.
    pub(super) pinged_at: u64,
    /// Bytes that the transport has not taken yet.
    waiting: usize,
    /// When the transport last took something, or had nothing to take.
    pub(super) flushed_at: u64,
    paused: bool,
    /// When its deadlines are looked at.
    armed: u64,
}

impl Link {
    pub(super) fn new(conn: ConnId, framing: Framing, now: u64) -> Self {
        Self {
            conn,
            framing,
            context: Context::HANDSHAKE,
            partial: BytesMut::new(),
            received: 0,
            ping: None,
            heard_at: now,
            pinged_at: now,
            waiting: 0,
            flushed_at: now,
            paused: false,
            armed: NEVER,
        }
    }

    /// Bytes came.
    pub(super) const fn heard(&mut self, now: u64, bytes: usize) {
        //= SES-8
        self.heard_at = now;
        self.received = bytes;
    }

    /// A frame of what came last, to be kept: a copy if keeping it would keep much else with it.
    pub(super) fn keep(&self, frame: &Bytes) -> Bytes {
        if frame.len() < self.received / 2 { Bytes::copy_from_slice(frame) } else { frame.clone() }
    }

    /// The next whole frame of what is buffered and `rest`; `None` when all of `rest` was used.
    pub(super) fn next_frame(&mut self, rest: &mut Bytes) -> Result<Option<Bytes>, DecodeError> {
        if self.partial.is_empty() {
            if let Some(len) = frame::peek(rest, self.context.phase)?
                && len <= rest.len()
            {
                return Ok(Some(rest.split_to(len)));
            }
            if rest.is_empty() {
                // An idle connection holds no buffer.
                self.partial = BytesMut::new();
                return Ok(None);
            }
            //= TRN-3
            if self.framing == Framing::Messages {
                return Err(DecodeError::new(ErrorCode::TRUNCATED, rest.len(), "frame"));
            }
        }
        // The frame limit is checked on the head, before more of the frame is stored.
        //= FRM-6
        self.fill(HEAD, rest);
        let Some(len) = frame::peek(&self.partial, self.context.phase)? else { return Ok(None) };
        self.fill(len, rest);
        Ok((self.partial.len() == len).then(|| core::mem::take(&mut self.partial).freeze()))
    }

    /// Adds bytes to the frame that is not yet whole until it has `len`.
    fn fill(&mut self, len: usize, rest: &mut Bytes) {
        let missing = len.saturating_sub(self.partial.len()).min(rest.len());
        self.partial.extend_from_slice(&rest.split_to(missing));
    }

    /// Sends a message without blocks.
    pub(super) fn send(&mut self, io: &mut Io, request_id: u32, message: &Message<'_>) {
        self.send_with(io, request_id, message, Vec::new());
    }

    /// Sends a message with blocks, of which it holds the places only.
    pub(super) fn send_with(
        &mut self,
        io: &mut Io,
        request_id: u32,
        message: &Message<'_>,
        blocks: Vec<Bytes>,
    ) {
        let behind = blocks.iter().map(Bytes::len).sum();
        let flags = if message.more() { FLAG_MORE } else { 0 };
        let mut head = BytesMut::new();
        frame::encode(&mut head, flags, message.message_type(), request_id, behind, |sink| {
            message.encode_fields(sink);
        });
        if self.waiting == 0 {
            self.flushed_at = io.ms();
        }
        self.waiting += head.len() + behind;
        io.put(Output::Send { conn: self.conn, head: head.freeze(), blocks });
        //= RLY-49
        if !self.paused && self.waiting > io.config.waiting_bytes {
            self.paused = true;
            io.put(Output::PauseReading { conn: self.conn });
        }
    }

    /// Answers a request with an error.
    pub(super) fn refuse(&mut self, io: &mut Io, request_id: u32, code: ErrorCode, text: &'static str) {
        self.error(io, request_id, Scope::Request, code, 0, text);
    }

    /// Sends an error.
    pub(super) fn error(
        &mut self,
        io: &mut Io,
        request_id: u32,
        scope: Scope,
        code: ErrorCode,
        retry_after: u32,
        text: &str,
    ) {
        // The texts of this crate are short.
        let text = ErrorText::new(text).or_else(|_| ErrorText::new(""));
        let Ok(text) = text else { return };
        let error = Error { code, scope, retry_after, text, extensions: Extensions::EMPTY };
        self.send(io, request_id, &Message::Error(error));
    }

    /// The transport took that many bytes.
    pub(super) fn flushed(&mut self, io: &mut Io, bytes: usize) {
        debug_assert!(bytes <= self.waiting, "more was flushed than sent");
        self.waiting = self.waiting.saturating_sub(bytes);
        self.flushed_at = io.ms();
        if self.paused && self.has_room(io) {
            self.paused = false;
            io.put(Output::ResumeReading { conn: self.conn });
        }
    }

    /// Whether something large may be sent.
    pub(super) const fn has_room(&self, io: &Io) -> bool {
        self.waiting <= io.config.waiting_bytes
    }

    /// Whether the transport holds bytes back.
    pub(super) const fn is_waiting(&self) -> bool {
        self.waiting > 0
    }

    pub(super) fn arm(&mut self, io: &mut Io, at: u64) {
        io.arm(&mut self.armed, at, Due::Connection(self.conn));
    }

    pub(super) fn disarm(&mut self, io: &mut Io) {
        io.disarm(&mut self.armed, Due::Connection(self.conn));
    }

    /// Its deadline was taken.
    pub(super) const fn fired(&mut self) {
        self.armed = NEVER;
    }
}
