//! What `--help` prints. The settings come from their table.

use std::io::Write;

use super::error::{CliError, Name};
use super::{Argument, Arguments};
use crate::config::{Arity, GROUPS, Setting};

/// The commands, as they are typed.
pub(super) const COMMANDS: &[Name] = &[
    named("serve", &["start", "run", "server", "daemon"]),
    named("user", &["account", "accounts"]),
    named("token", &["jwt"]),
    named("secret", &["key", "keygen"]),
    named("check", &["test", "validate", "config"]),
    named("replay", &["play"]),
    named("help", &["man", "usage"]),
];

const fn named(name: &'static str, also: &'static [&'static str]) -> Name {
    Name { name, also }
}

const PROGRAM: &str = "\
A WebSocket server in which every data frame carries a token and every token is verified.

Usage: framegate COMMAND [OPTIONS]

Commands:
  serve             run the server; with --init make what is missing first
  user              add, show, list, remove, disable, revoke, import users
  token mint ID     print a token for the user ID
  token check       judge tokens from standard input
  secret            print a fresh secret for .env
  check             say whether the configuration is valid
  replay FILE       run a recording of `serve --record` again, and compare
  help [COMMAND]    print this, or the help of a command

Options:
  -h, --help        print help; behind a command, that of the command
  -V, --version     print the version

A first try: `framegate serve --init` in an empty directory.
";

const SERVE: &str = "\
Runs the server until SIGTERM or SIGINT.

Usage: framegate serve [--init] [--record FILE] [SETTINGS]

Options:
  --init            make what is missing: .env with a random secret, the database, a user
                    `admin` whose random password is printed once; else start as ever
  --record FILE     write what happens to FILE, for `framegate replay`. Messages stand in it
                    as they were sent; tokens and passwords do not
  --env-file FILE   read FILE instead of .env in the working directory
  -h, --help        print this
";

const SETTINGS_END: &str = "
Each setting is a variable too: --max-connections is FRAMEGATE_MAX_CONNECTIONS, in the
environment or in .env. A flag decides over the environment, that over .env.
Durations read 250ms, 5s, 30m, 1h; sizes 64KiB, 32MiB; rates 100/s, 10/min.

LOCAL_JWT_SECRET signs and verifies tokens, LOCAL_JWT_SECRET_PREVIOUS only verifies them.
They stand in the environment or in .env and have no flag: others could read it.
";

const USER: &str = "\
Adds, shows and changes the users in the database, which is made where there is none. A
server that runs on it heeds the change at once: who is removed, disabled or revoked is out.

Usage: framegate user add ID [--name NAME] [--password-stdin | --no-password] [SETTINGS]
       framegate user passwd ID [--password-stdin | --no-password] [--keep-tokens] [SETTINGS]
       framegate user show|rm|disable|enable|revoke ID [SETTINGS]
       framegate user list [SETTINGS]
       framegate user import FILE|- [SETTINGS]

`add` and `passwd` ask for the password on the terminal. `passwd` and `revoke` void the tokens
issued until now, those dated ahead by LEEWAY included, and so close the user's connections; the
user may log in again. `list` prints a line a user, with tabs between the
values. `import` adds all users of a file or none. Each line of it is an object:
{\"id\":\"alice\",\"name\":\"Alice\",\"password\":\"...\"}, or with a \"passwordHash\"
($argon2id$v=19$...) instead of the password, or with neither; without a name it is the id.

Options:
  --name NAME       what people call the user [the id]
  --password-stdin  take the first line of standard input as the password
  --no-password     the user has none, and cannot log in; tokens come from elsewhere
  --keep-tokens     with `passwd`: the tokens issued until now stay good
  --env-file FILE   read FILE instead of .env in the working directory
  -h, --help        print this

Of the settings, --db, --leeway and --password-memory count here.
";

const TOKEN: &str = "\
Makes and judges tokens with LOCAL_JWT_SECRET, and with the database where there is one.

Usage: framegate token mint ID [--ttl DURATION] [SETTINGS]
       framegate token check [SETTINGS] < TOKENS

`mint` prints a token for the user ID, dated as that of a login. `check` reads tokens from
standard input, one a line, prints a verdict for each, and ends with 1 when one is bad. It asks
the database what the server asks: whether the user is there, enabled, and not revoked since.
Without a database it says that it did not.

Options:
  --ttl DURATION    how long the token is good, as 30m or 1h [TOKEN_TTL]
  --env-file FILE   read FILE instead of .env in the working directory
  -h, --help        print this

Of the settings, --db, --token-ttl, --issuer, --audience and --leeway count here.
";

const SECRET: &str = "\
Prints a fresh secret: 32 random bytes as 43 characters. In .env it stands as
LOCAL_JWT_SECRET=...

Usage: framegate secret
";

const CHECK: &str = "\
Says whether `framegate serve` would find its configuration, its secret and its database in
order, and makes nothing.

Usage: framegate check [SETTINGS]

It takes the settings of `framegate serve --help`, and --env-file FILE.
";

const REPLAY: &str = "\
Runs a recording of `framegate serve --record FILE` through the server again, without sockets,
and says whether it did the same: 0 when it did, else 1 and where it first did otherwise.

Usage: framegate replay FILE [--export raw|pcap DIR]

  --export raw DIR    also write what each client sent to DIR/SERIAL.raw, as fuzzers take it
  --export pcap DIR   also write DIR/session.pcap, a capture of packets for Wireshark
";

/// `framegate help [COMMAND]`.
pub(super) fn run(mut arguments: Arguments, output: &mut dyn Write) -> Result<(), CliError> {
    match arguments.next()? {
        None | Some(Argument::Help) => program(output),
        Some(Argument::Value(command)) => match command.as_str() {
            "serve" => serve(output),
            "user" => user(output),
            "token" => token(output),
            "secret" => secret(output),
            "check" => check(output),
            "replay" => replay(output),
            "help" => program(output),
            _ => Err(CliError::unknown_command(&command, COMMANDS)),
        },
        Some(argument) => Err(arguments.unexpected(argument, &[])),
    }
}

pub(super) fn program(output: &mut dyn Write) -> Result<(), CliError> {
    print(output, PROGRAM)
}

pub(super) fn user(output: &mut dyn Write) -> Result<(), CliError> {
    print(output, USER)
}

pub(super) fn token(output: &mut dyn Write) -> Result<(), CliError> {
    print(output, TOKEN)
}

pub(super) fn secret(output: &mut dyn Write) -> Result<(), CliError> {
    print(output, SECRET)
}

pub(super) fn check(output: &mut dyn Write) -> Result<(), CliError> {
    print(output, CHECK)
}

pub(super) fn replay(output: &mut dyn Write) -> Result<(), CliError> {
    print(output, REPLAY)
}

pub(super) fn serve(output: &mut dyn Write) -> Result<(), CliError> {
    print(output, SERVE)?;
    for group in GROUPS {
        writeln!(output, "\n{}:", group.title)?;
        for setting in group.settings {
            print_setting(output, setting)?;
        }
    }
    print(output, SETTINGS_END)
}

fn print_setting(output: &mut dyn Write, setting: &Setting) -> Result<(), CliError> {
    let flag = format!("{} {}", setting.flag(), setting.placeholder);
    let default = match (setting.arity, setting.default) {
        (Arity::Switch, _) => String::new(),
        (_, "") => " [none]".to_owned(),
        (_, default) => format!(" [{default}]"),
    };
    writeln!(output, "  {flag:<33}{}{default}", setting.help)?;
    Ok(())
}

fn print(output: &mut dyn Write, text: &str) -> Result<(), CliError> {
    output.write_all(text.as_bytes())?;
    Ok(())
}
