//! What an endpoint makes of a stream that comes in pieces, and what tungstenite makes of one.

use std::io::{self, Cursor, Read, Write};

use tungstenite::protocol::frame::CloseFrame;
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Error, Message, WebSocket};

use crate::told::assert_brief;
use framegate::internals::wire::{CloseCode, Endpoint, Event, MessageRules, Violation};

/// What a receiver saw.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) events: Vec<Event<'static>>,
    pub(super) verdict: Result<(), Violation>,
}

/// Feeds the pieces of `stream` that end at `ends` to a fresh endpoint. Gives the end of the
/// piece it was over with, the stream's where it was not.
pub(super) fn receive(
    stream: &[u8],
    ends: impl IntoIterator<Item = usize>,
    rules: MessageRules,
) -> (Seen, usize) {
    let mut endpoint = Endpoint::default();
    let (mut events, mut start, mut idle_at) = (Vec::new(), 0, 0);
    for end in ends {
        let mut piece = stream[start..end].to_vec();
        let verdict = receive_piece(&mut endpoint, &mut piece, rules, &mut events);
        assert_eq!(endpoint.is_over(), verdict.is_err() || is_closed(&events));
        if endpoint.is_over() {
            assert_over(endpoint, rules, verdict);
            return (Seen { events, verdict }, end);
        }
        // All that it may hold came since it last held nothing.
        assert!(endpoint.held_bytes() <= 2 * (end - idle_at) + HELD_BESIDE_BYTES_MAX);
        if !endpoint.is_unfinished() {
            assert_eq!(endpoint.held_bytes(), 0);
            idle_at = end;
        }
        start = end;
    }
    assert_brief(&endpoint);
    let verdict = Ok(());
    (Seen { events, verdict }, stream.len())
}

/// What an endpoint with something unfinished holds beside the bytes of it.
const HELD_BESIDE_BYTES_MAX: usize = 256;

fn receive_piece(
    endpoint: &mut Endpoint,
    mut piece: &mut [u8],
    rules: MessageRules,
    events: &mut Vec<Event<'static>>,
) -> Result<(), Violation> {
    while let Some(event) = endpoint.next(&mut piece, rules)? {
        events.push(event.into_owned());
    }
    assert!(piece.is_empty());
    Ok(())
}

fn is_closed(events: &[Event<'_>]) -> bool {
    matches!(events.last(), Some(Event::Close(_)))
}

/// Nothing that comes after a Close or a violation is read, and nothing is held.
fn assert_over(mut endpoint: Endpoint, rules: MessageRules, verdict: Result<(), Violation>) {
    assert_brief(&endpoint);
    let mut more: &mut [u8] = &mut [0x81, 0x80, 0, 0, 0, 0];
    assert_eq!(
        endpoint.next(&mut more, rules).map(|event| event.is_none()),
        verdict.map(|()| true)
    );
    assert!(more.is_empty());
    assert_eq!(
        (endpoint.held_bytes(), endpoint.is_unfinished()),
        (0, false)
    );
}

/// The messages tungstenite reads from `stream`, up to a Close, and why there is no more.
pub(super) fn tungstenite(
    stream: &[u8],
    role: Role,
    bytes_max: usize,
) -> (Vec<Message>, Option<Error>) {
    let config = WebSocketConfig::default()
        .read_buffer_size(1_024)
        .max_message_size(Some(bytes_max))
        .max_frame_size(Some(bytes_max));
    let mut socket = WebSocket::from_raw_socket(OneWay(Cursor::new(stream)), role, Some(config));
    let mut messages = Vec::new();
    loop {
        match socket.read() {
            Ok(message) => {
                let is_last = message.is_close();
                messages.push(message);
                if is_last {
                    return (messages, None);
                }
            }
            Err(error) => return (messages, Some(error)),
        }
    }
}

/// The events as tungstenite would tell them; it does not tell of fragments.
pub(super) fn messages(events: &[Event<'_>]) -> Vec<Message> {
    events.iter().filter_map(message).collect()
}

fn message(event: &Event<'_>) -> Option<Message> {
    Some(match event {
        Event::Text(text) => Message::text(&**text),
        Event::Binary(bytes) => Message::binary(bytes.to_vec()),
        Event::Ping(payload) => Message::Ping(payload.to_vec().into()),
        Event::Pong(payload) => Message::Pong(payload.to_vec().into()),
        Event::Close(None) => Message::Close(None),
        // Registered since (RFC 6455 §7.4): tungstenite takes it for a code that must not be sent,
        // and gives what it would answer.
        Event::Close(Some((code, _))) if code.value() == 1_014 => {
            close_message(CloseCode::PROTOCOL_ERROR, "Protocol violation")
        }
        Event::Close(Some((code, reason))) => close_message(*code, reason),
        Event::Fragment => return None,
    })
}

pub(super) fn close_message(code: CloseCode, reason: &str) -> Message {
    Message::Close(Some(CloseFrame {
        code: code.value().into(),
        reason: reason.into(),
    }))
}

/// A stream that is read to its end, and takes whatever is written.
struct OneWay<'s>(Cursor<&'s [u8]>);

impl Read for OneWay<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for OneWay<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
