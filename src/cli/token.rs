//! `framegate token`: tokens made and judged, as a server of this configuration would: with its
//! database, where there is one, and otherwise with the secret alone.

use std::path::Path;

use super::error::{CliError, Name};
use super::lines::read_line;
use super::{Argument, Arguments, Context, help, secret};
use crate::app::users::{Mode, SqliteStore, StoreError, UserStore as _};
use crate::config::{Config, Secrets};
use crate::driver::logger;
use crate::gate::{self, AccountStatus, Signer, Verifier};
use crate::limits::TOKEN_BYTES_MAX;
use crate::server::claim_rules;
use crate::time::UnixSeconds;

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
    let signer = Signer::new(&keys, &claim_rules(&config), config.token_ttl.as_secs());
    let mut users = Users::look(&config.database)?;
    let (now, leeway_seconds) = ((context.clock)(), config.leeway.as_secs());
    let (date, warning) = users.issue_date(&subject, now, leeway_seconds)?;
    let minted = signer.mint(&subject, date)?;
    writeln!(context.output, "{}", minted.token)?;
    if let Some(warning) = warning {
        logger::say_last(format_args!("framegate: warning: {warning}"));
    }
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
    let mut verifier = Verifier::new(keys, claim_rules(config));
    let mut users = Users::look(&config.database)?;
    let (mut bad, mut all) = (0, 0);
    while let Some(line) = read_line(context.input, TOKEN_BYTES_MAX)? {
        // What is not UTF-8 is no token.
        let token = std::str::from_utf8(&line).unwrap_or("?");
        if token.is_empty() {
            continue;
        }
        all += 1;
        let verified = verifier.verify(token, (context.clock)());
        let verdict = match &verified {
            Ok(verified) => users.judge(verified.subject(), verified.issued_at())?,
            Err(_) if is_header_value(token) => Verdict::Bad(
                "it begins with \"Bearer \", as the value of a header does; give the token alone"
                    .to_owned(),
            ),
            Err(error) => Verdict::Bad(error.to_string()),
        };
        let (subject, expires_at) = match &verified {
            Ok(verified) => (verified.subject(), verified.expires_at()),
            Err(_) => ("", UnixSeconds::default()),
        };
        match verdict {
            Verdict::Good => writeln!(context.output, "ok sub={subject} expires={expires_at}")?,
            Verdict::Unchecked => writeln!(
                context.output,
                "ok sub={subject} expires={expires_at}; not checked: whether the user is there, \
                 enabled, and not revoked, since there is no database {}",
                config.database.display()
            )?,
            Verdict::Bad(reason) => {
                bad += 1;
                writeln!(context.output, "bad: {reason}")?;
            }
        }
    }
    match (bad, all) {
        (_, 0) => Err(CliError::NoTokens),
        (0, _) => Ok(()),
        (bad, all) => Err(CliError::BadTokens { bad, all }),
    }
}

/// RFC 9110 §11.1: the scheme in any case, a space, and only then the token.
fn is_header_value(line: &str) -> bool {
    let scheme = line.get(.."Bearer ".len());
    scheme.is_some_and(|scheme| scheme.eq_ignore_ascii_case("Bearer "))
}

/// The users, where there is a database of them.
struct Users(Option<SqliteStore>);

/// What becomes of a token whose signature and claims are good, and of any other.
enum Verdict {
    Good,
    Unchecked,
    Bad(String),
}

impl Users {
    fn look(database: &Path) -> Result<Users, CliError> {
        match SqliteStore::open(database, Mode::Read) {
            Ok(store) => Ok(Users(Some(store))),
            Err(StoreError::Missing { .. }) => Ok(Users(None)),
            Err(error) => Err(error.into()),
        }
    }

    /// What the gate would say of it.
    fn judge(&mut self, id: &str, issued_at: UnixSeconds) -> Result<Verdict, CliError> {
        let Some(store) = &mut self.0 else {
            return Ok(Verdict::Unchecked);
        };
        let user = store.user(id)?;
        let standing = user.map(|user| AccountStatus {
            disabled: user.disabled,
            tokens_valid_from: user.tokens_valid_from,
        });
        Ok(match gate::check_account_status(Ok(standing), issued_at) {
            Ok(_) => Verdict::Good,
            Err(cause) => Verdict::Bad(cause.to_string()),
        })
    }

    /// The date of a token that the gate takes at once, as a login dates it; and why the gate
    /// would refuse the token for another reason than its date.
    fn issue_date(
        &mut self,
        id: &str,
        now: UnixSeconds,
        leeway_seconds: u64,
    ) -> Result<(UnixSeconds, Option<String>), CliError> {
        // Without a database nothing is known of any user.
        let Some(store) = &mut self.0 else {
            return Ok((now, None));
        };
        let user = store.user(id)?;
        let warning = match &user {
            None => Some(CliError::no_such_user(id).to_string()),
            Some(user) if user.disabled => Some(format!(
                "{id} is disabled; `framegate user enable` lets the user in"
            )),
            Some(_) => None,
        };
        let from = user.and_then(|user| user.tokens_valid_from);
        let date = from.map_or(now, |from| from.max(now));
        let date_max = now.plus(leeway_seconds).plus(1);
        match date <= date_max {
            true => Ok((date, warning)),
            false => Err(CliError::tokens_void_until(id, date, date.0 - date_max.0)),
        }
    }
}
