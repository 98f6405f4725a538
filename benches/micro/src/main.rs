//! The operations by the clock, or run so often that valgrind can count their instructions.

use std::env;
use std::error::Error;

use micro::operations::OPERATIONS;
use micro::time;

const USAGE: &str = "usage: micro time|list|instructions NAME RUNS";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["time"] => time::print(),
        ["list"] => list(),
        ["instructions", name, runs] => run(name, runs.parse()?)?,
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

/// The name of each operation, and how many units a run of it makes.
fn list() {
    for operation in OPERATIONS {
        println!("{} {}", operation.name, operation.units);
    }
}

fn run(name: &str, runs: u32) -> Result<(), Box<dyn Error>> {
    let operation = OPERATIONS.iter().find(|operation| operation.name == name);
    let mut run = (operation.ok_or("no such operation")?.prepare)();
    for _ in 0..runs {
        run();
    }
    Ok(())
}
