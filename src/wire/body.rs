//! A request's body: of an announced length, or chunked (RFC 9112 §6.2, §7.1).
//!
//! Chunk extensions and trailers are skipped unread. What stands around the content is bounded
//! like the content, so that a body ends.

use std::fmt;

use super::head::{is_token_byte, is_value_byte};
use super::part::Part;
use super::response::Status;
use crate::limits::CHUNK_FRAMING_BYTES_MAX;

/// Finds the content of a body and its end, however its bytes are cut, in time linear in their
/// number.
///
/// ```text
/// Size ⇄ SizeLineFeed → Content → ContentEnd → ContentLineFeed → Size
///  ↓         ↑  ↓ (a chunk of nothing)
///  Extension ┘  TrailerStart ⇄ TrailerName → TrailerValue → TrailerLineFeed
///                ↓
///                LastLineFeed → Complete
/// ```
#[derive(Clone, Copy, Debug)]
pub struct BodyDecoder {
    state: State,
    /// Content bytes that may yet come; of a length announced, that must.
    content_left: usize,
    /// Bytes that may yet stand around the content.
    framing_left: usize,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// What is left of a body whose length was announced.
    Announced,
    /// The digits of a chunk's size, and what they say so far.
    Size {
        chunk: usize,
        has_digit: bool,
    },
    /// White space after a chunk's size: an extension must follow.
    Space {
        chunk: usize,
    },
    Extension {
        chunk: usize,
    },
    SizeLineFeed {
        chunk: usize,
    },
    /// So many bytes of a chunk are left, one at least.
    Content {
        chunk: usize,
    },
    ContentEnd,
    ContentLineFeed,
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerLineFeed,
    LastLineFeed,
    Complete,
    Failed(BodyError),
}

/// What comes next of a body.
enum Coming {
    /// Bytes around the content, which have not come.
    Framing,
    /// So many bytes of an extension, or of a trailer's value, which have come.
    Unread(usize),
    /// At most so many bytes of content.
    Content(usize),
    /// Nothing: the body is whole.
    Nothing,
}

const SIZE: State = State::Size {
    chunk: 0,
    has_digit: false,
};

impl BodyDecoder {
    /// A body of that many bytes.
    pub const fn announced(bytes: usize) -> BodyDecoder {
        BodyDecoder {
            state: State::Announced,
            content_left: bytes,
            framing_left: 0,
        }
    }

    /// A chunked body whose content is at most that long.
    pub const fn chunked(content_bytes_max: usize) -> BodyDecoder {
        BodyDecoder {
            state: SIZE,
            content_left: content_bytes_max,
            framing_left: CHUNK_FRAMING_BYTES_MAX,
        }
    }

