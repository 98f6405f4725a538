//! All rows at full size, as one table: attack, what was seen, bound, verdict. `make hostile`
//! runs it; with arguments, only the rows that are named. It ends with 1 when
//! a row does not hold, and a row that could not run does not hold.

#![expect(
    clippy::disallowed_methods,
    clippy::panic,
    clippy::expect_used,
    reason = "it drives a server from outside"
)]

#[expect(dead_code, reason = "the siege uses the rest")]
mod arena;
mod connections;
mod crowd;
mod fan_out;
mod floods;
mod frames;
mod handshake;
mod logins;
mod many;
mod outside;
mod peer;
mod places;
#[expect(dead_code, reason = "the share of user space is for the benchmarks")]
mod probe;
mod shares;
mod store;
#[path = "../support/mod.rs"]
mod support;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use arena::{Arena, Row, Scale};

const SECTIONS: &[(&str, &[Row])] = &[
    ("Handshake and HTTP", handshake::ROWS),
    ("Frames", frames::ROWS),
    ("Connections and resources", connections::ROWS),
    ("Floods", floods::ROWS),
    ("What one says to many", fan_out::ROWS),
    ("What one may take", shares::ROWS),
    ("Places for passwords", places::ROWS),
    ("Many at once", many::ROWS),
    ("What stands around", outside::ROWS),
    ("The database in other hands", store::ROWS),
    ("Login, users, logs", logins::ROWS),
];

/// What this suite leaves to others.
const ELSEWHERE: &str = "\
Not here, since they need another clock, kernel or disk: the wall clock set forward and back, \
accept(2) failing with ENFILE, ENOMEM, ENOBUFS, ECONNABORTED or EPROTO, EINTR, and the store \
failing at its n-th call. The tests in src/ have them.";

fn main() -> ExitCode {
    // What a row found is in the table; a panic need not be told twice.
    std::panic::set_hook(Box::new(|_| {}));
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    println!("| attack | what was seen | bound | verdict |\n| --- | --- | --- | --- |");
    let mut fallen = 0;
    for (section, rows) in SECTIONS {
        println!("| **{section}** | | | |");
        for row in rows.iter() {
            if wanted.is_empty() || wanted.iter().any(|name| name == row.name) {
                fallen += usize::from(!holds(row));
            }
        }
    }
    println!("\n{ELSEWHERE}");
    match fallen {
        0 => ExitCode::SUCCESS,
        _ => {
            println!("\n{fallen} rows do not hold");
            ExitCode::FAILURE
        }
    }
}

fn holds(row: &Row) -> bool {
    let began = Instant::now();
    let mut arena = Arena::new(Scale::Full);
    let run = catch_unwind(AssertUnwindSafe(|| (row.run)(&mut arena)));
    if let Err(panic) = run {
        arena.must(false, format!("could not run: {}", message(&*panic)));
    }
    let verdict = match arena.faults.is_empty() {
        true => "holds".to_owned(),
        false => format!("**DOES NOT HOLD**: {}", arena.faults.join("; ")),
    };
    println!(
        "| {} | {} | {} | {} |",
        row.attack,
        cell(&arena.seen.join("; ")),
        row.bound,
        cell(&verdict)
    );
    eprintln!("{:6.1} s  {}", began.elapsed().as_secs_f64(), row.name);
    arena.faults.is_empty()
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    text.unwrap_or_default()
}

/// Text that ends no cell and no line.
fn cell(text: &str) -> String {
    let escaped = text.replace('|', "\\|").replace('\n', " ");
    escaped.chars().take(800).collect()
}
