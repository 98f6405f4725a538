//! A compact JWS (RFC 7515 §3.1) under HS256, up to the text that its signer signed.
//!
//! What is read of a token's JSON is a [`SignedText`], and none can be had but through
//! [`Parts::check`]: the fields are private to this leaf, so the order of the checks is a matter
//! of types.

use base64::Engine as _;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use base64::engine::Simd as Base64Url;
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
use base64::engine::general_purpose::GeneralPurpose as Base64Url;
use base64::engine::general_purpose::NO_PAD;

use super::key::TAG_BYTES;
use super::secret::Keys;
use super::token::TokenError;
use crate::json::{self, Value};
use crate::limits::TOKEN_BYTES_MAX;

/// `{"alg":"HS256","typ":"JWT"}` in base64url: the header of our tokens, and of those that
/// most others make. A header of these very characters need not be read to be right.
pub(super) const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// A tag in base64url: 32 bytes are 42 whole characters and one with two bits unused.
pub(super) const TAG_CHARACTERS: usize = 43;
/// Six bits of zero: with a tag's 258 bits they are whole bytes.
const ZERO: [u8; 1] = *b"A";

/// Decodes the parts of tokens. What it holds of one is overwritten by the next.
pub(super) struct Decoder {
    engine: Base64Url,
    /// A tag and a payload, in one piece.
    text: Box<[u8; TOKEN_BYTES_MAX]>,
    tag_and_payload: Box<[u8; decoded_bytes(TOKEN_BYTES_MAX)]>,
    header: Box<[u8; decoded_bytes(TOKEN_BYTES_MAX)]>,
}

impl Decoder {
    pub(super) fn new() -> Decoder {
        #[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
        let engine = Base64Url::url_safe(NO_PAD);
        #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
        let engine = Base64Url::new(&base64::alphabet::URL_SAFE, NO_PAD);
        Decoder {
            engine,
            text: Box::new([0; _]),
            tag_and_payload: Box::new([0; _]),
            header: Box::new([0; _]),
        }
    }
}

/// A token taken apart (RFC 7515 §7.1). Its sender may have made it up, until [`Parts::check`] says
/// otherwise, and until then nobody sees what its parts say.
pub(super) struct Parts<'t, 'd> {
    /// What the MAC is over: header, dot, payload.
    message: &'t str,
    says: Signed<'d>,
    tag: [u8; TAG_BYTES],
}

impl<'t, 'd> Parts<'t, 'd> {
    /// Takes `token` apart. Its parts are decoded ahead of the MAC, and that they cannot be is told
    /// when the MAC is right: the tag is needed before, and the payload is decoded along with it.
    ///
    /// # Errors
    ///
    /// When it is too long, not three parts, or its signature is not 32 bytes.
    pub(super) fn split(
        token: &'t str,
        decoder: &'d mut Decoder,
    ) -> Result<Parts<'t, 'd>, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = split_signature(token).ok_or_else(|| wrong_form(token))?;
        let (header, payload) = split_header(message).ok_or_else(|| wrong_form(token))?;
        if header == Some("") || payload.is_empty() {
            return Err(TokenError::Parts);
        }
        let Decoder {
            engine,
            text,
            tag_and_payload,
            header: header_place,
        } = decoder;
        let header = header.map(|header| decode(engine, header.as_bytes(), &mut header_place[..]));
        let both = decode_both(
            engine,
            signature,
            payload,
            &mut text[..],
            &mut tag_and_payload[..],
        );
        let (tag, payload) = match both {
            Some((tag, payload)) => (*tag, Some(payload)),
            // A dot is no base64url, so that it need not be looked for in what is.
            None if payload.contains('.') => return Err(TokenError::Parts),
            None => {
                let tag = decode_tag(engine, signature).ok_or_else(|| wrong_form(token))?;
                (tag, None)
            }
        };
        let says = Signed { header, payload };
        Ok(Parts { message, says, tag })
    }

    /// RFC 7515 §5.2, step 8, over the characters as received.
    ///
    /// # Errors
    ///
    /// When none of `keys` made the signature.
    pub(super) fn check(self, keys: &Keys) -> Result<Signed<'d>, TokenError> {
        match keys.verify(self.message.as_bytes(), &self.tag) {
            true => Ok(self.says),
            false => Err(TokenError::Signature),
        }
    }
}

