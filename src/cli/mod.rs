//! The commands. What a command needs of the world comes in as a [`Context`]; what goes wrong
//! is told in one line on standard error and by the exit code: 0 done, 1 failed, 2 something
//! to put right in the command or the configuration.

mod arguments;
mod check;
mod env_file;
mod error;
mod help;
#[doc(hidden)]
pub mod import;
mod init;
mod lines;
mod new_files;
mod replay;
mod secret;
mod serve;
mod terminal;
mod token;
mod user;
mod warnings;

use std::ffi::OsString;
use std::io::{self, BufRead, IsTerminal as _, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

pub use arguments::{Argument, Arguments};
pub use error::CliError;
pub use import::LineError;
pub use terminal::Terminal;

use crate::driver::{self, logger};
use crate::time::UnixSeconds;
use terminal::StandardTerminal;

/// What a command may use of the world.
pub struct Context<'a> {
    /// The variables of the environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Standard input.
    pub input: &'a mut dyn BufRead,
    /// Standard output.
    pub output: &'a mut dyn Write,
    /// The terminal that standard input is, if it is one.
    pub terminal: Option<&'a mut dyn Terminal>,
    /// Standard error, if it is a terminal: for showing how far a longer work has come.
    pub progress: Option<&'a mut dyn Write>,
    /// The wall clock.
    pub clock: fn() -> UnixSeconds,
}

/// Runs the command that the process was started with.
#[expect(clippy::disallowed_methods, reason = "here they are handed in")]
pub fn main() -> ExitCode {
    // Where it cannot be had, a limit ends the process as it does without us.
    let _ = driver::outlive_file_size_limit();
    let arguments = Arguments::new(std::env::args_os().skip(1));
    let (mut terminal, mut progress) = (StandardTerminal::of_process(), io::stderr());
    let shows_progress = progress.is_terminal();
    let mut context = Context {
        environment: std::env::vars_os().collect(),
        input: &mut io::stdin().lock(),
        output: &mut io::stdout().lock(),
        terminal: terminal
            .as_mut()
            .map(|terminal| terminal as &mut dyn Terminal),
        progress: shows_progress.then_some(&mut progress as &mut dyn Write),
        clock: unix_now,
    };
    let result = run(arguments, &mut context);
    let flushed = context.output.flush().map_err(CliError::from);
    log::logger().flush();
    match result.and(flushed) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => report(&error),
    }
}

/// Runs a command.
///
/// # Errors
///
/// When the command fails or cannot be understood.
pub fn run(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    let command = match arguments.next()? {
        Some(Argument::Value(command)) => command,
        Some(Argument::Help) => return help::program(context.output),
        Some(Argument::Option(option)) if option == "version" => return version(context.output),
        Some(argument) => return Err(arguments.unexpected(argument, &["version"])),
        None => return Err(CliError::NoCommand),
    };
    match command.as_str() {
        "serve" => serve::run(arguments, context),
        "user" => user::run(arguments, context),
        "token" => token::run(arguments, context),
        "secret" => secret::run(arguments, context),
        "check" => check::run(arguments, context),
        "replay" => replay::run(arguments, context),
        "help" => help::run(arguments, context.output),
        _ => Err(CliError::unknown_command(&command, help::COMMANDS)),
    }
}

fn version(output: &mut dyn Write) -> Result<(), CliError> {
    writeln!(output, "framegate {}", env!("CARGO_PKG_VERSION"))?;
    Ok(())
}

/// Says what went wrong, unless it is only that nobody reads any more (SIGPIPE).
fn report(error: &CliError) -> ExitCode {
    if !error.is_closed_pipe() {
        logger::say_last(format_args!("framegate: {error}"));
    }
    ExitCode::from(error.exit_code())
}

#[expect(
    clippy::disallowed_methods,
    reason = "the commands' one reading of the clock"
)]
fn unix_now() -> UnixSeconds {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    UnixSeconds(since.map_or(0, |since| since.as_secs()))
}
