//! `framegate serve`: look at everything, make what `--init` asks for, hand over to the driver.

use super::error::CliError;
use super::{Argument, Arguments, Context, env_file, help, init, secret};
use crate::app::users::{Mode, SqliteStore};
use crate::config::Config;
use crate::driver::logger;
use crate::gate::Keys;

pub(super) fn run(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    let mut init = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Help => return help::serve(context.output),
            Argument::Option(option) if option == "init" => init = true,
            argument => return Err(arguments.unexpected(argument, &["init"])),
        }
    }
    start(init, &arguments, context)
}

fn start(init: bool, arguments: &Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    let (config, mut secrets) = arguments.load(context)?;
    if init {
        init::make_missing(&config, &secrets, &arguments.env_file(), context)?;
        // From here on it is a start like any other, from what is on the disk.
        (_, secrets) = arguments.load(context)?;
    }
    let keys = secret::keys(&secrets, &arguments.env_file())?;
    let store = SqliteStore::open(&config.database, Mode::Serve)?;
    // One is installed already only where a test runs commands in its own process.
    let _ = logger::install(config.log_level, config.log_rate);
    env_file::warn_of_readers(&secrets);
    hand_over(config, keys, store)
}

/// Where the driver takes over.
fn hand_over(_config: Config, _keys: Keys, _store: SqliteStore) -> Result<(), CliError> {
    Err(CliError::Serve("the driver is not wired in yet".into()))
}
