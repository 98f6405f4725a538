//! Bytes as a client sends them, read by the endpoint and by tungstenite.

use tungstenite::error::ProtocolError;
use tungstenite::protocol::Role;
use tungstenite::{Error, Message};

use super::receiver::{Seen, close_message, messages, receive, tungstenite};
use super::{ends, split_line};
use crate::told::{assert_brief, assert_told};
use framegate::internals::limits::FRAME_HEADER_BYTES_MAX;
use framegate::internals::wire::frame::{self, Header, Opcode};
use framegate::internals::wire::{Event, MessageRules, Violation};

/// Small, so that small inputs pass the bounds.
const RULES: MessageRules = MessageRules {
    bytes_max: 300,
    fragments_max: 4,
    binary: true,
};

/// However a stream is cut, the endpoint gives the same events and the same verdict, at the
/// same byte, and holds no more than it must; what it gives is what tungstenite gives; and
/// tungstenite reads all of it back from the frames we write.
pub fn frames(input: &[u8]) {
    let (lengths, stream) = split_line(input);
    let (seen, over_at) = receive(stream, 1..=stream.len(), RULES);
    let (whole, _) = receive(stream, ends(stream.len(), &[]), RULES);
    let (cut, cut_over_at) = receive(stream, ends(stream.len(), lengths), RULES);
    assert_eq!(whole, seen, "whole");
    assert_eq!(cut, seen, "cut");
    let expected = ends(stream.len(), lengths).find(|end| *end >= over_at);
    assert_eq!(cut_over_at, expected.unwrap_or_default());
    assert_header(stream);
    assert_agreed(stream, &seen);
    assert_written(&seen);
    for event in &seen.events {
        assert_brief(event);
    }
}

/// A header is judged at the byte that decides it, whatever comes after.
fn assert_header(stream: &[u8]) {
    let decode = |bytes: &[u8]| Header::decode(bytes, |_| Ok(RULES.bytes_max));
    let whole = decode(stream);
    for end in 0..=stream.len().min(FRAME_HEADER_BYTES_MAX) {
        let verdict = decode(&stream[..end]);
        assert!(verdict == Ok(None) || verdict == whole, "at {end}");
    }
}

/// The two differ, on purpose, in this:
///
/// * We judge a frame by its first byte that shows it wrong; tungstenite waits for all of it.
///   So what is refused by us is completed, with zeros, for tungstenite.
/// * Lengths that are not in the shortest form it takes (RFC 6455 §5.2 forbids them); those of
///   control frames too, which we refuse by their form alone.
/// * It has no bound on the fragments of a message.
/// * A Close whose code must not be sent it does not refuse: it gives it as one of 1002. So it does
///   with 1014, which we take.
fn assert_agreed(stream: &[u8], seen: &Seen) {
    let ours = messages(&seen.events);
    let (mut theirs, error) = match seen.verdict {
        Ok(()) => tungstenite(stream, Role::Server, RULES.bytes_max),
        Err(_) => {
            let rest = vec![0; FRAME_HEADER_BYTES_MAX + RULES.bytes_max];
            let stream = [stream, &rest].concat();
            tungstenite(&stream, Role::Server, RULES.bytes_max)
        }
    };
    match seen.verdict {
        Ok(()) => {
            assert!(error.is_none_or(|error| is_end_of_stream(&error)));
        }
        Err(Violation::Length | Violation::ControlTooLong | Violation::TooManyFragments) => {
            theirs.truncate(ours.len())
        }
        Err(Violation::CloseCode) if error.is_none() => {
            let close = theirs.pop();
            let code = match &close {
                Some(Message::Close(Some(close))) => Some(u16::from(close.code)),
                _ => None,
            };
            assert_eq!(code, Some(1002));
        }
        Err(violation) => {
            let is_refused = error.is_some_and(|error| !is_end_of_stream(&error));
            assert!(is_refused, "{violation:?}");
        }
    }
    assert_eq!(theirs, ours);
}

fn is_end_of_stream(error: &Error) -> bool {
    matches!(
        error,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)
    )
}

/// What was received, written by us as a server and read by tungstenite as a client, is the
/// same again; and what it is refused for is told in a Close.
fn assert_written(seen: &Seen) {
    let (mut out, mut expected) = (Vec::new(), messages(&seen.events));
    for event in &seen.events {
        match event {
            Event::Text(text) => frame::write(&mut out, Opcode::Text, text.as_bytes()),
            Event::Binary(bytes) => {
                frame::write_with(&mut out, Opcode::Binary, |out| {
                    out.extend_from_slice(bytes);
                });
                if bytes.len() == RULES.bytes_max {
                    assert_written_long(bytes);
                }
            }
            Event::Fragment => {}
            Event::Ping(payload) => frame::write_ping(&mut out, payload),
            Event::Pong(payload) => frame::write_pong(&mut out, payload),
            Event::Close(None) => frame::write_close(&mut out, None),
            Event::Close(Some((code, reason))) => {
                frame::write_close(&mut out, Some((*code, reason)));
            }
        }
    }
    if let Err(violation) = seen.verdict {
        assert_told(violation.word(), &violation);
        let (code, reason) = (violation.close_code(), violation.to_string());
        frame::write_close(&mut out, Some((code, &reason)));
        expected.push(close_message(code, &reason));
    }
    let (theirs, _) = tungstenite(&out, Role::Client, RULES.bytes_max);
    assert_eq!(theirs, expected);
}

/// A message that two bytes cannot say the length of: this one, over and over.
fn assert_written_long(bytes: &[u8]) {
    let long = bytes.repeat(1 + usize::from(u16::MAX) / bytes.len());
    let (mut out, mut filled) = (Vec::new(), Vec::new());
    frame::write(&mut out, Opcode::Binary, &long);
    frame::write_with(&mut filled, Opcode::Binary, |out| {
        out.extend_from_slice(&long);
    });
    assert!(filled == out);
    let (theirs, _) = tungstenite(&out, Role::Client, long.len());
    assert!(theirs == [Message::binary(long)]);
}
