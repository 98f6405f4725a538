//! A second opinion on tokens: the contract's section on them, written once more without a look
//! at the gate, slow and plain. Of the gate it takes nothing but the settings, not a bound, and no
//! crate that the gate uses; where the two differ, one of them is wrong.

mod encoding;
mod hash;
mod json;

pub use encoding::{decode, encode};
pub use hash::hmac_sha256;
pub use json::{Json, object};

use framegate::internals::gate::ClaimRules;

/// What a token is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It lets its subject in.
    Accepted {
        /// `sub`.
        subject: String,
        /// `iat`, 0 where there is none.
        issued_at: u64,
        /// `exp`.
        expires_at: u64,
    },
    /// Right in all but `exp`, which has come.
    Expired,
    /// Anything else.
    Refused,
}

/// Judges `token` at the second `now`, under any of `keys`.
pub fn verdict(token: &str, keys: &[&[u8]], rules: &ClaimRules, now: u64) -> Verdict {
    let Some(claims) = signed_claims(token, keys).and_then(|claims| timeless(&claims, rules))
    else {
        return Verdict::Refused;
    };
    // Wide and signed, so that nothing here can wrap or saturate.
    let (now, leeway) = (i128::from(now), i128::from(rules.leeway_seconds));
    let begun = claims.not_before <= now + leeway && claims.issued_at <= now + leeway + 1;
    match (begun, claims.expires_at > now - leeway) {
        (false, _) => Verdict::Refused,
        (true, false) => Verdict::Expired,
        (true, true) => Verdict::Accepted {
            subject: claims.subject,
            issued_at: claims.issued_at as u64,
            expires_at: claims.expires_at as u64,
        },
    }
}

/// What the claims say, before anybody looks at a clock.
struct Claims {
    subject: String,
    expires_at: i128,
    not_before: i128,
    issued_at: i128,
}

type Members = [(String, Json)];

/// Steps 1 to 3 of the contract: form, MAC, header.
fn signed_claims(token: &str, keys: &[&[u8]]) -> Option<Vec<(String, Json)>> {
    require(token.len() <= 4_096)?;
    let parts: Vec<&str> = token.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        return None;
    };
    require(!header.is_empty() && !payload.is_empty() && !signature.is_empty())?;
    let tag = decode(signature)?;
    let message = format!("{header}.{payload}");
    let mut tags = keys.iter().map(|key| hmac_sha256(key, message.as_bytes()));
    require(tags.any(|own| own[..] == tag[..]))?;
    require(is_header(&text_object(header)?))?;
    text_object(payload)
}

fn text_object(part: &str) -> Option<Vec<(String, Json)>> {
    object(&String::from_utf8(decode(part)?).ok()?)
}

fn is_header(header: &Members) -> bool {
    let typ = match member(header, "typ") {
        None => true,
        Some(Json::Text(typ)) => typ.eq_ignore_ascii_case("JWT"),
        Some(_) => false,
    };
    let extensions = ["crit", "b64", "zip", "enc", "cty"];
    let extended = extensions.iter().any(|name| member(header, name).is_some());
    member(header, "alg") == Some(&Json::Text("HS256".into())) && typ && !extended
}

/// Step 4 of the contract, but for the clock.
fn timeless(claims: &Members, rules: &ClaimRules) -> Option<Claims> {
    require(is_from(claims, rules.issuer.as_deref()))?;
    require(is_for(claims, rules.audience.as_deref()))?;
    Some(Claims {
        subject: subject(claims)?,
        expires_at: date(member(claims, "exp")?)?,
        not_before: member(claims, "nbf").map_or(Some(0), date)?,
        issued_at: member(claims, "iat").map_or(Some(0), date)?,
    })
}

fn subject(claims: &Members) -> Option<String> {
    let Json::Text(subject) = member(claims, "sub")? else {
        return None;
    };
    let fits = (1..=128).contains(&subject.chars().count());
    let printable = subject.chars().all(|c| ('!'..='~').contains(&c));
    (fits && printable).then(|| subject.clone())
}

/// Digits and nothing else; JSON has seen to it that the first is no zero.
fn date(value: &Json) -> Option<i128> {
    let Json::Number(digits) = value else {
        return None;
    };
    require(digits.chars().all(|c| c.is_ascii_digit()))?;
    let seconds = digits.parse().ok()?;
    (1..=253_402_300_799).contains(&seconds).then_some(seconds)
}

/// Whether `iss` is what it must be. It is a string or absent, even where nobody asks for one
/// (RFC 7519 §4.1.1).
fn is_from(claims: &Members, issuer: Option<&str>) -> bool {
    match (member(claims, "iss"), issuer) {
        (None, None) => true,
        (Some(Json::Text(_)), None) => true,
        (Some(Json::Text(iss)), Some(issuer)) => iss == issuer,
        _ => false,
    }
}

/// Whether `aud` is what it must be: a string or an array of strings (RFC 7519 §4.1.3).
fn is_for(claims: &Members, audience: Option<&str>) -> bool {
    let (Some(aud), Some(audience)) = (member(claims, "aud"), audience) else {
        return member(claims, "aud").is_none() && audience.is_none();
    };
    let audience = Json::Text(audience.into());
    match aud {
        Json::Array(names) => {
            let are_texts = names.iter().all(|name| matches!(name, Json::Text(_)));
            are_texts && names.contains(&audience)
        }
        name => *name == audience,
    }
}

/// The member's value. There is one of a name at most: [`object`] sees to it.
fn member<'a>(members: &'a Members, name: &str) -> Option<&'a Json> {
    let mut named = members.iter().filter(|(own, _)| own == name);
    named.next().map(|(_, value)| value)
}

fn require(condition: bool) -> Option<()> {
    condition.then_some(())
}

#[cfg(test)]
mod tests;
