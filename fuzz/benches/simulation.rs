//! `make sim`: runs of the whole core by seeds, until a promise is not kept or they are through.
//!
//! `SEED` is the first seed, `SEEDS` how many, `OPS` the steps of each.

#![expect(
    clippy::disallowed_methods,
    reason = "it is asked what to run by the environment"
)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use framegate_fuzz::simulation::{Broken, Run, run, run_cut};

fn main() -> ExitCode {
    let first = number("SEED", 0);
    let seeds = number("SEEDS", 200);
    let steps = number("OPS", 5_000);
    let began = Instant::now();
    let next = AtomicU64::new(first);
    let total = AtomicU64::new(0);
    let digest = AtomicU64::new(0);
    let is_broken = AtomicBool::new(false);
    let work = || {
        while !is_broken.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + seeds {
                break;
            }
            match try_seed(seed, steps) {
                Ok(run) => {
                    total.fetch_add(run.steps, Ordering::Relaxed);
                    digest.fetch_xor(run.digest.rotate_left(seed as u32 % 64), Ordering::Relaxed);
                }
                Err(broken) => {
                    is_broken.store(true, Ordering::Relaxed);
                    println!(
                        "seed {seed}, step {} of {steps}: {}\n\
                         again: make sim SEED={seed} SEEDS=1 OPS={steps}",
                        broken.step, broken.what
                    );
                }
            }
        }
    };
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    if is_broken.load(Ordering::Relaxed) {
        return ExitCode::FAILURE;
    }
    let seconds = began.elapsed().as_secs_f64();
    let total = total.load(Ordering::Relaxed);
    println!(
        "{seeds} seeds from {first}, {total} steps in {seconds:.1} s ({:.0} a second): every promise \
         kept; digest {:016x}",
        total as f64 / seconds,
        digest.load(Ordering::Relaxed)
    );
    ExitCode::SUCCESS
}

/// A run, and for some seeds another in which what arrives is read in pieces.
fn try_seed(seed: u64, steps: u64) -> Result<Run, Broken> {
    if seed.is_multiple_of(8) {
        run_cut(seed, steps)?;
    }
    run(seed, steps)
}

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).unwrap_or_default();
    match given.parse() {
        Ok(number) => number,
        Err(_) if given.is_empty() => default,
        Err(_) => {
            eprintln!("{name} is {given}, and no whole number");
            std::process::exit(2)
        }
    }
}
