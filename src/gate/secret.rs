//! Secrets and the keys made of them: nothing here can be printed, and what is dropped is
//! wiped.

mod other_key;

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::key::{Key, TAG_BYTES};
use crate::limits::SECRET_BYTES_MIN;

pub use other_key::OtherKey;

/// A secret that is fit to sign with; wiped when it is dropped.
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes a secret as a person sets it: the bytes of the text are the secret, nothing is
    /// decoded and nothing trimmed, as other programs that share it will do.
    ///
    /// # Errors
    ///
    /// As [`Secret::from_bytes`], and when quotes or white space stand around it: a line feed that
    /// came along with a file, or quotes that a shell would have taken away, make other tokens
    /// than the secret without them.
    pub fn parse(text: &str) -> Result<Secret, SecretError> {
        // A key is told as one first, whatever stands around it.
        let secret = Secret::from_bytes(text.as_bytes());
        match secret {
            Ok(_) | Err(SecretError::TooShort) if bare(text) != text => Err(SecretError::Wrapped),
            secret => secret,
        }
    }

    /// Takes a secret of any bytes.
    ///
    /// # Errors
    ///
    /// When it has fewer than [`SECRET_BYTES_MIN`] bytes, or is a key of another kind: those are
    /// meant for other algorithms, and the public ones are no secret.
    pub fn from_bytes(bytes: &[u8]) -> Result<Secret, SecretError> {
        if let Some(kind) = other_key::kind_of(bytes) {
            return Err(SecretError::OtherKey(kind));
        }
        // RFC 7518 §3.2: a key of the hash's size or larger MUST be used.
        if bytes.len() < SECRET_BYTES_MIN {
            return Err(SecretError::TooShort);
        }
        Ok(Secret(Zeroizing::new(bytes.into())))
    }

    /// The text that a `.env` holds for 32 random bytes: 43 characters of base64url. The
    /// secret is the characters themselves, which [`Secret::parse`] takes as they are.
    pub fn text_of_random(random: [u8; 32]) -> Zeroizing<String> {
        let random = Zeroizing::new(random);
        Zeroizing::new(URL_SAFE_NO_PAD.encode(*random))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Why a text is not fit to be a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretError {
    /// Shorter than [`SECRET_BYTES_MIN`].
    TooShort,
    /// A key of another kind.
    OtherKey(OtherKey),
    /// Quotes or white space around it.
    Wrapped,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretError::TooShort => write!(
                f,
                "the secret is shorter than {SECRET_BYTES_MIN} bytes; `framegate secret` makes one"
            ),
            SecretError::OtherKey(kind @ OtherKey::Jwk) => write!(
                f,
                "the secret is {kind}, not a secret as it is; `framegate secret` makes one"
            ),
            SecretError::OtherKey(kind) => write!(
                f,
                "the secret is {kind}, which is for other algorithms than HS256; \
                 `framegate secret` makes a secret"
            ),
            SecretError::Wrapped => f.write_str(
                "quotes or white space stand around the secret, and would be part of it; remove them",
            ),
        }
    }
}

impl std::error::Error for SecretError {}

/// What tokens are checked with: the key that also signs, and the one before it.
#[derive(Clone)]
pub struct Keys {
    current: Key,
    previous: Option<Key>,
}

impl Keys {
    /// Prepares the keys, once.
    pub fn new(current: &Secret, previous: Option<&Secret>) -> Keys {
        Keys {
            current: Key::new(&current.0),
            previous: previous.map(|secret| Key::new(&secret.0)),
        }
    }

    pub(super) fn of(current: Key) -> Keys {
        let previous = None;
        Keys { current, previous }
    }

    /// Whether `tag` is that of `message` under one of the keys. All are tried, without a look at
    /// what the first one says, so that the time tells neither the tag nor whose it is.
    ///
    /// Open to `tests/constant_time`, which holds it to that; alone it admits nobody. Never
    /// inlined: where both verdicts are at hand the compiler branches on each, not on their sum.
    #[doc(hidden)]
    #[inline(never)]
    pub fn verify(&self, message: &[u8], tag: &[u8; TAG_BYTES]) -> bool {
        let previous = self.previous.as_ref();
        self.current.verify(message, tag) | previous.is_some_and(|key| key.verify(message, tag))
    }

