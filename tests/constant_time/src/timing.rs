//! By the clock, as dudect does it: the tags of two classes are checked in random order, and
//! Welch's t-test is asked whether the times of the classes differ.

use std::cell::RefCell;
use std::env;
use std::process::{Command, ExitCode};
use std::sync::OnceLock;

use dudect_bencher::ctbench::{BenchFn, BenchMetadata, BenchName, BenchOpts, run_benches_console};
use dudect_bencher::rand::RngExt;
use dudect_bencher::{BenchRng, Class, CtRunner};

use crate::Failure;
use crate::row::{Of, Row};
use crate::subject::{NOW, Subject, TAG_BYTES, Tag, equal_until_wrong, verifier};

pub const CHILD: &str = "timing-of";

/// A larger |t| says that the times differ. It is the largest over a hundred croppings of the
/// times, so chance alone goes above the bound once in some thousand runs.
const T_MAX: f64 = 4.5;
const SAMPLES: usize = 1_000_000;
/// A check above the bound is run once more, with so many times the samples, and that run
/// decides. The |t| of a leak grows with the root of the samples, to twice what it was, so
/// that a leak cannot hide in the second run; that of chance does not grow.
const SAMPLES_AGAIN: usize = 4 * SAMPLES;

struct Check {
    name: &'static str,
    of: Of,
    bench: BenchFn,
}

const CHECKS: &[Check] = &[
    Check {
        name: "whole token: first or last byte of the tag wrong",
        of: Of::Program,
        bench: |runner, rng| time_tokens(runner, rng, [first_wrong, last_wrong]),
    },
    Check {
        name: "MAC: first or last byte of the tag wrong",
        of: Of::Program,
        bench: |runner, rng| time_macs(runner, rng, [first_wrong, last_wrong]),
    },
    Check {
        name: "MAC: tag right or wrong",
        of: Of::Program,
        bench: |runner, rng| time_macs(runner, rng, [right, any]),
    },
    Check {
        name: "MAC: tag of the current or the previous key",
        of: Of::Program,
        bench: |runner, rng| time_macs(runner, rng, [right, right_before]),
    },
    Check {
        name: "control: the MAC and an early exit, first or last byte wrong",
        of: Of::Control,
        bench: |runner, rng| time_early_exits(runner, rng, [first_wrong, last_wrong]),
    },
];

pub fn rows(level: &str) -> Result<Vec<Row>, Failure> {
    CHECKS.iter().map(|check| row(check, level)).collect()
}

fn row(check: &Check, level: &str) -> Result<Row, Failure> {
    let mut t = measure(check, SAMPLES)?;
    let mut seen = format!("t = {t:+.2}, {SAMPLES} samples");
    if check.of == Of::Program && exceeds(t) {
        t = measure(check, SAMPLES_AGAIN)?;
        seen += &format!("; again t = {t:+.2}, {SAMPLES_AGAIN} samples");
    }
    Ok(Row {
        way: "dudect",
        check: check.name,
        of: check.of,
        level: level.to_owned(),
        seen,
        bound: format!("abs(t) <= {T_MAX}"),
        leaks: exceeds(t),
    })
}

/// What is not a number is no proof.
fn exceeds(t: f64) -> bool {
    t.is_nan() || t.abs() > T_MAX
}

/// The bencher prints what it finds and hands out nothing, so it runs in a process of its own.
fn measure(check: &Check, samples: usize) -> Result<f64, Failure> {
    let output = Command::new(env::current_exe()?)
        .args([CHILD, check.name, &samples.to_string()])
        .output()?;
    let printed = String::from_utf8(output.stdout)?;
    let t = printed.split_once("max t = ").and_then(|(_, rest)| {
        let (t, _) = rest.split_once(',')?;
        t.parse().ok()
    });
    t.ok_or_else(|| format!("dudect found no t: {printed}").into())
}

static SAMPLES_WANTED: OnceLock<usize> = OnceLock::new();

pub fn child(name: &str, samples: usize) -> Result<ExitCode, Failure> {
    let check = CHECKS.iter().find(|check| check.name == name);
    let check = check.ok_or("no such check")?;
    SAMPLES_WANTED.get_or_init(|| samples);
    let bench = BenchMetadata {
        name: BenchName(check.name),
        seed: None,
        benchfn: check.bench,
    };
    run_benches_console(BenchOpts::default(), vec![bench])?;
    Ok(ExitCode::SUCCESS)
}

/// Makes a tag of a class.
type MakeTag = fn(&Subject, &mut BenchRng) -> Tag;

fn right(subject: &Subject, _: &mut BenchRng) -> Tag {
    subject.right
}

fn right_before(subject: &Subject, _: &mut BenchRng) -> Tag {
    subject.right_before
}

fn any(_: &Subject, rng: &mut BenchRng) -> Tag {
    rng.random()
}

fn first_wrong(subject: &Subject, rng: &mut BenchRng) -> Tag {
    wrong_at(0, subject, rng)
}

fn last_wrong(subject: &Subject, rng: &mut BenchRng) -> Tag {
    wrong_at(TAG_BYTES - 1, subject, rng)
}

fn wrong_at(index: usize, subject: &Subject, rng: &mut BenchRng) -> Tag {
    let mut tag = subject.right;
    tag[index] ^= rng.random_range(1..=u8::MAX);
    tag
}

fn time_tokens(runner: &mut CtRunner, rng: &mut BenchRng, classes: [MakeTag; 2]) {
    let subject = Subject::new();
    let verifier = RefCell::new(verifier(subject.keys()));
    // One place in memory for all, since one may be slower to read than another.
    let mut token = String::new();
    for (class, tag) in tags(&subject, rng, classes) {
        token.clear();
        token.push_str(&subject.token(&tag));
        runner.run_one(class, || verifier.borrow_mut().verify(&token, NOW).is_ok());
    }
}

fn time_macs(runner: &mut CtRunner, rng: &mut BenchRng, classes: [MakeTag; 2]) {
    let subject = Subject::new();
    let keys = subject.keys();
    let signed = subject.signed.as_bytes();
    for (class, tag) in tags(&subject, rng, classes) {
        runner.run_one(class, || keys.verify(signed, &tag));
    }
}

/// The early exit stands behind the MAC, where it would in a program: what is to be caught is
/// not bare.
fn time_early_exits(runner: &mut CtRunner, rng: &mut BenchRng, classes: [MakeTag; 2]) {
    let subject = Subject::new();
    let keys = subject.keys();
    let signed = subject.signed.as_bytes();
    for (class, tag) in tags(&subject, rng, classes) {
        runner.run_one(class, || {
            keys.verify(signed, &tag) | equal_until_wrong(&subject.right, &tag)
        });
    }
}

fn tags(subject: &Subject, rng: &mut BenchRng, [left, right]: [MakeTag; 2]) -> Vec<(Class, Tag)> {
    let samples = SAMPLES_WANTED.get().copied().unwrap_or(SAMPLES);
    let mut tag = || match rng.random() {
        true => (Class::Left, left(subject, rng)),
        false => (Class::Right, right(subject, rng)),
    };
    (0..samples).map(|_| tag()).collect()
}
