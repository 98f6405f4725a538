//! The text of a message: its members, and the token in it.

use std::ops::Range;

use serde_json::{Map, Value, json};

use super::Plain;
use super::random::Random;
use super::token;
use crate::exchange::Known;

const EVENTS: [&str; 8] = [
    "login", "refresh", "logout", "getUser", "message", "", "none", "error",
];

/// A message with a good token.
pub(super) fn new(random: &mut Random, known: &Known) -> Vec<u8> {
    let mut members = Map::new();
    members.insert("token".to_owned(), token::new(random, known).into());
    members.insert("event".to_owned(), random.one_of(&EVENTS).into());
    members.insert("data".to_owned(), data(random, known));
    Value::Object(members).to_string().into_bytes()
}

/// Changes a member, or how the text is written.
pub(super) fn change(
    text: &mut Vec<u8>,
    random: &mut Random,
    known: &Known,
    plain: &mut Plain<'_>,
) {
    let Some(mut members) = members(text) else {
        *text = new(random, known);
        return;
    };
    let member = random.one_of(&["event", "id", "to", "data", "token", "other"]);
    match random.below(8) {
        0 => _ = members.remove(member),
        1 => return again(text, random),
        2 => return plain(text),
        3 => {
            let value = members.entry(member).or_insert(Value::Null);
            let mut written = value.to_string().into_bytes();
            plain(&mut written);
            // What is no JSON any more is a string.
            *value = serde_json::from_slice(&written)
                .unwrap_or_else(|_| String::from_utf8_lossy(&written).into());
        }
        _ => _ = members.insert(member.to_owned(), value(member, random, known)),
    }
    *text = Value::Object(members).to_string().into_bytes();
}

/// Changes the token, and signs it again. The rest of the text stays as it is.
pub(super) fn change_token(
    text: &mut Vec<u8>,
    random: &mut Random,
    known: &Known,
    plain: &mut Plain<'_>,
) {
    let Some(mut members) = members(text) else {
        *text = new(random, known);
        return;
    };
    let old = members.get("token").and_then(Value::as_str);
    let token = match old {
        Some(old) => token::changed(old, random, known, plain),
        None => token::new(random, known),
    };
    let place = old.and_then(|old| place_of(old, text));
    let quoted = Value::from(token);
    match place {
        Some(place) => _ = text.splice(place, quoted.to_string().into_bytes()),
        None => {
            members.insert("token".to_owned(), quoted);
            *text = Value::Object(members).to_string().into_bytes();
        }
    }
}

/// Where a string stands in a text, with its quotation marks.
fn place_of(string: &str, text: &[u8]) -> Option<Range<usize>> {
    let quoted = Value::from(string).to_string().into_bytes();
    let at = text
        .windows(quoted.len())
        .rposition(|part| part == quoted)?;
    Some(at..at + quoted.len())
}

fn members(text: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}

/// A value that the member may have, or may nearly have.
fn value(member: &str, random: &mut Random, known: &Known) -> Value {
    match (member, random.below(8)) {
        (_, 0) => random_value(random),
        ("event", _) => random.one_of(&EVENTS).into(),
        ("id", 1..=3) => random.below(1_000).into(),
        ("to", _) => random.user(known).into(),
        ("data", _) => data(random, known),
        ("token", _) => token::new(random, known).into(),
        _ => "x"
            .repeat(random.one_of(&[0, 1, 63, 64, 65, 128, 129]))
            .into(),
    }
}

/// What an event may take.
fn data(random: &mut Random, known: &Known) -> Value {
    let user = random.user(known);
    match random.below(6) {
        0 => json!({"id": user, "password": format!("password of {user}")}),
        1 => json!({"id": user, "password": "wrong"}),
        2 => json!({"id": user}),
        3 => json!({}),
        4 => "x".repeat(random.one_of(&[1, 100, 1_000, 4_000])).into(),
        _ => random_value(random),
    }
}

fn random_value(random: &mut Random) -> Value {
    match random.below(7) {
        0 => Value::Null,
        1 => true.into(),
        2 => random.one_of(&[0, -1, 1, i64::MAX]).into(),
        3 => 0.5.into(),
        4 => json!([]),
        5 => (0..random.one_of(&[1, 30, 31, 32, 33])).fold(json!(1), |inner, _| json!([inner])),
        _ => "\u{0}\u{e9}\u{1f600}\"\\".into(),
    }
}

/// Writes the same, or nearly, in another way.
fn again(text: &mut Vec<u8>, random: &mut Random) {
    let at = random.below(text.len() + 1);
    match (random.below(4), text.get(at)) {
        // White space, which may stand anywhere between.
        (0, _) => _ = text.splice(at..at, *b" \t"),
        // A letter, escaped.
        (1, Some(letter)) if letter.is_ascii_alphanumeric() => {
            let escaped = format!("\\u{letter:04x}").into_bytes();
            text.splice(at..=at, escaped);
        }
        // A member twice.
        (2, _) if text.starts_with(b"{") => _ = text.splice(1..1, *b"\"event\":\"message\","),
        _ => text.truncate(at),
    }
}
