//! `framegate serve`: look at everything, make what `--init` asks for, hand over to the driver.

use std::path::{Path, PathBuf};

use super::error::CliError;
use super::init::Missing;
use super::{Argument, Arguments, Context, check, help, secret, warnings};
use crate::app::Events;
use crate::app::users::{ServedStore, SqliteStore, SqliteWriter};
use crate::config::Config;
use crate::driver::{self, Listener, RecordingFile, logger};
use crate::gate::Keys;
use crate::record::{Recorded, record};
use crate::server::Server;

pub(super) fn run(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    let (mut init, mut recording) = (false, None);
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Help => return help::serve(context.output),
            Argument::Option(option) if option == "init" => init = true,
            Argument::Option(option) if option == "record" => {
                recording = Some(PathBuf::from(arguments.value()?));
            }
            argument => return Err(arguments.unexpected(argument, &["init", "record"])),
        }
    }
    start(init, recording.as_deref(), &arguments, context)
}

fn start(
    init: bool,
    recording: Option<&Path>,
    arguments: &Arguments,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let (mut config, mut secrets) = arguments.load(context)?;
    let env_file = arguments.env_file();
    // What is there is judged before an address is taken, and that before anything is made.
    let missing = match init {
        true => Missing::look(&config, &secrets, &env_file)?,
        false => check::judge(&config, &secrets, &env_file).map(|_| Missing::default())?,
    };
    let listeners = bind(&config)?;
    missing.make(&config, &env_file, context)?;
    if missing.secret {
        // A file of ours, just made. Any other is read once: it may be a pipe.
        (config, secrets) = arguments.load(context)?;
    }
    // From here on it is a start like any other.
    let (keys, store) = check::judge(&config, &secrets, &env_file)?;
    logger::install(config.log_level, config.log_rate)
        .map_err(|error| CliError::Serve(format!("cannot start the log: {error}").into()))?;
    for warning in warnings::of(&mut config, &secrets)? {
        log::warn!("{warning}");
    }
    let writer = Box::new(SqliteWriter::open(&config.database)?);
    let server = recorded(recording, config, keys, store)?;
    driver::run(server, writer, listeners)
        .map_err(|error| CliError::Serve(error.to_string().into()))
}

fn bind(config: &Config) -> Result<Vec<Listener>, CliError> {
    Listener::bind_all(&config.listen, config.socket_mode)
        .map_err(|error| CliError::Serve(error.to_string().into()))
}

/// The server, and with a path its recording.
fn recorded(
    path: Option<&Path>,
    config: Config,
    keys: Keys,
    store: SqliteStore,
) -> Result<Recorded, CliError> {
    let seed = u64::from_ne_bytes(*secret::random()?);
    let store = Box::new(ServedStore::new(store));
    let Some(path) = path else {
        return Ok(Server::build(config, keys, store, Events::builtin(), seed).into());
    };
    let file = RecordingFile::create(path).map_err(|error| CliError::RecordingNotMade {
        path: path.to_owned(),
        error,
    })?;
    log::info!("recording to {}", logger::quoted(&path.to_string_lossy()));
    Ok(record(Box::new(file), config, keys, store, seed))
}
