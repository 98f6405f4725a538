//! The head of an HTTP/1.1 request: where it ends, and whether it is one (RFC 9112 §2–§5).
//!
//! Stricter than the RFC asks: no line may end in a bare LF (§2.2), none may be folded (§5.2),
//! nothing may stand before the request line, and the target is in origin-form (§3.2.1), since
//! nobody takes us for a proxy.

use std::fmt;

use super::request::Field;
use super::response::{self, Status};
use crate::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};

/// What ends every request line we accept, from its version on.
const VERSION_AND_CR: &[u8; 9] = b"HTTP/1.1\r";

/// Finds the end of a request head, however its bytes are cut, in time linear in their number,
/// and refuses what is no head at the first byte that shows it.
///
/// ```text
/// Start → Method → TargetStart → Target → Version → LineFeed → FieldStart ⇄ FieldName → FieldValue
///                                                               ↓            (LineFeed ←┘)
///                                                               LastLineFeed → Complete
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
    /// connection's start. `None` asks for more; what stands behind a complete head is not
    /// looked at.
    ///
    /// # Errors
    /// At the first byte no head can have there, and for as long as the scanner lives:
    /// a failure sticks.
    pub fn scan<'a>(&mut self, bytes: &'a [u8]) -> Result<Option<Head<'a>>, HeadError> {
        let range = usize::from(self.position)..bytes.len().min(HEAD_BYTES_MAX);
        for &byte in bytes.get(range).unwrap_or_default() {
            match self.state {
                State::Complete | State::Failed(_) => break,
                state => self.state = self.step(state, byte).unwrap_or_else(State::Failed),
            }
            self.position += 1;
        }
        match self.state {
            State::Failed(error) => Err(error),
            State::Complete => Ok(bytes
                .split_at_checked(usize::from(self.position))
                .map(|(bytes, behind)| Head { bytes, behind })),
            // The byte that would end the head lies beyond the bound: no need to wait for it.
            _ if usize::from(self.position) == HEAD_BYTES_MAX => Err(HeadError::TooLong),
            _ => Ok(None),
        }
    }

    fn step(&mut self, state: State, byte: u8) -> Result<State, HeadError> {
        match (state, byte) {
            // RFC 9112 §3: request-line = method SP request-target SP HTTP-version.
            (State::Start | State::Method, _) if is_token_byte(byte) => Ok(State::Method),
            (State::Method, b' ') => Ok(State::TargetStart),
            (State::TargetStart, b'/') => Ok(State::Target),
            (State::Target, b'!'..=b'~') => Ok(State::Target),
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
            (State::FieldName, _) if is_token_byte(byte) => Ok(State::FieldName),
            (State::FieldName, b':') => Ok(State::FieldValue),
            // RFC 9110 §5.5: field-value holds VCHAR, obs-text, SP and HTAB.
            (State::FieldValue, b'\t' | b' '..=b'~' | 0x80..) => Ok(State::FieldValue),
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

/// RFC 9112 §2.3: HTTP-version = "HTTP/" DIGIT "." DIGIT.
fn version_step(matched: u8, byte: u8) -> Result<State, HeadError> {
    let expected = VERSION_AND_CR.get(usize::from(matched));
    match matched {
        8 if expected == Some(&byte) => Ok(State::LineFeed),
        _ if expected == Some(&byte) => Ok(State::Version(matched + 1)),
        5 | 7 if byte.is_ascii_digit() => Err(HeadError::Version),
        _ => Err(HeadError::RequestLine),
    }
}

/// RFC 9110 §5.6.2: tchar.
pub(super) const fn is_token_byte(byte: u8) -> bool {
    matches!(byte,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`'
        | b'|' | b'~' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z')
}

/// A complete head that [`HeadScanner`] found sound.
#[derive(Clone, Copy)]
pub struct Head<'a> {
    bytes: &'a [u8],
    behind: &'a [u8],
}

impl<'a> Head<'a> {
    /// The head, from the request line to the blank line, both included.
    pub const fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    /// What was received behind the head: a body's beginning, or nothing.
    pub const fn behind(self) -> &'a [u8] {
        self.behind
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
    /// The version is another than HTTP/1.1.
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

    /// One word for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            HeadError::RequestLine => "request_line",
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

    /// Writes the answer behind what `out` holds.
    pub fn write(self, out: &mut Vec<u8>) {
        response::write_line(out, self.status(), &[], &self);
    }
}

impl fmt::Display for HeadError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeadError::RequestLine => {
                formatter.write_str("the request line is not `METHOD /path HTTP/1.1`")
            }
            HeadError::Version => formatter.write_str("only HTTP/1.1 is spoken here"),
            HeadError::LineEnd => formatter.write_str("a line of the head does not end in CR LF"),
            HeadError::Folded => formatter.write_str("a header field is folded over two lines"),
            HeadError::FieldName => {
                formatter.write_str("a header field name is not a token directly before its colon")
            }
            HeadError::FieldValue => {
                formatter.write_str("a header field value holds a control byte")
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
                formatter.write_str("the request needs one Host field of the form host[:port]")
            }
            HeadError::ContentLength => {
                formatter.write_str("Content-Length is not a decimal number")
            }
            HeadError::Repeated(field) => {
                write!(formatter, "{} stands more than once", field.name())
            }
        }
    }
}

impl std::error::Error for HeadError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The verdict on `bytes` and how many of them it took, which no cutting may change.
    #[track_caller]
    fn verdict(bytes: &[u8]) -> (Result<Option<usize>, HeadError>, usize) {
        let scan = |scanner: &mut HeadScanner, bytes| {
            scanner
                .scan(bytes)
                .map(|head| head.map(|head| Head::bytes(head).len()))
        };
        let whole = scan(&mut HeadScanner::default(), bytes);
        let mut drip = HeadScanner::default();
        let decided = (0..=bytes.len()).find(|cut| scan(&mut drip, &bytes[..*cut]) != Ok(None));
        assert_eq!(scan(&mut drip, bytes), whole, "a byte at a time");
        for cut in (0..bytes.len()).take(300) {
            let mut scanner = HeadScanner::default();
            let first = scan(&mut scanner, &bytes[..cut]);
            assert!(first == Ok(None) || first == whole, "cut at {cut}");
            assert_eq!(scan(&mut scanner, bytes), whole, "cut at {cut}");
        }
        (whole, decided.unwrap_or(bytes.len()))
    }

    #[track_caller]
    fn assert_refused(bytes: impl AsRef<[u8]>, error: HeadError, at: usize) {
        assert_eq!(verdict(bytes.as_ref()), (Err(error), at));
    }

    #[test]
    fn a_head_in_any_two_pieces_ends_at_its_blank_line() {
        let head = b"GET /ws?a=b HTTP/1.1\r\nHost: a\r\nX-Text:\tcaf\xc3\xa9 \t\r\nEmpty:\r\n\r\n";
        assert_eq!(verdict(head), (Ok(Some(head.len())), head.len()));
        assert_eq!(verdict(&head[..head.len() - 1]), (Ok(None), head.len() - 1));
        let behind = [&head[..], b"\x00\r\n\r\n"].concat();
        assert_eq!(verdict(&behind), (Ok(Some(head.len())), head.len()));
        let found = HeadScanner::default().scan(&behind).unwrap().unwrap();
        assert_eq!(
            (found.bytes(), found.behind()),
            (&head[..], &b"\x00\r\n\r\n"[..])
        );
    }

    #[test]
    fn another_protocol_is_refused_at_the_first_byte_that_shows_it() {
        assert_refused(b"\x16\x03\x01\x02\x00", HeadError::RequestLine, 1);
        assert_refused(
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            HeadError::RequestLine,
            5,
        );
        assert_refused("SSH-2.0-OpenSSH_9.6\r\n", HeadError::RequestLine, 20);
        assert_refused("GET / HTTP/2.0\r\n", HeadError::Version, 12);
        assert_refused("GET / HTTP/1.0\r\n", HeadError::Version, 14);
    }

    #[test]
    fn a_bad_request_line_is_refused_at_its_first_bad_byte() {
        for (line, at) in [
            ("\r\nGET / HTTP/1.1", 1),
            (" GET / HTTP/1.1", 1),
            ("GET  / HTTP/1.1", 5),
            ("GET\t/ HTTP/1.1", 4),
            ("GET http://a/ HTTP/1.1", 5),
            ("OPTIONS * HTTP/1.1", 9),
            ("GET /\u{e9} HTTP/1.1", 6),
            ("GET /\u{7f} HTTP/1.1", 6),
            ("GET /a b HTTP/1.1", 8),
            ("GET /  HTTP/1.1", 7),
            ("GET /\r\n", 6),
            ("GET / http/1.1", 7),
            ("GET / HTTP/1.x", 14),
            ("GET / HTTP/1.1 \r\n", 15),
            ("GET / HTTP/1.1\n", 15),
            ("GET / HTTP/1.11\r\n", 15),
        ] {
            assert_refused(line, HeadError::RequestLine, at);
        }
    }

    #[test]
    fn a_bad_field_line_is_refused_at_its_first_bad_byte() {
        const LINE: &str = "GET / HTTP/1.1\r\n";
        for (field, error, at) in [
            ("\nHost: a", HeadError::LineEnd, 1),
            ("\rHost: a", HeadError::LineEnd, 2),
            ("Host: a\nX: b", HeadError::LineEnd, 8),
            ("Host: a\rX: b", HeadError::LineEnd, 9),
            ("Host: a\r\n\rX", HeadError::LineEnd, 11),
            (" Host: a", HeadError::Folded, 1),
            ("Host: a\r\n\tb", HeadError::Folded, 10),
            (": a", HeadError::FieldName, 1),
            ("Host : a", HeadError::FieldName, 5),
            ("Host\r\n", HeadError::FieldName, 5),
            ("H(st: a", HeadError::FieldName, 2),
            ("H\u{f6}st: a", HeadError::FieldName, 2),
            ("Host: a\0", HeadError::FieldValue, 8),
            ("Host: a\u{1b}[2J", HeadError::FieldValue, 8),
            ("Host: a\u{7f}", HeadError::FieldValue, 8),
        ] {
            assert_refused(format!("{LINE}{field}"), error, LINE.len() + at);
        }
    }

    #[test]
    fn a_head_at_the_bound_passes_and_a_byte_more_is_refused() {
        let head = |bytes: usize| format!("GET / HTTP/1.1\r\nA: {:a<1$}\r\n\r\n", "", bytes - 23);
        assert_eq!(verdict(head(8192).as_bytes()), (Ok(Some(8192)), 8192));
        assert_refused(head(8193), HeadError::TooLong, 8192);
        assert_refused(head(9023), HeadError::TooLong, 8192);
        assert_refused("G".repeat(10_000), HeadError::TooLong, 8192);
    }

    #[test]
    fn as_many_fields_as_the_bound_pass_and_one_more_is_refused_at_its_first_byte() {
        let head = |fields| format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(fields));
        assert_eq!(verdict(head(64).as_bytes()).0, Ok(Some(head(64).len())));
        assert_refused(head(65), HeadError::TooManyFields, head(64).len() - 1);
    }

    #[test]
    fn a_scanner_that_refused_refuses_whatever_comes() {
        let mut scanner = HeadScanner::default();
        assert_eq!(scanner.scan(b"\n").err(), Some(HeadError::RequestLine));
        assert_eq!(
            scanner.scan(b"GET / HTTP/1.1\r\n\r\n").err(),
            Some(HeadError::RequestLine)
        );
    }

    #[test]
    fn a_scanner_is_a_few_bytes() {
        assert!(
            size_of::<HeadScanner>() <= 8,
            "{}",
            size_of::<HeadScanner>()
        );
    }

    #[test]
    fn every_error_is_told_in_one_line_of_its_status() {
        for (error, status) in [
            (HeadError::RequestLine, "HTTP/1.1 400 Bad Request\r\n"),
            (
                HeadError::TooLong,
                "HTTP/1.1 431 Request Header Fields Too Large\r\n",
            ),
            (
                HeadError::Version,
                "HTTP/1.1 505 HTTP Version Not Supported\r\n",
            ),
        ] {
            let mut out = Vec::new();
            error.write(&mut out);
            let out = String::from_utf8(out).unwrap();
            assert!(
                out.starts_with(status) && out.ends_with(&format!("\r\n\r\n{error}\n")),
                "{out}"
            );
        }
    }
}
