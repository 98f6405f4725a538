//! Where values come from, and which of them decides.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use zeroize::Zeroizing;

use super::Config;
use super::constraints;
use super::env_file::EnvFile;
use super::error::{ConfigError, Origin};
use super::settings::{Arity, PREFIX, Setting, by_variable, settings};
use super::suggest::suggest;

/// The variable of the secret that signs and verifies.
pub const CURRENT_SECRET: &str = "LOCAL_JWT_SECRET";
/// The variable of the secret that only verifies.
pub const PREVIOUS_SECRET: &str = "LOCAL_JWT_SECRET_PREVIOUS";
/// What the variables of secrets begin with.
const SECRET_PREFIX: &str = "LOCAL_JWT_";

/// Settings given on the command line. They have no `Debug`: a secret may stand there by mistake.
#[derive(Default)]
pub struct Flags(Vec<GivenFlag>);

struct GivenFlag {
    /// As it was typed.
    flag: String,
    setting: &'static Setting,
    value: String,
}

impl Flags {
    /// Takes `value` for `setting`, given as `flag`.
    ///
    /// # Errors
    ///
    /// When the setting was given before and takes one value.
    pub fn set(
        &mut self,
        flag: &str,
        setting: &'static Setting,
        value: &str,
    ) -> Result<(), ConfigError> {
        let earlier = self.0.iter_mut().find(|given| given.setting == setting);
        match (earlier, setting.arity) {
            (None, _) => self.0.push(GivenFlag {
                flag: flag.to_owned(),
                setting,
                value: value.to_owned(),
            }),
            (Some(earlier), Arity::Many) => {
                earlier.value.push(',');
                earlier.value.push_str(value);
            }
            (Some(_), Arity::One | Arity::Switch) => {
                let flag = flag.to_owned();
                return Err(ConfigError::Repeated { flag });
            }
        }
        Ok(())
    }
}

/// The secrets, as they were given and not yet judged. They cannot be printed and are wiped
/// when dropped.
#[derive(Default)]
pub struct Secrets {
    /// `LOCAL_JWT_SECRET`.
    pub current: Option<GivenSecret>,
    /// `LOCAL_JWT_SECRET_PREVIOUS`.
    pub previous: Option<GivenSecret>,
}

/// A secret and where it was given.
pub struct GivenSecret {
    /// Its variable's name.
    pub name: &'static str,
    /// Where it was given.
    pub origin: Origin,
    /// The secret.
    pub text: Zeroizing<String>,
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(..)")
    }
}

impl fmt::Debug for GivenSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GivenSecret({} ..)", self.origin.locate(self.name))
    }
}

/// Makes a [`Config`] of what was given. A flag decides over the environment, the environment
/// over the `.env` file, that over the default; a value that is overruled must be right too.
///
/// # Errors
///
/// The first thing that is wrong: a line of the `.env` file, a name with a prefix of ours that
/// is no setting's, a value that its setting does not take, settings that do not go together.
pub fn load(
    flags: &Flags,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    env_file: Option<&EnvFile>,
) -> Result<(Config, Secrets), ConfigError> {
    let mut given = Given::default();
    if let Some(file) = env_file {
        given.take_env_file(file)?;
    }
    given.take_environment(environment)?;
    for flag in &flags.0 {
        given.take(flag.setting, Origin::Flag(flag.flag.clone()), &flag.value)?;
    }
    let mut config = given.config;
    constraints::check(&mut config, &given.origins)?;
    Ok((config, given.secrets))
}

/// What was given so far, the deciding last.
#[derive(Default)]
struct Given {
    config: Config,
    origins: BTreeMap<&'static str, Origin>,
    secrets: Secrets,
}

impl Given {
    fn take_env_file(&mut self, file: &EnvFile) -> Result<(), ConfigError> {
        for assignment in file.assignments()? {
            let origin = Origin::EnvFile {
                path: file.path.clone(),
                line: assignment.line,
            };
            self.take_variable(assignment.name, origin, assignment.value)?;
        }
        Ok(())
    }

    fn take_environment(
        &mut self,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<(), ConfigError> {
        for (name, value) in environment {
            let name = name.to_string_lossy();
            if !is_ours(&name) {
                continue;
            }
            let Ok(value) = value.into_string().map(Zeroizing::new) else {
                let name = name.into_owned();
                return Err(ConfigError::NotUtf8 { name });
            };
            self.take_variable(&name, Origin::Environment, &value)?;
        }
        Ok(())
    }

    fn take_variable(
        &mut self,
        name: &str,
        origin: Origin,
        value: &str,
    ) -> Result<(), ConfigError> {
        if name == CURRENT_SECRET {
            self.secrets.current = Some(given_secret(CURRENT_SECRET, origin, value));
        } else if name == PREVIOUS_SECRET {
            // Empty is none, and so hides one that stands in the `.env` file.
            self.secrets.previous =
                (!value.is_empty()).then(|| given_secret(PREVIOUS_SECRET, origin, value));
        } else if let Some(setting) = by_variable(name) {
            self.take(setting, origin, value)?;
        } else if is_ours(name) {
            return Err(ConfigError::Unknown {
                name: name.to_owned(),
                origin,
                nearest: suggest_variable(name),
            });
        }
        Ok(())
    }

    fn take(
        &mut self,
        setting: &'static Setting,
        origin: Origin,
        value: &str,
    ) -> Result<(), ConfigError> {
        self.origins.insert(setting.name, origin.clone());
        setting
            .set(&mut self.config, value)
            .map_err(|expected| ConfigError::Value {
                setting,
                origin,
                expected: expected.into_owned(),
            })
    }
}

fn given_secret(name: &'static str, origin: Origin, text: &str) -> GivenSecret {
    let text = Zeroizing::new(text.to_owned());
    GivenSecret { name, origin, text }
}

/// A name that nobody else's program has.
fn is_ours(name: &str) -> bool {
    name.starts_with(PREFIX) || name.starts_with(SECRET_PREFIX)
}

fn suggest_variable(name: &str) -> Option<String> {
    let secrets = [CURRENT_SECRET, PREVIOUS_SECRET];
    let Some(rest) = name.strip_prefix(PREFIX) else {
        return suggest(name, secrets).map(str::to_owned);
    };
    let names = settings().map(|setting| setting.name).chain(secrets);
    suggest(rest, names).map(|name| match secrets.contains(&name) {
        true => name.to_owned(),
        false => format!("{PREFIX}{name}"),
    })
}
