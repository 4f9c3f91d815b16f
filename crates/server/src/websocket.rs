//! The WebSocket protocol's bytes (RFC 6455), the server's end, without IO.
//!
//! A relay needs little of it: binary messages that hold whole frames of its own protocol. So a message is
//! never put together here. What arrives is cut into those frames at once, however it was cut into WebSocket
//! frames, and memory for one frame is all that a connection can ever take (SPEC.md 11.9); an idle one takes
//! none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use blazedb_relay::frame::{HEAD, Phase, peek};
use bytes::Bytes;
use sha1::{Digest, Sha1};

/// What a key is answered with (RFC 6455, 4.2.2).
pub(crate) fn accept(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64.encode(hash.finalize())
}

/// Whether that is 16 bytes in base64.
pub(crate) fn is_key(key: &[u8]) -> bool {
    BASE64.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

const CONTINUATION: u8 = 0;
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
/// Payload of a control frame at most (RFC 6455, 5.5).
const MAX_CONTROL: usize = 125;
/// Bytes before a payload at most, from a client.
const MAX_HEAD: usize = 14;
/// Bytes that are set aside for a frame before any of them has come. More only follows as it arrives, so
/// that announcing a length costs its sender as much as it costs the relay.
const AT_FIRST: usize = 64 * 1_024;

/// What came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Item {
    /// A whole frame of the relay's protocol; or the bytes that show that there is none, which the relay
    /// rejects with the code that fits. Nothing is looked at behind those.
    Frame(Bytes),
    /// To be answered with a pong of the same payload.
    Ping(Box<[u8]>),
    /// The peer has closed.
    Closed,
}

/// The peer broke the WebSocket protocol, or sent text: close with this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Violation(pub(crate) u16);

const PROTOCOL: Violation = Violation(1_002);
//= TRN-2
const NOT_BINARY: Violation = Violation(1_003);

/// Takes what a client sends apart.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    /// The head of a WebSocket frame that is not whole yet.
    head: [u8; MAX_HEAD],
    head_len: u8,
    /// The frame whose payload comes now, once its head is whole.
    frame: Option<Payload>,
    /// Whether a message goes on in further WebSocket frames.
    in_message: bool,
    /// The payload of a control frame so far.
    control: Vec<u8>,
    cutter: Cutter,
}

#[derive(Clone, Copy, Debug)]
struct Payload {
    opcode: u8,
    fin: bool,
    left: u64,
    /// Turned so that its first byte is for the next byte of the payload.
    mask: [u8; 4],
}

impl Receiver {
    /// Takes bytes from `input` up to the next item; `None` when it is used up.
    pub(crate) fn next(&mut self, input: &mut &[u8], phase: Phase) -> Result<Option<Item>, Violation> {
        loop {
            let Some(mut payload) = self.frame else {
                if self.take_head(input)? {
                    continue;
                }
                return Ok(None);
            };
            if payload.opcode >= CLOSE {
                let len = usize::try_from(payload.left).unwrap_or(usize::MAX).min(input.len());
                let (now, rest) = input.split_at(len);
                *input = rest;
                let start = self.control.len();
                self.control.extend_from_slice(now);
                unmask(self.control.get_mut(start..).unwrap_or_default(), &mut payload.mask);
                payload.left -= len as u64;
                self.frame = Some(payload);
                if payload.left > 0 {
                    return Ok(None);
                }
                self.frame = None;
                let control = core::mem::take(&mut self.control);
                match payload.opcode {
                    CLOSE => return Ok(Some(Item::Closed)),
                    PING => return Ok(Some(Item::Ping(control.into()))),
                    _ => continue,
                }
            }
            let item = self.cutter.take(input, &mut payload, phase);
            self.frame = (payload.left > 0).then_some(payload);
            self.in_message = !payload.fin || payload.left > 0;
            if let Some(frame) = item {
                return Ok(Some(Item::Frame(frame)));
            }
            if payload.left > 0 {
                return Ok(None);
            }
            //= TRN-3
            if payload.fin
                && let Some(partial) = self.cutter.end()
            {
                return Ok(Some(Item::Frame(partial)));
            }
        }
    }

