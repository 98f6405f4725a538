//! `framegate token`: tokens made and judged with the secret alone, no database needed.

use super::error::{CliError, Name};
use super::lines::read_line;
use super::{Argument, Arguments, Context, help, secret};
use crate::config::{Config, Secrets};
use crate::gate::{ClaimRules, Signer, Verifier};
use crate::limits::TOKEN_BYTES_MAX;

const COMMANDS: &[Name] = &[
    Name {
        name: "mint",
        also: &["create", "make", "new", "sign", "issue", "add"],
    },
    Name {
        name: "check",
        also: &["verify", "validate", "decode", "show", "inspect"],
    },
];

pub(super) fn run(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    match arguments.next()? {
        Some(Argument::Value(command)) => match command.as_str() {
            "mint" => mint(arguments, context),
            "check" => check(arguments, context),
            _ => Err(CliError::unknown_command(&command, COMMANDS)),
        },
        Some(Argument::Help) => help::token(context.output),
        Some(argument) => Err(arguments.unexpected(argument, &[])),
        None => Err(CliError::MissingValue {
            what: "token needs a command: mint ID or check",
        }),
    }
}

fn mint(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    let mut subject = None;
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Help => return help::token(context.output),
            Argument::Option(option) if option == "ttl" => {
                arguments.set_as("--ttl", "TOKEN_TTL")?
            }
            Argument::Value(id) if subject.is_none() => subject = Some(id),
            argument => return Err(arguments.unexpected(argument, &["ttl"])),
        }
    }
    let subject = subject.ok_or(CliError::MissingValue {
        what: "token mint needs the id of a user: token mint ID",
    })?;
    let (config, secrets) = arguments.load(context)?;
    let keys = secret::keys(&secrets, &arguments.env_file())?;
    let signer = Signer::new(&keys, &rules(&config), config.token_ttl.as_secs());
    let minted = signer.mint(&subject, (context.clock)())?;
    writeln!(context.output, "{}", minted.token)?;
    Ok(())
}

fn check(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    match arguments.next()? {
        None => {}
        Some(Argument::Help) => return help::token(context.output),
        // It may be a token: it is not repeated.
        Some(Argument::Value(_)) => {
            return Err(CliError::MissingValue {
                what: "token check takes tokens from standard input only, one a line",
            });
        }
        Some(argument) => return Err(arguments.unexpected(argument, &[])),
    }
    let (config, secrets) = arguments.load(context)?;
    judge_all(&config, &secrets, &arguments, context)
}

fn judge_all(
    config: &Config,
    secrets: &Secrets,
    arguments: &Arguments,
    context: &mut Context<'_>,
) -> Result<(), CliError> {
    let keys = secret::keys(secrets, &arguments.env_file())?;
    let mut verifier = Verifier::new(keys, rules(config));
    let (mut bad, mut all) = (0, 0);
    while let Some(line) = read_line(context.input, TOKEN_BYTES_MAX)? {
        // What is not UTF-8 is no token.
        let token = std::str::from_utf8(&line).unwrap_or("?");
        if token.is_empty() {
            continue;
        }
        all += 1;
        match verifier.verify(token, (context.clock)()) {
            Ok(verified) => writeln!(
                context.output,
                "ok sub={} expires={}",
                verified.subject(),
                verified.expires_at()
            )?,
            Err(error) => {
                bad += 1;
                writeln!(context.output, "bad: {error}")?;
            }
        }
    }
    match (bad, all) {
        (_, 0) => Err(CliError::NoTokens),
        (0, _) => Ok(()),
        (bad, all) => Err(CliError::BadTokens { bad, all }),
    }
}

fn rules(config: &Config) -> ClaimRules {
    ClaimRules {
        leeway_seconds: config.leeway.as_secs(),
        issuer: config.issuer.clone(),
        audience: config.audience.clone(),
    }
}
