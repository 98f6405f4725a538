//! The head of an HTTP/1.1 or HTTP/1.0 request: where it ends, and whether it is one
//! (RFC 9112 §2–§5).
//!
//! Stricter than the RFC asks: no line may end in a bare LF (§2.2), and none may be folded (§5.2).

use std::{fmt, iter};

use memchr::memchr;

use super::request::Field;
use super::response::{self, Reply, Status};
use crate::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};

/// What ends every request line we accept, from its version on; the minor version may be 0 too.
const VERSION_AND_CR: &[u8; 9] = b"HTTP/1.1\r";
/// Where in it the minor version stands.
const MINOR_VERSION: u8 = 7;

/// What may stand ahead of a request line.
const EMPTY_LINE: &[u8] = b"\r\n";

/// Finds the end of a request head, however its bytes are cut, in time linear in their number,
/// and refuses what is no head at the first byte that shows it.
///
/// ```text
/// Start ─────────────→ Method → TargetStart → Target → Version → LineFeed → FieldStart
///  ↓                    ↑
///  EmptyLine → RequestLine       FieldStart ⇄ FieldName → FieldValue → LineFeed
///                                 ↓
///                                 LastLineFeed → Complete
/// ```
#[derive(Clone, Copy, Debug)]
pub struct HeadScanner {
    state: State,
    /// Bytes judged so far, ≤ [`HEAD_BYTES_MAX`].
    position: u16,
    /// Fields begun so far, ≤ [`HEAD_FIELDS_MAX`].
    fields: u8,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Start,
    EmptyLine,
    RequestLine,
    Method,
    TargetStart,
    Target,
    /// So many bytes of [`VERSION_AND_CR`] have come.
    Version(u8),
    LineFeed,
    FieldStart,
    FieldName,
    FieldValue,
    LastLineFeed,
    Complete,
    Failed(HeadError),
}

impl Default for HeadScanner {
    fn default() -> HeadScanner {
        HeadScanner {
            state: State::Start,
            position: 0,
            fields: 0,
        }
    }
}

impl HeadScanner {
    /// Judges what has come since the last call. `bytes` is everything received since the
    /// connection's start. `None` asks for more; what stands after a complete head is not
    /// looked at.
    ///
    /// # Errors
    /// At the first byte no head can have there, and for as long as the scanner lives:
    /// a failure sticks.
    pub fn scan<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Head<'a>>, HeadError> {
        let end = bytes.len().min(HEAD_BYTES_MAX);
        let range = usize::from(self.position)..end;
        let mut coming = bytes.get(range).unwrap_or_default();
        let mut state = self.state;
        while let Some((&byte, rest)) = coming.split_first() {
            (state, coming) = match state {
                State::Complete | State::Failed(_) => break,
                // Nearly all of a head is these, and passed over in runs.
                State::FieldName if is_token_byte(byte) => (state, behind(rest, is_token_byte)),
                State::FieldValue if is_value_byte(byte) => (state, behind(rest, is_value_byte)),
                _ => (self.step(state, byte).unwrap_or_else(State::Failed), rest),
            };
        }
        self.state = state;
        self.position = (end - coming.len()) as u16;
        match self.state {
            State::Failed(error) => Err(error),
            State::Complete => Ok(bytes.get(..usize::from(self.position)).map(Head::new)),
            // The byte that would end the head lies beyond the bound: no need to wait for it.
            _ if usize::from(self.position) == HEAD_BYTES_MAX => Err(HeadError::TooLong),
            _ => Ok(None),
        }
    }

    /// How many bytes were judged: of what is no head, those up to the one that shows it.
    pub fn judged_bytes(&self) -> usize {
        self.position.into()
    }

    fn step(&mut self, state: State, byte: u8) -> Result<State, HeadError> {
        match (state, byte) {
            // RFC 9112 §2.2: an empty line ahead of the request line is ignored, one at least.
            (State::Start, b'\r') => Ok(State::EmptyLine),
            (State::EmptyLine, b'\n') => Ok(State::RequestLine),

            // RFC 9112 §3: request-line = method SP request-target SP HTTP-version.
            (State::Start | State::RequestLine | State::Method, _) if is_token_byte(byte) => {
                Ok(State::Method)
            }
            (State::Method, b' ') => Ok(State::TargetStart),
            // Which of its four forms the target has is for the request's parser.
            (State::TargetStart | State::Target, b'!'..=b'~') => Ok(State::Target),
            (State::Target, b' ') => Ok(State::Version(0)),
            (State::Version(matched), _) => version_step(matched, byte),

            // RFC 9112 §2.2: a CR that no LF follows makes the message invalid.
            (State::LineFeed, b'\n') => Ok(State::FieldStart),
            (State::LastLineFeed, b'\n') => Ok(State::Complete),
            (State::LineFeed | State::LastLineFeed, _) => Err(HeadError::LineEnd),

            // RFC 9112 §5: field-line = field-name ":" OWS field-value OWS.
            (State::FieldStart, b'\r') => Ok(State::LastLineFeed),
            // RFC 9112 §5.2: a server rejects obs-fold.
            (State::FieldStart, b' ' | b'\t') => Err(HeadError::Folded),
            (State::FieldStart, _) if is_token_byte(byte) => self.begin_field(),
            (State::FieldName, b':') => Ok(State::FieldValue),
            (State::FieldValue, b'\r') => Ok(State::LineFeed),

            (State::FieldStart | State::FieldValue, b'\n') => Err(HeadError::LineEnd),
            // RFC 9112 §5.1: white space before the colon is refused with 400.
            (State::FieldStart | State::FieldName, _) => Err(HeadError::FieldName),
            (State::FieldValue, _) => Err(HeadError::FieldValue),
            _ => Err(HeadError::RequestLine),
        }
    }

    fn begin_field(&mut self) -> Result<State, HeadError> {
        self.fields += 1;
        if usize::from(self.fields) > HEAD_FIELDS_MAX {
            return Err(HeadError::TooManyFields);
        }
        Ok(State::FieldName)
    }
}

