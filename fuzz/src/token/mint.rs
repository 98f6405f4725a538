//! Tokens of our own making.

use super::super::reference::Verdict;
use super::door::{Door, keys, reference_verdict};
use super::replay_token::assert_replay_token;
use crate::told::{assert_brief, assert_told};
use framegate::internals::gate::{ClaimRules, SignError, Signer};
use framegate::internals::limits::CLAIM_SECONDS_MAX;
use framegate::internals::time::UnixSeconds;

/// A token is minted exactly when it can be one, and then the gate and the reference take it,
/// for its whole life and no longer. Neither it nor the key is shown.
pub(super) fn assert_minted(
    subject: &str,
    rules: &ClaimRules,
    issued_at: UnixSeconds,
    ttl_seconds: u64,
) {
    let signer = Signer::new(&keys(), rules, ttl_seconds);
    assert_brief(&signer);
    assert_brief(&keys());
    let outcome = signer.mint(subject, issued_at);
    let error = outcome.as_ref().err().copied();
    assert_eq!(error, fault(subject, issued_at, ttl_seconds));
    match outcome {
        Ok(minted) => {
            assert_brief(&minted);
            assert_eq!(minted.expires_in_seconds, ttl_seconds);
            assert_alive(&minted.token, subject, rules, issued_at.0, ttl_seconds);
        }
        Err(error) => assert_told("unsigned", &error),
    }
}

/// The contract's words about a subject and dates.
fn fault(subject: &str, issued_at: UnixSeconds, ttl_seconds: u64) -> Option<SignError> {
    let fits = (1..=128).contains(&subject.chars().count());
    let is_printable = subject.chars().all(|c| ('!'..='~').contains(&c));
    let expires_at = u128::from(issued_at.0) + u128::from(ttl_seconds);
    let are_dates = issued_at.0 >= 1 && expires_at <= u128::from(CLAIM_SECONDS_MAX);
    match (fits && is_printable, are_dates && ttl_seconds >= 1) {
        (false, _) => Some(SignError::Subject),
        (true, false) => Some(SignError::Dates),
        (true, true) => None,
    }
}

/// From a second before it is issued, as a login may date it, to the last before it expires.
fn assert_alive(token: &str, subject: &str, rules: &ClaimRules, issued_at: u64, ttl_seconds: u64) {
    let rules = ClaimRules {
        leeway_seconds: 0,
        ..rules.clone()
    };
    let expires_at = issued_at + ttl_seconds;
    let accepted = Verdict::Accepted {
        subject: subject.to_owned(),
        issued_at,
        expires_at,
    };
    for (now, expected) in [
        (issued_at - 1, &accepted),
        (expires_at - 1, &accepted),
        (expires_at, &Verdict::Expired),
    ] {
        let now = UnixSeconds(now);
        assert_eq!(Door::new(&rules).verdict(token, now), *expected);
        assert_eq!(reference_verdict(token, &rules, now), *expected);
        assert_replay_token(token, &rules, now);
    }
}
