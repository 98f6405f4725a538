//! What a setting is, and its names.

use std::fmt;

use super::Config;
use super::table::GROUPS;
use super::value::Expected;

/// What every variable of a setting begins with.
pub(super) const PREFIX: &str = "FRAMEGATE_";

/// A setting: one name, as a variable and as a flag.
pub struct Setting {
    /// The name, as in `MAX_CONNECTIONS`.
    pub name: &'static str,
    /// What stands for the value in the help.
    pub placeholder: &'static str,
    /// The default, as a person would write it; empty for none.
    pub default: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    /// How often it can be given, and with what.
    pub arity: Arity,
    pub(super) set: fn(&mut Config, &str) -> Result<(), Expected>,
    /// The text that sets it again; none where it means nothing to the core: its files, its log.
    pub(super) show: Option<fn(&Config) -> String>,
}

/// How many values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// A flag without a value; `true` or `false` as a variable.
    Switch,
    /// One.
    One,
    /// A flag that may be repeated; commas between the values of a variable.
    Many,
}

/// Settings that belong together.
pub struct Group {
    /// Their heading.
    pub title: &'static str,
    /// The settings.
    pub settings: &'static [Setting],
}

/// All settings, in the order of the help.
pub fn settings() -> impl Iterator<Item = &'static Setting> {
    GROUPS.iter().flat_map(|group| group.settings)
}

/// The setting whose flag this is, without its dashes.
pub fn by_flag(flag: &str) -> Option<&'static Setting> {
    settings().find(|setting| setting.flag()[2..] == *flag)
}

/// The setting whose variable this is.
pub(super) fn by_variable(variable: &str) -> Option<&'static Setting> {
    let name = variable.strip_prefix(PREFIX)?;
    settings().find(|setting| setting.name == name)
}

impl Setting {
    /// Its flag: `--max-connections`.
    pub fn flag(&self) -> String {
        format!("--{}", self.name.to_ascii_lowercase().replace('_', "-"))
    }

    /// Its variable: `FRAMEGATE_MAX_CONNECTIONS`.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// Sets it, or says what would be right.
    pub(super) fn set(&self, config: &mut Config, text: &str) -> Result<(), Expected> {
        match text.chars().any(char::is_control) {
            true => Err("without control characters".into()),
            false => (self.set)(config, text),
        }
    }

    /// It means something to the core, which a recording has by this text.
    pub(super) const fn shown(self, show: fn(&Config) -> String) -> Setting {
        Setting {
            show: Some(show),
            ..self
        }
    }

    pub(super) const fn many(self) -> Setting {
        Setting {
            arity: Arity::Many,
            ..self
        }
    }

    pub(super) const fn switch(self) -> Setting {
        Setting {
            arity: Arity::Switch,
            ..self
        }
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl PartialEq for Setting {
    fn eq(&self, other: &Setting) -> bool {
        self.name == other.name
    }
}

impl Eq for Setting {}
