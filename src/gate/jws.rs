//! A compact JWS (RFC 7515 §3.1) under HS256, up to the text that its signer signed.
//!
//! What is read of a token's JSON is a [`SignedText`], and none can be had but through
//! [`Parts::check`]: the fields are private to this leaf, so the order of the checks is a matter
//! of types.

use super::base64url;
use super::hmac::TAG_BYTES;
use super::json::{self, Value};
use super::secret::Keys;
use super::token::TokenError;
use crate::limits::TOKEN_BYTES_MAX;

/// `{"alg":"HS256","typ":"JWT"}` in base64url: the header of our tokens, and of those that
/// most others make. A header of these very characters need not be read to be right.
pub(super) const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// A tag in base64url: 32 bytes are 42 whole characters and one with two bits unused.
pub(super) const TAG_CHARACTERS: usize = 43;

/// A token taken apart (RFC 7515 §7.1), nothing but its signature decoded. Whoever sent it
/// made it up, until [`Parts::check`] says otherwise.
pub(super) struct Parts<'a> {
    /// What the MAC is over: header, dot, payload.
    message: &'a str,
    header: &'a str,
    payload: &'a str,
    tag: [u8; TAG_BYTES],
}

impl<'a> Parts<'a> {
    /// Takes `token` apart.
    ///
    /// # Errors
    ///
    /// When it is too long, not three parts, or its signature is not 32 bytes.
    pub(super) fn split(token: &'a str) -> Result<Parts<'a>, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let behind_ours = token
            .strip_prefix(HEADER)
            .and_then(|rest| rest.strip_prefix('.'));
        let (header, rest) = match behind_ours {
            Some(rest) => (HEADER, rest),
            None => token.split_once('.').ok_or(TokenError::Parts)?,
        };
        let (payload, signature) = rest.split_once('.').ok_or(TokenError::Parts)?;
        if header.is_empty() || payload.is_empty() || signature.is_empty() {
            return Err(TokenError::Parts);
        }
        let message = &token[..header.len() + 1 + payload.len()];
        match decode_tag(signature) {
            Some(tag) => Ok(Parts {
                message,
                header,
                payload,
                tag,
            }),
            // A third dot is no base64url, so that it need not be looked for before.
            None if signature.contains('.') => Err(TokenError::Parts),
            None => Err(TokenError::SignatureForm),
        }
    }

    /// RFC 7515 §5.2, step 8, over the characters as received.
    ///
    /// # Errors
    ///
    /// When none of `keys` made the signature.
    pub(super) fn check(self, keys: &Keys) -> Result<Signed<'a>, TokenError> {
        match keys.verify(self.message.as_bytes(), &self.tag) {
            true => Ok(Signed {
                header: self.header,
                payload: self.payload,
            }),
            false => Err(TokenError::Signature),
        }
    }
}

fn decode_tag(signature: &str) -> Option<[u8; TAG_BYTES]> {
    // Of a size that is known when the program is compiled, so that nothing of the decoder is left
    // to be decided when it runs.
    let signature: &[u8; TAG_CHARACTERS] = signature.as_bytes().try_into().ok()?;
    let mut tag = [0; base64url::room(TAG_CHARACTERS)];
    base64url::decode(signature, &mut tag)?
        .first_chunk()
        .copied()
}

/// A token that a holder of a key signed. Only [`Parts::check`] makes one.
pub(super) struct Signed<'a> {
    header: &'a str,
    payload: &'a str,
}

impl Signed<'_> {
    /// Whether the header is [`HEADER`], character by character.
    pub(super) fn has_our_header(&self) -> bool {
        self.header == HEADER
    }

    /// The header's text, decoded into `decoded`.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8 in strict base64url.
    pub(super) fn header<'d>(&self, decoded: &'d mut [u8]) -> Result<SignedText<'d>, TokenError> {
        decode(self.header, decoded)
    }

    /// The payload's text, decoded into `decoded`.
    ///
    /// # Errors
    ///
    /// As [`Signed::header`].
    pub(super) fn payload<'d>(&self, decoded: &'d mut [u8]) -> Result<SignedText<'d>, TokenError> {
        decode(self.payload, decoded)
    }
}

/// Decodes a part. RFC 7515 §2 knows no padding and no white space, and RFC 4648 §3.5 lets
/// us refuse bits that are set where none are used; the engine does all three.
fn decode<'d>(part: &str, decoded: &'d mut [u8]) -> Result<SignedText<'d>, TokenError> {
    let bytes = base64url::decode(part.as_bytes(), decoded).ok_or(TokenError::Encoding)?;
    let text = std::str::from_utf8(bytes).map_err(|_| TokenError::Encoding)?;
    Ok(SignedText(text))
}

/// A text that a holder of a key signed; whether it is JSON is not known yet.
pub(super) struct SignedText<'d>(&'d str);

impl<'d> SignedText<'d> {
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
