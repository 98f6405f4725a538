//! Keys of other kinds, told by how they look, in whatever they are wrapped. Set as a secret they
//! would sign and verify well enough; but a public one is no secret, and who has set one means
//! another algorithm.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// How often what was decoded is decoded again.
const WRAPPINGS_MAX: u32 = 2;

/// What begins a key file of text: RFC 7468 §2, RFC 4716 §3.3, and PuTTY's own.
const PEM: &[&[u8]] = &[
    b"-----BEGIN",
    b"-----END",
    b"---- BEGIN SSH2",
    b"PuTTY-User-Key-File",
];

/// What stands in the keys of OpenSSH: the kinds of public ones (RFC 4253 §6.6, RFC 5656 §3.1, RFC
/// 8709 §4) as they stand before the key and within it, and the magic of a private one.
const OPENSSH: &[&[u8]] = &[
    b"ssh-rsa ",
    b"ssh-dss ",
    b"ssh-ed25519 ",
    b"ecdsa-sha2-nistp",
    b"sk-ssh-ed25519@openssh.com",
    b"AAAAB3NzaC1",
    b"AAAAC3NzaC1",
    b"AAAAE2VjZHNhLXNoYTIt",
    b"AAAAGnNrLXNzaC1",
    b"AAAAInNrLWVjZHNhLXNoYTIt",
    b"b3BlbnNzaC1rZXktdjE",
    b"openssh-key-v1\0",
];

/// A kind of key that HS256 cannot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherKey {
    /// A PEM file, or the body of one without its lines.
    Pem,
    /// A key of OpenSSH.
    OpenSsh,
    /// A JSON Web Key, or a set of them.
    Jwk,
}

impl fmt::Display for OtherKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OtherKey::Pem => "a PEM key",
            OtherKey::OpenSsh => "an OpenSSH key",
            OtherKey::Jwk => "a JSON Web Key",
        })
    }
}

/// The kind of key that `bytes` are, if they are one.
pub(super) fn kind_of(bytes: &[u8]) -> Option<OtherKey> {
    unwrapped(bytes, WRAPPINGS_MAX)
}

fn unwrapped(bytes: &[u8], wrappings: u32) -> Option<OtherKey> {
    if PEM.iter().any(|sign| contains(bytes, sign)) {
        return Some(OtherKey::Pem);
    }
    if OPENSSH.iter().any(|sign| contains(bytes, sign)) {
        return Some(OtherKey::OpenSsh);
    }
    if is_jwk(bytes) {
        return Some(OtherKey::Jwk);
    }
    let inner = decoded(bytes)?;
    if is_der(&inner) {
        return Some(OtherKey::Pem);
    }
    unwrapped(&inner, wrappings.checked_sub(1)?)
}

/// RFC 7517 §4: an object whose member `kty` says what kind of key it is. It may stand in an array
/// or a set, in a string of JSON, in a URL, or be written as a script would.
fn is_jwk(bytes: &[u8]) -> bool {
    const NAMES: &[&[u8]] = &[b"\"kty\"", b"\"kty\\\"", b"'kty'", b"%22kty%22"];
    let is_object = matches!(without_wrapping(bytes).first(), Some(b'{' | b'['));
    NAMES.iter().any(|name| contains(bytes, name)) || is_object && contains(bytes, b"kty")
}

/// Whether this begins as the DER of a key or a certificate does: a SEQUENCE (X.690 §8.9) that
/// holds a version, an algorithm or the two numbers of RSA (RFC 5208 §5, RFC 5280 §4.1, RFC 5915
/// §3, RFC 8017 §A.1). Of random bytes fewer than one in 2²⁴ look like that.
fn is_der(bytes: &[u8]) -> bool {
    const SEQUENCE: u8 = 0x30;
    const INTEGER: u8 = 0x02;
    const OBJECT_IDENTIFIER: u8 = 0x06;
    const CONTEXT_0: u8 = 0xa0;
    let Some((SEQUENCE, outer, content)) = header(bytes) else {
        return false;
    };
    let Some((tag, inner, rest)) = header(content) else {
        return false;
    };
    let is_plausible = match tag {
        // A version, or a modulus of 1,024 bits or more.
        INTEGER => match inner {
            1 => matches!(rest.first(), Some(0 | 1)),
            length => length > 128 && rest.first() == Some(&0),
        },
        SEQUENCE => matches!(
            header(rest),
            Some((OBJECT_IDENTIFIER | SEQUENCE | INTEGER | CONTEXT_0, 1.., _))
        ),
        _ => false,
    };
    is_plausible && outer > inner
}

/// A tag, the length after it, and what follows them (X.690 §8.1.3).
fn header(bytes: &[u8]) -> Option<(u8, usize, &[u8])> {
    let [tag, first, rest @ ..] = bytes else {
        return None;
    };
    match first {
        0..=0x7f => Some((*tag, usize::from(*first), rest)),
        0x81 => Some((*tag, usize::from(*rest.first()?), &rest[1..])),
        0x82 => {
            let [high, low, rest @ ..] = rest else {
                return None;
            };
            Some((*tag, usize::from(u16::from_be_bytes([*high, *low])), rest))
        }
        _ => None,
    }
}

/// What `bytes` are the base64 of, of either alphabet (RFC 4648 §4, §5); at its end it may be cut.
fn decoded(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let kept = on_one_line(without_wrapping(bytes));
    let is_url_safe = kept.iter().any(|byte| b"-_".contains(byte));
    let engine = lenient(if is_url_safe { &URL_SAFE } else { &STANDARD });
    let end = kept.iter().position(|byte| *byte == b'=');
    let length = end.unwrap_or(kept.len()) / 4 * 4;
    engine.decode(&kept[..length]).ok().map(Zeroizing::new)
}

