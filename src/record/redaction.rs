//! What a recording shows of what peers send: what the core reads, without its secrets, in as many
//! bytes. Replay tokens stand for tokens and a placeholder for a password; for what the core does
//! not read, or refuses, stands the shortest text that it reads as little, or refuses for the same
//! reason. What stands as it came is listed in docs/operations.md. What was redacted before is
//! redacted to itself.

use std::borrow::Cow;

use super::mask::mask;
use crate::gate::{Envelope, ReplayTokens};
use crate::json::{self, JsonError};
use crate::wire::{Head, Sensitive, sensitive};

/// A whole head.
pub(super) fn head(tokens: &ReplayTokens, head: Head<'_>) -> Vec<u8> {
    let text = head.bytes();
    let mut out = text.to_vec();
    mask(&mut out);
    for part in sensitive(head) {
        match part {
            Sensitive::Token(token) => {
                let place = place(&mut out, text, token.as_bytes());
                place.copy_from_slice(tokens.token_for(token).as_bytes());
            }
            Sensitive::Compared(part) => place(&mut out, text, part).copy_from_slice(part),
            Sensitive::Refused(part) => place(&mut out, text, part).fill(b'@'),
            Sensitive::Unread(part) => place(&mut out, text, part).fill(b'x'),
        }
    }
    out
}

/// The text of a message: what the gate reads of it.
pub(super) fn message(tokens: &ReplayTokens, text: &str) -> Vec<u8> {
    let mut out = match Envelope::parse(text) {
        Ok(parsed) => envelope(tokens, parsed),
        Err(error) => error.shortest_text().into_owned().into_bytes(),
    };
    out.resize(text.len(), b' ');
    out
}

fn envelope(tokens: &ReplayTokens, envelope: Envelope<'_>) -> Vec<u8> {
    let data = envelope.data.map(|data| match &*envelope.event {
        // Others hear its data as it is.
        "message" => data.to_owned(),
        _ => credentials(data),
    });
    let id = envelope.id.map(str::to_owned);
    let mut out = format!(r#"{{"event":{}"#, string(envelope.event));
    for (name, value) in [("id", id), ("to", envelope.to.map(string)), ("data", data)] {
        if let Some(value) = value {
            out += &format!(r#","{name}":{value}"#);
        }
    }
    let mut out = out.into_bytes();
    mask(&mut out);
    if let Some(token) = &envelope.token {
        let token = tokens.token_for(token).into();
        out.extend(format!(r#","token":{}"#, string(token)).bytes());
    }
    out.push(b'}');
    out
}

/// The body of a `POST /login`.
pub(super) fn body(bytes: &[u8]) -> Vec<u8> {
    let mut out = match str::from_utf8(bytes) {
        Ok(text) => credentials(text).into_bytes(),
        Err(_) => vec![0xFF],
    };
    mask(&mut out);
    out.resize(bytes.len(), b' ');
    out
}

/// Fills up all of a text but the bytes at which it is found to be none.
pub(super) fn blank(bytes: &mut [u8]) {
    let error = str::from_utf8(bytes).err();
    let bad_at = error.map_or(bytes.len(), |error| error.valid_up_to());
    let bad_bytes = error.and_then(|error| error.error_len());
    let rest_at = bad_bytes.map_or(bytes.len(), |bad_bytes| bad_at + bad_bytes);
    bytes[..bad_at].fill(b'x');
    bytes[rest_at..].fill(b'x');
}

/// Where `part`, which was lent from `text`, stands in a copy of that.
fn place<'a>(copy: &'a mut [u8], text: &[u8], part: &[u8]) -> &'a mut [u8] {
    let start = part.as_ptr().addr().wrapping_sub(text.as_ptr().addr());
    let place = copy.get_mut(start..start.wrapping_add(part.len()));
    place.unwrap_or_default()
}

/// A string that was read of JSON, written in the shortest way. Every text is a JSON string.
fn string(text: Cow<'_, str>) -> String {
    serde_json::to_string(&text).unwrap_or_default()
}

/// Data that is read as `{"id","password"}`, or less; `0` for what is no object.
fn credentials(data: &str) -> String {
    let mut shown = Vec::new();
    let read = json::members_seldom::<JsonError>(data, |name, value| {
        let text = match name {
            "id" => value.string(),
            "password" => value.secret_string().map(|text| placeholder(&text).into()),
            _ => None,
        };
        shown.extend(text.map(|text| format!(r#""{name}":{}"#, string(text))));
        Ok(())
    });
    match read {
        Ok(()) => format!("{{{}}}", shown.join(",")),
        Err(_) => "0".to_owned(),
    }
}

/// As long as the password; or empty, where it is none for what it holds.
fn placeholder(password: &str) -> String {
    let is_allowed = !password.contains('\0');
    "x".repeat(if is_allowed { password.len() } else { 0 })
}
