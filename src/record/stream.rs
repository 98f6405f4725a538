//! What one peer sends, as a recording holds it. How it was cut is written at once; what it was
//! is written, scrubbed, once a whole head, body or message has come. What can hold no secret, a
//! frame's header above all, is written as it comes.
//!
//! What is never written is what the core never looked into: the beginning of something that was
//! not finished, and all that came after a connection's end.

use std::ops::Range;

use super::filler::blank;
use super::mask::{Mask, mask};
use super::scrub::Scrubber;
use crate::config::Config;
use crate::limits::{CONTROL_PAYLOAD_BYTES_MAX, FRAGMENTS_MAX};
use crate::wire::frame::{Header, Opcode, unmask};
use crate::wire::{BodyDecoder, HeadScanner, ProxyHeader, Request, TransferEncoding, Violation};

/// What a piece of a stream is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Bytes as they came, scrubbed.
    Plain,
    /// Bytes of a frame's header.
    Header,
    /// A frame's payload, or its beginning, without the mask that stands in the four bytes
    /// before it.
    Payload,
}

/// A piece of a stream, and where in that it stands.
pub(super) struct Piece<'a> {
    pub(super) kind: Kind,
    pub(super) at: u64,
    pub(super) bytes: &'a [u8],
}

/// Where pieces go.
pub(super) type Out<'a> = &'a mut dyn FnMut(Piece<'_>);

/// How much a peer may send in one.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    message_bytes_max: usize,
    /// Of a login's body.
    body_bytes_max: usize,
}

impl Bounds {
    pub(super) fn of(config: &Config) -> Bounds {
        Bounds {
            message_bytes_max: config.message_bytes_max,
            body_bytes_max: config.message_before_login_bytes_max,
        }
    }
}

/// One connection's stream, and how far it was looked at. It has no `Debug`, for it may hold a
/// token.
pub(super) struct Stream {
    stage: Stage,
    /// Where in the stream `held` begins.
    at: u64,
    /// What is not yet whole. At most a head, a body, or a frame of the longest message.
    held: Vec<u8>,
    /// Bytes at the front of `held` that are written already.
    written_bytes: usize,
    /// Fragments of a message whose last one has not come.
    message: Option<Message>,
    bounds: Bounds,
    /// How much of a token has gone out to the peer.
    pub(super) told: Mask,
}

enum Stage {
    Proxy,
    Head(HeadScanner),
    /// A login's body.
    Body(Body),
    Frames,
    /// Nobody looks into what still comes.
    Over,
}

/// A body that is not whole yet.
struct Body {
    decoder: BodyDecoder,
    /// How much of `held` the decoder has seen.
    seen_bytes: usize,
    /// Where in `held` its content stands.
    content: Vec<Range<usize>>,
    /// True inside an extension or the value of a trailer, which nobody reads.
    is_hidden: bool,
}

impl Body {
    fn of(decoder: BodyDecoder) -> Stage {
        Stage::Body(Body {
            decoder,
            seen_bytes: 0,
            content: Vec::new(),
            is_hidden: false,
        })
    }

    /// Fills up what nobody reads of the bytes around the content.
    fn hide(&mut self, framing: &mut [u8]) {
        for byte in framing {
            match *byte {
                b'\n' => self.is_hidden = false,
                b';' | b':' => self.is_hidden = true,
                b'!'..=b'~' | 0x80.. if self.is_hidden => *byte = b'x',
                _ => {}
            }
        }
    }
}

#[derive(Default)]
struct Message {
    text: Vec<u8>,
    /// Of each frame, where its payload begins in the stream and in `text`.
    frames: Vec<(u64, usize)>,
}

impl Stream {
    pub(super) fn new(is_proxy: bool, bounds: Bounds) -> Stream {
        Stream {
            stage: match is_proxy {
                true => Stage::Proxy,
                false => Stage::Head(HeadScanner::default()),
            },
            at: 0,
            held: Vec::new(),
            written_bytes: 0,
            message: None,
            bounds,
            told: Mask::default(),
        }
    }

    /// Bytes came, which the core has not yet seen.
    pub(super) fn take(&mut self, bytes: &[u8], scrubber: &Scrubber, out: Out<'_>) {
        self.held.extend_from_slice(bytes);
        let mut goes_on = true;
        while goes_on {
            goes_on = match self.stage {
                Stage::Proxy => self.take_proxy(out),
                Stage::Head(_) => self.take_head(scrubber, out),
                Stage::Body(_) => self.take_body(scrubber, out),
                Stage::Frames => self.take_frame(scrubber, out),
                Stage::Over => {
                    self.pass(self.held.len());
                    false
                }
            };
        }
    }

