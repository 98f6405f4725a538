//! A token's verdict: its MAC, its header and the claims in it (RFC 7519).
//!
//! The order is the security: sizes, then the MAC, then the header, then the claims. Whatever
//! a parser gets to see was written by somebody who holds a key: it takes a [`SignedText`].

use std::borrow::Cow;
use std::fmt;

use super::jws::{Decoder, Parts, SignedText};
use super::secret::Keys;
use crate::json::{JsonError, Value};
use crate::limits::{CLAIM_SECONDS_MAX, SUBJECT_BYTES_MAX, TOKEN_BYTES_MAX};
use crate::time::UnixSeconds;

/// The one algorithm (RFC 7518 §3.2): a constant of the program, never a choice of the token.
const ALGORITHM: &str = "HS256";

/// Checks tokens. No verdict is kept: every call pays for its own.
pub struct Verifier {
    keys: Keys,
    rules: ClaimRules,
    decoder: Decoder,
    /// MACs computed so far.
    verifications: u64,
}

impl Verifier {
    /// A verifier over `keys` that holds tokens to `rules`.
    pub fn new(keys: Keys, rules: ClaimRules) -> Verifier {
        Verifier {
            keys,
            rules,
            decoder: Decoder::new(),
            verifications: 0,
        }
    }

    /// How many tokens had their MAC checked, whatever came of it. A token that is no three
    /// parts with a signature after them has none to check.
    pub fn verifications(&self) -> u64 {
        self.verifications
    }

    /// Checks a token, at the time `now`.
    ///
    /// Nothing is allocated, but for strings with escapes in them.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong. [`TokenError::Expired`] comes last of all: it says that
    /// everything else about the token is right.
    pub fn verify(&mut self, token: &str, now: UnixSeconds) -> Result<Verified<'_>, TokenError> {
        let parts = Parts::split(token, &mut self.decoder)?;
        self.verifications += 1;
        let signed = parts.check(&self.keys)?;
        if let Some(header) = signed.foreign_header()? {
            check_header(header)?;
        }
        let mut claims = Claims::default();
        claims.read(signed.payload()?)?;
        claims.judge(&self.rules, now)
    }
}

/// What is asked of claims beyond their form.
#[derive(Clone, Debug, Default)]
pub struct ClaimRules {
    /// How many seconds another's clock may be off.
    pub leeway_seconds: u64,
    /// The `iss` a token must carry.
    pub issuer: Option<String>,
    /// The `aud` a token must name. Where there is none, a token with any is refused.
    pub audience: Option<String>,
}

/// What a token proved, at one instant. Only [`Verifier::verify`] makes one:
///
/// ```compile_fail,E0451
/// use framegate::internals::{gate::Verified, time::UnixSeconds};
///
/// let forged = Verified {
///     subject: "admin".into(),
///     issued_at: UnixSeconds(1),
///     expires_at: UnixSeconds(u64::MAX),
/// };
/// ```
#[derive(Debug)]
pub struct Verified<'a> {
    subject: Cow<'a, str>,
    issued_at: UnixSeconds,
    expires_at: UnixSeconds,
}

impl Verified<'_> {
    /// `sub`: whose token it is.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `iat`; the beginning of time when the token does not say.
    pub fn issued_at(&self) -> UnixSeconds {
        self.issued_at
    }

    /// `exp`: the first second in which the token is void.
    pub fn expires_at(&self) -> UnixSeconds {
        self.expires_at
    }
}

/// Whether `text` can be a subject: 1 to [`SUBJECT_BYTES_MAX`] printable ASCII characters,
/// none of them a space.
pub fn is_subject(text: &str) -> bool {
    let graphic = text.bytes().all(|byte| byte.is_ascii_graphic());
    graphic && (1..=SUBJECT_BYTES_MAX).contains(&text.len())
}

