//! `framegate user`: users added, shown, changed and removed. A server that runs on the same
//! database heeds a change by itself; nothing is said to it.

use std::fmt;
use std::io::ErrorKind;
use std::ops::ControlFlow;

use zeroize::Zeroizing;

use super::error::{CliError, Name};
use super::lines::read_line;
use super::{Argument, Arguments, Context, help, import, secret};
use crate::app::password::{self, PasswordError, PasswordHash, check_password};
use crate::app::users::{Mode, SqliteStore, User, UserError, UserStore as _, is_disruptive};
use crate::config::Config;
use crate::driver::logger;
use crate::gate::is_subject;
use crate::limits::{PASSWORD_BYTES_MAX, PASSWORD_CHARACTERS_UNTOLD_MIN};
use crate::time::UnixSeconds;

/// The commands: what each takes, and what it does.
const COMMANDS: &[Command] = &[
    Command {
        name: Name {
            name: "add",
            also: &["create", "new", "make"],
        },
        options: &["name", "password-stdin", "no-password"],
        missing: Some("user add needs an id: user add ID"),
        run: add,
    },
    Command {
        name: Name {
            name: "show",
            also: &["get", "info", "view", "cat"],
        },
        options: &[],
        missing: Some("user show needs an id: user show ID"),
        run: show,
    },
    Command {
        name: Name {
            name: "list",
            also: &["ls", "all"],
        },
        options: &[],
        missing: None,
        run: list,
    },
    Command {
        name: Name {
            name: "rm",
            also: &["remove", "delete", "del", "drop", "erase"],
        },
        options: &[],
        missing: Some("user rm needs an id: user rm ID"),
        run: remove,
    },
    Command {
        name: Name {
            name: "passwd",
            also: &["password", "pass", "pw"],
        },
        options: &["password-stdin", "no-password", "keep-tokens"],
        missing: Some("user passwd needs an id: user passwd ID"),
        run: set_password,
    },
    Command {
        name: Name {
            name: "disable",
            also: &["block", "lock", "ban", "suspend"],
        },
        options: &[],
        missing: Some("user disable needs an id: user disable ID"),
        run: disable,
    },
    Command {
        name: Name {
            name: "enable",
            also: &["unblock", "unlock", "unban", "resume"],
        },
        options: &[],
        missing: Some("user enable needs an id: user enable ID"),
        run: enable,
    },
    Command {
        name: Name {
            name: "revoke",
            also: &["logout", "kick", "void"],
        },
        options: &[],
        missing: Some("user revoke needs an id: user revoke ID"),
        run: revoke,
    },
    Command {
        name: Name {
            name: "import",
            also: &["load", "read"],
        },
        options: &[],
        missing: Some("user import needs a file, or - for standard input: user import FILE"),
        run: import,
    },
];

struct Command {
    name: Name,
    /// Its own options, without their dashes.
    options: &'static [&'static str],
    /// What to say when its operand is missing; `None` when it takes none.
    missing: Option<&'static str>,
    run: fn(&Given, &Config, &mut Context<'_>) -> Result<(), CliError>,
}

impl Command {
    /// Whether its operand is an id. What is none is not looked for: it may be anything.
    fn takes_id(&self) -> bool {
        self.missing.is_some() && self.name.name != "import"
    }
}

/// What was given to a command.
#[derive(Default)]
struct Given {
    /// An id, or the file to import; empty for `list`.
    operand: String,
    /// `--name`
    name: Option<String>,
    source: Source,
    /// `--keep-tokens`
    keeps_tokens: bool,
}

/// Where a password comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Source {
    /// A person types it.
    #[default]
    Terminal,
    /// `--password-stdin`: it is the first line of standard input.
    Input,
    /// `--no-password`: there is to be none.
    Nowhere,
}

