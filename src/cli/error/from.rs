//! What becomes an error of a command by itself.

use std::io;

use super::CliError;
use crate::app::password::PasswordError;
use crate::app::users::{StoreError, UserError};
use crate::config::ConfigError;
use crate::gate::SignError;

impl From<lexopt::Error> for CliError {
    /// Its own words would repeat what was typed.
    fn from(error: lexopt::Error) -> CliError {
        match error {
            lexopt::Error::MissingValue {
                option: Some(option),
            } => CliError::NoOptionValue { option },
            // The caller asks for a value only of an option that is ours.
            lexopt::Error::UnexpectedValue { option, .. } => CliError::OptionValue { option },
            lexopt::Error::NonUnicodeValue(_) => CliError::ArgumentNotUtf8,
            _ => CliError::UnexpectedValue,
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> CliError {
        CliError::Config(error)
    }
}

impl From<io::Error> for CliError {
    fn from(error: io::Error) -> CliError {
        CliError::Streams(error)
    }
}

impl From<StoreError> for CliError {
    fn from(error: StoreError) -> CliError {
        CliError::Store(error)
    }
}

impl From<SignError> for CliError {
    fn from(error: SignError) -> CliError {
        CliError::Sign(error)
    }
}

impl From<UserError> for CliError {
    fn from(error: UserError) -> CliError {
        CliError::User(error)
    }
}

impl From<PasswordError> for CliError {
    fn from(error: PasswordError) -> CliError {
        CliError::Password(error)
    }
}
