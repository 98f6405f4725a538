//! What framegate costs beside servers of other people: the same work, users and tokens over
//! loopback, each server on one core and this program, its only client, on the other.
//!
//! `make bench` builds the others and runs it whole; it sends only to servers of its own.
//!
//! ```text
//! figures ─► contenders   a process each, told apart by what they speak and check
//!         ─► crowd        members in a closed loop, or at a rate
//!         ─► visits       strangers who come, forge and go
//!         ─► report       tables, JSON, and the pictures of docs/benchmarks.md
//! ```
//!
//! All contenders of a figure stand at once; they are measured in turns, a short while each, round
//! after round. So what the machine does meanwhile falls on all of them, and the ratio of two that
//! were measured beside each other says more than either.

#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    reason = "it drives servers from outside"
)]

mod chart;
mod contender;
mod crowd;
mod figures;
mod frames;
mod paced;
#[expect(dead_code, reason = "the hostile suite uses the rest")]
#[path = "../../tests/hostile/probe.rs"]
mod probe;
mod report;
mod visits;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use lexopt::prelude::*;

/// The core this program runs on; the servers run on core 0.
const LOAD_CORE: &str = "1";

/// How much is measured.
pub(crate) struct Plan {
    /// How often every contender of a figure is measured.
    pub(crate) rounds: usize,
    /// How long each time.
    pub(crate) window: Duration,
    /// Names of figures; every one when empty.
    only: Vec<String>,
    /// Whether the others, which `benches/peers/build` built, are measured too.
    pub(crate) with_peers: bool,
    /// The framegate that is measured.
    pub(crate) program: PathBuf,
    /// Where results and pictures go.
    out: Option<PathBuf>,
    /// Where results are of which only the pictures are drawn anew.
    draw: Option<PathBuf>,
}

fn main() -> ExitCode {
    let plan = match plan() {
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("load: {error}");
            return ExitCode::from(2);
        }
    };
    if let Some(folder) = &plan.draw {
        report::draw(folder).expect("there are results");
        return ExitCode::SUCCESS;
    }
    let mut report = report::Report::begin(&plan);
    contender::pin(std::process::id(), LOAD_CORE);
    for figure in figures::ALL {
        if plan.only.is_empty() || plan.only.iter().any(|name| name == figure.name) {
            report.add((figure.measure)(figure, &plan));
            // What there is by now is kept, whatever comes of the next.
            if let Some(out) = &plan.out {
                report.write(out).expect("results can be written");
            }
        }
    }
    ExitCode::SUCCESS
}

fn plan() -> Result<Plan, lexopt::Error> {
    let mut plan = Plan {
        rounds: 5,
        window: Duration::from_millis(1_000),
        only: Vec::new(),
        with_peers: false,
        program: PathBuf::from(contender::BENCH_PROGRAM),
        out: None,
        draw: None,
    };
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("rounds") => plan.rounds = parser.value()?.parse()?,
            Long("window-ms") => {
                plan.window = Duration::from_millis(parser.value()?.parse()?);
            }
            Long("peers") => plan.with_peers = true,
            Long("program") => plan.program = parser.value()?.into(),
            Long("out") => plan.out = Some(parser.value()?.into()),
            Long("draw") => plan.draw = Some(parser.value()?.into()),
            // What `cargo bench` says to every benchmark.
            Long("bench") => {}
            Value(name) => plan.only.push(name.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(plan)
}