    /// Takes what there is of a head. True when it is whole.
    fn take_head(&mut self, input: &mut &[u8]) -> Result<bool, Violation> {
        loop {
            let have = usize::from(self.head_len);
            let len = self.head[1] & !MASKED;
            let extended = match len {
                126 => 2,
                127 => 8,
                _ => 0,
            };
            let need = if have < 2 { 2 } else { 2 + extended + 4 };
            if have == need && have > 2 {
                break;
            }
            let Some((byte, rest)) = input.split_first() else { return Ok(false) };
            *input = rest;
            self.head[have] = *byte;
            self.head_len += 1;
            if self.head_len == 2 {
                self.check_start()?;
            }
        }
        let head = core::mem::take(&mut self.head);
        let have = usize::from(core::mem::take(&mut self.head_len));
        let left = match have - 6 {
            2 => u64::from(u16::from_be_bytes([head[2], head[3]])),
            8 => u64::from_be_bytes([head[2], head[3], head[4], head[5], head[6], head[7], head[8], head[9]]),
            _ => u64::from(head[1] & !MASKED),
        };
        // The highest bit of a length is 0.
        if left >> 63 != 0 {
            return Err(PROTOCOL);
        }
        let mask = [head[have - 4], head[have - 3], head[have - 2], head[have - 1]];
        self.frame = Some(Payload { opcode: head[0] & 15, fin: head[0] & FIN != 0, left, mask });
        Ok(true)
    }

    /// Checks the first two bytes of a head.
    fn check_start(&self) -> Result<(), Violation> {
        let [first, second, ..] = self.head;
        let (opcode, fin) = (first & 15, first & FIN != 0);
        // No extension was agreed on, so no reserved bit has a meaning; and clients mask.
        //= TRN-5
        if first & 0x70 != 0 || second & MASKED == 0 {
            return Err(PROTOCOL);
        }
        match opcode {
            TEXT if !self.in_message => Err(NOT_BINARY),
            BINARY if !self.in_message => Ok(()),
            CONTINUATION if self.in_message => Ok(()),
            CLOSE | PING | PONG if fin && usize::from(second & !MASKED) <= MAX_CONTROL => Ok(()),
            _ => Err(PROTOCOL),
        }
    }
}

/// Cuts the payload of messages into frames of the relay's protocol.
#[derive(Debug, Default)]
struct Cutter {
    head: [u8; HEAD],
    head_len: u8,
    /// The frame that is not whole yet, once its head is.
    frame: Vec<u8>,
    /// How long it will be.
    len: usize,
}

impl Cutter {
    /// Takes bytes of `payload` from `input` up to the end of a frame.
    fn take(&mut self, input: &mut &[u8], payload: &mut Payload, phase: Phase) -> Option<Bytes> {
        while !input.is_empty() && payload.left > 0 {
            let have = usize::from(self.head_len);
            if have < HEAD {
                let now = take(input, payload, HEAD - have);
                let head = self.head.get_mut(have..have + now.len())?;
                head.copy_from_slice(now);
                unmask(head, &mut payload.mask);
                #[allow(clippy::cast_possible_truncation, reason = "at most HEAD")]
                let len = (have + now.len()) as u8;
                self.head_len = len;
                if usize::from(len) < HEAD {
                    return None;
                }
                //= FRM-6
                let Ok(Some(len)) = peek(&self.head, phase) else { return self.end() };
                self.len = len;
                self.frame.reserve_exact(len.min(AT_FIRST));
                self.frame.extend_from_slice(&self.head);
            } else {
                let now = take(input, payload, self.len - self.frame.len());
                let start = self.frame.len();
                if self.frame.capacity() < start + now.len() {
                    // As much again as has come, and never more than the frame needs.
                    self.frame.reserve_exact(start.max(now.len()).min(self.len - start));
                }
                self.frame.extend_from_slice(now);
                unmask(self.frame.get_mut(start..)?, &mut payload.mask);
                if self.frame.len() == self.len {
                    self.head_len = 0;
                    return Some(core::mem::take(&mut self.frame).into());
                }
            }
        }
        None
    }

