//! What is recorded of what peers send. What the core does not read is filled up; what it reads
//! stays, but that stand-ins take the place of tokens, and filler that of passwords. Nothing
//! changes its length, its form, or what the core makes of it; and what was scrubbed before is
//! scrubbed to itself.

use std::ops::Range;

use super::filler::{blank, blank_value, fill, write_string};
use super::mask::mask;
use crate::gate::ReplayTokens;
use crate::gate::json::{self, JsonError, Value};
use crate::wire::head::is_token_byte;

/// The fields of a request that the core reads and that are no secret.
const FIELDS: &[&str] = &[
    "host",
    "origin",
    "connection",
    "upgrade",
    "content-length",
    "transfer-encoding",
    "expect",
    "sec-websocket-key",
    "sec-websocket-version",
    "forwarded",
    "x-forwarded-for",
];
/// The subprotocol that we speak.
const SUBPROTOCOL: &[u8] = b"framegate.v1";
/// What stands before a token that is offered as a subprotocol.
const BEARER_PREFIX: &[u8] = b"framegate.bearer.";

/// Scrubs what the peers of one server send.
pub(super) struct Scrubber {
    tokens: ReplayTokens,
}

impl Scrubber {
    pub(super) fn new(tokens: ReplayTokens) -> Scrubber {
        Scrubber { tokens }
    }

    /// A request's head, or as much of it as showed that it is none.
    pub(super) fn head(&self, head: &mut [u8]) {
        // RFC 9112 §2.2: an empty line may stand ahead of the request line.
        let empty_bytes = if head.starts_with(b"\r\n") { 2 } else { 0 };
        let mut lines = head[empty_bytes..].split_mut(|byte| *byte == b'\n');
        if let Some(request_line) = lines.next() {
            scrub_target(request_line);
        }
        for line in lines {
            if let Some(colon) = line.iter().position(|byte| *byte == b':') {
                let (name, value) = line.split_at_mut(colon);
                self.field(name, &mut value[1..]);
            }
        }
    }

    fn field(&self, name: &[u8], value: &mut [u8]) {
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        let value = trimmed(value);
        if is("authorization") {
            self.authorization(value);
        } else if is("sec-websocket-protocol") {
            for element in value.split_mut(|byte| *byte == b',') {
                self.subprotocol(trimmed(element));
            }
        } else if FIELDS.iter().any(|field| is(field)) {
            mask(value);
        } else {
            blank_value(value);
        }
    }

    /// RFC 9110 §11.4: credentials = auth-scheme 1*SP token68. What is of another scheme is not
    /// read, nor that scheme's name, which may be a token that stands alone.
    fn authorization(&self, value: &mut [u8]) {
        let is_other = |byte: &u8| !is_token_byte(*byte);
        let scheme_bytes = value.iter().position(is_other).unwrap_or(value.len());
        let (scheme, rest) = value.split_at_mut(scheme_bytes);
        if !scheme.eq_ignore_ascii_case(b"bearer") {
            return blank(value);
        }
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        let credentials = &mut rest[spaces..];
        // RFC 9110 §5.5: at a byte that no value may hold, the head is refused.
        let is_refused = |byte: &u8| byte.is_ascii_control() && *byte != b'\t';
        match str::from_utf8(credentials) {
            Ok(token) if spaces > 0 && !token.as_bytes().iter().any(is_refused) => {
                let replay_token = self.tokens.token_for(token);
                credentials.copy_from_slice(replay_token.as_bytes());
            }
            // What ends the scheme's name stays.
            _ if spaces == 0 => blank(credentials.get_mut(1..).unwrap_or_default()),
            _ => blank(credentials),
        }
    }

    /// RFC 6455 §11.3.4: the elements are tokens; one that is not is refused for that.
    fn subprotocol(&self, element: &mut [u8]) {
        let token = element
            .strip_prefix(BEARER_PREFIX)
            .filter(|token| token.iter().copied().all(is_token_byte))
            .and_then(|token| str::from_utf8(token).ok());
        if let Some(token) = token {
            let replay_token = self.tokens.token_for(token);
            element[BEARER_PREFIX.len()..].copy_from_slice(replay_token.as_bytes());
        } else if element != SUBPROTOCOL {
            // It may be a part of a token, in which a comma stands.
            let behind = element
                .strip_prefix(BEARER_PREFIX)
                .map_or(0, |_| BEARER_PREFIX.len());
            let letters = element[behind..].iter_mut();
            letters
                .filter(|byte| byte.is_ascii_alphanumeric())
                .for_each(|letter| *letter = b'x');
        }
    }

