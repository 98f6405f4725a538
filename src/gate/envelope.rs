//! What a client's frame says around its data.

use std::borrow::Cow;
use std::fmt;

use super::json::{self, JsonError, Kind, Value};
use crate::limits::{FRAME_ID_BYTES_MAX, SUBJECT_BYTES_MAX};

/// A client's frame, taken apart; everything in it is still the peer's word. It has no
/// `Debug`, for it holds the token.
pub struct Envelope<'f> {
    /// `token`, unverified.
    pub token: Option<Cow<'f, str>>,
    /// `event`.
    pub event: Cow<'f, str>,
    /// `id`, as it was written: what is echoed.
    pub id: Option<&'f str>,
    /// `to`: the user the event is for.
    pub to: Option<Cow<'f, str>>,
    /// `data`, as it was written.
    pub data: Option<&'f str>,
}

impl<'f> Envelope<'f> {
    /// Reads the text of one frame.
    ///
    /// # Errors
    ///
    /// When it is not a strict JSON object, a member is of the wrong type, or `event` is
    /// missing. Unknown members are none of our business.
    pub fn parse(text: &'f str) -> Result<Envelope<'f>, FrameError> {
        let (mut token, mut event, mut id, mut to, mut data) = (None, None, None, None, None);
        json::members::<FrameError>(text, |name, value| {
            match name {
                "token" => token = Some(value.string().ok_or(FrameError::Token)?),
                "event" => event = Some(value.string().ok_or(FrameError::Event)?),
                "id" => id = Some(echo(value).ok_or(FrameError::Id)?),
                "to" => to = Some(recipient(value).ok_or(FrameError::To)?),
                "data" => data = Some(value.raw()),
                _ => {}
            }
            Ok(())
        })?;
        let event = event.ok_or(FrameError::Event)?;
        Ok(Envelope {
            token,
            event,
            id,
            to,
            data,
        })
    }
}

/// An `id` we can echo: a number or a string, of bounded size either way.
fn echo(value: Value<'_>) -> Option<&str> {
    let bytes = match value.kind() {
        Kind::Number => value.raw().len(),
        _ => value.string()?.len(),
    };
    (bytes <= FRAME_ID_BYTES_MAX).then_some(value.raw())
}

fn recipient(value: Value<'_>) -> Option<Cow<'_, str>> {
    value
        .string()
        .filter(|to| (1..=SUBJECT_BYTES_MAX).contains(&to.len()))
}

/// What is wrong with a frame's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Not a strict JSON object.
    Json(JsonError),
    /// `token` is of the wrong type.
    Token,
    /// `event` is missing or of the wrong type.
    Event,
    /// `id` is of the wrong type or too long.
    Id,
    /// `to` is of the wrong type, empty or too long.
    To,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameError::Json(error) => write!(f, "the frame is {error}"),
            FrameError::Token => f.write_str("`token` must be a string"),
            FrameError::Event => f.write_str("`event` is needed, and must be a string"),
            FrameError::Id => write!(
                f,
                "`id` must be a number or a string of at most {FRAME_ID_BYTES_MAX} bytes"
            ),
            FrameError::To => {
                write!(f, "`to` must be a string of 1 to {SUBJECT_BYTES_MAX} bytes")
            }
        }
    }
}

impl std::error::Error for FrameError {}

impl From<JsonError> for FrameError {
    fn from(error: JsonError) -> FrameError {
        FrameError::Json(error)
    }
}
