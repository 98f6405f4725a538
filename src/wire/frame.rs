//! Frames: the header of a client's, checked byte by byte, and a server's, written whole
//! (RFC 6455 §5).

use std::iter::repeat_n;

use super::close::CloseCode;
use super::part::Part;
use super::violation::Violation;
use crate::limits::{CLOSE_REASON_BYTES_MAX, CONTROL_PAYLOAD_BYTES_MAX};

/// What a frame is (RFC 6455 §5.2). The reserved opcodes are none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// A text message, or its first fragment.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The close handshake's frame.
    Close = 0x8,
    /// Asks for a pong.
    Ping = 0x9,
    /// Answers a ping, or nothing.
    Pong = 0xA,
}

impl Opcode {
    /// True for Close, Ping and Pong (RFC 6455 §5.5: the most significant bit is 1).
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }

    /// A piece of such a frame's payload.
    pub(super) const fn part(self, piece: &[u8]) -> Part<'_> {
        match self.is_control() {
            true => Part::Control(piece),
            false => Part::Content(piece),
        }
    }

    const fn decode(first: u8) -> Result<Opcode, Violation> {
        match first & 0x0F {
            0x0 => Ok(Opcode::Continuation),
            0x1 => Ok(Opcode::Text),
            0x2 => Ok(Opcode::Binary),
            0x8 => Ok(Opcode::Close),
            0x9 => Ok(Opcode::Ping),
            0xA => Ok(Opcode::Pong),
            // §5.2: an unknown opcode fails the connection.
            _ => Err(Violation::ReservedOpcode),
        }
    }
}

/// The header of a client's frame, sound in itself and within its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the frame is.
    pub opcode: Opcode,
    /// True when the frame is the last of its message; always, for a control frame.
    pub is_final: bool,
    /// What the payload is masked with.
    pub mask: [u8; 4],
    /// The payload's length, ≤ 125 for a control frame.
    pub payload_bytes: usize,
    /// The header's own length, ≤ [`FRAME_HEADER_BYTES_MAX`](crate::limits::FRAME_HEADER_BYTES_MAX).
    pub header_bytes: usize,
}

impl Header {
    /// Reads the header `bytes` begins with; `None` asks for more. Each check comes with the
    /// first byte that allows it. `admit` says whether a frame with this opcode may stand
    /// here, and how long its payload may be.
    ///
    /// # Errors
    /// The first violation among the header's bytes.
    pub fn decode(
        bytes: &[u8],
        admit: impl FnOnce(Opcode) -> Result<usize, Violation>,
    ) -> Result<Option<Header>, Violation> {
        let Some((&first, rest)) = bytes.split_first() else {
            return Ok(None);
        };
        // §5.2: RSV1, RSV2, RSV3 are 0 unless an extension defines them.
        if first & 0x70 != 0 {
            return Err(Violation::ReservedBit);
        }
        let opcode = Opcode::decode(first)?;
        let is_final = first & 0x80 != 0;
        // §5.5: control frames must not be fragmented.
        if opcode.is_control() && !is_final {
            return Err(Violation::ControlFragmented);
        }
        let payload_bytes_max = admit(opcode)?;

        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        // §5.1: a server closes the connection upon a frame that is not masked.
        if second & 0x80 == 0 {
            return Err(Violation::Unmasked);
        }
        // §5.5: control frames have a payload length of 125 bytes or less.
        if opcode.is_control() && usize::from(second & 0x7F) > CONTROL_PAYLOAD_BYTES_MAX {
            return Err(Violation::ControlTooLong);
        }
        let Some((length, rest)) = decode_length(second & 0x7F, rest)? else {
            return Ok(None);
        };
        let payload_bytes = usize::try_from(length)
            .ok()
            .filter(|bytes| *bytes <= payload_bytes_max);
        let payload_bytes = payload_bytes.ok_or(Violation::TooBig)?;

        let Some((&mask, rest)) = rest.split_first_chunk() else {
            return Ok(None);
        };
        let header_bytes = bytes.len() - rest.len();
        Ok(Some(Header {
            opcode,
            is_final,
            mask,
            payload_bytes,
            header_bytes,
        }))
    }

    /// True when the frame is no fragment of a message.
    pub const fn is_whole(&self) -> bool {
        self.is_final && !matches!(self.opcode, Opcode::Continuation)
    }
}

