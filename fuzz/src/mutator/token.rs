//! A token's header and claims, changed and signed again.

use serde_json::{Map, Value, json};

use super::Plain;
use super::random::Random;
use crate::exchange::{Known, SECRET};
use crate::reference::decode;
use crate::token::sign;

/// A token of a user, good from the start of a script on.
pub(super) fn new(random: &mut Random, known: &Known) -> String {
    let now = known.start.0;
    let claims = json!({"sub": random.user(known), "iat": now, "exp": now + 3_600});
    signed(&header().to_string(), &claims.to_string())
}

/// The token, changed in its header or its claims and signed; now and then, in its signature.
pub(super) fn changed(
    token: &str,
    random: &mut Random,
    known: &Known,
    plain: &mut Plain<'_>,
) -> String {
    let mut parts = token
        .split('.')
        .map(|part| decode(part).unwrap_or_default());
    let (header, claims) = (
        parts.next().unwrap_or_default(),
        parts.next().unwrap_or_default(),
    );
    let part = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
    match random.below(16) {
        0 => with_another_signature(token, random),
        1 => signed(&changed_text(header, plain), &part(&claims)),
        2..=3 => signed(&part(&header), &changed_text(claims, plain)),
        4 => signed(&changed_header(&header, random).to_string(), &part(&claims)),
        5 => new(random, known),
        _ => {
            let claims = changed_claims(&claims, random, known);
            signed(&part(&header), &claims.to_string())
        }
    }
}

/// Changes the token of a head, or puts one there.
pub(super) fn change_in_head(
    head: &mut Vec<u8>,
    random: &mut Random,
    known: &Known,
    plain: &mut Plain<'_>,
) {
    const NAMES: [&[u8]; 2] = [b"Bearer ", b"framegate.bearer."];
    for name in NAMES {
        let Some(at) = head.windows(name.len()).position(|window| window == name) else {
            continue;
        };
        let start = at + name.len();
        let rest = head[start..].iter();
        let token_bytes = rest.take_while(|byte| !b"\r, ".contains(byte)).count();
        let token = String::from_utf8_lossy(&head[start..start + token_bytes]).into_owned();
        let token = changed(&token, random, known, plain);
        head.splice(start..start + token_bytes, token.into_bytes());
        return;
    }
    let token = new(random, known);
    let line = match random.below(2) {
        0 => format!("Authorization: Bearer {token}\r\n"),
        _ => format!("Sec-WebSocket-Protocol: framegate.v1, framegate.bearer.{token}\r\n"),
    };
    // Ahead of the empty line.
    let at = head.len().saturating_sub(2);
    head.splice(at..at, line.into_bytes());
}

fn signed(header: &str, claims: &str) -> String {
    sign(SECRET, header.as_bytes(), claims.as_bytes())
}

fn header() -> Value {
    json!({"alg": "HS256", "typ": "JWT"})
}

