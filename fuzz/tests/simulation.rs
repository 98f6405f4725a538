//! The simulator, in small: some seeds, and those that once found something. `make sim` runs more.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;

use framegate_fuzz::simulation::{run, run_bytes, run_cut, server_ops, transcript};

/// Seeds whose runs break a promise where a fault is planted (`tests/planted`), and the steps that
/// takes. When the simulator changes, each seed is another run: then `make sim-faults` says which tell.
/// The last one alone finds that somebody is thrown out for the memory of answers that are about to leave.
const TELLING: &[(u64, u64)] = &[
    (0, 900),
    (1, 2_800),
    (2, 3_200),
    (6, 1_300),
    (7, 1_400),
    (8, 3_000),
    (13, 3_000),
    (21, 3_100),
    (203, 1_800),
    (5_241, 3_200),
];

#[test]
fn every_promise_is_kept() {
    for seed in 0..40 {
        if let Err(broken) = run(seed, 500) {
            panic!("seed {seed}, step {}: {}", broken.step, broken.what);
        }
    }
}

#[test]
fn every_promise_is_kept_where_a_fault_would_show() {
    for &(seed, steps) in TELLING {
        if let Err(broken) = run(seed, steps) {
            panic!("seed {seed}, step {}: {}", broken.step, broken.what);
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    let runs = [(), ()].map(|()| run(7, 1_000).map_err(|broken| broken.what));
    assert_eq!(runs[0], runs[1]);
    assert!(runs[0].as_ref().is_ok_and(|run| run.steps == 1_000));
    assert_ne!(runs[0], run(8, 1_000).map_err(|broken| broken.what));
}

#[test]
fn the_same_bytes_are_the_same_run_whatever_ran_before() {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds/server_ops");
    let mut paths: Vec<_> = fs::read_dir(seeds)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let inputs: Vec<Vec<u8>> = paths.iter().map(|path| fs::read(path).unwrap()).collect();
    let digest = |input: &Vec<u8>| run_bytes(input).map(|run| run.digest).unwrap();
    let forwards: Vec<u64> = inputs.iter().map(digest).collect();
    let mut backwards: Vec<u64> = inputs.iter().rev().map(digest).collect();
    backwards.reverse();
    // What a world leaves for the next one stays in its thread.
    let alone = |input: &Vec<u8>| {
        thread::scope(|scope| scope.spawn(|| digest(input)).join())
            .expect("an input runs to its end")
    };
    assert_eq!(forwards, backwards);
    assert_eq!(forwards, inputs.iter().map(alone).collect::<Vec<_>>());
    let distinct: BTreeSet<u64> = forwards.iter().copied().collect();
    assert!(
        distinct.len() > forwards.len() / 2,
        "digests tell runs apart"
    );
}

#[test]
fn how_it_is_read_changes_nothing() {
    for seed in 0..10 {
        if let Err(broken) = run_cut(seed, 500) {
            panic!("seed {seed}, step {}: {}", broken.step, broken.what);
        }
    }
}

#[test]
fn a_run_can_be_written_down_for_the_fuzzer() {
    for seed in 0..10 {
        let bytes = transcript(seed, 200);
        assert!(bytes.len() > 200, "{} bytes", bytes.len());
        server_ops(&bytes);
    }
}
