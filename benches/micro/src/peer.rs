//! The `jsonwebtoken` crate, as people use it: a key and what is validated are made once.

use std::hint::black_box;

use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;

use crate::operations::Run;
use crate::subject::{SECRET, SPEAKER, token};

/// What our own check reads.
#[derive(Deserialize)]
struct Claims {
    sub: String,
    iat: u64,
    exp: u64,
}

pub fn decode_token() -> Run {
    let token = token();
    let key = DecodingKey::from_secret(SECRET.as_bytes());
    let mut validation = Validation::new(Algorithm::HS256);
    validation.leeway = 0;
    validation.set_required_spec_claims(&["exp", "sub"]);
    Box::new(move || {
        let data = decode::<Claims>(black_box(&token), &key, &validation);
        let claims = data.expect("the token is good").claims;
        assert_eq!(claims.sub, SPEAKER);
        black_box((claims.iat, claims.exp));
    })
}