    /// Takes from the front of `bytes`, which come next, what is of the body, and lends each part
    /// of it to `part`. Returns whether the body is whole; what stands after it is left.
    ///
    /// # Errors
    /// At the first byte that no such body can have there, and from then on.
    pub fn decode(
        &mut self,
        bytes: &mut &[u8],
        mut part: impl FnMut(Part<'_>),
    ) -> Result<bool, BodyError> {
        loop {
            let came = *bytes;
            let coming = self.take_framing(bytes);
            let framing = &came[..came.len() - bytes.len()];
            if !framing.is_empty() {
                part(Part::Framing(framing));
            }
            let coming_max = match coming? {
                Coming::Framing => return Ok(false),
                Coming::Unread(count) => {
                    part(Part::Unread(take(bytes, count)));
                    self.framing_left -= count;
                    if let State::TrailerStart = self.state {
                        self.state = State::TrailerName;
                    }
                    continue;
                }
                Coming::Content(bytes_max) => bytes_max,
                Coming::Nothing => return Ok(true),
            };
            let piece = take(bytes, coming_max);
            if piece.is_empty() {
                return Ok(false);
            }
            part(Part::Content(piece));
            self.count_content(piece.len());
        }
    }

    /// Takes off the front what stands there around the content.
    fn take_framing(&mut self, bytes: &mut &[u8]) -> Result<Coming, BodyError> {
        loop {
            match self.state {
                State::Failed(error) => return Err(error),
                State::Complete => return Ok(Coming::Nothing),
                State::Announced if self.content_left == 0 => self.state = State::Complete,
                State::Announced => return Ok(Coming::Content(self.content_left)),
                State::Content { chunk } => return Ok(Coming::Content(chunk)),
                _ if self.unread_bytes(bytes) > 0 => {
                    return Ok(Coming::Unread(self.unread_bytes(bytes)));
                }
                state => {
                    let Some((&byte, rest)) = bytes.split_first() else {
                        return Ok(Coming::Framing);
                    };
                    *bytes = rest;
                    self.state = self.step(state, byte).unwrap_or_else(State::Failed);
                }
            }
        }
    }

    /// How many bytes that nobody reads come next and have room, inside of something unread.
    fn unread_bytes(&self, bytes: &[u8]) -> usize {
        let is_unread = match self.state {
            State::Extension { .. } | State::TrailerValue => is_value_byte,
            State::TrailerStart | State::TrailerName => is_token_byte,
            _ => return 0,
        };
        let unread = bytes.iter().take_while(|byte| is_unread(**byte));
        unread.take(self.framing_left).count()
    }

    fn count_content(&mut self, bytes: usize) {
        match self.state {
            State::Content { chunk } if chunk == bytes => self.state = State::ContentEnd,
            State::Content { chunk } => {
                self.state = State::Content {
                    chunk: chunk - bytes,
                };
            }
            _ => self.content_left -= bytes,
        }
    }

    /// A byte that is no content.
    fn step(&mut self, state: State, byte: u8) -> Result<State, BodyError> {
        self.framing_left = self.framing_left.checked_sub(1).ok_or(BodyError::Framing)?;
        match (state, byte) {
            // RFC 9112 §7.1: chunk-size = 1*HEXDIG.
            (State::Size { chunk, .. }, _) if byte.is_ascii_hexdigit() => self.digit(chunk, byte),
            // RFC 9112 §7.1.1: chunk-ext = *( BWS ";" BWS chunk-ext-name … ), all of it ignored.
            (
                State::Size {
                    chunk,
                    has_digit: true,
                }
                | State::Space { chunk },
                b' ' | b'\t',
            ) => Ok(State::Space { chunk }),
            (
                State::Size {
                    chunk,
                    has_digit: true,
                }
                | State::Space { chunk },
                b';',
            ) => Ok(State::Extension { chunk }),
            (
                State::Size {
                    chunk,
                    has_digit: true,
                }
                | State::Extension { chunk },
                b'\r',
            ) => Ok(State::SizeLineFeed { chunk }),
            (State::SizeLineFeed { chunk: 0 }, b'\n') => Ok(State::TrailerStart),
            (State::SizeLineFeed { chunk }, b'\n') => {
                self.content_left -= chunk;
                Ok(State::Content { chunk })
            }
            (State::ContentEnd, b'\r') => Ok(State::ContentLineFeed),
            (State::ContentLineFeed, b'\n') => Ok(SIZE),

            // RFC 9112 §7.1.2: trailer-section = *( field-line CRLF ), all of it ignored.
            (State::TrailerStart, b'\r') => Ok(State::LastLineFeed),
            (State::TrailerName, b':') => Ok(State::TrailerValue),
            (State::TrailerValue, b'\r') => Ok(State::TrailerLineFeed),
            (State::TrailerLineFeed, b'\n') => Ok(State::TrailerStart),
            (State::LastLineFeed, b'\n') => Ok(State::Complete),
            _ => Err(BodyError::Chunk),
        }
    }

    /// RFC 9112 §7.1: a recipient must expect large numbers. The first digit that makes the
    /// content too long ends it.
    fn digit(&self, chunk: usize, byte: u8) -> Result<State, BodyError> {
        let digit = char::from(byte).to_digit(16).unwrap_or_default() as usize;
        let chunk = chunk.saturating_mul(16).saturating_add(digit);
        match chunk <= self.content_left {
            true => Ok(State::Size {
                chunk,
                has_digit: true,
            }),
            false => Err(BodyError::TooLong),
        }
    }
}

/// Takes at most so many bytes off the front.
fn take<'a>(bytes: &mut &'a [u8], count_max: usize) -> &'a [u8] {
    let (front, rest) = bytes.split_at(bytes.len().min(count_max));
    *bytes = rest;
    front
}

/// Why a chunked body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The bytes are not chunks.
    Chunk,
    /// The content is longer than it may be.
    TooLong,
    /// What stands around the content is longer than [`CHUNK_FRAMING_BYTES_MAX`].
    Framing,
}

impl BodyError {
    /// The status it is answered with.
    pub const fn status(self) -> Status {
        match self {
            BodyError::Chunk => Status::BadRequest,
            BodyError::TooLong | BodyError::Framing => Status::ContentTooLarge,
        }
    }

    /// One word for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            BodyError::Chunk => "chunk",
            BodyError::TooLong => "content_too_large",
            BodyError::Framing => "chunk_framing",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BodyError::Chunk => f.write_str(
                "the chunked body is not sizes in hexadecimal and that many bytes, each ended by CR LF",
            ),
            BodyError::TooLong => f.write_str("the body is longer than a login's may be"),
            BodyError::Framing => write!(
                f,
                "the chunked body has more than {CHUNK_FRAMING_BYTES_MAX} bytes of sizes, \
                 extensions and trailers: send fewer and larger chunks"
            ),
        }
    }
}

impl std::error::Error for BodyError {}

#[cfg(test)]
mod tests;
