//! Every seed of the fuzz targets, replayed through its target's body: what a campaign found
//! stays found, without a fuzzer.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use framegate::proof::TARGETS;

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
    let targets: BTreeSet<_> = TARGETS
        .iter()
        .map(|target| target.name.to_owned())
        .collect();
    assert_eq!(targets.len(), TARGETS.len(), "two targets of one name");
    assert_eq!(names(&fuzz().join("seeds")), targets);
    assert_eq!(names(&fuzz().join("targets")), targets);
    assert!(names(&fuzz().join("dictionaries")).is_subset(&targets));
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for target in TARGETS {
        let binary = format!(
            "[[bin]]\nname = \"{0}\"\npath = \"targets/{0}.rs\"\n",
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

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
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
