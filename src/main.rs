//! The program; all of it is in `framegate::main`.

use std::process::ExitCode;

fn main() -> ExitCode {
    framegate::main()
}
