//! A message that comes in pieces: fragments, or one frame over several reads (RFC 6455 §5.4).

use super::event::Event;
use super::frame::Opcode;
use super::utf8::PartialText;
use super::violation::Violation;

/// A data message under way. It has no `Debug`, for a message may hold a token.
pub(super) struct Message {
    body: Body,
    /// Frames begun of it.
    pub(super) fragments: u32,
}

enum Body {
    Text(PartialText),
    Binary(Vec<u8>),
}

impl Message {
    /// A message whose first frame has this opcode.
    pub(super) fn new(opcode: Opcode) -> Message {
        let body = match opcode {
            Opcode::Text => Body::Text(PartialText::default()),
            _ => Body::Binary(Vec::new()),
        };
        Message { body, fragments: 0 }
    }

    /// Appends a piece; `ahead` is how many bytes may come at most, the piece's included.
    pub(super) fn push(&mut self, piece: &[u8], ahead: usize) -> Result<(), Violation> {
        let additional = self.additional(piece.len(), ahead);
        match &mut self.body {
            Body::Text(text) => {
                text.reserve_exact(additional);
                text.push(piece).map_err(|_| Violation::Text)
            }
            Body::Binary(bytes) => {
                bytes.reserve_exact(additional);
                bytes.extend_from_slice(piece);
                Ok(())
            }
        }
    }

    /// The message, which nothing more belongs to.
    pub(super) fn finish(self) -> Result<Event<'static>, Violation> {
        Ok(match self.body {
            Body::Text(text) => Event::Text(text.finish().map_err(|_| Violation::Text)?.into()),
            Body::Binary(bytes) => Event::Binary(bytes.into()),
        })
    }

    /// Bytes received of it.
    pub(super) fn len(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.len(),
            Body::Binary(bytes) => bytes.len(),
        }
    }

    /// Bytes allocated for it.
    pub(super) fn capacity(&self) -> usize {
        match &self.body {
            Body::Text(text) => text.capacity(),
            Body::Binary(bytes) => bytes.capacity(),
        }
    }

    /// How much room to make for a piece: where it does not fit, the capacity doubles, so that
    /// all copying together is linear, but not beyond what may come.
    fn additional(&self, piece: usize, ahead: usize) -> usize {
        let (len, capacity) = (self.len(), self.capacity());
        if len + piece <= capacity {
            0
        } else {
            (2 * capacity).saturating_sub(len).min(ahead).max(piece)
        }
    }
}
