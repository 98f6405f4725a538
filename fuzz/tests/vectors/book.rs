//! The vectors as they are gathered. The reference signs, so that they owe nothing to the gate.

use framegate::internals::gate::ClaimRules;
use framegate_fuzz::reference::{encode, hmac_sha256};
use serde_json::json;

pub(crate) const NOW: u64 = 1_700_000_000;
pub(crate) const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;
pub(crate) const BARE: &str = r#"{"alg":"HS256"}"#;
pub(crate) const CLAIMS: &str = r#"{"sub":"alice","exp":1700000001}"#;
pub(crate) const KEY: &[u8] = b"a secret of more than 32 bytes, for the vectors";

#[derive(Clone, Copy)]
pub(crate) enum Wanted {
    Accepted,
    Expired,
    Refused,
}

/// The vectors so far, and what the next ones have in common.
pub(crate) struct Book {
    pub(crate) lines: Vec<String>,
    class: &'static str,
    pub(crate) why: String,
    pub(crate) key: Vec<u8>,
    pub(crate) rules: ClaimRules,
    pub(crate) now: u64,
}

impl Book {
    pub(crate) fn new() -> Book {
        Book {
            lines: Vec::new(),
            class: "",
            why: String::new(),
            key: KEY.to_vec(),
            rules: ClaimRules::default(),
            now: NOW,
        }
    }

    /// Somebody who signs with another key.
    pub(crate) fn of_key(key: &[u8]) -> Book {
        Book {
            key: key.to_vec(),
            ..Book::new()
        }
    }

    /// Begins a class, with nothing said yet.
    pub(crate) fn class(&mut self, class: &'static str) {
        *self = Book {
            lines: std::mem::take(&mut self.lines),
            class,
            ..Book::new()
        };
    }

    /// Says why the next ones have their verdict.
    pub(crate) fn why(&mut self, why: &str) {
        self.why = why.to_owned();
    }

    /// Headers over good claims, one a line; each is its own name.
    pub(crate) fn headers(&mut self, wanted: Wanted, headers: &str) {
        for header in rows(headers) {
            let token = self.signed(header.as_bytes(), CLAIMS.as_bytes());
            self.token(wanted, &format!("header {header}"), &token);
        }
    }

    /// Members beside `alg` in a header.
    pub(crate) fn header_members(&mut self, wanted: Wanted, members: &str) {
        for member in rows(members) {
            self.headers(wanted, &format!(r#"{{"alg":"HS256",{member}}}"#));
        }
    }

    /// Claims under our header, one a line; each is its own name.
    pub(crate) fn claims(&mut self, wanted: Wanted, claims: &str) {
        for claims in rows(claims) {
            let token = self.signed(HEADER.as_bytes(), claims.as_bytes());
            self.token(wanted, claims, &token);
        }
    }

    /// Members beside `sub` and a good `exp`.
    pub(crate) fn claim_members(&mut self, wanted: Wanted, members: &str) {
        for member in rows(members) {
            self.claims(
                wanted,
                &format!(r#"{{"sub":"alice","exp":1700000001,{member}}}"#),
            );
        }
    }

    /// One token, of which nothing is made up here.
    pub(crate) fn token(&mut self, wanted: Wanted, name: &str, token: &str) {
        let verdict = match wanted {
            Wanted::Accepted => "accepted",
            Wanted::Expired => "expired",
            Wanted::Refused => "refused",
        };
        let members = [
            ("class", json!(self.class)),
            ("name", json!(name)),
            ("why", json!(self.why)),
            ("verdict", json!(verdict)),
            ("now", json!(self.now)),
            ("leeway", json!(self.rules.leeway_seconds)),
            ("issuer", json!(self.rules.issuer)),
            ("audience", json!(self.rules.audience)),
            ("secret", json!(encode(&self.key))),
            ("token", json!(token)),
        ];
        let members = members.map(|(name, value)| format!("{}:{value}", json!(name)));
        self.lines.push(format!("{{{}}}", members.join(",")));
    }

    pub(crate) fn signed(&self, header: &[u8], claims: &[u8]) -> String {
        self.with_tag(&format!("{}.{}", encode(header), encode(claims)))
    }

    /// A token of parts that are encoded already, well or not.
    pub(crate) fn with_tag(&self, message: &str) -> String {
        let tag = hmac_sha256(&self.key, message.as_bytes());
        format!("{message}.{}", encode(&tag))
    }

    pub(crate) fn good(&self) -> String {
        self.signed(HEADER.as_bytes(), CLAIMS.as_bytes())
    }
}

/// The lines of a text, without the white space at their ends.
pub(crate) fn rows(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|row| !row.is_empty())
}
