//! Runs the files of a directory through the target it is named after:
//!
//! ```text
//! cargo run --manifest-path fuzz/Cargo.toml --example replay fuzz/corpus/frames ...
//! ```

#[path = "../peer.rs"]
mod peer;

use std::path::PathBuf;
use std::{env, fs, io};

use framegate::proof::TARGETS;

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, with arguments of its own"
)]
fn main() -> io::Result<()> {
    let targets = [TARGETS, &[peer::TARGET]].concat();
    for directory in env::args_os().skip(1).map(PathBuf::from) {
        let target = targets
            .iter()
            .find(|target| directory.ends_with(target.name));
        let target = target.ok_or_else(|| io::Error::other("no target of that name"))?;
        let mut files = 0;
        for entry in fs::read_dir(&directory)? {
            (target.run)(&fs::read(entry?.path())?);
            files += 1;
        }
        println!("{}: {files}", directory.display());
    }
    Ok(())
}
