//! By the clock: each operation in turn, round after round, so that what the machine does
//! meanwhile meets them all.

use std::time::{Duration, Instant};

use crate::operations::{OPERATIONS, Operation, PEER, Run};

const ROUNDS: usize = 31;
/// How long an operation runs in a round.
const ROUND_TIME: Duration = Duration::from_millis(5);

/// The bound of `verify` as a part of what the `jsonwebtoken` crate takes.
const VERIFY_RATIO_MAX: f64 = 0.22;

/// An operation that is ready, and what each round showed: nanoseconds a unit.
struct Timed {
    operation: &'static Operation,
    run: Run,
    runs_per_round: u32,
    rounds: Vec<f64>,
}

/// Prints a table of times, and `verify` beside the `jsonwebtoken` crate's check.
pub fn print() {
    let operations = OPERATIONS.iter().chain([&PEER]);
    let mut all: Vec<_> = operations.map(Timed::new).collect();
    for _ in 0..ROUNDS {
        all.iter_mut().for_each(Timed::round);
    }
    println!("| operation | ns, median of {ROUNDS} rounds | best |");
    println!("| --- | ---: | ---: |");
    for timed in &mut all {
        timed.rounds.sort_by(f64::total_cmp);
        let (name, median, best) = (timed.operation.name, timed.median(), timed.best());
        println!("| {name} | {median:.1} | {best:.1} |");
    }
    let of = |name| all.iter().find(|timed| timed.operation.name == name);
    if let (Some(ours), Some(peers)) = (of("verify"), of(PEER.name)) {
        let of_medians = ours.median() / peers.median();
        let of_best = ours.best() / peers.best();
        println!(
            "\nverify / {}: {of_medians:.3} by the medians, {of_best:.3} by the best; to be at most {VERIFY_RATIO_MAX}",
            PEER.name
        );
    }
}

impl Timed {
    fn new(operation: &'static Operation) -> Timed {
        let mut timed = Timed {
            operation,
            run: (operation.prepare)(),
            runs_per_round: 1,
            rounds: Vec::with_capacity(ROUNDS),
        };
        while timed.take_time() < ROUND_TIME {
            timed.runs_per_round *= 2;
        }
        timed
    }

    fn round(&mut self) {
        let units = f64::from(self.runs_per_round) * f64::from(self.operation.units);
        let nanoseconds = self.take_time().as_nanos() as f64;
        self.rounds.push(nanoseconds / units);
    }

    fn take_time(&mut self) -> Duration {
        let began = Instant::now();
        for _ in 0..self.runs_per_round {
            (self.run)();
        }
        began.elapsed()
    }

    // Of the rounds, once they are sorted.

    fn median(&self) -> f64 {
        self.rounds[self.rounds.len() / 2]
    }

    fn best(&self) -> f64 {
        self.rounds[0]
    }
}
