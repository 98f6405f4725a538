//! Writes down runs of the simulator as inputs of the target `server_ops`, a file for each seed:
//!
//! ```text
//! cargo run --package framegate-fuzz --example transcribe DIRECTORY STEPS SEED...
//! ```

use std::path::PathBuf;
use std::{env, fs, io};

use framegate_fuzz::simulation::transcript;

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, with arguments of its own"
)]
fn main() -> io::Result<()> {
    let wanted = || io::Error::other("wanted: DIRECTORY STEPS SEED...");
    let mut arguments = env::args().skip(1);
    let directory = PathBuf::from(arguments.next().ok_or_else(wanted)?);
    let mut numbers = arguments.map(|number| number.parse().map_err(io::Error::other));
    let steps = numbers.next().ok_or_else(wanted)??;
    for seed in numbers {
        let seed = seed?;
        fs::write(
            directory.join(format!("seed_{seed}")),
            transcript(seed, steps),
        )?;
    }
    Ok(())
}