/// What is wrong with a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenError {
    /// Longer than [`TOKEN_BYTES_MAX`].
    TooLong,
    /// Not three parts that are not empty.
    Parts,
    /// The signature is not 32 bytes in strict base64url.
    SignatureForm,
    /// The MAC fits none of the keys.
    Signature,
    /// The header or the claims are not UTF-8 in strict base64url.
    Encoding,
    /// The header or the claims are not a strict JSON object.
    Json(JsonError),
    /// `alg` is not HS256.
    Algorithm,
    /// `typ` is there and not JWT.
    Type,
    /// The header asks for something we do not do: `crit`, `b64`, `zip`, `enc`, `cty`.
    Extension,
    /// `sub` is missing or not a subject.
    Subject,
    /// `exp` is missing or not a date.
    ExpiresAt,
    /// `nbf` is not a date.
    NotBefore,
    /// `iat` is not a date.
    IssuedAt,
    /// `iss` is not a string or not the issuer asked for.
    Issuer,
    /// `aud` does not name us, or names somebody when we have no name.
    Audience,
    /// `nbf` lies ahead.
    NotYetValid,
    /// `iat` lies ahead.
    IssuedAhead,
    /// Everything is right but `exp`, which has come.
    Expired,
}

impl TokenError {
    /// True when nobody who holds one of the keys made this token: a wrong signature, or a form
    /// that no signer gives it. What a signer may have meant for another time or place is not.
    pub const fn is_hostile(self) -> bool {
        matches!(
            self,
            TokenError::TooLong
                | TokenError::Parts
                | TokenError::SignatureForm
                | TokenError::Signature
                | TokenError::Encoding
                | TokenError::Json(_)
                | TokenError::Algorithm
        )
    }

    /// The error in a word, for logs and metrics.
    pub const fn word(self) -> &'static str {
        match self {
            TokenError::TooLong => "too_long",
            TokenError::Parts => "not_three_parts",
            TokenError::SignatureForm => "signature_form",
            TokenError::Signature => "bad_signature",
            TokenError::Encoding => "bad_encoding",
            TokenError::Json(error) => error.word(),
            TokenError::Algorithm => "bad_alg",
            TokenError::Type => "bad_typ",
            TokenError::Extension => "header_extension",
            TokenError::Subject => "bad_sub",
            TokenError::ExpiresAt => "bad_exp",
            TokenError::NotBefore => "bad_nbf",
            TokenError::IssuedAt => "bad_iat",
            TokenError::Issuer => "bad_iss",
            TokenError::Audience => "bad_aud",
            TokenError::NotYetValid => "not_yet_valid",
            TokenError::IssuedAhead => "issued_ahead",
            TokenError::Expired => "expired",
        }
    }
}

impl fmt::Display for TokenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            TokenError::TooLong => return write!(f, "longer than {TOKEN_BYTES_MAX} bytes"),
            TokenError::Json(error) => return write!(f, "header or claims: {error}"),
            TokenError::Parts => "not three parts with two dots between them",
            TokenError::SignatureForm => "the signature is not 32 bytes in base64url",
            TokenError::Signature => "the signature is not of our secret",
            TokenError::Encoding => "header or claims are not UTF-8 in strict base64url",
            TokenError::Algorithm => "`alg` is not HS256",
            TokenError::Type => "`typ` is not JWT",
            TokenError::Extension => "the header has one of crit, b64, zip, enc, cty",
            TokenError::Subject => {
                "`sub` is missing, or is not 1 to 128 printable ASCII characters without spaces"
            }
            TokenError::ExpiresAt => {
                "`exp` is missing, or is not a whole number of seconds (not milliseconds) from \
                 1970 to 9999"
            }
            TokenError::NotBefore => "`nbf` is not a whole number of seconds from 1970 to 9999",
            TokenError::IssuedAt => "`iat` is not a whole number of seconds from 1970 to 9999",
            TokenError::Issuer => "`iss` is not the ISSUER that is set",
            TokenError::Audience => "`aud` is not the AUDIENCE that is set, or none is set",
            TokenError::NotYetValid => "not valid yet: `nbf` lies ahead",
            TokenError::IssuedAhead => "`iat` lies ahead",
            TokenError::Expired => "expired",
        };
        f.write_str(text)
    }
}

impl std::error::Error for TokenError {}

impl From<JsonError> for TokenError {
    fn from(error: JsonError) -> TokenError {
        TokenError::Json(error)
    }
}

fn check_header(header: SignedText<'_>) -> Result<(), TokenError> {
    let mut algorithm = Err(TokenError::Algorithm);
    header.members_seldom(|name, value| match name {
        "alg" => {
            algorithm = check_algorithm(value);
            algorithm
        }
        "typ" => check_type(value),
        // RFC 7515 §4.1.11: what is critical and not understood refuses the token, and an
        // empty or ill-typed list of it is no better. RFC 7797 §3, RFC 7516 §4.1.
        "crit" | "b64" | "zip" | "enc" | "cty" => Err(TokenError::Extension),
        _ => Ok(()),
    })?;
    algorithm
}

