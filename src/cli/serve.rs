//! `framegate serve`: look at everything, make what `--init` asks for, hand over to the driver.

use super::error::CliError;
use super::init::Missing;
use super::{Argument, Arguments, Context, check, env_file, help, secret};
use crate::app::Events;
use crate::app::users::{SqliteStore, Users};
use crate::config::Config;
use crate::driver::{self, Listener, logger};
use crate::gate::{ClaimRules, Gate, Keys, Signer};
use crate::server::Server;

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
    let (config, secrets) = arguments.load(context)?;
    let env_file = arguments.env_file();
    // What is there is judged before an address is taken, and that before anything is made.
    let missing = match init {
        true => Missing::look(&config, &secrets, &env_file)?,
        false => check::judge(&config, &secrets, &env_file).map(|_| Missing::default())?,
    };
    let listeners = bind(&config)?;
    missing.make(&config, &env_file, context)?;
    // From here on it is a start like any other, from what is on the disk.
    let (config, secrets) = arguments.load(context)?;
    let (keys, store) = check::judge(&config, &secrets, &env_file)?;
    // One is installed already only where a test runs commands in its own process.
    let _ = logger::install(config.log_level, config.log_rate);
    env_file::warn_of_readers(&secrets);
    let server = server(within_descriptors(config), keys, store)?;
    driver::run(server, listeners).map_err(|error| CliError::Serve(error.to_string().into()))
}

fn bind(config: &Config) -> Result<Vec<Listener>, CliError> {
    let bound = config.listen.iter().map(Listener::bind);
    bound
        .collect::<Result<_, _>>()
        .map_err(|error| CliError::Serve(error.to_string().into()))
}

/// No more connections than there are descriptors for, less those that everything else needs.
fn within_descriptors(mut config: Config) -> Config {
    let possible = driver::connections_possible();
    if possible < config.connections_max {
        log::warn!(
            "the descriptor limit has room for {possible} connections, not {}; raise it (ulimit -n)",
            config.connections_max
        );
        config.connections_max = possible;
    }
    config
}

fn server(config: Config, keys: Keys, store: SqliteStore) -> Result<Server, CliError> {
    let rules = ClaimRules {
        leeway_seconds: config.leeway.as_secs(),
        issuer: config.issuer.clone(),
        audience: config.audience.clone(),
    };
    let signer = Signer::new(&keys, &rules, config.token_ttl.as_secs());
    let seed = u64::from_ne_bytes(*secret::random()?);
    Ok(Server::new(
        config,
        Gate::new(keys, rules),
        signer,
        Users::new(Box::new(store)),
        Events::builtin(),
        seed,
    ))
}
