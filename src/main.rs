//! The program; all of it is in [`framegate::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    framegate::cli::main()
}
