//! Where a head ends, found byte by byte and line by line.

use super::ends;
use super::shown::assert_shown;
use crate::told::{assert_prints, assert_told};
use framegate::internals::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};
use framegate::internals::wire::{Head, HeadError, HeadScanner, Sensitive, blanked, sensitive};

/// The head that `stream` begins with, if the scanner takes it, fed whole, cut and byte by
/// byte, and the model does.
pub(super) fn head<'s>(stream: &'s [u8], lengths: &[u8]) -> Option<Head<'s>> {
    let (bytewise, decided_at) = scan(stream, 1..=stream.len());
    let (whole, _) = scan(stream, ends(stream.len(), &[]));
    let (cut, cut_decided_at) = scan(stream, ends(stream.len(), lengths));
    assert_eq!(whole.map(bytes), bytewise.map(bytes));
    assert_eq!(cut.map(bytes), bytewise.map(bytes));
    let expected = ends(stream.len(), lengths).find(|end| *end >= decided_at);
    assert_eq!(cut_decided_at, expected.unwrap_or_default());

    let found = whole.unwrap_or_default().map(Head::bytes_used);
    assert_eq!(found, model(stream));
    match whole {
        Err(error) => {
            assert_told(error.word(), &error);
            assert!((400..=599).contains(&error.status().code()));
            assert_blanked(stream, error);
        }
        Ok(Some(head)) => {
            assert_prints(&head, &format!("Head({} bytes)", head.bytes().len()));
            assert_sensitive(head);
            assert_shown(head);
        }
        Ok(None) => {}
    }
    whole.unwrap_or_default()
}

/// What is no head is none for the same reason when it is shown without its words.
fn assert_blanked(stream: &[u8], error: HeadError) {
    let shown = blanked(stream);
    assert_eq!(shown.len(), stream.len());
    assert_eq!(scan(&shown, ends(shown.len(), &[])).0.err(), Some(error));
    assert_eq!(blanked(&shown), shown);
}

/// Every token that a field or an offer holds is told as a part that may hold a secret, and so is every
/// field that means nothing to us; and each part is lent from the head.
fn assert_sensitive(head: Head<'_>) {
    let parts: Vec<&[u8]> = sensitive(head)
        .into_iter()
        .map(|part| match part {
            Sensitive::Token(token) => token.as_bytes(),
            Sensitive::Refused(part) | Sensitive::Unread(part) => part,
        })
        .collect();
    let within = head.bytes().as_ptr_range();
    for part in &parts {
        let part = part.as_ptr_range();
        assert!(part.is_empty() || within.start <= part.start && part.end <= within.end);
    }
    let is_told = |secret: &[u8]| parts.iter().any(|part| part.ends_with(secret));
    for (name, value) in head.fields() {
        if name.eq_ignore_ascii_case(b"Authorization") {
            let credentials = value.get("Bearer ".len()..).unwrap_or_default();
            assert!(is_told(credentials.trim_ascii_start()));
        } else if name.eq_ignore_ascii_case(b"Cookie") {
            assert!(is_told(value));
        } else if name.eq_ignore_ascii_case(b"Sec-WebSocket-Protocol") {
            let offers = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            for token in offers.filter_map(|offer| offer.strip_prefix(b"framegate.bearer.")) {
                assert!(is_told(token));
            }
        }
    }
}

type Verdict<'s> = Result<Option<Head<'s>>, HeadError>;

fn bytes<'s>(head: Option<Head<'s>>) -> Option<&'s [u8]> {
    head.map(Head::bytes)
}

/// What the scanner says when `stream` comes up to these ends, one after another, and at
/// which it says so.
fn scan(stream: &[u8], ends: impl Iterator<Item = usize>) -> (Verdict<'_>, usize) {
    let mut scanner = HeadScanner::default();
    for end in ends {
        let verdict = scanner.scan(&stream[..end]);
        if !matches!(verdict, Ok(None)) {
            // It has said all it will ever say, and does no more work.
            assert_eq!(scanner.scan(stream).map(bytes), verdict.map(bytes));
            return (verdict, end);
        }
        assert!(end < HEAD_BYTES_MAX);
    }
    (Ok(None), stream.len())
}

/// The length of the head that `stream` begins with: RFC 9112 §2 to §5, as strict as we are,
/// over whole lines.
fn model(stream: &[u8]) -> Option<usize> {
    // RFC 9112 §2.2: one empty line ahead of it is passed over.
    let start = if stream.starts_with(b"\r\n") { 2 } else { 0 };
    let blank_line = stream[start..]
        .windows(4)
        .position(|window| window == b"\r\n\r\n")?;
    let end = start + blank_line;
    let head_bytes = end + 4;
    let mut lines = stream[start..end + 2].split_inclusive(|byte| *byte == b'\n');
    let is_sound = head_bytes <= HEAD_BYTES_MAX
        && lines.next().and_then(content).is_some_and(is_request_line)
        && lines.clone().count() <= HEAD_FIELDS_MAX
        && lines.all(|line| content(line).is_some_and(is_field));
    is_sound.then_some(head_bytes)
}

/// A line without its end, and without a CR or LF in it.
fn content(line: &[u8]) -> Option<&[u8]> {
    let content = line.strip_suffix(b"\r\n")?;
    (!content.contains(&b'\r')).then_some(content)
}

fn is_request_line(line: &[u8]) -> bool {
    let words: Vec<_> = line.split(|byte| *byte == b' ').collect();
    let [method, target, version] = words[..] else {
        return false;
    };
    is_token(method)
        && !target.is_empty()
        && target.iter().all(u8::is_ascii_graphic)
        && matches!(version, b"HTTP/1.1" | b"HTTP/1.0")
}

fn is_field(line: &[u8]) -> bool {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return false;
    };
    let is_value_byte = |byte: &u8| *byte == b'\t' || !byte.is_ascii_control();
    is_token(&line[..colon]) && line[colon..].iter().all(is_value_byte)
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(text: &[u8]) -> bool {
    let delimiters = br#""(),/:;<=>?@[\]{}"#;
    let is_tchar = |byte: &u8| byte.is_ascii_graphic() && !delimiters.contains(byte);
    !text.is_empty() && text.iter().all(is_tchar)
}