pub(super) fn run(mut arguments: Arguments, context: &mut Context<'_>) -> Result<(), CliError> {
    let command = match arguments.next()? {
        Some(Argument::Value(name)) => command(&name)?,
        Some(Argument::Help) => return help::user(context.output),
        Some(argument) => return Err(arguments.unexpected(argument, &[])),
        None => {
            return Err(CliError::MissingValue {
                what: "user needs a command: add, show, list, rm, passwd, disable, enable, \
                       revoke or import",
            });
        }
    };
    match given(command, &mut arguments)? {
        Some(given) => {
            let (config, _) = arguments.load(context)?;
            (command.run)(&given, &config, context)
        }
        None => help::user(context.output),
    }
}

fn command(name: &str) -> Result<&'static Command, CliError> {
    let found = COMMANDS.iter().find(|command| command.name.name == name);
    found.ok_or_else(|| {
        let names: Vec<Name> = COMMANDS.iter().map(|command| command.name).collect();
        CliError::unknown_command(name, &names)
    })
}

/// Reads what stands after the command; `None` when help is asked for.
fn given(command: &Command, arguments: &mut Arguments) -> Result<Option<Given>, CliError> {
    let (mut operand, mut name, mut source) = (None, None, None);
    let mut keeps_tokens = false;
    while let Some(argument) = arguments.next()? {
        match argument {
            Argument::Help => return Ok(None),
            Argument::Value(value) if operand.is_none() && command.missing.is_some() => {
                operand = Some(value);
            }
            Argument::Option(option) if command.options.contains(&&*option) => {
                match option.as_str() {
                    "name" => name = Some(arguments.value()?),
                    "keep-tokens" => keeps_tokens = true,
                    "password-stdin" => choose(&mut source, Source::Input)?,
                    _ => choose(&mut source, Source::Nowhere)?,
                }
            }
            argument => return Err(arguments.unexpected(argument, command.options)),
        }
    }
    let operand = match (operand, command.missing) {
        (None, Some(what)) => return Err(CliError::MissingValue { what }),
        (operand, _) => operand.unwrap_or_default(),
    };
    if command.takes_id() && !is_subject(&operand) {
        return Err(UserError::Id.into());
    }
    Ok(Some(Given {
        operand,
        name,
        source: source.unwrap_or_default(),
        keeps_tokens,
    }))
}

fn choose(source: &mut Option<Source>, chosen: Source) -> Result<(), CliError> {
    match source.replace(chosen) {
        Some(before) if before != chosen => Err(CliError::TwoPasswordSources),
        _ => Ok(()),
    }
}

fn add(given: &Given, config: &Config, context: &mut Context<'_>) -> Result<(), CliError> {
    let id = &given.operand;
    let name = given.name.as_deref().unwrap_or(id);
    // Whatever can be wrong is found before a person is asked for a password.
    let mut user = User::new(id, name, None, (context.clock)())?;
    check_source(given.source, context)?;
    let mut store = open_or_make(config, context)?;
    if store.user(id)?.is_some() {
        return Err(CliError::user_exists(id));
    }
    user.password_hash = obtain(given.source, config, context)?;
    // A password may be long in coming.
    user.created_at = (context.clock)();
    if !store.add(&user)? {
        return Err(CliError::user_exists(id));
    }
    void_tokens_of_former(&mut store, id, &context.clock, config.leeway.as_secs())?;
    tell(context, format_args!("added {id}"))
}

/// The id that was added may have been another's: what was signed for that user while we waited for
/// the database, or is dated ahead by `LEEWAY`, is not the new one's.
pub(super) fn void_tokens_of_former(
    store: &mut SqliteStore,
    id: &str,
    clock: &dyn Fn() -> UnixSeconds,
    leeway_seconds: u64,
) -> Result<(), CliError> {
    let user = store.user(id)?;
    if user.is_some_and(|user| user.tokens_valid_from.is_some()) {
        store.revoke(id, clock, leeway_seconds)?;
    }
    Ok(())
}

