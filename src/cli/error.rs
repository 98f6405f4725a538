//! What can go wrong with a command.

mod from;

use std::fmt;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use super::import::LineError;
use crate::app::password::PasswordError;
use crate::app::users::{StoreError, UserError};
use crate::config::{self, ConfigError, suggest};
use crate::gate::{SecretError, SignError};
use crate::limits::{CLOCK_AHEAD_SECONDS_MIN, VOID_SECONDS_UNTOLD};
use crate::record::ReplayError;
use crate::time::UnixSeconds;

/// Why a command did not do what it was asked. Each prints as one line.
#[derive(Debug)]
pub enum CliError {
    // To put right on the command line.
    /// There is no command.
    NoCommand,
    // What was typed is repeated only where it is nearly a word of ours: else it may be a secret.
    /// A command that does not exist.
    UnknownCommand {
        /// What was typed and what was meant, where that can be told.
        meant: Option<(String, &'static str)>,
        /// Those that there are, with commas between them.
        known: String,
    },
    /// An option that does not exist.
    UnknownOption {
        /// What was typed and what was meant, with their dashes, where that can be told.
        meant: Option<(String, String)>,
    },
    /// A value for an option that takes none.
    OptionValue {
        /// The option, with its dashes.
        option: String,
    },
    /// No value for an option that takes one.
    NoOptionValue {
        /// The option, with its dashes.
        option: String,
    },
    /// A secret, a password or a token as an option.
    SecretOption {
        /// The option, with its dashes.
        option: String,
        /// How to give it instead.
        instead: &'static str,
    },
    /// An argument too many.
    UnexpectedValue,
    /// An argument too few.
    MissingValue {
        /// What is missing, and where.
        what: &'static str,
    },
    /// A password both from standard input and from nowhere.
    TwoPasswordSources,
    /// No terminal to ask for a password at.
    NobodyToAsk,
    /// An argument that is not UTF-8.
    ArgumentNotUtf8,
    /// The id or the name of a user is none.
    User(UserError),

    // To put right in the configuration.
    /// The configuration is not valid.
    Config(ConfigError),
    /// The `.env` file cannot be read.
    EnvFileUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// There is no secret.
    SecretMissing {
        /// The `.env` file that lacks it, with its folder.
        env_file: PathBuf,
        /// Whether that is there.
        env_file_exists: bool,
    },
    /// A secret is not fit to be one.
    Secret {
        /// Its name and where it stands.
        place: String,
        /// What is wrong with it.
        error: SecretError,
    },

    /// The previous secret is the present one.
    SameSecrets {
        /// The name of the previous one, and where it stands.
        place: String,
    },
    /// The process may open too few files for a single connection.
    NoDescriptors,

    // What failed.
    /// No token can be made for an id.
    Sign(SignError),
    /// Tokens are bad.
    BadTokens {
        /// How many.
        bad: u64,
        /// Of how many.
        all: u64,
    },
    /// No token came.
    NoTokens,
    /// There is no user of an id.
    NoSuchUser {
        /// The id.
        id: String,
    },
    /// The gate would refuse a token of an id for now.
    TokensVoid {
        /// The id.
        id: String,
        /// From when on the tokens are good.
        from: UnixSeconds,
        /// In how many seconds it would take one.
        wait_seconds: u64,
    },
    /// There is a user of an id already.
    UserExists {
        /// The id.
        id: String,
    },
    /// The password that was typed the second time is another.
    PasswordsDiffer,
    /// The person would rather not.
    GivenUp,
    /// A file of users cannot be read.
    ImportUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A line of a file of users cannot be taken.
    ImportLine {
        /// Its number, counted from one.
        line: u64,
        /// What is wrong with it.
        error: LineError,
    },
    /// A password cannot be hashed.
    Password(PasswordError),
    /// The user store fails.
    Store(StoreError),
    /// The `.env` file cannot be made.
    EnvFileNotMade {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The first user was made, and its password could not be shown.
    PasswordNotShown(io::Error),
    /// The system has no random bytes for us.
    Random(io::Error),
    /// Standard input or output fails.
    Streams(io::Error),
    /// The server cannot go on.
    Serve(Box<str>),
    /// The file of a recording cannot be made.
    RecordingNotMade {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// The file of a recording cannot be read.
    RecordingUnreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// `--export` takes another word.
    ExportKind,
    /// What a recording is exported to cannot be written.
    ExportNotMade {
        /// The folder.
        folder: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A recording is not replayed to the same outputs.
    Replay(ReplayError),
}

impl CliError {
    /// What the process ends with: 2 for what is to be put right in the command or the
    /// configuration, 1 for the rest.
    pub fn exit_code(&self) -> u8 {
        match self {
            CliError::NoCommand
            | CliError::UnknownCommand { .. }
            | CliError::UnknownOption { .. }
            | CliError::SecretOption { .. }
            | CliError::OptionValue { .. }
            | CliError::NoOptionValue { .. }
            | CliError::UnexpectedValue
            | CliError::MissingValue { .. }
            | CliError::TwoPasswordSources
            | CliError::NobodyToAsk
            | CliError::ExportKind
            | CliError::ArgumentNotUtf8
            | CliError::User(_)
            | CliError::Sign(SignError::Subject)
            | CliError::Config(_)
            | CliError::EnvFileUnreadable { .. }
            | CliError::SecretMissing { .. }
            | CliError::Secret { .. }
            | CliError::SameSecrets { .. }
            | CliError::NoDescriptors
            | CliError::Store(StoreError::Missing { .. }) => 2,
            CliError::Sign(_)
            | CliError::BadTokens { .. }
            | CliError::NoTokens
            | CliError::NoSuchUser { .. }
            | CliError::UserExists { .. }
            | CliError::TokensVoid { .. }
            | CliError::PasswordsDiffer
            | CliError::GivenUp
            | CliError::ImportUnreadable { .. }
            | CliError::ImportLine { .. }
            | CliError::Password(_)
            | CliError::Store(_)
            | CliError::EnvFileNotMade { .. }
            | CliError::PasswordNotShown(_)
            | CliError::Random(_)
            | CliError::Streams(_)
            | CliError::Serve(_)
            | CliError::RecordingNotMade { .. }
            | CliError::RecordingUnreadable { .. }
            | CliError::ExportNotMade { .. }
            | CliError::Replay(_) => 1,
        }
    }

    /// Whether it is only that nobody reads what is written any more.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, CliError::Streams(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }

    /// For a command that is none of `commands`, though perhaps another word for one of them.
    pub(super) fn unknown_command(typed: &str, commands: &[Name]) -> CliError {
        let another_word = |command: &&Name| command.also.contains(&typed);
        let names = || commands.iter().map(|command| command.name);
        let meant = commands.iter().find(another_word).map(|it| it.name);
        let meant = meant.or_else(|| suggest(typed, names()));
        CliError::UnknownCommand {
            meant: meant.map(|meant| (escaped(typed), meant)),
            known: names().collect::<Vec<_>>().join(", "),
        }
    }

    /// For an option, without its dashes, that is neither one of `own` nor a setting.
    pub(super) fn unknown_option(option: &str, own: &[&str]) -> CliError {
        if let Some(instead) = instead_of(option) {
            let option = format!("--{option}");
            return CliError::SecretOption { option, instead };
        }
        let settings: Vec<String> = config::settings().map(|setting| setting.flag()).collect();
        let settings = settings.iter().map(|flag| &flag[2..]);
        let known = settings
            .chain(["env-file", "help"])
            .chain(own.iter().copied());
        let another_name = ANOTHER_NAME.iter().find(|(other, _)| *other == option);
        let meant = another_name.map(|(_, meant)| *meant);
        let meant = meant
            .or_else(|| suggest(option, known))
            .map(|meant| (format!("--{}", escaped(option)), format!("--{meant}")));
        CliError::UnknownOption { meant }
    }

    pub(super) fn no_such_user(id: &str) -> CliError {
        CliError::NoSuchUser { id: escaped(id) }
    }

    pub(super) fn tokens_void_until(id: &str, from: UnixSeconds, wait_seconds: u64) -> CliError {
        CliError::TokensVoid {
            id: escaped(id),
            from,
            wait_seconds,
        }
    }

    pub(super) fn user_exists(id: &str) -> CliError {
        CliError::UserExists { id: escaped(id) }
    }
}

/// A command by its name, and by other words that people have for it.
#[derive(Clone, Copy)]
pub(super) struct Name {
    pub(super) name: &'static str,
    pub(super) also: &'static [&'static str],
}

/// What other programs call an option of ours.
const ANOTHER_NAME: &[(&str, &str)] = &[
    ("addr", "listen"),
    ("address", "listen"),
    ("bind", "listen"),
    ("host", "listen"),
    ("port", "listen"),
    ("socket", "listen"),
    ("config", "env-file"),
    ("database", "db"),
    ("debug", "log"),
    ("log-level", "log"),
    ("quiet", "log"),
    ("verbose", "log"),
];

/// Where to give what the command line, which everybody on the machine can read, must not hold.
fn instead_of(option: &str) -> Option<&'static str> {
    match option {
        "local-jwt-secret" | "local-jwt-secret-previous" | "secret" => {
            Some("set LOCAL_JWT_SECRET in the environment or in .env")
        }
        "token" => Some("give tokens on standard input"),
        "password" => Some("give the password on standard input with --password-stdin"),
        _ => None,
    }
}

fn escaped(text: &str) -> String {
    text.escape_debug().take(64).collect()
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CliError::NoCommand => f.write_str("no command; `framegate help` lists them"),
            CliError::UnknownCommand {
                meant: Some((typed, meant)),
                ..
            } => write!(
                f,
                "there is no command \"{typed}\"; did you mean {meant}?"
            ),
            CliError::UnknownCommand { known, .. } => {
                write!(f, "there is no such command; there are {known}")
            }
            CliError::UnknownOption {
                meant: Some((typed, meant)),
            } => write!(
                f,
                "there is no option {typed} here; did you mean {meant}?"
            ),
            CliError::UnknownOption { .. } => {
                f.write_str("there is no such option here; --help lists them")
            }
            CliError::OptionValue { option } => write!(
                f,
                "{option} takes no value, give it alone; what was given is not shown, since it may be a secret"
            ),
            CliError::NoOptionValue { option } => write!(f, "{option} needs a value; --help says of which kind"),
            CliError::SecretOption { option, instead } => write!(
                f,
                "there is no option {option}, for everybody on the machine could read it; {instead}"
            ),
            CliError::UnexpectedValue => f.write_str(
                "an argument too many, not shown since it may be a secret; --help says what is taken",
            ),
            CliError::MissingValue { what } => f.write_str(what),
            CliError::TwoPasswordSources => {
                f.write_str("--password-stdin and --no-password exclude one another; give one")
            }
            CliError::NobodyToAsk => f.write_str(
                "standard input is no terminal to ask for a password at; give --password-stdin or --no-password",
            ),
            CliError::ArgumentNotUtf8 => f.write_str("an argument is not UTF-8"),
            CliError::Config(error) => error.fmt(f),
            CliError::EnvFileUnreadable { path, error }
            | CliError::RecordingUnreadable { path, error } => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            CliError::ExportKind => f.write_str("--export takes raw or pcap, and a folder"),
            CliError::ExportNotMade { folder, error } => write!(
                f,
                "cannot export into {}: {error}; no file there is written over",
                folder.display()
            ),
            CliError::SecretMissing {
                env_file,
                env_file_exists: true,
            } => write!(
                f,
                "LOCAL_JWT_SECRET is not set: {} does not have it; add a line LOCAL_JWT_SECRET= \
                 with what `framegate secret` prints",
                env_file.display()
            ),
            CliError::SecretMissing { env_file, .. } => {
                let folder = env_file.parent().unwrap_or(env_file).display();
                write!(
                    f,
                    "LOCAL_JWT_SECRET is not set: no .env in {folder}; go to the folder that has \
                     it, or let `framegate serve --init` make one here"
                )
            }
            CliError::Secret { place, error } => write!(f, "{place}: {error}"),
            CliError::SameSecrets { place } => write!(
                f,
                "{place} is the same as LOCAL_JWT_SECRET; remove it, or put the former secret there"
            ),
            CliError::NoDescriptors => f.write_str(
                "the descriptor limit has no room for a single connection; raise it (ulimit -n)",
            ),
            CliError::Sign(error) => error.fmt(f),
            CliError::BadTokens { bad, all } => write!(f, "bad tokens: {bad} of {all}"),
            CliError::NoTokens => {
                f.write_str("no token came; give tokens on standard input, one a line")
            }
            CliError::NoSuchUser { id } => {
                write!(f, "there is no user \"{id}\"; `framegate user list` shows all")
            }
            CliError::TokensVoid {
                id,
                from,
                wait_seconds,
            } => {
                write!(f, "the tokens of {id} are void until {from}; ")?;
                match *wait_seconds {
                    seconds if seconds <= VOID_SECONDS_UNTOLD => write!(f, "wait {seconds} s"),
                    seconds if seconds <= CLOCK_AHEAD_SECONDS_MIN => {
                        write!(f, "put the clock right, or wait {seconds} s if it is right")
                    }
                    _ => write!(
                        f,
                        "put the clock right, or run `framegate user revoke {id}` if it is right"
                    ),
                }
            }
            CliError::UserExists { id } => write!(
                f,
                "there is a user \"{id}\" already; `framegate user passwd` sets another password, \
                 `user enable` lets a disabled user in, `user rm` removes the user"
            ),
            CliError::PasswordsDiffer => {
                f.write_str("the two passwords are not the same; nothing was changed")
            }
            CliError::GivenUp => f.write_str("given up; nothing was changed"),
            CliError::ImportUnreadable { path, error } => {
                write!(f, "cannot read {}: {error}", path.display())
            }
            CliError::ImportLine { line, error } => {
                write!(f, "line {line}: {error}; nothing was imported")
            }
            CliError::User(error) => error.fmt(f),
            CliError::Password(error) => error.fmt(f),
            CliError::Store(error) => error.fmt(f),
            CliError::RecordingNotMade { path, error } if error.kind() == ErrorKind::AlreadyExists => {
                write!(
                    f,
                    "cannot make {}: it is there already; --record needs a file that is not there",
                    path.display()
                )
            }
            CliError::EnvFileNotMade { path, error } | CliError::RecordingNotMade { path, error } => {
                write!(f, "cannot make {}: {error}", path.display())
            }
            CliError::PasswordNotShown(error) => write!(
                f,
                "the password of admin could not be shown ({error}); `framegate user passwd admin` \
                 sets another"
            ),
            CliError::Random(error) => write!(f, "the system gives no random bytes: {error}"),
            CliError::Streams(error) => write!(f, "standard input or output: {error}"),
            CliError::Serve(reason) => f.write_str(reason),
            CliError::Replay(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CliError {}
