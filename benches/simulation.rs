//! `make sim`: runs of the whole core by seeds, until a promise is not kept or they are through.
//!
//! `SEED` is the first seed, `SEEDS` how many, `OPS` the steps of each.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use framegate::proof::simulation::{Broken, Reads, Run, run};

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
                Err((reads, broken)) => {
                    is_broken.store(true, Ordering::Relaxed);
                    println!(
                        "seed {seed}, step {} of {steps} ({reads:?}): {}\n\
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

/// A run, and for some seeds the same one with what arrives cut anew: how it is cut changes
/// nothing that comes out.
fn try_seed(seed: u64, steps: u64) -> Result<Run, (Reads, Broken)> {
    let attempt = |reads| run(seed, steps, reads).map_err(|broken| (reads, broken));
    let run = attempt(Reads::Whole)?;
    if seed % 8 == 0 {
        let (roomy, cut) = (attempt(Reads::Roomy)?, attempt(Reads::Cut(seed))?);
        if roomy != cut {
            let what = "the same bytes, cut anew, come to something else".to_owned();
            return Err((Reads::Cut(seed), Broken { step: steps, what }));
        }
    }
    Ok(run)
}

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok().filter(|text| !text.is_empty());
    given.map_or(default, |text| match text.parse() {
        Ok(number) => number,
        Err(_) => panic!("{name} is {text}; it takes a whole number"),
    })
}