/// Splits a token at the dot before its signature: it lies where a tag begins, or else there is none.
fn split_signature(token: &str) -> Option<(&str, &str)> {
    let (message, signature) =
        token.split_at_checked(token.len().checked_sub(TAG_CHARACTERS + 1)?)?;
    Some((message, signature.strip_prefix('.')?))
}

/// Splits what is signed at the first dot: a header that is not [`HEADER`], and the payload. Where
/// the dot lies in most tokens, it is not looked for.
fn split_header(message: &str) -> Option<(Option<&str>, &str)> {
    let behind_ours = message.strip_prefix(HEADER);
    match behind_ours.and_then(|rest| rest.strip_prefix('.')) {
        Some(payload) => Some((None, payload)),
        None => {
            let (header, payload) = message.split_once('.')?;
            Some((Some(header), payload))
        }
    }
}

/// What is wrong with a token whose signature is not where it should be, or none.
#[cold]
fn wrong_form(token: &str) -> TokenError {
    let parts = || token.split('.');
    match parts().count() == 3 && parts().all(|part| !part.is_empty()) {
        true => TokenError::SignatureForm,
        false => TokenError::Parts,
    }
}

/// The tag and the payload, decoded in one piece: the engine has vectors for 64 characters and more,
/// and either has fewer in most tokens (a token's check takes a tenth less). `None` when one of them
/// cannot be decoded.
fn decode_both<'d>(
    engine: &Base64Url,
    signature: &str,
    payload: &str,
    text: &mut [u8],
    decoded: &'d mut [u8],
) -> Option<(&'d [u8; TAG_BYTES], &'d [u8])> {
    let text = text.get_mut(..TAG_CHARACTERS + ZERO.len() + payload.len())?;
    let (tag, rest) = text.split_first_chunk_mut::<TAG_CHARACTERS>()?;
    let (zero, rest) = rest.split_first_chunk_mut()?;
    *tag = *signature.as_bytes().first_chunk()?;
    *zero = ZERO;
    rest.copy_from_slice(payload.as_bytes());
    let (tag, rest) = decode(engine, text, decoded)?.split_first_chunk()?;
    let (unused, payload) = rest.split_first()?;
    // RFC 4648 §3.5: bits that are not used are zero. The payload's are the engine's to check.
    (*unused == 0).then_some((tag, payload))
}

fn decode_tag(engine: &Base64Url, signature: &str) -> Option<[u8; TAG_BYTES]> {
    decode(engine, signature.as_bytes(), &mut [0; TAG_BYTES])?
        .first_chunk()
        .copied()
}

/// Strict base64url (RFC 4648 §5): no padding, no white space, bits that are not used are zero.
fn decode<'d>(engine: &Base64Url, text: &[u8], decoded: &'d mut [u8]) -> Option<&'d [u8]> {
    let bytes = engine.decode_slice(text, decoded).ok()?;
    decoded.get(..bytes)
}

/// How many bytes are whole in so many characters of six bits.
const fn decoded_bytes(characters: usize) -> usize {
    characters * 6 / 8
}

/// What a token says whose signer holds a key. Only [`Parts::check`] gives one away.
pub(super) struct Signed<'d> {
    /// `None` when it is [`HEADER`], character by character: that need not be read.
    header: Option<Option<&'d [u8]>>,
    payload: Option<&'d [u8]>,
}

impl<'d> Signed<'d> {
    /// The header's text; `None` when it is [`HEADER`], which is right.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8 in strict base64url.
    pub(super) fn foreign_header(&self) -> Result<Option<SignedText<'d>>, TokenError> {
        self.header.map(text).transpose()
    }

    /// The payload's text.
    ///
    /// # Errors
    ///
    /// As [`Signed::foreign_header`].
    pub(super) fn payload(&self) -> Result<SignedText<'d>, TokenError> {
        text(self.payload)
    }
}

/// RFC 7515 §2 knows no padding and no white space in a part, and its text is UTF-8.
fn text(decoded: Option<&[u8]>) -> Result<SignedText<'_>, TokenError> {
    let text = std::str::from_utf8(decoded.ok_or(TokenError::Encoding)?);
    text.map(SignedText).map_err(|_| TokenError::Encoding)
}