    /// The key that signs.
    pub(super) fn current(&self) -> &Key {
        &self.current
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys(..)")
    }
}

/// The text without what a shell or an editor puts around it: white space, characters that are not
/// shown, and a pair of quotes.
fn bare(text: &str) -> &str {
    let is_blank = |c: char| c.is_whitespace() || c.is_control() || "\u{feff}\u{200b}".contains(c);
    let trimmed = text.trim_matches(is_blank);
    ['"', '\'', '`']
        .iter()
        .find_map(|quote| trimmed.strip_prefix(*quote)?.strip_suffix(*quote))
        .unwrap_or(trimmed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> SecretError {
        let error = Secret::parse(text).unwrap_err();
        assert!(error.to_string().contains("the secret"));
        error
    }

    #[test]
    fn a_secret_of_32_bytes_is_taken_and_one_of_31_refused() {
        assert!(Secret::parse(&"x".repeat(SECRET_BYTES_MIN)).is_ok());
        assert!(Secret::from_bytes(&[0xff; SECRET_BYTES_MIN]).is_ok());
        for text in ["", "secret", &"x".repeat(SECRET_BYTES_MIN - 1)] {
            assert_eq!(error(text), SecretError::TooShort);
        }
        // Bytes count, not characters.
        assert!(Secret::parse(&"é".repeat(SECRET_BYTES_MIN / 2)).is_ok());
    }

    #[test]
    fn a_key_of_another_kind_is_told_before_anything_else() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ\n-----END PUBLIC KEY-----";
        for text in [pem.to_owned(), format!("{pem}\n"), format!(" '{pem}'\n")] {
            assert_eq!(error(&text), SecretError::OtherKey(OtherKey::Pem));
        }
        assert_eq!(error("-----BEGIN"), SecretError::OtherKey(OtherKey::Pem));
    }

    #[test]
    fn quotes_or_white_space_around_it_are_refused_and_within_are_not() {
        let text = "x".repeat(SECRET_BYTES_MIN);
        for spoiled in [
            format!("{text}\n"),
            format!("{text}\r\n"),
            format!(" {text}"),
            format!("{text}\u{a0}"),
            format!("\u{feff}{text}"),
            format!("{text}\0"),
            format!("\"{text}\""),
            format!("'{text}'\n"),
            format!("`{text}`"),
            "\"short\"".to_owned(),
        ] {
            assert_eq!(error(&spoiled), SecretError::Wrapped, "{spoiled:?}");
        }
        for taken in [
            format!("{text} {text}"),
            format!("{text}\"{text}"),
            format!("\"{text}"),
            format!("{text}'"),
        ] {
            assert!(Secret::parse(&taken).is_ok(), "{taken}");
        }
    }

    #[test]
    fn a_random_secret_is_its_text_and_is_taken() {
        let text = Secret::text_of_random([0xfb; 32]);
        assert_eq!(text.len(), 43);
        let secret = Secret::parse(&text).unwrap();
        assert_eq!(&**secret.0, text.as_bytes());
    }

    #[test]
    fn nothing_of_a_secret_is_printed() {
        let secret = Secret::parse(&"hunter2".repeat(5)).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(..)");
        assert_eq!(
            format!("{:?}", Keys::new(&secret, Some(&secret))),
            "Keys(..)"
        );
    }

    #[test]
    fn a_tag_is_right_under_either_key_and_under_both() {
        let secret = |letter: u8| Secret::from_bytes(&[letter; SECRET_BYTES_MIN]).unwrap();
        let tag = Key::new(&secret(b'k').0).tag(b"m").into_bytes();
        let tag = tag.into();
        let rows = [(b'k', b'x'), (b'x', b'k'), (b'k', b'k'), (b'x', b'x')];
        let right = rows.map(|(current, previous)| {
            Keys::new(&secret(current), Some(&secret(previous))).verify(b"m", &tag)
        });
        assert_eq!(right, [true, true, true, false]);
    }
}
