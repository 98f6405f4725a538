//! `framegate check`: whether `serve` would start, without starting it.

use std::path::Path;

use super::error::CliError;
use super::{Argument, Arguments, Context, help, secret, warnings};
use crate::app::users::{Mode, SqliteStore, UserStore as _};
use crate::config::{Config, Listen, Secrets};
use crate::driver::Listener;
use crate::gate::Keys;

pub(super) fn run(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    match arguments.next()? {
        None => {}
        Some(Argument::Help) => return help::check(context.output),
        Some(argument) => return Err(arguments.unexpected(argument, &[])),
    }
    let (mut config, secrets) = arguments.load(context)?;
    judge(&config, &secrets, &arguments.env_file())?;
    Listener::look_at_all(&config.listen)
        .map_err(|error| CliError::Serve(error.to_string().into()))?;
    for warning in warnings::of(&mut config, &secrets)? {
        writeln!(context.output, "warning: {warning}")?;
    }
    let listen: Vec<String> = config.listen.iter().map(Listen::to_string).collect();
    writeln!(
        context.output,
        "configuration ok: listen on {}, users in {}",
        listen.join(" and "),
        config.database.display()
    )?;
    Ok(())
}

/// What `serve` needs beside its configuration: the keys, and the users.
pub(super) fn judge(
    config: &Config,
    secrets: &Secrets,
    env_file: &Path,
) -> Result<(Keys, SqliteStore), CliError> {
    let keys = secret::keys(secrets, env_file)?;
    let mut store = SqliteStore::open(&config.database, Mode::Serve)?;
    store.check()?;
    Ok((keys, store))
}