    /// The core wants no more of this. What matters of a message that was not finished is where
    /// it is no text, and how its characters are cut.
    pub(super) fn end(&mut self, out: Out<'_>) {
        if let Ok(Some(header)) = self.header()
            && !header.opcode.is_control()
        {
            self.take_payload(header);
        }
        if let Some(mut message) = self.message.take() {
            blank(&mut message.text);
            if message.text.iter().any(|byte| *byte != b'x') {
                message.write(out);
            }
        }
        self.stage = Stage::Over;
        self.pass(self.held.len());
        self.held = Vec::new();
    }

    fn take_proxy(&mut self, out: Out<'_>) -> bool {
        match ProxyHeader::parse(&self.held) {
            Ok(Some(header)) => {
                self.write_front(Kind::Plain, header.bytes_used, out);
                self.pass(header.bytes_used);
                self.stage = Stage::Head(HeadScanner::default());
                true
            }
            Ok(None) => {
                self.write_front(Kind::Plain, self.held.len(), out);
                false
            }
            Err(_) => {
                let failing = first_failing(&self.held, |front| ProxyHeader::parse(front).is_err());
                self.write_front(Kind::Plain, failing, out);
                self.stage = Stage::Over;
                true
            }
        }
    }

    fn take_head(&mut self, scrubber: &Scrubber, out: Out<'_>) -> bool {
        let Stage::Head(scanner) = &mut self.stage else {
            return false;
        };
        let (stage, head_bytes) = match scanner.scan(&self.held) {
            Ok(None) => return false,
            Ok(Some(head)) => {
                let request = Request::parse(head).ok();
                (
                    stage_behind(request, self.bounds.body_bytes_max),
                    head.bytes_used(),
                )
            }
            Err(_) => {
                let mut scanner = HeadScanner::default();
                let is_failing = |front: &[u8]| scanner.scan(front).is_err();
                (Stage::Over, first_failing(&self.held, is_failing))
            }
        };
        scrubber.head(&mut self.held[..head_bytes]);
        self.write_front(Kind::Plain, head_bytes, out);
        self.pass(head_bytes);
        self.stage = stage;
        true
    }

    /// What stands around the content is written as it comes: by that the core finds its end, or
    /// refuses it. The content is, once it is whole.
    fn take_body(&mut self, scrubber: &Scrubber, out: Out<'_>) -> bool {
        let Stage::Body(body) = &mut self.stage else {
            return false;
        };
        let coming = &self.held[body.seen_bytes..];
        let (mut rest, mut written) = (coming, body.seen_bytes);
        let mut next = body.content.len();
        let decoded = body.decoder.decode(&mut rest, |part| {
            let piece = part.content();
            if piece.is_empty() {
                return;
            }
            let start = piece.as_ptr().addr() - coming.as_ptr().addr() + body.seen_bytes;
            body.content.push(start..start + piece.len());
        });
        let end = self.held.len() - rest.len();
        while written < end {
            let content = body.content.get(next).cloned().unwrap_or(end..end);
            let mut framing = self.held[written..content.start].to_vec();
            body.hide(&mut framing);
            write_at(self.at + written as u64, &framing, out);
            (written, next) = (content.end, next + 1);
        }
        body.seen_bytes = end;
        if decoded == Ok(false) {
            return false;
        }
        if decoded == Ok(true) {
            let mut text: Vec<u8> = Vec::new();
            for range in &body.content {
                text.extend_from_slice(&self.held[range.clone()]);
            }
            scrubber.login_body(&mut text);
            let mut rest = &text[..];
            for range in &body.content {
                let (piece, behind) = rest.split_at(range.len());
                write_at(self.at + range.start as u64, piece, out);
                rest = behind;
            }
        }
        self.stage = Stage::Over;
        true
    }

    fn take_frame(&mut self, scrubber: &Scrubber, out: Out<'_>) -> bool {
        let header = match self.header() {
            Ok(Some(header)) => header,
            Ok(None) => {
                self.write_front(Kind::Header, self.held.len(), out);
                return false;
            }
            Err(_) => {
                let failing = first_failing(&self.held, |front| self.header_of(front).is_err());
                self.write_front(Kind::Header, failing, out);
                // What was refused may have begun inside a message.
                self.pass(failing);
                self.held.clear();
                self.end(out);
                return false;
            }
        };
        self.write_front(Kind::Header, header.header_bytes, out);
        if self.held.len() < header.header_bytes + header.payload_bytes {
            return false;
        }
        match header.opcode.is_control() {
            true => self.take_control(header, out),
            false => {
                self.take_payload(header);
                if header.is_final
                    && let Some(mut message) = self.message.take()
                {
                    scrubber.message(&mut message.text);
                    message.write(out);
                }
            }
        }
        true
    }

