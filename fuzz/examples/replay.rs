//! Runs the files of a directory through the target it is named after:
//!
//! ```text
//! cargo run --package framegate-fuzz --example replay fuzz/corpus/frames ...
//! ```
//!
//! Of `exchange` it prints the states of connections that were reached, too.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::{env, fs, io};

use framegate_fuzz::TARGETS;
use framegate_fuzz::exchange::{State, exchange_by_states};

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, with arguments of its own"
)]
fn main() -> io::Result<()> {
    let mut states = BTreeSet::new();
    for directory in env::args_os().skip(1).map(PathBuf::from) {
        let target = TARGETS
            .iter()
            .find(|target| directory.ends_with(target.name));
        let target = target.ok_or_else(|| {
            let name = directory.display();
            io::Error::other(format!("{name} is named after no target"))
        })?;
        let mut files = 0;
        for entry in fs::read_dir(&directory)? {
            match fs::read(entry?.path()) {
                Ok(script) if target.name == "exchange" => {
                    exchange_by_states(&script, |state| _ = states.insert(state));
                }
                Ok(input) => (target.run)(&input),
                // A fuzzer that runs at the same time replaces its files by shorter ones.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            files += 1;
        }
        println!("{}: {files}", directory.display());
    }
    print_states(&states);
    Ok(())
}

/// A row for each way a connection can stand, with how many last causes it was seen.
fn print_states(states: &BTreeSet<State>) {
    let mut causes = BTreeMap::<_, usize>::new();
    for state in states {
        *causes
            .entry((state.phase, state.begun, state.waiting))
            .or_default() += 1;
    }
    println!(
        "{:12} {:18} {:18} {:>11}",
        "state", "begun", "to write", "last causes"
    );
    for ((phase, begun, waiting), count) in causes {
        println!("{phase:12} {begun:18} {waiting:18} {count:>11}");
    }
    println!("{} states", states.len());
}
