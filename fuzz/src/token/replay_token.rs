//! What a recording holds in the place of a token.

use super::door::keys;
use crate::one_of_eight;
use crate::told::assert_told;
use framegate::internals::gate::{ClaimRules, Keys, ReplayTokens, TokenError, Verifier};
use framegate::internals::time::UnixSeconds;

/// The replay token is as long as its token, and under the keys of a replay it is worth what the
/// token is worth here, while here its signature is none; its own replay token is itself.
pub(super) fn assert_replay_token(token: &str, rules: &ClaimRules, now: UnixSeconds) {
    let replay_token = ReplayTokens::new(keys()).token_for(token);
    assert_eq!(replay_token.len(), token.len());
    let replayed = judge(ReplayTokens::keys(), rules, &replay_token, now);
    assert_eq!(replayed, judge(keys(), rules, token, now));
    let unsigned = [
        TokenError::TooLong,
        TokenError::Parts,
        TokenError::SignatureForm,
        TokenError::Signature,
    ];
    let here = judge(keys(), rules, &replay_token, now).err();
    assert!(here.is_some_and(|error| unsigned.contains(&error)));
    let again = ReplayTokens::default();
    assert_eq!(again.token_for(&replay_token), replay_token);
    if one_of_eight(token.as_bytes()) == 0 {
        let is_good = judge(keys(), rules, token, now).is_ok();
        assert_replaced(token, &replay_token, is_good);
    }
}

/// A good token is replaced wherever it stands, and what is replaced is its own in a replay.
fn assert_replaced(token: &str, replay_token: &str, is_good: bool) {
    for around in ["TOKEN", "/a/TOKEN?b", "the_e.eyJ.TOKEN.TOKENx", "\\nTOKEN"] {
        let mut seen = around.replace("TOKEN", token).into_bytes();
        ReplayTokens::new(keys()).replace_in(&mut seen);
        if is_good {
            assert_eq!(seen, around.replace("TOKEN", replay_token).into_bytes());
        }
        let mut again = seen.clone();
        ReplayTokens::default().replace_in(&mut again);
        assert_eq!(again, seen);
    }
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