fn changed_text(mut text: Vec<u8>, plain: &mut Plain<'_>) -> String {
    plain(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

fn changed_header(text: &[u8], random: &mut Random) -> Value {
    let mut header = object(text).unwrap_or_default();
    let name = random.one_of(&["alg", "typ", "cty", "kid", "crit", "jwk", "b64", "zip"]);
    let value = random.one_of(&[
        "HS256", "hs256", "none", "HS512", "RS256", "JWT", "at+jwt", "",
    ]);
    match random.below(4) {
        0 => _ = header.remove(name),
        1 => _ = header.insert(name.to_owned(), json!([value])),
        _ => _ = header.insert(name.to_owned(), value.into()),
    }
    Value::Object(header)
}

fn changed_claims(text: &[u8], random: &mut Random, known: &Known) -> Value {
    let mut claims = object(text).unwrap_or_default();
    let name = random.one_of(&["sub", "exp", "iat", "nbf", "iss", "aud", "jti", "other"]);
    let value = match (name, random.below(8)) {
        (_, 0) => return removed(claims, name),
        (_, 1) => random.one_of(&["", "0", "1800000000"]).into(),
        ("sub", 2) => "x".repeat(random.one_of(&[0, 1, 127, 128, 129])).into(),
        ("sub", _) => random.user(known).into(),
        ("exp" | "iat" | "nbf", _) => date(random, known),
        (_, 2) => json!([random.user(known), "b"]),
        _ => random
            .one_of(&["framegate", "https://a.example", "é"])
            .into(),
    };
    claims.insert(name.to_owned(), value);
    Value::Object(claims)
}

fn removed(mut claims: Map<String, Value>, name: &str) -> Value {
    claims.remove(name);
    Value::Object(claims)
}

/// A date around those that decide.
fn date(random: &mut Random, known: &Known) -> Value {
    const AWAY: [i64; 9] = [0, 1, 30, 60, 61, 300, 3_600, 86_400 * 365, 253_402_300_799];
    let away = random.one_of(&AWAY) * random.one_of(&[1, -1]);
    let date = (known.start.0 as i64).saturating_add(away);
    match random.below(8) {
        0 => (date as f64 + 0.5).into(),
        1 => json!(u64::MAX),
        2 => away.into(),
        _ => date.into(),
    }
}

/// Makes the good tokens in `bytes`, which were made in one world, tokens of another: as old there, and of
/// its users.
pub(super) fn move_all(bytes: &mut Vec<u8>, from: &Known, to: &Known) {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let mut moved = Vec::with_capacity(bytes.len());
    for run in bytes.chunk_by(|one, next| is_part(one) && is_part(next)) {
        let text = str::from_utf8(run).unwrap_or_default();
        // A name may stand ahead of a token, as `framegate.bearer.` does.
        let start = text.rmatch_indices('.').nth(2).map_or(0, |(at, _)| at + 1);
        match moved_token(&text[start..], from, to) {
            Some(token) => {
                moved.extend(&run[..start]);
                moved.extend(token.into_bytes());
            }
            None => moved.extend(run),
        }
    }
    *bytes = moved;
}

/// As [`move_all`], of one; `None` of what is no good token.
fn moved_token(token: &str, from: &Known, to: &Known) -> Option<String> {
    let (header, rest) = token.split_once('.')?;
    let (claims, _) = rest.split_once('.')?;
    let (header, claims) = (decode(header)?, decode(claims)?);
    if sign(SECRET, &header, &claims) != token {
        return None;
    }
    let old = object(&claims)?;
    let mut claims = old.clone();
    for name in ["iat", "nbf", "exp"] {
        if let Some(date) = claims.get(name).and_then(Value::as_u64) {
            let date = date.saturating_add(to.start.0).saturating_sub(from.start.0);
            claims.insert(name.to_owned(), date.into());
        }
    }
    if let Some(subject) = claims.get("sub").and_then(Value::as_str)
        && let Some(number) = from.users.iter().position(|user| **user == *subject)
        && !to.users.iter().any(|user| **user == *subject)
    {
        let user = &*to.users[number % to.users.len()];
        claims.insert("sub".to_owned(), user.into());
    }
    (claims != old).then(|| {
        let claims = Value::Object(claims).to_string();
        sign(SECRET, &header, claims.as_bytes())
    })
}

fn with_another_signature(token: &str, random: &mut Random) -> String {
    let (message, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    match random.below(5) {
        0 => format!("{message}."),
        1 => format!("{token}A"),
        2 => format!("{message}.{}", signature.get(1..).unwrap_or_default()),
        3 => format!("{message}.{}", signature.replace('A', "B")),
        _ => sign(
            b"the secret of somebody else, no shorter",
            header().to_string().as_bytes(),
            b"{}",
        ),
    }
}

fn object(text: &[u8]) -> Option<Map<String, Value>> {
    match serde_json::from_slice(text) {
        Ok(Value::Object(members)) => Some(members),
        _ => None,
    }
}