    /// The text of one message.
    pub(super) fn message(&self, bytes: &mut [u8]) {
        match str::from_utf8(bytes).map(|text| self.judge_frame(text)) {
            Ok(Ok(parts)) => parts.apply(bytes),
            // Of a frame that is refused for its JSON, the core knows how it fails alone.
            Ok(Err(JsonError::Syntax)) | Err(_) => blank(bytes),
            Ok(Err(_)) => fill(bytes),
        }
    }

    /// The body of a `POST /login`.
    pub(super) fn login_body(&self, bytes: &mut [u8]) {
        let parts = str::from_utf8(bytes).map(|text| {
            let mut parts = Parts::default();
            parts.take_login(text, 0..text.len()).map(|()| parts)
        });
        match parts {
            Ok(Ok(parts)) => parts.apply(bytes),
            // Whatever is wrong with it, it is answered in one way.
            Ok(Err(_)) | Err(_) => blank(bytes),
        }
    }

    fn judge_frame(&self, text: &str) -> Result<Parts, JsonError> {
        let mut parts = Parts::default();
        let (mut is_message, mut data) = (false, None);
        json::members::<JsonError>(text, |name, value| {
            let place = place_in(text, value);
            match name {
                "event" => is_message = value.string().is_some_and(|event| event == "message"),
                "id" | "to" => {}
                "data" => data = Some(place),
                "token" => match value.string() {
                    Some(token) => {
                        let replay_token = self.tokens.token_for(&token);
                        parts.tokens.push((place, replay_token));
                    }
                    None => parts.unread.push(place),
                },
                _ => parts.unread.push(place),
            }
            Ok(())
        })?;
        match data {
            // Others hear it as it is.
            Some(_) if is_message => {}
            Some(data) => parts.take_data(text, data),
            None => {}
        }
        Ok(parts)
    }
}

/// Where in a text what is that does not stay.
#[derive(Default)]
struct Parts {
    /// JSON strings, with the stand-ins for what they hold.
    tokens: Vec<(Range<usize>, String)>,
    /// JSON values that the core does not look into, or only at their length.
    unread: Vec<Range<usize>>,
}

impl Parts {
    /// The data of an event other than `message`: its `id` is all that is read as it stands.
    fn take_data(&mut self, text: &str, data: Range<usize>) {
        if self.take_login(text, data.clone()).is_err() {
            self.unread.push(data);
        }
    }

    /// An object `{"id","password"}` at `place` in `text`.
    fn take_login(&mut self, text: &str, place: Range<usize>) -> Result<(), JsonError> {
        json::members(&text[place], |name, value| {
            if name != "id" || value.string().is_none() {
                self.unread.push(place_in(text, value));
            }
            Ok(())
        })
    }

    fn apply(self, bytes: &mut [u8]) {
        mask(bytes);
        for place in self.unread {
            fill(&mut bytes[place]);
        }
        for (place, replay_token) in self.tokens {
            write_string(&mut bytes[place], replay_token.as_bytes());
        }
    }
}

/// Where `value` stands in `text`, which it was lent from.
fn place_in(text: &str, value: Value<'_>) -> Range<usize> {
    let start = value.raw().as_ptr().addr() - text.as_ptr().addr();
    start..start + value.raw().len()
}

/// Nobody reads the query, nor who is named ahead of a host (for that the target is refused), and
/// some put secrets there.
fn scrub_target(request_line: &mut [u8]) {
    mask(request_line);
    let target = match request_line.iter().position(|byte| *byte == b' ') {
        Some(space) => &mut request_line[space + 1..],
        None => request_line,
    };
    let end = target.iter().position(|byte| *byte == b' ');
    let (target, _) = target.split_at_mut(end.unwrap_or(target.len()));
    let query_at = target.iter().position(|byte| *byte == b'?');
    let (target, query) = target.split_at_mut(query_at.unwrap_or(target.len()));
    if let Some(at) = target.windows(3).position(|window| window == b"://") {
        let mut authority = target[at + 3..].splitn_mut(2, |byte| *byte == b'/');
        let authority = authority.next().unwrap_or_default();
        let user_bytes = authority.iter().rposition(|byte| *byte == b'@');
        blank_value(&mut authority[..user_bytes.unwrap_or(0)]);
    }
    // RFC 3986 §3.4: a byte that no query may hold stays, for the head is refused there.
    for byte in query
        .iter_mut()
        .skip(1)
        .filter(|byte| byte.is_ascii_graphic())
    {
        *byte = b'x';
    }
}

fn trimmed(bytes: &mut [u8]) -> &mut [u8] {
    let end = bytes.trim_ascii_end().len();
    let start = end - bytes[..end].trim_ascii_start().len();
    &mut bytes[start..end]
}

#[cfg(test)]
mod tests;