/// True when what came of a request, be it a head or not, asks by HEAD.
pub fn asks_head(bytes: &[u8]) -> bool {
    bytes
        .strip_prefix(EMPTY_LINE)
        .unwrap_or(bytes)
        .starts_with(b"HEAD ")
}

/// Bytes that are no head just as `bytes` are: of their characters only the kind stays, for a scanner
/// sees no more of them, and whether they ask by HEAD. What was made so is made to itself.
pub fn blanked(bytes: &[u8]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    // An empty line may stand ahead of the request line.
    let line_end = bytes.iter().skip(2).position(|byte| *byte == b'\n');
    let (line, fields) = out.split_at_mut(line_end.map_or(bytes.len(), |at| at + 2));
    let mut words = line.splitn_mut(3, |byte| *byte == b' ');
    let (method, target) = (words.next(), words.next());
    if !asks_head(bytes) {
        blank_words(method.unwrap_or_default());
    }
    blank_words(target.unwrap_or_default());
    blank_words(fields);
    out
}

/// Fills up what may stand in a word, and what is no ASCII. What ends a word stays.
fn blank_words(bytes: &mut [u8]) {
    for byte in bytes {
        match *byte {
            0x80.. => *byte = 0x80,
            word if is_token_byte(word) => *byte = b'x',
            _ => {}
        }
    }
}

/// What stands after the bytes of a kind at the start of `bytes`.
fn behind(bytes: &[u8], is: impl Fn(u8) -> bool) -> &[u8] {
    let count = bytes.iter().take_while(|byte| is(**byte)).count();
    &bytes[count..]
}

/// RFC 9112 §2.3: HTTP-version = "HTTP/" DIGIT "." DIGIT.
fn version_step(matched: u8, byte: u8) -> Result<State, HeadError> {
    let expected = VERSION_AND_CR.get(usize::from(matched));
    match matched {
        8 if expected == Some(&byte) => Ok(State::LineFeed),
        _ if expected == Some(&byte) => Ok(State::Version(matched + 1)),
        MINOR_VERSION if byte == b'0' => Ok(State::Version(matched + 1)),
        5 | MINOR_VERSION if byte.is_ascii_digit() => Err(HeadError::Version),
        _ => Err(HeadError::RequestLine),
    }
}

/// RFC 9110 §5.5: field-value holds VCHAR, obs-text, SP and HTAB.
pub(super) const fn is_value_byte(byte: u8) -> bool {
    matches!(byte, b'\t' | b' '..=b'~' | 0x80..)
}

/// Whether a token, in the sense of HTTP, may hold the byte. RFC 9110 §5.6.2: tchar.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    IS_TOKEN_BYTE[byte as usize]
}