    /// A message ended, or what has come is no frame: gives what there is of one.
    fn end(&mut self) -> Option<Bytes> {
        let have = usize::from(core::mem::take(&mut self.head_len));
        let frame = core::mem::take(&mut self.frame);
        match (have, frame.is_empty()) {
            (0, _) => None,
            (_, true) => self.head.get(..have).map(Bytes::copy_from_slice),
            (_, false) => Some(frame.into()),
        }
    }
}

/// Takes up to `most` bytes of a payload.
fn take<'i>(input: &mut &'i [u8], payload: &mut Payload, most: usize) -> &'i [u8] {
    let left = usize::try_from(payload.left).unwrap_or(usize::MAX);
    let (now, rest) = input.split_at(input.len().min(left).min(most));
    *input = rest;
    payload.left -= now.len() as u64;
    now
}

/// Takes the mask off, and turns it for what follows.
fn unmask(bytes: &mut [u8], mask: &mut [u8; 4]) {
    let wide = u64::from_ne_bytes([mask[0], mask[1], mask[2], mask[3], mask[0], mask[1], mask[2], mask[3]]);
    let (words, rest) = bytes.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    let turn = rest.len() % 4;
    mask.rotate_left(turn);
}

/// The head of a frame that the server sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SendHead {
    bytes: [u8; 10],
    len: u8,
}

impl SendHead {
    /// Of a binary message with that many bytes.
    pub(crate) fn binary(len: usize) -> Self {
        Self::new(BINARY, len)
    }

    pub(crate) fn pong(len: usize) -> Self {
        Self::new(PONG, len)
    }

