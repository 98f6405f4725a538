//! A script taken apart to the frames that its peers send, and put together again.

use std::time::Duration;

use super::Plain;
use super::random::Random;
use crate::exchange::{
    Leaving, MAGIC, PEERS, RECORDS_MAX, Record, records, setting, write_record, write_setting,
};

const FIN: u8 = 0x80;
const TEXT: u8 = 1;
const MASKED: u8 = 0x80;

/// A record, and what it sends.
#[derive(Clone)]
pub(super) struct Piece {
    pub(super) peer: u8,
    pub(super) pause: Duration,
    pub(super) hears: Option<bool>,
    pub(super) leaving: Option<Leaving>,
    pub(super) is_pause: bool,
    pub(super) parts: Vec<Part>,
}

/// A part of what a peer sends.
#[derive(Clone)]
pub(super) enum Part {
    /// A request's head.
    Head(Vec<u8>),
    /// A WebSocket frame.
    Frame(Frame),
    /// Anything else.
    Bytes(Vec<u8>),
}

impl Part {
    /// What of it is not worked out from the rest.
    pub(super) fn bytes_mut(&mut self) -> &mut Vec<u8> {
        match self {
            Part::Head(bytes) | Part::Bytes(bytes) => bytes,
            Part::Frame(frame) => &mut frame.payload,
        }
    }

    /// As it stands in a script.
    pub(super) fn written(&self) -> Vec<u8> {
        match self {
            Part::Head(bytes) | Part::Bytes(bytes) => bytes.clone(),
            Part::Frame(frame) => frame.written(),
        }
    }
}

/// A frame of a client (RFC 6455 §5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// FIN, the reserved bits and the opcode.
    first: u8,
    /// The masking key, if there is one.
    mask: Option<[u8; 4]>,
    /// How many bytes the length takes after the second, where it need not take as many: 2 or 8. Else 0.
    long_length_bytes: usize,
    /// What the header says of the length, where that is a lie.
    said_bytes: Option<u64>,
    /// Without its mask.
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// A whole Text message, with a mask that changes nothing.
    pub(super) fn text(payload: Vec<u8>) -> Frame {
        Frame {
            first: FIN | TEXT,
            mask: Some([0; 4]),
            long_length_bytes: 0,
            said_bytes: None,
            payload,
        }
    }

    /// The frame that `bytes` begin with, and how long it is.
    fn read(bytes: &[u8]) -> Option<(Frame, usize)> {
        let ([first, second], rest) = bytes.split_first_chunk()?;
        let (payload_bytes, length_bytes, rest) = match second & !MASKED {
            126 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u16::from_be_bytes(*length).into(), 2, rest)
            }
            127 => {
                let (length, rest) = rest.split_first_chunk()?;
                (u64::from_be_bytes(*length), 8, rest)
            }
            length => (length.into(), 0, rest),
        };
        let (mask, rest) = match second & MASKED {
            0 => (None, rest),
            _ => {
                let (mask, rest) = rest.split_first_chunk()?;
                (Some(*mask), rest)
            }
        };
        let payload = rest.get(..usize::try_from(payload_bytes).ok()?)?;
        let header_bytes = bytes.len() - rest.len();
        let frame = Frame {
            first: *first,
            mask,
            long_length_bytes: match length_bytes > shortest_bytes(payload_bytes) {
                true => length_bytes,
                false => 0,
            },
            said_bytes: None,
            payload: masked(payload, mask),
        };
        Some((frame, header_bytes + payload.len()))
    }

    pub(super) fn written(&self) -> Vec<u8> {
        let mask_bit = self.mask.map_or(0, |_| MASKED);
        let mut out = vec![self.first];
        let length = self.said_bytes.unwrap_or(self.payload.len() as u64);
        match self.long_length_bytes.max(shortest_bytes(length)) {
            0 => out.push(mask_bit | length as u8),
            2 => {
                out.push(mask_bit | 126);
                out.extend((length as u16).to_be_bytes());
            }
            _ => {
                out.push(mask_bit | 127);
                out.extend(length.to_be_bytes());
            }
        }
        out.extend(
            self.mask
                .unwrap_or_default()
                .iter()
                .take(if mask_bit == 0 { 0 } else { 4 }),
        );
        out.extend(masked(&self.payload, self.mask));
        out
    }

    /// Changes the frame around its payload.
    pub(super) fn change(&mut self, random: &mut Random, plain: &mut Plain<'_>) {
        /// Control frames may have 125 bytes; the length takes more bytes from 126 and 65,536 on.
        const LENGTHS: [u64; 9] = [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 32, u64::MAX];
        match random.below(8) {
            0 => self.first ^= FIN,
            1 => self.first = self.first & 0xF0 | random.one_of(&[0, 1, 2, 8, 9, 10, 3, 15]),
            2 => self.first ^= random.one_of(&[0x40, 0x20, 0x10]),
            3 => self.mask = random.one_of(&[None, Some([0; 4]), Some([1, 2, 0x80, 0xFF])]),
            4 => self.said_bytes = Some(random.one_of(&LENGTHS)),
            5 => self.payload.truncate(random.below(self.payload.len() + 1)),
            6 => {
                let length = random.one_of(&LENGTHS).min(4_096) as usize;
                self.payload.resize(length, b' ');
            }
            _ => plain(&mut self.payload),
        }
    }
}