/// RFC 7515 §4.1.1: `alg` is there, and its letters have their case.
fn check_algorithm(value: Value<'_>) -> Result<(), TokenError> {
    match value.string() {
        Some(name) if name == ALGORITHM => Ok(()),
        _ => Err(TokenError::Algorithm),
    }
}

/// RFC 7519 §5.1: `JWT`, in upper case by recommendation only.
fn check_type(value: Value<'_>) -> Result<(), TokenError> {
    match value.string() {
        Some(name) if name.eq_ignore_ascii_case("JWT") => Ok(()),
        _ => Err(TokenError::Type),
    }
}

/// The claims we know (RFC 7519 §4.1), of the right types; no claim is judged yet.
#[derive(Default)]
struct Claims<'a> {
    subject: Option<Cow<'a, str>>,
    expires_at: Option<UnixSeconds>,
    not_before: Option<UnixSeconds>,
    issued_at: Option<UnixSeconds>,
    issuer: Option<Cow<'a, str>>,
    audience: Option<Value<'a>>,
}

impl<'a> Claims<'a> {
    fn read(&mut self, text: SignedText<'a>) -> Result<(), TokenError> {
        text.members(|name, value| {
            match name {
                "sub" => self.subject = Some(value.string().ok_or(TokenError::Subject)?),
                "exp" => self.expires_at = Some(date(value).ok_or(TokenError::ExpiresAt)?),
                "nbf" => self.not_before = Some(date(value).ok_or(TokenError::NotBefore)?),
                "iat" => self.issued_at = Some(date(value).ok_or(TokenError::IssuedAt)?),
                "iss" => self.issuer = Some(value.string().ok_or(TokenError::Issuer)?),
                "aud" => self.audience = Some(value),
                _ => {}
            }
            Ok(())
        })
    }

    fn judge(self, rules: &ClaimRules, now: UnixSeconds) -> Result<Verified<'a>, TokenError> {
        let subject = self.subject.filter(|subject| is_subject(subject));
        let subject = subject.ok_or(TokenError::Subject)?;
        let expires_at = self.expires_at.ok_or(TokenError::ExpiresAt)?;
        if rules.issuer.is_some() && rules.issuer.as_deref() != self.issuer.as_deref() {
            return Err(TokenError::Issuer);
        }
        if !names_audience(self.audience, rules.audience.as_deref()) {
            return Err(TokenError::Audience);
        }
        let latest = now.plus(rules.leeway_seconds);
        // RFC 7519 §4.1.5: the current time MUST be after or equal to `nbf`.
        if self
            .not_before
            .is_some_and(|not_before| not_before > latest)
        {
            return Err(TokenError::NotYetValid);
        }
        let issued_at = self.issued_at.unwrap_or_default();
        // A login in the second of a revocation is dated one ahead.
        if issued_at > latest.plus(1) {
            return Err(TokenError::IssuedAhead);
        }
        // RFC 7519 §4.1.4: the current time MUST be before `exp`.
        if expires_at.plus(rules.leeway_seconds) <= now {
            return Err(TokenError::Expired);
        }
        Ok(Verified {
            subject,
            issued_at,
            expires_at,
        })
    }
}

/// A NumericDate (RFC 7519 §2) of the kind we take: whole seconds from 1 to year 9999.
fn date(value: Value<'_>) -> Option<UnixSeconds> {
    let seconds = value.integer()?;
    (1..=CLAIM_SECONDS_MAX)
        .contains(&seconds)
        .then_some(UnixSeconds(seconds))
}

/// RFC 7519 §4.1.3: who is not named by an `aud` that is there MUST reject the token; so we
/// do when we have no name.
fn names_audience(audience: Option<Value<'_>>, wanted: Option<&str>) -> bool {
    match (audience, wanted) {
        (None, None) => true,
        (Some(audience), Some(wanted)) => names(audience, wanted),
        _ => false,
    }
}

/// Whether `audience` is the string `wanted`, or an array of strings with it among them.
fn names(audience: Value<'_>, wanted: &str) -> bool {
    let (mut found, mut others) = (false, false);
    let is_array = audience.elements(|element| match element.string() {
        Some(name) => found |= name == wanted,
        None => others = true,
    });
    match is_array {
        true => found && !others,
        false => audience.string().is_some_and(|name| name == wanted),
    }
}

#[cfg(test)]
mod tests;
