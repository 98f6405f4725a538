//! Bodies that attack the token check. Raw bytes never pass a MAC, so all but the first hold the
//! keys and sign what they are given.

mod case;
mod door;
mod mint;
mod replay_token;

pub(crate) use self::case::sign;
use self::case::{Case, Words};
use self::door::{CURRENT, Door, FOREIGN, keys_of, reference_verdict};
use self::mint::assert_minted;
use self::replay_token::assert_replay_token;
use super::one_of_eight;
use super::reference::{Json, Verdict, decode, object};
use framegate::internals::gate::{ClaimRules, TokenError};
use framegate::internals::json;
use framegate::internals::limits::{CLAIM_SECONDS_MAX, TOKEN_BYTES_MAX};
use framegate::internals::time::UnixSeconds;

/// The header that most signers write, and the gate knows by sight.
const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
/// Where an input says nothing else.
const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

/// Raw bytes as a token: nothing ever passes, and nobody is asked about its subject.
pub fn token_bytes(input: &[u8]) {
    // What is not UTF-8 never comes to the gate.
    let Ok(token) = std::str::from_utf8(input) else {
        return;
    };
    let rules = ClaimRules::default();
    let mut door = Door::new(&rules);
    assert_eq!(door.verdict(token, NOW), Verdict::Refused);
    assert_eq!(reference_verdict(token, &rules, NOW), Verdict::Refused);
    let is_short = token.len() <= TOKEN_BYTES_MAX;
    assert!(door.verifications() <= u64::from(is_short));
    if one_of_eight(input) == 0 {
        assert_replay_token(token, &rules, NOW);
    }
}

/// A signed token of any header, claims and settings (`token/case.rs` says how): the gate says what
/// the reference says, of subject and dates too, in a frame as well; what else decides is how its
/// user stands. Its replay token is worth the same in a replay, and nothing here.
pub fn token_signed(input: &[u8]) {
    let Some(case) = Case::parse(input) else {
        return;
    };
    let mut door = Door::new(&case.rules);
    let verdict = door.verdict(&case.token, case.now);
    let reference = reference_verdict(&case.token, &case.rules, case.now);
    assert_eq!(verdict, reference);
    assert!(case.is_ours || verdict == Verdict::Refused);
    match (one_of_eight(case.token.as_bytes()), &verdict) {
        (0, _) => door.assert_framed(&case.token, case.now, &verdict),
        (1, _) => assert_keys(&case, &verdict),
        (2, _) => assert_replay_token(&case.token, &case.rules, case.now),
        (
            3,
            Verdict::Accepted {
                subject, issued_at, ..
            },
        ) => {
            door.assert_standing(&case.token, case.now, (subject, *issued_at));
        }
        _ => {}
    }
}

/// The key that signed lets in alone, and as the previous one of another; no other key does.
fn assert_keys(case: &Case, verdict: &Verdict) {
    let other: &[u8] = if case.is_ours { &FOREIGN } else { &CURRENT };
    let under = |current: &[u8], previous: Option<&[u8]>| {
        let keys = keys_of(current, previous);
        Door::with(keys, &case.rules).verdict(&case.token, case.now)
    };
    let alone = under(&case.secret, None);
    assert_eq!(under(other, Some(&case.secret)), alone);
    assert_eq!(under(other, None), Verdict::Refused);
    assert!(!case.is_ours || alone == *verdict);
}

/// A good token with one change: refused, and for its form or its MAC, since no change of what
/// is inside is ever read.
///
/// Two bytes choose the place, one the kind of change, one its value; the rest is a claim.
pub fn token_mutate(input: &[u8]) {
    let [high, low, kind, value, rest @ ..] = input else {
        return;
    };
    let token = good_token(rest);
    let mut door = Door::new(&ClaimRules::default());
    let verdict = door.verdict(&token, NOW);
    assert!(matches!(verdict, Verdict::Accepted { .. }), "{verdict:?}");

    let mut changed = token.clone().into_bytes();
    let at = usize::from(u16::from_be_bytes([*high, *low])) % changed.len();
    match kind % 4 {
        0 => changed[at] = *value,
        1 => changed.insert(at, *value),
        2 => drop(changed.remove(at)),
        _ => changed.truncate(at),
    }
    let changed = String::from_utf8(changed).unwrap_or_default();
    if changed != token {
        let error = door.rejection(&changed, NOW);
        let forms = [TokenError::Parts, TokenError::SignatureForm];
        let is_forged = error == Some(TokenError::Signature);
        assert!(is_forged || forms.map(Some).contains(&error), "{error:?}");
        if one_of_eight(changed.as_bytes()) == 0 {
            assert_replay_token(&changed, &ClaimRules::default(), NOW);
        }
    }
}

