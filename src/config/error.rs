//! What can be wrong with a configuration.

use std::fmt;
use std::path::PathBuf;

use super::settings::Setting;

/// How many characters of a refused name are shown.
const NAME_SHOWN_CHARACTERS_MAX: usize = 64;

/// Where a value was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// On the command line, as the flag that is named.
    Flag(String),
    /// In the environment.
    Environment,
    /// In a `.env` file.
    EnvFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// Why there is no [`Config`](super::Config). Each prints as one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigError {
    /// A name beginning with `FRAMEGATE_` or `LOCAL_JWT_` that is no setting's.
    Unknown {
        /// The name.
        name: String,
        /// Where it stands.
        origin: Origin,
        /// The name that was perhaps meant.
        nearest: Option<String>,
    },
    /// A value that its setting does not take. It is not kept: where a line feed or a quote was
    /// lost, a secret may stand in it.
    Value {
        /// The setting.
        setting: &'static Setting,
        /// Where the value was given.
        origin: Origin,
        /// What would be right.
        expected: String,
    },
    /// A name of ours whose value is not UTF-8.
    NotUtf8 {
        /// The name.
        name: String,
    },
    /// A flag given twice that takes one value.
    Repeated {
        /// The flag.
        flag: String,
    },
    /// Two settings that do not go together.
    Relation {
        /// The setting to change.
        name: &'static str,
        /// Its value.
        value: String,
        /// Where that was given; `None` for the default.
        origin: Option<Origin>,
        /// What it must be, and why.
        expected: String,
    },
    /// A listener that others can reach, without TLS.
    Plaintext {
        /// Its address.
        listen: String,
        /// Where that was given; `None` for the default.
        origin: Option<Origin>,
    },
    /// A line of a `.env` file that cannot be read.
    EnvFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        fault: EnvFileFault,
    },
}

/// What is wrong with a line of a `.env` file. The line itself is never shown: it may hold a
/// secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvFileFault {
    /// It is not `NAME=value`.
    Form,
    /// A carriage return that no line feed follows.
    CarriageReturn,
    /// Another assignment to a name of ours stands in the value.
    Swallowed,
    /// A quote is opened and not closed on the line.
    Quote,
    /// Something other than a comment stands after the closing quote.
    Trailing,
    /// The name was set on an earlier line.
    Repeated {
        /// The name.
        name: String,
        /// The earlier line.
        first_line: usize,
    },
}

impl Origin {
    /// The variable `name` with where it stands, or the flag instead: what an error begins with.
    pub fn locate(&self, name: &str) -> String {
        match self {
            Origin::Flag(flag) => flag.clone(),
            Origin::Environment | Origin::EnvFile { .. } => {
                format!("{name} in {}", self.place())
            }
        }
    }

    fn place(&self) -> String {
        match self {
            Origin::Flag(flag) => flag.clone(),
            Origin::Environment => "the environment".to_owned(),
            Origin::EnvFile { path, line } => format!("{} line {line}", path.display()),
        }
    }
}

/// What stands after a value to say where it comes from; `None` is the default.
pub(super) fn source(origin: Option<&Origin>) -> String {
    match origin {
        Some(origin) => format!(" ({})", origin.place()),
        None => " (the default)".to_owned(),
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::Unknown {
                name,
                origin,
                nearest,
            } => {
                let name = escaped(name);
                write!(f, "{} is not a setting; ", origin.locate(&name))?;
                match nearest {
                    Some(nearest) => write!(f, "did you mean {nearest}?"),
                    None => f.write_str("`framegate serve --help` lists them"),
                }
            }
            ConfigError::Value {
                setting,
                origin,
                expected,
            } => {
                let place = origin.locate(&setting.variable());
                write!(f, "{place} must be {expected}")
            }
            ConfigError::NotUtf8 { name } => {
                let name = escaped(name);
                write!(
                    f,
                    "{name} in the environment is not UTF-8; set it to plain text"
                )
            }
            ConfigError::Repeated { flag } => {
                write!(f, "{flag} is given twice; give it once")
            }
            ConfigError::Relation {
                name,
                value,
                origin,
                expected,
            } => {
                let source = source(origin.as_ref());
                write!(f, "{name} is {value}{source}, but must be {expected}")
            }
            ConfigError::Plaintext { listen, origin } => write!(
                f,
                "LISTEN is {listen}{}, where others could read the tokens that pass; listen on \
                 127.0.0.1 behind a proxy that ends TLS, or say --allow-plaintext",
                source(origin.as_ref())
            ),
            ConfigError::EnvFile { path, line, fault } => {
                write!(f, "{} line {line}: {fault}", path.display())
            }
        }
    }
}

impl std::error::Error for ConfigError {}

impl fmt::Display for EnvFileFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EnvFileFault::Form => f.write_str("not NAME=value, a comment or blank"),
            EnvFileFault::CarriageReturn => {
                f.write_str("a carriage return stands within the line; end lines with a line feed")
            }
            EnvFileFault::Swallowed => {
                f.write_str("a second NAME= stands within the value; begin a new line before it")
            }
            EnvFileFault::Quote => f.write_str("the quote is not closed on the line"),
            EnvFileFault::Trailing => {
                f.write_str("only a comment may stand after the closing quote")
            }
            EnvFileFault::Repeated { name, first_line } => {
                write!(
                    f,
                    "{name} is set already on line {first_line}; keep one of them"
                )
            }
        }
    }
}

/// On one line, without what a terminal would obey, and not too long.
fn escaped(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(NAME_SHOWN_CHARACTERS_MAX)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(NAME_SHOWN_CHARACTERS_MAX).is_some() {
        shown.push_str("...");
    }
    shown
}