/// §5.2: the 7 bits are the length, or say that it stands in the next 2 or 8 bytes.
fn decode_length(seven_bits: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    let (length, rest, length_min) = match seven_bits {
        126 => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from(u16::from_be_bytes(*bytes)), rest, 126),
            None => return Ok(None),
        },
        127 => match rest.split_first_chunk() {
            Some((bytes, rest)) => (u64::from_be_bytes(*bytes), rest, 0x1_0000),
            None => return Ok(None),
        },
        length => (u64::from(length), rest, 0),
    };
    // §5.2: the minimal number of bytes is used, and the most significant bit is 0.
    if length < length_min || length >> 63 != 0 {
        return Err(Violation::Length);
    }
    Ok(Some((length, rest)))
}

/// How many bytes of the mask are among the first bytes of a header: it is what the length ends
/// before.
pub(super) const fn mask_bytes(header: &[u8]) -> usize {
    let mask_at = match header {
        [_, second, ..] if *second & 0x7F == 126 => 4,
        [_, second, ..] if *second & 0x7F == 127 => 10,
        _ => 2,
    };
    header.len().saturating_sub(mask_at)
}

/// Undoes a client's masking in place (RFC 6455 §5.3). `offset` is where in the frame's
/// payload the piece begins.
pub fn unmask(piece: &mut [u8], mut mask: [u8; 4], offset: usize) {
    mask.rotate_left(offset % 4);
    let [a, b, c, d] = mask;
    let wide_mask = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (chunks, rest) = piece.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_ne_bytes(*chunk) ^ wide_mask).to_ne_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
}

/// Writes an unfragmented frame after what `out` holds.
pub fn write(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    let (header, header_bytes) = encode_header(opcode, payload.len());
    out.extend_from_slice(&header[..header_bytes]);
    out.extend_from_slice(payload);
}

/// Writes a frame whose payload is what `fill` appends, and gives back what `fill` does.
///
/// Room is left for the header of a payload of up to 125 bytes; a longer one is moved once.
pub fn write_with<T>(out: &mut Vec<u8>, opcode: Opcode, fill: impl FnOnce(&mut Vec<u8>) -> T) -> T {
    const ROOM: usize = 2;
    let start = out.len();
    out.extend_from_slice(&[0; ROOM]);
    let result = fill(out);
    let payload_bytes = out.len().saturating_sub(start + ROOM);
    let (header, header_bytes) = encode_header(opcode, payload_bytes);
    if header_bytes > ROOM {
        out.splice(start..start, repeat_n(0, header_bytes - ROOM));
    }
    out[start..start + header_bytes].copy_from_slice(&header[..header_bytes]);
    result
}

/// Writes a Ping; of a payload longer than 125 bytes, the first 125.
pub fn write_ping(out: &mut Vec<u8>, payload: &[u8]) {
    write(
        out,
        Opcode::Ping,
        &payload[..payload.len().min(CONTROL_PAYLOAD_BYTES_MAX)],
    );
}

/// Writes the Pong that answers a Ping with this payload (RFC 6455 §5.5.3).
pub fn write_pong(out: &mut Vec<u8>, payload: &[u8]) {
    write(
        out,
        Opcode::Pong,
        &payload[..payload.len().min(CONTROL_PAYLOAD_BYTES_MAX)],
    );
}

/// Writes a Close with a code and a reason, or without both. A reason longer than
/// [`CLOSE_REASON_BYTES_MAX`] is cut before the character that passes it.
pub fn write_close(out: &mut Vec<u8>, close: Option<(CloseCode, &str)>) {
    write_with(out, Opcode::Close, |out| {
        if let Some((code, reason)) = close {
            let end = reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX);
            out.extend_from_slice(&code.value().to_be_bytes());
            out.extend_from_slice(&reason.as_bytes()[..end]);
        }
    });
}

/// A server's frame is final and not masked (§5.1); its length is in the shortest form (§5.2).
fn encode_header(opcode: Opcode, payload_bytes: usize) -> ([u8; 10], usize) {
    let mut header = [0; 10];
    header[0] = 0x80 | opcode as u8;
    let header_bytes = match payload_bytes {
        0..=125 => {
            header[1] = payload_bytes as u8;
            2
        }
        126..=0xFFFF => {
            header[1] = 126;
            header[2..4].copy_from_slice(&(payload_bytes as u16).to_be_bytes());
            4
        }
        _ => {
            header[1] = 127;
            header[2..10].copy_from_slice(&(payload_bytes as u64).to_be_bytes());
            10
        }
    };
    (header, header_bytes)
}

#[cfg(test)]
mod tests;
