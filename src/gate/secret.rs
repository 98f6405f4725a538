//! Secrets and the keys made of them: nothing here can be printed, and what is dropped is
//! wiped.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::KeyInit;
use hmac::block_api::HmacCore;
use hmac::digest::block_api::{Block, Buffer, FixedOutputCore, UpdateCore};
use hmac::digest::{CtOutput, Output};
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

type Core = HmacCore<Sha256>;

/// The state of HMAC-SHA256 after its key. Its parts wipe themselves when dropped (the
/// feature `zeroize` of sha2 and digest), and so do the copies that each use makes.
#[derive(Clone)]
pub(super) struct Key(Core);

impl Key {
    pub(super) fn new(secret: &[u8]) -> Key {
        // RFC 2104 §2: a key fills a block with zeros behind it; one that is longer is hashed
        // first.
        let mut block = Zeroizing::new([0; BLOCK_BYTES]);
        match block.get_mut(..secret.len()) {
            Some(start) => start.copy_from_slice(secret),
            None => block[..TAG_BYTES].copy_from_slice(&Sha256::digest(secret)),
        }
        Key(Core::new((&*block).into()))
    }

    pub(super) fn tag(&self, message: &[u8]) -> [u8; TAG_BYTES] {
        self.output(message).into()
    }

    fn verify(&self, message: &[u8], tag: &[u8; TAG_BYTES]) -> bool {
        // Compared in constant time.
        CtOutput::<Core>::new(self.output(message)) == CtOutput::from(Output::<Core>::from(*tag))
    }

    /// By blocks, since the message lies there whole: `Hmac`, which takes it in pieces, copies more
    /// than it hashes (a seventh of a token's check).
    fn output(&self, message: &[u8]) -> Output<Core> {
        let (blocks, rest) = Block::<Core>::slice_as_chunks(message);
        let mut core = self.0.clone();
        core.update_blocks(blocks);
        let mut output = Output::<Core>::default();
        core.finalize_fixed_core(&mut Buffer::<Core>::new(rest), &mut output);
        output
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

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> SecretError {
        let error = Secret::parse(text).unwrap_err();
        assert!(error.to_string().starts_with("the secret "));
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
    fn keys_of_other_algorithms_are_refused_however_long() {
        let pem = "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQ\n-----END PUBLIC KEY-----";
        assert_eq!(error(pem), SecretError::Pem);
        assert_eq!(error("-----BEGIN"), SecretError::Pem);
        let jwk = r#"{ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ" }"#;
        assert_eq!(error(jwk), SecretError::Jwk);
        assert_eq!(
            Secret::from_bytes(format!(" \n{jwk}\n").as_bytes()).unwrap_err(),
            SecretError::Jwk
        );
        let not_jwk = "{a brace at the start makes no key}";
        assert!(Secret::parse(not_jwk).is_ok());
    }

    #[test]
    fn white_space_at_an_end_is_refused_and_within_is_not() {
        let text = "x".repeat(SECRET_BYTES_MIN);
        for spoiled in [
            format!("{text}\n"),
            format!(" {text}"),
            format!("{text}\u{a0}"),
        ] {
            assert_eq!(error(&spoiled), SecretError::WhiteSpace);
        }
        assert!(Secret::parse(&format!("{text} {text}")).is_ok());
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
    fn the_parts_of_a_key_wipe_themselves() {
        fn assert_wiped<T: zeroize::ZeroizeOnDrop>() {}
        // Hmac<Sha256> is two of the one and one of the other.
        assert_wiped::<<Sha256 as hmac::EagerHash>::Core>();
        assert_wiped::<hmac::digest::block_api::Buffer<hmac::block_api::HmacCore<Sha256>>>();
    }

    /// RFC 4231 §4; the fifth case is a truncated tag.
    #[test]
    fn tags_are_those_of_rfc_4231() {
        let counting: Vec<u8> = (1..=25).collect();
        let rows: [(&[u8], &[u8], &str); 7] = [
            (&[0x0b; 20], b"Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"),
            (b"Jefe", b"what do ya want for nothing?", "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
            (&[0xaa; 20], &[0xdd; 50], "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"),
            (&counting, &[0xcd; 50], "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"),
            (&[0x0c; 20], b"Test With Truncation", "a3b6167473100ee06e0c796c2955552b"),
            (
                &[0xaa; 131],
                b"Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
            (
                &[0xaa; 131],
                b"This is a test using a larger than block-size key and a larger than block-size data. \
                  The key needs to be hashed before being used by the HMAC algorithm.",
                "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            ),
        ];
        for (secret, message, wanted) in rows {
            let key = Key::new(secret);
            let tag = key.tag(message);
            let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
            assert!(hex.starts_with(wanted), "{hex}");
            assert!(key.verify(message, &tag));
            assert!(!key.verify(message, &[0; TAG_BYTES]));
            assert!(!key.verify(&message[1..], &tag));
        }
    }

    #[test]
    fn a_tag_is_right_under_either_key_and_under_both() {
        let secret = |letter: u8| Secret::from_bytes(&[letter; SECRET_BYTES_MIN]).unwrap();
        let tag = Key::new(&secret(b'k').0).tag(b"m");
        let rows = [(b'k', b'x'), (b'x', b'k'), (b'k', b'k'), (b'x', b'x')];
        let right = rows.map(|(current, previous)| {
            Keys::new(&secret(current), Some(&secret(previous))).verify(b"m", &tag)
        });
        assert_eq!(right, [true, true, true, false]);
    }

    #[test]
    fn a_key_of_64_bytes_is_not_hashed_and_one_of_65_is() {
        let hashed = Key::new(&Sha256::digest([b'x'; 65]));
        assert_eq!(Key::new(&[b'x'; 65]).tag(b"m"), hashed.tag(b"m"));
        let hashed = Key::new(&Sha256::digest([b'x'; 64]));
        assert_ne!(Key::new(&[b'x'; 64]).tag(b"m"), hashed.tag(b"m"));
    }
}