fn set_password(given: &Given, config: &Config, context: &mut Context<'_>) -> Result<(), CliError> {
    let id = &given.operand;
    check_source(given.source, context)?;
    let mut store = open(config)?;
    found(id, store.user(id)?.is_some())?;
    let hash = obtain(given.source, config, context)?;
    let (leeway_seconds, clock) = (config.leeway.as_secs(), context.clock);
    let (is_done, tokens) = match given.keeps_tokens {
        true => (
            store.set_password(id, hash.as_ref())?,
            "tokens issued before stay good",
        ),
        false => (
            store.renew_password(id, hash.as_ref(), &clock, leeway_seconds)?,
            "tokens issued before are void",
        ),
    };
    found(id, is_done)?;
    match hash {
        Some(_) => tell(context, format_args!("set the password of {id}; {tokens}")),
        None => tell(
            context,
            format_args!("took the password of {id} away; {tokens}"),
        ),
    }
}

fn remove(given: &Given, config: &Config, context: &mut Context<'_>) -> Result<(), CliError> {
    let id = &given.operand;
    found(id, open(config)?.remove(id)?)?;
    tell(context, format_args!("removed {id}"))
}

fn disable(given: &Given, config: &Config, context: &mut Context<'_>) -> Result<(), CliError> {
    let id = &given.operand;
    found(id, open(config)?.set_disabled(id, true)?)?;
    tell(context, format_args!("disabled {id}"))
}

fn enable(given: &Given, config: &Config, context: &mut Context<'_>) -> Result<(), CliError> {
    let id = &given.operand;
    found(id, open(config)?.set_disabled(id, false)?)?;
    tell(context, format_args!("enabled {id}"))
}

/// Voids all tokens issued until now, those of this very second included.
fn revoke(given: &Given, config: &Config, context: &mut Context<'_>) -> Result<(), CliError> {
    let id = &given.operand;
    let (leeway_seconds, clock) = (config.leeway.as_secs(), context.clock);
    found(id, open(config)?.revoke(id, &clock, leeway_seconds)?)?;
    tell(context, format_args!("revoked the tokens of {id}"))
}

fn import(given: &Given, config: &Config, context: &mut Context<'_>) -> Result<(), CliError> {
    let count = import::run(&given.operand, config, context, |context| {
        open_or_make(config, context)
    })?;
    tell(context, format_args!("imported users: {count}"))
}

fn show(given: &Given, config: &Config, context: &mut Context<'_>) -> Result<(), CliError> {
    let id = &given.operand;
    let user = look(config)?.user(id)?;
    let user = user.ok_or_else(|| CliError::no_such_user(id))?;
    for (column, value) in COLUMNS.iter().zip(values(&user)) {
        writeln!(context.output, "{column}: {value}")?;
    }
    Ok(())
}

/// A line a user, the values parted by tabs, for `cut` and for people.
fn list(_: &Given, config: &Config, context: &mut Context<'_>) -> Result<(), CliError> {
    let store = look(config)?;
    writeln!(context.output, "{}", COLUMNS.join("\t"))?;
    let mut written = Ok(());
    store.list(|user| {
        written = writeln!(context.output, "{}", values(&user).join("\t"));
        match written {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    })?;
    Ok(written?)
}

const COLUMNS: [&str; 6] = [
    "id",
    "name",
    "createdAt",
    "disabled",
    "password",
    "tokensValidFrom",
];

/// What is shown of a user, in the order of [`COLUMNS`].
fn values(user: &User) -> [String; 6] {
    let word = |truth, yes: &str, no: &str| String::from(if truth { yes } else { no });
    [
        shown(&user.id),
        shown(&user.name),
        user.created_at.to_string(),
        word(user.disabled, "yes", "no"),
        word(user.password_hash.is_some(), "set", "none"),
        user.tokens_valid_from
            .map_or_else(|| "none".to_owned(), |from| from.to_string()),
    ]
}

/// A text as a terminal may have it. We let nothing else into a database, but others might.
fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        match is_disruptive(character) {
            true => shown.extend(character.escape_default()),
            false => shown.push(character),
        }
    }
    shown
}

