//! Plays what comes on standard input to the whole server, and prints what every peer heard.
//!
//! ```text
//! fuzz-stdin < SCRIPT          plays a script
//! fuzz-stdin compose < LINES   makes a script of lines as a person types them
//! fuzz-stdin recorded < FILE   makes a script of a recording of `framegate serve --record`
//! fuzz-stdin token USER        prints a token that the server takes
//! ```

use std::env;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use framegate_fuzz::exchange;

const USAGE: &str = "usage: fuzz-stdin < SCRIPT | fuzz-stdin compose < LINES | \
                     fuzz-stdin recorded < FILE | fuzz-stdin token USER";

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, with arguments of its own"
)]
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let written = output(&arguments).and_then(|bytes| {
        let written = io::stdout().write_all(&bytes);
        written.map_err(|error| error.to_string())
    });
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("fuzz-stdin: {why}");
            ExitCode::from(2)
        }
    }
}

/// What the command that `arguments` name prints.
fn output(arguments: &[&str]) -> Result<Vec<u8>, String> {
    match *arguments {
        [] => {
            let script = input()?;
            if let Some(unplayed) = exchange::unplayed(&script) {
                eprintln!("fuzz-stdin: not played as it stands: {unplayed}");
            }
            Ok(exchange::play(&script).into_bytes())
        }
        ["compose"] => {
            let lines = String::from_utf8(input()?).map_err(|error| error.to_string())?;
            exchange::compose(&lines)
        }
        ["recorded"] => exchange::recorded(&input()?),
        ["token", user] => match exchange::token(user) {
            Some(token) => Ok(format!("{token}\n").into_bytes()),
            None => Err(format!("{user:?} is no id of a user")),
        },
        _ => Err(USAGE.to_owned()),
    }
}

fn input() -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = io::stdin().read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| error.to_string())
}