    fn take_control(&mut self, header: Header, out: Out<'_>) {
        let payload = self.pass_frame(header);
        let at = self.at - payload.len() as u64;
        let mut bytes = payload;
        match header.opcode {
            // It is sent back.
            Opcode::Ping => mask(&mut bytes),
            Opcode::Close => {
                blank(bytes.get_mut(2..).unwrap_or_default());
                self.stage = Stage::Over;
            }
            _ => blank(&mut bytes),
        }
        let kind = Kind::Payload;
        if !bytes.is_empty() {
            out(Piece {
                kind,
                at,
                bytes: &bytes,
            });
        }
    }

    /// Moves a data frame's payload, or what has come of it, to its message.
    fn take_payload(&mut self, header: Header) {
        let begins_at = self.at + header.header_bytes as u64;
        let payload = self.pass_frame(header);
        let message = self.message.get_or_insert_default();
        message.frames.push((begins_at, message.text.len()));
        message.text.extend_from_slice(&payload);
    }

    /// Passes a frame, or what has come of it, and gives its payload unmasked.
    fn pass_frame(&mut self, header: Header) -> Vec<u8> {
        let end = self
            .held
            .len()
            .min(header.header_bytes + header.payload_bytes);
        let mut payload = self.held[header.header_bytes..end].to_vec();
        unmask(&mut payload, header.mask, 0);
        self.pass(end);
        payload
    }

    /// The header at the front, where a frame is due.
    fn header(&self) -> Result<Option<Header>, Violation> {
        match self.stage {
            Stage::Frames => self.header_of(&self.held),
            _ => Ok(None),
        }
    }

    /// As the core judges it when it is at its most generous: what it refuses before, it tells
    /// by an end.
    fn header_of(&self, bytes: &[u8]) -> Result<Option<Header>, Violation> {
        let message = self.message.as_ref();
        Header::decode(bytes, |opcode| match (opcode, message) {
            (Opcode::Close | Opcode::Ping | Opcode::Pong, _) => Ok(CONTROL_PAYLOAD_BYTES_MAX),
            (Opcode::Continuation, None) => Err(Violation::NothingToContinue),
            (Opcode::Text, Some(_)) => Err(Violation::InsideMessage),
            (Opcode::Binary, _) => Err(Violation::Binary),
            (Opcode::Continuation, Some(message))
                if message.frames.len() >= FRAGMENTS_MAX as usize =>
            {
                Err(Violation::TooManyFragments)
            }
            (Opcode::Continuation | Opcode::Text, message) => {
                let held = message.map_or(0, |message| message.text.len());
                Ok(self.bounds.message_bytes_max.saturating_sub(held))
            }
        })
    }

    /// Writes what of the first `bytes` of `held` is not yet written.
    fn write_front(&mut self, kind: Kind, bytes: usize, out: Out<'_>) {
        if let Some(front @ [_, ..]) = self.held.get(self.written_bytes..bytes) {
            out(Piece {
                kind,
                at: self.at + self.written_bytes as u64,
                bytes: front,
            });
            self.written_bytes = bytes;
        }
    }

    /// Drops the first `bytes` of `held`.
    fn pass(&mut self, bytes: usize) {
        self.held.drain(..bytes);
        self.at += bytes as u64;
        self.written_bytes = self.written_bytes.saturating_sub(bytes);
    }
}

impl Message {
    fn write(&self, out: Out<'_>) {
        let ends = self.frames.iter().skip(1).map(|(_, start)| *start);
        let ends = ends.chain([self.text.len()]);
        for ((at, start), end) in self.frames.iter().zip(ends) {
            let bytes = &self.text[*start..end];
            if !bytes.is_empty() {
                out(Piece {
                    kind: Kind::Payload,
                    at: *at,
                    bytes,
                });
            }
        }
    }
}

/// What the core reads after a head.
fn stage_behind(request: Option<Request<'_>>, body_bytes_max: usize) -> Stage {
    let Some(request) = request else {
        return Stage::Over;
    };
    match (request.path, request.method) {
        ("/ws", _) => Stage::Frames,
        ("/login", "POST") => match (request.transfer_encoding, request.content_length) {
            (TransferEncoding::Chunked, None) => Body::of(BodyDecoder::chunked(body_bytes_max)),
            (TransferEncoding::Absent, Some(bytes)) => match usize::try_from(bytes) {
                Ok(bytes) if bytes <= body_bytes_max => Body::of(BodyDecoder::announced(bytes)),
                _ => Stage::Over,
            },
            _ => Stage::Over,
        },
        _ => Stage::Over,
    }
}

fn write_at(at: u64, bytes: &[u8], out: Out<'_>) {
    if !bytes.is_empty() {
        let kind = Kind::Plain;
        out(Piece { kind, at, bytes });
    }
}

/// The length of the shortest front of `bytes` that fails; O(n) calls.
fn first_failing(bytes: &[u8], mut is_failing: impl FnMut(&[u8]) -> bool) -> usize {
    (1..bytes.len())
        .find(|end| is_failing(&bytes[..*end]))
        .unwrap_or(bytes.len())
}