    fn new(opcode: u8, len: usize) -> Self {
        let mut bytes = [0; 10];
        bytes[0] = FIN | opcode;
        let used = match (u8::try_from(len), u16::try_from(len)) {
            (Ok(short @ ..126), _) => {
                bytes[1] = short;
                2
            }
            (_, Ok(medium)) => {
                bytes[1] = 126;
                bytes[2..4].copy_from_slice(&medium.to_be_bytes());
                4
            }
            _ => {
                bytes[1] = 127;
                bytes[2..].copy_from_slice(&(len as u64).to_be_bytes());
                10
            }
        };
        Self { bytes, len: used }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// A whole close frame.
pub(crate) fn close_frame(code: u16) -> [u8; 4] {
    let [high, low] = code.to_be_bytes();
    [FIN | CLOSE, 2, high, low]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ping of the relay's protocol (SPEC.md 7.18).
    const FRAME: [u8; 29] = [
        1, 0, 0, 0x22, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x5d, 0xc6, 0x0b, 0xc3,
    ];

    /// A WebSocket frame as a client sends it.
    fn sent(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = SendHead::new(0, payload.len()).as_bytes().to_vec();
        bytes[0] = first;
        bytes[1] |= MASKED;
        let mask = [1, 2, 3, 0x84];
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    }

    /// All items, with the input cut into pieces of that many bytes.
    fn items(bytes: &[u8], piece: usize, phase: Phase) -> Result<Vec<Item>, Violation> {
        let mut receiver = Receiver::default();
        let mut items = Vec::new();
        for mut piece in bytes.chunks(piece) {
            while let Some(item) = receiver.next(&mut piece, phase)? {
                items.push(item);
            }
            assert!(piece.is_empty());
        }
        Ok(items)
    }

    fn frame(bytes: &[u8]) -> Item {
        Item::Frame(Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert!(is_key(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(!is_key(b"dGhlIHNhbXBsZSBub25j"));
    }

    #[test]
    fn frames_are_found_however_they_are_cut() {
        let all = [
            sent(FIN | BINARY, &FRAME),
            sent(FIN | PING, b"are you there"),
            // Two frames in one message of three fragments, with a pong between them, and an empty message.
            sent(BINARY, &FRAME[..20]),
            sent(FIN | PONG, b""),
            sent(CONTINUATION, &[&FRAME[20..], &FRAME[..3]].concat()),
            sent(CONTINUATION, b""),
            sent(FIN | CONTINUATION, &FRAME[3..]),
            sent(FIN | BINARY, b""),
            sent(FIN | PING, b""),
            sent(FIN | CLOSE, &[3, 232]),
        ]
        .concat();
        let wanted = [
            frame(&FRAME),
            Item::Ping(b"are you there".as_slice().into()),
            frame(&FRAME),
            frame(&FRAME),
            Item::Ping([].into()),
            Item::Closed,
        ];
        for piece in 1..all.len() {
            assert_eq!(items(&all, piece, Phase::Handshake).as_deref(), Ok(wanted.as_slice()), "{piece}");
        }
    }

    #[test]
    fn large_frames_keep_to_their_length() {
        let mut large = FRAME.to_vec();
        large[8..12].copy_from_slice(&1_000_000u32.to_be_bytes());
        large.resize(1_000_020, 7);
        let bytes = sent(FIN | BINARY, &large);
        let mut receiver = Receiver::default();
        let mut head = bytes.get(..100).unwrap();
        assert_eq!(receiver.next(&mut head, Phase::Session), Ok(None));
        assert!(receiver.cutter.frame.capacity() <= 2 * AT_FIRST, "{}", receiver.cutter.frame.capacity());
        for piece in [1_000, 65_536, 2_000_000] {
            assert_eq!(items(&bytes, piece, Phase::Session), Ok(vec![frame(&large)]));
        }
        // Too large before welcome: the head shows it.
        let head = frame(&large[..16]);
        assert_eq!(items(&bytes[..40], 7, Phase::Handshake).unwrap().first(), Some(&head));
    }

    //= TRN-3 test
    #[test]
    fn a_message_that_ends_inside_a_frame_gives_what_there_is() {
        for cut in 1..FRAME.len() {
            let bytes = sent(FIN | BINARY, &[&FRAME, &FRAME[..cut]].concat());
            assert_eq!(items(&bytes, 5, Phase::Handshake), Ok(vec![frame(&FRAME), frame(&FRAME[..cut])]));
        }
    }

    //= TRN-2 test
    #[test]
    fn violations() {
        let mut unmasked = sent(FIN | BINARY, &FRAME);
        unmasked[1] &= !MASKED;
        let mut long = sent(FIN | BINARY, &[7; 70_000]);
        long[2] = 0x80;
        for (bytes, violation) in [
            (sent(FIN | TEXT, b"hello"), NOT_BINARY),
            (unmasked, PROTOCOL),
            (long, PROTOCOL),
            (sent(FIN | 0x40 | BINARY, &FRAME), PROTOCOL),
            (sent(FIN | 3, &FRAME), PROTOCOL),
            (sent(FIN | CONTINUATION, &FRAME), PROTOCOL),
            ([sent(BINARY, &FRAME), sent(FIN | BINARY, &FRAME)].concat(), PROTOCOL),
            (sent(PING, b""), PROTOCOL),
            (sent(FIN | PING, &[0; 126]), PROTOCOL),
        ] {
            assert_eq!(items(&bytes, 3, Phase::Handshake), Err(violation), "{bytes:?}");
        }
    }

    #[test]
    fn heads_of_what_is_sent() {
        assert_eq!(SendHead::binary(125).as_bytes(), [0x82, 125]);
        assert_eq!(SendHead::binary(126).as_bytes(), [0x82, 126, 0, 126]);
        assert_eq!(SendHead::binary(65_535).as_bytes(), [0x82, 126, 255, 255]);
        assert_eq!(SendHead::binary(65_536).as_bytes(), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(SendHead::pong(0).as_bytes(), [0x8A, 0]);
        assert_eq!(close_frame(4_101), [0x88, 2, 0x10, 0x05]);
    }
}
