//! Plays what comes on standard input to the whole server, and prints what every peer heard.
//!
//! ```text
//! fuzz-stdin < SCRIPT          plays a script
//! fuzz-stdin compose < LINES   makes a script of lines as a person types them
//! fuzz-stdin token USER        prints a token that the server takes
//! ```

use std::io::{self, Read, Write};
use std::{env, process};

use framegate_fuzz::exchange;

const USAGE: &str =
    "usage: fuzz-stdin < SCRIPT | fuzz-stdin compose < LINES | fuzz-stdin token USER";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let bytes = match arguments[..] {
        [] => {
            let mut script = Vec::new();
            io::stdin().read_to_end(&mut script)?;
            exchange::play(&script).into_bytes()
        }
        ["compose"] => {
            let lines = io::read_to_string(io::stdin())?;
            exchange::compose(&lines).unwrap_or_else(|why| fail(&why))
        }
        ["token", user] => match exchange::token(user) {
            Some(token) => format!("{token}\n").into_bytes(),
            None => fail(&format!("{user:?} is no id of a user")),
        },
        _ => fail(USAGE),
    };
    io::stdout().write_all(&bytes)
}

fn fail(why: &str) -> ! {
    eprintln!("fuzz-stdin: {why}");
    process::exit(2)
}
