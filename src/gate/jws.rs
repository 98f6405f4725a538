//! A compact JWS (RFC 7515 §3.1) under HS256, up to the text that its signer signed.
//!
//! What is read of a token's JSON is a [`SignedText`], and none can be had but through
//! [`Parts::check`]: the fields are private to this leaf, so the order of the checks is a matter
//! of types.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::json::{self, Value};
use super::key::TAG_BYTES;
use super::secret::Keys;
use super::token::TokenError;
use crate::limits::TOKEN_BYTES_MAX;

/// `{"alg":"HS256","typ":"JWT"}` in base64url: the header of our tokens, and of those that
/// most others make. A header of these very characters need not be read to be right.
pub(super) const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
/// A tag in base64url: 32 bytes are 42 whole characters and one with two bits unused.
pub(super) const TAG_CHARACTERS: usize = 43;
/// The bytes to be had for decoding a header and a payload.
pub(super) const PARTS_ROOM: usize = decoded_bytes(TOKEN_BYTES_MAX);

/// A token taken apart (RFC 7515 §7.1). Whoever sent it made it up, until [`Parts::check`] says
/// otherwise, and until then nobody sees what its parts say.
pub(super) struct Parts<'t, 'd> {
    /// What the MAC is over: header, dot, payload.
    message: &'t str,
    says: Signed<'d>,
    tag: [u8; TAG_BYTES],
}

impl<'t, 'd> Parts<'t, 'd> {
    /// Takes `token` apart, its header and its payload being decoded into `decoded`: ahead of the
    /// MAC, since a processor does the one while it waits for the other (a token's check takes 5 %
    /// less). That they cannot be decoded is told when the MAC is right.
    ///
    /// # Errors
    ///
    /// When it is too long, not three parts, or its signature is not 32 bytes.
    pub(super) fn split(
        token: &'t str,
        decoded: &'d mut [u8; PARTS_ROOM],
    ) -> Result<Parts<'t, 'd>, TokenError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(TokenError::TooLong);
        }
        let (message, signature) = split_signature(token).ok_or_else(|| wrong_form(token))?;
        let (header, payload) = split_header(message).ok_or_else(|| wrong_form(token))?;
        if header == Some("") || payload.is_empty() {
            return Err(TokenError::Parts);
        }
        let tag = decode_tag(signature).ok_or_else(|| wrong_form(token))?;
        let header_room = header.map_or(0, |header| decoded_bytes(header.len()));
        let (first, second) = decoded.split_at_mut(header_room);
        let says = Signed {
            header: header.map(|header| decode(header, first)),
            payload: decode(payload, second),
        };
        // A dot is no base64url, so that it need not be looked for in what is.
        if says.payload.is_none() && payload.contains('.') {
            return Err(TokenError::Parts);
        }
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

fn decode_tag(signature: &str) -> Option<[u8; TAG_BYTES]> {
    decode(signature, &mut [0; TAG_BYTES])?
        .first_chunk()
        .copied()
}

/// Strict base64url: no padding, no white space, bits that are not used are zero (RFC 4648 §3.5).
#[inline]
fn decode<'d>(text: &str, decoded: &'d mut [u8]) -> Option<&'d [u8]> {
    let bytes = URL_SAFE_NO_PAD.decode_slice(text, decoded).ok()?;
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
