//! A secret, as a person sets it.

use crate::gate::{Keys, Secret, SecretError};
use crate::proof::reference::decode;
use crate::proof::told::{assert_brief, assert_told};

/// A text is taken as a secret exactly when the contract says so, and is not shown either way;
/// and what is made of random bytes is taken.
pub(super) fn assert_secret(text: &str) {
    let outcome = Secret::parse(text);
    assert_eq!(outcome.as_ref().err().copied(), fault(text));
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
        assert_eq!(Secret::parse(&text).err(), None);
    }
}

fn fault(text: &str) -> Option<SecretError> {
    let has_space = text.starts_with(char::is_whitespace) || text.ends_with(char::is_whitespace);
    if has_space {
        Some(SecretError::WhiteSpace)
    } else if text.contains("-----BEGIN") {
        Some(SecretError::Pem)
    } else if text.starts_with('{') && text.contains(r#""kty""#) {
        Some(SecretError::Jwk)
    } else if text.len() < 32 {
        Some(SecretError::TooShort)
    } else {
        None
    }
}
