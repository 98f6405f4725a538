//! What peers send, written down as the core takes it apart: at once what stands around content, as
//! a frame's header; all else redacted, once it is whole.
//!
//! ```text
//! + 0.3 0 GET /ws HTTP/1.1\r\n…          where in the stream of 0.3 it begins, and what it is
//! + 0.3 211 \x81\xbd\x00\x00\x00\x00       a frame's header, with a mask that masks nothing
//! + 0.3 217 {"event":"login"…            a payload
//! ```
//!
//! What is never written is what the core does not read, as a Pong, or never looked into: the content
//! of what was not finished, and all that came after a connection's last word. A replay fills it up.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::mem;
use std::rc::Rc;

use super::recorder::Recorder;
use super::redaction;
use crate::gate::ReplayTokens;
use crate::server::{ConnectionId, Tap};
use crate::wire::{Event, Head, Part, Violation, blank_text, blanked};

/// A Close whose reason is no UTF-8, after the code 1000 (RFC 6455 §5.5.1).
const BAD_CLOSE: &[u8] = b"\x03\xE8\xFF";

/// The tap of a recording. It has no `Debug`, for it holds keys, and content.
pub(super) struct RecordingTap {
    recorder: Rc<RefCell<Recorder>>,
    tokens: Rc<ReplayTokens>,
    /// By the connection's serial.
    streams: BTreeMap<u32, Stream>,
}

/// One connection's stream, as far as it was told.
#[derive(Default)]
struct Stream {
    /// Where in it the next part begins.
    at: u64,
    /// Where the payload of the frame at hand begins.
    payload_at: u64,
    /// Content that is not whole.
    content: Vec<u8>,
    /// Where its pieces stand in the stream, and how long they are.
    pieces: Vec<(u64, usize)>,
}

impl RecordingTap {
    /// The tap of what this recorder records.
    pub(super) fn new(recorder: Rc<RefCell<Recorder>>) -> RecordingTap {
        let tokens = Rc::clone(&recorder.borrow().tokens);
        RecordingTap {
            recorder,
            tokens,
            streams: BTreeMap::new(),
        }
    }

    fn stream(&mut self, id: ConnectionId) -> &mut Stream {
        self.streams.entry(id.serial).or_default()
    }

    fn write(&self, id: ConnectionId, at: u64, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.recorder.borrow_mut().piece(id, at, bytes);
        }
    }

    /// Writes what comes next in the stream.
    fn pass(&mut self, id: ConnectionId, bytes: &[u8]) {
        let stream = self.stream(id);
        let at = stream.at;
        stream.at += bytes.len() as u64;
        stream.payload_at = stream.at;
        self.write(id, at, bytes);
    }

    /// Writes the content that has come, as it is to be seen.
    fn write_content(&mut self, id: ConnectionId, mut redacted: &[u8]) {
        let stream = self.stream(id);
        stream.content.clear();
        for (at, len) in mem::take(&mut stream.pieces) {
            let (piece, rest) = redacted.split_at(len);
            self.write(id, at, piece);
            redacted = rest;
        }
    }
}

impl Tap for RecordingTap {
    fn head(&mut self, id: ConnectionId, head: Head<'_>) {
        // An empty line may stand ahead of it.
        let empty_bytes = head.bytes_used() - head.bytes().len();
        let mut bytes = b"\r\n"[..empty_bytes].to_vec();
        bytes.extend(redaction::head(&self.tokens, head));
        self.pass(id, &bytes);
    }

    fn no_head(&mut self, id: ConnectionId, bytes: &[u8]) {
        self.pass(id, &blanked(bytes));
    }

    fn part(&mut self, id: ConnectionId, part: Part<'_>) {
        let stream = self.stream(id);
        match part {
            Part::Header(bytes, mask_bytes) => {
                let (fields, _) = bytes.split_at(bytes.len() - mask_bytes);
                self.pass(id, &[fields, &[0; 4][..mask_bytes]].concat());
            }
            Part::Framing(bytes) => self.pass(id, bytes),
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
            Part::Unread(bytes) | Part::Control(bytes) => stream.at += bytes.len() as u64,
        }
    }

    fn body(&mut self, id: ConnectionId, body: &[u8]) {
        self.write_content(id, &redaction::body(&self.tokens, body));
    }

    fn frame(&mut self, id: ConnectionId, frame: Result<&Event<'_>, Violation>) {
        let payload_at = self.stream(id).payload_at;
        match frame {
            Ok(Event::Text(text)) => {
                let redacted = redaction::message(&self.tokens, text);
                self.write_content(id, &redacted);
            }
            Err(Violation::Text) => {
                let mut content = mem::take(&mut self.stream(id).content);
                blank_text(&mut content);
                self.write_content(id, &content);
            }
            // It is sent back.
            Ok(Event::Ping(payload)) => {
                let mut payload = payload.to_vec();
                self.tokens.replace_in(&mut payload);
                self.write(id, payload_at, &payload);
            }
            // Only the code is read.
            Ok(Event::Close(Some((code, _)))) => {
                self.write(id, payload_at, &code.value().to_be_bytes());
            }
            Err(Violation::CloseReason) => self.write(id, payload_at, BAD_CLOSE),
            // What fills them up is no code of a Close.
            Ok(_) | Err(_) => {}
        }
    }

    fn ended(&mut self, id: ConnectionId) {
        self.streams.remove(&id.serial);
    }
}
