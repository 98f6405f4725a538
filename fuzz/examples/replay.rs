//! Runs the files of a directory through the target it is named after:
//!
//! ```text
//! cargo run --package framegate-fuzz --example replay fuzz/corpus/frames ...
//! ```

use std::path::PathBuf;
use std::{env, fs, io};

use framegate_fuzz::TARGETS;

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, with arguments of its own"
)]
fn main() -> io::Result<()> {
    for directory in env::args_os().skip(1).map(PathBuf::from) {
        let target = TARGETS
            .iter()
            .find(|target| directory.ends_with(target.name));
        let target = target.ok_or_else(|| io::Error::other("no target of that name"))?;
        let mut files = 0;
        for entry in fs::read_dir(&directory)? {
            match fs::read(entry?.path()) {
                Ok(input) => (target.run)(&input),
                // A fuzzer that runs at the same time replaces its files by shorter ones.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            }
            files += 1;
        }
        println!("{}: {files}", directory.display());
    }
    Ok(())
}
