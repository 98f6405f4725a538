//! Whether the check of a token's MAC takes the same time whatever the tag and the secret, seen
//! in three ways: by the clock, by the branches and addresses that the secret decides, and by the
//! instructions that are run. `run` builds this at each optimization level, starts the last two
//! under valgrind, and prints one table.
//!
//! Each way also looks at a comparison that ends at the first wrong byte. That one must be
//! caught, or else the way sees nothing.

mod instructions;
mod memory;
mod requests;
mod row;
mod subject;
mod timing;

use std::env;
use std::process::ExitCode;

use row::Row;

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "usage: constant_time timing|memory|instructions LEVEL";

/// `LEVEL` is what the optimization level of this build is called in the table.
fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let rows = match arguments[..] {
        ["timing", level] => timing::rows(level)?,
        ["memory", level] => memory::rows(level),
        ["instructions", level] => instructions::rows(level)?,
        [timing::CHILD, check, samples] => return timing::child(check, samples.parse()?),
        _ => return Err(USAGE.into()),
    };
    for row in &rows {
        println!("{row}");
    }
    Ok(match rows.iter().all(Row::holds) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}
