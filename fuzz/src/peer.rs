//! The `jsonwebtoken` crate as a second reader of tokens. What it reads and validates is its own;
//! of its cryptographic backends, which bring RSA and elliptic curves, it has none: its HMAC is
//! the reference's.

use crate::reference::hmac_sha256;
use crate::token::differential;
use framegate::internals::gate::ClaimRules;
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{Error, ErrorKind};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, decode};
use serde_json::value::RawValue;

/// Tokens made of the input, judged by the crate and by the gate.
pub fn token_differential(input: &[u8]) {
    differential(input, &accepts);
}

/// Whether the crate takes `token`, its dates aside: it compares them with a clock of its own.
pub fn accepts(token: &str, secret: &[u8], rules: &ClaimRules) -> bool {
    // Who was first has set the same provider.
    let _ = PROVIDER.install_default();
    let mut validation = Validation::new(Algorithm::HS256);
    validation.set_required_spec_claims(&["exp", "sub"]);
    validation.validate_exp = false;
    if let Some(issuer) = &rules.issuer {
        validation.set_issuer(&[issuer]);
    }
    if let Some(audience) = &rules.audience {
        validation.set_audience(&[audience]);
    }
    let key = DecodingKey::from_secret(secret);
    decode::<Box<RawValue>>(token, &key, &validation).is_ok()
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory,
    verifier_factory,
    key_utils: KeyUtils::new_unimplemented(),
};

fn signer_factory(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>, Error> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn verifier_factory(
    algorithm: &Algorithm,
    key: &DecodingKey,
) -> Result<Box<dyn JwtVerifier>, Error> {
    match algorithm {
        Algorithm::HS256 => Ok(Box::new(Hs256(key.try_get_as_bytes()?.to_vec()))),
        _ => Err(ErrorKind::UnsupportedAlgorithm.into()),
    }
}

struct Hs256(Vec<u8>);

impl Verifier<Vec<u8>> for Hs256 {
    fn verify(&self, message: &[u8], tag: &Vec<u8>) -> Result<(), signature::Error> {
        match hmac_sha256(&self.0, message)[..] == tag[..] {
            true => Ok(()),
            false => Err(signature::Error::new()),
        }
    }
}

impl JwtVerifier for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
