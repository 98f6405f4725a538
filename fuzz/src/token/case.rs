//! The language of the inputs: text, so that a person can write a seed and a dictionary helps.

use super::super::reference::{encode, hmac_sha256};
use super::door::{CURRENT, FOREIGN, PREVIOUS};
use super::{HEADER, NOW};
use framegate::internals::gate::ClaimRules;
use framegate::internals::limits::{ISSUER_BYTES_MAX, LEEWAY_MS_MAX};
use framegate::internals::time::UnixSeconds;

/// What stands between the parts of an input: a line that is a dot, as one stands in the token.
const DOT: &[u8] = b"\n.\n";

/// One input: header, claims and settings. One part is the claims alone, two are header and
/// claims; any bytes may stand in these.
///
/// Settings are words: `now=1700000000`, `leeway=10`, `iss=joe`, `aud=us`, `key=previous`,
/// `key=foreign`, and `raw`, with which the parts stand in the token as they are.
pub(super) struct Case {
    pub(super) token: String,
    pub(super) secret: Vec<u8>,
    /// True exactly when the gate holds `secret`.
    pub(super) is_ours: bool,
    pub(super) rules: ClaimRules,
    pub(super) now: UnixSeconds,
}

impl Case {
    /// None when raw parts are not UTF-8: such a token never comes to the gate.
    pub(super) fn parse(input: &[u8]) -> Option<Case> {
        let (first, rest) = split(input);
        let (header, claims, settings) = match rest {
            None => (HEADER.as_bytes(), first, &b""[..]),
            Some(rest) => {
                let (claims, settings) = split(rest);
                (first, claims, settings.unwrap_or_default())
            }
        };
        let words = Words::new(settings);
        let (secret, is_ours) = match words.value("key") {
            Some("previous") => (PREVIOUS.to_vec(), true),
            Some("foreign") => (FOREIGN.to_vec(), false),
            _ => (CURRENT.to_vec(), true),
        };
        let token = match words.has("raw") {
            true => sign_raw(&secret, str(header)?, str(claims)?),
            false => sign(&secret, header, claims),
        };
        Some(Case {
            token,
            secret,
            is_ours,
            rules: words.rules(),
            now: words.now(),
        })
    }
}

/// What stands before the first [`DOT`], and what stands after it.
fn split(input: &[u8]) -> (&[u8], Option<&[u8]>) {
    let dot = input.windows(DOT.len()).position(|window| window == DOT);
    match dot {
        Some(at) => (&input[..at], Some(&input[at + DOT.len()..])),
        None => (input, None),
    }
}

fn str(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// RFC 7515 §5.1, by the reference.
pub(crate) fn sign(secret: &[u8], header: &[u8], claims: &[u8]) -> String {
    sign_raw(secret, &encode(header), &encode(claims))
}

/// A token of parts that are encoded already, well or not.
fn sign_raw(secret: &[u8], header: &str, claims: &str) -> String {
    let message = format!("{header}.{claims}");
    let tag = hmac_sha256(secret, message.as_bytes());
    format!("{message}.{}", encode(&tag))
}

/// Settings: words with white space between them. What is none is passed over.
pub(super) struct Words(String);

impl Words {
    pub(super) fn new(bytes: &[u8]) -> Words {
        Words(String::from_utf8_lossy(bytes).into_owned())
    }

    fn has(&self, wanted: &str) -> bool {
        self.0.split_whitespace().any(|word| word == wanted)
    }

    /// The value of the first word `name=value`.
    pub(super) fn value(&self, name: &str) -> Option<&str> {
        let mut pairs = self
            .0
            .split_whitespace()
            .filter_map(|word| word.split_once('='));
        pairs.find(|(own, _)| *own == name).map(|(_, value)| value)
    }

    pub(super) fn number(&self, name: &str) -> Option<u64> {
        self.value(name)?.parse().ok()
    }

    /// Any second there is.
    pub(super) fn now(&self) -> UnixSeconds {
        self.number("now").map_or(NOW, UnixSeconds)
    }

    /// Rules that a person can set.
    pub(super) fn rules(&self) -> ClaimRules {
        let leeway_seconds = self.number("leeway").unwrap_or_default();
        ClaimRules {
            leeway_seconds: leeway_seconds.min(LEEWAY_MS_MAX / 1_000),
            issuer: self.name("iss"),
            audience: self.name("aud"),
        }
    }

    fn name(&self, setting: &str) -> Option<String> {
        let is_name = |name: &&str| {
            let fits = (1..=ISSUER_BYTES_MAX).contains(&name.len());
            fits && !name.contains(char::is_control)
        };
        self.value(setting).filter(is_name).map(str::to_owned)
    }

    /// A date; with a sign, that far from `now`.
    pub(super) fn date(&self, name: &str, now: UnixSeconds) -> Option<i128> {
        let value = self.value(name)?;
        let seconds: i64 = value.parse().ok()?;
        match value.starts_with(['+', '-']) {
            true => Some(i128::from(now.0) + i128::from(seconds)),
            false => Some(seconds.into()),
        }
    }
}