/// Looked up, for a third of a head is asked: by comparisons an upgrade's took a tenth more.
const IS_TOKEN_BYTE: [bool; 256] = {
    let mut is = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        is[byte] = matches!(byte as u8,
            b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`'
            | b'|' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z');
        byte += 1;
    }
    is
};

/// What stands before the first `byte`, and what after it.
pub(super) fn split_once(bytes: &[u8], byte: u8) -> Option<(&[u8], &[u8])> {
    let at = memchr(byte, bytes)?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// A complete head that [`HeadScanner`] found sound.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    bytes: &'a [u8],
    bytes_used: usize,
}

impl<'a> Head<'a> {
    fn new(used: &'a [u8]) -> Head<'a> {
        Head {
            bytes: used.strip_prefix(EMPTY_LINE).unwrap_or(used),
            bytes_used: used.len(),
        }
    }

    /// The head, from the request line to the blank line, both included.
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// Every field in its order: the name as sent, the value without the white space around it.
    pub fn fields(self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + use<'a> {
        let lines = split_once(self.bytes, b'\n');
        let mut lines = lines.map_or(&[][..], |(_, fields)| fields);
        iter::from_fn(move || {
            let (name, rest) = split_once(lines, b':')?;
            let (value, next) = split_once(rest, b'\n')?;
            lines = next;
            Some((name, value.trim_ascii()))
        })
    }

    /// How much of what came is the head, an empty line ahead of it included. What stands after
    /// it is a body, or frames.
    pub const fn bytes_used(self) -> usize {
        self.bytes_used
    }
}

/// A head may hold a token: only its size is shown.
impl fmt::Debug for Head<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Head({} bytes)", self.bytes.len())
    }
}

/// Why the bytes are no request we read, all of it the client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// The first line is not `METHOD /path HTTP/1.1`; TLS and SSH end here.
    RequestLine,
    /// The target is neither a path nor the URL of one.
    Target,
    /// The version is another than HTTP/1.1 and HTTP/1.0.
    Version,
    /// A line ends in a bare LF, or a CR stands alone.
    LineEnd,
    /// A line begins with white space.
    Folded,
    /// A field name is not a token, or white space stands before its colon.
    FieldName,
    /// A field value holds a control byte.
    FieldValue,
    /// The head is longer than [`HEAD_BYTES_MAX`].
    TooLong,
    /// The head has more than [`HEAD_FIELDS_MAX`] fields.
    TooManyFields,
    /// `Host` is missing or is no `host[:port]`.
    Host,
    /// `Content-Length` is no plain decimal number.
    ContentLength,
    /// A field that may stand once stands twice.
    Repeated(Field),
}

impl HeadError {
    /// The status it is answered with.
    pub const fn status(self) -> Status {
        match self {
            HeadError::Version => Status::HttpVersionNotSupported,
            HeadError::TooLong | HeadError::TooManyFields => Status::RequestHeaderFieldsTooLarge,
            _ => Status::BadRequest,
        }
    }

    /// True when the bytes are no HTTP. What is HTTP may be refused too, but for what it asks.
    pub const fn is_malformed(self) -> bool {
        matches!(
            self,
            HeadError::RequestLine
                | HeadError::LineEnd
                | HeadError::Folded
                | HeadError::FieldName
                | HeadError::FieldValue
                | HeadError::ContentLength
        )
    }

    /// One word for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            HeadError::RequestLine => "request_line",
            HeadError::Target => "request_target",
            HeadError::Version => "http_version",
            HeadError::LineEnd => "line_end",
            HeadError::Folded => "folded_line",
            HeadError::FieldName => "field_name",
            HeadError::FieldValue => "field_value",
            HeadError::TooLong => "head_too_long",
            HeadError::TooManyFields => "too_many_fields",
            HeadError::Host => "host",
            HeadError::ContentLength => "content_length",
            HeadError::Repeated(_) => "repeated_field",
        }
    }

    /// Writes the answer after what `out` holds.
    pub fn write(self, out: &mut Vec<u8>, reply: Reply<'_>) {
        response::write_line(out, reply, self.status(), &[], &self);
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeadError::RequestLine => {
                formatter.write_str("the request line is not `METHOD /path HTTP/1.1`")
            }
            HeadError::Target => formatter.write_str(
                "the request target is neither a path, `/path`, nor the URL of one, `http://host/path`",
            ),
            HeadError::Version => {
                formatter.write_str("only HTTP/1.1 is spoken here, and HTTP/1.0 without an upgrade")
            }
            HeadError::LineEnd => formatter.write_str("a line of the head does not end in CR LF"),
            HeadError::Folded => formatter
                .write_str("a header field is folded over two lines: it must stand on one"),
            HeadError::FieldName => {
                formatter.write_str("a header field name is not a token directly before its colon")
            }
            HeadError::FieldValue => {
                formatter.write_str("a header field value holds a control byte: it must be text")
            }
            HeadError::TooLong => write!(
                formatter,
                "the request head is longer than {HEAD_BYTES_MAX} bytes"
            ),
            HeadError::TooManyFields => write!(
                formatter,
                "the request head has more than {HEAD_FIELDS_MAX} fields"
            ),
            HeadError::Host => {
                formatter.write_str(
                "the host, in one Host field or in the request's URL, must be of the form host[:port]",
            )
            }
            HeadError::ContentLength => {
                formatter.write_str("Content-Length is not a decimal number")
            }
            HeadError::Repeated(field) => {
                write!(formatter, "{} stands more than once: send it once", field.name())
            }
        }
    }
}

impl std::error::Error for HeadError {}

#[cfg(test)]
mod tests;
