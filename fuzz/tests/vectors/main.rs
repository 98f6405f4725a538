//! The vector file `tokens.json`: tokens of every class of attack and both sides of every edge,
//! with the verdict that the contract wants. Here the gate and the reference are held to it; in
//! `make verify` it is put before the verifiers of other people.
//!
//! The file is written by `VECTORS=write cargo test --package framegate-fuzz --test vectors`.
#![cfg(test)]

mod book;
mod made;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use framegate::internals::gate::{ClaimRules, Keys, Secret, TokenError, Verifier};
use framegate::internals::time::UnixSeconds;
use framegate_fuzz::reference::{self, Verdict, decode};
use serde_json::{Value, json};

#[test]
fn the_file_is_what_its_maker_makes() {
    let made = made::file();
    #[expect(clippy::disallowed_methods, reason = "it is told by whoever runs it")]
    let way = std::env::var_os("VECTORS");
    if way.is_some_and(|way| way == "write") {
        fs::write(path(), &made).unwrap();
    }
    let is_same = fs::read_to_string(path()).unwrap() == made;
    assert!(
        is_same,
        "VECTORS=write cargo test --package framegate-fuzz --test vectors"
    );
}

/// And the verdicts are left where `make verify` finds them, to put them beside those of others.
#[test]
fn the_gate_and_the_reference_give_each_verdict() {
    let vectors = vectors();
    assert!(vectors.len() > 300);
    let gate: Vec<Verdict> = vectors.iter().map(of_the_gate).collect();
    let reference: Vec<Verdict> = vectors.iter().map(of_the_reference).collect();
    let accepted = |verdicts: &[Verdict]| -> Value {
        let words = verdicts.iter().map(word);
        words.map(|word| word == "accepted").collect()
    };
    let ours = json!({"framegate": accepted(&gate), "reference": accepted(&reference)});
    let left = concat!(env!("CARGO_TARGET_TMPDIR"), "/verdicts.json");
    fs::write(left, ours.to_string()).unwrap();

    for ((vector, gate), reference) in vectors.iter().zip(gate).zip(reference) {
        assert_eq!(gate, reference, "{}", vector.name);
        assert_eq!(word(&gate), vector.verdict, "{}", vector.name);
    }
}

#[test]
fn each_class_has_names_of_its_own_and_the_file_has_every_verdict() {
    let mut names: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut verdicts: BTreeMap<String, usize> = BTreeMap::new();
    for vector in vectors() {
        let class = names.entry(vector.class).or_default();
        assert!(!class.contains(&vector.name), "{} twice", vector.name);
        class.push(vector.name);
        *verdicts.entry(vector.verdict).or_default() += 1;
    }
    let words: Vec<_> = verdicts.keys().map(String::as_str).collect();
    assert_eq!(words, ["accepted", "expired", "refused"]);
}

/// A line of the file.
struct Vector {
    class: String,
    name: String,
    secret: Vec<u8>,
    token: String,
    now: u64,
    rules: ClaimRules,
    verdict: String,
}

fn vectors() -> Vec<Vector> {
    let text = fs::read_to_string(path()).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&text).unwrap();
    vectors.iter().map(vector).collect()
}

fn vector(vector: &Value) -> Vector {
    let text = |name: &str| vector[name].as_str().unwrap().to_owned();
    let name = |name: &str| vector[name].as_str().map(str::to_owned);
    Vector {
        class: text("class"),
        name: text("name"),
        secret: decode(&text("secret")).unwrap(),
        token: text("token"),
        now: vector["now"].as_u64().unwrap(),
        rules: ClaimRules {
            leeway_seconds: vector["leeway"].as_u64().unwrap(),
            issuer: name("issuer"),
            audience: name("audience"),
        },
        verdict: text("verdict"),
    }
}

fn of_the_gate(vector: &Vector) -> Verdict {
    let secret = Secret::from_bytes(&vector.secret).unwrap();
    let mut verifier = Verifier::new(Keys::new(&secret, None), vector.rules.clone());
    match verifier.verify(&vector.token, UnixSeconds(vector.now)) {
        Ok(verified) => Verdict::Accepted {
            subject: verified.subject().to_owned(),
            issued_at: verified.issued_at().0,
            expires_at: verified.expires_at().0,
        },
        Err(TokenError::Expired) => Verdict::Expired,
        Err(_) => Verdict::Refused,
    }
}

fn of_the_reference(vector: &Vector) -> Verdict {
    reference::verdict(&vector.token, &[&vector.secret], &vector.rules, vector.now)
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Accepted { .. } => "accepted",
        Verdict::Expired => "expired",
        Verdict::Refused => "refused",
    }
}

fn path() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/vectors/tokens.json"]
        .iter()
        .collect()
}