/// A token that is good at [`NOW`], with as much of `rest` in a claim as fits it escaped.
fn good_token(rest: &[u8]) -> String {
    let rest: String = String::from_utf8_lossy(rest).chars().take(400).collect();
    let mut claims = br#"{"sub":"alice","exp":1700000001,"rest":"#.to_vec();
    json::push_string(&mut claims, &rest);
    claims.push(b'}');
    sign(&CURRENT, HEADER.as_bytes(), &claims)
}

/// Dates at any distance from any clock: the gate says what the arithmetic says.
///
/// Words such as `now=1700000000 leeway=10 exp=+1 nbf=-0 iat=5`; a sign counts from `now`. With
/// `ttl=60` a token is minted too, and `sub=bob`, `iss=joe`, `aud=us` say what stands in it.
pub fn claims_time(input: &[u8]) {
    let words = Words::new(input);
    let now = words.now();
    let leeway_seconds = words.rules().leeway_seconds;
    let dates = ["exp", "nbf", "iat"].map(|name| words.date(name, now));
    let claims = claims_of(dates);
    let rules = ClaimRules {
        leeway_seconds,
        ..ClaimRules::default()
    };
    let token = sign(&CURRENT, HEADER.as_bytes(), claims.as_bytes());
    let verdict = Door::new(&rules).verdict(&token, now);
    assert_eq!(verdict, model(dates, now.0.into(), leeway_seconds.into()));
    if let Some(ttl_seconds) = words.number("ttl") {
        let subject = words.value("sub").unwrap_or("alice");
        assert_minted(subject, &words.rules(), now, ttl_seconds);
    }
}

fn claims_of([exp, nbf, iat]: [Option<i128>; 3]) -> String {
    let member = |name, date: Option<i128>| date.map(|date| format!(r#","{name}":{date}"#));
    let dates = [member("exp", exp), member("nbf", nbf), member("iat", iat)];
    format!(
        r#"{{"sub":"alice"{}}}"#,
        dates.map(Option::unwrap_or_default).concat()
    )
}

/// RFC 7519 §4.1.4 to §4.1.6 with the contract's leeway and bounds, in whole numbers.
fn model([exp, nbf, iat]: [Option<i128>; 3], now: i128, leeway: i128) -> Verdict {
    let mut dates = [exp, nbf, iat].into_iter().flatten();
    let are_dates = dates.all(|date| (1..=i128::from(CLAIM_SECONDS_MAX)).contains(&date));
    let has_begun = nbf.unwrap_or(0) <= now + leeway && iat.unwrap_or(0) <= now + leeway + 1;
    match exp {
        Some(exp) if are_dates && has_begun && exp > now - leeway => Verdict::Accepted {
            subject: "alice".into(),
            issued_at: iat.unwrap_or(0) as u64,
            expires_at: exp as u64,
        },
        Some(_) if are_dates && has_begun => Verdict::Expired,
        _ => Verdict::Refused,
    }
}

/// What the gate accepts, another's verifier accepts too: `peer` says so of a token, its secret
/// and the settings. It is not asked about dates, for it would read a clock of its own.
pub fn differential(input: &[u8], peer: &dyn Fn(&str, &[u8], &ClaimRules) -> bool) {
    let Some(case) = Case::parse(input) else {
        return;
    };
    let verdict = Door::new(&case.rules).verdict(&case.token, case.now);
    if matches!(verdict, Verdict::Accepted { .. }) && !has_typed_header(&case.token) {
        let is_accepted = peer(&case.token, &case.secret, &case.rules);
        assert!(is_accepted, "the peer refuses {}", case.token);
    }
}

/// The one difference that is known: members of the header which we skip whatever they hold,
/// others give a type to. Strings suit every type but that of a key and of a list.
fn has_typed_header(token: &str) -> bool {
    let header = token.split('.').next().and_then(decode);
    let header = header.and_then(|bytes| String::from_utf8(bytes).ok());
    let members = header.and_then(|text| object(&text)).unwrap_or_default();
    members.iter().any(|(name, value)| {
        let is_string = matches!(value, Json::Text(_));
        !is_string || ["jwk", "x5c"].contains(&name.as_str())
    })
}

#[cfg(test)]
mod tests;
