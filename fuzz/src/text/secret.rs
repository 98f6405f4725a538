//! A secret, as a person sets it.

use crate::reference::decode;
use crate::told::{assert_brief, assert_told};
use framegate::internals::gate::{Keys, OtherKey, Secret, SecretError};
use framegate::internals::limits::SECRET_BYTES_MIN;

/// A text that the contract calls no secret is refused, one that is plain and long enough is taken,
/// and neither is shown; and what is made of random bytes is taken, unless they are a key's.
pub(super) fn assert_secret(text: &str) {
    let outcome = Secret::parse(text);
    assert_judged(text, outcome.as_ref().err().copied());
    match outcome {
        Ok(secret) => {
            assert_brief(&secret);
            assert_brief(&Keys::new(&secret, Some(&secret)));
        }
        Err(error) => assert_told("secret", &error),
    }
    if let Some(random) = text.as_bytes().first_chunk() {
        let text = Secret::text_of_random(*random);
        assert_eq!(decode(&text).as_deref(), Some(&random[..]));
        // What was not drawn may be the text of a key.
        let fault = Secret::parse(&text).err();
        assert!(matches!(fault, None | Some(SecretError::OtherKey(_))));
    }
}

fn assert_judged(text: &str, fault: Option<SecretError>) {
    let has_space = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    let is_quoted = |quote| text.len() > 1 && text.starts_with(quote) && text.ends_with(quote);
    let is_wrapped = has_space || is_quoted('"') || is_quoted('\'') || is_quoted('`');
    let is_short = text.len() < SECRET_BYTES_MIN;
    // No key of another kind has neither capitals nor signs in it.
    let is_plain = text.bytes().all(|byte| matches!(byte, b'a'..=b'y' | b' '));
    if text.contains("-----BEGIN") {
        assert_eq!(fault, Some(SecretError::OtherKey(OtherKey::Pem)));
    } else if text.contains(r#""kty""#) {
        assert!(matches!(fault, Some(SecretError::OtherKey(_))));
    } else if is_plain && !is_wrapped && !is_short {
        assert_eq!(fault, None);
    }
    match fault {
        None => assert!(!is_wrapped && !is_short),
        Some(SecretError::TooShort) => assert!(is_short && !is_wrapped),
        Some(SecretError::Wrapped | SecretError::OtherKey(_)) => {}
    }
}
