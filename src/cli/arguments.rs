//! The command line, one argument after the other. Settings are taken out of it on the way,
//! so that every command has all of them and none needs to know them.

use std::ffi::OsString;
use std::path::PathBuf;

use lexopt::{Arg, Parser};

use super::Context;
use super::env_file;
use super::error::CliError;
use crate::config::{self, Arity, Config, Flags, Secrets, Setting};

/// What is left of a command line for the command itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Argument {
    /// `--help` or `-h`.
    Help,
    /// An option of the command, without its dashes.
    Option(String),
    /// An argument that is no option.
    Value(String),
}

/// A command line, and the settings that were found in it so far.
pub struct Arguments {
    parser: Parser,
    flags: Flags,
    env_file: Option<PathBuf>,
    /// The option that came last, where no value of it was asked for.
    option: Option<String>,
    /// The one that stood right before the argument that came last.
    option_before: Option<String>,
}

impl Arguments {
    /// The arguments of the process, its own name not among them.
    pub fn new(arguments: impl IntoIterator<Item = OsString>) -> Arguments {
        Arguments {
            parser: Parser::from_args(arguments),
            flags: Flags::default(),
            env_file: None,
            option: None,
            option_before: None,
        }
    }

    /// The next argument that is the command's own.
    ///
    /// # Errors
    ///
    /// When an argument cannot be read, or a setting's flag lacks its value.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator could not be asked for a value"
    )]
    pub fn next(&mut self) -> Result<Option<Argument>, CliError> {
        loop {
            self.option_before = self.option.take();
            let option = match self.parser.next()? {
                None => return Ok(None),
                Some(Arg::Value(value)) => return Ok(Some(Argument::Value(text(value)?))),
                Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Some(Argument::Help)),
                Some(Arg::Short('V')) => "version".to_owned(),
                Some(Arg::Short(_)) => return Err(CliError::UnknownOption { meant: None }),
                Some(Arg::Long(option)) => option.to_owned(),
            };
            self.option = Some(format!("--{option}"));
            if option == "env-file" {
                self.option = None;
                self.env_file = Some(self.parser.value()?.into());
            } else if let Some(setting) = config::by_flag(&option) {
                self.set(&setting.flag(), setting)?;
            } else {
                return Ok(Some(Argument::Option(option)));
            }
        }
    }

    /// The value of the option that came last.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not UTF-8.
    pub fn value(&mut self) -> Result<String, CliError> {
        self.option = None;
        text(self.parser.value()?)
    }

    /// Takes the value of the option that came last as that of the setting `name`.
    ///
    /// # Errors
    ///
    /// When there is no value, or the setting was given before.
    pub(super) fn set_as(&mut self, flag: &str, name: &str) -> Result<(), CliError> {
        match config::settings().find(|setting| setting.name == name) {
            Some(setting) => self.set(flag, setting),
            None => Ok(()),
        }
    }

    fn set(&mut self, flag: &str, setting: &'static Setting) -> Result<(), CliError> {
        let value = match setting.arity {
            Arity::Switch => self
                .parser
                .optional_value()
                .map_or(Ok("true".to_owned()), text)?,
            Arity::One | Arity::Many => self.value()?,
        };
        self.flags.set(flag, setting, &value)?;
        Ok(())
    }

    /// The error for an argument that the command does not take; `own` are its options.
    pub fn unexpected(&mut self, argument: Argument, own: &[&str]) -> CliError {
        match argument {
            Argument::Option(option) => CliError::unknown_option(&option, own),
            // Every option that takes a value has taken it.
            Argument::Value(_) => match self.option_before.take() {
                Some(option) => CliError::OptionValue { option },
                None => CliError::UnexpectedValue,
            },
            // A command that does not ask for `Help` has none.
            Argument::Help => CliError::unknown_option("help", own),
        }
    }

    /// Makes the configuration of what was given: on the command line, in the environment, in
    /// the `.env` file.
    ///
    /// # Errors
    ///
    /// When it is not valid, or the `.env` file cannot be read.
    pub fn load(&self, context: &Context<'_>) -> Result<(Config, Secrets), CliError> {
        let file = env_file::read(self.env_file.as_deref())?;
        let environment = context.environment.iter().cloned();
        Ok(config::load(&self.flags, environment, file.as_ref())?)
    }

    /// The path of the `.env` file, whether it is there or not.
    pub(super) fn env_file(&self) -> PathBuf {
        let default = || PathBuf::from(env_file::DEFAULT_PATH);
        self.env_file.clone().unwrap_or_else(default)
    }
}

fn text(value: OsString) -> Result<String, CliError> {
    value.into_string().map_err(|_| CliError::ArgumentNotUtf8)
}
