//! What peers send, written down as the core takes it apart: at once what can hold no secret, as a
//! frame's header; all else redacted, once it is whole.
//!
//! ```text
//! + 0.3 0 GET /ws HTTP/1.1\r\n…          where in the stream of 0.3 it begins, and what it is
//! + 0.3 211 \x81\xbd\x00\x00\x00\x00       a frame's header, with a mask that masks nothing
//! + 0.3 217 {"event":"login"…            a payload
//! ```
//!
//! What is never written is what the core never looked into: the content of what was not finished,
//! and all that came after a connection's last word. A replay fills it up.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::mask::mask;
use super::recorder::Writer;
use super::redaction::{self, Redactor, blank};
use crate::server::{ConnectionId, Tap};
use crate::wire::{Event, Head, Part, Violation};

/// RFC 6455 §5.5.1: the body of a Close begins with its code.
const CLOSE_CODE_BYTES: usize = 2;

/// The tap of a recording. It has no `Debug`, for it holds keys, and content.
pub(super) struct RecordingTap {
    writer: Rc<RefCell<Writer>>,
    redactor: Redactor,
    /// By the connection's serial.
    streams: BTreeMap<u32, Stream>,
}

/// One connection's stream, as far as it was told.
#[derive(Default)]
struct Stream {
    /// Where in it the next part begins.
    at: u64,
    /// Content that is not whole.
    content: Vec<u8>,
    /// Where its pieces stand in the stream, and how long they are.
    pieces: Vec<(u64, usize)>,
    /// The payload of a control frame, as far as it has come.
    control: Vec<u8>,
    /// True inside of a chunk's extension, or of a trailer's value, which nobody reads.
    is_unread: bool,
}

impl RecordingTap {
    pub(super) fn new(writer: Rc<RefCell<Writer>>, redactor: Redactor) -> RecordingTap {
        RecordingTap {
            writer,
            redactor,
            streams: BTreeMap::new(),
        }
    }

    fn stream(&mut self, id: ConnectionId) -> &mut Stream {
        self.streams.entry(id.serial).or_default()
    }

    fn write(&self, id: ConnectionId, at: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.writer.borrow_mut().piece(id, at, bytes);
        }
    }

    /// Writes what comes next in the stream.
    fn pass(&mut self, id: ConnectionId, bytes: &[u8]) {
        let stream = self.stream(id);
        let at = stream.at;
        stream.at += bytes.len() as u64;
        self.write(id, at, bytes);
    }

    /// Writes the content that has come, as it is to be seen.
    fn write_content(&mut self, id: ConnectionId, mut redacted: &[u8]) {
        let stream = self.stream(id);
        stream.content.clear();
        for (at, len) in std::mem::take(&mut stream.pieces) {
            let (piece, rest) = redacted.split_at(len);
            self.write(id, at, piece);
            redacted = rest;
        }
    }

    /// Writes the payload of the control frame that has come, as it is to be seen.
    fn write_control(&mut self, id: ConnectionId, redact: impl FnOnce(&mut Vec<u8>)) {
        let stream = self.stream(id);
        let mut payload = std::mem::take(&mut stream.control);
        let at = stream.at - payload.len() as u64;
        redact(&mut payload);
        self.write(id, at, &payload);
    }
}

impl Tap for RecordingTap {
    fn head(&mut self, id: ConnectionId, head: Head<'_>) {
        // An empty line may stand ahead of it.
        let empty_bytes = head.bytes_used() - head.bytes().len();
        let mut bytes = b"\r\n"[..empty_bytes].to_vec();
        bytes.extend(self.redactor.head(head));
        self.pass(id, &bytes);
    }

    fn no_head(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.pass(id, &redaction::no_head(bytes));
    }

    fn part(&mut self, id: ConnectionId, part: Part<'_>) {
        let stream = self.stream(id);
        match part {
            Part::Header(bytes, mask_bytes) => {
                let (fields, _) = bytes.split_at(bytes.len() - mask_bytes);
                self.pass(id, &[fields, &[0; 4][..mask_bytes]].concat());
            }
            Part::Framing(bytes) => {
                let redacted = stream.redact_framing(bytes);
                self.pass(id, &redacted);
            }
            Part::Content(bytes) => {
                match stream.pieces.last_mut() {
                    // A piece takes memory that nobody counts: a peer must not have one for each of
                    // its bytes.
                    Some((at, len)) if *at + *len as u64 == stream.at => *len += bytes.len(),
                    _ => stream.pieces.push((stream.at, bytes.len())),
                }
                stream.content.extend_from_slice(bytes);
                stream.at += bytes.len() as u64;
            }
            Part::Control(bytes) => {
                stream.control.extend_from_slice(bytes);
                stream.at += bytes.len() as u64;
            }
        }
    }

    fn body(&mut self, id: ConnectionId, body: &[u8]) {
        self.write_content(id, &redaction::body(body));
    }

    fn frame(&mut self, id: ConnectionId, frame: Result<&Event<'_>, Violation>) {
        match frame {
            Ok(Event::Text(text)) => {
                let redacted = self.redactor.message(text);
                self.write_content(id, &redacted);
            }
            // It is sent back.
            Ok(Event::Ping(_)) => self.write_control(id, |payload| mask(payload)),
            // Only the code is read.
            Ok(Event::Close(_)) => {
                self.write_control(id, |payload| payload.truncate(CLOSE_CODE_BYTES));
            }
            Ok(_) => self.stream(id).control.clear(),
            Err(_) => {
                let mut content = std::mem::take(&mut self.stream(id).content);
                blank(&mut content);
                self.write_content(id, &content);
                self.write_control(id, |payload| {
                    blank(payload.get_mut(CLOSE_CODE_BYTES..).unwrap_or_default());
                });
            }
        }
    }

    fn ended(&mut self, id: ConnectionId) {
        self.streams.remove(&id.serial);
    }
}

impl Stream {
    /// Fills up what nobody reads of the bytes around a body's content.
    fn redact_framing(&mut self, framing: &[u8]) -> Vec<u8> {
        let mut redacted = framing.to_vec();
        for byte in &mut redacted {
            match *byte {
                b'\n' => self.is_unread = false,
                b';' | b':' => self.is_unread = true,
                b'!'..=b'~' | 0x80.. if self.is_unread => *byte = b'x',
                _ => {}
            }
        }
        redacted
    }
}