/// To add somebody: the database is made where there is none.
fn open_or_make(config: &Config, context: &mut Context<'_>) -> Result<SqliteStore, CliError> {
    let is_new = !config.database.exists();
    let store = SqliteStore::open(&config.database, Mode::Administer)?;
    // For a person, who may be in another folder than was meant.
    if is_new && let Some(progress) = &mut context.progress {
        writeln!(
            progress,
            "made the user database {}",
            config.database.display()
        )?;
    }
    Ok(store)
}

/// To change something: what is not there is said.
fn open(config: &Config) -> Result<SqliteStore, CliError> {
    Ok(SqliteStore::open(&config.database, Mode::Change)?)
}

/// To look only: what is not there is said.
fn look(config: &Config) -> Result<SqliteStore, CliError> {
    Ok(SqliteStore::open(&config.database, Mode::Read)?)
}

fn found(id: &str, found: bool) -> Result<(), CliError> {
    match found {
        true => Ok(()),
        false => Err(CliError::no_such_user(id)),
    }
}

fn tell(context: &mut Context<'_>, text: fmt::Arguments<'_>) -> Result<(), CliError> {
    Ok(writeln!(context.output, "{text}")?)
}

/// Nobody can be asked where there is no terminal.
fn check_source(source: Source, context: &Context<'_>) -> Result<(), CliError> {
    match (source, &context.terminal) {
        (Source::Terminal, None) => Err(CliError::NobodyToAsk),
        _ => Ok(()),
    }
}

/// Gets a password and hashes it.
fn obtain(
    source: Source,
    config: &Config,
    context: &mut Context<'_>,
) -> Result<Option<PasswordHash>, CliError> {
    let password = match source {
        Source::Nowhere => return Ok(None),
        Source::Input => read_password(context)?,
        Source::Terminal => ask_twice(context)?,
    };
    let salt = secret::random()?;
    let hash = password::hash(&password, *salt, config.password_memory_kib)?;
    warn_if_short(&password);
    Ok(Some(hash))
}

/// It is the person's to choose; whether it is good cannot be told, but whether it is short.
fn warn_if_short(password: &str) {
    let count = password.chars().count();
    if count < PASSWORD_CHARACTERS_UNTOLD_MIN {
        let characters = if count == 1 {
            "character"
        } else {
            "characters"
        };
        logger::say_last(format_args!(
            "framegate: warning: a password of {count} {characters} is quickly guessed; \
             `framegate user passwd` sets a longer one"
        ));
    }
}

fn read_password(context: &mut Context<'_>) -> Result<Zeroizing<String>, CliError> {
    let line = read_line(context.input, PASSWORD_BYTES_MAX)?.unwrap_or_default();
    let password = std::str::from_utf8(&line).map_err(|_| PasswordError::NotUtf8)?;
    Ok(Zeroizing::new(password.to_owned()))
}

fn ask_twice(context: &mut Context<'_>) -> Result<Zeroizing<String>, CliError> {
    let password = ask("Password: ", context)?;
    check_password(&password)?;
    match ask("The same again: ", context)? == password {
        true => Ok(password),
        false => Err(CliError::PasswordsDiffer),
    }
}

fn ask(question: &str, context: &mut Context<'_>) -> Result<Zeroizing<String>, CliError> {
    let Some(terminal) = &mut context.terminal else {
        return Err(CliError::NobodyToAsk);
    };
    terminal.ask(question).map_err(|error| match error.kind() {
        ErrorKind::Interrupted => CliError::GivenUp,
        ErrorKind::InvalidData => PasswordError::NotUtf8.into(),
        _ => error.into(),
    })
}

#[cfg(test)]
pub(super) mod tests;
