//! What one frame told us.

use std::borrow::Cow;
use std::fmt;

use super::close::{self, CloseCode};
use super::frame::Opcode;
use super::violation::Violation;

/// What a peer said, one event a frame. What came whole is lent from the input; what came in
/// pieces is handed over, and its memory goes with the event.
#[derive(Clone, PartialEq, Eq)]
pub enum Event<'i> {
    /// A text message.
    Text(Cow<'i, str>),
    /// A binary message.
    Binary(Cow<'i, [u8]>),
    /// A data frame that ends no message; one who counts frames counts it.
    Fragment,
    /// A Ping, to be answered with [`write_pong`](super::frame::write_pong) (§5.5.2).
    Ping(Cow<'i, [u8]>),
    /// A Pong, asked for or not (§5.5.3).
    Pong(Cow<'i, [u8]>),
    /// A Close, with its code and reason where it has them: the last event (§5.5.1).
    Close(Option<(CloseCode, Cow<'i, str>)>),
}

impl Event<'_> {
    /// The event of a frame that is whole in itself, its payload unmasked.
    pub(super) fn whole(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, Violation> {
        Ok(match opcode {
            Opcode::Text => {
                Event::Text(str::from_utf8(payload).map_err(|_| Violation::Text)?.into())
            }
            Opcode::Binary => Event::Binary(payload.into()),
            Opcode::Ping => Event::Ping(payload.into()),
            Opcode::Pong => Event::Pong(payload.into()),
            Opcode::Close => {
                Event::Close(close::parse(payload)?.map(|(code, reason)| (code, reason.into())))
            }
            Opcode::Continuation => Event::Fragment,
        })
    }

    /// The event with memory of its own.
    pub fn into_owned(self) -> Event<'static> {
        match self {
            Event::Text(text) => Event::Text(text.into_owned().into()),
            Event::Binary(bytes) => Event::Binary(bytes.into_owned().into()),
            Event::Fragment => Event::Fragment,
            Event::Ping(payload) => Event::Ping(payload.into_owned().into()),
            Event::Pong(payload) => Event::Pong(payload.into_owned().into()),
            Event::Close(close) => {
                Event::Close(close.map(|(code, reason)| (code, reason.into_owned().into())))
            }
        }
    }
}

/// A payload may hold a token: only its size is shown.
impl fmt::Debug for Event<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Text(text) => write!(formatter, "Text({} bytes)", text.len()),
            Event::Binary(bytes) => write!(formatter, "Binary({} bytes)", bytes.len()),
            Event::Fragment => formatter.write_str("Fragment"),
            Event::Ping(payload) => write!(formatter, "Ping({} bytes)", payload.len()),
            Event::Pong(payload) => write!(formatter, "Pong({} bytes)", payload.len()),
            Event::Close(None) => formatter.write_str("Close"),
            Event::Close(Some((code, reason))) => {
                write!(formatter, "Close({code}, {} bytes)", reason.len())
            }
        }
    }
}