/// RFC 6455 §5.2: how many bytes a length takes after a frame's second byte, at the least.
fn shortest_bytes(length: u64) -> usize {
    match length {
        0..=125 => 0,
        126..=0xFFFF => 2,
        _ => 8,
    }
}

/// RFC 6455 §5.3: what is masked twice is as it was.
fn masked(bytes: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let mask = mask.unwrap_or_default();
    let key = mask.iter().cycle();
    bytes
        .iter()
        .zip(key)
        .map(|(byte, key)| byte ^ key)
        .collect()
}

/// What of a script is a head and what a frame, as one knows who does not run the server.
pub(super) fn take_apart(script: &[u8]) -> Vec<Piece> {
    let mut is_open = [false; PEERS as usize];
    records(script)
        .take(RECORDS_MAX)
        .map(|record| {
            let is_open = &mut is_open[usize::from(record.peer)];
            let parts = parts(record.bytes, is_open);
            *is_open &= record.leaving.is_none();
            Piece {
                peer: record.peer,
                pause: record.pause,
                hears: record.hears,
                leaving: record.leaving,
                is_pause: record.is_pause,
                parts,
            }
        })
        .collect()
}

fn parts(mut bytes: &[u8], is_open: &mut bool) -> Vec<Part> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        // A peer whose connection was closed comes again.
        *is_open &= !bytes.starts_with(b"GET ") && !bytes.starts_with(b"POST ");
        let (part, used) = match *is_open {
            true => Frame::read(bytes).map(|(frame, used)| (Part::Frame(frame), used)),
            false => head_bytes(bytes).map(|used| (Part::Head(bytes[..used].to_vec()), used)),
        }
        .unwrap_or_else(|| (Part::Bytes(bytes.to_vec()), bytes.len()));
        if let Part::Head(head) = &part {
            *is_open = head.starts_with(b"GET /ws");
        }
        bytes = &bytes[used..];
        parts.push(part);
    }
    parts
}

fn head_bytes(bytes: &[u8]) -> Option<usize> {
    const END: &[u8] = b"\r\n\r\n";
    let at = bytes.windows(END.len()).position(|window| window == END)?;
    Some(at + END.len())
}

/// A script of these pieces, in the world of another.
pub(super) fn put_together(world: &[u8], pieces: &[Piece]) -> Vec<u8> {
    let mut script = MAGIC.to_vec();
    if let Some(setting) = setting(world) {
        write_setting(&mut script, &setting);
    }
    for piece in pieces {
        let bytes: Vec<u8> = piece.parts.iter().flat_map(Part::written).collect();
        let record = Record {
            peer: piece.peer,
            pause: piece.pause,
            bytes: &bytes,
            hears: piece.hears,
            leaving: piece.leaving,
            is_pause: piece.is_pause,
        };
        write_record(&mut script, &record);
    }
    script
}
