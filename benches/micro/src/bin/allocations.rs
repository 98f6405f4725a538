//! What each operation takes from the heap; ends with 1 when one does that may not. A program
//! of its own, for the allocator that counts takes time.

use std::process::ExitCode;

use micro::operations::{OPERATIONS, Operation, PEER};

/// Before anything is counted: what is kept for the next run is there by then.
const RUNS_BEFORE: u32 = 100;
const RUNS: u32 = 1_000;

fn main() -> ExitCode {
    println!("| operation | allocations | bound |");
    println!("| --- | ---: | ---: |");
    let mut status = ExitCode::SUCCESS;
    for operation in OPERATIONS.iter().chain([&PEER]) {
        let allocations = count(operation);
        let per_run = allocations as f64 / f64::from(RUNS);
        let per_unit = (per_run / f64::from(operation.units) * 1e3).round() / 1e3;
        let bound = if operation.is_allocation_free {
            "0"
        } else {
            ""
        };
        println!("| {} | {per_unit} | {bound} |", operation.name);
        if operation.is_allocation_free && allocations > 0 {
            status = ExitCode::FAILURE;
        }
    }
    status
}

fn count(operation: &Operation) -> u64 {
    let mut run = (operation.prepare)();
    (0..RUNS_BEFORE).for_each(|_| run());
    allocation_counter::measure(|| (0..RUNS).for_each(|_| run())).count_total
}
