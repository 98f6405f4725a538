//! `framegate check`: whether `serve` would start, without starting it.

use super::error::CliError;
use super::{Argument, Arguments, Context, help, secret};
use crate::app::users::{Mode, SqliteStore, UserStore as _};
use crate::config::Listen;

pub(super) fn run(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    match arguments.next()? {
        None => {}
        Some(Argument::Help) => return help::check(context.output),
        Some(argument) => return Err(arguments.unexpected(argument, &[])),
    }
    let (config, secrets) = arguments.load(context)?;
    secret::keys(&secrets, &arguments.env_file())?;
    SqliteStore::open(&config.database, Mode::Serve)?.check()?;
    let listen: Vec<String> = config.listen.iter().map(Listen::to_string).collect();
    writeln!(
        context.output,
        "configuration ok: listen on {}, users in {}",
        listen.join(" and "),
        config.database.display()
    )?;
    Ok(())
}
