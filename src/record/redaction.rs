//! What a recording shows of what peers send: what the core reads, without its secrets, in as many
//! bytes. Replay tokens stand for tokens and a placeholder for a password; for what the core does not
//! read, or refuses, stands what it reads as little, or refuses for the same reason. What stands as it
//! came is listed in docs/operations.md. What was redacted before is redacted to itself.

use crate::gate::{Envelope, ReplayTokens};
use crate::json::{self, JsonError};
use crate::limits::SUBJECT_BYTES_MAX;
use crate::wire::{Head, fill_sensitive};

/// A whole head.
pub(super) fn head(tokens: &ReplayTokens, head: Head<'_>) -> Vec<u8> {
    let mut out = head.bytes().to_vec();
    tokens.replace_in(&mut out);
    fill_sensitive(head, &mut out, |token| tokens.token_for(token));
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
    let token = envelope.token.as_deref();
    let is_let_in = token.is_some_and(|token| tokens.are_for(token));
    let event = &*envelope.event;
    let data = envelope.data.and_then(|data| match event {
        "login" => Some(members(data, &["id", "password"])),
        "getUser" if is_let_in => Some(members(data, &["id"])),
        // Others hear it as it is.
        "message" if is_let_in => Some(data.to_owned()),
        _ => None,
    });
    let is_for_one = event == "message" && is_let_in;
    let to = envelope.to.filter(|_| is_for_one).map(|to| string(&to));
    let id = envelope.id.map(str::to_owned);
    let mut out = format!(r#"{{"event":{}"#, string(event));
    for (name, value) in [("id", id), ("to", to), ("data", data)] {
        if let Some(value) = value {
            out += &format!(r#","{name}":{value}"#);
        }
    }
    let mut out = out.into_bytes();
    tokens.replace_in(&mut out);
    if let Some(token) = token {
        let token = tokens.token_for(token);
        out.extend(format!(r#","token":{}"#, string(&token)).bytes());
    }
    out.push(b'}');
    out
}

/// The body of a `POST /login`.
pub(super) fn body(tokens: &ReplayTokens, bytes: &[u8]) -> Vec<u8> {
    let mut out = match str::from_utf8(bytes) {
        Ok(text) => members(text, &["id", "password"]).into_bytes(),
        Err(_) => vec![0xFF],
    };
    tokens.replace_in(&mut out);
    out.resize(bytes.len(), b' ');
    out
}

/// A string of JSON, in the shortest writing. Every text is one.
fn string(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// The members of data that are read of it, those of a login; `0` for what is no object.
fn members(data: &str, names: &[&str]) -> String {
    let mut shown = Vec::new();
    let read = json::members_seldom::<JsonError>(data, |name, value| {
        let text = match name {
            _ if !names.contains(&name) || !value.is_string() => None,
            "password" => value.secret_string().map(|text| placeholder(&text)),
            // One that is too long is nobody's, and is not decoded.
            _ => Some(match value.short_string(SUBJECT_BYTES_MAX) {
                Some(id) => id.into_owned(),
                None => "x".repeat(SUBJECT_BYTES_MAX + 1),
            }),
        };
        shown.extend(text.map(|text| format!(r#""{name}":{}"#, string(&text))));
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
