//! What a recording holds in the place of a token.

use super::door::keys;
use crate::told::assert_told;
use framegate::gate::{ClaimRules, Keys, StandIns, TokenError, Verifier};
use framegate::time::UnixSeconds;

/// The stand-in is as long as its token, and under the keys of a replay it is worth what the
/// token is worth here, while here its signature is none; a second stand-in is the first.
pub(super) fn assert_stand_in(token: &str, rules: &ClaimRules, now: UnixSeconds) {
    let stand_in = StandIns::new(keys()).stand_in(token);
    assert_eq!(stand_in.len(), token.len());
    let replayed = judge(StandIns::replay_keys(), rules, &stand_in, now);
    assert_eq!(replayed, judge(keys(), rules, token, now));
    let unsigned = [
        TokenError::TooLong,
        TokenError::Parts,
        TokenError::SignatureForm,
        TokenError::Signature,
    ];
    let here = judge(keys(), rules, &stand_in, now).err();
    assert!(here.is_some_and(|error| unsigned.contains(&error)));
    let again = StandIns::new(StandIns::replay_keys());
    assert_eq!(again.stand_in(&stand_in), stand_in);
}

/// All that a token is worth: its subject and its dates.
fn judge(
    keys: Keys,
    rules: &ClaimRules,
    token: &str,
    now: UnixSeconds,
) -> Result<(String, UnixSeconds, UnixSeconds), TokenError> {
    let mut verifier = Verifier::new(keys, rules.clone());
    let verdict = verifier.verify(token, now);
    if let Err(error) = &verdict {
        assert_told(error.word(), error);
    }
    let verified = verdict?;
    let subject = verified.subject().to_owned();
    Ok((subject, verified.issued_at(), verified.expires_at()))
}
