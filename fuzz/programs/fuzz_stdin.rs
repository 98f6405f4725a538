//! Plays what comes on standard input to the whole server, and prints what every peer heard.
//!
//! ```text
//! fuzz-stdin < SCRIPT          plays a script
//! fuzz-stdin compose < LINES   makes a script of lines as a person types them
//! fuzz-stdin recorded < FILE   makes a script of a recording of `framegate serve --record`
//! fuzz-stdin token USER        prints a token that the server takes
//! fuzz-stdin secret            prints what tokens are signed with
//! ```

use std::env;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use framegate::internals::gate::REPLAY_SECRET;
use framegate_fuzz::exchange;

const USAGE: &str = "usage: fuzz-stdin < SCRIPT | fuzz-stdin compose < LINES | \
                     fuzz-stdin recorded < FILE | fuzz-stdin token USER | fuzz-stdin secret";

#[expect(
    clippy::disallowed_methods,
    reason = "a program of its own, with arguments of its own"
)]
fn main() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    // What is no text is no word of ours.
    let arguments: Vec<&str> = arguments
        .iter()
        .map(|it| it.to_str().unwrap_or("\u{FFFD}"))
        .collect();
    let written = output(&arguments).and_then(|bytes| {
        let mut out = io::stdout();
        // What is behind the last line feed is written by the flush, and may fail there.
        let written = out.write_all(&bytes).and_then(|()| out.flush());
        written.map_err(|error| format!("cannot write to standard output: {error}"))
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
        ["secret"] => Ok([REPLAY_SECRET, b"\n"].concat()),
        _ => Err(USAGE.to_owned()),
    }
}

fn input() -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = io::stdin().read_to_end(&mut bytes);
    read.map(|_| bytes).map_err(|error| error.to_string())
}
