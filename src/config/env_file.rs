//! The form of a `.env` file: `NAME=value` lines, with blank lines and comments between them.
//!
//! `export` may stand in front of a name. A value in single or double quotes is what stands
//! between them, nothing in it means anything else; any other ends where a space and a `#`
//! begin a comment. A value does not go on on the next line.

use std::path::PathBuf;

use zeroize::Zeroizing;

use super::error::{ConfigError, EnvFileFault};

/// A `.env` file as it was read.
pub struct EnvFile {
    /// Where it lies, as errors shall say it.
    pub path: PathBuf,
    /// What stands in it.
    pub text: Zeroizing<String>,
}

/// One assignment.
pub(super) struct Assignment<'t> {
    pub(super) line: usize,
    pub(super) name: &'t str,
    pub(super) value: &'t str,
}

impl EnvFile {
    /// The assignments, in order.
    pub(super) fn assignments(&self) -> Result<Vec<Assignment<'_>>, ConfigError> {
        let mut assignments: Vec<Assignment<'_>> = Vec::new();
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        for (index, text) in text.lines().enumerate() {
            let line = index + 1;
            let fail = |fault| ConfigError::EnvFile {
                path: self.path.clone(),
                line,
                fault,
            };
            let Some((name, value)) = assignment(text).map_err(fail)? else {
                continue;
            };
            if let Some(first) = assignments.iter().find(|first| first.name == name) {
                return Err(fail(EnvFileFault::Repeated {
                    name: name.to_owned(),
                    first_line: first.line,
                }));
            }
            assignments.push(Assignment { line, name, value });
        }
        Ok(assignments)
    }
}

fn assignment(line: &str) -> Result<Option<(&str, &str)>, EnvFileFault> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let line = line.strip_prefix("export ").unwrap_or(line);
    let (name, value) = line.split_once('=').ok_or(EnvFileFault::Form)?;
    let name = name.trim();
    match is_name(name) {
        true => Ok(Some((name, unquoted(value.trim())?))),
        false => Err(EnvFileFault::Form),
    }
}

/// POSIX.1-2017 §3.235: letters, digits and underscores, no digit first.
fn is_name(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.bytes().all(is_word) && text.starts_with(|first: char| !first.is_ascii_digit())
}

fn unquoted(value: &str) -> Result<&str, EnvFileFault> {
    let Some(quote) = value.chars().next().filter(|first| "'\"".contains(*first)) else {
        let comment_at = value.find(" #").unwrap_or(value.len());
        return Ok(value[..comment_at].trim_end());
    };
    let (value, behind) = value[1..].split_once(quote).ok_or(EnvFileFault::Quote)?;
    let behind = behind.trim_start();
    match behind.is_empty() || behind.starts_with('#') {
        true => Ok(value),
        false => Err(EnvFileFault::Trailing),
    }
}
