//! Making tokens.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::jws::HEADER;
use super::key::Key;
use super::secret::Keys;
use super::token::{ClaimRules, is_subject};
use crate::json;
use crate::limits::{CLAIM_SECONDS_MAX, SUBJECT_BYTES_MAX};
use crate::time::UnixSeconds;

/// Mints tokens that a [`Verifier`](super::Verifier) of the same keys and rules takes. Apart
/// from the gate, so that a handler can mint while it holds what the gate lent it.
pub struct Signer {
    key: Key,
    issuer: Option<String>,
    audience: Option<String>,
    ttl_seconds: u64,
}

impl Signer {
    /// A signer with the current key, for tokens that live `ttl_seconds`.
    pub fn new(keys: &Keys, rules: &ClaimRules, ttl_seconds: u64) -> Signer {
        Signer {
            key: keys.current().clone(),
            issuer: rules.issuer.clone(),
            audience: rules.audience.clone(),
            ttl_seconds,
        }
    }

    /// Mints a token of `subject`, dated `issued_at`.
    ///
    /// # Errors
    ///
    /// When the token would not be taken: `subject` is none, or a date is out of range.
    pub fn mint(&self, subject: &str, issued_at: UnixSeconds) -> Result<Minted, SignError> {
        if !is_subject(subject) {
            return Err(SignError::Subject);
        }
        let expires_at = issued_at.plus(self.ttl_seconds);
        if issued_at.0 < 1 || expires_at <= issued_at || expires_at.0 > CLAIM_SECONDS_MAX {
            return Err(SignError::Dates);
        }
        let claims = self.claims(subject, issued_at, expires_at);
        Ok(Minted {
            token: self.sign(&claims),
            expires_in_seconds: self.ttl_seconds,
        })
    }

    fn claims(&self, subject: &str, issued_at: UnixSeconds, expires_at: UnixSeconds) -> Vec<u8> {
        let mut claims = br#"{"sub":"#.to_vec();
        json::push_string(&mut claims, subject);
        let dates = format!(r#","iat":{},"exp":{}"#, issued_at.0, expires_at.0);
        claims.extend_from_slice(dates.as_bytes());
        for (name, value) in [("iss", &self.issuer), ("aud", &self.audience)] {
            if let Some(value) = value {
                claims.extend_from_slice(format!(r#","{name}":"#).as_bytes());
                json::push_string(&mut claims, value);
            }
        }
        claims.push(b'}');
        claims
    }

    /// RFC 7515 §5.1: the compact serialisation of `claims` under HS256.
    fn sign(&self, claims: &[u8]) -> String {
        let mut token = format!("{HEADER}.");
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let tag = self.key.tag(token.as_bytes());
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(tag.as_bytes(), &mut token);
        token
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer(..)")
    }
}

/// A token, fresh from the signer. It prints nothing of itself.
pub struct Minted {
    /// The token.
    pub token: String,
    /// How long it lives, in seconds.
    pub expires_in_seconds: u64,
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Minted(..)")
    }
}

/// Why no token was minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignError {
    /// The subject is none a token may carry.
    Subject,
    /// The token would be void from the start, or end after the year 9999.
    Dates,
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SignError::Subject => write!(
                f,
                "a subject has 1 to {SUBJECT_BYTES_MAX} printable ASCII characters and no spaces"
            ),
            SignError::Dates => {
                f.write_str("a token lives for a second at least, from 1970 on and to 9999 at most")
            }
        }
    }
}

impl std::error::Error for SignError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::{Secret, Verifier};

    const NOW: UnixSeconds = UnixSeconds(1_700_000_000);

    fn keys() -> Keys {
        Keys::new(&Secret::from_bytes(&[b'k'; 32]).unwrap(), None)
    }

    fn signer(ttl_seconds: u64) -> Signer {
        Signer::new(&keys(), &ClaimRules::default(), ttl_seconds)
    }

    #[test]
    fn a_minted_token_is_verified_for_as_long_as_it_says() {
        let minted = signer(60).mint("alice", NOW).unwrap();
        assert_eq!(minted.expires_in_seconds, 60);
        let mut verifier = Verifier::new(keys(), ClaimRules::default());
        let verified = verifier.verify(&minted.token, NOW).unwrap();
        assert_eq!(verified.subject(), "alice");
        assert_eq!(
            (verified.issued_at(), verified.expires_at()),
            (NOW, NOW.plus(60))
        );
        assert!(verifier.verify(&minted.token, NOW.plus(59)).is_ok());
        assert!(verifier.verify(&minted.token, NOW.plus(60)).is_err());
    }

    #[test]
    fn a_minted_token_carries_the_issuer_and_audience_of_the_rules() {
        let rules = ClaimRules {
            issuer: Some("https://a.example/\"x\"".into()),
            audience: Some("b\\é\n".into()),
            ..ClaimRules::default()
        };
        let token = Signer::new(&keys(), &rules, 60)
            .mint("a\"b\\c", NOW)
            .unwrap()
            .token;
        let mut verifier = Verifier::new(keys(), rules);
        assert_eq!(verifier.verify(&token, NOW).unwrap().subject(), "a\"b\\c");
        let mut strict = Verifier::new(keys(), ClaimRules::default());
        assert!(strict.verify(&token, NOW).is_err());
    }

    #[test]
    fn a_token_dated_one_second_ahead_is_verified_at_once() {
        let token = signer(60).mint("alice", NOW.plus(1)).unwrap().token;
        let mut verifier = Verifier::new(keys(), ClaimRules::default());
        assert!(verifier.verify(&token, NOW).is_ok());
    }

    #[test]
    fn the_longest_token_we_mint_is_no_longer_than_we_take() {
        let rules = ClaimRules::default();
        let token = signer(60)
            .mint(&"\"".repeat(SUBJECT_BYTES_MAX), NOW)
            .unwrap()
            .token;
        assert!(Verifier::new(keys(), rules).verify(&token, NOW).is_ok());
    }

    #[test]
    fn what_would_not_be_taken_is_not_minted() {
        for subject in ["", "a b", "é", &"x".repeat(SUBJECT_BYTES_MAX + 1)] {
            assert_eq!(
                signer(60).mint(subject, NOW).unwrap_err(),
                SignError::Subject
            );
        }
        let latest = UnixSeconds(CLAIM_SECONDS_MAX - 60);
        assert!(signer(60).mint("alice", latest).is_ok());
        assert!(signer(60).mint("alice", UnixSeconds(1)).is_ok());
        for (ttl, date) in [
            (60, 0),
            (60, latest.0 + 1),
            (0, 1),
            (u64::MAX, 1),
            (60, u64::MAX),
        ] {
            let minted = signer(ttl).mint("alice", UnixSeconds(date));
            assert_eq!(minted.unwrap_err(), SignError::Dates, "{ttl} {date}");
        }
    }

    #[test]
    fn neither_signer_nor_token_is_printed() {
        let signer = signer(60);
        assert_eq!(format!("{signer:?}"), "Signer(..)");
        assert_eq!(
            format!("{:?}", signer.mint("alice", NOW).unwrap()),
            "Minted(..)"
        );
    }
}