/// A text that a holder of a key signed; whether it is JSON is not known yet.
pub(super) struct SignedText<'d>(&'d str);

impl<'d> SignedText<'d> {
    /// Reads the text as a JSON object, as [`SignedText::members`] does: for texts that few tokens
    /// have.
    ///
    /// # Errors
    ///
    /// As [`SignedText::members`].
    pub(super) fn members_seldom(
        self,
        each: impl FnMut(&str, Value<'d>) -> Result<(), TokenError>,
    ) -> Result<(), TokenError> {
        json::members_seldom(self.0, each)
    }

    /// Reads the text as a JSON object: [`json::members`].
    ///
    /// # Errors
    ///
    /// When it is no such object; else the first error of `each`.
    pub(super) fn members(
        self,
        each: impl FnMut(&str, Value<'d>) -> Result<(), TokenError>,
    ) -> Result<(), TokenError> {
        json::members(self.0, each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    /// Decodes both, and holds the outcome to what the crate says of each alone, without vectors.
    fn decoded(signature: &str, payload: &str) -> bool {
        let Decoder {
            engine,
            mut text,
            mut tag_and_payload,
            ..
        } = Decoder::new();
        let both = decode_both(
            &engine,
            signature,
            payload,
            &mut text[..],
            &mut tag_and_payload[..],
        );
        let alone = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let alone = alone(signature).zip(alone(payload));
        let both = both.map(|(tag, payload)| (tag.to_vec(), payload.to_vec()));
        assert_eq!(both, alone, "{signature} and {payload}");
        both.is_some()
    }

    fn texts(payload_bytes: usize) -> (String, String) {
        let bytes: Vec<u8> = (0..=255).map(|byte: u8| byte.wrapping_mul(151)).collect();
        let payload = bytes.iter().cycle().skip(7).take(payload_bytes);
        let payload = payload.copied().collect::<Vec<_>>();
        (
            URL_SAFE_NO_PAD.encode(&bytes[..TAG_BYTES]),
            URL_SAFE_NO_PAD.encode(payload),
        )
    }

    #[test]
    fn a_tag_and_a_payload_of_any_length_are_decoded_as_each_alone() {
        for payload_bytes in (1..=200).chain([1_000, 2_500]) {
            let (signature, payload) = texts(payload_bytes);
            assert!(decoded(&signature, &payload));
            // A length that no bytes have, or a character less.
            decoded(&signature, &payload[1..]);
            decoded(&signature, &payload[..payload.len() - 1]);
        }
    }

    #[test]
    fn each_character_of_a_tag_and_a_payload_is_judged_as_each_alone() {
        for payload_bytes in [45, 46, 47] {
            let (signature, payload) = texts(payload_bytes);
            for character in (0..128).map(char::from) {
                let spoiled = |text: &str, at: usize| {
                    let mut characters: Vec<char> = text.chars().collect();
                    characters[at] = character;
                    characters.into_iter().collect::<String>()
                };
                for at in 0..TAG_CHARACTERS {
                    decoded(&spoiled(&signature, at), &payload);
                }
                for at in 0..payload.len() {
                    decoded(&signature, &spoiled(&payload, at));
                }
            }
        }
    }

    #[test]
    fn the_longest_payload_fits_and_one_that_does_not_is_none() {
        let payload = "A".repeat(TOKEN_BYTES_MAX - TAG_CHARACTERS - 2);
        assert!(decoded(&"A".repeat(TAG_CHARACTERS), &payload));
        let decoder = &mut Decoder::new();
        let token = |bytes: usize| {
            let payload = "A".repeat(bytes - TAG_CHARACTERS - 3);
            format!("A.{payload}.{}", "A".repeat(TAG_CHARACTERS))
        };
        let (longest, longer) = (token(TOKEN_BYTES_MAX), token(TOKEN_BYTES_MAX + 1));
        assert!(Parts::split(&longest, decoder).is_ok());
        let error = Parts::split(&longer, decoder).err();
        assert_eq!(error, Some(TokenError::TooLong));
    }
}
