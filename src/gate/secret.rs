//! Secrets and the keys made of them: nothing here can be printed, and what is dropped is
//! wiped.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::limits::SECRET_BYTES_MIN;

/// The bytes of an HMAC-SHA256 tag.
pub(super) const TAG_BYTES: usize = 32;
/// The bytes SHA-256 takes at a time.
const BLOCK_BYTES: usize = 64;

/// A secret that is fit to sign with; wiped when it is dropped.
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes a secret as a person sets it: the bytes of the text are the secret, nothing is
    /// decoded and nothing trimmed, as other programs that share it will do.
    ///
    /// # Errors
    ///
    /// As [`Secret::from_bytes`], and when white space stands at an end: a line feed that
    /// came along with a file makes other tokens than the secret without it.
    pub fn parse(text: &str) -> Result<Secret, SecretError> {
        match text.trim().len() == text.len() {
            true => Secret::from_bytes(text.as_bytes()),
            false => Err(SecretError::WhiteSpace),
        }
    }

    /// Takes a secret of any bytes.
    ///
    /// # Errors
    ///
    /// When it has fewer than [`SECRET_BYTES_MIN`] bytes, or is a PEM or JWK key: those are
    /// meant for other algorithms, and the public ones are no secret.
    pub fn from_bytes(bytes: &[u8]) -> Result<Secret, SecretError> {
        if is_pem(bytes) {
            return Err(SecretError::Pem);
        }
        if is_jwk(bytes) {
            return Err(SecretError::Jwk);
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
    /// A PEM file.
    Pem,
    /// A JSON Web Key.
    Jwk,
    /// White space at an end.
    WhiteSpace,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SecretError::TooShort => write!(
                f,
                "the secret is shorter than {SECRET_BYTES_MIN} bytes; `framegate secret` makes one"
            ),
            SecretError::Pem => f.write_str(
                "the secret is a PEM key, which HS256 cannot use; `framegate secret` makes a secret",
            ),
            SecretError::Jwk => f.write_str(
                "the secret is a JSON Web Key; set the secret itself, or make one with `framegate secret`",
            ),
            SecretError::WhiteSpace => {
                f.write_str("the secret begins or ends with white space; remove it")
            }
        }
    }
}

impl std::error::Error for SecretError {}

/// What tokens are checked with: the key that also signs, and the one before it.
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

    /// Whether `tag` is that of `message` under one of the keys, in constant time for each.
    pub(super) fn verify(&self, message: &[u8], tag: &[u8; TAG_BYTES]) -> bool {
        let previous = self.previous.as_ref();
        self.current.verify(message, tag) || previous.is_some_and(|key| key.verify(message, tag))
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

/// The state of HMAC-SHA256 after its key. Its parts wipe themselves when dropped (the
/// feature `zeroize` of sha2 and digest), and so do the copies that each use makes.
#[derive(Clone)]
pub(super) struct Key(Hmac<Sha256>);

impl Key {
    fn new(secret: &[u8]) -> Key {
        // RFC 2104 §2: a key fills a block with zeros behind it; one that is longer is hashed
        // first.
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        match block.get_mut(..secret.len()) {
            Some(start) => start.copy_from_slice(secret),
            None => block[..TAG_BYTES].copy_from_slice(&Sha256::digest(secret)),
        }
        Key(Hmac::new((&*block).into()))
    }

    pub(super) fn tag(&self, message: &[u8]) -> [u8; TAG_BYTES] {
        self.0
            .clone()
            .chain_update(message)
            .finalize()
            .into_bytes()
            .into()
    }

    fn verify(&self, message: &[u8], tag: &[u8; TAG_BYTES]) -> bool {
        self.0
            .clone()
            .chain_update(message)
            .verify_slice(tag)
            .is_ok()
    }
}

fn is_pem(bytes: &[u8]) -> bool {
    contains(bytes, b"-----BEGIN")
}

/// RFC 7517 §4: an object whose member `kty` says what kind of key it is.
fn is_jwk(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(b"{") && contains(bytes, b"\"kty\"")
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}
