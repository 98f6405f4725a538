//! Plays what comes on standard input to the whole server, and prints what every peer heard.
//!
//! ```text
//! fuzz-stdin < SCRIPT          plays a script
//! fuzz-stdin token USER        prints a token that the server takes
//! ```

use std::io::{self, Read, Write};
use std::{env, process};

use framegate_fuzz::exchange;

const USAGE: &str = "usage: fuzz-stdin < SCRIPT, or: fuzz-stdin token USER";

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = match arguments[..] {
        [] => {
            let mut script = Vec::new();
            io::stdin().read_to_end(&mut script)?;
            exchange::play(&script)
        }
        ["token", user] => match exchange::token(user) {
            Some(token) => token + "\n",
            None => fail(&format!("{user:?} is no id of a user")),
        },
        _ => fail(USAGE),
    };
    io::stdout().write_all(text.as_bytes())
}

fn fail(why: &str) -> ! {
    eprintln!("fuzz-stdin: {why}");
    process::exit(2)
}
