//! Every seed of the fuzz targets, replayed through its target's body: what a campaign found
//! stays found, without a fuzzer.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use framegate::internals::gate::{ClaimRules, Keys, Secret, Verifier};
use framegate::internals::time::UnixSeconds;
use framegate_fuzz::reference::{encode, hmac_sha256};
use framegate_fuzz::{TARGETS, peer};

/// What all seeds together may take in the repository.
const SEEDS_BYTES_MAX: u64 = 2 << 20;

#[test]
fn every_seed_passes_its_target() {
    for target in TARGETS {
        for path in entries(&fuzz().join("seeds").join(target.name)) {
            let input = fs::read(&path).unwrap();
            // The harness shows this when the body panics.
            println!("{}", path.display());
            (target.run)(&input);
        }
    }
}

#[test]
fn every_target_has_seeds_and_a_binary_and_nothing_else_has() {
    let all = TARGETS;
    let targets: BTreeSet<_> = all.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(targets.len(), all.len(), "two targets of one name");
    assert_eq!(names(&fuzz().join("seeds")), targets);
    assert_eq!(names(&fuzz().join("targets")), targets);
    assert!(names(&fuzz().join("dictionaries")).is_subset(&targets));
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in all {
        let binary = format!(
            "[[bin]]\nname = \"{0}\"\npath = \"targets/{0}.rs\"\nrequired-features = [\"libfuzzer\"]\n",
            target.name
        );
        assert!(manifest.contains(&binary), "no binary {}", target.name);
        let seeds = entries(&fuzz().join("seeds").join(target.name));
        assert!(!seeds.is_empty(), "no seed of {}", target.name);
    }
}

#[test]
fn the_seeds_are_small() {
    let folders = entries(&fuzz().join("seeds"));
    let seeds = folders.iter().flat_map(|folder| entries(folder));
    let bytes: u64 = seeds.map(|seed| fs::metadata(seed).unwrap().len()).sum();
    assert!(bytes <= SEEDS_BYTES_MAX, "{bytes} bytes");
}

#[test]
fn raw_bytes_are_refused_as_a_token_without_an_allocation() {
    let secret = Secret::from_bytes(&[b'k'; 32]).unwrap();
    let mut verifier = Verifier::new(Keys::new(&secret, None), ClaimRules::default());
    for path in entries(&fuzz().join("seeds/token_bytes")) {
        // What is not UTF-8 never comes to the gate.
        let token = fs::read_to_string(&path).unwrap_or_default();
        let mut is_refused = false;
        let taken = allocation_counter::measure(|| {
            is_refused = verifier.verify(&token, UnixSeconds(1)).is_err();
        });
        assert!(is_refused);
        assert_eq!(taken.count_total, 0, "{}", path.display());
    }
}

#[test]
fn the_peer_tells_good_tokens_from_others() {
    let secret = [b'k'; 32];
    let accepts = |header: &str, claims: &str| {
        let message = format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(claims.as_bytes())
        );
        let tag = hmac_sha256(&secret, message.as_bytes());
        let token = format!("{message}.{}", encode(&tag));
        peer::accepts(&token, &secret, &ClaimRules::default())
    };
    let (header, claims) = (r#"{"alg":"HS256"}"#, r#"{"sub":"alice","exp":1}"#);
    assert!(accepts(header, claims));
    assert!(!accepts(r#"{"alg":"HS384"}"#, claims));
    assert!(!accepts(header, r#"{"sub":"alice"}"#));
    assert!(!accepts(header, r#"{"sub":"alice","exp":1,"aud":"us"}"#));
    let unsigned = format!(
        "{}.{}.AAAA",
        encode(header.as_bytes()),
        encode(claims.as_bytes())
    );
    assert!(!peer::accepts(&unsigned, &secret, &ClaimRules::default()));
}

fn fuzz() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// What lies in a directory, in the order of its names.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// The names of what lies in a directory, without their extensions.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = entries(directory).into_iter();
    let stem = |path: PathBuf| path.file_stem().unwrap().to_str().unwrap().to_owned();
    entries.map(stem).collect()
}