/// Without white space, and without line feeds that are written as `\\n`.
fn on_one_line(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = match (byte, after) {
            (b'\\', [b'n' | b'r', after @ ..]) => after,
            _ => {
                if !byte.is_ascii_whitespace() {
                    kept.push(*byte);
                }
                after
            }
        };
    }
    kept
}

fn lenient(alphabet: &Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent);
    GeneralPurpose::new(alphabet, config)
}

fn without_wrapping(bytes: &[u8]) -> &[u8] {
    let is_wrapping =
        |byte: &u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"\"'`".contains(byte);
    let start = bytes.iter().position(|byte| !is_wrapping(byte));
    let end = bytes.iter().rposition(|byte| !is_wrapping(byte));
    match (start, end) {
        (Some(start), Some(end)) => &bytes[start..=end],
        _ => &[],
    }
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose;

    use super::*;

    const RSA_PUBLIC: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo";
    const EC_PUBLIC: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEEVs/o5+uQbTjL3chynL4wXgUg2R9";
    const EC_PRIVATE: &str = "MHcCAQEEIPNd5xnAOtnhAFzqW8lRwpJGFJdFqMBrn4O5kBEjAXQdoAoGCCqGSM49";
    const ED25519_PRIVATE: &str =
        "MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF";
    const ED25519_PUBLIC: &str = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    const RSA_PKCS1: &str = "MIIEowIBAAKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gun";
    const RSA_PKCS1_PUBLIC: &str =
        "MIIBCgKCAQEAu1SU1LfVLPHCozMxH2Mo4lgOEePzNm0tRgeLezV6ffAt0gunVTLw";
    const CERTIFICATE: &str = "MIIDazCCAlOgAwIBAgIUEfXyIzyGk0uWcIHNQxJuWzYx0t4wDQYJKoZIhvcNAQEL";
    const JWK: &str = r#"{ "kty": "oct", "k": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ" }"#;

    fn kind(text: &str) -> Option<OtherKey> {
        kind_of(text.as_bytes())
    }

    fn encoded(text: &str) -> String {
        general_purpose::STANDARD.encode(text)
    }

    #[test]
    fn a_pem_key_is_one_with_its_lines_and_without() {
        for body in [
            RSA_PUBLIC,
            EC_PUBLIC,
            EC_PRIVATE,
            ED25519_PRIVATE,
            ED25519_PUBLIC,
            RSA_PKCS1,
            RSA_PKCS1_PUBLIC,
            CERTIFICATE,
        ] {
            let file = format!("-----BEGIN X-----\n{body}\n-----END X-----\n");
            let (first, second) = body.split_at(32);
            for text in [
                body.to_owned(),
                format!("  \"{body}\"\n"),
                format!("{first}\n{second}"),
                format!("{first}\\n{second}\\n"),
                format!("{body}\n-----END X-----"),
                body.replace('+', "-").replace('/', "_").replace('=', ""),
                first.to_owned(),
                encoded(body),
                encoded(&file),
                encoded(&encoded(&file)),
                file.replace('\n', "\\n"),
                file,
            ] {
                assert_eq!(kind(&text), Some(OtherKey::Pem), "{text}");
            }
        }
    }

    #[test]
    fn a_key_of_openssh_is_one_with_its_kind_and_without() {
        for text in [
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 alice@host",
            "AAAAB3NzaC1yc2EAAAADAQABAAABAQC7VJTUt9Us8cKj",
            "'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBm/RAlphM3+hUG6wWfcO5bIUIaqMLa2ywxcOK1wMWbh'",
            "AAAAC3NzaC1lZDI1NTE5AAAAIBm/RAlphM3+hUG6wWfcO5bIUIaqMLa2ywxcOK1wMWbh",
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTY=",
            "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW",
        ] {
            assert_eq!(kind(text), Some(OtherKey::OpenSsh), "{text}");
            assert_eq!(kind(&encoded(text)), Some(OtherKey::OpenSsh), "{text}");
        }
    }

    #[test]
    fn a_json_web_key_is_one_in_any_wrapping() {
        for text in [
            JWK.to_owned(),
            format!(" \n{JWK}\n"),
            format!("[{JWK}]"),
            format!("{{\"keys\":[{JWK}]}}"),
            format!("\"{}\"", JWK.replace('"', "\\\"")),
            JWK.replace('"', "'"),
            JWK.replace('"', ""),
            JWK.replace('"', "%22"),
            encoded(JWK),
            encoded(&format!("[{JWK}]")),
            format!("'{}'", encoded(&encoded(JWK))),
        ] {
            assert_eq!(kind(&text), Some(OtherKey::Jwk), "{text}");
        }
    }

    #[test]
    fn a_secret_of_our_own_and_of_other_makers_is_none() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut random = move || {
            // Xorshift (Marsaglia 2003).
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()
        };
        for length in [32, 48, 64] {
            for _ in 0..300 {
                let bytes: Vec<u8> = (0..length / 8).flat_map(|_| random()).collect();
                let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(kind_of(&bytes), None);
                assert_eq!(kind(&hex), None, "{hex}");
                for text in [
                    general_purpose::STANDARD.encode(&bytes),
                    general_purpose::URL_SAFE_NO_PAD.encode(&bytes),
                ] {
                    assert_eq!(kind(&text), None, "{text}");
                }
            }
        }
        for text in [
            "{a brace at the start makes no key}",
            "MIIx and a sentence of words that is long enough",
            "",
            "0",
            "=",
            "\"",
        ] {
            assert_eq!(kind(text), None, "{text}");
        }
    }
}
