//! The program; all of it is in [`framegate::internals::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    framegate::internals::cli::main()
}
