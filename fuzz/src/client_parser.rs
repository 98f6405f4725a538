//! What a peer hears: the server's bytes, read as strictly as we may read them.

use std::borrow::Cow;

/// What came, put together as far as it goes.
#[derive(Default)]
pub(crate) struct ClientParser {
    bytes: Vec<u8>,
    stage: Stage,
}

/// What may come next.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Stage {
    /// One HTTP answer.
    #[default]
    Answer,
    /// Frames, after a 101.
    Frames,
    /// Nothing: after any other answer, and after a Close.
    Nothing,
}

/// Something whole that a peer heard.
pub(crate) enum Received {
    /// An HTTP response.
    Answer {
        status: u16,
        body: String,
    },
    /// A Text message.
    Text(String),
    Ping,
    Pong(Vec<u8>),
    /// A Close, with its code and reason.
    Close(Option<(u16, String)>),
}

impl ClientParser {
    pub(crate) fn hear(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// True when something was begun and not finished.
    pub(crate) fn is_unfinished(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// The next thing that is whole.
    ///
    /// # Errors
    /// When it is nothing we may say here.
    pub(crate) fn next(&mut self) -> Result<Option<Received>, String> {
        let next = match self.stage {
            Stage::Answer => self.answer()?,
            Stage::Frames => self.frame()?,
            Stage::Nothing if self.bytes.is_empty() => None,
            Stage::Nothing => return Err("something was sent behind the last word".to_owned()),
        };
        let Some((word, used)) = next else {
            return Ok(None);
        };
        self.bytes.drain(..used);
        self.stage = match (&word, self.stage) {
            (Received::Answer { status: 101, .. }, _) => Stage::Frames,
            (Received::Answer { .. } | Received::Close(_), _) => Stage::Nothing,
            (_, stage) => stage,
        };
        Ok(Some(word))
    }

    fn answer(&self) -> Result<Option<(Received, usize)>, String> {
        let Some(end) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = text(&self.bytes[..end])?;
        let status = head
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .ok_or("no status line")?;
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .map_or(Some(0), |length| length.parse().ok())
            .ok_or("a length that is none")?;
        let begin = end + 4;
        let Some(body) = self.bytes.get(begin..begin + length) else {
            return Ok(None);
        };
        let body = text(body)?.into_owned();
        Ok(Some((Received::Answer { status, body }, begin + length)))
    }

    /// RFC 6455 §5.1, §5.2: a server's frame is not masked, and ours are whole messages with the
    /// shortest length.
    fn frame(&self) -> Result<Option<(Received, usize)>, String> {
        let bytes = &self.bytes;
        let (Some(first), Some(short)) = (bytes.first(), bytes.get(1)) else {
            return Ok(None);
        };
        let (length, begin) = match short {
            0..=125 => (usize::from(*short), 2),
            126 => match bytes.get(2..4) {
                Some(long) => (usize::from(u16::from_be_bytes([long[0], long[1]])), 4),
                None => return Ok(None),
            },
            _ => return Err("a frame is masked, or longer than any we send".to_owned()),
        };
        if begin == 4 && length <= 125 {
            return Err("a length is not in its shortest form".to_owned());
        }
        let Some(payload) = bytes.get(begin..begin + length) else {
            return Ok(None);
        };
        let word = match first {
            0x81 => Received::Text(text(payload)?.into_owned()),
            0x88 if length > 1 => {
                let code = u16::from_be_bytes([payload[0], payload[1]]);
                Received::Close(Some((code, text(&payload[2..])?.into_owned())))
            }
            0x88 if length == 0 => Received::Close(None),
            0x89 => Received::Ping,
            0x8A => Received::Pong(payload.to_vec()),
            other => return Err(format!("a frame begins with {other:#x}")),
        };
        Ok(Some((word, begin + length)))
    }
}

fn text(bytes: &[u8]) -> Result<Cow<'_, str>, String> {
    match str::from_utf8(bytes) {
        Ok(text) => Ok(Cow::Borrowed(text)),
        Err(_) => Err("something is not UTF-8".to_owned()),
    }
}
